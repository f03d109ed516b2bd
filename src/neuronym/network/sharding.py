"""The part of the samples that one of several processes collects."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from neuronym._util.locks import BusyError
from neuronym._util.shards import Shard
from neuronym.errors import FileError, OptionError
from neuronym.io.store_parts import part_path
from neuronym.io.zarr_store import LayerWriter, wanted_settings
from neuronym.network.batches import is_indexed
from neuronym.types import PathLike

__all__ = ["PartOfSamples", "device_of_environment"]


def device_of_environment() -> str | None:
    """Return the device that torchrun means this process to run on, by LOCAL_RANK; None where there is no choice."""
    import torch

    rank = os.environ.get("LOCAL_RANK", "")
    several = rank.isdecimal() and torch.cuda.is_available()
    return f"cuda:{int(rank) % torch.cuda.device_count()}" if several else None


@dataclass(frozen=True)
class PartOfSamples:
    """What a shard collects: whole batches, so that they are those of a single process.

    Parameters
    ----------
    path : Path
        The store that the part is written to.
    start, stop : int
        The first sample, and the one after the last.
    size : int
        The number of samples in a batch.
    parts : mapping from Path to mapping
        The parts of all shards that have samples, in order, with their settings.
    own : mapping from str to object
        The settings of this one, as ``LayerWriter`` takes them.
    """

    path: Path
    start: int
    stop: int
    size: int
    parts: Mapping[Path, Mapping[str, Any]]
    own: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        data: Any,
        shard: Shard,
        n_samples: int | None,
        size: int,
        out: PathLike,
        layers: Sequence[str],
        settings: Mapping[str, Any],
        sparse: float,
    ) -> PartOfSamples:
        """Find the part of a shard.

        Parameters
        ----------
        data : object
            The samples.
        shard : Shard
            Which one.
        n_samples : int or None
            The number of all samples.
        size : int
            The number of samples in a batch, for data that does not come in batches.
        out : str or Path
            The store that all parts are merged into.
        layers, settings, sparse
            As for ``LayerWriter``, of the store.

        Raises
        ------
        OptionError
            If the number of samples, or where batches end, is not known.
        """
        own_size = getattr(data, "batch_size", None)
        if n_samples is None or not (is_indexed(data) or isinstance(own_size, int)):
            raise OptionError(
                f"shards of data of the type {type(data).__name__} are not known before a pass over it, since it has "
                "no length, or batches of any size: give a Dataset or an array"
            )
        size = size if is_indexed(data) else int(own_size or size)
        n_batches = -(-n_samples // size)
        parts = {}
        for each in (Shard(k + 1, shard.of) for k in range(shard.of)):
            first, last = (min(size * at, n_samples) for at in each.bounds(n_batches))
            if first < last:
                of_each = {**settings, "shard": str(each)}
                parts[part_path(out, each)] = wanted_settings(of_each, layers, last - first, sparse)
        start, stop = (min(size * at, n_samples) for at in shard.bounds(n_batches))
        return cls(part_path(out, shard), start, stop, size, parts, {**settings, "shard": str(shard)})

    def writer(self, layers: Sequence[str], whole: Callable[[], LayerWriter], how: Mapping[str, Any]) -> LayerWriter:
        """Begin to write the part, or go on with it.

        Parameters
        ----------
        layers : sequence of str
            The names of the layers.
        whole : callable
            Begins to write the store that parts are merged into, which shows now whether that is possible.
        how : mapping from str to object
            Further keywords of ``LayerWriter``; a part with other settings is replaced only if a store may be.
        """
        with suppress(BusyError), whole():
            pass
        self.path.parent.mkdir(exist_ok=True)
        begin = partial(LayerWriter, self.path, layers, self.own, n_samples=self.stop - self.start)
        try:
            return begin(**{**how, "overwrite": False})
        except BusyError:
            raise
        except FileError:
            if not how["overwrite"]:
                raise
            return begin(**how)
