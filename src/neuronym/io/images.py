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
from neuronym.io.sources import image_files
from neuronym.types import PathLike

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

__all__ = ["Images", "Preprocess", "open_image"]


class Images:
    """The images below a folder as a Dataset, in alphabetical order.

    Parameters
    ----------
    folder : searched with its subfolders
    prepare : makes the tensor that goes into the model, (C, H, W), of an RGB image of Pillow
    skip_unreadable : give None for an image that cannot be read, in place of an error that names it

    Attributes
    ----------
    sample_ids : the paths of the images below the folder

    Raises
    ------
    FileError
        If there is no such folder, it has no images, or, where it is asked for, an image cannot be read.
    """

    def __init__(
        self, folder: PathLike, prepare: Callable[[Image], torch.Tensor], *, skip_unreadable: bool = False
    ) -> None:
        need("reading images", "torch", ["PIL"])
        self.folder, self.prepare, self.skip_unreadable = Path(folder), prepare, skip_unreadable
        self.sample_ids = image_files(folder)
        if not self.sample_ids:
            raise FileError(f"there are no images in {str(folder)!r}")
        odd = [name for name in self.sample_ids if any("\ud800" <= sign <= "\udfff" for sign in name)]
        if odd:
            raise FileError(f"the name of the image {odd[0]!r} is no text in UTF-8: rename it")

    def digest(self) -> str:
        """Tells these files from others of the same names: a hash of their sizes."""
        sizes = " ".join(str((self.folder / name).stat().st_size) for name in self.sample_ids)
        return hashlib.blake2b(sizes.encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, place: int) -> torch.Tensor | None:
        image = self.image(place)
        return None if image is None else self.prepare(image)

    def image(self, place: int) -> Image | None:
        """An image as it is in its file, in RGB; None for one that is unreadable and to be skipped."""
        try:
            return open_image(self.folder / self.sample_ids[place])
        except FileError:
            if self.skip_unreadable:
                return None
            raise


def open_image(path: PathLike, mode: str = "RGB") -> Image:
    """The image in a file, in one of Pillow's modes.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # a palette with transparency, odd metadata: the image is there
            return image.convert(mode)
    except Exception as error:  # decoders raise errors of many kinds on broken files
        raise FileError(
            f"cannot read the image {str(path)!r} ({first_line(error)}): mend or remove it, or leave such images out "
            "with skip_unreadable=True (--skip-unreadable)"
        ) from error


@dataclass(frozen=True)
class Preprocess:
    """Resize an image by bicubic interpolation and scale its values: (value in 0 … 255 − mean) / sd, by channel.

    With ``margin``, the shorter side becomes that and a square of ``size`` is cut from the middle; without, the whole
    image becomes a square.
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
