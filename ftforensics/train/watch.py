"""What every training run does between its steps: say how it goes, save its reader, stop in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

SAVE_EVERY_S = 150.0


class Watch:
    """Watches one run.

    Args:
        first: Its first step.
        steps: Of the whole run.
        stop_after_s: Stop after so many seconds.
        save: Writes a checkpoint after which the given step comes next.
        report: Told how it goes.
        began: When the time that may pass began, as ``time.monotonic`` tells it; now, if not given.
    """

    def __init__(
        self,
        first: int,
        steps: int,
        *,
        stop_after_s: float,
        save: Callable[[int], None],
        report: Callable[[str], None],
        began: float | None = None,
    ) -> None:
        self._first, self._steps, self._stop_after_s = first, steps, stop_after_s
        self._save, self._report = save, report
        self._entered = time.monotonic()
        self._began = self._saved = self._entered if began is None else began

    def say(self, step: int, losses: Sequence[float]) -> None:
        """Report a step with its cross-entropy, its regression error and its bit accuracy."""
        bce, mse, bits = losses
        pace = (time.monotonic() - self._entered) / (step - self._first + 1)
        self._report(f"step {step}/{self._steps} bce {bce:.4f} mse {mse:.4f} bits {bits:.4f} {pace:.3f} s/step")

    def keep(self, step: int) -> bool:
        """Save after a step if it is time to, or the last one; whether the run is out of time."""
        out_of_time = time.monotonic() - self._began > self._stop_after_s
        if time.monotonic() - self._saved > SAVE_EVERY_S or step == self._steps - 1 or out_of_time:
            self._saved = time.monotonic()
            self._save(step + 1)
        return out_of_time

    def say_stopped(self, step: int) -> None:
        """Report that the run stopped after a step, before its end."""
        self._report(f"stopped after step {step + 1} of {self._steps}; run the same command again to go on")
