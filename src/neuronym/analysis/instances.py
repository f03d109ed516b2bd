"""Concepts that mark regions: precision counts samples, recall counts instances.

A domain of a protein, a named entity or an object in a video is one *instance* of a concept that spans many samples
(residues, tokens, frames). A neuron that is active on a few samples of each instance has found them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.messages import no_such, some
from neuronym.data.concepts import Concepts
from neuronym.errors import ConceptsError, OptionError
from neuronym.search.scores import GRID
from neuronym.types import ActivationsLike, Align

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Instances", "domain_f1"]

Ints = NDArray[np.int64]

_BLOCK = 64  # neurons at a time


@dataclass(frozen=True)
class Instances:
    """Which instance of each concept a sample belongs to; made by ``of``.

    Parameters
    ----------
    names : tuple of str
        The concepts.
    ids : int64 array of shape (n_samples, n_concepts)
        The number of the instance, from 1, of each concept that a sample belongs to; 0 for none.
    sample_ids : tuple of str or None, default None
        The sample ids.
    """

    names: tuple[str, ...]
    ids: Ints
    sample_ids: tuple[str, ...] | None = None

    @classmethod
    def of(cls, given: Mapping[str, Sequence[Any]], sample_ids: Sequence[str] | None = None) -> Instances:
        """Make instances from an id per sample.

        Parameters
        ----------
        given : mapping of str to sequence
            For each concept, the id of the instance that each sample belongs to, such as ``"P53/1"`` or 7; None, NaN,
            0, False or an empty text for none. A sample belongs to at most one instance of a concept.
        sample_ids : sequence of str, optional
            The sample ids.

        Returns
        -------
        Instances
            The instances, numbered in order of appearance.

        Raises
        ------
        ConceptsError
            If concepts differ in their number of samples, one has no instance, or there is none.

        Examples
        --------
        >>> Instances.of({"kinase": ["a", "a", None, "b"]}).ids.ravel().tolist()
        [1, 1, 0, 2]
        """
        if not isinstance(given, Mapping) or not given:
            raise ConceptsError(
                "instances must be a mapping from concept to an instance id per sample, with one at least"
            )
        sizes = {name: len(values) for name, values in given.items()}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name!r}: {n}" for name, n in list(sizes.items())[:5])
            raise ConceptsError(
                f"instances of concepts differ in their number of samples ({listed}): give one id per sample"
            )
        columns = []
        for name, values in given.items():
            numbers: dict[Any, int] = {}
            column = [0 if _is_none(value) else numbers.setdefault(_plain(value), len(numbers) + 1) for value in values]
            if not numbers:
                raise ConceptsError(f"the concept {name!r} has no instance: leave it out")
            columns.append(column)
        shown = Concepts.from_array(np.array(columns).T > 0, list(given), sample_ids=sample_ids)  # checks names and ids
        return cls(shown.names, np.array(columns, np.int64).T, shown.sample_ids)

    def concepts(self) -> Concepts:
        """Return which concepts each sample shows, as for ``label``.

        Returns
        -------
        Concepts
            True where a sample belongs to an instance.
        """
        return Concepts.from_array(self.ids > 0, self.names, sample_ids=self.sample_ids)


def _is_none(value: Any) -> bool:
    if isinstance(value, str):
        return value == ""
    return value is None or value != value or value == 0


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def domain_f1(
    activations: ActivationsLike,
    instances: Instances,
    *,
    concepts: Sequence[str] | None = None,
    thresholds: Sequence[float] = GRID,
    top: int | None = 1,
    align: Align = False,
) -> pd.DataFrame:
    """Measure neurons as detectors of regions: F1 of the precision by sample and the recall by instance.

    Here the neuron predicts the concept: precision is the share of the samples above the threshold that show the
    concept; recall is the share of the concept's instances of which any sample is above it. The threshold is a share of
    the neuron's largest activation, and for each neuron and concept the one with the highest F1 is taken, as InterPLM
    does (Simon and Zou 2025).

    Parameters
    ----------
    activations : ActivationsLike
        The activations of one layer, as for ``label``.
    instances : Instances
        The instances, of the same samples.
    concepts : sequence of str, optional
        The concepts to measure; all by default.
    thresholds : sequence of float, default (0.0, 0.15, 0.5, 0.6, 0.8)
        Shares of the largest activation; a sample counts if its activation exceeds it.
    top : int or None, default 1
        How many concepts to return for each neuron, those with the highest F1; None for all.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.

    Returns
    -------
    DataFrame
        Rows of ``neuron``, ``concept``, ``f1``, ``precision``, ``recall``, ``threshold`` (an activation), ``samples``
        above it and ``instances`` of the concept; for each neuron the highest F1 first. F1 is 0 where nothing is found.

    Raises
    ------
    UnknownNameError
        If there is no such concept.
    OptionError
        If there are several layers, or an option is out of range.
    """
    import pandas as pd
    from scipy.sparse import csr_array

    wanted = list(instances.names) if concepts is None else list(concepts)
    unknown = [name for name in wanted if name not in instances.names]
    if unknown:
        raise no_such("concept", unknown[0], instances.names)
    shares = np.asarray(thresholds, float)
    if not shares.size or not ((shares >= 0) & (shares < 1)).all():
        raise OptionError(f"thresholds must be shares of the largest activation from 0 to 1, not {some(thresholds)}")
    if top is not None and (not isinstance(top, int) or top < 1):
        raise OptionError(f"top must be a whole number of at least 1, or None, not {top!r}")
    layers = inputs.align(activations, instances.concepts(), keep_common=align)
    if len(layers) > 1:
        raise OptionError(f"domain_f1 measures one layer, not {some(one.layer for one in layers)}: choose one")
    (one,) = layers
    # Rows of the concepts given are found again by their ids, since alignment may have left some out.
    places = _rows_of(instances, one.shown)
    own = instances.ids[places][:, [instances.names.index(name) for name in wanted]]
    n_samples, n_concepts = own.shape
    shows = csr_array((own > 0).T.astype(np.int32))
    numbers, first = [], 0
    of_instance = []
    for c in range(n_concepts):
        present, codes = np.unique(own[own[:, c] > 0, c], return_inverse=True)
        rows = np.flatnonzero(own[:, c] > 0)
        numbers.append((first + codes, rows))
        of_instance += [c] * len(present)
        first += len(present)
    members = csr_array(
        (np.ones(sum(len(rows) for _, rows in numbers), np.int32),
         (np.concatenate([codes for codes, _ in numbers]), np.concatenate([rows for _, rows in numbers]))),
        shape=(first, n_samples),
    )  # fmt: skip
    by_concept = csr_array(
        (np.ones(first, np.int32), (np.array(of_instance, int), np.arange(first))), shape=(n_concepts, first)
    )
    n_instances = np.bincount(np.array(of_instance, int), minlength=n_concepts)
    table = []
    for start in range(0, one.activations.n_neurons, _BLOCK):
        columns = np.arange(start, min(start + _BLOCK, one.activations.n_neurons))
        values = one.select_rows(one.activations.block(columns)).astype(np.float64)
        inputs.alignment.check_finite(values)
        best = np.zeros((5, n_concepts, len(columns)))  # f1, precision, recall, threshold, samples
        for share in shares.tolist():
            limits = share * values.max(axis=0)
            above = (values > limits).astype(np.int32)
            hits, called = shows @ above, above.sum(axis=0)
            found = by_concept @ ((members @ above) > 0).astype(np.int32)
            with np.errstate(divide="ignore", invalid="ignore"):
                precision = np.where(called > 0, hits / called, 0.0)
                recall = np.where(n_instances[:, np.newaxis] > 0, found / n_instances[:, np.newaxis], 0.0)
                f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
            better = f1 > best[0]
            new = np.stack(
                [f1, precision, recall, np.broadcast_to(limits, f1.shape), np.broadcast_to(called, f1.shape)]
            )
            best = np.where(better, new, best)
        for j, column in enumerate(columns.tolist()):
            order = np.argsort(-best[0, :, j], kind="stable")[: n_concepts if top is None else top]
            for c in order.tolist():
                f1_, precision_, recall_, limit, called_ = best[:, c, j].tolist()
                table.append((one.activations.names[column], wanted[c], f1_, precision_, recall_, limit, int(called_),
                              int(n_instances[c])))  # fmt: skip
    names = ["neuron", "concept", "f1", "precision", "recall", "threshold", "samples", "instances"]
    return pd.DataFrame(table, columns=names)


def _rows_of(instances: Instances, shown: Concepts) -> NDArray[np.intp]:
    """The rows of the instances that aligned concepts have."""
    if instances.sample_ids is None or shown.sample_ids is None:
        return np.arange(len(instances.ids))
    place = {name: row for row, name in enumerate(instances.sample_ids)}
    return np.array([place[name] for name in shown.sample_ids], np.intp)
