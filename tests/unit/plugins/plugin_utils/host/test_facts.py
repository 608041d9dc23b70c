# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a kernel: the answer of a host, real or hostile, becomes the shared dictionary or an error."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.host import facts, shell


def answer(**values: str | list[str]) -> shell.Answer:
    """An answer with the least that a host says, and `values`; those in capitals are texts."""
    got = shell.Answer()
    everything: dict[str, str | list[str]] = {"release": "6.12.1", "machine": "x86_64", **values}
    for key, value in everything.items():
        if key.isupper():
            got.blobs[key.lower()] = str(value).encode()
        else:
            got.values[key] = [value] if isinstance(value, str) else value
    return got


def test_what_this_machine_answers_becomes_facts() -> None:
    call = shell.frame(shell.load_script("tracefs", "prepared", "programs", "kernel_log", "kernel_facts"), {
        "k_symbols": ["kfree"], "k_configs": ["CONFIG_X86_64"], "k_target": "cp_target", "k_marker": ""})
    done = subprocess.run(call.command, shell=True, input=call.stdin, capture_output=True, check=False, timeout=60)
    found = facts.facts_of_answer(shell.parse(done.stdout, call.nonce))
    assert (found["release"], found["machine"]) == (os.uname().release, os.uname().machine)
    assert found["release"].endswith(found["flavour"])
    assert found["build"] == os.uname().version
    assert found["cpus"] >= 1
    assert found["uptime"] > 0
    assert len(found["boot_id"]) == 36
    assert found["tools"]["awk"] is True
    assert found["target_loaded"] is False
    assert found["leftovers"] == {"modules": [], "instances": [], "programs": []}


@pytest.mark.parametrize(("named", "compiler"), [
    ("(x@y) (gcc version 4.4.1 (Ubuntu 4.4.1-4ubuntu8) ) #5", "gcc version 4.4.1 (Ubuntu 4.4.1-4ubuntu8)"),
    ("(x@y) (clang version 19.1.0, LLD 19.1.0) #1", "clang version 19.1.0, LLD 19.1.0"),
    ("(x@clang-box) (Debian clang version 17 (++x), LLD 17) #1", "Debian clang version 17 (++x), LLD 17"),
    ("(x@y) (Android (113, +pgo) clang version 18.0.0, LLD 18) #1", "Android (113, +pgo) clang version 18.0.0, LLD 18"),
    ("(x@y) #1", ""),
])  # fmt: skip
def test_the_compiler_of_a_kernel_is_found_whatever_is_written_before_its_name(named: str, compiler: str) -> None:
    assert facts.kernel_compiler(f"Linux version 6.12.1 {named} SMP") == compiler


def test_texts_of_a_host_are_read() -> None:
    found = facts.facts_of_answer(answer(
        OS_RELEASE='NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n# x\n',
        VERSION="Linux version 6.12.1 (x@y) (gcc-14 (Debian 14.2.0-19) 14.2.0, GNU ld 2.44) #1 SMP (2026-01-01)\n",
        CLOCKS="[local] global mono\n", MODULES="ext4 1 2 - Live 0x0\ncrc16 1 1 ext4, Live 0x0\n",
        EXPORTS="kfree\n", CONFIG="CONFIG_SLAB_BUCKETS\n", lockdown="none [integrity] confidentiality",
        sig_enforce="Y", left_module=["my_payload1", "cp_controller"], left_instance=["kedr-1"],
        ended_program=["/tmp/kedr-0a1b"],
        tool=["gcc yes", "make no"], lacks=["make", "libc"], KEYS="Debian Secure Boot CA: 6ccece7e\n",
        config_sum="1-2", symvers_sum="3-4", taint="4096"))
    assert found["system"] == "Debian GNU/Linux 13 (trixie)"
    assert (found["os_id"], found["os_version"]) == ("debian", "13")
    assert found["kernel_compiler"] == "gcc-14 (Debian 14.2.0-19) 14.2.0, GNU ld 2.44"
    assert found["clocks"] == ["local", "global", "mono"]
    assert found["modules"] == ["crc16", "ext4"]
    assert (found["exports"], found["config"]) == (["kfree"], ["CONFIG_SLAB_BUCKETS"])
    assert (found["lockdown"], found["sig_enforce"], found["taint"]) == ("integrity", True, 4096)
    assert found["leftovers"] == {"modules": [{"name": "my_payload1"}, {"name": "cp_controller"}],
                                  "instances": ["kedr-1"], "programs": ["/tmp/kedr-0a1b"]}
    assert found["tools"] == {"gcc": True, "make": False}
    assert (found["lacks"], found["trusted_keys"]) == (["make", "libc"], ["Debian Secure Boot CA: 6ccece7e"])
    assert found["config_sum"] == "1-2:3-4"


def test_a_host_without_a_kernel_tree_still_has_facts() -> None:
    found = facts.facts_of_answer(answer())
    assert (found["kernel_tree"], found["config_sum"], found["exports"]) == ("", "", [])


@pytest.mark.parametrize("odd", [
    {"release": "6.12; rm -rf /"}, {"release": "../../x"}, {"release": ""}, {"machine": "x\x1b[2J"},
    {"kernel_tree": "relative"}, {"kernel_tree": "/lib/$(x)"}, {"left_module": ["a b"]}, {"left_instance": ["../.."]},
    {"ended_program": ["/etc"]}, {"ended_program": ["/tmp/kedr-x y"]},
    {"EXPORTS": "kfree;x"}, {"MODULES": "ev/il 1 2"}, {"taint": "lots"},
    {"lacks": ["everything"]},
])
def test_a_name_that_cannot_be_one_is_an_error(odd: dict) -> None:
    with pytest.raises(ForeignError) as error:
        facts.facts_of_answer(answer(**odd))
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(("os_id", "like", "words"), [
    ("debian", [], "apt install linux-headers-6.1"), ("mint", ["ubuntu", "debian"], "apt install linux-headers-6.1"),
    ("fedora", [], "dnf install kernel-devel-6.1"), ("rocky", ["rhel", "centos", "fedora"], "kernel-devel-6.1"),
    ("opensuse-leap", ["suse", "opensuse"], "zypper install 'kernel-default-devel = 6.1'"),
    ("arch", [], "pacman -S linux-headers"),
    ("alpine", [], "apk add"), ("", [], "headers of kernel 6.1"),
])
def test_the_package_with_the_headers_is_named(os_id: str, like: list[str], words: str) -> None:
    assert words in facts.headers_package({"release": "6.1", "os_id": os_id, "os_like": like})
    assert "gcc" in facts.compiler_packages({"os_id": os_id, "os_like": like})
