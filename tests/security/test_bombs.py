# SPDX-License-Identifier: GPL-3.0-or-later
"""What is small on its way, or has no end: the control node says so in plain words and takes less than 300 MB."""

from __future__ import annotations

import base64
import gzip
import json
import os
import pathlib
import re

import pytest
from bombs import MOST, ROOT, by_ssh, hostile, python, task

ANSWERS = {
    "nothing but talk": ("exec yes", "the host answered more than 8 MiB"),
    "lines without end": ("begin; echo 'text version'; exec yes '|y'", "the host answered more than 8 MiB"),
    "a line without end": ("begin; exec tr '\\0' x </dev/zero", "the host answered more than 8 MiB"),
    "errors without end": ("begin; exec yes >&2", "the host answered more than "),
    "a wrong length": ("begin; echo 'file x 999999999999'; exec cat /dev/zero", "the host answered more than 8 MiB"),
    "a million keys": ("begin; seq -f 'v a%.0f 1' 500000; end", "the host answered more than 100000 values"),
    "a large text": ("begin; echo 'text os_release'; yes '|y' | head -c 7999998; printf '.\\n'; end",
                     "bytes of 'os_release'; at most 4194304 are taken"),
}


def result(said: str) -> dict:
    """The result that Ansible shows of a task."""
    return json.loads(said[said.index("=> {") + 3:])


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_without_end_or_measure_ends_at_once_and_fits_into_memory(
    name: str, tmp_path: pathlib.Path
) -> None:
    program, reason = ANSWERS[name]
    path = hostile(tmp_path, program)
    done = task("kernel_facts", "-c", "local", PATH=f"{path.parent}:{os.environ['PATH']}")
    assert reason in result(done.said)["msg"], done.said[-2000:]
    assert result(done.said)["kind"] == "INFRA"
    assert done.peak < MOST


@pytest.mark.parametrize("name", ["nothing but talk", "lines without end", "errors without end"])
def test_an_endless_answer_over_ssh_ends_at_once_and_fits_into_memory(name: str, tmp_path: pathlib.Path) -> None:
    program, reason = {**ANSWERS, "nothing but talk": ("exec yes", "something else for 64 KiB: y")}[name]
    done = task("kernel_facts", *by_ssh(tmp_path, str(hostile(tmp_path, program))))
    assert reason in result(done.said)["msg"], done.said[-2000:]
    assert done.peak < MOST


@pytest.mark.parametrize("program", ["exec yes >&2", "tr '\\0' x </dev/zero"])
def test_a_host_that_talks_before_it_lets_become_root_ends_at_once(program: str, tmp_path: pathlib.Path) -> None:
    words = ["-b", "--become-method", "su", "--become-user", "nobody"]
    path = tmp_path / "talk"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    done = task("kernel_facts", *by_ssh(tmp_path, str(path)), *words)
    assert re.search(r"the host answered (something else for 64 KiB|more than 1 MiB)", done.said), done.said[-2000:]
    assert done.peak < MOST


BECOMING = {"ANSIBLE_BECOME_ALLOW_SAME_USER": "1"}


@pytest.mark.parametrize("way", ["local", "ssh"])
def test_an_honest_host_is_still_asked_also_as_another_user(way: str, tmp_path: pathlib.Path) -> None:
    words = ["-c", "local"] if way == "local" else by_ssh(tmp_path)
    done = task("kernel_facts", *words, "-b", "--become-method", "su", **BECOMING)
    assert (done.status, done.peak < MOST) == (0, True), done.said[-2000:]
    assert '"release"' in done.said


LARGEST = {
    "dmesg": """begin
for name in trace witness dmesg; do echo "text $name"; yes '|ab' | head -c 20971520; printf '.\\n'; done
end
""",
    "stats": "begin; echo 'file stats 66000000'; head -c 66000000 /dev/zero; echo; end",
}


@pytest.mark.parametrize(("way", "name", "size"), [
    ("local", "dmesg", 15728640), ("ssh", "dmesg", 15728640), ("ssh", "stats", 66000000),
])
def test_the_largest_evidence_that_is_taken_fits_into_memory(
    way: str, name: str, size: int, tmp_path: pathlib.Path
) -> None:
    path = hostile(tmp_path, LARGEST[name])
    words = ["-c", "local"] if way == "local" else by_ssh(tmp_path, str(path))
    done = task("trace_collect", *words, "-a", f"run_dir={tmp_path}/run", PATH=f"{path.parent}:{os.environ['PATH']}")
    assert done.peak < MOST
    assert (tmp_path / "run" / "one" / f"{name}.txt").stat().st_size == size, done.said[-2000:]


PARSED = {
    "an answer of the largest size, of the shortest lines": (
        "shell.parse(b'kedr-begin n\\ntext a\\n' + b'|\\n' * (31 << 20) + b'.\\nkedr-end n\\n', 'n')", "",
    ),
    "an answer of nothing but line ends": (
        "shell.parse(b'kedr-begin n\\ntext a\\n' + b'\\n' * (60 << 20) + b'.\\nkedr-end n\\n', 'n')", "",
    ),
    "an answer of many texts": (
        "shell.parse(b'kedr-begin n\\n' + b''.join(b'text a%d\\n.\\n' % n for n in range(1000000)), 'n')",
        "more than 100000 values",
    ),
    "a sparse file": (
        "import base64, gzip\nshell.read_tar(gzip.decompress(base64.b64decode(sys.argv[1])))", "odd entry: sparse",
    ),
    "names of names": (
        "one = shell.make_tar({'a': b''})[:512]\n"
        "def kind(letter, size=0):\n"
        "    head = bytearray(one)\n"
        "    head[156:157], head[124:135] = letter, b'%011o' % size\n"
        "    head[148:156] = b' ' * 8\n"
        "    head[148:156] = b'%06o\\0 ' % sum(head)\n"
        "    return bytes(head)\n"
        "shell.read_tar(kind(b'L') * 100000 + one + bytes(1024))\n"
        "shell.read_tar(kind(b'K') * 100000 + one + bytes(1024))", "odd entry: a",
    ),
    "a size that lies": (
        "head = bytearray(shell.make_tar({'a': b''})[:512])\n"
        "head[124:135], head[148:156] = b'77777777777', b' ' * 8\n"
        "head[148:156] = b'%06o\\0 ' % sum(head)\n"
        "shell.read_tar(bytes(head) + bytes(1024))", "damaged at byte 0",
    ),
    "a tar of a hundred thousand entries": (
        "one = shell.make_tar({'a': b''})[:512]\n"
        "shell.read_tar(one * 100000 + bytes(1024))", "'a' twice",
    ),
    "a large entry for a name": (
        "import io, tarfile\nout = io.BytesIO()\ninfo = tarfile.TarInfo('x')\ninfo.type, info.size = b'L', 60 << 20\n"
        "tarfile.open(fileobj=out, mode='w').addfile(info, io.BytesIO(b'n' * info.size))\n"
        "shell.read_tar(out.getvalue()[:(60 << 20) + 512] + out.getvalue()[:512] * 0 "
        "+ shell.make_tar({'a': b''}))", "odd entry: nnnn",
    ),
    "a version of 80 kB": (
        "assert facts.kernel_compiler('Linux version 6.1 (' + 'a(' * 40000) == ''\n"
        "assert facts.kernel_compiler('Linux version 6.1 (clang' + ' clang' * 14000) == ''\n"
        "assert facts.kernel_compiler('Linux version 6.1 ' + '(a)' * 27000) == ''", "",
    ),
    "a system of a megabyte": ("facts.parse_os_release('NAME=' + '=' * 1000000)", ""),
    "a log of words that begin a refusal": (
        "modules.meaning('Operation not permitted', 'cp_controller: Lockdown: ' * 40000)", "",
    ),
    "a header of a page of blanks": ("pages.parse_header_page('field: ' + ' ' * 1000000)", "does not name timestamp"),
    "a header of a page of digits": (
        "pages.parse_header_page('\\tfield: u64 commit;\\toffset:' + '9' * 5000 + ';\\tsize:8;')", "ForeignError",
    ),
    "quotes without an end": (
        "from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import Problem\n"
        "lint.described(Problem('p', 1, '\"\\'' * 200))\n"
        "cdecl.unbalanced('\"' + '\\\\\"' * 100000)\ncdecl.code_without_text('/*' * 100000)\n"
        "cdecl.code_without_text('\"' + '\\\\\"' * 100000)", "",
    ),
    "a declaration of one long word": ("cdecl.parse_declaration('a' * 200000 + '!')", "a C declaration"),
    "a cast of blanks": (
        "formats.parse_format('format:\\n\\tfield:int a;\\toffset:8;\\tsize:4;\\tsigned:1;\\n\\nprint fmt: \"%d\", (a'"
        " + ' ' * 60000 + '!)', 's', 'e')", "",
    ),
    "a list of checksums of blanks": ("checksums.parse_checksums('0' * 64 + ' a' + ' ' * 200000 + '!', 'x')", ""),
    "a kernel log of one long word": (
        "policy = load_policy(sys.argv[2])\n"
        "splats.scan(('0' * 4000 + '\\n' for _ in range(300)), policy, 'm', whole=True)\n"
        "splats.scan(('rcu_' * 1000 + ' kthread \\n' for _ in range(300)), policy, 'm', whole=True)", "",
    ),
}


def sparse() -> str:
    """A tar, packed and as text, of one sparse file: 1.5 kB that are 3 GiB."""
    head = bytearray(512)
    head[0:6], head[100:108], head[156:157], head[257:265] = b"sparse", b"0000644\0", b"S", b"ustar  \0"
    for place in (108, 116):
        head[place:place + 8] = b"0000000\0"
    head[124:136], head[136:148], head[483:495] = b"%011o\0" % 512, b"%011o\0" % 0, b"%011o\0" % (3 << 30)
    head[386:410] = b"%011o\0%011o\0" % (0, 512)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return base64.b64encode(gzip.compress(bytes(head) + bytes(512) + bytes(1024))).decode()


BEGIN = """
import sys
from ansible_collections.kedr.lab.plugins.plugin_utils.ctypes import cdecl
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import splats
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.host import facts, modules, shell
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images import checksums
from ansible_collections.kedr.lab.plugins.plugin_utils.payload import lint
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import formats, pages
"""


@pytest.mark.parametrize("name", PARSED)
def test_what_was_taken_is_understood_or_refused_in_bounded_time_and_memory(name: str) -> None:
    code, reason = PARSED[name]
    done = python(BEGIN + code, sparse(), str(ROOT / "data" / "splats.yml"))
    assert reason in done.said, done.said[-2000:]
    assert done.status == (1 if reason else 0), done.said[-2000:]
    assert done.peak < MOST
