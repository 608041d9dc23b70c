# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a watch in a headless Chromium without a GPU, beside that of a tenth of its records.

Usage: bench_page.py [RECORDS of each of 8 CPUs, by default 25000]

Prints the size of the page, how long it takes to make and to load, and what a frame takes while the timeline is moved
and zoomed and while the filter looks through all records. Work is the time in the page's own program, from the begin of
the frame to its last line; interval is the time between frames, of which a screen of 60 Hz shows one in 16.7 ms. Of
five rounds each figure is that of the best.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.kedr.lab.plugins.plugin_utils.report import timeline
from ansible_collections.kedr.lab.tests.unit.plugins.plugin_utils import collected
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

SWITCHES = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --window-size=1400,900"
FRAMES = 120
ROUNDS = 5
TEXTS = ["n=77", "n=78", "from=1999", "0x9000", "-14"]

# Presses a key for each frame. What is asked of the frame before the key is pressed runs before the page's own drawing,
# what is asked of it afterwards runs behind.
MOVE = """
const [keys, frames, done] = arguments, work = [], intervals = [];
const timeline = document.getElementById("timeline");
let last = 0, begun = 0;
timeline.focus();
const step = (number) => {
  if (number === frames) return done([work, intervals]);
  requestAnimationFrame(() => { begun = performance.now(); });
  const key = keys[number % keys.length];
  timeline.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  requestAnimationFrame((now) => {
    work.push(performance.now() - begun);
    if (last) intervals.push(now - last);
    last = now;
    setTimeout(step, 0, number + 1);
  });
};
requestAnimationFrame(() => step(0));
"""

FILTER = """
const [text, done] = arguments, input = document.getElementById("of-text"), begun = performance.now();
let last = begun, longest = 0;
input.value = text;
input.dispatchEvent(new Event("input", { bubbles: true }));
const look = () => {
  const now = performance.now();
  longest = Math.max(longest, now - last);
  last = now;
  if (document.documentElement.dataset.filter === "done") done([now - begun, longest]);
  else setTimeout(look);
};
setTimeout(look);
"""

LOADED = "return document.getElementById('range').value !== '' ? performance.now() : 0"


def share(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def measure(driver: webdriver.Chrome, folder: pathlib.Path, each: int) -> dict[str, float]:
    """Figures of a page of 4 hosts with 2 CPUs and ``each`` records of every CPU; times in milliseconds."""
    collected.large(folder, hosts=4, cpus=2, count=each)
    begun = time.perf_counter()
    timeline.write(str(folder))
    found = {"made": 1000 * (time.perf_counter() - begun), "size": (folder / timeline.NAME).stat().st_size / 1e6}
    driver.get("about:blank")
    driver.get((folder / timeline.NAME).as_uri())
    while not (loaded := driver.execute_script(LOADED)):
        time.sleep(0.001)
    found["loaded"] = loaded
    for name, keys in (("pan", ["ArrowRight", "ArrowLeft"]), ("zoom", ["+", "+", "+", "+", "-", "-", "-", "-"])):
        if name == "pan":
            driver.execute_async_script(MOVE, ["+"], 1)
        rounds = [driver.execute_async_script(MOVE, keys, FRAMES) for _round in range(ROUNDS)]
        for index, what in enumerate(("work", "interval")):
            for part, shown in ((0.5, ""), (0.95, ", 95 %")):
                found[f"{name} {what}{shown}"] = min(share(one[index], part) for one in rounds)
    looked = [driver.execute_async_script(FILTER, text) for text in TEXTS]
    found["filter"], found["filter, longest task"] = (min(one[index] for one in looked) for index in range(2))
    return found


def main(arguments: list[str]) -> int:
    each = int(arguments[0]) if arguments else 25_000
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for switch in SWITCHES.split():
        options.add_argument(switch)
    with tempfile.TemporaryDirectory() as top:
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        driver.set_script_timeout(600)
        try:
            measure(driver, pathlib.Path(top, "first"), 100)  # the first of everything is slower
            small, big = (measure(driver, pathlib.Path(top, str(count)), count) for count in (each // 10, each))
        finally:
            driver.quit()
    print(f"{'records of 4 hosts with 2 CPUs':32} {8 * (each // 10):9,} {8 * each:9,}  ratio")
    for name, value in big.items():
        unit = "MB" if name == "size" else "ms"
        print(f"{name + ', ' + unit:32} {small[name]:9.1f} {value:9.1f}  {value / small[name]:5.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
