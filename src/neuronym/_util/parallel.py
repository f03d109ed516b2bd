"""Parallel calls of a function, by threads or the joblib backend that the user has configured, and progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from typing import Any, TypeVar

from neuronym.errors import OptionError

__all__ = ["StoppedWarning", "check_n_jobs", "n_workers", "parallel_map", "progress_bar"]

Result = TypeVar("Result")
Piece = TypeVar("Piece")


class StoppedWarning(UserWarning):
    """Work was interrupted by Ctrl-C, and the result is what was finished until then."""


def check_n_jobs(n_jobs: object) -> None:
    """Raise unless this is a valid number of workers."""
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise OptionError(
            f"n_jobs must be a whole number other than 0, or None, not {n_jobs!r}: use -1 for all processors"
        )


def n_workers(n_jobs: int | None) -> int:
    """The number of tasks that run at once."""
    from joblib import effective_n_jobs

    return int(effective_n_jobs(n_jobs))


def parallel_map(
    function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None
) -> Iterator[Result]:
    """Yield the function's result for each set of arguments, in order, each as soon as it is ready."""
    from joblib import Parallel, delayed

    tasks = (delayed(function)(*each) for each in arguments)
    try:
        # A generator lets the caller use one result while others are computed.
        run = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    except ValueError:  # some backends can only return lists
        run = Parallel(n_jobs=n_jobs, prefer="threads")
    yield from run(tasks)


def progress_bar(
    parts: Iterable[Piece], size: Callable[[Piece], int], noun: str, total: int | None, done: int = 0
) -> Iterator[Piece]:
    """Yield parts while a bar shows how many of the items in them are done, starting at ``done``."""
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
            state = bar.tasks[0]
            speed = (state.completed - done) / max(state.elapsed or 0.0, 1e-3)
            bar.update(task, rate=f"{speed:.0f}/s")
