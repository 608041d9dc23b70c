#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Uses nf_tables: a small rule set is made, changed, counts packets, and is removed.
# Prints "check NAME ok" or "check NAME bad DETAIL" per check.

# check NAME COMMAND...: whether the command succeeds; its output is the detail.
check() {
	name=$1
	shift
	if said=$("$@" 2>&1); then
		echo "check $name ok"
	else
		echo "check $name bad $(echo "$said" | tr '\n' ' ') ($*)"
	fi
}

cat >rules.nft <<'END'
table inet kedr {
	set hosts {
		type ipv4_addr
		elements = { 192.0.2.1, 192.0.2.2 }
	}
	map ports {
		type inet_service : verdict
		elements = { 9 : drop, 10 : accept }
	}
	chain other {
		counter
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "lo" udp dport 9 counter comment "discarded"
		ip saddr @hosts counter drop
		udp dport vmap @ports
		jump other
	}
}
END

ip link set lo up
check load nft -f rules.nft
check list nft list table inet kedr
bash -c 'echo packet >/dev/udp/127.0.0.1/9'
check counted sh -c 'nft list chain inet kedr input | grep -q "udp dport 9 counter packets [1-9]"'
check add nft add element inet kedr hosts '{ 192.0.2.3, 192.0.2.4 }'
check delete nft delete element inet kedr hosts '{ 192.0.2.1 }'
check again sh -c '! nft list set inet kedr hosts | grep -qF 192.0.2.1,'
check refused sh -c '! nft add rule inet kedr nowhere accept'
check rename nft rename chain inet kedr other others
i=0
while [ "$i" -lt 10 ]; do
	i=$((i + 1))
	nft -f rules.nft
	nft flush table inet kedr
done
check flush nft delete table inet kedr
check empty [ -z "$(nft list ruleset)" ]

# Modules that were loaded for this rule set use nf_tables.
for holder in /sys/module/nf_tables/holders/*; do
	[ ! -e "$holder" ] || check "unload-${holder##*/}" rmmod "${holder##*/}"
done
