"""Plots of a sweep: AUC by length and by minimum fraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuronym._util.files import check_target
from neuronym.errors import OptionError
from neuronym.plots.drawing import axes_of, heading, legend
from neuronym.plots.figures import COLOURS, MARKERS, new_figure, save_figure
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_sweep", "plot_sweep", "sweep"]


def sweep(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the AUC by length: on held-out samples as solid lines, on the samples searched as dotted lines.

    A single layer is drawn for each minimum fraction, several layers for the smallest minimum fraction only.

    Parameters
    ----------
    table : DataFrame
        The return value of ``neuronym.sweep``.
    ax : matplotlib.axes.Axes, optional
        The axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    OptionError
        If the table is empty or lacks columns.
    """
    needed = ["min_fraction", "length", "auc", "auc_heldout"]
    lacking = [name for name in needed if name not in getattr(table, "columns", ())]
    if lacking or not len(table):
        what = f"lacks {', '.join(lacking)}" if lacking else "has no rows"
        raise OptionError(f"the table {what}: give the return value of neuronym.sweep")
    axes = axes_of(ax, 2.6)
    _draw_lengths(axes, table)
    axes.spines[["top", "right"]].set_visible(False)
    legend(axes)
    heading(axes, "held out (—), searched (···)")
    return axes


def plot_sweep(table: pd.DataFrame, path: PathLike, *, overwrite: bool = False) -> None:
    """Draw a sweep by length and by minimum fraction, and save the figure.

    Parameters
    ----------
    table : DataFrame
        The return value of ``neuronym.sweep``.
    path : str or Path
        The file to write: ``.png``, ``.pdf`` or ``.svg``.
    overwrite : bool, default False
        Whether to replace an existing file.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    OptionError
        If matplotlib is missing.
    """
    check_target(path, overwrite)
    save_figure(draw_sweep(table), path, overwrite)


def draw_sweep(table: pd.DataFrame) -> Figure:
    """Draw the figure that ``plot_sweep`` saves.

    Parameters
    ----------
    table : DataFrame
        The return value of ``neuronym.sweep``.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    figure = new_figure(9.5, 3.8)
    by_length, by_fraction = figure.subplots(1, 2)
    _draw_lengths(by_length, table)
    for number, (layer, rows) in enumerate(_by_layer(table)):
        color, name = COLOURS[number % len(COLOURS)], "" if layer is None else f"layer {layer}: "
        longest = rows[rows["length"] == rows["length"].max()]
        for column, style, text in (
            ("auc_heldout", "o-", "AUC, held out"),
            ("fraction", "s--", "fraction"),
            ("hypernyms", "^:", "share of hypernyms"),
        ):
            if column in rows:
                by_fraction.plot(longest["min_fraction"], longest[column], style, color=color, ms=4, label=name + text)
    by_length.set(title="More concepts: held out (—), searched (···)")
    by_fraction.set(xlabel="minimum fraction α", title="Larger formulas", ylim=(0, 1))
    for axis in (by_length, by_fraction):
        legend(axis)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_lengths(axis: Any, table: pd.DataFrame) -> None:
    """Draw the AUC by length: a single layer for each fraction, several layers for the smallest."""
    layers = _by_layer(table)
    smallest = table["min_fraction"].min()
    curves = [
        (layer, fraction, rows[rows["min_fraction"] == fraction])
        for layer, rows in layers
        for fraction in (sorted(set(rows["min_fraction"])) if len(layers) == 1 else [smallest])
    ]
    for number, (layer, fraction, rows) in enumerate(curves):
        color, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        text = f"α = {fraction:g}" if layer is None else f"layer {layer}: α = {fraction:g}"
        axis.plot(rows["length"], rows["auc_heldout"], f"{marker}-", color=color, ms=4, label=text)
        axis.plot(rows["length"], rows["auc"], f"{marker}:", color=color, ms=3)
    axis.set(xlabel="length L", ylabel="mean AUC")
    axis.set_xticks(sorted(set(table["length"])))


def _by_layer(table: pd.DataFrame) -> list[tuple[str | None, pd.DataFrame]]:
    """Return the rows of each layer, in order; all rows under None if the table has no layers."""
    if "layer" not in table:
        return [(None, table)]
    return [(str(layer), rows) for layer, rows in table.groupby("layer", sort=False)]
