"""Concepts from columns of Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from neuronym._util.messages import no_such
from neuronym.data.concepts import Concepts
from neuronym.errors import ConceptsError

if TYPE_CHECKING:
    pass


__all__ = ["from_dataset"]


def from_dataset(dataset: Any, columns: Sequence[str], *, sample_ids: Iterable[object] | str | None = None) -> Concepts:
    """Turn columns of a Hugging Face dataset into concepts: classes, texts, lists of either, or booleans.

    With one column, concepts are named after its classes; with several, ``column=name``. A boolean column is one
    concept, named after the column. If a class is missing or −1, the sample has none of the column's concepts.

    Parameters
    ----------
    dataset : datasets.Dataset
        The dataset.
    columns : str or sequence of str
        The names of columns of type ``ClassLabel``, string or bool, or lists of ``ClassLabel`` or string.
    sample_ids : iterable or str, optional
        One id per sample, or the name of the column with the ids.

    Returns
    -------
    Concepts
        The concepts of all columns.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    ConceptsError
        If a column has another type, or no column is named.
    """
    column_names = [columns] if isinstance(columns, str) else list(columns)
    for name in [*column_names, *([sample_ids] if isinstance(sample_ids, str) else [])]:
        if name not in dataset.features:
            raise no_such("column", name, list(dataset.features))
    if not column_names:
        raise ConceptsError("columns is empty: name at least one column")
    sets: list[set[str]] = [set() for _ in range(len(dataset))]
    plain = dataset.with_format(None)
    for column in column_names:
        feature = dataset.features[column]
        inner = getattr(feature, "feature", feature)  # of a list
        names, dtype = getattr(inner, "names", None), getattr(inner, "dtype", None)
        if names is None and dtype not in ("string", "large_string", "bool"):
            raise ConceptsError(f"the column {column!r} holds {inner}: it must hold classes, texts or bool")
        prefix = f"{column}=" if len(column_names) > 1 else ""
        for names_of_sample, value in zip(sets, plain.select_columns([column])[column], strict=True):
            for one in value if isinstance(value, list) else [value]:
                if one is None or (names is not None and one < 0) or one is False:
                    continue
                names_of_sample.add(column if one is True else prefix + (one if names is None else names[one]))
    ids = plain.select_columns([sample_ids])[sample_ids] if isinstance(sample_ids, str) else sample_ids
    return Concepts.from_sets(sets, sample_ids=ids)
