"""Image files as samples for a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym._util.limits import NARROW
from neuronym._util.messages import warn
from neuronym.errors import FileError, OptionError
from neuronym.io.sources.folders import check_names, image_files
from neuronym.types import PathLike

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

__all__ = ["Images", "Preprocess", "convert_image", "open_image"]

_ORIENTATION = 0x0112  # the tag of EXIF and TIFF, and how to turn an image upright for its values
_TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
    8: "ROTATE_90",
}  # fmt: skip
_BITS, _PHOTOMETRIC = 0x0102, 0x0106  # tags of TIFF


class Images:
    """A dataset of the images in a folder and its subfolders, in alphabetical order.

    Indexing returns the prepared tensor of an image. ``image_files`` finds the images, and ``open_image`` reads them. A
    warning names the first image of more than 8 bits whose values use at most 1/16 of the scale, and another the first
    file of several frames or pages, of which only the first is read.

    Parameters
    ----------
    folder : str or Path
        The folder; subfolders are searched too.
    prepare : callable
        Converts a Pillow image in RGB to the model's input, a tensor of shape (C, H, W).
    skip_unreadable : bool, default False
        Return None for an image that cannot be read instead of raising an error that names it.

    Attributes
    ----------
    sample_ids : list of str
        The paths of the images relative to the folder.

    Raises
    ------
    FileError
        If there is no such folder or it contains no images; on access, if an image cannot be read.
    """

    def __init__(
        self, folder: PathLike, prepare: Callable[[Image], torch.Tensor], *, skip_unreadable: bool = False
    ) -> None:
        need("reading images", "torch", ["PIL"])
        self.folder, self.prepare, self.skip_unreadable = Path(folder), prepare, skip_unreadable
        self.sample_ids = image_files(folder)
        self._warned: set[str] = set()  # what was warned of, in each process that loads images
        if not self.sample_ids:
            raise FileError(f"there are no images in {str(folder)!r}")
        check_names(self.sample_ids)

    def digest(self) -> str:
        """Hash the sizes of the files, to distinguish them from others of the same names.

        Returns
        -------
        str
            The hash in hexadecimal.
        """
        sizes = " ".join(str((self.folder / name).stat().st_size) for name in self.sample_ids)
        return hashlib.blake2b(sizes.encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, place: int) -> torch.Tensor | None:
        image = self.image(place)
        return None if image is None else self.prepare(image)

    def image(self, place: int) -> Image | None:
        """Read an image, converted to RGB but not prepared.

        Parameters
        ----------
        place : int
            The index of the image.

        Returns
        -------
        PIL.Image.Image or None
            The image; None if it cannot be read and ``skip_unreadable`` is on.

        Raises
        ------
        FileError
            If it cannot be read and ``skip_unreadable`` is off.
        """
        try:
            image, notes = _open(self.folder / self.sample_ids[place], "RGB")
        except FileError:
            if self.skip_unreadable:
                return None
            raise
        for note in set(notes) - self._warned:
            self._warned.add(note)
            warn(note.format(str(self.folder / self.sample_ids[place])))
        return image


_DARK = (
    "the image {!r} has more than 8 bits but uses at most 1/16 of their range, so it is nearly black, and others may "
    "be too: if such images hold fewer bits than their files, multiply their values (12 bits in a file of 16 by 16)"
)
_FRAMES = (
    "only the first frame or page of {!r} is read, and of others like it: save them as separate files to use each as a "
    "sample"
)


def open_image(path: PathLike, mode: str = "RGB") -> Image:
    """Read the image in a file, upright and in 8 bits.

    The image is turned as its EXIF orientation says. Of an animation or a file of several pages, the first is read.
    Grey values of more than 8 bits are scaled by ``convert_image``. Without an alpha channel in ``mode``, transparency
    is ignored: the colours stored for transparent pixels count.

    Parameters
    ----------
    path : str or Path
        The file.
    mode : str, default "RGB"
        The Pillow mode to convert the image to.

    Returns
    -------
    PIL.Image.Image
        The image.

    Raises
    ------
    FileError
        If it cannot be read, or has grey values without a known scale.
    """
    return _open(path, mode)[0]


def _open(path: PathLike, mode: str) -> tuple[Image, list[str]]:
    """Read the image in a file; return what to warn of."""
    import warnings

    from PIL import Image

    advice = "or skip such images with skip_unreadable=True (--skip-unreadable)"
    try:
        # Warnings are about palettes with transparency and odd metadata: the image is fine.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
            if opened.format == "EPS":  # Pillow would have Ghostscript run it
                raise OptionError("it is PostScript, a program, which is never run: save it as an image")
            opened.load()
            image, dark = _to_8_bits(opened)
            turn = _TURNS.get(_orientation(opened))
            image = image.convert(mode)
            if turn is not None:
                image = image.transpose(Image.Transpose[turn])
            return image, [_DARK] * dark + [_FRAMES] * _has_frames(opened)
    except OptionError as error:
        raise FileError(f"cannot read the image {str(path)!r}: {error}, {advice}") from error
    except Exception as error:  # decoders raise errors of many kinds on broken files
        raise FileError(
            f"cannot read the image {str(path)!r} ({first_line(error)}): repair or remove it, {advice}"
        ) from error


def _orientation(image: Image) -> int:
    """The orientation of an image by its metadata; 1, which is upright, if they cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # parsers raise errors of many kinds on broken metadata: the image itself is fine
        return 1


def _has_frames(image: Image) -> bool:
    """Whether a file has several frames or pages: not the previews and layers of a photo."""
    try:
        return image.format not in ("MPO", "PSD") and getattr(image, "is_animated", False)
    except Exception:  # a broken second frame, while the first was read
        return True


def convert_image(image: Image, mode: str = "RGB") -> Image:
    """Convert a Pillow image of any mode to a mode of 8 bits.

    Pillow clips grey values at 255; here they are scaled, in the same way for all images: 16-bit values by 1/257, and
    32-bit integers likewise if all are at most 65535, or else from 0 … 2³¹ − 1. Floating-point values between 0 and 1
    are multiplied by 255, others up to 255 are left as they are, and others up to 65535 are divided by 257.

    Parameters
    ----------
    image : PIL.Image.Image
        The image.
    mode : str, default "RGB"
        The Pillow mode to convert the image to.

    Returns
    -------
    PIL.Image.Image
        The image.

    Raises
    ------
    OptionError
        If grey values are negative, NaN, or floating-point above 65535.
    """
    return _to_8_bits(image)[0].convert(mode)


def _to_8_bits(image: Image) -> tuple[Image, bool]:
    """Convert an image to a mode that Pillow converts as expected; return whether it uses little of its grey scale."""
    from PIL.Image import fromarray

    if image.mode == "La":
        return image.convert("LA"), False
    if image.mode != "F" and not image.mode.startswith("I"):
        return image, False
    tags: Any = getattr(image, "tag_v2", {})  # of TIFF
    values: Any = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= (65535 if image.mode == "F" else 2**31 - 1)):  # or NaN
        raise OptionError(
            f"its grey values range from {low:g} to {high:g}: rescale them to 0 … 1, 0 … 255 or 0 … 65535"
        )
    if image.mode == "F":
        white = 1 if high <= 1 else 255 if high <= 255 else 65535
    elif image.mode == "I":
        white = 65535 if high <= 65535 else 2**31 - 1
    else:
        white = 4095 if tags.get(_BITS) == (12,) else 65535
    grey = np.rint(values * (255 / white)).astype(np.uint8)
    if image.mode != "F" and tags.get(_PHOTOMETRIC) == 0:  # white is zero, which Pillow ignores beyond 8 bits
        grey = 255 - grey
    return fromarray(grey), 0 < 16 * high <= white


def _middle(image: Image) -> Image:
    """Cut off the ends of a long and narrow image, which would be cut off later, but could take all memory enlarged."""
    width, height = (min(side, NARROW * min(image.size)) for side in image.size)
    if (width, height) == image.size:
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


@dataclass(frozen=True)
class Preprocess:
    """Resize an image by bicubic interpolation and normalize each channel: (value in 0 … 255 − mean) / sd.

    Parameters
    ----------
    size : int
        The side of the resulting square, in pixels.
    mean, sd : tuple of (float, float, float)
        The mean and standard deviation of each channel.
    margin : int or None, default None
        Resize the shorter side to this and crop the square from the centre; None resizes the whole image to a square.
    """

    size: int
    mean: tuple[float, float, float]
    sd: tuple[float, float, float]
    margin: int | None = None

    def __call__(self, image: Image) -> torch.Tensor:
        import torch
        from PIL.Image import Resampling

        if self.margin is None:
            image = image.resize((self.size, self.size), Resampling.BICUBIC)
        else:
            image = _middle(image)
            scale = self.margin / min(image.size)
            width, height = (max(self.margin, round(side * scale)) for side in image.size)
            left, top = (width - self.size) // 2, (height - self.size) // 2
            image = image.resize((width, height), Resampling.BICUBIC)
            image = image.crop((left, top, left + self.size, top + self.size))
        values: Any = np.asarray(image, np.float32)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.sd, np.float32)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))

    def __str__(self) -> str:
        cut = "" if self.margin is None else f", the middle of the image with its shorter side at {self.margin}"
        return f"{self.size}×{self.size} bicubic{cut}; (value − {list(self.mean)}) / {list(self.sd)}"
