"""Batches of samples for a PyTorch model, from whatever holds the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuronym.errors import OptionError

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "attention_mask", "batches", "feed", "length", "moved"]


class Batch(NamedTuple):
    """What goes into a model at once."""

    inputs: Any
    n_samples: int | None  # of the data; None where a batch does not tell
    kept: list[int] | None = None  # places in the batch of the samples that are in ``inputs``, where not all are


def length(data: Any) -> int | None:
    """How many samples data holds; None where only a pass can tell."""
    import torch

    if isinstance(data, torch.utils.data.DataLoader):
        data = data.dataset if isinstance(data.batch_sampler, torch.utils.data.BatchSampler) else iter(())
    elif isinstance(data, list | tuple):
        return None
    return len(data) if hasattr(data, "__getitem__") and hasattr(data, "__len__") else None


def batches(data: Any, size: int, workers: int = 0, samples: int = 0, done: int = 0) -> Iterator[Batch]:
    """Batches of data, without the first ``samples`` of it, or, of an iterable, the first ``done`` batches."""
    import torch

    if isinstance(data, np.ndarray | torch.Tensor):
        for start in range(samples, len(data), size):
            part = torch.as_tensor(data[start : start + size])
            yield Batch(part, len(part))
        return
    if isinstance(data, torch.utils.data.DataLoader):
        if isinstance(data.sampler, torch.utils.data.RandomSampler):
            raise OptionError("the DataLoader shuffles, so samples would lose their order: make it with shuffle=False")
    elif length(data) is not None:
        rest: Any = torch.utils.data.Subset(data, range(samples, len(data)))
        yield from torch.utils.data.DataLoader(rest, batch_size=size, num_workers=workers, collate_fn=_together)
        return
    for inputs in islice(data, done, None):
        yield Batch(inputs, _n_samples(inputs))


def _together(items: list[Any]) -> Batch:
    """One batch of items; those that are None are left out."""
    import torch

    kept = [place for place, item in enumerate(items) if item is not None]
    if len(kept) == len(items):
        return Batch(torch.utils.data.default_collate(items), len(items))
    inputs = torch.utils.data.default_collate([items[place] for place in kept]) if kept else None
    return Batch(inputs, len(items), kept)


def _n_samples(inputs: Any) -> int | None:
    first: Any = next(iter(inputs.values())) if isinstance(inputs, Mapping) and inputs else inputs
    while isinstance(first, tuple | list) and first:
        first = first[0]
    shape: Any = getattr(first, "shape", ())
    return int(shape[0]) if len(shape) else None


def feed(model: torch.nn.Module, inputs: Any, forward: Callable[[torch.nn.Module, Any], object] | None = None) -> None:
    """Run a model on a batch."""
    if forward is not None:
        forward(model, inputs)
    elif isinstance(inputs, Mapping):
        model(**{key: value for key, value in inputs.items() if key != "labels"})
    else:
        model(inputs[0] if isinstance(inputs, tuple | list) else inputs)


def moved(inputs: Any, place: torch.device) -> Any:
    """The tensors of a batch on a device."""
    import torch

    if isinstance(inputs, torch.Tensor):
        return inputs.to(place)
    if isinstance(inputs, Mapping):
        return {key: moved(value, place) for key, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        return [moved(part, place) for part in inputs]
    return inputs


def attention_mask(inputs: Any) -> torch.Tensor | None:
    """Which tokens count, (B, T), where a batch says."""
    return inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
