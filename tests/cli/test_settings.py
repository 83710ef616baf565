"""The environment: what each variable sets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ftforensics.cli.settings import keep_matrices_on_one_thread, load_settings
from ftforensics.errors import UsageError


def test_defaults_are_the_users_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings({})
    assert settings.home.name == "ftforensics"
    assert settings.home.is_relative_to(tmp_path)
    assert settings.state.is_relative_to(tmp_path)
    assert settings.cases_folder == Path("cases")
    assert settings.engines is None
    assert settings.color
    assert not settings.debug
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", settings.now_utc())


def test_variables() -> None:
    settings = load_settings(
        {
            "FTF_HOME": "/srv/ftf",
            "FTF_ENGINES": "/srv/engines",
            "FTF_PASSPHRASE_FILE": "/run/secret:/run/other",
            "FTF_NOW": "2026-01-31T23:59:59Z",
            "FTF_DEBUG": "1",
            "NO_COLOR": "1",
        }
    )
    assert settings.home == Path("/srv/ftf")
    assert settings.keys_folder == Path("/srv/ftf/keys")
    assert settings.trust_list_path == Path("/srv/ftf/trust.json")
    assert settings.registry_path == Path("/srv/ftf/registry.sqlite")
    assert settings.engines_folder == Path("/srv/engines")
    assert settings.passphrase_files == (Path("/run/secret"), Path("/run/other"))
    assert settings.now_utc() == "2026-01-31T23:59:59Z"
    assert settings.debug
    assert not settings.color


@pytest.mark.parametrize("text", ["now", "2026-01-31", "2026-01-31T23:59:59+01:00", "2026-02-30T00:00:00Z"])
def test_malformed_clock(text: str) -> None:
    with pytest.raises(UsageError, match="FTF_NOW"):
        load_settings({"FTF_HOME": "/x", "FTF_NOW": text})


def test_empty_variables_count_as_unset() -> None:
    settings = load_settings({"FTF_HOME": "/x", "FTF_NOW": "", "FTF_ENGINES": "", "NO_COLOR": "", "FTF_DEBUG": "0"})
    assert settings.engines is None
    assert settings.color
    assert not settings.debug


def test_nothing_else_in_the_room_reads_the_environment() -> None:
    room = Path(__file__).parents[2] / "ftforensics" / "cli"
    reading = re.compile(r"environ\b(?!\.setdefault)|getenv")  # a default set for a library reads no setting
    readers = {path.name for path in room.glob("*.py") if reading.search(path.read_text())}
    assert readers == {"settings.py"}


def test_numpy_is_kept_to_one_thread_unless_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")  # so that it is put back afterwards
    del os.environ["OPENBLAS_NUM_THREADS"]
    keep_matrices_on_one_thread()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    keep_matrices_on_one_thread()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"


def test_numpy_is_not_imported_before_its_threads_are_set() -> None:
    code = "import ftforensics.cli.main, sys; raise SystemExit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
