"""Contributions of a layer's neurons to a target by gradients, and by Captum's methods that integrate them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym.errors import OptionError
from neuronym.network.axes import Axes
from neuronym.network.batches import attention_mask, feed
from neuronym.network.hooks import capture_outputs, eval_mode, find_module, only_output
from neuronym.network.pooling import pool_output

if TYPE_CHECKING:
    from neuronym.analysis.circuits.observed import ObservedModel

__all__ = ["Gradients", "attribute", "call_order", "check_connected", "target_function"]

Gradients = Literal["gradient", "conductance", "integrated"]


def target_function(
    model: torch.nn.Module,
    target: tuple[str, int],
    keys: tuple[str, ...] = (),
    *,
    axes: Axes | None = None,
    lower: str | None = None,
) -> Callable[..., torch.Tensor]:
    """Make a differentiable function of the inputs that returns the target, (B,), averaged over positions.

    Its input is one tensor or, with ``keys``, the tensors of a dict in the order of these keys. The model goes on from
    copies of the outputs of the target's layer and of the ``lower`` one, so that no operation in place changes them.
    """
    layer, neuron = target

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        batch: Any = dict(zip(keys, inputs, strict=True)) if keys else inputs[0]
        with capture_outputs(model, [layer] if lower is None else [layer, lower], copied=False) as captured:
            feed(model, batch)
        mask = attention_mask(batch, layer)
        return pool_output(only_output(layer, captured), "mean", layer, mask=mask, axes=axes)[0][:, neuron]

    return run


def check_connected(
    model: torch.nn.Module, inputs: Any, layer: str, target: tuple[str, int], axes: Axes | None = None
) -> None:
    """Refuse a layer that the target does not depend on.

    Raises
    ------
    OptionError
        If the target does not depend on the layer's output.
    """
    with (
        eval_mode(model),
        _differentiable(model, layer),
        torch.enable_grad(),
        capture_outputs(model, [layer], copied=False) as captured,
    ):
        keys, tensors = _split_batch(inputs, True)
        value = target_function(model, target, keys, axes=axes)(*tensors)
        output = only_output(layer, captured)
        if not isinstance(captured[layer][0], torch.Tensor | tuple):
            kind = type(captured[layer][0]).__name__
            raise OptionError(f"layer {layer!r} returns {kind}: name a module that returns one tensor")
        gradient = None
        if output.requires_grad and value.requires_grad:
            try:
                (gradient,) = torch.autograd.grad(value.sum(), output, allow_unused=True)
            except RuntimeError:  # the model has no gradients, so that they cannot tell
                return
    if gradient is None:
        raise OptionError(
            f"layer {layer!r} is not connected to the target in {target[0]!r}, which does not depend on its output: "
            "name a layer that the model calls before the target"
        )


def call_order(model: torch.nn.Module, inputs: Any, layers: Sequence[str]) -> list[str]:
    """Sort layers by the order in which the model calls them.

    Raises
    ------
    ActivationsError
        If a layer is not called, or is called several times.
    """
    with eval_mode(model), torch.no_grad(), capture_outputs(model, layers, copied=False) as captured:
        feed(model, inputs)
        for layer in layers:
            only_output(layer, captured)
    return list(captured)


def attribute(
    observed: ObservedModel,
    inputs: Any,
    layer: str,
    target: tuple[str, int],
    method: Gradients,
    n_steps: int,
    baseline: torch.Tensor | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the contributions of a layer to a target, (B, n_neurons), and the totals they should sum to, (B,).

    Gradient × activation has no baseline, and should sum to the target. Conductance and integrated gradients should
    sum to the target minus its value at the baseline input.
    """
    keys, tensors = _split_batch(inputs, False)
    if keys and method != "gradient":
        raise OptionError(
            f"method={method!r} needs inputs that can be scaled, one tensor per batch: use method='gradient'"
        )
    model, axes = observed.model, observed.axes(layer)
    value = target_function(model, target, keys, axes=observed.axes(target[0]))
    with eval_mode(model), _differentiable(model, layer):
        with torch.enable_grad(), capture_outputs(model, [layer], copied=False) as captured:
            total = value(*tensors)
        output = only_output(layer, captured)
        if method == "gradient":
            with _gradients_of(layer):
                attributions = torch.autograd.grad(total.sum(), output)[0] * output
        else:
            if (axes is not None and axes.batch) or not isinstance(captured[layer][0], torch.Tensor):
                raise OptionError(
                    f"method={method!r} needs a layer that returns one tensor, with the samples in its first axis, "
                    f"which {layer!r} does not: use method='gradient'"
                )
            value = target_function(model, target, axes=observed.axes(target[0]), lower=layer)
            start = torch.zeros_like(tensors[0][:1]) if baseline is None else baseline[None].to(tensors[0])
            with torch.no_grad():
                total = total - value(start)
            attributions = _integrated(model, layer, value, tensors, start, method, n_steps)
    known = Axes.by_number(attributions.ndim) if axes is None else axes
    by_neuron = attributions.detach().double()
    by_neuron = known.arrange(by_neuron) if known is not None else by_neuron.flatten(2).transpose(1, 2)
    by_neuron = by_neuron.flatten(1, -2).sum(1) if by_neuron.ndim > 2 else by_neuron
    return by_neuron.cpu().numpy(), total.detach().double().cpu().numpy()


def _integrated(
    model: torch.nn.Module,
    layer: str,
    value: Callable[..., torch.Tensor],
    tensors: tuple[torch.Tensor, ...],
    start: torch.Tensor,
    method: Literal["conductance", "integrated"],
    n_steps: int,
) -> torch.Tensor:
    """Return Captum's attributions of a layer, in the shape of its output."""
    need("a contribution by gradients", "circuits")
    from captum import attr

    methods: dict[str, Any] = {"conductance": attr.LayerConductance, "integrated": attr.LayerIntegratedGradients}
    options = {"baselines": start, "n_steps": n_steps, "internal_batch_size": 2 * len(tensors[0])}
    with torch.enable_grad(), _gradients_of(layer):
        found = methods[method](value, find_module(model, layer)).attribute(tensors, **options)
    attributions: torch.Tensor = found[0] if isinstance(found, tuple) else found
    return attributions


@contextmanager
def _gradients_of(layer: str) -> Iterator[None]:
    """Say in one line that a model has no gradients."""
    try:
        yield
    except RuntimeError as error:  # such as for values that are needed and were changed in place
        why = first_line(error)
        raise OptionError(f"there are no gradients of layer {layer!r}, so no contributions by them: {why}") from error


def _split_batch(inputs: Any, with_gradients: bool) -> tuple[tuple[str, ...], tuple[torch.Tensor, ...]]:
    """Split a batch into its tensors and, if it is a dict, their keys."""
    keys: tuple[str, ...] = ()
    if isinstance(inputs, Mapping):
        keys = tuple(key for key in inputs if key != "labels")
        tensors = [inputs[key] for key in keys]
    else:
        tensors = [inputs[0] if isinstance(inputs, tuple | list) else inputs]
    if with_gradients:
        tensors = [x.detach().requires_grad_() if x.is_floating_point() else x for x in tensors]
    return keys, tuple(tensors)


@contextmanager
def _differentiable(model: torch.nn.Module, layer: str) -> Iterator[None]:
    """Start gradients at a layer's output, even if parameters are frozen and inputs are integers."""

    def require_gradient(module: torch.nn.Module, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple) and output:
            return (require_gradient(module, inputs, output[0]), *output[1:])
        if torch.is_grad_enabled() and isinstance(output, torch.Tensor) and not output.requires_grad:
            return output.detach().requires_grad_()
        return output

    handle = find_module(model, layer).register_forward_hook(require_gradient)
    try:
        yield
    finally:
        handle.remove()
