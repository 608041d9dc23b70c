# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bases of the actions: those of the control node, and those that speak sh to a test host and record their steps."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.kedr.lab.plugins.plugin_utils import hostshell, ssh_legacy

COLLECTION = "ansible_collections.kedr.lab"
MODULE_NAME = re.compile(r"[A-Za-z0-9_]+\Z")
HOST_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
UNMARKED = "not marked as a test host: set kedr_test_host: true in the inventory"
TEXT_MARK = ("not marked as a test host: kedr_test_host is text; "
             "write it as a boolean (YAML: true, INI: True)")


class StepError(Exception):
    """An action could not do its step.

    `kind` says whose fault it is: FAIL (the product or the target), INFRA (lab, host or network), SKIP (nobody's: the
    host does not want it).
    `data` goes into the result of the task and the record of the step.
    """

    def __init__(self, kind: str, reason: str, **data: Any) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.data = data


class Refused(Exception):
    """The host is not marked as a test host, so nothing is changed there."""


class Unreachable(Exception):
    """The host was unreachable earlier in this run."""


def argument_spec(action: str, fragment: str = "") -> dict[str, Any]:
    """Return the argument spec of `action`, as its documentation and that of `fragment`, if it has one, say it."""
    texts = [importlib.import_module(f"{COLLECTION}.plugins.modules.{action}").DOCUMENTATION]
    if fragment:
        shared = importlib.import_module(f"{COLLECTION}.plugins.doc_fragments.{fragment}")
        texts.insert(0, shared.ModuleDocFragment.DOCUMENTATION)
    spec: dict[str, Any] = {}
    for text in texts:
        spec.update(spec_of_options(yaml.safe_load(text).get("options") or {}))
    return spec


def spec_of_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the argument spec of documented `options`."""
    spec = {}
    for name, option in options.items():
        entry = {key: option[key] for key in ("type", "required", "default", "choices", "elements")
                 if key in option}
        if "suboptions" in option:
            entry["options"] = spec_of_options(option["suboptions"])
        spec[name] = entry
    return spec


def module_name(text: str) -> str:
    """Return the name of a module as the kernel shows it; raises StepError for what cannot be one."""
    name = text.replace("-", "_")
    if not MODULE_NAME.match(name):
        shown = hostshell.printable(text, 80)
        raise StepError("INFRA", f"'{shown}' is no module name: letters, digits, '_' and '-' are allowed")
    return name


def marked(value: Any) -> bool:
    """Return whether the inventory's `kedr_test_host` marks a test host: only a real true does."""
    return value is True


def refusal(value: Any) -> str:
    """Return why a host whose `kedr_test_host` is `value` is refused, and what to do about it."""
    return TEXT_MARK if isinstance(value, str) and value.strip() else UNMARKED


def private_dirs(path: str) -> None:
    """Make the directory `path` and those above it that are missing, all with mode 0700."""
    if not os.path.isdir(path):
        private_dirs(os.path.dirname(path))
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)


def write_private(path: str, content: bytes) -> None:
    """Write a file of the run directory (mode 0600), making its directory (0700); never half."""
    private_dirs(os.path.dirname(path))
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def append_private(path: str, content: bytes) -> None:
    """Append to a file of the run directory (mode 0600), making its directory (0700), in one write."""
    private_dirs(os.path.dirname(path))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, content)
    finally:
        os.close(handle)


def append_step(host_dir: str, entry: Mapping[str, Any]) -> None:
    """Append one line to ``steps.jsonl`` of `host_dir`; a line is written whole or not at all."""
    append_private(os.path.join(host_dir, "steps.jsonl"), json.dumps(entry, sort_keys=True).encode() + b"\n")


def was_unreachable(host_dir: str) -> bool:
    """Return whether ``steps.jsonl`` of `host_dir` tells of a lost host."""
    try:
        with open(os.path.join(host_dir, "steps.jsonl"), encoding="utf-8", errors="replace") as file:
            return any('"status": "unreachable"' in line for line in file)
    except FileNotFoundError:
        return False


def given(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return `rows` without the suboptions that the user did not give, which Ansible fills with None."""
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


class ControlAction(ActionBase):
    """An action that works on the control node only. A subclass implements ``perform``."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the options and do the work; return the result of the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        name = self._task.action.rsplit(".", 1)[-1]
        _result, options = self.validate_argument_spec(argument_spec=argument_spec(name))
        # Values of Ansible carry tags; what is kept or compared later must be plain.
        return {**result, **self.perform(json.loads(json.dumps(options)), task_vars or {})}

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Do the work with checked, plain `options`; return what the documentation promises."""
        raise NotImplementedError

    def path(self, path: str) -> str:
        """Return `path` absolute; a relative one starts at the playbook."""
        return os.path.normpath(self._loader.path_dwim(path))


class HostAction(ActionBase):
    """An action of the group kedr.lab.host.

    A subclass sets ``default_step`` and implements ``perform``, which returns the result and may
    raise StepError. ``changes_host`` actions refuse hosts that are not marked as test hosts.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    default_step = ""
    changes_host = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the step, record its outcome, and return the result of the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        self.trips = 0
        self.options = self._checked_options()
        self.host_dir = self._host_dir()
        started = time.time()
        clock = time.monotonic()
        try:
            outcome, status, kind = self._outcome()
        except AnsibleConnectionFailure as error:
            # A failure, not `unreachable`: the host stays in the play, whose rescue and judgement still see it.
            reason = f"lost contact with the host: {hostshell.printable(str(error))}{self._advice(str(error))}"
            outcome, status, kind = {"failed": True, "changed": False, "msg": reason}, "unreachable", "INFRA"
        except AnsibleError as error:
            self._record("failed", "INFRA", hostshell.printable(str(error)), started, clock, {})
            raise
        except Exception as error:
            text = hostshell.printable(f"internal error: {type(error).__name__}: {error}")
            self._record("failed", "INFRA", text, started, clock, {})
            raise
        result.update(outcome)
        result.update(round_trips=self.trips, seconds=round(time.monotonic() - clock, 3), kind=kind)
        if status != "repeated":
            data = {key: outcome[key] for key in outcome if key in self.recorded}
            self._record(status, kind, outcome.get("msg", "") if status != "ok" else "", started, clock, data)
        return result

    def _advice(self, error: str) -> str:
        """Return what to do about a lost connection, when that is known, to be put behind the error."""
        if not self._connection.has_option("ssh_executable"):
            return ""
        advice = ssh_legacy.explain(error, self._connection.get_option("ssh_executable"))
        return f"; {advice}" if advice else ""

    recorded: tuple[str, ...] = ()
    """Keys of the result that go into the record of the step."""

    def perform(self) -> dict[str, Any]:
        """Do the step with ``self.options``; return the result (``changed`` and what is documented)."""
        raise NotImplementedError

    def _outcome(self) -> tuple[dict[str, Any], str, str]:
        try:
            if self.host_dir and was_unreachable(self.host_dir):
                raise Unreachable
            if self.changes_host and not self.is_test_host():
                raise Refused
            return self.perform(), "ok", ""
        except Unreachable:
            msg = "the host was unreachable earlier in this run; it is not tried again"
            return {"failed": True, "changed": False, "msg": msg}, "repeated", "INFRA"
        except Refused:
            msg = refusal(self._mark())
            return {"failed": True, "changed": False, "refused": True, "msg": msg}, "refused", "SKIP"
        except StepError as error:
            outcome = {"changed": False, **error.data, "failed": True, "msg": error.reason}
            return outcome, "failed", error.kind
        except hostshell.AnswerError as error:
            return {"failed": True, "changed": False, "msg": str(error)}, "failed", "INFRA"

    def _checked_options(self) -> dict[str, Any]:
        name = self._task.action.rsplit(".", 1)[-1]
        _result, options = self.validate_argument_spec(argument_spec=argument_spec(name, "host"))
        return options

    def _host_dir(self) -> str:
        run_dir = self.options.get("run_dir")
        if not run_dir:
            return ""
        name = self.host_name()
        if not HOST_NAME.match(name):
            raise AnsibleActionFail(f"the host name '{hostshell.printable(name, 80)}' cannot name a directory: "
                                    "rename the host in the inventory, or run without run_dir")
        return os.path.join(self.path(run_dir), name)

    def _record(self, status: str, kind: str, reason: str, started: float, clock: float,
                data: dict[str, Any]) -> None:
        if not self.host_dir or self.check_mode():
            return
        step = self.options.get("step") or self.step_name()
        append_step(self.host_dir, {
            "step": step, "status": status, "kind": kind, "reason": reason, "started": round(started, 3),
            "seconds": round(time.monotonic() - clock, 3), "round_trips": self.trips, "data": data,
        })

    def step_name(self) -> str:
        """Return the name of this step when the task gives none."""
        return self.default_step

    def host_name(self) -> str:
        """Return the host's name in the inventory."""
        return str(self.task_vars.get("inventory_hostname", "localhost"))

    def check_mode(self) -> bool:
        """Return whether nothing may be changed."""
        return bool(self._task.check_mode)

    def is_test_host(self) -> bool:
        """Return whether the inventory marks this host as a test host."""
        return marked(self._mark())

    def _mark(self) -> Any:
        value = self.task_vars.get("kedr_test_host")
        return self._templar.template(value) if isinstance(value, str) else value

    def path(self, path: str) -> str:
        """Return `path` of the control node absolute; a relative one starts at the playbook."""
        return os.path.normpath(self._loader.path_dwim(os.path.expanduser(path)))

    def read_file(self, path: str, what: str) -> bytes:
        """Return a file of the control node; raises StepError naming it when it cannot be read."""
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise StepError("INFRA", f"{path}: cannot read {what}: {error.strerror}") from error

    def keep(self, name: str, content: bytes | str) -> None:
        """Write file `name` of this host in the run directory, when there is one."""
        if self.host_dir and not self.check_mode():
            data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
            write_private(os.path.join(self.host_dir, name), data)

    def append(self, name: str, text: str) -> None:
        """Append text to file `name` of this host in the run directory, when there is one."""
        if self.host_dir and not self.check_mode() and text:
            append_private(os.path.join(self.host_dir, name), text.encode("utf-8", "surrogateescape"))

    def say(self, text: str) -> None:
        """Show one line of progress."""
        self._display.display(f"    [{self.host_name()}] {hostshell.printable(text, 300)}")

    def ask(self, program: str, values: Mapping[str, str | int | Iterable[str]],
            data: bytes = b"") -> hostshell.Answer:
        """Make one round trip: run `program` on the host as root or as whoever the task becomes.

        Raises StepError when the program stopped, AnswerError when its answer is not whole.
        """
        call = hostshell.frame(program, values, data)
        if self._connection.has_option("pipelining"):
            self._connection.set_option("pipelining", True)
        self.trips += 1
        answered = self._low_level_execute_command(call.command, in_data=call.stdin)
        stdout = answered["stdout"].encode("utf-8", "surrogateescape")
        return self._parse(stdout, call.nonce, answered)

    def _parse(self, stdout: bytes, nonce: str, answered: Mapping[str, Any]) -> hostshell.Answer:
        try:
            answer = hostshell.parse(stdout, nonce)
        except hostshell.AnswerError as error:
            stderr = hostshell.printable(str(answered.get("stderr", "")), 1000).strip()
            status = f" (exit status {answered.get('rc')})"
            raise hostshell.AnswerError(f"{error}{status}{': ' + stderr if stderr else ''}") from error
        kind = answer.one("failed")
        if kind:
            reason = hostshell.printable(answer.text("reason")).strip()
            raise HostStopped(kind if kind in ("FAIL", "INFRA", "SKIP") else "INFRA", reason, answer)
        return answer


class HostStopped(StepError):
    """A program on a host said that it could not do its work; `answer` holds what else it said."""

    def __init__(self, kind: str, reason: str, answer: hostshell.Answer) -> None:
        super().__init__(kind, reason)
        self.answer = answer
