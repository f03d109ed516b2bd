"""Parents and children of concepts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from neuronym.errors import ConceptsError, FileError, some

__all__ = ["Hierarchy"]


class Hierarchy:
    """A directed acyclic graph over names, from the special to the general.

    Parameters
    ----------
    edges : iterable of (child, parent)
        A child may have several parents. An edge given twice counts once.

    Raises
    ------
    ConceptsError
        If the edges run in a circle; the message names it.

    >>> animals = Hierarchy([("pug", "dog"), ("dog", "animal"), ("cat", "animal")])
    >>> animals.ancestors("pug")
    ('animal', 'dog')
    """

    def __init__(self, edges: Iterable[tuple[str, str]]) -> None:
        parents: dict[str, list[str]] = {}
        for child, parent in edges:
            known = parents.setdefault(child, [])
            if parent not in known:
                known.append(parent)
        self.parents: Mapping[str, tuple[str, ...]] = {child: tuple(p) for child, p in parents.items()}
        self._ancestors: dict[str, frozenset[str]] = {}
        for name in self.parents:
            self._close(name)

    def _close(self, name: str) -> None:
        """Find the ancestors of a name and of all on the way, depth first, without recursion."""
        trail: dict[str, int] = {}
        stack = [name]
        while stack:
            top = stack[-1]
            if top in self._ancestors:
                stack.pop()
                continue
            parents = self.parents.get(top, ())
            place = trail.get(top, 0)
            if place == len(parents):
                self._ancestors[top] = frozenset(parents).union(*(self._ancestors[p] for p in parents))
                trail.pop(top, None)
                stack.pop()
                continue
            trail[top] = place + 1
            if parents[place] in trail:
                circle = [*list(trail)[list(trail).index(parents[place]) :], parents[place]]
                raise ConceptsError(f"the hierarchy runs in a circle: {' → '.join(circle)}")
            stack.append(parents[place])

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Every name above this one, in alphabetical order; none for a name that the hierarchy lacks."""
        return tuple(sorted(self._ancestors.get(name, ())))

    @classmethod
    def from_csv(cls, path: str | Path) -> Hierarchy:
        """Read a table whose first line is ``child,parent``.

        Raises
        ------
        FileError
            If the file cannot be read or has other columns.
        """
        try:
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise FileError(f"cannot read the hierarchy {path}: {error}") from error
        if not rows or rows[0] != ["child", "parent"]:
            found = ",".join(rows[0]) if rows else "nothing"
            raise FileError(f"the first line of {path} must be child,parent; it is {found}")
        broken = [number for number, row in enumerate(rows[1:], 2) if len(row) != 2]
        if broken:
            raise FileError(f"{path} must have two columns in every line; lines {some(broken)} do not")
        return cls((row[0], row[1]) for row in rows[1:])
