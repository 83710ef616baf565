"""Attack: write published records of others into a log of one's own with another time, and have it at hand first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from signed_rows import EXAMINER, HERALD, MALLORY, make_core, make_row

from ftforensics.domain.record import RegisteredRecord
from ftforensics.errors import IssuerUntrusted
from ftforensics.flows.sources import Sources, check_record
from ftforensics.link.fingerprint import phash_pair
from ftforensics.store.bundle_export import ExportReport
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.record import sign_record, tag_id, verify_record
from ftforensics.trust.trustlist import TrustList

NOW = "2029-01-01T00:00:00Z"
EARLIER, MADE, AT, LATER = (
    "2020-01-01T00:00:00Z",
    "2026-03-01T10:00:00Z",
    "2026-03-01T10:00:05Z",
    "2028-01-01T00:00:00Z",
)
RECORD = make_row(HERALD, photograph="photo", created=MADE)
ARCHIVE = SigningKey.from_seed("archive", "issuer", b"a" * 32)
TRUST = TrustList().pin("The Herald", HERALD.key_id).pin("An Archive", ARCHIVE.key_id)
LOGS = {
    "honest": (HERALD, AT),
    "second": (HERALD, LATER),
    "archive": (ARCHIVE, AT),
    "late mirror": (MALLORY, LATER),
    "early mirror": (MALLORY, EARLIER),
    "likely mirror": (MALLORY, AT),
}

Collect = Callable[..., Registry]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each log as a bundle of its one record; all but the honest one leave out what a record can do without."""
    folder = tmp_path_factory.mktemp("logs")
    for name, (signer, at) in LOGS.items():
        whole = name == "honest"
        submission = RecordSubmission(
            tag_id=RECORD.tag_id,
            carrier_key_id=RECORD.carrier_key_id,
            record=RECORD.record,
            binding=RECORD.binding if whole else None,
            public_key=RECORD.public_key,
            descriptors=RECORD.descriptors,
            preview=RECORD.preview if whole else None,
        )
        with Registry.create(folder / f"{name}.sqlite", name, signer=signer, at=EARLIER) as registry:
            registry.append([submission], signer=signer, at=at, check_tag_ids=False)
            registry.export_bundle(folder / name)
    return folder


@pytest.fixture
def collect(tmp_path: Path, bundles: Path) -> Iterator[Collect]:
    """Import logs, in this order, into a new registry, which is open for reading in the end."""
    with ExitStack() as stack:

        def collected(*names: str) -> Registry:
            path = tmp_path / f"{'-'.join(names)}.sqlite"
            with Registry.create(path, "examiner", signer=EXAMINER, at=AT) as made:
                for name in names:
                    made.import_bundle(bundles / name, check_tag_ids=False)
                check = made.verify()
                assert (made.count(), check.records, check.entries) == (1, 1, len(names))
            return stack.enter_context(Registry.open(path))

        yield collected


def find(*registries: Registry, trust: TrustList = TRUST) -> RegisteredRecord:
    (found,) = Sources(registries, trust, NOW).find(RECORD.tag_id, RECORD.carrier_key_id)
    return found


@pytest.mark.parametrize("mirror", ["late mirror", "early mirror", "likely mirror"])
def test_a_strangers_log_neither_redates_nor_strips_a_record(collect: Collect, mirror: str) -> None:
    honest = find(collect("honest"))
    assert (honest.logged_at, honest.log_name, honest.log_key_id) == (AT, "honest", HERALD.key_id)
    assert honest.preview == RECORD.preview
    assert honest.binding == RECORD.binding
    assert find(collect(mirror, "honest")) == honest == find(collect("honest", mirror))
    stranger = collect(mirror)
    assert find(stranger, collect("honest", "archive")) == honest == find(collect("archive", "honest"), stranger)


def test_the_index_has_a_record_once_however_many_logs_have_it(collect: Collect) -> None:
    registry = collect("late mirror", "honest", "early mirror")
    assert registry.index(RECORD.carrier_key_id)[0] == [RECORD.tag_id]
    assert registry.phash_index()[0] == [RECORD.tag_id]
    assert registry.descriptor_index() == ([RECORD.tag_id], [RECORD.descriptors])
    assert registry.get(RECORD.tag_id).log_name == "late mirror"
    assert [row.log_name for row in registry.records()] == ["late mirror", "honest", "early mirror"]


def test_where_only_the_time_of_a_stranger_is_at_hand_it_is_a_mere_claim(collect: Collect) -> None:
    for names in permutations(("late mirror", "likely mirror")):
        row = find(collect(*names))
        assert row.logged_at == LATER
        check, source = check_record(row, TRUST, NOW)
        assert check.status == "verified"
        assert source is not None
        assert (source.log_standing, source.log_name, source.log_key_id) == ("unpinned", "late mirror", MALLORY.key_id)


def test_a_time_before_the_records_own_is_never_used(collect: Collect) -> None:
    row = find(collect("early mirror", "likely mirror"))
    assert row.log_name == "likely mirror"
    alone = find(collect("early mirror"))
    check, source = check_record(alone, TRUST, NOW)
    assert check.status == "verified"
    assert source is not None
    assert source.log_standing == "impossible"
    # Nor does it speak against the record: the pin covers the time at which it was made.
    verify_record(alone, TrustList().pin("The Herald", HERALD.key_id, "2026-01-01T00:00:00Z"), NOW)
    with pytest.raises(IssuerUntrusted):
        verify_record(alone, TrustList().pin("The Herald", HERALD.key_id, "2026-06-01T00:00:00Z"), NOW)


def test_the_issuers_own_log_goes_before_others_and_of_its_logs_the_latest_time(collect: Collect) -> None:
    assert find(collect("archive", "late mirror")).log_name == "archive"
    assert find(collect("honest", "archive")).log_name == "honest"
    for names in permutations(("honest", "second", "archive")):
        row = find(collect(*names))
        assert (row.log_name, row.logged_at, row.preview) == ("second", LATER, RECORD.preview)


@pytest.mark.parametrize(
    "trust",
    [
        TRUST.revoke(ARCHIVE.key_id, "compromise", AT),
        TRUST.pin("An Archive", ARCHIVE.key_id, "1970-01-01T00:00:00Z", MADE),
        TRUST.remove("An Archive", ARCHIVE.key_id),
        TRUST.remove("An Archive", ARCHIVE.key_id).pin("engine-plans", ARCHIVE.key_id),
    ],
    ids=["revoked", "window", "removed", "engine plans"],
)
def test_the_log_of_a_key_that_does_not_count_is_a_strangers_log(collect: Collect, trust: TrustList) -> None:
    row = find(collect("archive", "late mirror"), trust=trust)
    assert row.log_name == "late mirror"
    source = check_record(row, trust, NOW)[1]
    assert source is not None
    assert source.log_standing == "unpinned"


def test_a_forged_copy_in_another_registry_gives_nothing_to_the_genuine_entry(collect: Collect) -> None:
    """Registries that were not verified as a whole: an entry whose parts do not belong together is passed over."""
    registry = collect("archive")
    forged = replace(find(registry), preview=b"a doctored preview", log_key_id=HERALD.key_id, logged_at=AT)

    class Forged:
        def phash_index(self) -> object:
            return registry.phash_index()

        def all_of(self, tag_id: str) -> list[RegisteredRecord]:
            return [forged]

    for order in permutations((registry, Forged())):
        row = find(*order)  # type: ignore[arg-type]
        assert (row.log_name, row.log_key_id, row.preview) == ("archive", ARCHIVE.key_id, None)


def test_a_copy_under_an_invented_tag_id_does_not_silence_the_record_that_it_copies(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """A content lead, or a rival, must be found whatever other registry is at hand first."""
    pixels = rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)
    phash, _ = phash_pair(pixels)
    core = replace(make_core(HERALD, photograph="photo"), phash=f"{phash:016x}")
    record = sign_record(core, HERALD)
    with ExitStack() as stack:
        registries = []
        for name, tag in (("forged", "0" * 16), ("honest", tag_id(record.payload))):
            made = Registry.create(tmp_path / name, name, signer=MALLORY, at=AT)
            registries.append(stack.enter_context(made))
            submission = RecordSubmission(
                tag_id=tag,
                carrier_key_id=core.carrier_key_id,
                record=record,
                binding=None,
                public_key=HERALD.public_key,
                descriptors=RECORD.descriptors,
                preview=None,
            )
            made.append([submission], signer=MALLORY, at=AT, check_tag_ids=False)
        found = [Sources(order, TRUST, NOW).near(pixels, limit=4) for order in permutations(registries)]
    assert found[0] == found[1]
    assert [check_record(row, TRUST, NOW)[0].status for row in found[0]] == ["signature_invalid", "verified"]


def test_an_import_tells_of_other_times_and_impossible_ones(tmp_path: Path, bundles: Path) -> None:
    with Registry.create(tmp_path / "r.sqlite", "examiner", signer=EXAMINER, at=AT) as registry:
        first = registry.import_bundle(bundles / "late mirror", check_tag_ids=False)
        assert (first.added, first.already_present, first.further_entries, first.notes) == (1, 0, 0, ())
        genuine = registry.import_bundle(bundles / "honest", check_tag_ids=False)
        assert (genuine.added, genuine.already_present, genuine.further_entries) == (0, 1, 1)
        (note,) = genuine.notes
        for part in (RECORD.tag_id, "'late mirror'", MALLORY.key_id, "'honest'", HERALD.key_id, LATER, AT):
            assert part in note
        early = registry.import_bundle(bundles / "early mirror", check_tag_ids=False)
        assert any("impossible" in note and EARLIER in note and MADE in note for note in early.notes)
        again = registry.import_bundle(bundles / "honest", check_tag_ids=False)
        assert (again.added, again.already_present, again.further_entries, again.notes) == (0, 1, 0, ())


def test_all_entries_travel_on(collect: Collect, tmp_path: Path) -> None:
    registry = collect("late mirror", "honest")
    assert registry.export_bundle(tmp_path / "both") == ExportReport(records=1, entries=2)
    with Registry.create(tmp_path / "next.sqlite", "next", signer=EXAMINER, at=AT) as following:
        report = following.import_bundle(tmp_path / "both", check_tag_ids=False)
        assert (report.added, report.already_present, report.further_entries) == (1, 0, 1)
        assert (report.bundle.records, report.bundle.entries) == (1, 2)
        assert find(following) == find(registry)


def test_what_a_registry_holds_shows_in_its_state(collect: Collect) -> None:
    """The own log is empty in all of them, and each has one record."""
    states = [collect(name).state() for name in ("honest", "late mirror", "early mirror")]
    assert len(set(states)) == 3
    assert collect("honest", "archive").state() == collect("archive", "honest").state()
    assert any("honest" in line and HERALD.key_id in line for line in states[0])
