"""Rows of a file of labels that are surely in order, told by column with Arrow and not row by row.

Reading a row costs a hundred times as much as checking it here. What is not surely in order is not refused: it is read
row by row, which accepts it or says what is wrong. So each check may be too strict, and never too lax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import parse_json
from neuronym._util.limits import FORMULA
from neuronym.data.activations import as_name
from neuronym.errors import InputError
from neuronym.labels.schema import COLUMNS, FORMULA_NUMBERS
from neuronym.types import Name

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["READ", "SHARES", "STEPS", "Keys", "keys_of", "table_of_lines"]

Bools = NDArray[np.bool_]
_N = TypeVar("_N", bound=np.generic)

#: Columns that hold formulas with their numbers, and whether their lists may hold None.
STEPS = {"path": True, "runners_up": False}
_OTHER_NESTED = ("alternatives", "aliases")
#: Numbers from 0 to 1.
SHARES = {"auc", "fraction", *(one.name for one in COLUMNS if one.kind == "p")}
#: The columns from which labels are made, and their kinds.
READ = {one.name: one.kind for one in COLUMNS if one.stored and one.name not in ("length", "p_gain")}
_WRITTEN = {one.name: one.kind for one in COLUMNS if one.stored and one.name not in _OTHER_NESTED}

_LONGEST_NAME = 1000  # bytes
_LONGEST_TEXT = 2**30
# Formulas as they are written, with one level of parentheses. Names without quotes hold no white space of any alphabet.
_PLAIN = (
    r'[^\s\v&|~()"\x00-\x20\x7f-\x{a0}\x{1680}\x{180e}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{206f}\x{3000}'
    r"\x{feff}]+"
)
_LITERAL = rf'~?(?:{_PLAIN}|"(?:[^"]|"")+")'
_OPERAND = rf"(?:{_LITERAL}|~?\({_LITERAL}(?: [&|] {_LITERAL})*\))"
FORMULA_TEXT = rf"\A{_OPERAND}(?: [&|] {_OPERAND})*\z"
_NUMBER = r"\A-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\z"
_WHOLE = r"\A-?[0-9]{1,18}\z"


class _Unsure(Exception):  # noqa: N818  a signal inside this module
    pass


@dataclass(frozen=True)
class Keys:
    """What is known of rows without making their labels.

    Parameters
    ----------
    neurons : list of (int or str)
        The neuron of each row.
    layers : list of (str or None)
        Its layer.
    found : bool array of shape (n_rows,)
        Whether it has a formula.
    """

    neurons: list[Name]
    layers: list[str | None]
    found: Bools


Read = Callable[[str, Any], object]


def keys_of(table: pa.Table, read: Read) -> Keys | None:
    """Check that every row of a table is surely a label.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of labels as files hold them, of texts or of types of their own.
    read : callable
        Takes the name of another nested column and the contents of a cell, and raises ``InputError`` if it is broken.

    Returns
    -------
    Keys or None
        None if some row may be broken.
    """
    import pyarrow as pa

    try:
        return _keys_of({name: _one_chunk(table.column(name)) for name in table.column_names}, read)
    except (_Unsure, InputError, pa.ArrowException):
        return None


def table_of_lines(lines: Sequence[str], read: Read) -> pa.Table | None:
    """Parse lines of JSON, an object each, into columns.

    Parameters
    ----------
    lines : sequence of str
        Objects as ``Labels.save`` writes them.
    read : callable
        As for ``keys_of``.

    Returns
    -------
    pyarrow.Table or None
        None if some line may be no such object, or has other columns.
    """
    import pyarrow as pa

    heads = []
    for line in lines:
        place = next((at for name in _OTHER_NESTED if (at := line.rfind(f', "{name}": ')) > 0), 0)
        if place:  # these are no tables; the rest of the line and they are each whole
            try:
                others = parse_json("{" + line[place + 2 :])
            except (ValueError, RecursionError):
                return None
            if not _are_in_order(others, read):
                return None
        heads.append(line[:place] + "}" if place else line)
    if not all(head.startswith("{") for head in heads) or any("\r" in head or "\n" in head for head in heads):
        return None
    data = "\n".join(heads).encode()
    for kind in (pa.int64(), pa.string()):  # of the names of the neurons
        try:
            found = _parsed(data, pa.schema([(name, _type_of(name, kind)) for name in _WRITTEN]))
            return found if found.num_rows == len(lines) else None
        except (_Unsure, pa.ArrowException):
            continue
    return None


def _are_in_order(others: Mapping[str, Any], read: Read) -> bool:
    """Whether nested columns can be read."""
    try:
        for name, value in others.items():
            read(name, value)
    except InputError:
        return False
    return others.keys() <= set(_OTHER_NESTED)


def _type_of(name: str, of_names: pa.DataType) -> pa.DataType:
    """The Arrow type of a column in JSON."""
    import pyarrow as pa

    kind = _WRITTEN[name]
    if kind == "nested":
        return _steps_type()
    types: dict[str, pa.DataType] = {"name": of_names, "whole": pa.int64(), "bool": pa.bool_()}
    types |= {"number": pa.float64(), "p": pa.float64()}
    return types.get(kind, pa.string())


def _steps_type() -> pa.DataType:
    """The Arrow type of a list of formulas with their numbers."""
    import pyarrow as pa

    numbers: list[tuple[str, Any]] = [(name, pa.float64()) for name in ("auc", "fraction", *FORMULA_NUMBERS)]
    wholes: list[tuple[str, Any]] = [("count", pa.int64()), ("length", pa.int64())]
    return pa.list_(pa.struct([("formula", pa.string()), *numbers, *wholes]))


def _parsed(data: bytes, schema: pa.Schema) -> pa.Table:
    """Lines of JSON as columns; every line must be one object without other fields."""
    from pyarrow import json as arrow

    if len(data) > _LONGEST_TEXT:
        raise _Unsure
    return arrow.read_json(
        BytesIO(data),
        read_options=arrow.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=arrow.ParseOptions(
            explicit_schema=schema, newlines_in_values=False, unexpected_field_behavior="error"
        ),
    )


def _one_chunk(column: Any) -> Any:
    """A column as one array, of texts of the usual type; an empty text is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_dictionary(array.type) or pa.types.is_large_string(array.type):
        array = array.cast(pa.string())
    if pa.types.is_string(array.type):
        array.validate(full=True)  # which includes its encoding
        # Not with pc.equal: for scalars, Arrow would import pandas.
        empty = pc.match_substring_regex(array, r"\A\z")
        return pc.if_else(empty, pa.nulls(len(array), pa.string()), array)
    return array


def _keys_of(columns: Mapping[str, Any], read: Read) -> Keys:
    import pyarrow as pa
    import pyarrow.compute as pc

    formula = _texts(columns["formula"])
    _check_formulas(formula)
    found = _present(formula)
    for name, kind in READ.items():
        column = columns.get(name)
        if column is None or (pa.types.is_null(column.type) and name not in ("auc", "fraction", "count")):
            continue
        if kind in ("number", "p"):
            _check_numbers(column, name in SHARES, found if name in ("auc", "fraction") else None)
        elif kind == "whole":
            _check_wholes(column, found if name == "count" else None)
        elif kind == "bool":
            _check_bools(column)
        elif name in STEPS:
            _check_steps(column, STEPS[name])
        elif name in _OTHER_NESTED:
            for cell in pc.unique(_texts(column)).drop_null().to_pylist():
                read(name, cell)
        elif name != "neuron":
            _texts(column)
    if any(name not in columns for name in ("auc", "fraction", "count")):
        raise _Unsure
    directions = columns.get("direction")
    if directions is not None and not set(pc.unique(directions).to_pylist()) <= {"high", "low", None}:
        raise _Unsure
    layers = columns.get("layer")
    return Keys(_names(columns["neuron"]), [None] * len(found) if layers is None else _shared(layers), found)


def _present(column: Any) -> Bools:
    """Where a column is not missing."""
    import pyarrow as pa

    return _values(column.is_valid().cast(pa.uint8()), np.uint8) > 0


def _floats(column: Any) -> NDArray[np.float64]:
    """A column of floats, with NaN where it is missing."""
    return np.where(_present(column), _values(column, np.float64), np.nan)


def _values(column: Any, kind: type[_N]) -> NDArray[_N]:
    """The values of a column as they lie in memory; ``to_numpy`` would import pandas."""
    buffer = column.buffers()[1]
    if buffer is None or not len(column):
        return np.zeros(len(column), kind)
    return np.frombuffer(buffer, kind)[column.offset : column.offset + len(column)]


def _texts(column: Any) -> Any:
    """A column of texts."""
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if not pa.types.is_string(column.type):
        raise _Unsure
    return column


def _shared(column: Any) -> list[str | None]:
    """The texts of a column of few distinct ones, each once in memory."""
    known: dict[str | None, str | None] = {}
    return [known.setdefault(text, text) for text in _texts(column).to_pylist()]


def _names(column: Any) -> list[Name]:
    """The names of neurons."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count or not (pa.types.is_int64(column.type) or pa.types.is_string(column.type)):
        raise _Unsure
    if pa.types.is_string(column.type) and (pc.max(pc.binary_length(column)).as_py() or 0) > _LONGEST_NAME:
        raise _Unsure
    return [as_name(str(name)) for name in column.to_pylist()]


def _check_formulas(texts: Any) -> None:
    """Check that texts are formulas, as they are written."""
    import pyarrow.compute as pc

    if (pc.max(pc.binary_length(texts)).as_py() or 0) > FORMULA:
        raise _Unsure
    _require(pc.match_substring_regex(texts, FORMULA_TEXT))


def _require(holds: Any) -> None:
    """Check that all that is not missing holds."""
    import pyarrow.compute as pc

    if pc.all(holds).as_py() is False:
        raise _Unsure


def _check_numbers(column: Any, share: bool, required: Bools | None) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type):
        _require(pc.match_substring_regex(column, _NUMBER))
    elif not (pa.types.is_float64(column.type) or pa.types.is_int64(column.type) or pa.types.is_null(column.type)):
        raise _Unsure
    values = _floats(column.cast(pa.float64()))
    if np.isinf(values).any() or (share and ((values < 0) | (values > 1)).any()):
        raise _Unsure
    if required is not None and np.isnan(values[required]).any():
        raise _Unsure


def _check_wholes(column: Any, required: Bools | None) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type):
        _require(pc.match_substring_regex(column, _WHOLE))
    elif not (pa.types.is_int64(column.type) or pa.types.is_null(column.type)):
        raise _Unsure
    if required is not None and not _present(column)[required].all():
        raise _Unsure


def _check_bools(column: Any) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_boolean(column.type) and not set(pc.unique(_texts(column)).to_pylist()) <= {
        "True",
        "False",
        None,
    }:
        raise _Unsure


def _check_steps(column: Any, with_missing: bool) -> None:
    """Check lists of formulas with their numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type):
        cells = column.drop_null()
        if not len(cells):
            return
        if pc.any(pc.match_substring_regex(cells, r"[\r\n]")).as_py():  # of which each line would be parsed by itself
            raise _Unsure
        data = b"\n".join(b'{"c": %b}' % cell.as_buffer() for cell in cells)
        parsed = _parsed(data, pa.schema([("c", _steps_type())]))
        if parsed.num_rows != len(cells):
            raise _Unsure
        column = _one_chunk(parsed.column("c"))
    elif column.type != _steps_type():
        raise _Unsure
    steps = column.flatten()
    if steps.null_count and not with_missing:
        raise _Unsure
    steps = steps.drop_null()
    fields = dict(zip((one.name for one in steps.type), steps.flatten(), strict=True))
    if any(fields[name].null_count for name in ("formula", "auc", "fraction", "count")):
        raise _Unsure
    if pc.any(pc.match_substring_regex(fields["formula"], r"\A\z")).as_py():
        raise _Unsure
    _check_formulas(fields["formula"])
    for name in ("auc", "fraction", *FORMULA_NUMBERS):
        if fields[name].null_count < len(steps):
            _check_numbers(fields[name], name in SHARES, None)
            if np.isnan(_floats(fields[name].drop_null())).any():
                raise _Unsure
