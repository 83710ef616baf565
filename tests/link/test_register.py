from functools import cache

import numpy as np
import pytest
from link_pictures import jpeg, mirror, paste, photograph, resize, rotate, scribble

from ftforensics.errors import LinkError
from ftforensics.link import fingerprint
from ftforensics.link.homography import corners, map_points
from ftforensics.link.register import attempt, matrix_of, register

NAMES = ("astronaut", "coffee", "chelsea", "rocket")


@cache
def _source(name="astronaut"):
    made = fingerprint.build(photograph(name))
    return fingerprint.decode_preview(made.preview), made.descriptors


def _crop(pixels):
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(pixels[height // 5 : height * 4 // 5, width // 4 : width * 3 // 4])


CHANGES = {
    "jpeg 30": (lambda p: jpeg(p, 30), np.eye(3)),
    "256 px": (lambda p: jpeg(resize(p, 256), 60), np.eye(3)),
    "mirror": (lambda p: jpeg(mirror(p), 50), np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])),
    "crop": (_crop, np.array([[2.0, 0, -0.5], [0, 1 / 0.6, -1 / 3], [0, 0, 1]])),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("with_preview", [True, False])
def test_a_changed_picture_registers_in_the_true_geometry(change, with_preview):
    preview, descriptors = _source()
    make, truth = CHANGES[change]
    found = register(make(photograph()), preview if with_preview else None, descriptors)
    assert found is not None
    assert found.against == ("preview" if with_preview else "descriptors")
    off = map_points(matrix_of(found), corners()) - map_points(truth, corners())
    assert np.max(np.abs(off)) < 0.02
    assert found.changed_fraction is None
    assert found.inliers >= 12


def test_a_rotated_picture_registers():
    preview, descriptors = _source("coffee")
    found = register(jpeg(rotate(photograph("coffee"), 10), 60), preview, descriptors)
    assert found is not None
    linear = matrix_of(found)[:2, :2] * np.array([[1.0, 600 / 400], [400 / 600, 1.0]])
    assert np.degrees(np.arctan2(linear[0, 1], linear[0, 0])) == pytest.approx(10, abs=0.5)


def test_a_face_sized_replacement_does_not_hinder():
    preview, descriptors = _source()
    fake, _ = paste(photograph(), photograph("coffee"), (0.45, 0.3), (0.14, 0.2))
    found = register(jpeg(fake, 50), preview, descriptors)
    assert found is not None
    assert found.overlap_fraction > 0.98


def test_the_overlap_is_the_share_of_the_source_that_is_seen():
    preview, descriptors = _source()
    found = register(_crop(photograph()), preview, descriptors)
    assert found is not None
    assert found.overlap_fraction == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("with_preview", [True, False])
def test_different_pictures_do_not_register(with_preview):
    for suspect in NAMES:
        for source in NAMES:
            if suspect != source:
                preview, descriptors = _source(source)
                assert register(photograph(suspect), preview if with_preview else None, descriptors) is None


def test_the_donor_of_a_small_part_does_not_register():
    preview, descriptors = _source("coffee")
    fake, _ = paste(photograph(), photograph("coffee"), (0.45, 0.4), (0.12, 0.14))
    tried = attempt(fake, preview, descriptors)
    assert tried.registration is None
    assert tried.reason in {"not_confirmed", "chance_not_excluded", "no_common_geometry"}


def test_a_plain_wall_is_reported_as_having_few_features():
    preview, descriptors = _source()
    tried = attempt(np.full((300, 300, 3), 120, np.uint8), preview, descriptors)
    assert tried.registration is None
    assert tried.reason == "few_suspect_features"
    assert tried.suspect_features == 0
    assert tried.source_features > 60


def test_registering_twice_gives_the_same_numbers():
    preview, descriptors = _source("chelsea")
    suspect = jpeg(rotate(photograph("chelsea"), 7), 40)
    assert register(suspect, preview, descriptors) == register(suspect.copy(), preview.copy(), descriptors)


def test_unusable_input_is_refused():
    preview, descriptors = _source()
    with pytest.raises(LinkError):
        register(np.zeros((50, 50, 4), np.uint8), preview, descriptors)
    with pytest.raises(LinkError):
        register(photograph(), preview, b"not a blob")


def test_features_can_be_detected_once_for_many_sources():
    from ftforensics.link.features import detect_features

    suspect = jpeg(photograph("rocket"), 50)
    features = detect_features(suspect)
    for name in NAMES:
        preview, descriptors = _source(name)
        tried = attempt(suspect, preview, descriptors, suspect_features=features)
        assert (tried.registration is not None) == (name == "rocket")
        assert tried.registration == register(suspect, preview, descriptors)


def test_drawings_of_the_same_kind_do_not_register_on_each_other():
    for seed in range(4):
        made = fingerprint.build(scribble(seed))
        preview = fingerprint.decode_preview(made.preview)
        assert register(scribble(seed + 50), preview, made.descriptors) is None
        assert register(jpeg(scribble(seed), 40), preview, made.descriptors) is not None
