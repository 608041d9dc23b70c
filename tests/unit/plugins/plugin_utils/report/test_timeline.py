# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a watch: every record is in it, and what is not in it is told."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import html5lib
import numpy as np
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.kedr.lab.plugins.plugin_utils.report import timeline, timeline_data
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import Record

from ..collected import CLOCK, call, cpu, host, large, watch

BEGIN = 10**12
UNKNOWN = dict.fromkeys(("generated", "read", "overrun", "commit_overrun", "dropped", "left"))
FINE = {"run_id": "r", "targets": [], "hosts": [host("a", verdict="FINE")]}
THREE = [call(BEGIN + n, "called_up", n=n) for n in range(3)]


def unpacked(data: timeline_data.Data) -> list[dict[str, Any]]:
    """The records of a page as its program reads them, in their order."""
    whole = zlib.decompress(data.packed({}))
    length = int.from_bytes(whole[:4], "little")
    head = json.loads(whole[4 : 4 + length])
    columns, at = [], 4 + length
    for size, count in head["columns"]:
        parts = np.frombuffer(whole, np.uint8, size * count, at).reshape(size, count)
        kinds = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.int64}
        columns.append(np.ascontiguousarray(parts.T).view(kinds[size]).reshape(-1).tolist())
        at += size * count
    assert at == len(whole)
    ranks = [0] * len(head["shapes"])
    places = [(lane.host, lane.cpu, n == 0) for lane in data.lanes for n in range(lane.records)]
    found, now = [], 0
    for (name, number, begins), step, thread, kind, phase in zip(places, *columns[:4], strict=True):
        shape, rank = head["shapes"][kind], ranks[kind]
        ranks[kind] += 1
        now = (data.first_ns[name] if begins else now) + step
        fields = {name: columns[column][rank] for name, column in shape["ints"]}
        fields |= {name: head["strings"][columns[column][rank]] for name, column in shape["texts"]}
        if shape["result"] is not None:
            fields["returnValue"] = columns[shape["result"]][rank]
        fields |= {} if phase == 2 else {"in_init": phase}
        place = {"host": name, "cpu": number, "thread": head["threads"][thread], "time": now}
        found.append({**place, "event": data.events[shape["event"]], **fields})
    return found


def told(name: str, record: Record) -> dict[str, Any]:
    place = {"host": name, "cpu": record.cpu, "thread": [record.comm, record.pid], "time": record.time_ns}
    return {**place, "event": record.event, **record.fields}


MIXED = [
    call(BEGIN, "called_kmalloc", comm="insmod", size=80, in_init=1, returnValue=-(2**63)),
    call(BEGIN, "called_kmalloc", comm="insmod", size=2**63 - 1, in_init=0, returnValue=0),
    call(BEGIN + 1, "called_open", path="/dev/é", mode=-1, in_init=0),
    call(BEGIN + 1, "called_kfree", comm="<...>", pid=2**31 - 1, p=-1),
    call(BEGIN + 10**15, "called_open", path="", mode=0, in_init=0),
    call(BEGIN + 5, "called_up", cpu=300),
    call(BEGIN + 2**40, "called_kmalloc", cpu=300, flags=1, size=2, returnValue=7),
]


def test_every_record_is_in_the_page_as_it_was(tmp_path: Path) -> None:
    watch(tmp_path, [], {"b": THREE, "a": MIXED})
    data = timeline_data.read(str(tmp_path / "records"), 1000)
    expected = [told("a", one) for one in MIXED] + [told("b", one) for one in THREE]
    expected[3]["thread"][0] = ""  # the kernel forgot it
    assert unpacked(data) == expected
    assert (data.total, data.kept, data.every) == (10, 10, 1)
    assert data.inits == {"a": [(BEGIN, BEGIN)]}


def test_a_page_of_too_many_records_has_the_first_of_each_function_and_all_counts(tmp_path: Path) -> None:
    calls = [call(BEGIN + n, "called_up", n=n) for n in range(1000)] + [call(BEGIN + 2000, "called_kfree")]
    watch(tmp_path, [host("web1", cpu(0, 1001))], {"web1": calls})
    data = timeline_data.read(str(tmp_path / "records"), 100)
    assert (data.total, data.kept, data.every) == (1001, 92, 11)
    found = unpacked(data)
    assert [one["n"] for one in found if one["event"] == "called_up"] == list(range(0, 1000, 11))
    assert found[-1]["event"] == "called_kfree"
    text = timeline.page(str(tmp_path), 100).text
    assert "Only 92 of 1,001 records are in this page" in text
    assert '<span class="count">1,000</span>' in text


def test_the_same_watch_gives_the_same_page(tmp_path: Path) -> None:
    large(tmp_path, hosts=2, cpus=2, count=500)
    assert timeline.page(str(tmp_path)) == timeline.page(str(tmp_path))


def test_nothing_is_missing_only_where_nothing_is(tmp_path: Path) -> None:
    watch(tmp_path, [host("web1", cpu(0, 3))], {"web1": THREE})
    text = timeline.page(str(tmp_path)).text
    assert "Nothing is missing" in text
    assert "every record that the kernels generated is in this page: 3." in text
    assert 'id="gaps"' not in text


GAPS: list[tuple[str, list[dict[str, Any]], dict[str, list[Record]]]] = [
    ("watch.json names no host: nothing was collected.", [], {}),
    ("Not OK: web1 (CRASH).", [host("web1", cpu(0, 3), verdict="CRASH")], {"web1": THREE}),
    ("Not OK: web1 (SKIP).", [host("web1", verdict="SKIP")], {}),
    ("No record came: web1.", [host("web1", cpu(0, 0))], {}),
    ("The table of records is not that of watch.json: web1.", [host("web1", cpu(0, 3))], {}),
    ("The table of records is not that of watch.json: web1.", [host("web1", cpu(0, 4))], {"web1": THREE}),
    ("1 record lost: web1.", [host("web1", cpu(0, 3, generated=4, overrun=1), lost=1)], {"web1": THREE}),
    ("2 records left in the buffers: web1.", [host("web1", cpu(0, 3, generated=5, left=2))], {"web1": THREE}),
    ("How many records were generated is not known: web1.", [host("web1", cpu(0, 3, **UNKNOWN))], {"web1": THREE}),
    ("The account does not add up: web1.", [host("web1", cpu(0, 3, generated=9))], {"web1": THREE}),
    ("Not OK: stray (NO-RESULT).", [host("web1", cpu(0, 3))], {"web1": THREE, "stray": THREE}),
    ("there are no readings of the clocks of b.", [host("a", cpu(0, 3)), host("b", cpu(0, 3), clock=None)],
     {"a": THREE, "b": THREE}),
    ("clocks whose error is not known (no chrony): b.",
     [host("a", cpu(0, 3)), host("b", cpu(0, 3), clock={**CLOCK, "error_ns": None})], {"a": THREE, "b": THREE}),
]  # fmt: skip


@pytest.mark.parametrize(("gap", "hosts", "tables"), GAPS, ids=[gap for gap, _hosts, _tables in GAPS])
def test_what_is_missing_is_told(
    tmp_path: Path, gap: str, hosts: list[dict[str, Any]], tables: dict[str, list[Record]]
) -> None:
    watch(tmp_path, hosts, tables)
    text = timeline.page(str(tmp_path)).text
    assert gap in text
    assert "Nothing is missing" not in text
    html5lib.HTMLParser(strict=True).parse(text)


def test_many_hosts_in_trouble_are_not_all_named(tmp_path: Path) -> None:
    watch(tmp_path, [host(f"web{n}", verdict="CRASH", reason="dead") for n in range(100)], {})
    assert "web8 (CRASH), web9 (CRASH) and 90 more." in timeline.page(str(tmp_path)).text


def test_losses_are_told_with_number_share_and_time(tmp_path: Path) -> None:
    holes = [
        {"records": 2, "after_ns": BEGIN, "before_ns": BEGIN + 1_500_000},
        {"records": 0, "after_ns": BEGIN + 1_500_000, "before_ns": BEGIN + 2_000_000},
    ]
    lossy = cpu(0, 5, generated=10, overrun=3, dropped=2, losses=holes)
    watch(tmp_path, [host("web1", lossy, lost=5)], {"web1": [*THREE, *THREE[:2]]})
    text = timeline.page(str(tmp_path)).text
    for sentence in ("2 records lost, 20.00 %, between 0.000000 s and 0.001500 s",
                     "an unknown number of records lost, between 0.001500 s and 0.002000 s",
                     "3 records lost, 30.00 %, at times that the kernel did not tell"):  # fmt: skip
        assert sentence in text


def test_losses_of_a_host_without_records_have_a_lane(tmp_path: Path) -> None:
    hole = {"records": 9, "after_ns": 0, "before_ns": BEGIN}
    watch(tmp_path, [host("web1", cpu(1, 0, generated=9, overrun=9, losses=[hole]), lost=9)], {})
    made = timeline.page(str(tmp_path))
    assert made.kept == 0
    assert "9 records lost, 100.00 %, between 0.000000 s and 0.000000 s" in made.text
    assert 'id="data"' in made.text


def test_a_watch_without_any_record_has_no_timeline(tmp_path: Path) -> None:
    watch(tmp_path, [host("web1", verdict="NO-RESULT", reason="nothing came")], {})
    text = timeline.page(str(tmp_path)).text
    assert "There is no record, so there is no timeline." in text
    assert "<script" not in text


def test_what_the_payload_counted_stands_beside_what_came(tmp_path: Path) -> None:
    events = {"called_up": {"counted": 4, "recorded": 3}, "called_down": {"counted": None, "recorded": 0}}
    watch(tmp_path, [host("web1", cpu(0, 3), events=events)], {"web1": THREE})
    text = timeline.page(str(tmp_path)).text
    assert '3 <span class="lost">of 4</span>' in text
    assert "on any host: <code>called_down</code>." in text


# -- what cannot be shown at all ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "the whole: [] is not of type 'object'"),
        (json.dumps(FINE).encode(), "'FINE' is not one of"),
        (json.dumps({"run_id": "r", "targets": [], "hosts": [{"host": "a"}]}).encode(), "is a required property"),
    ],
)
def test_a_broken_judgement_makes_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, problem: str
) -> None:
    (tmp_path / "watch.json").write_bytes(content)
    assert main(["page", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"kedr page: error: {tmp_path}/watch.json: ")
    assert problem in said
    assert os.listdir(tmp_path) == ["watch.json"]


def test_a_directory_without_a_judgement_is_told_what_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["page", str(tmp_path)]) == 2
    assert "No such file or directory; 'kedr judge " in capsys.readouterr().err


def test_a_broken_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch(tmp_path, [host("web1", cpu(0, 3))], {"web1": THREE})
    (table,) = tmp_path.glob("records/*/*/*.parquet")
    table.write_bytes(table.read_bytes()[:40])
    assert main(["page", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert str(table) in said
    assert "Traceback" not in said


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch(tmp_path, [host("web1", cpu(0, 3))], {"web1": THREE})
    page = tmp_path / "there.html"
    assert main(["page", str(tmp_path), "-o", str(page), "--limit", "2"]) == 0
    assert capsys.readouterr().out.startswith(f"{page}: 0.1 MB, 2 of 3 records")
    assert page.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1e3", "²", "10000000000"])
def test_a_limit_that_is_no_number_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["page", "run", f"--limit={limit}"])
    assert "is not a number from 1 to 999999999" in capsys.readouterr().err


def test_a_page_that_cannot_be_made_leaves_no_older_one(tmp_path: Path) -> None:
    watch(tmp_path, [host("web1", cpu(0, 3))], {"web1": THREE})
    page = str(tmp_path / timeline.NAME)
    assert timeline.after_judging(str(tmp_path)) == (page, "")
    (tmp_path / "watch.json").write_text("{}")
    made, trouble = timeline.after_judging(str(tmp_path))
    assert made == ""
    assert "is a required property" in trouble
    assert not os.path.exists(page)


def test_judging_again_makes_the_page_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"hosts": {"web1": {"target": "cp_target"}}}))
    (tmp_path / timeline.NAME).write_text("an older judgement")
    assert main(["judge", str(tmp_path)]) == 1
    assert str(tmp_path / timeline.NAME) in capsys.readouterr().out
    assert "Not OK: web1 (NO-RESULT)." in (tmp_path / timeline.NAME).read_text()
