# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of a cloud image: from a download that is interrupted to a verified trace, and to a panic."""

from __future__ import annotations

import hashlib
import http.server
import json
import pathlib
import re
import socket
import subprocess
import threading
from collections.abc import Iterator

import guests
import pytest
import yaml
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.debian import apt_proxy_options
from cloud_disk import cloud_image
from guests import Lab, Verify, playbook

guests.STEP_LIMIT = 3600  # a cloud image boots in minutes where nothing but emulation can be had

BOOT_SECONDS = 1800


class Server(http.server.ThreadingHTTPServer):
    """Serves one file by parts; ``stop_after`` ends the next answer after so many bytes."""

    daemon_threads = True

    def __init__(self, file: pathlib.Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.file, self.stop_after = file, 0
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{self.file.name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append(asked)
        size = self.server.file.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-", asked)
        start = int(match[1]) if match else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        left = self.server.stop_after or size
        with self.server.file.open("rb") as stream:
            stream.seek(start)
            while left > 0 and (data := stream.read(min(left, 1 << 20))):
                self.wfile.write(data)
                left -= len(data)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(cloud_image()) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


class Place:
    """A lab directory and a cache of their own, and the guests that are asked for there."""

    def __init__(self, directory: pathlib.Path, server: Server) -> None:
        self.lab, self.cache, self.server = directory / "lab", directory / "cache", server
        self.sum = hashlib.sha256(server.file.read_bytes()).hexdigest()

    def up(self, cache: pathlib.Path | None = None, **image: str) -> tuple[int, str]:
        """Bring up the guest ``cloud``; returns exit status and output. ``cache`` takes the place of the usual one."""
        given = {"url": self.server.url, "sha256": self.sum, **image}
        variables = {
            "lab_guests": [{"name": "cloud", "memory": 2048, "image": {"cloud": given}}],
            "lab_cache_dir": str(cache or self.cache),
            "lab_timeout": BOOT_SECONDS,
        }
        done = playbook("playbooks/lab_up.yml", "-e", json.dumps(variables), lab=self.lab)
        return done.returncode, done.stdout + done.stderr

    def images(self) -> list[str]:
        return sorted(path.name for path in (self.cache / "images").glob("cloud-*"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("cloud"), server)
    yield made
    down = playbook("playbooks/lab_down.yml", lab=made.lab)
    assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture(scope="module")
def lab(place: Place) -> Lab:
    status, output = place.up()
    assert status == 0, output
    return Lab(place.lab, yaml.safe_load((place.lab / "inventory.yml").read_text())["kedr_guests"]["hosts"])


def test_a_wrong_checksum_is_infra_and_nothing_is_kept(place: Place) -> None:
    status, output = place.up(sha256="0" * 64)
    assert status != 0
    assert "kind: INFRA" in output
    assert "Nothing of it is kept" in output
    assert place.images() == []
    assert list((place.cache / "downloads").iterdir()) == []


def test_a_dead_url_is_infra(place: Place) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        status, output = place.up(url=f"http://127.0.0.1:{sock.getsockname()[1]}/disk.qcow2")
    assert status != 0
    assert "kind: INFRA" in output
    assert "cannot be downloaded: Connection refused" in output


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 16 MB."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "kedr-small", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_disk_without_room_is_infra_before_anything_comes(place: Place, small_disk: pathlib.Path) -> None:
    status, output = place.up(cache=small_disk)
    assert status != 0
    assert "kind: INFRA" in output
    assert "MiB are missing and only" in output
    assert [path for path in (small_disk / "downloads").iterdir() if path.stat().st_size] == []


def test_an_interrupted_download_is_infra_and_the_next_run_goes_on_and_boots(place: Place, server: Server) -> None:
    server.stop_after = 4096
    status, output = place.up()
    assert status != 0
    assert "bytes that came are kept, the next run continues from there" in output
    assert place.images() == []
    server.stop_after = 0
    server.asked.clear()
    status, output = place.up()
    assert status == 0, output
    assert re.fullmatch(r"bytes=[1-9]\d*-", server.asked[0])
    assert len(place.images()) == 1


def test_the_guest_is_what_its_seed_says(lab: Lab) -> None:
    assert lab.ssh("cloud", "hostname") == "cloud\n"
    assert "DataSourceNoCloud" in lab.ssh("cloud", "cat /run/cloud-init/result.json")
    assert lab.ssh("cloud", "ls /etc/ssh/ssh_host_*_key") == "/etc/ssh/ssh_host_ed25519_key\n"
    told = json.loads((lab.directory / "cloud/guest.json").read_text())
    assert told["host_key"] in lab.ssh("cloud", "cat /etc/ssh/ssh_host_ed25519_key.pub")
    assert told["kernel_release"] == lab.ssh("cloud", "uname -r").strip()


def test_the_boot_is_on_the_console_from_the_boot_loader_on(lab: Lab) -> None:
    console = pathlib.Path(lab.hosts["cloud"]["kedr_console"]).read_text(errors="replace")
    assert "Linux version" in console
    assert "kedr-lab: guest cloud is ready for logins" in console


def test_verify_is_ok_with_a_target_built_in_the_guest(lab: Lab, tmp_path: pathlib.Path) -> None:
    """The controller and the payloads may come from the cache, as modules built for the same kernel before."""
    assert lab.hosts["cloud"]["kedr_build_root"] == ""
    verified = Verify(tmp_path / "runs")(lab, cp_target_cache_dir=str(tmp_path / "cache"))
    assert verified.status == 0, verified.output
    assert verified.results["cloud"]["verdict"] == "OK"
    assert [step["round_trips"] for step in verified.steps("cloud") if step["step"] == "build"][1] == 1


OLD_LISTS = """
export DEBIAN_FRONTEND=noninteractive
apt-get -q -y purge "linux-headers-$(uname -r)"
cat >/etc/apt/apt.conf.d/00-test
apt-get -q update
apt-get -q -y --no-install-recommends install gcc-14-for-host
sed -i -n 's/^\\(deb .*\\) trixie main$/\\1 trixie-backports main/p' /etc/apt/sources.list
rm -rf /var/lib/apt/lists/*
"""
"""Takes the headers of the running kernel away and leaves a repository only that has another kernel. What that one's
headers want of the other repositories comes before."""


def on_reset(lab: Lab, action: str) -> None:
    """Tell QEMU what a reboot of the guest does: ``reset`` it or, as the lab starts it, ``shutdown``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(30)
        link.connect(json.loads((lab.directory / "cloud/guest.json").read_text())["qmp"])
        stream = link.makefile("rwb")
        assert b"QMP" in stream.readline()
        for command in ({"execute": "qmp_capabilities"}, {"execute": "set-action", "arguments": {"reboot": action}}):
            stream.write(json.dumps(command).encode() + b"\n")
            stream.flush()
            assert b'"return"' in stream.readline()


def test_a_kernel_without_headers_gives_way_to_one_with_and_the_run_goes_on_after_the_reboot(
    lab: Lab, tmp_path: pathlib.Path
) -> None:
    """A real boot loader, a real kernel of Debian's backports, a real reboot."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    options = ['Acquire::Languages "none";', *apt_proxy_options(dump)]
    lab.ssh("cloud", OLD_LISTS, stdin="\n".join(options).encode(), limit=900)
    before = lab.ssh("cloud", "uname -r").strip()
    told = Verify(tmp_path / "told")(lab).results["cloud"]
    assert told["verdict"] == "INFRA"
    assert f"the headers of the running kernel {before} are not in the host's repositories" in told["reason"]
    assert "kedr_upgrade_kernel: true" in told["reason"]

    on_reset(lab, "reset")
    run = Verify(tmp_path / "runs")(lab, kedr_upgrade_kernel=True, host_reboot_timeout=BOOT_SECONDS)
    on_reset(lab, "shutdown")
    assert run.results["cloud"]["verdict"] == "OK", run.output
    after = lab.ssh("cloud", "uname -r").strip()
    assert after != before
    assert f"the newest kernel there with its headers is {after}:" in told["reason"]
    steps = [step for step in run.steps("cloud") if step["step"] in ("facts", "packages", "reboot")]
    assert [step["step"] for step in steps] == ["facts", "packages", "reboot", "facts"]
    assert steps[2]["data"] == {"before": before, "release": after}
    assert run.results["cloud"]["kernel"] == after
    assert f"Linux version {after} " in pathlib.Path(lab.hosts["cloud"]["kedr_console"]).read_text(errors="replace")


def test_a_panic_ends_the_guest_and_stays_on_its_console(lab: Lab) -> None:
    pid = json.loads((lab.directory / "cloud/guest.json").read_text())["pid"]
    lab.ssh("cloud", "echo c >/proc/sysrq-trigger", check=False)
    ended = threading.Event()
    for _try in range(120):
        if not pathlib.Path(f"/proc/{pid}").exists():
            break
        ended.wait(0.5)
    assert not pathlib.Path(f"/proc/{pid}").exists()
    console = pathlib.Path(lab.hosts["cloud"]["kedr_console"]).read_text(errors="replace")
    assert "Kernel panic - not syncing" in console
