"""Concepts that mark regions: precision counts samples, recall counts instances.

A domain of a protein, a named entity or an object in a video is one *instance* of a concept that spans many samples
(residues, tokens, frames). A neuron that is active on a few samples of each instance has found them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.files import kind_of, writing
from neuronym._util.messages import no_such, some
from neuronym.data.concepts import Concepts
from neuronym.data.ids import SAMPLE, is_missing, own_or_given, refuse_repeats
from neuronym.data.labelled import as_frame, listed
from neuronym.data.sparse import in_parts
from neuronym.errors import ConceptsError, OptionError
from neuronym.io.tables import read_table, write_csv
from neuronym.search.scores import GRID
from neuronym.stats.regions import RegionF1, Regions
from neuronym.types import ActivationsLike, Align, PathLike

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
    def of(
        cls, given: Mapping[str, Iterable[Any]] | pd.DataFrame, sample_ids: Iterable[object] | None = None
    ) -> Instances:
        """Make instances from an id per sample.

        Parameters
        ----------
        given : mapping of str to iterable, or DataFrame
            For each concept, the id of the instance that each sample belongs to, such as ``"P53/1"`` or 7; None, NaN,
            0 or an empty text for none. A sample belongs to at most one instance of a concept. The index of a table or
            Series, or a first column ``sample``, is the sample ids.
        sample_ids : iterable of object, optional
            The sample ids.

        Returns
        -------
        Instances
            The instances, numbered in order of appearance.

        Raises
        ------
        ConceptsError
            If concepts differ in their samples, one has no instance, an id is none, instances overlap, or there is no
            concept.

        Examples
        --------
        >>> Instances.of({"kinase": ["a", "a", None, "b"]}).ids.ravel().tolist()
        [1, 1, 0, 2]
        """
        named, own = _columns(given)
        columns = [_numbered(name, values) for name, values in named.items()]
        ids = np.array(columns, np.int64).T
        given_or_own = own_or_given(sample_ids, own, "instances", ConceptsError)
        shown = Concepts.from_array(ids > 0, list(named), sample_ids=given_or_own)  # checks names and ids
        return cls(shown.names, ids, shown.sample_ids)

    @classmethod
    def open(cls, path: PathLike) -> Instances:
        """Read instances from a table with a column for each concept, as ``save`` writes it.

        Parameters
        ----------
        path : str or Path
            A text table or ``.parquet``; a first column ``sample`` has the sample ids, and the cells are as for ``of``.

        Returns
        -------
        Instances
            The instances.

        Raises
        ------
        FileError
            If it cannot be read.
        ConceptsError
            If the contents cannot be used.
        """
        return cls.of(read_table(path, "instances").to_pandas())

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Save the instances, one row per sample with a number for each concept, empty for none.

        Files of concepts have no place for instances; save both.

        Parameters
        ----------
        path : str or Path
            A file that ends in ``.csv`` or ``.parquet``.
        overwrite : bool, default False
            Whether to replace a file.

        Raises
        ------
        FileError
            If the file exists and ``overwrite`` is False, or cannot be written.
        ConceptsError
            If the first concept is called ``sample``, but samples have no ids.
        """
        import pandas as pd

        kind = kind_of(path, (".csv", ".parquet"), "instances")
        if self.sample_ids is None and self.names[0] == SAMPLE:
            raise ConceptsError(f"the concept {SAMPLE!r} would be read as sample ids: give sample ids, or rename it")
        table = pd.DataFrame(self.ids, columns=list(self.names)).astype("Int64").replace(0, pd.NA)
        if self.sample_ids is not None:
            table.insert(0, SAMPLE, list(self.sample_ids))
        with writing(path, overwrite) as temporary:
            if kind == ".parquet":
                table.to_parquet(temporary, index=False)
            else:
                write_csv(table, temporary)

    def concepts(self) -> Concepts:
        """Return which concepts each sample shows, as for ``label``.

        Returns
        -------
        Concepts
            True where a sample belongs to an instance.
        """
        return Concepts.from_array(self.ids > 0, self.names, sample_ids=self.sample_ids)


def _columns(given: Any) -> tuple[dict[str, list[object]], list[object] | None]:
    """The ids of each concept, and the sample ids that they carry."""
    frame = None if isinstance(given, Mapping) else as_frame(given, "instances", ConceptsError)
    if frame is not None:
        refuse_repeats(list(frame.columns), "concept", "instances", ConceptsError)
        if len(frame.columns) and frame.columns[0] == SAMPLE:
            frame = frame.set_index(SAMPLE)
        given = {str(name): column for name, column in frame.items()}
    if not isinstance(given, Mapping) or not given:
        raise ConceptsError(
            "instances must be a mapping or table from concept to an instance id per sample, with one at least"
        )
    read = {name: listed(column, f"instances of {name!r}", ConceptsError) for name, column in given.items()}
    sizes = {name: len(values) for name, (values, _) in read.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name!r}: {n}" for name, n in list(sizes.items())[:5])
        raise ConceptsError(f"instances of concepts differ in their number of samples ({told}): give one id per sample")
    carried = [labels for _, labels in read.values()]
    if any(labels != carried[0] for labels in carried):
        raise ConceptsError(
            "instances of concepts differ in their index: bring all into one table, with the same samples in one order"
        )
    return {name: values for name, (values, _) in read.items()}, carried[0]


def _numbered(name: str, values: list[object]) -> list[int]:
    """The instances of a concept by their number from 1, in order of appearance; 0 for none."""
    numbers: dict[object, int] = {}
    found = []
    for row, one in enumerate(values):
        value = one.item() if isinstance(one, np.generic) else one
        if isinstance(value, list | tuple | set | frozenset | dict | np.ndarray):
            raise ConceptsError(
                f"sample {row} has {value!r} as its instance of {name!r}, but a sample belongs to one at most: where "
                "instances overlap, keep one, or make a concept of each kind"
            )
        absent = is_missing(value) or value in (0, "0")
        if value is True or (not absent and isinstance(value, int | float) and (value < 0 or value % 1)):
            raise ConceptsError(
                f"an instance of {name!r} must be a text or a whole number from 1, or 0 for none, not {value!r}"
            )
        found.append(0 if absent else numbers.setdefault(value, len(numbers) + 1))
    if not numbers:
        raise ConceptsError(f"the concept {name!r} has no instance: leave it out")
    return found


def domain_f1(
    activations: ActivationsLike,
    instances: Instances | Mapping[str, Iterable[Any]] | pd.DataFrame,
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
    instances : Instances, mapping or DataFrame
        The instances, of the same samples, or what ``Instances.of`` takes.
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

    if not isinstance(instances, Instances):
        instances = Instances.of(instances)
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
    regions = Regions(own)
    table = []
    for start in range(0, one.activations.n_neurons, _BLOCK):
        columns = np.arange(start, min(start + _BLOCK, one.activations.n_neurons))
        block = one.select_rows(one.activations.block(columns))
        inputs.alignment.check_finite(block)
        names = iter(columns.tolist())
        for values in in_parts(block):
            best = regions.best_f1(values.astype(np.float64), shares)
            order = np.argsort(-best.f1, axis=0, kind="stable")[:top]
            table += [
                (one.activations.names[column], wanted[c], *(of[c, j] for of in best), regions.n_instances[c])
                for j, column in enumerate(itertools.islice(names, values.shape[1]))
                for c in order[:, j].tolist()
            ]
    return pd.DataFrame(table, columns=["neuron", "concept", *RegionF1._fields, "instances"])


def _rows_of(instances: Instances, shown: Concepts) -> NDArray[np.intp]:
    """The rows of the instances that aligned concepts have."""
    if instances.sample_ids is None or shown.sample_ids is None:
        return np.arange(len(instances.ids))
    place = {name: row for row, name in enumerate(instances.sample_ids)}
    return np.array([place[name] for name in shown.sample_ids], np.intp)
