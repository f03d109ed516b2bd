"""Plot of how neurons and classes respond to a suspect concept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym._util.files import check_target
from neuronym._util.messages import no_such
from neuronym.analysis.spurious import AlteredSamples, Findings
from neuronym.plots.drawing import INSIDE, OUTSIDE, PLAIN, legend
from neuronym.plots.figures import COLOURS, new_figure, save_figure
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["plot_findings"]


def plot_findings(
    findings: Findings,
    path: PathLike,
    *,
    suspect: str | None = None,
    photos: AlteredSamples | None = None,
    n_photos: int = 4,
    n_shown: int = 10,
    overwrite: bool = False,
) -> None:
    """Draw a suspect: photos beside altered copies, the AUC of neurons by layer, and the classes that gain and lose.

    Parameters
    ----------
    findings : Findings
        The findings.
    path : str or Path
        The file to write: ``.png``, ``.pdf`` or ``.svg``.
    suspect : str, optional
        The suspect concept; the first by default.
    photos : AlteredSamples, optional
        The return value of ``overlay`` or ``pair_photos_with_artefacts``, to show some of its pairs.
    n_photos : int, default 4
        The number of pairs of photos.
    n_shown : int, default 10
        The number of classes that gain; a third as many that lose are drawn below them.
    overwrite : bool, default False
        Whether to replace an existing file.

    Raises
    ------
    UnknownNameError
        If there is no such suspect.
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    OptionError
        If matplotlib is missing.
    """
    known = findings.neurons["suspect"].drop_duplicates().tolist()
    suspect = known[0] if suspect is None else suspect
    if suspect not in known:
        raise no_such("suspect", suspect, known)
    check_target(path, overwrite)
    n_panels = 1 + (findings.classes is not None)
    figure = new_figure(5.2 * n_panels, 3.6 + 3.2 * (photos is not None))
    bottom: Any = figure
    if photos is not None:
        parts: Any = figure.subfigures(2, 1, height_ratios=[3.2, 3.6])
        _draw_photos(parts[0].subplots(2, n_photos, squeeze=False), photos)
        bottom = parts[1]
    panels = bottom.subplots(1, n_panels, squeeze=False)[0]
    neurons = findings.neurons[findings.neurons["suspect"] == suspect]
    layers = neurons.groupby("layer", sort=False) if "layer" in neurons else [("neurons", neurons)]
    for number, (layer, part) in enumerate((str(name), part) for name, part in layers):
        style = {"color": COLOURS[number % len(COLOURS)], "label": f"\u200b{layer}"}
        panels[0].hist(part["auc"], bins=40, range=(0, 1), histtype="step", density=True, **style)
    panels[0].axvline(0.5, color="0.7", lw=0.8)
    panels[0].set_xlabel(f"AUC of neurons for {suspect}", **PLAIN)
    panels[0].set_ylabel("density")
    legend(panels[0])
    if findings.classes is not None:
        _draw_classes(panels[1], findings.classes[findings.classes["suspect"] == suspect], n_shown)
        panels[1].set_xlabel(f"change of the logit by {suspect}", **PLAIN)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, overwrite)


def _draw_classes(axis: Any, classes: pd.DataFrame, n_shown: int) -> None:
    """Draw the classes that gain most, above those that lose most."""
    ends = classes.iloc[[*range(n_shown), *range(-max(n_shown // 3, 1), 0)]] if len(classes) > n_shown else classes
    names = ends["class"].map(str) + (" " + ends["name"] if "name" in ends else "")
    places = np.arange(len(ends))[::-1]
    axis.barh(places, ends["change"], color=np.where(ends["change"] > 0, INSIDE, OUTSIDE))
    errors = [ends["change"] - ends["change_low"], ends["change_high"] - ends["change"]]
    axis.errorbar(ends["change"], places, xerr=errors, fmt="none", color="0.2")
    axis.set_yticks(places, names, fontsize=8, **PLAIN)


def _draw_photos(axes: Any, photos: AlteredSamples) -> None:
    """Draw photos above their altered copies."""
    place = {sample: row for row, sample in enumerate(photos.sample_ids)}
    n = len(photos) - photos.n_copies
    paired = [(place[photos.clusters[row]], row) for row in range(n, len(photos)) if photos.clusters[row] in place]
    step = max(1, len(paired) // axes.shape[1])
    for axis in axes.flat:
        axis.axis("off")
    for column, pair in zip(axes.T, paired[step // 2 :: step], strict=False):
        for axis, row in zip(column, pair, strict=True):
            image = photos.image(row)
            if image is not None:
                image.thumbnail((224, 224))
                axis.imshow(image)
