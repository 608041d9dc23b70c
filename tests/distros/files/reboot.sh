#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# reboot of a stand-in host: its first process does the rest.
: >/standin/reboot
kill "$(cat /run/sshd.pid)"
