"""The command as a whole: help, version, usage errors, interruption, closed pipes, bugs."""

from __future__ import annotations

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_samples import Ftf, console_script

from ftforensics import __version__
from ftforensics.cli import keys, main
from ftforensics.cli.errors import MEANINGS

HEAVY = ("torch", "tensorrt", "onnxruntime", "numpy", "cv2", "PIL", "cryptography", "rich", "jinja2", "pydantic")
TOP = typer.main.get_command(main.app)


def all_commands() -> dict[str, Any]:
    """Every command by what one types, groups left out."""
    context = TOP.make_context("ftf", ["--help"], resilient_parsing=True)
    found: dict[str, Any] = {}
    for name in TOP.list_commands(context):
        command = TOP.get_command(context, name)
        for sub, one in getattr(command, "commands", {"": command}).items():
            found[f"{name} {sub}".strip()] = one
    return found


COMMANDS = all_commands()


def examples(command: Any) -> list[str]:
    return [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ftf ")]


def test_help_starts_fast_and_imports_nothing_heavy() -> None:
    code = "import sys; from ftforensics.cli.main import run_command; run_command(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "ftforensics.cli.main" in loaded
    assert not loaded & set(HEAVY)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([console_script(), "--help"], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used_s < 0.3


def test_help_tells_the_story_in_order(ftf: Ftf) -> None:
    out = ftf("--help").out
    shown = [entry.name for entry in main.COMMANDS if re.search(rf"^  {entry.name} ", out, re.MULTILINE)]
    listed = re.findall(r"^  ([a-z]+) {2,}", out, re.MULTILINE)
    assert listed == shown
    assert {"key", "trust", "registry", "case"} <= set(shown)
    assert "First steps:" in out
    assert out == ftf("-h").out


def test_version(ftf_process: Ftf) -> None:
    assert ftf_process("--version").out == f"ftf {__version__}\n"


def test_module_can_be_run_too() -> None:
    code = "from ftforensics.cli.main import run; run(['--version'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"ftf {__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(ftf: Ftf, name: str) -> None:
    out = ftf(*name.split(), "--help").out
    command = COMMANDS[name]
    assert (command.help or "").split("\n")[0].strip().endswith((".", ";", ":")) or "." in command.help
    assert "Examples:" in out
    assert examples(command), name
    for option in command.params:
        if option.param_type_name == "option":
            assert option.help, f"{name} {option.name} is not explained"
    for shared in ("--quiet", "--verbose", "--no-progress"):
        assert shared in out


@pytest.mark.parametrize(
    "line", [line for command in COMMANDS.values() for line in examples(command)], ids=lambda line: line[:60]
)
def test_every_example_parses(line: str) -> None:
    words = shlex.split(line)
    assert words.pop(0) == "ftf"
    name = next(name for name in sorted(COMMANDS, key=len, reverse=True) if words[: len(name.split())] == name.split())
    rest = words[len(name.split()) :]
    COMMANDS[name].make_context(name, rest)


def test_groups_without_command_show_help_and_exit_2(ftf: Ftf) -> None:
    for group in ((), ("key",), ("case",)):
        result = ftf(*group, expect=2)
        assert result.out == ""
        assert "Commands:" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["regstry"], "did you mean registry"),
        (["key", "nwe"], "Did you mean 'new'"),
        (["key", "show"], "Usage: ftf key show"),
        (["key", "show", "a", "b"], "unexpected extra argument"),
        (["key", "list", "--format", "xml"], "--format"),
        (["--bogus"], "--bogus"),
        (["case", "list", "--bogus"], "see 'ftf case list --help'"),
    ],
)
def test_usage_errors_are_one_sentence_and_2(ftf: Ftf, arguments: list[str], said: str) -> None:
    result = ftf(*arguments, expect=2)
    assert result.out == ""
    assert said in result.err
    if not result.err.startswith("Usage: "):
        assert result.err.startswith("ftf: ")
        assert result.err.count("\n") == 1


def test_control_characters_in_arguments_do_not_reach_the_terminal(ftf: Ftf) -> None:
    for arguments in (["\x1b[31mred"], ["key", "show", "a\x1b]0;title\x07\u202egnp.exe"], ["case", "show", "a\nb"]):
        result = ftf(*arguments, expect=None)
        assert result.code in {2, 6}
        assert not any(char in result.err for char in "\x1b\x07\u202e")
        assert result.err.count("\n") == 1


def test_bug_is_70_with_the_traceback_in_a_file(ftf: Ftf, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a \x1b[31m bug")

    monkeypatch.setattr(keys, "list_keys", broken)
    result = ftf("key", "list", expect=70)
    assert "ZeroDivisionError" in result.err
    assert "\x1b" not in result.err
    assert result.err.count("\n") == 1
    (filed,) = (home / "state" / "crashes").iterdir()
    assert str(filed) in result.err
    assert "Traceback" in filed.read_text()
    assert "arguments: ['key', 'list']" in filed.read_text()
    assert filed.stat().st_mode & 0o077 == 0


def test_bug_is_shown_with_ftf_debug(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTF_DEBUG", "1")
    monkeypatch.setattr(keys, "list_keys", lambda _: [][1])
    assert main.run_command(["key", "list"]) == 70
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "IndexError" in shown
    assert not (home / "state").exists()


def test_bug_is_told_even_where_nothing_can_be_written(
    ftf: Ftf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTF_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr(keys, "list_keys", lambda _: [][1])
    assert "FTF_DEBUG=1" in ftf("key", "list", expect=70).err


def test_malformed_clock_is_a_usage_error(ftf: Ftf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTF_NOW", "yesterday")
    assert "FTF_NOW" in ftf("key", "list", expect=2).err


def test_interruption_is_130(tmp_path: Path) -> None:
    fifo = tmp_path / "slow"
    signer = tmp_path / "signer.sh"
    os.mkfifo(fifo)
    signer.write_text(f"#!/bin/sh\necho started > {fifo}\nsleep 30\n")
    signer.chmod(0o700)
    public = tmp_path / "key.pem"
    subprocess.run([console_script(), "key", "new", "x", "--role", "issuer", "--no-passphrase"], check=True)
    subprocess.run([console_script(), "key", "export", "x", "-o", public], check=True)
    arguments = ["key", "new", "y", "--role", "issuer", "--signer-command", str(signer), "--public-key", str(public)]
    process = subprocess.Popen(
        [console_script(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert fifo.read_text() == "started\n"
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.decode().startswith("ftf: interrupted")
    assert "Traceback" not in said.decode()


def test_closed_pipe_is_quiet(home: Path) -> None:
    for name in ("a", "b"):
        subprocess.run([console_script(), "key", "new", name, "--carrier", "--no-passphrase"], check=True)
    reader, writer = os.pipe()
    os.close(reader)
    for form in ("jsonl", "csv", "table"):
        done = subprocess.run(
            [console_script(), "key", "list", "--format", form],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (141, b"")
    os.close(writer)


def test_broken_pipe_of_our_own_is_a_bug(ftf: Ftf, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(keys, "list_keys", broken)
    monkeypatch.setattr(main, "_is_stdout_closed", lambda: False)
    assert "BrokenPipeError" in ftf("key", "list", expect=70).err


def test_full_output_is_7(home: Path) -> None:
    with Path("/dev/full").open("w") as full:
        for arguments in (["--version"], ["key", "new", "a", "--carrier", "--no-passphrase"]):
            done = subprocess.run(
                [console_script(), *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
            assert done.returncode == 7
            assert "No space left" in done.stderr
            assert "Traceback" not in done.stderr


def test_names_that_the_terminal_cannot_show_do_not_break_it(ftf_process: Ftf) -> None:
    env = dict(os.environ, PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    result = ftf_process("case", "show", "Fälle", expect=2, env=env)
    assert "F\\xe4lle" in result.err


def test_exit_codes_in_the_help_are_those_of_the_table(ftf: Ftf) -> None:
    said = ftf("--help").out.split("Exit codes:")[1]
    assert {int(code) for code in re.findall(r"\b(\d+) [a-z-]", said)} == set(MEANINGS) - {141}


def test_the_end_keeps_what_was_promised(tmp_path: Path) -> None:
    """The interpreter is not taken apart, but what was written is written and exit handlers are called."""
    code = (
        "import atexit, pathlib, sys; from ftforensics.cli.main import run\n"
        f"atexit.register(pathlib.Path({str(tmp_path / 'ended')!r}).write_text, 'yes')\n"
        "sys.stdout.write('before '); run(sys.argv[1:])"
    )
    for words, expected in ((["--version"], 0), (["scan", "nothing-there", "--dry-run"], 2)):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False, timeout=60)
        assert done.stdout.startswith(b"before "), done
        assert (done.returncode, (tmp_path / "ended").read_text()) == (expected, "yes")
        (tmp_path / "ended").unlink()
