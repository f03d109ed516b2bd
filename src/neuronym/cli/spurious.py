"""The command ``neuronym spurious``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuronym._util.extras import need
from neuronym._util.files import check_target, make_folder
from neuronym.analysis.spurious.alterations import Blur, Border, Cast, Jpeg, Patch, Text
from neuronym.analysis.spurious.overlays import Alteration
from neuronym.analysis.spurious.study import spurious
from neuronym.cli.memory import keep_memory
from neuronym.cli.options import CLUSTERS, JSON, QUIET, SEARCH, WEIGHTS, listed, mirrors, parsed
from neuronym.cli.printing import compiling, new_app
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
        Any, typer.Option(help="Concepts under suspicion, separated by commas.", **parsed(listed, "CONCEPTS"))
    ],
    "outputs": Annotated[str | None, typer.Option(help="The layer whose neurons are the logits of classes.")],
    "classes": Annotated[Path | None, typer.Option(help="Names of the classes, one a line.")],
    "model": Annotated[
        str | None, typer.Option(help="Run a model on photos and altered copies; as for neuronym collect.")
    ],
    "weights": WEIGHTS,
    "images": Annotated[Path | None, typer.Option(help="The photos: a folder, with its subfolders.")],
    "layers": Annotated[
        Any, typer.Option(help="Names of modules beside --outputs, separated by commas.", **parsed(listed, "LAYERS"))
    ],
    "photo_concepts": Annotated[
        Path | None, typer.Option(help="What the photos show, for --relabel: .csv or .parquet.")
    ],
    "artefacts": Annotated[
        Path | None, typer.Option(help="Photos with the artefact; those with the path of a photo are its pair.")
    ],
    "name": Annotated[str, typer.Option(help="The name of the alteration.")],
    "fraction": Annotated[float | None, typer.Option(help="The share of photos that get a copy; all by default.")],
    "seed": Annotated[int, typer.Option(help="The seed of random draws.")],
    "skip_unreadable": Annotated[bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read.")],
    "paired": Annotated[
        bool | None, typer.Option("--paired/--unpaired", help="Insist on pairs, or compare samples as they are.")
    ],
    "clusters": CLUSTERS,
    "relabel": Annotated[
        bool, typer.Option("--relabel", help="Label neurons with the suspects; show formulas that hold one.")
    ],
    "length": SEARCH["length"],
    "min_fraction": SEARCH["min_fraction"],
}
_ALTERATIONS = {
    "text": Annotated[str | None, typer.Option(help="Alter by a text watermark, in any script.")],
    "font": Annotated[Path | None, typer.Option(help="The font of the text; by default one that has its glyphs.")],
    "logo": Annotated[Path | None, typer.Option(help="Alter by a logo: an image, or one of a folder.")],
    "border": Annotated[str | None, typer.Option(help="Alter by a border of this colour.")],
    "cast": Annotated[str | None, typer.Option(help="Alter by a cast of this colour.")],
    "blur": Annotated[float | None, typer.Option(help="Alter by blur, sd as a share of the shorter side.")],
    "jpeg": Annotated[int | None, typer.Option(help="Alter by JPEG compression of this quality, 1 to 95.")],
    "function": Annotated[
        str | None, typer.Option(help="Alter by package.module:function of an image and a random generator.")
    ],
    "size": Annotated[float | None, typer.Option(help="Size of text or logo, as a share of the shorter side.")],
    "opacity": Annotated[float | None, typer.Option(help="Opacity of text or logo, up to 1.")],
    "colour": Annotated[str | None, typer.Option(help="Colour of the text; white by default.")],
    "place": Annotated[Literal["centre", "random", "tiled"] | None, typer.Option(help="Where text or logo is put.")],
}


@app.command("spurious", epilog=_EXAMPLES)
@mirrors(spurious, _OPTIONS, _ALTERATIONS)
def spurious_command(
    activations: Annotated[
        Path | None,
        typer.Argument(metavar="[ACTIVATIONS]", help="Samples × neurons: store.zarr, .npy, …; without --model."),
    ] = None,
    concepts: Annotated[
        Path | None, typer.Argument(metavar="[CONCEPTS]", help="Samples × concepts: .csv or .parquet; without --model.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for tables, figure and activations.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: JSON = False,
    quiet: QUIET = False,
    **options: Any,
) -> None:
    """Find neurons and classes that respond to what they should not: a watermark, a border, any concept of yours.

    Either from activations and concepts that you have, or from a model and photos: then copies are altered, the model
    is run on both, and pairs are compared.
    """
    from neuronym.plots import plot_findings

    if out is not None:
        need("the figure in --out", "plots" if options["model"] is None else "spurious", ["matplotlib"])
        check_target(make_folder(out) / "findings.png", overwrite)
    keep_memory()
    options["alterations"] = _alterations({name: options.pop(name) for name in _ALTERATIONS})
    with compiling():
        study = spurious(activations, concepts, out=out, overwrite=overwrite, progress=not quiet, **options)
    if out is not None:
        plot_findings(study.findings, out / "findings.png", photos=study.photos, overwrite=overwrite)
    if as_json:
        print(json.dumps(study.to_dict(), ensure_ascii=False))
    elif not quiet:
        print(study, "" if out is None else f"\ntables and figure are in {out}", sep="\n")


def _alterations(asked: dict[str, Any]) -> list[Alteration]:
    """What is done to photos, in the order of the options."""
    marks = {key: asked[key] for key in ("size", "opacity", "place") if asked[key] is not None}
    spelled = {key: asked[key] for key in ("font", "colour") if asked[key] is not None}
    if marks and asked["text"] is None and asked["logo"] is None:
        raise OptionError(f"--{next(iter(marks))} is of a text or logo: give --text or --logo")
    if spelled and asked["text"] is None:
        raise OptionError(f"--{next(iter(spelled))} is of a text: give --text")
    makers: dict[str, Callable[[Any], Alteration]] = {
        "text": lambda text: Text(text, **spelled, **marks),
        "logo": lambda path: Patch(path, **marks),
        "border": lambda colour: Border(colour=colour),
        "cast": Cast,
        "blur": Blur,
        "jpeg": Jpeg,
        "function": load_function,
    }
    return [make(asked[key]) for key, make in makers.items() if asked[key] is not None]
