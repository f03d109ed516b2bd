"""The command ``neuronym label``."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import typer

from neuronym._util.shards import as_shard
from neuronym.cli.options import (
    ACTIVATIONS,
    ALIGN,
    BY_POSITION,
    CLUSTERS,
    CONCEPTS,
    JSON,
    N_JOBS,
    NEURONS,
    OUT,
    OVERWRITE,
    QUANTILE,
    QUIET,
    SCHEDULER,
    SEARCH,
    SPREADSHEET,
    THRESHOLD,
    align_of,
    listed,
    mirrors,
    parsed,
    workers_of,
)
from neuronym.cli.printing import compiling, new_app, noting_interruption, print_labels
from neuronym.errors import OptionError
from neuronym.labeling.labeling import label
from neuronym.labels.files import check_out

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym label activations.npy concepts.csv --out labels.csv
  neuronym label acts.zarr concepts.parquet --layers conv1,conv2 --length 2 --neurons 0,5,10-20
  neuronym label activations.npy concepts.csv --json --quiet > labels.json
  neuronym label activations.npy concepts.csv --permutations auto --holdout 0.5 --out labels.csv
  neuronym label acts.zarr concepts.csv --shard 3/8 --out parts/3.json
  neuronym label activations.npy concepts.csv --score iou --quantile 0.995 --out labels.csv
"""


def _permutations(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise OptionError(f"must be a whole number or auto, not {text!r}")
    return int(text)


_OPTIONS = {
    "layers": Annotated[
        Any, typer.Option(help="Layers to label, separated by commas; all by default.", **parsed(listed, "LAYERS"))
    ],
    "neurons": NEURONS,
    **SEARCH,
    "direction": Annotated[
        Literal["high", "low", "both"],
        typer.Option(help="Whether neurons are high or low where their formula is true."),
    ],
    "negation": Annotated[bool, typer.Option("--negation/--no-negation", help="Whether formulas may contain NOT.")],
    "operators": Annotated[
        Any,
        typer.Option(
            help="Operators that formulas may contain: and, or.",
            show_default="and,or",
            **parsed(lambda text: tuple(listed(text)), "OPERATORS"),
        ),
    ],
    "score": Annotated[
        Literal["auc", "correlation", "cosine", "mean_difference", "iou", "f1", "precision", "recall"],
        typer.Option(help="What formulas are ranked by."),
    ],
    "quantile": QUANTILE,
    "threshold": THRESHOLD,
    "penalty": Annotated[
        float, typer.Option(help="Compare formulas by score · penalty^(length − 1), as Compositional Explanations.")
    ],
    "unknown": Annotated[
        Literal["error", "no", "drop"], typer.Option(help="How to handle values that are neither yes nor no.")
    ],
    "align": ALIGN,
    "n_jobs": N_JOBS,
    "permutations": Annotated[
        Any,
        typer.Option(
            help="Permutations for p-values that account for the search: a number, or auto.",
            **parsed(_permutations, "NUMBER|auto"),
        ),
    ],
    "tail": Annotated[
        bool, typer.Option("--tail", help="Fit a Pareto tail to the null, for p below 1/(permutations + 1).")
    ],
    "holdout": Annotated[
        float | None, typer.Option(help="Share of samples held out from the search to evaluate the formula.")
    ],
    "folds": Annotated[
        int | None, typer.Option(help="Instead of --holdout, hold out each of this many parts in turn.")
    ],
    "stability": Annotated[int, typer.Option(help="Number of bootstrap resamples on which to repeat the search.")],
    "effects": Annotated[
        bool, typer.Option("--effects", help="Add the confidence interval of the AUC, precision, recall and more.")
    ],
    "clusters": CLUSTERS,
    "strata": Annotated[
        str | None, typer.Option(help="Compare and permute only within these groups: a table, or FILE:COLUMN.")
    ],
    "seed": Annotated[int, typer.Option(help="Seed of all random draws.")],
    "shard": Annotated[
        Any,
        typer.Option(
            help="Label one of several shards of the neurons, such as 3/8; neuronym merge joins them.",
            **parsed(as_shard, "NUMBER/OF"),
        ),
    ],
}


@app.command("label", epilog=_EXAMPLES)
@mirrors(label, _OPTIONS, {**BY_POSITION, **SCHEDULER})
def label_command(
    activations: ACTIVATIONS,
    concepts: CONCEPTS,
    out: OUT = None,
    overwrite: OVERWRITE = False,
    spreadsheet: SPREADSHEET = False,
    as_json: JSON = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Find the formula of concepts that each neuron detects best.

    Samples are matched by id if both files have ids, and by position otherwise.
    """
    align_of(options)
    if options["shard"] is not None and out is None and not as_json:
        raise OptionError("a shard is saved, to be merged with the others: name a file .json (--out)")
    if out is not None:
        check_out(out, overwrite, spreadsheet, options["shard"] is not None)
    with workers_of(options), compiling(), noting_interruption() as interrupted:
        labels = label(activations, concepts, progress=not quiet, **options)
    if out is not None:
        labels.save(out, overwrite=overwrite, spreadsheet=spreadsheet)
    print_labels(labels, out, as_json, quiet)
    if interrupted:
        sys.exit(130)
