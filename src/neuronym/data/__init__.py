"""The objects that everything builds on: formulas, concepts, activations, hierarchies, groups of equal samples."""

from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.groups import SampleGroups, group
from neuronym.data.hierarchy import Hierarchy
from neuronym.data.maps import Maps

__all__ = [
    "Activations",
    "Concepts",
    "Formula",
    "Hierarchy",
    "Maps",
    "SampleGroups",
    "group",
]
