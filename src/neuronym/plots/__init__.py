"""Pictures of labels, on axes of matplotlib."""

from neuronym.plots.layers import auc_histogram, layer_overview
from neuronym.plots.pictures import concept_bars, distribution, formula_steps, roc, top_samples, tradeoff

__all__ = [
    "auc_histogram",
    "concept_bars",
    "distribution",
    "formula_steps",
    "layer_overview",
    "roc",
    "top_samples",
    "tradeoff",
]
