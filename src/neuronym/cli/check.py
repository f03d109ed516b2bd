"""The command ``neuronym check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuronym.cli.options import QUIET
from neuronym.cli.printing import new_app
from neuronym.io.checking import check

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym check acts.zarr
"""


@app.command("check", epilog=_EXAMPLES)
def check_command(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Store of activations, .zarr.")],
    quiet: QUIET = False,
) -> None:
    """Check a Zarr store of activations: whether every file is there, and as it was written.

    Prints a line for each fault and exits with 1, or says what was checked.
    """
    found = check(store, progress=not quiet)
    for fault in found.faults:
        print(fault)
    if found.faults:
        raise typer.Exit(1)
    if not quiet:
        print(f"{store}: {found}")
