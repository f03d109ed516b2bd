"""Plots of single labels: functions that draw on matplotlib axes and return them.

Without ``ax``, they draw on new axes as wide as a column of text. No global state is changed and no style is set; save
a plot with ``axes.figure.savefig("roc.pdf")``. All numbers are computed on the samples given, which need not be those
that the label was found on.
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
    heading,
    inches_of,
    legend,
    percent,
    shortened,
)
from neuronym.plots.figures import new_figure
from neuronym.plots.layers import auc_histogram, layer_overview
from neuronym.plots.samples import first_samples
from neuronym.plots.view import NeuronView, neuron_of
from neuronym.stats.curves import Roc
from neuronym.types import ActivationsLike, Align, ConceptsLike, SamplesLike

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
    align: Align = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the densities of a neuron's activations on samples inside and outside its formula.

    Each density is a histogram whose area is 1 minus the share of activations that are exactly 0, as after a ReLU; the
    legend gives this share.

    Parameters
    ----------
    label : Label
        The label of the neuron, which is found by its layer and name.
    activations : ActivationsLike
        The activations, as for ``neuronym.label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``neuronym.label``.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    ax : matplotlib.axes.Axes, optional
        The axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If the label has no formula, its neuron is missing or constant, or the formula is true for none or for all of
        the samples, as one of the subclasses in ``neuronym.errors``.

    Examples
    --------
    >>> import numpy as np
    >>> from neuronym import label
    >>> concepts = np.arange(200)[:, None] % 4 == 0
    >>> activations = concepts + np.random.default_rng(0).normal(size=(200, 1))
    >>> labels = label(activations, concepts, names=["dog"])
    >>> distribution(labels[0], activations, concepts, names=["dog"]).get_xlabel()
    'activation'
    """
    view = NeuronView.of(label, activations, concepts, names, align)
    inside = view.inside(view.formula())
    axes = axes_of(ax, 2.4)
    draw_density(axes, view.values, inside)
    axes.set(xlabel="activation", ylabel="density")
    heading(axes, _neuron_and_formula(label), _summary(view, inside))
    return axes


def _neuron_and_formula(label: Label) -> str:
    """Return the first line of a heading."""
    return f"{neuron_of(label)}: {label.formula or f'no formula ({label.reason})'}"


def _summary(view: NeuronView, inside: Bools) -> str:
    """Return the AUC and the fraction of a formula in words."""
    return f"AUC {view.auc(inside):.3f}, {percent(float(inside.mean()))} of samples"


def roc(
    label: Label,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    align: Align = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the ROC curve of a neuron as a detector of its formula.

    The threshold with the highest F1 is marked. It is chosen in hindsight on the samples drawn, as for ``precision``
    and ``recall`` of a label. The diagonal is chance.

    Parameters
    ----------
    label : Label
        The label of the neuron, which is found by its layer and name.
    activations : ActivationsLike
        The activations, as for ``neuronym.label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``neuronym.label``.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    ax : matplotlib.axes.Axes, optional
        The axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        As for ``distribution``.
    """
    view = NeuronView.of(label, activations, concepts, names, align)
    inside = view.inside(view.formula())
    curve = Roc.of(view.values, inside, view.low)
    hits, alarms = curve.hits, curve.alarms
    x, y = alarms / alarms[-1], hits / hits[-1]
    bends = np.ones(len(x), np.bool_)  # points on a straight line between others are not drawn
    bends[1:-1] = (np.diff(hits, 2) != 0) | (np.diff(alarms, 2) != 0)
    best = curve.best + 1  # the curve starts at (0, 0), which has no threshold
    threshold = float(curve.thresholds[curve.best])
    marked = f"highest F1, {curve.f1[curve.best]:.2f}:\nactivation {'≤' if view.low else '≥'} {threshold:.3g}"
    axes = axes_of(ax, WIDTH)
    axes.plot(x[bends], y[bends], color=INSIDE, label=f"AUC {view.auc(inside):.3f}")
    axes.plot([0, 1], [0, 1], "--", color="0.6", lw=1, label="chance")
    axes.plot(x[best], y[best], "o", color=OUTSIDE, mec="0.2", label=marked, clip_on=False, zorder=3)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)
    legend(axes, loc="lower right")
    heading(axes, _neuron_and_formula(label))
    return axes


def top_samples(
    label: Label,
    activations: ActivationsLike,
    samples: SamplesLike,
    *,
    concepts: ConceptsLike | None = None,
    names: Iterable[str] | None = None,
    align: Align = False,
    n: int = 9,
    cmap: str = "gray",
    ax: Axes | None = None,
) -> Axes:
    """Draw the samples with the highest activations, or the lowest for a label of low activations, in order.

    With concepts, the samples for which the formula is true are framed.

    Parameters
    ----------
    label : Label
        The label of the neuron, which is found by its layer and name; without a formula, no sample is framed.
    activations : ActivationsLike
        The activations, as for ``neuronym.label``.
    samples : SamplesLike
        What to show for each sample: ``Images`` or a folder of images; a table with a column ``text``, or its file; a
        mapping from sample id; or a list or array of images or texts, one per row of the activations. An image is a
        ``Path``, a Pillow image, or an array of shape (height, width), (height, width, 3 or 4) or (3, height, width),
        either uint8 or with values between 0 and 1; other values are scaled from the smallest to the largest shown.
    concepts : ConceptsLike, optional
        The concepts of the same samples, as for ``neuronym.label``.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    n : int, default 9
        The number of samples.
    cmap : str, default "gray"
        The matplotlib colormap for images without colour.
    ax : matplotlib.axes.Axes, optional
        The axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If the neuron is missing or constant, or samples cannot be read, cannot be matched with the activations, or are
        neither images nor texts, as one of the subclasses in ``neuronym.errors``.
    """
    view = NeuronView.of(label, activations, concepts, names, align)
    places, items = first_samples(Samples.of(samples), view, view.order(), n)
    framed = np.zeros(len(places), np.bool_)
    if view.concepts is not None and label.formula is not None:
        framed = label.formula.evaluate(view.concepts)[places]
    axes = axes_of(ax, 0.6 + 0.38 * len(items) if isinstance(items[0], str) else WIDTH + 0.4)
    draw_samples(axes, items, framed, cmap=cmap)
    which = "lowest first" if view.low else "highest first"
    frames = ", framed where it is true" if view.concepts is not None and label.formula is not None else ""
    heading(axes, _neuron_and_formula(label), f"{which}{frames}")
    return axes


def concept_bars(
    label: Label,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    align: Align = False,
    n: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Draw the AUC of a neuron for single concepts: those with the highest AUC, and those with the lowest.

    Bars start at ½, which is chance. The concepts of the label's formula are in bold.

    Parameters
    ----------
    label : Label
        The label of the neuron, which is found by its layer and name; it needs no formula.
    activations : ActivationsLike
        The activations, as for ``neuronym.label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``neuronym.label``.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    n : int, default 10
        The number of concepts, half of them the lowest; if there are no more, all are drawn.
    ax : matplotlib.axes.Axes, optional
        The axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If the neuron is missing or constant, or every concept is true for none or for all of the samples, as one of
        the subclasses in ``neuronym.errors``.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise OptionError(f"n must be a whole number of at least 1, not {n!r}")
    view = NeuronView.of(label, activations, concepts, names, align)
    varying, auc = view.single_concepts()
    order = np.argsort(-auc, kind="stable")
    low = n // 2 if len(order) > n else 0
    drawn = order if len(order) <= n else np.concatenate([order[: n - low], order[len(order) - low :]])
    axes = axes_of(ax, 0.9 + 0.2 * len(drawn))
    _bars(axes, [varying[c] for c in drawn], auc[drawn], low, label.formula.concepts if label.formula else ())
    axes.set_xlabel("AUC of single concepts" + (", low inside" if view.low else ""))
    heading(axes, _neuron_and_formula(label))
    return axes


def _bars(axes: Axes, names: Sequence[str], auc: NDArray[np.float64], low: int, bold: Sequence[str]) -> None:
    """Draw horizontal bars from ½ to the AUCs, from top to bottom, with a gap before the last ``low`` of them."""
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
        axes.annotate(shortened(name, inches_of(axes)[0] / 2.4 - 0.1), (0.5, place), (side, 0), **spot, **style)
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
    align: Align = False,
    n: int = 4,
    cmap: str = "gray",
    axes: NDArray[np.object_] | None = None,
) -> NDArray[np.object_]:
    """Draw how a label grows with its length, as in Figure 1 of the paper: one row per formula, the shortest first.

    On the left are the samples inside the formula with the highest activations (the lowest for a label of low
    activations), on the right the densities inside and outside. A length that does not improve the formula has no row.

    Parameters
    ----------
    label : Label
        The label of the neuron, which is found by its layer and name.
    activations : ActivationsLike
        The activations, as for ``neuronym.label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``neuronym.label``.
    samples : SamplesLike
        What to show for each sample, as for ``top_samples``.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    n : int, default 4
        The number of samples in a row.
    cmap : str, default "gray"
        The matplotlib colormap for images without colour.
    axes : array of Axes of shape (n_rows, 2), optional
        The axes to draw on; those of a new figure by default.

    Returns
    -------
    array of Axes of shape (n_rows, 2)
        The axes.

    Raises
    ------
    InputError
        As for ``distribution`` and ``top_samples``, or if ``axes`` does not have this shape.
    """
    view = NeuronView.of(label, activations, concepts, names, align)
    steps = [step.formula for step in label.steps] or [view.formula()]
    inside = [view.inside(formula) for formula in steps]
    source, order = Samples.of(samples), view.order()
    tops = [first_samples(source, view, order[members[order]], n)[1] for members in inside]
    if axes is None:
        texts = isinstance(tops[0][0], str)
        figure = new_figure(WIDTH, 0.55 + 1.5 * len(steps))
        axes = figure.subplots(len(steps), 2, width_ratios=[1.2, 1] if texts else [1, 1.7], squeeze=False)
    elif np.shape(axes) != (len(steps), 2):
        raise OptionError(f"axes must have shape ({len(steps)}, 2), not {np.shape(axes)}")
    low, high = float(view.values.min()), float(view.values.max())
    for (left, right), formula, members, items in zip(axes, steps, inside, tops, strict=True):
        draw_samples(left, items, [True] * len(items), int(np.ceil(np.sqrt(n))), cmap)
        across = (right.bbox.x1 - left.bbox.x0) / left.figure.dpi
        above = [neuron_of(label)] if left is axes[0, 0] else []
        heading(left, *above, f"L = {formula.length}: {formula}", _summary(view, members), width=across)
        draw_density(right, view.values, members, counts=False)
        right.set(yticks=[], xlim=(low - 0.03 * (high - low), high + 0.03 * (high - low)))
        right.tick_params(labelbottom=right is axes[-1, 1])
    axes[-1, 1].set_xlabel("activation")
    return axes
