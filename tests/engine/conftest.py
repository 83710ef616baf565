"""The shipped model's backends, one ring of keys, and pictures tagged with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.codec.channel import encode
from ftforensics.engine.models import load_card, load_graph
from ftforensics.engine.onnx import OnnxEmbedder, OnnxPairReader, OnnxReader
from ftforensics.engine.ring import RingKey, build_ring_key
from ftforensics.imaging.perceptual import add_residual, build_mask

MODEL = "ftf-1"


def derivation(secret: bytes) -> Callable[[str, int], bytes]:
    return lambda label, length: hashlib.shake_256(secret + label.encode()).digest(length)


@pytest.fixture(scope="session")
def graph(model_folder: Path) -> bytes:
    """The reader's graph."""
    card = load_card(model_folder)
    return load_graph(model_folder, card.reader_file, card.reader_sha256)


@pytest.fixture(scope="session")
def onnx_reader(model_folder: Path) -> OnnxReader:
    return OnnxReader(model_folder, threads=1)


@pytest.fixture(scope="session")
def pair_reader(model_folder: Path) -> OnnxPairReader:
    """The shipped reader of pictures beside their sources."""
    return OnnxPairReader(model_folder, threads=1)


@pytest.fixture(scope="session")
def onnx_embedder(model_folder: Path) -> OnnxEmbedder:
    return OnnxEmbedder(model_folder, threads=1)


@pytest.fixture(scope="session")
def ring_key() -> RingKey:
    return build_ring_key("carrier:ours", derivation(b"ours"), MODEL)


@pytest.fixture(scope="session")
def other_key() -> RingKey:
    return build_ring_key("carrier:theirs", derivation(b"theirs"), MODEL)


@pytest.fixture(scope="session")
def tag(ring_key: RingKey) -> Callable[..., np.ndarray]:
    """Tag a picture plainly, without informed embedding: tag(picture, tag_id, psnr_db)."""
    sync = build_sync_carrier(MODEL)

    def tagged(picture: np.ndarray, tag_id: str, psnr_db: float = 38.0) -> np.ndarray:
        planes = build_tag_planes(encode(tag_id, ring_key.channel), ring_key.carriers, sync)
        return add_residual(picture, planes, build_mask(picture), psnr_db)

    return tagged
