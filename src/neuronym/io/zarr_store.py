"""The Zarr store of activations: a group with a subgroup per layer, written as it goes and taken up after a stop.

::

    acts.zarr/            attributes: how it was made, how much is there, whether it is complete
        sample_ids        texts, where samples have ids
        clusters          texts: what each sample is a part of, where that is known and is not the text of a token
        LAYER/            attributes: names of the neurons
            activations   float32, samples × neurons, in chunks of 4,096 × 64, not compressed

Nothing in it differs from run to run.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import kind_of, reading
from neuronym._util.messages import counted, no_such
from neuronym.data.activations import Activations
from neuronym.data.ids import parent
from neuronym.data.zarr_matrix import ZarrMatrix
from neuronym.errors import ActivationsError, FileError, OptionError
from neuronym.types import PathLike

__all__ = ["LayerWriter", "check_widths", "open_layers", "split_path"]

SUFFIX = ".zarr"

_CHUNK = 4096, 64  # samples, neurons: good to write by samples and to read by neurons
_PATIENCE, _SHARE = 20.0, 20  # seconds between writes at least, and how much longer than a write itself
_FOREIGN = ValueError, KeyError, TypeError, NotImplementedError, RuntimeError  # of zarr, on what is broken
_KEY, _IDS, _CLUSTERS, _MATRIX = "neuronym", "sample_ids", "clusters", "activations"


def split_path(path: PathLike) -> tuple[Path, str | None] | None:
    """A Zarr store and the layer in it that ``store.zarr/layer`` names; None for a path that is in no such store."""
    whole = Path(path)
    for store in (whole, *whole.parents):
        if store.suffix.lower() == SUFFIX:
            inner = whole.relative_to(store).as_posix()
            return store, None if inner == "." else inner
    return None


def open_layers(path: PathLike) -> dict[str, Activations]:
    """Open the layers of a Zarr store, or the one that ``store.zarr/layer`` names; nothing is read yet.

    A Zarr array of samples × neurons that something else wrote is a layer without names and ids.

    Raises
    ------
    FileError
        If there is no such store, or it is not finished; the message says how much is there.
    UnknownNameError
        If it has no such layer.
    """
    import zarr

    found = split_path(path)
    if found is None:
        raise FileError(f"{str(path)!r} is in no Zarr store: the name of its folder must end in {SUFFIX}")
    store, layer = found
    if not store.is_dir():
        raise FileError(f"cannot read activations: there is no folder {str(store)!r}")
    with reading(store, "activations", *_FOREIGN):
        try:
            node: Any = zarr.open(str(store), mode="r")
        except FileNotFoundError:
            raise FileError(f"{str(store)!r} is no Zarr store: it has no zarr.json") from None
        made = None if isinstance(node, zarr.Array) else node.attrs.get(_KEY)
    if isinstance(node, zarr.Array):
        return {store.stem: Activations(_matrix(store, store))}
    if made is None:
        return _foreign(node, store, layer)
    state = _checked(made, store)
    if not state["complete"]:
        raise FileError(
            f"{str(store)!r} is not finished: {_there(state)}; run what made it again, and it goes on from there"
        )
    layers = state["settings"]["layers"]
    if layer is not None and layer not in layers:
        raise no_such("layer", layer, layers)
    ids = _texts(node, _IDS, store)
    clusters = _texts(node, _CLUSTERS, store)
    if clusters is None and ids is not None and state["settings"].get("tokens"):
        clusters = [parent(i) for i in ids]
    return {
        name: Activations(
            _matrix(store / name / _MATRIX, store),
            _neurons(node, name, store),
            sample_ids=ids,
            skipped=state["skipped"],
            clusters=clusters,
        )
        for name in (layers if layer is None else [layer])
    }


def _matrix(path: Path, store: Path) -> ZarrMatrix:
    """An array of a store, of which the metadata alone are read."""
    matrix = ZarrMatrix(path)
    with reading(store, "activations", *_FOREIGN):
        try:
            _ = matrix.shape
        except FileNotFoundError:
            raise FileError(f"cannot read activations from {str(store)!r}: there is no array {str(path)!r}") from None
    return matrix


def _texts(node: Any, name: str, store: Path) -> list[str] | None:
    """The texts in an array of a store; None where there is no such array."""
    with reading(store, "activations", *_FOREIGN):
        return list(node[name][:].tolist()) if name in node else None


def _neurons(node: Any, layer: str, store: Path) -> list[int | str] | None:
    """The names of a layer's neurons; None where they have none."""
    with reading(store, "activations", *_FOREIGN):
        told = node[layer].attrs.get(_KEY)
    names = told.get("neurons", ()) if isinstance(told, dict) else ()
    if names is not None and not isinstance(names, list):
        raise FileError(f"cannot read activations from {str(store)!r}: layer {layer!r} does not say its neurons")
    return names


def _checked(state: Any, store: Path) -> dict[str, Any]:
    """What a store says of itself, if it says all of it."""
    settings = state.get("settings") if isinstance(state, dict) else None
    layers = settings.get("layers") if isinstance(settings, dict) else None
    if (
        not isinstance(settings, dict)
        or not isinstance(layers, list)
        or not all(isinstance(layer, str) for layer in layers)
        or not isinstance(settings.get("samples"), int | None)
        or not all(isinstance(state.get(name), int) for name in ("complete", "samples", "rows", "batches"))
        or not isinstance(state.get("skipped"), list)
    ):
        raise FileError(f"{str(store)!r} is broken: its attributes do not say how it was made and how much is there")
    return dict(state)


def _there(state: Mapping[str, Any]) -> str:
    total = state["settings"]["samples"]
    share = "" if not total else f" of {total} ({state['samples'] / total:.0%})"
    return f"{state['samples']}{share} samples are there"


def _foreign(node: Any, store: Path, layer: str | None) -> dict[str, Activations]:
    """The arrays of a Zarr group that something else wrote."""
    with reading(store, "activations", *_FOREIGN):
        arrays = {name: array.ndim for name, array in node.arrays()}
        there = layer is None or layer in arrays or (layer in node and hasattr(node[layer], "shape"))
    if layer is not None:
        if not there:
            raise no_such("array", layer, list(arrays))
        return {layer: Activations(_matrix(store / layer, store))}
    names = [name for name, n_axes in arrays.items() if n_axes == 2]
    if not names:
        raise FileError(f"{str(store)!r} has no array of two axes, samples × neurons: name one, as {store}/array")
    return {name: Activations(_matrix(store / name, store)) for name in names}


class LayerWriter:
    """Writes a Zarr store layer by layer as activations come, and goes on where an earlier run stopped.

    Samples are kept in memory until a chunk of 4,096 of them is full, or, where they come slowly, for 20 seconds;
    then they are written, and then it is written down how many there are. So a run that is killed has to compute
    again at most what it had in memory.

    Parameters
    ----------
    path : the store, ending in ``.zarr``
    layers : their names
    settings : plain data that says how the activations are made; a store made in another way is not continued
    n_samples : how many there will be, if that is known
    neurons : names of the neurons by layer, for those that have names
    overwrite : replace a store of neuronym's that is there

    Attributes
    ----------
    samples, rows, batches : how much there is; rows are fewer where samples are skipped, more where tokens are rows
    complete : whether the store is finished

    Raises
    ------
    FileError
        If something else is at the path, or a store made in another way.
    """

    def __init__(
        self,
        path: PathLike,
        layers: Sequence[str],
        settings: Mapping[str, Any],
        *,
        n_samples: int | None = None,
        neurons: Mapping[str, Sequence[int | str]] | None = None,
        overwrite: bool = False,
    ) -> None:
        kind_of(path, (SUFFIX,), "a store of activations")
        self.path, self._given = Path(os.path.realpath(path)), path
        if not self.path.parent.is_dir():
            raise FileError(
                f"cannot write {str(path)!r}: there is no folder {str(self.path.parent)!r}, so make it first"
            )
        for layer in layers:
            if not layer or layer in (_IDS, _CLUSTERS) or "/" in layer:
                raise OptionError(
                    f"a store cannot hold a layer named {layer!r}: wrap the model, as in "
                    "torch.nn.Sequential(OrderedDict(model=model)), so that its modules have other names"
                )
        self._layers, self._neurons = list(layers), dict(neurons or {})
        self._held: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in layers}
        self._ids: list[str] = []
        self._widths: dict[str, int] = {}
        self._written, self._cost = time.monotonic(), 0.0
        wanted = json.loads(json.dumps({**settings, "layers": self._layers, "samples": n_samples}))
        with _unbroken(path):
            if not self.path.exists():
                self.path.mkdir()
            self._lock = _locked(self.path)
            try:
                self._state = self._begun(wanted, overwrite)
            except BaseException:
                self.__exit__()
                raise
        self.samples, self.rows, self.batches = (self._state[name] for name in ("samples", "rows", "batches"))
        self.skipped: list[str] = list(self._state["skipped"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begun(self, wanted: dict[str, Any], overwrite: bool) -> dict[str, Any]:
        """The state of the store that is there, if it is to be continued, else of a new one."""
        import zarr

        known = _known(self.path)
        if known is not None and known["samples"] and not overwrite:
            _refuse_other(self.path, known["settings"], wanted)
            for left in self.path.rglob("*.partial"):  # of a write that was killed
                left.unlink()
            if known["rows"]:
                self._widths = {layer: ZarrMatrix(self.path / layer / _MATRIX).shape[1] for layer in self._layers}
            return known
        state: dict[str, Any] = {"format": 1, "complete": False, "samples": 0, "rows": 0, "batches": 0, "skipped": []}
        if known is None:
            zarr.create_group(str(self.path), attributes={_KEY: {**state, "settings": wanted}})
        else:  # first it is no finished store any more, then its contents go
            zarr.open_group(str(self.path), mode="r+").attrs.update({_KEY: {**state, "settings": wanted}})
        for child in self.path.iterdir():
            if child.is_dir():
                shutil.rmtree(child)
            elif child.suffix == ".partial":
                child.unlink()
        return {**state, "settings": wanted}

    @property
    def complete(self) -> bool:
        return bool(self._state["complete"])

    def add(
        self,
        parts: Mapping[str, NDArray[Any]],
        n_samples: int,
        ids: Sequence[str] | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        """Take the activations of a batch: by layer, (n_rows, n_neurons); the ids of the rows; what was skipped."""
        rows = 0
        check_widths(self._widths, parts)
        for layer in self._layers if parts else ():
            self._held[layer].append(np.asarray(parts[layer], np.float32))
            rows = len(parts[layer])
        self._ids += ids or ()
        self.skipped += skipped
        self.samples, self.rows, self.batches = self.samples + n_samples, self.rows + rows, self.batches + 1
        unwritten = max(self.samples - self._state["samples"], self.rows - self._state["rows"])
        since = time.monotonic() - self._written
        if unwritten + max(n_samples, rows) > _CHUNK[0] or since > max(_PATIENCE, _SHARE * self._cost):
            self._write()

    def finish(self, clusters_of: Mapping[str, str] | None = None) -> dict[str, Activations]:
        """Write what is left, and what each sample is a part of, mark the store as complete, and open it."""
        if not self.rows:
            raise ActivationsError("there are no samples: data gives none")
        if not self.complete:
            self._write(complete=True, clusters_of=clusters_of)
        return open_layers(self._given)

    def _write(self, complete: bool = False, clusters_of: Mapping[str, str] | None = None) -> None:
        import zarr

        start, first = time.monotonic(), self._state["rows"]
        # A chunk of zeros is written too: whether it was all zeros when it was written must not show.
        with _unbroken(self.path), zarr.config.set({"array.write_empty_chunks": True}):
            group: Any = zarr.open_group(str(self.path), mode="r+")
            for layer in self._layers if self.rows > first else ():
                values = np.concatenate(self._held[layer])
                self._held[layer].clear()
                array = self._array(group, layer, values.shape[1])
                array.resize((self.rows, values.shape[1]))
                array[first : self.rows] = values
            if self._ids:
                array = group[_IDS] if _IDS in group else _new(group, _IDS, (0,), _CHUNK[:1], "string")
                array.resize((self.rows,))
                array[first : self.rows] = np.array(self._ids, dtype=object)
                self._ids.clear()
            if clusters_of is not None:
                if _CLUSTERS in group:  # of a write that was killed
                    del group[_CLUSTERS]
                parts = np.array([clusters_of[i] for i in group[_IDS][:].tolist()], dtype=object)
                _new(group, _CLUSTERS, parts.shape, _CHUNK[:1], "string")[:] = parts
            self._state |= {"samples": self.samples, "rows": self.rows, "batches": self.batches}
            self._state |= {"skipped": self.skipped, "complete": complete}
            group.attrs.update({_KEY: self._state})
        self._written = time.monotonic()
        self._cost = self._written - start

    def _array(self, group: Any, layer: str, n_neurons: int) -> Any:
        names = self._neurons.get(layer)
        if names is not None and len(names) != n_neurons:
            raise ActivationsError(
                f"{counted(len(names), 'name')} for {counted(n_neurons, 'neuron')} of layer {layer!r}: "
                "one each is needed"
            )
        if layer not in group:
            group.create_group(layer, attributes={_KEY: {"neurons": None if names is None else list(names)}})
        if _MATRIX not in group[layer]:
            return _new(group[layer], _MATRIX, (0, n_neurons), _CHUNK, "float32")
        return group[layer][_MATRIX]


def check_widths(widths: dict[str, int], parts: Mapping[str, NDArray[Any]]) -> None:
    """Raise where a layer has another number of neurons than in the batches before, which ``widths`` remembers."""
    for layer, part in parts.items():
        if widths.setdefault(layer, part.shape[1]) != part.shape[1]:
            raise ActivationsError(
                f"layer {layer!r} has {widths[layer]} neurons in one batch and {part.shape[1]} in another: each "
                "batch must give the same ones, so pool what is of varying length"
            )


def _new(group: Any, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str) -> Any:
    return group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, compressors=None)


def _known(path: Path) -> dict[str, Any] | None:
    """What an earlier run says of a store; None where there is none."""
    import zarr

    if path.is_dir() and all(child.suffix == ".partial" for child in path.iterdir()):
        return None
    try:
        state: Any = zarr.open_group(str(path), mode="r").attrs[_KEY]
    except (OSError, ValueError, KeyError):
        raise FileError(
            f"cannot write {str(path)!r}: something else than a store of activations is there, so choose another name"
        ) from None
    return _checked(state, path)


def _refuse_other(path: PathLike, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differ = [name for name in sorted({*there, *wanted}) if there.get(name) != wanted.get(name)]
    if differ:
        told = "; ".join(f"{name}: {there.get(name)!r} there, {wanted.get(name)!r} now" for name in differ[:3])
        raise FileError(
            f"{str(path)!r} was made with other settings ({told}): choose another name, or replace it with "
            "overwrite=True (--overwrite)"
        )


def _locked(path: Path) -> int | None:
    """Hold a folder for this process, until the number given is closed or the process ends."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        return None
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise FileError(f"another run is writing to {str(path)!r}: wait for it, or choose another name") from None
    except OSError:  # a file system without locks
        os.close(lock)
        return None
    return lock


@contextmanager
def _unbroken(path: PathLike) -> Iterator[None]:
    """Turn a full disk and the like into one clear error."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileError):
            raise
        why = os.strerror(error.errno) if error.errno else str(error)
        raise FileError(f"cannot write {str(path)!r}: {why}; what was written before is kept") from error
