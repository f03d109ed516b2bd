"""A complete study of how a neuron is computed: from model, samples and target to circuit, tables and ablations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.extras import need
from neuronym._util.files import writing_together
from neuronym._util.folders import check_folder, replacing
from neuronym._util.messages import no_such, warn
from neuronym.analysis.circuits.ablation import Ablation
from neuronym.analysis.circuits.ablation import ablate as _ablate
from neuronym.analysis.circuits.contributing import N_STEPS, Contributions, Method, compare, contributions
from neuronym.analysis.circuits.files import GRAPHS, read_ablation, read_comparison, unwritable, write
from neuronym.analysis.circuits.graph import Circuit, by_depth, find_circuit, opened
from neuronym.analysis.circuits.observed import ObservedModel, Target, Where
from neuronym.data.activations import as_name
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.data.formula import Formula
from neuronym.data.labelled import named
from neuronym.errors import OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.tables import shown_table, write_csv
from neuronym.io.texts import open_class_names
from neuronym.labeling.labeling import label
from neuronym.labels.labels import Labels
from neuronym.network.models import LoadedModel, load_model
from neuronym.network.reading import read_samples
from neuronym.search.beam import Rules
from neuronym.types import ActivationsLike, ConceptsLike, HierarchyLike, JsonDict, LabelsLike, Name, PathLike

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["CircuitStudy", "SavedStudy", "as_saved_study", "circuit", "circuit_folder"]

_KIND = "circuit"
_COMPARISONS = ("versus", "right_wrong")
_SHOWN = 10  # rows of a printed table


@dataclass(frozen=True)
class CircuitStudy:
    """The results of ``circuit``.

    Parameters
    ----------
    circuit : Circuit
        The graph from the target down.
    contributions : Contributions
        The contributions of the layer just below the target.
    labels : Labels, optional
        The labels of the layers, if there are concepts.
    comparisons : dict of str to (str, DataFrame)
        Under ``"versus"`` and ``"right_wrong"``, what is compared and the table of ``compare``.
    ablations : dict of str to Ablation
        Under ``"ablation_LAYER"`` and ``"ablation"``, the ablations that were run.
    depths : DataFrame, optional
        The table of ``by_depth``, if a hierarchy was given.
    """

    circuit: Circuit
    contributions: Contributions
    labels: Labels | None = None
    comparisons: dict[str, tuple[str, pd.DataFrame]] = field(default_factory=dict)
    ablations: dict[str, Ablation] = field(default_factory=dict)
    depths: pd.DataFrame | None = None

    def __str__(self) -> str:
        table = self.contributions.table(self.labels).head(_SHOWN)
        parts = [str(self.circuit), f"{self.contributions.headline}\n{shown_table(table)}"]
        for heading, comparison in self.comparisons.values():
            long = len(comparison) > 2 * _SHOWN
            ends = comparison.iloc[[*range(_SHOWN), *range(-_SHOWN, 0)]] if long else comparison
            parts.append(f"contributions {heading}\n{shown_table(ends)}")
        parts += [str(ablation) for ablation in self.ablations.values()]
        return "\n\n".join([*parts, *([] if self.depths is None else [shown_table(self.depths)])])

    def save(self, folder: PathLike, *, overwrite: bool = False, spreadsheet: bool = False) -> None:
        """Save the graph as ``circuit.dot``, ``.graphml`` and ``.json``, and all tables, in an existing folder.

        The files are put into place together, when all are written.

        Parameters
        ----------
        folder : str or Path
            The folder to write to.
        overwrite : bool, default False
            Replace files that exist.
        spreadsheet : bool, default False
            Make the tables safe to open in a spreadsheet, as ``Labels.save`` does.

        Raises
        ------
        FileError
            If a file exists and ``overwrite`` is False, or one cannot be written.
        """
        graph = self.circuit.graph
        problems = {kind: unwritable(graph, kind) for kind in GRAPHS if kind != ".json"}
        for kind, problem in problems.items():
            if problem is not None:
                warn(f"circuit{kind} is left out: {problem}")
        kinds = [kind for kind in GRAPHS if problems.get(kind) is None]
        tables = {"contributions": self.contributions.table(self.labels)}
        tables |= {name: table for name, (_, table) in self.comparisons.items()}
        tables |= {} if self.depths is None else {"depth": self.depths}
        names = [f"circuit{kind}" for kind in kinds] + [f"{name}.csv" for name in tables]
        names += [f"{name}.json" for name in self.ablations]
        with writing_together([Path(folder) / name for name in names], overwrite) as temporaries:
            paths = dict(zip(names, temporaries, strict=True))
            for kind in kinds:
                path = paths[f"circuit{kind}"]
                write(graph, self.circuit.target, self.circuit.n_samples, path, kind, self._headings())
            for name, table in tables.items():
                write_csv(table, paths[f"{name}.csv"], spreadsheet)
            for name, ablation in self.ablations.items():
                text = json.dumps(ablation.to_dict(), ensure_ascii=False, indent=1)
                paths[f"{name}.json"].write_text(text, encoding="utf-8")

    def _headings(self) -> dict[str, str]:
        """Return what each comparison compares."""
        return {name: heading for name, (heading, _) in self.comparisons.items()}


@dataclass(frozen=True)
class SavedStudy:
    """What is shown of a study, whether it was just made or is read from its folder.

    Parameters
    ----------
    circuit : Circuit
        The graph from the target down.
    comparisons : dict of str to (str, DataFrame)
        As in ``CircuitStudy``; what is compared is empty where the folder does not say it.
    ablations : dict of str to dict
        What ``Ablation.to_dict`` returns, by the same names as in ``CircuitStudy``.
    """

    circuit: Circuit
    comparisons: dict[str, tuple[str, pd.DataFrame]] = field(default_factory=dict)
    ablations: dict[str, JsonDict] = field(default_factory=dict)


def as_saved_study(given: object) -> SavedStudy:
    """Make a study to be shown of a circuit, a study, the file of a circuit, or the folder of a study.

    Parameters
    ----------
    given : Circuit, CircuitStudy, str or Path
        The circuit. A file ``circuit.json`` stands for itself; a folder, for all that ``CircuitStudy.save`` wrote.

    Returns
    -------
    SavedStudy
        The circuit, with comparisons and ablations if there are any.

    Raises
    ------
    OptionError
        If it is something else.
    FileError
        If a file cannot be read, or does not hold what its name says.
    """
    if isinstance(given, Circuit):
        return SavedStudy(given)
    if isinstance(given, CircuitStudy):
        return SavedStudy(
            given.circuit, given.comparisons, {name: one.to_dict() for name, one in given.ablations.items()}
        )
    if not isinstance(given, str | Path):
        raise OptionError(f"circuits must be Circuit or CircuitStudy objects, or their files or folders, not {given!r}")
    if not Path(given).is_dir():
        return SavedStudy(opened(given)[0])
    folder = Path(given)
    found, headings = opened(folder / "circuit.json")
    comparisons = {
        name: (headings.get(name, ""), read_comparison(folder / f"{name}.csv"))
        for name in _COMPARISONS
        if name in headings or (folder / f"{name}.csv").exists()
    }
    names = dict.fromkeys([*map(_ablation_name, found.layers), *sorted(p.stem for p in folder.glob("ablation*.json"))])
    paths = {name: folder / f"{name}.json" for name in names}
    ablations = {name: read_ablation(path, found.target) for name, path in paths.items() if path.exists()}
    return SavedStudy(found, comparisons, ablations)


def circuit_folder(path: PathLike, overwrite: bool) -> AbstractContextManager[Path]:
    """Open the folder of a circuit for writing, as ``replacing`` does."""
    return replacing(path, _KIND, overwrite)


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
    axes: str | Mapping[str, str] | None = None,
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
    spreadsheet: bool = False,
    progress: bool = False,
) -> CircuitStudy:
    """Show how a neuron is computed from lower ones: a graph with formulas, contributions, comparisons and ablations.

    Parameters
    ----------
    model : torch.nn.Module, LoadedModel or str
        The model; a name is loaded by ``load_model``.
    data : tensor, array or Dataset, optional
        The samples, as for ``ObservedModel.of``; without it, give ``images`` or ``table`` and a model by name.
    target_layer : str
        The target's layer, such as the logits.
    target : int or str
        The target neuron, by its number or name, or by the name of its class.
    layers : sequence of str
        Lower layers, in any order.
    images, table, weights : str or Path, optional
        Samples and weights from files, as for ``collect``.
    activations : ActivationsLike, optional
        Stored activations of these layers, so that the model need not run over all samples.
    axes : str or mapping of str to str, optional
        What the axes of the layers' outputs mean, as for ``collect``.
    classes : str, Path or sequence of str, optional
        Names of the target layer's neurons: one for each, or a file with one per line.
    concepts : ConceptsLike, optional
        The concepts of the samples, with which the neurons are labelled.
    labels : LabelsLike, optional
        Labels of the layers, to be used instead of labelling the neurons here.
    where : formula, mask or array of int, optional
        The samples to average contributions over. By default, the samples of the target's class if there is a concept
        of that name, or else the 20 samples with the highest activation of the target.
    against : formula, mask or array of int, optional
        The samples whose mean activation is the baseline of linear contributions; all samples by default.
    versus : int or str, optional
        A second target, to compare with on the same samples.
    right_wrong : bool, default False
        Compare the samples on which the target is the highest neuron of its layer with the others.
    method : {"auto", "linear", "gradient", "conductance", "integrated"}, default "auto"
        How contributions are computed, as for ``contributions``.
    n_steps : int, default 20
        The number of integration steps, as for ``contributions``.
    share : float, default 0.5
        How much of a neuron's contributions the neurons kept below it should explain, as for ``find_circuit``.
    most : int, default 8
        The largest number of neurons to keep below each neuron.
    length : int, default 3
        The largest length of a formula.
    ablate : int, default 0
        Set this many of the largest contributors of each layer to their mean, and rerun the model.
    ablate_neurons : mapping of str to sequence of (int or str), optional
        Set these neurons, by layer, to their mean, and rerun the model.
    n_random : int, default 20
        How many random sets of as many neurons to compare each ablation with.
    hierarchy : HierarchyLike, optional
        A hierarchy of the concepts, to show how general or specific the labels of each layer are.
    seed : int, default 0
        The seed of the random sets.
    out : str or Path, optional
        A folder for the graph and tables. However the call ends, it is complete, or as it was.
    overwrite : bool, default False
        Whether to replace a folder of a circuit. A folder that holds anything else is never replaced.
    spreadsheet : bool, default False
        Make tables safe to open in a spreadsheet, as ``Labels.save`` does.
    progress : bool, default False
        Show progress bars on standard error.

    Returns
    -------
    CircuitStudy
        The circuit, with contributions, labels, comparisons and ablations.

    Raises
    ------
    UnknownNameError
        If there is no such layer, neuron, class or concept.
    OptionError
        If options contradict each other or are out of range.
    InputError
        One of its subclasses, if files, activations or concepts cannot be used.
    """
    lower = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not lower:
        raise OptionError("layers is empty: name at least one layer below the target")
    for name, value in (("ablate", ablate), ("n_random", n_random), ("seed", seed)):
        if value < 0:
            raise OptionError(f"{name} must be a whole number of at least 0, not {value!r}")
    if hierarchy is not None and concepts is None:
        raise OptionError("hierarchy places the concepts of the labels, and there are none: give concepts")
    need("a circuit", "circuits")
    need("a circuit", "torch")
    opened_hierarchy = None if hierarchy is None else as_hierarchy(hierarchy)
    if out is not None:
        check_folder(out, _KIND, overwrite)  # before the work, so that nothing is lost
    known_concepts = None if concepts is None else as_concepts(concepts)
    known_labels = Labels.open(labels) if isinstance(labels, str | Path) else labels
    observed = _observe(
        model, data, images, table, weights, [*lower, target_layer], activations, axes, known_concepts, progress
    )
    given = open_class_names(classes) if isinstance(classes, str | Path) else classes
    n_classes = observed.layers[target_layer].n_neurons
    names = named(given, n_classes, "classes", OptionError)
    targets = _TargetLayer(observed, target_layer, None if names is None else [str(name) for name in names])
    main_target = targets.find(target)
    second_target = None if versus is None else targets.find(versus)
    title = targets.titles.get(main_target, "")
    by_class = where is None and known_concepts is not None and title in known_concepts
    rows = observed.select(Formula.concept(title) if by_class else where, main_target)
    if known_labels is None and observed.concepts is not None:
        known_labels = label(observed.layers, observed.concepts, length=length, progress=progress)
    options: dict[str, Any] = {"where": rows, "against": against, "method": method, "n_steps": n_steps}
    pruning: dict[str, Any] = {"labels": known_labels, "titles": targets.titles, "share": share, "most": most}
    graph = find_circuit(observed, target=main_target, layers=lower, **pruning, **options)
    first = contributions(observed, target=main_target, layer=graph.layers[1], **options)
    study = CircuitStudy(graph, first, known_labels)
    if second_target is not None:
        second = contributions(observed, target=second_target, layer=first.layer, **options)
        study.comparisons["versus"] = f"to {target} (first) and {versus} (second)", compare(first, second, known_labels)
    if right_wrong:
        study.comparisons["right_wrong"] = _compare_right_wrong(observed, main_target, rows, first, known_labels)
    truth = targets.true_neurons(observed.concepts, rows)
    ablated = _neurons_to_ablate(observed, main_target, graph.layers[1:], ablate, ablate_neurons, options)
    for name, neurons in ablated.items():
        study.ablations[name] = _ablate(
            observed, target=main_target, neurons=neurons, where=rows, classes=truth, n_random=n_random, seed=seed
        )
    if opened_hierarchy is not None and known_labels is not None and known_concepts is not None:
        study = replace(study, depths=by_depth(known_labels, known_concepts, opened_hierarchy))
    if out is not None:
        with circuit_folder(out, overwrite) as folder:
            study.save(folder, spreadsheet=spreadsheet)
    return study


def _ablation_name(layer: str) -> str:
    return f"ablation_{layer.replace('/', '_')}"


def _observe(
    model: torch.nn.Module | LoadedModel | str,
    data: Any,
    images: PathLike | None,
    table: PathLike | None,
    weights: PathLike | None,
    layers: Sequence[str],
    activations: ActivationsLike | None,
    axes: str | Mapping[str, str] | None,
    concepts: Concepts | None,
    progress: bool,
) -> ObservedModel:
    """Load the model and its samples, and collect the activations that are missing."""
    loaded = load_model(model, weights) if isinstance(model, str) else model
    ids = None
    if isinstance(loaded, LoadedModel):
        if data is None:
            data, ids = read_samples(loaded, images, None, table)
        module = loaded.model
    elif data is None:
        raise OptionError("a module needs data; images and table need a model given by name")
    else:
        module = loaded
    return ObservedModel.of(
        module,
        data,
        layers,
        activations=activations,
        sample_ids=ids,
        concepts=concepts,
        axes=axes,
        progress=progress,
    )


class _TargetLayer:
    """The neurons of the target's layer, and the names of their classes, if they have any."""

    def __init__(self, observed: ObservedModel, layer: str, class_names: Sequence[str] | None) -> None:
        self.layer, self.class_names, self.neurons = layer, class_names or [], observed.layers[layer].names
        if class_names is not None and len(class_names) != len(self.neurons):
            raise OptionError(
                f"classes has {len(class_names)} names for {len(self.neurons)} neurons of {layer!r}: give one each"
            )
        self.titles: dict[Target, str] = {
            (layer, neuron): name for neuron, name in zip(self.neurons, self.class_names, strict=False)
        }

    def find(self, name: Name) -> Target:
        """Find a neuron by the name of its class, or by its own name or number."""
        matches = [target for target, title in self.titles.items() if title == name]
        if len(matches) > 1:
            raise OptionError(f"{len(matches)} classes are called {name!r}: give the neuron's number instead")
        if matches:
            return matches[0]
        neuron = as_name(name) if isinstance(name, str) else name
        if neuron in self.neurons:
            return self.layer, neuron
        raise no_such("neuron", name, [*self.class_names, *self.neurons] if self.class_names else self.neurons)

    def true_neurons(self, concepts: Concepts | None, rows: NDArray[np.int64]) -> list[Name] | None:
        """Return the neuron of each sample's class, or None if a selected sample does not have exactly one class."""
        if concepts is None:
            return None
        classes = [(neuron, name) for (_, neuron), name in self.titles.items() if name in concepts]
        if not classes:
            return None
        truth = np.stack([concepts[name] for _, name in classes], axis=1)
        if (truth[rows].sum(axis=1) != 1).any():
            return None
        return [classes[k][0] for k in truth.argmax(axis=1).tolist()]


def _compare_right_wrong(
    observed: ObservedModel, target: Target, rows: NDArray[np.int64], found: Contributions, labels: Labels | None
) -> tuple[str, pd.DataFrame]:
    """Compare the samples on which the target is the highest neuron of its layer with the others."""
    right = observed.top_neurons(target[0])[rows] == target[1]
    if right.all() or not right.any():
        raise OptionError(f"the target is the highest on {right.sum()} of {len(rows)} samples: nothing to compare")
    heading = f"on the {right.sum()} samples where it is the highest (first) and the {(~right).sum()} others (second)"
    return heading, compare(found.take(right), found.take(~right), labels)


def _neurons_to_ablate(
    observed: ObservedModel,
    target: Target,
    layers: Sequence[str],
    ablate: int,
    ablate_neurons: Mapping[str, Sequence[Name]] | None,
    options: dict[str, Any],
) -> dict[str, Mapping[str, Sequence[Name]]]:
    """Return the neurons of each ablation, by layer: the largest contributors of each layer, and the named neurons."""
    found: dict[str, Mapping[str, Sequence[Name]]] = {}
    for layer in layers if ablate else ():
        top = contributions(observed, target=target, layer=layer, **options).top(ablate)
        found[_ablation_name(layer)] = {layer: top}
    if ablate_neurons:
        found["ablation"] = ablate_neurons
    return found
