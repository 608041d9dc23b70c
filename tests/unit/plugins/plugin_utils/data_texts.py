# SPDX-License-Identifier: GPL-3.0-or-later
"""A good data file, what becomes of others, and the messages of bad ones: for the tests of payload/."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.model import Payload, PayloadError
from ansible_collections.kedr.lab.plugins.plugin_utils.payload.read import Reading, read_file, read_payload

GLOBALS = "module.name = my_pay\nmodule.author = Some Author\nmodule.license = GPL\n"  # lines 1 to 3
GROUP = """[group]
function.name = kstrdup
returnType = char *
arg.type = const char *
arg.name = s
arg.type = gfp_t
arg.name = gfp
trace.param.type = gfp_t
trace.param.name = gfp
trace.param.type = const void *
trace.param.name = returnValue
trace.formatString = "kstrdup(%x): %p"
"""  # lines 4 to 15
GOOD = GLOBALS + GROUP
VOID = "[group]\nfunction.name = kfree\nreturnsVoid = yes\ntrace.formatString = kfree()\n"


def load_payload(path: str) -> Payload:
    """The payload of a data file without a mistake."""
    return _whole(read_file(path))


def parse_payload(data: bytes, path: str) -> Payload:
    """The payload of the bytes of a data file without a mistake."""
    return _whole(read_payload(data, path))


def _whole(reading: Reading) -> Payload:
    if reading.payload is None:
        raise PayloadError(reading.problems)
    return reading.payload


def read(text: str, path: str = "dir/a.data") -> Payload:
    return parse_payload(text.encode(), path)


def complaints(text: str | bytes) -> list[str]:
    """The messages of a bad description, each 'line: text'."""
    with pytest.raises(PayloadError) as caught:
        parse_payload(text if isinstance(text, bytes) else text.encode(), "a.data")
    lines = str(caught.value).split("\n")
    assert all(line.startswith("a.data:") for line in lines)
    return [line.removeprefix("a.data:") for line in lines]


def only(text: str | bytes) -> str:
    """The message of a description with exactly one mistake."""
    found = complaints(text)
    assert len(found) == 1, found
    return found[0]


def changed(old: str, new: str, text: str = GOOD) -> str:
    assert old in text
    return text.replace(old, new, 1)
