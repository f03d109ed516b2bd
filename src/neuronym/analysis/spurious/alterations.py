"""Alterations of a photo: each is called with a Pillow image and a random generator, and returns an image."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from neuronym._util.fonts import font_for, open_font
from neuronym.errors import FileError, OptionError
from neuronym.io.images import open_image
from neuronym.io.sources.folders import image_files
from neuronym.types import PathLike

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Blur", "Border", "Cast", "Jpeg", "Patch", "Text"]

Place = Literal["centre", "random", "tiled"]


@dataclass(frozen=True)
class Text:
    """A text watermark, in any script that the font supports.

    Parameters
    ----------
    text : str
        One line of printable text.
    font : str or Path, optional
        A font file; by default the first installed font that has all glyphs of the text.
    size : float, default 0.16
        The font size, as a share of the image's shorter side; reduced if the text would be too wide.
    colour : str, default "white"
        The name of a colour, or ``#rrggbb``.
    opacity : float, default 0.5
        The opacity, above 0 (invisible) and at most 1.
    place : {"centre", "random", "tiled"}, default "centre"
        Where the text is put; ``"tiled"`` repeats it all over the image.
    angle : float, default 0
        The rotation in degrees, counter-clockwise.

    Raises
    ------
    OptionError
        If the font lacks a glyph of the text, or an option is out of range.
    """

    text: str
    font: PathLike | None = None
    size: float = 0.16
    colour: str = "white"
    opacity: float = 0.5
    place: Place = "centre"
    angle: float = 0.0

    def __post_init__(self) -> None:
        _check_share("size", self.size)
        _check_share("opacity", self.opacity)
        _check_place(self.place)
        _rgb(self.colour)
        if not isinstance(self.text, str) or not self.text.isprintable():
            raise OptionError(f"text must be one line of printable characters, not {self.text!r}")
        object.__setattr__(self, "font", font_for(self.text, self.font))

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        mark = self._mark(image.size)
        return _paste(image, mark, self.place, rng)

    def _mark(self, size: tuple[int, int]) -> Image:
        from PIL import Image, ImageDraw

        height = max(1, round(self.size * min(size)))
        font = open_font(str(self.font), height)
        max_width = 0.96 * size[0]
        width = font.getlength(self.text)
        if width > max_width:
            font = open_font(str(self.font), max(1, int(height * max_width / width)))
        left, top, right, bottom = font.getbbox(self.text, anchor="ls")
        mark = Image.new("L", (max(1, round(right - left)), max(1, round(bottom - top))), 0)
        ImageDraw.Draw(mark).text((-left, -top), self.text, fill=255, font=font, anchor="ls")
        if self.angle:
            mark = mark.rotate(self.angle, Image.Resampling.BICUBIC, expand=True)
        coloured = Image.new("RGBA", mark.size, _rgb(self.colour))
        coloured.putalpha(mark.point([round(value * self.opacity) for value in range(256)]))
        return coloured


@dataclass(frozen=True)
class Patch:
    """An image pasted on the photo, such as a logo, or an image drawn at random from a folder for each photo.

    Parameters
    ----------
    image : str or Path
        An image file, whose transparency is kept, or a folder of images.
    size : float, default 0.3
        The image's longer side, as a share of the photo's shorter side.
    opacity : float, default 1
        The opacity, above 0 (invisible) and at most 1.
    place : {"centre", "random", "tiled"}, default "random"
        Where the image is put; ``"tiled"`` repeats it all over the photo.

    Raises
    ------
    OptionError
        If an option is out of range.
    FileError
        If there is no such file, or the folder contains no images.
    """

    image: PathLike
    size: float = 0.3
    opacity: float = 1.0
    place: Place = "random"

    def __post_init__(self) -> None:
        _check_share("size", self.size)
        _check_share("opacity", self.opacity)
        _check_place(self.place)
        for path in self.files:
            _open_with_alpha(path)

    @cached_property
    def files(self) -> list[str]:
        """The paths of the image, or of all images in the folder."""
        root = Path(self.image)
        if not root.is_dir():
            return [str(root)]
        found = [str(root / name) for name in image_files(root)]
        if not found:
            raise FileError(f"there are no images in {str(self.image)!r}")
        return found

    def digest(self) -> str:
        """Hash the contents of the image files.

        Returns
        -------
        str
            The hash in hexadecimal.
        """
        content_hash = hashlib.blake2b(digest_size=8)
        for path in self.files:
            content_hash.update(Path(path).read_bytes())
        return content_hash.hexdigest()

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        from PIL.Image import Resampling

        files = self.files
        patch = _open_with_alpha(files[int(rng.integers(len(files)))])
        scale = self.size * min(image.size) / max(patch.size)
        width, height = (max(1, round(side * scale)) for side in patch.size)
        mark = patch.resize((width, height), Resampling.LANCZOS)
        mark.putalpha(mark.getchannel("A").point([round(value * self.opacity) for value in range(256)]))
        return _paste(image, mark, self.place, rng)


@dataclass(frozen=True)
class Border:
    """A border painted over the edge of the photo.

    Parameters
    ----------
    width : float, default 0.06
        The width, as a share of the photo's shorter side; at most 0.5.
    colour : str, default "black"
        The name of a colour, or ``#rrggbb``.
    """

    width: float = 0.06
    colour: str = "black"

    def __post_init__(self) -> None:
        _check_share("width", self.width, 0.5)
        _rgb(self.colour)

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:  # noqa: ARG002
        from PIL import Image

        edge = max(1, round(self.width * min(image.size)))
        framed = Image.new("RGB", image.size, _rgb(self.colour))
        inner = (edge, edge, max(edge, image.width - edge), max(edge, image.height - edge))
        framed.paste(image.crop(inner), inner[:2])
        return framed


@dataclass(frozen=True)
class Cast:
    """A colour cast: the photo blended with one colour.

    Parameters
    ----------
    colour : str, default "#ff9020"
        The name of a colour, or ``#rrggbb``.
    strength : float, default 0.3
        The share of the colour, above 0 (the photo unchanged) and at most 1 (the colour alone).
    """

    colour: str = "#ff9020"
    strength: float = 0.3

    def __post_init__(self) -> None:
        _check_share("strength", self.strength)
        _rgb(self.colour)

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:  # noqa: ARG002
        from PIL import Image

        return Image.blend(image, Image.new("RGB", image.size, _rgb(self.colour)), self.strength)


@dataclass(frozen=True)
class Blur:
    """Gaussian blur.

    Parameters
    ----------
    radius : float, default 0.02
        The standard deviation, as a share of the photo's shorter side.
    """

    radius: float = 0.02

    def __post_init__(self) -> None:
        _check_share("radius", self.radius)

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:  # noqa: ARG002
        from PIL import ImageFilter

        return image.filter(ImageFilter.GaussianBlur(self.radius * min(image.size)))


@dataclass(frozen=True)
class Jpeg:
    """JPEG compression of low quality.

    Parameters
    ----------
    quality : int, default 10
        The JPEG quality, from 1 (worst) to 95.
    """

    quality: int = 10

    def __post_init__(self) -> None:
        if not isinstance(self.quality, int) or not 1 <= self.quality <= 95:
            raise OptionError(f"quality must be a whole number from 1 to 95, not {self.quality!r}")

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:  # noqa: ARG002
        from PIL import Image

        compressed = io.BytesIO()
        image.save(compressed, "JPEG", quality=self.quality)
        with Image.open(compressed) as opened:
            return opened.convert("RGB")


@lru_cache(maxsize=64)
def _open_with_alpha(path: str) -> Image:
    return open_image(path, "RGBA")


def _paste(image: Image, mark: Image, place: Place, rng: np.random.Generator) -> Image:
    """Paste a mark with transparency on an image."""
    from PIL import Image

    layer = Image.new("RGBA", image.size)
    room = (image.width - mark.width, image.height - mark.height)
    if place == "tiled":
        step = (round(1.3 * mark.width) + 1, round(2.5 * mark.height) + 1)
        shift = int(rng.integers(step[0])), int(rng.integers(step[1]))
        for row, y in enumerate(range(-shift[1], image.height, step[1])):
            for x in range(-shift[0] - (row % 2) * step[0] // 2, image.width, step[0]):
                layer.paste(mark, (x, y))
    elif place == "random":
        layer.paste(mark, (int(rng.integers(max(room[0], 0) + 1)), int(rng.integers(max(room[1], 0) + 1))))
    else:
        layer.paste(mark, (room[0] // 2, room[1] // 2))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _check_share(name: str, value: float, highest: float = 1.0) -> None:
    if not isinstance(value, int | float) or not 0 < value <= highest:
        raise OptionError(f"{name} must be a share above 0 and at most {highest:g}, not {value!r}")


def _check_place(place: str) -> None:
    if place not in ("centre", "random", "tiled"):
        raise OptionError(f"place must be 'centre', 'random' or 'tiled', not {place!r}")


def _rgb(colour: str) -> tuple[int, int, int]:
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getcolor(colour, "RGB")  # type: ignore[misc]
    except ValueError:
        raise OptionError(f"there is no colour {colour!r}: give a name such as white, or #rrggbb") from None
    return red, green, blue
