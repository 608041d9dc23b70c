# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever single byte of the evidence is another one, the judgement ends without an error of its own and is not OK."""

from __future__ import annotations

import os
import random

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils import expect, splat, verdict
from evidence import HOST, NOT_EVIDENCE, Evidence, copy_of
from guests import DATA, Run
from judging import FIGURE

NUMBER = 500
"""How many bytes are changed, one at a time."""


@pytest.fixture(scope="session")
def run(good_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return copy_of(good_run.directory, tmp_path_factory.mktemp("random"))


class Judge:
    """Judges a run in this process, by the functions of kedr.lab.verdict."""

    def __init__(self) -> None:
        self.policy = splat.load_policy(str(DATA / "splats.yml"))
        self.expect = expect.load_expect(expect.default_expect("cp_target"))

    def __call__(self, run: Evidence) -> tuple[str, str]:
        (entry,) = verdict.judge_run(str(run.path), [HOST], {HOST: self.expect}, self.policy)
        return entry["verdict"], entry["reason"]


def _files(run: Evidence) -> list[str]:
    """The files that are evidence, each as often as it has bytes, up to a bound: small files get their share."""
    found = sorted(str(path.relative_to(run.path / HOST)) for path in (run.path / HOST).rglob("*") if path.is_file())
    return [name for name in found if not any(name == one or name.startswith(one) for one in NOT_EVIDENCE)]


def test_a_changed_byte_of_the_evidence_is_never_ok_and_never_an_error(run: Evidence) -> None:
    seed = int(os.environ.get("KEDR_FUZZ_SEED") or 10)
    choice, judge, files = random.Random(seed), Judge(), _files(run)
    assert judge(run)[0] == "OK"
    missed = []
    for _each in range(NUMBER):
        name = choice.choice(files)
        path = run.file(name)
        good = path.read_bytes()
        at, byte = choice.randrange(len(good)), choice.randrange(1, 256)
        path.write_bytes(good[:at] + bytes([good[at] ^ byte]) + good[at + 1 :])
        word, reason = judge(run)
        path.write_bytes(good)
        told = f"{name} byte {at} xor {byte:#x}: {word}: {reason}"
        if word == "OK" or "cannot be judged" in reason:
            missed.append(told)
    FIGURE.seen += NUMBER
    FIGURE.green += [told for told in missed if ": OK: " in told]
    FIGURE.wrong += [told for told in missed if ": OK: " not in told]
    assert not missed, f"seed {seed}: {len(missed)} of {NUMBER}: " + "\n".join(missed[:20])
