# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all unit tests: no test is about time, so none has a deadline."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
