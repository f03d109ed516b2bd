"""The command ``neuronym spurious``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym._util.extras import need
from neuronym.analysis.spurious.alterations import Blur, Border, Cast, Jpeg, Patch, Text
from neuronym.analysis.spurious.overlays import Alteration
from neuronym.analysis.spurious.study import spurious, study_folder
from neuronym.cli.memory import keep_memory
from neuronym.cli.options import (
    CLUSTERS,
    JSON,
    OVERWRITE_FOLDER,
    QUIET,
    SEARCH,
    SPREADSHEET,
    WEIGHTS,
    listed,
    mirrors,
    parsed,
)
from neuronym.cli.printing import compiling, new_app, print_json, say
from neuronym.errors import OptionError
from neuronym.network.models import load_function

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym spurious --model efficientnet-lite0 --images photos/ --outputs _fc --text 捷径捷径捷径 --out found
  neuronym spurious --model mymodels:make --images photos/ --layers layer4 --logo logo.png --fraction 0.5 --out found
  neuronym spurious acts.zarr concepts.parquet --suspects watermark,grass --outputs fc --relabel
"""
_OPTIONS = {
    "suspects": Annotated[
        Any, typer.Option(help="Suspect concepts, separated by commas.", **parsed(listed, "CONCEPTS"))
    ],
    "outputs": Annotated[str | None, typer.Option(help="Layer whose neurons are the logits of classes.")],
    "classes": Annotated[Path | None, typer.Option(help="Names of the classes, one per line.")],
    "model": Annotated[
        str | None, typer.Option(help="Model to run on photos and altered copies, as for neuronym collect.")
    ],
    "weights": WEIGHTS,
    "images": Annotated[Path | None, typer.Option(help="A folder of photos, including subfolders.")],
    "layers": Annotated[
        Any, typer.Option(help="Modules to collect besides --outputs, separated by commas.", **parsed(listed, "LAYERS"))
    ],
    "photo_concepts": Annotated[
        Path | None, typer.Option(help="Concepts of the photos, for --relabel: .csv or .parquet.")
    ],
    "artefacts": Annotated[
        Path | None,
        typer.Option(help="A folder of photos with the artefact, paired with photos of the same relative path."),
    ],
    "name": Annotated[str, typer.Option(help="Name of the alteration, as a concept.")],
    "fraction": Annotated[float | None, typer.Option(help="Share of photos to copy; all by default.")],
    "seed": Annotated[int, typer.Option(help="Seed of random draws.")],
    "skip_unreadable": Annotated[bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read.")],
    "paired": Annotated[
        bool | None, typer.Option("--paired/--unpaired", help="Require pairs, or compare samples unpaired.")
    ],
    "clusters": CLUSTERS,
    "relabel": Annotated[
        bool,
        typer.Option("--relabel", help="Label neurons with the suspects, and show labels whose formula contains one."),
    ],
    "length": SEARCH["length"],
    "min_fraction": SEARCH["min_fraction"],
}
_ALTERATIONS = {
    "text": Annotated[str | None, typer.Option(help="Add a text watermark, in any script.")],
    "font": Annotated[
        Path | None, typer.Option(help="Font file of the text; by default an installed font with its glyphs.")
    ],
    "logo": Annotated[Path | None, typer.Option(help="Add a logo: an image, or a folder to draw one from.")],
    "border": Annotated[str | None, typer.Option(help="Add a border of this colour.")],
    "cast": Annotated[str | None, typer.Option(help="Add a cast of this colour.")],
    "blur": Annotated[
        float | None, typer.Option(help="Blur, with this standard deviation as a share of the shorter side.")
    ],
    "jpeg": Annotated[int | None, typer.Option(help="Compress as JPEG of this quality, 1 to 95.")],
    "function": Annotated[
        str | None,
        typer.Option(help="Alter with package.module:function, called with an image and a random generator."),
    ],
    "size": Annotated[float | None, typer.Option(help="Size of text or logo, as a share of the shorter side.")],
    "opacity": Annotated[float | None, typer.Option(help="Opacity of text or logo, up to 1.")],
    "colour": Annotated[str | None, typer.Option(help="Colour of the text; white by default.")],
    "place": Annotated[Literal["centre", "random", "tiled"] | None, typer.Option(help="Where to put text or logo.")],
}


@app.command("spurious", epilog=_EXAMPLES)
@mirrors(spurious, _OPTIONS, _ALTERATIONS)
def spurious_command(
    activations: Annotated[
        Path | None,
        typer.Argument(metavar="[ACTIVATIONS]", help="Samples × neurons: store.zarr, .npy, …; only without --model."),
    ] = None,
    concepts: Annotated[
        Path | None,
        typer.Argument(metavar="[CONCEPTS]", help="Samples × concepts: .csv or .parquet; only without --model."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for tables, figure and activations.")] = None,
    overwrite: OVERWRITE_FOLDER = False,
    spreadsheet: SPREADSHEET = False,
    as_json: JSON = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Find neurons and classes that respond to a spurious concept: a watermark, a border, or any concept of yours.

    Give either activations and concepts, or a model and photos. With a model, the photos are copied and altered, the
    model is run on photos and copies, and each pair is compared.
    """
    from neuronym.plots import plot_findings

    if out is not None:
        need("the figure in --out", "plots" if options["model"] is None else "spurious", ["matplotlib"])
    keep_memory()
    options["alterations"] = _alterations({name: options.pop(name) for name in _ALTERATIONS})
    with nullcontext() if out is None else study_folder(out, overwrite, options["model"], activations) as folder:
        with compiling():
            saved: Any = {"out": out, "overwrite": overwrite, "spreadsheet": spreadsheet}
            study = spurious(activations, concepts, **saved, progress=not quiet, **options)
        if folder is not None:
            plot_findings(study.findings, folder / "findings.png", photos=study.photos)
    if as_json:
        print_json(json.dumps(study.to_dict(), ensure_ascii=False))
    elif not quiet:
        say(study, "" if out is None else f"\ntables and figure saved in {out}")


def _alterations(values: dict[str, Any]) -> list[Alteration]:
    """Make the alterations from the values of their options, in the order of the options."""
    mark_options = {key: values[key] for key in ("size", "opacity", "place") if values[key] is not None}
    text_options = {key: values[key] for key in ("font", "colour") if values[key] is not None}
    if mark_options and values["text"] is None and values["logo"] is None:
        raise OptionError(f"--{next(iter(mark_options))} applies to a text or logo: give --text or --logo")
    if text_options and values["text"] is None:
        raise OptionError(f"--{next(iter(text_options))} applies to a text: give --text")
    makers: dict[str, Callable[[Any], Alteration]] = {
        "text": lambda text: Text(text, **text_options, **mark_options),
        "logo": lambda path: Patch(path, **mark_options),
        "border": lambda colour: Border(colour=colour),
        "cast": Cast,
        "blur": Blur,
        "jpeg": Jpeg,
        "function": load_function,
    }
    return [make(values[key]) for key, make in makers.items() if values[key] is not None]
