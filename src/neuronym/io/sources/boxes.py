"""Masks from tables of boxes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuronym._util.limits import PIXELS
from neuronym._util.messages import some, warn
from neuronym._util.text_tables import TextTable
from neuronym.data.concepts import Concepts
from neuronym.data.depths import as_hierarchy
from neuronym.data.ids import is_called_like_classes, is_called_like_ids
from neuronym.data.masks import Drawer, Masks, Regions
from neuronym.errors import ConceptsError, FileError, OptionError
from neuronym.io.sources.finishing import expanded, finish
from neuronym.io.sources.outlines import box_corners, polygon_runs, runs_mask
from neuronym.io.sources.photos import match_photos, photo_size, photos_in, stem
from neuronym.types import HierarchyLike, PathLike

__all__ = ["boxes_as_masks"]

_CORNERS = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
_SIDES = (("x", "y", "width", "height"), ("x", "y", "w", "h"))
_NUMBER = re.compile(r"[-+]?\d{1,9}(\.\d+)?")
_FORMS = (
    "sample, class, x0, y0, x1, y1 without names of columns; the columns sample, concept and x0, y0, x1, y1 (or xmin, "
    "ymin, xmax, ymax; or x, y, width, height); or cells such as 'n01440764 85 1 499 272', as in LOC_val_solution.csv"
)


def boxes_as_masks(
    file: PathLike,
    *,
    size: tuple[int, int] | None = None,
    images: PathLike | None = None,
    hierarchy: HierarchyLike | None = None,
    min_classes: int = 2,
    ids: bool = False,
) -> Masks:
    """Read a table of boxes, such as Tiny ImageNet's ``val_annotations.txt``: the pixels in a box show its class.

    Each line is a sample, a class and a box; a sample with several boxes has several lines, and boxes of one class are
    united. Without a line of names the box is x0, y0, x1, y1. Of a box given by two corners, both are in it, as in
    ImageNet, and pixels are counted from 0; one given by ``x, y, width, height`` becomes the very pixels that
    pycocotools gives. In ``LOC_val_solution.csv`` a cell has the class and box of each object.

    Parameters
    ----------
    file : str or Path
        The table, ``.csv``, ``.tsv`` or ``.txt``.
    size : tuple of (int, int), optional
        The height and width of all photos.
    images : str or Path, optional
        The folder of the photos, whose sizes are read when they are needed. Samples are matched with photos by their
        paths, with or without ending, and get the photos' ids, their paths relative to the folder. Give this or
        ``size``.
    hierarchy : HierarchyLike, optional
        Add the concepts above the classes: ``"wordnet"``, a table of child and parent, or a folder of WordNet's files.
    min_classes : int, default 2
        Add only concepts above at least this many classes.
    ids : bool, default False
        Keep WordNet's ids instead of readable names.

    Returns
    -------
    Masks
        One concept per class, in alphabetical order, and those added from the hierarchy. A box that is partly outside
        of its photo is cut off, with a warning.

    Raises
    ------
    FileError
        If the file cannot be read or is no table of boxes; on access, if the photo cannot be read.
    ConceptsError
        If the corners of a box are in the wrong order, or it is outside of its photo: with ``images``, on access; or
        if photos cannot be matched.
    OptionError
        If not exactly one of ``size`` and ``images`` is given, or the hierarchy contains none of the classes.
    """
    if (size is None) == (images is None):
        raise OptionError("give the size of all photos, size=(height, width), or the folder of the photos, images=")
    if size is not None and (len(size) != 2 or not all(isinstance(n, int | np.integer) and n > 0 for n in size)):
        raise OptionError(f"size must be the height and width of all photos in pixels, such as (64, 64), not {size!r}")
    if size is not None and size[0] * size[1] > PIXELS:
        raise OptionError(f"size must be at most {PIXELS:,} pixels, not {size[0]} × {size[1]}")
    above = None if hierarchy is None else as_hierarchy(hierarchy)
    boxes = _read(file)
    classes = sorted({box.name for box in boxes})
    of_classes = expanded(Concepts.from_sets([{name} for name in classes]), above, min_classes)
    concepts = finish(of_classes, above, 0, ids, None, False)
    dense = concepts.to_dense()
    shown = {name: tuple(np.flatnonzero(dense[row]).tolist()) for row, name in enumerate(classes)}
    by_sample: dict[str, list[_Box]] = {}
    for box in boxes:
        by_sample.setdefault(box.sample, []).append(box)
    samples, photos = list(by_sample), None
    if images is not None:
        found = photos_in(images)
        photos = match_photos(samples, found, {path: stem(path) for path in found}, "sample", images)
    drawer = _OfBoxes(str(file), list(by_sample.values()), shown, size, images, photos)
    if size is not None:
        for sample in range(len(drawer)):
            drawer.check(sample)
    return Masks(drawer, concepts.names, sample_ids=photos or samples)


@dataclass(frozen=True, slots=True)
class _Box:
    """A line of a table: the box is of two corners, both in it, or else of a corner, width and height."""

    sample: str
    name: str
    sides: tuple[float, float, float, float]
    corners: bool
    line: int


@dataclass(frozen=True)
class _OfBoxes(Drawer):
    """The boxes of each sample."""

    path: str
    boxes: Sequence[Sequence[_Box]]
    concepts: dict[str, tuple[int, ...]]
    size: tuple[int, int] | None
    folder: PathLike | None
    photos: Sequence[str] | None
    warned: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.boxes)

    def draw(self, sample: int) -> Regions:
        size = self.check(sample)
        return Regions.paint(size, ((self.concepts[box.name], _pixels(box, size)) for box in self.boxes[sample]))

    def shown(self, sample: int) -> Iterable[int]:
        """The concepts of all boxes, once they are known to be within the photo."""
        size = self.check(sample)
        visible = (box for box in self.boxes[sample] if box.corners or _pixels(box, size).any())
        return {concept for box in visible for concept in self.concepts[box.name]}

    def check(self, sample: int) -> tuple[int, int]:
        """Check that the boxes of a photo are within it; return its size."""
        size = self.size
        if size is None and self.folder is not None and self.photos is not None:
            size = photo_size(Path(self.folder) / self.photos[sample])
            if size[0] * size[1] > PIXELS:
                raise FileError(f"the photo {self.photos[sample]!r} has more than {PIXELS:,} pixels")
        assert size is not None  # boxes_as_masks asks for either
        cut = [box for box in self.boxes[sample] if self._is_cut(box, size)]
        if cut and not self.warned:
            self.warned.append(True)
            warn(
                f"the box of {cut[0].name!r} in line {cut[0].line} of {self.path!r} is partly outside of its photo "
                f"{cut[0].sample!r} of {size[0]} × {size[1]} pixels (height × width), and is cut off, as are others "
                f"like it: {_shown(cut[0])}"
            )
        return size

    def _is_cut(self, box: _Box, size: tuple[int, int]) -> bool:
        """Whether a box is partly outside of its photo; wholly outside, it is an error."""
        left, top, right, bottom = _edges(box)
        if left >= size[1] or top >= size[0] or right <= 0 or bottom <= 0:
            raise ConceptsError(
                f"the box of {box.name!r} in line {box.line} of {self.path!r} is outside of its photo {box.sample!r} "
                f"of {size[0]} × {size[1]} pixels (height × width): {_shown(box)}"
            )
        return left < 0 or top < 0 or right > size[1] or bottom > size[0]


def _edges(box: _Box) -> tuple[float, float, float, float]:
    """The left, top, right and bottom edges of a box, the last two just beyond it."""
    x, y, u, v = box.sides
    return (x, y, u + 1, v + 1) if box.corners else (x, y, x + u, y + v)


def _pixels(box: _Box, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a box."""
    if not box.corners:
        return runs_mask(polygon_runs(box_corners(box.sides), *size), *size)
    left, top, right, bottom = (max(0, int(edge)) for edge in _edges(box))
    pixels = np.zeros(size, np.bool_)
    pixels[top:bottom, left:right] = True
    return pixels


def _shown(box: _Box) -> str:
    """A box, for a message."""
    names = "x0, y0, x1, y1" if box.corners else "x, y, width, height"
    return f"{names} are {', '.join(f'{side:g}' for side in box.sides)}"


def _read(file: PathLike) -> list[_Box]:
    """The boxes of a table."""
    table = TextTable(file, "boxes", named=False, spaced=True)
    rows = list(table.rows())
    first = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    for names, corners in (*((names, True) for names in _CORNERS), *((names, False) for names in _SIDES)):
        if set(names) <= set(first):
            sample, concept = _columns(first, names, file)
            places = [first.index(name) for name in names]
            return [
                _box(file, line, row, sample, concept, [row[place] for place in places if place < len(row)], corners)
                for line, row in rows[1:]
            ]
    cells = [row[-1].split() for _, row in rows[1:]]
    if len(first) == 2 and cells and all(len(words) and len(words) % 5 == 0 for words in cells):
        named = not _is_box(rows[0][1][1].split()[:5])
        return [
            _box(file, line, [row[0], words[start]], 0, 1, words[start + 1 : start + 5], True)
            for line, row in rows[named:]
            for words in [row[1].split()]
            for start in range(0, len(words), 5)
        ]
    if rows and all(len(row) == 6 for _, row in rows):
        return [_box(file, line, row, 0, 1, row[2:], True) for line, row in rows]
    raise FileError(f"{str(file)!r} is no table of boxes: it must have {_FORMS}")


def _is_box(words: Sequence[str]) -> bool:
    """Whether words are a class and four numbers."""
    return len(words) == 5 and all(map(_NUMBER.fullmatch, words[1:]))


def _columns(names: Sequence[str], box: Sequence[str], file: PathLike) -> tuple[int, int]:
    """The columns of samples and concepts."""
    left = [c for c, name in enumerate(names) if name not in box]
    concepts = [c for c in left if names[c] == "concept"] or [c for c in left if is_called_like_classes(names[c])]
    samples = [c for c in left if names[c] == "sample"] or [
        c for c in left if c not in concepts and is_called_like_ids(names[c])
    ]
    if len(concepts) != 1 or len(samples) != 1:
        raise FileError(
            f"cannot tell which columns of {str(file)!r} ({some(names, 8)}) have the samples and the classes: call "
            "them sample and concept"
        )
    return samples[0], concepts[0]


def _box(
    file: PathLike, line: int, row: Sequence[str], sample: int, concept: int, sides: Sequence[str], corners: bool
) -> _Box:
    """One box, checked."""
    where = f"line {line} of {str(file)!r}"
    texts = [side.strip() for side in sides]
    if len(texts) != 4 or not all(map(_NUMBER.fullmatch, texts)) or max(sample, concept) >= len(row):
        raise FileError(f"{where} must have a sample, a class and the four numbers of a box, not {some(row, 8)}")
    x, y, u, v = map(float, texts)
    box = _Box(row[sample].strip(), row[concept].strip(), (x, y, u, v), corners, line)
    if not box.sample or not box.name:
        raise FileError(f"{where} has a box without a sample or class")
    if corners and not all(side.is_integer() for side in box.sides):
        raise ConceptsError(
            f"{where} has a box whose corners are no whole pixels ({', '.join(texts)}): round them to the first and "
            "last pixel in it, or give x, y, width, height"
        )
    if (corners and (u < x or v < y)) or (not corners and (u <= 0 or v <= 0)):
        raise ConceptsError(
            f"{where} has a box without pixels ({_shown(box)}): "
            + (
                "x1 must be at least x0 and y1 at least y0, and both corners are in the box"
                if corners
                else "it must have a width and height"
            )
        )
    return box
