"""Pixels of photos, counted by the concepts that they show and by the neurons whose maps exceed a threshold there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import some, warn
from neuronym.data.maps import Maps
from neuronym.data.masks import Masks
from neuronym.data.sparse import not_finite
from neuronym.errors import ActivationsError, OptionError
from neuronym.search.scores import quantile_place

__all__ = ["Counted", "View", "count_photos", "thresholds_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

_ALIKE = 1.1  # ratios of height to width up to this factor apart are of one shape
_BLOCK_BYTES = 64 * 2**20  # of maps that a task reads at once


@dataclass(frozen=True)
class View:
    """Which part of a photo a network saw.

    Parameters
    ----------
    crop : float or None, default None
        The side of the central square that the network saw, as a share of the photo's shorter side: 0.875 if the
        shorter side is resized to 256 and the central 224 × 224 are cropped. None if it saw the whole photo, squeezed
        into its input.
    """

    crop: float | None = None

    @classmethod
    def of(cls, crop: float | str | None, recorded: Iterable[str | None]) -> View:
        """Take what the user says, or else what is recorded with the maps.

        Parameters
        ----------
        crop : float, "whole" or None
            The side of the central square that the network saw, or the whole photo.
        recorded : iterable of str or None
            What is recorded with the maps of each layer.

        Raises
        ------
        OptionError
            If it is not between 0 and 1, or layers differ.
        """
        share = isinstance(crop, int | float | np.number) and not isinstance(crop, bool) and 0 < crop <= 1
        if crop is not None and crop != "whole" and not share:
            raise OptionError(
                "crop must be 'whole', or a share above 0 and at most 1 of the photo's shorter side, such as 0.875, "
                f"not {crop!r}"
            )
        known = {one for one in recorded if one is not None}
        if crop is None and len(known) > 1:
            raise OptionError(
                f"the layers were collected from different parts of the photos ({some(sorted(known))}): dissect one at "
                "a time"
            )
        said = crop if crop is not None else next(iter(known), "whole")
        found = cls(None if said == "whole" else float(said))
        if crop is not None and any(cls(None if one == "whole" else float(one)) != found for one in known):
            warn(
                f"crop={crop!r}, but by its preprocessing the network saw {_spoken(next(iter(known)))}: leave crop out "
                "to use that"
            )
        return found

    def __str__(self) -> str:
        return _spoken("whole" if self.crop is None else f"{self.crop:g}")

    def along(self, length: int, shorter: int, n_positions: int) -> tuple[slice, Codes, Floats]:
        """Place the pixels along one side of a photo on a map.

        Parameters
        ----------
        length, shorter : int
            The number of pixels along this side, and along the shorter one.
        n_positions : int
            The number of positions of the map along this side.

        Returns
        -------
        slice
            The pixels that are seen: those whose centre is.
        int32 array of shape (n_seen,)
            The position of the map before each pixel.
        float64 array of shape (n_seen,)
            How far each pixel is on its way to the next position, from 0 to 1.

        Raises
        ------
        OptionError
            If no pixel is seen.
        """
        return _along(self.crop, length, shorter, n_positions)


@lru_cache(maxsize=1024)
def _along(crop: float | None, length: int, shorter: int, n_positions: int) -> tuple[slice, Codes, Floats]:
    """What ``View.along`` returns, the same for all photos of a size."""
    seen = float(length) if crop is None else crop * shorter
    first = (length - seen) / 2
    centres = np.arange(length) + 0.5
    inside = np.flatnonzero((centres > first) & (centres < first + seen))
    if not len(inside):
        raise OptionError(
            f"crop={crop:g} leaves no pixel of a photo whose shorter side has {shorter}: give a larger share"
        )
    places = np.clip((centres[inside] - first) * (n_positions / seen) - 0.5, 0, n_positions - 1)
    before = np.minimum(places.astype(np.int32), n_positions - 1)
    return slice(int(inside[0]), int(inside[-1]) + 1), before, places - before


def _spoken(view: str) -> str:
    """Say which part of photos was seen."""
    return "whole photos" if view == "whole" else f"the central square of photos, {view} of their shorter side"


@dataclass
class _Photo:
    """The pixels of a photo as runs of one region each, row by row."""

    row_ptr: Codes
    starts: Codes
    regions: Codes
    shape: tuple[int, int]


@dataclass
class Counted:
    """Pixels, counted by the set of concepts that they show.

    Parameters
    ----------
    sets : dict from (bool, tuple of int) to int
        The number of each set of concepts; apart for photos that are held out, where the first is True.
    n_pixels : int64 array of shape (n_sets,)
        How many pixels show exactly this set.
    above : list of int64 array of shape (n_neurons, n_sets)
        For each layer, how many of them exceed the threshold of each neuron.
    void : int
        How many pixels are left out.
    shown : list of list of int
        The concepts that each photo shows.
    reshaped : int
        How many photos are of another shape than the maps, so that these are stretched if laid over the whole photo.
    """

    sets: dict[tuple[bool, tuple[int, ...]], int] = field(default_factory=dict)
    n_pixels: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    above: list[Ints] = field(default_factory=list)
    void: int = 0
    shown: list[list[int]] = field(default_factory=list)
    reshaped: int = 0

    def add(self, other: Counted) -> None:
        """Add what was counted on other photos."""
        for one in other.sets:
            self.sets.setdefault(one, len(self.sets))
        places = np.array([self.sets[one] for one in other.sets], np.intp)
        self.n_pixels = _wider(self.n_pixels, len(self.sets))
        self.n_pixels[places] += other.n_pixels
        if not self.above:
            self.above = [np.zeros((len(of_layer), 0), np.int64) for of_layer in other.above]
        for k, of_layer in enumerate(other.above):
            self.above[k] = _wider(self.above[k], len(self.sets))
            self.above[k][:, places] += of_layer
        self.void += other.void
        self.shown += other.shown
        self.reshaped += other.reshaped


def _wider(counts: Ints, width: int) -> Ints:
    """Add columns of zeros."""
    more = width - counts.shape[-1]
    return np.concatenate([counts, np.zeros((*counts.shape[:-1], more), np.int64)], axis=-1)


def thresholds_of(
    maps: Maps, neurons: NDArray[np.intp], rows: Ints, quantile: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Find the quantile of the activations of each neuron at all positions of some samples.

    Parameters
    ----------
    maps : Maps
        The maps.
    neurons : int array of shape (n_chosen,)
        The places of the neurons.
    rows : int64 array of shape (n_rows,)
        The samples.
    quantile : float
        The quantile: the least activation that this share of the positions does not exceed.

    Returns
    -------
    thresholds : float64 array of shape (n_chosen,)
        The quantiles.
    constant : bool array of shape (n_chosen,)
        Whether the activations are all equal.

    Raises
    ------
    ActivationsError
        If activations are NaN or infinite.
    """
    # A copy, also where the block is a view of the user's maps, since it is put in order.
    values = np.array(maps.block(neurons, rows).transpose(1, 0, 2), order="C").reshape(len(neurons), -1)
    _check_finite(maps, neurons, values.T)
    place = quantile_place(values.shape[1], quantile)
    constant = values.min(axis=1) == values.max(axis=1)
    values.partition(place, axis=1)
    return values[:, place].astype(np.float64), np.asarray(constant)


def _check_finite(maps: Maps, neurons: NDArray[np.intp], values: NDArray[Any]) -> None:
    """Raise an error that names the neurons with NaN or infinity in (n_values, n_neurons) values."""
    bad = not_finite(values)
    if bad.any():
        names = [maps.names[neurons[j]] for j in np.flatnonzero(bad)]
        raise ActivationsError(
            f"maps hold NaN or infinity in {len(names)} neuron{'s' * (len(names) > 1)} ({some(names)}): every "
            "activation must be finite, so drop these neurons or samples"
        )


def count_photos(
    layers: Sequence[tuple[Maps, NDArray[np.intp], Floats]],
    masks: Masks,
    rows: Ints,
    of_masks: Ints,
    held: NDArray[np.bool_],
    view: View,
) -> Counted:
    """Count the pixels of some photos.

    Parameters
    ----------
    layers : sequence of (Maps, int array of shape (n_neurons,), float64 array of shape (n_neurons,))
        For each layer, its maps, the places of the neurons and their thresholds.
    masks : Masks
        Which concepts each pixel shows.
    rows, of_masks : int64 arrays of shape (n_photos,)
        The rows of the maps, and the samples of the masks that they belong to.
    held : bool array of shape (n_photos,)
        Whether each photo is held out.
    view : View
        Which part of the photos the network saw.

    Returns
    -------
    Counted
        The counts, of the numbers of sets in order of appearance.
    """
    from neuronym.analysis.dissect.pixel_kernels import count_above

    counted = Counted()
    photos = [_drawn(masks, int(of_masks[k]), view, bool(held[k]), counted) for k in range(len(rows))]
    n_sets = len(counted.sets)
    shapes = [maps.height / maps.width for maps, _, _ in layers]
    counted.reshaped = sum(
        any(not 1 / _ALIKE < photo.shape[0] / photo.shape[1] / shape < _ALIKE for shape in shapes) for photo in photos
    )
    for maps, neurons, thresholds in layers:
        above = np.zeros((len(neurons), n_sets), np.int64)
        line = np.empty(maps.width + 1)
        order = np.arange(len(neurons))
        for chosen in maps.blocks(order, len(rows), _BLOCK_BYTES):
            block = maps.block(neurons[chosen], rows)
            if held.any():  # the others were checked when thresholds were found
                _check_finite(maps, neurons[chosen], block[held].transpose(0, 2, 1).reshape(-1, len(chosen)))
            counts = np.zeros((len(chosen), n_sets), np.int64)
            for k, photo in enumerate(photos):
                height, width = photo.shape
                _, ys, down = view.along(height, min(photo.shape), maps.height)
                _, xs, right = view.along(width, min(photo.shape), maps.width)
                values = np.ascontiguousarray(block[k], np.float64)
                count_above(
                    values, thresholds[chosen], maps.width, ys, down, xs, right, photo.row_ptr, photo.starts,
                    photo.regions, line, counts,
                )  # fmt: skip
            above[chosen] = counts
        counted.above.append(above)
    return counted


def _drawn(masks: Masks, sample: int, view: View, held: bool, counted: Counted) -> _Photo:
    """Draw the masks of a photo, and count the pixels of its regions that the network saw."""
    drawn = masks.regions(sample)
    size = drawn.numbers.shape
    rows, columns = (view.along(length, min(size), 1)[0] for length in size)
    numbers = drawn.numbers[rows, columns]
    n_pixels = np.bincount(numbers.ravel() + 1, minlength=len(drawn.concepts) + 1)
    counted.void += int(n_pixels[0])
    codes = np.full(len(drawn.concepts) + 1, -1, np.int32)
    shown: set[int] = set()
    for region in np.flatnonzero(n_pixels[1:]):
        code = counted.sets.setdefault((held, drawn.concepts[region]), len(counted.sets))
        if code == len(counted.n_pixels):
            counted.n_pixels = np.append(counted.n_pixels, 0)
        counted.n_pixels[code] += n_pixels[1 + region]
        codes[1 + region] = code
        shown.update(drawn.concepts[region])
    counted.shown.append(sorted(shown))
    first = np.ones(numbers.shape, np.bool_)
    first[:, 1:] = numbers[:, 1:] != numbers[:, :-1]
    ys, xs = np.nonzero(first)
    row_ptr = np.searchsorted(ys, np.arange(len(numbers) + 1)).astype(np.int32)
    return _Photo(row_ptr, xs.astype(np.int32), codes[1 + numbers[ys, xs]], size)
