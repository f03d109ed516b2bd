"""A store of activations in parts, each written by a process of its own, and merged when all are finished.

Beside ``acts.zarr`` stands the folder ``acts.parts`` with ``1-of-8.zarr``, ``2-of-8.zarr`` …, each a store of some of
the samples, in order. The process that finishes the last part merges them into ``acts.zarr``, which then has the bytes
that one process would have written, and deletes them. If it is killed, the next process that finds all parts finished
merges them. Only parts with the settings of the run are merged, and deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from neuronym._util.locks import BusyError, locked
from neuronym._util.shards import Shard
from neuronym.data.activations import Activations
from neuronym.data.store_files import read_root
from neuronym.io.store_progress import delete_store, foreign_files
from neuronym.io.zarr_store import LayerWriter, is_made, open_layers
from neuronym.types import PathLike

__all__ = ["delete_parts", "merge_parts", "part_path"]

#: The settings of the part of each shard that has samples, by its store.
Parts = Mapping[Path, Mapping[str, Any]]


def part_path(store: PathLike, shard: Shard) -> Path:
    """Where the part of a shard is written."""
    path = Path(store)
    return path.with_name(f"{path.stem}.parts") / f"{shard.number}-of-{shard.of}{path.suffix}"


def _all_made(parts: Parts) -> bool:
    """Whether all parts are finished, with their settings."""
    return all(is_made(path, wanted) for path, wanted in parts.items())


def merge_parts(
    parts: Parts,
    writer: Callable[[], LayerWriter],
    clusters_of: Mapping[str, str] | None,
    together: Callable[[], object] | None,
) -> dict[str, Activations] | None:
    """Merge the parts into the store if all are finished, and delete them.

    Parameters
    ----------
    parts : mapping from Path to mapping
        The parts, in order, with their settings.
    writer : callable
        Begins to write the store, or goes on with it.
    clusters_of, together
        As for ``LayerWriter.finish``.

    Returns
    -------
    dict from str to Activations, or None
        The layers of the store; None if parts are missing, or another process merges them, or has just done so.

    Raises
    ------
    FileError
        If a part is damaged, or the store cannot be written.
    """
    if not _all_made(parts):
        return None
    try:
        sink = writer()
    except BusyError:
        return None
    with sink:
        if not sink.complete:
            if not _all_made(parts):  # merged and deleted by another process since this one looked
                return None
            _add_parts(parts, sink)
        layers = sink.finish(clusters_of, together)
        delete_parts(parts)
    return layers


def _add_parts(parts: Parts, sink: LayerWriter) -> None:
    """Add what the store lacks of each part."""
    end, samples, batches, skipped = 0, 0, 0, list[str]()
    for path in parts:
        state: Any = read_root(path)
        before, end = end, end + state["rows"]
        samples, batches, skipped = samples + state["samples"], batches + state["batches"], skipped + state["skipped"]
        layers = open_layers(path) if state["rows"] else {}
        ids = next((one.sample_ids for one in layers.values()), None)
        if layers and not sink.rows:
            sink.use_sparse([name for name, one in layers.items() if one.sparse])
        sink.use_axes({name: one.axes for name, one in layers.items() if one.axes is not None})
        while sink.rows < end or sink.samples < samples:
            start = sink.rows - before
            stop = min(start + sink.chunk, end - before)
            last = stop == end - before  # until which samples are not counted, since only the part knows them
            sink.add(
                {name: one.matrix[start:stop] for name, one in layers.items()} if stop > start else {},
                samples - sink.samples if last else 0,
                None if ids is None else ids[start:stop],
                skipped[len(sink.skipped) :] if last else (),
                batches=(batches - sink.batches, state["last"]) if last else (0, 0),
            )


def delete_parts(parts: Parts) -> None:
    """Delete the parts of a store that is finished, and their folder if it is empty then.

    What was made with other settings, holds files of others or is being written stays.
    """
    folders = {path.parent for path in parts}
    for path, wanted in parts.items():
        with suppress(BusyError):
            if is_made(path, wanted) and not foreign_files(path):
                with locked(path.resolve(), path):
                    delete_store(path)
    for folder in folders:
        with suppress(OSError):  # other files are in it, or another process has deleted it
            folder.rmdir()
