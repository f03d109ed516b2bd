"""Detectors composed by hand: labelled neurons combined by fuzzy logic, without training."""

from neuronym.analysis.compose.detectors import ChosenNeurons, ConceptNeuron, Detector, compare, compose
from neuronym.analysis.compose.fuzzy import NORMS, Membership, TNorm

__all__ = [
    "NORMS",
    "ChosenNeurons",
    "ConceptNeuron",
    "Detector",
    "Membership",
    "TNorm",
    "compare",
    "compose",
]
