"""A whole study of spurious features: photos, altered copies and a model in; findings, labels and files out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.extras import need
from neuronym._util.files import check_target, make_folder
from neuronym.analysis.spurious import findings as _findings
from neuronym.analysis.spurious.alterations import Text
from neuronym.analysis.spurious.findings import Findings, find_spurious
from neuronym.analysis.spurious.overlays import Alteration, AlteredSamples, overlay, pair_with_artefacts
from neuronym.data.activations import Activations
from neuronym.errors import FileError, OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.images import Images
from neuronym.io.texts import open_class_names
from neuronym.io.zarr_store import split_path
from neuronym.labels.labels import Labels
from neuronym.network.collecting import collect
from neuronym.network.models import LoadedModel, load_model
from neuronym.search.beam import Rules
from neuronym.types import ActivationsLike, ClustersLike, ConceptsLike, ImagesLike, Name, PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SpuriousStudy", "spurious"]

_SHOWN = 20  # labels of a text


@dataclass(frozen=True)
class SpuriousStudy:
    """What ``spurious`` found.

    Parameters
    ----------
    findings : Findings
        Neurons, and classes where outputs were named, by how well they tell the suspects.
    suspects : tuple of str
        The concepts under suspicion, the alteration's first.
    labels : Labels or None
        The labels whose formula holds a suspect, where ``relabel`` was on.
    photos : AlteredSamples or None
        The photos and their copies, where a model was run.
    """

    findings: Findings
    suspects: tuple[str, ...]
    labels: Labels | None = None
    photos: AlteredSamples | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as for JSON: ``neurons``, and ``classes`` and ``labels`` where there are any."""
        tables = {"neurons": self.findings.neurons, "classes": self.findings.classes}
        rows: dict[str, Any] = {name: _records(table) for name, table in tables.items() if table is not None}
        if self.labels is not None:
            rows["labels"] = json.loads(self.labels.to_json())["labels"]
        return rows

    def __str__(self) -> str:
        if self.labels is None:
            return str(self.findings)
        head = f"{len(self.labels)} labels have {' or '.join(self.suspects)} in their formula"
        return f"{self.findings}\n\n{head}\n{self.labels.head(_SHOWN)}"


def _records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def spurious(
    activations: ActivationsLike | None = None,
    concepts: ConceptsLike | None = None,
    *,
    suspects: str | Sequence[str] = (),
    outputs: str | bool | None = None,
    classes: PathLike | Mapping[Name, str] | Sequence[str] | None = None,
    model: LoadedModel | str | None = None,
    weights: PathLike | None = None,
    images: ImagesLike | None = None,
    layers: Sequence[str] = (),
    photo_concepts: ConceptsLike | None = None,
    alterations: Alteration | Sequence[Alteration] = (),
    artefacts: PathLike | None = None,
    name: str = "altered",
    fraction: float | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
    paired: bool | None = None,
    clusters: ClustersLike = None,
    relabel: bool = False,
    length: int = Rules.length,
    min_fraction: float = Rules.min_fraction,
    out: PathLike | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> SpuriousStudy:
    """Find neurons and classes that respond to what they should not: a watermark, a border, any suspect concept.

    Either from activations and concepts, or from a model and photos: then copies of the photos are altered, the model
    is run on both, and pairs are compared.

    Parameters
    ----------
    activations, concepts : ActivationsLike, ConceptsLike
        As for ``neuronym.label``; without ``model``.
    suspects : str or sequence of str
        Concepts under suspicion; with ``model`` those besides the alteration.
    outputs : str or bool, optional
        The layer whose neurons are the logits of classes; True where activations have no layers.
    classes : str, Path, mapping or sequence of str, optional
        Names of the classes: a file with one a line, or as ``class_names`` of ``find_spurious``.
    model : LoadedModel or str, optional
        Run on photos and altered copies; a name as for ``load_model``.
    weights : str or Path, optional
        A state dict for a model given by name.
    images : Images, str or Path, optional
        The photos: a folder, with its subfolders.
    layers : sequence of str
        Names of modules to collect besides ``outputs``.
    photo_concepts : ConceptsLike, optional
        What the photos show, for ``relabel``.
    alterations : Alteration or sequence of Alteration
        How photos are altered, as for ``overlay``; or else give ``artefacts``.
    artefacts : str or Path, optional
        A folder of photos with the artefact; those with the path of a photo are its pair.
    name : str, default "altered"
        The name of the alteration, as a concept.
    fraction : float, optional
        The share of photos that get a copy; all by default.
    seed : int, default 0
        Of all random draws.
    skip_unreadable : bool, default False
        Leave out images that cannot be read.
    paired : bool, optional
        As for ``find_spurious``.
    clusters : ClustersLike, optional
        As for ``neuronym.label``.
    relabel : bool, default False
        Label neurons with the suspects among the concepts, and keep formulas that hold one.
    length : int, default 3
        The most concepts in these formulas.
    min_fraction : float, default 0
        The smallest share of samples that these formulas may be true for.
    out : str or Path, optional
        A folder for ``neurons.csv``, ``classes.csv``, ``labels.csv``, and the activations, ``acts.zarr``. Rerun to
        resume an interrupted pass.
    overwrite : bool, default False
        Replace files that exist.
    progress : bool, default False
        Show bars on standard error.

    Returns
    -------
    SpuriousStudy

    Raises
    ------
    OptionError
        If options contradict each other or something is missing.
    InputError
        One of its kinds, where files, activations or concepts cannot be used.
    """
    named = [suspects] if isinstance(suspects, str) else list(suspects)
    if classes is not None and outputs is None:
        raise OptionError("classes names the neurons of outputs: give both (--classes, --outputs)")
    photos = None
    if model is None:
        _check_without_model(activations, concepts, named, weights, images, layers, alterations, artefacts, fraction)
        whole = not isinstance(activations, str | Path) or split_path(activations) is not None
        flag = outputs if outputs is None or whole else True
        kept: Any = concepts
    else:
        photos, loaded = _photos(
            model, weights, images, activations, alterations, artefacts, fraction, seed, name, skip_unreadable
        )
        wanted = list(dict.fromkeys([*layers, *([outputs] if isinstance(outputs, str) else [])]))
        if not wanted:
            raise OptionError("name layers (--layers), or the layer of the logits (--outputs)")
        shown = None if photo_concepts is None else as_concepts(photo_concepts)
        kept, named, flag = photos.concepts(shown), [name, *named], outputs
    targets = _targets(out, overwrite, relabel, outputs is not None)
    class_names = open_class_names(classes) if isinstance(classes, str | Path) else classes
    taken: Any = activations if photos is None else _collected(loaded, photos, wanted, out, overwrite, progress)
    options: dict[str, Any] = {"clusters": clusters, "progress": progress}
    found = find_spurious(
        taken, kept, suspects=named, outputs=flag, class_names=class_names, paired=paired, seed=seed, **options
    )
    labels = None
    if relabel:
        labels = _findings.relabel(taken, kept, named, length=length, min_fraction=min_fraction, **options)
    study = SpuriousStudy(found, tuple(named), labels, photos)
    _save(study, targets, overwrite)
    return study


def _check_without_model(activations: object, concepts: object, suspects: Sequence[str], *of_a_model: object) -> None:
    """Refuse what goes with a model only."""
    if activations is None or concepts is None or not suspects:
        raise OptionError(
            "give activations, concepts and suspects (--suspects), or a model, images and how to alter them (--model, "
            "--images, --text …)"
        )
    names = ("weights", "images", "layers", "alterations", "artefacts", "fraction")
    for name, given in zip(names, of_a_model, strict=True):
        if given is not None and given != () and given != []:
            raise OptionError(f"{name} goes with a model, which runs on photos and altered copies (--model)")


def _photos(
    model: LoadedModel | str,
    weights: PathLike | None,
    images: ImagesLike | None,
    activations: object,
    alterations: Alteration | Sequence[Alteration],
    artefacts: PathLike | None,
    fraction: float | None,
    seed: int,
    name: str,
    skip_unreadable: bool,
) -> tuple[AlteredSamples, LoadedModel]:
    """The photos with their copies, and the model for them."""
    if activations is not None or images is None:
        raise OptionError("with a model give images, and no activations: they are collected (--model, --images)")
    how = [alterations] if callable(alterations) else list(alterations)
    if bool(how) is (artefacts is not None):
        raise OptionError(
            "say how to alter the photos: --text, --logo, --border, --cast, --blur, --jpeg, --function (alterations=); "
            "or --artefacts"
        )
    if artefacts is not None and fraction is not None:
        raise OptionError("fraction is the share of photos to alter, and artefacts are photos as they are: give one")
    need("a study of photos", "spurious", ["PIL", *["fontTools", "matplotlib"] * any(isinstance(h, Text) for h in how)])
    need("a study of photos", "torch")
    loaded = load_model(model, weights) if isinstance(model, str) else model
    if loaded.reads_text:
        raise OptionError(f"{loaded.name} reads texts, and copies are made of images")
    taken = images if isinstance(images, Images) else Images(images, loaded.prepare, skip_unreadable=skip_unreadable)
    if artefacts is not None:
        return pair_with_artefacts(taken, artefacts, name=name), loaded
    return overlay(taken, how, 1.0 if fraction is None else fraction, seed, name=name), loaded


def _targets(out: PathLike | None, overwrite: bool, relabel: bool, outputs: bool) -> dict[str, Path]:
    """The files to write, in a folder that is made; checked before the work."""
    if out is None:
        return {}
    names = ["neurons.csv", *["classes.csv"] * outputs, *["labels.csv"] * relabel]
    return {name: check_target(make_folder(out) / name, overwrite) for name in names}


def _collected(
    loaded: LoadedModel,
    photos: AlteredSamples,
    layers: list[str],
    out: PathLike | None,
    overwrite: bool,
    progress: bool,
) -> dict[str, Activations]:
    """Activations on photos and copies; those that are in the folder and were collected alike are opened."""
    store = None if out is None else Path(out) / "acts.zarr"
    try:
        return collect(loaded, photos, layers=layers, out=store, progress=progress)
    except FileError:
        if not overwrite:
            raise
        return collect(loaded, photos, layers=layers, out=store, overwrite=True, progress=progress)


def _save(study: SpuriousStudy, targets: dict[str, Path], overwrite: bool) -> None:
    """Write tables and labels; what an earlier run left of those that this one lacks is deleted."""
    if not targets:
        return
    folder = targets["neurons.csv"].parent
    for name in ("classes.csv", "labels.csv"):
        if overwrite and name not in targets:
            (folder / name).unlink(missing_ok=True)
    study.findings.save(folder, overwrite=overwrite)
    if study.labels is not None:
        study.labels.save(targets["labels.csv"], overwrite=overwrite)
