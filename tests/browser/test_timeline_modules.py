# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the timeline as a browser imports them one by one: the page is the same as from the joined script."""

from __future__ import annotations

import http.server
import pathlib
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.report import page, timeline
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils import collected
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils.collected import call, cpu, host

CALLS = [call(1000 + 10 * n, "called_up" if n % 2 else "called_down", pid=n % 3, n=n, in_init=int(n < 5))
         for n in range(100)]  # fmt: skip
LOSS = {"records": 20, "after_ns": 1990, "before_ns": 2500}
SHOWN = """[...document.querySelectorAll(
    '#range, #shown, #corner, #names div, #legend label, #rows .record, #record div, #tip'
)].map(one => one.value ?? one.innerText)"""
CANVAS = "document.getElementById('canvas').dispatchEvent(new {}Event('{}', {{clientX: 500, clientY: 500}}))"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        """Requests are no part of what a test says."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A page with its script inside, the same page with modules beside it, and an empty page."""
    run = tmp_path_factory.mktemp("modules") / "run"
    account = cpu(0, 100, generated=120, overrun=20, losses=[LOSS])
    collected.watch(run, [host("web1", account, verdict="FAIL", lost=20)], {"web1": CALLS})
    text = timeline.page(str(run)).text
    (run / "joined.html").write_text(text, encoding="utf-8")
    program = str(page.script("timeline", "main.js")["script"])
    assert program in text
    apart = text.replace(f"<script>{program}</script>", '<script type="module" src="timeline/main.js"></script>')
    apart = re.sub("<meta http-equiv=.*>", '<link rel="icon" href="data:,">', apart)
    (run / "apart.html").write_text(apart, encoding="utf-8")
    (run / "empty.html").write_text('<!DOCTYPE html><link rel="icon" href="data:,">', encoding="utf-8")
    shutil.copytree(pathlib.Path(page.FOLDER) / "timeline", run / "timeline")
    return run


@pytest.fixture(scope="module")
def server(folder: pathlib.Path) -> Iterator[str]:
    """The address of the folder: a browser imports no module from a disk."""
    address = ("127.0.0.1", 0)
    with http.server.ThreadingHTTPServer(address, lambda *about: Quiet(*about, directory=str(folder))) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def used(browser: Any) -> list[Any]:
    """What the page shows at first and after each use of a filter, the pointer, the keys and the switch of the axis."""
    end = time.monotonic() + 20
    while not browser.run("document.getElementById('range').value") and time.monotonic() < end:
        time.sleep(0.01)
    seen = [browser.run(SHOWN)]
    for use in (
        "document.getElementById('to-init').click()",
        "document.querySelector('#losses button').click()",
        "document.getElementById('in-view').click()",
        "document.querySelector('input[value=first]').click()",
        "document.querySelector('#legend input').click()",
        "document.querySelector('#rows .record:nth-child(3)').click()",
        "document.getElementById('timeline').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))",
        "document.getElementById('records').dispatchEvent(new KeyboardEvent('keydown', {key: 'End'}))",
        CANVAS.format("Mouse", "dblclick"),
        CANVAS.format("Pointer", "pointermove"),
        "document.getElementById('reset').click()",
    ):
        browser.run(f"void {use}")
        browser.driver.execute_async_script(
            "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => setTimeout(done)), 100)"
        )
        seen.append(browser.run(SHOWN))
    return seen


def test_the_page_is_the_same_from_modules_as_from_the_script_that_they_are_joined_to(
    show: Callable[[pathlib.Path], Any], folder: pathlib.Path, server: str
) -> None:
    browser = show(folder / "joined.html")
    joined = used(browser)
    browser.driver.get(f"{server}/apart.html")
    assert used(browser) == joined
    assert len({str(one) for one in joined}) > 8, "the uses change what is shown"


def test_the_data_can_be_read_without_the_page(
    show: Callable[[pathlib.Path], Any], folder: pathlib.Path, server: str
) -> None:
    blob = re.search('id="data">(.*?)<', (folder / "joined.html").read_text(encoding="utf-8"))
    assert blob
    browser = show(folder / "empty.html")
    browser.driver.get(f"{server}/empty.html")
    found = browser.driver.execute_async_script(
        """const [text, done] = arguments;
        import("/timeline/data.js").then(async (module) => {
          await module.load(text);
          const { count, time, event, events } = module.data;
          const order = module.merged(time);
          done({ count, times: [...order].map(at => time[at]), events, first: [...event.slice(0, 2)],
            places: [-1, 0, 15, 990, 991].map(wanted => module.search(0, count, wanted, at => time[order[at]])) });
        }, (error) => done(String(error)));""",
        blob[1],
    )
    assert found == {
        "count": 100,
        "times": [10 * n for n in range(100)],
        "events": ["called_down", "called_up"],
        "first": [0, 1],
        "places": [0, 0, 2, 99, 100],
    }
