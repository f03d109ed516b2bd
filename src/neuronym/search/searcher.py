"""The search of a set of samples: by beam, by exact search, or both, in each direction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuronym.data.groups import SampleGroups
from neuronym.search.beam import Rules, SearchResult, search
from neuronym.search.optimal import Meetings, Tables, best_scores, improved
from neuronym.search.scores import AUC, GroupSums, Score
from neuronym.types import Direction

if TYPE_CHECKING:
    from neuronym.data.sparse import Block

__all__ = ["Searcher"]

Ints = NDArray[np.int64]


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

    def __call__(self, sums: Ints, terms: Ints | None = None) -> list[SearchResult]:
        """Search in each direction, from the score's weights summed by group (n_neurons, n_groups), and its terms."""
        return [self._search(*own) for own in self._by_direction(sums, terms)]

    def of_block(self, block: Block) -> tuple[list[SearchResult], GroupSums]:
        """Weigh a block of activations and search in each direction.

        Parameters
        ----------
        block : array or csc_array of shape (n_samples, n_neurons)
            Activations.

        Returns
        -------
        tuple of (list of SearchResult, GroupSums)
            The result in each direction, and the weights of the activations as they are.
        """
        weighed = self.score.weigh(block, self.groups)
        if self.score.mirrored or self.directions == ("high",):
            return self(weighed.sums, weighed.terms), weighed
        of_low = self.score.weigh(-block.astype(np.float64), self.groups)
        both = {"high": weighed, "low": of_low}
        return [self._search(both[d].sums, both[d].terms) for d in self.directions], weighed

    def best(self, sums: Ints, floor: float = -np.inf, terms: Ints | None = None) -> NDArray[np.float64]:
        """Find the best score of each neuron over all directions.

        Parameters
        ----------
        sums : int64 array of shape (n_neurons, n_groups)
            The score's weights, summed by group.
        floor : float, optional
            Scores below it may be −inf, since exact search sees early that nothing reaches it; that of a beam too, if
            it is ``bounded``.
        terms : int64 array of shape (n_neurons, 6), optional
            Those of the neurons, if the score has others for each.

        Returns
        -------
        float64 array of shape (n_neurons,)
            What is ranked; −inf where no formula was found.
        """
        return np.asarray(np.max([self._best(*own, floor) for own in self._by_direction(sums, terms)], axis=0))

    def _by_direction(self, sums: Ints, terms: Ints | None) -> list[tuple[Ints, Ints]]:
        if terms is None:
            terms = AUC().terms(self.groups.total, len(sums))
        return [(sums if d == "high" else self.score.turned(sums, self.groups), terms) for d in self.directions]

    def _search(self, sums: Ints, terms: Ints) -> SearchResult:
        found = search(sums, self.groups, self.rules, terms)
        if self.rules.search == "beam":
            return found
        return improved(found, sums, self._exact, terms)

    def _best(self, sums: Ints, terms: Ints, floor: float) -> NDArray[np.float64]:
        beam = self.rules.search == "beam"
        if self.meetings is None or (beam and floor == -np.inf):
            return self._search(sums, terms).best
        best, proven = best_scores(sums, self._exact, terms, floor)
        again = ~proven | (beam & (best > -np.inf))  # what is not proven hangs on where the search starts
        if again.any():
            best[again] = self._search(sums[again], terms[again]).best
        return best
