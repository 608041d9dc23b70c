# SPDX-License-Identifier: GPL-3.0-or-later
"""A key that a guest's kernel trusts for modules: made for one start, put into the memory of its UEFI firmware.

The kernel takes the certificates of the firmware's variable ``db`` into its platform keyring, and Debian's kernels
check the signatures of modules against that too. The memory is a file of QEMU, in which the variable is written
before the guest starts.

Formats: UEFI specification 2.10, 32.4.1 (signature lists); UEFI PI specification 1.7, volume 3, 3.2.1 (firmware
volume); EDK II, ``MdeModulePkg/Include/Guid/VariableFormat.h`` (store of variables with their authentication).
"""

import os
import struct
import uuid

from ..base.errors import KedrError
from ..base.programs import find_tool, run_tool

_AUTHENTICATED_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
_IMAGE_SECURITY = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f").bytes_le
_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
_OWNER = uuid.uuid5(uuid.NAMESPACE_DNS, "kedr.lab").bytes_le

_STORE_HEADER = 28
_VARIABLE = struct.Struct("<HBBIQ16sIII16s")
"""Start, state, reserved, attributes, count, time, key index, bytes of the name, bytes of the data, vendor."""

_START, _ADDED = 0x55AA, 0x3F
_KEPT_AND_SEEN_BY_THE_KERNEL = 0x27
"""Non-volatile, for boot and run time, authenticated by time."""

DAYS = 3650


def trusting(variables: bytes, certificate: bytes) -> bytes:
    """Return the firmware's memory with an X.509 certificate (DER) in ``db``.

    The memory must be one in which nobody has put keys.  KedrError when it is of another form or full.
    """
    (volume_header,) = struct.unpack_from("<H", variables, 48)
    if variables[40:44] != b"_FVH" or variables[volume_header : volume_header + 16] != _AUTHENTICATED_STORE:
        raise KedrError("the UEFI firmware's memory is of an unknown form; is the package ovmf damaged?")
    position = volume_header + _STORE_HEADER
    while struct.unpack_from("<H", variables, position)[0] == _START:
        *_head, name_size, data_size, _vendor = _VARIABLE.unpack_from(variables, position)
        position += (_VARIABLE.size + name_size + data_size + 3) // 4 * 4
    data = _X509 + struct.pack("<III", 28 + 16 + len(certificate), 0, 16 + len(certificate)) + _OWNER + certificate
    name = "db\0".encode("utf-16-le")
    when = struct.pack("<HBBBBBBIhBB", 2020, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    attributes = _KEPT_AND_SEEN_BY_THE_KERNEL
    variable = _VARIABLE.pack(
        _START, _ADDED, 0, attributes, 0, when, 0, len(name), len(data), _IMAGE_SECURITY
    ) + name + data  # fmt: skip
    end = position + len(variable)
    if variables[position:end] != b"\xff" * len(variable):
        raise KedrError("the UEFI firmware's memory has no room for a certificate")
    return variables[:position] + variable + variables[end:]


def make_module_key(key: str, certificate: str) -> bytes:
    """Make a key (PEM, mode 0600) and its certificate (PEM); returns the certificate as DER."""
    tool = find_tool("openssl", "openssl")
    for path in (key, certificate):
        if os.path.lexists(path):
            os.unlink(path)
    extensions = ("basicConstraints=critical,CA:FALSE", "keyUsage=digitalSignature", "extendedKeyUsage=codeSigning")
    failure = "openssl cannot make a key"
    run_tool(
        [tool, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-batch", "-sha256", "-days", str(DAYS),
         "-subj", "/CN=kedr.lab modules of one guest", *(word for text in extensions for word in ("-addext", text)),
         "-keyout", key, "-out", certificate], failure,
    )  # fmt: skip
    os.chmod(key, 0o600)
    return run_tool([tool, "x509", "-in", certificate, "-outform", "der"], failure)
