# SPDX-License-Identifier: GPL-3.0-or-later
"""What each way of making an image has: checked options, a key in the cache, and how to make the image.

A new way is one file with one such class, and one line in ``ways.py``.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from ..tools import Progress


class ImageSpec(abc.ABC):
    """The description of an image, checked.  Two descriptions with one ``key`` are the same image."""

    own_loader: ClassVar[bool] = False
    """Whether a boot loader on the disk starts the system and cloud-init makes it ready for the lab.

    Else the image has a kernel and a root tree beside its disk, and QEMU starts that kernel with the lab's initramfs.
    """
    firmware: str = ""
    """What starts the boot loader of a disk that has one: ``bios`` or ``uefi``."""
    suite: str = ""
    architecture: str = "amd64"

    @classmethod
    @abc.abstractmethod
    def load(cls, data: Any, mirror: Any = ()) -> ImageSpec:
        """Return the spec of what a user wrote.  Raises InputError."""

    @property
    @abc.abstractmethod
    def key(self) -> str:
        """Name of the image in the cache; it changes with all that decides its content."""

    @abc.abstractmethod
    def make(
        self, work: str, cache: str, progress: Progress, there: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """Fill the directory ``work`` with the image and return its description, which has ``release``.

        ``there`` describes the image that is in the cache, if any; return nothing when that is still right.  Files are
        those of ``cache.FILES``; an image without a kernel names its ``disk`` and the ``format`` of that instead.
        Raises KedrError, OSError.
        """
