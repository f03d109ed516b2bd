"""Measure sparse activations, and write benchmarks/SPARSE.md.

python benchmarks/sparse_activations.py [--columns 4096] [--samples 1000000]

Needs illico 0.6.0 beside the packages of the tests (pip install illico==0.6.0 statsmodels).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from run import Table, as_text, searched
from scipy import sparse

from neuronym import Concepts, label, open_activations
from neuronym.data.groups import SampleGroups
from neuronym.io.zarr_store import LayerWriter
from neuronym.search.ranking import rank

HERE = Path(__file__).parent
PLOT = HERE.parent / "docs/sparse.png"
#: Samples, disjoint classes, and the share that is not zero.
CASES = (("1% not zero", 100_000, 2_000, 0.01), ("10% not zero", 100_000, 2_000, 0.1), ("dense", 50_000, 1_000, None))
Columns = sparse.csc_array | NDArray[np.float32]


def processor_time(run: Callable[[], object]) -> float:
    """Seconds of processor time of this process, of all its threads."""
    start = time.process_time()
    run()
    return time.process_time() - start


def columns(n_samples: int, n_columns: int, share: float | None, seed: int = 0) -> Columns:
    """Columns of float32, of which a share is not zero; an array where all are not."""
    rng = np.random.default_rng(seed)
    if share is None:
        return rng.normal(size=(n_samples, n_columns)).astype(np.float32)
    n_each = rng.binomial(n_samples, share, n_columns)
    rows = np.concatenate([np.sort(rng.choice(n_samples, n, False, shuffle=False)).astype(np.int32) for n in n_each])
    values = np.abs(rng.normal(size=len(rows))).astype(np.float32) + np.float32(0.1)
    return sparse.csc_array((values, rows, np.concatenate([[0], np.cumsum(n_each)])), shape=(n_samples, n_columns))


def illico_of(values: Columns, classes: NDArray[np.int64], found: dict[str, object]) -> Callable[[], None]:
    """A run of illico's test of every class against the rest."""
    import anndata
    import pandas as pd
    from illico import asymptotic_wilcoxon
    from loguru import logger

    logger.remove()
    held = sparse.csc_matrix(values) if sparse.issparse(values) else values
    data = anndata.AnnData(held, obs=pd.DataFrame({"group": pd.Categorical([f"c{k}" for k in classes])}))

    def run() -> None:
        found["illico"] = asymptotic_wilcoxon(data, is_log1p=False, group_keys="group", n_threads=1)

    return run


def same_aucs(table: object, values: Columns, groups: SampleGroups, names: list[str]) -> float:
    """The largest difference of an AUC of ours and one from illico's U, over the first columns."""
    statistic = table["statistic"].unstack()  # type: ignore[index]
    statistic = statistic[sorted(statistic.columns, key=int)]
    size = groups.counts * (groups.total - groups.counts)
    n_checked = min(16, values.shape[1])
    sums = rank(values[:, :n_checked], groups)[0]
    ours = (sums - groups.counts * (groups.counts + 1)) / 2 / size
    theirs = statistic.set_axis(list(map(str, statistic.index))).loc[names].to_numpy()[:, :n_checked]
    return float(np.abs(theirs / size[:, np.newaxis] - ours.T).max())


def table_beside_illico(n_columns: int, repeats: int) -> Table:
    rows, differences = [], []
    for name, n_samples, n_classes, share in CASES:
        values = columns(n_samples, n_columns, share)
        classes = np.random.default_rng(1).integers(0, n_classes, n_samples)
        concepts = Concepts.from_classes([f"c{k}" for k in classes])
        given: dict[str, object] = {}
        single = {"length": 1, "negation": False, "min_count": 1, "search": "beam", "n_jobs": 1}
        runs: dict[str, Callable[[], object]] = {
            "illico": illico_of(values, classes, given),
            "length 1": lambda v=values, c=concepts, o=single: label(v, c, **o),
            "length 3": lambda v=values, c=concepts: label(v, c, search="beam", prefixes="constrained", n_jobs=1),
            "stones": lambda v=values, c=concepts: label(v, c, search="beam", n_jobs=1),
        }
        taken: dict[str, list[float]] = {run: [] for run in runs}
        for run in runs.values():
            run()
        differences.append(same_aucs(given["illico"], values, searched(concepts), searched_names(concepts)))
        for _ in range(repeats):
            for key, run in runs.items():
                taken[key].append(1000 * processor_time(run) / n_columns)
        of = {key: statistics.median(times) for key, times in taken.items()}
        ratios = [
            statistics.median(a / b for a, b in zip(taken[key], taken["illico"], strict=True)) for key in [*of][1:]
        ]
        rows.append([f"{name}, {n_samples:,} × {n_classes:,}", *(f"{one:.3f}" for one in of.values())]
                    + [f"{one:.2f}" for one in ratios])  # fmt: skip
        print(rows[-1], flush=True)
    note = (
        f"{n_columns:,} columns, disjoint classes. Milliseconds of processor time a column, medians of {repeats}: "
        "illico's test of every class against the rest (its statistics and p-values), "
        '`label(length=1, negation=False)`, and formulas of length 3 by `search="beam"`, with `prefixes="constrained"` '
        "and with stepping stones; then the "
        f"ratios to illico. AUCs of all classes differ from those of illico's U by at most {max(differences):.0g}."
    )
    head = ["", "illico", "length 1", "length 3", "stepping stones",
            "length 1 / illico", "length 3 / illico", "stones / illico"]  # fmt: skip
    return "Beside illico 0.6.0", note, head, rows


def searched_names(concepts: Concepts) -> list[str]:
    """The name of the class of each group of samples."""
    groups = searched(concepts)
    names = concepts.prune(1, concepts.n_samples - 1).merge_equal().names
    return [names[c] for c in groups.group_concepts]


def table_of_growth(repeats: int, plot: Path | None) -> Table:
    """Ranking alone, by the share of values that are not zero."""
    n_samples, n_columns = 1_000_000, 32
    classes = np.random.default_rng(1).integers(0, 2_000, n_samples)
    groups = searched(Concepts.from_classes([f"c{k}" for k in classes]))
    rows, points = [], []
    for share in (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3):
        values = columns(n_samples, n_columns, share)
        rank(values, groups)
        times = [1000 * processor_time(lambda v=values: rank(v, groups)) / n_columns for _ in range(repeats)]
        points.append((values.nnz / n_columns, statistics.median(times)))
        rows.append([f"{share:.2%}", f"{points[-1][0]:,.0f}", f"{points[-1][1]:.3f}",
                     f"{1e6 * points[-1][1] / points[-1][0]:.1f}"])  # fmt: skip
    if plot is not None:
        draw(points, plot)
    note = "1,000,000 samples in 2,000 groups: milliseconds of processor time to rank a column and sum by group."
    return "Ranking by what is not zero", note, ["not zero", "values", "ms a column", "ns a value"], rows


def draw(points: list[tuple[float, float]], path: Path) -> None:
    from neuronym.plots.figures import COLOURS, new_figure, write_figure

    figure = new_figure(5.6, 3.6)
    axes = figure.subplots()
    x, y = np.array(points).T
    axes.loglog(x, y, "o-", color=COLOURS[0], label="measured")
    axes.loglog(x, y[-1] * x / x[-1], "--", color="0.5", label="in proportion")
    axes.set(xlabel="values of a column that are not zero, of 1,000,000", ylabel="ms to rank it")
    axes.legend(frameon=False)
    write_figure(figure, path, "png")


def of_store(path: str) -> None:
    """In a process of its own: label every latent of a store, and print seconds and memory."""
    opened = open_activations(path)
    classes = np.random.default_rng(1).integers(0, 2_000, opened.n_samples)
    concepts = Concepts.from_classes([f"c{k}" for k in classes])
    label(opened, concepts, neurons=slice(2), search="beam", length=1)
    found: dict[str, float] = {"before": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    for name, options in (("length 1", {"length": 1}), ("length 3", {"prefixes": "constrained"})):
        start = time.perf_counter()
        label(opened, concepts, search="beam", n_jobs=2, **options)
        found[name] = time.perf_counter() - start
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def table_of_store(n_samples: int, n_latents: int) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latents.zarr"
        write_store(path, n_samples, n_latents)
        command = [sys.executable, __file__, "--store", str(path)]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        found = json.loads(done.stdout)
        size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) / 2**30
    rows = [[name, f"{found[name]:.0f}", f"{1000 * found[name] / n_latents:.2f}"] for name in ("length 1", "length 3")]
    note = (
        f"{n_samples:,} samples × {n_latents:,} latents, 1% not zero, 2,000 distinct rows of concepts, from a store of "
        f"{size:.2f} GiB, two workers, by the beam (of length 3 with constrained prefixes). Resident memory: "
        f"{found['before']:.0f} MiB after two labels, {found['peak']:.0f} MiB at the peak."
    )
    return "From a store", note, ["", "seconds", "ms a latent"], rows


def write_store(path: Path, n_samples: int, n_latents: int) -> None:
    """A store of a sparse layer, as ``collect(sparse=True)`` writes it."""
    rng = np.random.default_rng(0)
    with LayerWriter(path, ["latents"], {}, n_samples=n_samples, sparse=True) as writer:
        for start in range(0, n_samples, 4096):
            n_rows = min(4096, n_samples - start)
            n_values = rng.binomial(n_rows * n_latents, 0.01)
            places = (rng.integers(0, n_rows, n_values), rng.integers(0, n_latents, n_values))
            shown = np.abs(rng.normal(size=n_values)).astype(np.float32) + np.float32(0.1)
            values = sparse.csr_array((shown, places), shape=(n_rows, n_latents))  # few places are drawn twice
            writer.add({"latents": values}, n_rows)
        writer.finish()


def makers(plot: Path | None = PLOT, columns: int = 4096, samples: int = 1_000_000) -> list[Callable[[], Table]]:
    """What makes each table."""
    return [
        lambda: table_of_growth(5, plot),
        lambda: table_beside_illico(columns, 3),
        lambda: table_of_store(samples, 16_384),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=4096, help="beside illico")
    parser.add_argument("--samples", type=int, default=1_000_000, help="of the store")
    parser.add_argument("--out", type=Path, default=HERE / "SPARSE.md")
    parser.add_argument("--plot", type=Path, default=PLOT)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.store:
        of_store(asked.store)
        return
    tables = [make() for make in makers(asked.plot, asked.columns, asked.samples)]
    text = as_text(tables, "sparse_activations.py", ("numpy", "numba", "scipy", "illico")).replace(
        "# Results", "# Sparse", 1
    )
    asked.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
