"""The sparse matrix of concepts with its names, and what can be made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.data.binary import Ints, stacked
from neuronym.data.ids import as_ids, is_missing, match_ids, places, refuse_repeats
from neuronym.errors import ConceptsError, OptionError, no_such, some

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_array

    from neuronym.data.hierarchy import Hierarchy

__all__ = ["ConceptMatrix"]


class ConceptMatrix:
    """What ``Concepts`` is once it is made: which samples show what, by name. Methods return new ones."""

    def __init__(
        self,
        ptr: Ints,
        samples: Ints,
        n_samples: int,
        names: Iterable[object],
        *,
        sample_ids: Iterable[object] | None = None,
        descriptions: Mapping[str, str] | None = None,
        aliases: Mapping[str, Sequence[str]] | None = None,
        origin: Mapping[str, object] | None = None,
    ) -> None:
        given = tuple(names)
        unnamed = [c for c, name in enumerate(given) if is_missing(name)]
        if unnamed:
            raise ConceptsError(f"concept {unnamed[0]} has an empty name: give it one")
        self.names: tuple[str, ...] = tuple(str(name) for name in given)
        self.n_samples = int(n_samples)
        self.sample_ids = as_ids(sample_ids, self.n_samples, "concepts", ConceptsError)
        known = set(self.names)
        self.descriptions = {k: v for k, v in (descriptions or {}).items() if k in known}
        self.aliases = {k: tuple(v) for k, v in (aliases or {}).items() if v and k in known}
        self.origin = dict(origin or {})
        self.ptr, self.samples = np.asarray(ptr, np.int64), np.asarray(samples, np.int64)
        if len(self.names) != len(self.ptr) - 1:
            raise ConceptsError(f"{len(self.names)} names for {len(self.ptr) - 1} concepts: one name each is needed")
        refuse_repeats((*self.names, *(a for v in self.aliases.values() for a in v)), "name", "concepts", ConceptsError)
        self._place = {name: c for c, name in enumerate(self.names)}
        for name, others in self.aliases.items():
            self._place.update(dict.fromkeys(others, self._place[name]))

    @property
    def n_concepts(self) -> int:
        return len(self.names)

    @property
    def counts(self) -> Ints:
        """How many samples show each concept: int64, shape (n_concepts,)."""
        return np.diff(self.ptr)

    def index(self, name: str) -> int:
        """The place of a concept, found by its name or an alias."""
        if name not in self._place:
            raise no_such("concept", name, self.names)
        return self._place[name]

    def column(self, c: int) -> Ints:
        """The samples that show concept number c, ascending."""
        return self.samples[self.ptr[c] : self.ptr[c + 1]]

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        """Whether each sample shows the concept: bool, shape (n_samples,)."""
        shown = np.zeros(self.n_samples, np.bool_)
        shown[self.column(self.index(name))] = True
        return shown

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def __repr__(self) -> str:
        listed = [f"{name} {count}" for name, count in zip(self.names[:5], self.counts[:5].tolist(), strict=True)]
        more = ", …" if self.n_concepts > 5 else ""
        return (
            f"{type(self).__name__}({self.n_samples} samples × {self.n_concepts} concepts: {', '.join(listed)}{more})"
        )

    def to_sparse(self) -> csc_array:
        """The matrix as ``scipy.sparse.csc_array`` of bool, shape (n_samples, n_concepts)."""
        from scipy.sparse import csc_array

        yes = np.ones(len(self.samples), np.bool_)
        return csc_array((yes, self.samples, self.ptr), shape=(self.n_samples, self.n_concepts))

    def to_dense(self) -> NDArray[np.bool_]:
        """The matrix as a dense array of bool, shape (n_samples, n_concepts)."""
        return np.asarray(self.to_sparse().toarray())

    def to_frame(self) -> pd.DataFrame:
        """The matrix as a DataFrame: a column of bool per concept, the sample ids as index."""
        import pandas as pd

        index = None if self.sample_ids is None else pd.Index(self.sample_ids, name="sample")
        return pd.DataFrame(self.to_dense(), index=index, columns=list(self.names))

    def _with(self, **changes: Any) -> Self:
        kept = ("ptr", "samples", "n_samples", "names", "sample_ids", "descriptions", "aliases", "origin")
        return type(self)(**{**{name: getattr(self, name) for name in kept}, **changes})

    def _only(self, places: Sequence[int]) -> Self:
        columns = [self.column(c) for c in places]
        names = [self.names[c] for c in places]
        aliases = {name: self.aliases[name] for name in names if name in self.aliases}
        return self._with(**stacked(columns), names=names, aliases=aliases)

    def with_ids(self, sample_ids: Iterable[object]) -> Self:
        """The same concepts with sample ids."""
        return self._with(sample_ids=sample_ids)

    def rename(self, names: Mapping[str, str]) -> Self:
        """Give concepts other names; the old one becomes the description where there is none.

        Parameters
        ----------
        names : mapping from a concept to its new name; the others keep theirs
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise no_such("concept", unknown[0], self.names)
        new = {name: names.get(name, name) for name in self.names}
        changed = {new[name]: name for name in self.names if new[name] != name}
        described = {new[name]: text for name, text in self.descriptions.items()}
        aliases = {new[name]: others for name, others in self.aliases.items()}
        return self._with(names=list(new.values()), descriptions={**changed, **described}, aliases=aliases)

    def add(self, name: str, samples: Iterable[object]) -> Self:
        """Add a concept of one's own.

        Parameters
        ----------
        samples : the ids of the samples that show it; their places where there are no ids; or a mask of bool
        """
        given = np.asarray(samples if isinstance(samples, np.ndarray) else list(samples))
        if self.sample_ids is None or given.dtype.kind == "b":
            rows = places(given, self.n_samples)
        else:
            place = {sample: row for row, sample in enumerate(self.sample_ids)}
            lost = [str(i) for i in given if str(i) not in place]
            if lost:
                raise no_such("sample", lost[0], self.sample_ids)
            rows = np.array([place[str(i)] for i in given], np.intp)
        columns = [*(self.column(c) for c in range(self.n_concepts)), np.unique(rows)]
        return self._with(**stacked(columns), names=[*self.names, name])

    def select(self, names: Iterable[str]) -> Self:
        """Keep the named concepts, in the order given."""
        return self._only([self.index(name) for name in names])

    def take(self, rows: ArrayLike) -> Self:
        """Keep samples, given by their places or by a mask of bool, in the order given."""
        chosen = places(rows, self.n_samples)
        ids = None if self.sample_ids is None else [self.sample_ids[row] for row in chosen]
        kept = self.to_sparse()[chosen]
        kept.sort_indices()
        return self._with(ptr=kept.indptr, samples=kept.indices, n_samples=len(chosen), sample_ids=ids)

    def to_tokens(self, sample_ids: Iterable[object], parents: Iterable[object]) -> Self:
        """Spread the concepts of texts to their tokens.

        Parameters
        ----------
        sample_ids : the ids of the tokens
        parents : for each token the id of its text, or its place where there are no ids

        >>> from neuronym import Concepts
        >>> texts = Concepts.from_sets([{"rude"}, {"kind"}], sample_ids=["a", "b"])
        >>> texts.to_tokens(["a#0", "a#1", "b#0"], ["a", "a", "b"])["rude"]
        array([ True,  True, False])
        """
        of: list[Any] = list(parents)
        if self.sample_ids is not None:
            place = {sample: row for row, sample in enumerate(self.sample_ids)}
            lost = [str(parent) for parent in of if str(parent) not in place]
            if lost:
                raise no_such("sample", lost[0], self.sample_ids)
            of = [place[str(parent)] for parent in of]
        return self._with(sample_ids=None).take(of).with_ids(sample_ids)

    def prune(self, min_count: int = 1, max_count: int | None = None) -> Self:
        """Keep the concepts that at least ``min_count`` and at most ``max_count`` samples show."""
        highest = self.n_samples if max_count is None else max_count
        if min_count > highest:
            raise OptionError(f"min_count={min_count} is above max_count={highest}")
        counts = self.counts
        return self._only(np.flatnonzero((counts >= min_count) & (counts <= highest)).tolist())

    @classmethod
    def concatenate(cls, parts: Sequence[Self], axis: Literal["concepts", "samples"] = "concepts") -> Self:
        """Put the concepts of the same samples side by side, or samples with the same concepts below each other.

        Raises
        ------
        ConceptsError
            If concepts differ below each other, or only some parts have sample ids.
        AlignmentError
            If samples differ side by side.
        """
        if axis not in ("concepts", "samples"):
            raise OptionError(f"axis must be 'concepts' or 'samples', not {axis!r}")
        if not parts:
            raise ConceptsError("there is nothing to concatenate: give at least one Concepts")
        first = parts[0]
        if len({p.sample_ids is None for p in parts}) > 1:
            raise ConceptsError("some parts have sample ids and some have none: give ids to all or to none")
        if axis == "samples":
            differ = [p for p in parts if set(p.names) != set(first.names)]
            if differ:
                raise ConceptsError(f"the parts have other concepts ({some(differ[0].names)} and {some(first.names)})")
            starts = np.cumsum([0, *(p.n_samples for p in parts)]).tolist()
            columns = [
                np.concatenate([p.column(p.index(name)) + start for p, start in zip(parts, starts, strict=False)])
                for name in first.names
            ]
            ids = None if first.sample_ids is None else [i for p in parts for i in p.sample_ids or ()]
            return first._with(**stacked(columns), n_samples=starts[-1], sample_ids=ids)
        turned = [first]
        for p in parts[1:]:
            if p.n_samples != first.n_samples:
                raise ConceptsError(f"the parts have {first.n_samples} and {p.n_samples} samples: all need the same")
            rows = match_ids(first.sample_ids or (), p.sample_ids or (), "the first part", "another part", align=None)
            turned.append(p if rows is None else p.take(rows[1]))
        merged: dict[str, dict[str, Any]] = {
            key: {k: v for p in parts for k, v in getattr(p, key).items()}
            for key in ("descriptions", "aliases", "origin")
        }
        columns = [p.column(c) for p in turned for c in range(p.n_concepts)]
        return first._with(**stacked(columns), names=[name for p in parts for name in p.names], **merged)

    def merge_equal(self) -> Self:
        """Make one concept of those that the same samples show; the first gives the name, the others are its aliases.

        >>> from neuronym import Concepts
        >>> Concepts.from_sets([{"cat", "feline"}, {"dog"}]).merge_equal().aliases
        {'cat': ('feline',)}
        """
        same: dict[bytes, list[int]] = {}
        for c in range(self.n_concepts):
            same.setdefault(self.column(c).tobytes(), []).append(c)
        aliases = {}
        for first, *others in same.values():
            gathered = list(self.aliases.get(self.names[first], ()))
            for c in others:
                gathered += [self.names[c], *self.aliases.get(self.names[c], ())]
            aliases[self.names[first]] = gathered
        return self._only([first for first, *_ in same.values()])._with(aliases=aliases)

    def expand(self, hierarchy: Hierarchy, min_concepts: int = 1) -> Self:
        """Add every ancestor in a hierarchy: a sample shows it where it shows a concept below it.

        Parameters
        ----------
        min_concepts : int
            Add only ancestors of at least so many of the concepts.
        """
        below: dict[str, list[int]] = {}
        for c, name in enumerate(self.names):
            above = {a for own in (name, *self.aliases.get(name, ())) for a in hierarchy.ancestors(own)}
            for ancestor in above:
                below.setdefault(ancestor, []).append(c)
        columns = [self.column(c) for c in range(self.n_concepts)]
        names = list(self.names)
        for ancestor in sorted(below):
            union = np.unique(np.concatenate([self.column(c) for c in below[ancestor]]))
            if ancestor in self._place:
                own = self.index(ancestor)
                columns[own] = np.union1d(columns[own], union)
            elif len(below[ancestor]) >= min_concepts:
                columns.append(union)
                names.append(ancestor)
        return self._with(**stacked(columns), names=names)
