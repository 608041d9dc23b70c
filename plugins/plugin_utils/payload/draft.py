# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a new data file, for functions as describe.py found them. It passes the checks of read.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import special
from .describe import Described
from .kinds.trace import PARAMS_MAX
from .model import BEFORE
from .read import MODULE_NAME_MAX


@dataclass(frozen=True)
class Preamble:
    """What stands before the first [group]."""

    name: str
    author: str
    about: str


def module_name(functions: Sequence[str]) -> str:
    """Return a name for the payload of functions."""
    return f"my_{functions[0].strip('_')}"[:MODULE_NAME_MAX]


def write(
    preamble: Preamble, functions: Sequence[Described], headers: Mapping[str, str], refused: Mapping[str, str]
) -> str:
    """Return a data file. ``headers`` has the header of each symbol if it is known, ``refused`` says why not."""
    lines = _start(preamble)
    lines += [f"# Not described: {name}: {reason}" for name, reason in refused.items()]
    unknown = [one.symbol for one in functions if one.symbol not in headers]
    if unknown:
        lines += [f"# It is not known which header declares {', '.join(unknown)}: add"]
        lines += ["# header = #include <linux/...>"]
    lines += _header(functions, headers)
    for one in functions:
        lines += ["", *_group(one, sure=one.symbol in headers)]
    return "\n".join(lines) + "\n"


def skeleton(preamble: Preamble, functions: Sequence[str]) -> str:
    """Return a data file for functions of which nothing is known but their names."""
    groups = [_SKELETON.format(name=name, moment="".join(f"\n{line}" for line in _moment(name, name, False)))
              for name in functions]
    return "\n".join(_start(preamble)) + _SKELETON_HEADER + "".join(groups)


_SKELETON_HEADER = """

# The headers that declare the functions and their types:
# header =>>
# #include <linux/slab.h>
# <<
"""
_SKELETON = """
[group]
function.name = {name}
# Type of the result; a function that returns nothing has 'returnsVoid = yes' instead:
# returnType = void *
returnsVoid = yes{moment}

# Each argument in its order:
# arg.type = size_t
# arg.name = size

# What a record holds: arguments, variables of the prologue, and returnValue, the result:
# trace.param.type = size_t
# trace.param.name = size
# trace.param.type = void *
# trace.param.name = returnValue
# The text of a record, with one conversion for each of them:
# trace.formatString = "{name}(%zu), result: %p"
trace.formatString = "{name}()"
"""


def _start(preamble: Preamble) -> list[str]:
    return [
        f"# {preamble.about}", f"module.name = {preamble.name}", f"module.author = {preamble.author}",
        "module.license = GPL",
    ]


def _header(functions: Sequence[Described], headers: Mapping[str, str]) -> list[str]:
    """Return the C code that declares functions and types and imports namespaces."""
    lines = [f"#include <{one}>" for one in sorted({headers[one.symbol] for one in functions if one.symbol in headers})]
    lines += [f'MODULE_INFO(import_ns, "{one}");' for one in sorted({one.namespace for one in functions} - {""})]
    lines += [typedef for one in functions for typedef in one.typedefs]
    return ["", "header =>>", *lines, "<<"] if lines else []


def _moment(name: str, symbol: str, has_result: bool) -> list[str]:
    """Return when a call is to be recorded, for functions that give something away or do not return."""
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
    traced = traced[: PARAMS_MAX - len(result)]
    if traced or result:
        lines.append("")
    for argument in [*traced, *result]:
        lines += [f"trace.param.type = {argument.recorded}", f"trace.param.name = {argument.name}"]
    left_out = len(one.arguments) - len(traced)
    shown = ", ".join([*(argument.shown for argument in traced), *(["..."] if left_out else [])])
    end = f", result: {result[0].shown}" if result else ""
    return [*lines, f'trace.formatString = "{one.name}({shown}){end}"']
