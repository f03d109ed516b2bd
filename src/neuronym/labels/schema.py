"""The columns of labels, defined once: their order, types and descriptions, and where each is displayed.

Files, DataFrames, the printed table and the page are generated from ``COLUMNS``. To add a number, add its row there and
a field to ``FormulaNumbers`` or ``LabelNumbers`` below; a number of the formula also needs an ``FromBestFormula`` in
``LabelNumbers``. Then compute it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from inspect import cleandoc, signature
from textwrap import wrap
from typing import Any, Literal, Protocol, TypeVar, overload

from neuronym.errors import OptionError

__all__ = [
    "COLUMNS",
    "FORMULA_NUMBERS",
    "LABEL_NUMBERS",
    "Column",
    "FormulaNumbers",
    "FromBestFormula",
    "LabelNumbers",
    "column",
    "describe_numbers",
    "present_value",
]

Kind = Literal["name", "text", "formula", "number", "p", "whole", "bool", "nested"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Column:
    """A column of labels.

    Parameters
    ----------
    name : str
        The title of the column, and the attribute of ``Label`` that fills it.
    kind : {"name", "text", "formula", "number", "p", "whole", "bool", "nested"}
        The type of its values. ``name`` is an int or a str; ``number`` is a float, and so is ``p``, a probability that
        may be tiny; ``whole`` is an int; ``nested`` is JSON text in CSV and Parquet.
    about : str
        A description of one line, for docstrings and the page.
    form : str, default ""
        The format in which a number is displayed.
    stored : bool, default True
        Whether files and DataFrames contain it.
    always : bool, default False
        Whether they contain it even if no label fills it.
    needed : bool, default False
        Whether a file without it is refused.
    printed : bool, default False
        Whether the printed table shows it.
    narrow : bool, default False
        Whether the printed table shows this number even in a narrow terminal.
    page : bool, default False
        Whether the page's table of neurons can show it; it does at first if it is printed too.
    at_least : float or None, default None
        The upper end of the page's filter for a minimum of this column; None means no such filter.
    sign : str or None, default None
        The attribute of ``Label`` with the sign to put before the number, ≈ or ≤.
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
        """A label's value as displayed; empty if it is missing.

        A p too small for a float is displayed from the attribute ``log10_…`` of the same name, if there is one.
        """
        value = present_value(getattr(label, self.name))
        if value is None:
            return ""
        if not self.numeric:
            return str(value)
        sign = getattr(label, self.sign) if self.sign else ""
        if self.kind == "p" and value == 0:
            return sign + _tiny(getattr(label, f"log10_{self.name}", math.nan), self.form)
        return sign + format(value, self.form)


def _tiny(log10: float, form: str) -> str:
    """Format a p that underflows to 0 from its logarithm."""
    if not math.isfinite(log10):
        return "< 1e-323"
    mantissa = format(10 ** (log10 % 1), form)
    power = math.floor(log10)
    return f"{mantissa}e{power}" if float(mantissa) < 10 else f"1e{power + 1}"


def present_value(value: Any) -> Any:
    """The value, or None if it is NaN, infinite or an empty collection."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if value in ((), {}) else value


COLUMNS = (
    Column("layer", "text", "The layer of the neuron.", printed=True, page=True),
    Column("neuron", "name", "The neuron in its layer.", always=True, needed=True, printed=True, page=True),
    Column("direction", "text", "Whether the neuron is high or low inside the formula.", always=True, printed=True),
    Column("formula", "formula", "The formula it detects best.", always=True, needed=True, printed=True, page=True),
    Column(
        "auc", "number",
        "P(f(x) < f(y)) for x outside and y inside the formula, ties counted one half; on the samples searched.",
        ".4f", always=True, needed=True, printed=True, narrow=True, page=True, at_least=1.0,
    ),
    Column("score", "text", "The score that formulas were searched by, if it is not the AUC.", printed=True, page=True),
    Column(
        "value", "number", "The value of that score, on the samples searched.", ".4f", printed=True, page=True,
    ),
    Column(
        "value_heldout", "number", "The value of that score on photos that were not searched, of a dissection.", ".4f",
        printed=True, page=True,
    ),
    Column(
        "threshold", "number", "The activation above which a sample counts, for a score that has one.", ".4g",
        page=True,
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
        "Two-sided Mann-Whitney test, as if the formula had been chosen in advance. On the samples searched it does "
        "not account for the search; on held-out samples there is nothing to account for.",
        ".2g", always=True,
    ),
    Column("log10_p", "number", "The logarithm of p, which does not underflow.", ".1f", always=True, printed=True),
    Column(
        "p_search", "p",
        "The probability that the same search finds an AUC at least as high if activations are unrelated to concepts. "
        "With both directions, that it finds one in either.",
        ".2g", printed=True, page=True, sign="p_search_sign",
    ),
    Column(
        "q", "p", "The p_search adjusted by Benjamini and Hochberg over all labels found together.",
        ".2g", printed=True, page=True,
    ),
    Column(
        "auc_heldout", "number",
        "The AUC on samples that were not searched; with folds, the mean over them, each with its own formula.",
        ".4f", printed=True, page=True,
    ),
    Column(
        "auc_low", "number",
        "Lower end of the 95% confidence interval of the AUC, given the formula; none with folds.", ".4f",
        page=True,
    ),
    Column(
        "auc_high", "number",
        "Upper end of the 95% confidence interval of the AUC, given the formula; none with folds.", ".4f",
        page=True,
    ),
    Column(
        "auc_low_selected", "number",
        "Lower end of the interval for labels selected by their held-out p at 0.05: of those, at most 5% of the "
        "intervals miss the AUC on average (Benjamini and Yekutieli 2005).",
        ".4f",
    ),
    Column("auc_high_selected", "number", "Upper end of the interval for labels selected by their held-out p.", ".4f"),
    Column(
        "p_gain", "p", "The largest p of any step of the path, that of the least certain literal.", ".2g", printed=True,
        page=True,
    ),
    Column(
        "optimal", "bool",
        "Whether it is proven that no formula of at most as many concepts, of those allowed, has a higher score.",
        printed=True, page=True,
    ),
    Column(
        "gap", "number", "By how much the score of another formula may be higher; 0 if it is proven.", ".4f", page=True,
    ),
    Column(
        "ceiling", "number",
        "An upper bound on the score of any formula of any length over these concepts, of an allowed fraction.", ".4f",
        page=True,
    ),
    Column("f1", "number", "The highest F1 of the activation at any threshold, in hindsight.", ".2f", page=True),
    Column("f1_threshold", "number", "The activation at and above which F1 is highest (below it if low).", ".4g"),
    Column("average_precision", "number", "The average precision of the activation as a detector.", ".2f", page=True),
    Column(
        "stability", "number", "The share of bootstrap resamples in which the search found this formula.",
        ".2f", printed=True, page=True,
    ),
    Column(
        "stability_concepts", "number", "The share of resamples in which the formula has the same concepts.", ".2f"
    ),
    Column(
        "stability_overlap", "number",
        "The mean Jaccard index of the formula's extension and those found in the resamples.", ".2f",
    ),
    Column("agreement", "number", "With folds, the share of them that chose this formula.", ".2f"),
    Column("permutations", "whole", "The number of permutations behind p_search.", "d"),
    Column(
        "tail", "bool",
        "If requested, whether p_search comes from a generalised Pareto tail fitted to the null distribution.",
    ),
    Column("difference", "number", "Mean activation inside minus outside, in standard deviations.", ".2f", page=True),
    Column("precision", "number", "Precision at the threshold with the highest F1, in hindsight.", ".2f", page=True),
    Column("recall", "number", "Recall at the threshold with the highest F1, in hindsight.", ".2f", page=True),
    Column("reason", "text", "Why there is no formula.", always=True),
    Column("path", "nested", "The best formula of length at most 1, 2, …, L.", always=True),
    Column("runners_up", "nested", "The next best formulas with other extensions."),
    Column("alternatives", "nested", "The fewest formulas that cover 90% of the resamples, with their shares."),
    Column("aliases", "nested", "Concepts in the formulas that share their samples with other concepts, and those."),
    Column("optimism", "number", "The difference auc − auc_heldout.", ".4f", stored=False),
    Column("held_out", "bool", "Whether the interval, p and effects come from held-out samples.", stored=False),
    Column(
        "p_confirming", "p", "The p, or 1 if the AUC, or that on held-out samples, is below ½.", ".2g", stored=False
    ),
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
        raise OptionError(f"labels have no column {name!r}: choose from {', '.join(one.name for one in COLUMNS)}")
    return found


class _Labelled(Protocol):
    @property
    def best(self) -> object: ...


class FromBestFormula:
    """A number of the best formula as an attribute of its label; NaN without a formula."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, label: None, owner: type) -> FromBestFormula: ...

    @overload
    def __get__(self, label: _Labelled, owner: type) -> float: ...

    def __get__(self, label: _Labelled | None, owner: type) -> FromBestFormula | float:
        if label is None:
            return self
        return math.nan if label.best is None else float(getattr(label.best, self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaNumbers:
    """The numbers of a formula besides its AUC; NaN if not requested."""

    value: float = math.nan
    value_heldout: float = math.nan
    p: float = math.nan
    log10_p: float = math.nan
    auc_heldout: float = math.nan
    auc_low: float = math.nan
    auc_high: float = math.nan
    auc_low_selected: float = math.nan
    auc_high_selected: float = math.nan
    gain: float = math.nan
    p_gain: float = math.nan
    difference: float = math.nan
    precision: float = math.nan
    recall: float = math.nan
    average_precision: float = math.nan
    f1: float = math.nan
    f1_threshold: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNumbers:
    """The numbers of a label: its own, and those of its best formula."""

    threshold: float = math.nan
    p_search: float = math.nan
    q: float = math.nan
    permutations: int | None = None
    tail: bool | None = None
    optimal: bool | None = None
    gap: float = math.nan
    ceiling: float = math.nan
    agreement: float = math.nan
    stability: float = math.nan
    stability_concepts: float = math.nan
    stability_overlap: float = math.nan

    auc, value, fraction, p, log10_p, auc_heldout, auc_low, auc_high = (FromBestFormula() for _ in range(8))
    auc_low_selected, auc_high_selected, value_heldout = (FromBestFormula() for _ in range(3))
    difference, precision, recall, average_precision, f1, f1_threshold = (FromBestFormula() for _ in range(6))


FORMULA_NUMBERS = tuple(one.name for one in fields(FormulaNumbers))
LABEL_NUMBERS = tuple(one.name for one in fields(LabelNumbers))


def describe_numbers(cls: type[_T]) -> type[_T]:
    """Add the inherited numbers to the docstring of a dataclass, which must end with its parameters."""
    lines = cleandoc(cls.__doc__ or "").splitlines()
    start = lines.index("----------") + 1
    entries: dict[str, list[str]] = {}
    for line in lines[start:]:
        if not line.startswith(" "):
            entry: list[str] = []
            entries.update(dict.fromkeys(line.partition(" : ")[0].split(", "), entry))
        entry.append(line)
    about = {one.name: one.about for one in COLUMNS}
    inherited: Iterable[Any] = fields(cls)  # type: ignore[arg-type]
    for one in inherited:
        kind, default = one.type.replace(" | ", " or "), "None" if one.default is None else "NaN"
        if one.name not in entries:
            text = wrap(about[one.name], 112, initial_indent="    ", subsequent_indent="    ")
            entries[one.name] = [f"{one.name} : {kind}, default {default}", *text]
    in_order = {id(entries[name]): entries[name] for name in signature(cls).parameters}
    cls.__doc__ = "\n".join([*lines[:start], *(line for entry in in_order.values() for line in entry), ""])
    return cls
