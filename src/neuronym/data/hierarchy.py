"""Parents and children of concepts."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from neuronym._util.files import reading
from neuronym._util.messages import counted, some
from neuronym.errors import ConceptsError, FileError
from neuronym.types import PathLike

__all__ = ["Hierarchy"]

_HEX, _DECIMAL = re.compile("[0-9a-fA-F]+"), re.compile("[0-9]+")


class Hierarchy:
    """A directed acyclic graph over concepts, from the special to the general.

    Parameters
    ----------
    edges : iterable of (child, parent)
        A child may have several parents. An edge given twice counts once.
    names : mapping from a concept to a readable name, for those that are ids; several may share one

    Raises
    ------
    ConceptsError
        If the edges run in a circle; the message names it.

    >>> animals = Hierarchy([("pug", "dog"), ("dog", "animal"), ("cat", "animal")])
    >>> animals.ancestors("pug")
    ('animal', 'dog')
    """

    def __init__(self, edges: Iterable[tuple[str, str]], names: Mapping[str, str] | None = None) -> None:
        self.names = dict(names or {})
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

    def readable(self, concepts: Iterable[str]) -> dict[str, str]:
        """A readable name for each concept, each name once.

        Concepts that share a name are told apart by the name of a parent: ``crane (wading_bird)`` and
        ``crane (lifting_device)``; where that does not do, by their ids. A concept without a name keeps its own.

        >>> names = {"n1": "crane", "n2": "crane", "n3": "bird"}
        >>> Hierarchy([("n1", "n3"), ("n2", "machine")], names).readable(["n1", "n2", "n3"])
        {'n1': 'crane (bird)', 'n2': 'crane (machine)', 'n3': 'bird'}
        """
        listed = list(concepts)
        plain = {c: self.names.get(c, c) for c in listed}
        parents = {c: self.names.get(p[0], p[0]) for c in listed if (p := self.parents.get(c))}
        told = _repeated(plain)
        with_parent = {c: f"{plain[c]} ({parents[c]})" if c in told and c in parents else plain[c] for c in listed}
        told = _repeated(with_parent)
        return {c: f"{plain[c]} ({c})" if c in told else with_parent[c] for c in listed}

    @classmethod
    def imagenet(cls) -> Hierarchy:
        """WordNet 3.0 above the 1,000 classes of ImageNet (ILSVRC-2012); it comes with the package.

        Concepts are WordNet ids, such as ``n02883344``.
        """
        folder = Path(__file__).parent / "wordnet"
        edges = cls.from_csv(folder / "imagenet_hypernyms.csv")
        with open(folder / "imagenet_synsets.csv", encoding="utf-8", newline="") as file:
            names = {row["wnid"]: row["name"] for row in csv.DictReader(file)}
        return cls(((child, parent) for child, above in edges.parents.items() for parent in above), names)

    @classmethod
    def from_wordnet(cls, folder: PathLike) -> Hierarchy:
        """Read the nouns of a WordNet from the folder that holds its database file ``data.noun``.

        WordNet's release, Debian's package wordnet-base and NLTK's corpus share that format. Concepts are ``n`` and
        the synset's offset; a name is the synset's first word; parents are hypernyms and what it is an instance of.

        Raises
        ------
        FileError
            If the file is missing or is none of WordNet.
        """
        path = Path(folder) / "data.noun"
        names: dict[str, str] = {}
        edges: list[tuple[str, str]] = []
        with reading(path, "WordNet"), open(path, encoding="utf-8") as file:
            lines = file.readlines()
        for number, line in enumerate(lines, 1):
            if line.startswith("  "):  # the licence
                continue
            fields = line.split("|", 1)[0].split()
            words = fields[3] if len(fields) > 4 else ""  # how many there are, in base 16
            first = 5 + 2 * int(words, 16) if _HEX.fullmatch(words) else 0  # of the pointers, by fours
            n_pointers = fields[first - 1] if 5 < first <= len(fields) else ""
            if not _DECIMAL.fullmatch(n_pointers) or len(fields) < first + 4 * int(n_pointers):
                raise FileError(f"{path} is no data.noun of WordNet: line {number} cannot be read")
            names["n" + fields[0]] = fields[4]
            for start in range(first, first + 4 * int(n_pointers), 4):
                if fields[start] in ("@", "@i"):
                    edges.append(("n" + fields[0], "n" + fields[start + 1]))
        return cls(edges, names)

    @classmethod
    def from_csv(cls, path: PathLike) -> Hierarchy:
        """Read a table whose first line is ``child,parent``.

        Every parent is a child too, in a line of its own; one at the top has an empty parent there. A table with one
        top alone need not say so.

        Raises
        ------
        FileError
            If the file cannot be read or has other columns.
        ConceptsError
            If a parent is unknown, or the edges run in a circle; the message names them.
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
        nameless = [number for number, row in enumerate(rows[1:], 2) if not row[0]]
        if nameless:
            raise FileError(f"{path} must name a child in every line; lines {some(nameless)} do not")
        told = {child for child, _ in rows[1:]}
        unknown = list(dict.fromkeys(parent for _, parent in rows[1:] if parent and parent not in told))
        if len(unknown) > (all(parent for _, parent in rows[1:])):
            raise ConceptsError(
                f"{counted(len(unknown), 'parent')} in {path} without a line of their own ({some(unknown)}): mend the "
                f"name, or, where it is at the top, add the line {unknown[0]},"
            )
        return cls((child, parent) for child, parent in rows[1:] if parent)


def _repeated(names: Mapping[str, str]) -> set[str]:
    """The concepts whose name is not theirs alone."""
    times = Counter(names.values())
    return {concept for concept, name in names.items() if times[name] > 1}
