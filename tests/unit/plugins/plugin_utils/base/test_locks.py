# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between processes."""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.kedr.lab.plugins.plugin_utils.base.locks import locked


def test_a_lock_that_is_held_says_once_that_it_waits(tmp_path):
    path = str(tmp_path / "lock")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl,sys\nf=open(sys.argv[1],'a')\nfcntl.flock(f,2)\nprint(flush=True)\ninput()",
            path,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdin is not None
    holder.stdout.readline()
    told = []

    def waiting():
        told.append("waits")
        holder.communicate(b"\n")

    with locked(path, waiting):
        assert told == ["waits"]
