"""Where movement is found: in pictures that were bent, and in faces that were swapped for others in the same place.

    python bench/movement.py --images DIR --face-model yunet.onnx [--limit N]

Needs no tags. Every photograph with a face gets the next one's face, lined up by its five points: the hardest case for
optical flow, which matches one mouth to another. Bent pictures are the same photographs, bent around the face or all
over. Prints a Markdown table: in how many pictures 3 % and more was found to be moved, and how much in the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from registration_scenes import U8, FaceFinder, jpeg, resize_to, swap_feather, swap_poisson

from ftforensics.attacks.warps import reenact
from ftforensics.flows.bench.pictures import load_set
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.imaging.resample import fit_within
from ftforensics.link import fingerprint, register
from ftforensics.link.movement import measure_movement

LONG_SIDE_PX = 1024
# Of the side.
AROUND, FEATHER = 0.04, 0.03


def make_fakes(picture: U8, donor: U8, faces: FaceFinder, seed: int) -> Iterator[tuple[str, U8]]:
    """Fakes of a picture, by name."""
    swap = swap_feather(picture, donor, faces, np.random.default_rng(seed))
    yield "face swapped", swap.suspect
    yield "face swapped (Poisson)", swap_poisson(picture, donor, faces, np.random.default_rng(seed)).suspect
    yield "face swapped, 480 px, JPEG 60", jpeg(resize_to(swap.suspect, 480), 60)
    assert swap.mask is not None
    side = max(picture.shape[:2])
    kernel = np.ones((2 * round(AROUND * side) + 1,) * 2, np.uint8)
    soft = cv2.GaussianBlur(cv2.dilate(swap.mask.astype(np.float32), kernel), (0, 0), FEATHER * side)
    for shift in (0.02, 0.04, 0.08):
        bent = reenact(picture, shift, np.random.default_rng(seed), np.asarray(soft, np.float32))
        yield f"face moved, {100 * shift:g} %, JPEG 80", jpeg(bent, 80)
    for name, start in (("", picture), ("face swapped, then ", swap.suspect)):
        yield f"{name}moved all over, 2 %, JPEG 80", jpeg(reenact(start, 0.02, np.random.default_rng(seed)), 80)


def measure(suspect: U8, source: U8) -> float | None:
    """The share found to be moved; None where the picture has no geometry in common with its source."""
    kept = fingerprint.build(source)
    preview = fingerprint.decode_preview(kept.preview)
    attempt = register.attempt(suspect, preview, kept.descriptors)
    if attempt.matrix is None:
        return None
    found = measure_movement(suspect, preview, attempt.matrix)
    return 0.0 if found is None else found.moved_fraction


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--face-model", required=True, help="OpenCV's YuNet graph")
    parser.add_argument("--limit", type=int, help="so many photographs with faces")
    given = parser.parse_args()
    faces = FaceFinder(given.face_model)
    pictures = [
        np.ascontiguousarray(fit_within(load_exhibit(one.path), LONG_SIDE_PX))
        for one in load_set(given.images, None).pictures
    ]
    people = [picture for picture in pictures if faces.landmarks(picture) is not None][: given.limit]
    found: dict[str, list[float | None]] = {}
    for at, picture in enumerate(people):
        for name, fake in make_fakes(picture, people[(at + 1) % len(people)], faces, at):
            found.setdefault(name, []).append(measure(fake, picture))
    print(f"{len(people)} photographs with a face\n")
    print("| made | lined up | movement found | of the shared area, mean |\n| --- | ---: | ---: | ---: |")
    for name, shares in found.items():
        known = np.array([share for share in shares if share is not None])
        print(f"| {name} | {len(known)} | {100 * np.mean(known > 0):.1f} % | {100 * np.mean(known):.1f} % |")


if __name__ == "__main__":
    main()
