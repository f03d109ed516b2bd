"""The command ``neuronym circuit``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym._util.extras import need
from neuronym.analysis.circuits.study import circuit, circuit_folder
from neuronym.cli.memory import keep_memory
from neuronym.cli.options import (
    AXES,
    HIERARCHY,
    MODEL,
    OVERWRITE_FOLDER,
    QUIET,
    SEARCH,
    SPREADSHEET,
    WEIGHTS,
    WORDNET,
    axes_of,
    hierarchy_of,
    listed,
    mirrors,
    neurons_by_layer,
    parsed,
)
from neuronym.cli.printing import compiling, new_app, say
from neuronym.types import Name

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym circuit --model efficientnet-lite0 --images photos/ --target-layer _fc --target 207 --layers _avg_pooling
  neuronym circuit --model efficientnet-lite0 --images photos/ --target-layer _fc --target golden_retriever \\
    --classes classes.txt --layers _avg_pooling,_blocks.15 --concepts concepts.parquet --ablate 10 --out circuit
"""
_OPTIONS = {
    "target_layer": Annotated[str, typer.Option(help="The target's layer, such as the logits.")],
    "target": Annotated[str, typer.Option(help="The target neuron: its number or name, or the name of its class.")],
    "layers": Annotated[Any, typer.Option(help="Lower layers, separated by commas.", **parsed(listed, "LAYERS"))],
    "images": Annotated[Path | None, typer.Option(help="A folder of images, including subfolders.")],
    "table": Annotated[Path | None, typer.Option(help="A table of numbers: .npy, .npz, .csv or .parquet.")],
    "weights": WEIGHTS,
    "activations": Annotated[
        Path | None,
        typer.Option(help="Stored activations of these layers, so that the model need not run over all samples."),
    ],
    "axes": AXES,
    "classes": Annotated[Path | None, typer.Option(help="Names of the target layer's neurons, one per line.")],
    "concepts": Annotated[
        Path | None, typer.Option(help="Concepts of the samples, to label the neurons with: .csv or .parquet.")
    ],
    "labels": Annotated[Path | None, typer.Option(help="Labels of the layers, instead of labelling them here.")],
    "where": Annotated[
        str | None,
        typer.Option(
            help="Average over samples where this formula is true; by default those of the class, or the 20 highest."
        ),
    ],
    "against": Annotated[str | None, typer.Option(help="Baseline samples, as a formula; all by default.")],
    "versus": Annotated[str | None, typer.Option(help="Compare with this second target on the same samples.")],
    "right_wrong": Annotated[
        bool,
        typer.Option(
            "--right-wrong", help="Compare samples on which the target is the highest neuron with the others."
        ),
    ],
    "method": Annotated[
        Literal["auto", "linear", "gradient", "conductance", "integrated"],
        typer.Option(help="How contributions are computed; auto is linear where that is exact, otherwise gradient."),
    ],
    "n_steps": Annotated[int, typer.Option(help="Number of integration steps.")],
    "share": Annotated[
        float, typer.Option(help="Share of a neuron's contributions that the neurons kept below it should explain.")
    ],
    "most": Annotated[int, typer.Option(help="Largest number of neurons kept below a neuron.")],
    "length": SEARCH["length"],
    "ablate": Annotated[
        int,
        typer.Option(help="Set this many of the largest contributors of each layer to their mean and rerun the model."),
    ],
    "n_random": Annotated[int, typer.Option(help="Number of random sets of as many neurons to compare with.")],
    "hierarchy": HIERARCHY,
    "seed": Annotated[int, typer.Option(help="The seed of the random sets.")],
}
_EXTRA = {"wordnet": WORDNET}


@app.command("circuit", epilog=_EXAMPLES)
@mirrors(circuit, _OPTIONS, _EXTRA)
def circuit_command(
    model: MODEL,
    ablate_neurons: Annotated[
        list[Any] | None,
        typer.Option(
            help="Set these neurons to their mean, LAYER=1,2; can be repeated.",
            **parsed(neurons_by_layer, "LAYER=NEURONS"),
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the graph, its drawing and tables.")] = None,
    overwrite: OVERWRITE_FOLDER = False,
    spreadsheet: SPREADSHEET = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Show how a neuron is computed from lower ones: contributions, a graph with formulas, comparisons, ablations."""
    from neuronym.plots import plot_circuit

    need("a circuit", "circuits")
    if out is not None:
        need("the figure in --out", "circuits", ["matplotlib"])
    keep_memory()
    hierarchy_of(options)
    options["axes"] = axes_of(options["axes"], [*options["layers"], options["target_layer"]])
    ablated: dict[str, list[Name]] = {}
    for by_layer in ablate_neurons or []:
        for layer, neurons in by_layer.items():
            ablated.setdefault(layer, []).extend(neurons)
    with nullcontext() if out is None else circuit_folder(out, overwrite) as folder:
        with compiling():
            saved: Any = {"out": out, "overwrite": overwrite, "spreadsheet": spreadsheet}
            study = circuit(model, ablate_neurons=ablated, **saved, progress=not quiet, **options)
        if folder is not None:
            plot_circuit(study.circuit, folder / "circuit.png")
    if not quiet:
        say(study, "" if out is None else f"\ngraph and tables saved in {out}")
