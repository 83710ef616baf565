"""Informed embedding shapes the tag to the picture: same energy, same band, more certain bits."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes, project, rows_from_planes
from ftforensics.codec.channel import encode
from ftforensics.engine.informed import InformedSettings, shape_tag
from ftforensics.engine.onnx import OnnxEmbedder, OnnxReader
from ftforensics.engine.ring import RingKey
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.imaging.quality import psnr_db
from ftforensics.imaging.resample import resize

Photographs = dict[str, np.ndarray]
PSNR_DB = 42.0
FEW = InformedSettings(steps=8, views=2)


@pytest.fixture(scope="module")
def signs(ring_key: RingKey) -> np.ndarray:
    return encode("00112233445566ff", ring_key.channel)


def shape(
    picture: np.ndarray, signs: np.ndarray, ring_key: RingKey, embedder: OnnxEmbedder, seed: int = 1
) -> np.ndarray:
    return shape_tag(
        picture,
        signs,
        ring_key.carriers,
        build_sync_carrier("ftf-1"),
        embedder,
        target_psnr_db=PSNR_DB,
        random=np.random.default_rng(seed),
        settings=FEW,
    )


@pytest.fixture(scope="module")
def shaped(photographs: Photographs, signs: np.ndarray, ring_key: RingKey, onnx_embedder: OnnxEmbedder) -> np.ndarray:
    return shape(photographs["astronaut"], signs, ring_key, onnx_embedder)


def test_energy_and_band_are_kept(shaped: np.ndarray) -> None:
    assert shaped.shape == (3, 64, 64)
    assert float(np.mean(shaped**2)) == pytest.approx(1.0, rel=1e-3)
    inside = rows_from_planes(shaped[None].astype(np.float64))
    assert float((inside**2).sum()) == pytest.approx(float((shaped.astype(np.float64) ** 2).sum()), rel=1e-4)


def test_the_result_is_a_function_of_the_generator(
    shaped: np.ndarray, photographs: Photographs, signs: np.ndarray, ring_key: RingKey, onnx_embedder: OnnxEmbedder
) -> None:
    again = shape(photographs["astronaut"], signs, ring_key, onnx_embedder)
    assert again.tobytes() == shaped.tobytes()
    other = shape(photographs["astronaut"], signs, ring_key, onnx_embedder, seed=2)
    assert not np.array_equal(other, shaped)


def test_bits_are_read_with_more_margin_than_plainly_embedded(
    shaped: np.ndarray, photographs: Photographs, signs: np.ndarray, ring_key: RingKey, onnx_reader: OnnxReader
) -> None:
    picture = photographs["astronaut"]
    plain = build_tag_planes(signs, ring_key.carriers, build_sync_carrier("ftf-1"))
    margins = []
    for planes in (plain, shaped):
        tagged = add_residual(picture, planes, build_mask(picture), PSNR_DB)
        assert psnr_db(picture, tagged) == pytest.approx(PSNR_DB, abs=0.5)
        soft = project(onnx_reader.read(resize(tagged, 128, 128)[None]), ring_key.carriers)[0]
        margins.append(signs * soft / np.abs(soft).mean())
    before, after = margins
    assert (after < 0).sum() <= (before < 0).sum()
    assert np.quantile(after, 0.1) > np.quantile(before, 0.1) + 0.03
