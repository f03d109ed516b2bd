"""Activations from PyTorch models."""

from neuronym.network.batches import batches, feed
from neuronym.network.collecting import collect
from neuronym.network.hooks import capture_outputs, trace_modules
from neuronym.network.models import LoadedModel, load_function, load_model, load_weights
from neuronym.network.pooling import POOLS, pool_output

__all__ = [
    "POOLS",
    "LoadedModel",
    "batches",
    "capture_outputs",
    "collect",
    "feed",
    "load_function",
    "load_model",
    "load_weights",
    "pool_output",
    "trace_modules",
]
