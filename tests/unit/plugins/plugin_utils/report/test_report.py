# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports say what was judged, and what a host says can neither forge nor break them."""

from __future__ import annotations

import html.parser
import json
import pathlib
import re
import xml.etree.ElementTree as ET
from typing import Any

import jsonschema
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import plain
from ansible_collections.kedr.lab.plugins.plugin_utils.report import (
    junit as report_junit,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.report import (
    page as report_html,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.report import (
    rows as report_rows,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.report import (
    text as report,
)
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict.case import VERDICTS
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict.verify import STEPS
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = pathlib.Path(paths.ROOT)
SCHEMA = json.loads((ROOT / "schemas" / "results.schema.json").read_text())
HOSTILE = "</script><script>alert(1)</script>'\"><img src=x onerror=alert(1)>{{ 7 * 7 }}\u202e\x1b[2J\x00]]>&"


def ok_steps(upto: int = len(STEPS)) -> list[dict[str, Any]]:
    return [{"step": name, "status": "ok", "seconds": 0.5, "reason": ""} for name in STEPS[:upto]]


def result(**more: Any) -> dict[str, Any]:
    row = {
        "host": "debian13",
        "system": "Debian GNU/Linux 13 (trixie)",
        "kernel": "6.12.107+deb13-amd64",
        "arch": "x86_64",
        "compiler": "gcc (Debian 14.2.0-19) 14.2.0",
        "target": "cp_target",
        "verdict": "OK",
        "reason": "all 9 checks hold",
        "events": {"called_up": 3, "called_kfree": 4},
        "sites": {"up": {"call": 1, "jmp": 1, "expected": 2}, "kfree": {"call": 1, "jmp": 0, "expected": 2}},
        "lost": 0,
        "splats": [],
        "durations": {"load": 1.25, "build": 3.5},
        "steps": ok_steps(),
        "finished": "2026-01-31T12:00:00Z",
        "reproduce": "ansible-playbook verify.yml --limit debian13",
        "evidence": [{"outcome": "ok", "source": "trace.txt", "text": "7 records"}],
        "unresolved": [],
        "console": [],
    }
    return {**row, **more}


def crashed(**more: Any) -> dict[str, Any]:
    """A host that died at the fourth step."""
    lost = {"step": "load", "status": "unreachable", "seconds": 2.0, "reason": "lost contact"}
    return result(verdict="CRASH", reason="load: lost contact", steps=[*ok_steps(3), lost], events={}, sites={}, **more)


def system(name: str, group: str = "base", **more: str) -> dict[str, str]:
    return {"name": name, "system": "S", "kernel": "6.x", "arch": "i386", "group": group, "why": "because", **more}


def lines(*results: dict[str, Any], systems: tuple[dict[str, str], ...] = ()) -> list[report_rows.Line]:
    return report_rows.lines(results, lambda: systems)


def everything(text: str) -> dict[str, Any]:
    """A host that died and whose every text is this one."""
    return crashed(
        host=text, system=text, kernel=text, arch=text, compiler=text, target=text, reproduce=text, console=[text],
        splats=[text], evidence=[{"outcome": "fail", "source": text, "text": text}],
        unresolved=[{"function": text, "tried": [text]}], row=system(text or "-", variant=text, why=text),
    ) | {
        "events": {f"called_{text}": 1}, "sites": {text: {"call": 1, "jmp": 0, "expected": 2}}, "reason": text,
        "steps": [{"step": f"step {text}", "status": "failed", "seconds": 1.0, "reason": text}],
    }  # fmt: skip


def test_the_samples_are_results() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate([result(), crashed(), everything("text")])


# -- lines and columns -------------------------------------------------------------------------------


def test_systems_stand_in_their_order_seeds_first_and_other_hosts_last() -> None:
    systems = (system("new"), system("old", "seed"), system("newer"))
    table = lines(result(host="mine"), result(host="new", row=systems[0]), systems=systems)
    assert [(line.name, line.verdict) for line in table] == [
        ("old", "not run"), ("new", "OK"), ("newer", "not run"), ("mine", "OK"),
    ]  # fmt: skip


def test_a_run_on_other_hosts_tells_nothing_of_the_matrix() -> None:
    assert [line.name for line in lines(result(), systems=(system("old"),))] == ["debian13"]
    other = result(host="own", row=system("own"))
    assert [line.name for line in lines(other, systems=(system("old"),))] == ["own"]


def test_columns_are_all_steps_and_those_beside_them_in_their_place() -> None:
    untrace = {"step": "untrace", "status": "ok", "seconds": 0.1, "reason": ""}
    table = lines(crashed(host="a"), result(steps=[*ok_steps(9), untrace, *ok_steps()[9:]]))
    assert report_rows.columns(table) == [*STEPS[:9], "untrace", "unload", "release"]


def test_of_a_system_in_several_runs_the_result_that_finished_last_is_kept() -> None:
    old, new = result(finished="2026-01-01T00:00:00Z"), result(finished="2026-02-01T00:00:00Z", verdict="FAIL")
    never = crashed(finished="")
    assert report_rows.merge([[old], [new]]) == report_rows.merge([[new], [old]]) == [new]
    assert report_rows.merge([[never], [old, result(host="b")]]) == [old, result(host="b")]
    assert report_rows.merge([[old], [never]]) == [never], "nothing was done: the older OK says nothing any more"
    assert report_rows.merge([[result(host="a", row=system("x"))], [result(host="b", row=system("x"))]]) == [
        result(host="b", row=system("x"))
    ]


def test_functions_are_told_with_events_sites_and_what_was_not_seen() -> None:
    seen = result(
        events={"called_up": 3, "called_kfree": 9, "called_down": 0},
        unreached={"kfree": {"pointers": 2, "other": 1, "static_calls": 3, "unreferenced": True}},
        unresolved=[{"function": "vfree", "tried": ["vfree", "vfree_noprof"]}],
    )
    found = {one["function"]: one for one in report_rows.functions(seen)}
    assert list(found) == ["kfree", "up", "down", "vfree"]
    assert (found["kfree"]["events"], found["kfree"]["patched"], found["kfree"]["expected"]) == (9, 1, 2)
    assert found["kfree"]["unreached"] == "2 by pointer, 3 static calls, 1 other references, no reference"
    assert found["down"]["expected"] is None
    assert found["vfree"]["tried"] == ["vfree", "vfree_noprof"]


# -- the terminal ------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_host_and_a_sum() -> None:
    shown = report.terminal(lines(result(), crashed(host="b", console=["Kernel panic"]))).splitlines()
    assert shown[0].split() == list(report.HEADINGS)
    assert shown[2].split() == [
        "debian13", "Debian", "GNU/Linux", "13", "(trixie)", "6.12.107+deb13-amd64", "x86_64", "gcc", "14.2.0",
        "OK", "11/11", "7", "3/4", "4.8",
    ]  # fmt: skip
    assert shown[3].split()[-5:] == ["CRASH", "3/11", "-", "-", "4.8"]
    assert "b: CRASH: load: lost contact" in shown
    assert "    | Kernel panic" in shown
    assert shown[-1] == "2 hosts: 1 OK, 1 CRASH"


def test_an_only_host_tells_its_evidence_and_among_others_only_one_that_is_not_ok() -> None:
    assert "  ok      trace.txt: 7 records" in report.terminal(lines(result()))
    shown = report.terminal(lines(result(), crashed(host="b")))
    assert "debian13: OK" not in shown
    assert shown.count("7 records") == 1


def test_a_system_that_was_not_run_is_told_with_what_it_is_to_be() -> None:
    row = system("new")
    shown = report.terminal(lines(result(host="new", row=row), systems=(row, system("old", "seed")))).splitlines()
    assert shown[2].split() == ["old", "S", "6.x", "i386", "-", "not", "run", "-", "-", "-", "-"]
    assert shown[-1] == "1 host: 1 OK; 1 system not run"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gcc (Debian 14.2.0-19) 14.2.0", "gcc 14.2.0"),
        ("gcc (Debian 10.2.1-6) 10.2.1 20210110", "gcc 10.2.1"),
        ("gcc (GCC) 15.2.1 20251022 (Red Hat 15.2.1-3)", "gcc 15.2.1"),
        ("gcc (SUSE Linux) 4.4.1 [gcc-4_4-branch revision 150839]", "gcc 4.4.1"),
        ("clang", "clang"),
        ("", ""),
    ],
)
def test_the_table_names_the_compiler_and_its_version(text: str, shown: str) -> None:
    assert report_rows.short_compiler(text) == shown


def test_what_is_not_known_is_a_dash() -> None:
    empty = result(system="", kernel="", arch="", compiler="", sites={}, events={}, durations={}, steps=[])
    (line,) = lines(empty)
    assert report.cells(line) == ("debian13", "-", "-", "-", "-", "OK", "0/11", "-", "-", "0.0")


def test_the_kernel_that_was_asked_for_never_stands_for_the_one_that_ran() -> None:
    (line,) = lines(result(kernel="", system="", arch="", row=system("debian13")))
    assert report.cells(line)[1:4] == ("S", "-", "i386")


def test_only_a_host_that_is_not_ok_names_the_command_that_repeats_it() -> None:
    assert "again: " not in report.terminal(lines(result()))
    assert "again: ansible-playbook" in report.terminal(lines(result(verdict="FAIL")))


@pytest.mark.parametrize(
    ("hosts", "missing", "said"),
    [
        (0, 0, "no host was judged"),
        (1, 0, "1 host: 1 OK"),
        (2, 0, "2 hosts: 2 OK"),
        (2, 1, "2 hosts: 2 OK; 1 system not run"),
    ],
)
def test_the_sum_counts_hosts(hosts: int, missing: int, said: str) -> None:
    left = [report_rows.Line(system("s"), None)] * missing
    assert report_rows.summary([report_rows.Line(None, result())] * hosts + left) == said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ✓", "plain ✓"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc", "a\\nb c"),
        ("\udcff", "\\xff"),
        ("a\u202eb", "a\\u202eb"),
        ("12345678901", "1234567890…"),
    ],
)
def test_what_is_not_printable_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert plain(text, 10) == shown


@settings(deadline=None)
@given(st.text(st.characters()))
def test_no_text_adds_a_line_or_a_cell(text: str) -> None:
    table = report.terminal(lines(everything(text)))
    assert len(table.split("\n")) == len(report.terminal(lines(everything("x"))).split("\n"))
    assert table.replace("\n", "").isprintable()


# -- Markdown ----------------------------------------------------------------------------------------


def cut(row: str) -> list[str]:
    """The cells of a row; a border that is escaped is none."""
    return re.split(r"(?<!\\)(?:\\\\)*\|", row)[1:-1]


def test_markdown_has_a_column_for_each_step_and_a_part_for_each_host_that_is_not_ok() -> None:
    text = report.markdown(lines(result(), crashed(host="b", console=["Kernel panic"])))
    rows = [cut(row) for row in text.splitlines() if row.startswith("|")]
    assert [len(row) for row in rows] == [6 + len(STEPS) + 3] * 4
    assert [cell.strip() for cell in rows[3][6:11]] == ["ok", "ok", "ok", "LOST", ""]
    assert "gcc (Debian 14.2.0-19) 14.2.0" in text
    assert "## b: CRASH" in text and "## debian13" not in text
    assert "    Kernel panic" in text.splitlines()


@settings(deadline=None)
@given(st.text(st.characters()))
def test_no_text_leaves_its_cell_or_its_block_in_markdown(text: str) -> None:
    shown, usual = (report.markdown(lines(everything(one))).split("\n") for one in (text, "x"))
    assert len(shown) == len(usual)
    assert [len(cut(row)) for row in shown[:3]] == [len(cut(row)) for row in usual[:3]]
    assert [line[:4] == "    " for line in shown] == [line[:4] == "    " for line in usual]
    assert not any("<" in line for line in shown if line[:4] != "    ")


# -- JUnit -------------------------------------------------------------------------------------------

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"skipped", "failure", "error", "system-out", "system-err"},
}
ATTRIBUTES = {  # element -> attributes that it must have, attributes that it may have
    "testsuites": ({"name", "tests", "failures", "errors", "skipped", "time"}, set()),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time"}, {"timestamp"}),
    "properties": (set(), set()),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, set()),
    "skipped": ({"message"}, set()),
    "failure": ({"message"}, {"type"}),
    "error": ({"message"}, {"type"}),
    "system-out": (set(), set()),
    "system-err": (set(), set()),
}


def junit(*results: dict[str, Any], systems: tuple[dict[str, str], ...] = ()) -> ET.Element:
    """The report as programs read it, after its structure was compared with what JUnit XML may hold."""
    root = ET.fromstring(report_junit.junit(lines(*results, systems=systems)).encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        needed, allowed = ATTRIBUTES[element.tag]
        assert needed <= set(element.attrib) <= needed | allowed, element.tag
        if "time" in element.attrib:
            assert float(element.attrib["time"]) >= 0
    for element in [root, *root.iter("testsuite")]:
        cases = list(element.iter("testcase"))
        assert int(element.attrib["tests"]) == len(cases) > 0
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.attrib[attribute]) == sum(case.find(tag) is not None for case in cases)
    for case in root.iter("testcase"):
        tags = [child.tag for child in case]
        assert len(tags) == len(set(tags))
        assert tags == sorted(tags, key=["skipped", "failure", "error", "system-out", "system-err"].index)
    return root


def states(root: ET.Element) -> dict[str, str]:
    """What each testcase is: "" for one that passed."""
    found = {}
    for case in root.iter("testcase"):
        tags = [child.tag for child in case if not child.tag.startswith("system-")]
        found[case.attrib["name"]] = tags[0] if tags else ""
    return found


def test_a_host_that_is_ok_passes_every_testcase_of_its_suite() -> None:
    root = junit(result())
    assert states(root) == dict.fromkeys([*STEPS, "verdict"], "")
    (suite,) = root
    assert suite.attrib["timestamp"] == "2026-01-31T12:00:00"
    assert {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")} == {
        "system": "Debian GNU/Linux 13 (trixie)",
        "kernel": "6.12.107+deb13-amd64",
        "arch": "x86_64",
        "compiler": "gcc (Debian 14.2.0-19) 14.2.0",
        "target": "cp_target",
    }


def test_a_step_that_failed_and_those_after_it_are_told_apart() -> None:
    found = states(junit(crashed(console=["Kernel panic"])))
    assert [found[name] for name in STEPS] == ["", "", "", "error"] + ["skipped"] * 7
    assert found["verdict"] == "error"


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        ("OK", ""),
        ("FAIL", "failure"),
        ("CRASH", "error"),
        ("INFRA", "error"),
        ("NO-RESULT", "error"),
        ("SKIP", "skipped"),
    ],
)
def test_each_verdict_has_its_state(verdict: str, state: str) -> None:
    assert verdict in VERDICTS
    assert states(junit(result(verdict=verdict)))["verdict"] == state


def test_a_system_that_was_not_run_is_skipped_with_the_reason_of_its_row() -> None:
    row = system("new")
    root = junit(result(host="new", row=row), systems=(row, system("old", "seed")))
    assert [suite.attrib["name"] for suite in root] == ["old", "new"]
    assert root[0].find("testcase/skipped").attrib["message"] == "not run: because"  # type: ignore[union-attr]


@settings(deadline=None)
@given(st.text(st.characters()))
def test_no_text_breaks_the_structure_of_junit(text: str) -> None:
    assert [element.tag for element in junit(everything(text)).iter()] == [
        element.tag for element in junit(everything(text and "x")).iter()
    ]


# -- HTML --------------------------------------------------------------------------------------------


class Elements(html.parser.HTMLParser):
    """The elements of a page with their attributes, and the texts in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page(*results: dict[str, Any], systems: tuple[dict[str, str], ...] = ()) -> str:
    return report_html.page(lines(*results, systems=systems), "Run a")


def test_a_page_asks_for_no_other_file() -> None:
    elements = Elements(page(result(), crashed(host="b")))
    others = {"link", "img", "iframe", "object", "embed", "base", "audio", "video"}
    assert not others & {tag for tag, _attributes in elements.found}
    for tag, attributes in elements.found:
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            assert (attributes.get(name) or "#").startswith("#"), tag
    text = page(result())
    assert "url(" not in text and "@import" not in text and "http://" not in text and "https://" not in text


def test_only_the_script_of_the_page_may_run() -> None:
    (policy,) = [one for one in Elements(page(result())).all("meta") if one.get("http-equiv")]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[\w+/]{43}='", policy["content"] or ""
    )


def test_every_cell_leads_to_details_that_are_there() -> None:
    elements = Elements(page(result(), crashed(host="b")))
    ids = [attributes["id"] for _tag, attributes in elements.found if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = [(one["href"] or "")[1:] for one in elements.all("a")]
    assert len(targets) == 1 + len(STEPS) + 1 + 4
    assert set(targets) <= set(ids)
    assert {one["data-dialog"] for one in elements.all("a")} == {one["id"] for one in elements.all("dialog")}
    assert {(one["href"] or "")[1:] for one in elements.all("use")} <= set(ids)


def test_details_tell_reason_evidence_console_and_the_command() -> None:
    shown = "".join(Elements(page(crashed(console=["Kernel panic"], splats=["BUG: x"]))).texts)
    for text in ("load: lost contact", "7 records", "Kernel panic", "BUG: x", "ansible-playbook verify.yml --limit"):
        assert text in shown
    assert "6.12.107+deb13-amd64" in shown and "gcc (Debian 14.2.0-19) 14.2.0" in shown


def test_bars_are_as_long_as_the_events_are_many() -> None:
    spans = Elements(page(result(events={"called_a": 200, "called_b": 50}))).all("span")
    assert [one["style"] for one in spans if one.get("style")] == ["--share: 1.0000", "--share: 0.2500"]


def test_a_system_that_was_not_run_stands_in_its_group() -> None:
    row = system("new")
    shown = "".join(Elements(page(result(host="new", row=row), systems=(row, system("old", "seed")))).texts)
    assert shown.index("Systems to come") < shown.index("old") < shown.index("Distribution kernels")
    assert "This system has not been run yet." in shown


def same_page(text: str) -> None:
    shown, usual = Elements(page(everything(text))), Elements(page(everything(text and "x")))
    assert [(tag, sorted(attributes)) for tag, attributes in shown.found] == [
        (tag, sorted(attributes)) for tag, attributes in usual.found
    ]
    assert "".join(shown.texts).replace("\n", "").isprintable()


def test_a_hostile_text_is_only_text() -> None:
    same_page(HOSTILE)
    shown = page(everything(HOSTILE))
    assert "alert(1)</script>" not in shown and "<img" not in shown
    assert "49" not in "".join(Elements(shown).texts)
    assert "\\u202e\\x1b[2J\\x00" in shown


@settings(max_examples=50, deadline=None)  # the first page takes longer: its template is compiled
@given(st.text(st.one_of(st.characters(), st.sampled_from("<>&'\"/{}%#"))))
def test_no_text_adds_an_element_or_an_attribute(text: str) -> None:
    same_page(text)


# -- the files ---------------------------------------------------------------------------------------


def test_a_report_that_cannot_be_written_leaves_no_older_one_and_no_results(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.write(str(tmp_path), [result()], lines(result()), ["a"])
    whole = report.write_file

    def full(path: str, content: str) -> None:
        if path.endswith("report.html"):
            raise OSError(28, "No space left on device", path)
        whole(path, content)

    monkeypatch.setattr(report, "write_file", full)
    with pytest.raises(OSError, match="No space left"):
        report.write(str(tmp_path), [crashed()], lines(crashed()), ["a"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "report.md"]
    assert "CRASH" in (tmp_path / "report.md").read_text()


def test_all_reports_are_written_beside_the_results(tmp_path: pathlib.Path) -> None:
    names = report.write(str(tmp_path), [result()], lines(result()), ["20260131T120000Z-1"])
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert json.loads((tmp_path / "results.json").read_text()) == [result()]
    assert "Run 20260131T120000Z-1, finished 2026-01-31 12:00:00 UTC" in (tmp_path / "report.html").read_text()
    for name in names:
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
