# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``kedr completion``: a script for the shell that completes verbs, options and names of files."""

import argparse
from collections.abc import Mapping
from typing import Any

from . import main


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell that reads the script")
    parser.epilog = 'In bash: eval "$(kedr completion bash)". In zsh: kedr completion zsh >DIR/_kedr, DIR in $fpath.'


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab  # here, since sanity tests import every module where only ansible-core is installed

    parser = _whole()
    _mark(parser, {"FILE": shtab.FILE, "FILE|DIR": shtab.FILE, "DIR": shtab.DIRECTORY, "RUN": shtab.DIRECTORY})
    print(shtab.complete(parser, options.shell))
    return 0


def _whole() -> argparse.ArgumentParser:
    """Return one parser with all verbs."""
    parser = argparse.ArgumentParser(prog="kedr")
    verbs = parser.add_subparsers()
    for name, verb in main.VERBS.items():
        one = verbs.add_parser(name, help=verb.about)
        if name == "help":
            one.add_argument("verb", choices=list(main.VERBS))
            continue
        main.describe(name, main.load(name), one)
        if verb.module == "play":
            one.add_argument("more", metavar="FILE", nargs="*")
    return parser


def _mark(parser: argparse.ArgumentParser, kinds: Mapping[object, Any]) -> None:
    """Mark the arguments that are files: ``kinds`` is {name in the help: what completes it}."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                _mark(one, kinds)
        elif action.metavar in kinds:
            action.complete = kinds[action.metavar]  # type: ignore[attr-defined]
