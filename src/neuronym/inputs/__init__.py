"""User input turned into matched rows of activations and concepts."""

from neuronym.inputs.alignment import (
    Aligned,
    UsedSamples,
    align,
    as_activations,
    as_concepts,
    as_layers,
    layer_of,
    same_samples,
)

__all__ = ["Aligned", "UsedSamples", "align", "as_activations", "as_concepts", "as_layers", "layer_of", "same_samples"]
