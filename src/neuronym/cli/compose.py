"""The command ``neuronym compose``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COMPOSE_EXAMPLES", "compose_command"]

COMPOSE_EXAMPLES = """\b
Examples:
  neuronym compose 'boat & ~house' acts.zarr/layer4 concepts.parquet
  neuronym compose 'zero | eight' hidden.npy concepts.parquet --norm 'yager(3)' --direction both --json
"""


def compose_command(
    formula: Annotated[str, typer.Argument(metavar="FORMULA", help="Of concepts, such as 'boat & ~house'.")],
    activations: Annotated[
        Path,
        typer.Argument(metavar="ACTIVATIONS", help="Samples × neurons: store.zarr/LAYER, .npy, .npz, .csv, .parquet."),
    ],
    concepts: Annotated[
        Path, typer.Argument(metavar="CONCEPTS", help="Samples × concepts: .csv or .parquet, long or multi-hot.")
    ],
    labels: Annotated[
        Path | None, typer.Option(help="Choose among neurons whose label is the concept, where there are any.")
    ] = None,
    norm: Annotated[
        str | None, typer.Option(help="godel, product, lukasiewicz, hamacher, yager(p); all are compared by default.")
    ] = None,
    mapping: Annotated[
        Literal["empirical", "logistic"] | None, typer.Option(help="How activations become degrees; both by default.")
    ] = None,
    direction: Annotated[
        Literal["high", "low", "both"], typer.Option(help="Whether neurons are high or low where their concept is.")
    ] = "high",
    holdout: Annotated[float, typer.Option(help="Share of samples that says how good the detector is.")] = 0.5,
    clusters: Annotated[
        str | None, typer.Option(help="What each sample belongs to: a table (sample, label), FILE:COLUMN, or none.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the split.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compose a detector of a formula from the best neuron of each concept, by fuzzy logic, with no training.

    Prints the neurons, and how t-norms compare with the best single neuron on samples held out.
    """
    from neuronym.analysis.compose.detectors import NeuronChoice
    from neuronym.analysis.compose.fuzzy import NORMS
    from neuronym.io.files import open_concepts

    shown = open_concepts(concepts)
    chosen = NeuronChoice.of(
        formula,
        activations,
        shown,
        labels=labels,
        direction=direction,
        holdout=holdout,
        clusters=False if clusters == "none" else clusters,
        seed=seed,
    )
    table = chosen.compared(norm or NORMS, mapping or ("empirical", "logistic"))
    if as_json:
        print(json.dumps({"formula": formula, "detectors": table.to_dict("records")}, ensure_ascii=False))
        return
    print(chosen.detector(norm or "product", mapping or "empirical"))
    _print(table)


def _print(table: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("detector", "mapping", "AUC", "held out", "95% interval"):
        shown.add_column(title, justify="left" if title in ("detector", "mapping") else "right")
    for row in table.itertuples(index=False):
        interval = f"{row.auc_low:.4f} to {row.auc_high:.4f}"
        shown.add_row(str(row.detector), str(row.mapping), f"{row.auc:.4f}", f"{row.auc_heldout:.4f}", interval)
    Console(width=100).print(shown)
