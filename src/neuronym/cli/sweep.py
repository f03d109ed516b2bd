"""The command ``neuronym sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neuronym._util.extras import need
from neuronym._util.files import kind_of, writing_together
from neuronym.analysis.sweep import sweep
from neuronym.cli.options import (
    ACTIVATIONS,
    ALIGN,
    BY_POSITION,
    CLUSTERS,
    CONCEPTS,
    HIERARCHY,
    N_JOBS,
    OVERWRITE,
    QUIET,
    SCHEDULER,
    SEARCH,
    SPREADSHEET,
    WORDNET,
    align_of,
    hierarchy_of,
    listed,
    mirrors,
    parsed,
    workers_of,
)
from neuronym.cli.printing import compiling, new_app, say
from neuronym.errors import OptionError
from neuronym.io.tables import write_csv

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym sweep acts.zarr/layer4 concepts.parquet --wordnet --plot sweep.png
  neuronym sweep activations.npy concepts.csv --length 3 --min-fractions 0,0.01,0.05 --out sweep.csv
"""


def _fractions(text: str) -> list[float]:
    try:
        return [float(part) for part in listed(text)]
    except ValueError:
        raise OptionError(f"must be numbers separated by commas, not {text!r}") from None


_OPTIONS = {
    "length": Annotated[int, typer.Option(help="Largest length of a formula.")],
    "min_fractions": Annotated[
        Any,
        typer.Option(
            help="Minimum fractions of formulas to compare.",
            show_default="0,0.005,0.01,0.02,0.05",
            **parsed(_fractions, "NUMBERS"),
        ),
    ],
    **{name: SEARCH[name] for name in ("beam", "search", "budget", "max_fraction", "min_count", "min_change")},
    "hierarchy": HIERARCHY,
    "holdout": Annotated[float, typer.Option(help="Share of samples held out to evaluate formulas.")],
    "clusters": CLUSTERS,
    "seed": Annotated[int, typer.Option(help="Seed of the split.")],
    "n_jobs": N_JOBS,
    "align": ALIGN,
}


@app.command("sweep", epilog=_EXAMPLES)
@mirrors(sweep, _OPTIONS, {"wordnet": WORDNET, **BY_POSITION, **SCHEDULER})
def sweep_command(
    activations: ACTIVATIONS,
    concepts: CONCEPTS,
    out: Annotated[Path | None, typer.Option(help="Save the table as .csv.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Plot the table as .png, .pdf or .svg.")] = None,
    overwrite: OVERWRITE = False,
    spreadsheet: SPREADSHEET = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Compare formula lengths and minimum fractions by AUC, held-out AUC, fraction and share of hypernyms."""
    align_of(options)
    from neuronym.plots.figures import FIGURES, write_figure
    from neuronym.plots.sweep import draw_sweep

    targets: list[Path] = []
    for target, kinds in ((plot, FIGURES), (out, (".csv",))):
        if target is not None:
            kind_of(target, kinds, "a sweep")
            targets.append(target)
    if plot is not None:
        need("a plot", "plots")
    hierarchy_of(options)
    with writing_together(targets, overwrite) as temporaries:  # the table last, so that a new one has its plot
        with workers_of(options), compiling():
            table = sweep(activations, concepts, progress=not quiet, **options)
        if plot is not None:
            write_figure(draw_sweep(table), temporaries[0], plot.suffix.lower())
        if out is not None:
            write_csv(table, temporaries[-1], spreadsheet)
    if not quiet:
        say(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
