"""Activations of PyTorch models: load a model, list its layers, and collect their outputs."""

from neuronym.network.batches import batches, feed
from neuronym.network.collecting import collect
from neuronym.network.hooks import ModuleTrace, capture_outputs, trace_modules
from neuronym.network.listing import layers
from neuronym.network.models import LoadedModel, load_function, load_model
from neuronym.network.pooling import POOLS, pool_output
from neuronym.network.reading import read_samples
from neuronym.network.weights import load_weights

__all__ = [
    "POOLS",
    "LoadedModel",
    "ModuleTrace",
    "batches",
    "capture_outputs",
    "collect",
    "feed",
    "layers",
    "load_function",
    "load_model",
    "load_weights",
    "pool_output",
    "read_samples",
    "trace_modules",
]
