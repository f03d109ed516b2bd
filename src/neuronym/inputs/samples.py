"""Samples to look at: images, texts or rows of a table, looked up by id or by row of the activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuronym._util.messages import counted, no_such, some
from neuronym.data.ids import check_one_side, is_count, split_ids
from neuronym.data.labelled import to_pandas
from neuronym.errors import AlignmentError, FileError, OptionError
from neuronym.io.images import Images
from neuronym.io.tables import TABLES, read_frame
from neuronym.io.texts import TOKEN_COLUMNS, open_texts
from neuronym.types import PathLike

__all__ = ["Samples"]


@dataclass(frozen=True)
class Samples:
    """Samples that are read on demand, by index or by id.

    Parameters
    ----------
    read : callable
        Takes the index of a sample and returns a text, an image in any form, or None for an unreadable sample to skip.
    n_samples : int
        The number of samples.
    ids : sequence of str or None, default None
        One id per sample, if they have ids.
    """

    read: Callable[[int], Any]
    n_samples: int
    ids: Sequence[str] | None = None

    @classmethod
    def of(cls, given: Any, *, skip_unreadable: bool = False) -> Samples:
        """Make samples from any accepted form.

        Parameters
        ----------
        given : SamplesLike
            A ``Samples``; ``Images`` or an object like it; a folder of images; a table of texts; a DataFrame or
            Series; a mapping from id to sample; a pair of ids and samples; or a list or array of samples. A DataFrame
            with the single column ``text`` holds texts; each row of any other is written out as ``name: value``.
        skip_unreadable : bool, default False
            Leave out images of a folder that cannot be read.

        Returns
        -------
        Samples
            The samples.

        Raises
        ------
        OptionError, FileError
            If ``given`` has none of these forms, or cannot be read.
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
        labelled = None if isinstance(given, np.ndarray | list | tuple) else to_pandas(given, "samples", OptionError)
        if labelled is not None and labelled.ndim == 2:
            return _of_frame(labelled)
        if labelled is not None:  # a Series, which [] would index by label
            listed = labelled.tolist()
            return cls(listed.__getitem__, len(listed), [str(i) for i in labelled.index])
        if isinstance(given, str) or not hasattr(given, "__getitem__") or not hasattr(given, "__len__"):
            raise OptionError(
                "samples must be Images, a folder, a table, or a list or array of images or texts, "
                f"not {type(given).__name__}"
            )
        return cls(given.__getitem__, len(given))

    def places(self, ids: Sequence[str] | None, n_rows: int) -> Callable[[int], int]:
        """Match rows of the activations with samples: by id if both have ids, else by position.

        Parameters
        ----------
        ids : sequence of str or None
            The sample ids of the activations, if they have any.
        n_rows : int
            The number of rows of the activations.

        Returns
        -------
        callable
            Takes a row of the activations and returns the index of its sample. By id, it raises ``UnknownNameError``
            for a row without a sample.

        Raises
        ------
        AlignmentError
            If either side lacks ids and their numbers differ.
        """
        ours, theirs = _comparable_ids(ids, self.ids)
        if ours is not None and theirs is not None:
            known, listed = {name: place for place, name in enumerate(theirs)}, theirs

            def by_id(row: int) -> int:
                if ours[row] not in known:
                    raise no_such("sample", ours[row], listed)
                return known[ours[row]]

            return by_id
        if self.n_samples == n_rows:
            if theirs is not None:  # samples without ids are shown in the order in which they are given
                check_one_side(None, theirs, "the activations", "the samples to show")
        else:
            raise AlignmentError(
                f"{counted(self.n_samples, 'sample')} to show but the activations have "
                f"{counted(n_rows, 'row')}: without ids on both sides, give one sample per row, in the same order"
            )
        return lambda row: row

    def refuse_missing(self, ids: Sequence[str] | None) -> None:
        """Refuse rows of the activations that have no sample, if both sides have ids.

        Parameters
        ----------
        ids : sequence of str or None
            The sample ids of the activations, if they have any.

        Raises
        ------
        AlignmentError
            If a sample is missing; the message says how many and which.
        """
        ours, theirs = _comparable_ids(ids, self.ids)
        known = set(theirs or ())
        lost = [i for i in ours or () if i not in known and theirs is not None]
        if lost:
            raise AlignmentError(
                f"{len(lost)} of {len(ours or ())} samples are not among those to show ({some(lost)}): give the folder "
                "or table that the activations come from"
            )


def _comparable_ids(
    ours: Sequence[str] | None, theirs: Sequence[str] | None
) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    """The ids of both sides; if they differ, mere row numbers do not count as ids."""
    if ours is None or theirs is None or set(ours) <= set(theirs):
        return ours, theirs
    return (None if is_count(ours) else ours), (None if is_count(theirs) else theirs)


def _are_ids(first: Any, second: Any) -> bool:
    """Whether a pair is ids and samples, rather than two samples."""
    listed = first is None or (isinstance(first, Iterable) and not isinstance(first, str | bytes))
    return listed and isinstance(second, Sequence) and not isinstance(second, str) and not hasattr(first, "shape")


def _of_path(path: PathLike, skip_unreadable: bool) -> Any:
    """Samples of a folder of images, or the contents of a table."""
    if Path(path).suffix.lower() not in TABLES:
        if Path(path).suffix and not Path(path).is_dir():
            raise FileError(f"cannot show samples from {str(path)!r}: give a folder of images, or a table such as .csv")
        return Images(path, _unprepared, skip_unreadable=skip_unreadable)
    frame = read_frame(path, "samples")
    return open_texts(path) if list(frame.columns) == ["sample", "text"] else frame


def _of_frame(frame: Any) -> Samples:
    """Texts, or each row written out, with the ids of the index or first column."""
    if tuple(frame.columns) == TOKEN_COLUMNS:
        frame = frame[["sample", "parent", "text"]]  # the places of tokens say nothing to a reader
    body, ids = split_ids(frame, "samples", OptionError, recognize="called")
    names = [str(column) for column in body.columns]
    if not names:
        raise OptionError("a table of samples needs a column besides the ids, such as text")
    rows = body.to_numpy().tolist()
    words = [
        str(row[0])
        if names == ["text"]
        else "; ".join(f"{name}: {value}" for name, value in zip(names, row, strict=True))
        for row in rows
    ]
    return Samples(words.__getitem__, len(words), None if ids is None else [str(i) for i in ids])


def _unprepared(image: Any) -> Any:
    """The image as it is."""
    return image
