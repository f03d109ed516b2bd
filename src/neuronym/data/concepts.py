"""Concepts: which samples show what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.data import binary as _yesno
from neuronym.data.binary import Ints, Unknown
from neuronym.data.concept_matrix import ConceptMatrix
from neuronym.data.ids import split_ids
from neuronym.errors import ConceptsError, counted

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["Concepts"]


class Concepts(ConceptMatrix):
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
        array = matrix if sparse else _yesno.as_matrix(matrix)
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
            read = _yesno.columns_of_sparse(array, listed, unknown)
        else:
            read = _yesno.columns_of_dense(_yesno.columns_of(array), n_samples, listed, unknown)
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
            _yesno.columns_of(body.to_numpy()) if alike else (body.iloc[:, c].to_numpy() for c in range(body.shape[1]))
        )
        read = _yesno.columns_of_dense(columns, len(body), list(body.columns), unknown)
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
        ptr, yes, names, listed = _yesno.columns_of_long(samples, concepts, sample_ids)
        return cls(ptr, yes, len(listed), names, sample_ids=listed)

    @classmethod
    def from_sets(cls, sets: Iterable[Iterable[str]], *, sample_ids: Iterable[object] | None = None) -> Concepts:
        """Take for each sample the names of the concepts that it shows; concepts come in alphabetical order."""
        listed = list(sets)
        ptr, samples, names = _yesno.columns_of_sets(listed)
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
        ptr, samples, listed = _yesno.columns_of_classes(np.asarray(classes), names)
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
        matrix, origin = _yesno.yes_of_scores(
            _yesno.as_matrix(scores), {"threshold": threshold, "quantile": quantile, "prevalence": prevalence}
        )
        return cls.from_array(matrix, names, sample_ids=sample_ids)._with(origin=origin)

    # What is inside
