#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the image of the execution environment with podman, and runs playbooks in it. Not in `make test`: it takes
# minutes and 1.5 GB, and needs a container engine.
# KEDR_BASE_IMAGE: the base image; by default mmdebstrap makes one. KEDR_BUILD_ARGS: more arguments of podman build.
set -u
. "$(dirname "$0")/../lib.sh"

command -v podman >/dev/null 2>&1 ||
    die "the image cannot be built: this machine has no podman; Debian has it in its packages podman and crun"
[ "$(id -u)" -eq 0 ] || die "the image is built as root here; run this as root"
ready test lab
# Without the namespaces and cgroups of a container runtime, which not every machine allows.
BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
export BUILDAH_ISOLATION
python -m pytest -v tests/image
