"""Reading yes-or-no values into columns of concepts, and what to do with values that are neither."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted, warn
from neuronym.data.binary import Ints, columns_of_pairs
from neuronym.data.ids import is_called_like_ids, is_missing
from neuronym.errors import ConceptsError, OptionError
from neuronym.types import Negative, Unknown

if TYPE_CHECKING:
    from scipy.sparse import csc_array


_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "t", "y", "wahr", "vrai", "ja", "oui"), True),
    **dict.fromkeys(("0", "false", "no", "f", "n", "falsch", "faux", "nein", "non"), False),
    **dict.fromkeys(("", "na", "n/a", "null", "none", "<na>"), None),
}


def as_bool(cell: object) -> object:
    """A cell as True or False if it is yes or no, as None if it is blank, as a number if it is one; else unchanged."""
    if not isinstance(cell, str):
        return bool(cell) if cell in (0, 1) else cell
    text = cell.strip().lower()
    if text in _WORDS:
        return _WORDS[text]
    try:
        number = float(text.replace("−", "-").replace(",", "."))
    except ValueError:
        return cell
    return bool(number) if number in (0, 1) else number


@dataclass(frozen=True)
class Reading:
    """How to read values that are neither yes nor no.

    Parameters
    ----------
    unknown : {"error", "no", "drop"}, default "error"
        Raise, count the value as no, or drop its sample.
    blank : {"error", "no", "drop"} or None, default None
        The same for missing values; None means as ``unknown``.
    negative : {"error", "no", "yes", "drop"} or None, default None
        The same for −1. None means as ``unknown``; but if a table has only −1 and 1, −1 is no.

    Raises
    ------
    OptionError
        If an option is none of these.
    """

    unknown: Unknown = "error"
    blank: Unknown | None = None
    negative: Negative | None = None

    def __post_init__(self) -> None:
        if self.unknown not in ("error", "no", "drop"):
            raise OptionError(f"unknown must be 'error', 'no' or 'drop', not {self.unknown!r}")
        if self.blank not in (None, "error", "no", "drop"):
            raise OptionError(f"blank must be 'error', 'no' or 'drop', not {self.blank!r}")
        if self.negative not in (None, "error", "no", "yes", "drop"):
            raise OptionError(f"negative must be 'error', 'no', 'yes' or 'drop', not {self.negative!r}")

    def of(self, kind: str) -> str:
        """The rule for a kind of values: blank, negative or other."""
        own = {"blank": self.blank, "negative": self.negative}.get(kind)
        return self.unknown if own is None else own


class _Odd:
    """The values of a table that are neither yes nor no, by kind."""

    def __init__(self, names: Sequence[object], reading: Reading, identified: bool) -> None:
        self.names, self.reading, self.identified = names, reading, identified
        self.found: dict[str, dict[int, tuple[int, object]]] = {"blank": {}, "negative": {}, "other": {}}
        self.zeros = False  # whether any value is 0 or False
        self.all_different: set[int] = set()  # concepts with another text for each sample

    def read(self, c: int, values: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which values of a concept count as yes, and which samples to drop."""
        values = _without_texts(values)
        yes, no = _is(values, 1), _is(values, 0)
        drop = np.zeros(len(values), np.bool_)
        self.zeros = self.zeros or bool(no.any())
        neither = ~(yes | no)
        if not neither.any():
            return yes, drop
        blank, negative = neither & _blank(values), _is(values, -1)
        for kind, mask in (("blank", blank), ("negative", negative), ("other", neither & ~blank & ~negative)):
            if mask.any():
                self.found[kind][c] = int(mask.sum()), values[np.argmax(mask)]
                rule = self.reading.of(kind)
                yes, drop = yes | mask if rule == "yes" else yes, drop | mask if rule == "drop" else drop
        texts = {value for value in values[neither & ~blank] if isinstance(value, str)}
        if 1 < len(values) == len(texts):
            self.all_different.add(c)
        return yes, drop

    def check(self) -> None:
        """Raise if a value is an error; warn if −1 was read as no unasked."""
        refused = {kind: by_concept for kind, by_concept in self.found.items() if self.reading.of(kind) == "error"}
        only_minus_one = not (self.zeros or self.found["blank"] or self.found["other"])
        if refused.get("negative") and only_minus_one and self.reading.negative is None:
            total = sum(count for count, _ in refused["negative"].values())
            warn(f"{counted(total, 'value')} of −1 read as no, since all others are 1: say so with negative='no'")
            return
        total = sum(count for by_concept in refused.values() for count, _ in by_concept.values())
        if not total:
            return
        examples = [
            f"{self.names[c]!r}: {count}, such as {_shown(value)}"
            for by_concept in refused.values()
            for c, (count, value) in list(by_concept.items())[:2]
        ]
        n_concepts = len({c for by_concept in refused.values() for c in by_concept})
        raise ConceptsError(
            f"concepts must be yes or no (True/False or 1/0), but {counted(total, 'value')} in "
            f"{counted(n_concepts, 'concept')} {'are' if total > 1 else 'is'} neither ({', '.join(examples)}): "
            + self._remedies(refused)
        )

    def _remedies(self, refused: dict[str, dict[int, tuple[int, object]]]) -> str:
        other = refused.get("other", {})
        if not self.identified and self.all_different & set(other):
            name = self.names[min(self.all_different & set(other))]
            return f"if {name!r} holds sample ids, say so with id_column={name!r} (--id-column), or call it sample"
        called = [str(self.names[c]) for c in other if is_called_like_ids(str(self.names[c]))]
        if called:
            return (
                f"{called[0]!r} is called like sample ids: leave the column out, or, if it holds them, make them unique"
            )
        remedies = ["count them as no with unknown='no'", "leave those samples out with unknown='drop'"]
        scores = any(isinstance(value, float | np.floating) for _, value in other.values())
        remedies.insert(0 if scores else 2, "binarize scores with Concepts.from_scores (neuronym concepts scores)")
        texts = [value for _, value in other.values() if isinstance(value, str)]
        if texts:
            remedies.insert(0, "make concepts of categories with from_attributes (concepts table --attributes)")
        if any(sign in text for text in texts for sign in "|,;"):
            remedies.insert(0, "split several labels in a cell with from_table(…, separator=…) (--separator)")
        if refused.get("blank"):
            remedies.insert(0, "read missing values as no with blank='no'")
        if refused.get("negative"):
            remedies.insert(0, "say what −1 means with negative='no', 'yes' or 'drop'")
        return ", ".join(remedies[:-1]) + ", or " + remedies[-1]


def _shown(value: object) -> str:
    """A value for a message."""
    if isinstance(value, str):
        return f"the text {value!r}"
    return str(value)


def columns_of_dense(
    given: Iterable[NDArray[Any]],
    n_samples: int,
    names: Sequence[object],
    reading: Reading,
    *,
    identified: bool = False,
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Columns from one array of yes or no per concept, and which samples to keep.

    ``identified`` says that the samples have ids, so that no column can hold them.
    """
    keep = np.ones(n_samples, np.bool_)
    odd = _Odd(names, reading, identified)
    parts: list[NDArray[np.intp]] = []
    for c, column in enumerate(given):
        yes, drop = odd.read(c, column)
        keep &= ~drop
        parts.append(np.flatnonzero(yes))
    odd.check()
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(p) for p in parts], dtype=np.int64)])
    samples = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
    return ptr, samples, keep


def columns_of_sparse(matrix: Any, names: Sequence[object], reading: Reading) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Columns of a scipy sparse matrix, and which samples to keep."""
    from scipy.sparse import csc_array

    compressed: csc_array = csc_array(matrix, copy=True)  # duplicates are summed in place
    if compressed.dtype.kind != "b":
        compressed.sum_duplicates()
    values, samples = compressed.data, compressed.indices.astype(np.int64)
    ptr = compressed.indptr
    yes, keep = np.zeros(len(values), np.bool_), np.ones(compressed.shape[0], np.bool_)
    odd = _Odd(names, reading, True)
    odd.zeros = len(values) < compressed.shape[0] * compressed.shape[1]
    if not (_is(values, 1) | _is(values, 0)).all():
        for c in range(len(names)):
            cells = slice(ptr[c], ptr[c + 1])
            yes[cells], drop = odd.read(c, values[cells])
            keep[samples[cells][drop]] = False
        odd.check()
    else:
        yes = _is(values, 1)
    concept = np.repeat(np.arange(len(names)), np.diff(ptr))
    return *columns_of_pairs(concept[yes], samples[yes], len(names)), keep


def _without_texts(column: NDArray[Any]) -> NDArray[Any]:
    """A column in which texts that say yes or no, or are numbers, count as these."""
    if column.dtype.kind not in "OUT":
        return column
    known = {cell: as_bool(str(cell)) for cell in set(filter(lambda cell: isinstance(cell, str), column))}
    if not known:
        return column
    parsed = np.empty(len(column), object)
    parsed[:] = [known[cell] if isinstance(cell, str) else cell for cell in column]
    return parsed


def _is(column: NDArray[Any], value: int) -> NDArray[np.bool_]:
    """Which entries equal a number; text never does."""
    if column.dtype.kind == "O":
        return np.fromiter(
            (isinstance(x, (bool, int, float, np.generic, Decimal)) and bool(x == value) for x in column),
            np.bool_,
            len(column),
        )
    if column.dtype.kind in "biuf":
        return np.asarray(column == value, np.bool_)
    return np.zeros(len(column), np.bool_)


def _blank(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Which entries are missing: None, NaN, or text of nothing but spaces."""
    if column.dtype.kind == "f":
        return np.asarray(np.isnan(column), np.bool_)
    if column.dtype.kind in "OUT":
        return np.fromiter((is_missing(x.strip() if isinstance(x, str) else x) for x in column), np.bool_, len(column))
    return np.zeros(len(column), np.bool_)
