"""Whether a plan runs on this machine. In: manifest, facts about GPU, driver, runtime. Out: nothing, or a sentence.

Checked before a plan is loaded, because the libraries answer the wrong GPU or release with a crash or a riddle.
"""

from __future__ import annotations

from ftforensics.engine.plans.flavours import FLAVOURS, Capability, name_target
from ftforensics.engine.plans.manifest import PlanManifest
from ftforensics.errors import EngineError


def check_runs_here(
    manifest: PlanManifest,
    *,
    flavour_version: str | None,
    capability: Capability | None,
    device_name: str = "this GPU",
    driver_cuda: str | None = None,
) -> None:
    """Make sure that a plan fits runtime, GPU and driver.

    Args:
        manifest: Verified.
        flavour_version: The installed release of the plan's flavour; None where it is not installed.
        capability: Of the GPU, such as (8, 9); None where there is no GPU or no driver.
        device_name: The GPU's name, for the sentence.
        driver_cuda: The newest CUDA that the driver knows, such as "13.0"; None where it is not known.

    Raises:
        EngineError: It does not fit.

    Does not establish that the plan may be trusted, nor that there is memory enough.
    """
    request = manifest.request
    flavour = FLAVOURS[request.flavour]
    subject = request.name
    rebuild = f"build one with 'ftf engine build {request.model_id} --flavour {flavour.name}'"
    if flavour_version is None:
        raise EngineError(
            f"the plan needs {flavour.name}, which is not installed", subject=subject, remedy=flavour.install
        )
    if flavour_version != request.flavour_version:
        raise EngineError(
            f"the plan was built by {flavour.name} {request.flavour_version}, and {flavour_version} is installed",
            subject=subject,
            remedy=rebuild,
        )
    if capability is None:
        raise EngineError(
            "the plan needs an NVIDIA GPU with its driver, and none was found",
            subject=subject,
            remedy="see 'ftf doctor'",
        )
    target = name_target(capability)
    if target not in flavour.targets:
        raise EngineError(
            f"{device_name} ({target}) is no GPU that {flavour.name} supports",
            subject=subject,
            remedy="see 'ftf doctor'",
        )
    if target not in request.targets:
        raise EngineError(
            f"the plan is for {', '.join(request.targets)}, and {device_name} is {target}",
            subject=subject,
            remedy=f"{rebuild} --target {target}",
        )
    if driver_cuda is not None and manifest.cuda_major is not None and _major(driver_cuda) < manifest.cuda_major:
        raise EngineError(
            f"the plan needs a driver for CUDA {manifest.cuda_major}, and the driver here stops at CUDA {driver_cuda}",
            subject=subject,
            remedy="update the NVIDIA driver",
        )


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdecimal() else 0
