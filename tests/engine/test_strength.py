"""Each picture's tag is as strong as reading it takes, within limits."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.codec.carriers import MESSAGE_BITS, build_sync_carrier, build_tag_planes
from ftforensics.codec.channel import encode
from ftforensics.domain.tag import DEFAULT_PSNR_DB, FAINTEST_PSNR_DB, STRONGEST_PSNR_DB
from ftforensics.engine.informed import InformedSettings, shape_tag, signed_carriers
from ftforensics.engine.onnx import OnnxEmbedder
from ftforensics.engine.ring import RingKey
from ftforensics.engine.strength import WANTED_Z, choose_strength, find_strongest
from ftforensics.engine.views import VIEW_PX, draw_trials, to_view
from ftforensics.imaging.perceptual import build_mask, residual_rms
from ftforensics.imaging.resample import resize

Photographs = dict[str, np.ndarray]
SYNC = build_sync_carrier("ftf-1")


class Tag:
    """A plain tag over a picture at the reader's size."""

    def __init__(self, picture: np.ndarray, key: RingKey) -> None:
        signs = encode("00112233445566ff", key.channel)
        self.host = resize(picture, VIEW_PX, VIEW_PX).astype(np.float32).transpose(2, 0, 1) / np.float32(255.0)
        self.mask = build_mask(picture)
        shaped = to_view(build_tag_planes(signs, key.carriers, SYNC)) * self.mask[None]
        self.shaped = shaped / np.sqrt(np.mean(shaped * shaped))
        self.rows = signed_carriers(signs, key.carriers, SYNC)

    def choose(self, embedder: OnnxEmbedder, seed: int = 1) -> float:
        return choose_strength(self.host, self.shaped, self.mask, self.rows, embedder, np.random.default_rng(seed))

    def z_at(self, psnr_db: float, embedder: OnnxEmbedder) -> float:
        """Of its trials, counted here anew."""
        assert embedder.regenerate is not None
        tagged = np.clip(self.host + self.shaped * np.float32(residual_rms(psnr_db)), 0, 1)
        trials = draw_trials(tagged, embedder.regenerate, np.random.default_rng(9))
        soft, _ = embedder.gradient(trials, self.rows, np.ones(len(self.rows), np.float32), 1.0, 1.0)
        message = soft[:, :MESSAGE_BITS]
        return float(np.mean([one.sum() / np.linalg.norm(one) for one in message]))


def test_a_busy_picture_gets_a_stronger_tag_than_a_plain_one(
    photographs: Photographs, ring_key: RingKey, onnx_embedder: OnnxEmbedder
) -> None:
    plain = photographs["rocket"]
    grain = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    busy = resize(grain, 512, 512)
    assert Tag(busy, ring_key).choose(onnx_embedder) < Tag(plain, ring_key).choose(onnx_embedder)
    assert Tag(busy, ring_key).choose(onnx_embedder) == STRONGEST_PSNR_DB


def test_the_faintest_is_enough_where_nothing_disturbs(ring_key: RingKey, onnx_embedder: OnnxEmbedder) -> None:
    grey = np.full((300, 300, 3), 128, np.uint8)
    assert Tag(grey, ring_key).choose(onnx_embedder) == FAINTEST_PSNR_DB


def test_the_chosen_strength_reads_as_clearly_as_wanted(
    photographs: Photographs, ring_key: RingKey, onnx_embedder: OnnxEmbedder
) -> None:
    found = 0
    for picture in photographs.values():
        tag = Tag(picture, ring_key)
        chosen = tag.choose(onnx_embedder)
        assert STRONGEST_PSNR_DB <= chosen <= FAINTEST_PSNR_DB
        if STRONGEST_PSNR_DB < chosen < FAINTEST_PSNR_DB:
            assert tag.z_at(chosen, onnx_embedder) == pytest.approx(WANTED_Z, abs=0.35)
            found += 1
    assert found


class Bare:
    """A reader's gradient that computes z as told, one for each strength that is tried."""

    def __init__(self, read: tuple[float, ...], has_generator: bool = True) -> None:
        self._read, self.regenerate = iter(read), (lambda picture: picture) if has_generator else None

    def gradient(self, pictures: np.ndarray, rows: np.ndarray, *_: object) -> tuple[np.ndarray, np.ndarray]:
        z = next(self._read)
        share = (z / np.sqrt(MESSAGE_BITS) + 1.0) / 2.0
        soft = np.full((len(pictures), len(rows)), -1.0, np.float32)
        soft[:, : round(share * MESSAGE_BITS)] = 1.0
        return soft, pictures


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ((11.0, 11.0, 11.0), FAINTEST_PSNR_DB),
        ((1.0, 2.0, 3.0), STRONGEST_PSNR_DB),
        ((9.0, 9.0, 9.0), STRONGEST_PSNR_DB),
        ((10.0, 2.0, 1.0), FAINTEST_PSNR_DB),
        ((7.5, 8.9, 9.6), pytest.approx(43.4, abs=0.4)),
    ],
)
def test_the_strength_lies_where_z_reaches_what_is_wanted(read: tuple[float, ...], expected: object) -> None:
    plain = np.full((3, VIEW_PX, VIEW_PX), 0.5, np.float32)
    rows, even = np.zeros((MESSAGE_BITS + 1, 12288), np.float32), np.ones((VIEW_PX, VIEW_PX), np.float32)
    found = choose_strength(plain, plain * 0, even, rows, Bare(read), np.random.default_rng(1))  # type: ignore[arg-type]
    assert found == expected


def test_a_tag_that_is_crowded_into_few_places_gets_no_stronger_than_the_default() -> None:
    """Small things on plain ground: hard to read, but nothing hides there."""
    page = np.full((400, 400, 3), 250, np.uint8)
    grain = np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    page[120:280, 120:280] = resize(grain, 160, 160)
    crowded = build_mask(page)
    assert find_strongest(crowded) == DEFAULT_PSNR_DB
    plain, rows = np.full((3, VIEW_PX, VIEW_PX), 0.5, np.float32), np.zeros((MESSAGE_BITS + 1, 12288), np.float32)
    hard = Bare((1.0, 2.0, 3.0))
    assert choose_strength(plain, plain, crowded, rows, hard, np.random.default_rng(1)) == DEFAULT_PSNR_DB  # type: ignore[arg-type]


def test_without_a_generator_nothing_is_tried() -> None:
    plain = np.full((3, VIEW_PX, VIEW_PX), 0.5, np.float32)
    rows, even = np.zeros((MESSAGE_BITS + 1, 12288), np.float32), np.ones((VIEW_PX, VIEW_PX), np.float32)
    bare = Bare((), has_generator=False)
    assert choose_strength(plain, plain, even, rows, bare, np.random.default_rng(1)) == DEFAULT_PSNR_DB  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [None, 44.0])
def test_shaping_says_how_strong_its_tag_is_to_be(
    asked: float | None, photographs: Photographs, ring_key: RingKey, onnx_embedder: OnnxEmbedder
) -> None:
    made = [
        shape_tag(
            photographs["astronaut"],
            encode("00112233445566ff", ring_key.channel),
            ring_key.carriers,
            SYNC,
            onnx_embedder,
            target_psnr_db=asked,
            random=np.random.default_rng(1),
            settings=InformedSettings(steps=4, views=2),
        )
        for _ in range(2)
    ]
    assert made[0].psnr_db == made[1].psnr_db
    assert made[0].planes.tobytes() == made[1].planes.tobytes()
    if asked is None:
        assert STRONGEST_PSNR_DB <= made[0].psnr_db <= FAINTEST_PSNR_DB
    else:
        assert made[0].psnr_db == asked
