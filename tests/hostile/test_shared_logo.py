"""Two different pictures carry the same logo or the same caption bar: features match, one geometry, no kinship."""

import cv2
import numpy as np
import pytest
import skimage.data

from ftforensics.link import fingerprint
from ftforensics.link.register import attempt


def _with_logo(pixels, place):
    canvas = np.ascontiguousarray(cv2.resize(pixels, (512, 400), interpolation=cv2.INTER_AREA))
    rng = np.random.default_rng(7)
    logo = np.full((90, 170, 3), 245, np.uint8)
    for _ in range(40):
        centre = (int(rng.integers(8, 162)), int(rng.integers(8, 82)))
        cv2.circle(logo, centre, int(rng.integers(2, 9)), tuple(int(v) for v in rng.integers(0, 200, 3)), -1)
    cv2.putText(logo, "NEWS 24", (10, 58), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (160, 0, 0), 3)
    canvas[place[1] : place[1] + 90, place[0] : place[0] + 170] = logo
    return canvas


def _with_caption(pixels):
    canvas = np.ascontiguousarray(cv2.resize(pixels, (512, 400), interpolation=cv2.INTER_AREA))
    canvas[330:] = (20, 30, 90)
    for row, text in ((355, "BREAKING: minister speaks on the harbour"), (385, "live from the capital 20:15 GMT")):
        cv2.putText(canvas, text, (8, row), cv2.FONT_HERSHEY_SIMPLEX, 0.65, (250, 250, 250), 2)
    return canvas


CASES = {
    "logo in the same corner": lambda p: _with_logo(p, (330, 10)),
    "caption": _with_caption,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("with_preview", [True, False])
def test_what_is_printed_on_both_does_not_link_them(case, with_preview):
    make = CASES[case]
    source, suspect = make(skimage.data.astronaut()), make(skimage.data.coffee())
    made = fingerprint.build(source)
    preview = fingerprint.decode_preview(made.preview) if with_preview else None
    assert attempt(suspect, preview, made.descriptors).registration is None
    assert attempt(source, preview, made.descriptors).registration is not None


def test_logos_in_different_places_do_not_link_either():
    made = fingerprint.build(_with_logo(skimage.data.astronaut(), (330, 10)))
    suspect = _with_logo(skimage.data.coffee(), (10, 300))
    assert attempt(suspect, fingerprint.decode_preview(made.preview), made.descriptors).registration is None
