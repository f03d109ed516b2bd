"""Pooling of module outputs to one number per neuron and sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from neuronym.errors import ActivationsError
from neuronym.network.outputs import plain, poolable, pooled_by
from neuronym.types import Pool

if TYPE_CHECKING:
    import torch

__all__ = ["POOLS", "Pool", "pool_output"]

#: The named ways to pool.
POOLS = ("mean", "max", "first", "last")


def pool_output(
    output: torch.Tensor,
    pool: Pool | Callable[[torch.Tensor], torch.Tensor],
    layer: str,
    *,
    tokens: bool = False,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """Pool the output of a module to one number per neuron and sample.

    Half-precision outputs are pooled in float32. Outputs of shape (B,) and (B, C) are left as they are.

    Parameters
    ----------
    output : torch.Tensor
        The output of a module for a batch of B samples.
    pool : {"mean", "max", "first", "last"} or callable
        How the positions of a map (B, C, H, W) or (B, C, T, H, W), or of a sequence (B, T, C), become one number:
        ``"first"`` and ``"last"`` are for sequences alone. A function takes the output and returns (B, C).
    layer : str
        The name of the module, for messages.
    tokens : bool, default False
        Whether each token of a sequence is a sample of its own; ``pool`` is then ignored.
    mask : torch.Tensor of shape (B, T), optional
        Which tokens of a sequence count; all by default, and where its shape is not that of the sequence.

    Returns
    -------
    pooled : torch.Tensor of shape (n_rows, C)
        One row per sample, or per token that counts.
    places : list of (int, int)
        For tokens, the sample in the batch and the token that each row is; empty otherwise.

    Raises
    ------
    ActivationsError
        If the pooling does not apply to an output of this shape.
    """
    output = plain(output, layer)
    shape = tuple(output.shape)
    if tokens:
        if output.ndim != 3:
            raise ActivationsError(f"layer {layer!r} outputs {shape}: tokens=True needs a sequence (B, T, C)")
        if mask is not None and tuple(mask.shape) != shape[:2]:
            raise ActivationsError(
                f"layer {layer!r} outputs {shape} but attention_mask is {tuple(mask.shape)}: both need one entry per "
                "token"
            )
        kept = _counted_tokens(output, mask)
        return output[kept], [(int(row), int(token)) for row, token in kept.nonzero().tolist()]
    if callable(pool):
        return pooled_by(pool, output, layer), []
    output = poolable(output, layer)  # in half precision, long sums would overflow
    if output.ndim in (1, 2):
        return output.reshape(shape[0], -1), []
    if output.ndim == 3:
        return _pooled_sequence(output, pool, _counted_tokens(output, mask)), []
    if output.ndim in (4, 5) and pool in ("mean", "max"):
        flat = output.flatten(2)
        return (flat.mean(2) if pool == "mean" else flat.amax(2)), []
    raise ActivationsError(
        f"layer {layer!r} outputs {shape}, to which pool={pool!r} does not apply: give a function as pool"
    )


def _counted_tokens(output: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return which tokens of a sequence count, as a bool tensor of shape (B, T)."""
    import torch

    if mask is None or tuple(mask.shape) != tuple(output.shape[:2]):
        return torch.ones(output.shape[:2], dtype=torch.bool, device=output.device)
    return mask.to(output.device).bool()


def _pooled_sequence(output: torch.Tensor, pool: str, kept: torch.Tensor) -> torch.Tensor:
    """Pool a sequence (B, T, C) over the tokens kept (B, T)."""
    import torch

    if not bool(kept.any(1).all()):
        raise ActivationsError("a sequence has no tokens: its attention_mask is all 0")
    inside = kept.unsqueeze(2)
    if pool == "mean":
        return output.masked_fill(~inside, 0).sum(1) / inside.sum(1)
    if pool == "max":
        return output.masked_fill(~inside, -torch.inf).amax(1)
    places = torch.arange(kept.shape[1], device=kept.device)
    place = torch.where(kept, places, -1).amax(1) if pool == "last" else torch.where(kept, places, 2**30).amin(1)
    return output[torch.arange(len(output), device=output.device), place]
