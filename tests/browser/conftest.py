# SPDX-License-Identifier: GPL-3.0-or-later
"""A matrix with every verdict, and a headless Chromium that looks at pages."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.report import page as report_html
from ansible_collections.kedr.lab.plugins.plugin_utils.report import rows as report_rows
from ansible_collections.kedr.lab.plugins.plugin_utils.verdict.verify import STEPS
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

CAUGHT = "document.title='caught'"
HOSTILE = f'</script><script>{CAUGHT}</script><img src=x onerror="{CAUGHT}">\u202e\x1b[31m'

# Contrast of each visible text with what is behind it, by the formula of WCAG 2: texts below 4.5.
FAINT = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (data) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, index) => {
    const part = data[index] / 255;
    return sum + weight * (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const data = rgb(getComputedStyle(one).backgroundColor);
      if (data[3] === 255) return data;
    }
    return rgb('white');
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
    if (!text || !element.checkVisibility() || element.closest('.unseen, .label, script, style')) continue;
    const [one, other] = [light(rgb(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${element.className} ${text.slice(0, 40)}`);
  }
  return faint;
})()"""

KERNELS = {
    "Debian 11": ("5.10.0-37-amd64", "gcc (Debian 10.2.1-6) 10.2.1 20210110"),
    "Debian 12": ("6.1.0-41-amd64", "gcc (Debian 12.2.0-14+deb12u1) 12.2.0"),
    "Debian 13": ("6.12.117+deb13-amd64", "gcc (Debian 14.2.0-19) 14.2.0"),
}
EVENTS = {"__kmalloc": 3, "copy_from_user": 7, "copy_to_user": 57, "down_interruptible": 259, "up": 259, "down": 0}


def system(name: str, shown: str, group: str = "base", **more: str) -> dict[str, str]:
    return {"name": name, "system": shown, "kernel": "6.12 generic", "arch": "x86_64", "group": group,
            "why": "the newest kernel that the distribution ships", **more}  # fmt: skip


def result(row: dict[str, str], **more: Any) -> dict[str, Any]:
    """The entry of results.json of a host that is OK."""
    kernel, compiler = KERNELS.get(row["system"], KERNELS["Debian 13"])
    entry = {
        "row": row,
        "host": row["name"],
        "system": row["system"],
        "kernel": kernel,
        "arch": row["arch"],
        "compiler": compiler,
        "target": "cp_target",
        "verdict": "OK",
        "reason": "all 18 checks hold",
        "events": {f"called_{name}": count for name, count in EVENTS.items()},
        "sites": {name: {"call": min(count, 5), "jmp": 0, "expected": min(count, 5)} for name, count in EVENTS.items()},
        "lost": 0,
        "splats": [],
        "durations": dict.fromkeys(STEPS, 1.25),
        "steps": [{"step": name, "status": "ok", "seconds": 1.25, "reason": ""} for name in STEPS],
        "finished": "2026-01-31T12:00:00Z",
        "reproduce": f"make matrix ARGS='--limit {row['name']}'",
        "round_trips": 9,
        "unresolved": [],
        "evidence": [
            {"outcome": "ok", "source": "steps.jsonl", "text": "all 10 steps done"},
            {"outcome": "ok", "source": "sites.txt", "text": "19 call sites patched, as the relocations name them"},
        ],
        "console": [],
    }
    return {**entry, **more}


def ended(row: dict[str, str], verdict: str, step: str, status: str, reason: str, **more: Any) -> dict[str, Any]:
    """A host whose run ended at a step."""
    done = [{"step": name, "status": "ok", "seconds": 1.25, "reason": ""} for name in STEPS[: STEPS.index(step)]]
    last = {"step": step, "status": status, "seconds": 2.5, "reason": reason}
    evidence = [
        {"outcome": "fail", "source": "steps.jsonl", "text": f"step {step}: {reason}"},
        {"outcome": "missing", "source": "trace.txt", "text": "the file is not there"},
        {"outcome": "note", "source": "console.log", "text": "2 lines of splats from before this run"},
    ]
    entry = result(row, verdict=verdict, reason=f"{step}: {reason}", steps=[*done, last], evidence=evidence,
                   events={}, sites={}, durations={one["step"]: one["seconds"] for one in [*done, last]})  # fmt: skip
    return {**entry, **more}


def matrix() -> list[report_rows.Line]:
    """Every verdict once, a system that was not run, and a host whose every text is an attack."""
    rows = {
        "ok": system("debian13", "Debian 13"),
        "i386": system("debian11-i386", "Debian 11", arch="i386"),
        "fail": system("debian12", "Debian 12"),
        "crash": system("debian13-two-cpus", "Debian 13", "variant", variant="two CPUs"),
        "infra": system("debian13-lockdown", "Debian 13", "variant", variant="lockdown=integrity"),
        "zram": system("debian13-zram", "Debian 13", "target"),
        "hostile": system(HOSTILE, HOSTILE, "target", why=HOSTILE),
    }
    wrong = {"outcome": "fail", "source": "trace.txt", "text": "read: 0 × called_copy_to_user; expected at least 1"}
    console = ["BUG: kernel NULL pointer dereference, address: 0", "Kernel panic - not syncing: Fatal exception"]
    results = [
        result(rows["ok"]),
        result(rows["i386"]),
        result(rows["fail"], verdict="FAIL", reason="trace.txt: " + wrong["text"], evidence=[wrong], lost=4,
               unreached={"__kmalloc": {"pointers": 2, "other": 0, "static_calls": 1, "unreferenced": True}}),
        ended(rows["crash"], "CRASH", "target", "unreachable", "lost contact with the host", console=console,
              splats=[console[0]]),
        ended(rows["infra"], "INFRA", "build", "failed", "no compiler: gcc-14 is not there"),
        result(rows["zram"], target="zram", verdict="NO-RESULT", reason="stats.txt: the file is not there"),
        result({"name": "mine", "system": "Own system", "arch": "x86_64"}, verdict="SKIP", reason="load: not marked"),
        ended(rows["hostile"], "FAIL", "load", "failed", HOSTILE, kernel=HOSTILE, compiler=HOSTILE, console=[HOSTILE],
              splats=[HOSTILE], reproduce=HOSTILE, target=HOSTILE, events={HOSTILE: 1},
              sites={HOSTILE: {"call": 1, "jmp": 0, "expected": 2}},
              unresolved=[{"function": HOSTILE, "tried": [HOSTILE]}]),
    ]  # fmt: skip
    del results[6]["row"]
    seeds = [
        system("fedora12", "Fedora 12", "seed", kernel="2.6.31", why="one of the first systems"),
        system("ubuntu1004-x86", "Ubuntu 10.04", "seed", kernel="2.6.32", arch="i386", why="one of the first systems"),
    ]
    return report_rows.lines(results, lambda: [*rows.values(), *seeds])


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_html.page(matrix(), "Run 20260131T120000Z-1"), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for switch in [*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def show(chromium: webdriver.Chrome) -> Iterator[Callable[[pathlib.Path], Browser]]:
    """Loads a page anew; a test ends with an error if a page made the browser complain."""

    def load(path: pathlib.Path) -> Browser:
        shown = Browser(chromium)
        shown.look("light")
        shown.size(1400, 900)
        chromium.get("about:blank")
        chromium.get(path.as_uri())
        return shown

    yield load
    assert chromium.get_log("browser") == []


@pytest.fixture
def browser(show: Callable[[pathlib.Path], Browser], page: pathlib.Path) -> Browser:
    """The page of the matrix."""
    return show(page)


class Browser:
    """Chromium as someone at a keyboard uses it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def look(self, scheme: str, media: str = "screen") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def size(self, width: int, height: int) -> None:
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)

    def press(self, *keys: str) -> None:
        """Press keys one after another, each when the page is done with the one before."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()
            # A dialog tells of its end in a task of its own, which a frame and a timeout leave behind.
            self.driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")

    def run(self, script: str, *values: Any) -> Any:
        """The value of an expression of the page."""
        return self.driver.execute_script(f"return {script}", *values)

    def faint(self) -> list[str]:
        """Visible texts whose contrast with what is behind them is below 4.5."""
        return list(self.run(FAINT))

    def focus(self) -> str:
        """Text of the table's cell that has the focus, with the name of its row in front."""
        return str(self.run(
            "(a => a.closest('#matrix td') ? a.closest('tr').querySelector('small').textContent.split(' ')[0] + ': ' + "
            "a.textContent.trim().replace(/\\s+/g, ' ') : a.id || a.textContent)(document.activeElement)"
        ))  # fmt: skip

    def rows(self) -> list[str]:
        """Names of the rows that are shown."""
        found = self.run(
            "[...document.querySelectorAll('#matrix .row')].filter(row => row.offsetParent)"
            ".map(row => row.querySelector('small').textContent.split(' · ')[0])"
        )
        return [str(name) for name in found]

    def dialog(self) -> str:
        """Text of the details that are open over the page; nothing when there are none."""
        return str(self.run("document.querySelector('dialog:modal')?.innerText ?? ''"))
