"""Names of the columns of activation maps, and the text that says that activations are maps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import overload

from neuronym.types import Name

__all__ = ["Grid", "GridNames", "grid_of", "view_of", "with_grid"]

#: The numbers of rows and of columns of a map.
Grid = tuple[int, int]

_GRID = re.compile(r"[A-Z]+=(?P<rows>[1-9]\d{0,8})x(?P<columns>[1-9]\d{0,8})( of (?P<view>whole|[01](\.\d{1,6})?))?")


def with_grid(axes: str, grid: Grid, view: str | None = None) -> str:
    """Write down that activations are maps: what the axes of the output mean, the size of its maps, and the view.

    The view is which part of photos the network saw, if that is known: ``"whole"``, or the side of a central square as
    a share of the shorter side.
    """
    return f"{axes}={grid[0]}x{grid[1]}" + ("" if view is None else f" of {view}")


def grid_of(axes: str | None) -> Grid | None:
    """Return the size of the maps by the ``axes`` of activations; None if these are no maps."""
    found = _GRID.fullmatch(axes or "")
    return None if found is None else (int(found["rows"]), int(found["columns"]))


def view_of(axes: str | None) -> str | None:
    """Which part of photos the network saw, by the ``axes`` of activations; None if that is not known."""
    found = _GRID.fullmatch(axes or "")
    return None if found is None else found["view"]


class GridNames(Sequence[str]):
    """The names of the columns of maps, neuron by neuron and row by row: ``neuron@row,column``.

    Parameters
    ----------
    neurons : iterable of (int or str)
        The names of the neurons.
    grid : tuple of (int, int)
        The size of a map.
    """

    def __init__(self, neurons: Iterable[Name], grid: Grid) -> None:
        self.neurons, self.grid = tuple(neurons), grid

    @property
    def n_positions(self) -> int:
        """The number of positions of a map."""
        return self.grid[0] * self.grid[1]

    def __len__(self) -> int:
        return len(self.neurons) * self.n_positions

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        neuron, position = divmod(range(len(self))[place], self.n_positions)
        row, column = divmod(position, self.grid[1])
        return f"{self.neurons[neuron]}@{row},{column}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GridNames):
            return (self.neurons, self.grid) == (other.neurons, other.grid)
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((self.neurons, self.grid))
