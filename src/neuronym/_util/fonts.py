"""Fonts that have the glyphs of a text: none is drawn as a box."""

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

_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # controls and spaces need no glyph
_LAST = ("bold", "italic", "oblique", "light", "thin", "black", "medium", "condensed", "mono", "serif")


def font_for(text: str, font: str | Path | None = None) -> str:
    """The file of a font with a glyph for every sign of a text: the one given, or the first that is found here.

    Raises
    ------
    OptionError
        If the text is empty, a sign has no glyph, or its script needs a layout that Pillow lacks here.
    FileError
        If the font cannot be read.
    """
    wanted = _seen(text)
    if not wanted:
        raise OptionError(f"text must have signs that can be seen, not {text!r}")
    _check_layout(text)
    if font is not None:
        lacking = sorted(wanted - _signs(str(font)))
        if lacking:
            raise OptionError(
                f"the font {str(font)!r} has no glyphs for {some(lacking)} of {text!r}: name one that has, or none, "
                "for one of those installed"
            )
        return str(font)
    paths = list(_installed())
    for path in paths:
        try:
            if wanted <= _signs(path):
                return path
        except FileError:
            continue  # a file among the system's fonts that is none
    raise OptionError(
        f"none of the {counted(len(paths), 'font')} here has all glyphs of {text!r}: install one, such as Debian's "
        "fonts-noto-cjk for Chinese, Japanese and Korean, or name a file with font (--font)"
    )


def _seen(text: str) -> set[str]:
    return {sign for sign in text if unicodedata.category(sign) not in _UNSEEN}


def has_glyphs(font: str, text: str) -> bool:
    """Whether a font has a glyph for every sign of a text."""
    return _seen(text) <= _signs(font)


def open_font(path: str, size: int) -> FreeTypeFont:
    """A font in pixels.

    Raises
    ------
    FileError
        If Pillow cannot draw with it, as with fonts of bitmaps in one size.
    """
    from PIL import ImageFont

    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise FileError(f"cannot draw with the font {path!r} in {size} pixels: {first_line(error)}") from error


@cache
def _signs(path: str) -> frozenset[str]:
    """The signs that a font has glyphs for; of a collection, its first font."""
    need("text on images", "spurious")
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with open(path, "rb") as file, TTFont(file, fontNumber=0, lazy=True) as opened:
            codes: Any = opened.getBestCmap() or {}
            return frozenset(map(chr, codes))
    except FileNotFoundError:
        raise FileError(f"there is no font {path!r}: name a file such as .ttf, .otf or .ttc") from None
    except (OSError, TTLibError, ValueError, KeyError, AssertionError) as error:
        raise FileError(f"cannot read the font {path!r}: {first_line(error)}") from error


def _installed() -> Iterator[str]:
    """The files of the fonts here, plain ones first."""
    need("text on images", "spurious")
    from matplotlib import font_manager, get_data_path

    own = sorted(str(path) for path in (Path(get_data_path()) / "fonts" / "ttf").glob("DejaVuSans.ttf"))
    found = sorted(
        font_manager.findSystemFonts(),
        key=lambda path: (sum(word in Path(path).stem.lower() for word in _LAST), Path(path).name, path),
    )
    yield from own
    yield from found


def _check_layout(text: str) -> None:
    """Refuse scripts whose signs join or run from right to left where Pillow would put them side by side."""
    from PIL import features

    joined = any(
        unicodedata.bidirectional(sign) in ("R", "AL") or unicodedata.category(sign) in ("Mn", "Mc") for sign in text
    )
    if joined and not (features.check("raqm") and features.check("fribidi")):
        raise OptionError(
            f"the script of {text!r} needs a layout that Pillow lacks here: install libraqm and fribidi, such as "
            "Debian's libraqm0 and libfribidi0"
        )
