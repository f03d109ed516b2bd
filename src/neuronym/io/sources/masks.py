"""Masks in files of any of the forms that are read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuronym._util.messages import some
from neuronym._util.text_tables import TEXT_TABLES
from neuronym.data.masks import Masks
from neuronym.errors import FileError, OptionError
from neuronym.io.sources.boxes import boxes_as_masks
from neuronym.io.sources.broden import broden_as_masks
from neuronym.io.sources.coco import coco_as_masks
from neuronym.io.sources.folders import image_files
from neuronym.io.sources.label_maps import ENDINGS, label_maps_as_masks
from neuronym.types import PathLike

__all__ = ["open_masks"]

_FORMS = (
    "a COCO instances file (.json), a table of boxes (.csv, .tsv, .txt), a folder of label maps (.png), or Broden's "
    "folder, with index.csv"
)


def open_masks(path: PathLike, **options: Any) -> Masks:
    """Read masks by the function for what the path is.

    A ``.json`` file is read by ``coco_as_masks``, a ``.csv``, ``.tsv`` or ``.txt`` file by ``boxes_as_masks``, a folder
    with ``index.csv`` by ``broden_as_masks``, and another folder of images by ``label_maps_as_masks``.

    Parameters
    ----------
    path : str or Path
        The file or folder.
    **options : object
        The options of that function; those that are None are left out.

    Returns
    -------
    Masks
        The masks.

    Raises
    ------
    FileError
        If there is no such file or folder, it is of no form that is read, or the function cannot read it.
    ConceptsError
        As the function says.
    OptionError
        If an option is not one of that function, or as the function says.
    """
    reader, what = _reader(path)
    known = list(inspect.signature(reader).parameters)[1:]
    given = {name: value for name, value in options.items() if value is not None}
    odd = [name for name in given if name not in known]
    if odd:
        raise OptionError(
            f"{some(odd)} {'is no option' if len(odd) == 1 else 'are no options'} of {what}, which {str(path)!r} is: "
            + (f"its options are {', '.join(known)}" if known else "it has none")
        )
    return reader(path, **given)


def _reader(path: PathLike) -> tuple[Callable[..., Masks], str]:
    """The function that reads a path, and what the path is."""
    found = Path(path)
    if found.is_dir():
        if (found / "index.csv").is_file():
            return broden_as_masks, "Broden's folder"
        if image_files(found, ENDINGS["index"]):
            return label_maps_as_masks, "a folder of label maps"
    elif not found.exists():
        raise FileError(f"cannot read masks: there is no file or folder {str(path)!r}")
    elif found.suffix.lower() == ".json":
        return coco_as_masks, "a COCO file"
    elif found.suffix.lower() in TEXT_TABLES:
        return boxes_as_masks, "a table of boxes"
    raise FileError(f"cannot read masks from {str(path)!r}: it must be {_FORMS}")
