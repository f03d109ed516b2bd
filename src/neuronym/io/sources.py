"""Concepts from data sets in their usual forms: folders, annotation files, tables, COCO, datasets, texts.

The functions behind the command ``neuronym concepts`` can also add the concepts above these in a hierarchy, drop rare
concepts, and save the result.
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
    """List the images in a folder and its subfolders.

    Parameters
    ----------
    folder : str or Path
        The folder to search.
    endings : iterable of str
        The file extensions to include, in lower case, such as ``.jpg``.

    Returns
    -------
    list of str
        Paths relative to the folder, with ``/``, in alphabetical order.

    Raises
    ------
    FileError
        If there is no such folder, or it cannot be read.
    """
    root, extensions = Path(folder), set(endings)
    if not root.is_dir():
        raise FileError(f"cannot read images: there is no folder {str(folder)!r}")
    with reading(root, "images"):
        paths = [path for path in root.rglob("*") if path.suffix.lower() in extensions and path.is_file()]
    return sorted(path.relative_to(root).as_posix() for path in paths)


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
    """Read one class per subfolder, as torchvision's ``ImageFolder`` does.

    Sample ids are the paths relative to the folder, with ``/``, in alphabetical order. Files may be nested deeper;
    their class is the first subfolder.

    Parameters
    ----------
    folder : str or Path
        A folder with one subfolder per class.
    endings : iterable of str
        The extensions of image files, such as ``.jpg``.
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
        If there is no such folder, or ``out`` cannot be written.
    ConceptsError
        If the folder has no subfolders with such files.
    OptionError
        If the hierarchy contains none of the classes.
    """
    _check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    extensions = {ending.lower() for ending in endings}
    paths = image_files(folder, extensions)
    samples = [path for path in paths if "/" in path]
    if not samples:
        loose = f"; {counted(len(paths), 'file')} of this kind in the folder itself" if paths else ""
        raise ConceptsError(
            f"{str(folder)!r} has no subfolders with files that end in {some(sorted(extensions))}{loose}: make one "
            "subfolder per class, or use a table of samples and concepts"
        )
    concepts = Concepts.from_long(samples, [sample.partition("/")[0] for sample in samples])
    return _finish(_expanded(concepts, above, min_classes), above, min_count, ids, out, overwrite)


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
    _check_out(out, overwrite)
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
    return _finish(_expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


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
    _check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    found = open_attributes(file) if attributes else open_concepts(file, unknown=unknown)
    return _finish(_expanded(found, above, min_classes), above, min_count, ids, out, overwrite)


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
    return _finish(found, None, min_count, True, out, overwrite)


def from_tokens(
    concepts: Concepts | PathLike,
    tokens: PathLike,
    *,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Give each token the concepts of its text.

    Parameters
    ----------
    concepts : Concepts, str or Path
        The concepts of texts, or a file of them; texts without ids are numbered from 0.
    tokens : str or Path
        A table with the id of each token, ``sample``, and of its text, ``parent``, as written by ``neuronym collect
        --tokens-out``.
    min_count : int, default 0
        Keep only concepts of at least this many samples.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Returns
    -------
    Concepts
        The concepts of the tokens.

    Raises
    ------
    FileError
        If a file cannot be read, or ``out`` cannot be written.
    """
    _check_out(out, overwrite)
    ids, parents = open_parents(tokens)
    of_texts = concepts if isinstance(concepts, Concepts) else open_concepts(concepts)
    if of_texts.sample_ids is None:
        of_texts = of_texts.with_ids(counted_ids(of_texts.n_samples))
    return _finish(of_texts.to_tokens(ids, parents), None, min_count, True, out, overwrite)


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
    body, ids = split_ids(frame)
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


def from_coco(
    file: PathLike,
    *,
    supercategories: bool = True,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Read the categories present in each image of a COCO instances file, and their supercategories.

    Sample ids are the file names of the images.

    Parameters
    ----------
    file : str or Path
        A COCO instances file, ``.json``.
    supercategories : bool, default True
        Add the supercategories as concepts.
    min_count : int, default 0
        Keep only concepts of at least this many samples.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Returns
    -------
    Concepts
        One concept per category and supercategory present.

    Raises
    ------
    FileError
        If the file cannot be read or is not a COCO instances file, or ``out`` cannot be written.
    """
    _check_out(out, overwrite)
    content = read_json(file, "COCO annotations")
    images = {one["id"]: str(one["file_name"]) for one in _coco_entries(content, "images", file, "id", "file_name")}
    categories = {one["id"]: one for one in _coco_entries(content, "categories", file, "id", "name")}
    by_image: dict[str, set[str]] = {name: set() for name in images.values()}
    for annotation in _coco_entries(content, "annotations", file, "image_id", "category_id"):
        image, category = images.get(annotation["image_id"]), categories.get(annotation["category_id"])
        if image is None or category is None:
            raise _not_coco(
                file, f"an annotation refers to {'an image' if image is None else 'a category'} that is not listed"
            )
        by_image[image].add(str(category["name"]))
        if supercategories and category.get("supercategory"):
            by_image[image].add(str(category["supercategory"]))
    return _finish(Concepts.from_sets(by_image.values(), sample_ids=by_image), None, min_count, True, out, overwrite)


def _coco_entries(content: Any, name: str, path: PathLike, *keys: str) -> list[dict[str, Any]]:
    """Return a list of a COCO instances file, each of whose entries has these keys with a number or text."""
    entries = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _not_coco(path, f"there is no list called {name}")
    for entry in entries:
        for key in keys:
            if not isinstance(entry.get(key), int | str):
                raise _not_coco(path, f"one of its {name} has no {key}")
    return entries


def _not_coco(path: PathLike, why: str) -> FileError:
    return FileError(
        f"{str(path)!r} is not a COCO instances file: it needs images, annotations and categories that refer to each "
        f"other, but {why}"
    )


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


def from_regex(
    texts: Iterable[str] | PathLike,
    patterns: Mapping[str, str],
    *,
    sample_ids: Iterable[object] | None = None,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    r"""Make one concept per regular expression, present in the texts or tokens in which it matches (``re.search``).

    Parameters
    ----------
    texts : iterable of str, str or Path
        The texts, or the path of a table ``sample,text``.
    patterns : mapping of str to str
        A regular expression for each concept, by the concept's name.
    sample_ids : iterable, optional
        One id per text; by default those of the table.
    min_count : int, default 0
        Keep only concepts of at least this many samples.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Returns
    -------
    Concepts
        One concept per pattern.

    Raises
    ------
    OptionError
        If a pattern is not a valid regular expression.
    FileError
        If the table cannot be read, or ``out`` cannot be written.

    Examples
    --------
    >>> from_regex(["a 1", "b"], {"digit": r"\d", "first": "^a"})
    Concepts(2 samples × 2 concepts: digit 1, first 1)
    """
    _check_out(out, overwrite)
    compiled = {}
    for name, pattern in patterns.items():
        try:
            compiled[name] = re.compile(pattern)
        except re.error as error:
            raise OptionError(
                f"the pattern of {name!r} is not a valid regular expression: {pattern!r} ({error})"
            ) from error
    if isinstance(texts, str | Path):
        table_ids, texts = open_texts(texts)
        sample_ids = table_ids if sample_ids is None else sample_ids
    matches = [[pattern.search(text) is not None for pattern in compiled.values()] for text in texts]
    matrix = np.array(matches, np.bool_).reshape(len(matches), len(compiled))
    concepts = Concepts.from_array(matrix, compiled, sample_ids=sample_ids)
    return _finish(concepts, None, min_count, True, out, overwrite)


def _check_out(out: PathLike | None, overwrite: bool) -> None:
    """Refuse, before the work, a file that cannot be written."""
    if out is not None:
        kind_of(out, (".parquet",), "saved concepts")
        check_target(out, overwrite)


def _expanded(concepts: Concepts, above: Hierarchy | None, min_classes: int) -> Concepts:
    """Add the concepts above these in a hierarchy, which must contain at least one of them."""
    if above is None:
        return concepts
    expanded = concepts.expand(above, min_concepts=min_classes)
    if expanded.n_concepts == concepts.n_concepts and not set(concepts.names) & set(above.parents):
        raise OptionError(
            f"the hierarchy contains none of the concepts, such as {concepts.names[0]!r}"
            if concepts.n_concepts
            else "there are no concepts to look up in the hierarchy"
        )
    return expanded


def _finish(
    concepts: Concepts, above: Hierarchy | None, min_count: int, ids: bool, out: PathLike | None, overwrite: bool
) -> Concepts:
    """Drop rare concepts, make names readable unless ids are wanted, and save the rest if there is an ``out``."""
    concepts = concepts.prune(min_count)
    if above is not None and not ids:
        concepts = concepts.rename(above.readable(concepts.names))
    if out is not None:
        save_concepts(concepts, out, overwrite=overwrite)
    return concepts
