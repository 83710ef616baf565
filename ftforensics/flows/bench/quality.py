"""How visible tags are: PSNR, SSIM and CIEDE2000 over all pictures, tails and worst picture included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ftforensics.attacks import handling
from ftforensics.flows.bench.pictures import BenchPicture, PictureSet
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.workers import collect
from ftforensics.imaging.quality import Quality, compare
from ftforensics.media.container import load_photo

JPEG_QUALITY = 92

STAGES: tuple[tuple[str, str], ...] = (
    ("residual", "tag alone, before the file is coded"),
    ("written", "tagged file, in its source's format"),
    ("jpeg", f"tagged picture as JPEG {JPEG_QUALITY}"),
    ("jpeg_untagged", f"for comparison: untagged picture as JPEG {JPEG_QUALITY}"),
)
# Field, label, decimals, unit, whether more is better.
_MEASURES = (
    ("psnr_db", "PSNR", 2, "dB", True),
    ("ssim", "SSIM", 4, "", True),
    ("ciede2000_mean", "CIEDE2000 mean", 2, "", False),
    ("ciede2000_p99", "CIEDE2000 99th percentile", 2, "", False),
)
_WORST_SHARE = 5.0
_STATISTICS = ("mean", "median", "worst 5 %", "worst")

QUALITY_COLUMNS: tuple[Column, ...] = (
    Column(key="compared", label="compared with the source"),
    Column(key="statistic", label="over the pictures"),
    *(Column(key=key, label=label, kind="number", digits=d, unit=unit) for key, label, d, unit, _ in _MEASURES),
    Column(key="worst", label="worst pictures"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureQuality:
    """One picture's measures by stage; none where ``ftf tag`` would have refused it."""

    name: str
    stronger_db: float
    stages: dict[str, Quality]


class QualityWorker:
    """Tags and compares one picture after another."""

    def __init__(self, setup: Setup) -> None:
        self._bench = Bench(setup)

    def __call__(self, task: BenchPicture) -> PictureQuality:
        """All measures of a picture."""
        tagged = self._bench.tag(task)
        if tagged is None:
            return PictureQuality(name=task.name, stronger_db=0.0, stages={})
        source = np.ascontiguousarray(load_photo(task.path).pixels)
        stages = {
            "residual": compare(source, tagged.added),
            "written": compare(source, np.ascontiguousarray(tagged.written.pixels)),
            "jpeg": compare(source, handling.jpeg(tagged.added, JPEG_QUALITY)),
            "jpeg_untagged": compare(source, handling.jpeg(source, JPEG_QUALITY)),
        }
        return PictureQuality(name=task.name, stronger_db=tagged.stronger_db, stages=stages)


def measure_quality(
    pictures: PictureSet, setup: Setup, *, jobs: int, advance: Callable[[], None]
) -> list[PictureQuality]:
    """Tag every picture and compare it with its source.

    Raises:
        FtfError: A picture, the model or the folder for work cannot be used.
    """
    return collect(QualityWorker, setup, pictures.pictures, jobs, advance)


def summarise_quality(results: Sequence[PictureQuality]) -> tuple[Row, ...]:
    """Mean, median, the worst 5 % and the worst of every measure, for every stage."""
    measured = [result for result in results if result.stages]
    rows: list[Row] = []
    for stage, compared in STAGES if measured else ():
        made: list[Row] = [
            {"compared": compared, "statistic": name, "worst": None}
            for name in ("mean", "median", "worst 5 %", "worst")
        ]
        mean, median, tail, last = made
        named: list[str] = []
        for field, label, _, _, more_is_better in _MEASURES:
            values = np.array([getattr(result.stages[stage], field) for result in measured], dtype=np.float64)
            worst = int(values.argmin() if more_is_better else values.argmax())
            mean[field], median[field] = _finite(values.mean()), _finite(np.median(values))
            share = _WORST_SHARE if more_is_better else 100.0 - _WORST_SHARE
            tail[field], last[field] = _finite(np.percentile(values, share)), _finite(values[worst])
            named.append(f"{label}: {measured[worst].name}")
        rows += [mean, median, tail, last | {"worst": "; ".join(named)}]
    return tuple(rows)


def _finite(value: float) -> float | None:
    """Rounded, or None for the infinite PSNR of equal pictures, which JSON cannot carry."""
    return round(float(value), 5) if np.isfinite(value) else None
