"""Detectors composed by hand: labelled neurons joined by fuzzy logic, with no training."""

from neuronym.analysis.compose.detectors import Chosen, Detector, Part, compare, compose
from neuronym.analysis.compose.fuzzy import NORMS, Membership, TNorm

__all__ = [
    "NORMS",
    "Chosen",
    "Detector",
    "Membership",
    "Part",
    "TNorm",
    "compare",
    "compose",
]
