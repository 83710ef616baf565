"""CUDA graphs through the driver's own API, for runtimes that have none of their own. Optional: ``cuda-bindings``.

A captured batch is launched with one call instead of one a kernel.
Source: CUDA Driver API, sections "Stream Management" and "Graph Management".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from ftforensics.errors import EngineError


def import_driver_api() -> ModuleType | None:
    """The module ``cuda.bindings.driver``, None where it is not installed: then kernels are launched one by one."""
    try:
        from cuda.bindings import driver
    except (ImportError, OSError):
        return None
    module: ModuleType = driver
    return module


class CapturedGraph:
    """What was enqueued on a stream, to be launched again and again.

    Args:
        api: Of ``import_driver_api``.
        stream: The stream's handle; not the default stream.
        enqueue: Puts the work on that stream, without waiting for anything. It must have run once before.

    Raises:
        EngineError: The work cannot be captured.
    """

    def __init__(self, api: ModuleType, stream: int, enqueue: Callable[[], None]) -> None:
        self._api = api
        self._stream = api.CUstream(stream)
        self._graph: Any = None
        mode = api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call(api.cuStreamBeginCapture(self._stream, mode))
        try:
            enqueue()
        except EngineError:
            with suppress(EngineError):  # ends the capture, whatever state the failure left it in
                self._destroy(self._call(api.cuStreamEndCapture(self._stream)))
            raise
        captured = self._call(api.cuStreamEndCapture(self._stream))
        try:
            self._graph = self._call(api.cuGraphInstantiate(captured, 0))
        finally:
            self._destroy(captured)

    def launch(self) -> None:
        """Put the work on the stream once more. Raises EngineError where the device refuses."""
        self._call(self._api.cuGraphLaunch(self._graph, self._stream))

    def close(self) -> None:
        """Free it; the stream must be idle. Never raises."""
        graph, self._graph = self._graph, None
        if graph is not None:
            self._api.cuGraphExecDestroy(graph)

    def _destroy(self, graph: Any) -> None:
        self._api.cuGraphDestroy(graph)

    def _call(self, answer: tuple[Any, ...]) -> Any:
        if int(answer[0]):
            raise EngineError(f"the driver refuses a CUDA graph ({answer[0].name})")
        return answer[1] if len(answer) > 1 else None
