"""A plot of scores side by side: labels found by each, measured by all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuronym._util.files import check_target
from neuronym.errors import OptionError
from neuronym.plots.figures import new_figure, save_figure
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_scores", "plot_scores"]

_NOT_MEASURES = ("searched", "neurons", "length", "fraction", "same")


def plot_scores(table: pd.DataFrame, path: PathLike, *, overwrite: bool = False) -> None:
    """Draw the labels found by each score, measured by all scores, and save the figure.

    Parameters
    ----------
    table : DataFrame
        The return value of ``compare_scores``.
    path : str or Path
        The file to write: ``.png``, ``.pdf`` or ``.svg``.
    overwrite : bool, default False
        Whether to replace an existing file.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    OptionError
        If matplotlib is missing, or the table is of something else.
    """
    check_target(path, overwrite)
    save_figure(draw_scores(table), path, overwrite)


def draw_scores(table: pd.DataFrame) -> Figure:
    """Draw the figure that ``plot_scores`` saves.

    Parameters
    ----------
    table : DataFrame
        The return value of ``compare_scores``.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each score that was searched by and a column for each measure; the darkest of a column is its best.

    Raises
    ------
    OptionError
        If the table is of something else.
    """
    if "searched" not in table or not len(table):
        raise OptionError("the table has no scores: give the return value of compare_scores")
    measures = [name for name in table if name not in _NOT_MEASURES and table[name].notna().any()]
    values = table[measures].to_numpy(float)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    shade = np.where(high > low, (values - low) / np.where(high > low, high - low, 1), 0.5)
    figure = new_figure(1.9 + 0.95 * len(measures), 1.1 + 0.38 * len(table))
    axes = figure.subplots()
    axes.imshow(shade, cmap="Blues", vmin=-0.15, vmax=1.5, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        if np.isfinite(values[row, column]):
            best = values[row, column] == high[column]
            axes.text(column, row, f"{values[row, column]:.3f}", ha="center", va="center", fontsize=8,
                      fontweight="bold" if best else "normal")  # fmt: skip
    axes.set_xticks(range(len(measures)), [str(name).replace("_", " ") for name in measures], rotation=25, ha="right")
    axes.set_yticks(range(len(table)), table["searched"])
    axes.set(xlabel="measured by: means over neurons", ylabel="labels found by")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
