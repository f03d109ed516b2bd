"""The command ``neuronym compose``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neuronym._util.characters import visible
from neuronym.analysis.compose.detectors import compose
from neuronym.analysis.compose.fuzzy import NORMS
from neuronym.cli.options import ACTIVATIONS, ALIGN, BY_POSITION, CLUSTERS, CONCEPTS, JSON, align_of, mirrors
from neuronym.cli.printing import new_app, print_json, say

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym compose 'boat & ~house' acts.zarr/layer4 concepts.parquet
  neuronym compose 'zero | eight' hidden.npy concepts.parquet --norm 'yager(3)' --direction both --json
"""
_OPTIONS = {
    "labels": Annotated[Path | None, typer.Option(help="Prefer neurons whose label is the concept, if there are any.")],
    "norm": Annotated[str, typer.Option(help="t-norm: godel, product, lukasiewicz, hamacher or yager(p).")],
    "mapping": Annotated[
        Literal["empirical", "logistic"], typer.Option(help="How to map activations to degrees of membership.")
    ],
    "direction": Annotated[
        Literal["high", "low", "both"],
        typer.Option(help="Whether a neuron is high or low where its concept is present."),
    ],
    "holdout": Annotated[float, typer.Option(help="Share of samples held out to evaluate the detector.")],
    "clusters": CLUSTERS,
    "seed": Annotated[int, typer.Option(help="Seed of the split.")],
    "align": ALIGN,
}


@app.command("compose", epilog=_EXAMPLES)
@mirrors(compose, _OPTIONS, BY_POSITION)
def compose_command(
    formula: Annotated[str, typer.Argument(metavar="FORMULA", help="A formula of concepts, such as 'boat & ~house'.")],
    activations: ACTIVATIONS,
    concepts: CONCEPTS,
    as_json: JSON = False,
    **options: Any,
) -> None:
    """Compose a detector of a formula from the best neuron of each concept, by fuzzy logic, without training.

    Print the detector, and compare all t-norms with the best single neuron on held-out samples.
    """
    align_of(options)
    found = compose(formula, activations, concepts, **options)
    table = found.compare(list(dict.fromkeys([str(found.norm), *NORMS])))
    if as_json:
        print_json(json.dumps({"formula": formula, "detectors": table.to_dict("records")}, ensure_ascii=False))
    else:
        say(found)
        _print(table)


def _print(table: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    printed = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("detector", "mapping", "AUC", "held out", "95% interval"):
        printed.add_column(title, justify="left" if title in ("detector", "mapping") else "right")
    for row in table.itertuples(index=False):
        interval = f"{row.auc_low:.4f} to {row.auc_high:.4f}"
        cells = (str(row.detector), str(row.mapping), f"{row.auc:.4f}", f"{row.auc_heldout:.4f}", interval)
        printed.add_row(*(Text(visible(cell)) for cell in cells))
    Console(width=100).print(printed)
