"""How well the survival map and the difference map outline a region that was pasted, and what they outline if none was.

A tagged picture gets a region of another one, with or without JPEG after it, and is read and linked as a scan does it:
the outlines are those of the report's pictures (``link.render``), at their size, and are held against the true mask. A
picture that is not identified has no outline and scores zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.attacks import handling, regions
from ftforensics.codec import channel
from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.domain.tag import DEFAULT_PSNR_DB, MatchedTag
from ftforensics.engine.reading import Reading, TagReader
from ftforensics.flows.bench.manipulations import (
    BATTERY,
    Means,
    apply_manipulation,
    box,
    draw_random,
    ellipse,
    lobed,
)
from ftforensics.flows.bench.paired import PairedSetup, PairedTask, measure_paired
from ftforensics.flows.bench.pictures import PictureSet
from ftforensics.flows.bench.results import Column, Row, interval_columns
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.statistics import Estimate, estimate_mean, estimate_rate
from ftforensics.flows.bench.tagging import TaggedPicture, load_exhibit
from ftforensics.flows.comparing import Comparer, Held, SourcePicture, outline_replaced
from ftforensics.flows.tag import READ_PX
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.imaging.resample import Floats, Pixels, fit_within
from ftforensics.link import difference, fingerprint, register, render, survival
from ftforensics.link.canvas import RENDER_PX

JPEG_QUALITY = 70

Mask = NDArray[np.bool_]
# A picture, a donor and chance to the pasted picture and the replaced share of every pixel.
Paste = Callable[[Pixels, Pixels, np.random.Generator], tuple[Pixels, Floats]]


def _swap(share: float) -> Paste:
    return lambda picture, donor, random: regions.swap_region(picture, donor, ellipse(picture, share, random))


def _splice(picture: Pixels, donor: Pixels, random: np.random.Generator) -> tuple[Pixels, Floats]:
    return regions.swap_region(picture, donor, box(picture, 0.3, random), colour_matched=False)


def _clone(picture: Pixels, donor: Pixels, random: np.random.Generator) -> tuple[Pixels, Floats]:
    return regions.swap_region_poisson(picture, donor, ellipse(picture, 0.5, random))


def _lobes(picture: Pixels, donor: Pixels, random: np.random.Generator) -> tuple[Pixels, Floats]:
    return regions.swap_region(picture, donor, lobed(picture, 0.4, random))


def _put_back(picture: Pixels, own: Pixels, random: np.random.Generator) -> tuple[Pixels, Floats]:
    return regions.swap_region(picture, own, ellipse(picture, 0.4, random), colour_matched=False)


PASTES: dict[str, Paste] = {
    "face-like swap, 30 %": _swap(0.3),
    "face-like swap, 50 %": _swap(0.5),
    "box splice, 30 %": _splice,
    "Poisson swap, 50 %": _clone,
    "wavy outline, 40 %": _lobes,
}
# What only the tag can tell: the photograph's own content, without the tag, in its own place.
PUT_BACK = "own content, untagged, 40 %"
AFTER = ("as it is", f"JPEG {JPEG_QUALITY}")
# What is done to pictures in which nothing was pasted, by its name among the manipulations of ``ftf bench robustness``.
NOTHING = "nothing"
INTACT = ("none", "JPEG 50 at 640 px", "JPEG 30", "tone", "GAN simulator", "reenactment warp", "crop to 75 %")
# And where all was tagged after a paste, so that the tag is missing nowhere, though content differs.
TAGGED_ANEW = "face-like swap, 50 %, all tagged anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How an outline fits a mask; all 0 where there is no outline."""

    precision: float
    recall: float
    f1: float
    iou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlined:
    """One pasted picture: the outlines of the survival map, of the difference map, and of both weighed together.

    ``visible`` is the share of the pasted region in which the survival map could judge at all; ``gone_area`` and
    ``replaced_area`` are the shares of the picture that the survival map and both maps outline.
    """

    paste: str
    after: str
    identified: bool
    gone: Overlap
    changed: Overlap
    replaced: Overlap
    visible: float
    gone_area: float
    replaced_area: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """What a record tells of its source: preview, descriptors, the tag, and where that shows in the preview."""

    picture: SourcePicture
    descriptors: bytes


def _tag_anew(pixels: Pixels, planes: Floats) -> Pixels:
    return add_residual(pixels, planes, build_mask(pixels), DEFAULT_PSNR_DB)


def open_source(pixels: Pixels, planes: Floats, tag_reader: TagReader) -> Source:
    """What a scan knows of a photograph that was registered with this tag.

    Args:
        pixels: The photograph, untagged, uint8 (H, W, 3).
        planes: Its re-encoded tag (3, 64, 64).
        tag_reader: Reads the preview, tagged anew.
    """
    kept = fingerprint.build(pixels)
    preview = fingerprint.decode_preview(kept.preview)
    shown = survival.build_survival(tag_reader.residuals([_tag_anew(preview, planes)])[0], planes)
    picture = SourcePicture(preview=preview, planes=planes, shown=lambda: shown)
    return Source(picture=picture, descriptors=kept.descriptors)


class SurvivalWorker:
    """Tags, pastes, reads and outlines one picture after another."""

    def __init__(self, setup: PairedSetup) -> None:
        self._bench = Bench(setup.setup)
        self._tag_reader = TagReader(self._bench.reader, [setup.book.open(self._bench.key)])
        self._sync = build_sync_carrier(self._bench.reader.card.model_id)
        self._comparer = Comparer(tag_reader=self._tag_reader, keys=[], localiser=self._bench.localiser)

    def __call__(self, task: PairedTask) -> list[Outlined] | None:
        """All pastes of a picture, and it without one; None where ``ftf tag`` would have refused it."""
        tagged = self._bench.tag(task.picture)
        if tagged is None:
            return None
        key = self._bench.key
        planes = build_tag_planes(channel.encode(tagged.tag_id, key.channel), key.carriers, self._sync)
        own = load_exhibit(task.picture.path)
        source = open_source(own, planes, self._tag_reader)
        donor, found = load_exhibit(task.donor.path), []
        for name, paste in (PASTES | {PUT_BACK: _put_back}).items():
            random = draw_random(self._bench.setup.seed, task.picture.sha256, f"survival {name}", 0)
            pasted, share = paste(tagged.pixels, own if name == PUT_BACK else donor, random)
            for after in AFTER:
                pixels = pasted if after == AFTER[0] else handling.jpeg(pasted, JPEG_QUALITY)
                pixels = np.ascontiguousarray(fit_within(pixels, READ_PX))
                found.append(self._outline(name, after, pixels, share > 0.5, source, tagged.tag_id))
        found += self._outline_intact(task, tagged, donor, source)
        random = draw_random(self._bench.setup.seed, task.picture.sha256, TAGGED_ANEW, 0)
        swapped, _ = PASTES["face-like swap, 50 %"](own, donor, random)
        found.append(self._outline_nothing(TAGGED_ANEW, _tag_anew(swapped, planes), source, tagged.tag_id))
        return found

    def _outline_intact(self, task: PairedTask, tagged: TaggedPicture, donor: Pixels, source: Source) -> list[Outlined]:
        found, chosen = [], {one.name: one for one in BATTERY}
        for name in INTACT:
            random = draw_random(self._bench.setup.seed, task.picture.sha256, name, 0)
            means = Means(donor=donor, regenerate=self._bench.regenerate, random=random)
            pixels = apply_manipulation(chosen[name], tagged.pixels, means)
            found.append(self._outline_nothing(name, pixels, source, tagged.tag_id))
        return found

    def _outline_nothing(self, name: str, pixels: Pixels, source: Source, tag_id: str) -> Outlined:
        pixels = np.ascontiguousarray(fit_within(pixels, READ_PX))
        return self._outline(NOTHING, name, pixels, np.zeros(pixels.shape[:2], np.bool_), source, tag_id)

    def _outline(self, name: str, after: str, pixels: Pixels, truth: Mask, source: Source, tag_id: str) -> Outlined:
        size = _shown_size(pixels)
        wanted = np.asarray(cv2.resize(truth.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5)
        reading = self._tag_reader.identify(pixels, self._tag_reader.residuals([pixels])[0])
        tag = reading.outcome
        gone, visible, held = np.zeros_like(wanted), 0.0, None
        if isinstance(tag, MatchedTag) and tag.tag_id == tag_id:
            held = hold(self._comparer, pixels, reading, tag, source)
            if held.holes is not None:
                gone = render.outline_gone(held.holes, held.laid.placement, size)
                judged = replace(held.holes, region=held.holes.visible)
                seen = render.outline_gone(judged, held.laid.placement, size)
                visible = float(seen[wanted].mean()) if wanted.any() else 0.0
        measured = _compare(pixels, source) if held is None else held.lined_up.measured
        changed = np.zeros_like(wanted) if measured is None else render.outline_changed(measured, size)
        both = changed
        if held is not None:
            both = gone if measured is None else render.outline_replaced(changed, outline_replaced(held))
        return Outlined(
            paste=name,
            after=after,
            identified=held is not None,
            gone=overlap(gone, wanted),
            changed=overlap(changed, wanted),
            replaced=overlap(both, wanted),
            visible=visible,
            gone_area=float(gone.mean()),
            replaced_area=float(both.mean()),
        )


def hold(comparer: Comparer, pixels: Pixels, reading: Reading, tag: MatchedTag, source: Source) -> Held:
    """A picture held against its source as a scan does it, where a tag was read in the whole of it."""
    frame = None if tag.geometry.mode == "direct" else np.asarray(tag.geometry.matrix).reshape(2, 3)
    attempt = partial(register.attempt, pixels, source.picture.preview, source.descriptors)
    with ThreadPoolExecutor(1) as beside:
        return comparer.hold(pixels, frame, reading.residual, source.picture, attempt, beside)[1]


def _shown_size(pixels: Pixels) -> tuple[int, int]:
    """Width and height of the report's picture."""
    height, width = pixels.shape[:2]
    scale = RENDER_PX / max(height, width)
    return max(8, round(width * scale)), max(8, round(height * scale))


def _compare(pixels: Pixels, source: Source) -> difference.Difference | None:
    """The difference map; None where the picture does not register to its source."""
    preview = source.picture.preview
    registration = register.register(pixels, preview, source.descriptors)
    return None if registration is None or preview is None else difference.compare(pixels, preview, registration)


def overlap(outline: Mask, truth: Mask) -> Overlap:
    """Precision, recall, F1 and intersection over union of two masks of one shape."""
    both, either = int((outline & truth).sum()), int((outline | truth).sum())
    drawn, wanted = int(outline.sum()), int(truth.sum())
    return Overlap(
        precision=both / drawn if drawn else 0.0,
        recall=both / wanted if wanted else 0.0,
        f1=2.0 * both / (drawn + wanted) if drawn + wanted else 0.0,
        iou=both / either if either else 0.0,
    )


def measure_survival(
    pictures: PictureSet, setup: Setup, *, records: int, jobs: int, advance: Callable[[], None]
) -> list[list[Outlined] | None]:
    """Outlines picture by picture; None for one that ``ftf tag`` would have refused.

    Raises:
        FtfError: A picture, the model or the folder for work cannot be used.
    """
    return measure_paired(SurvivalWorker, pictures, setup, records=records, jobs=jobs, advance=advance)


SURVIVAL_COLUMNS: tuple[Column, ...] = (
    Column(key="paste", label="pasted"),
    Column(key="after", label="then"),
    Column(key="pictures", label="pictures", kind="count"),
    *interval_columns("identified", "right record of all", "rate"),
    *interval_columns("f1", "survival map: F1", "rate"),
    *interval_columns("iou", "IoU", "rate"),
    *interval_columns("precision", "precision", "rate"),
    *interval_columns("recall", "recall", "rate"),
    *interval_columns("visible", "pasted region it can judge", "rate"),
    *interval_columns("changed_f1", "difference map: F1", "rate"),
    *interval_columns("changed_iou", "difference map: IoU", "rate"),
    *interval_columns("replaced_f1", "both maps: F1", "rate"),
    *interval_columns("replaced_iou", "both maps: IoU", "rate"),
)


def summarise_survival(results: Sequence[Sequence[Outlined] | None], seed: int) -> tuple[Row, ...]:
    """One row a paste and what was done after it; means over pictures."""
    rows: list[Row] = []
    for paste in (*PASTES, PUT_BACK):
        for after in AFTER:
            part = _those(results, paste, after)
            if part:
                row: Row = {"paste": paste, "after": after, "pictures": len(part)}
                rows.append(row | _estimates(part, seed))
    return tuple(rows)


INTACT_COLUMNS: tuple[Column, ...] = (
    Column(key="after", label="no tag is missing, but"),
    Column(key="pictures", label="pictures", kind="count"),
    *interval_columns("identified", "right record of all", "rate"),
    *interval_columns("gone", "survival map: outlines anything", "rate"),
    *interval_columns("gone_area", "of the picture", "rate", digits=2),
    *interval_columns("replaced", "both maps: outline anything", "rate"),
    *interval_columns("replaced_area", "of the picture", "rate", digits=2),
)


def summarise_intact(results: Sequence[Sequence[Outlined] | None], seed: int) -> tuple[Row, ...]:
    """One row a manipulation of pictures in which no tag is missing; means over all pictures, identified or not."""
    rows: list[Row] = []
    for after in (*INTACT, TAGGED_ANEW):
        part = _those(results, NOTHING, after)
        if not part:
            continue
        row: Row = {"after": after, "pictures": len(part)}
        estimates = {
            "identified": estimate_rate(np.asarray([float(one.identified) for one in part]), seed),
            "gone": estimate_rate(np.asarray([float(one.gone_area > 0.0) for one in part]), seed),
            "replaced": estimate_rate(np.asarray([float(one.replaced_area > 0.0) for one in part]), seed),
            "gone_area": estimate_mean(np.asarray([one.gone_area for one in part]), seed),
            "replaced_area": estimate_mean(np.asarray([one.replaced_area for one in part]), seed),
        }
        rows.append(row | _spread(estimates))
    return tuple(rows)


def _those(results: Sequence[Sequence[Outlined] | None], paste: str, after: str) -> list[Outlined]:
    return [one for result in results if result for one in result if (one.paste, one.after) == (paste, after)]


def _spread(estimates: Mapping[str, Estimate]) -> Row:
    """Three columns an estimate: itself and the ends of its interval."""
    row: Row = {}
    for key, estimate in estimates.items():
        row |= {key: estimate.mean, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    return row


def _estimates(part: Sequence[Outlined], seed: int) -> Row:
    values = {
        "f1": [one.gone.f1 for one in part],
        "iou": [one.gone.iou for one in part],
        "precision": [one.gone.precision for one in part],
        "recall": [one.gone.recall for one in part],
        "visible": [one.visible for one in part],
        "changed_f1": [one.changed.f1 for one in part],
        "changed_iou": [one.changed.iou for one in part],
        "replaced_f1": [one.replaced.f1 for one in part],
        "replaced_iou": [one.replaced.iou for one in part],
    }
    estimates = {key: estimate_mean(np.asarray(found), seed) for key, found in values.items()}
    estimates["identified"] = estimate_rate(np.asarray([float(one.identified) for one in part]), seed)
    return _spread(estimates)
