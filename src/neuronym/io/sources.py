"""Concepts from data sets as they come: folders, annotation files, tables of attributes, COCO, datasets, patterns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym._util.files import kind_of, read_json, reading
from neuronym._util.messages import counted, no_such, some
from neuronym.data.concepts import Concepts
from neuronym.data.ids import is_missing, split_ids
from neuronym.errors import ConceptsError, FileError, OptionError
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "from_annotations",
    "from_attributes",
    "from_coco",
    "from_dataset",
    "from_folder",
    "from_patterns",
    "image_files",
    "open_attributes",
]

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")


def image_files(folder: PathLike, endings: Iterable[str] = IMAGES) -> list[str]:
    """The paths of the images below a folder, with ``/``, in alphabetical order.

    Raises
    ------
    FileError
        If there is no such folder.
    """
    root, wanted = Path(folder), set(endings)
    if not root.is_dir():
        raise FileError(f"cannot read images: there is no folder {str(folder)!r}")
    with reading(root, "images"):
        found = [path for path in root.rglob("*") if path.suffix.lower() in wanted and path.is_file()]
    return sorted(path.relative_to(root).as_posix() for path in found)


def from_folder(folder: PathLike, *, endings: Iterable[str] = IMAGES) -> Concepts:
    """One class per subfolder, as torchvision's ``ImageFolder``; files may lie deeper.

    Sample ids are the paths below the folder, with ``/``, in alphabetical order.

    Raises
    ------
    FileError
        If there is no such folder.
    ConceptsError
        If it has no subfolders with such files.
    """
    wanted = {ending.lower() for ending in endings}
    found = image_files(folder, wanted)
    samples = [sample for sample in found if "/" in sample]
    if not samples:
        loose = f"; {counted(len(found), 'file')} of this kind lie in the folder itself" if found else ""
        raise ConceptsError(
            f"{str(folder)!r} has no subfolders with files that end in {some(sorted(wanted))}{loose}: one subfolder "
            "per class is expected, or use a table of samples and concepts"
        )
    return Concepts.from_long(samples, [sample.partition("/")[0] for sample in samples])


def from_annotations(path: PathLike) -> Concepts:
    """One class per line, as Tiny ImageNet's ``val_annotations.txt``: sample, class, and what follows, by tabs.

    Raises
    ------
    FileError
        If the file cannot be read or a line has fewer than two columns.
    """
    with reading(path, "annotations"), open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    short = [number for number, row in enumerate(rows, 1) if len(row) < 2]
    if short:
        raise FileError(
            f"cannot read annotations from {str(path)!r}: sample and class, separated by a tab, are expected in "
            f"every line; {counted(len(short), 'line')} such as line {short[0]} have fewer columns"
        )
    return Concepts.from_classes([row[1] for row in rows], sample_ids=[row[0] for row in rows])


def from_attributes(frame: pd.DataFrame) -> Concepts:
    """A column per attribute with categories: each becomes a concept ``attribute=value``.

    Sample ids are the first column ``sample``, or an index that does not merely count. A missing cell is an unknown
    value of the attribute: none of its concepts is shown.

    >>> import pandas as pd
    >>> from_attributes(pd.DataFrame({"colour": ["red", "blue", None], "size": [1, 2, 2]})).names
    ('colour=blue', 'colour=red', 'size=1', 'size=2')
    """
    body, ids = split_ids(frame)
    sets = [
        {f"{attribute}={value}" for attribute, value in zip(body.columns, row, strict=True) if not is_missing(value)}
        for row in body.itertuples(index=False, name=None)
    ]
    return Concepts.from_sets(sets, sample_ids=ids)


def open_attributes(path: PathLike) -> Concepts:
    """``from_attributes`` of a file, ``.csv`` or ``.parquet``.

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
        else:  # as text: an id 001 and a category 1 stay what they are; an empty cell is missing
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    return from_attributes(frame)


def from_coco(path: PathLike, *, supercategories: bool = True) -> Concepts:
    """The categories present in each image of a COCO instances file (JSON), and their supercategories.

    Sample ids are the file names of the images.

    Raises
    ------
    FileError
        If the file cannot be read or is no COCO instances file.
    """
    whole = read_json(path, "COCO annotations")
    images = {one["id"]: str(one["file_name"]) for one in _coco(whole, "images", path, "id", "file_name")}
    categories = {one["id"]: one for one in _coco(whole, "categories", path, "id", "name")}
    shown: dict[str, set[str]] = {name: set() for name in images.values()}
    for annotation in _coco(whole, "annotations", path, "image_id", "category_id"):
        image, category = images.get(annotation["image_id"]), categories.get(annotation["category_id"])
        if image is None or category is None:
            raise _no_coco(
                path, f"an annotation is of {'an image' if image is None else 'a category'} that is not there"
            )
        shown[image].add(str(category["name"]))
        if supercategories and category.get("supercategory"):
            shown[image].add(str(category["supercategory"]))
    return Concepts.from_sets(shown.values(), sample_ids=shown)


def _coco(whole: Any, name: str, path: PathLike, *needed: str) -> list[dict[str, Any]]:
    """A list of a COCO instances file, each of whose entries has what is needed: ids, which are numbers, and texts."""
    entries = whole.get(name) if isinstance(whole, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _no_coco(path, f"there is no list called {name}")
    for entry in entries:
        for key in needed:
            if not isinstance(entry.get(key), int | str):
                raise _no_coco(path, f"one of its {name} has no {key}")
    return entries


def _no_coco(path: PathLike, why: str) -> FileError:
    return FileError(
        f"{str(path)!r} is no COCO instances file: images, annotations and categories that refer to each other "
        f"are expected, and {why}"
    )


def from_dataset(dataset: Any, columns: Sequence[str], *, sample_ids: Iterable[object] | str | None = None) -> Concepts:
    """Columns of a dataset of Hugging Face (``datasets``): classes, lists of classes or of texts, and yes or no.

    Of one column the concepts are the names of its classes; of several, ``column=name``. A column of bool is a concept
    by its own name. A class of −1, or none, is unknown: the sample shows none of the column's.

    Parameters
    ----------
    dataset : datasets.Dataset
    columns : names of columns of ``ClassLabel``, text or bool, or of lists of the former two
    sample_ids : one per sample, or the name of the column that holds them

    Raises
    ------
    UnknownNameError
        If there is no such column.
    ConceptsError
        If a column is of another type.
    """
    listed = [columns] if isinstance(columns, str) else list(columns)
    for name in [*listed, *([sample_ids] if isinstance(sample_ids, str) else [])]:
        if name not in dataset.features:
            raise no_such("column", name, list(dataset.features))
    if not listed:
        raise ConceptsError("columns names no column: give at least one")
    sets: list[set[str]] = [set() for _ in range(len(dataset))]
    plain = dataset.with_format(None)
    for column in listed:
        feature = dataset.features[column]
        inner = getattr(feature, "feature", feature)  # of a list
        names, dtype = getattr(inner, "names", None), getattr(inner, "dtype", None)
        if names is None and dtype not in ("string", "large_string", "bool"):
            raise ConceptsError(f"the column {column!r} holds {inner}: classes, texts or bool are expected")
        prefix = f"{column}=" if len(listed) > 1 else ""
        for shown, value in zip(sets, plain.select_columns([column])[column], strict=True):
            for one in value if isinstance(value, list) else [value]:
                if one is None or (names is not None and one < 0) or one is False:
                    continue
                shown.add(column if one is True else prefix + (one if names is None else names[one]))
    ids = plain.select_columns([sample_ids])[sample_ids] if isinstance(sample_ids, str) else sample_ids
    return Concepts.from_sets(sets, sample_ids=ids)


def from_patterns(
    texts: Iterable[str], patterns: Mapping[str, str], *, sample_ids: Iterable[object] | None = None
) -> Concepts:
    r"""A concept per regular expression: shown by the texts, or the tokens, in which it is found (``re.search``).

    Raises
    ------
    OptionError
        If a pattern is no regular expression.

    >>> from_patterns(["a 1", "b"], {"digit": r"\d", "first": "^a"})
    Concepts(2 samples × 2 concepts: digit 1, first 1)
    """
    compiled = {}
    for name, pattern in patterns.items():
        try:
            compiled[name] = re.compile(pattern)
        except re.error as error:
            raise OptionError(f"the pattern of {name!r} is no regular expression: {pattern!r} ({error})") from error
    shown = [[found.search(text) is not None for found in compiled.values()] for text in texts]
    matrix = np.array(shown, np.bool_).reshape(len(shown), len(compiled))
    return Concepts.from_array(matrix, compiled, sample_ids=sample_ids)
