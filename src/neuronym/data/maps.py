"""Activation maps: each neuron's activation at every position of every sample, in rows and columns."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.data.activations import Activations, as_name
from neuronym.data.labelled import named, to_array
from neuronym.data.sparse import dense
from neuronym.errors import ActivationsError, OptionError
from neuronym.types import Name

__all__ = ["Grid", "Maps", "grid_of", "names_of_columns", "with_grid"]

#: The numbers of rows and of columns of a map.
Grid = tuple[int, int]

_GRID = re.compile(r"[A-Z]+=(?P<rows>[1-9]\d{0,8})x(?P<columns>[1-9]\d{0,8})( of (?P<view>whole|[01](\.\d{1,6})?))?")
_BLOCK_BYTES = 128 * 2**20  # to read at once for pooling


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


def _view_of(axes: str | None) -> str | None:
    """Which part of photos the network saw, by the ``axes`` of activations; None if that is not known."""
    found = _GRID.fullmatch(axes or "")
    return None if found is None else found["view"]


def _names_on_grid(neurons: Iterable[Name], grid: Grid) -> list[str]:
    """Name the columns of maps, each neuron row by row: ``neuron@row,column``."""
    places = [f"@{row},{column}" for row in range(grid[0]) for column in range(grid[1])]
    return [f"{neuron}{place}" for neuron in neurons for place in places]


def names_of_columns(neurons: Sequence[Name] | None, n_columns: int, axes: str | None) -> Sequence[Name] | None:
    """Name the columns of activations by the names of their neurons, if they are maps; else these are the names."""
    grid = grid_of(axes)
    if grid is None:
        return neurons
    return _names_on_grid(range(n_columns // (grid[0] * grid[1])) if neurons is None else neurons, grid)


def _as_matrix(maps: NDArray[Any]) -> NDArray[Any]:
    """Maps (n_samples, …) as rows; those of a file as a memory map of the file, which travels to workers by name."""
    shape = len(maps), math.prod(maps.shape[1:])
    whole = maps.flags.c_contiguous and not isinstance(maps.base, np.ndarray)
    if not isinstance(maps, np.memmap) or not whole or maps.filename is None or maps.mode == "c":
        return maps.reshape(shape)
    return np.memmap(maps.filename, maps.dtype, "r", maps.offset, shape)


class Maps:
    """The activation maps of a layer, as they were before pooling; in memory or on disk.

    They are kept as ``Activations`` with a column for each neuron and position: neuron by neuron, and the positions of
    each row by row. So they can be memory-mapped, or in a Zarr store that ``neuronym.collect(…, maps=True)`` wrote, and
    are read in part only.

    Parameters
    ----------
    maps : array or tensor of bool, int or float, of shape (n_samples, n_neurons, height, width)
        The maps.
    names : iterable of (int or str) or None, default None
        One distinct name per neuron; ``0, 1, …`` by default.
    sample_ids : iterable or None, default None
        One distinct id per sample.
    clusters : iterable or None, default None
        The cluster of each sample, as for ``Activations``.

    Attributes
    ----------
    activations : Activations
        The maps as a matrix of shape (n_samples, n_neurons · height · width).
    names : tuple of (int or str)
        The names of the neurons.
    height, width : int
        The size of a map.
    view : str or None
        Which part of the photos the network saw, if that is known: ``"whole"``, or the side of the central square as a
        share of the photo's shorter side, such as ``"0.875"``.

    Raises
    ------
    ActivationsError
        If the maps have another number of axes or do not hold real numbers, or names or ids do not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> Maps(np.zeros((10, 4, 7, 7)), names=["a", "b", "c", "d"])
    Maps(10 samples × 4 neurons of 7 × 7)
    """

    def __init__(
        self,
        maps: ArrayLike | Any,
        names: Iterable[Name] | None = None,
        *,
        sample_ids: Iterable[object] | None = None,
        clusters: Iterable[object] | None = None,
    ) -> None:
        array = to_array(maps, "maps", ActivationsError)
        if array.ndim != 4 or 0 in array.shape[1:]:
            raise ActivationsError(
                "maps must have four axes, samples × neurons × rows × columns, none of them empty, but have shape "
                f"{array.shape}"
            )
        _, n_neurons, height, width = array.shape
        given = named(names, n_neurons, "neurons", ActivationsError)
        own = [as_name(name) for name in (range(n_neurons) if given is None else given)]
        if len(own) != n_neurons:
            raise ActivationsError(f"{len(own)} names for maps of {n_neurons} neurons: give one name per neuron")
        self._fill(
            Activations(
                _as_matrix(array),
                _names_on_grid(own, (height, width)),
                sample_ids=sample_ids,
                clusters=clusters,
                axes=with_grid("BCHW", (height, width)),
            ),
            own,
        )

    def _fill(self, activations: Activations, names: Sequence[Name]) -> None:
        grid = grid_of(activations.axes)
        assert grid is not None, "activations of maps say their size"
        self.activations, self.names = activations, tuple(names)
        self.height, self.width = grid
        self.view = _view_of(activations.axes)

    @classmethod
    def of(cls, activations: Activations) -> Maps:
        """Read activations as the maps that they are.

        Parameters
        ----------
        activations : Activations
            What ``neuronym.collect(…, maps=True)`` returned, or a layer of its store.

        Returns
        -------
        Maps
            The maps, on disk if they were.

        Raises
        ------
        ActivationsError
            If the activations were pooled.
        """
        grid = grid_of(activations.axes)
        if grid is None or activations.n_neurons % (grid[0] * grid[1]):
            raise ActivationsError(
                f"{activations!r} are pooled, one number per neuron and sample, but maps are needed: collect them "
                "with maps=True (--maps auto), or give an array of shape (n_samples, n_neurons, rows, columns)"
            )
        found = cls.__new__(cls)
        firsts = activations.names[:: grid[0] * grid[1]]
        found._fill(activations, [as_name(str(name).rpartition("@")[0]) for name in firsts])
        return found

    @property
    def n_samples(self) -> int:
        """The number of samples."""
        return self.activations.n_samples

    @property
    def n_neurons(self) -> int:
        """The number of neurons."""
        return len(self.names)

    @property
    def n_positions(self) -> int:
        """The number of positions of a map."""
        return self.height * self.width

    def indices(self, neurons: Any = None) -> NDArray[np.intp]:
        """Find neurons by name, as ``Activations.indices``.

        Parameters
        ----------
        neurons : iterable of (int or str), slice, or bool array of shape (n_neurons,), or None, default None
            The neurons; None means all.

        Returns
        -------
        int array of shape (n_found,)
            Their places.

        Raises
        ------
        UnknownNameError
            If there is no neuron of a name.
        OptionError
            If a neuron is named twice, or a mask has another shape.
        """
        return Activations(np.empty((0, self.n_neurons)), self.names).indices(neurons)

    def block(self, neurons: NDArray[np.intp], rows: slice | NDArray[np.int64] = slice(None)) -> NDArray[Any]:
        """Read the maps of some neurons on some samples into memory.

        Parameters
        ----------
        neurons : int array of shape (n_chosen,)
            The places of the neurons.
        rows : slice or int64 array of shape (n_rows,), optional
            The samples; all by default.

        Returns
        -------
        float array of shape (n_rows, n_chosen, height · width)
            Their maps, row by row; a view where that is possible.
        """
        size = self.n_positions
        columns = (neurons[:, np.newaxis] * size + np.arange(size)).ravel()
        first, matrix = int(columns[0]), cast("Any", self.activations.matrix)
        if not self.activations.sparse and np.array_equal(columns, np.arange(first, first + len(columns))):
            found = np.asarray(matrix[rows, first : first + len(columns)])
        elif not self.activations.sparse and not isinstance(rows, slice) and isinstance(matrix, np.ndarray):
            found = np.asarray(matrix[rows[:, np.newaxis], columns])
        else:
            read: Any = self.activations.block(columns)
            found = dense(read[rows])
        return found.reshape(len(found), len(neurons), size)

    def blocks(self, neurons: NDArray[np.intp], n_rows: int, n_bytes: int) -> list[NDArray[np.intp]]:
        """Divide neurons into blocks whose maps on this many samples take at most this many bytes."""
        size = max(1, n_rows * self.n_positions * self.activations.matrix.dtype.itemsize)
        width = max(1, n_bytes // size)
        return [neurons[start : start + width] for start in range(0, len(neurons), width)]

    def pooled(self, pool: str = "mean") -> Activations:
        """Pool each map to one number, as ``neuronym.collect`` would have done.

        Parameters
        ----------
        pool : {"mean", "max"}, default "mean"
            The mean, the paper's average pooling, or the largest activation.

        Returns
        -------
        Activations
            float32 activations of shape (n_samples, n_neurons), in memory.

        Raises
        ------
        OptionError
            If there is no such way to pool.
        """
        if pool not in ("mean", "max"):
            raise OptionError(f"pool must be 'mean' or 'max' for maps, not {pool!r}")
        pooled = np.empty((self.n_samples, self.n_neurons), np.float32)
        for neurons in self.blocks(np.arange(self.n_neurons), self.n_samples, _BLOCK_BYTES):
            values = self.block(neurons)
            pooled[:, neurons] = values.mean(axis=2, dtype=np.float64) if pool == "mean" else values.max(axis=2)
        return Activations(
            pooled,
            self.names,
            sample_ids=self.activations.sample_ids,
            skipped=self.activations.skipped,
            clusters=self.activations.clusters,
            axes=str(self.activations.axes).partition("=")[0],
        )

    def __repr__(self) -> str:
        place = ", on disk" if self.activations.on_disk else ""
        return f"Maps({self.n_samples} samples × {self.n_neurons} neurons of {self.height} × {self.width}{place})"
