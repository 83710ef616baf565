"""What was read from the pixels: match, decoded payload, or a typed absence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SearchMode = Literal["direct", "content", "blind", "deep"]
# How a frame was come by: as far as a search goes, or beside the registered preview of a record.
Placement = Literal[SearchMode, "compared"]
AbsenceReason = Literal["not_present", "present_unreadable", "no_carrier_key", "not_read"]


# A link is made only while at most so many false matches are to be expected in the whole case.
LINK_E_LIMIT = 1e-6

# Of the added residual before it is rounded to 8 bits; rounding leaves 45.07 dB or more.
DEFAULT_PSNR_DB = 45.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where the tagged frame lies in the suspect.

    ``matrix`` is a row-major 2x3 affine map from unit coordinates of the tagged frame ((0,0) top left, (1,1) bottom
    right) to unit coordinates of the suspect picture. A mirrored frame has a negative determinant.
    """

    mode: Placement
    matrix: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    sync_peak: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedTag:
    """Maximum-likelihood match of the soft bits against a registry.

    ``z`` is at most sqrt(128). ``e_value`` counts records x carrier keys x hypotheses x the chance that a random word
    scores z with these soft bits, where ``hypotheses`` says as how many the placement of the frame counts among all
    that the search was allowed; ``e_case`` is e_value times the pictures read in the case, ``runner_up_e_case``
    the same for the next-best record (None in findings of before it was kept). ``bit_agreement`` is a fraction of 128.
    """

    tag_id: str
    carrier_key_id: str
    z: float
    runner_up_z: float
    e_value: float
    e_case: float
    records: int
    hypotheses: int
    bit_agreement: float
    symbols_corrected: int | None
    erasures: int | None
    geometry: Geometry
    runner_up_e_case: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedTag:
    """A word of the channel code read without a registry, accepted only under the false-accept bound.

    ``z`` is as for a match, ``runner_up_z`` that of the next-best word that was found; None in findings of before they
    were kept.
    """

    tag_id: str
    carrier_key_id: str
    symbols_corrected: int
    erasures: int
    false_accept_p: float
    geometry: Geometry
    z: float | None = None
    runner_up_z: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagAbsence:
    """No identification from the pixels. Never to be read as "real" or "not tagged"."""

    reason: AbsenceReason
    presence: float
    best_z: float | None = None


TagOutcome = MatchedTag | DecodedTag | TagAbsence
