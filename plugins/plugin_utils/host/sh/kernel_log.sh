# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Functions for the kernel log of a run: the lines that begin and end it, and the log itself.

# mark_log TEXT: writes a line to the kernel log, at a level that consoles show.
mark_log() {
	[ -c /dev/kmsg ] && { printf '<1>%s\n' "$1" >/dev/kmsg; } 2>/dev/null
}

# whole_log: prints the kernel log, with the level of each line if the host's dmesg prints it.
whole_log() {
	dmesg -r 2>/dev/null || dmesg 2>&1
}

# send_log BYTES: answers with the kernel log, at most so many bytes.
send_log() {
	if k_log=$(whole_log); then
		printf '%s\n' "$k_log" | text dmesg "$1"
	else
		value missing "kernel log ($k_log)"
	fi
}
