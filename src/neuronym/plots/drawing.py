"""The parts that plots share: axes with headings and legends, densities inside and outside, grids of samples."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym.errors import OptionError
from neuronym.plots.figures import COLOURS, new_figure
from neuronym.plots.samples import Item
from neuronym.stats.curves import Density
from neuronym.types import AnyArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

__all__ = [
    "INSIDE",
    "OUTSIDE",
    "PLAIN",
    "SIZE",
    "WIDTH",
    "axes_of",
    "draw_density",
    "draw_samples",
    "heading",
    "inches_of",
    "legend",
    "legend_above",
    "percent",
    "shortened",
]

INSIDE, OUTSIDE = COLOURS[:2]
PLAIN: Any = {"parse_math": False, "usetex": False}  # names may contain $ or _
SIZE = "small"  # of headings and legends, relative to the user's own font size
WIDTH = 3.4  # inches: a column of text

_GAP = 0.06  # around an image, as a share of its cell
_LINES = 3  # the most lines of a text


def axes_of(ax: Axes | None, height: float) -> Axes:
    """Return ``ax``, or the axes of a new figure as wide as a column and ``height`` inches high.

    Raises
    ------
    OptionError
        If ``ax`` is not an axes of matplotlib, or matplotlib is missing.
    """
    if ax is None:
        axes: Axes = new_figure(WIDTH, height).subplots()
        return axes
    if not hasattr(ax, "stairs"):
        raise OptionError(f"ax must be matplotlib axes, such as those of plt.subplots(), not {type(ax).__name__}")
    return ax


def heading(ax: Axes, *lines: str, width: float | None = None) -> None:
    """Write lines above axes, wrapped at the width of the axes, or at ``width`` inches."""
    inches = inches_of(ax)[0] if width is None else width
    wrapped = [part for line in lines for part in _wrap(line, inches, "  ")]
    ax.set_title("\n".join(wrapped), loc="left", fontsize=SIZE, **PLAIN)


def legend(ax: Axes, **options: Any) -> Legend:
    """Add a legend in small print, with its texts shown verbatim."""
    made = ax.legend(fontsize=SIZE, frameon=False, **options)
    for text in made.get_texts():
        text.set(**PLAIN)
    return made


def legend_above(ax: Axes, **options: Any) -> None:
    """Add a legend at the top of axes whose y-axis starts at 0, and extend that axis to make inches_of for it."""
    made = legend(ax, loc="upper left", handlelength=1.2, borderaxespad=0.2, **options)
    lines = sum(text.get_text().count("\n") + 1 for text in made.get_texts())
    share = (1.5 * lines + 0.8) * _points() / (72 * inches_of(ax)[1])  # of the height that the legend takes
    ax.set_ylim(0, ax.dataLim.y1 / max(0.3, 1 - share))


def inches_of(ax: Axes) -> tuple[float, float]:
    """Estimate the width and height of axes in inches, after the layout has made inches_of for labels around them."""
    box = ax.get_window_extent()
    bare = ax.figure.get_layout_engine() is not None and (not ax.axison or not len(ax.get_yticks()))
    wide, high = (1.15, 1.0) if bare else (0.97, 0.8)
    return wide * box.width / ax.figure.dpi, high * box.height / ax.figure.dpi


def _width_of(line: str) -> float:
    """Return the width of a line of small print in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing glyphs are reported when the figure is drawn
        points = text_to_path.get_text_width_height_descent(line or " ", FontProperties(size=SIZE), False)[0]
    return float(points) / 72


def _points() -> float:
    """Return the font size of small print in points."""
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=SIZE).get_size_in_points())


def _printable(text: str) -> str:
    """Replace characters that cannot be printed, such as line breaks, by spaces."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _wrap(text: str, inches: float, indent: str = "", most: int | None = None) -> list[str]:
    """Wrap small print at a width; if there are more than ``most`` lines, cut the text and end it with …."""
    plain = _printable(text if most is None else text[: 300 * most])
    lines, letters = [plain], len(plain)
    while letters > 8 and max(map(_width_of, lines)) > inches:
        letters = min(letters - 1, int(letters * inches / max(map(_width_of, lines)) + 8))
        lines = textwrap.wrap(plain, letters, subsequent_indent=indent) or [""]
        if most is not None and len(lines) > most:
            lines = [*lines[: most - 1], lines[most - 1][: letters - 2] + " …"]
    return lines


def shortened(name: str, inches: float) -> str:
    """Shorten a name to a width, replacing its middle by …."""
    plain = cut = _printable(name)
    kept = min(len(plain), 80)
    while kept > 4 and _width_of(cut) > inches:
        kept -= 1
        cut = f"{plain[: kept // 2]}…{plain[-(kept - kept // 2) :]}"
    return cut


def percent(share: float) -> str:
    """Format a share as a percentage, with a decimal if it is small."""
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def draw_density(ax: Axes, values: AnyArray, inside: NDArray[np.bool_], counts: bool = True) -> None:
    """Draw the densities of activations outside and inside, each with an area of 1 minus its share of exact zeros.

    The legend gives that share: after a ReLU, 0 stands for a whole range of values and has no density.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    values : array of shape (n_samples,)
        The activations.
    inside : bool array of shape (n_samples,)
        Which samples are inside the formula.
    counts : bool, default True
        Whether the legend gives the numbers of samples.
    """
    span = float(values.max()) - float(values.min())
    drawn = []
    for members, colour, name in ((~inside, OUTSIDE, "outside"), (inside, INSIDE, "inside")):
        density = Density.of(values[members], span)
        text = f"{name}, {members.sum():,}" if counts else name
        text += f" ({percent(density.zeros)} are 0)" if density.zeros else ""
        drawn.append(ax.stairs(density.heights, density.edges, fill=True, color=colour, alpha=0.5, lw=0, label=text))
        ax.stairs(density.heights, density.edges, color=colour, lw=1)
    ax.spines[["top", "right"]].set_visible(False)
    legend_above(ax, handles=drawn[::-1])


def draw_samples(
    ax: Axes, items: Sequence[Item], framed: Iterable[object], columns: int | None = None, cmap: str = "gray"
) -> None:
    """Draw images as a grid, or texts as a list, from the top left, with a frame around some.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    items : sequence of str or array
        The texts or images, as ``first_samples`` returns them.
    framed : iterable of bool
        For each item, whether to frame it.
    columns : int, optional
        The number of columns of images; as many as rows by default.
    cmap : str, default "gray"
        The matplotlib colormap for images without colour.
    """
    from matplotlib.patches import Rectangle

    texts = isinstance(items[0], str)
    wide = 1 if texts else columns or int(np.ceil(np.sqrt(len(items))))
    ax.set(xlim=(0, wide), ylim=(-(-len(items) // wide), 0), aspect="auto" if texts else "equal")
    ax.axis("off")
    across, down = inches_of(ax)
    lines = min(_LINES, max(1, int(0.85 * 72 * down / len(items) / (1.2 * _points()))))
    for place, (item, frame) in enumerate(zip(items, framed, strict=True)):
        left, top = place % wide, place // wide
        if isinstance(item, str):
            width, height = 1.0, 1 - 2 * _GAP
            text = "\n".join(_wrap(item, across - 8 / 72, most=lines))
            spot: Any = {"textcoords": "offset points", "va": "center"}
            written = ax.annotate(text, (left, top + 0.5), (4, 0), fontsize=SIZE, **spot, **PLAIN)
            written.set_in_layout(False)  # a text slightly too wide would otherwise make the whole list narrower
        else:
            longest = max(item.shape[:2]) / (1 - 2 * _GAP)
            width, height = item.shape[1] / longest, item.shape[0] / longest
        corner = left + (1 - width) / 2, top + (1 - height) / 2
        if not isinstance(item, str):
            extent = corner[0], corner[0] + width, corner[1] + height, corner[1]
            ax.imshow(item, cmap=cmap, vmin=0, vmax=1, extent=extent)
        if frame:
            ax.add_patch(Rectangle(corner, width, height, fill=False, ec=INSIDE, lw=1.5, clip_on=False))
