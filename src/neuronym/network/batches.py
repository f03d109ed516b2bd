"""Batches of samples for a PyTorch model, from whatever holds the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuronym._util.files import first_line
from neuronym.errors import InputError, NeuronymError, OptionError

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

    if isinstance(getattr(data, "n_samples", None), int):
        return int(data.n_samples)
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
            part = data[start : start + size]
            yield Batch(torch.as_tensor(np.array(part) if isinstance(part, np.ndarray) else part), len(part))
        return
    if isinstance(data, torch.utils.data.DataLoader):
        _refuse_disorder(data)
    elif hasattr(data, "__getitem__") and length(data) is not None:
        rest: Any = _Errors(data, range(samples, len(data)))
        for batch in torch.utils.data.DataLoader(rest, batch_size=size, num_workers=workers, collate_fn=_together):
            if isinstance(batch, InputError):
                raise batch
            yield batch
        return
    passed = 0
    for number, inputs in enumerate(data):
        batch = Batch(inputs, _n_samples(inputs))
        if number >= done and (passed >= samples or batch.n_samples is None):
            yield batch
            continue
        passed += batch.n_samples or 0
        if passed > samples:
            raise OptionError(
                f"a batch ends at sample {passed} where an earlier run ended at {samples}: give batches of the same "
                "size to go on with it"
            )


def _refuse_disorder(loader: torch.utils.data.DataLoader[Any]) -> None:
    """Raise where a DataLoader may give samples in another order than its Dataset, or not all of them."""
    import torch

    if isinstance(loader.dataset, torch.utils.data.IterableDataset):
        return
    sampler, by_batch = loader.sampler, loader.batch_sampler
    plain = by_batch is None
    if type(by_batch) is torch.utils.data.BatchSampler:  # the loader's own, or one that was given
        sampler, plain = by_batch.sampler, not by_batch.drop_last
    if type(sampler) is not torch.utils.data.SequentialSampler or not plain:
        raise OptionError(
            "the DataLoader shuffles, or may leave samples out, so nobody would know which is which: make it with "
            "shuffle=False, drop_last=False and no sampler"
        )


class _Errors:
    """A part of a Dataset that gives its errors as items, so that they come from another process as they are."""

    def __init__(self, data: Any, places: range) -> None:
        self.data, self.places = data, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Any:
        try:
            return self.data[self.places[place]]
        except InputError as error:
            return type(error)(str(error))


def _together(items: list[Any]) -> Batch | InputError:
    """One batch of items; those that are None are left out."""
    import torch

    for item in items:
        if isinstance(item, InputError):
            return item
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
    """Run a model on a batch.

    Raises
    ------
    OptionError
        If the model itself raises an error; that of ``forward``, a function of the user's, stays as it is.
    """
    if forward is not None:
        forward(model, inputs)
        return
    try:
        if isinstance(inputs, Mapping):
            model(**{key: value for key, value in inputs.items() if key != "labels"})
        else:
            model(inputs[0] if isinstance(inputs, tuple | list) else inputs)
    except NeuronymError:  # of a hook
        raise
    except (RuntimeError, IndexError, TypeError, ValueError, KeyError, AssertionError) as error:
        raise OptionError(
            f"the model cannot take these samples ({type(error).__name__}: {first_line(error)})"
        ) from error


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
    first = inputs[0] if isinstance(inputs, tuple | list) and inputs else inputs
    return first.get("attention_mask") if isinstance(first, Mapping) else None
