"""The command ``neuronym compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neuronym._util.extras import need
from neuronym._util.files import kind_of, writing_together
from neuronym.analysis.scores import compare_scores
from neuronym.cli.options import (
    ACTIVATIONS,
    ALIGN,
    BY_POSITION,
    CONCEPTS,
    HIERARCHY,
    N_JOBS,
    OVERWRITE,
    QUANTILE,
    QUIET,
    SCHEDULER,
    SEARCH,
    SPREADSHEET,
    THRESHOLD,
    WORDNET,
    align_of,
    hierarchy_of,
    listed,
    mirrors,
    parsed,
    workers_of,
)
from neuronym.cli.printing import compiling, new_app, say
from neuronym.io.tables import write_csv

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym compare acts.zarr/_fc concepts.parquet --truth truth.csv --plot scores.png
  neuronym compare activations.npy concepts.csv --scores auc,iou,correlation --quantile 0.99 --out scores.csv
"""
_OPTIONS = {
    "scores": Annotated[
        Any,
        typer.Option(
            help="Scores to search by, separated by commas.",
            show_default="auc,correlation,cosine,mean_difference,iou,f1",
            **parsed(listed, "SCORES"),
        ),
    ],
    "truth": Annotated[
        Path | None,
        typer.Option(help="What neurons are known to detect: a table with the columns neuron, truth (and layer)."),
    ],
    "quantile": QUANTILE,
    "threshold": THRESHOLD,
    **{name: SEARCH[name] for name in ("length", "search", "min_fraction", "max_fraction", "min_count")},
    "holdout": Annotated[float | None, typer.Option(help="Share of samples held out to evaluate formulas.")],
    "hierarchy": HIERARCHY,
    "align": ALIGN,
    "n_jobs": N_JOBS,
}


@app.command("compare", epilog=_EXAMPLES)
@mirrors(compare_scores, _OPTIONS, {"wordnet": WORDNET, **BY_POSITION, **SCHEDULER})
def compare_command(
    activations: ACTIVATIONS,
    concepts: CONCEPTS,
    out: Annotated[Path | None, typer.Option(help="Save the table as .csv.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Plot the table as .png, .pdf or .svg.")] = None,
    overwrite: OVERWRITE = False,
    spreadsheet: SPREADSHEET = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Label neurons by several scores, and measure the labels of each by all of them, and against known truth."""
    align_of(options)
    from neuronym.plots.figures import FIGURES, write_figure
    from neuronym.plots.scores import draw_scores

    targets: list[Path] = []
    for target, kinds in ((plot, FIGURES), (out, (".csv",))):
        if target is not None:
            kind_of(target, kinds, "a comparison of scores")
            targets.append(target)
    if plot is not None:
        need("a plot", "plots")
    hierarchy_of(options)
    with writing_together(targets, overwrite) as temporaries:  # the table last, so that a new one has its plot
        with workers_of(options), compiling():
            table = compare_scores(activations, concepts, **options)
        if plot is not None:
            write_figure(draw_scores(table), temporaries[0], plot.suffix.lower())
        if out is not None:
            write_csv(table, temporaries[-1], spreadsheet)
    if not quiet:
        say(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
