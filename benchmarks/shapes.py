"""Check intervals and tests of an AUC on activations of many shapes, by sample and by cluster; print the worst cells.

python benchmarks/shapes.py                  a minute
python benchmarks/shapes.py --neurons 2000   the record, about half an hour
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from run import Table, as_text
from scipy.special import ndtr, ndtri

from neuronym.stats import confidence_intervals, measure, p_gains, p_values

SEED = 2029  # chosen before any of this was run, and not changed since
NEGATIVES = 1_000
AUCS = (0.7, 0.9, 0.97, 0.99)
EFFECTIVE = 10  # clusters from which on intervals are to hold

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.void]


@dataclass(frozen=True)
class Shape:
    """How activations inside differ from the standard normal ones outside, all cut from below at ``cut``.

    Inside, a share ``fires`` is normal around a shift with the standard deviation ``sd``; the rest is normal around
    ``rest``.
    """

    aucs: Sequence[float] = AUCS
    sd: float = 1.0
    fires: float = 1.0
    rest: float = 0.0
    zeros: float = 0.0

    @property
    def cut(self) -> float:
        return float(ndtri(self.zeros))

    def inside(self, shift: float, size: tuple[int, ...], rng: np.random.Generator) -> Floats:
        fires = rng.random(size) < self.fires
        return np.fmax(
            np.where(fires, shift + self.sd * rng.normal(size=size), self.rest + rng.normal(size=size)), self.cut
        )

    def outside(self, size: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return np.fmax(rng.normal(size=size), self.cut)

    def auc(self, shift: float) -> float:
        """The AUC of this shift."""
        z = np.linspace(-9, 9, 20_001)
        weight = np.exp(-(z**2) / 2)
        weight /= weight.sum()

        def won(mean: float, sd: float) -> float:
            y = mean + sd * z
            return float(weight @ np.where(y > self.cut, ndtr(y), self.zeros / 2))

        return self.fires * won(shift, self.sd) + (1 - self.fires) * won(self.rest, 1.0)

    def shift(self, auc: float) -> float:
        """The shift of this AUC."""
        low, high = 0.0, 40.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self.auc(middle) < auc else (low, middle)
        if high > 30:
            raise ValueError(f"no shift of {self} gives an AUC of {auc}")
        return high


SHAPES = {
    "normal": Shape(),
    "SD 3": Shape(sd=3.0),
    "SD ⅓": Shape(sd=1 / 3),
    "fires on 50%": Shape((0.7,), fires=0.5),
    "fires on 80%": Shape((0.7, 0.85), fires=0.8),
    "fires on 95%": Shape((0.7, 0.9, 0.97), fires=0.95),
    "15% contaminated": Shape((0.7, 0.8), fires=0.85, rest=-3.0),
    "2% contaminated": Shape((0.7, 0.9, 0.97), fires=0.98, rest=-3.0),
    "50% zeros": Shape(zeros=0.5),
    "90% zeros": Shape(zeros=0.9),
    "99% zeros": Shape(zeros=0.99),
}
SIDES = ("inside", "exchanged", "outside")  # which side has the shape and which is the smaller


def covered(shape: Shape, auc: float, positives: int, side: str, neurons: int) -> tuple[float, float]:
    """The share of neurons whose interval contains the AUC, and the mean width.

    ``inside``: the shape is that of a few positives; ``exchanged``: everything is turned around, so that the few are
    negatives; ``outside``: the many negatives have the shape.
    """
    shift, total = shape.shift(auc), positives + NEGATIVES
    rng = np.random.default_rng([SEED, positives, round(1000 * auc), list(SIDES).index(side), *map(ord, repr(shape))])
    few = np.arange(total) < positives
    ones, rows = np.ones(total, np.int64), []
    for _ in range(neurons):
        shaped = few if side != "outside" else ~few
        values = np.empty(total)
        values[shaped] = shape.inside(shift, (int(shaped.sum()),), rng)
        values[~shaped] = shape.outside((int((~shaped).sum()),), rng)
        inside = few if side == "inside" else few if side == "outside" else ~few
        rows.append(measure(values if side == "inside" else -values, inside[np.newaxis], ones)[0])
    low, high = confidence_intervals(np.array(rows), False)
    return float(np.mean((low <= auc) & (auc <= high))), float(np.mean(high - low))


def cluster_sizes(kind: str, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The sizes of n clusters."""
    makers: dict[str, Callable[[], object]] = {
        "equal": lambda: np.full(n, 5),
        "geometric": lambda: rng.geometric(0.1, n),
        "lognormal": lambda: np.maximum(1, np.rint(np.exp(rng.normal(1, 1, n)))),
        "a quarter of 20, rest 1": lambda: np.where(np.arange(n) < n // 4, 20, 1),
        "one of 5 n, rest 5": lambda: np.where(np.arange(n) < 1, 5 * n, 5),
        "two of 3 n, rest 5": lambda: np.where(np.arange(n) < 2, 3 * n, 5),
        "pairs": lambda: np.full(n, 2),
        "single": lambda: np.ones(n),
    }
    return np.asarray(makers[kind](), np.int64)


KINDS = ("equal", "geometric", "lognormal", "a quarter of 20, rest 1", "one of 5 n, rest 5")
MORE_KINDS = ("two of 3 n, rest 5", "pairs", "single")


@dataclass(frozen=True)
class Clustered:
    """A design of samples in clusters: how many, of which sizes, and what they share."""

    kind: str
    n: int
    by_cluster: bool  # whether the concept is that of a cluster, or of each sample
    correlation: float  # of activations within a cluster
    share: float = 0.4  # of positives

    def draw(self, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64], Callable[[float], Bools]]:
        """Noise, the cluster of each sample, and a maker of concepts."""
        cluster = np.repeat(np.arange(self.n), cluster_sizes(self.kind, self.n, rng))
        own = math.sqrt(1 - self.correlation) * rng.normal(size=len(cluster))
        values = math.sqrt(self.correlation) * rng.normal(size=self.n)[cluster] + own

        def concept(share: float) -> Bools:
            return (rng.random(self.n) < share)[cluster] if self.by_cluster else rng.random(len(cluster)) < share

        return values, cluster, concept

    def rows(self, shift: float, neurons: int, literals: bool = False) -> Rows:
        """``MEASURES`` of neurons, (neurons, formulas), for designs with positives and negatives in two clusters.

        With ``literals``, the formulas are a, a and not b, a, and a or b.
        """
        rng = np.random.default_rng([SEED, *map(ord, repr(self)), round(1000 * shift)])
        made = []
        for _ in range(neurons):
            values, cluster, concept = self.draw(rng)
            for _ in range(100):
                one, other = concept(self.share), concept(0.3)
                formulas = [one, one & ~other, one, one | other] if literals else [one]
                sides = [side for inside in formulas for side in (inside, ~inside)]
                if min(len(np.unique(cluster[side])) for side in sides) > 1:
                    made.append(
                        measure(values + shift * one, np.array(formulas), np.ones(len(cluster), np.int64), cluster)
                    )
                    break
        return np.array(made)

    def __str__(self) -> str:
        concept = "cluster" if self.by_cluster else "sample"
        return f"{self.n} clusters, {self.kind}, concept by {concept}, correlation {self.correlation:g}"


def designs(numbers: Sequence[int], kinds: Sequence[str] = KINDS, share: float = 0.4) -> Iterator[Clustered]:
    for kind, n, by_cluster, correlation in product(kinds, numbers, (True, False), (0.0, 0.3, 0.8)):
        yield Clustered(kind, n, by_cluster, correlation, share)


def worst(cells: list[tuple[float, list[str]]], n: int = 5) -> list[list[str]]:
    return [row for _, row in sorted(cells, key=lambda cell: cell[0])[:n]]


def table_of_shapes(neurons: int) -> Table:
    cells = []
    for (name, shape), positives, side in product(SHAPES.items(), (10, 25, 100, 500), SIDES):
        for auc in shape.aucs:
            share, width = covered(shape, auc, positives, side, neurons)
            cells.append((share, [name, side, str(positives), f"{auc:g}", f"{share:.3f}", f"{width:.3f}"]))
    shares = [share for share, _ in cells]
    note = (
        f"The worst of {len(cells)} cells by the share of {neurons:,} neurons whose 95% interval contains the AUC; "
        f"lowest {min(shares):.3f}, median {np.median(shares):.3f}. *inside*: few positives have the shape, against "
        f"{NEGATIVES:,} negatives; *exchanged*: turned around, with few negatives; *outside*: the many have the shape."
    )
    return "Coverage by shape", note, ["shape", "side", "fewer", "AUC", "coverage", "width"], worst(cells, 8)


def table_of_cluster_intervals(neurons: int) -> Table:
    cells: list[tuple[float, list[str]]] = []
    wide: list[tuple[float, list[str]]] = []
    few: list[tuple[float, list[str]]] = []
    for design, auc in product(designs((20, 40, 100)), (0.5, 0.8, 0.97)):
        rows = design.rows(math.sqrt(2) * float(ndtri(auc)), neurons)[:, 0]
        truth = float(np.mean(rows["auc"]))
        spread = float(np.subtract(*np.quantile(rows["auc"], [0.975, 0.025])))
        low, high = confidence_intervals(rows, True)
        share, ratio = float(np.mean((low <= truth) & (truth <= high))), float(np.mean(high - low)) / spread
        effective = float(np.median(rows["effective"]))
        row = [str(design), f"{effective:.1f}", f"{auc:g}", f"{share:.3f}", f"{ratio:.2f}"]
        (cells if effective >= EFFECTIVE else few).append((share, row))
        if effective >= EFFECTIVE:
            wide.append((-ratio / (1.75 if auc > 0.8 else 1.5), row))
    note = (
        f"{neurons:,} neurons in each of {len(cells)} cells with {EFFECTIVE} or more effective clusters on the smaller "
        "side: those of the lowest coverage of the mean AUC, and those with the widest intervals, as a multiple of the "
        f"true spread of the AUC, the range of its middle 95%. Last, the lowest coverage in the {len(few)} cells with "
        "fewer, which raise a warning."
    )
    shown = [*worst(cells, 6), *worst(wide, 4), *worst(few, 4)]
    return "Coverage by cluster", note, ["design", "effective", "AUC", "coverage", "width / spread"], shown


ACTIVATIONS = {
    "normal": lambda x: x,
    "half precision": lambda x: x.astype(np.float16).astype(float),
    "50% zeros": lambda x: np.fmax(x, 0),
    "90% zeros": lambda x: np.fmax(x, ndtri(0.9)),
    "98% zeros": lambda x: np.fmax(x, ndtri(0.98)),
    "99% zeros": lambda x: np.fmax(x, ndtri(0.99)),
    "two values": lambda x: (x > 1.0).astype(float),
}  # fmt: skip


def table_of_noise_by_sample(neurons: int) -> Table:
    cells = []
    for (name, shaped), (n, m) in product(
        ACTIVATIONS.items(), ((200, 10), (200, 100), (1_000, 3), (1_000, 10), (1_000, 25), (1_000, 100), (1_000, 500))
    ):
        rng = np.random.default_rng([SEED, n, m, *map(ord, name)])
        changes = [m + change for change in (-60, -20, -10, -5, -2, 2, 5, 10, 20, 60) if 1 < m + change < n - 1]
        nested = np.arange(n) < np.array([[m], *([after] for own in changes for after in (own, m))])
        rows = np.array([measure(shaped(rng.normal(size=n)), nested, np.ones(n, np.int64)) for _ in range(neurons)])
        share = float(np.mean(p_values(rows[:, 0], False)[0] <= 0.05))
        cells.append((-share, [f"{name}, {m} of {n:,}", "p", f"{share:.3f}"]))
        shares = np.mean(p_gains(rows, False) <= 0.05, axis=0)
        for own, reached in zip(changes, shares[1::2].tolist(), strict=True):
            cells.append((-reached, [f"{name}, {m} of {n:,}, then {own}", "p_gain", f"{reached:.3f}"]))
    p_only, gains_only = ([cell for cell in cells if cell[1][1] == which] for which in ("p", "p_gain"))
    note = (
        f"Share of {neurons:,} neurons of noise with p ≤ 0.05, held out: the worst of {len(p_only)} cells, and with "
        f"p_gain ≤ 0.05 of a literal that takes samples away or adds some: the worst of {len(gains_only)}."
    )
    return "Noise by sample", note, ["design", "", "≤ 0.05"], [*worst(p_only), *worst(gains_only)]


def table_of_noise_by_cluster(neurons: int) -> Table:
    cells = []
    for design in (*designs((12, 40), KINDS + MORE_KINDS), *designs((100,), KINDS + MORE_KINDS, 0.1)):
        rows = design.rows(0.0, neurons, literals=True)
        effective = f"{np.median(rows[:, 0]['effective']):.1f}"
        gains = p_gains(rows, True)
        tests = {"p": p_values(rows[:, 0], True)[0], "p_gain, and": gains[:, 1], "p_gain, or": gains[:, 3]}
        for which, p in tests.items():
            reached = float(np.mean(p <= 0.05))
            cells.append((-reached, [str(design), effective, which, f"{reached:.3f}"]))
    p_only, gains_only = ([cell for cell in cells if (cell[1][2] == "p") == which] for which in (True, False))
    note = (
        f"As before, by cluster: the worst of {len(p_only)} cells, and of {len(gains_only)} for a literal "
        "that is true of 30% of clusters or samples."
    )
    return "Noise by cluster", note, ["design", "effective", "", "≤ 0.05"], [*worst(p_only), *worst(gains_only)]


MAKERS = {
    "shapes": table_of_shapes,
    "clusters": table_of_cluster_intervals,
    "noise": table_of_noise_by_sample,
    "cluster noise": table_of_noise_by_cluster,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, default=50, help="in each cell")
    parser.add_argument("--only", choices=MAKERS, default=None, help="one of the tables")
    asked = parser.parse_args()
    for name, make in MAKERS.items():
        if asked.only in (None, name):
            start = time.perf_counter()
            text = as_text([make(asked.neurons)]).split("\n\n", 2)[2]
            print(text, f"({time.perf_counter() - start:.0f} s)\n", sep="", flush=True)


if __name__ == "__main__":
    main()
