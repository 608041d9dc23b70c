# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Functions for what building kernel modules needs: the kernel's tree, gcc, and what the host lacks.
k_tree=
k_gcc=
k_compiler=
k_flavour=
k_version=
k_line=

# compiler: sets k_compiler to the first line of gcc --version, or to nothing.
compiler() {
	k_compiler=
	! have gcc || k_compiler=$(gcc --version 2>/dev/null | head -n 1)
}

# kernel_tree RELEASE: sets k_tree to the directory to build modules with, or to nothing.
kernel_tree() {
	for k_tree in "/lib/modules/$1/build" "/usr/src/linux-headers-$1" "/usr/src/kernels/$1"; do
		[ -f "$k_tree/Makefile" ] && return 0
	done
	k_tree=
}

# gcc_of TEXT: sets k_gcc to the version of gcc in the text of /proc/version or gcc --version, or to nothing. It is as in
# names of packages: 12, and 4.5 before gcc 5.
gcc_of() {
	k_gcc=
	case $1 in
	*'gcc version '[0-9]*) k_gcc=${1##*gcc version } ;;
	*gcc*') '[0-9]*)
		k_gcc=${1#*gcc}
		k_gcc=${k_gcc#*) }
		;;
	esac
	case $k_gcc in
	[1-4].[0-9]*)
		k_minor=${k_gcc#*.}
		k_gcc=${k_gcc%%.*}.${k_minor%%[!0-9]*}
		;;
	*) k_gcc=${k_gcc%%[!0-9]*} ;;
	esac
}

# kernel_gcc: sets k_gcc to the version of gcc that built the running kernel, or to nothing.
kernel_gcc() {
	first_line /proc/version
	gcc_of "$k_line"
}

# gcc_fits VERSION: whether k_compiler, or another gcc of the host, has that version.
gcc_fits() {
	gcc_of "$k_compiler"
	[ -z "$1" ] || [ "$k_gcc" = "$1" ] || have "gcc-$1" || have "x86_64-linux-gnu-gcc-$1"
}

# elf_needed RELEASE: whether building with k_tree needs the headers of libelf and they are missing. Some kernels stop
# any build without them; others need them to build objtool, if their package does not have it.
elf_needed() {
	for k_file in /usr/include/libelf.h /usr/include/*/libelf.h; do
		[ ! -f "$k_file" ] || return 1
	done
	# shellcheck disable=SC2016  # text of a Makefile
	if grep -qs '^CONFIG_UNWINDER_ORC=y' "$k_tree/include/config/auto.conf" "$k_tree/.config" &&
		grep -qs '$(error "Cannot generate ORC' "$k_tree/Makefile" "/lib/modules/$1/source/Makefile"; then
		return 0
	fi
	[ -f "$k_tree/tools/objtool/Makefile" ] && [ ! -x "$k_tree/tools/objtool/objtool" ] &&
		grep -qs -e '^CONFIG_STACK_VALIDATION=y' -e '^CONFIG_OBJTOOL=y' "$k_tree/include/config/auto.conf" "$k_tree/.config"
}

# flavours: for each kernel release on standard input, prints it and its flavour: what follows the numbers, or nothing.
# VERSION[-rcN]+BUILD-FLAVOUR, VERSION[-rcN]-BUILD-FLAVOUR, VERSION-BUILD.ARCH+FLAVOUR, VERSION[-rcN]-FLAVOUR.
flavours() {
	awk '{
		flavour = $1
		if (!sub(/^[^-+]*(-rc[0-9]+)?([+][^-]*-|-[0-9][^-+]*[-+])/, "", flavour) &&
			!(sub(/^[^-+]*(-rc[0-9]+)?-/, "", flavour) && flavour ~ /^[a-z]/)) flavour = ""
		print $1, flavour
	}'
}

# split RELEASE: sets k_version and k_flavour.
split() {
	k_flavour=$(printf '%s\n' "$1" | flavours)
	k_flavour=${k_flavour#* }
	k_version=${1%"$k_flavour"}
	[ -z "$k_flavour" ] || k_version=${k_version%?}
}

# lacks RELEASE: answers with what is missing, by the names of data/packages.yml; after kernel_tree and compiler.
lacks() {
	if [ -z "$k_tree" ]; then
		value lacks headers
	elif elf_needed "$1"; then
		value lacks elf
	fi
	if [ -n "$k_compiler" ]; then
		kernel_gcc
		gcc_fits "$k_gcc" || value lacks compiler_version
	else
		value lacks compiler
	fi
	have make || value lacks make
	[ -f /usr/include/stdio.h ] || value lacks libc
	have modprobe || have kmod || have busybox || value lacks kmod
	have tar || value lacks tar
}
