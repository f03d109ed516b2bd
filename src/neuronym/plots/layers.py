"""Plots of many labels: AUC by layer, and as a histogram."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import check_target
from neuronym._util.messages import counted
from neuronym.analysis.compare import MEASURES, by_layer
from neuronym.errors import OptionError
from neuronym.labels.labels import Label
from neuronym.plots.drawing import (
    INSIDE,
    OUTSIDE,
    PLAIN,
    SIZE,
    axes_of,
    heading,
    legend,
    legend_above,
    percent,
    shortened,
)
from neuronym.plots.figures import new_figure, save_figure
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["auc_histogram", "layer_overview", "plot_baselines"]

Floats = NDArray[np.float64]

_BIN = 0.02  # of AUC
_MOST = 300  # labels of a layer up to which each is drawn


def layer_overview(labels: Iterable[Label], *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of the labels' AUC in each layer, with the number of neurons that have a formula.

    The dot is the median, the thick line the interquartile range and the thin line the full range; up to 300 labels of
    a layer are also drawn individually. If samples were held out, the held-out AUC is drawn below.

    Parameters
    ----------
    labels : Labels or iterable of Label
        The labels; layers are drawn in their order.
    ax : matplotlib.axes.Axes, optional
        The axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    OptionError
        If no label has a formula.
    """
    listed = _checked(labels)
    layers: dict[str | None, list[Label]] = {}
    for label in listed:
        layers.setdefault(label.layer, []).append(label)
    kinds = ["auc", "auc_heldout"] if len(_known(listed, "auc_heldout")) else ["auc"]
    axes = axes_of(ax, 0.8 + 0.5 * len(layers))
    for row, of_layer in enumerate(layers.values()):
        for side, (kind, colour) in enumerate(zip(kinds, (INSIDE, OUTSIDE), strict=False)):
            place = row + (len(kinds) > 1) * (0.36 * side - 0.18)
            _draw_range(axes, _known(of_layer, kind), place, colour, _NAMES[kind] if row == 0 else None)
    ticks = [
        f"{'all' if layer is None else shortened(layer, 1.1)}\n{sum(x.best is not None for x in of_layer)} of "
        f"{len(of_layer)}"
        for layer, of_layer in layers.items()
    ]
    axes.set_yticks(range(len(layers)), ticks, fontsize=SIZE, **PLAIN)
    axes.set(xlabel="AUC of labels", ylim=(len(layers) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if len(kinds) > 1:
        legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return axes


_NAMES = {"auc": "searched", "auc_heldout": "held out"}


def _draw_range(axes: Axes, values: Floats, place: float, colour: str, name: str | None) -> None:
    """Draw the full range as a thin line, the interquartile range as a thick line and the median as a dot."""
    if not len(values):
        return
    low, first, middle, third, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    axes.plot([low, high], [place, place], color=colour, lw=1)
    axes.plot([first, third], [place, place], color=colour, lw=5, solid_capstyle="butt", label=name)
    axes.plot(middle, place, "o", color="white", mec=colour, ms=5, zorder=3)
    if len(values) <= _MOST:
        axes.plot(values, np.full(len(values), place + 0.14), "|", color=colour, ms=4, mew=0.6, alpha=0.7)


def plot_baselines(table: pd.DataFrame, path: PathLike, *, overwrite: bool = False) -> None:
    """Draw a network beside its baselines, layer by layer, and save the figure.

    There is a panel for each measure that is known. A filled dot is the network; a ring is the mean of the baselines,
    and the line their range.

    Parameters
    ----------
    table : DataFrame
        The return value of ``neuronym.compare_layers``.
    path : str or Path
        The file to write: ``.png``, ``.pdf`` or ``.svg``.
    overwrite : bool, default False
        Whether to replace an existing file.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    OptionError
        If the table is another one, or matplotlib is missing.
    """
    lacking = [name for name in ("layer", "network", *MEASURES) if name not in getattr(table, "columns", ())]
    if lacking:
        raise OptionError(f"the table lacks {', '.join(lacking)}: give the return value of neuronym.compare_layers")
    check_target(path, overwrite)
    rows = by_layer(table)
    known = [name for name in MEASURES if not math.isnan(rows[0][name][0]) and (name != "auc" or _no_heldout(rows))]
    figure = new_figure(1.2 + 2.4 * len(known), 1.1 + 0.42 * len(rows))
    for place, (name, axes) in enumerate(zip(known, np.atleast_1d(figure.subplots(1, len(known))), strict=True)):
        for at, row in enumerate(rows):
            own, mean, low, high = row[name]
            axes.plot([low, high], [at, at], color=OUTSIDE, lw=2, solid_capstyle="butt")
            axes.plot(
                mean,
                at,
                "o",
                color="white",
                mec=OUTSIDE,
                ms=6,
                clip_on=False,
                label=None if at else "baselines, mean and range",
            )
            axes.plot(own, at, "o", color=INSIDE, ms=6, clip_on=False, label=None if at else "network")
        names = [shortened(str(row["layer"] or "all"), 1.2) for row in rows]
        axes.set_yticks(range(len(rows)), [] if place else names, fontsize=SIZE, **PLAIN)
        axes.set(xlabel=_PANELS[name], ylim=(len(rows) - 0.5, -0.5))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", lw=0.4, alpha=0.5)
        if name == "concepts":
            axes.locator_params(axis="x", integer=True)
            axes.set_xlim(left=0)
        if not place:
            figure.legend(
                *axes.get_legend_handles_labels(), fontsize=SIZE, frameon=False, loc="outside upper left", ncols=2
            )
    save_figure(figure, path, overwrite)


_PANELS = {
    "auc": "median AUC",
    "auc_heldout": "median held-out AUC",
    "believable": "share of believable labels",
    "concepts": "concepts covered",
}


def _no_heldout(rows: list[dict[str, Any]]) -> bool:
    """Return whether no held-out AUC is known."""
    return math.isnan(rows[0]["auc_heldout"][0])


def auc_histogram(labels: Iterable[Label], *, q: float = 0.05, ax: Axes | None = None) -> Axes:
    """Draw a histogram of the labels' AUC on the samples searched, and on held-out samples if there are any.

    If labels have q, those that are significant after the correction for multiple testing are filled darker, and their
    number is in the legend.

    Parameters
    ----------
    labels : Labels or iterable of Label
        The labels.
    q : float, default 0.05
        The largest q of a significant label.
    ax : matplotlib.axes.Axes, optional
        The axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    OptionError
        If no label has a formula, or q is out of its range.
    """
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 < q < 1:
        raise OptionError(f"q must lie between 0 and 1, not {q!r}")
    listed = _checked(labels)
    auc, heldout = _known(listed, "auc"), _known(listed, "auc_heldout")
    lowest = math.floor(min(auc.min(), heldout.min(initial=1)) / _BIN + 1e-9)
    edges = np.arange(lowest, round(1 / _BIN) + 1) * _BIN
    axes = axes_of(ax, 2.4)

    def counts(values: Floats) -> NDArray[np.int64]:
        return np.histogram(np.minimum(values, 1), edges)[0]

    name = f"{'searched' if len(heldout) else 'all'}, mean {auc.mean():.3f}"
    axes.stairs(counts(auc), edges, fill=True, color=INSIDE, alpha=0.4, lw=0, label=name)
    tested = [label for label in listed if not math.isnan(label.q)]
    if tested:
        kept = [label for label in tested if label.q <= q and not label.refuted]
        share = f"q ≤ {q:g}: {len(kept)} of {len(tested)} ({percent(len(kept) / len(tested))})"
        axes.stairs(counts(_known(kept, "auc")), edges, fill=True, color=INSIDE, lw=0, label=share)
    if len(heldout):
        text = f"held out, mean {heldout.mean():.3f}"
        axes.stairs(counts(heldout), edges, color=OUTSIDE, lw=1.5, label=text)
    axes.set(xlabel="AUC", ylabel="labels")
    axes.locator_params(axis="y", integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    legend_above(axes)
    without = len(listed) - len(auc)
    heading(axes, counted(len(auc), "label") + (f", {counted(without, 'neuron')} without a formula" if without else ""))
    return axes


def _checked(labels: Iterable[Label]) -> list[Label]:
    """Return the labels as a list; raise an error if none has a formula, or they are no labels."""
    listed = list(labels)
    wrong = [one for one in listed if not isinstance(one, Label)]
    if wrong:
        raise OptionError(
            f"labels must be Labels, as neuronym.label returns them, but contain {type(wrong[0]).__name__}"
        )
    if not any(label.best is not None for label in listed):
        raise OptionError(f"none of the {len(listed)} labels has a formula: there is no AUC to draw")
    return listed


def _known(labels: Iterable[Label], name: str) -> Floats:
    """Return a number of the labels that have it."""
    values = np.array([getattr(label, name) for label in labels], np.float64)
    return values[~np.isnan(values)]
