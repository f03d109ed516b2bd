"""The Zarr store of activations: a group with a subgroup per layer, written incrementally and resumed if interrupted.

::

    acts.zarr/            attributes: how it was made, how much is written, whether it is complete
        sample_ids        texts, if samples have ids
        clusters          texts: the cluster of each sample, if known and not implied by token ids
        LAYER/            attributes: names of the neurons, and the meaning of the axes that were pooled
            activations   float32, samples × neurons, in chunks of 4,096 × 64, uncompressed

Its contents are the same in every run.
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
from neuronym._util.locks import try_lock
from neuronym._util.messages import counted, no_such, some
from neuronym.data.activations import Activations
from neuronym.data.ids import parent
from neuronym.data.zarr_matrix import ZarrMatrix
from neuronym.errors import ActivationsError, FileError, OptionError
from neuronym.types import PathLike

__all__ = ["LayerWriter", "as_finite", "check_widths", "open_layers", "split_path"]

SUFFIX = ".zarr"

_CHUNK = 4096, 64  # samples, neurons: good to write by samples and to read by neurons
_PATIENCE, _SHARE = 20.0, 20  # the time between writes: at least these seconds, and this multiple of a write
_KEY, _IDS, _CLUSTERS, _MATRIX = "neuronym", "sample_ids", "clusters", "activations"


def split_path(path: PathLike) -> tuple[Path, str | None] | None:
    """Split ``store.zarr/layer`` into the store and the layer, if any; None for a path outside of a Zarr store."""
    whole = Path(path)
    for store in (whole, *whole.parents):
        if store.suffix.lower() == SUFFIX:
            inner = whole.relative_to(store).as_posix()
            return store, None if inner == "." else inner
    return None


def open_layers(path: PathLike) -> dict[str, Activations]:
    """Open the layers of a Zarr store without reading their activations.

    An array of samples × neurons written by another program opens as a layer without names and ids.

    Parameters
    ----------
    path : str or Path
        A store, ``store.zarr``, or one of its layers, ``store.zarr/layer``.

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
    if not store.is_dir():
        raise FileError(f"cannot read activations: there is no folder {str(store)!r}")
    with reading(store, "activations"):
        try:
            node: Any = zarr.open(str(store), mode="r")
        except FileNotFoundError:
            raise FileError(f"{str(store)!r} is not a Zarr store: it has no zarr.json") from None
        made = None if isinstance(node, zarr.Array) else node.attrs.get(_KEY)
    if isinstance(node, zarr.Array):
        return {store.stem: Activations(_matrix(store, store))}
    if made is None:
        return _foreign(node, store, layer)
    state = _checked(made, store)
    if not state["complete"]:
        raise FileError(f"{str(store)!r} is incomplete: {_written(state)}; rerun the command that made it to resume")
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
            axes=_axes(node, name, store),
        )
        for name in (layers if layer is None else [layer])
    }


def _matrix(path: Path, store: Path) -> ZarrMatrix:
    """An array of a store, without reading more than its metadata."""
    matrix = ZarrMatrix(path)
    if not path.is_dir():
        raise FileError(f"cannot read activations from {str(store)!r}: there is no array {str(path)!r}")
    _ = matrix.shape
    return matrix


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
        attributes = node[layer].attrs.get(_KEY)
    names = attributes.get("neurons", ()) if isinstance(attributes, dict) else ()
    if names is not None and not isinstance(names, list):
        raise FileError(f"cannot read activations from {str(store)!r}: layer {layer!r} does not list its neurons")
    return names


def _axes(node: Any, layer: str, store: Path) -> str | None:
    """What the axes of a layer's output mean; None if it is not recorded."""
    with reading(store, "activations", *_ZARR_ERRORS):
        attributes = node[layer].attrs.get(_KEY) if layer in node else None
    axes = attributes.get("axes") if isinstance(attributes, dict) else None
    return axes if isinstance(axes, str) else None


def _checked(state: Any, store: Path) -> dict[str, Any]:
    """The attributes of a store, checked for completeness."""
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
        raise FileError(f"{str(store)!r} is broken: its attributes must say how it was made and how much is written")
    return dict(state)


def _written(state: Mapping[str, Any]) -> str:
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

    Samples are kept in memory until a chunk of 4,096 is full or, if they arrive slowly, for 20 seconds. Then they are
    written, and after them their number. So a run that was killed loses at most what it had in memory.

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
    overwrite : bool, default False
        Replace an existing store of neuronym's.

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
        If the path is taken by something else or by a store with other settings, or another run is writing to it.
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
                    f"a store cannot contain a layer named {layer!r}: wrap the model, as in "
                    "torch.nn.Sequential(OrderedDict(model=model)), so that its modules have other names"
                )
        self._layers, self._neurons = list(layers), dict(neurons or {})
        self._pending: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in layers}
        self._ids: list[str] = []
        self._axes: dict[str, str] = {}
        self._widths: dict[str, int] = {}
        self._written, self._cost = time.monotonic(), 0.0
        wanted = json.loads(json.dumps({**settings, "layers": self._layers, "samples": n_samples}))
        with _unbroken(path):
            if not self.path.exists():
                self.path.mkdir()
            self._lock = _locked(self.path)
            try:
                self._state = self._begun(wanted, overwrite)
                self.use_axes(axes or {})
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
        """The state of the existing store if it is to be resumed, else of a new one."""
        import zarr

        known = _known(self.path)
        if known is not None and known["samples"] and not overwrite:
            _refuse_other_settings(self.path, known["settings"], wanted)
            for partial in self.path.rglob("*.partial"):  # from a write that was killed
                partial.unlink()
            if known["rows"]:
                self._widths = {layer: ZarrMatrix(self.path / layer / _MATRIX).shape[1] for layer in self._layers}
            return known
        state: dict[str, Any] = {"format": 1, "complete": False, "samples": 0, "rows": 0, "batches": 0, "skipped": []}
        if known is None:
            zarr.create_group(str(self.path), attributes={_KEY: {**state, "settings": wanted}})
        else:  # mark it as incomplete before deleting its contents
            zarr.open_group(str(self.path), mode="r+").attrs.update({_KEY: {**state, "settings": wanted}})
        for child in self.path.iterdir():
            if child.is_dir():
                shutil.rmtree(child)
            elif child.suffix == ".partial":
                child.unlink()
        return {**state, "settings": wanted}

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
        import zarr

        self._axes |= axes
        if not axes or not self._state["rows"]:
            return
        with _unbroken(self.path):
            node = zarr.open_group(str(self.path), mode="r")
            known = {layer: _axes(node, layer, self.path) for layer in axes}
        by_number = {3: "BTC", 4: "BCHW", 5: "BCTHW"}  # how outputs were taken before this was recorded
        before = {layer: was or by_number.get(len(axes[layer]), axes[layer]) for layer, was in known.items()}
        _refuse_other_settings(
            self.path,
            {f"axes of {layer!r}": was for layer, was in before.items()},
            {f"axes of {layer!r}": now for layer, now in axes.items()},
        )

    @property
    def complete(self) -> bool:
        """Whether the store is finished."""
        return bool(self._state["complete"])

    def add(
        self,
        parts: Mapping[str, NDArray[Any]],
        n_samples: int,
        ids: Sequence[str] | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        """Add the activations of a batch.

        Parameters
        ----------
        parts : mapping from str to float array of shape (n_rows, n_neurons)
            The activations by layer; empty if every sample was skipped.
        n_samples : int
            The number of samples in the batch, including skipped ones.
        ids : sequence of str or None, default None
            The ids of the rows, if they have ids.
        skipped : sequence of str, default ()
            The ids of skipped samples.

        Raises
        ------
        ActivationsError
            If the number of a layer's neurons changes or differs from the number of their names, or a value is not a
            finite number that float32 can hold.
        FileError
            If the store cannot be written.
        """
        rows = 0
        check_widths(self._widths, parts)
        finite = as_finite(parts, ids, self.rows)
        for layer in self._layers if parts else ():
            self._pending[layer].append(finite[layer])
            rows = len(finite[layer])
        self._ids += ids or ()
        self.skipped += skipped
        self.samples, self.rows, self.batches = self.samples + n_samples, self.rows + rows, self.batches + 1
        unwritten = max(self.samples - self._state["samples"], self.rows - self._state["rows"])
        since = time.monotonic() - self._written
        if unwritten + max(n_samples, rows) > _CHUNK[0] or since > max(_PATIENCE, _SHARE * self._cost):
            self._write()

    def finish(self, clusters_of: Mapping[str, str] | None = None) -> dict[str, Activations]:
        """Write what is left, mark the store as complete, and open it.

        Parameters
        ----------
        clusters_of : mapping from str to str or None, default None
            The cluster of each sample id, to be stored with the samples.

        Returns
        -------
        dict from str to Activations
            The layers by name.

        Raises
        ------
        ActivationsError
            If no samples were added.
        FileError
            If the store cannot be written.
        """
        if not self.rows:
            raise ActivationsError("there are no samples to store: data must yield at least one")
        if not self.complete:
            self._write(complete=True, clusters_of=clusters_of)
        return open_layers(self._given)

    def _write(self, complete: bool = False, clusters_of: Mapping[str, str] | None = None) -> None:
        """Write the samples in memory, then the new state."""
        import zarr

        start, first = time.monotonic(), self._state["rows"]
        # Chunks of zeros are written too, so that the files do not depend on when they were written.
        with _unbroken(self.path), zarr.config.set({"array.write_empty_chunks": True}):
            group: Any = zarr.open_group(str(self.path), mode="r+")
            for layer in self._layers if self.rows > first else ():
                values = np.concatenate(self._pending[layer])
                self._pending[layer].clear()
                array = self._array(group, layer, values.shape[1])
                array.resize((self.rows, values.shape[1]))
                array[first : self.rows] = values
            if self._ids:
                array = group[_IDS] if _IDS in group else _new(group, _IDS, (0,), _CHUNK[:1], "string")
                array.resize((self.rows,))
                array[first : self.rows] = np.array(self._ids, dtype=object)
                self._ids.clear()
            if clusters_of is not None:
                if _CLUSTERS in group:  # from a write that was killed
                    del group[_CLUSTERS]
                parts = np.array([clusters_of[i] for i in group[_IDS][:].tolist()], dtype=object)
                _new(group, _CLUSTERS, parts.shape, _CHUNK[:1], "string")[:] = parts
            self._state |= {"samples": self.samples, "rows": self.rows, "batches": self.batches}
            self._state |= {"skipped": self.skipped, "complete": complete}
            group.attrs.update({_KEY: self._state})
        self._written = time.monotonic()
        self._cost = self._written - start

    def _array(self, group: Any, layer: str, n_neurons: int) -> Any:
        """The array of a layer, made if it is missing."""
        names = self._neurons.get(layer)
        if names is not None and len(names) != n_neurons:
            raise ActivationsError(
                f"{counted(len(names), 'name')} for {counted(n_neurons, 'neuron')} of layer {layer!r}: "
                "give one name per neuron"
            )
        if layer not in group:
            about: dict[str, Any] = {"axes": self._axes[layer]} if layer in self._axes else {}
            about["neurons"] = None if names is None else list(names)
            group.create_group(layer, attributes={_KEY: about})
        if _MATRIX not in group[layer]:
            return _new(group[layer], _MATRIX, (0, n_neurons), _CHUNK, "float32")
        return group[layer][_MATRIX]


def check_widths(widths: dict[str, int], parts: Mapping[str, NDArray[Any]]) -> None:
    """Raise if a layer's number of neurons differs from earlier batches, which ``widths`` records."""
    for layer, part in parts.items():
        if widths.setdefault(layer, part.shape[1]) != part.shape[1]:
            raise ActivationsError(
                f"layer {layer!r} has {widths[layer]} neurons in one batch and {part.shape[1]} in another: the number "
                "must be the same in all batches, so pool axes of varying length"
            )


def as_finite(
    parts: Mapping[str, NDArray[Any]], ids: Sequence[str] | None, n_before: int
) -> dict[str, NDArray[np.float32]]:
    """Return the activations of a batch by layer as float32, all of them finite numbers.

    Parameters
    ----------
    parts : mapping from str to array of shape (n_rows, n_neurons)
        The activations by layer.
    ids : sequence of str or None
        The ids of the rows, for messages; by default their numbers.
    n_before : int
        The number of rows before this batch.

    Returns
    -------
    dict from str to float32 array of shape (n_rows, n_neurons)
        The same values.

    Raises
    ------
    ActivationsError
        If a value is complex, NaN, infinite or beyond float32; the message names the layer and the samples.
    """
    finite = {}
    for layer, given in parts.items():
        part = np.asarray(given)
        if part.dtype.kind not in "biuf":
            raise ActivationsError(f"activations of layer {layer!r} must be real numbers, not {part.dtype}")
        with np.errstate(over="ignore"):
            finite[layer] = np.asarray(part, np.float32)
        bad = ~np.isfinite(finite[layer])
        if bad.any():
            rows = np.flatnonzero(bad.any(axis=1)).tolist()
            names = [str(n_before + row) if not ids else ids[row] for row in rows]
            raise ActivationsError(
                f"layer {layer!r} gives {_odd(part[bad])} in {counted(int(bad.sum()), 'value')} on "
                f"{counted(len(rows), 'sample')} of {len(part)}: {some(names)}; activations must be finite, so check "
                "these samples and the weights (in half precision, use a wider type), or leave these samples out"
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


def _new(group: Any, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str) -> Any:
    """Make an uncompressed array."""
    return group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, compressors=None)


def _known(path: Path) -> dict[str, Any] | None:
    """The state that an earlier run left in a store; None if there is no store."""
    import zarr

    if path.is_dir() and all(child.suffix == ".partial" for child in path.iterdir()):
        return None
    try:
        state: Any = zarr.open_group(str(path), mode="r").attrs[_KEY]
    except Exception:  # zarr raises errors of many kinds on other folders
        raise FileError(
            f"cannot write {str(path)!r}: it exists and is not a store of activations, so choose another name"
        ) from None
    return _checked(state, path)


def _refuse_other_settings(path: PathLike, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise if a store was made with other settings."""
    differ = [name for name in sorted({*stored, *wanted}) if stored.get(name) != wanted.get(name)]
    if differ:
        changes = "; ".join(f"{name}: {stored.get(name)!r} then, {wanted.get(name)!r} now" for name in differ[:3])
        raise FileError(
            f"{str(path)!r} was made with other settings ({changes}): choose another name, or replace it with "
            "overwrite=True (--overwrite)"
        )


def _locked(path: Path) -> int | None:
    """Lock a folder for this process until the returned file descriptor is closed; None if that is impossible."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except PermissionError:
        if os.name == "nt":  # which opens no folders
            return None
        raise
    try:
        if try_lock(lock, path):
            return lock
    except FileError:
        os.close(lock)
        raise
    os.close(lock)
    return None


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
