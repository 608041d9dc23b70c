#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: hashes.sh
# Writes after every NAME==VERSION of requirements/*.txt the SHA-256 sums of all its files in the package index. Run it
# after changing a version. It asks uv, whose settings (UV_...) name the index.
set -u
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
pythons=$("$root/scripts/pythons.sh") || exit 1
python=$(echo "$pythons" | tail -n 1)
"${python#* }" -m venv "$work/venv" || die "cannot make a virtual environment"
"$work/venv/bin/python" -m pip install -q --require-hashes --only-binary :all: -r "$root/requirements/hashes.txt" ||
    die "cannot install uv; raise its version alone, with the sums that another uv prints"

for file in "$root"/requirements/*.txt; do
    grep -v -e '^[A-Za-z].*==' -e '--hash=' "$file" >"$work/new"
    sed -n 's/ *\\$//; /^[A-Za-z].*==/p' "$file" | "$work/venv/bin/uv" pip compile --quiet --no-config --universal \
        --python-version 3.12 --no-deps --generate-hashes --no-annotate --no-header - >>"$work/new" ||
        die "the index does not have all versions of $file"
    cat "$work/new" >"$file" || exit 1
done
