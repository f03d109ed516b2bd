"""Plots of labels, sweeps, circuits and spurious features, with matplotlib."""

from neuronym.plots.circuit import plot_circuit
from neuronym.plots.findings import plot_findings
from neuronym.plots.layers import auc_histogram, layer_overview, plot_baselines
from neuronym.plots.pictures import concept_bars, distribution, formula_steps, roc, top_samples
from neuronym.plots.sweep import plot_sweep, sweep

__all__ = [
    "auc_histogram",
    "concept_bars",
    "distribution",
    "formula_steps",
    "layer_overview",
    "plot_baselines",
    "plot_circuit",
    "plot_findings",
    "plot_sweep",
    "roc",
    "sweep",
    "top_samples",
]
