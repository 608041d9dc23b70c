# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the cache: each is made once, and is there whole or not at all."""

import glob
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from ...base import ownership
from ...base.errors import KedrError
from ...base.files import replace_directory, write_file
from ...base.locks import locked
from ..tools import Progress, as_root
from .interface import ImageSpec

FILES = {"tree": "tree", "kernel": "vmlinuz", "disk": "disk.raw"}
"""Names of an image's files; one whose description names its disk has no others."""


def image_dir(cache: str, spec: ImageSpec) -> str:
    """Return where an image is in the cache once it is complete."""
    return os.path.join(cache, "images", spec.key)


def read_image(directory: str) -> dict[str, Any] | None:
    """Return the description of a complete image with the paths of its files, or nothing when there is none."""
    try:
        with open(os.path.join(directory, "image.json"), encoding="utf-8") as stream:
            about = json.load(stream)
    except (OSError, ValueError):
        return None
    if not isinstance(about, dict):
        return None
    names = {"disk": str(about["disk"])} if "disk" in about else FILES
    paths = {what: os.path.join(directory, name) for what, name in names.items()}
    return {"format": "raw", **about, "directory": directory, **paths}


def ensure_image(spec: ImageSpec, cache: str, progress: Progress, refresh: bool = False) -> dict[str, Any]:
    """Return the description of an image; make the image when the cache has none, or for ``refresh``.

    It has ``directory`` and the paths of FILES, and ``cached``: whether it was there. Runs that need the same image at
    the same time make it once. Raises KedrError.
    """
    final = image_dir(cache, spec)
    waiting = f"image {spec.key}: another run is making it, waiting for that"
    try:
        for name in ("downloads", "logs", "images"):
            ownership.make(os.path.join(cache, name), 0o755)
        image = None if refresh else read_image(final)
        if image:
            return {**image, "cached": True}
        with locked(os.path.join(cache, "images", f".{spec.key}.lock"), lambda: progress(waiting)):
            there = read_image(final)
            made = (refresh or not there) and _make(spec, cache, progress, there)
    except OSError as error:
        raise KedrError(
            f"image {spec.key}: the cache directory {cache} cannot be used: {error.strerror}: {error.filename}"
        ) from error
    return {**(read_image(final) or {}), "cached": not made}


def _make(spec: ImageSpec, cache: str, progress: Progress, there: Mapping[str, Any] | None) -> bool:
    """Make an image and put it in its place; return whether the one that was there was not right any more."""
    images, started = os.path.join(cache, "images"), time.time()
    for stale in glob.glob(os.path.join(glob.escape(images), f".{spec.key}.*.part*")):
        _remove(stale)
    work = tempfile.mkdtemp(prefix=f".{spec.key}.", suffix=".part", dir=images)
    try:
        os.chmod(work, 0o755)
        made = spec.make(work, cache, progress, there)
        if made is None:
            return False
        built = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
        image = {"key": spec.key, "built": built, "seconds": round(time.time() - started, 1), **made}
        about = os.path.join(work, "image.json")
        write_file(about, json.dumps(image, indent=1) + "\n")
        os.chmod(about, 0o644)
        _remove(replace_directory(work, image_dir(cache, spec)))
    finally:
        _remove(work)
    kernel = f", kernel {image['release']}" if image["release"] else ""
    progress(f"image {spec.key}: ready after {image['seconds']:.0f} s{kernel}")
    return True


def _remove(path: str) -> None:
    """Remove what an image was made in, if it is there; what root made needs root for that."""
    command = ["rm", "-rf", "--one-file-system", path]
    if os.path.lexists(path):
        subprocess.run(command, check=False, capture_output=True)
    if os.path.lexists(path):
        subprocess.run(as_root(command), check=False, capture_output=True)
