"""What pictures are made of: an axes with a heading, activations inside and outside, a grid of samples."""

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
    "head",
    "legend",
    "legend_above",
    "percent",
    "room",
    "short",
]

INSIDE, OUTSIDE = COLOURS[:2]
PLAIN: Any = {"parse_math": False, "usetex": False}  # a name may hold $ or _
SIZE = "small"  # of headings and legends, beside the reader's own sizes
WIDTH = 3.4  # inches: a column

_GAP = 0.06  # around an image, of the side of its cell
_LINES = 3  # of a text, at most


def axes_of(ax: Axes | None, height: float) -> Axes:
    """The axes given, or those of a new figure as wide as a column and so many inches high."""
    if ax is None:
        axes: Axes = new_figure(WIDTH, height).subplots()
        return axes
    if not hasattr(ax, "stairs"):
        raise OptionError(f"ax must be an axes of matplotlib, not {type(ax).__name__}")
    return ax


def head(ax: Axes, *lines: str, width: float | None = None) -> None:
    """Write lines above an axes, broken where they are wider than that, or than ``width`` inches."""
    inches = room(ax)[0] if width is None else width
    broken = [part for line in lines for part in _broken(line, inches, "  ")]
    ax.set_title("\n".join(broken), loc="left", fontsize=SIZE, **PLAIN)


def legend(ax: Axes, **options: Any) -> Legend:
    """A legend in small print, whose texts are taken as they are."""
    made = ax.legend(fontsize=SIZE, frameon=False, **options)
    for text in made.get_texts():
        text.set(**PLAIN)
    return made


def legend_above(ax: Axes, **options: Any) -> None:
    """A legend at the top of an axes that begins at 0, which is made higher than what is drawn, to have room for it."""
    made = legend(ax, loc="upper left", handlelength=1.2, borderaxespad=0.2, **options)
    lines = sum(text.get_text().count("\n") + 1 for text in made.get_texts())
    taken = (1.5 * lines + 0.8) * _points() / (72 * room(ax)[1])
    ax.set_ylim(0, ax.dataLim.y1 / max(0.3, 1 - taken))


def room(ax: Axes) -> tuple[float, float]:
    """The inches that an axes will be wide and high, about, once a layout has made room for what stands around it."""
    box = ax.get_window_extent()
    bare = ax.figure.get_layout_engine() is not None and (not ax.axison or not len(ax.get_yticks()))
    wide, high = (1.15, 1.0) if bare else (0.97, 0.8)
    return wide * box.width / ax.figure.dpi, high * box.height / ax.figure.dpi


def _wide(line: str) -> float:
    """The width of a line of small print in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the font lacks is said when the picture is drawn
        points = text_to_path.get_text_width_height_descent(line or " ", FontProperties(size=SIZE), False)[0]
    return float(points) / 72


def _points() -> float:
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=SIZE).get_size_in_points())


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _broken(text: str, inches: float, indent: str = "", most: int | None = None) -> list[str]:
    """Lines of small print, no wider than that; where there are more than ``most`` of them, the last ends in …."""
    plain = _plain(text if most is None else text[: 300 * most])
    lines, letters = [plain], len(plain)
    while letters > 8 and max(map(_wide, lines)) > inches:
        letters = min(letters - 1, int(letters * inches / max(map(_wide, lines)) + 8))
        lines = textwrap.wrap(plain, letters, subsequent_indent=indent) or [""]
        if most is not None and len(lines) > most:
            lines = [*lines[: most - 1], lines[most - 1][: letters - 2] + " …"]
    return lines


def short(name: str, inches: float) -> str:
    """A name that is no wider than that, without its middle where it is longer."""
    plain = cut = _plain(name)
    kept = min(len(plain), 80)
    while kept > 4 and _wide(cut) > inches:
        kept -= 1
        cut = f"{plain[: kept // 2]}…{plain[-(kept - kept // 2) :]}"
    return cut


def percent(share: float) -> str:
    """A share, with a decimal where it is small."""
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def draw_density(ax: Axes, values: NDArray[Any], inside: NDArray[np.bool_], counts: bool = True) -> None:
    """Draw the density of activations outside and inside, each with an area of 1 less its share of exact zeros.

    Zeros are named in the legend: behind a rectifier they are one value for all that is below it, with no density.
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
    framed : for each item, whether it has a frame
    columns : of images; by default as many as rows
    cmap : matplotlib's name of the colours of images without colour
    """
    from matplotlib.patches import Rectangle

    texts = isinstance(items[0], str)
    wide = 1 if texts else columns or int(np.ceil(np.sqrt(len(items))))
    ax.set(xlim=(0, wide), ylim=(-(-len(items) // wide), 0), aspect="auto" if texts else "equal")
    ax.axis("off")
    across, down = room(ax)
    lines = min(_LINES, max(1, int(0.85 * 72 * down / len(items) / (1.2 * _points()))))
    for place, (item, frame) in enumerate(zip(items, framed, strict=True)):
        left, top = place % wide, place // wide
        if isinstance(item, str):
            width, height = 1.0, 1 - 2 * _GAP
            text = "\n".join(_broken(item, across - 8 / 72, most=lines))
            spot: Any = {"textcoords": "offset points", "va": "center"}
            written = ax.annotate(text, (left, top + 0.5), (4, 0), fontsize=SIZE, **spot, **PLAIN)
            written.set_in_layout(False)  # or one a little too wide would make the whole list narrower
        else:
            longest = max(item.shape[:2]) / (1 - 2 * _GAP)
            width, height = item.shape[1] / longest, item.shape[0] / longest
        corner = left + (1 - width) / 2, top + (1 - height) / 2
        if not isinstance(item, str):
            extent = corner[0], corner[0] + width, corner[1] + height, corner[1]
            ax.imshow(item, cmap=cmap, vmin=0, vmax=1, extent=extent)
        if frame:
            ax.add_patch(Rectangle(corner, width, height, fill=False, ec=INSIDE, lw=1.5, clip_on=False))
