#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A python3 that writes down that somebody asked. It is Python 3.6 where the control node has one, else it only says so.
echo "$*" >>/standin/python-called
export PYTHONHOME=/standin/python LD_LIBRARY_PATH=/standin/python/lib
[ ! -x /standin/python/bin/python3.6 ] || exec /standin/python/bin/python3.6 "$@"
echo 'Python 3.6.15'
