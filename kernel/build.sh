#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds kernel modules in a stage directory.
#
#   sh build.sh TREE MODULE...
#
# Run inside the stage directory:
#   build.sh  include/kedr/*.h  probes/  MODULE/{Kbuild,*.c,*.h,user/*.c}
# TREE is a configured kernel tree. The modules are built in the order given;
# a later one may use what an earlier one exports (symvers/MODULE.symvers).
#
# Answers on stdout, one line each:
#   probe NAME yes|no        an answer of the tree (only when they are asked)
#   begin MODULE
#   built MODULE SECONDS
#   failed MODULE            the log is MODULE.log
#   broken-tree              not even a trivial module compiles: probes.log
# Exit status: 0 if every module was built, 1 if not, 2 on wrong usage.

set -u
LC_ALL=C
export LC_ALL

stage=$(pwd)
config=$stage/generated/kedr/config.h

die() {
	echo "build.sh: $1" >&2
	exit 2
}

processors() {
	n=$(nproc 2>/dev/null) || n=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || n=1
	echo "${n:-1}"
}

# A tree for 32-bit x86 may be used on a 64-bit kernel, where kbuild would take the architecture from uname.
architecture() {
	if grep -qs '^CONFIG_X86_32=y' "$tree/.config" \
		"$tree/include/config/auto.conf"; then
		echo ARCH=i386
	fi
}

# The gcc of the version that made the kernel, where the usual one is of another version and that one is beside it.
kernel_compiler() {
	version=$(sed -n 's/^CONFIG_GCC_VERSION=\([0-9]*\)[0-9]\{4\}$/\1/p' \
		"$tree/include/config/auto.conf" 2>/dev/null)
	if [ -n "$version" ] && command -v "gcc-$version" >/dev/null 2>&1 &&
		[ "$(gcc -dumpversion 2>/dev/null | cut -d. -f1)" != "$version" ]; then
		echo "CC=gcc-$version"
	fi
}

# kbuild DIRECTORY [ARGUMENT...]: builds the modules of a directory.
kbuild() {
	directory=$1
	shift
	# shellcheck disable=SC2046 # each is nothing, or one word without blanks
	make -C "$tree" M="$directory" -j"$(processors)" $(architecture) \
		$(kernel_compiler) "$@" modules
}

# The probes that probes/Kbuild names, one per line, "always" first.
probe_names() {
	sed -n 's/^obj-m *[:+]*= *\([a-z0-9_]*\)\.o *$/\1/p' probes/Kbuild
}

write_config() {
	echo '/* SPDX-License-Identifier: GPL-2.0-only */'
	echo '/* Made by build.sh from the answers of one kernel tree. */'
	echo '#ifndef KEDR_CONFIG_H'
	echo '#define KEDR_CONFIG_H'
	for name in $(probe_names); do
		if [ -f "probes/$name.o" ]; then
			echo "#define KEDR_HAVE_$(echo "$name" | tr '[:lower:]' '[:upper:]') 1"
		fi
	done
	echo '#endif /* KEDR_CONFIG_H */'
}

ask_tree() {
	rm -f probes/*.o
	kbuild "$stage/probes" -k >probes.log 2>&1
	if [ ! -f probes/always.o ]; then
		echo broken-tree
		exit 1
	fi
	for name in $(probe_names); do
		if [ -f "probes/$name.o" ]; then
			echo "probe $name yes"
		else
			echo "probe $name no"
		fi
	done
	mkdir -p generated/kedr
	write_config >"$config.new" && mv "$config.new" "$config"
}

symvers_list() {
	for file in "$stage"/symvers/*.symvers; do
		if [ -f "$file" ]; then
			printf '%s ' "$file"
		fi
	done
}

# The compiler for programs: the usual one, or the one the kernel was made with.
compiler() {
	for name in gcc cc "$(sed -n 's/^CONFIG_CC_VERSION_TEXT="*\([^ "]*\).*/\1/p' \
		"$tree/include/config/auto.conf" 2>/dev/null)"; do
		if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then
			echo "$name"
			return
		fi
	done
	echo gcc
}

build_programs() {
	cc=$(compiler)
	for source in "$1"/user/*.c; do
		[ -f "$source" ] || continue
		if ! echo '#include <stdio.h>' | "$cc" -E -x c - >/dev/null; then
			echo "$source: error: $cc finds no stdio.h; install libc6-dev or glibc-devel"
			return 1
		fi
		"$cc" -O2 -Wall -Wextra -Werror -I"$1" -o "${source%.c}" "$source" || return 1
	done
}

build_module() {
	[ -f "$1/Kbuild" ] || { echo "$1/Kbuild: no such file"; return 1; }
	rm -f "$1/$1.ko"
	kbuild "$stage/$1" KBUILD_EXTRA_SYMBOLS="$(symvers_list)" || return 1
	[ -f "$1/$1.ko" ] || { echo "$1/$1.ko was not made"; return 1; }
	strip -g "$1/$1.ko" || return 1
	mkdir -p symvers
	if [ -f "$1/Module.symvers" ]; then
		cp "$1/Module.symvers" "symvers/$1.symvers" || return 1
	fi
	build_programs "$1"
}

[ $# -ge 2 ] || die 'usage: sh build.sh TREE MODULE...'
tree=$1
shift
[ -f "$tree/Makefile" ] || die "$tree: not a kernel tree (it has no Makefile)"
[ -f probes/Kbuild ] || die 'probes/Kbuild is missing; run inside the stage directory'
for module in "$@"; do
	case $module in
	'' | *[!A-Za-z0-9_]*) die "'$module' is not the name of a module" ;;
	esac
done

[ -f "$config" ] || ask_tree

status=0
for module in "$@"; do
	echo "begin $module"
	started=$(date +%s)
	if build_module "$module" >"$module.log" 2>&1; then
		echo "built $module $(($(date +%s) - started))"
	else
		echo "failed $module"
		status=1
	fi
done
exit $status
