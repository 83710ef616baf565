"""The model folder: find it, check every hash, give its card. Bytes that do not match the card are never run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from ftforensics.domain.model import ModelCard
from ftforensics.errors import ModelMissing

DEFAULT_MODEL = "ftf-1"
FORMAT_VERSION = 1


def model_folders(extra: Path | None = None) -> list[Path]:
    """Where models are looked for: ``extra`` first, then the installed package, then a source checkout."""
    package = Path(__file__).resolve().parent.parent
    places = [package / "_engines", package.parent / "engines"]
    return [*([extra] if extra is not None else []), *places]


def find_model(name: str = DEFAULT_MODEL, extra: Path | None = None) -> Path:
    """The folder of a model.

    Raises:
        ModelMissing: No such folder has a ``model.json``.
    """
    for folder in model_folders(extra):
        if (folder / name / "model.json").is_file():
            return folder / name
    raise ModelMissing("no such model", subject=name, remedy="reinstall ftforensics or give --engines its folder")


def _as_card(data: dict[str, Any], path: Path) -> ModelCard:
    known = {field.name for field in fields(ModelCard)}
    missing = known - data.keys()
    if missing:
        raise ModelMissing(
            f"the model card lacks {', '.join(sorted(missing))}", subject=str(path), remedy="reinstall the model"
        )
    card = ModelCard(**{key: value for key, value in data.items() if key in known})
    if card.format_version != FORMAT_VERSION:
        raise ModelMissing(
            f"the model has format {card.format_version}, this program reads {FORMAT_VERSION}",
            subject=str(path),
            remedy="install the model that came with this version",
        )
    return card


def load_card(folder: Path) -> ModelCard:
    """The card of a model folder.

    Raises:
        ModelMissing: It is not there or malformed.
    """
    path = folder / "model.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise TypeError("not an object")
        return _as_card(data, path)
    except (OSError, ValueError, TypeError) as exc:
        raise ModelMissing("the model card cannot be read", subject=str(path), remedy="reinstall the model") from exc


def load_graph(folder: Path, file: str, sha256: str) -> bytes:
    """The bytes of one graph, checked against the card's hash.

    Raises:
        ModelMissing: It is not there or has another hash.
    """
    path = folder / file
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ModelMissing("a file of the model is missing", subject=str(path), remedy="reinstall the model") from exc
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelMissing(
            "a file of the model was changed: its SHA-256 is not the card's",
            subject=str(path),
            remedy="reinstall the model",
        )
    return data
