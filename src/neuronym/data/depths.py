"""The positions of concepts in a hierarchy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuronym.data.concepts import Concepts
from neuronym.data.hierarchy import Hierarchy, check_known
from neuronym.types import HierarchyLike

__all__ = ["as_hierarchy", "concept_depths", "depth"]

_NO_DEPTH = (
    "they have no depth, so depth and hypernyms are means over the others: give a larger hierarchy, such as a folder "
    "of WordNet's files or a table child,parent, or leave these concepts out"
)


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


def concept_depths(hierarchy: Hierarchy, shown: Sequence[Concepts]) -> list[list[tuple[float, float]]]:
    """For each concept whether others are below it, and its distance to the nearest root; NaN if it is unknown.

    Concepts are looked up by name, description or alias. One warning names all that the hierarchy lacks.

    Raises
    ------
    OptionError
        If the hierarchy contains none of them.
    """
    spellings = [
        {name: (name, one.descriptions.get(name, ""), *one.aliases.get(name, ())) for name in one.names}
        for one in shown
    ]
    check_known(hierarchy, {name: spelt for one in spellings for name, spelt in one.items()}, _NO_DEPTH)
    inner = {parent for parents in hierarchy.parents.values() for parent in parents}
    positions: list[list[tuple[float, float]]] = []
    for of_one in spellings:
        known = [next((name for name in spelt if name in hierarchy), None) for spelt in of_one.values()]
        positions.append(
            [(np.nan, np.nan) if name is None else (float(name in inner), depth(hierarchy, name)) for name in known]
        )
    return positions
