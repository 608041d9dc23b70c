# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of BTF: types and prototypes out of bytes that these tests write, and what is no BTF."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.btf import Btf, Prototype, Shape, UnspeakableError
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.btf_file import read_btf
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.btf_writer import VARIADIC, Writer, elf
from hypothesis import given
from hypothesis import strategies as st


def prototype(writer: Writer, name: str = "f", base: Btf | None = None) -> Prototype:
    btf = Btf(writer.bytes(), base)
    (number,) = btf.functions[name]
    return btf.prototype(number)


def declared(build: Callable[[Writer], int], order: str = "<") -> tuple[str, Shape, str]:
    """The declaration of a parameter x of a type, its shape and the integer below it."""
    writer = Writer(order)
    writer.function("f", 0, ("x", build(writer)))
    ((name, one),) = prototype(writer).parameters
    return one.declare(name), one.shape, one.integer


def pointer_to(kind: str, name: str) -> Callable[[Writer], int]:
    return lambda w: w.add("PTR", ref=w.add(kind, name))


def function_pointer(w: Writer) -> int:
    device = w.add("PTR", ref=w.structure("device"))
    proto = w.prototype(w.integer("int", 4), ("", device), ("", w.add("PTR")))
    return int(w.add("PTR", ref=proto))


CASES: dict[str, tuple[Callable[[Writer], int], str, Shape, str]] = {
    "int": (lambda w: w.integer("int", 4), "int x", Shape.INTEGER, "int"),
    "kernel spelling": (
        lambda w: w.integer("long unsigned int", 8), "unsigned long x", Shape.INTEGER, "unsigned long"
    ),
    "typedef": (
        lambda w: w.add("TYPEDEF", "gfp_t", w.integer("unsigned int", 4)), "gfp_t x", Shape.INTEGER, "unsigned int"
    ),
    "const value": (lambda w: w.add("CONST", ref=w.integer("char", 1)), "const char x", Shape.INTEGER, "char"),
    "void pointer": (lambda w: w.add("PTR"), "void *x", Shape.POINTER, ""),
    "pointer to const": (lambda w: w.add("PTR", ref=w.add("CONST")), "const void *x", Shape.POINTER, ""),
    "const pointer": (lambda w: w.add("CONST", ref=w.add("PTR")), "void *const x", Shape.POINTER, ""),
    "volatile": (
        lambda w: w.add("PTR", ref=w.add("VOLATILE", ref=w.integer("int", 4))), "volatile int *x", Shape.POINTER, ""
    ),
    "restrict": (lambda w: w.add("RESTRICT", ref=w.add("PTR")), "void *restrict x", Shape.POINTER, ""),
    "pointer to pointer": (
        lambda w: w.add("PTR", ref=w.add("PTR", ref=w.structure("s"))), "struct s **x", Shape.POINTER, ""
    ),
    "const pointers": (
        lambda w: w.add("PTR", ref=w.add("CONST", ref=w.add("PTR", ref=w.add("CONST", ref=w.integer("char", 1))))),
        "const char *const *x", Shape.POINTER, "",
    ),
    "struct": (lambda w: w.structure("s", ("a", 1)), "struct s x", Shape.STRUCT, ""),
    "union": (lambda w: w.structure("u", ("a", 1), kind="UNION"), "union u x", Shape.STRUCT, ""),
    "typedef of a struct": (lambda w: w.add("TYPEDEF", "pte_t", w.structure("")), "pte_t x", Shape.STRUCT, ""),
    "forward": (pointer_to("FWD", "s"), "struct s *x", Shape.POINTER, ""),
    "forward union": (lambda w: w.add("PTR", ref=w.add("FWD", "u", flag=1)), "union u *x", Shape.POINTER, ""),
    "enum": (lambda w: w.enum("e", 1, 2), "enum e x", Shape.INTEGER, "unsigned int"),
    "signed enum": (lambda w: w.enum("e", 1, signed=True), "enum e x", Shape.INTEGER, "int"),
    "enum64": (lambda w: w.enum("e", 1, wide=True), "enum e x", Shape.INTEGER, "unsigned long long"),
    "float": (lambda w: w.add("FLOAT", "double", 8), "double x", Shape.FLOAT, ""),
    "function pointer": (function_pointer, "int (*x)(struct device *, void *)", Shape.FUNCTION, ""),
    "typedef of one": (lambda w: w.add("TYPEDEF", "cb_t", function_pointer(w)), "cb_t x", Shape.FUNCTION, ""),
    "pointer to one": (
        lambda w: w.add("PTR", ref=function_pointer(w)), "int (**x)(struct device *, void *)", Shape.POINTER, ""
    ),
    "function without parameters": (lambda w: w.add("PTR", ref=w.prototype(0)), "void (*x)(void)", Shape.FUNCTION, ""),
    "variadic function": (
        lambda w: w.add("PTR", ref=w.prototype(0, ("", w.integer("int", 4)), VARIADIC)),
        "void (*x)(int, ...)", Shape.FUNCTION, "",
    ),
    "pointer to array": (
        lambda w: w.add("PTR", ref=w.array(w.integer("int", 4), 3)), "int (*x)[3]", Shape.POINTER, ""
    ),
    "array of arrays": (
        lambda w: w.add("PTR", ref=w.array(w.array(w.integer("int", 4), 3), 2)), "int (*x)[2][3]", Shape.POINTER, ""
    ),
    "user": (
        lambda w: w.add("PTR", ref=w.add("TYPE_TAG", "user", w.add("CONST"))), "const void __user *x", Shape.POINTER, ""
    ),
    "unknown tag": (lambda w: w.add("PTR", ref=w.add("TYPE_TAG", "odd")), "void *x", Shape.POINTER, ""),
    "attribute": (lambda w: w.add("PTR", ref=w.add("TYPE_TAG", "user", flag=1)), "void *x", Shape.POINTER, ""),
    "va_list": (lambda w: w.add("PTR", ref=w.structure("__va_list_tag")), "va_list x", Shape.ARGUMENTS, ""),
}  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("case", CASES)
def test_a_type_is_written_as_c_writes_it(case: str, order: str) -> None:
    build, text, shape, integer = CASES[case]
    assert declared(build, order) == (text, shape, integer)


def test_kinds_that_are_in_no_prototype_are_passed_over() -> None:
    writer = Writer()
    number = writer.integer("int", 4)
    writer.add("VAR", "v", number, tail=writer.pack("I", 1))
    writer.add("DATASEC", ".data", 4, 1, tail=writer.pack("III", 2, 0, 4))
    writer.add("DECL_TAG", "tag", number, tail=writer.pack("i", -1))
    writer.add("FLOAT", "double", 8)
    writer.function("f", number)
    assert prototype(writer).returns.text == "int"


def test_a_variadic_function_is_known_as_one() -> None:
    writer = Writer()
    text = writer.add("PTR", ref=writer.add("CONST", ref=writer.integer("char", 1)))
    writer.function("f", 1, ("fmt", text), VARIADIC)
    found = prototype(writer)
    assert found.variadic
    assert [name for name, _type in found.parameters] == ["fmt"]


def test_a_module_goes_on_where_its_kernel_ends() -> None:
    kernel = Writer()
    size = kernel.add("TYPEDEF", "size_t", kernel.integer("long unsigned int", 8))
    kernel.function("kernel_function", size)
    module = Writer(base=kernel)
    own = module.add("PTR", ref=module.structure("own"))
    module.function("f", own, ("size", size))
    base = Btf(kernel.bytes())
    found = prototype(module, base=base)
    assert (found.returns.text, found.parameters[0][1].text) == ("struct own *", "size_t")
    assert list(Btf(module.bytes(), base).functions) == ["f"]


def test_a_module_may_have_no_strings_of_its_own() -> None:
    kernel = Writer()
    kernel.integer("int", 4)
    module = Writer(base=kernel)
    module.add("PTR", ref=1)
    assert Btf(module.bytes(), Btf(kernel.bytes())).functions == {}


def test_a_module_without_its_kernel_is_an_error() -> None:
    kernel = Writer()
    number = kernel.integer("int", 4)
    module = Writer(base=kernel)
    module.function("f", number)
    with pytest.raises(ForeignError, match="there is no string"):
        Btf(module.bytes()).functions  # noqa: B018


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda w: w.add("PTR", ref=w.structure("")), "a type without a name"),
        (lambda w: w.add("PTR", ref=w.enum("", 1)), "a type without a name"),
        (lambda w: w.add("PTR", ref=w.structure("core::Option<u8>")), "a type with the name 'core::Option<u8>'"),
        (lambda w: w.integer("__int128", 16), "the integer type '__int128'"),
    ],
)
def test_a_type_that_c_cannot_name_is_told(build: Callable[[Writer], int], words: str) -> None:
    with pytest.raises(UnspeakableError, match=words):
        declared(build)


@pytest.mark.parametrize("kind", ["PTR", "TYPEDEF", "CONST", "TYPE_TAG"])
def test_types_that_go_in_a_circle_are_an_error(kind: str) -> None:
    with pytest.raises(ForeignError, match="circle"):
        declared(lambda w: w.add(kind, "" if kind in ("PTR", "CONST") else "t", w.next))


def test_a_type_that_would_never_end_is_an_error() -> None:
    writer = Writer()
    inner = writer.add("PTR")
    for _level in range(40):  # would be written with two to the power of forty words
        inner = writer.add("PTR", ref=writer.prototype(0, ("", inner), ("", inner)))
    writer.function("f", 0, ("x", inner))
    with pytest.raises(ForeignError, match="too long"):
        prototype(writer)


def good() -> bytes:
    writer = Writer()
    writer.function("f", writer.integer("int", 4), ("x", writer.add("PTR", ref=writer.structure("s", ("a", 1)))))
    return bytes(writer.bytes())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "too short"),
        (b"x" * 30, "it is not BTF"),
        (b"\x9f\xeb\x02" + good()[3:], "of version 2"),
        (good()[:-1], "cut off"),
        (good()[:-1] + b"x", "strings have no end"),
        (good()[:24] + struct.pack("<III", 0, 31 << 24, 0) + good()[36:], "kind 31, which is not known"),
        (good()[:24] + struct.pack("<III", 0, 4 << 24 | 0xFFFF, 0) + good()[36:], "types are cut off"),
    ],
)
def test_what_is_no_btf_is_told(data: bytes, words: str) -> None:
    with pytest.raises(ForeignError, match=words):
        Btf(data)


@given(st.binary(max_size=60), st.integers(0, len(good()) - 1))
def test_no_bytes_give_anything_but_types_or_a_btf_error(noise: bytes, place: int) -> None:
    data = good()
    for broken in (noise, data[:place] + noise + data[place + len(noise) :]):
        try:
            btf = Btf(broken)
            for numbers in btf.functions.values():
                btf.prototype(numbers[0])
        except (ForeignError, UnspeakableError):
            continue
        assert isinstance(btf.functions, dict)


# files


def bz_image(payload: bytes) -> bytes:
    head = bytearray(0x400)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 16, len(payload))
    return bytes(head) + b"\0" * 16 + payload + b"rest"


KERNEL = elf({".text": b"x", ".BTF": good()})
FILES = {
    "raw": good(),
    "elf": KERNEL,
    "xz": lzma.compress(KERNEL),
    "gz": gzip.compress(KERNEL),
    "bz2": bz2.compress(KERNEL),
    "bzImage with xz": bz_image(lzma.compress(KERNEL) + b"size"),
    "bzImage with gzip": bz_image(gzip.compress(KERNEL)),
}


@pytest.mark.parametrize("name", FILES)
def test_btf_is_found_in_every_kind_of_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(FILES[name])
    assert list(read_btf(str(tmp_path / "file")).functions) == ["f"]


def test_what_zstd_has_compressed_needs_the_program_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = subprocess.run(["zstd", "-qc", "-22", "--ultra"], input=KERNEL, capture_output=True, check=True).stdout
    (tmp_path / "file").write_bytes(bz_image(packed + b"size"))
    assert list(read_btf(str(tmp_path / "file")).functions) == ["f"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ForeignError, match="there is no program zstd; install it"):
        read_btf(str(tmp_path / "file"))
    (tmp_path / "zstd").write_text("#!/no-such-program\n")
    (tmp_path / "zstd").chmod(0o755)
    with pytest.raises(ForeignError, match=f"{tmp_path}/zstd: cannot be started"):
        read_btf(str(tmp_path / "file"))


def test_a_module_with_a_base_of_its_own_needs_no_kernel(tmp_path: Path) -> None:
    base = Writer()
    number = base.integer("int", 4)
    module = Writer(base=base)
    module.function("f", number)
    (tmp_path / "m.ko").write_bytes(elf({".BTF": module.bytes(), ".BTF.base": base.bytes()}))
    btf = read_btf(str(tmp_path / "m.ko"))
    assert btf.prototype(btf.functions["f"][0]).returns.text == "int"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"text", "not compressed with"),
        (elf({".text": b""}), "has no BTF; it was built without CONFIG_DEBUG_INFO_BTF"),
        (KERNEL[:100], "not an ELF file that can be read|has no BTF"),
        (lzma.compress(KERNEL)[:-9], "cut off"),
        (b"\xfd7zXZ\0junkjunkjunk", "damaged"),
        (gzip.compress(KERNEL)[:-9], "cut off"),
        (b"\x1f\x8bjunkjunk", "damaged"),
        (good()[:30], "cut off"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(ForeignError, match=words) as caught:
        read_btf(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match="none: cannot be read: No such file"):
        read_btf(str(tmp_path / "none"))
    with pytest.raises(ForeignError, match="cannot be read: Is a directory"):
        read_btf(str(tmp_path))
