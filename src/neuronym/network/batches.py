"""Batches of samples for a PyTorch model, from arrays, tensors, Datasets and DataLoaders."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuronym.errors import ActivationsError, InputError, OptionError
from neuronym.io.texts import POOLING_MASK
from neuronym.network.failures import current_samples, on_samples, users_code

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "attention_mask", "batches", "feed", "home_device", "is_indexed", "length", "moved", "taken"]


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
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        return None
    with users_code("the length of data", OptionError):
        return len(data)


def batches(
    data: Any,
    size: int,
    workers: int = 0,
    samples: int = 0,
    done: int = 0,
    ids: Sequence[str] | None = None,
    *,
    again: int = 0,
    stop: int | None = None,
) -> Iterator[Batch]:
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
    ids : sequence of str, optional
        The ids of all samples, for messages; by default their numbers.
    again : int, default 0
        The number of samples in the last batch that was done, to yield it again first.
    stop : int, optional
        The number of samples after which to stop, where a batch ends.

    Yields
    ------
    Batch
        The batches, in the order of the data.

    Raises
    ------
    OptionError
        If a DataLoader does not keep the order of its samples, or no batch ends where the earlier run stopped.
    InputError
        If the data raise an error, or samples cannot be made into a batch; the message names them.
    """
    import torch

    if isinstance(data, np.ndarray | torch.Tensor):
        end = len(data) if stop is None else stop
        for start in [*([samples - again] if again else []), *range(samples, end, size)]:
            yield _sliced(data, start, again if start < samples else min(size, end - start), ids)
        return
    if isinstance(data, torch.utils.data.DataLoader):
        _refuse_disorder(data)
    elif is_indexed(data):
        rest: Any = _Rest(data, range(samples - again, len(data) if stop is None else stop), ids)
        own = torch.Generator().manual_seed(torch.initial_seed())  # the global one would be advanced
        places: Any = _places(len(rest), size, again)
        loader: Any = torch.utils.data.DataLoader(
            rest, batch_sampler=places, num_workers=workers, collate_fn=rest.collate, generator=own
        )
        for batch in _each(loader, ids):
            if isinstance(batch, InputError):
                raise batch
            yield batch
        return
    passed = 0
    for number, inputs in enumerate(_each(data, ids)):
        batch = Batch(inputs, _n_samples(inputs))
        if number >= done and (passed >= samples or batch.n_samples is None):
            yield batch
            passed += batch.n_samples or 0
            if stop is not None and passed >= stop:
                return
            continue
        passed += batch.n_samples or 0
        if passed > samples:
            raise OptionError(
                f"no batch ends at sample {samples}, where the earlier run stopped (the next ends at {passed}): use "
                "the same batch size to resume it"
            )
        if again and number + 1 >= done and (passed == samples or batch.n_samples is None):
            yield batch


def _places(n_samples: int, size: int, first: int) -> Iterator[range]:
    """Yield the places of the samples of each batch, of which the first one may have another size."""
    if first:
        yield range(first)
    for start in range(first, n_samples, size):
        yield range(start, min(start + size, n_samples))


def is_indexed(data: Any) -> bool:
    """Whether any batch of the data can be had without those before it."""
    import torch

    if isinstance(data, np.ndarray | torch.Tensor):
        return True
    return (
        not isinstance(data, torch.utils.data.DataLoader) and hasattr(data, "__getitem__") and length(data) is not None
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


class _Rest:
    """A part of a Dataset that returns errors as items, so that they survive a worker process unchanged."""

    def __init__(self, data: Any, places: range, ids: Sequence[str] | None) -> None:
        self.data, self.places, self.ids = data, places, ids

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> tuple[int, Any]:
        number = self.places[place]
        try:
            with on_samples(_named(self.ids, [number])), users_code("data", ActivationsError):
                return number, self.data[number]
        except InputError as error:
            return number, _movable(error)

    def collate(self, items: list[tuple[int, Any]]) -> Batch | InputError:
        """Collate items into a batch, leaving out those that are None; return the first error, if any."""
        import torch

        for _, item in items:
            if isinstance(item, InputError):
                return item
        kept = [place for place, (_, item) in enumerate(items) if item is not None]
        try:
            names = _named(self.ids, [items[place][0] for place in kept])
            with on_samples(names), users_code("making a batch", ActivationsError):
                inputs = torch.utils.data.default_collate([items[place][1] for place in kept]) if kept else None
        except InputError as error:
            return _movable(error)
        return Batch(inputs, len(items), None if len(kept) == len(items) else kept)


def _movable(error: InputError) -> InputError:
    """Return an error that can be sent to another process, without its frames; here it keeps its cause."""
    moved_error = type(error)(str(error))
    moved_error.__cause__ = error.__cause__
    return moved_error


def _named(ids: Sequence[str] | None, places: Sequence[int]) -> list[object]:
    """Return the ids of samples, or the numbers of those that have none."""
    return [ids[place] if ids is not None and place < len(ids) else place for place in places]


def _each(data: Any, ids: Sequence[str] | None) -> Iterator[Any]:
    """Yield what an iterable of batches yields; its errors name the batch."""
    if not hasattr(data, "__iter__"):
        raise OptionError(
            f"data is {type(data).__name__}: give a tensor, an array, a Dataset with a length or an iterable of batches"
        )
    end, number, passed = object(), 0, 0
    size = getattr(data, "batch_size", None)
    width = size if isinstance(size, int) and size > 0 else 1
    with users_code("data", ActivationsError):
        iterator = iter(data)
    while True:
        with (
            on_samples(_named(ids, range(passed, passed + width))),
            users_code(f"batch {number} of data", ActivationsError),
        ):
            inputs = next(iterator, end)
        if inputs is end:
            return
        yield inputs
        number += 1
        passed += (inputs.n_samples if isinstance(inputs, Batch) else _n_samples(inputs)) or 0


def _sliced(data: Any, start: int, size: int, ids: Sequence[str] | None) -> Batch:
    """Return a batch of an array or tensor."""
    import torch

    part = data[start : start + size]
    if isinstance(part, np.ndarray):
        names = _named(ids, range(start, start + len(part)))
        with on_samples(names), users_code("data", ActivationsError):
            part = torch.as_tensor(np.array(part, part.dtype.newbyteorder("=")))
    return Batch(part, len(part))


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
        If the model or ``forward`` raises an error; the message names the layer and the samples.
    """
    if forward is not None:
        with users_code("forward", OptionError, model):
            forward(model, inputs)
        return
    try:
        with users_code("the model", OptionError, model):
            inputs = _as_taken(model, inputs)
            if isinstance(inputs, Mapping):
                named = _with_positions(model, inputs)
                model(**{key: value for key, value in named.items() if key not in ("labels", POOLING_MASK)})
            else:
                model(inputs[0] if isinstance(inputs, tuple | list) else inputs)
    except OptionError as error:
        if error.__cause__ is None:  # raised by a hook
            raise
        raise OptionError(f"{error}{_remedy(model, inputs, error.__cause__)}") from error.__cause__


def _as_taken(model: torch.nn.Module, inputs: Any) -> Any:
    """Return copies of a batch's tensors, so that the model may change them, those of floats in the model's type."""
    import torch

    dtypes = _dtypes(model)
    dtype = dtypes.pop() if len(dtypes) == 1 else None  # a model of several types casts by itself

    def taken(value: torch.Tensor) -> torch.Tensor:
        if dtype is None or dtype == value.dtype or value.dtype not in _floats():
            return value.clone()
        cast = value.to(dtype)
        if torch.finfo(dtype).max < torch.finfo(value.dtype).max and bool((cast.isinf() & ~value.isinf()).any()):
            raise ActivationsError(
                f"{current_samples()} hold values beyond {dtype}, the type of the model's weights: scale them, or use "
                "a model of a wider type, such as model.float()"
            )
        return cast

    return mapped(inputs, taken)


def _floats() -> tuple[torch.dtype, ...]:
    import torch

    return torch.float16, torch.bfloat16, torch.float32, torch.float64


def _dtypes(model: torch.nn.Module) -> set[torch.dtype]:
    """Return the floating-point types of a model's parameters."""
    return {parameter.dtype for parameter in model.parameters()}.intersection(_floats())


def _remedy(model: torch.nn.Module, inputs: Any, error: BaseException | None) -> str:
    """Return what to do about an error of a model, if that is clear."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return ": use a smaller batch_size"
    if any(parameter.is_meta for parameter in model.parameters()):
        return ": weights on the meta device hold no values, so load them and move the model to a real device"
    given: set[torch.dtype] = set()
    mapped(inputs, lambda value: given.add(value.dtype))
    weights = _dtypes(model)
    of_types = re.search(r"\b[dD]?types?\b|not implemented for", str(error)) is not None
    if weights and of_types and (len(weights) > 1 or not given <= weights):
        said = [" and ".join(sorted(str(one).removeprefix("torch.") for one in kinds)) for kinds in (given, weights)]
        remedy = f"the samples to {said[1]}" if len(weights) == 1 else "the model to one type, such as model.float()"
        return f": the samples are {said[0]} and the weights {said[1]}, so convert {remedy}"
    return ""


def home_device(model: torch.nn.Module) -> torch.device:
    """Return the device of a model's first parameter; the CPU for a model without any."""
    import torch

    devices = [parameter.device for parameter in model.parameters()]
    real = [device for device in devices if device.type != "meta"]  # offloaded parameters are on the meta device
    return (real or devices or [torch.device("cpu")])[0]


def mapped(inputs: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Return a batch with its tensors changed by a function."""
    import torch

    if isinstance(inputs, torch.Tensor):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {key: mapped(value, change) for key, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        return [mapped(part, change) for part in inputs]
    return inputs


def moved(inputs: Any, place: torch.device) -> Any:
    """Return the batch with its tensors moved to a device, or copied there, so that the model may change them."""
    return mapped(inputs, lambda value: value.to(place, copy=True))


def taken(inputs: Any, rows: Sequence[int], n_samples: int) -> Any:
    """Return some of the samples of a batch, in this order; what has no axis of ``n_samples`` is left as it is."""
    import torch

    def part(value: torch.Tensor) -> torch.Tensor:
        fits = value.ndim and len(value) == n_samples
        return value[torch.as_tensor(rows, device=value.device)] if fits else value

    return mapped(inputs, part)


def attention_mask(inputs: Any, layer: str = "") -> torch.Tensor | None:
    """Return which tokens of a batch count in a layer, of shape (B, T), by its pooling or attention mask; None if all.

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
        mask = first.get(POOLING_MASK, first.get("attention_mask"))
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
