# SPDX-License-Identifier: GPL-3.0-or-later
"""What the attacks have in common."""

from __future__ import annotations
