"""Tables in CSV and Parquet, read by Arrow: names of columns, sample ids, cells."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym.errors import FileError

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = "sample"  # the column of sample ids

_BLOCK_BYTES = 64 * 2**20  # no row of a CSV file may be longer


def header(path: str | Path) -> tuple[list[str], int]:
    """The names in the first row of a CSV file, and where the next row begins, in bytes."""
    with open(path, "rb") as file:
        lines = (line.decode("utf-8-sig" if file.tell() == len(line) else "utf-8") for line in iter(file.readline, b""))
        names = next(csv.reader(lines, strict=True), [])
        start = file.tell()
    if not names:
        raise FileError(f"cannot read {str(path)!r}: its first line must name the columns")
    return names, start


def read_csv(path: str | Path, types: dict[str, Any]) -> pa.Table:
    """Read the rows of a CSV file with a type for each of its columns."""
    import pyarrow as pa
    import pyarrow.csv as arrow

    names, start = header(path)
    # Columns are read under their place, since a name may stand twice; the caller judges that.
    places = {str(place): types[name] for place, name in enumerate(names)}
    with open(path, "rb") as file:
        file.seek(start)
        if not file.read(4096).strip():
            return pa.table([pa.array([], kind) for kind in places.values()], names=names)
        file.seek(start)
        table: pa.Table = arrow.read_csv(
            file,
            read_options=arrow.ReadOptions(column_names=list(places), block_size=_BLOCK_BYTES),
            parse_options=arrow.ParseOptions(newlines_in_values=True),
            convert_options=arrow.ConvertOptions(column_types=places, strings_can_be_null=False),
        )
    renamed: pa.Table = table.rename_columns(names)
    return renamed


def read_parquet(path: str | Path) -> pa.Table:
    import pyarrow.parquet as parquet

    table = parquet.read_table(path, partitioning=None)
    described = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
    index = [name for name in described.get("index_columns", []) if isinstance(name, str)]
    if len(index) == 1 and index[0] in table.column_names:  # the index of a DataFrame holds sample ids
        ids = table.column(index[0])
        table = table.drop_columns(index).add_column(0, SAMPLE, ids)
    return table


def split_ids(table: pa.Table) -> tuple[list[str] | None, list[str]]:
    """Sample ids and the names of the other columns."""
    names = list(table.column_names)
    if not names or names[0] != SAMPLE:
        return None, names
    ids = table.column(0)
    if ids.null_count:
        raise FileError(f"{ids.null_count} rows have no sample id: give each one, or leave the column sample out")
    return [str(i) for i in ids.to_pylist()], names[1:]


def is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
