#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible-test integration under the newest supported ansible-core; the targets need no guest.
set -u
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/ansible-versions.sh"
. "$(dirname "$0")/ansible-test.sh"

ready test integration
ansible_test_setup || exit 1
run_ansible_test integration
