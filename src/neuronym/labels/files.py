"""Files of labels: one table with one row per label, as CSV, Parquet or JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from neuronym._util.characters import ESCAPED, for_spreadsheet, from_spreadsheet
from neuronym._util.files import kind_of, parse_json, read_json, reading, writing
from neuronym.data.activations import as_name
from neuronym.data.formula import Formula
from neuronym.errors import FileError, OptionError
from neuronym.io.tables import check_parquet
from neuronym.labels.label import Explanation, Label
from neuronym.labels.schema import COLUMNS, FORMULA_NUMBERS, LABEL_NUMBERS, FromBestFormula, present_value
from neuronym.types import JsonDict, PathLike

__all__ = ["as_json", "as_label", "as_row", "check_spreadsheet", "columns_of", "read_rows", "write_rows"]

Row = JsonDict

KINDS = (".csv", ".parquet", ".json")

_KINDS = {one.name: one.kind for one in COLUMNS}
_NEEDED = [one.name for one in COLUMNS if one.needed]
_FLOATS = ("number", "p")
_TEXTS = ("name", "text", "formula", "nested")
_SHARES = {"auc", "fraction", *(one.name for one in COLUMNS if one.kind == "p")}
# In a path and among the runners-up a formula is a dict. The best formula's numbers are columns of their own, except
# those in _STEP_ONLY, which a label does not share with it.
_OF_FORMULA = ("auc", "fraction", "count", "length", *FORMULA_NUMBERS)
_STEP_ONLY = [name for name in FORMULA_NUMBERS if not isinstance(getattr(Label, name, None), FromBestFormula)]


def columns_of(labels: Iterable[Label]) -> list[str]:
    """The stored columns that any of the labels fills, in order."""
    listed = list(labels)
    return [
        one.name
        for one in COLUMNS
        if one.stored and (one.always or any(present_value(getattr(label, one.name)) is not None for label in listed))
    ]


def as_row(label: Label, columns: Sequence[str]) -> Row:
    """A label as a row of numbers and texts, with lists and dicts in nested columns; None means empty."""
    special: dict[str, Callable[[], Any]] = {
        "formula": lambda: None if label.formula is None else str(label.formula),
        "path": lambda: [None if step is None else _as_dict(step, label.formula) for step in label.path],
        "runners_up": lambda: [_as_dict(other, None) for other in label.runners_up],
        "alternatives": lambda: [[None if f is None else str(f), share] for f, share in label.alternatives],
        "aliases": lambda: {name: list(others) for name, others in label.aliases.items()},
    }
    return {name: special[name]() if name in special else present_value(getattr(label, name)) for name in columns}


def as_label(row: Row) -> Label:
    """The label in a row. Columns that labels do not have are ignored.

    Raises
    ------
    InputError
        If the row is broken.
    """
    formula, direction = _cell_of(row, "formula"), _cell_of(row, "direction") or "high"
    if direction not in ("high", "low"):
        raise _odd("direction", direction, "high or low")
    path = [None if step is None else _explanation(_record(step, "path")) for step in _listed(row, "path")]
    shared = {name: value for name, value in row.items() if name not in _STEP_ONLY}
    best = None if formula is None else _explanation(shared)
    for place, step in enumerate(path):
        if best is not None and step is not None and step.formula == best.formula:  # its other numbers are in the row
            path[place] = best = replace(best, **{name: getattr(step, name) for name in _STEP_ONLY})
    return Label(
        as_name(_required(row, "neuron")),
        _cell_of(row, "layer"),
        direction,
        best,
        tuple(path),
        tuple(_explanation(_record(other, "runners_up")) for other in _listed(row, "runners_up")),
        _cell_of(row, "reason"),
        _aliases(row),
        alternatives=tuple(_alternative(pair) for pair in _listed(row, "alternatives")),
        score=_cell_of(row, "score"),
        **_numbers(row, LABEL_NUMBERS),
    )


def _explanation(value: Mapping[str, Any]) -> Explanation:
    """A formula with its numbers, from a dict or a row."""
    formula = _parsed(_required(value, "formula"))
    if all(_cell_of(value, name) is None for name in ("auc", "fraction", "count")):  # of another tool, never measured
        return Explanation(formula, math.nan, math.nan, None, **_numbers(value, FORMULA_NUMBERS))
    auc, fraction, count = (_required(value, name) for name in ("auc", "fraction", "count"))
    return Explanation(formula, auc, fraction, count, **_numbers(value, FORMULA_NUMBERS))


def _aliases(row: Row) -> dict[str, tuple[str, ...]]:
    """The aliases of a row, checked."""
    aliases = _record(_cell_of(row, "aliases") or {}, "aliases")
    for others in aliases.values():
        if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
            raise _odd("aliases", others, "a list of names")
    return {name: tuple(others) for name, others in aliases.items()}


def _alternative(pair: Any) -> tuple[Formula | None, float]:
    """A formula of the resamples and its share, checked."""
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str | None):
        raise _odd("alternatives", pair, "a formula and its share")
    return _parsed(pair[0]) if pair[0] else None, _required({"share": pair[1]}, "share")


def _listed(row: Row, name: str) -> list[Any]:
    """The list in a nested column; empty if the cell is."""
    value = _cell_of(row, name) or []
    if not isinstance(value, list):
        raise _odd(name, value, "a list")
    return value


def _record(value: Any, name: str) -> JsonDict:
    """The value, which must be a dict."""
    if not isinstance(value, dict):
        raise _odd(name, value, "an object")
    return value


def _numbers(row: Mapping[str, Any], names: Iterable[str]) -> JsonDict:
    """The named numbers (and yes-or-no values) that a row contains."""
    found = {name: _cell_of(row, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _required(row: Mapping[str, Any], name: str) -> Any:
    """The value in a column that must not be empty."""
    value = _cell_of(row, name)
    if value is None:
        raise FileError(f"{name} is missing")
    return value


def _cell_of(row: Mapping[str, Any], name: str) -> Any:
    """The value of a cell, which may be text in CSV and Parquet; None if it is empty."""
    value, kind = row.get(name), _KINDS.get(name, "number")
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "nested":
        return _json(name, value) if isinstance(value, str) else value
    if kind == "bool":
        if str(value) not in ("True", "False"):
            raise _odd(name, value, "True or False")
        return str(value) == "True"
    if kind in _FLOATS or kind == "whole":
        return _number(name, value, kind == "whole")
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise _odd(name, value, "text")
    return str(value)


def _number(name: str, value: Any, whole: bool) -> float | int:
    """A cell as a float or, if ``whole``, as an int."""
    expected = "a whole number" if whole else "a number"
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise _odd(name, value, expected)
    try:
        found = float(value)
        if not whole:
            if name in _SHARES and not (0 <= found <= 1 or math.isnan(found)):
                raise _odd(name, value, "a number from 0 to 1")
            return found
        count = int(value) if isinstance(value, str) or found.is_integer() else int(str(value))
        if abs(count) >= 2**63:
            raise _odd(name, value, expected)
        return count
    except (ValueError, OverflowError):
        raise _odd(name, value, expected) from None


def _json(name: str, value: str) -> Any:
    """The contents of a nested cell."""
    try:
        return parse_json(value)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{name} must be JSON, but cannot be parsed: {error}") from error


def _odd(name: str, value: Any, expected: str) -> FileError:
    """The error for a cell of the wrong kind."""
    return FileError(f"{name} must be {expected}, not {str(value)[:80]!r}")


def _as_dict(explanation: Explanation, best: Formula | None) -> Row:
    """A formula in a nested column; numbers of the best one that have columns of their own are left out."""
    names = [name for name in _OF_FORMULA if explanation.formula != best or name in (*_OF_FORMULA[:4], *_STEP_ONLY)]
    values = {name: present_value(getattr(explanation, name)) for name in names}
    return {"formula": str(explanation.formula), **{name: value for name, value in values.items() if value is not None}}


@lru_cache(maxsize=2**16)
def _parsed(text: str) -> Formula:
    """Parse a formula from a file; cached, since a file repeats formulas."""
    return Formula.parse(text)


def write_rows(
    path: PathLike, columns: Sequence[str], rows: Sequence[Row], overwrite: bool, spreadsheet: bool = False
) -> None:
    """Write rows of a table with these columns; the file is complete or absent.

    For a spreadsheet, cells of text are escaped, and a last column says so.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    """
    kind = check_spreadsheet(path, kind_of(path, KINDS, "labels"), spreadsheet)
    with writing(path, overwrite) as temporary:
        if kind == ".parquet":
            _write_parquet(temporary, columns, rows)
            return
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            if kind == ".json":
                file.write(as_json(columns, rows))
                return
            writer = csv.writer(file)
            writer.writerow([*columns, ESCAPED] if spreadsheet else columns)
            for row in rows:
                cells = [_cell(name, row[name]) for name in columns]
                writer.writerow([*_escaped(columns, cells), str(True)] if spreadsheet else cells)


def check_spreadsheet(path: PathLike, kind: str, spreadsheet: bool) -> str:
    """Refuse a file for a spreadsheet that is no CSV; return its kind."""
    if spreadsheet and kind != ".csv":
        raise OptionError(
            f"spreadsheet=True (--spreadsheet) is for .csv, not {str(path)!r}: other files hold no formulas to run"
        )
    return kind


def _escaped(columns: Sequence[str], cells: Sequence[str]) -> list[str]:
    """The cells of a row with those of text escaped for a spreadsheet; numbers are no formulas."""
    return [
        for_spreadsheet(cell) if _KINDS[name] in _TEXTS else cell for name, cell in zip(columns, cells, strict=True)
    ]


def as_json(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Rows as the text of a JSON file."""
    listed = [json.dumps({name: row[name] for name in columns}, ensure_ascii=False, allow_nan=False) for row in rows]
    return '{"labels": [\n' + ",\n".join(listed) + "\n]}\n"


def _cell(name: str, value: Any) -> str:
    """A value as text in CSV, and in text columns of Parquet."""
    if value is None:
        return ""
    if _KINDS[name] == "nested":
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return repr(value) if isinstance(value, float) else str(value)


def _write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write rows as Parquet, nested columns as JSON text."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    types: JsonDict = {"number": pa.float64(), "p": pa.float64(), "whole": pa.int64(), "bool": pa.bool_()}
    arrays = []
    for name in columns:
        kind = types.get(_KINDS[name], pa.string())
        values = [row[name] for row in rows]
        if kind == pa.string():
            values = [None if value is None else _cell(name, value) for value in values]
        arrays.append(pa.array(values, kind))
    parquet.write_table(pa.Table.from_arrays(arrays, names=list(columns)), path)


def read_rows(path: PathLike) -> list[Row]:
    """Read rows that ``write_rows`` wrote, as stored: in CSV, every cell is text.

    Raises
    ------
    FileError
        If the file is missing, broken, or holds no labels.
    """
    kind = kind_of(path, KINDS, "labels")
    if kind == ".json":
        return _json_rows(path)
    columns, rows = _parquet_rows(path) if kind == ".parquet" else _csv_rows(path)
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise FileError(f"{str(path)!r} is not a file of labels: it lacks the columns {', '.join(missing)}")
    return rows


def _json_rows(path: PathLike) -> list[Row]:
    """The rows of a JSON file."""
    whole = read_json(path, "labels")
    rows = whole.get("labels") if isinstance(whole, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FileError(f"{str(path)!r} is not a file of labels: it must be a JSON object with a list called labels")
    for number, row in enumerate(rows, 1):
        missing = [name for name in _NEEDED if name not in row]
        if missing:
            raise FileError(f"label {number} in {str(path)!r} lacks {', '.join(missing)}")
    return rows


def _csv_rows(path: PathLike) -> tuple[list[str], list[Row]]:
    """The column names and rows of a CSV file."""
    previous_limit = csv.field_size_limit(2**31 - 1)  # the runners-up of a wide beam are long
    try:
        with reading(path, "labels"), open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            table = list(reader)
    except FileError as error:
        if isinstance(error.__cause__, csv.Error):
            raise FileError(f"{error} (line {reader.line_num})") from error.__cause__
        raise
    finally:
        csv.field_size_limit(previous_limit)
    columns, rows = (table[0], table[1:]) if table else ([], [])
    broken = [number for number, row in enumerate(rows, 1) if len(row) != len(columns)]
    if broken:
        raise FileError(
            f"row {broken[0]} of {str(path)!r} has {len(rows[broken[0] - 1])} cells for {len(columns)} columns: "
            "the file is broken or truncated"
        )
    if ESCAPED in columns:
        rows = [[from_spreadsheet(cell) for cell in row] for row in rows]
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def _parquet_rows(path: PathLike) -> tuple[list[str], list[Row]]:
    """The column names and rows of a Parquet file."""
    import pyarrow.parquet as parquet

    check_parquet(path, "labels")
    with reading(path, "labels"):
        table = parquet.read_table(path, partitioning=None)
        return list(table.column_names), table.to_pylist()
