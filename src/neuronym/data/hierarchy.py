"""Hierarchies: the parents and children of concepts."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from neuronym._util.characters import shortened
from neuronym._util.files import reading
from neuronym._util.limits import LEVELS
from neuronym._util.messages import counted, some, warn
from neuronym.errors import ConceptsError, FileError, OptionError
from neuronym.types import PathLike

__all__ = ["Hierarchy", "check_known"]

_HEX, _DECIMAL = re.compile("[0-9a-fA-F]{1,8}"), re.compile("[0-9]{1,8}")
_OFFSET = re.compile("[0-9]{8}")  # of a synset
_EXAMPLES = 3


class Hierarchy:
    """A directed acyclic graph of concepts, from the specific to the general.

    Parameters
    ----------
    edges : iterable of (str, str)
        Pairs of a child and a parent. A child may have several parents; a repeated edge counts once.
    names : mapping from str to str or None, default None
        Readable names of concepts that are ids; several concepts may share one.

    Raises
    ------
    ConceptsError
        If the edges form a cycle, which the message shows, or the hierarchy has too many levels.

    Examples
    --------
    >>> animals = Hierarchy([("pug", "dog"), ("dog", "animal"), ("cat", "animal")])
    >>> animals.ancestors("pug")
    ('animal', 'dog')
    """

    def __init__(self, edges: Iterable[tuple[str, str]], names: Mapping[str, str] | None = None) -> None:
        self.names = dict(names or {})
        parents: dict[str, list[str]] = {}
        for edge in edges:
            if isinstance(edge, str) or len(edge) != 2:
                raise ConceptsError(f"an edge of a hierarchy must be a pair of a child and a parent, not {edge!r}")
            child, parent = edge
            known = parents.setdefault(child, [])
            if parent not in known:
                known.append(parent)
        self.parents: Mapping[str, tuple[str, ...]] = {child: tuple(p) for child, p in parents.items()}
        self._concepts = {*self.parents, *(parent for above in self.parents.values() for parent in above)}
        levels: dict[str, int] = {}
        for name in self.parents:
            self._refuse_cycles(name, levels)

    def __contains__(self, name: object) -> bool:
        return name in self._concepts

    def _refuse_cycles(self, name: str, levels: dict[str, int]) -> None:
        """Walk up from a name, depth first, without recursion; names in ``levels`` are known to be in no cycle.

        Their values are the numbers of levels from a concept to the farthest root.
        """
        trail: dict[str, int] = {}
        stack = [name]
        while stack:
            top = stack[-1]
            parents = self.parents.get(top, ())
            place = trail.get(top, 0)
            if top in levels or place == len(parents):
                levels[top] = 1 + max((levels[parent] for parent in parents), default=0)
                if levels[top] > LEVELS:
                    raise self._too_deep(top)
                trail.pop(top, None)
                stack.pop()
                continue
            trail[top] = place + 1
            if parents[place] in trail:
                names = list(trail)
                cycle = [*names[names.index(parents[place]) :], parents[place]]
                raise ConceptsError(f"the hierarchy has a cycle: {' → '.join(cycle)}: remove one of its edges")
            stack.append(parents[place])
            if len(stack) > LEVELS:
                raise self._too_deep(name)

    def _too_deep(self, name: str) -> ConceptsError:
        return ConceptsError(f"the hierarchy has more than {LEVELS:,} levels above {name!r}: check its edges")

    def ancestors(self, name: str) -> tuple[str, ...]:
        """List the ancestors of a concept.

        Parameters
        ----------
        name : str
            The concept.

        Returns
        -------
        tuple of str
            Every concept above it, in alphabetical order; empty if the hierarchy lacks it.
        """
        found: set[str] = set()
        open_ = [name]
        while open_:
            fresh = [parent for parent in self.parents.get(open_.pop(), ()) if parent not in found]
            found.update(fresh)
            open_ += fresh
        return tuple(sorted(found))

    def readable(self, concepts: Iterable[str]) -> dict[str, str]:
        """Find a distinct readable name for each concept.

        Concepts that share a name are distinguished by the name of a parent, as in ``crane (wading_bird)`` and
        ``crane (lifting_device)``, or, if that is not enough, by their ids. A concept without a readable name keeps
        its own.

        Parameters
        ----------
        concepts : iterable of str
            The concepts.

        Returns
        -------
        dict from str to str
            The readable name of each concept.

        Examples
        --------
        >>> names = {"n1": "crane", "n2": "crane", "n3": "bird"}
        >>> Hierarchy([("n1", "n3"), ("n2", "machine")], names).readable(["n1", "n2", "n3"])
        {'n1': 'crane (bird)', 'n2': 'crane (machine)', 'n3': 'bird'}
        """
        listed = list(concepts)
        plain = {c: self.names.get(c, c) for c in listed}
        parents = {c: self.names.get(p[0], p[0]) for c in listed if (p := self.parents.get(c))}
        shared = _sharing_a_name(plain)
        with_parent = {c: f"{plain[c]} ({parents[c]})" if c in shared and c in parents else plain[c] for c in listed}
        shared = _sharing_a_name(with_parent)
        return {c: f"{plain[c]} ({c})" if c in shared else with_parent[c] for c in listed}

    def similar(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Find concepts that names may mean: of the same readable name, or that differ in case, spaces or hyphens.

        Parameters
        ----------
        names : iterable of str
            The names.

        Returns
        -------
        dict from str to list of str
            The concepts that each name may mean, without names for which there are none. A name that contains the id
            of a synset, such as ``n02085620-Chihuahua``, may mean that synset.

        Examples
        --------
        >>> Hierarchy([("n1", "n3")], {"n1": "golden_retriever"}).similar(["Golden Retriever", "cat"])
        {'Golden Retriever': ['n1']}
        """
        by_spelling: dict[str, list[str]] = {}
        for concept in sorted(self._concepts):
            for spelling in {_folded(concept), _folded(self.names.get(concept, concept))}:
                by_spelling.setdefault(spelling, []).append(concept)
        found = {}
        for name in names:
            ids = [f"n{offset}" for offset in _OFFSET.findall(name)]
            for spelling in (_folded(name), _folded(name.split(",")[0]), *ids):  # "tench, Tinca tinca"
                if spelling in by_spelling:
                    found[name] = by_spelling[spelling]
                    break
        return found

    @classmethod
    def imagenet(cls) -> Hierarchy:
        """Load WordNet 3.0 above the 1,000 classes of ImageNet (ILSVRC-2012), which comes with the package.

        Returns
        -------
        Hierarchy
            Its concepts are WordNet ids, such as ``n02883344``, with readable names.
        """
        folder = Path(__file__).parent / "wordnet"
        edges = cls.from_csv(folder / "imagenet_hypernyms.csv")
        with open(folder / "imagenet_synsets.csv", encoding="utf-8", newline="") as file:
            names = {row["wnid"]: row["name"] for row in csv.DictReader(file)}
        return cls(((child, parent) for child, above in edges.parents.items() for parent in above), names)

    @classmethod
    def from_wordnet(cls, folder: PathLike) -> Hierarchy:
        """Read the nouns of a WordNet database.

        WordNet's release, Debian's package wordnet-base and NLTK's corpus share its format.

        Parameters
        ----------
        folder : str or Path
            The folder of the database file ``data.noun``.

        Returns
        -------
        Hierarchy
            A concept is ``n`` and the synset's offset; its readable name is the synset's first word; its parents are
            its hypernyms and instance hypernyms.

        Raises
        ------
        FileError
            If the file is missing or is not in WordNet's format.
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
            n_words = fields[3] if len(fields) > 4 else ""  # in base 16
            first = 5 + 2 * int(n_words, 16) if _HEX.fullmatch(n_words) else 0  # of the pointers, four fields each
            n_pointers = fields[first - 1] if 5 < first <= len(fields) else ""
            if not _DECIMAL.fullmatch(n_pointers) or len(fields) < first + 4 * int(n_pointers):
                raise FileError(
                    f"{str(path)!r} is not a WordNet data.noun file: line {number} does not follow its format"
                )
            names["n" + fields[0]] = fields[4]
            for start in range(first, first + 4 * int(n_pointers), 4):
                if fields[start] in ("@", "@i"):
                    edges.append(("n" + fields[0], "n" + fields[start + 1]))
        return cls(edges, names)

    @classmethod
    def from_csv(cls, path: PathLike) -> Hierarchy:
        """Read a table of edges.

        Parameters
        ----------
        path : str or Path
            A CSV file with the columns ``child,parent``. Every parent needs a line of its own as a child, with an empty
            parent if it is a root; a single root may omit that line.

        Returns
        -------
        Hierarchy
            The hierarchy, without readable names. A root without children is part of it.

        Raises
        ------
        FileError
            If the file cannot be read or has other columns.
        ConceptsError
            If a parent has no line of its own, the edges form a cycle, or there are too many levels; the message names
            them.
        """
        with reading(path, "a hierarchy"), open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
        if not rows or rows[0] != ["child", "parent"]:
            found = shortened(",".join(rows[0])) if rows else "empty"
            raise FileError(f"the first line of {path} must be child,parent, not {found}")
        broken = [number for number, row in enumerate(rows[1:], 2) if len(row) != 2]
        if broken:
            raise FileError(f"every line of {path} must have two columns: check {_lines(broken)}")
        nameless = [number for number, row in enumerate(rows[1:], 2) if not row[0]]
        if nameless:
            raise FileError(f"every line of {path} must name a child: check {_lines(nameless)}")
        children = {child for child, _ in rows[1:]}
        unknown = list(dict.fromkeys(parent for _, parent in rows[1:] if parent and parent not in children))
        if len(unknown) > (all(parent for _, parent in rows[1:])):
            raise ConceptsError(
                f"{counted(len(unknown), 'parent')} in {path} without a line as a child ({some(unknown)}): correct "
                f"the name, or, if it is a root, add the line " + repr(f"{unknown[0]},")
            )
        hierarchy = cls((child, parent) for child, parent in rows[1:] if parent)
        hierarchy._concepts |= children
        return hierarchy


def check_known(hierarchy: Hierarchy, spellings: Mapping[str, Iterable[str]], consequence: str) -> None:
    """Warn of concepts that a hierarchy lacks.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.
    spellings : mapping from str to iterable of str
        For each concept, by name, all names under which it is looked up.
    consequence : str
        What follows for concepts that it lacks, and what to do, for the warning.

    Raises
    ------
    OptionError
        If it contains none of them.
    """
    unknown = [name for name, spelt in spellings.items() if not any(one in hierarchy for one in spelt)]
    if not unknown:
        return
    similar = hierarchy.similar(unknown)
    examples = sorted(unknown, key=lambda name: name not in similar)[:_EXAMPLES]
    listed = [
        f"{one!r}, which it calls {' or '.join(map(repr, similar[one]))}" if one in similar else repr(one)
        for one in examples
    ]
    own = _example(hierarchy)
    if len(unknown) == len(spellings):
        raise OptionError(
            f"the hierarchy contains none of the concepts, such as {listed[0]}: use the same names or ids{own}"
        )
    more = f"; and {len(unknown) - _EXAMPLES} more" if len(unknown) > _EXAMPLES else ""
    warn(
        f"the hierarchy lacks {len(unknown)} of {counted(len(spellings), 'concept')} ({'; '.join(listed)}{more}): "
        f"{consequence}{own}"
    )


def _example(hierarchy: Hierarchy) -> str:
    """An example of the names in a hierarchy, for the end of a message: one without others below it."""
    inner = {parent for above in hierarchy.parents.values() for parent in above}
    name = next((child for child in hierarchy.parents if child not in inner), None)
    if name is None:
        return "; the hierarchy has no edges"
    readable = f" ({hierarchy.names[name]})" if name in hierarchy.names else ""
    return f"; its own names are like {name!r}{readable}"


def _folded(name: str) -> str:
    """A name without differences of case, and with one underscore for spaces, hyphens and underscores."""
    return "_".join(re.split(r"[\s_-]+", name.strip())).casefold()


def _sharing_a_name(names: Mapping[str, str]) -> set[str]:
    """The concepts that share their name with another."""
    times = Counter(names.values())
    return {concept for concept, name in names.items() if times[name] > 1}


def _lines(numbers: list[int]) -> str:
    """Some numbers of lines for a message: ``line 2``, ``lines 2, 3``."""
    return f"line{'s' * (len(numbers) > 1)} {some(numbers)}"
