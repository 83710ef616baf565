"""What every measurement shares: how it was asked for, and the open things of one process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ftforensics.domain.model import GeneratorCard
from ftforensics.domain.tag import DEFAULT_PSNR_DB
from ftforensics.engine.generators import OnnxGenerator, find_generators, load_generator_cards
from ftforensics.engine.informed import InformedSettings
from ftforensics.engine.onnx import (
    OnnxEmbedder,
    OnnxLocaliser,
    OnnxPairReader,
    OnnxReader,
    OnnxSimulator,
    open_localiser,
    open_pair_reader,
)
from ftforensics.engine.ring import RingKey
from ftforensics.errors import ModelMissing
from ftforensics.flows.bench.keys import draw_key, draw_tag_id
from ftforensics.flows.bench.manipulations import SIMULATOR
from ftforensics.flows.bench.pictures import BenchPicture
from ftforensics.flows.bench.tagging import BenchTagger, TaggedPicture
from ftforensics.flows.tag import TagSettings
from ftforensics.imaging.resample import Pixels

ISSUER_KEY = "issuer"
OTHER_KEY = "other issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a measurement was asked for.

    ``informed`` None tags plainly; ``threads`` are of one process; ``generators`` is the folder of those that only
    measure, None for the one that came with the program.
    """

    model: Path
    work: Path
    seed: int
    psnr_db: float = DEFAULT_PSNR_DB
    informed: InformedSettings | None = None
    threads: int = 1
    generators: Path | None = None

    @property
    def generators_folder(self) -> Path:
        """Where the generators lie.

        Raises:
            ModelMissing: Nowhere.
        """
        return self.generators or find_generators()

    def generator_cards(self) -> dict[str, GeneratorCard]:
        """The cards of the generators that only measure, by name.

        Raises:
            ModelMissing: There are none, or they cannot be read.
        """
        return load_generator_cards(self.generators_folder)


class Bench:
    """Reader, keys and tagger of one process, each made when first needed."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    @cached_property
    def reader(self) -> OnnxReader:
        """The reader under test."""
        return OnnxReader(self.setup.model, threads=self.setup.threads)

    @cached_property
    def pairs(self) -> OnnxPairReader | None:
        """What reads beside a source, if the model under test has that."""
        return open_pair_reader(self.setup.model, threads=self.setup.threads)

    @cached_property
    def localiser(self) -> OnnxLocaliser | None:
        """What says where tags were replaced, if the model under test has that."""
        return open_localiser(self.setup.model, threads=self.setup.threads)

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
    def generators(self) -> dict[str, OnnxGenerator]:
        """Generators that only measure, by name."""
        folder, threads = self.setup.generators_folder, self.setup.threads
        cards = self.setup.generator_cards()
        return {name: OnnxGenerator(folder, card, threads=threads) for name, card in cards.items()}

    def regenerate(self, name: str, picture: Pixels, random: np.random.Generator) -> Pixels:
        """A picture through the simulator or the generator of that name.

        Raises:
            ModelMissing: There is none.
        """
        if name == SIMULATOR:
            return self.simulator.regenerate(picture)
        if name not in self.generators:
            raise ModelMissing("no such generator", subject=name, remedy="reinstall ftforensics")
        return self.generators[name].regenerate(picture, random)

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
