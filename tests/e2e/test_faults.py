# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on real guests is named for what it is, and never judged OK."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
from guests import DATA, OURS, Lab, Run, Verify, loaded_modules, play, playbook

PAYLOADS = [str(DATA / f"my_payload{number}.data") for number in (1, 2, 3)]


def verdict(run: Run, host: str = "one") -> tuple[str, str]:
    """Verdict and reason of a host; a run with a host that is not OK must not exit with 0."""
    row = run.results[host]
    assert (run.status == 0) == all(each["verdict"] == "OK" for each in run.results.values())
    return row["verdict"], row["reason"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("function.name = kfree", "function.nam = kfree", "function.nam"),
        ("function.name = kfree", "function.name kfree", "'=' is missing"),
        ("function.name = kfree", "function.name = k-free", "k-free"),
    ],
)
def test_a_mistake_in_a_data_file_is_named_with_its_line(lab, verify, payload_copy, clean_host, old, new, said) -> None:
    path = payload_copy("my_payload1.data", old, new)
    line = path.read_text().splitlines().index(new) + 1
    run = verify(lab, limit=clean_host, kedr_payloads=[str(path)])
    word, reason = verdict(run)
    assert word == "FAIL"
    assert f"my_payload1.data:{line}: " in reason
    assert said in reason
    assert "Traceback" not in run.output


def test_a_payload_that_does_not_compile_shows_the_compilers_line(lab, verify, clean_host, tmp_path) -> None:
    path = tmp_path / "my_payload1.data"
    path.write_text((DATA / "my_payload1.data").read_text() + "epilogue = no_such_function();\n")
    line = len(path.read_text().splitlines())
    word, reason = verdict(verify(lab, limit=clean_host, kedr_payloads=[str(path)]))
    assert word == "FAIL"
    assert f"my_payload1.data:{line}" in reason
    assert "no_such_function" in reason


def test_a_function_that_no_kernel_exports_is_named_with_the_names_tried(lab, verify, payload_copy, clean_host) -> None:
    path = payload_copy("my_payload1.data", "function.name = kfree", "function.name = kfree_nowhere")
    run = verify(lab, limit=clean_host, kedr_payloads=[str(path)])
    word, reason = verdict(run)
    assert word == "FAIL"
    assert "kfree_nowhere" in reason
    assert run.results["one"]["kernel"] in reason


def test_a_target_that_does_not_exist_fails(lab, verify, clean_host, tmp_path) -> None:
    expect = tmp_path / "expect.yml"
    expect.write_text((DATA / "expect" / "cp_target.yml").read_text().replace("cp_target", "no_such_module"))
    script = str(DATA.parent / "roles" / "cp_target" / "files" / "exercise.sh")
    word, reason = verdict(
        verify(
            lab,
            limit=clean_host,
            kedr_target="no_such_module",
            kedr_expect=str(expect),
            kedr_payloads=PAYLOADS,
            kedr_exercise=script,
        )
    )
    assert word == "FAIL"
    assert "no_such_module" in reason


def test_a_target_that_is_loaded_already_fails_and_stays_loaded(lab, verify, clean_host) -> None:
    good = verify(lab, limit=clean_host)
    content = (good.directory / "one" / "modules" / "cp_target.ko").read_bytes()
    lab.ssh("one", "cat >/tmp/t.ko && insmod /tmp/t.ko", stdin=content)
    word, reason = verdict(verify(lab, limit=clean_host))
    still = loaded_modules(lab, "one")
    lab.ssh("one", "rmmod cp_target")
    assert word == "FAIL"
    assert "cp_target is loaded already" in reason
    assert "cp_target" in still


def test_a_target_whose_init_fails_is_reported_with_the_kernels_reason(lab, verify, clean_host) -> None:
    run = verify(lab, limit=clean_host, cp_target_params={"cfake_block_size": "0"})
    word, reason = verdict(run)
    assert word == "FAIL"
    assert "target" in reason
    assert "cfake_block_size" in reason


def test_an_unmarked_host_is_refused_before_anything_is_loaded(lab, verify, clean_host) -> None:
    before = lab.ssh("one", "dmesg | wc -l")
    run = verify(lab, limit=clean_host, kedr_test_host=False)
    word, reason = verdict(run)
    assert word == "SKIP"
    assert "kedr_test_host" in reason
    assert run.status != 0
    assert lab.ssh("one", "dmesg | wc -l") == before


def test_a_host_without_a_kernel_tree_is_infra_and_says_what_to_install(lab, verify, clean_host) -> None:
    release = lab.ssh("one", "uname -r").strip()
    places = [f"/lib/modules/{release}/build", f"/usr/src/linux-headers-{release}"]
    lab.ssh("one", "; ".join(f"mv {place} {place}.away" for place in places))
    try:
        word, reason = verdict(verify(lab, limit=clean_host, kedr_build_root=""))
    finally:
        lab.ssh("one", "; ".join(f"mv {place}.away {place}" for place in places))
    assert word == "INFRA"
    assert f"linux-headers-{release}" in reason


def test_a_full_disk_on_the_host_is_infra(lab, verify, clean_host) -> None:
    lab.ssh("one", "mount -t tmpfs -o size=64k none /tmp && dd if=/dev/zero of=/tmp/full bs=1k 2>/dev/null; true")
    try:
        word, reason = verdict(verify(lab, limit=clean_host))
    finally:
        lab.ssh("one", "umount /tmp")
    assert word == "INFRA"
    assert "No space left" in reason


def test_a_tracefs_that_cannot_be_mounted_is_infra(lab, verify, clean_host) -> None:
    lab.ssh("one", "umount /sys/kernel/tracing; mount --bind /bin/false /usr/bin/mount")
    try:
        word, reason = verdict(verify(lab, limit=clean_host))
    finally:
        lab.ssh("one", "umount /usr/bin/mount")
    assert word == "INFRA"
    assert "tracefs" in reason


def test_ctrl_c_then_a_second_run_ends_what_still_runs_cleans_up_and_succeeds(lab, verify, tmp_path) -> None:
    """The exercise goes on on the host when its run is interrupted, and holds the target."""
    holding = tmp_path / "hold.sh"
    holding.write_text("exec </dev/cfake0\necho held >/dev/kmsg\nsleep 300\n")
    process = verify.start(lab, limit="one", cp_target_exercise=str(holding))
    verify.wait_for_step("one", "target")
    lab.ssh("one", "for i in $(seq 100); do ! dmesg | grep -q '] held$' || exit 0; sleep 0.2; done; exit 1")
    interrupted = verify.interrupt(process)
    assert interrupted.status != 0
    assert loaded_modules(lab, "one").issuperset(OURS)
    assert "hold.sh" in lab.ssh("one", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    again = verify(lab, limit="one")
    assert verdict(again)[0] == "OK", again.output
    assert "ended what an interrupted run left running in /tmp/kedr-" in again.output
    assert not loaded_modules(lab, "one").intersection(OURS)
    assert lab.ssh("one", "ls -d /tmp/kedr-* 2>/dev/null; true") == ""


def test_a_guest_killed_in_the_middle_is_a_crash_and_the_other_host_loses_nothing(own_lab, verify) -> None:
    both = own_lab({"name": "victim"}, {"name": "bystander"})
    process = verify.start(both)
    verify.wait_for_step("victim", "trace")
    with open(both.hosts["victim"]["kedr_qemu_pidfile"]) as pidfile:
        os.kill(int(pidfile.read()), signal.SIGKILL)
    run = verify.finish(process)
    assert verdict(run, "victim")[0] == "CRASH", run.output
    assert verdict(run, "bystander")[0] == "OK", run.output
    assert run.status != 0


def test_an_oops_of_the_guest_is_a_crash_that_shows_the_console(own_lab, verify, tmp_path) -> None:
    panicking = tmp_path / "panic.sh"
    panicking.write_text("echo c >/proc/sysrq-trigger\n")
    run = verify(own_lab({"name": "one"}), cp_target_exercise=str(panicking))
    word, reason = verdict(run)
    assert word == "CRASH", run.output
    assert "sysrq" in (reason + str(run.results["one"].get("evidence"))).lower()
    assert "Kernel panic" in (run.directory / "one" / "console.log").read_text(errors="replace")


def test_a_kernel_that_wants_signed_modules_is_skipped_before_any_is_tried(own_lab, verify) -> None:
    lab = own_lab({"name": "one", "cmdline": "module.sig_enforce=1"})
    run = verify(lab)
    word, reason = verdict(run)
    assert word == "SKIP", run.output
    assert "module.sig_enforce is on" in reason
    assert "kedr_signing_key" in reason
    facts = json.loads((run.directory / "one" / "facts.json").read_text())
    assert facts["sig_enforce"] is True
    assert facts["trusted_keys"]
    assert "unsigned module" not in lab.ssh("one", "dmesg")

    assert_an_untrusted_key_is_told(lab, verify)


def assert_an_untrusted_key_is_told(lab: Lab, verify: Verify) -> None:
    """On a kernel that takes signed modules only, one that is signed with a key of our own is tried and explained."""
    key, certificate = lab.directory / "own.key", lab.directory / "own.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
         "-subj", "/CN=nobody trusts this"], check=True, capture_output=True,
    )  # fmt: skip
    word, reason = verdict(verify(lab, kedr_signing_key=str(key), kedr_signing_cert=str(certificate)))
    assert word == "SKIP"
    assert "Key was rejected by service" in reason
    assert "the kernel does not trust the key: enroll the certificate of kedr_signing_cert" in reason
    assert "mokutil --import" in reason
    assert "module with unavailable key is rejected" in reason


def test_a_check_says_what_would_be_loaded_and_does_nothing(lab, verify, clean_host) -> None:
    before = lab.ssh("one", "dmesg | wc -l")
    done = playbook(*verify.argv(lab, clean_host, {}), "--check", lab=lab.directory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[one] would load cp_controller, my_payload1, my_payload2, my_payload3" in done.stdout
    assert "[one] would load cp_target" in done.stdout
    assert lab.ssh("one", "dmesg | wc -l") == before
    assert not verify.runs.exists()


def test_a_kernel_that_hides_tracefs_is_infra(own_lab, tmp_path) -> None:
    locked = own_lab({"name": "one", "cmdline": "lockdown=confidentiality"})
    status, said = play(locked, tmp_path, "one", trace={"instance": "kedr-test", "events": ["sched:sched_switch"]})
    assert status != 0
    assert "tracefs" in said


def test_a_module_for_another_kernel_is_refused_with_the_kernels_words(lab, verify, clean_host, tmp_path) -> None:
    good = verify(lab, limit=clean_host)
    other = tmp_path / "cp_controller.ko"
    content = (good.directory / "one" / "modules" / "cp_controller.ko").read_bytes()
    assert b" mod_unload " in content
    # Where symbols carry versions, the kernel looks at what follows the release only.
    other.write_bytes(content.replace(b" mod_unload ", b" mod_unlXXX "))
    status, said = play(lab, tmp_path, "one", kmod={"modules": [{"name": "cp_controller", "ko": str(other)}]})
    assert status != 0
    assert "vermagic" in said or "version magic" in said


def test_a_payload_without_its_controller_is_refused_for_unknown_symbols(lab, verify, clean_host, tmp_path) -> None:
    good = verify(lab, limit=clean_host)
    module = good.directory / "one" / "modules" / "my_payload1.ko"
    status, said = play(lab, tmp_path, "one", kmod={"modules": [{"name": "my_payload1", "ko": str(module)}]})
    assert status != 0
    assert "Unknown symbol" in said
    assert "kedr_payload_register" in said
