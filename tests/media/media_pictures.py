"""Pictures of every kind, made here: structured, so that lossy formats keep their gist."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

SIZE_PX = (120, 88)


def make_pixels(width_px: int = SIZE_PX[0], height_px: int = SIZE_PX[1], seed: int = 7) -> np.ndarray:
    """A colour gradient, a bright corner top left and some mild texture: no symmetry, so that turns are seen."""
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    base = np.stack(
        [x / width_px * 200 + 20, y / height_px * 160 + 40, 200 - (x + y) / (width_px + height_px) * 150], -1
    )
    base[: height_px // 4, : width_px // 4] = (250, 240, 20)
    texture = np.random.default_rng(seed).normal(0, 3, base.shape)
    return np.clip(base + texture, 0, 255).astype(np.uint8)


def make_exif(orientation: int = 1, thumbnail: bytes | None = None, maker_note: bytes = b"MAKER\x00\x01\x02") -> bytes:
    """An EXIF block laid out by hand: IFD0, Exif IFD with a maker note, optionally IFD1 with a JPEG thumbnail."""
    exif_ifd_at = 8 + 2 + 12 * 3 + 4 + 8
    note_at = exif_ifd_at + 2 + 12 * 1 + 4
    ifd1_at = note_at + len(maker_note) + len(maker_note) % 2
    thumb_at = ifd1_at + 2 + 12 * 3 + 4
    out = b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", 3)
    out += struct.pack("<HHII", 0x010F, 2, 7, exif_ifd_at - 8)
    out += struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    out += struct.pack("<HHII", 0x8769, 4, 1, exif_ifd_at)
    out += struct.pack("<I", ifd1_at if thumbnail else 0) + b"Kamera\x00\x00"
    out += struct.pack("<H", 1) + struct.pack("<HHII", 0x927C, 7, len(maker_note), note_at) + struct.pack("<I", 0)
    out += maker_note + b"\x00" * (len(maker_note) % 2)
    if thumbnail:
        out += struct.pack("<H", 3) + struct.pack("<HHIHH", 0x0103, 3, 1, 6, 0)
        out += struct.pack("<HHII", 0x0201, 4, 1, thumb_at) + struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail))
        out += struct.pack("<I", 0) + thumbnail
    return b"Exif\x00\x00" + out


def make_thumbnail(colour: tuple[int, int, int] = (255, 0, 255), size: tuple[int, int] = (160, 120)) -> bytes:
    """A flat magenta JPEG, padded with a comment so that a real picture fits in its place."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG", quality=95, comment=b"x" * 9000)
    return buffer.getvalue()


def make_swapped_icc() -> bytes:
    """A minimal matrix profile whose red and green primaries are exchanged, so that using it is seen at once."""
    xyz = {b"rXYZ": (0.385, 0.717, 0.097), b"gXYZ": (0.436, 0.222, 0.014), b"bXYZ": (0.143, 0.061, 0.714)}
    xyz[b"wtpt"] = (0.9642, 1.0, 0.8249)
    bodies = {name: b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in xyz[name]) for name in xyz}
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    bodies |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    bodies[b"cprt"] = b"text\0\0\0\0none\0\0\0\0"
    bodies[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"swap\0" + bytes(79)
    table, data = b"", b""
    start = 128 + 4 + 12 * len(bodies)
    for name, body in bodies.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(bodies)) + table + data
