# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever single byte of the evidence is another one, the judgement ends without an error of its own and is not OK."""

from __future__ import annotations

import os
import pathlib
import random
from concurrent.futures import ProcessPoolExecutor

from ansible_collections.kedr.lab.plugins.plugin_utils.evidence import expect
from ansible_collections.kedr.lab.plugins.plugin_utils.evidence.policy import load_policy
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict import verify
from evidence import HOST, NOT_EVIDENCE, Evidence, copy_of
from guests import DATA, Run
from judging import FIGURE

NUMBER = 500
"""How many bytes are changed, one at a time."""
SHARES = 2
"""Processes that share the work, each with a copy of the evidence."""


def _files(run: Evidence) -> list[str]:
    """The files that are evidence; each of them is taken as often as any other, however small it is."""
    place = run.path / HOST
    found = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
    return [name for name in found if not any(name.startswith(one) for one in NOT_EVIDENCE)]


def _missed(path: pathlib.Path, seed: str, number: int) -> list[str]:
    """What was judged OK, or not judged, of so many evidences with one changed byte."""
    choice, run = random.Random(seed), Evidence(path)
    policy = load_policy(str(DATA / "splats.yml"))
    expects = {HOST: expect.load_expect(expect.default_expect("cp_target"))}
    files, missed = _files(run), []
    for _each in range(number):
        name = choice.choice(files)
        good = run.file(name).read_bytes()
        at, byte = choice.randrange(len(good)), choice.randrange(1, 256)
        run.file(name).write_bytes(good[:at] + bytes([good[at] ^ byte]) + good[at + 1 :])
        (entry,) = verify.judge_run(str(path), [HOST], expects, policy)
        run.file(name).write_bytes(good)
        if entry["verdict"] == "OK" or "cannot be judged" in entry["reason"]:
            missed.append(f"{name}, byte {at} xor {byte:#x}: {entry['verdict']}: {entry['reason']}")
    return missed


def test_a_changed_byte_of_the_evidence_is_never_ok_and_never_an_error(good_run: Run, tmp_path: pathlib.Path) -> None:
    seed = os.environ.get("KEDR_FUZZ_SEED") or "10"
    copies = [copy_of(good_run.directory, tmp_path / str(share)).path for share in range(SHARES)]
    assert _files(Evidence(copies[0]))
    with ProcessPoolExecutor(SHARES) as pool:
        seeds = [f"{seed}.{share}" for share in range(SHARES)]
        shares = pool.map(_missed, copies, seeds, [NUMBER // SHARES] * SHARES)
        missed = [told for share in shares for told in share]
    FIGURE.seen += NUMBER
    FIGURE.green += [told for told in missed if ": OK: " in told]
    FIGURE.wrong += [told for told in missed if ": OK: " not in told]
    assert not missed, f"KEDR_FUZZ_SEED={seed}: {len(missed)} of {NUMBER}:\n" + "\n".join(missed[:20])
