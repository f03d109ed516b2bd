"""What the commands that run a model share."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from neuronym._util.files import first_line, reading
from neuronym.data.hierarchy import Hierarchy
from neuronym.errors import FileError, InputError, OptionError

__all__ = ["MODEL", "MODEL_ERRORS", "WEIGHTS", "class_names", "keep_memory", "listed", "need_torch", "told"]

MODEL_ERRORS = (RuntimeError, IndexError, TypeError, ValueError, KeyError, AssertionError)

MODEL = Annotated[
    str, typer.Option(help="efficientnet-lite0, torchvision:NAME, timm:NAME, hf:NAME or package.module:function.")
]
WEIGHTS = Annotated[Path | None, typer.Option(help="A state dict to load: .safetensors, or of torch.save.")]


def listed(text: str | None) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def class_names(path: Path | None) -> list[str] | None:
    """The names of a model's outputs, one a line, WordNet's ids in words.

    Raises
    ------
    FileError
        If the file cannot be read, or has an empty line.
    """
    if path is None:
        return None
    with reading(path, "class names"):
        names = path.read_text(encoding="utf-8").splitlines()
    if not all(name.strip() for name in names):
        raise FileError(f"cannot read class names from {str(path)!r}: one name in each line is expected")
    readable = Hierarchy.imagenet().readable(name.strip() for name in names)
    return [readable[name.strip()] for name in names]


def told(run: Callable[..., Any], model: Any, *arguments: Any, **options: Any) -> Any:
    """Run, and tell in one line what a model raises on samples that it cannot take."""
    try:
        return run(model, *arguments, **options)
    except InputError:
        raise
    except MODEL_ERRORS as error:
        raise OptionError(
            f"the model cannot take these samples ({type(error).__name__}: {first_line(error)})"
        ) from error


def need_torch() -> None:
    """Refuse where PyTorch is missing."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise OptionError("this needs PyTorch: pip install 'neuronym[torch]'") from error


def keep_memory() -> None:
    """Let glibc keep freed memory: giving it back after every layer costs up to half of a pass on a CPU."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another libc
        return
    mallopt(-4, 0)  # M_MMAP_MAX: no block of its own for what is large
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
