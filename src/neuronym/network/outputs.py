"""Outputs of modules as plain tensors and arrays of real numbers, whatever kind of tensor a module returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym.errors import ActivationsError
from neuronym.network.failures import users_code

if TYPE_CHECKING:
    import torch

__all__ = ["numbers", "plain", "pooled_by"]


def plain(output: torch.Tensor, layer: str) -> torch.Tensor:
    """Return a tensor as a dense one: sparse and quantised tensors are converted.

    Parameters
    ----------
    output : torch.Tensor
        The output of a module.
    layer : str
        The name of the module, for messages.

    Returns
    -------
    torch.Tensor
        A dense tensor with the same values.

    Raises
    ------
    ActivationsError
        If the tensor is on the meta device or is nested.
    """
    import torch

    if output.is_meta:
        raise ActivationsError(
            f"layer {layer!r} outputs a tensor on the meta device, which holds no values: load the model's weights and "
            "move it to a real device"
        )
    refuse_nested(output, layer)
    if output.is_quantized:
        output = output.dequantize()
    return output if output.layout == torch.strided else output.to_dense()


def refuse_nested(output: torch.Tensor, layer: str) -> None:
    """Raise an error for a nested tensor, whose samples differ in shape."""
    if output.is_nested:
        raise ActivationsError(
            f"layer {layer!r} outputs a nested tensor, whose samples differ in length: build the model without "
            "(enable_nested_tensor=False of TransformerEncoder), or collect another layer"
        )


def poolable(output: torch.Tensor, layer: str) -> torch.Tensor:
    """Return a dense tensor of floating-point numbers of at least 32 bits, whose means and maxima exist.

    Raises
    ------
    ActivationsError
        If the tensor is complex.
    """
    if output.is_complex():
        raise ActivationsError(
            f"layer {layer!r} outputs complex numbers ({output.dtype}): give a function as pool that returns real "
            "ones, such as lambda z: z.abs().flatten(2).mean(2)"
        )
    return output if output.is_floating_point() and output.dtype.itemsize >= 4 else output.float()


def pooled_by(pool: Callable[[torch.Tensor], Any], output: torch.Tensor, layer: str, n_rows: int) -> torch.Tensor:
    """Pool an output by a function of the user's.

    Parameters
    ----------
    pool : callable
        Takes the output and returns a tensor or array of shape (B, C).
    output : torch.Tensor
        The output of a module for a batch of B samples.
    layer : str
        The name of the module, for messages.
    n_rows : int
        B, the number of rows that the function must return.

    Returns
    -------
    torch.Tensor of shape (B, C)
        What the function returned.

    Raises
    ------
    ActivationsError
        If the function fails or returns anything else.
    """
    import torch

    with users_code(f"pool of layer {layer!r}", ActivationsError):
        pooled = pool(output)
        if isinstance(pooled, np.ndarray):
            pooled = torch.as_tensor(pooled)
    if not isinstance(pooled, torch.Tensor):
        raise ActivationsError(
            f"pool returned {type(pooled).__name__} for layer {layer!r}: it must return a tensor or array (B, C)"
        )
    pooled = plain(pooled, layer)
    if pooled.ndim != 2 or pooled.shape[0] != n_rows:
        raise ActivationsError(
            f"pool turned {tuple(output.shape)} into {tuple(pooled.shape)} for layer {layer!r}: it must return (B, C)"
        )
    return pooled


def numbers(pooled: torch.Tensor, layer: str) -> NDArray[Any]:
    """Return pooled outputs as an array of float32, or of float64 where float32 may not hold them.

    Parameters
    ----------
    pooled : torch.Tensor of shape (n_rows, n_neurons)
        The pooled output.
    layer : str
        The name of the module, for messages.

    Returns
    -------
    float32 or float64 array of shape (n_rows, n_neurons)
        The values.

    Raises
    ------
    ActivationsError
        If they are complex.
    """
    import torch

    if pooled.is_complex():
        raise ActivationsError(f"pool returned complex numbers for layer {layer!r}: it must return real ones")
    values = pooled.detach().cpu().resolve_neg()
    array: NDArray[Any] = values.to(torch.float64 if values.dtype == torch.float64 else torch.float32).numpy()
    return array
