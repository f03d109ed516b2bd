"""Activations from PyTorch models: outputs of named modules, pooled to one number per neuron and sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from neuronym._util.characters import refuse_halves
from neuronym._util.extras import need
from neuronym._util.files import check_target, kind_of
from neuronym._util.locks import BusyError
from neuronym._util.messages import counted
from neuronym._util.parallel import progress_bar
from neuronym._util.shards import Shard, as_shard, shard_of_environment
from neuronym.data.activations import Activations, as_name
from neuronym.data.grids import Grid, with_grid
from neuronym.data.ids import as_ids, by_sample, parent
from neuronym.data.labelled import listed, named
from neuronym.errors import ActivationsError, FileError, InputError, OptionError
from neuronym.io.images import Images
from neuronym.io.store_parts import delete_parts, merge_parts
from neuronym.io.store_progress import joined
from neuronym.io.texts import Texts, check_tokens, save_tokens
from neuronym.io.zarr_store import (
    LayerWriter,
    as_finite,
    check_layers,
    check_widths,
    is_made,
    open_layers,
    to_be_sparse,
)
from neuronym.network.axes import Axes, find_axes, stated_axes
from neuronym.network.batches import Batch, attention_mask, batches, feed, home_device, is_indexed, length, moved, taken
from neuronym.network.failures import on_samples
from neuronym.network.hooks import capture_outputs, eval_mode, only_output, original
from neuronym.network.identity import (
    described,
    hash_architecture,
    hash_code,
    hash_code_of_data,
    hash_data,
    hash_texts,
    hash_weights,
    qualified_name,
    versions,
)
from neuronym.network.initialising import reinitialised
from neuronym.network.models import LoadedModel, load_model, longest_text
from neuronym.network.outputs import numbers
from neuronym.network.pooling import POOLS, grid_in, pool_output
from neuronym.network.reading import read_samples
from neuronym.network.sharding import PartOfSamples
from neuronym.network.state import global_state
from neuronym.network.views import seen_part
from neuronym.types import PathLike, Pool

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["collect"]

Precision = Literal["float32", "bfloat16", "float16"]

_BATCH_ON_CPU, _BATCH_ELSEWHERE = 8, 64  # samples per batch; large batches are slow on a CPU


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
    max_length: int | None = None,
    skip_special_tokens: bool = False,
    reinitialise: int | None = None,
    out: PathLike | None = None,
    pool: Pool | Callable[[torch.Tensor], torch.Tensor] = "mean",
    axes: str | Mapping[str, str] | None = None,
    tokens: bool = False,
    maps: bool | Grid = False,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    batch_size: int | None = None,
    workers: int = 0,
    forward: Callable[[torch.nn.Module, Any], object] | None = None,
    sample_ids: Iterable[object] | None = None,
    clusters: Iterable[object] | None = None,
    names: Mapping[str, Sequence[int | str]] | None = None,
    about: Mapping[str, object] | None = None,
    sparse: float = 0.0,
    overwrite: bool = False,
    progress: bool = False,
    shard: str | tuple[int, int] | None = None,
) -> dict[str, Activations]:
    """Run a model over data, and collect the pooled outputs of several modules in one pass.

    With ``out``, activations are written to a Zarr store batch by batch, so memory does not grow with the number of
    samples. If interrupted, rerun the same call to resume; a finished store is checked and opened. The store keeps the
    settings, including hashes of the model, of the code of functions, and of the samples where that is cheap, and a
    call with different settings is refused. The last batch that is stored is computed again and compared.

    Parameters
    ----------
    model : torch.nn.Module, LoadedModel or str
        The model, which is run in eval mode without gradients, uncompiled, and left as it was. Samples of floats are
        cast to the type of its weights, if all have one type. A name is loaded by ``load_model``.
    data : tensor, array, Dataset or iterable of batches, optional
        A tensor or array of shape (n_samples, ...), a Dataset with a length, or an iterable of batches such as a
        DataLoader. A batch is a tensor, a pair whose first element is the input, a dict of keyword arguments as in
        Hugging Face (``labels`` is dropped), or anything ``forward`` accepts. A sample that a Dataset returns as None
        is left out, and its id is listed in ``skipped`` of the activations. Without ``data``, give one of ``images``,
        ``texts`` and ``table``, and a model by name.
    layers : sequence of str
        Names of modules, as in ``model.named_modules()``.
    images, texts, table : str or Path, optional
        Data from files: a folder of images, a table ``sample,text`` or a CoNLL file (``.conll`` or ``.conllu``), or
        a table of numbers.
    weights : str or Path, optional
        A state dict to load into a model given by name: ``.safetensors``, or a file written by ``torch.save``.
    skip_unreadable : bool, default False
        Leave out images that cannot be read.
    tokens_out : str or Path, optional
        Save the tokens of texts as a table, ``.csv`` or ``.parquet``, with the columns of ``Texts.tokens``.
    max_length : int, optional
        Truncate ``texts`` to this number of tokens; by default to what the model and its tokenizer take. A warning
        counts the texts that are cut.
    skip_special_tokens : bool, default False
        Leave the tokens that the tokenizer adds to ``texts`` out of pooling and, with ``tokens``, of the samples.
    reinitialise : int, optional
        Collect from a copy of the model whose weights are drawn anew with this seed, by the modules' own initialisers
        (permuted where there are none), with statistics of batch normalisation estimated from the first samples: a
        baseline that was never trained, for ``compare_layers``.
    out : str or Path, optional
        A Zarr store, ``.zarr``; without it, activations are kept in memory.
    pool : {"mean", "max", "first", "last"} or function, default "mean"
        How to pool over positions. Maps, such as (B, C, H, W), are reduced to (B, C) by ``"mean"``, the paper's
        average pooling, or ``"max"``; sequences, such as (B, T, C), by these, ``"first"`` or ``"last"``; or give a
        function of the output that returns a tensor or array (B, C). An ``attention_mask`` (B, T) in the batch
        excludes tokens.
    axes : str or mapping of str to str, optional
        What the axes of the layers' outputs mean, for all or by layer: a letter for each axis, such as ``"BHWC"``,
        ``"BCT"`` or ``"BTHD"``. B is the samples, C the neurons (or H and D the heads and the neurons of each) and the
        others are positions. By default this follows from the kinds of the modules, as ``neuronym.layers`` shows it.
    tokens : bool, default False
        Treat each token of a sequence as a sample, with the id ``sample#token``.
    maps : bool or (int, int), default False
        Keep whole maps, such as (B, C, H, W), for ``neuronym.dissect``, instead of pooling them: a column for each
        neuron and position, in which ``neuronym.data.Maps`` finds them. As two numbers, such as ``(14, 14)``, the rows
        and columns that the last tokens of a sequence form, as in a vision transformer. Of images from files, the part
        that the preprocessing keeps is found out and kept with the maps.
    device : str or torch.device, optional
        The device to run on; by default the model's.
    precision : {"float32", "bfloat16", "float16"}, default "float32"
        The precision of the forward pass; other than float32, it is mixed precision (``torch.autocast``). Activations
        are always stored as float32.
    batch_size : int, optional
        Samples per batch, for a tensor, an array or a Dataset; by default 8 on a CPU and 64 elsewhere.
    workers : int, default 0
        The number of processes that load a Dataset.
    forward : function, optional
        A function of the model and the unchanged batch, called instead of ``model(batch)``.
    sample_ids : iterable, optional
        One id per sample; by default the ids of the data if it has any, as ``Images`` does.
    clusters : iterable, optional
        The group each sample belongs to, such as the photo of an altered copy; by default those of the data.
    names : mapping of str to sequence or mapping of (int or str), optional
        The names of neurons by layer, in order or by number, as in ``id2label``; 0, 1, … by default.
    about : mapping of str to object, optional
        Further settings to store and compare, such as a description of the ``preprocessing``.
    sparse : float or bool, default 0.0
        Keep layers without their zeros, in memory and in a store, if a smaller share of their first batch than this is
        not zero, such as ``0.1``; ``True`` for all layers.
    overwrite : bool, default False
        Replace a store that exists, once the new one is finished; if interrupted, the same call resumes the new one.
    progress : bool, default False
        Show a progress bar on standard error.
    shard : str or tuple of (int, int), optional
        Collect one of several shards of the samples, such as ``"3/8"``, the third of eight, each in a process of its
        own, all with the same ``out``; ``"env"`` takes it from RANK and WORLD_SIZE, as torchrun sets them. Each
        writes a part, ``acts.parts/3-of-8.zarr``; the one that finishes last merges all into the store that one process
        would write. The samples must have a length, as those of a Dataset or array have.

    Returns
    -------
    dict of str to Activations
        By layer, float32 activations of shape (n_samples, n_neurons); with ``shard``, those of the part until all parts
        are merged.

    Raises
    ------
    UnknownNameError
        If the model has no such module.
    ActivationsError
        If a module is not called, is called several times in a pass, its output cannot be pooled or is not finite, or
        the data or ``pool`` raise an error.
    OptionError
        If an option is out of range, ``axes`` are not letters for axes, the model or ``forward`` raises an error, or a
        DataLoader shuffles, so that samples cannot be identified.
    FileError
        If the store cannot be written, holds activations collected with other settings or files of yours, is damaged,
        or another run is writing to it.

    Warns
    -----
    UserWarning
        If nothing shows what the axes of a layer's output mean, with what they are taken for.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> collect(model, torch.zeros(10, 3, 8, 8), layers=["1"])["1"]
    Activations(10 samples × 4 neurons, float32)
    """
    need("collect", "torch")
    _check_options(layers, pool, precision, batch_size, workers, sparse)
    _check_maps(maps, tokens, pool)
    own = None if shard is None else shard_of_environment() if shard == "env" else as_shard(shard)
    if own is not None and out is None:
        raise OptionError("shards are parts of a store: give out")
    if out is not None:
        check_layers(layers)  # before the model is loaded or run
    files = {"images": images, "texts": texts, "table": table}
    if tokens_out is not None:
        if texts is None:
            raise OptionError("tokens_out saves the tokens of texts: give texts (--tokens-out needs --texts)")
        kind_of(tokens_out, (".csv", ".parquet"), "tokens")
        check_target(tokens_out, True)
    if texts is None and (max_length is not None or skip_special_tokens):
        given = "skip_special_tokens" if max_length is None else "max_length"
        raise OptionError(f"{given} is for texts read from a file: give texts (--texts), or give {given} to Texts")
    if isinstance(model, str | LoadedModel):
        with global_state():
            loaded = load_model(model, weights) if isinstance(model, str) else model
            loaded = loaded if texts is None else loaded.for_texts()
        about = {
            "model": loaded.name,
            "preprocessing": "none" if table is not None else loaded.preprocessing,
            **(about or {}),
        }
        model = loaded.model
        if data is None:
            data, file_ids = read_samples(
                loaded, **files, skip_unreadable=skip_unreadable, batch_size=batch_size, max_length=max_length,
                skip_special_tokens=skip_special_tokens,
            )  # fmt: skip
            sample_ids = file_ids if sample_ids is None else sample_ids
            files = {}
    elif weights is not None:
        raise OptionError(
            "weights can only be loaded into a model given by name: load a state dict into your module yourself"
        )
    extra = [name for name, path in files.items() if path is not None]
    if data is None or extra:
        raise OptionError(
            f"data and {extra[0]} both provide samples: give only one"
            if data is not None
            else "a module needs data; images, texts and table need a model given by name"
        )
    if reinitialise is not None:
        model = _untrained(model, data, reinitialise, batch_size or _BATCH_ON_CPU, forward)
        about = {**(about or {}), "reinitialised": str(reinitialise)}
    together = None if tokens_out is None else _saving(data.tokens(sample_ids), tokens_out, overwrite)
    return _collect(
        model, data, layers, out, pool, axes, tokens, maps, device, precision, batch_size, workers, forward, sample_ids,
        clusters, names, about or {}, sparse, overwrite, progress, together, own,
    )  # fmt: skip


def _untrained(
    model: torch.nn.Module,
    data: Any,
    seed: int,
    size: int,
    forward: Callable[[torch.nn.Module, Any], object] | None,
) -> torch.nn.Module:
    """Copy a model and draw its weights anew."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise OptionError(f"reinitialise must be a seed, a whole number of at least 0, not {seed!r}")
    if isinstance(data, Iterator):
        raise OptionError("reinitialise reads the first samples twice, and data can be read once only: give a Dataset")
    home = home_device(model)
    listed = ((one.inputs, one.n_samples or 0) for one in batches(data, size) if one.kept != [])

    def run(fresh: torch.nn.Module, inputs: Any) -> None:
        feed(fresh, moved(inputs, home), forward)

    return reinitialised(model, seed, listed, run)


def _saving(tokens: pd.DataFrame, path: PathLike, overwrite: bool) -> Callable[[], None]:
    """Check that tokens can be saved, before the pass, and return what saves them after it."""
    if not overwrite:
        check_tokens(tokens, path)
    return lambda: save_tokens(tokens, path, overwrite=overwrite)


def _collect(
    model: torch.nn.Module,
    data: Any,
    layers: Sequence[str],
    out: PathLike | None,
    pool: Pool | Callable[[torch.Tensor], torch.Tensor],
    given: str | Mapping[str, str] | None,
    tokens: bool,
    maps: bool | Grid,
    device: str | torch.device | None,
    precision: Precision,
    batch_size: int | None,
    workers: int,
    forward: Callable[[torch.nn.Module, Any], object] | None,
    sample_ids: Iterable[object] | None,
    clusters: Iterable[object] | None,
    names: Mapping[str, Sequence[int | str]] | None,
    about: Mapping[str, object],
    sparse: float,
    overwrite: bool,
    progress: bool,
    together: Callable[[], object] | None,
    shard: Shard | None,
) -> dict[str, Activations]:
    """Run a module over data, and collect activations in memory or in a store."""
    import torch

    home = home_device(model)
    if home.type == "meta":
        raise OptionError("the model is on the meta device, which holds no values: load its weights first")
    try:
        target = home if device is None else torch.empty(0, device=device).device
        if target.type == "meta":
            raise RuntimeError("it holds no values")
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"there is no device {str(device)!r} here: {str(error).splitlines()[0]}") from error
    size = batch_size if batch_size is not None else _BATCH_ON_CPU if target.type == "cpu" else _BATCH_ELSEWHERE
    known_ids = getattr(data, "sample_ids", None) if sample_ids is None else sample_ids
    total = length(data)
    counted_given = total is None and known_ids is not None
    n_ids = len(listed(known_ids, "sample ids of data", ActivationsError)[0]) if counted_given else total or 0
    ids = as_ids(known_ids, n_ids, "data", ActivationsError)
    if isinstance(data, Texts):
        data.check(ids, pooled=not tokens, longest=longest_text(model))
    names = {
        layer: [as_name(name) for name in named(given, len(given), f"neurons of {layer!r}", ActivationsError) or ()]
        for layer, given in (names or {}).items()
    }
    clusters_by_id = _clusters_by_id(getattr(data, "clusters", None) if clusters is None else clusters, ids, tokens)
    n_samples = total if ids is None else len(ids)
    stated = stated_axes(given, layers)
    sink: LayerWriter | _InMemory = _InMemory(layers, names, tokens, sparse)
    whole = part = None
    if out is not None:
        settings = {
            **_of_model(model, pool, forward),
            **_of_data(data, ids, clusters_by_id, names),
            "tokens": tokens,
            **({"maps": list(maps) if isinstance(maps, tuple) else maps} if maps else {}),
            "device": target.type,
            "precision": precision,
            "batch_size": getattr(data, "batch_size", None) or size,
            "versions": versions(),
            **{key: value if isinstance(value, str) else described(value) for key, value in about.items()},
            **{f"code of {key}": hash_code(value) for key, value in about.items() if callable(value)},
        }
        texts = {layer: one.text for layer, one in stated.items()}
        how: dict[str, Any] = {"neurons": names, "axes": texts, "sparse": sparse, "overwrite": overwrite}
        merging = shard is not None
        writer = partial(LayerWriter, out, layers, settings, n_samples=n_samples, merging=merging, **how)
        if shard is not None:
            whole = PartOfSamples.of(data, shard, n_samples, size, out, layers, settings, sparse)
            part = None if is_made(out) and not overwrite else whole
            if part is not None and part.start == part.stop:
                return merge_parts(part.parts, writer, clusters_by_id, together) or {}
        try:
            sink = writer() if part is None else part.writer(layers, writer, how)
        except BusyError:
            if part is not None or not merging:
                raise
            return open_layers(out)  # which another process has merged, and checks
    start, n_own = (0, n_samples) if part is None else (part.start, part.stop - part.start)
    view = seen_part(data.prepare) if maps and isinstance(data, Images) else None
    run = _Pass(model, layers, pool, stated, tokens, maps, view, ids, target, precision, forward)
    with global_state(), sink:
        first = sink.complete and not is_indexed(data)  # the last batch of an iterable would take a whole pass
        again = sink.last or sink.samples % size or min(size, sink.samples)  # a store of format 1 does not say
        done = sink.batches if part is None else start // part.size + sink.batches
        place = (0, 0, 0) if first else (start + sink.samples, done, again if sink.rows else 0)
        stop = None if part is None else part.stop
        n_loaders = 0 if sink.complete else workers
        remaining = batches(data, size, n_loaders, *place[:2], ids, again=place[2], stop=stop)
        with eval_mode(model, None if target == home else (home, target)):
            if start and isinstance(sink, LayerWriter) and not sink.complete:
                sink.use_sparse(_first_sparse(run, data, size, sparse))
            if isinstance(sink, LayerWriter) and sink.rows and not (first and start):
                _compare(run, sink, remaining, first, start)
            if progress and not sink.complete:
                remaining = progress_bar(remaining, lambda batch: batch.n_samples or 0, "samples", n_own, sink.samples)
            for batch in remaining if not sink.complete else ():
                sink.add(*run.rows(batch, start + sink.samples, sink.use_axes))
        if n_own is not None and n_own != sink.samples:
            expected = "there are ids for" if total is None else "its length is"
            raise ActivationsError(f"data yielded {sink.samples} samples, but {expected} {n_own}")
        found = sink.finish(*((clusters_by_id, together) if part is None else ()))
    if part is not None:
        return merge_parts(part.parts, writer, clusters_by_id, together) or found
    if whole is not None:
        delete_parts(whole.parts)  # which a process that was killed has left
    return found


def _first_sparse(run: _Pass, data: Any, size: int, sparse: float) -> list[str]:
    """Run the first batch of all, by which axes and sparse layers are decided; return these layers."""
    position = 0
    for batch in batches(data, size, 0, ids=run.ids):
        parts, n_samples, ids, _ = run.rows(batch, position, lambda _: None)
        if parts:
            finite = as_finite(parts, ids, 0)
            return [layer for layer, rows in finite.items() if to_be_sparse(rows, sparse)]
        position += n_samples
    return []


def _of_model(model: torch.nn.Module, pool: Any, forward: Any) -> dict[str, object]:
    """The settings by which a model and what is done with its outputs are known again."""
    return {
        "model": qualified_name(type(original(model))),
        "weights": hash_weights(model),
        "architecture": hash_architecture(model),
        "pool": pool if isinstance(pool, str) else qualified_name(pool),
        "code of pool": None if isinstance(pool, str) else hash_code(pool),
        "forward": None if forward is None else qualified_name(forward),
        "code of forward": None if forward is None else hash_code(forward),
    }


def _of_data(
    data: Any,
    ids: Sequence[str] | None,
    clusters_by_id: Mapping[str, str] | None,
    names: Mapping[str, Sequence[int | str]],
) -> dict[str, object]:
    """The settings by which samples and names are known again."""
    return {
        "data": hash_data(data),
        "code of data": hash_code_of_data(data),
        "sample_ids": None if ids is None else hash_texts(ids),
        "clusters": None if clusters_by_id is None else hash_texts(clusters_by_id.values()),
        "names": {layer: [str(name) for name in of_layer] for layer, of_layer in names.items()},
    }


def _compare(run: _Pass, sink: LayerWriter, again: Iterator[Batch], first: bool, before: int) -> None:
    """Raise unless the model still gives what is stored for the last batch, or for the first one.

    ``before`` is the number of samples before those of the store.

    Raises
    ------
    FileError
        If an activation differs by more than a relative 1e-4, measured by the neuron's largest in the batch, or by the
        unit of half precision.
    """
    try:
        batch = next(again, None)
    except InputError:
        if not (sink.complete and sink.skipped):
            raise
        return  # a sample that was left out cannot be read now either
    if batch is None:
        return
    n_samples = batch.n_samples or sink.last
    parts, _, _, _ = run.rows(batch, 0 if first else before + sink.samples - n_samples, sink.use_axes)
    tolerance = {"bfloat16": 2**-7, "float16": 2**-10}.get(run.precision, 1e-4)
    for layer, part in parts.items():
        n_rows = len(part)
        start = 0 if first else sink.rows - n_rows
        then = sink.stored(start, start + n_rows)[layer] if 0 <= start <= sink.rows - n_rows else part[:0]
        now = np.asarray(part, np.float32)
        error = np.inf if then.shape != now.shape else _relative(then, now)
        if not error <= tolerance:
            which = "first" if first else "last"
            by = "" if np.isinf(error) else f" by up to {error:.1%}"
            raise FileError(
                f"{str(sink.path)!r} holds other activations of layer {layer!r} than this model gives now for the "
                f"{which} batch that is stored: they differ{by}, so the model, the data or a function has changed "
                "since; choose another name, or replace it with overwrite=True (--overwrite)"
            )


def _relative(then: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """The largest difference relative to the largest activation of the neuron, or to 0.001 of that of the layer."""
    if not then.size:
        return 0.0
    largest = np.abs(then).max(axis=0)
    scale = np.maximum(largest, 1e-3 * largest.max())
    difference = np.abs(then - now).max(axis=0)
    return float(np.divide(difference, scale, out=np.where(difference > 0, np.inf, 0.0), where=scale > 0).max())


def _check_options(
    layers: Sequence[str], pool: object, precision: str, batch_size: int | None, workers: int, sparse: float
) -> None:
    """Refuse options out of range."""
    if isinstance(layers, str) or not layers:
        raise OptionError(f"layers must be a list of module names, not {layers!r}")
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
    if not isinstance(sparse, bool | int | float) or not 0 <= sparse <= 1:
        raise OptionError(f"sparse must be a share from 0 to 1, or True for all layers, not {sparse!r}")


def _check_maps(maps: object, tokens: bool, pool: object) -> None:
    """Refuse what is no size of maps, and maps of tokens."""
    sizes = [1] if isinstance(maps, bool) else list(maps) if isinstance(maps, tuple | list) else []
    whole = all(isinstance(size, int | np.integer) and not isinstance(size, bool) and size > 0 for size in sizes)
    if not sizes or not whole or (not isinstance(maps, bool) and len(sizes) != 2):
        raise OptionError(f"maps must be True, or the numbers of rows and columns such as (14, 14), not {maps!r}")
    if maps and tokens:
        raise OptionError("maps and tokens are two ways to keep positions: choose one")
    if maps and pool != "mean":
        raise OptionError("maps are kept whole, so pool does nothing: leave out one of the two")


def _clusters_by_id(
    clusters: Iterable[object] | None, ids: Sequence[str] | None, tokens: bool
) -> dict[str, str] | None:
    """Return the cluster of each sample by its id, or None without clusters."""
    if clusters is None:
        return None
    if tokens or ids is None:
        why = "with tokens, the cluster of a token is its text" if tokens else "clusters need sample_ids"
        raise OptionError(f"clusters cannot be used: {why}")
    names = [str(cluster) for cluster in by_sample(clusters, ids, len(ids), "clusters", OptionError)]
    refuse_halves(names, "cluster", OptionError)
    if len(names) != len(ids):
        raise OptionError(f"{counted(len(names), 'cluster')} for {counted(len(ids), 'sample')}: give one per sample")
    return dict(zip(ids, names, strict=True))


def _fed(batch: Batch, start: int, ids: Sequence[str] | None) -> list[object]:
    """Return the ids of the samples that a model is run on, or the numbers of those that have none."""
    kept = range(batch.n_samples or 1) if batch.kept is None else batch.kept
    return [ids[start + i] if ids is not None and start + i < len(ids) else start + i for i in kept]


@dataclass
class _Pass:
    """A pass of a model over data: how the rows of a batch are made."""

    model: torch.nn.Module
    layers: Sequence[str]
    pool: Pool | Callable[[torch.Tensor], torch.Tensor]
    stated: Mapping[str, Axes]
    tokens: bool
    maps: bool | Grid
    view: str | None
    ids: Sequence[str] | None
    target: torch.device
    precision: Precision
    forward: Callable[[torch.nn.Module, Any], object] | None
    axes: Mapping[str, Axes] | None = None
    grids: dict[str, Grid] = field(default_factory=dict)

    def rows(
        self, batch: Batch, start: int, use_axes: Callable[[Mapping[str, str]], None]
    ) -> tuple[dict[str, NDArray[Any]], int, list[str] | None, list[str]]:
        """Run the model on a batch whose first sample has the number ``start``, and return what a sink takes."""
        import torch

        half = self.precision != "float32"
        cast = torch.autocast(self.target.type, getattr(torch, self.precision)) if half else nullcontext()
        captured: Mapping[str, list[object]] = {}
        with on_samples(_fed(batch, start, self.ids)):
            if batch.kept != []:
                with torch.no_grad(), cast, capture_outputs(self.model, self.layers) as captured:
                    feed(self.model, moved(batch.inputs, self.target), self.forward)
                if self.axes is None:
                    alone = callable(self.pool) and not self.tokens and not self.maps
                    self.axes = self.stated if alone else self._find_axes(batch, captured)
                use_axes({layer: self._text(layer, captured) for layer in self.axes})
            return self._pooled(batch, captured, start)

    def _text(self, layer: str, captured: Mapping[str, list[object]]) -> str:
        """Say what the axes of a layer's output mean, with the size of its maps if they are kept."""
        axes = (self.axes or {})[layer]
        if not self.maps:
            return axes.text
        grid = grid_in(only_output(layer, captured).shape, axes, self.maps, layer)
        first = self.grids.setdefault(layer, grid)
        if grid != first:
            raise ActivationsError(
                f"layer {layer!r} has maps of {first[0]} × {first[1]} in one batch and of {grid[0]} × {grid[1]} in "
                "another: all must have one size, so bring the samples to one"
            )
        return with_grid(axes.text, grid, self.view)

    def _find_axes(self, batch: Batch, captured: Mapping[str, list[object]]) -> dict[str, Axes]:
        """Find out what the axes of the outputs for a batch mean."""
        shapes = {layer: tuple(only_output(layer, captured).shape) for layer in self.layers}
        n_samples = len(batch.kept) if batch.kept is not None else batch.n_samples or (*shapes[self.layers[0]], 0)[0]

        def trial(number: int) -> None:
            rows = [row % n_samples for row in range(number)]
            feed(self.model, moved(taken(batch.inputs, rows, n_samples), self.target), self.forward)

        return find_axes(self.model, shapes, n_samples, trial, self.stated)

    def _pooled(
        self, batch: Batch, captured: Mapping[str, list[object]], start: int
    ) -> tuple[dict[str, NDArray[Any]], int, list[str] | None, list[str]]:
        """Pool the outputs for a batch; return them with the number of samples, ids of rows, and ids left out."""
        layers, ids, axes = self.layers, self.ids, self.axes or {}
        n_samples = batch.n_samples if batch.n_samples is not None else int(only_output(layers[0], captured).shape[0])
        kept = list(range(n_samples)) if batch.kept is None else batch.kept
        if ids is not None and start + n_samples > len(ids):
            raise ActivationsError(
                f"{counted(len(ids), 'sample id')} for at least {start + n_samples} samples: give one per sample"
            )
        if ids is None and len(kept) < n_samples:
            raise ActivationsError("a sample is None, and only sample_ids can say which ones are left: give sample_ids")
        batch_ids = [str(start + i) if ids is None else ids[start + i] for i in range(n_samples)]
        parts: dict[str, NDArray[Any]] = {}
        rows: list[tuple[int, int]] = []  # sample and token of each row, for tokens
        for layer in layers if kept else ():
            output = only_output(layer, captured)
            if layer in axes:
                axes[layer].check(layer, output.shape, len(kept))
            mask = attention_mask(batch.inputs, layer)
            pooled, layer_rows = pool_output(
                output, self.pool, layer, tokens=self.tokens, maps=self.maps, mask=mask, axes=axes.get(layer),
                n_samples=len(kept),
            )  # fmt: skip
            parts[layer] = numbers(pooled, layer)
            if layer != layers[0] and layer_rows != rows:
                raise ActivationsError(f"layers {layers[0]!r} and {layer!r} differ in tokens: collect one at a time")
            rows = layer_rows
        if self.tokens:
            row_ids: list[str] | None = [f"{batch_ids[kept[sample]]}#{token}" for sample, token in rows]
        else:
            row_ids = None if ids is None else [batch_ids[i] for i in kept]
        present = set(kept)
        return parts, n_samples, row_ids, [batch_ids[i] for i in range(n_samples) if i not in present]


class _InMemory:
    """Collects layers in memory, with the interface of ``LayerWriter``."""

    complete, rows, batches, last = False, 0, 0, 0

    def __init__(
        self,
        layers: Sequence[str],
        names: Mapping[str, Sequence[int | str]] | None,
        tokens: bool,
        sparse: float,
    ) -> None:
        self._parts: dict[str, list[Any]] = {layer: [] for layer in layers}
        self._sparse = sparse
        self._names = names or {}
        self._ids: list[str] = []
        self._skipped: list[str] = []
        self._widths: dict[str, int] = {}
        self._tokens = tokens
        self._axes: dict[str, str] = {}
        self.samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(
        self,
        parts: Mapping[str, NDArray[Any]],
        n_samples: int,
        ids: Sequence[str] | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        from scipy.sparse import csr_array

        check_widths(self._widths, parts)
        for layer, part in as_finite(parts, ids, self.samples).items():
            of_layer = self._parts[layer]
            sparse = not isinstance(of_layer[0], np.ndarray) if of_layer else to_be_sparse(part, self._sparse)
            of_layer.append(csr_array(part) if sparse else part)
        self._ids += ids or ()
        self._skipped += skipped
        self.samples += n_samples

    def use_axes(self, axes: Mapping[str, str]) -> None:
        self._axes |= axes

    def finish(
        self, clusters_of: Mapping[str, str] | None = None, together: Callable[[], object] | None = None
    ) -> dict[str, Activations]:
        if not any(self._parts.values()):
            raise ActivationsError("there are no samples: data is empty")
        ids = self._ids or None
        clusters = [parent(i) for i in self._ids] if self._tokens else None
        if clusters_of is not None:
            clusters = [clusters_of[i] for i in self._ids]
        if together is not None:
            together()
        return {
            layer: Activations(
                joined(parts),
                self._names.get(layer),
                sample_ids=ids,
                skipped=self._skipped,
                clusters=clusters,
                axes=self._axes.get(layer),
            )
            for layer, parts in self._parts.items()
        }
