"""Where concepts stand in a hierarchy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuronym.data.concepts import Concepts
from neuronym.data.hierarchy import Hierarchy
from neuronym.errors import OptionError
from neuronym.types import HierarchyLike

__all__ = ["as_hierarchy", "depth", "hierarchy_positions"]


def as_hierarchy(given: HierarchyLike) -> Hierarchy:
    """Read a hierarchy from what a user gives.

    Parameters
    ----------
    given : Hierarchy, str or Path
        ``"wordnet"`` is that above ImageNet's classes, a folder WordNet's own files, and any other file a table of
        child and parent.

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
    """How many steps a name is below the top, on the shortest way."""
    level, steps = {name}, 0
    while all(hierarchy.parents.get(one) for one in level):
        level, steps = {parent for one in level for parent in hierarchy.parents[one]}, steps + 1
    return steps


def hierarchy_positions(hierarchy: Hierarchy, shown: Concepts) -> list[tuple[float, float]]:
    """For each concept whether others are below it, and how many steps it is below the top; NaN for unknown ones.

    Concepts are found by their names, descriptions or aliases.

    Raises
    ------
    OptionError
        If the hierarchy knows none of them.
    """
    tops = {parent for parents in hierarchy.parents.values() for parent in parents}
    told: list[tuple[float, float]] = []
    for name in shown.names:
        spelled = (name, shown.descriptions.get(name, ""), *shown.aliases.get(name, ()))
        known = next((one for one in spelled if one in hierarchy.parents or one in tops), None)
        told.append((float(known in tops), depth(hierarchy, known)) if known is not None else (np.nan, np.nan))
    if all(np.isnan(steps) for _, steps in told):
        raise OptionError(f"the hierarchy knows none of the concepts, such as {shown.names[0]!r}")
    return told
