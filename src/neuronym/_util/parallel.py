"""Many calls of one function, by threads or whatever engine of joblib the user has set up around them; and a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from typing import Any, TypeVar

from neuronym.errors import OptionError

__all__ = ["StoppedWarning", "check_n_jobs", "n_workers", "parallel_map", "progress_bar"]

Result = TypeVar("Result")
Piece = TypeVar("Piece")


class StoppedWarning(UserWarning):
    """Work was stopped by Ctrl-C, and what was done until then is given."""


def check_n_jobs(n_jobs: object) -> None:
    """Refuse what is no number of workers."""
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise OptionError(f"n_jobs must be a whole number other than 0, or None, not {n_jobs!r}: -1 is all processors")


def n_workers(n_jobs: int | None) -> int:
    """How many tasks are worked on at once."""
    from joblib import effective_n_jobs

    return int(effective_n_jobs(n_jobs))


def parallel_map(
    function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None
) -> Iterator[Result]:
    """Give what the function returns for each set of arguments, in their order, each as soon as it is there."""
    from joblib import Parallel, delayed

    tasks = (delayed(function)(*each) for each in arguments)
    try:
        # As they are done, so that the caller can go on with one while others are worked on.
        run = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    except ValueError:  # some backends give lists alone
        run = Parallel(n_jobs=n_jobs, prefer="threads")
    yield from run(tasks)


def progress_bar(
    parts: Iterable[Piece], size: Callable[[Piece], int], noun: str, total: int | None, done: int = 0
) -> Iterator[Piece]:
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
