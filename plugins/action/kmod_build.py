# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build kernel modules for a host's kernel, or take them from the cache."""

import os
import re
import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.kedr.lab.plugins.plugin_utils.base import ownership
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import KedrError, about
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.host import build, build_root, shell
from ansible_collections.kedr.lab.plugins.plugin_utils.host import facts as host_facts
from ansible_collections.kedr.lab.plugins.plugin_utils.host import modules as host_modules
from ansible_collections.kedr.lab.plugins.plugin_utils.host.action import HostAction, Refused, StepError, marked


class ActionModule(HostAction):
    """See the documentation of M(kedr.lab.kmod_build)."""

    default_step = "build"
    recorded = ("modules",)
    usual_deadline = 3600.0
    biggest_answer = shell.MAX_ANSWER

    def perform(self) -> dict[str, Any]:
        """Look up every module by its content key; build the missing ones in one go."""
        self.facts: dict[str, Any] = self.options["facts"]
        clang = host_facts.clang(self.facts)
        if clang:
            raise KedrError(f"the kernel of this host was built with {clang}; its modules must be built with "
                            "LLVM=1, which kedr.lab does not do yet: use a kernel that was built with gcc")
        self.builder = self._builder()
        self.cache_dir = self._own(self.options["cache_dir"], "the cache")
        self.common, self.modules = self._sources()
        self.keys = build.content_keys(self.facts, self.builder, self.common, self.modules)
        if self.check_mode():
            return self._foretell()
        self.fresh: set[str] = set()
        entries = {}
        try:
            missing = self._missing()
            if missing:
                with build.locked(self.cache_dir, [self.keys[module.name] for module in missing]):
                    self._build_missing()
            entries = {module.name: build.look_up(self.cache_dir, self.keys[module.name]) for module in self.modules}
        except OSError as error:
            raise KedrError(f"the cache {self.cache_dir} cannot be used: {error.strerror}: "
                            f"{error.filename}") from error
        return self._result(entries)

    def _builder(self) -> build.Builder:
        """Return who builds for this host: its build root, the host that the task is delegated to, or itself."""
        if self.options["build_root"]:
            tree = self._own(self.options["build_root"], "the build root")
            return build.Builder("root", os.path.realpath(tree), "", True)
        name = str(self._task.delegate_to or self.host_name())
        address = f"{self._connection.transport} {self._play_context.remote_addr} {self._play_context.port}"
        return build.Builder("host", name, address, self._is_builder(name))

    def _is_builder(self, name: str) -> bool:
        """Return whether the inventory marks host `name` as a builder; what the host says of itself does not count."""
        others = self.task_vars.get("hostvars", {})
        own = name == self.host_name()
        if not own and name not in others:
            return False
        variables = self.task_vars if own else others[name]
        return marked(variables.get("kedr_builder")) and "kedr_builder" not in variables.get("ansible_facts", {})

    def _own(self, path: str, what: str) -> str:
        path = self.path(path)
        ownership.check(path, what)
        return path

    def _sources(self) -> tuple[dict[str, bytes], list[build.ModuleSources]]:
        kernel_dir = self.path(self.options["kernel_dir"])
        with about(f"the kernel sources {kernel_dir}"):
            common = build.common_files(kernel_dir)
        modules = []
        for wanted in self.options["modules"]:
            source = self.path(wanted["source"])
            with about(f"the sources {source} of {wanted['name']}"):
                files = build.read_sources(source)
            if "Kbuild" not in files and "Makefile" not in files:
                raise KedrError(f"{source}: no Kbuild there, so {wanted['name']} cannot be built")
            needs = tuple(host_modules.name_of(need) for need in wanted["needs"])
            modules.append(build.ModuleSources(host_modules.name_of(wanted["name"]), files, needs))
        return common, modules

    def _missing(self) -> list[build.ModuleSources]:
        return [module for module in self.modules if not build.look_up(self.cache_dir, self.keys[module.name])]

    def _foretell(self) -> dict[str, Any]:
        names = [module.name for module in self._missing()]
        if names:
            self._permitted()
        msg = f"would build {', '.join(names)}" if names else "everything is in the cache"
        self.say(msg)
        return {"changed": bool(names), "msg": msg, "modules": {}, "load": []}

    def _permitted(self) -> None:
        """Raise when the build would run on a host that is marked neither as a builder nor as this test host itself."""
        if self.builder.trusted:
            return
        if self.elsewhere():
            raise KedrError(f"{self.builder.name} is to build for this host and is not marked as a builder: "
                            "set kedr_builder: true for it in the inventory (a boolean)")
        if not self.is_test_host():
            raise Refused

    def _build_missing(self) -> None:
        missing = self._missing()
        if not missing:
            return
        self._permitted()
        tree = self._tree()
        names = {module.name for module in missing}
        symvers = {}
        for module in self.modules:
            entry = build.look_up(self.cache_dir, self.keys[module.name])
            if entry and module.name not in names:
                symvers[module.name] = self.read_file(entry.file(f"{module.name}.symvers"), "a built module's symbols")
        probes = build.look_up(self.cache_dir, self.keys[build.PROBES])
        header = self.read_file(probes.file("config.h"), "the probes' header") if probes else None
        tar = shell.make_tar(build.stage(self.common, missing, symvers, header))
        listed = [module.name for module in missing]
        self.say(f"building {', '.join(listed)} for {self.facts['release']}")
        values = {"k_tree": tree, "k_modules": listed}
        root = self.options["build_root"]
        answer = self._build_in_root(self.path(root), values, tar) if root else self._build_on_host(values, tar)
        self._take(answer, missing, header is None)

    def _tree(self) -> str:
        """Return the kernel tree to build in, as seen where the build runs."""
        release = str(self.facts.get("release", ""))
        if self.options["build_root"]:
            tree = f"/lib/modules/{release}/build"
            root = self.path(self.options["build_root"])
            if not os.path.isdir(os.path.join(root, "lib/modules", release)):
                raise KedrError(f"{root}: no headers of kernel {release} in this build root; install "
                                f"them there: {host_facts.headers_package(self.facts)}")
            return tree
        if self.elsewhere():
            return f"/lib/modules/{release}/build"
        if not self.facts.get("kernel_tree"):
            raise KedrError(f"the host has no headers of its kernel {release}; install them: "
                            f"{host_facts.headers_package(self.facts)}")
        lacking = [tool for tool in ("make", "gcc", "ld") if not self.facts["tools"].get(tool)]
        if lacking:
            raise KedrError(f"the host has no {', '.join(lacking)}; install what builds modules: "
                            f"{host_facts.compiler_packages(self.facts)}")
        return str(self.facts["kernel_tree"])

    def _build_on_host(self, values: Mapping[str, Any], tar: bytes) -> shell.Answer:
        try:
            return self.ask(shell.load_script("kmod_build"), values, tar)
        except AnsibleConnectionFailure as error:
            if not self.elsewhere():
                raise
            raise KedrError(f"lost contact with {self.builder.name}, which builds for this host: "
                            f"{printable(str(error), 1000)}") from error

    def _build_in_root(self, root: str, values: Mapping[str, Any], tar: bytes) -> shell.Answer:
        """Build in a root tree of the control node, confined; nothing is left in it."""
        call = shell.frame(shell.load_script("kmod_build"), values, tar)
        done = build_root.run(root, call, self.seconds_allowed(), self.biggest_answer)
        return self._accepted(self._parse(done.stdout, call.nonce, done.returncode, done.stderr))

    def _take(self, answer: shell.Answer, missing: list[build.ModuleSources], probed: bool) -> None:
        """Keep the log, put what was built into the cache, fail when something was not."""
        self._keep_log(answer, missing)
        said = answer.text("said").splitlines()
        files = shell.read_tar(answer.blobs["result.tar"]) if "result.tar" in answer.blobs else {}
        made = {"by": self.builder._asdict(), "compiler": printable(answer.one("compiler"), 200),
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                **{f"kernel_{name}": self.facts.get(name, "") for name in build.MACHINE_FACTS}}
        if probed and "broken-tree" not in said and build.CONFIG_HEADER in files:
            build.store(self.cache_dir, self.keys[build.PROBES], build.PROBES,
                        {"config.h": files[build.CONFIG_HEADER]}, made)
        built = {line.split()[1] for line in said if re.match(r"built \S+", line)}
        for module in missing:
            if module.name not in built:
                continue
            try:
                result = build.result_files(module.name, files)
            except KeyError as error:
                detail = answer.one("pack_error") or f"{error.args[0]} did not come back"
                raise KedrError(f"{module.name} was built and could not be fetched: {detail}") from error
            build.store(self.cache_dir, self.keys[module.name], module.name, result, made)
            self.fresh.add(module.name)
        for module in missing:
            if module.name not in built:
                self._fail(answer, module.name, said)

    def _keep_log(self, answer: shell.Answer, missing: list[build.ModuleSources]) -> None:
        parts = [f"== build.sh\n{answer.text('said')}"]
        for name in ["probes.log", *(f"{module.name}.log" for module in missing)]:
            if name in answer.blobs:
                parts.append(f"== {name}\n{answer.text(name)}")
        path = os.path.join(self.host_dir, "build.log")
        earlier = b""
        if self.host_dir and os.path.exists(path):
            earlier = self.read_file(path, "the build log")
        self.keep("build.log", earlier + "".join(parts).encode())

    def _fail(self, answer: shell.Answer, name: str, said: list[str]) -> None:
        where = "; the whole log is in build.log of the run directory" if self.host_dir else ""
        broken = "broken-tree" in said
        log = answer.text("probes.log") if broken else answer.text(f"{name}.log")
        lines = printable(build.errors_of_log(log or "\n".join(said)))
        if "No space left on device" in log or any("No space left on device" in line for line in said):
            raise KedrError(f"No space left where {name} was built: free some and run again")
        if "headers are missing; install" in log:
            raise KedrError(f"{name} cannot be built where it is built:\n{lines}")
        if broken:
            raise KedrError(f"no module at all can be built in the kernel tree{where}:\n{lines}")
        raise StepError("FAIL", f"{name} does not compile for {self.facts['release']}{where}:\n{lines}")

    def _result(self, entries: Mapping[str, build.Entry | None]) -> dict[str, Any]:
        modules: dict[str, Any] = {}
        for name, entry in entries.items():
            if entry is None:
                raise KedrError(f"the cache entry of {name} vanished while it was used: run again")
            programs = {os.path.basename(path): entry.file(path) for path in entry.files if path.startswith("user/")}
            modules[name] = {
                "ko": entry.file(f"{name}.ko"), "symvers": entry.file(f"{name}.symvers"), "programs": programs,
                "cached": name not in self.fresh, "key": entry.key,
            }
            self.keep(f"modules/{name}.ko", self.read_file(modules[name]["ko"], "a built module"))
        return {
            "changed": bool(self.fresh), "modules": modules,
            "load": [{"name": name, "ko": modules[name]["ko"]} for name in modules],
        }
