"""Evidence for labels: permutations, held-out measures and resamples, computed as requested and added to the labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted, some, warn
from neuronym._util.parallel import StoppedWarning, n_workers, parallel_map, progress_bar, share
from neuronym.data.activations import Activations
from neuronym.data.formula import Formula
from neuronym.errors import OptionError
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.labels.label import Explanation, Label
from neuronym.search.beam import Code, FormulaDecoder, SearchResult
from neuronym.search.scores import AUC
from neuronym.search.searcher import Searcher
from neuronym.stats.exchange import LEVEL
from neuronym.stats.intervals import FEWEST_CLUSTERS
from neuronym.stats.measures import confidence_intervals, p_gains, p_values
from neuronym.stats.permutation import Nulls, PermutationTest
from neuronym.stats.resampling import Stability, cross_fit, measure_formulas, stability
from neuronym.stats.significance import benjamini_hochberg
from neuronym.types import Name

__all__ = ["LayerSearch", "Measured", "add_evidence", "add_evidence_of_all"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_AUTO_SHARED, _AUTO_OWN = 9_999, 999  # permutations
_AUTO_OPERATIONS = 5 * 10**9  # of exact search, for each null that neurons share: a minute
_LOOKED_AT = 16  # neurons of a layer that show how many operations a permutation takes
_BLOCK, _SEARCHED = 16, 256  # neurons per task, and per task that searches other samples
_EFFECTS = ("difference", "precision", "recall", "average_precision", "f1", "f1_threshold")


@dataclass(frozen=True)
class LayerSearch:
    """A layer and the result of its search.

    Parameters
    ----------
    taken : Activations
        The activations of the layer.
    columns : intp array of shape (n_neurons,)
        The columns of the activations that were searched.
    asked : intp array of shape (n_asked,)
        Those of all shards.
    parts : SampleSplit
        How the samples were split.
    searcher : Searcher
        The search over ``parts.searched``.
    decoder : FormulaDecoder
        Turns codes of formulas into formulas.
    found : list of SearchResult
        The result in each direction.
    ties : float64 array of shape (n_neurons,)
        Σ t³ − t over runs of t equal activations.
    constant : bool array of shape (n_neurons,)
        Which neurons are constant.
    """

    taken: Activations
    columns: NDArray[np.intp]
    asked: NDArray[np.intp]
    parts: SampleSplit
    searcher: Searcher
    decoder: FormulaDecoder
    found: list[SearchResult]
    ties: NDArray[np.float64]
    constant: Bools

    def take(self, places: NDArray[np.intp]) -> list[SearchResult]:
        """Return the results of some of the neurons, one per direction."""
        return [found.take(places) for found in self.found]

    def code(self, j: int, d: int) -> tuple[list[Code], Code]:
        """Return the distinct steps of the path of neuron j in direction d, and its best formula, as codes."""
        n_slots = self.found[d].lengths.shape[1]
        first = n_slots - self.searcher.rules.length
        path = dict.fromkeys(self.found[d].code(j, slot) for slot in range(first, n_slots))
        return [code for code in path if code[0]], self.found[d].code(j)

    def operations(self) -> float:
        """How many operations exact search takes per neuron: the mean of a few, the same in every shard."""
        few = self.asked[np.unique(np.linspace(0, len(self.asked) - 1, _LOOKED_AT).astype(np.intp))]
        places = {column: place for place, column in enumerate(self.columns.tolist())}
        known = [places[column] for column in few.tolist() if column in places]
        others = np.array([column for column in few.tolist() if column not in places], np.intp)
        total = sum(float(found.operations[known].sum()) for found in self.found)
        if len(others):
            found_of_others = self.searcher.of_block(self.taken.block(others))[0]
            total += sum(float(found.operations.sum()) for found in found_of_others)
        return total / len(few)


class Measured(NamedTuple):
    """What was measured on held-out samples for the best formula of a label.

    Parameters
    ----------
    row : structured scalar of dtype ``MEASURES``
        The numbers.
    clustered : bool
        Whether they account for clusters.
    """

    row: Any
    clustered: bool


def add_evidence(
    labels: list[Label],
    layers: Sequence[LayerSearch],
    options: EvidenceOptions,
    n_jobs: int | None,
    progress: bool,
    n_tests: int,
    sharded: bool = False,
) -> tuple[dict[int, Measured], bool]:
    """Add the evidence requested to the labels, in place.

    If interrupted by Ctrl-C, it warns and leaves in the labels what it has so far.

    Parameters
    ----------
    labels : list of Label
        One per neuron and direction, layer by layer.
    layers : sequence of LayerSearch
        The searched layers, in the same order.
    options : EvidenceOptions
        The evidence requested.
    n_jobs : int or None
        The number of parallel jobs, as in scikit-learn.
    progress : bool
        Whether to show a progress bar on standard error.
    n_tests : int
        How many labels there are, those of all shards together.
    sharded : bool, default False
        Whether there are labels elsewhere too, so that ``add_evidence_of_all`` is for later.

    Returns
    -------
    tuple of (dict of int to Measured, bool)
        What was measured, by the place of the label; and whether it was interrupted.

    Raises
    ------
    OptionError
        If every formula is true for none or for all of the held-out samples.
    """
    runs, first = [], 0
    known: dict[int, tuple[float, NDArray[np.float64]]] = {}
    for one in layers:
        runs.append(_Run(labels, one, first, options, n_jobs, progress, known))
        first += len(one.columns) * len(one.found)
    held_out = options.holdout is not None or options.folds is not None
    steps: list[tuple[object, Callable[[_Run], None]]] = [
        (options.stability, _resample),
        (options.permutations, lambda run: _permute(run, n_tests)),
    ]
    interrupted = False
    try:
        for run in runs if held_out or options.effects else ():
            (_measure if options.folds is None else _cross_fit)(run)
        if held_out:  # before the steps that take long
            _check_held_out(labels, any(run.one.parts.strata is not None for run in runs), sharded)
        _check_clusters(runs)
        for requested, step in steps:
            for run in runs if requested else ():
                step(run)
    except KeyboardInterrupt:
        interrupted = True
        message = "interrupted: the labels have the evidence computed so far, and none of the rest"
        warn(message, StoppedWarning)
    measured = {i: Measured(row, run.one.parts.clusters is not None) for run in runs for i, row in run.measured.items()}
    if not sharded:
        add_evidence_of_all(labels, measured, bool(options.permutations), interrupted)
    return measured, interrupted


def add_evidence_of_all(
    labels: list[Label], measured: Mapping[int, Measured], permuted: bool, interrupted: bool = False
) -> None:
    """Add the evidence that depends on all labels together, in place: q, and intervals of those that are selected.

    Parameters
    ----------
    labels : list of Label
        All labels.
    measured : mapping of int to Measured
        What was measured, by the place of the label.
    permuted : bool
        Whether there are permutations.
    interrupted : bool, default False
        Whether some labels lack evidence.
    """
    _add_selected_intervals(labels, measured)
    if not permuted:
        return
    # A formula that was found but not tested may be noise, so it counts as a test with p = 1.
    p = [1.0 if label.best is not None and math.isnan(label.p_search) else label.p_search for label in labels]
    for i, q in enumerate(benjamini_hochberg(p).tolist()):
        if not math.isnan(labels[i].p_search):
            labels[i] = replace(labels[i], q=q)
    if not interrupted:
        _check_resolution(labels)


@dataclass
class _Run:
    """The labels of one layer and how to compute evidence for them."""

    labels: list[Label]
    one: LayerSearch
    first: int  # the place of the layer's first label among all labels
    options: EvidenceOptions
    n_jobs: int | None
    progress: bool
    known: dict[int, tuple[float, NDArray[np.float64]]]  # nulls already computed, shared by the layers
    measured: dict[int, NDArray[np.void]] = field(default_factory=dict)  # of the best formula, by place of the label

    def blocks(
        self,
        function: Callable[..., Any],
        of_block: Callable[[NDArray[np.intp]], Any],
        *shared: Any,
        again: bool = False,
    ) -> Iterator[tuple[int, Any]]:
        """Call ``function(activations, columns, of_block(places), *shared)`` for blocks of neurons, in parallel.

        Yields the place of the first label of each block, and the result for the block. Blocks are larger where other
        samples are searched ``again``, since each block then makes the tables of exact search for them.
        """
        one, bare = self.one, Activations(self.one.taken.matrix)  # tasks do not need the ids
        size, each = (_SEARCHED, 1) if again else (_BLOCK, 4)
        blocks = bare.cut(one.columns, max(len(one.columns) // size, each * n_workers(self.n_jobs)))
        matrix, common = share(bare), [share(argument) for argument in shared]
        tasks = ((matrix, one.columns[places], of_block(places), *common) for places in blocks)
        done: Iterator[tuple[NDArray[np.intp], Any]] = zip(
            blocks, parallel_map(function, tasks, self.n_jobs), strict=True
        )
        if self.progress:
            done = progress_bar(done, lambda part: len(part[0]), "neurons", len(one.columns))
        for places, result in done:
            yield self.first + int(places[0]) * len(one.found), result


def _measure(run: _Run) -> None:
    """Measure every step of the paths on the held-out rows; without holdout, the best formulas on all rows."""
    one, parts, held = run.one, run.one.parts, run.one.parts.held
    on = one.searcher if held is None else replace(one.searcher, groups=parts.whole.part(held))
    clusters, strata = parts.of_held(parts.clusters), parts.of_held(parts.strata)

    def codes(places: NDArray[np.intp]) -> list[list[list[Code]]]:
        every = [[one.code(j, d) for d in range(len(one.found))] for j in places.tolist()]
        return [
            [steps if held is not None else [best] * bool(best[0]) for steps, best in by_direction]
            for by_direction in every
        ]

    for start, found in run.blocks(measure_formulas, codes, on, clusters, strata):
        flat = [rows for by_direction in found for rows in by_direction]
        numbers = _numbers(np.concatenate(flat), clusters is not None, held is not None)
        ends = np.cumsum([len(rows) for rows in flat]).tolist()
        for i, end, rows in zip(range(start, start + len(flat)), ends, flat, strict=True):
            of_label = {name: values[end - len(rows) : end] for name, values in numbers.items()}
            run.labels[i] = _with_numbers(run.labels[i], of_label)
            if len(rows):
                run.measured[i] = rows[-1]


def _numbers(rows: NDArray[np.void], clustered: bool, held_out: bool) -> dict[str, NDArray[np.float64]]:
    """Compute the numbers of ``Explanation`` from rows of ``MEASURES``."""
    low, high = confidence_intervals(rows, clustered)
    effects = {name: rows[name] for name in _EFFECTS}
    if not held_out:
        return {"auc_low": low, "auc_high": high, **effects}
    p, log10_p = p_values(rows, clustered)
    return {
        "auc_heldout": rows["auc"],
        "auc_low": low,
        "auc_high": high,
        "p": p,
        "log10_p": log10_p,
        "gain": rows["gain"],
        "p_gain": p_gains(rows, clustered),
        **effects,
    }


def _with_numbers(label: Label, numbers: dict[str, NDArray[np.float64]]) -> Label:
    """Return the label with numbers added to all its steps, or to its best formula alone if there is one of each."""
    if label.best is None:
        return label
    listed = {name: values.tolist() for name, values in numbers.items()}
    n_measured = len(numbers["precision"])
    old = label.steps if n_measured == len(label.steps) else (label.best,)
    new = {
        step.formula: replace(step, **{name: values[place] for name, values in listed.items()})
        for place, step in enumerate(old)
    }
    return _with_steps(label, new)


def _with_steps(label: Label, new: dict[Formula, Explanation]) -> Label:
    """Return the label with those of its explanations replaced whose formulas are in ``new``."""
    best = None if label.best is None else new.get(label.best.formula, label.best)
    return replace(label, best=best, path=tuple(step and new.get(step.formula, step) for step in label.path))


def _cross_fit(run: _Run) -> None:
    """Add the mean held-out AUC over folds, and how often the folds find the same formula."""
    one, parts = run.one, run.one.parts
    partly_measured: list[Name] = []
    for start, rows in run.blocks(
        cross_fit, one.take, one.searcher, parts.fold, parts.clusters, parts.strata, again=True
    ):
        flat = rows.reshape(-1)
        # No unbiased variance of a mean over folds exists, since they share samples: there is no interval.
        numbers = {"auc_heldout": flat["auc"], **{name: flat[name] for name in _EFFECTS if name != "f1_threshold"}}
        for offset, agreement in enumerate(flat["agreement"].tolist()):
            of_label = {name: values[offset : offset + 1] for name, values in numbers.items()}
            label = run.labels[start + offset]
            if label.best is not None:
                run.labels[start + offset] = replace(_with_numbers(label, of_label), agreement=agreement)
                partly_measured += [label.neuron] * bool(0 < flat["missing"][offset] < 1)
    if partly_measured:
        warn(
            f"some folds have no samples inside their formula, or none outside, for "
            f"{counted(len(partly_measured), 'label')} (neuron {some(partly_measured)}): auc_heldout is the mean over "
            "the other folds; use fewer folds"
        )


def _resample(run: _Run) -> None:
    """Add how stable the formulas are over bootstrap resamples."""
    one, options, clusters = run.one, run.options, run.one.parts.clusters
    if clusters is not None and one.parts.held is not None:
        clusters = clusters[~one.parts.held]
    for start, found in run.blocks(
        stability, one.take, one.searcher, clusters, options.stability, options.seed, again=True
    ):
        for i, stable in enumerate((result for by_direction in found for result in by_direction), start):
            if run.labels[i].best is not None:
                run.labels[i] = _with_stability(run.labels[i], stable, one.decoder)


def _with_stability(label: Label, stable: Stability, decoder: FormulaDecoder) -> Label:
    """Return the label with the numbers of its stability."""
    return replace(
        label,
        stability=stable.same,
        stability_concepts=stable.concepts,
        stability_overlap=float(stable.overlap),
        alternatives=tuple((decoder.formula(*code) if code[0] else None, share) for code, share in stable.formulas),
    )


def _permute(run: _Run, n_tests: int) -> None:
    """Add p_search from permutations; if interrupted, of the neurons done until then."""
    one, options, labels, exchange = run.one, run.options, run.labels, run.one.parts.exchange
    if exchange is None:
        return
    observed = np.stack([found.best for found in one.found], axis=1)
    observed[one.constant] = -np.inf
    aucs = isinstance(one.searcher.score, AUC)
    floor = min((label.auc for label in labels if label.best is not None), default=-np.inf) if aucs else -np.inf
    nulls = Nulls.none(observed.shape)
    automatic = options.permutations == "auto"
    taken = one.operations() if automatic else 0.0
    try:
        PermutationTest(
            one.taken,
            one.columns,
            one.searcher,
            exchange,
            shared=max(_AUTO_SHARED, math.ceil(n_tests / LEVEL)) if automatic else int(options.permutations),
            own=_AUTO_OWN if automatic else int(options.permutations),
            most=_AUTO_OPERATIONS / taken if taken else math.inf,
            seed=options.seed,
            tail=options.tail,
            n_jobs=run.n_jobs,
            progress=run.progress,
            floor=floor,
            known=run.known,
        ).run(observed, one.ties, nulls)
    finally:
        for j, d in np.ndindex(*observed.shape):
            i = run.first + j * observed.shape[1] + d
            if labels[i].best is not None:
                fitted = bool(nulls.tail[j, d]) if options.tail else None
                done = int(nulls.permutations[j, d]) or None
                labels[i] = replace(labels[i], p_search=float(nulls.p[j, d]), permutations=done, tail=fitted)


def _check_resolution(labels: Sequence[Label]) -> None:
    """Warn if a p_search is the smallest that its permutations allow, and still not significant."""
    bound = [x for x in labels if not x.tail and x.p_search <= 1 / ((x.permutations or 0) + 1) and x.q > LEVEL]
    if bound:
        n_tests = sum(not math.isnan(label.p_search) for label in labels)
        fewest = min(label.permutations or 0 for label in bound)
        warn(
            f"the p_search of {counted(len(bound), 'label')} (neuron {some([x.neuron for x in bound])}) is the "
            f"smallest that {fewest} permutations allow, {1 / (fewest + 1):.2g}, which is not significant among "
            f"{n_tests} labels: use permutations={math.ceil(n_tests / LEVEL)}, or tail=True"
        )


def _check_held_out(labels: Sequence[Label], with_strata: bool, sharded: bool) -> None:
    """Warn of formulas that the held-out samples cannot test; raise an error if they can test none, of all shards."""
    found = [label for label in labels if label.best is not None]
    lost = [label for label in found if math.isnan(label.auc_heldout)]
    of_stratum = " of each stratum" * with_strata
    if lost and len(lost) == len(found) and not sharded:
        raise OptionError(
            f"each formula found is true for none or for all of the held-out samples{of_stratum}: hold out more "
            f"samples, or other {'clusters or strata' if with_strata else 'clusters'}"
        )
    untested = [label for label in found if label.held_out and math.isnan(label.p)]
    for affected, why, missing in (
        (lost, f"is true for none or for all of the held-out samples{of_stratum}", "held-out AUC, interval or p"),
        (untested, "has too few held-out clusters", "p"),
    ):
        if affected:
            warn(
                f"the formula of {counted(len(affected), 'label')} (neuron {some([x.neuron for x in affected])}) "
                f"{why}, so it has no {missing}"
            )


def _check_clusters(runs: Sequence[_Run]) -> None:
    """Warn if numbers rest on few effective clusters, or on one cluster that dominates."""
    affected, fewest, largest = [], math.inf, 0.0
    for run in runs:
        clusters, held = run.one.parts.clusters, run.one.parts.held
        for i, row in run.measured.items() if clusters is not None else ():
            if row["effective"] < FEWEST_CLUSTERS:
                affected.append(run.labels[i].neuron)
                fewest = min(fewest, float(row["effective"]))
        if clusters is not None and affected:
            sizes = np.bincount(clusters if held is None else clusters[held])
            largest = max(largest, float(sizes.max() / sizes.sum()))
    if affected:
        rounded = math.floor(10 * fewest) / 10  # down, so that it never reads as enough
        warn(
            f"the numbers of {counted(len(affected), 'label')} (neuron {some(affected)}) rest on fewer than "
            f"{FEWEST_CLUSTERS} effective clusters inside or outside their formula, as few as {rounded} (the "
            f"largest cluster holds {largest:.0%} of the samples measured): intervals may cover too little, and tests "
            "find little; more clusters, of more equal sizes, are needed"
        )


def _add_selected_intervals(labels: list[Label], measured: Mapping[int, Measured]) -> None:
    """Add the intervals of the labels that held-out p selects, at the level that keeps their false coverage rate.

    After Benjamini and Yekutieli (2005): the level of each is 1 − q R / m, if R of m are selected by the method of
    Benjamini and Hochberg at q.
    """
    tested = [i for i, label in enumerate(labels) if label.held_out and not math.isnan(label.p)]
    small = benjamini_hochberg([labels[i].p_confirming for i in tested]) <= LEVEL
    selected = {i for i, is_small in zip(tested, small, strict=True) if is_small}
    for i in selected & measured.keys():
        level = 1 - LEVEL * len(selected) / len(tested)
        low, high = confidence_intervals(measured[i].row, measured[i].clustered, level)
        best = labels[i].best
        if best is not None:
            new = replace(best, auc_low_selected=float(low), auc_high_selected=float(high))
            labels[i] = _with_steps(labels[i], {best.formula: new})
