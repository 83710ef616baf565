"""The progress bar: what is done, how fast, and how long it will still take. Imported only where one is shown."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class RateColumn(ProgressColumn):
    """Steps in a second."""

    def render(self, task: Task) -> Text:
        """The rate of the last seconds, or a dash while nothing is known."""
        speed = task.finished_speed or task.speed
        return Text("-/s" if speed is None else f"{speed:.1f}/s")


class BarTicker:
    """Passes steps on to a bar."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def advance(self, steps: int = 1) -> None:
        """``steps`` more are done."""
        self._bar.advance(self._task, steps)

    def update(self, done: int, total: int | None = None) -> None:
        """``done`` in all are done."""
        if total is None:
            self._bar.update(self._task, completed=done)
        else:
            self._bar.update(self._task, completed=done, total=total)


def build_bar(console: Console, label: str, total: int | None) -> tuple[Progress, BarTicker]:
    """A bar that disappears when it is done, and what to report steps to."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    return bar, BarTicker(bar, bar.add_task(label, total=total))
