"""The command ``neuronym demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neuronym._util.extras import need
from neuronym.cli.options import mirrors
from neuronym.cli.printing import compiling, new_app
from neuronym.demo import demo

__all__ = ["app"]

app = new_app()

_OPTIONS = {
    "out": Annotated[
        Path, typer.Option(help="Folder for labels, figure and page; if it exists, a new one is made next to it.")
    ],
    "seed": Annotated[int, typer.Option(help="Seed of the network.")],
}


@app.command("demo")
@mirrors(demo, _OPTIONS)
def demo_command(**options: Any) -> None:
    """Train a small network on handwritten digits and label its neurons.

    Needs no download and takes seconds.
    """
    need("the demo", "demo")
    with compiling():
        demo(**options)
