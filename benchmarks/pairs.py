"""Measure the whole table of neurons × concepts, coverage and formulas of neurons, and write benchmarks/PAIRS.md.

python benchmarks/pairs.py DATA
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from evidence import photos
from numpy.typing import NDArray
from run import HERE, Table, as_text

from neuronym import Concepts, Hierarchy, detect, pairs

SEED = 2023


def imagenet(data: Path) -> Concepts:
    """The 1,000 classes of the 50,000 photos and the hypernyms of at least two of them: 1,472 concepts."""
    classes = (data / "imagenet/classes.txt").read_text().split()
    concepts = Concepts.from_classes([classes[i] for i in np.load(data / "imagenet/val_labels.npy")])
    return concepts.expand(Hierarchy.from_csv(data / "imagenet/hypernyms.csv"), min_concepts=2)


def table_of_times(given: list[tuple[NDArray[np.float32], Concepts]], repeats: int = 3) -> Table:
    """What the whole table takes, beside sorting the activations."""
    rows = []
    for values, concepts in given:
        pairs(values[:, :2], concepts)
        for name, options in (("", {}), ("holdout=0.5", {"holdout": 0.5})):
            times, sorts = [], []
            for _ in range(repeats):
                start = time.perf_counter()
                found = pairs(values, concepts, **options)
                times.append(time.perf_counter() - start)
                start = time.perf_counter()
                np.sort(values.T, axis=1)
                sorts.append(time.perf_counter() - start)
            taken = statistics.median(times)
            size = f"{len(values):,} × {values.shape[1]} × {concepts.n_concepts:,}"
            ratio = f"{taken / statistics.median(sorts):.0f}"
            rows.append([size, name, f"{found.tests:,}", f"{taken:.2f}", f"{found.tests / taken / 1000:,.0f}", ratio])
    note = (
        "Samples × neurons × concepts, one worker; medians of three. Concepts with the same samples are one, so there "
        "are fewer pairs. A pair has its AUC, p, q, effect and best threshold, and its AUC and F1 held out."
    )
    head = ["size", "options", "pairs", "s", "1,000 pairs / s", "times np.sort of the activations"]
    return "The whole table", note, head, rows


def table_of_coverage(concepts: Concepts, layers: dict[str, NDArray[np.float32]]) -> Table:
    """How many concepts each layer covers."""
    found = pairs(layers, concepts, holdout=0.5, seed=SEED)
    rows = [
        [row["layer"], *(str(row[name]) for name in ("concepts", "covered")), f"{row['share']:.1%}",
         *(str(row[name]) for name in ("neurons", "labelled")), f"{row['f1_heldout']:.3f}"]
        for row in found.coverage().to_dict("records")
    ]  # fmt: skip
    note = (
        f"{concepts.n_samples:,} photos, half of them held out: a concept is covered if the neuron with its highest F1 "
        "on the other half has F1 > 0.5 and AUC > 0.9 held out. The last column is the mean F1 of these neurons."
    )
    return "Coverage", note, ["layer", "concepts", "covered", "share", "neurons", "labelled", "F1 held out"], rows


def table_of_formulas(concepts: Concepts, values: NDArray[np.float32]) -> Table:
    """Formulas of neurons beside the best neuron and the probes, for rare and frequent concepts."""
    found, times = {}, {}
    for length in (1, 2, 3):
        start = time.perf_counter()
        found[length] = detect(values, concepts, length=length, probe=length == 3, seed=SEED, n_jobs=2)
        times[length] = time.perf_counter() - start
    whole = found[3]
    parts = {"all": whole["count"] > 0, "rare": whole["count"] <= 25, "frequent": whole["count"] >= 250}
    columns = {
        "best neuron": (whole, "neuron_f1_heldout", "neuron_auc_heldout"),
        **{f"formula of at most {length}": (found[length], "f1_heldout", None) for length in (1, 2, 3)},
        "difference of means": (whole, "difference_f1_heldout", "difference_auc_heldout"),
        "logistic probe": (whole, "probe_f1_heldout", "probe_auc_heldout"),
    }
    rows = []
    for name, (table, f1, auc) in columns.items():
        cells = [f"{table[f1].fillna(0)[chosen].mean():.3f}" for chosen in parts.values()]
        rows.append([name, *cells, "" if auc is None else f"{table[auc].mean():.3f}"])
    sizes = ", ".join(f"{int(chosen.sum())} {name}" for name, chosen in parts.items())
    note = (
        f"{values.shape[1]} pooled features of EfficientNet-Lite0; mean held-out F1 over concepts ({sizes}: true for "
        f"at most 25, or at least 250, of the {concepts.n_samples // 2:,} samples searched), and mean held-out AUC. "
        f"{whole['optimal'].mean():.0%} of the formulas of at most 3 neurons are proven best of 64 candidates. Two "
        f"workers, {times[1]:.0f}, {times[2]:.0f} and, with probes, {times[3]:.0f} s."
    )
    return "Formulas of neurons", note, ["detector", *(f"F1, {name}" for name in parts), "AUC"], rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "PAIRS.md")
    asked = parser.parse_args()
    concepts, every = photos(asked.data), imagenet(asked.data)
    pooled, logits = (np.load(asked.data / f"efficientnet_lite0/{name}.npy") for name in ("pooled", "logits_known"))
    noise = np.random.default_rng(SEED).normal(size=(every.n_samples, 100)).astype(np.float32)
    tables = [
        table_of_times([(pooled, concepts), (noise, every)]),
        table_of_coverage(concepts, {"pooled": pooled, "logits": logits}),
        table_of_formulas(concepts, pooled),
    ]
    text = as_text(tables, "pairs.py")
    print(text)
    asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
