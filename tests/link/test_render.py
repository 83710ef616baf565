import io

import cv2
import numpy as np
import pytest
from link_pictures import mirror, paste, photograph, resize
from PIL import Image

from ftforensics.link import fingerprint
from ftforensics.link.difference import compare
from ftforensics.link.placement import Placement
from ftforensics.link.register import matrix_of, register
from ftforensics.link.render import outline_changed, outline_replaced, render_difference, render_survival
from ftforensics.link.replaced import find_replaced
from ftforensics.link.survival import Holes, SurvivalMap

WHOLE = Placement(matrix=np.eye(3))


def _holes(visible, gone):
    return Holes(visible=visible, gone=gone, region=gone, evidence=np.where(gone, 1.0, -1.0).astype(np.float32))


def _survival(level):
    return SurvivalMap(
        residual=np.stack([level] * 3), correlation=level, present_from=0.2, fine=level, energy=np.ones_like(level)
    )


def _open(png):
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), np.float32)


def _compared(suspect):
    made = fingerprint.build(photograph())
    preview = fingerprint.decode_preview(made.preview)
    registration = register(suspect, preview, made.descriptors)
    return registration, compare(suspect, preview, registration)


def _saturation(pixels):
    return pixels.max(axis=2) - pixels.min(axis=2)


def test_heat_lies_where_the_picture_was_changed_and_nowhere_else():
    fake, _ = paste(photograph(), photograph("chelsea"), (0.42, 0.25), (0.14, 0.19))
    _, difference = _compared(fake)
    picture = _open(render_difference(fake, difference))
    assert picture.shape[1] == 768
    colour = _saturation(picture)
    assert colour[120:260, 270:380].mean() > 30
    assert colour[500:760, 100:700].mean() < 5


def test_an_unchanged_picture_stays_grey():
    _, difference = _compared(photograph())
    assert _saturation(_open(render_difference(photograph(), difference))[:768]).mean() < 2


def test_what_the_source_does_not_show_is_hatched():
    canvas = np.full((700, 700, 3), 40, np.uint8)
    canvas[90:602, 90:602] = photograph()
    _, difference = _compared(canvas)
    picture = _open(render_difference(canvas, difference))
    assert picture[:60, :600].std() > 10
    assert picture.shape[0] > 768 + 60


def test_the_survival_map_is_laid_on_the_mirrored_suspect():
    level = np.full((64, 64), 0.6, np.float32)
    level[:, :20] = 0.0
    suspect = mirror(photograph())
    registration, _ = _compared(suspect)
    picture = _open(render_survival(suspect, _survival(level), Placement(matrix=matrix_of(registration))))
    left, right = picture[:768, 100:400].mean(axis=(0, 1)), picture[:768, 600:740].mean(axis=(0, 1))
    assert left[1] > right[1] + 30
    assert right[2] > right[1]


def test_only_holes_are_outlined_not_every_dark_place():
    level = np.full((64, 64), 0.6, np.float32)
    level[:, :20] = 0.0
    survival, none = _survival(level), np.zeros((64, 64), np.bool_)
    dark = _open(render_survival(photograph(), survival, None, _holes(level > 0.2, none)))
    unknown = _open(render_survival(photograph(), survival))
    gone = _open(render_survival(photograph(), survival, None, _holes(~none, level < 0.2)))
    edge = np.abs(gone[:760, :760].astype(int) - dark[:760, :760]).sum(axis=2) > 60
    assert edge[:, 200:280].any(axis=1).mean() > 0.9
    assert not edge[:, 300:].any()
    assert (unknown[:760, :760] == dark[:760, :760]).all()


def test_the_same_input_gives_the_same_bytes():
    level = np.random.default_rng(0).uniform(0, 1, (64, 64)).astype(np.float32)
    survival = _survival(level)
    assert render_survival(photograph(), survival) == render_survival(photograph(), survival)


@pytest.mark.parametrize("size", [(64, 700), (700, 64), (20, 20)])
def test_odd_shapes_are_rendered(size):
    survival = _survival(np.ones((64, 64), np.float32))
    picture = _open(render_survival(np.full((*size, 3), 100, np.uint8), survival))
    assert max(picture.shape[:2]) >= 768


def test_small_suspects_are_enlarged():
    small = resize(photograph(), 200)
    _, difference = _compared(small)
    assert _open(render_difference(small, difference)).shape[1] == 768


def _two_changes():
    """A suspect with two pasted regions, and its comparison with the source."""
    fake, _ = paste(photograph(), photograph("chelsea"), (0.42, 0.25), (0.14, 0.19))
    fake, _ = paste(fake, photograph("coffee"), (0.75, 0.7), (0.1, 0.1))
    _, difference = _compared(fake)
    assert cv2.connectedComponents(difference.changed.astype(np.uint8))[0] >= 3
    return fake, difference


def test_a_changed_region_in_which_the_tag_is_left_is_outlined_all_the_same():
    fake, difference = _two_changes()
    gone = np.zeros((64, 64), np.bool_)
    gone[1:32, 15:39] = True
    evidence = np.where(gone, 1.0, -1.0).astype(np.float32)
    replaced = find_replaced(
        difference, Holes(visible=np.ones_like(gone), gone=gone, region=gone, evidence=evidence), WHOLE
    )
    changed = outline_changed(difference, (768, 768))
    outlined = outline_replaced(changed, replaced)
    count, parts = cv2.connectedComponents(changed.astype(np.uint8))
    assert [float(outlined[parts == number].mean()) > 0.5 for number in range(1, count)] == [True] * (count - 1)
    assert render_difference(fake, difference, replaced) != render_difference(fake, difference)


def test_nothing_is_outlined_by_a_missing_tag_alone():
    _, difference = _compared(photograph())
    everywhere = np.ones((64, 64), np.bool_)
    replaced = find_replaced(difference, _holes(everywhere, everywhere), WHOLE)
    assert not outline_replaced(outline_changed(difference, (768, 768)), replaced).any()


def test_evidence_without_a_changed_or_tagless_place_outlines_nothing():
    _, difference = _two_changes()
    nothing = np.zeros((64, 64), np.bool_)
    doubtful = np.zeros((64, 64), np.float32)
    doubtful[44:60, 4:24] = 0.6
    replaced = find_replaced(difference, Holes(visible=nothing, gone=nothing, region=nothing, evidence=doubtful), WHOLE)
    assert not outline_replaced(outline_changed(difference, (768, 768)), replaced)[560:700, 80:260].any()
