"""Concepts: which samples show what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.messages import counted, no_such, some
from neuronym.data import binary
from neuronym.data.binary import Ints, stacked
from neuronym.data.ids import as_ids, is_missing, match_ids, places, refuse_repeats, split_ids
from neuronym.errors import ConceptsError, OptionError
from neuronym.types import Unknown

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_array

    from neuronym.data.hierarchy import Hierarchy

__all__ = ["Concepts"]

_FREQUENT, _EQUAL = 10, 5  # concepts that are described


class Concepts:
    """A sparse yes/no matrix, samples × concepts, with names.

    Make one with ``from_array``, ``from_frame``, ``from_long``, ``from_sets``, ``from_classes`` or ``from_scores``.
    Nothing changes a ``Concepts``; methods return new ones.

    Parameters
    ----------
    ptr, samples : int64 arrays of shapes (n_concepts + 1,) and (n_yes,)
        As in a compressed sparse column matrix: concept c is shown by ``samples[ptr[c]:ptr[c + 1]]``, ascending.
    n_samples : int
    names : texts, one per concept, each once
    sample_ids : texts, one per sample, each once, or None
        Without ids, samples are matched with activations by their place.
    descriptions : mapping from name to text
    aliases : mapping from name to the other names of the same concept
    origin : mapping
        How the concepts were made; a plain record that travels with them.

    >>> concepts = Concepts.from_sets([{"dog"}, {"dog", "grass"}, set()])
    >>> concepts
    Concepts(3 samples × 2 concepts: dog 2, grass 1)
    >>> concepts["grass"]
    array([False,  True, False])
    """

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

    @classmethod
    def from_array(
        cls,
        matrix: Any,
        names: Iterable[object] | None = None,
        *,
        sample_ids: Iterable[object] | None = None,
        descriptions: Mapping[str, str] | None = None,
        unknown: Unknown = "error",
    ) -> Concepts:
        """Take a dense or scipy sparse array of shape (n_samples, n_concepts) of True/False or 1/0.

        ``names`` are ``c0, c1, …`` by default. A value that is neither yes nor no is an error, or counts as no
        (``unknown="no"``), or takes its sample out (``unknown="drop"``, which needs ``sample_ids``).

        Raises
        ------
        ConceptsError
            If the shape, the names, the ids or the values cannot be used.
        """
        sparse = hasattr(matrix, "tocsc")
        array = matrix if sparse else binary.as_matrix(matrix)
        if array.ndim != 2:
            raise ConceptsError(
                f"concepts must have two axes, samples × concepts, but have shape {array.shape}: "
                "one class index per sample goes through Concepts.from_classes"
            )
        n_samples, n_concepts = array.shape
        listed = [f"c{c}" for c in range(n_concepts)] if names is None else list(names)
        if len(listed) != n_concepts:
            raise ConceptsError(
                f"{counted(len(listed), 'name')} for {counted(n_concepts, 'concept')}: one each is needed"
            )
        if sparse:
            read = binary.columns_of_sparse(array, listed, unknown)
        else:
            read = binary.columns_of_dense(binary.columns_of(array), n_samples, listed, unknown)
        return cls._read(*read, listed, sample_ids, descriptions)

    @classmethod
    def _read(
        cls, ptr: Ints, samples: Ints, keep: NDArray[np.bool_], names: Iterable[object], ids: Any, descriptions: Any
    ) -> Concepts:
        whole = cls(ptr, samples, len(keep), names, sample_ids=ids, descriptions=descriptions)
        if keep.all():
            return whole
        if whole.sample_ids is None:
            raise ConceptsError(
                f"unknown='drop' leaves {int(keep.sum())} of {len(keep)} samples, and without sample_ids they cannot "
                "be matched with activations: give sample_ids, or take the rows out of both yourself"
            )
        return whole.take(np.flatnonzero(keep))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, unknown: Unknown = "error") -> Concepts:
        """Take a DataFrame: a column per concept (multi-hot), or exactly the columns ``sample`` and ``concept`` (long).

        In a multi-hot table the sample ids are the column ``sample`` if it is the first, else the index unless it
        merely counts the rows.
        """
        if list(frame.columns) == ["sample", "concept"]:
            return cls.from_long(frame["sample"], frame["concept"])
        body, ids = split_ids(frame)
        dtypes = set(body.dtypes)
        alike = len(dtypes) == 1 and isinstance(dtypes.pop(), np.dtype)
        columns = (
            binary.columns_of(body.to_numpy()) if alike else (body.iloc[:, c].to_numpy() for c in range(body.shape[1]))
        )
        read = binary.columns_of_dense(columns, len(body), list(body.columns), unknown)
        return cls._read(*read, body.columns, ids, None)

    @classmethod
    def from_long(
        cls, samples: Iterable[object], concepts: Iterable[object], *, sample_ids: Iterable[object] | None = None
    ) -> Concepts:
        """Take a long table: pairs of a sample id and the name of a concept that this sample shows.

        An empty or missing concept says only that the sample is there. ``sample_ids`` lists all samples, those
        without any concept too; without it the samples are those in the table, in the order of their first place.
        A pair given twice counts once.

        Raises
        ------
        ConceptsError
            If a sample is missing, or is not in ``sample_ids``.
        """
        ptr, yes, names, listed = binary.columns_of_long(samples, concepts, sample_ids)
        return cls(ptr, yes, len(listed), names, sample_ids=listed)

    @classmethod
    def from_sets(cls, sets: Iterable[Iterable[str]], *, sample_ids: Iterable[object] | None = None) -> Concepts:
        """Take for each sample the names of the concepts that it shows; concepts come in alphabetical order."""
        listed = list(sets)
        ptr, samples, names = binary.columns_of_sets(listed)
        return cls(ptr, samples, len(listed), names, sample_ids=sample_ids)

    @classmethod
    def from_classes(
        cls, classes: ArrayLike, names: Iterable[object] | None = None, *, sample_ids: Iterable[object] | None = None
    ) -> Concepts:
        """Take one class per sample: an index into ``names``, or a text.

        Without ``names``, the concepts are the classes that occur, in ascending order.

        Raises
        ------
        ConceptsError
            If a class is no whole number or text, or an index is outside of ``names``.
        """
        ptr, samples, listed = binary.columns_of_classes(np.asarray(classes), names)
        return cls(ptr, samples, len(np.asarray(classes)), listed, sample_ids=sample_ids)

    @classmethod
    def from_scores(
        cls,
        scores: ArrayLike,
        names: Iterable[object] | None = None,
        *,
        threshold: ArrayLike | None = None,
        quantile: ArrayLike | None = None,
        prevalence: ArrayLike | None = None,
        sample_ids: Iterable[object] | None = None,
    ) -> Concepts:
        """Make real scores, such as a tagger's probabilities or CLIP similarities, yes or no.

        Exactly one rule is given, one number for all concepts or one per concept, and is kept in ``origin``:

        - ``threshold=t``: yes where the score is at least t;
        - ``quantile=q``: yes where the score is above the q-quantile of its concept;
        - ``prevalence=p``: yes for the ``round(p·n_samples)`` highest scores of the concept; samples that tie across
          that line stay out, so a concept is never more frequent than asked.

        Parameters
        ----------
        scores : array of float, shape (n_samples, n_concepts), finite

        Raises
        ------
        ConceptsError
            If scores are missing or the shape does not fit.
        OptionError
            If not exactly one rule is given, or it is out of range.
        """
        matrix, origin = binary.binarize_scores(
            binary.as_matrix(scores), {"threshold": threshold, "quantile": quantile, "prevalence": prevalence}
        )
        return cls.from_array(matrix, names, sample_ids=sample_ids)._with(origin=origin)

    # What is inside

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

    def describe(self) -> str:
        """How many concepts there are, the most frequent, those that are equal, and how many rows differ."""
        from neuronym.data.groups import group

        per_sample = len(self.samples) / max(1, self.n_samples)
        head = f"{counted(self.n_samples, 'sample')} × {counted(self.n_concepts, 'concept')}, "
        head += f"{per_sample:.1f} concepts a sample"
        head += f", {group(self).n_groups:,} distinct rows" if self.n_samples else ""
        order = np.argsort(-self.counts, kind="stable")
        lines = [head, *(f"{self.counts[c]:8d}  {self.names[c]}" for c in order[:_FREQUENT].tolist())]
        rest = self.counts[order[_FREQUENT:]]
        if len(rest):
            lines.append(f"          and {counted(len(rest), 'other concept')} of {rest.min()} to {rest.max()} samples")
        equal = [f"equal: {name} = {', '.join(others)}" for name, others in self.merge_equal().aliases.items()]
        lines += equal[:_EQUAL]
        return "\n".join([*lines, *([f"       and {len(equal) - _EQUAL} more"] if len(equal) > _EQUAL else [])])

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
