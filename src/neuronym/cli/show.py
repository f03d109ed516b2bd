"""The command ``neuronym show``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from neuronym.cli.options import JSON, LABELS, OVERWRITE, SPREADSHEET, mirrors
from neuronym.cli.printing import new_app, print_json, print_table
from neuronym.labels.labels import show

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym show labels.csv 296
  neuronym show labels.csv 296 --layer layer4 --json
  neuronym show labels.csv --summary
  neuronym show labels.csv --significant 0.05 --simplest 0.05 --out believed.csv
"""
_OPTIONS = {
    "layer": Annotated[str | None, typer.Option(help="Layer of the neuron.")],
    "significant": Annotated[
        float | None,
        typer.Option(metavar="Q", help="Keep labels with q ≤ Q; uses held-out p-values if p_search is missing."),
    ],
    "simplest": Annotated[
        float | None, typer.Option(metavar="ALPHA", help="Shorten formulas to the literals with p_gain ≤ ALPHA.")
    ],
    "out": Annotated[Path | None, typer.Option(help="Save the labels shown as .csv, .parquet or .json.")],
    "overwrite": OVERWRITE,
    "spreadsheet": SPREADSHEET,
}


@app.command("show", epilog=_EXAMPLES)
@mirrors(show, _OPTIONS)
def show_command(
    labels: LABELS,
    neuron: Annotated[
        str | None, typer.Argument(metavar="NEURON", help="Neuron to show; by default, the table of all neurons.")
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print how many labels are significant and hold up on held-out samples.")
    ] = False,
    as_json: JSON = False,
    **options: Any,
) -> None:
    """Show a neuron's formula, the best formula of each length and the runners-up, or the table of all neurons."""
    found = show(labels, neuron, **options)
    if summary and as_json:
        print(json.dumps(asdict(found.summary()), ensure_ascii=False))
    elif summary:
        print(found.summary())
    elif as_json:
        print_json(found.to_json().rstrip("\n"))
    elif neuron is None:
        print_table(found, "--json prints all")
    else:
        print("\n\n".join(str(one) for one in found))
