"""The positions of concepts in a hierarchy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuronym.data.concepts import Concepts
from neuronym.data.hierarchy import Hierarchy
from neuronym.errors import OptionError
from neuronym.types import HierarchyLike

__all__ = ["as_hierarchy", "concept_depths", "depth"]


def as_hierarchy(given: HierarchyLike) -> Hierarchy:
    """Convert a hierarchy from any accepted form.

    Parameters
    ----------
    given : HierarchyLike
        A ``Hierarchy``; ``"wordnet"`` for WordNet above the classes of ImageNet; a folder of WordNet's database; or a
        CSV file with the columns ``child,parent``.

    Returns
    -------
    Hierarchy
        The hierarchy.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    if isinstance(given, Hierarchy):
        return given
    if str(given) == "wordnet":
        return Hierarchy.imagenet()
    return Hierarchy.from_wordnet(given) if Path(given).is_dir() else Hierarchy.from_csv(given)


def depth(hierarchy: Hierarchy, name: str) -> int:
    """The number of steps from a concept to the nearest root."""
    level, steps = {name}, 0
    while all(hierarchy.parents.get(one) for one in level):
        level, steps = {parent for one in level for parent in hierarchy.parents[one]}, steps + 1
    return steps


def concept_depths(hierarchy: Hierarchy, shown: Concepts) -> list[tuple[float, float]]:
    """For each concept whether others are below it, and its distance to the nearest root; NaN if it is unknown.

    Concepts are looked up by name, description or alias.

    Raises
    ------
    OptionError
        If the hierarchy contains none of them.
    """
    inner = {parent for parents in hierarchy.parents.values() for parent in parents}
    positions: list[tuple[float, float]] = []
    for name in shown.names:
        spellings = (name, shown.descriptions.get(name, ""), *shown.aliases.get(name, ()))
        known = next((one for one in spellings if one in hierarchy.parents or one in inner), None)
        positions.append((float(known in inner), depth(hierarchy, known)) if known is not None else (np.nan, np.nan))
    if all(np.isnan(steps) for _, steps in positions):
        raise OptionError(
            f"the hierarchy contains none of the concepts, such as {shown.names[0]!r}: use one of the same names or ids"
        )
    return positions
