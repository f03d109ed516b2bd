"""The command ``neuronym circuit``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neuronym._cli_collect import samples_of
from neuronym._cli_models import MODEL, WEIGHTS, class_names, keep_memory, listed, need_torch, told
from neuronym._files import check_target, writing
from neuronym.activations import as_name
from neuronym.errors import FileError, OptionError, no_such
from neuronym.formula import Formula

if TYPE_CHECKING:
    import pandas as pd

    from neuronym.concepts import Concepts
    from neuronym.contributions import Contributions
    from neuronym.labels import Labels
    from neuronym.observed import Observed, Target

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
    most: Annotated[int, typer.Option(help="Neurons kept below a neuron at most.")] = 6,
    length: Annotated[int, typer.Option(help="The greatest length of formulas found here.")] = 3,
    ablate: Annotated[
        int, typer.Option(help="Set so many of the largest contributors of each layer to their mean.")
    ] = 0,
    n_random: Annotated[int, typer.Option(help="Random sets of as many neurons to compare with.")] = 20,
    wordnet: Annotated[bool, typer.Option("--wordnet", help="Tell how labels go from general to specific.")] = False,
    seed: Annotated[int, typer.Option(help="The seed of the random sets.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A folder for the graph, its drawing and tables.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no tables.")] = False,
) -> None:
    """Show how a neuron is built from lower ones: contributions, a graph with formulas, comparisons, ablation."""
    from neuronym.circuits import circuit, contributions, plot_circuit, save_circuit
    from neuronym.labeling import label
    from neuronym.labels import Labels
    from neuronym.store import open_concepts

    if wordnet and concepts is None:
        raise OptionError("--wordnet tells of the concepts in labels: give --concepts")
    lower = listed(layers)
    if not lower:
        raise OptionError("--layers names no layer: give at least one below the target")
    shown = None if concepts is None else open_concepts(concepts)
    target_of = _Names(target_layer, class_names(classes))
    folder = _Folder(out, overwrite)
    observed = _observed(model, weights, images, table, [*lower, target_layer], activations, shown, not quiet)
    chosen = target_of.neuron(target, observed)
    known = None if shown is None else label(observed.layers, shown, length=length, progress=not quiet)
    if labels is not None:
        known = Labels.open(labels)
    name = target_of.title(chosen)
    of_class = where is None and shown is not None and name in shown
    rows = observed.chosen(Formula.concept(name) if of_class else where, chosen)
    options: dict[str, Any] = {"where": rows, "against": against, "method": method, "n_steps": n_steps}
    found = told(
        circuit,
        observed,
        target=chosen,
        layers=lower,
        labels=known,
        titles=target_of.titles,
        share=share,
        most=most,
        **options,
    )
    first = contributions(observed, target=chosen, layer=found.layers[1], **options)
    results: list[object] = [found, _text(first, known)]
    folder.table("contributions.csv", first.table(known))
    for kind in ("dot", "graphml", "json"):
        folder.file(f"circuit.{kind}", lambda path: save_circuit(found, path, overwrite=overwrite))
    folder.file("circuit.png", lambda path: plot_circuit(found, path, overwrite=overwrite))
    if versus is not None:
        second = contributions(observed, target=target_of.neuron(versus, observed), layer=first.layer, **options)
        results.append(_compared(first, second, known, folder, f"for {target} and not for {versus}", "versus.csv"))
    if right_wrong:
        right = observed.highest(target_layer)[rows] == chosen[1]
        if right.all() or not right.any():
            raise OptionError(f"the target is the highest on {right.sum()} of {len(rows)} samples: nothing to compare")
        head = f"on the {right.sum()} samples where it is the highest, and not on the {(~right).sum()} others"
        results.append(_compared(first.take(right), first.take(~right), known, folder, head, "right_wrong.csv"))
    if ablate:
        results += _ablated(observed, chosen, found.layers[1:], options, ablate, n_random, seed, folder)
    if wordnet and known is not None and shown is not None:
        results.append(_depths(known, shown, folder))
    if not quiet:
        print(*results, sep="\n\n")
        print("" if out is None else f"\ngraph and tables are in {out}")


def _observed(
    model: str,
    weights: Path | None,
    images: Path | None,
    table: Path | None,
    layers: list[str],
    activations: Path | None,
    shown: Concepts | None,
    progress: bool,
) -> Observed:
    need_torch()
    keep_memory()
    from neuronym.models import load_model
    from neuronym.observed import Observed

    if (images is None) is (table is None):
        raise OptionError("give one of --images and --table")
    loaded = load_model(model, weights)
    data, _ = samples_of(loaded, images, None, table, False, None)
    made: Observed = told(
        Observed.of, loaded.model, data, layers, activations=activations, concepts=shown, progress=progress
    )
    return made


class _Names:
    """The names of the target layer's neurons, where there are any."""

    def __init__(self, layer: str, names: list[str] | None) -> None:
        self.layer, self.names = layer, names or []
        self.titles: dict[Target, str] = {(layer, j): name for j, name in enumerate(self.names)}

    def neuron(self, text: str, observed: Observed) -> Target:
        """The neuron of a name or number."""
        if text in self.names:
            return self.layer, self.names.index(text)
        known = observed.layers[self.layer].names
        name = as_name(text)
        if name in known:
            return self.layer, name
        raise no_such("neuron", text, [*self.names, *known] if self.names else known)

    def title(self, target: Target) -> str:
        return self.titles.get(target, "")


def _text(first: Contributions, labels: Labels | None) -> str:
    table = first.table(labels).head(_SHOWN).to_string(index=False, float_format=lambda value: f"{value:.4g}")
    return f"{first.head}\n{table}"


def _compared(
    first: Contributions, second: Contributions, labels: Labels | None, folder: _Folder, head: str, file: str
) -> str:
    """The ends of a comparison, as text."""
    from neuronym.circuits import compare

    table = compare(first, second, labels)
    folder.table(file, table)
    ends = table if len(table) <= 2 * _SHOWN else table.iloc[[*range(_SHOWN), *range(-_SHOWN, 0)]]
    return f"what speaks {head}\n{ends.to_string(index=False, float_format=lambda value: f'{value:.4g}')}"


def _ablated(
    observed: Observed,
    target: Target,
    layers: Sequence[str],
    options: dict[str, Any],
    n_neurons: int,
    n_random: int,
    seed: int,
    folder: _Folder,
) -> list[object]:
    """Each layer without its largest contributors."""
    from neuronym.circuits import ablate, contributions

    found: list[object] = []
    for layer in layers:
        top = contributions(observed, target=target, layer=layer, **options).top(n_neurons)
        gone = ablate(
            observed, target=target, neurons={layer: top}, where=options["where"], n_random=n_random, seed=seed
        )
        found.append(gone)
        folder.json(f"ablation_{layer}.json", gone.to_dict())
    return found


def _depths(labels: Labels, shown: Concepts, folder: _Folder) -> str:
    from neuronym.circuits import by_depth
    from neuronym.hierarchy import Hierarchy

    table = by_depth(labels, shown, Hierarchy.imagenet())
    folder.table("depth.csv", table)
    text: str = table.to_string(index=False, float_format=lambda value: f"{value:.3f}")
    return text


class _Folder:
    """A folder to write to; without one nothing is written."""

    def __init__(self, path: Path | None, overwrite: bool) -> None:
        self.path, self.overwrite = path, overwrite
        if path is None:
            return
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot write to the folder {str(path)!r}: {error.strerror}") from error
        check_target(path / "circuit.json", overwrite)  # before the work, not after it

    def file(self, name: str, write: Any) -> None:
        if self.path is not None:
            write(self.path / name)

    def table(self, name: str, table: pd.DataFrame) -> None:
        if self.path is not None:
            with writing(self.path / name, self.overwrite) as temporary:
                table.to_csv(temporary, index=False)

    def json(self, name: str, data: object) -> None:
        if self.path is not None:
            with writing(self.path / name, self.overwrite) as temporary:
                temporary.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
