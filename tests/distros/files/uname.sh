#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# uname of a stand-in host, whose kernel is told by a file.
case $* in
-r) exec cat /standin/release ;;
*) exec /usr/bin/uname "$@" ;;
esac
