"""The front door: activations and concepts in, labels out."""

from neuronym.labeling.labeling import label

__all__ = [
    "label",
]
