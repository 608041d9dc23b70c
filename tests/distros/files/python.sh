#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A python3 that says it is 3.6 and writes down that somebody asked.
echo "$*" >>/standin/python-called
echo 'Python 3.6.15'
