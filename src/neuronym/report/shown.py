"""The samples of a report: names, and what they look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym.errors import OptionError
from neuronym.inputs.samples import Samples

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ShownSamples"]

_LONGEST = 600  # signs of a text or a row
_SIDE = 112  # of a thumbnail, in pixels


@dataclass(frozen=True)
class ShownSamples:
    """What stands for each sample of the activations: an image, a text, or neither; made by ``of``.

    Parameters
    ----------
    names : one per sample
    samples : None where there are none to look at
    place : gives the place among these of a sample
    pictured : whether they are images, and not texts
    """

    names: Sequence[str]
    samples: Samples | None = None
    place: Callable[[int], int] = int
    pictured: bool = False

    @classmethod
    def of(cls, given: Any, ids: Sequence[str] | None, n_samples: int) -> ShownSamples:
        """What a user gives, matched with the samples of the activations.

        Raises
        ------
        AlignmentError
            If they are of other samples than the activations.
        OptionError
            If they are neither images nor texts.
        """
        names = [str(i) for i in range(n_samples)] if ids is None else list(ids)
        if given is None:
            return cls(names)
        samples = Samples.of(given, skip_unreadable=True)
        place = samples.places(ids, n_samples)
        samples.refuse_missing(ids)
        named = names if ids is not None or samples.ids is None else samples.ids
        pictured = False
        if samples.n_samples and not hasattr(given, "image"):
            first = samples.read(0)
            pictured = not isinstance(first, str)
            if first is not None and pictured:
                _as_image(first)
        return cls(named, samples, place, pictured or hasattr(given, "image"))

    def text(self, sample: int) -> str | None:
        """The text, or the row of a table in words."""
        if self.samples is None or self.pictured:
            return None
        text = str(self.samples.read(self.place(sample)))
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    def thumbnail(self, sample: int) -> Image | None:
        """A small image in RGB; None where there is none, or it cannot be read."""
        if self.samples is None or not self.pictured:
            return None
        given = self.samples.read(self.place(sample))
        if given is None:
            return None
        image = _as_image(given)
        image = _enlarged(image) if max(image.size) <= _SIDE // 3 else image
        image.thumbnail((_SIDE, _SIDE))
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
