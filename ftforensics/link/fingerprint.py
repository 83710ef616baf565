"""The content fingerprint of a photograph: perceptual hash, compact local features, small preview.

In: uint8 sRGB pixels (H, W, 3), display-oriented. Out: ``Fingerprint``, whose blobs a record signs by hash.

The perceptual hash is the classic one: 64 low DCT frequencies of the 32 x 32 luma, above or below their median (Zauner,
"Implementation and benchmarking of perceptual image hash functions", 2010). It finds candidates; it identifies nothing.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ftforensics.domain.record import PREVIEW_PX
from ftforensics.errors import LinkError
from ftforensics.link.features import Features, build_descriptors, detect_features, parse_descriptors, to_grey

PREVIEW_QUALITY = 85
MAX_PREVIEW_BYTES = 512 * 1024
MAX_PREVIEW_SIDE_PX = 1024
PHASH_BITS = 64

_SIDE = 32
_LOW = 8

__all__ = [
    "Features",
    "Fingerprint",
    "build",
    "decode_preview",
    "hamming",
    "parse_descriptors",
    "phash",
    "phash_pair",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a record keeps of a photograph's content.

    ``phash`` is 16 lower-case hex digits. ``descriptors`` is at most 10 KB (layout:
    ``link.features.build_descriptors``). ``preview`` is a JPEG whose long side is at most 512 px; leave it out of a
    record to keep the picture private.
    """

    phash: str
    descriptors: bytes
    preview: bytes


def build(pixels: NDArray[np.uint8]) -> Fingerprint:
    """Fingerprint a photograph. The same pixels give the same bytes.

    Raises:
        LinkError: Not an 8-bit colour picture, or under 8 px.
    """
    return Fingerprint(
        phash=phash(pixels),
        descriptors=build_descriptors(detect_features(pixels)),
        preview=_encode_preview(pixels),
    )


def phash(pixels: NDArray[np.uint8]) -> str:
    """Perceptual hash as 16 hex digits. It does not establish that two pictures are related."""
    return f"{phash_pair(pixels)[0]:016x}"


def phash_pair(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """The 64-bit hashes of the picture and of its mirror image."""
    grey = to_grey(pixels)
    # Halving by area first keeps a huge picture from aliasing into the 32 x 32 grid.
    small = cv2.resize(grey.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    low = np.asarray(cv2.dct(small), np.float32)[:_LOW, :_LOW]
    signs = np.where(np.arange(_LOW) % 2 == 1, -1.0, 1.0).astype(np.float32)
    return _threshold(low), _threshold(low * signs)


def hamming(first: str, second: str) -> int:
    """Number of differing bits of two hashes in hex.

    Raises:
        LinkError: Not 16 hex digits.
    """
    return (_hash_value(first) ^ _hash_value(second)).bit_count()


def decode_preview(blob: bytes) -> NDArray[np.uint8]:
    """Pixels uint8 (H, W, 3) of a preview that may come from anyone.

    Raises:
        LinkError: Not a JPEG, over 512 KB or 1024 px, or damaged.
    """
    if len(blob) > MAX_PREVIEW_BYTES:
        raise LinkError(f"A preview has {len(blob)} bytes, more than {MAX_PREVIEW_BYTES}")
    try:
        with Image.open(io.BytesIO(blob), formats=("JPEG",)) as image:
            if max(image.size) > MAX_PREVIEW_SIDE_PX or min(image.size) < 8:
                raise LinkError(
                    f"A preview of {image.size[0]} x {image.size[1]} px is outside 8 to {MAX_PREVIEW_SIDE_PX}"
                )
            return np.asarray(image.convert("RGB"), np.uint8).copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise LinkError(f"A preview cannot be decoded as JPEG ({exc})", remedy="verify the registry") from exc


def _encode_preview(pixels: NDArray[np.uint8]) -> bytes:
    height, width = pixels.shape[:2]
    scale = min(1.0, PREVIEW_PX / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    colour = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    small = cv2.resize(np.ascontiguousarray(colour), size, interpolation=cv2.INTER_AREA) if scale < 1 else colour
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(small)).save(buffer, "JPEG", quality=PREVIEW_QUALITY, subsampling=0)
    return buffer.getvalue()


def _threshold(low: NDArray[np.float32]) -> int:
    flat = low.ravel()
    bits = np.packbits(flat > np.median(flat[1:]))
    return int.from_bytes(bits.tobytes(), "big")


def _hash_value(text: str) -> int:
    if len(text) != PHASH_BITS // 4:
        raise LinkError(f"A perceptual hash has {len(text)} characters instead of 16")
    try:
        return int(text, 16)
    except ValueError as exc:
        raise LinkError("A perceptual hash is not hexadecimal") from exc
