"""The samples of a report: their names, and their images or texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym.errors import OptionError
from neuronym.inputs.samples import Samples
from neuronym.io.images import convert_image
from neuronym.types import SamplesLike

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ShownSamples"]

_LONGEST = 600  # characters of a text or a row
_SIDE, _LARGE = 128, 384  # pixels of the longer side of a thumbnail, and of a larger picture


@dataclass(frozen=True)
class ShownSamples:
    """What the report shows for each sample of the activations: an image, a text, or its name only; made by ``of``.

    Parameters
    ----------
    names : sequence of str
        The names of the samples.
    samples : Samples, optional
        The images or texts; None to show names only.
    place : callable
        Maps a sample of the activations to its position in ``samples``.
    pictured : bool, default False
        Whether ``samples`` are images.
    """

    names: Sequence[str]
    samples: Samples | None = None
    place: Callable[[int], int] = int
    pictured: bool = False

    @classmethod
    def of(cls, given: SamplesLike | None, ids: Sequence[str] | None, n_samples: int) -> ShownSamples:
        """Match the user's samples with those of the activations.

        Parameters
        ----------
        given : SamplesLike or None
            The images or texts; None for neither.
        ids : sequence of str, or None
            The sample ids of the activations.
        n_samples : int
            The number of samples of the activations.

        Raises
        ------
        AlignmentError
            If they are not the samples of the activations.
        OptionError
            If they are neither images nor texts.
        """
        names = [str(i) for i in range(n_samples)] if ids is None else list(ids)
        if given is None:
            return cls(names)
        samples = Samples.of(given, skip_unreadable=True)
        place = samples.places(ids, n_samples)
        samples.refuse_missing(ids)
        sample_names = names if ids is not None or samples.ids is None else samples.ids
        pictured = False
        if samples.n_samples and not hasattr(given, "image"):
            first = samples.read(0)
            pictured = not isinstance(first, str)
            if first is not None and pictured:
                _as_image(first)
        return cls(sample_names, samples, place, pictured or hasattr(given, "image"))

    def text(self, sample: int, longest: int = _LONGEST) -> str | None:
        """Return the text of a sample, or its row of a table in words, cut at a length; None if there is none."""
        if self.samples is None or self.pictured:
            return None
        text = str(self.samples.read(self.place(sample)))
        return text if len(text) <= longest else text[: longest - 1] + "…"

    def pictures(self, sample: int) -> tuple[Image, Image | None] | None:
        """Return a thumbnail of a sample in RGB, and a larger picture if it is clearly larger.

        None if there is no picture, or it cannot be read.
        """
        if self.samples is None or not self.pictured:
            return None
        given = self.samples.read(self.place(sample))
        if given is None:
            return None
        image = _as_image(given)
        image = _enlarged(image) if max(image.size) <= _SIDE // 3 else image
        large = image.copy() if max(image.size) > 1.25 * _SIDE else None
        if large is not None:
            large.thumbnail((_LARGE, _LARGE))
            image = large.copy()
        image.thumbnail((_SIDE, _SIDE))
        return image, large


def _enlarged(image: Image) -> Image:
    """Enlarge a tiny image, such as a digit of 8 × 8 pixels, without smoothing."""
    from PIL.Image import Resampling

    times = _SIDE // max(image.size)
    return image.resize((image.width * times, image.height * times), Resampling.NEAREST)


def _as_image(given: Any) -> Image:
    """Convert a Pillow image, or an array of grey or colour values, to an RGB image."""
    from PIL import Image

    if isinstance(given, Image.Image):
        return convert_image(given)
    array = np.asarray(given)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise OptionError(f"an image must have shape (height, width) or (height, width, 3 or 4), not {array.shape}")
    if array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        scale = 255.0 if low >= 0 and high <= 1 else 255 / high if high > 0 else 0.0
        array = np.clip(array * scale, 0, 255).astype(np.uint8)
    return Image.fromarray(array).convert("RGB")
