"""A whole study of how a neuron is built: model, samples and target in; circuit, comparisons and ablations out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.extras import need
from neuronym._util.files import check_target, make_folder, writing
from neuronym._util.messages import no_such
from neuronym.analysis.circuits.ablation import Ablation
from neuronym.analysis.circuits.ablation import ablate as _ablate
from neuronym.analysis.circuits.contributing import N_STEPS, Contributions, Method, compare, contributions
from neuronym.analysis.circuits.graph import Circuit, by_depth, find_circuit, save_circuit
from neuronym.analysis.circuits.observed import ObservedModel, Target, Where
from neuronym.data.activations import as_name
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.data.formula import Formula
from neuronym.errors import OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.tables import shown_table
from neuronym.io.texts import open_class_names
from neuronym.labeling.labeling import label
from neuronym.labels.labels import Labels
from neuronym.network.models import LoadedModel, load_model
from neuronym.network.reading import read_samples
from neuronym.search.beam import Rules
from neuronym.types import ActivationsLike, ConceptsLike, HierarchyLike, LabelsLike, Name, PathLike

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["CircuitStudy", "circuit"]

_SHOWN = 10  # rows of a printed table


@dataclass(frozen=True)
class CircuitStudy:
    """What ``circuit`` found.

    Parameters
    ----------
    circuit : Circuit
        The graph from the target down.
    contributions : Contributions
        Of the layer just below the target.
    labels : Labels or None
        Those of the layers, where there are concepts.
    comparisons : dict of str to (str, DataFrame)
        By name, ``"versus"`` and ``"right_wrong"``: what is compared, and the table of ``compare``.
    ablations : dict of str to Ablation
        By name, ``"ablation_LAYER"`` and ``"ablation"``.
    depths : DataFrame or None
        The table of ``by_depth``, where a hierarchy was given.
    """

    circuit: Circuit
    contributions: Contributions
    labels: Labels | None = None
    comparisons: dict[str, tuple[str, pd.DataFrame]] = field(default_factory=dict)
    ablations: dict[str, Ablation] = field(default_factory=dict)
    depths: pd.DataFrame | None = None

    def __str__(self) -> str:
        table = self.contributions.table(self.labels).head(_SHOWN)
        parts = [str(self.circuit), f"{self.contributions.head}\n{shown_table(table)}"]
        for head, compared in self.comparisons.values():
            long = len(compared) > 2 * _SHOWN
            ends = compared.iloc[[*range(_SHOWN), *range(-_SHOWN, 0)]] if long else compared
            parts.append(f"what speaks {head}\n{shown_table(ends)}")
        parts += [str(gone) for gone in self.ablations.values()]
        return "\n\n".join([*parts, *([] if self.depths is None else [shown_table(self.depths)])])

    def save(self, folder: PathLike, *, overwrite: bool = False) -> None:
        """Save the graph as ``circuit.dot``, ``.graphml`` and ``.json``, and all tables, in a folder that exists.

        Raises
        ------
        FileError
            If a file exists and ``overwrite`` is off, or one cannot be written.
        """
        into = Path(folder)
        for kind in ("dot", "graphml", "json"):
            save_circuit(self.circuit, into / f"circuit.{kind}", overwrite=overwrite)
        tables = {"contributions": self.contributions.table(self.labels)}
        tables |= {name: table for name, (_, table) in self.comparisons.items()}
        tables |= {} if self.depths is None else {"depth": self.depths}
        for name, table in tables.items():
            with writing(into / f"{name}.csv", overwrite) as temporary:
                table.to_csv(temporary, index=False)
        for name, gone in self.ablations.items():
            with writing(into / f"{name}.json", overwrite) as temporary:
                temporary.write_text(json.dumps(gone.to_dict(), ensure_ascii=False, indent=1), encoding="utf-8")


def circuit(
    model: torch.nn.Module | LoadedModel | str,
    data: Any = None,
    *,
    target_layer: str,
    target: Name,
    layers: Sequence[str],
    images: PathLike | None = None,
    table: PathLike | None = None,
    weights: PathLike | None = None,
    activations: ActivationsLike | None = None,
    classes: PathLike | Sequence[str] | None = None,
    concepts: ConceptsLike | None = None,
    labels: LabelsLike | None = None,
    where: Where = None,
    against: Where = None,
    versus: Name | None = None,
    right_wrong: bool = False,
    method: Method = "auto",
    n_steps: int = N_STEPS,
    share: float = 0.5,
    most: int = 8,
    length: int = Rules.length,
    ablate: int = 0,
    ablate_neurons: Mapping[str, Sequence[Name]] | None = None,
    n_random: int = 20,
    hierarchy: HierarchyLike | None = None,
    seed: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> CircuitStudy:
    """Show how a neuron is built from lower ones: a graph with formulas, contributions, comparisons and ablations.

    Parameters
    ----------
    model : torch.nn.Module, LoadedModel or str
        A name is loaded by ``load_model``.
    data : tensor, array or Dataset, optional
        The samples, as for ``ObservedModel.of``; without it, give ``images`` or ``table`` and a model by name.
    target_layer : str
        The layer of the target, such as the logits.
    target : int or str
        The neuron, by its number or name, or by that of its class.
    layers : sequence of str
        Lower layers, in any order.
    images, table, weights : str or Path, optional
        As for ``collect``.
    activations : ActivationsLike, optional
        Of these layers, so that the model need not run over all samples.
    classes : str, Path or sequence of str, optional
        Names of the target layer's neurons: a file with one a line, or a name for each.
    concepts : ConceptsLike, optional
        What the samples show; the neurons are labelled with them.
    labels : LabelsLike, optional
        Labels of the layers, instead of labelling here.
    where : formula, mask or places, optional
        The samples that contributions are means of; by default those of the target's class, where concepts have one
        of its name, or else the 20 on which the target is highest.
    against : formula, mask or places, optional
        The samples whose mean is the baseline of linear contributions; all by default.
    versus : int or str, optional
        Compare with this target on the same samples.
    right_wrong : bool, default False
        Compare samples on which the target is the highest of its layer with the others.
    method, n_steps
        As for ``contributions``.
    share, most, length
        As for ``find_circuit``.
    ablate : int, default 0
        Set this many of the largest contributors of each layer to their mean, and run the model again.
    ablate_neurons : mapping of layer to neurons, optional
        Set these to their mean.
    n_random : int, default 20
        Random sets of as many neurons to compare an ablation with.
    hierarchy : HierarchyLike, optional
        Above the concepts, to show how labels go from general to specific.
    seed : int, default 0
        Of the random sets.
    out : str or Path, optional
        A folder for the graph and tables.
    overwrite : bool, default False
        Replace files that exist.
    progress : bool, default False
        Show bars on standard error.

    Returns
    -------
    CircuitStudy

    Raises
    ------
    UnknownNameError
        If there is no such layer, neuron, class or concept.
    OptionError
        If options contradict each other or are out of their range.
    InputError
        One of its kinds, where files, activations or concepts cannot be used.
    """
    lower = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not lower:
        raise OptionError("layers names no layer: give at least one below the target")
    for name, value in (("ablate", ablate), ("n_random", n_random), ("seed", seed)):
        if value < 0:
            raise OptionError(f"{name} must be a whole number of at least 0, not {value!r}")
    if hierarchy is not None and concepts is None:
        raise OptionError("a hierarchy is that of the concepts in labels: give concepts")
    need("a circuit", "circuits")
    need("a circuit", "torch")
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    files = _files(lower, versus, right_wrong, ablate, ablate_neurons, hierarchy)
    if out is not None:
        for name in files:  # before the work, not after it
            check_target(make_folder(out) / name, overwrite)
    shown = None if concepts is None else as_concepts(concepts)
    known = Labels.open(labels) if isinstance(labels, str | Path) else labels
    observed = _observed(model, data, images, table, weights, [*lower, target_layer], activations, shown, progress)
    targets = _Targets(
        observed, target_layer, open_class_names(classes) if isinstance(classes, str | Path) else classes
    )
    chosen = targets.neuron(target)
    other = None if versus is None else targets.neuron(versus)
    title = targets.titles.get(chosen, "")
    of_class = where is None and shown is not None and title in shown
    rows = observed.chosen(Formula.concept(title) if of_class else where, chosen)
    if known is None and observed.concepts is not None:
        known = label(observed.layers, observed.concepts, length=length, progress=progress)
    options: dict[str, Any] = {"where": rows, "against": against, "method": method, "n_steps": n_steps}
    shape: dict[str, Any] = {"labels": known, "titles": targets.titles, "share": share, "most": most}
    found = find_circuit(observed, target=chosen, layers=lower, **shape, **options)
    first = contributions(observed, target=chosen, layer=found.layers[1], **options)
    study = CircuitStudy(found, first, known)
    if other is not None:
        second = contributions(observed, target=other, layer=first.layer, **options)
        study.comparisons["versus"] = f"for {target} and not for {versus}", compare(first, second, known)
    if right_wrong:
        study.comparisons["right_wrong"] = _right_wrong(observed, chosen, rows, first, known)
    truth = targets.classes(observed.concepts, rows)
    for name, by_layer in _without(observed, chosen, found.layers[1:], ablate, ablate_neurons, options).items():
        study.ablations[name] = _ablate(
            observed, target=chosen, neurons=by_layer, where=rows, classes=truth, n_random=n_random, seed=seed
        )
    if above is not None and known is not None and shown is not None:
        study = replace(study, depths=by_depth(known, shown, above))
    if out is not None:
        study.save(out, overwrite=overwrite)
    return study


def _ablation_name(layer: str) -> str:
    return f"ablation_{layer.replace('/', '_')}"


def _files(
    layers: Sequence[str], versus: object, right_wrong: bool, ablate: int, ablate_neurons: object, hierarchy: object
) -> list[str]:
    """The files of a study with these options."""
    files = [f"circuit.{kind}" for kind in ("json", "dot", "graphml")] + ["contributions.csv"]
    files += ["versus.csv"] * (versus is not None) + ["right_wrong.csv"] * right_wrong
    files += ["depth.csv"] * (hierarchy is not None) + ["ablation.json"] * bool(ablate_neurons)
    return files + [f"{_ablation_name(layer)}.json" for layer in layers if ablate]


def _observed(
    model: torch.nn.Module | LoadedModel | str,
    data: Any,
    images: PathLike | None,
    table: PathLike | None,
    weights: PathLike | None,
    layers: Sequence[str],
    activations: ActivationsLike | None,
    concepts: Concepts | None,
    progress: bool,
) -> ObservedModel:
    """The model with its samples and layers."""
    loaded = load_model(model, weights) if isinstance(model, str) else model
    ids = None
    if isinstance(loaded, LoadedModel):
        if data is None:
            data, ids = read_samples(loaded, images, None, table)
        module = loaded.model
    elif data is None:
        raise OptionError("a module needs data; images and table go with a model given by name")
    else:
        module = loaded
    return ObservedModel.of(
        module, data, layers, activations=activations, sample_ids=ids, concepts=concepts, progress=progress
    )


class _Targets:
    """The neurons of the target's layer, and the names of their classes, where there are any."""

    def __init__(self, observed: ObservedModel, layer: str, names: Sequence[str] | None) -> None:
        self.layer, self.names, self.known = layer, names or [], observed.layers[layer].names
        if names is not None and len(names) != len(self.known):
            raise OptionError(f"classes has {len(names)} names for {len(self.known)} neurons of {layer!r}: one each")
        self.titles: dict[Target, str] = {
            (layer, neuron): name for neuron, name in zip(self.known, self.names, strict=False)
        }

    def neuron(self, name: Name) -> Target:
        """The neuron of a class, or of a name or number."""
        named = [target for target, title in self.titles.items() if title == name]
        if len(named) > 1:
            raise OptionError(f"{len(named)} classes are called {name!r}: give the number of one")
        if named:
            return named[0]
        own = as_name(name) if isinstance(name, str) else name
        if own in self.known:
            return self.layer, own
        raise no_such("neuron", name, [*self.names, *self.known] if self.names else self.known)

    def classes(self, shown: Concepts | None, rows: NDArray[np.int64]) -> list[Name] | None:
        """The neuron of each sample's class, where each of the samples chosen shows one class by name."""
        there = [] if shown is None else [(one, name) for (_, one), name in self.titles.items() if name in shown]
        if shown is None or not there:
            return None
        truth = np.stack([shown[name] for _, name in there], axis=1)
        if (truth[rows].sum(axis=1) != 1).any():
            return None
        return [there[k][0] for k in truth.argmax(axis=1).tolist()]


def _right_wrong(
    observed: ObservedModel, target: Target, rows: NDArray[np.int64], found: Contributions, labels: Labels | None
) -> tuple[str, pd.DataFrame]:
    """Samples on which the target is the highest of its layer against the others."""
    right = observed.highest(target[0])[rows] == target[1]
    if right.all() or not right.any():
        raise OptionError(f"the target is the highest on {right.sum()} of {len(rows)} samples: nothing to compare")
    head = f"on the {right.sum()} samples where it is the highest, and not on the {(~right).sum()} others"
    return head, compare(found.take(right), found.take(~right), labels)


def _without(
    observed: ObservedModel,
    target: Target,
    layers: Sequence[str],
    ablate: int,
    ablate_neurons: Mapping[str, Sequence[Name]] | None,
    options: dict[str, Any],
) -> dict[str, Mapping[str, Sequence[Name]]]:
    """The neurons of each ablation by layer: the largest contributors of each layer, and those that are named."""
    found: dict[str, Mapping[str, Sequence[Name]]] = {}
    for layer in layers if ablate else ():
        top = contributions(observed, target=target, layer=layer, **options).top(ablate)
        found[_ablation_name(layer)] = {layer: top}
    if ablate_neurons:
        found["ablation"] = ablate_neurons
    return found
