# SPDX-License-Identifier: GPL-3.0-or-later
"""Built modules by content key: keys, the cache and its locks, the stage that is sent to be built.

A key says everything a module depends on: kernel, compiler, configuration, sources, what it needs, and who builds it.
What a host built is found by that host only, because it may have built something else than it was asked for; what a
builder that the inventory trusts has built is found by all that name it. An entry of the cache is a directory named by
its key, written beside and renamed, with a manifest of the hashes of its files and of who made them; an entry that does
not agree with its manifest is not there.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..base import locks, ownership
from ..base.errors import ForeignError, InputError
from ..base.files import replace_directory

FORMAT = 2
"""Counted up when the meaning of a key or of an entry changes."""
MACHINE_FACTS = ("release", "machine", "build", "compiler", "config_sum")
"""Facts of a host that decide what a build gives."""
PROBES = "probes"
"""Name of the entry that holds the header made by the probes."""
CONFIG_HEADER = "generated/kedr/config.h"
PROBES_INPUT = re.compile(r"(build\.sh|probes/.*)\Z")
_SOURCE = re.compile(r"(.*\.(c|h|S|sh)|(.*/)?(Kbuild|Makefile))\Z")
_ERROR = re.compile(
    r"(: (fatal )?error[: ]|: Error:|^ERROR: |undefined!|No space left on device|\*\*\* No rule|: not found$)"
)


class Builder(NamedTuple):
    """Who builds: a tree of the control node (kind ``root``) or a host of the inventory (kind ``host``).

    `name` is the tree's path or the host's name, `address` how the host is reached. Only what a `trusted` builder made
    may be signed.
    """

    kind: str
    name: str
    address: str
    trusted: bool


class ModuleSources(NamedTuple):
    """A module to build: its name, its source files (relative path -> bytes), names of what it needs."""

    name: str
    files: dict[str, bytes]
    needs: tuple[str, ...]


class Entry(NamedTuple):
    """A module in the cache: its directory, and its files (relative path -> sha256)."""

    path: str
    key: str
    files: dict[str, str]

    def file(self, name: str) -> str:
        """Return the path of file `name` of this entry."""
        return os.path.join(self.path, name)


def read_sources(directory: str) -> dict[str, bytes]:
    """Return the C, header, assembler, sh and Kbuild files below `directory` (relative path -> bytes).

    What an earlier build left there is not taken. Raises OSError.
    """
    found = {}
    for place, directories, names in os.walk(directory, onerror=_raise):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(place, name), directory)
            if _SOURCE.match(path) and not name.startswith(".") and not name.endswith(".mod.c"):
                with open(os.path.join(place, name), "rb") as file:
                    found[path] = file.read()
    return found


def _raise(error: OSError) -> None:
    raise error


def common_files(kernel_dir: str) -> dict[str, bytes]:
    """Return what every stage holds: build.sh, include/ and probes/ of `kernel_dir`."""
    files = {}
    with open(os.path.join(kernel_dir, "build.sh"), "rb") as file:
        files["build.sh"] = file.read()
    for part in ("include", "probes"):
        for path, content in read_sources(os.path.join(kernel_dir, part)).items():
            files[f"{part}/{path}"] = content
    return files


def digest(value: Any) -> str:
    """Return the key of a value made of dicts, lists, str and bytes, as 40 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, default=lambda data: hashlib.sha256(data).hexdigest())
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def content_keys(facts: Mapping[str, Any], builder: Builder, common: Mapping[str, bytes],
                 modules: Sequence[ModuleSources]) -> dict[str, str]:
    """Return the key of every module and of PROBES as `builder` makes them; a module's needs must stand before it.

    Raises InputError naming a need that does not.
    """
    machine = {"builder": builder, **{name: facts.get(name, "") for name in MACHINE_FACTS}}
    keys = {PROBES: digest([FORMAT, machine, {path: data for path, data in common.items()
                                              if PROBES_INPUT.match(path)}])}
    for module in modules:
        for need in module.needs:
            if need not in keys or need == PROBES:
                raise InputError(f"{module.name} needs {need}, which must stand before it in modules")
        keys[module.name] = digest([FORMAT, machine, dict(common), module.name, module.files,
                                    [keys[need] for need in module.needs]])
    return keys


def look_up(cache_dir: str, key: str) -> Entry | None:
    """Return the entry of `key`, or nothing when it is absent or not what its manifest says."""
    path = os.path.join(cache_dir, "modules", key)
    try:
        files = _manifest(path)["files"]
        for name, expected in files.items():
            with open(os.path.join(path, name), "rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != expected:
                    return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Entry(path, key, dict(files))


def _manifest(path: str) -> Any:
    with open(os.path.join(path, "manifest.json"), encoding="utf-8") as file:
        return json.load(file)


def maker(path: str) -> Builder | None:
    """Return who built the module file `path` of the cache; nothing for a file that no build made.

    Raises ForeignError when the manifest beside it does not say it.
    """
    try:
        return Builder(**_manifest(os.path.dirname(path))["made"]["by"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ForeignError(f"the manifest beside it does not say who built it: {error}", path) from error


def store(cache_dir: str, key: str, name: str, files: Mapping[str, bytes], made: Mapping[str, Any]) -> Entry:
    """Write the entry of `key` whole and return it; what stood there is replaced. Raises OSError.

    `made` tells where it comes from: ``by`` (fields of a Builder), ``compiler``, ``at`` (UTC), facts of the kernel.
    """
    place = os.path.join(cache_dir, "modules")
    ownership.make(place, 0o755)
    temporary = os.path.join(place, f".{key}.{secrets.token_hex(6)}")
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    manifest = {"name": name, "key": key, "files": hashes, "made": dict(made)}
    try:
        for path, content in {**files, "manifest.json": json.dumps(manifest, indent=1).encode()}.items():
            target = os.path.join(temporary, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if path.startswith("user/"):
                os.chmod(target, 0o755)
        if old := replace_directory(temporary, os.path.join(place, key)):
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Entry(os.path.join(place, key), key, hashes)


@contextlib.contextmanager
def locked(cache_dir: str, keys: Sequence[str]) -> Iterator[None]:
    """Hold the locks of `keys`, taken in one order by everybody; released even when killed."""
    place = os.path.join(cache_dir, "locks")
    ownership.make(place, 0o755)
    with contextlib.ExitStack() as stack:
        for key in sorted(set(keys)):
            stack.enter_context(locks.locked(os.path.join(place, key)))
        yield


def stage(common: Mapping[str, bytes], modules: Sequence[ModuleSources], symvers: Mapping[str, bytes],
          header: bytes | None) -> dict[str, bytes]:
    """Return the files of a stage directory in which build.sh builds `modules`.

    `symvers`: Module.symvers of modules already built; `header`: what the probes gave, if known.
    """
    files = dict(common)
    for module in modules:
        for path, content in module.files.items():
            files[f"{module.name}/{path}"] = content
    for name, content in symvers.items():
        files[f"symvers/{name}.symvers"] = content
    if header is not None:
        files[CONFIG_HEADER] = header
    return files


def result_files(name: str, built: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the entry of module `name`, out of what a build sent back.

    Raises KeyError naming the file that a built module must have and has not.
    """
    files = {f"{name}.ko": built[f"{name}/{name}.ko"], f"{name}.symvers": built.get(f"symvers/{name}.symvers", b"")}
    start = f"{name}/user/"
    for path, content in built.items():
        if path.startswith(start) and path.count("/") == 2:
            files["user/" + path[len(start):]] = content
    return files


def errors_of_log(log: str, limit: int = 12) -> str:
    """Return the lines of a build log that say why it failed, at most `limit`; else its last lines."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    found = list(dict.fromkeys(line for line in lines if _ERROR.search(line)))
    if not found:
        found = lines[-limit:]
    more = len(found) - limit
    return "\n".join(found[:limit]) + (f"\n({more} more in the log)" if more > 0 else "")
