# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What this host is and what it can do; after tracefs.sh, prepared.sh, programs.sh and kernel_log.sh. With k_marker, the
# line that begins a run in the kernel log, it first ends the programs that an interrupted run left running; else it
# changes nothing.
# k_symbols, k_configs: lines of names to look up; k_target: module that will be watched, or empty.
: "${k_symbols?}" "${k_configs?}" "${k_target?}" "${k_marker?}" "${k_tree?}" "${k_compiler?}" "${k_flavour?}" "${k_private?}"
k_tracing=
k_watched=/sys/module/cp_controller/parameters/target_name
k_line=
k_uptime=

# config_source RELEASE: prints the kernel's configuration.
config_source() {
	for k_file in "${k_tree:-/nonexistent}/include/config/auto.conf" "${k_tree:-/nonexistent}/.config" "/boot/config-$1"; do
		if [ -r "$k_file" ]; then
			cat "$k_file"
			return
		fi
	done
	[ ! -r /proc/config.gz ] || gzip -dc /proc/config.gz
}

# leftovers: answers with the modules that an interrupted run left, in the order in which they can be unloaded.
leftovers() {
	loaded cp_controller || return 0
	for k_module in $(watched); do
		! loaded "$k_module" || value left_module "$k_module"
	done
	for k_module in /sys/module/cp_controller/holders/*; do
		[ ! -e "$k_module" ] || value left_module "${k_module##*/}"
	done
	value left_module cp_controller
}

# begin: writes the line that begins the run to the kernel log, unless it is there already.
begin() {
	dmesg 2>/dev/null | grep -q "$k_marker\$" || mark_log "$k_marker"
}

# watched: prints the names of the modules that the loaded controller watches, whichever target this run has.
watched() {
	if [ -r "$k_watched" ]; then
		tr ',-' ' _' <"$k_watched"
	fi
}

if [ -n "$k_marker" ] && loaded cp_controller; then
	end_programs /tmp/kedr-stream-* /var/tmp/kedr-stream-*
	end_private "$k_private"
fi
k_release=$(uname -r)
k_machine=$(uname -mv)
value release "$k_release"
split "$k_release"
value flavour "$k_flavour"
value build "${k_machine% *}"
value machine "${k_machine##* }"
flag root [ "$(id -u)" = 0 ]
for k_file in /etc/os-release /usr/lib/os-release; do
	if [ -r "$k_file" ]; then
		text os_release <"$k_file"
		break
	fi
done
text version </proc/version
kernel_tree "$k_release"
value kernel_tree "$k_tree"
for k_tool in make gcc ld tar awk insmod rmmod modprobe dmesg timeout busybox; do
	if have "$k_tool"; then value tool "$k_tool yes"; else value tool "$k_tool no"; fi
done
compiler
[ -z "$k_compiler" ] || value compiler "$k_compiler"
lacks "$k_release"
k_config=$(config_source "$k_release")
if [ -n "$k_config" ]; then
	value config_sum "$(printf '%s\n' "$k_config" | cksum | tr ' ' -)"
	{
		printf '%s\n' "$k_configs"
		echo '='
		printf '%s\n' "$k_config"
	} | awk -F= '/^=/ { body = 1; next } !body { wanted[$1]; next } $2 == "y" && $1 in wanted { print $1 }' | text config
fi
if [ -r "$k_tree/Module.symvers" ] && [ -n "$k_tree" ]; then
	value symvers_sum "$(cksum <"$k_tree/Module.symvers" | tr ' ' -)"
	{
		printf '%s\n' "$k_symbols"
		echo '='
		cat "$k_tree/Module.symvers"
	} | awk -F'\t' '/^=/ { body = 1; next } !body { wanted[$1]; next } $2 in wanted && $5 !~ /^module:/ { print $2 }' |
		text exports
fi
find_tracing
value tracefs "$k_tracing"
if [ -n "$k_tracing" ]; then
	flag instances [ -d "$k_tracing/instances" ]
	[ ! -r "$k_tracing/trace_clock" ] || text clocks <"$k_tracing/trace_clock"
	for k_file in "$k_tracing"/instances/kedr*; do
		[ ! -d "$k_file" ] || value left_instance "${k_file##*/}"
	done
fi
value taint "$(cat /proc/sys/kernel/tainted)"
text modules </proc/modules
first_line /sys/kernel/security/lockdown
value lockdown "$k_line"
first_line /sys/module/module/parameters/sig_enforce
value sig_enforce "$k_line"
[ ! -r /proc/keys ] || awk '$8 == "asymmetri" { sub(/^.*asymmetri +/, ""); sub(/: X509\..*$/, ""); print }' /proc/keys | text keys
value cpus "$(grep -c '^processor' /proc/cpuinfo)"
uptime
value uptime "$k_uptime"
leftovers
[ -z "$k_target" ] || flag target_loaded loaded "$k_target"
if [ -n "$k_marker" ]; then
	flag marker begin
fi
