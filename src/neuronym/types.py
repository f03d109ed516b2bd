"""What the front doors take, said once: the forms of activations, concepts, clusters, samples and hierarchies.

Only type checkers read this; at run time each is turned into its class by ``neuronym.inputs``, which says what is
wrong with anything else.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike
    from scipy.sparse import sparray, spmatrix

    from neuronym.data.activations import Activations
    from neuronym.data.concepts import Concepts
    from neuronym.data.hierarchy import Hierarchy
    from neuronym.inputs.samples import Samples
    from neuronym.io.images import Images
    from neuronym.labels.labels import Labels

__all__ = [
    "ActivationsLike",
    "ClustersLike",
    "ConceptsLike",
    "Direction",
    "HierarchyLike",
    "ImagesLike",
    "LabelsLike",
    "LayerLike",
    "Name",
    "PathLike",
    "Pool",
    "SamplesLike",
    "Unknown",
]

#: A file or folder.
PathLike: TypeAlias = str | Path

#: The name of a neuron: its column, or a text.
Name: TypeAlias = int | str

#: Whether a neuron is high or low inside its formula.
Direction: TypeAlias = Literal["high", "low"]

#: What becomes of concept values that are neither yes nor no: an error, a no, or the sample is dropped.
Unknown: TypeAlias = Literal["error", "no", "drop"]

#: How the positions of a map or a sequence become one number per neuron.
Pool: TypeAlias = Literal["mean", "max", "first", "last"]

#: The activations of one layer: (n_samples, n_neurons), in memory or in a file.
LayerLike: TypeAlias = "Activations | ArrayLike | pd.DataFrame | PathLike"

#: The activations of one layer, or of several by name, as a mapping or a Zarr store.
ActivationsLike: TypeAlias = "LayerLike | Mapping[str, LayerLike] | Mapping[str | None, LayerLike]"

#: Which concepts each sample shows: (n_samples, n_concepts) of yes and no, sets of names, or a file.
ConceptsLike: TypeAlias = (
    "Concepts | ArrayLike | pd.DataFrame | sparray | spmatrix | PathLike | Sequence[set[str]] | Sequence[Sequence[str]]"
)

#: What each sample belongs to: a label per sample, a mapping from sample id, or a table; False for nothing.
ClustersLike: TypeAlias = "ArrayLike | pd.Series[Any] | Sequence[Hashable] | Mapping[Any, Any] | PathLike | bool | None"

#: Samples to look at: images, texts or rows of a table.
SamplesLike: TypeAlias = (
    "Samples | Images | pd.DataFrame | pd.Series[Any] | Mapping[str, Any] | Sequence[Any] | ArrayLike | PathLike"
)

#: Photos: ``Images``, or a folder of them.
ImagesLike: TypeAlias = "Images | PathLike"

#: Labels, or a file of them.
LabelsLike: TypeAlias = "Labels | PathLike"

#: A hierarchy of concepts; ``"wordnet"``; a table of its edges, child and parent; or a folder of WordNet's files.
HierarchyLike: TypeAlias = "Hierarchy | PathLike"
