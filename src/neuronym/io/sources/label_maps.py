"""Masks from folders of label maps: images whose values are the classes of pixels."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym._util.limits import PIXELS
from neuronym._util.messages import some
from neuronym._util.text_tables import TextTable
from neuronym.data.masks import Codes, Drawer, Masks, Regions
from neuronym.errors import ConceptsError, FileError, OptionError
from neuronym.io.sources.folders import check_names, image_files
from neuronym.io.sources.photos import match_photos, photo_size, photos_in, stem
from neuronym.types import PathLike

__all__ = ["ENDINGS", "label_maps_as_masks", "read_label_map"]

Coding = Literal["index", "ade20k", "cityscapes"]

#: How the names of label maps end, by their coding.
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "index": (".png", ".tif", ".tiff", ".bmp", ".gif"),
    "ade20k": ("_seg.png",),
    "cityscapes": ("_gtFine_labelIds.png", "_gtCoarse_labelIds.png"),
}
_PHOTO_OF_CITYSCAPES = "_leftImg8bit"

#: The classes of Cityscapes by id: name, category, and whether they are ignored in its evaluation.
_CITYSCAPES = {
    0: ("unlabeled", "void", True), 1: ("ego vehicle", "void", True), 2: ("rectification border", "void", True),
    3: ("out of roi", "void", True), 4: ("static", "void", True), 5: ("dynamic", "void", True),
    6: ("ground", "void", True), 7: ("road", "flat", False), 8: ("sidewalk", "flat", False),
    9: ("parking", "flat", True), 10: ("rail track", "flat", True), 11: ("building", "construction", False),
    12: ("wall", "construction", False), 13: ("fence", "construction", False),
    14: ("guard rail", "construction", True), 15: ("bridge", "construction", True),
    16: ("tunnel", "construction", True), 17: ("pole", "object", False), 18: ("polegroup", "object", True),
    19: ("traffic light", "object", False), 20: ("traffic sign", "object", False),
    21: ("vegetation", "nature", False), 22: ("terrain", "nature", False), 23: ("sky", "sky", False),
    24: ("person", "human", False), 25: ("rider", "human", False), 26: ("car", "vehicle", False),
    27: ("truck", "vehicle", False), 28: ("bus", "vehicle", False), 29: ("caravan", "vehicle", True),
    30: ("trailer", "vehicle", True), 31: ("train", "vehicle", False), 32: ("motorcycle", "vehicle", False),
    33: ("bicycle", "vehicle", False),
}  # fmt: skip

_FORMATS = ("PNG", "TIFF", "BMP", "GIF")  # whatever a file is called: PostScript, for one, is a program
_INTEGER = re.compile("-?[0-9]{1,18}")
_VALUE_COLUMNS = ("value", "id", "idx", "index", "number")


def label_maps_as_masks(
    folder: PathLike,
    classes: Mapping[int, str] | PathLike | None = None,
    *,
    void: Collection[int | str] | None = None,
    background: Collection[int | str] = (),
    coding: Coding = "index",
    ending: str | None = None,
    images: PathLike | None = None,
) -> Masks:
    """Read label maps, images such as PNG files whose values are the classes of pixels.

    Grey images of 1 to 32 bits count by their values, and images with a palette by their indices, not their colours.
    Files are read only when a photo is asked for.

    Parameters
    ----------
    folder : str or Path
        The folder of the label maps; subfolders are searched too.
    classes : mapping from int to str, str or Path, optional
        The name of each value, or a table with the columns ``value`` (or ``id``, ``idx``, ``index``, ``number``) and
        ``name``, such as ADE20K's ``objectInfo150.txt``. Required except for Cityscapes.
    void : collection of int or str, optional
        Values, or names of classes, whose pixels are left out of all counts. By default none; of ``"ade20k"`` 0, which
        is unlabelled; and of ``"cityscapes"`` the 15 classes from 0 to 33 that its evaluation ignores.
    background : collection of int or str, default ()
        Values, or names of classes, whose pixels show no concept.
    coding : {"index", "ade20k", "cityscapes"}, default "index"
        How files have the classes: as values; as colours, R // 10 · 256 + G, in ADE20K's ``_seg.png`` files; or as
        Cityscapes' ids in ``_gtFine_labelIds.png`` or ``_gtCoarse_labelIds.png`` files, whose classes are known.
    ending : str, optional
        Read only files whose names end in this, such as ``"_labelTrainIds.png"``; without it a name is that of the
        photo. By default as ``coding`` says, or any ending of images for ``"index"``.
    images : str or Path, optional
        The folder of the photos. Label maps are matched with photos by their paths, without endings, and get the
        photos' ids, their paths relative to the folder; photos without a label map are left out, and a label map must
        be of its photo's size. Without it, the paths of the label maps relative to the folder are the ids.

    Returns
    -------
    Masks
        One concept per class that is neither void nor background, in the order of the values.

    Raises
    ------
    FileError
        If there are no label maps in the folder, or the table cannot be read; on access, if a file cannot be read, is
        no label map, or differs in size from its photo.
    ConceptsError
        If the classes cannot be used, or photos cannot be matched; on access, if a value is neither a class nor void
        nor background.
    OptionError
        If there are no classes, ``coding`` is none of these, or ``void`` or ``background`` name no class.
    """
    need("reading label maps", "torch", ["PIL"])
    if coding not in ENDINGS:
        raise OptionError(f"coding must be {' or '.join(map(repr, ENDINGS))}, not {coding!r}")
    codes, categories = _codes(classes, void, background, coding)
    endings = ENDINGS[coding] if ending is None else (ending,)
    if not all(endings):
        raise OptionError("ending must be the end of the names of label maps, such as '_seg.png', not ''")
    paths = image_files(folder, endings)
    if not paths:
        raise FileError(
            f"there are no label maps in {str(folder)!r}: no file ends in {some(endings, 5)}; name the end with ending"
        )
    check_names(paths)
    photos = None
    if images is not None:
        paths, photos = _matched(folder, paths, endings, images, coding)
    drawer = _OfFiles(folder, paths, codes, coding == "ade20k", images, photos)
    return Masks(drawer, codes.names, sample_ids=photos or paths, categories=categories)


def _codes(
    classes: Mapping[int, str] | PathLike | None, void: Collection[int | str] | None,
    background: Collection[int | str], coding: Coding,
) -> tuple[Codes, dict[str, str]]:  # fmt: skip
    """What the values stand for, and the categories of concepts."""
    categories: dict[str, str] = {}
    if classes is None and coding == "cityscapes":
        classes = {value: name for value, (name, _, _) in _CITYSCAPES.items()}
        categories = {name: category for name, category, _ in _CITYSCAPES.values()}
        if void is None:
            bare = {*background}
            void = [
                value for value, (name, _, left_out) in _CITYSCAPES.items() if left_out and not {value, name} & bare
            ]
    if classes is None:
        raise OptionError(
            "label maps need classes: a mapping from value to name, or a table with the columns value,name"
        )
    if isinstance(classes, PathLike):
        classes = _class_table(classes)
    if void is None:
        void = [0] if coding == "ade20k" and 0 not in classes and 0 not in background else ()
    return Codes(classes, void, background), categories


def _class_table(path: PathLike) -> dict[int, str]:
    """The classes of a table of values and names."""
    table = TextTable(path, "classes")
    names = [name.strip().lower() for name in table.names]
    values = [c for c, name in enumerate(names) if name in _VALUE_COLUMNS]
    if len(values) != 1 or names.count("name") != 1:
        raise FileError(
            f"the table of classes {str(path)!r} must have a column name and one of {', '.join(_VALUE_COLUMNS)}, but "
            f"its columns are {some(table.names, 8)}"
        )
    found: dict[int, str] = {}
    for line, row in table.rows():
        value, name = row[values[0]].strip(), row[names.index("name")].strip()
        if not _INTEGER.fullmatch(value) or not name:
            raise FileError(f"line {line} of {str(path)!r} must have an integer and a name, not {value!r} and {name!r}")
        if found.setdefault(int(value), name) != name:
            raise ConceptsError(f"the value {value} has two names in {str(path)!r} ({found[int(value)]!r}, {name!r})")
    return found


def _matched(
    folder: PathLike, paths: Sequence[str], endings: Sequence[str], images: PathLike, coding: Coding
) -> tuple[list[str], list[str]]:
    """The label maps and their photos, in the order of the photos."""
    photos = photos_in(images, (Path(folder) / path for path in paths))
    names = {
        photo: stem(photo).removesuffix(_PHOTO_OF_CITYSCAPES if coding == "cityscapes" else "") for photo in photos
    }
    keys: dict[str, str] = {}
    for path in paths:
        end = max((one for one in endings if path.lower().endswith(one.lower())), key=len)
        key = path[: -len(end)]
        if keys.setdefault(key, path) != path:
            raise ConceptsError(
                f"{keys[key]!r} and {path!r} in {str(folder)!r} are label maps of one photo: name the end of the names "
                "of those to read with ending"
            )
    found = match_photos(list(keys), photos, names, "label map", images)
    order = sorted(zip(found, keys.values(), strict=True))
    return [path for _, path in order], [photo for photo, _ in order]


@dataclass(frozen=True)
class _OfFiles(Drawer):
    """Label maps in a folder, and the photos that they belong to."""

    folder: PathLike
    paths: Sequence[str]
    codes: Codes
    coloured: bool
    images: PathLike | None
    photos: Sequence[str] | None

    def __len__(self) -> int:
        return len(self.paths)

    def draw(self, sample: int) -> Regions:
        path = Path(self.folder) / self.paths[sample]
        values = read_label_map(path, coloured=self.coloured)
        if self.coloured:
            values = values[:, :, 0] // 10 * 256 + values[:, :, 1]
        if self.images is not None and self.photos is not None:
            size = photo_size(Path(self.images) / self.photos[sample])
            if size != values.shape:
                raise FileError(
                    f"the label map {str(path)!r} has {values.shape[0]} × {values.shape[1]} pixels (height × width), "
                    f"but its photo {self.photos[sample]!r} has {size[0]} × {size[1]}: both must be of one size"
                )
        return self.codes.regions(values, str(path))


_BITS, _PHOTOMETRIC = 0x0102, 0x0106  # tags of TIFF


def read_label_map(path: Path, *, coloured: bool) -> NDArray[Any]:
    """Read the values of an image, not turned and not scaled: integers, or of a coloured one int32 R, G and B."""
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=_FORMATS) as opened:
            if opened.width * opened.height > PIXELS:
                raise ValueError(f"it has {opened.height} × {opened.width} pixels, more than {PIXELS:,}")
            opened.load()
            mode, values = opened.mode, np.asarray(opened)
            tags: Any = getattr(opened, "tag_v2", {})
            few = mode == "L" and tags.get(_BITS, (8,)) != (8,)
            if few or (mode in ("1", "L") and tags.get(_PHOTOMETRIC, 1) != 1):
                raise ValueError("a grey TIFF of 2 or 4 bits, or with white as 0, is not read as it is stored")
        scale = _scale(path) if mode == "L" else 1
    except Exception as error:  # decoders raise errors of many kinds on broken files
        raise FileError(
            f"cannot read the label map {str(path)!r} ({first_line(error)}): repair or remove it"
        ) from error
    if coloured and mode in ("RGB", "RGBA"):
        return values[:, :, :3].astype(np.int32)
    if coloured or values.ndim != 2 or values.dtype.kind not in "biu":
        wanted = "colours (RGB)" if coloured else "one integer per pixel (grey or with a palette)"
        hint = "" if coloured else "; of ADE20K's files say so with coding='ade20k', or convert colours to values"
        raise FileError(f"the label map {str(path)!r} must have {wanted}, but it is of Pillow's mode {mode}{hint}")
    return values.astype(np.uint8) if values.dtype.kind == "b" else values // scale


def _scale(path: Path) -> int:
    """By how much Pillow multiplies the values of a grey PNG file of 2 or 4 bits, to use the whole range of 8 bits."""
    with open(path, "rb") as file:
        head = file.read(26)  # the signature, then the chunk IHDR: width, height, bits, type of colour
    if len(head) < 26 or not head.startswith(b"\x89PNG") or head[12:16] != b"IHDR":
        return 1
    bits, colour = struct.unpack("BB", head[24:26])
    return 255 // (2**bits - 1) if colour == 0 and bits < 8 else 1
