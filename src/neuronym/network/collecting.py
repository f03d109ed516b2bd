"""Activations from PyTorch models: forward hooks by module name, pooled to one number per neuron and sample."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from neuronym._util.extras import need
from neuronym._util.files import check_target, kind_of
from neuronym._util.messages import counted
from neuronym._util.parallel import progress_bar
from neuronym.data.activations import Activations
from neuronym.data.ids import as_ids, parent
from neuronym.errors import ActivationsError, OptionError
from neuronym.io.texts import save_tokens
from neuronym.io.zarr_store import LayerWriter, check_widths
from neuronym.network.batches import Batch, attention_mask, batches, feed, length, moved
from neuronym.network.hooks import capture_outputs, eval_mode, only_output
from neuronym.network.models import LoadedModel, load_model
from neuronym.network.pooling import POOLS, pool_output
from neuronym.network.reading import read_samples
from neuronym.types import PathLike, Pool

if TYPE_CHECKING:
    import torch

__all__ = ["collect"]

Precision = Literal["float32", "bfloat16", "float16"]

_ON_CPU, _ELSEWHERE = 8, 64  # samples in a batch; large ones are slow on a CPU


def collect(
    model: torch.nn.Module | LoadedModel | str,
    data: Any = None,
    *,
    layers: Sequence[str],
    images: PathLike | None = None,
    texts: PathLike | None = None,
    table: PathLike | None = None,
    weights: PathLike | None = None,
    skip_unreadable: bool = False,
    tokens_out: PathLike | None = None,
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
    """Run a model over data and keep the pooled outputs of its modules, all in one pass.

    With ``out``, activations are written to a Zarr store as they come, and memory does not grow with the number of
    samples. If interrupted, rerun the same call to resume; a finished store is opened. The store keeps the settings,
    among them a digest of the model's weights and of the sample ids, and a call with other settings is refused.

    Parameters
    ----------
    model : torch.nn.Module, LoadedModel or str
        Run in eval mode without gradients, and left as it was. A name is loaded by ``load_model``.
    data : tensor, array, Dataset or iterable of batches, optional
        A tensor or array of shape (n_samples, ...), a Dataset with a length, or an iterable of batches such as a
        DataLoader. A batch is a tensor, a pair whose first part is the input, a dict of keyword arguments as in
        Hugging Face (``labels`` is left out), or anything that ``forward`` takes. A sample that a Dataset returns as
        None is left out, and its id is in ``skipped`` of the activations. Without ``data``, give one of ``images``,
        ``texts`` and ``table``, and a model by name.
    layers : sequence of str
        Names of modules, as in ``model.named_modules()``.
    images, texts, table : str or Path, optional
        Data from files: a folder of images, a table ``sample,text``, or a table of numbers.
    weights : str or Path, optional
        A state dict to load into a model given by name: ``.safetensors``, or a file of ``torch.save``.
    skip_unreadable : bool, default False
        Leave out images that cannot be read.
    tokens_out : str or Path, optional
        Save the tokens of texts as a table ``sample,parent,text``: ``.csv`` or ``.parquet``.
    out : str or Path, optional
        A Zarr store, ``.zarr``; without it, activations are kept in memory.
    pool : {"mean", "max", "first", "last"} or function, default "mean"
        How maps (B, C, H, W) and (B, C, T, H, W) become (B, C): ``"mean"``, the paper's average pooling, or ``"max"``;
        how sequences (B, T, D) become (B, D): also ``"first"`` and ``"last"``; or a function of the output. An
        ``attention_mask`` (B, T) in the batch says which tokens count.
    tokens : bool, default False
        Each token of a sequence is a sample, with the id ``sample#token``.
    device : str or torch.device, optional
        Where to run; by default where the model is.
    precision : {"float32", "bfloat16", "float16"}, default "float32"
        Anything else is mixed precision (``torch.autocast``); activations are kept as float32.
    batch_size : int, optional
        For a tensor, an array or a Dataset; 8 on a CPU, 64 elsewhere.
    workers : int, default 0
        Processes that load a Dataset.
    forward : function, optional
        Called in place of ``model(batch)`` with the model and the batch as it comes.
    sample_ids : iterable, optional
        One per sample; by default those of the data, where it has any, as ``Images`` does.
    clusters : iterable, optional
        What each sample is a part of, such as the photo of an altered copy; by default those of the data.
    names : mapping from layer to names of its neurons, optional
        0, 1, … by default.
    about : mapping, optional
        More settings to keep in the store and to compare, such as ``preprocessing`` in words.
    overwrite : bool, default False
        Replace a store that exists.
    progress : bool, default False
        Show a bar on standard error.

    Returns
    -------
    dict of layer name to Activations
        By name of the layer: float32, (n_samples, n_neurons).

    Raises
    ------
    UnknownNameError
        If the model has no such module.
    ActivationsError
        If a module is not called, is called several times in a pass, or its output cannot be pooled.
    OptionError
        If an option is out of its range, the model cannot take the samples, or a DataLoader shuffles, so that nobody
        knows which sample is which.
    FileError
        If the store cannot be written, or holds activations made with other settings.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> collect(model, torch.zeros(10, 3, 8, 8), layers=["1"])["1"]
    Activations(10 samples × 4 neurons, float32)
    """
    need("collect", "torch")
    _check(layers, pool, precision, batch_size, workers)
    files = {"images": images, "texts": texts, "table": table}
    if tokens_out is not None:
        if texts is None:
            raise OptionError("tokens_out saves the tokens of texts: give texts (--tokens-out goes with --texts)")
        kind_of(tokens_out, (".csv", ".parquet"), "tokens")
        check_target(tokens_out, True)
    if isinstance(model, str | LoadedModel):
        loaded = load_model(model, weights) if isinstance(model, str) else model
        about = {
            "model": loaded.name,
            "preprocessing": "none" if table is not None else loaded.preprocessing,
            **(about or {}),
        }
        model = loaded.model
        if data is None:
            data, own_ids = read_samples(loaded, **files, skip_unreadable=skip_unreadable, batch_size=batch_size)
            sample_ids = own_ids if sample_ids is None else sample_ids
            files = {}
    elif weights is not None:
        raise OptionError("weights are loaded into a model given by name: load those of a module yourself")
    extra = [name for name, given in files.items() if given is not None]
    if data is None or extra:
        raise OptionError(
            f"data and {extra[0]} are both samples: give one of them"
            if data is not None
            else "a module needs data; images, texts and table go with a model given by name"
        )
    found = _collect(
        model, data, layers, out, pool, tokens, device, precision, batch_size, workers, forward, sample_ids, clusters,
        names, about or {}, overwrite, progress,
    )  # fmt: skip
    if tokens_out is not None:
        save_tokens(data.tokens(sample_ids), tokens_out, overwrite=overwrite)
    return found


def _collect(
    model: torch.nn.Module,
    data: Any,
    layers: Sequence[str],
    out: PathLike | None,
    pool: Pool | Callable[[torch.Tensor], torch.Tensor],
    tokens: bool,
    device: str | torch.device | None,
    precision: Precision,
    batch_size: int | None,
    workers: int,
    forward: Callable[[torch.nn.Module, Any], object] | None,
    sample_ids: Iterable[object] | None,
    clusters: Iterable[object] | None,
    names: Mapping[str, Sequence[int | str]] | None,
    about: Mapping[str, object],
    overwrite: bool,
    progress: bool,
) -> dict[str, Activations]:
    """Collect from a module and data that are at hand."""
    import torch

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
            **{key: str(value) for key, value in about.items()},
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
