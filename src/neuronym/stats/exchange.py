"""Samples that depend on each other, and what may be exchanged, drawn or set apart when they do.

Frames of a video, tokens of a text, a photo and its altered copy are no independent samples: taken for such, they fake
significance. A *cluster* is a set of samples that belong together. Whole clusters are permuted, split and resampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.data.activations import Activations
from neuronym.data.groups import numbered
from neuronym.data.ids import counted_ids, is_missing
from neuronym.errors import OptionError, counted, some
from neuronym.io.tables import text_column

__all__ = [
    "LEVEL",
    "Exchange",
    "bootstrap",
    "codes",
    "exchange",
    "hold_out",
    "into_folds",
    "is_by_place",
    "repeated_rows",
]

Ints = NDArray[np.int64]

#: What a p-value must be able to reach.
LEVEL = 0.05
_ENOUGH = 8  # neurons that tell a repeated sample
_SPLIT, _BOOTSTRAP = 1, 2  # streams of random numbers


def codes(given: Any, sample_ids: Sequence[str] | None, n_samples: int, what: str) -> Ints:
    """Number what each sample belongs to, in the order of first appearance: int64, shape (n_samples,).

    Parameters
    ----------
    given : a label per sample, in the order of the activations; a mapping, or a Series, from sample id to label; a
        table, ``.csv`` or ``.parquet``, with a first column ``sample`` and one of labels, or ``FILE:COLUMN``
    what : ``"clusters"`` or ``"strata"``, for messages

    Raises
    ------
    OptionError
        If a sample has no label.
    """
    if isinstance(given, str | Path):
        given = _of_file(given, what)
    if hasattr(given, "iloc") and hasattr(given, "columns"):
        raise OptionError(f"{what} must be one column, not a DataFrame: take the column that holds the labels")
    if hasattr(given, "iloc") and not (sample_ids is None and _counts(given.index)):  # a Series
        given = dict(zip(given.index.tolist(), given.tolist(), strict=True))
    if isinstance(given, Mapping):
        if sample_ids is None and all(str(key).isdecimal() for key in given):
            sample_ids = counted_ids(n_samples)  # row numbers
        if sample_ids is None:
            raise OptionError(
                f"{what} are given by sample id ({some(given)}), but neither activations nor concepts have any: give "
                "one label per sample in their order (a table without the column sample)"
            )
        by_id = {str(key): value for key, value in given.items()}
        lost = [i for i in sample_ids if i not in by_id]
        if lost:
            raise OptionError(
                f"{what} say nothing of {counted(len(lost), 'sample')} ({some(lost)}): each needs a label"
            )
        listed = [by_id[i] for i in sample_ids]
    else:
        array = given.tolist() if hasattr(given, "tolist") else given  # arrays of any library, tensors, Series
        if isinstance(array, str | bytes) or not isinstance(array, Iterable):
            raise OptionError(f"{what} must be one label per sample of the activations, not {given!r}")
        listed = list(array)
        if len(listed) != n_samples or any(isinstance(value, list | tuple | np.ndarray) for value in listed):
            shape = getattr(given, "shape", (len(listed),))
            raise OptionError(
                f"{what} must be one label per sample of the activations, {n_samples}, but have shape {tuple(shape)}"
            )
    missing = sum(is_missing(value) for value in listed)
    if missing:
        raise OptionError(f"{what} have no label for {counted(missing, 'sample')}: each sample needs one")
    place: dict[Any, int] = {}
    return np.array([place.setdefault(value, len(place)) for value in listed], np.int64)


def _of_file(path: str | Path, what: str) -> dict[str, str] | list[str]:
    file, _, column = str(path).rpartition(":")
    whole = Path(path).exists() or Path(file).suffix not in (".csv", ".parquet")
    ids, labels = text_column(path, None, what) if whole else text_column(file, column, what)
    return labels if ids is None else dict(zip(ids, labels, strict=True))


def repeated_rows(taken: Activations, columns: NDArray[np.intp], rows: Ints | None) -> str | None:
    """What to say of samples whose activations equal those of others in all neurons asked for; None if there are none.

    Samples that are 0 in all, and few neurons or ones of yes and no, tell nothing.
    """
    if len(columns) < _ENOUGH or taken.matrix.dtype.kind == "b":
        return None
    used = slice(None) if rows is None else rows
    marks: NDArray[np.uint64] | None = None
    alive: NDArray[np.bool_] | None = None
    rng = np.random.default_rng(20231205)
    for block in taken.blocks(columns):
        values = taken.block(block)[used].astype(np.float64) + 0.0  # −0.0 is 0.0
        own_alive = np.asarray(values.any(axis=1))
        bits = values.view(np.uint64)
        bits ^= bits >> np.uint64(32)  # the last digits of short numbers are all 0
        bits *= np.uint64(0x9E3779B97F4A7C15)
        bits ^= bits >> np.uint64(29)
        own = (bits * rng.integers(2**63, size=len(block), dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
        marks, alive = (own, own_alive) if marks is None or alive is None else (marks + own, alive | own_alive)
    if marks is None or alive is None:
        return None
    _, first, times = np.unique(marks[alive], return_index=True, return_counts=True)
    more = int((times - 1).sum())
    if not more:
        return None
    example = np.flatnonzero(marks == marks[alive][first[np.argmax(times)]])[:2]
    places = example if rows is None else rows[example]
    names = places.tolist() if taken.sample_ids is None else [taken.sample_ids[row] for row in places]
    return (
        f"{counted(more, 'sample')} of {len(marks)} repeat the activations of another in all {len(columns)} neurons "
        f"(such as {some(names)}): repeated samples are not independent and fake significance, so leave them out, or "
        "say which belong together with clusters"
    )


def is_by_place(given: Any) -> bool:
    """Whether what is given of samples is in their order, and not by id, and says something."""
    return hasattr(given, "__len__") and not (isinstance(given, str | Mapping) or hasattr(given, "iloc"))


def _counts(index: Any) -> bool:
    """Whether the index of a Series merely counts its rows."""
    return bool(index.tolist() == list(range(len(index))))


@dataclass(frozen=True)
class Exchange:
    """Which samples may trade places when activations have nothing to do with concepts.

    Parameters
    ----------
    order : int64, shape (n_rows,)
        Rows class by class, in a class cluster by cluster.
    cluster_ptr : int64, shape (n_clusters + 1,)
    class_ptr : int64, shape (n_classes + 1,)
        Clusters of one class have one size, one stratum and the same sample weights: they trade places.
    """

    order: Ints
    cluster_ptr: Ints
    class_ptr: Ints

    @property
    def free(self) -> bool:
        """Whether every sample may trade places with every other."""
        return len(self.class_ptr) == 2 and len(self.cluster_ptr) == len(self.order) + 1

    @property
    def fixed(self) -> float:
        """The share of the rows that cannot move, since nothing is like what they belong to."""
        clusters, sizes = np.diff(self.class_ptr), np.diff(self.cluster_ptr)
        return float(sizes[self.class_ptr[:-1]][clusters == 1].sum() / len(self.order))

    @property
    def log10_arrangements(self) -> float:
        """log10 of how many ways there are to deal the clusters out."""
        return sum(math.lgamma(n + 1) for n in np.diff(self.class_ptr).tolist()) / math.log(10)


def exchange(weights: Ints, clusters: Ints | None = None, strata: Ints | None = None) -> Exchange:
    """What may trade places: clusters of the same size, within strata, of samples with the same weights.

    Raises
    ------
    OptionError
        If clusters cross strata, or so few may trade places that no p-value can reach 0.05.
    """
    n_rows = len(weights)
    of_row = np.arange(n_rows) if clusters is None else clusters
    order = np.lexsort((np.arange(n_rows), weights, of_row))
    firsts = np.flatnonzero(np.diff(of_row[order], prepend=-1))
    sizes = np.diff(firsts, append=n_rows)
    stratum = np.zeros(n_rows, np.int64) if strata is None else strata
    crossing = np.flatnonzero(
        np.maximum.reduceat(stratum[order], firsts) != np.minimum.reduceat(stratum[order], firsts)
    )
    if len(crossing):
        raise OptionError(
            f"{counted(len(crossing), 'cluster')} lie in more than one stratum: a cluster is permuted as a whole, "
            "so all of its samples must be in one"
        )
    kind = numbered(np.stack([sizes, stratum[order[firsts]]], axis=1))[0]
    plain = bool((weights == weights[0]).all())
    if not plain:
        profiles: dict[bytes, int] = {}
        ends = (firsts + sizes).tolist()
        profile = [
            profiles.setdefault(weights[order[first:end]].tobytes(), len(profiles))
            for first, end in zip(firsts.tolist(), ends, strict=True)
        ]
        kind = numbered(np.stack([kind, np.array(profile, np.int64)], axis=1))[0]
    found = Exchange(
        order[np.argsort(np.repeat(kind, sizes), kind="stable")],
        np.concatenate([[0], np.cumsum(sizes[np.argsort(kind, kind="stable")])]),
        np.concatenate([[0], np.cumsum(np.bincount(kind))]),
    )
    if found.log10_arrangements < -math.log10(LEVEL):
        raise OptionError(_nothing_to_permute(found, clusters is not None, strata is not None, not plain))
    return found


def _nothing_to_permute(found: Exchange, clusters: bool, strata: bool, weights: bool) -> str:
    unit = "clusters" if clusters else "samples"
    asked = [*["of equal size"] * clusters, *["within their stratum"] * strata, *["of equal weights"] * weights]
    only = f"only {unit} {' and '.join(asked)} trade places, and " if asked else ""
    ways = round(10**found.log10_arrangements)
    shown = f"{len(found.cluster_ptr) - 1} {unit} in {counted(len(found.class_ptr) - 1, 'class')}"
    without = [*["clusters=False (--clusters none)"] * clusters, *["no strata"] * strata, *["no weights"] * weights]
    return (
        f"almost nothing is left to permute: {only}{shown} can be dealt out in {counted(ways, 'way')} (at least 20 are "
        f"needed for p ≤ 0.05): give larger classes, or {' or '.join([*without, 'no permutations'])}"
    )


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
