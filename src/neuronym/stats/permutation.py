"""The null distribution of a search, by permutation: what it finds if a neuron is unrelated to the concepts.

If activations are unrelated to concepts, every assignment of a neuron's activations to the samples is equally likely.
So the search is run on permuted activations: the share of permutations whose best AUC is at least as high as the
neuron's own is the p-value of the *whole search*, ``p_search``. It depends on the activations only through their
midranks: neurons with the same sorted midranks (such as all those without ties) share one null.

Real activations without ties are rare: among 10,000 float32 numbers a few are equal by chance. If ties are so few that
they can hardly change an AUC, they are broken at random, the neuron is searched once more, and that AUC is compared
with the null of neurons without ties: an exact test of a neuron that differs negligibly.
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
from neuronym.search.searcher import Searcher
from neuronym.stats.exchange import ExchangeBlocks
from neuronym.stats.significance import FARTHEST, pareto_tail

__all__ = ["Nulls", "PermutationTest", "null_scores"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CHUNK = 64  # permutations from one stream of random numbers, searched at a time
_TILE = 2**21  # random numbers drawn at a time
_HOPELESS = 20  # stop testing a neuron once this many permutations reach its AUC
_FEW = 10  # use the fitted tail if fewer permutations reach the AUC
_PERMUTATION = 3  # stream of random numbers
_NEURONS = 4  # neurons with nulls of their own per task
_UNTYING = 4  # stream of random numbers
_NEGLIGIBLE = 1e-4  # how much breaking ties may change an AUC


@dataclass
class Nulls:
    """The results of the permutation test of each neuron, filled in as they arrive.

    Parameters
    ----------
    p : float64 array of shape (n_neurons, n_directions)
        The p-values; NaN without a formula, or before the neuron is tested.
    permutations : int64 array of shape (n_neurons, n_directions)
        The number of permutations that p comes from: those searched, or fewer where the test stopped early.
    tail : bool array of shape (n_neurons, n_directions)
        Whether p comes from a fitted tail.
    """

    p: Floats
    permutations: Ints
    tail: NDArray[np.bool_]

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Nulls:
        """Make empty results.

        Parameters
        ----------
        shape : tuple of (int, int)
            The numbers of neurons and of directions.

        Returns
        -------
        Nulls
            Results with p NaN and no permutations.
        """
        return cls(np.full(shape, np.nan), np.zeros(shape, np.int64), np.zeros(shape, np.bool_))


def null_scores(
    values: Ints,
    exchange: ExchangeBlocks,
    searcher: Searcher,
    seed: tuple[int, ...],
    chunk: int,
    n: int,
    floor: float = -np.inf,
) -> Floats:
    """Search permutations of one neuron, those of one chunk.

    Parameters
    ----------
    values : int64 array of shape (n_rows,)
        The score's weights of the neuron, times the sample weights, in the order of ``exchange``.
    exchange : ExchangeBlocks
        Which samples may trade places.
    searcher : Searcher
        The search to repeat.
    seed : tuple of int
        Identifies a stream of random numbers, together with ``chunk``.
    chunk : int
        The number of the chunk.
    n : int
        The number of permutations.
    floor : float, default -inf
        Scores below it may be returned as −inf, which saves an exact search most of its time.

    Returns
    -------
    float64 array of shape (n,)
        The best score of each permutation.
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
        best[start:stop] = searcher.best(sums, floor)
    return best


@dataclass(frozen=True)
class PermutationTest:
    """The permutation test of the search, for the neurons of one layer.

    Parameters
    ----------
    activations : Activations
        The activations of the layer.
    columns : int array of shape (n_neurons,)
        The columns of the neurons to test.
    searcher : Searcher
        The search that found the formulas to test.
    exchange : ExchangeBlocks
        Which samples may trade places.
    shared, own : int
        The number of permutations for a null that neurons share, and the maximum for the null of a single neuron.
    seed : int, default 0
        The seed of the random numbers.
    tail : bool, default False
        Whether to use a fitted tail if fewer than 10 permutations reach the AUC.
    n_jobs : int or None, default None
        The number of workers, as for ``neuronym.label``.
    progress : bool, default False
        Whether to show a progress bar.
    floor : float, default -inf
        The lowest best score that any shared null is compared with.
    known : dict from int to float64 array
        The best scores of nulls computed earlier, by a hash of what they depend on; those of this layer are added.
    """

    activations: Activations
    columns: NDArray[np.intp]
    searcher: Searcher
    exchange: ExchangeBlocks
    shared: int
    own: int
    seed: int = 0
    tail: bool = False
    n_jobs: int | None = None
    progress: bool = False
    floor: float = -np.inf
    known: dict[int, Floats] = field(default_factory=dict)

    def run(self, observed: Floats, ties: Floats, nulls: Nulls) -> None:
        """Test every neuron and write the results into ``nulls``, which keeps the finished ones on interruption.

        Parameters
        ----------
        observed : float64 array of shape (n_neurons, n_directions)
            The best AUC of each neuron; −inf without a formula.
        ties : float64 array of shape (n_neurons,)
            Σ t³ − t over the runs of t equal activations.
        nulls : Nulls
            Receives the results.
        """
        tested = np.flatnonzero(np.isfinite(observed).any(axis=1))
        free, compared = self.exchange.free, observed.copy()
        untied = tested[ties[tested] <= self._few_ties()] if free else tested[:0]
        for js, best in self._blocks(_best_without_ties, untied[ties[untied] > 0], self.searcher, self.seed):
            compared[js] = np.where(np.isfinite(observed[js]), best, -np.inf)
        together = [(2 * np.arange(1, self.searcher.groups.total + 1), untied)] if len(untied) else []
        rest = np.setdiff1d(tested, untied)
        # With strata or clusters, neurons share no null: a stratum or cluster has other values in each.
        together += self._with_equal_ties(rest, ties) if free else []
        for values, members in together:
            self._test_together(values, members, compared, nulls)
        alone = np.setdiff1d(tested, np.concatenate([tested[:0], *(members for _, members in together)]))
        settings = (self.searcher, self.exchange, self.own, self.seed, self.tail)
        n_blocks = max(len(alone) // _NEURONS, 4 * n_workers(self.n_jobs))
        results = self._blocks(_test_alone, alone, *settings, of_neuron=observed, n_blocks=n_blocks)
        if self.progress and len(alone):
            results = progress_bar(results, lambda done: len(done[0]), "neurons permuted one by one", len(alone))
        for js, found in results:
            nulls.p[js], nulls.permutations[js], nulls.tail[js] = found.p, found.permutations, found.tail

    def _few_ties(self) -> float:
        """The largest Σ t³ − t at which ties are negligible.

        Breaking them then changes no AUC by more than 10⁻⁴, for formulas that are true and false of at least
        ``min_count`` samples: a tie of t samples changes U by at most t²/8 ≤ (t³ − t)/12; and it changes the rank of
        each of the n samples on the smaller side of a formula by at most (t − 1)/2, and so an AUC by at most (t − 1)/N.
        """
        groups = self.searcher.groups
        if groups.row_weights.max() > 1:
            return -1.0
        least = min(self.searcher.rules.min_count, groups.total // 2)
        return float(max(12 * _NEGLIGIBLE * least * (groups.total - least), (_NEGLIGIBLE * groups.total) ** 3))

    def _with_equal_ties(self, chosen: NDArray[np.intp], ties: Floats) -> list[tuple[Ints, NDArray[np.intp]]]:
        """The sets of two or more of the chosen neurons that share a null, each with the sorted values."""
        _, which, times = np.unique(ties[chosen], return_inverse=True, return_counts=True)
        likely = chosen[times[which] > 1]  # equal sums of ties suggest equal ties
        members: dict[int, list[int]] = {}
        for js, digests in self._blocks(_digests, likely, self.searcher):
            for j, digest in zip(js.tolist(), digests, strict=True):
                members.setdefault(digest, []).append(j)
        return [
            (np.sort(_values(self.activations, self.columns[js[:1]], self.searcher)[0]), np.array(js, np.intp))
            for js in members.values()
            if len(js) > 1
        ]

    def _test_together(self, values: Ints, members: NDArray[np.intp], compared: Floats, nulls: Nulls) -> None:
        """Test neurons that share the null of these values; on interruption, with the permutations done so far."""
        key, n = (self.seed, _digest(values)), self.shared
        floor = self._lowest(compared[members])
        null = self._depends_on(values, floor)
        done: list[Floats] = [self.known[null]] if null in self.known else []
        if not done:
            tasks = (
                (values, self.exchange, self.searcher, key, chunk, min(_CHUNK, n - start), floor)
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

    def _lowest(self, compared: Floats) -> float:
        """The lowest score that matters: breaking ties may have moved one, and a tail is fitted to the whole null."""
        finite = compared[np.isfinite(compared)]
        return -np.inf if self.tail else min(self.floor - 2 * _NEGLIGIBLE, float(finite.min(initial=np.inf)))

    def _depends_on(self, values: Ints, floor: float) -> int:
        """A hash of all that a shared null depends on, so that layers of one data set share it too."""
        groups, searcher = self.searcher.groups, self.searcher
        digest = hashlib.blake2b(
            repr((searcher.rules, searcher.directions, self.shared, self.seed, floor)).encode(), digest_size=8
        )
        for array in (values, groups.row_groups, groups.counts, groups.group_ptr, groups.group_concepts):
            digest.update(np.ascontiguousarray(array).data)
        return int.from_bytes(digest.digest(), "little")

    def _blocks(
        self,
        function: Callable[..., Any],
        chosen: NDArray[np.intp],
        *arguments: Any,
        of_neuron: Floats | None = None,
        n_blocks: int | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], Any]]:
        """Call a function on blocks of chosen neurons: with activations, columns, values per neuron, and arguments."""
        bare = Activations(self.activations.matrix)  # a task needs no ids
        places = bare.cut(self.columns[chosen], n_blocks or 4 * n_workers(self.n_jobs))
        blocks = [chosen[block] for block in places]
        tasks = ((bare, self.columns[js], *([] if of_neuron is None else [of_neuron[js]]), *arguments) for js in blocks)
        return zip(blocks, parallel_map(function, tasks, self.n_jobs), strict=True)


def _best_without_ties(bare: Activations, columns: NDArray[np.intp], searcher: Searcher, seed: int) -> Floats:
    """The best scores after breaking ties at random, float64 of shape (n_neurons, n_directions)."""
    groups = searcher.groups
    block = groups.select_rows(bare.block(columns))
    places = np.empty(block.shape, np.int64)
    for j, column in enumerate(block.T):
        rng = np.random.default_rng([_UNTYING, seed, _digest(column)])
        places[np.lexsort((rng.random(len(column)), column)), j] = np.arange(len(column))
    sums = searcher.score.weigh(places, replace(groups, rows=None)).sums
    return np.stack([found.best for found in searcher(sums)], axis=1)


def _values(bare: Activations, columns: NDArray[np.intp], searcher: Searcher) -> Ints:
    """The score's weight of each sample, times the sample weight, int64 of shape (n_neurons, n_rows)."""
    return searcher.score.weigh(bare.block(columns), searcher.groups.apart()).sums


def _digests(bare: Activations, columns: NDArray[np.intp], searcher: Searcher) -> list[int]:
    """A hash of each neuron's sorted values; neurons with equal hashes share a null."""
    return [_digest(row) for row in np.sort(_values(bare, columns, searcher), axis=1)]


def _digest(values: NDArray[np.generic]) -> int:
    """A hash of an array."""
    return int.from_bytes(hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=8).digest(), "little")


def _compare(scores: Floats, members: NDArray[np.intp], observed: Floats, nulls: Nulls, tail: bool) -> None:
    """Compare the neurons that share a null with its scores, and write the results into ``nulls``."""
    ordered = np.sort(scores)
    reached = len(scores) - np.searchsorted(ordered, observed[members], "left")
    nulls.permutations[members] = len(scores)
    p = (1 + reached) / (1 + len(scores))
    far = (reached < _FEW) & np.isfinite(observed[members])
    if tail and far.any():
        fitted = np.maximum(pareto_tail(ordered, observed[members][far]), FARTHEST / (1 + len(scores)))
        p[far] = np.where(np.isfinite(fitted), fitted, p[far])
        far[far] = np.isfinite(fitted)
        nulls.tail[members] = far
    nulls.p[members] = np.where(np.isfinite(observed[members]), p, np.nan)


def _test_alone(
    bare: Activations,
    columns: NDArray[np.intp],
    observed: Floats,
    searcher: Searcher,
    exchange: ExchangeBlocks,
    most: int,
    seed: int,
    tail: bool,
) -> Nulls:
    """Test neurons that each have a null of their own, and stop early for those that are hopeless.

    As in Besag and Clifford (1991): if the h-th permutation to reach the AUC is the l-th of all, p is h / l.
    """
    found = Nulls.none(observed.shape)
    every = np.ascontiguousarray(_values(bare, columns, searcher)[:, exchange.order])
    if exchange.free:
        every.sort(axis=1)  # so that results do not depend on the order of the samples
    for j, values in enumerate(every):
        key, scores = (seed, _digest(values)), np.empty(0)
        aucs = observed[j][np.isfinite(observed[j])]
        floor = -np.inf if tail else float(aucs.min())
        for chunk, start in enumerate(range(0, most, _CHUNK)):
            more = null_scores(values, exchange, searcher, key, chunk, min(_CHUNK, most - start), floor)
            scores = np.concatenate([scores, more])
            if all(np.count_nonzero(scores >= auc) >= _HOPELESS for auc in aucs):
                break
        if len(scores) == most:
            _compare(scores, np.array([j]), observed, found, tail)
        found.permutations[j] = len(scores)
        for d, auc in enumerate(observed[j]):
            at = np.flatnonzero(scores >= auc)[:_HOPELESS]
            if np.isfinite(auc) and len(at) == _HOPELESS:
                found.permutations[j, d] = at[-1] + 1
                found.p[j, d] = _HOPELESS / found.permutations[j, d]
    return found
