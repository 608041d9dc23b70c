#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: venv.sh oldest|newest run|collect|runner|test|spark
# Prints the folder of a virtual environment with the oldest or the newest supported ansible-core that this machine's
# Pythons allow. "collect" has in addition what a watch needs; "runner" that, ansible-runner and ansible-builder;
# "test" what "collect" has and the test tools; "spark" that and Spark. It is made if it is not in the cache; the key is
# the content of the requirements, and the Python. The Python's own pip installs only the pinned pip, which installs the
# rest; every file must have one of the sums in the requirements.
set -u
. "$(dirname "$0")/lib.sh"

which=$1 kind=$2
pythons=$("$root/scripts/pythons.sh") || exit 1

# Prints the first or the last line of $pythons whose minor version lies in $2..$3.
pick() {
    echo "$pythons" | while read -r version path; do
        minor=${version#3.}
        if [ "$minor" -ge "$2" ] && [ "$minor" -le "$3" ]; then echo "$version $path"; fi
    done | "$1" -n 1
}

case $which in
    oldest)
        core=2.19 python=$(pick head 11 13)
        [ -n "$python" ] || core=2.21 python=$(pick head 12 14)
        ;;
    newest)
        core=2.21 python=$(pick tail 12 14)
        [ -n "$python" ] || core=2.19 python=$(pick tail 11 13)
        ;;
    *) die "usage: venv.sh oldest|newest run|collect|runner|test|spark" ;;
esac
version=${python%% *} interpreter=${python#* }

own=$root/requirements/pip.txt
files="$root/requirements/ansible-$core.txt $root/requirements/common.txt"
[ "$kind" = run ] || files="$files $root/requirements/collect.txt"
[ "$kind" != runner ] || files="$files $root/requirements/runner.txt"
case $kind in test | spark) files="$files $root/requirements/test.txt" ;; esac
[ "$kind" != spark ] || files="$files $root/requirements/spark.txt"
# shellcheck disable=SC2086 # a list of files
key=$({ echo "$interpreter"; "$interpreter" -VV; cat "$own" $files; } | sha256sum | cut -c 1-12)
place=$KEDR_CACHE/venv/$kind-$core-py$version-$key

# Only wheels, without the build requirements of source packages, which have no sums. spark.txt has an exception.
pip_install() {
    "$place/bin/python" -m pip install --disable-pip-version-check --require-hashes --only-binary :all: \
        --no-build-isolation "$@"
}

# The stamp is written last: an environment without it, or that does not run, is made again.
usable() { [ -f "$place/complete" ] && "$place/bin/python" -I -c 'import ansible, jinja2' 2>/dev/null; }

mkdir -p "$KEDR_CACHE/venv"
exec 9>"$place.lock"
flock 9
if ! usable; then
    say "installing ansible-core $core for Python $version ($kind) into $place"
    log=$place.log
    rm -rf "$place"
    set --
    for file in $files; do set -- "$@" -r "$file"; done
    if ! { "$interpreter" -m venv "$place" && pip_install -r "$own" && pip_install "$@"; } >"$log" 2>&1 9>&-; then
        tail -n 15 "$log" >&2
        die "could not install ansible-core $core for Python $version; check the network and pip's settings; see $log"
    fi
    touch "$place/complete"
fi
echo "$place"
