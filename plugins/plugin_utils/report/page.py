# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix as one HTML page that needs nothing else: no network, no other file.

The template is pages/report.html.j2. Every text in it is made harmless and escaped by the environment below, and the
page's policy lets no script run but the page's own.
"""

import base64
import functools
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import jinja2
from markupsafe import Markup

from ..base.foreign import plain as clean
from ..verdict.case import VERDICTS
from .rows import NOT_RUN, Line, columns, events, functions, many, seconds, sites, summary

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pages")
MAX_TEXT = 4000
IMPORT = re.compile(r'^import (?:\{ (.+) \} from )?"\./([\w-]+\.js)";\n', re.MULTILINE)
DECLARED = re.compile(r"^(?:import|export|async|function|const|let|var|class)\b.*", re.MULTILINE)
NAME = re.compile(r"(export )?(?:(?:async )?function|class|(?:const|let)(?!.*, [\w$]+ = )) ([\w$]+)(?![\w$,])")

GROUPS = {
    "seed": "Systems to come",
    "base": "Distribution kernels",
    "variant": "Boot variants",
    "target": "Modules of distributions as targets",
    "cloud": "Images that vendors make for clouds",
}
LOOKS = {
    "OK": "ok", "FAIL": "bad", "CRASH": "crash", "INFRA": "warn", "SKIP": "off", "NO-RESULT": "unknown",
    NOT_RUN: "none", "failed": "bad", "unreachable": "crash", "refused": "off", "skipped": "off", "missing": "unknown",
    "fail": "bad", "note": "off",
}
"""How verdicts, states of steps and outcomes of findings look: the name of a sign and of a class; else "ok"."""


def page(table: Sequence[Line], title: str) -> str:
    """The text of report.html; ``title`` says which run it is."""
    steps = columns(table)
    return environment().get_template("report.html.j2").render(
        title=title,
        summary=summary(table),
        steps=steps,
        counts=_counts(table),
        groups=[
            (_group(name) if any(line.system for line in table) else "", [_row(line, steps) for line in lines])
            for name, lines in _groups(table)
        ],
        many=many,
        style=Markup(read("report.css")),
        **script("report.js"),
    )


def script(*names: str) -> dict[str, str]:
    """What a template needs of a program of pages/ and its modules: ``script``, and ``script_hash`` for the policy."""
    text = joined(os.path.join(FOLDER, *names))
    digest = hashlib.sha256(text.encode()).digest()
    return {"script": Markup(text), "script_hash": base64.b64encode(digest).decode()}


def joined(path: str) -> str:
    """Join an ES module and all that it imports into one strict script, each behind those that it imports.

    A page that is one file, opened from a disk, cannot import.  Modules lie in one folder.  They import with
    ``import { a, b } from "./other.js";`` or ``import "./other.js";`` and declare one name in a line.  Raises
    ValueError for anything else, for a circle, a module or an exported name that is not there, and a name that two
    modules declare: all of them are one scope here.
    """
    folder, main = os.path.split(path)
    texts: dict[str, str] = {}
    declared: dict[str, tuple[str, bool]] = {}  # the module of each name, and whether it exports it

    def add(name: str, above: tuple[str, ...]) -> None:
        way = " -> ".join([*above, name])
        if name in above:
            raise ValueError(f"{folder}: these modules import each other in a circle: {way}")
        if name in texts:
            return
        if not os.path.isfile(os.path.join(folder, name)):
            raise ValueError(f"{folder}: {way}: there is no file {name}")
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            text = stream.read()
        for names, other in IMPORT.findall(text):
            add(other, (*above, name))
            for one in filter(None, names.split(", ")):
                if declared.get(one) != (other, True):
                    raise ValueError(f"{folder}: {name} imports '{one}', which {other} does not export")
        text = IMPORT.sub("", text)
        for line in DECLARED.findall(text):
            if not (found := NAME.match(line)):
                raise ValueError(f"{folder}: {name}: the joiner does not know this form: {line}")
            if found[2] in declared:
                raise ValueError(f"{folder}: {declared[found[2]][0]} and {name} both declare '{found[2]}'")
            declared[found[2]] = (name, bool(found[1]))
        texts[name] = re.sub(r"^export ", "", text, flags=re.MULTILINE)

    add(main, ())
    return '"use strict";\n' + "\n".join(texts.values())


def read(name: str) -> str:
    """The text of a file of pages/."""
    with open(os.path.join(FOLDER, name), encoding="utf-8") as stream:
        return stream.read()


def _shown(value: Any) -> Any:
    """A value as the page shows it: text made harmless, unless it is markup already."""
    return clean(value, MAX_TEXT) if isinstance(value, str) and not hasattr(value, "__html__") else value


@functools.cache
def environment() -> jinja2.Environment:
    """Templates of pages/: every text that they show is made harmless and escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown,
        trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters["look"] = lambda word: LOOKS.get(word, "ok")
    return environment


def _counts(table: Sequence[Line]) -> list[tuple[str, int]]:
    """How many lines have each verdict that there is."""
    verdicts = [line.verdict for line in table]
    return [(word, verdicts.count(word)) for word in (*VERDICTS, NOT_RUN) if word in verdicts]


def _groups(table: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """The lines by the groups of data/systems.yml, in the order of the lines."""
    return [(name, list(lines)) for name, lines in groupby(table, key=lambda line: line.about("group"))]


def _group(name: str) -> str:
    return GROUPS.get(name) or name.capitalize() or "Other hosts"


def _row(line: Line, steps: Sequence[str]) -> dict[str, Any]:
    """What the template shows of a line."""
    result: Mapping[str, Any] = line.result or {}
    records = [{"name": name, **(line.step(name) or {"status": "", "seconds": 0, "reason": ""})} for name in steps]
    failed = [record["name"] for record in records if record["status"] not in ("", "ok")]
    known = {name: line.known(name) for name in ("system", "kernel", "arch", "compiler", "target")}
    reason = result.get("reason", "")
    found = " ".join([line.name, *known.values(), line.verdict, reason, line.about("variant"), *failed])
    return {
        **known,
        "name": line.name,
        "verdict": line.verdict,
        "bad": line.bad,
        "was_run": line.result is not None,
        "found": clean(found, MAX_TEXT).lower(),
        "wanted": line.about("kernel"),
        "variant": line.about("variant"),
        "why": line.about("why"),
        "steps": records,
        "events": events(result) if result else "",
        "sites": sites(result) if result else "",
        "seconds": seconds(result) if result else "",
        "functions": functions(result) if result else [],
        "most": max(result["events"].values(), default=0) if result else 0,
        "reason": reason,
        **{key: result.get(key, "") for key in ("reproduce", "finished", "lost", "round_trips")},
        **{key: result.get(key, []) for key in ("evidence", "console", "splats")},
    }
