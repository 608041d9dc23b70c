# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding: one line of what is concluded from evidence."""

from typing import NamedTuple


class Finding(NamedTuple):
    """``outcome`` is ok, fail, missing or note; ``source`` the file that it rests on; ``text`` what it says."""

    outcome: str
    source: str
    text: str
