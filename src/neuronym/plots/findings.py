"""A picture of what neurons and classes make of a suspect concept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym._util.files import check_target
from neuronym._util.messages import no_such
from neuronym.analysis.spurious import Findings
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
    photos: Any = None,
    n_photos: int = 4,
    n_shown: int = 10,
    overwrite: bool = False,
) -> None:
    """Draw one suspect: photos and their copies, the AUC of the neurons of each layer, the classes that gain and lose.

    Parameters
    ----------
    path : ``.png``, ``.pdf`` or ``.svg``
    suspect : by default the first
    photos : what ``overlay`` or ``pair_with_artefacts`` gave, to show some of it
    n_photos, n_shown : how many pairs of photos, and classes

    Raises
    ------
    UnknownNameError
        If there is no such suspect.
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    """
    known = findings.neurons["suspect"].drop_duplicates().tolist()
    chosen = known[0] if suspect is None else suspect
    if chosen not in known:
        raise no_such("suspect", chosen, known)
    check_target(path, overwrite)
    n_panels = 1 + (findings.classes is not None)
    figure = new_figure(5.2 * n_panels, 3.6 + 3.2 * (photos is not None))
    bottom: Any = figure
    if photos is not None:
        parts: Any = figure.subfigures(2, 1, height_ratios=[3.2, 3.6])
        _draw_photos(parts[0].subplots(2, n_photos, squeeze=False), photos)
        bottom = parts[1]
    panels = bottom.subplots(1, n_panels, squeeze=False)[0]
    own = findings.neurons[findings.neurons["suspect"] == chosen]
    layers = own.groupby("layer", sort=False) if "layer" in own else [("neurons", own)]
    for number, (layer, part) in enumerate((str(name), part) for name, part in layers):
        style = {"color": COLOURS[number % len(COLOURS)], "label": f"\u200b{layer}"}
        panels[0].hist(part["auc"], bins=40, range=(0, 1), histtype="step", density=True, **style)
    panels[0].axvline(0.5, color="0.7", lw=0.8)
    panels[0].set_xlabel(f"AUC of neurons for {chosen}", **PLAIN)
    panels[0].set_ylabel("density")
    legend(panels[0])
    if findings.classes is not None:
        _draw_classes(panels[1], findings.classes[findings.classes["suspect"] == chosen], n_shown)
        panels[1].set_xlabel(f"change of the logit by {chosen}", **PLAIN)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, overwrite)


def _draw_classes(axis: Any, classes: pd.DataFrame, n_shown: int) -> None:
    """The classes that gain most, above those that lose most."""
    shown = classes.iloc[[*range(n_shown), *range(-max(n_shown // 3, 1), 0)]] if len(classes) > n_shown else classes
    names = shown["class"].map(str) + (" " + shown["name"] if "name" in shown else "")
    places = np.arange(len(shown))[::-1]
    axis.barh(places, shown["change"], color=np.where(shown["change"] > 0, INSIDE, OUTSIDE))
    errors = [shown["change"] - shown["change_low"], shown["change_high"] - shown["change"]]
    axis.errorbar(shown["change"], places, xerr=errors, fmt="none", color="0.2")
    axis.set_yticks(places, names, fontsize=8, **PLAIN)


def _draw_photos(axes: Any, photos: Any) -> None:
    """Photos above their copies."""
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
