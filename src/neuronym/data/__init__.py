"""What everything rests on: formulas, concepts, activations, hierarchies, groups of equal samples."""

from neuronym.data.activations import Activations, Name
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.groups import Groups, group
from neuronym.data.hierarchy import Hierarchy

__all__ = [
    "Activations",
    "Concepts",
    "Formula",
    "Groups",
    "Hierarchy",
    "Name",
    "group",
]
