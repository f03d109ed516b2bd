"""Measure labels by the beam search before and after, in turn, and write benchmarks/RANKING.md.

python benchmarks/ranking.py DATA --before SOURCES
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import evidence
import numpy as np
from run import RULES, Table, as_text, coco, imagenet, packed, planted, searched, seconds

from neuronym import Concepts, Hierarchy, label

HERE = Path(__file__).parent
OPTIONS = {"search": "beam", "prefixes": "constrained", "min_fraction": RULES.min_fraction}


def training(data: Path) -> Concepts:
    """The classes of ImageNet's training set, 1,281,167 images of 1,000 classes, and the hypernyms of two or more."""
    classes = (data / "imagenet/classes.txt").read_text().split()
    concepts = Concepts.from_classes(np.arange(1_281_167) % 1000, classes)
    return concepts.expand(Hierarchy.from_csv(data / "imagenet/hypernyms.csv"), min_concepts=2)


def attributes(n_samples: int = 200_000, n_concepts: int = 5_000, seed: int = 0) -> Concepts:
    """Sparse attributes, eight to a sample, ever rarer: almost all rows differ."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, n_concepts + 1) ** 0.7
    drawn = rng.choice(n_concepts, (n_samples, 8), p=share / share.sum())
    names = [f"a{c}" for c in range(n_concepts)]
    return Concepts.from_sets([{names[c] for c in row} for row in drawn.tolist()])


#: What is labelled: the concepts, how many neurons, how often, and the goal in ms a neuron.
CASES: dict[str, tuple[Callable[[Path], Concepts], int, int, float | None]] = {
    "50,000 × 1,472": (imagenet, 1024, 3, 0.65),
    "10,000 × 348": (evidence.photos, 1024, 5, 0.13),
    "1,281,167 × 1,472, ImageNet's training set": (training, 64, 2, None),
    "118,000 × 91, as in COCO": (lambda _: coco(), 128, 3, None),
    "200,000 × 5,000 sparse attributes": (lambda _: attributes(), 64, 3, None),
}


def measure(case: str, data: Path) -> dict[str, float]:
    """In a process of its own: milliseconds a neuron of labels, by one and two workers, and of a sort alone."""
    make, n_neurons, repeats, _ = CASES[case]
    concepts = make(data)
    blocks = [planted(concepts, min(n_neurons, 64), "tie-free", seed) for seed in range(max(1, n_neurons // 64))]
    values = np.concatenate(blocks, axis=1)
    del blocks
    groups = searched(concepts)
    keys = packed(values[:, :16], groups)
    label(values[:, :2], concepts, **OPTIONS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken: dict[str, list[float]] = {"sort": [], "once": [], "1": [], "2": []}
    for _ in range(repeats):
        unsorted = keys.copy()
        taken["sort"].append(seconds(lambda rows=unsorted: [row.sort() for row in rows]) / len(keys))
        taken["once"].append(seconds(lambda: label(values[:, :1], concepts, n_jobs=1, **OPTIONS)))
        for n_jobs in (1, 2) if n_neurons >= 1024 else (1,):
            whole = seconds(lambda n=n_jobs: label(values, concepts, n_jobs=n, **OPTIONS))
            taken[str(n_jobs)].append((whole - min(taken["once"]) * (n_neurons < 1024)) / n_neurons)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {name: 1000 * statistics.median(times) for name, times in taken.items() if times}
    pairs = [one / two for one, two in zip(taken["1"], taken["2"], strict=False)]
    speed = statistics.median(pairs) if pairs else np.nan
    return {**found, "speed-up": speed, "groups": groups.n_groups, "memory": (peak - before) / 1024}


def table_of_versions(data: Path, before: Path, repeats: int) -> Table:
    """Each case by the version before and this one, in turn."""
    versions = {"before": before, "after": HERE.parent / "src"}
    rows = []
    for case, (_, n_neurons, _, goal) in CASES.items():
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in versions}
        for _ in range(repeats if n_neurons > 100 else 1):
            for name, sources in versions.items():
                command = [sys.executable, __file__, str(data), "--case", case]
                environment = {**os.environ, "PYTHONPATH": str(sources)}
                done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
                taken[name].append(json.loads(done.stdout))
        of = {
            name: {key: statistics.median(one[key] for one in each) for key in each[0]} for name, each in taken.items()
        }
        sort, one = of["after"]["sort"], of["after"]["1"]
        asked = "" if goal is None else f"{0.35 * sort:.2f}" if sort >= 1.7 and case.startswith("50") else f"{goal}"
        rows.append(
            [f"{case} ({of['after']['groups']:,.0f} groups, {n_neurons} neurons)", f"{sort:.2f}"]
            + [f"{of[name]['1']:.3f}" for name in versions]
            + [f"{one / of['before']['1']:.2f}", f"{one / sort:.2f}", asked]
            + [f"{of['after']['once'] / 1000:.2f} s"]
            + [f"{of[name]['speed-up']:.2f}".replace("nan", "") for name in versions]
            + [f"{of[name]['memory']:.0f}" for name in versions]
        )
        print(rows[-1], flush=True)
    note = (
        '`label(search="beam", prefixes="constrained", min_fraction=0.002)`, L = 3, B = 3, tie-free float32, the '
        "concepts made beforehand: milliseconds a neuron with one worker, of both versions in turn, medians of "
        f"{repeats} processes; *sort* is `np.sort` of the packed keys in the same processes. *Two workers* is how many "
        "times as fast as one, *once* what matching and grouping samples takes (counted only where there are 1,024 "
        "neurons), and *MiB* the memory above that of the activations and a first label."
    )
    head = ["", "sort", "before", "after", "after / before", "after / sort", "goal", "once",
            "two workers, before", "two workers, after", "MiB, before", "MiB, after"]  # fmt: skip
    return "Before and after", note, head, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--before", type=Path, metavar="SOURCES", help="the src of the version to compare with")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "RANKING.md")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        print(json.dumps(measure(asked.case, asked.data)))
        return
    if asked.before is None:
        parser.error("--before is missing: the src of a version to compare with")
    table = table_of_versions(asked.data, asked.before, asked.repeats)
    text = as_text([table], "ranking.py").replace("# Results", "# Ranking and the beam search", 1)
    asked.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
