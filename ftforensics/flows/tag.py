"""Tag photographs: shape and add the tag, write the same kind of file, read it back from disk, register it.

Enters: photographs and an issuer's keys. Leaves: tagged files beside registered, signed records. Order of a
photograph's steps: record and tag id, embedding, a hidden file that is read back from disk, signatures and the
registry's log in one transaction, and only then the file's final name. A power cut between the last two leaves a
record without a file, never a file without a record. What was tagged before a stop is known again by the hashes that
its record signs.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec import channel
from ftforensics.codec.carriers import build_sync_carrier
from ftforensics.domain.record import BindingStatement, RecordCore, RegisteredRecord, SignedEnvelope
from ftforensics.domain.tag import DEFAULT_PSNR_DB
from ftforensics.engine.informed import InformedSettings
from ftforensics.engine.reader import Embedder, Reader
from ftforensics.engine.ring import RingKey
from ftforensics.errors import (
    AlreadyExists,
    EvidenceError,
    EvidenceUnreadable,
    LinkError,
    ModeUnsupported,
    StoreError,
    TrustError,
    WriteFailed,
)
from ftforensics.flows.embedding import make_planes, read_back
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.imaging.quality import Quality, compare
from ftforensics.imaging.resample import Pixels, fit_within
from ftforensics.link import fingerprint
from ftforensics.link.index import ContentIndex
from ftforensics.link.register import register
from ftforensics.media.container import Photo, SavedFile, list_dropped, load_photo, save_like
from ftforensics.media.writing import list_unfinished, name_unfinished
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission, verify_parts
from ftforensics.trust import record as records
from ftforensics.trust.keys import Signer
from ftforensics.trust.log_times import choose_entry
from ftforensics.trust.trustlist import TrustList

READ_PX = 1024
SMALLEST_PX = 128
# Registered only if reading back is this clear; sqrt(128) = 11.3 is the most there is.
KEEP_Z = 8.5
PSNR_STEPS_DB = (0.0, -1.5, -3.0)
NEAR_DUPLICATE_BITS = 10
MOSTLY = 0.5
SHOWN_OF_A_KEY = len("ed25519:") + 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who tags and under what terms."""

    name: str
    signer: Signer
    rights: str = ""
    contact: str = ""
    policy: str = ""
    keep_preview: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSettings:
    """``psnr_db`` is aimed at; a picture whose tag cannot be read back is tried again up to 3 dB stronger."""

    psnr_db: float = DEFAULT_PSNR_DB
    informed: InformedSettings | None = field(default_factory=InformedSettings)
    clobber: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """One tagged photograph. ``residual`` compares before the container's coding, ``written`` the file itself.

    ``left_out`` says what the source holds that the tagged file does not, ``warnings`` all that is worth telling.
    """

    source: Path
    path: Path
    tag_id: str
    record_sha256: str
    tagged_sha256: str
    log_index: int
    z: float
    residual: Quality
    written: Quality
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyTagged:
    """A photograph whose tagged file is in its place already, under a record of this registry's own log."""

    source: Path
    path: Path
    tag_id: str
    log_index: int


class Tagger:
    """Tags photographs for one issuer under one carrier key into one registry.

    Args:
        issuer: Who signs.
        key: The carrier key.
        registry: Open for writing; its log key must be the issuer's.
        reader: Reads back what was written.
        embedder: The reader's gradient; None embeds plainly (``--fast``).
        settings: Strength and policy.
        now: The clock, UTC ISO 8601.
        draw: Source of nonces; the operating system's generator by default.
    """

    def __init__(
        self,
        *,
        issuer: Issuer,
        key: RingKey,
        registry: Registry,
        reader: Reader,
        embedder: Embedder | None,
        settings: TagSettings,
        now: Callable[[], str],
        draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._issuer, self._key, self._registry = issuer, key, registry
        self._reader, self._embedder, self._settings = reader, embedder, settings
        self._now, self._draw = now, draw
        self._sync = build_sync_carrier(reader.card.model_id)
        self._index = ContentIndex(*registry.phash_index())
        self._tagged_files: dict[str, str] | None = None

    def recall(self, path: Path, out_path: Path) -> AlreadyTagged | None:
        """The record under which ``out_path`` is ``path``, tagged already by this issuer on these terms.

        None where it is anything else, where there is nothing, and where clobber asks for a new one.

        Raises:
            StoreError, SignatureInvalid: The registry was altered.
        """
        if self._settings.clobber:
            return None
        try:
            if not (out_path.is_file() and path.is_file()):
                return None
            source_sha256, tagged_sha256 = _hash_file(path), _hash_file(out_path)
        except OSError:  # tag() tells
            return None
        if self._tagged_files is None:
            self._tagged_files = self._registry.tagged_files()
        tag_id = self._tagged_files.get(tagged_sha256)
        if tag_id is None:
            return None
        for row in self._registry.all_of(tag_id):
            if row.carrier_key_id == self._key.key_id:
                core = verify_parts(row, check_tag_id=False)
                if core.source_sha256 == source_sha256 and self._has_these_terms(core):
                    return AlreadyTagged(source=path, path=out_path, tag_id=tag_id, log_index=row.log_index)
        return None

    def _has_these_terms(self, core: RecordCore) -> bool:
        issuer = self._issuer
        return (core.issuer, core.key_id, core.rights, core.contact, core.policy, core.preview_sha256 is not None) == (
            *(issuer.name, issuer.signer.key_id, issuer.rights, issuer.contact, issuer.policy, issuer.keep_preview),
        )

    def tag(self, path: Path, out_path: Path) -> Tagged:
        """Tag one photograph.

        Raises:
            EvidenceError: It cannot be read, written back as its kind, or its tag cannot be read back.
            AlreadyExists: ``out_path`` is there and clobber is off.
            WriteFailed: Disk full or not permitted; nothing half-written is left.
            TrustError, StoreError: Signing or registering failed; no file is left.
        """
        self._check_target(path, out_path)
        photo = load_photo(path)
        if min(photo.pixels.shape[:2]) < SMALLEST_PX:
            raise ModeUnsupported(
                f"The photograph is {photo.pixels.shape[1]} x {photo.pixels.shape[0]} px; tags need {SMALLEST_PX} px "
                "a side",
                subject=str(path),
                remedy="tag a larger version of it",
            )
        print_ = fingerprint.build(photo.srgb)
        left_out = list_dropped(photo)
        warnings = [f"left out of the tagged file: {what}" for what in left_out]
        warnings += self._near_duplicates(photo.srgb)
        envelope, tag_id = self._sign_new_record(photo, print_)
        temporary = name_unfinished(out_path)
        try:
            saved, again, z, residual = self._embed(photo, tag_id, temporary, warnings)
            binding = self._sign_binding(tag_id, envelope, saved, again)
            written = compare(photo.pixels, again.pixels)
            with _uninterrupted():
                row = self._registry.append(
                    [self._submission(tag_id, envelope, binding, print_)], signer=self._issuer.signer, at=self._now()
                )[0]
                _rename(temporary, out_path)
        except (WriteFailed, EvidenceError) as exc:
            if exc.subject != str(temporary):
                raise
            raise type(exc)(exc.what, subject=str(out_path), remedy=exc.remedy) from exc
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return Tagged(
            source=path,
            path=out_path,
            tag_id=tag_id,
            record_sha256=records.record_sha256(envelope.payload),
            tagged_sha256=saved.sha256,
            log_index=row.log_index,
            z=z,
            residual=residual,
            written=written,
            left_out=left_out,
            warnings=tuple(warnings),
        )

    def _check_target(self, path: Path, out_path: Path) -> None:
        try:
            if path.resolve() == out_path.resolve():
                raise AlreadyExists(
                    "the tagged file would replace its source", subject=str(path), remedy="choose another --out"
                )
            if out_path.exists() and not self._settings.clobber:
                raise AlreadyExists(
                    "a file is there already, and it is not this photograph as it was tagged on these terms",
                    subject=str(out_path),
                    remedy="give --clobber to replace it",
                )
            out_path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                out_path.lstat()  # now that the folder is there, it says whether it takes such a name
        except (OSError, RuntimeError) as exc:  # RuntimeError: links that go round in circles
            reason = getattr(exc, "strerror", None) or exc
            raise WriteFailed(
                f"The tagged file cannot be put there ({reason})",
                subject=str(out_path),
                remedy="choose another --out, or a shorter name",
            ) from exc

    def _near_duplicates(self, pixels: Pixels) -> list[str]:
        """Sentences about records whose content registers to this picture: someone may have registered it before."""
        found = []
        small = fit_within(pixels, READ_PX)
        leads = self._index.nearest(pixels, limit=3, max_distance_bits=NEAR_DUPLICATE_BITS)
        for tag_id in dict.fromkeys(lead.tag_id for lead in leads):
            try:
                for row in self._records_of(tag_id):
                    found += _compare_content(small, row)
            except (StoreError, TrustError) as exc:
                # Anybody's record may be here, and a bad one is no reason not to tag a photograph of one's own.
                found.append(
                    f"the record of tag {tag_id} may claim this content, but cannot be read and was not compared with "
                    f"it ({exc.what}); check the registry with 'ftf registry verify'"
                )
        return found

    def _records_of(self, tag_id: str) -> list[RegisteredRecord]:
        """The records of a tag id, each once: as the registry's own log has it, or else as the latest of others."""
        entries: dict[tuple[str, bytes], list[RegisteredRecord]] = {}
        for row in self._registry.all_of(tag_id):
            entries.setdefault((row.carrier_key_id, row.record.payload), []).append(row)
        own = TrustList().pin(self._issuer.name, self._registry.log_key_id)
        now = self._now()
        return [choose_entry(entries[name], own, now) for name in sorted(entries)]

    def _sign_new_record(self, photo: Photo, print_: fingerprint.Fingerprint) -> tuple[SignedEnvelope, str]:
        height, width = photo.pixels.shape[:2]
        core = RecordCore(
            issuer=self._issuer.name,
            key_id=self._issuer.signer.key_id,
            nonce=self._draw(16).hex(),
            source_sha256=photo.sha256,
            phash=print_.phash,
            descriptors_sha256=_sha256(print_.descriptors),
            preview_sha256=_sha256(print_.preview) if self._issuer.keep_preview else None,
            width_px=width,
            height_px=height,
            model_id=self._reader.card.model_id,
            carrier_key_id=self._key.key_id,
            created=self._now(),
            rights=self._issuer.rights,
            contact=self._issuer.contact,
            policy=self._issuer.policy,
        )
        envelope = records.sign_record(core, self._issuer.signer)
        return envelope, records.tag_id(envelope.payload)

    def _embed(
        self, photo: Photo, tag_id: str, temporary: Path, warnings: list[str]
    ) -> tuple[SavedFile, Photo, float, Quality]:
        """Add the tag, write the file, read it back from disk; stronger where it does not read."""
        signs = channel.encode(tag_id, self._key.channel)
        mask = build_mask(photo.pixels)
        z = 0.0
        for step_db in PSNR_STEPS_DB:
            psnr_db = self._settings.psnr_db + step_db
            tagged = add_residual(photo.pixels, self._planes(photo.pixels, signs, tag_id, psnr_db), mask, psnr_db)
            saved = save_like(photo, tagged, temporary, clobber=True)
            again = load_photo(temporary)
            z = read_back(fit_within(again.srgb, READ_PX), tag_id, self._key, self._reader)
            if z >= KEEP_Z:
                if step_db:
                    warnings.append(f"embedded {-step_db:.1f} dB stronger than asked, or the tag would not read back")
                return saved, again, z, compare(photo.pixels, tagged)
        raise EvidenceUnreadable(
            f"The tag could not be read back from the written file (z {z:.1f}, needed {KEEP_Z})",
            subject=str(photo.path),
            remedy=f"the file was not kept; {_advise(photo)}",
        )

    def _planes(self, pixels: Pixels, signs: NDArray[np.float32], tag_id: str, psnr_db: float) -> NDArray[np.float32]:
        return make_planes(
            pixels,
            signs,
            tag_id,
            key=self._key,
            sync=self._sync,
            embedder=self._embedder,
            informed=self._settings.informed,
            psnr_db=psnr_db,
        )

    def _sign_binding(self, tag_id: str, envelope: SignedEnvelope, saved: SavedFile, again: Photo) -> SignedEnvelope:
        statement = BindingStatement(
            tag_id=tag_id,
            record_sha256=records.record_sha256(envelope.payload),
            tagged_sha256=saved.sha256,
            tagged_phash=fingerprint.phash(again.srgb),
            media_type=saved.media_type,
            created=self._now(),
        )
        return records.sign_binding(statement, self._issuer.signer)

    def _submission(
        self, tag_id: str, envelope: SignedEnvelope, binding: SignedEnvelope, print_: fingerprint.Fingerprint
    ) -> RecordSubmission:
        return RecordSubmission(
            tag_id=tag_id,
            carrier_key_id=self._key.key_id,
            record=envelope,
            binding=binding,
            public_key=self._issuer.signer.public_key,
            descriptors=print_.descriptors,
            preview=print_.preview if self._issuer.keep_preview else None,
        )


def _compare_content(pixels: Pixels, row: RegisteredRecord) -> list[str]:
    """What to tell of a record whose content may be a picture's; blobs of others may hold anything."""
    named = (
        f"record {row.tag_id}, logged {row.logged_at} as entry {row.log_index} of the log {row.log_name!a} "
        f"(key {row.log_key_id[:SHOWN_OF_A_KEY]}…),"
    )
    try:
        preview = None if row.preview is None else fingerprint.decode_preview(row.preview)
        if register(pixels, preview, row.descriptors) is None:
            return []
    except LinkError as exc:
        return [f"{named} may claim this content, but could not be compared with it ({exc.what})"]
    return [f"{named} already claims this content; a scan will report both"]


def _advise(photo: Photo) -> str:
    """What to do about a photograph whose tag does not read back."""
    if photo.alpha is not None and (clear := float((photo.alpha < 128).mean())) > MOSTLY:
        return f"{clear:.0%} of the picture is transparent, and only what shows can carry a tag: tag an opaque version"
    return "tag a larger or less compressed version"


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(data: bytes) -> str:
    return records.record_sha256(data)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and the like back until a record and its file are both in their places."""
    if threading.current_thread() is not threading.main_thread():  # no other thread is interrupted
        yield
        return
    held: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    for got in held[:1]:
        signal.raise_signal(got)


def _rename(temporary: Path, out_path: Path) -> None:
    try:
        temporary.replace(out_path)
    except OSError as exc:
        raise WriteFailed(
            f"the record is registered, but the tagged file could not be put in place ({exc.strerror})",
            subject=str(out_path),
            remedy="tag the photograph again",
        ) from exc


def plan_outputs(photos: list[Path], out: Path) -> list[tuple[Path, Path]]:
    """Each photograph with its place in the output folder; the name is kept. One given twice is one photograph.

    Raises:
        AlreadyExists: Two photographs would get the same place.
    """
    plan: dict[Path, Path] = {}
    for photo in photos:
        target = out / photo.name
        if target in plan and not _is_same_file(photo, plan[target]):
            raise AlreadyExists(
                f"two photographs have the name {photo.name}",
                subject=str(plan[target]),
                remedy="tag them into two folders",
            )
        plan.setdefault(target, photo)
    return [(photo, target) for target, photo in plan.items()]


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


__all__ = [
    "AlreadyTagged",
    "EvidenceError",
    "Issuer",
    "TagSettings",
    "Tagged",
    "Tagger",
    "list_unfinished",
    "plan_outputs",
]
