# SPDX-License-Identifier: GPL-3.0-or-later
"""kedr: its verbs, which Python runs them, and how what went wrong is told."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, InputError, KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.cli import launch, main

ROOT = Path(paths.ROOT)
KEDR = ROOT / "bin" / "kedr"
BARE = [verb for verb, about in main.VERBS.items() if not about.needs]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def kedr(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KEDR, *map(str, words)], capture_output=True, text=True, check=False, env={**os.environ, **more}
    )


# -- the verbs ---------------------------------------------------------------------------------------


def test_help_lists_every_verb_once_below_its_task(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["help"], ["-h"], ["--help"], ["help", "help"], ["help", "--help"]):
        assert main.main(words) == 0
        said = capsys.readouterr().out
        assert re.findall(r"^  (\w+) ", said, re.MULTILINE) == list(main.VERBS)
        assert re.findall(r"^(\S.*):$", said, re.MULTILINE) == list(main.TASKS)


def test_no_verb_at_all_is_wrong_use_and_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", main.usage() + "\n")


def test_a_verb_that_there_is_not_is_told_with_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["jugde"]) == 2
    assert capsys.readouterr().err == (
        "kedr: error: there is no verb 'jugde', did you mean 'judge'?; 'kedr help' lists them\n"
    )


@pytest.mark.parametrize("verb", [verb for verb in main.VERBS if verb != "help"])
@pytest.mark.parametrize("asked", [["help", "{}"], ["{}", "--help"]])
def test_each_verb_shows_its_options(verb: str, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([word.format(verb) for word in asked])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert said.startswith(f"usage: kedr {verb} ")
    assert " ".join(main.VERBS[verb].about[1:].split()) in " ".join(said.split())


def test_an_option_that_a_verb_has_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["lint", "--fix", "a.data"])
    assert ended.value.code == 2
    assert "kedr lint: error: unrecognized arguments: --fix" in capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_pages_name_only_verbs_that_there_are(page: Path) -> None:
    named = set(re.findall(r"(?:bin/kedr|\$ kedr|`kedr|'kedr) ([a-z]+)", page.read_text()))
    assert named <= set(main.VERBS)


def test_the_page_on_the_command_shows_what_help_says() -> None:
    assert f"$ kedr help\n{main.usage()}\n```" in (ROOT / "docs" / "command.md").read_text()


# -- what went wrong ---------------------------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    def run(options: argparse.Namespace) -> int:
        raise problem

    monkeypatch.setattr(main, "load", lambda name: SimpleNamespace(arguments=lambda parser: None, run=run))


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (KedrError("no room"), "no room"),
        (InputError("a.data:1: wrong", "a.data:2: too"), "a.data:1: wrong\na.data:2: too"),
        (ForeignError("is not valid JSON", "run.json"), "run.json: is not valid JSON"),
        (KedrError("a\x1b[2J\u202e"), "a\\x1b[2J\\u202e"),
        (OSError(2, "No such file or directory", "/no/\udcff"), "/no/\\xff: No such file or directory"),
        (OSError(28, "No space left on device"), "cannot write the output: No space left on device"),
        (OSError("odd"), "cannot write the output: odd"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: Exception, said: str
) -> None:
    failing(monkeypatch, problem)
    assert main.main(["judge"]) == 2
    assert capsys.readouterr().err == f"kedr judge: error: {said}\n"


def test_an_interrupt_is_told_and_has_the_status_that_shells_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert main.main(["trace"]) == 130
    assert capsys.readouterr().err == "kedr trace: error: interrupted\n"


@pytest.mark.parametrize("problem", [ZeroDivisionError(), ModuleNotFoundError(name=f"{main.__package__}.judge")])
def test_a_mistake_of_the_command_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    failing(monkeypatch, problem)
    with pytest.raises(type(problem)):
        main.main(["judge"])


@pytest.mark.parametrize("verb", ["help", "lint"])
def test_a_reader_that_has_gone_is_no_traceback(verb: str, tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text("x\n" * 40)
    reader, writer = os.pipe()
    os.close(reader)
    words = [KEDR, verb, *([tmp_path / "a.data"] if verb == "lint" else [])]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (2, b"")


def test_output_that_cannot_be_written_is_told() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([KEDR, "help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "kedr help: error: cannot write the output: No space left on device\n")


@pytest.mark.parametrize(
    ("package", "lists"), [("yaml", "common.txt"), ("duckdb", "common.txt and collect.txt"), ("shtab", "common.txt")]
)
def test_a_package_that_is_missing_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str, lists: str
) -> None:
    def load(name: str) -> None:
        raise ModuleNotFoundError(name=package)

    monkeypatch.setattr(main, "load", load)
    assert main.main(["page", "run"]) == 2
    assert capsys.readouterr().err == (
        f"kedr page: error: python3 has no module '{package}'; install what requirements/{lists} names\n"
    )


# -- which Python ------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", BARE)
def test_a_verb_that_needs_nothing_runs_with_the_standard_library_alone(verb: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'plugins')!r}); from plugin_utils.cli import main\n"
        f"try: main.main(['help', {verb!r}] if {verb!r} != 'help' else ['help'])\n"
        "except SystemExit: pass\n"
        "print(*(name for name in sys.modules if name.startswith('plugin_utils.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: kedr ")
    loaded = {name for name in done.stderr.split() if name.startswith("plugin_utils.cli.")}
    assert loaded <= {f"plugin_utils.cli.{name}" for name in ("main", "launch", "play", verb)}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environments are a program that tells its arguments, and whose python3 has no package."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kedr").write_text(KEDR.read_text())
    (tmp_path / "plugins").symlink_to(ROOT / "plugins")
    (tmp_path / ".collections").mkdir()
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "venv.sh").write_text(f'#!/bin/sh\n[ "$1" = newest ] && echo "{tmp_path}/$2"\n')
    for kind in ("run", "collect"):
        (tmp_path / kind / "bin").mkdir(parents=True)
        (tmp_path / kind / "bin" / "python").write_text(f'#!/bin/sh\nshift; echo "{kind}: $*"\n')
    for path in ["bin/kedr", "scripts/venv.sh", "run/bin/python", "collect/bin/python"]:
        (tmp_path / path).chmod(0o755)
    venv.create(tmp_path / "system", symlinks=True)
    return tmp_path


def bare(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{checkout}/system/bin:{os.environ['PATH']}"}
    command = [checkout / "bin" / "kedr", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables, cwd=checkout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trace", "counts", "a b"], "collect: trace counts a b\n"),
        (["report", "x"], "run: report x\n"),
        (["help", "report"], "run: report --help\n"),
        (["new", "vmalloc", "--vmlinux", "x"], "run: new vmalloc --vmlinux x\n"),
        (["new", "vmalloc", "--vml=x"], "run: new vmalloc --vml=x\n"),
    ],
)
def test_the_environment_of_the_checkout_is_used_where_python3_has_not_what_the_verb_needs(
    checkout: Path, words: list[str], said: str
) -> None:
    done = bare(checkout, *words)
    assert (done.stdout, done.stderr) == (said, "")


def test_python3_is_used_where_it_has_what_the_verb_needs(checkout: Path) -> None:
    done = bare(checkout, "new", "vmalloc")
    assert (done.returncode, done.stderr) == (0, "")
    assert "function.name = vmalloc" in done.stdout
    site = next((checkout / "system" / "lib").glob("python3.*/site-packages"))
    for name in launch.PACKAGES["collect"]:
        (site / f"{name}.py").write_text("")
    done = bare(checkout, "trace", "counts")
    assert "collect:" not in done.stdout
    assert done.stderr


def test_an_installed_collection_names_the_package_that_is_missing(checkout: Path) -> None:
    (checkout / ".collections").rmdir()
    done = bare(checkout, "report", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"kedr report: error: .*'(jinja2|yaml|markupsafe|jsonschema|elftools)'.*\n", done.stderr)


def test_an_environment_that_cannot_be_made_is_told(checkout: Path) -> None:
    (checkout / "scripts" / "venv.sh").write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    done = bare(checkout, "trace", "counts", "x")
    assert done.returncode == 2
    assert done.stderr == (
        "no network\nkedr trace: error: scripts/venv.sh could not make the environment 'collect'; "
        "its messages stand above\n"
    )


def test_the_program_runs_through_a_symlink_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(KEDR)
    done = subprocess.run(["./mine", "help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, main.usage() + "\n", "")


def test_the_program_runs_where_the_collection_is_installed(tmp_path: Path) -> None:
    place = tmp_path / "ansible_collections" / "kedr" / "lab"
    place.mkdir(parents=True)
    for name in ("bin", "plugins", "data"):
        (place / name).symlink_to(ROOT / name) if name != "bin" else (place / name).mkdir()
    (place / "bin" / "kedr").write_text(KEDR.read_text())
    done = subprocess.run(["sh", place / "bin" / "kedr", "lint", *sorted((ROOT / "data").glob("*.data"))],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
