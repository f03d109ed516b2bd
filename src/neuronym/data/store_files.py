"""The files that a store of activations must hold, with their sizes and checksums.

They are listed in the ``zarr.json`` of the store, whose last attribute is a checksum of all that stands before it. A
list holds no times, hosts or paths, so equal runs write equal bytes.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from neuronym._util.files import read_json, reading
from neuronym._util.messages import counted
from neuronym._util.parallel import progress_bar
from neuronym._util.urls import is_local, located
from neuronym.errors import FileError

__all__ = [
    "CLUSTERS",
    "FORMAT",
    "IDS",
    "KEY",
    "MATRIX",
    "ROOT",
    "SPARSE",
    "Checked",
    "StoreFiles",
    "checksum",
    "damaged",
    "read_root",
    "root_text",
]

KEY, IDS, CLUSTERS, MATRIX, SPARSE = "neuronym", "sample_ids", "clusters", "activations", "sparse"
ROOT = "zarr.json"
FORMAT = 2  # stores of format 1 list no files

_HEAD, _TAIL = b'"checksum": "', b'"\n  }\n }\n}\n'
_READERS = 4  # threads
_CHANGED = "its contents are not those that were written"


def checksum(data: bytes) -> str:
    """The CRC-32C of some bytes, in hexadecimal."""
    import google_crc32c

    return f"{google_crc32c.value(data):08x}"


def damaged(path: Path, why: str) -> FileError:
    """The error for a file of a store that is not as it was written."""
    return FileError(
        f"{str(path)!r} is damaged: {why}; copy the store again, or collect it again with overwrite=True (--overwrite)"
    )


def root_text(attributes: Mapping[str, Any]) -> bytes:
    """The contents of the ``zarr.json`` of a store with these attributes."""
    whole = {"zarr_format": 3, "node_type": "group", "attributes": {KEY: {**attributes, "checksum": ""}}}
    text = json.dumps(whole, indent=1).encode() + b"\n"
    before = text[: -len(_TAIL)]
    return before + checksum(before).encode() + _TAIL


def read_root(store: Path) -> Any:
    """Read what the ``zarr.json`` of a store says about it, and check that it is as it was written.

    Returns
    -------
    object
        The attributes that neuronym wrote; None if another program made the store.

    Raises
    ------
    FileError
        If the file is broken, or its checksum does not match.
    """
    path = store / ROOT
    with reading(path, "activations"):
        if not path.is_file():
            return None
        text = path.read_bytes()
    end = len(text) - len(_TAIL) - 8
    signed = text.endswith(_TAIL) and text[:end].endswith(_HEAD)
    if signed and text[end : end + 8] != checksum(text[:end]).encode():
        raise damaged(path, _CHANGED)
    with reading(path, "activations"):
        whole = json.loads(text)
    attributes = whole.get("attributes") if isinstance(whole, dict) else None
    state = attributes.get(KEY) if isinstance(attributes, dict) else None
    if isinstance(state, dict) and not signed and state.get("format") != 1:
        raise damaged(path, _CHANGED)
    if isinstance(attributes, dict) and KEY in attributes and not isinstance(state, dict):
        raise FileError(f"{str(path)!r} is broken: its attributes must say how the store was made")
    return state


class Checked(NamedTuple):
    """What ``check`` found.

    Parameters
    ----------
    n_files : int
        The number of files that were checked.
    n_bytes : int
        Their size.
    faults : list of str
        What is wrong, a line for each file; empty if the store is as it was written.
    summed : bool
        Whether the store has checksums; otherwise it can only be seen that files exist and have their sizes.
    """

    n_files: int
    n_bytes: int
    faults: list[str]
    summed: bool

    def __str__(self) -> str:
        how = "" if self.summed else ", which have no checksums, by their sizes"
        state = counted(len(self.faults), "fault") if self.faults else "all as they were written"
        return f"{counted(self.n_files, 'file')} ({self.n_bytes / 2**20:,.1f} MiB) checked{how}: {state}"


class StoreFiles:
    """The files of a store by name, with their sizes and checksums.

    Parameters
    ----------
    store : Path
        The store.
    files : mapping of str to (int or None, str or None), or None
        The size and checksum of each file; None if it is not known. None for the whole: the list is read, and the mark
        compared, when it is first needed, as in another process.
    mark : str
        A checksum of the list; empty if the store has none.
    """

    def __init__(self, store: Path, files: Mapping[str, tuple[int | None, str | None]] | None, mark: str) -> None:
        self.store, self.mark = store, mark
        self._files = files

    @property
    def files(self) -> Mapping[str, tuple[int | None, str | None]]:
        """The size and checksum of each file, by name."""
        if self._files is None:
            self._files = StoreFiles.open(self.store, self.mark).files
        return self._files

    def __reduce__(self) -> tuple[Any, ...]:
        return _elsewhere, (str(self.store.resolve() if is_local(self.store) else self.store), self.mark)

    @classmethod
    def open(cls, store: Path, mark: str | None = None) -> StoreFiles:
        """Read the list of a finished store, or, for one of format 1, find out which files it must hold.

        Parameters
        ----------
        store : Path
            The store.
        mark : str or None, default None
            The mark that the list must have, if it was opened before.

        Raises
        ------
        FileError
            If the list is broken, or is another one than before.
        """
        state = read_root(store)
        if mark is not None and (state or {}).get("checksum", "") != mark:
            raise FileError(f"{str(store)!r} is not the store that was opened: it was replaced, or copied in part")
        return cls.of_state(store, state)

    @classmethod
    def of_state(cls, store: Path, state: Mapping[str, Any]) -> StoreFiles:
        """Take the list from what ``read_root`` returns."""
        if state.get("format") == 1:
            return cls(store, dict(_unlisted(store, state["settings"]["layers"])), "")
        listed: dict[str, tuple[int | None, str | None]] = {}
        for name, entry in state["files"].items():
            size, _, sum_ = entry.partition(" ")
            listed[name] = int(size), sum_
        return cls(store, listed, state["checksum"])

    def read(self, name: str) -> bytes:
        """Read a file, and check it.

        Raises
        ------
        FileError
            If it is missing or damaged.
        """
        path = self.store / name
        with reading(path, "activations"):
            try:
                data = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                raise damaged(path, "it is missing") from None
        why = self._fault(name, len(data))
        known = self.files[name][1]
        if why is None and known is not None and checksum(data) != known:
            why = _CHANGED
        if why is not None:
            raise damaged(path, why)
        return data

    def check(self, *folders: str) -> None:
        """Check that the files in some folders of the store exist and have their sizes.

        Raises
        ------
        FileError
            If one does not; the message names the first one, and counts the others.
        """
        found = list(self.faults(name for name in self.files if name.startswith(tuple(f"{f}/" for f in folders))))
        if found:
            name, why = found[0]
            more = "" if len(found) == 1 else f", and {len(found) - 1} more files are missing or of another size"
            raise damaged(self.store / name, why + more)

    def faults(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield the name of each of these files that is missing or has another size, and what is wrong."""
        by_folder: dict[str, list[str]] = {}
        for name in names:
            folder, _, own = name.rpartition("/")
            by_folder.setdefault(folder, []).append(own)
        elsewhere = None if is_local(self.store) else _sizes_elsewhere(self.store, by_folder)
        for folder, names_in_it in by_folder.items():
            sizes = _sizes(self.store / folder) if elsewhere is None else elsewhere.get(folder, {})
            for own in names_in_it:
                name = f"{folder}/{own}" if folder else own
                why = "it is missing" if own not in sizes else self._fault(name, sizes[own])
                if why is not None:
                    yield name, why

    def read_all(self, progress: bool = False) -> Checked:
        """Read and check every file, with a progress bar on standard error if ``progress``."""
        missing = dict(self.faults(self.files))
        faults = {name: str(damaged(self.store / name, why)) for name, why in missing.items()}
        names = [name for name in self.files if name not in missing]

        def fault(name: str) -> tuple[int, str | None]:
            try:
                return len(self.read(name)), None
            except FileError as error:
                return 0, str(error)

        with reading(self.store / ROOT, "activations"):
            n_bytes = (self.store / ROOT).stat().st_size
        with ThreadPoolExecutor(_READERS) as pool:
            found = pool.map(fault, names)
            bar = progress_bar(found, lambda _: 1, "files", len(names)) if progress else found
            for name, (size, why) in zip(names, bar, strict=True):
                n_bytes += size
                if why is not None:
                    faults[name] = why
        return Checked(len(self.files) + 1, n_bytes, [faults[name] for name in sorted(faults)], bool(self.mark))

    def _fault(self, name: str, size: int) -> str | None:
        """What is wrong with the size of a file, if anything."""
        expected = self.files[name][0]
        return None if expected in (None, size) else f"it has {size} bytes instead of {expected}"


def _elsewhere(store: str, mark: str) -> StoreFiles:
    """The files of a store that was opened by another process."""
    return StoreFiles(located(store), None, mark)


def _sizes(folder: Path) -> dict[str, int]:
    """The sizes of the files in a folder."""
    with reading(folder, "activations"):
        try:
            with os.scandir(folder) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if _is_file(entry)}
        except (FileNotFoundError, NotADirectoryError):
            return {}


def _sizes_elsewhere(store: Any, folders: Iterable[str]) -> dict[str, dict[str, int]]:
    """The sizes of the files in folders of a store at a URL, listed by their first folder: each list takes long."""
    found: dict[str, dict[str, int]] = {}
    for first in {name.partition("/")[0] for name in folders}:
        top = store / first if first else store
        with reading(top, "activations"):
            top.fs.invalidate_cache(top.path)
            listed = top.fs.find(top.path, maxdepth=None if first else 1, detail=True)
        start = len(store.path.rstrip("/")) + 1
        for path, entry in listed.items():
            folder, _, own = path[start:].rpartition("/")
            found.setdefault(folder, {})[own] = int(entry["size"])
    return found


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether a name leads to a file; a link that leads to itself does not."""
    try:
        return entry.is_file()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


def _unlisted(store: Path, layers: Iterable[str]) -> Iterator[tuple[str, tuple[int | None, str | None]]]:
    """Yield the chunks that a store of format 1 must hold, all of them, since those of zeros were written too."""
    arrays = [
        *(f"{layer}/{MATRIX}" for layer in layers),
        *(name for name in (IDS, CLUSTERS) if (store / name).exists()),
    ]
    for name in arrays:
        path = store / name / ROOT
        if not path.is_file():
            raise damaged(path, "it is missing")
        metadata = read_json(path, "activations")
        try:
            shape, chunks = metadata["shape"], metadata["chunk_grid"]["configuration"]["chunk_shape"]
            counts = [-(-length // chunk) for length, chunk in zip(shape, chunks, strict=True)]
            size = prod(chunks) * 4 if metadata["data_type"] == "float32" else None
        except (TypeError, KeyError, ValueError, ZeroDivisionError):
            raise damaged(path, "it does not describe an array of activations") from None
        for place in product(*map(range, counts)):
            yield f"{name}/c/{'/'.join(map(str, place))}", (size, None)
