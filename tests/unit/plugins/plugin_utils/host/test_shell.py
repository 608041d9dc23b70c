# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to speak sh to a host: framing, the answer's parser against hostile answers, tars."""

from __future__ import annotations

import io
import pathlib
import shutil
import subprocess
import tarfile

import pytest
from ansible_collections.kedr.lab.plugins.plugin_utils.base.errors import ForeignError
from ansible_collections.kedr.lab.plugins.plugin_utils.base.foreign import printable
from ansible_collections.kedr.lab.plugins.plugin_utils.host import shell as hostshell

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


def run(program: str, values: dict | None = None, data: bytes = b"", shell: str = "sh") -> hostshell.Answer:
    """Run a framed program here; `shell` takes the place of the host's sh."""
    call = hostshell.frame(program, values or {}, data)
    word = {"busybox": "busybox sh", "bash": "bash --posix"}.get(shell, shell)
    command = call.command.replace("sh -c", f"{word} -c", 1)
    done = subprocess.run(command, shell=True, input=call.stdin, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return hostshell.parse(done.stdout, call.nonce)


def answer(body: str | bytes, nonce: str = "n") -> hostshell.Answer:
    body = body.encode() if isinstance(body, str) else body
    return hostshell.parse(b"kedr-begin n\n" + body + b"kedr-end n\n", nonce)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_answers_values_texts_and_files_in_every_shell(shell: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "b").write_bytes(b"\0\xff\nx")
    got = run('value key "$k_text"\nprintf "one\\ntwo" | text lines\nblob bytes "$k_file"\n',
              {"k_text": "it's $HOME\nand more", "k_file": str(tmp_path / "b")}, shell=shell)
    assert got.one("key") == "it's $HOME and more"
    assert got.text("lines") == "one\ntwo\n"
    assert got.blobs["bytes"] == b"\0\xff\nx"


@pytest.mark.parametrize("shell", SHELLS)
def test_data_after_the_program_reaches_it_byte_for_byte(shell: str, tmp_path: pathlib.Path) -> None:
    data = bytes(range(256)) * 300
    got = run('cat >"$k_file"; blob back "$k_file"\n', {"k_file": str(tmp_path / "x")}, data, shell)
    assert got.blobs["back"] == data


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tar_is_unpacked_in_a_private_directory_that_is_gone_afterwards(shell: str) -> None:
    data = hostshell.make_tar({"a/b/one.txt": b"1\n", "two.sh": b"echo 2\n"})
    got = run('private_dir\nvalue dir "$k_dir"\nvalue mode "$(ls -ld "$k_dir")"\nunpack\n'
              "text one <a/b/one.txt\nsh two.sh | text two\n", {}, data, shell)
    assert (got.text("one"), got.text("two")) == ("1\n", "2\n")
    assert got.one("mode").startswith("drwx------")
    assert not pathlib.Path(got.one("dir")).exists()


def test_a_program_that_stops_says_why_and_reads_what_is_still_sent() -> None:
    got = run('stop INFRA "no such thing\n.\nkedr-end"', {}, b"x" * 1_000_000)
    assert got.one("failed") == "INFRA"
    assert got.text("reason") == "no such thing\n.\nkedr-end\n"


def test_no_value_reaches_the_command_line() -> None:
    call = hostshell.frame("true", {"k_secret": "hunter2"})
    assert "hunter2" not in call.command
    assert b"hunter2" in call.stdin


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_that_is_cut_short_is_not_begun(shell: str, tmp_path: pathlib.Path) -> None:
    call = hostshell.frame(f"touch {tmp_path}/done\nvalue a 1\n", {})
    word = {"busybox": "busybox sh", "bash": "bash --posix"}.get(shell, shell)
    command = call.command.replace("sh -c", f"{word} -c", 1)
    end = call.stdin.index(b"value a 1")
    for sent in (call.stdin[:end], call.stdin[:-3]):
        done = subprocess.run(command, shell=True, input=sent, capture_output=True, check=False, timeout=60)
        assert done.stdout == b""
        assert not (tmp_path / "done").exists()
    subprocess.run(command, shell=True, input=call.stdin, capture_output=True, check=True, timeout=60)
    assert (tmp_path / "done").exists()


def test_lists_become_lines_and_what_a_shell_cannot_hold_is_refused() -> None:
    assert hostshell.quote_values({"k_list": ["a b", "c"]}) == "k_list='a b\nc'\n"
    for values in ({"PATH": "x"}, {"k_list": ["a\nb"]}, {"k_x": "a\0b"}):
        with pytest.raises(ValueError, match=r"."):
            hostshell.quote_values(values)


def test_greetings_before_the_answer_are_skipped() -> None:
    got = hostshell.parse(b"Welcome!\nkedr-begin n\nv a 1\nkedr-end n\ntrailing", "n")
    assert got.number("a") == 1


@pytest.mark.parametrize(("stdout", "said"), [
    (b"", "did not answer"),
    (b"sh: dd: not found\n", "dd: not found"),
    (b"kedr-begin other\nkedr-end other\n", "did not answer"),
    (b"kedr-begin n\nv a 1\n", "cut short"),
    (b"kedr-begin n\ntext t\n|half a li", "cut short inside 't'"),
    (b"kedr-begin n\nfile f 10\nabc\nkedr-end n\n", "cut short inside 'f'"),
    (b"kedr-begin n\nfile f 99999999999999\n", "no size"),
    (b"kedr-begin n\nfile ../../etc/passwd 0\n\nkedr-end n\n", "malformed name"),
    (b"kedr-begin n\nfile /etc/passwd 0\n\nkedr-end n\n", "malformed name"),
    (b"kedr-begin n\ntext a\n.\ntext a\n.\nkedr-end n\n", "twice"),
    (b"kedr-begin n\ntext a\nno bar\n.\nkedr-end n\n", "malformed line"),
    (b"kedr-begin n\nv Bad-Key 1\nkedr-end n\n", "malformed value"),
    (b"kedr-begin n\nv a " + b"x" * (hostshell.MAX_VALUE + 1) + b"\nkedr-end n\n", "malformed value"),
    (b"kedr-begin n\nsurprise\nkedr-end n\n", "means nothing"),
    (b" " * (hostshell.MAX_PREAMBLE + 1) + b"kedr-begin n\nkedr-end n\n", "did not answer"),
])
def test_an_answer_that_is_not_whole_and_well_formed_is_refused(stdout: bytes, said: str) -> None:
    with pytest.raises(ForeignError, match=said):
        hostshell.parse(stdout, "n")


def test_too_long_an_answer_is_refused() -> None:
    with pytest.raises(ForeignError, match="at most 10"):
        hostshell.parse(b"x" * 11, "n", 10)


def test_an_answer_of_more_values_than_any_host_has_is_refused() -> None:
    assert len(answer(b"v a 1\n" * hostshell.MAX_VALUES).all("a")) == hostshell.MAX_VALUES
    with pytest.raises(ForeignError, match=f"more than {hostshell.MAX_VALUES} values"):
        answer(b"v a 1\n" * (hostshell.MAX_VALUES + 1))


def test_a_large_text_is_kept_and_not_taken_apart() -> None:
    got = answer(b"text t\n|" + b"x" * hostshell.MAX_TEXT + b"\n.\n")
    assert len(got.blobs["t"]) == hostshell.MAX_TEXT + 1
    with pytest.raises(ForeignError, match=f"{hostshell.MAX_TEXT + 1} bytes of 't'"):
        got.text("t")


@pytest.mark.parametrize(("sent", "text"), [
    ("", ""), ("\n\n", ""), ("|\n", "\n"), ("|\n|\n", "\n\n"), ("||x\n||y\n", "|x\n|y\n"),
    ("\n\n|a\n\n\n|b\n\n", "a\nb\n"),
])
def test_bars_and_empty_lines_are_no_part_of_a_text(sent: str, text: str) -> None:
    assert answer(f"text t\n{sent}.\n").text("t") == text


def test_an_error_does_not_pass_terminal_escapes_on() -> None:
    with pytest.raises(ForeignError) as error:
        hostshell.parse(b"\x1b]0;evil\x07", "n")
    assert "\x1b" not in str(error.value)
    assert "\\x1b" in str(error.value)


def test_a_key_that_came_twice_is_no_single_value() -> None:
    got = answer("v a 1\nv a 2\n")
    assert got.all("a") == ["1", "2"]
    with pytest.raises(ForeignError, match="2 times"):
        got.one("a")


def test_a_number_must_be_one() -> None:
    with pytest.raises(ForeignError, match="not a number"):
        answer("v a 1e9\n").number("a")
    assert answer("").number("a", 7) == 7


def test_an_empty_text_is_empty() -> None:
    assert answer("text a\n\n.\ntext b\n.\n").blobs == {"a": b"", "b": b""}


def test_printable_spells_out_control_characters_and_shortens_the_middle() -> None:
    assert printable("a\tb\r\nc\x1b[31m\u202e\udc80") == "a\tb\nc\\x1b[31m\\u202e\\x80"
    short = printable("begin" + "x" * 10_000 + "end", 100)
    assert short.startswith("begin")
    assert short.endswith("end")
    assert len(short) < 160


def test_equal_files_make_equal_tars_that_any_tar_reads() -> None:
    files = {"b/c.txt": b"2", "a.sh": b"1"}
    assert hostshell.make_tar(files) == hostshell.make_tar(dict(reversed(files.items())))
    assert hostshell.read_tar(hostshell.make_tar(files)) == files
    with tarfile.open(fileobj=io.BytesIO(hostshell.make_tar(files))) as tar:
        assert [(member.name, oct(member.mode)) for member in tar] == [
            ("a.sh", "0o755"), ("b", "0o755"), ("b/c.txt", "0o644")]


@pytest.mark.parametrize(("name", "kind"), [("../x", tarfile.REGTYPE), ("/x", tarfile.REGTYPE),
                                            ("x", tarfile.SYMTYPE), ("x", tarfile.CHRTYPE)])
def test_a_tar_from_a_host_with_an_odd_entry_is_refused(name: str, kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(ForeignError, match="odd entry"):
        hostshell.read_tar(out.getvalue())


def tar_of(*entries: tuple[str, bytes, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar with these entries: name, type, content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_are_read(form: int) -> None:
    name = "a" * 90 + "/" + "b" * 60 + ".ko"
    tar = tar_of((name, tarfile.REGTYPE, b"x"), ("c", tarfile.AREGTYPE, b""), form=form)
    assert hostshell.read_tar(tar) == {name: b"x", "c": b""}


@pytest.mark.parametrize("tar", ["gtar", "tar", "busybox tar"])
def test_tars_of_this_machine_are_read(tmp_path: pathlib.Path, tar: str) -> None:
    name = "m" * 55
    (tmp_path / name / "user").mkdir(parents=True)
    (tmp_path / name / f"{name}.ko").write_bytes(b"k" * 1000)
    (tmp_path / name / "user" / "x").write_bytes(b"")
    command = f"{tar if shutil.which(tar.split()[0]) else 'tar'} cf - {name}"
    data = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True).stdout
    assert hostshell.read_tar(data) == {f"{name}/{name}.ko": b"k" * 1000, f"{name}/user/x": b""}


WHOLE = tar_of(("a", tarfile.REGTYPE, b"x" * 600))


@pytest.mark.parametrize("tar", [
    b"", b"not a tar" * 200, WHOLE[:100], WHOLE[:512], WHOLE[:1000], WHOLE[:1536], b"\1" + WHOLE[1:],
    WHOLE[:124] + b"77777777777\0" + WHOLE[136:], WHOLE[:124] + b"\x80" + b"\xff" * 11 + WHOLE[136:],
    WHOLE[:124] + b"-1         \0" + WHOLE[136:],
])
def test_a_broken_tar_is_refused(tar: bytes) -> None:
    with pytest.raises(ForeignError, match="cannot be read"):
        hostshell.read_tar(tar)


@pytest.mark.parametrize("kind", [b"L" * 1, b"K", b"S", b"x", b"g", b"1", b"2", b"3", b"6", b"7", b"V", b"M", b"D"])
def test_only_files_directories_and_long_names_are_in_a_tar(kind: bytes) -> None:
    entries = (("a", kind, b"n" * 300), ("b", tarfile.REGTYPE, b"x"))
    with pytest.raises(ForeignError, match="odd entry"):
        hostshell.read_tar(tar_of(*entries))


def test_a_file_that_is_twice_in_a_tar_is_refused() -> None:
    with pytest.raises(ForeignError, match="'a' twice"):
        hostshell.read_tar(tar_of(("a", tarfile.REGTYPE, b"1"), ("a", tarfile.REGTYPE, b"2")))
