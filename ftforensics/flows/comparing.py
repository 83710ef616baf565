"""A picture in which a tag was read, held against the source of the tag's record.

Enters: a part of an exhibit, what was read there, and the record. Leaves: how the part lines up with the source, what
differs, what was moved, where the tag is left, and the pictures that show it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec import channel
from ftforensics.codec.carriers import GRID, build_sync_carrier, build_tag_planes
from ftforensics.domain.link import Movement, Registration, Survival
from ftforensics.domain.record import RegisteredRecord
from ftforensics.domain.tag import DEFAULT_PSNR_DB, MatchedTag
from ftforensics.engine.reader import Localiser
from ftforensics.engine.reading import Reading, TagReader
from ftforensics.engine.ring import RingKey
from ftforensics.flows.apart import read_apart
from ftforensics.flows.frames import turn_upright
from ftforensics.flows.known import LazyFeatures, attempt_registration, preview_of
from ftforensics.flows.lining_up import Laid, LinedUp, Pair, find_replaced_content
from ftforensics.flows.parts import Part
from ftforensics.flows.pictures import Picture, as_png, registered_jpeg
from ftforensics.flows.sources import source_phash
from ftforensics.imaging import geometry
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.imaging.resample import Floats, Pixels
from ftforensics.link import difference, fingerprint, register, render, survival
from ftforensics.link.arrows import render_movement
from ftforensics.link.movement import MovementMap
from ftforensics.link.placement import Placement
from ftforensics.link.replaced import find_replaced

SOURCES_KEPT = 256

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """What lining up with one source gave; see ``link.facts.Facts`` for the numbers."""

    registration: Registration | None
    survival: Survival
    movement: Movement | None
    suspect_features: int
    source_features: int
    common_geometry: bool
    coarse_distance_bits: int
    pictures: tuple[Picture, ...]
    in_part: bool
    misplaced: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourcePicture:
    """What a record tells of its source.

    ``preview`` is uint8 (h, w, 3), or None; ``planes`` the tag, float32 (3, G, G); ``shown`` gives where that shows in
    the preview tagged anew, or None without a preview.
    """

    preview: Pixels | None
    planes: Floats
    shown: Callable[[], survival.SurvivalMap | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """All that a picture shows of a source: how they line up, the frame, where the tag is left and where it is gone."""

    lined_up: LinedUp
    laid: Laid
    local: survival.SurvivalMap
    holes: survival.Holes | None


class Comparer:
    """Compares; may be used from several threads at once.

    Args:
        tag_reader: Has read the exhibits.
        keys: The ring, for re-encoding a tag that was read.
        localiser: Says where tags were replaced; None where the model has none.
    """

    def __init__(self, *, tag_reader: TagReader, keys: Sequence[RingKey], localiser: Localiser | None) -> None:
        self._reader, self._localiser = tag_reader, localiser
        self._keys = {key.key_id: key for key in keys}
        self._source_survival = lru_cache(maxsize=SOURCES_KEPT)(self._measure_source)
        self._sync = build_sync_carrier(tag_reader.reader.card.model_id)

    def compare(
        self,
        part: Part,
        features: LazyFeatures,
        row: RegisteredRecord,
        reading: Reading,
        tag: MatchedTag,
        beside: Executor,
    ) -> Compared:
        """Hold a part against a record's source.

        Args:
            part: What shows the tag's frame.
            features: Of the part's pixels.
            row: The record.
            reading: What was read in the part.
            tag: Its outcome.
            beside: Runs what can be done at the same time.

        Returns:
            What was found; the registration in unit coordinates of the whole exhibit.
        """
        pixels, frame = part.pixels, part.inward(np.asarray(tag.geometry.matrix).reshape(2, 3))
        source = SourcePicture(
            preview=preview_of(row),
            planes=self._tag_planes(tag.tag_id, tag.carrier_key_id),
            shown=partial(self._source_survival, row, tag.tag_id, tag.carrier_key_id),
        )
        trying = partial(attempt_registration, pixels, row, features)
        attempt, held = self.hold(
            pixels, None if tag.geometry.mode == "direct" else frame, reading.residual, source, trying, beside
        )
        drawing = beside.submit(_draw_survival, pixels, held)
        registration = held.lined_up.registration
        return Compared(
            registration=None if registration is None else part.place(registration),
            survival=self._summarise(held, source.planes),
            movement=held.lined_up.movement,
            suspect_features=attempt.suspect_features,
            source_features=attempt.source_features,
            common_geometry=attempt.reason == "not_confirmed",
            coarse_distance_bits=_coarse_distance(pixels, frame, row),
            pictures=(*_draw(pixels, row, held), drawing.result()),
            in_part=held.lined_up.in_part,
            misplaced=held.lined_up.misplaced,
        )

    def hold(
        self,
        pixels: Pixels,
        frame: geometry.Affine | None,
        residual: Floats,
        source: SourcePicture,
        attempt: Callable[[], register.Attempt],
        beside: Executor,
    ) -> tuple[register.Attempt, Held]:
        """Line a picture up with a source, and find where the source's tag is left in it.

        Args:
            pixels: uint8 (H, W, 3).
            frame: The tagged frame in it (2, 3), None where that is all of it.
            residual: What was read there, float32 (3, G, G).
            source: What is known of the source.
            attempt: Tries to register the picture.
            beside: Runs what can be done at the same time.
        """
        laid = self._lay(pixels, frame)
        mapping = beside.submit(self._map_survival, laid, residual, source)
        tried = attempt()
        lined_up = LinedUp(registration=tried.registration)
        if source.preview is not None:
            pair = Pair(pixels=pixels, preview=source.preview, laid=laid, planes=source.planes, read=self._read)
            lined_up = pair.line_up(tried)
        local, holes = mapping.result()
        if lined_up.undone is not None:
            laid = self._lay_moved(pixels, lined_up.undone)
            local, holes = self._map_survival(laid, self._read(laid.look()), source)
        return tried, Held(lined_up=lined_up, laid=laid, local=local, holes=holes)

    def _read(self, view: Pixels) -> Floats:
        residual: Floats = self._reader.residuals([view])[0]
        return residual

    def _lay(self, pixels: Pixels, frame: geometry.Affine | None) -> Laid:
        """The frame as the tag was read in it."""
        return Laid(
            placement=Placement(matrix=np.eye(3) if frame is None else geometry.homogeneous(frame)),
            look=cache(partial(self._reader.view, pixels, frame)),
            seen=None if frame is None else geometry.seen_cells(frame, GRID),
        )

    def _lay_moved(self, pixels: Pixels, movement: MovementMap) -> Laid:
        """The source's frame with the content's displacements undone."""
        return Laid(
            placement=Placement(matrix=movement.matrix, movement=movement),
            look=cache(partial(movement.straighten, pixels, self._reader.reader.card.input_px)),
            seen=movement.shows(GRID),
        )

    def _map_survival(
        self, laid: Laid, residual: Floats, source: SourcePicture
    ) -> tuple[survival.SurvivalMap, survival.Holes | None]:
        """Where the tag is left, which does not depend on whether the picture lines up with its source."""
        local, shown = survival.build_survival(residual, source.planes), source.shown()
        if shown is None:
            return local, None
        if self._localiser is None:
            return local, survival.find_holes(local, shown, laid.seen)
        frame = np.ones(local.correlation.shape, np.bool_) if laid.seen is None else laid.seen
        odds = self._localiser.locate(local.residual, source.planes, shown.residual, frame)
        return local, survival.find_holes(local, shown, laid.seen, odds)

    def _summarise(self, held: Held, expected: Floats) -> Survival:
        """Where the tag is left on the whole, and in and out of what was replaced, each read by itself."""
        lined_up, laid = held.lined_up, held.laid
        summary = survival.summarise(held.local, laid.seen, held.holes)
        if self._localiser is not None and held.holes is not None and held.holes.by_network:
            summary = replace(summary, localiser_sha256=self._localiser.sha256)
        measured, replaced, registration = lined_up.measured, find_replaced_content(lined_up), lined_up.registration
        if measured is None or replaced is None or registration is None:
            return summary
        changed, core = (
            difference.project_to_source(mask, registration, GRID, lined_up.undone)
            for mask in (measured.changed, replaced)
        )
        apart = None
        if core.any():
            apart = read_apart(laid.look(), changed, core, laid.seen, expected, self._reader.reader)
        if apart is None:
            return summary
        return replace(summary, inside=apart.inside, outside=apart.outside, inside_error=apart.error)

    def _tag_planes(self, tag_id: str, carrier_key_id: str) -> Floats:
        key = self._keys[carrier_key_id]
        return build_tag_planes(channel.encode(tag_id, key.channel), key.carriers, self._sync)

    def _measure_source(self, row: RegisteredRecord, tag_id: str, carrier_key_id: str) -> survival.SurvivalMap | None:
        """Where the tag shows in the source's preview, tagged anew; None without one. Remembered as the rivals are."""
        preview = preview_of(row)
        if preview is None:
            return None
        planes = self._tag_planes(tag_id, carrier_key_id)
        tagged = add_residual(preview, planes, build_mask(preview), DEFAULT_PSNR_DB)
        return survival.build_survival(self._read(tagged), planes)


def _coarse_distance(pixels: Pixels, frame: geometry.Affine, row: RegisteredRecord) -> int:
    """Bits in which the perceptual hash of the upright picture, or of its mirror image, differs from the record's."""
    core_phash = int(source_phash(row), 16)
    return min((one ^ core_phash).bit_count() for one in fingerprint.phash_pair(turn_upright(pixels, frame)))


def outline_replaced(held: Held) -> Mask | None:
    """What was replaced, by what differs and where the tag is gone; None where either is not known or nothing differs.

    Where the tag is gone sharpens the outline of what differs; nothing else rests on it.
    """
    measured = held.lined_up.measured
    if measured is None or held.holes is None or not measured.changed.any():
        return None
    return find_replaced(measured, held.holes, held.laid.placement)


def _draw(pixels: Pixels, row: RegisteredRecord, held: Held) -> tuple[Picture, ...]:
    """The source as the record keeps it, what differs from it, and what was moved."""
    if row.preview is None or preview_of(row) is None:
        return ()
    pictures, lined_up = [registered_jpeg(row.preview)], held.lined_up
    if lined_up.measured is not None:
        drawn = render.render_difference(pixels, lined_up.measured, outline_replaced(held))
        pictures.append(as_png("difference", drawn))
    if lined_up.moved is not None:
        pictures.append(as_png("movement", render_movement(pixels, lined_up.moved)))
    return tuple(pictures)


def _draw_survival(pixels: Pixels, held: Held) -> Picture:
    return as_png("survival", render.render_survival(pixels, held.local, held.laid.placement, held.holes))


def show_difference(
    pixels: Pixels, row: RegisteredRecord, registration: Registration
) -> tuple[Registration, tuple[Picture, ...]]:
    """What changed between a source and a picture that lines up with it, where the record keeps a preview."""
    preview = preview_of(row)
    if preview is None or row.preview is None:
        return registration, ()
    measured = difference.compare(pixels, preview, registration)
    pictures = (registered_jpeg(row.preview), as_png("difference", render.render_difference(pixels, measured)))
    return difference.measured(registration, measured), pictures
