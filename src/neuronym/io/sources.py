"""Concepts from data sets in their usual forms: folders, annotation files, tables, COCO, datasets, texts.

The functions that the command ``neuronym concepts`` calls can finish their concepts in the same go: add those above
them in a hierarchy, drop rare ones, and save the rest.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym._util.files import check_target, kind_of, read_json, reading
from neuronym._util.messages import counted, no_such, some
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.data.hierarchy import Hierarchy
from neuronym.data.ids import counted_ids, is_missing, split_ids
from neuronym.errors import ConceptsError, FileError, OptionError
from neuronym.io.files import open_activations, open_concepts, save_concepts
from neuronym.io.texts import open_parents, open_texts
from neuronym.types import HierarchyLike, PathLike, Unknown

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "from_annotations",
    "from_attributes",
    "from_coco",
    "from_dataset",
    "from_imagefolder",
    "from_regex",
    "from_scores",
    "from_table",
    "from_tokens",
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


def from_imagefolder(
    folder: PathLike,
    *,
    endings: Iterable[str] = IMAGES,
    hierarchy: HierarchyLike | None = None,
    min_classes: int = 2,
    min_count: int = 0,
    ids: bool = False,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Take one class per subfolder, as torchvision's ``ImageFolder`` does; files may lie deeper.

    Sample ids are the paths below the folder, with ``/``, in alphabetical order.

    Parameters
    ----------
    folder : str or Path
        A folder with a subfolder per class.
    endings : iterable of str
        The endings of image files, such as ``.jpg``.
    hierarchy : HierarchyLike, optional
        Add the concepts above the classes: ``"wordnet"``, a table of child and parent, or a folder of WordNet's files.
    min_classes : int, default 2
        Add only concepts above at least this many classes.
    min_count : int, default 0
        Keep only concepts that at least this many samples show.
    ids : bool, default False
        Keep WordNet's ids, which otherwise become readable names.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Raises
    ------
    FileError
        If there is no such folder, or ``out`` cannot be written.
    ConceptsError
        If it has no subfolders with such files.
    OptionError
        If the hierarchy knows none of the classes.
    """
    _check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    wanted = {ending.lower() for ending in endings}
    found = image_files(folder, wanted)
    samples = [sample for sample in found if "/" in sample]
    if not samples:
        loose = f"; {counted(len(found), 'file')} of this kind lie in the folder itself" if found else ""
        raise ConceptsError(
            f"{str(folder)!r} has no subfolders with files that end in {some(sorted(wanted))}{loose}: one subfolder "
            "per class is expected, or use a table of samples and concepts"
        )
    concepts = Concepts.from_long(samples, [sample.partition("/")[0] for sample in samples])
    return _finished(_expanded(concepts, above, min_classes), above, min_count, ids, out, overwrite)


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
    """Take one class per line, as in Tiny ImageNet's ``val_annotations.txt``: sample, class and more, by tabs.

    Parameters
    ----------
    file : str or Path
        Lines of sample and class, separated by tabs; further columns are left alone.
    hierarchy, min_classes, min_count, ids, out, overwrite
        As for ``from_imagefolder``.

    Raises
    ------
    FileError
        If the file cannot be read, a line has fewer than two columns, or ``out`` cannot be written.
    OptionError
        If the hierarchy knows none of the classes.
    """
    _check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    with reading(file, "annotations"), open(file, encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
    short = [number for number, row in enumerate(rows, 1) if len(row) < 2]
    if short:
        raise FileError(
            f"cannot read annotations from {str(file)!r}: sample and class, separated by a tab, are expected in "
            f"every line; {counted(len(short), 'line')} such as line {short[0]} have fewer columns"
        )
    found = Concepts.from_classes([row[1] for row in rows], sample_ids=[row[0] for row in rows])
    return _finished(_expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


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
    """Take a table of concepts, long or multi-hot, or of attributes whose categories become concepts.

    Parameters
    ----------
    file : str or Path
        ``.csv`` or ``.parquet``.
    attributes : bool, default False
        Columns hold categories, each of which becomes a concept ``attribute=value``; see ``from_attributes``.
    unknown : "error", "no" or "drop", default "error"
        What becomes of values that are neither yes nor no: an error, a no, or the sample is dropped.
    hierarchy, min_classes, min_count, ids, out, overwrite
        As for ``from_imagefolder``.

    Raises
    ------
    FileError
        If the file cannot be read, or ``out`` cannot be written.
    ConceptsError
        If values are neither yes nor no.
    OptionError
        If the hierarchy knows none of the concepts.
    """
    _check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    found = open_attributes(file) if attributes else open_concepts(file, unknown=unknown)
    return _finished(_expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


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
    """Turn the scores of a tagger, or similarities of CLIP, into yes and no.

    Parameters
    ----------
    scores : Activations, or a file of them
        (n_samples, n_concepts); ``Concepts.from_scores`` takes arrays.
        Higher means yes, and the names of columns are those of concepts.
    threshold, quantile, prevalence : float
        One of them, as for ``Concepts.from_scores``.
    min_count, out, overwrite
        As for ``from_imagefolder``.

    Raises
    ------
    OptionError
        If none or several of the three are given, or one is out of its range.
    FileError
        If the file cannot be read, or ``out`` cannot be written.
    """
    _check_out(out, overwrite)
    opened = scores if isinstance(scores, Activations) else open_activations(scores)
    found = Concepts.from_scores(
        opened.matrix,
        [str(name) for name in opened.names],
        threshold=threshold,
        quantile=quantile,
        prevalence=prevalence,
        sample_ids=opened.sample_ids,
    )
    return _finished(found, None, min_count, True, out, overwrite)


def from_tokens(
    concepts: Concepts | PathLike,
    tokens: PathLike,
    *,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Spread the concepts of texts to their tokens.

    Parameters
    ----------
    concepts : Concepts, or a file of them
        Of texts; those without ids count from 0.
    tokens : str or Path
        A table of each token, ``sample``, and its text, ``parent``; ``neuronym collect --tokens-out`` writes one.
    min_count, out, overwrite
        As for ``from_imagefolder``.

    Raises
    ------
    FileError
        If a file cannot be read, or ``out`` cannot be written.
    """
    _check_out(out, overwrite)
    ids, parents = open_parents(tokens)
    shown = concepts if isinstance(concepts, Concepts) else open_concepts(concepts)
    if shown.sample_ids is None:
        shown = shown.with_ids(counted_ids(shown.n_samples))
    return _finished(shown.to_tokens(ids, parents), None, min_count, True, out, overwrite)


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


def from_coco(
    file: PathLike,
    *,
    supercategories: bool = True,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Take the categories present in each image of a COCO instances file, and their supercategories.

    Sample ids are the file names of the images.

    Parameters
    ----------
    file : str or Path
        COCO's instances, ``.json``.
    supercategories : bool, default True
        Add the supercategories.
    min_count, out, overwrite
        As for ``from_imagefolder``.

    Raises
    ------
    FileError
        If the file cannot be read or is no COCO instances file, or ``out`` cannot be written.
    """
    _check_out(out, overwrite)
    path, whole = file, read_json(file, "COCO annotations")
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
    return _finished(Concepts.from_sets(shown.values(), sample_ids=shown), None, min_count, True, out, overwrite)


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


def from_regex(
    texts: Iterable[str] | PathLike,
    patterns: Mapping[str, str],
    *,
    sample_ids: Iterable[object] | None = None,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    r"""Make a concept per regular expression: the texts, or tokens, in which it is found (``re.search``) show it.

    Parameters
    ----------
    texts : iterable of str, or the path of a table ``sample,text``
    patterns : mapping from the name of a concept to a regular expression
    sample_ids : iterable, optional
        One per text; a table has its own.
    min_count, out, overwrite
        As for ``from_imagefolder``.

    Raises
    ------
    OptionError
        If a pattern is no regular expression.
    FileError
        If the table cannot be read, or ``out`` cannot be written.

    >>> from_regex(["a 1", "b"], {"digit": r"\d", "first": "^a"})
    Concepts(2 samples × 2 concepts: digit 1, first 1)
    """
    _check_out(out, overwrite)
    compiled = {}
    for name, pattern in patterns.items():
        try:
            compiled[name] = re.compile(pattern)
        except re.error as error:
            raise OptionError(f"the pattern of {name!r} is no regular expression: {pattern!r} ({error})") from error
    if isinstance(texts, str | Path):
        own_ids, texts = open_texts(texts)
        sample_ids = own_ids if sample_ids is None else sample_ids
    shown = [[found.search(text) is not None for found in compiled.values()] for text in texts]
    matrix = np.array(shown, np.bool_).reshape(len(shown), len(compiled))
    found = Concepts.from_array(matrix, compiled, sample_ids=sample_ids)
    return _finished(found, None, min_count, True, out, overwrite)


def _check_out(out: PathLike | None, overwrite: bool) -> None:
    """Refuse a file that cannot be written, before the work."""
    if out is not None:
        kind_of(out, (".parquet",), "saved concepts")
        check_target(out, overwrite)


def _expanded(concepts: Concepts, above: Hierarchy | None, min_classes: int) -> Concepts:
    """Add the concepts of a hierarchy, which must know at least one of those that are there."""
    if above is None:
        return concepts
    expanded = concepts.expand(above, min_concepts=min_classes)
    if expanded.n_concepts == concepts.n_concepts and not set(concepts.names) & set(above.parents):
        raise OptionError(
            f"the hierarchy knows none of the concepts, such as {concepts.names[0]!r}"
            if concepts.n_concepts
            else "there are no concepts to put into a hierarchy"
        )
    return expanded


def _finished(
    concepts: Concepts, above: Hierarchy | None, min_count: int, ids: bool, out: PathLike | None, overwrite: bool
) -> Concepts:
    """Drop rare concepts, name them readably, and save them where that is asked for."""
    concepts = concepts.prune(min_count)
    if above is not None and not ids:
        concepts = concepts.rename(above.readable(concepts.names))
    if out is not None:
        save_concepts(concepts, out, overwrite=overwrite)
    return concepts
