"""A Zarr store whose files are checked as they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from neuronym._util.urls import is_local
from neuronym.data.store_files import StoreFiles

__all__ = ["CheckedStore"]


class CheckedStore(WrapperStore[Store]):
    """A store of neuronym's for reading, which raises an error on a file that is missing or damaged.

    Parameters
    ----------
    files : StoreFiles
        The files, with their sizes and checksums. Others are read as they are.
    store : Store or None, default None
        The store that reads them.
    """

    def __init__(self, files: StoreFiles, store: Store | None = None) -> None:
        super().__init__(_opened(files.store) if store is None else store)
        self._files = files

    def _with_store(self, store: Store) -> CheckedStore:
        return CheckedStore(self._files, store)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        if key not in self._files.files:
            return await self._store.get(key, prototype, byte_range)
        data = await asyncio.to_thread(self._files.read, key)
        return prototype.buffer.from_bytes(data if byte_range is None else data[_slice(byte_range)])

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]


def _opened(place: Path) -> Store:
    """The store of Zarr's that reads a folder, on this machine or at a URL."""
    return LocalStore(place, read_only=True) if is_local(place) else FsspecStore.from_url(str(place), read_only=True)


def _slice(wanted: ByteRequest) -> slice:
    """The bytes that a request asks for."""
    if isinstance(wanted, RangeByteRequest):
        return slice(wanted.start, wanted.end)
    if isinstance(wanted, OffsetByteRequest):
        return slice(wanted.offset, None)
    return slice(-wanted.suffix, None) if wanted.suffix else slice(0, 0)
