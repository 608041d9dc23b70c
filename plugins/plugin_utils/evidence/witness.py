# SPDX-License-Identifier: GPL-3.0-or-later
"""A second count of the calls: the kernel's own memory events (``kmem:``), which know where they were called from.

An intercepted call reaches the allocator from the payload's replacement, so there every call that a payload recorded
has an event of the kernel whose ``call_site`` is in the replacement, and no other event has.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..trace.formats import EventFormat
from ..trace.text import Record

EVENTS = (
    "kmem:kmalloc", "kmem:kmalloc_node", "kmem:kfree", "kmem:kmem_cache_alloc", "kmem:kmem_cache_alloc_node",
    "kmem:kmem_cache_free",
)
"""The kernel's events; the two for nodes are gone from 6.1 on."""

FUNCTIONS = frozenset(
    {
        "kmalloc", "__kmalloc", "__kmalloc_large", "__kmalloc_node", "kmemdup", "kmem_cache_alloc",
        "kmem_cache_alloc_node", "kmem_cache_free", "kfree",
    }
)
"""Functions of which every call makes one event that names its caller, but for allocations of nothing.

``krealloc`` and ``kvfree`` are none of them: what they do with a call decides whether there is an event.
"""

ZERO_SIZE_PTR = 16
"""What the allocators return for a size of 0, without an event."""

_SITE = re.compile(r"(?:0x)?[\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(\w+)(?!\w)[^\]]*\])?")


@dataclass
class Witness:
    """Counts of the kernel's memory events: by (payload module, function), and by event from the target itself."""

    replaced: Counter[tuple[str, str]] = field(default_factory=Counter)
    target: Counter[str] = field(default_factory=Counter)


def names_places(formats: Mapping[str, list[EventFormat]]) -> bool:
    """Do all of the kernel's memory events that there are print their call sites as names and not as numbers?"""
    known = [form for forms in formats.values() for form in forms if f"{form.system}:{form.event}" in EVENTS]
    return bool(known) and all(form.kinds.get("call_site") == "str" for form in known)


def count(records: Iterable[Record], target: str) -> Witness:
    """Count the records by the module that their call site is in."""
    found = Witness()
    for record in records:
        site = str(record.fields.get("call_site"))
        place = _SITE.fullmatch(site)
        if place is None or place[1] is None:
            continue
        if place[1] == target:
            found.target[f"{record.system}:{record.event}"] += 1
        elif site.startswith("kedr_repl_"):
            function = site.removeprefix("kedr_repl_").partition("+")[0].partition(".")[0]
            found.replaced[place[1], function] += 1
    return found
