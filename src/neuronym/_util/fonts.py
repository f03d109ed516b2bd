"""Finding fonts that have the glyphs of a text, so that no character is drawn as a box."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym._util.messages import counted, some
from neuronym.errors import FileError, OptionError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["font_for", "has_glyphs", "open_font"]

_INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")  # controls and spaces need no glyph
_LAST = ("bold", "italic", "oblique", "light", "thin", "black", "medium", "condensed", "mono", "serif")


def font_for(text: str, font: str | Path | None = None) -> str:
    """The file of a font with a glyph for every character of a text: ``font``, or the first installed one.

    Raises
    ------
    OptionError
        If no character is visible, one has no glyph, or the script needs a layout that Pillow lacks here.
    FileError
        If the font cannot be read.
    """
    wanted = _visible(text)
    if not wanted:
        raise OptionError(f"text must contain a visible character, not {text!r}")
    _check_layout(text)
    if font is not None:
        lacking = sorted(wanted - _glyphs(str(font)))
        if lacking:
            raise OptionError(
                f"the font {str(font)!r} has no glyphs for {some(lacking)} of {text!r}: choose another, or omit font "
                "to use an installed one"
            )
        return str(font)
    paths = list(_installed())
    for path in paths:
        try:
            if wanted <= _glyphs(path):
                return path
        except FileError:
            continue  # a broken file among the system's fonts
    raise OptionError(
        f"none of the {counted(len(paths), 'font')} installed has all glyphs of {text!r}: install one that has, such "
        "as Debian's fonts-noto-cjk for Chinese, Japanese and Korean, or name a file with font (--font)"
    )


def _visible(text: str) -> set[str]:
    """The visible characters of a text."""
    return {char for char in text if unicodedata.category(char) not in _INVISIBLE}


def has_glyphs(font: str, text: str) -> bool:
    """Whether a font has a glyph for every visible character of a text."""
    return _visible(text) <= _glyphs(font)


def open_font(path: str, size: int) -> FreeTypeFont:
    """Open a font at a size in pixels.

    Raises
    ------
    FileError
        If Pillow cannot draw with it, as with bitmap fonts of another size.
    """
    from PIL import ImageFont

    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise FileError(f"cannot draw with the font {path!r} in {size} pixels: {first_line(error)}") from error


@cache
def _glyphs(path: str) -> frozenset[str]:
    """The characters that a font has glyphs for; for a collection, those of its first font."""
    need("text on images", "spurious")
    from fontTools.ttLib import TTFont

    try:
        with open(path, "rb") as file, TTFont(file, fontNumber=0, lazy=True) as opened:
            codes: Any = opened.getBestCmap() or {}
            return frozenset(map(chr, codes))
    except FileNotFoundError:
        raise FileError(f"there is no font {path!r}: name a file such as .ttf, .otf or .ttc") from None
    except Exception as error:  # parsers raise errors of many kinds on broken files
        raise FileError(f"cannot read the font {path!r}: {first_line(error)}") from error


def _installed() -> Iterator[str]:
    """The files of the installed fonts, plain ones first."""
    need("text on images", "spurious")
    from matplotlib import font_manager, get_data_path

    bundled = sorted(str(path) for path in (Path(get_data_path()) / "fonts" / "ttf").glob("DejaVuSans.ttf"))
    found = sorted(
        font_manager.findSystemFonts(),
        key=lambda path: (sum(word in Path(path).stem.lower() for word in _LAST), Path(path).name, path),
    )
    yield from bundled
    yield from found


def _check_layout(text: str) -> None:
    """Refuse scripts whose characters join or run from right to left if Pillow cannot lay them out."""
    from PIL import features

    joined = any(
        unicodedata.bidirectional(char) in ("R", "AL") or unicodedata.category(char) in ("Mn", "Mc") for char in text
    )
    if joined and not (features.check("raqm") and features.check("fribidi")):
        raise OptionError(
            f"the script of {text!r} needs a layout that Pillow lacks here: install libraqm and fribidi, such as "
            "Debian's libraqm0 and libfribidi0"
        )
