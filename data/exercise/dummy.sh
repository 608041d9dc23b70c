#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Uses dummy: packets go to a network device that drops them, and all of them are counted.
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

# The addresses are from a range for documentation, which is routed nowhere.
sent() {
	cat "/sys/class/net/$1/statistics/tx_packets"
}

for device in dummy0 dummy1; do
	check "$device" ip link show "$device"
done
check up ip link set dummy0 up
check address ip address add 192.0.2.1/24 dev dummy0
check carrier-off ip link set dummy0 carrier off
check carrier-on ip link set dummy0 carrier on

before=$(sent dummy0)
bash -c 'for i in 1 2 3 4 5 6 7 8 9 10; do echo packet >/dev/udp/192.0.2.9/9; done'
check packets [ "$(sent dummy0)" -ge "$((before + 10))" ]

check new ip link add kedr-dummy type dummy
check new-up ip link set kedr-dummy up
check delete ip link delete kedr-dummy
check down ip link set dummy0 down
