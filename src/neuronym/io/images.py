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
from neuronym.errors import FileError
from neuronym.io.sources.folders import image_files
from neuronym.types import PathLike

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

__all__ = ["Images", "Preprocess", "open_image"]


class Images:
    """A dataset of the images in a folder and its subfolders, in alphabetical order.

    Indexing returns the prepared tensor of an image.

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
        if not self.sample_ids:
            raise FileError(f"there are no images in {str(folder)!r}")
        odd = [name for name in self.sample_ids if any("\ud800" <= char <= "\udfff" for char in name)]
        if odd:
            raise FileError(f"the file name of the image {odd[0]!r} is not valid UTF-8: rename it")

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
            return open_image(self.folder / self.sample_ids[place])
        except FileError:
            if self.skip_unreadable:
                return None
            raise


def open_image(path: PathLike, mode: str = "RGB") -> Image:
    """Read the image in a file.

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
        If it cannot be read.
    """
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # about palettes with transparency and odd metadata: the image is fine
            return image.convert(mode)
    except Exception as error:  # decoders raise errors of many kinds on broken files
        raise FileError(
            f"cannot read the image {str(path)!r} ({first_line(error)}): repair or remove it, or skip such images "
            "with skip_unreadable=True (--skip-unreadable)"
        ) from error


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
