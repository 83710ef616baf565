"""A made-up case with every verdict, drawn from the sample pictures that come with scikit-image."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import skimage.data
import skimage.filters
import skimage.transform
from PIL import Image

from ftforensics.domain.case import GENESIS_HASH, CaseEvent, CaseHead, CaseView, RunInfo
from ftforensics.domain.evidence import DecodeInfo, EvidenceItem, IntakeFailure
from ftforensics.domain.link import (
    Artifact,
    Box,
    Finding,
    ReadingInfo,
    Registration,
    SignatureCheck,
    SourceRef,
    Survival,
    Verdict,
)
from ftforensics.domain.tag import DecodedTag, Geometry, MatchedTag, TagAbsence

CASE_ID = "7c1f0e52-5b0b-4f6e-9d3a-51c2a8e4b7d0"
HOSTILE_NAME = (
    "in/<script>alert(1)</script>\u202egnp.\u202c\n\x1b[31m\"'><img src=x onerror=alert(2)>=cmd|' /C calc'!A0.jpg"
)
HOSTILE_EXIF = {
    "Image ImageDescription": "</style><script>alert('exif')</script>",
    "Image Artist": "\u05d3\u05d5\u05d3 \u202eevil\u200b\u2066x",
    "EXIF UserComment": '"><svg/onload=alert(3)> {{ 7*7 }} {% raw %}',
    "Image Make<b>": "javascript:alert(4)",
}
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rgb(picture: Any) -> Pixels:
    array = np.asarray(picture)
    return np.stack([array] * 3, axis=-1) if array.ndim == 2 else array[..., :3]


def encode(picture: Pixels, kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, kind, **({"quality": 82} if kind == "JPEG" else {}))
    return out.getvalue()


def soft_mask(shape: tuple[int, ...], box: Box) -> Any:
    height, width = shape[:2]
    mask = np.zeros((height, width))
    mask[int(box.top * height) : int(box.bottom * height), int(box.left * width) : int(box.right * width)] = 1
    return skimage.filters.gaussian(mask, sigma=0.02 * width)


def alter(picture: Pixels, box: Box) -> Pixels:
    """Swirl the middle of the box: a stand-in for a manipulated face."""
    height, width = picture.shape[:2]
    centre = ((box.left + box.right) / 2 * width, (box.top + box.bottom) / 2 * height)
    swirled = skimage.transform.swirl(picture, center=centre, strength=2.2, radius=0.24 * width, preserve_range=True)
    mask = soft_mask(picture.shape, box)[..., None]
    return np.clip(picture * (1 - mask) + swirled * mask, 0, 255).astype(np.uint8)


def painted(strength: Any, colour_map: int) -> Any:
    return cv2.applyColorMap((strength * 255).astype(np.uint8), colour_map)[..., ::-1].astype(float)


def outlined(picture: Any, region: Any) -> Pixels:
    out = np.ascontiguousarray(picture.astype(np.uint8))
    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(out, contours, -1, (255, 255, 255), 2, cv2.LINE_AA)
    return out


def difference_overlay(picture: Pixels, other: Pixels) -> Pixels:
    change = skimage.filters.gaussian(np.abs(picture.astype(float) - other).mean(axis=2), sigma=8) / 255
    change = np.clip(change * 7, 0, 1)
    weight = np.clip(change * 1.6, 0, 0.85)[..., None]
    grey = picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return outlined(grey * (1 - weight) + painted(change, cv2.COLORMAP_INFERNO) * weight, change > 0.15)


def survival_overlay(picture: Pixels, box: Box | None, seed: int) -> Pixels:
    height, width = picture.shape[:2]
    noise = skimage.filters.gaussian(np.random.default_rng(seed).normal(size=(height, width)), sigma=12)
    strength = 0.75 + 4 * noise
    if box is not None:
        strength = strength * (1 - soft_mask(picture.shape, box))
    strength = np.clip(strength, 0, 1)
    grey = picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return outlined(0.45 * grey + 0.55 * painted(strength, cv2.COLORMAP_VIRIDIS), strength < 0.25)


class Gallery:
    """Pictures by content hash, thinned out to every ``step``-th pixel."""

    def __init__(self, step: int) -> None:
        self.files: dict[str, bytes] = {}
        self.step = step

    def add(self, role: str, picture: Pixels, kind: str = "JPEG") -> Artifact:
        picture = np.ascontiguousarray(picture[:: self.step, :: self.step])
        content = encode(picture, kind)
        name = hashlib.sha256(content).hexdigest()
        self.files[name] = content
        height, width = picture.shape[:2]
        return Artifact(role=role, sha256=name, media_type=f"image/{kind.lower()}", width_px=width, height_px=height)


def source_ref(
    name: str, *, issuer: str = "Northlight Picture Agency", log_index: int = 4217, **changes: Any
) -> SourceRef:
    values: dict[str, Any] = {
        "tag_id": digest(name)[:16],
        "issuer": issuer,
        "key_id": "ed25519:" + digest(issuer),
        "record_sha256": digest("record " + name),
        "source_sha256": digest("source " + name),
        "tagged_sha256": digest("tagged " + name),
        "log_index": log_index,
        "logged_at": "2026-03-14T09:26:53Z",
        "created": "2026-03-14T09:26:12Z",
        "rights": "© 2026 Northlight Picture Agency, editorial use",
        "contact": "desk@northlight.example",
    }
    return SourceRef(**(values | changes))


def check_of(source: SourceRef, status: str = "verified", message: str = "") -> SignatureCheck:
    return SignatureCheck(
        status=status,
        issuer=source.issuer,
        key_id=source.key_id,
        record_sha256=source.record_sha256,
        log_index=source.log_index,
        time=source.logged_at,
        message=message,
    )


def match_of(source: SourceRef, *, z: float = 10.62, runner_up_z: float = 3.41, mode: Any = "direct") -> MatchedTag:
    e_value = 1_204_318 * 34 * float(np.exp(-(z**2) / 2))
    return MatchedTag(
        tag_id=source.tag_id,
        carrier_key_id="carrier:" + digest("carrier")[:32],
        z=z,
        runner_up_z=runner_up_z,
        e_value=e_value,
        e_case=e_value * 14,
        records=1_204_318,
        hypotheses=34,
        bit_agreement=124 / 128 if z > 8 else 101 / 128,
        symbols_corrected=2 if z > 8 else None,
        erasures=1 if z > 8 else None,
        geometry=Geometry(
            mode=mode,
            matrix=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0) if mode == "direct" else (-1.33, 0.02, 1.1, 0.01, 1.31, -0.2),
            sync_peak=21.7,
        ),
    )


def registration_of(changed: float | None, *boxes: Box, against: str = "preview") -> Registration:
    return Registration(
        inliers=412,
        matches=538,
        inlier_ratio=412 / 538,
        homography=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        against=against,
        overlap_fraction=0.987,
        changed_fraction=changed,
        changed_regions=boxes,
    )


READING = ReadingInfo(
    model="ftf-128-a",
    weights_sha256=digest("weights"),
    backend="onnxruntime-cpu",
    precision="float32",
    presence=0.994,
    sync_peak=21.7,
    search="blind",
)
FACE = Box(left=0.33, top=0.08, right=0.55, bottom=0.42)
KINSHIP = (
    "A link proves kinship, not direction: it does not show which of the two pictures came first. Direction comes from "
    "trusted times and from people."
)
SAME_SCENE = "A tag moved to another frame of the same scene lines up too and cannot be told apart by this method"
LOG_CLAIM = "The log time is the word of the registry's operator unless an independent time stamp supports it"
TONAL = "A change of colour or light alone, or one smaller than half a percent of the picture, can go unnoticed"


def evidence_of(path: str, **changes: Any) -> EvidenceItem:
    values: dict[str, Any] = {
        "path": path,
        "path_b64": base64.b64encode(path.encode("utf-8", "surrogateescape")).decode(),
        "size_bytes": 218_404,
        "mtime": "2026-11-02T07:15:31Z",
        "sha256": digest("file " + path),
        "media_type": "image/jpeg",
        "ext_mismatch": False,
        "decode": DecodeInfo(codec="JPEG", mode="RGB", width_px=1536, height_px=1536, icc=digest("sRGB")),
        "exif": {
            "Image Make": "NIKON CORPORATION",
            "Image Model": "NIKON Z 8",
            "EXIF DateTimeOriginal": "2026:03:12 16:41:07",
            "EXIF ExposureTime": "1/250",
            "EXIF FNumber": "2.8",
            "EXIF LensModel": "NIKKOR Z 85mm f/1.8 S",
            "Image Software": "Adobe Photoshop 27.1 (Macintosh)",
        },
        "acquired_at": "2026-11-01T18:00:00Z",
    }
    return EvidenceItem(**(values | changes))


def finding_of(seq: int, verdict: Verdict, path: str, **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "seq": seq,
        "case_id": CASE_ID,
        "exhibit_id": f"E{seq:04d}",
        "evidence": evidence_of(path),
        "verdict": verdict,
        "reasons": (),
        "limitations": (KINSHIP, SAME_SCENE, LOG_CLAIM, TONAL),
        "reading": READING,
    }
    return Finding(**(values | changes))


def linked(
    seq: int,
    verdict: Verdict,
    path: str,
    gallery: Gallery,
    source: SourceRef,
    pictures: dict[str, Pixels],
    **changes: Any,
) -> Finding:
    kinds = {"survival": "PNG", "difference": "PNG"}
    values: dict[str, Any] = {
        "source": source,
        "signature": check_of(source),
        "tag": match_of(source),
        "registration": registration_of(0.0),
        "survival": Survival(surviving_fraction=0.962, inside=None, outside=0.61),
        "artifacts": tuple(gallery.add(role, picture, kinds.get(role, "JPEG")) for role, picture in pictures.items()),
    }
    return finding_of(seq, verdict, path, **(values | changes))


def build_findings(gallery: Gallery) -> tuple[Finding, ...]:
    astronaut, coffee = rgb(skimage.data.astronaut()), rgb(skimage.data.coffee())
    cat, camera, rocket = rgb(skimage.data.chelsea()), rgb(skimage.data.camera()), rgb(skimage.data.rocket())
    return (
        _derivative(1, "press/candidate_statement.jpg", gallery, astronaut),
        linked(
            2,
            Verdict.VERIFIED_MATCH,
            "press/cafe.jpg",
            gallery,
            source_ref("coffee", log_index=4401),
            {
                "suspect": coffee,
                "source": coffee,
                "difference": difference_overlay(coffee, coffee),
                "survival": survival_overlay(coffee, None, 2),
            },
            tag=match_of(source_ref("coffee"), z=9.87, runner_up_z=4.02, mode="blind"),
            reasons=(
                "tag read with e_case 4 × 10⁻¹³",
                "the content lines up in 412 points",
                "no changed region was found",
            ),
        ),
        _transplant(3, gallery, cat, camera),
        linked(
            4,
            Verdict.RECORD_POSTDATES_EXHIBIT,
            "social/rocket_repost.jpg",
            gallery,
            source_ref("rocket", issuer="Harbour Daily", log_index=9120, logged_at="2026-11-09T22:10:44Z"),
            {"suspect": rocket, "source": rocket},
            reasons=("the record was logged eight days after the exhibit was in hand",),
        ),
        linked(
            5,
            Verdict.TAG_UNCONFIRMED,
            "social/crop.jpg",
            gallery,
            source_ref("astronaut"),
            {"suspect": np.ascontiguousarray(astronaut[300:440, 20:160]), "source": astronaut},
            registration=None,
            survival=None,
            reasons=("only 6 of 31 points line up; 15 are needed",),
            tag=match_of(source_ref("astronaut"), z=8.03, runner_up_z=4.4, mode="deep"),
        ),
        _conflict(6, gallery, coffee),
        *_distrusted(7, gallery, cat, rocket, camera),
        finding_of(
            10,
            Verdict.TAG_UNREGISTERED,
            "social/unknown.webp",
            tag=DecodedTag(
                tag_id=digest("unknown")[:16],
                carrier_key_id="carrier:" + digest("carrier")[:32],
                symbols_corrected=1,
                erasures=0,
                false_accept_p=4.4e-13,
                geometry=Geometry(mode="direct"),
            ),
            artifacts=(gallery.add("suspect", cat),),
            reasons=("a full code word was decoded with one correction",),
        ),
        _lead(11, gallery, astronaut),
        finding_of(
            12,
            Verdict.NO_TAG_READ,
            "social/camera.png",
            reading=READING,
            tag=TagAbsence(reason="not_present", presence=0.03, best_z=3.12),
            artifacts=(gallery.add("suspect", camera),),
            reasons=("no synchronisation pattern was found",),
            limitations=("a tag can be destroyed; no tag read never means authentic",),
        ),
        finding_of(
            13,
            Verdict.UNREADABLE,
            "inbox/IMG_0044.heic",
            evidence=evidence_of("inbox/IMG_0044.heic", decode=None, exif={}, size_bytes=48, media_type="image/heic"),
            reading=None,
            limitations=("the file was not examined",),
            error=IntakeFailure(
                stage="decode",
                type="EvidenceUnreadable",
                message="the file ends before its picture does: IMG_0044.heic; obtain it again",
            ),
        ),
        _hostile(14, gallery, cat),
    )


def _derivative(seq: int, path: str, gallery: Gallery, photograph: Pixels) -> Finding:
    fake = alter(photograph, FACE)
    return linked(
        seq,
        Verdict.VERIFIED_DERIVATIVE,
        path,
        gallery,
        source_ref("astronaut"),
        {
            "suspect": fake,
            "source": photograph,
            "difference": difference_overlay(fake, photograph),
            "survival": survival_overlay(fake, FACE, 1),
        },
        registration=registration_of(0.0714, FACE, Box(left=0.61, top=0.44, right=0.66, bottom=0.48)),
        survival=Survival(surviving_fraction=0.884, inside=0.04, outside=0.63),
        reasons=(
            "the tag was read with e_case 3 × 10⁻¹⁶, under the limit of 10⁻⁶",
            "the record verifies under the pinned key of Northlight Picture Agency",
            "412 of 538 points line up with the registered photograph",
            "the tag is absent where the content differs and present elsewhere, as replacing pixels would leave it",
        ),
        extra={"c2pa": {"present": False}},
    )


def _transplant(seq: int, gallery: Gallery, cat: Pixels, camera: Pixels) -> Finding:
    return linked(
        seq,
        Verdict.TAG_TRANSPLANT_SUSPECTED,
        "social/cat.png",
        gallery,
        source_ref("camera", log_index=310),
        {"suspect": cat, "source": camera, "survival": survival_overlay(cat, None, 3)},
        registration=None,
        survival=Survival(surviving_fraction=0.97, inside=0.58, outside=0.6),
        reasons=("the content does not line up with the registered photograph", "the tag is equally strong everywhere"),
    )


def _conflict(seq: int, gallery: Gallery, coffee: Pixels) -> Finding:
    late = source_ref("coffee two", issuer="Harbour Daily", log_index=7002, logged_at="2026-08-30T11:01:02Z")
    return linked(
        seq,
        Verdict.CONFLICT,
        "press/cafe_mirror.jpg",
        gallery,
        late,
        {"suspect": np.ascontiguousarray(coffee[:, ::-1]), "source": coffee},
        other_sources=(source_ref("coffee", log_index=4401),),
        reasons=("two records with near-identical fingerprints claim this picture",),
    )


def _distrusted(seq: int, gallery: Gallery, cat: Pixels, rocket: Pixels, camera: Pixels) -> list[Finding]:
    unknown = source_ref("cat", issuer="Photo Desk 24", log_index=51)
    revoked = source_ref("rocket two", issuer="Harbour Daily", log_index=88)
    forged = source_ref("camera two", log_index=99)
    cases = (
        (Verdict.ISSUER_UNTRUSTED, unknown, "issuer_untrusted", "no pinned key has this fingerprint", cat),
        (Verdict.KEY_REVOKED, revoked, "key_revoked", "revoked for compromise on 2026-02-01", rocket),
        (Verdict.SIGNATURE_INVALID, forged, "signature_invalid", "the Ed25519 signature does not verify", camera),
    )
    return [
        linked(
            seq + place,
            verdict,
            f"social/doubt_{place}.jpg",
            gallery,
            source,
            {"suspect": picture},
            signature=check_of(source, status, message),
            registration=None,
            survival=None,
            reasons=(message,),
        )
        for place, (verdict, source, status, message, picture) in enumerate(cases)
    ]


def _lead(seq: int, gallery: Gallery, astronaut: Pixels) -> Finding:
    return linked(
        seq,
        Verdict.CONTENT_LEAD,
        "social/blurred.jpg",
        gallery,
        source_ref("astronaut"),
        {"suspect": (skimage.filters.gaussian(astronaut, sigma=2, channel_axis=2) * 255).astype(np.uint8)},
        tag=TagAbsence(reason="present_unreadable", presence=0.41, best_z=5.02),
        registration=registration_of(None, against="descriptors"),
        survival=None,
        reasons=("the content lines up with the descriptors in the record",),
    )


def _hostile(seq: int, gallery: Gallery, cat: Pixels) -> Finding:
    box = Box(left=0.3, top=0.2, right=0.7, bottom=0.7)
    fake = alter(cat, box)
    issuer = "</td><script>alert('issuer')</script>\u202eycnegA"
    source = source_ref(
        "hostile", issuer=issuer, rights="<b onmouseover=alert(5)>all</b>", contact="javascript:alert(6)"
    )
    return linked(
        seq,
        Verdict.VERIFIED_DERIVATIVE,
        HOSTILE_NAME,
        gallery,
        source,
        {
            "suspect": fake,
            "source": cat,
            "difference": difference_overlay(fake, cat),
            "survival": survival_overlay(fake, box, 4),
        },
        evidence=evidence_of(HOSTILE_NAME, exif=HOSTILE_EXIF, ext_mismatch=True, media_type="image/png"),
        registration=registration_of(0.19, box),
        reasons=(f"the record verifies under the pinned key of {issuer}",),
    )


def build_events(findings: tuple[Finding, ...]) -> tuple[CaseEvent, ...]:
    events: list[CaseEvent] = []

    def add(kind: str, body: dict[str, Any]) -> None:
        seq = len(events)
        previous = events[-1].hash if events else GENESIS_HASH
        at = f"2026-11-23T14:{seq // 60:02d}:{seq % 60:02d}Z"
        fields = {"seq": seq, "previous_hash": previous, "kind": kind, "body": body, "actor": "R. Okafor", "at": at}
        events.append(CaseEvent(hash=digest(json.dumps(fields, sort_keys=True)), **fields))  # type: ignore[arg-type]

    add("case_opened", {"title": "Statement video stills"})
    add("run_started", {"run_id": "run-0001", "purpose": "trace the sources of circulated stills"})
    for finding in findings:
        add(
            "exhibit_acquired",
            {"exhibit_id": finding.exhibit_id, "path": finding.evidence.path, "sha256": finding.evidence.sha256},
        )
        add("exhibit_read", {"exhibit_id": finding.exhibit_id})
        item = {"path_b64": finding.evidence.path_b64, "sha256": finding.evidence.sha256}
        add("finding", {"exhibit_id": finding.exhibit_id, "verdict": str(finding.verdict)} | item)
    add("run_finished", {"run_id": "run-0001"})
    return tuple(events)


def with_events(view: CaseView, *bodies: dict[str, Any], kind: str = "exhibit_rehashed") -> CaseView:
    """The same case with further events and a head over them."""
    events = list(view.events)
    for body in bodies:
        last = events[-1]
        hash_ = digest(last.hash + json.dumps(body, sort_keys=True))
        events.append(replace(last, seq=last.seq + 1, previous_hash=last.hash, kind=kind, body=body, hash=hash_))
    head = replace(view.head, count=len(events), head_hash=events[-1].hash)
    return replace(view, events=tuple(events), head=head)


def with_altered(view: CaseView, exhibit_id: str, after: str | None) -> CaseView:
    """The same case, with an exhibit that was not the same at the end of the scan."""
    before = next(one.evidence.sha256 for one in view.findings if one.exhibit_id == exhibit_id)
    total = {"checked": len(view.findings), "altered": 1, "purpose": "evidence hashed again at the end of the run"}
    return with_events(view, {"exhibit_id": exhibit_id, "sha256_before": before, "sha256_after": after}, total)


RUN = RunInfo(
    run_id="run-0001",
    started_at="2026-11-23T14:00:01Z",
    ended_at="2026-11-23T14:00:44Z",
    tool_version="0.1.0",
    argv=("ftf", "scan", "exhibits", "--case", "statement stills", "--examiner", "R. Okafor"),
    machine={"os": "Linux 6.8", "cpu": "AMD EPYC 7763", "gpu": "none", "onnxruntime": "1.32.0"},
    model={"model_id": "ftf-128-a", "weights_sha256": digest("weights"), "format_version": "1"},
    examiner="R. Okafor",
    counts={"seen": 14, "ok": 13, "failed": 1, "skipped": 0},
    trust_list_sha256=digest("trust list"),
    registry_checkpoint="northlight.example/log 1204318 " + digest("root"),
    config={"search": "blind", "timeout_s": 30},
)


@cache
def sample_view(step: int = 4) -> CaseView:
    """Every verdict, an unreadable file, and one exhibit with hostile text in what evidence and registry fill."""
    gallery = Gallery(step)
    findings = build_findings(gallery)
    events = build_events(findings)
    return CaseView(
        case_id=CASE_ID,
        name="statement stills",
        title="Stills of the candidate's statement, circulated October 2026",
        examiner="R. Okafor",
        created_at="2026-11-23T14:00:00Z",
        findings=findings,
        events=events,
        runs=(RUN,),
        head=CaseHead(case_id=CASE_ID, count=len(events), head_hash=events[-1].hash, at="2026-11-23T14:00:44Z"),
        head_key_id="ed25519:" + digest("examiner"),
        head_verified=True,
        integrity_notes=("no expected head was given: a rollback to an earlier head is not excluded",),
        artifacts=gallery.files,
    )
