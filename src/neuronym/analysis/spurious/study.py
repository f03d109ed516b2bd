"""A complete study of spurious features: from photos, altered copies and a model to findings, labels and files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.extras import need
from neuronym._util.folders import replacing
from neuronym.analysis.spurious import findings as _findings
from neuronym.analysis.spurious.alterations import Text
from neuronym.analysis.spurious.findings import Findings, find_spurious
from neuronym.analysis.spurious.overlays import Alteration, AlteredSamples, overlay, pair_photos_with_artefacts
from neuronym.data.activations import Activations
from neuronym.errors import FileError, OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.images import Images
from neuronym.io.texts import open_class_names
from neuronym.io.zarr_store import split_path
from neuronym.labels.labels import Labels
from neuronym.network.collecting import collect
from neuronym.network.models import LoadedModel, load_model, say_preprocessing
from neuronym.search.beam import Rules
from neuronym.types import ActivationsLike, ClustersLike, ConceptsLike, ImagesLike, Name, PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SpuriousStudy", "spurious", "study_folder"]

_SHOWN = 20  # labels printed
_STORE = "acts.zarr"


@dataclass(frozen=True)
class SpuriousStudy:
    """The results of ``spurious``.

    Parameters
    ----------
    findings : Findings
        How neurons, and classes if ``outputs`` was given, respond to the suspects.
    suspects : tuple of str
        The suspect concepts, with the alteration first.
    labels : Labels, optional
        The labels whose formula contains a suspect, if ``relabel`` was on.
    photos : AlteredSamples, optional
        The photos and their copies, if a model was run.
    """

    findings: Findings
    suspects: tuple[str, ...]
    labels: Labels | None = None
    photos: AlteredSamples | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain data that can be written as JSON.

        Returns
        -------
        dict
            The rows of ``neurons`` and, if there are any, those of ``classes`` and ``labels``.
        """
        tables = {"neurons": self.findings.neurons, "classes": self.findings.classes}
        rows: dict[str, Any] = {name: _records(table) for name, table in tables.items() if table is not None}
        if self.labels is not None:
            rows["labels"] = json.loads(self.labels.to_json())["labels"]
        return rows

    def __str__(self) -> str:
        if self.labels is None:
            return str(self.findings)
        heading = f"{len(self.labels)} labels have {' or '.join(self.suspects)} in their formula"
        return f"{self.findings}\n\n{heading}\n{self.labels.head(_SHOWN)}"


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
    spreadsheet: bool = False,
    progress: bool = False,
) -> SpuriousStudy:
    """Find neurons and classes that respond to a spurious concept: a watermark, a border, any suspect concept.

    Give either activations and concepts, or a model and photos. With a model, the photos are copied and altered, the
    model is run on photos and copies, and each pair is compared.

    Parameters
    ----------
    activations : ActivationsLike, optional
        The activations, as for ``neuronym.label``; only without ``model``.
    concepts : ConceptsLike, optional
        The concepts of the same samples; only without ``model``.
    suspects : str or sequence of str
        The suspect concepts; with ``model``, those besides the alteration.
    outputs : str or bool, optional
        The layer whose neurons are the logits of classes; True if the activations have no layers.
    classes : str, Path, mapping or sequence of str, optional
        Names of the classes, as ``class_names`` of ``find_spurious``, or a file with one per line.
    model : LoadedModel or str, optional
        The model to run on photos and altered copies; a name is loaded by ``load_model``.
    weights : str or Path, optional
        A state dict for a model given by name.
    images : Images, str or Path, optional
        The photos, or a folder of them, including its subfolders.
    layers : sequence of str
        Names of modules to collect besides ``outputs``.
    photo_concepts : ConceptsLike, optional
        The concepts of the photos, for ``relabel``.
    alterations : Alteration or sequence of Alteration
        How to alter the photos, as for ``overlay``; give either these or ``artefacts``.
    artefacts : str or Path, optional
        A folder of photos with the artefact, paired with the photos of the same relative path.
    name : str, default "altered"
        The name of the alteration, as a concept.
    fraction : float, optional
        The share of photos to copy; all by default.
    seed : int, default 0
        The seed of all random draws.
    skip_unreadable : bool, default False
        Leave out images that cannot be read.
    paired : bool, optional
        Require pairs, or ignore them, as for ``find_spurious``.
    clusters : ClustersLike, optional
        The group each sample belongs to, as for ``neuronym.label``.
    relabel : bool, default False
        Label neurons with the suspects among the concepts, and keep labels whose formula contains a suspect.
    length : int, default 3
        The largest length of these formulas.
    min_fraction : float, default 0
        The smallest share of samples for which these formulas may be true.
    out : str or Path, optional
        A folder for ``neurons.csv``, ``classes.csv``, ``labels.csv`` and the activations, ``acts.zarr``. However the
        call ends, it is complete, or as it was. If interrupted, rerun the same call to resume.
    overwrite : bool, default False
        Whether to replace the folder of a study. Activations collected with the same settings are taken from it. A
        folder that holds anything else is never replaced.
    spreadsheet : bool, default False
        Make tables safe to open in a spreadsheet, as ``Labels.save`` does.
    progress : bool, default False
        Show progress bars on standard error.

    Returns
    -------
    SpuriousStudy
        The findings, and the labels with a suspect if ``relabel`` is on.

    Raises
    ------
    OptionError
        If options contradict each other or one is missing.
    InputError
        One of its subclasses, if files, activations or concepts cannot be used.
    """
    suspect_names = [suspects] if isinstance(suspects, str) else list(suspects)
    if classes is not None and outputs is None:
        raise OptionError("classes needs outputs, the layer whose neurons it names: give both (--classes, --outputs)")
    photos = None
    if model is None:
        model_only = {
            "weights": weights, "images": images, "layers": layers, "alterations": alterations, "artefacts": artefacts,
            "fraction": fraction,
        }  # fmt: skip
        _check_without_model(activations, concepts, suspect_names, model_only)
        has_layers = not isinstance(activations, str | Path) or split_path(activations) is not None
        logits = outputs if outputs is None or has_layers else True
        all_concepts: Any = concepts
    else:
        photos, loaded = _make_copies(
            model, weights, images, activations, alterations, artefacts, fraction, seed, name, skip_unreadable
        )
        wanted = list(dict.fromkeys([*layers, *([outputs] if isinstance(outputs, str) else [])]))
        if not wanted:
            raise OptionError(
                "there is no layer to collect: name layers (--layers) or the layer of the logits (--outputs)"
            )
        of_photos = None if photo_concepts is None else as_concepts(photo_concepts)
        all_concepts, suspect_names, logits = photos.concepts(of_photos), [name, *suspect_names], outputs
    class_names = open_class_names(classes) if isinstance(classes, str | Path) else classes
    options: dict[str, Any] = {"clusters": clusters, "progress": progress}
    with nullcontext() if out is None else study_folder(out, overwrite, model, activations) as folder:
        collected: Any = activations if photos is None else _collect(loaded, photos, wanted, folder, progress)
        findings = find_spurious(
            collected, all_concepts, suspects=suspect_names, outputs=logits, class_names=class_names, paired=paired,
            seed=seed, **options,
        )  # fmt: skip
        labels = None
        if relabel:
            labels = _findings.relabel(
                collected, all_concepts, suspect_names, length=length, min_fraction=min_fraction, **options
            )
        if folder is not None:
            findings.save(folder, spreadsheet=spreadsheet)
            if labels is not None:
                labels.save(folder / "labels.csv", spreadsheet=spreadsheet)
    return SpuriousStudy(findings, tuple(suspect_names), labels, photos)


def study_folder(
    path: PathLike, overwrite: bool, model: object, activations: ActivationsLike | None
) -> AbstractContextManager[Path]:
    """Open the folder of a study for writing, as ``replacing`` does.

    If the study runs a model, the folder starts with the activations of an earlier run, so that one that is interrupted
    is resumed, and one that is repeated need not run the model. It keeps them also if they are what is studied.
    """
    own = isinstance(activations, str | Path) and Path(path).resolve() in Path(activations).resolve().parents
    return replacing(path, "study of spurious features", overwrite, keep=[_STORE] if own or model is not None else [])


def _check_without_model(
    activations: object, concepts: object, suspects: Sequence[str], model_only: Mapping[str, object]
) -> None:
    """Refuse options that need a model."""
    if activations is None or concepts is None or not suspects:
        raise OptionError(
            "give activations, concepts and suspects (--suspects), or a model, images and how to alter them (--model, "
            "--images, --text …)"
        )
    for name, value in model_only.items():
        if value is not None and value != () and value != []:
            raise OptionError(f"{name} needs a model to run on photos and altered copies: give one (--model)")


def _make_copies(
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
    """Return the photos with their copies, and the model to run on them."""
    if activations is not None or images is None:
        raise OptionError(
            "a model is run on images to collect activations: give images instead of activations (--model, --images)"
        )
    how = [alterations] if callable(alterations) else list(alterations)
    if bool(how) is (artefacts is not None):
        raise OptionError(
            "say how to alter the photos: give either alterations (--text, --logo, --border, --cast, --blur, --jpeg, "
            "--function) or artefacts (--artefacts)"
        )
    if artefacts is not None and fraction is not None:
        raise OptionError(
            "fraction is the share of photos to alter, and artefacts are not altered: give one of the two"
        )
    need("a study of photos", "spurious", ["PIL", *["fontTools", "matplotlib"] * any(isinstance(h, Text) for h in how)])
    need("a study of photos", "torch")
    loaded = load_model(model, weights) if isinstance(model, str) else model
    if loaded.reads_text:
        raise OptionError(f"{loaded.name} reads texts, and only images can be altered: give a model that reads images")
    if not isinstance(images, Images):
        say_preprocessing(loaded)
    photos = images if isinstance(images, Images) else Images(images, loaded.prepare, skip_unreadable=skip_unreadable)
    if artefacts is not None:
        return pair_photos_with_artefacts(photos, artefacts, name=name), loaded
    return overlay(photos, how, 1.0 if fraction is None else fraction, seed, name=name), loaded


def _collect(
    loaded: LoadedModel, photos: AlteredSamples, layers: list[str], folder: Path | None, progress: bool
) -> dict[str, Activations]:
    """Collect activations on photos and copies, or go on with those in the folder if their settings are the same."""
    store = None if folder is None else folder / _STORE
    if store is not None and store.exists():
        try:
            return collect(loaded, photos, layers=layers, out=store, progress=progress)
        except FileError:  # they were collected with other settings
            shutil.rmtree(store)
    return collect(loaded, photos, layers=layers, out=store, progress=progress)
