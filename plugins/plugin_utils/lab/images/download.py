# SPDX-License-Identifier: GPL-3.0-or-later
"""Files from servers: small ones, and images, whose download continues where an earlier attempt ended."""

import contextlib
import errno
import http.client
import os
import pathlib
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import IO, Any

from ...base.errors import KedrError
from ...base.foreign import printable
from ..tools import Progress

IDLE_SECONDS = 30.0
"""A server that sends nothing for so long counts as dead."""

ATTEMPTS = 4
GAIN = 16 << 20
"""So many attempts in a row may fail without bringing so many bytes together."""

PAUSE_SECONDS = 2.0
NEWS_SECONDS = 10.0
CHUNK = 1 << 18
MAX_LIST = 4 << 20
"""Bytes of the largest list of checksums, or of its signature."""

MAX_REASON = 300
"""Characters that are shown of what a server gives as its reason."""

MAX_IMAGE = 16 << 30
"""Bytes of the largest image: vendors' raw disks have up to 10 GiB, and a guest's disk is made as large as this."""

SLOW_BYTES, SLOW_SECONDS = 1 << 20, 60.0
"""A server that sends fewer bytes in these seconds counts as dead."""

_NETWORK_ERRORS = (OSError, ValueError, http.client.HTTPException)


class _TooLarge(Exception):
    """More came than such a file may have."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """A redirection from https to http is refused: a list of sums is trusted because it came by https."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError(f"it is redirected from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


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
    """Return why a URL could not be read."""
    if isinstance(error, urllib.error.HTTPError):
        return printable(f"the server answers {error.code} {error.reason}", MAX_REASON)
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"the server said nothing for {IDLE_SECONDS:.0f} s"
    return printable(cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause), MAX_REASON)


def small_file(url: str, what: str) -> bytes:
    """Return what a URL has, at most MAX_LIST bytes; ``what`` names it in the KedrError."""
    try:
        with _open(url) as answer:
            return b"".join(_pieces(answer, MAX_LIST))
    except _TooLarge as error:
        raise KedrError(f"{url} is not a {what}: it is larger than {MAX_LIST >> 20} MiB") from error
    except _NETWORK_ERRORS as error:
        raise KedrError(f"the {what} {url} cannot be downloaded: {network_reason(error)}") from error


class Download:
    """The download of one file to ``path``; it continues where an earlier attempt ended."""

    def __init__(self, url: str, path: str, progress: Progress, label: str) -> None:
        self.url, self.path, self.progress, self.label = url, path, progress, label
        self.total = -1
        self.resumed = False

    def run(self) -> None:
        """Download the whole file.  Raises KedrError; what came is kept, and the next run continues from there."""
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
                    text = f"{self.label}: {self.url} cannot be downloaded: {network_reason(error)}"
                    raise KedrError(text) from error
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
                kept = f"; the {have} bytes that came are kept, and the next run continues from there" if have else ""
                raise KedrError(f"{self.label}: {self.url} cannot be downloaded: {reason}{kept}")
            self.progress(f"{self.label}: {reason}; trying again")
            time.sleep(PAUSE_SECONDS)

    def _have(self) -> int:
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def _attempt(self) -> bool:
        """Make one request; return whether the file is whole, as far as the server gave its size."""
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
                self.progress(f"{self.label}: continues at {start >> 20} of {self.total >> 20} MiB")
            with self._out("r+b" if start else "wb") as out:
                out.seek(start)
                self._copy(_pieces(answer, MAX_IMAGE - start), out)
        return self.total in (-1, self._have())

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(os.path.dirname(self.path)).free
        if needed > free:
            raise KedrError(f"{self.label}: {needed >> 20} MiB are missing and only {free >> 20} MiB are free at "
                            f"{os.path.dirname(self.path)}; free some or set lab_cache_dir to another disk")

    @contextlib.contextmanager
    def _out(self, mode: str) -> Iterator[IO[bytes]]:
        try:
            with open(self.path, mode, buffering=0) as out:
                yield out
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise KedrError(
                    f"{self.label}: no space left at {os.path.dirname(self.path)}; free some or set lab_cache_dir to "
                    "another disk; the next run continues from there"
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
