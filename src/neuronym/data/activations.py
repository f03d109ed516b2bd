"""Activations: each neuron's activation on every sample."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.characters import refuse_halves
from neuronym._util.messages import counted, no_such
from neuronym.data import sparse
from neuronym.data.grids import Grid, GridNames, grid_of
from neuronym.data.ids import as_ids, by_sample, own_or_given, places, refuse_repeats, split_ids
from neuronym.data.labelled import as_frame, is_sparse, labels_of, listed, named, to_array, to_sparse
from neuronym.data.sparse import as_columns, columns_of, is_csc
from neuronym.data.sparse_store import SparseStoreMatrix
from neuronym.data.zarr_matrix import ZarrMatrix
from neuronym.errors import ActivationsError, OptionError
from neuronym.types import Name

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_array

    from neuronym.data.sparse import Block

__all__ = ["Activations"]


_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")

_NARROW, _WIDE = 64, 1024  # neurons per block: in memory, and the maximum on disk
_ON_DISK_BYTES = 256 * 2**20  # the most to read at once from a matrix on disk
_ENTRY_BYTES = 12  # of a sparse matrix, roughly: a number and its row


class Activations:
    """A matrix, samples × neurons, with names; in memory or on disk, dense or sparse.

    The matrix is read by columns, a block of neurons at a time, so a memory-mapped matrix or one in a Zarr store never
    has to fit in memory. Sent to another process, it travels as the name of its file. A sparse matrix stays sparse: it
    is held by columns, and what it costs to rank a neuron grows with the activations that are not zero.

    Parameters
    ----------
    matrix : array or tensor of bool, int or float, of shape (n_samples, n_neurons) or (n_samples,)
        The activations; one axis means one neuron. A tensor of any type, on any device, or with gradients, a sparse
        matrix of scipy, a sparse tensor of torch, or a table, whose index and columns become ids and names as in
        ``from_frame``.
    names : iterable or mapping of (int or str) or None, default None
        One distinct name per neuron; a mapping is looked up by column number. None means those of a table, else
        ``0, 1, …``. Text that is a whole number counts as that number.
    sample_ids : iterable or None, default None
        One distinct id per sample, converted to text. Without ids, samples are matched with concepts by position.
    skipped : iterable, default ()
        The ids of samples left out on purpose, such as files that could not be read. ``neuronym.label`` leaves them
        out of the concepts too.
    clusters : iterable or None, default None
        The cluster of each sample, such as the text of a token. Samples of one cluster depend on each other;
        ``neuronym.label`` uses these unless other clusters are given.
    axes : str or None, default None
        What the axes of the layer's output meant that the activations were pooled from, such as ``"BCHW"``, as for
        ``neuronym.collect``. With a size, as in ``"BCHW=7x7"``, they were not pooled: the columns are the positions of
        each neuron's map, row by row, and ``names`` are those of the neurons (``neuronym.data.Maps``).

    Raises
    ------
    ActivationsError
        If the matrix has another shape or does not hold real numbers, or the names or ids do not fit it.

    Examples
    --------
    >>> Activations([[0.1, 2.0], [0.3, -1.0], [0.0, 0.5]], names=["edge", "curve"])
    Activations(3 samples × 2 neurons, float64)
    """

    def __init__(
        self,
        matrix: ArrayLike | Any,
        names: Iterable[Name] | None = None,
        *,
        sample_ids: Iterable[object] | None = None,
        skipped: Iterable[object] = (),
        clusters: Iterable[object] | None = None,
        axes: str | None = None,
    ) -> None:
        frame = as_frame(matrix, "activations", ActivationsError)
        own = None
        if frame is not None:
            matrix, own, ids = _of_frame(frame, None)
            sample_ids = own_or_given(sample_ids, ids, "activations", ActivationsError)
        array: NDArray[Any] | ZarrMatrix | SparseStoreMatrix | csc_array
        array = as_columns(to_sparse(matrix)) if is_sparse(matrix) else _as_array(matrix)
        if array.dtype.kind not in "biuf":
            raise ActivationsError(f"activations must be real numbers, not {array.dtype}")
        if array.ndim == 1 and isinstance(array, np.ndarray):
            array = array[:, np.newaxis]
        if array.ndim != 2:
            raise ActivationsError(
                f"activations must have two axes, samples × neurons, but have shape {array.shape}: "
                "pool maps and sequences to one number per sample first, such as maps.mean(axis=(2, 3))"
            )
        self.matrix = array
        self.axes = axes
        self.skipped = tuple(str(i) for i in skipped)
        refuse_halves(self.skipped, "id of a skipped sample", ActivationsError)
        self.sample_ids = as_ids(sample_ids, array.shape[0], "activations", ActivationsError)
        of_samples = (
            None
            if clusters is None
            else by_sample(clusters, self.sample_ids, array.shape[0], "clusters", ActivationsError)
        )
        self.clusters = None if of_samples is None else tuple(of_samples)
        if self.clusters is not None and len(self.clusters) != array.shape[0]:
            raise ActivationsError(
                f"there are {len(self.clusters)} cluster labels for {counted(array.shape[0], 'sample')}: "
                "give one per sample"
            )
        grid = grid_of(axes)
        if isinstance(names, GridNames) or (grid is not None and own is None):
            self.names: Sequence[Name] = self._names_of_maps(names, grid)
            return
        listed_names = named(names, array.shape[1], "neurons", ActivationsError, own=own)
        self.names = range(array.shape[1]) if listed_names is None else tuple(as_name(n) for n in listed_names)
        if len(self.names) != array.shape[1]:
            raise ActivationsError(
                f"{counted(len(self.names), 'name')} for {counted(array.shape[1], 'neuron')}: give one name per neuron"
            )
        if listed_names is not None:
            refuse_repeats(self.names, "neuron name", "activations", ActivationsError)

    def _names_of_maps(self, names: Iterable[Name] | None, grid: Grid | None) -> Sequence[Name]:
        """Name the columns of maps by their neurons and positions."""
        n_columns = int(self.matrix.shape[1])
        if isinstance(names, GridNames):
            if len(names) != n_columns or (grid is not None and grid != names.grid):
                raise ActivationsError(
                    f"there are {n_columns} columns, but names for maps of {counted(len(names.neurons), 'neuron')} of "
                    f"{names.grid[0]} × {names.grid[1]}: select neurons with neuronym.data.Maps, which keeps maps whole"
                )
            return names
        assert grid is not None, "only maps have a grid"
        n_neurons, rest = divmod(n_columns, grid[0] * grid[1])
        if rest:
            raise ActivationsError(
                f"{n_columns} columns are no maps of {grid[0]} × {grid[1]}: there must be one for each neuron and "
                "position"
            )
        given = named(names, n_neurons, "neurons", ActivationsError)
        own = range(n_neurons) if given is None else [as_name(name) for name in given]
        if len(own) != n_neurons:
            raise ActivationsError(
                f"{counted(len(own), 'name')} for maps of {counted(n_neurons, 'neuron')}: give one name per neuron"
            )
        refuse_repeats(own, "neuron name", "maps", ActivationsError)
        return GridNames(own, grid)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, id_column: str | None = None) -> Activations:
        """Convert a table with one column per neuron.

        Parameters
        ----------
        frame : DataFrame of shape (n_samples, n_neurons)
            Numbers with the names of neurons above; of pandas, polars, Arrow or xarray.
        id_column : str or None, default None
            The column of sample ids. None means a first column ``sample``; else, with a warning, a column of ids that
            are all different, such as ``image_id`` or texts in the first column; else the index, unless it is just
            0, 1, 2, ….

        Returns
        -------
        Activations
            The activations; missing values become NaN.

        Raises
        ------
        ActivationsError
            If a column does not hold numbers, or holds integers too large for the type of the others.
        """
        found = as_frame(frame, "activations", ActivationsError)
        if found is None:
            raise ActivationsError(f"activations must be a DataFrame, not {type(frame).__name__}")
        matrix, names, ids = _of_frame(found, id_column)
        return cls(matrix, None if names is None else [as_name(name) for name in names], sample_ids=ids)

    @property
    def n_samples(self) -> int:
        """The number of samples."""
        return int(self.matrix.shape[0])

    @property
    def n_neurons(self) -> int:
        """The number of neurons."""
        return int(self.matrix.shape[1])

    @property
    def on_disk(self) -> bool:
        """Whether the matrix is memory-mapped or in a Zarr store."""
        return isinstance(self.matrix, np.memmap | ZarrMatrix | SparseStoreMatrix)

    @property
    def mark(self) -> str:
        """A checksum of the store of neuronym's that the matrix is in; empty if it is in none."""
        return self.matrix.mark if isinstance(self.matrix, ZarrMatrix | SparseStoreMatrix) else ""

    @property
    def sparse(self) -> bool:
        """Whether the matrix is sparse."""
        return isinstance(self.matrix, SparseStoreMatrix) or is_csc(self.matrix)

    def indices(self, neurons: Iterable[Name] | slice | None = None) -> NDArray[np.intp]:
        """Find the columns of neurons.

        Parameters
        ----------
        neurons : iterable of (int or str), slice, or bool array of shape (n_neurons,), or None, default None
            The names of neurons, a slice of columns, or a mask; None means all neurons.

        Returns
        -------
        int array of shape (n_found,)
            The columns, in the order of ``neurons``.

        Raises
        ------
        UnknownNameError
            If there is no neuron of a name.
        OptionError
            If a neuron is named twice, or a mask has another shape.
        """
        if neurons is None or isinstance(neurons, slice):
            return np.arange(self.n_neurons)[neurons or slice(None)]
        place = {name: j for j, name in enumerate(self.names)}
        found: list[int] = []
        if isinstance(neurons, np.ndarray) and neurons.dtype == np.bool_:
            if neurons.shape != (self.n_neurons,):
                raise OptionError(f"a mask of neurons must have shape ({self.n_neurons},), not {neurons.shape}")
            return np.flatnonzero(neurons)
        if isinstance(neurons, str | int | np.integer):
            neurons = [neurons]
        elif not isinstance(neurons, Mapping | set | frozenset):
            wanted, _ = listed(neurons, "neurons", OptionError)
            if wanted and all(isinstance(neuron, bool) for neuron in wanted):
                return self.indices(np.array(wanted))
            neurons = [as_name(neuron) for neuron in wanted]
        for neuron in neurons:
            name = as_name(neuron)
            if name not in place:
                raise no_such("neuron", name, self.names)
            found.append(place[name])
        refuse_repeats(found, "neuron", "neurons", OptionError)
        return np.array(found, np.intp)

    def blocks(self, columns: NDArray[np.intp], n_blocks: int = 1) -> list[NDArray[np.intp]]:
        """Divide columns into blocks that are efficient to read at once.

        Parameters
        ----------
        columns : int array of shape (n_columns,)
            The columns to divide.
        n_blocks : int, default 1
            Make at least this many blocks, if there are enough columns (for a Zarr store, enough chunks).

        Returns
        -------
        list of int array
            The columns of each block, in order.
        """
        # Rows on disk are read page by page, so blocks there are as wide as memory allows.
        if isinstance(self.matrix, SparseStoreMatrix) or is_csc(self.matrix):
            per_neuron = max(1, _ENTRY_BYTES * self.matrix.nnz // max(1, self.n_neurons))
        else:
            per_neuron = max(1, self.n_samples * self.matrix.itemsize)
        widest = min(max(_NARROW, _ON_DISK_BYTES // per_neuron), _WIDE) if self.on_disk else _NARROW
        width = max(1, min(widest, len(columns) // n_blocks))
        if isinstance(self.matrix, ZarrMatrix | SparseStoreMatrix):  # a chunk is read as a whole
            width = max(1, width // self.matrix.chunk) * self.matrix.chunk
        return [columns[start : start + width] for start in range(0, len(columns), width)]

    def cut(self, columns: NDArray[np.intp], n_blocks: int = 1) -> list[NDArray[np.intp]]:
        """Divide columns as ``blocks`` does, but return indices into ``columns``.

        Parameters
        ----------
        columns : int array of shape (n_columns,)
            The columns to divide.
        n_blocks : int, default 1
            The minimum number of blocks, as for ``blocks``.

        Returns
        -------
        list of int array
            For each block, the indices into ``columns``.
        """
        ends = np.cumsum([len(block) for block in self.blocks(columns, n_blocks)]).astype(np.intp)
        return np.split(np.arange(len(columns)), ends[:-1]) if len(columns) else []

    def block(self, columns: NDArray[np.intp]) -> Block:
        """Read the activations of some columns into memory.

        Parameters
        ----------
        columns : int array of shape (n_columns,)
            The columns to read.

        Returns
        -------
        array or scipy.sparse.csc_array of shape (n_samples, n_columns)
            The activations, sparse if the matrix is; a view if it is in memory and the columns are consecutive.
        """
        if isinstance(self.matrix, SparseStoreMatrix):
            return self.matrix.columns(columns)
        if is_csc(self.matrix):
            return columns_of(self.matrix, columns)
        first, width = (int(columns[0]), len(columns)) if len(columns) else (0, 0)
        if not np.array_equal(columns, np.arange(first, first + width)):
            return np.asarray(self.matrix[:, columns])
        view = self.matrix[:, first : first + width]
        return np.array(view) if isinstance(self.matrix, np.memmap) else view

    def column(self, place: int) -> NDArray[Any]:
        """Read the activations of one neuron.

        Parameters
        ----------
        place : int
            Its column.

        Returns
        -------
        array of shape (n_samples,)
            Its activation on each sample, whether the matrix is sparse or not.
        """
        return sparse.column(self.block(np.array([place])), 0)

    def take(self, rows: ArrayLike) -> Activations:
        """Select samples, as a copy in memory.

        Parameters
        ----------
        rows : int or bool array of shape (n_taken,) or (n_samples,)
            The indices of samples, or a mask.

        Returns
        -------
        Activations
            The samples in the order of ``rows``.

        Raises
        ------
        OptionError
            If an index is out of range, or a mask has another shape.
        """
        chosen = places(rows, self.n_samples, self.sample_ids)
        ids = None if self.sample_ids is None else [self.sample_ids[row] for row in chosen]
        clusters = None if self.clusters is None else [self.clusters[row] for row in chosen]
        return self.replace(matrix=self.matrix[chosen], sample_ids=ids, clusters=clusters)

    def replace(self, **changes: Any) -> Activations:
        """Copy with some arguments changed, without reading the matrix.

        Parameters
        ----------
        **changes
            Any of ``matrix, names, sample_ids, skipped, clusters, axes``, as for ``Activations``; the others are kept.

        Returns
        -------
        Activations
            The changed copy.

        Examples
        --------
        >>> Activations([[1.0], [2.0]], clusters=["a", "a"]).replace(sample_ids=["x", "y"]).clusters
        ('a', 'a')
        """
        kept = ("matrix", "names", "sample_ids", "skipped", "clusters", "axes")
        return Activations(**{**{name: getattr(self, name) for name in kept}, **changes})

    def __repr__(self) -> str:
        place = ", on disk" if self.on_disk else ""
        if isinstance(self.matrix, SparseStoreMatrix) or is_csc(self.matrix):
            place += f", sparse: {self.matrix.nnz / max(1, self.n_samples * self.n_neurons):.2%} not zero"
        of = f"{self.n_neurons} neurons"
        if isinstance(self.names, GridNames):
            rows, columns = self.names.grid
            of = f"{len(self.names.neurons)} neurons of {rows} × {columns}"
        return f"Activations({self.n_samples} samples × {of}, {self.matrix.dtype}{place})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "matrix": _reference(self.matrix)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self.matrix, dict):
            self.matrix = np.memmap(**self.matrix)


def _of_frame(
    frame: pd.DataFrame, id_column: str | None
) -> tuple[NDArray[Any], list[object] | None, list[object] | None]:
    """The matrix of a table, the names of its columns and its sample ids."""
    body, ids = split_ids(frame, "activations", ActivationsError, id_column)
    wrong = [str(column) for column, dtype in body.dtypes.items() if getattr(dtype, "kind", "O") not in "biuf"]
    if wrong:
        raise ActivationsError(
            f"no numbers in {counted(len(wrong), 'column')} of activations, such as {wrong[0]!r}: "
            f"if it holds sample ids, say so with id_column={wrong[0]!r}, or make it the index"
        )
    dtypes = set(body.dtypes)
    if len(dtypes) == 1 and isinstance(dtypes.pop(), np.dtype):
        return body.to_numpy(), labels_of(body.columns), ids
    columns = [_numbers(body.iloc[:, j]) for j in range(body.shape[1])]
    return side_by_side(columns, len(body)), labels_of(body.columns), ids


def side_by_side(columns: Sequence[NDArray[Any]], n_samples: int) -> NDArray[Any]:
    """Columns of several types as one matrix, (n_samples, n_columns), without changing any value.

    Raises
    ------
    ActivationsError
        If integers are too large for the float type of another column.
    """
    dtype = np.result_type(*(c.dtype for c in columns)) if columns else np.dtype(np.float64)
    matrix = np.empty((n_samples, len(columns)), dtype, order="F")
    for j, column in enumerate(columns):
        matrix[:, j] = column
        if column.dtype.kind in "iu" and dtype.kind == "f" and (matrix[:, j].astype(column.dtype) != column).any():
            raise ActivationsError(
                f"neuron {j} holds integers that {dtype}, the type of other neurons, cannot represent: "
                "label such neurons separately"
            )
    return matrix


def _numbers(column: pd.Series[Any]) -> NDArray[Any]:
    """The numbers in a column of a DataFrame; missing values of a nullable type become NaN."""
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    plain = np.float64 if column.isna().any() else getattr(column.dtype, "numpy_dtype", np.float64)
    return column.to_numpy(dtype=plain, na_value=np.nan)


def _reference(matrix: Any) -> Any:
    """The arguments that reopen a whole memory map in another process; any other matrix unchanged."""
    # A map of mode c (copy on write) may hold changes that its file lacks.
    if not isinstance(matrix, np.memmap) or matrix.filename is None or matrix.mode == "c":
        return matrix
    if isinstance(matrix.base, np.ndarray):
        return matrix
    order = "C" if matrix.flags.c_contiguous else "F"
    return {
        "filename": matrix.filename,
        "dtype": matrix.dtype,
        "mode": "r",
        "offset": matrix.offset,
        "shape": matrix.shape,
        "order": order,
    }


def _as_array(matrix: Any) -> NDArray[Any] | ZarrMatrix | SparseStoreMatrix:
    """A matrix as an array, on disk if it was."""
    if isinstance(matrix, ZarrMatrix | SparseStoreMatrix):
        return matrix
    if isinstance(matrix, np.ma.MaskedArray) and np.ma.is_masked(matrix):
        raise ActivationsError(
            f"{int(np.ma.getmaskarray(matrix).sum())} activations are masked, but none may be missing: "
            "leave out those neurons or samples"
        )
    return to_array(matrix, "activations", ActivationsError)


def as_name(name: object) -> Name:
    """Normalize a neuron's name: whole numbers, also as text, become int; anything else becomes str.

    Raises
    ------
    ActivationsError
        If it is empty, or contains half of a character.
    """
    if isinstance(name, int | np.integer) and not isinstance(name, bool):
        return int(name)
    text = str(name)
    if not text:
        raise ActivationsError("a neuron has an empty name: give it a name")
    refuse_halves([text], "name of a neuron", ActivationsError)
    return int(text) if _WHOLE.fullmatch(text) else text
