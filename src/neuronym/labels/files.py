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

__all__ = ["as_json", "as_label", "as_row", "columns_of", "read_rows", "write_rows"]

Row = dict[str, Any]

KINDS = (".csv", ".parquet", ".json")

# The contract's columns, then what stands beside them; those that no label fills are left out, save the first ones.
_ALWAYS = ("neuron", "direction", "formula", "auc", "fraction", "count", "length", "p", "log10_p", "reason", "path")
_COLUMNS = (
    *("layer", "neuron", "direction", "formula", "auc", "fraction", "count", "length", "p", "log10_p", "p_search", "q"),
    *("auc_heldout", "auc_low", "auc_high", "p_gain", "stability", "stability_concepts", "stability_overlap"),
    *("agreement", "permutations", "tail", "difference", "precision", "recall", "average_precision"),
    *("reason", "path", "runners_up", "alternatives", "aliases"),
)
# Text stays text, whatever it looks like; nested columns are JSON text in CSV and Parquet.
_OF_FORMULA = ("p", "log10_p", "auc_heldout", "auc_low", "auc_high", "gain", "p_gain")
_EFFECTS = ("difference", "precision", "recall", "average_precision")
_OF_LABEL = ("p_search", "q", "agreement", "stability", "stability_concepts", "stability_overlap")
_FLOATS = ("auc", "fraction", *_OF_FORMULA, *_EFFECTS, *_OF_LABEL)
_WHOLE = ("count", "length", "permutations")
_NESTED = ("path", "runners_up", "aliases", "alternatives")
_NEEDED = ("neuron", "formula", "auc", "fraction", "count")


def columns_of(labels: Iterable[Label]) -> list[str]:
    """The columns that labels fill, in order."""
    listed = list(labels)
    return [
        name
        for name in _COLUMNS
        if name in _ALWAYS or any(_filled(getattr(label, name)) is not None for label in listed)
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
    return {name: made[name]() if name in made else _filled(getattr(label, name)) for name in columns}


def as_label(row: Row) -> Label:
    """The label that a row tells of.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If the row is broken.
    """
    path = [None if step is None else _from_dict(step) for step in row.get("path") or ()]
    best = None if row["formula"] is None else _from_dict(row)
    for place, step in enumerate(path):
        if best is not None and step is not None and step.formula == best.formula:  # the row holds all of its numbers
            path[place] = best = replace(best, gain=step.gain, p_gain=step.p_gain)
    return Label(
        as_name(row["neuron"]),
        row.get("layer"),
        row.get("direction") or "high",
        best,
        tuple(path),
        tuple(_from_dict(other) for other in row.get("runners_up") or ()),
        row.get("reason"),
        {name: tuple(others) for name, others in (row.get("aliases") or {}).items()},
        permutations=None if row.get("permutations") is None else int(row["permutations"]),
        tail={None: None, "True": True, "False": False, True: True, False: False}[row.get("tail")],
        alternatives=tuple((_parsed(f) if f else None, float(share)) for f, share in row.get("alternatives") or ()),
        **{name: _number(row, name) for name in _OF_LABEL},
    )


def _filled(value: Any) -> Any:
    """A value as it stands in a table; None for what is no number and for an empty collection."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if value in ((), {}) else value


def _as_dict(explanation: Explanation, best: Formula | None) -> Row:
    """A formula of a nested column; of the best one, the row tells the rest."""
    more = ("gain", "p_gain") if explanation.formula == best else (*_OF_FORMULA, *_EFFECTS)
    known = [name for name in more if not math.isnan(getattr(explanation, name))]
    told = {name: getattr(explanation, name) for name in ("auc", "fraction", "count", "length", *known)}
    return {"formula": str(explanation.formula), **told}


@lru_cache(maxsize=2**16)
def _parsed(text: str) -> Formula:
    """A formula from a file, where the same ones recur."""
    return Formula.parse(text)


def _from_dict(value: Mapping[str, Any]) -> Explanation:
    more = {name: _number(value, name) for name in (*_OF_FORMULA, *_EFFECTS) if name in value}
    formula = _parsed(value["formula"])
    return Explanation(formula, float(value["auc"]), float(value["fraction"]), int(value["count"]), **more)


def _number(row: Mapping[str, Any], name: str) -> float:
    return math.nan if row.get(name) is None else float(row[name])


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
