# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every program sent to a host starts with these functions. The sender sets the values k_*.
: "${k_nonce?}" "${k_token?}"
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
export LC_ALL PATH
umask 077
unset CDPATH
k_newline='
'
k_dir=
# Where private directories may be made, the usual place first.
k_bases='/tmp /var/tmp /run /root'

# flag KEY COMMAND...: answers yes if the command succeeds, else no.
flag() {
	k_key=$1
	shift
	if "$@"; then value "$k_key" yes; else value "$k_key" no; fi
}

# first_line FILE: sets k_line to it, without a new process. Not for numbers of /proc/sys, which must be read at once.
first_line() {
	k_line=
	[ ! -r "$1" ] || read -r k_line <"$1" || :
}

# uptime: sets k_uptime to the seconds since boot.
uptime() {
	# shellcheck disable=SC2034  # for the program that follows
	read -r k_uptime k_line </proc/uptime
}

# value KEY VALUE: answers with a value; line feeds in it become blanks.
value() {
	k_value=$2
	case $k_value in
	*"$k_newline"*) k_value=$(printf '%s' "$k_value" | tr '\n' ' ') ;;
	esac
	printf 'v %s %s\n' "$1" "$k_value"
}

# text NAME [BYTES]: answers with the lines of standard input, at most so many bytes.
text() {
	printf 'text %s\n' "$1"
	if [ -n "${2:-}" ]; then
		head -c "$2" | sed 's/^/|/'
	else
		sed 's/^/|/'
	fi
	printf '\n.\n'
}

# text_file FILE: answers with the lines of a file under its name, if it exists.
text_file() {
	if [ -f "$1" ]; then
		# shellcheck disable=SC2094  # text writes to no file
		text "$1" <"$1"
	fi
}

# blob NAME FILE: answers with a file, byte for byte.
blob() {
	k_bytes=$(wc -c <"$2")
	printf 'file %s %d\n' "$1" "$k_bytes"
	cat "$2"
	printf '\n'
}

# clean: removes the private directory of this call.
clean() {
	if [ -n "$k_dir" ]; then
		cd / && rm -rf "$k_dir"
		k_dir=
	fi
}

# finish: ends the answer. It first reads the rest of what the sender sends, so that the sender can end.
finish() {
	cat >/dev/null
	clean
	printf 'kedr-end %s\n' "$k_nonce"
	exit 0
}

# undo: undoes what a failed call did; programs define their own.
undo() {
	:
}

# stop KIND TEXT: ends the call as failed; KIND is FAIL, INFRA or SKIP.
stop() {
	undo
	value failed "$1"
	printf '%s\n' "$2" | text reason
	finish
}

# have COMMAND: whether the host has it.
have() {
	command -v "$1" >/dev/null 2>&1
}

# ours DIRECTORY: changes to a directory that this user made; fails for any other. Where all may write, another user can
# make a link or a directory of any name, and replace his own at any time, but not one of ours.
ours() {
	cd -P "${1%/*}/" 2>/dev/null || return 1
	k_parent=${PWD%/}
	cd -P "./${1##*/}" 2>/dev/null && [ "$PWD" = "$k_parent/${1##*/}" ] && [ -O . ]
}

# works_here PROCESS: whether the process runs in the current directory. Names of programs and of directories prove
# nothing: any user can choose them.
works_here() {
	case $1 in
	'' | *[!0-9]*) return 1 ;;
	esac
	# shellcheck disable=SC3013  # every sh of a host has it
	[ "/proc/$1/cwd" -ef . ]
}

# need_root WHAT: stops unless this runs as root.
need_root() {
	[ "$(id -u)" = 0 ] || stop INFRA "$1 needs root on the host: use become: true, or log in as root"
}

# programs_run: whether programs can run in the current directory; a mount option may forbid it.
programs_run() {
	{ printf '#!/bin/sh\nexit 0\n' >try && chmod 700 try && ./try; } 2>/dev/null && rm -f try
}

# private_dir [CHECK]: makes a private directory in which CHECK succeeds, and changes to it.
private_dir() {
	k_error=
	k_unfit=
	for k_base in $k_bases; do
		if ! k_error=$(mkdir "$k_base/kedr-$k_token" 2>&1); then continue; fi
		k_dir=$k_base/kedr-$k_token
		if cd "$k_dir" && "${1:-true}"; then return 0; fi
		k_unfit="$k_unfit $k_base"
		clean
	done
	[ -z "$k_unfit" ] || stop INFRA "no directory of the host allows programs to run (tried$k_unfit): mount one of them without noexec"
	stop INFRA "no directory could be made in any of $k_bases of the host: $k_error"
}

# unpack: unpacks the tar on standard input in the current directory.
unpack() {
	k_error=$(tar xof - 2>&1) && return 0
	case $k_error in
	*'o space left'*)
		stop INFRA "No space left on the host in $k_dir: free some and run again" ;;
	esac
	stop INFRA "the host could not unpack what was sent: $k_error"
}

# rest: sleeps for 0.1 s, or 1 s where sleep knows no fractions.
rest() {
	sleep 0.1 2>/dev/null || sleep 1
}

# loaded MODULE: whether the module is there, in any state.
loaded() {
	grep -q "^$1 " /proc/modules
}

trap 'clean; exit 1' HUP INT PIPE TERM
printf 'kedr-begin %s\n' "$k_nonce"
first_line /proc/sys/kernel/random/boot_id
[ -z "$k_line" ] || value boot "$k_line"
