"""A matrix in a Zarr store, read a block at a time."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import reading
from neuronym._util.limits import AXIS
from neuronym._util.urls import is_local, located
from neuronym.data.store_files import StoreFiles
from neuronym.errors import FileError
from neuronym.types import PathLike

__all__ = ["ZarrMatrix"]


class ZarrMatrix:
    """A Zarr array of two axes, samples × neurons, that reads only what is indexed.

    Sent to another process, it travels as the path of its folder and is reopened there.

    Parameters
    ----------
    path : str or Path
        The folder of the array, on this machine or at a URL.
    files : StoreFiles or None, default None
        The files of the store that the array is in, by which those that are read are checked; None for an array that
        another program wrote, where a missing chunk stands for the fill value.
    """

    def __init__(self, path: PathLike, files: StoreFiles | None = None) -> None:
        place = located(path)
        self.path, self._files = str(place.resolve() if is_local(place) else place), files

    @cached_property
    def _array(self) -> Any:
        import zarr

        with reading(self.path, "activations"):
            array: Any = zarr.open_array(self.path, mode="r") if self._files is None else self._checked(self._files)
            axes = len(array.chunks)
        if axes != array.ndim or not all(array.chunks):
            raise FileError(f"cannot read activations from {self.path!r}: its chunks have the shape {array.chunks}")
        if max(array.shape, default=0) > AXIS:
            raise FileError(f"cannot read activations from {self.path!r}: the shape {array.shape} is above {AXIS:,}")
        return array

    def _checked(self, files: StoreFiles) -> Any:
        """The array, read by way of the list of the store's files."""
        import zarr

        from neuronym.data.checked_store import CheckedStore

        if is_local(files.store):
            inner = Path(self.path).relative_to(files.store.resolve()).as_posix()
        else:
            inner = self.path.removeprefix(str(files.store).rstrip("/")).strip("/")
        return zarr.open_array(store=CheckedStore(files), path=inner, mode="r")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._array.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self._array.dtype)
        return dtype

    @property
    def itemsize(self) -> int:
        return int(self.dtype.itemsize)

    @property
    def mark(self) -> str:
        """The checksum of the store's list of files; empty if there is none."""
        return "" if self._files is None else self._files.mark

    @property
    def chunk(self) -> int:
        """The number of neurons in a chunk."""
        return int(self._array.chunks[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read rows, or rows and columns, each given by a slice or an array of indices."""
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        array = self._array
        with reading(self.path, "activations"):
            found: NDArray[Any] = np.asarray(array.oindex[rows, columns])
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = self._array
        with reading(self.path, "activations"):
            found: NDArray[Any] = np.asarray(array[...])
        return found if dtype is None else found.astype(dtype, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return ZarrMatrix, (self.path, self._files)
