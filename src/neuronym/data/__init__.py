"""The objects that everything builds on: formulas, concepts, activations, hierarchies, masks, equal samples."""

from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.groups import SampleGroups, group
from neuronym.data.hierarchy import Hierarchy
from neuronym.data.maps import Maps
from neuronym.data.masks import Masks, Regions

__all__ = [
    "Activations",
    "Concepts",
    "Formula",
    "Hierarchy",
    "Maps",
    "Masks",
    "Regions",
    "SampleGroups",
    "group",
]
