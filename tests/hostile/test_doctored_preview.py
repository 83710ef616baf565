"""Attack: a trusted issuer registers somebody else's photograph with a preview from which he took a tag away.

Read beside such a preview, the untagged photograph would seem to carry that tag. But which tag the record gets follows
from the record, preview included: he would have to know it before he makes the preview that it depends on.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from newsroom import ISSUER, SCANNED_AT, TAGGED_AT, Newsroom, cat, load_ring_key, open_reader, save
from PIL import Image

from ftforensics.codec import channel
from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.domain.record import RecordCore
from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.compared import KnownSource
from ftforensics.engine.hints import Hints
from ftforensics.engine.models import find_model
from ftforensics.engine.onnx import open_pair_reader
from ftforensics.engine.reading import TagReader
from ftforensics.engine.ring import build_book
from ftforensics.imaging import geometry
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.link import fingerprint
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import KeyFolder
from ftforensics.trust.record import record_sha256, sign_record, tag_id

WISHED = "0123456789abcdef"
STRENGTH_DB = 36.0


@pytest.fixture(scope="module")
def preview(newsroom: Newsroom) -> bytes:
    """The cat less a tag, as a preview."""
    key = load_ring_key(newsroom.home)
    sync = build_sync_carrier(open_reader().card.model_id)
    planes = build_tag_planes(channel.encode(WISHED, key.channel), key.carriers, sync)
    without = add_residual(cat(), -planes, build_mask(cat()), STRENGTH_DB)
    buffer = io.BytesIO()
    Image.fromarray(without).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def submit(newsroom: Newsroom, home: Path, preview: bytes, wished: bool) -> str:
    """The issuer logs his record; under the id that follows from it, or under the one that he wished for."""
    keys = KeyFolder(home / "keys")
    signer, print_ = keys.load_signing("agency", None), fingerprint.build(cat())
    core = RecordCore(
        issuer=ISSUER,
        key_id=signer.key_id,
        nonce=("11" if wished else "00") * 16,
        source_sha256=record_sha256(b"the cat"),
        phash=print_.phash,
        descriptors_sha256=record_sha256(print_.descriptors),
        preview_sha256=record_sha256(preview),
        width_px=451,
        height_px=300,
        model_id="ftf-1",
        carrier_key_id=load_ring_key(newsroom.home).key_id,
        created=TAGGED_AT,
    )
    record = sign_record(core, signer)
    submission = RecordSubmission(
        tag_id=tag_id(record.payload),
        carrier_key_id=core.carrier_key_id,
        record=record,
        binding=None,
        public_key=signer.public_key,
        descriptors=print_.descriptors,
        preview=preview,
    )
    if wished:
        submission = dataclasses.replace(submission, tag_id=WISHED)
    with Registry.open(home / "registry.sqlite", read_only=False) as registry:
        registry.append([submission], signer=signer, at=SCANNED_AT, check_tag_ids=not wished)
    return submission.tag_id


def test_with_an_id_known_beforehand_it_would_work(newsroom: Newsroom, preview: bytes):
    key = load_ring_key(newsroom.home)
    book = build_book(key, np.array([int(WISHED, 16), 5, 6], dtype=np.uint64))
    reader = TagReader(open_reader(), [book], pairs=open_pair_reader(find_model("ftf-1")))
    source = KnownSource(
        tag_id=WISHED,
        carrier_key_id=key.key_id,
        preview=fingerprint.decode_preview(preview),
        frame=geometry.IDENTITY,
    )
    outcome = reader.identify(cat(), reader.residuals([cat()])[0], Hints(recall=lambda _, __: [source])).outcome
    assert isinstance(outcome, MatchedTag)
    assert (outcome.tag_id, outcome.geometry.mode) == (WISHED, "compared")


def test_the_untagged_photograph_is_not_read_as_tagged(newsroom: Newsroom, preview: bytes, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    follows, wished = (submit(newsroom, home, preview, wished) for wished in (False, True))
    assert wished == WISHED != follows
    suspect = save(cat(), tmp_path / "suspects" / "cat.png")
    scan = newsroom.scan([suspect.parent], tmp_path / "cases", home=home)
    row = scan.rows["cat.png"]
    assert row["match"] is None
    assert row["verdict"] == "CONTENT_LEAD"
    # A record whose tag id was wished for is no lead either.
    assert row["source"]["tag_id"] == follows
