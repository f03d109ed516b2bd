"""Clusters and strata from user input: one label per sample, labels by sample id, or a table.

Frames of a video, tokens of a text, or a photo and its altered copy are not independent samples; treated as if they
were, they fake significance. A *cluster* is a set of samples that belong together; only those of one *stratum* are
compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted, some
from neuronym.data.activations import Activations
from neuronym.data.ids import by_sample, is_missing
from neuronym.data.labelled import listed
from neuronym.data.sparse import column, is_csc
from neuronym.errors import OptionError
from neuronym.io.tables import TABLES, text_column
from neuronym.types import PathLike

__all__ = ["codes", "is_by_place", "repeated_rows"]

Ints = NDArray[np.int64]

_ENOUGH = 8  # with fewer neurons, samples may agree in all of them by chance
_BEYOND = 50  # how many times as many repeats as by chance show that samples are repeated


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
    of_samples = by_sample(given, sample_ids, n_samples, what, OptionError)
    if len(of_samples) != n_samples or any(isinstance(value, list | tuple | np.ndarray) for value in of_samples):
        raise OptionError(
            f"{what} must be one label per sample of the activations ({n_samples}), but there are {len(of_samples)}"
        )
    missing = sum(is_missing(value) for value in of_samples)
    if missing:
        raise OptionError(f"{what} lack a label for {counted(missing, 'sample')}: each sample needs one")
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in of_samples], np.int64)


def _of_file(path: PathLike, what: str) -> dict[str, str] | list[str]:
    """The labels of a table, by sample id if it has ids; ``path`` may end in ``:COLUMN``."""
    file, _, column = str(path).rpartition(":")
    whole = Path(path).exists() or Path(file).suffix.lower() not in TABLES
    ids, labels = text_column(path, None, what) if whole else text_column(file, column, what)
    return labels if ids is None else dict(zip(ids, labels, strict=True))


def repeated_rows(activations: Activations, columns: NDArray[np.intp], rows: Ints | None) -> str | None:
    """Describe, for a warning, samples with the same activations as another in all neurons; None if there are none.

    Samples whose activations are all 0 do not count as repeated. With boolean neurons, equal activations are no
    evidence, and the answer is None. With fewer than 8 neurons, they are only if many more samples agree than would if
    neurons were unrelated, given how often two samples agree in each.
    """
    if activations.matrix.dtype.kind == "b":
        return None
    used = slice(None) if rows is None else rows
    few = len(columns) < _ENOUGH
    by_neuron: list[NDArray[np.generic]] = []
    hashes: NDArray[np.uint64] | None = None
    active: NDArray[np.bool_] | None = None
    rng = np.random.default_rng(20231205)
    for block in activations.blocks(columns):
        values, factors = activations.block(block)[used], rng.integers(2**63, size=len(block), dtype=np.uint64)
        by_neuron += [column(values, j).astype(np.float64) + 0.0 for j in range(len(block))] if few else []
        if is_csc(values):
            block_hashes = np.zeros(values.shape[0], np.uint64)
            shown = _bits(values.data)  # 0 where the value is
            np.add.at(block_hashes, values.indices, shown * np.repeat(factors, np.diff(values.indptr)))
            block_active = np.bincount(values.indices, values.data != 0, values.shape[0]) > 0
        else:
            block_hashes = (_bits(values) * factors).sum(axis=1, dtype=np.uint64)
            block_active = np.any(values != 0, axis=1)
        hashes = block_hashes if hashes is None else hashes + block_hashes
        active = block_active if active is None else active | block_active
    if hashes is None or active is None:
        return None
    _, first, times = np.unique(hashes[active], return_index=True, return_counts=True)
    n_repeats = int((times - 1).sum())
    if not n_repeats or (few and not _beyond_chance(hashes[active], [values[active] for values in by_neuron])):
        return None
    example = np.flatnonzero(hashes == hashes[active][first[np.argmax(times)]])[:2]
    places = example if rows is None else rows[example]
    names = places.tolist() if activations.sample_ids is None else [activations.sample_ids[row] for row in places]
    return (
        f"{counted(n_repeats, 'sample')} of {len(hashes)} repeat the activations of another in all {len(columns)} "
        f"neurons (such as {some(names)}): repeated samples are not independent and fake significance, so leave them "
        "out, or group them with clusters"
    )


def _bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Bits that are equal where values are, well mixed, and 0 where the value is."""
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # turns −0.0 into 0.0
    bits ^= bits >> np.uint64(32)  # the low bits of short numbers are all 0
    bits *= np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(29)
    return bits


def _beyond_chance(hashes: NDArray[np.uint64], by_neuron: list[NDArray[np.generic]]) -> bool:
    """Whether far more pairs of samples agree than if each neuron's ties were unrelated to those of the others."""

    def agreeing(values: NDArray[np.generic]) -> float:
        counts = np.unique(values, return_counts=True)[1].astype(np.float64)
        return float((counts * (counts - 1)).sum()) / (len(values) * (len(values) - 1))

    # Neurons with the same ties, such as copies of each other, are one.
    ties = {np.unique(values, return_inverse=True)[1].tobytes(): values for values in by_neuron}
    by_chance = float(np.prod([agreeing(values) for values in ties.values()]))
    return agreeing(hashes) > _BEYOND * by_chance


def is_by_place(given: Any) -> bool:
    """Whether labels or weights are a sequence in the order of the samples, rather than by id, a file or absent."""
    if given is None or isinstance(given, bool | str | Path | Mapping):
        return False
    return listed(given, "labels", OptionError)[1] is None
