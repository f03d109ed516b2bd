"""A sparse matrix in a store, read a block of columns at a time.

The matrix is cut into the chunks that a dense one has. A chunk is a file of what is not zero in it, column after
column: where each column starts (int32, one more than there are columns), the rows within the chunk (uint16), and the
values (float32), all little-endian.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym.data.store_files import StoreFiles, damaged

if TYPE_CHECKING:
    from scipy.sparse import csc_array

__all__ = ["SparseStoreMatrix", "chunk_bytes", "chunk_entries"]

_ENTRY = 6  # bytes


def chunk_bytes(part: csc_array, n_columns: int) -> bytes:
    """The contents of a chunk's file.

    Parameters
    ----------
    part : csc_array of float32, of shape (n_rows, n_shown)
        What is in the chunk, in order of rows; columns that it lacks are zero.
    n_columns : int
        The number of columns of a chunk.

    Returns
    -------
    bytes
        ``part`` as the module describes it, without explicit zeros.
    """
    kept = part.data != 0
    ends = np.concatenate([[0], np.cumsum(kept)])[part.indptr]
    starts = np.concatenate([ends, np.full(n_columns - part.shape[1], ends[-1])])
    rows, values = part.indices[kept].astype("<u2"), part.data[kept].astype("<f4")
    return b"".join(one.tobytes() for one in (starts.astype("<i4"), rows, values))


def chunk_entries(
    data: bytes, path: Path, chunk: tuple[int, int], n_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.float32]]:
    """Read the contents of a chunk's file.

    Parameters
    ----------
    data : bytes
        The contents.
    path : Path
        The file, for messages.
    chunk : tuple of int
        The numbers of rows and columns of a chunk.
    n_rows : int
        How many of its rows are in the matrix; others are left out.

    Returns
    -------
    starts : int64 array of shape (n_columns + 1,)
        Where each column starts.
    rows : uint16 array of shape (n_entries,)
        The rows within the chunk.
    values : float32 array of shape (n_entries,)
        The values.

    Raises
    ------
    FileError
        If they make no chunk.
    """
    head = 4 * (chunk[1] + 1)
    n_entries, rest = divmod(len(data) - head, _ENTRY)
    if n_entries < 0 or rest:
        raise damaged(path, "it is no chunk of a sparse layer")
    starts = np.frombuffer(data, "<i4", chunk[1] + 1).astype(np.int64)
    rows = np.frombuffer(data, "<u2", n_entries, head)
    values = np.frombuffer(data, "<f4", n_entries, head + 2 * n_entries)
    broken = starts[0] != 0 or starts[-1] != n_entries or (np.diff(starts) < 0).any()
    if broken or (n_entries and int(rows.max()) >= chunk[0]):
        raise damaged(path, "it is no chunk of a sparse layer")
    if n_entries and int(rows.max()) >= n_rows:
        kept = rows < n_rows
        starts, rows, values = np.concatenate([[0], np.cumsum(kept)])[starts], rows[kept], values[kept]
    return starts, rows, values


class SparseStoreMatrix:
    """A sparse matrix of float32, samples × neurons, in a store; it reads only the chunks that are asked for.

    Sent to another process, it travels as the path of its store and is reopened there.

    Parameters
    ----------
    folder : str
        The name of the matrix's folder within the store.
    files : StoreFiles
        The files of the store.
    shape : tuple of int
        The numbers of samples and neurons.
    chunks : tuple of int
        The numbers of samples and neurons of a chunk.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, folder: str, files: StoreFiles, shape: tuple[int, int], chunks: tuple[int, int]) -> None:
        self.folder, self.shape, self.chunks = folder, shape, chunks
        self._files = files

    @property
    def mark(self) -> str:
        """The checksum of the store's list of files."""
        return self._files.mark

    @property
    def chunk(self) -> int:
        """The number of neurons in a chunk."""
        return self.chunks[1]

    @property
    def nnz(self) -> int:
        """How many values are not zero."""
        sizes = [size or 0 for name, (size, _) in self._files.files.items() if name.startswith(f"{self.folder}/")]
        return sum(max(0, size - 4 * (self.chunks[1] + 1)) // _ENTRY for size in sizes)

    def columns(self, columns: NDArray[np.intp], start: int = 0, stop: int | None = None) -> csc_array:
        """Read columns.

        Parameters
        ----------
        columns : int array of shape (n_columns,)
            Which columns.
        start, stop : int, optional
            The first row, and the one after the last; all rows by default.

        Returns
        -------
        csc_array of float32, of shape (n_rows, n_columns)
            What is not zero, rows in order.

        Raises
        ------
        FileError
            If a chunk is missing or damaged.
        """
        from scipy.sparse import csc_array

        stop = self.shape[0] if stop is None else stop
        blocks = range(start // self.chunks[0], -(-stop // self.chunks[0]))
        pieces: list[tuple[NDArray[Any], NDArray[np.intp], NDArray[np.int64], NDArray[np.float32]]] = []
        sizes = np.zeros(len(columns), np.int64)
        for of_chunk in np.unique(columns // self.chunk).tolist():
            places = np.flatnonzero(columns // self.chunk == of_chunk)
            for block in blocks:
                piece = self._entries(block, of_chunk, columns[places] % self.chunk, start, stop)
                sizes[places] += piece[0]
                pieces.append((piece[0], places, *piece[1:]))
        ptr = np.concatenate([[0], np.cumsum(sizes)])
        indices = np.empty(int(ptr[-1]), np.int64 if stop - start >= 2**31 else np.int32)
        values, free = np.empty(int(ptr[-1]), np.float32), ptr[:-1].copy()
        for lengths, places, rows, found in pieces:
            own = np.arange(len(rows)) + np.repeat(free[places] - (np.cumsum(lengths) - lengths), lengths)
            indices[own], values[own] = rows, found
            free[places] += lengths
        parts: Any = values, indices, ptr
        return csc_array(parts, shape=(stop - start, len(columns)))

    def _entries(
        self, block: int, of_chunk: int, local: NDArray[np.intp], start: int, stop: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """What some columns of a chunk have between two rows: how many each, rows from ``start`` on, and values."""
        name, first = f"{self.folder}/c/{block}/{of_chunk}", block * self.chunks[0]
        n_rows = min(self.chunks[0], self.shape[0] - first)
        starts, rows, values = chunk_entries(self._files.read(name), self._files.store / name, self.chunks, n_rows)
        if not np.array_equal(local, np.arange(self.chunk)):
            lengths = np.diff(starts)[local]
            taken = np.arange(int(lengths.sum())) + np.repeat(starts[local] - (np.cumsum(lengths) - lengths), lengths)
            rows, values = rows[taken], values[taken]
        else:
            lengths = np.diff(starts)
        places = rows.astype(np.int64) + first
        within = (places >= start) & (places < stop)
        if not within.all():
            ends = np.concatenate([[0], np.cumsum(within)])[np.concatenate([[0], np.cumsum(lengths)])]
            lengths, places, values = np.diff(ends), places[within], values[within]
        return lengths, places - start, values

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> csc_array:
        """Read rows, or rows and columns, each given by a slice or an array of indices; a range of rows is quick."""
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        wanted = np.arange(self.shape[1])[columns]
        if isinstance(rows, slice) and rows.step in (None, 1):
            start, stop, _ = rows.indices(self.shape[0])
            return self.columns(wanted, start, max(start, stop))
        chosen: csc_array = self.columns(wanted)[rows]
        return chosen

    def __reduce__(self) -> tuple[Any, ...]:
        return SparseStoreMatrix, (self.folder, self._files, self.shape, self.chunks)
