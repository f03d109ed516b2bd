"""Files of activations that other libraries write: scipy, safetensors and delphi, AnnData and HDF5, PyTorch.

Each is read by its own library, never unpickled, and checked before it is used; sparse matrices stay sparse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import unpack_from
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.extras import need
from neuronym._util.files import reading
from neuronym._util.limits import AXIS, check_unpacked
from neuronym._util.messages import counted, no_such, some
from neuronym.data.activations import Activations
from neuronym.data.labelled import is_sparse, to_sparse
from neuronym.errors import FileError
from neuronym.types import PathLike

if TYPE_CHECKING:
    from scipy.sparse import csc_array

__all__ = ["FORMATS", "open_format", "sparse_members", "split_inner"]

#: Kinds of files that hold several matrices, of which one is named as in ``FILE/NAME``.
FORMATS = (".safetensors", ".h5ad", ".h5", ".hdf5", ".pt", ".pth")

_SHARD = re.compile(r"(\d{1,18})_(\d{1,18})")
_HEAP = b"GCOL\x01\0\0\0"  # where a heap of texts begins in HDF5
_SEARCHED = 2**30  # bytes of a file that are searched for heaps
_MATRIX = "activations"  # what a matrix among others may be called


def split_inner(path: PathLike) -> tuple[Path, str | None] | None:
    """Split ``FILE/NAME`` into a file of several matrices and the name of one, if any; None for other paths."""
    whole = Path(path)
    for file in (whole, *whole.parents):
        if file.suffix.lower() in FORMATS and (file == whole or file.is_file()):
            inner = whole.relative_to(file).as_posix()
            return file, None if inner == "." else inner
    return (whole, None) if is_delphi(whole) else None


def open_format(path: PathLike) -> Activations:
    """Open a file of another library, a matrix in it, or a folder of delphi's shards.

    Parameters
    ----------
    path : str or Path
        The file, ``FILE/NAME``, or the folder.

    Returns
    -------
    Activations
        In memory, sparse if the file is.

    Raises
    ------
    FileError
        If it is missing or broken, or holds no matrix or several.
    OptionError
        If the library that reads it is not installed.
    """
    found = split_inner(path)
    if found is None:
        raise FileError(f"{str(path)!r} is no file of {', '.join(FORMATS)}")
    file, name = found
    if file.is_dir():
        return _shards(sorted(file.glob("*.safetensors"), key=_span), file)
    if not file.exists():
        raise FileError(f"cannot read activations: there is no file {str(file)!r}")
    kind = file.suffix.lower()
    if kind == ".safetensors":
        return _safetensors(file, name)
    return _torch(file, name) if kind in (".pt", ".pth") else _hdf5(file, name, kind == ".h5ad")


def _chosen(path: Path, given: Mapping[str, Any], name: str | None) -> str:
    """The name of the matrix to read among those of a file."""
    if name is not None:
        if name not in given:
            raise no_such(f"matrix in {str(path)!r}", name, list(given))
        return name
    if _MATRIX in given or len(given) == 1:
        return _MATRIX if _MATRIX in given else next(iter(given))
    if not given:
        raise FileError(f"{str(path)!r} holds no matrix of numbers with two axes, samples × neurons")
    raise FileError(
        f"{str(path)!r} holds {len(given)} matrices ({some(given)}): name one, as in {path}/{next(iter(given))}"
    )


# Sparse matrices of scipy


def sparse_members(path: PathLike, members: Mapping[str, Callable[[], NDArray[Any]]]) -> csc_array:
    """The matrix in an ``.npz`` that ``scipy.sparse.save_npz`` wrote.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    members : mapping of str to callable
        What reads each array of the archive.

    Returns
    -------
    csc_array of shape (n_samples, n_neurons)
        The matrix.

    Raises
    ------
    FileError
        If the arrays make no sparse matrix.
    """
    import scipy.sparse as sparse

    parts = {name: members[name]() for name in ("format", "shape", "data")}
    kind = parts["format"].item()
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    shape = _shape(path, parts["shape"])
    given = {"csc": ("indices", "indptr"), "csr": ("indices", "indptr"), "coo": ("row", "col")}.get(kind)
    if given is None or not all(name in members for name in given):
        raise FileError(
            f"cannot read activations from {str(path)!r}: a sparse matrix must be csc, csr or coo, not {kind[:20]!r}: "
            "save matrix.tocsc()"
        )
    arrays = [members[name]() for name in given]
    if kind == "coo":
        return _of_entries(path, sparse.coo_array, (parts["data"], tuple(arrays)), shape)
    return _of_entries(path, getattr(sparse, f"{kind}_array"), (parts["data"], *arrays), shape)


def _shape(path: PathLike, shape: Any) -> tuple[int, int]:
    """The shape of a matrix that a file states, checked."""
    listed = [int(length) for length in np.ravel(shape).tolist()] if np.asarray(shape).dtype.kind in "iu" else []
    if len(listed) != 2 or not all(0 <= length <= AXIS for length in listed):
        raise FileError(f"cannot read activations from {str(path)!r}: its shape is broken")
    return listed[0], listed[1]


def _of_entries(path: PathLike, kind: Any, parts: Any, shape: tuple[int, int]) -> csc_array:
    """A sparse matrix made of the arrays of a file, none of which is trusted."""
    values, *places = parts if isinstance(parts[1], np.ndarray) else (parts[0], *parts[1])
    whole = all(isinstance(one, np.ndarray) and one.ndim == 1 and one.dtype.kind in "iu" for one in places)
    if not (whole and values.ndim == 1 and values.dtype.kind in "biuf"):
        raise FileError(f"cannot read activations from {str(path)!r}: it is no sparse matrix of numbers")
    if values.dtype == np.float16:  # which scipy's matrices cannot hold
        parts = (values.astype(np.float32), *parts[1:])
    try:
        found = kind(parts, shape=shape)
        if hasattr(found, "check_format"):
            found.check_format(full_check=True)
        if found.format == "coo" and found.nnz and min(one.min() for one in found.coords) < 0:
            raise ValueError("negative places")
        columns: csc_array = found.tocsc()
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise FileError(f"cannot read activations from {str(path)!r}: it is no sparse matrix ({error})") from error
    return columns


# safetensors, and the shards of delphi


def _tensors(path: Path) -> tuple[dict[str, tuple[int, ...]], Callable[[str], NDArray[Any]]]:
    """The shapes of the tensors in a file, and what reads one."""
    need("reading .safetensors", "torch", ["safetensors"])
    from safetensors import safe_open

    def read(name: str) -> NDArray[Any]:
        with reading(path, "activations"):
            try:
                with safe_open(path, "numpy") as opened:
                    return np.asarray(opened.get_tensor(name))
            except (TypeError, AttributeError):  # of a type that numpy lacks, such as bfloat16
                need("reading bfloat16 from .safetensors", "torch", ["torch"])
                with safe_open(path, "pt") as opened:
                    return np.asarray(opened.get_tensor(name).float().numpy())

    with reading(path, "activations"), safe_open(path, "numpy") as opened:
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    return shapes, read


def _safetensors(path: Path, name: str | None) -> Activations:
    shapes, read = _tensors(path)
    if name is None and {"locations", _MATRIX} <= shapes.keys() and len(shapes[_MATRIX]) == 1:
        return _shards([path], path)
    return Activations(read(_chosen(path, {key: shape for key, shape in shapes.items() if len(shape) == 2}, name)))


def is_delphi(path: Path) -> bool:
    """Whether a path is a folder of delphi's shards, ``FIRST_LAST.safetensors``."""
    return path.is_dir() and any(_SHARD.fullmatch(one.stem) for one in path.glob("*.safetensors"))


def _span(path: Path) -> tuple[int, int]:
    """The first and last latent of a shard, by its name."""
    named = _SHARD.fullmatch(path.stem)
    if named is None:
        raise FileError(
            f"{str(path)!r} is no shard of delphi's: its name must be FIRST_LAST.safetensors, the latents that it holds"
        )
    return int(named[1]), int(named[2])


def _shards(paths: Sequence[Path], given: Path) -> Activations:
    """The latents of shards that delphi's cache wrote: tokens as samples, and their sequences as clusters."""
    from scipy.sparse import hstack

    parts, shape = [], None
    names: list[int | str] = []
    for path in paths:
        first, last = _span(path)
        shapes, read = _tensors(path)
        missing = [name for name in ("locations", _MATRIX, "tokens") if name not in shapes]
        if missing:
            raise FileError(
                f"{str(path)!r} has no {some(missing)}: delphi's shards have activations, locations and tokens, so "
                "save them with save_tokens=True"
            )
        if shape not in (None, shapes["tokens"]) or len(shapes["tokens"]) != 2:
            raise FileError(f"the tokens of {str(path)!r} have the shape {shapes['tokens']}, and others {shape}")
        shape = shapes["tokens"]
        if (names and first <= int(names[-1])) or last < first or last - first >= AXIS:
            raise FileError(f"{str(path)!r} has the latents {first} to {last}, which do not follow those before")
        parts.append(_shard(path, read, shape, last - first + 1))
        names += range(first, last + 1)
    if shape is None:
        raise FileError(f"{str(given)!r} holds no shard")
    sequences = np.repeat(np.arange(shape[0]), shape[1]).tolist()
    ids = [f"{sequence}#{position}" for sequence in range(shape[0]) for position in range(shape[1])]
    return Activations(hstack(parts, format="csc"), names, sample_ids=ids, clusters=sequences)


def _shard(path: Path, read: Callable[[str], NDArray[Any]], shape: tuple[int, ...], n_latents: int) -> csc_array:
    """The matrix of one shard, tokens × latents."""
    from scipy.sparse import coo_array

    places, values = read("locations"), read(_MATRIX)
    if places.ndim != 2 or places.shape[1] != 3 or values.shape != places.shape[:1] or places.dtype.kind not in "iu":
        raise FileError(
            f"{str(path)!r} is no shard of delphi's: locations must have three columns, sequence, position and latent, "
            f"and one row per activation, but have shape {places.shape} for {values.shape}"
        )
    sequence, position, latent = places.astype(np.int64).T
    for what, given, length in (
        ("sequence", sequence, shape[0]), ("position", position, shape[1]), ("latent", latent, n_latents)
    ):  # fmt: skip
        if len(given) and not 0 <= int(given.min()) <= int(given.max()) < length:
            raise FileError(f"{str(path)!r} is broken: a {what} of its locations is beyond the {length} there are")
    return _of_entries(
        path, coo_array, (values, (sequence * shape[1] + position, latent)), (shape[0] * shape[1], n_latents)
    )


# AnnData and HDF5


def _hdf5(path: Path, name: str | None, annotated: bool) -> Activations:
    need(f"reading {path.suffix}", "hdf5")
    import h5py

    _check_heaps(path)
    with reading(path, "activations"), h5py.File(path, "r") as file:
        if annotated:
            node = _annotated(path, file, name)
            ids, names = (_index(path, file, axis) for axis in ("obs", "var"))
            return Activations(_matrix(path, node), names, sample_ids=ids)
        found: dict[str, Any] = {}
        file.visititems(lambda inner, one: found.update({inner: one}) if _is_matrix(one) else None)
        inside = {inner: one for inner, one in found.items() if not any(p in found for p in _above(inner))}
        return Activations(_matrix(path, inside[_chosen(path, inside, name)]))


def _check_heaps(path: Path) -> None:
    """Refuse a file with a damaged heap of texts, which the HDF5 library would read without end."""
    with reading(path, "activations"), open(path, "rb") as file:
        length = min(path.stat().st_size, _SEARCHED)
        with mmap(file.fileno(), length, access=ACCESS_READ) as data:
            place = data.find(_HEAP)
            while 0 <= place <= length - 16:
                (size,) = unpack_from("<Q", data, place + 8)
                at, end = place + 16, min(place + size, length)
                while at + 16 <= end:  # each object says how long it is; one of number 0 is what is free
                    number, n_bytes = unpack_from("<H6xQ", data, at)
                    if not number and not n_bytes:
                        raise FileError(f"cannot read activations from {str(path)!r}: it is broken at byte {at}")
                    at += 16 + -(-n_bytes // 8) * 8 if number else n_bytes
                place = data.find(_HEAP, place + 8)


def _above(inner: str) -> list[str]:
    """The groups that a name is in."""
    parts = inner.split("/")
    return ["/".join(parts[:k]) for k in range(1, len(parts))]


def _is_matrix(node: Any) -> bool:
    """Whether a node of HDF5 is a matrix of numbers, dense or sparse as AnnData encodes it."""
    if hasattr(node, "keys"):
        return _encoding(node) in ("csr_matrix", "csc_matrix")
    return len(node.shape or ()) == 2 and node.dtype.kind in "biuf"


def _encoding(node: Any) -> str:
    kind = node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", ""))
    text = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    return f"{text}_matrix" if text in ("csr", "csc") else text


def _annotated(path: Path, file: Any, name: str | None) -> Any:
    """The matrix of an AnnData file: X, or one of its layers."""
    layers = {f"layers/{layer}": file["layers"][layer] for layer in file["layers"]} if "layers" in file else {}
    known = {**({"X": file["X"]} if "X" in file else {}), **layers}
    known = {inner: node for inner, node in known.items() if _is_matrix(node)}
    return known["X" if name is None and "X" in known else _chosen(path, known, name)]


def _index(path: Path, file: Any, axis: str) -> list[str] | None:
    """The names of the samples (obs) or neurons (var) of an AnnData file; None if they are just counted."""
    frame = file.get(axis)
    if frame is None or not hasattr(frame, "keys"):
        raise FileError(
            f"cannot read activations from {str(path)!r}: its {axis} is no table, as AnnData 0.7 or later writes"
        )
    key = frame.attrs.get("_index", "index")
    key = key.decode() if isinstance(key, bytes) else str(key)
    node = frame.get(key)
    if node is None:
        raise FileError(f"cannot read activations from {str(path)!r}: its {axis} has no index")
    if hasattr(node, "keys"):  # a categorical
        kinds, codes = node["categories"][:], node["codes"][:]
        listed = [kinds[code] for code in codes.tolist()]
    else:
        listed = node[:].tolist()
    texts = [one.decode("utf-8") if isinstance(one, bytes) else str(one) for one in listed]
    return None if texts == [str(k) for k in range(len(texts))] else texts


def _matrix(path: Path, node: Any) -> Any:
    """A matrix of HDF5 in memory."""
    if not hasattr(node, "keys"):
        if node.external or node.is_virtual:
            raise FileError(
                f"cannot read activations from {str(path)!r}: {node.name!r} is in other files: copy it into this one "
                "with h5repack"
            )
        check_unpacked(path, "activations", int(np.prod(node.shape)) * node.dtype.itemsize)
        return node[...]
    from scipy.sparse import csc_array, csr_array

    shape = _shape(path, node.attrs.get("shape", node.attrs.get("h5sparse_shape", ())))
    names = ("data", "indices", "indptr")
    missing = [name for name in names if name not in node or hasattr(node[name], "keys")]
    if missing:
        raise FileError(f"cannot read activations from {str(path)!r}: its sparse matrix lacks {some(missing)}")
    check_unpacked(path, "activations", sum(node[name].size * node[name].dtype.itemsize for name in names))
    kind = csc_array if _encoding(node) == "csc_matrix" else csr_array
    return _of_entries(path, kind, tuple(node[name][...] for name in names), shape)


# PyTorch


def _torch(path: Path, name: str | None) -> Activations:
    need(f"reading {path.suffix}", "torch", ["torch"])
    import torch

    with reading(path, "activations"):
        try:
            given = torch.load(path, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # torch raises many kinds for a corrupt file
            raise FileError(
                f"cannot read activations from {str(path)!r}: the file is corrupt, or contains Python objects, which "
                "are never unpickled: save a tensor, samples × neurons, with torch.save(tensor, path)"
            ) from error
    if isinstance(given, torch.Tensor):
        if name is not None:
            raise FileError(f"{str(path)!r} holds a tensor without a name: leave out {name!r}")
        return _of_tensor(given)
    if not isinstance(given, Mapping):
        raise FileError(f"{str(path)!r} holds a {type(given).__name__}: save a tensor, samples × neurons")
    known = {str(key): one for key, one in given.items() if isinstance(one, torch.Tensor) and one.ndim == 2}
    if not known:
        raise FileError(
            f"{str(path)!r} holds {counted(len(given), 'value')}, none of them a tensor of two axes, samples × neurons"
        )
    return _of_tensor(known[_chosen(path, known, name)])


def _of_tensor(tensor: Any) -> Activations:
    return Activations(to_sparse(tensor) if is_sparse(tensor) else tensor)
