"""Merging the parts of a run, each made by ``label`` with a shard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from neuronym._util.messages import counted, some
from neuronym.errors import FileError, OptionError
from neuronym.labeling.evidence import Measured, add_evidence_of_all
from neuronym.labels.label import Label
from neuronym.labels.labels import Labels
from neuronym.labels.part import Part
from neuronym.stats.measures import MEASURES
from neuronym.types import LabelsLike

__all__ = ["merge"]


def merge(parts: Iterable[LabelsLike]) -> Labels:
    """Merge the labels of all shards of a run, which ``label`` made with ``shard``.

    What depends on all labels together is computed here: q, and the intervals of the labels that held-out p selects.
    So the result equals the labels of one run without shards.

    Parameters
    ----------
    parts : iterable of Labels, str or Path
        The labels of each shard, or their files, in any order.

    Returns
    -------
    Labels
        All labels, in order.

    Raises
    ------
    OptionError
        If a shard is missing, is given twice, was interrupted or belongs to another run, or if the held-out samples
        can test no formula.
    FileError
        If a file is broken, or holds no shard.

    Examples
    --------
    >>> import numpy as np
    >>> from neuronym import label
    >>> rng = np.random.default_rng(0)
    >>> data = rng.normal(size=(300, 5)), rng.random((300, 4)) < 0.3
    >>> merge(label(*data, shard=(number, 2)) for number in (1, 2)) == label(*data)
    True
    """
    if isinstance(parts, str | Path | Labels):
        raise OptionError("merge takes all parts of a run: give a list of labels or files")
    given = [(str(one) if isinstance(one, str | Path) else "labels", one) for one in parts]
    odd = [one for _, one in given if not isinstance(one, str | Path | Labels)]
    if odd:
        raise OptionError(f"a part must be labels or their file, not {type(odd[0]).__name__}")
    opened = [(name, one if isinstance(one, Labels) else Labels.open(one)) for name, one in given]
    found: dict[int, tuple[str, Part, Labels]] = {}
    for name, labels in opened:
        part = labels.part
        if part is None:
            raise FileError(f"{name} is no part of a run: give what label made with a shard (--shard 1/8)")
        other = found.get(part.number)
        if other is not None:
            raise OptionError(f"part {part.number} of {part.of} is given twice, as {other[0]} and {name}: give it once")
        found[part.number] = name, part, labels
    _check([(name, part) for name, part, _ in found.values()])
    ordered = [(part, list(labels)) for _, (_, part, labels) in sorted(found.items())]
    merged, measured = _joined(ordered)
    first = ordered[0][0]
    tested = [label for label in merged if label.best is not None]
    if first.held_out and tested and all(math.isnan(label.auc_heldout) for label in tested):
        raise OptionError("each formula found is true for none or for all of the held-out samples: hold out more")
    add_evidence_of_all(merged, measured, first.permuted)
    return Labels(merged)


def _check(parts: Sequence[tuple[str, Part]]) -> None:
    """Refuse parts that are not all of one run, or not of this version."""
    if not parts:
        raise OptionError("there are no parts to merge: give the labels of every shard")
    name, first = parts[0]
    for other, part in parts:
        if (part.run, part.of, len(part.n_labels)) != (first.run, first.of, len(first.n_labels)):
            raise OptionError(
                f"{name} and {other} are parts of different runs: label all shards of the same data by the same options"
            )
        if len(part.rows) and part.rows.shape[1] != len(MEASURES.names or ()):
            raise FileError(f"{other} was made by another version of neuronym: label all shards again by one version")
    missing = sorted({*range(1, first.of + 1)} - {part.number for _, part in parts})
    if missing:
        of = f"part {missing[0]}" if len(missing) == 1 else f"{counted(len(missing), 'part')} ({some(missing, 8)})"
        raise OptionError(f"{of} of {first.of} is missing" if len(missing) == 1 else f"{of} of {first.of} are missing")
    stopped = [part.number for _, part in parts if part.interrupted]
    if stopped:
        raise OptionError(f"the run of part {some(stopped, 8)} was interrupted, so evidence is missing: run it again")


def _joined(parts: Sequence[tuple[Part, Sequence[Label]]]) -> tuple[list[Label], dict[int, Measured]]:
    """The labels of all parts layer by layer, as in one run, and what was measured by the new places."""
    labels: list[Label] = []
    measured: dict[int, Measured] = {}
    starts = [list(accumulate(part.n_labels, initial=0)) for part, _ in parts]
    rows = [
        dict(zip(part.places.tolist(), range(len(part.places)), strict=True)) for part, _ in parts
    ]  # by the place of the label
    for layer in range(len(parts[0][0].n_labels)):
        for (part, own), ends, of_place in zip(parts, starts, rows, strict=True):
            for place in range(ends[layer], ends[layer + 1]):
                k = of_place.get(place)
                if k is not None:
                    measured[len(labels)] = Measured(_row(part.rows[k]), bool(part.clustered[k]))
                labels.append(own[place])
    return labels, measured


def _row(numbers: np.ndarray) -> np.void:
    """Numbers as they were measured."""
    return np.ascontiguousarray(numbers).view(MEASURES)[0]  # type: ignore[no-any-return]
