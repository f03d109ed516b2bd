"""A composed detector as a module of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from neuronym._fuzzy import TNorm, joined
from neuronym.formula import Formula
from neuronym.hooks import hooked, only_output, resting
from neuronym.pooling import Pool, pooled

__all__ = ["DetectorModule"]


class DetectorModule(torch.nn.Module):
    """Runs a model and joins what its neurons say; see ``Detector.to_torch``."""

    def __init__(
        self, model: torch.nn.Module, formula: Formula, norm: TNorm, parts: Mapping[str, Any], pool: Pool
    ) -> None:
        super().__init__()
        self.model, self.formula, self.norm, self.parts, self.pool = model, formula, norm, parts, pool

    def forward(self, *inputs: Any, **named: Any) -> torch.Tensor:
        layers = list(dict.fromkeys(str(part.layer) for part in self.parts.values()))
        with resting(self.model), hooked(self.model, layers) as caught, torch.no_grad():
            self.model(*inputs, **named)
        mask = named.get("attention_mask")
        outputs = {layer: pooled(only_output(layer, caught), self.pool, layer, mask=mask)[0] for layer in layers}
        degrees = {
            concept: part.membership(outputs[str(part.layer)][:, part.column], torch)
            for concept, part in self.parts.items()
        }
        degree: torch.Tensor = joined(self.formula, degrees, self.norm, torch)
        return degree
