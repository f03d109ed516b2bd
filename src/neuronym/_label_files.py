"""The files of labels: CSV, Parquet and JSON of one table, a row per label."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from neuronym._files import kind_of, reading, writing
from neuronym.errors import FileError

__all__ = ["read_rows", "write_rows"]

Row = dict[str, Any]

KINDS = (".csv", ".parquet", ".json")

# Text stays text, whatever it looks like; nested columns are JSON text in CSV and Parquet.
_FLOATS = ("auc", "fraction", "p", "log10_p")
_WHOLE = ("count", "length")
_NESTED = ("path", "runners_up", "aliases")
_NEEDED = ("neuron", "formula", "auc", "fraction", "count")


def write_rows(path: str | Path, columns: Sequence[str], rows: Sequence[Row], overwrite: bool) -> None:
    """Write rows of a table with the given columns; the file is complete or absent.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    """
    kind = kind_of(path, KINDS, "labels")
    with writing(path, overwrite) as temporary:
        if kind == ".parquet":
            _write_parquet(temporary, columns, rows)
            return
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            if kind == ".json":
                file.write(as_json(columns, rows))
                return
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in rows:
                writer.writerow([_cell(name, row[name]) for name in columns])


def as_json(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """The rows as the text of a JSON file."""
    listed = [json.dumps({name: row[name] for name in columns}, ensure_ascii=False, allow_nan=False) for row in rows]
    return '{"labels": [\n' + ",\n".join(listed) + "\n]}\n"


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _NESTED:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return repr(value) if isinstance(value, float) else str(value)


def _write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    arrays = []
    for name in columns:
        kind: Any = pa.float64() if name in _FLOATS else pa.int64() if name in _WHOLE else pa.string()
        values = [row[name] for row in rows]
        if kind == pa.string():
            values = [None if value is None else _cell(name, value) for value in values]
        arrays.append(pa.array(values, kind))
    parquet.write_table(pa.Table.from_arrays(arrays, names=list(columns)), path)


def read_rows(path: str | Path) -> list[Row]:
    """Read what ``write_rows`` wrote. Columns that labels do not have are passed over.

    Raises
    ------
    FileError
        If the file is missing, broken, or holds no labels.
    """
    kind = kind_of(path, KINDS, "labels")
    with reading(path, "labels"):
        if kind == ".json":
            return list(_from_json(path))
        columns, rows = _parquet_rows(path) if kind == ".parquet" else _csv_rows(path)
        missing = [name for name in _NEEDED if name not in columns]
        if missing:
            raise FileError(f"{str(path)!r} holds no labels: it lacks the columns {', '.join(missing)}")
        return [
            {name: _value(path, number, name, value) for name, value in row.items()}
            for number, row in enumerate(rows, 1)
        ]


def _from_json(path: str | Path) -> Iterator[Row]:
    with open(path, encoding="utf-8") as file:
        whole = json.load(file)
    rows = whole.get("labels") if isinstance(whole, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FileError(f"{str(path)!r} holds no labels: it must be an object with a list called labels")
    for number, row in enumerate(rows, 1):
        missing = [name for name in _NEEDED if name not in row]
        if missing:
            raise FileError(f"label {number} in {str(path)!r} lacks {', '.join(missing)}")
        yield row


def _csv_rows(path: str | Path) -> tuple[list[str], list[Row]]:
    usual = csv.field_size_limit(2**31 - 1)  # the runners-up of a wide beam are long
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns, *rows = list(reader)
    except csv.Error as error:
        raise FileError(f"cannot read labels from {str(path)!r}: line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(usual)
    broken = [number for number, row in enumerate(rows, 1) if len(row) != len(columns)]
    if broken:
        raise FileError(
            f"row {broken[0]} of {str(path)!r} has {len(rows[broken[0] - 1])} cells under {len(columns)} names: "
            "the file is broken or cut off"
        )
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def _parquet_rows(path: str | Path) -> tuple[list[str], list[Row]]:
    import pyarrow.parquet as parquet

    table = parquet.read_table(path, partitioning=None)
    return list(table.column_names), table.to_pylist()


def _value(path: str | Path, number: int, name: str, value: Any) -> Any:
    """A cell of a table as the value of its column; an empty one is None."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        if name in _FLOATS:
            return float(value)
        if name in _WHOLE:
            return int(value)
        return json.loads(value) if name in _NESTED else value
    except ValueError as error:
        raise FileError(f"row {number} of {str(path)!r} has {value!r} as {name}: {error}") from error
