"""The Zarr store of activations: a group with a subgroup per layer, written incrementally and resumed if interrupted.

::

    acts.zarr/            attributes: how it was made, and the size and checksum of every file
        sample_ids        texts, if samples have ids
        clusters          texts: the cluster of each sample, if known and not implied by token ids
        LAYER/            attributes: names of the neurons, and the meaning of the axes that were pooled (with the
                          size of the maps, if they were kept: then a column for each neuron and position)
            activations   float32, samples × neurons, in chunks of 4,096 × 64, uncompressed (maps: 64 × 4,096)
        part-0.jsonl      until it is finished: what is written so far

Its contents are the same in every run, interrupted or not. It is finished when all of it is on the disk: chunks before
the list of them, ``zarr.json`` last. Opening it checks that every file exists and has its size, and reading checks the
checksums (CRC-32C) of the chunks that are read; ``check`` reads all. Stores of format 1, which list no files, must have
every chunk. In a Zarr store of another program, a missing chunk stands for the fill value, as Zarr has it.

A store that is overwritten stays as it is until the new one, which is built beside it under a hidden name, is finished;
then the two are exchanged and the old one is deleted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neuronym._util.characters import half_in, refuse_halves, shortened
from neuronym._util.files import keep_mode, kind_of, reading, sync
from neuronym._util.folders import exchange
from neuronym._util.limits import AXIS
from neuronym._util.locks import beside, leftovers, locked
from neuronym._util.messages import counted, no_such, some
from neuronym._util.urls import is_local, located
from neuronym.data.activations import Activations
from neuronym.data.grids import grid_of
from neuronym.data.ids import parent
from neuronym.data.labelled import is_sparse, to_sparse
from neuronym.data.sparse import dense as as_dense
from neuronym.data.sparse_store import SparseStoreMatrix
from neuronym.data.store_files import CLUSTERS, IDS, KEY, MATRIX, ROOT, SPARSE, StoreFiles, read_root
from neuronym.data.zarr_matrix import ZarrMatrix
from neuronym.errors import ActivationsError, FileError, OptionError
from neuronym.io.store_progress import Progress, delete_store, foreign_files, joined, tidy
from neuronym.types import PathLike

__all__ = [
    "LayerWriter",
    "as_finite",
    "check_layers",
    "check_widths",
    "how_much",
    "is_made",
    "open_layers",
    "split_path",
    "state_of",
    "to_be_sparse",
    "wanted_settings",
]

SUFFIX = ".zarr"

_PATIENCE, _SHARE = 20.0, 20  # the time between writes: at least these seconds, and this multiple of a write
_REPLACE = "choose another name, or replace it with overwrite=True (--overwrite)"
_RESERVED = (IDS, CLUSTERS, ROOT, ".zgroup", ".zattrs", ".zarray", ".zmetadata")  # in the folder of a store
_LONGEST_NAME = 255  # bytes of the name of a folder, on any usual file system


def split_path(path: PathLike) -> tuple[Path, str | None] | None:
    """Split ``store.zarr/layer`` into the store and the layer, if any; None for a path outside of a Zarr store."""
    whole = located(path)
    for store in (whole, *whole.parents):
        if store.suffix.lower() == SUFFIX:
            below = whole.relative_to(store).as_posix() if is_local(store) else str(whole)[len(str(store)) :].strip("/")
            return store, None if below in ("", ".") else below
    return None


def open_layers(path: PathLike) -> dict[str, Activations]:
    """Open the layers of a Zarr store without reading their activations.

    An array of samples × neurons written by another program opens as a layer without names and ids.

    Parameters
    ----------
    path : str or Path
        A store, ``store.zarr``, or one of its layers, ``store.zarr/layer``; or the URL of one, such as
        ``s3://bucket/store.zarr``.

    Returns
    -------
    dict from str to Activations
        The layers by name.

    Raises
    ------
    FileError
        If there is no such store, or it is incomplete; the message says how much is written.
    UnknownNameError
        If it has no such layer.
    """
    import zarr

    found = split_path(path)
    if found is None:
        raise FileError(f"{str(path)!r} is not in a Zarr store: the name of the store must end in {SUFFIX}")
    store, layer = found
    with reading(store, "activations"):
        if not store.is_dir():
            raise FileError(f"cannot read activations: there is no folder {str(store)!r}")
    made = read_root(store)
    if made is not None:
        return _open_own(store, layer, state_of(made, store))
    with reading(store, "activations"):
        try:
            node: Any = zarr.open(str(store), mode="r")
        except FileNotFoundError:
            raise FileError(
                f"{str(store)!r} is not a Zarr store: there is no file {str(store / ROOT)!r}; if it was one, copy it "
                "again"
            ) from None
    if isinstance(node, zarr.Array):
        return {store.stem: Activations(_matrix(store, store))}
    return _foreign(node, store, layer)


def _open_own(store: Path, layer: str | None, state: Mapping[str, Any]) -> dict[str, Activations]:
    """Open the layers of a store of neuronym's."""
    import zarr

    from neuronym.data.checked_store import CheckedStore

    if not state["complete"]:
        raise FileError(f"{str(store)!r} is incomplete: {how_much(state)}; rerun the command that made it to resume")
    known = state["settings"]["layers"]
    if layer is not None and layer not in known:
        raise no_such("layer", layer, known)
    layers = known if layer is None else [layer]
    files = StoreFiles.of_state(store, state)
    files.check(*layers, IDS, CLUSTERS)
    with reading(store, "activations"):
        node: Any = zarr.open_group(store=CheckedStore(files), mode="r")
    ids = _texts(node, IDS, store)
    clusters = _texts(node, CLUSTERS, store)
    if clusters is None and ids is not None and state["settings"].get("tokens"):
        clusters = [parent(i) for i in ids]
    return {
        name: Activations(
            _sparse(node, name, store, files) or _matrix(store / name / MATRIX, store, files),
            _neurons(node, name, store),
            sample_ids=ids,
            skipped=state["skipped"],
            clusters=clusters,
            axes=_axes(node, name, store),
        )
        for name in layers
    }


def _matrix(path: Path, store: Path, files: StoreFiles | None = None) -> ZarrMatrix:
    """An array of a store, without reading more than its metadata."""
    matrix = ZarrMatrix(str(path), files)
    with reading(path, "activations"):
        if not path.is_dir():
            raise FileError(f"cannot read activations from {str(store)!r}: there is no array {str(path)!r}")
    _ = matrix.shape
    return matrix


def _sparse(node: Any, layer: str, store: Path, files: StoreFiles) -> SparseStoreMatrix | None:
    """The matrix of a sparse layer; None for a dense one."""
    with reading(store, "activations"):
        attributes = node[layer].attrs.get(KEY) if layer in node else None
    about = attributes.get(SPARSE) if isinstance(attributes, dict) else None
    if about is None:
        return None
    pairs: list[Any] = [about.get(name) for name in ("shape", "chunks")] if isinstance(about, dict) else [None]
    if not all(isinstance(pair, list) and len(pair) == 2 and all(map(_is_size, pair)) for pair in pairs):
        raise FileError(f"cannot read activations from {str(store)!r}: layer {layer!r} does not say how it is stored")
    (n_samples, n_neurons), (rows, columns) = pairs
    of_rows, of_columns = -(-n_samples // rows), -(-n_neurons // columns)
    listed = sum(name.startswith(f"{layer}/{SPARSE}/c/") for name in files.files)
    first_and_last = (f"{layer}/{SPARSE}/c/{i}/{j}" for i, j in ((0, 0), (of_rows - 1, of_columns - 1)))
    if listed != of_rows * of_columns or not all(name in files.files for name in first_and_last):
        raise FileError(f"cannot read activations from {str(store)!r}: layer {layer!r} does not list its chunks")
    return SparseStoreMatrix(f"{layer}/{SPARSE}", files, (n_samples, n_neurons), (rows, columns))


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= AXIS


def _texts(node: Any, name: str, store: Path) -> list[str] | None:
    """The texts in an array of a store; None if there is no such array."""
    with reading(store, "activations"):
        texts = list(node[name][:].tolist()) if name in node else None
    if texts is not None and not all(isinstance(text, str) for text in texts):
        raise FileError(f"cannot read activations from {str(store)!r}: its {name} are not texts")
    return texts


def _neurons(node: Any, layer: str, store: Path) -> list[int | str] | None:
    """The names of a layer's neurons; None if they have none."""
    with reading(store, "activations"):
        attributes = node[layer].attrs.get(KEY)
    names = attributes.get("neurons", ()) if isinstance(attributes, dict) else ()
    if names is not None and not isinstance(names, list):
        raise FileError(f"cannot read activations from {str(store)!r}: layer {layer!r} does not list its neurons")
    return names


def _axes(node: Any, layer: str, store: Path) -> str | None:
    """What the axes of a layer's output mean; None if it is not recorded."""
    with reading(store, "activations"):
        attributes = node[layer].attrs.get(KEY) if layer in node else None
    axes = attributes.get("axes") if isinstance(attributes, dict) else None
    return axes if isinstance(axes, str) else None


def state_of(state: Any, store: Path) -> dict[str, Any]:
    """What a store says about itself, checked for completeness."""
    settings = state.get("settings") if isinstance(state, dict) else None
    layers = settings.get("layers") if isinstance(settings, dict) else None
    if (
        not isinstance(settings, dict)
        or not isinstance(layers, list)
        or not all(isinstance(layer, str) and _fits(layer) for layer in layers)
        or not isinstance(settings.get("samples"), int | None)
        or not isinstance(state.get("complete"), bool)
    ):
        raise _broken(store)
    if state.get("format") != 1 and not state["complete"]:
        progress = Progress.of_store(store, settings)
        state = {**state, **progress.state, "skipped": progress.skipped}
    if not all(isinstance(state.get(name), int) for name in ("samples", "rows", "batches")) or not isinstance(
        state.get("skipped"), list
    ):
        raise _broken(store)
    return dict(state)


def _broken(store: Path) -> FileError:
    return FileError(f"{str(store)!r} is broken: its attributes must say how it was made and how much is written")


def how_much(state: Mapping[str, Any]) -> str:
    """How many samples are written, for messages."""
    total = state["settings"]["samples"]
    share = "" if not total else f" of {total} ({state['samples'] / total:.0%})"
    return f"{state['samples']}{share} samples are written"


def _foreign(node: Any, store: Path, layer: str | None) -> dict[str, Activations]:
    """The arrays of a Zarr group written by another program."""
    with reading(store, "activations"):
        arrays = {name: array.ndim for name, array in node.arrays()}
        exists = layer is None or layer in arrays or (layer in node and hasattr(node[layer], "shape"))
    if layer is not None:
        if not exists:
            raise no_such("array", layer, list(arrays))
        return {layer: Activations(_matrix(store / layer, store))}
    names = [name for name, n_axes in arrays.items() if n_axes == 2]
    if not names:
        raise FileError(
            f"{str(store)!r} has no array of two axes, samples × neurons, at its top: name one, as in {store}/array"
        )
    return {name: Activations(_matrix(store / name, store)) for name in names}


class LayerWriter:
    """Write a Zarr store batch by batch; if interrupted, rerun to resume.

    Samples are kept in memory until a chunk of 4,096 (of whole maps, of 64) is full or, if they arrive slowly, for 20
    seconds. Then they are written, and after them their number. So a run that was killed loses at most what it had in
    memory. Nothing is made before the first write.

    Use it as a context manager, which locks the store.

    Parameters
    ----------
    path : str or Path
        The store; it must end in ``.zarr``.
    layers : sequence of str
        The names of the layers.
    settings : mapping from str to object
        Plain data that describes how the activations are made; a store with other settings is not resumed.
    n_samples : int or None, default None
        The total number of samples, if known.
    neurons : mapping from str to sequence of (int or str) or None, default None
        The names of the neurons by layer, for layers whose neurons have names.
    axes : mapping from str to str or None, default None
        What the axes of the layers' outputs mean, where the user says so; a store with others is not resumed.
    sparse : float or bool, default 0.0
        Layers of whose first batch a smaller share than this is not zero are stored without their zeros; ``True`` for
        all.
    overwrite : bool, default False
        Replace an existing store of neuronym's, which stays whole until the new one is finished. A new one that was
        begun with the same settings and not finished is resumed.
    merging : bool, default False
        Whether the samples come from parts, whose rows may be written before it is known how many samples they are of;
        only a run that merges goes on with such a store.

    Attributes
    ----------
    samples, rows, batches : int
        How much was added, including earlier runs. Rows are fewer than samples if some are skipped, and more if rows
        are tokens.
    skipped : list of str
        The ids of skipped samples.
    complete : bool
        Whether the store is finished.

    Raises
    ------
    FileError
        If the path is taken by something else, by a store with other settings or by one that holds other files; if
        what is written is damaged; or if another run is writing to it.
    OptionError
        If a layer has a name that a store cannot contain.
    """

    def __init__(
        self,
        path: PathLike,
        layers: Sequence[str],
        settings: Mapping[str, Any],
        *,
        n_samples: int | None = None,
        neurons: Mapping[str, Sequence[int | str]] | None = None,
        axes: Mapping[str, str] | None = None,
        sparse: float = 0.0,
        overwrite: bool = False,
        merging: bool = False,
    ) -> None:
        kind_of(path, (SUFFIX,), "a store of activations")
        if not is_local(located(path)):
            raise FileError(f"cannot write {str(path)!r}: stores are written to this machine, so copy it there after")
        self.path, self._given = Path(os.path.realpath(path)), path
        if not self.path.parent.is_dir():
            raise FileError(
                f"cannot write {str(path)!r}: there is no folder {str(self.path.parent)!r}, so make it first"
            )
        check_layers(layers)
        self._layers, self._neurons = list(layers), dict(neurons or {})
        for names in self._neurons.values():
            refuse_halves(map(str, names), "name of a neuron", ActivationsError)
        self._pending: dict[str, list[Any]] = {layer: [] for layer in layers}
        self._sparse = sparse
        self._decided: list[str] | None = None
        self._ids: list[str] = []
        self._since, self._cost = time.monotonic(), 0.0
        self._wanted = wanted_settings(settings, layers, n_samples, sparse)
        self._merging = merging
        self._overwrite, self._begun, self._stack = overwrite, False, ExitStack()
        with _unbroken(path), ExitStack() as stack:
            self._alone = stack.enter_context(locked(self.path, path))
            self._finished, self._progress = self._found()
            self._opened = open_layers(self.path) if self._finished and self._finished["rows"] else None
            self._recorded = self._recorded_axes()
            self.use_axes(axes or {})
            self._stack = stack.pop_all()
        state = self._progress.state if self._finished is None else self._finished
        self.samples, self.rows, self.batches = (int(state[name]) for name in ("samples", "rows", "batches"))
        self.last = int(state.get("last", 0))
        self.skipped: list[str] = list(self._progress.skipped if self._finished is None else state["skipped"])
        self._widths: dict[str, int] = dict(self._progress.state["widths"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        new = self._progress.folder
        if new != self.path and not self._progress.state["samples"] and new.is_dir():  # nothing to go on with
            with suppress(OSError):  # the next run tries again
                delete_store(new)
        self._stack.close()

    def _recorded_axes(self) -> dict[str, str | None] | None:
        """The axes by layer of what is on the disk; None if that is nothing."""
        if self._opened is not None:
            return {layer: one.axes for layer, one in self._opened.items()}
        return dict(self._progress.state["axes"]) if self._progress.state["rows"] else None

    def _found(self) -> tuple[dict[str, Any] | None, Progress]:
        """The finished store that is wanted, if there is one; else what is written of it, if anything."""
        for left in leftovers(self.path, "old") if self._alone else ():  # from an exchange that was cut short
            if not self.path.exists():
                left.rename(self.path)
        known = _known(self.path, self._overwrite)
        if known is None:
            return None, Progress(self.path, self._wanted)
        differ = _differences(known, self._wanted) if known["samples"] else []
        if differ and not self._overwrite:
            raise _other_settings(self._given, differ)
        if self._overwrite and (known["complete"] or differ):
            self._check_own(self.path)
            return None, self._beside()
        return (known, Progress(self.path, self._wanted)) if known["complete"] else (None, self._resumed(known))

    def _resumed(self, known: dict[str, Any]) -> Progress:
        """What is written of a store that is not finished."""
        if not known["samples"] or known.get("merging", False) != self._merging:
            return Progress(self.path, self._wanted)
        if known.get("format") != 1:
            progress = Progress.of_store(self.path, known["settings"])
            progress.check()
            return progress
        progress = Progress(self.path, self._wanted)
        progress.take_over(*_of_format_1(self.path, known))
        return progress

    def _beside(self) -> Progress:
        """What is written of the store that is to replace another; what else killed runs have left is deleted."""
        found = None
        for left in leftovers(self.path, "new") if self._alone else ():
            known = None if found is not None else _leftover(left)
            fits = known is not None and not _differences(known, self._wanted)
            if known is not None and fits and known.get("merging", False) == self._merging:
                found = Progress.of_store(left, known["settings"])
                found.check()
            else:
                delete_store(left)
        return Progress(beside(self.path, "new"), self._wanted) if found is None else found

    def _check_own(self, store: Path) -> None:
        """Raise if a store that is to be replaced holds what neuronym did not write."""
        foreign = foreign_files(store)
        if foreign:
            raise FileError(
                f"{str(self._given)!r} holds {some(foreign)}, which neuronym did not write: move what is yours, or "
                "choose another name"
            )

    def use_sparse(self, layers: Sequence[str]) -> None:
        """Say which layers are to be sparse, whatever their first batch is.

        Parameters
        ----------
        layers : sequence of str
            Their names.
        """
        self._decided = list(layers)

    def use_axes(self, axes: Mapping[str, str]) -> None:
        """Record what the axes of the layers' outputs mean.

        Parameters
        ----------
        axes : mapping from str to str
            A letter for each axis, by layer.

        Raises
        ------
        FileError
            If the store holds activations with other axes.
        """
        # How outputs were taken before this was recorded; a finished store is compared by a batch of activations.
        by_number = {} if self.complete else {3: "BTC", 4: "BCHW", 5: "BCTHW"}
        recorded = self._recorded or {}
        for layer, now in axes.items() if self._recorded is not None else ():
            then = recorded.get(layer) or by_number.get(len(now), now)
            if then != now:
                raise _other_settings(self._given, [f"axes of {layer!r}: {then!r} then, {now!r} now"])
        self._progress.state["axes"] = {**self._progress.state["axes"], **axes}

    @property
    def chunk(self) -> int:
        """The number of samples in a chunk."""
        return self._progress.chunk[0]

    @property
    def complete(self) -> bool:
        """Whether the store is finished."""
        return self._finished is not None

    def stored(self, start: int, stop: int) -> dict[str, NDArray[np.float32]]:
        """Read rows that are on the disk.

        Parameters
        ----------
        start, stop : int
            The first row, and the one after the last.

        Returns
        -------
        dict from str to float32 array of shape (stop - start, n_neurons)
            The rows by layer.

        Raises
        ------
        FileError
            If they are damaged.
        """
        if self._opened is not None:
            return {layer: as_dense(one.matrix[start:stop]).astype(np.float32) for layer, one in self._opened.items()}
        return {layer: self._progress.rows(layer, start, stop) for layer in self._layers}

    def add(
        self,
        parts: Mapping[str, Any],
        n_samples: int,
        ids: Sequence[str] | None = None,
        skipped: Sequence[str] = (),
        *,
        batches: tuple[int, int] | None = None,
    ) -> None:
        """Add the activations of a batch.

        Parameters
        ----------
        parts : mapping from str to float array or sparse matrix of shape (n_rows, n_neurons)
            The activations by layer; empty if every sample was skipped.
        n_samples : int
            The number of samples in the batch, including skipped ones.
        ids : sequence of str or None, default None
            The ids of the rows, if they have ids.
        skipped : sequence of str, default ()
            The ids of skipped samples.
        batches : tuple of (int, int), optional
            How many batches of the data end here, if it is not one, and the number of samples in the last of them.

        Raises
        ------
        ActivationsError
            If the number of a layer's neurons changes or differs from the number of their names, or a value is not a
            finite number that float32 can hold.
        FileError
            If the store cannot be written.
        """
        from scipy.sparse import csr_array

        rows = 0
        refuse_halves(ids or (), "sample id", ActivationsError)
        check_widths(self._widths, parts)
        finite = as_finite(parts, ids, self.rows)
        if parts and not self.rows:
            kept = self._decided
            if kept is None:
                kept = [layer for layer in self._layers if to_be_sparse(finite[layer], self._sparse)]
            self._progress.state["sparse"] = kept
        for layer in self._layers if parts else ():
            sparse = layer in self._progress.state["sparse"]
            self._pending[layer].append(csr_array(finite[layer]) if sparse else as_dense(finite[layer]))
            rows = finite[layer].shape[0]
        self._ids += ids or ()
        self.skipped += skipped
        n_batches, last = (1, n_samples) if batches is None else batches
        self.samples, self.rows, self.batches = self.samples + n_samples, self.rows + rows, self.batches + n_batches
        self.last = last if n_batches else self.last
        on_disk = self._progress.state
        unwritten = max(self.samples - on_disk["samples"], self.rows - on_disk["rows"])
        since = time.monotonic() - self._since
        if unwritten + max(n_samples, rows) > self.chunk or since > max(_PATIENCE, _SHARE * self._cost):
            self._write()

    def finish(
        self, clusters_of: Mapping[str, str] | None = None, together: Callable[[], object] | None = None
    ) -> dict[str, Activations]:
        """Write what is left, mark the store as complete, and open it. One that was complete is checked wholly.

        Parameters
        ----------
        clusters_of : mapping from str to str or None, default None
            The cluster of each sample id, to be stored with the samples.
        together : callable or None, default None
            What to call just before a finished store takes its place, to write what belongs to it.

        Returns
        -------
        dict from str to Activations
            The layers by name.

        Raises
        ------
        ActivationsError
            If no samples were added.
        FileError
            If the store cannot be written, or was complete and is damaged.
        """
        if not self.rows and "shard" not in self._wanted:
            raise ActivationsError("there are no samples to store: data must yield at least one")
        if self._finished is not None:
            faults = StoreFiles.of_state(self.path, self._finished).read_all().faults
            if faults:
                raise FileError(faults[0] + ("" if len(faults) == 1 else f" (and {len(faults) - 1} more files)"))
            with _unbroken(self._given):
                if "files" in self._finished:
                    tidy(self.path, self._finished["files"])
        elif self.batches > self._progress.state["batches"] or not self._begun:
            self._write()
        with _unbroken(self._given):
            if self._finished is None:
                self._progress.finish(self._neurons, clusters_of)
            if together is not None:
                together()
            self._take_place()
        return open_layers(self._given) if self.rows else {}

    def _write(self) -> None:
        """Write the samples in memory, and then that they are there."""
        start, on_disk = time.monotonic(), self._progress.state
        for layer, names in self._neurons.items():
            rows, columns = grid_of(self._progress.state["axes"].get(layer)) or (1, 1)
            if layer in self._widths and len(names) * rows * columns != self._widths[layer]:
                n_neurons = self._widths[layer] // (rows * columns)
                raise ActivationsError(
                    f"{counted(len(names), 'name')} for {counted(n_neurons, 'neuron')} of layer {layer!r}: "
                    "give one name per neuron"
                )
        with _unbroken(self._given):
            if not self._begun:
                self._progress.begin()
                self._begun = True
            for layer in self._layers if self.rows > on_disk["rows"] else ():
                values = joined(self._pending[layer])
                self._pending[layer].clear()
                self._progress.add_rows(layer, values)
            skipped = self.skipped[len(self._progress.skipped) :]
            written = {"samples": self.samples, "rows": self.rows, "batches": self.batches, "last": self.last}
            written["merging"] = self._merging
            self._progress.commit(self._ids, skipped, **written)
            self._ids.clear()
        self._since = time.monotonic()
        self._cost = self._since - start

    def _take_place(self) -> None:
        """Exchange a finished store that was built beside another with that one, and delete what is left over."""
        new = self._progress.folder
        if self._finished is None and new != self.path and not self.path.exists():
            new.rename(self.path)
        elif self._finished is None and new != self.path:
            for path in [new, *new.rglob("*")]:
                keep_mode(self.path / path.relative_to(new), path)
            self._check_own(self.path)
            exchange(new, self.path)
            try:
                self._check_own(new)
            except FileError:  # what was put there just now
                exchange(new, self.path)
                raise
        sync(self.path.parent)
        for ending in ("new", "old") if self._alone else ():
            for left in leftovers(self.path, ending):
                if not left.is_symlink():
                    delete_store(left)


def wanted_settings(
    settings: Mapping[str, Any], layers: Sequence[str], n_samples: int | None, sparse: float
) -> dict[str, Any]:
    """The settings that a store keeps, as they are read back."""
    how = {"sparse": float(sparse)} if sparse else {}
    wanted: dict[str, Any] = json.loads(json.dumps({**settings, **how, "layers": list(layers), "samples": n_samples}))
    return wanted


def is_made(path: PathLike, wanted: Mapping[str, Any] | None = None) -> bool:
    """Whether a finished store of neuronym's is there, with these settings if they are given."""
    try:
        state = read_root(Path(path))
        made = state is not None and state_of(state, Path(path))["complete"]
    except FileError:
        return False
    return bool(made and (wanted is None or not _differences(state, wanted)))


def to_be_sparse(first: Any, sparse: float) -> bool:
    """Whether a layer is to be sparse: by the share of its first batch that is not zero, if ``sparse`` is a bound."""
    if isinstance(sparse, bool):
        return sparse
    shown = np.count_nonzero(first) if isinstance(first, np.ndarray) else first.nnz
    return bool(shown < sparse * first.shape[0] * first.shape[1])


def check_widths(widths: dict[str, int], parts: Mapping[str, NDArray[Any]]) -> None:
    """Raise if a layer's number of neurons differs from earlier batches, which ``widths`` records."""
    for layer, part in parts.items():
        if widths.setdefault(layer, part.shape[1]) != part.shape[1]:
            raise ActivationsError(
                f"layer {layer!r} has {widths[layer]} neurons in one batch and {part.shape[1]} in another: the number "
                "must be the same in all batches, so pool axes of varying length"
            )


def as_finite(parts: Mapping[str, Any], ids: Sequence[str] | None, n_before: int) -> dict[str, Any]:
    """Return the activations of a batch by layer as float32, all of them finite numbers.

    Parameters
    ----------
    parts : mapping from str to array or sparse matrix of shape (n_rows, n_neurons)
        The activations by layer.
    ids : sequence of str or None
        The ids of the rows, for messages; by default their numbers.
    n_before : int
        The number of rows before this batch.

    Returns
    -------
    dict from str to float32 array, or csr_array, of shape (n_rows, n_neurons)
        The same values.

    Raises
    ------
    ActivationsError
        If a value is complex, NaN, infinite or beyond float32; the message names the layer and the samples.
    """
    finite: dict[str, Any] = {}
    for layer, given in parts.items():
        part: Any = to_sparse(given).tocsr() if is_sparse(given) else np.asarray(given)
        if part.dtype.kind not in "biuf":
            raise ActivationsError(f"activations of layer {layer!r} must be real numbers, not {part.dtype}")
        with np.errstate(over="ignore"):
            finite[layer] = part.astype(np.float32, copy=False)
        dense = isinstance(part, np.ndarray)
        values, narrow = (part, finite[layer]) if dense else (part.data, finite[layer].data)
        bad = ~np.isfinite(narrow)
        if bad.any():
            at = (
                bad.any(axis=1)
                if dense
                else np.bincount(np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)), bad)
            )
            rows = np.flatnonzero(at).tolist()
            names = [str(n_before + row) if not ids else ids[row] for row in rows]
            raise ActivationsError(
                f"layer {layer!r} gives {_odd(values[bad])} in {counted(int(bad.sum()), 'value')} on "
                f"{counted(len(rows), 'sample')} of {part.shape[0]}: {some(names)}; activations must be finite, so "
                "check these samples and the weights (in half precision, use a wider type), or leave these samples out"
            )
    return finite


def _odd(values: NDArray[Any]) -> str:
    """What makes values unfit for float32, for messages."""
    kinds = {
        "NaN": np.isnan(values),
        "infinity": np.isinf(values),
        "numbers beyond float32": np.isfinite(values),
    }
    return " and ".join(kind for kind, found in kinds.items() if found.any())


def check_layers(layers: Sequence[str]) -> None:
    """Refuse names of layers that no folder of a store can have.

    Raises
    ------
    OptionError
        If a name is empty, reserved, made of points, too long, or contains a slash, a backslash, a NUL character or
        half of a character; the message says how to rename the layer.
    """
    for layer in layers:
        if not _fits(layer):
            raise OptionError(
                f"a store cannot contain a layer named {shortened(layer)}: names of layers must be names of folders, "
                f"at most {_LONGEST_NAME} bytes without / and \\, that do not begin with __; wrap the model, as in "
                "torch.nn.Sequential(OrderedDict(model=model)), so that its modules have other names, or rename the "
                "module, as in parent._modules['new'] = parent._modules.pop('old')"
            )


def _fits(layer: str) -> bool:
    """Whether a folder of a store can have this name, and lies in the store."""
    listing = layer.startswith("part-") and layer.endswith(".jsonl")
    reserved = listing or layer in _RESERVED or layer.startswith("__") or not layer.strip(".")
    odd = half_in(layer) is not None or any(sign in layer for sign in "/\\\0")
    return not (reserved or odd) and len(layer.encode()) <= _LONGEST_NAME


def _known(path: Path, overwrite: bool) -> dict[str, Any] | None:
    """What is known of the store that an earlier run left; None if there is no store."""
    if not path.exists() or (path.is_dir() and all(child.suffix == ".partial" for child in path.iterdir())):
        return None
    root = path / ROOT
    try:
        state = read_root(path)
        if state is not None:
            return state_of(state, path)
    except FileError:
        if not overwrite or b'"neuronym"' not in root.read_bytes():
            raise
        return {"complete": True, "samples": 1, "settings": {}}  # damaged, but ours
    raise FileError(f"cannot write {str(path)!r}: it exists and is not a store of activations, so choose another name")


def _leftover(folder: Path) -> dict[str, Any] | None:
    """What is known of a store that a killed run left unfinished beside its target; None if it cannot be resumed."""
    try:
        known = _known(folder, False)
    except FileError:
        return None
    resumable = known is not None and not known["complete"] and known["samples"] and known["format"] != 1
    return known if resumable else None


def _differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Describe the settings in which a store differs from the wanted one."""
    stored, old = known["settings"], known.get("format") == 1
    differ = []
    for name in sorted({*stored, *wanted}):
        then, now = stored.get(name), wanted.get(name)
        if name == "versions":
            same = _releases(then) == _releases(now)
        elif old:  # which had fewer settings, no hashes of some data, and addresses of objects in memory
            same = name not in stored or then == now or (name == "data" and then is None) or " at 0x" in str(then)
        else:
            same = then == now
        if not same:
            differ.append(f"{name}: {then!r} then, {now!r} now")
    return differ


def _releases(versions: Any) -> dict[str, str]:
    """The major and minor versions of what determines activations, which Zarr does not."""
    listed = versions if isinstance(versions, dict) else {}
    return {name: ".".join(str(version).split(".")[:2]) for name, version in listed.items() if name != "zarr"}


def _other_settings(path: PathLike, differ: Sequence[str]) -> FileError:
    """The error for a store that was made with other settings."""
    return FileError(f"{str(path)!r} was made with other settings ({'; '.join(differ[:3])}): {_REPLACE}")


def _of_format_1(store: Path, known: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The state of an unfinished store of format 1, with the axes and widths of its layers, and its ids."""
    import zarr

    layers = known["settings"]["layers"]
    if known["rows"]:
        StoreFiles.of_state(store, known).check(IDS)
    with reading(store, "activations"):
        node: Any = zarr.open_group(str(store), mode="r")
        widths = {layer: int(node[layer][MATRIX].shape[1]) for layer in layers if known["rows"]}
    axes = {layer: found for layer in layers if (found := _axes(node, layer, store)) is not None}
    return {**known, "axes": axes, "widths": widths}, (_texts(node, IDS, store) or [])[: known["rows"]]


@contextmanager
def _unbroken(path: PathLike) -> Iterator[None]:
    """Turn a full disk and similar failures into a clear ``FileError``."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileError):
            raise
        why = os.strerror(error.errno) if error.errno else str(error)
        raise FileError(f"cannot write {str(path)!r}: {why}; earlier writes are kept") from error
