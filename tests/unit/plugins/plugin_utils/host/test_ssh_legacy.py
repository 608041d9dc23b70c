# SPDX-License-Identifier: GPL-3.0-or-later
"""Relaxed SSH options for systems of 2009 to 2012, with stand-ins for clients of several ages."""

from __future__ import annotations

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import InputError, KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import ssh_legacy
from ansible_collections.kedr.lab.plugins.plugin_utils.host.ssh_legacy import arguments, explain, variables
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.systems import SHIPPED, Row, load_systems

CLIENT = """#!/bin/sh
case $2 in
kex) printf '%s\\n' curve25519-sha256 diffie-hellman-group14-sha1 diffie-hellman-group1-sha1 ;;
key) printf '%s\\n' ssh-ed25519 ssh-rsa {dss} ;;
cipher) printf '%s\\n' aes128-ctr aes128-cbc 3des-cbc ;;
mac) printf '%s\\n' hmac-sha2-256 hmac-sha1 ;;
esac
"""


@pytest.fixture
def client(tmp_path):
    """Makes a client that knows what its age knew."""
    ssh_legacy.known.cache_clear()

    def make(dss: bool) -> str:
        path = tmp_path / "ssh"
        path.write_text(CLIENT.format(dss="ssh-dss" if dss else ""))
        path.chmod(0o755)
        return str(path)

    yield make
    ssh_legacy.known.cache_clear()


def mismatch(what: str, offer: str) -> str:
    return f"Unable to negotiate with 10.0.0.1 port 22: no matching {what} found. Their offer: {offer}"


def test_all_of_the_old_that_the_client_has_is_added_behind_what_it_prefers(client) -> None:
    assert arguments(client(dss=True)) == [
        "-o", "KexAlgorithms=+diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
        "-o", "HostKeyAlgorithms=+ssh-rsa,ssh-dss",
        "-o", "PubkeyAcceptedKeyTypes=+ssh-rsa,ssh-dss",
        "-o", "Ciphers=+aes128-cbc,3des-cbc",
        "-o", "MACs=+hmac-sha1",
    ]  # fmt: skip


def test_what_the_client_has_dropped_is_not_asked_for_because_it_would_refuse_the_option(client) -> None:
    assert "ssh-dss" not in " ".join(arguments(client(dss=False)))


def test_the_users_own_arguments_of_a_host_stay_in_front(client) -> None:
    given = {"ansible_ssh_executable": client(dss=True), "ansible_ssh_common_args": "-J jump"}
    assert variables(given)["ansible_ssh_common_args"].startswith("-J jump -o KexAlgorithms=+")


def test_a_host_with_old_algorithms_only_is_explained_with_what_to_write(client) -> None:
    told = explain(mismatch("key exchange method", "diffie-hellman-group1-sha1"), client(dss=True))
    assert "knows no key exchange method but old ones (diffie-hellman-group1-sha1)" in told
    assert "write 'ssh: legacy' in its row" in told


def test_a_client_that_dropped_what_the_host_needs_is_told_together_with_one_that_did_not(client) -> None:
    told = explain(mismatch("host key type", "ssh-dss"), client(dss=False))
    assert "no longer has any host key type that the host knows (ssh-dss)" in told
    assert "openssh-client-ssh1" in told
    assert "ansible_ssh_executable" in told


@pytest.mark.parametrize("error", ["Permission denied (publickey).", "", "no matching wisdom found. Their offer: x"])
def test_other_errors_are_left_alone(error, client) -> None:
    assert explain(error, client(dss=True)) == ""


def test_a_client_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(KedrError, match="cannot be asked which algorithms it knows"):
        arguments(str(tmp_path / "none"))
    assert "cannot be asked" in explain(mismatch("cipher", "3des-cbc"), str(tmp_path / "none"))


# Rows of the systems

ROW = """
  - name: {name}
    system: Fedora 12
    kernel: 2.6.31 x86_64
    arch: x86_64
    group: seed
    why: a test
    {more}
"""


@pytest.fixture
def rows(tmp_path):
    """Reads rows that are given as name -> further lines of YAML."""

    def read(**more: str) -> dict[str, Row]:
        path = tmp_path / "systems.yml"
        body = "".join(ROW.format(name=name, more=text) for name, text in more.items())
        path.write_text(f"plugin: kedr.lab.systems\nsystems:{body}")
        return {row.name: row for row in load_systems(str(path))}

    return read


def test_the_host_of_a_legacy_row_gets_the_options_and_no_other_does(client, rows, monkeypatch) -> None:
    monkeypatch.setattr(ssh_legacy, "CLIENTS", (client(dss=True),))
    remote = f"remote: {{ansible_host: 192.0.2.1, ansible_ssh_executable: {client(dss=True)}}}"
    read = rows(old=f"ssh: legacy\n    {remote}", new=remote)
    assert "HostKeyAlgorithms=+ssh-rsa,ssh-dss" in read["old"].variables()["ansible_ssh_common_args"]
    assert "ansible_ssh_common_args" not in read["new"].variables()


def test_a_guest_of_the_lab_cannot_be_legacy(rows) -> None:
    with pytest.raises(InputError, match=r"systems\.yml:9: 'ssh' is for rows with 'remote'"):
        rows(old="ssh: legacy\n    image: {}")


def test_there_is_no_other_sort_of_ssh(rows) -> None:
    with pytest.raises(InputError, match="'ssh' is 'ancient'; allowed are: legacy"):
        rows(old="ssh: ancient")


def test_a_row_names_only_a_client_that_is_known(rows, tmp_path) -> None:
    told = r"systems\.yml:10: 'ansible_ssh_executable' must be one of /usr/bin/ssh, /usr/bin/ssh1"
    with pytest.raises(InputError, match=told):
        rows(old=f"ssh: legacy\n    remote: {{ansible_ssh_executable: {tmp_path}/own}}")


def test_a_client_that_cannot_be_asked_is_told_with_the_row(rows, tmp_path, monkeypatch) -> None:
    ssh_legacy.known.cache_clear()
    monkeypatch.setattr(ssh_legacy, "CLIENTS", (f"{tmp_path}/none",))
    read = rows(old=f"ssh: legacy\n    remote: {{ansible_ssh_executable: {tmp_path}/none}}")
    with pytest.raises(InputError, match=r"systems\.yml:\d+: .*none cannot be asked"):
        read["old"].variables()


def test_the_shipped_rows_of_the_first_systems_are_legacy_and_no_others() -> None:
    shipped = load_systems(SHIPPED)
    assert {row.name for row in shipped if row.ssh} == {row.name for row in shipped if row.group == "seed"} != set()


def test_a_cloud_rows_guest_gets_its_compiler_and_says_when_it_was_run() -> None:
    shipped = [row for row in load_systems(SHIPPED) if row.group == "cloud"]
    assert len(shipped) == 11
    assert all(row.checked and row.variables()["host_install_packages"] for row in shipped)
