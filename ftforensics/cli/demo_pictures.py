"""The demo's photographs and the fakes made of them.

The photographs are public-domain pictures that come with scikit-image: Eileen Collins (NASA), a cup of coffee and a cat
(both CC0, by their authors), a rocket launch (CC0, SpaceX).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ftforensics.attacks import colour, handling, regions, warps
from ftforensics.errors import EvidenceUnreadable, UsageError
from ftforensics.imaging.resample import resize
from ftforensics.media.container import TAGGABLE_TYPES, load_photo
from ftforensics.media.sniff import sniff_media_type

if TYPE_CHECKING:
    from ftforensics.engine.onnx import OnnxSimulator

Pixels = NDArray[np.uint8]

# Where the face is in the astronaut's picture, and in the cat's: left, top, right, bottom in unit coordinates.
_ASTRONAUT_FACE = (0.32, 0.08, 0.57, 0.42)
_CAT_FACE = (0.16, 0.05, 0.80, 0.80)
_MIDDLE = (0.32, 0.25, 0.68, 0.75)
# Of both sides.
_CLOSE_UP = 0.45
# Of the face's width and height.
_CUT_OUT = (2.6, 2.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fake:
    """A suspect picture: where it is, how it was made, and whether it was made from a tagged photograph."""

    path: Path
    how: str
    is_tagged: bool


def load_demo_photos() -> list[Path]:
    """The files of three photographs that come with scikit-image.

    Raises:
        UsageError: scikit-image is not installed.
    """
    folder = _skimage_folder()
    return [folder / "astronaut.png", folder / "coffee.png", folder / "rocket.jpg"]


def _skimage_folder() -> Path:
    try:
        import skimage
    except ImportError as exc:
        raise UsageError(
            "the demo's photographs come with scikit-image, which is not installed",
            remedy="run: pip install 'ftforensics[demo]', or give your own with --images DIR",
        ) from exc
    return Path(skimage.__file__).parent / "data"


def load_own_photos(folder: Path) -> list[Path]:
    """Up to eight taggable photographs of a folder, in name order.

    Raises:
        EvidenceUnreadable: There is none.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as exc:
        raise EvidenceUnreadable(f"the folder cannot be read ({exc.strerror})", subject=str(folder)) from exc
    photos = [path for path in files if _starts_like_a_photo(path)][:8]
    if not photos:
        raise EvidenceUnreadable(
            "there are no photographs in the folder", subject=str(folder), remedy="name another folder"
        )
    return photos


def _starts_like_a_photo(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sniff_media_type(file.read(4096)) in TAGGABLE_TYPES
    except OSError:
        return False


def load_donor(path: Path | None) -> Pixels:
    """The picture that the pasted region comes from; the cat's face if none is given.

    Raises:
        EvidenceError: It cannot be read.
        UsageError: scikit-image is not installed.
    """
    if path is not None:
        return load_photo(path).srgb
    cat = load_photo(_skimage_folder() / "chelsea.png").srgb
    return _cut(cat, _CAT_FACE)


def _cut(picture: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    return np.ascontiguousarray(
        picture[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    )


def build_fakes(
    tagged: list[Path], originals: list[Path], donor: Pixels, simulator: OnnxSimulator, folder: Path
) -> list[Fake]:
    """Write the suspects: manipulations of the first tagged photograph, an honest copy, and two without a tag."""
    folder.mkdir(parents=True, exist_ok=True)
    source = load_photo(tagged[0]).srgb
    face = _ASTRONAUT_FACE if originals[0].name == "astronaut.png" else _MIDDLE
    made: list[Fake] = []

    def keep(
        name: str, how: str, picture: Pixels, save: Callable[[Pixels, Path], None], is_tagged: bool = True
    ) -> None:
        path = folder / name
        save(picture, path)
        made.append(Fake(path=path, how=how, is_tagged=is_tagged))

    swapped = swap_face(source, donor, face)
    keep("face-swap.jpg", "another face pasted in", swapped, _save_jpeg)
    height, width = source.shape[:2]
    kept = regions.ellipse_mask(height, width, *_ellipse(face, _CUT_OUT), 0.01)
    cut_out = regions.swap_region(source, donor, np.float32(1.0) - kept, colour_matched=False)[0]
    keep("cut-out.jpg", "cut out, before another background", cut_out, _save_jpeg)
    random = np.random.default_rng(7)
    relit = colour.relight(colour.tone(source, contrast=1.15, gamma=0.85), 0.9, random)
    keep("relit.jpg", "relit, contrast and tone changed", relit, _save_jpeg)
    mobile = regions.ellipse_mask(height, width, *_ellipse(face, (2.4, 2.2)), 0.06)
    reenacted = warps.reenact(source, 0.04, np.random.default_rng(5), mobile)
    keep("reenacted.jpg", "the head moved, as reenactment does", reenacted, _save_jpeg)
    keep("regenerated.png", "regenerated by a neural network", simulator.regenerate(source), _save_png)
    cropped = handling.resize_long_side(warps.crop(swapped, 0.8, random), 480)
    keep(
        "swap-crop-480px.jpg",
        "face swap, cropped to 80 %, 480 px, JPEG 70",
        cropped,
        lambda p, path: _save_jpeg(p, path, 70),
    )
    keep("mirrored.jpg", "mirrored", warps.mirror(source), _save_jpeg)
    keep(
        "close-up.jpg",
        "only the face kept, a fifth of the picture, JPEG 80",
        _cut(source, _around(face, _CLOSE_UP)),
        lambda p, path: _save_jpeg(p, path, 80),
    )
    if len(tagged) > 1:
        keep(
            "honest-copy.jpg",
            "saved again as JPEG 85",
            load_photo(tagged[1]).srgb,
            lambda p, path: _save_jpeg(p, path, 85),
        )
    original = load_photo(originals[-1]).srgb
    keep("untagged-original.jpg", "the issuer's original, before tagging", original, _save_jpeg, is_tagged=False)
    keep("unrelated.jpg", "a picture nobody registered", donor, _save_jpeg, is_tagged=False)
    return made


def _around(box: tuple[float, float, float, float], share: float) -> tuple[float, float, float, float]:
    """The part of ``share`` of both sides around the middle of a box, moved into the picture."""
    left, top = (min(max((box[at] + box[at + 2] - share) / 2, 0.0), 1.0 - share) for at in (0, 1))
    return left, top, left + share, top + share


def _ellipse(
    box: tuple[float, float, float, float], shares: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centre and radii of an ellipse in the middle of a box, so much of it wide and tall."""
    left, top, right, bottom = box
    return ((left + right) / 2, (top + bottom) / 2), (shares[0] * (right - left) / 2, shares[1] * (bottom - top) / 2)


def swap_face(picture: Pixels, donor: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """The donor stretched over a box, pasted through a soft ellipse inside it, its colours matched."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    # Smaller than the box by more than the feather, so that the donor's straight edges stay hidden.
    mask = regions.ellipse_mask(height, width, *_ellipse(box, (0.84, 0.88)), 0.010)
    rows = slice(round(top * height), round(bottom * height))
    columns = slice(round(left * width), round(right * width))
    canvas = picture.copy()
    canvas[rows, columns] = resize(donor, columns.stop - columns.start, rows.stop - rows.start)
    return regions.swap_region(picture, canvas, mask)[0]


def _save_jpeg(picture: Pixels, path: Path, quality: int = 88) -> None:
    Image.fromarray(picture).save(path, quality=quality)


def _save_png(picture: Pixels, path: Path) -> None:
    Image.fromarray(picture).save(path)
