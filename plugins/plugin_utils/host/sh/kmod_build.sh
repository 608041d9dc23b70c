# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds modules from the tar on standard input.
# k_tree: kernel tree; k_modules: names of the modules, one per line, in order.
: "${k_tree?}" "${k_modules?}"

# build MODULE...: builds in a session of its own, if the host has setsid, so that all its processes can be ended.
build() {
	TMPDIR=$PWD
	export TMPDIR
	if have setsid; then
		exec setsid sh ./build.sh "$k_tree" "$@"
	else
		exec sh ./build.sh "$k_tree" "$@"
	fi
}

# watch: ends the build when the sender is gone.
watch() {
	trap '' PIPE
	while sleep 2 >/dev/null 2>&1 && value alive yes 2>/dev/null; do :; done
	works_here "$k_build" || return
	kill -- "-$k_build" 2>/dev/null || kill "$k_build"
}

[ -f "$k_tree/Makefile" ] || stop INFRA "no kernel tree at $k_tree"
for k_tool in make gcc ld tar; do
	have "$k_tool" || stop INFRA "$k_tool is missing on the host that builds the modules"
done
value compiler "$(gcc --version 2>/dev/null | sed 1q)"
private_dir programs_run
unpack
# shellcheck disable=SC2086  # names of modules hold no blanks
build $k_modules >said.txt 2>&1 </dev/null &
k_build=$!
watch &
k_watch=$!
wait "$k_build"
value status "$?"
kill "$k_watch" 2>/dev/null
text said <said.txt
text_file probes.log
set --
[ ! -f generated/kedr/config.h ] || set -- generated/kedr/config.h
for k_module in $k_modules; do
	text_file "$k_module.log"
	for k_file in "$k_module/$k_module.ko" "symvers/$k_module.symvers" "$k_module"/user/*; do
		case $k_file in
		*.c | *.h) continue ;;
		esac
		[ ! -f "$k_file" ] || set -- "$@" "$k_file"
	done
done
[ $# -gt 0 ] || finish
if k_error=$(tar cf result.tar "$@" 2>&1); then
	blob result.tar result.tar
else
	value pack_error "$k_error"
fi
