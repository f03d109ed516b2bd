"""Reading tables in CSV and Parquet with Arrow: names of columns, sample ids, cells."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.files import kind_of, reading
from neuronym._util.messages import counted, some
from neuronym.errors import FileError
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SAMPLE = "sample"  # the column of sample ids

_BLOCK_BYTES = 64 * 2**20  # no row of a CSV file may be longer


def header(path: PathLike, what: str) -> tuple[list[str], int]:
    """The names in the first row of a CSV file of ``what``, and the byte offset of the next row."""
    with reading(path, what), open(path, "rb") as file:
        lines = (line.decode("utf-8-sig" if file.tell() == len(line) else "utf-8") for line in iter(file.readline, b""))
        names = next(csv.reader(lines, strict=True), [])
        start = file.tell()
        file.seek(0)
        quoted = b'"' in file.read(start)
    if not names:
        raise FileError(f"cannot read {str(path)!r}: its first line must name the columns")
    if not quoted:  # quoted names are intentional
        _check_header(names, f"cannot read {str(path)!r}: ")
    return names, start


def _check_header(names: list[str], where: str) -> None:
    """Refuse a first row that shows a wrong separator, padded names, a nameless index or data instead of names."""
    if len(names) == 1 and any(sign in names[0] for sign in ";\t"):
        raise FileError(where + f"its columns must be separated by commas; the first line is {names[0][:80]!r}")
    if len(names) > 1 and names[0].strip() in (SAMPLE, "") and all(name.startswith(" ") for name in names[1:]):
        raise FileError(where + "the names in the first line start with a space: remove the spaces after the commas")
    if len(names) > 1 and names[0] == "" and all(names[1:]):
        raise FileError(where + "its first column has no name: name it sample if it contains ids, else remove it")
    if all(_is_decimal(name) for name in names):
        raise FileError(where + f"the first line must name the columns, but contains numbers ({some(names)})")


def _is_decimal(name: str) -> bool:
    """Whether text is a number with a fraction, which cannot be the name of a column."""
    try:
        return float(name) != int(float(name))
    except (ValueError, OverflowError):
        return False


def read_csv(path: PathLike, types: Mapping[str, Any], what: str) -> pa.Table:
    """Read the rows of a CSV file of ``what`` with a type for each of its columns.

    Raises
    ------
    FileError
        If it cannot be read, or a cell is of another type.
    """
    import pyarrow as pa
    import pyarrow.csv as arrow

    names, start = header(path, what)
    # Columns are read by index, since a name may be repeated; the caller decides whether that is an error.
    places = {str(place): types[name] for place, name in enumerate(names)}
    with reading(path, what, pa.ArrowException), open(path, "rb") as file:
        file.seek(start)
        if not file.read(4096).strip():
            return pa.table([pa.array([], kind) for kind in places.values()], names=names)
        file.seek(start)
        table: pa.Table = arrow.read_csv(
            file,
            read_options=arrow.ReadOptions(column_names=list(places), block_size=_BLOCK_BYTES),
            # With a single column, an empty line is a row with a missing cell.
            parse_options=arrow.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(places) > 1),
            convert_options=arrow.ConvertOptions(column_types=places, strings_can_be_null=False),
        )
    renamed: pa.Table = table.rename_columns(names)
    return renamed


def read_parquet(path: PathLike, what: str) -> pa.Table:
    """Read a Parquet file of ``what``; the index of a saved DataFrame becomes a first column ``sample``.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    with reading(path, what, pa.ArrowException):
        table = parquet.read_table(path, partitioning=None)
    index = metadata(table, "pandas", path, what).get("index_columns", [])
    names = table.column_names
    stored = [names.index(name) for name in index if isinstance(name, str) and name in names]
    body = [place for place in range(len(names)) if place not in stored]
    if len(stored) > 1:
        raise FileError(f"the index of the table {str(path)!r} has {len(stored)} levels: save it with one or none")
    if body and names[body[0]] == SAMPLE:  # as in a DataFrame, this column takes precedence over the index
        return table.select(body)
    ids: Any = None
    if stored:
        ids = table.column(stored[0])
    elif len(index) == 1 and isinstance(index[0], dict) and index[0].get("kind") == "range":
        row_numbers = _range(index[0], path)
        if len(row_numbers) == table.num_rows and row_numbers != range(table.num_rows):
            ids = pa.chunked_array([pa.array([str(i) for i in row_numbers], pa.string())])
    return table if ids is None else table.select(body).add_column(0, SAMPLE, ids)


def is_of_pandas(path: PathLike) -> bool:
    """Whether a file is a Parquet file that pandas wrote, with its index."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    if not str(path).lower().endswith(".parquet") or not Path(path).is_file():
        return False
    with reading(path, "a table", pa.ArrowException):
        return b"pandas" in (parquet.read_schema(path).metadata or {})


def metadata(table: pa.Table, key: str, path: PathLike, what: str) -> dict[str, Any]:
    """The JSON object under a key of a Parquet file's metadata; empty if there is none."""
    with reading(path, what, ValueError, RecursionError):
        found = json.loads((table.schema.metadata or {}).get(key.encode(), b"{}"))
    if not isinstance(found, dict):
        raise FileError(f"cannot read {what} from {str(path)!r}: its metadata {key} must be a JSON object")
    return found


def _range(described: Mapping[str, Any], path: PathLike) -> range:
    """The range index that pandas describes in the metadata."""
    start, stop, step = (described.get(name) for name in ("start", "stop", "step"))
    if not isinstance(start, int) or not isinstance(stop, int) or not isinstance(step, int) or not step:
        raise FileError(f"cannot read {str(path)!r}: its metadata describes an invalid range index")
    return range(start, stop, step)


def split_ids(table: pa.Table) -> tuple[list[str] | None, list[str]]:
    """The sample ids, if any, and the names of the other columns."""
    names = list(table.column_names)
    if not names or names[0] != SAMPLE:
        return None, names
    ids = table.column(0)
    if ids.null_count:
        raise FileError(
            f"{counted(ids.null_count, 'row')} without a sample id: give ids to all rows, or remove the column sample"
        )
    return [str(i) for i in ids.to_pylist()], names[1:]


def is_number(kind: pa.DataType) -> bool:
    """Whether a type is that of numbers or booleans."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def is_nested(kind: pa.DataType) -> bool:
    """Whether a type has nested values."""
    import pyarrow as pa

    return bool(pa.types.is_nested(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is that of lists."""
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def text_column(path: PathLike, name: str | None, what: str) -> tuple[list[str] | None, list[str]]:
    """Read a column of a table as text.

    Parameters
    ----------
    path : str or Path
        The file, ``.csv`` or ``.parquet``.
    name : str or None
        The name of the column; None means the only one besides the sample ids.
    what : str
        What the file should contain, for messages.

    Returns
    -------
    ids : list of str or None
        The sample ids, if there is a first column ``sample``.
    cells : list of str
        The cells of the column.

    Raises
    ------
    FileError
        If the file cannot be read or has no such column.
    """
    kind = kind_of(path, (".csv", ".parquet"), what)
    if kind == ".csv":
        import pyarrow as pa

        table = read_csv(path, dict.fromkeys(header(path, what)[0], pa.string()), what)
    else:
        table = read_parquet(path, what)
    ids, names = split_ids(table)
    column = names[0] if name is None and len(names) == 1 else name
    if column is None or names.count(column) != 1:
        wanted = "one column" if name is None else f"a column {name}"
        raise FileError(f"{str(path)!r} must have {wanted} besides a first column sample, but has {some(names)}")
    place = table.num_columns - len(names) + names.index(column)
    cells = [str(cell) for cell in table.column(place).to_pylist() if cell is not None]
    if len(cells) < table.num_rows:
        empty = counted(table.num_rows - len(cells), "empty cell")
        raise FileError(f"the column {column} of {str(path)!r} has {empty}: fill in every row")
    return ids, cells


def shown_table(table: pd.DataFrame) -> str:
    """Format a table as text, with four significant digits."""
    text: str = table.to_string(index=False, float_format=lambda value: f"{value:.4g}")
    return text
