# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user without privileges of a test host may not do: have root kill, or bend a verdict.

The programs for hosts run here as root, in namespaces of their own: whatever they kill is in there.
"""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils import hostshell, until

SHELLS = ("dash", "bash --posix", "busybox sh")
OURS = "/tmp/kedr-0123456789abcdef01234567"
NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups"

HOST = f"""
mount -t tmpfs -o mode=1777 tmpfs /tmp && mount -t tmpfs -o mode=1777 tmpfs /var/tmp && cd / && umask 022 || exit 9
as_nobody() {{ {NOBODY} sh -c "$1" </dev/null >/dev/null 2>&1; }}
works() {{ if grep -qs '^State:.[^Z]' "/proc/$1/status"; then echo "$2=lives"; else echo "$2=ended"; fi; }}
sleep 600 </dev/null >/dev/null 2>&1 & root=$!
"""
"""A host with a process of root that is none of ours.  Its first process is the shell, which no kill reaches."""


def on_host(attack: str, shell: str, program: str, after: str, **values: str | int) -> tuple[hostshell.Answer, str]:
    """Let root run a program on a host, between an attack and a look; returns the answer and what the look printed."""
    call = hostshell.frame(program, values)
    script = f"{HOST}{attack}\n{call.command.replace('sh -c', f'{shell} -c', 1)}\nexec </dev/null\necho\n{after}\n"
    line = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
    done = subprocess.run(line, input=call.stdin, capture_output=True, check=False, timeout=60)
    whole, end, look = done.stdout.rpartition(f"kedr-end {call.nonce}\n".encode())
    assert end, done.stderr + done.stdout
    return hostshell.parse(whole + end, call.nonce), look.decode().strip()


# -- root kills only what it must --------------------------------------------------------------------


def forged(number: str) -> str:
    """Have nobody work where a listing of working directories shows a process NUMBER inside of our directory."""
    line = f"lrwxrwxrwx 1 root root 0 Jan 1 00:00 /proc/{number}/cwd -> {OURS}"
    return f"""
mkdir -m 700 -p {OURS}/work; (cd {OURS}/work && exec sleep 600 >/dev/null 2>&1 </dev/null) & left=$!
as_nobody 'umask 022; d="/tmp/x
{line}/-1"; mkdir -p "$d" && cd "$d" && (sleep 600 & echo $! >/tmp/his)'
"""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("number", ["'$root'", "-1", "1 -1"])
def test_a_working_directory_with_a_line_feed_has_no_process_killed(shell: str, number: str) -> None:
    program = hostshell.load_script("programs") + 'end_private "$k_private"\n'
    look = f"works $root root; works $left left; works $(cat /tmp/his) his; ls -d {OURS} 2>/dev/null"
    answer, said = on_host(forged(number), shell, program, look)
    assert said.split() == ["root=lives", "left=ended", "his=lives"]
    assert answer.all("ended_program") == [OURS]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_link_in_place_of_our_directory_has_nothing_killed_or_removed(shell: str) -> None:
    attack = f"mkdir -m 700 /tmp/kept; touch /tmp/kept/file; as_nobody 'ln -s /tmp/kept {OURS}; ln -s / {OURS[:-1]}8'"
    program = hostshell.load_script("programs") + 'end_private "$k_private"\n'
    assert on_host(attack, shell, program, "works $root root; ls /tmp/kept")[1].split() == ["root=lives", "file"]


STREAM = {"k_instance": "kedr", "k_events": "", "k_bytes": 1, "k_pause": 1, "k_packers": "", "k_session": "S",
          "k_kept": 0}  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_process_calls_itself_does_not_make_it_one_of_ours(shell: str) -> None:
    """The program of a connection that was lost has ended, and its number went to somebody else."""
    attack = """
as_nobody "(sh -c 'sleep 600; true' kedr & echo \\$! >/tmp/his)"
mkdir -m 700 /tmp/kedr-stream-S; cat /tmp/his >/tmp/kedr-stream-S/pid; echo 1 >/tmp/kedr-stream-S/sending
"""
    program = hostshell.load_script("tracefs", "stream").partition("need_root Streaming")[0]
    answer, said = on_host(attack, shell, program + "keep_place\n", "works $(cat /tmp/his) his", **STREAM)
    assert (answer.one("failed"), said) == ("", "his=lives")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_link_to_a_file_of_root_does_not_make_a_host_look_busy(shell: str) -> None:
    attack = """
(exec sh -c 'sleep 600; true' kedr >/dev/null 2>&1 </dev/null) & echo $! >/run/one.pid
as_nobody 'mkdir /tmp/kedr-stream-1; ln -s /run/one.pid /tmp/kedr-stream-1/pid'
"""
    program = hostshell.load_script("kernel_log", "hold").partition("k_hold=")[0] + "flag streams streams\n"
    values = {"k_want": "look", "k_claim": "c", "k_since": 1, "k_stale": "", "k_marker": "", "k_bytes": 1}
    assert on_host(attack, shell, program, ":", **values)[0].one("streams") == "no"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_host_without_run_cannot_be_held_by_anybody_but_root(shell: str) -> None:
    attack = """
mount -t tmpfs -o mode=755 tmpfs /dev && mknod -m 666 /dev/null c 1 3
as_nobody 'ln -s run=x /tmp/.kedr-hold; ln -s run=x /dev/.kedr-hold'
"""
    program = hostshell.load_script("kernel_log", "hold").replace("[ ! -d /run ]", "true")
    values = {"k_want": "take", "k_claim": "run=a", "k_since": 1, "k_stale": "", "k_marker": "", "k_bytes": 1}
    assert on_host(attack, shell, program, ":", **values)[0].one("taken") == "now"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_output_of_a_script_is_read_from_our_directory_only(shell: str) -> None:
    """The name is known to all while the script runs in another place."""
    token = OURS.rpartition("-")[2]
    attack = f"""
mkdir -m 700 /var/tmp/kedr-{token}; echo ours >/var/tmp/kedr-{token}/out.txt
echo >/var/tmp/kedr-{token}/err.txt
as_nobody 'mkdir -m 755 {OURS}; echo forged >{OURS}/out.txt; echo >{OURS}/err.txt'
"""
    program = hostshell.load_script("programs") + until._END
    answer, dummy = on_host(attack, shell, program, ":", k_job=token)
    assert answer.text("out") == "ours\n"
