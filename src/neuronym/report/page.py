"""A web page to browse neurons and their labels: a folder that opens in a browser, without a server or a network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from neuronym import inputs
from neuronym._util.characters import refuse_halves
from neuronym._util.extras import need
from neuronym._util.folders import check_folder, replacing
from neuronym._util.limits import SHOWN, TITLE, check_most
from neuronym._util.messages import counted, some, warn
from neuronym._util.parallel import check_n_jobs, progress_bar
from neuronym.analysis.circuits import Circuit, CircuitStudy
from neuronym.analysis.circuits.study import as_saved_study
from neuronym.analysis.dissect import MethodComparison
from neuronym.analysis.spurious import Findings, open_findings
from neuronym.data.depths import as_hierarchy
from neuronym.errors import OptionError
from neuronym.labels.labels import Labels, keys_of, layers_of
from neuronym.report.building import Builder, write_piece
from neuronym.report.detail import Layer
from neuronym.report.naming import readable_names
from neuronym.report.sections import (
    baselines_data,
    check_layers,
    circuits_data,
    compared_data,
    findings_data,
    methods_data,
)
from neuronym.report.shown import ShownSamples
from neuronym.report.single import join_files
from neuronym.report.words import words
from neuronym.types import ActivationsLike, Align, ConceptsLike, HierarchyLike, LabelsLike, PathLike, SamplesLike

__all__ = ["SCRIPTS", "explore", "report"]

_KIND = "report"
#: The scripts of the page in the order in which they run; libraries are loaded where a view needs them.
SCRIPTS = (
    "core.js", "formulas.js", "ui.js", "charts.js", "neurons.js", "neuron.js", "concepts.js", "samples.js", "layers.js",
    "methods.js", "circuits.js", "spurious.js", "words.js",
)  # fmt: skip
_LIBRARIES = ("vendor/d3.min.js", "vendor/plot.min.js", "vendor/dagre.min.js")
_STATIC = (*SCRIPTS, "style.css", *_LIBRARIES, *(name.replace(".min.js", ".LICENSE") for name in _LIBRARIES))


def report(
    labels: LabelsLike,
    out: PathLike = "report",
    *,
    activations: ActivationsLike | None = None,
    concepts: ConceptsLike | None = None,
    samples: SamplesLike | None = None,
    names: Mapping[str, str] | PathLike | None = None,
    hierarchy: HierarchyLike | None = None,
    other: LabelsLike | None = None,
    baselines: LabelsLike | Iterable[LabelsLike] = (),
    circuits: Circuit | CircuitStudy | PathLike | Iterable[Circuit | CircuitStudy | PathLike] = (),
    findings: Findings | PathLike | None = None,
    methods: MethodComparison | PathLike | None = None,
    title: str = "Neurons",
    n_samples: int = 12,
    seed: int = 0,
    n_jobs: int | None = -1,
    align: Align = False,
    single_file: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Write a report of labels: a folder whose ``index.html`` opens in any browser, from disk.

    Parameters
    ----------
    labels : LabelsLike
        The labels, or their file.
    out : str or Path, default "report"
        The folder to write. However the call ends, it is complete, or as it was.
    activations : ActivationsLike, optional
        The activations that the labels were found with, as for ``label``. Without them, the report shows no
        distributions, curves or samples.
    concepts : ConceptsLike, optional
        The concepts of the same samples, as for ``label``. Without them, the report shows no ROC curves or AUC of
        single concepts, and does not tell samples inside the formula from those outside.
    samples : SamplesLike, optional
        What to show for each sample: a folder of images or ``Images``; Pillow images, or arrays of shape (n, height,
        width) or (n, height, width, 3); texts, or a table of them; or a DataFrame, whose rows are shown. They are
        matched by sample ids if both sides have them.
    names : mapping of str to str, str or Path, optional
        Readable names of concepts, or their file: a table of two columns, ``concept,name``, or a ``.json`` object.
        Names of concepts that are not in the report are ignored, if others are. Where concepts share a name, their own
        are added to it, with a warning.
    hierarchy : HierarchyLike, optional
        A hierarchy of the concepts, to show parents, children and depth.
    other : LabelsLike, optional
        A second set of labels to compare with the first.
    baselines : LabelsLike, or iterable of LabelsLike, optional
        The labels of baselines, such as untrained networks, to compare layers with, as for ``compare_layers``.
    circuits : Circuit, CircuitStudy, str, Path, or iterable of these, optional
        Circuits, or their ``.json`` files; or studies, or the folders that they were saved in, which add comparisons
        and ablations. The labels must be of the same layers.
    findings : Findings, str or Path, optional
        Findings of spurious features of labelled layers, or the folder that they were saved in.
    methods : MethodComparison, str or Path, optional
        A comparison of INVERT, Network Dissection and Compositional Explanations, or its ``.json`` file.
    title : str, default "Neurons"
        The title of the page.
    n_samples : int, default 12
        The number of samples of each kind to show for a neuron.
    seed : int, default 0
        The seed of random draws of samples.
    n_jobs : int, default -1
        The number of thumbnails to make at once; -1 for one per processor.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    single_file : bool, default False
        Whether ``index.html`` contains all else, so that it can be sent or shown without its folder; it is loaded as a
        whole, so this is for reports of up to some thousands of thumbnails.
    overwrite : bool, default False
        Whether to replace a report. A folder that holds anything else is never replaced.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    Path
        The path of ``index.html``.

    Raises
    ------
    InputError
        If labels, activations, concepts or samples cannot be used, as one of the subclasses in ``neuronym.errors``.
    FileError
        If the folder exists and ``overwrite`` is off, is not a report, holds a file of another origin, or cannot be
        written, or another run is writing to it.
    """
    need("a report", "report")
    found = labels if isinstance(labels, Labels) else Labels.open(labels)
    if not len(found):
        raise OptionError("there are no labels to report")
    for name, value, least in (("n_samples", n_samples, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < least:
            raise OptionError(f"{name} must be a whole number of at least {least}, not {value!r}")
    check_most([("n_samples", n_samples, SHOWN)])
    if len(title) > TITLE:
        raise OptionError(f"title must have at most {TITLE:,} characters, not {len(title):,}")
    refuse_halves([title], "title", OptionError)
    check_n_jobs(n_jobs)
    check_folder(out, _KIND, overwrite)  # before the work
    second = other if isinstance(other, Labels) or other is None else Labels.open(other)
    compared_layers = baselines_data(found, baselines)
    layers = _layers(found, activations, concepts, align)
    shown = _samples(layers, samples)
    readable = readable_names(names, _concepts(found, layers))
    known = None if hierarchy is None else as_hierarchy(hierarchy)
    listed: Any = [circuits] if isinstance(circuits, str | Path | Circuit | CircuitStudy) else circuits
    studies = [as_saved_study(one) for one in listed]
    opened_findings = open_findings(findings) if isinstance(findings, str | Path) else findings
    opened_methods = MethodComparison.open(methods) if isinstance(methods, str | Path) else methods
    check_layers(found, studies, opened_findings)
    with replacing(out, _KIND, overwrite) as folder:
        builder = Builder(found, layers, shown, readable, known, n_samples, seed, folder, n_jobs)
        index = builder.index()
        done = builder.neurons()
        for _ in progress_bar(done, int, "neurons", len(found)) if progress else done:
            pass
        builder.concepts(index["concepts"])
        suspected = findings_data(opened_findings, layers)
        builder.add_pictures(suspected)
        index |= builder.of_concepts(index["concepts"])
        if builder.used:
            builder.write_samples(index["concepts"])
        if builder.unknown:
            warn(
                f"formulas contain {counted(len(builder.unknown), 'concept')} missing from the concepts given "
                f"({some(sorted(builder.unknown))}): the report shows no ROC curves for their neurons"
            )
        sections = {
            "circuits": circuits_data(studies),
            "findings": suspected,
            "compared": compared_data(found, second),
            "baselines": compared_layers,
            "methods": methods_data(found, opened_methods),
        }
        for name, data in sections.items():
            if data is not None:
                write_piece(folder, name, data)
        index |= {"title": title, "sections": [name for name, data in sections.items() if data is not None]}
        index["words"] = words()
        index["samples"], index["n_samples"] = len(builder.used), 0 if shown is None else len(shown.names)
        index["pictured"] = shown is not None and shown.pictured
        write_piece(folder, "index", index)
        _static(folder, title)
        if single_file:
            join_files(
                folder, [f"assets/{name}" for name in _STATIC if name.startswith("vendor/") and name.endswith(".js")]
            )
    return Path(out) / "index.html"


def explore(labels: LabelsLike, out: PathLike = "report", *, height: int = 800, **options: Any) -> Any:
    """Write a report as a single file and show it in a notebook.

    Jupyter shows a page that lies below the folder of the notebook, but refuses it the files beside it; in other
    notebooks, open the file in a browser.

    Parameters
    ----------
    labels : LabelsLike
        The labels, or their file.
    out : str or Path, default "report"
        The folder to write, which must be below that of the notebook, and not hidden.
    height : int, default 800
        The height of the frame in pixels.
    **options : object
        The other options of ``report``.

    Returns
    -------
    IPython.display.IFrame
        The frame.

    Raises
    ------
    OptionError
        If IPython is missing, ``height`` is no number of pixels, or Jupyter would not show files of this folder.
    InputError
        As for ``report``.
    """
    try:
        from IPython.display import IFrame
    except ImportError as error:
        raise OptionError(
            "explore needs IPython, to show the page in a notebook: call report() and open its file in a browser"
        ) from error
    if not isinstance(height, int) or height < 1:
        raise OptionError(f"height must be a whole number of pixels, not {height!r}")
    place = _below_notebook(out)
    report(labels, out, **{"single_file": True, **options})
    return IFrame(quote(f"{place}/index.html"), "100%", height)


def _below_notebook(out: PathLike) -> str:
    """The path of a folder, from that of the notebook, in which alone Jupyter looks for files."""
    notebook = Path(os.environ.get("JPY_SESSION_NAME", ""))  # its path, in Jupyter
    home = notebook.parent if notebook.is_absolute() and notebook.parent.is_dir() else Path.cwd()
    folder = Path(os.path.realpath(out))
    remedy = f"choose a name below {str(home)!r}, or call report() and open its file in a browser"
    if not folder.is_relative_to(realpath := Path(os.path.realpath(home))) or folder == realpath:
        raise OptionError(f"a notebook shows only files in folders below its own, but out is {str(out)!r}: {remedy}")
    below = folder.relative_to(realpath)
    if any(part.startswith(".") for part in below.parts):
        raise OptionError(f"a notebook shows no hidden files, but out is {str(out)!r}: {remedy}")
    return below.as_posix()


def _layers(
    labels: Labels, activations: ActivationsLike | None, concepts: ConceptsLike | None, align: Align
) -> dict[str | None, Layer]:
    """Return the layers that have labels, with their samples numbered consistently."""
    if activations is None:
        return {}
    available = inputs.as_layers(activations)
    labelled = layers_of(labels)
    if list(available) == [None] and len(labelled) == 1:  # one matrix for labels of one layer
        available = {labelled[0]: available[None]}
    used = {name: available[name] for name in labelled if name in available}
    aligned = inputs.align(used, concepts, keep_common=align) if used else []
    layers = {one.layer: Layer.of(one) for one in aligned}
    for name, layer in layers.items():
        if not any(of == name and neuron in layer.places for of, neuron in keys_of(labels)):
            raise OptionError(f"none of the neurons labelled in {name or 'the labels'} is in these activations")
    if not layers:
        raise OptionError(
            f"the labels belong to the layers {some(labelled)} but the activations to "
            f"{some(available)}: give the activations that were labelled"
        )
    known: dict[str, int] = {}
    first = next(iter(layers.values()))
    for name, layer in layers.items():
        alike = layer.ids is not None or len(layer.numbers) == len(first.numbers)
        if (layer.ids is None) is not (first.ids is None) or not alike:
            raise OptionError(
                f"layer {name!r} has other samples than the first: give sample ids to all layers, or the same samples"
            )
        if layer.ids is not None:
            layer.numbers = np.array([known.setdefault(i, len(known)) for i in layer.ids], np.int64)
    return layers


def _concepts(labels: Labels, layers: Mapping[str | None, Layer]) -> Iterator[str]:
    """The concepts of the formulas and of the layers, some of them several times."""
    for label in labels:
        yield from () if label.formula is None else label.formula.concepts
    for layer in layers.values():
        yield from () if layer.concepts is None else layer.concepts.names


def _samples(layers: Mapping[str | None, Layer], samples: SamplesLike | None) -> ShownSamples | None:
    """Match the samples to show with the activations; None without activations."""
    if not layers:
        if samples is not None:
            raise OptionError("samples are chosen by their activations: give activations too")
        return None
    ids: dict[str, None] = {}
    for layer in layers.values():
        ids |= dict.fromkeys(layer.ids or ())
    first = next(iter(layers.values()))
    return ShownSamples.of(samples, list(ids) or None, len(ids) or first.activations.n_samples)


def _static(folder: Path, title: str) -> None:
    """Write the page itself, its scripts and its style."""
    source = files("neuronym.report") / "static"
    for name in _STATIC:
        path = folder / "assets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((source / name).read_bytes())
    from jinja2 import Environment

    text = (source / "index.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True).from_string(text).render(title=title, scripts=SCRIPTS)
    (folder / "index.html").write_text(page, encoding="utf-8")
