"""The search of a set of samples: by beam, by exact search, or both, in each direction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neuronym.data.groups import SampleGroups
from neuronym.search.beam import Rules, SearchResult, search
from neuronym.search.optimal import Meetings, Tables, best_scores, improved
from neuronym.search.scores import AUC, Score
from neuronym.types import Direction

__all__ = ["Searcher"]


@dataclass(frozen=True)
class Searcher:
    """A search, with all of it that does not depend on the neuron.

    Parameters
    ----------
    groups : SampleGroups
        The samples, grouped by equal concepts.
    rules : Rules
        Which formulas are searched.
    directions : tuple of {"high", "low"}, default ("high",)
        Whether neurons are to be high or low inside their formula.
    score : Score
        What formulas are ranked by; AUC by default.
    meetings : Meetings or None
        Which concepts meet, where that is known from another search over the same groups.
    """

    groups: SampleGroups
    rules: Rules
    directions: tuple[Direction, ...] = ("high",)
    score: Score = field(default_factory=AUC)
    meetings: Meetings | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.rules.search == "beam":
            return
        length = min(self.rules.length, 3)
        if self.meetings is None or self.meetings.length != length:
            object.__setattr__(self, "meetings", Meetings(self.groups, length))

    @cached_property
    def table(self) -> NDArray[np.float64]:
        """The score's offset and scale by count: float64 array of shape (N + 1, 2)."""
        return self.score.table(self.groups.total)

    @cached_property
    def _exact(self) -> Tables:
        assert self.meetings is not None
        return Tables(self.meetings, self.groups, self.rules)

    def prepare(self) -> None:
        """Compute what neurons share, before threads ask for it, and compile.

        Raises
        ------
        OptionError
            If ``search="optimal"`` asks for more than tables can hold.
        """
        from neuronym.search import beam_kernels, rank_kernels  # noqa: F401

        if self.rules.search != "beam":
            self._exact.prepare()

    def bounded(self) -> Searcher:
        """Return the same search with what it takes to see early that nothing reaches a floor.

        Returns
        -------
        Searcher
            Finds the same formulas. Made for thousands of neurons, since the tables of exact search are computed.
        """
        if self.meetings is not None:
            return self
        same = replace(self, meetings=Meetings(self.groups, min(self.rules.length, 3)))
        same._exact.prepare()
        return same

    def __call__(self, sums: NDArray[np.int64]) -> list[SearchResult]:
        """Search in each direction, from the score's weights summed by group (n_neurons, n_groups)."""
        return [self._search(own) for own in self._by_direction(sums)]

    def best(self, sums: NDArray[np.int64], floor: float = -np.inf) -> NDArray[np.float64]:
        """Find the best score of each neuron over all directions.

        Parameters
        ----------
        sums : int64 array of shape (n_neurons, n_groups)
            The score's weights, summed by group.
        floor : float, optional
            Scores below it may be −inf, since exact search sees early that nothing reaches it; that of a beam too, if
            it is ``bounded``.

        Returns
        -------
        float64 array of shape (n_neurons,)
            −inf where no formula was found.
        """
        return np.asarray(np.max([self._best(own, floor) for own in self._by_direction(sums)], axis=0))

    def _by_direction(self, sums: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [sums if d == "high" else self.score.turned(sums, self.groups) for d in self.directions]

    def _search(self, sums: NDArray[np.int64]) -> SearchResult:
        found = search(sums, self.groups, self.rules, self.table)
        if self.rules.search == "beam":
            return found
        return improved(found, sums, self._exact, self.table)

    def _best(self, sums: NDArray[np.int64], floor: float) -> NDArray[np.float64]:
        beam = self.rules.search == "beam"
        if self.meetings is None or (beam and floor == -np.inf):
            return self._search(sums).best
        best, proven = best_scores(sums, self._exact, self.table, floor)
        again = ~proven | (beam & (best > -np.inf))  # what is not proven hangs on where the search starts
        if again.any():
            best[again] = self._search(sums[again]).best
        return best
