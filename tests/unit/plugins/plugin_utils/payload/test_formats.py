# SPDX-License-Identifier: GPL-3.0-or-later
"""Every format string that is accepted can be read back: description -> event -> format file -> line -> values."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import PayloadError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.render import render
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.resolve import resolve
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.formats import EventFormat, parse_format
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.data_texts import parse_payload
from hypothesis import assume, example, given
from hypothesis import strategies as st

ROOT = paths.ROOT
HEAD = "module.name = m\nmodule.author = A\nmodule.license = GPL\n[group]\nfunction.name = f\nreturnsVoid = yes\n"

# What stands for each trace parameter in C, in the format file, and its size and sign there.
TYPES = {
    "d": ("int", 4, 1), "i": ("int", 4, 1), "u": ("unsigned int", 4, 0), "x": ("unsigned int", 4, 0),
    "X": ("unsigned int", 4, 0), "o": ("unsigned int", 4, 0), "ld": ("long", 8, 1), "llu": ("u64", 8, 0),
    "zx": ("size_t", 8, 0), "hhu": ("u8", 1, 0), "c": ("char", 1, 1), "p": ("void *", 8, 0), "px": ("void *", 8, 0),
    "s": ("char *", 4, 0),
}  # fmt: skip


class Conversion(NamedTuple):
    """One conversion of a format and the value that is printed by it."""

    text: str
    kind: str
    value: Any


def event_of(text: str, kinds: list[str]) -> EventFormat | None:
    """The event of a description with a format string, as its format file says; None when it is refused."""
    lines = "".join(f"arg.type = {TYPES[kind][0]}\narg.name = a{n}\n" for n, kind in enumerate(kinds))
    try:
        payload = parse_payload(f"{HEAD}{lines}{lines.replace('arg.', 'trace.param.')}"
                                f'trace.formatString = "{text}"\n'.encode(), "a.data")
    except PayloadError:
        return None
    header = render(resolve(payload, {}, {"f"}, set(), "1.0"), os.path.join(ROOT, "kernel", "templates"))
    return parse_format(format_file(header["trace_payload.h"], kinds), "m", "called_f")


def format_file(header: str, kinds: list[str]) -> str:
    """What the kernel makes of an event: the compiler takes the escapes out of its text."""
    found = re.search(r'TP_printk\("(.*)", (.*)\)\);\n', header)
    assert found is not None
    text = found[1].replace(r"?\?", "??")
    assert "\\" not in text
    offset, fields = 8, []
    for number, kind in enumerate(kinds):
        ctype, size, signed = TYPES[kind]
        name = "__data_loc char[]" if kind == "s" else ctype
        fields.append(f"\tfield:{name} a{number};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n")
        offset += size
    return f'{"".join(fields)}\nprint fmt: "{text}", {found[2].replace("__entry->", "REC->")}\n'


def printed(one: Conversion) -> str:
    """What the kernel prints for a value."""
    if one.kind in ("p", "px"):
        digits = f"{one.value:x}" if one.kind == "px" else f"{one.value:016x}"
        return f"%{one.text[1:].removesuffix('x').removesuffix('p')}s" % digits
    python = re.sub(r"(hh|ll|l|z)(?=[a-z])", "", one.text)
    return (python.replace("#", "") if one.text.endswith("o") else python) % one.value


_values = {
    "d": st.integers(-(1 << 31), (1 << 31) - 1), "ld": st.integers(-(1 << 63), (1 << 63) - 1),
    "hhu": st.integers(0, 255), "c": st.characters(min_codepoint=33, max_codepoint=126),
    "s": st.text("\x7f\x1f", max_size=5), "llu": st.integers(0, (1 << 64) - 1), "zx": st.integers(0, (1 << 64) - 1),
    "p": st.integers(1, (1 << 64) - 1), "px": st.integers(1, (1 << 64) - 1),
}  # fmt: skip


@st.composite
def conversion(draw: st.DrawFn) -> Conversion:
    kind = draw(st.sampled_from(sorted(TYPES)))
    plain = draw(st.integers(0, 4))  # most have nothing that they could be refused for
    flags = "" if plain else draw(st.sampled_from(["", "-", "0", "+", " ", "#", "-+"]))
    width = "" if plain else draw(st.sampled_from(["", "1", "6", "16", "17", "99", "100"]))
    precision = "" if plain else draw(st.sampled_from(["", ".", ".3", ".16", ".17"]))
    value = draw(_values["d"] if kind == "i" else _values.get(kind, st.integers(0, (1 << 32) - 1)))
    if kind == "s" and precision not in ("", ".16", ".17"):
        precision = ""  # the value would be cut
    return Conversion(f"%{flags}{width}{precision}{kind}", kind, value)


_text = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='%"\\'), max_size=4)
_limited = _text.map(lambda text: f"{text}, ")
_between = st.one_of(_limited, _limited, _limited, _limited, _text)


@given(st.lists(st.tuples(_between, conversion()), max_size=4), _between)
@example([("", Conversion("%p", "p", 1)), ("", Conversion("%d", "d", 1))], "")
@example([("a, '(", Conversion("%d", "d", 1)), ("REC->a0\"", Conversion("%d", "d", 2))], ")")
@example([("??=??/ ,)", Conversion("%s", "s", "")), ("'", Conversion("%-6s", "s", "\x7f"))], "'??")
def test_what_is_accepted_is_read_back_with_its_values(parts: list[tuple[str, Conversion]], end: str) -> None:
    text = "".join(before + one.text for before, one in parts) + end
    assume(not re.search(r"%-?\d*px?(?!x)[A-Za-z0-9]", text))  # letters behind it belong to it
    event = event_of(text, [one.kind for _before, one in parts])
    if event is None:
        return
    line = "".join(before + printed(one) for before, one in parts) + end
    values = event.parse(line)
    assert values is not None, (text, line, event.pattern.pattern)
    for number, (_before, one) in enumerate(parts):
        found = values[f"a{number}"]
        assert (found.strip(" ") if one.kind == "s" else found) == one.value, (text, line)


@pytest.mark.parametrize(
    "text",
    ["%d, %d", "a='%d' (%d)", "100%% of %d, %d", "??=%d??/%d", "%-5d|%05d", "REC->a0, %d %d", "[%d];%d;"],
)
def test_formats_of_every_day_are_accepted(text: str) -> None:
    event = event_of(text, ["d", "d"])
    assert event is not None
    assert event.names == ("a0", "a1")
