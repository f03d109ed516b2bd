"""A store of activations while it is written: chunks, and a list of what is on the disk after each write.

The list, ``part-0.jsonl``, has a line for each write, which begins with its checksum: the state afterwards, and the
sizes and checksums of the files written. Chunks are on the disk before their line. So a run that was killed, or lost
its power, goes on from the last line. One process writes one part; the lists of parts are merged when the store is
finished.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import reading, sync
from neuronym.data.sparse_store import chunk_bytes, chunk_entries
from neuronym.data.store_files import (
    CLUSTERS,
    FORMAT,
    IDS,
    KEY,
    MATRIX,
    ROOT,
    SPARSE,
    StoreFiles,
    checksum,
    damaged,
    read_root,
    root_text,
)
from neuronym.errors import FileError

__all__ = ["CHUNK", "Progress", "delete_store", "foreign_files", "joined", "tidy"]

Rows = Any  # an array of float32, or a csr_array of them

CHUNK = 4096, 64  # samples, neurons: good to write by samples and to read by neurons

_PART = "part-0.jsonl"
_CHUNK_OF_MAPS = 64, 4096  # samples, neurons × positions: a few thousand samples of whole maps would fill the memory
_START: dict[str, Any] = {
    "samples": 0,
    "rows": 0,
    "batches": 0,
    "last": 0,
    "axes": {},
    "widths": {},
    "sparse": [],
    "merging": False,
}
_CHUNK_FILE = r"c/\d+(/\d+)?(\.([0-9a-f]+\.)?partial)?"  # and what a killed write leaves
_META = r"zarr(\.[0-9a-f]+\.partial|\.json)"
_TEXTS = rf"({IDS}|{CLUSTERS})/({_CHUNK_FILE}|{_META})"
_LAYER = rf"({SPARSE}/{_CHUNK_FILE}|{MATRIX}/({_CHUNK_FILE}|{_META})|{_META})"
_TOP = r"zarr(\.([0-9a-f]+\.)?partial|\.json)|part-\d+\.jsonl"


class Progress:
    """The part of a store that is on the disk.

    Parameters
    ----------
    folder : Path
        The store. It is made by the first ``commit``.
    settings : mapping of str to object
        How the store is made.

    Attributes
    ----------
    chunk : tuple of (int, int)
        The numbers of samples and of columns in a chunk.
    state : dict
        The numbers of samples, rows and batches that are written, the number of samples in the last batch, the axes
        and widths of the layers, and which of them are sparse.
    skipped : list of str
        The ids of skipped samples.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.settings = folder, dict(settings)
        self.chunk = _CHUNK_OF_MAPS if settings.get("maps") else CHUNK
        self._chunk_bytes = 4 * self.chunk[0] * self.chunk[1]
        self.state: dict[str, Any] = {**_START}
        self.skipped: list[str] = []
        self._files: dict[str, tuple[int | None, str | None]] = {}
        self._fresh: list[str] = []

    @classmethod
    def of_store(cls, folder: Path, settings: Mapping[str, Any]) -> Progress:
        """Read what is written of a store that is not finished.

        Raises
        ------
        FileError
            If the list is damaged.
        """
        found = cls(folder, settings)
        for line in found._lines():
            found.state |= {name: line.get(name, start) for name, start in _START.items()}
            found.skipped += line["skipped"]
            found._files |= {name: (size, sum_) for name, (size, sum_) in line["files"].items()}
        return found

    def _lines(self, cut: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the lines of the list; with ``cut``, cut off one that a killed run did not finish."""
        path = self.folder / _PART
        if not path.is_file():
            return
        end = 0
        with reading(path, "what is written of a store"), path.open("rb") as file:
            for line in file:
                sum_, _, text = line.rstrip(b"\n").partition(b" ")
                if not line.endswith(b"\n"):
                    break
                if sum_ != checksum(text).encode():
                    raise damaged(path, "its contents are not those that were written")
                end += len(line)
                yield json.loads(text)
        if cut:
            os.truncate(path, end)

    def ids(self) -> list[str]:
        """The ids of the rows that are written."""
        return [id_ for line in self._lines() for id_ in line["ids"]]

    def begin(self) -> None:
        """Make the folder, or clear away what a killed run left in it."""
        if not self.state["samples"]:
            tidy(self.folder, ())
            self.folder.mkdir(exist_ok=True)
            self._write_root({"format": FORMAT, "complete": False, "settings": self.settings})
            return
        tidy(self.folder, (*self._files, _PART))
        for _ in self._lines(cut=True):
            pass

    def add_rows(self, layer: str, values: Rows) -> None:
        """Write rows of a layer after those that are there: an array, or a csr_array for a sparse layer."""
        rows = self.state["rows"]
        if rows % self.chunk[0]:
            values = joined([self._block(layer, rows // self.chunk[0]), values])
        self.state["widths"] = {**self.state["widths"], layer: values.shape[1]}
        for start in range(0, values.shape[0], self.chunk[0]):
            self._put_block(
                layer, rows // self.chunk[0] + start // self.chunk[0], values[start : start + self.chunk[0]]
            )

    def _put_block(self, layer: str, number: int, values: Rows) -> None:
        """Write a row of chunks."""
        inner, encoded = (MATRIX, _whole) if isinstance(values, np.ndarray) else (SPARSE, _entries)
        if not isinstance(values, np.ndarray):
            values = values.tocsc()
        (self.folder / layer / inner / "c" / str(number)).mkdir(parents=True, exist_ok=True)
        for column in range(-(-values.shape[1] // self.chunk[1])):
            name = f"{layer}/{inner}/c/{number}/{column}"
            data = encoded(values[:, column * self.chunk[1] : (column + 1) * self.chunk[1]], self.chunk)
            (self.folder / f"{name}.partial").write_bytes(data)
            self._files[name] = len(data), checksum(data)
            self._fresh.append(name)

    def rows(self, layer: str, start: int, stop: int) -> NDArray[np.float32]:
        """Read rows of a layer that are written."""
        first, last = start // self.chunk[0], (stop - 1) // self.chunk[0]
        found = joined([self._block(layer, number) for number in range(first, last + 1)])
        chosen = found[start - first * self.chunk[0] : stop - first * self.chunk[0]]
        return chosen if isinstance(chosen, np.ndarray) else chosen.toarray()

    def _block(self, layer: str, number: int) -> Rows:
        """Read a row of chunks, whose last one may hold rows of a write that was killed."""
        from scipy.sparse import csc_array, hstack

        n_rows, width = min(self.chunk[0], self.state["rows"] - number * self.chunk[0]), self.state["widths"][layer]
        sparse = layer in self.state["sparse"]
        parts: list[Any] = []
        for column in range(-(-width // self.chunk[1])):
            name = f"{layer}/{SPARSE if sparse else MATRIX}/c/{number}/{column}"
            path = self.folder / name
            if not path.is_file():
                raise damaged(path, "it is missing")
            with reading(path, "activations"):
                data = path.read_bytes()
            n_columns = min(self.chunk[1], width - column * self.chunk[1])
            if sparse:
                starts, rows, values = chunk_entries(data, path, self.chunk, n_rows)
                own = csc_array((values, rows.astype(np.int32), starts[: n_columns + 1]), shape=(n_rows, n_columns))
                data = _entries(own, self.chunk) if n_rows < self.chunk[0] else data
                parts.append(own)
            elif len(data) == self._chunk_bytes and n_rows < self.chunk[0]:
                data = data[: n_rows * self.chunk[1] * 4].ljust(self._chunk_bytes, b"\0")
            if checksum(data) != self._files[name][1]:
                raise damaged(path, "its contents are not those that were written")
            if not sparse:
                parts.append(np.frombuffer(data, "<f4").reshape(self.chunk)[:n_rows, :n_columns])
        return hstack(parts, format="csr") if sparse else np.concatenate(parts, axis=1).astype(np.float32)

    def commit(self, ids: Sequence[str], skipped: Sequence[str], **state: Any) -> None:
        """Wait until what was added is on the disk, and then list it."""
        _sync_all([self.folder / f"{name}.partial" for name in self._fresh])
        for name in self._fresh:
            (self.folder / f"{name}.partial").replace(self.folder / name)
        _sync_all({parent for name in self._fresh for parent in list((self.folder / name).parents)[:4]})
        self.state |= state
        self.skipped += skipped
        files = {name: self._files[name] for name in self._fresh}
        self._list({**self.state, "skipped": list(skipped), "ids": list(ids), "files": files})
        self._fresh.clear()

    def _list(self, line: Mapping[str, Any]) -> None:
        """Add a line to the list."""
        text = json.dumps(line).encode()
        with open(self.folder / _PART, "ab") as file:
            file.write(checksum(text).encode() + b" " + text + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync(self.folder)

    def take_over(self, state: Mapping[str, Any], ids: Sequence[str]) -> None:
        """Go on with a store of format 1, whose chunks are taken as they are, by listing them."""
        last = {"samples": state["samples"], "rows": state["rows"], "batches": state["batches"]}
        self.state |= {**last, "axes": state["axes"], "widths": state["widths"]}
        self.skipped += state["skipped"]
        for layer, width in state["widths"].items():
            for row in range(-(-state["rows"] // self.chunk[0])):
                n_bytes = min(self.chunk[0], state["rows"] - row * self.chunk[0]) * self.chunk[1] * 4
                for column in range(-(-width // self.chunk[1])):
                    name = f"{layer}/{MATRIX}/c/{row}/{column}"
                    path = self.folder / name
                    if not path.is_file() or path.stat().st_size != self._chunk_bytes:
                        raise damaged(path, f"it must have {self._chunk_bytes} bytes")
                    data = path.read_bytes()[:n_bytes] + bytes(self._chunk_bytes - n_bytes)
                    self._files[name] = self._chunk_bytes, checksum(data)
        (self.folder / _PART).unlink(missing_ok=True)  # of a run that was killed right here
        _sync_all(self.folder / name for name in self._files)
        self._list({**self.state, "skipped": self.skipped, "ids": list(ids), "files": self._files})
        self._write_root({"format": FORMAT, "complete": False, "settings": self.settings})

    def check(self) -> None:
        """Check that the chunks that are listed exist and have their sizes.

        A sparse chunk that is not full may be larger, if a run was killed before it listed what it had added.

        Raises
        ------
        FileError
            If one does not.
        """
        growing = f"/{SPARSE}/c/{self.state['rows'] // self.chunk[0]}/"
        files = {name: (None if growing in name else size, sum_) for name, (size, sum_) in self._files.items()}
        StoreFiles(self.folder, files, "").check(*self.state["widths"])

    def finish(self, neurons: Mapping[str, Sequence[int | str]], clusters_of: Mapping[str, str] | None) -> None:
        """Write the metadata, the ids and the list of all files, which makes the store complete."""
        ids = self.ids()
        texts = {IDS: ids} if ids else {}
        if clusters_of is not None:
            texts[CLUSTERS] = [clusters_of[id_] for id_ in ids]
        self._write_metadata(neurons, texts)
        for name in _own_files(self.folder):
            if name not in self._files and name != ROOT and not name.startswith("part-"):
                data = (self.folder / name).read_bytes()
                self._files[name] = len(data), checksum(data)
                sync(self.folder / name)
        _sync_all({(self.folder / name).parent for name in self._files})
        listed = {name: f"{size} {sum_}" for name, (size, sum_) in sorted(self._files.items())}
        written = {name: self.state[name] for name in ("samples", "rows", "batches", "last")}
        about = {"format": FORMAT, "complete": True, **written, "skipped": self.skipped, "settings": self.settings}
        self._write_root({**about, "files": listed})
        (self.folder / _PART).unlink(missing_ok=True)

    def _write_metadata(self, neurons: Mapping[str, Sequence[int | str]], texts: Mapping[str, Sequence[str]]) -> None:
        """Write the metadata of layers and arrays, and the arrays of texts, anew."""
        import zarr

        for name in [*texts, IDS, CLUSTERS]:
            for path in _own_files(self.folder / name, _CHUNK_FILE + r"|zarr\..*"):
                (self.folder / name / path).unlink()
        rows = self.state["rows"]
        with zarr.config.set({"array.write_empty_chunks": True}):
            top: Any = zarr.open_group(str(self.folder), mode="r+")
            for layer, width in self.state["widths"].items():
                for path in (self.folder / layer / ROOT, self.folder / layer / MATRIX / ROOT):
                    path.unlink(missing_ok=True)
                about: dict[str, Any] = {"neurons": list(neurons[layer]) if layer in neurons else None}
                if layer in self.state["axes"]:
                    about = {"axes": self.state["axes"][layer], **about}
                if layer in self.state["sparse"]:
                    about[SPARSE] = {"shape": [rows, width], "chunks": self.chunk}
                    top.create_group(layer, attributes={KEY: about})
                else:
                    _new(top.create_group(layer, attributes={KEY: about}), MATRIX, (rows, width), self.chunk, "float32")
            for name, values in texts.items():
                _new(top, name, (rows,), CHUNK[:1], "string")[:] = np.array(values, dtype=object)

    def _write_root(self, attributes: Mapping[str, Any]) -> None:
        """Replace the ``zarr.json`` of the store."""
        partial = self.folder / "zarr.partial"
        partial.write_bytes(root_text(attributes))
        sync(partial)
        partial.replace(self.folder / ROOT)
        sync(self.folder)
        sync(self.folder.parent)


def joined(parts: Sequence[Rows]) -> Rows:
    """Put rows of a layer below each other: arrays, or sparse matrices."""
    from scipy.sparse import vstack

    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else vstack(parts, format="csr")


def _whole(part: NDArray[np.float32], size: tuple[int, int]) -> bytes:
    """A chunk as Zarr writes it: a whole one, with zeros where the array ends."""
    chunk = np.zeros(size, "<f4")
    chunk[: part.shape[0], : part.shape[1]] = part
    return chunk.tobytes()


def _entries(part: Any, size: tuple[int, int]) -> bytes:
    """A chunk of a sparse layer."""
    return chunk_bytes(part, size[1])


def _new(group: Any, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str) -> Any:
    """Make an uncompressed array."""
    return group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, compressors=None)


def _sync_all(paths: Iterable[Path]) -> None:
    """Wait until files or folders are on the disk."""
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(sync, paths):
            pass


def _own_files(folder: Path, pattern: str = rf"{_TOP}|{_TEXTS}|[^/]+/{_LAYER}") -> list[str]:
    """The files in a store, by name, that have the names of ours."""
    names = (Path(root, name).relative_to(folder).as_posix() for root, _, files in os.walk(folder) for name in files)
    return sorted(name for name in names if re.fullmatch(pattern, name))


def tidy(store: Path, listed: Iterable[str]) -> None:
    """Delete what killed runs have left in a store: the files that have the names of ours and are not listed."""
    for name in {*_own_files(store)} - {*listed, ROOT}:
        (store / name).unlink()


def _listed(store: Path) -> set[str] | None:
    """The files that a finished store of ours lists; None if there is no such list."""
    try:
        state = read_root(store)
    except FileError:  # which may be replaced
        return None
    listed = state.get("files") if isinstance(state, dict) else None
    return {*listed, _PART, ROOT} if isinstance(listed, dict) else None


def foreign_files(store: Path) -> list[str]:
    """The names of what is in a store of neuronym's and is not its own: not listed, or not named as its files are."""
    listed = _listed(store)
    known = {*_own_files(store)} if listed is None else listed
    folders = {parent.as_posix() for name in known for parent in Path(name).parents}
    foreign = []
    for root, below, files in os.walk(store):
        for name in [*below, *files]:
            path = Path(root, name)
            inner = path.relative_to(store).as_posix()
            own = inner in known if name in files else inner in folders or listed is None
            if path.is_symlink() or not own:
                foreign.append(inner)
    return sorted(foreign)


def delete_store(store: Path) -> None:
    """Delete the files of a store, its ``zarr.json`` last, and the folders that are empty then."""
    if not store.is_dir():
        return
    listed = _listed(store)
    names = _own_files(store) if listed is None else listed
    for name in sorted(names, key=lambda name: name == ROOT):
        (store / name).unlink(missing_ok=True)
    for root, _, _ in os.walk(store, topdown=False):
        if not any(Path(root).iterdir()):
            Path(root).rmdir()
