"""A Zarr store whose files are checked as they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from neuronym.data.store_files import StoreFiles

__all__ = ["CheckedStore"]


class CheckedStore(WrapperStore[LocalStore]):
    """A store of neuronym's for reading, which raises an error on a file that is missing or damaged.

    Parameters
    ----------
    files : StoreFiles
        The files, with their sizes and checksums. Others are read as they are.
    store : LocalStore or None, default None
        The store that reads them.
    """

    def __init__(self, files: StoreFiles, store: LocalStore | None = None) -> None:
        super().__init__(LocalStore(files.store, read_only=True) if store is None else store)
        self._files = files

    def _with_store(self, store: LocalStore) -> CheckedStore:
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


def _slice(wanted: ByteRequest) -> slice:
    """The bytes that a request asks for."""
    if isinstance(wanted, RangeByteRequest):
        return slice(wanted.start, wanted.end)
    if isinstance(wanted, OffsetByteRequest):
        return slice(wanted.offset, None)
    return slice(-wanted.suffix, None) if wanted.suffix else slice(0, 0)
