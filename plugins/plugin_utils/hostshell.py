# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Speaking sh to a host: one program sent, one answer read, nothing else needed on the host.

A round trip is one command whose standard input holds a program followed by data. The command
reads exactly the program (never a byte of the data) and evaluates it if it came whole, up to the
nonce at its end; the program may then read the data, for example with ``tar xf -``. It answers on
standard output::

    kedr-begin NONCE
    v KEY VALUE                 a value; a key may come several times
    text NAME                   lines of text follow, each behind a bar ...
    |first line
    .                           ... up to a dot; empty lines without a bar do not count
    file NAME BYTES             BYTES bytes of anything follow, then a line feed
    kedr-end NONCE

What comes from a host is not trusted: everything is bounded, checked, and made printable before
it is shown. Nothing here knows Ansible.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import shlex
import tarfile
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils.foreign import printable

MAX_ANSWER = 256 << 20
"""Bytes of one answer that are accepted."""
MAX_VALUE = 64 << 10
"""Bytes of one line of values that are accepted."""
MAX_PREAMBLE = 64 << 10
"""Bytes before the answer (greetings of login scripts) that are skipped."""

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sh")
TAR_TIME = 1_000_000_000
"""Time stamp of every file sent (2001): equal stages are equal bytes, and no clock is behind it."""

_READER = (
    'k=$(dd bs="$1" count=1 iflag=fullblock 2>/dev/null || dd bs=1 count="$1" 2>/dev/null)'
    ' && case $k in *"# $2") eval "$k" ;; esac'
)
_KEY = re.compile(rb"[a-z][a-z0-9_]*\Z")
_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.+/:-]*\Z")
_VARIABLE = re.compile(r"k_[a-z][a-z0-9_]*\Z")


class AnswerError(Exception):
    """The answer of a host is cut short or is no answer; the text says what was found."""


class Call(NamedTuple):
    """One round trip: the command line, and the bytes for its standard input."""

    command: str
    stdin: bytes
    nonce: str


class Answer:
    """A parsed answer: ``values`` (key -> list of str), ``blobs`` (name -> bytes)."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.blobs: dict[str, bytes] = {}

    def one(self, key: str, default: str = "") -> str:
        """Return the only value of `key`, or `default`; a key that came twice is an AnswerError."""
        found = self.values.get(key, [])
        if len(found) > 1:
            raise AnswerError(f"the host answered '{key}' {len(found)} times")
        return found[0] if found else default

    def all(self, key: str) -> list[str]:
        """Return every value of `key` in the order they came."""
        return list(self.values.get(key, []))

    def number(self, key: str, default: int = 0) -> int:
        """Return the only value of `key` as a non-negative whole number."""
        text = self.one(key)
        if not text:
            return default
        if not re.fullmatch(r"[0-9]{1,19}", text):
            raise AnswerError(f"the host answered '{key} {printable(text, 80)}', not a number")
        return int(text)

    def text(self, name: str) -> str:
        """Return block `name` as text; bytes that are no UTF-8 become U+FFFD; absent is empty."""
        return self.blobs.get(name, b"").decode("utf-8", "replace")


def load_script(*names: str) -> str:
    """Return the shell programs `names` (without ``.sh``) as one text, comments left out."""
    parts = []
    for name in names:
        with open(os.path.join(SCRIPTS, name + ".sh"), encoding="ascii") as file:
            lines = [line for line in file if line.strip() and not line.lstrip().startswith("#")]
        parts.append("".join(lines))
    return "".join(parts)


def quote_values(values: Mapping[str, str | int | Iterable[str]]) -> str:
    """Return shell assignments for `values`; a list becomes lines (no element may hold one).

    Names must start with ``k_``. Raises ValueError for what a shell variable cannot hold.
    """
    out = []
    for name, value in values.items():
        if not _VARIABLE.match(name):
            raise ValueError(f"not a name for a value sent to a host: {name}")
        if not isinstance(value, (str, int)):
            elements = list(value)
            if any("\n" in element for element in elements):
                raise ValueError(f"a line feed inside an element of {name}")
            value = "\n".join(elements)
        if "\0" in str(value):
            raise ValueError(f"a NUL byte in {name}")
        out.append(f"{name}={shlex.quote(str(value))}\n")
    return "".join(out)


def frame(program: str, values: Mapping[str, str | int | Iterable[str]], data: bytes = b"") -> Call:
    """Return the call that runs `program` with `values` set and `data` on its standard input."""
    nonce = secrets.token_hex(8)
    head = quote_values({"k_nonce": nonce, "k_token": secrets.token_hex(12), **values})
    script = (head + load_script("common") + program + f"\nfinish\n# {nonce}\n").encode("utf-8", "surrogateescape")
    command = f"sh -c {shlex.quote(_READER)} kedr {len(script)} {nonce}"
    return Call(command, script + data, nonce)


def parse(stdout: bytes, nonce: str) -> Answer:
    """Return the answer in `stdout`; raises AnswerError when it is not whole and well-formed."""
    if len(stdout) > MAX_ANSWER:
        raise AnswerError(f"the host answered {len(stdout)} bytes; at most {MAX_ANSWER} are read")
    begin = b"kedr-begin " + nonce.encode() + b"\n"
    start = stdout.find(begin, 0, MAX_PREAMBLE + len(begin))
    if start < 0:
        raise AnswerError("the host did not answer" + _quoted(stdout[:2000]))
    return _parse_body(stdout, start + len(begin), b"kedr-end " + nonce.encode())


def _quoted(data: bytes) -> str:
    text = printable(data, 1000).strip()
    return f"; it printed: {text}" if text else ""


def _parse_body(data: bytes, pos: int, end: bytes) -> Answer:
    answer = Answer()
    while True:
        stop = data.find(b"\n", pos)
        if stop < 0:
            raise AnswerError("the answer of the host was cut short" + _quoted(data[-500:]))
        line, pos = data[pos:stop], stop + 1
        if line == end:
            return answer
        word, _space, rest = line.partition(b" ")
        if word == b"v":
            _take_value(answer, rest)
        elif word == b"text":
            pos = _take_text(answer, rest, data, pos)
        elif word == b"file":
            pos = _take_file(answer, rest, data, pos)
        else:
            raise AnswerError("the host answered a line that means nothing" + _quoted(line))


def _take_value(answer: Answer, rest: bytes) -> None:
    key, _space, value = rest.partition(b" ")
    if not _KEY.match(key) or len(value) > MAX_VALUE:
        raise AnswerError("the host answered a malformed value" + _quoted(rest))
    answer.values.setdefault(key.decode(), []).append(value.decode("utf-8", "replace"))


def _new_name(answer: Answer, name: bytes) -> str:
    if not _NAME.match(name) or b".." in name or len(name) > 200:
        raise AnswerError("the host answered a malformed name" + _quoted(name))
    text = name.decode()
    if text in answer.blobs:
        raise AnswerError(f"the host answered '{text}' twice")
    return text


def _take_text(answer: Answer, rest: bytes, data: bytes, pos: int) -> int:
    name = _new_name(answer, rest)
    stop = pos - 1 if data.startswith(b".\n", pos) else data.find(b"\n.\n", pos - 1)
    if stop < 0:
        raise AnswerError(f"the answer of the host was cut short inside '{name}'")
    out = []
    for line in data[pos:max(stop, pos)].split(b"\n"):
        if line.startswith(b"|"):
            out.append(line[1:] + b"\n")
        elif line:
            raise AnswerError(f"the host answered a malformed line in '{name}'" + _quoted(line))
    answer.blobs[name] = b"".join(out)
    return stop + 3


def _take_file(answer: Answer, rest: bytes, data: bytes, pos: int) -> int:
    first, _space, size_text = rest.rpartition(b" ")
    name = _new_name(answer, first)
    if not re.fullmatch(rb"[0-9]{1,12}", size_text):
        raise AnswerError(f"the host answered no size for '{name}'")
    end = pos + int(size_text)
    if data[end:end + 1] != b"\n":
        raise AnswerError(f"the answer of the host was cut short inside '{name}'")
    answer.blobs[name] = data[pos:end]
    return end + 1


def make_tar(files: Mapping[str, bytes]) -> bytes:
    """Return a tar of `files` (relative path -> content) that every tar reads; equal in, equal out."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        made: set[str] = set()
        for path in sorted(files):
            parents = path.split("/")[:-1]
            for depth in range(1, len(parents) + 1):
                directory = "/".join(parents[:depth])
                if directory not in made:
                    made.add(directory)
                    tar.addfile(_tar_entry(directory, tarfile.DIRTYPE, 0o755, 0))
            mode = 0o755 if path.endswith(".sh") else 0o644
            tar.addfile(_tar_entry(path, tarfile.REGTYPE, mode, len(files[path])), io.BytesIO(files[path]))
    return out.getvalue()


def _tar_entry(name: str, kind: bytes, mode: int, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.mtime = kind, mode, size, TAR_TIME
    info.uname = info.gname = "root"
    return info


def read_tar(data: bytes) -> dict[str, bytes]:
    """Return the regular files of a tar made by a host; raises AnswerError for anything odd in it."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isdir():
                    continue
                if not member.isreg() or not _NAME.match(name.encode()) or ".." in name:
                    raise AnswerError(f"the host sent a tar with an odd entry: {printable(name, 200)}")
                content = tar.extractfile(member)
                files[name] = content.read() if content else b""
    except (tarfile.TarError, UnicodeEncodeError, OSError) as error:
        raise AnswerError(f"the host sent a tar that cannot be read: {error}") from error
    return files
