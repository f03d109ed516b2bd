"""Files of labels: one table with one row per label, as CSV, Parquet or JSON."""

from __future__ import annotations

import csv
import json
import math
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuronym._util.characters import ESCAPED, for_spreadsheet, from_spreadsheet
from neuronym._util.files import check_target, kind_of, parse_json, read_json, reading, writing
from neuronym.data.activations import as_name
from neuronym.data.formula import Formula
from neuronym.errors import FileError, FormulaError, InputError, OptionError
from neuronym.io.tables import check_parquet
from neuronym.labels.label import Explanation, Label
from neuronym.labels.lazy import Block, LazyLabels
from neuronym.labels.part import Part
from neuronym.labels.plain import READ, SHARES, Keys, keys_of, table_of_lines
from neuronym.labels.schema import COLUMNS, FORMULA_NUMBERS, LABEL_NUMBERS, FromBestFormula, present_value
from neuronym.types import JsonDict, Name, PathLike

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "as_json",
    "as_label",
    "as_row",
    "check_out",
    "check_spreadsheet",
    "columns_of",
    "read_blocks",
    "read_part",
    "write_rows",
]

Row = JsonDict
_T = TypeVar("_T")

KINDS = (".csv", ".parquet", ".json")

_KINDS = {one.name: one.kind for one in COLUMNS}
_NEEDED = [one.name for one in COLUMNS if one.needed]
_FLOATS = ("number", "p")
_TEXTS = ("name", "text", "formula", "nested")
_PIECE, _PACKED = 4096, 256  # rows that are checked together, and that are packed together
_FEW = 8  # rows that are taken from a pack one by one
_GROUP = 8192  # rows of a row group of Parquet
_LINE = "\0"  # the column of rows that are lines of JSON
_FIRST_LINE, _LAST_LINE, _PART_LINE = '{"labels": [\n', "]}\n", '], "part": '
# In a path and among the runners-up a formula is a dict. The best formula's numbers are columns of their own, except
# those in _STEP_ONLY, which a label does not share with it.
_OF_FORMULA = ("auc", "fraction", "count", "length", *FORMULA_NUMBERS)
_NUMBERS = frozenset(FORMULA_NUMBERS)
_MEASURED = ("auc", "fraction", "count")
_STEP_ONLY = [name for name in FORMULA_NUMBERS if not isinstance(getattr(Label, name, None), FromBestFormula)]
_OF_BEST = (*_OF_FORMULA[:4], *_STEP_ONLY)


def columns_of(labels: Iterable[Label]) -> list[str]:
    """The stored columns that any of the labels fills, in order."""
    empty = {one.name for one in COLUMNS if one.stored and not one.always}
    filled = labels.filled() if isinstance(labels, LazyLabels) else None
    for label in labels if filled is None else ():
        empty -= {name for name in empty if present_value(getattr(label, name)) is not None}
    empty -= filled or set()
    return [one.name for one in COLUMNS if one.stored and one.name not in empty]


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


def as_label(row: Row, checked: bool = False) -> Label:
    """The label in a row. Columns that labels do not have are ignored.

    Formulas in nested columns that were ``checked`` by column need no checks of their own.

    Raises
    ------
    InputError
        If the row is broken.
    """
    formula, direction = _cell_of(row, "formula"), _cell_of(row, "direction") or "high"
    if direction not in ("high", "low"):
        raise _odd("direction", direction, "high or low")
    read = _checked_explanation if checked else _explanation
    path = [None if step is None else read(_record(step, "path")) for step in _listed(row, "path")]
    shared = {name: value for name, value in row.items() if name not in _STEP_ONLY}
    best = None if formula is None else _explanation(shared)
    for place, step in enumerate(path):
        if best is not None and step is not None and step.formula == best.formula:  # its other numbers are in the row
            own = {name: value for name in _STEP_ONLY if not math.isnan(value := getattr(step, name))}
            path[place] = best = replace(best, **own) if own else best
    return Label(
        as_name(_required(row, "neuron")),
        _cell_of(row, "layer"),
        direction,
        best,
        tuple(path),
        tuple(read(_record(other, "runners_up")) for other in _listed(row, "runners_up")),
        _cell_of(row, "reason"),
        _aliases(row),
        alternatives=tuple(_alternative(pair) for pair in _listed(row, "alternatives")),
        score=_cell_of(row, "score"),
        **_numbers(row, LABEL_NUMBERS),
    )


def _explanation(value: Mapping[str, Any]) -> Explanation:
    """A formula with its numbers, from a dict or a row."""
    formula = _parsed(_required(value, "formula"))
    measured = auc, fraction, count = tuple(_cell_of(value, name) for name in _MEASURED)
    numbers = _numbers(value, FORMULA_NUMBERS)
    if measured == (None, None, None):  # of another tool, never measured
        return Explanation(formula, math.nan, math.nan, None, **numbers)
    if None in measured:
        raise FileError(f"{_MEASURED[measured.index(None)]} is missing")
    return Explanation(formula, auc, fraction, count, **numbers)


def _checked_explanation(value: Mapping[str, Any]) -> Explanation:
    """A formula with its numbers, from a dict that was checked."""
    numbers = {name: float(one) for name, one in value.items() if name in _NUMBERS and one is not None}
    auc, fraction = float(value["auc"]), float(value["fraction"])
    return Explanation(_parsed(value["formula"]), auc, fraction, value["count"], **numbers)


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
    found = {name: _cell_of(row, name) for name in names if row.get(name) is not None}
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
    if type(value) is float and kind in _FLOATS and 0 <= value <= 1:  # most cells, and the rest says the same of them
        return value
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
            if name in SHARES and not (0 <= found <= 1 or math.isnan(found)):
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
    found: Row = {"formula": str(explanation.formula)}
    for name in _OF_BEST if explanation.formula == best else _OF_FORMULA:
        value = present_value(getattr(explanation, name))
        if value is not None:
            found[name] = value
    return found


@lru_cache(maxsize=2**16)
def _parsed(text: str) -> Formula:
    """Parse a formula from a file; cached, since a file repeats formulas.

    Most differ in their literals alone, which a file repeats too: the rest is parsed once, with numbers for literals.
    """
    between = _LITERAL.split(text)
    literals = between[1::2]
    del between[1::2]
    if all(map(_BETWEEN.fullmatch, between[1:-1])) and not any('"' in part for part in between):
        form = _form("".join(f"{part}{place}" for place, part in enumerate(between[:-1])) + between[-1])
        if form is not None:
            return _filled(form, [_literal(one) for one in literals])
    return Formula.parse(text)


_LITERAL = re.compile(r'(~?(?:"(?:[^"]|"")+"|[^\s&|~()"]+))')
_BETWEEN = re.compile(r"[\s&|~()]*[&|][\s&|~()]*")


@lru_cache(maxsize=2**16)
def _literal(text: str) -> Formula:
    return Formula.parse(text)


@lru_cache(maxsize=2**10)
def _form(text: str) -> Formula | None:
    """A formula of numbers; None if it is none."""
    try:
        return Formula.parse(text)
    except FormulaError:
        return None


def _filled(form: Formula, literals: Sequence[Formula]) -> Formula:
    """A formula of numbers, with literals in their places."""
    if form.operator == "concept":
        return literals[int(form.name)]
    operands = [_filled(one, literals) for one in form.operands]
    return ~operands[0] if form.operator == "not" else Formula.joined(form.operator, operands)


def write_rows(
    path: PathLike,
    columns: Sequence[str],
    rows: Iterable[Row],
    overwrite: bool,
    spreadsheet: bool = False,
    part: Part | None = None,
) -> None:
    """Write rows of a table with these columns; the file is complete or absent.

    For a spreadsheet, cells of text are escaped, and a last column says so. A part of a run is written to JSON.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written, or cannot say which part of a run it is.
    """
    kind = check_spreadsheet(path, kind_of(path, KINDS, "labels"), spreadsheet)
    check_part(path, part is not None)
    with writing(path, overwrite) as temporary:
        if kind == ".parquet":
            _write_parquet(temporary, columns, rows)
            return
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            if kind == ".json":
                file.writelines(as_json(columns, rows, part))
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


def check_part(path: PathLike, of_run: bool) -> None:
    """Refuse a file that cannot say which part of a run its labels are."""
    if of_run and kind_of(path, KINDS, "labels") != ".json":
        raise FileError(f"cannot save a part of a run as {str(path)!r}: name a file .json, and merge all parts")


def check_out(path: PathLike, overwrite: bool, spreadsheet: bool, of_run: bool = False) -> None:
    """Refuse a file that ``write_rows`` would refuse, before the work."""
    check_part(path, of_run)
    check_spreadsheet(path, kind_of(path, KINDS, "labels"), spreadsheet)
    check_target(path, overwrite)


def read_part(path: PathLike) -> Part | None:
    """Which part of a run the labels in a file are; None if they are all.

    Raises
    ------
    FileError
        If what it says is broken.
    """
    if kind_of(path, KINDS, "labels") != ".json":
        return None
    with (
        reading(path, "labels"),
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        start = text.rfind(b"\n" + _PART_LINE.encode())
        if start < 0:
            return None
        return Part.of_json(parse_json(b"{" + text[start + 1 + len("], ") :].rstrip())["part"])


def _escaped(columns: Sequence[str], cells: Sequence[str]) -> list[str]:
    """The cells of a row with those of text escaped for a spreadsheet; numbers are no formulas."""
    return [
        for_spreadsheet(cell) if _KINDS[name] in _TEXTS else cell for name, cell in zip(columns, cells, strict=True)
    ]


def as_json(columns: Sequence[str], rows: Iterable[Row], part: Part | None = None) -> Iterator[str]:
    """Yield rows as the text of a JSON file, piece by piece; a part of a run says so at the end."""
    yield _FIRST_LINE
    before = ""
    for row in rows:
        line = json.dumps({name: row[name] for name in columns}, ensure_ascii=False, allow_nan=False)
        yield before + line
        before = ",\n"
    yield "\n" + (_LAST_LINE if part is None else f"{_PART_LINE}{json.dumps(part.to_json())}}}\n")


def _cell(name: str, value: Any) -> str:
    """A value as text in CSV, and in text columns of Parquet."""
    if value is None:
        return ""
    if _KINDS[name] == "nested":
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return repr(value) if isinstance(value, float) else str(value)


def _write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows as Parquet, nested columns as JSON text."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    types: JsonDict = {"number": pa.float64(), "p": pa.float64(), "whole": pa.int64(), "bool": pa.bool_()}
    schema = pa.schema([(name, types.get(_KINDS[name], pa.string())) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        for part in _parts(rows, _GROUP):
            arrays = []
            for name, kind in zip(columns, schema.types, strict=True):
                values = [row[name] for row in part]
                if kind == pa.string():
                    values = [None if value is None else _cell(name, value) for value in values]
                arrays.append(pa.array(values, kind))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _parts(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield items in lists of some size."""
    source = iter(items)
    while part := list(islice(source, size)):
        yield part


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Rows of a file, packed, which were found to be in order.

    Parameters
    ----------
    packed : bytes
        A compressed stream of Arrow: the columns of the file, or its lines of JSON.
    keys : Keys
        What is known of them without unpacking.
    """

    packed: bytes
    keys: Keys

    @classmethod
    def of(cls, table: pa.Table, keys: Keys) -> Iterator[RowBlock]:
        """Pack rows, some hundreds at a time."""
        import pyarrow as pa

        options = pa.ipc.IpcWriteOptions(compression="lz4")
        bare = table.replace_schema_metadata(None)
        for start in range(0, table.num_rows, _PACKED):
            stop = start + _PACKED
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, bare.schema, options=options) as stream:
                stream.write_table(bare.slice(start, _PACKED).combine_chunks())
            of_rows = Keys(keys.neurons[start:stop], keys.layers[start:stop], keys.found[start:stop])
            yield cls(sink.getvalue().to_pybytes(), of_rows)

    def __len__(self) -> int:
        return len(self.keys.neurons)

    def neurons(self) -> list[Name]:
        """Return the neuron of each label."""
        return self.keys.neurons

    def layers(self) -> list[str | None]:
        """Return the layer of each label."""
        return self.keys.layers

    def found(self) -> NDArray[np.bool_]:
        """Return which labels have a formula."""
        return self.keys.found

    def filled(self) -> None:
        """Return None: the cells of a row may differ from the numbers of its label."""

    def labels(self, places: Sequence[int]) -> Iterator[Label]:
        """Make the labels at some places."""
        import pyarrow as pa

        table = pa.ipc.open_stream(self.packed).read_all()
        if len(places) < _FEW:
            rows = [table.slice(place, 1).to_pylist()[0] for place in places]
        else:
            every = table.to_pylist()
            rows = [every[place] for place in places]
        return (as_label(json.loads(row[_LINE]) if _LINE in row else row, checked=True) for row in rows)


@dataclass(frozen=True, eq=False)
class MadeBlock:
    """Labels of rows that had to be read one by one.

    Parameters
    ----------
    made : sequence of Label
        The labels.
    """

    made: Sequence[Label]

    def __len__(self) -> int:
        return len(self.made)

    def neurons(self) -> list[Name]:
        """Return the neuron of each label."""
        return [label.neuron for label in self.made]

    def layers(self) -> list[str | None]:
        """Return the layer of each label."""
        return [label.layer for label in self.made]

    def found(self) -> NDArray[np.bool_]:
        """Return which labels have a formula."""
        return np.array([label.best is not None for label in self.made], np.bool_)

    def filled(self) -> set[str]:
        """Return the columns that any label fills."""
        return set(columns_of(self.made))

    def labels(self, places: Sequence[int]) -> list[Label]:
        """Return the labels at some places."""
        return [self.made[place] for place in places]


def read_blocks(path: PathLike) -> Iterator[Block]:
    """Read labels that ``write_rows`` wrote.

    Every row is checked here; its label is made when it is asked for.

    Parameters
    ----------
    path : str or Path
        The file.

    Yields
    ------
    Block
        Some labels, in order.

    Raises
    ------
    FileError
        If the file is missing, broken, or holds no labels.
    """
    kind = kind_of(path, KINDS, "labels")
    if kind == ".json":
        yield from _json_blocks(path)
        return
    first = 1
    for table in _parquet_tables(path) if kind == ".parquet" else _csv_tables(path):
        yield from _blocks(path, table, first)
        first += table.num_rows


def _blocks(path: PathLike, table: pa.Table, first: int) -> Iterator[Block]:
    """Some rows of a table as blocks."""
    # The last of those that are called alike.
    kept = table.select(
        [place for name, place in {n: i for i, n in enumerate(table.column_names)}.items() if name in READ]
    )
    keys = keys_of(kept, _check_nested)
    if keys is not None:
        yield from RowBlock.of(kept, keys)
        return
    with reading(path, "labels"):
        rows = kept.to_pylist()
    yield _read_one_by_one(path, rows, first)


def _read_one_by_one(path: PathLike, rows: Iterable[Row], first: int) -> MadeBlock:
    """The labels of rows; the number of the first one is for messages."""
    labels = []
    for number, row in enumerate(rows, first):
        try:
            labels.append(as_label(row))
        except InputError as error:
            raise FileError(f"label {number} of {str(path)!r} is broken: {error}") from error
    return MadeBlock(labels)


def _check_nested(name: str, value: Any) -> None:
    """Read a cell of a nested column that does not hold formulas with their numbers."""
    if name == "aliases":
        _aliases({name: value})
    else:
        for pair in _listed({name: value}, name):
            _alternative(pair)


def _json_blocks(path: PathLike) -> Iterator[Block]:
    """The labels of a JSON file, of one line each; in any other form it is parsed as a whole."""
    blocks = _blocks_of_lines(path)
    if blocks is not None:
        yield from blocks
        return
    rows, first = _json_rows(path), 1
    while rows:
        part = rows[:_PIECE]
        del rows[:_PIECE]  # so that the rows and their blocks are never in memory together
        yield from _blocks_of_rows(path, part, first)
        first += len(part)


def _blocks_of_rows(path: PathLike, rows: Sequence[Row], first: int) -> Iterator[Block]:
    """Rows of a JSON file as blocks."""
    try:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    except RecursionError:
        lines = []
    table = table_of_lines(lines, _check_nested) if lines else None
    keys = None if table is None else keys_of(table, _check_nested)
    if keys is None:
        yield _read_one_by_one(path, rows, first)
    else:
        yield from RowBlock.of(_table_of_texts(lines), keys)


def _table_of_texts(lines: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_arrays([_array_of(lines)], names=[_LINE])


def _array_of(texts: Sequence[str]) -> pa.Array[Any]:
    """Texts as an Arrow array; ``pyarrow.array`` would import pandas."""
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers).cast(pa.string())


def _blocks_of_lines(path: PathLike) -> list[Block] | None:
    """The labels of a JSON file that has each on a line of its own; None if it is of another form."""
    blocks: list[Block] = []
    first = 1
    for part in _parts(_lines(path), _PIECE):
        lines = [line for line in part if line is not None]
        if len(lines) < len(part):
            return None
        table = table_of_lines(lines, _check_nested)
        keys = None if table is None else keys_of(table, _check_nested)
        if keys is not None:
            blocks += RowBlock.of(_table_of_texts(lines), keys)
        else:
            try:
                rows = [parse_json(line) for line in lines]
            except (ValueError, RecursionError):
                return None
            if not all(isinstance(row, dict) and all(name in row for name in _NEEDED) for row in rows):
                return None
            blocks.append(_read_one_by_one(path, rows, first))
        first += len(lines)
    return blocks


def _lines(path: PathLike) -> Iterator[str | None]:
    """The lines of a JSON file that hold a label each; None at the place where it is of another form."""
    with reading(path, "labels"), open(path, encoding="utf-8-sig", newline="\n") as file:
        line = file.readline() if file.readline() == _FIRST_LINE else ""
        for following in file if line else ():
            if following == _LAST_LINE or following.startswith(_PART_LINE):
                yield line[:-1]
                line = file.readline() or _LAST_LINE
                break
            yield line[:-2] if line.endswith(",\n") else None
            line = following
        if line != _LAST_LINE:
            yield None


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


def _csv_tables(path: PathLike) -> Iterator[pa.Table]:
    """The rows of a CSV file, as columns of texts."""
    import pyarrow as pa

    for columns, rows in _csv_rows(path):
        if ESCAPED in columns:
            rows = [[from_spreadsheet(cell) for cell in row] for row in rows]
        cells = dict(zip(columns, zip(*rows, strict=True), strict=True))  # the last of those that are called alike
        yield pa.Table.from_arrays([_array_of(values) for values in cells.values()], names=list(cells))


def _csv_rows(path: PathLike) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The column names and some rows of a CSV file at a time."""
    previous_limit = csv.field_size_limit(2**31 - 1)  # the runners-up of a wide beam are long
    try:
        with reading(path, "labels"), open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns, done = next(reader, []), 0
            for rows in _parts(reader, _PIECE):
                for number, row in enumerate(rows, done + 1):
                    if len(row) != len(columns):
                        raise FileError(
                            f"row {number} of {str(path)!r} has {len(row)} cells for {len(columns)} columns: "
                            "the file is broken or truncated"
                        )
                if not done:
                    _check_columns(path, columns)
                done += len(rows)
                yield columns, rows
            if not done:
                _check_columns(path, columns)
    except FileError as error:
        if isinstance(error.__cause__, csv.Error):
            raise FileError(f"{error} (line {reader.line_num})") from error.__cause__
        raise
    finally:
        csv.field_size_limit(previous_limit)


def _parquet_tables(path: PathLike) -> Iterator[pa.Table]:
    """The rows of a Parquet file, some at a time."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    check_parquet(path, "labels")
    with reading(path, "labels"):
        if Path(path).is_dir():
            whole = parquet.read_table(path, partitioning=None)
            _check_columns(path, whole.column_names)
            batches: Iterable[pa.RecordBatch] = whole.to_batches(_PIECE)
            yield from (pa.Table.from_batches([batch]) for batch in batches)
            return
        with parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            yield from (pa.Table.from_batches([batch]) for batch in file.iter_batches(_PIECE))


def _check_columns(path: PathLike, columns: Sequence[str]) -> None:
    """Refuse a table without the columns of labels."""
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise FileError(f"{str(path)!r} is not a file of labels: it lacks the columns {', '.join(missing)}")
