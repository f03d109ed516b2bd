"""Concepts from tables: yes-or-no values, labels, attributes, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuronym._util.messages import no_such, some, warn
from neuronym.data.activations import Activations
from neuronym.data.binary import warn_of_combinations
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.data.ids import SAMPLE, is_missing, refuse_repeats, split_ids
from neuronym.data.labelled import as_frame
from neuronym.errors import ConceptsError
from neuronym.io.files import concepts_of, labels_in, multi_hot, open_activations
from neuronym.io.sources.finishing import check_out, check_separator, expanded, finish
from neuronym.io.tables import read_table
from neuronym.io.tables import split_ids as split_table
from neuronym.types import HierarchyLike, LayerLike, Negative, PathLike, Unknown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["from_attributes", "from_scores", "from_table", "open_attributes"]


def from_table(
    file: PathLike,
    *,
    attributes: bool = False,
    separator: str | None = None,
    columns: Sequence[str] | None = None,
    id_column: str | None = None,
    unknown: Unknown = "error",
    blank: Unknown | None = None,
    negative: Negative | None = None,
    hierarchy: HierarchyLike | None = None,
    min_classes: int = 2,
    min_count: int = 0,
    ids: bool = False,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Read a table of concepts, long or multi-hot, of labels in a column, or of attributes with categories.

    Parameters
    ----------
    file : str or Path
        The table: ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``.
    attributes : bool, default False
        Treat columns as attributes: each category becomes a concept ``attribute=value``, as in ``from_attributes``.
    separator : str, optional
        The text between several labels in a cell, such as ``"|"``. Without ``attributes``, the table must have one
        column besides the ids, and its labels become concepts.
    columns : sequence of str, optional
        The columns to read, besides the ids; all by default.
    id_column : str, optional
        The column of sample ids. By default a first column ``sample``; else, with a warning, a column of ids that are
        all different, such as ``image_id`` or texts in the first column.
    unknown : {"error", "no", "drop"}, default "error"
        How to handle values that are neither yes nor no: raise an error, count them as no, or drop the sample.
    blank : {"error", "no", "drop"}, optional
        How to handle empty cells; as ``unknown`` by default.
    negative : {"error", "no", "yes", "drop"}, optional
        How to handle −1; as ``unknown`` by default. If there are only −1 and 1, −1 is no, with a warning.
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
        If a value is neither yes nor no and ``unknown="error"``, or there is no such column.
    OptionError
        If the hierarchy contains none of the concepts.
    """
    check_out(out, overwrite)
    check_separator(separator)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    table = read_table(file, "concepts")
    if attributes:
        sample_ids, chosen = _chosen(table, columns, id_column)
        found = _of_categories(_columns(chosen), sample_ids, separator)
    elif separator is not None and table.column_names != [SAMPLE, "concept"]:
        sample_ids, chosen = _chosen(table, columns, id_column)
        found = _of_labels(_columns(chosen), sample_ids, separator)
    elif columns is not None:
        sample_ids, chosen = _chosen(table, columns, id_column)
        found = multi_hot(chosen, sample_ids, unknown=unknown, blank=blank, negative=negative)
    else:
        found = concepts_of(table, file, id_column, separator, unknown=unknown, blank=blank, negative=negative)
    return finish(expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


def _chosen(table: pa.Table, columns: Sequence[str] | None, id_column: str | None) -> tuple[list[str] | None, pa.Table]:
    """The sample ids of a table, and the columns that are wanted."""
    sample_ids, places = split_table(table, "concepts", ConceptsError, id_column)
    listed_names = table.column_names
    names = [listed_names[place] for place in places]
    for name in columns or ():
        if names.count(name) != 1:
            raise no_such("column", name, names)
    return sample_ids, table.select([places[names.index(name)] for name in columns] if columns else places)


def _columns(table: pa.Table) -> dict[str, list[object]]:
    """The cells of each column by name."""
    if len(set(table.column_names)) < table.num_columns:
        refuse_repeats(table.column_names, "column", "the table", ConceptsError)
    return {name: column.to_pylist() for name, column in zip(table.column_names, table.columns, strict=True)}


def _of_labels(columns: Mapping[str, Sequence[object]], ids: Sequence[object] | None, separator: str) -> Concepts:
    """The concepts of one column with several labels in a cell."""
    if len(columns) != 1:
        raise ConceptsError(
            f"with a separator, the labels must be in one column, but there are {len(columns)} ({some(columns)}): "
            "choose one with columns (--columns), or read all as attributes (--attributes)"
        )
    ((name, cells),) = columns.items()
    if not any(separator in str(cell) for cell in cells):
        warn(f"no cell of the column {name!r} contains the separator {separator!r}")
    return Concepts.from_sets([labels_in(cell, separator) for cell in cells], sample_ids=ids)


def _of_categories(
    columns: Mapping[str, Sequence[object]], ids: Sequence[object] | None, separator: str | None
) -> Concepts:
    """A concept ``attribute=value`` for each category of each attribute."""
    for name, cells in columns.items() if separator is None else ():
        warn_of_combinations(cells, f"cells of {name!r}", "split them with separator={0!r} (--separator)")
        n_values = len({str(cell) for cell in cells if not is_missing(cell)})
        if n_values > max(20, len(cells) // 2):
            warn(
                f"the attribute {name!r} has {n_values} categories for {len(cells)} samples, each of which becomes a "
                "concept: cut numbers into ranges, or leave the column out with columns (--columns)"
            )
    parts = [
        [{f"{name}={label}" for label in labels_in(cell, separator)} for cell in cells]
        for name, cells in columns.items()
    ]
    sets = [set().union(*of_sample) for of_sample in zip(*parts, strict=True)] if parts else []
    return Concepts.from_sets(sets, sample_ids=ids)


def from_attributes(frame: pd.DataFrame, *, id_column: str | None = None, separator: str | None = None) -> Concepts:
    """Turn each category of each attribute into a concept ``attribute=value``.

    If a cell is missing, the sample has none of the attribute's concepts.

    Parameters
    ----------
    frame : DataFrame
        One column of categories per attribute, one row per sample; of pandas, polars, Arrow or xarray.
    id_column : str, optional
        The column of sample ids. By default a first column ``sample``; else, with a warning, a column of ids that are
        all different, such as ``image_id`` or texts in the first column; else the index, unless it is just 0, 1, 2, ….
    separator : str, optional
        The text between several categories in a cell, such as ``"|"``.

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
    table = as_frame(frame, "attributes", ConceptsError)
    if table is None:
        raise ConceptsError(f"attributes must be a DataFrame, not {type(frame).__name__}")
    body, ids = split_ids(table, "attributes", ConceptsError, id_column)
    refuse_repeats(list(body.columns), "column", "attributes", ConceptsError)
    return _of_categories({str(name): body[name].tolist() for name in body.columns}, ids, separator)


def open_attributes(path: PathLike, *, id_column: str | None = None, separator: str | None = None) -> Concepts:
    """Read a file of attributes and turn their categories into concepts, as ``from_attributes`` does.

    Parameters
    ----------
    path : str or Path
        The table: ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``.
    id_column : str, optional
        The column of sample ids, as for ``from_attributes``.
    separator : str, optional
        The text between several categories in a cell, such as ``"|"``.

    Returns
    -------
    Concepts
        One concept per attribute and category.

    Raises
    ------
    FileError
        If the file cannot be read.
    """
    sample_ids, chosen = _chosen(read_table(path, "attributes"), None, id_column)
    return _of_categories(_columns(chosen), sample_ids, separator)


def from_scores(
    scores: LayerLike,
    *,
    id_column: str | None = None,
    threshold: float | None = None,
    quantile: float | None = None,
    prevalence: float | None = None,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Turn scores, such as those of a tagger or CLIP similarities, into concepts that are present or absent.

    Give exactly one of ``threshold``, ``quantile`` and ``prevalence``.

    Parameters
    ----------
    scores : LayerLike
        Scores of shape (n_samples, n_concepts), or a file of them; columns are named after the concepts, and a higher
        score means that the concept is more likely present.
    id_column : str, optional
        The column of sample ids in a file, as for ``neuronym.open_activations``.
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
    if isinstance(scores, PathLike):
        opened = open_activations(scores, id_column=id_column)
    else:
        opened = scores if isinstance(scores, Activations) else Activations(scores)
    found = Concepts.from_scores(
        opened.block(opened.indices()),  # type: ignore[arg-type]  # sparse too
        [str(name) for name in opened.names],
        threshold=threshold,
        quantile=quantile,
        prevalence=prevalence,
        sample_ids=opened.sample_ids,
    )
    return finish(found, None, min_count, True, out, overwrite)
