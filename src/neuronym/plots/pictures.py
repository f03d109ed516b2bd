"""Pictures of labels: functions that take an axes of matplotlib and give it back, or a new one as wide as a column.

Nothing global is changed and no style is set. A picture is saved by ``axes.figure.savefig("roc.pdf")``. Concepts and
activations are what ``neuronym.label`` takes, the neuron is found by the layer and name in its label, and numbers are
those of the samples given, which may be others than the label was found on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym.errors import OptionError
from neuronym.inputs.samples import Samples
from neuronym.labels.labels import Label
from neuronym.plots.drawing import (
    INSIDE,
    OUTSIDE,
    PLAIN,
    SIZE,
    WIDTH,
    axes_of,
    draw_density,
    draw_samples,
    head,
    legend,
    percent,
    room,
    short,
)
from neuronym.plots.figures import new_figure
from neuronym.plots.layers import auc_histogram, layer_overview
from neuronym.plots.samples import first_samples
from neuronym.plots.view import NeuronView, neuron_of
from neuronym.stats.curves import Roc
from neuronym.types import ActivationsLike, ConceptsLike, SamplesLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "auc_histogram",
    "concept_bars",
    "distribution",
    "formula_steps",
    "layer_overview",
    "roc",
    "top_samples",
]

Bools = NDArray[np.bool_]


def distribution(
    label: Label,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    align: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the density of a neuron's activations on the samples inside of its formula and on those outside.

    Each density is a histogram with an area of 1, less the share of activations that are exactly 0, as behind a
    rectifier: this share stands in the legend.

    Parameters
    ----------
    label : of one neuron
    activations, concepts, names, align : as for ``neuronym.label``
    ax : where to draw; a new axes without one

    Raises
    ------
    InputError
        One of its kinds, where the label has no formula, its neuron is not there or constant, or the formula is true
        for no or for every sample.

    >>> import numpy as np
    >>> from neuronym import label
    >>> concepts = np.arange(200)[:, None] % 4 == 0
    >>> activations = concepts + np.random.default_rng(0).normal(size=(200, 1))
    >>> labels = label(activations, concepts, names=["dog"])
    >>> distribution(labels[0], activations, concepts, names=["dog"]).get_xlabel()
    'activation'
    """
    seen = NeuronView.of(label, activations, concepts, names, align)
    inside = seen.inside(seen.formula())
    axes = axes_of(ax, 2.4)
    draw_density(axes, seen.values, inside)
    axes.set(xlabel="activation", ylabel="density")
    head(axes, _named(label), _told(seen, inside))
    return axes


def _named(label: Label) -> str:
    return f"{neuron_of(label)}: {label.formula or f'no formula ({label.reason})'}"


def _told(seen: NeuronView, inside: Bools) -> str:
    return f"AUC {seen.auc(inside):.3f}, {percent(float(inside.mean()))} of samples"


def roc(
    label: Label,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    align: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the ROC curve of a neuron as a detector of its formula, with chance and the threshold of the highest F1.

    That threshold is chosen in hindsight, on the samples drawn, as are ``precision`` and ``recall`` of a label.

    Parameters
    ----------
    label, activations, concepts, names, align, ax : as for ``distribution``

    Raises
    ------
    InputError
        As ``distribution`` does.
    """
    seen = NeuronView.of(label, activations, concepts, names, align)
    inside = seen.inside(seen.formula())
    curve = Roc.of(seen.values, inside, seen.low)
    hits, false = curve.hits, curve.alarms
    x, y = false / false[-1], hits / hits[-1]
    bends = np.ones(len(x), np.bool_)  # points on a line between others are left out
    bends[1:-1] = (np.diff(hits, 2) != 0) | (np.diff(false, 2) != 0)
    best = curve.best + 1  # the curve begins with none called
    threshold = float(curve.thresholds[curve.best])
    marked = f"highest F1, {curve.f1[curve.best]:.2f}:\nactivation {'≤' if seen.low else '≥'} {threshold:.3g}"
    axes = axes_of(ax, WIDTH)
    axes.plot(x[bends], y[bends], color=INSIDE, label=f"AUC {seen.auc(inside):.3f}")
    axes.plot([0, 1], [0, 1], "--", color="0.6", lw=1, label="chance")
    axes.plot(x[best], y[best], "o", color=OUTSIDE, mec="0.2", label=marked, clip_on=False, zorder=3)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)
    legend(axes, loc="lower right")
    head(axes, _named(label))
    return axes


def top_samples(
    label: Label,
    activations: ActivationsLike,
    samples: SamplesLike,
    *,
    concepts: ConceptsLike | None = None,
    names: Iterable[str] | None = None,
    align: bool = False,
    n: int = 9,
    cmap: str = "gray",
    ax: Axes | None = None,
) -> Axes:
    """Draw the samples on which a neuron is highest, or lowest for a label of low activations, in order.

    With concepts, those for which the formula is true have a frame.

    Parameters
    ----------
    label, activations, concepts, names, align, ax : as for ``distribution``; a label without a formula has no frames
    samples : ``Images`` or a folder of images; a table with a column ``text``, or its file; a mapping from sample id;
        or a list or array of images or texts, one per row of the activations
        An image is a ``Path``, an image of Pillow, or an array (height, width), (height, width, 3 or 4) or
        (3, height, width), in whole numbers up to 255 (uint8) or between 0 and 1; others are scaled from the least
        to the greatest value shown.
    n : how many
    cmap : matplotlib's name of the colours of images without colour

    Raises
    ------
    InputError
        One of its kinds, where the neuron is not there or constant, samples cannot be matched with its activations or
        read, or are neither images nor texts.
    """
    seen = NeuronView.of(label, activations, concepts, names, align)
    places, items = first_samples(Samples.of(samples), seen, seen.order(), n)
    framed = np.zeros(len(places), np.bool_)
    if seen.concepts is not None and label.formula is not None:
        framed = label.formula.evaluate(seen.concepts)[places]
    axes = axes_of(ax, 0.6 + 0.38 * len(items) if isinstance(items[0], str) else WIDTH + 0.4)
    draw_samples(axes, items, framed, cmap=cmap)
    which = "lowest first" if seen.low else "highest first"
    frames = ", framed where it is true" if seen.concepts is not None and label.formula is not None else ""
    head(axes, _named(label), f"{which}{frames}")
    return axes


def concept_bars(
    label: Label,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    align: bool = False,
    n: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Draw the AUC of a neuron for single concepts, those with the highest and those with the lowest.

    Bars begin at ½, which is chance; concepts of the label's formula are in bold.

    Parameters
    ----------
    label, activations, concepts, names, align, ax : as for ``distribution``; the label needs no formula
    n : how many concepts, half of them the lowest; all where there are no more

    Raises
    ------
    InputError
        One of its kinds, where the neuron is not there or constant, or every concept is shown by no or by every sample.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise OptionError(f"n must be a whole number of at least 1, not {n!r}")
    seen = NeuronView.of(label, activations, concepts, names, align)
    every, auc = seen.single()
    order = np.argsort(-auc, kind="stable")
    low = n // 2 if len(order) > n else 0
    shown = order if len(order) <= n else np.concatenate([order[: n - low], order[len(order) - low :]])
    axes = axes_of(ax, 0.9 + 0.2 * len(shown))
    _bars(axes, [every[c] for c in shown], auc[shown], low, label.formula.concepts if label.formula else ())
    axes.set_xlabel("AUC of single concepts" + (", low inside" if seen.low else ""))
    head(axes, _named(label))
    return axes


def _bars(axes: Axes, names: Sequence[str], auc: NDArray[np.float64], low: int, bold: Sequence[str]) -> None:
    """Bars from ½ to AUCs with names on their other side, from above, the last ``low`` of them set apart."""
    places = np.arange(len(names), dtype=np.float64)
    places[len(names) - low :] += 0.6
    reach = 1.35 * max(float(np.abs(auc - 0.5).max()), 0.05)
    axes.set(xlim=(0.5 - reach, 0.5 + reach), ylim=(places[-1] + 0.6, -0.6), yticks=[])
    colours = [INSIDE if value >= 0.5 else OUTSIDE for value in auc]
    bars = axes.barh(places, auc - 0.5, left=0.5, color=colours, height=0.75)
    axes.bar_label(bars, [f"{value:.3f}" for value in auc], padding=2, fontsize=SIZE)
    axes.axvline(0.5, color="0.2", lw=0.8)
    for place, name, value in zip(places, names, auc, strict=True):
        side, align = (-4, "right") if value >= 0.5 else (4, "left")
        style: Any = {"fontsize": SIZE, "weight": "bold" if name in bold else "normal", **PLAIN}
        spot: Any = {"textcoords": "offset points", "ha": align, "va": "center"}
        axes.annotate(short(name, room(axes)[0] / 2.4 - 0.1), (0.5, place), (side, 0), **spot, **style)
    if low:
        axes.axhline(len(names) - low - 0.2, color="0.6", lw=0.8, ls=":")
    axes.spines[["top", "right", "left"]].set_visible(False)


def formula_steps(
    label: Label,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    samples: SamplesLike,
    *,
    names: Iterable[str] | None = None,
    align: bool = False,
    n: int = 4,
    cmap: str = "gray",
    axes: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Draw how a label grows, as the paper's Figure 1: a row for each formula of its path, the shortest first.

    On the left are the samples inside of the formula on which the neuron is highest (lowest for a label of low
    activations), on the right the densities inside and outside. A length that gains nothing has no row.

    Parameters
    ----------
    label, activations, concepts, names, align : as for ``distribution``
    samples, cmap : as for ``top_samples``
    n : how many samples
    axes : two for each row, shape (n_rows, 2); those of a new figure without

    Returns
    -------
    array of axes, shape (n_rows, 2)

    Raises
    ------
    InputError
        As ``distribution`` and ``top_samples`` do.
    """
    seen = NeuronView.of(label, activations, concepts, names, align)
    steps = [step.formula for step in label.steps] or [seen.formula()]
    inside = [seen.inside(formula) for formula in steps]
    shown, order = Samples.of(samples), seen.order()
    tops = [first_samples(shown, seen, order[members[order]], n)[1] for members in inside]
    if axes is None:
        texts = isinstance(tops[0][0], str)
        figure = new_figure(WIDTH, 0.55 + 1.5 * len(steps))
        axes = figure.subplots(len(steps), 2, width_ratios=[1.2, 1] if texts else [1, 1.7], squeeze=False)
    elif np.shape(axes) != (len(steps), 2):
        raise OptionError(f"axes must be {len(steps)} rows of 2, not of shape {np.shape(axes)}")
    low, high = float(seen.values.min()), float(seen.values.max())
    for (left, right), formula, members, items in zip(axes, steps, inside, tops, strict=True):
        draw_samples(left, items, [True] * len(items), int(np.ceil(np.sqrt(n))), cmap)
        across = (right.bbox.x1 - left.bbox.x0) / left.figure.dpi
        above = [neuron_of(label)] if left is axes[0, 0] else []
        head(left, *above, f"L = {formula.length}: {formula}", _told(seen, members), width=across)
        draw_density(right, seen.values, members, counts=False)
        right.set(yticks=[], xlim=(low - 0.03 * (high - low), high + 0.03 * (high - low)))
        right.tick_params(labelbottom=right is axes[-1, 1])
    axes[-1, 1].set_xlabel("activation")
    return axes
