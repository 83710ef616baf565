"""Labelled values, the common currency of the report's tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Style = Literal["text", "raw", "hash"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One labelled value. ``raw`` values are quoted from a file, ``hash`` values are set in a fixed pitch."""

    label: str
    value: str
    style: Style = "text"
    note: str = ""


def fact(label: str, value: str | None, style: Style = "text", *, note: str = "") -> Fact | None:
    """Make a fact, or nothing where there is no value."""
    return Fact(label=label, value=value, style=style, note=note) if value else None


def present(*facts: Fact | None) -> tuple[Fact, ...]:
    """Keep the facts that exist, in order."""
    return tuple(one for one in facts if one is not None)


def mapping_facts(mapping: Mapping[str, Any], *, style: Style = "raw") -> tuple[Fact, ...]:
    """Turn a mapping of plain JSON into facts, sorted by key; nested values are written as compact JSON."""
    return tuple(Fact(label=str(key), value=plain_text(mapping[key]), style=style) for key in sorted(mapping, key=str))


def plain_text(value: Any) -> str:
    """A JSON value as text: strings as they are, everything else as compact JSON with sorted keys."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(", ", ": "), default=str)


def sentences(texts: Iterable[str]) -> tuple[str, ...]:
    """Start each text with a capital and end it with a full stop, without touching what is between."""
    return tuple(_sentence(text) for text in texts if text.strip())


def _sentence(text: str) -> str:
    stripped = text.strip()
    closed = stripped if stripped.endswith((".", "!", "?", "…")) else stripped + "."
    first_word = stripped.split(maxsplit=1)[0]
    return closed[0].upper() + closed[1:] if first_word.isalpha() and first_word.islower() else closed
