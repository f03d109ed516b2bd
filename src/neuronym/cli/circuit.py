"""The command ``neuronym circuit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym._util.extras import need
from neuronym._util.files import check_target, make_folder
from neuronym.analysis.circuits.study import circuit
from neuronym.cli.memory import keep_memory
from neuronym.cli.options import (
    HIERARCHY,
    MODEL,
    OVERWRITE,
    QUIET,
    SEARCH,
    WEIGHTS,
    WORDNET,
    hierarchy_of,
    listed,
    mirrors,
    neurons_by_layer,
    parsed,
)
from neuronym.cli.printing import compiling, new_app

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym circuit --model efficientnet-lite0 --images photos/ --target-layer _fc --target 207 --layers _avg_pooling
  neuronym circuit --model efficientnet-lite0 --images photos/ --target-layer _fc --target golden_retriever \\
    --classes classes.txt --layers _avg_pooling,_blocks.15 --concepts concepts.parquet --ablate 10 --out circuit
"""
_OPTIONS = {
    "target_layer": Annotated[str, typer.Option(help="The layer of the target, such as the logits.")],
    "target": Annotated[str, typer.Option(help="The neuron: its number or name, or that of its class.")],
    "layers": Annotated[Any, typer.Option(help="Lower layers, separated by commas.", **parsed(listed, "LAYERS"))],
    "images": Annotated[Path | None, typer.Option(help="A folder of images, with its subfolders.")],
    "table": Annotated[Path | None, typer.Option(help="A table of numbers: .npy, .npz, .csv or .parquet.")],
    "weights": WEIGHTS,
    "activations": Annotated[
        Path | None, typer.Option(help="A store of these layers, so that the model need not run over all samples.")
    ],
    "classes": Annotated[Path | None, typer.Option(help="Names of the target layer's neurons, one a line.")],
    "concepts": Annotated[Path | None, typer.Option(help="What samples show, .csv or .parquet: names the neurons.")],
    "labels": Annotated[Path | None, typer.Option(help="Labels of the layers, instead of labelling here.")],
    "where": Annotated[
        str | None,
        typer.Option(help="Samples: a formula of concepts; by default those of the class, or the 20 highest."),
    ],
    "against": Annotated[str | None, typer.Option(help="Samples of the baseline, a formula; all by default.")],
    "versus": Annotated[str | None, typer.Option(help="Compare with this target on the same samples.")],
    "right_wrong": Annotated[
        bool, typer.Option("--right-wrong", help="Compare samples on which the target is the highest with the others.")
    ],
    "method": Annotated[
        Literal["auto", "linear", "gradient", "conductance", "integrated"],
        typer.Option(help="How neurons contribute; auto is linear where that is exact, else gradient."),
    ],
    "n_steps": Annotated[int, typer.Option(help="Steps of integration.")],
    "share": Annotated[float, typer.Option(help="The share of a neuron's contributions that those kept explain.")],
    "most": Annotated[int, typer.Option(help="The most neurons kept below a neuron.")],
    "length": SEARCH["length"],
    "ablate": Annotated[
        int, typer.Option(help="Set this many of the largest contributors of each layer to their mean.")
    ],
    "n_random": Annotated[int, typer.Option(help="Random sets of as many neurons to compare with.")],
    "hierarchy": HIERARCHY,
    "seed": Annotated[int, typer.Option(help="The seed of the random sets.")],
}
_OWN = {"wordnet": WORDNET}


@app.command("circuit", epilog=_EXAMPLES)
@mirrors(circuit, _OPTIONS, _OWN)
def circuit_command(
    model: MODEL,
    ablate_neurons: Annotated[
        list[Any] | None,
        typer.Option(
            help="Set these to their mean, LAYER=1,2; may be given again.", **parsed(neurons_by_layer, "LAYER=NEURONS")
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the graph, its drawing and tables.")] = None,
    overwrite: OVERWRITE = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Show how a neuron is built from lower ones: contributions, a graph with formulas, comparisons, ablation."""
    from neuronym.plots import plot_circuit

    need("a circuit", "circuits")
    if out is not None:
        need("the figure in --out", "circuits", ["matplotlib"])
        check_target(make_folder(out) / "circuit.png", overwrite)
    keep_memory()
    hierarchy_of(options)
    gone: dict[str, list[Any]] = {}
    for one in ablate_neurons or []:
        for layer, neurons in one.items():
            gone.setdefault(layer, []).extend(neurons)
    with compiling():
        study = circuit(model, ablate_neurons=gone, out=out, overwrite=overwrite, progress=not quiet, **options)
    if out is not None:
        plot_circuit(study.circuit, out / "circuit.png", overwrite=overwrite)
    if not quiet:
        print(study, "" if out is None else f"\ngraph and tables are in {out}", sep="\n")
