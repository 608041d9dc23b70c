# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers of packages and of disk images may not do: give another file, a changed one, or one without an end."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import http.server
import ipaddress
import os
import re
import ssl
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images import download
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cache import ensure_image
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.cloud import CloudSpec
from ansible_collections.kedr.lab.plugins.plugin_utils.lab.images.ways import load_image
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parents[2]
DISK = bytes(510) + b"\x55\xaa" + bytes(100_000)
SUM = hashlib.sha256(DISK).hexdigest()
FLOOD = 48 << 20
"""Bytes after which the server that never ends does end, so that this test ends where nobody stops it."""


# -- disk images -----------------------------------------------------------------------------------------

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on the loopback interface; yield the URL without a path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http{'s' * bool(context)}://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def head(request: http.server.BaseHTTPRequestHandler, status: int = 200, **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()


def disk(request: http.server.BaseHTTPRequestHandler) -> None:
    head(request)
    request.wfile.write(DISK)


def flood(request: http.server.BaseHTTPRequestHandler) -> None:
    head(request)
    for _number in range(FLOOD >> 16):
        request.wfile.write(bytes(1 << 16))


def drip(request: http.server.BaseHTTPRequestHandler) -> None:
    head(request)
    for _number in range(100):
        request.wfile.write(b"x")
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let limits be reached soon; none of them is there where nothing is limited."""
    for name, value in {"PAUSE_SECONDS": 0.0, "MAX_IMAGE": 1 << 20, "SLOW_SECONDS": 0.3, "ATTEMPTS": 1}.items():
        monkeypatch.setattr(download, name, value, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def refused(spec: CloudSpec, cache: Path) -> str:
    """Return what is said of an image that is not taken; nothing of it is among the images."""
    with pytest.raises(KedrError) as caught:
        ensure_image(spec, str(cache), lambda line: None)
    assert [path for path in (cache / "images").iterdir() if path.is_dir()] == []
    return str(caught.value)


def kept(cache: Path) -> int:
    return sum(path.stat().st_size for path in (cache / "downloads").iterdir())


def test_an_image_that_is_not_what_its_sum_says_is_refused_and_removed(tmp_path: Path) -> None:
    with serving(disk) as url:
        assert "it must be" in refused(CloudSpec(f"{url}/disk", "0" * 64), tmp_path)
    assert kept(tmp_path) == 0


def test_a_list_of_sums_that_comes_by_plain_http_is_refused() -> None:
    with pytest.raises(KedrError, match="can be changed on its way"):
        load_image({"cloud": {"url": "https://host/disk", "checksums": "http://host/SHA256SUMS"}})


def test_an_image_without_an_end_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    with serving(flood) as url:
        assert "is larger than" in refused(CloudSpec(f"{url}/disk", SUM), tmp_path)
    assert kept(tmp_path) == 0


def test_an_image_that_says_that_it_is_larger_than_any_is_not_begun(tmp_path: Path) -> None:
    def huge(request: http.server.BaseHTTPRequestHandler) -> None:
        head(request, Content_Length=str((1 << 20) + 1))

    with serving(huge) as url:
        assert "is larger than" in refused(CloudSpec(f"{url}/disk", SUM), tmp_path)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(tmp_path: Path) -> None:
    with serving(drip) as url:
        begun = time.monotonic()
        assert "bytes came in" in refused(CloudSpec(f"{url}/disk", SUM), tmp_path)
        with pytest.raises(KedrError, match="bytes came in"):
            CloudSpec(f"{url}/disk", checksums=f"{url}/SHA256SUMS").expected_sum()
    assert time.monotonic() - begun < 4


def test_what_a_server_gives_as_its_reason_does_not_steer_a_terminal(tmp_path: Path) -> None:
    def steer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(404, "\x1b]0;owned\x07")
        request.end_headers()

    with serving(steer) as url:
        assert refused(CloudSpec(f"{url}/disk", SUM), tmp_path).isprintable()


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server of https on the loopback interface needs, believed by this process."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    certificate = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return context


def test_what_is_asked_for_by_https_is_not_taken_from_plain_http(tmp_path: Path, tls: ssl.SSLContext) -> None:
    def away(request: http.server.BaseHTTPRequestHandler) -> None:
        head(request, 302, Location=f"{plain}{request.path}")

    with serving(disk) as plain, serving(away, tls) as secure, serving(disk, tls) as direct:
        spec = CloudSpec(f"{direct}/disk", SUM)
        assert ensure_image(spec, str(tmp_path / "direct"), lambda line: None)["sum"] == SUM
        assert f"redirected from https to {plain}/disk" in refused(CloudSpec(f"{secure}/disk", SUM), tmp_path / "away")
        with pytest.raises(KedrError, match="redirected from https to http"):
            CloudSpec(f"{direct}/disk", checksums=f"{secure}/SHA256SUMS").expected_sum()


# -- Python packages -------------------------------------------------------------------------------------


def forge(folder: Path, name: str, version: str) -> None:
    """Write a wheel of a package under its own name and version, with content of the attacker's."""
    stem = f"{re.sub('[-.]+', '_', name)}-{version}"
    info = f"{stem}.dist-info"
    files = {
        "forged.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: forge\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))


def test_an_index_that_gives_other_files_under_pinned_versions_gets_none_installed(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    pins = {
        pin for path in (ROOT / "requirements").glob("*.txt")
        for pin in re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(), re.MULTILINE)
    }  # fmt: skip
    for name, version in pins:
        forge(tmp_path / "index", name, version)
    environment = {
        **os.environ, "KEDR_CACHE": str(tmp_path / "cache"), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "index"),
    }  # fmt: skip
    done = subprocess.run(
        [ROOT / "scripts/venv.sh", "newest", "run"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "error: could not install ansible-core" in done.stderr
    assert list(tmp_path.glob("cache/venv/**/forged.py")) == []
