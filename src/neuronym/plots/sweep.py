"""Pictures of a sweep: AUC by length and by least fraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuronym._util.files import check_target
from neuronym.errors import OptionError
from neuronym.plots.drawing import axes_of, head, legend
from neuronym.plots.figures import COLOURS, MARKERS, new_figure, save_figure
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_sweep", "sweep"]


def sweep(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the table of ``neuronym.analysis.sweep``: AUC by length, held out as lines and searched as dotted ones.

    Parameters
    ----------
    table : one layer is drawn for every least fraction, several for the least of them
    ax : where to draw; a new axes without one

    Raises
    ------
    OptionError
        If the table is empty or lacks columns.
    """
    needed = ["min_fraction", "length", "auc", "auc_heldout"]
    lacking = [name for name in needed if name not in getattr(table, "columns", ())]
    if lacking or not len(table):
        what = f"lacks {', '.join(lacking)}" if lacking else "has no rows"
        raise OptionError(f"the table {what}: give one that neuronym.sweep made")
    axes = axes_of(ax, 2.6)
    _draw_lengths(axes, table)
    axes.spines[["top", "right"]].set_visible(False)
    legend(axes)
    head(axes, "held out (—), searched (···)")
    return axes


def plot_sweep(table: pd.DataFrame, path: PathLike, *, overwrite: bool = False) -> None:
    """Draw what ``sweep`` gives, by length and by minimal fraction, as ``.png``, ``.pdf`` or ``.svg``.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    OptionError
        If matplotlib is missing.
    """
    figure = new_figure(9.5, 3.8)
    check_target(path, overwrite)
    by_length, by_fraction = figure.subplots(1, 2)
    _draw_lengths(by_length, table)
    for number, (layer, own) in enumerate(_by_layer(table)):
        color, name = COLOURS[number % len(COLOURS)], "" if layer is None else f"layer {layer}: "
        last = own[own["length"] == own["length"].max()]
        for column, style, text in (
            ("auc_heldout", "o-", "AUC, held out"),
            ("fraction", "s--", "fraction"),
            ("hypernyms", "^:", "share of hypernyms"),
        ):
            if column in own:
                by_fraction.plot(last["min_fraction"], last[column], style, color=color, ms=4, label=name + text)
    by_length.set(title="More concepts: held out (—), searched (···)")
    by_fraction.set(xlabel="minimal fraction α", title="Larger formulas", ylim=(0, 1))
    for axis in (by_length, by_fraction):
        legend(axis)
        axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, overwrite)


def _draw_lengths(axis: Any, table: pd.DataFrame) -> None:
    """Draw AUC by length on an axes, held out as lines and searched as dotted ones.

    One layer is shown for every fraction, several for the least.
    """
    layers = _by_layer(table)
    least = table["min_fraction"].min()
    shown = [
        (layer, fraction, own[own["min_fraction"] == fraction])
        for layer, own in layers
        for fraction in (sorted(set(own["min_fraction"])) if len(layers) == 1 else [least])
    ]
    for number, (layer, fraction, rows) in enumerate(shown):
        color, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        text = f"α = {fraction:g}" if layer is None else f"layer {layer}: α = {fraction:g}"
        axis.plot(rows["length"], rows["auc_heldout"], f"{marker}-", color=color, ms=4, label=text)
        axis.plot(rows["length"], rows["auc"], f"{marker}:", color=color, ms=3)
    axis.set(xlabel="length L", ylabel="mean AUC")
    axis.set_xticks(sorted(set(table["length"])))


def _by_layer(table: pd.DataFrame) -> list[tuple[str | None, pd.DataFrame]]:
    """The rows of each layer, in order; of None where the table has no layers."""
    return [(None, table)] if "layer" not in table else [(str(k), own) for k, own in table.groupby("layer", sort=False)]
