"""The command ``neuronym circuit``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from neuronym._util.files import check_target, writing
from neuronym._util.messages import no_such
from neuronym.cli.collect import samples_of
from neuronym.cli.shared import MODEL, WEIGHTS, class_names, keep_memory, listed, need_torch, told
from neuronym.data.activations import as_name
from neuronym.data.formula import Formula
from neuronym.data.hierarchy import Hierarchy
from neuronym.errors import FileError, OptionError
from neuronym.io.tables import shown_table
from neuronym.types import Name

if TYPE_CHECKING:
    import pandas as pd

    from neuronym.analysis.circuits.contributing import Contributions
    from neuronym.analysis.circuits.observed import ObservedModel, Target
    from neuronym.data.concepts import Concepts
    from neuronym.labels.labels import Labels

__all__ = ["CIRCUIT_EXAMPLES", "circuit_command"]

CIRCUIT_EXAMPLES = """\b
Examples:
  neuronym circuit --model efficientnet-lite0 --images photos/ --target-layer _fc --target 207 --layers _avg_pooling
  neuronym circuit --model efficientnet-lite0 --images photos/ --target-layer _fc --target golden_retriever \\
    --classes classes.txt --layers _avg_pooling,_blocks.15 --concepts concepts.parquet --ablate 10 --out circuit
"""
_SHOWN = 10  # rows of a printed table


def circuit_command(
    model: MODEL,
    target_layer: Annotated[str, typer.Option(help="The layer of the target, such as the logits.")],
    target: Annotated[str, typer.Option(help="The neuron: its number or name, or that of its class.")],
    layers: Annotated[str, typer.Option(help="Lower layers, separated by commas.")],
    images: Annotated[Path | None, typer.Option(help="A folder of images, with its subfolders.")] = None,
    table: Annotated[Path | None, typer.Option(help="A table of numbers: .npy, .npz, .csv or .parquet.")] = None,
    weights: WEIGHTS = None,
    activations: Annotated[
        Path | None, typer.Option(help="A store of these layers, so that the model need not run over all samples.")
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="Names of the target layer's neurons, one a line.")] = None,
    concepts: Annotated[
        Path | None, typer.Option(help="What samples show, .csv or .parquet: names the neurons.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Labels of the layers, in place of labelling here.")] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Samples: a formula of concepts; by default those of the class, or the 20 highest."),
    ] = None,
    against: Annotated[str | None, typer.Option(help="Samples of the baseline, a formula; all by default.")] = None,
    versus: Annotated[str | None, typer.Option(help="Compare with this target on the same samples.")] = None,
    right_wrong: Annotated[
        bool, typer.Option("--right-wrong", help="Compare samples on which the target is the highest with the others.")
    ] = False,
    method: Annotated[
        Literal["auto", "linear", "gradient", "conductance", "integrated"],
        typer.Option(help="How neurons contribute; auto is linear where that is exact, else gradient."),
    ] = "auto",
    n_steps: Annotated[int, typer.Option(help="Steps of integration.")] = 20,
    share: Annotated[float, typer.Option(help="Of what is added to a neuron, how much those kept explain.")] = 0.5,
    most: Annotated[int, typer.Option(help="Neurons kept below a neuron at most.")] = 8,
    length: Annotated[int, typer.Option(help="The greatest length of formulas found here.")] = 3,
    ablate: Annotated[
        int, typer.Option(help="Set so many of the largest contributors of each layer to their mean.")
    ] = 0,
    ablate_neurons: Annotated[
        list[str] | None, typer.Option(help="Set these to their mean, LAYER=1,2; may be given again.")
    ] = None,
    n_random: Annotated[int, typer.Option(help="Random sets of as many neurons to compare with.")] = 20,
    wordnet: Annotated[bool, typer.Option("--wordnet", help="Tell how labels go from general to specific.")] = False,
    hierarchy: Annotated[Path | None, typer.Option(help="Tell it by a table child,parent.")] = None,
    seed: Annotated[int, typer.Option(help="The seed of the random sets.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A folder for the graph, its drawing and tables.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no tables.")] = False,
) -> None:
    """Show how a neuron is built from lower ones: contributions, a graph with formulas, comparisons, ablation."""
    from neuronym.analysis.circuits.graph import circuit, contributions, save_circuit
    from neuronym.io.files import open_concepts
    from neuronym.labeling.labeling import label
    from neuronym.labels.labels import Labels
    from neuronym.plots import plot_circuit

    lower = list(dict.fromkeys(listed(layers)))
    above = _hierarchy(wordnet, hierarchy, concepts)
    if not lower:
        raise OptionError("--layers names no layer: give at least one below the target")
    if ablate < 0 or n_random < 0 or seed < 0:
        raise OptionError("--ablate, --n-random and --seed must be whole numbers of at least 0")
    gone = _by_layer(ablate_neurons or [])
    extra = {"versus.csv": versus is not None, "right_wrong.csv": right_wrong, "depth.csv": above is not None}
    extra |= {_ablation_file(layer): bool(ablate) for layer in lower} | {"ablation.json": bool(gone)}
    folder = _Folder(out, overwrite, [name for name, asked in extra.items() if asked])
    shown = None if concepts is None else open_concepts(concepts)
    known = None if labels is None else Labels.open(labels)
    observed = _observed(model, weights, images, table, [*lower, target_layer], activations, shown, not quiet)
    targets = _Names(observed, target_layer, class_names(classes))
    chosen = targets.neuron(target)
    other = None if versus is None else targets.neuron(versus)
    name = targets.titles.get(chosen, "")
    of_class = where is None and shown is not None and name in shown
    rows = observed.chosen(Formula.concept(name) if of_class else where, chosen)
    if known is None and observed.concepts is not None:
        known = label(observed.layers, observed.concepts, length=length, progress=not quiet)
    options: dict[str, Any] = {"where": rows, "against": against, "method": method, "n_steps": n_steps}
    shape = {"labels": known, "titles": targets.titles, "share": share, "most": most}
    found = told(circuit, observed, target=chosen, layers=lower, **shape, **options)
    first = contributions(observed, target=chosen, layer=found.layers[1], **options)
    results: list[object] = [found, f"{first.head}\n{shown_table(first.table(known).head(_SHOWN))}"]
    folder.table("contributions.csv", first.table(known))
    for kind in ("dot", "graphml", "json"):
        folder.add(f"circuit.{kind}", lambda path: save_circuit(found, path, overwrite=overwrite))
    folder.add("circuit.png", lambda path: plot_circuit(found, path, overwrite=overwrite))
    if other is not None:
        second = contributions(observed, target=other, layer=first.layer, **options)
        results.append(_compared(first, second, known, folder, f"for {target} and not for {versus}", "versus.csv"))
    if right_wrong:
        right = observed.highest(target_layer)[rows] == chosen[1]
        if right.all() or not right.any():
            raise OptionError(f"the target is the highest on {right.sum()} of {len(rows)} samples: nothing to compare")
        head = f"on the {right.sum()} samples where it is the highest, and not on the {(~right).sum()} others"
        results.append(_compared(first.take(right), first.take(~right), known, folder, head, "right_wrong.csv"))
    without: dict[str, Any] = {_ablation_file(layer): {layer: ablate} for layer in found.layers[1:] if ablate}
    if gone:
        without["ablation.json"] = gone
    truth = targets.classes(observed.concepts, rows)
    results += _ablated(observed, chosen, without, options, truth, n_random, seed, folder)
    if above is not None and known is not None and shown is not None:
        results.append(_depths(known, shown, above, folder))
    folder.write()
    if not quiet:
        print(*results, sep="\n\n")
        print("" if out is None else f"\ngraph and tables are in {out}")


def _hierarchy(wordnet: bool, path: Path | None, concepts: Path | None) -> Hierarchy | None:
    if wordnet and path is not None:
        raise OptionError("give one of --wordnet and --hierarchy")
    if not wordnet and path is None:
        return None
    if concepts is None:
        raise OptionError("--wordnet and --hierarchy tell of the concepts in labels: give --concepts")
    return Hierarchy.imagenet() if path is None else Hierarchy.from_csv(path)


def _by_layer(listed_: list[str]) -> dict[str, list[Name]]:
    """Neurons to ablate, from ``LAYER=1,2``."""
    found: dict[str, list[Name]] = {}
    for text in listed_:
        layer, equals, neurons = text.partition("=")
        if not equals or not listed(neurons):
            raise OptionError(f"--ablate-neurons must be LAYER=1,2, not {text!r}")
        found.setdefault(layer, []).extend(as_name(name) for name in listed(neurons))
    return found


def _ablation_file(layer: str) -> str:
    return f"ablation_{layer.replace('/', '_')}.json"


def _observed(
    model: str,
    weights: Path | None,
    images: Path | None,
    table: Path | None,
    layers: list[str],
    activations: Path | None,
    shown: Concepts | None,
    progress: bool,
) -> ObservedModel:
    need_torch()
    keep_memory()
    from neuronym.analysis.circuits.observed import ObservedModel
    from neuronym.network.models import load_model

    if (images is None) is (table is None):
        raise OptionError("give one of --images and --table")
    loaded = load_model(model, weights)
    data, ids = samples_of(loaded, images, None, table, False, None)
    options = {"activations": activations, "sample_ids": ids, "concepts": shown, "progress": progress}
    made: ObservedModel = told(ObservedModel.of, loaded.model, data, layers, **options)
    return made


class _Names:
    """The names of the target layer's neurons, where there are any."""

    def __init__(self, observed: ObservedModel, layer: str, names: list[str] | None) -> None:
        self.layer, self.names, self.known = layer, names or [], observed.layers[layer].names
        if names is not None and len(names) != len(self.known):
            raise OptionError(f"--classes has {len(names)} names for {len(self.known)} neurons of {layer!r}: one each")
        self.titles: dict[Target, str] = {
            (layer, neuron): name for neuron, name in zip(self.known, self.names, strict=False)
        }

    def neuron(self, text: str) -> Target:
        """The neuron of a name or number."""
        named = [target for target, name in self.titles.items() if name == text]
        if len(named) > 1:
            raise OptionError(f"{len(named)} classes are called {text!r}: give the number of one")
        if named:
            return named[0]
        name = as_name(text)
        if name in self.known:
            return self.layer, name
        raise no_such("neuron", text, [*self.names, *self.known] if self.names else self.known)

    def classes(self, shown: Concepts | None, rows: NDArray[np.int64]) -> list[Name] | None:
        """The neuron of each sample's class, where every sample chosen shows one class by name."""
        there = [] if shown is None else [(one, name) for (_, one), name in self.titles.items() if name in shown]
        if shown is None or not there:
            return None
        truth = np.stack([shown[name] for _, name in there], axis=1)
        if (truth[rows].sum(axis=1) != 1).any():
            return None
        return [there[k][0] for k in truth.argmax(axis=1).tolist()]


def _compared(
    first: Contributions, second: Contributions, labels: Labels | None, folder: _Folder, head: str, file: str
) -> str:
    """The ends of a comparison, as text."""
    from neuronym.analysis.circuits.graph import compare

    table = compare(first, second, labels)
    folder.table(file, table)
    ends = table if len(table) <= 2 * _SHOWN else table.iloc[[*range(_SHOWN), *range(-_SHOWN, 0)]]
    return f"what speaks {head}\n{shown_table(ends)}"


def _ablated(
    observed: ObservedModel,
    target: Target,
    without: dict[str, Any],
    options: dict[str, Any],
    classes: list[Name] | None,
    n_random: int,
    seed: int,
    folder: _Folder,
) -> list[object]:
    """The target without neurons that are named, or without so many of the largest contributors of a layer."""
    from neuronym.analysis.circuits.graph import ablate, contributions

    found: list[object] = []
    for file, by_layer in without.items():
        neurons = dict(by_layer)
        for layer, one in by_layer.items():
            if isinstance(one, int):
                neurons[layer] = contributions(observed, target=target, layer=layer, **options).top(one)
        gone = ablate(observed, target=target, neurons=neurons, where=options["where"], classes=classes,
                      n_random=n_random, seed=seed)  # fmt: skip
        found.append(gone)
        folder.json(file, gone.to_dict())
    return found


def _depths(labels: Labels, shown: Concepts, above: Hierarchy, folder: _Folder) -> str:
    from neuronym.analysis.circuits.graph import by_depth

    table = by_depth(labels, shown, above)
    folder.table("depth.csv", table)
    return shown_table(table)


class _Folder:
    """A folder to write to, all at the end; without one nothing is written."""

    def __init__(self, path: Path | None, overwrite: bool, names: list[str]) -> None:
        self.path, self.overwrite = path, overwrite
        self.writers: dict[str, Callable[[Path], None]] = {}
        if path is None:
            return
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot write to the folder {str(path)!r}: {error.strerror}") from error
        kinds = [f"circuit.{kind}" for kind in ("json", "dot", "graphml", "png")]
        for name in (*kinds, "contributions.csv", *names):  # before the work, not after it
            check_target(path / name, overwrite)

    def add(self, name: str, write: Callable[[Path], None]) -> None:
        self.writers[name] = write

    def table(self, name: str, table: pd.DataFrame) -> None:
        def write(path: Path) -> None:
            with writing(path, self.overwrite) as temporary:
                table.to_csv(temporary, index=False)

        self.add(name, write)

    def json(self, name: str, data: object) -> None:
        def write(path: Path) -> None:
            with writing(path, self.overwrite) as temporary:
                temporary.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")

        self.add(name, write)

    def write(self) -> None:
        for name, write in self.writers.items() if self.path is not None else ():
            write(Path(self.path or "") / name)
