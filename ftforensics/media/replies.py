"""What a worker answers, checked as untrusted input: a hostile file may have taken the worker over.

Enters: frames. Leaves: ``ParsedFile``, whose sizes fit, whose texts are printable and bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from ftforensics.domain.evidence import DecodeInfo, IntakeFailure
from ftforensics.media.escape import escape_text
from ftforensics.media.frames import Frame, FrameInvalid

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_EXIF_FIELDS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParsedFile:
    """What the parsers made of one file.

    ``pixels`` are uint8 (H, W, 3), sRGB, display-oriented, or None when decoding failed. A failure at the stage
    ``exif`` leaves the pixels in place.
    """

    decode: DecodeInfo | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    exif: dict[str, str] = field(default_factory=dict)
    failure: IntakeFailure | None = None


def parse_picture_reply(frame: Frame, max_px: int) -> ParsedFile:
    """Check a worker's first answer.

    Raises:
        FrameInvalid: It is not of the agreed form.
    """
    import numpy as np  # here, so that workers can be started before it is imported

    header = frame.header
    if "error" in header:
        return ParsedFile(failure=_parse_error("decode", header))
    width_px, height_px, info = header.get("width_px"), header.get("height_px"), header.get("decode")
    if not _is_count(width_px) or not _is_count(height_px) or not isinstance(info, dict):
        raise FrameInvalid("no picture")
    if not (1 <= width_px <= max_px and 1 <= height_px <= max_px) or len(frame.data) != 3 * width_px * height_px:
        raise FrameInvalid("pixels do not fit their size")
    pixels = np.frombuffer(frame.data, dtype=np.uint8).reshape(height_px, width_px, 3)
    return ParsedFile(decode=_parse_info(info), pixels=pixels)


def _parse_info(info: dict[str, Any]) -> DecodeInfo:
    counts = [info.get(name) for name in ("width_px", "height_px", "orientation", "frames")]
    icc = info.get("icc")
    if not all(_is_count(count) for count in counts) or not (icc is None or isinstance(icc, str)):
        raise FrameInvalid("decode facts")
    width_px, height_px, orientation, frames = (int(count) for count in counts if count is not None)
    return DecodeInfo(
        codec=escape_text(str(info.get("codec")), 40),
        mode=escape_text(str(info.get("mode")), 40),
        width_px=width_px,
        height_px=height_px,
        orientation=orientation,
        icc=None if icc is None else escape_text(icc, 64),
        frames=frames,
    )


def parse_exif_reply(frame: Frame) -> tuple[dict[str, str], IntakeFailure | None]:
    """Check a worker's second answer: EXIF fields, or why there are none.

    Raises:
        FrameInvalid: It is not of the agreed form.
    """
    if "error" in frame.header:
        return {}, _parse_error("exif", frame.header)
    fields = frame.header.get("exif")
    if not isinstance(fields, dict) or len(fields) > MAX_EXIF_FIELDS:
        raise FrameInvalid("EXIF")
    return {escape_text(str(name), 100): escape_text(str(value), 300) for name, value in sorted(fields.items())}, None


def _parse_error(stage: Literal["decode", "exif"], header: dict[str, Any]) -> IntakeFailure:
    kind, message = escape_text(str(header["error"]), 40), escape_text(str(header.get("message", "")), 300)
    return IntakeFailure(stage=stage, type=kind, message=message)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
