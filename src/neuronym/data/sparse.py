"""Sparse matrices of activations: columns of what is not zero, as ``scipy.sparse.csc_array``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array
    from typing_extensions import TypeIs

    Block = NDArray[Any] | csc_array

__all__ = ["as_columns", "column", "columns_of", "dense", "extremes", "in_parts", "is_csc", "not_finite"]


def is_csc(block: Any) -> TypeIs[csc_array]:
    """Whether a block of activations is sparse."""
    return getattr(block, "format", None) == "csc"


def as_columns(matrix: Any) -> csc_array:
    """A sparse matrix of scipy (or one with ``tocsc``) by columns, with sorted rows and each entry once.

    Parameters
    ----------
    matrix : sparse matrix of shape (n_samples, n_columns) or (n_samples,)
        In any format; entries that are given several times are added up, as scipy does. It stays as it is.

    Returns
    -------
    csc_array of shape (n_samples, n_columns)
        Shares memory with a matrix that has this form already.
    """
    from scipy.sparse import coo_array, csc_array

    if matrix.ndim == 1:
        flat = coo_array(matrix)
        places = flat.coords[0]
        matrix = coo_array((flat.data, (places, np.zeros_like(places))), shape=(flat.shape[0], 1))
    found = csc_array(matrix.tocsc())
    if not found.has_canonical_format:
        found = found.copy()
        found.sum_duplicates()
    return found


def column(block: Block, j: int) -> NDArray[Any]:
    """One column of a block with all its samples.

    Parameters
    ----------
    block : array or csc_array of shape (n_samples, n_columns)
        Activations.
    j : int
        The column.

    Returns
    -------
    array of shape (n_samples,)
        The activations.
    """
    if not is_csc(block):
        return np.asarray(block[:, j])
    found = np.zeros(block.shape[0], block.dtype)
    own = slice(block.indptr[j], block.indptr[j + 1])
    found[block.indices[own]] = block.data[own]
    return found


def columns_of(matrix: csc_array, columns: NDArray[np.intp]) -> csc_array:
    """Select columns of a sparse matrix.

    Parameters
    ----------
    matrix : csc_array of shape (n_samples, n_all)
        The matrix.
    columns : int array of shape (n_columns,)
        Which of its columns.

    Returns
    -------
    csc_array of shape (n_samples, n_columns)
        A view if the columns are consecutive.
    """
    from scipy.sparse import csc_array

    first, width = (int(columns[0]), len(columns)) if len(columns) else (0, 0)
    if not np.array_equal(columns, np.arange(first, first + width)):
        return matrix[:, columns]
    ptr = matrix.indptr[first : first + width + 1]
    own = slice(int(ptr[0]), int(ptr[-1])) if width else slice(0)
    parts = (matrix.data[own], matrix.indices[own], ptr - ptr[0] if width else np.zeros(1, np.intp))
    return csc_array(parts, shape=(matrix.shape[0], width))


def dense(block: Block) -> NDArray[Any]:
    """A small block as an array, such as the outputs of a network for a few classes.

    Parameters
    ----------
    block : array or csc_array of shape (n_samples, n_columns)
        Activations.

    Returns
    -------
    array of shape (n_samples, n_columns)
        The same activations.
    """
    found: NDArray[Any] = np.asarray(block.toarray() if hasattr(block, "toarray") else block)
    return found


def in_parts(block: Block) -> Iterator[NDArray[Any]]:
    """Give a block to what needs the value of each sample: as it is or, if it is sparse, column by column.

    Parameters
    ----------
    block : array or csc_array of shape (n_samples, n_columns)
        Activations.

    Yields
    ------
    array of shape (n_samples, n_columns) or (n_samples, 1)
        The block, or each of its columns.
    """
    if is_csc(block):
        yield from (column(block, j)[:, np.newaxis] for j in range(block.shape[1]))
    else:
        yield block


def extremes(block: Block) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count how often each column has its lowest and its highest value.

    Parameters
    ----------
    block : array or csc_array of shape (n_samples, n_columns)
        Activations.

    Returns
    -------
    tuple of two int64 arrays of shape (n_columns,)
        The counts.
    """
    if not is_csc(block):
        return tuple((block == end).sum(axis=0) for end in (block.min(axis=0), block.max(axis=0)))
    n_samples, n_columns = block.shape
    found = np.zeros((2, n_columns), np.int64)
    for j in range(n_columns):
        own = block.data[block.indptr[j] : block.indptr[j + 1]]
        shown = own[own != 0]
        n_zeros = n_samples - len(shown)
        for k, end in enumerate((shown.min, shown.max) if len(shown) else ()):
            value = end() if not n_zeros else (min, max)[k](end(), 0)
            found[k, j] = np.count_nonzero(shown == value) if value != 0 else n_zeros
        if not len(shown):
            found[:, j] = n_zeros
    return found[0], found[1]


def not_finite(block: Block) -> NDArray[np.int64]:
    """How many values of each column of a block are NaN or infinite: int64 array of shape (n_columns,)."""
    if block.dtype.kind != "f":
        return np.zeros(block.shape[1], np.int64)
    if not is_csc(block):
        return np.asarray(np.count_nonzero(~np.isfinite(block), axis=0), np.int64)
    broken = np.flatnonzero(~np.isfinite(block.data))
    of_column = np.searchsorted(block.indptr, broken, "right") - 1
    return np.bincount(of_column, minlength=block.shape[1]).astype(np.int64)
