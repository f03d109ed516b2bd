"""The samples of a report: names, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym._util.files import reading
from neuronym.data.ids import split_ids
from neuronym.errors import FileError, OptionError
from neuronym.io.images import Images
from neuronym.io.texts import open_texts

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Samples", "as_samples"]

_LONGEST = 600  # signs of a text or a row
_SIDE = 112  # of a thumbnail, in pixels


@dataclass(frozen=True)
class Samples:
    """What stands for each sample of the activations: an image, a text, or neither.

    Parameters
    ----------
    names : one per sample
    images : images of Pillow, by their places in ``rows``, or None
    texts : one per place in ``rows``, or None
    rows : the place of each sample in ``images`` or ``texts``
    """

    names: Sequence[str]
    images: Any = None
    texts: Sequence[str] | None = None
    rows: Sequence[int] | None = None

    def text(self, sample: int) -> str | None:
        """The text, or the row of a table in words."""
        if self.texts is None:
            return None
        text = self.texts[sample if self.rows is None else self.rows[sample]]
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    def thumbnail(self, sample: int) -> Image | None:
        """A small image in RGB; None where there is none, or it cannot be read."""
        if self.images is None:
            return None
        place = sample if self.rows is None else self.rows[sample]
        ours = isinstance(self.images, Images)
        image = self.images.image(place) if ours else _as_image(self.images[place])
        if image is not None:
            image = _enlarged(image) if max(image.size) <= _SIDE // 3 else image
            image.thumbnail((_SIDE, _SIDE))
        return image


def _as_it_is(image: Any) -> Any:
    return image


def _enlarged(image: Image) -> Image:
    """A tiny image, such as a digit of 8 × 8, with its pixels kept sharp."""
    from PIL.Image import Resampling

    times = _SIDE // max(image.size)
    return image.resize((image.width * times, image.height * times), Resampling.NEAREST)


def _as_image(given: Any) -> Image:
    """An image of Pillow, from one, or from an array of grey or colour values."""
    from PIL import Image

    if isinstance(given, Image.Image):
        return given.convert("RGB")
    array = np.asarray(given)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise OptionError(f"an image must be (height, width) or (height, width, 3 or 4), not {array.shape}")
    if array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        scale = 255.0 if low >= 0 and high <= 1 else 255 / high if high > 0 else 0.0
        array = np.clip(array * scale, 0, 255).astype(np.uint8)
    return Image.fromarray(array).convert("RGB")


def as_samples(given: Any, ids: Sequence[str] | None, n_samples: int) -> Samples:
    """Samples from a folder of images, ``Images``, arrays of images, texts, or a table.

    Raises
    ------
    OptionError
        If they are of other samples than the activations.
    """
    names = [str(i) for i in range(n_samples)] if ids is None else list(ids)
    if given is None:
        return Samples(names)
    if isinstance(given, str | Path):
        given = Images(given, _as_it_is, skip_unreadable=True) if Path(given).is_dir() else _table(given)
    if isinstance(given, Images):
        rows = _matched(given.sample_ids, ids, n_samples, "images")
        return Samples(given.sample_ids if ids is None else names, images=given, rows=rows)
    if isinstance(given, tuple) and len(given) == 2 and not isinstance(given[0], str):  # ids and texts
        known, texts = given
        return Samples(names, texts=texts, rows=_matched(known, ids, n_samples, "texts"))
    if hasattr(given, "columns"):
        known, texts = _rows(given)
        return Samples(names, texts=texts, rows=_matched(known, ids, n_samples, "rows"))
    if hasattr(given, "iloc"):  # a Series
        given = dict(zip(map(str, given.index), given.tolist(), strict=True)) if ids is not None else given.tolist()
    if isinstance(given, Mapping):
        return Samples(names, texts=list(given.values()), rows=_matched(list(given), ids, n_samples, "texts"))
    if isinstance(given, str) or not hasattr(given, "__len__") or not hasattr(given, "__getitem__"):
        raise OptionError(f"samples must be images, texts, a folder or a table, not {type(given).__name__}")
    if len(given) != n_samples:
        raise OptionError(f"{len(given)} samples are given for {n_samples} in the activations: one each is needed")
    if len(given) and isinstance(given[0], str):
        return Samples(names, texts=list(given))
    if len(given):
        _as_image(given[0])
    return Samples(names, images=given)


def _table(path: str | Path) -> Any:
    """The ids and texts of a table of texts, or a DataFrame."""
    import pandas as pd
    import pyarrow as pa

    if Path(path).suffix not in (".csv", ".parquet"):
        raise FileError(f"cannot show samples from {str(path)!r}: give a folder of images, or a .csv or .parquet")
    with reading(path, "samples", ValueError, pa.ArrowException):
        parquet = Path(path).suffix == ".parquet"
        frame = pd.read_parquet(path) if parquet else pd.read_csv(path, dtype=str, keep_default_na=False)
    if list(frame.columns) == ["sample", "text"]:
        return open_texts(path)
    return frame


def _rows(frame: Any) -> tuple[list[str] | None, list[str]]:
    """The ids of a DataFrame, and each row in words."""
    body, ids = split_ids(frame)
    names = [str(column) for column in body.columns]
    texts = ["; ".join(f"{name}: {value}" for name, value in zip(names, row, strict=True)) for row in body.to_numpy()]
    return None if ids is None else [str(i) for i in ids], texts


def _matched(known: Sequence[str] | None, ids: Sequence[str] | None, n_samples: int, what: str) -> list[int] | None:
    """The place among what is given of each sample of the activations."""
    if known is None or ids is None:
        n = n_samples if known is None else len(known)
        if n != n_samples:
            raise OptionError(f"{n} {what} are given for {n_samples} samples: one each is needed, or ids on both sides")
        return None
    place = {name: row for row, name in enumerate(known)}
    lost = [i for i in ids if i not in place]
    if lost:
        raise OptionError(
            f"{len(lost)} of {len(ids)} samples are not among the {what} that are given, such as {lost[0]!r}: give the "
            "folder or table that the activations come from"
        )
    return [place[i] for i in ids]
