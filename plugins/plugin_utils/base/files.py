# SPDX-License-Identifier: GPL-3.0-or-later
"""The one writer and the one reader of files: whole or not at all, for their owner alone, and no more than expected."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from .errors import ForeignError, about

MAX_JSON = 32 << 20
"""Bytes of the largest JSON file that is read."""
PRIVATE = 0o600
"""Mode of every file that is not said to be for others."""


@contextlib.contextmanager
def whole_file(path: str, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """Give a file that takes the place of ``path`` when the body has ended well; else ``path`` stays as it was.

    Readers see the old content or the new one.  ``mode`` is that of the file, less the umask of the process where
    others may read.  Raises OSError.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".new-")
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            os.fchmod(stream.fileno(), mode & ~_umask() | PRIVATE)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_file(path: str, content: str | bytes) -> None:
    """Write a file (mode 0600) whole or not at all.  Raises OSError."""
    with whole_file(path) as stream:
        stream.write(_bytes(content))


def replace_directory(new: str, path: str) -> str:
    """Put the directory ``new`` in the place of ``path``.  Return where that is now, '' if it was not there.

    Both are in one file system.  Raises OSError.
    """
    try:
        os.rename(new, path)
        return ""
    except OSError:
        old = f"{new}.old"
        os.rename(path, old)
        os.rename(new, path)
        return old


def append_file(path: str, content: str | bytes) -> None:
    """Append to a file (mode 0600) in one write, all of it or nothing.  Raises OSError."""
    data = _bytes(content)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE), "ab", buffering=0) as stream:
        before = os.fstat(stream.fileno()).st_size
        if stream.write(data) != len(data):
            stream.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def read_file(path: str, most: int = MAX_JSON) -> bytes:
    """Return what a file holds.  Raises ForeignError, which names it, for more than ``most`` bytes as well."""
    with about(path), open(path, "rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise ForeignError(f"has more than {most} bytes", path)
    return data


def strict_json(text: str | bytes) -> Any:
    """Return what JSON says, unless it says two things at once or holds what is not a number.  Raises ForeignError."""
    try:
        return json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ForeignError(f"is not valid JSON: {str(error)[:200]}") from None


def read_json(path: str, kind: type = dict) -> Any:
    """Return what a JSON file holds, which must be a ``kind``.  Raises ForeignError, which names the file."""
    data = read_file(path)
    with about(path):
        return checked_json(data, kind)


def checked_json(text: str | bytes, kind: type) -> Any:
    """Return what JSON says, which must be a ``kind``, as ``strict_json`` does.  Raises ForeignError."""
    value = strict_json(text)
    if not isinstance(value, kind):
        raise ForeignError(f"does not hold a JSON {'list' if kind is list else 'object'}")
    return value


def _umask() -> int:
    """Return the umask of this process, which can only be asked by setting it."""
    there = os.umask(0o077)
    os.umask(there)
    return there


def _bytes(content: str | bytes) -> bytes:
    return content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in it")
    return found


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")
