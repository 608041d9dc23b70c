# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Words for loading and unloading modules; the calls come after it.
k_taken=
k_last=

# tool NAME ARGUMENTS...: insmod, rmmod or modprobe, also where only busybox or kmod bring them.
tool() {
	if have "$1"; then
		"$@"
	elif have kmod; then
		kmod "$@"
	else
		busybox "$@"
	fi
}

# build_id MODULE: the id the linker gave to a loaded module.
build_id() {
	[ ! -r "/sys/module/$1/notes/.note.gnu.build-id" ] ||
		od -An -v -tx1 "/sys/module/$1/notes/.note.gnu.build-id" | tr -d ' \n'
}

# same_value SYSFS GIVEN: whether a parameter has the given value, as the kernel writes it.
same_value() {
	case $1:$2 in
	Y:1 | Y:y | N:0 | N:n) return 0 ;;
	esac
	[ "$(printf '%s' "$1" | tr - _)" = "$(printf '%s' "$2" | tr - _)" ]
}

# different MODULE SRCVERSION BUILDID PARAMETERS...: sets k_why to how the loaded module differs, or to nothing.
different() {
	k_why=
	k_name=$1
	if [ -n "$2" ] && [ -r "/sys/module/$1/srcversion" ]; then
		k_have=$(cat "/sys/module/$1/srcversion")
		[ "$k_have" = "$2" ] || k_why="srcversion $k_have instead of $2"
	fi
	if [ -z "$k_why" ] && [ -n "$3" ]; then
		k_have=$(build_id "$1")
		case $k_have in
		'' | *"$3") ;;
		*) k_why="another build of it" ;;
		esac
	fi
	shift 3
	for k_parameter; do
		k_file=/sys/module/$k_name/parameters/${k_parameter%%=*}
		if [ -z "$k_why" ] && [ -r "$k_file" ]; then
			k_have=$(cat "$k_file")
			k_given=${k_parameter#*=}
			k_given=${k_given#\"}
			same_value "$k_have" "${k_given%\"}" || k_why="${k_parameter%%=*}=$k_have"
		fi
	done
}

# new_log: the lines of the kernel log since remember_log.
new_log() {
	dmesg 2>/dev/null | K_LAST=$k_last awk '
		{ line[NR] = $0; if ($0 == ENVIRON["K_LAST"]) last = NR }
		END { for (i = last ? last + 1 : (NR > 40 ? NR - 40 : 1); i <= NR; i++) print line[i] }'
}

remember_log() {
	k_last=$(dmesg 2>/dev/null | tail -n 1)
}

# load MODULE FILE FRESH SRCVERSION BUILDID PARAMETERS...: FILE empty means modprobe by name.
load() {
	k_module=$1
	k_file=$2
	k_fresh=$3
	k_source=$4
	k_build=$5
	shift 5
	if loaded "$k_module"; then
		if [ "$k_fresh" = yes ]; then
			stop FAIL "$k_module is already loaded on the host, and it has to be loaded afresh: unload it first"
		fi
		different "$k_module" "$k_source" "$k_build" "$@"
		if [ -n "$k_why" ]; then
			stop FAIL "$k_module is already loaded on the host, but with $k_why: unload it first"
		fi
		value unchanged "$k_module"
		return
	fi
	if [ -n "$k_file" ]; then
		k_error=$(tool insmod "$k_file" "$@" 2>&1 </dev/null)
	else
		k_error=$(tool modprobe "$k_module" "$@" 2>&1 </dev/null)
	fi
	k_status=$?
	if [ $k_status = 0 ] && loaded "$k_module"; then
		k_taken="$k_module $k_taken"
		value changed "$k_module"
		return
	fi
	[ $k_status != 0 ] || k_error="no error was told, but $k_module is not in /proc/modules"
	value refused "$k_module"
	new_log | tail -n 60 | text log
	stop FAIL "$k_error"
}

# undo: unloads what this call loaded, newest first.
undo() {
	for k_one in $k_taken; do
		tool rmmod "$k_one" >/dev/null 2>&1 || value not_undone "$k_one"
	done
	k_taken=
}

# unload MODULE: until it is gone, for about a second while somebody lets go of it.
unload() {
	if ! loaded "$1"; then
		value unchanged "$1"
		return
	fi
	k_tries=0
	while :; do
		k_error=$(tool rmmod "$1" 2>&1 </dev/null)
		if ! loaded "$1"; then
			value changed "$1"
			return
		fi
		k_tries=$((k_tries + 1))
		[ $k_tries -lt 10 ] || break
		rest
	done
	value stuck "$1"
	value users "$1 $(awk -v name="$1" '$1 == name { print $3, $4 }' /proc/modules)"
	printf '%s\n' "$k_error" | text "error-$1"
	new_log | tail -n 40 | text "log-$1"
}
