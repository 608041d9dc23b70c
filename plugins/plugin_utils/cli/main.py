# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``kedr``: the list of its verbs, and the one place that tells what went wrong.

A verb is a module of this package with ``arguments(parser)``, which adds its options, and ``run(options)``, which
returns the exit status.  It is imported when it is asked for: some verbs need nothing but Python.
"""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..base.errors import InputError, KedrError
from ..base.foreign import printable
from ..base.packages import missing
from . import launch


class Verb(NamedTuple):
    """A verb: what it does in one line, and what it needs."""

    about: str
    needs: str = ""
    """A key of ``launch.PACKAGES``; nothing where Python alone is enough."""
    option: str = ""
    """The option without which the verb needs no package."""
    module: str = ""
    """The module, where it has another name than the verb."""


TASKS = {
    "look at a driver": {
        "verify": Verb("build, load, exercise, trace and judge a module on each host of an inventory", module="play"),
        "report": Verb("make the reports of verify runs again, of one or of several together", "run"),
    },
    "check a fleet": {
        "collect": Verb("watch what a module does on the hosts of an inventory while they work", module="play"),
        "judge": Verb("judge watched hosts again: accounts, losses, verdicts", "collect"),
    },
    "look at records": {
        "trace": Verb("ask questions about records: counts, values, pairs, differences, SQL", "collect"),
        "page": Verb("make the page of a watch again: a timeline and a table of its records", "collect"),
        "export": Verb("write records for trace-cmd, KernelShark, Perfetto and other tools", "collect"),
    },
    "write a payload": {
        "new": Verb("write a payload description for functions of a kernel", "run", option="--vmlinux"),
        "lint": Verb("check payload descriptions that are to be loaded together"),
        "mist": Verb("print what a MiST template set makes of a data file"),
    },
    "this command": {
        "completion": Verb("print the completion script for bash or zsh", "collect"),
        "help": Verb("list the verbs, or show the options of one: kedr help VERB"),
    },
}
VERBS = {name: verb for verbs in TASKS.values() for name, verb in verbs.items()}
HELP = ("help", "-h", "--help")
_OWN = (__name__.partition(".")[0] + ".", "ansible_collections.")
"""How the names of this collection's own modules begin."""


def main(arguments: Sequence[str] | None = None, launcher: str = "") -> int:
    """Run one verb and return its exit status: 2 when it could not be done, after a message; 130 for an interrupt.

    ``launcher`` is the path of the program that may be started again with another Python.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _flushed():
            return _run(words, launcher)
    except BrokenPipeError:
        return 2  # who reads has seen enough
    except (KedrError, ImportError, OSError) as error:
        _tell(words, _said(error))
        return 2
    except KeyboardInterrupt:
        _tell(words, "interrupted")
        return 130


def _said(error: KedrError | ImportError | OSError) -> str:
    """Return what a person is told of an error; raises it anew where it is a mistake of this collection."""
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else f"cannot write the output: {reason}"
    if isinstance(error, KedrError):
        return str(error)
    if not isinstance(error, ModuleNotFoundError) or not error.name or error.name.startswith(_OWN):
        raise error
    return missing(error.name)


@contextlib.contextmanager
def _flushed() -> Iterator[None]:
    """Write what the body printed, before anything is told of what went wrong in it.  Raises OSError."""
    try:
        yield
    finally:
        try:
            if sys.stdout:
                sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python must not complain again when it ends
            raise


def _tell(words: Sequence[str], text: str) -> None:
    name = f"kedr {words[0]}" if words and words[0] in VERBS else "kedr"
    with contextlib.suppress(OSError):
        print(printable(f"{name}: error: {text}"), file=sys.stderr, flush=True)


def _run(words: list[str], launcher: str) -> int:
    if not words:
        print(usage(), file=sys.stderr)
        return 2
    if words[0] in HELP and words[1:]:
        words = [words[1], "--help"]
    if words[0] in HELP:
        print(usage())
        return 0
    name, *rest = words
    verb = _known(name)
    if launcher and verb.needs and (not verb.option or _has(rest, verb.option)):
        launch.enter(launcher, words, verb.needs)
    module = load(name)
    options = _parsed(name, module, rest)
    status: int = module.run(options)
    return status


def _known(name: str) -> Verb:
    if name not in VERBS:
        from ..base.near import did_you_mean, nearest

        raise InputError(f"there is no verb '{name}'{did_you_mean(nearest(name, VERBS))}; 'kedr help' lists them")
    return VERBS[name]


def _has(words: Sequence[str], option: str) -> bool:
    """Whether an option is given, also shortened as argparse takes it."""
    return any(len(word) > 2 and option.startswith(word.partition("=")[0]) for word in words)


def load(name: str) -> Any:
    """Import the module of a verb."""
    return importlib.import_module(f".{VERBS[name].module or name}", __package__)


def describe(name: str, module: Any, parser: argparse.ArgumentParser) -> None:
    """Give the parser of a verb its text and its options."""
    about = VERBS[name].about
    parser.description = f"{about[0].upper()}{about[1:]}."
    parser.set_defaults(verb=name)
    module.arguments(parser)


def _parsed(name: str, module: Any, words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"kedr {name}")
    describe(name, module, parser)
    options, more = parser.parse_known_args(words)
    options.more = more
    if more and VERBS[name].module != "play":  # ansible-playbook has more
        parser.error(f"unrecognized arguments: {' '.join(map(printable, more))}")
    return options


def usage() -> str:
    """Return the verbs by task, for people."""
    lines = ["usage: kedr VERB [ARGUMENT...]"]
    for task, verbs in TASKS.items():
        lines += ["", f"{task}:", *(f"  {name:12}{verb.about}" for name, verb in verbs.items())]
    return "\n".join([*lines, "", "'kedr VERB --help' shows the options of a verb."])
