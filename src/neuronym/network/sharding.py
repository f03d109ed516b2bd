"""The part of the samples that one of several processes collects."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from neuronym._util.files import kind_of
from neuronym._util.locks import BusyError
from neuronym._util.shards import Shard
from neuronym.data.activations import Activations
from neuronym.errors import FileError, OptionError
from neuronym.io.store_parts import is_finished, merge_parts, part_path, unfinished
from neuronym.io.zarr_store import SUFFIX, LayerWriter
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
    shard : Shard
        Which one.
    shards : list of Shard
        All shards that have samples.
    start, stop : int
        The first sample, and the one after the last.
    size : int
        The number of samples in a batch.
    out : str or Path
        The store that all parts are merged into.
    """

    shard: Shard
    shards: list[Shard]
    start: int
    stop: int
    size: int
    out: PathLike

    @classmethod
    def of(cls, data: Any, shard: Shard, n_samples: int | None, size: int, out: PathLike) -> PartOfSamples:
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
        bounds = {each: each.bounds(n_batches) for each in (Shard(k + 1, shard.of) for k in range(shard.of))}
        start, stop = (min(size * at, n_samples) for at in bounds[shard])
        return cls(shard, [each for each, (first, last) in bounds.items() if first < last], start, stop, size, out)

    def writer(self, layers: Sequence[str], settings: Mapping[str, Any], how: Mapping[str, Any]) -> LayerWriter:
        """Begin to write the part, or go on with it; one with other settings is replaced only if a store may be."""
        kind_of(self.out, (SUFFIX,), "a store of activations")
        path = part_path(self.out, self.shard)
        if not path.parent.parent.is_dir():
            raise FileError(f"cannot write {str(self.out)!r}: there is no folder {str(Path(self.out).parent)!r}")
        path.parent.mkdir(exist_ok=True)
        own = {**settings, "shard": str(self.shard)}
        begin = partial(LayerWriter, path, layers, own, n_samples=self.stop - self.start)
        try:
            return begin(**{**how, "overwrite": False})
        except BusyError:
            raise
        except FileError:
            if not how["overwrite"]:
                raise
            return begin(**how)

    def merged(
        self,
        writer: Callable[[], LayerWriter],
        clusters_of: Mapping[str, str] | None,
        together: Callable[[], object] | None,
        overwrite: bool,
    ) -> dict[str, Activations] | None:
        """Merge the parts into the store, if all are finished, and return its layers.

        Parameters
        ----------
        writer : callable
            Begins to write the store.
        clusters_of, together
            As for ``LayerWriter.finish``.
        overwrite : bool
            Whether a store that is there is to be replaced.

        Returns
        -------
        dict of str to Activations, or None
            The layers; None if parts are missing, or another process merges them.
        """
        merged_elsewhere = is_finished(self.out) and not overwrite
        if unfinished(self.out, self.shards) and not merged_elsewhere:
            return None
        return merge_parts(self.out, self.shards, writer, clusters_of, together)
