"""Concepts and masks from COCO's annotations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import read_json
from neuronym._util.limits import CORNER, PIXELS
from neuronym._util.messages import counted, some, warn
from neuronym.data.concepts import Concepts
from neuronym.data.masks import Drawer, Masks, Regions
from neuronym.errors import ConceptsError, FileError, OptionError
from neuronym.io.sources.finishing import check_out, finish
from neuronym.io.sources.outlines import box_corners, check_runs, decode_runs, polygon_runs, runs_mask
from neuronym.types import PathLike

__all__ = ["coco_as_masks", "from_coco"]

Entry = dict[str, Any]

_PATHS = ("coco_url", "path")  # where LVIS and COCO Annotator write an image's folder
_EXAMPLES = 3
_VERIFIED = ("neg_category_ids", "not_exhaustive_category_ids")  # LVIS


def from_coco(
    file: PathLike,
    *,
    supercategories: bool = True,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Read the categories present in each image of a COCO instances file, and their supercategories.

    Keypoints, panoptic and LVIS files work too. Sample ids are the file names of the images, or of their URLs; if these
    repeat, the folder of the URL is put before every name. Annotations of images that are not listed are ignored with
    a warning.

    Parameters
    ----------
    file : str or Path
        A COCO instances file, ``.json``.
    supercategories : bool, default True
        Add the supercategories as concepts, unless they are called ``none``.
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
    ConceptsError
        If images cannot be told apart by their names, or different categories share an id or a name.
    """
    check_out(out, overwrite)
    found = _open(file, supercategories)
    sets = [{name for category in found.present[image] for name in found.concepts[category]} for image in found.images]
    ids = list(found.images.values())
    return finish(Concepts.from_sets(sets, sample_ids=ids), None, min_count, True, out, overwrite)


def coco_as_masks(
    file: PathLike,
    *,
    crowd: Literal["show", "void", "no"] = "show",
    supercategories: bool = True,
    boxes: bool = False,
) -> Masks:
    """Read which pixels of each image show which category of a COCO instances file, and its supercategory.

    Polygons, run lengths and boxes become the very pixels that pycocotools gives. Instances may overlap, and those of
    one category are united. Sample ids are as for ``from_coco``. The file is read at once, but outlines become pixels
    only when an image is asked for.

    Parameters
    ----------
    file : str or Path
        A COCO instances file, ``.json``.
    crowd : {"show", "void", "no"}, default "show"
        What the pixels of a crowd (``iscrowd``) do: show its category; be void, which means left out of all counts,
        except where a single instance of any category is marked too; or nothing.
    supercategories : bool, default True
        Add the supercategories as concepts, unless they are called ``none``.
    boxes : bool, default False
        Use the box of an annotation without outlines, instead of raising an error.

    Returns
    -------
    Masks
        One concept per category and supercategory present, in alphabetical order; the category of both is the
        supercategory.

    Raises
    ------
    FileError
        If the file cannot be read or is not a COCO instances file, or outlines are invalid: those of run lengths on
        access.
    ConceptsError
        If images cannot be told apart by their names, or different categories share an id or a name.
    OptionError
        If ``crowd`` is none of these.
    """
    if crowd not in ("show", "void", "no"):
        raise OptionError(f"crowd must be 'show', 'void' or 'no', not {crowd!r}")
    found = _open(file, supercategories)
    if any("segments_info" in annotation for of_image in found.annotations.values() for annotation in of_image):
        raise FileError(
            f"{str(file)!r} is a panoptic file, whose masks are in images: use the instances file of the same images"
        )
    names = sorted({name for of_image in found.present.values() for one in of_image for name in found.concepts[one]})
    place = {name: number for number, name in enumerate(names)}
    shown = {category: tuple(sorted(place[name] for name in of)) for category, of in found.concepts.items()
             if all(name in place for name in of)}  # fmt: skip
    above = {name: one for category, of in found.concepts.items() for one in _above(found.categories[category], True)
             for name in of}  # fmt: skip
    sizes, instances = [], []
    for image, entry in found.entries.items():
        sizes.append(_size(entry, file))
        kept = [one for one in found.annotations[image] if crowd != "no" or not one.get("iscrowd")]
        where = f"image {found.images[image]!r} of {str(file)!r}"
        instances.append(
            tuple(
                _Instance(
                    shown[_id(one, "category_id", "annotations", file)],
                    bool(one.get("iscrowd")) and crowd == "void",
                    str(one.get("id")),
                    _outline(one, sizes[-1], boxes, where),
                )
                for one in kept
            )
        )
    ids = list(found.images.values())
    return Masks(_OfCoco(str(file), ids, sizes, instances), names, sample_ids=ids, categories=above)


@dataclass(frozen=True)
class _Coco:
    """A COCO file, checked: by id its images' names and entries, annotations by image, categories, their concepts."""

    images: Mapping[str, str]
    entries: Mapping[str, Entry]
    annotations: Mapping[str, list[Entry]]
    present: Mapping[str, Counter[str]]
    categories: Mapping[str, Entry]
    concepts: Mapping[str, set[str]]


def _open(file: PathLike, supercategories: bool) -> _Coco:
    """Read a COCO file."""
    content = read_json(file, "COCO annotations")
    entries = _unique(_coco_entries(content, "images", file), "images", file, "file_name", *_PATHS)
    images = _image_names(entries, file)
    annotations = _annotations(content, images, file)
    present = {
        image: Counter(category for one in listed for category in _categories_of(one, file))
        for image, listed in annotations.items()
    }
    categories = _unique(_coco_entries(content, "categories", file), "categories", file, "name", "supercategory")
    _refuse_unlisted(present, categories, file)
    _refuse_shared_names(present, categories, file)
    _warn_of_unverified(entries, file)
    concepts = {
        category: {_text(entry, "name", "categories", file)} | _above(entry, supercategories)
        for category, entry in categories.items()
    }
    return _Coco(images, entries, annotations, present, categories, concepts)


#: The outlines of an instance: polygons as bytes of float64, run lengths as bytes of int64, or compressed as text.
_Outline = tuple[bytes, ...] | bytes | str


@dataclass(frozen=True, slots=True)
class _Instance:
    """An annotation: its concepts, whether its pixels are void instead, its id, its outline."""

    concepts: tuple[int, ...]
    void: bool
    name: str
    outline: _Outline


@dataclass(frozen=True)
class _OfCoco(Drawer):
    """The masks of a COCO file: for each image its id, its height and width, and its instances."""

    path: str
    ids: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    instances: Sequence[tuple[_Instance, ...]]

    def __len__(self) -> int:
        return len(self.ids)

    def draw(self, sample: int) -> Regions:
        layers = [(one, self._pixels(sample, one)) for one in self.instances[sample]]
        shown = [(one.concepts, pixels) for one, pixels in layers if not one.void]
        crowds = [pixels for one, pixels in layers if one.void]
        if not crowds:
            return Regions.paint(self.sizes[sample], shown)
        void = np.logical_or.reduce(crowds)
        for _, pixels in shown:
            void[pixels] = False
        return Regions.paint(self.sizes[sample], shown, void)

    def shown(self, sample: int) -> Iterable[int]:
        """The concepts of instances with a pixel: no other instance can hide it."""
        found: set[int] = set()
        for one in self.instances[sample]:
            if one.void or found.issuperset(one.concepts):
                continue
            if any(runs[1::2].any() for runs in self._runs(sample, one)):
                found.update(one.concepts)
        return found

    def _pixels(self, sample: int, instance: _Instance) -> NDArray[np.bool_]:
        """The pixels of an instance: those of any of its parts."""
        first, *others = [runs_mask(runs, *self.sizes[sample]) for runs in self._runs(sample, instance)]
        for other in others:
            first |= other
        return first

    def _runs(self, sample: int, instance: _Instance) -> list[NDArray[np.int64]]:
        """The run lengths of each part of an instance."""
        height, width = self.sizes[sample]
        outline = instance.outline
        if isinstance(outline, tuple):
            return [polygon_runs(np.frombuffer(polygon).reshape(-1, 2), height, width) for polygon in outline]
        try:
            runs = decode_runs(outline) if isinstance(outline, str) else np.frombuffer(outline, np.int64)
            check_runs(runs, height, width)
        except ValueError as error:
            raise FileError(
                f"the run lengths of annotation {instance.name} of image {self.ids[sample]!r} of {self.path!r} are "
                f"invalid: {error}"
            ) from error
        return [runs]


def _size(image: Entry, path: PathLike) -> tuple[int, int]:
    """The height and width of an image."""
    size = [image.get("height"), image.get("width")]
    height, width = (int(side) if isinstance(side, int | float) and side >= 1 and side % 1 == 0 else 0 for side in size)
    if not height or not width:
        raise _not_coco(path, f"image {_name(image)!r} has no height and width in pixels ({size[0]!r}, {size[1]!r})")
    if height * width > PIXELS:
        raise FileError(f"image {_name(image)!r} of {str(path)!r} has {height} × {width} pixels, more than {PIXELS:,}")
    return height, width


def _outline(annotation: Entry, size: tuple[int, int], boxes: bool, where: str) -> _Outline:
    """The outline of an annotation, checked as far as that is cheap."""
    found, what = annotation.get("segmentation"), f"annotation {annotation.get('id')} of {where}"
    if not found and boxes:
        box = _numbers(annotation.get("bbox"))
        if box is None or len(box) != 4 or min(box[2:]) < 0:
            raise FileError(f"{what} has neither outlines (segmentation) nor a box (bbox) of x, y, width and height")
        return (box_corners(box).tobytes(),)
    if not found:
        raise FileError(
            f"{what} has no outlines (segmentation): remove it, or use the boxes of such annotations with boxes=True"
        )
    if isinstance(found, dict):
        return _checked_runs(found, size, what)
    polygons = [_numbers(polygon) for polygon in found] if isinstance(found, list) else [None]
    if any(polygon is None for polygon in polygons):
        raise FileError(f"{what} has outlines that are neither run lengths nor lists of coordinates up to {CORNER:,}")
    odd = [len(polygon) for polygon in polygons if polygon is not None and (len(polygon) < 6 or len(polygon) % 2)]
    if odd:
        raise FileError(
            f"{what} has a polygon of {odd[0]} coordinates: it needs an x and a y for each of at least 3 corners"
        )
    return tuple(polygon.tobytes() for polygon in polygons if polygon is not None)


def _numbers(values: Any) -> NDArray[np.float64] | None:
    """Coordinates; None if they are no list of numbers in a sensible range."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        return None
    return np.array(values, np.float64) if all(abs(value) <= CORNER for value in values) else None


def _checked_runs(found: Entry, size: tuple[int, int], what: str) -> bytes | str:
    """The run lengths of an annotation."""
    counts, own = found.get("counts"), found.get("size")
    if own != list(size):
        raise FileError(f"{what} has run lengths of the size {own!r}, but the image has {list(size)} (height, width)")
    if isinstance(counts, str):
        return counts
    if not isinstance(counts, list) or not all(type(count) is int and abs(count) < 2**62 for count in counts):
        raise FileError(f"{what} has run lengths (counts) that are neither a list of integers nor text")
    return np.array(counts, np.int64).tobytes()


def _coco_entries(content: Any, name: str, path: PathLike) -> list[Entry]:
    """Return a list of a COCO instances file."""
    entries = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _not_coco(path, f"there is no list called {name}")
    return entries


def _id(entry: Mapping[str, Any], key: str, name: str, path: PathLike) -> str:
    """Return an id as text, so that 9, 9.0 and "9" are the same."""
    value = entry.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise _not_coco(path, f"one of its {name} has no {key}")
    return str(value)


def _text(entry: Mapping[str, Any], key: str, name: str, path: PathLike) -> str:
    value = entry.get(key)
    if not isinstance(value, int | str) or not str(value).strip():
        raise _not_coco(path, f"one of its {name} has no {key}")
    return str(value)


def _unique(entries: list[Entry], name: str, path: PathLike, *keys: str) -> dict[str, Entry]:
    """Return the entries by id; those with the same id must agree on these keys."""
    found: dict[str, Entry] = {}
    for entry in entries:
        one = _id(entry, "id", name, path)
        first = found.setdefault(one, entry)
        if any(first.get(key) != entry.get(key) for key in keys):
            both = some([_name(first), _name(entry)])
            raise ConceptsError(
                f"{str(path)!r} has two entries of {name} with the id {one} ({both}): give each its own id, also in "
                "the annotations"
            )
    return found


def _name(entry: Mapping[str, Any]) -> str:
    """Return what identifies an entry to a reader."""
    keys = ("file_name", *_PATHS, "name")
    return next((str(entry[key]) for key in keys if entry.get(key) is not None), "no name")


def _image_names(entries: Mapping[str, Entry], path: PathLike) -> dict[str, str]:
    """Return a distinct name for each image: that of its file, after as many folders as tell all images apart."""
    places = {image: _place(entry, path) for image, entry in entries.items()}
    for depth in range(1 + max((len(folders) for folders, _ in places.values()), default=0)):
        names = {
            image: "/".join([*folders[max(0, len(folders) - depth) :], name])
            for image, (folders, name) in places.items()
        }
        if len(set(names.values())) == len(names):
            return names
    by_name: dict[str, list[object]] = defaultdict(list)
    for image, (_, name) in places.items():
        by_name[name].append(entries[image]["id"])
    shared = {name: ids for name, ids in by_name.items() if len(ids) > 1}
    examples = [f"{name!r}: ids {some(ids)}" for name, ids in list(shared.items())[:_EXAMPLES]]
    rest = f"; and {counted(len(shared) - _EXAMPLES, 'other name')}" if len(shared) > _EXAMPLES else ""
    raise ConceptsError(
        f"{sum(map(len, shared.values()))} of {counted(len(entries), 'image')} of {str(path)!r} share their file_name "
        f"with another ({'; '.join(examples)}{rest}): sample ids must be unique, so put each image's folder into its "
        f"file_name, as in 'folder/{next(iter(shared))}'"
    )


def _place(entry: Entry, path: PathLike) -> tuple[list[str], str]:
    """Return the folders above an image, as far as its URL or path tells, and its name."""
    place = next((entry[key] for key in _PATHS if isinstance(entry.get(key), str)), "")
    place = unquote(urlsplit(place).path) if "://" in place else place
    *folders, last = place.replace("\\", "/").strip("/").split("/")
    named = entry if entry.get("file_name") is not None or not last else {"file_name": last}
    return folders, _text(named, "file_name", "images", path)


def _annotations(content: Entry, images: Mapping[str, str], path: PathLike) -> dict[str, list[Entry]]:
    """Return the annotations of each image; warn of those of other images."""
    if not content.get("annotations", True):
        raise _not_coco(path, "its list of annotations is empty, as in the files of test sets")
    if "annotations" not in content:
        raise _not_coco(path, "it lists images without annotations, as the files of test sets do")
    found: dict[str, list[Entry]] = {image: [] for image in images}
    ignored: Counter[object] = Counter()
    for annotation in _coco_entries(content, "annotations", path):
        image = _id(annotation, "image_id", "annotations", path)
        if image in found:
            found[image].append(annotation)
        else:
            ignored[annotation["image_id"]] += 1
    n_annotations = len(content["annotations"])
    if ignored.total() == n_annotations:
        raise _not_coco(
            path,
            f"none of its {counted(n_annotations, 'annotation')} refers to an image that is listed (image_id "
            f"{some(ignored)}; images {some(images)})",
        )
    if ignored:
        warn(
            f"{ignored.total()} of {counted(n_annotations, 'annotation')} of {str(path)!r} refer to "
            f"{counted(len(ignored), 'image')} that the file does not list (image_id {some(ignored)}): they are "
            f"ignored, and the concepts are those of the {counted(len(images), 'image')} listed"
        )
    return found


def _categories_of(annotation: Entry, path: PathLike) -> Iterator[str]:
    """Yield the categories of an annotation: one of an object, or one for each segment of a panoptic annotation."""
    if annotation.get("category_id") is None and "caption" in annotation:
        raise _not_coco(path, "its annotations are captions: use the instances file of the same images")
    segments = annotation.get("segments_info")
    if not isinstance(segments, list):
        yield _id(annotation, "category_id", "annotations", path)
        return
    for segment in segments:
        yield _id(segment if isinstance(segment, dict) else {}, "category_id", "segments", path)


def _refuse_unlisted(present: Mapping[str, Counter[str]], categories: Mapping[str, Entry], path: PathLike) -> None:
    unlisted: Counter[str] = Counter()
    for of_image in present.values():
        unlisted.update({category: n for category, n in of_image.items() if category not in categories})
    if unlisted:
        listed = [f"category_id {one} of {counted(n, 'annotation')}" for one, n in unlisted.most_common(_EXAMPLES)]
        more = f" and {len(unlisted) - _EXAMPLES} more" if len(unlisted) > _EXAMPLES else ""
        raise _not_coco(
            path,
            f"there is no entry of categories for {', '.join(listed)}{more}: add what is missing, or remove these "
            "annotations",
        )


def _refuse_shared_names(present: Mapping[str, Counter[str]], categories: Mapping[str, Entry], path: PathLike) -> None:
    """Refuse different categories of one name, which would be one concept; one that never occurs does no harm."""
    by_name: dict[object, list[Entry]] = defaultdict(list)
    occurring = {category for of_image in present.values() for category in of_image}
    for category, entry in categories.items():
        if category in occurring:
            by_name[str(entry.get("name"))].append(entry)
    for name, entries in by_name.items():
        above = {str(entry.get("supercategory")) for entry in entries}
        if len(above) > 1:
            raise ConceptsError(
                f"{str(path)!r} has {len(entries)} categories called {name!r} (ids {some(e['id'] for e in entries)}) "
                f"with the supercategories {some(sorted(above))}: they would be one concept, so rename all but one, or "
                "give them one supercategory if they are the same"
            )


def _above(category: Entry, wanted: bool) -> set[str]:
    """Return the supercategory of a category, if it is wanted and there is one."""
    name = category.get("supercategory")
    return set() if not wanted or not name or str(name).strip().lower() in ("", "none") else {str(name)}


def _warn_of_unverified(images: Mapping[str, Entry], path: PathLike) -> None:
    verified = [entry for entry in images.values() if any(key in entry for key in _VERIFIED)]
    if verified:
        warn(
            f"in {len(verified)} of {counted(len(images), 'image')} of {str(path)!r}, only some categories were "
            f"verified ({' and '.join(_VERIFIED)}, as in LVIS): a category without an annotation counts as absent, "
            "though the image may show it"
        )


def _not_coco(path: PathLike, why: str) -> FileError:
    return FileError(
        f"{str(path)!r} is not a COCO instances file: it needs images, annotations and categories that refer to each "
        f"other, but {why}"
    )
