"""Altered copies of photos: a concept that nobody intended, put there on purpose, beside the photos without it.

What a network makes of a watermark, a logo, a border or blur shows on pairs of a photo and its altered copy, which
differ in nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from neuronym._util.files import first_line
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
    "pair_with_artefacts",
]

Alteration = Callable[["Image", np.random.Generator], "Image"]

_PROBED = 3  # images that tell functions apart


class _Copies(Protocol):
    """What copies are made of."""

    @property
    def sample_ids(self) -> Sequence[str]: ...

    def image(self, place: int) -> Image | None: ...

    def digest(self) -> str: ...


class AlteredSamples:
    """Photos and copies that show a suspect concept, as a Dataset for ``collect``: first the photos, then the copies.

    Made by ``overlay`` and ``pair_with_artefacts``. Copies have the id of their photo, ``#`` and the name of the
    concept; a photo and its copies are one cluster, which ``collect`` keeps with the activations.

    Attributes
    ----------
    name : the suspect concept
    sample_ids, clusters : texts, one per sample
    """

    def __init__(self, images: Images, copies: _Copies, name: str, owners: Sequence[str] | None = None) -> None:
        if not name:
            raise OptionError("the suspect concept must have a name")
        self.images, self.name, self._copies = images, name, copies
        self.sample_ids = (*images.sample_ids, *(f"{i}#{name}" for i in copies.sample_ids))
        self.clusters = (*images.sample_ids, *(copies.sample_ids if owners is None else owners))

    @property
    def n_copies(self) -> int:
        return len(self._copies.sample_ids)

    @property
    def n_pairs(self) -> int:
        """How many photos have a copy."""
        return len(set(self.images.sample_ids) & set(self.clusters[len(self.images) :]))

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, place: int) -> torch.Tensor | None:
        image = self.image(place)
        return None if image is None else self.images.prepare(image)

    def image(self, place: int) -> Image | None:
        """The photo or copy, in RGB, as big as it is; None for one that is unreadable and to be skipped."""
        n = len(self.images)
        return self.images.image(place) if place < n else self._copies.image(place - n)

    def digest(self) -> str:
        """Tells these photos and copies from others."""
        return f"{self.images.digest()} {self._copies.digest()}"

    def concepts(self, shown: Concepts | None = None) -> Concepts:
        """What photos and copies show: the concepts of the photos, and the suspect concept.

        Parameters
        ----------
        shown : of the photos, with their ids; copies of photos that are not among them show the suspect alone

        Raises
        ------
        UnknownNameError
            If a photo is not among the samples of the concepts.
        ConceptsError
            If they have no ids, or a concept of this name already.
        """
        suspect = Concepts.from_classes(["no"] * len(self), sample_ids=self.sample_ids).select([])
        suspect = suspect.add(self.name, self.sample_ids[len(self.images) :])
        if shown is None:
            return suspect
        if shown.sample_ids is None:
            raise ConceptsError("the concepts of photos must have the photos' ids, such as the paths below the folder")
        if self.name in shown:
            raise ConceptsError(f"there is a concept {self.name!r} already: choose another name for the copies")
        place = {sample: row for row, sample in enumerate(shown.sample_ids)}
        lost = [i for i in self.images.sample_ids if i not in place]
        if lost:
            raise no_such("sample", lost[0], shown.sample_ids)
        known = [(i, cluster) for i, cluster in zip(self.sample_ids, self.clusters, strict=True) if cluster in place]
        spread = shown.to_tokens([i for i, _ in known], [cluster for _, cluster in known])
        if len(known) < len(self):
            others = [i for i, cluster in zip(self.sample_ids, self.clusters, strict=True) if cluster not in place]
            none = Concepts.from_long(others, [""] * len(others))
            for name in spread.names:
                none = none.add(name, [])
            spread = Concepts.concatenate([spread, none], axis="samples")
        return Concepts.concatenate([suspect, spread])

    def save(self, folder: PathLike) -> None:
        """Write the copies as PNG files, named as their photos, into a folder that does not exist yet.

        Raises
        ------
        FileError
            If the folder exists, or cannot be written.
        """
        root = Path(folder)
        try:
            root.mkdir()
            for place, name in enumerate(self._copies.sample_ids):
                image = self._copies.image(place)
                target = (root / name).with_suffix(".png")
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    raise FileError(f"two photos would become {str(target)!r}: rename one")
                if image is not None:
                    image.save(target)
        except FileExistsError:
            raise FileError(f"{str(folder)!r} exists: choose another name") from None
        except OSError as error:
            raise FileError(f"cannot write {str(folder)!r}: {first_line(error)}") from error


class _Overlaid:
    """Copies of some photos with an alteration."""

    def __init__(self, images: Images, how: Sequence[Alteration], chosen: Sequence[int], seed: int) -> None:
        self.images, self.how, self.chosen, self.seed = images, how, chosen, seed
        self.sample_ids = tuple(images.sample_ids[place] for place in chosen)

    def image(self, place: int) -> Image | None:
        from PIL import Image

        image = self.images.image(self.chosen[place])
        if image is None:
            return None
        rng = np.random.default_rng([self.seed, self.chosen[place]])
        for alter in self.how:
            image = alter(image, rng)
            if not isinstance(image, Image.Image):
                raise OptionError(f"how must give an image of Pillow, not {type(image).__name__}")
            image = image.convert("RGB")
        return image

    def digest(self) -> str:
        told = hashlib.blake2b(f"{list(self.chosen)} {self.seed}".encode(), digest_size=16)
        for alter in self.how:
            told.update(repr(alter).encode() if is_dataclass(alter) else b"a function")
            told.update(alter.digest().encode() if isinstance(alter, Patch) else b"")
        if not all(is_dataclass(alter) for alter in self.how):  # what a function does, nothing tells but its images
            for place in range(min(_PROBED, len(self.chosen))):
                image = self.image(place)
                told.update(b"" if image is None else image.tobytes())
        return told.hexdigest()


def overlay(
    images: ImagesLike,
    how: Alteration | Iterable[Alteration],
    fraction: float = 1.0,
    seed: int = 0,
    *,
    name: str = "altered",
) -> AlteredSamples:
    """Make altered copies of photos, paired with the originals; nothing is written.

    Parameters
    ----------
    images : ``Images``, or a folder
    how : ``Text``, ``Patch``, ``Border``, ``Cast``, ``Blur``, ``Jpeg``, or a function of an image and a
        ``numpy.random.Generator``; or several, done in turn
    fraction : the share of photos, drawn at random, that get a copy
    seed : of what is drawn; copies do not depend on the order in which they are made
    name : the concept that copies show and their originals do not

    Raises
    ------
    OptionError
        If there is nothing to do, or a fraction is out of its range.

    >>> overlay("photos", Text("保留"), name="watermark")  # doctest: +SKIP
    """
    taken = _as_images(images)
    steps = tuple(how) if isinstance(how, Iterable) else (how,)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise OptionError(f"seed must be a whole number of at least 0, not {seed!r}")
    if not isinstance(fraction, int | float):
        raise OptionError(f"fraction must be a number, not {fraction!r}")
    wrong = [step for step in steps if not callable(step)]
    if wrong or not steps:
        what = repr(wrong[0]) if wrong else "nothing"
        raise OptionError(f"how must be Text, Patch, Border, Cast, Blur, Jpeg or a function of an image, not {what}")
    n_copies = round(fraction * len(taken)) if 0 < fraction <= 1 else 0
    if not n_copies:
        raise OptionError(f"fraction must be a share of the {len(taken)} photos, at least one of them, not {fraction}")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(taken))[:n_copies]).tolist()
    return AlteredSamples(taken, _Overlaid(taken, steps, chosen, seed), name)


def pair_with_artefacts(images: ImagesLike, folder: PathLike, *, name: str = "artefact") -> AlteredSamples:
    """Put photos that show a suspect concept beside those that do not; those with the same path below are pairs.

    Parameters
    ----------
    images : ``Images``, or a folder
    folder : of images that show it; one that differs from a photo in the ending of its name alone is its pair too
    name : the concept
    """
    taken = _as_images(images)
    found = Images(folder, taken.prepare, skip_unreadable=taken.skip_unreadable)
    return AlteredSamples(taken, found, name, _paired_by_path(taken.sample_ids, found.sample_ids))


def _paired_by_path(photos: Sequence[str], others: Sequence[str]) -> list[str]:
    """For each other image the photo of the same path, or of the same but for its ending; else itself."""
    known = set(photos)
    bare: dict[str, list[str]] = {}
    for name in photos:
        bare.setdefault(str(Path(name).with_suffix("")), []).append(name)
    found = []
    for name in others:
        alike = bare.get(str(Path(name).with_suffix("")), [])
        found.append(alike[0] if name not in known and len(alike) == 1 else name)
    if len(set(found)) < len(found):
        raise FileError(f"two images belong to one photo: {some(sorted({n for n in found if found.count(n) > 1}))}")
    return found


def _as_images(given: Any) -> Images:
    if isinstance(given, Images):
        return given
    if not isinstance(given, str | Path):
        raise OptionError(f"images must be Images or a folder, not {type(given).__name__}")
    return Images(given, _as_it_is)


def _as_it_is(image: Any) -> Any:
    return image
