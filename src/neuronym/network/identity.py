"""What determines activations: the model, functions and data, described so that another run can compare.

Code is compared as bytecode, without its place, comments and docstring, with that of the functions that it calls, apart
from those of installed packages. Values that code holds, such as a counter in a closure or an attribute of an object,
are not compared, since they may change without effect: ``collect`` compares a batch of activations for that. Only the
arrays and tensors that a Dataset holds are taken for its samples.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym.io.texts import Texts
from neuronym.network.batches import batches
from neuronym.network.hooks import original
from neuronym.network.outputs import plain

if TYPE_CHECKING:
    import torch

__all__ = [
    "described",
    "hash_architecture",
    "hash_code",
    "hash_code_of_data",
    "hash_data",
    "hash_texts",
    "hash_weights",
    "qualified_name",
    "versions",
]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
_INSTALLED = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in _PLACES})
_HAS_DOC = 0x4000000  # a flag of code objects since Python 3.13
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))


def qualified_name(thing: object) -> str:
    """The name of a function or class with its module; of another object, that of its class."""
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    return f"{getattr(thing, '__module__', '?')}.{name}"


def described(thing: object) -> str:
    """Describe preprocessing in one line, the same in every process: in its own words, or by its name.

    Parameters
    ----------
    thing : object
        A function or an object.

    Returns
    -------
    str
        What ``str`` says without addresses in memory.
    """
    if isinstance(thing, FunctionType | MethodType | type):
        return qualified_name(thing)
    return _ADDRESS.sub("", " ".join(str(thing).split()))


def versions() -> dict[str, str]:
    """The versions of the packages that compute activations."""
    from importlib.metadata import version

    return {package: version(package) for package in ("neuronym", "torch")}


def hash_texts(texts: Iterable[str]) -> str:
    """Hash texts in their order."""
    return hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def hash_weights(model: torch.nn.Module) -> str:
    """Hash every parameter and buffer of a model."""
    import torch

    content_hash = hashlib.blake2b(digest_size=16)
    for name, value in original(model).state_dict().items():
        for tensor in value if isinstance(value, tuple) else (value,):  # quantised weights come with their biases
            if isinstance(tensor, torch.Tensor):
                content_hash.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                content_hash.update(_bytes(tensor))
    return content_hash.hexdigest()


def hash_architecture(model: torch.nn.Module) -> str:
    """Hash how a model computes: what it prints, and the code of its modules and of functions that they hold."""
    inner = original(model)
    parts = [_ADDRESS.sub("", repr(inner))]
    classes: dict[type, None] = {}
    for name, module in inner.named_modules():
        classes[type(module)] = None
        for key, value in vars(module).items():
            parts += [f"{name}.{key} {part}" for part in _of_called(value)]
    seen: set[int] = set()
    parts += [part for one in classes for part in _of_code(one, seen)]
    return hash_texts(parts)


def _of_called(value: object, above: tuple[int, ...] = ()) -> Iterator[str]:
    """Describe functions that a module holds, in containers too: its activation function, or those that are hooks."""
    if isinstance(value, Mapping | list | tuple):
        if id(value) not in above:  # a container may hold itself
            for one in value.values() if isinstance(value, Mapping) else value:
                yield from _of_called(one, (*above, id(value)))
    elif _is_function(value):
        yield hash_code(value)


def _is_function(value: object) -> bool:
    import torch

    if isinstance(value, type | torch.nn.Module) or not callable(value):
        return False
    return isinstance(value, FunctionType | MethodType | functools.partial) or hasattr(value, "__qualname__")


def hash_code(thing: object) -> str:
    """Hash the name and code of a function, with those of the functions that it uses, or of an object's class.

    Parameters
    ----------
    thing : object
        A function, a method, a ``functools.partial``, a class, or an object.

    Returns
    -------
    str
        The hash in hexadecimal.
    """
    return hash_texts(_of_code(thing, set()))


def _of_code(thing: Any, seen: set[int]) -> Iterator[str]:
    """Describe code, each function and class once."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, functools.partial):
        yield f"partial {_value(thing.args)} {_value(sorted(thing.keywords.items()))}"
        for one in (thing.func, *thing.args, *thing.keywords.values()):
            yield from _of_code(one, seen) if callable(one) else ()
        return
    if isinstance(thing, MethodType):
        yield from _of_code(thing.__func__, seen)
        yield from _of_code(type(thing.__self__), seen)
        return
    wrapped = getattr(thing, "__wrapped__", None)  # of functools.wraps, and of a cached function
    if isinstance(thing, FunctionType):
        yield qualified_name(thing)
        if not _is_installed(thing):
            yield from _of_function(thing, seen)
    elif isinstance(thing, type):
        yield from _of_class(thing, seen)
    elif hasattr(thing, "__qualname__"):  # a function that is not written in Python
        yield qualified_name(thing)
    else:
        yield described(thing)
        yield from _of_class(type(thing), seen)
    if wrapped is not None:
        yield from _of_code(wrapped, seen)


def _of_function(function: FunctionType, seen: set[int]) -> Iterator[str]:
    """Describe a function by its code, its defaults, and the functions and classes that it refers to."""
    code = function.__code__
    yield from _of_bytecode(code)
    yield _value(function.__defaults__)
    yield _value(sorted((function.__kwdefaults__ or {}).items()))
    cells = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    used = {name: function.__globals__[name] for name in sorted(_names(code)) if name in function.__globals__}
    for name, value in {**used, **cells}.items():
        if callable(value) and not isinstance(value, ModuleType):
            yield name
            yield from _of_code(value, seen)


def _of_class(kind: type, seen: set[int]) -> Iterator[str]:
    """Describe a class by its name and the code of its methods, inherited ones included."""
    for one in kind.__mro__:
        if id(one) in seen and one is not kind:
            continue
        seen.add(id(one))
        yield qualified_name(one)
        for name, member in () if _is_installed(one) else sorted(vars(one).items()):
            function = getattr(member, "__func__", getattr(member, "fget", getattr(member, "func", member)))
            if isinstance(function, FunctionType):
                yield name
                yield from _of_code(function, seen)


def _of_bytecode(code: CodeType) -> Iterator[str]:
    """Describe compiled code, without its file, lines and docstring."""
    has_doc = bool(code.co_flags & _HAS_DOC) if sys.version_info >= (3, 13) else not code.co_name.startswith("<")
    flags = code.co_flags & ~_HAS_DOC
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars} {flags}"
    for number, constant in enumerate(code.co_consts):
        if isinstance(constant, CodeType):
            yield from _of_bytecode(constant)
        elif number or not has_doc:
            yield _value(constant)


def _names(code: CodeType) -> set[str]:
    """The names that code refers to, functions inside it included."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _value(value: object) -> str:
    """Describe a constant, the same in every process; what may change is described by its type."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_value, value)))}}}"
    if isinstance(value, list) and all(isinstance(one, tuple) for one in value):  # of keywords
        return _value(tuple(value))
    return qualified_name(value) if callable(value) else type(value).__qualname__


def _is_installed(thing: object) -> bool:
    """Whether a function or class belongs to Python, an installed package or neuronym, which have versions."""
    name = getattr(thing, "__module__", None) or ""
    package = name.partition(".")[0]
    if package != "__main__" and package in {"neuronym", *sys.stdlib_module_names}:
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and str(Path(file).resolve()).startswith(_INSTALLED)


def hash_code_of_data(data: Any) -> str | None:
    """Hash the code that makes samples: of a Dataset, its preprocessing, or what makes batches.

    Parameters
    ----------
    data : object
        The data, as given to ``collect``.

    Returns
    -------
    str or None
        The hash in hexadecimal; None if the samples are given as they are.
    """
    import torch

    if isinstance(data, np.ndarray | torch.Tensor | list | tuple | Mapping):
        return None
    if isinstance(data, torch.utils.data.DataLoader):
        return hash_texts([hash_code_of_data(data.dataset) or "", hash_code(data.collate_fn)])
    if isinstance(data, torch.utils.data.Subset):
        return hash_code_of_data(data.dataset)
    parts = [*_of_class(type(data), set())]
    prepare = None if isinstance(data, Texts) else getattr(data, "prepare", None)
    parts += [] if prepare is None else [hash_code(prepare)]
    parts += [*_of_bytecode(data.gi_code)] if isinstance(data, GeneratorType) else []
    return hash_texts(parts)


def hash_data(data: Any) -> str | None:
    """Hash data if that is cheap.

    Parameters
    ----------
    data : object
        Arrays, tensors, Datasets that hold them, DataLoaders and lists of them, and objects with a ``digest`` method.

    Returns
    -------
    str or None
        The hash in hexadecimal; None if the samples are known only one by one.
    """
    import torch

    if hasattr(data, "digest"):
        return str(data.digest())
    if isinstance(data, np.ndarray | torch.Tensor):
        content_hash = hashlib.blake2b(f"{data.dtype} {tuple(data.shape)}".encode(), digest_size=16)
        for batch in batches(data, 1024):  # a memory-mapped array may not fit in memory
            content_hash.update(_bytes(batch.inputs))
        return content_hash.hexdigest()
    if isinstance(data, torch.utils.data.TensorDataset):
        return _joined(map(hash_data, data.tensors))
    if isinstance(data, torch.utils.data.Subset):
        return _joined([hash_data(data.dataset), str(list(data.indices))])
    if isinstance(data, torch.utils.data.ConcatDataset):
        return _joined(map(hash_data, data.datasets))
    if isinstance(data, torch.utils.data.DataLoader):
        return hash_data(data.dataset)
    if isinstance(data, torch.utils.data.Dataset):
        return _hash_held(data)
    return _hash_batches(data) if isinstance(data, list | tuple) else None


def _hash_held(data: object) -> str | None:
    """Hash the arrays and tensors that a Dataset holds in memory; None if there are none."""
    import torch

    parts = []
    for name, value in sorted(vars(data).items()):
        numeric = isinstance(value, np.ndarray) and value.dtype.kind in "biufc" and not isinstance(value, np.memmap)
        if (numeric or isinstance(value, torch.Tensor)) and value.ndim:
            parts.append(f"{name} {hash_data(value)}")
    return hash_texts(parts) if parts else None


def _joined(hashes: Iterable[str | None]) -> str | None:
    """Combine hashes, if there are all of them."""
    listed = list(hashes)
    return None if None in listed else hash_texts([one or "" for one in listed])


def _hash_batches(data: Sequence[Any]) -> str | None:
    """Hash a list of batches, the same for batches of another size."""
    parts: dict[str, Any] = {}
    shapes: dict[str, object] = {}
    for batch in data:
        for name, value in _leaves(batch, ""):
            if value is None:
                return None
            part = parts.setdefault(name, hashlib.blake2b(digest_size=16))
            shape = f"{value.dtype} {tuple(value.shape[1:])}"
            if shapes.get(name) != shape:
                part.update(shape.encode())
                shapes[name] = shape
            part.update(_bytes(value))
    return hash_texts(f"{name} {part.hexdigest()}" for name, part in sorted(parts.items()))


def _leaves(batch: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the tensors in a batch with their names; None for what is no tensor."""
    import torch

    if isinstance(batch, np.ndarray) and batch.dtype.kind in "biufc":
        batch = torch.as_tensor(batch)
    if isinstance(batch, Mapping):
        for key, value in batch.items():
            yield from _leaves(value, f"{name}.{key}")
    elif isinstance(batch, list | tuple):
        for number, value in enumerate(batch):
            yield from _leaves(value, f"{name}.{number}")
    else:
        yield name, batch if isinstance(batch, torch.Tensor) else None


def _bytes(tensor: torch.Tensor) -> memoryview:
    import torch

    if tensor.is_meta:
        return memoryview(b"")
    tensor = plain(tensor, "").resolve_conj().resolve_neg()
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
