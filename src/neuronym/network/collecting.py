"""Activations from PyTorch models: forward hooks by module name, pooled to one number per neuron and sample."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted
from neuronym._util.parallel import progress_bar
from neuronym.data.activations import Activations
from neuronym.data.ids import as_ids, parent
from neuronym.errors import ActivationsError, OptionError
from neuronym.io.zarr_store import LayerWriter, check_widths
from neuronym.network.batches import Batch, attention_mask, batches, feed, length, moved
from neuronym.network.hooks import capture_outputs, eval_mode, only_output
from neuronym.network.pooling import POOLS, pool_output
from neuronym.types import PathLike, Pool

if TYPE_CHECKING:
    import torch

__all__ = ["collect"]

Precision = Literal["float32", "bfloat16", "float16"]

_ON_CPU, _ELSEWHERE = 8, 64  # samples in a batch; large ones are slow on a CPU


def collect(
    model: torch.nn.Module,
    data: Any,
    *,
    layers: Sequence[str],
    out: PathLike | None = None,
    pool: Pool | Callable[[torch.Tensor], torch.Tensor] = "mean",
    tokens: bool = False,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    batch_size: int | None = None,
    workers: int = 0,
    forward: Callable[[torch.nn.Module, Any], object] | None = None,
    sample_ids: Iterable[object] | None = None,
    clusters: Iterable[object] | None = None,
    names: Mapping[str, Sequence[int | str]] | None = None,
    about: Mapping[str, object] | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> dict[str, Activations]:
    """Run a model over data and keep what the modules named give, all in one pass.

    With ``out``, activations are written to a Zarr store as they come, and memory does not grow with the number of
    samples. A run that was stopped goes on where it was when it is called again in the same way; a finished one is
    opened. The settings are kept in the store, a digest of the model's weights and of the sample ids among them, and
    a call with others is refused.

    Parameters
    ----------
    model : torch.nn.Module
        It is run in eval mode without gradients, and left as it was.
    data : tensor or array (n_samples, ...), a Dataset with a length, or an iterable of batches such as a DataLoader
        A batch is a tensor, a pair whose first part is the input, a dict of keyword arguments as of Hugging Face
        (``labels`` is left out), or anything that ``forward`` takes. A sample that a Dataset gives as None is left
        out, and its id stands in ``skipped`` of the activations.
    layers : names of modules, as ``model.named_modules()`` gives them
    out : a Zarr store, ``.zarr``; without it, activations are kept in memory
    pool : how maps (B, C, H, W) and (B, C, T, H, W) become (B, C): ``"mean"`` (the paper's average pooling),
        ``"max"``; how sequences (B, T, D) become (B, D): also ``"first"`` and ``"last"``; or a function of the output
        An ``attention_mask`` (B, T) in the batch says which tokens count.
    tokens : each token of a sequence is a sample, with the id ``sample#token``
    device : where to run; by default where the model is
    precision : other than ``"float32"``, run in mixed precision (``torch.autocast``); what is kept is float32
    batch_size : for a tensor, an array or a Dataset; 8 on a CPU, 64 elsewhere
    workers : processes that load a Dataset
    forward : what to call in place of ``model(batch)``: a function of the model and the batch as it comes
    sample_ids : one per sample; by default those of the data, where it has such, as ``Images`` does
    clusters : what each sample is a part of, such as the photo of an altered copy; by default those of the data
    names : names of the neurons of a layer, by layer; 0, 1, … by default
    about : what else to keep in the store and to compare: ``model`` and ``preprocessing`` in words
    overwrite : replace a store that is there
    progress : show a bar on standard error

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
    FileError
        If the store cannot be written, or one made in another way is there.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> collect(model, torch.zeros(10, 3, 8, 8), layers=["1"])["1"]
    Activations(10 samples × 4 neurons, float32)
    """
    try:
        import torch
    except ImportError as error:
        raise OptionError("collect needs PyTorch: pip install 'neuronym[torch]'") from error
    _check(layers, pool, precision, batch_size, workers)
    home = next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        place = home if device is None else torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"there is no device {str(device)!r} here: {str(error).splitlines()[0]}") from error
    size = batch_size if batch_size is not None else _ON_CPU if place.type == "cpu" else _ELSEWHERE
    own_ids = getattr(data, "sample_ids", None) if sample_ids is None else sample_ids
    total, ids = length(data), None if own_ids is None else tuple(own_ids)
    ids = as_ids(ids, len(ids or ()) if total is None else total, "data", ActivationsError)
    parts_of = _parts(getattr(data, "clusters", None) if clusters is None else clusters, ids, tokens)
    n_samples = total if ids is None else len(ids)
    sink: LayerWriter | _InMemory = _InMemory(layers, names, tokens)
    if out is not None:
        settings = {
            "weights": _digest(model),
            "pool": pool if isinstance(pool, str) else _named(pool),
            "tokens": tokens,
            "device": place.type,
            "precision": precision,
            "batch_size": getattr(data, "batch_size", None) or size,
            "forward": None if forward is None else _named(forward),
            "sample_ids": None if ids is None else _digest_of_texts(ids),
            "data": _digest_of_data(data),
            "clusters": None if parts_of is None else _digest_of_texts(parts_of.values()),
            "names": {layer: [str(name) for name in listed] for layer, listed in (names or {}).items()},
            "versions": _versions(),
            "model": _named(type(model)),
            **{key: str(value) for key, value in (about or {}).items()},
        }
        sink = LayerWriter(out, layers, settings, n_samples=n_samples, neurons=names, overwrite=overwrite)
    with sink:
        if sink.complete:
            return sink.finish(parts_of)
        cast = nullcontext() if precision == "float32" else torch.autocast(place.type, getattr(torch, precision))
        parts = batches(data, size, workers, sink.samples, sink.batches)
        if progress:
            parts = progress_bar(parts, lambda batch: batch.n_samples or 0, "samples", n_samples, sink.samples)
        with eval_mode(model, None if place == home else (home, place)), capture_outputs(model, layers) as caught:
            for batch in parts:
                caught.clear()
                if batch.kept != []:
                    with torch.no_grad(), cast:
                        feed(model, moved(batch.inputs, place), forward)
                _keep(sink, batch, caught, layers, pool, tokens, ids)
        if n_samples is not None and n_samples != sink.samples:
            told = "there are ids for" if total is None else "it says that it has"
            raise ActivationsError(f"data gave {sink.samples} samples, but {told} {n_samples}")
        return sink.finish(parts_of)


def _check(layers: Sequence[str], pool: object, precision: str, batch_size: int | None, workers: int) -> None:
    if isinstance(layers, str) or not layers:
        raise OptionError(f"layers must be a list of names of modules, not {layers!r}")
    if len(set(layers)) < len(layers):
        raise OptionError(f"a layer is named twice in {list(layers)}")
    if not callable(pool) and pool not in POOLS:
        raise OptionError(f"pool must be 'mean', 'max', 'first', 'last' or a function, not {pool!r}")
    if precision not in ("float32", "bfloat16", "float16"):
        raise OptionError(f"precision must be 'float32', 'bfloat16' or 'float16', not {precision!r}")
    if batch_size is not None and batch_size < 1:
        raise OptionError(f"batch_size must be a whole number of at least 1, not {batch_size!r}")
    if workers < 0:
        raise OptionError(f"workers must be a whole number of at least 0, not {workers!r}")


def _parts(clusters: Iterable[object] | None, ids: Sequence[str] | None, tokens: bool) -> dict[str, str] | None:
    """What each sample is a part of, by its id."""
    if clusters is None:
        return None
    if tokens or ids is None:
        why = "the cluster of a token is its text" if tokens else "clusters need sample_ids"
        raise OptionError(f"clusters cannot be given: {why}")
    listed = [str(cluster) for cluster in clusters]
    if len(listed) != len(ids):
        raise OptionError(f"{counted(len(listed), 'cluster')} for {counted(len(ids), 'sample')}: one each is needed")
    return dict(zip(ids, listed, strict=True))


def _keep(
    sink: LayerWriter | _InMemory,
    batch: Batch,
    caught: Mapping[str, list[object]],
    layers: Sequence[str],
    pool: Pool | Callable[[torch.Tensor], torch.Tensor],
    tokens: bool,
    ids: Sequence[str] | None,
) -> None:
    """Pool what the modules gave for a batch and put it away with the ids of its rows."""
    n_samples = batch.n_samples if batch.n_samples is not None else int(only_output(layers[0], caught).shape[0])
    kept = list(range(n_samples)) if batch.kept is None else batch.kept
    if ids is not None and sink.samples + n_samples > len(ids):
        raise ActivationsError(
            f"{counted(len(ids), 'sample id')} for {sink.samples + n_samples} samples or more: one each is needed"
        )
    if ids is None and len(kept) < n_samples:
        raise ActivationsError("a sample is None and there are no sample_ids to tell which ones are left: give them")
    own = [str(sink.samples + i) if ids is None else ids[sink.samples + i] for i in range(n_samples)]
    parts: dict[str, NDArray[np.float32]] = {}
    rows: list[tuple[int, int]] = []  # sample and token of each row, for tokens
    for layer in layers if kept else ():
        output = only_output(layer, caught)
        if output.shape[:1] != (len(kept),):
            raise ActivationsError(
                f"layer {layer!r} gives {tuple(output.shape)} for {counted(len(kept), 'sample')}: the samples "
                "must come first, so collect a module whose output does"
            )
        taken, where = pool_output(output, pool, layer, tokens=tokens, mask=attention_mask(batch.inputs))
        parts[layer] = taken.float().cpu().numpy()
        if layer != layers[0] and where != rows:
            raise ActivationsError(f"layers {layers[0]!r} and {layer!r} differ in tokens: collect one at a time")
        rows = where
    if tokens:
        named: list[str] | None = [f"{own[kept[sample]]}#{token}" for sample, token in rows]
    else:
        named = None if ids is None else [own[i] for i in kept]
    present = set(kept)
    left_out = [own[i] for i in range(n_samples) if i not in present]
    sink.add(parts, n_samples, named, left_out)


class _InMemory:
    """What ``LayerWriter`` does, without a store."""

    complete, batches = False, 0

    def __init__(self, layers: Sequence[str], names: Mapping[str, Sequence[int | str]] | None, tokens: bool) -> None:
        self._parts: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in layers}
        self._names = names or {}
        self._ids: list[str] = []
        self._skipped: list[str] = []
        self._widths: dict[str, int] = {}
        self._tokens = tokens
        self.samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(
        self,
        parts: Mapping[str, NDArray[np.float32]],
        n_samples: int,
        ids: Sequence[str] | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        check_widths(self._widths, parts)
        for layer, part in parts.items():
            self._parts[layer].append(part)
        self._ids += ids or ()
        self._skipped += skipped
        self.samples += n_samples

    def finish(self, clusters_of: Mapping[str, str] | None = None) -> dict[str, Activations]:
        if not any(self._parts.values()):
            raise ActivationsError("there are no samples: data gives none")
        ids = self._ids or None
        clusters = [parent(i) for i in self._ids] if self._tokens else None
        if clusters_of is not None:
            clusters = [clusters_of[i] for i in self._ids]
        return {
            layer: Activations(
                np.concatenate(parts), self._names.get(layer), sample_ids=ids, skipped=self._skipped, clusters=clusters
            )
            for layer, parts in self._parts.items()
        }


def _named(thing: Any) -> str:
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    return f"{getattr(thing, '__module__', '?')}.{name}"


def _digest(model: torch.nn.Module) -> str:
    """Tells the weights of a model from others: a hash of every parameter and buffer."""
    import torch

    told = hashlib.blake2b(digest_size=16)
    for name, value in model.state_dict().items():
        if isinstance(value, torch.Tensor):
            told.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            told.update(_bytes(value))
    return told.hexdigest()


def _digest_of_data(data: Any) -> str | None:
    """Tells data from other data, where that is cheap: arrays, and what has a ``digest`` of its own."""
    import torch

    if hasattr(data, "digest"):
        return str(data.digest())
    if not isinstance(data, np.ndarray | torch.Tensor):
        return None
    told = hashlib.blake2b(f"{data.dtype} {tuple(data.shape)}".encode(), digest_size=16)
    for batch in batches(data, 1024):  # data may be a map of a file that does not fit in memory
        told.update(_bytes(batch.inputs))
    return told.hexdigest()


def _digest_of_texts(texts: Iterable[str]) -> str:
    return hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _bytes(tensor: torch.Tensor) -> memoryview:
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {package: version(package) for package in ("neuronym", "torch", "zarr")}
