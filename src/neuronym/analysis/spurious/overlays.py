"""Altered copies of photos: a spurious concept added on purpose, next to the photos without it.

A photo and its altered copy differ in nothing else, so such pairs show how a network responds to a watermark, a logo, a
border or blur.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from neuronym._util.folders import replacing
from neuronym._util.messages import no_such, some
from neuronym.analysis.spurious.alterations import Blur, Border, Cast, Jpeg, Patch, Text
from neuronym.data.concepts import Concepts
from neuronym.errors import ConceptsError, FileError, OptionError
from neuronym.io.images import Images
from neuronym.types import ImagesLike, PathLike

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

__all__ = [
    "Alteration",
    "AlteredSamples",
    "Blur",
    "Border",
    "Cast",
    "Jpeg",
    "Patch",
    "Text",
    "overlay",
    "pair_photos_with_artefacts",
]

Alteration = Callable[["Image", np.random.Generator], "Image"]

_N_HASHED = 3  # altered images that identify a function


class _Copies(Protocol):
    """A source of copies: altered photos, or images of artefacts."""

    @property
    def sample_ids(self) -> Sequence[str]: ...

    def image(self, place: int) -> Image | None: ...

    def digest(self) -> str: ...


class AlteredSamples:
    """Photos followed by copies that have a suspect concept, as a Dataset for ``collect``.

    Made by ``overlay`` and ``pair_photos_with_artefacts``. The id of a copy is that of its photo, ``#`` and the name of
    the concept. A photo and its copies form one cluster, which ``collect`` stores with the activations.

    Parameters
    ----------
    images : Images
        The photos.
    copies : Images or altered photos
        The source of the copies: it has ``sample_ids``, ``image(place)`` and ``digest()``.
    name : str
        The name of the suspect concept.
    owners : sequence of str, optional
        The cluster of each copy, such as the id of its photo; by default the copies' own ids.

    Attributes
    ----------
    name : str
        The name of the suspect concept.
    sample_ids : tuple of str
        One id per sample, photos first.
    clusters : tuple of str
        The cluster of each sample.
    """

    def __init__(self, images: Images, copies: _Copies, name: str, owners: Sequence[str] | None = None) -> None:
        if not name:
            raise OptionError("the suspect concept must have a name")
        self.images, self.name, self._copies = images, name, copies
        self.sample_ids = (*images.sample_ids, *(f"{i}#{name}" for i in copies.sample_ids))
        self.clusters = (*images.sample_ids, *(copies.sample_ids if owners is None else owners))

    @property
    def n_copies(self) -> int:
        """The number of copies."""
        return len(self._copies.sample_ids)

    @property
    def n_pairs(self) -> int:
        """The number of photos that have a copy."""
        return len(set(self.images.sample_ids) & set(self.clusters[len(self.images) :]))

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, place: int) -> torch.Tensor | None:
        image = self.image(place)
        return None if image is None else self.images.prepare(image)

    def image(self, place: int) -> Image | None:
        """Open a photo or copy in RGB, at its own size.

        Parameters
        ----------
        place : int
            The index of the sample.

        Returns
        -------
        PIL.Image.Image or None
            The image, or None if it cannot be read and unreadable images are skipped.
        """
        n = len(self.images)
        return self.images.image(place) if place < n else self._copies.image(place - n)

    def digest(self) -> str:
        """Hash the photos and copies.

        Returns
        -------
        str
            Hashes in hexadecimal, which differ for other photos or copies.
        """
        return f"{self.images.digest()} {self._copies.digest()}"

    def concepts(self, shown: Concepts | None = None) -> Concepts:
        """Make the concepts of photos and copies: the suspect, and the photos' own concepts.

        Parameters
        ----------
        shown : Concepts, optional
            The concepts of the photos, with their ids. A copy inherits those of its photo; copies without a photo
            have the suspect alone.

        Returns
        -------
        Concepts
            The concepts of all samples, photos first.

        Raises
        ------
        UnknownNameError
            If the concepts lack a photo.
        ConceptsError
            If the concepts have no ids, or include one with the suspect's name.
        """
        suspect = Concepts.from_classes(["no"] * len(self), sample_ids=self.sample_ids).select([])
        suspect = suspect.add(self.name, self.sample_ids[len(self.images) :])
        if shown is None:
            return suspect
        if shown.sample_ids is None:
            raise ConceptsError("the concepts of photos must have the photos' ids: their paths relative to the folder")
        if self.name in shown:
            raise ConceptsError(f"there is a concept {self.name!r} already: choose another name for the alteration")
        known = set(shown.sample_ids)
        missing = [i for i in self.images.sample_ids if i not in known]
        if missing:
            raise no_such("sample", missing[0], shown.sample_ids)
        owned = [(i, cluster) for i, cluster in zip(self.sample_ids, self.clusters, strict=True) if cluster in known]
        inherited = shown.to_tokens([i for i, _ in owned], [cluster for _, cluster in owned])
        if len(owned) < len(self):
            unowned = [i for i, cluster in zip(self.sample_ids, self.clusters, strict=True) if cluster not in known]
            none = Concepts.from_long(unowned, [""] * len(unowned))
            for name in inherited.names:
                none = none.add(name, [])
            inherited = Concepts.concatenate([inherited, none], axis="samples")
        return Concepts.concatenate([suspect, inherited])

    def save(self, folder: PathLike) -> None:
        """Write the copies as PNG files, named after their photos, to a new folder.

        Parameters
        ----------
        folder : str or Path
            The folder to make. However the call ends, it is complete, or absent.

        Raises
        ------
        FileError
            If the folder exists, or cannot be written.
        """
        with replacing(folder, "folder of altered photos") as root:
            for place, name in enumerate(self._copies.sample_ids):
                image = self._copies.image(place)
                target = (root / name).with_suffix(".png")
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    raise FileError(f"two copies would be saved as {str(target)!r}: rename one of the photos")
                if image is not None:
                    image.save(target)


class _AlteredCopies:
    """Copies of selected photos, with alterations applied in turn."""

    def __init__(self, images: Images, how: Sequence[Alteration], selected: Sequence[int], seed: int) -> None:
        self.images, self.how, self.selected, self.seed = images, how, selected, seed
        self.sample_ids = tuple(images.sample_ids[place] for place in selected)

    def image(self, place: int) -> Image | None:
        from PIL import Image

        image = self.images.image(self.selected[place])
        if image is None:
            return None
        rng = np.random.default_rng([self.seed, self.selected[place]])
        for alter in self.how:
            image = alter(image, rng)
            if not isinstance(image, Image.Image):
                raise OptionError(f"how must return a Pillow image, not {type(image).__name__}")
            image = image.convert("RGB")
        return image

    def digest(self) -> str:
        content_hash = hashlib.blake2b(f"{list(self.selected)} {self.seed}".encode(), digest_size=16)
        for alter in self.how:
            content_hash.update(repr(alter).encode() if is_dataclass(alter) else b"a function")
            content_hash.update(alter.digest().encode() if isinstance(alter, Patch) else b"")
        if not all(is_dataclass(alter) for alter in self.how):  # a function is identified by the images it makes
            for place in range(min(_N_HASHED, len(self.selected))):
                image = self.image(place)
                content_hash.update(b"" if image is None else image.tobytes())
        return content_hash.hexdigest()


def overlay(
    images: ImagesLike,
    how: Alteration | Iterable[Alteration],
    fraction: float = 1.0,
    seed: int = 0,
    *,
    name: str = "altered",
) -> AlteredSamples:
    """Make altered copies of photos, paired with the originals, without writing any file.

    Parameters
    ----------
    images : Images, str or Path
        The photos, or a folder of them.
    how : Alteration or iterable of Alteration
        ``Text``, ``Patch``, ``Border``, ``Cast``, ``Blur``, ``Jpeg``, or a function of a Pillow image and a
        ``numpy.random.Generator`` that returns an image; several are applied in turn.
    fraction : float, default 1
        The share of photos, drawn at random, to copy.
    seed : int, default 0
        The seed of all random draws; copies do not depend on the order in which they are made.
    name : str, default "altered"
        The concept that copies have and their originals do not.

    Returns
    -------
    AlteredSamples
        The photos and their altered copies.

    Raises
    ------
    OptionError
        If there is no alteration, or an option is out of range.

    Examples
    --------
    >>> overlay("photos", Text("保留"), name="watermark")  # doctest: +SKIP
    """
    photos = _as_images(images)
    steps = tuple(how) if isinstance(how, Iterable) else (how,)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise OptionError(f"seed must be a whole number of at least 0, not {seed!r}")
    if not isinstance(fraction, int | float):
        raise OptionError(f"fraction must be a number, not {fraction!r}")
    invalid = [step for step in steps if not callable(step)]
    if invalid or not steps:
        given = repr(invalid[0]) if invalid else "nothing"
        raise OptionError(f"how must be Text, Patch, Border, Cast, Blur, Jpeg or a function of an image, not {given}")
    n_copies = round(fraction * len(photos)) if 0 < fraction <= 1 else 0
    if not n_copies:
        raise OptionError(
            f"fraction must select at least one of the {len(photos)} photos and be at most 1, not {fraction}"
        )
    selected = np.sort(np.random.default_rng(seed).permutation(len(photos))[:n_copies]).tolist()
    return AlteredSamples(photos, _AlteredCopies(photos, steps, selected, seed), name)


def pair_photos_with_artefacts(images: ImagesLike, folder: PathLike, *, name: str = "artefact") -> AlteredSamples:
    """Pair photos without a suspect concept with images that have it, by their paths relative to the two folders.

    Parameters
    ----------
    images : Images, str or Path
        The photos without the concept, or a folder of them.
    folder : str or Path
        A folder of images with the concept. An image is paired with the photo of the same relative path; a different
        file extension is ignored if only one photo matches.
    name : str, default "artefact"
        The name of the concept.

    Returns
    -------
    AlteredSamples
        The photos, followed by the images with the concept.

    Raises
    ------
    FileError
        If a folder cannot be read, or two images match one photo.
    """
    photos = _as_images(images)
    artefacts = Images(folder, photos.prepare, skip_unreadable=photos.skip_unreadable)
    return AlteredSamples(photos, artefacts, name, _match_by_path(photos.sample_ids, artefacts.sample_ids))


def _match_by_path(photos: Sequence[str], artefacts: Sequence[str]) -> list[str]:
    """Return for each artefact the photo of the same path, with or without its extension, or else its own path."""
    known = set(photos)
    by_stem: dict[str, list[str]] = {}
    for name in photos:
        by_stem.setdefault(str(Path(name).with_suffix("")), []).append(name)
    owners = []
    for name in artefacts:
        matches = by_stem.get(str(Path(name).with_suffix("")), [])
        owners.append(matches[0] if name not in known and len(matches) == 1 else name)
    if len(set(owners)) < len(owners):
        repeated = sorted({name for name in owners if owners.count(name) > 1})
        raise FileError(f"two images match one photo by their paths: {some(repeated)}")
    return owners


def _as_images(images: ImagesLike) -> Images:
    if isinstance(images, Images):
        return images
    if not isinstance(images, str | Path):
        raise OptionError(f"images must be Images or a folder, not {type(images).__name__}")
    return Images(images, _unchanged)


def _unchanged(image: Any) -> Any:
    return image
