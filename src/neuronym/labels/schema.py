"""The columns of labels, said once: their order, their types, where they come from and where they are shown.

Files, DataFrames, the printed table and the page are generated from ``COLUMNS``. To add a number, add its row there, a
field to ``FormulaNumbers`` or ``LabelNumbers`` below, and, for a number of the formula, ``OfBest`` to ``LabelNumbers``;
then compute it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from inspect import cleandoc
from typing import Any, Literal, Protocol, TypeVar, overload

from neuronym.errors import OptionError

__all__ = [
    "COLUMNS",
    "FORMULA_NUMBERS",
    "LABEL_NUMBERS",
    "Column",
    "FormulaNumbers",
    "LabelNumbers",
    "OfBest",
    "column",
    "documented",
    "filled",
]

Kind = Literal["name", "text", "formula", "number", "p", "whole", "bool", "nested"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Column:
    """A column of labels. Its title is its name, which is the attribute of ``Label`` that it comes from.

    Parameters
    ----------
    name : str
    kind : {"name", "text", "formula", "number", "p", "whole", "bool", "nested"}
        ``name`` is an int or a str; ``number`` is a float and so is ``p``, a probability that may be tiny; ``whole`` is
        an int; ``nested`` is JSON text in CSV and Parquet.
    about : str
        What it says, in one line: in docstrings, and above the column of the page.
    form : str, default ""
        The format of a number that is shown.
    stored : bool, default True
        Whether files and DataFrames hold it.
    always : bool, default False
        Whether they do even if no label fills it.
    needed : bool, default False
        Whether a file without it holds no labels.
    printed : bool, default False
        Whether the printed table shows it.
    narrow : bool, default False
        Whether this number is left in the printed table where there is little room.
    page : bool, default False
        Whether the page's table of neurons shows it.
    at_least : float or None, default None
        The upper end of the page's filter by a least value; None for no such filter.
    sign : str or None, default None
        The attribute of ``Label`` with what is put before the number: ≈ or ≤.
    """

    name: str
    kind: Kind
    about: str
    form: str = ""
    stored: bool = True
    always: bool = False
    needed: bool = False
    printed: bool = False
    narrow: bool = False
    page: bool = False
    at_least: float | None = None
    sign: str | None = None

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.kind in ("number", "p", "whole")

    def text(self, label: Any) -> str:
        """The value of a label as it is shown; nothing where it is missing.

        A p that is too small for a float is shown by ``log10_`` and its name where there is such an attribute.
        """
        value = filled(getattr(label, self.name))
        if value is None:
            return ""
        if not self.numeric:
            return str(value)
        sign = getattr(label, self.sign) if self.sign else ""
        if self.kind == "p" and value == 0:
            return sign + _tiny(getattr(label, f"log10_{self.name}", math.nan), self.form)
        return sign + format(value, self.form)


def _tiny(log10: float, form: str) -> str:
    """A p that is 0 as a float, from its logarithm."""
    if not math.isfinite(log10):
        return "< 1e-323"
    mantissa = format(10 ** (log10 % 1), form)
    power = math.floor(log10)
    return f"{mantissa}e{power}" if float(mantissa) < 10 else f"1e{power + 1}"


def filled(value: Any) -> Any:
    """A value as it is in a table; None for what is no number and for an empty collection."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if value in ((), {}) else value


COLUMNS = (
    Column("layer", "text", "The layer of the neuron.", printed=True, page=True),
    Column("neuron", "name", "The neuron.", always=True, needed=True, printed=True, page=True),
    Column("direction", "text", "Whether the neuron is high or low inside the formula.", always=True, printed=True),
    Column("formula", "formula", "The best formula.", always=True, needed=True, printed=True, page=True),
    Column(
        "auc", "number",
        "P(f(x) < f(y)) for x outside and y inside the formula, ties counted one half; on the samples searched.",
        ".4f", always=True, needed=True, printed=True, narrow=True, page=True, at_least=1.0,
    ),
    Column(
        "fraction", "number", "The share of samples inside, of those searched.",
        ".4f", always=True, needed=True, printed=True, page=True, at_least=0.5,
    ),
    Column(
        "count", "whole", "The number of samples inside, of those searched.",
        "d", always=True, needed=True, printed=True, page=True,
    ),
    Column("length", "whole", "The number of concepts in the formula.", "d", always=True, page=True),
    Column(
        "p", "p",
        "Two-sided Mann-Whitney, as if the formula had been chosen before looking. On the samples searched it does not "
        "account for the search; on held-out samples there is nothing to account for.",
        ".2g", always=True,
    ),
    Column("log10_p", "number", "The logarithm of p, which does not underflow.", ".1f", always=True, printed=True),
    Column(
        "p_search", "p",
        "The probability that the same search finds an AUC at least as high where activations have nothing to do with "
        "concepts. With both directions, that it finds one in either.",
        ".2g", printed=True, page=True, sign="p_search_sign",
    ),
    Column(
        "q", "p", "p_search adjusted by Benjamini and Hochberg for all labels found with this one.",
        ".2g", printed=True, page=True,
    ),
    Column(
        "auc_heldout", "number",
        "The AUC on samples that were not searched; with folds, the mean over them, each with its own formula.",
        ".4f", printed=True, page=True,
    ),
    Column("auc_low", "number", "Lower end of a 95% confidence interval of the AUC, given the formula.", ".4f"),
    Column("auc_high", "number", "Upper end of a 95% confidence interval of the AUC, given the formula.", ".4f"),
    Column("p_gain", "p", "The largest p of a step of the path: of the least certain literal.", ".2g", printed=True),
    Column("average_precision", "number", "The average precision of the activation as a detector.", ".2f"),
    Column(
        "stability", "number", "The share of bootstrap resamples in which the search found this formula.",
        ".2f", printed=True, page=True,
    ),
    Column("stability_concepts", "number", "The share of resamples with a formula of the same concepts.", ".2f"),
    Column(
        "stability_overlap", "number",
        "The mean Jaccard overlap of the formula's extension with those found in the resamples.", ".2f",
    ),
    Column("agreement", "number", "With folds, the share of them that chose this formula.", ".2f"),
    Column("permutations", "whole", "How many permutations p_search comes from.", "d"),
    Column(
        "tail", "bool",
        "Where it was asked for: whether p_search comes from a generalised Pareto tail fitted to the null's best AUCs.",
    ),
    Column("difference", "number", "Mean activation inside less that outside, in standard deviations.", ".2f"),
    Column("precision", "number", "Precision at the threshold with the highest F1, in hindsight.", ".2f"),
    Column("recall", "number", "Recall at the threshold with the highest F1, in hindsight.", ".2f"),
    Column("reason", "text", "Why there is no formula.", always=True),
    Column("path", "nested", "The best formula of length at most 1, 2, …, L.", always=True),
    Column("runners_up", "nested", "The next best formulas of other extensions."),
    Column("alternatives", "nested", "The fewest formulas that cover 90% of the resamples, with their shares."),
    Column("aliases", "nested", "Concepts in the formulas, and others that the same samples show."),
    Column("optimism", "number", "auc less auc_heldout.", ".4f", stored=False),
    Column("held_out", "bool", "Whether interval, p and effects come from held-out samples.", stored=False),
    Column("p_confirming", "p", "p, or 1 where the AUC on held-out samples is below ½.", ".2g", stored=False),
)  # fmt: skip


def column(name: str) -> Column:
    """The column of this name.

    Raises
    ------
    OptionError
        If labels have no such column.
    """
    found = next((one for one in COLUMNS if one.name == name), None)
    if found is None:
        raise OptionError(f"a label has no {name!r}: it has {', '.join(one.name for one in COLUMNS)}")
    return found


class _Labelled(Protocol):
    @property
    def best(self) -> object: ...


class OfBest:
    """A number of the best formula, NaN where there is none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, label: None, owner: type) -> OfBest: ...

    @overload
    def __get__(self, label: _Labelled, owner: type) -> float: ...

    def __get__(self, label: _Labelled | None, owner: type) -> OfBest | float:
        if label is None:
            return self
        return math.nan if label.best is None else float(getattr(label.best, self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaNumbers:
    """What may be known of a formula beside its AUC; NaN where it was not asked for."""

    p: float = math.nan
    log10_p: float = math.nan
    auc_heldout: float = math.nan
    auc_low: float = math.nan
    auc_high: float = math.nan
    gain: float = math.nan
    p_gain: float = math.nan
    difference: float = math.nan
    precision: float = math.nan
    recall: float = math.nan
    average_precision: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNumbers:
    """What may be known of a label: numbers of its own, and those of its best formula."""

    p_search: float = math.nan
    q: float = math.nan
    permutations: int | None = None
    tail: bool | None = None
    agreement: float = math.nan
    stability: float = math.nan
    stability_concepts: float = math.nan
    stability_overlap: float = math.nan

    auc, fraction, p, log10_p, auc_heldout, auc_low, auc_high = (OfBest() for _ in range(7))
    difference, precision, recall, average_precision = (OfBest() for _ in range(4))


FORMULA_NUMBERS = tuple(one.name for one in fields(FormulaNumbers))
LABEL_NUMBERS = tuple(one.name for one in fields(LabelNumbers))


def documented(cls: type[_T]) -> type[_T]:
    """A class whose docstring, which ends with its parameters, also describes the numbers that it inherits."""
    lines = cleandoc(cls.__doc__ or "").splitlines()
    known = {name for line in lines for name in line.partition(" : ")[0].split(", ")}
    described = {one.name: one for one in COLUMNS}
    own: Iterable[Any] = fields(cls)  # type: ignore[arg-type]
    for one in own:
        if one.name not in known:
            lines += [f"{one.name} : {one.type}", f"    {described[one.name].about}"]
    cls.__doc__ = "\n".join(lines)
    return cls
