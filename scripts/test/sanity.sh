#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible-test sanity under the oldest and the newest supported ansible-core.
set -u
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/ansible-versions.sh"
. "$(dirname "$0")/ansible-test.sh"

"$root/scripts/packages.sh" sanity || exit 1
ansible_test_setup || exit 1
each_ansible run_ansible_test sanity
status=$?
note "sanity.sh: Pythons that the system does not have are not tried; the plugins run on the control node only"
exit "$status"
