"""The reverse direction: the formula of neurons that best gives a concept, beside probes of the same activations.

The search is that of labels on the transposed problem: each neuron is cut at the threshold that suits the concept, what
it says then is a yes-or-no of each sample, as a concept is, and the concept takes the place of the activation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.extras import need
from neuronym._util.messages import no_such
from neuronym._util.parallel import check_n_jobs, n_workers, parallel_map, progress_bar, share
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.groups import SampleGroups, group
from neuronym.data.sparse import column, dense
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import Aligned, check_finite
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.search.beam import FormulaDecoder, Rules
from neuronym.search.ranking import sort_block
from neuronym.search.scores import F1
from neuronym.search.searcher import Searcher
from neuronym.search.thresholds import ConceptSums, best_f1
from neuronym.stats.curves import Roc
from neuronym.types import ActivationsLike, Align, ClustersLike, ConceptsLike, Name, SearchMethod, Unknown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["detect"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_PART = 64  # neurons per call of compiled code


def detect(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    targets: Iterable[str] | str | None = None,
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    layers: Sequence[str] | None = None,
    length: int = Rules.length,
    candidates: int = 64,
    search: SearchMethod = Rules.search,
    budget: int = Rules.budget,
    min_count: int = Rules.min_count,
    min_change: int | None = Rules.min_change,
    holdout: float = 0.5,
    clusters: ClustersLike = None,
    seed: int = 0,
    probe: bool = True,
    unknown: Unknown = "error",
    align: Align = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Find, for each concept, the formula of thresholded neurons that gives it best, beside supervised probes.

    Parameters
    ----------
    activations : ActivationsLike
        The activations, of shape (n_samples, n_neurons), of one or several layers; as for ``label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``label``.
    targets : iterable of str, or str, optional
        The concepts to find formulas for, by name or alias; all by default.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    neurons : iterable of int or str, or slice, optional
        The neurons to use, by name, or a slice of them; all by default.
    layers : sequence of str, optional
        The layers to use, by name; all by default. Formulas are of neurons of one layer.
    length : int, default 3
        The largest number of neurons in a formula.
    candidates : int, default 64
        The number of neurons, each high or low, among which formulas are searched: those with the highest F1 for the
        concept by themselves.
    search : {"auto", "optimal", "beam"}, default "auto"
        How formulas are searched, as for ``label``. What is proven holds for the candidates at their thresholds.
    budget : int, default 100000000
        The maximum number of operations that ``"auto"`` spends on a proof, per concept.
    min_count : int, default 20
        A concept is used, and a formula reported, if it is true for at least so many of the samples searched; a concept
        must be false for so many too.
    min_change : int, optional
        Dropping any literal of a reported formula changes it for at least this many samples; ``min_count`` by default.
    holdout : float, default 0.5
        The fraction of samples (or clusters) held out. Thresholds, formulas and probes come from the other samples.
    clusters : ClustersLike, optional
        The cluster that each sample belongs to, as for ``label``; clusters are held out as a whole.
    seed : int, default 0
        The seed of the split, which is that of ``label`` and ``pairs`` with the same seed.
    probe : bool, default True
        Whether to fit two linear probes to all neurons, as a supervised ceiling: logistic regression (scikit-learn; the
        extra ``probe``), and the difference of the means inside and outside.
    unknown : {"error", "no", "drop"}, default "error"
        How to treat concept values that are neither yes nor no: raise an error, read them as no, or drop their samples.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    n_jobs : int, optional
        The number of parallel jobs, as in scikit-learn; each takes a concept. The table does not depend on it.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    DataFrame
        One row per layer and concept, with the columns

        - ``layer`` (if there are layers), ``concept``, and ``count``, the number of samples searched inside it;
        - ``formula``, of literals such as ``"n12 ≥ 0.53"`` (the neuron 12) and ``~"n7 > 1.2"``, and its ``length``;
          None if there is none that is true for enough samples;
        - ``f1`` on the samples searched; ``f1_heldout``, ``precision_heldout``, ``recall_heldout`` and ``auc_heldout``
          on the others, where the AUC of a yes-or-no is its balanced accuracy;
        - ``optimal``, whether it is proven that no formula of the candidates has a higher F1, and ``gap``, by how much
          another may be higher;
        - ``neuron``, the best literal by itself, with ``neuron_f1``, ``neuron_f1_heldout``, and ``neuron_auc_heldout``
          of its activation;
        - ``probe_f1_heldout``, ``probe_auc_heldout`` and ``difference_f1_heldout``, ``difference_auc_heldout`` of the
          probes, at their best threshold of the samples searched.

        What is held out is NaN if the concept is true for none (or all) of the held-out samples.

    Raises
    ------
    InputError
        If activations, concepts or options cannot be used, as one of the subclasses in ``neuronym.errors``.

    Notes
    -----
    Neurons are cut where their F1 for the concept is highest, as in ``pairs``: once as a detector of high activations,
    and once of low ones. So a neuron that gives a small part of a frequent concept may be cut where it calls nearly
    every sample, since that has a higher F1 by itself. Thresholds are shortened as far as they divide the samples
    searched in the same way. Logistic regression has scikit-learn's default penalty (L2, C = 1); for both probes,
    activations are standardised by the samples searched. Probes need all activations in memory at once, as float64.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> hidden = rng.random((2000, 4)) < 0.4
    >>> activations = hidden + 0.1 * rng.normal(size=(2000, 4))
    >>> found = detect(activations, hidden[:, [0]] & ~hidden[:, [1]], names=["dog"], length=2, probe=False)
    >>> found["formula"][0]
    '"n0 ≥ 0.7918" & ~"n1 > 0.35"'
    """
    import pandas as pd

    rules = Rules(length, max_fraction=1.0, min_count=min_count, search=search, budget=budget, min_change=min_change)
    if isinstance(candidates, bool) or not isinstance(candidates, int | np.integer) or candidates < 1:
        raise OptionError(f"candidates must be a whole number of at least 1, not {candidates!r}")
    if holdout is None:
        raise OptionError("holdout must lie between 0 and 1, not None: held-out samples measure the formulas")
    options = EvidenceOptions(holdout=holdout, seed=seed)
    check_n_jobs(n_jobs)
    if probe:
        need("a logistic probe (probe=False, --no-probe, leaves it out)", "probe")
    aligned = inputs.align(
        activations, concepts, layers=layers, names=names, unknown=unknown, clusters=clusters, keep_common=align
    )
    if neurons is not None and not isinstance(neurons, slice | str | int | np.integer | np.ndarray):
        neurons = list(neurons)  # used again for each layer
    wanted = None if targets is None else [targets] if isinstance(targets, str) else list(dict.fromkeys(targets))
    if wanted == []:
        raise OptionError("targets is empty: name at least one concept, or leave it out for all")
    works = [_Work.of(one, one.activations.indices(neurons), wanted, rules, options) for one in aligned]
    rows: Iterator[dict[str, Any]] = (row for work in works for row in work.rows(int(candidates), probe, n_jobs))
    if progress:
        rows = progress_bar(rows, lambda _: 1, "concepts", sum(len(work.targets) for work in works))
    table = pd.DataFrame(list(rows))
    return table.drop(columns="layer") if [one.layer for one in aligned] == [None] else table


@dataclass(frozen=True)
class _Work:
    """A layer, its split, and the concepts to find formulas for, by their place in ``among``."""

    layer: str | None
    activations: Activations
    columns: NDArray[np.intp]
    among: Concepts
    split: SampleSplit
    targets: NDArray[np.intp]
    rules: Rules

    @classmethod
    def of(
        cls, one: Aligned, columns: NDArray[np.intp], wanted: list[str] | None, rules: Rules, options: EvidenceOptions
    ) -> _Work:
        if not len(columns):
            raise ActivationsError("there is no neuron to make formulas of")
        split, among = SampleSplit.of(one.groups, one.clusters, None, options), one.searched
        counts = ConceptSums.of(one.groups, np.arange(among.n_concepts))(split.searched.counts)
        enough = (counts >= rules.min_count) & (split.searched.total - counts >= rules.min_count)
        if wanted is None:
            targets = np.flatnonzero(enough)
        else:
            place = {name: c for c, name in enumerate(among.names)}
            place |= {other: place[name] for name, others in among.aliases.items() if name in place for other in others}
            for name in wanted:
                if name not in one.shown.names and name not in place:
                    raise no_such("concept", name, one.shown.names)
            few = [name for name in wanted if name not in place or not enough[place[name]]]
            if few:
                raise OptionError(
                    f"concept {few[0]!r} is true, or false, for fewer than {rules.min_count} of the "
                    f"{split.searched.total} samples searched: lower min_count"
                )
            targets = np.array(list(dict.fromkeys(place[name] for name in wanted)), np.intp)
        if not len(targets):
            raise OptionError(
                f"there is no concept to find a formula for: none is true, and false, for {rules.min_count} of the "
                f"{split.searched.total} samples searched (min_count={rules.min_count})"
            )
        return cls(one.layer, one.activations, columns, among, split, targets, rules)

    def rows(self, candidates: int, probe: bool, n_jobs: int | None) -> Iterator[dict[str, Any]]:
        """Yield the row of each concept."""
        whole, held = self.split.whole, self.split.held
        assert held is not None
        matrix, split = share(Activations(self.activations.matrix)), share((whole, held))
        sums = share(ConceptSums.of(whole, self.targets))
        jobs = n_workers(n_jobs)
        blocks = self.activations.blocks(self.columns, 1 if jobs == 1 else 4 * jobs)
        best: _Literals | None = None
        for found in parallel_map(_candidates, ((matrix, b, split, sums, candidates) for b in blocks), n_jobs):
            best = found if best is None else best.joined(found).first(candidates)
        assert best is not None
        names = self.activations.names
        whole_names = all(isinstance(name, int) for name in names)
        called = {j: f"n{names[j]}" if whole_names else str(names[j]) for j in np.unique(best.columns).tolist()}
        standardised = share(_standardised(self.activations, self.columns, whole, held) if probe else None)
        tasks = (
            (matrix, split, self._inside(c), best.of_concept(k), called, self.rules, standardised)
            for k, c in enumerate(self.targets)
        )
        for c, row in zip(self.targets, parallel_map(_detect, tasks, n_jobs), strict=True):
            yield {"layer": self.layer, "concept": self.among.names[c], **row}

    def _inside(self, c: int) -> Bools:
        """Which rows are inside a concept."""
        inside = np.zeros(self.split.whole.n_rows, np.bool_)
        inside[self.among.column(c)] = True
        return inside


@dataclass(frozen=True)
class _Literals:
    """Neurons at a threshold, best first: arrays of shape (n_literals, n_concepts)."""

    f1: NDArray[Any]
    columns: NDArray[Any]
    low: NDArray[Any]
    thresholds: NDArray[Any]

    def joined(self, other: _Literals) -> _Literals:
        """Put others behind."""
        own = (self.f1, self.columns, self.low, self.thresholds)
        behind = (other.f1, other.columns, other.low, other.thresholds)
        return _Literals(*(np.concatenate(pair) for pair in zip(own, behind, strict=True)))

    def first(self, n: int) -> _Literals:
        """Keep those of the highest F1; of equal ones the first."""
        order = np.argsort(-self.f1, axis=0, kind="stable")[:n]
        own = (self.f1, self.columns, self.low, self.thresholds)
        return _Literals(*(np.take_along_axis(one, order, 0) for one in own))

    def of_concept(self, k: int) -> _Literals:
        """Those of one concept, each of shape (n_literals,)."""
        return _Literals(self.f1[:, k], self.columns[:, k], self.low[:, k], self.thresholds[:, k])


def _candidates(
    activations: Activations,
    columns: NDArray[np.intp],
    split: tuple[SampleGroups, Bools],
    sums: ConceptSums,
    n: int,
) -> _Literals:
    """The neurons of a block with the highest F1 for each concept, as detectors of high and of low activations."""
    (groups, held), block = split, activations.block(columns)
    check_finite(groups.select_rows(block))
    weights = np.where(held, 0, groups.row_weights)
    counts = sums(np.bincount(groups.row_groups, weights, groups.n_groups).astype(np.int64))
    kept: _Literals | None = None
    for start in range(0, len(columns), _PART):
        part, own = block[:, start : start + _PART], columns[start : start + _PART]
        ordered = sort_block(part, groups)
        found = [best_f1(part, ordered, sums, weights, low=low) for low in (False, True)]
        shape = (2 * len(own), len(counts))  # high and low of a neuron side by side
        f1, thresholds = (
            np.stack(each, axis=1).reshape(shape)
            for each in ([one.f1(counts) for one in found], [one.thresholds for one in found])
        )
        places = np.broadcast_to(np.repeat(own, 2)[:, np.newaxis], shape)
        low = np.broadcast_to(np.tile([False, True], len(own))[:, np.newaxis], shape)
        literals = _Literals(f1, places, low, thresholds)
        kept = (literals if kept is None else kept.joined(literals)).first(n)
    assert kept is not None
    return kept


def _detect(
    activations: Activations,
    split: tuple[SampleGroups, Bools],
    inside: Bools,
    literals: _Literals,
    called: dict[int, str],
    rules: Rules,
    standardised: Floats | None,
) -> dict[str, Any]:
    """Find the formula of a concept, and measure it beside its best neuron and probes."""
    groups, held = split
    columns = np.unique(literals.columns)
    block = groups.select_rows(activations.block(columns))  # at once, since a store reads whole chunks
    values = {int(j): column(block, k).astype(np.float64) for k, j in enumerate(columns)}
    names, truths = [], []
    for j, low, threshold in zip(literals.columns.tolist(), literals.low, literals.thresholds, strict=True):
        cut, text = _shortened(values[j][~held], threshold, bool(low))
        names.append(f"{called[j]} {'>' if low else '≥'} {text}")
        truths.append(values[j] > cut if low else values[j] >= cut)
    row: dict[str, Any] = {"count": int((inside & ~held).sum())}
    row |= _formula(Concepts.from_array(np.stack(truths, axis=1), names), inside, held, rules)
    first, low = Formula.concept(names[0]), bool(literals.low[0])
    own, value = truths[0] != low, values[int(literals.columns[0])] * (-1.0 if low else 1.0)
    row |= {"neuron": str(~first if low else first), "neuron_f1": _f1(own[~held], inside[~held])}
    row |= {"neuron_f1_heldout": _f1(own[held], inside[held]), "neuron_auc_heldout": _auc(value[held], inside[held])}
    return row if standardised is None else row | _probes(standardised, inside, held)


def _shortened(values: Floats, threshold: float, low: bool) -> tuple[float, str]:
    """The shortest number that divides values as the threshold does: f ≥ it or, if ``low``, f > it."""
    if low:
        above = values[values > threshold].min(initial=np.inf)
    else:
        below = values[values < threshold].max(initial=-np.inf)
    for digits in range(1, 18):
        text = f"{threshold:.{digits}g}"
        number = float(text)
        if (threshold <= number < above) if low else (below < number <= threshold):
            break
    return number, text


def _formula(literals: Concepts, inside: Bools, held: Bools, rules: Rules) -> dict[str, Any]:
    """Search the formula of literals with the highest F1 on the samples that are not held out."""
    searched = literals.take(np.flatnonzero(~held))
    among = searched.prune(1, searched.n_samples - 1).merge_equal() if searched.n_samples > 1 else searched
    missing: dict[str, Any] = {"formula": None, "length": 0, "f1": math.nan}
    missing |= dict.fromkeys(("f1_heldout", "precision_heldout", "recall_heldout", "auc_heldout"), math.nan)
    missing |= {"optimal": True, "gap": 0.0}
    if not among.n_concepts:
        return missing
    score = F1(quantile=None, threshold=0.5)
    searcher = Searcher(group(among), rules, score=score)
    searcher.prepare()
    (found,), weighed = searcher.of_block(inside[~held, np.newaxis].astype(np.float32))
    if not found.lengths[0, 0]:
        return missing | {"optimal": bool(found.optimal[0])}
    formula = FormulaDecoder(among.names).formula(*found.code(0, 0))
    truth = formula.evaluate(literals)
    hits, positives, called = ((one[held]).sum() for one in (truth & inside, inside, truth))
    f1 = float(score.value(found.scores[:, 0], weighed.units)[0])
    bound = float(score.value(found.bound, weighed.units)[0])
    known = 0 < positives < held.sum()
    row = {"formula": str(formula), "length": int(found.lengths[0, 0]), "f1": f1}
    row |= {"f1_heldout": _f1(truth[held], inside[held])}
    row |= {"precision_heldout": hits / called if called and known else math.nan}
    row |= {"recall_heldout": hits / positives if known else math.nan}
    row |= {"auc_heldout": _auc(truth[held].astype(np.float64), inside[held])}
    return row | {"optimal": bool(found.optimal[0]), "gap": 0.0 if found.optimal[0] else bound - f1}


def _f1(called: Bools, inside: Bools) -> float:
    """F1 of a yes-or-no; NaN for a concept without samples, or with all of them."""
    if not 0 < inside.sum() < len(inside):
        return math.nan
    return float(2 * (called & inside).sum() / (called.sum() + inside.sum()))


def _auc(values: Floats, inside: Bools) -> float:
    """The AUC of values; NaN for a concept without samples, or with all of them."""
    from scipy.stats import rankdata

    n = int(inside.sum())
    if not 0 < n < len(inside):
        return math.nan
    return float((rankdata(values)[inside].sum() - n * (n + 1) / 2) / (n * (len(inside) - n)))


def _standardised(activations: Activations, columns: NDArray[np.intp], groups: SampleGroups, held: Bools) -> Floats:
    """All activations in units of their standard deviation on the samples searched, from their mean there."""
    blocks = [dense(groups.select_rows(activations.block(block))) for block in activations.blocks(columns)]
    values = np.concatenate(blocks, axis=1).astype(np.float64)
    values -= values[~held].mean(axis=0)
    spread = values[~held].std(axis=0)
    values /= np.where(spread > 0, spread, 1.0)
    return values


def _probes(values: Floats, inside: Bools, held: Bools) -> dict[str, float]:
    """Fit probes where samples are not held out, and measure them on the others."""
    from sklearn.linear_model import LogisticRegression

    train, truth = values[~held], inside[~held]
    weights = {
        "probe": LogisticRegression(max_iter=10_000).fit(train, truth).coef_[0],
        "difference": train[truth].mean(axis=0) - train[~truth].mean(axis=0),
    }
    row = {}
    for name, weight in weights.items():
        scores = values @ weight
        roc = Roc.of(scores[~held], truth)
        row[f"{name}_f1_heldout"] = _f1(scores[held] >= roc.thresholds[roc.best], inside[held])
        row[f"{name}_auc_heldout"] = _auc(scores[held], inside[held])
    return row
