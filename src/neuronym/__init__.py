"""Names for neurons: the logical formula of concepts that each neuron detects best, and how well.

Nothing heavy is imported before it is used: ``import neuronym`` loads neither numba, scipy, pandas nor torch.
"""

from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.hierarchy import Hierarchy
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
from neuronym.io.files import open_activations, open_concepts, save_activations, save_concepts
from neuronym.labeling.labeling import label
from neuronym.labels.labels import Explanation, Label, Labels

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
