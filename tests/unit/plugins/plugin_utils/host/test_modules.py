# SPDX-License-Identifier: GPL-3.0-or-later
"""Module files: their identity, parameters as the kernel reads them, what a refusal means."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import struct
import sys
from collections.abc import Callable
from unittest import mock

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, InputError, KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.unpack import unpacked
from ansible_collections.kedr.lab.plugins.plugin_utils.host import modules


def elf(**sections: bytes) -> bytes:
    """A 64-bit relocatable ELF file with the sections given (``_`` in a name stands for ``.``)."""
    names = ["", *(name.replace("_", ".") for name in sections), ".shstrtab"]
    strings, offsets = b"", []
    for name in names:
        offsets.append(len(strings))
        strings += name.encode() + b"\0"
    bodies = [b"", *sections.values(), strings]
    header_end, body = 64, b""
    headers = []
    for index, content in enumerate(bodies):
        kind = 0 if index == 0 else 3 if index == len(bodies) - 1 else 1
        place = header_end + len(body)
        headers.append(struct.pack("<IIQQQQIIQQ", offsets[index], kind, 0, 0, place, len(content), 0, 0, 1, 0))
        body += content
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, header_end + len(body), 0, 64, 0, 0, 64, len(bodies), len(bodies) - 1)
    return head + body + b"".join(headers)


NOTE = struct.pack("<III", 4, 4, 3) + b"GNU\0" + b"\xde\xad\xbe\xef"


def test_the_identity_of_a_module_is_read_from_its_file() -> None:
    content = elf(_modinfo=b"vermagic=6.12 SMP\0srcversion=ABC\0name=x\0", _note_gnu_build_id=b"")
    assert modules.identity(content) == modules.Identity("ABC", "")


def test_the_build_id_is_read_from_its_note() -> None:
    content = elf(_modinfo=b"name=x\0", **{"_note_gnu_build-id": NOTE})
    assert modules.identity(content).build_id == "deadbeef"


@pytest.mark.parametrize("pack", [bytes, lzma.compress, gzip.compress])
def test_a_module_of_a_distribution_is_unpacked(pack: Callable[[bytes], bytes]) -> None:
    content = elf(_modinfo=b"name=x\0")
    assert unpacked(pack(content)) == content


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress])
def test_a_packed_module_that_is_cut_off_is_refused(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ForeignError, match="cut off"):
        unpacked(pack(elf(_modinfo=b"name=x\0"))[:-20])


def test_without_the_program_zstd_the_message_names_it() -> None:
    with mock.patch.dict(os.environ, PATH="/nonexistent"), pytest.raises(ForeignError, match="no program zstd; "):
        unpacked(b"\x28\xb5\x2f\xfd" + bytes(20))


@pytest.mark.parametrize(
    ("loaded", "said"),
    [
        ("", "neither"),
        ("-", "neither"),
        ("ABC", ""),
        ("ABC deadbeef", ""),
        ("- 0400deadbeef", ""),
        ("ABD", "srcversion"),
        ("- beef", "another build"),
    ],
)
def test_the_file_must_be_the_build_that_is_loaded(loaded: str, said: str) -> None:
    content = elf(_modinfo=b"srcversion=ABC\0", **{"_note_gnu_build-id": NOTE})
    with pytest.raises(ForeignError, match=said) if said else contextlib.nullcontext():
        modules.same_build(content, loaded)


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF", elf(_text=b"x"), elf(_modinfo=b"name=x\0")[:100]])
def test_what_is_no_module_is_refused(content: bytes) -> None:
    with pytest.raises(ForeignError, match=r"not an ELF file|not a kernel module"):
        modules.identity(content)


@pytest.mark.parametrize(("value", "written"), [
    ("cp_target", "p=cp_target"), (3, "p=3"), (True, "p=1"), (False, "p=0"), ("a b", 'p="a b"'), ("", "p="),
    ("$(x)", "p=$(x)"),
])
def test_a_parameter_is_written_as_the_kernel_reads_it(value: object, written: str) -> None:
    assert modules.parameter("p", value) == written


@pytest.mark.parametrize(("name", "value"), [("a b", "1"), ("-a", "1"), ("a", 'x"y'), ("a", "x\ny"), ("a", "x\0")])
def test_a_parameter_that_the_kernel_cannot_read_is_refused(name: str, value: str) -> None:
    with pytest.raises(InputError, match=r"."):
        modules.parameter(name, value)


def test_arguments_of_a_call_are_quoted() -> None:
    assert modules.call("load", "a b", "", "x'y") == "load 'a b' '' 'x'\"'\"'y'\n"


@pytest.mark.parametrize(("error", "log", "words"), [
    ("insmod: ERROR: could not insert module x.ko: Invalid module format", "", "another kernel"),
    ("insmod: can't insert 'x.ko': unknown symbol in module", "x: Unknown symbol foo (err -2)", "export"),
    ("could not insert module: Key was rejected by service", "", "signed"),
    ("could not insert module: Required key not available", "", "signed"),
    ("could not insert module: Key was rejected by service", "Loading of module with unavailable key is rejected",
     "does not trust the key: enroll the certificate of kedr_signing_cert on the host (mokutil --import"),
    ("could not insert module: Key was rejected by service", "Loading of unsigned module is rejected",
     "give kedr_signing_key"),
    ("could not insert module: Operation not permitted",
     "Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7", "kedr_signing_key"),
    ("could not insert module: Operation not permitted", "", "locked down"),
    ("could not insert module: File exists", "", "loaded or built in"),
    ("could not insert module: Cannot allocate memory", "", "the module's init returned -ENOMEM, or the host has not"),
    ("could not insert module: Cannot allocate memory", "insmod: page allocation failure: order:4", "memory, see the"),
    ("could not insert module: Operation not permitted", "Module x is blacklisted", "module_blacklist"),
    ("could not insert module: Operation not permitted", "[1] initcall x_init blacklisted", "initcall_blacklist"),
    ("modprobe: FATAL: Module nope not found in directory /lib/modules/6", "", "has no module"),
])
def test_a_refusal_is_explained(error: str, log: str, words: str) -> None:
    assert words in modules.meaning(error, log)


def test_a_target_that_is_loaded_already_is_told_with_the_way_out() -> None:
    log = "[  727.6] cp_controller: target_name: zram is loaded already, so it cannot be patched; unload it first"
    assert "kedr_reload_target: true" in modules.meaning("Device or resource busy", log)


def test_an_unknown_refusal_is_not_explained() -> None:
    assert modules.meaning("Invalid parameters", "x: parameter is 0") == ""


@pytest.mark.parametrize("said", ["cp_target: refused: core text, offset 0x10 is not an instruction; bytes 06",
                                  "cp_target: not loaded, error -8"])
def test_a_veto_of_the_controller_is_no_wrong_build(said: str) -> None:
    words = modules.meaning("Invalid module format", f"[ 1.0] cp_controller: {said}")
    assert words == "the controller refused it, see its line"
    assert "another kernel" in modules.meaning("Invalid module format", "[ 1.0] cp_target: version magic differs")


def test_a_missing_pyelftools_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elftools.elf.elffile", None)
    with pytest.raises(KedrError, match="no module 'elftools'; install what") as error:
        modules.identity(b"")
    assert error.value.kind == "INFRA"


OOPS = """[ 1.0] cp_target: loading out-of-tree module taints kernel.
[ 2.0] BUG: kernel NULL pointer dereference, address: 0000000000000008
[ 2.1] #PF: supervisor read access in kernel mode
[ 2.2] Oops: 0000 [#1] PREEMPT SMP PTI
[ 2.3] RIP: 0010:cfake_init+0x10/0x100 [cp_target]
[ 2.4] Code: 48 8b 05 00 00 00 00 <48> 8b 40 08
[ 2.5] RSP: 0018:ffffc90000123d00 EFLAGS: 00010246
[ 2.6] RAX: 0000000000000000 RBX: 0000000000000001 RCX: 0000000000000000
[ 2.7] Call Trace:
[ 2.8]  do_one_initcall+0x5b/0x310
[ 2.9] Modules linked in: cp_target(OE+)
"""


def test_of_a_crash_a_person_sees_first_what_happened_and_last_registers_and_code() -> None:
    lines = modules.shown(OOPS).splitlines()
    assert [line[7:11] for line in lines[:3]] == ["BUG:", "Oops", "RIP:"]
    assert [line.split("] ")[1].split(":")[0] for line in lines[-4:]] == ["Code", "RSP", "RAX", "Modules linked in"]
    assert sorted(lines) == sorted(OOPS.splitlines())


def test_what_is_left_out_of_a_long_crash_is_its_end_and_not_its_cause() -> None:
    text = modules.shown("[ 0.1] Code: 48 8b\n" + "[ 1.0]  frame\n" * 400 + OOPS)
    assert len(text) < modules.SHOWN + 50
    assert text.startswith("[ 2.0] BUG:")
    assert "Code:" not in text
    assert text.endswith("lines left out]")


def test_other_lines_of_the_kernel_are_shown_as_they_came() -> None:
    log = "[1] x: Unknown symbol foo (err -2)\n[2] Code: none"
    assert modules.shown(log) == log
