"""A bar on standard error: how much is done, how fast, and the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["watched"]

Part = TypeVar("Part")


def watched(
    parts: Iterable[Part], size: Callable[[Part], int], noun: str, total: int | None, done: int = 0
) -> Iterator[Part]:
    """Pass parts on while a bar shows how many of the things in them are done; ``done`` were so before."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(noun + ", {task.fields[rate]}, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, completed=done, rate="–/s")
        for part in parts:
            yield part
            bar.update(task, advance=size(part))
            progressed = bar.tasks[0]
            speed = (progressed.completed - done) / max(progressed.elapsed or 0.0, 1e-3)
            bar.update(task, rate=f"{speed:.0f}/s")
