"""Reading tables in CSV and Parquet with Arrow: names of columns, sample ids, cells."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.characters import ESCAPED, for_spreadsheet
from neuronym._util.files import kind_of, parse_json, reading
from neuronym._util.limits import check_unpacked
from neuronym._util.messages import counted, some
from neuronym._util.text_tables import TEXT_TABLES, TextTable
from neuronym.data.ids import SAMPLE, Recognize, find_id_column, is_called_like_ids
from neuronym.errors import FileError, InputError
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: The endings of tables.
TABLES = (*TEXT_TABLES, ".parquet")

_BLOCK_BYTES = 64 * 2**20  # no row of a CSV file may be longer


def read_csv(path: PathLike, what: str, kinds: Callable[[TextTable], Sequence[Any]] | None = None) -> pa.Table:
    """Read a text table of ``what``, whatever separates its cells.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What the file should contain, for messages.
    kinds : callable or None, default None
        Takes the table and returns the Arrow type of each column; None reads all as text.

    Returns
    -------
    pyarrow.Table
        The rows.

    Raises
    ------
    FileError
        If it cannot be read, a row has too many or too few cells, or a cell is of another type.
    """
    import pyarrow as pa

    table = TextTable(path, what)
    _check_names(table)
    types = [pa.string()] * len(table.names) if kinds is None else list(kinds(table))
    try:
        return _typed_rows(table, types)
    except FileError as error:
        if "UTF8" in str(error) or "UTF-8" in str(error):
            table.reread()
            return _typed_rows(table, types)
        if "columns" in str(error):  # rows of the wrong length, which Arrow cannot name by line
            table.explain()
        raise


def _typed_rows(table: TextTable, types: Sequence[Any]) -> pa.Table:
    """The rows of a text table, with a type for each column."""
    import pyarrow as pa
    import pyarrow.csv as arrow

    # Columns are read by index, since a name may be repeated; the caller decides whether that is an error.
    places = {str(place): kind for place, kind in enumerate(types)}
    with table.open() as file, reading(table.path, table.what):
        start = file.tell()
        if not file.read(4096).strip():
            return pa.table([pa.array([], kind) for kind in types], names=table.names)
        file.seek(start)
        found: pa.Table = arrow.read_csv(
            file,
            read_options=arrow.ReadOptions(column_names=list(places), block_size=_BLOCK_BYTES),
            # With a single column, an empty line is a row with a missing cell.
            parse_options=arrow.ParseOptions(
                delimiter=table.separator,
                quote_char='"' if table.quotes else False,
                newlines_in_values=table.quotes,
                ignore_empty_lines=len(places) > 1,
            ),
            convert_options=arrow.ConvertOptions(
                column_types=places, strings_can_be_null=False, decimal_point=table.decimal
            ),
        )
    renamed: pa.Table = found.rename_columns(table.names)
    return renamed


def _check_names(table: TextTable) -> None:
    """Refuse a first row that holds data instead of names."""
    if table.quoted:  # quoted names are intentional
        return
    where = f"cannot read {str(table.path)!r}: the first line must name the columns, but contains "
    images = [name for name in table.names if _IMAGE.fullmatch(name)]
    if images:
        raise FileError(
            where + f"the name of a file ({images[0]!r}): add a line of names, or, for a list of samples and classes, "
            "use neuronym concepts annotations"
        )
    numbers = [name for name in table.names if _is_number(name)]
    counts = [float(name) for name in numbers] == list(range(len(numbers)))
    if len(numbers) == len(table.names) and not counts and any(_is_fraction(name) for name in numbers):
        raise FileError(where + f"numbers ({some(table.names)})")
    first = table.names[0] in (SAMPLE, "") or is_called_like_ids(table.names[0])
    if len(numbers) == len(table.names) - 1 > 0 and not first and not counts and set(numbers) <= {"0", "1", "-1"}:
        raise FileError(where + f"{some(table.names)}")


_IMAGE = re.compile(r"(?i).*[^.\s]\.(jpe?g|png|bmp|gif|ppm|tiff?|webp|jfif)")


def _is_number(name: str) -> bool:
    """Whether text is a number."""
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def _is_fraction(name: str) -> bool:
    """Whether a number is not written as a whole one, which cannot be the name of a column."""
    return not name.strip().lstrip("-").isdecimal()


def read_table(path: PathLike, what: str) -> pa.Table:
    """Read a table of ``what``, Parquet or text; the cells of a text table are texts.

    Raises
    ------
    FileError
        If it cannot be read, or its name has another ending.
    """
    kind = kind_of(path, TABLES, what)
    return read_parquet(path, what) if kind == ".parquet" else read_csv(path, what)


def read_parquet(path: PathLike, what: str) -> pa.Table:
    """Read a Parquet file of ``what``; the index of a saved DataFrame becomes a first column ``sample``.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    check_parquet(path, what)
    with reading(path, what):
        table = parquet.read_table(path, partitioning=None)
        table.validate(full=True)  # text that is no UTF-8
        for column in table.columns:
            if pa.types.is_temporal(column.type):
                column.to_pylist()  # which fails for times that Python cannot represent
    index = metadata(table, "pandas", path, what).get("index_columns", [])
    if not isinstance(index, list):
        raise FileError(f"cannot read {what} from {str(path)!r}: its metadata pandas does not list the index")
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


def check_parquet(path: PathLike, what: str) -> None:
    """Refuse a Parquet file whose numbers do not fit in memory; a folder of files is not checked.

    Raises
    ------
    FileError
        If it cannot be read, or they do not.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    if Path(path).is_dir():
        return
    with reading(path, what):
        described = parquet.read_metadata(path)
        types = described.schema.to_arrow_schema().types
    bits = sum(kind.bit_width if pa.types.is_primitive(kind) else 8 for kind in types)
    check_unpacked(path, what, described.num_rows * bits // 8)


def read_frame(path: PathLike, what: str) -> pd.DataFrame:
    """Read a table of ``what`` as a DataFrame.

    Raises
    ------
    FileError
        If it cannot be read, or its name has another ending.
    """
    table = read_table(path, what)
    with reading(path, what):
        frame: pd.DataFrame = table.to_pandas()
    return frame


def is_of_pandas(path: PathLike) -> bool:
    """Whether a file is a table that pandas wrote with its index: Parquet, or text whose first column has no name."""
    import pyarrow.parquet as parquet

    if str(path).lower().endswith(TEXT_TABLES) and Path(path).is_file():
        return TextTable(path, "a table").names[:1] == [""]
    if not str(path).lower().endswith(".parquet") or not Path(path).is_file():
        return False
    with reading(path, "a table"):
        return b"pandas" in (parquet.read_schema(path).metadata or {})


def metadata(table: pa.Table, key: str, path: PathLike, what: str) -> dict[str, Any]:
    """The JSON object under a key of a Parquet file's metadata; empty if there is none."""
    with reading(path, what):
        found = parse_json((table.schema.metadata or {}).get(key.encode(), b"{}"))
    if not isinstance(found, dict):
        raise FileError(f"cannot read {what} from {str(path)!r}: its metadata {key} must be a JSON object")
    return found


def _range(described: Mapping[str, Any], path: PathLike) -> range:
    """The range index that pandas describes in the metadata."""
    start, stop, step = (described.get(name) for name in ("start", "stop", "step"))
    if not isinstance(start, int) or not isinstance(stop, int) or not isinstance(step, int) or not step:
        raise FileError(f"cannot read {str(path)!r}: its metadata describes an invalid range index")
    return range(start, stop, step)


def split_ids(
    table: pa.Table,
    what: str,
    error: type[InputError],
    id_column: str | None = None,
    *,
    recognize: Recognize = "all",
) -> tuple[list[str] | None, list[int]]:
    """The sample ids of a table, if any, and the indices of the other columns."""
    import pyarrow as pa

    names, types = table.column_names, table.schema.types  # each is built anew at every access
    texts = [pa.types.is_string(one) or pa.types.is_large_string(one) or pa.types.is_integer(one) for one in types]

    def cells(c: int, limit: int | None) -> list[object]:
        return table.column(c).slice(0, limit).to_pylist() if texts[c] else []

    place, others = find_id_column(names, cells, what, error, id_column, recognize=recognize)
    if place is None:
        return None, others
    ids = table.column(place)
    if ids.null_count:
        raise FileError(
            f"{counted(ids.null_count, 'row')} without a sample id: give ids to all rows, or remove the column "
            f"{names[place]}"
        )
    return [str(i) for i in ids.to_pylist()], others


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
        The file: ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``.
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
    table = read_table(path, what)
    all_names = table.column_names  # which is built anew at every access
    known = [place for place, one in enumerate(all_names) if one != name]  # the column wanted holds no ids
    ids, rest = split_ids(table.select(known), what, FileError, recognize="all" if name is None else "called")
    places = sorted([*(known[place] for place in rest), *set(range(table.num_columns)).difference(known)])
    names = [all_names[place] for place in places]
    column = names[0] if name is None and len(names) == 1 else name
    if column is None or names.count(column) != 1:
        wanted = "one column" if name is None else f"a column {name}"
        raise FileError(f"{str(path)!r} must have {wanted} besides a first column sample, but has {some(names)}")
    cells = [str(cell) for cell in table.column(places[names.index(column)]).to_pylist() if cell is not None]
    if len(cells) < table.num_rows:
        empty = counted(table.num_rows - len(cells), "empty cell")
        raise FileError(f"the column {column} of {str(path)!r} has {empty}: fill in every row")
    return ids, cells


def write_csv(table: pd.DataFrame, path: Path, spreadsheet: bool = False) -> None:
    """Write a table as CSV; for a spreadsheet, cells of text are escaped, and a last column says so."""
    if spreadsheet:
        table = table.map(lambda cell: for_spreadsheet(cell) if isinstance(cell, str) else cell)
        table = table.assign(**{ESCAPED: True})
    # A carriage return ends a row too, and pandas does not see to that.
    returns = any("\r" in cell for _, column in table.items() for cell in column if isinstance(cell, str))
    table.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL)


def shown_table(table: pd.DataFrame) -> str:
    """Format a table as text, with four significant digits."""
    text: str = table.to_string(index=False, float_format=lambda value: f"{value:.4g}")
    return text
