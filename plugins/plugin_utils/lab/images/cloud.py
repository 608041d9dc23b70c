# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that vendors make for clouds: downloaded, checked, and used as they are.

A download goes to ``CACHE/downloads/KEY.SUM.part``, named by the sum that its content must have, and becomes an
image of the cache only after that sum was found. The next run goes on with an interrupted download.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from ...base.errors import InputError, KedrError
from ...base.programs import find_tool, run_tool
from .. import options
from ..qemu import qemu_user
from ..tools import Progress
from .checksums import file_sum, listed_sum
from .download import Download
from .interface import ImageSpec

FIRMWARES = ("bios", "uefi")
"""What may start a cloud image's boot loader."""

_URL = re.compile(r"(https?://[^\s/?#]+/|file:///)[\x21-\x7e]+\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class _Wrong(KedrError):
    """The content that came is not what its checksum says."""


@dataclass(frozen=True)
class CloudSpec(ImageSpec):
    """A vendor's disk image for clouds: where it comes from, how its content is checked, what firmware boots it.

    Exactly one of ``sha256`` (64 hexadecimal digits) and ``checksums`` (URL of a list of sums) is set. With the path
    ``keyring`` the list must be signed: in the file at the URL ``signature``, else in itself.
    """

    url: str
    sha256: str = ""
    checksums: str = ""
    signature: str = ""
    keyring: str = ""
    firmware: str = "bios"
    own_loader: ClassVar[bool] = True

    @classmethod
    def load(cls, data: Any, mirror: Any = ()) -> CloudSpec:
        """Return the spec of a user's mapping.  Raises InputError."""
        if not isinstance(data, Mapping):
            raise InputError(f"image: cloud: a mapping is needed, not {data!r}")
        given = {str(name): str(value) for name, value in data.items() if value not in (None, "")}
        options.mapping(given, cls, "image: cloud")
        for name in ("url", "checksums", "signature"):
            if not _URL.match(given.get(name, "https://host/file")):
                raise InputError(f"image: cloud: {name} {given[name]!r} is not an http, https or file URL")
        sha256 = given.get("sha256", "").lower()
        if not given.get("url"):
            raise InputError("image: cloud: the url of the image is needed")
        if bool(sha256) == bool(given.get("checksums")):
            raise InputError("image: cloud: either sha256 or checksums is needed, to tell a wrong file")
        if sha256 and not _SHA256.match(sha256):
            raise InputError(f"image: cloud: sha256 {sha256!r} is not 64 hexadecimal digits")
        cls._check_trust(given)
        options.choice(given.get("firmware", cls.firmware), FIRMWARES, "image: cloud: firmware")
        return cls(**{**given, "sha256": sha256})

    @staticmethod
    def _check_trust(given: Mapping[str, str]) -> None:
        """Raise InputError when a list of sums could be changed on its way, or nobody knows whose signature counts."""
        keyring = given.get("keyring", "")
        if "signature" in given and not keyring:
            raise InputError("image: cloud: a signature needs the keyring that it is checked with")
        if keyring and not (os.path.isabs(keyring) and "checksums" in given):
            raise InputError(f"image: cloud: keyring {keyring!r} must be an absolute path, and goes with checksums")
        if given.get("checksums", "").startswith("http:") and not keyring:
            raise InputError(
                f"image: cloud: the list of sums {given['checksums']!r} can be changed on its way; use an https URL, "
                "or a keyring if it is signed, or sha256"
            )

    @property
    def key(self) -> str:
        """Name of the image in the cache: the file's own name, then a digest of where it comes from."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", self.file).removesuffix(".qcow2").removesuffix(".img")[:60]
        source = [self.url, self.sha256, self.checksums] + ([self.signature, self.keyring] if self.keyring else [])
        digest = hashlib.sha256(json.dumps(source).encode()).hexdigest()
        return f"cloud-{stem}-{digest[:12]}"

    @property
    def file(self) -> str:
        """Name of the image's file at its vendor, as lists of checksums have it."""
        return unquote(os.path.basename(urlsplit(self.url).path))

    def expected_sum(self) -> tuple[str, str]:
        """Return (algorithm, sum) that the image must have; asks for the vendor's list if there is one.

        Raises KedrError.
        """
        if self.sha256:
            return "sha256", self.sha256
        return listed_sum(self.checksums, self.file, self.keyring, self.signature)

    def make(
        self, work: str, cache: str, progress: Progress, there: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """Download the vendor's disk, unless the one that is there has the sum that it must have."""
        algorithm, expected = self.expected_sum()
        if there and there["sum"] == expected:
            return None
        label, part = f"image {self.key}", self._part(cache, expected)
        progress(f"{label}: downloading {self.url}")
        try:
            _fetch(self, part, algorithm, expected, progress)
        except _Wrong:
            progress(f"{label}: the parts of an interrupted download do not fit together; downloading it whole")
            _fetch(self, part, algorithm, expected, progress)
        progress(f"{label}: {algorithm} as expected")
        return {
            "kind": "cloud", "url": self.url, "algorithm": algorithm, "sum": expected, "release": "",
            **self._disk(part, work),
        }  # fmt: skip

    def _part(self, cache: str, expected: str) -> str:
        """Return the path of the download; parts of other files at this URL are removed."""
        downloads = os.path.join(cache, "downloads")
        part = os.path.join(downloads, f"{self.key}.{expected[:16]}.part")
        for stale in glob.glob(os.path.join(glob.escape(downloads), f"{self.key}.*.part")):
            if stale != part:
                os.unlink(stale)
        return part

    def _disk(self, part: str, work: str) -> dict[str, Any]:
        """Move the checked file to the image's directory; return what the description says of it."""
        os.chmod(part, 0o444)
        try:
            kind, size = disk_format(part)
        except KedrError as error:
            os.unlink(part)
            raise InputError(f"image {self.key}: {self.url} cannot be a guest's disk: {error}") from error
        with open(part, "rb") as stream:
            os.fsync(stream.fileno())
        name = f"disk.{kind}"
        os.rename(part, os.path.join(work, name))
        return {"format": kind, "disk": name, "disk_mb": os.path.getsize(os.path.join(work, name)) >> 20,
                "virtual_mb": size >> 20}  # fmt: skip


def _fetch(spec: CloudSpec, part: str, algorithm: str, expected: str, progress: Progress) -> None:
    """Download into ``part`` and check it; a wrong file is removed.

    Raises _Wrong when a part of it was there before, else KedrError.
    """
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


def disk_format(path: str) -> tuple[str, int]:
    """Return (``qcow2`` or ``raw``, size of the disk in bytes).  Raises KedrError when it is not a complete disk."""
    tool = find_tool("qemu-img", "qemu-utils")
    with open(path, "rb") as disk:
        command = [tool, "info", "--output=json", f"/proc/self/fd/{disk.fileno()}"]
        told = json.loads(run_tool(command, "qemu-img cannot read it", pass_fds=[disk.fileno()], **qemu_user()))
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
