"""Local features of a picture: where they are, what they look like, and a compact form that a record can carry.

In: uint8 sRGB pixels (H, W, 3), or a descriptor blob from a registry (untrusted bytes). Out: ``Features``.

Keypoints and gradient histograms are SIFT (Lowe, IJCV 60(2), 2004). Of each histogram only one bit a bin is kept,
"above the descriptor's own median" (after Zhou et al., "Towards codebook-free: scalable cascaded hashing for mobile
image search", IEEE TMM 2014): 16 bytes that match as well as the 512 they stand for. The bits of a mirrored picture are
a permutation (Guo et al., "MIFT", 2013), so looking for a mirrored source costs no second detection.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.errors import LinkError

WORK_PX = 480
MAX_FEATURES = 500
MAX_BLOB_BYTES = 10_240
BINS = 128

_MAGIC = b"FTFD"
_VERSION = 1
_HEADER = struct.Struct("<4sBBHHH")
_ENTRY_BYTES = 4 + BINS // 8
_MAX_STORED = (MAX_BLOB_BYTES - _HEADER.size) // _ENTRY_BYTES
_MAX_SIDE_PX = 65_535
_CONTRAST_THRESHOLD = 0.02
_EDGE_THRESHOLD = 12.0
_SPREAD_CELLS = 8

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Keypoints of one picture, strongest and most spread out first.

    ``points`` is float32 (N, 2), (x, y) in unit coordinates of the picture. ``bits`` is uint8 (N, 16), one bit for each
    bin of the gradient histogram. ``width_px`` and ``height_px`` give the picture's shape.
    """

    points: F32
    bits: U8
    width_px: int
    height_px: int

    @property
    def distinct(self) -> int:
        """How many different places carry a feature (one place can have several orientations)."""
        return count_distinct(self.points)


def count_distinct(points: F32) -> int:
    """Number of different places among unit-coordinate ``points`` (N, 2), told apart at 1/200 of the side."""
    if len(points) == 0:
        return 0
    return len(np.unique(np.floor(points * 200.0).astype(np.int32), axis=0))


def detect_features(pixels: U8, *, work_px: int = WORK_PX, limit: int = MAX_FEATURES) -> Features:
    """Find up to ``limit`` features, spread over the frame.

    Args:
        pixels: uint8 (H, W, 3) sRGB or (H, W) grey.
        work_px: Long side at which features are looked for; smaller pictures are enlarged to it.
        limit: Most features to return.

    Returns:
        The features; possibly none, for a plain wall.

    Raises:
        LinkError: The array is not a picture.
    """
    grey = to_grey(pixels)
    height, width = grey.shape
    scale = work_px / max(height, width)
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    work = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    sift = cv2.SIFT.create(contrastThreshold=_CONTRAST_THRESHOLD, edgeThreshold=_EDGE_THRESHOLD)
    keypoints = _spread(list(sift.detect(work, None)), size, limit)
    if not keypoints:
        return Features(
            points=np.zeros((0, 2), np.float32),
            bits=np.zeros((0, BINS // 8), np.uint8),
            width_px=width,
            height_px=height,
        )
    described, values = sift.compute(work, keypoints)
    raw = np.asarray(values, np.float32)
    positions = np.array([k.pt for k in described], np.float32)
    points = np.clip((positions + 0.5) / np.array(size, np.float32), 0.0, 1.0).astype(np.float32)
    return Features(points=points, bits=_binarise(raw), width_px=width, height_px=height)


def mirror_features(features: Features) -> Features:
    """The features of the horizontally mirrored picture, without looking at pixels."""
    points = features.points.copy()
    points[:, 0] = 1.0 - points[:, 0]
    unpacked = np.unpackbits(features.bits, axis=1)[:, _MIRROR_BINS]
    return Features(
        points=points,
        bits=np.packbits(unpacked, axis=1),
        width_px=features.width_px,
        height_px=features.height_px,
    )


def build_descriptors(features: Features) -> bytes:
    """Pack the first features into a blob of at most 10 KB.

    Layout, little endian: ``FTFD``, version (u8), zero (u8), count (u16), picture width and height in pixels (u16
    each); then for each feature x and y in 1/65535 of the side (u16 each) and 16 bytes of bits.
    """
    count = min(len(features.points), _MAX_STORED)
    grid = np.round(features.points[:count] * 65535.0).astype("<u2")
    body = np.concatenate([grid.view(np.uint8).reshape(count, 4), features.bits[:count]], axis=1)
    width, height = _fit_sides(features.width_px, features.height_px)
    return _HEADER.pack(_MAGIC, _VERSION, 0, count, width, height) + body.tobytes()


def parse_descriptors(blob: bytes) -> Features:
    """Read a descriptor blob that may come from anyone.

    Raises:
        LinkError: Wrong magic, version, length or sizes.
    """
    if len(blob) > MAX_BLOB_BYTES:
        raise LinkError(f"A descriptor blob has {len(blob)} bytes, more than {MAX_BLOB_BYTES}")
    if len(blob) < _HEADER.size:
        raise LinkError("A descriptor blob is shorter than its header")
    magic, version, zero, count, width, height = _HEADER.unpack_from(blob)
    if magic != _MAGIC or zero != 0:
        raise LinkError("A descriptor blob does not start as one")
    if version != _VERSION:
        raise LinkError(f"A descriptor blob has layout version {version}, this program reads {_VERSION}")
    if width == 0 or height == 0:
        raise LinkError("A descriptor blob names a picture without width or height")
    if len(blob) != _HEADER.size + count * _ENTRY_BYTES:
        raise LinkError("A descriptor blob's length does not fit the number of features it names")
    body = np.frombuffer(blob, np.uint8, offset=_HEADER.size).reshape(count, _ENTRY_BYTES)
    grid = np.ascontiguousarray(body[:, :4]).view("<u2")
    return Features(
        points=(grid.astype(np.float32) / 65535.0).astype(np.float32),
        bits=np.ascontiguousarray(body[:, 4:]),
        width_px=int(width),
        height_px=int(height),
    )


def to_grey(pixels: U8) -> U8:
    """Luma uint8 (H, W) of uint8 (H, W, 3) sRGB or (H, W).

    Raises:
        LinkError: Another shape or type, or a side under 8 pixels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise LinkError("A picture to link must be 8-bit with three colour channels", remedy="convert it first")
    if min(pixels.shape[:2]) < 8:
        raise LinkError("A picture to link is under 8 pixels wide or high")
    if pixels.ndim == 2:
        return pixels
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), np.uint8)


def _fit_sides(width_px: int, height_px: int) -> tuple[int, int]:
    """Sides that fit 16 bits, in the same proportion."""
    longest = max(width_px, height_px)
    if longest <= _MAX_SIDE_PX:
        return width_px, height_px
    scale = _MAX_SIDE_PX / longest
    return max(1, int(width_px * scale)), max(1, int(height_px * scale))


def _spread(keypoints: list[cv2.KeyPoint], size: tuple[int, int], limit: int) -> list[cv2.KeyPoint]:
    """Take the strongest of every cell, then the second of every cell, and so on: a face must not own all features."""
    ordered = sorted(keypoints, key=lambda k: (-k.response, k.pt, k.angle))
    taken: dict[tuple[int, int], int] = {}
    ranked: list[tuple[int, int]] = []
    for index, keypoint in enumerate(ordered):
        cell = (int(keypoint.pt[0] * _SPREAD_CELLS / size[0]), int(keypoint.pt[1] * _SPREAD_CELLS / size[1]))
        rank = taken.get(cell, 0)
        taken[cell] = rank + 1
        ranked.append((rank, index))
    ranked.sort()
    return [ordered[index] for _, index in ranked[:limit]]


def _binarise(raw: F32) -> U8:
    return np.packbits(raw > np.median(raw, axis=1, keepdims=True), axis=1)


def _mirror_order() -> NDArray[np.int64]:
    """Bin order of a mirrored descriptor: rows across the main orientation swap, and orientations change sign."""
    rows, columns, orientations = np.meshgrid(np.arange(4), np.arange(4), np.arange(8), indexing="ij")
    return (((3 - rows) * 4 + columns) * 8 + (-orientations) % 8).ravel()


_MIRROR_BINS = _mirror_order()
