"""A store of activations in parts, each written by a process of its own, and merged when all are finished.

Beside ``acts.zarr`` stands the folder ``acts.parts`` with ``1-of-8.zarr``, ``2-of-8.zarr`` …, each a store of some of
the samples, in order. The process that finishes the last part merges them into ``acts.zarr``, which then has the bytes
that one process would have written, and deletes them. If it is killed, the next process that finds all parts finished
merges them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from neuronym._util.locks import BusyError
from neuronym._util.shards import Shard
from neuronym.data.activations import Activations
from neuronym.data.store_files import read_root
from neuronym.errors import FileError
from neuronym.io.store_progress import CHUNK, delete_store
from neuronym.io.zarr_store import LayerWriter, open_layers
from neuronym.types import PathLike

__all__ = ["delete_parts", "is_finished", "merge_parts", "part_path", "unfinished"]


def part_path(store: PathLike, shard: Shard) -> Path:
    """Where the part of a shard is written."""
    path = Path(store)
    return path.with_name(f"{path.stem}.parts") / f"{shard.number}-of-{shard.of}{path.suffix}"


def is_finished(store: PathLike) -> bool:
    """Whether a store of neuronym's is there, and finished."""
    try:
        state = read_root(Path(store))
    except FileError:
        return False
    return isinstance(state, dict) and state.get("complete") is True


def unfinished(store: PathLike, shards: Sequence[Shard]) -> list[int]:
    """The numbers of the shards whose part is not finished."""
    return [shard.number for shard in shards if not is_finished(part_path(store, shard))]


def merge_parts(
    store: PathLike,
    shards: Sequence[Shard],
    writer: Callable[[], LayerWriter],
    clusters_of: Mapping[str, str] | None,
    together: Callable[[], object] | None,
) -> dict[str, Activations] | None:
    """Merge the parts of all shards into the store, and delete them.

    Parameters
    ----------
    store : str or Path
        The store.
    shards : sequence of Shard
        Those that have samples, in order.
    writer : callable
        Begins to write the store, or goes on with it.
    clusters_of, together
        As for ``LayerWriter.finish``.

    Returns
    -------
    dict from str to Activations, or None
        The layers of the store; None if another process is merging them.

    Raises
    ------
    FileError
        If a part is damaged, or the store cannot be written.
    """
    try:
        sink = writer()
    except BusyError:
        return None
    with sink:
        if not sink.complete:
            _add_parts([part_path(store, shard) for shard in shards], sink)
        layers = sink.finish(clusters_of, together)
    delete_parts(store, shards)
    return layers


def _add_parts(paths: Sequence[Path], sink: LayerWriter) -> None:
    """Add what the store lacks of each part."""
    before, samples, batches, skipped = 0, 0, 0, list[str]()
    for path in paths:
        state: Any = read_root(path)
        sink.check_part(path, state)
        layers = open_layers(path)
        samples, batches = samples + state["samples"], batches + state["batches"]
        skipped += state["skipped"]
        first = next(iter(layers.values()))
        if not sink.rows:
            sink.use_sparse([name for name, one in layers.items() if one.sparse])
        sink.use_axes({name: one.axes for name, one in layers.items() if one.axes is not None})
        end = before + first.n_samples
        while sink.rows < end or sink.samples < samples:
            start = sink.rows - before
            stop = min(start + CHUNK[0], first.n_samples)
            last = stop == first.n_samples  # until which samples are not counted, since only the part knows them
            sink.add(
                {name: one.matrix[start:stop] for name, one in layers.items()} if stop > start else {},
                samples - sink.samples if last else 0,
                None if first.sample_ids is None else first.sample_ids[start:stop],
                skipped[len(sink.skipped) :] if last else (),
                batches=(batches - sink.batches, state["last"]) if last else (0, 0),
            )
        before = end


def delete_parts(store: PathLike, shards: Sequence[Shard]) -> None:
    """Delete the parts of a store that is finished, and their folder if it is empty then."""
    for shard in shards:
        path = part_path(store, shard)
        if path.is_dir():
            delete_store(path)
    with suppress(OSError):  # other files are in it, or another process has deleted it
        part_path(store, Shard(1, 1)).parent.rmdir()
