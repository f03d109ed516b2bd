"""The same network untrained: weights drawn anew, as a second null hypothesis.

``p_search`` asks whether activations depend on the concepts, and a random network passes that honestly: it, too, maps
photos of one kind to similar activations. What training adds shows beside networks of the same architecture whose
weights were never trained (as asked for in arXiv 2501.17727).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from neuronym._util.messages import counted, some, warn
from neuronym.errors import OptionError
from neuronym.network.failures import reason
from neuronym.network.hooks import modules_by_name, original
from neuronym.network.state import global_state

if TYPE_CHECKING:
    import torch

__all__ = ["reinitialised"]

_FLAG = "_is_hf_initialized"  # set by transformers on what was loaded, which its initialisers then leave alone
_ENOUGH = 256  # samples from which the statistics of batch normalisation are estimated
_CALLED = ("reset_parameters", "_reset_parameters")


def reinitialised(
    model: torch.nn.Module, seed: int, batches: Iterable[tuple[Any, int]], run: Callable[[torch.nn.Module, Any], object]
) -> torch.nn.Module:
    """Copy a model and draw its weights anew.

    Every module is given to its own initialiser: that of the model it belongs to, as in transformers, or its
    ``reset_parameters``. Entries of parameters that no initialiser sets are permuted, each parameter among itself. The
    running statistics of batch normalisation are then estimated from the first samples, without momentum.

    Parameters
    ----------
    model : torch.nn.Module
        The model; it is left as it is.
    seed : int
        The seed of the random numbers.
    batches : iterable of (batch, int)
        Batches of samples, with their numbers; only read as far as needed.
    run : callable
        Runs a model on a batch.

    Returns
    -------
    torch.nn.Module
        The new model, in eval mode.

    Raises
    ------
    OptionError
        If the model cannot be copied, or its weights cannot be set.

    Warns
    -----
    UserWarning
        If there are parameters that no initialiser sets, with their names.
    """
    import torch

    try:
        fresh = copy.deepcopy(original(model))
    except Exception as error:  # whatever a user's module raises
        raise OptionError(f"the model cannot be copied to draw its weights anew ({reason(error)})") from error
    with global_state(), torch.no_grad():
        torch.manual_seed(seed)
        permuted = _draw(fresh)
        fresh.eval()
        _estimate_statistics(fresh, batches, run)
    if permuted:
        n = sum(1 for _ in fresh.parameters())
        warn(
            f"{len(permuted)} of {counted(n, 'parameter')} have no initialiser, so their entries are permuted: "
            f"{some(permuted)}"
        )
    return fresh


def _draw(model: torch.nn.Module) -> list[str]:
    """Draw the weights of a model; return the names of the parameters that are permuted."""
    import torch

    names = {module: name for name, module in reversed(modules_by_name(model).items())}
    permuted: dict[str, tuple[torch.Tensor, int]] = {}
    for module in reversed(list(model.modules())):  # parts first, so that what a whole does to them stays
        own = [(name, value) for name, value in module.named_parameters(recurse=False) if value.numel()]
        for one in (module, *(value for _, value in own), *module.buffers(recurse=False)):
            if hasattr(one, _FLAG):
                delattr(one, _FLAG)
        before = [value._version for _, value in own]
        initialise = _initialiser(model, module, names[module])
        try:
            if initialise is not None:
                initialise()
            for (name, value), version in zip(own, before, strict=True):
                if value._version == version:
                    value.copy_(value.flatten()[torch.randperm(value.numel()).to(value.device)].view_as(value))
                    permuted[f"{names[module]}.{name}".lstrip(".")] = value, value._version
        except Exception as error:  # whatever a user's initialiser raises
            where = names[module] or type(module).__name__
            raise OptionError(f"the weights of {where!r} cannot be drawn anew ({reason(error)})") from error
    return [name for name, (value, version) in permuted.items() if value._version == version and _varies(value)]


def _varies(value: torch.Tensor) -> bool:
    """Return whether permuting a tensor changes it."""
    return bool((value != value.flatten()[0]).any())


def _initialiser(model: torch.nn.Module, module: torch.nn.Module, name: str) -> Callable[[], Any] | None:
    """Return what initialises the own parameters of a module: that of the innermost model around it, or its own."""
    parts = name.split(".") if name else []
    for end in range(len(parts), -1, -1):
        around: Any = model.get_submodule(".".join(parts[:end]))
        if callable(getattr(around, "_init_weights", None)) and hasattr(around, "config"):
            return partial(around._init_weights, module)
    own: list[Any] = [getattr(module, call, None) for call in _CALLED]
    return next((call for call in own if callable(call)), None)


def _estimate_statistics(
    model: torch.nn.Module, batches: Iterable[tuple[Any, int]], run: Callable[[torch.nn.Module, Any], object]
) -> None:
    """Estimate the running statistics of batch normalisation anew."""
    import torch

    kinds = torch.nn.modules.batchnorm._BatchNorm
    norms = [one for one in model.modules() if isinstance(one, kinds) and one.running_mean is not None]
    if not norms:
        return
    momenta = [one.momentum for one in norms]
    for one in norms:
        one.reset_running_stats()
        one.momentum = None  # the mean over all batches
        one.train()
    n_seen = 0
    for batch, n_samples in batches:
        if n_samples > 1:
            run(model, batch)
            n_seen += n_samples
        if n_seen >= _ENOUGH:
            break
    for one, momentum in zip(norms, momenta, strict=True):
        one.momentum = momentum
        one.eval()
    if not n_seen:
        raise OptionError("batch normalisation needs batches of at least 2 samples to be estimated: raise batch_size")
