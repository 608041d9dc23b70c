#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The module does everything when it is loaded.

if grep -q '^texts ' /proc/modules; then
	echo "check loaded ok"
else
	echo "check loaded bad it is not in /proc/modules"
fi
