"""The command ``neuronym collect``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym._util.messages import counted, some
from neuronym.cli.memory import keep_memory
from neuronym.cli.options import MODEL, OVERWRITE, QUIET, WEIGHTS, listed, mirrors, parsed
from neuronym.cli.printing import new_app
from neuronym.network.collecting import collect

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym collect --model efficientnet-lite0 --layers _avg_pooling,_fc --images photos/ --out acts.zarr
  neuronym collect --model mymodels:make --weights best.pt --layers layer4 --images photos/ --out acts.zarr
  neuronym collect --model hf:bert-base-uncased --layers encoder.layer.11 --texts texts.csv --tokens --out acts.zarr
"""
_OPTIONS = {
    "images": Annotated[Path | None, typer.Option(help="A folder of images, with its subfolders.")],
    "texts": Annotated[Path | None, typer.Option(help="A table sample,text: .csv or .parquet.")],
    "table": Annotated[Path | None, typer.Option(help="A table of numbers: .npy, .npz, .csv or .parquet.")],
    "weights": WEIGHTS,
    "pool": Annotated[
        Literal["mean", "max", "first", "last"], typer.Option(help="How maps and sequences become one number.")
    ],
    "tokens": Annotated[bool, typer.Option("--tokens", help="Each token of a sequence is a sample.")],
    "tokens_out": Annotated[
        Path | None, typer.Option(help="Save the tokens of texts, sample,parent,text: .csv or .parquet.")
    ],
    "skip_unreadable": Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and name them.")
    ],
    "device": Annotated[str | None, typer.Option(help="Where to run: cpu, cuda, mps.")],
    "precision": Annotated[
        Literal["float32", "bfloat16", "float16"], typer.Option(help="Anything but float32 is mixed precision.")
    ],
    "batch_size": Annotated[int | None, typer.Option(help="Samples in a batch; 8 on a CPU, 64 elsewhere.")],
    "workers": Annotated[int, typer.Option(help="Processes that load images.")],
    "overwrite": OVERWRITE,
}


@app.command("collect", epilog=_EXAMPLES)
@mirrors(collect, _OPTIONS)
def collect_command(
    model: MODEL,
    layers: Annotated[
        Any,
        typer.Option(
            help="Names of modules, separated by commas; neuronym layers lists them.", **parsed(listed, "LAYERS")
        ),
    ],
    out: Annotated[Path, typer.Option(help="The store to write, .zarr; if interrupted, rerun to resume.")],
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Run a model over images, texts or a table, and store each neuron's activation on every sample."""
    keep_memory()
    found = collect(model, layers=layers, out=out, progress=not quiet, **options)
    for layer, activations in found.items() if not quiet else ():
        print(f"{out}/{layer}: {counted(activations.n_samples, 'sample')} × {activations.n_neurons} neurons")
    skipped = next(iter(found.values())).skipped
    if skipped:
        warnings.warn(f"{counted(len(skipped), 'image')} could not be read: {some(skipped, 20)}", stacklevel=1)
