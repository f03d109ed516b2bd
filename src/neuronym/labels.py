"""Labels: for each neuron the formula found, how good it is, and what else came close."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._label_files import as_json, read_rows, write_rows
from neuronym.activations import Name, as_name
from neuronym.errors import FileError, OptionError, UnknownNameError, no_such
from neuronym.formula import Formula

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Explanation", "Label", "Labels"]

_SHOWN = 20  # rows of a printed table


@dataclass(frozen=True, slots=True)
class Explanation:
    """A formula and how well one neuron detects it.

    Parameters
    ----------
    formula : Formula
    auc : float
        P(f(x) < f(y)) for x outside and y inside the formula, ties counted one half; in direction ``low``, of −f.
    fraction : float
        The share of samples inside, T(φ) of the paper.
    count : int
        The number of samples inside.
    """

    formula: Formula
    auc: float
    fraction: float
    count: int

    @property
    def length(self) -> int:
        """The number of concepts in the formula."""
        return self.formula.length

    def __str__(self) -> str:
        return f"{self.formula}  (AUC {self.auc:.4f}, {self.fraction:.2%} of samples)"


@dataclass(frozen=True, slots=True)
class Label:
    """What one neuron detects.

    Parameters
    ----------
    neuron : int or str
    layer : str or None
    direction : {"high", "low"}
        Whether the neuron is high or low inside the formula.
    best : Explanation or None
        The best formula; None where there is none, for the ``reason`` given.
    p, log10_p : float
        Two-sided Mann-Whitney, as if the formula had been chosen before looking: it was the best of many, so this
        does not account for the search. NaN without a formula.
    path : tuple of Explanation or None
        The best formula of length at most 1, 2, …, L.
    runners_up : tuple of Explanation
        The next best formulas of other extensions.
    reason : str or None
        Why there is no formula.
    aliases : mapping from a concept in the formulas to the names of concepts that the same samples show
    """

    neuron: Name
    layer: str | None = None
    direction: str = "high"
    best: Explanation | None = None
    p: float = math.nan
    log10_p: float = math.nan
    path: tuple[Explanation | None, ...] = ()
    runners_up: tuple[Explanation, ...] = ()
    reason: str | None = None
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def formula(self) -> Formula | None:
        return None if self.best is None else self.best.formula

    @property
    def auc(self) -> float:
        return math.nan if self.best is None else self.best.auc

    @property
    def fraction(self) -> float:
        return math.nan if self.best is None else self.best.fraction

    @property
    def count(self) -> int | None:
        return None if self.best is None else self.best.count

    @property
    def length(self) -> int | None:
        return None if self.best is None else self.best.length

    def __str__(self) -> str:
        place = f"{self.layer} " if self.layer is not None else ""
        turned = ", low inside" if self.direction == "low" else ""
        head = f"neuron {place}{self.neuron}{turned}: "
        if self.best is None:
            return head + f"no formula ({self.reason})"
        lines = [head + str(self.best.formula), f"  AUC {self.auc:.4f}, {self.count} samples ({self.fraction:.2%})"]
        lines[1] += f", log10 p {self.log10_p:.1f} (does not account for the search)"
        for name, others in self.aliases.items():
            lines.append(f"  {name}: the same samples as {', '.join(others)}")
        for length, step in enumerate(self.path, 1):
            lines.append(f"  length ≤ {length}: {step if step is not None else 'none'}")
        lines += [f"  runner-up: {other}" for other in self.runners_up]
        return "\n".join(lines)

    __repr__ = __str__


class Labels:
    """The labels of neurons, in order.

    ``labels[296]`` is the label of neuron 296, ``labels["layer4", 296]`` that of a layer. A ``Labels`` is iterated
    like a list and shows itself as a table, in a notebook too.

    Parameters
    ----------
    labels : Label, in order
    """

    def __init__(self, labels: Iterable[Label]) -> None:
        self._labels = tuple(labels)
        self._by_neuron: dict[object, list[Label]] = {}
        for label in self._labels:
            self._by_neuron.setdefault(label.neuron, []).append(label)
            self._by_neuron.setdefault((label.layer, label.neuron), []).append(label)

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self._labels)

    def __eq__(self, other: object) -> bool:
        # Rows are compared as text, since NaN differs from itself.
        return isinstance(other, Labels) and list(self._rows()) == list(other._rows())

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, key: Name | tuple[str, Name]) -> Label:
        if isinstance(key, slice):
            raise OptionError(
                "labels are found by neuron: for the first ones use head(n), for a part list(labels)[a:b]"
            )
        known = (str(key[0]), as_name(key[1])) if isinstance(key, tuple) else as_name(key)
        found = self._by_neuron.get(known, [])
        layers = list(dict.fromkeys(label.layer for label in self))
        if isinstance(known, tuple) and known[0] not in layers:
            raise no_such("layer", known[0], layers)
        if not found:
            raise no_such("label for neuron", key, [n for n in self._by_neuron if isinstance(n, int | str)])
        if len(found) > 1:
            by = "direction" if len({label.layer for label in found}) == 1 else "layer"
            which = [str(getattr(label, by)) for label in found]
            ask = "ask for (layer, neuron), or " if by == "layer" else ""
            raise UnknownNameError(
                f"{len(found)} labels are for {key!r} ({', '.join(which)}): {ask}choose with filter({by}=…)"
            )
        return found[0]

    def of(self, neuron: Name) -> Labels:
        """The labels of one neuron: one per layer and direction.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        found = self._by_neuron.get(as_name(neuron), [])
        if not found:
            raise no_such("label for neuron", neuron, list(dict.fromkeys(label.neuron for label in self)))
        return Labels(found)

    def filter(self, predicate: Callable[[Label], object] | None = None, **equal: object) -> Labels:
        """Keep the labels for which the predicate holds, and whose attributes equal those given.

        >>> Labels([Label(0, layer="a"), Label(0, layer="b")]).filter(lambda label: label.auc > 0.9, layer="a")
        Labels: 0 labels
        """
        for name in equal:
            _attribute(name)
        if isinstance(equal.get("formula"), str):
            equal["formula"] = Formula.parse(str(equal["formula"]))
        return Labels(
            label
            for label in self
            if (predicate is None or predicate(label)) and all(getattr(label, n) == v for n, v in equal.items())
        )

    def sort(self, by: str | Callable[[Label], Any] = "auc", descending: bool | None = None) -> Labels:
        """Order the labels by an attribute or a function of a label; what is missing comes last.

        AUC falls unless ``descending`` says otherwise, all else rises.
        """
        if by in ("best", "path", "runners_up", "aliases"):
            raise OptionError(f"labels cannot be sorted by {by!r}: sort by a number, a name or a function of a label")
        value = by if callable(by) else _attribute(by)
        falling = by == "auc" if descending is None else descending
        present: list[Label] = []
        missing: list[Label] = []
        for label in self:
            v = value(label)
            (missing if v is None or (isinstance(v, float) and math.isnan(v)) else present).append(label)
        keys: dict[object, Callable[[Label], Any]] = {
            "formula": lambda label: str(label.formula),
            "neuron": lambda label: (isinstance(label.neuron, str), label.neuron),
        }
        key = keys.get(by, value)
        return Labels([*sorted(present, key=key, reverse=falling), *missing])

    def head(self, n: int = 10) -> Labels:
        """The first n labels."""
        return Labels(self._labels[:n])

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with a row per label.

        Columns are ``layer`` (where there are layers), ``neuron, direction, formula, auc, fraction, count, length, p,
        log10_p, reason, path, runners_up`` and ``aliases`` (where there are any). The formula is text, ``path`` and
        ``runners_up`` are lists of dicts.
        """
        import pandas as pd

        frame = pd.DataFrame(list(self._rows()), columns=self._columns())
        return frame.astype({"count": "Int64", "length": "Int64"})

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Save the labels as ``.csv``, ``.parquet`` or ``.json``, nothing lost; the file is complete or absent.

        Raises
        ------
        FileError
            If the file exists and ``overwrite`` is off, or cannot be written.
        """
        write_rows(path, self._columns(), list(self._rows()), overwrite)

    def to_json(self) -> str:
        """The text that ``save`` writes to a ``.json`` file."""
        return as_json(self._columns(), list(self._rows()))

    @classmethod
    def open(cls, path: str | Path) -> Labels:
        """Read the labels that ``save`` wrote.

        Raises
        ------
        FileError
            If the file is missing, broken, or holds no labels.
        """
        labels = []
        for number, row in enumerate(read_rows(path), 1):
            try:
                labels.append(_from_row(row))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise FileError(f"label {number} of {str(path)!r} is broken: {error}") from error
        return cls(labels)

    def _columns(self) -> list[str]:
        columns = ["neuron", "direction", "formula", "auc", "fraction", "count", "length", "p", "log10_p", "reason"]
        layers = ["layer"] * any(label.layer is not None for label in self)
        aliases = ["aliases"] * any(label.aliases for label in self)
        return [*layers, *columns, "path", "runners_up", *aliases]

    def _rows(self) -> Iterator[dict[str, Any]]:
        for label in self:
            yield {
                "layer": label.layer,
                "neuron": label.neuron,
                "direction": label.direction,
                "formula": None if label.formula is None else str(label.formula),
                **{
                    name: _known(getattr(label, name))
                    for name in ("auc", "fraction", "count", "length", "p", "log10_p")
                },
                "reason": label.reason,
                "path": [None if step is None else _as_dict(step) for step in label.path],
                "runners_up": [_as_dict(other) for other in label.runners_up],
                "aliases": {name: list(others) for name, others in label.aliases.items()},
            }

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """The titles of a printed table, and a row of texts for every label."""
        layers = any(label.layer is not None for label in self)
        low = any(label.direction == "low" for label in self)
        titles = [*["layer"] * layers, "neuron", *["direction"] * low]
        rows = []
        for label in self:
            key = [*[str(label.layer)] * layers, str(label.neuron), *[label.direction] * low]
            if label.best is None:
                rows.append([*key, f"({label.reason})", "", "", "", ""])
            else:
                numbers = [f"{label.auc:.4f}", f"{label.fraction:.4f}", str(label.count), f"{label.log10_p:.1f}"]
                rows.append([*key, str(label.formula), *numbers])
        return [*titles, "formula", "AUC", "fraction", "count", "log10 p"], rows

    def _summary(self) -> str:
        missing = sum(label.best is None for label in self)
        without = f", {missing} without a formula" if missing else ""
        return f"Labels: {len(self)} label{'s' * (len(self) != 1)}{without}"

    def __repr__(self) -> str:
        titles, rows = self.head(_SHOWN).cells()
        if not rows:
            return self._summary()
        widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
        left = titles.index("formula")
        lines = [
            "  ".join(
                cell.ljust(w) if i <= left else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in [titles, *rows]
        ]
        more = [f"… {len(self) - _SHOWN} more"] * (len(self) > _SHOWN)
        return "\n".join([self._summary(), *(line.rstrip() for line in lines), *more])

    def _repr_html_(self) -> str:
        from html import escape

        titles, rows = self.head(_SHOWN).cells()
        head = "".join(f"<th>{escape(title)}</th>" for title in titles)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        more = f"<p>… {len(self) - _SHOWN} more</p>" if len(self) > _SHOWN else ""
        return f"<p>{escape(self._summary())}</p><table><tr>{head}</tr>{body}</table>{more}"


def _as_dict(explanation: Explanation) -> dict[str, Any]:
    return {
        "formula": str(explanation.formula),
        "auc": explanation.auc,
        "fraction": explanation.fraction,
        "count": explanation.count,
        "length": explanation.length,
    }


@lru_cache(maxsize=2**16)
def _parsed(text: str) -> Formula:
    """A formula from a file, where the same ones recur."""
    return Formula.parse(text)


def _from_dict(value: Mapping[str, Any]) -> Explanation:
    return Explanation(_parsed(value["formula"]), float(value["auc"]), float(value["fraction"]), int(value["count"]))


def _from_row(row: Mapping[str, Any]) -> Label:
    """The label that a row of a file tells of."""
    numbers = {name: math.nan if row.get(name) is None else float(row[name]) for name in ("p", "log10_p")}
    return Label(
        as_name(row["neuron"]),
        row.get("layer"),
        row.get("direction") or "high",
        None if row["formula"] is None else _from_dict(row),
        numbers["p"],
        numbers["log10_p"],
        tuple(None if step is None else _from_dict(step) for step in row.get("path") or ()),
        tuple(_from_dict(other) for other in row.get("runners_up") or ()),
        row.get("reason"),
        {name: tuple(others) for name, others in (row.get("aliases") or {}).items()},
    )


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _attribute(name: str) -> Callable[[Label], Any]:
    from operator import attrgetter

    if not isinstance(getattr(Label, name, None), property) and name not in Label.__dataclass_fields__:
        raise OptionError(f"a label has no {name!r}: it has {', '.join(Label.__dataclass_fields__)}, formula, auc, …")
    return attrgetter(name)
