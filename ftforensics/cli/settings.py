"""Where things are and what time it is. In: the environment. Out: one frozen value; nothing else reads the environment.

| variable | what it sets |
| --- | --- |
| ``FTF_HOME`` | folder of keys, trust list, registry and built engines |
| ``FTF_ENGINES`` | folder of models and built engines |
| ``FTF_PASSPHRASE_FILE`` | files whose first lines open locked keys, with colons between them |
| ``FTF_NOW`` | a fixed UTC time instead of the clock, for runs that are to be repeated byte by byte |
| ``FTF_DEBUG`` | show the traceback of a bug instead of filing it |
| ``NO_COLOR`` | no colours |
| ``OPENBLAS_NUM_THREADS`` | threads of NumPy's matrix products; one where it is not set |
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ftforensics.errors import TrustError, UsageError
from ftforensics.trust.utc import parse_utc

Clock = Callable[[], str]
APP_NAME = "ftforensics"
DEFAULT_CASES_FOLDER = Path("cases")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command needs to know of the machine it runs on.

    ``now_utc()`` gives the time as ``2026-01-31T23:59:59Z``. ``engines`` is None where only the models of the package
    are to be used. ``cases_folder`` is relative to the working folder.
    """

    home: Path
    state: Path
    now_utc: Clock
    engines: Path | None = None
    passphrase_files: tuple[Path, ...] = ()
    cases_folder: Path = DEFAULT_CASES_FOLDER
    color: bool = True
    debug: bool = False

    @property
    def keys_folder(self) -> Path:
        """Where key files lie."""
        return self.home / "keys"

    @property
    def trust_list_path(self) -> Path:
        """The trust list's file."""
        return self.home / "trust.json"

    @property
    def registry_path(self) -> Path:
        """The registry that is used where no other is named."""
        return self.home / "registry.sqlite"

    @property
    def engines_folder(self) -> Path:
        """Where built engines go: ``FTF_ENGINES``, or a folder beside the keys."""
        return self.engines or self.home / "engines"


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        environment: Names and values; the process's own where it is None.

    Raises:
        UsageError: ``FTF_NOW`` is not a UTC time.
    """
    variables = os.environ if environment is None else environment
    home, state = _folders(variables)
    return Settings(
        home=home,
        state=state,
        now_utc=_clock(variables.get("FTF_NOW")),
        engines=_path(variables.get("FTF_ENGINES")),
        passphrase_files=_paths(variables.get("FTF_PASSPHRASE_FILE")),
        color=not variables.get("NO_COLOR"),
        debug=variables.get("FTF_DEBUG", "") not in {"", "0"},
    )


def keep_matrices_on_one_thread() -> None:
    """Have NumPy's OpenBLAS use one thread; must be called before NumPy is imported, and an explicit setting stays.

    The products of a reading are small: threads take turns at spinning for longer than they compute, beside workers
    that could use the processor. It also makes their sums the same on machines with more or fewer processors.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def state_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where tracebacks of bugs go; works even where ``load_settings`` would refuse."""
    return _folders(os.environ if environment is None else environment)[1]


def debug_wanted(environment: Mapping[str, str] | None = None) -> bool:
    """Whether tracebacks are to be shown; works even where ``load_settings`` would refuse."""
    variables = os.environ if environment is None else environment
    return variables.get("FTF_DEBUG", "") not in {"", "0"}


def _folders(variables: Mapping[str, str]) -> tuple[Path, Path]:
    home = _path(variables.get("FTF_HOME"))
    if home is not None:
        return home, home / "state"
    import platformdirs

    return (
        Path(platformdirs.user_data_dir(APP_NAME, appauthor=False)),
        Path(platformdirs.user_state_dir(APP_NAME, appauthor=False)),
    )


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _paths(text: str | None) -> tuple[Path, ...]:
    return tuple(Path(part).expanduser() for part in (text or "").split(os.pathsep) if part)


def _clock(fixed: str | None) -> Clock:
    if not fixed:
        return lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        parse_utc(fixed)
    except TrustError as exc:
        raise UsageError("FTF_NOW " + exc.what, remedy="write it as 2026-01-31T23:59:59Z") from exc
    return lambda: fixed
