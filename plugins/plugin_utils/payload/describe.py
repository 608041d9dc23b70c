# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions as a payload can describe them, by the prototypes in a kernel's BTF.

A function that cannot be described is refused with the reason; nothing is guessed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..base.errors import InputError
from ..base.near import did_you_mean, nearest
from ..ctypes import cdecl
from ..ctypes.btf import Btf, Prototype, Shape, TypeText, UnspeakableError
from ..ctypes.cdecl import CType, TypeKind
from ..ctypes.headers import Declaration, Export
from ..ctypes.printf import usual
from . import special
from .kinds.trace import COMMON_PREFIX, FIELDS_TAKEN
from .model import RETURN_VALUE, Candidate, Extra, FunctionDb

ADDRESS = "const void *"
_LONGER_MAX = 3  # characters that a misspelt name has more or less than the right one


class RefusedError(Exception):
    """A function that cannot be described; ``kind`` is one word for statistics, the text says why."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass
class Knowledge:
    """What is known of one kernel.

    ``find`` gives the BTF that holds a symbol's function, and its number there, or None. ``exports`` is empty when it
    is not known what the kernel exports. ``candidates`` are the symbols that may stand for a function. ``names`` are
    all names that may have been meant by one that is not known.
    """

    find: Callable[[str], tuple[Btf, int] | None]
    exports: Mapping[str, Export] = field(default_factory=dict)
    candidates: FunctionDb = field(default_factory=dict)
    names: Iterable[str] = ()


@dataclass(frozen=True)
class Argument:
    """One argument: ``recorded`` is the type of its trace parameter and ``shown`` its conversion, '' if it has none."""

    ctype: str
    name: str
    recorded: str = ""
    shown: str = ""


@dataclass(frozen=True)
class Described:
    """A function as a [group] describes it; ``result`` is None for one that returns nothing.

    ``bare`` says that the BTF gives the symbol neither arguments nor a result, as it does for assembly.
    """

    name: str
    symbol: str
    arguments: tuple[Argument, ...]
    result: Argument | None
    typedefs: tuple[str, ...] = ()
    namespace: str = ""
    bare: bool = False


def describe(name: str, kernel: Knowledge) -> Described:
    """Describe a function of a kernel. Raises RefusedError, which says why it cannot be done."""
    if not cdecl.is_identifier(name):
        raise RefusedError("name", f"is not a name of a function; {cdecl.IDENTIFIER_RULE}")
    _refuse_denied(name)
    candidate, prototype = _resolved(name, kernel)
    _refuse_denied(candidate.symbol)
    export = kernel.exports.get(candidate.symbol)
    writer = _Writer(name, candidate.symbol)
    arguments = writer.arguments(_own_parameters(candidate, prototype))
    result = None
    if prototype.returns.shape is not Shape.VOID:
        result = writer.argument(RETURN_VALUE, prototype.returns, "the result")
    namespace = export.namespace if export else ""
    bare = result is None and not prototype.parameters
    return Described(name, candidate.symbol, arguments, result, tuple(writer.typedefs), namespace, bare)


def _refuse_denied(symbol: str) -> None:
    reason = special.denied(symbol)
    if reason:
        raise RefusedError("convention", f"{symbol} cannot be replaced: {reason}")


def assembly(one: Described, declarations: Mapping[str, Declaration]) -> str:
    """Return why what the BTF says of a function is not so by its declaration; '' when they agree."""
    declaration = declarations.get(one.symbol)
    if not one.bare or declaration is None or declaration.nothing:
        return ""
    return f"it is assembly: the BTF gives it no arguments and no result, <{declaration.header}> does"


def _resolved(name: str, kernel: Knowledge) -> tuple[Candidate, Prototype]:
    """Return the symbol that stands for a function, and its prototype."""
    candidates = kernel.candidates.get(name) or [Candidate(name)]
    unexported = other = ""
    for candidate in candidates:
        found = kernel.find(candidate.symbol)
        if found is None:
            continue
        if kernel.exports and candidate.symbol not in kernel.exports:
            unexported = candidate.symbol
            continue
        prototype = _prototype(*found)
        if _fits(candidate, prototype):
            return candidate, prototype
        other = candidate.symbol
    if other:
        raise RefusedError("arguments", f"functions.yml does not count on the arguments that {other} has here")
    if unexported:
        raise RefusedError("unexported", f"the kernel does not export {unexported}; modules cannot call it")
    raise RefusedError("unknown", _unknown(name, [one.symbol for one in candidates], kernel))


def _unknown(name: str, tried: Sequence[str], kernel: Knowledge) -> str:
    """Return why nothing is known of a function, with the name that was perhaps meant."""
    names = ", ".join(dict.fromkeys(tried))
    if any(one in kernel.exports for one in tried):
        return f"the BTF has no function {names}: it is a variable or assembly, or in a module whose BTF is not given"
    return f"the BTF has no function {names}{did_you_mean(nearest(name, _alike(name, kernel.names), 0.8))}"


def _alike(name: str, names: Iterable[str]) -> list[str]:
    """Return the names of which one was perhaps meant; to look at all of a kernel's would take long."""
    bare = name.strip("_")
    return sorted(
        one for one in set(names) if one.strip("_")[:1] == bare[:1] and abs(len(one) - len(name)) <= _LONGER_MAX
    )


def _prototype(btf: Btf, number: int) -> Prototype:
    try:
        prototype = btf.prototype(number)
    except UnspeakableError as error:
        raise RefusedError("unspeakable", f"its prototype has {error}, which C cannot name") from None
    if prototype.variadic:
        raise RefusedError("variadic", "it is variadic: its arguments cannot be passed on")
    for what, one in [*prototype.parameters, ("its result", prototype.returns)]:
        if one.shape in (Shape.STRUCT, Shape.FLOAT, Shape.OTHER):
            shown = f"{what} ({one.text})" if one.text else what
            raise RefusedError("by value", f"{shown} is {one.shape.value}")
    return prototype


def _fits(candidate: Candidate, prototype: Prototype) -> bool:
    """Return whether a prototype has the arguments that functions.yml counts on."""
    if candidate.arguments is None:
        return True
    if len(candidate.arguments) != len(prototype.parameters):
        return False
    pairs = zip(candidate.arguments, prototype.parameters, strict=True)
    return all(not isinstance(own, Extra) or own.ctype == _type(one.text) for own, (_name, one) in pairs)


def _type(text: str) -> CType | None:
    """Return a type as a description writes it, None when it cannot."""
    try:
        return cdecl.parse_type(text)
    except InputError:
        return None


def _own_parameters(candidate: Candidate, prototype: Prototype) -> list[tuple[str, TypeText]]:
    """Return the parameters that the user's function has, in its order."""
    if candidate.arguments is None:
        return list(prototype.parameters)
    pairs = zip(candidate.arguments, prototype.parameters, strict=True)
    return [one for _number, one in sorted((own, one) for own, one in pairs if isinstance(own, int))]


class _Writer:
    """Makes arguments of parameters; collects the typedefs that they need."""

    def __init__(self, function: str, symbol: str) -> None:
        self.function = function
        self.typedefs: list[str] = []
        self.taken = {*FIELDS_TAKEN, RETURN_VALUE, function, symbol}

    def arguments(self, parameters: Iterable[tuple[str, TypeText]]) -> tuple[Argument, ...]:
        """Return the arguments, each with a name of its own."""
        return tuple(
            self.argument(self.name(name, number), one, f"argument {number}")
            for number, (name, one) in enumerate(parameters, 1)
        )

    def name(self, name: str, number: int) -> str:
        """Return a name that C and the generated code leave free."""
        name = name or f"arg{number}"
        if name.startswith((cdecl.OWN_PREFIX, COMMON_PREFIX)) or not cdecl.IDENTIFIER.match(name):
            name = f"arg{number}"
        while name in self.taken or not cdecl.is_identifier(name):
            name += "_"
        self.taken.add(name)
        return name

    def argument(self, name: str, one: TypeText, what: str) -> Argument:
        """Return an argument or the result."""
        ctype = _type(one.text) or self.typedef(name, one)
        if ctype.kind is TypeKind.VOID:
            raise RefusedError("by value", f"{what} is nothing")
        return Argument(ctype.text, name, *_recorded(ctype, one))

    def typedef(self, name: str, one: TypeText) -> CType:
        """Return a type of its own for one that is more than a name."""
        typedef = f"{self.function}_{name}_t"
        self.typedefs.append(f"typedef {one.declare(typedef)};")
        return cdecl.parse_type(typedef)


def _recorded(ctype: CType, one: TypeText) -> tuple[str, str]:
    """Return type and conversion of the trace parameter for a value; '' for what cannot be recorded."""
    if one.shape is Shape.FUNCTION:
        return ADDRESS, "%p"
    if one.shape is Shape.POINTER:
        return ctype.text, "%p"
    if one.shape is not Shape.INTEGER:
        return "", ""
    shown = ctype if ctype.kind is TypeKind.INTEGER else _integer(one.integer)
    return (cdecl.parse_type(ctype.field).text, usual(shown)) if shown else ("", "")


def _integer(name: str) -> CType | None:
    """Return the integer below a typedef, None if it is wider than what can be printed."""
    ctype = _type(name)
    return ctype if ctype and ctype.lengths else None
