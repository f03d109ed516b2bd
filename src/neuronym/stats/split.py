"""Splitting and resampling: hold-out, folds and bootstrap, by whole clusters and stratified by concepts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neuronym.errors import OptionError

__all__ = ["bootstrap", "hold_out", "into_folds"]

Ints = NDArray[np.int64]

_SPLIT, _BOOTSTRAP = 1, 2  # streams of random numbers


def _shuffled(
    row_groups: Ints, clusters: Ints | None, seed: int, strata: Ints | None
) -> tuple[Ints, Ints, np.random.Generator]:
    """Clusters in random order, but adjacent if their first samples have equal concepts; and each row's cluster.

    Among those of equal concepts, clusters are adjacent if their first samples are of one stratum.
    """
    rng = np.random.default_rng([_SPLIT, seed])
    of_row = np.arange(len(row_groups)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    first = np.unique(of_row, return_index=True)[1]
    place = rng.permutation(int(row_groups.max()) + 1)  # groups are numbered by appearance, which may carry meaning
    keys = [rng.random(len(first)), place[row_groups[first]]]
    if strata is not None:
        keys.insert(1, rng.permutation(int(strata.max()) + 1)[strata[first]])
    return np.lexsort(keys), of_row, rng


def hold_out(
    row_groups: Ints, clusters: Ints | None, share: float, seed: int, strata: Ints | None = None
) -> NDArray[np.bool_]:
    """Choose a share of the samples to hold out.

    The choice is stratified: of the samples with equal concepts, and of those of a stratum among them, the share is as
    close to ``share`` as whole samples (or clusters, by their first sample) allow.

    Parameters
    ----------
    row_groups : int64 array of shape (n_rows,)
        The group of each row; samples of a group have equal concepts.
    clusters : int64 array of shape (n_rows,) or None
        The cluster of each row; clusters are held out as a whole.
    share : float
        The share to hold out, between 0 and 1.
    seed : int
        The seed of the random numbers.
    strata : int64 array of shape (n_rows,) or None, default None
        The stratum of each row; None means a single stratum.

    Returns
    -------
    bool array of shape (n_rows,)
        Whether each row is held out.

    Raises
    ------
    OptionError
        If a part would be empty.
    """
    order, of_row, rng = _shuffled(row_groups, clusters, seed, strata)
    steps = np.floor(np.arange(len(order) + 1) * share + rng.random())
    held_out = np.zeros(len(order), np.bool_)
    held_out[order] = np.diff(steps) > 0
    if not 1 <= share * len(held_out) <= len(held_out) - 1 or not 0 < held_out.sum() < len(held_out):
        unit = "samples" if clusters is None else "clusters"
        raise OptionError(f"holdout={share} of {len(held_out)} {unit} leaves one part empty: choose another share")
    return np.asarray(held_out[of_row])


def into_folds(row_groups: Ints, clusters: Ints | None, n_folds: int, seed: int, strata: Ints | None = None) -> Ints:
    """Assign samples or whole clusters to folds, stratified as in ``hold_out``.

    Parameters
    ----------
    row_groups : int64 array of shape (n_rows,)
        The group of each row; samples of a group have equal concepts.
    clusters : int64 array of shape (n_rows,) or None
        The cluster of each row; clusters stay together.
    n_folds : int
        The number of folds.
    seed : int
        The seed of the random numbers.
    strata : int64 array of shape (n_rows,) or None, default None
        The stratum of each row; None means a single stratum.

    Returns
    -------
    int64 array of shape (n_rows,)
        The fold of each row, from 0 to n_folds − 1.

    Raises
    ------
    OptionError
        If there are fewer samples or clusters than folds.
    """
    order, of_row, _ = _shuffled(row_groups, clusters, seed, strata)
    if len(order) < n_folds:
        unit = "samples" if clusters is None else "clusters"
        raise OptionError(f"folds={n_folds} must not exceed the number of {unit}, {len(order)}")
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % n_folds
    return np.asarray(fold[of_row])


def bootstrap(weights: Ints, clusters: Ints | None, n_resamples: int, seed: int) -> Iterator[Ints]:
    """Draw bootstrap resamples of samples or whole clusters, with replacement.

    Parameters
    ----------
    weights : int64 array of shape (n_rows,)
        The sample weights.
    clusters : int64 array of shape (n_rows,) or None
        The cluster of each row; clusters are drawn as a whole.
    n_resamples : int
        The number of resamples.
    seed : int
        The seed of the random numbers.

    Yields
    ------
    int64 array of shape (n_rows,)
        The sample weights of a resample, 0 for rows not drawn.
    """
    of_row = np.arange(len(weights)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n = int(of_row.max()) + 1
    for b in range(n_resamples):
        times = np.bincount(np.random.default_rng([_BOOTSTRAP, seed, b]).integers(0, n, n), minlength=n)
        yield times[of_row] * weights
