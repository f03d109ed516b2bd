"""Classes from lists of samples: a sample and its class per line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from neuronym._util.messages import counted, some, warn
from neuronym._util.text_tables import TextTable
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.data.ids import is_called_like_ids, is_file_name
from neuronym.errors import ConceptsError, FileError
from neuronym.io.sources.finishing import check_out, expanded, finish
from neuronym.types import HierarchyLike, PathLike

__all__ = ["from_annotations"]

_CALLED_CLASS = re.compile(
    r"(?i)(.*[\W_])?(class|label|categor(y|ie)|target|synset|wnid|concept|tag|prediction ?string|y)(e?s)?"
    r"([\W_]?(id|name|index))?"
)
_BOX = re.compile(r"(\S*[^\W\d]\S*)((?:\s+-?\d+(?:\.\d+)?){4})(?=\s|$)")  # a class and the corners of its box
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_MANY = 10  # with fewer samples, a class for each is no sign of a mistake


def from_annotations(
    file: PathLike,
    *,
    header: bool | None = None,
    separator: str | None = None,
    hierarchy: HierarchyLike | None = None,
    min_classes: int = 2,
    min_count: int = 0,
    ids: bool = False,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Read one sample and its class per line, as in Tiny ImageNet's ``val_annotations.txt``.

    They are separated by a tab, comma, semicolon, bar or white space, which is found from the lines. Blank lines,
    comments at the beginning and a byte-order mark are skipped. Cells such as ``n01440764 85 1 499 272``, a class and
    its box, as in ImageNet's ``LOC_val_solution.csv``, count as the class.

    Parameters
    ----------
    file : str or Path
        The file to read; columns after the first two are ignored.
    header : bool, optional
        Whether the first line names the columns. By default it does if it looks like it, which is then warned of.
    separator : str, optional
        The text between several classes in a cell, such as ``","``; by default a cell is one class.
    hierarchy : HierarchyLike, optional
        Add the concepts above the classes: ``"wordnet"``, a table of child and parent, or a folder of WordNet's files.
    min_classes : int, default 2
        Add only concepts above at least this many classes.
    min_count : int, default 0
        Keep only concepts of at least this many samples.
    ids : bool, default False
        Keep WordNet's ids instead of readable names.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Returns
    -------
    Concepts
        One concept per class, and those added from the hierarchy.

    Raises
    ------
    FileError
        If the file cannot be read, a line has fewer than two columns, or ``out`` cannot be written.
    ConceptsError
        If the classes are −1, 0 and 1, or a sample has two lines.
    OptionError
        If the hierarchy contains none of the classes.
    """
    check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    rows = _rows(file, header)
    sets = [_classes(row[1], separator) for row in rows]
    _check_classes(sets, file)
    found = Concepts.from_sets(sets, sample_ids=[row[0] for row in rows])
    return finish(expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


def _rows(file: PathLike, header: bool | None) -> list[list[str]]:
    """The cells of each line, without a first line of names."""
    table = TextTable(file, "annotations", named=False, spaced=True)
    rows = list(table.rows())
    short = [number for number, row in rows if len(row) < 2]
    if short:
        raise FileError(
            f"cannot read annotations from {str(file)!r}: every line needs a sample and a class, separated by a tab, "
            f"comma, semicolon, bar or space; {counted(len(short), 'line')} such as line {short[0]} have fewer columns"
        )
    if table.separator_found == " ":
        odd = [number for number, row in rows if not all(map(_NUMBER.fullmatch, row[2:]))]
        if odd:
            raise FileError(
                f"cannot read annotations from {str(file)!r}: {counted(len(odd), 'line')} such as line {odd[0]} have "
                "more words than a sample and a class: separate the two by a tab"
            )
    cells = [row for _, row in rows]
    if header is None and _names_columns(cells):
        header = True
        warn(
            f"the first line of {str(file)!r} is read as the names of columns ({some(cells[0], 2)}): say so with "
            "header=True (--header), or deny it with header=False (--no-header)"
        )
    return cells[1:] if header else cells


def _names_columns(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line names the columns: it is called like ids or classes, and differs from the others."""
    if len(rows) < 2 or is_file_name(rows[0][0]) or rows[0][1] in {row[1] for row in rows[1:]}:
        return False
    if len(rows) > 2 and all(is_file_name(row[0]) for row in rows[1:]):
        return True
    return is_called_like_ids(rows[0][0]) or _CALLED_CLASS.fullmatch(rows[0][1].strip()) is not None


def _classes(cell: str, separator: str | None) -> set[str]:
    """The classes in a cell; an empty one is none."""
    boxes = _BOX.findall(cell)
    if boxes and not _BOX.sub("", cell).strip():
        return {name for name, _ in boxes}
    parts = cell.split(separator) if separator else [cell]
    return {part.strip() for part in parts if part.strip()}


def _check_classes(sets: Sequence[set[str]], file: PathLike) -> None:
    """Refuse values of yes and no; warn if each sample has a class of its own."""
    classes = set().union(*sets)
    if "-1" in classes and classes <= {"-1", "0", "1"}:
        raise ConceptsError(
            f"the classes in {str(file)!r} are {some(sorted(classes))}, which say yes or no to one concept: add a "
            "first line such as 'sample dog' and read the file with from_table (neuronym concepts table)"
        )
    if len(classes) == len(sets) >= _MANY and all(len(one) == 1 for one in sets):
        warn(
            f"there are {counted(len(classes), 'class')} for {counted(len(sets), 'sample')} in {str(file)!r} "
            f"({some(sorted(classes))}): are the columns swapped, or are there several classes in a cell (separator, "
            "--separator)?"
        )
