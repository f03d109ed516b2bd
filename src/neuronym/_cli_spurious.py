"""The command ``neuronym spurious``."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neuronym._cli_models import class_names, keep_memory, listed, need_torch, told
from neuronym._files import check_target
from neuronym.errors import FileError, OptionError

if TYPE_CHECKING:
    from neuronym.concepts import Concepts
    from neuronym.overlays import Alteration, Altered
    from neuronym.spurious import Findings

__all__ = ["SPURIOUS_EXAMPLES", "spurious_command"]

SPURIOUS_EXAMPLES = """\b
Examples:
  neuronym spurious --model efficientnet-lite0 --images photos/ --outputs _fc --text 捷径捷径捷径 --out found
  neuronym spurious --model mymodels:make --images photos/ --layers layer4 --logo logo.png --fraction 0.5 --out found
  neuronym spurious acts.zarr concepts.parquet --suspects watermark,grass --outputs fc --relabel
"""
_RELABEL_AT_MOST = 20  # labels printed


def spurious_command(
    activations: Annotated[
        Path | None,
        typer.Argument(metavar="[ACTIVATIONS]", help="Samples × neurons: store.zarr, .npy, …; without --model."),
    ] = None,
    concepts: Annotated[
        Path | None, typer.Argument(metavar="[CONCEPTS]", help="Samples × concepts: .csv or .parquet; without --model.")
    ] = None,
    suspects: Annotated[str | None, typer.Option(help="Concepts under suspicion, separated by commas.")] = None,
    outputs: Annotated[str | None, typer.Option(help="The layer whose neurons are the logits of classes.")] = None,
    classes: Annotated[Path | None, typer.Option(help="Names of the classes, one a line.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Run a model on photos and altered copies; as for neuronym collect.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A state dict to load: .safetensors, or of torch.save.")] = None,
    images: Annotated[Path | None, typer.Option(help="The photos: a folder, with its subfolders.")] = None,
    layers: Annotated[str | None, typer.Option(help="Names of modules beside --outputs, separated by commas.")] = None,
    photo_concepts: Annotated[
        Path | None, typer.Option("--photo-concepts", help="What the photos show, for --relabel: .csv or .parquet.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Alter by a text watermark, in any script.")] = None,
    font: Annotated[Path | None, typer.Option(help="Its font; by default one that has its glyphs.")] = None,
    logo: Annotated[Path | None, typer.Option(help="Alter by an image put on it, or one of a folder.")] = None,
    border: Annotated[str | None, typer.Option(help="Alter by a border of this colour.")] = None,
    cast: Annotated[str | None, typer.Option(help="Alter by a cast of this colour.")] = None,
    blur: Annotated[float | None, typer.Option(help="Alter by blur, sd as a share of the shorter side.")] = None,
    jpeg: Annotated[int | None, typer.Option(help="Alter by a JPEG of this quality, 1 to 95.")] = None,
    function: Annotated[
        str | None, typer.Option(help="Alter by package.module:function of an image and a random generator.")
    ] = None,
    artefacts: Annotated[
        Path | None, typer.Option(help="Photos with the artefact; those with the path of a photo are its pair.")
    ] = None,
    size: Annotated[float | None, typer.Option(help="Of text or logo, as a share of the shorter side.")] = None,
    opacity: Annotated[float | None, typer.Option(help="Of text or logo, up to 1.")] = None,
    colour: Annotated[str, typer.Option(help="Of the text.")] = "white",
    place: Annotated[
        Literal["centre", "random", "tiled"] | None, typer.Option(help="Where text or logo is put.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the alteration is called.")] = "altered",
    fraction: Annotated[float, typer.Option(help="The share of photos that get a copy.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The seed of what is drawn.")] = 0,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Compare samples as they are, pairs or not.")] = False,
    paired: Annotated[bool, typer.Option("--paired", help="Insist on pairs.")] = False,
    clusters: Annotated[
        str | None, typer.Option(help="What each sample belongs to: a table (sample, label), FILE:COLUMN, or none.")
    ] = None,
    relabel: Annotated[
        bool, typer.Option("--relabel", help="Label neurons with the suspects; show formulas that have one.")
    ] = False,
    length: Annotated[int, typer.Option(help="The greatest length of these formulas.")] = 3,
    min_fraction: Annotated[float, typer.Option(help="They are true for at least this share of samples.")] = 0.0,
    out: Annotated[Path | None, typer.Option(help="A folder for tables, figure and activations.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no table.")] = False,
) -> None:
    """Find neurons and classes that answer to what they should not: a watermark, a border, any concept of yours.

    Either of activations and concepts that are there, or of a model and photos: then copies are altered, the model is
    run on both, and pairs are compared.
    """
    from neuronym.spurious import find_spurious, plot_findings
    from neuronym.spurious import relabel as relabeled

    if paired and unpaired:
        raise OptionError("give one of --paired and --unpaired")
    named = class_names(classes)
    targets = _targets(out, overwrite, relabel, outputs is not None)
    photos: Altered | None = None
    if model is None:
        if activations is None or concepts is None or not suspects:
            raise OptionError("give ACTIVATIONS, CONCEPTS and --suspects, or --model, --images and what to alter")
        shown: Any = concepts
        taken: Any = activations
        chosen = listed(suspects)
    else:
        if activations is not None or images is None:
            raise OptionError("with --model give --images, and no activations: they are made")
        marks = {"size": size, "opacity": opacity, "place": place}
        how = _alterations(text, font, colour, logo, border, cast, blur, jpeg, function, marks)
        photos, run = _photos(model, weights, images, artefacts, how, fraction, seed, name)
        shown = photos.concepts(_of_photos(photo_concepts))
        taken = run([*listed(layers), *listed(outputs)], out, overwrite, not quiet)
        chosen = [name, *listed(suspects)]
    found = find_spurious(
        taken,
        shown,
        suspects=chosen,
        outputs=outputs,
        class_names=named,
        clusters=False if clusters == "none" else clusters,
        paired=True if paired else False if unpaired else None,
        seed=seed,
        progress=not quiet,
    )
    if out is not None:
        found.save(out, overwrite=overwrite)
        plot_findings(found, targets["findings.png"], photos=photos, overwrite=overwrite)
    if not quiet:
        _print(found, as_json)
    if relabel:
        labels = relabeled(
            taken,
            shown,
            chosen,
            length=length,
            min_fraction=min_fraction,
            clusters=False if clusters == "none" else clusters,
            progress=not quiet,
        )
        if out is not None:
            labels.save(targets["labels.csv"], overwrite=overwrite)
        if not quiet and not as_json:
            print(
                f"\n{len(labels)} labels have {' or '.join(chosen)} in their formula\n{labels.head(_RELABEL_AT_MOST)}"
            )
    if out is not None and not quiet and not as_json:
        print(f"\ntables and figure are in {out}")


def _targets(out: Path | None, overwrite: bool, relabel: bool, outputs: bool) -> dict[str, Path]:
    """The files to write, in a folder that is made; checked before the work."""
    if out is None:
        return {}
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write to the folder {str(out)!r}: {error.strerror}") from error
    names = ["neurons.csv", "findings.png", *["classes.csv"] * outputs, *["labels.csv"] * relabel]
    return {name: check_target(out / name, overwrite) for name in names}


def _alterations(
    text: str | None,
    font: Path | None,
    colour: str,
    logo: Path | None,
    border: str | None,
    cast: str | None,
    blur: float | None,
    jpeg: int | None,
    function: str | None,
    marks: dict[str, Any],
) -> list[Alteration]:
    from neuronym.overlays import Blur, Border, Cast, Jpeg, Patch, Text

    given = {key: value for key, value in marks.items() if value is not None}
    found: list[Alteration] = []
    if text is not None:
        found.append(Text(text, font, colour=colour, **given))
    if logo is not None:
        found.append(Patch(logo, **given))
    if border is not None:
        found.append(Border(colour=border))
    if cast is not None:
        found.append(Cast(cast))
    if blur is not None:
        found.append(Blur(blur))
    if jpeg is not None:
        found.append(Jpeg(jpeg))
    if function is not None:
        found.append(_function(function))
    return found


def _function(path: str) -> Alteration:
    module, _, attribute = path.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        made: Alteration = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise OptionError(f"there is no function {path!r} ({error}): give package.module:function") from error
    return made


def _photos(
    model: str,
    weights: Path | None,
    images: Path,
    artefacts: Path | None,
    how: list[Alteration],
    fraction: float,
    seed: int,
    name: str,
) -> tuple[Altered, Any]:
    """The photos with their copies, and what runs the model on them."""
    need_torch()
    keep_memory()
    from neuronym.collect import collect
    from neuronym.images import Images
    from neuronym.models import load_model
    from neuronym.overlays import beside, overlay

    if bool(how) is (artefacts is not None):
        raise OptionError(
            "say how to alter the photos: --text, --logo, --border, --cast, --blur, --jpeg, --function; or --artefacts"
        )
    loaded = load_model(model, weights)
    if loaded.reads_text:
        raise OptionError(f"{loaded.name} reads texts, and copies are made of images")
    taken = Images(images, loaded.prepare)
    photos = (
        overlay(taken, how, fraction, seed, name=name) if artefacts is None else beside(taken, artefacts, name=name)
    )

    def run(layers: list[str], out: Path | None, overwrite: bool, progress: bool) -> Any:
        return told(
            collect,
            loaded.model,
            photos,
            layers=layers,
            out=None if out is None else out / "acts.zarr",
            about={"model": loaded.name, "preprocessing": loaded.preprocessing},
            overwrite=overwrite,
            progress=progress,
        )

    return photos, run


def _of_photos(path: Path | None) -> Concepts | None:
    from neuronym.store import open_concepts

    return None if path is None else open_concepts(path)


def _print(found: Findings, as_json: bool) -> None:
    if not as_json:
        print(found)
        return
    tables = {"neurons": found.neurons, "classes": found.classes}
    rows = {
        name: table.astype(object).where(table.notna(), None).to_dict("records")
        for name, table in tables.items()
        if table is not None
    }
    print(json.dumps(rows, ensure_ascii=False))
