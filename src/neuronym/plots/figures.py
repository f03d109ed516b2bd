"""Figures of matplotlib, and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuronym._util.extras import need
from neuronym._util.files import kind_of, writing
from neuronym._util.fonts import font_for, has_glyphs
from neuronym._util.messages import warn
from neuronym.errors import OptionError
from neuronym.types import PathLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "FIGURES", "MARKERS", "new_figure", "save_figure"]

FIGURES = (".png", ".pdf", ".svg")

# Okabe and Ito's colours, which readers who are colour-blind can tell apart, without yellow, which is pale on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = "osD^vPX"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches.

    Raises
    ------
    OptionError
        If matplotlib is missing.
    """
    need("a plot", "plots")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: PathLike, overwrite: bool) -> None:
    """Save a figure as ``.png``, ``.pdf`` or ``.svg``; the file is complete or absent.

    Raises
    ------
    FileError
        If the file is of another kind, exists and ``overwrite`` is off, or cannot be written.
    """
    kind = kind_of(path, FIGURES, "a figure")
    _find_glyphs(figure)
    with writing(path, overwrite) as temporary:
        figure.savefig(temporary, dpi=120, format=kind.lstrip("."))


def _find_glyphs(figure: Figure) -> None:
    """Give texts that matplotlib's own font has no glyphs for one that is installed and has them."""
    from matplotlib import font_manager
    from matplotlib.text import Text

    own = font_manager.findfont("DejaVu Sans")
    for text in figure.findobj(Text):
        shown = text.get_text()
        if shown.isascii() or has_glyphs(own, shown):
            continue
        try:
            path = font_for(shown)
        except OptionError as error:
            warn(f"the figure shows boxes for a text: {error}")
            continue
        font_manager.fontManager.addfont(path)
        text.set_fontfamily(["DejaVu Sans", font_manager.FontProperties(fname=path).get_name()])
