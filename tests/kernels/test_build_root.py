# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a root tree that modules are built in, also from a plain chroot, where / is not a mount point."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.host import build_root

# The mounts of a machine whose root is shared, as systemd makes it, are counted before a build and while it runs.
MACHINE = """set -eu
tree=$1
mount --make-rshared /
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount --bind "$tree" "$tree/mnt"
count() { wc -l </proc/self/mountinfo; }
before=$(count)
places=$2
mkfifo "$places/inside" "$places/done"
root=$3
shift 3
chroot "$root" "$@" <"$places/done" >"$places/inside" &
exec 3>"$places/done"
{
    read -r told
    read -r told_inside
    during=$(count)
} <"$places/inside"
echo >&3
wait $!
echo "$told|$told_inside|$((during - before))|$(($(count) - before))"
"""


INSIDE = """set -e
echo "$PWD" $(stat -f -c %T /proc /tmp) $(stat -c %t:%T /dev/null)
echo inside
read -r line
"""


@pytest.mark.parametrize(("root", "place"), [("/", "{tree}"), ("{tree}", "/mnt")])
def test_a_build_root_is_entered_and_its_mounts_do_not_show_outside(
    tree: Path, tmp_path: Path, root: str, place: str
) -> None:
    command = build_root.command(place.format(tree=tree), INSIDE, 50)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", MACHINE, "sh", tree, tmp_path, root.format(tree=tree), *command],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("/ proc tmpfs 1:3|inside|0|0\n", "")
