"""Where tags show most: source and tagged picture in turn, pixel for pixel, as an animated PNG.

Two pictures that alternate in one place show differences that nobody sees side by side (a flicker comparison, as in
ISO/IEC 29170-2). Of each picture the window is shown in which CIEDE2000 is largest on average.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from ftforensics.flows.bench.pictures import BenchPicture
from ftforensics.flows.bench.quality import PictureQuality
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.imaging.quality import ciede2000, to_lab
from ftforensics.imaging.resample import Pixels
from ftforensics.media.container import load_photo

MOST_PICTURES = 10
SIDE_PX = 240
FRAME_MS = 500
_ACROSS, _GAP_PX, _GREY = 5, 8, 118


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """The same pixels of a source and of its tagged picture: uint8 (h, w, 3), at most ``SIDE_PX`` a side."""

    source: Pixels
    tagged: Pixels


def pick_worst(results: Sequence[PictureQuality], most: int = MOST_PICTURES) -> list[str]:
    """Names of the pictures whose tag alone has the largest 99th percentile of CIEDE2000, the largest first."""
    measured = [result for result in results if result.stages]
    measured.sort(key=lambda result: (-result.stages["residual"].ciede2000_p99, result.name))
    return [result.name for result in measured[:most]]


def find_window(source: Pixels, tagged: Pixels, side_px: int = SIDE_PX) -> Window:
    """The window of a picture in which the two differ most, uint8 (H, W, 3) both; all of a smaller picture."""
    height, width = source.shape[:2]
    tall, wide = min(side_px, height), min(side_px, width)
    total = cv2.integral(ciede2000(to_lab(source), to_lab(tagged)))
    sums = total[tall:, wide:] - total[:-tall, wide:] - total[tall:, :-wide] + total[:-tall, :-wide]
    top, left = (int(at) for at in np.unravel_index(int(np.argmax(sums)), sums.shape))
    place = (slice(top, top + tall), slice(left, left + wide))
    return Window(source=source[place], tagged=tagged[place])


def render_flicker(windows: Sequence[Window]) -> bytes:
    """An endless animated PNG of two frames, sources and tagged pictures, five windows in a row.

    Raises:
        ValueError: There is no window.
    """
    if not windows:
        raise ValueError("there is nothing to show")
    frames = [_lay_out([window.source for window in windows]), _lay_out([window.tagged for window in windows])]
    first, second = (Image.fromarray(frame) for frame in frames)
    written = io.BytesIO()
    first.save(written, "PNG", save_all=True, append_images=[second], duration=FRAME_MS, loop=0, optimize=True)
    return written.getvalue()


def show_worst(setup: Setup, pictures: Sequence[BenchPicture], names: Sequence[str]) -> bytes:
    """``render_flicker`` of named pictures as they were tagged for the measurement, before the file's coding."""
    bench, by_name = Bench(setup), {picture.name: picture for picture in pictures}
    windows = []
    for name in names:
        tagged = bench.tag(by_name[name])
        if tagged is not None:
            source = np.ascontiguousarray(load_photo(by_name[name].path).pixels)
            windows.append(find_window(source, tagged.added))
    return render_flicker(windows)


def _lay_out(parts: Sequence[Pixels]) -> Pixels:
    """Windows in rows of five on middle grey."""
    rows = -(-len(parts) // _ACROSS)
    pitch = SIDE_PX + _GAP_PX
    columns = min(len(parts), _ACROSS)
    sheet = np.full((rows * pitch + _GAP_PX, columns * pitch + _GAP_PX, 3), _GREY, dtype=np.uint8)
    for at, part in enumerate(parts):
        top, left = _GAP_PX + (at // _ACROSS) * pitch, _GAP_PX + (at % _ACROSS) * pitch
        sheet[top : top + part.shape[0], left : left + part.shape[1]] = part
    return sheet
