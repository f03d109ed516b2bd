"""The result of labeling: labels, their table and their files."""

from neuronym.labels.descriptions import open_descriptions, save_for_cosy
from neuronym.labels.label import Explanation, Label
from neuronym.labels.labels import Labels, show
from neuronym.labels.summary import Summary

__all__ = [
    "Explanation",
    "Label",
    "Labels",
    "Summary",
    "open_descriptions",
    "save_for_cosy",
    "show",
]
