"""Opening and saving files of activations and concepts."""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import kind_of, reading, writing
from neuronym._util.limits import check_unpacked
from neuronym._util.messages import counted, some
from neuronym._util.text_tables import TextTable
from neuronym.data.activations import Activations, side_by_side
from neuronym.data.binary import columns_of_pairs
from neuronym.data.concepts import Concepts
from neuronym.data.grids import grid_of
from neuronym.data.ids import SAMPLE, find_id_column, is_called_like_ids, is_file_name, is_missing, long_columns
from neuronym.data.yes_no import as_bool
from neuronym.errors import ActivationsError, ConceptsError, FileError
from neuronym.io.formats import FORMATS, open_format, sparse_members, split_inner
from neuronym.io.tables import (
    TABLES,
    is_list,
    is_nested,
    is_number,
    metadata,
    read_csv,
    read_parquet,
    read_table,
    split_ids,
)
from neuronym.io.zarr_store import open_layers, split_path
from neuronym.types import Negative, PathLike, Unknown

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["open_activations", "open_concepts", "save_activations", "save_concepts"]

ACTIVATIONS = (".npy", ".npz", ".csv", ".parquet")
READ = (".npy", ".npz", *TABLES, *FORMATS)

_METADATA = "neuronym"


def open_activations(
    path: PathLike, *, sample_ids: Iterable[object] | None = None, id_column: str | None = None
) -> Activations:
    """Open a file of activations, samples × neurons.

    - ``store.zarr/layer``: a layer of a Zarr store, read a block of neurons at a time; ``store.zarr`` is enough for a
      store with a single layer.
    - ``.npy``: a matrix, memory-mapped, so it never has to fit in memory.
    - ``.npz``: the matrix ``activations`` (or the only array), or a sparse matrix as ``scipy.sparse.save_npz`` writes
      it, with the names ``neurons`` and the ids ``sample_ids`` if present.
    - ``.safetensors``: a tensor. The shards of sparse latents that delphi caches, ``FIRST_LAST.safetensors`` with
      ``activations``, ``locations`` and ``tokens``, or their folder: samples are tokens, with the ids
      ``sequence#position``, sequences their clusters, and latents have their numbers as names.
    - ``.h5ad``, of AnnData: X, dense or sparse, or a layer, with the names of obs as ids and those of var as names.
    - ``.h5`` and ``.hdf5``: a data set, or a sparse matrix as AnnData encodes it.
    - ``.pt`` and ``.pth``: a tensor, dense or sparse, or a dict of tensors; Python objects are never unpickled.
    - ``.csv``, ``.tsv``, ``.txt`` and ``.parquet``: one column per neuron, with its name as header, and sample ids. In
      text, cells are separated by commas, semicolons, tabs, bars or, in ``.txt``, white space.

    In a file of several matrices, ``FILE/NAME`` is one of them, such as ``cells.h5ad/layers/counts``.

    Parameters
    ----------
    path : str or Path
        The file, a matrix in it, or a Zarr store or layer.
    sample_ids : iterable or None, default None
        One distinct id per sample; they replace those in the file.
    id_column : str or None, default None
        The column of a table that holds the sample ids. None means a first column ``sample``; else, with a warning, a
        column of ids that are all different, such as ``image_id`` or texts in the first column.

    Returns
    -------
    Activations
        The activations, on disk for ``.npy`` and Zarr.

    Raises
    ------
    FileError
        If the file is missing, broken or of another kind. Python objects in a file are never unpickled.
    ActivationsError
        If the contents cannot be used.
    """
    if split_path(path) is not None:
        layers = open_layers(path)
        if len(layers) > 1:
            raise FileError(
                f"{str(path)!r} contains {len(layers)} layers ({some(layers)}): choose one, as in {path}/LAYER"
            )
        (opened,) = layers.values()
        return opened if sample_ids is None else opened.replace(sample_ids=sample_ids)
    if split_inner(path) is not None:
        opened = open_format(path)
        return opened if sample_ids is None else opened.replace(sample_ids=sample_ids)
    kind = _kind(path)
    if kind == ".npy":
        return Activations(_mapped(path), sample_ids=sample_ids)
    if kind == ".npz":
        opened = _from_npz(path)
    else:
        table = read_parquet(path, "activations") if kind == ".parquet" else _text_numbers(path, id_column)
        opened = _from_table(table, path, id_column)
    return opened if sample_ids is None else opened.replace(sample_ids=sample_ids)


def _kind(path: PathLike) -> str:
    """The suffix of a file of activations; the error for another says how to convert it."""
    try:
        return kind_of(path, READ, "activations")
    except FileError as error:
        raise FileError(
            f"{error}; convert it with numpy.save(…) to .npy, or a sparse matrix with scipy.sparse.save_npz(…) to .npz"
        ) from None


def _mapped(path: PathLike) -> NDArray[Any]:
    """The memory-mapped matrix of an .npy file."""
    with reading(path, "activations"):
        try:
            return np.lib.format.open_memmap(path, mode="r")
        except ValueError as error:
            if "Python objects" in str(error):
                raise _python_objects(path) from error
            raise


def _python_objects(path: PathLike) -> FileError:
    """The error for a file of pickled objects."""
    return FileError(
        f"cannot read activations from {str(path)!r}: it contains Python objects, which are never unpickled: "
        "save an array of numbers"
    )


def _from_npz(path: PathLike) -> Activations:
    """The activations of an .npz file."""
    with _unpacking(path), open(path, "rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileError(f"cannot read activations from {str(path)!r}: it is not an .npz archive")
        known = archive.files
        sparse = {"format", "shape", "data"} <= {*known}
        if "activations" not in known and len(known) != 1 and not sparse:
            raise FileError(
                f"cannot read activations from {str(path)!r}: it must contain an array named activations, "
                f"but contains {some(known) or 'no array'}"
            )
        members = archive.zip.infolist() if archive.zip else []
        check_unpacked(path, "activations", sum(one.file_size for one in members))
        if sparse:
            matrix: Any = sparse_members(path, {name: partial(archive.__getitem__, name) for name in known})
        else:
            matrix = archive["activations" if "activations" in known else known[0]]
        names = archive["neurons"] if "neurons" in known else None
        ids = archive["sample_ids"] if "sample_ids" in known else None
    for name, array in (("neurons", names), ("sample_ids", ids)):
        if array is not None and array.ndim != 1:
            raise FileError(
                f"cannot read activations from {str(path)!r}: {name} must have one axis, not shape {array.shape}"
            )
    return Activations(
        matrix, None if names is None else names.tolist(), sample_ids=None if ids is None else ids.tolist()
    )


@contextmanager
def _unpacking(path: PathLike) -> Iterator[None]:
    """Turn numpy's errors about broken archives and Python objects into a ``FileError``."""
    from zipfile import BadZipFile
    from zlib import error as ZlibError  # noqa: N812

    with reading(path, "activations"):
        try:
            yield
        except (BadZipFile, ZlibError) as error:
            raise FileError(f"cannot read activations from {str(path)!r}: the archive is broken ({error})") from error
        except MemoryError as error:
            raise FileError(f"cannot read activations from {str(path)!r}: its header is broken ({error})") from error
        except ValueError as error:
            if "pickle" in str(error):
                raise _python_objects(path) from error
            raise


def _from_table(table: pa.Table, path: PathLike, id_column: str | None) -> Activations:
    """The activations of a table with one column per neuron."""
    import pyarrow as pa

    ids, places = split_ids(table, "activations", ActivationsError, id_column)
    listed_names = table.column_names
    names = [listed_names[place] for place in places]
    columns = [_as_numbers(table.column(place)) for place in places]
    wrong = [name for name, c in zip(names, columns, strict=True) if not is_number(c.type)]
    if wrong:
        raise ActivationsError(
            f"no numbers in {counted(len(wrong), 'column')} of {str(path)!r} ({some(wrong)}): if sample ids are in "
            f"{wrong[0]!r}, name the column sample and put it first"
        )
    arrays = [(c.cast(pa.uint8()) if pa.types.is_boolean(c.type) and c.null_count else c).to_numpy() for c in columns]
    return Activations(side_by_side(arrays, table.num_rows), names, sample_ids=ids)


def _as_numbers(column: Any) -> Any:
    """A column of texts as numbers, if all are."""
    import pyarrow as pa

    if pa.types.is_string(column.type):
        for kind in (pa.int64(), pa.float64()):
            with suppress(pa.ArrowInvalid):
                return column.cast(kind)
    return column


def _text_numbers(path: PathLike, id_column: str | None) -> pa.Table:
    """A text table of numbers: integers if all are, else floats; columns that may hold ids are text."""
    import pyarrow as pa

    def kinds(table: TextTable, number: Any) -> list[Any]:
        columns = [[row[c] for row in table.shown if c < len(row)] for c in range(len(table.names))]
        return [
            pa.string()
            if name in (SAMPLE, "", "Unnamed: 0", id_column)
            or is_called_like_ids(name)
            or any(map(is_file_name, cells))
            or (c == 0 and not all(map(_NUMBER.fullmatch, cells)))
            else number
            for c, (name, cells) in enumerate(zip(table.names, columns, strict=True))
        ]

    try:
        table = read_csv(path, "activations", lambda table: kinds(table, pa.int64()))
    except FileError:  # floats cannot represent integers above 2⁵³
        return read_csv(path, "activations", lambda table: kinds(table, pa.float64()))
    if any(table.column(c).null_count for c, kind in enumerate(table.schema.types) if kind == pa.int64()):
        return read_csv(path, "activations", lambda table: kinds(table, pa.float64()))
    return table


_NUMBER = re.compile(
    r"(?i)\s*+([-+]?(\d++[.,]?\d*|[.,]\d+)(e[-+]?\d+)?|[-+]?(nan|inf(inity)?)|null|n/?a|true|false)?\s*"
)


def save_activations(activations: Activations, path: PathLike, *, overwrite: bool = False) -> None:
    """Save activations to a file that ``open_activations`` reads back.

    The write is atomic: the file is complete or absent.

    Parameters
    ----------
    activations : Activations
        The activations.
    path : str or Path
        A file that ends in ``.npy``, ``.npz``, ``.csv`` or ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, cannot be written, or cannot represent the activations: ``.npy``
        stores neither names nor ids.
    """
    kind = kind_of(path, ACTIVATIONS, "activations")
    if grid_of(activations.axes) is not None:
        raise FileError(
            f"{str(path)!r} cannot store maps, whose columns are positions: collect them into a store, "
            "out='maps.zarr', or pool them first, as in neuronym.data.Maps.of(activations).pooled()"
        )
    if activations.sparse and kind != ".npz":
        raise FileError(f"{str(path)!r} cannot store sparse activations: save as .npz")
    named = list(activations.names) != list(range(activations.n_neurons))
    if kind == ".npy" and (named or activations.sample_ids is not None):
        raise FileError(f"{str(path)!r} cannot store names and sample ids: save as .npz or .parquet")
    with writing(path, overwrite) as temporary:
        if kind == ".npy":
            with open(temporary, "wb") as file:
                np.save(file, np.asanyarray(activations.matrix), allow_pickle=False)
        elif kind == ".npz":
            arrays: dict[str, NDArray[Any]] = _members(activations)
            if named:
                arrays["neurons"] = _texts(map(str, activations.names), path)
            if activations.sample_ids is not None:
                arrays["sample_ids"] = _texts(activations.sample_ids, path)
            with open(temporary, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        else:
            _save_table(activations, temporary, kind, path)


def _members(activations: Activations) -> dict[str, NDArray[Any]]:
    """The matrix as arrays of an .npz: one, or those that ``scipy.sparse.load_npz`` reads."""
    if not activations.sparse:
        return {"activations": np.asarray(activations.matrix)}
    matrix: Any = activations.block(activations.indices())
    parts = {name: getattr(matrix, name) for name in ("data", "indices", "indptr")}
    return {**parts, "shape": np.array(matrix.shape), "format": np.array(b"csc")}


def _texts(texts: Iterable[str], path: PathLike) -> NDArray[Any]:
    """Texts as an array of numpy strings, which cannot end in NUL."""
    listed = list(texts)
    array = np.array(listed, dtype=np.str_)
    if array.tolist() != listed:
        raise FileError(f"{str(path)!r} cannot store a name that ends in a NUL character: save as .parquet")
    return array


def _save_table(activations: Activations, temporary: Path, kind: str, path: PathLike) -> None:
    """Write activations as Parquet or CSV."""
    names = [str(name) for name in activations.names]
    matrix = np.asarray(activations.matrix)
    ids = activations.sample_ids
    _refuse_read_as_ids(names, matrix, ids is not None, kind, path)
    if kind == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as parquet

        columns = [pa.array(np.ascontiguousarray(matrix[:, j])) for j in range(len(names))]
        if ids is not None:
            columns, names = [pa.array(ids, pa.string()), *columns], [SAMPLE, *names]
        parquet.write_table(pa.Table.from_arrays(columns, names=names), temporary)
        return
    whole = matrix.dtype.kind in "bui"
    if whole and matrix.size and int(matrix.max()) >= 2**63:
        raise FileError(f"{str(path)!r} cannot store integers of 2⁶³ or more: save as .parquet")
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerow(names if ids is None else [SAMPLE, *names])
        writer = csv.writer(file)
        for i in range(len(matrix)):
            row = (matrix[i].astype(np.int64) if whole else matrix[i].astype(np.float64)).tolist()
            writer.writerow(row if ids is None else [ids[i], *row])


def _refuse_read_as_ids(names: Sequence[str], matrix: NDArray[Any], has_ids: bool, kind: str, path: PathLike) -> None:
    """Refuse names of neurons that ``open_activations`` would take for those of a column of sample ids."""

    def cells(c: int, limit: int | None) -> list[object]:
        called = is_called_like_ids(names[c]) or names[c] == "Unnamed: 0"
        whole = matrix.dtype.kind in "iu" or kind == ".csv"
        return list(map(repr, matrix[:limit, c].tolist())) if called and whole else []

    wrong = None
    if has_ids:
        wrong = SAMPLE if kind == ".parquet" and SAMPLE in names else None  # Arrow reads no two columns of a name
    elif names[:1] == [SAMPLE]:
        wrong = SAMPLE
    else:
        with warnings.catch_warnings(action="ignore"):
            place, others = find_id_column(names, cells, f"the neurons of {str(path)!r}", FileError)
        wrong = None if place is None and len(others) == len(names) else names[place or 0]
    if wrong is not None:
        raise FileError(
            f"{str(path)!r} cannot store a neuron named {wrong}, which would be read as sample ids: rename it, or save "
            "as .npz"
        )


def open_concepts(
    path: PathLike,
    *,
    id_column: str | None = None,
    unknown: Unknown = "error",
    blank: Unknown | None = None,
    negative: Negative | None = None,
) -> Concepts:
    """Open a file of concepts, ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``.

    - A file from ``save_concepts``, or any Parquet file with a column ``concepts`` of lists of names.
    - *Long*: exactly the columns ``sample, concept``, one row for each concept that is true of a sample.
    - *Multi-hot*: one column of true/false, yes/no or 1/0 per concept (any number that equals 1 or 0), and sample ids.

    In text, cells are separated by commas, semicolons, tabs, bars or, in ``.txt``, white space.

    Parameters
    ----------
    path : str or Path
        The file.
    id_column : str or None, default None
        The column that holds the sample ids. None means a first column ``sample``; else, with a warning, a column of
        ids that are all different, such as ``image_id`` or texts in the first column.
    unknown : {"error", "no", "drop"}, default "error"
        How to treat a value that is neither yes nor no: raise, count it as no, or drop its sample.
    blank : {"error", "no", "drop"} or None, default None
        How to treat an empty cell; None means as ``unknown``.
    negative : {"error", "no", "yes", "drop"} or None, default None
        How to treat −1. None means as ``unknown``; but if there are only −1 and 1, −1 is no, with a warning.

    Returns
    -------
    Concepts
        The concepts.

    Raises
    ------
    FileError
        If the file is missing, broken or of another kind.
    ConceptsError
        If the contents cannot be used.
    """
    table = read_table(path, "concepts")
    return concepts_of(table, path, id_column, None, unknown=unknown, blank=blank, negative=negative)


def concepts_of(
    table: pa.Table, path: PathLike, id_column: str | None, separator: str | None, **reading: Any
) -> Concepts:
    """The concepts of a table in any form; in a long one, a cell may hold several."""
    names = table.column_names
    if names in (["concepts"], [SAMPLE, "concepts"], ["concepts", SAMPLE]) and is_list(table["concepts"].type):
        return _from_lists(table, path)
    long = long_columns(names, lambda c: table.column(c).to_pylist())
    if long is not None:
        samples, cells = (table.column(c).to_pylist() for c in long)
        if separator is not None:
            parts = [sorted(labels_in(cell, separator)) or [""] for cell in cells]
            samples = [sample for sample, part in zip(samples, parts, strict=True) for _ in part]
            cells = [label for part in parts for label in part]
        return Concepts.from_long(samples, cells)
    lists = [name for name, kind in zip(names, table.schema.types, strict=True) if is_nested(kind)]
    if lists:
        raise FileError(
            f"cannot read concepts from {str(path)!r}: the column {lists[0]!r} contains lists or records: "
            "a column of lists of names must be called concepts, with no other column than sample"
        )
    ids, places = split_ids(table, "concepts", ConceptsError, id_column)
    return multi_hot(table.select(places), ids, **reading)


def labels_in(cell: object, separator: str | None) -> set[str]:
    """The labels in a cell; a missing or empty one has none."""
    if is_missing(cell):
        return set()
    return {str(cell)} if separator is None else {part.strip() for part in str(cell).split(separator) if part.strip()}


def multi_hot(table: pa.Table, ids: list[str] | None, **reading: Any) -> Concepts:
    """The concepts of a table with one column per concept."""
    names = table.column_names
    columns = [_yes_no(column) for column in table.columns]
    invalid = [c for c, column in enumerate(columns) if column.dtype == object]
    texts = {value for value in columns[0] if isinstance(value, str)} if len(names) == 1 and invalid else set()
    if texts and ids is not None:
        raise ConceptsError(
            f"concept {names[0]!r} must be yes or no, not {some(sorted(texts), 1)}: for one concept per row, name the "
            "columns sample and concept; for several in a cell, use from_table(…, separator='|') (neuronym concepts "
            "table --separator)"
        )
    matrix = np.empty((table.num_rows, len(names)), object if invalid else np.bool_)
    for c, column in enumerate(columns):
        matrix[:, c] = column
    return Concepts.from_array(matrix, names, sample_ids=ids, **reading)


def _yes_no(column: Any) -> NDArray[Any]:
    """A column as bool, or as objects if any cell is neither yes nor no; an empty cell is None."""
    import pyarrow as pa

    encoded = column.combine_chunks()
    encoded = encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()
    cells = encoded.dictionary.to_pylist()
    parsed = [as_bool(cell) for cell in cells]
    code = encoded.indices.fill_null(len(cells)).to_numpy(zero_copy_only=False)
    clean = all(isinstance(value, bool) for value in parsed) and not encoded.null_count
    values = np.array(parsed, np.bool_) if clean else np.array([*parsed, None], object)
    column_values: NDArray[Any] = values[code]
    return column_values


def _from_lists(table: pa.Table, path: PathLike) -> Concepts:
    """The concepts of a table with a column of lists of names."""
    import pyarrow as pa

    lists: Any = table["concepts"].combine_chunks()
    if lists.null_count:
        raise ConceptsError(
            f"{counted(lists.null_count, 'row')} without a list of concepts: use an empty list for no concepts"
        )
    encoded = lists.flatten()
    if pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_decode()
    if encoded.null_count:
        raise ConceptsError(f"{counted(encoded.null_count, 'concept')} in the lists without a name: name each concept")
    with reading(path, "concepts"):  # if names are not text
        encoded = encoded.cast(pa.string()).dictionary_encode()
    listed = encoded.dictionary.to_pylist()
    described = metadata(table, _METADATA, path, "concepts")
    entries = described.get("concepts") or [{"name": name} for name in sorted(listed)]
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise FileError(f"cannot read concepts from {str(path)!r}: the table of concepts in its metadata is invalid")
    origin = described.get("origin") or {}
    if not isinstance(origin, dict):
        raise FileError(f"cannot read concepts from {str(path)!r}: the origin in its metadata must be a JSON object")
    place = {entry["name"]: c for c, entry in enumerate(entries)}
    lost = [name for name in listed if name not in place]
    if lost:
        raise ConceptsError(
            f"the table of concepts in the file's metadata lacks {counted(len(lost), 'concept')} of the lists "
            f"({some(lost)})"
        )
    code = np.array([place[name] for name in listed], np.int64)[encoded.indices.to_numpy()]
    counts = lists.value_lengths().to_numpy()
    ptr, samples = columns_of_pairs(code, np.repeat(np.arange(len(counts)), counts), len(entries))
    return Concepts(
        ptr,
        samples,
        table.num_rows,
        [entry["name"] for entry in entries],
        sample_ids=table[SAMPLE].to_pylist() if SAMPLE in table.column_names else None,
        descriptions={e["name"]: e["description"] for e in entries if "description" in e},
        aliases={e["name"]: e["aliases"] for e in entries if "aliases" in e},
        origin=origin,
    )


def _is_entry(entry: Any) -> bool:
    """Whether an entry of the table of concepts is valid: a name, and perhaps a description and aliases."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("description", ""), str)
        and isinstance(entry.get("aliases", []), list)
        and all(isinstance(alias, str) for alias in entry.get("aliases", []))
    )


def save_concepts(concepts: Concepts, path: PathLike, *, overwrite: bool = False) -> None:
    """Save concepts to a Parquet file that ``open_concepts`` reads back without loss.

    The file has one row per sample with the list of its concepts; names, descriptions, aliases and origin are in its
    metadata. The write is atomic: the file is complete or absent.

    Parameters
    ----------
    concepts : Concepts
        The concepts.
    path : str or Path
        A file that ends in ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    kind_of(path, (".parquet",), "saved concepts")
    entries: list[dict[str, object]] = []
    for name in concepts.names:
        entry: dict[str, object] = {"name": name}
        if name in concepts.descriptions:
            entry["description"] = concepts.descriptions[name]
        if name in concepts.aliases:
            entry["aliases"] = list(concepts.aliases[name])
        entries.append(entry)
    with writing(path, overwrite) as temporary:
        try:
            described = json.dumps({"format": 1, "concepts": entries, "origin": concepts.origin})
        except TypeError as error:
            raise FileError(
                f"cannot write {str(path)!r}: the origin of the concepts must be plain data: {error}"
            ) from error
        by_row = concepts.to_sparse().tocsr()
        by_row.sort_indices()
        names = pa.array(concepts.names, pa.string())
        values = pa.DictionaryArray.from_arrays(pa.array(by_row.indices, pa.int32()), names)
        columns: dict[str, Any] = {"concepts": pa.ListArray.from_arrays(pa.array(by_row.indptr, pa.int32()), values)}
        if concepts.sample_ids is not None:
            columns = {SAMPLE: pa.array(concepts.sample_ids, pa.string()), **columns}
        table = pa.table(columns).replace_schema_metadata({_METADATA.encode(): described.encode()})
        parquet.write_table(table, temporary)
