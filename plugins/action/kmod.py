# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Load or unload kernel modules of a test host, in order and verified."""

from typing import Any, NamedTuple

from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError, InputError, KedrError, about
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.base.unpack import unpacked
from ansible_collections.kedr.lab.plugins.plugin_utils.host import build, modules, shell, signing
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, HostStopped, StepError

_FORETELL = """
for k_one in $k_names; do
    ! loaded "$k_one" || value loaded "$k_one"
done
takes_unsigned || value unsigned "$k_why"
"""


class Wanted(NamedTuple):
    """A module of the task: its name, its content ("" to modprobe it), and its parameters."""

    name: str
    content: bytes
    parameters: list[str]


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.kmod)."""

    changes_host = True
    biggest_answer = shell.MAX_ANSWER
    recorded = ("changed_modules", "unchanged_modules", "kernel_log", "no_file")

    def step_name(self) -> str:
        """Return the usual step: load or unload."""
        return "unload" if self.cleans_up() else "load"

    def cleans_up(self) -> bool:
        """Return whether the modules are to go."""
        return bool(self.options["state"] == "absent")

    def default_deadline(self) -> float:
        """Return the time that all modules may take, and a while for what is around them."""
        return float(self.options["timeout"] * max(len(self.options["modules"]), 1) + 120)

    def perform(self) -> dict[str, Any]:
        """Load or unload in one round trip."""
        present = self.options["state"] == "present"
        if self.options["timeout"] < 1:
            raise InputError(f"timeout: {self.options['timeout']} is out of range: at least 1 second")
        wanted = [self._wanted(entry, present) for entry in self.options["modules"]]
        if not wanted:
            return {"changed": False, "changed_modules": [], "unchanged_modules": []}
        if self.check_mode():
            return self._foretell([module.name for module in wanted], present)
        return self._load(wanted) if present else self._unload([module.name for module in wanted])

    def _wanted(self, entry: dict[str, Any], present: bool) -> Wanted:
        name = modules.name_of(entry["name"])
        if not present:
            return Wanted(name, b"", [])
        with about(name):
            parameters = [modules.parameter(*pair) for pair in (entry["params"] or {}).items()]
        path = self.path(entry["ko"]) if entry["ko"] else ""
        content = self.read_file(path, "a built module") if path else b""
        return Wanted(name, self._signed(name, path, content), parameters)

    def _signed(self, name: str, path: str, content: bytes) -> bytes:
        key, certificate = self.options["signing_key"], self.options["signing_cert"]
        if bool(key) != bool(certificate):
            raise InputError("signing_key and signing_cert (kedr_signing_key, kedr_signing_cert) go together")
        if not key or not content or signing.is_signed(content):
            return content
        self._may_be_signed(name, path)
        with about(name):
            return signing.sign(content, self.path(key), self.path(certificate))

    def _may_be_signed(self, name: str, path: str) -> None:
        """Raise KedrError when a host built the module that could have built anything to have it signed."""
        maker = build.maker(path)
        if maker and not maker.trusted and not self.options["sign_untrusted"]:
            raise KedrError(
                f"{name} was built on {maker.name}, which the inventory does not mark as a builder, so it is not "
                "signed: that host may have built anything. Build with kedr_build_root or kedr_build_host, give no "
                "kedr_signing_key, or take that risk with kedr_sign_untrusted: true"
            )

    def _foretell(self, names: list[str], present: bool) -> dict[str, Any]:
        """Say what would change, by one trip that only reads."""
        answer = self.ask(shell.load_script("signatures") + _FORETELL, {"k_names": names})
        there = set(answer.all("loaded"))
        todo = [name for name in names if (name in there) != present]
        verb = "load" if present else "unload"
        told = f"would {verb} {', '.join(todo)}" if todo else f"would {verb} nothing"
        if present and todo and answer.one("unsigned") and not self.options["signing_key"]:
            told += f"; {printable(answer.one('unsigned'), 200)}: only signed modules are loaded"
        self.say(told)
        return {"changed": bool(todo), "msg": told, "changed_modules": todo,
                "unchanged_modules": [name for name in names if name not in todo],
                **self._diff(names, there, present)}

    def _load(self, wanted: list[Wanted]) -> dict[str, Any]:
        files = {}
        unsigned = [module.name for module in wanted if module.content and not signing.is_signed(module.content)]
        lines = ["need_root 'Loading modules'\n", modules.call("need_signed", *unsigned),
                 "private_dir\nunpack\nremember_log\n"]
        fresh = "yes" if self.options["fresh"] else "no"
        for module in wanted:
            file = f"{module.name}.ko" if module.content else ""
            identity = self._identity(module)
            if file:
                files[file] = module.content
            lines.append(modules.call("load", module.name, f"./{file}" if file else "", fresh,
                                      identity.srcversion, identity.build_id, *module.parameters))
            if not file and self.host_dir:
                lines.append(modules.call("bring", module.name))
        try:
            answer = self.ask(shell.load_script("kmod", "signatures") + "".join(lines), self._limit(),
                              shell.make_tar(files))
        except HostStopped as error:
            raise self._explained(error) from error
        outcome = self._outcome_of(answer, [module.name for module in wanted], present=True)
        own = [module.name for module in wanted if not module.content and self.host_dir]
        return {**outcome, "no_file": {name: why for name in own if (why := self._keep_file(answer, name))}}

    def _keep_file(self, answer: shell.Answer, name: str) -> str:
        """Keep the file of a module that the host brings, if it is what was loaded; else return why it is not."""
        path = printable(_rest_of(answer, "origin", name), 300)
        if not path:
            return "neither modinfo nor modules.dep of the host says where its file is"
        try:
            content = unpacked(answer.blobs.get(f"{name}.ko", b""))
            modules.same_build(content, _rest_of(answer, "identity", name))
        except ForeignError as error:
            return f"{path} of the host cannot be used: {error}"
        self.keep(f"modules/{name}.ko", content)
        return ""

    def _limit(self) -> dict[str, int]:
        return {"k_timeout": self.options["timeout"]}

    def _identity(self, module: Wanted) -> modules.Identity:
        if not module.content:
            return modules.Identity("", "")
        with about(f"{module.name}: its file"):
            return modules.identity(module.content)

    def _explained(self, error: HostStopped) -> StepError:
        """Return `error` with the kernel's lines and with what they mean."""
        name = error.answer.one("refused")
        if not name:
            return error
        log = error.answer.text("log").strip()
        words = modules.meaning(error.reason, log)
        parts = [f"{name} was not loaded: {error.reason}"]
        if words:
            parts.append(f"what it means: {words}")
        if log:
            parts.append(f"the kernel said:\n{modules.shown(log)}")
        undone = error.answer.all("not_undone")
        if undone:
            parts.append(f"still loaded from this task: {', '.join(undone)}")
        kind = "INFRA" if "o space left" in error.reason else error.kind
        kind = "SKIP" if modules.wants_signature(error.reason, log) else kind
        return StepError(kind, "\n".join(parts), module=name, changed=bool(undone), kernel_log=printable(log, 20_000))

    def _unload(self, names: list[str]) -> dict[str, Any]:
        rest = "yes" if self.options["dependencies"] else "no"
        lines = ["need_root 'Unloading modules'\nprivate_dir\nremember_log\n",
                 *(modules.call("unload", name, rest) for name in names)]
        answer = self.ask(shell.load_script("kmod") + "".join(lines), self._limit())
        stuck = answer.all("stuck")
        if not stuck:
            return self._outcome_of(answer, names, present=False)
        parts = []
        for line in answer.all("users"):
            name, _blank, users = line.partition(" ")
            said = answer.text(f"error-{name}").strip() or "rmmod said nothing"
            parts.append(f"{name} was not unloaded: {said}{modules.holders(users)}")
        log = "".join(answer.text(f"log-{name}") for name in stuck[:1])
        raise StepError("FAIL", printable("\n".join(parts)), module=stuck[0],
                        changed=bool(answer.all("changed")), kernel_log=printable(log, 3000))

    def _outcome_of(self, answer: shell.Answer, names: list[str], present: bool) -> dict[str, Any]:
        changed, unchanged = answer.all("changed"), answer.all("unchanged")
        if sorted(changed + unchanged) != sorted(names):
            raise ForeignError("the host did not account for every module")
        before = set(unchanged if present else names) - set(() if present else unchanged)
        return {"changed": bool(changed), "changed_modules": changed, "unchanged_modules": unchanged,
                **self._diff(names, before, present)}

    def _diff(self, names: list[str], before: set[str], present: bool) -> dict[str, Any]:
        if not self._task.diff:
            return {}
        after = set(names) if present else set()
        return {"diff": {"before": _listed(names, before), "after": _listed(names, after)}}


def _rest_of(answer: shell.Answer, key: str, name: str) -> str:
    """What the host said about module `name` under `key`."""
    return next((rest for word, _blank, rest in (line.partition(" ") for line in answer.all(key)) if word == name), "")


def _listed(names: list[str], there: set[str]) -> str:
    return "".join(f"{name}: {'loaded' if name in there else 'not loaded'}\n" for name in names)
