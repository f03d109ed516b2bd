"""Outputs of modules as one number per neuron and sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from neuronym.errors import ActivationsError
from neuronym.types import Pool

if TYPE_CHECKING:
    import torch

__all__ = ["POOLS", "Pool", "pool_output"]

#: All of them.
POOLS = ("mean", "max", "first", "last")


def pool_output(
    output: torch.Tensor,
    pool: Pool | Callable[[torch.Tensor], torch.Tensor],
    layer: str,
    *,
    tokens: bool = False,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """One number per neuron: (B, C), and, for tokens, the sample and token of each row.

    Raises
    ------
    ActivationsError
        If the output has a shape that the pooling is not for.
    """
    import torch

    shape = tuple(output.shape)
    if tokens:
        if output.ndim != 3:
            raise ActivationsError(f"layer {layer!r} gives {shape}: tokens=True needs a sequence (B, T, D)")
        if mask is not None and tuple(mask.shape) != shape[:2]:
            raise ActivationsError(f"layer {layer!r} gives {shape}, and the attention_mask is {tuple(mask.shape)}")
        kept = _counted_tokens(output, mask)
        return output[kept], [(int(row), int(token)) for row, token in kept.nonzero().tolist()]
    if callable(pool):
        given = pool(output)
        if given.ndim != 2 or given.shape[0] != shape[0]:
            raise ActivationsError(f"pool makes {tuple(given.shape)} of {shape} for layer {layer!r}: (B, C) is needed")
        return given, []
    if output.dtype in (torch.float16, torch.bfloat16):
        output = output.float()  # sums of many would overflow
    if output.ndim in (1, 2):
        return output.reshape(shape[0], -1), []
    if output.ndim == 3:
        return _pooled_sequence(output, pool, _counted_tokens(output, mask)), []
    if output.ndim in (4, 5) and pool in ("mean", "max"):
        flat = output.flatten(2)
        return (flat.mean(2) if pool == "mean" else flat.amax(2)), []
    raise ActivationsError(f"layer {layer!r} gives {shape}, which pool={pool!r} is not for: give a function as pool")


def _counted_tokens(output: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Which tokens of a sequence count: bool, (B, T)."""
    import torch

    if mask is None or tuple(mask.shape) != tuple(output.shape[:2]):
        return torch.ones(output.shape[:2], dtype=torch.bool, device=output.device)
    return mask.to(output.device).bool()


def _pooled_sequence(output: torch.Tensor, pool: str, kept: torch.Tensor) -> torch.Tensor:
    import torch

    if not bool(kept.any(1).all()):
        raise ActivationsError("a sequence has no token that counts: its attention_mask is all 0")
    inside = kept.unsqueeze(2)
    if pool == "mean":
        return output.masked_fill(~inside, 0).sum(1) / inside.sum(1)
    if pool == "max":
        return output.masked_fill(~inside, -torch.inf).amax(1)
    places = torch.arange(kept.shape[1], device=kept.device)
    place = torch.where(kept, places, -1).amax(1) if pool == "last" else torch.where(kept, places, 2**30).amin(1)
    return output[torch.arange(len(output), device=output.device), place]
