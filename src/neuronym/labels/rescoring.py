"""Other scores of formulas that were found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.messages import no_such
from neuronym.data.formula import Formula
from neuronym.data.sparse import column, is_csc
from neuronym.errors import OptionError
from neuronym.inputs.alignment import Aligned, check_finite
from neuronym.labels.label import Label
from neuronym.search.ratio import ratio
from neuronym.search.scores import SCORES, Score, as_score
from neuronym.stats.measures import measure, p_values
from neuronym.types import ActivationsLike, Align, ConceptsLike

if TYPE_CHECKING:
    import pandas as pd

    from neuronym.data.sparse import Block
    from neuronym.labels.labels import Labels

__all__ = ["block_of", "by_layer", "made_score", "measured", "rescore"]

Floats = NDArray[np.float64]

_BLOCK = 64  # neurons weighed at a time


def rescore(
    labels: Labels,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    scores: Sequence[str] = tuple(SCORES),
    quantile: float | None = None,
    threshold: float | None = None,
    align: Align = False,
) -> pd.DataFrame:
    """Compute other scores of formulas that were found.

    Parameters
    ----------
    labels : Labels
        The labels.
    activations : ActivationsLike
        The activations, as for ``label``.
    concepts : ConceptsLike
        The concepts of the same samples; those of the formulas are among them.
    scores : sequence of str
        Names of scores, as for ``label``, and ``"average_precision"``; all that can be searched by default.
    quantile, threshold : float, optional
        The threshold of scores that have one, as for ``label``.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.

    Returns
    -------
    DataFrame
        One row per label: ``layer``, ``neuron``, ``direction``, ``formula``, and a column for each score; NaN without
        a formula, or where it is true for none or for all of the samples.

    Raises
    ------
    UnknownNameError
        If there is no such score, layer, neuron or concept.
    OptionError
        If ``scores`` is empty.
    """
    import pandas as pd

    found = list(labels)
    wanted = [scores] if isinstance(scores, str) else list(scores)
    if not wanted:
        raise OptionError("scores is empty: name at least one")
    made = {name: made_score(name, quantile, threshold) for name in wanted}
    values = {name: np.full(len(found), np.nan) for name in wanted}
    for aligned, places in by_layer(labels, activations, concepts, align):
        for name, score in made.items():
            values[name][places] = _scored(aligned, [found[i] for i in places], score)
    rows = [(one.layer, one.neuron, one.direction, None if one.formula is None else str(one.formula)) for one in found]
    table = pd.DataFrame(rows, columns=["layer", "neuron", "direction", "formula"])
    return table.assign(**values)


def made_score(name: str, quantile: float | None, threshold: float | None) -> Score | None:
    """Make a score; None for average precision, which is no sum."""
    if name == "average_precision":
        return None
    kind = SCORES.get(name)
    if kind is None:
        raise no_such("score", name, [*SCORES, "average_precision"])
    has_threshold = hasattr(kind, "of_largest")
    return as_score(name, *((quantile, threshold) if has_threshold else (None, None)))[0]


def by_layer(
    labels: Labels, activations: ActivationsLike, concepts: ConceptsLike, align: Align
) -> Iterable[tuple[Aligned, list[int]]]:
    """Match the layers of labels with those of activations: each with the places of its labels."""
    available = inputs.as_layers(activations)
    layers = list(dict.fromkeys(one.layer for one in labels))
    if list(available) == [None] and len(layers) == 1:
        available = {layers[0]: available[None]}
    missing = [layer for layer in layers if layer not in available]
    if missing:
        raise no_such("layer", missing[0], [name for name in available if name is not None])
    used: Mapping[Any, Any] = {name: available[name] for name in layers}
    for aligned in inputs.align(used, concepts, keep_common=align):
        yield aligned, [i for i, one in enumerate(labels) if one.layer == aligned.layer]


def block_of(aligned: Aligned, labels: Sequence[Label]) -> Block:
    """Read the activations of labels of one layer, a column each, turned around where the direction is low."""
    taken = aligned.activations
    neurons = list(dict.fromkeys(one.neuron for one in labels))  # one may have a label in each direction
    at = {neuron: k for k, neuron in enumerate(neurons)}
    block = taken.block(taken.indices(neurons))[:, [at[one.neuron] for one in labels]]
    check_finite(aligned.groups.select_rows(block))
    low = np.array([one.direction == "low" for one in labels])
    if not low.any():
        return block
    if is_csc(block):
        turned = block.astype(np.float64)
        turned.data[np.repeat(low, np.diff(turned.indptr))] *= -1
        return turned
    return np.where(low, -block.astype(np.float64), block)


def _scored(aligned: Aligned, labels: Sequence[Label], score: Score | None) -> Floats:
    """Compute a score of the formulas of labels of one layer."""
    groups = aligned.groups
    out = np.full(len(labels), np.nan)
    with_formula = [i for i, one in enumerate(labels) if one.formula is not None]
    for start in range(0, len(with_formula), _BLOCK):
        places = with_formula[start : start + _BLOCK]
        block = block_of(aligned, [labels[i] for i in places])
        rows = groups.select_rows(block)
        inside = [np.asarray(_formula(labels[i]).evaluate(aligned.shown), np.bool_) for i in places]
        weights = groups.row_weights
        if score is None:
            for k, i in enumerate(places):
                out[i] = measure(column(rows, k), inside[k][np.newaxis], weights)[0]["average_precision"]
            continue
        weighed = score.weigh(block, groups)
        of_group = np.zeros((len(places), groups.n_groups), np.bool_)
        for k, members in enumerate(inside):
            of_group[k, groups.row_groups[members]] = True
        n = of_group @ groups.counts
        s = (weighed.sums * of_group).sum(axis=1)
        values = score.value(ratio(weighed.terms, n, s)[:, np.newaxis], weighed.units)[:, 0]
        out[places] = np.where((n > 0) & (n < groups.total), values, np.nan)
    return out


def measured(labels: Labels, activations: ActivationsLike, concepts: ConceptsLike, align: Align) -> list[Label]:
    """Measure formulas that were not found here: their AUC, how many samples show them, and the Mann-Whitney test.

    A formula that is true of no sample, or of all, has no AUC, and is left out with a reason.
    """
    found = list(labels)
    for aligned, places in by_layer(labels, activations, concepts, align):
        groups, taken = aligned.groups, aligned.activations
        weights, with_formula = groups.row_weights, [i for i in places if found[i].formula is not None]
        for start in range(0, len(with_formula), _BLOCK):
            block = with_formula[start : start + _BLOCK]
            values = taken.block(taken.indices([found[i].neuron for i in block]))
            check_finite(values)
            rows = groups.select_rows(values)
            for k, i in enumerate(block):
                inside = np.asarray(_formula(found[i]).evaluate(aligned.shown), np.bool_)
                found[i] = _measured(found[i], column(rows, k), inside, weights)
    return found


def _measured(one: Label, values: NDArray[Any], inside: NDArray[np.bool_], weights: NDArray[np.int64]) -> Label:
    """A label with the numbers of its formula."""
    count, total = int(weights[inside].sum()), int(weights.sum())
    if one.best is None or not 0 < count < total:
        return replace(one, best=None, reason=f"{one.formula} is true of {'every' if count else 'no'} sample")
    rows = measure(values, inside[np.newaxis], weights, low=one.direction == "low")
    p, log10_p = p_values(rows, clustered=False)
    best = replace(
        one.best,
        auc=float(rows["auc"][0]),
        fraction=count / total,
        count=count,
        p=float(p[0]),
        log10_p=float(log10_p[0]),
    )
    return replace(one, best=best)


def _formula(one: Label) -> Formula:
    if one.formula is None:
        raise OptionError("a label without a formula has no score")
    return one.formula
