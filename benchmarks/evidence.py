"""Measure the cost of evidence for labels, and the evidence for the labels of a real network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuronym import Concepts, Hierarchy, Labels, label

Table = tuple[str, str, list[str], list[list[str]]]


def photos(data: Path) -> Concepts:
    """The 200 classes of the 10,000 photos and the hypernyms of at least two of them: 348 concepts."""
    lines = (data / "tiny-imagenet-200/val/val_annotations.txt").read_text().splitlines()
    concepts = Concepts.from_classes([line.split("\t")[1] for line in lines])
    return concepts.expand(Hierarchy.from_csv(data / "imagenet/hypernyms.csv"), min_concepts=2)


def timed(run: Callable[[], Labels]) -> tuple[float, Labels]:
    start = time.perf_counter()
    labels = run()
    return time.perf_counter() - start, labels


def all_different(n_samples: int, n_neurons: int, signal: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Neurons of which each has another number of zeros, from 30% to 60%; noise, or higher where there is a signal."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n_samples, n_neurons)) + (0 if signal is None else signal[:, np.newaxis])
    for j, share in enumerate(np.linspace(0.3, 0.6, n_neurons)):
        values[:, j] = np.maximum(values[:, j] - np.quantile(values[:, j], share), 0)
    return values.astype(np.float32)


def table_of_costs(concepts: Concepts) -> Table:
    """512 neurons, on two workers; medians of what is quick."""
    rng = np.random.default_rng(0)
    n = concepts.n_samples
    tie_free = rng.permuted(np.tile(np.arange(n, dtype=np.float32), (512, 1)), axis=1).T.copy()
    hopeless, hopeful = all_different(n, 512), all_different(n, 512, concepts[concepts.names[0]])
    label(tie_free[:, :2], concepts, permutations=19)
    plain = statistics.median(timed(lambda: label(tie_free, concepts, n_jobs=2))[0] for _ in range(5))
    rows = [["the labels alone", f"{plain:.2f}", "1"]]
    for name, values, options, repeats in (
        ("p_search, 9,999 permutations, no ties", tie_free, {"permutations": 9_999}, 5),
        ("p_search, up to 999, all differ in their zeros, signal", hopeful, {"permutations": 999}, 1),
        ("p_search, up to 999, all differ in their zeros, noise", hopeless, {"permutations": 999}, 1),
        ("holdout=0.5", tie_free, {"holdout": 0.5}, 3),
        ("folds=5", tie_free, {"folds": 5}, 3),
        ("effects", tie_free, {"effects": True}, 3),
        ("stability=100", tie_free, {"stability": 100}, 1),
    ):
        times = [timed(lambda v=values, o=options: label(v, concepts, n_jobs=2, **o))[0] for _ in range(repeats)]
        taken = statistics.median(times)
        rows.append([name, f"{taken:.2f}", f"{taken / plain:.1f}"])
    note = (
        f"512 neurons, {n:,} × {concepts.n_concepts}, L=3, B=3, two workers. Seconds in total, including the labels, "
        "and the ratio to the labels alone."
    )
    return "What evidence costs", note, ["", "seconds", "ratio"], rows


def table_of_real(concepts: Concepts, data: Path) -> Table:
    """Pooled features and known logits of EfficientNet-Lite0."""
    rows = []
    for name in ("pooled", "logits_known"):
        values = np.load(data / f"efficientnet_lite0/{name}.npy")
        taken, searched = timed(lambda v=values: label(v, concepts, permutations="auto", tail=True, n_jobs=-1))
        held = label(values, concepts, holdout=0.5, n_jobs=-1)
        short = held.simplest()
        n_literals = sum(x.length or 0 for x in held)
        kept = sum(x.length or 0 for x in short)
        optimism = np.array([x.optimism for x in held])
        in_sample = np.mean([x.auc for x in held])
        rows.append(
            [
                name,
                str(len(searched)),
                str(len(searched.significant(0.05, by="p"))),
                str(len(searched.significant(0.05))),
                str(len(held.significant(0.05, by="p"))),
                f"{kept} of {n_literals}",
                f"{in_sample:.3f}",
                f"{np.nanmean(optimism):.4f}",
                f"{taken:.0f}",
            ]
        )
    note = (
        "EfficientNet-Lite0 on the 10,000 photos, 348 concepts, L=3, B=3: labels with q ≤ 0.05 by p, by p_search and "
        "by p on held-out photos; literals of the labels found on half of the photos that gain on the other half "
        "(p_gain ≤ 0.05); mean AUC on the half searched and its loss on the other half; seconds for p_search."
    )
    head = ["activations", "neurons", "by p", "by p_search", "by held-out p", "literals", "AUC", "optimism", "seconds"]
    return "Labels of a real network, believed or not", note, head, rows
