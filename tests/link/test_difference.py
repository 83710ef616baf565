import cv2
import numpy as np
import pytest
from link_pictures import jpeg, mirror, paste, photograph, resize

from ftforensics.link import fingerprint
from ftforensics.link.difference import compare, measured, project_to_source
from ftforensics.link.register import register


def _compare(suspect, name="astronaut"):
    made = fingerprint.build(photograph(name))
    preview = fingerprint.decode_preview(made.preview)
    registration = register(suspect, preview, made.descriptors)
    assert registration is not None
    return registration, compare(suspect, preview, registration)


def _relit(pixels):
    ramp = np.linspace(0.55, 1.35, pixels.shape[1])[None, :, None] * np.array([1.1, 1.0, 0.85])
    return np.clip(pixels * ramp, 0, 255).astype(np.uint8)


def _recoloured(pixels):
    values = np.clip(pixels / 255.0 * [0.85, 1.0, 1.15] + 0.03, 0, 1) ** 0.8
    return (values * 255).astype(np.uint8)


HARMLESS = {
    "untouched": lambda p: p,
    "jpeg 30": lambda p: jpeg(p, 30),
    "256 px jpeg 50": lambda p: jpeg(resize(p, 256), 50),
    "relit": _relit,
    "recoloured": _recoloured,
    "blurred": lambda p: np.asarray(cv2.GaussianBlur(p, (0, 0), 1.5), np.uint8),
    "noisy": lambda p: np.clip(p + np.random.default_rng(0).normal(0, 8, p.shape), 0, 255).astype(np.uint8),
    "mirrored": lambda p: jpeg(mirror(p), 60),
    "cropped": lambda p: np.ascontiguousarray(p[90:430, 80:440]),
}


@pytest.mark.parametrize("change", HARMLESS)
@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_what_the_whole_picture_suffers_is_no_change(change, name):
    _, difference = _compare(HARMLESS[change](photograph(name)), name)
    assert difference.regions == ()
    assert difference.changed_fraction == 0.0
    assert not difference.replaced.any()


@pytest.mark.parametrize("after", ["untouched", "jpeg 30", "256 px jpeg 50", "relit", "recoloured"])
def test_a_replaced_region_is_found(after):
    fake, mask = paste(photograph(), photograph("chelsea"), (0.42, 0.25), (0.14, 0.19))
    suspect = HARMLESS[after](fake)
    registration, difference = _compare(suspect)
    truth = cv2.resize(mask.astype(np.uint8), difference.changed.shape[::-1], interpolation=cv2.INTER_AREA) > 0
    both, either = (truth & difference.changed).sum(), (truth | difference.changed).sum()
    assert both / either > 0.6
    assert difference.changed_fraction == pytest.approx(mask.mean(), rel=0.5)
    box = difference.regions[0]
    assert box.left < 0.42 < box.right
    assert box.top < 0.25 < box.bottom
    filled = measured(registration, difference)
    assert filled.changed_fraction == difference.changed_fraction
    assert filled.changed_regions == difference.regions


def test_two_replaced_regions_are_two_boxes_largest_first():
    fake, _ = paste(photograph(), photograph("chelsea"), (0.42, 0.25), (0.14, 0.19))
    fake, _ = paste(fake, photograph("coffee"), (0.85, 0.8), (0.08, 0.08))
    _, difference = _compare(fake)
    assert len(difference.regions) == 2
    first, second = ((b.right - b.left) * (b.bottom - b.top) for b in difference.regions)
    assert first > second


def test_replaced_content_is_less_similar_than_reworked_content():
    replaced, _ = paste(photograph(), photograph("coffee"), (0.42, 0.25), (0.14, 0.19))
    _, difference = _compare(replaced)
    assert difference.replaced.sum() > 0.6 * difference.changed.sum()


def test_the_mask_lands_in_the_sources_frame():
    fake, mask = paste(photograph(), photograph("coffee"), (0.3, 0.3), (0.15, 0.15))
    suspect = mirror(fake)
    registration, difference = _compare(suspect)
    projected = project_to_source(difference.changed, registration, 64)
    truth = cv2.resize(mask.astype(np.uint8), (64, 64), interpolation=cv2.INTER_AREA) > 0
    assert (truth & projected).sum() / (truth | projected).sum() > 0.6
    seen = project_to_source(np.ones((50, 50), np.bool_), registration, 64)
    assert seen.mean() > 0.95


def test_a_crop_is_projected_into_its_part_of_the_source():
    suspect = np.ascontiguousarray(photograph()[:256, :256])
    registration, difference = _compare(suspect)
    seen = project_to_source(difference.seen, registration, 64)
    assert seen[:30, :30].mean() > 0.9
    assert not seen[34:, 34:].any()


def test_plain_places_that_a_change_surrounds_are_not_called_replaced():
    """Nothing can be told from structure there, and a tag in them is no sign of anything."""
    plain = np.full((512, 512, 3), 128, np.uint8)
    plain[:120] = photograph()[:120]
    plain[400:] = photograph()[400:]
    made = fingerprint.build(plain)
    preview = fingerprint.decode_preview(made.preview)
    ringed = plain.copy()
    cv2.circle(ringed, (256, 260), 110, (30, 30, 30), 14)
    cv2.circle(ringed, (256, 260), 104, (230, 230, 230), 6)
    registration = register(ringed, preview, made.descriptors)
    assert registration is not None
    difference = compare(ringed, preview, registration)
    inner = np.zeros(difference.changed.shape, np.uint8)
    cv2.circle(inner, (128, 130), 20, 1, -1)
    assert difference.changed[inner > 0].all()
    assert not difference.replaced[inner > 0].any()
