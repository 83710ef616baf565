"""One exhibit: from its pixels and residual map to a finding with its pictures.

Steps: identify the tags (direct, through suggested frames, blind); find the record of each in every registry; verify
its signature against the trust list; line the picture up with its source; map what changed and where the tag survived;
look for other records that claim the picture; judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.evidence import IntakeFailure
from ftforensics.domain.link import Box, Finding, FurtherTag, ReadingInfo
from ftforensics.domain.tag import DecodedTag, MatchedTag, TagAbsence
from ftforensics.engine.reader import Localiser
from ftforensics.engine.reading import Reading, TagReader
from ftforensics.engine.ring import RingKey
from ftforensics.errors import FtfError
from ftforensics.flows.content import Content
from ftforensics.flows.known import KnownSources, LazyFeatures
from ftforensics.flows.linking import Linker
from ftforensics.flows.parts import LEAST_PX, cut_part
from ftforensics.flows.pictures import Picture, as_jpeg
from ftforensics.flows.sources import RecordChecks, Sources
from ftforensics.imaging.resample import Pixels, resize
from ftforensics.link import verdict
from ftforensics.media.intake import IntakeResult
from ftforensics.trust.trustlist import TrustList

_MESSAGE_CHARS = 300
# Threads beside the examination of one picture.
_BESIDE = 2

# Waits for a picture's direct residual map (3, 64, 64), so that its features need not.
Residual = Callable[[], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which exhibit of which case a finding is about."""

    seq: int
    case_id: str
    exhibit_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A finding and the pictures that go with it."""

    finding: Finding
    pictures: tuple[Picture, ...] = ()


class Examiner:
    """Makes findings; may be used from several threads at once.

    Args:
        tag_reader: Identifies tags.
        keys: The ring, for re-encoding a tag that was read.
        sources: The registries.
        trust: Whom the investigator trusts.
        checked_at: When signatures are checked, UTC.
        localiser: Says where tags were replaced; None where the model has none.
    """

    def __init__(
        self,
        *,
        tag_reader: TagReader,
        keys: Sequence[RingKey],
        sources: Sources,
        trust: TrustList,
        checked_at: str,
        localiser: Localiser | None,
    ) -> None:
        self._reader = tag_reader
        checks = RecordChecks(trust, checked_at)
        self._known = KnownSources(sources, checks)
        self._linker = Linker(tag_reader=tag_reader, keys=keys, sources=sources, checks=checks, localiser=localiser)

    def unreadable(self, result: IntakeResult, place: Place) -> Examined:
        """The finding of an input whose pixels cannot be had."""
        failure = result.failure or IntakeFailure(stage="decode", type="NoPixels", message="no pixels were decoded")
        judged = verdict.judge(verdict.Facts(failure=failure))
        finding = Finding(
            seq=place.seq,
            case_id=place.case_id,
            exhibit_id=place.exhibit_id,
            evidence=result.item,
            verdict=judged.verdict,
            reasons=judged.reasons,
            limitations=judged.limitations,
            error=failure,
            extra={"skipped": True} if result.source.is_skipped else {},
        )
        return Examined(finding=finding)

    def examine_or_say_why(self, result: IntakeResult, residual: Residual, place: Place) -> Examined:
        """As ``examine``, but an exhibit on which a library fails becomes unreadable.

        Raises:
            FtfError: What fails is not about this exhibit alone.
        """
        try:
            return self.examine(result, residual, place)
        except FtfError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever one picture does to a library, the others are examined
            message = f"examining it failed, which is a fault of the program: {exc}"[:_MESSAGE_CHARS]
            failure = IntakeFailure(stage="read", type=type(exc).__name__, message=message)
            return self.unreadable(replace(result, failure=failure), place)

    def examine(self, result: IntakeResult, residual: Residual, place: Place) -> Examined:
        """The finding of a decoded picture."""
        if result.pixels is None:
            raise ValueError("examine needs pixels; use unreadable")
        pixels = _enlarge_to(LEAST_PX, result.pixels)
        with ThreadPoolExecutor(_BESIDE, thread_name_prefix="beside") as beside:
            content = Content(pixels, known=self._known, beside=beside, expect=self._reader.expect)
            # Nearly every picture is lined up with something. A failure shows again where they are asked for.
            if self._reader.budget.mode != "direct":
                beside.submit(content.features.get)
            reading = self._reader.identify(pixels, residual(), content.hints)
        if isinstance(reading.outcome, MatchedTag):
            facts, more = self._facts(pixels, content.features, reading, result.item.acquired_at)
        else:
            facts, more = self._linker.unmatched(reading, content.leads, content.show)
            facts = replace(facts, region=cut_part(pixels, reading.region).region)
        # A lead is told beside a decoded tag, but is not its source: nothing of it may stand where a source does.
        lead_source, lead = facts.lead_source, facts.lead
        if isinstance(reading.outcome, DecodedTag):
            lead_source, lead, more = None, None, ()
        further, shown = self._further(pixels, reading, result.item.acquired_at)
        decode = result.item.decode
        frames = 1 if decode is None else decode.frames
        judged = verdict.judge(replace(facts, further_tags=len(further), frames=frames))
        finding = Finding(
            seq=place.seq,
            case_id=place.case_id,
            exhibit_id=place.exhibit_id,
            evidence=result.item,
            verdict=judged.verdict,
            reasons=judged.reasons,
            limitations=judged.limitations,
            reading=self._info(reading),
            tag=reading.outcome,
            signature=facts.signature,
            source=facts.source if facts.source is not None else lead_source,
            other_sources=facts.rivals,
            registration=facts.registration if facts.registration is not None else lead,
            survival=facts.survival,
            movement=facts.movement,
            region=facts.region,
            further_tags=further,
            error=result.failure,
        )
        return Examined(finding=finding, pictures=(as_jpeg(result.pixels), *more, *shown))

    def _facts(
        self, pixels: Pixels, features: LazyFeatures, reading: Reading, acquired_at: str | None
    ) -> tuple[verdict.Facts, tuple[Picture, ...]]:
        """Facts about a tag in the part of the picture that shows it; ``features`` are the whole picture's."""
        part = cut_part(pixels, reading.region)
        if isinstance(reading.outcome, MatchedTag):
            own = features if part.region is None else LazyFeatures(part.pixels)
            return self._linker.matched(part, own, reading, reading.outcome, acquired_at)
        return verdict.Facts(tag=reading.outcome, region=part.region), ()

    def _further(
        self, pixels: Pixels, reading: Reading, acquired_at: str | None
    ) -> tuple[tuple[FurtherTag, ...], tuple[Picture, ...]]:
        """Tags in other regions, each judged by itself, with the pictures that show it, numbered from 2."""
        tags: list[FurtherTag] = []
        pictures: list[Picture] = []
        for number, other in enumerate(reading.elsewhere, start=2):
            if isinstance(other.outcome, TagAbsence):
                continue
            facts, more = self._facts(pixels, LazyFeatures(pixels), other, acquired_at)
            judged = verdict.judge(facts)
            left, top, right, bottom = other.region
            tags.append(
                FurtherTag(
                    region=Box(left=left, top=top, right=right, bottom=bottom),
                    tag=other.outcome,
                    presence=other.presence,
                    verdict=judged.verdict,
                    reasons=judged.reasons,
                    limitations=judged.limitations,
                    signature=facts.signature,
                    source=facts.source,
                    other_sources=facts.rivals,
                    registration=facts.registration,
                    survival=facts.survival,
                    movement=facts.movement,
                )
            )
            pictures += [replace(picture, role=f"{picture.role}-{number}") for picture in more]
        return tuple(tags), tuple(pictures)

    def _info(self, reading: Reading) -> ReadingInfo:
        backend, pairs = self._reader.reader, self._reader.pairs
        beside = pairs if any(_is_compared(one) for one in (reading, *reading.elsewhere)) else None
        return ReadingInfo(
            model=backend.card.model_id,
            weights_sha256=backend.card.reader_sha256,
            backend=backend.backend,
            precision=backend.precision,
            presence=reading.presence,
            sync_peak=reading.sync_peak,
            search=self._reader.budget.mode,
            engine_sha256=backend.engine_sha256,
            pair_reader_sha256=None if beside is None else beside.sha256,
            simulator_sha256=None if beside is None else beside.simulator_sha256,
        )


def _is_compared(reading: Reading) -> bool:
    return isinstance(reading.outcome, MatchedTag) and reading.outcome.geometry.mode == "compared"


def _enlarge_to(least_px: int, pixels: Pixels) -> Pixels:
    """The picture with no side under ``least_px``; frames and regions are in unit coordinates and stay as they are."""
    height, width = pixels.shape[:2]
    if min(height, width) >= least_px:
        return pixels
    return np.asarray(resize(pixels, max(width, least_px), max(height, least_px)))
