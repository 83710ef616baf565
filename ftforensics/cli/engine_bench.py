"""``ftf engine bench``, ``parity`` and ``quantise``: how fast readers are, whether they agree, and the int8 reader."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftforensics import __version__
from ftforensics.cli.commands import command
from ftforensics.cli.engine_specs import check_named, open_named
from ftforensics.cli.engine_trust import pinned_plan_signers
from ftforensics.cli.errors import COMPLETE, ENGINE
from ftforensics.cli.opening import DEFAULT_MODEL, find_model_folder
from ftforensics.cli.options import KeyOption, PassphraseFileOption
from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import NamedSigner, resolve_signer
from ftforensics.domain.tag import DEFAULT_PSNR_DB

if TYPE_CHECKING:
    from ftforensics.engine.reader import Reader
    from ftforensics.flows.bench.pictures import PictureSet
    from ftforensics.flows.bench.results import DataInfo, Table
    from ftforensics.flows.bench.setup import Setup

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
EngineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        metavar="NAME[:PRECISION]",
        help="Measure this engine, for instance onnx, onnx:int8 or openvino:bf16; all that work here if left out.",
        show_default=False,
    ),
]
PlansOption = Annotated[
    Path | None,
    typer.Option("--engines", metavar="DIR", help="The folder of built engines; FTF_ENGINES where it is left out."),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="Results file; tables of other names in it stay.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, metavar="S", help="What everything is drawn from.")]
ReadsOption = Annotated[int, typer.Option("--reads", min=8, metavar="N", help="Reads to compare; 200 make a proof.")]
PsnrOption = Annotated[float, typer.Option("--psnr", min=36.0, max=60.0, metavar="DB", help="As of 'ftf tag'.")]
FastOption = Annotated[bool, typer.Option("--fast", help="Plain tags, as 'ftf tag --fast' makes them.")]
WorkOption = Annotated[
    Path | None,
    typer.Option("--work", metavar="DIR", help="Keep tagged pictures here, so that a stopped run goes on."),
]
HeldOutOption = Annotated[
    bool,
    typer.Option("--held-out", help="Only the last 15 % of each sub-folder, which training keeps back."),
]
RoundsOption = Annotated[int, typer.Option("--rounds", min=3, metavar="N", help="How often everything is timed.")]

RESULTS_FILE = Path("engines.json")
# What is tried where no engine is named. TensorRT takes the precision of the newest plan.
ENGINES = (
    *("onnx", "onnx:int8", "openvino:fp32", "openvino:bf16", "torch:fp32", "torch:fp16", "torch:bf16"),
    *("tensorrt", "tensorrt-rtx"),
)
SPEED_VIEWS = 64


def add_commands(app: typer.Typer) -> None:
    """Put the commands of this module into the group ``ftf engine``."""
    command(
        app,
        "bench",
        examples=("ftf engine bench", "ftf engine bench --images photos/ --engine onnx --peers --plot roofline.svg"),
    )(bench)
    command(
        app,
        "parity",
        examples=("ftf engine parity --images photos/", "ftf engine parity --images photos/ --engine onnx:int8"),
        no_args_is_help=True,
    )(parity)
    command(app, "quantise", examples=("ftf engine quantise --images training/",), no_args_is_help=True)(quantise)


def parity(
    settings: Settings,
    output: Output,
    images: Annotated[Path, typer.Option("--images", metavar="DIR", help="Photographs that no model has seen.")],
    model: ModelArgument = DEFAULT_MODEL,
    engine: EngineOption = None,
    engines: PlansOption = None,
    held_out: HeldOutOption = False,
    reads: ReadsOption = 200,
    psnr: PsnrOption = DEFAULT_PSNR_DB,
    fast: FastOption = False,
    seed: SeedOption = 1,
    work: WorkOption = None,
    record: Annotated[
        bool, typer.Option("--record", help="Put the figures into the measured plans' manifests and sign these anew.")
    ] = False,
    key: KeyOption = None,
    passphrase_file: PassphraseFileOption = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Read the same tagged pictures, clean and manipulated, with every engine, and compare them bit by bit.

    The reference is the float32 graph in ONNX Runtime. Exit code 5 if an engine that was measured does not agree, or
    one that was named does not work.
    """
    from ftforensics.engine.onnx import OnnxReader
    from ftforensics.engine.plans.agreeing import LEAST_READS
    from ftforensics.flows.bench import parity as flow
    from ftforensics.flows.bench.pictures import load_set, split_held_out
    from ftforensics.flows.bench.setup import Bench

    folder = find_model_folder(settings, model)
    check_named(settings, engine or (), folder, engines)
    pictures = load_set(images, None)
    if held_out:
        pictures = split_held_out(pictures)[1]
    with _setup(folder, work, seed=seed, psnr=psnr, fast=fast) as setup:
        with output.progress("Tagging", total=None) as ticker:
            exam = flow.build_exam(pictures, Bench(setup), reads=reads, advance=ticker.advance)
        reference = flow.take_exam(OnnxReader(folder, threads=1), exam)
        found: list[tuple[str, str, Any]] = []
        plans: dict[str, dict[str, Any]] = {}
        for spec in engine or ENGINES:
            reader = open_named(settings, spec, folder, engines, required=engine is not None)
            if isinstance(reader, str):
                found.append((spec, "", reader))
                continue
            label = flow.describe_reader(reader)
            figures = flow.compare_answers(reference, flow.take_exam(reader, exam), exam, name="onnxruntime-cpu fp32")
            found.append((label, reader.precision, figures))
            if reader.backend.startswith("tensorrt") and reader.engine_sha256 is not None:
                plans[reader.engine_sha256] = figures.as_dict()
            reader.close()
    if record and plans:
        signer = resolve_signer(settings, output, key=key, role="examiner", passphrase_file=passphrase_file)
        _record_parity(settings, engines or settings.engines_folder, plans, signer)
    held = [one.holds(precision) for _, precision, one in found if not isinstance(one, str)]
    table = _table(
        "engine-parity",
        "Do the engines agree?",
        flow.PARITY_COLUMNS,
        flow.summarise_parity(found),
        command=f"ftf engine parity --images DIR{' --held-out' if held_out else ''}{' --fast' if fast else ''}",
        folder=folder,
        seed=seed,
        data=pictures.data,
        notes=(
            "soft bits are about ±1 for a perfect map; the reference is the float32 graph in ONNX Runtime",
            "every picture is read untouched and after: " + ", ".join(flow.MANIPULATIONS[1:]),
            f"holds: at least {LEAST_READS} reads, every identity the same, and of the signs at least 99.99 % in "
            "fp32 and 99.9 % in other precisions",
        ),
        settings={"psnr_db": psnr, "fast": str(fast), "reads": reads},
    )
    _finish(output, out, [table])
    return COMPLETE if held and all(held) else ENGINE


def quantise(
    settings: Settings,
    output: Output,
    images: Annotated[Path, typer.Option("--images", metavar="DIR", help="Training pictures, a folder of folders.")],
    model: ModelArgument = DEFAULT_MODEL,
    reads: ReadsOption = 200,
    psnr: PsnrOption = DEFAULT_PSNR_DB,
    fast: FastOption = False,
    seed: SeedOption = 1,
    work: WorkOption = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Make the model's int8 reader and ship it in the model folder if it agrees and is faster; take it out if not.

    Ranges and layers are chosen on the first 85 % of each sub-folder; what is shipped is judged on the rest.
    """
    from ftforensics.engine.quantised import check_writable, remove_quantised, save_quantised
    from ftforensics.flows.bench import quantising as flow
    from ftforensics.flows.bench.pictures import load_set, split_held_out
    from ftforensics.flows.bench.setup import Bench

    folder = find_model_folder(settings, model)
    check_writable(folder)
    pictures = load_set(images, None)
    chosen_on, held_out = split_held_out(pictures)
    with _setup(folder, work, seed=seed, psnr=psnr, fast=fast) as setup, output.progress("Quantising") as ticker:
        found = flow.quantise_model(Bench(setup), chosen_on, held_out, reads=reads, advance=ticker.advance)
    if found.refusal is None and found.choice.graph is not None and found.parity is not None:
        facts = {"parity": found.parity.as_dict(), "runs": list(found.choice.runs)}
        save_quantised(folder, found.choice.graph, {**facts, "speed_up": round(found.speed_up or 0.0, 2)})
    else:
        remove_quantised(folder)
    notes = (
        f"layers are joined in the order of their error while {100 * flow.CHOICE_AGREEMENT:g} % of signs agree on the "
        "pictures that they are chosen on; held-out pictures then judge",
        f"shipped only with parity on held-out reads and at least {flow.LEAST_SPEED_UP} times the speed",
    )
    shared: dict[str, Any] = {
        "command": f"ftf engine quantise --images DIR{' --fast' if fast else ''}",
        "folder": folder,
        "seed": seed,
        "settings": {"psnr_db": psnr, "fast": str(fast), "reads": reads},
    }
    tables = [
        _table(
            "engine-int8",
            "The reader in eight bits",
            flow.OUTCOME_COLUMNS,
            flow.summarise_outcome(found),
            data=held_out.data,
            notes=notes,
            **shared,
        ),
        _table(
            "engine-int8-trials",
            "Which convolutions stand eight bits",
            flow.TRIAL_COLUMNS,
            flow.summarise_trials(found.choice.trials),
            data=chosen_on.data,
            notes=notes[:1],
            **shared,
        ),
    ]
    return _finish(output, out, tables)


def bench(
    settings: Settings,
    output: Output,
    model: ModelArgument = DEFAULT_MODEL,
    engine: EngineOption = None,
    engines: PlansOption = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Also time the stages of a read on these pictures.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=2, metavar="N", help="Only so many of them.")] = 100,
    peers: Annotated[bool, typer.Option("--peers", help="Beside networks of published readers' size; needs torch.")] = (
        False
    ),
    threads: Annotated[int, typer.Option("--threads", min=0, metavar="N", help="Of one run; 0 lets it choose.")] = 0,
    records: Annotated[int, typer.Option("--records", min=1000, metavar="N", help="To match with.")] = 1_000_000,
    rounds: RoundsOption = 20,
    seed: SeedOption = 1,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Write the roofline here, as SVG.", show_default=False)
    ] = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Time readers: images a second, latency, memory, the stages of a read, and the distance from what is possible.

    Everything that is compared is timed turn by turn, so ratios hold on a busy machine too.
    """
    from ftforensics.flows.bench.engine_tables import measure_engines
    from ftforensics.flows.bench.pictures import load_set

    folder = find_model_folder(settings, model)
    check_named(settings, engine or (), folder, engines)
    pictures = load_set(images, limit) if images is not None else None
    readers: dict[str, Reader] = {}
    missing: list[str] = []
    for spec in engine or ENGINES:
        reader = open_named(settings, spec, folder, engines, required=engine is not None, threads=threads)
        if isinstance(reader, str):
            missing.append(f"{spec}: not measured, {reader}")
        else:
            readers[f"{reader.backend} {reader.precision}"] = reader
    with output.progress("Timing") as ticker:
        measured = measure_engines(
            folder,
            readers,
            pictures,
            rounds=rounds,
            threads=threads,
            records=records,
            seed=seed,
            with_peers=peers,
            advance=ticker.advance,
        )
    for reader in readers.values():
        reader.close()
    if plot is not None and measured.plot is not None:
        from ftforensics.media.writing import atomic_write

        atomic_write(plot, measured.plot.encode("utf-8"), clobber=True)
    tables = [
        _table(
            one.name,
            one.title,
            one.columns,
            one.rows,
            command=f"ftf engine bench{' --images DIR' if images is not None else ''}{' --peers' if peers else ''}"
            + (f" --threads {threads}" if threads else ""),
            folder=folder,
            seed=seed,
            data=_data_of(pictures),
            notes=(*one.notes, *(missing if one.name == "engine-speed" else ())),
            settings={"threads": threads, "rounds": rounds, "records": records},
        )
        for one in measured.tables
    ]
    return _finish(output, out, tables)


@contextmanager
def _setup(folder: Path, work: Path | None, *, seed: int, psnr: float, fast: bool) -> Iterator[Setup]:
    """How pictures are tagged; the folder for them is there as long as the block."""
    from ftforensics.engine.informed import InformedSettings
    from ftforensics.flows.bench.setup import Setup

    with tempfile.TemporaryDirectory(prefix="ftf-engine-") as temporary:
        yield Setup(
            model=folder,
            work=work or Path(temporary),
            seed=seed,
            psnr_db=psnr,
            informed=None if fast else InformedSettings(),
        )


def _record_parity(settings: Settings, engines: Path, plans: dict[str, dict[str, Any]], signer: NamedSigner) -> None:
    """Put figures into the manifests of plans, given by the plan's SHA-256; only plans that hold are signed again."""
    from ftforensics.engine.plans.builder import add_parity
    from ftforensics.engine.plans.folder import PlanFolder
    from ftforensics.engine.plans.verified import load_verified_manifest
    from ftforensics.errors import EngineError

    trusted = pinned_plan_signers(settings)
    for name in PlanFolder(engines).names():
        try:
            manifest = load_verified_manifest(engines, name, trusted).manifest
        except EngineError:
            continue
        if manifest.plan_sha256 in plans:
            add_parity(engines, name, plans[manifest.plan_sha256], signer, trusted)


def describe_machine_with_gpus() -> dict[str, str]:
    """As for all tables of ``ftf bench``, OpenVINO's release where it was used, and the GPUs that the driver names."""
    from ftforensics.cli.bench_run import describe_machine
    from ftforensics.engine.cuda.driver import check_driver
    from ftforensics.engine.libraries import package_version

    used = {"openvino": f"OpenVINO {package_version('openvino')}"} if "openvino" in sys.modules else {}
    gpus = check_driver().gpus
    return describe_machine() | used | {f"gpu{gpu.ordinal}": gpu.name for gpu in gpus}


def _data_of(pictures: PictureSet | None) -> DataInfo:
    import hashlib

    from ftforensics.flows.bench.results import DataInfo

    return DataInfo(count=0, sha256=hashlib.sha256(b"").hexdigest()) if pictures is None else pictures.data


def _table(
    name: str,
    title: str,
    columns: Sequence[Any],
    rows: Sequence[Any],
    *,
    command: str,
    folder: Path,
    seed: int,
    data: DataInfo,
    notes: Sequence[str],
    settings: dict[str, Any],
) -> Table:
    from ftforensics.engine.models import load_card
    from ftforensics.flows.bench.results import Table

    card = load_card(folder)
    return Table(
        name=name,
        title=title,
        columns=tuple(columns),
        rows=tuple(rows),
        command=command,
        seed=seed,
        data=data,
        machine=describe_machine_with_gpus(),
        tool_version=__version__,
        weights_sha256=card.reader_sha256,
        settings={"model": card.model_id, **settings},
        notes=tuple(notes),
    )


def _finish(output: Output, out: Path, tables: Sequence[Table]) -> int:
    from ftforensics.flows.bench.results import render_markdown, save_tables

    save_tables(out, tables)
    for table in tables:
        output.raw(render_markdown(table) + "\n")
    output.note(f"Results are in {out}.")
    return COMPLETE
