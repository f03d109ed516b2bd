"""Which samples are set apart, or drawn again: hold-out, folds, bootstrap; whole clusters, stratified by concepts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neuronym.errors import OptionError

__all__ = ["bootstrap", "hold_out", "into_folds"]

Ints = NDArray[np.int64]

_SPLIT, _BOOTSTRAP = 1, 2  # streams of random numbers


def _dealt(row_groups: Ints, clusters: Ints | None, seed: int) -> tuple[Ints, Ints, np.random.Generator]:
    """Clusters in random order, those whose first sample shows the same side by side; the cluster of each row."""
    rng = np.random.default_rng([_SPLIT, seed])
    of_row = np.arange(len(row_groups)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    first = np.unique(of_row, return_index=True)[1]
    place = rng.permutation(int(row_groups.max()) + 1)  # groups are numbered as they come, which may say something
    return np.lexsort((rng.random(len(first)), place[row_groups[first]])), of_row, rng


def hold_out(row_groups: Ints, clusters: Ints | None, share: float, seed: int) -> NDArray[np.bool_]:
    """Set a share of the samples apart: bool, shape (n_rows,).

    Stratified by what the samples show: of those with equal concepts, as nearly the same share as whole samples (or
    clusters, by their first sample) allow.

    Raises
    ------
    OptionError
        If a part would be empty.
    """
    order, of_row, rng = _dealt(row_groups, clusters, seed)
    steps = np.floor(np.arange(len(order) + 1) * share + rng.random())
    apart = np.zeros(len(order), np.bool_)
    apart[order] = np.diff(steps) > 0
    if not 1 <= share * len(apart) <= len(apart) - 1 or not 0 < apart.sum() < len(apart):
        unit = "samples" if clusters is None else "clusters"
        raise OptionError(f"holdout={share} of {len(apart)} {unit} leaves one part without any: choose another share")
    return np.asarray(apart[of_row])


def into_folds(row_groups: Ints, clusters: Ints | None, n_folds: int, seed: int) -> Ints:
    """Deal samples or clusters into folds, stratified as in ``hold_out``: 0 … n_folds − 1, shape (n_rows,)."""
    order, of_row, _ = _dealt(row_groups, clusters, seed)
    if len(order) < n_folds:
        raise OptionError(f"folds={n_folds} is more than the {len(order)} samples or clusters that there are")
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % n_folds
    return np.asarray(fold[of_row])


def bootstrap(weights: Ints, clusters: Ints | None, n_resamples: int, seed: int) -> Iterator[Ints]:
    """Sample weights of resamples: as many clusters as there are, drawn with replacement; int64, shape (n_rows,)."""
    of_row = np.arange(len(weights)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n = int(of_row.max()) + 1
    for b in range(n_resamples):
        times = np.bincount(np.random.default_rng([_BOOTSTRAP, seed, b]).integers(0, n, n), minlength=n)
        yield times[of_row] * weights
