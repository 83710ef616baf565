"""The newsroom of ``ftf bench attackers`` and ``ftf bench verdicts``: two issuers with registries, and an examiner.

Everything is thrown away afterwards. Tags are made, registered and scanned for real, but for the file of a suspect:
attacked pictures are handed to the examiner as pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ftforensics.cli.bench_attackers import derive_seed, place
from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes, rows_from_planes
from ftforensics.codec.channel import encode
from ftforensics.domain.evidence import EvidenceItem
from ftforensics.domain.link import Finding
from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.onnx import OnnxEmbedder
from ftforensics.engine.reading import Reading, TagReader
from ftforensics.engine.ring import Book, RingKey, build_book
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench import attackers as flow
from ftforensics.flows.bench import carrier_attack, identities
from ftforensics.flows.bench.carrier_attack import Loot
from ftforensics.flows.bench.keys import draw_ids
from ftforensics.flows.bench.pictures import BenchPicture
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.flows.examine import Examiner, Place
from ftforensics.flows.sources import Sources
from ftforensics.flows.tag import READ_PX, Issuer, Tagger, TagSettings
from ftforensics.imaging.quality import psnr_db
from ftforensics.imaging.resample import Pixels, fit_within
from ftforensics.media.intake import IntakeResult
from ftforensics.media.walk import EvidencePath
from ftforensics.store.registry import Registry
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.trustlist import TrustList

ISSUERS = ("Bench Newsroom", "Bench Agency")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Victim:
    """A registered photograph, its tagged copy, and the same tagged again by the other issuer, if that was possible."""

    picture: BenchPicture
    untagged: Pixels
    tagged: Pixels
    tag_id: str
    retagged: Pixels | None
    second_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stolen:
    """What the attacker made of all the pictures that he holds: his carriers, and the mean of their maps."""

    known: np.ndarray
    unmixed: np.ndarray | None
    mean: np.ndarray


class _House:
    """One issuer: signing key, carrier key, registry and tagger."""

    def __init__(self, name: str, key: RingKey, bench: Bench, now: Callable[[], str]) -> None:
        setup = bench.setup
        self.name, self.key = name, key
        slug = name.split()[-1].lower()
        self.signer = SigningKey.from_seed(f"bench-{slug}", "issuer", derive_seed(setup.seed, name))
        self.folder = setup.work / slug
        self.registry = Registry.create(setup.work / f"{slug}.sqlite", f"bench-{slug}", signer=self.signer, at=now())
        nonces = np.random.default_rng(list(derive_seed(setup.seed, f"{name} nonces")))
        self._tagger = Tagger(
            issuer=Issuer(name=name, signer=self.signer),
            key=key,
            registry=self.registry,
            reader=bench.reader,
            embedder=None if setup.informed is None else OnnxEmbedder(setup.model, threads=setup.threads),
            settings=TagSettings(psnr_db=setup.psnr_db, informed=setup.informed),
            now=now,
            draw=nonces.bytes,
        )

    def tag(self, picture: BenchPicture) -> tuple[BenchPicture, str] | None:
        """A tagged and registered copy of a picture, and its tag id; None where ``ftf tag`` refuses it."""
        target = place(self.folder, picture)
        try:
            made = self._tagger.tag(picture.path, target)
        except EvidenceUnreadable:
            return None
        copy = BenchPicture(name=picture.name, folder=picture.folder, path=target, sha256=made.tagged_sha256)
        return copy, made.tag_id

    def book(self, records: int, seed: int) -> Book:
        """Its registry among so many random records."""
        known = [f"{int(value):016x}" for value in self.registry.index(self.key.key_id)[1]]
        return build_book(self.key, draw_ids(seed, records, known))


class Newsroom:
    """Registers pictures, attacks them, and scans what comes of it.

    Args:
        setup: As for tagging; its folder for work must be empty.
        records: Of each registry, random ones among them.
        now: The clock, UTC ISO 8601.
    """

    def __init__(self, setup: Setup, *, records: int, now: Callable[[], str]) -> None:
        self._setup, self._records, self._now = setup, records, now
        self._bench = Bench(setup)
        self._sync = build_sync_carrier(self._bench.reader.card.model_id)
        keys = (self._bench.key, self._bench.other_key)
        self._houses = [_House(name, key, self._bench, now) for name, key in zip(ISSUERS, keys, strict=True)]

    def close(self) -> None:
        """Close the registries."""
        for house in self._houses:
            house.registry.close()

    @property
    def bench(self) -> Bench:
        """Reads and regenerates."""
        return self._bench

    def tag_again(self, pixels: Pixels, tag_id: str) -> Pixels:
        """Pixels with the first house's tag laid over them, as whoever can tag like it would."""
        planes = build_tag_planes(encode(tag_id, self._bench.key.channel), self._bench.key.carriers, self._sync)
        return flow.lay_over(pixels, planes, self._setup.psnr_db)

    def register(self, picture: BenchPicture, *, twice: bool = True) -> Victim | None:
        """Tag and register a picture, then again by the other issuer; None where ``ftf tag`` refuses it."""
        first = self._houses[0].tag(picture)
        if first is None:
            return None
        copy, tag_id = first
        second = self._houses[1].tag(copy) if twice else None
        return Victim(
            picture=picture,
            untagged=load_exhibit(picture.path),
            tagged=load_exhibit(copy.path),
            tag_id=tag_id,
            retagged=None if second is None else load_exhibit(second[0].path),
            second_id=None if second is None else second[1],
        )

    def open(self) -> None:
        """Open the books of all that was registered, for one examiner of the first house and one of both."""
        books = [house.book(self._records, self._setup.seed) for house in self._houses]
        reader, pairs = self._bench.reader, self._bench.pairs
        self._readers = [TagReader(reader, books[:count], pairs=pairs) for count in (1, 2)]
        trust = TrustList()
        for house in self._houses:
            trust = trust.pin(house.name, house.signer.key_id)
        checked_at = self._now()
        self._examiners = [
            Examiner(
                tag_reader=reader,
                keys=[house.key for house in self._houses[:count]],
                sources=Sources([house.registry for house in self._houses[:count]], trust, checked_at),
                trust=trust,
                checked_at=checked_at,
                localiser=self._bench.localiser,
            )
            for count, reader in zip((1, 2), self._readers, strict=True)
        ]

    def estimate_carriers(
        self, pictures: Sequence[BenchPicture], held: int
    ) -> tuple[list[flow.CarrierEstimate], Stolen]:
        """What an attacker with up to ``held`` tagged pictures knows, with and without their code words."""
        setup = self._setup
        random = np.random.default_rng([setup.seed, 77])
        sources = [load_exhibit(picture.path) for picture in pictures]
        loot = carrier_attack.gather(
            sources, held, self._bench.key, self._sync, self._bench.reader, psnr_db=setup.psnr_db, random=random
        )
        true = rows_from_planes(self._bench.key.carriers)
        found = []
        known, unmixed = np.zeros_like(true), None
        for count in sorted({*(count for count in flow.HELD if count < held), held}):
            part = Loot(rows=loot.rows[:count], words=loot.words[:count])
            known = carrier_attack.fit_known(part)
            found.append(
                flow.CarrierEstimate(
                    held=count,
                    knowledge=flow.KNOWN,
                    likeness=carrier_attack.match_carriers(known, true),
                    span=None,
                )
            )
            if count > len(true):
                unmixed = carrier_attack.unmix(part, setup.seed)
                found.append(
                    flow.CarrierEstimate(
                        held=count,
                        knowledge=flow.UNMIXED,
                        likeness=carrier_attack.match_carriers(unmixed, true),
                        span=carrier_attack.span_share(part, true),
                    )
                )
        return found, Stolen(known=known, unmixed=unmixed, mean=loot.rows.mean(axis=0))

    def forge(self, victim: Victim, host: BenchPicture, stolen: Stolen) -> list[flow.Forgery]:
        """Put a victim's tag on another picture in every way that the attacker knows."""
        other = load_exhibit(host.path)
        signs = encode(victim.tag_id, self._bench.key.channel).astype(np.float64)
        seen = flow.read_planes(victim.tagged, self._bench.reader)
        made = {
            flow.FORGED_KNOWN: flow.lay_over(other, carrier_attack.forge(signs @ stolen.known, self._sync)),
            flow.COPIED_READ: flow.lay_over(other, seen),
            flow.COPIED_EXACT: flow.carry_over(victim.tagged, victim.untagged, other),
        }
        if stolen.unmixed is not None:
            message = carrier_attack.copy_message(rows_from_planes(seen[None])[0] - stolen.mean, stolen.unmixed)
            made[flow.FORGED_UNMIXED] = flow.lay_over(other, carrier_attack.forge(message, self._sync))
        found = []
        for attack, pixels in made.items():
            finding = self.scan(0, pixels, attack)
            read = identities.is_read(finding, victim.tag_id)
            found.append(flow.Forgery(attack=attack, read=read, verdict=identities.gravest_verdict(finding)))
        return found

    def retag(self, victim: Victim) -> list[flow.Retagged]:
        """Whose tags are read from the picture that both tagged; none where the second was refused."""
        if victim.retagged is None:
            return []
        pixels = np.ascontiguousarray(fit_within(victim.retagged, READ_PX))
        reading = self._identify(1, pixels)
        tags = {tag.tag_id for tag in identities.named_tags(reading) if isinstance(tag, MatchedTag)}
        finding = self.scan(1, victim.retagged, "retagged")
        return [flow.Retagged(first=victim.tag_id in tags, second=victim.second_id in tags, verdict=finding.verdict)]

    def remove(self, victim: Victim) -> list[flow.Removal]:
        """Subtract what is read, so many times, and see whether the tag still identifies the picture."""
        reader, strength = self._bench.reader, self._setup.psnr_db
        made = {"nothing": victim.tagged}
        for times in flow.TIMES:
            made[f"{times:g} times what is read"] = flow.subtract(victim.tagged, reader, strength, times)
        made[flow.TWICE] = flow.subtract(made["1 times what is read"], reader, strength, 1.0)
        found = []
        for how, pixels in made.items():
            reading = self._identify(0, np.ascontiguousarray(fit_within(pixels, READ_PX)))
            found.append(
                flow.Removal(
                    how=how,
                    identified=identities.leads_with(reading, victim.tag_id),
                    wrong=identities.names_another(reading, victim.tag_id),
                    psnr_db=psnr_db(pixels, victim.tagged),
                )
            )
        return found

    def _identify(self, who: int, pixels: Pixels) -> Reading:
        reader = self._readers[who]
        return reader.identify(pixels, reader.residuals([pixels])[0])

    def scan(self, who: int, pixels: Pixels, label: str) -> Finding:
        """The finding of an examiner of the first house (0) or of both (1), as of a file with these pixels."""
        seen = np.ascontiguousarray(fit_within(pixels, READ_PX))
        digest = hashlib.sha256(seen.tobytes()).hexdigest()
        name = f"{label}.png".encode()
        path = EvidencePath(root=b"/", raw=name)
        item = EvidenceItem(
            path=path.path,
            path_b64=path.path_b64,
            size_bytes=seen.size,
            mtime=self._now(),
            sha256=digest,
            media_type="image/png",
            ext_mismatch=False,
        )
        result = IntakeResult(source=path, item=item, pixels=seen)
        at = Place(seq=0, case_id="bench", exhibit_id=digest[:16])
        return self._examiners[who].examine(result, lambda: self._readers[who].residuals([seen])[0], at).finding
