"""Activations from PyTorch models: forward hooks by module name, pooled to one number per neuron and sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym.activations import Activations
from neuronym.errors import ActivationsError, OptionError, counted, no_such, some

if TYPE_CHECKING:
    import torch

__all__ = ["collect", "hooked", "pooled"]

Pool = Literal["mean", "max", "first", "last"]

_ON_CPU, _ELSEWHERE = 8, 64  # samples in a batch; large ones are slow on a CPU


def collect(
    model: torch.nn.Module,
    data: Any,
    *,
    layers: Sequence[str],
    pool: Pool | Callable[[torch.Tensor], torch.Tensor] = "mean",
    tokens: bool = False,
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    forward: Callable[[torch.nn.Module, Any], object] | None = None,
    sample_ids: Iterable[object] | None = None,
) -> dict[str, Activations]:
    """Run a model over data and keep what the modules named give, all in one pass, in memory.

    Parameters
    ----------
    model : torch.nn.Module
        It is run in eval mode without gradients, and left as it was.
    data : tensor or array (n_samples, ...), a Dataset with a length, or an iterable of batches such as a DataLoader
        A batch is a tensor, a pair whose first part is the input, a dict of keyword arguments as of Hugging Face
        (``labels`` is left out), or anything that ``forward`` takes.
    layers : names of modules, as ``model.named_modules()`` gives them
    pool : how maps (B, C, H, W) and (B, C, T, H, W) become (B, C): ``"mean"`` (the paper's average pooling),
        ``"max"``; how sequences (B, T, D) become (B, D): also ``"first"`` and ``"last"``; or a function of the output
        An ``attention_mask`` (B, T) in the batch says which tokens count.
    tokens : each token of a sequence is a sample, with the id ``sample#token``
    device : where to run; by default where the model is
    batch_size : for a tensor, an array or a Dataset; 8 on a CPU, 64 elsewhere
    forward : what to call in place of ``model(batch)``: a function of the model and the batch as it comes
    sample_ids : one per sample

    Returns
    -------
    dict of layer name to Activations, float32, (n_samples, n_neurons)

    Raises
    ------
    UnknownNameError
        If the model has no such module.
    ActivationsError
        If a module is not called, is called several times in a pass, or gives what cannot be pooled.
    OptionError
        If an option is out of its range, or a DataLoader shuffles: then nobody knows which sample is which.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> collect(model, torch.zeros(10, 3, 8, 8), layers=["1"])["1"]
    Activations(10 samples × 4 neurons, float32)
    """
    try:
        import torch
    except ImportError as error:
        raise OptionError("collect needs PyTorch: pip install 'neuronym[torch]'") from error
    if isinstance(layers, str) or not layers:
        raise OptionError(f"layers must be a list of names of modules, not {layers!r}")
    if not callable(pool) and pool not in ("mean", "max", "first", "last"):
        raise OptionError(f"pool must be 'mean', 'max', 'first', 'last' or a function, not {pool!r}")
    home = next((p.device for p in model.parameters()), torch.device("cpu"))
    place = home if device is None else torch.device(device)
    size = batch_size if batch_size is not None else _ON_CPU if place.type == "cpu" else _ELSEWHERE
    parts: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in layers}
    numbers: list[tuple[int, int]] = []  # sample and token of each row, for tokens
    n_samples = 0
    with _resting(model, None if place == home else (home, place)), hooked(model, layers) as caught, torch.no_grad():
        for batch in _batches(data, size):
            caught.clear()
            _run(model, _moved(batch, place), forward)
            rows = _rows(batch, caught, layers)
            for layer in layers:
                output = _only_output(layer, caught)
                if output.shape[:1] != (rows,):
                    raise ActivationsError(
                        f"layer {layer!r} gives {tuple(output.shape)} for {counted(rows, 'sample')}: the samples "
                        "must come first, so collect a module whose output does"
                    )
                taken, where = pooled(output, pool, layer, tokens=tokens, mask=_mask(batch))
                parts[layer].append(taken.float().cpu().numpy())
                if layer == layers[0]:
                    first = where
                    numbers += [(n_samples + row, token) for row, token in where]
                elif where != first:
                    raise ActivationsError(
                        f"layers {layers[0]!r} and {layer!r} differ in tokens: collect one at a time"
                    )
            n_samples += rows
    if not n_samples:
        raise ActivationsError("there are no samples: data gives no batch")
    ids = _ids(sample_ids, n_samples, numbers if tokens else None)
    return {layer: Activations(np.concatenate(parts[layer]), sample_ids=ids) for layer in layers}


@contextmanager
def _resting(model: torch.nn.Module, move: tuple[torch.device, torch.device] | None) -> Iterator[None]:
    """Put a model into eval mode, and from one device to another if asked; leave every module as it was."""
    modes = {module: module.training for module in model.modules()}
    try:
        if move is not None:
            model.to(move[1])
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        if move is not None:
            model.to(move[0])


@contextmanager
def hooked(model: torch.nn.Module, layers: Sequence[str]) -> Iterator[dict[str, list[object]]]:
    """Catch the outputs of the modules named, by name, until the end of the block; the hooks are always removed.

    Raises
    ------
    UnknownNameError
        If the model has no such module; the message lists near names.
    """
    modules = dict(model.named_modules())
    caught: dict[str, list[object]] = {}
    handles = []

    def catch(layer: str) -> Callable[[object, object, object], None]:
        return lambda _module, _inputs, output: caught.setdefault(layer, []).append(output)

    try:
        for layer in layers:
            if layer not in modules:
                raise no_such("layer", layer, [name for name in modules if name])
            handles.append(modules[layer].register_forward_hook(catch(layer)))
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def pooled(
    output: torch.Tensor,
    pool: Pool | Callable[[torch.Tensor], torch.Tensor],
    layer: str,
    *,
    tokens: bool = False,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """One number per neuron: (B, C), and, for tokens, the sample and token of each row.

    Raises
    ------
    ActivationsError
        If the output has a shape that the pooling is not for.
    """
    shape = tuple(output.shape)
    if tokens:
        if output.ndim != 3:
            raise ActivationsError(f"layer {layer!r} gives {shape}: tokens=True needs a sequence (B, T, D)")
        kept = _counted_tokens(output, mask)
        return output[kept], [(int(row), int(token)) for row, token in kept.nonzero().tolist()]
    if callable(pool):
        given = pool(output)
        if given.ndim != 2 or given.shape[0] != shape[0]:
            raise ActivationsError(f"pool makes {tuple(given.shape)} of {shape} for layer {layer!r}: (B, C) is needed")
        return given, []
    if output.ndim in (1, 2):
        return output.reshape(shape[0], -1), []
    if output.ndim == 3:
        return _pooled_sequence(output, pool, _counted_tokens(output, mask)), []
    if output.ndim in (4, 5) and pool in ("mean", "max"):
        flat = output.flatten(2)
        return (flat.mean(2) if pool == "mean" else flat.amax(2)), []
    raise ActivationsError(f"layer {layer!r} gives {shape}, which pool={pool!r} is not for: give a function as pool")


def _counted_tokens(output: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Which tokens of a sequence count: bool, (B, T)."""
    import torch

    if mask is None or tuple(mask.shape) != tuple(output.shape[:2]):
        return torch.ones(output.shape[:2], dtype=torch.bool, device=output.device)
    return mask.to(output.device).bool()


def _pooled_sequence(output: torch.Tensor, pool: str, kept: torch.Tensor) -> torch.Tensor:
    import torch

    if not bool(kept.any(1).all()):
        raise ActivationsError("a sequence has no token that counts: its attention_mask is all 0")
    inside = kept.unsqueeze(2)
    if pool == "mean":
        return (output * inside).sum(1) / inside.sum(1)
    if pool == "max":
        return output.masked_fill(~inside, -torch.inf).amax(1)
    places = torch.arange(kept.shape[1], device=kept.device)
    place = torch.where(kept, places, -1).amax(1) if pool == "last" else torch.where(kept, places, 2**30).amin(1)
    return output[torch.arange(len(output), device=output.device), place]


def _only_output(layer: str, caught: Mapping[str, list[object]]) -> torch.Tensor:
    """The one tensor that a module gave in a pass."""
    import torch

    found = caught.get(layer, [])
    if len(found) != 1:
        how = "not called" if not found else f"called {len(found)} times"
        raise ActivationsError(
            f"layer {layer!r} is {how} in a pass: collect a module that is called once, such as the one around it"
        )
    output = found[0]
    if isinstance(output, tuple | list) and output:
        output = output[0]
    elif isinstance(output, Mapping):
        tensors = [key for key, value in output.items() if isinstance(value, torch.Tensor)]
        key = "last_hidden_state" if "last_hidden_state" in tensors else tensors[0] if len(tensors) == 1 else None
        if key is None:
            raise ActivationsError(
                f"layer {layer!r} gives a dict of {some(tensors)}: collect a module that gives one tensor"
            )
        output = output[key]
    if not isinstance(output, torch.Tensor):
        raise ActivationsError(f"layer {layer!r} gives {type(output).__name__}: collect a module that gives a tensor")
    return output


def _batches(data: Any, size: int) -> Iterator[Any]:
    import torch

    if size < 1:
        raise OptionError(f"batch_size must be a whole number of at least 1, not {size!r}")
    if isinstance(data, np.ndarray | torch.Tensor):
        for start in range(0, len(data), size):
            yield torch.as_tensor(data[start : start + size])
        return
    if isinstance(data, torch.utils.data.DataLoader):
        if isinstance(data.sampler, torch.utils.data.RandomSampler):
            raise OptionError("the DataLoader shuffles, so samples would lose their order: make it with shuffle=False")
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, list | tuple):
        data = torch.utils.data.DataLoader(data, batch_size=size)
    yield from data


def _run(model: torch.nn.Module, batch: Any, forward: Callable[[torch.nn.Module, Any], object] | None) -> None:
    if forward is not None:
        forward(model, batch)
    elif isinstance(batch, Mapping):
        model(**{key: value for key, value in batch.items() if key != "labels"})
    else:
        model(batch[0] if isinstance(batch, tuple | list) else batch)


def _moved(batch: Any, place: torch.device) -> Any:
    import torch

    if isinstance(batch, torch.Tensor):
        return batch.to(place)
    if isinstance(batch, Mapping):
        return {key: _moved(value, place) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return [_moved(part, place) for part in batch]
    return batch


def _mask(batch: Any) -> torch.Tensor | None:
    return batch.get("attention_mask") if isinstance(batch, Mapping) else None


def _rows(batch: Any, caught: Mapping[str, list[object]], layers: Sequence[str]) -> int:
    """How many samples a batch holds; where it does not say, as many as the first layer gives rows."""
    first: Any = next(iter(batch.values())) if isinstance(batch, Mapping) and batch else batch
    while isinstance(first, tuple | list) and first:
        first = first[0]
    shape: Any = getattr(first, "shape", ())
    return int(shape[0]) if len(shape) else int(_only_output(layers[0], caught).shape[0])


def _ids(
    sample_ids: Iterable[object] | None, n_samples: int, numbers: list[tuple[int, int]] | None
) -> list[str] | None:
    """Sample ids, checked; those of tokens where ``numbers`` gives the sample and token of each row."""
    listed = None if sample_ids is None else [str(i) for i in sample_ids]
    if listed is not None and len(listed) != n_samples:
        raise ActivationsError(
            f"{counted(len(listed), 'sample id')} for {counted(n_samples, 'sample')}: one each is needed"
        )
    if numbers is None:
        return listed
    return [f"{sample if listed is None else listed[sample]}#{token}" for sample, token in numbers]
