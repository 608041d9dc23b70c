# SPDX-License-Identifier: GPL-3.0-or-later
"""Time limits of work in this process and below it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import deadline
from ansible_collections.kedr.lab.plugins.plugin_utils.base.processes import below
from processes import all_end


def test_work_that_takes_too_long_is_interrupted_and_what_it_started_is_killed() -> None:
    with subprocess.Popen(["sleep", "60"]) as before:
        began = time.monotonic()
        with pytest.raises(deadline.TimeIsUp), deadline.limited(0.3):
            subprocess.run("sleep 61 & sleep 62; echo", shell=True, stdout=subprocess.PIPE, check=False)
        assert time.monotonic() - began < 20
        mine = {pid for pid, _start in below(os.getpid())}
        assert before.poll() is None
        assert before.pid in mine
        before.kill()
    assert all_end(mine - {before.pid})


def test_an_error_handler_on_the_way_does_not_swallow_the_end_of_the_time() -> None:
    with pytest.raises(deadline.TimeIsUp), deadline.limited(0.1):
        for _attempt in range(3):
            try:
                time.sleep(30)
            except Exception:
                continue


def test_work_in_time_leaves_no_alarm_behind() -> None:
    with deadline.limited(30):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@pytest.mark.parametrize("theirs", [0.2, 20.0])
def test_the_alarm_of_somebody_else_stays_in_force(theirs: float) -> None:
    rung = []
    signal.signal(signal.SIGALRM, lambda *_about: rung.append(True))
    signal.setitimer(signal.ITIMER_REAL, theirs)
    try:
        with deadline.limited(10):
            time.sleep(0.5)
        left = signal.getitimer(signal.ITIMER_REAL)[0]
        assert bool(rung) is (theirs < 1)
        assert (15 < left < 19.6) is (theirs > 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_another_thread_has_no_limit() -> None:
    done = []

    def work() -> None:
        with deadline.limited(0.05):
            time.sleep(0.2)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert done == [True]
