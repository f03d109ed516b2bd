"""Characters that files, terminals or spreadsheets do not take as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable

from neuronym.errors import InputError

__all__ = ["ESCAPED", "for_spreadsheet", "from_spreadsheet", "half_in", "refuse_halves", "shortened", "visible"]

#: The last column of a table that is written for a spreadsheet, by which its readers know it.
ESCAPED = "escaped"

_HALF = re.compile("[\ud800-\udfff]")
# Control characters, the ends of lines and paragraphs of Unicode, and marks that turn the order of all that follows.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# A spreadsheet begins a cell at the start of a text and, where it takes ; or tab for the separator, also after these.
_CELL = r"(?:\A|(?<=[;\t\r\n]))"
_RUN = re.compile(rf"\A(?=[\t\r\n])|{_CELL}(?=[^\S\t\r\n]*[\x00-\x08\ufeff]*[=+\-@＝＋－＠']|')")
_ESCAPED = re.compile(rf"{_CELL}'")


def half_in(text: str) -> str | None:
    """The first half of a surrogate pair in a text, as ``repr`` shows it, which no UTF-8 file can hold; else None."""
    found = None if text.isascii() else _HALF.search(text)
    return None if found is None else ascii(found[0])


def refuse_halves(texts: Iterable[str], kind: str, error: type[InputError]) -> None:
    r"""Refuse texts with half of a surrogate pair: names enter here, so that every writer and reader can hold them.

    Such texts come from file names that are not UTF-8, and from escapes such as ``"\ud800"`` in JSON.

    Parameters
    ----------
    texts : iterable of str
        The names or other texts.
    kind : str
        What a text is, for the message.
    error : type of InputError
        The error to raise.

    Raises
    ------
    InputError
        If a text has one; the message names it.
    """
    for text in texts:
        half = half_in(text)
        if half is not None:
            raise error(
                f"the {kind} {shortened(text)} contains half of a character ({half}), as file names that are not "
                "UTF-8 do, so no file can hold it: rename it"
            )


def shortened(text: str, longest: int = 80) -> str:
    """A text as ``repr`` shows it, with the end left out if it is long."""
    return repr(text) if len(text) <= longest else repr(text[:longest]) + "…"


def visible(text: str, keep: str = "") -> str:
    r"""Write characters that act on a terminal, such as ``\x1b``, as escapes; those in ``keep`` stay as they are."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def for_spreadsheet(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula; ``from_spreadsheet`` takes it away."""
    return _RUN.sub("'", text)


def from_spreadsheet(text: str) -> str:
    """The text that ``for_spreadsheet`` was given."""
    return _ESCAPED.sub("", text)
