"""Labels that are held as compact arrays or packed rows, each made when it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from neuronym.labels.label import Label
from neuronym.types import Name

__all__ = ["Block", "LazyLabels", "SomeLabels", "take"]

#: A sequence of at most so many labels keeps those that it has made, about 5 KiB each; a longer one makes them anew.
_KEPT = 2**16


class Block(Protocol):
    """Consecutive labels, held compactly."""

    def __len__(self) -> int: ...

    def neurons(self) -> Sequence[Name]:
        """Return the neuron of each label."""

    def layers(self) -> Sequence[str | None]:
        """Return the layer of each label."""

    def found(self) -> NDArray[np.bool_]:
        """Return which labels have a formula."""

    def filled(self) -> set[str] | None:
        """Return the columns that any label fills; None if that cannot be told without making the labels."""

    def labels(self, places: Sequence[int]) -> Iterable[Label]:
        """Make the labels at some places."""


class LazyLabels(Sequence[Label]):
    """Labels that are made when asked for; equal ones each time, and the same ones if there are not too many.

    Parameters
    ----------
    blocks : iterable of Block
        The blocks of labels, in order.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = [block for block in blocks if len(block)]
        self._starts = list(accumulate(map(len, self._blocks), initial=0))
        self._made: dict[int, Label] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, place: int) -> Label: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Label]: ...

    def __getitem__(self, place: int | slice) -> Label | Sequence[Label]:
        places = range(len(self))[place]
        return next(self.at([places])) if isinstance(places, int) else SomeLabels(self, places)

    def __iter__(self) -> Iterator[Label]:
        return self.at(range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": {}}

    def at(self, places: Iterable[int]) -> Iterator[Label]:
        """Yield the labels at some places, block by block.

        Parameters
        ----------
        places : iterable of int
            The places, in any order.

        Yields
        ------
        Label
            The label at each place.
        """
        keep = len(self) <= _KEPT
        for number, group in groupby(places, lambda place: bisect_right(self._starts, place) - 1):
            asked, start = list(group), self._starts[number]
            if not keep:
                yield from self._blocks[number].labels([place - start for place in asked])
                continue
            missing = [place for place in asked if place not in self._made]
            if missing:
                made = self._blocks[number].labels([place - start for place in missing])
                for place, label in zip(missing, made, strict=True):
                    self._made.setdefault(place, label)
            yield from (self._made[place] for place in asked)

    def neurons(self) -> list[Name]:
        """Return the neuron of each label, without making the labels."""
        return [neuron for block in self._blocks for neuron in block.neurons()]

    def layers(self) -> list[str | None]:
        """Return the layer of each label, without making the labels."""
        return [layer for block in self._blocks for layer in block.layers()]

    def found(self) -> NDArray[np.bool_]:
        """Return which labels have a formula, without making the labels."""
        return np.concatenate([np.zeros(0, np.bool_), *(block.found() for block in self._blocks)])

    def filled(self) -> set[str] | None:
        """Return the columns that any label fills; None if that cannot be told without making the labels."""
        filled: set[str] = set()
        for block in self._blocks:
            of_block = block.filled()
            if of_block is None:
                return None
            filled |= of_block
        return filled


class SomeLabels(Sequence[Label]):
    """Some of the labels of a lazy sequence, in any order.

    Parameters
    ----------
    base : LazyLabels
        The sequence.
    places : sequence of int
        Their places in it.
    """

    def __init__(self, base: LazyLabels, places: Sequence[int]) -> None:
        self.base = base
        self.places: NDArray[np.intp] = np.asarray(places, np.intp)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> Label: ...

    @overload
    def __getitem__(self, place: slice) -> SomeLabels: ...

    def __getitem__(self, place: int | slice) -> Label | SomeLabels:
        if isinstance(place, slice):
            return SomeLabels(self.base, self.places[place])  # type: ignore[arg-type]
        return self.base[int(self.places[place])]

    def __iter__(self) -> Iterator[Label]:
        return self.base.at(self.places.tolist())

    def neurons(self) -> list[Name]:
        """Return the neuron of each label, without making the labels."""
        listed = self.base.neurons()
        return [listed[place] for place in self.places.tolist()]

    def layers(self) -> list[str | None]:
        """Return the layer of each label, without making the labels."""
        listed = self.base.layers()
        return [listed[place] for place in self.places.tolist()]

    def found(self) -> NDArray[np.bool_]:
        """Return which labels have a formula, without making the labels."""
        return self.base.found()[self.places]


def take(labels: Sequence[Label], places: Sequence[int]) -> Sequence[Label]:
    """Take some of the labels, without making them if they are not made yet.

    Parameters
    ----------
    labels : sequence of Label
        The labels.
    places : sequence of int
        Their places.

    Returns
    -------
    sequence of Label
        The labels at these places, in this order.
    """
    if isinstance(labels, LazyLabels):
        return SomeLabels(labels, places)
    if isinstance(labels, SomeLabels):
        return SomeLabels(labels.base, labels.places[np.asarray(places, np.intp)])  # type: ignore[arg-type]
    return tuple(labels[place] for place in places)
