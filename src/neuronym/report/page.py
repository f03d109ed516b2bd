"""A page to browse the neurons: one folder that opens by double click, with no server and no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from neuronym import inputs
from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym._util.messages import counted, some, warn
from neuronym._util.parallel import check_n_jobs, progress_bar
from neuronym.analysis.circuits import Circuit, open_circuit
from neuronym.analysis.spurious import Findings, open_findings
from neuronym.data.depths import as_hierarchy
from neuronym.errors import FileError, OptionError
from neuronym.labels.labels import Labels
from neuronym.report.building import Builder, piece
from neuronym.report.detail import Layer
from neuronym.report.sections import circuits_data, compared_data, findings_data
from neuronym.report.shown import ShownSamples
from neuronym.types import ActivationsLike, ConceptsLike, HierarchyLike, LabelsLike, PathLike, SamplesLike

__all__ = ["explore", "report"]

_VENDORED = ("vendor/uPlot.iife.min.js", "vendor/uPlot.min.css", "vendor/uPlot.LICENSE")
_STATIC = ("app.js", "views.js", "charts.js", "style.css", *_VENDORED)


def report(
    labels: LabelsLike,
    out: PathLike = "report",
    *,
    activations: ActivationsLike | None = None,
    concepts: ConceptsLike | None = None,
    samples: SamplesLike | None = None,
    names: Mapping[str, str] | None = None,
    hierarchy: HierarchyLike | None = None,
    other: LabelsLike | None = None,
    circuits: Circuit | PathLike | Iterable[Circuit | PathLike] = (),
    findings: Findings | PathLike | None = None,
    title: str = "Neurons",
    n_samples: int = 12,
    seed: int = 0,
    n_jobs: int | None = -1,
    align: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Write a report of labels as a folder with ``index.html``, which any browser opens from the disk.

    Parameters
    ----------
    labels : Labels, or their file
    out : the folder to write; it is complete or absent
    activations, concepts : those that the labels were found with; without them there are no distributions, curves and
        samples
    samples : what stands for each sample: a folder of images or ``Images``, arrays (n, height, width[, 3]) or images
        of Pillow, texts, a table of them, or a DataFrame whose rows are shown; matched by ids where both sides have
        such
    names : readable names of concepts
    hierarchy : above the concepts, for parents, children and depth
    other : a second set of labels, set beside the first
    circuits : ``Circuit``, or the ``.json`` of one, or several
    findings : ``Findings`` of spurious features, or the folder that they were saved in
    title : of the page
    n_samples : how many samples of each kind are shown for a neuron
    seed : of random draws
    n_jobs : thumbnails made at once; -1 is one per processor
    align : keep the samples that activations and concepts have in common, as ``label`` does
    overwrite : replace a report that is there
    progress : show bars on standard error

    Returns
    -------
    the path of ``index.html``

    Raises
    ------
    InputError
        One of its kinds, where activations, concepts or samples cannot be used.
    FileError
        If the folder exists and ``overwrite`` is off, holds something else, or cannot be written.
    """
    need("a report", "report")
    found = labels if isinstance(labels, Labels) else Labels.open(labels)
    if not len(found):
        raise OptionError("there are no labels to report")
    for name, value, least in (("n_samples", n_samples, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < least:
            raise OptionError(f"{name} must be a whole number of at least {least}, not {value!r}")
    check_n_jobs(n_jobs)
    target = _check_folder(Path(out), overwrite)
    second = other if isinstance(other, Labels) or other is None else Labels.open(other)
    layers = _layers(found, activations, concepts, align)
    shown = _samples(layers, samples)
    known = None if hierarchy is None else as_hierarchy(hierarchy)
    listed: Any = [circuits] if isinstance(circuits, str | Path | Circuit) else circuits
    opened_circuits = [open_circuit(one) if isinstance(one, str | Path) else one for one in listed]
    opened_findings = open_findings(findings) if isinstance(findings, str | Path) else findings
    scratch = target.with_name(f".{target.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(parents=False)
        builder = Builder(found, layers, shown, dict(names or {}), known, n_samples, seed, scratch, n_jobs)
        index = builder.index()
        done = builder.neurons()
        for _ in progress_bar(done, int, "neurons", len(found)) if progress else done:
            pass
        builder.concepts(index["concepts"])
        if builder.unknown:
            warn(
                f"formulas have {counted(len(builder.unknown), 'concept')} that are not among those given "
                f"({some(sorted(builder.unknown))}): their neurons have no curves"
            )
        sections = {
            "circuits": circuits_data(opened_circuits),
            "findings": findings_data(opened_findings),
            "compared": compared_data(found, second),
        }
        for name, data in sections.items():
            if data is not None:
                piece(scratch, name, data)
        index |= {"title": title, "sections": [name for name, data in sections.items() if data is not None]}
        index["thumbs"] = shown is not None and shown.pictured
        piece(scratch, "index", index)
        _static(scratch, title)
        if target.exists():
            shutil.rmtree(target)
        scratch.rename(target)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"cannot write the report {str(out)!r}: {first_line(error)}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Path(out) / "index.html"


def explore(labels: LabelsLike, out: PathLike = "report", *, height: int = 800, **options: Any) -> Any:
    """Write a report and open it inside a notebook.

    Parameters
    ----------
    labels, out, options : as for ``report``; the folder must lie below that of the notebook
    height : in pixels

    Returns
    -------
    IPython.display.IFrame
    """
    try:
        from IPython.display import IFrame
    except ImportError as error:
        raise OptionError(
            "explore shows a page in a notebook, and IPython is not there: open report()'s file"
        ) from error
    return IFrame(str(report(labels, out, **options)), "100%", height)


def _layers(
    labels: Labels, activations: ActivationsLike | None, concepts: ConceptsLike | None, align: bool
) -> dict[str | None, Layer]:
    """The layers that the labels are of, their samples numbered alike."""
    if activations is None:
        return {}
    given = inputs.as_layers(activations)
    wanted = list(dict.fromkeys(label.layer for label in labels))
    if list(given) == [None] and len(wanted) == 1:  # one matrix for labels of one layer
        given = {wanted[0]: given[None]}
    used = {name: given[name] for name in wanted if name in given}
    aligned = inputs.align(used, concepts, keep_common=align) if used else []
    layers = {one.layer: Layer.of(one) for one in aligned}
    for name, layer in layers.items():
        if not any(label.layer == name and label.neuron in layer.places for label in labels):
            raise OptionError(f"none of the neurons labelled in {name or 'the labels'} is in the activations given")
    if not layers:
        raise OptionError(
            f"the labels are of the layers {', '.join(map(str, wanted))}, and the activations of "
            f"{', '.join(map(str, given))}: give those that were labelled"
        )
    known: dict[str, int] = {}
    first = next(iter(layers.values()))
    for name, layer in layers.items():
        alike = layer.ids is not None or len(layer.numbers) == len(first.numbers)
        if (layer.ids is None) is not (first.ids is None) or not alike:
            raise OptionError(f"layer {name!r} is of other samples than the first: give ids to all, or the same ones")
        if layer.ids is not None:
            layer.numbers = np.array([known.setdefault(i, len(known)) for i in layer.ids], np.int64)
    return layers


def _samples(layers: Mapping[str | None, Layer], given: Any) -> ShownSamples | None:
    if not layers:
        if given is not None:
            raise OptionError("samples are shown by their activations: give activations too")
        return None
    ids: dict[str, None] = {}
    for layer in layers.values():
        ids |= dict.fromkeys(layer.ids or ())
    first = next(iter(layers.values()))
    return ShownSamples.of(given, list(ids) or None, len(ids) or first.taken.n_samples)


def _check_folder(out: Path, overwrite: bool) -> Path:
    """The folder to write, absolute; a report that is there may be replaced, nothing else."""
    target = out.resolve()
    if not target.parent.is_dir():
        raise FileError(f"cannot write {str(out)!r}: there is no folder {str(target.parent)!r}, so make it first")
    if target.exists():
        ours = target.is_dir() and (not any(target.iterdir()) or (target / "data" / "index.js").is_file())
        if not ours:
            raise FileError(f"{str(out)!r} is there and is no report: choose another name")
        if not overwrite and any(target.iterdir()):
            raise FileError(
                f"{str(out)!r} exists: choose another name, or replace it with overwrite=True (--overwrite)"
            )
    return target


def _static(folder: Path, title: str) -> None:
    """The page itself, its scripts and style."""
    source = files("neuronym.report") / "static"
    for name in _STATIC:
        path = folder / "assets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((source / name).read_bytes())
    from jinja2 import Environment

    text = (source / "index.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True).from_string(text).render(title=title)
    (folder / "index.html").write_text(page, encoding="utf-8")
