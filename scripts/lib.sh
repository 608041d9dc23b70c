# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2034
# Read by the other scripts: messages, root, environments and places. $0 is a script in scripts/ or in a folder of it.

say() { printf 'kedr.lab: %s\n' "$*" >&2; }

die() {
    printf 'kedr.lab: error: %s\n' "$*" >&2
    exit 1
}

# A message that `make test` shows again at its end.
note() { echo "$*" | tee -a "${KEDR_NOTES:-/dev/null}" >&2; }

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "this needs root and there is no sudo; run as root: $*"
    fi
}

# become_root "$@": starts the script again through sudo unless it runs as root. The cache stays that of who started
# it; the home folder of Ansible does not. At the end the user gets back what root made, also after Ctrl-C.
become_root() {
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || die "guests and their images need root; run this as root, or install sudo"
        say "guests and their images need root: continuing through sudo"
        root_home=~root
        exec sudo env "ANSIBLE_HOME=$root_home/.ansible" "PATH=$PATH" "HOME=$HOME" "KEDR_CACHE=$KEDR_CACHE" \
            ${KEDR_LAB_DIR:+"KEDR_LAB_DIR=$KEDR_LAB_DIR"} ${KEDR_GUESTS:+"KEDR_GUESTS=$KEDR_GUESTS"} \
            ${KEDR_NOTES:+"KEDR_NOTES=$KEDR_NOTES"} ${KEDR_FUZZ_SEED:+"KEDR_FUZZ_SEED=$KEDR_FUZZ_SEED"} \
            "KEDR_OWNER=$(id -u):$(id -g)" "$0" "$@"
    fi
    trap give_back EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Gives what root made in the checkout back to who started the script; images in the cache stay root's.
give_back() {
    [ -n "${KEDR_OWNER-}" ] || return 0
    for made in "$root/runs" "$root/.lab" "$KEDR_CACHE/modules" "$KEDR_CACHE/locks" "$KEDR_CACHE/logs" \
        "$KEDR_CACHE/accelerator.json" "$KEDR_CACHE/accelerator-firmware.json" "$KEDR_CACHE/.accelerator.lock" \
        "$KEDR_CACHE/downloads"; do
        if [ -e "$made" ]; then chown -R --no-dereference "$KEDR_OWNER" "$made"; fi
    done
}

# ready KIND [GROUP...]: installs the packages of the groups and makes the environment KIND of venv.sh. Its folder is
# $venv, its programs are the first in PATH; sshd is in /usr/sbin.
ready() {
    kind=$1
    shift
    [ $# -eq 0 ] || "$root/scripts/packages.sh" "$@" || exit 1
    venv=$("$root/scripts/venv.sh" newest "$kind") || exit 1
    PATH=$venv/bin:$PATH:/usr/sbin
}

# ready_for_guests KIND "$@": makes the script ready to run playbooks on guests, as root, in the checkout.
ready_for_guests() {
    "$root/scripts/setup.sh" run || exit 1
    with=$1
    shift
    become_root "$@"
    ready "$with"
    cd "$root" || exit 1
}

root=$(cd "$(dirname "$0")" && while [ ! -f galaxy.yml ] && [ "$PWD" != / ]; do cd ..; done; pwd)
[ -f "$root/galaxy.yml" ] || die "$0 is not inside a checkout of kedr.lab"
KEDR_CACHE=${KEDR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kedr-lab}
case $KEDR_CACHE in /*) ;; *) KEDR_CACHE=$PWD/$KEDR_CACHE ;; esac
(umask 022 && mkdir -p "$KEDR_CACHE") ||
    die "cannot make the cache folder $KEDR_CACHE; set KEDR_CACHE to a folder that can be written"
# Its content runs, also in kernels: nobody else may write there. It may belong to the user who called through sudo.
case " 0 $(id -u) ${SUDO_UID-} " in
*" $(stat -c %u "$KEDR_CACHE") "*) ;;
*) die "the cache folder $KEDR_CACHE belongs to another user; set KEDR_CACHE to one of your own" ;;
esac
[ -z "$(find "$KEDR_CACHE/" -maxdepth 0 -perm /022)" ] ||
    die "other users can write to the cache folder $KEDR_CACHE; look at its content, and then chmod go-w $KEDR_CACHE"
ANSIBLE_CONFIG=$root/ansible.cfg
PYTHONDONTWRITEBYTECODE=1
# Ansible's output is shown at once, also through a pipe or in a file.
PYTHONUNBUFFERED=1
export KEDR_CACHE ANSIBLE_CONFIG PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED
