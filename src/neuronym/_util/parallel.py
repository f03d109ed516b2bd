"""Parallel calls of a function, by threads or the joblib backend that the user has configured, and progress bars."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from numbers import Integral
from typing import Any, TypeVar

from neuronym._util.engines import active_engine, outcome_of, sent, share, with_values
from neuronym._util.messages import counted, warn
from neuronym.errors import OptionError, WorkerError

__all__ = [
    "StoppedWarning",
    "WorkerWarning",
    "check_n_jobs",
    "n_workers",
    "parallel_map",
    "progress_bar",
    "share",
]

ROUNDS = 3  # in which tasks run again whose worker was lost

Result = TypeVar("Result")
Piece = TypeVar("Piece")


class StoppedWarning(UserWarning):
    """Work was interrupted by Ctrl-C, and the result is what was finished until then."""


class WorkerWarning(UserWarning):
    """Workers were lost, and their tasks run again."""


def check_n_jobs(n_jobs: object) -> None:
    """Raise unless this is a valid number of workers."""
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise OptionError(
            f"n_jobs must be a whole number other than 0, or None, not {n_jobs!r}: use -1 for all processors"
        )


def n_workers(n_jobs: int | None) -> int:
    """The number of tasks that run at once."""
    from joblib import effective_n_jobs

    return int(effective_n_jobs(active_engine(n_jobs).n_jobs))


def parallel_map(
    function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None
) -> Iterator[Result]:
    """Yield the function's result for each set of arguments, in order, each as soon as it is ready.

    What is marked by ``share`` is sent once to each worker that is a process. If a backend loses such workers, the
    tasks whose results have not come run again, in up to ``ROUNDS`` further rounds.

    Raises
    ------
    WorkerError
        If tasks come back in no round.
    """
    engine = active_engine(n_jobs)
    if not engine.remote:
        yield from engine.run(with_values, ((function, *each) for each in arguments))
        return
    tasks, done = list(arguments), 0
    for remaining in range(ROUNDS, -1, -1):
        lost: Exception | None = None
        with ExitStack() as stack:
            try:
                send = stack.enter_context(engine.sharing())
                outcomes = engine.run(outcome_of, ((function, *sent(each, send)) for each in tasks[done:]))
                stack.callback(_close, outcomes)
            except Exception as error:
                lost = error
            while lost is None and done < len(tasks):
                try:
                    outcome = next(outcomes)
                except Exception as error:
                    lost = error
                else:
                    done += 1
                    yield outcome.get()
        if lost is None:
            return
        what = f"{counted(len(tasks) - done, 'task')} of {len(tasks)}"
        why = ": ".join([type(lost).__name__, *str(lost).strip().splitlines()[:1]])
        if not remaining:
            raise WorkerError(
                f"{what} (from number {done + 1} on) did not come back in {1 + ROUNDS} rounds, since workers were lost "
                f"({why}): look into the logs of the workers, and give them more memory or use fewer at once"
            ) from lost
        warn(f"workers were lost ({why}): {what} run again", WorkerWarning)


def _close(outcomes: Generator[Any, None, None]) -> None:
    """End what still runs; joblib warns that it is cancelled, which is what is wanted here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes.close()


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
