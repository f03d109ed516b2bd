"""Classes from lists of samples: a sample and its class per line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from neuronym._util.messages import counted, some, warn
from neuronym._util.text_tables import TextTable
from neuronym.data.binary import warn_of_combinations
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.data.ids import is_called_like_classes, is_called_like_ids, is_file_name
from neuronym.errors import ConceptsError, FileError
from neuronym.io.sources.finishing import check_out, check_separator, expanded, finish
from neuronym.types import HierarchyLike, PathLike

__all__ = ["from_annotations"]

_LETTER, _CORNER = re.compile(r"[^\W\d]"), re.compile(r"-?\d+(\.\d+)?")
_NUMBER = re.compile(r"\s*+([-+]?\d++(\.\d+)?)?\s*")
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
        The file to read. Without a first line of names, columns after the first two must be numbers, such as a box, and
        are ignored; with one, the column called like a class is read.
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
    check_separator(separator)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    samples, cells = _samples_and_cells(file, header)
    if separator is None and not any(" " in cell for cell in cells):
        _check_classes(set(cells), len(cells), file)
        warn_of_combinations(cells, f"cells of {str(file)!r}", "split them with separator={0!r} (--separator)")
        found = Concepts.from_long(samples, cells, sample_ids=samples)
        found = found.select(sorted(found.names))
    else:
        sets = [_classes(cell, separator) for cell in cells]
        alone = {name for one in sets if len(one) == 1 for name in one}
        _check_classes(set().union(*sets), len(sets) if len(alone) == len(sets) else 0, file)
        if separator is None:
            alike = [" ".join(sorted(one)) for one in sets if len(one) == 1]
            warn_of_combinations(alike, f"cells of {str(file)!r}", "split them with separator={0!r} (--separator)")
        found = Concepts.from_sets(sets, sample_ids=samples)
    return finish(expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


def _samples_and_cells(file: PathLike, header: bool | None) -> tuple[list[str], list[str]]:
    """The samples and the cells with their classes."""
    table = TextTable(file, "annotations", named=False, spaced=True)
    rows = list(table.rows())
    short = [number for number, row in rows if len(row) < 2]
    if short:
        raise FileError(
            f"cannot read annotations from {str(file)!r}: every line needs a sample and a class, separated by a tab, "
            f"comma, semicolon, bar or space; {counted(len(short), 'line')} such as line {short[0]} have fewer columns"
        )
    cells = [row for _, row in rows]
    if header is None and _names_columns(cells):
        header = True
        warn(
            f"the first line of {str(file)!r} is read as the names of columns ({some(cells[0])}): say so with "
            "header=True (--header), or deny it with header=False (--no-header)"
        )
    sample, column = _places(cells[0], file) if header and len(cells[0]) > 2 else (0, 1)
    body = rows[1:] if header else rows
    if not header:
        _check_other_columns(body, table.separator_found, file)
    samples = [row[sample] for _, row in body]
    if len(set(samples)) < len(samples):
        repeated = next(name for name, times in Counter(samples).items() if times > 1)
        raise ConceptsError(
            f"samples in {str(file)!r} have several lines, such as {repeated!r}: sample ids must be unique, so for "
            "several classes of a sample, add the line sample,concept at the top and use from_table (neuronym concepts "
            "table)"
        )
    return samples, [row[column] for _, row in body]


def _places(names: Sequence[str], file: PathLike) -> tuple[int, int]:
    """The columns of samples and classes among several with names."""
    classes = [c for c, name in enumerate(names) if is_called_like_classes(name)]
    samples = [c for c, name in enumerate(names) if c not in classes and is_called_like_ids(name)] or [0]
    if len(classes) != 1 or classes[0] == samples[0]:
        raise FileError(
            f"cannot read annotations from {str(file)!r}: of its columns ({some(names, 5)}) none or several are called "
            "like a class: keep two columns, or use from_table with columns (neuronym concepts table --columns)"
        )
    return samples[0], classes[0]


def _check_other_columns(rows: Sequence[tuple[int, Sequence[str]]], separator: str, file: PathLike) -> None:
    """Refuse columns besides sample and class that are no box, and classes that are numbers beside them."""
    words = [number for number, row in rows if len(row) > 2 and not all(map(_NUMBER.fullmatch, row[2:]))]
    if words and separator == "\t":
        warn(f"columns of {str(file)!r} after the first two are ignored, such as in line {words[0]}")
    elif words:
        raise FileError(
            f"cannot read annotations from {str(file)!r}: {counted(len(words), 'line')} such as line {words[0]} have "
            "more than a sample and a class: keep the two, separated by a tab"
        )
    listed = {cell.strip() for _, row in rows if len(row) > 2 for cell in row[1:]}
    if listed and listed <= {"-1", "0", "1"}:
        raise ConceptsError(
            f"the columns of {str(file)!r} hold {some(sorted(listed))}, which say yes or no to a concept each: add a "
            "first line with their names and read the file with from_table (neuronym concepts table)"
        )
    if any(len(row) > 2 for _, row in rows) and all(re.fullmatch(r"\d+\.\d+", row[1].strip()) for _, row in rows):
        raise FileError(
            f"cannot read annotations from {str(file)!r}: its second column holds numbers such as {rows[0][1][1]!r}, "
            "no classes: keep a sample and a class, or use from_table with columns (neuronym concepts table --columns)"
        )


def _names_columns(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line names the columns: it is called like ids or classes, and differs from the others."""
    if len(rows) < 2 or any(map(is_file_name, rows[0])) or rows[0][1] in {row[1] for row in rows[1:]}:
        return False
    if len(rows) > 2 and all(is_file_name(row[0]) for row in rows[1:]):
        return True
    return is_called_like_ids(rows[0][0]) or any(map(is_called_like_classes, rows[0]))


def _classes(cell: str, separator: str | None) -> set[str]:
    """The classes in a cell; an empty one is none."""
    words = cell.split()
    boxes = [words[start : start + 5] for start in range(0, len(words), 5)]
    if all(map(_is_box, boxes)):
        return {name for name, *_ in boxes}
    parts = cell.split(separator) if separator else [cell]
    return {part.strip() for part in parts if part.strip()}


def _is_box(words: Sequence[str]) -> bool:
    """Whether words are a class and the four corners of its box."""
    return len(words) == 5 and bool(_LETTER.search(words[0])) and all(map(_CORNER.fullmatch, words[1:]))


def _check_classes(classes: set[str], n_samples: int, file: PathLike) -> None:
    """Refuse values of yes and no; warn if each of some samples has a class of its own."""
    if "-1" in classes and classes <= {"-1", "0", "1"}:
        raise ConceptsError(
            f"the classes in {str(file)!r} are {some(sorted(classes))}, which say yes or no to one concept: add a "
            "first line such as 'sample dog' and read the file with from_table (neuronym concepts table)"
        )
    if len(classes) == n_samples >= _MANY:
        warn(
            f"there are {counted(len(classes), 'class')} for {counted(n_samples, 'sample')} in {str(file)!r} "
            f"({some(sorted(classes))}): are the columns swapped, or are there several classes in a cell (separator, "
            "--separator)?"
        )
