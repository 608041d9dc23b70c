# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Answers which kernel runs; with k_reboot=yes the host then reboots.
: "${k_reboot?}"

# reboot_by COMMAND...: reboots in a second, in a session that outlives this one.
reboot_by() {
	if have setsid; then
		setsid sh -c 'sleep 1; exec "$@"' sh "$@" >/dev/null 2>&1 </dev/null &
	else
		nohup sh -c 'sleep 1; exec "$@"' sh "$@" >/dev/null 2>&1 </dev/null &
	fi
}

value release "$(uname -r)"
if [ "$k_reboot" = yes ]; then
	need_root 'Rebooting'
	if [ -d /run/systemd/system ] && have systemctl; then
		reboot_by systemctl reboot
	elif have shutdown; then
		reboot_by shutdown -r now
	elif have reboot; then
		reboot_by reboot
	else
		stop INFRA 'the host has neither systemctl nor shutdown nor reboot'
	fi
fi
