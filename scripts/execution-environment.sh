#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: execution-environment.sh create|build DIRECTORY [ARGUMENT of ansible-builder...]
# create: writes the Containerfile of execution-environment.yml and all it needs into the directory.
# build: also builds the image with podman or docker, which must be able to fetch the base image.
set -u
. "$(dirname "$0")/lib.sh"

case ${1-} in create | build) ;; *) die "usage: execution-environment.sh create|build DIRECTORY [ARGUMENT...]" ;; esac
[ $# -ge 2 ] || die "name a directory for the Containerfile and what it needs"
verb=$1
directory=$(mkdir -p "$2" && cd "$2" && pwd) || die "cannot make the directory $2"
shift 2
ready runner

made=$(cd "$root" && ansible-galaxy collection build --force --output-path "$directory/built") ||
    die "the collection cannot be packed: $made"
mv "$directory/built"/kedr-lab-*.tar.gz "$directory/kedr-lab.tar.gz" || die "no collection was packed"
rmdir "$directory/built"
cp -R "$root/execution-environment.yml" "$root/requirements" "$directory/" || die "cannot write to $directory"
cd "$directory" || exit 1
exec ansible-builder "$verb" --file execution-environment.yml --context "$directory/context" \
    --output-filename Containerfile "$@"
