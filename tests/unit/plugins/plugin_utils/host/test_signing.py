# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of modules, and the firmware's memory in which a guest finds whom to trust."""

from __future__ import annotations

import stat
import struct
import subprocess

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import signing
from ansible_collections.kedr.lab.plugins.plugin_utils.lab import uefi

STORE = uefi._AUTHENTICATED_STORE
ROOM = 8192


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Paths of a key and its certificate, and the certificate as DER."""
    place = tmp_path_factory.mktemp("keys")
    key, certificate = str(place / "key.pem"), str(place / "cert.pem")
    return key, certificate, uefi.make_module_key(key, certificate)


def memory(room=ROOM, variables=b""):
    """The memory of a firmware: the head of its volume, the head of its store, variables, and room for more."""
    volume = bytes(40) + b"_FVH" + bytes(4) + struct.pack("<H", 72) + bytes(22)
    store = STORE + struct.pack("<IBBHI", 28 + room, 0x5A, 0xFE, 0, 0)
    return volume + store + variables + b"\xff" * (room - len(variables))


def variables_of(image):
    """Names, vendors and values of the variables in a firmware's memory."""
    found, position = [], 72 + 28
    while image[position : position + 2] == b"\xaa\x55":
        name_size, data_size = struct.unpack_from("<II", image, position + 36)
        name = image[position + 60 : position + 60 + name_size].decode("utf-16-le").rstrip("\0")
        start = position + 60 + name_size
        found.append((name, image[start : start + data_size]))
        position += (60 + name_size + data_size + 3) // 4 * 4
    return found


def test_a_signed_module_holds_what_was_signed_and_a_signature_that_openssl_accepts(pair, tmp_path):
    key, certificate, _der = pair
    module = b"\x7fELF" + bytes(range(256)) * 4
    signed = signing.sign(module, key, certificate)
    assert signed.startswith(module) and signing.is_signed(signed) and not signing.is_signed(module)
    note = signed[: -len(signing.MARK)][-12:]
    algorithm, digest, kind, signer, key_id, size = struct.unpack(">BBBBB3xI", note)
    assert (algorithm, digest, kind, signer, key_id) == (0, 0, 2, 0, 0)
    assert len(signed) == len(module) + size + 12 + len(signing.MARK)
    (tmp_path / "signature").write_bytes(signed[len(module) : len(module) + size])
    (tmp_path / "module").write_bytes(module)
    subprocess.run(
        ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "signature", "-content",
         tmp_path / "module", "-certfile", certificate, "-CAfile", certificate, "-purpose", "any", "-out", "/dev/null"],
        check=True, capture_output=True,
    )  # fmt: skip


def test_a_key_that_is_none_is_told(pair, tmp_path):
    (tmp_path / "none.pem").write_text("nothing\n")
    with pytest.raises(KedrError, match=r"cannot sign with .*none\.pem"):
        signing.sign(b"module", str(tmp_path / "none.pem"), pair[1])


def test_a_certificate_of_another_key_is_told(pair, tmp_path):
    other = str(tmp_path / "key.pem")
    uefi.make_module_key(other, str(tmp_path / "cert.pem"))
    with pytest.raises(KedrError, match=r"cannot sign with .*key\.pem and .*cert\.pem: .*mismatch"):
        signing.sign(b"module", other, pair[1])


def test_a_missing_openssl_is_named_with_its_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KedrError, match="install the package openssl"):
        signing.sign(b"module", "k", "c")


def test_the_key_is_private(pair, tmp_path):
    key = tmp_path / "key.pem"
    uefi.make_module_key(str(key), str(tmp_path / "cert.pem"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_the_firmware_gets_the_certificate_in_db_and_keeps_what_it_has(pair):
    one = uefi.trusting(memory(), pair[2])
    two = uefi.trusting(one, b"another certificate")
    assert [name for name, _data in variables_of(two)] == ["db", "db"]
    (name, data) = variables_of(one)[0]
    assert name == "db"
    assert data[:16] == uefi._X509
    assert struct.unpack_from("<III", data, 16) == (len(data), 0, len(data) - 28)
    assert data[28 + 16 :] == pair[2]
    assert len(two) == len(memory())


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (memory().replace(b"_FVH", b"_XXX"), "of an unknown form"),
        (memory().replace(STORE, bytes(16)), "of an unknown form"),
        (memory(room=64), "no room for a certificate"),
    ],
)
def test_a_memory_that_cannot_take_a_certificate_is_told(pair, image, words):
    with pytest.raises(KedrError, match=words):
        uefi.trusting(image, pair[2])
