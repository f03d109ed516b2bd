"""What the neurons of a layer add to a target, by gradients: Captum's methods for a path that is differentiable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from neuronym._util.extras import need
from neuronym.errors import OptionError
from neuronym.network.batches import feed
from neuronym.network.hooks import capture_outputs, eval_mode, only_output
from neuronym.network.pooling import pool_output

__all__ = ["Gradients", "attributed", "check_path", "order", "value_of"]

Gradients = Literal["gradient", "conductance", "integrated"]


def value_of(
    model: torch.nn.Module, target: tuple[str, int], keys: tuple[str, ...] = ()
) -> Callable[..., torch.Tensor]:
    """What runs the model and gives the target, (B,), with its gradients; pooled by the mean over places.

    Inputs are one tensor, or, with ``keys``, the tensors that a dict holds under these.
    """
    layer, neuron = target

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        with capture_outputs(model, [layer], copied=False) as caught:
            feed(model, dict(zip(keys, inputs, strict=True)) if keys else inputs[0])
        mask = dict(zip(keys, inputs, strict=True)).get("attention_mask") if keys else None
        return pool_output(only_output(layer, caught), "mean", layer, mask=mask)[0][:, neuron]

    return run


def check_path(model: torch.nn.Module, inputs: Any, layer: str, target: tuple[str, int]) -> None:
    """Refuse a layer that the target does not depend on.

    Raises
    ------
    OptionError
        If nothing that the layer gives reaches the target; the message names layers that do.
    """
    with (
        eval_mode(model),
        _differentiable(model, layer),
        torch.enable_grad(),
        capture_outputs(model, [layer], copied=False) as caught,
    ):
        names, tensors = _taken_apart(inputs, True)
        value = value_of(model, target, names)(*tensors)
        given = only_output(layer, caught)
        if not isinstance(caught[layer][0], torch.Tensor | tuple):
            raise OptionError(f"layer {layer!r} gives {type(caught[layer][0]).__name__}: name a module of one tensor")
        reached = None
        if given.requires_grad and value.requires_grad:
            (reached,) = torch.autograd.grad(value.sum(), given, allow_unused=True)
    if reached is None:
        raise OptionError(
            f"layer {layer!r} is not connected to the target in {target[0]!r}: nothing that it gives reaches it, so "
            "name a layer that comes before"
        )


def order(model: torch.nn.Module, inputs: Any, layers: Sequence[str]) -> list[str]:
    """Layers in the order in which the model calls them.

    Raises
    ------
    ActivationsError
        If one is not called, or called several times.
    """
    with eval_mode(model), torch.no_grad(), capture_outputs(model, layers, copied=False) as caught:
        feed(model, inputs)
        for layer in layers:
            only_output(layer, caught)
    return list(caught)


def attributed(
    model: torch.nn.Module,
    inputs: Any,
    layer: str,
    target: tuple[str, int],
    method: Gradients,
    n_steps: int,
    baseline: torch.Tensor | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Contributions (B, n_neurons) of a layer to a target, and what they should sum to, (B,).

    Gradients times activations say nothing of a baseline, and are to sum to the target. Conductance and integrated
    gradients are to sum to the target minus its value for the baseline input.
    """
    need("a contribution by gradients", "circuits")
    from captum import attr

    kinds: dict[str, Any] = {
        "gradient": attr.LayerGradientXActivation,
        "conductance": attr.LayerConductance,
        "integrated": attr.LayerIntegratedGradients,
    }
    names, tensors = _taken_apart(inputs, False)
    if names and method != "gradient":
        raise OptionError(f"method={method!r} needs inputs that can be scaled, one tensor a batch: take 'gradient'")
    value = value_of(model, target, names)
    options: dict[str, Any] = {}
    with eval_mode(model), _differentiable(model, layer):
        with torch.no_grad():
            total = value(*tensors)
        if method != "gradient":
            start = torch.zeros_like(tensors[0][:1]) if baseline is None else baseline[None].to(tensors[0])
            with torch.no_grad():
                total = total - value(start)
            options = {"baselines": start, "n_steps": n_steps, "internal_batch_size": 2 * len(tensors[0])}
        with torch.enable_grad():
            found = kinds[method](value, model.get_submodule(layer)).attribute(tensors, **options)
    found = found[0] if isinstance(found, tuple) else found
    by_neuron = found.detach().double()
    by_neuron = (
        by_neuron.flatten(2).sum(2) if by_neuron.ndim > 3 else by_neuron.sum(1) if by_neuron.ndim == 3 else by_neuron
    )
    return by_neuron.cpu().numpy(), total.double().cpu().numpy()


def _taken_apart(inputs: Any, with_gradients: bool) -> tuple[tuple[str, ...], tuple[torch.Tensor, ...]]:
    """The tensors of a batch, and their keys where it is a dict."""
    names: tuple[str, ...] = ()
    if isinstance(inputs, Mapping):
        names = tuple(key for key in inputs if key != "labels")
        listed = [inputs[key] for key in names]
    else:
        listed = [inputs[0] if isinstance(inputs, tuple | list) else inputs]
    if with_gradients:
        listed = [x.detach().requires_grad_() if x.is_floating_point() else x for x in listed]
    return names, tuple(listed)


@contextmanager
def _differentiable(model: torch.nn.Module, layer: str) -> Iterator[None]:
    """Let gradients begin at a layer, where frozen parameters and inputs of whole numbers have none."""

    def begun(_module: Any, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple) and output:
            return (begun(_module, _inputs, output[0]), *output[1:])
        if torch.is_grad_enabled() and isinstance(output, torch.Tensor) and not output.requires_grad:
            return output.detach().requires_grad_()
        return output

    handle = model.get_submodule(layer).register_forward_hook(begun)
    try:
        yield
    finally:
        handle.remove()
