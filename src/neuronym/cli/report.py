"""The command ``neuronym report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neuronym.cli.options import (
    ALIGN,
    BY_POSITION,
    HIERARCHY,
    LABELS,
    N_JOBS,
    OVERWRITE_FOLDER,
    QUIET,
    SCHEDULER,
    WORDNET,
    align_of,
    hierarchy_of,
    mirrors,
    workers_of,
)
from neuronym.cli.printing import new_app, say
from neuronym.report.page import report

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym report labels.csv --activations acts.zarr/layer4 --concepts concepts.parquet --samples photos/ --out report
  neuronym report labels.csv --activations acts.zarr --concepts concepts.parquet --wordnet --circuits circuit/
"""
_OPTIONS = {
    "activations": Annotated[
        Path | None,
        typer.Option(help="Activations that were labelled: store.zarr, store.zarr/LAYER, .npy, .npz, .csv …"),
    ],
    "concepts": Annotated[Path | None, typer.Option(help="Concepts of the labels: .csv or .parquet.")],
    "samples": Annotated[
        Path | None,
        typer.Option(help="Samples to show: a folder of images, or a table of texts (sample,text) or rows."),
    ],
    "out": Annotated[Path, typer.Option(help="Folder to write.")],
    "names": Annotated[
        Path | None, typer.Option(help="Readable names of concepts: a table concept,name or a .json object.")
    ],
    "hierarchy": HIERARCHY,
    "other": Annotated[Path | None, typer.Option(help="Second set of labels, shown next to the first.")],
    "baselines": Annotated[
        list[Path],
        typer.Option("--baselines", "--baseline", help="Labels of an untrained network; can be repeated."),
    ],
    "circuits": Annotated[
        list[Path],
        typer.Option(
            "--circuits", "--circuit", help="Folder written by neuronym circuit, or its circuit.json; can be repeated."
        ),
    ],
    "findings": Annotated[Path | None, typer.Option(help="Folder written by neuronym spurious.")],
    "methods": Annotated[Path | None, typer.Option(help="Comparison of methods, written by neuronym methods.")],
    "title": Annotated[str, typer.Option(help="Title of the page.")],
    "n_samples": Annotated[int, typer.Option(help="Number of samples of each kind to show per neuron.")],
    "seed": Annotated[int, typer.Option(help="Seed of random draws.")],
    "n_jobs": N_JOBS,
    "align": ALIGN,
    "single_file": Annotated[
        bool, typer.Option("--single-file", help="Put everything into index.html, to send it or show it by itself.")
    ],
    "overwrite": OVERWRITE_FOLDER,
}


@app.command("report", epilog=_EXAMPLES)
@mirrors(report, _OPTIONS, {"wordnet": WORDNET, **BY_POSITION, **SCHEDULER})
def report_command(labels: LABELS, quiet: QUIET = False, **options: Any) -> None:
    """Write a page for browsing neurons: a folder whose index.html opens in any browser, without a server."""
    hierarchy_of(options)
    align_of(options)
    with workers_of(options):
        page = report(labels, progress=not quiet, **options)
    if not quiet:
        say(f"open {page} in a browser")
