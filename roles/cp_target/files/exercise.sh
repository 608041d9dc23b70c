#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Uses cp_target: a write and a read whose bytes must agree, then a spin of ioctls and seeks.
# Prints "check NAME ok" or "check NAME bad DETAIL" per check.

text=123456789788

i=0
while [ ! -c /dev/cfake1 ] && [ "$i" -lt 50 ]; do
	i=$((i + 1))
	sleep 0.1
done

if echo "$text" >/dev/cfake0; then
	echo "check write ok"
else
	echo "check write bad echo could not write $text"
fi

# The device answers with the 13 bytes written and then with zeros.
dd if=/dev/cfake0 ibs=20 count=1 of=read.bin 2>/dev/null
size=$(wc -c <read.bin)
back=$(dd if=read.bin bs=13 count=1 2>/dev/null)
if [ "$size" -eq 20 ] && [ "$back" = "$text" ]; then
	echo "check read ok"
else
	echo "check read bad $size bytes: $back"
fi

chmod 0700 cfake_exercise && ./cfake_exercise /dev/cfake0 && ./cfake_exercise /dev/cfake1
