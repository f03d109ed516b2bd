"""Concepts from lists and tables: annotations, yes-or-no values, attributes, scores."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from neuronym._util.files import kind_of, reading
from neuronym._util.messages import counted
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.data.ids import is_missing, split_ids
from neuronym.errors import ConceptsError, FileError
from neuronym.io.files import open_activations, open_concepts
from neuronym.types import HierarchyLike, PathLike, Unknown

if TYPE_CHECKING:
    import pandas as pd

from neuronym.io.sources.finishing import check_out, expanded, finish

__all__ = ["from_annotations", "from_attributes", "from_scores", "from_table", "open_attributes"]


def from_annotations(
    file: PathLike,
    *,
    hierarchy: HierarchyLike | None = None,
    min_classes: int = 2,
    min_count: int = 0,
    ids: bool = False,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Read one sample and its class per line, separated by a tab, as in Tiny ImageNet's ``val_annotations.txt``.

    Parameters
    ----------
    file : str or Path
        The file to read; columns after the first two are ignored.
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
    OptionError
        If the hierarchy contains none of the classes.
    """
    check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    with reading(file, "annotations"), open(file, encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
    short = [number for number, row in enumerate(rows, 1) if len(row) < 2]
    if short:
        raise FileError(
            f"cannot read annotations from {str(file)!r}: every line needs a sample and a class, separated by a tab; "
            f"{counted(len(short), 'line')} such as line {short[0]} have fewer columns"
        )
    found = Concepts.from_classes([row[1] for row in rows], sample_ids=[row[0] for row in rows])
    return finish(expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


def from_table(
    file: PathLike,
    *,
    attributes: bool = False,
    unknown: Unknown = "error",
    hierarchy: HierarchyLike | None = None,
    min_classes: int = 2,
    min_count: int = 0,
    ids: bool = False,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Read a table of concepts, long or multi-hot, or of attributes whose categories become concepts.

    Parameters
    ----------
    file : str or Path
        The table, ``.csv`` or ``.parquet``.
    attributes : bool, default False
        Treat columns as attributes: each category becomes a concept ``attribute=value``, as in ``from_attributes``.
    unknown : {"error", "no", "drop"}, default "error"
        How to handle values that are neither yes nor no: raise an error, count them as no, or drop the sample.
    hierarchy : HierarchyLike, optional
        Add the concepts above these: ``"wordnet"``, a table of child and parent, or a folder of WordNet's files.
    min_classes : int, default 2
        Add only concepts above at least this many of these.
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
        The concepts of the table, and those added from the hierarchy.

    Raises
    ------
    FileError
        If the file cannot be read, or ``out`` cannot be written.
    ConceptsError
        If a value is neither yes nor no and ``unknown="error"``.
    OptionError
        If the hierarchy contains none of the concepts.
    """
    check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    found = open_attributes(file) if attributes else open_concepts(file, unknown=unknown)
    return finish(expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


def from_attributes(frame: pd.DataFrame) -> Concepts:
    """Turn each category of each attribute into a concept ``attribute=value``.

    Sample ids are the first column, if it is called ``sample``, or an index other than row numbers. If a cell is
    missing, the sample has none of the attribute's concepts.

    Parameters
    ----------
    frame : DataFrame
        One column of categories per attribute, one row per sample.

    Returns
    -------
    Concepts
        One concept per attribute and category.

    Examples
    --------
    >>> import pandas as pd
    >>> from_attributes(pd.DataFrame({"colour": ["red", "blue", None], "size": [1, 2, 2]})).names
    ('colour=blue', 'colour=red', 'size=1', 'size=2')
    """
    body, ids = split_ids(frame, "attributes", ConceptsError)
    sets = [
        {f"{attribute}={value}" for attribute, value in zip(body.columns, row, strict=True) if not is_missing(value)}
        for row in body.itertuples(index=False, name=None)
    ]
    return Concepts.from_sets(sets, sample_ids=ids)


def open_attributes(path: PathLike) -> Concepts:
    """Read a file of attributes and turn their categories into concepts, as ``from_attributes`` does.

    Parameters
    ----------
    path : str or Path
        The table, ``.csv`` or ``.parquet``.

    Returns
    -------
    Concepts
        One concept per attribute and category.

    Raises
    ------
    FileError
        If the file cannot be read.
    """
    import pandas as pd
    import pyarrow as pa

    kind = kind_of(path, (".csv", ".parquet"), "attributes")
    with reading(path, "attributes", ValueError, pa.ArrowException):
        if kind == ".parquet":
            frame = pd.read_parquet(path)
        else:  # as text, so that an id 001 and a category 1 are kept; an empty cell is missing
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    return from_attributes(frame)


def from_scores(
    scores: Activations | PathLike,
    *,
    threshold: float | None = None,
    quantile: float | None = None,
    prevalence: float | None = None,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Turn scores, such as those of a tagger or CLIP similarities, into concepts that are present or absent.

    Give exactly one of ``threshold``, ``quantile`` and ``prevalence``. For arrays, use ``Concepts.from_scores``.

    Parameters
    ----------
    scores : Activations, str or Path
        Scores of shape (n_samples, n_concepts), or a file of them; columns are named after the concepts, and a higher
        score means that the concept is more likely present.
    threshold : float, optional
        A concept is present if its score is at least this.
    quantile : float, optional
        A concept is present if its score is above this quantile of the concept's scores.
    prevalence : float, optional
        A concept is present in this share of samples, those with the highest scores.
    min_count : int, default 0
        Keep only concepts of at least this many samples.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Returns
    -------
    Concepts
        One concept per column.

    Raises
    ------
    OptionError
        If none or several of the three are given, or one is out of range.
    FileError
        If the file cannot be read, or ``out`` cannot be written.
    """
    check_out(out, overwrite)
    opened = scores if isinstance(scores, Activations) else open_activations(scores)
    found = Concepts.from_scores(
        opened.matrix,
        [str(name) for name in opened.names],
        threshold=threshold,
        quantile=quantile,
        prevalence=prevalence,
        sample_ids=opened.sample_ids,
    )
    return finish(found, None, min_count, True, out, overwrite)
