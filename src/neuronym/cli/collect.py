"""The command ``neuronym collect``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym._util.messages import counted, some
from neuronym._util.shards import as_shard, shard_of_environment
from neuronym.cli.memory import keep_memory
from neuronym.cli.options import AXES, MODEL, OVERWRITE, QUIET, WEIGHTS, axes_of, listed, mirrors, parsed
from neuronym.cli.printing import new_app, say
from neuronym.data.grids import grid_of
from neuronym.data.maps import Maps
from neuronym.errors import OptionError
from neuronym.io.zarr_store import is_made
from neuronym.network.collecting import collect
from neuronym.network.sharding import device_of_environment

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym collect --model efficientnet-lite0 --layers _avg_pooling,_fc --images photos/ --out acts.zarr
  neuronym collect --model mymodels:make --weights best.pt --layers layer4 --images photos/ --out acts.zarr
  neuronym collect --model efficientnet-lite0 --layers _fc --images photos/ --out acts.zarr --shard 3/8
  neuronym collect --model efficientnet-lite0 --layers _blocks.10 --images photos/ --maps auto --out maps.zarr
  neuronym collect --model hf:bert-base-uncased --layers encoder.layer.11 --texts texts.csv --tokens --out acts.zarr
"""


def _maps(text: str) -> bool | tuple[int, int]:
    """Parse which maps to keep: ``auto``, or their size."""
    rows, times, columns = text.lower().partition("x")
    if text != "auto" and not (times and rows.isdecimal() and columns.isdecimal()):
        raise OptionError(f"must be auto, or rows and columns such as 14x14, not {text!r}")
    return True if text == "auto" else (int(rows), int(columns))


_OPTIONS = {
    "images": Annotated[Path | None, typer.Option(help="A folder of images, including subfolders.")],
    "texts": Annotated[Path | None, typer.Option(help="A table sample,text: .csv or .parquet; or .conll, .conllu.")],
    "table": Annotated[Path | None, typer.Option(help="A table of numbers: .npy, .npz, .csv or .parquet.")],
    "weights": WEIGHTS,
    "pool": Annotated[
        Literal["mean", "max", "first", "last"],
        typer.Option(help="How to pool maps and sequences to one number per neuron."),
    ],
    "axes": AXES,
    "tokens": Annotated[bool, typer.Option("--tokens", help="Treat each token of a sequence as a sample.")],
    "maps": Annotated[
        Any,
        typer.Option(
            help="Keep whole maps, for neuronym dissect: auto, or the rows and columns of the last tokens, 14x14.",
            show_default="pooled",
            **parsed(_maps, "auto|ROWSxCOLUMNS"),
        ),
    ],
    "tokens_out": Annotated[
        Path | None, typer.Option(help="Save the tokens of the texts and their places: .csv or .parquet.")
    ],
    "max_length": Annotated[
        int | None, typer.Option(help="Cut texts to this many tokens; by default to what the model takes.")
    ],
    "skip_special_tokens": Annotated[
        bool, typer.Option("--skip-special-tokens", help="Leave out tokens that the tokenizer adds, such as [CLS].")
    ],
    "reinitialise": Annotated[
        int | None, typer.Option(help="Seed to draw all weights anew with: a baseline that was never trained.")
    ],
    "skip_unreadable": Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and list them.")
    ],
    "device": Annotated[str | None, typer.Option(help="Device to run on, such as cpu, cuda or mps.")],
    "precision": Annotated[
        Literal["float32", "bfloat16", "float16"],
        typer.Option(help="Precision of the forward pass; other than float32, it is mixed precision."),
    ],
    "batch_size": Annotated[
        int | None, typer.Option(help="Samples per batch; by default 8 on a CPU and 64 elsewhere.")
    ],
    "workers": Annotated[int, typer.Option(help="Number of processes that load images.")],
    "sparse": Annotated[
        float,
        typer.Option(help="Store layers without their zeros if a smaller share than this is not 0, such as 0.1."),
    ],
    "overwrite": OVERWRITE,
    "shard": Annotated[
        Any,
        typer.Option(
            help="Collect one of several shards of the samples, such as 3/8, into one store; torchrun sets it.",
            **parsed(as_shard, "NUMBER/OF"),
        ),
    ],
}


@app.command("collect", epilog=_EXAMPLES)
@mirrors(collect, _OPTIONS)
def collect_command(
    model: MODEL,
    layers: Annotated[
        Any,
        typer.Option(help="Module names, separated by commas; neuronym layers lists them.", **parsed(listed, "LAYERS")),
    ],
    out: Annotated[Path, typer.Option(help="Store to write, .zarr; if interrupted, rerun to resume.")],
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Run a model over images, texts or a table, and store each neuron's activation on every sample."""
    keep_memory()
    options["axes"] = axes_of(options["axes"], layers)
    if options["shard"] is None:
        options["shard"] = shard_of_environment()
    if options["shard"] is not None and options["device"] is None:
        options["device"] = device_of_environment()
    found = collect(model, layers=layers, out=out, progress=not quiet, **options)
    whole = options["shard"] is None or is_made(out)
    for layer, activations in found.items() if not quiet else ():
        of = out if whole else f"part {options['shard']} of {out}"
        grid = grid_of(activations.axes)
        n_neurons = activations.n_neurons if grid is None else Maps.of(activations).n_neurons
        size = "" if grid is None else f" of {grid[0]} × {grid[1]}"
        say(f"{of}/{layer}: {counted(activations.n_samples, 'sample')} × {n_neurons} neurons{size}")
    skipped = next(iter(found.values())).skipped if found else ()
    if skipped:
        warnings.warn(f"{counted(len(skipped), 'image')} could not be read: {some(skipped, 20)}", stacklevel=1)
