"""Samples that are drawn: the first ones that can be read, as texts or as arrays of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.errors import OptionError
from neuronym.inputs.samples import Samples
from neuronym.io.images import open_image
from neuronym.plots.view import NeuronView

__all__ = ["Item", "first_samples"]

Item = str | NDArray[np.float64]  # a text, or an image: (height, width) or (height, width, 3 or 4), from 0 to 1

_SIDE = 400  # pixels of an image that are kept: as many as a third of a column shows in print


def first_samples(samples: Samples, seen: NeuronView, order: Iterable[int], n: int) -> tuple[list[int], list[Item]]:
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
    place_of = samples.places(seen.ids, seen.n_rows)
    places: list[int] = []
    items: list[Any] = []
    for place in order:
        if len(items) == n:
            break
        sample = place_of(int(seen.rows[place]))
        item = _as_item(samples.read(sample), sample)
        if item is not None:  # one that cannot be read and is to be skipped
            places.append(int(place))
            items.append(item)
    if not items:
        raise OptionError("none of the samples can be read")
    texts = sum(isinstance(item, str) for item in items)
    if 0 < texts < len(items):
        raise OptionError("samples are images and texts: give one kind")
    return places, items if texts else _scaled(items)


def _as_item(given: Any, sample: int) -> str | NDArray[Any] | None:
    """A text, or an image as an array of real numbers, (height, width) or (height, width, 3 or 4)."""
    if isinstance(given, tuple) and given:  # of a data set that gives an image and its class
        given = given[0]
    if given is None or isinstance(given, str):
        return given if given is None else str(given)
    if isinstance(given, Path):
        given = open_image(given)
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
