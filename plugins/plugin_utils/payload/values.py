# SPDX-License-Identifier: GPL-3.0-or-later
"""The definitions of one group by name, and what they may be: names, types, pairs of both, C code, yes or no.

Every mistake is reported with its line and, where one is near, the word that was meant. Needs nothing but Python
itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from ..base.errors import InputError
from ..base.near import did_you_mean, nearest
from ..ctypes import cdecl
from ..ctypes.cdecl import CType
from ..mist import data as mist
from .model import Code, Param, Problem

Couple = tuple["Text | None", "Text | None"]


class Complaints:
    """Collects the problems of one file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []

    def __call__(self, line: int, text: str, suggestion: str = "") -> None:
        self.problems.append(Problem(self.path, max(line, 1), text, suggestion))


class Text:
    """One definition as text: name, value, the line of the definition and of its value."""

    def __init__(self, item: mist.Item, complain: Complaints) -> None:
        self.name = item.name.decode("utf-8", "backslashreplace")
        self.line = item.line
        self.value_line = item.value_line
        self.value = item.value.decode("utf-8", "replace")
        if b"\0" in item.value:
            complain(item.line, f"the value of {self.name!r} holds a NUL byte; text only")
        elif "\ufffd" in self.value:
            complain(item.line, f"the value of {self.name!r} is not UTF-8; save the file as UTF-8")


@dataclass(frozen=True)
class Place:
    """A part of a file and the parameters that may stand there, as {name: may it be given several times?}.

    ``where`` and ``stands`` are its words in messages: "in a [group]", "after a [group] line".
    """

    where: str
    stands: str
    parameters: Mapping[str, bool]

    def unknown(self, name: str, elsewhere: Place) -> tuple[str, str]:
        """Return what to say about a parameter that may not stand here, and which one was probably meant."""
        if name in elsewhere.parameters:
            return f"parameter {name!r} does not belong {self.where}; it stands {elsewhere.stands}", ""
        names = sorted(self.parameters)
        meant = nearest(name, (*names, *elsewhere.parameters))
        text = f"unknown parameter {name!r} {self.where}{did_you_mean(meant)}"
        return f"{text}; allowed here: {', '.join(names)}", meant


class Values:
    """The definitions of one group, by name."""

    def __init__(self, group: mist.Group, here: Place, elsewhere: Place, complain: Complaints) -> None:
        """Take the definitions of a group; complain about names that may not stand there, or not twice."""
        self.line = group.line
        self.complain = complain
        self.where = here.where
        self.texts: dict[str, list[Text]] = {}
        self.order: list[Text] = []
        for item in group.items:
            text = Text(item, complain)
            if text.name not in here.parameters:
                complain(text.line, *here.unknown(text.name, elsewhere))
                continue
            earlier = self.texts.setdefault(text.name, [])
            if earlier and not here.parameters[text.name]:
                complain(text.line, f"{text.name!r} is given again (first in line {earlier[0].line}); give it once")
            else:
                earlier.append(text)
                self.order.append(text)

    def get(self, name: str) -> Text | None:
        """Return the only value of a name that may be given once."""
        return self.texts[name][0] if self.texts.get(name) else None

    def every(self, name: str) -> list[Text]:
        """Return the values of a name that may be given several times."""
        return self.texts.get(name, [])

    def need(self, name: str, example: str) -> Text | None:
        """Return the value of a name that must be there and must not be empty."""
        text = self.get(name)
        if text is None:
            self.complain(self.line, f"{name!r} is missing {self.where}; write for example '{name} = {example}'")
        elif not text.value:
            self.complain(text.line, f"{name!r} is empty; write for example '{name} = {example}'")
            return None
        return text

    def flag(self, name: str) -> bool:
        """Return a yes/no value, no when it is not given."""
        text = self.get(name)
        if text is None:
            return False
        if text.value not in ("yes", "no"):
            self.complain(text.line, f"{name!r} is {text.value!r}; allowed are yes and no")
        return text.value == "yes"

    def code(self, name: str) -> Code | None:
        """Return a code part; None when it is not given or blank."""
        text = self.get(name)
        return self.code_of(text) if text else None

    def code_of(self, text: Text) -> Code | None:
        """Return a definition as C code; None when it is blank."""
        if not text.value.strip():
            return None
        code = re.sub(r"\r$", "", text.value, flags=re.MULTILINE)
        fault = cdecl.unbalanced(code)
        if fault:
            self.complain(text.value_line + fault[0], f"in {text.name!r}: {fault[1]}; close it in the same code part")
        return Code(code, text.value_line)

    def is_name(self, text: Text) -> bool:
        """Return whether a definition is a C identifier that a description may use; complain when it is not."""
        name = text.value
        if not cdecl.is_identifier(name):
            why = "is a word of C or a macro of the kernel" if name in cdecl.KEYWORDS else "is not a C identifier"
            self.complain(text.line, f"{text.name} {name!r} {why}; {cdecl.IDENTIFIER_RULE}")
        elif name.startswith(cdecl.OWN_PREFIX) and text.name != "function.name":
            reserved = f"names starting with {cdecl.OWN_PREFIX} are generated"
            self.complain(text.line, f"{text.name} {name!r} is reserved; {reserved}")
        else:
            return True
        return False

    def ctype(self, text: Text) -> CType | None:
        """Return a definition as a C type; None, with a complaint, when it is not one that a payload may use."""
        try:
            return cdecl.parse_type(text.value)
        except InputError as error:
            self.complain(text.line, f"{text.name} {text.value!r}: {error}; {cdecl.TYPE_RULE}")
            return None

    def params(self, type_name: str, name_name: str, what: str) -> tuple[Param, ...]:
        """Return the pairs of types and names. What has no partner, or is wrong, is left out with a complaint."""
        params: list[Param] = []
        first: dict[str, int] = {}
        for type_text, name_text in self._pairs(type_name, name_name, what):
            ctype, name = self.ctype(type_text), name_text.value
            if not self.is_name(name_text):
                continue
            if name in first:
                again = f"{what} {name!r} is given again (first in line {first[name]})"
                self.complain(name_text.line, f"{again}; give each its own name")
                continue
            first[name] = name_text.line
            if ctype:
                params.append(Param(ctype, name, name_text.line, type_text.line))
        return tuple(params)

    def _pairs(self, type_name: str, name_name: str, what: str) -> list[tuple[Text, Text]]:
        """Return types with their names; complain about those without a partner."""
        given = f"{len(self.every(type_name))} {type_name} and {len(self.every(name_name))} {name_name} are given"
        pairs: list[tuple[Text, Text]] = []
        for number, (ctype, name) in enumerate(self._couples(type_name, name_name), 1):
            if ctype and name:
                pairs.append((ctype, name))
            elif ctype:
                text = f"{what} {number} (type {ctype.value!r}) has no {name_name}: {given}"
                self.complain(ctype.line, f"{text}; write one {type_name} and one {name_name} for each {what}")
            elif name:
                text = f"{what} {number} ({name.value!r}) has no {type_name}: {given}; two of them cannot share one"
                self.complain(name.line, f"{text}, write one {type_name} for each {name_name}")
        return pairs

    def _couples(self, type_name: str, name_name: str) -> Iterable[Couple]:
        """Return each type with its name: all types stand before all names, or each before its own."""
        types, names = self.every(type_name), self.every(name_name)
        both = [text for text in self.order if text.name in (type_name, name_name)]
        if len(types) == len(names) or (len(types) > 1 and len(names) > 1 and both[: len(types)] == types):
            return zip_longest(types, names)
        couples: list[Couple] = []
        for text in both:
            if text.name == type_name:
                couples.append((text, None))
            elif couples and couples[-1][1] is None:
                couples[-1] = (couples[-1][0], text)
            else:
                couples.append((None, text))
        return couples
