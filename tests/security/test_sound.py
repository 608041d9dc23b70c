# SPDX-License-Identifier: GPL-3.0-or-later
"""What has always been sound: texts of hosts stay texts in Ansible, in sh and in SQL, and a host is who it was."""

from __future__ import annotations

import json
import pathlib
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.kedr.lab.plugins.plugin_utils.trace import dataset, rows
from ansible_collections.kedr.lab.plugins.plugin_utils.trace.text import Record
from playing import play

TEXTS = (
    "{{{{ lookup('ansible.builtin.pipe', 'touch {canary}') }}}}",
    "{{% for x in [lookup('ansible.builtin.pipe', 'touch {canary}')] %}}{{% endfor %}}",
    "$(touch {canary})",
    "'; touch {canary}; '",
)  # fmt: skip
FUNCTIONS = "{{ inventory_dir }}/functions.yml"
LOOK = {"kedr.lab.kernel_facts": {"payloads": [], "functions": FUNCTIONS}, "register": "looked"}
USE = [
    {"ansible.builtin.set_fact": {"host_facts": "{{ looked.facts }}"}},
    {"ansible.builtin.debug": {"msg": "{{ host_facts.os_id }} is {{ host_facts | string }}"}},
    {"ansible.builtin.copy": {"content": "{{ host_facts | to_json }}", "dest": "{{ inventory_dir }}/facts.json"}},
]


def test_what_a_host_says_of_itself_is_neither_a_template_nor_a_command(tmp_path: pathlib.Path) -> None:
    canary = tmp_path / "canary"
    said = " ".join(TEXTS).format(canary=canary)
    (tmp_path / "os-release").write_text(f"ID=debian\nPRETTY_NAME={json.dumps(said)}\nVERSION_ID={json.dumps(said)}\n")
    (tmp_path / "functions.yml").write_text("{}\n")
    done = play(tmp_path, {"one": {}}, [LOOK, *USE], {tmp_path / "os-release": "/usr/lib/os-release"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "facts.json").read_text().count("touch") >= len(TEXTS)
    assert not canary.exists()


HOSTILE = ("x'; copy (select 1) to '{canary}'; --", 'x"; copy (select 1) to "{canary}"; --', "%' or '1'='1")
ASKED = [
    ["counts"], ["values", "--event", "{name}", "--argument", "{name}"], ["quantiles", "--argument", "{name}"],
    ["diff", "--left", "host={name}", "--right", "comm=*"],
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("words", ASKED)
def test_names_that_hosts_give_stay_texts_in_questions(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str]
) -> None:
    name = text.format(canary=tmp_path / "canary")
    fields: dict[str, int | str] = {name: 1, "returnValue": -12, "in_init": 0}
    made = [Record(0, name, 7, 0, "", time, "p", f"called_{name}", fields) for time in (1, 2)]
    dataset.write(str(tmp_path / "t"), "r1", name, name, rows.text_batches(made, {}, rows.Origin(name, name, {})))
    asked = [word.format(name=name) for word in words]
    asked += [str(tmp_path / "t"), "--where", f"comm={name}", "--format", "json"]
    assert main(["trace", *asked]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said or words[0] == "diff"
    assert not (tmp_path / "canary").exists()


@pytest.fixture
def impostor(tmp_path: pathlib.Path) -> Iterator[int]:
    """An SSH server with another key than the one that is known for it; gives its port on the loopback address."""
    for name in ("host_key", "known_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    known = " ".join((tmp_path / "known_key.pub").read_text().split()[:2])
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {known}\n")
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    command = [sshd, "-D", "-e", "-f", "/dev/null", "-h", tmp_path / "host_key", "-p", str(port)]
    with subprocess.Popen([*command, "-o", "ListenAddress=127.0.0.1"], stderr=subprocess.PIPE) as process:
        process.stderr.readline()
        yield port
        process.kill()


def test_a_host_with_another_key_than_the_known_one_is_not_spoken_to(tmp_path: pathlib.Path, impostor: int) -> None:
    (tmp_path / "functions.yml").write_text("{}\n")
    variables = {
        "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": impostor,
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={tmp_path}/known_hosts",
    }  # fmt: skip
    done = play(tmp_path, {"one": variables}, [LOOK])
    assert done.returncode != 0
    assert "Host key verification failed" in done.stdout
