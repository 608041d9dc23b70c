#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Checks what a script of an exercise is promised.
if [ "$(cat beside.txt)" = "beside" ]; then echo "check files ok"; else echo "check files bad not there"; fi
if [ "$WORD" = "it's" ]; then echo "check env ok"; else echo "check env bad $WORD"; fi
pwd
exit "${STATUS:-0}"
