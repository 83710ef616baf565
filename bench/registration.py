"""Calibrate registration and difference on real photographs; anyone can re-run it.

    python bench/registration.py --images DIR [--seed 1] [--sources 40] [--pairs 5000] [--face-model yunet.onnx] [--out
    FILE]

DIR holds photographs, in subfolders if wanted (each is a row group); none of them is kept. Prints one table of what
happens to manipulated copies (registered against the preview and against the compact descriptors alone, overlap with
the true mask, change found where there was none), one of different pictures, and writes both as JSON. Pairs that
registered although their files differ are named, so that a person can look at them: near-duplicates in a collection are
no false registrations.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from registration_scenes import SAME, SWAPPED, U8, FaceFinder

from ftforensics.link import fingerprint
from ftforensics.link.difference import compare
from ftforensics.link.features import detect_features
from ftforensics.link.register import Attempt, attempt

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One picture of the collection, with the fingerprint a record would carry."""

    group: str
    name: str
    pixels: U8
    preview: U8
    made: fingerprint.Fingerprint


def load_photo(path: Path, root: Path) -> Photo:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise SystemExit(f"Cannot read {path}")
    rgb = np.ascontiguousarray(pixels[:, :, ::-1])
    made = fingerprint.build(rgb)
    name = path.relative_to(root).as_posix()
    group = name.split("/")[0] if "/" in name else "."
    return Photo(group=group, name=name, pixels=rgb, preview=fingerprint.decode_preview(made.preview), made=made)


def measure_scenes(photos: list[Photo], faces: FaceFinder | None, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for index, photo in enumerate(photos):
        donor = photos[(index + 1 + len(photos) // 3) % len(photos)]
        for name, maker in {**SAME, **SWAPPED}.items():
            scene = maker(photo.pixels, donor.pixels, faces, rng)
            row = rows[(name, photo.group)]
            start = time.perf_counter()
            tried = attempt(scene.suspect, photo.preview, photo.made.descriptors)
            registered = tried.registration is not None
            row["registered"].append(registered)
            row["by_descriptors"].append(attempt(scene.suspect, None, photo.made.descriptors).registration is not None)
            if tried.registration is None:
                continue
            difference = compare(scene.suspect, photo.preview, tried.registration)
            row["seconds"].append(time.perf_counter() - start)
            row["found"].append(difference.changed_fraction > 0)
            row["changed"].append(difference.changed_fraction)
            if scene.mask is not None:
                size = (difference.changed.shape[1], difference.changed.shape[0])
                truth = cv2.resize(scene.mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
                truth &= difference.seen
                union = int((truth | difference.changed).sum())
                if truth.sum() >= 0.01 * difference.seen.sum():
                    row["iou"].append(float((truth & difference.changed).sum()) / max(union, 1))
    return [
        {
            "scene": scene,
            "group": group,
            "n": len(row["registered"]),
            "registered": float(np.mean(row["registered"])),
            "by_descriptors": float(np.mean(row["by_descriptors"])),
            "change_found": float(np.mean(row["found"])) if row["found"] else None,
            "changed_fraction_max": float(np.max(row["changed"])) if row["changed"] else None,
            "iou_mean": float(np.mean(row["iou"])) if row["iou"] else None,
            "iou_worst": float(np.min(row["iou"])) if row["iou"] else None,
        }
        for (scene, group), row in rows.items()
    ]


def measure_strangers(photos: list[Photo], pairs: int, rng: np.random.Generator) -> dict[str, Any]:
    """Pairs of different pictures: half from anywhere, half from one group (the same kind of scene or person)."""
    features = [detect_features(photo.pixels) for photo in photos]
    groups: dict[str, list[int]] = defaultdict(list)
    for index, photo in enumerate(photos):
        groups[photo.group].append(index)
    counts = {"preview": 0, "descriptors": 0}
    named: list[dict[str, Any]] = []
    nearest: list[dict[str, Any]] = []
    for turn in range(pairs):
        first = int(rng.integers(len(photos)))
        pool = groups[photos[first].group] if turn % 2 else range(len(photos))
        second = int(rng.choice(pool))
        if second == first:
            second = (first + 1) % len(photos)
        suspect, source = photos[first], photos[second]
        for against, preview in (("preview", source.preview), ("descriptors", None)):
            tried = attempt(suspect.pixels, preview, source.made.descriptors, suspect_features=features[first])
            if tried.reason == "no_common_geometry":
                break  # the same geometry is looked for without the preview
            entry = _describe(tried, against, suspect.name, source.name)
            nearest.append(entry)
            if tried.registration is not None:
                counts[against] += 1
                named.append(entry)
    nearest.sort(key=lambda e: -e["inliers"])
    return {"pairs": pairs, "registered": counts, "registered_pairs": named, "nearest": nearest[:20]}


def _describe(tried: Attempt, against: str, suspect: str, source: str) -> dict[str, Any]:
    return {
        "suspect": suspect,
        "source": source,
        "against": against,
        "reason": tried.reason,
        "inliers": tried.inliers,
        "residual_px": tried.residual_px,
        "share": None if tried.agreement is None else tried.agreement.share,
    }


def print_scenes(rows: list[dict[str, Any]]) -> None:
    print(f"{'scene':26} {'group':10} {'n':>4} {'regist.':>8} {'no prev.':>8} {'change':>7} {'IoU':>5} {'worst':>6}")
    for row in rows:
        print(
            f"{row['scene']:26} {row['group']:10} {row['n']:4d} {_percent(row['registered']):>8} "
            f"{_percent(row['by_descriptors']):>8} {_percent(row['change_found']):>7} "
            f"{_number(row['iou_mean']):>5} {_number(row['iou_worst']):>6}",
        )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def spread(paths: list[Path], count: int) -> list[Path]:
    return [paths[i * len(paths) // count] for i in range(min(count, len(paths)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sources", type=int, default=40, help="photographs to manipulate, over all groups")
    parser.add_argument("--pairs", type=int, default=5000, help="pairs of different pictures")
    parser.add_argument("--pool", type=int, default=300, help="photographs the pairs are drawn from")
    parser.add_argument("--face-model", default=None, help="YuNet ONNX, to swap faces onto faces")
    parser.add_argument("--out", type=Path, default=Path("bench/registration.json"))
    args = parser.parse_args()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    by_group: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(p for p in args.images.rglob("*") if p.suffix.lower() in SUFFIXES):
        by_group[path.parent].append(path)
    if not by_group:
        print(f"No pictures in {args.images}", file=sys.stderr)
        return 2
    rng = np.random.default_rng(args.seed)
    faces = FaceFinder(args.face_model) if args.face_model else None
    rows: list[dict[str, Any]] = []
    for paths in by_group.values():
        share = max(2, round(args.sources / len(by_group)))
        rows += measure_scenes([load_photo(p, args.images) for p in spread(paths, share)], faces, rng)
    print_scenes(rows)
    pool = [
        load_photo(p, args.images) for paths in by_group.values() for p in spread(paths, args.pool // len(by_group))
    ]
    strangers = measure_strangers(pool, args.pairs, rng)
    print(f"\n{args.pairs} pairs of different pictures; registered: {strangers['registered']}")
    for entry in strangers["registered_pairs"]:
        print("  look at", json.dumps(entry))
    document = {"seed": args.seed, "scenes": rows, "strangers": strangers}
    args.out.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
