# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2154
# Read by test parts, after lib.sh and ansible-versions.sh: ansible-test on a copy of the collection.
#
# ansible-test wants the collection at .../ansible_collections/kedr/lab and keeps its environments under HOME. It would
# download a script that installs pip, and packages without checking sums. So it gets a copy of the collection, and a
# HOME in the cache with a script that installs the Python's own pip, and with a folder of packages that have the sums
# of requirements/ansible-test-*.txt; its pip uses no index.

ansible_test_setup() {
    work=$(mktemp -d) || return 1
    trap 'rm -rf "$work"' EXIT
}

# Sets $ansible_home for the environment in $venv; its content depends on the packages and on the Python.
find_home() {
    core=$(echo "${venv##*/}" | cut -d - -f 2)
    wanted=$root/requirements/ansible-test-$core.txt
    ansible_home=$KEDR_CACHE/ansible-test/$core-$({ echo "$venv"; cat "$wanted"; } | sha256sum | cut -c 1-12)
    mkdir -p "$ansible_home/.ansible/test/cache" "$ansible_home/.config/pip"
}

offer_packages() {
    if [ ! -d "$ansible_home/packages" ]; then
        rm -rf "$ansible_home/part"
        if ! "$venv/bin/python" -m pip download -q --no-deps --require-hashes --only-binary :all: -r "$wanted" \
            -d "$ansible_home/part" >"$ansible_home/pip.log" 2>&1; then
            cat "$ansible_home/pip.log" >&2
            die "could not get the packages of ${wanted##*/}; check the network and pip's settings"
        fi
        mv "$ansible_home/part" "$ansible_home/packages" || return 1
    fi
    printf '[global]\nno-index = true\nfind-links = %s\n' "$ansible_home/packages" >"$ansible_home/.config/pip/pip.conf"
}

# Copies what a built collection would hold, from files tracked or not yet added.
copy_collection() {
    collection=$work/${venv##*/}/ansible_collections/kedr/lab
    mkdir -p "$collection"
    (cd "$root" && git ls-files -co --exclude-standard | grep -v '^\.collections/' |
        while read -r file; do if [ -e "$file" ]; then echo "$file"; fi; done |
        tar cf - -T -) | tar xf - -C "$collection"
}

# Writes the script that ansible-test would download, under the name that it looks for.
offer_pip() {
    sed -n "s/^ *pip='\([0-9.]*\)',.*/\1/p" \
        "$venv"/lib/python*/site-packages/ansible_test/_internal/python_requirements.py | tr . _ |
        while read -r version; do
            printf 'import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n' \
                >"$ansible_home/.ansible/test/cache/get_pip_$version.py"
        done
}

# run_ansible_test COMMAND...: ansible-test COMMAND in a copy, with the environment in $venv.
run_ansible_test() {
    copy_collection && find_home && offer_pip && offer_packages || return 1
    {
        (cd "$collection" && HOME=$ansible_home PATH=$venv/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ansible-test "$@" --python default --requirements --color no) 2>&1
        echo $? >"$work/status"
    } | grep --line-buffered -vE "$chatter"
    return "$(cat "$work/status")"
}

# Lines that are not shown: the progress of pip, and a remark on the locale.
chatter='^ *(Collecting|Downloading|Processing|Looking in|Installing collected|Successfully installed|Using cached) '
chatter="$chatter|^WARNING: Location |━━|using locale|Using locale"
