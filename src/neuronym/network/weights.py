"""Weights loaded from files into models whose parameters have the same names, up to a prefix."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from neuronym._util.files import reading
from neuronym._util.messages import counted, some, warn
from neuronym.errors import FileError, OptionError
from neuronym.types import PathLike

if TYPE_CHECKING:
    import torch

__all__ = ["load_weights"]

Value = TypeVar("Value")

#: Modules put around others by data parallelism, compilation and the like: their names are left out of all names.
_WRAPPERS = {"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
#: Keys under which a model's own weights are saved, whatever else is beside them.
_USUAL = {"", "state_dict", "model_state_dict", "model", "net", "network"}
_AVERAGED = re.compile(
    r"(^|[._])(ema|swa|avg|averaged|teacher|momentum|target|shadow|encoder_k)([._]|$)", re.IGNORECASE
)


def load_weights(model: torch.nn.Module, path: PathLike) -> None:
    """Load a state dict from a file into a model; Python objects are never unpickled.

    The state dict may be nested in other dicts, and its names may have a prefix that the model's names lack, or lack
    one that they have: whatever prefix makes all names and shapes match is used, with a warning that says so. If
    several do, averaged weights (EMA, SWA, a teacher) are left out. Optimizer states are ignored. The file may lack the
    counters of batch normalisation, and all but one of the names of a parameter that the model has under several.

    Parameters
    ----------
    model : torch.nn.Module
        The model, changed in place.
    path : str or Path
        A file in the format of safetensors (``.safetensors``) or ``torch.save``.

    Raises
    ------
    FileError
        If the file cannot be read, its names or shapes are not those of the model, or it contains several sets of
        weights for the model.
    """
    state = _read(path)
    stored = _bare({name: (keys, value) for name, keys, value in _tensors(state)})
    if not stored:
        objects = ", only Python objects, which are never unpickled" if _has_objects(state) else ""
        raise FileError(f"{str(path)!r} contains no state dict{objects}: save model.state_dict()")
    matches = _Names(model).matches(stored)
    whole = [match for match in matches if not match.problems()]
    if not whole:
        closest = max(matches, key=lambda match: (match.n_right, -len(match.prefix)))
        where = f" (its names under {closest.prefix!r} are the closest)" if closest.prefix else ""
        raise FileError(
            f"the weights in {str(path)!r} belong to another network: {'; '.join(closest.problems())}{where}"
        )
    used = _choose(whole, path)
    said = used.differences([match for match in whole if match is not used])
    if said:
        warn(f"weights in {str(path)!r}: {'; '.join(said)}")
    model.load_state_dict({name: value for name, (_, value) in used.found.items()}, strict=False)


class _Object:
    """Stands for a Python object in a file, which is not unpickled."""

    def __new__(cls, *_: object, **__: object) -> _Object:
        return super().__new__(cls)

    def __setstate__(self, _: object) -> None:
        pass


class _Dict:
    """Stands for a kind of dict that is not plain, such as a ``defaultdict``, whose contents can be read."""

    def __new__(cls, *_: object, **__: object) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


def _has_objects(state: object) -> bool:
    return isinstance(state, _Object) or (isinstance(state, Mapping) and any(map(_has_objects, state.values())))


def _read(path: PathLike) -> Any:
    """Read a file of tensors, with ``_Object`` in the place of Python objects."""
    import torch

    with reading(path, "weights"):
        if Path(path).suffix == ".safetensors":
            try:
                from safetensors.torch import load_file
            except ImportError as error:
                raise OptionError("reading .safetensors needs safetensors: pip install safetensors") from error
            try:
                return load_file(path)
            except OSError:
                raise
            except Exception as error:  # safetensors has no error class to import
                raise FileError(f"cannot read weights from {str(path)!r}: {error}") from error
        objects = _objects(path)
        try:
            with torch.serialization.safe_globals(objects) if objects else nullcontext():
                return torch.load(path, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # torch raises many kinds for a corrupt file
            kind = "is TorchScript" if "torchscript" in str(error).lower() else "is corrupt"
            raise FileError(
                f"cannot read weights from {str(path)!r}: the file {kind}, or contains Python objects, which are never "
                "unpickled; save model.state_dict()"
            ) from error


def _objects(path: PathLike) -> list[Any]:
    """Pair each Python class and function that a file refers to, by name, with what stands for it; none is imported."""
    import torch

    listed = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)  # since PyTorch 2.6
    try:
        names = [] if listed is None else listed(str(path))
    except Exception:  # a file of before PyTorch 1.6, TorchScript, a broken one, or no file of torch's
        return []
    return [(_Dict if "dict" in name.rpartition(".")[2].lower() else _Object, name) for name in names]


def _tensors(state: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...], torch.Tensor]]:
    """Yield the tensors in nested dicts, but not those of optimizers: their dotted names, keys and values."""
    import torch

    if not isinstance(state, Mapping) or len(keys) > 8:
        return
    for key, value in state.items():
        below = (*keys, str(key))
        if isinstance(value, torch.Tensor):
            yield ".".join(below), below, value
        elif not str(key).startswith("optim"):
            yield from _tensors(value, below)


def _bare(values: Mapping[str, Value]) -> dict[str, Value]:
    """Leave wrappers out of names, unless two would then be the same."""
    bare = {".".join(part for part in name.split(".") if part not in _WRAPPERS): one for name, one in values.items()}
    return bare if len(bare) == len(values) else dict(values)


def _common(paths: Sequence[Sequence[str]]) -> list[str]:
    """Return the first parts that all paths have in common."""
    return [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))]


Stored = Mapping[str, tuple[tuple[str, ...], "torch.Tensor"]]


class _Names:
    """The names of a model's parameters and buffers, and what a file may have besides, or lack."""

    def __init__(self, model: torch.nn.Module) -> None:
        import torch

        state = model.state_dict(keep_vars=True)
        self.expected = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
        self.bare = _bare({name: name for name in self.expected})
        self.buffers = set(_bare({name: name for name, _ in model.named_buffers()}))  # some are not in a state dict
        by_tensor: dict[int, list[str]] = {}
        for name, value in self.expected.items():
            by_tensor.setdefault(id(value), []).append(name)
        self.shared = [names for names in by_tensor.values() if len(names) > 1]

    def matches(self, stored: Stored) -> list[_Match]:
        """Match the model's names with those of a file by each prefix that could be meant."""
        parts = [name.split(".") for name in self.bare]
        common = _common(parts)[: min(map(len, parts), default=1) - 1]
        found: list[_Match] = []
        for n in range(len(common) + 1):
            lacking = "".join(f"{part}." for part in common[:n])
            prefixes = _prefixes({name.removeprefix(lacking) for name in self.bare}, stored)
            found += [self._match(stored, prefix, lacking) for prefix in prefixes]
            full = [match for match in found if match.full]
            for match in full:
                match.leave_out([other for other in full if other is not match])
            if any(not match.problems() for match in full):
                return found
        return found or [self._match(stored, "", "")]

    def _match(self, stored: Stored, prefix: str, lacking: str) -> _Match:
        import torch

        by_bare = {bare: prefix + bare.removeprefix(lacking) for bare in self.bare}
        found = {self.bare[bare]: stored[name] for bare, name in by_bare.items() if name in stored}
        missing = set(self.expected) - set(found)
        missing -= {name for name in missing if name.rpartition(".")[2] == "num_batches_tracked"}
        missing -= {name for names in self.shared if any(one in found for one in names) for name in names}
        fixed = {name: value for name, value in self.expected.items() if not torch.nn.parameter.is_lazy(value)}
        other_shape = [name for name, (_, value) in found.items() if value.shape != fixed.get(name, value).shape]
        taken = {found[name][0][:-1] for name in found} or {keys[:-1] for keys, _ in stored.values()}
        used = {*by_bare.values()}
        beside = [name for name, (keys, _) in stored.items() if keys[:-1] in taken and name not in used]
        beside = [name for name in beside if name.rpartition(".")[2] != "n_averaged"]  # of AveragedModel
        unknown = [name for name in beside if name.startswith(prefix)]
        unknown = [name for name in unknown if lacking + name.removeprefix(prefix) not in self.buffers]
        return _Match(
            self, prefix, found, [name for name in self.expected if name in missing], other_shape, unknown,
            [name for name in beside if not name.startswith(prefix)],
        )  # fmt: skip


def _prefixes(names: set[str], stored: Stored) -> list[str]:
    """List the prefixes with which names of a model are in a file, most frequent first."""
    votes: Counter[str] = Counter()
    for name in stored:
        parts = name.split(".")
        votes.update(
            "".join(f"{part}." for part in parts[:i]) for i in range(len(parts)) if ".".join(parts[i:]) in names
        )
    return [prefix for prefix, _ in votes.most_common(100)]


@dataclass
class _Match:
    """The tensors of a file for a model's names, if a prefix is removed from theirs."""

    names: _Names
    prefix: str
    found: dict[str, tuple[tuple[str, ...], torch.Tensor]]
    missing: list[str]
    other_shape: list[str]
    unknown: list[str]
    beside: list[str]

    @property
    def full(self) -> bool:
        """Whether all that the model needs is found."""
        return not self.missing and not self.other_shape

    @property
    def n_right(self) -> int:
        """The number of tensors found with the right shape."""
        return len(self.found) - len(self.other_shape)

    @property
    def averaged(self) -> bool:
        """Whether the prefix is one of averaged weights."""
        return _AVERAGED.search(self.prefix) is not None

    def leave_out(self, others: Sequence[_Match]) -> None:
        """Do not count names as unknown that belong to other weights of the model, below other prefixes."""
        prefixes = tuple(other.prefix for other in others if len(other.prefix) > len(self.prefix))
        if prefixes:
            self.unknown = [name for name in self.unknown if not name.startswith(prefixes)]
            self.beside = [name for name in self.beside if not name.startswith(prefixes)]

    def problems(self) -> list[str]:
        """Say what keeps these tensors from being the model's weights."""
        import torch

        shapes = [
            f"{name!r} {tuple(self.found[name][1].shape)} instead of {tuple(self.names.expected[name].shape)}"
            for name in self.other_shape
        ]
        differ = []
        for names in self.names.shared:
            present = [self.found[name][1] for name in names if name in self.found]
            if any(one.shape != present[0].shape or not torch.equal(one, present[0]) for one in present[1:]):
                differ.append(f"{names[0]!r} and {names[1]!r}")
        unknown = [name.removeprefix(self.prefix) for name in self.unknown]
        return [
            f"{counted(len(listed), 'parameter')} {what} ({', '.join(shown[:3])}{_more(shown)})"
            for what, listed, shown in (
                ("missing", self.missing, [repr(name) for name in self.missing]),
                ("unknown", unknown, [repr(name) for name in unknown]),
                ("of another shape", shapes, shapes),
                ("shared by names of the model, but not in the file", differ, differ),
            )
            if listed
        ]

    def differences(self, others: Sequence[_Match]) -> list[str]:
        """Say how the file differs from a plain state dict of the model, and what of it is not used."""
        common = _common([keys[:-1] for keys, _ in self.found.values()])
        names = {name: ".".join(keys[len(common) :]) for name, (keys, _) in self.found.items()}
        renamed = [(own, name) for name, own in names.items() if own != name]
        said = [f"the state dict under {'.'.join(common)!r} is used"] if common else []
        if renamed:
            said.append("{!r} is loaded as {!r}".format(*renamed[0]) + ", and the others likewise" * (len(renamed) > 1))
        if others:
            listed = some(other.prefix.removesuffix(".") for other in others)
            said.append(f"other weights of this model are not used ({listed}): to use them, save them alone")
        if self.beside:
            said.append(f"{counted(len(self.beside), 'other tensor')} not used ({some(self.beside)})")
        return said


def _more(shown: Sequence[str]) -> str:
    return f" and {len(shown) - 3} more" if len(shown) > 3 else ""


def _choose(whole: Sequence[_Match], path: PathLike) -> _Match:
    """Choose weights among several for a model: not averaged, and under the usual keys."""
    import torch

    left = [match for match in whole if not match.averaged] or list(whole)
    usual = [match for match in left if all(part in _USUAL for part in match.prefix.split("."))]
    left = usual or left
    first = left[0].found
    for other in left[1:]:
        if any(not torch.equal(value, other.found[name][1]) for name, (_, value) in first.items()):
            prefixes = [match.prefix.removesuffix(".") or "the names as they are" for match in left]
            raise FileError(
                f"{str(path)!r} contains {len(left)} sets of weights for this model ({some(prefixes)}): save those you "
                "want alone, as a state dict"
            )
    return min(left, key=lambda match: len(match.prefix))
