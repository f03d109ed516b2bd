"""Opening and saving files of activations and concepts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import kind_of, reading, writing
from neuronym._util.messages import counted, some
from neuronym.data.activations import Activations, side_by_side
from neuronym.data.binary import columns_of_pairs
from neuronym.data.concepts import Concepts
from neuronym.errors import ActivationsError, ConceptsError, FileError
from neuronym.io.tables import (
    SAMPLE,
    header,
    is_list,
    is_nested,
    is_number,
    metadata,
    read_csv,
    read_parquet,
    split_ids,
)
from neuronym.io.zarr_store import open_layers, split_path
from neuronym.types import PathLike, Unknown

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["open_activations", "open_concepts", "save_activations", "save_concepts"]

ACTIVATIONS = (".npy", ".npz", ".csv", ".parquet")
CONCEPTS = (".csv", ".parquet")

_METADATA = "neuronym"


def open_activations(path: PathLike, *, sample_ids: Iterable[object] | None = None) -> Activations:
    """Open a file of activations, samples × neurons.

    - ``store.zarr/layer``: a layer of a Zarr store, read a block of neurons at a time; ``store.zarr`` is enough for a
      store with a single layer.
    - ``.npy``: a matrix, memory-mapped, so it never has to fit in memory.
    - ``.npz``: the matrix ``activations`` (or the only array), with the names ``neurons`` and the ids ``sample_ids``
      if present.
    - ``.csv`` and ``.parquet``: one column per neuron, with its name as header; a first column ``sample`` holds sample
      ids.

    Parameters
    ----------
    path : str or Path
        The file, or a Zarr store or layer.
    sample_ids : iterable or None, default None
        One distinct id per sample; they replace those in the file.

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
    kind = kind_of(path, ACTIVATIONS, "activations")
    if kind == ".npy":
        return Activations(_mapped(path), sample_ids=sample_ids)
    if kind == ".npz":
        opened = _from_npz(path)
    else:
        opened = _from_table(_csv_numbers(path) if kind == ".csv" else read_parquet(path, "activations"), path)
    return opened if sample_ids is None else opened.replace(sample_ids=sample_ids)


def _mapped(path: PathLike) -> NDArray[Any]:
    """The memory-mapped matrix of an .npy file."""
    with reading(path, "activations", ValueError):
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
        if "activations" not in known and len(known) != 1:
            raise FileError(
                f"cannot read activations from {str(path)!r}: it must contain an array named activations, "
                f"but contains {some(known) or 'no array'}"
            )
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

    # The last two are raised for compression or encryption that zipfile does not support.
    with reading(path, "activations", ValueError, NotImplementedError, RuntimeError):
        try:
            yield
        except (BadZipFile, ZlibError) as error:
            raise FileError(f"cannot read activations from {str(path)!r}: the archive is broken ({error})") from error
        except ValueError as error:
            if "pickle" in str(error):
                raise _python_objects(path) from error
            raise


def _from_table(table: pa.Table, path: PathLike) -> Activations:
    """The activations of a table with one column per neuron."""
    import pyarrow as pa

    ids, names = split_ids(table)
    places = range(table.num_columns - len(names), table.num_columns)
    columns = [table.column(place) for place in places]
    wrong = [name for name, c in zip(names, columns, strict=True) if not is_number(c.type)]
    if wrong:
        raise ActivationsError(
            f"no numbers in {counted(len(wrong), 'column')} of {str(path)!r} ({some(wrong)}): "
            "sample ids belong in a first column named sample"
        )
    arrays = [(c.cast(pa.uint8()) if pa.types.is_boolean(c.type) and c.null_count else c).to_numpy() for c in columns]
    return Activations(side_by_side(arrays, table.num_rows), names, sample_ids=ids)


def _csv_numbers(path: PathLike) -> pa.Table:
    """The table of a CSV file of numbers: integers if all are, else floats."""
    import pyarrow as pa

    names, _ = header(path, "activations")
    for kind in (pa.int64(), pa.float64()):  # floats cannot represent integers above 2⁵³
        types: dict[str, Any] = dict.fromkeys(names, kind)
        if names[0] == SAMPLE:
            types[SAMPLE] = pa.string()
        try:
            table = read_csv(path, types, "activations")
        except FileError:
            if kind == pa.float64():
                raise
            continue
        if kind == pa.float64() or not any(column.null_count for column in table.columns):
            return table
    raise AssertionError("unreachable: the last kind returns or raises")


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
    named = list(activations.names) != list(range(activations.n_neurons))
    if kind == ".npy" and (named or activations.sample_ids is not None):
        raise FileError(f"{str(path)!r} cannot store names and sample ids: save as .npz or .parquet")
    with writing(path, overwrite) as temporary:
        if kind == ".npy":
            with open(temporary, "wb") as file:
                np.save(file, activations.matrix, allow_pickle=False)
        elif kind == ".npz":
            arrays: dict[str, NDArray[Any]] = {"activations": np.asarray(activations.matrix)}
            if named:
                arrays["neurons"] = _texts(map(str, activations.names), path)
            if activations.sample_ids is not None:
                arrays["sample_ids"] = _texts(activations.sample_ids, path)
            with open(temporary, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        else:
            _save_table(activations, temporary, kind, path)


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
    if names and names[0] == SAMPLE and activations.sample_ids is None:
        raise FileError(
            f"{str(path)!r} cannot store a first neuron named sample, which would be read as sample ids: rename it"
        )
    ids = activations.sample_ids
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


def open_concepts(path: PathLike, *, unknown: Unknown = "error") -> Concepts:
    """Open a file of concepts, ``.csv`` or ``.parquet``.

    - A file from ``save_concepts``, or any Parquet file with a column ``concepts`` of lists of names.
    - *Long*: exactly the columns ``sample, concept``, one row for each concept that is true of a sample.
    - *Multi-hot*: one column of true/false or 1/0 per concept; a first column ``sample`` holds sample ids.

    Parameters
    ----------
    path : str or Path
        The file.
    unknown : {"error", "no", "drop"}, default "error"
        How to treat a value that is neither yes nor no: raise, count it as no, or drop its sample.

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
    kind = kind_of(path, CONCEPTS, "concepts")
    if kind == ".csv":
        import pyarrow as pa

        table = read_csv(path, dict.fromkeys(header(path, "concepts")[0], pa.string()), "concepts")
    else:
        table = read_parquet(path, "concepts")
    names = table.column_names
    if names in (["concepts"], [SAMPLE, "concepts"], ["concepts", SAMPLE]) and is_list(table["concepts"].type):
        return _from_lists(table, path)
    if names == [SAMPLE, "concept"]:
        return Concepts.from_long(table.column(0).to_pylist(), table.column(1).to_pylist())
    lists = [name for name, kind in zip(names, table.schema.types, strict=True) if is_nested(kind)]
    if lists:
        raise FileError(
            f"cannot read concepts from {str(path)!r}: the column {lists[0]!r} contains lists or records: "
            "a column of lists of names must be called concepts, with no other column than sample"
        )
    return _from_multi_hot(table, unknown)


def _from_multi_hot(table: pa.Table, unknown: Unknown) -> Concepts:
    """The concepts of a table with one column per concept."""
    ids, names = split_ids(table)
    columns = [_yes_no(table.column(place)) for place in range(table.num_columns - len(names), table.num_columns)]
    invalid = [c for c, column in enumerate(columns) if column.dtype == object]
    if len(names) == 1 and invalid and ids is not None:
        raise ConceptsError(
            f"concept {names[0]!r} must be yes or no, not {some(set(map(str, columns[0])), 1)}: "
            "for one concept per row, name the columns sample and concept"
        )
    matrix = np.empty((table.num_rows, len(names)), object if invalid else np.bool_)
    for c, column in enumerate(columns):
        matrix[:, c] = column
    return Concepts.from_array(matrix, names, sample_ids=ids, unknown=unknown)


_YES_NO = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True, "no": False, "yes": True}


def _yes_no(column: Any) -> NDArray[Any]:
    """A column as bool, or as objects if any cell is neither yes nor no; an empty cell is None."""
    import pyarrow as pa

    encoded = column.combine_chunks()
    encoded = encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()
    cells = encoded.dictionary.to_pylist()
    parsed = [_as_bool(cell) for cell in cells]
    code = encoded.indices.fill_null(len(cells)).to_numpy(zero_copy_only=False)
    clean = all(isinstance(value, bool) for value in parsed) and not encoded.null_count
    values = np.array(parsed, np.bool_) if clean else np.array([*parsed, None], object)
    column_values: NDArray[Any] = values[code]
    return column_values


def _as_bool(cell: object) -> object:
    """A cell as True or False if it is yes or no, as None if it is blank, else unchanged."""
    if isinstance(cell, str):
        return _YES_NO.get(cell.strip().lower(), cell if cell.strip() else None)
    return bool(cell) if cell in (0, 1) else cell


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
    with reading(path, "concepts", pa.ArrowException):  # if names are not text
        encoded = encoded.cast(pa.string()).dictionary_encode()
    listed = encoded.dictionary.to_pylist()
    described = metadata(table, _METADATA, path, "concepts")
    entries = described.get("concepts") or [{"name": name} for name in sorted(listed)]
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise FileError(f"cannot read concepts from {str(path)!r}: the table of concepts in its metadata is invalid")
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
        origin=described.get("origin"),
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
