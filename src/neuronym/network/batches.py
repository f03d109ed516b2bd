"""Batches of samples for a PyTorch model, from arrays, tensors, Datasets and DataLoaders."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuronym._util.files import first_line
from neuronym.errors import InputError, NeuronymError, OptionError

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "attention_mask", "batches", "feed", "length", "moved", "taken"]


class Batch(NamedTuple):
    """One batch of samples.

    Parameters
    ----------
    inputs : object
        What the model, or a ``forward`` function, takes; None if every sample was left out.
    n_samples : int or None
        The number of samples of the data in this batch, left-out ones included; None if unknown.
    kept : list of int, optional
        The positions in the batch of the samples in ``inputs``; None if those are all.
    """

    inputs: Any
    n_samples: int | None
    kept: list[int] | None = None


def length(data: Any) -> int | None:
    """Return the number of samples in the data; None if only a pass over it can tell."""
    import torch

    if isinstance(getattr(data, "n_samples", None), int):
        return int(data.n_samples)
    if isinstance(data, torch.utils.data.DataLoader):
        data = data.dataset if isinstance(data.batch_sampler, torch.utils.data.BatchSampler) else iter(())
    elif isinstance(data, list | tuple):
        return None
    return len(data) if hasattr(data, "__getitem__") and hasattr(data, "__len__") else None


def batches(data: Any, size: int, workers: int = 0, samples: int = 0, done: int = 0) -> Iterator[Batch]:
    """Yield batches of samples, from the start or from where an earlier run stopped.

    Parameters
    ----------
    data : array, tensor, Dataset, DataLoader or iterable of batches
        The samples.
    size : int
        The batch size, for data that does not come in batches.
    workers : int, default 0
        The number of processes that load a Dataset.
    samples : int, default 0
        The number of samples to skip, done by an earlier run.
    done : int, default 0
        The number of batches to skip, for an iterable whose batches do not say how many samples they have.

    Yields
    ------
    Batch
        The batches, in the order of the data.

    Raises
    ------
    OptionError
        If a DataLoader does not keep the order of its samples, or no batch ends where the earlier run stopped.
    InputError
        If the Dataset raises one for a sample.
    """
    import torch

    if isinstance(data, np.ndarray | torch.Tensor):
        for start in range(samples, len(data), size):
            part = data[start : start + size]
            yield Batch(torch.as_tensor(np.array(part) if isinstance(part, np.ndarray) else part), len(part))
        return
    if isinstance(data, torch.utils.data.DataLoader):
        _refuse_disorder(data)
    elif hasattr(data, "__getitem__") and length(data) is not None:
        rest: Any = _ErrorsAsItems(data, range(samples, len(data)))
        for batch in torch.utils.data.DataLoader(rest, batch_size=size, num_workers=workers, collate_fn=_collate):
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
                f"no batch ends at sample {samples}, where the earlier run stopped (the next ends at {passed}): use "
                "the same batch size to resume it"
            )


def _refuse_disorder(loader: torch.utils.data.DataLoader[Any]) -> None:
    """Raise an error if a DataLoader may reorder the samples of its Dataset, or drop some."""
    import torch

    if isinstance(loader.dataset, torch.utils.data.IterableDataset):
        return
    sampler, by_batch = loader.sampler, loader.batch_sampler
    plain = by_batch is None
    if type(by_batch) is torch.utils.data.BatchSampler:  # the default one, or one passed by the user
        sampler, plain = by_batch.sampler, not by_batch.drop_last
    if type(sampler) is not torch.utils.data.SequentialSampler or not plain:
        raise OptionError(
            "the DataLoader shuffles or may drop samples, so activations could not be matched with samples: create it "
            "with shuffle=False, drop_last=False and no sampler"
        )


class _ErrorsAsItems:
    """A part of a Dataset that returns input errors as items, so that they survive a worker process unchanged."""

    def __init__(self, data: Any, places: range) -> None:
        self.data, self.places = data, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Any:
        try:
            return self.data[self.places[place]]
        except InputError as error:
            return type(error)(str(error))


def _collate(items: list[Any]) -> Batch | InputError:
    """Collate items into a batch, leaving out those that are None; return the first error among them, if any."""
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
    """Return the size of the first axis of a batch's first tensor; None if it has none."""
    first: Any = next(iter(inputs.values())) if isinstance(inputs, Mapping) and inputs else inputs
    while isinstance(first, tuple | list) and first:
        first = first[0]
    shape: Any = getattr(first, "shape", ())
    return int(shape[0]) if len(shape) else None


def feed(model: torch.nn.Module, inputs: Any, forward: Callable[[torch.nn.Module, Any], object] | None = None) -> None:
    """Run a model on a batch.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    inputs : tensor, tuple, list or mapping
        The batch: a tensor, a pair whose first part is the input, or keyword arguments (``labels`` is left out).
    forward : callable, optional
        A function of the model and the batch to call instead of the model, for batches of any kind.

    Raises
    ------
    OptionError
        If the model raises an error; errors of ``forward``, the user's own function, are not wrapped.
    """
    if forward is not None:
        forward(model, inputs)
        return
    try:
        if isinstance(inputs, Mapping):
            model(**{key: value for key, value in _with_positions(model, inputs).items() if key != "labels"})
        else:
            model(inputs[0] if isinstance(inputs, tuple | list) else inputs)
    except NeuronymError:  # raised by a hook
        raise
    except (RuntimeError, IndexError, TypeError, ValueError, KeyError, AssertionError) as error:
        raise OptionError(f"the model failed on these samples ({type(error).__name__}: {first_line(error)})") from error


def moved(inputs: Any, place: torch.device) -> Any:
    """Return the batch with its tensors moved to a device."""
    import torch

    if isinstance(inputs, torch.Tensor):
        return inputs.to(place)
    if isinstance(inputs, Mapping):
        return {key: moved(value, place) for key, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        return [moved(part, place) for part in inputs]
    return inputs


def taken(inputs: Any, rows: Sequence[int], n_samples: int) -> Any:
    """Return some of the samples of a batch, in this order; what has no axis of ``n_samples`` is left as it is."""
    import torch

    if isinstance(inputs, torch.Tensor):
        fits = inputs.ndim and len(inputs) == n_samples
        return inputs[torch.as_tensor(rows, device=inputs.device)] if fits else inputs
    if isinstance(inputs, Mapping):
        return {key: taken(value, rows, n_samples) for key, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        return [taken(part, rows, n_samples) for part in inputs]
    return inputs


def attention_mask(inputs: Any, layer: str = "") -> torch.Tensor | None:
    """Return which tokens of a batch count in a layer, of shape (B, T); None if all do.

    A layer of a decoder has the mask of the decoder's own inputs, if the batch holds them, and one of images has none.
    """
    import torch

    first = inputs[0] if isinstance(inputs, tuple | list) and inputs else inputs
    if not isinstance(first, Mapping):
        return None
    parts = layer.split(".")
    if "decoder" in parts and any(str(key).startswith("decoder_") for key in first):
        mask = first.get("decoder_attention_mask")
    elif any(part.startswith(("vision", "visual", "image")) for part in parts) and "pixel_values" in first:
        mask = None
    else:
        mask = first.get("attention_mask")
    return mask if isinstance(mask, torch.Tensor) and mask.ndim == 2 else None


#: Names of embeddings of positions that are counted from the first token, padding included.
_POSITIONS = ("wpe", "position_embedding", "position_embeddings", "positions_embed", "embed_positions", "pos_emb")


def _with_positions(model: torch.nn.Module, inputs: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Add the positions of tokens after padding on the left, for a model that would count the padding too."""
    import torch

    mask = inputs.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or not mask.shape[1] or bool(mask[:, 0].all()):
        return inputs
    if "position_ids" in inputs or "position_ids" not in inspect.signature(model.forward).parameters:
        return inputs
    for name, module in model.named_modules():
        counts = isinstance(module, torch.nn.Embedding) and module.padding_idx is None
        if counts and name.rpartition(".")[2] in _POSITIONS:
            return {**inputs, "position_ids": (mask.long().cumsum(1) - 1).clamp_min(0)}
    return inputs
