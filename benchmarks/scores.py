"""Measure which score finds what: known classes, sanity checks, planted neurons; write benchmarks/SCORES.md.

python benchmarks/scores.py DATA [--neurons N] [--plot docs/scores.png] [--before SOURCES]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from evidence import Table, photos
from numpy.typing import NDArray
from run import HERE, as_text
from sanity import AT_THRESHOLD, PUBLISHED, every_sample, known_logits, of_inside, table_of_remedies, table_of_sanity

from neuronym import Formula, inputs
from neuronym.data.groups import SampleGroups
from neuronym.search import SCORES, FormulaDecoder, Rules, Score, Searcher, as_score, extension

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Code = tuple[tuple[int, ...], tuple[int, ...]]

READING = "## Which score misleads when"  # what is written by hand below the tables, and kept


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
) -> tuple[list[Code | None], Floats, Bools]:
    """The codes of the best formulas by the best of several scores, their values, and whether they are proven."""
    codes: list[Code | None] = [None] * block.shape[1]
    best, proven = np.full(len(codes), -np.inf), np.ones(len(codes), np.bool_)
    for score in scores:
        (found,), weighed = Searcher(groups, rules, score=score).of_block(block)
        values = score.value(found.scores[:, :1], weighed.units)[:, 0]
        proven &= found.optimal
        for j in np.flatnonzero((found.lengths[:, 0] > 0) & (values > best)).tolist():
            codes[j], best[j] = found.code(j), values[j]
    return codes, best, proven


def table_of_known(data: Path) -> Table:
    logits, concepts, own = known_logits(data)
    (one,) = inputs.align(logits.matrix, concepts)
    groups, names = one.groups, one.searched.names
    decoder, rows = FormulaDecoder(names), []
    for name, scores in variants():
        cells = [name]
        for length, highest in ((1, 1.0), (1, 0.5), (3, 1.0), (3, 0.5)):
            rules = Rules(length, max_fraction=highest, min_count=1 if length == 1 else 20)
            codes, _, _ = searched(groups, rules, scores, logits.matrix)
            formulas = [None if code is None else decoder.formula(*code) for code in codes]
            exact = sum(f == Formula.concept(c) for f, c in zip(formulas, own, strict=True))
            within = sum(f is not None and c in f.concepts for f, c in zip(formulas, own, strict=True))
            cells.append(f"{exact}" if length == 1 else f"{exact}, {within}")
        rows.append(cells)
    note = (
        "The 200 known logits of EfficientNet-Lite0 on 10,000 photos: how many are given their own class, with "
        "negations, all fractions or at most one half allowed. For L = 3 exactly, and within the formula; min_count 20."
    )
    head = ["score", "L=1, any fraction", "L=1, at most ½", "L=3, any fraction", "L=3, at most ½"]
    return "Known classes", note, head, rows


def matters(code: Code, groups: SampleGroups, least: int) -> bool:
    """Whether at least so many samples, and at most half, are inside, and leaving out any literal changes as many."""
    literals, operators = code
    inside = extension(code, groups)
    if not least <= groups.counts[inside].sum() <= groups.total // 2:
        return False
    places = range(len(literals) if len(literals) > 1 else 0)
    shorter = [(literals[:k] + literals[k + 1 :], operators[:k] + operators[k + 1 :]) for k in places]
    return all(groups.counts[extension(one, groups) != inside].sum() >= least for one in shorter)


def planted(groups: SampleGroups, n_neurons: int, seed: int) -> tuple[Floats, list[Code]]:
    """Neurons that detect random formulas of one to three concepts, with an AUC of 0.85 to 0.99, and the formulas."""
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    block, truths = rng.normal(size=(groups.n_rows, n_neurons)), list[Code]()
    while len(truths) < n_neurons:
        length = len(truths) % 3 + 1  # as many of each: random ones that are AND of much are rarely true for 20 samples
        literals = 2 * rng.permutation(groups.n_concepts)[:length] + (rng.random(length) < 0.25)
        code = tuple(literals.tolist()), (0, *rng.integers(0, 2, length - 1).tolist())
        if matters(code, groups, 20):
            shift = np.sqrt(2) * norm.ppf(rng.uniform(0.85, 0.99))
            block[:, len(truths)] += shift * extension(code, groups)[groups.row_groups]
            truths.append(code)
    return block, truths


def table_of_planted(data: Path, n_neurons: int) -> Table:
    """Whether the search comes back with a score as high as that of the formula that a neuron was made of."""
    concepts = photos(data)
    (one,) = inputs.align(np.zeros((concepts.n_samples, 1)), concepts)
    groups, decoder = one.groups, FormulaDecoder(one.searched.names)
    block, truths = planted(groups, n_neurons, 0)
    insides = [extension(code, groups)[groups.row_groups] for code in truths]
    rows, each = [], every_sample(groups.n_rows)
    for name, scores in variants():
        start = time.perf_counter()
        codes, values, proven = searched(groups, Rules(), scores, block)
        taken = time.perf_counter() - start
        own = [max(of_inside(s, block[:, j], i[np.newaxis], each)[0] for s in scores) for j, i in enumerate(insides)]
        reached = values >= np.array(own) * (1 - 1e-9)
        pairs = [(code, truth) for code, truth in zip(codes, truths, strict=True) if code is not None]
        formula = sum(decoder.formula(*code) == decoder.formula(*truth) for code, truth in pairs)
        same = sum(np.array_equal(extension(code, groups), extension(truth, groups)) for code, truth in pairs)
        shares = [f"{count / n_neurons:.1%}" for count in (reached.sum(), formula, same, proven.sum())]
        rows.append([name, *shares, f"{1000 * taken / n_neurons:.1f}"])
    note = (
        f"{n_neurons} neurons that detect random formulas of one to three of the {groups.n_concepts} distinct concepts "
        "of 10,000 photos (a third of each length; true for 20 photos to half of them; every literal matters): normal "
        'noise, shifted inside so that the AUC is 0.85 to 0.99. `label`\'s defaults: L = 3, `search="auto"`. '
        "How many labels score at least as high as the true formula, are the true formula, are true for the same "
        "photos, are proven, and milliseconds per neuron on one thread."
    )
    head = ["score", "at least the true score", "the true formula", "the same photos", "proven", "ms"]
    return "Planted neurons", note, head, rows


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
        from package_utils import mask_utils
    except ImportError:
        return None
    pooled = np.load(data / "efficientnet_lite0/pooled.npy")[:, :n_neurons]
    (one,) = inputs.align(pooled, photos(data))
    (score,) = as_score("iou", 0.95)
    rules = Rules(3, min_count=1, min_change=1, max_fraction=1.0)
    Searcher(one.groups, rules, score=score).of_block(pooled[:, :1])  # compiles
    start = time.process_time()
    searcher = Searcher(one.groups, rules, score=score)
    searcher.prepare()
    once = time.process_time() - start
    start = time.process_time()
    (found,), weighed = searcher.of_block(pooled)
    taken = (time.process_time() - start) / n_neurons
    ours = score.value(found.scores[:, :1], weighed.units)[:, 0]
    shown = one.searched.to_dense()
    masks = [torch.tensor(column[:, np.newaxis]) for column in shown.T]  # samples of one position
    meets = shown.T.astype(np.int32) @ shown.astype(np.int32) > 0
    disjoint, rows, cpu = torch.tensor(~meets), [], torch.device("cpu")
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):  # it prints each step
        mask_utils.get_dataset_info(masks, None)
    of_masks = time.process_time() - start
    for j in range(n_neurons):
        bitmap = torch.tensor(pooled[:, j : j + 1] > weighed.thresholds[j])
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            formula = optimal.compute_optimal_explanations(
                bitmaps=bitmap,
                masks=masks,
                disjoint_info=disjoint,
                length=3,
                device=cpu,
                cache_dir=None,
            )
        theirs = time.process_time() - start
        iou = float(metrics.compute_iou_from_masks(formula=formula, masks=masks, bitmaps=bitmap))
        rows.append([str(j), f"{ours[j]:.4f}", f"{iou:.4f}", f"{theirs:.1f}", f"{theirs / taken:,.0f}"])
    note = (
        f"Pooled features on 10,000 photos as whole samples (samples of one position), {one.groups.n_concepts} "
        "concepts, L = 3, the top 5%. Theirs: the optimal search of compositional-explanations "
        f"{version('compositional-explanations')}, seconds of CPU time, of which {of_masks:.2f} are what it computes "
        "of the masks each time (it can cache that). Ours: all formulas with negations, "
        f"{1000 * taken:.1f} ms a feature, after {1000 * once:.0f} ms for what features share; all proven: "
        f"{'yes' if found.optimal.all() else 'no'}."
    )
    head = ["feature", "IoU", "IoU, compositional-explanations", "seconds", "times slower"]
    return "Beside compositional-explanations", note, head, rows


SPEED = """
import json, sys, time
import numpy as np
from neuronym import Concepts, label
shown, values = np.load(sys.argv[1])["shown"], np.load(sys.argv[1])["values"]
concepts = Concepts.from_array(shown)
options = {"search": "beam", "prefixes": "constrained", **json.loads(sys.argv[2])}
taken = []
for _ in range(21):
    start = time.perf_counter()
    label(values, concepts, **options)
    taken.append(time.perf_counter() - start)
print(min(taken[1:]))
"""


def seconds_of(sources: Path, inputs_of: Path, options: dict[str, str]) -> float:
    """Time the beam search of a version of the sources, in a process of its own."""
    command = [sys.executable, "-c", SPEED, str(inputs_of), json.dumps(options)]
    of_version = {**os.environ, "PYTHONPATH": str(sources)}
    return float(subprocess.run(command, capture_output=True, check=True, text=True, env=of_version).stdout)


def table_of_speed(data: Path, before: Path, folder: Path, repeats: int = 5) -> Table:
    """The time of ``label`` by AUC, beside that of a version of the sources in which there was no other score."""
    path = folder / "inputs.npz"
    np.savez(path, shown=photos(data).to_dense(), values=np.load(data / "efficientnet_lite0/pooled.npy"))
    versions: dict[str, tuple[Path, dict[str, str]]] = {
        "before": (before, {}),
        'score="auc"': (HERE.parent / "src", {"score": "auc"}),
    }
    taken: dict[str, list[float]] = {name: [] for name in versions}
    for _ in range(repeats):
        for name, (sources, options) in versions.items():
            taken[name].append(seconds_of(sources, path, options))
    of = {name: statistics.median(times) for name, times in taken.items()}
    rows = [
        [name, f"{of[name]:.3f}", f"{min(times):.3f} to {max(times):.3f}", f"{of[name] / of['before']:.2f}"]
        for name, times in taken.items()
    ]
    note = (
        '512 pooled features, 10,000 × 348, `search="beam", prefixes="constrained"`, against the version that '
        f"searched by AUC alone: seconds, medians of {repeats} processes in turn, each the quickest of 20 calls."
    )
    return "The speed of AUC", note, ["version", "seconds", "range", "ratio"], rows


def draw(known: Table, sanity: Table, path: Path) -> None:
    """Draw how many logits are given their own class, and the share of cases that notice damaged labels."""
    from neuronym.plots.figures import COLOURS, new_figure

    figure = new_figure(9.5, 4.6)
    left, right = figure.subplots(1, 2)
    spelled = [row[0].replace("_", " ") for row in known[3]]
    bars(left, spelled, {"L = 1": [int(row[1]) for row in known[3]],
                         "L = 3": [int(row[3].split(",")[0]) for row in known[3]]}, COLOURS)  # fmt: skip
    left.set(xlabel="of 200 logits, labelled with their own class", xlim=(0, 200))
    checks = [[float(x.strip(" %")) for x in row[1].split("/")] for row in sanity[3]]
    spelled = [row[0].replace("_", " ") for row in sanity[3]]
    bars(right, spelled, {"missing labels": [m for m, _ in checks], "extra labels": [e for _, e in checks]}, COLOURS)
    published = [(i, float(PUBLISHED[row[0].split(",")[0]].split("/")[0])) for i, row in enumerate(sanity[3])
                 if row[0].split(",")[0] in PUBLISHED]  # fmt: skip
    right.plot(
        [share for _, share in published], [i - 0.2 for i, _ in published], "kD", ms=4, label="missing, published"
    )
    right.set(xlabel="draws in which the score falls (%)", xlim=(0, 103))
    for axes in (left, right):
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1), ncols=3, fontsize=8, columnspacing=1)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def bars(axes: Axes, names: list[str], series: Mapping[str, Sequence[float]], colours: Sequence[str]) -> None:
    """Draw two bars for each name."""
    places = np.arange(len(names))
    for offset, colour, (title, values) in zip((-0.2, 0.2), colours, series.items(), strict=False):
        axes.barh(places + offset, values, 0.38, color=colour, label=title)
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def kept(path: Path) -> str:
    """What an earlier record says below its tables."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return "\n" + text[text.index(READING) :] if READING in text else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--neurons", type=int, default=500, help="planted neurons")
    parser.add_argument("--compared", type=int, default=10, help="neurons searched by compositional-explanations too")
    parser.add_argument("--before", type=Path, metavar="SOURCES", help="the src of a version to compare in time")
    parser.add_argument("--out", type=Path, default=HERE / "SCORES.md")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    makers: list[Callable[[], Table | None]] = [
        partial(table_of_known, asked.data),
        partial(table_of_sanity, asked.data),
        partial(table_of_remedies, asked.data),
        partial(table_of_planted, asked.data, asked.neurons),
        partial(table_of_trees, asked.data),
    ]
    if asked.compared:
        makers.append(partial(table_of_compexp, asked.data, asked.compared))
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as folder:
        if asked.before is not None:
            makers.append(partial(table_of_speed, asked.data, asked.before, Path(folder)))
        for make in makers:
            made = make()
            if made is not None:
                tables.append(made)
                print(as_text([made]).split("\n\n", 2)[2], flush=True)
    asked.out.write_text(as_text(tables, "scores.py") + kept(asked.out), encoding="utf-8")
    if asked.plot is not None:
        draw(tables[0], tables[1], asked.plot)


if __name__ == "__main__":
    main()
