"""A composed detector as a PyTorch module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from neuronym.analysis.compose.fuzzy import TNorm, evaluate_fuzzy
from neuronym.data.formula import Formula
from neuronym.errors import ActivationsError, OptionError
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

    Raises
    ------
    OptionError
        If there is no such ``pool``.
    UnknownNameError
        If the model lacks a layer.
    """

    def __init__(
        self, model: torch.nn.Module, formula: Formula, norm: TNorm, parts: Mapping[str, ConceptNeuron], pool: Pool
    ) -> None:
        super().__init__()
        if not callable(pool) and pool not in POOLS:
            raise OptionError(f"pool must be one of {', '.join(POOLS)} or a function, not {pool!r}")
        for part in parts.values():
            find_module(model, str(part.layer))  # raises with the nearest names
        self.model, self.formula, self.norm, self.parts, self.pool = model, formula, norm, parts, pool

    def forward(self, *inputs: Any, **named: Any) -> torch.Tensor:
        """Run the model on its inputs and return the scores: float64, shape (n_samples,)."""
        layers = list(dict.fromkeys(str(part.layer) for part in self.parts.values()))  # each once, in order
        with eval_mode(self.model), capture_outputs(self.model, layers) as caught, torch.no_grad():
            self.model(*inputs, **named)
        mask = named.get("attention_mask")
        outputs = {layer: pool_output(only_output(layer, caught), self.pool, layer, mask=mask)[0] for layer in layers}
        degrees = {
            concept: part.degree(outputs[str(part.layer)][:, _channel(part, outputs[str(part.layer)])], torch)
            for concept, part in self.parts.items()
        }
        degree: torch.Tensor = evaluate_fuzzy(self.formula, degrees, self.norm, torch)
        return degree


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
