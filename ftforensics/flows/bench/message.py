"""What the channel decoder alone makes of soft bits, no registry asked, and how well by family of deepfakes.

The message is the nearest word of the Reed-Solomon code that ordered statistics decoding finds, in the map of the frame
or in the same map straightened, whichever has the word that chance explains less. Where chance alone gives a word as
near in more than one case of a hundred, none is believed and the message is read off bit by bit. A scan asks for far
more before it tells an id (``codec.blind``): this measures a code, as published message accuracies do. The families are
those of FakeTagger (Wang et al., 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec import channel
from ftforensics.codec.blind import chance_words
from ftforensics.codec.channel import ChannelKey
from ftforensics.codec.ordered import Floats, find_near_words
from ftforensics.flows.bench.results import Column, Row, interval_columns
from ftforensics.flows.bench.statistics import estimate_mean, estimate_rate

# A word is believed while chance is expected to give at most so many as near. Pure noise gives about one.
BELIEVED_WORDS = 0.01
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
    """``bits`` is the share of the 64 bits that are right; ``exact`` means that a code word gave all of them."""

    bits: float
    exact: bool


def read_message(hypotheses: Sequence[Floats], key: ChannelKey, tag_id: str) -> Message:
    """Decode soft bits without a registry and hold the message against the true id.

    Args:
        hypotheses: Soft bits (128,) of one or more maps; where no word is believed, the first are read bit by bit.
        key: The carrier key's mask and interleaver.
        tag_id: The truth.
    """
    nearest = [(soft, find_near_words(soft, key, 4)[0]) for soft in hypotheses if np.any(soft)]
    ranked = sorted((chance_words(soft, word.z) * len(hypotheses), word.tag_id) for soft, word in nearest)
    believed = bool(ranked) and ranked[0][0] <= BELIEVED_WORDS
    read = channel.parse_tag_id(ranked[0][1]) if believed else channel.read_message(hypotheses[0], key)
    truth = channel.parse_tag_id(tag_id)
    right = np.unpackbits(np.frombuffer(read, np.uint8)) == np.unpackbits(np.frombuffer(truth, np.uint8))
    return Message(bits=float(right.mean()), exact=believed and read == truth)


MESSAGE_NOTES = (
    "read without a registry: the word of the Reed-Solomon code nearest to the soft bits, by ordered statistics "
    "decoding with up to four flips, in the map or in the map straightened along the synchronisation carrier, "
    "whichever chance explains less; where chance gives a word as near in over 1 % of cases, the 64 bits as they are",
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
