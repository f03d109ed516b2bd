"""The command ``neuronym pairs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym.analysis.pairs import pairs
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
    align_of,
    listed,
    mirrors,
    parsed,
    workers_of,
)
from neuronym.cli.printing import new_app, say
from neuronym.io.tables import shown_table

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym pairs acts.zarr concepts.parquet --holdout 0.5 --out pairs.parquet
  neuronym pairs acts.zarr concepts.parquet --layers conv4,conv5 --top 10 --concept dog
"""
_OPTIONS = {
    "layers": Annotated[
        Any, typer.Option(help="Layers to test, separated by commas; all by default.", **parsed(listed, "LAYERS"))
    ],
    "neurons": NEURONS,
    "min_count": Annotated[
        int, typer.Option(help="Test concepts that are true, and false, for at least so many samples.")
    ],
    "unknown": Annotated[
        Literal["error", "no", "drop"], typer.Option(help="How to handle values that are neither yes nor no.")
    ],
    "clusters": CLUSTERS,
    "holdout": Annotated[float | None, typer.Option(help="Share of samples held out, for coverage.")],
    "seed": Annotated[int, typer.Option(help="Seed of the split.")],
    "top": Annotated[int | None, typer.Option(help="Keep this many pairs of each neuron and of each concept.")],
    "min_auc": Annotated[float | None, typer.Option(help="Keep pairs with at least this AUC.")],
    "direction": Annotated[
        Literal["high", "low", "both"], typer.Option(help="Keep and order pairs by the AUC, 1 − AUC, or the larger.")
    ],
    "correction": Annotated[
        Literal["bh", "bonferroni"], typer.Option(help="Correction for multiple testing, over all pairs of all layers.")
    ],
    "out": Annotated[Path | None, typer.Option(help="Write the table as .parquet, as it is made.")],
    "align": ALIGN,
    "n_jobs": N_JOBS,
}


@app.command("pairs", epilog=_EXAMPLES)
@mirrors(pairs, _OPTIONS, {**BY_POSITION, **SCHEDULER})
def pairs_command(
    activations: ACTIVATIONS,
    concepts: CONCEPTS,
    concept: Annotated[str | None, typer.Option(help="Print the neurons that detect this concept best.")] = None,
    overwrite: OVERWRITE = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Test every neuron against every concept: AUC, p, effect and F1 of all pairs, corrected as one family.

    Print the neurons of a concept, and how many concepts each layer covers on held-out samples.
    """
    align_of(options)
    with workers_of(options):
        table = pairs(activations, concepts, overwrite=overwrite, progress=not quiet, **options)
    if concept is not None:
        say(shown_table(table.detectors(concept)))
    if not quiet:
        say(table)
        if options["holdout"] is not None:
            say(shown_table(table.coverage()))
