"""Names of concepts and neurons, and sample ids: checks and matching."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.messages import counted, some
from neuronym.errors import AlignmentError, InputError, OptionError

if TYPE_CHECKING:
    import pandas as pd


def as_ids(ids: Iterable[object] | None, n_samples: int, owner: str, error: type[InputError]) -> tuple[str, ...] | None:
    """Convert sample ids to text; one distinct id per sample is required."""
    if ids is None:
        return None
    listed = tuple(ids)
    missing = sum(is_missing(i) for i in listed)
    if missing:
        raise error(f"{counted(missing, 'sample')} of {owner} without an id: give ids to all samples or to none")
    texts = tuple(str(i) for i in listed)
    if len(texts) != n_samples:
        raise error(f"{owner} has {n_samples} samples but {len(texts)} sample ids: give one id per sample")
    refuse_repeats(texts, "sample id", owner, error)
    return texts


def is_missing(name: object) -> bool:
    """Whether a name or id is missing: None, NaN, pandas' NA or NaT, or empty text."""
    if isinstance(name, str):
        return not name
    return name is None or (isinstance(name, float) and name != name) or type(name).__name__ in ("NAType", "NaTType")


def parent(token_id: str) -> str:
    """The id of the text of a token with the id ``text#token``."""
    return token_id.rpartition("#")[0]


def counted_ids(n_samples: int) -> tuple[str, ...]:
    """The row numbers of a table, as ids."""
    return tuple(map(str, range(n_samples)))


def is_count(ids: Sequence[str] | None) -> bool:
    """Whether ids are the row numbers of a table, in any order."""
    return ids is not None and set(ids) == set(counted_ids(len(ids)))


def refuse_repeats(names: Sequence[object], kind: str, owner: str, error: type[InputError]) -> None:
    """Raise if a name is repeated."""
    if len(set(names)) < len(names):
        repeated = [name for name, times in Counter(names).items() if times > 1]
        raise error(
            f"{owner} has {counted(len(repeated), kind)} more than once ({some(repeated)}): each {kind} must be unique"
        )


def places(rows: ArrayLike, n_samples: int) -> NDArray[np.intp]:
    """The indices of samples given by indices or by a boolean mask."""
    chosen = np.asarray(rows)
    if not chosen.size and chosen.dtype.kind != "b":  # numpy reads an empty list as floats
        chosen = chosen.astype(np.intp)
    try:
        found: NDArray[np.intp] = np.arange(n_samples)[chosen]
    except IndexError as error:
        raise OptionError(f"rows must be indices of the {n_samples} samples or a mask of them: {error}") from error
    return found


def match_ids(
    ours: Sequence[str], theirs: Sequence[str], our_name: str, their_name: str, align: bool | None
) -> tuple[list[int], list[int]] | None:
    """The rows of both sides with the same ids, in the order of ours; None if they agree already.

    Raises
    ------
    AlignmentError
        If the sets of ids differ and ``align`` is off (None if the caller has no such option), or are disjoint.
    """
    if tuple(ours) == tuple(theirs):
        return None
    place = {name: row for row, name in enumerate(theirs)}
    rows = [row for row, name in enumerate(ours) if name in place]
    lost_ours = [name for name in ours if name not in place]
    known = set(ours)
    lost_theirs = [name for name in theirs if name not in known]
    if not rows:
        raise AlignmentError(
            f"no sample id is common to {our_name} ({some(ours)}) and {their_name} ({some(theirs)}): "
            "both must use the same ids"
        )
    if (lost_ours or lost_theirs) and not align:
        sides = [
            f"{len(lost)} of {len(whole)} ids of {name} are not in {other} ({some(lost)})"
            for lost, whole, name, other in (
                (lost_ours, ours, our_name, their_name),
                (lost_theirs, theirs, their_name, our_name),
            )
            if lost
        ]
        remedy = "" if align is None else ", or keep the common ones with align=True"
        raise AlignmentError("; ".join(sides) + f": both need the same samples{remedy}")
    return rows, [place[ours[row]] for row in rows]


def split_ids(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[object] | None]:
    """Separate the sample ids from a DataFrame: its first column ``sample``, or an index other than 0, 1, 2, …."""
    import pandas as pd

    if len(frame.columns) and frame.columns[0] == "sample":
        return frame.iloc[:, 1:], list(frame.iloc[:, 0])
    if isinstance(frame.index, pd.RangeIndex) and frame.index.equals(pd.RangeIndex(len(frame))):
        return frame, None
    return frame, list(frame.index)
