"""Labels of other tools: in from NetDissect, CompExp, CLIP-Dissect and MILAN; out for CoSy."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from neuronym._util.files import kind_of, writing
from neuronym._util.messages import some
from neuronym.data.activations import as_name
from neuronym.data.formula import Formula
from neuronym.errors import FileError, FormulaError, OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.tables import read_table, write_csv
from neuronym.labels.label import Explanation, Label
from neuronym.labels.labels import Labels
from neuronym.types import ConceptsLike, PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["open_descriptions", "save_for_cosy"]

# The columns of the neuron, its description and the number beside it, and the number of the first neuron.
_FORMATS = (
    ("unit", "label", "score", 1),  # NetDissect and CompExp: the units of a tally count from 1
    ("unit", "description", "similarity", 0),  # CLIP-Dissect; MILAN has no number
    ("neuron", "concept", "metric", 0),  # CoSy's files of INVERT
)
_WORD = re.compile(r"\s*(\(|\)|\bAND\b|\bOR\b|\bNOT\b)\s*")
_SIGNS = {"AND": "&", "OR": "|", "NOT": "~"}


def open_descriptions(
    path: PathLike, concepts: ConceptsLike | None = None, *, layer: str | None = None, first: int | None = None
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
        Your concepts. A description is then the concept of the same name, whatever its case, with underscores or
        spaces, or one of its synonyms between commas; a neuron whose description is none of them has no formula, and
        its reason says so. Without concepts each description is a concept.
    layer : str, optional
        The layer to read, if the table has several; or its name, if the table does not say.
    first : int, optional
        The number of the first neuron in the table; by default 1 for a tally, and 0 elsewhere.

    Returns
    -------
    Labels
        One label per row, in order of layer and neuron, without an AUC: ``value`` has the number that the tool gives.

    Raises
    ------
    FileError
        If it cannot be read, or its columns are none of the known.
    OptionError
        If it has no such layer.
    """
    table = read_table(path, "descriptions of neurons").to_pandas()
    known_as = next((one for one in _FORMATS if one[0] in table and one[1] in table), None)
    if known_as is None:
        known = "; ".join(f"{a} and {b}" for a, b, _, _ in _FORMATS)
        raise FileError(
            f"{str(path)!r} must have the columns of a tally, of descriptions or of CoSy ({known}), "
            f"not {some(list(table))}"
        )
    neuron, text, number, start = known_as
    if layer is not None and "layer" in table:
        if layer not in set(table["layer"]):
            raise OptionError(f"{str(path)!r} has no layer {layer!r}: it has {some(sorted(set(table['layer'])))}")
        table = table[table["layer"] == layer]
    begins = start if first is None else first
    names = None if concepts is None else _by_form(as_concepts(concepts).names)
    found = []
    for row in table.to_dict("records"):
        name = as_name(row[neuron])
        if isinstance(name, int):
            name -= begins
        formula, reason = _formula(str(row[text]), names)
        value = _number(row.get(number), path)
        found.append(
            Label(
                name,
                layer=row.get("layer", layer),
                best=None if formula is None else Explanation(formula, math.nan, math.nan, None, value=value),
                reason=reason,
                score=number if number in table else None,
            )
        )
    order = {name: place for place, name in enumerate(dict.fromkeys(one.layer for one in found))}
    found.sort(key=lambda one: (order[one.layer], isinstance(one.neuron, str), one.neuron))
    return Labels(found)


def _number(value: Any, path: PathLike) -> float:
    try:
        return math.nan if value is None or value == "" else float(value)
    except ValueError:
        raise FileError(f"{str(path)!r} must have a number beside each description, not {value!r}") from None


def _by_form(names: Any) -> dict[str, str]:
    """Concepts by a form that ignores case, underscores and hyphens."""
    return {_form(name): name for name in reversed(list(names))}


def _form(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _formula(text: str, names: dict[str, str] | None) -> tuple[Formula | None, str | None]:
    """The formula of a description, or the reason why there is none."""
    if text.startswith("(") and re.search(r" (AND|OR) |NOT ", text):  # Compositional Explanations
        parts = [part for part in _WORD.split(text) if part.strip()]
        unknown = [part for part in parts if part not in {"(", ")", *_SIGNS} and _concept(part, names) is None]
        if unknown:
            return None, f"the description {text!r} names {unknown[0]!r}, which is no concept"
        spelled = [
            part if part in "()" else _SIGNS.get(part) or str(Formula.concept(str(_concept(part, names))))
            for part in parts
        ]
        try:
            return Formula.parse(" ".join(spelled)), None
        except FormulaError:
            return None, f"the description {text!r} is no formula"
    name = _concept(text, names)
    return (None, f"the description {text!r} names no concept") if name is None else (Formula.concept(name), None)


def _concept(text: str, names: dict[str, str] | None) -> str | None:
    """The concept that a text names; the text itself where no concepts are given."""
    if names is None:
        return text
    shorter = re.sub(r"-[sc]$", "", text)  # Broden marks scenes and colours
    forms = [text, shorter, *text.split(",")]
    return next((names[_form(one)] for one in forms if _form(one) in names), None)


def save_for_cosy(labels: Labels, path: PathLike, *, layer: str | None = None, overwrite: bool = False) -> None:
    """Save labels as CoSy reads those of INVERT: a CSV of ``neuron``, ``concept``, ``concept_id`` and ``metric``.

    A formula is written in words (``dog or cat and not night``), since CoSy generates images from it. Neurons without a
    formula are left out, since CoSy has nothing to generate for them.

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
