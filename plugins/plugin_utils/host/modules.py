# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as files: what identifies a build of one, and what the kernel means by refusing one."""

import io
import re
import shlex
from typing import Any, NamedTuple

from ..base import confine
from ..base.errors import ForeignError, InputError
from ..base.foreign import printable
from ..base.packages import need

NAME = re.compile(r"[A-Za-z0-9_]+\Z")
"""Name of a module as the kernel shows it."""
WRITTEN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}\Z")
"""Name of a module, or of a parameter of one, as people write it: for the kernel '-' and '_' are the same."""
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_VETO = re.compile(r"^(?:(?!cp_controller: ).)*cp_controller: .*(refused|not loaded)", re.MULTILINE)


def name_of(text: str) -> str:
    """Return the name of a module as the kernel shows it; raises InputError for what cannot be one."""
    name = text.replace("-", "_")
    if not NAME.match(name):
        shown = printable(text, 80)
        raise InputError(f"'{shown}' is not a module name: letters, digits, '_' and '-' are allowed")
    return name


class Identity(NamedTuple):
    """What tells one build of a module from another; empty where the file does not say it."""

    srcversion: str
    build_id: str


def identity(content: bytes) -> Identity:
    """Return the identity of the module file `content`.

    Raises ForeignError when it is not a module, KedrError when pyelftools is missing.
    """
    need("elftools.elf.elffile")
    return Identity(*confine.call(lambda: _identity(content)))


def _identity(content: bytes) -> Identity:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        elf: Any = ELFFile(io.BytesIO(content))
        modinfo = elf.get_section_by_name(".modinfo")
        note = elf.get_section_by_name(".note.gnu.build-id")
    except ELFError as error:
        raise ForeignError(f"not an ELF file ({error})") from error
    info = dict(_modinfo(modinfo.data())) if modinfo else {}
    if not info:
        raise ForeignError("not a kernel module: it has no .modinfo section")
    build_id = note.data()[16:].hex() if note else ""
    return Identity(info.get("srcversion", ""), build_id)


def same_build(content: bytes, loaded: str) -> None:
    """Raise ForeignError unless the file `content` is the build that is loaded.

    `loaded` is ``SRCVERSION BUILD_ID`` as the host tells them; what it does not tell is ``-`` or missing.
    """
    srcversion, _blank, note = loaded.partition(" ")
    file = identity(content)
    comparable = srcversion not in ("", "-") and file.srcversion
    if not comparable and not (note and file.build_id):
        raise ForeignError("neither its srcversion nor its build ID can be compared with the loaded module's")
    if comparable and srcversion != file.srcversion:
        raise ForeignError(
            f"its srcversion is {file.srcversion}, that of the loaded module {printable(srcversion, 80)}"
        )
    if note and file.build_id and not note.endswith(file.build_id):
        raise ForeignError("it is another build than the loaded module")


def _modinfo(data: bytes) -> list[tuple[str, str]]:
    pairs = (entry.decode("utf-8", "replace").partition("=") for entry in data.split(b"\0") if entry)
    return [(name, value) for name, _equals, value in pairs]


def parameter(name: str, value: Any) -> str:
    """Return ``name=value`` as the kernel reads it; raises InputError for what it cannot read."""
    if not PARAMETER.match(name):
        raise InputError(f"'{name}' is not the name of a module parameter")
    text = {True: "1", False: "0"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    if '"' in text or "\n" in text or "\0" in text:
        raise InputError(f"the value of parameter {name} holds a quote or a line feed, which the kernel cannot read")
    return f'{name}="{text}"' if re.search(r"\s", text) else f"{name}={text}"


def call(word: str, *arguments: str) -> str:
    """Return one line of sh that calls `word` with `arguments`."""
    return " ".join([word, *(shlex.quote(argument) for argument in arguments)]) + "\n"


_MEANINGS = (
    (r"[Ii]nvalid module format|Exec format error",
     "the module was built for another kernel (see vermagic in the kernel's lines); build it again"),
    (r"Unknown symbol", "the module needs a function that this kernel, or a module loaded before it, does not export"),
    (r"Operation not permitted", "the kernel is locked down, or module loading is disabled (kernel.modules_disabled), "
                                 "or this is a container"),
    (r"File exists", "a module of this name is loaded or built in, or it makes something that exists already"),
    (r"built into this kernel", "choose a module that the kernel has as a file (see modules.dep), or another kernel"),
    (r"not found in directory|[Mm]odule \S+ not found|No such file", "the host has no module of this name"),
    (r"o space left", "no space left on the host"),
    (r"Cannot allocate memory", "the module's init returned -ENOMEM, or the host has not enough memory"),
    (r"Device or resource busy", "something that the module needs is in use (the module or the controller said so)"),
)


_NO_MEMORY = re.compile(r"page allocation failure|vmalloc: |vmap allocation|PERCPU: allocation failed|Out of memory")
_ON_COMMAND_LINE = re.compile(r"\b(Module \S+ is blacklisted|initcall \S+ blacklisted)")
_CAUSE = re.compile(
    r"\b(BUG|RIP|EIP|Oops|WARNING|KASAN|UBSAN|Kernel panic|general protection|divide error|invalid opcode|"
    r"Unable to handle|NULL pointer|double fault)\b"
)
_NOISE = re.compile(
    r"\bCode: |\b(R[ABCDS][XIP]|R\d\d|RSP|RBP|E[ABCDS][XIP]|[CDEF]S|CR\d|DR\d|FS|GS|PKRU|EFLAGS|RFLAGS): ?[0-9a-f]|"
    r"\bStack:|Modules linked in|---\[ (cut here|end trace)|^(<\d+>)?(\[[^]]*\])? +[0-9a-f]{8,16}( [0-9a-f]{8,16})+ *$"
)
SHOWN = 3000
"""Characters of the kernel's lines that are shown to a person."""


_UNSIGNED = (
    "the kernel takes modules only that are signed with a key which it trusts (Secure Boot, lockdown or "
    "module.sig_enforce): give kedr_signing_key and kedr_signing_cert, with the certificate enrolled on the host "
    "(mokutil --import), or turn enforcement off on this test host"
)


_UNTRUSTED = (
    "the module is signed, but the kernel does not trust the key: enroll the certificate of kedr_signing_cert on the "
    "host (mokutil --import CERTIFICATE as DER, reboot, confirm at the console; or add it to the db of the UEFI "
    "firmware), or sign with a key whose certificate is among trusted_keys in facts.json"
)


_LOCKED = re.compile(r"^(?:(?!Lockdown: ).)*Lockdown: .*unsigned module loading", re.MULTILINE)
_LOADED = re.compile(r"\bcp_controller: target_name: \S+ is loaded already")
_WATCHED_TOO_LATE = (
    "the target is loaded already, and calls are redirected only while a module loads: unload it, or let collect.yml "
    "do so with kedr_reload_target: true"
)


def wants_signature(error: str, log: str) -> bool:
    """Was a module refused because nobody whom the kernel trusts has signed it?"""
    if re.search(r"Key was rejected by service|Required key not available", error):
        return True
    return "Operation not permitted" in error and _LOCKED.search(log) is not None


def meaning(error: str, log: str) -> str:
    """Return what a refusal means, or nothing; `log` holds the kernel's lines."""
    if _LOADED.search(log):
        return _WATCHED_TOO_LATE
    if _VETO.search(log):
        return "the controller refused it, see its line"
    if "Cannot allocate memory" in error and _NO_MEMORY.search(log):
        return "the host has not enough memory, see the kernel's lines"
    if _ON_COMMAND_LINE.search(log):
        return ("the command line of the host's kernel forbids it (module_blacklist or initcall_blacklist in "
                "/proc/cmdline): boot without that")
    if wants_signature(error, log):
        return _UNTRUSTED if re.search(r"module with (unavailable|unsupported) ", log) else _UNSIGNED
    for pattern, words in _MEANINGS:
        if re.search(pattern, error):
            return words
    for pattern, words in _MEANINGS[1:2]:
        if re.search(pattern, log):
            return words
    return ""


def shown(log: str) -> str:
    """Return the kernel's lines for a person: what went wrong first, registers and code last, where there is room."""
    lines = log.splitlines()
    if not any(_CAUSE.search(line) for line in lines):
        return printable(log, SHOWN)
    ordered = sorted(lines, key=lambda line: 0 if _is_cause(line) else 2 if _NOISE.search(line) else 1)
    kept: list[str] = []
    for line in ordered:
        kept.append(printable(line, 300))
        if sum(map(len, kept)) + len(kept) > SHOWN:
            return "\n".join([*kept[:-1], f"[{len(ordered) - len(kept) + 1} lines left out]"])
    return "\n".join(kept)


def _is_cause(line: str) -> bool:
    return bool(_CAUSE.search(line)) and "Code: " not in line


def holders(users: str) -> str:
    """Return who holds a module; `users` is its use count and the modules that use it."""
    count, _blank, names = users.partition(" ")
    held = names.strip(",-").replace(",", ", ")
    if held:
        return f" (use count {count}, held by {held})"
    if count.isdigit() and int(count):
        return (f" (use count {count}: something uses it that is not a module, such as a program that has its device "
                "or a file of it open, or the module itself)")
    return ""
