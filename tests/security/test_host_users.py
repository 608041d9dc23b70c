# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user without privileges of a test host may not do: have root kill, or bend a verdict.

The programs for hosts run here as root, in namespaces of their own: whatever they kill is in there.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import jobs
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell as hostshell
from guests import ROOT, Run, Verify, start_lab, stop_lab

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
    program = hostshell.load_script("programs") + jobs._END
    answer, dummy = on_host(attack, shell, program, ":", k_job=token)
    assert answer.text("out") == "ours\n"


# -- a verdict does not bend ---------------------------------------------------------------------------

STOPPED = {"segfault": b"\xc6\x04\x25\x00\x00\x00\x00\x01", "protection": b"\xf4", "opcode": b"\x0f\x0b"}
"""Instructions that no program may execute."""


def program(code: bytes) -> bytes:
    """Return a program (ELF of x86-64) of a few instructions."""
    size = 64 + 56 + len(code)
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 4096) + code


def printf(content: bytes) -> str:
    return "printf '" + "".join(f"\\{byte:03o}" for byte in content) + "'"


NAMES = {"segfault": ["BUG: hello", "BUG: he\nllo", "x\nBUG: hello", "\n<0>[1.0]BUG: x", "Oops"],
         "protection": ["BUG: hello", "Oops\n"], "opcode": ["BUG: hello"]}  # fmt: skip

ATTACK = f"""
nobody() {{ {NOBODY} "$@" >/dev/null 2>&1 </dev/null; }}
mkdir -m 755 /run/u; umask 022
stopped() {{ cp "/run/u/$1" "/run/u/$2"; chmod 755 "/run/u/$2"; nobody "/run/u/$2"; }}
{chr(10).join(f"{printf(program(code))} >/run/u/{kind}" for kind, code in STOPPED.items())}
{chr(10).join(f"stopped {kind} '{name}'" for kind, names in NAMES.items() for name in names)}
i=0; while [ $i -lt 20 ]; do nobody '/run/u/BUG: hello'; i=$((i + 1)); done
sleep 6; nobody '/run/u/BUG: hello'
nobody unshare -Urm busybox mount -t tmpfs -o 'BUG: option
Oops: 0000 [#1]
kedr: run x ends=1' none /run
nobody unshare -Urn sh -c 'ip link add BUG type dummy; ip link set BUG name Oops'
group=/run/group; mkdir "$group"; mount -t cgroup2 none "$group" && echo +memory >"$group/cgroup.subtree_control"
mkdir "$group/BUG: group"; echo 8M >"$group/BUG: group/memory.max"
cp "$(command -v tail)" '/run/u/BUG: tail'
grouped() {{ sh -c 'echo $$ >"$0/BUG: group/cgroup.procs"; exec "$@"' "$group" "$@" >/dev/null 2>&1; }}
for i in 1 2 3; do grouped {NOBODY} '/run/u/BUG: tail' /dev/zero; done
closed=ok; for file in /sys/kernel/kedr/report /sys/module/my_payload1/parameters/called_*; do
    ! nobody cat "$file" && cat "$file" >/dev/null || closed="bad $file"
done; echo "check closed $closed"
"""
"""What nobody does on a host while it is watched."""
ODD = "./'a\nBUG: b'"
"""A name of a program, and so of its thread, that has a line feed."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run on a guest on which another user does what he may."""
    place: Path = tmp_path_factory.mktemp("attacked")
    script = place / "exercise.sh"
    usual = (ROOT / "roles/cp_target/files/exercise.sh").read_text()
    usual = usual.replace("./cfake_exercise /dev/cfake1", f"mv cfake_exercise {ODD} && {ODD} /dev/cfake1")
    script.write_text(f"{ATTACK}\n{usual}")
    lab = start_lab(place / "lab", [{"name": "one"}])
    yield Verify(place / "runs")(lab, cp_target_exercise=str(script))
    stop_lab(lab)


def test_a_host_is_ok_whatever_programs_of_users_are_called(attacked: Run) -> None:
    assert attacked.results["one"]["verdict"] == "OK", attacked.output
    assert attacked.results["one"]["splats"] == []


def test_what_looks_like_a_fault_is_told_in_a_note(attacked: Run) -> None:
    notes = [one for one in attacked.results["one"]["evidence"] if one["outcome"] == "note"]
    for source in ("dmesg.txt", "console.log"):
        told = " ".join(one["text"] for one in notes if one["source"] == source)
        assert "is about a program of a user" in told
        assert "BUG: hello[" in told


def test_the_attacks_were_what_they_seem(attacked: Run) -> None:
    log = (attacked.directory / "one/dmesg.txt").read_text()
    for said in ("BUG: hello[", "traps: BUG: hello[", "Oops[", "callbacks suppressed", "Unknown parameter 'BUG: option",
                 "Oops: renamed from BUG", "BUG: tail invoked oom-killer", "Memory cgroup out of memory"):  # fmt: skip
        assert said in log


def test_a_thread_with_a_line_feed_in_its_name_damages_no_trace(attacked: Run) -> None:
    assert "a\nBUG: b-" in (attacked.directory / "one/trace.txt").read_text()
    said = [one["text"] for one in attacked.results["one"]["evidence"] if one["source"] == "trace.txt"]
    assert any(text.endswith(" records, every line read") for text in said)


def test_no_user_reads_what_the_controller_and_the_payloads_say(attacked: Run) -> None:
    [step] = [one for one in attacked.steps("one") if one["step"] == "exercise"]
    assert {"name": "closed", "ok": True, "detail": ""} in step["data"]["checks"]
