"""A composed detector as a PyTorch module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from neuronym.analysis.compose.fuzzy import TNorm, evaluate_fuzzy
from neuronym.data.formula import Formula
from neuronym.errors import ActivationsError, OptionError
from neuronym.network.axes import Axes, find_axes, stated_axes
from neuronym.network.batches import attention_mask, taken
from neuronym.network.hooks import capture_outputs, eval_mode, find_module, only_output
from neuronym.network.pooling import POOLS, pool_output
from neuronym.types import Pool

if TYPE_CHECKING:
    from neuronym.analysis.compose.detectors import ConceptNeuron

__all__ = ["DetectorModule"]


class DetectorModule(torch.nn.Module):
    """Runs a model and combines its neurons into the scores of a detector; see ``Detector.to_torch``.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    formula : Formula
        The formula that is detected.
    norm : TNorm
        The t-norm that combines the neurons.
    parts : mapping of str to ConceptNeuron
        The neuron of each concept, with its mapping to degrees.
    pool : {"mean", "max", "first", "last"} or callable
        How outputs of layers become one number per neuron.
    axes : str or mapping of str to str, optional
        What the axes of the outputs mean, as for ``collect``.

    Raises
    ------
    OptionError
        If there is no such ``pool``, or ``axes`` are not letters for axes.
    UnknownNameError
        If the model lacks a layer.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        formula: Formula,
        norm: TNorm,
        parts: Mapping[str, ConceptNeuron],
        pool: Pool,
        axes: str | Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        if not callable(pool) and pool not in POOLS:
            raise OptionError(f"pool must be one of {', '.join(POOLS)} or a function, not {pool!r}")
        for part in parts.values():
            find_module(model, str(part.layer))  # raises with the nearest names
        self.model, self.formula, self.norm, self.parts, self.pool = model, formula, norm, parts, pool
        self.layers = list(dict.fromkeys(str(part.layer) for part in parts.values()))  # each once, in order
        self._stated = stated_axes(axes, self.layers)
        self._axes: dict[str, Axes] | None = self._stated if callable(pool) else None

    def forward(self, *inputs: Any, **named: Any) -> torch.Tensor:
        """Run the model on its inputs and return the scores: float64, shape (n_samples,)."""
        with eval_mode(self.model), capture_outputs(self.model, self.layers) as caught, torch.no_grad():
            self.model(*inputs, **named)
        outputs = {layer: only_output(layer, caught) for layer in self.layers}
        if self._axes is None:
            self._axes = self._found_axes(outputs, inputs, named)
        pooled = {
            layer: pool_output(output, self.pool, layer, mask=attention_mask(named, layer), axes=self._axes.get(layer))[
                0
            ]
            for layer, output in outputs.items()
        }
        degrees = {
            concept: part.degree(pooled[str(part.layer)][:, _channel(part, pooled[str(part.layer)])], torch)
            for concept, part in self.parts.items()
        }
        degree: torch.Tensor = evaluate_fuzzy(self.formula, degrees, self.norm, torch)
        return degree

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _found_axes(
        self, outputs: Mapping[str, torch.Tensor], inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> dict[str, Axes]:
        """Find out what the axes of the outputs mean, from the first samples."""
        given = [one for one in (*inputs, *named.values()) if isinstance(one, torch.Tensor) and one.ndim]
        n_samples = len(given[0]) if given else 1

        def trial(number: int) -> None:
            rows = [row % n_samples for row in range(number)]
            self.model(*taken(inputs, rows, n_samples), **taken(named, rows, n_samples))

        shapes = {layer: tuple(output.shape) for layer, output in outputs.items()}
        return find_axes(self.model, shapes, n_samples, trial, self._stated)


def _channel(part: ConceptNeuron, output: torch.Tensor) -> int:
    """Return the channel of a neuron in the pooled output of its layer."""
    n_channels = output.shape[1]
    if isinstance(part.neuron, int):
        if part.neuron < n_channels:
            return part.neuron
    elif n_channels == part.n_neurons:
        return part.column
    raise ActivationsError(
        f"layer {part.layer!r} outputs {n_channels} neurons but neuron {part.neuron!r} was one of {part.n_neurons}: "
        "give the model that the detector was composed from"
    )
