"""Spurious features: which neurons answer to a concept that has nothing to do with their task."""

from neuronym.analysis.spurious.findings import Findings, find_spurious, open_findings, relabel
from neuronym.analysis.spurious.overlays import (
    Alteration,
    Altered,
    Blur,
    Border,
    Cast,
    Jpeg,
    Patch,
    Text,
    beside,
    overlay,
)

__all__ = [
    "Alteration",
    "Altered",
    "Blur",
    "Border",
    "Cast",
    "Findings",
    "Jpeg",
    "Patch",
    "Text",
    "beside",
    "find_spurious",
    "open_findings",
    "overlay",
    "relabel",
]
