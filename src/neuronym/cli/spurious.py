"""The command ``neuronym spurious``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neuronym._util.files import check_target
from neuronym.cli.shared import class_names, keep_memory, listed, need_torch, told
from neuronym.errors import FileError, OptionError

if TYPE_CHECKING:
    from neuronym.analysis.spurious.findings import Findings
    from neuronym.analysis.spurious.overlays import Alteration, AlteredSamples
    from neuronym.data.concepts import Concepts
    from neuronym.labels.labels import Labels

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
    colour: Annotated[str | None, typer.Option(help="Of the text; white by default.")] = None,
    place: Annotated[
        Literal["centre", "random", "tiled"] | None, typer.Option(help="Where text or logo is put.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the alteration is called.")] = "altered",
    fraction: Annotated[float | None, typer.Option(help="The share of photos that get a copy; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="The seed of what is drawn.")] = 0,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read.")
    ] = False,
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
    from neuronym.analysis.spurious.findings import find_spurious
    from neuronym.analysis.spurious.findings import relabel as relabeled
    from neuronym.io.zarr_store import split_path

    if paired and unpaired:
        raise OptionError("give one of --paired and --unpaired")
    if classes is not None and outputs is None:
        raise OptionError("--classes names the neurons of --outputs: give both")
    asked = {"text": text, "font": font, "colour": colour, "logo": logo, "border": border, "cast": cast, "blur": blur}
    asked |= {"jpeg": jpeg, "function": function, "artefacts": artefacts, "size": size, "opacity": opacity}
    asked |= {"place": place, "fraction": fraction, "images": images, "weights": weights, "layers": layers}
    given = [key for key, value in asked.items() if value is not None]
    named, photos = class_names(classes), None
    if model is None:
        if activations is None or concepts is None or not suspects:
            raise OptionError("give ACTIVATIONS, CONCEPTS and --suspects, or --model, --images and what to alter")
        if given:
            raise OptionError(f"--{given[0]} goes with --model, which runs on photos and altered copies")
        shown: Any = concepts
        taken: Any = activations
        flag: Any = outputs if split_path(activations) is not None or outputs is None else True
        chosen = listed(suspects)
    else:
        if activations is not None or images is None:
            raise OptionError("with --model give --images, and no activations: they are made")
        wanted = list(dict.fromkeys([*listed(layers), *listed(outputs)]))
        if not wanted:
            raise OptionError("name layers with --layers, or those of the logits with --outputs")
        how = _alterations(asked)
        photos, run = _photos(model, weights, images, artefacts, how, fraction, seed, name, skip_unreadable)
        shown = photos.concepts(_of_photos(photo_concepts))
        chosen, flag = [name, *listed(suspects)], outputs
    targets = _targets(out, overwrite, relabel, outputs is not None)
    if photos is not None:
        taken = run(wanted, out, overwrite, not quiet)
    options: dict[str, Any] = {"clusters": False if clusters == "none" else clusters, "progress": not quiet}
    found = find_spurious(
        taken,
        shown,
        suspects=chosen,
        outputs=flag,
        class_names=named,
        paired=True if paired else False if unpaired else None,
        seed=seed,
        **options,
    )
    labels = None
    if relabel:
        labels = relabeled(taken, shown, chosen, length=length, min_fraction=min_fraction, **options)
    _finish(found, labels, photos, targets, overwrite)
    _print(found, labels, chosen, out, as_json, quiet)


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


def _finish(
    found: Findings, labels: Labels | None, photos: AlteredSamples | None, targets: dict[str, Path], overwrite: bool
) -> None:
    """Write tables, labels and figure; what an earlier run left of those that this one lacks goes."""
    if not targets:
        return
    from neuronym.plots import plot_findings

    folder = targets["neurons.csv"].parent
    for name in ("classes.csv", "labels.csv"):
        if overwrite and name not in targets:
            (folder / name).unlink(missing_ok=True)
    found.save(folder, overwrite=overwrite)
    if labels is not None:
        labels.save(targets["labels.csv"], overwrite=overwrite)
    plot_findings(found, targets["findings.png"], photos=photos, overwrite=overwrite)


def _alterations(asked: dict[str, Any]) -> list[Alteration]:
    """What is done to photos, in the order of the options."""
    from neuronym.analysis.spurious.overlays import Blur, Border, Cast, Jpeg, Patch, Text
    from neuronym.network.models import load_function

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


def _photos(
    model: str,
    weights: Path | None,
    images: Path,
    artefacts: Path | None,
    how: list[Alteration],
    fraction: float | None,
    seed: int,
    name: str,
    skip: bool,
) -> tuple[AlteredSamples, Any]:
    """The photos with their copies, and what runs the model on them."""
    need_torch()
    keep_memory()
    from neuronym.analysis.spurious.overlays import overlay, pair_with_artefacts
    from neuronym.io.images import Images
    from neuronym.network.collecting import collect
    from neuronym.network.models import load_model

    if bool(how) is (artefacts is not None):
        raise OptionError(
            "say how to alter the photos: --text, --logo, --border, --cast, --blur, --jpeg, --function; or --artefacts"
        )
    if artefacts is not None and fraction is not None:
        raise OptionError("--fraction is of the photos that are altered, and --artefacts are there as they are")
    loaded = load_model(model, weights)
    if loaded.reads_text:
        raise OptionError(f"{loaded.name} reads texts, and copies are made of images")
    taken = Images(images, loaded.prepare, skip_unreadable=skip)
    share = 1.0 if fraction is None else fraction
    photos = (
        overlay(taken, how, share, seed, name=name) if how else pair_with_artefacts(taken, artefacts or "", name=name)
    )

    def run(layers: list[str], out: Path | None, overwrite: bool, progress: bool) -> Any:
        options: dict[str, Any] = {
            "layers": layers,
            "out": None if out is None else out / "acts.zarr",
            "about": {"model": loaded.name, "preprocessing": loaded.preprocessing},
            "progress": progress,
        }
        try:  # activations that are there and made in the same way are taken, not made again
            return told(collect, loaded.model, photos, **options)
        except FileError:
            if not overwrite:
                raise
            return told(collect, loaded.model, photos, overwrite=True, **options)

    return photos, run


def _of_photos(path: Path | None) -> Concepts | None:
    from neuronym.io.files import open_concepts

    return None if path is None else open_concepts(path)


def _print(
    found: Findings, labels: Labels | None, chosen: list[str], out: Path | None, as_json: bool, quiet: bool
) -> None:
    if as_json:
        tables = {"neurons": found.neurons, "classes": found.classes}
        rows: dict[str, Any] = {
            name: table.astype(object).where(table.notna(), None).to_dict("records")
            for name, table in tables.items()
            if table is not None
        }
        if labels is not None:
            rows["labels"] = json.loads(labels.to_json())["labels"]
        print(json.dumps(rows, ensure_ascii=False))
    elif not quiet:
        print(found)
        if labels is not None:
            print(f"\n{len(labels)} labels have {' or '.join(chosen)} in their formula")
            print(labels.head(_RELABEL_AT_MOST))
        if out is not None:
            print(f"\ntables and figure are in {out}")
