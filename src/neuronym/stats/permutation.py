"""The null of a search, by permutation: what it finds where a neuron has nothing to do with the concepts.

When activations have nothing to do with concepts, every way to deal a neuron's activations out to the samples is as
likely as any other. So the search is run on permuted activations: the share of permutations whose best AUC is at least
as high as the neuron's own is the p-value of the *whole search*, ``p_search``. It depends on the activations only
through their midranks: neurons whose midranks are the same when sorted (all those without ties) share one null.

Real activations without ties are rare: among 10,000 float32 numbers a few are equal by chance. Where ties are so few
that they can hardly change an AUC, they are broken at random, the neuron is searched once more, and that AUC is
compared with the null of neurons without ties: an exact test, of a neuron that differs by less than one can see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted
from neuronym._util.parallel import n_workers, parallel_map, progress_bar
from neuronym.data.activations import Activations
from neuronym.search.beam import Searcher
from neuronym.stats.exchange import ExchangeBlocks
from neuronym.stats.significance import FARTHEST, pareto_tail

__all__ = ["Nulls", "PermutationTest", "null_scores"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CHUNK = 64  # permutations of one stream of random numbers, searched at a time
_TILE = 2**21  # random numbers drawn at a time
_HOPELESS = 20  # a neuron that so many permutations beat is given up
_FEW = 10  # exceedances below which the tail stands in
_PERMUTATION = 3  # stream of random numbers
_NEURONS = 4  # neurons with nulls of their own in a task
_UNTYING = 4  # stream of random numbers
_UNSEEN = 1e-4  # how much breaking ties may change an AUC


@dataclass
class Nulls:
    """What permutations say of each neuron, filled as they are done.

    Parameters
    ----------
    p : float64, shape (n_neurons, n_directions)
        NaN where there is no formula, or not yet a permutation.
    permutations : int64, shape (n_neurons,)
        How many were searched.
    tail : bool, shape (n_neurons, n_directions)
        Where p comes from a fitted tail.
    """

    p: Floats
    permutations: Ints
    tail: NDArray[np.bool_]

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Nulls:
        """Nothing said yet, for (n_neurons, n_directions)."""
        return cls(np.full(shape, np.nan), np.zeros(shape[0], np.int64), np.zeros(shape, np.bool_))


def null_scores(
    values: Ints, exchange: ExchangeBlocks, searcher: Searcher, seed: tuple[int, ...], chunk: int, n: int
) -> Floats:
    """The best score of each of n permutations, those of one chunk: float64, shape (n,).

    Parameters
    ----------
    values : int64, shape (n_rows,)
        The score's weights of one neuron, times the sample weights, in the order of ``exchange_blocks``.
    seed : tells streams of random numbers apart; each chunk of each is one
    """
    from neuronym.stats.resample_kernels import permuted_sums

    groups, n_clusters = searcher.groups, len(exchange.cluster_ptr) - 1
    row_groups, places = groups.row_groups[exchange.order], np.empty(n_clusters, np.int64)
    rng = np.random.default_rng([_PERMUTATION, *seed, chunk])
    best = np.empty(n)
    width = max(1, _TILE // n_clusters)
    for start in range(0, n, width):
        stop = min(start + width, n)
        uniform = rng.random((stop - start, n_clusters))
        sums = np.empty((stop - start, groups.n_groups), np.int64)
        permuted_sums(values, row_groups, exchange.cluster_ptr, exchange.class_ptr, uniform, places, sums)
        best[start:stop] = searcher.best(sums)
    return best


@dataclass(frozen=True)
class PermutationTest:
    """The permutation test of the search, for the neurons of one layer.

    Parameters
    ----------
    taken : the activations
    columns : the neurons' columns of them
    searcher : the search that found what is tested
    exchange : which samples trade places
    shared, own : how many permutations for a null that neurons share, and at most for one of a single neuron
    seed : of the random numbers
    tail : whether a fitted tail stands in where few permutations are as good
    n_jobs, progress : as in ``label``
    known : best scores of nulls that are done, by what they depend on; those of this layer are added
    """

    taken: Activations
    columns: NDArray[np.intp]
    searcher: Searcher
    exchange: ExchangeBlocks
    shared: int
    own: int
    seed: int = 0
    tail: bool = False
    n_jobs: int | None = None
    progress: bool = False
    known: dict[int, Floats] = field(default_factory=dict)

    def run(self, observed: Floats, ties: Floats, nulls: Nulls) -> None:
        """Test every neuron, into ``nulls``, which holds what is done if this is stopped.

        Parameters
        ----------
        observed : float64, shape (n_neurons, n_directions)
            The best AUC of each; −inf where there is none.
        ties : float64, shape (n_neurons,)
            Σ t³ − t over runs of t equal activations.
        """
        wanted = np.flatnonzero(np.isfinite(observed).any(axis=1))
        free, compared = self.exchange.free, observed.copy()
        none = wanted[ties[wanted] <= self._few_ties()] if free else wanted[:0]
        for js, best in self._blocks(_untied, none[ties[none] > 0], self.searcher, self.seed):
            compared[js] = np.where(np.isfinite(observed[js]), best, -np.inf)
        together = [(2 * np.arange(1, self.searcher.groups.total + 1), none)] if len(none) else []
        rest = np.setdiff1d(wanted, none)
        # With strata or clusters, the same stratum or cluster holds other values in each neuron.
        together += self._same(rest, ties) if free else []
        for values, members in together:
            self._share(values, members, compared, nulls)
        alone = np.setdiff1d(wanted, np.concatenate([wanted[:0], *(members for _, members in together)]))
        given = (self.searcher, self.exchange, self.own, self.seed, self.tail)
        n_blocks = max(len(alone) // _NEURONS, 4 * n_workers(self.n_jobs))
        tested = self._blocks(_alone, alone, *given, of_neuron=observed, n_blocks=n_blocks)
        if self.progress and len(alone):
            tested = progress_bar(tested, lambda done: len(done[0]), "neurons, each permuted", len(alone))
        for js, own in tested:
            nulls.p[js], nulls.permutations[js], nulls.tail[js] = own.p, own.permutations, own.tail

    def _few_ties(self) -> float:
        """Up to which Σ t³ − t ties are few.

        Then breaking them changes the AUC of no formula that is true, and false, for at least ``min_count`` samples by
        more than 10⁻⁴. The tie of t samples changes U by at most t²/8 ≤ (t³ − t)/12; and each of the n samples on the
        smaller side of a formula by at most (t − 1)/2, and so an AUC by at most (t − 1)/N.
        """
        groups = self.searcher.groups
        if groups.row_weights.max() > 1:
            return -1.0
        least = min(self.searcher.rules.min_count, groups.total // 2)
        return float(max(12 * _UNSEEN * least * (groups.total - least), (_UNSEEN * groups.total) ** 3))

    def _same(self, chosen: NDArray[np.intp], ties: Floats) -> list[tuple[Ints, NDArray[np.intp]]]:
        """Of chosen neurons, those that share a null with another, by null, with its values."""
        _, which, times = np.unique(ties[chosen], return_inverse=True, return_counts=True)
        likely = chosen[times[which] > 1]  # as many ties: perhaps the same ones
        members: dict[int, list[int]] = {}
        for js, digests in self._blocks(_digests, likely, self.searcher):
            for j, digest in zip(js.tolist(), digests, strict=True):
                members.setdefault(digest, []).append(j)
        return [
            (np.sort(_values(self.taken, self.columns[js[:1]], self.searcher)[0]), np.array(js, np.intp))
            for js in members.values()
            if len(js) > 1
        ]

    def _share(self, values: Ints, members: NDArray[np.intp], compared: Floats, nulls: Nulls) -> None:
        """Test neurons that share the null of these values; stopped, with the permutations that are done."""
        key, n = (self.seed, _digest(values)), self.shared
        null = self._depends_on(values)
        done: list[Floats] = [self.known[null]] if null in self.known else []
        if not done:
            tasks = (
                (values, self.exchange, self.searcher, key, chunk, min(_CHUNK, n - start))
                for chunk, start in enumerate(range(0, n, _CHUNK))
            )
            parts = parallel_map(null_scores, tasks, self.n_jobs)
            if self.progress:
                parts = progress_bar(parts, len, f"permutations for {counted(len(members), 'neuron')}", n)
            try:
                for part in parts:
                    done.append(part)
                self.known[null] = np.concatenate(done)
            except KeyboardInterrupt:
                if done:
                    _compare(np.concatenate(done), members, compared, nulls, self.tail)
                raise
        _compare(np.concatenate(done), members, compared, nulls, self.tail)

    def _depends_on(self, values: Ints) -> int:
        """A number for all that a shared null depends on, so that layers of one data set share it too."""
        groups, searcher = self.searcher.groups, self.searcher
        told = hashlib.blake2b(
            repr((searcher.rules, searcher.directions, self.shared, self.seed)).encode(), digest_size=8
        )
        for array in (values, groups.row_groups, groups.counts, groups.group_ptr, groups.group_concepts):
            told.update(np.ascontiguousarray(array).data)
        return int.from_bytes(told.digest(), "little")

    def _blocks(
        self,
        function: Callable[..., Any],
        chosen: NDArray[np.intp],
        *given: Any,
        of_neuron: Floats | None = None,
        n_blocks: int | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], Any]]:
        """Call a function for blocks of chosen neurons: activations, columns, what is of each neuron, what is given."""
        bare = Activations(self.taken.matrix)  # a task needs no ids
        places = bare.cut(self.columns[chosen], n_blocks or 4 * n_workers(self.n_jobs))
        blocks = [chosen[own] for own in places]
        tasks = ((bare, self.columns[js], *([] if of_neuron is None else [of_neuron[js]]), *given) for js in blocks)
        return zip(blocks, parallel_map(function, tasks, self.n_jobs), strict=True)


def _untied(bare: Activations, columns: NDArray[np.intp], searcher: Searcher, seed: int) -> Floats:
    """The best score of neurons whose ties are broken at random: float64, shape (n_neurons, n_directions)."""
    groups = searcher.groups
    block = groups.used(bare.block(columns))
    places = np.empty(block.shape, np.int64)
    for j, column in enumerate(block.T):
        rng = np.random.default_rng([_UNTYING, seed, _digest(column)])
        places[np.lexsort((rng.random(len(column)), column)), j] = np.arange(len(column))
    sums = searcher.score.weigh(places, replace(groups, rows=None)).sums
    return np.stack([found.best for found in searcher(sums)], axis=1)


def _values(bare: Activations, columns: NDArray[np.intp], searcher: Searcher) -> Ints:
    """The score's weight of every sample, times its own: int64, shape (n_neurons, n_rows)."""
    return searcher.score.weigh(bare.block(columns), searcher.groups.apart()).sums


def _digests(bare: Activations, columns: NDArray[np.intp], searcher: Searcher) -> list[int]:
    return [_digest(row) for row in np.sort(_values(bare, columns, searcher), axis=1)]


def _digest(values: NDArray[np.generic]) -> int:
    return int.from_bytes(hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=8).digest(), "little")


def _compare(scores: Floats, members: NDArray[np.intp], observed: Floats, nulls: Nulls, tail: bool) -> None:
    """Compare the neurons of one null with it."""
    ordered = np.sort(scores)
    beaten = len(scores) - np.searchsorted(ordered, observed[members], "left")
    nulls.permutations[members] = len(scores)
    p = (1 + beaten) / (1 + len(scores))
    far = (beaten < _FEW) & np.isfinite(observed[members])
    if tail and far.any():
        fitted = np.maximum(pareto_tail(ordered, observed[members][far]), FARTHEST / (1 + len(scores)))
        p[far] = np.where(np.isfinite(fitted), fitted, p[far])
        far[far] = np.isfinite(fitted)
        nulls.tail[members] = far
    nulls.p[members] = np.where(np.isfinite(observed[members]), p, np.nan)


def _alone(
    bare: Activations,
    columns: NDArray[np.intp],
    observed: Floats,
    searcher: Searcher,
    exchange: ExchangeBlocks,
    most: int,
    seed: int,
    tail: bool,
) -> Nulls:
    """The tests of neurons that each have a null of their own, stopped early where they are hopeless.

    As Besag and Clifford (1991): where the h-th permutation that is at least as good comes at place l, p is h / l.
    """
    found = Nulls.none(observed.shape)
    every = np.ascontiguousarray(_values(bare, columns, searcher)[:, exchange.order])
    if exchange.free:
        every.sort(axis=1)  # so that the numbers do not depend on the order of the samples
    for j, values in enumerate(every):
        key, scores = (seed, _digest(values)), np.empty(0)
        wanted = observed[j][np.isfinite(observed[j])]
        for chunk, start in enumerate(range(0, most, _CHUNK)):
            more = null_scores(values, exchange, searcher, key, chunk, min(_CHUNK, most - start))
            scores = np.concatenate([scores, more])
            if all(np.count_nonzero(scores >= own) >= _HOPELESS for own in wanted):
                break
        if len(scores) == most:
            _compare(scores, np.array([j]), observed, found, tail)
        found.permutations[j] = len(scores)
        for d, own in enumerate(observed[j]):
            at = np.flatnonzero(scores >= own)[:_HOPELESS]
            if np.isfinite(own) and len(at) == _HOPELESS:
                found.p[j, d] = _HOPELESS / (at[-1] + 1)
    return found
