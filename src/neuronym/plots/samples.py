"""Samples to be looked at: images and texts, found by their ids or by the rows of activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.data.ids import counted_ids, split_ids
from neuronym.errors import AlignmentError, OptionError, counted, no_such
from neuronym.inputs.alignment import is_frame
from neuronym.io.images import Images, opened_image
from neuronym.io.texts import open_texts
from neuronym.plots.view import Seen

__all__ = ["Item", "Samples"]

Item = str | NDArray[np.float64]  # a text, or an image: (height, width) or (height, width, 3 or 4), from 0 to 1

_SIDE = 400  # pixels of an image that are kept: as many as a third of a column shows in print


@dataclass(frozen=True)
class Samples:
    """Samples by their place, or by their id where they have ids; one is read when it is asked for."""

    read: Callable[[int], Any]
    n_samples: int
    ids: Sequence[str] | None = None

    @classmethod
    def of(cls, given: Any) -> Samples:
        """Samples from ``Images`` and its like, a folder, a table of texts, a mapping from id, or a list or array."""
        if isinstance(given, str | Path):
            if Path(given).suffix.lower() in (".csv", ".parquet"):
                ids, texts = open_texts(given)
                return cls(texts.__getitem__, len(texts), ids)
            given = Images(given, _unprepared)
        if hasattr(given, "image") and hasattr(given, "sample_ids"):
            return cls(given.image, len(given.sample_ids), given.sample_ids)
        if isinstance(given, Mapping):
            keys = list(given)
            return cls(lambda place: given[keys[place]], len(keys), [str(key) for key in keys])
        if is_frame(given):
            body, named = split_ids(given)
            if "text" not in body.columns:
                raise OptionError(f"a table of samples needs a column text; it has {', '.join(map(str, body.columns))}")
            texts = [str(text) for text in body["text"]]
            return cls(texts.__getitem__, len(texts), None if named is None else [str(i) for i in named])
        if hasattr(given, "iloc"):  # a Series, which [] would not read by place
            given = list(given)
        if not hasattr(given, "__getitem__") or not hasattr(given, "__len__"):
            raise OptionError(
                "samples must be Images, a folder, a table of texts, or a list or array of images or texts, "
                f"not {type(given).__name__}"
            )
        return cls(given.__getitem__, len(given))

    def first(self, seen: Seen, order: Iterable[int], n: int) -> tuple[list[int], list[Item]]:
        """The first n samples of those seen, in the order given, that can be read; and what they are.

        Raises
        ------
        AlignmentError
            If there is not one for each row of the activations.
        UnknownNameError
            If one has no sample of its id.
        OptionError
            If one is neither an image nor a text.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise OptionError(f"n must be a whole number of at least 1, not {n!r}")
        place_of = self._places(seen)
        places: list[int] = []
        items: list[Any] = []
        for place in order:
            if len(items) == n:
                break
            sample = place_of(int(seen.rows[place]))
            item = _as_item(self.read(sample), sample)
            if item is not None:  # one that cannot be read and is to be skipped
                places.append(int(place))
                items.append(item)
        if not items:
            raise OptionError("none of the samples can be read")
        texts = sum(isinstance(item, str) for item in items)
        if 0 < texts < len(items):
            raise OptionError("samples are images and texts: give one kind")
        return places, items if texts else _scaled(items)

    def _places(self, seen: Seen) -> Callable[[int], int]:
        """What gives the place of a sample from the row of the activations."""
        ours = None if seen.ids == counted_ids(seen.n_rows) and not _all_in(seen.ids, self.ids) else seen.ids
        if self.ids is not None and ours is not None:
            known, ids = {name: place for place, name in enumerate(self.ids)}, self.ids

            def by_id(row: int) -> int:
                if ours[row] not in known:
                    raise no_such("sample", ours[row], ids)
                return known[ours[row]]

            return by_id
        if self.n_samples != seen.n_rows:
            raise AlignmentError(
                f"{counted(self.n_samples, 'sample')} to show but activations have {counted(seen.n_rows, 'row')}: "
                "without ids on both sides, one per row is needed, in the same order"
            )
        return lambda row: row


def _all_in(ours: Sequence[str] | None, theirs: Sequence[str] | None) -> bool:
    return ours is not None and theirs is not None and set(ours) <= set(theirs)


def _unprepared(image: Any) -> Any:
    return image


def _as_item(given: Any, sample: int) -> str | NDArray[Any] | None:
    """A text, or an image as an array of real numbers, (height, width) or (height, width, 3 or 4)."""
    if isinstance(given, tuple) and given:  # of a data set that gives an image and its class
        given = given[0]
    if given is None or isinstance(given, str):
        return given if given is None else str(given)
    if isinstance(given, Path):
        given = opened_image(given)
    if hasattr(given, "convert") and hasattr(given, "thumbnail"):  # of Pillow
        given = given.copy() if given.mode in ("L", "RGB", "RGBA") else given.convert("RGB")
        given.thumbnail((_SIDE, _SIDE))
    tensor = type(given).__module__.split(".")[0] == "torch"
    if tensor:
        given = given.detach().cpu()
        given = given.float() if str(given.dtype) == "torch.bfloat16" else given  # numpy has no such type
    try:
        array = np.asarray(given)
    except ValueError:  # rows of several lengths
        array = np.empty(0)
    if array.ndim == 3:
        first = array.shape[0] in (1, 3, 4)
        if first and (tensor or array.shape[2] not in (1, 3, 4)):
            array = np.moveaxis(array, 0, 2)
        array = array[:, :, 0] if array.shape[2] == 1 else array
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        shaped = f" of shape {array.shape}" if array.size and array.dtype.kind in "biuf" else ""
        raise OptionError(
            f"sample {sample} is {type(given).__name__}{shaped}: an image must have shape (height, width), "
            "(height, width, 3 or 4) or (3, height, width), and a text must be a str"
        )
    if array.dtype.kind not in "buif" or not np.isfinite(array).all():
        raise OptionError(f"the image of sample {sample} must hold finite real numbers")
    return array


def _scaled(images: Sequence[NDArray[Any]]) -> list[Item]:
    """Images with values from 0 to 1: uint8 by 255, others from the least to the greatest of those shown.

    What lies between 0 and 1 already stays as it is.
    """
    others = [image for image in images if image.dtype != np.uint8]
    low = min((float(image.min()) for image in others), default=0.0)
    high = max((float(image.max()) for image in others), default=1.0)
    low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)

    def scaled(image: NDArray[Any]) -> NDArray[np.float64]:
        whole = image.astype(np.float64)
        return whole / 255 if image.dtype == np.uint8 else (whole - low) / ((high - low) or 1)

    return [scaled(image) for image in images]
