# SPDX-License-Identifier: GPL-3.0-or-later
"""Building in a root tree of the control node, confined: sources and compilers come from other people.

A build has its own namespaces of mounts, processes, network, IPC and host name, its own /proc and /dev, a user without
privileges, an empty environment, and limits. It cannot write the tree. All programs that confine it are the control
node's, of util-linux (2.35) and coreutils, so the tree may be of any age.
"""

import os
import subprocess
import time

from ..base import bounded, confine, deadline
from ..base.errors import ForeignError, KedrError
from ..base.foreign import printable
from . import shell

NAMESPACES = "unshare --mount --propagation=unchanged --pid --net --ipc --uts --fork --kill-child".split()
LIMITS = f"--as={2 << 30} --fsize={512 << 20} --cpu=900 --core=0 --nproc=1024"
"""What one process of a build may take, in bytes and seconds, and how many there may be."""
TMPFS = "size=1g,nr_inodes=200k"
"""What all files of a build may take."""
ENTER = f"""set -e
mount --make-rprivate /proc
mount --bind "$1" /proc/fs
mount --make-private /proc/fs
mount -o remount,bind,ro,nosuid,nodev /proc/fs
cd /proc/fs
mount -t proc -o hidepid=2 proc proc
mount -t tmpfs -o mode=1777,nosuid,nodev,{TMPFS} tmpfs tmp
mount -t tmpfs -o mode=755,nosuid,size=64k tmpfs dev
for k_device in null zero full random urandom; do
    : >"dev/$k_device"
    mount --bind "/dev/$k_device" "dev/$k_device"
done
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
echo 0 >proc/sys/kernel/shmmni
echo 1000 >/proc/self/oom_score_adj
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp prlimit {LIMITS} setpriv --no-new-privs \
    unshare --root=. --wd=/ --setgid="$3" --setuid="$3" /bin/sh -c "$2"
exit $?
"""
"""Enters the root tree $1 and runs the command $2 there as user $3.

In a chroot, / is not a mount point and cannot be made private. /proc can: the tree is bound to a folder there, and
nothing that is mounted in it shows outside. The shell that runs this stays, as root and as the first process, so that
--kill-child reaches it. A build that takes all memory is what the kernel kills first.
"""
REMEDY = (
    "building there needs root, or sudo without a password, with the rights to mount and to make namespaces (a "
    "container needs CAP_SYS_ADMIN), and unshare, setpriv and prlimit of util-linux 2.35 or newer: run the playbook "
    "so, or leave kedr_build_root empty to build on the host"
)


def command(root: str, inside: str, seconds: float) -> list[str]:
    """Return the command that runs the line of sh `inside` in a root, for at most so many seconds."""
    line = ["timeout", "--foreground", "-s", "KILL", f"{seconds:g}", *NAMESPACES]
    line += ["sh", "-c", ENTER, "kedr", root, inside, str(confine.user())]
    return line if os.geteuid() == 0 else ["sudo", "-n", *line]


def run(root: str, call: shell.Call, seconds: float, most: int) -> subprocess.CompletedProcess[bytes]:
    """Run a call in a root; raises KedrError when it cannot be entered, takes too long or answers over `most` bytes."""
    started = time.monotonic()
    line = command(root, call.command, seconds)
    try:
        with deadline.limited(seconds), bounded.output(most, shell.begin(call.nonce)):
            done = subprocess.run(line, input=call.stdin, capture_output=True, check=False)
    except deadline.TimeIsUp:
        raise KedrError(_late(root, seconds)) from None
    except ForeignError as error:
        raise KedrError(f"the build in {root} answered {error}, and nothing of it was taken") from None
    except OSError as error:
        raise KedrError(f"cannot start a build in {root}: {error.strerror}: {error.filename}\n{REMEDY}") from error
    if time.monotonic() - started >= seconds:
        raise KedrError(_late(root, seconds))
    if done.returncode != 0 and not done.stdout:
        said = printable(done.stderr, 1000).strip() or f"exit status {done.returncode}"
        raise KedrError(f"{root}: cannot enter this build root on the control node: {said}\n{REMEDY}")
    return done


def _late(root: str, seconds: float) -> str:
    return f"the build in {root} did not end within {seconds:g} s (deadline)"
