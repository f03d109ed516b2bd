"""Tasks for joblib: many calls of one function, by threads, or by whatever engine the user has set up around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

__all__ = ["StoppedWarning", "in_order", "n_workers"]

Result = TypeVar("Result")


class StoppedWarning(UserWarning):
    """Work was stopped by Ctrl-C, and what was done until then is given."""


def n_workers(n_jobs: int | None) -> int:
    """How many tasks are worked on at once."""
    from joblib import effective_n_jobs

    return int(effective_n_jobs(n_jobs))


def in_order(
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
