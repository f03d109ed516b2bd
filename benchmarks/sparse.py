"""Measure sparse activations and ranking: beside illico, and a million samples of 16,384 latents from a store.

python benchmarks/sparse.py [--quick]

Writes benchmarks/SPARSE.md and docs/ranking.png. Needs illico (pip install illico==0.6.0).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from neuronym import Concepts, label

CASES = (("1% not zero", 100_000, 2_000, 0.01), ("10% not zero", 100_000, 2_000, 0.1), ("dense", 50_000, 1_000, None))


def cpu(run: Callable[[], object]) -> float:
    """Seconds of processor time of this process, of all its threads."""
    start = time.process_time()
    run()
    return time.process_time() - start


def columns(n_samples: int, n_columns: int, share: float | None, seed: int = 0) -> sparse.csc_array | NDArray[np.float32]:
    """Columns of float32, a share of which is not zero; an array if all are."""
    rng = np.random.default_rng(seed)
    if share is None:
        return rng.normal(size=(n_samples, n_columns)).astype(np.float32)
    n_each = rng.binomial(n_samples, share, n_columns)
    rows = [np.sort(rng.choice(n_samples, n, replace=False, shuffle=False)) for n in n_each]
    values = np.abs(rng.normal(size=int(n_each.sum()))).astype(np.float32) + np.float32(0.1)
    return sparse.csc_array((values, np.concatenate(rows), np.concatenate([[0], np.cumsum(n_each)])), shape=(n_samples, n_columns))


def illico_of(values, names: list[str]):
    """A run of illico's test of every class against the rest."""
    import anndata
    import pandas as pd
    from illico import asymptotic_wilcoxon

    held = sparse.csc_matrix(values) if sparse.issparse(values) else values
    data = anndata.AnnData(held, obs=pd.DataFrame({"group": pd.Categorical(names)}))
    return lambda: asymptotic_wilcoxon(data, is_log1p=False, group_keys="group", n_threads=1)


if __name__ == "__main__":
    import sys
    n_columns = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    for name, n_samples, n_classes, share in CASES:
        values = columns(n_samples, n_columns, share)
        names = [f"c{k}" for k in np.random.default_rng(1).integers(0, n_classes, n_samples)]
        concepts = Concepts.from_classes(names)
        theirs = illico_of(values, names)
        one = dict(length=1, negation=False, min_count=1, search="beam", n_jobs=1)
        three = dict(search="beam", n_jobs=1)
        runs = {
            "illico": theirs,
            "one": lambda: label(values, concepts, **one),
            "three": lambda: label(values, concepts, prefixes="constrained", **three),
            "stones": lambda: label(values, concepts, prefixes="free", **three),
        }
        for r in runs.values():
            r()
        for rep in range(3):
            print(name, {k: round(1000 * cpu(r) / n_columns, 4) for k, r in runs.items()}, flush=True)
