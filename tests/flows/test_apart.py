"""A changed region read by itself: a pasted face shows no tag, a tag laid over it shows, whatever lies around."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from newsroom import SKIMAGE, embed, load, open_reader, replace_face

from ftforensics.codec import channel
from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.domain.tag import DEFAULT_PSNR_DB
from ftforensics.engine.informed import InformedSettings, shape_tag
from ftforensics.engine.models import find_model
from ftforensics.engine.onnx import OnnxEmbedder
from ftforensics.engine.ring import build_ring_key
from ftforensics.flows.apart import isolate, read_apart
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.imaging.resample import resize
from ftforensics.link.verdict import TRANSPLANT_ERRORS, TRANSPLANT_RATIO
from ftforensics.trust.keys import CarrierKey

READER = open_reader()
MODEL = READER.card.model_id
CARRIER = CarrierKey.from_secret("waves", b"w" * 32)
KEY = build_ring_key(CARRIER.key_id, CARRIER.derive, MODEL)
TAG_ID = "0f1e2d3c4b5a6978"


def planes(tag_id: str = TAG_ID) -> np.ndarray:
    return build_tag_planes(channel.encode(tag_id, KEY.channel), KEY.carriers, build_sync_carrier(MODEL))


@pytest.fixture(scope="module")
def swapped() -> np.ndarray:
    """A tag shaped to the portrait, and another face in it: the hardest of honest cases."""
    portrait = load(SKIMAGE / "astronaut.png")
    shaped = shape_tag(
        portrait,
        channel.encode(TAG_ID, KEY.channel),
        KEY.carriers,
        build_sync_carrier(MODEL),
        OnnxEmbedder(find_model()),
        target_psnr_db=DEFAULT_PSNR_DB,
        random=np.random.default_rng(1),
        settings=InformedSettings(),
    )
    return replace_face(add_residual(portrait, shaped, build_mask(portrait), DEFAULT_PSNR_DB))[0]


@pytest.fixture(scope="module")
def changed() -> np.ndarray:
    mask = np.zeros((64, 64), np.uint8)
    cv2.ellipse(mask, (28, 17), (9, 12), 0, 0, 360, 1, -1)
    return mask > 0


def test_a_pasted_face_shows_no_tag_by_itself(swapped: np.ndarray, changed: np.ndarray):
    apart = read_apart(resize(swapped, 128, 128), changed, changed, None, planes(), READER)
    assert apart is not None
    assert apart.outside > 0.3
    assert apart.inside - TRANSPLANT_ERRORS * apart.error < TRANSPLANT_RATIO * apart.outside
    assert apart.error < 0.12


def test_a_strong_tag_laid_over_the_face_shows(swapped: np.ndarray, changed: np.ndarray):
    laid = embed(swapped, TAG_ID, KEY, 24.0)
    apart = read_apart(resize(laid, 128, 128), changed, changed, None, planes(), READER)
    assert apart is not None
    assert apart.inside - TRANSPLANT_ERRORS * apart.error > TRANSPLANT_RATIO * apart.outside


def test_a_tag_in_the_gaps_of_what_was_replaced_does_not_count(swapped: np.ndarray, changed: np.ndarray):
    """Strokes over an honest picture: the tag between them is the photograph's own."""
    face = load(SKIMAGE / "astronaut.png")
    tagged, strokes = embed(face, TAG_ID, KEY, 38.0), np.zeros(changed.shape, np.bool_)
    for row in range(5, 30, 5):
        strokes[row : row + 2, 18:39] = True
    covered = cv2.resize(strokes.astype(np.uint8), face.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    tagged[covered] = 255
    view = resize(tagged, 128, 128)
    apart = read_apart(view, changed | strokes, strokes, None, planes(), READER)
    wholly = read_apart(view, changed | strokes, changed | strokes, None, planes(), READER)
    assert apart is not None
    assert wholly is not None
    assert wholly.inside - TRANSPLANT_ERRORS * wholly.error > TRANSPLANT_RATIO * wholly.outside
    assert apart.inside - TRANSPLANT_ERRORS * apart.error < TRANSPLANT_RATIO * apart.outside


def test_another_tag_shows_nowhere(swapped: np.ndarray, changed: np.ndarray):
    apart = read_apart(resize(swapped, 128, 128), changed, changed, None, planes("1" * 16), READER)
    assert apart is not None
    assert abs(apart.outside) < 0.15
    assert abs(apart.inside) < 3.0 * apart.error


def test_the_smaller_a_region_the_larger_its_error(swapped: np.ndarray, changed: np.ndarray):
    view = resize(swapped, 128, 128)
    small = cv2.erode(changed.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    large = cv2.dilate(changed.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    apart = [read_apart(view, part, part, None, planes(), READER) for part in (small, large)]
    assert all(part is not None and part.error > 0.0 for part in apart)
    assert apart[0].error > 1.5 * apart[1].error


def test_too_few_cells_are_not_judged_by(swapped: np.ndarray, changed: np.ndarray):
    view = resize(swapped, 128, 128)
    few = np.zeros((64, 64), np.bool_)
    few[:7, :9] = True
    assert read_apart(view, few, few, None, planes(), READER) is None
    assert read_apart(view, ~few, ~few, None, planes(), READER) is None
    assert read_apart(view, changed, changed, few, planes(), READER) is None


def test_what_is_kept_stays_and_the_rest_loses_its_detail(swapped: np.ndarray, changed: np.ndarray):
    view = resize(swapped, 128, 128)
    alone = isolate(view, changed)
    kept = cv2.erode(np.kron(changed, np.ones((2, 2))).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    far = cv2.dilate(np.kron(changed, np.ones((2, 2))).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert np.abs(alone[kept].astype(int) - view[kept]).max() <= 1
    detail = cv2.Laplacian(alone, cv2.CV_32F)[far].std()
    assert detail < 0.2 * cv2.Laplacian(view, cv2.CV_32F)[far].std()
    assert np.array_equal(isolate(view, np.ones((64, 64), np.bool_)), view)
