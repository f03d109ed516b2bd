"""The front door: activations and concepts in, labels out."""

from neuronym.labeling.labeling import label
from neuronym.labeling.merging import merge

__all__ = [
    "label",
    "merge",
]
