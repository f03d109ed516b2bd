"""Images in folders, and classes from folders of images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from neuronym._util.files import reading
from neuronym._util.folders import MANIFEST
from neuronym._util.messages import counted, some, warn
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.errors import ConceptsError, FileError
from neuronym.io.sources.finishing import check_out, expanded, finish
from neuronym.types import HierarchyLike, PathLike

__all__ = ["from_imagefolder", "image_files"]


_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")
#: What systems and archives add to folders, besides names with a leading dot.
_SYSTEM = {
    "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db", "desktop.ini"
}  # fmt: skip
#: Formats that Pillow does not read: of most raw formats of cameras, which are TIFF, it would read a thumbnail.
_UNSUPPORTED = (
    ".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mos", ".nef", ".nrw", ".pef", ".sr2", ".srf",
    ".exr", ".jxl", ".svg",
)  # fmt: skip
#: The first bytes of images.
_CONTENT = re.compile(
    rb"""\xff\xd8\xff                                                   # JPEG
    | \x89PNG\r\n\x1a\n
    | GIF8[79]a
    | BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0                  # BMP: the size of its header is one of these
    | II[*+]\0 | MM\0[*+]                                             # TIFF and BigTIFF
    | RIFF.{4}WEBP
    | P[1-6f]\s(\s|\#[^\n]*\n)*[1-9]\d*(\s|\#[^\n]*\n)+[1-9]\d*\s   # PBM, PGM, PPM and PFM: width and height
    | P7\n(\#[^\n]*\n)*(WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)\s         # PAM
    | \0\0\0\x0cjP\x20\x20\r\n\x87\n | \xff\x4f\xff\x51               # JPEG 2000
    | .{4}ftyp(avif|avis|hei[cmsx]|hev[cmsx]|mif1|msf1)               # AVIF and HEIC
    | \0\0\x01\0[^\0]\0.{3}\0                                         # ICO
    | qoif | 8BPS\0\x01 | DDS\x20\x7c""",
    re.DOTALL | re.VERBOSE,
)


def image_files(folder: PathLike, endings: Iterable[str] | None = None) -> list[str]:
    """List the images in a folder and its subfolders.

    Links to files and folders are followed, except to a folder that contains the link. Hidden files and folders, whose
    names begin with a dot, and those that systems add, such as ``__MACOSX`` and ``Thumbs.db``, are left out. A warning
    counts and names what is left out.

    Parameters
    ----------
    folder : str or Path
        The folder to search.
    endings : iterable of str, optional
        Include only files whose names have these endings, such as ``.jpg``, in either case. By default the usual
        endings of images are included, and all files that begin like an image, whatever their names.

    Returns
    -------
    list of str
        Paths relative to the folder, with ``/``, in alphabetical order.

    Raises
    ------
    FileError
        If there is no such folder, or it cannot be read.
    """
    found = _search(folder, endings)
    if found.left_out:
        warn(f"left out of {str(folder)!r}: {_counted(found.left_out)}")
    return found.images


def check_names(names: Iterable[str]) -> None:
    """Refuse names of files that are not UTF-8, which cannot be sample ids."""
    odd = [name for name in names if any("\ud800" <= char <= "\udfff" for char in name)]
    if odd:
        raise FileError(f"the file name of the image {odd[0]!r} is not valid UTF-8: rename it")


@dataclass
class _Found:
    """The images below a folder, its subfolders that could be read, and the paths of what is left out, by its kind."""

    images: list[str] = field(default_factory=list)
    subfolders: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def _search(folder: PathLike, endings: Iterable[str] | None) -> _Found:
    """Find the images below a folder."""
    if not Path(folder).is_dir():
        raise FileError(f"cannot read images: there is no folder {str(folder)!r}")
    known = None if endings is None else tuple(ending.lower() for ending in endings)
    found, root = _Found(), os.path.realpath(folder)
    # A folder to search: the start of its paths, and the real paths of itself and of all folders that contain it.
    waiting = [("", root, {root, *map(str, Path(root).parents)})]
    while waiting:
        start, real, above = waiting.pop()
        try:
            with os.scandir(Path(folder) / start) as listed:
                entries = list(listed)
        except OSError:
            if not start:
                with reading(folder, "images"):
                    raise
            found.left_out.setdefault("unreadable folder", []).append(start[:-1])
            continue
        if start.count("/") == 1:
            found.subfolders.append(start[:-1])
        for entry in entries:
            kind, path = _kind_of(entry, known), start + entry.name
            if kind == "folder":
                target = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}{os.sep}{entry.name}"
                if target not in above:
                    waiting.append((f"{path}/", target, {*above, target, *map(str, Path(target).parents)}))
                    continue
                kind = "circular link"
            if kind == "image":
                found.images.append(path)
            elif kind:
                found.left_out.setdefault(kind, []).append(path)
    found.images.sort()
    return found


def _kind_of(entry: os.DirEntry[str], endings: tuple[str, ...] | None) -> str:
    """Whether an entry of a folder is a "folder", an "image", or else why it is left out; "" if it was not asked for.

    Only a file without a usual ending is opened.
    """
    name = entry.name.lower()
    try:
        if name == MANIFEST:  # of copies that we saved
            return ""
        if name.startswith(".") or name in _SYSTEM:
            return "hidden folder" if entry.is_dir() else "hidden file"
        if entry.is_dir():
            return "folder"
        if entry.is_symlink() and not Path(entry.path).exists():
            return "dangling link"
        if endings is not None:
            return "image" if entry.is_file() and name.endswith(endings) else ""
        if not entry.is_file():
            return "special file"
        if name.endswith(_IMAGES):
            return "image"
        if name.endswith(_UNSUPPORTED):
            return "unsupported image"
        with open(entry.path, "rb") as file:
            return "image" if _CONTENT.match(file.read(1024)) else "non-image file"
    except OSError:
        return "dangling link" if entry.is_symlink() else "unreadable file"


def _counted(left_out: dict[str, list[str]]) -> str:
    """Count and name what is left out, if anything is."""
    kinds = sorted((kind, sorted(paths)) for kind, paths in left_out.items() if paths)
    return ", ".join(f"{counted(len(paths), kind)} ({some(paths)})" for kind, paths in kinds)


_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}


def from_imagefolder(
    folder: PathLike,
    *,
    endings: Iterable[str] | None = None,
    hierarchy: HierarchyLike | None = None,
    min_classes: int = 2,
    min_count: int = 0,
    ids: bool = False,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Read one class per subfolder, as torchvision's ``ImageFolder`` does.

    Sample ids are the paths relative to the folder, with ``/``, in alphabetical order. Files may be nested deeper;
    their class is the first subfolder. Links are followed and hidden files left out, as by ``image_files``; a warning
    counts and names what is left out, with images outside of the subfolders and subfolders without images.

    Parameters
    ----------
    folder : str or Path
        A folder with one subfolder per class.
    endings : iterable of str, optional
        Include only files whose names have these endings, such as ``.jpg``, in either case. By default the usual
        endings of images are included, and all files that begin like an image, whatever their names.
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
        If there is no such folder, a file name is not valid UTF-8, or ``out`` cannot be written.
    ConceptsError
        If the folder has no subfolders with such files.
    OptionError
        If the hierarchy contains none of the classes.
    """
    check_out(out, overwrite)
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    endings = None if endings is None else sorted({ending.lower() for ending in endings})
    found = _search(folder, endings)
    samples = [path for path in found.images if "/" in path]
    classes = [sample.partition("/")[0] for sample in samples]
    loose, empty = sorted({*found.images}.difference(samples)), sorted({*found.subfolders}.difference(classes))
    left_out = _counted(found.left_out | {"unclassified image": loose, "empty class folder": empty})
    if not samples:
        kind = "images" if endings is None else f"files that end in {some(endings)}"
        raise ConceptsError(
            f"{str(folder)!r} has no subfolders with {kind}{left_out and f' but {left_out}'}: make one subfolder per "
            "class, or use a table of samples and concepts"
        )
    if left_out:
        warn(f"left out of {str(folder)!r}: {left_out}")
    check_names(samples)
    if set(map(str.lower, classes)) <= _SPLITS or (len(set(classes)) == 1 and any(s.count("/") > 1 for s in samples)):
        warn(
            f"the only classes of {str(folder)!r} are {some(sorted(set(classes)))}, which looks like a folder that "
            "contains the folders of classes: give the folder with one subfolder per class"
        )
    concepts = Concepts.from_long(samples, classes)
    return finish(expanded(concepts, above, min_classes), above, min_count, ids, out, overwrite)
