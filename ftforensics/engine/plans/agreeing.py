"""Whether measured parity lets a reader stand in for the float32 one. In: figures. Out: yes or no, or a sentence.

The figures are those of ``ftf engine parity``: how many signs of soft bits agree on tagged pictures, and whether every
read ends in the same identity. ``ftf engine parity --record`` puts them into a plan's signed manifest.
"""

from __future__ import annotations

from ftforensics.engine.plans.manifest import Parity, PlanManifest
from ftforensics.errors import EngineError

LEAST_READS = 200
LEAST_AGREEMENT = {"fp32": 0.9999, "fp16": 0.999, "bf16": 0.999, "int8": 0.999}


def agrees(precision: str, *, reads: float, sign_agreement: float, identical_identities: float) -> bool:
    """Whether a reader of this precision agrees well enough, on reads enough to say so.

    Args:
        precision: Of the reader; an unknown one is held to the limit of fp32.
        reads: How many pictures were compared.
        sign_agreement: Share of soft bits whose sign is that of the reference, in [0, 1].
        identical_identities: Reads that end in the same identity, none included.
    """
    least = LEAST_AGREEMENT.get(precision, LEAST_AGREEMENT["fp32"])
    return reads >= LEAST_READS and sign_agreement >= least and identical_identities == reads


def describe_doubt(manifest: PlanManifest) -> str | None:
    """Why a plan's own figures do not let it be used unasked, as a sentence without a full stop; None where they do.

    A plan in fp32 needs no figures; figures that do not hold speak against it too.
    """
    request, parity = manifest.request, manifest.parity
    if parity is None:
        return None if request.precision == "fp32" else f"the parity of the plan {request.name} was not measured"
    if _holds(request.precision, parity):
        return None
    return f"the parity of the plan {request.name} was measured and does not hold"


def check_usable_unasked(manifest: PlanManifest) -> None:
    """Make sure that a plan may be chosen by ``auto``.

    Raises:
        EngineError: Its parity was not measured, or does not hold.

    Does not establish that the figures are true: they are the signer's word.
    """
    doubt = describe_doubt(manifest)
    if doubt is None:
        return
    flavour = manifest.request.flavour
    raise EngineError(
        doubt,
        remedy="build one of another precision with 'ftf engine build --precision fp32'"
        if manifest.parity is not None
        else f"run 'ftf engine parity --images DIR --engine {flavour}:{manifest.request.precision} --record'",
    )


def _holds(precision: str, parity: Parity) -> bool:
    """Whether signed figures hold; what is missing or no number does not."""
    figures: dict[str, float] = {}
    for name in ("reads", "sign_agreement", "identical_identities"):
        figure = parity.get(name)
        if figure is None or isinstance(figure, str):
            return False
        figures[name] = figure
    return agrees(precision, **figures)
