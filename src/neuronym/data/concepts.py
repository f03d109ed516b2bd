"""Concepts: which concepts are true of each sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.characters import refuse_halves, visible
from neuronym._util.messages import counted, no_such, some
from neuronym.data import binary, yes_no
from neuronym.data.binary import Ints, stacked
from neuronym.data.hierarchy import Hierarchy, check_known
from neuronym.data.ids import (
    as_ids,
    is_missing,
    long_columns,
    match_ids,
    own_or_given,
    places,
    refuse_repeats,
    split_ids,
)
from neuronym.data.labelled import as_frame, is_sparse, labels_of, listed, named, to_sparse
from neuronym.errors import ConceptsError, OptionError
from neuronym.types import Negative, Unknown

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_array

__all__ = ["Concepts"]

_FREQUENT, _EQUAL = 10, 5  # the numbers of concepts that a description lists
_NOTHING_ABOVE = (
    "nothing is added above them, so general concepts are wrong for their samples: give a larger hierarchy, such as a "
    "folder of WordNet's files (--wordnet-files) or a table child,parent, or leave these concepts out"
)


class Concepts:
    """A sparse yes/no matrix, samples × concepts, with names.

    Make one with ``from_array``, ``from_frame``, ``from_long``, ``from_sets``, ``from_classes`` or ``from_scores``.
    A ``Concepts`` is immutable; methods return new ones.

    Parameters
    ----------
    ptr, samples : int64 arrays of shapes (n_concepts + 1,) and (n_yes,)
        As in a compressed sparse column matrix: concept c is true of ``samples[ptr[c]:ptr[c + 1]]``, in ascending
        order.
    n_samples : int
        The number of samples.
    names : iterable
        One distinct name per concept, converted to text.
    sample_ids : iterable or None, default None
        One distinct id per sample, converted to text. Without ids, samples are matched with activations by position.
    descriptions : mapping from str to str or None, default None
        Descriptions of concepts, by name.
    aliases : mapping from str to sequence of str or None, default None
        Other names of the same concept, by name.
    origin : mapping from str to object or None, default None
        A plain record of how the concepts were made, kept with them.

    Raises
    ------
    ConceptsError
        If names or ids are missing, repeated or too few, or contain half of a character (of a surrogate pair).

    Examples
    --------
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
        listed_names = tuple(named(names, len(ptr) - 1, "concepts", ConceptsError) or ())
        unnamed = [c for c, name in enumerate(listed_names) if is_missing(name)]
        if unnamed:
            raise ConceptsError(f"concept {unnamed[0]} has an empty name: give it a name")
        self.names: tuple[str, ...] = tuple(str(name) for name in listed_names)
        self.n_samples = int(n_samples)
        self.sample_ids = as_ids(sample_ids, self.n_samples, "concepts", ConceptsError)
        known = set(self.names)
        self.descriptions = {k: v for k, v in (descriptions or {}).items() if k in known}
        self.aliases = {k: tuple(v) for k, v in (aliases or {}).items() if v and k in known}
        self.origin = dict(origin or {})
        refuse_halves(self.names, "name of a concept", ConceptsError)
        refuse_halves((a for v in self.aliases.values() for a in v), "alias of a concept", ConceptsError)
        refuse_halves(map(str, self.descriptions.values()), "description of a concept", ConceptsError)
        self.ptr, self.samples = np.asarray(ptr, np.int64), np.asarray(samples, np.int64)
        if len(self.names) != len(self.ptr) - 1:
            raise ConceptsError(
                f"{counted(len(self.names), 'name')} for {counted(len(self.ptr) - 1, 'concept')}: "
                "give one name per concept"
            )
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
        blank: Unknown | None = None,
        negative: Negative | None = None,
    ) -> Concepts:
        """Convert an array of True/False or 1/0.

        Parameters
        ----------
        matrix : array, tensor, sparse matrix or table of shape (n_samples, n_concepts)
            The values; a masked one is unknown. The index and columns of a table become ids and names, as in
            ``from_frame``.
        names : iterable, mapping or None, default None
            One distinct name per concept; a mapping is looked up by column number. None means those of a table, else
            ``c0, c1, …``.
        sample_ids : iterable or None, default None
            One distinct id per sample.
        descriptions : mapping from str to str or None, default None
            Descriptions of concepts, by name.
        unknown : {"error", "no", "drop"}, default "error"
            How to treat a value that is neither yes nor no: raise, count it as no, or drop its sample, which needs
            ``sample_ids``.
        blank : {"error", "no", "drop"} or None, default None
            How to treat a missing value; None means as ``unknown``.
        negative : {"error", "no", "yes", "drop"} or None, default None
            How to treat −1. None means as ``unknown``; but if there are only −1 and 1, −1 is no, with a warning.

        Returns
        -------
        Concepts
            The concepts, in the order of the columns.

        Raises
        ------
        ConceptsError
            If the shape, the names, the ids or the values cannot be used.
        """
        reading = yes_no.Reading(unknown, blank, negative)
        frame = as_frame(matrix, "concepts", ConceptsError)
        if frame is not None:
            return cls._of_frame(frame, reading, None, names=names, sample_ids=sample_ids, descriptions=descriptions)
        sparse = is_sparse(matrix)
        array = to_sparse(matrix) if sparse else binary.as_matrix(matrix)
        if array.ndim != 2:
            raise ConceptsError(
                f"concepts must have two axes, samples × concepts, but have shape {array.shape}: "
                "for one class per sample use Concepts.from_classes"
            )
        n_samples, n_concepts = array.shape
        called = named(names, n_concepts, "concepts", ConceptsError) or [f"c{c}" for c in range(n_concepts)]
        if len(called) != n_concepts:
            raise ConceptsError(
                f"{counted(len(called), 'name')} for {counted(n_concepts, 'concept')}: give one name per concept"
            )
        if sparse:
            read = yes_no.columns_of_sparse(array, called, reading)
        else:
            columns = binary.columns_of(array)
            read = yes_no.columns_of_dense(columns, n_samples, called, reading, identified=sample_ids is not None)
        return cls._read(*read, called, sample_ids, descriptions)

    @classmethod
    def _read(
        cls, ptr: Ints, samples: Ints, keep: NDArray[np.bool_], names: Iterable[object], ids: Any, descriptions: Any
    ) -> Concepts:
        """Concepts without the samples that ``keep`` excludes."""
        whole = cls(ptr, samples, len(keep), names, sample_ids=ids, descriptions=descriptions)
        if keep.all():
            return whole
        if whole.sample_ids is None:
            raise ConceptsError(
                f"unknown='drop' leaves {int(keep.sum())} of {len(keep)} samples, and without sample_ids they cannot "
                "be matched with activations: give sample_ids, or drop these rows from both yourself"
            )
        return whole.take(np.flatnonzero(keep))

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        id_column: str | None = None,
        unknown: Unknown = "error",
        blank: Unknown | None = None,
        negative: Negative | None = None,
    ) -> Concepts:
        """Convert a table, multi-hot or long.

        Parameters
        ----------
        frame : DataFrame
            Of pandas, polars, Arrow or xarray: either one column per concept (multi-hot), or exactly the columns
            ``sample`` and ``concept`` (long, as for ``from_long``). Two columns called like these, such as ``image_id``
            and ``label``, with several rows of a sample are long too, with a warning.
        id_column : str or None, default None
            The column of sample ids. None means a first column ``sample``; else, with a warning, a column of ids that
            are all different, such as ``image_id`` or texts in the first column; else the index, unless it is just
            0, 1, 2, ….
        unknown : {"error", "no", "drop"}, default "error"
            How to treat a value that is neither yes nor no: raise, count it as no, or drop its sample.
        blank : {"error", "no", "drop"} or None, default None
            How to treat a missing value; None means as ``unknown``.
        negative : {"error", "no", "yes", "drop"} or None, default None
            How to treat −1. None means as ``unknown``; but if there are only −1 and 1, −1 is no, with a warning.

        Returns
        -------
        Concepts
            The concepts, in the order of the columns.

        Raises
        ------
        ConceptsError
            If the names, the ids or the values cannot be used.
        """
        found = as_frame(frame, "concepts", ConceptsError)
        if found is None:
            raise ConceptsError(f"concepts must be a DataFrame, not {type(frame).__name__}")
        return cls._of_frame(found, yes_no.Reading(unknown, blank, negative), id_column)

    @classmethod
    def _of_frame(
        cls,
        frame: pd.DataFrame,
        reading: yes_no.Reading,
        id_column: str | None,
        *,
        names: Any = None,
        sample_ids: Any = None,
        descriptions: Mapping[str, str] | None = None,
    ) -> Concepts:
        """The concepts of a table; names and ids that are given must not contradict its own."""
        long = long_columns(list(frame.columns), lambda c: frame.iloc[:, c].tolist()) if names is None else None
        if long is not None:
            return cls.from_long(frame.iloc[:, long[0]], frame.iloc[:, long[1]], sample_ids=sample_ids)
        body, own_ids = split_ids(frame, "concepts", ConceptsError, id_column)
        ids = own_or_given(sample_ids, own_ids, "concepts", ConceptsError)
        only: list[Any] = body.iloc[:, 0].tolist() if body.shape[1] == 1 else []
        if only and isinstance(only[0], list | set | frozenset | np.ndarray):
            return cls.from_sets(only, sample_ids=ids)
        own_names = labels_of(body.columns)
        called = named(names, body.shape[1], "concepts", ConceptsError, own=own_names)
        called = [f"c{c}" for c in range(body.shape[1])] if called is None else called
        dtypes = set(body.dtypes)
        alike = len(dtypes) == 1 and isinstance(dtypes.pop(), np.dtype)
        columns = (
            binary.columns_of(body.to_numpy()) if alike else (body.iloc[:, c].to_numpy() for c in range(body.shape[1]))
        )
        read = yes_no.columns_of_dense(columns, len(body), called, reading, identified=ids is not None)
        return cls._read(*read, called, ids, descriptions)

    @classmethod
    def from_long(
        cls, samples: Iterable[object], concepts: Iterable[object], *, sample_ids: Iterable[object] | None = None
    ) -> Concepts:
        """Convert a long table: pairs of a sample id and the name of a concept that is true of it.

        Parameters
        ----------
        samples : iterable
            The sample id of each row, converted to text.
        concepts : iterable
            The name of the concept in each row. An empty or missing one only records that the sample exists; a
            repeated pair counts once.
        sample_ids : iterable or None, default None
            The ids of all samples, including those without any concept; None means those in the table, in order of
            first appearance.

        Returns
        -------
        Concepts
            The concepts, in order of first appearance.

        Raises
        ------
        ConceptsError
            If a sample is missing, or is not in ``sample_ids``.
        """
        ptr, yes, names, listed = binary.columns_of_long(samples, concepts, sample_ids)
        return cls(ptr, yes, len(listed), names, sample_ids=listed)

    @classmethod
    def from_sets(cls, sets: Iterable[Iterable[str]], *, sample_ids: Iterable[object] | None = None) -> Concepts:
        """Convert one set of names per sample: the concepts that are true of it.

        Parameters
        ----------
        sets : iterable of iterable of str, or mapping
            The names of each sample's concepts; the keys of a mapping, or the index of a Series, are the sample ids.
        sample_ids : iterable or None, default None
            One distinct id per sample.

        Returns
        -------
        Concepts
            The concepts, in alphabetical order.

        Raises
        ------
        ConceptsError
            If a sample has a single text or something else instead of a set, or the ids do not fit.
        """
        values, own_ids = listed(sets, "sets", ConceptsError)
        ptr, samples, names = binary.columns_of_sets(values)
        ids = own_or_given(sample_ids, own_ids, "concepts", ConceptsError)
        return cls(ptr, samples, len(values), names, sample_ids=ids)

    @classmethod
    def from_classes(
        cls,
        classes: ArrayLike | Mapping[Any, Any],
        names: Iterable[object] | Mapping[Any, Any] | None = None,
        *,
        sample_ids: Iterable[object] | None = None,
    ) -> Concepts:
        """Convert one class per sample.

        Parameters
        ----------
        classes : int or str array of shape (n_samples,), or mapping
            The class of each sample: an index into ``names``, or a name. The keys of a mapping, or the index of a
            Series, are the sample ids.
        names : iterable, mapping or None, default None
            The names of all classes in order, or by class, as in ``id2label``; None means the classes that occur, in
            ascending order.
        sample_ids : iterable or None, default None
            One distinct id per sample.

        Returns
        -------
        Concepts
            One concept per class.

        Raises
        ------
        ConceptsError
            If a class is neither an integer nor text, or is not among ``names``.
        """
        own_ids: list[object] | None = None
        frame = as_frame(classes, "classes", ConceptsError)
        if frame is not None:
            body, own_ids = split_ids(frame, "classes", ConceptsError)
            if body.shape[1] != 1:
                raise ConceptsError(f"classes must be one column, not {body.shape[1]} ({some(body.columns)})")
            array = body.iloc[:, 0].to_numpy()
        elif isinstance(classes, Mapping):
            own_ids, array = list(classes), binary.as_matrix(list(classes.values()), "classes")
        else:
            array = binary.as_matrix(classes, "classes")
        ptr, samples, called = binary.columns_of_classes(array, names)
        ids = own_or_given(sample_ids, own_ids, "concepts", ConceptsError)
        return cls(ptr, samples, len(array), called, sample_ids=ids)

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
        """Binarize real scores, such as a tagger's probabilities or CLIP similarities.

        Exactly one of ``threshold``, ``quantile`` and ``prevalence`` is required; it is recorded in ``origin``.

        Parameters
        ----------
        scores : float array, tensor, sparse matrix or table of shape (n_samples, n_concepts)
            Finite scores. The index and columns of a table become ids and names, as in ``from_frame``.
        names : iterable, mapping or None, default None
            One distinct name per concept; a mapping is looked up by column number. None means those of a table, else
            ``c0, c1, …``.
        threshold : float or float array of shape (n_concepts,) or None, default None
            Yes if the score is at least this.
        quantile : float or float array of shape (n_concepts,) or None, default None
            Yes if the score is above this quantile of its concept's scores.
        prevalence : float or float array of shape (n_concepts,) or None, default None
            Yes for the ``round(prevalence * n_samples)`` highest scores of the concept. Samples tied across that
            boundary are left out, so a concept is never more frequent than requested.
        sample_ids : iterable or None, default None
            One distinct id per sample.

        Returns
        -------
        Concepts
            The concepts, in the order of the columns.

        Raises
        ------
        ConceptsError
            If scores are not finite, or the shape does not fit.
        OptionError
            If there is not exactly one rule, or it is out of range.
        """
        frame = as_frame(scores, "scores", ConceptsError)
        if frame is not None:
            body, own_ids = split_ids(frame, "scores", ConceptsError)
            sample_ids = own_or_given(sample_ids, own_ids, "concepts", ConceptsError)
            names = named(names, body.shape[1], "concepts", ConceptsError, own=labels_of(body.columns))
            wrong = [column for column, dtype in body.dtypes.items() if getattr(dtype, "kind", "O") not in "biuf"]
            if wrong:
                raise ConceptsError(
                    f"scores must be numbers, but {counted(len(wrong), 'column')} hold others ({some(wrong)})"
                )
            plain = all(isinstance(dtype, np.dtype) for dtype in body.dtypes)
            scores = body.to_numpy() if plain else body.to_numpy(np.float64, na_value=np.nan)
        matrix, origin = binary.binarize_scores(
            binary.as_matrix(scores, "scores"), {"threshold": threshold, "quantile": quantile, "prevalence": prevalence}
        )
        return cls.from_array(matrix, names, sample_ids=sample_ids)._with(origin=origin)

    # Access

    @property
    def n_concepts(self) -> int:
        """The number of concepts."""
        return len(self.names)

    @property
    def counts(self) -> Ints:
        """The number of samples of which each concept is true, int64 of shape (n_concepts,)."""
        return np.diff(self.ptr)

    def index(self, name: str) -> int:
        """Find the index of a concept by its name or an alias.

        Parameters
        ----------
        name : str
            The name or alias.

        Returns
        -------
        int
            The index of the concept in ``names``.

        Raises
        ------
        UnknownNameError
            If there is no such concept.
        """
        if name not in self._place:
            raise no_such("concept", name, self.names)
        return self._place[name]

    def column(self, c: int) -> Ints:
        """List the samples of which a concept is true.

        Parameters
        ----------
        c : int
            The index of the concept.

        Returns
        -------
        int64 array of shape (n_yes,)
            The indices of the samples, in ascending order.
        """
        return self.samples[self.ptr[c] : self.ptr[c + 1]]

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        """Whether the concept is true of each sample: bool array of shape (n_samples,)."""
        shown = np.zeros(self.n_samples, np.bool_)
        shown[self.column(self.index(name))] = True
        return shown

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def __repr__(self) -> str:
        first = zip(self.names[:5], self.counts[:5].tolist(), strict=True)
        listed = [f"{visible(name)} {count}" for name, count in first]
        more = ", …" if self.n_concepts > 5 else ""
        return (
            f"{type(self).__name__}({self.n_samples} samples × {self.n_concepts} concepts: {', '.join(listed)}{more})"
        )

    def to_sparse(self) -> csc_array:
        """Convert to a sparse matrix.

        Returns
        -------
        scipy.sparse.csc_array of bool, of shape (n_samples, n_concepts)
            The matrix.
        """
        from scipy.sparse import csc_array

        yes = np.ones(len(self.samples), np.bool_)
        return csc_array((yes, self.samples, self.ptr), shape=(self.n_samples, self.n_concepts))

    def to_dense(self) -> NDArray[np.bool_]:
        """Convert to a dense array.

        Returns
        -------
        bool array of shape (n_samples, n_concepts)
            The matrix.
        """
        return np.asarray(self.to_sparse().toarray())

    def to_frame(self) -> pd.DataFrame:
        """Convert to a DataFrame.

        Returns
        -------
        DataFrame of bool, of shape (n_samples, n_concepts)
            One column per concept, with the sample ids as index.
        """
        import pandas as pd

        index = None if self.sample_ids is None else pd.Index(self.sample_ids, name="sample")
        return pd.DataFrame(self.to_dense(), index=index, columns=list(self.names))

    def _with(self, **changes: Any) -> Self:
        """A copy with some arguments changed."""
        kept = ("ptr", "samples", "n_samples", "names", "sample_ids", "descriptions", "aliases", "origin")
        return type(self)(**{**{name: getattr(self, name) for name in kept}, **changes})

    def _only(self, places: Sequence[int]) -> Self:
        """The concepts with these indices."""
        columns = [self.column(c) for c in places]
        names = [self.names[c] for c in places]
        aliases = {name: self.aliases[name] for name in names if name in self.aliases}
        return self._with(**stacked(columns), names=names, aliases=aliases)

    def with_ids(self, sample_ids: Iterable[object]) -> Self:
        """Copy with other sample ids.

        Parameters
        ----------
        sample_ids : iterable
            One distinct id per sample.

        Returns
        -------
        Concepts
            The same concepts with these ids.
        """
        return self._with(sample_ids=sample_ids)

    def rename(self, names: Mapping[str, str]) -> Self:
        """Rename concepts; the old name becomes the description of a concept that has none.

        Parameters
        ----------
        names : mapping from str to str
            The new name of each concept to rename; the others keep theirs.

        Returns
        -------
        Concepts
            The renamed concepts.

        Raises
        ------
        UnknownNameError
            If there is no concept of a name.
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
        """Add a concept.

        Parameters
        ----------
        name : str
            A new name.
        samples : iterable
            The ids of the samples of which it is true, their indices if samples have no ids, or a boolean mask.

        Returns
        -------
        Concepts
            The concepts with the new one last.

        Raises
        ------
        UnknownNameError
            If there is no sample of an id.
        """
        given = sorted(samples, key=str) if isinstance(samples, set | frozenset) else samples
        chosen, _ = listed(given, "samples", ConceptsError)
        mask = bool(chosen) and all(isinstance(value, bool | np.bool_) for value in chosen)
        if mask or self.sample_ids is None:
            rows = places(given if mask else chosen, self.n_samples, self.sample_ids)
        else:
            place = {sample: row for row, sample in enumerate(self.sample_ids)}
            lost = [str(i) for i in chosen if str(i) not in place]
            if lost:
                raise no_such("sample", lost[0], self.sample_ids)
            rows = np.array([place[str(i)] for i in chosen], np.intp)
        columns = [*(self.column(c) for c in range(self.n_concepts)), np.unique(rows)]
        return self._with(**stacked(columns), names=[*self.names, name])

    def select(self, names: Iterable[str]) -> Self:
        """Select concepts by name.

        Parameters
        ----------
        names : iterable of str
            Names or aliases.

        Returns
        -------
        Concepts
            The concepts in the order of ``names``.

        Raises
        ------
        UnknownNameError
            If there is no concept of a name.
        """
        return self._only([self.index(name) for name in names])

    def take(self, rows: ArrayLike) -> Self:
        """Select samples.

        Parameters
        ----------
        rows : int or bool array of shape (n_taken,) or (n_samples,)
            The indices of samples, or a mask.

        Returns
        -------
        Concepts
            The samples in the order of ``rows``.

        Raises
        ------
        OptionError
            If an index is out of range, or a mask has another shape.
        """
        chosen = places(rows, self.n_samples, self.sample_ids)
        ids = None if self.sample_ids is None else [self.sample_ids[row] for row in chosen]
        kept = self.to_sparse()[chosen]
        kept.sort_indices()
        return self._with(ptr=kept.indptr, samples=kept.indices, n_samples=len(chosen), sample_ids=ids)

    def to_tokens(self, sample_ids: Iterable[object], parents: Iterable[object]) -> Self:
        """Copy the concepts of texts to their tokens.

        Parameters
        ----------
        sample_ids : iterable
            The ids of the tokens.
        parents : iterable
            For each token the id of its text, or the text's index if texts have no ids.

        Returns
        -------
        Concepts
            The concepts with tokens as samples.

        Raises
        ------
        UnknownNameError
            If there is no text of an id.

        Examples
        --------
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
        """Describe the concepts: how many there are, the most frequent, equal ones, and the number of distinct rows.

        Returns
        -------
        str
            A description of several lines.
        """
        from neuronym.data.groups import group

        per_sample = len(self.samples) / max(1, self.n_samples)
        head = f"{counted(self.n_samples, 'sample')} × {counted(self.n_concepts, 'concept')}, "
        head += f"{per_sample:.1f} concepts a sample"
        head += f", {group(self).n_groups:,} distinct rows" if self.n_samples else ""
        order = np.argsort(-self.counts, kind="stable")
        lines = [head, *(f"{self.counts[c]:8d}  {visible(self.names[c])}" for c in order[:_FREQUENT].tolist())]
        rest = self.counts[order[_FREQUENT:]]
        if len(rest):
            lines.append(f"          and {counted(len(rest), 'other concept')} of {rest.min()} to {rest.max()} samples")
        equal = [visible(f"equal: {name} = {', '.join(others)}") for name, others in self.merge_equal().aliases.items()]
        lines += equal[:_EQUAL]
        return "\n".join([*lines, *([f"       and {len(equal) - _EQUAL} more"] if len(equal) > _EQUAL else [])])

    def prune(self, min_count: int = 1, max_count: int | None = None) -> Self:
        """Drop concepts that are too rare or too frequent.

        Parameters
        ----------
        min_count : int, default 1
            The smallest number of samples of which a concept must be true.
        max_count : int or None, default None
            The largest number of samples; None means no limit.

        Returns
        -------
        Concepts
            The remaining concepts, in order.

        Raises
        ------
        OptionError
            If ``min_count`` exceeds ``max_count``.
        """
        highest = self.n_samples if max_count is None else max_count
        if min_count > highest:
            raise OptionError(f"min_count={min_count} must not exceed max_count={highest}")
        counts = self.counts
        return self._only(np.flatnonzero((counts >= min_count) & (counts <= highest)).tolist())

    @classmethod
    def concatenate(cls, parts: Sequence[Self], axis: Literal["concepts", "samples"] = "concepts") -> Self:
        """Combine concepts of the same samples, or samples with the same concepts.

        Parameters
        ----------
        parts : sequence of Concepts
            At least one part. Samples are matched by id if they have ids.
        axis : {"concepts", "samples"}, default "concepts"
            Whether the parts have the same samples and other concepts, or the same concepts and other samples.

        Returns
        -------
        Concepts
            Concepts or samples in the order of the parts.

        Raises
        ------
        ConceptsError
            If concepts differ along the samples, numbers of samples differ along the concepts, or only some parts
            have sample ids.
        AlignmentError
            If sample ids differ along the concepts.
        """
        if axis not in ("concepts", "samples"):
            raise OptionError(f"axis must be 'concepts' or 'samples', not {axis!r}")
        if not parts:
            raise ConceptsError("there is nothing to concatenate: give at least one Concepts")
        first = parts[0]
        if len({p.sample_ids is None for p in parts}) > 1:
            raise ConceptsError("only some parts have sample ids: give ids to all parts or to none")
        if axis == "samples":
            differ = [p for p in parts if set(p.names) != set(first.names)]
            if differ:
                raise ConceptsError(
                    f"the parts have different concepts ({some(differ[0].names)} and {some(first.names)}): "
                    "samples can be combined only if all parts have the same ones"
                )
            starts = np.cumsum([0, *(p.n_samples for p in parts)]).tolist()
            columns = [
                np.concatenate([p.column(p.index(name)) + start for p, start in zip(parts, starts, strict=False)])
                for name in first.names
            ]
            ids = None if first.sample_ids is None else [i for p in parts for i in p.sample_ids or ()]
            return first._with(**stacked(columns), n_samples=starts[-1], sample_ids=ids)
        matched = [first]
        for p in parts[1:]:
            if p.n_samples != first.n_samples:
                raise ConceptsError(
                    f"the parts have {first.n_samples} and {p.n_samples} samples: all must have the same number"
                )
            rows = match_ids(first.sample_ids or (), p.sample_ids or (), "the first part", "another part", align=None)
            matched.append(p if rows is None else p.take(rows[1]))
        merged: dict[str, dict[str, Any]] = {
            key: {k: v for p in parts for k, v in getattr(p, key).items()}
            for key in ("descriptions", "aliases", "origin")
        }
        columns = [p.column(c) for p in matched for c in range(p.n_concepts)]
        return first._with(**stacked(columns), names=[name for p in parts for name in p.names], **merged)

    def merge_equal(self) -> Self:
        """Merge concepts that are true of exactly the same samples.

        Returns
        -------
        Concepts
            One concept for each set of equal ones: the first gives the name, the others become its aliases.

        Examples
        --------
        >>> from neuronym import Concepts
        >>> Concepts.from_sets([{"cat", "feline"}, {"dog"}]).merge_equal().aliases
        {'cat': ('feline',)}
        """
        same: dict[bytes, list[int]] = {}
        for c in range(self.n_concepts):
            same.setdefault(self.column(c).tobytes(), []).append(c)
        aliases = {}
        for first, *others in same.values():
            all_aliases = list(self.aliases.get(self.names[first], ()))
            for c in others:
                all_aliases += [self.names[c], *self.aliases.get(self.names[c], ())]
            aliases[self.names[first]] = all_aliases
        return self._only([first for first, *_ in same.values()])._with(aliases=aliases)

    def expand(self, hierarchy: Hierarchy, min_concepts: int = 1) -> Self:
        """Add ancestors from a hierarchy: each is true of the samples of which any concept below it is true.

        Parameters
        ----------
        hierarchy : Hierarchy
            The ancestors of concepts, found by name or alias.
        min_concepts : int, default 1
            Add only ancestors of at least this many of the concepts.

        Returns
        -------
        Concepts
            The concepts, then their ancestors in alphabetical order. An ancestor that is a concept already gains the
            samples of those below it. A warning names the concepts that the hierarchy lacks.

        Raises
        ------
        OptionError
            If the hierarchy contains none of the concepts.
        """
        spellings = {name: (name, *self.aliases.get(name, ())) for name in self.names}
        check_known(hierarchy, spellings, _NOTHING_ABOVE)
        below: dict[str, list[int]] = {}
        for c, spelt in enumerate(spellings.values()):
            above = {a for alias in spelt for a in hierarchy.ancestors(alias)}
            for ancestor in above:
                below.setdefault(ancestor, []).append(c)
        columns = [self.column(c) for c in range(self.n_concepts)]
        names = list(self.names)
        for ancestor in sorted(below):
            union = np.unique(np.concatenate([self.column(c) for c in below[ancestor]]))
            if ancestor in self._place:
                known = self.index(ancestor)
                columns[known] = np.union1d(columns[known], union)
            elif len(below[ancestor]) >= min_concepts:
                columns.append(union)
                names.append(ancestor)
        return self._with(**stacked(columns), names=names)
