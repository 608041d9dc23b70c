# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloud images: checksums, a download that meets every misfortune on a loopback server."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import pathlib
import random
import resource
import shutil
import subprocess
import threading

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images import download
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import ensure_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.checksums import parse_checksums
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cloud import CloudSpec, disk_format
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.ways import load_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.spec import GuestSpec

DISK = bytes(510) + b"\x55\xaa" + random.Random(0).randbytes(300_000)
"""The smallest that passes for a disk: a boot record and something behind it."""

SUM = hashlib.sha256(DISK).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; its attributes say how it fails. ``asked`` holds the Range headers that came."""

    daemon_threads = True
    content = DISK
    ranges = True
    stop_after: list[int]
    status = 0
    tell_size = True
    lists: dict[str, str]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.stop_after = []
        self.lists = {}

    def url(self, name: str = "disk.qcow2") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.strip("/")
        if name in self.server.lists:
            body = self.server.lists[name].encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)
            return
        if self.server.status:
            self.send_error(self.server.status)
            return
        asked = self.headers.get("Range", "")
        self.server.asked.append(asked)
        start = int(asked[len("bytes=") : -1]) if asked and self.server.ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            size = len(self.server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self.server.tell_size:
            self.send_header("Content-Length", str(len(self.server.content) - start))
        self.end_headers()
        body = self.server.content[start:]
        self.wfile.write(body[: self.server.stop_after.pop(0)] if self.server.stop_after else body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def fetch(spec: CloudSpec, cache: pathlib.Path, **options) -> tuple[dict, list[str]]:
    """Return the image and what was told on the way."""
    told: list[str] = []
    return ensure_image(spec, str(cache), told.append, **options), told


def failure(spec: CloudSpec, cache: pathlib.Path) -> KedrError:
    with pytest.raises(KedrError) as caught:
        fetch(spec, cache)
    return caught.value


def images(cache: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (cache / "images").iterdir() if not path.name.endswith(".lock"))


def parts(cache: pathlib.Path) -> list[int]:
    return [path.stat().st_size for path in (cache / "downloads").iterdir()]


# The description of an image


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"url": "https://h/a"}, "either sha256 or checksums is needed"),
        ({"url": "https://h/a", "sha256": "0" * 64, "checksums": "https://h/s"}, "either sha256 or checksums"),
        ({"url": "https://h/a", "sha256": "0" * 63}, "is not 64 hexadecimal digits"),
        ({"url": "ftp://h/a", "sha256": "0" * 64}, "is not an http, https or file URL"),
        ({"url": "https://h/a\n", "sha256": "0" * 64}, "is not an http, https or file URL"),
        ({"url": "--config=x", "sha256": "0" * 64}, "is not an http, https or file URL"),
        ({"sha256": "0" * 64}, "the url of the image is needed"),
        ({"url": "https://h/a", "sha256": "0" * 64, "firmware": "coreboot"}, "is not one of bios, uefi"),
        ({"url": "https://h/a", "sha256": "0" * 64, "format": "raw"}, "unknown option 'format'"),
        ("https://h/a", "a mapping is needed"),
        ({"url": "https://h/a", "checksums": "http://h/s"}, "can be changed on its way; use an https URL"),
        ({"url": "https://h/a", "checksums": "https://h/s", "keyring": "k.gpg"}, "must be an absolute path"),
        ({"url": "https://h/a", "sha256": "0" * 64, "keyring": "/k.gpg"}, "goes with checksums"),
        ({"url": "https://h/a", "checksums": "https://h/s", "signature": "https://h/s.gpg"}, "needs the keyring"),
        ({"url": "https://h/a", "checksums": "file:///s", "keyring": "/k", "signature": "ftp://h/g"}, "is not an http"),
    ],
)
def test_a_wrong_description_is_refused_with_what_is_wrong(data, complaint) -> None:
    with pytest.raises(KedrError, match=complaint) as caught:
        load_image({"cloud": data})
    assert caught.value.kind == "INPUT"


def test_a_cloud_image_goes_with_no_option_of_built_ones() -> None:
    with pytest.raises(KedrError, match="cloud goes with no other option, and there is suite"):
        load_image({"cloud": {"url": "https://h/a", "sha256": SUM}, "suite": "bookworm"})


def test_the_command_line_of_a_cloud_guest_cannot_be_chosen() -> None:
    data = {"name": "a", "image": {"cloud": {"url": "https://h/a", "sha256": SUM}}, "cmdline": "quiet"}
    with pytest.raises(KedrError, match="the boot loader of its cloud image has its own"):
        GuestSpec.load(data, {})


def test_the_key_names_the_file_and_changes_with_its_source() -> None:
    keys = {CloudSpec("https://h/v1/Leap 15.qcow2", SUM).key, CloudSpec("https://h/v2/Leap 15.qcow2", SUM).key}
    assert len(keys) == 2
    assert all(key.startswith("cloud-Leap-15-") for key in keys)
    unsigned, signed = (CloudSpec("https://h/a", checksums="https://h/s", keyring=path) for path in ("", "/k.gpg"))
    assert unsigned.key != signed.key


def test_a_list_by_plain_http_is_taken_with_a_keyring() -> None:
    data = {"url": "http://h/a", "checksums": "http://h/s", "keyring": "/k.gpg", "firmware": "uefi"}
    assert load_image({"cloud": data}) == CloudSpec("http://h/a", "", "http://h/s", "", "/k.gpg", "uefi")


# Lists of checksums


@pytest.mark.parametrize(
    "text",
    [
        f"{SUM}  disk.qcow2\n{'0' * 64}  other.qcow2\n",
        f"{SUM} *./disk.qcow2\n",
        f"# disk.qcow2: 5 bytes\nSHA256 (disk.qcow2) = {SUM}\nSHA256 (other) = {'0' * 64}\n",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{SUM}  disk.qcow2\n-----BEGIN PGP SIGNATURE-----\n",
        f"{SUM.upper()}\n",
        f"{SUM}  disk-Build16.40.qcow2\r\n",
    ],
)
def test_the_lists_of_all_vendors_are_read(text) -> None:
    assert parse_checksums(text, "disk.qcow2") == ("sha256", SUM)


def test_the_longer_of_two_sums_is_taken() -> None:
    long = hashlib.sha512(DISK).hexdigest()
    assert parse_checksums(f"{SUM}  disk\n{long}  disk\n", "disk") == ("sha512", long)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"{'0' * 64}  a\n{'1' * 64}  b\n", "it has no SHA-256 or SHA-512 sum of disk; it has 2 sums of other files"),
        ("<html>moved</html>", "it has 0 sums"),
        (f"{'0' * 40}  disk\n", "it has 0 sums"),
        (f"{'0' * 64}  disk\n{'1' * 64}  x/disk\n", "two different sums of disk"),
    ],
)
def test_a_list_without_the_sum_is_told(text, complaint) -> None:
    with pytest.raises(KedrError, match=complaint):
        parse_checksums(text, "disk")


def test_a_list_that_cannot_be_had_is_told(server) -> None:
    server.status = 404
    spec = CloudSpec(server.url(), checksums=server.url("SHA256SUMS"))
    with pytest.raises(KedrError, match=r"SHA256SUMS cannot be downloaded: the server answers 404 Not Found"):
        spec.expected_sum()


def test_a_list_asked_for_by_https_is_not_taken_from_elsewhere() -> None:
    handler = download._NoDowngrade()
    request = download._request("https://vendor/SHA256SUMS")
    with pytest.raises(OSError, match="redirected from https to http://mirror/SHA256SUMS"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://mirror/SHA256SUMS")


# Signed lists

# Of a key that was made for this test: its public half, and the list that it signed, in itself and beside it.
KEYRING = base64.b64decode("""
mDMEXgvhABYJKwYBBAHaRw8BAQdA32hpO6NESPehq94wiJW8efSHJTrMXmnU85oSzXv+XQS0FXZlbmRvckBtaXJyb3IuZXhhbXBsZYiQBBMWCA
A4FiEElC2kphK4kDffVmLweD9SICKW0TwFAl4L4QACGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQeD9SICKW0TyBsgEAnf6IMtV3/eOL
myetUKilhdvR/PaRScpXzq02T7aMlYsBAMgxIvMkUdi+ID89BRt7hNO9KBIQGwUqim4vTtQOSS8B
""")
SIGNED = """\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

ed6069297f777637153121d32d82e3606088492615a7b475f6fe0d2ba727e4b6 *disk.qcow2
-----BEGIN PGP SIGNATURE-----

iHUEARYIAB0WIQSULaSmEriQN99WYvB4P1IgIpbRPAUCXg0ygAAKCRB4P1IgIpbR
PIvBAP9Z28zSnzk3nluqhAlYwj4GI1nZl0LO82yp1KYONOlTNwEAg2rtmDyuTh3j
UvDxgOX8Nn/9E+WtdMsQKJEB9jJ9jg8=
=aUua
-----END PGP SIGNATURE-----
"""
SIGNATURE = """\
-----BEGIN PGP SIGNATURE-----

iHUEABYIAB0WIQSULaSmEriQN99WYvB4P1IgIpbRPAUCXg0ygAAKCRB4P1IgIpbR
PDRkAP91qgdURGT7Z/uPlZQeUSDjW9cWR5yAJY6WmpurigijZQEAupgdxzI8u/99
mKnHyVB9wBre0qEC7I9ErUASkTFsDwI=
=zjRg
-----END PGP SIGNATURE-----
"""
LIST = f"{SUM} *disk.qcow2\n"


@pytest.fixture
def keyring(tmp_path):
    (tmp_path / "keyring.gpg").write_bytes(KEYRING)
    return str(tmp_path / "keyring.gpg")


def signed_spec(server: Server, keyring: str, listed: str, signature: str = "") -> CloudSpec:
    server.lists = {"SUMS": listed, "SUMS.gpg": signature}
    return CloudSpec(
        server.url(), checksums=server.url("SUMS"), keyring=keyring, signature=server.url("SUMS.gpg") * bool(signature)
    )


@pytest.mark.parametrize(("listed", "signature"), [(SIGNED, ""), (LIST, SIGNATURE)], ids=["in-itself", "beside-it"])
def test_a_list_that_a_key_of_the_keyring_has_signed_is_believed(server, keyring, listed, signature) -> None:
    assert signed_spec(server, keyring, listed, signature).expected_sum() == ("sha256", SUM)


@pytest.mark.parametrize(
    ("listed", "signature"),
    [
        (LIST, ""),
        (SIGNED.replace("ed6069", "ad6069"), ""),
        (LIST.replace("ed6069", "ad6069"), SIGNATURE),
        (LIST.replace("ed6069", "ad6069"), SIGNED),
        (LIST, "no signature"),
    ],
    ids=["unsigned", "changed", "changed-beside", "signature-of-another-text", "no-signature"],
)
def test_a_list_that_no_key_of_the_keyring_has_signed_is_refused(server, keyring, listed, signature) -> None:
    with pytest.raises(KedrError, match=r"no key of .*keyring\.gpg has signed it"):
        signed_spec(server, keyring, listed, signature).expected_sum()


def test_what_stands_beside_the_signed_text_is_not_believed(server, keyring) -> None:
    other = SUM.replace("e", "a")
    listed = f"{other}  disk.qcow2\n{SIGNED}{'0' * 128}  disk.qcow2\n"
    assert signed_spec(server, keyring, listed).expected_sum() == ("sha256", SUM)


@pytest.mark.parametrize("name", ["none.gpg", "empty.gpg"])
def test_a_keyring_without_the_key_has_signed_nothing(server, tmp_path, name) -> None:
    (tmp_path / "empty.gpg").touch()
    with pytest.raises(KedrError, match=f"no key of .*{name} has signed it"):
        signed_spec(server, str(tmp_path / name), SIGNED).expected_sum()


# Downloads


def test_an_image_is_downloaded_once(server, cache) -> None:
    spec = CloudSpec(server.url(), SUM)
    image, dummy = fetch(spec, cache)
    again, dummy = fetch(spec, cache)
    assert (image["cached"], again["cached"]) == (False, True)
    assert pathlib.Path(again["disk"]).read_bytes() == DISK
    assert (again["format"], again["sum"], len(server.asked)) == ("raw", SUM, 1)
    assert parts(cache) == []


def test_a_file_url_works_as_well(tmp_path, cache) -> None:
    (tmp_path / "disk.raw").write_bytes(DISK)
    image, dummy = fetch(CloudSpec(f"file://{tmp_path}/disk.raw", SUM), cache)
    assert pathlib.Path(image["disk"]).read_bytes() == DISK


def test_a_truncated_download_is_gone_on_with_at_once(server, cache) -> None:
    server.stop_after = [100_000]
    image, told = fetch(CloudSpec(server.url(), SUM), cache)
    assert pathlib.Path(image["disk"]).read_bytes() == DISK
    assert server.asked == ["", "bytes=100000-"]
    assert any(f"it ended after 100000 of {len(DISK)} bytes; trying again" in line for line in told)


def test_a_download_that_always_ends_early_fails_and_the_next_run_goes_on(server, cache) -> None:
    spec = CloudSpec(server.url(), SUM)
    server.stop_after = [100_000, 0, 0, 0]
    error = failure(spec, cache)
    assert error.kind == "INFRA"
    assert "it ended after 100000 of 300512 bytes; the 100000 bytes that came are kept" in str(error)
    assert images(cache) == []
    fetch(spec, cache)
    assert server.asked[-1] == "bytes=100000-"
    assert len(images(cache)) == 1


def test_a_server_that_gives_little_at_a_time_is_given_up(server, cache) -> None:
    server.stop_after = [1] * 100
    error = failure(CloudSpec(server.url(), SUM), cache)
    assert "the 4 bytes that came are kept" in str(error)


def test_a_server_that_often_breaks_off_is_followed_to_the_end(server, cache, monkeypatch) -> None:
    monkeypatch.setattr(download, "GAIN", 20_000)
    server.stop_after = [20_000] * 15
    fetch(CloudSpec(server.url(), SUM), cache)
    assert len(server.asked) == 16


def test_a_server_that_knows_no_ranges_is_asked_for_the_whole_again(server, cache) -> None:
    server.ranges = False
    server.stop_after = [100_000]
    image, dummy = fetch(CloudSpec(server.url(), SUM), cache)
    assert pathlib.Path(image["disk"]).read_bytes() == DISK


def test_a_wrong_checksum_leaves_nothing(server, cache) -> None:
    server.content = DISK + b"more"
    error = failure(CloudSpec(server.url(), SUM), cache)
    assert error.kind == "INFRA"
    assert f"the sha256 sum of the {len(DISK) + 4} bytes" in str(error)
    assert f"it must be {SUM} as sha256 says. Nothing of it is kept" in str(error)
    assert (images(cache), parts(cache)) == ([], [])


@pytest.mark.parametrize("told", [True, False], ids=["size-told", "size-not-told"])
def test_a_file_larger_than_any_image_is_refused_and_leaves_nothing(server, cache, monkeypatch, told) -> None:
    monkeypatch.setattr(download, "MAX_IMAGE", 200_000)
    server.tell_size = told
    error = failure(CloudSpec(server.url(), SUM), cache)
    assert "is larger than 0 GiB, the most that is taken; nothing of it is kept" in str(error)
    assert (images(cache), parts(cache), len(server.asked)) == ([], [], 1)


def test_what_an_interrupted_run_left_counts_for_the_size(server, cache, monkeypatch) -> None:
    spec = CloudSpec(server.url(), SUM)
    server.stop_after = [150_000, 0, 0, 0]
    failure(spec, cache)
    monkeypatch.setattr(download, "MAX_IMAGE", 200_000)
    assert "is larger than" in str(failure(spec, cache))
    assert server.asked[-1] == "bytes=150000-"


def test_a_list_larger_than_any_list_is_refused(server, monkeypatch) -> None:
    monkeypatch.setattr(download, "MAX_LIST", 100)
    server.lists = {"SUMS": LIST * 2}
    with pytest.raises(KedrError, match="SUMS is not a list of checksums: it is larger than 0 MiB"):
        CloudSpec(server.url(), checksums=server.url("SUMS")).expected_sum()


def test_parts_of_two_files_are_found_out_and_the_file_comes_whole(server, cache) -> None:
    spec = CloudSpec(server.url(), SUM)
    server.content, server.stop_after = os.urandom(len(DISK)), [100_000, 0, 0, 0]
    failure(spec, cache)
    server.content = DISK
    image, told = fetch(spec, cache)
    assert pathlib.Path(image["disk"]).read_bytes() == DISK
    assert any("do not fit together" in line for line in told)


def test_a_part_longer_than_the_file_is_begun_anew(server, cache) -> None:
    spec = CloudSpec(server.url(), SUM)
    server.content, server.stop_after = DISK + bytes(5000), [len(DISK) + 1000, 0, 0, 0]
    failure(spec, cache)
    server.content = DISK
    fetch(spec, cache)
    assert server.asked[-2:] == [f"bytes={len(DISK) + 1000}-", ""]


def test_a_whole_file_left_by_a_run_that_was_killed_is_not_asked_for_again(server, cache) -> None:
    spec = CloudSpec(server.url(), SUM)
    (cache / "downloads").mkdir(parents=True)
    (cache / f"downloads/{spec.key}.{SUM[:16]}.part").write_bytes(DISK)
    fetch(spec, cache)
    assert server.asked == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_missing_file_is_told_at_once(server, cache, status) -> None:
    server.status = status
    error = failure(CloudSpec(server.url(), SUM), cache)
    assert f"{server.url()} cannot be downloaded: the server answers {status}" in str(error)
    assert error.kind == "INFRA"


def test_a_server_out_of_order_is_tried_again_before_it_is_told(server, cache) -> None:
    server.status = 503
    with pytest.raises(KedrError, match="the server answers 503"):
        told: list[str] = []
        ensure_image(CloudSpec(server.url(), SUM), str(cache), told.append)
    assert sum("trying again" in line for line in told) == download.ATTEMPTS - 1


def test_a_dead_url_is_told(server, cache) -> None:
    url = server.url()
    server.server_close()
    error = failure(CloudSpec(url, SUM), cache)
    assert "cannot be downloaded: Connection refused" in str(error)
    assert error.kind == "INFRA"


def test_a_server_that_falls_silent_is_given_up(server, cache, monkeypatch) -> None:
    monkeypatch.setattr(download, "IDLE_SECONDS", 0.2)
    wait = threading.Event()
    monkeypatch.setattr(Handler, "do_GET", lambda self: wait.wait(10))
    error = failure(CloudSpec(server.url(), SUM), cache)
    wait.set()
    assert "the server said nothing for" in str(error)


def test_too_little_space_is_told_before_anything_comes(server, cache, monkeypatch) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**30, 2**30, 1000))
    error = failure(CloudSpec(server.url(), SUM), cache)
    assert "are missing and only 0 MiB are free" in str(error)
    assert parts(cache) == []


def test_a_disk_that_becomes_full_is_told_and_the_download_gone_on_with(server, cache) -> None:
    server.tell_size = False
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (128 << 10, hard))
    try:
        error = failure(CloudSpec(server.url(), SUM), cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no space left at" in str(error)
    assert images(cache) == []
    fetch(CloudSpec(server.url(), SUM), cache)
    assert server.asked[-1].startswith("bytes=")


def test_refresh_downloads_what_the_vendor_has_replaced_and_only_that(server, cache) -> None:
    server.lists["SHA256SUMS"] = f"{SUM}  disk.qcow2\n"
    spec = CloudSpec(server.url(), checksums=server.url("SHA256SUMS"))
    fetch(spec, cache)
    assert fetch(spec, cache, refresh=True)[0]["cached"]
    server.content = DISK + b"newer"
    newer = hashlib.sha256(server.content).hexdigest()
    server.lists["SHA256SUMS"] = f"{newer}  disk.qcow2\n"
    image, dummy = fetch(spec, cache, refresh=True)
    assert (image["cached"], image["sum"]) == (False, newer)
    assert pathlib.Path(image["disk"]).read_bytes() == server.content
    assert images(cache) == [spec.key]


def test_a_failed_refresh_leaves_the_image_that_was_there(server, cache) -> None:
    server.lists["SHA256SUMS"] = f"{SUM}  disk.qcow2\n"
    spec = CloudSpec(server.url(), checksums=server.url("SHA256SUMS"))
    fetch(spec, cache)
    server.lists["SHA256SUMS"] = f"{'0' * 64}  disk.qcow2\n"
    with pytest.raises(KedrError, match="SHA256SUMS says"):
        fetch(spec, cache, refresh=True)
    image, dummy = fetch(spec, cache)
    assert pathlib.Path(image["disk"]).read_bytes() == DISK


# Disks


def test_a_file_that_is_no_disk_is_not_taken(server, cache) -> None:
    server.content = b"\xfd7zXZ\0" + bytes(5000)
    error = failure(CloudSpec(server.url(), hashlib.sha256(server.content).hexdigest()), cache)
    assert "cannot be a guest's disk: it is neither a qcow2 disk nor a raw one" in str(error)
    assert (images(cache), parts(cache)) == ([], [])


def test_a_disk_that_reads_another_file_is_not_taken(tmp_path) -> None:
    (tmp_path / "secret").write_bytes(bytes(1 << 20))
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "secret", "-F", "raw", tmp_path / "disk"]
    subprocess.run(command, check=True)
    with pytest.raises(KedrError, match="needs another file beside it"):
        disk_format(str(tmp_path / "disk"))
