# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/matrix.sh with a stand-in for ansible-playbook: arguments, exit status, and guests that always end."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).parents[3]

# Writes down how it was called; a call with matrix.yml leaves a guest behind, then does what $MATRIX says.
PLAYBOOK = """#!/bin/sh
echo "$KEDR_LAB_DIR|$*" >>"$CALLS"
case "$*" in
    *matrix.yml*)
        mkdir -p "$KEDR_LAB_DIR/box/box"
        touch "$KEDR_LAB_DIR/box/box/guest.json"
        echo "$KEDR_REPRODUCE" >"$CALLS.reproduce"
        eval "$MATRIX"
        ;;
    *lab_down.yml*) rm -f "$KEDR_LAB_DIR"/*/guest.json ;;
esac
"""

SHIPPED = "-i data/systems.yml -i .lab/matrix/cloud-init.yml"


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose set-up is done; returns its folder and the environment to run it in."""
    for name in ("lib.sh", "guests.sh", "matrix.sh"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    (tmp_path / "galaxy.yml").write_text("")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/systems.yml").write_text("  - name: debian12\n    arch: x86_64\n  - name: debian13\n")
    programs = tmp_path / "venv/bin"
    programs.mkdir(parents=True)
    for path, text in {
        tmp_path / "scripts/setup.sh": "#!/bin/sh\n",
        tmp_path / "scripts/packages.sh": "#!/bin/sh\n",
        tmp_path / "scripts/venv.sh": f"#!/bin/sh\necho {tmp_path}/venv\n",
        programs / "ansible-playbook": PLAYBOOK,
        programs / "python": '#!/bin/sh\necho "rows of $*"; [ -z "$NO_DISK" ]\n',
        programs / "id": "#!/bin/sh\necho 0\n",
    }.items():
        path.write_text(text)
        path.chmod(0o755)
    environ = {
        "PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls"), "MATRIX": "exit 0",
        "KEDR_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path),
    }  # fmt: skip
    return tmp_path, environ


def run(checkout, *arguments, **environ):
    folder, base = checkout
    return subprocess.run(
        [folder / "scripts/matrix.sh", *arguments], env={**base, **environ}, capture_output=True, text=True, check=False
    )


def calls(checkout):
    """The calls of ansible-playbook: (lab directory below the checkout, arguments)."""
    folder, environ = checkout
    lines = pathlib.Path(environ["CALLS"]).read_text().replace(str(folder) + "/", "").splitlines()
    return [tuple(line.split("|", 1)) for line in lines]


def test_the_shipped_systems_are_run_three_at_a_time_and_their_guests_ended(checkout):
    done = run(checkout, "--limit", "debian12")
    assert done.returncode == 0, done.stderr
    assert calls(checkout) == [
        (".lab/matrix", "playbooks/matrix.yml --forks 3 -e kedr_guests_at_once=3 -i data/systems.yml --limit debian12"),
        (".lab/matrix/box", "playbooks/lab_down.yml"),
    ]


def test_without_a_limit_the_big_downloads_are_left_out(checkout):
    assert run(checkout).returncode == 0
    assert calls(checkout)[0][1].endswith(f"{SHIPPED} --limit all:!cloud")


def test_a_row_of_a_disk_with_cloud_init_stands_beside_the_shipped_ones(checkout):
    assert run(checkout).returncode == 0
    assert (checkout[0] / ".lab/matrix/cloud-init.yml").read_text() == "rows of scripts/cloud_disk.py\n"
    assert run(checkout, "--limit", "base").returncode == 0
    assert run(checkout, "-l", "debian13,debian12").returncode == 0
    assert [call[1].count("cloud-init.yml") for call in calls(checkout) if "matrix.yml" in call[1]] == [1, 1, 0]
    failed = run(checkout, NO_DISK="yes")
    assert failed.returncode != 0
    assert len([call for call in calls(checkout) if "matrix.yml" in call[1]]) == 3


@pytest.mark.parametrize("words", [("-i", "mine.yml"), ("--inventory=mine.yml",)])
def test_an_inventory_of_ones_own_takes_the_place_of_the_shipped_one(checkout, words):
    assert run(checkout, "--limit=a", *words, KEDR_GUESTS="2").returncode == 0
    expected = " ".join(["playbooks/matrix.yml --forks 2 -e kedr_guests_at_once=2 --limit=a", *words])
    assert calls(checkout)[0][1] == expected


def test_the_exit_status_is_that_of_the_playbook(checkout):
    assert run(checkout, MATRIX="exit 2").returncode == 2


@pytest.mark.parametrize("limit", [["--limit", "a,b"], ["-l", "a,b"], ["--limit=a"], []])
def test_a_row_is_repeated_with_the_same_arguments_and_its_own_limit(checkout, limit):
    run(checkout, "-i", "mine.yml", *limit, "-e", "x=1")
    folder, environ = checkout
    told = pathlib.Path(environ["CALLS"] + ".reproduce").read_text().strip()
    assert told == f"cd {folder} && make matrix ARGS='-i mine.yml -e x=1 --limit {{host}}'"


def test_the_command_that_repeats_a_row_keeps_blanks_and_quotes(checkout):
    folder, environ = checkout
    given = ["-e", '{"kedr_target_params": {"a": "it\'s $1"}}']
    run(checkout, *given)
    told = pathlib.Path(environ["CALLS"] + ".reproduce").read_text().strip()
    (folder / "Makefile").write_text("matrix:\n\t@printf '%s\\n' $(ARGS)\n")
    by_hand = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = told.replace("{host}", "a")
    again = subprocess.run(command, shell=True, env=by_hand, capture_output=True, text=True, check=True)
    assert again.stdout.splitlines() == [*given, "--limit", "a"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_guests_end_when_the_run_is_broken_off(checkout, number, status):
    folder, environ = checkout
    process = subprocess.Popen(
        [folder / "scripts/matrix.sh"],
        env={**environ, "MATRIX": "sleep 60"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not pathlib.Path(environ["CALLS"] + ".reproduce").exists():
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == status
    assert calls(checkout)[-1] == (".lab/matrix/box", "playbooks/lab_down.yml")
    assert not list((folder / ".lab").rglob("guest.json"))


def test_guests_that_a_killed_run_left_are_ended_first(checkout):
    folder, _environ = checkout
    (folder / ".lab/matrix/old/old").mkdir(parents=True)
    (folder / ".lab/matrix/old/old/guest.json").write_text("{}")
    run(checkout)
    assert calls(checkout)[0] == (".lab/matrix/old", "playbooks/lab_down.yml")


def test_two_runs_of_one_checkout_do_not_disturb_each_other(checkout):
    folder, _environ = checkout
    (folder / ".lab/matrix").mkdir(parents=True)
    with subprocess.Popen(
        ["flock", folder / ".lab/matrix/lock", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdin.write(b"x")
        holder.stdin.flush()
        holder.stdout.read(1)
        done = run(checkout)
    assert done.returncode == 1
    assert "another make matrix is running in this checkout" in done.stderr
