"""The state of a model, and of torch, numpy and Python, restored after a model is run."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["global_state", "model_state", "uncompiled"]


@contextmanager
def global_state() -> Iterator[None]:
    """Restore what is global after a block: random states, gradient mode, default dtype and flags of torch."""
    import torch

    python, legacy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    settings: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    ]
    flags = {flag: getattr(torch.backends.cudnn, flag) for flag in ("enabled", "benchmark", "deterministic")}
    values = [get() for get, _ in settings]
    try:
        with torch.inference_mode(False):  # contributions need gradients, wherever they are called
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)
        for (get, put), value in zip(settings, values, strict=True):
            if get() != value:
                put(value)
        for flag, value in flags.items():
            if getattr(torch.backends.cudnn, flag) != value:
                setattr(torch.backends.cudnn, flag, value)


@contextmanager
def model_state(model: torch.nn.Module) -> Iterator[None]:
    """Restore the modes, gradients, devices and persistent buffers of a model after a block.

    Buffers outside of the state dict are not restored: modules use them as caches, and keep track of their sizes.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    """
    import torch

    modules = list(model.modules())
    modes = [(module, module.training) for module in modules if hasattr(module, "training")]
    eager = [module for module in modules if not isinstance(module, torch.jit.ScriptModule)]
    restored = [*map(_parameters_of, eager), *map(_buffers_of, eager)]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for restore in restored:
                restore()


def _parameters_of(module: torch.nn.Module) -> Callable[[], None]:
    """Return a function that restores the parameters of a module, their devices and their gradients."""
    kept = [
        (name, value, value.data, value.requires_grad, value.grad, None if value.grad is None else value.grad.data)
        for name, value in module._parameters.items()
        if value is not None
    ]

    def restore() -> None:
        for name, value, data, with_gradient, gradient, of_gradient in kept:
            module._parameters[name] = value
            if value.device != data.device:
                value.data = data
            if value.requires_grad != with_gradient:
                value.requires_grad_(with_gradient)
            if gradient is not None and of_gradient is not None and gradient.device != of_gradient.device:
                gradient.data = of_gradient
            if value.grad is not gradient:
                value.grad = gradient

    return restore


def _buffers_of(module: torch.nn.Module) -> Callable[[], None]:
    """Return a function that restores the persistent buffers of a module, and the devices of the others."""
    import torch

    present = {name: value for name, value in module._buffers.items() if value is not None}
    devices = {name: value.device for name, value in present.items()}
    kept = [
        (name, value, value.detach().clone())
        for name, value in present.items()
        if name not in module._non_persistent_buffers_set
    ]

    def restore() -> None:
        for name, device in devices.items():
            cache = module._buffers.get(name)
            if name in module._non_persistent_buffers_set and cache is not None and cache.device != device:
                module._buffers[name] = cache.to(device)
        for name, value, before in kept:
            module._buffers[name] = value
            comparable = not value.is_meta and value.layout == torch.strided
            if comparable and not torch.equal(value, before):
                value.copy_(before)

    return restore


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run compiled models eagerly for the duration of a block: a model compiled before has no calls for new hooks."""
    import torch

    stance: AbstractContextManager[object] = nullcontext()
    used = "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance")
    if used and not torch.compiler.is_compiling():
        with suppress(RuntimeError):  # while a compiled model that runs ours, such as a detector, is run itself
            stance = torch.compiler.set_stance("force_eager")
    with stance:
        yield
