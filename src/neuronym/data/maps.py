"""Activation maps: each neuron's activation at every position of every sample, in rows and columns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.data.activations import Activations, as_name
from neuronym.data.grids import GridNames, grid_of, view_of, with_grid
from neuronym.data.labelled import named, to_array
from neuronym.data.sparse import dense
from neuronym.errors import ActivationsError, OptionError
from neuronym.types import Name

__all__ = ["Maps"]

_BLOCK_BYTES = 128 * 2**20  # to read at once for pooling


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
        if array.ndim != 4 or 0 in array.shape:
            raise ActivationsError(
                "maps must have four axes, samples × neurons × rows × columns, none of them empty, but have shape "
                f"{array.shape}"
            )
        _, n_neurons, height, width = array.shape
        given = named(names, n_neurons, "neurons", ActivationsError)
        own = range(n_neurons) if given is None else [as_name(name) for name in given]
        self._fill(
            Activations(
                _as_matrix(array),
                own,
                sample_ids=sample_ids,
                clusters=clusters,
                axes=with_grid("BCHW", (height, width)),
            )
        )

    def _fill(self, activations: Activations) -> None:
        assert isinstance(activations.names, GridNames), "the columns of maps are named by neuron and position"
        self.activations, self.names = activations, activations.names.neurons
        self.height, self.width = activations.names.grid
        self.view = view_of(activations.axes)

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
        if not isinstance(activations.names, GridNames):
            size = grid_of(activations.axes)
            why = "are pooled, one number per neuron and sample" if size is None else "have other columns"
            raise ActivationsError(
                f"{activations!r} {why}, but maps are needed: collect them with maps=True (--maps auto), or give an "
                "array of shape (n_samples, n_neurons, rows, columns)"
            )
        found = cls.__new__(cls)
        found._fill(activations)
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
        if isinstance(rows, np.ndarray) and len(rows) and np.array_equal(rows, np.arange(rows[0], rows[-1] + 1)):
            rows = slice(int(rows[0]), int(rows[-1]) + 1)  # which is quicker to read
        if np.array_equal(columns, np.arange(first, first + len(columns))):
            found = matrix[rows, first : first + len(columns)]
        elif isinstance(rows, slice) or not isinstance(matrix, np.ndarray):
            found = matrix[rows, columns]
        else:
            found = matrix[rows[:, np.newaxis], columns]
        found = dense(found)
        return found.reshape(len(found), len(neurons), size)

    def blocks(self, neurons: NDArray[np.intp], n_rows: int, n_bytes: int) -> list[NDArray[np.intp]]:
        """Divide neurons into blocks to read at once.

        Parameters
        ----------
        neurons : int array of shape (n_chosen,)
            The places of the neurons.
        n_rows : int
            The number of samples that are read.
        n_bytes : int
            What the maps of a block on these may take, unless one neuron takes more.

        Returns
        -------
        list of int array
            The places of each block, in order.
        """
        size = max(1, n_rows * self.n_positions * self.activations.matrix.dtype.itemsize)
        width = max(1, n_bytes // size)
        return [neurons[start : start + width] for start in range(0, len(neurons), width)]

    def pooled(self, pool: str = "mean", neurons: Any = None) -> Activations:
        """Pool each map to one number, as ``neuronym.collect`` would have done.

        Parameters
        ----------
        pool : {"mean", "max"}, default "mean"
            The mean, the paper's average pooling, or the largest activation.
        neurons : iterable of (int or str), slice, or bool array of shape (n_neurons,), or None, default None
            The neurons; None means all.

        Returns
        -------
        Activations
            The activations, float32 of shape (n_samples, n_chosen), in memory.

        Raises
        ------
        OptionError
            If there is no such way to pool.
        UnknownNameError
            If there is no neuron of a name.
        """
        if pool not in ("mean", "max"):
            raise OptionError(f"pool must be 'mean' or 'max' for maps, not {pool!r}")
        chosen = self.indices(neurons)
        pooled = np.empty((self.n_samples, len(chosen)), np.float32)
        start = 0
        for own in self.blocks(chosen, self.n_samples, _BLOCK_BYTES):
            values = self.block(own)
            found = values.mean(axis=2, dtype=np.float64) if pool == "mean" else values.max(axis=2)
            pooled[:, start : start + len(own)] = found
            start += len(own)
        return Activations(
            pooled,
            [self.names[j] for j in chosen],
            sample_ids=self.activations.sample_ids,
            skipped=self.activations.skipped,
            clusters=self.activations.clusters,
            axes=str(self.activations.axes).partition("=")[0],
        )

    def __repr__(self) -> str:
        place = ", on disk" if self.activations.on_disk else ""
        return f"Maps({self.n_samples} samples × {self.n_neurons} neurons of {self.height} × {self.width}{place})"
