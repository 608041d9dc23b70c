#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The table of records in Spark, in local mode. Not in `make test`: pyspark is half a gigabyte and needs Java.
set -u
. "$(dirname "$0")/../lib.sh"

command -v java >/dev/null 2>&1 || "$root/scripts/packages.sh" spark || exit 1
ready spark
SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=$venv/bin/python python -m pytest -v tests/spark
