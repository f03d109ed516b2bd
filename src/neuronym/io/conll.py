"""Words and their tags in CoNLL files: a word per line, and a blank line between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from neuronym._util.files import reading
from neuronym._util.messages import counted, some
from neuronym.errors import FileError, OptionError
from neuronym.types import PathLike

__all__ = ["open_tags"]

_FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")  # of CoNLL-U

_DOCUMENT = "-DOCSTART-"

_NO_WORD = re.compile(r"\d+[-.]\d+")  # the number of a range of words, or of an empty node


def open_tags(path: PathLike, *, column: int | str | None = None) -> list[list[tuple[str, str]]]:
    """Read the words of a CoNLL file with one of their columns of tags.

    Columns are separated by tabs or spaces. Words are the first column, or the second if the first numbers the words of
    each sentence. Lines ``-DOCSTART-``, comments (``# …``), and CoNLL-U's ranges ``1-2`` and empty nodes ``1.1`` are
    skipped.

    Parameters
    ----------
    path : str or Path
        The file, such as those of CoNLL-2003 or of Universal Dependencies.
    column : int or str, optional
        The column of the tags, counted from 1, or from the end if negative; in CoNLL-U, with its 10 columns, also a
        name such as ``"xpos"``. By default the last column, and ``"upos"`` in CoNLL-U.

    Returns
    -------
    list of list of (str, str)
        For each sentence, its words and their tags.

    Raises
    ------
    FileError
        If the file cannot be read, has no words, or its lines differ in their number of columns.
    OptionError
        If there is no such column.
    """
    sentences = _sentences(path)
    width = len(sentences[0][0])
    numbered = width > 2 and all(_is_numbered(sentence) for sentence in sentences)
    universal = numbered and width == len(_FIELDS)
    if str(path).lower().endswith(".conllu") and not universal:
        raise FileError(
            f"{str(path)!r} is not CoNLL-U: each word needs 10 columns, and the first must number the words of each "
            "sentence"
        )
    tag = _place(column, width, universal)
    return [
        [(row[int(numbered)], row[tag]) for row in sentence if not (numbered and _NO_WORD.fullmatch(row[0]))]
        for sentence in sentences
    ]


def _sentences(path: PathLike) -> list[list[list[str]]]:
    """The columns of each line of each sentence."""
    with reading(path, "tags"), open(path, encoding="utf-8-sig") as file:
        lines = [line.rstrip(" \t\n") for line in file]
    first = next((line for line in lines if line and not line.startswith(("#", _DOCUMENT))), None)
    if first is None:
        raise FileError(f"cannot read tags from {str(path)!r}: it has no lines with words")
    width = len(_columns(first, "\t" in first))
    if width < 2:
        raise FileError(
            f"cannot read tags from {str(path)!r}: each line needs a word and its tags, separated by tabs or spaces, "
            f"but the first is {first[:80]!r}"
        )
    rows = list(_rows(lines, "\t" in first, width))
    odd = [number for number, row in enumerate(rows, 1) if row and len(row) != width]
    if odd:
        raise FileError(
            f"cannot read tags from {str(path)!r}: its first word has {width} columns, but "
            f"{counted(len(odd), 'word')} (in line {some(odd)}) another number: all words need the same columns"
        )
    kept = (row for row in rows if row is not None)
    return [list(sentence) for has_words, sentence in groupby(kept, bool) if has_words]


def _columns(line: str, tabs: bool) -> list[str]:
    """The columns of a line; only a space or a tab separates, since words may contain other white space."""
    return line.split("\t") if tabs else re.split("[ \t]+", line.lstrip(" "))


def _rows(lines: Sequence[str], tabs: bool, width: int) -> Iterator[list[str] | None]:
    """The columns of each line: empty between sentences, None for a comment."""
    starts = True  # a sentence
    for line in lines:
        row = _columns(line, tabs) if line and not line.startswith(_DOCUMENT) else []
        # The word # and words such as #hashtag have as many columns as the others.
        if line.startswith("#") and (len(row) != width or (starts and line.startswith("# "))):
            yield None
        else:
            starts = not row
            yield row


def _is_numbered(sentence: Sequence[Sequence[str]]) -> bool:
    """Whether the first column numbers the words: 1, 2, 3, …."""
    numbers = [row[0] for row in sentence if not _NO_WORD.fullmatch(row[0])]
    return numbers == [str(number) for number in range(1, len(numbers) + 1)]


def _place(column: int | str | None, width: int, universal: bool) -> int:
    """The index of a column given by its number or name."""
    if column is None:
        return _FIELDS.index("upos") if universal else width - 1
    if universal and str(column).lower() in _FIELDS:
        return _FIELDS.index(str(column).lower())
    if re.fullmatch(r"-?\d+", str(column)) and 1 <= abs(int(column)) <= width:
        return int(column) - 1 if int(column) > 0 else int(column)
    names = f", or a name such as {some(_FIELDS[3:6])}" if universal else "; names are for files of CoNLL-U"
    raise OptionError(f"column must be a number from 1 to {width}{names}, not {column!r}")
