"""Concepts from COCO's annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuronym._util.files import read_json
from neuronym.data.concepts import Concepts
from neuronym.errors import FileError
from neuronym.types import PathLike

if TYPE_CHECKING:
    pass

from neuronym.io.sources.finishing import check_out, finish

__all__ = ["from_coco"]


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
    check_out(out, overwrite)
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
    return finish(
        Concepts.from_sets(by_image.values(), sample_ids=list(by_image)), None, min_count, True, out, overwrite
    )


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
