# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a matrix in a browser: by keyboard, light and dark, on narrow screens and on paper."""

from __future__ import annotations

import pathlib
from typing import Any

import html5lib
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

NOT_OK = ["debian12", "debian13-two-cpus", "debian13-lockdown", "debian13-zram"]


def test_the_page_is_valid_and_needs_no_other_file(browser: Any, page: pathlib.Path) -> None:
    html5lib.HTMLParser(strict=True).parse(page.read_text(encoding="utf-8"))
    assert browser.run("location.protocol") == "file:"
    assert browser.run("performance.getEntriesByType('resource').length") == 0


def test_what_hosts_say_does_not_run(browser: Any) -> None:
    assert browser.run("document.title").endswith("kedr.lab")
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert "onerror" in browser.run("document.querySelector('#matrix').textContent")
    browser.press("/", "caught", Keys.ENTER, Keys.ENTER)
    assert "document.title='caught'" in browser.dialog()
    assert browser.run("document.title").endswith("kedr.lab")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_every_text_can_be_read(browser: Any, tmp_path: pathlib.Path, scheme: str, width: int) -> None:
    browser.look(scheme)
    browser.size(width, 900)
    paper = browser.run("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(int(part) for part in paper[4:-1].split(",")) > 384) == (scheme == "light")
    assert browser.faint() == []
    picture = tmp_path / f"{scheme}-{width}.png"
    assert browser.driver.save_screenshot(str(picture))
    assert picture.stat().st_size > 20_000
    browser.press("n", Keys.ENTER)
    assert browser.dialog()
    assert browser.faint() == []
    assert browser.driver.save_screenshot(str(tmp_path / f"{scheme}-{width}-open.png"))


@pytest.mark.parametrize("width", [320, 390, 800, 1400])
def test_nothing_is_wider_than_the_screen(browser: Any, width: int) -> None:
    browser.size(width, 800)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    browser.press("/", "caught", Keys.ENTER, Keys.ENTER)
    assert browser.run("(d => d.scrollWidth <= d.clientWidth)(document.querySelector('dialog:modal'))")


# -- the keyboard ------------------------------------------------------------------------------------


def test_a_failing_row_is_found_opened_and_closed_by_keyboard(browser: Any) -> None:
    browser.press("n")
    assert browser.focus() == "debian12: FAIL, debian12: details"
    browser.press(Keys.ENTER)
    said = browser.dialog()
    for text in ("trace.txt: read: 0 × called_copy_to_user; expected at least 1", "6.1.0-41-amd64",
                 "gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "make matrix ARGS='--limit debian12'", "4 records lost",
                 "not seen: 2 by pointer, 1 static calls, no reference",
                 "No call site and no event: down"):  # fmt: skip
        assert text in said
    browser.press(Keys.ESCAPE)
    assert browser.dialog() == ""
    assert browser.focus() == "debian12: FAIL, debian12: details"


def test_n_goes_through_all_rows_that_are_not_ok_and_begins_again(browser: Any) -> None:
    found = []
    for _number in range(7):
        browser.press("n")
        found.append(browser.focus().split(":")[0])
    assert found[:4] == NOT_OK
    assert found[5] == "mine"
    assert found[6] == "debian12"


def test_a_step_opens_its_own_reason(browser: Any) -> None:
    browser.press("n", "n", Keys.END)
    assert browser.focus() == "debian13-two-cpus: target unreachable, debian13-two-cpus"
    browser.press(Keys.ENTER)
    step = browser.run("document.querySelector('dialog:modal [aria-current]').innerText")
    assert step.split() == ["target", "unreachable", "2.5", "s", "lost", "contact", "with", "the", "host"]
    assert "Kernel panic - not syncing: Fatal exception" in browser.dialog()
    browser.press(Keys.ESCAPE)
    assert browser.run("document.querySelectorAll('[aria-current]').length") == 0


def test_arrow_keys_move_between_cells(browser: Any) -> None:
    browser.press("n")
    moves = [
        (Keys.ARROW_RIGHT, "debian12: facts ok, debian12"),
        (Keys.ARROW_RIGHT, "debian12: render ok, debian12"),
        (Keys.ARROW_UP, "debian11-i386: render ok, debian11-i386"),
        (Keys.HOME, "debian11-i386: OK, debian11-i386: details"),
        (Keys.ARROW_LEFT, "debian11-i386: OK, debian11-i386: details"),
        (Keys.END, "debian11-i386: release ok, debian11-i386"),
        (Keys.ARROW_DOWN, "debian12: release ok, debian12"),
        (Keys.ARROW_DOWN, "debian13-two-cpus: target unreachable, debian13-two-cpus"),
    ]
    for key, cell in moves:
        browser.press(key)
        assert browser.focus() == cell


def test_one_tab_leads_into_the_table_and_the_next_out_of_it(browser: Any) -> None:
    assert browser.run("document.querySelectorAll('#matrix a[tabindex=\"0\"]').length") == 1
    browser.run("document.getElementById('next').focus()")
    browser.press(Keys.TAB)
    assert browser.focus() == "fedora12: not run, fedora12: details"
    browser.press(Keys.TAB)
    assert not browser.run("document.activeElement.closest('#matrix')")


# -- finding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("crash", ["debian13-two-cpus"]),
        ("6.1.0-41", ["debian12"]),
        ("zram", ["debian13-zram"]),
        ("i386 OK", ["debian11-i386"]),
        ("not run", ["fedora12", "ubuntu1004-x86"]),
        ("lockdown=integrity", ["debian13-lockdown"]),
        ("no such thing", []),
    ],
)
def test_words_find_rows(browser: Any, words: str, rows: list[str]) -> None:
    everything = len(browser.rows())
    browser.press("/", words)
    assert browser.rows() == rows
    assert browser.run("document.getElementById('shown').value") == f"{len(rows)} of {everything} shown"
    assert browser.run("document.getElementById('none').checkVisibility()") == (not rows)
    browser.press(Keys.ENTER)
    assert browser.focus().split(":")[0] == (rows[0] if rows else "find")


def test_a_verdict_shows_its_rows_only(browser: Any) -> None:
    browser.run("document.querySelector('input[name=verdict][value=\"\"]').focus()")
    browser.press(Keys.ARROW_RIGHT)
    assert browser.rows() == ["debian13", "debian11-i386"]
    browser.press(Keys.ARROW_RIGHT, "n")
    assert browser.focus() == "debian12: FAIL, debian12: details"


# -- elsewhere ---------------------------------------------------------------------------------------


def test_the_address_of_open_details_opens_them(browser: Any) -> None:
    browser.press("n", Keys.ENTER)
    said, address = browser.dialog(), browser.driver.current_url
    browser.driver.get("about:blank")
    browser.driver.get(address)
    assert browser.dialog() == said
    browser.press(Keys.ESCAPE)
    assert browser.focus() == "debian12: FAIL, debian12: details"
    assert "#" not in browser.driver.current_url


def test_without_a_script_links_show_the_details(browser: Any, page: pathlib.Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.driver.get("about:blank")
        browser.driver.get(page.as_uri())
        assert not browser.driver.find_element(By.ID, "tools").is_displayed()
        row = browser.driver.find_element(By.CSS_SELECTOR, "#matrix [data-verdict=FAIL]")
        details = browser.driver.find_element(By.CSS_SELECTOR, "dialog.bad")
        assert not details.is_displayed()
        row.find_element(By.TAG_NAME, "a").click()
        assert details.is_displayed()
        assert "make matrix ARGS='--limit debian12'" in details.text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_paper_shows_the_matrix_and_the_details_of_what_is_not_ok(browser: Any) -> None:
    browser.look("dark", media="print")
    shown = browser.run("[...document.querySelectorAll('dialog')].map(d => [d.className, d.checkVisibility()])")
    assert {tuple(pair) for pair in shown} == {("bad", True), ("good", False)}
    assert not browser.run("document.getElementById('tools').checkVisibility()")
    assert browser.faint() == []
    paper = browser.driver.execute_cdp_cmd("Page.printToPDF", {"landscape": True})
    assert len(paper["data"]) > 20_000
