# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever bytes come from a host or stand in a foreign file: they are read, or refused with the reader's own error.

KEDR_FUZZ_SEED chooses other bytes, KEDR_FUZZ_EXAMPLES how many of them each reader gets.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import sums
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.collect import jobs
from ansible_collections.kedr.lab.plugins.plugin_utils.collect.protocol import Parser
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes import cdecl
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import accounts, counters, host_records, splats
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.host import (
    build,
    exercise,
    facts,
    hold,
    modules,
    shell,
    ssh_legacy,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.checksums import parse_checksums
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import explain
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.seed import read_finished
from ansible_collections.kedr.lab.plugins.plugin_utils.payload import lint
from ansible_collections.kedr.lab.plugins.plugin_utils.payload import read as payload_read
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import clocks, collected, pages, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.formats import TraceError, parse_formats
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.layouts import parse_layouts
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.stats import parse_stats
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import TraceReader, thread_names
from bombs import MOST, ROOT
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

SEED = int(os.environ.get("KEDR_FUZZ_SEED", "20260101"))
EXAMPLES = int(os.environ.get("KEDR_FUZZ_EXAMPLES", "40"))
HANGS = 20
"""Seconds of the processor's time after which a reader is taken to hang."""
DATA = ROOT / "tests" / "unit" / "data" / "host"
POLICY = load_policy(str(ROOT / "data" / "splats.yml"))
NAMES = ("formats.txt", "stats.txt", "trace.txt", "comms.txt", "header.txt", "facts.json", "raw/cpu0.pages")
FILES = {name: (DATA / name).read_bytes() for name in NAMES}
LAYOUT = pages.parse_header_page(FILES["header.txt"].decode())
FORMATS = parse_formats(FILES["formats.txt"].decode())
ANSWER = (
    b"kedr-begin n\nv release 6.1\nv machine x86_64\nv taint 4096\nv cpus 2\nv tool gcc yes\nv lacks make\n"
    b"v lockdown none [integrity]\nv left_module a\nv left_instance b\nv ended_program /tmp/kedr-0a1b\nv status 0\n"
    b'text os_release\n|ID=debian\n|PRETTY_NAME="Debian \\" 13"\n.\n'
    b"text version\n|Linux version 6 (a@b) (gcc (D) 1)\n.\n"
    b"text exports\n|kfree\n.\ntext config\n|CONFIG_A\n.\ntext modules\n|ext4 1 2 - Live 0x0\n.\ntext keys\n|key\n.\n"
    b"text out\n|check a ok\n.\nfile x 3\nabc\nv uptime 1.5\nv boot e2609a0a-b92f-4fdd-abc8-239a0b5840a5\nkedr-end n\n"
)
LOG = (
    b"<1>[    1.000001] kedr: run r begins\n<4>[    1.1] ------------[ cut here ]------------\n"
    b"[    2.000000] BUG: unable to handle page fault\n[    2.0] RIP: 0010:f+0x1/0x2 [m]\n[    2.0] Call Trace:\n"
    b"[    2.0]  ? g+0x1/0x2\n[    2.0] ---[ end trace 0 ]---\n[    3.0] cp_controller: m: refused: x\n"
    b"\x1b[0m[    4.0] kedr: run r ends\nKernel panic - not syncing: Fatal exception\n"
)
SUM = b"0" * 64
SEEDS = {
    "answer": ANSWER,
    "tar": shell.make_tar({"a/b.ko": b"x" * 700, "generated/kedr/config.h": b"#define A 1\n"}),
    "log": LOG,
    "output": b"check a ok\ncheck b bad why\n check c\tok\nCHECK d\n\x1b[31mcheck e ok\n",
    "clocks": b"clocks begin boot 1 2 3\nclocks chrony a,b,c,1,2,3,4,5,6,7,8,9,10,Normal\n"
              b"clocks boot_id e2609a0a-b92f-4fdd-abc8-239a0b5840a5\n",
    "clocks.jsonl": b'{"boot_id": "a"}\n{"chrony": {"error_ns": 3}}\n'
                    b'{"when": "begin", "clock": "boot", "trace_ns": 1, "real_ns": 2, "uncertainty_ns": 3}\n',
    "calls": b"p/f 12\nq/g 0\n",
    "checksums": SUM + b"  disk.img\nSHA256 (disk.img) = " + SUM + b"\n# x\n",
    "finished": b'6.1.0\n{"v1": {"datasource": "NoCloud", "errors": ["x"]}}\n',
    "hold": b"run=r1 by=a@b pid=12 start=3 since=1700000000 boot=x",
    "stream": b"hello\nkedr-begin n\nv boot a\nv form pages\nv packing none\npacket formats - 0 6 6 -\n== a/b"
              b"v live yes\npacket text trace_pipe 1 2 2 -\nx\nv beat 1\nv sent 1\nkedr-end n\n",
    "sums": b"12 " + SUM + b"\n",
    "payload": (ROOT / "data" / "my_payload1.data").read_bytes(),
    "c": b'/* a */ int f(char *x) { return "a\\"" + \'b\'; } // c\n#error "x\n',
    "explained": b"E: x\nUnable to negotiate: no matching host key type found. Their offer: ssh-rsa\n",
    **{name: content[:20000] for name, content in FILES.items() if name != "raw/cpu0.pages"},
    "pages": FILES["raw/cpu0.pages"][:8192],
}
WORDS = (b"\n", b" ", b"\0", b"\xff", b"\r", b"|", b".\n", b"9" * 30, b"9" * 5000, b"-1", b"0x", b"[", b"(" * 50, b'"',
         b"\\", b"%s", b"%", b"\x1b[", b"{" * 3000, b"[" * 50000, b"== ", b";", b"\xe2\x80\xae", b"\xd9\xa1",
         b"/", b"..", b"")


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes that are like `content`: some places have other bytes, come twice, or are gone."""
    for _edit in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.integers(0, 40)))
        new = draw(st.sampled_from(WORDS) | st.binary(max_size=20) | st.just(content[at:end] * 3))
        content = content[:at] + new + content[end:]
    return content[:draw(st.integers(0, len(content)))] if draw(st.integers(0, 5)) == 5 else content


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def answered(data: bytes) -> None:
    answer = shell.parse(data, "n")
    answer.number("taint")
    exercise.parse_checks(answer.text("out"))
    facts.facts_of_answer(answer)


def untarred(data: bytes) -> None:
    """Read a tar whose checksums are right, whatever else was changed."""
    whole = bytearray(data)
    for at in range(0, len(whole) - 511, 512):
        if whole[at + 257:at + 262] == b"ustar":
            whole[at + 148:at + 156] = b" " * 8
            whole[at + 148:at + 156] = b"%06o\0 " % sum(whole[at:at + 512])
    shell.read_tar(bytes(whole))


def traced(data: bytes) -> None:
    lines = data.splitlines(keepends=True)
    reader = TraceReader(iter(lines), FORMATS)
    for batch in rows.text_batches(reader, FORMATS, rows.Origin("h", "6.1", {})):
        batch.validate(full=True)


def formatted(data: bytes) -> None:
    formats = parse_formats(data.decode("utf-8", "replace"))
    for _record in TraceReader(iter(FILES["trace.txt"][:20000].splitlines(keepends=True)), formats):
        pass


def paged(data: bytes) -> None:
    found = pages.walk(data, LAYOUT)
    layouts = parse_layouts(FILES["formats.txt"].decode())
    rows.batch(found, 0, layouts, {}, rows.Origin("h", "6.1", {})).validate(full=True)
    pages.count(data, LAYOUT)


def laid_out(data: bytes) -> None:
    layouts = parse_layouts(data.decode("utf-8", "replace"))
    found = pages.walk(FILES["raw/cpu0.pages"][:8192], LAYOUT)
    rows.batch(found, 0, layouts, {}, rows.Origin("h", "6.1", {})).validate(full=True)


def scanned(data: bytes) -> None:
    log = text(data)
    splats.scan(log.splitlines(keepends=True), POLICY, "kedr: run r begins", end="kedr: run r ends", modules=("m",))
    modules.meaning(log, log)
    build.errors_of_log(log)


def streamed(data: bytes) -> None:
    parser = Parser("n")
    for start in range(0, len(data), 7):
        list(parser.feed(data[start:start + 7]))


READERS: dict[str, tuple[Callable[[bytes], Any], tuple[type[Exception], ...]]] = {
    "answer": (answered, (ForeignError,)),
    "tar": (untarred, (ForeignError,)),
    "log": (scanned, ()),
    "output": (lambda data: exercise.parse_checks(text(data)), ()),
    "clocks": (lambda data: clocks.dump(clocks.take(text(data).splitlines())), ()),
    "clocks.jsonl": (lambda data: clocks.parse(text(data)), (ForeignError,)),
    "calls": (lambda data: counters.parse(text(data)), (ForeignError,)),
    "checksums": (lambda data: parse_checksums(text(data), "disk.img"), (KedrError,)),
    "finished": (lambda data: read_finished(text(data)), (KedrError,)),
    "hold": (lambda data: hold.describe(hold.parse(text(data))), ()),
    "stream": (streamed, (ForeignError,)),
    "payload": (lambda data: payload_read.read_payload(data, "x"), ()),
    "c": (lambda data: (cdecl.unbalanced(text(data)), cdecl.words(text(data))), ()),
    "explained": (lambda data: (explain(text(data)), ssh_legacy.explain(text(data), "false")), ()),
    "formats.txt": (formatted, (TraceError,)),
    "header.txt": (lambda data: pages.parse_header_page(text(data)), (ForeignError,)),
    "stats.txt": (lambda data: parse_stats(text(data)), (TraceError,)),
    "comms.txt": (thread_names, ()),
    "trace.txt": (traced, ()),
    "pages": (paged, (ForeignError,)),
}


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    def hang(_signal: int, _frame: object) -> None:
        raise AssertionError(f"it hangs: {HANGS} s of the processor's time")

    signal.signal(signal.SIGVTALRM, hang)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANGS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def peak() -> int:
    """Bytes that this process took at most since ``forget_peak``."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    """No reader makes this process grow by as much as a control node may have."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    yield
    assert peak() - before < MOST - 100_000_000


def fuzzed(test: Callable[..., None]) -> Callable[..., None]:
    """A test whose examples are the same each time, unless another seed is chosen."""
    chosen = settings(max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    return seed(SEED)(chosen(test))


@pytest.mark.parametrize("name", READERS)
@fuzzed
@given(data=st.data())
def test_a_reader_takes_any_bytes_or_refuses_them_with_its_own_error(name: str, data: st.DataObject) -> None:
    read, refusals = READERS[name]
    content = data.draw(changed(SEEDS[name]) | st.binary(max_size=2000))
    with no_hang(), contextlib.suppress(*refusals):
        read(content)


@fuzzed
@given(data=st.data())
def test_formats_that_lie_about_pages_are_read_or_refused(data: st.DataObject) -> None:
    content = data.draw(changed(SEEDS["formats.txt"]))
    with no_hang(), contextlib.suppress(TraceError, ForeignError):
        laid_out(content)


@pytest.mark.parametrize("name", FILES)
@fuzzed
@given(data=st.data())
def test_a_directory_of_a_host_is_read_or_refused(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    place = tmp_path_factory.mktemp("host")
    shutil.copytree(DATA, place, dirs_exist_ok=True)
    (place / name).write_bytes(data.draw(changed(FILES[name])))
    try:
        with no_hang():
            with contextlib.suppress(ForeignError, ForeignError):
                for batch in host_records.find(str(place), "one").batches():
                    batch.validate(full=True)
            with contextlib.suppress(ForeignError):
                found = collected.read(str(place))
                found.count()
                accounts.account(found, {}, [], False)
            with contextlib.suppress(OSError):
                sums.damage(str(place))
    finally:
        shutil.rmtree(place)


@fuzzed
@given(data=st.data())
def test_what_a_command_on_a_host_answers_is_told(data: st.DataObject) -> None:
    job = jobs.Job("one", ["cat"], data.draw(changed(ANSWER)), nonce="n")
    job.start()
    jobs.wait_for([job], 30)
    output, status, error = job.result()
    assert isinstance(output, bytes)
    assert isinstance(error, str)
    assert status is None or status >= 0


@fuzzed
@given(data=st.data())
def test_the_linter_tells_each_mistake_of_any_file(data: st.DataObject) -> None:
    content = data.draw(changed(SEEDS["payload"]))
    with no_hang():
        for problem in payload_read.read_payload(content, "x").problems:
            lint.described(problem)
            assert "\x1b" not in lint.line_of(problem)
