# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Holds a host for one run, or releases it. The hold is a symbolic link whose text says who holds the host: a link is
# made whole or not at all.
# k_want: look, take or drop; k_claim: who wants it, words NAME=VALUE; k_since: when, in seconds since 1970;
# k_stale: the text of a hold that may be replaced, or empty; k_marker: the line that ends the run in the kernel log, or
# empty; k_bytes: limit of the log. After kernel_log.sh.
: "${k_want?}" "${k_claim?}" "${k_since?}" "${k_stale?}" "${k_marker?}" "${k_bytes?}" "${k_uptime=}" "${k_line=}"
k_held=

# held: sets k_held to the text of the hold, or to nothing.
held() {
	k_held=$(readlink "$k_hold" 2>/dev/null)
}

# streams: whether a program that sends a trace runs on the host.
streams() {
	for k_file in /tmp/kedr-stream-* /var/tmp/kedr-stream-*; do
		if (ours "$k_file" && [ -f pid ] && first_line pid && works_here "$k_line"); then return 0; fi
	done
	return 1
}

# about: answers with who holds the host, whether it sends a trace, and its uptime.
about() {
	value held "$k_held"
	flag streams streams
	uptime
	value uptime "$k_uptime"
}

# take: makes the hold, after removing a stale one. If two runs replace the same hold, the later one wins; both look
# after a rest.
take() {
	uptime
	k_own="$k_claim since=$k_since boot=$k_boot up=${k_uptime%%.*}"
	held
	case $k_held in
	"$k_claim "*)
		value taken before
		return
		;;
	esac
	k_rest=
	if [ -n "$k_stale" ] && [ "$k_held" = "$k_stale" ]; then
		rm -f "$k_hold"
		k_rest=yes
	fi
	k_error=$(ln -s "$k_own" "$k_hold" 2>&1)
	[ -z "$k_rest" ] || rest
	held
	if [ "$k_held" = "$k_own" ]; then
		value taken now
	elif [ -n "$k_held" ]; then
		about
	else
		stop INFRA "the host cannot be held for this run: $k_error"
	fi
}

# drop: removes the hold, if it is this run's.
drop() {
	held
	case $k_held in
	"$k_claim "*)
		rm -f "$k_hold" || stop INFRA "the hold $k_hold cannot be removed"
		value dropped yes
		;;
	esac
}

# Not in a directory where all may write: another user could hold the host for ever.
k_hold=/dev/.kedr-hold
[ ! -d /run ] || k_hold=/run/kedr-hold
first_line /proc/sys/kernel/random/boot_id
k_boot=${k_line:--}
case $k_want in
look)
	held
	[ -z "$k_held" ] || about
	;;
take)
	need_root "Holding a host"
	take
	;;
drop)
	need_root "Releasing a host"
	if [ -n "$k_marker" ]; then
		flag marked mark_log "$k_marker"
		send_log "$k_bytes"
	fi
	drop
	;;
esac
