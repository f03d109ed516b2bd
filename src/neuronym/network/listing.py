"""The list of a model's layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neuronym._util.extras import need
from neuronym.errors import OptionError
from neuronym.network.axes import shown_axes
from neuronym.network.batches import feed, home_device, moved, taken
from neuronym.network.hooks import ModuleTrace, original, trace_modules
from neuronym.network.models import LoadedModel, load_model
from neuronym.network.state import global_state
from neuronym.types import PathLike

if TYPE_CHECKING:
    import torch

__all__ = ["layers"]


def layers(
    model: torch.nn.Module | LoadedModel | str,
    *,
    weights: PathLike | None = None,
    shape: Sequence[int] | None = None,
) -> list[ModuleTrace]:
    """List the modules of a model, with the shapes of their outputs for one sample.

    Parameters
    ----------
    model : torch.nn.Module, LoadedModel or str
        The model, or a name for ``load_model``.
    weights : str or Path, optional
        The file of a state dict to load into a model given by name.
    shape : sequence of int, optional
        The shape of one sample, such as (3, 224, 224). Required for a module, and for models that take neither images
        nor texts.

    Returns
    -------
    list of ModuleTrace
        The ``name`` and ``kind`` of each module, the ``shape`` of its output for a batch of one, the number of
        ``calls`` in a forward pass, and the ``axes``: what ``collect`` takes each axis of the output for.

    Raises
    ------
    OptionError
        If the model fails on a sample of this shape, or the shape is missing.

    Examples
    --------
    >>> import torch
    >>> [one.shape for one in layers(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), shape=(3, 8, 8))]
    [(1, 4, 6, 6), (1, 4, 6, 6)]
    """
    need("layers", "torch")
    import torch

    with global_state():
        loaded = load_model(model, weights) if isinstance(model, str) else model
    module = loaded.model if isinstance(loaded, LoadedModel) else loaded
    name = loaded.name if isinstance(loaded, LoadedModel) else type(original(module)).__name__
    if shape is not None:
        samples: list[Any] = [torch.zeros(1, *shape)]
    elif not isinstance(loaded, LoadedModel):
        raise OptionError("shape is missing: a module does not say what it takes, so give the shape of one sample")
    else:
        samples = _samples(loaded)

    def run(number: int = 1) -> None:
        for sample in samples:
            feed(module, moved(taken(sample, [0] * number, 1), home_device(module)))

    try:
        with global_state():
            found = trace_modules(module, run)
            shapes = {one.name: one.shape for one in found if one.shape is not None}
            axes = shown_axes(module, shapes, run)
            return [one._replace(axes=axes.get(one.name)) for one in found]
    except OptionError as error:
        kind = f"{tuple(samples[0].shape)}" if isinstance(samples[0], torch.Tensor) else "text"
        raise OptionError(f"{name} does not take {kind}: {error}; give the shape of one sample (--shape)") from error


def _samples(loaded: LoadedModel) -> list[Any]:
    """Make a text, an image or both, as the model takes them."""
    of_texts = loaded.for_texts()
    samples = [of_texts.prepare(["names for neurons"], return_tensors="pt")] if of_texts.reads_text else []
    if not loaded.reads_text:
        from PIL import Image

        samples.append(loaded.prepare(Image.new("RGB", (256, 256)))[None])
    return samples
