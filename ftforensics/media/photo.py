"""A photograph opened for tagging: full-size pixels and all that is needed to write the same kind of file again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ftforensics.domain.evidence import DecodeInfo
from ftforensics.media.decode import convert_to_srgb

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photo:
    """One photograph.

    ``stored`` is uint8 (H, W, 3) in the file's own colour space and stored orientation, grey repeated three times;
    ``alpha`` uint8 (H, W) or None. ``mode`` is the file's: RGB, RGBA, L or LA. ``data`` is the source file.
    """

    path: Path
    data: bytes
    sha256: str
    media_type: str
    mode: str
    decode: DecodeInfo
    stored: Pixels
    alpha: Pixels | None
    exif: bytes | None
    icc: bytes | None
    xmp: bytes | None

    @property
    def pixels(self) -> Pixels:
        """Display-oriented view of ``stored``, uint8 (H, W, 3)."""
        return orient(self.stored, self.decode.orientation)

    @property
    def srgb(self) -> Pixels:
        """Display-oriented pixels turned to sRGB where the file has an ICC profile, uint8 (H, W, 3).

        For fingerprints and previews, which must match what ``intake`` reads; transparency is laid on white.
        """
        return orient(np.asarray(convert_to_srgb(compose(self, self.stored), self.icc)), self.decode.orientation)


def compose(photo: Photo, stored: Pixels) -> Image.Image:
    """Colours uint8 (H, W, 3) in stored orientation and the photograph's untouched alpha, in the file's own mode."""
    picture = Image.fromarray(np.ascontiguousarray(stored))
    if photo.mode in ("L", "LA"):
        picture = picture.convert("L")
    if photo.alpha is not None:
        picture.putalpha(Image.fromarray(photo.alpha))
    return picture


def orient(stored: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation 1..8 to an array (H, W, ...); gives a view."""
    turned = stored.swapaxes(0, 1) if orientation >= 5 else stored
    vertical = slice(None, None, -1) if orientation in (3, 4, 7, 8) else slice(None)
    horizontal = slice(None, None, -1) if orientation in (2, 3, 6, 7) else slice(None)
    return turned[vertical, horizontal]


def unorient(shown: Pixels, orientation: int) -> Pixels:
    """Undo ``orient``."""
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    return orient(shown, inverse)
