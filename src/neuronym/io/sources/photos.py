"""The photos that masks belong to: their paths, which are sample ids, and their sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym._util.messages import counted, some
from neuronym.errors import ConceptsError, FileError
from neuronym.io.sources.folders import check_names, image_files
from neuronym.types import PathLike

__all__ = ["match_photos", "photo_size", "photos_in", "stem"]

_TURNED = (5, 6, 7, 8)  # orientations of EXIF by which height and width change places
_ORIENTATION = 0x0112


def photos_in(folder: PathLike, but: Iterable[Path] = ()) -> list[str]:
    """The paths of the images in a folder, relative to it, but some, such as label maps beside the photos."""
    excluded = {str(path.resolve()) for path in but}
    found = [
        path for path in image_files(folder) if not excluded or str((Path(folder) / path).resolve()) not in excluded
    ]
    if not found:
        raise FileError(f"there are no photos in {str(folder)!r}")
    check_names(found)
    return found


def photo_size(path: Path) -> tuple[int, int]:
    """The height and width of a photo as models see it, upright."""
    import warnings

    need("reading the sizes of photos", "torch", ["PIL"])
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
            width, height = opened.size
            turned = opened.getexif().get(_ORIENTATION, 1) in _TURNED
    except Exception as error:  # decoders raise errors of many kinds on broken files
        raise FileError(f"cannot read the size of the photo {str(path)!r} ({first_line(error)})") from error
    return (width, height) if turned else (height, width)


def stem(path: str) -> str:
    """A path without the ending of its name."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def match_photos(
    wanted: Sequence[str], photos: Sequence[str], names: Mapping[str, str], what: str, folder: PathLike
) -> list[str]:
    """Find the photo of each mask by its path.

    A photo fits if its path ends in that of the mask or the other way round, in whole parts, so that ``val/a`` fits
    ``a`` and ``photos/val/a`` but not ``train/a``. If several fit, one of exactly the same path is taken.

    Parameters
    ----------
    wanted : sequence of str
        The distinct paths of the masks, with the ending of the photo or without any.
    photos : sequence of str
        The paths of the photos.
    names : mapping from str to str
        The path of each photo without its ending, as it is compared.
    what : str
        What is wanted, such as ``label map``, for messages.
    folder : str or Path
        The folder of the photos, for messages.

    Returns
    -------
    list of str
        The path of the photo of each.

    Raises
    ------
    ConceptsError
        If no photo or several fit, or a photo fits several.
    """
    by_name: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for photo in photos:
        for spelt in {photo, names[photo]}:
            by_name[spelt.rpartition("/")[2]].append((spelt, photo))
    found: dict[str, str] = {}
    missing = []
    for one in wanted:
        fitting = [(spelt, photo) for spelt, photo in by_name[one.rpartition("/")[2]] if _fits(one, spelt)]
        fitting = [pair for pair in fitting if pair[0] == one] or fitting
        chosen = sorted({photo for _, photo in fitting})
        if len(chosen) > 1:
            raise ConceptsError(
                f"the {what} {one!r} fits {counted(len(chosen), 'photo')} in {str(folder)!r} ({some(chosen)}): name "
                "the folder of the photos that it belongs to, or rename all but one"
            )
        if not chosen:
            missing.append(one)
            continue
        if chosen[0] in found:
            raise ConceptsError(
                f"the {what}s {found[chosen[0]]!r} and {one!r} both fit the photo {chosen[0]!r}: keep one for "
                "each photo"
            )
        found[chosen[0]] = one
    if missing:
        raise ConceptsError(
            f"{len(missing)} of {counted(len(wanted), what)} have no photo in {str(folder)!r} ({some(missing)}; photos "
            f"are {some(photos)}): a photo needs the same name, apart from its ending"
        )
    return list(found)


def _fits(one: str, other: str) -> bool:
    """Whether one path ends in the other, in whole parts."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")
