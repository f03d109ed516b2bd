"""Concepts from columns of Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neuronym._util.messages import counted, no_such, some
from neuronym.data.concepts import Concepts
from neuronym.data.ids import is_missing
from neuronym.errors import ConceptsError

__all__ = ["from_dataset"]

_READ = "it must hold classes, texts, bool, 0 and 1, whole numbers, or lists of these"
_DTYPES = ("string", "large_string", "string_view", "bool", "int", "uint", "float", "null")


def from_dataset(dataset: Any, columns: Sequence[str], *, sample_ids: Iterable[object] | str | None = None) -> Concepts:
    """Turn columns of a Hugging Face dataset into concepts.

    - Classes and texts, or lists of either: one concept per class, with its name, or ``column=name`` if there are
      several columns or the names are just numbers.
    - True and False, or 0 and 1: one concept, named after the column.
    - Lists of 0 and 1, or of bool, that all have one length (multi-hot): one concept for each place, ``column_0``,
      ``column_1``, …. A list of class indices counts as multi-hot only if it has a 0 or 1 for each of more than two
      classes; its concepts are the classes.
    - Other whole numbers, or lists of them: one concept for each number, ``column=3``.

    A sample whose value is missing (None, NaN, a blank text, or −1 for a class) has none of the column's concepts.
    A dataset that is streamed is read once.

    Parameters
    ----------
    dataset : datasets.Dataset or datasets.IterableDataset
        The dataset: one split.
    columns : str or sequence of str
        The names of the columns.
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
        If a column has another type, no column is named, two columns give the same concept, 0 and 1 come with −1, or
        this is no dataset but, for example, a dictionary of its splits.
    """
    _check_dataset(dataset)
    named = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
    if not named:
        raise ConceptsError("columns is empty: name at least one column")
    features = getattr(dataset, "features", None) or {}
    for name in named:
        _check_feature(name, features.get(name))
    values = _read(dataset, [*named, *([sample_ids] if isinstance(sample_ids, str) else [])])
    sets: list[set[str]] = [set() for _ in next(iter(values.values()))]
    seen: set[str] = set()
    for name in named:
        found = _concepts_of(name, values[name], _class_names(features.get(name)), several=len(named) > 1)
        shared = seen & set().union(*found)
        if shared:
            raise ConceptsError(f"two columns give the concept {min(shared)!r}: rename the column {name!r}")
        seen |= set().union(*found)
        for whole, part in zip(sets, found, strict=True):
            whole |= part
    return Concepts.from_sets(sets, sample_ids=values[sample_ids] if isinstance(sample_ids, str) else sample_ids)


def _check_dataset(dataset: Any) -> None:
    if isinstance(dataset, Mapping) and dataset and all(hasattr(one, "with_format") for one in dataset.values()):
        raise ConceptsError(
            f"the dataset has {counted(len(dataset), 'split')} ({some(map(str, dataset))}): choose one, as "
            f"dataset[{str(next(iter(dataset)))!r}]"
        )
    if not hasattr(dataset, "with_format"):
        raise ConceptsError(
            f"dataset must be a datasets.Dataset or IterableDataset, one split, not {type(dataset).__name__}: load one "
            "with datasets.load_dataset(…, split='train'); tables and lists are for Concepts.from_frame and from_sets"
        )


def _check_feature(name: str, feature: Any) -> None:
    """Refuse types that are no concepts, before anything is read or decoded."""
    inner = getattr(feature, "feature", feature)  # of a list
    if isinstance(inner, Mapping):
        raise _nested(name, inner, in_list=inner is not feature)
    dtype = str(getattr(inner, "dtype", None)).rstrip("0123456789")
    if feature is not None and (dtype not in _DTYPES or hasattr(inner, "shape")):
        raise ConceptsError(f"the column {name!r} holds {feature}: {_READ}")


def _class_names(feature: Any) -> list[str] | None:
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return None if names is None else list(names)


def _nested(name: str, keys: Iterable[object], in_list: bool) -> ConceptsError:
    listed = list(map(str, keys))
    key = listed[0] if listed else "key"
    flat = f"use dataset.flatten() (dataset.map if it is streamed) and name a column such as {f'{name}.{key}'!r}"
    picked = f"dataset.map(lambda row: {{{key!r}: [one[{key!r}] for one in row[{name!r}]]}})"
    remedy = f"make a column of one of these, as {picked}" if in_list else flat
    return ConceptsError(f"the column {name!r} holds objects with {some(listed)}: {remedy}")


def _read(dataset: Any, wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of columns as plain Python objects; a dataset that is streamed is read once, row by row."""
    plain = dataset.with_format(None)
    known = list(dataset.column_names or ())
    for name in wanted:
        if known and name not in known:
            raise no_such("column", name, known)
    if hasattr(plain, "__len__"):
        return {name: [_plain(one) for one in plain.select_columns([name])[name]] for name in wanted}
    values: dict[str, list[Any]] = {name: [] for name in wanted}
    for place, row in enumerate(plain.select_columns(list(dict.fromkeys(wanted))) if known else plain):
        for name, of_column in values.items():
            if not place and name not in row:
                raise no_such("column", name, list(row))
            of_column.append(_plain(row.get(name)))
    return values


def _plain(value: Any) -> Any:
    """Return a number, text, list … without types of numpy or torch, which a stream may yield."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _is_absent(value: object) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())


def _concepts_of(column: str, values: list[Any], names: list[str] | None, several: bool) -> list[set[str]]:
    """Return the concepts of each sample that one column gives."""
    rows = [value if isinstance(value, list) else [value] for value in values]
    present = [one for row in rows for one in row if not _is_absent(one)]
    nested = next((one for one in present if isinstance(one, Mapping)), None)
    if nested is not None:
        raise _nested(column, nested, in_list=any(isinstance(value, list) for value in values))
    if all(isinstance(one, str) for one in present):
        prefix = f"{column}=" if several or all(one.isdecimal() for one in present) else ""
        return [{f"{prefix}{one}" for one in row if not _is_absent(one)} for row in rows]
    if not all(isinstance(one, int | float) for one in present):
        kinds = sorted({type(one).__name__ for one in present})
        raise ConceptsError(f"the column {column!r} holds {' and '.join(kinds)}: {_READ}")
    continuous = [one for one in present if not float(one).is_integer()]
    if continuous:
        raise ConceptsError(
            f"the column {column!r} holds numbers such as {continuous[0]}, which are neither yes nor no: binarize them "
            "with Concepts.from_scores, or make True and False of them with dataset.map"
        )
    lengths = {len(value) for value in values if isinstance(value, list)}
    if names is not None:
        return _of_classes(column, rows, names, lengths, several)
    return _of_numbers(column, rows, set(map(int, present)), lengths, all(isinstance(one, bool) for one in present))


def _of_classes(
    column: str, rows: list[list[Any]], names: list[str], lengths: set[int], several: bool
) -> list[set[str]]:
    """Return the concepts of indices of classes, or of a 0 or 1 for each class."""
    prefix = f"{column}=" if several or all(name.isdecimal() for name in names) else ""
    indices = [[int(one) for one in row if not _is_absent(one)] for row in rows]
    distinct = {one for row in indices for one in row}
    if max(distinct) >= len(names):
        raise ConceptsError(
            f"the column {column!r} has the class {max(distinct)}, but only {counted(len(names), 'name')}"
        )
    # With more than two classes, distinct indices that are all 0 or 1 cannot fill lists of this length.
    if len(names) > 2 and lengths == {len(names)} and distinct <= {0, 1}:
        return [{f"{prefix}{name}" for name, one in zip(names, row, strict=False) if one == 1} for row in rows]
    return [{f"{prefix}{names[one]}" for one in row if one >= 0} for row in indices]


def _of_numbers(
    column: str, rows: list[list[Any]], distinct: set[int], lengths: set[int], are_bool: bool
) -> list[set[str]]:
    """Return the concepts of whole numbers: yes or no, one for each place of a multi-hot list, or class numbers."""
    single = lengths in (set(), {1})
    longest = max(lengths, default=0)
    multi_hot = longest > 1 and (lengths == {longest} or (lengths == {0, longest} and longest > 2))
    if -1 in distinct and distinct <= {-1, 0, 1} and (single or multi_hot):
        n_odd = sum(one == -1 for row in rows for one in row)
        raise ConceptsError(
            f"the column {column!r} holds 0 or 1, but also {counted(n_odd, 'value')} of -1: replace -1 with 0 if it "
            "means no, or, if it means unknown, leave these rows out with dataset.filter or replace it with None, "
            "which counts as no"
        )
    if distinct <= {0, 1} and multi_hot:
        return [{f"{column}_{place}" for place, one in enumerate(row) if one == 1} for row in rows]
    if distinct <= {0, 1} and (single or are_bool):
        return [{column} if any(one == 1 for one in row) else set() for row in rows]
    if min(distinct) < -1:
        raise ConceptsError(
            f"the column {column!r} holds negative numbers such as {min(distinct)}, which are no classes: turn them "
            "into text if each is one, or binarize them with Concepts.from_scores"
        )
    return [{f"{column}={int(one)}" for one in row if not _is_absent(one) and one >= 0} for row in rows]
