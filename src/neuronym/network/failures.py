"""Errors of the user's own code, a model, data or a function, turned into one line that says where they happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from traceback import walk_tb
from typing import TYPE_CHECKING

from neuronym._util.messages import some
from neuronym.errors import InputError, NeuronymError

if TYPE_CHECKING:
    import torch

__all__ = ["current_samples", "on_samples", "reason", "users_code"]

_SHOWN = 8  # sample ids in a message: a batch on a CPU
_SAMPLES: ContextVar[str] = ContextVar("samples", default="these samples")


@contextmanager
def on_samples(ids: Sequence[object]) -> Iterator[None]:
    """Name the samples of a batch in the errors of ``users_code``, for the duration of a block.

    Parameters
    ----------
    ids : sequence
        The ids of the samples, or their numbers.
    """
    token = _SAMPLES.set(f"sample{'' if len(ids) == 1 else 's'} {some(map(str, ids), _SHOWN)}")
    try:
        yield
    finally:
        _SAMPLES.reset(token)


def current_samples() -> str:
    """Return how messages name the samples of the current batch."""
    return _SAMPLES.get()


@contextmanager
def users_code(what: str, kind: type[InputError], model: torch.nn.Module | None = None) -> Iterator[None]:
    """Turn any error of the user's own code into one of ours that names the samples and, if known, the layer.

    Parameters
    ----------
    what : str
        What is run, for the message.
    kind : type of InputError
        The error to raise.
    model : torch.nn.Module, optional
        The model that is run, to find the layer in which the error was raised.

    Raises
    ------
    InputError
        If an error other than ours or a ``MemoryError`` is raised in the block.
    """
    try:
        yield
    except (NeuronymError, MemoryError):
        raise
    except Exception as error:  # what a user's code may raise has no bounds
        layer = None if model is None else _failed_layer(model, error)
        where = f" in layer {layer!r}" if layer else ""
        raise kind(f"{what} failed on {current_samples()}{where} ({reason(error)})") from error


def reason(error: BaseException) -> str:
    """Return the type and the first line of an error; for one from a process of a DataLoader, those of its cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "DataLoader worker process" in lines[0] and len(lines) > 1:
        return lines[-1]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _failed_layer(model: torch.nn.Module, error: BaseException) -> str | None:
    """Return the name of the innermost module of a model that was running when an error was raised."""
    from neuronym.network.hooks import modules_by_name

    names = {id(module): name for name, module in reversed(modules_by_name(model).items())}
    found = None
    for frame, _ in walk_tb(error.__traceback__):
        found = names.get(id(frame.f_locals.get("self")), found)
    return found
