"""Scores beside one another: of labels that were found, of labels that are known, and between sets of labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import some
from neuronym.data.activations import as_name
from neuronym.data.depths import as_hierarchy
from neuronym.data.formula import Formula
from neuronym.data.hierarchy import Hierarchy
from neuronym.errors import FormulaError, OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.tables import read_table
from neuronym.labeling.labeling import label
from neuronym.labels.labels import Labels
from neuronym.labels.rescoring import block_of, by_layer, made_score, rescore
from neuronym.search.beam import Rules
from neuronym.search.ratio import ratio
from neuronym.search.scores import SCORES, Score, as_score
from neuronym.types import ActivationsLike, Align, ConceptsLike, HierarchyLike, LabelsLike, Name, PathLike, SearchMethod

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["agreement", "compare_scores", "evaluate_known"]

Floats = NDArray[np.float64]

_BLOCK = 64  # neurons weighed at a time

Threshold = float | Literal["best"] | None


def agreement(
    labels: LabelsLike,
    other: LabelsLike,
    concepts: ConceptsLike | None = None,
    *,
    hierarchy: HierarchyLike | None = None,
) -> pd.DataFrame:
    """Compare two sets of labels of the same neurons: two seeds, two checkpoints, or two methods.

    Parameters
    ----------
    labels, other : LabelsLike
        The sets of labels, or their files.
    concepts : ConceptsLike, optional
        The concepts, for the overlap of the formulas' samples.
    hierarchy : HierarchyLike, optional
        A hierarchy of the concepts, for their similarity.

    Returns
    -------
    DataFrame
        One row per neuron that is in both: ``layer``, ``neuron``, ``direction``, ``formula``, ``other``; ``same``,
        whether the formulas are the same; ``same_concepts``, whether they have the same concepts; with concepts,
        ``overlap``, the Jaccard index of the samples where they are true; and with a hierarchy ``similarity``, that of
        Wu and Palmer between the concepts of the formulas, each with its most similar one.

    Raises
    ------
    OptionError
        If no neuron is in both.
    """
    import pandas as pd

    first, second = (one if isinstance(one, Labels) else Labels.open(one) for one in (labels, other))
    known = {(one.layer, one.neuron, one.direction): one for one in second}
    shown = None if concepts is None else as_concepts(concepts)
    tree = None if hierarchy is None else as_hierarchy(hierarchy)
    rows = []
    for one in first:
        two = known.get((one.layer, one.neuron, one.direction))
        if two is None:
            continue
        formulas = one.formula, two.formula
        names = [set() if f is None else set(f.concepts) for f in formulas]
        row: dict[str, Any] = {"layer": one.layer, "neuron": one.neuron, "direction": one.direction}
        row |= {"formula": formulas[0] and str(formulas[0]), "other": formulas[1] and str(formulas[1])}
        row |= {"same": formulas[0] == formulas[1], "same_concepts": names[0] == names[1]}
        if shown is not None:
            row["overlap"] = math.nan
            if formulas[0] is not None and formulas[1] is not None:
                a, b = (f.evaluate(shown) for f in formulas if f is not None)
                either = int((a | b).sum())
                row["overlap"] = float((a & b).sum() / either) if either else math.nan
        if tree is not None:
            row["similarity"] = _similarity(names[0], names[1], tree)
        rows.append(row)
    if not rows:
        raise OptionError(
            "the two sets of labels have no neuron in common: compare labels of the same layers and neurons"
        )
    return pd.DataFrame(rows)


def wu_palmer(a: str, b: str, tree: Hierarchy) -> float:
    """Compute the similarity of two concepts in a hierarchy (Wu and Palmer 1994).

    2 d(c) / (d(a) + d(b)) for their deepest common ancestor c, with depths d counted from 1 at the top; 1 for the same
    concept, 0 without a common ancestor.

    Parameters
    ----------
    a, b : str
        The concepts.
    tree : Hierarchy
        The hierarchy.

    Returns
    -------
    float
        From 0 to 1.
    """
    if a == b:
        return 1.0
    depths = {name: _depth(name, tree) for name in {a, b, *tree.ancestors(a), *tree.ancestors(b)}}
    common = ({a} | set(tree.ancestors(a))) & ({b} | set(tree.ancestors(b)))
    return max((2 * depths[c] / (depths[a] + depths[b]) for c in common), default=0.0)


def _depth(name: str, tree: Hierarchy) -> int:
    """The number of concepts on the shortest way to the top."""
    level, steps = {name}, 1
    while not any(not tree.parents.get(one) for one in level):
        level, steps = {parent for one in level for parent in tree.parents[one]}, steps + 1
    return steps


def _similarity(first: set[str], second: set[str], tree: Hierarchy) -> float:
    """The mean similarity of each concept to the most similar of the other formula."""
    if not first or not second:
        return math.nan
    each = [max(wu_palmer(a, b, tree) for b in second) for a in first]
    each += [max(wu_palmer(a, b, tree) for a in first) for b in second]
    return fmean(each)


def open_truth(path: PathLike) -> dict[tuple[str | None, Name], str]:
    """Read the true labels of neurons from a table.

    Parameters
    ----------
    path : str or Path
        A table with the columns ``neuron`` and ``truth``, and optionally ``layer``.

    Returns
    -------
    dict of (str or None, int or str) to str
        The formula or concept of each neuron.

    Raises
    ------
    FileError
        If it cannot be read.
    OptionError
        If it lacks a column, or names a neuron twice.
    """
    table = read_table(path, "true labels").to_pandas()
    missing = [name for name in ("neuron", "truth") if name not in table]
    if missing:
        raise OptionError(f"{str(path)!r} must have the columns neuron and truth, but lacks {some(missing)}")
    layers = table["layer"] if "layer" in table else [None] * len(table)
    found: dict[tuple[str | None, Name], str] = {}
    for layer, neuron, truth in zip(layers, table["neuron"], table["truth"], strict=True):
        key = (None if layer is None or layer == "" else str(layer)), as_name(neuron)
        if found.setdefault(key, str(truth)) != str(truth):
            raise OptionError(f"{str(path)!r} has two truths for the neuron {neuron!r}: keep one")
    return found


def evaluate_known(
    labels: LabelsLike,
    truth: Mapping[Any, str] | PathLike,
    *,
    activations: ActivationsLike | None = None,
    concepts: ConceptsLike | None = None,
    hierarchy: HierarchyLike | None = None,
    score: str | Score = "auc",
) -> pd.DataFrame:
    """Compare labels with what neurons are known to detect: outputs of a classifier, or planted neurons.

    Parameters
    ----------
    labels : LabelsLike
        The labels, or their file.
    truth : mapping or path
        The true concept or formula of each neuron, by neuron, or by (layer, neuron); or a table with the columns
        ``neuron`` and ``truth``, and ``layer`` if there are several. Neurons without a truth are left out.
    activations, concepts : optional
        As for ``label``. With both, the rank of the true concept among all single concepts.
    hierarchy : HierarchyLike, optional
        A hierarchy of the concepts, for similarity.
    score : str or Score, default "auc"
        The score by which single concepts are ranked.

    Returns
    -------
    DataFrame
        One row per neuron with a truth: ``layer``, ``neuron``, ``direction``, ``formula``, ``truth``; ``exact``,
        whether the formula is the truth; ``contains``, whether it contains every literal of it; ``rank`` of the true
        concept, 1 for the first; and with a hierarchy ``similarity`` (Wu and Palmer) and ``parent``, whether the
        formula contains an ancestor of the true concept. ``attrs`` has the means: ``top1``, ``top5``, ``mrr`` (the mean
        reciprocal rank), ``exact``, ``contains``, ``similarity``, ``parent``.

    Raises
    ------
    OptionError
        If no neuron has a truth.
    FormulaError
        If a truth is neither a concept nor a formula.
    """
    import pandas as pd

    found = labels if isinstance(labels, Labels) else Labels.open(labels)
    given = open_truth(truth) if isinstance(truth, str | Path) else _keyed(truth)
    tree = None if hierarchy is None else as_hierarchy(hierarchy)
    rows, places = [], []
    for i, one in enumerate(found):
        true = given.get((one.layer, one.neuron), given.get((None, one.neuron)))
        if true is None:
            continue
        known = _as_formula(true)
        own = set() if one.formula is None else _literals(one.formula)
        row: dict[str, Any] = {"layer": one.layer, "neuron": one.neuron, "direction": one.direction}
        row |= {"formula": one.formula and str(one.formula), "truth": str(known), "exact": one.formula == known}
        row["contains"] = bool(own) and _literals(known) <= own
        if tree is not None:
            names = set() if one.formula is None else set(one.formula.concepts)
            row["similarity"] = _similarity(names, set(known.concepts), tree)
            row["parent"] = any(a in names for concept in known.concepts for a in tree.ancestors(concept))
        rows.append(row)
        places.append(i)
    if not rows:
        raise OptionError(
            f"none of the {len(found)} labels has a truth: give it by neuron ({some(one.neuron for one in found)}), or "
            f"by (layer, neuron), not {some(given)}"
        )
    table = pd.DataFrame(rows)
    if activations is not None and concepts is not None:
        chosen = Labels([list(found)[i] for i in places])
        (by,) = as_score(score)
        ranks = _ranks(chosen, [row["truth"] for row in rows], activations, concepts, by)
        table.insert(7, "rank", ranks)
    table.attrs.update(_means(table))
    return table


def _keyed(truth: Mapping[Any, str]) -> dict[tuple[str | None, Name], str]:
    """Truths by layer and neuron; a layer of None stands for any."""
    return {
        ((key[0], as_name(key[1])) if isinstance(key, tuple) else (None, as_name(key))): str(value)
        for key, value in truth.items()
    }


def _as_formula(text: str) -> Formula:
    """A truth as a formula: a name with spaces or signs is a concept by itself."""
    try:
        return Formula.parse(text)
    except FormulaError:
        return Formula.concept(text)


def _literals(formula: Formula, negated: bool = False) -> set[tuple[str, bool]]:
    """The literals of a formula."""
    if formula.operator == "concept":
        return {(formula.name, negated)}
    turned = negated != (formula.operator == "not")
    return {literal for one in formula.operands for literal in _literals(one, turned)}


def _ranks(
    labels: Labels, truths: list[str], activations: ActivationsLike, concepts: ConceptsLike, score: Score
) -> list[float]:
    """The rank of the true concept among all single concepts; NaN if the truth is no single concept."""
    ranks = [math.nan] * len(labels)
    listed = list(labels)
    for aligned, places in by_layer(labels, activations, concepts, False):
        groups, names = aligned.groups, aligned.searched.names
        shows = np.zeros((groups.n_groups, groups.n_concepts), np.int64)
        for c in range(groups.n_concepts):
            shows[groups.concept_groups[groups.concept_ptr[c] : groups.concept_ptr[c + 1]], c] = 1
        counts = groups.counts @ shows
        aliases = {alias: name for name, others in aligned.searched.aliases.items() for alias in others}
        for start in range(0, len(places), _BLOCK):
            chosen = places[start : start + _BLOCK]
            weighed = score.weigh(block_of(aligned, [listed[i] for i in chosen]), groups)
            scores = ratio(weighed.terms, np.tile(counts, (len(chosen), 1)), weighed.sums @ shows)
            for k, i in enumerate(chosen):
                formula = _as_formula(truths[i])
                name = aliases.get(formula.name, formula.name) if formula.operator == "concept" else None
                if name in names:
                    ranks[i] = float(1 + (scores[k] > scores[k][names.index(str(name))]).sum())
    return ranks


def _means(table: pd.DataFrame) -> dict[str, float]:
    """The shares and means over neurons."""
    means = {name: float(table[name].mean()) for name in ("exact", "contains", "similarity", "parent") if name in table}
    if "rank" in table and table["rank"].notna().any():
        ranks = table["rank"].dropna()
        means |= {
            "top1": float((ranks <= 1).mean()),
            "top5": float((ranks <= 5).mean()),
            "mrr": float((1 / ranks).mean()),
        }
    return means


def compare_scores(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    scores: Sequence[str] = ("auc", "correlation", "cosine", "mean_difference", "iou", "f1"),
    truth: Mapping[Any, str] | PathLike | None = None,
    quantile: float | None = None,
    threshold: Threshold = None,
    length: int = Rules.length,
    search: SearchMethod = Rules.search,
    min_fraction: float = Rules.min_fraction,
    max_fraction: float = Rules.max_fraction,
    min_count: int = Rules.min_count,
    holdout: float | None = None,
    hierarchy: HierarchyLike | None = None,
    align: Align = False,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Label neurons by several scores, and measure the labels of each by all of them.

    Parameters
    ----------
    activations, concepts : ActivationsLike, ConceptsLike
        As for ``label``.
    scores : sequence of str
        The scores to search by.
    truth : mapping or path, optional
        What neurons are known to detect, as for ``evaluate_known``.
    quantile, threshold : optional
        The threshold of scores that have one, as for ``label``. With ``threshold="best"`` labels are searched by the
        best threshold, and measured at the default quantile.
    length : int, default 3
        The largest number of concepts in a formula.
    search : {"auto", "optimal", "beam"}, default "auto"
        How formulas are searched, as for ``label``.
    min_fraction, max_fraction : float, default 0.0 and 0.5
        Bounds, both included, on the fraction of samples for which a formula is true.
    min_count : int, default 20
        The fewest samples for which a formula is true.
    holdout : float, optional
        The share of samples to hold out, for the AUC on them.
    hierarchy : HierarchyLike, optional
        A hierarchy of the concepts, for similarity to the truth.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    n_jobs : int, optional
        The number of parallel jobs.

    Returns
    -------
    DataFrame
        One row per score that was searched by: ``searched``; ``neurons`` with a formula; the means over them of
        ``length``, ``fraction``, each score of ``scores`` and ``average_precision``; ``auc_heldout`` if asked;
        ``same``, the share of neurons with the formula of the first score; and the means of ``evaluate_known`` with a
        truth. ``attrs["labels"]`` has the labels by score.

    Raises
    ------
    OptionError, UnknownNameError
        As for ``label``.
    """
    import pandas as pd

    wanted = [scores] if isinstance(scores, str) else list(dict.fromkeys(scores))
    if not wanted:
        raise OptionError("scores is empty: name at least one")
    fixed = None if threshold == "best" else threshold
    made = {name: made_score(name, quantile, fixed) for name in wanted}
    if None in made.values():
        as_score("average_precision")  # says why it cannot be searched
    rows, kept = [], {}
    for name in wanted:
        with_threshold = hasattr(SCORES[name], "of_largest")
        found = label(
            activations,
            concepts,
            score=name,
            quantile=quantile if with_threshold else None,
            threshold=threshold if with_threshold else None,
            length=length,
            holdout=holdout,
            align=align,
            n_jobs=n_jobs,
            search=search,
            min_fraction=min_fraction,
            max_fraction=max_fraction,
            min_count=min_count,
        )
        kept[name] = found
        shown = [one for one in found if one.formula is not None]
        row: dict[str, Any] = {"searched": name, "neurons": len(shown)}
        row["length"] = fmean(one.length or 0 for one in shown) if shown else math.nan
        row["fraction"] = fmean(one.fraction for one in shown) if shown else math.nan
        of_all = rescore(
            found, activations, concepts, scores=[*wanted, "average_precision"], quantile=quantile, threshold=fixed,
            align=align,
        )  # fmt: skip
        row |= {one: float(of_all[one].mean()) for one in (*wanted, "average_precision")}
        if holdout is not None:
            row["auc_heldout"] = float(np.nanmean([one.auc_heldout for one in shown])) if shown else math.nan
        row["same"] = float(agreement(kept[wanted[0]], found)["same"].mean())
        if truth is not None:
            known = evaluate_known(
                found, truth, activations=activations, concepts=concepts, hierarchy=hierarchy, score=made[name] or name
            )
            row |= {str(mean): value for mean, value in known.attrs.items()}
        rows.append(row)
    table = pd.DataFrame(rows)
    table.attrs["labels"] = kept
    return table
