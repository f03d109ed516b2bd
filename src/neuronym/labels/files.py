"""The files of labels: CSV, Parquet and JSON of one table, a row per label."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from neuronym._util.files import kind_of, reading, writing
from neuronym.data.activations import as_name
from neuronym.data.formula import Formula
from neuronym.errors import FileError
from neuronym.labels.label import Explanation, Label
from neuronym.labels.schema import COLUMNS, FORMULA_NUMBERS, LABEL_NUMBERS, OfBest, filled

__all__ = ["as_json", "as_label", "as_row", "columns_of", "read_rows", "write_rows"]

Row = dict[str, Any]

KINDS = (".csv", ".parquet", ".json")

_KINDS = {one.name: one.kind for one in COLUMNS}
_NEEDED = [one.name for one in COLUMNS if one.needed]
_FLOATS = ("number", "p")
# In a path and among the runners-up a formula is a dict; of the best one, the row tells all that the label tells.
_OF_FORMULA = ("auc", "fraction", "count", "length", *FORMULA_NUMBERS)
_OF_STEP = [name for name in FORMULA_NUMBERS if not isinstance(getattr(Label, name, None), OfBest)]


def columns_of(labels: Iterable[Label]) -> list[str]:
    """The columns that labels fill, in order."""
    listed = list(labels)
    return [
        one.name
        for one in COLUMNS
        if one.stored and (one.always or any(filled(getattr(label, one.name)) is not None for label in listed))
    ]


def as_row(label: Label, columns: Sequence[str]) -> Row:
    """A label as the row of a table: numbers, texts, and for nested columns lists and dicts; None is nothing."""
    made: dict[str, Callable[[], Any]] = {
        "formula": lambda: None if label.formula is None else str(label.formula),
        "path": lambda: [None if step is None else _as_dict(step, label.formula) for step in label.path],
        "runners_up": lambda: [_as_dict(other, None) for other in label.runners_up],
        "alternatives": lambda: [[None if f is None else str(f), share] for f, share in label.alternatives],
        "aliases": lambda: {name: list(others) for name, others in label.aliases.items()},
    }
    return {name: made[name]() if name in made else filled(getattr(label, name)) for name in columns}


def as_label(row: Row) -> Label:
    """The label that a row tells of.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If the row is broken.
    """
    path = [None if step is None else _from_dict(step) for step in row.get("path") or ()]
    told = {name: value for name, value in row.items() if name not in _OF_STEP}
    best = None if row["formula"] is None else _from_dict(told)
    for place, step in enumerate(path):
        if best is not None and step is not None and step.formula == best.formula:  # the row holds all of its numbers
            path[place] = best = replace(best, **{name: getattr(step, name) for name in _OF_STEP})
    return Label(
        as_name(row["neuron"]),
        row.get("layer"),
        row.get("direction") or "high",
        best,
        tuple(path),
        tuple(_from_dict(other) for other in row.get("runners_up") or ()),
        row.get("reason"),
        {name: tuple(others) for name, others in (row.get("aliases") or {}).items()},
        alternatives=tuple((_parsed(f) if f else None, float(share)) for f, share in row.get("alternatives") or ()),
        **{name: _plain(row, name) for name in LABEL_NUMBERS},
    )


def _as_dict(explanation: Explanation, best: Formula | None) -> Row:
    """A formula of a nested column."""
    named = [name for name in _OF_FORMULA if explanation.formula != best or name in (*_OF_FORMULA[:4], *_OF_STEP)]
    told = {name: filled(getattr(explanation, name)) for name in named}
    return {"formula": str(explanation.formula), **{name: value for name, value in told.items() if value is not None}}


@lru_cache(maxsize=2**16)
def _parsed(text: str) -> Formula:
    """A formula from a file, where the same ones recur."""
    return Formula.parse(text)


def _from_dict(value: Mapping[str, Any]) -> Explanation:
    more = {name: _plain(value, name) for name in FORMULA_NUMBERS if name in value}
    formula = _parsed(value["formula"])
    return Explanation(formula, float(value["auc"]), float(value["fraction"]), int(value["count"]), **more)


def _plain(row: Mapping[str, Any], name: str) -> Any:
    """A number, or yes or no, of a row; where there is none, NaN of a number and else None."""
    value, kind = row.get(name), _KINDS.get(name, "number")
    if value is None:
        return math.nan if kind in _FLOATS else None
    if kind == "bool":
        return {"True": True, "False": False, True: True, False: False}[value]
    return int(value) if kind == "whole" else float(value)


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
    if _KINDS[name] == "nested":
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return repr(value) if isinstance(value, float) else str(value)


def _write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    types: dict[str, Any] = {"number": pa.float64(), "p": pa.float64(), "whole": pa.int64(), "bool": pa.bool_()}
    arrays = []
    for name in columns:
        kind = types.get(_KINDS[name], pa.string())
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
    kind = _KINDS.get(name, "text")
    try:
        if kind in _FLOATS:
            return float(value)
        if kind == "whole":
            return int(value)
        return json.loads(value) if kind == "nested" else value
    except ValueError as error:
        raise FileError(f"row {number} of {str(path)!r} has {value!r} as {name}: {error}") from error
