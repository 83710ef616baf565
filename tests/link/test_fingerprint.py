import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from link_pictures import jpeg, mirror, photograph, resize, scribble
from PIL import Image

from ftforensics.errors import FtfError, LinkError
from ftforensics.link import fingerprint
from ftforensics.link.index import ContentIndex


def test_the_same_pixels_give_the_same_bytes():
    assert fingerprint.build(photograph("coffee")) == fingerprint.build(photograph("coffee").copy())


def test_the_preview_is_small_and_decodes():
    made = fingerprint.build(resize(photograph(), 900))
    preview = fingerprint.decode_preview(made.preview)
    assert max(preview.shape[:2]) == 512
    assert len(made.preview) < 200_000
    assert len(made.phash) == 16


def test_a_small_photograph_is_not_enlarged():
    preview = fingerprint.decode_preview(fingerprint.build(resize(photograph("coffee"), 300)).preview)
    assert max(preview.shape[:2]) == 300


def test_recompression_moves_few_bits_and_another_picture_many():
    plain = fingerprint.phash(photograph())
    assert fingerprint.hamming(plain, fingerprint.phash(jpeg(resize(photograph(), 256), 40))) <= 6
    assert fingerprint.hamming(plain, fingerprint.phash(photograph("coffee"))) >= 16


def test_the_second_hash_is_the_mirror_images():
    for name in ("astronaut", "coffee", "chelsea"):
        plain, turned = fingerprint.phash_pair(photograph(name))
        other_plain, other_turned = fingerprint.phash_pair(mirror(photograph(name)))
        assert (plain ^ other_turned).bit_count() <= 2
        assert (turned ^ other_plain).bit_count() <= 2


@pytest.mark.parametrize("text", ["", "12", "z" * 16, "0" * 17])
def test_a_malformed_hash_is_refused(text):
    with pytest.raises(LinkError):
        fingerprint.hamming(text, "0" * 16)


@given(st.binary(max_size=200))
def test_any_bytes_as_preview_give_pixels_or_an_error_of_ours(blob):
    try:
        fingerprint.decode_preview(blob)
    except FtfError:
        return


@pytest.mark.parametrize("side", [1600, 20_000])
def test_a_preview_over_the_limit_is_refused_before_it_is_decoded(side):
    buffer = io.BytesIO()
    Image.new("L", (side, 16)).save(buffer, "JPEG")
    with pytest.raises(LinkError):
        fingerprint.decode_preview(buffer.getvalue())


def test_a_preview_of_another_format_is_refused():
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    with pytest.raises(LinkError):
        fingerprint.decode_preview(buffer.getvalue())


def test_a_truncated_preview_is_refused():
    blob = fingerprint.build(photograph()).preview
    with pytest.raises(LinkError):
        fingerprint.decode_preview(blob[: len(blob) // 2])


def _index(pictures):
    hashes = np.array([int(fingerprint.phash(p), 16) for p in pictures], np.uint64)
    return ContentIndex([f"{i:016x}" for i in range(len(pictures))], hashes)


def test_the_index_finds_the_picture_and_its_mirror_image():
    pictures = [scribble(i) for i in range(20)]
    index = _index(pictures)
    lead = index.nearest(jpeg(pictures[7], 50))[0]
    assert (lead.tag_id, lead.position, lead.mirrored) == (f"{7:016x}", 7, False)
    turned = index.nearest(mirror(pictures[11]))[0]
    assert (turned.position, turned.mirrored) == (11, True)
    assert turned.distance_bits <= 3


def test_leads_come_nearest_first_with_ties_in_index_order():
    base = fingerprint.phash_pair(scribble(1))[0]
    hashes = np.array([base ^ 0b111, base ^ 1, base ^ 2, base], np.uint64)
    leads = ContentIndex(["a", "b", "c", "d"], hashes).nearest(scribble(1))
    assert [lead.tag_id for lead in leads] == ["d", "b", "c", "a"]
    assert [lead.distance_bits for lead in leads] == [0, 1, 1, 3]


def test_far_hashes_and_empty_indices_give_no_leads():
    base = fingerprint.phash_pair(scribble(1))[0]
    far = np.array([base ^ 0xFFFF_FFFF_0000_0000], np.uint64)
    assert ContentIndex(["x"], far).nearest(scribble(1), max_distance_bits=8) == ()
    assert ContentIndex([], np.zeros(0, np.uint64)).nearest(scribble(1)) == ()


def test_an_index_of_uneven_length_is_refused():
    with pytest.raises(LinkError):
        ContentIndex(["x"], np.zeros(2, np.uint64))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_distances_count_bits(first, second):
    assert fingerprint.hamming(f"{first:016x}", f"{second:016x}") == (first ^ second).bit_count()
