"""Names of concepts and neurons, and ids of samples: checked once, where they come in."""

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
    """Sample ids as texts, one per sample, each once."""
    if ids is None:
        return None
    given = tuple(ids)
    missing = sum(is_missing(i) for i in given)
    if missing:
        raise error(f"{counted(missing, 'sample')} of {owner} without an id: give each one, or none at all")
    texts = tuple(str(i) for i in given)
    if len(texts) != n_samples:
        raise error(f"{owner} has {n_samples} samples but {len(texts)} sample ids: one id per sample is needed")
    refuse_repeats(texts, "sample id", owner, error)
    return texts


def is_missing(name: object) -> bool:
    """Whether a name or id is none: None, NaN, pandas' NA, or an empty text."""
    if isinstance(name, str):
        return not name
    return name is None or (isinstance(name, float) and name != name) or type(name).__name__ in ("NAType", "NaTType")


def parent(token_id: str) -> str:
    """The sample that a token is of, from its id ``sample#token``."""
    return token_id.rpartition("#")[0]


def counted_ids(n_samples: int) -> tuple[str, ...]:
    """The row numbers of a table, as ids."""
    return tuple(map(str, range(n_samples)))


def is_count(ids: Sequence[str] | None) -> bool:
    """Whether ids are the row numbers of a table, in any order."""
    return ids is not None and set(ids) == set(counted_ids(len(ids)))


def refuse_repeats(names: Sequence[object], kind: str, owner: str, error: type[InputError]) -> None:
    """Raise where a name stands twice."""
    if len(set(names)) < len(names):
        repeated = [name for name, times in Counter(names).items() if times > 1]
        raise error(
            f"{owner} has {len(repeated)} {kind}{'s' * (len(repeated) > 1)} more than once "
            f"({some(repeated)}): each {kind} must be given once"
        )


def places(rows: ArrayLike, n_samples: int) -> NDArray[np.intp]:
    """Samples given by their places or by a mask of bool, as places."""
    chosen = np.asarray(rows)
    if not chosen.size and chosen.dtype.kind != "b":  # an empty list is one of floats
        chosen = chosen.astype(np.intp)
    try:
        found: NDArray[np.intp] = np.arange(n_samples)[chosen]
    except IndexError as error:
        raise OptionError(f"rows must be places among {n_samples} samples or a mask of them: {error}") from error
    return found


def match_ids(
    ours: Sequence[str], theirs: Sequence[str], our_name: str, their_name: str, align: bool | None
) -> tuple[list[int], list[int]] | None:
    """Rows of both sides that show the same samples, in the order of ours; None where they agree as they stand.

    Raises
    ------
    AlignmentError
        If the sets of ids differ and ``align`` is off (None: it cannot be asked for), or nothing is common.
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
            "both must name samples alike"
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
        raise AlignmentError("; ".join(sides) + f": give both the same samples{remedy}")
    return rows, [place[ours[row]] for row in rows]


def split_ids(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[object] | None]:
    """Take the sample ids off a DataFrame: its first column ``sample``, or an index that does not merely count."""
    import pandas as pd

    if len(frame.columns) and frame.columns[0] == "sample":
        return frame.iloc[:, 1:], list(frame.iloc[:, 0])
    if isinstance(frame.index, pd.RangeIndex) and frame.index.equals(pd.RangeIndex(len(frame))):
        return frame, None
    return frame, list(frame.index)
