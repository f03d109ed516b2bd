"""What a user gives, turned into matched rows."""

from neuronym.inputs.align import as_activations, as_concepts, as_layers

__all__ = [
    "as_activations",
    "as_concepts",
    "as_layers",
]
