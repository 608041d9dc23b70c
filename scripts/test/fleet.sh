#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Watches of many hosts: a hundred simulated ones, each with namespaces and an sshd of its own, and a real guest.
set -u
. "$(dirname "$0")/../lib.sh"

become_root "$@"
ready test lab fleet
# A container may see the kernel's tracing but not be allowed to use it.
probe=/sys/kernel/tracing/instances/kedr-probe-$$
if error=$(mkdir "$probe" 2>&1); then
    rmdir "$probe"
else
    note "tests/fleet/test_this_kernel.py did not run: a trace instance cannot be made: $error"
    set -- --ignore=tests/fleet/test_this_kernel.py "$@"
fi
python -m pytest -q tests/fleet "$@"
