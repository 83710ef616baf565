"""What a plan is built from and for, and the key that names it. In: inputs of a build. Out: key and name.

Two builds of the same inputs do not give the same bytes, so plans are told apart by what went in: a second build with
the same key is the same build.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ftforensics.domain.model import ModelCard
from ftforensics.errors import EngineError, UsageError
from ftforensics.trust.canonical import canonical_json

PRECISIONS = ("fp32", "fp16", "int8")
MODEL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# What this program does to a graph before the builder gets it, counted up when that changes what comes out.
RECIPE = 1
MAX_BATCH = 1024

_KEY_DOMAIN = "ftf-engine-plan-key-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputShape:
    """The sizes an input may have, batch first: the least, the one it is tuned for, and the most."""

    name: str
    least: tuple[int, ...]
    best: tuple[int, ...]
    most: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """All that decides what a plan does.

    ``model_sha256`` is the hash of the model's float32 reader graph, which says whose answers the plan gives;
    ``graph_sha256`` is that of the graph the build starts from: the same, but for int8 the quantised one.
    """

    model_id: str
    model_sha256: str
    graph_sha256: str
    flavour: str
    flavour_version: str
    targets: tuple[str, ...]
    precision: str
    shapes: tuple[InputShape, ...]
    recipe: int = RECIPE

    @property
    def key(self) -> str:
        """64 hex digits, the same in every process and on every machine for equal requests."""
        return hashlib.sha256(canonical_json([_KEY_DOMAIN, request_fields(self)])).hexdigest()

    @property
    def name(self) -> str:
        """The name of the plan's files: model, flavour, precision and the first 16 digits of the key."""
        return f"{self.model_id}-{self.flavour}-{self.precision}-{self.key[:16]}"


def request_fields(request: PlanRequest) -> dict[str, object]:
    """A request as JSON values; part of the signed manifest."""
    return {
        "model_id": request.model_id,
        "model_sha256": request.model_sha256,
        "graph_sha256": request.graph_sha256,
        "flavour": request.flavour,
        "flavour_version": request.flavour_version,
        "targets": list(request.targets),
        "precision": request.precision,
        "recipe": request.recipe,
        "shapes": [
            {"name": one.name, "least": list(one.least), "best": list(one.best), "most": list(one.most)}
            for one in request.shapes
        ],
    }


def reader_shapes(card: ModelCard, *, batch: int, max_batch: int) -> tuple[InputShape, ...]:
    """The shapes of a reader's one input, for batches from 1 to ``max_batch``, tuned for ``batch``.

    Raises:
        UsageError: The batches are out of order or range.
    """
    if not 1 <= batch <= max_batch <= MAX_BATCH:
        raise UsageError(
            f"the batch {batch} and the largest batch {max_batch} do not go together",
            remedy=f"give 1 <= batch <= largest batch <= {MAX_BATCH}",
        )
    side = card.input_px
    least, best, most = ((count, 3, side, side) for count in (1, batch, max_batch))
    return (InputShape(name="picture", least=least, best=best, most=most),)


def hash_graph(graph: bytes) -> str:
    """Hex SHA-256 of the graph that a build starts from."""
    return hashlib.sha256(graph).hexdigest()


def check_model_id(model_id: str) -> str:
    """A model's id, if it can be part of a file's name.

    Raises:
        EngineError: It cannot.
    """
    if MODEL_ID.fullmatch(model_id) is None:
        raise EngineError(f"a model of this name cannot have plans: {model_id[:80]!a}", remedy="rename the model")
    return model_id
