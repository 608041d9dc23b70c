# SPDX-License-Identifier: GPL-3.0-or-later
"""``guest.json``: what the control node saw of a guest of the lab when the run was over."""

from typing import Any

from ...base.errors import ForeignError
from ..case import Case, Decision

NAME = "guest.json"


def read(case: Case) -> dict[str, Any]:
    """Return what is known of the guest; nothing of a host that is not a guest, or where the file cannot be used."""
    if not case.info.get("embedded"):
        return {}
    try:
        value: dict[str, Any] = case.json(NAME, dict)
        return value
    except ForeignError:
        return {}


def check(case: Case) -> None:
    """Did the guest live to the end?  If not, that decides, unless the steps show a crash already."""
    decided = case.decided
    if not case.info.get("embedded") or (decided and decided.verdict == "CRASH"):
        return
    alive = case.json(NAME, dict).get("alive")
    if alive is True:
        case.add("ok", NAME, "the guest lived to the end of the run")
    elif alive is not False:
        raise ForeignError("it is not known whether the guest lived to the end of the run", NAME)
    else:
        case.add("fail", NAME, "the guest's QEMU process has ended")
        reason = f"{decided.reason}; later the guest died" if decided else "the guest died after the last step"
        case.died = Decision("CRASH", reason)
