"""Concepts from COCO's annotations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from neuronym._util.files import read_json
from neuronym._util.messages import counted, some, warn
from neuronym.data.concepts import Concepts
from neuronym.errors import ConceptsError, FileError
from neuronym.io.sources.finishing import check_out, finish
from neuronym.types import PathLike

__all__ = ["from_coco"]

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
    content = read_json(file, "COCO annotations")
    entries = _unique(_coco_entries(content, "images", file), "images", file, "file_name", *_PATHS)
    images = _image_names(entries, file)
    present = _present(content, images, file)
    categories = _unique(_coco_entries(content, "categories", file), "categories", file, "name", "supercategory")
    _refuse_unlisted(present, categories, file)
    _refuse_shared_names(present, categories, file)
    _warn_of_unverified(entries, file)
    concepts = {
        category: {_text(entry, "name", "categories", file)} | _above(entry, supercategories)
        for category, entry in categories.items()
    }
    sets = [{name for category in present[image] for name in concepts[category]} for image in images]
    return finish(Concepts.from_sets(sets, sample_ids=list(images.values())), None, min_count, True, out, overwrite)


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


def _present(content: Entry, images: Mapping[str, str], path: PathLike) -> dict[str, Counter[str]]:
    """Return for each image how many annotations it has of each category; warn of those of other images."""
    if not content.get("annotations", True):
        raise _not_coco(path, "its list of annotations is empty, as in the files of test sets")
    if "annotations" not in content:
        raise _not_coco(path, "it lists images without annotations, as the files of test sets do")
    present: dict[str, Counter[str]] = {image: Counter() for image in images}
    ignored: Counter[object] = Counter()
    for annotation in _coco_entries(content, "annotations", path):
        image = _id(annotation, "image_id", "annotations", path)
        if image in present:
            present[image].update(_categories_of(annotation, path))
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
    return present


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
