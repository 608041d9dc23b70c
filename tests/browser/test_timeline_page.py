# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a watch in a browser: by keyboard, pointer and eye, and with 200,000 records."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable
from typing import Any

import html5lib
import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.report import timeline
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils import collected
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.collected import CLOCK, call, cpu, host
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

MS = 1_000_000
BEGIN = 10**12
CAUGHT = "document.title='caught'"
NAME = f'</script><script>{CAUGHT}</script><img src=x onerror="{CAUGHT}">'
HOSTILE = f"{NAME}\u202e\x1b[31m"
BROKEN = f"{HOSTILE}\udcff"
UNKNOWN = dict.fromkeys(("generated", "read", "overrun", "commit_overrun", "dropped", "left"))


def at(ms: int) -> int:
    """Nanoseconds of the trace clock."""
    return BEGIN + ms * MS


BUSY = [call(at(n), "called_kmalloc", comm="insmod", size=80, in_init=1, returnValue=-131_000) for n in range(5)]
BUSY += [call(at(100 + n), "called_up", comm="reader", pid=40 + n % 2, sem=n, in_init=0) for n in range(200)]
OTHER = [call(at(150 + n), "called_copy", cpu=1, n=n, path=f"/dev/cfake{n}", returnValue=0) for n in range(100)]
LOSSY = [call(at(n), "called_up", comm="writer", sem=1) for n in (*range(50), *range(150, 200))]
DEAD = [call(at(n), "called_up", comm="writer", sem=1) for n in range(10)]
EVIL = [call(at(n), HOSTILE, comm=BROKEN, **{HOSTILE: BROKEN}) for n in range(3)]
TOTAL = len(BUSY + OTHER + LOSSY + DEAD + EVIL)

HOLE = {"records": 120, "after_ns": at(49), "before_ns": at(150)}


def hosts() -> list[dict[str, Any]]:
    """Every kind of trouble once."""
    wrong = [{"name": "stats.txt", "ok": False, "text": "cpu0 lost 120 of 220 records"}]
    evil = {"name": NAME, "ok": False, "text": NAME}
    return [
        host("web1", cpu(0, 205), cpu(1, 100), events={"called_down": {"counted": 0, "recorded": 0}}),
        host("web2", cpu(0, 100, generated=220, overrun=120, losses=[HOLE]), verdict="FAIL", lost=120, checks=wrong,
             reason="stats.txt: cpu0 lost 120 of 220 records", events={"called_up": {"counted": 220, "recorded": 100}}),
        host("db", cpu(0, 10, **UNKNOWN), verdict="CRASH", reason="the guest is dead", console=["Kernel panic"]),
        host("mute", verdict="NO-RESULT", reason="stream.json: the file is not there", clock=None),
        host("bare", cpu(0, 30)),
        host(NAME, cpu(0, 3), verdict="FAIL", system=NAME, kernel=NAME, arch=NAME, reason=NAME, checks=[evil],
             notes=[NAME], console=[NAME], events={NAME: {"counted": 9, "recorded": 3}},
             clock={**CLOCK, "clock": NAME}),
    ]  # fmt: skip


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    run = tmp_path_factory.mktemp("fleet") / "run"
    collected.watch(run, hosts(), {"web1": BUSY + OTHER, "web2": LOSSY, "db": DEAD, NAME: EVIL})
    timeline.write(str(run))
    return run / timeline.NAME


class Timeline:
    """The page of a watch, and what can be read on it."""

    def __init__(self, browser: Any) -> None:
        self.browser, self.run = browser, browser.run
        end = time.monotonic() + 20
        while not self.run("document.getElementById('range').value") and time.monotonic() < end:
            time.sleep(0.01)
        self.settle()

    def settle(self) -> None:
        """Wait until a filter has looked through all records, and for two frames."""
        self.browser.driver.execute_async_script(
            "const wait = () => document.documentElement.dataset.filter === 'runs' ? setTimeout(wait, 5)"
            " : requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0]))); wait();"
        )

    def press(self, place: str, *keys: str) -> None:
        """Press keys in the element with this id."""
        self.run("document.getElementById(arguments[0]).focus()", place)
        for key in keys:
            self.browser.press(key)
            self.settle()

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)
        self.settle()

    def choose(self, place: str, text: str) -> None:
        """Type into a part of the filter; in a select that chooses an entry."""
        self.press(place, text)

    def view(self) -> tuple[float, float]:
        """Begin and end of the time that is shown, in nanoseconds."""
        return tuple(self.run("['from', 'to'].map(name => Number(arguments[0].dataset[name]))", self.find("range")))

    def find(self, place: str) -> Any:
        return self.browser.driver.find_element(By.ID, place)

    def count(self) -> str:
        """How many records the table says it has."""
        return str(self.find("shown").text).split(" records", maxsplit=1)[0]

    def rows(self) -> list[list[str]]:
        """Cells of the rows of the table that are on the screen."""
        return self.texts("#rows .record")

    def chosen(self) -> dict[str, str]:
        """What is said of the record that is chosen."""
        return dict(self.texts("#record div"))

    def texts(self, selector: str) -> list[list[str]]:
        """The texts in each element that fits."""
        inside = "[...one.children].map(child => child.innerText)"
        return list(self.run(f"[...document.querySelectorAll(arguments[0])].map(one => {inside})", selector))

    def colours(self, *names: str) -> dict[str, int]:
        """How many pixels of a picture of the lanes have the colours of these names; the page is left for it."""
        style = "getComputedStyle(document.documentElement).getPropertyValue('--' + arguments[0]).trim()"
        wanted = {name: [int(self.run(style, name)[at : at + 2], 16) for at in (1, 3, 5)] for name in names}
        picture = self.find("stage").screenshot_as_base64
        self.browser.driver.get("about:blank")
        return dict(self.browser.driver.execute_async_script(
            """const [picture, wanted, done] = arguments;
            (async () => {
              const image = await createImageBitmap(await (await fetch("data:image/png;base64," + picture)).blob());
              const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
              canvas.drawImage(image, 0, 0);
              const data = canvas.getImageData(0, 0, image.width, image.height).data, found = {};
              for (const [name, colour] of Object.entries(wanted)) {
                found[name] = 0;
                for (let at = 0; at < data.length; at += 4) {
                  if (colour.every((part, index) => part === data[at + index])) found[name]++;
                }
              }
              done(found);
            })();""", picture, wanted,
        ))  # fmt: skip


@pytest.fixture
def shown(show: Callable[[pathlib.Path], Any], fleet: pathlib.Path) -> Timeline:
    return Timeline(show(fleet))


# -- what it is --------------------------------------------------------------------------------------


def test_the_page_is_valid_and_needs_no_other_file(shown: Timeline, fleet: pathlib.Path) -> None:
    html5lib.HTMLParser(strict=True).parse(fleet.read_text(encoding="utf-8"))
    assert shown.run("location.protocol") == "file:"
    assert shown.run("performance.getEntriesByType('resource').length") == 0


def test_what_hosts_say_does_not_run_and_steers_nothing(shown: Timeline, fleet: pathlib.Path) -> None:
    assert not set(fleet.read_text(encoding="utf-8")) & set("\x1b\u202e\x07\udcff")
    shown.choose("of-host", "<")
    assert shown.count() == f"3 of {TOTAL}"
    row = shown.rows()[0]
    assert row[1] == NAME
    assert f"{NAME}\\u202e\\x1b[31m" in row[3]
    assert row[4] == f"{NAME}\\u202e\\x1b[31m"
    assert f'{NAME}\\u202e\\x1b[31m="{NAME}' in row[6]
    shown.press("records", Keys.HOME)
    assert shown.chosen()["Host"] == NAME
    assert shown.run("[document.querySelectorAll('script').length, document.images.length]") == [1, 0]
    assert not set(shown.run("document.documentElement.textContent")) & set("\x1b\u202e\x07")
    assert shown.run("document.title").startswith(collected.RUN)


def test_the_page_says_what_it_cannot_show(shown: Timeline) -> None:
    said = shown.find("gaps").text.split("\n")
    assert said == [
        f"Not OK: web2 (FAIL), db (CRASH), mute (NO-RESULT), {NAME} (FAIL).",
        "No record came: mute.",
        "The table of records is not that of watch.json: bare. Judge again with 'kedr judge'.",
        "120 records lost: web2.",
        "How many records were generated is not known: db, mute.",
    ]
    table = shown.find("accounts").text
    for text in ("the guest is dead", "30 records came, and there is no table of them: this page shows none",
                 "stream.json: the file is not there", "not known"):  # fmt: skip
        assert text in table
    assert "120 records lost, 54.55 %, between 0.049000 s and 0.150000 s" in shown.find("losses").text
    assert "called_down" in shown.run("document.querySelector('.idle').innerText")


def test_a_browser_that_cannot_unpack_the_records_is_told(shown: Timeline, fleet: pathlib.Path) -> None:
    driver = shown.browser.driver
    without = driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.DecompressionStream"}
    )
    try:
        driver.get(fleet.as_uri())
        shown.settle()
        assert "cannot be shown by this browser" in shown.find("failed").text
        assert not shown.find("look").is_displayed()
        assert "the guest is dead" in shown.find("accounts").text
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", without)


def test_without_a_script_the_accounts_are_there(shown: Timeline, fleet: pathlib.Path) -> None:
    driver = shown.browser.driver
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(fleet.as_uri())
        assert not shown.find("look").is_displayed()
        body = driver.find_element(By.TAG_NAME, "body").text
        for text in ("need JavaScript", "CPU 1", "120 records lost", "the guest is dead"):
            assert text in body
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


# -- to the eye --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_every_text_can_be_read_and_every_colour_is_there(shown: Timeline, scheme: str, width: int) -> None:
    shown.browser.look(scheme)
    shown.browser.size(width, 900)
    shown.settle()
    assert shown.browser.faint() == []
    assert shown.run("document.documentElement.scrollWidth <= innerWidth")
    pixels = shown.colours("lost", "init", "f0", "f1", "f2")
    assert min(pixels.values()) > 20, pixels


def test_loss_and_failure_are_told_by_more_than_a_colour(shown: Timeline) -> None:
    names = shown.find("names").text
    assert "web2 · FAIL" in names
    assert "CPU 0, loss" in names
    assert "db · CRASH" in names
    assert "mute · NO-RESULT · no records" in names
    assert "bare · no records" in names
    assert shown.run("document.querySelectorAll('#names .host.ok').length") == 1  # web1
    assert shown.run("document.querySelectorAll('#names .host .sign').length") == len(hosts())
    signs = shown.run("[...document.querySelectorAll('#names use')].map(use => use.getAttribute('href'))")
    assert all(shown.run("document.querySelector(arguments[0])", sign) for sign in signs)


def test_paper_shows_every_cpu(shown: Timeline) -> None:
    assert not shown.run("[...document.querySelectorAll('.cpu')].some(row => row.checkVisibility())")
    paper = shown.browser.driver.execute_cdp_cmd("Page.printToPDF", {"landscape": True})
    assert len(paper["data"]) > 20_000
    assert shown.run("[...document.querySelectorAll('.cpu')].every(row => row.checkVisibility())")


# -- by keyboard -------------------------------------------------------------------------------------


def test_the_timeline_is_moved_by_keyboard(shown: Timeline) -> None:
    whole = shown.view()
    shown.press("timeline", "+", "+")
    begin, end = shown.view()
    assert end - begin == pytest.approx((whole[1] - whole[0]) / 4)
    shown.press("timeline", Keys.ARROW_RIGHT)
    assert shown.view()[0] == pytest.approx(begin + (end - begin) / 10)
    shown.press("timeline", Keys.HOME)
    assert shown.view()[0] == pytest.approx(whole[0])
    shown.press("timeline", Keys.END)
    assert shown.view()[1] == pytest.approx(whole[1])
    shown.press("timeline", "-", "0")
    assert shown.view() == pytest.approx(whole)
    shown.press("timeline", "i")
    begin, end = shown.view()
    assert (begin < 0, 4 * MS < end < 5 * MS) == (True, True)


def test_a_record_is_chosen_in_both_places_at_once(shown: Timeline) -> None:
    shown.choose("of-host", "web1")
    shown.press("timeline", "i", Keys.ENTER)
    assert shown.chosen()["Function"] == "called_kmalloc"
    assert shown.chosen()["Result"] == "-131000 = 0xfffffffffffe0048"
    assert shown.run("document.querySelector('#rows [aria-selected=true] :nth-child(5)').innerText") == "called_kmalloc"
    shown.press("records", Keys.END)
    assert shown.chosen()["Host"] == "web1"
    assert shown.view()[0] <= 299 * MS <= shown.view()[1]
    active = shown.find("records").get_attribute("aria-activedescendant")
    assert shown.find(active).get_attribute("aria-selected") == "true"


def test_the_table_is_gone_through_by_keyboard(shown: Timeline) -> None:
    shown.choose("of-event", "called_copy")
    for key, n in ((Keys.HOME, 0), (Keys.ARROW_DOWN, 1), (Keys.ARROW_DOWN, 2), (Keys.ARROW_UP, 1), (Keys.END, 99)):
        shown.press("records", key)
        assert shown.chosen()["path"] == f"/dev/cfake{n}"
    shown.press("records", Keys.PAGE_UP)
    assert 70 < int(shown.chosen()["n"].split()[0]) < 95


def test_tab_reaches_everything(shown: Timeline) -> None:
    shown.run("document.getElementById('of-event').focus()")
    reached = ["of-event"]
    for _number in range(40):
        if reached[-1] == "records":
            break
        shown.browser.press(Keys.TAB)
        reached.append(shown.run("document.activeElement.id || document.activeElement.tagName"))
    assert [name for name in reached if name != "INPUT"] == [
        "of-event", "of-host", "of-cpu", "of-thread", "of-text", "reset",
        "in", "out", "left", "right", "whole", "to-init", "timeline", "in-view", "records",
    ]  # fmt: skip
    assert reached.count("INPUT") == 5  # a box for each function, and the axis


# -- the filter --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "keys", "count"),
    [
        ("of-event", "called_up", 310),
        ("of-host", "web2", 100),
        ("of-cpu", "CPU 1", 100),
        ("of-thread", "reader-41", 100),
        ("of-thread", "INSMOD", 5),
        ("of-text", "/dev/cfake9", 11),
        ("of-text", "no such thing", 0),
    ],
)
def test_a_filter_lets_through_what_fits(shown: Timeline, place: str, keys: str, count: int) -> None:
    shown.choose(place, keys)
    assert shown.count() == f"{count} of {TOTAL}"
    assert len(shown.rows()) == min(count, 16)
    shown.click("#reset")
    assert shown.count() == f"{TOTAL} of {TOTAL}"


def test_filters_are_joined_and_the_view_is_one_of_them(shown: Timeline) -> None:
    shown.choose("of-event", "called_up")
    shown.choose("of-host", "web1")
    assert shown.count() == f"200 of {TOTAL}"
    shown.click("#in-view")
    shown.press("timeline", "i")
    assert shown.count() == f"0 of {TOTAL}"
    shown.press("timeline", "0")
    assert shown.count() == f"200 of {TOTAL}"


def test_a_function_is_hidden_in_the_legend_by_keyboard(shown: Timeline) -> None:
    shown.run("document.querySelector('#legend input').focus()")
    shown.browser.press(Keys.SPACE)
    shown.settle()
    assert shown.count() == f"{TOTAL - 310} of {TOTAL}"
    assert shown.colours("f0", "f1")["f0"] == 0


# -- by pointer --------------------------------------------------------------------------------------


def test_the_wheel_zooms_where_it_is_and_a_drag_moves(shown: Timeline) -> None:
    whole, canvas = shown.view(), shown.find("canvas")
    made = "new WheelEvent('wheel', {deltaY: -200, ctrlKey: arguments[1], cancelable: true})"
    wheel = f"arguments[0].dispatchEvent({made})"
    shown.run(wheel, canvas, False)
    shown.settle()
    assert shown.view() == whole
    for _number in range(3):
        shown.run(wheel, canvas, True)
    shown.settle()
    begin, end = shown.view()
    assert end - begin < (whole[1] - whole[0]) / 2
    ActionChains(shown.browser.driver).drag_and_drop_by_offset(canvas, -100, 0).perform()
    shown.settle()
    assert shown.view()[0] > begin
    assert shown.view()[1] - shown.view()[0] == pytest.approx(end - begin)


def test_a_mark_tells_of_itself_and_a_click_chooses_it(shown: Timeline) -> None:
    shown.choose("of-text", "/dev/cfake50")
    x = shown.run("(width => xOf(arguments[0] + shift(0), width) - width / 2)($('stage').clientWidth)", 200 * MS)
    lane = shown.run("(l => l.top + LANE / 2 - canvas.clientHeight / 2)(lanes.find(l => l.host === 0 && l.cpu === 1))")
    ActionChains(shown.browser.driver).move_to_element_with_offset(shown.find("canvas"), x, lane).perform()
    shown.settle()
    assert "web1 CPU 1 · dd-7" in shown.find("tip").text
    assert 'path="/dev/cfake50" → 0' in shown.find("tip").text
    ActionChains(shown.browser.driver).click().perform()
    shown.settle()
    assert shown.chosen()["path"] == "/dev/cfake50"


def test_a_loss_is_gone_to(shown: Timeline) -> None:
    shown.click("#losses button")
    begin, end = shown.view()
    assert begin <= 49 * MS
    assert end >= 150 * MS
    assert shown.run("document.activeElement.id") == "timeline"
    x, y = shown.run("[0, lanes.find(l => l.host === 1).top + LANE / 2 - timeline.scrollTop - canvas.clientHeight / 2]")
    ActionChains(shown.browser.driver).move_to_element_with_offset(shown.find("canvas"), x, y).perform()
    assert "120 records lost" in shown.find("tip").text


def test_hosts_are_put_side_by_side_by_real_time_or_by_their_first_record(
    show: Callable[[pathlib.Path], Any], tmp_path: pathlib.Path
) -> None:
    late = {**CLOCK, "offset_ns": CLOCK["offset_ns"] + 50 * MS}
    calls = [call(BEGIN + n * MS, "called_up") for n in range(3)]
    collected.watch(tmp_path, [host("a", cpu(0, 3)), host("b", cpu(0, 3), clock=late)], {"a": calls, "b": calls})
    timeline.write(str(tmp_path))
    shown = Timeline(show(tmp_path / timeline.NAME))
    assert "Nothing is missing" in shown.run("document.querySelector('.part').innerText")
    assert [row[1] for row in shown.rows()] == ["a", "a", "a", "b", "b", "b"]
    assert shown.rows()[0][0].count(":") == 2
    shown.click("input[name=axis][value=first]")
    assert [row[1] for row in shown.rows()] == ["a", "b", "a", "b", "a", "b"]
    assert shown.rows()[-1][0] == "0.002000000 s"


# -- many records ------------------------------------------------------------------------------------


def test_two_hundred_thousand_records_are_all_there(
    show: Callable[[pathlib.Path], Any], tmp_path: pathlib.Path
) -> None:
    collected.large(tmp_path, hosts=4, cpus=2, count=25_000)
    assert timeline.write(str(tmp_path))[1:] == (200_000, 200_000)
    shown = Timeline(show(tmp_path / timeline.NAME))
    assert shown.count() == "200,000 of 200,000"
    shown.choose("of-text", "from=24999,")
    assert shown.count() == "8 of 200,000"
    shown.click("#reset")
    shown.press("records", Keys.END)
    assert shown.chosen()["from"].startswith("24999")
    shown.press("timeline", *["+"] * 6)
    records = int(shown.run("document.getElementById('range').dataset.records"))
    shown.click("#in-view")
    assert shown.count() == f"{records:,} of 200,000"
    assert len(shown.rows()) == min(records, 16)
