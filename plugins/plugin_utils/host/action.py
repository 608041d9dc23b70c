# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases of the actions: those of the control node, and those that speak sh to a test host and record their steps."""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..base import bounded, deadline, ownership, rundir, steps
from ..base.errors import ForeignError, InputError, KedrError, about
from ..base.foreign import printable
from . import shell, ssh_alive, ssh_legacy
from .arguments import argument_spec

BOOT_ID = re.compile(r"[0-9a-f-]{8,64}\Z")
BACK = 60.0
"""Seconds for which a host that answered before is tried again after contact with it was lost."""
PAUSE = 2.0
"""Seconds between two tries to reach a host."""
TRY = 30.0
"""Seconds that one such try, or giving up a connection, may take."""
UNMARKED = "not marked as a test host: set kedr_test_host: true in the inventory"
TEXT_MARK = "not marked as a test host: kedr_test_host is text; write it as a boolean (YAML: true, INI: True)"


class StepError(KedrError):
    """A step failed, and it is known whose fault that is and what the step has changed.

    `kind` is FAIL (the product or the target), INFRA (lab, host or network) or SKIP (nobody's: the host does not want
    it). `data` goes into the result of the task and the record of the step; without ``changed`` in it nothing has
    changed. Any other KedrError is INFRA, and after a round trip the step may have changed the host.
    """

    def __init__(self, kind: str, reason: str, **data: Any) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.data = data


class Refused(Exception):
    """The host is not marked as a test host, so nothing is changed there."""


class Unreachable(Exception):
    """The host was unreachable earlier in this run; the text says what that means for this step."""


def marked(value: Any) -> bool:
    """Return whether the inventory's `kedr_test_host` marks a test host: only a real true does."""
    return value is True


def refusal(value: Any) -> str:
    """Return why a host whose `kedr_test_host` is `value` is refused, and what to do about it."""
    return TEXT_MARK if isinstance(value, str) and value.strip() else UNMARKED


def foretold(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of judging in check mode: failed unless every host came to the end of what is foretold."""
    stopped = []
    for name in hosts:
        variables: Mapping[str, Any] = {}
        if name in hostvars:  # asking for a host that is not there gives no error but an undefined value
            variables = hostvars[name]
        if variables.get("kedr_foretold") is not True:
            reason = printable(str(variables.get("kedr_stopped") or "it did not come to the end"), 1000)
            stopped.append(f"{name}: {reason}")
    if stopped:
        return {"failed": True, "msg": "\n".join(["not every host can be taken through all steps:", *stopped])}
    return {"changed": False, "msg": "nothing to judge in check mode"}


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
        try:
            return {**result, **self.perform(json.loads(json.dumps(options)), task_vars or {})}
        except KedrError as error:
            return {**result, "failed": True, "msg": printable(str(error))}

    def perform(self, options: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Do the work with checked, plain `options`; return what the documentation promises."""
        raise NotImplementedError

    def path(self, path: str) -> str:
        """Return `path` absolute; a relative one starts at the playbook."""
        return os.path.normpath(self._loader.path_dwim(path))


class HostAction(ActionBase):
    """An action of the group kedr.lab.host.

    A subclass sets ``default_step`` and implements ``perform``, which returns the result and may raise StepError.
    ``changes_host`` actions refuse hosts that are not marked as test hosts. ``usual_deadline`` is how many seconds one
    round trip may take when the task does not say it, ``biggest_answer`` how many bytes the host may answer.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    default_step = ""
    changes_host = False
    usual_deadline = 300.0
    biggest_answer = 8 << 20

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the step, record its outcome, and return the result of the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        self.trips = 0
        self.boots: list[str] = []
        self.files: dict[str, str] = {}
        self.contact = steps.Contact(0, False, False)
        self.options = self._checked_options()
        self.host_dir = self._host_dir()
        begun = steps.begin()
        try:
            outcome, status, kind = self._outcome()
        except AnsibleConnectionFailure as error:
            # A failure, not `unreachable`: the host stays in the play, whose rescue and judgement still see it.
            reason = f"lost contact with the host: {printable(str(error))}{self._advice(str(error))}"
            outcome = {"failed": True, "changed": self._may_have_changed(), "msg": reason}
            status, kind = "unreachable", "INFRA"
        except AnsibleError as error:
            self._record("failed", "INFRA", printable(str(error)), begun, {})
            raise
        except Exception as error:
            text = printable(f"internal error: {type(error).__name__}: {error}")
            self._record("failed", "INFRA", text, begun, {})
            raise
        result.update(outcome)
        result.update(round_trips=self.trips, seconds=round(time.monotonic() - begun.clock, 3), kind=kind)
        if status != "repeated":
            data = {key: outcome[key] for key in outcome if key in self.recorded}
            self._record(status, kind, outcome.get("msg", "") if status != "ok" else "", begun, data)
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
            self._look_back()
            if self.changes_host and not self.is_test_host():
                raise Refused
            return self.perform(), "ok", ""
        except Unreachable as error:
            return {"failed": True, "changed": False, "msg": str(error)}, "repeated", "INFRA"
        except Refused:
            msg = refusal(self._mark())
            return {"failed": True, "changed": False, "refused": True, "msg": msg}, "refused", "SKIP"
        except StepError as error:
            outcome = {"changed": False, **error.data, "failed": True, "msg": error.reason}
            return outcome, "failed", error.kind
        except KedrError as error:
            outcome = {"failed": True, "changed": self._may_have_changed(), "msg": printable(str(error))}
            return outcome, "failed", "FAIL" if error.kind == "FAIL" else "INFRA"

    def _may_have_changed(self) -> bool:
        """Return whether a step that does not know how it ended may have changed the host."""
        return self.changes_host and self.trips > 0 and not self.check_mode()

    def _look_back(self) -> None:
        """Raise Unreachable when contact with the host was lost so that this step is not to be tried."""
        self.contact = steps.contact(self.host_dir) if self.host_dir else self.contact
        if self.contact.losses > 1:
            raise Unreachable("the host was unreachable more than once in this run; it is not tried again")
        if self.contact.losses and not self.contact.back and not self.cleans_up():
            raise Unreachable("the host was unreachable earlier in this run; it is not tried again, but for bringing "
                              "evidence home and cleaning up")

    def cleans_up(self) -> bool:
        """Return whether this step brings evidence home or cleans up, so that it is tried after contact was lost."""
        return False

    def _checked_options(self) -> dict[str, Any]:
        name = self._task.action.rsplit(".", 1)[-1]
        _result, options = self.validate_argument_spec(argument_spec=argument_spec(name, "host"))
        return options

    def _host_dir(self) -> str:
        run_dir = self.options.get("run_dir")
        if not run_dir:
            return ""
        name = self.host_name()
        try:
            rundir.check_hosts([name])
            ownership.check(self.path(run_dir), "the run directory")
        except KedrError as error:
            raise AnsibleActionFail(str(error)) from error
        return os.path.join(self.path(run_dir), name)

    def _record(self, status: str, kind: str, reason: str, begun: steps.Begin, data: Mapping[str, Any]) -> None:
        if self.host_dir and not self.check_mode():
            steps.record(self.host_dir, self.options.get("step") or self.step_name(), begun,
                         steps.Outcome(status, kind, reason), round_trips=self.trips, data=data, boots=self.boots,
                         files=self.files)

    def step_name(self) -> str:
        """Return the name of this step when the task gives none."""
        return self.default_step

    def host_name(self) -> str:
        """Return the host's name in the inventory."""
        return str(self.task_vars.get("inventory_hostname", "localhost"))

    def elsewhere(self) -> bool:
        """Return whether the task is delegated: its connection leads to another host than its own."""
        return (self._task.delegate_to or self.host_name()) != self.host_name()

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
        """Return a file of the control node; raises ForeignError naming it when it cannot be read."""
        with about(f"{path} ({what})"), open(path, "rb") as file:
            return file.read()

    def keep(self, name: str, content: bytes | str) -> None:
        """Write file `name` of this host in the run directory, when there is one."""
        if self.host_dir and not self.check_mode():
            data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
            rundir.keep(os.path.join(self.host_dir, name), data)
            self.files[name] = hashlib.sha256(data).hexdigest()

    def append(self, name: str, text: str) -> None:
        """Append text to file `name` of this host in the run directory, when there is one."""
        if self.host_dir and not self.check_mode() and text:
            rundir.append(os.path.join(self.host_dir, name), text)

    def say(self, text: str) -> None:
        """Show one line of progress."""
        self._display.display(f"    [{self.host_name()}] {printable(text, 300)}")

    def ask(self, program: str, values: Mapping[str, str | int | Iterable[str]],
            data: bytes = b"", seconds: float = 0) -> shell.Answer:
        """Make one round trip: run `program` on the host as root or as whoever the task becomes.

        It may take `seconds`, else the deadline of the task. Raises StepError when the program stopped, ForeignError
        when its answer is not whole, AnsibleConnectionFailure when contact was lost or the time is over.
        """
        self.prepare_connection()
        if self.contact.losses and not self.contact.back and not self.elsewhere():
            self._come_back()
        return self._round_trip(shell.frame(program, values, data), seconds or self.seconds_allowed())

    def seconds_allowed(self) -> float:
        """Return how long one round trip may take; raises InputError when the deadline is not positive."""
        given_seconds = self.options.get("deadline")
        if given_seconds is not None and given_seconds <= 0:
            raise InputError(f"deadline: {given_seconds:g} is out of range: more than 0 seconds")
        return float(given_seconds or self.default_deadline())

    def default_deadline(self) -> float:
        """Return the seconds for one round trip of this task when it says nothing about it."""
        return self.usual_deadline

    def prepare_connection(self) -> None:
        """Let programs be sent on standard input, and a silent host be noticed."""
        if self._connection.has_option("pipelining"):
            self._connection.set_option("pipelining", True)
        ssh_alive.ensure(self._connection, str(self._play_context.remote_addr))

    def _round_trip(self, call: shell.Call, seconds: float) -> shell.Answer:
        self.trips += 1
        try:
            with deadline.limited(seconds), bounded.output(self.biggest_answer, shell.begin(call.nonce)) as kept:
                status, stdout, stderr = self._execute(call)
        except deadline.TimeIsUp:
            raise AnsibleConnectionFailure(f"the host did not answer within {seconds:g} s (deadline)") from None
        except ForeignError as error:
            raise ForeignError(f"the host answered {error}, and nothing of it was taken") from None
        answer = self._parse(bytes(kept) or stdout, call.nonce, status, stderr)
        self._note_boot(answer)
        return self._accepted(answer)

    def _execute(self, call: shell.Call) -> tuple[int, bytes, bytes]:
        """Run the command of `call` as Ansible does; return its exit status, output and errors.

        Ansible gets none of it, since it would make text and lines of it: up to twenty times the memory.
        """
        run, taken = self._connection.exec_command, []

        def take(*args: Any, **options: Any) -> tuple[int, bytes, bytes]:
            taken.append(run(*args, **options))
            return 0, b"", b""

        self._connection.exec_command = take
        try:
            self._low_level_execute_command(call.command, in_data=call.stdin)
        finally:
            self._connection.exec_command = run
        done: tuple[int, bytes, bytes] = taken[0]
        return done

    def _come_back(self) -> None:
        """Reach a host again after contact was lost, and end what an earlier step may still run there.

        A host that has answered in this run is tried for BACK seconds, one that never has just once.
        """
        program = ""
        if self.is_test_host() and not self.check_mode():
            program = shell.load_script("programs") + 'end_private "$k_private"\n'
        until = time.monotonic() + (BACK if self.contact.answered else 0)
        while True:
            self._drop_connection()
            try:
                self._round_trip(shell.frame(program, {}), TRY)
                break
            except AnsibleConnectionFailure as error:
                if time.monotonic() + PAUSE >= until:
                    raise AnsibleConnectionFailure(f"the host could not be reached again: {error}") from error
                time.sleep(PAUSE)
        self.contact = self.contact._replace(back=True)
        self.say("contact with the host is back")

    def _drop_connection(self) -> None:
        """Give up what is left of the connection, so that the next one is made anew."""
        if self._connection.transport != "local":
            with contextlib.suppress(AnsibleError, AttributeError, deadline.TimeIsUp), deadline.limited(TRY):
                self._connection.reset()

    def _note_boot(self, answer: shell.Answer) -> None:
        boot = "" if self.elsewhere() else answer.one("boot")
        if BOOT_ID.match(boot) and self.boots[-1:] != [boot]:
            self.boots.append(boot)

    def _parse(self, stdout: bytes, nonce: str, status: int, stderr: bytes) -> shell.Answer:
        """Return the answer in `stdout` of a command that ended with `status` and printed `stderr`."""
        try:
            return shell.parse(stdout, nonce, self.biggest_answer)
        except ForeignError as error:
            said = printable(stderr, 1000).strip()
            raise ForeignError(f"{error} (exit status {status}){': ' + said if said else ''}") from error

    @staticmethod
    def _accepted(answer: shell.Answer) -> shell.Answer:
        """Return `answer`; raises HostStopped when the program says that it stopped."""
        kind = answer.one("failed")
        if kind:
            reason = printable(answer.text("reason")).strip()
            raise HostStopped(kind if kind in ("FAIL", "INFRA", "SKIP") else "INFRA", reason, answer)
        return answer


class HostStopped(StepError):
    """A program on a host said that it could not do its work; `answer` holds what else it said."""

    def __init__(self, kind: str, reason: str, answer: shell.Answer) -> None:
        super().__init__(kind, reason)
        self.answer = answer
