"""Samples that belong together, as a user says it: a label per sample, by id, or in a table.

Frames of a video, tokens of a text, a photo and its altered copy are not independent samples: taken as such, they fake
significance. A *cluster* is a set of samples that belong together; *strata* are groups that permutations stay within.
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

_ENOUGH = 8  # neurons that tell a repeated sample


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


def _of_file(path: PathLike, what: str) -> dict[str, str] | list[str]:
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
