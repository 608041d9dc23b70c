# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Functions to load and unload modules; private_dir and then the calls follow.
# k_timeout: seconds that one insmod, modprobe or rmmod may take.
: "${k_timeout?}" "${k_token?}" "${k_dir?}"
k_taken=
k_mark=
k_seen=
k_status=
k_line=
k_tree=/lib/modules/$(uname -r)
k_modprobe_dirs='/etc/modprobe.d/* /run/modprobe.d/* /usr/local/lib/modprobe.d/* /usr/lib/modprobe.d/* /lib/modprobe.d/*'

# tool NAME ARGUMENT...: becomes insmod, rmmod or modprobe, also where only busybox or kmod has them.
tool() {
	if have "$1"; then
		exec "$@"
	elif have kmod; then
		exec kmod "$@"
	else
		exec busybox "$@"
	fi
}

# limited NAME ARGUMENT...: runs the tool; sets k_status to its exit status, or to late after k_timeout seconds, and
# k_error to its output. A late tool is killed but not waited for: nothing ends an init function that hangs in the
# kernel. The process that waits for it is killed first: later, the timer's number may belong to another process.
limited() {
	rm -f "$k_dir/status"
	sleep "$k_timeout" >/dev/null 2>&1 &
	k_timer=$!
	raced "$@" >/dev/null 2>&1 </dev/null &
	k_racer=$!
	wait "$k_timer" 2>/dev/null
	k_status=late
	[ ! -s "$k_dir/status" ] || read -r k_status <"$k_dir/status"
	k_error=$(cat "$k_dir/said")
	[ "$k_status" = late ] || return 0
	k_error="$1 of $k_module did not end within $k_timeout s"
	kill -KILL "$k_racer" "$(cat "$k_dir/pid")" 2>/dev/null
}

# raced NAME ARGUMENT...: runs the tool, then ends the sleep that `limited` waits for.
raced() {
	tool "$@" >"$k_dir/said" 2>&1 &
	echo $! >"$k_dir/pid"
	wait $!
	echo $? >"$k_dir/status"
	kill -KILL "$k_timer"
}

# build_id MODULE: prints the build ID of a loaded module.
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
		*) k_why="another build ID" ;;
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

# new_log: prints the lines of the kernel log since remember_log. If the mark is gone, the log has wrapped and all lines
# are new. If there was no mark, those after the counted lines are new.
new_log() {
	dmesg 2>/dev/null | K_MARK=$k_mark K_SEEN=$k_seen awk '
		{ line[NR] = $0; if (index($0, ENVIRON["K_MARK"])) last = NR }
		END {
			split(ENVIRON["K_SEEN"], seen, " ")
			if (!last && !(seen[2] + 0)) last = seen[1] < NR ? seen[1] + 0 : NR - 60
			for (i = last < 0 ? 1 : last + 1; i <= NR; i++) print line[i]
		}'
}

# mark TEXT: writes a line to the kernel log, if possible.
mark() {
	[ ! -c /dev/kmsg ] || { printf '%s\n' "$1" >/dev/kmsg; } 2>/dev/null || :
}

# remember_log: marks the kernel log; sets k_seen to the number of its lines, and whether the mark is one of them.
remember_log() {
	k_mark="kedr: mark $k_token"
	mark "$k_mark"
	k_seen=$(dmesg 2>/dev/null | K_MARK=$k_mark awk '
		index($0, ENVIRON["K_MARK"]) { seen = 1 }
		END { print NR, seen + 0 }')
}

# built_in MODULE: whether it is built into the kernel.
built_in() {
	tr - _ <"$k_tree/modules.builtin" 2>/dev/null | grep -q "/$1\.ko"
}

# users MODULE: sets k_users to the modules that use a loaded one, or to how often it is in use.
users() {
	k_users=$(awk -v name="$1" '
		$1 == name && $4 != "-" { sub(",$", "", $4); gsub(",", ", ", $4); print ", used by " $4; exit }
		$1 == name && $3 > 0 { print ", in use " $3 " times" }' /proc/modules)
}

# origin MODULE: sets k_origin to the file that modprobe loads for it, or to nothing.
origin() {
	k_origin=$(tool modinfo -n "$1" 2>/dev/null)
	[ ! -f "$k_origin" ] || return 0
	k_origin=$(awk -F: -v name="$1" '{
		base = $1; sub(".*/", "", base); sub("[.]ko.*", "", base); gsub("-", "_", base)
		if (base == name) { print $1; exit }
	}' "$k_tree/modules.dep" 2>/dev/null)
	case $k_origin in
	'' | /*) ;;
	*) k_origin=$k_tree/$k_origin ;;
	esac
}

# bring MODULE: answers with the identity and the file of a loaded module. The control node may lack zstd to unpack it.
bring() {
	origin "$1"
	[ -r "$k_origin" ] || return 0
	value origin "$1 $k_origin"
	first_line "/sys/module/$1/srcversion"
	value identity "$1 ${k_line:--} $(build_id "$1")"
	case $k_origin in
	*.zst) ! zstd -dcq "$k_origin" >"$k_dir/unpacked" 2>/dev/null || k_origin=$k_dir/unpacked ;;
	esac
	blob "$1.ko" "$k_origin"
	rm -f "$k_dir/unpacked"
}

# configured MODULE: sets k_why to the file and line by which modprobe does something else than load it, or to nothing.
# A blacklist only forbids to load a module by an alias; modprobe then ends without an error.
configured() {
	k_why=
	k_name=$1
	set --
	for k_one in /etc/modprobe.conf $k_modprobe_dirs; do
		[ ! -f "$k_one" ] || set -- "$@" "$k_one"
	done
	[ $# -gt 0 ] || return 0
	k_lines=$(awk -v quiet="$k_status" '
		$1 == "install" || ($1 == "blacklist" && quiet == 0) { gsub("-", "_", $2); print FILENAME ":" FNR, $0 }
	' "$@" 2>/dev/null)
	while read -r k_one k_word k_pattern k_rest; do
		# shellcheck disable=SC2254  # the name may be a pattern
		case $k_name in
		$k_pattern)
			k_why="$k_one: $k_word $k_pattern${k_rest:+ $k_rest}"
			return
			;;
		esac
	done <<-EOF
		$k_lines
	EOF
}

# not_loaded: says why $k_module could not be loaded, and stops.
not_loaded() {
	k_what=insmod
	[ -n "$k_file" ] || k_what=modprobe
	if [ "$k_status" = 0 ]; then
		k_error="$k_what reported no error, but $k_module is not in /proc/modules"
		! built_in "$k_module" || k_error="$k_module is built into this kernel: it cannot be loaded"
	elif [ -z "$k_error" ]; then
		k_error="$k_what printed nothing and ended with exit status $k_status"
		case $k_status in
		13[0-9] | 1[4-9][0-9]) k_error="$k_error (signal $((k_status - 128)): did it crash in the kernel?)" ;;
		esac
	fi
	if [ -z "$k_file" ]; then
		configured "$k_module"
		[ -z "$k_why" ] || k_error="$k_error. modprobe follows $k_why: if that keeps the module from loading, remove the line on this test host"
	fi
	value refused "$k_module"
	new_log | tail -n 200 | text log
	stop FAIL "$k_error"
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
			users "$k_module"
			stop FAIL "$k_module is already loaded on the host$k_users, but must be loaded afresh: unload it first"
		fi
		different "$k_module" "$k_source" "$k_build" "$@"
		if [ -n "$k_why" ]; then
			stop FAIL "$k_module is already loaded on the host, but with $k_why: unload it first"
		fi
		value unchanged "$k_module"
		return
	fi
	if [ -n "$k_file" ]; then
		limited insmod "$k_file" "$@"
	else
		limited modprobe "$k_module" "$@"
	fi
	if [ "$k_status" = 0 ] && loaded "$k_module"; then
		k_taken="$k_module $k_taken"
		value changed "$k_module"
		return
	fi
	not_loaded
}

# undo: unloads what this call loaded, newest first.
undo() {
	for k_module in $k_taken; do
		limited rmmod "$k_module"
		[ "$k_status" = 0 ] || value not_undone "$k_module"
	done
	k_taken=
}

# unload MODULE REST: unloads it; tries for about a second while it is in use. REST: yes to unload also the modules that
# it depends on and that nothing else uses.
unload() {
	k_module=$1
	k_rest=$2
	if ! loaded "$1"; then
		value unchanged "$1"
		return
	fi
	k_tries=0
	while :; do
		if [ "$k_rest" = yes ]; then limited modprobe -r "$1"; else limited rmmod "$1"; fi
		if ! loaded "$1"; then
			value changed "$1"
			return
		fi
		k_tries=$((k_tries + 1))
		case $k_tries:$k_status in
		10:* | *:late) break ;;
		esac
		rest
	done
	value stuck "$1"
	value users "$1 $(awk -v name="$1" '$1 == name { print $3, $4 }' /proc/modules)"
	printf '%s\n' "$k_error" | text "error-$1"
	new_log | tail -n 40 | text "log-$1"
}
