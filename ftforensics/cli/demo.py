"""``ftf demo``: the whole story on real photographs, in a folder of its own, with throw-away keys."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ftforensics import __version__
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.demo_pictures import Fake, build_fakes, load_demo_photos, load_donor, load_own_photos
from ftforensics.cli.errors import COMPLETE, INTEGRITY
from ftforensics.cli.opening import (
    build_books,
    build_ring,
    describe_graphs,
    find_model_folder,
    machine_facts,
    open_localiser,
    open_pair_reader,
    open_reader,
)
from ftforensics.cli.output import Format, Output
from ftforensics.cli.report import ReportFormat, write_report
from ftforensics.cli.settings import Settings
from ftforensics.domain.link import Finding, Verdict
from ftforensics.errors import AlreadyExists, EvidenceUnreadable, WriteFailed
from ftforensics.trust.keys import CarrierKey, KeyFolder, SigningKey
from ftforensics.trust.trustlist import TrustList, save_trust_list

app = new_app()

CASE = "demo"
ISSUER = "Demo News Agency"
_COLUMNS = ("picture", "made_by", "verdict", "source", "e_case", "changed")


@command(app, "demo", examples=("ftf demo", "ftf demo --images my-photos/ --donor other-face.jpg --out my-demo"))
def demo(
    settings: Settings,
    output: Output,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to work in; must not exist.")] = Path(
        "ftf-demo"
    ),
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Tag these photographs; the first is also faked.")
    ] = None,
    donor: Annotated[
        Path | None, typer.Option("--donor", metavar="FILE", help="Take the pasted region from this picture.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Plain tags: quicker, and they survive less.")] = False,
) -> int:
    """Tag photographs, make deepfakes of one, scan them, link each to its source, write the report.

    Everything goes into one new folder, with keys that are not locked and are good for nothing else.
    """
    if out.exists():
        raise AlreadyExists(
            "the demo's folder is there already", subject=str(out), remedy="give another with --out, or remove it"
        )
    photos = load_own_photos(images) if images is not None else load_demo_photos()
    story = _Story(settings, output, out)
    output.say("1. An issuer makes keys and a registry.")
    story.make_keys()
    output.say(f"2. It tags {len(photos)} photographs, each a few seconds, and registers their signed records.")
    story.tag(photos, fast=fast)
    output.say(f"3. Someone makes fakes of {photos[0].name}, strips their metadata and spreads them.")
    fakes = story.make_fakes(photos, load_donor(donor))
    output.say(f"4. An investigator, who pinned the issuer's fingerprint, scans {len(fakes)} suspect pictures.")
    findings, held = story.scan(fakes)
    output.say("")
    output.rows(_COLUMNS, [_row(finding, fakes, story.names) for finding in findings], Format.TABLE)
    output.say("")
    for line in story.advice():
        output.say(line)
    return COMPLETE if held and _is_right(findings, fakes) else INTEGRITY


class _Story:
    """The demo's folder and what is open in it."""

    def __init__(self, settings: Settings, output: Output, folder: Path) -> None:
        self._output, self._folder = output, folder
        home = folder / "home"
        self._settings = replace(settings, home=home, cases_folder=folder / "cases")
        self._now: Callable[[], str] = settings.now_utc
        self._reader, self._pairs = open_reader(settings), open_pair_reader(settings)
        self._localiser = open_localiser(settings)
        self._model = find_model_folder(settings)
        self.names: dict[str, str] = {}

    def make_keys(self) -> None:
        """Issuer, carrier and examiner keys, a registry, and a trust list that pins the issuer."""
        from ftforensics.store.registry import Registry

        try:
            self._folder.mkdir(parents=True)
        except OSError as exc:
            raise WriteFailed(f"cannot make the demo's folder ({exc.strerror})", subject=str(self._folder)) from exc
        keys = KeyFolder(self._settings.keys_folder)
        self._issuer = SigningKey.generate("demo-issuer", "issuer")
        self._examiner = SigningKey.generate("demo-examiner", "examiner")
        self._carrier = CarrierKey.generate("demo-carrier")
        for key in (self._issuer, self._examiner, self._carrier):
            keys.save(key, None)
        self._trust = TrustList().pin(ISSUER, self._issuer.key_id)
        save_trust_list(self._settings.trust_list_path, self._trust)
        registry = Registry.create(self._settings.registry_path, "demo-registry", signer=self._issuer, at=self._now())
        registry.close()
        self._ring = build_ring([self._carrier], self._reader.card.model_id)

    def tag(self, photos: list[Path], *, fast: bool) -> None:
        """Tag into ``tagged``, as ``ftf tag`` does."""
        from ftforensics.engine.onnx import OnnxEmbedder
        from ftforensics.flows.tag import Issuer, Tagger, TagSettings
        from ftforensics.store.registry import Registry

        with Registry.open(self._settings.registry_path, read_only=False) as registry:
            tagger = Tagger(
                issuer=Issuer(
                    name=ISSUER, signer=self._issuer, rights="Public domain (demo)", contact="desk@example.org"
                ),
                key=self._ring[0],
                registry=registry,
                reader=self._reader,
                embedder=None if fast else OnnxEmbedder(self._model),
                settings=TagSettings(),
                now=self._now,
            )
            with self._output.progress("Tagging", total=len(photos)) as ticker:
                for photo in photos:
                    tagged = tagger.tag(photo, self._folder / "tagged" / photo.name)
                    self.names[tagged.tag_id] = photo.name
                    quality = tagged.residual
                    self._output.say(
                        f"- {photo.name}: PSNR {quality.psnr_db:.1f} dB, SSIM {quality.ssim:.4f}, "
                        f"CIEDE2000 mean {quality.ciede2000_mean:.2f}; reads back with z = {tagged.z:.1f} of 11.3"
                    )
                    for warning in tagged.warnings:
                        self._output.warn(f"{photo.name}: {warning}")
                    ticker.advance()

    def make_fakes(self, photos: list[Path], donor: Any) -> list[Fake]:
        """Manipulated copies in ``suspects``."""
        from ftforensics.engine.onnx import OnnxSimulator

        tagged = [self._folder / "tagged" / photo.name for photo in photos]
        return build_fakes(tagged, photos, donor, OnnxSimulator(self._model), self._folder / "suspects")

    def scan(self, fakes: list[Fake]) -> tuple[list[Finding], bool]:
        """Scan ``suspects`` into the case, write the report; also whether the case holds."""
        from ftforensics.engine.reading import SearchBudget, TagReader
        from ftforensics.flows.examine import Examiner
        from ftforensics.flows.scan import IntakeLimits, RunFacts, Scanner
        from ftforensics.flows.sources import Sources
        from ftforensics.media.walk import walk_evidence
        from ftforensics.store.cases import Case
        from ftforensics.store.registry import Registry

        paths = list(walk_evidence([self._folder / "suspects"]))
        findings: list[Finding] = []
        card = self._reader.card
        with (
            Registry.open(self._settings.registry_path) as registry,
            Case.create(
                self._settings.cases_folder,
                CASE,
                title="Demonstration: fakes of a tagged photograph",
                examiner="Demo Examiner",
                signer=self._examiner,
                at=self._now(),
            ) as case,
        ):
            books = build_books(self._ring, [registry])
            reader = TagReader(
                self._reader,
                books,
                pairs=self._pairs,
                pictures_in_case=len(paths),
                budget=SearchBudget(mode="blind"),
            )
            facts = RunFacts(
                run_id=secrets.token_hex(8),
                tool_version=__version__,
                argv=("ftf", "demo"),
                machine=machine_facts(),
                model={
                    "model": card.model_id,
                    "weights_sha256": card.reader_sha256,
                    "backend": self._reader.backend,
                    "precision": self._reader.precision,
                }
                | describe_graphs(self._pairs, self._localiser),
                examiner="Demo Examiner",
                trust_list_sha256=self._trust.sha256,
                registry_checkpoint="; ".join(registry.state()),
                config={"search": "blind"},
            )
            with self._output.progress("Scanning", total=len(paths)) as ticker:

                def tell(finding: Finding, _: bool) -> None:
                    findings.append(finding)
                    ticker.advance()

                scanner = Scanner(
                    case=case,
                    tag_reader=reader,
                    examiner=Examiner(
                        tag_reader=reader,
                        keys=self._ring,
                        sources=Sources([registry], self._trust, self._now()),
                        trust=self._trust,
                        checked_at=self._now(),
                        localiser=self._localiser,
                    ),
                    facts=facts,
                    now=self._now,
                    limits=IntakeLimits(jobs=min(4, os.cpu_count() or 2)),
                    acquired_at=None,
                    tell=tell,
                )
                scanner.run(paths)
            view = case.view()
            self.report = self._settings.cases_folder / CASE / "report.html"
            write_report(
                case, view, ReportFormat.HTML, self.report, at=self._now(), actor="Demo Examiner", clobber=True
            )
            self._head = case.head()
        if len(findings) != len(fakes):
            raise EvidenceUnreadable("the demo's suspects could not all be scanned", subject=str(self._folder))
        return findings, view.head_verified

    def advice(self) -> list[str]:
        """What to open and what to try next."""
        home, cases = self._settings.home, self._settings.cases_folder
        return [
            f"Open the report in a browser: {self.report}",
            f"Compare the pictures: {self._folder / 'tagged'} and {self._folder / 'suspects'}",
            "Try next:",
            f"- FTF_HOME={home} ftf case verify {CASE} --cases {cases} --expect-head "
            f"{self._head.count}:{self._head.head_hash}",
            f"- FTF_HOME={home} ftf registry list",
            f"- FTF_HOME={home} ftf scan YOUR-PICTURE.jpg --case {CASE} --cases {cases}",
            "- ftf demo --images YOUR-PHOTOS/ --out my-demo",
        ]


def _row(finding: Finding, fakes: list[Fake], names: dict[str, str]) -> dict[str, Any]:
    made = next((fake for fake in fakes if fake.path.name == finding.evidence.path), None)
    registration, tag = finding.registration, finding.tag
    changed = registration.changed_fraction if registration is not None else None
    e_case = getattr(tag, "e_case", None)
    return {
        "picture": finding.evidence.path,
        "made_by": made.how if made is not None else "",
        "verdict": finding.verdict.value,
        "source": names.get(finding.source.tag_id) if finding.source is not None else None,
        "e_case": None if e_case is None else f"{e_case:.0e}",
        "changed": None if changed is None else f"{100 * changed:.0f} % of the picture{_moved(finding)}",
    }


def _moved(finding: Finding) -> str:
    return "" if finding.movement is None else f", {100 * finding.movement.moved_fraction:.0f} % moved"


def _is_right(findings: list[Finding], fakes: list[Fake]) -> bool:
    """A wrong attribution would be the worst bug there is, so the demo checks its own ending."""
    by_name = {fake.path.name: fake for fake in fakes}
    attributed = {Verdict.VERIFIED_MATCH, Verdict.VERIFIED_DERIVATIVE, Verdict.TAG_UNCONFIRMED}
    return all(by_name[finding.evidence.path].is_tagged for finding in findings if finding.verdict in attributed)
