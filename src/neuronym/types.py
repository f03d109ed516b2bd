"""Types of the arguments of public functions: the accepted forms of activations, concepts, clusters and more.

They are for type checkers and editors; at run time ``neuronym.inputs`` converts arguments and explains what is wrong
with invalid ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import sparray, spmatrix

    from neuronym.data.activations import Activations
    from neuronym.data.concepts import Concepts
    from neuronym.data.hierarchy import Hierarchy
    from neuronym.data.maps import Maps
    from neuronym.data.masks import Masks
    from neuronym.inputs.samples import Samples
    from neuronym.io.images import Images
    from neuronym.labels.labels import Labels

__all__ = [
    "ActivationsLike",
    "Align",
    "AnyArray",
    "ClustersLike",
    "ConceptsLike",
    "Direction",
    "HierarchyLike",
    "ImagesLike",
    "JsonDict",
    "LabelsLike",
    "LayerLike",
    "MapsLike",
    "MasksLike",
    "Name",
    "Negative",
    "PathLike",
    "Pool",
    "SamplesLike",
    "SearchMethod",
    "Unknown",
]

#: A file or folder.
PathLike: TypeAlias = str | Path

#: An array of any dtype.
AnyArray: TypeAlias = "NDArray[Any]"

#: Plain data, as JSON holds it.
JsonDict: TypeAlias = dict[str, Any]

#: The name of a neuron: its column number, or text.
Name: TypeAlias = int | str

#: If sample ids differ: raise, keep the samples that both sides have, or match rows by position whatever their ids.
Align: TypeAlias = bool | Literal["position"]

#: Whether a neuron is high or low inside its formula.
Direction: TypeAlias = Literal["high", "low"]

#: How to search formulas: exactly if that is affordable, exactly whatever it takes, or by beam alone.
SearchMethod: TypeAlias = Literal["auto", "optimal", "beam"]

#: How to treat a concept value that is neither yes nor no: raise an error, count it as no, or drop its sample.
Unknown: TypeAlias = Literal["error", "no", "drop"]

#: How to treat a concept value of −1: raise an error, count it as no or as yes, or drop its sample.
Negative: TypeAlias = Literal["error", "no", "yes", "drop"]

#: How to pool the positions of a map or sequence into one number per neuron.
Pool: TypeAlias = Literal["mean", "max", "first", "last"]

#: The activations of one layer: (n_samples, n_neurons), in memory or in a file.
LayerLike: TypeAlias = "Activations | ArrayLike | pd.DataFrame | sparray | spmatrix | PathLike"

#: The activations of one layer, or of several by name, as a mapping or a Zarr store.
ActivationsLike: TypeAlias = "LayerLike | Mapping[str, LayerLike] | Mapping[str | None, LayerLike]"

#: The concepts of each sample: (n_samples, n_concepts) values of yes or no, sets of names, or a file.
ConceptsLike: TypeAlias = (
    "Concepts | ArrayLike | pd.DataFrame | sparray | spmatrix | PathLike | Sequence[set[str]] | Sequence[Sequence[str]]"
)

#: The cluster or stratum of each sample: one label per sample, labels by sample id, or a table; False for none.
ClustersLike: TypeAlias = "ArrayLike | pd.Series[Any] | Sequence[Hashable] | Mapping[Any, Any] | PathLike | bool | None"

#: Samples to look at: images, texts or rows of a table.
SamplesLike: TypeAlias = (
    "Samples | Images | pd.DataFrame | pd.Series[Any] | Mapping[str, Any] | Sequence[Any] | ArrayLike | PathLike"
)

#: Images: ``Images``, or a folder of image files.
ImagesLike: TypeAlias = "Images | PathLike"

#: Activation maps of one layer, or of several by name: (n_samples, n_neurons, height, width), or a store of maps.
MapsLike: TypeAlias = (
    "Maps | Activations | ArrayLike | PathLike | Mapping[str, Maps | Activations | ArrayLike | PathLike] | "
    "Mapping[str | None, Maps]"
)

#: Which concepts each pixel shows: ``Masks``, or the path of a file or folder that ``open_masks`` reads.
MasksLike: TypeAlias = "Masks | PathLike"

#: Labels, or a file of them.
LabelsLike: TypeAlias = "Labels | PathLike"

#: A hierarchy of concepts: a ``Hierarchy``, ``"wordnet"``, a table of child and parent, or a folder of WordNet's files.
HierarchyLike: TypeAlias = "Hierarchy | PathLike"
