"""Labels of other tools: in from NetDissect, CompExp, CLIP-Dissect and MILAN; out for CoSy."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neuronym._util.files import kind_of, writing
from neuronym._util.messages import counted, some
from neuronym.data.activations import as_name
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.ids import is_missing, refuse_repeats
from neuronym.errors import ConceptsError, FileError, FormulaError, OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.tables import read_table, write_csv
from neuronym.labels.label import Explanation, Label
from neuronym.labels.labels import Labels
from neuronym.types import ActivationsLike, Align, ConceptsLike, PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["open_descriptions", "save_for_cosy"]


@dataclass(frozen=True)
class _Format:
    """How a tool writes its labels."""

    neuron: str
    text: str
    number: str
    first: int = 0  # the number of the first neuron
    broden: bool = False  # whether names of scenes and colours end in -s and -c
    synonyms: bool = False  # whether commas separate names of one concept


_FORMATS = (
    # feature_operation.py of CSAILVision/NetDissect-Lite writes unit + 1; CompExp keeps the columns.
    _Format("unit", "label", "score", first=1, broden=True),
    # describe_neurons.py of Trustworthy-ML-Lab/CLIP-dissect; its classes of ImageNet are lists of synonyms.
    _Format("unit", "description", "similarity", synonyms=True),
    # assets/explanations/INVERT of lkopf/cosy, whose load_explanations looks a neuron up and takes its concept.
    _Format("neuron", "concept", "metric"),
)
_WORD = re.compile(r"\s*(\(|\)|\bAND\b|\bOR\b|\bNOT\b)\s*")
_NUMBER = re.compile(r"[+-]?\d*\.?\d+")
_SIGNS = {"AND": "&", "OR": "|", "NOT": "~"}


def open_descriptions(
    path: PathLike,
    concepts: ConceptsLike | None = None,
    *,
    activations: ActivationsLike | None = None,
    layer: str | None = None,
    first: int | None = None,
    align: Align = False,
) -> Labels:
    """Read the labels of another tool, to score them (``Labels.rescore``) or compare them (``agreement``).

    Read are the ``tally.csv`` of Network Dissection, with its units from 1 and the formulas of Compositional
    Explanations; the ``descriptions.csv`` of CLIP-Dissect and MILAN; and CoSy's files of INVERT.

    Parameters
    ----------
    path : str or Path
        The table: a neuron (``unit`` or ``neuron``), its description (``label``, ``description`` or ``concept``), and
        optionally ``layer``.
    concepts : ConceptsLike, optional
        Your concepts. A description is then the concept of the same name or alias, whatever its case, with underscores,
        hyphens or spaces; for CLIP-Dissect also one of its synonyms between commas. A neuron whose description names no
        concept, or several, has no formula, and its reason says so. Without concepts each description is a concept.
    activations : ActivationsLike, optional
        Your activations of the same samples, to measure the AUC, the fraction and p of each formula. A formula that is
        true of no sample, or of all, is then left out with a reason.
    layer : str, optional
        The layer to read, if the table has several; or its name, if the table does not say.
    first : int, optional
        The number of the first neuron in the table; by default 1 for a tally, and 0 elsewhere.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.

    Returns
    -------
    Labels
        One label per row, in order of layer and neuron; ``value`` has the number that the tool gives. Without
        ``activations`` there is no AUC.

    Raises
    ------
    FileError
        If it cannot be read, its columns are none of the known, or it numbers a neuron below the first or twice.
    ConceptsError
        If none of the descriptions names a concept.
    OptionError
        If it has no such layer, ``first`` is no whole number, or there are activations, but no concepts.
    UnknownNameError
        If activations have no such layer or neuron.
    """
    if first is not None and (isinstance(first, bool) or not isinstance(first, int) or first < 0):
        raise OptionError(f"first must be the number of the first neuron, 0 or more, not {first!r}")
    if activations is not None and concepts is None:
        raise OptionError("to measure descriptions, give concepts beside activations; or leave activations out")
    read = read_table(path, "descriptions of neurons")
    refuse_repeats(read.column_names, "column", repr(str(path)), FileError)
    table = read.to_pandas()
    form = next((one for one in _FORMATS if one.neuron in table and one.text in table), None)
    if form is None:
        known = "; ".join(f"{one.neuron} and {one.text}" for one in _FORMATS)
        raise FileError(
            f"{str(path)!r} must have the columns of a tally, of descriptions or of CoSy ({known}), "
            f"not {some(list(table))}"
        )
    form = replace(form, synonyms=form.synonyms and form.number in table)  # MILAN lists things between commas
    if "layer" in table:
        table["layer"] = table["layer"].astype(str)
        if layer is not None:
            if layer not in set(table["layer"]):
                raise OptionError(f"{str(path)!r} has no layer {layer!r}: it has {some(sorted(set(table['layer'])))}")
            table = table[table["layer"] == layer]
    if not len(table):
        raise FileError(f"{str(path)!r} has no rows: it must have one for each neuron")
    known_by = None if concepts is None else _Known.of(as_concepts(concepts), form)
    begins = form.first if first is None else first
    found = [_label(row, form, begins, known_by, row.get("layer", layer), path) for row in table.to_dict("records")]
    _refuse_twice(found, "layer" in table, path)
    if known_by is not None and all(one.best is None for one in found):
        raise ConceptsError(
            f"no description in {str(path)!r} names one concept: {found[0].reason}; there are {some(known_by.names)}: "
            "rename concepts, or leave them out, so that each description is a concept"
        )
    order = {name: place for place, name in enumerate(dict.fromkeys(one.layer for one in found))}
    found.sort(key=lambda one: (order[one.layer], isinstance(one.neuron, str), one.neuron))
    labels = Labels(found)
    if activations is None or concepts is None:
        return labels
    from neuronym.labels.rescoring import measured

    return Labels(measured(labels, activations, concepts, align))


def _label(
    row: Mapping[Any, Any], form: _Format, first: int, known: _Known | None, layer: str | None, path: PathLike
) -> Label:
    """The label in a row."""
    cell = row[form.text]
    formula, reason = (None, "no description") if is_missing(cell) else _formula(str(cell).strip(), known)
    value = _number(row.get(form.number), path)
    return Label(
        _neuron(row[form.neuron], form, first, path),
        layer=layer,
        best=None if formula is None else Explanation(formula, math.nan, math.nan, None, value=value),
        reason=reason,
        score=form.number if form.number in row else None,
    )


def _neuron(cell: Any, form: _Format, first: int, path: PathLike) -> int | str:
    """The name of a neuron, whose number counts from 0."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    name = None if is_missing(cell) else as_name(cell)
    if isinstance(name, str) and not _NUMBER.fullmatch(name):
        return name
    if not isinstance(name, int) or name < first:
        hint = f": with first=0 they count from 0, not {first}" if name == 0 else ""
        raise FileError(f"{form.neuron} in {str(path)!r} must be whole numbers from {first}, not {str(cell)!r}{hint}")
    return name - first


def _refuse_twice(found: list[Label], layered: bool, path: PathLike) -> None:
    """Refuse several rows of a neuron."""
    counts = Counter((one.layer, one.neuron) for one in found)
    twice = [f"{name}" if layer is None else f"{name} of layer {layer}" for (layer, name), n in counts.items() if n > 1]
    if twice:
        hint = "" if layered else "; a file without a column layer must be of one layer"
        raise FileError(
            f"{str(path)!r} describes {counted(len(twice), 'neuron')} more than once "
            f"({', '.join(twice[:3])}): keep one row for each" + hint
        )


def _number(value: Any, path: PathLike) -> float:
    try:
        return math.nan if value is None or value == "" else float(value)
    except ValueError:
        raise FileError(f"{str(path)!r} must have a number beside each description, not {value!r}") from None


@dataclass(frozen=True)
class _Known:
    """The user's concepts, found by name.

    Parameters
    ----------
    names : mapping from str to str
        The concept of each name and alias.
    forms : mapping from str to tuple of str
        The concepts of each form that ignores case, underscores and hyphens.
    form : _Format
        How the tool writes names.
    """

    names: Mapping[str, str]
    forms: Mapping[str, tuple[str, ...]]
    form: _Format

    @classmethod
    def of(cls, concepts: Concepts, form: _Format) -> _Known:
        """Collect names and aliases."""
        names = {other: name for name in concepts.names for other in (name, *concepts.aliases.get(name, ()))}
        forms: dict[str, tuple[str, ...]] = {}
        for other, name in names.items():
            forms[_form(other)] = tuple(dict.fromkeys((*forms.get(_form(other), ()), name)))
        return cls(names, forms, form)

    def named(self, text: str) -> tuple[str, ...]:
        """The concepts that a text may mean, by the first of its readings that means any."""
        if text in self.names:
            return (self.names[text],)
        found = self.forms.get(_form(text), ())
        if not found and self.form.broden:
            found = self.forms.get(_form(re.sub(r"-[sc]$", "", text)), ())
        if not found and self.form.synonyms:
            found = tuple(dict.fromkeys(name for one in text.split(",") for name in self.forms.get(_form(one), ())))
        return found


def _form(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _formula(text: str, known: _Known | None) -> tuple[Formula | None, str | None]:
    """The formula of a description, or the reason why there is none."""
    if not (text.startswith("(") and re.search(r" (AND|OR) |NOT ", text)):
        found = (text,) if known is None else known.named(text)
        return (Formula.concept(found[0]), None) if len(found) == 1 else (None, _reason(text, text, found))
    spelled = []  # of Compositional Explanations
    for part in filter(str.strip, _WORD.split(text)):
        sign = part if part in ("(", ")") else _SIGNS.get(part)
        found = (part,) if known is None or sign else known.named(part)
        if len(found) != 1:
            return None, _reason(text, part, found)
        spelled.append(sign or str(Formula.concept(found[0])))
    try:
        return Formula.parse(" ".join(spelled)), None
    except FormulaError:
        return None, f"the description {text!r} is no formula"


def _reason(text: str, part: str, found: tuple[str, ...]) -> str:
    """Why a description has no formula."""
    of = "" if part == text else f" in {part!r}"
    return f"the description {text!r} names {f'several concepts{of}: {some(found)}' if found else f'no concept{of}'}"


def save_for_cosy(labels: Labels, path: PathLike, *, layer: str | None = None, overwrite: bool = False) -> None:
    """Save labels as CoSy reads those of INVERT: a CSV of ``neuron``, ``concept``, ``concept_id`` and ``metric``.

    A formula is written in words (``dog or cat and not night``), since CoSy generates images from it. Neurons without a
    formula are left out, since CoSy has nothing to generate for them: evaluate only neurons that are in the file. The
    columns are those of the files in ``assets/explanations/INVERT`` of CoSy's repository (Kopf et al. 2024), of which
    its ``load_explanations`` reads ``neuron`` and ``concept``.

    Parameters
    ----------
    labels : Labels
        Labels of one layer, whose neurons are numbered, as CoSy expects.
    path : str or Path
        The file, ``.csv``.
    layer : str, optional
        The layer to save, if there are several.
    overwrite : bool, default False
        Whether to replace a file.

    Raises
    ------
    OptionError
        If there are several layers, none is left, or a neuron has a name or two labels.
    FileError
        If the file exists and ``overwrite`` is False, or cannot be written.
    """
    kind_of(path, (".csv",), "labels for CoSy")
    chosen = [one for one in labels if layer is None or one.layer == layer]
    layers = list(dict.fromkeys(one.layer for one in chosen))
    if len(layers) > 1:
        raise OptionError(f"CoSy reads a file for each layer, not {some(layers)} in one: choose with layer=")
    shown = [one for one in chosen if one.formula is not None]
    if not shown:
        raise OptionError("there is no label to save for CoSy: none of them has a formula")
    named = [one.neuron for one in shown if not isinstance(one.neuron, int)]
    if named:
        raise OptionError(f"CoSy numbers neurons from 0, so that these names cannot be saved: {some(named)}")
    if len({one.neuron for one in shown}) < len(shown):
        raise OptionError("CoSy reads one label per neuron: keep one direction, for example by labels.filter")
    table = _table(shown)
    with writing(path, overwrite) as temporary:
        write_csv(table, temporary)


def _table(shown: list[Label]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for one in shown:
        formula = one.formula
        if formula is not None:
            number = one.auc if math.isnan(one.value) else one.value
            rows.append((one.neuron, _words(formula), str(formula), number))
    return pd.DataFrame(rows, columns=["neuron", "concept", "concept_id", "metric"])


def _words(formula: Formula, within: str | None = None) -> str:
    """A formula in words; commas are left to CoSy."""
    if formula.operator == "concept":
        return re.sub(r"[\s_]+", " ", formula.name).strip()
    if formula.operator == "not":
        return f"not {_words(formula.operands[0], 'not')}"
    joined = f" {formula.operator} ".join(_words(one, formula.operator) for one in formula.operands)
    return f"({joined})" if within in ("and", "not") and formula.operator == "or" else joined
