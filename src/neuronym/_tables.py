"""Tables in CSV and Parquet, read by Arrow: names of columns, sample ids, cells."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym.errors import FileError

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = "sample"  # the column of sample ids


def header(path: str | Path) -> list[str]:
    """The first line of a CSV file."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file), [])
    if not names:
        raise FileError(f"cannot read {str(path)!r}: its first line must name the columns")
    return names


def read_csv(path: str | Path, types: dict[str, Any], names: Sequence[str]) -> pa.Table:
    import pyarrow.csv as arrow

    # Columns are read under their place, since a name may stand twice; the caller judges that.
    places = [str(place) for place in range(len(names))]
    table = arrow.read_csv(
        path,
        read_options=arrow.ReadOptions(column_names=places, skip_rows=0, skip_rows_after_names=1),
        parse_options=arrow.ParseOptions(newlines_in_values=True),
        convert_options=arrow.ConvertOptions(
            column_types={place: types[name] for place, name in zip(places, names, strict=True)},
            strings_can_be_null=False,
        ),
    )
    renamed: pa.Table = table.rename_columns(list(names))
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
