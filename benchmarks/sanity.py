"""Whether scores notice labels that are too narrow or too wide, on real neurons, and what helps where they do not."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from evidence import Table, photos
from numpy.typing import NDArray

from neuronym import Activations, Concepts, Formula, Label, Labels, inputs, label
from neuronym.data.groups import SampleGroups, group
from neuronym.search import SCORES, Rules, Score, Searcher, as_score, extension
from neuronym.search.ratio import ratio

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Case = tuple[Floats, Bools]  # a neuron, and the samples of its concept

AT_THRESHOLD = ("iou", "f1", "precision", "recall")
COINS = 10
PUBLISHED = {  # shares of cases that notice missing and extra labels, Oikarinen et al., ICML 2025
    "correlation": "99 / 100", "average_precision": "96 / 99", "f1": "94 / 100", "iou": "94 / 100", "auc": "53 / 100",
    "mean_difference": "60 / 99",
}  # fmt: skip


def known_logits(data: Path) -> tuple[Activations, Concepts, list[str]]:
    """The 200 logits whose classes are in the photos, the concepts, and the concept that each logit is for."""
    logits = np.load(data / "efficientnet_lite0/logits_known.npy")
    with open(data / "efficientnet_lite0/logits_known.csv", newline="") as file:
        classes = [row["wnid"] for row in csv.DictReader(file)]
    return Activations(logits), photos(data), classes


def every_sample(n_samples: int) -> SampleGroups:
    """Samples as groups of one, so that a score can be computed for any set of them."""
    return group(Concepts.from_array(np.eye(n_samples, 1, dtype=bool))).apart()


def of_inside(score: Score, values: Floats, inside: Bools, each: SampleGroups | None = None) -> Floats:
    """A score of one neuron for several sets of samples (n_sets, n_samples)."""
    weighed = score.weigh(values[:, np.newaxis], each or every_sample(len(values)))
    sums = inside @ weighed.sums[0]
    return score.value(ratio(weighed.terms, inside.sum(axis=1)[np.newaxis], sums[np.newaxis]), weighed.units)[0]


def measured(name: str, quantile: float | None, case: Case, sets: Bools, each: SampleGroups) -> Floats:
    """A score, or average precision, of the neuron of a case for several sets of samples."""
    from sklearn.metrics import average_precision_score

    if name == "average_precision":
        return np.array([average_precision_score(one, case[0]) for one in sets])
    return of_inside(as_score(name, quantile)[0], case[0], sets, each)


def damaged(inside: Bools, seeds: int, rng: np.random.Generator) -> Bools:
    """The labels as they are, and for each seed with half of them taken away, and with as many wrong ones added."""
    sets = [inside]
    for _ in range(seeds):
        missing, extra = inside.copy(), inside.copy()
        missing[rng.permutation(np.flatnonzero(inside))[: inside.sum() // 2]] = False
        extra[rng.permutation(np.flatnonzero(~inside))[: inside.sum()]] = True
        sets += [missing, extra]
    return np.stack(sets)


def checked() -> list[tuple[str, str, float | None]]:
    """What is checked, under which name: (name shown, score, quantile)."""
    found: list[tuple[str, str, float | None]] = []
    for name in (*SCORES, "average_precision"):
        quantiles = (0.995, 0.95) if name in AT_THRESHOLD else (None,)
        found += [(name if q is None else f"{name}, quantile {q}", name, q) for q in quantiles]
    return found


def notices(cases: Sequence[Case], seeds: int) -> dict[str, tuple[float, float]]:
    """For each score, the shares of cases in which it falls with missing, and with extra labels."""
    each = every_sample(len(cases[0][0]))
    falls: dict[str, list[Bools]] = {}
    for j, case in enumerate(cases):
        sets = damaged(case[1], seeds, np.random.default_rng(j))
        for shown, name, quantile in checked():
            scores = measured(name, quantile, case, sets, each)
            falls.setdefault(shown, []).append(scores[1:] < scores[0])
    shares = {shown: np.stack(own) for shown, own in falls.items()}
    return {shown: (float(own[:, ::2].mean()), float(own[:, 1::2].mean())) for shown, own in shares.items()}


def best_concepts(features: NDArray[np.generic], concepts: Concepts, name: str = "correlation") -> list[Case]:
    """Each feature with the concept that it detects best."""
    (one,) = inputs.align(features, concepts)
    rules = Rules(1, negation=False)
    (found,), _ = Searcher(one.groups, rules, score=as_score(name)[0]).of_block(features)
    rows = one.groups.row_groups
    return [(features[:, j].astype(float), extension(found.code(j), one.groups)[rows]) for j in range(len(found.best))]


def by_frequency(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Cases by how many of the samples show their concept."""
    bins: dict[str, list[Case]] = {}
    for low, high in ((0.0, 0.005), (0.005, 0.02), (0.02, 1.0)):
        own = [case for case in cases if low < case[1].mean() <= high]
        title = f"to {high:.1%}" if low == 0 else f"over {low:.1%}" if high == 1 else f"{low:.1%} to {high:.1%}"
        if own:
            bins[f"features, {title} ({len(own)})"] = own
    return bins


def table_of_sanity(data: Path, seeds: int = 10, neurons: int | None = None) -> Table:
    """Whether a score falls when half of the labels are missing, or as many wrong ones are added."""
    logits, concepts, own = known_logits(data)
    known = [(logits.matrix[:, j].astype(float), concepts[name]) for j, name in enumerate(own)][:neurons]
    features = np.load(data / "efficientnet_lite0/pooled.npy")[:, :neurons]
    bins = {f"logits, 0.5% ({len(known)})": known, **by_frequency(best_concepts(features, concepts))}
    shares = {title: notices(cases, seeds) for title, cases in bins.items()}
    rows = []
    for shown, name, _ in checked():
        cells = ["{:.0%} / {:.0%}".format(*found[shown]) for found in shares.values()]
        rows.append([shown, *cells, PUBLISHED.get(name, "")])
    note = (
        "The known logits with their own class, and pooled features of EfficientNet-Lite0 with the concept that they "
        "correlate with most, by how many of the 10,000 photos show it (cases in brackets; the concept with the "
        f"highest AUC is a single class, 0.5%, for nearly every feature). {seeds} draws each: in what share of the "
        "draws the score falls when half of the labels are taken away / when as many wrong ones are added as there "
        "are right ones. Published: the shares of Oikarinen, Yan and Weng (ICML 2025, arXiv 2506.05774), missing / "
        "extra, on other networks and labels."
    )
    return "Does the score notice?", note, ["score", *bins, "published"], rows


def with_coins(concepts: Concepts, seed: int = 0) -> Concepts:
    """The concepts, and attributes that mean nothing: each is shown by a random half of the samples."""
    rng = np.random.default_rng(seed)
    coins = Concepts.from_array(rng.random((concepts.n_samples, COINS)) < 0.5, [f"coin {i}" for i in range(COINS)])
    return Concepts.concatenate([Concepts.from_array(concepts.to_dense(), concepts.names), coins])


def _row(title: str, found: Sequence[Label], own: Sequence[str]) -> list[str]:
    formulas = [one.formula for one in found]
    right = sum(f == Formula.concept(c) for f, c in zip(formulas, own, strict=True))
    narrow = sum(f is not None and any(c.startswith("coin") for c in f.concepts) for f in formulas)
    return [title, str(right), str(narrow)]


def table_of_remedies(data: Path, neurons: int | None = None) -> Table:
    """Labels among which are ever so many halves of the right one: who takes them, and what helps."""
    logits, concepts, own = known_logits(data)
    values, truth = logits.matrix[:, :neurons], own[:neurons]
    among = with_coins(concepts)
    common: dict[str, Any] = {"length": 2, "min_count": 5, "n_jobs": -1}

    def found(**options: Any) -> Labels:
        return label(values, among, **{**common, **options})

    held = found(holdout=0.5)
    rows = [
        _row('score="auc"', list(found()), truth),
        _row('score="mean_difference"', list(found(score="mean_difference")), truth),
        _row('score="auc", min_count=40', list(found(min_count=40)), truth),
        _row('score="auc", holdout=0.5', list(held), truth),
        _row("the same, simplest(): p_gain ≤ 0.05", list(held.simplest()), truth),
        _row('score="f1"', list(found(score="f1")), truth),
        _row('score="correlation"', list(found(score="correlation")), truth),
    ]
    note = (
        f"The {values.shape[1]} known logits, formulas of length 2 over the {concepts.n_concepts} concepts and {COINS} "
        "coins, each of which is shown by a random half of the photos: `class & coin` is a label that has lost half of "
        "its samples. min_count is 5 except where it says otherwise; a class has 50 photos. How many labels are the "
        "own class, and how many hold a coin."
    )
    return "What helps against labels that are too narrow", note, ["", "own class", "with a coin"], rows
