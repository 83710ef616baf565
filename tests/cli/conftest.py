from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli_samples import NOW, Ftf, Result, console_script

from ftforensics.cli.main import run_command


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's machine: an own FTF_HOME, a fixed clock, an empty working folder."""
    for name in [name for name in os.environ if name.startswith("FTF_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("FTF_HOME", str(folder))
    monkeypatch.setenv("FTF_NOW", NOW)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return folder


@pytest.fixture
def ftf(capsys: pytest.CaptureFixture[str]) -> Ftf:
    """Run the whole program in this process: the same path as the console script but for the exit itself."""

    def run(*arguments: str | Path, expect: int | None = 0) -> Result:
        capsys.readouterr()
        code = run_command([str(one) for one in arguments])
        captured = capsys.readouterr()
        result = Result(code, captured.out, captured.err)
        assert expect is None or code == expect, result
        assert "Traceback" not in result.err
        return result

    return run


@pytest.fixture
def ftf_process() -> Ftf:
    """Run the real console script in a process of its own."""

    def run(*arguments: str | Path, expect: int | None = 0, **options: Any) -> Result:
        done = subprocess.run(
            [console_script(), *map(str, arguments)],
            capture_output=True,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            timeout=60,
            check=False,
            **options,
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert expect is None or result.code == expect, result
        return result

    return run


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase.txt"
    path.write_text("correct horse\nsecond line\n")
    return path


@pytest.fixture
def examiner(ftf: Ftf) -> str:
    """The fingerprint of the unlocked examiner key ``me``."""
    made = ftf("key", "new", "me", "--role", "examiner", "--no-passphrase", "--format", "jsonl")
    return str(made.facts()["fingerprint"])


@pytest.fixture
def issuer(ftf: Ftf) -> str:
    """The fingerprint of the unlocked issuer key ``agency``."""
    made = ftf("key", "new", "agency", "--role", "issuer", "--no-passphrase", "--format", "jsonl")
    return str(made.facts()["fingerprint"])
