# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's printf conversions: parsed, counted, compared with types."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.cdecl import parse_type
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes.printf import Conversion, conversions, misfit, suggestion
from hypothesis import given
from hypothesis import strategies as st


def letters(text: str) -> str:
    return "".join(one.letter for one in conversions(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no conversion", ""),
        ("100%% of %%d", ""),
        ("%d,%i,%u,%x,%X,%o,%c,%s,%p", "diuxXocsp"),
        ("%-8.3d|%#x|%08lx", "dxx"),
        ("%dx%d%%%d", "ddd"),
        ("%5s, %.20s", "ss"),
        ("%%%d%%", "d"),
    ],
)
def test_every_conversion_is_found_in_order(text: str, expected: str) -> None:
    assert letters(text) == expected


@pytest.mark.parametrize(
    ("text", "size"),
    [("%s", 128), ("%20s", 128), ("%.16s", 17), ("%.0s", 1), ("%.s", 1), ("%.127s", 128), ("%.500s", 128), ("%d", 0)],
)
def test_a_text_is_read_as_far_as_its_precision_says(text: str, size: int) -> None:
    assert conversions(text)[0].text_size == size


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("%*d", "takes a width from a value"),
        ("%.*s", "takes a width from a value"),
        ("%d%d", "between '%d' and what follows it stands ''"),
        ("%x12%d", "between '%x' and what follows it stands '12'"),
        ("%sbad%d", "between '%s' and what follows it stands 'bad'"),
        ("%p5", "points to when the trace is printed"),
        ("%+u", "has a flag '[+]' too many"),
        ("%#d", "has a flag '#' too many"),
        ("%0s", "has a flag '0' too many"),
        ("%--d", "has a flag '-' too many"),
        ("%-05d", "of which one takes back the other"),
        ("%+d", "has a flag '[+]' too many; %d takes each of '-0' once"),
        ("% d", "has a flag ' ' too many"),
        ("%08.3x", "of which one takes back the other"),
        ("%.3p", "has a precision, which %p does not take"),
        ("%.1c", "has a precision, which %c does not take"),
        ("%-c", "has a flag '-' too many; %c takes none"),
        ("%6c", "has a width, with which it cannot be read back"),
        ("%100d", "is too wide to be read back"),
        ("%017x", "is too wide to be read back"),
        ("%.17d", "is too wide to be read back"),
    ],
)
def test_what_could_not_be_read_back_or_compiled_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        conversions(text)


@pytest.mark.parametrize("length", ["h", "hh", "l", "ll", "z", "t"])
def test_length_modifiers_are_kept(length: str) -> None:
    assert conversions(f"%{length}u") == [Conversion(f"%{length}u", "u", length)]


def test_capital_l_is_long_long() -> None:
    assert conversions("%Lx")[0].length == "ll"


@pytest.mark.parametrize("text", ["%p", "%px", "%pK", "%pS", "%ps", "%pSR", "%pe", "%16p", "%pS, x"])
def test_pointers_may_be_printed_by_their_address(text: str) -> None:
    assert letters(text) == "p"


@pytest.mark.parametrize("text", ["%pI4", "%pM", "%pd", "%pV", "%pUb", "%ph", "%pB", "%pOF", "%pa"])
def test_pointer_extensions_that_dereference_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="points to when the trace is printed"):
        conversions(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("%", "no conversion letter"),
        ("100 %", "no conversion letter"),
        ("%l", "no conversion letter"),
        ("%n", "unknown conversion '%n'"),
        ("%f", "unknown conversion '%f'"),
        ("% q", "unknown conversion"),
        ("%hhhd", "unknown conversion '%hhh'"),
        ("%jd", "the kernel knows no '%jd'"),
        ("%ls", "cannot have a length modifier"),
        ("%lp", "cannot have a length modifier"),
    ],
)
def test_what_the_kernel_cannot_print_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        conversions(text)


@given(st.text(alphabet="%dzlh*.0-#pS sxj1"))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        found = conversions(text)
    except InputError as error:
        assert str(error)
    else:
        assert len(found) <= text.count("%")


_PLAIN = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="%"))
_CONVERSION = st.builds(
    lambda flags, width, tail: "%c" if tail == "c" else f"%{flags}{width}{tail}",
    st.sampled_from(["", "-"]),
    st.sampled_from(["", "1", "20"]),
    st.sampled_from(["d", "i", "lu", "llx", "zX", "to", "hhd", "hu", "c", "s", "p", ".3d", ".s", ".5s"]),
)


@given(st.lists(st.tuples(_CONVERSION, _PLAIN)), _PLAIN)
def test_the_count_is_that_of_the_conversions_put_in(parts: list[tuple[str, str]], start: str) -> None:
    # A comma between them: letters right after %p belong to it.
    text = start + "".join(f"{conversion},{plain}%%" for conversion, plain in parts)
    assert len(conversions(text)) == len(parts)


FITS = {
    "int": "%d %u %x %X %o %i %c",
    "unsigned": "%u",
    "gfp_t": "%x",
    "bool": "%d",
    "u8": "%hhu %u",
    "enum kind": "%d %u %lu",
    "long": "%ld %lx",
    "unsigned long int": "%lu",
    "u64": "%llu %Lx",
    "loff_t": "%lld",
    "size_t": "%zu %zx",
    "ptrdiff_t": "%td",
    "void *": "%p %px",
    "const void __user *": "%p",
    "struct semaphore *": "%p",
    "char **": "%p",
    "const char *": "%s %p",
    "unsigned char *": "%s %p",
    "signed char *": "%s",
    "const u8 *": "%s %p",
    "my_typedef": "%d %lu %llx %p",
}
MISFITS = {
    "int": "%ld %lld %zu %hd %hhx %s %p",
    "u32": "%lu %hhu",
    "long": "%d %lld %zd",
    "u64": "%lu %d %x",
    "size_t": "%lu %d %p",
    "void *": "%d %lx %s",
    "char *": "%d",
    "char **": "%s",
    "char __user *": "%s",
    "unsigned char *": "%d",
    "my_typedef": "%s",
}


@pytest.mark.parametrize(("name", "text"), [(name, one) for name, all_ in FITS.items() for one in all_.split()])
def test_types_fit_their_conversions(name: str, text: str) -> None:
    assert misfit(conversions(text)[0], parse_type(name)) == ""


@pytest.mark.parametrize(("name", "text"), [(name, one) for name, all_ in MISFITS.items() for one in all_.split()])
def test_types_do_not_fit_other_conversions(name: str, text: str) -> None:
    assert misfit(conversions(text)[0], parse_type(name)).startswith(f"'{text}' ")


@pytest.mark.parametrize(
    ("name", "text"), [("size_t", "%zu"), ("u64", "%llu"), ("long", "%ld"), ("int", "%d"), ("void *", "%p")]
)
def test_the_suggested_conversion_comes_first_and_fits(name: str, text: str) -> None:
    ctype = parse_type(name)
    assert suggestion(ctype).split(" ", maxsplit=1)[0] == text
    assert misfit(conversions(text)[0], ctype) == ""
