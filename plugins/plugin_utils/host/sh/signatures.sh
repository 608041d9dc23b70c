# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whether the kernel loads unsigned modules.
k_why=
k_line=

# takes_unsigned: whether it does; sets k_why to why not.
takes_unsigned() {
	k_why=
	first_line /sys/module/module/parameters/sig_enforce
	case $k_line in
	Y | 1) k_why='module.sig_enforce is on' ;;
	esac
	first_line /sys/kernel/security/lockdown
	case $k_line in
	*'[integrity]'* | *'[confidentiality]'*)
		k_why=${k_line#*[}
		k_why="the kernel is locked down (${k_why%%]*}), as it is under Secure Boot"
		;;
	esac
	[ -z "$k_why" ]
}

# need_signed MODULE...: stops if the kernel would refuse one of these unsigned modules; before anything is loaded.
need_signed() {
	takes_unsigned && return
	for k_module; do
		if ! loaded "$k_module"; then
			stop SKIP "$k_why: only signed modules are loaded, and $k_module is not signed, so it was not tried. Sign it with a key that the kernel trusts (kedr_signing_key and kedr_signing_cert; facts.json lists the keys that it knows), or turn this off on the test host"
		fi
	done
}
