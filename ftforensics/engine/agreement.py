"""Does a backend read what ONNX Runtime reads? In: two readers. Out: nothing, or a sentence.

Two drawn pictures are read; it takes a few milliseconds and is done before a backend other than ONNX Runtime is used
for evidence. It guards against a backend that is plainly wrong. How many bits of real tags differ is another question,
answered by measured parity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftforensics.engine.reader import Floats, OnDevices, Pixels, Reader
from ftforensics.errors import EngineError

# Largest root mean square of the difference, as a share of that of the map itself. Twenty times and more what was seen
# of each precision; a reader with a wrong layer is off by more than one.
LIMITS = {"fp32": 1e-3, "fp16": 0.05, "bf16": 0.25, "int8": 0.5}


def build_test_pictures(side_px: int) -> Pixels:
    """Two pictures uint8 (2, side, side, 3): slopes with edges, and fine texture; the same on every machine."""
    across = np.arange(side_px, dtype=np.int64)
    row, column = np.meshgrid(across, across, indexing="ij")
    slopes = np.stack([2 * row + column, row * column // 16, 255 - row + (column // 24 % 2) * 60], axis=-1)
    mixed = (row * 73 + column * 151 + row * column * 7) * 2654435761 >> 9
    texture = np.stack([mixed, mixed >> 3, mixed >> 5], axis=-1) % 96 + 80
    return np.stack([slopes % 256, texture]).astype(np.uint8)


def check_agreement(reader: Reader, reference: Reader) -> float:
    """Compare a reader with the reference, each of its devices by itself where it has several.

    Returns:
        Root mean square of the difference, as a share of that of the reference's maps; of the device furthest off.

    Raises:
        EngineError: Other shapes, values that are no numbers, or a difference beyond the precision's limit.

    Does not establish parity on real tags.
    """
    pictures = build_test_pictures(reader.card.input_px)
    wanted = reference.read(pictures)
    if not isinstance(reader, OnDevices):
        return _compare(reader.read(pictures), wanted, reader.precision, subject=reader.backend)
    each = reader.read_each(pictures)
    where = [f" on {name}" if len(each) > 1 else "" for name, _ in each]
    return max(
        _compare(read, wanted, reader.precision, subject=reader.backend, where=place)
        for (_, read), place in zip(each, where, strict=True)
    )


def _compare(read: Floats, wanted: Floats, precision: str, *, subject: str, where: str = "") -> float:
    if read.shape != wanted.shape or not np.isfinite(read).all():
        raise EngineError(f"it reads no map of numbers{where}", subject=subject)
    off = _rms(read - wanted) / max(_rms(wanted), 1e-12)
    if off > LIMITS[precision]:
        raise EngineError(
            f"its maps{where} are {100 * off:.2g} % off those of ONNX Runtime, more than {precision} explains",
            subject=subject,
        )
    return off


def _rms(values: Floats | NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
