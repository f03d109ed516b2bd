"""Names for neurons: the logical formula of concepts that each neuron detects best, and how well.

Nothing heavy is imported before it is used: ``import neuronym`` loads neither numba, scipy, pandas nor torch.
"""

from neuronym.activations import Activations
from neuronym.concepts import Concepts
from neuronym.errors import (
    ActivationsError,
    AlignmentError,
    ConceptsError,
    FileError,
    FormulaError,
    InputError,
    NeuronymError,
    OptionError,
    UnknownNameError,
)
from neuronym.formula import Formula
from neuronym.hierarchy import Hierarchy
from neuronym.labeling import label
from neuronym.labels import Explanation, Label, Labels
from neuronym.store import open_activations, open_concepts, save_activations, save_concepts

__version__ = "0.1.0"

__all__ = [
    "Activations",
    "ActivationsError",
    "AlignmentError",
    "Concepts",
    "ConceptsError",
    "Explanation",
    "FileError",
    "Formula",
    "FormulaError",
    "Hierarchy",
    "InputError",
    "Label",
    "Labels",
    "NeuronymError",
    "OptionError",
    "UnknownNameError",
    "label",
    "open_activations",
    "open_concepts",
    "save_activations",
    "save_concepts",
]
