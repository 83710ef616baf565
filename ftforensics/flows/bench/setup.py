"""What every measurement shares: how it was asked for, and the open things of one process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ftforensics.domain.tag import DEFAULT_PSNR_DB
from ftforensics.engine.informed import InformedSettings
from ftforensics.engine.onnx import OnnxEmbedder, OnnxReader, OnnxSimulator
from ftforensics.engine.ring import RingKey
from ftforensics.flows.bench.keys import draw_key, draw_tag_id
from ftforensics.flows.bench.pictures import BenchPicture
from ftforensics.flows.bench.tagging import BenchTagger, TaggedPicture
from ftforensics.flows.tag import TagSettings

ISSUER_KEY = "issuer"
OTHER_KEY = "other issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a measurement was asked for. ``informed`` None tags plainly; ``threads`` are of one process."""

    model: Path
    work: Path
    seed: int
    psnr_db: float = DEFAULT_PSNR_DB
    informed: InformedSettings | None = None
    threads: int = 1


class Bench:
    """Reader, keys and tagger of one process, each made when first needed."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    @cached_property
    def reader(self) -> OnnxReader:
        """The reader under test."""
        return OnnxReader(self.setup.model, threads=self.setup.threads)

    @cached_property
    def key(self) -> RingKey:
        """The carrier key that pictures are tagged under."""
        return draw_key(self.setup.seed, ISSUER_KEY, self.reader.card.model_id)

    @cached_property
    def other_key(self) -> RingKey:
        """A carrier key that no picture is tagged under."""
        return draw_key(self.setup.seed, OTHER_KEY, self.reader.card.model_id)

    @cached_property
    def simulator(self) -> OnnxSimulator:
        """The GAN simulator that came with the model."""
        return OnnxSimulator(self.setup.model, threads=self.setup.threads)

    @cached_property
    def tagger(self) -> BenchTagger:
        """Tags as ``ftf tag`` does, and keeps the results."""
        setup = self.setup
        return BenchTagger(
            key=self.key,
            reader=self.reader,
            embedder=None if setup.informed is None else OnnxEmbedder(setup.model, threads=setup.threads),
            settings=TagSettings(psnr_db=setup.psnr_db, informed=setup.informed),
            work=setup.work / "tagged",
        )

    def tag(self, picture: BenchPicture) -> TaggedPicture | None:
        """A picture of the set, tagged with its own id; None where ``ftf tag`` would refuse it."""
        return self.tagger.tag(picture.path, draw_tag_id(self.setup.seed, picture.sha256))
