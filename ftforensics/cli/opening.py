"""Opening what commands work with: model, carrier keys, registries, case. In: options. Out: open things."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings
from ftforensics.errors import KeyUnknown, UsageError
from ftforensics.trust.keys import CarrierKey
from ftforensics.trust.utc import parse_utc

if TYPE_CHECKING:
    from ftforensics.engine.backends import BackendStatus
    from ftforensics.engine.onnx import OnnxLocaliser, OnnxPairReader, OnnxReader
    from ftforensics.engine.reader import Localiser, PairReader, Reader
    from ftforensics.engine.ring import Book, RingKey
    from ftforensics.store.registry import Registry

DEFAULT_MODEL = "ftf-1"
# A log time so far ahead of the machine's clock, or so long after the log's last one, is asked about.
AHEAD_OF_MACHINE = timedelta(days=1)
SINCE_CHECKPOINT = timedelta(days=180)


def find_model_folder(settings: Settings, model: str = DEFAULT_MODEL) -> Path:
    """The folder of a model: FTF_ENGINES first, then what is installed. Raises ModelMissing."""
    from ftforensics.engine.models import find_model

    return find_model(model, settings.engines)


def open_reader(settings: Settings, model: str = DEFAULT_MODEL) -> OnnxReader:
    """The reader of a model on this machine's processor. Raises EngineError."""
    from ftforensics.engine.onnx import OnnxReader

    return OnnxReader(find_model_folder(settings, model))


def open_pair_reader(settings: Settings, model: str = DEFAULT_MODEL) -> OnnxPairReader | None:
    """What reads pictures beside their sources, whatever engine reads them alone. Raises ModelMissing."""
    from ftforensics.engine.onnx import open_pair_reader

    return open_pair_reader(find_model_folder(settings, model))


def open_localiser(settings: Settings, model: str = DEFAULT_MODEL) -> OnnxLocaliser | None:
    """What says where tags were replaced, whatever engine reads. Raises ModelMissing."""
    from ftforensics.engine.onnx import open_localiser

    return open_localiser(find_model_folder(settings, model))


def describe_graphs(pairs: PairReader | None, localiser: Localiser | None) -> dict[str, str]:
    """What reads beside sources and what outlines where tags are gone, for the facts of a run."""
    facts: dict[str, str] = {}
    if pairs is not None:
        facts["pair_reader_sha256"] = pairs.sha256
        if pairs.simulator_sha256 is not None:
            facts["simulator_sha256"] = pairs.simulator_sha256
    if localiser is not None:
        facts["localiser_sha256"] = localiser.sha256
    return facts


def choose_reader(
    settings: Settings,
    *,
    engine: str = "auto",
    precision: str | None = None,
    engines: Path | None = None,
    model: str = DEFAULT_MODEL,
) -> tuple[Reader, tuple[BackendStatus, ...]]:
    """The reader of a model on the engine asked for, or on the best that works here, and what was passed over.

    Args:
        settings: Where the model, the built engines and the pinned keys are.
        engine: Of ``--engine``.
        precision: Of ``--precision``.
        engines: Of ``--engines``.
        model: Its name.

    Raises:
        UsageError: No such engine or precision.
        BackendUnavailable: The engine that was named does not work here.
        EngineError: The model is missing or damaged.
    """
    from ftforensics.engine.backends import open_reader

    check_engine(engine, precision)
    return open_reader(
        engine,
        find_model_folder(settings, model),
        precision=precision,
        engines=engines or settings.engines_folder,
        fingerprints=lambda: _plan_signers(settings),
    )


def check_engine(engine: str, precision: str | None = None, *, measured: bool = False) -> None:
    """Make sure that an engine and a precision of these names exist, before anything is opened.

    Args:
        engine: Of ``--engine``.
        precision: Of ``--precision``, or None.
        measured: Whether a certain engine is wanted, which ``auto`` is not.

    Raises:
        UsageError: No such engine or precision.
    """
    from ftforensics.engine.backends import BACKENDS, CHOICES, PRECISIONS

    engines = BACKENDS if measured else CHOICES
    for what, word, known in (("engine", engine, engines), ("precision", precision or PRECISIONS[0], PRECISIONS)):
        if word not in known:
            raise UsageError(f"no such {what}: {word[:40]!a}", remedy=f"choose one of {', '.join(known)}")


def reader_troubles(reader: Reader) -> tuple[str, ...]:
    """What speaks against the plan that a reader runs, and devices that it does without by now, a sentence each."""
    from ftforensics.engine.reader import OnDevices

    return reader.troubles() if isinstance(reader, OnDevices) else ()


def tell_choice(output: Output, reader: Reader, passed_over: Sequence[BackendStatus] = ()) -> None:
    """Say what reads and why nothing faster, and warn of what speaks against its plan and of devices done without."""
    output.note(describe_choice(reader, passed_over))
    for trouble in reader_troubles(reader):
        output.warn(f"{trouble}.")


def describe_choice(reader: Reader, passed_over: Sequence[BackendStatus]) -> str:
    """One line: what reads, and why what would be faster does not."""
    reasons: dict[str, list[str]] = {}
    for status in passed_over:
        reasons.setdefault(status.reason, []).append(status.name)
    why = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
    return f"Reading with {reader.backend}, {reader.precision}.{f' Passed over: {why}.' if why else ''}"


def _plan_signers(settings: Settings) -> Collection[str]:
    from ftforensics.cli.engine_trust import pinned_plan_signers

    return pinned_plan_signers(settings)


def build_ring(carriers: Sequence[CarrierKey], model_id: str) -> list[RingKey]:
    """Carriers and channel secrets, ready to read with."""
    from ftforensics.engine.ring import build_ring_key

    return [build_ring_key(key.key_id, key.derive, model_id) for key in carriers]


def build_books(ring: Sequence[RingKey], registries: Sequence[Registry]) -> list[Book]:
    """The code words of all records that the ring's keys can read."""
    import numpy as np

    from ftforensics.engine.ring import build_book

    books = []
    for key in ring:
        parts = [registry.index(key.key_id)[1] for registry in registries]
        books.append(build_book(key, np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)))
    return books


@contextmanager
def open_registries(settings: Settings, paths: Sequence[Path] | None) -> Iterator[list[Registry]]:
    """Registries open for reading, each checked as a whole first; the default one if none is named and it exists.

    Raises:
        NotFound: One that was named is not there.
        ChainBroken, SignatureInvalid: A log does not fit its checkpoint: nothing may be attributed from it.
    """
    from ftforensics.store.registry import Registry

    chosen = list(paths) if paths else [path for path in (settings.registry_path,) if path.exists()]
    with ExitStack() as stack:
        registries = [stack.enter_context(Registry.open(path)) for path in chosen]
        yield registries


def warn_about_clock(output: Output, now: str, registry: Registry | None = None) -> None:
    """Say it before a log is written to with a time that looks wrong: log times never go back.

    Args:
        output: For the warning.
        now: The time that the log is to be given.
        registry: Whose log is to go on; None for one that is to be made.
    """
    moment = parse_utc(now)
    machine = datetime.now(UTC)
    newest = None if registry is None else registry.checkpoint().at
    wrong = []
    if moment - machine > AHEAD_OF_MACHINE:
        wrong.append(f"FTF_NOW says {now}, and this machine's clock {machine:%Y-%m-%dT%H:%M:%SZ}")
    if newest is not None and moment - parse_utc(newest) > SINCE_CHECKPOINT:
        wrong.append(f"it is {now}, and the log's newest checkpoint is of {newest}")
    if wrong:
        output.warn(
            f"{'; '.join(wrong)}: is the clock right? Log times never go back, so after a wrong one nothing can be "
            "logged until that time has come; records would have to be brought over into another registry"
        )


def warn_about_unread_records(output: Output, registries: Sequence[Registry], ring: Sequence[RingKey]) -> None:
    """Say which records cannot be matched because their carrier key is not held."""
    held = {key.key_id for key in ring}
    for registry in registries:
        missing = [key_id for key_id in registry.carrier_key_ids() if key_id not in held]
        if missing:
            output.warn(
                f"{registry.path}: tags under {len(missing)} carrier key(s) cannot be read, for you do not hold "
                f"{', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}"
            )


def warn_about_unsearched_parts(output: Output, registries: Sequence[Registry]) -> None:
    """Say which registries are too large for looking up a part of a picture by its content."""
    from ftforensics.flows.sources import MOST_INDEXED, has_too_many_parts

    for registry in registries:
        if has_too_many_parts(registry):
            output.warn(
                f"{registry.path}: with more than {MOST_INDEXED:,} records, the source of a crop is found by its tag "
                "alone, and by content only where nearly all of the picture is left"
            )


def require_carrier(carriers: Sequence[CarrierKey], settings: Settings) -> None:
    """Raise KeyUnknown where there is no carrier key to read with."""
    if not carriers:
        raise KeyUnknown(
            "there is no carrier key to read tags with",
            subject=str(settings.keys_folder),
            remedy="get the issuer's carrier key file, or make one with 'ftf key new NAME --carrier'",
        )


def trouble_facts(reader: Reader) -> dict[str, str]:
    """As ``reader_troubles``, for run.json: beside the other facts of the machine, where there are any."""
    troubles = reader_troubles(reader)
    return {"troubles": "; ".join(troubles)} if troubles else {}


def machine_facts(backend: str = "") -> dict[str, str]:
    """What ran on what, for run.json; GPUs, driver and their library where ``backend`` is not ONNX Runtime."""
    import onnxruntime

    facts = {
        "os": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "onnxruntime": str(onnxruntime.__version__),
    }
    return facts | _backend_facts(backend) if backend and not backend.startswith("onnx") else facts


def _backend_facts(backend: str) -> dict[str, str]:
    from ftforensics.engine.cuda.driver import check_driver
    from ftforensics.engine.libraries import library_version

    library = next((name for name in ("torch", "openvino") if backend.startswith(name)), backend)
    if library == "openvino":  # it asks for no GPU
        return {library: library_version(library) or "unknown"}
    driver = check_driver()
    facts = {
        library: library_version(library),
        "gpus": "; ".join(gpu.name for gpu in driver.gpus),
        "driver": driver.driver_version,
        "cuda": driver.cuda_version,
    }
    return {name: value for name, value in facts.items() if value}
