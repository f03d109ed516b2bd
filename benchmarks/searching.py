"""Compare beams with the exact search and write benchmarks/SEARCHING.md: python benchmarks/searching.py DATA.

What is compared is what each reports under the same rules: every literal changes at least 20 samples.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from evidence import photos
from numpy.typing import NDArray
from run import as_text, imagenet, planted, searched

from neuronym import Concepts
from neuronym.data.groups import SampleGroups
from neuronym.search.beam import Rules, SearchResult
from neuronym.search.scores import AUC
from neuronym.search.searcher import Searcher

HERE = Path(__file__).parent
BEAMS = (1, 3, 10, 100)
#: What the figure shows: name, length and least fraction.
DRAWN = (
    ("planted product, seed 0", 2, 0.0),
    ("10,000 × 348, logits", 2, 0.05),
    ("10,000 × 348, pooled features", 3, 0.05),
    ("100,000 × 40, density 0.1", 3, 0.0),
    ("50,000 × 1,472", 3, 0.02),
)
_PART = 64  # neurons searched at a time, as by ``label``


def product(seed: int) -> tuple[Concepts, NDArray[np.float64]]:
    """2,304 samples of 12 × 4 values of A and B, 48 of each pair, and 96 of C; 96 neurons, two for each pair."""
    rng = np.random.default_rng(seed)
    cell = rng.permutation(np.repeat(np.arange(48), 48))
    c = rng.permutation(np.repeat(np.arange(96), 24))
    shown = np.zeros((2304, 112), np.bool_)
    for start, values in ((0, cell // 4), (12, cell % 4), (16, c)):
        shown[np.arange(2304), start + values] = True
    activations = np.empty((2304, 96))
    for j in range(96):
        activations[:, j] = (cell == j % 48) + 0.3 * rng.normal(size=2304)
        for value in rng.choice(96, rng.integers(0, 3), replace=False):
            activations[:, j] += rng.uniform(0.2, 0.5) * (c == value)
    return Concepts.from_array(shown), activations


def dense(density: float) -> tuple[Concepts, NDArray[np.float64]]:
    """100,000 samples of 40 attributes, each present at random; 12 neurons, of which 3 are noise."""
    rng = np.random.default_rng(5)
    shown = rng.random((100_000, 40)) < density
    activations = rng.normal(size=(100_000, 12))
    for j in range(9):
        a, b, c, d = rng.choice(40, 4, replace=False)
        activations[:, j] += 1.5 * ((shown[:, a] | shown[:, b]) & ~shown[:, c]) + 0.4 * (shown[:, d] & shown[:, a])
    return Concepts.from_array(shown), activations


def cases(data: Path) -> Iterator[tuple[str, Concepts, NDArray[Any], int, float]]:
    """What is searched: a name, concepts, activations, the length and the least fraction."""
    for seed in (0, 1):
        concepts, activations = product(seed)
        for length in (2, 3):
            yield f"planted product, seed {seed}", concepts, activations, length, 0.0
    concepts = photos(data)
    for name, file in (("pooled features", "pooled"), ("logits", "logits_known")):
        activations = np.load(data / f"efficientnet_lite0/{file}.npy")
        for length in (2, 3):
            for least in (0.002, 0.01, 0.02, 0.05, 0.1):
                yield f"10,000 × 348, {name}", concepts, activations, length, least
    for density in (0.1, 0.5):
        concepts, activations = dense(density)
        for length in (2, 3):
            yield f"100,000 × 40, density {density}", concepts, activations, length, 0.0
    concepts = imagenet(data)
    activations = planted(concepts, 24, "tie-free")
    for length in (2, 3):
        for least in (0.002, 0.02, 0.05):
            yield "50,000 × 1,472", concepts, activations, length, least


def found(searcher: Searcher, sums: NDArray[np.int64]) -> tuple[SearchResult, float]:
    """What a search finds, and the milliseconds that it takes per neuron, on one thread."""
    searcher.prepare()
    searcher(sums[:1])
    start = time.thread_time()
    parts = [searcher(sums[i : i + _PART])[0] for i in range(0, len(sums), _PART)]
    return SearchResult.joined(parts), 1000 * (time.thread_time() - start) / len(sums)


def compare(groups: SampleGroups, sums: NDArray[np.int64], rules: Rules) -> dict[str, Any]:
    """How often each beam finds what exact search finds, what it loses, and what each takes."""
    exact, ms = found(Searcher(groups, rules), sums)
    row: dict[str, Any] = {
        "share": {}, "loss": {}, "worst": {}, "ms": {"auto": ms},
        "proven": exact.optimal.mean(), "operations": np.median(exact.operations), "most": exact.operations.max(),
    }  # fmt: skip
    searcher = Searcher(groups, rules)
    searcher.prepare()
    single = []
    for own in sums[: 4 * _PART, np.newaxis]:
        start = time.thread_time()
        searcher(own)
        single.append(1000 * (time.thread_time() - start))
    row["slowest"] = max(single)
    best = np.where(exact.best > 0, exact.best, 0)
    for beam in BEAMS:
        rest = replace(rules, beam=beam, search="beam")
        narrow, row["ms"][beam] = found(Searcher(groups, rest), sums)
        loss = best - np.where(narrow.best > 0, narrow.best, 0)
        row["share"][beam], row["loss"][beam], row["worst"][beam] = np.mean(loss <= 0), loss.mean(), loss.max()
    return row


def draw(rows: list[tuple[str, dict[str, Any]]], target: Path) -> None:
    """Draw how often a beam finds the best formula, and what it loses at worst, by its width."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = range(len(BEAMS) + 1)
    for label, row in rows:
        left.plot(places, [*(row["share"][beam] for beam in BEAMS), row["proven"]], marker="o", label=label)
        right.plot(places, [*(row["worst"][beam] for beam in BEAMS), 0.0], marker="o", label=label)
    for axes, title in ((left, "share of neurons with the best formula"), (right, "largest loss of AUC")):
        axes.set_xticks(range(len(BEAMS) + 1), [*map(str, BEAMS), "exact"])
        axes.set_xlabel("beam")
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylim(0, 1.03)
    right.legend(fontsize=7, frameon=False)
    figure.savefig(target, dpi=160, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "SEARCHING.md")
    parser.add_argument("--figure", type=Path, default=HERE.parent / "docs" / "search.png")
    parser.add_argument("--only", help="the cases whose names start with this")
    asked = parser.parse_args()
    rows, drawn = [], []
    groups, sums, last = None, None, None
    for name, concepts, activations, length, least in cases(asked.data):
        if asked.only and not name.startswith(asked.only):
            continue
        if activations is not last:
            groups, last = searched(concepts), activations
            sums = AUC().weigh(activations, groups).sums
        row = compare(groups, sums, Rules(length=length, min_fraction=least))
        cells = [name, str(length), f"{least:g}"]
        for beam in BEAMS:
            cells.append(f"{row['share'][beam]:.0%}, {row['loss'][beam]:.4f}, {row['worst'][beam]:.3f}")
        cells.append(" / ".join(f"{row['ms'][beam]:.2f}" for beam in BEAMS))
        cells += [f"{row['ms']['auto']:.2f} ({row['slowest']:.1f})", f"{row['proven']:.0%}"]
        cells.append(f"{row['operations']:.1e} ({row['most']:.1e})")
        rows.append(cells)
        if (name, length, least) in DRAWN:
            drawn.append((f"{name}, L={length}" + f", α={least:g}" * (least > 0), row))
        print(*cells, sep=" | ", flush=True)
    note = (
        "Of each beam the share of neurons in which it finds a formula as good as the exact search, the mean loss of "
        "AUC and the worst. Milliseconds per neuron on one thread, after ranking; in brackets the slowest of up to 256 "
        "neurons searched one by one. Operations are the median, and in brackets the most; the budget is 10⁸."
    )
    head = [
        "data",
        "L",
        "α",
        *(f"beam {beam}" for beam in BEAMS),
        "ms of the beams",
        "ms, auto",
        "proven",
        "operations",
    ]
    text = as_text([("Beams and exact search", note, head, rows)], "searching.py")
    asked.out.write_text(text, encoding="utf-8")
    draw(drawn, asked.figure)


if __name__ == "__main__":
    main()
