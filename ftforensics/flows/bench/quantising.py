"""Whether a reader may be shipped in eight bits: quantise as far as signs hold, then judge on held-out pictures.

Enters: a model and training pictures. Leaves: the int8 graph with its parity and speed, or the reason why there is
none. Pictures that ranges and layers are chosen on are never those it is judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftforensics.domain.model import ModelCard
from ftforensics.engine.models import load_graph
from ftforensics.engine.onnx import build_session
from ftforensics.engine.plans.agreeing import LEAST_READS
from ftforensics.engine.quantise import Choice, Trial, choose_graph
from ftforensics.flows.bench.parity import Parity, build_exam, compare_answers, describe_reader, take_exam
from ftforensics.flows.bench.peers import race_graphs
from ftforensics.flows.bench.pictures import PictureSet
from ftforensics.flows.bench.racing import ratio, ratio_spread
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.bench.setup import Bench
from ftforensics.imaging.resample import Floats, Pixels

LEAST_SPEED_UP = 1.1
CALIBRATION_VIEWS = 64
# Chosen with a margin over what parity asks for: signs on other pictures agree a little less.
CHOICE_AGREEMENT = 0.9995


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """What came of it; all but ``choice`` is None where no layer could be quantised.

    ``speed_up`` is of one thread and of the fastest rounds; ``sure_speed_up`` is what three of four rounds reached.
    """

    choice: Choice
    parity: Parity | None
    speed_up: float | None
    sure_speed_up: float | None

    @property
    def refusal(self) -> str | None:
        """Why the graph may not be shipped, or None."""
        if self.choice.graph is None or self.parity is None or self.sure_speed_up is None:
            return "no run of convolutions keeps the signs of the soft bits in eight bits"
        if not self.parity.holds("int8"):
            return (
                f"parity does not hold: {100 * self.parity.sign_agreement:.3f} % of signs agree and "
                f"{self.parity.identical_identities} of {self.parity.reads} identities"
            )
        if self.sure_speed_up < LEAST_SPEED_UP:
            return f"only {self.sure_speed_up:.2f} times as fast in three of four rounds, less than {LEAST_SPEED_UP}"
        return None


class GraphReader:
    """A reader graph that is in no model folder yet, in ONNX Runtime with one thread."""

    backend = "onnxruntime-cpu"
    engine_sha256: str | None = None

    def __init__(self, graph: bytes, card: ModelCard, precision: str) -> None:
        self.card, self.precision = card, precision
        self._session = build_session(graph, "a quantised reader", 1)

    def read(self, pictures: Pixels) -> Floats:
        """See ``engine.reader.Reader.read``."""
        inputs = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2) * np.float32(1.0 / 255.0))
        return np.concatenate(
            [self._session.run(None, {"picture": inputs[at : at + 1]})[0] for at in range(len(inputs))]
        )

    def close(self) -> None:
        """See ``engine.reader.Reader.close``."""


def quantise_model(
    bench: Bench,
    chosen_on: PictureSet,
    held_out: PictureSet,
    *,
    reads: int = LEAST_READS,
    rounds: int = 40,
    report: Callable[[Trial], None] = lambda _: None,
    advance: Callable[[], None] = lambda: None,
) -> Quantisation:
    """Quantise the model of a bench and measure it.

    Args:
        bench: Tags the pictures.
        chosen_on: Training pictures, to set ranges and choose layers by.
        held_out: To judge by.
        reads: Of each.
        rounds: How often fp32 and int8 are timed.
        report: Told of every trial.
        advance: Called once a picture that was looked at.

    Raises:
        EngineError: Too few pictures, or quantisation fails.
    """
    card = bench.reader.card
    graph = load_graph(bench.setup.model, card.reader_file, card.reader_sha256)
    seen = build_exam(chosen_on, bench, reads=reads, advance=advance).views
    choice = choose_graph(
        graph,
        calibration=seen[:CALIBRATION_VIEWS],
        check=seen[CALIBRATION_VIEWS:] if len(seen) > CALIBRATION_VIEWS else seen,
        rows=bench.key.rows,
        least_agreement=CHOICE_AGREEMENT,
        report=report,
    )
    if choice.graph is None:
        return Quantisation(choice=choice, parity=None, speed_up=None, sure_speed_up=None)
    exam = build_exam(held_out, bench, reads=reads, advance=advance)
    reference = take_exam(bench.reader, exam)
    answers = take_exam(GraphReader(choice.graph, card, "int8"), exam)
    parity = compare_answers(reference, answers, exam, name=describe_reader(bench.reader))
    graphs = {"fp32": (graph, card.input_px), "int8": (choice.graph, card.input_px)}
    timings, _ = race_graphs(graphs, threads=1, rounds=rounds, counted=False)
    return Quantisation(
        choice=choice,
        parity=parity,
        speed_up=ratio(timings["fp32"], timings["int8"]),
        sure_speed_up=ratio_spread(timings["fp32"], timings["int8"])[0],
    )


TRIAL_COLUMNS: tuple[Column, ...] = (
    Column(key="runs", label="convolutions in eight bits"),
    Column(key="sign_agreement", label="signs that agree", kind="rate", digits=3),
    Column(key="relative_error", label="error of the map", kind="rate", digits=2),
)
OUTCOME_COLUMNS: tuple[Column, ...] = (
    Column(key="runs", label="convolutions in eight bits"),
    Column(key="speed_up", label="times as fast, one thread", kind="number", digits=2, unit="x"),
    Column(key="sure_speed_up", label="in three of four rounds", kind="number", digits=2, unit="x"),
    Column(key="sign_agreement", label="signs that agree", kind="rate", digits=3),
    Column(key="identical_identities", label="reads with the same identity", kind="count"),
    Column(key="reads", label="held-out reads", kind="count"),
    Column(key="outcome", label="outcome"),
)


def summarise_trials(trials: Sequence[Trial]) -> tuple[Row, ...]:
    """One row a trial, in the order they were made."""
    return tuple(
        {
            "runs": "; ".join(trial.runs),
            "sign_agreement": trial.sign_agreement,
            "relative_error": trial.relative_error,
        }
        for trial in trials
    )


def summarise_outcome(found: Quantisation) -> tuple[Row, ...]:
    """The one row of what came of it."""
    figures: dict[str, Any] = found.parity.as_dict() if found.parity is not None else {}
    return (
        {
            "runs": "; ".join(found.choice.runs) or "none",
            "speed_up": found.speed_up,
            "sure_speed_up": found.sure_speed_up,
            "sign_agreement": figures.get("sign_agreement"),
            "identical_identities": figures.get("identical_identities"),
            "reads": figures.get("reads"),
            "outcome": "shipped" if found.refusal is None else f"not shipped: {found.refusal}",
        },
    )
