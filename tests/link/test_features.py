import struct
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from link_pictures import mirror, photograph

from ftforensics.errors import FtfError, LinkError
from ftforensics.link.features import (
    MAX_BLOB_BYTES,
    build_descriptors,
    count_distinct,
    detect_features,
    mirror_features,
    parse_descriptors,
)
from ftforensics.link.register import match_features


def test_a_blob_stays_within_ten_kilobytes_and_round_trips():
    features = detect_features(photograph())
    blob = build_descriptors(features)
    assert len(blob) <= MAX_BLOB_BYTES
    read = parse_descriptors(blob)
    kept = len(read.points)
    assert kept > 300
    assert np.array_equal(read.bits, features.bits[:kept])
    assert np.max(np.abs(read.points - features.points[:kept])) < 1e-4
    assert (read.width_px, read.height_px) == (512, 512)
    assert build_descriptors(read) == blob


def test_the_mirrored_features_are_those_of_the_mirrored_picture():
    features = detect_features(photograph())
    seen = mirror_features(detect_features(mirror(photograph())))
    pairs = match_features(features, seen)
    near = np.abs(features.points[pairs[:, 0]] - seen.points[pairs[:, 1]]).max(axis=1) < 0.01
    assert len(pairs) > 0.7 * len(features.points)
    assert near.mean() > 0.97


def test_mirroring_twice_changes_nothing():
    features = detect_features(photograph())
    twice = mirror_features(mirror_features(features))
    assert np.array_equal(twice.bits, features.bits)
    assert np.allclose(twice.points, features.points)


def test_features_do_not_all_sit_in_one_busy_corner():
    pixels = np.full((400, 400, 3), 128, np.uint8)
    rng = np.random.default_rng(1)
    pixels[:100, :100] = rng.integers(0, 256, (100, 100, 1))
    for x, y in rng.integers(120, 380, (40, 2)):
        pixels[y : y + 12, x : x + 12] = rng.integers(0, 256, 3)
    points = detect_features(pixels, limit=120).points
    corner = np.all(points < 0.27, axis=1).mean()
    assert corner < 0.6


def test_a_plain_wall_has_no_features():
    features = detect_features(np.full((200, 300, 3), 90, np.uint8))
    assert features.distinct == 0
    assert parse_descriptors(build_descriptors(features)).distinct == 0


def test_orientations_of_one_place_count_once():
    points = np.array([[0.5, 0.5], [0.5, 0.5], [0.7, 0.5]], np.float32)
    assert count_distinct(points) == 2


@given(st.binary(max_size=300))
def test_any_bytes_give_features_or_an_error_of_ours(blob):
    try:
        parse_descriptors(blob)
    except FtfError:
        return


@given(st.integers(0, 60), st.integers(0, 255), st.binary(min_size=1, max_size=1))
def test_a_changed_header_is_refused_or_harmless(position, value, extra):
    blob = bytearray(_patch_blob())
    if blob[position % len(blob)] == value:
        value = (value + 1) % 256
    blob[position % len(blob)] = value
    try:
        features = parse_descriptors(bytes(blob))
    except LinkError:
        return
    assert np.all((features.points >= 0) & (features.points <= 1))
    with pytest.raises(LinkError):
        parse_descriptors(bytes(blob) + extra)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"FTFD",
        struct.pack("<4sBBHHH", b"XTFD", 1, 0, 0, 10, 10),
        struct.pack("<4sBBHHH", b"FTFD", 2, 0, 0, 10, 10),
        struct.pack("<4sBBHHH", b"FTFD", 1, 9, 0, 10, 10),
        struct.pack("<4sBBHHH", b"FTFD", 1, 0, 0, 0, 10),
        struct.pack("<4sBBHHH", b"FTFD", 1, 0, 3, 10, 10) + bytes(59),
        struct.pack("<4sBBHHH", b"FTFD", 1, 0, 600, 10, 10) + bytes(12_000),
    ],
)
def test_malformed_blobs_are_refused(blob):
    with pytest.raises(LinkError):
        parse_descriptors(blob)


@pytest.mark.parametrize(
    "pixels", [np.zeros((40, 40, 3), np.float32), np.zeros((40, 40, 4), np.uint8), np.zeros((4, 40, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(pixels):
    with pytest.raises(LinkError):
        detect_features(pixels)


@cache
def _patch_blob():
    pixels = np.full((64, 64, 3), 200, np.uint8)
    pixels[20:44, 20:44] = 10
    return build_descriptors(detect_features(pixels))
