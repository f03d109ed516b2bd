"""The data of a report: the pieces that the page loads, computed and written block by block."""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.parallel import parallel_map
from neuronym.data.depths import depth
from neuronym.data.formula import Formula
from neuronym.data.hierarchy import Hierarchy
from neuronym.data.sparse import column, dense, in_parts
from neuronym.labels.labels import Label, Labels, keys_of
from neuronym.labels.schema import COLUMNS, Column
from neuronym.report.detail import (
    Layer,
    choose_samples,
    column_value,
    distribution,
    label_numbers,
    number,
    numbers,
    path_and_runners_up,
    roc,
    single_concepts,
    tree,
)
from neuronym.report.firing import Firing
from neuronym.report.overview import EVIDENCE, evidence, heading, verdict
from neuronym.report.shown import ShownSamples
from neuronym.types import AnyArray, JsonDict

if TYPE_CHECKING:
    from neuronym.data.sparse import Block

__all__ = ["A_PIECE", "Builder", "write_piece"]

#: How many neurons, concepts, cards of neurons and samples a file of data holds.
A_PIECE = {"neurons": 16, "concepts": 16, "cards": 64, "samples": 32}
_ON_CARD, _CARD_TEXT = 6, 140  # samples of a card, and characters of a text
_NEIGHBOURS, _CORRELATED = 6, 1500  # neighbours shown; samples that their correlations are computed on
_BEST = 30  # neurons shown for a concept
_CODED = ("layer", "formula", "length")  # columns that the page derives from its lists of layers and formulas


def write_piece(folder: Path, name: str, data: object) -> None:
    """Write data as a script, which a page opened from disk can load."""
    path = folder / "data" / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"neuronym.piece({json.dumps(name)},")
        file.writelines(_json_parts(data))
        file.write(");\n")


def _json_parts(data: object, levels: int = 2) -> Iterator[str]:
    """Yield JSON piece by piece: the values of the outermost dicts one by one, since a table may be long."""
    if not isinstance(data, dict) or not levels:
        yield json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        return
    yield "{"
    for place, (key, value) in enumerate(data.items()):
        yield "," * (place > 0) + json.dumps(str(key)) + ":"
        yield from _json_parts(value, levels - 1)
    yield "}"


ConceptAucs = tuple[NDArray[np.float32], NDArray[np.int64]]  # the AUC for each concept, and its count


@dataclass
class Builder:
    """Writes the data of a report.

    Parameters
    ----------
    labels : Labels
        The labels.
    layers : mapping of str or None to Layer
        The activations and concepts of each layer.
    samples : ShownSamples or None
        The images or texts of the samples.
    names : mapping of str to str
        Readable names of concepts.
    hierarchy : Hierarchy or None
        The hierarchy of the concepts.
    n_samples : int
        The number of samples of each kind to show for a neuron.
    seed : int
        The seed of random draws.
    folder : Path
        The folder of the report.
    n_jobs : int or None, default -1
        The number of thumbnails to make at once.
    unread, used : set of int
        Filled while writing: the samples that could not be read, and those that are shown.
    unknown : set of str
        Filled while writing: the concepts of formulas that are missing from the concepts given.
    best_neurons : dict of str to list of (float, int)
        Filled while writing: for each concept, the AUC and the label of the neurons that detect it best.
    counts : dict of str to int
        Filled while writing: the number of samples that show each concept.
    enlarged : set of int
        Filled while writing: the samples with a larger picture than their thumbnail.
    firing : Firing or None
        Filled while writing: the neurons that fire most on each sample; None without activations.
    """

    labels: Labels
    layers: Mapping[str | None, Layer]
    samples: ShownSamples | None
    names: Mapping[str, str]
    hierarchy: Hierarchy | None
    n_samples: int
    seed: int
    folder: Path
    n_jobs: int | None = -1
    unread: set[int] = field(default_factory=set)
    used: set[int] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    best_neurons: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    enlarged: set[int] = field(default_factory=set)
    firing: Firing | None = field(init=False, default=None)
    _codes: NDArray[np.int64] = field(init=False, repr=False)  # the number of each label's formula; from ``index``
    _aucs: array[float] = field(init=False, repr=False)  # of each label
    _concepts_of: list[list[int]] = field(init=False, repr=False)  # of each formula

    def __post_init__(self) -> None:
        if self.layers:
            self.firing = Firing(1 + max(int(layer.numbers.max()) for layer in self.layers.values()))

    def index(self) -> JsonDict:
        """Return the table of all neurons, by column, in a compact form."""
        concepts: dict[str, int] = {}
        formulas: dict[str, int] = {}
        states = evidence(self.labels)
        cells = [_Cells(one) for one in COLUMNS if one.page and one.name not in _CODED]
        layers: dict[str | None, int] = {}
        of_layers, codes, aucs, low = array("q"), array("q"), array("d"), array("b")
        reasons: dict[str, str] = {}
        shortened: dict[int, Formula | None] = {}
        for i, (label, state) in enumerate(zip(self.labels, states, strict=True)):
            of_layers.append(layers.setdefault(label.layer, len(layers)))
            codes.append(_code_of(label.formula, formulas, concepts))
            aucs.append(label.auc)
            low.append(label.direction == "low")
            if label.formula is None and label.reason:
                reasons[str(i)] = label.reason
            if state == "partly":
                shortened[i] = label.shortened(0.05).formula
            for one in cells:
                one.add(label)
        simplest = {i: _code_of(formula, formulas, concepts) for i, formula in shortened.items()}
        self._codes, self._aucs = np.frombuffer(codes, np.int64), aucs
        self._concepts_of = [[int(place) for place in _PLACES.findall(formula)] for formula in formulas]
        for layer in self.layers.values():
            for name in () if layer.concepts is None else layer.concepts.names:
                concepts.setdefault(name, len(concepts))
        order = list(EVIDENCE)
        columns: dict[str, JsonDict] = {
            "layer": _packed(of_layers.tolist()),
            "formula": _packed(codes.tolist()),
            "evidence": _packed([order.index(state) for state in states]),
        }
        if simplest:
            columns["simplest"] = _packed([simplest.get(i, -1) for i in range(len(states))])
        for one in cells:
            columns |= {name: _packed(values) for name, values in one.columns().items()}
        if any(low):
            columns["low"] = _packed(low.tolist())
        return {
            "layers": list(layers),
            "concepts": list(concepts),
            "readable": [self.names.get(name, name) for name in concepts] if self.names else None,
            "formulas": list(formulas),
            "n": len(self.labels),
            "schema": [_schema_entry(one) for one in COLUMNS if one.page or one.numeric],
            "columns": columns,
            "reasons": reasons,
            "piece": A_PIECE,
            "depth": self._depths(list(concepts)),
            "heading": heading(self.labels, self.layers),
            "verdict": verdict(self.labels, states),
            "evidence": [[name, about] for name, about in EVIDENCE.items()],
        }

    def _depths(self, concepts: Sequence[str]) -> list[int | None] | None:
        """Return the number of steps from the top of the hierarchy to each concept; None without a hierarchy."""
        if self.hierarchy is None:
            return None
        nodes = (self._in_hierarchy(name) for name in concepts)
        return [None if node is None else depth(self.hierarchy, node) for node in nodes]

    def _in_hierarchy(self, name: str) -> str | None:
        """Return the name that the hierarchy has for a concept: its name or a description; None if it has none."""
        if self.hierarchy is None:
            return None
        described = {d for one in self.layers.values() if one.concepts for d in [one.concepts.descriptions.get(name)]}
        for node in (name, *filter(None, described)):
            if node in self.hierarchy:
                return node
        return None

    def neurons(self) -> Iterator[int]:
        """Write the pieces of the neurons; yields the number of neurons of each piece, once it is written."""
        rng = np.random.default_rng(self.seed)
        near = self._neighbours()
        same = _Same(self._codes)
        source, cards = iter(self.labels), []
        for start in range(0, len(self.labels), A_PIECE["neurons"]):
            part = list(islice(source, A_PIECE["neurons"]))
            shown: set[int] = set()
            details = []
            places, aucs = self._columns(part, start)
            for k, label in enumerate(part):
                values = column(*places[k]) if k in places else None
                found = self._detail(label, values, aucs.get(k), rng, shown)  # adds to ``shown``
                found["near"] = [] if label.reason == "constant" else near.get(start + k, [])
                if label.formula is not None:
                    found["same"] = same.others(start + k, _NEIGHBOURS)
                details.append(found)
                self._record_best_neurons(start + k, label, aucs.get(k))
            data = {"neurons": details, "samples": self._samples_data(shown)}
            write_piece(self.folder, f"neurons/{start // A_PIECE['neurons']}", data)
            cards += [found.get("shown", {}).get("top", [[], [], []]) for found in details]
            if len(cards) == A_PIECE["cards"] or start + len(part) == len(self.labels):
                self._cards(start // A_PIECE["cards"], cards)
                cards = []
            yield len(part)

    def _cards(self, place: int, tops: Sequence[Sequence[Sequence[Any]]]) -> None:
        """Write the top samples of some neurons, and whether they are inside, for the gallery and the table."""
        if self.samples is None:
            return
        cards = [[top[0][:_ON_CARD], top[2][:_ON_CARD]] for top in tops]
        shown = self._samples_data({row for rows, _ in cards for row in rows}, _CARD_TEXT)
        write_piece(self.folder, f"cards/{place}", {"cards": cards, "samples": shown})

    def _columns(
        self, part: Sequence[Label], start: int
    ) -> tuple[dict[int, tuple[Block, int]], dict[int, ConceptAucs]]:
        """Return a block with each label's neuron, its column there, and its AUC for every concept; layer by layer."""
        places: dict[int, tuple[Block, int]] = {}
        aucs: dict[int, ConceptAucs] = {}
        for name, layer in self.layers.items():
            in_layer = [k for k, label in enumerate(part) if label.layer == name and label.neuron in layer.places]
            columns = np.array([layer.places[part[k].neuron] for k in in_layer], np.intp)
            if not len(in_layer):
                continue
            block = layer.values(columns)
            found = layer.concept_aucs(columns)
            for place, k in enumerate(in_layer):
                places[k] = block, place
                if found is not None:
                    aucs[k] = (found[0][place], found[1])
            if self.firing is not None:
                high = [place for place, k in enumerate(in_layer) if part[k].direction == "high"]
                labels = iter([start + in_layer[j] for j in high])
                for values in in_parts(block[:, high]):
                    self.firing.add(values.astype(np.float64), list(islice(labels, values.shape[1])), layer.rows)
        return places, aucs

    def _detail(
        self,
        label: Label,
        values: AnyArray | None,
        aucs: ConceptAucs | None,
        rng: np.random.Generator,
        shown: set[int],
    ) -> JsonDict:
        """Return the details of a neuron; the samples that they show are added to ``shown``."""
        found: JsonDict = {**label_numbers(label), **path_and_runners_up(label)}
        if label.formula is not None:
            found["tree"] = tree(label.formula)
        if label.aliases:
            found["aliases"] = [[name, *others] for name, others in label.aliases.items()]
        layer = self.layers.get(label.layer)
        if values is None or layer is None:
            return found
        column = values.astype(np.float64)
        if label.reason == "constant":  # no sample is higher than another
            return found | {"value": number(float(column[0]))}
        inside = None if label.formula is None else layer.inside(label.formula)
        if label.formula is not None and inside is None and layer.concepts is not None:
            found["unknown"] = [name for name in label.formula.concepts if name not in layer.concepts]
            self.unknown.update(found["unknown"])
        low = label.direction == "low"
        found["distribution"] = distribution(column, inside)
        if inside is not None and (curve := roc(column, inside, low)) is not None:
            found["roc"] = curve
        if aucs is not None and layer.concepts is not None:
            found["single"] = single_concepts(aucs[0], aucs[1], layer.concepts.names, low)
        rows = layer.rows
        found["shown"] = {}
        for kind, places in choose_samples(column, inside, low, self.n_samples, rng).items():
            samples = rows[places].tolist()
            shown.update(samples)
            truth = [None] * len(places) if inside is None else inside[places].astype(int).tolist()
            found["shown"][kind] = [samples, numbers(column[places]), truth]
        return found

    def _record_best_neurons(self, i: int, label: Label, aucs: ConceptAucs | None) -> None:
        """Keep label i for each concept that its neuron is among the best detectors of."""
        layer = self.layers.get(label.layer)
        if aucs is None or layer is None or layer.concepts is None:
            return
        values, _ = aucs
        values = 1 - values if label.direction == "low" else values
        for c in np.flatnonzero(values > 0.5).tolist():
            name = layer.concepts.names[c]
            best = self.best_neurons.setdefault(name, [])
            if len(best) < 4 * _BEST:
                best.append((float(values[c]), i))
            else:
                best.sort(reverse=True)
                del best[_BEST:]
                best.append((float(values[c]), i))

    def _samples_data(self, shown: set[int], longest: int | None = None) -> JsonDict:
        """Return the name, the text, and 1 with a thumbnail or 2 with a larger picture too; make their pictures."""
        if self.samples is None:
            return {}
        self._pictures(sorted(shown - self.used))
        return {str(row): self._sample(row, longest) for row in sorted(shown)}

    def _sample(self, row: int, longest: int | None = None) -> list[Any]:
        """Return the name of a sample, its text, and which pictures of it there are."""
        if self.samples is None:
            return [str(row), None, 0]
        pictured = self.samples.pictured and row not in self.unread
        text = self.samples.text(row) if longest is None else self.samples.text(row, longest)
        return [self.samples.names[row], text, (2 if row in self.enlarged else 1) if pictured else 0]

    def write_samples(self, listed: Sequence[str]) -> None:
        """Write a page of each sample that is shown: its concepts, and the neurons that fire most on it.

        Parameters
        ----------
        listed : sequence of str
            The concepts in the order of the index.
        """
        place = {name: k for k, name in enumerate(listed)}
        shows: dict[int, list[int]] = {}
        for layer in self.layers.values():
            if layer.concepts is None:
                continue
            groups = layer.aligned.groups
            known = np.array([place[name] for name in layer.concepts.names], np.int64)
            for row, of in zip(layer.rows.tolist(), groups.row_groups.tolist(), strict=True):
                if row in self.used and row not in shows:
                    members = groups.group_concepts[groups.group_ptr[of] : groups.group_ptr[of + 1]]
                    shows[row] = sorted(known[members].tolist())
        pieces: dict[int, JsonDict] = {}
        for row in sorted(self.used):
            firing = [] if self.firing is None else self.firing.of(row)
            found = {"sample": self._sample(row), "neurons": [[i, number(a, 3), number(b)] for i, a, b in firing]}
            if row in shows:
                found["concepts"] = shows[row]
            pieces.setdefault(row // A_PIECE["samples"], {})[str(row)] = found
        for k, data in pieces.items():
            write_piece(self.folder, f"samples/{k}", data)
        names = [[row, self._sample(row)[0]] for row in sorted(self.used)]
        write_piece(self.folder, "samples", names)

    def _neighbours(self) -> dict[int, list[list[Any]]]:
        """Return the neurons of the same layer with the highest rank correlations, on a random draw of samples."""
        found: dict[int, list[list[Any]]] = {}
        rng = np.random.default_rng(self.seed)
        for name, layer in self.layers.items():
            labels_of: dict[int, list[int]] = {}  # of each column
            for i, (of, neuron) in enumerate(keys_of(self.labels)):
                if of == name and neuron in layer.places:
                    labels_of.setdefault(layer.places[neuron], []).append(i)
            if len(labels_of) < 2:
                continue
            columns = np.array(sorted(labels_of), np.intp)
            rows = np.sort(rng.permutation(len(layer.rows))[:_CORRELATED])
            blocks = (dense(layer.values(columns[a : a + 256])[rows]) for a in range(0, len(columns), 256))
            ranks = np.concatenate([_standard_ranks(block) for block in blocks], axis=1)
            for a in range(0, len(columns), 512):
                alike = ranks[:, a : a + 512].T @ ranks
                alike[np.arange(len(alike)), np.arange(a, a + len(alike))] = -2
                n_best = min(_NEIGHBOURS, len(columns) - 1)
                best = np.argpartition(-alike, n_best - 1, axis=1)[:, :n_best]
                for k, places in enumerate(best):
                    order = places[np.argsort(-alike[k, places], kind="stable")].tolist()
                    near = [[labels_of[int(columns[j])][0], number(float(alike[k, j]), 3)] for j in order]
                    found |= dict.fromkeys(labels_of[int(columns[a + k])], near)
        return found

    def concepts(self, listed: Sequence[str]) -> None:
        """Write the pieces of the concepts."""
        rng = np.random.default_rng(self.seed)
        layer = next((one for one in self.layers.values() if one.concepts is not None), None)
        users: dict[str, array[int]] = {}
        for i, code in enumerate(self._codes.tolist()):
            for place in dict.fromkeys(self._concepts_of[code]) if code >= 0 else ():
                users.setdefault(listed[place], array("q")).append(i)
        aucs = self._aucs
        above, below = self._relatives(listed)
        for start in range(0, len(listed), A_PIECE["concepts"]):
            details, shown = [], set()
            for name in listed[start : start + A_PIECE["concepts"]]:
                having = sorted(users.get(name, ()), key=lambda i: -aucs[i])
                found: JsonDict = {"formulas": having[:60], "n_formulas": len(having)}
                best = sorted(self.best_neurons.get(name, []), reverse=True)[:_BEST]
                found["neurons"] = [[i, number(auc)] for auc, i in best]
                found["parents"], found["children"] = above.get(name, []), below.get(name, [])
                if layer is not None and layer.concepts is not None and name in layer.concepts:
                    rows = layer.rows[np.flatnonzero(layer.concepts[name])]
                    found["count"] = self.counts[name] = len(rows)
                    drawn = rng.permutation(rows)[: 2 * self.n_samples].tolist()
                    shown.update(drawn)
                    found["samples"] = drawn
                    found["aliases"] = list(layer.concepts.aliases.get(name, ()))
                details.append(found)
            write_piece(
                self.folder,
                f"concepts/{start // A_PIECE['concepts']}",
                {"concepts": details, "samples": self._samples_data(shown)},
            )

    def add_pictures(self, findings: Sequence[JsonDict] | None) -> None:
        """Add the samples of the pairs that findings show, with their pictures."""
        for entry in findings or ():
            shown = {
                row for layer in entry["neurons"] for _, pairs in layer["shown"] for pair in pairs for row in pair[:2]
            }
            entry["samples"] = self._samples_data(shown)

    def of_concepts(self, listed: Sequence[str]) -> JsonDict:
        """Return the number of samples with each concept, and its best detector and the AUC, in the order given."""
        best = [max(self.best_neurons.get(name, [(0.0, -1)])) for name in listed]
        return {
            "counts": [self.counts.get(name) for name in listed],
            "detectors": [[i, number(auc)] if i >= 0 else None for auc, i in best],
        }

    def _relatives(self, listed: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Return, for each concept, the nearest ones above and below it in the hierarchy that are listed too."""
        above: dict[str, list[str]] = {}
        below: dict[str, list[str]] = {}
        if self.hierarchy is None:
            return above, below
        nodes = {name: self._in_hierarchy(name) for name in listed}
        names = {node: name for name, node in nodes.items() if node is not None}
        for name, node in nodes.items():
            level, visited = set(self.hierarchy.parents.get(node or "", ())), set()
            while level:
                ancestors = sorted(names[one] for one in level if one in names)
                if ancestors:
                    above[name] = ancestors
                    for ancestor in ancestors:
                        below.setdefault(ancestor, []).append(name)
                    break
                visited |= level
                level = {p for one in level for p in self.hierarchy.parents.get(one, ())} - visited
        return above, below

    def _pictures(self, rows: Sequence[int]) -> None:
        """Write thumbnails of samples and larger pictures, and record which could not be read, and which are larger."""
        self.used |= set(rows)
        if self.samples is None or not self.samples.pictured:
            return
        for name in ("thumbs", "photos"):
            (self.folder / name).mkdir(exist_ok=True)
        parts = ((rows[a : a + 32],) for a in range(0, len(rows), 32))
        for unread, enlarged in parallel_map(self._write_pictures, parts, self.n_jobs):
            self.unread |= set(unread)
            self.enlarged |= set(enlarged)

    def _write_pictures(self, rows: Sequence[int]) -> tuple[list[int], list[int]]:
        """Write the pictures of samples; return those that cannot be read, and those with a larger picture."""
        unread, enlarged = [], []
        for row in rows:
            pictures = None if self.samples is None else self.samples.pictures(row)
            if pictures is None:
                unread.append(row)
                continue
            small, large = pictures
            small.save(self.folder / "thumbs" / f"{row}.jpg", "JPEG", quality=82)
            if large is not None:
                large.save(self.folder / "photos" / f"{row}.jpg", "JPEG", quality=82)
                enlarged.append(row)
        return unread, enlarged


@dataclass
class _Cells:
    """The cells of a column of the page, as its table of all neurons holds them."""

    column: Column
    values: list[Any] = field(default_factory=list)
    signs: list[str] = field(default_factory=list)
    tiny: list[str] = field(default_factory=list)  # of p that underflow to 0, their texts
    known: dict[Any, Any] = field(default_factory=dict)  # so that equal numbers are one in memory

    def add(self, label: Label) -> None:
        """Add the cell of a label."""
        column = self.column
        if column.kind == "bool":
            self.values.append(column.text(label))
            return
        if not column.numeric:
            self.values.append(getattr(label, column.name))
            return
        value = column_value(label, column)
        self.values.append(self.known.setdefault(value, value))
        if column.sign:
            self.signs.append(getattr(label, column.sign))
        if column.kind == "p":
            self.tiny.append(column.text(label) if value == 0 else "")

    def columns(self) -> dict[str, list[Any]]:
        """Return what the page needs to show the column; nothing if all labels lack it."""
        column, found = self.column, {self.column.name: self.values}
        if column.kind == "bool":
            return found if any(self.values) else {}
        if not column.numeric:
            return found
        if not column.always and all(value is None for value in self.values):
            return {}
        if any(self.signs):
            found[f"{column.name}_sign"] = self.signs
        if any(self.tiny):
            found[f"{column.name}_text"] = self.tiny
        return found


class _Same:
    """The labels that have the same formula.

    Parameters
    ----------
    codes : int64 array of shape (n_labels,)
        The number of each label's formula; -1 for none.
    """

    def __init__(self, codes: NDArray[np.int64]) -> None:
        self._codes, self._order = codes, np.argsort(codes, kind="stable")
        self._sorted = codes[self._order]

    def others(self, i: int, most: int) -> list[int]:
        """Return the first of the other labels with the formula of label i."""
        start = int(np.searchsorted(self._sorted, self._codes[i]))
        n_same = int(np.searchsorted(self._sorted[start : start + most + 1], self._codes[i], side="right"))
        return [j for j in self._order[start : start + n_same].tolist() if j != i][:most]


def _code_of(formula: Formula | None, formulas: dict[str, int], concepts: dict[str, int]) -> int:
    """Return the number of a formula, -1 for none; new ones, and their concepts, are added to those known."""
    if formula is None:
        return -1
    for name in formula.concepts:
        concepts.setdefault(name, len(concepts))
    return formulas.setdefault(_coded(formula, concepts), len(formulas))


def _schema_entry(column: Column) -> JsonDict:
    """Return how the page shows, sorts and filters a column."""
    entry = {"name": column.name, "kind": column.kind, "about": column.about, "form": column.form, "page": column.page}
    entry["shown"] = column.printed
    return entry if column.at_least is None else {**entry, "at_least": column.at_least}


def _standard_ranks(block: AnyArray) -> NDArray[np.float32]:
    """Return the midranks of each column, centred and scaled to length 1."""
    from scipy.stats import rankdata

    ranks = rankdata(block, axis=0).astype(np.float32)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    ranks /= np.where(length > 0, length, math.inf)
    return ranks


_PLACES = re.compile("[0-9]+")
_BINDING = {"or": 0, "and": 1, "not": 2, "concept": 3}


def _coded(formula: Formula, concepts: Mapping[str, int], outer: int = 0) -> str:
    """Return the text of a formula with numbers for concepts, such as ``3&~(1|2)``."""
    if formula.operator == "concept":
        return str(concepts[formula.name])
    binding = _BINDING[formula.operator]
    if formula.operator == "not":
        return "~" + _coded(formula.operands[0], concepts, binding)
    text = {"and": "&", "or": "|"}[formula.operator].join(_coded(one, concepts, binding) for one in formula.operands)
    return f"({text})" if binding < outer else text


def _packed(values: list[Any]) -> JsonDict:
    """Pack a column: runs of constant or consecutive integers, codes of few values, or decimals as integers."""
    whole = all(isinstance(value, int) for value in values)
    for step in (0, 1) if whole else ():
        runs: list[list[int]] = []
        for value in values:
            if runs and value == runs[-1][0] + step * runs[-1][1]:
                runs[-1][1] += 1
            else:
                runs.append([value, 1])
        if 4 * len(runs) < len(values):
            return {"runs": runs, "step": step}
    distinct = list(dict.fromkeys(values))
    place = {value: code for code, value in enumerate(distinct)}
    if 4 * len(distinct) < len(values):
        return {"values": distinct, "codes": [place[value] for value in values]}
    if all(value is None or (isinstance(value, float) and 0 <= value <= 1) for value in values):
        scaled = [None if value is None else round(10000 * value) for value in values]
        if [None if x is None else x / 10000 for x in scaled] == values:
            return {"scaled": scaled}
    return {"plain": values}
