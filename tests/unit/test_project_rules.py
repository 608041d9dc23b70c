# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that hold for every file of the project."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GLOB = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
SPDX = re.compile(r"SPDX-License-Identifier: (\S+)")


def project_files() -> list[Path]:
    """Return the files of the checkout that git tracks or would add, relative to its top; symbolic links left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    return [Path(name) for name in listed if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


def text_of(path: Path) -> str:
    return (ROOT / path).read_bytes().decode("utf-8", "replace")


def lines_with(pattern: str, places: list[Path]) -> list[str]:
    """Return "path:line: text" of each line of `places` that `pattern` is found in."""
    wanted = re.compile(pattern)
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path in places
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if wanted.search(line)
    ]


def licensed_elsewhere(path: Path) -> bool:
    """Say whether REUSE.toml names the licence of `path`; its `**` crosses folders and its `*` does not."""
    for entry in tomllib.loads(text_of(Path("REUSE.toml")))["annotations"]:
        if "SPDX-License-Identifier" in entry:
            for glob in entry["path"]:
                parts = re.split(r"(\*\*/?|\*)", glob)
                if re.fullmatch("".join(GLOB.get(part, re.escape(part)) for part in parts), str(path)):
                    return True
    return False


def test_every_file_names_its_licence() -> None:
    texts = {Path("COPYING"), *(path for path in project_files() if path.parts[0] == "LICENSES")}
    nameless = [
        str(path)
        for path in project_files()
        if path not in texts and not SPDX.search(text_of(path)[:1000]) and not licensed_elsewhere(path)
    ]
    assert nameless == []


def test_kernel_code_is_gpl_2_0_only_and_the_collection_is_gpl_3_0_or_later() -> None:
    expected = {"kernel": "GPL-2.0-only", "plugins": "GPL-3.0-or-later", "roles": "GPL-3.0-or-later"}
    for path in project_files():
        found = SPDX.search(text_of(path)[:1000])
        if found and path.parts[0] in expected and (path.parts[0] != "kernel" or path.suffix in {".c", ".h"}):
            assert found[1] == expected[path.parts[0]], path


def test_no_code_asks_for_the_version_of_a_kernel() -> None:
    folders = {"kernel", "data", "plugins", "roles", "playbooks", "bin", "scripts"}
    places = [path for path in project_files() if path.parts[0] in folders or path.suffix in {".c", ".h", ".j2"}]
    assert lines_with(r"LINUX_VERSION_CODE|\bKERNEL_VERSION\s*\(", places) == []


def test_no_file_names_a_package_index_or_the_place_of_the_checkout() -> None:
    hosts = r"\b(?:deb|security)\.debian\.org|\bpypi\.org|pythonhosted\.org|\b(?:archive|security)\.ubuntu\.com"
    assert lines_with(f"{hosts}|{re.escape(str(ROOT))}/", project_files()) == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    places = [path for path in project_files() if path.parts[0] == "tests" and path.suffix == ".py"]
    assert lines_with(r"pytest\.(?:mark\.)?(?:skip|xfail)\b|\bunittest\.skip|\bimportorskip", places) == []


def test_every_required_package_has_one_exact_version_and_the_sums_of_its_files() -> None:
    pin = re.compile(r"^[\w-]+==[\w.]+( \\\n    --hash=sha256:[0-9a-f]{64})+$", re.MULTILINE)
    texts = {path: text_of(path) for path in project_files() if path.parts[0] == "requirements"}
    assert len(texts) > 10
    for path, text in texts.items():
        for line in pin.sub("", text).splitlines():
            assert re.fullmatch(r"#.*|-r [\w.-]+|--no-binary [\w-]+|", line), f"{path}: {line}"


def test_pip_installs_nothing_without_a_sum() -> None:
    calls = []
    for path in project_files():
        if path.suffix == ".sh" or path.parts[0] in {".ci", "execution-environment.yml", "playbooks", "roles"}:
            text = re.sub(r" \\\n *", " ", text_of(path))
            calls += re.findall(r"^[^#\n]*\bpip3? (?:install|download|wheel)\b.*", text, re.MULTILINE)
    assert len(calls) >= 4
    assert [call for call in calls if "--require-hashes --only-binary :all:" not in call] == []


def test_images_of_containers_are_named_by_their_digests() -> None:
    images = yaml.safe_load(text_of(Path("execution-environment.yml")))["images"]
    assert {"base_image"} == set(images)
    assert re.fullmatch(r"[\w./-]+@sha256:[0-9a-f]{64}", images["base_image"]["name"])


def test_no_code_turns_off_what_checks_a_download() -> None:
    folders = {"bin", "data", "kernel", "playbooks", "plugins", "roles", "scripts"}
    places = [path for path in project_files() if path.parts[0] in folders]
    off = r"trusted=yes|allow-unauthenticated|AllowInsecure|gpgcheck=0|no-?gpg-?check|no-check-cert|--insecure"
    assert lines_with(f"{off}|curl .*-k\\b|_create_unverified|CERT_NONE|verify=False", places) == []


def test_every_action_of_the_group_for_hosts_exists() -> None:
    groups = yaml.safe_load(text_of(Path("meta/runtime.yml")))["action_groups"]
    missing = [name for name in groups["host"] if not (ROOT / "plugins" / "action" / f"{name}.py").is_file()]
    assert missing == []


def test_the_makefile_names_every_part_of_the_tests() -> None:
    makefile = text_of(Path("Makefile"))
    parts = {path.stem for path in (ROOT / "scripts" / "test").glob("*.sh") if path.stat().st_mode & 0o100}
    assert parts
    for part in parts:
        assert f"test-{part}" in makefile, part


@pytest.mark.parametrize("playbook", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_ansible_reads_a_playbook_without_a_warning(playbook: Path) -> None:
    command = ["ansible-playbook", "-i", "host,", "--syntax-check", playbook]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stderr == ""
