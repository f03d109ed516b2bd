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
        for edge in edges:
            if isinstance(edge, str) or len(edge) != 2:
                raise ConceptsError(f"an edge of a hierarchy is a pair of a child and a parent, not {edge!r}")
            child, parent = edge
            known = parents.setdefault(child, [])
            if parent not in known:
                known.append(parent)
        self.parents: Mapping[str, tuple[str, ...]] = {child: tuple(p) for child, p in parents.items()}
        done: set[str] = set()
        for name in self.parents:
            self._refuse_circles(name, done)

    def _refuse_circles(self, name: str, done: set[str]) -> None:
        """Walk up from a name, depth first, without recursion; what is ``done`` is known to run in no circle."""
        trail: dict[str, int] = {}
        stack = [name]
        while stack:
            top = stack[-1]
            parents = self.parents.get(top, ())
            place = trail.get(top, 0)
            if top in done or place == len(parents):
                done.add(top)
                trail.pop(top, None)
                stack.pop()
                continue
            trail[top] = place + 1
            if parents[place] in trail:
                names = list(trail)
                circle = [*names[names.index(parents[place]) :], parents[place]]
                raise ConceptsError(f"the hierarchy runs in a circle: {' → '.join(circle)}")
            stack.append(parents[place])

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Every name above this one, in alphabetical order; none for a name that the hierarchy lacks."""
        found: set[str] = set()
        open_ = [name]
        while open_:
            fresh = [parent for parent in self.parents.get(open_.pop(), ()) if parent not in found]
            found.update(fresh)
            open_ += fresh
        return tuple(sorted(found))

    @classmethod
    def from_csv(cls, path: str | Path) -> Hierarchy:
        """Read a table whose first line is ``child,parent``.

        Raises
        ------
        FileError
            If the file cannot be read or has other columns.
        """
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
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
