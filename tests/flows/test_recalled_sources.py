"""Which records a picture is read beside: each once, whatever suggests it, and no forged row in another's place."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ftforensics.domain.record import RegisteredRecord, SignedEnvelope
from ftforensics.engine.tries import Nominee
from ftforensics.flows.known import Candidate, KnownSources, LazyFeatures
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import resize
from ftforensics.link import fingerprint, register
from ftforensics.link.features import Features, parse_descriptors

TAG, KEY = "00000000000000aa", "carrier:ours"
FORGED = b"forged"
PLACED = np.array([[1.01, 0.0, 0.0], [0.0, 1.01, 0.0]])


@pytest.fixture(scope="module")
def real(photographs: dict[str, np.ndarray]) -> RegisteredRecord:
    print_ = fingerprint.build(photographs["astronaut"])
    return RegisteredRecord(
        tag_id=TAG,
        carrier_key_id=KEY,
        record=SignedEnvelope(payload_type="record", payload=b"real", key_id="issuer", signature=b""),
        binding=None,
        public_key=b"",
        descriptors=print_.descriptors,
        preview=print_.preview,
        log_index=0,
        logged_at="2026-03-01T10:00:05Z",
    )


def forge(row: RegisteredRecord) -> RegisteredRecord:
    """A row that claims the same tag id, which does not follow from it."""
    return dataclasses.replace(row, record=dataclasses.replace(row.record, payload=FORGED))


def candidate(row: RegisteredRecord) -> Candidate:
    attempt = register.Attempt(registration=None, reason="not_confirmed", suspect_features=99, source_features=99)
    return Candidate(row=row, attempt=attempt, frame=PLACED)


def known_of(*rows: RegisteredRecord, near: Sequence[RegisteredRecord] = ()) -> KnownSources:
    def check(row: RegisteredRecord) -> tuple[SimpleNamespace, None]:
        # A second row of the same record has descriptors or a preview that the record does not sign.
        forged = row.record.payload == FORGED or row.log_index != 0
        return SimpleNamespace(status="signature_invalid" if forged else "issuer_untrusted"), None

    sources = SimpleNamespace(
        find=lambda tag_id, key_id: [row for row in rows if row.tag_id == tag_id],
        near=lambda pixels, *, limit: [],
        near_parts=lambda features, *, limit: _fitting(features(), near),
    )
    return KnownSources(cast(Any, sources), cast(Any, SimpleNamespace(of=check)))


def _fitting(features: Features, rows: Sequence[RegisteredRecord]) -> list[RegisteredRecord]:
    """The row that shares most features with a picture: what an index would give."""
    return sorted(rows, key=lambda row: -len(register.match_features(parse_descriptors(row.descriptors), features)))[:1]


def recalled(picture: np.ndarray, rows: list[RegisteredRecord], candidates: list[Candidate]) -> list[np.ndarray]:
    """The frames in which the picture is read beside the tag's sources, the tag being nominated."""
    nominee = Nominee(tag_id=TAG, carrier_key_id=KEY, z=4.0, frame=geometry.IDENTITY)
    sources = known_of(*rows).recall(picture, LazyFeatures(picture), candidates, [nominee], [])
    return [source.frame for source in sources if source.tag_id == TAG]


def test_a_nominated_record_is_placed_by_its_content(real: RegisteredRecord, photographs: dict[str, np.ndarray]):
    (frame,) = recalled(photographs["astronaut"], [real], [])
    assert np.abs(frame - geometry.IDENTITY).max() < 0.01


def test_a_record_that_content_suggests_is_not_read_again_when_its_tag_came_near(
    real: RegisteredRecord, photographs: dict[str, np.ndarray]
):
    (frame,) = recalled(photographs["astronaut"], [real], [candidate(real)])
    assert np.array_equal(frame, PLACED)


def test_a_forged_row_is_never_read_beside(real: RegisteredRecord, photographs: dict[str, np.ndarray]):
    forged = forge(real)
    assert recalled(photographs["astronaut"], [forged], []) == []
    assert recalled(photographs["astronaut"], [forged], [candidate(forged)]) == []


def test_a_forged_row_does_not_silence_the_record_whose_tag_id_it_claims(
    real: RegisteredRecord, photographs: dict[str, np.ndarray]
):
    forged = forge(real)
    (frame,) = recalled(photographs["astronaut"], [forged, real], [candidate(forged)])
    assert np.abs(frame - geometry.IDENTITY).max() < 0.01


@pytest.mark.parametrize("preview", ["another", "none"])
def test_a_copy_with_other_content_does_not_take_the_records_place_in_another_panel(
    preview: str, real: RegisteredRecord, photographs: dict[str, np.ndarray]
):
    """The copy fits the left panel better than the record fits the right one."""
    other = fingerprint.build(photographs["coffee"])
    kept = other.preview if preview == "another" else None
    copy = dataclasses.replace(real, descriptors=other.descriptors, preview=kept, log_index=1)
    left = resize(photographs["coffee"], 600, 400)
    right = resize(photographs["astronaut"][40:360, 100:420], 400, 400)
    sheet = np.concatenate([left, right], axis=1)
    known = known_of(copy, real, near=[copy, real])
    panels = [(0.0, 0.0, 0.6, 1.0), (0.6, 0.0, 1.0, 1.0)]
    assert attempt_of(copy, left).inliers > attempt_of(real, right).inliers > 0
    (source,) = known.recall(sheet, LazyFeatures(sheet), [], None, panels)
    # 512 px of the astronaut at 400/320 of its size, 100 px of it beyond the panel's left edge.
    assert source.frame[0] == pytest.approx([0.64, 0.0, 0.475], abs=0.01)


def attempt_of(row: RegisteredRecord, picture: np.ndarray) -> register.Attempt:
    preview = None if row.preview is None else fingerprint.decode_preview(row.preview)
    return register.attempt(picture, preview, row.descriptors)


def test_a_record_is_given_once_whatever_suggests_it(real: RegisteredRecord, photographs: dict[str, np.ndarray]):
    """By two panels, by the whole picture and by its tag: it has one frame, which does not hang on what was read."""
    half = photographs["astronaut"][:, :256]
    sheet = np.concatenate([half, np.full((512, 40, 3), 255, np.uint8), half], axis=1)
    panels = [(0.0, 0.0, 256 / 552, 1.0), (296 / 552, 0.0, 1.0, 1.0)]
    known = known_of(real)
    near = SimpleNamespace(near=lambda *_, **__: [real], near_parts=lambda *_, **__: [], find=lambda *_: [real])
    known._sources = cast(Any, near)
    nominee = Nominee(tag_id=TAG, carrier_key_id=KEY, z=4.0, frame=geometry.IDENTITY)
    given = {}
    for name, nominees in (("searched", [nominee]), ("found already", None)):
        sources = list(known.recall(sheet, LazyFeatures(sheet), [candidate(real)], nominees, panels))
        assert len(sources) == 1, name
        given[name] = sources[0]
    assert given["searched"].within == given["found already"].within == panels[0]
    assert np.array_equal(given["searched"].frame, given["found already"].frame)
    # As the left half of the photograph lies in the left panel.
    corner = given["searched"].frame @ np.array([0.5, 1.0, 1.0])
    assert np.abs(corner - [256 / 552, 1.0]).max() < 0.02
