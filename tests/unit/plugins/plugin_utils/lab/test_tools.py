# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the control node, and the signals that interrupt."""

from __future__ import annotations

import os
import signal

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.programs import find_tool
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.tools import interruptible


def test_a_missing_program_is_named_with_its_package():
    with pytest.raises(
        KedrError, match="no-such-program is missing on the control node; install the package some-package"
    ):
        find_tool("no-such-program", "some-package")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts_and_later_ones_do_not_disturb_cleaning_up(number):
    former = signal.getsignal(number)
    steps = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            os.kill(os.getpid(), number)
            steps.append("not reached")
        finally:
            os.kill(os.getpid(), number)
            steps.append("cleaned up")
    assert steps == ["cleaned up"]
    assert signal.getsignal(number) is former
