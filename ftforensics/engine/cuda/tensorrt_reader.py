"""Both kinds of TensorRT behind the Reader protocol. In: the model, a verified plan, GPUs. Out: residual maps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from ftforensics.engine.cuda.driver import Gpu
from ftforensics.engine.cuda.runner import DEFAULT_BATCH, DEFAULT_LATENCY_S, DEFAULT_SLOTS, Runner
from ftforensics.engine.cuda.slots import Floats, Pixels
from ftforensics.engine.cuda.tensorrt_device import TensorRTDevice
from ftforensics.engine.models import load_card
from ftforensics.engine.plans.agreeing import describe_doubt
from ftforensics.engine.plans.verified import VerifiedPlan
from ftforensics.errors import EngineError


class TensorRTReader:
    """A plan on one or more GPUs.

    Args:
        folder: The model folder that the plan was built from.
        plan: Verified.
        gpus: Those to use, all of a kind that the plan is for (``plans.fitness.check_runs_here``).
        batch: Pictures in a batch at most; never more than the plan takes.
        slots: Batches in flight on one GPU.
        latency_s: How long ``submit`` lets a picture wait for others, at most.

    Raises:
        EngineError: The plan is of another model, or no GPU runs it.
    """

    def __init__(
        self,
        folder: Path,
        plan: VerifiedPlan,
        gpus: Sequence[Gpu],
        *,
        batch: int = DEFAULT_BATCH,
        slots: int = DEFAULT_SLOTS,
        latency_s: float = DEFAULT_LATENCY_S,
    ) -> None:
        self.card = load_card(folder)
        request = plan.manifest.request
        if request.model_sha256 != self.card.reader_sha256:
            raise EngineError(
                "the plan was built from other weights than the model at hand",
                subject=plan.name,
                remedy="build it again with 'ftf engine build'",
            )
        self.backend = request.flavour
        self.precision = request.precision
        self.engine_sha256: str | None = plan.manifest.plan_sha256
        doubt = describe_doubt(plan.manifest)
        self._doubts = () if doubt is None else (f"{doubt}; see 'ftf engine parity'",)
        most = min(shape.most[0] for shape in request.shapes)
        self.runner = Runner(
            [TensorRTDevice(plan, self.card, ordinal=gpu.ordinal) for gpu in gpus],
            grid=self.card.grid,
            slots=slots,
            batch=min(batch, most),
            latency_s=latency_s,
        )

    def read(self, pictures: Pixels) -> Floats:
        """See ``engine.reader.Reader.read``."""
        return self.runner.read(pictures)

    def read_each(self, pictures: Pixels) -> tuple[tuple[str, Floats], ...]:
        """See ``Runner.read_each``."""
        return self.runner.read_each(pictures)

    def troubles(self) -> tuple[str, ...]:
        """See ``Runner.troubles``; first, what speaks against the plan."""
        return (*self._doubts, *self.runner.troubles())

    def submit(self, picture: Pixels) -> Future[Floats]:
        """See ``Runner.submit``."""
        return self.runner.submit(picture)

    def close(self) -> None:
        """Free GPUs and threads; may be called again."""
        self.runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
