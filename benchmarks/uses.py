"""Measure uses of labels on real features, a sweep and composed detectors, and write benchmarks/USES.md.

python benchmarks/uses.py DATA
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from evidence import photos
from numpy.typing import NDArray
from run import HERE, Table, as_text

from neuronym import Concepts, Hierarchy, label
from neuronym.analysis.compose.detectors import compare
from neuronym.analysis.sweep import sweep
from neuronym.plots import plot_sweep

SEED, PAIRS = 2023, 30


def table_of_settings(concepts: Concepts, features: NDArray[np.float32], figure: Path) -> Table:
    """Every length and minimum fraction."""
    label(features[:, :2], concepts, holdout=0.5)
    start = time.perf_counter()
    label(features, concepts, length=5, holdout=0.5)
    once = time.perf_counter() - start
    start = time.perf_counter()
    found = sweep(features, concepts, hierarchy=Hierarchy.imagenet())
    taken = time.perf_counter() - start
    plot_sweep(found, figure, overwrite=True)
    columns = ("auc", "auc_heldout", "fraction", "hypernyms", "depth")
    rows = [
        [f"{row['min_fraction']:g}", str(row["length"]), *(f"{row[name]:.3f}" for name in columns)]
        for row in found.to_dict("records")
    ]
    note = (
        f"{features.shape[1]} pooled features of EfficientNet-Lite0, {concepts.n_samples:,} × {concepts.n_concepts}, "
        f"one worker: {len(rows)} settings in {taken:.1f} s, {taken / once:.1f} times as long as one run of `label` "
        "with length 5 and a hold-out. Means over neurons."
    )
    return "Lengths and minimum fractions", note, ["α", "length", *columns], rows


def table_of_detectors(concepts: Concepts, features: NDArray[np.float32]) -> Table:
    """T-norms beside the best single neuron, for random formulas."""
    hierarchy, rng = Hierarchy.imagenet(), np.random.default_rng(SEED)
    inner = {parent for parents in hierarchy.parents.values() for parent in parents}
    classes = sorted(name for name in concepts.names if name not in inner)
    above = [name for name in concepts.names if name in inner and concepts.counts[concepts.index(name)] <= 1500]
    found: dict[str, list[NDArray[np.float64]]] = {"a | b": [], "a & ~b": []}
    names: list[tuple[str, str]] = []
    for _ in range(PAIRS):
        a, b = (classes[i] for i in rng.choice(len(classes), 2, replace=False))
        top = above[rng.integers(len(above))]
        below = [name for name in classes if top in hierarchy.ancestors(name)]
        for kind, text in (("a | b", f"{a} | {b}"), ("a & ~b", f"{top} & ~{below[rng.integers(len(below))]}")):
            table = compare(text, features, concepts)
            found[kind].append(table["auc_heldout"].to_numpy())
            names = list(zip(table["detector"], table["mapping"], strict=True))
    rows = []
    for place, name in enumerate(names):
        cells = []
        for aucs in found.values():
            own = np.array(aucs)
            beats = int((own[:, place] > own[:, 0]).sum())
            cells += [f"{own[:, place].mean():.3f}", f"{beats} of {PAIRS}" if place else ""]
        rows.append([*name, *cells])
    note = (
        f"{PAIRS} random formulas of each kind: two of the 200 classes, and a hypernym without one of its classes. "
        "Mean held-out AUC, and how often it is higher than that of the best single neuron."
    )
    head = ["detector", "mapping", "a | b", "beats the neuron", "a & ~b", "beats the neuron"]
    return "Composed detectors", note, head, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "USES.md")
    parser.add_argument("--figure", type=Path, default=HERE.parent / "docs" / "sweep.png")
    asked = parser.parse_args()
    concepts = photos(asked.data)
    features = np.load(asked.data / "efficientnet_lite0/pooled.npy")
    tables = [table_of_settings(concepts, features, asked.figure), table_of_detectors(concepts, features)]
    text = as_text(tables, "uses.py")
    print(text)
    asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
