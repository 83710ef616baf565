"""Which file or folder an option means. In: what was typed. Out: a path."""

from __future__ import annotations

import os
from pathlib import Path

from ftforensics.cli.settings import Settings
from ftforensics.errors import WriteFailed
from ftforensics.store.case_names import check_case_name


def registry_path(settings: Settings, option: Path | None) -> Path:
    """The registry of ``--registry``, or the one in FTF_HOME."""
    return option or settings.registry_path


def cases_folder(settings: Settings, option: Path | None) -> Path:
    """The folder of ``--cases``, or ``./cases``."""
    return option or settings.cases_folder


def case_folder(settings: Settings, option: Path | None, reference: str) -> Path:
    """The folder of a case.

    Args:
        settings: Say where cases lie by default.
        option: ``--cases``.
        reference: A case's name, or the path of its folder (anything with a separator in it).

    Raises:
        UsageError: The name cannot be that of a case.
    """
    if os.sep in reference:
        return Path(reference)
    return cases_folder(settings, option) / check_case_name(reference)


def make_parent(path: Path) -> None:
    """Make the folder that a file is to lie in.

    Raises:
        WriteFailed: Not permitted, or something else is in the way.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise WriteFailed(
            f"cannot make the folder ({exc.strerror})", subject=str(path.parent), remedy="check the path"
        ) from exc
