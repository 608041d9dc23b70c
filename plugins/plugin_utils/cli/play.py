# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs ``kedr verify`` and ``kedr collect``: playbooks of this collection, run by ``ansible-playbook``."""

import argparse
import os
import shutil
import sys

from ..base import paths
from ..base.errors import KedrError
from . import launch

PLAYBOOKS = {"verify": "run", "collect": "collect"}
"""Verb and playbook -> kind of the checkout's environment."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what is passed on: everything."""
    parser.usage = f"{parser.prog} [ARGUMENT of ansible-playbook...]"
    parser.epilog = (
        f"Every argument goes to ansible-playbook, for example: {parser.prog} -i inventory.yml --limit HOST. "
        "See ansible-playbook --help. The exit status is that of ansible-playbook."
    )


def run(options: argparse.Namespace) -> int:
    """Become ansible-playbook.  Raises KedrError where there is none."""
    variables = dict(os.environ)
    folder = os.path.join(sys.prefix, "bin") if sys.prefix != sys.base_prefix else ""
    if launch.is_checkout(paths.ROOT):
        folder = os.path.join(launch.environment(paths.ROOT, PLAYBOOKS[options.verb]), "bin")
        variables.setdefault("ANSIBLE_CONFIG", os.path.join(paths.ROOT, "ansible.cfg"))
    variables["PATH"] = os.pathsep.join(filter(None, [folder, variables.get("PATH", os.defpath)]))
    program = shutil.which("ansible-playbook", path=variables["PATH"])
    if not program:
        raise KedrError("there is no ansible-playbook in PATH; install ansible-core 2.19 to 2.21")
    os.execve(program, [program, f"kedr.lab.{options.verb}", *options.more], variables)
