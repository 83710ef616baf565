"""The model folder: find it, check every hash, give its card. Bytes that do not match the card are never run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, get_type_hints

from ftforensics.domain.model import ModelCard
from ftforensics.errors import ModelMissing

DEFAULT_MODEL = "ftf-1"
FORMAT_VERSION = 1
_FILE_FIELDS = ("reader_file", "gradient_file", "simulator_file", "pair_reader_file", "localiser_file")
_OPTIONAL_GRAPHS = {"pair_reader": "pair reader", "localiser": "localiser"}
# Not in the cards of models that were exported before there was one.
_LATER_FIELDS = {f"{graph}_{part}": None for graph in _OPTIONAL_GRAPHS for part in ("file", "sha256")}


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


def _is_a(value: object, kind: Any) -> bool:
    """Whether a JSON value is of a card field's type; a whole number is a float too, a boolean is neither."""
    if isinstance(value, bool):
        return False
    return isinstance(value, kind) or (kind is float and isinstance(value, int))


def is_plain_name(name: str) -> bool:
    """Whether a name is that of a file in a folder, and no way out of it on any system."""
    return name not in ("", ".", "..") and name.isprintable() and not set(name) & set("/\\:")


def _as_card(data: dict[str, Any], path: Path) -> ModelCard:
    version = data.get("format_version")
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise ModelMissing(
            f"the model has format {version}, this program reads {FORMAT_VERSION}",
            subject=str(path),
            remedy="install the model that came with this version",
        )
    kinds, data = get_type_hints(ModelCard), _LATER_FIELDS | data
    missing = sorted(kinds.keys() - data.keys())
    if missing:
        raise ModelMissing(
            f"the model card lacks {', '.join(missing)}", subject=str(path), remedy="reinstall the model"
        )
    wrong = sorted(name for name, kind in kinds.items() if not _is_a(data[name], kind))
    if wrong:
        raise ModelMissing(
            f"the model card has a wrong type for {', '.join(wrong)}", subject=str(path), remedy="reinstall the model"
        )
    for graph, name in _OPTIONAL_GRAPHS.items():
        if (data[f"{graph}_file"] is None) != (data[f"{graph}_sha256"] is None):
            raise ModelMissing(
                f"the model card names a {name} without its hash, or a hash without a {name}",
                subject=str(path),
                remedy="reinstall the model",
            )
    for field in _FILE_FIELDS:
        if data[field] is not None and not is_plain_name(data[field]):
            raise ModelMissing(
                f"the model card names a file outside of the model's folder ({field} is {data[field][:80]!a})",
                subject=str(path),
                remedy="do not use this model; reinstall it",
            )
    return ModelCard(**{name: data[name] for name in kinds})


def load_card(folder: Path) -> ModelCard:
    """The card of a model folder.

    Raises:
        ModelMissing: It is not there or malformed.
    """
    path = folder / "model.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise ModelMissing("the model card cannot be read", subject=str(path), remedy="reinstall the model") from exc
    if not isinstance(data, dict):
        raise ModelMissing("the model card is not a JSON object", subject=str(path), remedy="reinstall the model")
    return _as_card(data, path)


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
