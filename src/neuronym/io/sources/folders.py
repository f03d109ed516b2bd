"""Classes from folders of images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from neuronym._util.files import reading
from neuronym._util.messages import counted, some
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.errors import ConceptsError, FileError
from neuronym.types import HierarchyLike, PathLike

if TYPE_CHECKING:
    pass

from neuronym.io.sources.finishing import check_out, expanded, finish

__all__ = ["from_imagefolder", "image_files"]


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
    check_out(out, overwrite)
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
    return finish(expanded(concepts, above, min_classes), above, min_count, ids, out, overwrite)
