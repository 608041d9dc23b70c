# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs a script with its files in a private directory.
# k_script: its name; k_seconds: how long it may take.
: "${k_script?}" "${k_seconds?}"
k_uptime=

# limited COMMAND...: runs it for at most k_seconds, if the host has a timeout.
limited() {
	if timeout 9 true >/dev/null 2>&1; then
		timeout -s KILL "$k_seconds" "$@"
	elif timeout -t 9 true >/dev/null 2>&1; then
		timeout -t "$k_seconds" -s KILL "$@"
	else
		"$@"
	fi
}

private_dir programs_run
unpack
mkdir work
mv files/* work
cd work || stop INFRA "the private directory of the host vanished"
uptime
k_start=$k_uptime
limited sh "./$k_script" >../out.txt 2>../err.txt </dev/null
value status "$?"
uptime
value took "$k_start $k_uptime"
k_size=$(wc -c <../out.txt)
[ "$k_size" -le 1048576 ] || value cut yes
text out 1048576 <../out.txt
text err 1048576 <../err.txt
