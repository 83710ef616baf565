"""``python -m ftforensics.train COMMAND``: train the networks of a model, and export them."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from ftforensics.errors import FtfError, UsageError


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("give no number below 0")
    return number


def _positive(text: str) -> int:
    number = _count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("give at least 1")
    return number


def _check_device(name: str) -> None:
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as exc:
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise UsageError(
            f"torch cannot use this device ({reason})", subject=name, remedy="give another --device"
        ) from exc


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ftforensics.train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    simulator = commands.add_parser("simulator", help="train the GAN simulator")
    simulator.add_argument("--images", type=Path, required=True)
    simulator.add_argument("--out", type=Path, required=True)
    simulator.add_argument("--steps", type=int, default=2000)
    simulator.add_argument("--seed", type=int, default=1)
    simulator.add_argument("--width", type=int, default=32)
    simulator.add_argument("--latent", type=int, default=8)
    generator = commands.add_parser("generator", help="train a generator that only measures")
    generator.add_argument("--kind", choices=("quantised", "noised"), required=True)
    generator.add_argument("--images", type=Path, required=True)
    generator.add_argument("--out", type=Path, required=True)
    generator.add_argument("--steps", type=int, default=2600)
    generator.add_argument("--seed", type=int, default=101)
    reader = commands.add_parser("reader", help="train the residual reader")
    reader.add_argument("--images", type=Path, required=True)
    reader.add_argument("--out", type=Path, required=True)
    reader.add_argument("--simulator", type=Path, help="checkpoint of the GAN simulator to train through")
    reader.add_argument("--size", choices=("cpu", "gpu"), default="cpu", help="of the network, its batch and steps")
    reader.add_argument("--device", default="cpu", help="as torch names it: cpu, cuda, cuda:1")
    reader.add_argument("--stop-after-s", type=float, default=math.inf, help="save and stop after so many seconds")
    reader.add_argument("--steps", type=_positive, help="of the whole run; the size's own if not given")
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--batch", type=_positive, help="the size's own if not given")
    reader.add_argument("--peak", type=float, default=2e-3, help="highest learning rate")
    reader.add_argument("--workers", type=_count, default=2)
    reader.add_argument("--decay", type=float, default=0.998, help="of the averaged weights, per step")
    reader.add_argument("--model-id", default="ftf-1")
    informed = commands.add_parser("informed", help="train a reader on, with tags that are shaped to it")
    informed.add_argument("--images", type=Path, required=True)
    informed.add_argument("--start", type=Path, required=True, help="a reader's checkpoint, or a model folder")
    informed.add_argument("--out", type=Path, required=True)
    informed.add_argument(
        "--simulator",
        type=Path,
        nargs="*",
        default=[],
        help="checkpoints, or model folders, of GAN simulators to train through; one on the processor",
    )
    informed.add_argument("--device", default="cpu", help="as torch names it: cpu, cuda, cuda:1")
    informed.add_argument("--workers", type=_count, default=6, help="processes that make hosts for a GPU")
    informed.add_argument("--stop-after-s", type=float, default=math.inf, help="save and stop after so many seconds")
    informed.add_argument("--steps", type=_positive, default=4000)
    informed.add_argument("--seed", type=int, default=1)
    informed.add_argument("--batch", type=_positive, help="32 on the processor, 256 on a GPU if not given")
    informed.add_argument("--peak", type=float, default=4e-4, help="highest learning rate")
    informed.add_argument("--decay", type=float, default=0.998, help="of the averaged weights, per step")
    informed.add_argument("--model-id", default="ftf-1")
    beside = commands.add_parser("beside", help="train the reader of pictures beside their registered sources")
    beside.add_argument("--images", type=Path, required=True)
    beside.add_argument("--model", type=Path, required=True, help="model folder whose tags it reads; also its start")
    beside.add_argument("--out", type=Path, required=True)
    beside.add_argument(
        "--simulator", type=Path, nargs="*", default=[], help="checkpoints, or model folders, of simulators"
    )
    beside.add_argument("--stop-after-s", type=float, default=math.inf, help="save and stop after so many seconds")
    beside.add_argument("--steps", type=_positive, default=2000)
    beside.add_argument("--seed", type=int, default=1)
    beside.add_argument("--batch", type=_positive, default=32)
    beside.add_argument("--peak", type=float, default=6e-4, help="highest learning rate")
    beside.add_argument("--decay", type=float, default=0.995, help="of the averaged weights, per step")
    localiser = commands.add_parser("localiser", help="train what says where in its frame a tag was replaced")
    localiser.add_argument("--images", type=Path, required=True)
    localiser.add_argument("--model", type=Path, required=True, help="model folder whose reader it goes with")
    localiser.add_argument("--out", type=Path, required=True)
    localiser.add_argument("--work", type=Path, required=True, help="folder that keeps the readings it is trained on")
    localiser.add_argument("--sets", type=_positive, default=96, help="of 128 readings of 16 pictures each")
    localiser.add_argument("--stop-after-s", type=float, default=math.inf, help="save and stop after so many seconds")
    localiser.add_argument("--steps", type=_positive, default=4000)
    localiser.add_argument("--seed", type=int, default=1)
    localiser.add_argument("--batch", type=_positive, default=32)
    localiser.add_argument("--peak", type=float, default=2e-3, help="highest learning rate")
    localiser.add_argument("--workers", type=_count, default=2, help="processes that make sets; 0 for this one")
    export = commands.add_parser("export", help="write a model folder from checkpoints")
    export.add_argument("--reader", type=Path, required=True)
    export.add_argument("--simulator", type=Path, required=True)
    export.add_argument("--out", type=Path, required=True, help="model folder, for instance engines/ftf-1")
    export.add_argument("--notes", type=Path, help="JSON file on data, seeds and commands, kept in the card")
    pairs = commands.add_parser("export-beside", help="add a pair reader to the model folder it was trained for")
    pairs.add_argument("--checkpoint", type=Path, required=True)
    pairs.add_argument("--model", type=Path, required=True)
    pairs.add_argument("--notes", type=Path, help="JSON file on data, seeds and commands, kept in the card")
    places = commands.add_parser("export-localiser", help="add a localiser to the model folder it was trained for")
    places.add_argument("--checkpoint", type=Path, required=True)
    places.add_argument("--model", type=Path, required=True)
    places.add_argument("--notes", type=Path, help="JSON file on data, seeds and commands, kept in the card")
    measures = commands.add_parser("export-generators", help="write the folder of generators that only measure")
    measures.add_argument("--quantised", type=Path, required=True, help="checkpoint of generator A")
    measures.add_argument("--noised", type=Path, required=True, help="checkpoint of generator B")
    measures.add_argument("--images", type=Path, required=True, help="their held-out part measures the fidelity")
    measures.add_argument("--out", type=Path, required=True, help="for instance engines/generators")
    measures.add_argument("--notes", type=Path, help="JSON file on data and commands, kept in the card")
    calibrate = commands.add_parser("calibrate", help="set a model's presence thresholds on untagged held-out pictures")
    calibrate.add_argument("--model", type=Path, required=True)
    calibrate.add_argument("--images", type=Path, required=True)
    calibrate.add_argument("--reads", type=int, default=3000)
    calibrate.add_argument("--seed", type=int, default=1)
    return parser


def _simulator(arguments: argparse.Namespace) -> None:
    from ftforensics.train.simulator import train_simulator

    train_simulator(
        arguments.images,
        arguments.out,
        steps=arguments.steps,
        seed=arguments.seed,
        width=arguments.width,
        latent=arguments.latent,
        report=_say,
    )


def _generator(arguments: argparse.Namespace) -> None:
    from ftforensics.train.generator import train_generator

    train_generator(
        arguments.kind, arguments.images, arguments.out, steps=arguments.steps, seed=arguments.seed, report=_say
    )


def _reader(arguments: argparse.Namespace) -> None:
    from ftforensics.nets.reader import SIZES
    from ftforensics.train.reader import train_reader

    _check_device(arguments.device)
    size = SIZES[arguments.size]
    train_reader(
        arguments.images,
        arguments.out,
        simulator=arguments.simulator,
        steps=arguments.steps or size.steps,
        seed=arguments.seed,
        batch=arguments.batch or size.batch,
        peak=arguments.peak,
        workers=arguments.workers,
        decay=arguments.decay,
        size=arguments.size,
        device=arguments.device,
        stop_after_s=arguments.stop_after_s,
        model_id=arguments.model_id,
        report=_say,
    )


def _informed(arguments: argparse.Namespace) -> None:
    names = ("images", "out", "start", "steps", "seed", "peak", "decay", "stop_after_s", "model_id")
    shared: dict[str, Any] = {name: getattr(arguments, name) for name in names} | {"report": _say}
    if arguments.device != "cpu":
        from ftforensics.train.batched.resident import train_resident

        _check_device(arguments.device)
        train_resident(
            simulators=arguments.simulator,
            batch=arguments.batch or 256,
            workers=arguments.workers,
            device=arguments.device,
            **shared,
        )
        return
    from ftforensics.train.informed import train_informed

    if len(arguments.simulator) > 1:
        raise UsageError(
            "training on the processor takes one --simulator", remedy="give one, or choose a GPU with --device"
        )
    simulator = arguments.simulator[0] if arguments.simulator else None
    train_informed(simulator=simulator, batch=arguments.batch or 32, **shared)


def _beside(arguments: argparse.Namespace) -> None:
    from ftforensics.train.beside import train_beside

    names = ("images", "out", "model", "steps", "seed", "batch", "peak", "decay", "stop_after_s")
    settings: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    train_beside(simulators=arguments.simulator, report=_say, **settings)


def _export(arguments: argparse.Namespace) -> None:
    from ftforensics.train.export import export_model

    export_model(arguments.reader, arguments.simulator, arguments.out, _notes(arguments))


def _export_beside(arguments: argparse.Namespace) -> None:
    from ftforensics.train.export import export_pair_reader

    export_pair_reader(arguments.checkpoint, arguments.model, _notes(arguments))


def _localiser(arguments: argparse.Namespace) -> None:
    from ftforensics.train.localiser import train_localiser

    names = ("images", "out", "model", "work", "sets", "steps", "seed", "batch", "peak", "workers", "stop_after_s")
    settings: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    train_localiser(report=_say, **settings)


def _export_localiser(arguments: argparse.Namespace) -> None:
    from ftforensics.train.export import export_localiser

    export_localiser(arguments.checkpoint, arguments.model, _notes(arguments))


def _notes(arguments: argparse.Namespace) -> dict[str, Any]:
    return json.loads(arguments.notes.read_text(encoding="utf-8")) if arguments.notes is not None else {}


def _export_generators(arguments: argparse.Namespace) -> None:
    from ftforensics.train.generator_export import export_generators

    checkpoints = {"A": arguments.quantised, "B": arguments.noised}
    export_generators(checkpoints, arguments.images, arguments.out, _notes(arguments), report=_say)


def _calibrate(arguments: argparse.Namespace) -> None:
    from ftforensics.train.calibration import calibrate

    calibrate(arguments.model, arguments.images, reads=arguments.reads, seed=arguments.seed, report=_say)


def main() -> None:
    """Run one training command."""
    arguments = _parser().parse_args()
    run = {
        "simulator": _simulator,
        "generator": _generator,
        "reader": _reader,
        "informed": _informed,
        "beside": _beside,
        "localiser": _localiser,
        "export": _export,
        "export-beside": _export_beside,
        "export-localiser": _export_localiser,
        "export-generators": _export_generators,
        "calibrate": _calibrate,
    }
    try:
        run[arguments.command](arguments)
    except (FtfError, FileNotFoundError, NotADirectoryError) as exc:
        _say(str(exc))
        sys.exit(2)


if __name__ == "__main__":
    main()
