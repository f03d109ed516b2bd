"""Samples to draw: the first that can be read, as texts or as arrays of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.errors import OptionError
from neuronym.inputs.samples import Samples
from neuronym.io.images import convert_image, open_image
from neuronym.plots.view import NeuronView
from neuronym.types import AnyArray

__all__ = ["Item", "first_samples"]

Item = str | NDArray[np.float64]  # a text, or an image: (height, width) or (height, width, 3 or 4), from 0 to 1

_SIDE = 400  # pixels: enough for a third of a column in print


def first_samples(samples: Samples, view: NeuronView, order: Iterable[int], n: int) -> tuple[list[int], list[Item]]:
    """Read the first n samples, in an order, that can be read.

    Parameters
    ----------
    samples : Samples
        The samples to read.
    view : NeuronView
        The neuron, which matches them with rows of the activations.
    order : iterable of int
        The samples of the view, in order.
    n : int
        The number of samples.

    Returns
    -------
    places : list of int
        The samples of the view that were read.
    items : list of str or float64 array
        What they are: all texts, or all images with values from 0 to 1.

    Raises
    ------
    AlignmentError
        If there is not one sample for each row of the activations.
    UnknownNameError
        If there is no sample with an id of the activations.
    OptionError
        If a sample is neither an image nor a text, both are mixed, or none can be read.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise OptionError(f"n must be a whole number of at least 1, not {n!r}")
    place_of = samples.places(view.ids, view.n_rows)
    places: list[int] = []
    items: list[Any] = []
    for place in order:
        if len(items) == n:
            break
        sample = place_of(int(view.rows[place]))
        item = _as_item(samples.read(sample), sample)
        if item is not None:  # None is a sample that cannot be read and is skipped
            places.append(int(place))
            items.append(item)
    if not items:
        raise OptionError("none of the samples can be read")
    texts = sum(isinstance(item, str) for item in items)
    if 0 < texts < len(items):
        raise OptionError("samples mix images and texts: give one kind")
    return places, items if texts else _scaled(items)


def _as_item(given: Any, sample: int) -> str | AnyArray | None:
    """Return a text, or an image as an array of shape (height, width) or (height, width, 3 or 4)."""
    if isinstance(given, tuple) and given:  # an image and its class, from a Dataset
        given = given[0]
    if given is None or isinstance(given, str):
        return given if given is None else str(given)
    if isinstance(given, Path):
        given = open_image(given)
    if hasattr(given, "convert") and hasattr(given, "thumbnail"):  # a Pillow image
        given = given.copy() if given.mode in ("L", "RGB", "RGBA") else convert_image(given)
        given.thumbnail((_SIDE, _SIDE))
    tensor = type(given).__module__.split(".")[0] == "torch"
    if tensor:
        given = given.detach().cpu()
        given = given.float() if str(given.dtype) == "torch.bfloat16" else given  # numpy has no such type
    try:
        array = np.asarray(given)
    except ValueError:  # rows of unequal lengths
        array = np.empty(0)
    if array.ndim == 3:
        channels_first = array.shape[0] in (1, 3, 4)
        if channels_first and (tensor or array.shape[2] not in (1, 3, 4)):
            array = np.moveaxis(array, 0, 2)
        array = array[:, :, 0] if array.shape[2] == 1 else array
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        shape = f" of shape {array.shape}" if array.size and array.dtype.kind in "biuf" else ""
        raise OptionError(
            f"sample {sample} is {type(given).__name__}{shape}: an image must have shape (height, width), "
            "(height, width, 3 or 4) or (3, height, width), and a text must be a str"
        )
    if array.dtype.kind not in "buif" or not np.isfinite(array).all():
        raise OptionError(f"the image of sample {sample} must contain finite real numbers")
    return array


def _scaled(images: Sequence[AnyArray]) -> list[Item]:
    """Scale images to values from 0 to 1: uint8 by 255, others jointly from their smallest to their largest value.

    Images whose values all lie between 0 and 1 already are left as they are.
    """
    others = [image for image in images if image.dtype != np.uint8]
    low = min((float(image.min()) for image in others), default=0.0)
    high = max((float(image.max()) for image in others), default=1.0)
    low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)

    def scaled(image: AnyArray) -> NDArray[np.float64]:
        whole = image.astype(np.float64)
        return whole / 255 if image.dtype == np.uint8 else (whole - low) / ((high - low) or 1)

    return [scaled(image) for image in images]
