"""Names and places of cases. In: a name somebody typed, or a folder of cases. Out: a safe name, or their folders."""

from __future__ import annotations

from pathlib import Path

from ftforensics.domain.unseen import is_unseen
from ftforensics.errors import StoreError, UsageError

DATABASE_NAME = "case.sqlite"
DATABASE_FILES = (DATABASE_NAME, *(DATABASE_NAME + suffix for suffix in ("-wal", "-shm", "-journal")))
ARTIFACT_FOLDER = "artifacts"
SCAN_FILE = "scan.jsonl"
RUN_FILE = "run.json"
CUSTODY_FILE = "custody.jsonl"
_OWN_NAMES = frozenset({*DATABASE_FILES, ARTIFACT_FOLDER, SCAN_FILE, RUN_FILE, CUSTODY_FILE})
MAX_NAME_BYTES = 120


def check_case_name(name: str) -> str:
    """Returns a case's name if it can name a folder anywhere.

    Raises:
        UsageError: Empty, too long, starting with a dot or dash, or with separators, control or invisible characters.
    """
    fault = None
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        fault = f"it must have 1 to {MAX_NAME_BYTES} bytes"
    elif name[0] in ".-" or name != name.strip() or name[-1] == ".":
        fault = "it must not start with a dot or dash, nor start or end with a space, nor end with a dot"
    elif any(char in '/\\:*?"<>|' or not char.isprintable() or is_unseen(char) for char in name):
        fault = 'it must not hold path separators, invisible characters or any of : * ? " < > |'
    if fault is not None:
        raise UsageError(f"Not a usable case name ({fault})", subject=ascii(name[:80]), remedy="choose another name")
    return name


def list_cases(cases_folder: Path) -> list[Path]:
    """The case folders in a folder, sorted; none where the folder does not exist.

    Raises:
        StoreError: The folder cannot be read.
    """
    try:
        return sorted(path.parent for path in cases_folder.glob(f"*/{DATABASE_NAME}"))
    except OSError as exc:
        raise StoreError(f"The cases cannot be listed ({exc.strerror})", subject=str(cases_folder)) from exc


def is_case_file(path: Path) -> bool:
    """Whether a path is of a file that some case keeps itself, reports excepted; whether it is there does not matter.

    Letters' case is not looked at, since many file systems do not look at it either.
    """
    try:
        folder = path.parent.resolve()
        if path.name.casefold() in _OWN_NAMES and (folder / DATABASE_NAME).exists():
            return True
        return any(
            place.name.casefold() == ARTIFACT_FOLDER and (place.parent / DATABASE_NAME).exists()
            for place in (folder, *folder.parents)
        )
    except (OSError, RuntimeError):  # a loop of links, or a place that cannot be looked into: nothing is written there
        return False


def describe_misnomer(folder: Path, name: str) -> str | None:
    """What is to be said where a case's folder does not bear the name that its first event was signed with."""
    # A link's own name counts: it is what was typed.
    found = (folder.resolve() if folder.name == ".." else folder.absolute()).name
    if found == name:
        return None
    return f"The folder is named {found[:80]!a}, but the case in it was opened as {name[:80]!a}."
