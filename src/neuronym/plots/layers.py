"""Pictures of many labels: AUC by layer, and as a histogram."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted
from neuronym.errors import OptionError
from neuronym.labels.labels import Label
from neuronym.plots.drawing import INSIDE, OUTSIDE, PLAIN, SIZE, axes_of, head, legend, legend_above, percent, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["auc_histogram", "layer_overview"]

Floats = NDArray[np.float64]

_BIN = 0.02  # of AUC
_MOST = 300  # labels of a layer that are drawn one by one


def layer_overview(labels: Iterable[Label], *, ax: Axes | None = None) -> Axes:
    """Draw for each layer how its labels' AUCs are spread, and how many neurons have a formula.

    A dot is the median, a thick line the middle half and a thin one all labels; up to 300 labels are drawn one by one
    too. Where samples were held out, what the AUC is on these stands below.

    Parameters
    ----------
    labels : Labels, or others; the layers keep their order
    ax : where to draw; a new axes without one

    Raises
    ------
    OptionError
        If no label has a formula.
    """
    listed = _with_some(labels)
    layers: dict[str | None, list[Label]] = {}
    for label in listed:
        layers.setdefault(label.layer, []).append(label)
    kinds = ["auc", "auc_heldout"] if len(_known(listed, "auc_heldout")) else ["auc"]
    axes = axes_of(ax, 0.8 + 0.5 * len(layers))
    for row, own in enumerate(layers.values()):
        for side, (kind, colour) in enumerate(zip(kinds, (INSIDE, OUTSIDE), strict=False)):
            place = row + (len(kinds) > 1) * (0.36 * side - 0.18)
            _spread(axes, _known(own, kind), place, colour, _NAMES[kind] if row == 0 else None)
    ticks = [
        f"{'all' if layer is None else short(layer, 1.1)}\n{sum(x.best is not None for x in own)} of {len(own)}"
        for layer, own in layers.items()
    ]
    axes.set_yticks(range(len(layers)), ticks, fontsize=SIZE, **PLAIN)
    axes.set(xlabel="AUC of labels", ylim=(len(layers) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if len(kinds) > 1:
        legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return axes


_NAMES = {"auc": "searched", "auc_heldout": "held out"}


def _spread(axes: Axes, values: Floats, place: float, colour: str, name: str | None) -> None:
    """All values as a thin line, the middle half as a thick one, the median as a dot."""
    if not len(values):
        return
    low, first, middle, third, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    axes.plot([low, high], [place, place], color=colour, lw=1)
    axes.plot([first, third], [place, place], color=colour, lw=5, solid_capstyle="butt", label=name)
    axes.plot(middle, place, "o", color="white", mec=colour, ms=5, zorder=3)
    if len(values) <= _MOST:
        axes.plot(values, np.full(len(values), place + 0.14), "|", color=colour, ms=4, mew=0.6, alpha=0.7)


def auc_histogram(labels: Iterable[Label], *, q: float = 0.05, ax: Axes | None = None) -> Axes:
    """Draw how many labels have which AUC: on the samples searched, and on those held out where there are such.

    Where labels have a q, those that are significant when all are taken together are filled darker, and counted.

    Parameters
    ----------
    labels : Labels, or others
    q : the greatest q of a label that counts as significant
    ax : where to draw; a new axes without one

    Raises
    ------
    OptionError
        If no label has a formula, or q is out of range.
    """
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 < q < 1:
        raise OptionError(f"q must lie between 0 and 1, not {q!r}")
    listed = _with_some(labels)
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
        kept = [label for label in tested if label.q <= q]
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
    head(axes, counted(len(auc), "label") + (f", {counted(without, 'neuron')} without a formula" if without else ""))
    return axes


def _with_some(labels: Iterable[Label]) -> list[Label]:
    listed = list(labels)
    wrong = [one for one in listed if not isinstance(one, Label)]
    if wrong:
        raise OptionError(f"labels must be Labels, as neuronym.label gives them, but hold {type(wrong[0]).__name__}")
    if not any(label.best is not None for label in listed):
        raise OptionError(f"none of the {len(listed)} labels has a formula: there is no AUC to draw")
    return listed


def _known(labels: Iterable[Label], name: str) -> Floats:
    """A number of those labels that have it."""
    values = np.array([getattr(label, name) for label in labels], np.float64)
    return values[~np.isnan(values)]
