"""Masks of Broden, the data of Network Dissection, and of data sets in its form."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from neuronym._util.extras import need
from neuronym._util.files import reading
from neuronym._util.limits import PIXELS
from neuronym._util.messages import some
from neuronym.data.masks import Drawer, Masks, Regions
from neuronym.errors import ConceptsError, FileError
from neuronym.io.sources.label_maps import read_label_map
from neuronym.types import PathLike

__all__ = ["broden_as_masks"]

_INDEX, _LABELS = "index.csv", "label.csv"
_NO_CATEGORIES = ("image", "split", "ih", "iw", "sh", "sw")
_NUMBER = re.compile("[0-9]{1,9}")
_OF_CATEGORY = re.compile(r"\s*([^;()]+?)\s*(?:\((\d+)\))?\s*")


def broden_as_masks(folder: PathLike) -> Masks:
    """Read Broden, the data set of Network Dissection (Bau et al. 2017), or one in its form.

    ``index.csv`` lists for each photo the size of its masks and, for each category, its label maps, which may be
    several, or numbers of labels of the whole photo. Label maps are read only when a photo is asked for.

    Parameters
    ----------
    folder : str or Path
        The folder of ``index.csv``, ``label.csv`` and ``images``.

    Returns
    -------
    Masks
        One concept per label, in the order of their numbers; two of one name are told apart by their numbers. The
        sample ids are the photos' paths relative to ``images``. A label's category is the one in which it covers most,
        by ``c_<category>.csv`` where these files are, or else that of most photos by ``label.csv``, as in the published
        code. ``of_category`` keeps the photos that are labelled for the category. Pixels with no label are background.

    Raises
    ------
    FileError
        If a table cannot be read or is of another form; on access, if a label map cannot be read or is of another size.
    ConceptsError
        On access, if a label is not in ``label.csv``.
    """
    need("reading label maps", "torch", ["PIL"])
    folder = Path(folder)
    index, labels = folder / _INDEX, folder / _LABELS
    photos = _rows(index, ("image", "sh", "sw"))
    categories = [name for name in photos[0] if name not in _NO_CATEGORIES] if photos else []
    numbers, names, of_label = _labels(labels, folder, categories)
    found = [_photo(row, categories, line, index) for line, row in enumerate(photos, 2)]
    labelled = {category: [bool(row[category].strip()) for row in photos] for category in categories}
    drawer = _OfBroden(folder / "images", found, numbers)
    ids = [photo.name for photo in found]
    return Masks(drawer, names, sample_ids=ids, categories=of_label, labelled=labelled)


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table, by the names of its columns."""
    with reading(path, "Broden"), open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, restval=""))
    if not rows or not set(columns) <= set(rows[0]):
        raise FileError(
            f"{str(path)!r} must have rows with the columns {', '.join(columns)}, as in Broden, but its columns are "
            f"{some(rows[0], 8) if rows else 'without rows'}"
        )
    odd = [line for line, row in enumerate(rows, 2) if None in row]
    if odd:
        raise FileError(f"line {odd[0]} of {str(path)!r} has more cells than there are names of columns")
    return rows


def _labels(path: Path, folder: Path, categories: Sequence[str]) -> tuple[dict[int, int], list[str], dict[str, str]]:
    """The place of each label's number, the names of the labels, and the category of each name."""
    tables = {one.name: one for one in folder.glob("c_*.csv")}
    covered = {category: _coverage(tables.get(f"c_{category}.csv")) for category in categories}
    numbers: dict[int, int] = {}
    names: list[str] = []
    of_label: dict[str, str] = {}
    rows = _rows(path, ("number", "name", "category"))
    times = Counter(row["name"] for row in rows if row["number"].strip() != "0")
    for line, row in enumerate(rows, 2):
        text, name = row["number"].strip(), row["name"]
        if not _NUMBER.fullmatch(text) or (not name and text != "0"):
            raise FileError(f"line {line} of {str(path)!r} must have the number and the name of a label")
        if text == "0":  # no label
            continue
        number = int(text)
        if number in numbers:
            raise FileError(f"line {line} of {str(path)!r} has the number {number} once more: each label needs its own")
        name = f"{name} ({number})" if times[name] > 1 else name
        counts = [found.groups() for part in row["category"].split(";") if (found := _OF_CATEGORY.fullmatch(part))]
        shares = [
            (covered[category].get(number, 0.0), int(count or 0), category)
            for category, count in counts
            if category in covered
        ]
        if shares:
            of_label[name] = max(shares, key=lambda share: share[:2])[2]
        numbers[number] = len(names)
        names.append(name)
    return numbers, names, of_label


def _coverage(path: Path | None) -> dict[int, float]:
    """How many photos' worth of pixels each label covers in a category; nothing if that is not told."""
    if path is None:
        return {}
    found: dict[int, float] = {}
    for row in _rows(path, ("number", "coverage")):
        try:
            found[int(row["number"])] = float(row["coverage"])
        except ValueError:
            raise FileError(f"{str(path)!r} must have numbers and coverages, not {some(row.values(), 8)}") from None
    return found


@dataclass(frozen=True, slots=True)
class _Photo:
    """A row of the index: the photo, the size of its masks, its label maps, the numbers of labels of all of it."""

    name: str
    size: tuple[int, int]
    maps: tuple[str, ...]
    numbers: tuple[int, ...]


def _photo(row: Mapping[str, str], categories: Sequence[str], line: int, path: Path) -> _Photo:
    """A photo of a row of the index."""
    sides = [row["sh"].strip(), row["sw"].strip()]
    if not row["image"] or not all(_NUMBER.fullmatch(side) and int(side) for side in sides):
        raise FileError(
            f"line {line} of {str(path)!r} must have an image and the height and width of its masks (sh, sw)"
        )
    height, width = map(int, sides)
    if height * width > PIXELS:
        raise FileError(f"line {line} of {str(path)!r} has masks of more than {PIXELS:,} pixels")
    parts = [part.strip() for category in categories for part in row[category].split(";") if part.strip()]
    maps = tuple(part for part in parts if not _NUMBER.fullmatch(part))
    outside = [name for name in maps if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if outside:
        raise FileError(f"line {line} of {str(path)!r} names a label map outside of the folder images: {outside[0]!r}")
    numbers = tuple(int(part) for part in parts if _NUMBER.fullmatch(part))
    return _Photo(row["image"], (height, width), maps, numbers)


@dataclass(frozen=True)
class _OfBroden(Drawer):
    """The photos of an index."""

    folder: Path
    photos: Sequence[_Photo]
    places: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.photos)

    def draw(self, sample: int) -> Regions:
        photo = self.photos[sample]
        everywhere = [self._place(number, f"the photo {photo.name!r}") for number in photo.numbers if number]
        layers = [(everywhere, np.ones(photo.size, np.bool_))] if everywhere else []
        for name in photo.maps:
            path = self.folder / name
            colours = read_label_map(path, coloured=True)
            if colours.shape[:2] != photo.size:
                raise FileError(
                    f"the label map {str(path)!r} has {colours.shape[0]} × {colours.shape[1]} pixels (height × width), "
                    f"but index.csv says {photo.size[0]} × {photo.size[1]} for {photo.name!r}"
                )
            labels = colours[:, :, 0] + 256 * colours[:, :, 1]
            numbers = np.flatnonzero(np.bincount(labels.ravel())).tolist()
            layers += [([self._place(number, repr(str(path)))], labels == number) for number in numbers if number]
        return Regions.paint(photo.size, layers)

    def _place(self, number: int, where: str) -> int:
        """The concept of a label."""
        if number not in self.places:
            raise ConceptsError(f"{where} has the label {number}, which is not in label.csv: add it there")
        return self.places[number]
