"""Clusters and strata from user input: one label per sample, labels by sample id, or a table.

Frames of a video, tokens of a text, or a photo and its altered copy are not independent samples; treated as if they
were, they fake significance. A *cluster* is a set of samples that belong together; permutations stay within *strata*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted, some
from neuronym.data.activations import Activations
from neuronym.data.ids import counted_ids, is_missing
from neuronym.errors import OptionError
from neuronym.io.tables import text_column
from neuronym.types import PathLike

__all__ = ["codes", "is_by_place", "repeated_rows"]

Ints = NDArray[np.int64]

_ENOUGH = 8  # with fewer neurons, equal activations do not show that a sample is repeated


def codes(given: Any, sample_ids: Sequence[str] | None, n_samples: int, what: str) -> Ints:
    """Number the clusters or strata of samples in order of first appearance.

    Parameters
    ----------
    given : ClustersLike
        One label per sample in the order of the activations; a mapping or Series from sample id to label; or a table,
        ``.csv`` or ``.parquet``, with a first column ``sample`` and one column of labels, or ``FILE:COLUMN``.
    sample_ids : sequence of str or None
        The sample ids, if any.
    n_samples : int
        The number of samples.
    what : {"clusters", "strata"}
        What the labels are, for messages.

    Returns
    -------
    int64 array of shape (n_samples,)
        The number of each sample's cluster or stratum.

    Raises
    ------
    OptionError
        If a sample has no label, or the labels are not in one of these forms.
    """
    if isinstance(given, str | Path):
        given = _of_file(given, what)
    if hasattr(given, "iloc") and hasattr(given, "columns"):
        raise OptionError(f"{what} must be one column, not a DataFrame: pass the column with the labels")
    if hasattr(given, "iloc") and not (sample_ids is None and _counts(given.index)):  # a Series
        given = dict(zip(given.index.tolist(), given.tolist(), strict=True))
    if isinstance(given, Mapping):
        if sample_ids is None and all(str(key).isdecimal() for key in given):
            sample_ids = counted_ids(n_samples)  # row numbers
        if sample_ids is None:
            raise OptionError(
                f"{what} are given by sample id ({some(given)}), but neither activations nor concepts have ids: give "
                "one label per sample in their order (a table without the column sample)"
            )
        by_id = {str(key): value for key, value in given.items()}
        lost = [i for i in sample_ids if i not in by_id]
        if lost:
            raise OptionError(
                f"{what} lack a label for {counted(len(lost), 'sample')} ({some(lost)}): each sample needs one"
            )
        listed = [by_id[i] for i in sample_ids]
    else:
        plain = given.tolist() if hasattr(given, "tolist") else given  # arrays of any library, tensors, Series
        if isinstance(plain, str | bytes) or not isinstance(plain, Iterable):
            raise OptionError(f"{what} must be one label per sample of the activations, not {given!r}")
        listed = list(plain)
        if len(listed) != n_samples or any(isinstance(value, list | tuple | np.ndarray) for value in listed):
            shape = getattr(given, "shape", (len(listed),))
            raise OptionError(
                f"{what} must be one label per sample of the activations ({n_samples}), but have shape {tuple(shape)}"
            )
    missing = sum(is_missing(value) for value in listed)
    if missing:
        raise OptionError(f"{what} lack a label for {counted(missing, 'sample')}: each sample needs one")
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in listed], np.int64)


def _of_file(path: PathLike, what: str) -> dict[str, str] | list[str]:
    """The labels of a table, by sample id if it has ids; ``path`` may end in ``:COLUMN``."""
    file, _, column = str(path).rpartition(":")
    whole = Path(path).exists() or Path(file).suffix not in (".csv", ".parquet")
    ids, labels = text_column(path, None, what) if whole else text_column(file, column, what)
    return labels if ids is None else dict(zip(ids, labels, strict=True))


def repeated_rows(activations: Activations, columns: NDArray[np.intp], rows: Ints | None) -> str | None:
    """Describe, for a warning, samples with the same activations as another in all neurons; None if there are none.

    Samples whose activations are all 0 do not count as repeated. With few neurons, or boolean ones, equal activations
    are no evidence, and the answer is None.
    """
    if len(columns) < _ENOUGH or activations.matrix.dtype.kind == "b":
        return None
    used = slice(None) if rows is None else rows
    hashes: NDArray[np.uint64] | None = None
    active: NDArray[np.bool_] | None = None
    rng = np.random.default_rng(20231205)
    for block in activations.blocks(columns):
        values = activations.block(block)[used].astype(np.float64) + 0.0  # turns −0.0 into 0.0
        block_active = np.asarray(values.any(axis=1))
        bits = values.view(np.uint64)
        bits ^= bits >> np.uint64(32)  # the low bits of short numbers are all 0
        bits *= np.uint64(0x9E3779B97F4A7C15)
        bits ^= bits >> np.uint64(29)
        block_hashes = (bits * rng.integers(2**63, size=len(block), dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
        hashes = block_hashes if hashes is None else hashes + block_hashes
        active = block_active if active is None else active | block_active
    if hashes is None or active is None:
        return None
    _, first, times = np.unique(hashes[active], return_index=True, return_counts=True)
    n_repeats = int((times - 1).sum())
    if not n_repeats:
        return None
    example = np.flatnonzero(hashes == hashes[active][first[np.argmax(times)]])[:2]
    places = example if rows is None else rows[example]
    names = places.tolist() if activations.sample_ids is None else [activations.sample_ids[row] for row in places]
    return (
        f"{counted(n_repeats, 'sample')} of {len(hashes)} repeat the activations of another in all {len(columns)} "
        f"neurons (such as {some(names)}): repeated samples are not independent and fake significance, so leave them "
        "out, or group them with clusters"
    )


def is_by_place(given: Any) -> bool:
    """Whether labels or weights are a sequence in the order of the samples, rather than by id, a file or absent."""
    return hasattr(given, "__len__") and not (isinstance(given, str | Mapping) or hasattr(given, "iloc"))


def _counts(index: Any) -> bool:
    """Whether the index of a Series is just 0, 1, 2, …."""
    return bool(index.tolist() == list(range(len(index))))
