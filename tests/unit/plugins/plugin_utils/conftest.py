# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of records that many tests ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from .asked import kfree, kmalloc
from .table import Call, write


@pytest.fixture
def two_kernels(tmp_path: Path) -> Path:
    """One driver on two kernels: on the newer one it takes more for a thing, gets errors, and copies."""
    old = [kmalloc(1, 64, 0x1000), kmalloc(2, 64, 0x2000), kfree(3, 0x1000), kfree(4, 0x2000)]
    new = [kmalloc(1, 96, 0x1000), kmalloc(2, 96, 0), kfree(3, 0x1000), Call(4, "called_copy", {"name": "x"})]
    write(tmp_path, *old, host="old", kernel="6.1", system="Debian 12")
    return write(tmp_path, *new, host="new", kernel="6.12")
