"""Activations from PyTorch models."""

from neuronym.network.batches import batches, feed
from neuronym.network.collecting import collect
from neuronym.network.hooks import hooked, traced
from neuronym.network.models import Loaded, load_model, load_weights, own_function
from neuronym.network.pooling import POOLS, Pool, pooled

__all__ = [
    "POOLS",
    "Loaded",
    "Pool",
    "batches",
    "collect",
    "feed",
    "hooked",
    "load_model",
    "load_weights",
    "own_function",
    "pooled",
    "traced",
]
