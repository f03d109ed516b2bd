"""Whether to believe labels: what was asked for is searched again or measured, and written into the labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted, some, warn
from neuronym._util.parallel import StoppedWarning, n_workers, parallel_map, progress_bar
from neuronym.data.activations import Activations
from neuronym.errors import OptionError
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.labels.label import Explanation, Label
from neuronym.search.beam import Code, FormulaDecoder, Searcher, SearchResult
from neuronym.stats.exchange import LEVEL
from neuronym.stats.measures import p_values
from neuronym.stats.permutation import Nulls, PermutationTest
from neuronym.stats.resampling import Stability, cross_fit, measure_formulas, stability
from neuronym.stats.significance import auc_interval, benjamini_hochberg, gain_test

__all__ = ["LayerSearch", "add_evidence"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_AUTO_SHARED, _AUTO_OWN = 9_999, 999  # permutations
_BLOCK = 16  # neurons in a task


@dataclass(frozen=True)
class LayerSearch:
    """One layer, searched.

    Parameters
    ----------
    columns : the neurons' columns of the activations
    parts : what became of the samples
    searcher : the search of ``parts.searched``
    speller : spells the formulas
    found : what was found in each direction
    ties : float64, shape (n_neurons,)
        Σ t³ − t over runs of t equal activations.
    constant : bool, shape (n_neurons,)
    """

    taken: Activations
    columns: NDArray[np.intp]
    parts: SampleSplit
    searcher: Searcher
    decoder: FormulaDecoder
    found: list[SearchResult]
    ties: NDArray[np.float64]
    constant: Bools

    def take(self, places: NDArray[np.intp]) -> list[SearchResult]:
        """What was found for some of the neurons, by direction."""
        return [found.take(places) for found in self.found]

    def code(self, j: int, d: int) -> tuple[list[Code], Code]:
        """The steps of the path of neuron j in direction d, each once, and the best formula."""
        n_slots = self.found[d].lengths.shape[1]
        first = n_slots - self.searcher.rules.length
        path = dict.fromkeys(self.found[d].code(j, slot) for slot in range(first, n_slots))
        return [code for code in path if code[0]], self.found[d].code(j)


def add_evidence(
    labels: list[Label], layers: Sequence[LayerSearch], asked: EvidenceOptions, n_jobs: int | None, progress: bool
) -> None:
    """Write all that was asked for into the labels: a row per neuron and direction, layer by layer.

    Stopped by Ctrl-C, it leaves what is done and warns.
    """
    runs, first = [], 0
    known: dict[int, NDArray[np.float64]] = {}
    for one in layers:
        runs.append(_Run(labels, one, first, asked, n_jobs, progress, known))
        first += len(one.columns) * len(one.found)
    n_tests = sum(label.best is not None for label in labels)
    held_out = asked.holdout is not None or asked.folds is not None
    steps: list[tuple[object, Callable[[_Run], None]]] = [
        (asked.stability, _resample),
        (asked.permutations, lambda run: _permute(run, n_tests)),
    ]
    stopped = False
    try:
        for run in runs if held_out or asked.effects else ():
            (_measure if asked.folds is None else _cross_fit)(run)
        if held_out:  # before what takes long
            _warn_of_missing(labels)
        for wanted, step in steps:
            for run in runs if wanted else ():
                step(run)
    except KeyboardInterrupt:
        stopped = True
        message = "stopped: the labels hold what was done until then, and nothing of the rest"
        warn(message, StoppedWarning)
    if asked.permutations:
        # What was found and not tested may be noise.
        p = [1.0 if label.best is not None and math.isnan(label.p_search) else label.p_search for label in labels]
        for i, q in enumerate(benjamini_hochberg(p).tolist()):
            if not math.isnan(labels[i].p_search):
                labels[i] = replace(labels[i], q=q)
        if not stopped:
            _warn_of_reach(labels)


@dataclass
class _Run:
    """How evidence is gathered: for the labels of which layer, and by how many workers."""

    labels: list[Label]
    one: LayerSearch
    first: int
    asked: EvidenceOptions
    n_jobs: int | None
    progress: bool
    known: dict[int, NDArray[np.float64]]

    def blocks(
        self, function: Callable[..., Any], own: Callable[[NDArray[np.intp]], Any], *given: Any
    ) -> Iterator[tuple[int, Any]]:
        """Call a function for blocks of neurons: with activations, columns, what is their own, and what is given.

        Gives the place of the first label of each block, and what is returned.
        """
        one, bare = self.one, Activations(self.one.taken.matrix)  # a task needs no ids
        blocks = bare.cut(one.columns, max(len(one.columns) // _BLOCK, 4 * n_workers(self.n_jobs)))
        tasks = ((bare, one.columns[places], own(places), *given) for places in blocks)
        done: Iterator[tuple[NDArray[np.intp], Any]] = zip(
            blocks, parallel_map(function, tasks, self.n_jobs), strict=True
        )
        if self.progress:
            done = progress_bar(done, lambda part: len(part[0]), "neurons", len(one.columns))
        for places, answer in done:
            yield self.first + int(places[0]) * len(one.found), answer


def _measure(run: _Run) -> None:
    """Measure formulas on the rows held out, every step of the paths; without such, the best ones where found."""
    one, held, clusters = run.one, run.one.parts.held, run.one.parts.clusters
    on = one.searcher
    if held is not None:
        on = replace(one.searcher, groups=one.parts.whole.part(held))
        clusters = None if clusters is None else clusters[held]

    def codes(places: NDArray[np.intp]) -> list[list[list[Code]]]:
        every = [[one.code(j, d) for d in range(len(one.found))] for j in places.tolist()]
        return [
            [steps if held is not None else [best] * bool(best[0]) for steps, best in by_direction]
            for by_direction in every
        ]

    for start, found in run.blocks(measure_formulas, codes, on, clusters):
        flat = [rows for by_direction in found for rows in by_direction]
        numbers = _numbers(np.concatenate(flat), clusters is not None, held is not None)
        ends = np.cumsum([len(rows) for rows in flat]).tolist()
        for i, end, rows in zip(range(start, start + len(flat)), ends, flat, strict=True):
            own = {name: values[end - len(rows) : end] for name, values in numbers.items()}
            run.labels[i] = _with_numbers(run.labels[i], own)


def _numbers(rows: NDArray[np.void], clustered: bool, held_out: bool) -> dict[str, NDArray[np.float64]]:
    """What ``Explanation`` holds, from ``MEASURES`` of formulas."""
    low, high = auc_interval(rows["auc"], rows["variance"], rows["units_in"], rows["units_out"])
    effects = {name: rows[name] for name in ("difference", "precision", "recall", "average_precision")}
    if not held_out:
        return {"auc_low": low, "auc_high": high, **effects}
    p, log10_p = p_values(rows, clustered)
    p_gain = gain_test(rows["gain"], rows["gain_variance"], rows["gain_units"] if clustered else None)
    # Over ½ this test says more than the variance, which is 0 where all pairs are won.
    p_gain = np.where(rows["first"] == 1, np.where(rows["gain"] > 0, p / 2, 1 - p / 2), p_gain)
    gained = {"gain": rows["gain"], "p_gain": p_gain}
    return {
        "auc_heldout": rows["auc"],
        "auc_low": low,
        "auc_high": high,
        "p": p,
        "log10_p": log10_p,
        **gained,
        **effects,
    }


def _with_numbers(label: Label, numbers: dict[str, NDArray[np.float64]]) -> Label:
    """A label whose steps, or whose best formula alone, hold more numbers."""
    if label.best is None:
        return label
    listed = {name: values.tolist() for name, values in numbers.items()}
    n_given = len(numbers["auc_low"])
    old = label.steps if n_given == len(label.steps) else (label.best,)
    new = {
        step.formula: replace(step, **{name: values[place] for name, values in listed.items()})
        for place, step in enumerate(old)
    }
    return _with_steps(label, new)


def _with_steps(label: Label, new: dict[Any, Explanation]) -> Label:
    best = None if label.best is None else new.get(label.best.formula, label.best)
    return replace(label, best=best, path=tuple(step and new.get(step.formula, step) for step in label.path))


def _cross_fit(run: _Run) -> None:
    one, clusters = run.one, run.one.parts.clusters
    partly: list[int | str] = []
    for start, rows in run.blocks(cross_fit, one.take, one.searcher, one.parts.fold, clusters):
        flat = rows.reshape(-1)
        numbers = {"auc_heldout": flat["auc"], **_numbers(flat, clusters is not None, held_out=False)}
        for offset, agreement in enumerate(flat["agreement"].tolist()):
            own = {name: values[offset : offset + 1] for name, values in numbers.items()}
            label = run.labels[start + offset]
            if label.best is not None:
                run.labels[start + offset] = replace(_with_numbers(label, own), agreement=agreement)
                partly += [label.neuron] * bool(0 < flat["missing"][offset] < 1)
    if partly:
        warn(
            f"not every fold holds samples inside and outside of its formula for {counted(len(partly), 'label')} "
            f"(neuron {some(partly)}): auc_heldout is the mean of the other folds, so ask for fewer"
        )


def _resample(run: _Run) -> None:
    one, asked, clusters = run.one, run.asked, run.one.parts.clusters
    if clusters is not None and one.parts.held is not None:
        clusters = clusters[~one.parts.held]
    for start, found in run.blocks(stability, one.take, one.searcher, clusters, asked.stability, asked.seed):
        for i, stable in enumerate((answer for by_direction in found for answer in by_direction), start):
            if run.labels[i].best is not None:
                run.labels[i] = _with_stability(run.labels[i], stable, one.decoder)


def _with_stability(label: Label, stable: Stability, decoder: FormulaDecoder) -> Label:
    return replace(
        label,
        stability=stable.same,
        stability_concepts=stable.concepts,
        stability_overlap=float(stable.overlap),
        alternatives=tuple((decoder.formula(*code) if code[0] else None, share) for code, share in stable.formulas),
    )


def _permute(run: _Run, n_tests: int) -> None:
    one, asked, labels, trade = run.one, run.asked, run.labels, run.one.parts.exchange
    if trade is None:
        return
    observed = np.stack([found.best for found in one.found], axis=1)
    observed[one.constant] = -np.inf
    nulls = Nulls.none(observed.shape)
    automatic = asked.permutations == "auto"
    try:
        PermutationTest(
            one.taken,
            one.columns,
            one.searcher,
            trade,
            shared=max(_AUTO_SHARED, math.ceil(n_tests / LEVEL)) if automatic else int(asked.permutations),
            own=_AUTO_OWN if automatic else int(asked.permutations),
            seed=asked.seed,
            tail=asked.tail,
            n_jobs=run.n_jobs,
            progress=run.progress,
            known=run.known,
        ).run(observed, one.ties, nulls)
    finally:
        for j, d in np.ndindex(*observed.shape):
            i = run.first + j * observed.shape[1] + d
            if labels[i].best is not None:
                fitted = bool(nulls.tail[j, d]) if asked.tail else None
                done = int(nulls.permutations[j]) or None
                labels[i] = replace(labels[i], p_search=float(nulls.p[j, d]), permutations=done, tail=fitted)


def _warn_of_reach(labels: Sequence[Label]) -> None:
    """Say where p_search is as small as its permutations allow, and still not significant."""
    bound = [x for x in labels if not x.tail and x.p_search <= 1 / ((x.permutations or 0) + 1) and x.q > LEVEL]
    if bound:
        n_tests = sum(not math.isnan(label.p_search) for label in labels)
        fewest = min(label.permutations or 0 for label in bound)
        warn(
            f"the p_search of {counted(len(bound), 'label')} (neuron {some([x.neuron for x in bound])}) is as small as "
            f"{fewest} permutations allow, {1 / (fewest + 1):.2g}, and among {n_tests} labels that is not significant: "
            f"ask for permutations={math.ceil(n_tests / LEVEL)}, or for tail=True"
        )


def _warn_of_missing(labels: Sequence[Label]) -> None:
    """Say of which formulas the samples held out show too little; refuse if they show none of any."""
    found = [label for label in labels if label.best is not None]
    lost = [label for label in found if math.isnan(label.auc_heldout)]
    if lost and len(lost) == len(found):
        raise OptionError(
            "the samples held out show none of the formulas found, or nothing else: hold more of them out, or in other "
            "clusters"
        )
    unsure = [label for label in found if label.held_out and math.isnan(label.p)]
    for few, what, so in (
        (lost, "show nothing of", "there is no AUC, interval or p for it"),
        (unsure, "are too few clusters for", "there is no p for it"),
    ):
        if few:
            warn(
                f"the samples held out {what} the formula of {counted(len(few), 'label')} (neuron "
                f"{some([x.neuron for x in few])}), so {so}"
            )
