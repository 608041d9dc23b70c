# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums that a vendor gives of its images, in a list that may be signed."""

import hashlib
import os
import pathlib
import re
import subprocess
import tempfile

from ...base.errors import KedrError
from ...base.files import write_file
from ...base.programs import find_tool
from .download import MAX_LIST, small_file

_SUMS = {64: "sha256", 128: "sha512"}
_PLAIN = re.compile(r"([0-9a-fA-F]{64}|[0-9a-fA-F]{128})(?:\s+\*?(\S.*))?\Z")
_TAGGED = re.compile(r"SHA(?:256|512) \((.+)\) = ([0-9a-fA-F]{64}|[0-9a-fA-F]{128})\s*\Z")


def parse_checksums(text: str, file: str) -> tuple[str, str]:
    """Return (algorithm, sum) for ``file`` out of a list of checksums.

    Read are the lines of coreutils (``SUM  NAME``, ``SUM *NAME``), the tagged lines of BSD (``SHA256 (NAME) = SUM``)
    and a sum alone; signatures and comments around them are passed over. The only sum of a list is the
    file's, whatever its name there. Raises KedrError when there is no SHA-256 or SHA-512 sum for the file.
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


def listed_sum(url: str, file: str, keyring: str = "", signature: str = "") -> tuple[str, str]:
    """Return (algorithm, sum) of a file out of the list at ``url``, which with a keyring must be signed.

    The signature is at the URL ``signature``, else in the list itself.  Raises KedrError.
    """
    listed = small_file(url, "list of checksums")
    try:
        text = _signed_part(listed, keyring, signature) if keyring else listed
        return parse_checksums(text.decode("utf-8", "replace"), file)
    except KedrError as error:
        raise KedrError(f"the list of checksums {url} cannot be used: {error}") from error


def _signed_part(listed: bytes, keyring: str, signature: str) -> bytes:
    """Return the part of a list that a key of the keyring has signed.  Raises KedrError when there is none."""
    with tempfile.TemporaryDirectory(prefix="kedr-lab-") as work:
        path, signed, detached = (os.path.join(work, name) for name in ("list", "signed", "signature"))
        write_file(path, listed)
        # What is signed may be packed, and may become any size.
        command = ["prlimit", f"--fsize={MAX_LIST}", "--cpu=30", "--", find_tool("gpgv", "gpgv"), "--homedir", work]
        command += ["--status-fd", "1", "--keyring", keyring]
        if signature:
            write_file(detached, small_file(signature, "signature"))
            command += ["--", detached, path]
        else:
            command += ["--output", signed, "--", path]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.returncode != 0 or b"\n[GNUPG:] VALIDSIG " not in done.stdout:
            raise KedrError(f"no key of {keyring} has signed it; gpgv reads binary keyrings: gpg --dearmor")
        return listed if signature else pathlib.Path(signed).read_bytes()


def file_sum(path: str, algorithm: str) -> str:
    """Return the checksum of a file as hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
