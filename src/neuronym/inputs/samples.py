"""Samples to look at: images, texts or rows of a table, found by their ids or by the rows of activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuronym._util.files import reading
from neuronym._util.messages import counted, no_such, some
from neuronym.data.ids import is_count, split_ids
from neuronym.errors import AlignmentError, FileError, OptionError
from neuronym.inputs.alignment import is_frame
from neuronym.io.images import Images
from neuronym.io.texts import open_texts
from neuronym.types import PathLike

__all__ = ["Samples"]

_TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class Samples:
    """Samples by their place, or by their id where they have ids; one is read when it is asked for.

    Parameters
    ----------
    read : function of a place
        Gives a text, an image in any form, or None where one cannot be read and is to be skipped.
    n_samples : int
    ids : texts, one per sample, or None
    """

    read: Callable[[int], Any]
    n_samples: int
    ids: Sequence[str] | None = None

    @classmethod
    def of(cls, given: Any, *, skip_unreadable: bool = False) -> Samples:
        """Samples from what a user gives.

        Parameters
        ----------
        given : Samples, Images and its like, a folder of images, a table of texts, a DataFrame or Series, a mapping
            from id, a pair of ids and samples, or a list or array
            A DataFrame whose one column is ``text`` holds texts; of any other, each row is put in words.
        skip_unreadable : leave out images of a folder that cannot be read

        Raises
        ------
        OptionError, FileError
            If it is none of these.
        """
        if isinstance(given, Samples):
            return given
        if isinstance(given, str | Path):
            given = _of_path(given, skip_unreadable)
        if hasattr(given, "image") and hasattr(given, "sample_ids"):
            return cls(given.image, len(given.sample_ids), given.sample_ids)
        if isinstance(given, tuple) and len(given) == 2 and _are_ids(*given):
            ids, listed = given
            return cls(listed.__getitem__, len(listed), None if ids is None else [str(i) for i in ids])
        if isinstance(given, Mapping):
            keys = list(given)
            return cls(lambda place: given[keys[place]], len(keys), [str(key) for key in keys])
        if is_frame(given):
            return _of_frame(given)
        if hasattr(given, "iloc"):  # a Series, which [] would not read by place
            named = [str(i) for i in given.index]
            listed = given.tolist()
            return cls(listed.__getitem__, len(listed), named)
        if isinstance(given, str) or not hasattr(given, "__getitem__") or not hasattr(given, "__len__"):
            raise OptionError(
                "samples must be Images, a folder, a table, or a list or array of images or texts, "
                f"not {type(given).__name__}"
            )
        return cls(given.__getitem__, len(given))

    def places(self, ids: Sequence[str] | None, n_rows: int) -> Callable[[int], int]:
        """What gives the place of a sample from the row of the activations: by id, or in the same order.

        Parameters
        ----------
        ids : of the rows, or None
        n_rows : of the activations

        Raises
        ------
        AlignmentError
            If ids do not stand on both sides and there is not one sample for each row.
        """
        ours, theirs = _both(ids, self.ids)
        if ours is not None and theirs is not None:
            known, listed = {name: place for place, name in enumerate(theirs)}, theirs

            def by_id(row: int) -> int:
                if ours[row] not in known:
                    raise no_such("sample", ours[row], listed)
                return known[ours[row]]

            return by_id
        if self.n_samples != n_rows:
            raise AlignmentError(
                f"{counted(self.n_samples, 'sample')} to show but activations have {counted(n_rows, 'row')}: "
                "without ids on both sides, one per row is needed, in the same order"
            )
        return lambda row: row

    def refuse_missing(self, ids: Sequence[str] | None) -> None:
        """Refuse rows of the activations that have no sample, where both sides have ids.

        Raises
        ------
        AlignmentError
            If one is not there; the message says how many and which.
        """
        ours, theirs = _both(ids, self.ids)
        known = set(theirs or ())
        lost = [i for i in ours or () if i not in known and theirs is not None]
        if lost:
            raise AlignmentError(
                f"{len(lost)} of {len(ours or ())} samples are not among those to show ({some(lost)}): give the folder "
                "or table that the activations come from"
            )


def _both(
    ours: Sequence[str] | None, theirs: Sequence[str] | None
) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    """The ids of both sides; numbers of rows are none beside others."""
    if ours is None or theirs is None or set(ours) <= set(theirs):
        return ours, theirs
    return (None if is_count(ours) else ours), (None if is_count(theirs) else theirs)


def _are_ids(first: Any, second: Any) -> bool:
    """Whether a pair is one of ids and samples, and not two samples."""
    listed = first is None or (isinstance(first, Iterable) and not isinstance(first, str | bytes))
    return listed and isinstance(second, Sequence) and not isinstance(second, str) and not hasattr(first, "shape")


def _of_path(path: PathLike, skip_unreadable: bool) -> Any:
    if Path(path).suffix.lower() not in _TABLES:
        if Path(path).suffix and not Path(path).is_dir():
            raise FileError(f"cannot show samples from {str(path)!r}: give a folder of images, or a .csv or .parquet")
        return Images(path, _unprepared, skip_unreadable=skip_unreadable)
    import pandas as pd
    import pyarrow as pa

    with reading(path, "samples", ValueError, pa.ArrowException):
        parquet = Path(path).suffix.lower() == ".parquet"
        frame = pd.read_parquet(path) if parquet else pd.read_csv(path, dtype=str, keep_default_na=False)
    return open_texts(path) if list(frame.columns) == ["sample", "text"] else frame


def _of_frame(frame: Any) -> Samples:
    """Texts, or each row in words, with the ids of its index or first column."""
    body, named = split_ids(frame)
    names = [str(column) for column in body.columns]
    if not names:
        raise OptionError("a table of samples needs a column beside the ids, such as text")
    rows = body.to_numpy().tolist()
    words = [
        str(row[0])
        if names == ["text"]
        else "; ".join(f"{name}: {value}" for name, value in zip(names, row, strict=True))
        for row in rows
    ]
    return Samples(words.__getitem__, len(words), None if named is None else [str(i) for i in named])


def _unprepared(image: Any) -> Any:
    return image
