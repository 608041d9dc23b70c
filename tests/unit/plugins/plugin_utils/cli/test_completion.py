# SPDX-License-Identifier: GPL-3.0-or-later
"""kedr completion: the script that it prints completes verbs, options and names of files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base import paths
from ansible_collections.kedr.lab.plugins.plugin_utils.cli import main

ROOT = Path(paths.ROOT)
ASK = """
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
function=$(complete -p kedr | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
"$function" kedr "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "kedr.bash"
    done = subprocess.run([ROOT / "bin" / "kedr", "completion", "bash"], capture_output=True, text=True, check=True)
    path.write_text(done.stdout)
    return path


def completed(script: Path, *words: str, cwd: Path | None = None) -> list[str]:
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", script, "kedr", *words],
        cwd=cwd, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(filter(None, done.stdout.splitlines()))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["li"], ["lint"]),
        (["pa"], ["page"]),
        (["n"], ["new"]),
        (["trace", "unf"], ["unfreed", "unfreed-list"]),
        (["trace", "diff", "--le"], ["--left"]),
        (["export", "tr"], ["trace-dat"]),
        (["report", "--rea"], ["--readme"]),
        (["help", "mi"], ["mist"]),
    ],
)
def test_bash_completes_a_word(script: Path, words: list[str], expected: list[str]) -> None:
    assert completed(script, *words) == expected


def test_bash_offers_every_verb(script: Path) -> None:
    assert set(completed(script, "")) >= set(main.VERBS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["lint", "o"], ["one.data", "other"]),
        (["judge", "o"], ["other"]),
        (["export", "perfetto", "o"], ["other"]),
        (["new", "f", "--vmlinux", "one"], ["one.data"]),
        (["verify", "-i", "one"], ["one.data"]),
    ],
)
def test_bash_completes_names_of_files_and_directories(
    script: Path, tmp_path: Path, words: list[str], expected: list[str]
) -> None:
    (tmp_path / "one.data").write_text("")
    (tmp_path / "other").mkdir()
    assert completed(script, *words, cwd=tmp_path) == expected


def test_zsh_gets_a_script_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", "zsh"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("#compdef kedr\n")
    assert all(f"    {verb}:'" in said for verb in main.VERBS)
