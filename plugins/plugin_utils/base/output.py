# SPDX-License-Identifier: GPL-3.0-or-later
"""The one writer of standard output and error."""

import os


def write_all(handle: int, data: bytes) -> None:
    """Write all bytes to an open file descriptor.  Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
