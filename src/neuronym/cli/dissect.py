"""The command ``neuronym dissect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym.analysis.dissect import dissect
from neuronym.cli.options import (
    BY_POSITION,
    JSON,
    MAPS,
    MASK_OPTIONS,
    MASKS,
    N_JOBS,
    NEURONS,
    OUT,
    OVERWRITE,
    QUIET,
    SCHEDULER,
    SEARCH,
    SPREADSHEET,
    align_of,
    listed,
    masks_of,
    mirrors,
    parsed,
    workers_of,
)
from neuronym.cli.printing import compiling, new_app, print_labels, say
from neuronym.errors import OptionError
from neuronym.labels.files import check_out

__all__ = ["PIXELS", "app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym dissect maps.zarr boxes.csv --images photos/ --out dissected.csv
  neuronym dissect maps.zarr instances_val2017.json --length 3 --crop 0.875 --out dissected.csv
  neuronym dissect maps.zarr/layer4 annotations/ --classes classes.csv --void 0 --holdout 0.5 --out dissected.csv
"""


def _crop(text: str) -> float | Literal["whole"]:
    """Parse which part of photos a network saw."""
    if text == "whole":
        return "whole"
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"must be a share such as 0.875, or whole, not {text!r}") from None


#: What pixels are counted, of what neurons.
PIXELS: dict[str, Any] = {
    "layers": Annotated[
        Any, typer.Option(help="Layers to label, separated by commas; all by default.", **parsed(listed, "LAYERS"))
    ],
    "neurons": NEURONS,
    "length": SEARCH["length"],
    "quantile": Annotated[
        float, typer.Option(help="Quantile of a neuron's activations above which it is on at a pixel.")
    ],
    "crop": Annotated[
        Any,
        typer.Option(
            help="Side of the central square that the network saw, as a share of the photo's shorter side, or whole.",
            show_default="as collected",
            **parsed(_crop, "SHARE|whole"),
        ),
    ],
    **{name: SEARCH[name] for name in ("beam", "search", "budget")},
    "min_count": Annotated[
        int, typer.Option(help="Smallest number of pixels (of INVERT, photos) for which a formula may be true.")
    ],
    "holdout": Annotated[
        float | None, typer.Option(help="Share of photos held out from the search to evaluate the formula.")
    ],
    "seed": Annotated[int, typer.Option(help="Seed of the choice of photos to hold out.")],
    "align": Annotated[bool, typer.Option("--align", help="Keep only photos found in both maps and masks.")],
    "n_jobs": N_JOBS,
}
_OPTIONS = {
    **PIXELS,
    "resume": Annotated[
        Path | None, typer.Option(help="Folder to keep what is counted; if interrupted, rerun to resume.")
    ],
    "min_fraction": Annotated[float, typer.Option(help="Smallest share of pixels for which a formula may be true.")],
    "max_fraction": Annotated[float, typer.Option(help="Largest share of pixels for which a formula may be true.")],
    "min_change": Annotated[
        int | None,
        typer.Option(
            help="Smallest number of pixels that dropping any concept of a formula changes.", show_default="min-count"
        ),
    ],
    "negation": Annotated[
        bool | None,
        typer.Option(
            "--negation/--no-negation",
            help="Whether formulas may contain NOT.",
            show_default="for formulas of several concepts",
        ),
    ],
}


@app.command("dissect", epilog=_EXAMPLES)
@mirrors(dissect, _OPTIONS, {**MASK_OPTIONS, **BY_POSITION, **SCHEDULER})
def dissect_command(
    maps: MAPS,
    masks: MASKS,
    out: OUT = None,
    overwrite: OVERWRITE = False,
    spreadsheet: SPREADSHEET = False,
    as_json: JSON = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Find the formula of concepts that best says where in photos each neuron is active: Network Dissection.

    With --length 3, these are Compositional Explanations. Pixels without any concept count, as background.
    """
    align_of(options)
    if out is not None:
        check_out(out, overwrite, spreadsheet)
    known = masks_of(masks, options)
    with workers_of(options), compiling():
        found = dissect(maps, known, progress=not quiet, **options)
    if out is not None:
        found.labels.save(out, overwrite=overwrite, spreadsheet=spreadsheet)
    print_labels(found.labels, out, as_json, quiet)
    if not quiet and not as_json:
        void = f", and {found.void:,} void pixels left out" if found.void else ""
        say(f"{found!r}: background pixels show no concept and are outside of every one{void}")
