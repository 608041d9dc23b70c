# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates of hosts, measured now and in earlier watches."""

from __future__ import annotations

import json
import pathlib

from ansible_collections.kedr.lab.plugins.plugin_utils.collect.rates import Rate, measured_rate


def keep(runs: pathlib.Path, run: str, host: str, text: str) -> None:
    (runs / run / host).mkdir(parents=True)
    (runs / run / host / "stream.json").write_text(text)


def test_the_newest_watch_that_measured_something_counts(tmp_path: pathlib.Path) -> None:
    keep(tmp_path, "a", "one", json.dumps({"ended": 10.5, "peak": 1000}))
    keep(tmp_path, "b", "one", json.dumps({"ended": 20.5, "peak": 500}))
    keep(tmp_path, "c", "one", json.dumps({"ended": 30.5, "peak": 0}))
    keep(tmp_path, "d", "two", json.dumps({"ended": 40.5, "peak": 9}))
    assert measured_rate(str(tmp_path), "one") == 500


def test_what_is_no_record_of_a_stream_counts_for_nothing(tmp_path: pathlib.Path) -> None:
    for number, text in enumerate(("", "[]", "{}", '{"ended": "x", "peak": 1}', '{"ended": 1, "peak": null}')):
        keep(tmp_path, f"r{number}", "one", text)
    (tmp_path / "latest").symlink_to("r0")
    (tmp_path / "file").write_text("")
    assert measured_rate(str(tmp_path), "one") == 0
    assert measured_rate(str(tmp_path / "none"), "one") == 0


def test_a_rate_counts_what_came_last_and_never_over_less_than_two_seconds() -> None:
    rate = Rate()
    for now, written, last, peak in [
        (10.0, 0, False, 0), (11.0, 900, False, 0), (12.0, 1000, False, 500), (12.5, 2500, True, 750),
    ]:  # fmt: skip
        rate.measure(now, written, last)
        assert rate.peak == peak
