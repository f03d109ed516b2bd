"""Measure which score finds what: known classes, sanity checks, planted neurons; write benchmarks/SCORES.md.

python benchmarks/scores.py DATA [--neurons N]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from evidence import Table, photos
from numpy.typing import NDArray
from run import HERE, as_text

from neuronym import Activations, Concepts, Formula, inputs
from neuronym.data.groups import SampleGroups
from neuronym.search import SCORES, FormulaDecoder, Rules, Score, Searcher, as_score, extension
from neuronym.search.ratio import ratio

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

AT_THRESHOLD = ("iou", "f1", "precision", "recall")
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


def variants() -> list[tuple[str, list[Score]]]:
    """Each score under each threshold that is compared."""
    found = []
    for name in SCORES:
        if name not in AT_THRESHOLD:
            found.append((name, as_score(name)))
            continue
        found += [(f"{name}, quantile {q}", as_score(name, q)) for q in (0.995, 0.95)]
        found.append((f"{name}, best", as_score(name, threshold="best")))
    return found


def searched(
    groups: SampleGroups, rules: Rules, scores: list[Score], block: NDArray[np.generic]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The codes of the best formulas, by the best of several scores."""
    codes: list[tuple[float, tuple[tuple[int, ...], tuple[int, ...]]]] = [(-np.inf, ((), ()))] * block.shape[1]
    for score in scores:
        (found,), weighed = Searcher(groups, rules, score=score).of_block(block)
        values = score.value(found.scores[:, :1], weighed.units)[:, 0]
        for j, value in enumerate(values.tolist()):
            if found.lengths[j, 0] and value > codes[j][0]:
                codes[j] = value, found.code(j)
    return [code for _, code in codes]


BOUNDS = ((1, 1.0), (1, 0.5), (3, 1.0), (3, 0.5))  # length and largest fraction


def table_of_known(data: Path, bounds: Sequence[tuple[int, float]] = BOUNDS) -> Table:
    """How many outputs each score gives their own class."""
    logits, concepts, own = known_logits(data)
    (one,) = inputs.align(logits.matrix, concepts)
    groups, names = one.groups, one.searched.names
    decoder, rows = FormulaDecoder(names), []
    for name, scores in variants():
        cells = [name]
        for length, highest in bounds:
            rules = Rules(length, max_fraction=highest, min_count=1 if length == 1 else 20)
            codes = searched(groups, rules, scores, logits.matrix)
            formulas = [decoder.formula(*code) if code[0] else None for code in codes]
            exact = sum(f == Formula.concept(c) for f, c in zip(formulas, own, strict=True))
            within = sum(f is not None and c in f.concepts for f, c in zip(formulas, own, strict=True))
            cells.append(f"{exact}" if length == 1 else f"{exact}, {within}")
        rows.append(cells)
    note = (
        "The 200 known logits of EfficientNet-Lite0 on 10,000 photos: how many are given their own class, with "
        "negations, all fractions or at most one half allowed. For L = 3 exactly, and within the formula; min_count 20."
    )
    head = ["score", *(f"L={length}, {'any fraction' if most == 1 else 'at most ½'}" for length, most in bounds)]
    return "Known classes", note, head, rows


def of_inside(score: Score, values: Floats, inside: Bools) -> Floats:
    """A score of one neuron for several sets of samples (n_sets, n_samples)."""
    from neuronym.data.groups import group

    each = group(Concepts.from_array(np.eye(len(values), 1, dtype=bool))).apart()
    weighed = score.weigh(values[:, np.newaxis], each)
    sums = inside @ weighed.sums[0]
    return score.value(ratio(weighed.terms, inside.sum(axis=1)[np.newaxis], sums[np.newaxis]), weighed.units)[0]


def noticed(values: Floats, inside: Bools, rng: np.random.Generator, seeds: int) -> dict[str, Bools]:
    """Whether each score falls when half of the labels are missing, or as many wrong ones are added: (seeds, 2)."""
    from sklearn.metrics import average_precision_score

    sets = [inside]
    for _ in range(seeds):
        missing, extra = inside.copy(), inside.copy()
        missing[rng.permutation(np.flatnonzero(inside))[: inside.sum() // 2]] = False
        extra[rng.permutation(np.flatnonzero(~inside))[: inside.sum()]] = True
        sets += [missing, extra]
    scores = {name: of_inside(as_score(name)[0], values, np.stack(sets)) for name in SCORES}
    scores["average_precision"] = np.array([average_precision_score(one, values) for one in sets])
    return {name: (of_sets[1:] < of_sets[0]).reshape(-1, 2) for name, of_sets in scores.items()}


def table_of_sanity(data: Path, seeds: int = 10) -> Table:
    """Whether a score falls for a worse label, for outputs whose class is known."""
    logits, concepts, own = known_logits(data)
    found: dict[str, list[Bools]] = {}
    for j, concept in enumerate(own):
        values, rng = logits.matrix[:, j].astype(float), np.random.default_rng(j)
        for name, falls in noticed(values, concepts[concept], rng, seeds).items():
            found.setdefault(name, []).append(falls)
    rows = []
    for name, of_neurons in found.items():
        shares = [f"{share:.0%}" for share in np.concatenate(of_neurons).mean(axis=0)]
        rows.append([name, *shares, PUBLISHED.get(name, "")])
    note = (
        f"The 200 known logits with their own class, {seeds} draws each: the share of cases in which the score falls "
        "when half of the labels are taken away, and when as many wrong ones are added. Thresholds "
        "are the 0.995 quantile. "
        "Published: shares of Oikarinen et al. (ICML 2025), missing / extra."
    )
    return "Does the score notice?", note, ["score", "missing labels", "extra labels", "published"], rows


def table_of_frequency(data: Path, n_neurons: int = 100, seeds: int = 5) -> Table:
    """Whether a score falls for a worse label, by how many samples the concept has, for features."""
    pooled = np.load(data / "efficientnet_lite0/pooled.npy")[:, :n_neurons]
    (one,) = inputs.align(pooled, photos(data))
    classes, shown = [(20, 100), (100, 1000), (1000, 5001)], one.searched.to_dense()
    found: dict[str, list[str]] = {}
    for low, high in classes:
        columns = np.flatnonzero((shown.sum(axis=0) >= low) & (shown.sum(axis=0) < high))
        ranks = np.argsort(np.argsort(pooled, axis=0), axis=0).astype(float)
        counts = shown[:, columns].sum(axis=0)
        best = columns[
            np.argmax(
                (ranks.T @ shown[:, columns] - counts * (len(pooled) - 1) / 2) / (counts * (len(pooled) - counts)),
                axis=1,
            )
        ]  # of the highest AUC
        of_class: dict[str, list[Bools]] = {}
        for j in range(n_neurons):
            falls = noticed(pooled[:, j].astype(float), shown[:, best[j]], np.random.default_rng(j), seeds)
            for name, one_ in falls.items():
                of_class.setdefault(name, []).append(one_)
        for name, each in of_class.items():
            missing, extra = np.concatenate(each).mean(axis=0)
            found.setdefault(name, []).append(f"{missing:.0%} / {extra:.0%}")
    note = (
        f"The same for {n_neurons} pooled features with the concept of the highest AUC among those of as many photos; "
        f"{seeds} draws each, missing / extra."
    )
    head = ["score", *(f"{low} to {high - 1:,} photos" for low, high in classes)]
    return "By the frequency of the concept", note, head, [[name, *cells] for name, cells in found.items()]


def table_of_narrow(data: Path) -> Table:
    """Which of a class and a random half of it a search prefers."""
    logits, concepts, own = known_logits(data)
    rng = np.random.default_rng(0)
    halves = []
    for name in own:
        half = concepts[name].copy()
        half[rng.permutation(np.flatnonzero(half))[: half.sum() // 2]] = False
        halves.append(half)
    both = np.column_stack([concepts.to_dense(), *halves])
    widened = Concepts.from_array(both, [*concepts.names, *(f"half of {name}" for name in own)])
    (one,) = inputs.align(logits.matrix, widened)
    decoder, rows = FormulaDecoder(one.searched.names), []
    for name in SCORES:
        for fewest in (20, 40):
            rules = Rules(1, negation=False, min_count=fewest)
            codes = searched(one.groups, rules, as_score(name), logits.matrix)
            formulas = [decoder.formula(*code) if code[0] else None for code in codes]
            whole = sum(f == Formula.concept(c) for f, c in zip(formulas, own, strict=True))
            half_ = sum(f == Formula.concept(f"half of {c}") for f, c in zip(formulas, own, strict=True))
            rows.append([name, str(fewest), str(whole), str(half_)])
    note = (
        "The 200 known logits; beside each class of 50 photos, a random half of it as a concept. Which one the search "
        "of length 1 prefers, without negations. Thresholds are the 0.995 quantile."
    )
    return "A label that is too narrow", note, ["score", "min_count", "the class", "half of it"], rows


def planted(groups: SampleGroups, n_neurons: int, seed: int) -> tuple[Floats, list[Bools]]:
    """Neurons that detect random formulas of one to three concepts, with an AUC of 0.85 to 0.99."""
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    n, n_concepts = groups.n_rows, groups.n_concepts
    block, truths = np.empty((n, n_neurons)), []
    while len(truths) < n_neurons:
        length = int(rng.integers(1, 4))
        literals = 2 * rng.permutation(n_concepts)[:length] + (rng.random(length) < 0.25)
        operators = (0, *rng.integers(0, 2, length - 1).tolist())
        code = tuple(literals.tolist()), (operators[1], *operators[1:]) if length > 1 else operators
        inside = extension(code, groups)[groups.row_groups]
        shorter = [
            extension((code[0][:k] + code[0][k + 1 :], code[1][:k] + code[1][k + 1 :]), groups)[groups.row_groups]
            for k in range(length if length > 1 else 0)
        ]
        if not 20 <= inside.sum() <= n // 2 or any((one != inside).sum() < 20 for one in shorter):
            continue
        shift = np.sqrt(2) * norm.ppf(rng.uniform(0.85, 0.99))
        block[:, len(truths)] = rng.normal(size=n) + shift * inside
        truths.append(inside)
    return block, truths


def table_of_planted(data: Path, n_neurons: int) -> Table:
    concepts = photos(data)
    (one,) = inputs.align(np.zeros((concepts.n_samples, 1)), concepts)
    groups = one.groups
    block, truths = planted(groups, n_neurons, 0)
    rows = []
    for name in SCORES:
        (score,) = as_score(name, 0.95 if name in AT_THRESHOLD else None)
        start = time.perf_counter()
        (found,), weighed = Searcher(groups, Rules(), score=score).of_block(block)
        taken = time.perf_counter() - start
        values = score.value(found.scores[:, :1], weighed.units)[:, 0]
        reached = same = 0
        for j, inside in enumerate(truths):
            own = of_inside(score, block[:, j], inside[np.newaxis])[0]
            reached += values[j] >= own * (1 - 1e-9)
            same += np.array_equal(extension(found.code(j), groups)[groups.row_groups], inside)
        proven = found.optimal.mean()
        rows.append([name, f"{reached / n_neurons:.1%}", f"{same / n_neurons:.1%}", f"{proven:.1%}",
                     f"{1000 * taken / n_neurons:.1f}"])  # fmt: skip
    note = (
        f"{n_neurons} neurons that detect random formulas of one to three of the {groups.n_concepts} distinct concepts "
        "of 10,000 photos, with an AUC of 0.85 to 0.99: how many labels score at least as high as "
        "the true formula, how "
        "many are true for the same samples, how many are proven, and milliseconds per neuron. Thresholds: the 0.95 "
        "quantile."
    )
    return "Planted neurons", note, ["score", "at least the true score", "the true set", "proven", "ms"], rows


def table_of_trees(data: Path, n_neurons: int = 50) -> Table:
    """The best leaf of a decision tree of depth 3 beside the exact search of length 3, by IoU."""
    from sklearn.tree import DecisionTreeClassifier

    pooled = np.load(data / "efficientnet_lite0/pooled.npy")[:, :n_neurons]
    (one,) = inputs.align(pooled, photos(data))
    rows_of = one.searched.to_dense()
    rows = []
    for quantile in (0.995, 0.95):
        (score,) = as_score("iou", quantile)
        start = time.perf_counter()
        (found,), weighed = Searcher(one.groups, Rules(), score=score).of_block(pooled)
        taken = time.perf_counter() - start
        ours = score.value(found.scores[:, :1], weighed.units)[:, 0]
        start, leaves = time.perf_counter(), np.zeros(n_neurons)
        for j in range(n_neurons):
            above = pooled[:, j] > weighed.thresholds[j]
            tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(rows_of, above)
            of = tree.apply(rows_of)
            leaves[j] = max((above & (of == leaf)).sum() / (above | (of == leaf)).sum() for leaf in np.unique(of))
        trees = time.perf_counter() - start
        better, worse = (ours > leaves + 1e-12).mean(), (ours < leaves - 1e-12).mean()
        shares = [f"{better:.0%}", f"{worse:.0%}", f"{trees / taken:.0f}"]
        rows.append([str(quantile), f"{ours.mean():.4f}", f"{leaves.mean():.4f}", *shares])
    note = (
        f"{n_neurons} pooled features, 10,000 photos, {one.groups.n_concepts} distinct concepts. A "
        f"leaf is an AND of up "
        "to three literals, and may hold fewer than the 20 samples that ours must."
    )
    head = ["quantile", "IoU, exact search", "IoU, best leaf", "ours is better", "the leaf is", "times slower"]
    return "A decision tree of depth 3", note, head, rows


def table_of_compexp(data: Path, n_neurons: int) -> Table | None:
    """The optimal search of the package compositional-explanations; None where it is not installed."""
    try:
        import torch
        from compositional_explanations import metrics, optimal
    except ImportError:
        return None
    pooled = np.load(data / "efficientnet_lite0/pooled.npy")[:, :n_neurons]
    (one,) = inputs.align(pooled, photos(data))
    (score,) = as_score("iou", 0.95)
    rules = Rules(3, min_count=1, min_change=1, max_fraction=1.0)
    searcher = Searcher(one.groups, rules, score=score)
    searcher.prepare()
    start = time.perf_counter()
    (found,), weighed = searcher.of_block(pooled)
    taken = (time.perf_counter() - start) / n_neurons
    ours = score.value(found.scores[:, :1], weighed.units)[:, 0]
    shown = one.searched.to_dense()
    masks = [torch.tensor(column[:, np.newaxis]) for column in shown.T]  # samples of one position
    meets = shown.T.astype(np.int32) @ shown.astype(np.int32) > 0
    disjoint, rows, cpu = torch.tensor(~meets), [], torch.device("cpu")
    for j in range(n_neurons):
        bitmap = torch.tensor(pooled[:, j : j + 1] > weighed.thresholds[j])
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints each step
            formula = optimal.compute_optimal_explanations(
                bitmaps=bitmap,
                masks=masks,
                disjoint_info=disjoint,
                length=3,
                device=cpu,
                cache_dir=None,
            )
        theirs = time.perf_counter() - start
        iou = float(metrics.compute_iou_from_masks(formula=formula, masks=masks, bitmaps=bitmap))
        rows.append([str(j), f"{ours[j]:.4f}", f"{iou:.4f}", f"{theirs:.1f}", f"{theirs / taken:,.0f}"])
    note = (
        f"Pooled features on 10,000 photos as whole samples, {one.groups.n_concepts} concepts, L = 3, the top 5%. "
        f"Theirs: seconds on the CPU; ours: {1000 * taken:.1f} ms, with negations, all proven: "
        f"{bool(found.optimal.all())}."
    )
    head = ["feature", "IoU", "IoU, compositional-explanations", "seconds", "times slower"]
    return "Beside compositional-explanations", note, head, rows


def draw(known: Table, sanity: Table, path: Path) -> None:
    """Draw how many outputs get their own class, and the share of cases that notice a worse label."""
    from neuronym.plots.figures import COLOURS, new_figure

    figure = new_figure(9.5, 4.6)
    left, right = figure.subplots(1, 2)
    bars = [
        (left, known, (("L = 1", 1), ("L = 3", 3)), "outputs given their own class, of 200", 200),
        (right, sanity, (("missing labels", 1), ("extra labels", 2)), "cases in which the score falls (%)", 100),
    ]
    for axes, table, columns, about, most in bars:
        places = np.arange(len(table[3]))
        for offset, (label, column), colour in zip((-0.2, 0.2), columns, COLOURS, strict=False):
            values = [float(row[column].split(",")[0].rstrip("%")) for row in table[3]]
            axes.barh(places + offset, values, 0.38, color=colour, label=label)
        axes.set_yticks(places, [row[0].replace("_", " ").replace("quantile ", "") for row in table[3]])
        axes.invert_yaxis()
        axes.set(xlabel=about, xlim=(0, most))
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--neurons", type=int, default=500)
    parser.add_argument("--compared", type=int, default=10, help="neurons searched by compositional-explanations too")
    parser.add_argument("--out", type=Path, default=HERE / "SCORES.md")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    known, sanity = table_of_known(asked.data), table_of_sanity(asked.data)
    tables = [
        known,
        sanity,
        table_of_frequency(asked.data),
        table_of_narrow(asked.data),
        table_of_planted(asked.data, asked.neurons),
        table_of_trees(asked.data),
    ]
    theirs = table_of_compexp(asked.data, asked.compared) if asked.compared else None
    tables += [] if theirs is None else [theirs]
    text = as_text(tables, "scores.py")
    print(text)
    asked.out.write_text(text, encoding="utf-8")
    if asked.plot is not None:
        draw(known, sanity, asked.plot)


if __name__ == "__main__":
    main()
