"""Tables in text files, whatever separates their cells: the one reader of CSV and its kin.

The form of a table is found from its first lines: encoding, separator, decimal comma, comments, a line of names. A
table in plain form is read from its file; any other is first rewritten in memory as UTF-8 with commas.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

from neuronym._util.files import reading
from neuronym._util.messages import counted, some, warn
from neuronym.errors import FileError

__all__ = ["TEXT_TABLES", "TextTable"]

#: The endings of text tables.
TEXT_TABLES = (".csv", ".tsv", ".txt")

_HEAD_BYTES = 2**18  # the first part of a file, from which its form is found
_SHOWN_LINES = 100  # the most lines to look at

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NO_LETTERS = re.compile(rb"[\x80-\xbf]")  # at the start of a file: hardly text in Windows-1252
_COMMA_NUMBER = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*")
_DATA = re.compile(r"\s*[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?\s*|.*[^.\s]\.[A-Za-z][A-Za-z0-9]{1,4}")


@dataclass(frozen=True)
class _Form:
    """How cells are separated: the separator, a space for any white space; and whether spaces may follow it."""

    separator: str
    padded: bool = False
    quotes: bool = True

    def rows(self, lines: Iterable[str], *, strict: bool = True) -> Iterator[list[str]]:
        """The cells of each line."""
        if self.separator == " ":
            yield from (_words(line) for line in lines)
            return
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        limit = csv.field_size_limit(2**31 - 1)  # names and texts may be long
        try:
            yield from csv.reader(
                lines, delimiter=self.separator, skipinitialspace=self.padded, strict=strict, quoting=quoting
            )
        finally:
            csv.field_size_limit(limit)


def _words(line: str) -> list[str]:
    """The cells of a line separated by white space, of which quotes may hold some."""
    return [whole if not whole.startswith('"') else whole[1:-1] for whole in re.findall(r'"[^"]*"|\S+', line)]


class TextTable:
    """A table in a text file, with the names of its columns.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What the file should contain, for messages.
    named : bool, default True
        Whether a line names the columns; if not, ``names`` is empty.
    spaced : bool, default False
        Whether white space may separate cells; it always may in a file that ends in ``.txt``.

    Attributes
    ----------
    names : list of str
        The names of the columns; the first is empty if rows have names and their column has none.
    shown : list of list of str
        The first rows.
    separator : str
        The character between cells of the file that ``open`` gives.
    decimal : str
        The decimal separator of numbers: a comma or a point.
    quoted : bool
        Whether the names are in quotes.

    Raises
    ------
    FileError
        If the file cannot be read, or has no line of names.
    """

    def __init__(self, path: str | Path, what: str, *, named: bool = True, spaced: bool = False) -> None:
        self.path, self.what = path, what
        self._may_be_spaced = spaced or Path(path).suffix.lower() == ".txt"
        with reading(path, what), open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
            whole = not file.read(1)
        self.encoding, self._mark = _encoding(head)
        try:
            text = codecs.getincrementaldecoder(self.encoding)().decode(head[self._mark :])
        except UnicodeDecodeError:
            text = _decoded(head, self.encoding, path, what)
            self.encoding = "cp1252"
        if self.encoding.startswith("utf-16") and not re.search("[\r\n]", text):
            raise FileError(f"cannot read {what} from {str(path)!r}: it is not text")
        lines = list(io.StringIO(text, newline=""))
        self._lines = lines if whole or len(lines) < 2 else lines[:-1]
        try:
            self._find_form(named)
        except csv.Error as error:
            raise self._broken(error) from error
        if named and not self.names:
            raise FileError(f"cannot read {str(path)!r}: its first line must name the columns")

    def _find_form(self, named: bool) -> None:
        """Find the first line of the table, the separator and the names of the columns."""
        lines = self._lines
        first, comments, said = _preamble(lines)
        if re.fullmatch(r"\d+", lines[first].strip() if first < len(lines) else "") and self._spaced(first + 1):
            first += 1  # the number of rows
        self.skipped, self._named = first, named
        body = lines[first : first + _SHOWN_LINES]
        self._form = _Form(said) if said else self._separator(body)
        rows = [row for row in self._form.rows(body, strict=False) if row]
        names = rows[0] if rows else []
        self.quoted = bool(body) and '"' in body[0]
        commented = next(_Form(self._form.separator, True).rows(comments[-1:], strict=False), [])
        if named and 1 < len(commented) == len(names) and any(_DATA.fullmatch(cell) for cell in names):
            names, rows = commented, [[], *rows]
        elif named:
            next(self._form.rows(_counting(body, counts := [0]), strict=False), None)
            self.skipped += counts[0]
        widths = {len(row) for row in rows[1:]}
        self._dropped = len(names) > 1 and all(row[-1:] == [""] for row in rows if row)  # separators at the ends
        self._nameless = named and bool(names) and widths == {len(names) + 1} and "sample" not in names
        if self._nameless and all(row[-1] == "" for row in rows[1:]):
            self._nameless, self._dropped = False, True
        elif self._dropped:
            names = names[:-1]
        if self._nameless and len(names) == 1 and self._form.separator != " ":
            self._nameless = False  # rather a row that is too long
        self.names = (["", *names] if self._nameless else names) if named else []
        self.shown = [row for row in rows[1 if named else 0 :] if row]
        padded = self._form.padded or (self._form.separator == " ")
        self._plain = not (padded or self._dropped or self._nameless or said) and self.encoding == "utf-8"
        self._plain = (
            self._plain and first == 0 and rows[:1] != [[]] and not any(line.endswith("\r") for line in lines[:2])
        )
        numbers = [cell for row in rows[1:] for cell in row if _COMMA_NUMBER.fullmatch(cell)]
        self.decimal = "," if numbers and self._form.separator != "," else "."

    def _broken(self, error: Exception) -> FileError:
        """The error for text that is no table."""
        return FileError(f"cannot read {self.what} from {str(self.path)!r}: {error}")

    def _spaced(self, first: int) -> bool:
        """Whether the lines after a number are of a list separated by white space."""
        return self._may_be_spaced and len(" ".join(self._lines[first : first + 2]).split()) > 2

    def _separator(self, body: list[str]) -> _Form:
        """The separator by which the first lines have equally many cells, or else the one of the first line."""
        forms = [_Form(sign, _is_padded(sign, body), sign != "\t" or _is_quoted(body)) for sign in ",;\t|"]
        if self._may_be_spaced:
            forms = [*forms[2:3], *forms[:2], forms[3], _Form(" ")]
        widths = []
        for form in forms:
            widths.append([len(row) for row in form.rows(body, strict=False) if row])
        for form, found in zip(forms, widths, strict=True):
            ends = found and (found[0] == found[-1] or found[0] + 1 == found[-1])
            if ends and found[-1] > 1 and found[0] > 1 and len(set(found[1:])) <= 1:
                return form
        first = [found[0] if found else 0 for found in widths]
        signs = first[:-1] if forms[-1].separator == " " and max(first[:-1]) > 1 else first
        return forms[signs.index(max(signs))] if max(signs) > 1 else _Form(",")

    @cached_property
    def _canonical(self) -> bytes:
        """The rows, without names, in UTF-8 with commas."""
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(row for _, row in self.rows())
        return out.getvalue().encode()

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Read the rows, each with the number of its line in the file.

        Yields
        ------
        tuple of int and list of str
            The number of the line, from 1, at which the row ends, and its cells. Empty lines are left out.

        Raises
        ------
        FileError
            If the text cannot be decoded, or rows differ in length; the message names the lines.
        """
        with reading(self.path, self.what):
            data = Path(self.path).read_bytes()[self._mark :]
        text = _decoded(data, self.encoding, self.path, self.what)
        lines = list(io.StringIO(text, newline=""))
        wanted = len(self.names) + self._dropped if self._named else 0
        wrong: list[tuple[int, int]] = []
        number = self.skipped
        rows = self._form.rows(_counting(lines[self.skipped :], counts := [0]))
        try:
            for row in rows:
                number = self.skipped + counts[0]
                if not row and wanted != 1:
                    continue
                row = row or [""]  # an empty line of a single column
                if wanted and len(row) != wanted and not (self._dropped and len(row) == wanted - 1):
                    wrong.append((number, len(row)))
                    continue
                yield number, row[: len(self.names)] if self._dropped else row
        except csv.Error as error:
            raise self._broken(error) from error
        if wrong:
            raise FileError(
                f"cannot read {self.what} from {str(self.path)!r}: line {wrong[0][0]} has "
                f"{counted(wrong[0][1], 'cell')} for {counted(wanted, 'column')}"
                + (f", and {counted(len(wrong) - 1, 'line')} more differ" if len(wrong) > 1 else "")
                + f": every line needs one cell for each name of the first ({some(self.names)})"
            )

    @property
    def separator_found(self) -> str:
        """The character between cells of the file; a space for any white space."""
        return self._form.separator

    @property
    def quotes(self) -> bool:
        """Whether cells of what ``open`` gives may be in quotes."""
        return self._form.quotes or not self._plain

    @property
    def separator(self) -> str:
        """The character between cells of what ``open`` gives."""
        return self._form.separator if self._plain else ","

    def open(self) -> BinaryIO:
        """Open the rows, without the line of names, as UTF-8.

        Returns
        -------
        file
            The file itself, if its form is plain, after the line of names; or else the rows in memory.
        """
        if not self._plain:
            return io.BytesIO(self._canonical)
        with open(self.path, "rb") as first:
            first.seek(self._mark)
            lines = iter(lambda: first.readline().decode(errors="replace"), "")
            try:
                next(self._form.rows(lines), None)
            except csv.Error as error:
                raise self._broken(error) from error
            start = first.tell()
        file = open(self.path, "rb")  # noqa: SIM115 - the caller closes it
        file.seek(start)
        return file

    def explain(self) -> None:
        """Raise if rows differ in length, naming the lines; for readers that cannot name them."""
        for _ in self.rows():
            pass

    def reread(self) -> None:
        """Give up the plain form, for text that turned out to be no UTF-8."""
        self._plain = False


def _is_quoted(body: list[str]) -> bool:
    """Whether quotes around cells between tabs are no part of the cells: each that opens closes in the same cell.

    They never are where the first line has quotes.
    """
    if body and '"' in body[0]:
        return True
    cells = [cell for line in body for cell in line.rstrip("\r\n").split("\t") if cell.startswith('"')]
    return all(len(cell) > 1 and cell.endswith('"') for cell in cells)


def _preamble(lines: list[str]) -> tuple[int, list[str], str | None]:
    """The index of the first line of a table, the comments before it, and the separator that a line ``sep=`` names."""
    comments: list[str] = []
    said = None
    for first, line in enumerate(lines):
        text = line.strip()
        mark = re.fullmatch(r'(?i)"?sep=(.)"?', text)
        if mark and mark[1] in "".join(lines[first + 1 : first + 2]):
            said = mark[1]
        elif text.startswith("#"):
            comments.append(text.lstrip("# "))
        elif text:
            return first, comments, said
    return len(lines), comments, said


def _is_padded(sign: str, body: list[str]) -> bool:
    """Whether spaces after separators are no part of the cells: before a quote, or before each name."""
    names = body[0].split(sign)[1:] if body and not body[0].startswith('"') else []
    quoted = re.compile(rf'(?<!""){re.escape(sign)} "(?!")')
    return any(quoted.search(line) for line in body) or (bool(names) and all(name.startswith(" ") for name in names))


def _encoding(head: bytes) -> tuple[str, int]:
    """The encoding of a text, from its mark or its bytes, and the length of the mark."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    if len(head) > 3 and head[1:4:2] == b"\0\0":
        return "utf-16-le", 0
    return "utf-8", 0


def _decoded(data: bytes, encoding: str, path: str | Path, what: str) -> str:
    """The text of a file; with a warning if it is not in Unicode."""
    try:
        return data.decode(encoding, errors="replace" if encoding == "cp1252" else "strict")
    except UnicodeDecodeError as error:
        if encoding != "utf-8" or b"\0" in data:
            raise FileError(f"cannot read {what} from {str(path)!r}: it is not {encoding.upper()} text") from error
        text = "" if _NO_LETTERS.match(data) else data.decode("cp1252", errors="replace")
        if not text or "\ufffd" in text:
            raise FileError(
                f"cannot read {what} from {str(path)!r}: it is not UTF-8 text ({error}): save it as UTF-8"
            ) from error
        warn(f"{str(path)!r} is not UTF-8 text and is read as Windows-1252: save it as UTF-8 if names look wrong")
        return text


def _counting(lines: Iterable[str], counts: list[int]) -> Iterator[str]:
    """The lines, counted."""
    for line in lines:
        counts[0] += 1
        yield line
