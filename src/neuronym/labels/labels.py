"""The labels of many neurons: selecting, tabulating, saving and opening them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym._util.characters import visible
from neuronym._util.files import check_target, kind_of
from neuronym._util.messages import no_such
from neuronym.data.activations import as_name
from neuronym.data.formula import Formula
from neuronym.errors import FileError, OptionError, UnknownNameError
from neuronym.labels.files import (
    KINDS,
    as_json,
    as_row,
    check_spreadsheet,
    columns_of,
    read_blocks,
    read_part,
    write_rows,
)
from neuronym.labels.label import Explanation, Label
from neuronym.labels.lazy import LazyLabels, SomeLabels, take
from neuronym.labels.part import Part
from neuronym.labels.schema import COLUMNS, Column, column
from neuronym.labels.summary import Summary
from neuronym.search.scores import SCORES
from neuronym.types import ActivationsLike, Align, ConceptsLike, JsonDict, LabelsLike, Name, PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Explanation", "Label", "Labels", "show"]

_SHOWN = 20  # rows of a printed table


class Labels:
    """The labels of neurons, in order.

    ``labels[296]`` is the label of neuron 296, and ``labels["layer4", 296]`` that of neuron 296 in layer ``layer4``.
    A ``Labels`` iterates like a list and displays as a table, also in a notebook.

    Parameters
    ----------
    labels : iterable of Label
        The labels.
    part : Part, optional
        Which part of a run they are, if others are missing; selections of labels do not keep it.

    Attributes
    ----------
    part : Part or None
        The same.
    """

    def __init__(self, labels: Iterable[Label], part: Part | None = None) -> None:
        self.part = part
        held = labels._labels if isinstance(labels, Labels) else labels
        self._labels: Sequence[Label] = held if isinstance(held, LazyLabels | SomeLabels) else tuple(held)
        self._places: dict[Name, int | list[int]] | None = None  # of each neuron, once one is asked for

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_places": None}

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self._labels)

    def __eq__(self, other: object) -> bool:
        # Rows are compared as text, since NaN differs from itself.
        if not isinstance(other, Labels) or len(self) != len(other):
            return False
        return columns_of(self._labels) == columns_of(other._labels) and all(
            map(operator.eq, self._rows(), other._rows())
        )

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, key: Name | tuple[str, Name]) -> Label:
        if isinstance(key, slice):
            raise OptionError(
                "labels are indexed by neuron, not by slices: use head(n) for the first ones, or list(labels)[a:b]"
            )
        layer, neuron = (str(key[0]), as_name(key[1])) if isinstance(key, tuple) else (None, as_name(key))
        found = self._of(neuron)
        if layer is not None:
            layers = layers_of(self)
            if layer not in layers:
                raise no_such("layer", layer, layers)
            found = [label for label in found if label.layer == layer]
        if not found:
            raise no_such("label for neuron", key, list(dict.fromkeys(self._neurons())))
        if len(found) > 1:
            by = "direction" if len({label.layer for label in found}) == 1 else "layer"
            which = [str(getattr(label, by)) for label in found]
            ask = "ask for (layer, neuron), or " if by == "layer" else ""
            raise UnknownNameError(
                f"{len(found)} labels are for {key!r} ({', '.join(which)}): {ask}choose with filter({by}=…)"
            )
        return found[0]

    def _neurons(self) -> list[Name]:
        """The neuron of each label."""
        held = self._labels
        return held.neurons() if isinstance(held, LazyLabels | SomeLabels) else [label.neuron for label in held]

    def _of(self, neuron: Name) -> Sequence[Label]:
        """The labels of a neuron; those of others are not made."""
        if self._places is None:
            places: dict[Name, int | list[int]] = {}
            for place, name in enumerate(self._neurons()):
                known = places.setdefault(name, place)  # most neurons have one label, and a list takes more memory
                if isinstance(known, list):
                    known.append(place)
                elif known != place:
                    places[name] = [known, place]
            self._places = places
        of = self._places.get(neuron, [])
        return take(self._labels, [of] if isinstance(of, int) else of)

    def _take(self, places: Sequence[int]) -> Labels:
        return Labels(take(self._labels, places))

    def of(self, neuron: Name) -> Labels:
        """Keep the labels of one neuron: one per layer and direction.

        Parameters
        ----------
        neuron : int or str
            The name of the neuron.

        Returns
        -------
        Labels
            At least one label.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        found = self._of(as_name(neuron))
        if not found:
            raise no_such("label for neuron", neuron, list(dict.fromkeys(self._neurons())))
        return Labels(found)

    def filter(self, predicate: Callable[[Label], object] | None = None, **equal: object) -> Labels:
        """Keep the labels that satisfy a predicate and have the given values.

        Parameters
        ----------
        predicate : callable or None, default None
            Takes a ``Label``; labels for which it is false are dropped.
        **equal
            The names of columns and the values they must equal; a formula may be given as text.

        Returns
        -------
        Labels
            The matching labels, in order.

        Raises
        ------
        OptionError
            If labels have no such column.

        Examples
        --------
        >>> Labels([Label(0, layer="a"), Label(0, layer="b")]).filter(lambda label: label.auc > 0.9, layer="a")
        Labels: 0 labels
        """
        for name in equal:
            column(name)
        if isinstance(equal.get("formula"), str):
            equal["formula"] = Formula.parse(str(equal["formula"]))
        return self._take(
            [
                place
                for place, label in enumerate(self)
                if (predicate is None or predicate(label)) and all(getattr(label, n) == v for n, v in equal.items())
            ]
        )

    def sort(self, by: str | Callable[[Label], Any] = "auc", descending: bool | None = None) -> Labels:
        """Sort by a column or by a function of a label; labels without a value come last.

        Parameters
        ----------
        by : str or callable, default "auc"
            The name of a column, or a function that takes a ``Label`` and returns a sort key.
        descending : bool or None, default None
            Whether the largest value comes first; None means only for ``auc``.

        Returns
        -------
        Labels
            All labels, sorted; equal ones keep their order.

        Raises
        ------
        OptionError
            If labels have no such column, or it holds more than one value.
        """
        if not callable(by) and column(by).kind == "nested":
            raise OptionError(f"labels cannot be sorted by {by!r}: sort by a number, a name or a function of a label")
        value = by if callable(by) else attrgetter(by)
        largest_first = by == "auc" if descending is None else descending
        as_keys: dict[object, Callable[[Label], Any]] = {
            "formula": lambda label: str(label.formula),
            "neuron": lambda label: (isinstance(label.neuron, str), label.neuron),
        }
        as_key = as_keys.get(by, value)
        keys: dict[int, Any] = {}
        missing: list[int] = []
        for place, label in enumerate(self):
            v = value(label)
            if v is None or (isinstance(v, float) and math.isnan(v)):
                missing.append(place)
            else:
                keys[place] = v if as_key is value else as_key(label)
        return self._take([*sorted(keys, key=keys.__getitem__, reverse=largest_first), *missing])

    def head(self, n: int = 10) -> Labels:
        """Keep the first labels.

        Parameters
        ----------
        n : int, default 10
            How many to keep.

        Returns
        -------
        Labels
            The first ``n`` labels, or all if there are fewer.
        """
        return self._take(range(len(self))[:n])

    def significant(self, q: float = 0.05, by: Literal["p_search", "p"] = "p_search") -> Labels:
        """Keep the labels that are significant at a false discovery rate (Benjamini and Hochberg).

        Parameters
        ----------
        q : float, default 0.05
            The accepted false discovery rate: the expected share of false discoveries among the labels kept.
        by : {"p_search", "p"}, default "p_search"
            ``p_search`` accounts for the search and was adjusted over all labels found together. ``p`` is adjusted
            here, over these labels. It does not account for the search unless it comes from held-out samples. A label
            whose AUC, or held-out AUC, is below ½ is refuted and never kept. Intervals of labels kept by held-out
            ``p`` miss the AUC more often than by their level; use ``auc_low_selected`` and ``auc_high_selected``.

        Returns
        -------
        Labels
            The significant labels, in order.

        Raises
        ------
        OptionError
            If the labels have no ``p_search``, or too few permutations to reach this level.
        """
        return self._take(significant_places(self, q, by))

    def simplest(self, alpha: float = 0.05) -> Labels:
        """Keep, for each neuron, the longest formula of the path whose every step gains on held-out samples.

        This trades power for formulas without false literals: a real literal that gains little may be lost too. Each
        literal is tested by itself, without adjustment for how many there are: of the literals that add nothing, about
        ``alpha`` may stay.

        Parameters
        ----------
        alpha : float, default 0.05
            The level of the one-sided paired test of each gain: a step stays if its ``p_gain`` is at most this.

        Returns
        -------
        Labels
            One label for each; a label is left without a formula if its first step does not gain.

        Raises
        ------
        OptionError
            If no samples were held out.
        """
        _check_level("alpha", alpha)
        if all(math.isnan(step.p_gain) for label in self for step in label.steps) and any(x.best for x in self):
            raise OptionError(
                "the labels have no p_gain: "
                + (
                    "the held-out part has too few clusters"
                    if any(label.held_out for label in self)
                    else "find them with label(…, holdout=0.5)"
                )
            )
        return Labels(label.shortened(alpha) for label in self)

    def rescore(
        self,
        activations: ActivationsLike,
        concepts: ConceptsLike,
        *,
        scores: Sequence[str] = tuple(SCORES),
        quantile: float | None = None,
        threshold: float | None = None,
        align: Align = False,
    ) -> pd.DataFrame:
        """Compute other scores of the formulas, on all samples.

        Parameters
        ----------
        activations : ActivationsLike
            The activations that were labelled.
        concepts : ConceptsLike
            The concepts of the same samples.
        scores : sequence of str
            Names of scores, as for ``label``, and ``"average_precision"``; all that can be searched by default.
        quantile, threshold : float, optional
            The threshold of scores that have one, as for ``label``.
        align : bool or "position", default False
            If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.

        Returns
        -------
        DataFrame
            One row per label: ``layer``, ``neuron``, ``direction``, ``formula``, and a column for each score; NaN
            without a formula, or where it is true for none or for all of the samples.

        Raises
        ------
        UnknownNameError
            If there is no such score, layer, neuron or concept.
        OptionError
            If ``scores`` is empty.
        """
        from neuronym.labels.rescoring import rescore

        return rescore(self, activations, concepts, scores=scores, quantile=quantile, threshold=threshold, align=align)

    def summary(self, q: float = 0.05, alpha: float = 0.05) -> Summary:
        """Count how many labels can be believed.

        Parameters
        ----------
        q : float, default 0.05
            The false discovery rate, as in ``significant``.
        alpha : float, default 0.05
            The level of the test of each literal, as in ``simplest``.

        Returns
        -------
        Summary
            The counts; it prints as text.
        """
        _check_level("q", q)
        _check_level("alpha", alpha)
        return Summary.of(self, q, alpha)

    def to_frame(self) -> pd.DataFrame:
        """Convert to a DataFrame with one row per label.

        Returns
        -------
        DataFrame
            The columns of ``neuronym.labels.schema.COLUMNS`` that any label fills, in that order. ``neuron, direction,
            formula, auc, fraction, count, length, p, log10_p, reason, path`` are always present. Formulas are text;
            ``path`` and ``runners_up`` are lists of dicts.
        """
        import pandas as pd

        frame = pd.DataFrame(list(self._rows()), columns=columns_of(self._labels))
        return frame.astype({one.name: "Int64" for one in COLUMNS if one.kind == "whole" and one.name in frame})

    def save(self, path: PathLike, *, overwrite: bool = False, spreadsheet: bool = False) -> None:
        """Save the labels to a file that ``open`` reads back without loss.

        The write is atomic: the file is complete or absent.

        Parameters
        ----------
        path : str or Path
            A file that ends in ``.csv``, ``.parquet`` or ``.json``.
        overwrite : bool, default False
            Replace the file if it exists.
        spreadsheet : bool, default False
            Make a ``.csv`` safe to open in a spreadsheet: an apostrophe is put before what it would run as a formula,
            such as ``=2+5``, and a last column ``escaped`` says so. ``open`` takes the apostrophes away.

        Raises
        ------
        FileError
            If the file exists and ``overwrite`` is off, or cannot be written; or if the labels are part of a run, and
            it is no ``.json``.
        OptionError
            If ``spreadsheet`` is on for a file that is no ``.csv``.
        """
        write_rows(path, columns_of(self._labels), self._rows(), overwrite, spreadsheet, self.part)

    def to_json(self) -> str:
        """Convert to the text that ``save`` writes to a ``.json`` file.

        Returns
        -------
        str
            An object with a list ``labels``, one object per label.
        """
        return "".join(as_json(columns_of(self._labels), self._rows(), self.part))

    @classmethod
    def open(cls, path: PathLike) -> Labels:
        """Read labels that ``save`` wrote.

        Parameters
        ----------
        path : str or Path
            A file that ends in ``.csv``, ``.parquet`` or ``.json``.

        Returns
        -------
        Labels
            The labels, equal to those saved.

        Raises
        ------
        FileError
            If the file is missing, broken, or holds no labels.
        """
        labels, part = LazyLabels(read_blocks(path)), read_part(path)
        if part is not None and sum(part.n_labels) != len(labels):
            raise FileError(f"{str(path)!r} is broken: it holds {len(labels)} labels of {sum(part.n_labels)}")
        return cls(labels, part)

    def _rows(self) -> Iterator[JsonDict]:
        columns = columns_of(self._labels)
        return (as_row(label, columns) for label in self)

    def columns(self) -> list[Column]:
        """List the columns of a printed table of these labels.

        Returns
        -------
        list of Column
            The printed columns that any label fills, in order; the direction only if some label is low.
        """
        filled = set(columns_of(self._labels))
        any_low = any(label.direction != "high" for label in self)
        return [one for one in COLUMNS if one.printed and one.name in filled and (any_low or one.name != "direction")]

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Format the cells of a printed table of these labels.

        Returns
        -------
        titles : list of str
            The names of the columns.
        rows : list of list of str
            One row of texts per label.
        """
        columns = self.columns()

        def cell(one: Column, label: Label) -> str:
            empty = one.name == "formula" and label.best is None
            return visible(f"({label.reason})" if empty else one.text(label))

        return [one.name for one in columns], [[cell(one, label) for one in columns] for label in self]

    def _summary(self) -> str:
        missing = len(self) - int(np.count_nonzero(found_in(self)))
        without = f", {missing} without a formula" if missing else ""
        return f"Labels: {len(self)} label{'s' * (len(self) != 1)}{without}"

    def __repr__(self) -> str:
        first = self.head(_SHOWN)
        titles, rows = first.cells()
        if not rows:
            return self._summary()
        widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
        sides = [str.rjust if one.numeric else str.ljust for one in first.columns()]
        lines = [
            "  ".join(side(cell, w) for side, cell, w in zip(sides, row, widths, strict=True))
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


def significant_places(labels: Labels, q: float, by: Literal["p_search", "p"]) -> list[int]:
    """The places of the labels that ``Labels.significant`` keeps.

    Parameters
    ----------
    labels : Labels
        The labels.
    q : float
        The accepted false discovery rate.
    by : {"p_search", "p"}
        The p-value that is adjusted.

    Returns
    -------
    list of int
        In order.

    Raises
    ------
    OptionError
        As for ``Labels.significant``.
    """
    _check_level("q", q)
    if by not in ("p_search", "p"):
        raise OptionError(f"by must be 'p_search' or 'p', not {by!r}")
    if by == "p":
        from neuronym.stats.significance import benjamini_hochberg

        values = benjamini_hochberg([label.p_confirming for label in labels]).tolist()
        return [place for place, value in enumerate(values) if value <= q]
    chosen: list[int] = []
    n_found = most = 0
    tested = tail = False
    for place, label in enumerate(labels):
        if label.best is None:
            continue
        n_found += 1
        most = max(most, label.permutations or 0)
        tested, tail = tested or not math.isnan(label.p_search), tail or bool(label.tail)
        if label.q <= q and not label.refuted:
            chosen.append(place)
    if n_found and not tested:
        raise OptionError("the labels have no p_search: find them with label(…, permutations='auto')")
    if n_found and q < 1 / (most + 1) and not tail:
        raise OptionError(
            f"q={q} is out of reach of {most} permutations, whose smallest p is {1 / (most + 1):.2g}: "
            "find the labels with more permutations, or with tail=True"
        )
    return chosen


def keys_of(labels: Labels) -> Iterator[tuple[str | None, Name]]:
    """The layer and the neuron of each label.

    Parameters
    ----------
    labels : Labels
        The labels, which are not made for this.

    Returns
    -------
    iterator of (str or None, int or str)
        In order.
    """
    held = labels._labels
    if isinstance(held, LazyLabels | SomeLabels):
        return zip(held.layers(), held.neurons(), strict=True)
    return ((label.layer, label.neuron) for label in held)


def layers_of(labels: Labels) -> list[str | None]:
    """The distinct layers of labels, in order of first appearance.

    Parameters
    ----------
    labels : Labels
        The labels, which are not made for this.

    Returns
    -------
    list of (str or None)
        The names of the layers.
    """
    return list(dict.fromkeys(layer for layer, _ in keys_of(labels)))


def found_in(labels: Labels) -> NDArray[np.bool_]:
    """Which labels have a formula.

    Parameters
    ----------
    labels : Labels
        The labels, which are not made for this.

    Returns
    -------
    bool array of shape (n_labels,)
        Whether each has one.
    """
    held = labels._labels
    if isinstance(held, LazyLabels | SomeLabels):
        return held.found()
    return np.array([label.best is not None for label in held], np.bool_)


def show(
    labels: LabelsLike,
    neuron: Name | None = None,
    *,
    layer: str | None = None,
    significant: float | None = None,
    simplest: float | None = None,
    out: PathLike | None = None,
    overwrite: bool = False,
    spreadsheet: bool = False,
) -> Labels:
    """Open labels and select some: those of a neuron or a layer, the significant ones, or their simplest formulas.

    Parameters
    ----------
    labels : LabelsLike
        Labels, or a file of them.
    neuron : int or str or None, default None
        Keep the labels of this neuron: one for each layer that has it and each direction.
    layer : str or None, default None
        Keep the labels of this layer.
    significant : float or None, default None
        Keep labels with q at most this, as ``Labels.significant`` does; uses held-out p-values if ``p_search`` is
        missing.
    simplest : float or None, default None
        Shorten formulas to the steps with ``p_gain`` at most this, as ``Labels.simplest`` does.
    out : str or Path or None, default None
        Save the selected labels to this file, which ends in ``.csv``, ``.parquet`` or ``.json``.
    overwrite : bool, default False
        Replace the file if it exists.
    spreadsheet : bool, default False
        Make the ``.csv`` safe to open in a spreadsheet, as ``Labels.save`` does.

    Returns
    -------
    Labels
        The selected labels.

    Raises
    ------
    UnknownNameError
        If there is no such neuron or layer; the message suggests the nearest names.
    OptionError
        If ``significant`` is given and the labels have no p-values that account for the search, or ``spreadsheet`` is
        on for a file that is no ``.csv``.
    FileError
        If a file cannot be read or written.
    """
    if out is not None:
        check_spreadsheet(out, kind_of(out, KINDS, "labels"), spreadsheet)
        check_target(out, overwrite)
    found = labels if isinstance(labels, Labels) else Labels.open(labels)
    if layer is not None:
        layers = [str(one) for one in layers_of(found) if one is not None]
        if layer not in layers:
            raise no_such("layer", layer, layers)
        found = found.filter(layer=layer)
    if neuron is not None:
        found = found.of(neuron)
    if significant is not None:
        by: Literal["p_search", "p"] = "p_search" if any(one.permutations for one in found) else "p"
        if by == "p" and not any(one.held_out for one in found):
            raise OptionError(
                "significant labels need p-values: label with permutations or holdout (--permutations or --holdout)"
            )
        found = found.significant(significant, by=by)
    if simplest is not None:
        found = found.simplest(simplest)
    if out is not None:
        found.save(out, overwrite=overwrite, spreadsheet=spreadsheet)
    return found


def _check_level(name: str, level: object) -> None:
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise OptionError(f"{name} must lie between 0 and 1, not {level!r}")
