"""Pooling of module outputs to one number per neuron and sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from neuronym.data.grids import Grid
from neuronym.errors import ActivationsError
from neuronym.network.axes import Axes
from neuronym.network.outputs import plain, poolable, pooled_by
from neuronym.types import Pool

if TYPE_CHECKING:
    import torch

__all__ = ["POOLS", "Pool", "grid_in", "pool_output"]

#: The named ways to pool.
POOLS = ("mean", "max", "first", "last")

_BESIDE = 8  # class and register tokens that may precede those of patches


def pool_output(
    output: torch.Tensor,
    pool: Pool | Callable[[torch.Tensor], torch.Tensor],
    layer: str,
    *,
    tokens: bool = False,
    maps: bool | Grid = False,
    mask: torch.Tensor | None = None,
    axes: Axes | None = None,
    n_samples: int | None = None,
) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """Pool the output of a module to one number per neuron and sample.

    Half-precision outputs are pooled in float32. Outputs of shape (B,) and (B, C) are left as they are.

    Parameters
    ----------
    output : torch.Tensor
        The output of a module for a batch of B samples.
    pool : {"mean", "max", "first", "last"} or callable
        How the positions of a map, such as (B, C, H, W), or of a sequence, such as (B, T, C), become one number:
        ``"first"`` and ``"last"`` are for sequences alone. A function takes the output and returns (B, C).
    layer : str
        The name of the module, for messages.
    tokens : bool, default False
        Whether each token of a sequence is a sample of its own; ``pool`` is then ignored.
    maps : bool or (int, int), default False
        Whether maps are kept whole, each neuron's row by row; ``pool`` is then ignored. As two numbers, the size of the
        maps that the last tokens of a sequence form.
    mask : torch.Tensor of shape (B, T), optional
        Which tokens of a sequence count; all by default.
    axes : Axes, optional
        What the axes of the output mean; by default ``BC``, ``BTC``, ``BCHW`` or ``BCTHW``, by their number.
    n_samples : int, optional
        The number of rows that a function must return; by default the size of the axis of the samples.

    Returns
    -------
    pooled : torch.Tensor of shape (n_rows, C)
        One row per sample, or per token that counts; with ``maps``, of shape (B, C · height · width).
    places : list of (int, int)
        For tokens, the sample in the batch and the token that each row is; empty otherwise.

    Raises
    ------
    ActivationsError
        If the pooling does not apply to an output of this shape, or the mask marks padding and has another length.
    """
    output = plain(output, layer)
    shape = tuple(output.shape)
    known = Axes.by_number(output.ndim) if axes is None else axes
    if tokens:
        if known is None or len(known.positions) != 1:
            raise ActivationsError(f"layer {layer!r} outputs {shape}: tokens=True needs a sequence (B, T, C)")
        arranged = known.arrange(output)
        if mask is not None and mask.shape != arranged.shape[:2]:
            raise ActivationsError(
                f"layer {layer!r} outputs {shape} but attention_mask is {tuple(mask.shape)}: both need one entry per "
                "token"
            )
        kept = _counted_tokens(arranged, mask, layer)
        return arranged[kept], [(int(row), int(token)) for row, token in kept.nonzero().tolist()]
    if maps:
        grid = grid_in(shape, known, maps, layer)
        arranged = known.arrange(output) if known is not None else output
        whole = arranged.flatten(1, -2)[:, -grid[0] * grid[1] :]
        return whole.transpose(1, 2).flatten(1), []
    if callable(pool):
        rows = shape[0 if axes is None else axes.batch] if n_samples is None else n_samples
        return pooled_by(pool, output, layer, rows), []
    output = poolable(output, layer)  # in half precision, long sums would overflow
    if known is None or (len(known.positions) > 1 and pool not in ("mean", "max")):
        raise ActivationsError(
            f"layer {layer!r} outputs {shape}, to which pool={pool!r} does not apply: give a function as pool"
        )
    arranged = known.arrange(output)
    if not known.positions:
        return arranged.reshape(len(arranged), -1), []
    kept = _counted_tokens(arranged, mask, layer)
    return _pooled_positions(arranged.flatten(1, -2), pool, kept.flatten(1), padded=mask is not None), []


def grid_in(shape: Sequence[int], axes: Axes | None, maps: bool | Grid, layer: str) -> Grid:
    """Find the size of the maps in the output of a module.

    Parameters
    ----------
    shape : sequence of int
        The shape of the output.
    axes : Axes or None
        What its axes mean.
    maps : bool or (int, int)
        The size of the maps that the last tokens of a sequence form; True for outputs that are maps by themselves.
    layer : str
        The name of the module, for messages.

    Returns
    -------
    tuple of (int, int)
        The numbers of rows and columns.

    Raises
    ------
    ActivationsError
        If the output has no maps of this size.
    """
    sizes = () if axes is None else tuple(int(shape[place]) for place in axes.positions)
    if len(sizes) == 2 and (maps is True or tuple(maps or ()) == sizes):
        return sizes[0], sizes[1]
    if len(sizes) == 1 and not isinstance(maps, bool) and 0 <= sizes[0] - maps[0] * maps[1] <= _BESIDE:
        return int(maps[0]), int(maps[1])
    if len(sizes) == 1 and maps is True:
        raise ActivationsError(
            f"layer {layer!r} outputs {tuple(shape)}, a sequence of {sizes[0]} tokens: say which rows and columns its "
            "last tokens form, as in maps=(14, 14) (--maps 14x14); class and register tokens before them are left out"
        )
    if len(sizes) == 1 and not isinstance(maps, bool):
        raise ActivationsError(
            f"layer {layer!r} outputs {tuple(shape)}, a sequence of {sizes[0]} tokens, which are no {maps[0]} × "
            f"{maps[1]} positions after at most {_BESIDE} class and register tokens: give the rows and columns of its "
            "patches"
        )
    wanted = "maps" if maps is True else f"maps of {maps[0]} × {maps[1]}" if not isinstance(maps, bool) else "maps"
    raise ActivationsError(
        f"layer {layer!r} outputs {tuple(shape)}, in which there are no {wanted}: collect a layer whose output has "
        "rows and columns, such as a convolution"
    )


def _counted_tokens(arranged: torch.Tensor, mask: torch.Tensor | None, layer: str) -> torch.Tensor:
    """Return which positions of an output (B, ..., C) count, as a bool tensor of shape (B, ...)."""
    import torch

    shape = arranged.shape[:-1]
    if mask is not None and mask.shape == shape:
        return mask.to(arranged.device).bool()
    if mask is not None and not bool(mask.bool().all()):
        positions = " × ".join(map(str, shape[1:]))
        raise ActivationsError(
            f"layer {layer!r} has {positions} positions but attention_mask marks padding among {mask.shape[1]} tokens, "
            "so the padding would be pooled too: give batches of one sample, or of samples of one length (batch_size=1,"
            " --batch-size 1), or a function as pool"
        )
    return torch.ones(shape, dtype=torch.bool, device=arranged.device)


def _pooled_positions(output: torch.Tensor, pool: str, kept: torch.Tensor, padded: bool) -> torch.Tensor:
    """Pool an output (B, T, C) over the positions kept (B, T)."""
    import torch

    if not bool(kept.any(1).all()):
        raise ActivationsError("a sequence has no tokens: its attention_mask is all 0")
    inside = kept.unsqueeze(2)
    if pool == "mean":
        return output.masked_fill(~inside, 0).sum(1) / inside.sum(1) if padded else output.mean(1)
    if pool == "max":
        return output.masked_fill(~inside, -torch.inf).amax(1) if padded else output.amax(1)
    places = torch.arange(kept.shape[1], device=kept.device)
    place = torch.where(kept, places, -1).amax(1) if pool == "last" else torch.where(kept, places, 2**30).amin(1)
    return output[torch.arange(len(output), device=output.device), place]
