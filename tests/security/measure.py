# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command and says, as JSON, how it ended and how much memory the largest of its processes took.

Usage: measure.py COMMAND ...  A process of its own does it: a child begins with the peak of who started it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys


def main() -> None:
    done = subprocess.run(
        sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    print(json.dumps({"status": done.returncode, "said": done.stdout.decode(errors="replace"), "peak": peak}))


if __name__ == "__main__":
    main()
