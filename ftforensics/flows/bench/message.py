"""What the channel decoder alone makes of soft bits, no registry asked, and how well by family of deepfakes.

Reed-Solomon is tried with 0, 2, 4 and 6 erasures of the least reliable symbols, and of the words that are found the one
nearest to the soft bits counts (generalised minimum distance decoding: Forney, 1966). Where none is found, the message
is read off bit by bit. Nothing is refused as too likely by chance, as a scan would: this measures a code, as published
message accuracies do. The families are those of FakeTagger (Wang et al., 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec import channel
from ftforensics.codec.channel import ChannelKey
from ftforensics.flows.bench.results import Column, Row, interval_columns
from ftforensics.flows.bench.statistics import estimate_mean, estimate_rate

ERASURES = (0, 2, 4, 6)
MEASURES = ("message", "exact", "right")
MEAN = "mean of the four families"
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "identity swap": ("face-like swap, 30 %", "face-like swap, 50 %", "Poisson swap, 50 %", "swap, generator A"),
    "reenactment": ("reenactment warp",),
    "attribute editing": (
        "attribute edit: hair colour",
        "attribute edit: skin colour",
        "attribute edit: ageing",
        "attribute edit: glasses",
        "attribute edit: light on the face",
    ),
    "regeneration (black box)": ("generator A (black box)", "generator B (black box)"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """``bits`` is the share of the 64 bits that are right; ``exact`` means that Reed-Solomon gave all of them."""

    bits: float
    exact: bool


def read_message(soft: NDArray[np.float32], key: ChannelKey, tag_id: str) -> Message:
    """Decode soft bits (128,) without a registry and hold the message against the true id."""
    words = {found.tag_id for count in ERASURES if (found := channel.decode(soft, key, count)) is not None}
    if words:
        best = max(sorted(words), key=lambda word: float(channel.encode(word, key) @ soft))
        read = channel.parse_tag_id(best)
    else:
        read = channel.read_message(soft, key)
    truth = channel.parse_tag_id(tag_id)
    right = np.unpackbits(np.frombuffer(read, np.uint8)) == np.unpackbits(np.frombuffer(truth, np.uint8))
    return Message(bits=float(right.mean()), exact=bool(words) and read == truth)


MESSAGE_NOTES = (
    "read without a registry: Reed-Solomon with 0, 2, 4 and 6 erasures of the least reliable symbols, and of the words "
    "found the one nearest to the soft bits; where none is found, the 64 bits as they are",
    "the frame is that of the robustness table; in these rows the picture stays in place, so that it is the direct one",
    "a scan accepts such a message only where chance is ruled out as well; this is the code's own figure, as message "
    "accuracies are published",
)
MESSAGE_COLUMNS: tuple[Column, ...] = (
    Column(key="family", label="family"),
    *interval_columns("message", "message bits after Reed-Solomon", "rate", digits=2),
    *interval_columns("exact", "exact message, no registry", "rate"),
    *interval_columns("identified", "right record of all", "rate"),
    Column(key="rows", label="rows of the battery"),
)


def summarise_families(by_row: Mapping[str, Mapping[str, NDArray[np.float64]]], seed: int) -> tuple[Row, ...]:
    """One row a family and their mean, every row of the battery in a family weighing the same.

    Args:
        by_row: By name of the battery's row, then "message", "exact" or "right": one value a picture (n,), the same
            pictures in the same order everywhere.
        seed: For the bootstrap.
    """
    rows, parts = [], []
    for family, names in FAMILIES.items():
        measured = [by_row[name] for name in names]
        parts.append({key: np.mean([values[key] for values in measured], axis=0) for key in MEASURES})
        rows.append(_row(family, ", ".join(names), parts[-1], seed))
    mean = {key: np.mean([part[key] for part in parts], axis=0) for key in parts[0]}
    return (*rows, _row(MEAN, "all of the above", mean, seed))


def _row(family: str, names: str, values: Mapping[str, NDArray[np.float64]], seed: int) -> Row:
    row: Row = {"family": family, "rows": names}
    estimates = {
        "message": estimate_mean(values["message"], seed),
        "exact": estimate_rate(values["exact"], seed),
        "identified": estimate_rate(values["right"], seed),
    }
    for key, estimate in estimates.items():
        row |= {key: estimate.mean, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    return row
