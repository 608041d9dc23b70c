# SPDX-License-Identifier: GPL-3.0-or-later
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

import io
import os
import re
import secrets
import shlex
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..base.bounded import MAX_PREAMBLE
from ..base.errors import ForeignError
from ..base.foreign import printable

MAX_ANSWER = 64 << 20
"""Bytes of the largest answer that is accepted; whoever reads it takes up to three times as many."""
MAX_VALUES = 100_000
"""Values, texts and files of one answer that are accepted."""
MAX_TEXT = 4 << 20
"""Bytes of one text that are accepted where it is taken apart, and not only kept."""
MAX_NAME = 200
"""Bytes of the name of a text or a file that are accepted."""
MAX_VALUE = 64 << 10
"""Bytes of one line of values that are accepted."""

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sh")
TAR_TIME = 1_000_000_000
"""Time stamp of every file sent (2001): equal stages are equal bytes, and no clock is behind it."""

_BLOCK = 512
"""Bytes of a block of a tar."""

_READER = (
    'k=$(dd bs="$1" count=1 iflag=fullblock 2>/dev/null || dd bs=1 count="$1" 2>/dev/null)'
    ' && case $k in *"# $2") eval "$k" ;; esac'
)
_KEY = re.compile(rb"[a-z][a-z0-9_]*\Z")
_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.+/:-]*\Z")
_NO_BAR = re.compile(rb"^[^|\n]", re.MULTILINE)
_VARIABLE = re.compile(r"k_[a-z][a-z0-9_]*\Z")


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
        """Return the only value of `key`, or `default`; a key that came twice is an ForeignError."""
        found = self.values.get(key, [])
        if len(found) > 1:
            raise ForeignError(f"the host answered '{key}' {len(found)} times")
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
            raise ForeignError(f"the host answered '{key} {printable(text, 80)}', not a number")
        return int(text)

    def text(self, name: str) -> str:
        """Return block `name` as text; bytes that are no UTF-8 become U+FFFD; absent is empty.

        Raises ForeignError for more than MAX_TEXT bytes.
        """
        data = self.blobs.get(name, b"")
        if len(data) > MAX_TEXT:
            raise ForeignError(f"the host answered {len(data)} bytes of '{name}'; at most {MAX_TEXT} are taken")
        return data.decode("utf-8", "replace")


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


def begin(nonce: str) -> bytes:
    """Return the line that begins an answer."""
    return b"kedr-begin " + nonce.encode() + b"\n"


def parse(stdout: bytes, nonce: str, most: int = MAX_ANSWER) -> Answer:
    """Return the answer in `stdout`; raises ForeignError when it is not whole and well-formed, or over `most` bytes."""
    if len(stdout) > most:
        raise ForeignError(f"the host answered {len(stdout)} bytes; at most {most} are read")
    first = begin(nonce)
    start = stdout.find(first, 0, MAX_PREAMBLE + len(first))
    if start < 0:
        raise ForeignError("the host did not answer" + _quoted(stdout[:2000]))
    return _parse_body(stdout, start + len(first), b"kedr-end " + nonce.encode())


def _quoted(data: bytes) -> str:
    text = printable(data[:2000], 1000).strip()
    return f"; it printed: {text}" if text else ""


def _parse_body(data: bytes, pos: int, end: bytes) -> Answer:
    answer = Answer()
    for _value in range(MAX_VALUES + 1):
        stop = data.find(b"\n", pos)
        if stop < 0:
            raise ForeignError("the answer of the host was cut short" + _quoted(data[-500:]))
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
            raise ForeignError("the host answered a line that means nothing" + _quoted(line))
    raise ForeignError(f"the host answered more than {MAX_VALUES} values")


def _take_value(answer: Answer, rest: bytes) -> None:
    key, _space, value = rest.partition(b" ")
    if not _KEY.match(key) or len(value) > MAX_VALUE:
        raise ForeignError("the host answered a malformed value" + _quoted(rest))
    answer.values.setdefault(key.decode(), []).append(value.decode("utf-8", "replace"))


def _new_name(answer: Answer, name: bytes) -> str:
    if not _NAME.match(name) or b".." in name or len(name) > MAX_NAME:
        raise ForeignError("the host answered a malformed name" + _quoted(name))
    text = name.decode()
    if text in answer.blobs:
        raise ForeignError(f"the host answered '{text}' twice")
    return text


def _take_text(answer: Answer, rest: bytes, data: bytes, pos: int) -> int:
    name = _new_name(answer, rest)
    stop = pos - 1 if data.startswith(b".\n", pos) else data.find(b"\n.\n", pos - 1)
    if stop < 0:
        raise ForeignError(f"the answer of the host was cut short inside '{name}'")
    answer.blobs[name] = _lines(name, data[pos:stop + 1])
    return stop + 3


def _lines(name: str, lines: bytes) -> bytes:
    """Return the lines of a text without their bars; no list is made of them, which would take ten times as much."""
    while lines.startswith(b"\n") or b"\n\n" in lines:
        lines = lines.lstrip(b"\n").replace(b"\n\n", b"\n")
    odd = _NO_BAR.search(lines)
    if odd:
        line = lines[odd.start():odd.start() + MAX_NAME].partition(b"\n")[0]
        raise ForeignError(f"the host answered a malformed line in '{name}'" + _quoted(line))
    lines = lines.removeprefix(b"|")
    return lines.replace(b"\n|", b"\n")


def _take_file(answer: Answer, rest: bytes, data: bytes, pos: int) -> int:
    first, _space, size_text = rest.rpartition(b" ")
    name = _new_name(answer, first)
    if not re.fullmatch(rb"[0-9]{1,12}", size_text):
        raise ForeignError(f"the host answered no size for '{name}'")
    end = pos + int(size_text)
    if data[end:end + 1] != b"\n":
        raise ForeignError(f"the answer of the host was cut short inside '{name}'")
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
    """Return the regular files of a tar made by a host; raises ForeignError for anything odd in it.

    Only what the tars of hosts need is read: files, directories, and GNU's entry with a name over 100 bytes before the
    entry that it belongs to. So nothing takes more memory than `data` has bytes.
    """
    files: dict[str, bytes] = {}
    longer = b""
    for kind, short, content in _tar_entries(data):
        name = (longer or short).removeprefix(b"./")
        longer = content.rstrip(b"\0") if kind == b"L" else b""
        if kind in (b"L", b"5") or (not content and name.endswith(b"/")):
            continue
        if kind not in (b"0", b"\0") or not _NAME.match(name) or b".." in name or len(name) > MAX_NAME:
            raise ForeignError(f"the host sent a tar with an odd entry: {printable(name[:400], 200)}")
        if name.decode() in files:
            raise ForeignError(f"the host sent a tar with '{name.decode()}' twice")
        files[name.decode()] = content
    return files


def _tar_entries(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the type, the name and the content of each entry of a tar; raises ForeignError where it is damaged."""
    pos = 0
    while any(head := data[pos:pos + _BLOCK]):
        size, start = _octal(head[124:136]), pos + _BLOCK
        counted = sum(head[:148]) + 8 * ord(" ") + sum(head[156:])
        if len(head) < _BLOCK or size is None or _octal(head[148:156]) != counted or start + size > len(data):
            raise ForeignError(f"the host sent a tar that cannot be read: it is damaged at byte {pos}")
        prefix = head[345:500].rstrip(b"\0") if head[257:263] == b"ustar\0" else b""
        name = head[:100].partition(b"\0")[0]
        yield head[156:157], prefix + b"/" + name if prefix else name, data[start:start + size]
        pos = start + -(-size // _BLOCK) * _BLOCK
    if not head:
        raise ForeignError("the host sent a tar that cannot be read: it has no end")


def _octal(field: bytes) -> int | None:
    text = field.strip(b" \0")
    return int(text, 8) if re.fullmatch(rb"[0-7]{1,11}", text) else None
