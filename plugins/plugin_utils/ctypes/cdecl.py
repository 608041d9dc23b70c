# SPDX-License-Identifier: GPL-3.0-or-later
"""The small part of C that a payload description is made of: identifiers, types, string literals, braces.

Whatever a description puts into generated C passes through this file, so nothing but what is described here
can reach the compiler outside of the code parts. Text in, text or findings out; no file is read.
"""

import enum
import re
import string
from dataclasses import dataclass

from ..base.errors import InputError

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
IDENTIFIER_RULE = "a C identifier is letters, digits and _, not starting with a digit, no C keyword"

# Prefix of every name that the generated code adds beside the user's.
OWN_PREFIX = "kedr_"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEYWORDS = _words(
    "auto break case char const continue default do double else enum extern float for goto if inline int "
    "long register restrict return short signed sizeof static struct switch typedef union unsigned void "
    "volatile while asm typeof __asm__ __attribute__ __typeof__ __inline __inline__ __volatile__ _Alignas _Alignof "
    "_Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local "
    "linux unix i386 NULL true false current bool"  # macros of the compiler and the kernel
)

_QUALIFIERS = frozenset({"const", "volatile"})
_SPACES = frozenset({"__user", "__iomem", "__rcu", "__percpu", "__force"})
_TAGS = frozenset({"struct", "union", "enum"})
_WORDS = frozenset({"void", "char", "short", "int", "long", "signed", "unsigned", "_Bool", "bool"})
_TOKEN = re.compile(r"\s*(?:([A-Za-z_][A-Za-z0-9_]*)|(\*))")

TYPE_RULE = (
    "a type is one name (int, unsigned long, size_t, struct NAME, a typedef), "
    "optionally const or __user, and any number of *"
)


def is_identifier(text: str) -> bool:
    """Return whether ``text`` can name a C object."""
    return bool(IDENTIFIER.match(text)) and text not in KEYWORDS


class TypeKind(enum.Enum):
    """What a value of a type is to a printf conversion."""

    INTEGER = "an integer"
    POINTER = "a pointer"
    STRING = "a string"
    STRUCT = "a structure"
    VOID = "nothing"
    UNKNOWN = "of an unknown type"


# Integer types by the length modifiers that fit them; sizes as in the kernel, on 32 and on 64 bits.
_INTEGERS = (
    ("", "int|unsigned int|u32|s32|__u32|__s32|uint32_t|int32_t|gfp_t|pid_t|dev_t|fmode_t|uint|uid_t|gid_t"),
    ("", "irqreturn_t|netdev_tx_t|slab_flags_t"),
    (" h hh", "char|unsigned char|short|unsigned short|_Bool|bool|u8|s8|u16|s16|__u8|__s8|__u16|__s16"),
    (" h hh", "uint8_t|int8_t|uint16_t|int16_t|umode_t|mode_t|uchar|ushort"),
    ("l", "long|unsigned long|uintptr_t|ulong|off_t|ino_t"),
    ("ll", "long long|unsigned long long|u64|s64|__u64|__s64|uint64_t|int64_t|loff_t|ktime_t|time64_t"),
    ("z", "size_t|ssize_t"),
    ("t", "ptrdiff_t"),
)
_LENGTHS = {name: frozenset(one.split(" ")) for one, names in _INTEGERS for name in names.split("|")}


_BYTES = _words("char u8 s8 __u8 __s8 uint8_t int8_t") | {"unsigned char"}  # what text is made of


@dataclass(frozen=True)
class CType:
    """A checked C type.

    ``text`` is the type as it is written into C; ``field`` the same without what a stored copy cannot have (an
    address space, const of the object itself); ``lengths`` holds the printf length modifiers of an integer,
    none if its size is unknown; ``user`` says that it is a pointer into another address space.
    """

    text: str
    field: str
    kind: TypeKind
    lengths: frozenset[str] = frozenset()
    user: bool = False

    @property
    def cast(self) -> str:
        """The cast that makes a stored copy of a pointer into another address space, '' if none is needed."""
        return f"(__force {self.field})" if self.user else ""


def parse_type(text: str) -> CType:
    """Return a C type. Raises InputError, with the reason, for one that a payload may not use."""
    tokens = _tokens(text)
    stars = tokens.index("*") if "*" in tokens else len(tokens)
    base, pointers = tokens[:stars], tokens[stars:]
    for word in pointers:
        if word not in _QUALIFIERS | _SPACES | {"*"}:
            raise InputError(f"{word!r} stands after '*'")
    name = _base_name(base)
    user = bool(_SPACES & set(tokens))
    if pointers:
        kind = TypeKind.STRING if name in _BYTES and pointers.count("*") == 1 and not user else TypeKind.POINTER
        return CType(_join(tokens), _join(_stored(base, pointers)), kind, user=user)
    kind = _kind_of_value(base, name)
    return CType(_join(tokens), _join(_stored(base, [])), kind, _LENGTHS.get(name, frozenset()), user)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise InputError(f"{text[position:].lstrip()[:1]!r} cannot be part of a type")
        tokens.append(match.group(1) or "*")
        position = match.end()
    if not tokens:
        raise InputError("the type is empty")
    return tokens


def _base_name(base: list[str]) -> str:
    """Return the type before the first '*' in one spelling ('unsigned int' for 'unsigned')."""
    words = [word for word in base if word not in _QUALIFIERS | _SPACES]
    if not words:
        raise InputError("no type is named")
    if words[0] in _TAGS:
        if len(words) != 2 or not is_identifier(words[1]):
            raise InputError(f"{words[0]!r} must be followed by one name")
        return " ".join(words)
    if all(word in _WORDS for word in words):
        return _builtin(words)
    for word in words:
        if word in KEYWORDS:
            raise InputError(f"{word!r} cannot be part of a type here")
    if len(words) > 1:
        raise InputError(f"{' '.join(words)!r} is more than one name")
    return words[0]


_BUILTIN = {
    tuple(sorted(words.split())): name
    for name, spellings in {
        "void": "void", "bool": "bool", "_Bool": "_Bool",
        "char": "char|signed char", "unsigned char": "unsigned char",
        "short": "short|short int|signed short|signed short int",
        "unsigned short": "unsigned short|unsigned short int",
        "int": "int|signed|signed int", "unsigned int": "unsigned|unsigned int",
        "long": "long|long int|signed long|signed long int",
        "unsigned long": "unsigned long|unsigned long int",
        "long long": "long long|long long int|signed long long|signed long long int",
        "unsigned long long": "unsigned long long|unsigned long long int",
    }.items()
    for words in spellings.split("|")
}  # fmt: skip


def _builtin(words: list[str]) -> str:
    name = _BUILTIN.get(tuple(sorted(words)))
    if name is None:
        raise InputError(f"{' '.join(words)!r} is not a type of C")
    return name


def _kind_of_value(base: list[str], name: str) -> TypeKind:
    if name == "void":
        return TypeKind.VOID
    if "struct" in base or "union" in base:
        return TypeKind.STRUCT
    if "enum" in base or name in _LENGTHS:
        return TypeKind.INTEGER
    return TypeKind.UNKNOWN


def _stored(base: list[str], pointers: list[str]) -> list[str]:
    """Return the tokens of a type whose objects can be assigned to and live in a trace record."""
    kept = [word for word in base if word not in _SPACES]
    if not pointers:
        return [word for word in kept if word not in _QUALIFIERS]
    tail = [word for word in pointers if word not in _SPACES]
    while tail[-1] in _QUALIFIERS:
        tail.pop()
    return kept + tail


def _join(tokens: list[str]) -> str:
    """Return tokens in the kernel's spelling: 'const void __user *'."""
    return re.sub(r"\* (?=\*)", "*", " ".join(tokens))


def declare(type_text: str, name: str) -> str:
    """Return a declaration of ``name``: 'int n', 'void *p'."""
    return f"{type_text}{name}" if type_text.endswith("*") else f"{type_text} {name}"


def parse_declaration(text: str) -> tuple[CType, str]:
    """Split 'kmem_buckets *buckets' into type and name; InputError with the reason."""
    whole = text.rstrip()
    ctype = whole.rstrip(_IN_NAMES)
    name = whole[len(ctype):]
    if not ctype.strip() or not is_identifier(name):
        raise InputError("a C declaration such as 'kmem_buckets *buckets' is expected")
    return parse_type(ctype), name


def escape(text: str) -> str:
    """Return ``text`` as the inside of a C string literal, in ASCII."""
    out: list[str] = []
    for byte in text.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        elif char == "?" or not 0x20 <= byte < 0x7F:  # '?' too: no trigraphs
            out.append(f"\\{byte:03o}")
        else:
            out.append(char)
    return "".join(out)


_IN_NAMES = string.ascii_letters + string.digits + "_"
_LEXEME = re.compile(
    r"""(?P<message>^[ \t]*\#[ \t]*(?:error|warning)\b(?:\\\n|[^\n])*)
      |(?P<comment>//[^\n]*|/\*.*?\*/)
      |(?P<open_comment>/\*.*)
      |(?P<literal>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      |(?P<open_literal>["'](?:[^\\\n]|\\.)*)
      |(?P<brace>[][(){}])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_CLOSES = {")": "(", "]": "[", "}": "{"}


def code_without_text(code: str) -> str:
    """Return C code with comments and literals blanked out, so that words in it are words of C."""

    def blank(match: re.Match[str]) -> str:
        if match.lastgroup in ("message", "comment", "literal"):
            return re.sub(r"[^\n]", " ", match.group())
        return match.group()

    return _LEXEME.sub(blank, code)


def has_word(code: str, word: str) -> bool:
    """Return whether ``word`` is an identifier in C code (not in its comments and strings)."""
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", code_without_text(code)) is not None


def words(code: str) -> set[str]:
    """Return the identifiers in C code that can name a variable."""
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", code_without_text(code))) - KEYWORDS


def unbalanced(code: str) -> tuple[int, str] | None:
    """Return the first bracket, comment or literal that does not end: (line from 0, what is wrong), None if all do.

    Code with preprocessor conditions is not judged by its brackets: its branches may open one twice.
    """
    conditional = re.search(r"^[ \t]*#[ \t]*if", code, re.MULTILINE) is not None
    stack: list[tuple[str, int]] = []
    for match in _LEXEME.finditer(code):
        start, text = match.start(), match.group()
        if match.lastgroup == "open_comment":
            return _line(code, start), "the comment has no end"
        if match.lastgroup == "open_literal":
            return _line(code, start), f"the {text[0]} has no end on its line"
        if match.lastgroup != "brace" or conditional:
            continue
        if text not in _CLOSES:
            stack.append((text, start))
        elif not stack or stack.pop()[0] != _CLOSES[text]:
            return _line(code, start), f"'{text}' closes nothing"
    return (_line(code, stack[-1][1]), f"'{stack[-1][0]}' is not closed") if stack else None


def _line(code: str, offset: int) -> int:
    return code.count("\n", 0, offset)
