"""Which part of a photo a network sees, found by giving its preprocessing photos whose pixels say where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["WHOLE", "seen_part"]

#: A network that sees whole photos, squeezed into its input.
WHOLE = "whole"

_WIDTH, _HEIGHT = 640, 480  # of the photos that are tried
_CLOSE = 0.01  # of a side
_SCALES = (1.0, 0.93, 0.87, 0.81, 0.76)  # of ramps: one alone may rise by a whole number of greys per pixel


def seen_part(prepare: Callable[[Any], Any]) -> str | None:
    """Find out which part of photos a preprocessing keeps.

    It is given a black and a white photo, and two in which grey rises from left to right and from top to bottom: what
    becomes of these says where the edges of its output lie, whatever its channels are normalised by.

    Parameters
    ----------
    prepare : callable
        Converts a Pillow image in RGB to a tensor of shape (C, H, W).

    Returns
    -------
    str or None
        ``"whole"``; or the side of a central square as a share of the shorter side of the photo, such as ``"0.875"``;
        or None for anything else, such as padding, or what is no such tensor.
    """
    across = np.broadcast_to((np.arange(_WIDTH) + 0.5) / _WIDTH, (_HEIGHT, _WIDTH))
    down = np.broadcast_to(((np.arange(_HEIGHT) + 0.5) / _HEIGHT)[:, np.newaxis], (_HEIGHT, _WIDTH))
    levels = [np.zeros((_HEIGHT, _WIDTH)), np.ones((_HEIGHT, _WIDTH))]
    levels += [scale * ramp for ramp in (across, down) for scale in _SCALES]
    outputs = [one for level in levels if (one := _output(prepare, level)) is not None]
    if len(outputs) < len(levels) or len({one.shape for one in outputs}) > 1:
        return None
    black, white, *ramps = outputs
    span = white - black
    if not np.abs(span).min() > 0:
        return None
    found = [(one - black) / span for one in ramps]
    across, down = (
        np.mean([one / scale for one, scale in zip(part, _SCALES, strict=True)], axis=0)
        for part in (found[: len(_SCALES)], found[len(_SCALES) :])
    )
    left, width = _line(across.mean(axis=0))
    top, height = _line(down.mean(axis=1))
    if max(abs(left), abs(top), abs(width - 1), abs(height - 1)) < _CLOSE:
        return WHOLE
    margin = round(outputs[0].shape[0] / height) if height > 0 else 0  # the shorter side, before it was cropped
    share = outputs[0].shape[0] / margin if margin else 0.0
    centred = max(abs(left + width / 2 - 0.5), abs(top + height / 2 - 0.5)) < _CLOSE
    square = abs(width * _WIDTH / _HEIGHT - height) < _CLOSE
    share = share if abs(share - height) < _CLOSE / 2 else height
    return f"{min(share, 1.0):.6g}" if centred and square and 0 < height < 1 + _CLOSE else None


def _output(prepare: Callable[[Any], Any], level: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The first channel that a grey photo becomes; None if it becomes something else."""
    import torch
    from PIL import Image

    # Rounded up or down at random, so that the mean of a row or column is right.
    grey = np.floor(255 * level + np.random.default_rng(0).random(level.shape) * (255 * level % 1 > 0))
    photo = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    try:
        found = prepare(photo)
    except Exception:  # code of the user's, which fails on photos of the user's too, and is named then
        return None
    if not isinstance(found, torch.Tensor) or found.ndim != 3 or min(found.shape[1:]) < 8:
        return None
    values = found[0].detach().cpu().double().numpy()
    return values if np.isfinite(values).all() else None


def _line(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where along a side of the photo the first edge of the output lies, and how far the last is from it."""
    n = len(values)
    inner = slice(n // 10, n - n // 10)
    slope, start = np.polyfit((np.arange(n)[inner] + 0.5) / n, values[inner], 1)
    if np.abs(start + slope * (np.arange(n)[inner] + 0.5) / n - values[inner]).max() > _CLOSE:
        return np.nan, np.nan
    return float(start), float(slope)
