# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests from the disk images that vendors make for clouds: download, check, and the seed that cloud-init reads.

A download goes to ``CACHE/downloads/KEY.SUM.part``, named by the sum that its content must have, and becomes an
image of the cache only after that sum was found. An interrupted one is gone on with by the next run.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import IO, Any

import yaml

from ..base import ownership
from ..base.errors import InputError, KedrError
from ..base.files import write_file
from ..base.foreign import printable
from .image import read_image
from .qemu import qemu_user
from .spec import CloudSpec, Progress, find_tool, image_dir, lock

IDLE_SECONDS = 30.0
"""A server that says nothing for so long counts as dead."""

ATTEMPTS = 4
GAIN = 16 << 20
"""So many attempts in a row may fail without bringing the download forward by so many bytes together."""

PAUSE_SECONDS = 2.0
NEWS_SECONDS = 10.0
CHUNK = 1 << 18
MAX_LIST = 4 << 20
"""A list of checksums, or its signature, has no more bytes."""

MAX_REASON = 300
"""Of what a server gives as its reason so many characters are shown."""

MAX_IMAGE = 16 << 30
"""No image has more bytes: vendors' raw disks have up to 10 GiB, and a guest's disk is made as large as this."""

SLOW_BYTES, SLOW_SECONDS = 1 << 20, 60.0
"""A server that sends fewer bytes in these seconds is given up as one that says nothing."""

RESULT = "/run/cloud-init/result.json"
"""Written by cloud-init when all its stages are over: {"v1": {"datasource": ..., "errors": [...]}}."""

FINISHED = f"n=0; until [ -s {RESULT} ] || [ $n -ge 25 ]; do n=$((n + 1)); sleep 1; done; uname -r; cat {RESULT}"
"""Run at the first login; prints the kernel's release, then what cloud-init says of itself."""

_NETWORK_ERRORS = (OSError, ValueError, http.client.HTTPException)
_SUMS = {64: "sha256", 128: "sha512"}
_PLAIN = re.compile(r"([0-9a-fA-F]{64}|[0-9a-fA-F]{128})(?:\s+\*?(\S.*))?\Z")
_TAGGED = re.compile(r"SHA(?:256|512) \((.+)\) = ([0-9a-fA-F]{64}|[0-9a-fA-F]{128})\s*\Z")

_SSHD_CONFIG = """\
# Of kedr.lab: its key logs in as root, many sessions side by side.
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
MaxStartups 100
MaxSessions 100
"""

# An oops is a panic. A panic is told to QEMU, which ends; where the driver for that is missing the guest stands
# still, because a restart would wipe the traces. No timer of apt holds its lock or brings another kernel.
_EVERY_BOOT = """\
for m in pvpanic pvpanic-mmio; do modprobe "$m" 2>/dev/null; done
sysctl -q -w kernel.panic_on_oops=1 kernel.panic=0
[ ! -d /etc/apt/apt.conf.d ] || echo 'APT::Periodic::Enable "0";' >/etc/apt/apt.conf.d/99kedr-lab
"""


class _TooLarge(Exception):
    """More came than such a file may have."""


class _Wrong(KedrError):
    """The content that came is not what its checksum says."""


# Checksums


def parse_checksums(text: str, file: str) -> tuple[str, str]:
    """Return (algorithm, sum) for ``file`` out of a list of checksums.

    Read are the lines of coreutils (``SUM  NAME``, ``SUM *NAME``), the tagged lines of BSD (``SHA256 (NAME) = SUM``)
    and a sum alone; signatures and comments around them are passed over. A list with one sum only is about the file,
    whatever name it gives. KedrError when there is no SHA-256 or SHA-512 sum for the file.
    """
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        tagged, plain = _TAGGED.match(line.strip()), _PLAIN.match(line.strip())
        if tagged:
            found.append((os.path.basename(tagged[1]), tagged[2].lower()))
        elif plain:
            found.append((os.path.basename(plain[2] or ""), plain[1].lower()))
    own = [item for item in found if item[0] == file] or (found if len(found) == 1 else [])
    if not own:
        raise KedrError(f"it has no SHA-256 or SHA-512 sum of {file}; it has {len(found)} sums of other files")
    best = max(own, key=lambda item: len(item[1]))[1]
    if any(len(item[1]) == len(best) and item[1] != best for item in own):
        raise KedrError(f"it has two different sums of {file}")
    return _SUMS[len(best)], best


def expected_sum(spec: CloudSpec) -> tuple[str, str]:
    """Return (algorithm, sum) that the image's content must have; asks the vendor's list when there is one."""
    if spec.sha256:
        return "sha256", spec.sha256
    listed = _small_file(spec.checksums, "list of checksums")
    try:
        text = _signed_part(spec, listed) if spec.keyring else listed
        return parse_checksums(text.decode("utf-8", "replace"), spec.file)
    except KedrError as error:
        raise KedrError(f"the list of checksums {spec.checksums} is of no use: {error}") from error


def _small_file(url: str, what: str) -> bytes:
    """Return what a URL has, up to MAX_LIST bytes; KedrError when it cannot be had."""
    try:
        with _open(url) as answer:
            return b"".join(_pieces(answer, MAX_LIST))
    except _TooLarge as error:
        raise KedrError(f"{url} is no {what}, it is larger than {MAX_LIST >> 20} MiB") from error
    except _NETWORK_ERRORS as error:
        raise KedrError(f"the {what} {url} cannot be had: {network_reason(error)}") from error


def _signed_part(spec: CloudSpec, listed: bytes) -> bytes:
    """Return what of a list a key of the keyring has signed; KedrError when it is nothing."""
    with tempfile.TemporaryDirectory(prefix="kedr-lab-") as work:
        path, signed, signature = (os.path.join(work, name) for name in ("list", "signed", "signature"))
        write_file(path, listed)
        # What is signed may be packed, and may become any size.
        command = ["prlimit", f"--fsize={MAX_LIST}", "--cpu=30", "--", find_tool("gpgv", "gpgv"), "--homedir", work]
        command += ["--status-fd", "1", "--keyring", spec.keyring]
        if spec.signature:
            write_file(signature, _small_file(spec.signature, "signature"))
            command += ["--", signature, path]
        else:
            command += ["--output", signed, "--", path]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.returncode != 0 or b"\n[GNUPG:] VALIDSIG " not in done.stdout:
            raise KedrError(f"no key of {spec.keyring} has signed it; gpgv reads binary keyrings: gpg --dearmor")
        return listed if spec.signature else pathlib.Path(signed).read_bytes()


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """What is asked for by https must come by https: a list of sums is trusted for that."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError(f"it is redirected from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def file_sum(path: str, algorithm: str) -> str:
    """Return the checksum of a file as hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


# Downloading


def _request(url: str, start: int = 0) -> urllib.request.Request:
    headers = {"User-Agent": "kedr.lab", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    return urllib.request.Request(url, headers=headers)


def _open(url: str, start: int = 0) -> Any:
    return urllib.request.build_opener(_NoDowngrade).open(_request(url, start), timeout=IDLE_SECONDS)


def _pieces(answer: Any, most: int) -> Iterator[bytes]:
    """Yield what a server sends as it comes; _TooLarge after ``most`` bytes, ValueError when it is too slow."""
    came = seen = 0
    since = time.monotonic()
    while data := answer.read1(CHUNK):
        came += len(data)
        if came > most:
            raise _TooLarge
        if time.monotonic() - since > SLOW_SECONDS:
            if came - seen < SLOW_BYTES:
                raise ValueError(f"only {came - seen} bytes came in {SLOW_SECONDS:.0f} s")
            seen, since = came, time.monotonic()
        yield data


def network_reason(error: Exception) -> str:
    """Say in plain words why a URL could not be read."""
    if isinstance(error, urllib.error.HTTPError):
        return printable(f"the server answers {error.code} {error.reason}", MAX_REASON)
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"the server said nothing for {IDLE_SECONDS:.0f} s"
    return printable(cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause), MAX_REASON)


class Download:
    """One file on its way into ``path``, from where an earlier attempt left off."""

    def __init__(self, url: str, path: str, progress: Progress, label: str) -> None:
        self.url, self.path, self.progress, self.label = url, path, progress, label
        self.total = -1
        self.resumed = False

    def run(self) -> None:
        """Bring the whole file; KedrError when that does not come about. What came stays, to be gone on with."""
        best, failures = self._have(), 0
        while True:
            try:
                if self._attempt():
                    return
                reason = f"it ended after {self._have()} of {self.total} bytes"
            except urllib.error.HTTPError as error:
                if error.code == 416 and self.resumed:  # nothing lies behind what is there: too much came
                    os.truncate(self.path, 0)
                elif error.code < 500:
                    raise KedrError(f"{self.label}: {self.url} cannot be had: {network_reason(error)}") from error
                reason = network_reason(error)
            except _TooLarge as error:
                pathlib.Path(self.path).unlink(missing_ok=True)
                raise KedrError(
                    f"{self.label}: {self.url} is larger than {MAX_IMAGE >> 30} GiB, the most that is taken; nothing "
                    "of it is kept"
                ) from error
            except _NETWORK_ERRORS as error:
                reason = network_reason(error)
            failures += 1
            have = self._have()
            if have - best >= GAIN:
                best, failures = have, 0
            if failures >= ATTEMPTS:
                kept = f"; the {have} bytes that came are kept, another run goes on from there" if have else ""
                raise KedrError(f"{self.label}: {self.url} cannot be had: {reason}{kept}")
            self.progress(f"{self.label}: {reason}; trying again")
            time.sleep(PAUSE_SECONDS)

    def _have(self) -> int:
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def _attempt(self) -> bool:
        """Make one request; True when the file is whole as far as the server tells its size."""
        start = self._have()
        self.resumed = start > 0
        with _open(self.url, start) as answer:
            if answer.status != 206:
                start = 0
            elif not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise ValueError("the server answers another part of the file than it was asked for")
            size = answer.headers.get("Content-Length", "")
            self.total = start + int(size) if size.isdigit() else -1
            if self.total > MAX_IMAGE:
                raise _TooLarge
            self._check_space(self.total - start)
            if start:
                self.progress(f"{self.label}: going on at {start >> 20} of {self.total >> 20} MiB")
            with self._out("r+b" if start else "wb") as out:
                out.seek(start)
                self._copy(_pieces(answer, MAX_IMAGE - start), out)
        return self.total in (-1, self._have())

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(os.path.dirname(self.path)).free
        if needed > free:
            raise KedrError(
                f"{self.label}: {needed >> 20} MiB are still to come and only {free >> 20} MiB are free at "
                f"{os.path.dirname(self.path)}; free some or set lab_cache_dir to another disk"
            )

    @contextlib.contextmanager
    def _out(self, mode: str) -> Iterator[IO[bytes]]:
        try:
            with open(self.path, mode, buffering=0) as out:
                yield out
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise KedrError(
                    f"{self.label}: no space left at {os.path.dirname(self.path)}; free some or set lab_cache_dir to "
                    "another disk, another run goes on from there"
                ) from error
            raise

    def _copy(self, pieces: Iterator[bytes], out: IO[bytes]) -> None:
        begun = news = time.monotonic()
        came = 0
        for data in pieces:
            view = memoryview(data)
            while view:
                view = view[out.write(view) :]
            came += len(data)
            if time.monotonic() - news > NEWS_SECONDS:
                news = time.monotonic()
                whole = f" of {self.total >> 20}" if self.total > 0 else ""
                speed = came / (news - begun) / 2**20
                self.progress(f"{self.label}: {out.tell() >> 20}{whole} MiB, {speed:.1f} MiB/s")


# Images


def disk_format(path: str) -> tuple[str, int]:
    """Return (``qcow2`` or ``raw``, size of the disk in bytes); KedrError when it is no disk of its own."""
    tool = find_tool("qemu-img", "qemu-utils")
    with open(path, "rb") as disk:
        done = subprocess.run(
            [tool, "info", "--output=json", f"/proc/self/fd/{disk.fileno()}"], capture_output=True, text=True,
            check=False, pass_fds=[disk.fileno()], **qemu_user(),
        )  # fmt: skip
    if done.returncode != 0:
        raise KedrError(f"qemu-img cannot read it: {done.stderr.strip()}")
    told = json.loads(done.stdout)
    kind = str(told.get("format"))
    if kind not in ("qcow2", "raw"):
        raise KedrError(f"it is a disk of the format {kind}; qcow2 and raw can be used")
    if told.get("backing-filename") or told.get("format-specific", {}).get("data", {}).get("data-file"):
        raise KedrError("it is a disk that needs another file beside it")
    if kind == "raw":
        with open(path, "rb") as stream:
            if stream.read(512)[510:] != b"\x55\xaa":
                raise KedrError("it is neither a qcow2 disk nor a raw one with a boot record; perhaps it is compressed")
    return kind, int(told["virtual-size"])


def ensure_cloud(spec: CloudSpec, cache: str, progress: Progress, refresh: bool = False) -> dict[str, Any]:
    """Return the description of a cloud image, downloading it when the cache has none.

    With ``refresh`` the vendor's sum is asked for anew, and the image is downloaded again if that has changed. The
    description gains ``directory``, ``disk`` (paths) and ``cached``. KedrError says in plain words what went wrong.
    """
    final = image_dir(cache, spec)
    try:
        for name in ("images", "downloads"):
            ownership.make(os.path.join(cache, name), 0o755)
        image = read_image(final)
        if image is None or refresh:
            label = f"image {spec.key}"
            waiting = f"{label}: another run is downloading it, waiting for that"
            with lock(os.path.join(cache, "images", f".{spec.key}.lock"), lambda: progress(waiting)):
                image, fresh = _bring(spec, cache, final, progress, refresh)
        else:
            fresh = False
    except OSError as error:
        raise KedrError(f"the cache directory {cache} cannot be used: {error.strerror}: {error.filename}") from error
    return {**image, "directory": final, "disk": os.path.join(final, image["disk"]), "cached": not fresh}


def _bring(
    spec: CloudSpec, cache: str, final: str, progress: Progress, refresh: bool
) -> tuple[dict[str, Any], bool]:
    """Return (description, was downloaded now). The lock of the image is held."""
    there = read_image(final)
    if there and not refresh:
        return there, False
    algorithm, expected = expected_sum(spec)
    if there and there["sum"] == expected:
        return there, False
    started = time.time()
    label = f"image {spec.key}"
    parts = os.path.join(cache, "downloads", glob.escape(spec.key))
    part = f"{os.path.join(cache, 'downloads', spec.key)}.{expected[:16]}.part"
    for stale in glob.glob(f"{parts}.*.part"):
        if stale != part:
            os.unlink(stale)
    progress(f"{label}: downloading {spec.url}")
    try:
        _fetch(spec, part, algorithm, expected, progress)
    except _Wrong:
        progress(f"{label}: the parts of an interrupted download do not fit together; downloading it whole")
        _fetch(spec, part, algorithm, expected, progress)
    image = _describe(spec, part, algorithm, expected, started)
    _store(part, final, image)
    progress(f"{label}: ready after {image['seconds']:.0f} s, {algorithm} as expected")
    return image, True


def _fetch(spec: CloudSpec, part: str, algorithm: str, expected: str, progress: Progress) -> None:
    """Download into ``part`` and check it; what is wrong is removed. _Wrong when a part of it was there before."""
    label = f"image {spec.key}"
    old = os.path.getsize(part) if os.path.exists(part) else 0
    if not (old and file_sum(part, algorithm) == expected):
        Download(spec.url, part, progress, label).run()
    found = file_sum(part, algorithm)
    if found == expected:
        return
    size = os.path.getsize(part)
    os.unlink(part)
    told = f"the {algorithm} sum of the {size} bytes from {spec.url} is {found}, and it must be {expected}"
    source = f"as {spec.checksums} says" if spec.checksums else "as sha256 says"
    kind = _Wrong if old else KedrError
    raise kind(f"{label}: {told} {source}. Nothing of it is kept; either the vendor has replaced the file, "
               "or it was changed on the way")  # fmt: skip


def _describe(spec: CloudSpec, part: str, algorithm: str, expected: str, started: float) -> dict[str, Any]:
    os.chmod(part, 0o444)
    try:
        kind, size = disk_format(part)
    except KedrError as error:
        os.unlink(part)
        raise InputError(f"image {spec.key}: {spec.url} cannot be a guest's disk: {error}") from error
    return {
        "key": spec.key,
        "kind": "cloud",
        "url": spec.url,
        "algorithm": algorithm,
        "sum": expected,
        "format": kind,
        "disk": f"disk.{kind}",
        "disk_mb": os.path.getsize(part) >> 20,
        "virtual_mb": size >> 20,
        "release": "",
        "suite": "",
        "architecture": spec.architecture,
        "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
    }


def _store(part: str, final: str, image: Mapping[str, Any]) -> None:
    """Make the checked file an image of the cache, whole at once."""
    work = tempfile.mkdtemp(prefix=f".{image['key']}.", suffix=".part", dir=os.path.dirname(final))
    try:
        os.chmod(work, 0o755)
        with open(part, "rb") as stream:
            os.fsync(stream.fileno())
        os.rename(part, os.path.join(work, str(image["disk"])))
        write_file(os.path.join(work, "image.json"), json.dumps(image, indent=1).encode() + b"\n")
        os.chmod(os.path.join(work, "image.json"), 0o644)
        if os.path.lexists(final):
            os.rename(final, f"{work}.old")
        os.rename(work, final)
    finally:
        for left in (work, f"{work}.old"):
            shutil.rmtree(left, ignore_errors=True)


# The seed


def seed_files(name: str, host_key: bytes, host_key_public: bytes, client_key: bytes) -> dict[str, bytes]:
    """Return the files of a NoCloud seed (name -> content): who the guest is, its host key, who may log in.

    cloud-init finds them on a disk with the label ``cidata``. Without a ``network-config`` the guest asks by DHCP at
    its first network card, by the means that the vendor has chosen.
    """
    ready = f"kedr-lab: guest {name} is ready for logins"
    user = {
        "disable_root": False,
        "users": [],
        "ssh_pwauth": False,
        "ssh_authorized_keys": [client_key.decode("ascii").strip()],
        "ssh_deletekeys": True,
        "ssh_keys": {
            "ed25519_private": host_key.decode("ascii"),
            "ed25519_public": host_key_public.decode("ascii").strip(),
        },
        "write_files": [{"path": "/etc/ssh/sshd_config.d/00-kedr-lab.conf", "content": _SSHD_CONFIG}],
        "bootcmd": [["sh", "-c", _EVERY_BOOT]],
        "runcmd": [["sh", "-c", 'echo "$1" >/dev/ttyS0', "kedr", ready]],
    }
    meta = {"instance-id": f"kedr-{secrets.token_hex(8)}", "local-hostname": name}
    return {
        "user-data": b"#cloud-config\n" + yaml.safe_dump(user, sort_keys=False, width=1000).encode(),
        "meta-data": yaml.safe_dump(meta, sort_keys=False).encode(),
    }


def make_seed(path: str, files: Mapping[str, bytes]) -> None:
    """Write the files into an ISO 9660 image with the label ``cidata``, readable by its owner only."""
    tool = next((found for name in ("xorrisofs", "genisoimage", "mkisofs") if (found := shutil.which(name))), "")
    tool = tool or find_tool("xorrisofs", "xorriso")
    if os.path.lexists(path):
        os.unlink(path)
    with tempfile.TemporaryDirectory(prefix=".seed-", dir=os.path.dirname(path)) as directory:
        for name, content in files.items():
            write_file(os.path.join(directory, name), content)
        command = [tool, "-quiet", "-output", path, "-volid", "cidata", "-joliet", "-rock", directory]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, umask=0o077
        )
    if done.returncode != 0:
        raise KedrError(f"cannot make the seed {path}: {(done.stderr or done.stdout).strip()}")


def read_finished(said: str) -> tuple[str, list[str]]:
    """Return (kernel release, complaints of cloud-init) out of what FINISHED printed.

    KedrError when cloud-init did not say that it is done.
    """
    release, dummy, text = said.partition("\n")
    try:
        result = json.loads(text)["v1"]
        return release.strip(), [str(item) for item in result["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KedrError(f"cloud-init did not say that it is done in {RESULT}") from error
