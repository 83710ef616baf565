"""The int8 reader of a model folder: kept beside the float32 one and in its card, opened only if both hashes fit.

It stands for one float32 reader. A model that is exported anew leaves it behind, and it is then refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from ftforensics.engine.models import load_card, load_graph
from ftforensics.engine.plans.files import move_into_place
from ftforensics.errors import ModelMissing, WriteFailed

QUANTISED_FILE = "reader.int8.onnx"
CARD_FILE = "model.json"
CARD_KEY = "quantised"


def save_quantised(folder: Path, graph: bytes, facts: dict[str, Any]) -> str:
    """Put a quantised reader into a model folder and into its card, beside the hash of the graph it stands for.

    Args:
        folder: A model folder.
        graph: Of ``choose_graph``.
        facts: Parity, speed and layers, kept in the card as given.

    Returns:
        Its SHA-256.

    Raises:
        ModelMissing: The folder has no card.
        WriteFailed: Disk full or not permitted; the reader and card that were there are untouched then.
    """
    card = load_card(folder)
    digest = hashlib.sha256(graph).hexdigest()
    entry = {"file": QUANTISED_FILE, "sha256": digest, "source_sha256": card.reader_sha256, **facts}
    _replace_files(folder, {QUANTISED_FILE: graph, CARD_FILE: _render_card(_read_card(folder) | {CARD_KEY: entry})})
    return digest


def check_writable(folder: Path) -> None:
    """Make sure that a quantised reader can be put into a model folder, before it is made.

    Raises:
        WriteFailed: Disk full or not permitted.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b" ")
            file.flush()
    except OSError as exc:
        raise _cannot_write(folder, exc) from exc


def remove_quantised(folder: Path) -> None:
    """Take a quantised reader out of a model folder and its card, if one is there.

    Raises:
        ModelMissing: The folder has no card.
        WriteFailed: Not permitted.
    """
    load_card(folder)
    card = _read_card(folder)
    try:
        if card.pop(CARD_KEY, None) is not None:
            _replace_files(folder, {CARD_FILE: _render_card(card)})
        (folder / QUANTISED_FILE).unlink(missing_ok=True)
    except OSError as exc:
        raise _cannot_write(folder, exc) from exc


def load_quantised(folder: Path) -> bytes:
    """The quantised reader of a model folder, checked against the card.

    Raises:
        ModelMissing: There is none, it was made from another reader, or its bytes are not the card's.
    """
    card = load_card(folder)
    entry = _read_card(folder).get(CARD_KEY)
    if not isinstance(entry, dict) or not {"file", "sha256", "source_sha256"} <= entry.keys():
        raise ModelMissing(
            "this model ships no int8 reader", subject=str(folder), remedy="use fp32, or see 'ftf engine quantise'"
        )
    if entry["source_sha256"] != card.reader_sha256 or entry["file"] != QUANTISED_FILE:
        raise ModelMissing(
            "the int8 reader was made from another reader", subject=str(folder), remedy="run 'ftf engine quantise'"
        )
    return load_graph(folder, QUANTISED_FILE, str(entry["sha256"]))


def _read_card(folder: Path) -> dict[str, Any]:
    """All of a card that ``load_card`` has accepted."""
    data: dict[str, Any] = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    return data


def _render_card(card: dict[str, Any]) -> bytes:
    return (json.dumps(card, indent=2, sort_keys=True) + "\n").encode("utf-8")


def _replace_files(folder: Path, files: dict[str, bytes]) -> None:
    """Give files new bytes, each whole: all are written beside the old ones first, as readable as the card is."""
    written: list[tuple[Path, Path]] = []
    try:
        mode = stat.S_IMODE((folder / CARD_FILE).stat().st_mode)
        for name, data in files.items():
            descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
            written.append((Path(temporary), folder / name))
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
        for beside, path in written:
            move_into_place(beside, path)
    except OSError as exc:
        raise _cannot_write(folder, exc) from exc
    finally:
        for beside, _ in written:
            beside.unlink(missing_ok=True)


def _cannot_write(folder: Path, exc: OSError) -> WriteFailed:
    return WriteFailed(
        f"the model folder cannot be written ({exc.strerror})", subject=str(folder), remedy="check its permissions"
    )
