"""The command ``neuronym methods``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym._util.files import check_target, kind_of
from neuronym.analysis.dissect import compare_methods
from neuronym.cli.dissect import PIXELS
from neuronym.cli.options import (
    BY_POSITION,
    MAPS,
    MASK_OPTIONS,
    MASKS,
    OVERWRITE,
    QUIET,
    SCHEDULER,
    align_of,
    masks_of,
    mirrors,
    workers_of,
)
from neuronym.cli.printing import compiling, new_app, say

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym methods maps.zarr boxes.csv --images photos/ --out methods.json
  neuronym methods maps.zarr/layer4 instances_val2017.json --crop 0.875 --holdout 0.5 --out methods.json
"""
_OPTIONS = {
    **PIXELS,
    "min_fraction": Annotated[
        float, typer.Option(help="Smallest share of photos for which a formula of INVERT may be true.")
    ],
    "max_fraction": Annotated[
        float, typer.Option(help="Largest share of photos for which a formula of INVERT may be true.")
    ],
    "pool": Annotated[
        Literal["mean", "max"], typer.Option(help="How INVERT pools the maps of a photo to one number per neuron.")
    ],
}


@app.command("methods", epilog=_EXAMPLES)
@mirrors(compare_methods, _OPTIONS, {**MASK_OPTIONS, **BY_POSITION, **SCHEDULER})
def methods_command(
    maps: MAPS,
    masks: MASKS,
    out: Annotated[
        Path | None, typer.Option(help="Save the comparison as .json, for neuronym report --methods.")
    ] = None,
    overwrite: OVERWRITE = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Label the same neurons by INVERT, Network Dissection and Compositional Explanations, and compare the labels."""
    align_of(options)
    if out is not None:
        kind_of(out, (".json",), "a comparison of methods")
        check_target(out, overwrite)
    known = masks_of(masks, options)
    with workers_of(options), compiling():
        found = compare_methods(maps, known, progress=not quiet, **options)
    if out is not None:
        found.save(out, overwrite=overwrite)
    if not quiet:
        say(found.table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
