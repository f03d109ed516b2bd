"""The null distribution of a search, by permutation: what it finds if a neuron is unrelated to the concepts.

If activations are unrelated to concepts, every assignment of a neuron's activations to the samples is equally likely.
So the search is run on permuted activations: the share of permutations whose best AUC is at least as high as the
neuron's own is the p-value of the *whole search*, ``p_search``. It depends on the activations only through their
midranks: neurons with the same sorted midranks (such as all those without ties) share one null.

Neurons with ties hardly ever share sorted midranks, so ties are broken at random down to one of a few patterns
(``neuronym.stats.ladder``), the neuron is searched once more, and that AUC is compared with the null of the pattern: an
exact test of a neuron that differs little. The same permutations serve the nulls of all patterns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted, warn
from neuronym._util.parallel import n_workers, parallel_map, progress_bar, share
from neuronym.data.activations import Activations
from neuronym.data.sparse import column, extremes
from neuronym.search.scores import AUC
from neuronym.search.searcher import Searcher
from neuronym.stats.exchange import ExchangeBlocks
from neuronym.stats.ladder import Ladder
from neuronym.stats.significance import FARTHEST, pareto_tail

__all__ = ["Nulls", "PermutationTest", "null_scores"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CHUNK = 64  # permutations from one stream of random numbers, searched at a time
_TILE = 2**21  # random numbers drawn at a time
_VALUES = 2**23  # values of samples held at a time
_HOPELESS = 20  # stop testing a neuron once this many permutations reach its AUC
_FEW = 10  # use the fitted tail if fewer permutations reach the AUC
_PERMUTATION = 3  # stream of random numbers
_NEURONS = 4  # neurons with nulls of their own per task
_UNTYING = 4  # stream of random numbers
_LOWERED = 0.01  # scores that much lower are searched too, so that more layers find the null that they need
_TOGETHER = 32  # nulls computed from the same permutations at a time


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
    floors: Sequence[float],
    terms: Ints | None = None,
) -> Floats:
    """Search permutations of neurons, those of one chunk, the same for each neuron.

    Parameters
    ----------
    values : int64 array of shape (n_neurons, n_rows)
        The score's weights of the neurons, times the sample weights, in the order of ``exchange``.
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
    floors : sequence of float
        For each neuron: scores below it may be returned as −inf, which saves an exact search most of its time.
    terms : int64 array of shape (n_neurons, 6), optional
        Those of the neurons, if the score has others for each.

    Returns
    -------
    float64 array of shape (n_neurons, n)
        The best score of each neuron in each permutation.
    """
    from neuronym.stats.resample_kernels import permuted_places, permuted_sums

    groups, n_clusters = searcher.groups, len(exchange.cluster_ptr) - 1
    row_groups = groups.row_groups[exchange.order]
    rng = np.random.default_rng([_PERMUTATION, *seed, chunk])
    best = np.empty((len(values), n))
    width = max(1, _TILE // n_clusters)
    for start in range(0, n, width):
        stop = min(start + width, n)
        uniform = rng.random((stop - start, n_clusters))
        places = np.empty(uniform.shape, np.int32)
        permuted_places(exchange.class_ptr, uniform, places)
        sums = np.empty((stop - start, groups.n_groups), np.int64)
        for j, floor in enumerate(floors):
            permuted_sums(values[j], row_groups, exchange.cluster_ptr, places, sums)
            own = None if terms is None else np.tile(terms[j], (stop - start, 1))
            best[j, start:stop] = searcher.best(sums, floor, own)
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
    most : float, default inf
        The most permutations for a shared null, as far as it keeps at least ``own``.
    known : dict from int to tuple of (float, float64 array)
        The nulls computed earlier, by a hash of what they depend on: the floor below which scores may be −inf, and the
        best scores. Those of this layer are added.
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
    most: float = np.inf
    known: dict[int, tuple[float, Floats]] = field(default_factory=dict)

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

        Warns
        -----
        UserWarning
            If there are fewer permutations than asked for, since they would be more than ``most``.
        """
        tested = np.flatnonzero(np.isfinite(observed).any(axis=1))
        compared = observed.copy()
        # With strata or clusters, neurons share no null: a stratum or cluster has other values in each.
        # So it is with scores of the activations themselves.
        ranked = isinstance(self.searcher.score, AUC) and self.exchange.free
        together = self._on_rungs(tested, ties, compared) if ranked else []
        n = self._n_shared() if together else 0
        for start in range(0, len(together), _TOGETHER):
            self._test_together(together[start : start + _TOGETHER], n, compared, nulls)
        alone = np.setdiff1d(tested, np.concatenate([tested[:0], *(members for _, members in together)]))
        equal = self._with_equal_values(alone, ties) if ranked else {j: [j] for j in alone.tolist()}
        first = np.array([*equal], np.intp)
        of_first = np.empty(len(observed), object)
        for j, members in equal.items():
            of_first[j] = observed[members]
        settings = (self.searcher, self.exchange, self.own, self.seed, self.tail)
        n_blocks = max(len(first) // _NEURONS, 4 * n_workers(self.n_jobs))
        results = self._blocks(_test_alone, first, *settings, of_neuron=of_first, n_blocks=n_blocks)
        if self.progress and len(first):
            results = progress_bar(results, lambda done: len(done[0]), "neurons permuted one by one", len(first))
        for js, of_block in results:
            for j, found in zip(js.tolist(), of_block, strict=True):
                members = equal[j]
                nulls.p[members], nulls.permutations[members] = found.p, found.permutations
                nulls.tail[members] = found.tail

    def _n_shared(self) -> int:
        """How many permutations to search for each of the shared nulls."""
        n = int(min(self.shared, max(self.own, self.most)))
        if n < self.shared:
            warn(
                f"permutations='auto' searches {n:,} permutations instead of {self.shared:,}, since the null "
                f"distributions that neurons share would take too long: use permutations={self.shared} for all"
            )
        return n

    def _on_rungs(
        self, tested: NDArray[np.intp], ties: Floats, compared: Floats
    ) -> list[tuple[Ints, NDArray[np.intp]]]:
        """The neurons of each rung, which share a null, with its values; ``compared`` receives their AUCs."""
        rungs = np.zeros(len(ties), np.int64)
        if self.searcher.groups.row_weights.max() == 1:
            rungs[tested] = 1  # without ties
            tied = tested[ties[tested] > 0]
            for js, (of_block, best) in self._blocks(_on_ladder, tied, self.searcher, self.seed, of_neuron=ties):
                rungs[js] = of_block
                compared[js] = np.where(np.isfinite(compared[js]) & (of_block != 0)[:, np.newaxis], best, compared[js])
        used = [int(rung) for rung in np.unique(rungs[tested]) if rung]
        ladder = Ladder(self.searcher.groups.total)
        return [(_sorted_values(ladder.codes(rung), self.searcher), np.flatnonzero(rungs == rung)) for rung in used]

    def _with_equal_values(self, alone: NDArray[np.intp], ties: Floats) -> dict[int, list[int]]:
        """The neurons that have equal sorted values, and so the same null, by the first of them."""
        _, which, times = np.unique(ties[alone], return_inverse=True, return_counts=True)
        likely = alone[times[which] > 1]  # equal sums of ties suggest equal ties
        by_digest: dict[int, list[int]] = {}
        for js, digests in self._blocks(_digests, likely, self.searcher):
            for j, digest in zip(js.tolist(), digests, strict=True):
                by_digest.setdefault(digest, []).append(j)
        equal = {members[0]: members for members in by_digest.values()}
        return equal | {j: [j] for j in np.setdiff1d(alone, likely).tolist()}

    def _test_together(
        self, shared: Sequence[tuple[Ints, NDArray[np.intp]]], n: int, compared: Floats, nulls: Nulls
    ) -> None:
        """Test the neurons that share these nulls; on interruption, with the permutations done so far."""
        floors = [self._lowest(compared[members]) for _, members in shared]
        keys = [self._depends_on(values, n) for values, _ in shared]
        null = dict.fromkeys(keys, (np.inf, np.empty(0))) | {key: self.known[key] for key in keys if key in self.known}
        missing = [i for i, (key, floor) in enumerate(zip(keys, floors, strict=True)) if null[key][0] > floor]
        done: list[Floats] = []
        try:
            for part in self._searched([shared[i] for i in missing], n, [floors[i] for i in missing]):
                done.append(part)
            self.known.update(
                {keys[i]: (floors[i], np.concatenate([p[k] for p in done])) for k, i in enumerate(missing)}
            )
        finally:
            for k, i in enumerate(missing if done else ()):
                null[keys[i]] = floors[i], np.concatenate([part[k] for part in done])
            for key, (_, members) in zip(keys, shared, strict=True):
                if len(null[key][1]):
                    _compare(null[key][1], members, compared, nulls, self.tail)

    def _searched(
        self, shared: Sequence[tuple[Ints, NDArray[np.intp]]], n: int, floors: Sequence[float]
    ) -> Iterator[Floats]:
        """Search the permutations of these nulls: an array of shape (n_nulls, n) per chunk."""
        if not shared:
            return iter(())
        values = share(np.stack([one for one, _ in shared]))
        key = self.seed, _digest(2 * np.arange(1, self.searcher.groups.total + 1))
        searcher = share(self.searcher if max(floors) == -np.inf else self.searcher.bounded())
        exchange = share(self.exchange)
        tasks = (
            (values, exchange, searcher, key, chunk, min(_CHUNK, n - start), floors)
            for chunk, start in enumerate(range(0, n, _CHUNK))
        )
        parts = parallel_map(null_scores, tasks, self.n_jobs)
        if not self.progress:
            return parts
        what = f"permutations for {counted(sum(len(members) for _, members in shared), 'neuron')}"
        return progress_bar(parts, lambda part: part.shape[1], what, n)

    def _lowest(self, compared: Floats) -> float:
        """The lowest score that matters, and a little less; a tail is fitted to the whole null."""
        finite = compared[np.isfinite(compared)]
        return -np.inf if self.tail else min(self.floor, float(finite.min(initial=np.inf))) - _LOWERED

    def _depends_on(self, values: Ints, n: int) -> int:
        """A hash of all that a shared null depends on, so that layers of one data set share it too."""
        groups, searcher = self.searcher.groups, self.searcher
        digest = hashlib.blake2b(repr((searcher.rules, searcher.directions, n, self.seed)).encode(), digest_size=8)
        for array in (values, groups.row_groups, groups.counts, groups.group_ptr, groups.group_concepts):
            digest.update(np.ascontiguousarray(array).data)
        return int.from_bytes(digest.digest(), "little")

    def _blocks(
        self,
        function: Callable[..., Any],
        chosen: NDArray[np.intp],
        *arguments: Any,
        of_neuron: NDArray[Any] | None = None,
        n_blocks: int | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], Any]]:
        """Call a function on blocks of chosen neurons: with activations, columns, values per neuron, and arguments."""
        bare = Activations(self.activations.matrix)  # a task needs no ids
        places = bare.cut(self.columns[chosen], n_blocks or 4 * n_workers(self.n_jobs))
        blocks = [chosen[block] for block in places]
        matrix, common = share(bare), [share(each) for each in arguments]
        tasks = ((matrix, self.columns[js], *([] if of_neuron is None else [of_neuron[js]]), *common) for js in blocks)
        return zip(blocks, parallel_map(function, tasks, self.n_jobs), strict=True)


def _on_ladder(
    bare: Activations, columns: NDArray[np.intp], ties: Floats, searcher: Searcher, seed: int
) -> tuple[Ints, Floats]:
    """The rungs of neurons, and their best scores there, float64 of shape (n_neurons, n_directions)."""
    groups, ladder = searcher.groups, Ladder(searcher.groups.total)
    block = groups.select_rows(bare.block(columns))
    rungs = ladder.find(ties, *extremes(block))
    sums = np.zeros((len(rungs), groups.n_groups), np.int64)
    for rung in np.unique(rungs[rungs != 0]).tolist():
        values = _sorted_values(ladder.codes(rung), searcher)
        for j in np.flatnonzero(rungs == rung).tolist():
            order = ladder.order(column(block, j), (_UNTYING, seed))
            np.add.at(sums[j], groups.row_groups[order], values)
    best = np.full((len(rungs), len(searcher.directions)), -np.inf)
    best[rungs != 0] = np.stack([found.best for found in searcher(sums[rungs != 0])], axis=1)
    return rungs, best


def _sorted_values(codes: Ints, searcher: Searcher) -> Ints:
    """The score's weight of each sample of a neuron, in ascending order, without sample weights."""
    return np.sort(searcher.score.weigh(codes[:, np.newaxis], replace(searcher.groups.apart(), rows=None)).sums[0])


def _values(bare: Activations, columns: NDArray[np.intp], searcher: Searcher) -> Ints:
    """The score's weight of each sample, times the sample weight, int64 of shape (n_neurons, n_rows)."""
    return searcher.score.weigh(bare.block(columns), searcher.groups.apart()).sums


def _digests(bare: Activations, columns: NDArray[np.intp], searcher: Searcher) -> list[int]:
    """A hash of each neuron's sorted values; neurons with equal hashes share a null."""
    parts = _few_at_a_time(columns, searcher)
    return [_digest(row) for part in parts for row in np.sort(_values(bare, columns[part], searcher), axis=1)]


def _few_at_a_time(columns: NDArray[np.intp], searcher: Searcher) -> Iterator[slice]:
    """Yield slices of columns of which the values of each sample fit into little memory."""
    step = max(1, _VALUES // max(1, searcher.groups.n_rows))
    return (slice(start, start + step) for start in range(0, len(columns), step))


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
    observed: Sequence[Floats],
    searcher: Searcher,
    exchange: ExchangeBlocks,
    most: int,
    seed: int,
    tail: bool,
) -> list[Nulls]:
    """Test neurons by nulls of their own, and stop early for those that are hopeless.

    As in Besag and Clifford (1991): if the h-th permutation to reach the AUC is the l-th of all, p is h / l. For each
    null, ``observed`` holds the AUCs of all neurons that have it: none changes the p of another.
    """
    tested = []
    for j, values, own_terms in _exchangeable(bare, columns, searcher, exchange):
        key, scores, found = (seed, _digest(values)), np.empty(0), Nulls.none(observed[j].shape)
        aucs = observed[j][np.isfinite(observed[j])]
        floors = [-np.inf if tail else float(aucs.min())]
        for chunk, start in enumerate(range(0, most, _CHUNK)):
            n = min(_CHUNK, most - start)
            more = null_scores(values[np.newaxis], exchange, searcher, key, chunk, n, floors, own_terms)
            scores = np.concatenate([scores, more[0]])
            if all(np.count_nonzero(scores >= auc) >= _HOPELESS for auc in aucs):
                break
        if len(scores) == most:
            _compare(scores, np.arange(len(found.p)), observed[j], found, tail)
        found.permutations[:] = len(scores)
        for m, d in np.argwhere(np.isfinite(observed[j])).tolist():
            at = np.flatnonzero(scores >= observed[j][m, d])[:_HOPELESS]
            if len(at) == _HOPELESS:
                found.permutations[m, d] = at[-1] + 1
                found.p[m, d] = _HOPELESS / found.permutations[m, d]
        tested.append(found)
    return tested


def _exchangeable(
    bare: Activations, columns: NDArray[np.intp], searcher: Searcher, exchange: ExchangeBlocks
) -> Iterator[tuple[int, Ints, Ints]]:
    """Yield the place of each neuron, its values in the order of the exchange, and its terms, (1, 6)."""
    for part in _few_at_a_time(columns, searcher):
        weighed = searcher.score.weigh(bare.block(columns[part]), searcher.groups.apart())
        every = np.ascontiguousarray(weighed.sums[:, exchange.order])
        if exchange.free:
            every.sort(axis=1)  # so that results do not depend on the order of the samples
        yield from ((part.start + k, values, weighed.terms[k : k + 1]) for k, values in enumerate(every))
