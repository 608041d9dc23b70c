# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where what others wrote is made safe to show: on a terminal, in a message, a page or a spreadsheet.

What does not print is spelled out: control characters, and so every escape of a terminal; characters without width or
that turn the direction of writing; bytes that are no UTF-8.  Imports nothing of this collection.
"""

import sys

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula."""


def printable(text: str | bytes, limit: int = 4000) -> str:
    """Return `text` safe to show, with its lines and tabs: the middle of more than `limit` characters is left out.

    Carriage returns before a line feed go. Errors speak first and last, hence the middle.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = text.replace("\r\n", "\n")
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
    return _spelled_out(text, "\n\t")


def plain(text: object, limit: int = sys.maxsize) -> str:
    """Return `text` safe to show, on one line: tabs are blanks, and what is over `limit` characters is cut off."""
    source = str(text)
    shown = _spelled_out(source[:limit].replace("\t", " "))
    return shown if len(source) <= limit else shown + "…"


def spreadsheet(text: str) -> str:
    """Return the text of a cell so that no spreadsheet takes it for a formula; a number stays one."""
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _spelled_out(text: str, kept: str = "") -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in kept else _spell_out(char) for char in text)


def _spell_out(char: str) -> str:
    if 0xDC80 <= ord(char) <= 0xDCFF:  # a byte that was no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return ascii(char)[1:-1]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text[1:].isascii() and text[1:2].isdigit()
