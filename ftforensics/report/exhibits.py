"""One finding as the report shows it: a section with its pictures, sentences and tables, ready for the template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ftforensics.domain.evidence import EvidenceItem
from ftforensics.domain.link import Finding, SourceRef, Verdict
from ftforensics.report.facts import Fact, fact, mapping_facts, present, sentences
from ftforensics.report.further import FurtherBlock, build_further, region_text
from ftforensics.report.pictures import Picture, Thumbnail, build_pictures, build_thumbnail
from ftforensics.report.quantities import count, file_size, utc
from ftforensics.report.statistics import EvidenceScale, Statistic, build_scale, build_statistics, e_case_text
from ftforensics.report.visible import is_plain
from ftforensics.report.wording import (
    NOT_ATTRIBUTED,
    SIGNATURE_TEXTS,
    STAGE_TEXTS,
    VerdictText,
    finding_sentence,
    log_text,
    log_time_note,
    verdict_text,
)

MAX_EXIF_ROWS = 48
MAX_REGIONS = 8
_QUIET = frozenset({Verdict.NO_TAG_READ, Verdict.UNREADABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPanel:
    """One registered record that an exhibit points to."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhibitSection:
    """All that the template shows of one finding. ``quiet`` sections have nothing to compare and are set small."""

    anchor: str
    exhibit_id: str
    path: str
    verdict: str
    text: VerdictText
    sentence: str
    quiet: bool
    thumbnail: Thumbnail | None
    pictures: dict[str, Picture]
    preview_missing: bool
    outlined_by_network: bool
    reasons: tuple[str, ...]
    limitations: tuple[str, ...]
    error: tuple[Fact, ...]
    records: tuple[RecordPanel, ...]
    place: str
    further: tuple[FurtherBlock, ...]
    regions: tuple[str, ...]
    statistics: tuple[Statistic, ...]
    scale: EvidenceScale | None
    file: tuple[Fact, ...]
    reading: tuple[Fact, ...]
    exif: tuple[Fact, ...]
    exif_left_out: int
    other: tuple[Fact, ...]
    sha256: str
    issuer: str
    tag_id: str
    source_note: str
    e_case: str
    altered: str


def build_exhibit(
    finding: Finding, artifacts: Mapping[str, bytes], *, number: int, shown_id: str, altered: str = ""
) -> ExhibitSection:
    """Lay out one finding.

    ``number`` counts from 1 and names the section's anchor, ``shown_id`` is the id in short, and ``altered`` says how
    the evidence changed.
    """
    pictures = build_pictures(finding, artifacts)
    exif = mapping_facts(finding.evidence.exif)
    source = finding.source
    return ExhibitSection(
        anchor=f"exhibit-{number}",
        exhibit_id=shown_id,
        path=finding.evidence.path,
        verdict=str(finding.verdict),
        text=verdict_text(finding.verdict),
        sentence=finding_sentence(finding),
        quiet=finding.verdict in _QUIET,
        thumbnail=build_thumbnail(pictures.get("suspect"), artifacts),
        pictures=pictures,
        preview_missing=source is not None and "source" not in pictures,
        outlined_by_network=finding.survival is not None and finding.survival.localiser_sha256 is not None,
        reasons=sentences(finding.reasons),
        limitations=sentences(finding.limitations),
        error=_error_facts(finding),
        records=_record_panels(finding),
        place="" if finding.region is None else region_text(finding.region),
        further=build_further(finding, pictures),
        regions=_region_texts(finding),
        statistics=build_statistics(finding),
        scale=build_scale(finding),
        file=(*present(fact("Exhibit id", finding.exhibit_id, "hash")), *_file_facts(finding.evidence)),
        reading=_reading_facts(finding),
        exif=exif[:MAX_EXIF_ROWS],
        exif_left_out=max(0, len(exif) - MAX_EXIF_ROWS),
        other=mapping_facts(finding.extra),
        sha256=finding.evidence.sha256,
        issuer=source.issuer if source is not None else "",
        tag_id=source.tag_id if source is not None else "",
        source_note=_source_note(finding),
        e_case=e_case_text(finding),
        altered=altered,
    )


def _source_note(finding: Finding) -> str:
    if finding.source is None:
        return ""
    if finding.verdict is Verdict.CONFLICT:
        return f"and {count(len(finding.other_sources))} more; no winner declared"
    if finding.verdict in NOT_ATTRIBUTED:
        return "not attributed"
    return {
        Verdict.CONTENT_LEAD: "a lead only",
        Verdict.TAG_UNCONFIRMED: "tag only",
    }.get(finding.verdict, "")


def _error_facts(finding: Finding) -> tuple[Fact, ...]:
    error = finding.error
    if error is None:
        return ()
    (message,) = sentences([error.message]) or ("No message was given.",)
    return present(
        fact("What happened", message, "raw"),
        fact("While", STAGE_TEXTS.get(error.stage, error.stage)),
        fact("Kind of error", error.type),
    )


def _record_panels(finding: Finding) -> tuple[RecordPanel, ...]:
    signature = _signature_facts(finding)
    if finding.source is None:
        return (RecordPanel(title="Signature and issuer", facts=signature),) if signature else ()
    if not finding.other_sources:
        record = _record_facts(finding.source)
        shown = {one.value for one in record}
        facts = tuple(one for one in signature if one.value not in shown) + record
        return (RecordPanel(title="Signature, issuer and registered record", facts=facts),)
    claims = sorted((finding.source, *finding.other_sources), key=lambda ref: (ref.log_index, ref.record_sha256))
    panels = [RecordPanel(title="Signature checked", facts=signature)] if signature else []
    panels += [
        RecordPanel(title=f"Record {place} of {len(claims)}, by place in the log", facts=_record_facts(ref))
        for place, ref in enumerate(claims, start=1)
    ]
    return tuple(panels)


def _record_facts(source: SourceRef) -> tuple[Fact, ...]:
    return present(
        fact("Issuer", source.issuer, "raw"),
        fact("Key fingerprint", source.key_id, "hash"),
        fact("Record created", utc(source.created)),
        fact("Log entry", count(source.log_index)),
        fact("Log time", utc(source.logged_at), note=log_time_note(source)),
        fact("Log", log_text(source), "raw"),
        fact("Log key fingerprint", source.log_key_id or None, "hash"),
        fact("Tag id", source.tag_id, "hash"),
        fact("Record SHA-256", source.record_sha256, "hash"),
        fact("Original file SHA-256", source.source_sha256, "hash"),
        fact("Tagged file SHA-256", source.tagged_sha256, "hash"),
        fact("Rights", source.rights, "raw"),
        fact("Contact", source.contact, "raw"),
    )


def _signature_facts(finding: Finding) -> tuple[Fact, ...]:
    check = finding.signature
    if check is None:
        return ()
    return present(
        fact("Signature", SIGNATURE_TEXTS.get(check.status, check.status)),
        fact("Details", check.message, "raw"),
        fact("Issuer", check.issuer, "raw"),
        fact("Key fingerprint", check.key_id, "hash"),
        fact("Record SHA-256", check.record_sha256, "hash"),
        fact("Log entry", count(check.log_index) if check.log_index is not None else None),
        fact("Log time", utc(check.time) if check.time else None, note=log_time_note(finding.source)),
    )


def _region_texts(finding: Finding) -> tuple[str, ...]:
    if finding.registration is None:
        return ()
    regions = finding.registration.changed_regions
    texts = [region_text(box) for box in regions[:MAX_REGIONS]]
    if len(regions) > MAX_REGIONS:
        texts.append(f"and {count(len(regions) - MAX_REGIONS)} smaller regions")
    return tuple(texts)


def _file_facts(evidence: EvidenceItem) -> tuple[Fact, ...]:
    decode = evidence.decode
    mismatch = "does not fit the file's extension" if evidence.ext_mismatch else ""
    exact = "" if is_plain(evidence.path) and "\\" not in evidence.path else evidence.path_b64
    facts = present(
        fact("Path", evidence.path, "raw"),
        fact("Exact path, base64", exact, "hash", note="the name holds characters that cannot be shown as they are"),
        fact("SHA-256", evidence.sha256, "hash"),
        fact("Size", file_size(evidence.size_bytes)),
        fact("Type by content", evidence.media_type, note=mismatch),
        fact("File time", utc(evidence.mtime) if evidence.mtime else None, note="a claim of the file system"),
        fact(
            "In hand since", utc(evidence.acquired_at) if evidence.acquired_at else None, note="stated by the examiner"
        ),
    )
    if decode is None:
        return facts
    turned = f"EXIF orientation {decode.orientation}, applied before reading" if decode.orientation != 1 else ""
    frames = f"{count(decode.frames)} frames; the first was read" if decode.frames > 1 else None
    return facts + present(
        fact(
            "Picture",
            f"{count(decode.width_px)} × {count(decode.height_px)} px, {decode.codec}, {decode.mode}",
            note=turned,
        ),
        fact("Frames", frames),
        fact("ICC profile SHA-256", decode.icc, "hash"),
    )


def _reading_facts(finding: Finding) -> tuple[Fact, ...]:
    reading, survival = finding.reading, finding.survival
    if reading is None:
        return ()
    return present(
        fact("Model", reading.model),
        fact("Weights SHA-256", reading.weights_sha256, "hash"),
        fact("Pair reader SHA-256", reading.pair_reader_sha256, "hash"),
        fact("Simulator SHA-256", reading.simulator_sha256, "hash"),
        fact("Localiser SHA-256", None if survival is None else survival.localiser_sha256, "hash"),
        fact("Run by", f"{reading.backend}, {reading.precision}"),
        fact("Search allowed", reading.search),
        fact("Carrier key", getattr(finding.tag, "carrier_key_id", None), "hash"),
    )
