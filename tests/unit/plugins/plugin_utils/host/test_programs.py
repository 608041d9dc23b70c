# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that hosts run, run here in every shell against a made-up tracefs and a made-up kernel."""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import time

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.host import modules
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell as hostshell
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


@pytest.fixture(params=SHELLS)
def run(request: pytest.FixtureRequest):
    """Runs a program in one of the shells and returns its answer."""
    word = {"busybox": "busybox sh", "bash": "bash --posix"}.get(request.param, request.param)

    def do(program: str, values: dict, data: bytes = b"") -> hostshell.Answer:
        call = hostshell.frame(program, values, data)
        command = call.command.replace("sh -c", f"{word} -c", 1)
        done = subprocess.run(command, shell=True, input=call.stdin, capture_output=True, check=False, timeout=60)
        assert b"kedr-end" in done.stdout, done.stderr
        return hostshell.parse(done.stdout, call.nonce)

    return do


@pytest.fixture
def tracefs(tmp_path: pathlib.Path) -> pathlib.Path:
    """A tracefs with one instance `kedr` that already is there, and the events one:a and one:b."""
    top = tmp_path / "tracing"
    for place in (top, top / "instances" / "kedr"):
        for event in ("a", "b"):
            directory = place / "events" / "one" / event
            directory.mkdir(parents=True)
            (directory / "enable").write_text("0\n")
            (directory / "format").write_text(f"name: {event}\nformat:\n")
        (place / "options").mkdir()
        (place / "options" / "hash-ptr").write_text("1\n")
        for name, text in {"trace": "old\n", "tracing_on": "0\n", "trace_clock": "[local] mono\n",
                           "buffer_size_kb": "7 (expanded: 1408)\n", "current_tracer": "nop\n",
                           "saved_cmdlines_size": "128\n"}.items():
            (place / name).write_text(text)
        for cpu in (0, 1):
            (place / "per_cpu" / f"cpu{cpu}").mkdir(parents=True)
            (place / "per_cpu" / f"cpu{cpu}" / "stats").write_text(f"entries: {cpu}\n")
    return top


LOWEST = "0xffffffffc0123456"
"""Lowest address of the text of a module in the made-up kernel."""


def trace(run, top: pathlib.Path, verb: str = "present", **values: str) -> hostshell.Answer:
    # The made-up files take a clock as it is written, and hold no brackets afterwards.
    program = hostshell.load_script("tracefs", "trace") + (
        f"find_tracing() {{ k_tracing={shlex.quote(str(top))}; }}\n"
        f"k_memory={shlex.quote(str(top.parent / 'memory'))}\n"
        f"lowest_text() {{ echo {LOWEST}; }}\n{verb}\n")
    return run(program, {"k_witness": "", "k_instance": "kedr", "k_events": ["one/a"], "k_clock": "", "k_size": "64",
                         "k_tracer": "nop", "k_check": "no", **values})


def test_a_buffer_is_set_up_and_a_second_time_nothing_changes(run, tracefs: pathlib.Path) -> None:
    first = trace(run, tracefs)
    place = tracefs / "instances" / "kedr"
    assert first.all("changed") == ["buffer_size_kb", "hash-ptr", "saved_cmdlines_size", "event one:a", "tracing_on"]
    assert (first.one("tracing_dir"), first.one("instance")) == (str(place), "yes")
    assert (place / "events/one/a/enable").read_text() == "1\n"
    assert (place / "events/one/b/enable").read_text() == "0\n"
    assert (place / "trace").read_text() == ""
    assert (place / "tracing_on").read_text() == "1\n"
    assert (tracefs / "tracing_on").read_text() == "0\n"
    assert (tracefs / "saved_cmdlines_size").read_text() == "4096\n"
    (place / "trace").write_text("records\n")
    assert trace(run, tracefs).all("changed") == []
    assert (place / "trace").read_text() == "records\n"


def test_a_check_changes_nothing_and_says_what_would_change(run, tracefs: pathlib.Path) -> None:
    place = tracefs / "instances" / "kedr"
    said = trace(run, tracefs, k_check="yes").all("changed")
    assert "event one:a" in said
    assert (place / "events/one/a/enable").read_text() == "0\n"
    assert (place / "trace").read_text() == "old\n"
    shutil.rmtree(place)
    assert trace(run, tracefs, k_check="yes").all("changed") == ["instance kedr"]
    assert not place.exists()


OPTIONS = {"stacktrace": "1", "userstacktrace": "1", "fields": "1", "context-info": "0", "latency-format": "1",
           "raw": "1", "irq-info": "0", "record-tgid": "1", "verbose": "0"}


@pytest.mark.parametrize("own", [True, False])
def test_options_that_shape_the_text_are_set_and_those_of_the_global_buffer_put_back(
    run, tracefs: pathlib.Path, own: bool
) -> None:
    place = tracefs / "instances" / "kedr" if own else tracefs
    for name, text in OPTIONS.items():
        (place / "options" / name).write_text(f"{text}\n")
    (tracefs / "options" / "record-cmd").write_text("0\n")
    if not own:
        shutil.rmtree(tracefs / "instances")
    changed = trace(run, tracefs).all("changed")
    assert set(changed) >= set(OPTIONS) - {"verbose"} | {"record-cmd"}
    wanted = {**dict.fromkeys(OPTIONS, "0\n"), "context-info": "1\n", "irq-info": "1\n"}
    assert {name: (place / "options" / name).read_text() for name in OPTIONS} == wanted
    trace(run, tracefs, "rmdir() { rm -r \"$1\"; }\nabsent")
    assert (tracefs / "options" / "record-cmd").read_text() == "0\n"
    if not own:
        assert {name: (place / "options" / name).read_text().strip() for name in OPTIONS} == OPTIONS


@pytest.mark.parametrize(("name", "text", "words"), [
    ("set_event_pid", "1\n", "set_event_pid of the host is not empty"),
    ("events/one/a/filter", "pid == 1\n", "a/filter:pid == 1: remove it"),
    ("events/one/a/trigger", "stacktrace:unlimited\n", "a/trigger:stacktrace:unlimited: remove it"),
])
def test_what_would_leave_records_out_is_refused(run, tracefs: pathlib.Path, name: str, text: str, words: str) -> None:
    shutil.rmtree(tracefs / "instances")
    (tracefs / "events/one/a/filter").write_text("none\n")
    (tracefs / "events/one/a/trigger").write_text("# Available triggers:\n# traceon traceoff\n")
    assert trace(run, tracefs).one("failed") == ""
    trace(run, tracefs, "absent")
    (tracefs / name).write_text(text)
    got = trace(run, tracefs)
    assert got.one("failed") == "INFRA"
    assert words in got.text("reason")
    assert (tracefs / "events/one/a/enable").read_text() == "0\n"


def test_an_event_that_the_kernel_lacks_is_named_and_nothing_is_made(run, tracefs: pathlib.Path) -> None:
    got = trace(run, tracefs, k_instance="new", k_events="one/a\none/nope")
    assert got.one("failed") == "FAIL"
    assert "no event one:nope:" in got.text("reason")
    assert not (tracefs / "instances" / "new").exists()


def test_a_clock_that_the_kernel_lacks_is_named_with_those_it_has(run, tracefs: pathlib.Path) -> None:
    got = trace(run, tracefs, k_clock="sundial")
    assert got.one("failed") == "INFRA"
    assert "[local] mono" in got.text("reason")


def test_a_clock_is_set_only_when_it_is_another(run, tracefs: pathlib.Path) -> None:
    assert "trace_clock" not in trace(run, tracefs, k_clock="local").all("changed")
    assert "trace_clock" in trace(run, tracefs, k_clock="mono").all("changed")
    assert (tracefs / "instances/kedr/trace_clock").read_text() == "mono\n"


def test_without_instances_the_global_buffer_is_used(run, tracefs: pathlib.Path) -> None:
    shutil.rmtree(tracefs / "instances")
    got = trace(run, tracefs)
    assert (got.one("tracing_dir"), got.one("instance")) == (str(tracefs), "no")
    assert (tracefs / "events/one/a/enable").read_text() == "1\n"
    gone = trace(run, tracefs, "absent")
    assert gone.all("changed") == ["event one:a", "buffer_size_kb", "hash-ptr", "tracing_on", "saved_cmdlines_size"]
    assert (tracefs / "events/one/a/enable").read_text() == "0\n"


GLOBAL = {"buffer_size_kb": "1408\n", "trace_clock": "local\n", "tracing_on": "0\n", "options/hash-ptr": "1\n",
          "saved_cmdlines_size": "128\n"}


def test_the_global_buffer_gets_its_settings_back(run, tracefs: pathlib.Path) -> None:
    shutil.rmtree(tracefs / "instances")
    trace(run, tracefs, k_clock="mono")
    assert (tracefs / "trace_clock").read_text() == "mono\n"
    kept = tracefs.parent / "memory-global"
    assert kept.stat().st_mode & 0o777 == 0o600
    trace(run, tracefs, k_size="128")
    would = trace(run, tracefs, "absent", k_check="yes").all("changed")
    assert {"trace_clock", "saved_cmdlines_size"} <= set(would)
    assert (tracefs / "trace_clock").read_text() == "mono\n"
    got = trace(run, tracefs, "absent")
    assert got.one("failed") == ""
    assert {name: (tracefs / name).read_text() for name in GLOBAL} == GLOBAL
    assert not kept.exists()
    assert trace(run, tracefs, "absent").all("changed") == []


def test_what_instances_share_is_raised_only_when_it_is_smaller(run, tracefs: pathlib.Path) -> None:
    (tracefs / "saved_cmdlines_size").write_text("8192\n")
    assert "saved_cmdlines_size" not in trace(run, tracefs).all("changed")
    assert (tracefs / "saved_cmdlines_size").read_text() == "8192\n"


def test_removing_an_instance_puts_back_what_all_share(run, tracefs: pathlib.Path) -> None:
    trace(run, tracefs)
    assert (tracefs / "saved_cmdlines_size").read_text() == "4096\n"
    got = trace(run, tracefs, "rmdir() { rm -r \"$1\"; }\nabsent")
    assert got.all("changed") == ["event one:a", "instance kedr", "saved_cmdlines_size"]
    assert (tracefs / "saved_cmdlines_size").read_text() == "128\n"


def test_every_change_of_a_buffer_has_its_before_and_after(run, tracefs: pathlib.Path) -> None:
    got = trace(run, tracefs, k_check="yes", k_clock="mono")
    assert "trace_clock: local" in got.all("before")
    assert len(got.all("changed")) == len(got.all("before")) == len(got.all("after")) > 3
    assert "event one:a: 0" in got.all("before")
    assert "event one:a: 1" in got.all("after")


def test_tracefs_that_cannot_be_mounted_is_the_labs_fault_with_what_mount_said(run) -> None:
    program = hostshell.load_script("tracefs", "trace") + (
        "find_tracing() { k_tracing=; }\nmount() { echo 'mount: permission denied'; return 32; }\npresent\n")
    got = run(program, {"k_witness": "", "k_instance": "kedr", "k_events": [], "k_clock": "", "k_size": "64",
                        "k_tracer": "nop", "k_check": "no"})
    assert got.one("failed") == "INFRA"
    assert "tracefs cannot be mounted" in got.text("reason")


def test_an_absent_instance_stays_absent(run, tracefs: pathlib.Path) -> None:
    assert trace(run, tracefs, "absent", k_instance="other").all("changed") == []


@pytest.fixture
def second(tracefs: pathlib.Path) -> pathlib.Path:
    """The second instance of a kernel that has kmem:kmalloc and kmem:kfree. A file system makes no files by itself."""
    place = tracefs / "instances" / "kedr-kmem"
    for top in (tracefs, place):
        for event in ("kmalloc", "kfree"):
            directory = top / "events" / "kmem" / event
            directory.mkdir(parents=True)
            (directory / "enable").write_text("0\n")
            (directory / "filter").write_text("none\n")
            (directory / "format").write_text(f"name: {event}\n")
    for name, text in {"trace": "calls\n", "tracing_on": "1\n", "buffer_size_kb": "7\n"}.items():
        (place / name).write_text(text)
    (place / "per_cpu" / "cpu0").mkdir(parents=True)
    (place / "per_cpu" / "cpu0" / "stats").write_text("entries: 5\n")
    return place


KMEM = "kmem/kmalloc\nkmem/kmalloc_node\nkmem/kfree"


def test_the_kernels_own_events_are_recorded_from_where_modules_are(run, tracefs, second: pathlib.Path) -> None:
    got = trace(run, tracefs, k_witness=KMEM)
    assert got.all("witness") == ["kmem:kmalloc", "kmem:kfree"]
    assert (second / "events/kmem/kfree/filter").read_text() == "call_site >= 0xffffffffc0000000\n"
    assert (second / "events/kmem/kfree/enable").read_text() == "1\n"
    assert (second / "buffer_size_kb").read_text() == "64\n"
    assert not (tracefs / "instances/kedr/events/kmem").exists()


def test_a_check_records_none_of_the_kernels_own_events(run, tracefs, second: pathlib.Path) -> None:
    assert trace(run, tracefs, k_witness=KMEM, k_check="yes").all("witness") == []
    assert (second / "events/kmem/kfree/enable").read_text() == "0\n"


@pytest.mark.parametrize("lacking", ["events", "instances", "modules"])
def test_a_kernel_that_cannot_be_a_witness_is_none(run, tracefs, second: pathlib.Path, lacking: str) -> None:
    shutil.rmtree(second)
    if lacking == "events":
        shutil.rmtree(tracefs / "events" / "kmem")
    elif lacking == "instances":
        shutil.rmtree(tracefs / "instances")
    program = "lowest_text() { :; }\npresent" if lacking == "modules" else "present"
    got = trace(run, tracefs, program, k_witness=KMEM)
    assert (got.one("failed"), got.all("witness")) == ("", [])
    assert not second.exists()


def test_the_second_instance_goes_with_the_first(run, tracefs, second: pathlib.Path) -> None:
    program = 'rmdir() { rm -r "$@"; }\nabsent'  # in tracefs an instance is removed with all that is in it
    changed = trace(run, tracefs, program, k_witness=KMEM).all("changed")
    assert [one for one in changed if one.startswith("instance")] == ["instance kedr", "instance kedr-kmem"]
    assert not second.exists()


def test_the_kernels_own_events_come_home_with_their_counters_and_formats(run, tracefs, second: pathlib.Path) -> None:
    got = collect(run, tracefs, k_witness=KMEM)
    assert got.text("witness") == "calls\n"
    assert got.text("witness_stats") == "== cpu0\nentries: 5\n"
    assert got.text("formats").endswith("== kmem/kmalloc\nname: kmalloc\n== kmem/kfree\nname: kfree\n")
    assert (second / "tracing_on").read_text() == "0\n"
    assert "witness" not in collect(run, tracefs).blobs


def collect(run, top: pathlib.Path, **values: str) -> hostshell.Answer:
    program = (f"find_tracing() {{ k_tracing={shlex.quote(str(top))}; [ -f \"$k_tracing/trace\" ] || k_tracing=; }}\n"
               + "dmesg() { echo '<6>[1] line'; }\n" + hostshell.load_script("kernel_log", "trace_collect"))
    return run(hostshell.load_script("tracefs") + program, {
        "k_witness": "", "k_instance": "kedr", "k_events": ["one/a", "one/b"], "k_stop": "yes", "k_bytes": "1000",
        **values})


def test_everything_is_collected_and_tracing_is_turned_off(run, tracefs: pathlib.Path) -> None:
    place = tracefs / "instances" / "kedr"
    (place / "tracing_on").write_text("1\n")
    got = collect(run, tracefs)
    assert got.text("trace") == "old\n"
    assert got.text("stats") == "== cpu0\nentries: 0\n== cpu1\nentries: 1\n"
    assert got.text("formats") == "== one/a\nname: a\nformat:\n== one/b\nname: b\nformat:\n"
    assert got.text("dmesg") == "<6>[1] line\n"
    assert got.one("stopped") == "yes"
    assert (place / "tracing_on").read_text() == "0\n"
    assert got.all("missing") == ["report of call sites"]


def test_counters_of_calls_are_read_where_a_payload_has_them(run, tmp_path: pathlib.Path) -> None:
    for name, text in (("a", "12\n"), ("b", "18446744073709551615\n\n"), ("other", "9\n")):
        (tmp_path / "one/parameters").mkdir(parents=True, exist_ok=True)
        (tmp_path / "one/parameters" / name).write_text(text)
    script = hostshell.load_script("kernel_log", "trace_collect").replace("/sys/module", str(tmp_path))
    assert str(tmp_path) in script
    got = run(hostshell.load_script("tracefs") + script, {
        "k_witness": "", "k_instance": "kedr", "k_events": ["one/a", "one/b", "one/c", "two/a"], "k_stop": "no",
        "k_bytes": "1000"})
    assert got.text("calls") == "one/a 12\none/b 18446744073709551615\n"


def test_on_a_host_that_is_no_test_host_tracing_stays_on(run, tracefs: pathlib.Path) -> None:
    (tracefs / "instances/kedr/tracing_on").write_text("1\n")
    assert collect(run, tracefs, k_stop="no").one("stopped") == ""
    assert (tracefs / "instances/kedr/tracing_on").read_text() == "1\n"


def test_what_is_not_there_is_named_and_is_no_failure(run, tracefs: pathlib.Path) -> None:
    got = collect(run, tracefs, k_instance="gone", k_events="one/a\none/nope")
    assert got.all("missing") == ["instance gone", "event one:nope", "report of call sites"]
    assert "trace" not in got.blobs
    assert got.text("formats") == "== one/a\nname: a\nformat:\n"
    nothing = collect(run, tracefs / "nowhere")
    assert nothing.all("missing") == ["tracefs", "report of call sites"]
    assert nothing.one("failed") == ""


def test_a_trace_longer_than_the_limit_is_cut_at_it(run, tracefs: pathlib.Path) -> None:
    (tracefs / "instances/kedr/trace").write_text("x" * 2000 + "\n")
    assert len(collect(run, tracefs).blobs["trace"]) >= 1000


def test_leftovers_are_all_that_the_controller_watches_whatever_the_target(run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "names").write_text("cp-target,other gone\n")
    script = hostshell.load_script("kernel_facts")
    start, end = script.index("leftovers() {"), script.index("k_release=$(uname")
    got = run(script[start:end] + "loaded() { [ \"$1\" != gone ]; }\nleftovers\n",
              {"k_watched": str(tmp_path / "names"), "k_target": "elsewhere"})
    assert [name for name in got.all("left_module") if name != "cp_controller"] == ["cp_target", "other"]
    assert got.all("left_module")[-1] == "cp_controller"


@pytest.mark.parametrize(("log", "written"), [
    ("", 1), ("[1] other\n", 1), ("[1] kedr: run r1 begins\n", 0), ("<9>[1] kedr: run r1 begins\n[2] x\n", 0),
    ("[1] kedr: run r10 begins\n[2] kedr: run r1 begins again\n", 1),
])
def test_a_run_begins_once_in_the_log_of_a_boot(run, tmp_path: pathlib.Path, log: str, written: int) -> None:
    (tmp_path / "log").write_text(log)
    script = hostshell.load_script("kernel_facts")
    start, end = script.index("begin() {"), script.index("watched() {")
    words = 'dmesg() { cat "$k_log"; }\nmark_log() { echo "$1" >>"$k_written"; }\n'
    program = hostshell.load_script("kernel_log") + script[start:end] + words + "flag marker begin\n"
    got = run(program, {"k_marker": "kedr: run r1 begins", "k_log": str(tmp_path / "log"),
                        "k_written": str(tmp_path / "written")})
    assert got.one("marker") == "yes"
    assert (tmp_path / "written").exists() is bool(written)


def test_the_kernel_log_comes_with_levels_where_the_host_can_tell_them(run) -> None:
    words = hostshell.load_script("kernel_log")
    new = 'dmesg() { if [ "$1" = -r ]; then echo "<6>[1] x"; else echo "[1] x"; fi; }\nsend_log 99\n'
    assert run(words + new, {}).text("dmesg") == "<6>[1] x\n"
    old = 'dmesg() { if [ $# -gt 0 ]; then echo usage >&2; return 1; fi; echo "[1] x"; }\nsend_log 99\n'
    assert run(words + old, {}).text("dmesg") == "[1] x\n"
    none = 'dmesg() { echo denied >&2; return 1; }\nsend_log 99\n'
    assert run(words + none, {}).one("missing") == "kernel log (denied)"


def test_only_private_directories_are_ended_and_removed(run, tmp_path: pathlib.Path) -> None:
    ours = "kedr-" + "0123456789abcdef01234567"
    for name in (ours, "kedr-lab", "kedr-stream-1", f"{ours}8"):
        (tmp_path / name).mkdir()
    run(hostshell.load_script("programs") + f"k_bases={tmp_path}\n" + 'end_private "$k_private"\n', {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{ours}8", "kedr-lab", "kedr-stream-1"]


def test_what_an_interrupted_run_left_running_is_ended_with_its_directory(run, tmp_path: pathlib.Path) -> None:
    script = hostshell.load_script("programs")
    (tmp_path / "busy/work").mkdir(parents=True)
    (tmp_path / "stale").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "busy-not").mkdir()
    with (
        subprocess.Popen(["sleep", "60"], cwd=tmp_path / "busy/work") as left,
        subprocess.Popen(["sleep", "60"], cwd=tmp_path / "busy-not") as other,
    ):
        got = run(script + f"end_programs {tmp_path}/busy {tmp_path}/stale {tmp_path}/link {tmp_path}/no*\n",
                  {})
        ended, alive = left.wait(10), other.poll()
        other.kill()
    assert (ended, alive) == (-9, None)
    assert got.all("ended_program") == [f"{tmp_path}/busy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busy-not", "elsewhere", "link"]


def test_no_name_that_others_choose_is_taken_for_a_place(run, tmp_path: pathlib.Path) -> None:
    """A working directory with a line feed in its name, and one named -1, both said to be in ours."""
    ours = tmp_path / "ours"
    ours.mkdir()
    with subprocess.Popen(["sleep", "60"]) as victim:
        line = f"lrwxrwxrwx 1 0 0 0 Jan 1 00:00 /proc/{victim.pid}/cwd -> {ours}"
        forged = tmp_path / f"x\n{line}" / "-1"
        forged.mkdir(parents=True)
        with subprocess.Popen(["sleep", "60"], cwd=forged) as left:
            got = run(hostshell.load_script("programs") + f"end_programs {ours}\n", {})
            alive = [left.poll(), victim.poll()]
            left.kill()
            victim.kill()
    assert alive == [None, None]
    assert got.all("ended_program") == []
    assert not ours.exists()


def test_a_program_is_ended_whose_directory_is_gone(run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "ours/a/b/c").mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "ours/a/b/c") as left:
        shutil.rmtree(tmp_path / "ours/a")
        run(hostshell.load_script("programs") + f"end_programs {tmp_path}/ours\n", {})
        assert left.wait(10) == -9
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(("name", "is_ours"), [("own", True), ("link", False), ("own/..", False), ("none", False)])
def test_a_directory_is_ours_only_where_it_stands(run, tmp_path: pathlib.Path, name: str, is_ours: bool) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "own")
    got = run(f'if ours "{tmp_path}/{name}"; then value at "$PWD"; fi\n', {})
    assert got.one("at") == (f"{tmp_path}/own" if is_ours else "")


@pytest.mark.parametrize("number", ["", "-1", "self", "1/../self", "0x1"])
def test_only_a_number_is_a_process_that_works_here(run, tmp_path: pathlib.Path, number: str) -> None:
    got = run('cd "$k_place"\nflag odd works_here "$k_number"\nflag own works_here $$\n',
              {"k_place": str(tmp_path), "k_number": number})
    assert (got.one("odd"), got.one("own")) == ("no", "yes")


KERNEL = r"""
loaded() { grep -q "^$1 " "$k_kernel/modules"; }
tool() {
    echo "$*" >>"$k_kernel/calls"
    case $1:${2##*/} in
    insmod:bad.ko)
        printf '[2] version magic differs\n' >>"$k_kernel/log"
        echo "insmod: could not insert module: Invalid module format"
        return 1 ;;
    insmod:lazy.ko) return 0 ;;
    insmod:mute.ko) return 7 ;;
    insmod:dead.ko) return 139 ;;
    modprobe:true_instead) return 0 ;;
    modprobe:listed) return "$k_listed" ;;
    insmod:hang.ko) exec sleep 30 ;;
    insmod:*) k_n=${2##*/}; echo "${k_n%.ko} 1 0 -" >>"$k_kernel/modules" ;;
    modprobe:-r) grep -v "^$3 " "$k_kernel/modules" >"$k_kernel/m"; mv "$k_kernel/m" "$k_kernel/modules" ;;
    modprobe:in_kernel) return 0 ;;
    modinfo:*) echo "modinfo: not found"; return 1 ;;
    modprobe:nope) echo "modprobe: FATAL: Module nope not found"; return 1 ;;
    modprobe:*) echo "$2 1 0 -" >>"$k_kernel/modules" ;;
    rmmod:busy) echo "rmmod: ERROR: Module busy is in use"; return 1 ;;
    rmmod:*) grep -v "^$2 " "$k_kernel/modules" >"$k_kernel/m"; mv "$k_kernel/m" "$k_kernel/modules" ;;
    esac
}
dmesg() { cat "$k_kernel/log"; }
mark() { [ "$k_kmsg" = no ] || echo "[1] $1" >>"$k_kernel/log"; }
rest() { :; }
k_tree=$k_kernel/tree
private_dir
remember_log
"""


@pytest.fixture
def kernel(tmp_path: pathlib.Path) -> pathlib.Path:
    """A kernel made of files: modules, log, and the calls that were made."""
    for name, text in {"modules": "", "log": "[1] old\n", "calls": ""}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def kmod(run, kernel: pathlib.Path, *calls: str, **values: str) -> hostshell.Answer:
    program = hostshell.load_script("kmod") + KERNEL + "".join(calls)
    return run(program, {"k_kernel": str(kernel), "k_timeout": "20", "k_kmsg": "yes", **values})


def load(name: str, *parameters: str, fresh: str = "no", file: bool = True) -> str:
    return modules.call("load", name, f"./{name}.ko" if file else "", fresh, "", "", *parameters)


def test_modules_are_loaded_in_order_with_their_parameters_as_they_are(run, kernel: pathlib.Path) -> None:
    got = kmod(run, kernel, load("one", "a=1", 'b="x y"', "c=$(id)*"), load("two"))
    assert got.all("changed") == ["one", "two"]
    assert (kernel / "calls").read_text() == 'insmod ./one.ko a=1 b="x y" c=$(id)*\ninsmod ./two.ko\n'
    again = kmod(run, kernel, load("one"), load("two"))
    assert (again.all("changed"), again.all("unchanged")) == ([], ["one", "two"])


def test_when_one_cannot_be_loaded_the_others_of_the_call_go_and_the_reason_is_told(run, kernel: pathlib.Path) -> None:
    kmod(run, kernel, load("before"))
    got = kmod(run, kernel, load("before"), load("one"), load("two"), load("bad"), load("never"))
    assert (got.one("failed"), got.one("refused")) == ("FAIL", "bad")
    assert "Invalid module format" in got.text("reason")
    assert got.text("log") == "[2] version magic differs\n"
    assert (kernel / "modules").read_text() == "before 1 0 -\n"
    calls = (kernel / "calls").read_text()
    assert calls.endswith("rmmod two\nrmmod one\n")
    assert "never" not in calls


def test_a_load_that_tells_no_error_and_loads_nothing_is_a_failure(run, kernel: pathlib.Path) -> None:
    assert "not in /proc/modules" in kmod(run, kernel, load("lazy")).text("reason")


@pytest.mark.parametrize(("name", "words"), [
    ("mute", "insmod printed nothing and ended with exit status 7"),
    ("dead", "exit status 139 (signal 11: did it crash in the kernel?)"),
])
def test_a_load_that_fails_without_a_word_is_told_with_its_exit_status(run, kernel, name: str, words: str) -> None:
    assert words in kmod(run, kernel, load(name)).text("reason")


CONFIGURED = "k_modprobe_dirs={directory}/*\n"


@pytest.mark.parametrize(("name", "line", "status", "told"), [
    ("true_instead", "install true-instead /bin/true", "0", "two.conf:2: install true_instead /bin/true"),
    ("true_instead", "install true_* /bin/true", "0", "two.conf:2: install true_* /bin/true"),
    ("true_instead", "# install true_instead /bin/true", "0", ""),
    ("true_instead", "install other /bin/true", "0", ""),
    ("listed", "blacklist listed", "0", "two.conf:2: blacklist listed"),
    ("listed", "blacklist listed", "1", ""),
    ("listed", "install listed /bin/false", "1", "two.conf:2: install listed /bin/false"),
])
def test_the_line_of_modprobes_configuration_that_prevents_a_load_is_named(
    run, kernel: pathlib.Path, name: str, line: str, status: str, told: str
) -> None:
    directory = kernel / "modprobe.d"
    directory.mkdir()
    (directory / "one.conf").write_text("options x y=1\n")
    (directory / "two.conf").write_text(f"# ours\n{line}\n")
    words = CONFIGURED.format(directory=shlex.quote(str(directory)))
    reason = kmod(run, kernel, words, load(name, file=False), k_listed=status).text("reason")
    assert reason.strip()
    assert (f"modprobe follows {directory}/{told}: if that keeps" in reason) is bool(told)
    assert ("modprobe follows" in reason) is bool(told)


def test_a_module_whose_init_hangs_is_told_in_time(run, kernel: pathlib.Path) -> None:
    started = time.monotonic()
    got = kmod(run, kernel, load("one"), load("hang"), k_timeout="1")
    assert (got.one("failed"), got.text("reason").strip()) == ("FAIL", "insmod of hang did not end within 1 s")
    assert time.monotonic() - started < 10
    assert (kernel / "calls").read_text().endswith("rmmod one\n")


@pytest.mark.parametrize("kmsg", ["yes", "no"])
def test_the_new_lines_of_the_kernel_log_are_all_told_even_repeated_ones(run, kernel: pathlib.Path, kmsg: str) -> None:
    (kernel / "log").write_text("line\n" * 5)
    got = kmod(run, kernel, *["echo line >>\"$k_kernel/log\"\n"] * 90, "new_log | text log\n", k_kmsg=kmsg)
    assert got.text("log") == "line\n" * 90


def test_of_a_kernel_log_that_has_wrapped_everything_is_new(run, kernel: pathlib.Path) -> None:
    lines = "".join(f"[2] {number}\n" for number in range(200))
    (kernel / "later").write_text(lines)
    wrap = 'cat "$k_kernel/later" >"$k_kernel/log"\nnew_log | text log\n'
    assert kmod(run, kernel, wrap).text("log") == lines


def test_a_module_that_has_to_be_fresh_must_not_be_loaded(run, kernel: pathlib.Path) -> None:
    kmod(run, kernel, load("one"))
    got = kmod(run, kernel, load("two"), load("one", fresh="yes"))
    assert got.one("failed") == "FAIL"
    assert "one is already loaded" in got.text("reason")
    assert (kernel / "modules").read_text() == "one 1 0 -\n"


def test_a_module_without_a_file_is_loaded_by_its_name(run, kernel: pathlib.Path) -> None:
    assert kmod(run, kernel, load("zram", "num_devices=1", file=False)).all("changed") == ["zram"]
    assert (kernel / "calls").read_text() == "modprobe zram num_devices=1\n"
    assert "nope not found" in kmod(run, kernel, load("nope", file=False)).text("reason")


def test_modules_are_unloaded_in_order_and_the_stuck_one_is_named_with_its_users(run, kernel: pathlib.Path) -> None:
    (kernel / "modules").write_text("one 1 0 -\nbusy 1 0 -\ntwo 1 0 -\n")
    got = kmod(run, kernel, *(modules.call("unload", name, "no") for name in ("one", "busy", "gone", "two")))
    assert got.all("changed") == ["one", "two"]
    assert got.all("unchanged") == ["gone"]
    assert got.all("stuck") == ["busy"]
    assert "in use" in got.text("error-busy")
    assert (kernel / "calls").read_text().count("rmmod busy\n") == 10


def test_a_module_is_unloaded_with_what_it_depended_on_when_that_is_asked_for(run, kernel: pathlib.Path) -> None:
    (kernel / "modules").write_text("zram 1 0 -\n")
    assert kmod(run, kernel, modules.call("unload", "zram", "yes")).all("changed") == ["zram"]
    assert (kernel / "calls").read_text() == "modprobe -r zram\n"


def test_a_module_that_the_kernel_has_in_itself_cannot_be_loaded(run, kernel: pathlib.Path) -> None:
    (kernel / "tree").mkdir()
    (kernel / "tree" / "modules.builtin").write_text("kernel/a/other.ko\nkernel/a/in-kernel.ko\n")
    got = kmod(run, kernel, load("in_kernel", file=False))
    assert (got.one("failed"), "in_kernel is built into this kernel" in got.text("reason")) == ("FAIL", True)


@pytest.mark.parametrize("packed", ["", ".xz"])
def test_the_file_of_a_loaded_module_is_found_without_modinfo_and_sent_as_it_is(run, kernel, packed: str) -> None:
    (kernel / "tree" / "kernel").mkdir(parents=True)
    (kernel / "tree" / "modules.dep").write_text(f"kernel/my.ko: \nkernel/my-own.ko{packed}: kernel/my.ko\n")
    (kernel / "tree" / "kernel" / f"my-own.ko{packed}").write_bytes(b"\0\xff\n")
    got = kmod(run, kernel, modules.call("bring", "my_own"))
    assert got.blobs["my_own.ko"] == b"\0\xff\n"
    assert got.one("origin") == f"my_own {kernel}/tree/kernel/my-own.ko{packed}"
    assert got.one("identity").strip() == "my_own -"


@pytest.mark.parametrize(("zstd", "sent"), [("printf module", b"module"), ("return 127", b"packed")])
def test_a_file_packed_with_zstd_is_unpacked_by_a_host_that_can(run, kernel: pathlib.Path, zstd: str, sent) -> None:
    (kernel / "tree").mkdir()
    (kernel / "tree" / "modules.dep").write_text("my.ko.zst:\n")
    (kernel / "tree" / "my.ko.zst").write_bytes(b"packed")
    assert kmod(run, kernel, f"zstd() {{ {zstd}; }}\n", modules.call("bring", "my")).blobs["my.ko"] == sent


def test_a_module_whose_file_is_nowhere_sends_nothing(run, kernel: pathlib.Path) -> None:
    got = kmod(run, kernel, modules.call("bring", "lost"))
    assert (got.blobs, set(got.values) - {"boot"}) == ({}, set())


def test_a_loaded_module_counts_only_with_the_same_parameters(run) -> None:
    program = hostshell.load_script("kmod") + "".join(
        f"if same_value {shlex.quote(have)} {shlex.quote(given)}; then value answer yes; else value answer no; fi\n"
        for have, given in (("Y", "1"), ("N", "0"), ("cp_target", "cp-target"), ("3", "3"), ("3", "4"), ("Y", "0")))
    assert run(program, {"k_timeout": 9}).all("answer") == ["yes", "yes", "yes", "yes", "no", "no"]


def exercise(run, script: str, seconds: int = 20, **files: str) -> hostshell.Answer:
    everything = {"files/x.sh": script, **{f"files/{name}": text for name, text in files.items()}}
    data = hostshell.make_tar({name: text.encode() for name, text in everything.items()})
    return run(hostshell.load_script("exercise"), {"k_script": "x.sh", "k_seconds": seconds}, data)


def test_a_script_runs_beside_its_files_and_leaves_nothing(run) -> None:
    got = exercise(run, "pwd; cat note; echo oops >&2; exit 3\n", note="hello\n")
    place, note = got.text("out").splitlines()
    assert (note, got.text("err"), got.number("status")) == ("hello", "oops\n", 3)
    assert not pathlib.Path(place).exists()
    start, end = map(float, got.one("took").split())
    assert start <= end


def test_a_script_that_takes_too_long_is_killed(run) -> None:
    assert exercise(run, "echo begun; sleep 50\n", 1).number("status") in (124, 137, 143)


@pytest.fixture
def places(tmp_path: pathlib.Path) -> str:
    """Words that let private directories be made in two places, of which the first is made unfit by the test."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return f"k_bases='{tmp_path}/first {tmp_path}/second'\n"


NO_EXEC = """
programs_run() { case $k_dir in */first/*) return 1 ;; esac; }
"""


def test_a_place_where_no_program_can_run_is_passed_over(run, places: str, tmp_path: pathlib.Path) -> None:
    got = run(places + NO_EXEC + 'private_dir programs_run\nvalue dir "$k_dir"\n', {})
    assert got.one("dir").startswith(f"{tmp_path}/second/kedr-")
    assert list((tmp_path / "first").iterdir()) == []
    assert run(places + NO_EXEC + 'private_dir\nvalue dir "$k_dir"\n', {}).one("dir").startswith(f"{tmp_path}/first/")


def test_a_host_on_which_no_program_can_run_says_so(run, places: str, tmp_path: pathlib.Path) -> None:
    got = run(places + "programs_run() { return 1; }\nprivate_dir programs_run\n", {})
    assert got.one("failed") == "INFRA"
    assert f"no directory of the host allows programs to run (tried {tmp_path}/first " in got.text("reason")
    assert "noexec" in got.text("reason")


def test_programs_are_tried_where_they_are_to_run(run, tmp_path: pathlib.Path) -> None:
    assert run("private_dir programs_run\nvalue left \"$(ls -A)\"\n", {}).one("left") == ""


def test_a_script_that_prints_without_end_is_cut(run) -> None:
    got = exercise(run, "i=0; while [ $i -lt 30 ]; do i=$((i + 1)); head -c 65536 /dev/zero | tr '\\0' x; done\n")
    assert len(got.blobs["out"]) <= (1 << 20) + 1
    assert got.one("cut") == "yes"
    assert exercise(run, "echo short\n").one("cut") == ""


BUILD = "echo built $2; mkdir -p symvers; echo ko >$2/$2.ko; echo s >symvers/$2.symvers; echo log >$2.log\n"


def stage(tmp_path: pathlib.Path, build: str) -> tuple[dict[str, str], bytes]:
    """Values and data of a build whose build.sh is `build`."""
    (tmp_path / "Makefile").write_text("")
    files = {"build.sh": build.encode(), "one/Kbuild": b"", "one/user/tool": b"t", "one/user/t.c": b""}
    return {"k_tree": str(tmp_path), "k_modules": "one"}, hostshell.make_tar(files)


def test_a_build_sends_back_what_it_made_and_its_logs(run, tmp_path: pathlib.Path) -> None:
    got = run(hostshell.load_script("kmod_build"), *stage(tmp_path, BUILD))
    assert (got.number("status"), got.text("said"), got.text("one.log")) == (0, "built one\n", "log\n")
    assert hostshell.read_tar(got.blobs["result.tar"]) == {
        "one/one.ko": b"ko\n", "symvers/one.symvers": b"s\n", "one/user/tool": b"t"}


def test_a_build_without_a_kernel_tree_is_the_labs_fault(run, tmp_path: pathlib.Path) -> None:
    values, data = stage(tmp_path, BUILD)
    got = run(hostshell.load_script("kmod_build"), {**values, "k_tree": str(tmp_path / "no")}, data)
    assert (got.one("failed"), got.text("reason").strip()) == ("INFRA", f"no kernel tree at {tmp_path}/no")


def test_a_build_ends_when_nobody_listens_any_more(tmp_path: pathlib.Path) -> None:
    values, data = stage(tmp_path, f"pwd >{tmp_path}/place; (sleep 50; echo >{tmp_path}/too-late) & wait\n")
    call = hostshell.frame(hostshell.load_script("kmod_build"), values, data)
    with subprocess.Popen(call.command, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(call.stdin)
        process.stdin.close()
        while not (tmp_path / "place").exists() or not (tmp_path / "place").read_text():
            assert process.poll() is None
        process.stdout.close()
        assert process.wait(timeout=30) != 0
    assert not pathlib.Path((tmp_path / "place").read_text().strip()).exists()


@pytest.mark.parametrize(("enforce", "lockdown", "why"), [
    ("N", "", ""), ("", "[none] integrity confidentiality", ""), ("Y", "", "module.sig_enforce is on"),
    ("N", "none [integrity] confidentiality", "the kernel is locked down (integrity), as it is under Secure Boot"),
    ("Y", "none [confidentiality]", "the kernel is locked down (confidentiality), as it is under Secure Boot"),
])
def test_a_kernel_that_wants_signatures_refuses_unsigned_modules_before_they_are_tried(
    run, enforce: str, lockdown: str, why: str
) -> None:
    program = hostshell.load_script("signatures") + """
first_line() { case $1 in */sig_enforce) k_line=$k_enforce ;; */lockdown) k_line=$k_lockdown ;; esac; }
loaded() { [ "$1" = there ]; }
need_signed
need_signed there
value signed ok
need_signed there one
value tried one
"""
    got = run(program, {"k_enforce": enforce, "k_lockdown": lockdown})
    assert got.one("signed") == "ok"
    assert got.one("failed") == ("SKIP" if why else "")
    assert got.one("tried") == ("" if why else "one")
    assert got.text("reason").startswith(f"{why}: only signed modules are loaded, and one is not signed" if why else "")


"""How the program that streams finds out whether a directory is its own."""


@pytest.mark.parametrize(("offered", "chosen"), [
    ("[local] global counter uptime perf mono mono_raw boot tai x86-tsc", "boot"),
    ("[local] global counter uptime perf mono mono_raw x86-tsc", "mono"),
    ("local [tai]", "local [tai]"),
    ("[local] global", "global"),
    ("[local] globally", "[local] globally"),
    ("", ""),
])  # fmt: skip
def test_the_best_clock_that_is_offered_is_chosen(run, tracefs: pathlib.Path, offered: str, chosen: str) -> None:
    clock = tracefs / "instances" / "kedr" / "trace_clock"
    clock.write_text(f"{offered}\n")
    trace(run, tracefs, k_clock="auto", k_clocks=" ".join(clocks.PREFERRED))
    assert clock.read_text() == f"{chosen}\n"


def keep_place(run, top: pathlib.Path, words: str = "") -> hostshell.Answer:
    """Let the program that streams choose where it keeps what is not acknowledged, below two directories of ours."""
    program = hostshell.load_script("tracefs", "stream").partition("need_root Streaming")[0]
    assert program.count("in /tmp /var/tmp;") == 1
    program = program.replace("in /tmp /var/tmp;", f"in {top}/tmp {top}/var;") + words
    (top / "var").mkdir(exist_ok=True)
    return run(program + 'keep_place\nvalue place "$k_spool"\n', {
        "k_instance": "kedr", "k_events": "", "k_bytes": 1, "k_pause": 1, "k_packers": "", "k_session": "S",
        "k_kept": 0,
    })  # fmt: skip


def test_a_stream_goes_on_in_its_own_directory(run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "tmp").mkdir()
    for _round in range(2):
        assert keep_place(run, tmp_path).one("place") == f"{tmp_path}/tmp/kedr-stream-S"
    assert (tmp_path / "tmp/kedr-stream-S").stat().st_mode & 0o777 == 0o700


def test_a_stream_writes_through_no_link_that_others_have_put_there(run, tmp_path: pathlib.Path) -> None:
    """Between two rounds the name is known to all, and the directory may be gone."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "victim").mkdir()
    (tmp_path / "tmp/kedr-stream-S").symlink_to(tmp_path / "victim")
    assert keep_place(run, tmp_path).one("place") == f"{tmp_path}/var/kedr-stream-S"
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_stream_uses_no_directory_of_others(run, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "tmp/kedr-stream-S"
    place.mkdir(parents=True)
    words = "ours() { case $1 in */tmp/*) return 1 ;; esac; cd $1; }\n"  # only root can give a directory away
    if os.geteuid() == 0:
        os.chown(place, 65534, 65534)
        words = ""
    assert keep_place(run, tmp_path, words).one("place") == f"{tmp_path}/var/kedr-stream-S"
    assert list(place.iterdir()) == []
