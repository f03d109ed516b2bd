"""Reading labelled objects of any library, so that the ids and names that they carry are never dropped.

Tables, series and arrays of pandas, polars, Arrow and xarray, and whatever else exports Arrow, become pandas objects,
whose index and columns are ids and names; tensors and sparse matrices become arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import some
from neuronym.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_frame", "is_mapping", "is_sparse", "labels_of", "listed", "named", "to_array", "to_pandas", "to_sparse"]


def to_pandas(given: Any, what: str, error: type[InputError]) -> Any:
    """A labelled object as a DataFrame or Series; None for arrays, tensors, lists and other objects without labels.

    Parameters
    ----------
    given : object
        Any object.
    what : str
        What it should contain, for messages.
    error : type of InputError
        The error to raise.

    Returns
    -------
    DataFrame, Series or None
        The same values with the same labels.

    Raises
    ------
    InputError
        If it has labels that no table can carry.
    """
    pd: Any = sys.modules.get("pandas")  # nothing is of a library that is not loaded
    if pd is not None and isinstance(given, pd.DataFrame | pd.Series):
        return given
    if pd is not None and isinstance(given, pd.Index):
        return pd.Series(given.to_numpy(), name=given.name)
    if isinstance(given, np.ndarray):
        return _of_records(given) if given.dtype.names and given.ndim == 1 else None
    if isinstance(given, list | tuple):
        rows = pd is not None and bool(given) and all(isinstance(row, pd.Series) for row in given)
        return pd.DataFrame(list(given)) if pd is not None and rows else None
    if _is_of(given, "xarray"):
        return _of_xarray(given, what, error)
    if isinstance(given, Mapping | str | bytes) or _is_tensor(given):
        return None
    if _is_of(given, "datasets") and hasattr(given, "column_names"):
        raise error(
            f"{what} are given as a data set: name its columns, as in neuronym.io.from_dataset(dataset, columns)"
        )
    return _of_another_library(given)


def _of_records(given: NDArray[Any]) -> pd.DataFrame:
    """A structured array, whose fields are columns."""
    import pandas as pd

    return pd.DataFrame.from_records(given)


def _of_another_library(given: Any) -> pd.DataFrame | pd.Series[Any] | None:
    """A table or column of polars, Arrow, Dask, cuDF or any library that exports Arrow; None for anything else."""
    if not any(hasattr(given, name) for name in ("collect", "compute", "to_pandas", "__arrow_c_stream__")):
        return None
    import pandas as pd
    import pyarrow as pa

    if _is_of(given, "polars", "dask", "dask_expr"):
        for compute in ("collect", "compute"):  # of a lazy frame
            given = getattr(given, compute)() if hasattr(given, compute) else given
    if hasattr(given, "to_pandas"):
        found = given.to_pandas()
    elif hasattr(given, "__arrow_c_stream__"):
        found = pa.table(given).to_pandas()
    else:
        return None
    return found if isinstance(found, pd.DataFrame | pd.Series) else None


def _of_xarray(given: Any, what: str, error: type[InputError]) -> pd.DataFrame | pd.Series[Any]:
    """A DataArray or Dataset; its first dimension is that of samples."""
    import pandas as pd

    if not hasattr(given, "dims") or not hasattr(given, "indexes"):
        raise error(f"{what} must be an array or a table, not {type(given).__name__}")
    if hasattr(given, "data_vars"):
        if len(given.dims) != 1:
            raise error(f"{what} from a Dataset must have one dimension, that of samples, not {some(given.dims)}")
        found: pd.DataFrame = given.to_dataframe()[list(given.data_vars)]
        first = next(iter(given.data_vars.values()))
        index = _row_labels(first, what, error)
        return found if index is None else found.set_axis(index, axis=0)
    dims = [str(dim) for dim in given.dims]
    if any(dim.lower() in ("sample", "samples") for dim in dims[1:]):
        raise error(
            f"{what} must have samples as the first dimension, but the dimensions are {some(dims)}: transpose the array"
        )
    if not 1 <= len(dims) <= 2:
        raise error(f"{what} must have two axes, not {len(dims)} ({some(dims)})")
    index = _row_labels(given, what, error)
    if len(dims) == 1:
        return pd.Series(given.to_numpy(), index=index, name=given.name)
    return pd.DataFrame(given.to_numpy(), index=index, columns=given.indexes.get(given.dims[1]))


def _row_labels(given: Any, what: str, error: type[InputError]) -> Any:
    """The index of the first dimension, or else its only other coordinate."""
    index = given.indexes.get(given.dims[0])
    others = [name for name, one in given.coords.items() if one.dims == (given.dims[0],) and name not in given.dims]
    if index is None and len(others) > 1:
        raise error(
            f"{what} have several coordinates along {str(given.dims[0])!r} ({some(map(str, others))}): choose one as "
            f"ids with set_index({given.dims[0]}=…)"
        )
    return index if index is not None or not others else given.coords[others[0]].to_index()


def as_frame(given: Any, what: str, error: type[InputError]) -> pd.DataFrame | None:
    """A labelled object as a DataFrame, a Series as one column; None if it has no labels."""
    found = to_pandas(given, what, error)
    if found is None or found.ndim == 2:
        return found  # type: ignore[no-any-return]
    unnamed = found.name is None or str(found.name) == ""  # as polars names a column without a name
    frame: pd.DataFrame = found.to_frame("0" if unnamed else found.name)
    return frame.set_axis(range(1), axis=1) if unnamed else frame


def labels_of(index: Any) -> list[object] | None:
    """The labels of a pandas index; None if they are just the row numbers 0, 1, 2, … in this order."""
    if index.dtype.kind in "iu" and np.array_equal(index.to_numpy(), np.arange(len(index))):
        return None
    return list(index)


def listed(given: Any, what: str, error: type[InputError]) -> tuple[list[object], list[object] | None]:
    """The values of a one-dimensional object in their order, and the labels that it gives them, if any.

    Parameters
    ----------
    given : iterable
        A list, array, tensor, Series or column of any library; or a mapping, whose keys are the labels.
    what : str
        What the values are, for messages.
    error : type of InputError
        The error to raise.

    Returns
    -------
    values : list
        The values, as Python objects.
    labels : list or None
        A label for each value: the keys, or an index other than 0, 1, 2, ….

    Raises
    ------
    InputError
        If it has no order, or more than one dimension.
    """
    if is_mapping(given):
        return list(given.values()), list(given)
    if isinstance(given, set | frozenset):
        raise error(f"{what} must be in order, but a set has none: give a list")
    if isinstance(given, str | bytes) or not (isinstance(given, Iterable) or hasattr(given, "__array__")):
        raise error(f"{what} must be a list, not {given!r}")
    found = to_pandas(given, what, error)
    if found is not None and found.ndim == 2:
        if found.shape[1] != 1:
            raise error(f"{what} must be one column, not a table of {found.shape[1]}: give the column")
        found = found.iloc[:, 0]
    if found is not None:
        return found.tolist(), labels_of(found.index)
    if _is_tensor(given) or hasattr(given, "__array__"):
        array = to_array(given, what, error)
        if array.ndim != 1:
            raise error(f"{what} must have one axis, not shape {array.shape}")
        return array.tolist(), None
    values = list(given)
    if set(map(type, values)) <= {str, int, float, bool, bytes}:
        return values, None
    values = [value.item() if _is_tensor(value) and value.ndim == 0 else value for value in values]
    return [value.as_py() if hasattr(value, "as_py") else value for value in values], None  # of Arrow


def named(
    names: Any, n: int, what: str, error: type[InputError], *, own: Sequence[object] | None = None
) -> list[object] | None:
    """One name per column, from a list, or from a mapping or Series that is looked up by its keys.

    Parameters
    ----------
    names : iterable, mapping or None
        The names in the order of the columns; or names by column number (also as text, as JSON has it) or by the
        table's own name of the column; or column numbers by name, as in ``label2id``.
    n : int
        The number of columns.
    what : str
        What has the names, for messages.
    error : type of InputError
        The error to raise.
    own : sequence or None, default None
        The names that the table itself carries.

    Returns
    -------
    list or None
        The names; those of the table if ``names`` is None.

    Raises
    ------
    InputError
        If keys fit neither, or the names are the table's own in another order.
    """
    if names is None:
        return None if own is None else list(own)
    values, keys = listed(list(names) if isinstance(names, str) else names, f"names of {what}", error)
    odd = [value for value in values if isinstance(value, list | tuple | dict | set)]
    if odd:
        raise error(f"names of {what} must be texts or numbers, not {odd[0]!r}")
    if keys is not None and (isinstance(names, Mapping) or set(map(str, keys)) == set(map(str, range(n)))):
        values = _looked_up(dict(zip(keys, values, strict=True)), n, what, error, own)
    mine = [str(name) for name in own or ()]
    texts = [str(value) for value in values]
    if mine and texts != mine and any(t in mine and t != m for t, m in zip(texts, mine, strict=False)):
        raise error(
            f"names of {what} ({some(texts)}) are those of the table ({some(mine)}) in another order: leave names out, "
            "or reorder the columns"
        )
    return values


def _looked_up(
    by_key: Mapping[Any, Any], n: int, what: str, error: type[InputError], own: Sequence[object] | None
) -> list[object]:
    """The names of columns 0 … n − 1 in a mapping."""
    by_text = {str(key): value for key, value in by_key.items()}
    fitting = []
    for columns in ([str(name) for name in own or ()], [str(c) for c in range(n)]):
        if columns and len(by_text) == n and all(column in by_text for column in columns):
            fitting.append([by_text[column] for column in columns])
    if len(fitting) > 1 and fitting[0] != fitting[1]:
        raise error(
            f"names of {what} are a mapping whose keys ({some(by_key)}) may be the names of the table's columns or "
            "their numbers, which differ: rename the columns of the table instead"
        )
    if fitting:
        return fitting[0]
    turned = inverted(by_key)
    if turned is not None and set(turned) == set(range(n)):
        return [turned[c] for c in range(n)]
    raise error(
        f"names of {what} are a mapping with {len(by_key)} keys ({some(by_key)}): it must map each of the column "
        f"numbers 0 to {n - 1} to a name; or give a list in the order of the columns"
    )


def inverted(by_key: Mapping[Any, Any]) -> dict[int, Any] | None:
    """Numbers by name, as in ``label2id``, as names by number; None if the mapping is not of this kind."""
    by_number = {int(number): key for key, number in by_key.items() if isinstance(number, int | np.integer)}
    return by_number if len(by_number) == len(by_key) and all(isinstance(key, str) for key in by_key) else None


def is_mapping(given: Any) -> bool:
    """Whether an object maps keys to values, and is no data set of xarray or sparse matrix, which do so too."""
    return isinstance(given, Mapping) and not _is_of(given, "xarray") and not is_sparse(given)


def is_sparse(given: Any) -> bool:
    """Whether an object is a sparse matrix of scipy, or a sparse tensor of torch."""
    return hasattr(given, "tocsc") or (_is_tensor(given) and str(given.layout) != "torch.strided")


def to_sparse(given: Any) -> Any:
    """A sparse matrix or tensor as a scipy sparse array."""
    from scipy.sparse import coo_array

    if hasattr(given, "tocsc"):
        return given
    tensor = given.detach().cpu().to_sparse_coo().coalesce()
    if tensor.sparse_dim() != tensor.ndim:  # some dimensions are dense
        tensor = tensor.to_dense().to_sparse().coalesce()
    values, places = _of_tensor(tensor.values()), tuple(tensor.indices().numpy())
    if values.dtype == np.float16:  # which scipy's matrices cannot hold
        values = values.astype(np.float32)
    return coo_array((values, places), shape=tuple(tensor.shape))


def to_array(given: Any, what: str, error: type[InputError]) -> NDArray[Any]:
    """Any array, tensor, sparse matrix or nested list as a numpy array of the same values.

    Parameters
    ----------
    given : array, tensor, sparse matrix or sequence
        A tensor may be of any type, on any device, with gradients or sparse. Types that numpy lacks, such as bfloat16
        and float8, become float32, which represents all of their values.
    what : str
        What it contains, for messages.
    error : type of InputError
        The error to raise.

    Returns
    -------
    array
        The values; a memory map stays one.

    Raises
    ------
    InputError
        If it is no array, or its rows differ in length.
    """
    if isinstance(given, np.memmap):
        return given
    try:
        if isinstance(given, list | tuple) and any(_is_tensor(part) for part in given):
            array = np.array([to_array(part, what, error) for part in given])
        elif _is_tensor(given):
            array = _of_tensor(given)
        elif hasattr(given, "tocsc"):
            array = given.toarray()
        elif hasattr(given, "todense") and not isinstance(given, np.matrix):  # of the library sparse
            array = given.todense()
        elif _is_of(given, "cupy"):
            array = given.get()
        else:
            array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as cause:  # as libraries say that they cannot
        raise error(
            f"{what} must be an array, samples × columns, with rows of equal length, but a {type(given).__name__} "
            f"cannot be read as one ({str(cause).splitlines()[0] if str(cause) else type(cause).__name__})"
        ) from cause
    lacks = array.dtype.kind == "V" and array.dtype.names is None and array.dtype.name.startswith(("bfloat", "float"))
    return array.astype(np.float32) if lacks else array


def _of_tensor(tensor: Any) -> NDArray[Any]:
    """A torch tensor as an array."""
    import torch

    plain = tensor.detach()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    plain = plain.cpu().resolve_conj().resolve_neg()
    if plain.dtype.is_floating_point and plain.dtype not in (torch.float16, torch.float32, torch.float64):
        plain = plain.float()
    return np.asarray(plain.numpy())


def _is_tensor(given: Any) -> bool:
    """Whether an object is a tensor of torch, or of a class derived from it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.Tensor)


def _is_of(given: Any, *libraries: str) -> bool:
    """Whether the class of an object, or one that it derives from, is of one of these libraries."""
    return any(kind.__module__.partition(".")[0] in libraries for kind in type(given).__mro__)
