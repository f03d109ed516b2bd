"""The command ``neuronym merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuronym.cli.options import JSON, OUT, OVERWRITE, QUIET, SPREADSHEET
from neuronym.cli.printing import new_app, print_labels
from neuronym.labeling.merging import merge
from neuronym.labels.files import check_out

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym merge parts/*.json --out labels.csv
"""


@app.command("merge", epilog=_EXAMPLES)
def merge_command(
    parts: Annotated[
        list[Path],
        typer.Argument(metavar="PARTS...", help="Labels of each shard, from neuronym label --shard."),
    ],
    out: OUT = None,
    overwrite: OVERWRITE = False,
    spreadsheet: SPREADSHEET = False,
    as_json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Merge the labels of all shards of a run, with what depends on all labels: q, and intervals of selected labels."""
    if out is not None:
        check_out(out, overwrite, spreadsheet)
    labels = merge(parts)
    if out is not None:
        labels.save(out, overwrite=overwrite, spreadsheet=spreadsheet)
    print_labels(labels, out, as_json, quiet)
