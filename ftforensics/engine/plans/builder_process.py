"""One build in a process of its own: ``python -P -m ftforensics.engine.plans.builder_process``.

In: one JSON object on standard input (``BuildJob``). Out: JSON objects on standard output, one a line: ``progress``
with ``done`` and ``total``, then ``done`` or ``failed`` with ``reason``; and the plan, in the file that the job names.

A failed build can leave the libraries unusable, they may crash, and a running build cannot be stopped from inside:
hence the process. It ends itself when standard input closes, that is, when whoever started it is gone.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildJob:
    """What to build. ``shapes`` are (input, least, best, most); ``targets`` is empty where the module takes none."""

    module: str
    version: str
    graph: str
    plan: str
    targets: tuple[str, ...]
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...]

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> BuildJob:
        """The job of one line of JSON; this package writes and reads it, so it is not checked further."""
        value = json.loads(line)
        shapes = tuple((name, tuple(least), tuple(best), tuple(most)) for name, least, best, most in value["shapes"])
        return cls(**{**value, "targets": tuple(value["targets"]), "shapes": shapes})


class BuildFailed(Exception):
    """The build cannot go on; the text says why."""


def main() -> int:
    """Run one job; 0 if the plan was written."""
    messages = _take_stdout()
    job = BuildJob.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        plan = build(job, lambda done, total: _tell(messages, kind="progress", done=done, total=total))
        Path(job.plan).write_bytes(plan)
    except BuildFailed as exc:
        _tell(messages, kind="failed", reason=str(exc))
        return 1
    except OSError as exc:
        _tell(messages, kind="failed", reason=f"the plan cannot be written ({exc.strerror})")
        return 1
    _tell(messages, kind="done")
    return 0


def build(job: BuildJob, tell_progress: Any) -> bytes:
    """The plan of a job.

    Args:
        job: What to build.
        tell_progress: Called with steps done and steps in all, from any thread.

    Raises:
        BuildFailed: The library is missing, of another version, or refused the graph.
    """
    trt = load_module(job)
    logger = _new_logger(trt)
    try:
        builder = trt.Builder(logger)
    except TypeError as exc:
        raise BuildFailed(_because("the builder does not start", logger, "is there an NVIDIA driver?")) from exc
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(job.graph).read_bytes()):
        errors = [parser.get_error(at).desc() for at in range(parser.num_errors)]
        raise BuildFailed(_because("the graph is not understood", logger, *errors))
    _check_ends(trt, network, job)
    config = builder.create_builder_config()
    # float32 means float32, not the shorter TF32.
    config.clear_flag(trt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    for name, least, best, most in job.shapes:
        profile.set_shape(name, least, best, most)
    if config.add_optimization_profile(profile) < 0:
        raise BuildFailed(_because("the shapes do not fit the graph", logger))
    _set_targets(trt, config, job)
    monitor = _new_monitor(trt, tell_progress)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BuildFailed(_because("the build failed", logger))
    return bytes(plan)


def load_module(job: BuildJob) -> Any:
    """The TensorRT of a job.

    Raises:
        BuildFailed: It cannot be imported, has no builder, or is of another version.
    """
    try:
        trt = importlib.import_module(job.module)
    except (ImportError, OSError) as exc:
        raise BuildFailed(f"{job.module} cannot be loaded ({_first_line(exc)})") from exc
    version = getattr(trt, "__version__", None)
    if version != job.version:
        raise BuildFailed(f"{job.module} is of version {version}, and its package of version {job.version}")
    if not hasattr(trt, "Builder"):
        raise BuildFailed(f"{job.module} {job.version} has no builder")
    return trt


def _set_targets(trt: Any, config: Any, job: BuildJob) -> None:
    """RTX takes a list of capabilities; the other builds for the GPU at hand and all others of its capability."""
    if not hasattr(trt, "ComputeCapability"):
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY
        return
    config.num_compute_capabilities = len(job.targets)
    for at, target in enumerate(job.targets):
        capability = trt.ComputeCapability.__members__.get(target.replace("_", "").upper())
        if capability is None or not config.set_compute_capability(capability, at):
            raise BuildFailed(f"{job.module} {job.version} builds nothing for {target}")


def _check_ends(trt: Any, network: Any, job: BuildJob) -> None:
    """Inputs are those of the job, there is one output, and both are float32."""
    inputs = [network.get_input(at) for at in range(network.num_inputs)]
    outputs = [network.get_output(at) for at in range(network.num_outputs)]
    names = [one.name for one in inputs]
    if names != [shape[0] for shape in job.shapes] or len(outputs) != 1:
        raise BuildFailed(f"the graph has the inputs {names} and {len(outputs)} outputs, which is no reader")
    if any(one.dtype != trt.float32 for one in [*inputs, *outputs]):
        raise BuildFailed("the graph's input and output are not float32")


def _new_logger(trt: Any) -> Any:
    class Messages(trt.ILogger):  # type: ignore[misc]
        """Keeps what the library says of errors; warnings go to standard error."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(msg)
            if severity <= trt.ILogger.Severity.WARNING:
                sys.stderr.write(msg.rstrip() + "\n")

    return Messages()


def _new_monitor(trt: Any, tell_progress: Any) -> Any:
    class Steps(trt.IProgressMonitor):  # type: ignore[misc]
        """Counts the steps of the outermost phase."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.phase: str | None = None
            self.total = 0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self.phase, self.total = phase_name, num_steps
                tell_progress(0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == self.phase:
                tell_progress(min(step + 1, self.total), self.total)
            return True

        def phase_finish(self, phase_name: str) -> None:
            if phase_name == self.phase:
                tell_progress(self.total, self.total)

    return Steps()


def _because(what: str, logger: Any, *details: str) -> str:
    reasons = [*details, *logger.errors]
    return f"{what} ({_shorten(reasons[0])})" if reasons else what


def _first_line(exc: BaseException) -> str:
    return _shorten(str(exc) or type(exc).__name__)


def _shorten(text: str) -> str:
    return " ".join(text.split())[:300].rstrip(".")


def _tell(messages: IO[str], **message: object) -> None:
    messages.write(json.dumps(message) + "\n")
    messages.flush()


def _take_stdout() -> IO[str]:
    """Standard output for messages alone: whatever a library prints goes to standard error from here on."""
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return messages


def _end_with_parent() -> None:
    # Not through sys.stdin: its lock, held here, would break the interpreter's end.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    exit_code = main()
    sys.stderr.flush()
    # Libraries that fail while they are taken down must not turn a written plan into a failed build.
    os._exit(exit_code)
