"""Activations: what every neuron answered to every sample."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.messages import counted, no_such
from neuronym.data.ids import as_ids, places, refuse_repeats, split_ids
from neuronym.data.zarr_matrix import ZarrMatrix
from neuronym.errors import ActivationsError, OptionError
from neuronym.types import Name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Activations"]


_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")

_NARROW, _WIDE = 64, 1024  # neurons in a block in memory, and at most on disk
_ON_DISK_BYTES = 256 * 2**20  # read at once from a matrix on disk


class Activations:
    """A matrix, samples × neurons, with names; in memory or on disk.

    The matrix is read by columns, a block of neurons at a time, so one that is memory-mapped or in a Zarr store never
    has to fit in memory. Sent to another process, such a one travels as the name of its file.

    Parameters
    ----------
    matrix : array or tensor of bool, int or float, shape (n_samples, n_neurons); (n_samples,) is one neuron
        A tensor of torch is taken to the CPU as it is; anything else goes through ``numpy.asarray``.
    names : int or str per neuron, each once
        ``0, 1, …`` by default. A text that is a whole number is that number.
    sample_ids : texts, one per sample, each once, or None
        Without ids, samples are matched with concepts by their place.
    skipped : the ids of samples that are left out on purpose, such as files that could not be read
        ``label`` leaves them out of the concepts too.
    clusters : for each sample what it is a part of, such as the text of a token, or None
        Samples of one cluster depend on each other; ``label`` takes this where it is given no other.

    Raises
    ------
    ActivationsError
        If the matrix has another shape or holds no real numbers, or names or ids do not fit.

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
    ) -> None:
        array = _as_array(matrix)
        if array.dtype.kind not in "biuf":
            raise ActivationsError(f"activations must be real numbers, not {array.dtype}")
        if array.ndim == 1 and not isinstance(array, ZarrMatrix):
            array = array[:, np.newaxis]
        if array.ndim != 2:
            raise ActivationsError(
                f"activations must have two axes, samples × neurons, but have shape {array.shape}: "
                "pool maps and sequences to one number per sample first, such as maps.mean(axis=(2, 3))"
            )
        self.matrix: NDArray[Any] | ZarrMatrix = array
        self.skipped = tuple(str(i) for i in skipped)
        self.sample_ids = as_ids(sample_ids, array.shape[0], "activations", ActivationsError)
        self.clusters = None if clusters is None else tuple(clusters)
        if self.clusters is not None and len(self.clusters) != array.shape[0]:
            raise ActivationsError(
                f"{counted(len(self.clusters), 'cluster')} for {counted(array.shape[0], 'sample')}: one each is needed"
            )
        self.names: Sequence[Name] = range(array.shape[1]) if names is None else tuple(as_name(n) for n in names)
        if len(self.names) != array.shape[1]:
            raise ActivationsError(
                f"{counted(len(self.names), 'name')} for {counted(array.shape[1], 'neuron')}: one each is needed"
            )
        refuse_repeats(self.names, "neuron name", "activations", ActivationsError)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Activations:
        """Take a DataFrame with a column per neuron.

        The sample ids are the column ``sample`` if it is the first, else the index unless it merely counts the rows.
        """
        body, ids = split_ids(frame)
        wrong = [str(column) for column, dtype in body.dtypes.items() if getattr(dtype, "kind", "O") not in "biuf"]
        if wrong:
            raise ActivationsError(
                f"no numbers in {counted(len(wrong), 'column')} of activations, such as {wrong[0]!r}: "
                "sample ids belong in a first column named sample, or in the index"
            )
        dtypes = set(body.dtypes)
        if len(dtypes) == 1 and isinstance(dtypes.pop(), np.dtype):
            return cls(body.to_numpy(), body.columns, sample_ids=ids)
        columns = [_numbers(body.iloc[:, j]) for j in range(body.shape[1])]
        return cls(side_by_side(columns, len(body)), body.columns, sample_ids=ids)

    @property
    def n_samples(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def n_neurons(self) -> int:
        return int(self.matrix.shape[1])

    @property
    def on_disk(self) -> bool:
        return isinstance(self.matrix, np.memmap | ZarrMatrix)

    def indices(self, neurons: Iterable[Name] | slice | None = None) -> NDArray[np.intp]:
        """The columns of neurons given by name, as a slice or as a mask of bool; of all without any.

        Raises
        ------
        UnknownNameError
            If a name is not there.
        OptionError
            If a neuron is asked for twice.
        """
        if neurons is None or isinstance(neurons, slice):
            return np.arange(self.n_neurons)[neurons or slice(None)]
        place = {name: j for j, name in enumerate(self.names)}
        found: list[int] = []
        if isinstance(neurons, np.ndarray) and neurons.dtype == np.bool_:
            if neurons.shape != (self.n_neurons,):
                raise OptionError(f"a mask of neurons must have shape ({self.n_neurons},), not {neurons.shape}")
            return np.flatnonzero(neurons)
        for neuron in [neurons] if isinstance(neurons, str | int | np.integer) else neurons:
            name = as_name(neuron)
            if name not in place:
                raise no_such("neuron", name, self.names)
            found.append(place[name])
        refuse_repeats(found, "neuron", "neurons", OptionError)
        return np.array(found, np.intp)

    def blocks(self, columns: NDArray[np.intp], n_blocks: int = 1) -> list[NDArray[np.intp]]:
        """Cut columns into at least ``n_blocks`` blocks, where there are as many, that are good to read at once."""
        # A row of a matrix on disk is read page by page, so there blocks are as wide as memory allows.
        per_neuron = max(1, self.n_samples * self.matrix.itemsize)
        widest = min(max(_NARROW, _ON_DISK_BYTES // per_neuron), _WIDE) if self.on_disk else _NARROW
        width = max(1, min(widest, len(columns) // n_blocks))
        if isinstance(self.matrix, ZarrMatrix):  # a chunk is read as a whole
            width = max(1, width // self.matrix.chunk) * self.matrix.chunk
        return [columns[start : start + width] for start in range(0, len(columns), width)]

    def cut(self, columns: NDArray[np.intp], n_blocks: int = 1) -> list[NDArray[np.intp]]:
        """The places in ``columns`` of each block that ``blocks`` makes."""
        ends = np.cumsum([len(block) for block in self.blocks(columns, n_blocks)]).astype(np.intp)
        return np.split(np.arange(len(columns)), ends[:-1]) if len(columns) else []

    def block(self, columns: NDArray[np.intp]) -> NDArray[Any]:
        """The activations of some columns, (n_samples, n_columns), in memory: a view where that is possible."""
        first, width = (int(columns[0]), len(columns)) if len(columns) else (0, 0)
        if not np.array_equal(columns, np.arange(first, first + width)):
            return np.asarray(self.matrix[:, columns])
        view = self.matrix[:, first : first + width]
        return np.array(view) if isinstance(self.matrix, np.memmap) else view

    def take(self, rows: ArrayLike) -> Activations:
        """Keep samples, given by their places or by a mask of bool, in the order given (a copy in memory)."""
        chosen = places(rows, self.n_samples)
        ids = None if self.sample_ids is None else [self.sample_ids[row] for row in chosen]
        clusters = None if self.clusters is None else [self.clusters[row] for row in chosen]
        return self.replace(matrix=self.matrix[chosen], sample_ids=ids, clusters=clusters)

    def replace(self, **changes: Any) -> Activations:
        """A copy with some of its parts changed; what is not named is kept, nothing is read.

        Parameters
        ----------
        changes : matrix, names, sample_ids, skipped or clusters, as ``Activations`` takes them

        >>> Activations([[1.0], [2.0]], clusters=["a", "a"]).replace(sample_ids=["x", "y"]).clusters
        ('a', 'a')
        """
        kept = ("matrix", "names", "sample_ids", "skipped", "clusters")
        return Activations(**{**{name: getattr(self, name) for name in kept}, **changes})

    def __repr__(self) -> str:
        place = ", on disk" if self.on_disk else ""
        return f"Activations({self.n_samples} samples × {self.n_neurons} neurons, {self.matrix.dtype}{place})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "matrix": _reference(self.matrix)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self.matrix, dict):
            self.matrix = np.memmap(**self.matrix)


def side_by_side(columns: Sequence[NDArray[Any]], n_samples: int) -> NDArray[Any]:
    """Columns of several types as one matrix, (n_samples, n_columns), no value changed.

    Raises
    ------
    ActivationsError
        If whole numbers that a float cannot hold stand beside fractions.
    """
    dtype = np.result_type(*(c.dtype for c in columns)) if columns else np.dtype(np.float64)
    matrix = np.empty((n_samples, len(columns)), dtype, order="F")
    for j, column in enumerate(columns):
        matrix[:, j] = column
        if column.dtype.kind in "iu" and dtype.kind == "f" and (matrix[:, j].astype(column.dtype) != column).any():
            raise ActivationsError(
                f"neuron {j} holds whole numbers that {dtype} beside it cannot hold: label such neurons on their own"
            )
    return matrix


def _numbers(column: pd.Series[Any]) -> NDArray[Any]:
    """A column of a DataFrame; what is missing in a nullable one is NaN."""
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    plain = np.float64 if column.isna().any() else getattr(column.dtype, "numpy_dtype", np.float64)
    return column.to_numpy(dtype=plain, na_value=np.nan)


def _reference(matrix: NDArray[Any] | ZarrMatrix) -> NDArray[Any] | ZarrMatrix | dict[str, Any]:
    """What opens a whole memory map again elsewhere; a matrix in memory, or a part of a map, as it is."""
    # A map of mode c holds changes that its file does not.
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


def _as_array(matrix: Any) -> NDArray[Any] | ZarrMatrix:
    if isinstance(matrix, ZarrMatrix):
        return matrix
    if type(matrix).__module__.split(".")[0] == "torch":
        tensor = matrix.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":  # numpy has no such type; float32 holds every value of it
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    if isinstance(matrix, np.ma.MaskedArray) and np.ma.is_masked(matrix):
        raise ActivationsError(
            f"{int(np.ma.getmaskarray(matrix).sum())} activations are masked: every one must be known, "
            "so leave out those neurons or samples"
        )
    try:
        return matrix if isinstance(matrix, np.memmap) else np.asarray(matrix)
    except ValueError as error:
        raise ActivationsError(f"activations must be a matrix with rows of one length: {error}") from error


def as_name(name: object) -> Name:
    """A neuron's name: a whole number as int, written as text too; anything else as text.

    Raises
    ------
    ActivationsError
        If it is empty.
    """
    if isinstance(name, int | np.integer) and not isinstance(name, bool):
        return int(name)
    text = str(name)
    if not text:
        raise ActivationsError("a neuron has an empty name: give it one")
    return int(text) if _WHOLE.fullmatch(text) else text
