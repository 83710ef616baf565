"""Tagging in one process: what is kept when a step fails, and what is the same in every run."""

from __future__ import annotations

import hashlib
import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from newsroom import ISSUER, TAGGED_AT, cat, open_reader, save

from ftforensics.domain.record import RecordCore
from ftforensics.engine.ring import RingKey, build_ring_key
from ftforensics.errors import AlreadyExists, KeyUnknown, ModeUnsupported, WriteFailed
from ftforensics.flows.tag import KEEP_Z, Issuer, Tagger, TagSettings, plan_outputs
from ftforensics.link import fingerprint
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import CarrierKey, Signer, SigningKey
from ftforensics.trust.record import parse_record_core, sign_record

AGENCY = SigningKey.from_seed("agency", "issuer", b"a" * 32)
READER = open_reader()


@pytest.fixture(scope="module")
def key() -> RingKey:
    return make_key()


def make_key() -> RingKey:
    carrier = CarrierKey.from_secret("waves", b"w" * 32)
    return build_ring_key(carrier.key_id, carrier.derive, READER.card.model_id)


@pytest.fixture
def registry(tmp_path: Path):
    with Registry.create(tmp_path / "registry.sqlite", "agency-2026", signer=AGENCY, at=TAGGED_AT) as made:
        yield made


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save(cat(), tmp_path / "photos" / "cat.png")


def make_tagger(registry: Registry, key: RingKey, *, signer: Signer = AGENCY, clobber: bool = False) -> Tagger:
    return Tagger(
        issuer=Issuer(name=ISSUER, signer=signer, rights="(c) somebody"),
        key=key,
        registry=registry,
        reader=READER,
        embedder=None,
        settings=TagSettings(psnr_db=42.0, clobber=clobber),
        now=lambda: TAGGED_AT,
        draw=bytes,
    )


class StoppingSigner:
    """The agency's key, during one of whose signatures somebody presses Ctrl-C."""

    name, key_id, public_key = AGENCY.name, AGENCY.key_id, AGENCY.public_key

    def __init__(self, *, at_signature: int) -> None:
        self._left = at_signature

    def sign(self, message: bytes) -> bytes:
        self._left -= 1
        if self._left == 0:
            signal.raise_signal(signal.SIGINT)
        return AGENCY.sign(message)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_a_tagged_photograph_is_registered_as_what_it_is(registry: Registry, key: RingKey, photo: Path, tmp_path: Path):
    tagged = make_tagger(registry, key).tag(photo, tmp_path / "out" / "cat.png")
    assert tagged.z >= KEEP_Z
    assert files(tmp_path / "out") == ["cat.png"]
    core = parse_record_core(registry.get(tagged.tag_id).record.payload)
    assert (core.issuer, core.rights, core.nonce) == (ISSUER, "(c) somebody", "00" * 16)
    assert (core.width_px, core.height_px) == cat().shape[1::-1]
    registry.verify(check_tag_ids=True)


def test_the_same_photograph_nonce_and_time_give_the_same_file(key: RingKey, photo: Path, tmp_path: Path):
    made = []
    for name in ("one", "two"):
        path = tmp_path / name / "registry.sqlite"
        path.parent.mkdir()
        with Registry.create(path, "agency-2026", signer=AGENCY, at=TAGGED_AT) as registry:
            tagged = make_tagger(registry, key).tag(photo, tmp_path / name / "cat.png")
        made.append((tagged.tag_id, tagged.record_sha256, (tmp_path / name / "cat.png").read_bytes()))
    assert made[0] == made[1]


def test_a_registry_of_another_log_key_keeps_no_file(registry: Registry, key: RingKey, photo: Path, tmp_path: Path):
    mallory = SigningKey.from_seed("mallory", "issuer", b"m" * 32)
    with pytest.raises(KeyUnknown):
        make_tagger(registry, key, signer=mallory).tag(photo, tmp_path / "out" / "cat.png")
    assert files(tmp_path / "out") == []
    assert registry.count() == 0


def test_a_record_that_is_there_already_keeps_no_second_file(
    registry: Registry, key: RingKey, photo: Path, tmp_path: Path
):
    make_tagger(registry, key).tag(photo, tmp_path / "out" / "cat.png")
    with pytest.raises(AlreadyExists):
        make_tagger(registry, key).tag(photo, tmp_path / "again" / "cat.png")
    assert files(tmp_path / "again") == []
    assert registry.count() == 1


def test_a_target_that_cannot_be_replaced_is_told_and_leaves_no_part(
    registry: Registry, key: RingKey, photo: Path, tmp_path: Path
):
    (tmp_path / "out" / "cat.png").mkdir(parents=True)
    with pytest.raises(AlreadyExists):
        make_tagger(registry, key).tag(photo, tmp_path / "out" / "cat.png")
    assert registry.count() == 0
    with pytest.raises(WriteFailed, match="registered, but"):
        make_tagger(registry, key, clobber=True).tag(photo, tmp_path / "out" / "cat.png")
    assert files(tmp_path / "out") == ["cat.png"]


def test_an_output_folder_that_cannot_be_made(registry: Registry, key: RingKey, photo: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteFailed):
        make_tagger(registry, key).tag(photo, tmp_path / "file" / "cat.png")


def test_a_photograph_that_is_too_small(registry: Registry, key: RingKey, tmp_path: Path):
    small = save(np.zeros((127, 400, 3), np.uint8), tmp_path / "small.png")
    with pytest.raises(ModeUnsupported, match="128"):
        make_tagger(registry, key).tag(small, tmp_path / "out" / "small.png")
    assert files(tmp_path / "out") == []


def test_outputs_keep_their_names_and_never_share_one(tmp_path: Path):
    plan = plan_outputs([Path("a/one.jpg"), Path("b/two.jpg")], tmp_path)
    assert plan == [(Path("a/one.jpg"), tmp_path / "one.jpg"), (Path("b/two.jpg"), tmp_path / "two.jpg")]
    with pytest.raises(AlreadyExists):
        plan_outputs([Path("a/one.jpg"), Path("b/one.jpg")], tmp_path)


def tag_and_stop(told: Connection, at_signature: int, photo: Path, folder: Path) -> None:
    """In a process of its own, for Ctrl-C is every thread's: what came of tagging, and what is known of it then."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    key, target = make_key(), folder / "out" / "cat.png"
    with Registry.create(folder / "registry.sqlite", "agency-2026", signer=AGENCY, at=TAGGED_AT) as registry:
        try:
            make_tagger(registry, key, signer=StoppingSigner(at_signature=at_signature)).tag(photo, target)
        except KeyboardInterrupt:
            known = make_tagger(registry, key).recall(photo, target)
            told.send((files(folder / "out"), registry.count(), None if known is None else known.log_index))
        else:
            told.send("nobody was interrupted")


def stop(at_signature: int, photo: Path, folder: Path) -> Any:
    ours, theirs = get_context("spawn").Pipe(duplex=False)
    process = get_context("spawn").Process(target=tag_and_stop, args=(theirs, at_signature, photo, folder))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


def test_a_stop_while_a_record_is_logged_waits_until_its_file_is_there(photo: Path, tmp_path: Path):
    """The signer, asked for the checkpoint, is where Ctrl-C would leave a record without a file."""
    assert stop(3, photo, tmp_path) == (["cat.png"], 1, 0)


def test_a_stop_before_a_record_is_logged_leaves_nothing(photo: Path, tmp_path: Path):
    assert stop(2, photo, tmp_path) == ([], 0, None)


def test_a_name_too_long_for_the_folder_is_one_refused_photograph(
    registry: Registry, key: RingKey, photo: Path, tmp_path: Path
):
    tagger, target = make_tagger(registry, key), tmp_path / "out" / ("x" * 300 + ".png")
    assert tagger.recall(photo, target) is None
    with pytest.raises(WriteFailed, match="cannot be put there"):
        tagger.tag(photo, target)
    assert registry.count() == 0
    assert tagger.tag(photo, tmp_path / "out" / "cat.png").log_index == 0


MALLORY = SigningKey.from_seed("mallory", "issuer", b"m" * 32)
LONG_BEFORE = "2020-01-01T00:00:00Z"


def mallorys(
    number: int, *, tag_id: str, preview: bytes | None = None, descriptors: bytes | None = None
) -> RecordSubmission:
    """A record of somebody else that claims the cat, under a carrier key of its own; the blobs are what was signed."""
    cats = fingerprint.build(cat())
    descriptors, preview = descriptors or cats.descriptors, preview or cats.preview
    core = RecordCore(
        issuer="Mallory",
        key_id=MALLORY.key_id,
        nonce=f"{number:032x}",
        source_sha256="0" * 64,
        phash=cats.phash,
        descriptors_sha256=hashlib.sha256(descriptors).hexdigest(),
        preview_sha256=hashlib.sha256(preview).hexdigest(),
        width_px=640,
        height_px=480,
        model_id=READER.card.model_id,
        carrier_key_id=f"carrier:{number:032x}",
        created=LONG_BEFORE,
    )
    return RecordSubmission(
        tag_id=tag_id,
        carrier_key_id=core.carrier_key_id,
        record=sign_record(core, MALLORY),
        binding=None,
        public_key=MALLORY.public_key,
        descriptors=descriptors,
        preview=preview,
    )


def take(registry: Registry, path: Path, at: str, *submissions: RecordSubmission) -> None:
    with Registry.create(path.with_suffix(".sqlite"), path.name, signer=MALLORY, at=LONG_BEFORE) as theirs:
        theirs.append(submissions, signer=MALLORY, at=at, check_tag_ids=False)
        theirs.export_bundle(path)
    registry.import_bundle(path, check_tag_ids=False)


@pytest.mark.parametrize("damaged", [{"preview": b"no picture"}, {"descriptors": b"no features"}])
def test_a_damaged_record_of_somebody_else_stops_no_tagging(
    registry: Registry, key: RingKey, photo: Path, tmp_path: Path, damaged: dict[str, bytes]
):
    take(registry, tmp_path / "theirs", LONG_BEFORE, mallorys(1, tag_id="ab" * 8, **damaged))
    tagged = make_tagger(registry, key).tag(photo, tmp_path / "out" / "cat.png")
    (warning,) = [text for text in tagged.warnings if "abab" in text]
    assert "could not be compared" in warning
    assert "already claims" not in warning


def test_two_records_of_one_tag_id_are_both_told(registry: Registry, key: RingKey, photo: Path, tmp_path: Path):
    twins = [mallorys(number, tag_id="ab" * 8) for number in (1, 2)]
    take(registry, tmp_path / "theirs", LONG_BEFORE, *twins)
    tagged = make_tagger(registry, key).tag(photo, tmp_path / "out" / "cat.png")
    claims = [text for text in tagged.warnings if "already claims this content" in text]
    assert sorted("as entry 0" in text for text in claims) == [False, True]


def test_the_log_of_an_earlier_claim_is_named_and_ones_own_goes_first(
    registry: Registry, key: RingKey, photo: Path, tmp_path: Path
):
    claim = mallorys(1, tag_id="ab" * 8)
    for name, at in (("one", TAGGED_AT), ("two", LONG_BEFORE)):
        take(registry, tmp_path / name, at, claim)
    tagger = make_tagger(registry, key)
    tagged = tagger.tag(photo, tmp_path / "out" / "cat.png")
    (warning,) = [text for text in tagged.warnings if "already claims this content" in text]
    shown = f"the log 'one' (key {MALLORY.key_id[:24]}…)"
    assert f"logged {TAGGED_AT} as entry 0 of {shown}" in warning
    with Registry.create(tmp_path / "own.sqlite", "own", signer=AGENCY, at=LONG_BEFORE) as own:
        own.append([claim], signer=AGENCY, at=LONG_BEFORE, check_tag_ids=False)
        own.import_bundle(tmp_path / "one", check_tag_ids=False)
        tagged = make_tagger(own, key).tag(photo, tmp_path / "out" / "again.png")
    (warning,) = [text for text in tagged.warnings if "already claims this content" in text]
    assert f"logged {LONG_BEFORE} as entry 0 of the log 'own'" in warning
