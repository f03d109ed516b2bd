"""Spurious features: neurons and classes that respond to a concept that has nothing to do with their task."""

from neuronym.analysis.spurious.findings import Findings, find_spurious, open_findings, relabel
from neuronym.analysis.spurious.overlays import (
    Alteration,
    AlteredSamples,
    Blur,
    Border,
    Cast,
    Jpeg,
    Patch,
    Text,
    overlay,
    pair_photos_with_artefacts,
)
from neuronym.analysis.spurious.study import SpuriousStudy, spurious

__all__ = [
    "Alteration",
    "AlteredSamples",
    "Blur",
    "Border",
    "Cast",
    "Findings",
    "Jpeg",
    "Patch",
    "SpuriousStudy",
    "Text",
    "find_spurious",
    "open_findings",
    "overlay",
    "pair_photos_with_artefacts",
    "relabel",
    "spurious",
]
