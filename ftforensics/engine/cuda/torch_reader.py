"""The torch backend behind the Reader protocol: the shipped weights in torch, on GPUs or on the processor."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from ftforensics.engine.cuda.driver import check_driver
from ftforensics.engine.cuda.runner import DEFAULT_BATCH, DEFAULT_LATENCY_S, DEFAULT_SLOTS, Runner
from ftforensics.engine.cuda.slots import Floats, Pixels
from ftforensics.engine.models import load_card, load_graph
from ftforensics.errors import BackendUnavailable

PRECISIONS = ("fp32", "fp16", "bf16")


class TorchReader:
    """The reader in torch.

    Args:
        folder: A model folder.
        device: "cpu", "cuda:0", several as "cuda:0,cuda:1", or "cuda" for all GPUs.
        precision: fp32 (without TF32), fp16 or bf16.
        batch: Pictures in a batch at most; one by one on the processor unless said otherwise.
        slots: Batches in flight on one device.
        latency_s: How long ``submit`` lets a picture wait for others, at most.
        threads: Processor threads, with "cpu"; 0 leaves torch's choice.

    Raises:
        BackendUnavailable: torch is not installed, or has no such device.
        ModelMissing: The model's files do not fit its card.
    """

    engine_sha256: str | None = None

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "cpu",
        precision: str = "fp32",
        batch: int | None = None,
        slots: int = DEFAULT_SLOTS,
        latency_s: float = DEFAULT_LATENCY_S,
        threads: int = 0,
    ) -> None:
        if precision not in PRECISIONS:
            raise BackendUnavailable(
                f"torch does not read with {precision}", remedy=f"choose one of {', '.join(PRECISIONS)}"
            )
        names = _devices(device)
        self.card = load_card(folder)
        graph = load_graph(folder, self.card.reader_file, self.card.reader_sha256)
        try:
            from ftforensics.engine.cuda.torch_device import TorchDevice
        except (ImportError, OSError) as exc:  # OSError: one of its shared libraries is missing
            raise BackendUnavailable(
                f"torch cannot be imported ({exc})", remedy="python -m pip install 'ftforensics[torch]'"
            ) from exc
        self.precision = precision
        self.backend = "torch-cpu" if names == ["cpu"] else "torch-cuda"
        subject = str(folder / self.card.reader_file)
        self.runner = Runner(
            [
                TorchDevice(graph, self.card, device=name, precision=precision, threads=threads, subject=subject)
                for name in names
            ],
            grid=self.card.grid,
            slots=slots,
            batch=batch or (1 if names == ["cpu"] else DEFAULT_BATCH),
            latency_s=latency_s,
        )

    def read(self, pictures: Pixels) -> Floats:
        """See ``engine.reader.Reader.read``."""
        return self.runner.read(pictures)

    def read_each(self, pictures: Pixels) -> tuple[tuple[str, Floats], ...]:
        """See ``Runner.read_each``."""
        return self.runner.read_each(pictures)

    def troubles(self) -> tuple[str, ...]:
        """See ``Runner.troubles``."""
        return self.runner.troubles()

    def submit(self, picture: Pixels) -> Future[Floats]:
        """See ``Runner.submit``."""
        return self.runner.submit(picture)

    def close(self) -> None:
        """Free devices and threads; may be called again."""
        self.runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _devices(device: str) -> list[str]:
    """Names that torch knows. Asks the driver before anything of CUDA is touched."""
    names = [name.strip() for name in device.split(",")]
    if names == ["cpu"]:
        return names
    if not all(name == "cuda" or name.removeprefix("cuda:").isdecimal() for name in names):
        raise BackendUnavailable(f"no such device: {device[:40]!r}", remedy="write cpu, cuda, or cuda:0,cuda:1")
    driver = check_driver()
    if not driver.works:
        raise BackendUnavailable(driver.reason, remedy=driver.remedy)
    if "cuda" in names:
        return [f"cuda:{gpu.ordinal}" for gpu in driver.gpus]
    return names
