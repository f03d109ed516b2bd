"""Matplotlib figures: creating and saving them."""

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

__all__ = ["COLOURS", "FIGURES", "MARKERS", "new_figure", "save_figure", "write_figure"]

FIGURES = (".png", ".pdf", ".svg")

# The palette of Okabe and Ito, which colour-blind readers can tell apart; without yellow, which is pale on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = "osD^vPX"


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure.

    Parameters
    ----------
    width, height : float
        Its size in inches.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, not registered with pyplot.

    Raises
    ------
    OptionError
        If matplotlib is missing.
    """
    need("a plot", "plots")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: PathLike, overwrite: bool) -> None:
    """Save a figure; the file is complete or absent.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : str or Path
        The file to write: ``.png``, ``.pdf`` or ``.svg``.
    overwrite : bool
        Whether to replace an existing file.

    Raises
    ------
    FileError
        If the file has another suffix, exists and ``overwrite`` is off, or cannot be written.
    """
    kind = kind_of(path, FIGURES, "a figure")
    with writing(path, overwrite) as temporary:
        write_figure(figure, temporary, kind)


def write_figure(figure: Figure, path: PathLike, kind: str) -> None:
    """Write a figure to a temporary path.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : str or Path
        The path, whose name need not say the kind.
    kind : str
        The kind of file: ``.png``, ``.pdf`` or ``.svg``.
    """
    _find_glyphs(figure)
    figure.savefig(path, dpi=120, format=kind.lstrip("."))


def _find_glyphs(figure: Figure) -> None:
    """Give an installed font to texts for which the default font lacks glyphs; warn if no font has them."""
    from matplotlib import font_manager
    from matplotlib.text import Text

    default = font_manager.findfont("DejaVu Sans")
    for text in figure.findobj(Text):
        characters = text.get_text()
        if characters.isascii() or has_glyphs(default, characters):
            continue
        try:
            path = font_for(characters)
        except OptionError as error:
            warn(f"the figure shows boxes in place of some characters: {error}")
            continue
        font_manager.fontManager.addfont(path)
        text.set_fontfamily(["DejaVu Sans", font_manager.FontProperties(fname=path).get_name()])
