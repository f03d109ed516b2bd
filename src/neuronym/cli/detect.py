"""The command ``neuronym detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym._util.files import kind_of, writing_together
from neuronym.analysis.detect import detect
from neuronym.cli.options import (
    ACTIVATIONS,
    ALIGN,
    BY_POSITION,
    CLUSTERS,
    CONCEPTS,
    N_JOBS,
    NEURONS,
    OVERWRITE,
    QUIET,
    SCHEDULER,
    SEARCH,
    SPREADSHEET,
    align_of,
    listed,
    mirrors,
    parsed,
    workers_of,
)
from neuronym.cli.printing import compiling, new_app, say
from neuronym.io.tables import shown_table, write_csv

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym detect acts.zarr/layer4 concepts.parquet --targets dog,cat
  neuronym detect activations.npy concepts.csv --length 2 --no-probe --out detect.csv
"""
_OPTIONS = {
    "targets": Annotated[
        Any,
        typer.Option(help="Concepts, separated by commas; all by default.", **parsed(listed, "CONCEPTS")),
    ],
    "layers": Annotated[
        Any, typer.Option(help="Layers to use, separated by commas; all by default.", **parsed(listed, "LAYERS"))
    ],
    "neurons": NEURONS,
    "length": Annotated[int, typer.Option(help="Largest number of neurons in a formula.")],
    "candidates": Annotated[int, typer.Option(help="Number of neurons among which formulas are searched.")],
    **{name: SEARCH[name] for name in ("search", "budget", "min_count", "min_change")},
    "holdout": Annotated[float, typer.Option(help="Share of samples held out to measure formulas and probes.")],
    "clusters": CLUSTERS,
    "seed": Annotated[int, typer.Option(help="Seed of the split.")],
    "probe": Annotated[
        bool, typer.Option("--probe/--no-probe", help="Fit a logistic probe and the difference of means.")
    ],
    "unknown": Annotated[
        Literal["error", "no", "drop"], typer.Option(help="How to handle values that are neither yes nor no.")
    ],
    "align": ALIGN,
    "n_jobs": N_JOBS,
}


@app.command("detect", epilog=_EXAMPLES)
@mirrors(detect, _OPTIONS, {**BY_POSITION, **SCHEDULER})
def detect_command(
    activations: ACTIVATIONS,
    concepts: CONCEPTS,
    out: Annotated[Path | None, typer.Option(help="Save the table as .csv.")] = None,
    overwrite: OVERWRITE = False,
    spreadsheet: SPREADSHEET = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Find, for each concept, the formula of thresholded neurons that gives it best, beside supervised probes."""
    align_of(options)
    if out is not None:
        kind_of(out, (".csv",), "formulas of neurons")
    with writing_together([] if out is None else [out], overwrite) as temporaries:
        with workers_of(options), compiling():
            table = detect(activations, concepts, progress=not quiet, **options)
        for temporary in temporaries:
            write_csv(table, temporary, spreadsheet)
    if not quiet:
        say(shown_table(table))
