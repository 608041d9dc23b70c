# SPDX-License-Identifier: GPL-3.0-or-later
"""New payload descriptions: prototypes out of BTF in, the text of a .data file out.

What is written passes the checks of payload_read. What cannot be described is said, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..base.near import did_you_mean, nearest
from ..ctypes import cdecl
from ..ctypes.btf import Btf, Prototype, Shape, TypeText, UnspeakableError
from ..ctypes.cdecl import CType, Kind
from ..ctypes.headers import Declaration, Export
from ..ctypes.printf import usual
from . import special
from .model import BEFORE, RETURN_VALUE
from .read import COMMON_PREFIX, FIELDS_TAKEN, MODULE_NAME_MAX, TRACE_PARAMS_MAX

ADDRESS = "const void *"
_LONGER_MAX = 3  # characters that a misspelt name has more or less than the right one


class RefusedError(Exception):
    """A function that cannot be described; `kind` is one word for statistics, the text says why."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Candidate:
    """One symbol that may stand for a function.

    `arguments` is the symbol's full list where it is not the function's: an int is the function's argument of
    that number (from 1), a text the type of one that the function has not.
    """

    symbol: str
    arguments: tuple[int | str, ...] | None = None


@dataclass
class Knowledge:
    """What is known of one kernel.

    `find` gives the BTF that holds a symbol's function, and its number there, or None. `exports` is empty when it
    is not known what the kernel exports. `candidates` are the symbols that may stand for a function. `names` are
    all names that may have been meant by one that is not known.
    """

    find: Callable[[str], tuple[Btf, int] | None]
    exports: Mapping[str, Export] = field(default_factory=dict)
    candidates: Mapping[str, Sequence[Candidate]] = field(default_factory=dict)
    names: Iterable[str] = ()


@dataclass(frozen=True)
class Argument:
    """One argument: `recorded` is the type of its trace parameter and `shown` its conversion, '' if it has none."""

    ctype: str
    name: str
    recorded: str = ""
    shown: str = ""


@dataclass(frozen=True)
class Described:
    """A function as a [group] describes it; `result` is None for one that returns nothing.

    `bare` says that the BTF gives the symbol neither arguments nor a result, as it does for assembly.
    """

    name: str
    symbol: str
    arguments: tuple[Argument, ...]
    result: Argument | None
    typedefs: tuple[str, ...] = ()
    namespace: str = ""
    bare: bool = False


def describe(name: str, kernel: Knowledge) -> Described:
    """Describe a function of a kernel; RefusedError says why it cannot be done."""
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
    """Why what the BTF says of a function is not so by its declaration; '' when they agree."""
    declaration = declarations.get(one.symbol)
    if not one.bare or declaration is None or declaration.nothing:
        return ""
    return f"it is assembly: the BTF gives it no arguments and no result, <{declaration.header}> does"


def _resolved(name: str, kernel: Knowledge) -> tuple[Candidate, Prototype]:
    """The symbol that stands for a function, and its prototype."""
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
    """Why nothing is known of a function, with the name that was perhaps meant."""
    names = ", ".join(dict.fromkeys(tried))
    if any(one in kernel.exports for one in tried):
        return f"the BTF has no function {names}: it is a variable or assembly, or in a module whose BTF is not given"
    return f"the BTF has no function {names}{did_you_mean(nearest(name, _alike(name, kernel.names), 0.8))}"


def _alike(name: str, names: Iterable[str]) -> list[str]:
    """The names of which one was perhaps meant; to look at all of a kernel's would take long."""
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
    """True unless functions.yml counts on other arguments."""
    if candidate.arguments is None:
        return True
    if len(candidate.arguments) != len(prototype.parameters):
        return False
    pairs = zip(candidate.arguments, prototype.parameters, strict=True)
    return all(isinstance(own, int) or own == _spaced(one.text) for own, (_name, one) in pairs)


def _spaced(text: str) -> str:
    """A type in the spelling of cdecl; '' when it is none."""
    try:
        return cdecl.parse_type(text).text
    except ValueError:
        return ""


def _own_parameters(candidate: Candidate, prototype: Prototype) -> list[tuple[str, TypeText]]:
    """The parameters that the user's function has, in its order."""
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
        """The arguments, each with a name of its own."""
        return tuple(
            self.argument(self.name(name, number), one, f"argument {number}")
            for number, (name, one) in enumerate(parameters, 1)
        )

    def name(self, name: str, number: int) -> str:
        """A name that C and the generated code leave free."""
        name = name or f"arg{number}"
        if name.startswith((cdecl.OWN_PREFIX, COMMON_PREFIX)) or not cdecl.IDENTIFIER.match(name):
            name = f"arg{number}"
        while name in self.taken or not cdecl.is_identifier(name):
            name += "_"
        self.taken.add(name)
        return name

    def argument(self, name: str, one: TypeText, what: str) -> Argument:
        """An argument or the result."""
        text = self.type_name(name, one)
        ctype = cdecl.parse_type(text)
        if ctype.kind is Kind.VOID:
            raise RefusedError("by value", f"{what} is nothing")
        return Argument(ctype.text, name, *_recorded(ctype, one))

    def type_name(self, name: str, one: TypeText) -> str:
        """The type as a description writes it, with a typedef where a name is not enough."""
        if one.text:
            try:
                return cdecl.parse_type(one.text).text
            except ValueError:
                pass
        typedef = f"{self.function}_{name}_t"
        self.typedefs.append(f"typedef {one.declare(typedef)};")
        return typedef


def _recorded(ctype: CType, one: TypeText) -> tuple[str, str]:
    """Type and conversion of the trace parameter for a value; '' for what cannot be recorded."""
    if one.shape is Shape.FUNCTION:
        return ADDRESS, "%p"
    if one.shape is Shape.POINTER:
        return ctype.text, "%p"
    if one.shape is not Shape.INTEGER:
        return "", ""
    shown = ctype if ctype.kind is Kind.INTEGER else _integer(one.integer)
    return (cdecl.parse_type(ctype.field).text, usual(shown)) if shown else ("", "")


def _integer(name: str) -> CType | None:
    """The integer below a typedef, None if it is wider than what can be printed."""
    try:
        ctype = cdecl.parse_type(name)
    except ValueError:
        return None
    return ctype if ctype.lengths else None


# Text


@dataclass(frozen=True)
class Module:
    """What stands before the first [group]."""

    name: str
    author: str
    about: str


def module_name(functions: Sequence[str]) -> str:
    """A name for the payload of functions."""
    return f"my_{functions[0].strip('_')}"[:MODULE_NAME_MAX]


def write(
    module: Module, functions: Sequence[Described], headers: Mapping[str, str], refused: Mapping[str, str]
) -> str:
    """A .data file. `headers` names the header of each symbol that one is known for, `refused` says why not."""
    lines = _start(module)
    lines += [f"# Not described: {name}: {reason}" for name, reason in refused.items()]
    unknown = [one.symbol for one in functions if one.symbol not in headers]
    if unknown:
        lines += [f"# It is not known which header declares {', '.join(unknown)}: add"]
        lines += ["# header = #include <linux/...>"]
    lines += _header(functions, headers)
    for one in functions:
        lines += ["", *_group(one, sure=one.symbol in headers)]
    return "\n".join(lines) + "\n"


def skeleton(module: Module, functions: Sequence[str]) -> str:
    """A .data file for functions of which nothing is known but their names."""
    lines = [
        *_start(module),
        "",
        "# The headers that declare the functions and their types:",
        "# header =>>",
        "# #include <linux/slab.h>",
        "# <<",
    ]
    for name in functions:
        lines += [
            "",
            "[group]",
            f"function.name = {name}",
            "# Type of the result; a function that returns nothing has 'returnsVoid = yes' instead:",
            "# returnType = void *",
            "returnsVoid = yes",
            *_moment(name, name, False),
            "",
            "# Each argument in its order:",
            "# arg.type = size_t",
            "# arg.name = size",
            "",
            "# What a record holds: arguments, variables of the prologue, and returnValue, the result:",
            "# trace.param.type = size_t",
            "# trace.param.name = size",
            "# trace.param.type = void *",
            "# trace.param.name = returnValue",
            "# The text of a record, with one conversion for each of them:",
            f'# trace.formatString = "{name}(%zu), result: %p"',
            f'trace.formatString = "{name}()"',
        ]
    return "\n".join(lines) + "\n"


def _start(module: Module) -> list[str]:
    return [
        f"# {module.about}",
        f"module.name = {module.name}",
        f"module.author = {module.author}",
        "module.license = GPL",
    ]


def _header(functions: Sequence[Described], headers: Mapping[str, str]) -> list[str]:
    """The C code that declares functions and types and imports namespaces."""
    lines = [f"#include <{one}>" for one in sorted({headers[one.symbol] for one in functions if one.symbol in headers})]
    lines += [f'MODULE_INFO(import_ns, "{one}");' for one in sorted({one.namespace for one in functions} - {""})]
    lines += [typedef for one in functions for typedef in one.typedefs]
    return ["", "header =>>", *lines, "<<"] if lines else []


def _moment(name: str, symbol: str, has_result: bool) -> list[str]:
    """When a call is to be recorded, for functions that give something away or do not return."""
    if not any(special.gives_away(one) or special.never_returns(one) for one in (name, symbol)):
        return []
    if has_result:
        return ["# If this gives something away, remove returnValue below and add: record = before"]
    return [f"record = {BEFORE}"]


def _group(one: Described, *, sure: bool) -> list[str]:
    lines = ["[group]"]
    if one.bare and not sure:
        lines.append("# The BTF says so of assembly too: compare arguments and result with its declaration.")
    if one.symbol != one.name:
        lines.append(f"# exported as {one.symbol} by the kernel that this was made for")
    lines.append(f"function.name = {one.name}")
    lines.append(f"returnType = {one.result.ctype}" if one.result else "returnsVoid = yes")
    lines += _moment(one.name, one.symbol, bool(one.result))
    if one.arguments:
        lines.append("")
    for argument in one.arguments:
        lines += [f"arg.type = {argument.ctype}", f"arg.name = {argument.name}"]
    traced = [argument for argument in one.arguments if argument.shown]
    result = [one.result] if one.result and one.result.shown else []
    traced = traced[: TRACE_PARAMS_MAX - len(result)]
    if traced or result:
        lines.append("")
    for argument in [*traced, *result]:
        lines += [f"trace.param.type = {argument.recorded}", f"trace.param.name = {argument.name}"]
    left_out = len(one.arguments) - len(traced)
    shown = ", ".join([*(argument.shown for argument in traced), *(["..."] if left_out else [])])
    end = f", result: {result[0].shown}" if result else ""
    return [*lines, f'trace.formatString = "{one.name}({shown}){end}"']
