"""Masks: which pixels of each photo show which concept, read when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.characters import visible
from neuronym._util.messages import counted, no_such, some
from neuronym.data.binary import columns_of_pairs
from neuronym.data.concepts import Concepts
from neuronym.data.ids import as_ids, is_missing, own_or_given, places, refuse_repeats
from neuronym.data.labelled import is_mapping, listed, named, to_array
from neuronym.errors import ConceptsError, OptionError

__all__ = ["Codes", "Drawer", "Masks", "Regions"]

Mask = NDArray[np.bool_]

_VOID, _UNKNOWN = -1, -2
_EXAMPLES, _SHOWN = 3, 5
_SMALL = 2**16  # values of label maps below this are looked up in a table


@dataclass(frozen=True, eq=False)
class Regions:
    """One photo, cut into regions: pixels that show the same concepts are one region.

    Parameters
    ----------
    numbers : int32 array of shape (height, width)
        The region of each pixel; −1 where the pixel is void, which means that it is left out of all counts.
    concepts : tuple of tuple of int
        The concepts of each region, in ascending order, by their places in ``Masks.names``; none in the background.

    Examples
    --------
    >>> dog, grass = [[True, False, False]], [[True, True, False]]
    >>> regions = Regions.paint((1, 3), [(0, dog), (1, grass)])
    >>> regions.numbers, regions.concepts
    (array([[1, 2, 0]], dtype=int32), ((), (0, 1), (1,)))
    """

    numbers: NDArray[np.int32]
    concepts: tuple[tuple[int, ...], ...]

    @classmethod
    def paint(
        cls,
        shape: tuple[int, int],
        layers: Iterable[tuple[int | Collection[int], ArrayLike]],
        void: ArrayLike | None = None,
    ) -> Regions:
        """Combine masks of concepts, which may overlap.

        Parameters
        ----------
        shape : tuple of (int, int)
            The height and width of the photo.
        layers : iterable of (int or collection of int, bool array of shape (height, width))
            A concept, or several, and the pixels that show it. A concept may have several masks.
        void : bool array of shape (height, width) or None, default None
            The pixels that are left out of all counts, whatever they show.

        Returns
        -------
        Regions
            No region is empty, and they are in the order of their concepts.

        Raises
        ------
        ConceptsError
            If a mask has another shape, or values other than yes and no.
        """
        numbers = np.zeros(shape, np.int32)
        flat = numbers.reshape(-1)  # a view
        found: dict[tuple[int, ...], int] = {(): 0}
        for shown, layer in layers:
            pixels = np.flatnonzero(_as_mask(layer, shape))
            added = {shown} if isinstance(shown, int | np.integer) else {*shown}
            inside = flat[pixels]
            old, new = list(found), np.arange(len(found), dtype=np.int32)
            for number in np.flatnonzero(np.bincount(inside, minlength=len(old))).tolist():
                new[number] = found.setdefault(tuple(sorted({*old[number], *added})), len(found))
            flat[pixels] = new[inside]
        if void is not None:
            numbers[_as_mask(void, shape)] = _VOID
        return cls._compact(numbers, list(found))

    @classmethod
    def _compact(cls, numbers: NDArray[np.integer[Any]], concepts: Sequence[tuple[int, ...]]) -> Regions:
        """Regions without empty ones, those of equal concepts merged, in the order of their concepts."""
        shown = _counts(numbers, len(concepts)) > 0
        kept = sorted({one for one, any_pixel in zip(concepts, shown, strict=True) if any_pixel})
        place = {one: number for number, one in enumerate(kept)}
        # The last entry is that of −1.
        new = np.array([*(place.get(one, _VOID) for one in concepts), _VOID], np.int32)
        return cls(new[numbers], tuple(kept))

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of pixels of each region, int64 of shape (n_regions,); those that are void are in none."""
        return _counts(self.numbers, len(self.concepts))

    def shown(self) -> set[int]:
        """Find the concepts that at least one pixel shows.

        Returns
        -------
        set of int
            Their places in ``Masks.names``.
        """
        regions = np.flatnonzero(self.counts).tolist()
        return {concept for region in regions for concept in self.concepts[region]}

    def _only(self, numbers: Mapping[int, int]) -> Regions:
        """The regions by some concepts alone, which get new numbers."""
        return self._compact(
            self.numbers, [tuple(sorted(numbers[c] for c in one if c in numbers)) for one in self.concepts]
        )


def _counts(numbers: NDArray[np.integer[Any]], n_regions: int) -> NDArray[np.int64]:
    """The number of pixels of each region."""
    return np.bincount(numbers.reshape(-1) + 1, minlength=n_regions + 1)[1:].astype(np.int64)  # the first is −1


def _as_mask(values: ArrayLike, shape: tuple[int, int]) -> Mask:
    """Convert to a mask of a shape; its values must be True and False, or 0 and 1."""
    array: NDArray[Any] = np.asarray(values)
    if array.shape != tuple(shape):
        raise ConceptsError(f"a mask has the shape {array.shape}, but the photo {tuple(shape)} (height, width)")
    if array.dtype.kind == "b":
        return array.astype(np.bool_, copy=False)
    if array.dtype.kind not in "iuf" or not np.isin(array, (0, 1)).all():
        found = some(np.unique(array).tolist()) if array.dtype.kind in "iuf" else array.dtype
        raise ConceptsError(
            f"a mask must be True where a pixel shows the concept and False elsewhere, but it has the values {found}: "
            "give each class a mask of its own, or use Masks.from_label_maps"
        )
    return np.asarray(array == 1, np.bool_)


class Drawer(ABC):
    """What draws the regions of one photo after another, such as a reader of files; it must be picklable."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of photos."""

    @abstractmethod
    def draw(self, sample: int) -> Regions:
        """Read or rasterize the regions of a photo."""

    def shown(self, sample: int) -> Iterable[int]:
        """The concepts that at least one pixel shows; overridden where that is known without drawing."""
        return self.draw(sample).shown()


class Masks:
    """Which pixels of each photo show which concept.

    Only what is asked for is read, one photo at a time. Make one with ``from_arrays`` or ``from_label_maps``, or read
    files with the functions of ``neuronym.sources``. A ``Masks`` is immutable; methods return new ones.

    Parameters
    ----------
    drawer : Drawer
        What reads or rasterizes the regions of a photo.
    names : iterable
        One distinct name per concept, converted to text.
    sample_ids : iterable or None, default None
        One distinct id per photo, converted to text. Without ids, photos are matched with activations by position.
    categories : mapping from str to str or None, default None
        The category of concepts that have one, by name.
    labelled : mapping from str to bool array of shape (n_samples,) or None, default None
        For each category, the photos in which it was labelled at all; all of them for a category without an entry.

    Raises
    ------
    ConceptsError
        If names or ids are missing, repeated or too few.

    Examples
    --------
    >>> masks = Masks.from_label_maps([[[0, 1], [1, 2]]], {1: "dog", 2: "grass"}, background=[0])
    >>> masks
    Masks(1 sample × 2 concepts: dog, grass)
    >>> masks.regions(0).counts
    array([1, 2, 1])
    """

    def __init__(
        self,
        drawer: Drawer,
        names: Iterable[object],
        *,
        sample_ids: Iterable[object] | None = None,
        categories: Mapping[str, str] | None = None,
        labelled: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        given = listed(names, "names of masks", ConceptsError)[0]
        if any(is_missing(name) for name in given):
            raise ConceptsError("a concept of the masks has an empty name: give each a name")
        self.names: tuple[str, ...] = tuple(str(name) for name in given)
        refuse_repeats(self.names, "name", "masks", ConceptsError)
        self.n_samples = len(drawer)
        self.sample_ids = as_ids(sample_ids, self.n_samples, "masks", ConceptsError)
        known = set(self.names)
        self.categories: Mapping[str, str] = {k: v for k, v in (categories or {}).items() if k in known}
        self._drawer = drawer
        self._labelled = {name: np.asarray(flags, np.bool_) for name, flags in (labelled or {}).items()}

    @classmethod
    def from_arrays(
        cls, masks: Any, names: Iterable[object] | None = None, *, sample_ids: Iterable[object] | None = None
    ) -> Self:
        """Take masks that are in memory, or in a memory map.

        Parameters
        ----------
        masks : bool array of shape (n_samples, n_concepts, height, width), or sequence of mapping from str to array
            All masks, or for each photo the masks of its concepts, each of shape (height, width), by name. Masks may
            overlap. Photos may differ in size in a sequence; the keys of a mapping of photos are their ids.
        names : iterable or None, default None
            One distinct name per concept. None means ``c0, c1, …`` for an array, and the names that occur, in
            alphabetical order, for a sequence.
        sample_ids : iterable or None, default None
            One distinct id per photo.

        Returns
        -------
        Masks
            The masks.

        Raises
        ------
        ConceptsError
            If the shape, the names, the ids or the values cannot be used.
        """
        per_photo = is_mapping(masks) or (isinstance(masks, list | tuple) and all(map(is_mapping, masks)))
        if not per_photo:
            array = to_array(masks, "masks", ConceptsError)
            if array.ndim != 4:
                raise ConceptsError(
                    f"masks must have four axes, samples × concepts × height × width, but have shape {array.shape}: "
                    "give one mapping from concept to mask per photo where sizes differ"
                )
            called = named(names, array.shape[1], "masks", ConceptsError) or [f"c{c}" for c in range(array.shape[1])]
            if len(called) != array.shape[1]:
                raise ConceptsError(
                    f"{counted(len(called), 'name')} for masks of {counted(array.shape[1], 'concept')}: give one each"
                )
            return cls(_OfArray(array), called, sample_ids=sample_ids)
        values, own = listed(masks, "masks", ConceptsError)
        photos: list[Mapping[str, Any]] = [_by_name(one, sample) for sample, one in enumerate(values)]
        found = sorted({name for one in photos for name in one})
        kept = found if names is None else [str(name) for name in listed(names, "names of masks", ConceptsError)[0]]
        if set(found) - set(kept):
            raise ConceptsError(f"names lacks concepts of the masks ({some(sorted(set(found) - set(kept)))})")
        ids = own_or_given(sample_ids, own, "masks", ConceptsError)
        return cls(_OfMappings(photos, {name: c for c, name in enumerate(kept)}), kept, sample_ids=ids)

    @classmethod
    def from_label_maps(
        cls,
        maps: Any,
        classes: Mapping[int, str],
        *,
        void: Collection[int | str] = (),
        background: Collection[int | str] = (),
        sample_ids: Iterable[object] | None = None,
    ) -> Self:
        """Take label maps that are in memory, or in a memory map: the class of each pixel.

        Parameters
        ----------
        maps : int array of shape (n_samples, height, width), or sequence of int array of shape (height, width)
            The class of each pixel of each photo; the keys of a mapping of photos are their ids.
        classes : mapping from int to str
            The name of each value; values of the same name are one concept.
        void : collection of int or str, default ()
            Values, or names of classes, whose pixels are left out of all counts.
        background : collection of int or str, default ()
            Values, or names of classes, whose pixels show no concept.
        sample_ids : iterable or None, default None
            One distinct id per photo.

        Returns
        -------
        Masks
            One concept per class that is neither void nor background, in the order of the values.

        Raises
        ------
        ConceptsError
            If the shape, the classes or the ids cannot be used; on access, if a pixel has any other value.
        OptionError
            If ``void`` or ``background`` name no class.
        """
        codes = Codes(classes, void, background)
        own = None
        values: Any = maps
        if is_mapping(maps):
            values, own = list(maps.values()), list(maps)
        if not isinstance(values, list | tuple):
            values = to_array(values, "label maps", ConceptsError)
            if values.ndim != 3:
                raise ConceptsError(f"label maps must have three axes, samples × height × width, not {values.shape}")
        ids = own_or_given(sample_ids, own, "masks", ConceptsError)
        return cls(_OfLabelMaps(values, codes), codes.names, sample_ids=ids)

    @property
    def n_concepts(self) -> int:
        """The number of concepts."""
        return len(self.names)

    def regions(self, sample: int) -> Regions:
        """Read or rasterize the masks of one photo.

        Parameters
        ----------
        sample : int
            The index of the photo.

        Returns
        -------
        Regions
            Its regions.

        Raises
        ------
        OptionError
            If there is no such photo.
        FileError
            If its file cannot be read, or does not fit.
        ConceptsError
            If a value is not among the classes.
        """
        if not 0 <= sample < self.n_samples:
            raise OptionError(f"sample must be an index from 0 to {self.n_samples - 1}, not {sample}")
        return self._drawer.draw(int(sample))

    def take(self, rows: ArrayLike) -> Masks:
        """Select photos.

        Parameters
        ----------
        rows : int or bool array of shape (n_taken,) or (n_samples,)
            The indices of photos, or a mask.

        Returns
        -------
        Masks
            The photos in the order of ``rows``.

        Raises
        ------
        OptionError
            If an index is out of range, or a mask has another shape.
        """
        return self._part(places(rows, self.n_samples, self.sample_ids), list(range(self.n_concepts)))

    def of_category(self, category: str) -> Masks:
        """Select the concepts of a category, and the photos in which it was labelled.

        Pixels that show only other concepts become background; those that are void stay so. In data such as Broden,
        a photo in which a category was not labelled says nothing about its concepts, so it is left out, as by Bau et
        al. (2017, section 2).

        Parameters
        ----------
        category : str
            One of the values of ``categories``.

        Returns
        -------
        Masks
            Its concepts.

        Raises
        ------
        UnknownNameError
            If no concept is of this category.
        """
        concepts = [c for c, name in enumerate(self.names) if self.categories.get(name) == category]
        if not concepts:
            raise no_such("category", category, sorted(set(self.categories.values())))
        rows = np.flatnonzero(self._labelled.get(category, np.ones(self.n_samples, np.bool_)))
        return self._part(rows, concepts)

    def _part(self, rows: NDArray[np.intp], concepts: Sequence[int]) -> Masks:
        """Some photos with some concepts."""
        names = [self.names[c] for c in concepts]
        ids = None if self.sample_ids is None else [self.sample_ids[row] for row in rows]
        numbers = None if len(names) == self.n_concepts else {c: new for new, c in enumerate(concepts)}
        labelled = {name: flags[rows] for name, flags in self._labelled.items()}
        drawer = _Part(self._drawer, rows, numbers)
        return Masks(drawer, names, sample_ids=ids, categories=self.categories, labelled=labelled)

    def concepts(self) -> Concepts:
        """Find the concepts that each photo shows anywhere, in at least one pixel that is not void.

        Returns
        -------
        Concepts
            The same samples and names.

        Raises
        ------
        FileError
            If a file cannot be read, or does not fit.
        ConceptsError
            If a value is not among the classes.
        """
        pairs = [(concept, sample) for sample in range(self.n_samples) for concept in self._drawer.shown(sample)]
        table = np.array(pairs, np.int64).reshape(-1, 2)
        ptr, samples = columns_of_pairs(table[:, 0], table[:, 1], self.n_concepts)
        return Concepts(ptr, samples, self.n_samples, self.names, sample_ids=self.sample_ids)

    def __len__(self) -> int:
        return self.n_samples

    def __repr__(self) -> str:
        shown = ", ".join(map(visible, self.names[:_SHOWN])) + ", …" * (self.n_concepts > _SHOWN)
        return f"Masks({counted(self.n_samples, 'sample')} × {counted(self.n_concepts, 'concept')}: {shown})"


@dataclass(frozen=True)
class _Part(Drawer):
    """Some photos, and if ``numbers`` is not None some concepts, of another drawer."""

    whole: Drawer
    rows: NDArray[np.intp]
    numbers: Mapping[int, int] | None

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, sample: int) -> Regions:
        regions = self.whole.draw(int(self.rows[sample]))
        return regions if self.numbers is None else regions._only(self.numbers)

    def shown(self, sample: int) -> Iterable[int]:
        concepts = self.whole.shown(int(self.rows[sample]))
        return concepts if self.numbers is None else [self.numbers[c] for c in concepts if c in self.numbers]


@dataclass(frozen=True)
class _OfArray(Drawer):
    """Masks in an array, samples × concepts × height × width."""

    masks: NDArray[Any]

    def __len__(self) -> int:
        return len(self.masks)

    def draw(self, sample: int) -> Regions:
        with _naming(sample):
            return Regions.paint(self.masks.shape[2:], enumerate(self.masks[sample]))


@dataclass(frozen=True)
class _OfMappings(Drawer):
    """Masks of the concepts of each photo, by name."""

    photos: Sequence[Mapping[str, Any]]
    places: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.photos)

    def draw(self, sample: int) -> Regions:
        masks = self.photos[sample]
        shape = next(iter(masks.values())).shape
        with _naming(sample):
            return Regions.paint(shape, ((self.places[name], mask) for name, mask in masks.items()))


def _by_name(photo: Any, sample: int) -> dict[str, Any]:
    """The masks of a photo, as arrays of two axes; at least one, which tells the size."""
    found = {str(name): to_array(mask, "a mask", ConceptsError) for name, mask in photo.items()}
    odd = [name for name, mask in found.items() if mask.ndim != 2]
    if odd:
        raise ConceptsError(
            f"the mask of {odd[0]!r} in sample {sample} must have two axes, height × width, not {found[odd[0]].shape}"
        )
    if not found:
        raise ConceptsError(
            f"sample {sample} has no mask, so its size is unknown: give it one without any pixel, of zeros"
        )
    return found


@contextmanager
def _naming(sample: int) -> Iterator[None]:
    """Name the sample in errors of its masks."""
    try:
        yield
    except ConceptsError as error:
        raise ConceptsError(f"sample {sample}: {error}") from None


@dataclass(frozen=True)
class _OfLabelMaps(Drawer):
    """Label maps in memory."""

    maps: Any
    codes: Codes

    def __len__(self) -> int:
        return len(self.maps)

    def draw(self, sample: int) -> Regions:
        return self.codes.regions(to_array(self.maps[sample], "label maps", ConceptsError), f"sample {sample}")


class Codes:
    """What the values of label maps stand for: concepts, background, or nothing (void).

    Parameters
    ----------
    classes : mapping from int to str
        The name of each value; values of the same name are one concept.
    void, background : collection of int or str, default ()
        Values, or names of classes, that are no concepts.

    Attributes
    ----------
    names : tuple of str
        The names of the concepts, in the order of their first values.

    Raises
    ------
    ConceptsError
        If there are no classes, a value is no integer, or a name is empty.
    OptionError
        If ``void`` or ``background`` name no class, or share one.
    """

    def __init__(
        self,
        classes: Mapping[int, str],
        void: Collection[int | str] = (),
        background: Collection[int | str] = (),
    ) -> None:
        if not isinstance(classes, Mapping) or not classes:
            raise ConceptsError(
                f"classes must map the values of label maps to names, as in {{1: 'dog'}}, not {classes!r}"
            )
        odd = [value for value in classes if not isinstance(value, int | np.integer) or isinstance(value, bool)]
        if odd:
            raise ConceptsError(f"classes must have integers as keys, the values of label maps, not {some(odd)}")
        unnamed = [value for value, name in classes.items() if is_missing(name)]
        if unnamed:
            raise ConceptsError(f"the class {unnamed[0]} has an empty name: give it a name")
        by_value = {int(value): str(name) for value, name in sorted(classes.items())}
        left_out = _values(void, by_value, "void")
        bare = _values(background, by_value, "background")
        if left_out & bare:
            raise OptionError(f"void and background share values ({some(sorted(left_out & bare))}): choose one")
        shown = {value: name for value, name in by_value.items() if value not in left_out | bare}
        self.names = tuple(dict.fromkeys(shown.values()))
        place = {name: c for c, name in enumerate(self.names)}
        #: The code of each value: its concept, one more than the last concept for background, −1 for void.
        self._codes = {
            **{value: place[name] for value, name in shown.items()},
            **dict.fromkeys(bare, len(self.names)),
            **dict.fromkeys(left_out, _VOID),
        }
        #: Of all 16-bit values.
        self._table = np.full(_SMALL, _UNKNOWN, np.int32)
        for value, code in self._codes.items():
            if 0 <= value < _SMALL:
                self._table[value] = code

    def __contains__(self, value: object) -> bool:
        return value in self._codes

    def regions(self, values: NDArray[Any], where: str) -> Regions:
        """Cut a label map into regions.

        Parameters
        ----------
        values : int array of shape (height, width)
            The value of each pixel.
        where : str
            The sample or file, for messages.

        Returns
        -------
        Regions
            One region per concept, and the background.

        Raises
        ------
        ConceptsError
            If it is no label map, or a value is neither a class nor void nor background.
        """
        if values.ndim != 2 or values.dtype.kind not in "iub":
            raise ConceptsError(
                f"{where}: a label map must hold integers, height × width, not {values.dtype} of shape {values.shape}"
            )
        codes = self._codes_of(values)
        unknown = codes == _UNKNOWN
        if unknown.any():
            found, times = np.unique(values[unknown], return_counts=True)
            counts = [f"{value} in {counted(n, 'pixel')}" for value, n in zip(found, times.tolist(), strict=True)]
            raise ConceptsError(
                f"{where}: the label map has values without a class ({', '.join(counts[:_EXAMPLES])}"
                + f" and {len(counts) - _EXAMPLES} more" * (len(counts) > _EXAMPLES)
                + "): name them in classes, or list them in void or background"
            )
        return Regions._compact(codes, [*((c,) for c in range(len(self.names))), ()])

    def _codes_of(self, values: NDArray[Any]) -> NDArray[np.int32]:
        """The code of each pixel."""
        if not values.size:
            return np.zeros(values.shape, np.int32)
        if values.dtype.kind == "b" or (int(values.min()) >= 0 and int(values.max()) < _SMALL):
            return self._table[values.astype(np.uint16)]
        unique, places_of = np.unique(values, return_inverse=True)
        of_unique = np.array([self._codes.get(int(value), _UNKNOWN) for value in unique], np.int32)
        return of_unique[places_of].reshape(values.shape)


def _values(given: Collection[int | str], classes: Mapping[int, str], option: str) -> set[int]:
    """The values that an option lists, by number or by the name of a class."""
    if isinstance(given, str | bytes) or not isinstance(given, Collection):
        raise OptionError(f"{option} must be a list of values or names of classes, such as [{given!r}], not {given!r}")
    found: set[int] = set()
    for one in given:
        if isinstance(one, str):
            named_so = {value for value, name in classes.items() if name == one}
            if not named_so:
                raise no_such("class", one, list(classes.values()))
            found |= named_so
        elif isinstance(one, int | np.integer) and not isinstance(one, bool):
            found.add(int(one))
        else:
            raise OptionError(f"{option} must be a list of values or names of classes, but has {one!r}")
    return found
