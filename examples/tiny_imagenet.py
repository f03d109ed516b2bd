"""Label a real ImageNet model on 10,000 real photos, and compare the labels with the published implementation.

The folder DATA holds the classes of Tiny ImageNet's validation photos, the WordNet hypernyms above them, and the pooled
features and logits of EfficientNet-Lite0 on these photos; docs/data.md describes how to obtain it.

    python examples/tiny_imagenet.py DATA
    python examples/tiny_imagenet.py DATA --stones      # measures the gain from stepping stones; takes minutes
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuronym import Concepts, Formula, Hierarchy, Labels, label, open_activations

PUBLISHED = Path(__file__).parent / "published_aucs.json"


def read_concepts(data: Path) -> Concepts:
    """The 200 classes of the photos, and every hypernym that at least two of them share: 348 concepts."""
    with open(data / "tiny-imagenet-200/val/val_annotations.txt", newline="") as file:
        classes = [row[1] for row in csv.reader(file, delimiter="\t")]
    hierarchy = Hierarchy.from_csv(data / "imagenet/hypernyms.csv")
    return Concepts.from_classes(classes).expand(hierarchy, min_concepts=2)


def read_outputs(data: Path) -> list[dict[str, str]]:
    """The ImageNet class of each column of the logits."""
    with open(data / "efficientnet_lite0/logits_known.csv", newline="") as file:
        return list(csv.DictReader(file))


def label_outputs(data: Path, concepts: Concepts) -> tuple[Labels, int]:
    """Labels of length 1 for the 200 output neurons, and the number labelled with exactly their own class."""
    labels = label(data / "efficientnet_lite0/logits_known.npy", concepts, length=1, max_fraction=1)
    own = [row["wnid"] for row in read_outputs(data)]
    return labels, sum(str(found.formula) == wnid for found, wnid in zip(labels, own, strict=True))


@dataclass(frozen=True)
class Case:
    """The best formula for a neuron, up to some length, by the published implementation and by neuronym.

    ``published`` is the AUC recorded in the file, rounded to five decimals; ``exact`` is the AUC of the same formula,
    recomputed; ``ours`` is the AUC of neuronym's formula.
    """

    neuron: str
    length: int
    published: float
    exact: float
    ours: float


def compare(data: Path, concepts: Concepts) -> list[Case]:
    """The cases of ``published_aucs.json``, searched as the published implementation does."""
    column_of = {int(row["class_index"]): int(row["column"]) for row in read_outputs(data)}
    cases = []
    for case in json.loads(PUBLISHED.read_text())["cases"]:
        activations = open_activations(data / "efficientnet_lite0" / case["array"])
        neuron = case["column"] if case["class_index"] is None else column_of[case["class_index"]]
        for length, best in case["best"].items():
            found = label(
                activations,
                concepts,
                neurons=[neuron],
                length=int(length),
                beam=case["beam"],
                min_fraction=case["min_fraction"],
                min_count=1,
                prefixes="constrained",
            )[neuron]
            exact = auc(activations.matrix[:, neuron], Formula.parse(best["formula"]).evaluate(concepts))
            cases.append(Case(f"{case['array']} {neuron}", int(length), best["auc"], exact, found.auc))
    return cases


def auc(activations: np.ndarray, inside: np.ndarray) -> float:
    """The AUC by definition, over all pairs of a sample inside and a sample outside."""
    high, low = activations[inside][:, np.newaxis], activations[~inside]
    return float((np.count_nonzero(high > low) + np.count_nonzero(high == low) / 2) / (high.size * low.size))


def stones(
    data: Path, concepts: Concepts, neurons: slice | None = None, lengths: tuple[int, ...] = (2, 3)
) -> list[tuple[float, int, str, float, float]]:
    """How far a beam of 3 falls short of the best formula, with and without stepping stones.

    Rows are (min_fraction, length, prefixes, share of neurons that reach the best, mean loss of AUC). The best formula
    comes from exact search.
    """
    pooled = open_activations(data / "efficientnet_lite0/pooled.npy")
    rows: list[tuple[float, int, str, float, float]] = []
    for min_fraction in (0.006, 0.01):
        for length in lengths:
            options = {
                "length": length,
                "min_count": 20,
                "min_change": 0,
                "min_fraction": min_fraction,
                "n_jobs": -1,
                "neurons": neurons,
            }
            best = np.array([found.auc for found in label(pooled, concepts, search="optimal", **options)])
            for prefixes in ("free", "constrained"):
                beam = label(pooled, concepts, beam=3, search="beam", prefixes=prefixes, **options)
                found = np.array([one.auc for one in beam])
                loss = np.where(np.isnan(found), best - 0.5, best - found)
                rows.append((min_fraction, length, prefixes, float(np.mean(loss <= 1e-12)), float(loss.mean())))
    return rows


def main() -> None:
    """Print how many output neurons get their own class, and the published AUCs next to those of neuronym."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--stones", action="store_true", help="also measure stepping stones")
    asked = parser.parse_args()
    concepts = read_concepts(asked.data)
    print(concepts)
    label_outputs(asked.data, concepts)  # loads the kernels
    start = time.perf_counter()
    labels, own = label_outputs(asked.data, concepts)
    seconds = time.perf_counter() - start
    mean = np.mean([found.auc for found in labels])
    print(f"{own} of {len(labels)} output neurons got exactly their own class; mean AUC {mean:.4f}; {seconds:.2f} s\n")
    print("neuron              length  published AUC  the same formula, exactly  our formula")
    for case in compare(asked.data, concepts):
        print(f"{case.neuron:18s}  {case.length:6d}  {case.published:13.5f}  {case.exact:25.7f}  {case.ours:11.7f}")
    if asked.stones:
        print("\nmin_fraction  length  prefixes     reach the best  mean loss of AUC")
        for min_fraction, length, prefixes, reached, loss in stones(asked.data, concepts):
            print(f"{min_fraction:12g}  {length:6d}  {prefixes:11s}  {reached:14.1%}  {loss:16.5f}")


if __name__ == "__main__":
    main()
