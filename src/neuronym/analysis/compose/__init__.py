"""Detectors composed by hand: labelled neurons combined by fuzzy logic, without training."""

from neuronym.analysis.compose.detectors import ConceptNeuron, Detector, FormulaNeurons, compare, compose
from neuronym.analysis.compose.fuzzy import NORMS, Membership, TNorm

__all__ = [
    "NORMS",
    "ConceptNeuron",
    "Detector",
    "FormulaNeurons",
    "Membership",
    "TNorm",
    "compare",
    "compose",
]
