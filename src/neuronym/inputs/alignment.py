"""User input turned into matched rows: the one place where activations, concepts, weights and clusters meet.

Every function that takes activations and concepts calls ``align``, so one rule matches samples everywhere: by id if
both sides have ids, by position if neither has, and never by a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.characters import refuse_halves
from neuronym._util.messages import no_such, warn
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.grids import grid_of
from neuronym.data.groups import SampleGroups, Values, check_weights, group
from neuronym.data.ids import by_sample, check_one_side, counted_ids, is_count, match_ids
from neuronym.data.labelled import is_mapping, is_sparse, to_array, to_pandas
from neuronym.data.maps import Maps
from neuronym.data.sparse import not_finite
from neuronym.data.yes_no import as_bool
from neuronym.errors import ActivationsError, AlignmentError, ConceptsError, OptionError
from neuronym.inputs.clusters import codes, is_by_place
from neuronym.io.files import open_activations, open_concepts
from neuronym.io.tables import is_of_pandas
from neuronym.io.zarr_store import open_layers, split_path
from neuronym.types import ActivationsLike, Align, ClustersLike, ConceptsLike, LayerLike, PathLike, Unknown

if TYPE_CHECKING:
    from neuronym.data.sparse import Block

__all__ = ["Aligned", "align", "as_activations", "as_concepts", "as_layers", "check_finite", "layer_of", "same_samples"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class UsedSamples:
    """The samples in use, which both sides have and whose weight is not 0, with their concepts.

    Parameters
    ----------
    concepts : Concepts or None
        The user's concepts with one row per sample in use; None without concepts.
    places : int64 array of shape (n_rows,) or None, default None
        For each row, the index of its sample in the activations; None if every sample is in use, in order.
    weights : int64 array of shape (n_rows,) or None, default None
        The weight of each row; None if all are 1.
    """

    concepts: Concepts | None
    places: Ints | None = None
    weights: Ints | None = None

    @property
    def shown(self) -> Concepts:
        """The user's concepts, for work that cannot do without.

        Raises
        ------
        OptionError
            If there are none.
        """
        if self.concepts is None:
            raise OptionError("concepts must be in a form that neuronym.label accepts, not None")
        return self.concepts

    @cached_property
    def searched(self) -> Concepts:
        """The concepts that distinguish rows: without those true of no row or of every row, equal ones merged."""
        n = self.shown.n_samples
        return self.shown.prune(1, n - 1).merge_equal() if n > 1 else self.shown

    @cached_property
    def groups(self) -> SampleGroups:
        """The rows grouped by equal ``searched`` concepts."""
        return group(self.searched, self.weights, self.places)


@dataclass(frozen=True)
class Aligned:
    """The activations of one layer and the concepts of the same samples, as ``align`` matches them.

    Parameters
    ----------
    layer : str or None
        The name of the layer; None if layers are not named.
    activations : Activations
        The activations of all samples, as passed in.
    samples : UsedSamples
        The samples in use; layers with the same samples share one object.
    ids : tuple of str or None, default None
        One id per sample of the activations: their own, or those of the concepts if matched by position.
    given_clusters, given_strata : ClustersLike
        Clusters and strata as passed in; ``clusters`` and ``strata`` hold them row by row.
    """

    layer: str | None
    activations: Activations
    samples: UsedSamples
    ids: tuple[str, ...] | None = None
    given_clusters: ClustersLike = None
    given_strata: ClustersLike = None

    @property
    def concepts(self) -> Concepts | None:
        """The user's concepts with one row per sample in use; None without concepts."""
        return self.samples.concepts

    @property
    def shown(self) -> Concepts:
        """The user's concepts, for work that cannot do without.

        Raises
        ------
        OptionError
            If there are none.
        """
        return self.samples.shown

    @property
    def searched(self) -> Concepts:
        """The concepts that distinguish rows, equal ones merged."""
        return self.samples.searched

    @property
    def groups(self) -> SampleGroups:
        """The rows grouped by equal ``searched`` concepts."""
        return self.samples.groups

    @property
    def rows(self) -> Ints | None:
        """The index of each row in the activations, int64 of shape (n_rows,); None if every sample is in use."""
        return self.samples.places

    @cached_property
    def clusters(self) -> Ints | None:
        """The cluster of each row, int64 of shape (n_rows,); None without clusters.

        Clusters passed to ``align`` take precedence over those of the activations; ``False`` means none.
        """
        labels = self.activations.clusters if self.given_clusters is None else self.given_clusters
        return None if labels is None or labels is False else self._by_row(labels, "clusters")

    @cached_property
    def strata(self) -> Ints | None:
        """The stratum of each row, int64 of shape (n_rows,); None without strata."""
        return None if self.given_strata is None else self._by_row(self.given_strata, "strata")

    def _by_row(self, labels: Any, what: str) -> Ints:
        return self.select_rows(codes(labels, self.ids, self.activations.n_samples, what))

    def select_rows(self, values: Values) -> Values:
        """Select the samples in use from one value (or row of values) per sample of the activations.

        Parameters
        ----------
        values : array or csc_array of shape (n_samples, ...)
            Values in the order of the activations.

        Returns
        -------
        array or csc_array of shape (n_rows, ...)
            The values of the samples in use.
        """
        return values if self.rows is None else cast("Values", values[self.rows])


def align(
    activations: ActivationsLike,
    concepts: ConceptsLike | None,
    *,
    layers: Sequence[str] | None = None,
    names: Iterable[str] | None = None,
    unknown: Unknown = "error",
    weights: ArrayLike | None = None,
    clusters: ClustersLike = None,
    strata: ClustersLike = None,
    keep_common: Align = False,
    nouns: tuple[str, str] = ("activations", "concepts"),
) -> list[Aligned]:
    """Match the samples of activations and concepts, layer by layer.

    Parameters
    ----------
    activations : ActivationsLike
        The activations of one layer, or of several by name, as for ``neuronym.label``.
    concepts : ConceptsLike or None
        The concepts, as for ``neuronym.label``; None keeps every sample.
    layers : sequence of str or None, default None
        The layers to align, in this order; None means all of them.
    names : iterable of str or None, default None
        The names of concepts passed as an array; refused for concepts that carry names.
    unknown : {"error", "no", "drop"}, default "error"
        How to treat a concept value that is neither yes nor no: raise, count it as no, or drop its sample.
    weights : int array of shape (n_samples,) or None, default None
        Non-negative sample weights in the order of the activations; samples of weight 0 are left out.
    clusters : ClustersLike, default None
        The cluster of each sample; None takes those of the activations, ``False`` means none.
    strata : ClustersLike, default None
        The stratum of each sample, within which samples are compared.
    keep_common : bool or "position", default False
        If the ids of the two sides differ, keep the samples that both have instead of raising; ``"position"`` matches
        rows by position whatever their ids. This is the option ``align`` of ``neuronym.label``.
    nouns : tuple of (str, str), default ("activations", "concepts")
        What messages call the two sides.

    Returns
    -------
    list of Aligned
        One per layer, in order.

    Raises
    ------
    InputError
        One of its subclasses, if an argument is invalid or the arguments do not fit together.
    """
    parsed = None if concepts is None else as_concepts(concepts, names, unknown)
    aligned: list[Aligned] = []
    rows_by_samples: dict[object, UsedSamples] = {}
    for layer, given in _of_layers(as_layers(activations), layers).items():
        own, shown = as_activations(given), parsed
        if shown is not None and _both_count(given, concepts, own, shown):
            own, shown = by_index(own, shown)
        ids = own.sample_ids if shown is None else _ids_of(own, shown)
        if aligned and ids != aligned[0].ids and any(is_by_place(one) for one in (clusters, strata, weights)):
            raise OptionError(
                "the layers list their samples in different orders, so one label or weight per sample is ambiguous: "
                "give clusters and strata by sample id, and pass weights one layer at a time"
            )
        same = own.sample_ids, own.n_samples, own.skipped, None if shown is None else shown.sample_ids
        if same not in rows_by_samples:
            rows_by_samples[same] = _matched(layer, own, shown, weights, keep_common, unknown == "drop", nouns)
        aligned.append(one := Aligned(layer, own, rows_by_samples[same], ids, clusters, strata))
        _ = one.strata, clusters is None or one.clusters  # fail on bad labels before any work begins
    return aligned


def same_samples(layers: Sequence[Aligned], purpose: str) -> Aligned:
    """Check that all layers have the same samples in the same order.

    Parameters
    ----------
    layers : sequence of Aligned
        At least one layer.
    purpose : str
        What needs the layers to agree, for the message.

    Returns
    -------
    Aligned
        The first layer.

    Raises
    ------
    ActivationsError
        If the samples of a layer differ from those of the first.
    """
    first = layers[0]
    for one in layers:
        if one.activations.n_samples != first.activations.n_samples or one.ids != first.ids:
            raise ActivationsError(
                f"layer {one.layer!r} has other samples than the first: {purpose} needs the same samples in all layers"
            )
    return first


def as_layers(activations: ActivationsLike) -> Mapping[str | None, LayerLike]:
    """Split activations into layers, without reading or converting any.

    Parameters
    ----------
    activations : ActivationsLike
        The activations of one layer, or of several by name, as for ``neuronym.label``.

    Returns
    -------
    mapping from str or None to LayerLike
        One entry per layer; the key is None for a single layer without a name.

    Raises
    ------
    ActivationsError
        If there is no layer, or layers have empty or equal names.
    FileError
        If a Zarr store cannot be read.
    """
    if isinstance(activations, str | Path) and split_path(activations) is not None:
        activations = open_layers(activations)
    if not isinstance(activations, Mapping):
        return {None: activations}
    if is_sparse(activations):  # one of scipy maps indices to values
        matrix: Any = activations
        return {None: matrix}
    if not is_mapping(activations) and _is_table(activations):
        table: Any = activations
        return {None: table}
    by_name = {None if layer is None else str(layer): given for layer, given in activations.items()}
    if not by_name:
        raise ActivationsError("the dict of layers is empty: give at least one layer")
    if len(by_name) < len(activations):
        raise ActivationsError("two layers share a name: give each layer its own")
    if "" in by_name:
        raise ActivationsError("a layer has an empty name: give it a name")
    refuse_halves([layer for layer in by_name if layer is not None], "name of a layer", ActivationsError)
    return by_name


def _is_table(dataset: Any) -> bool:
    """Whether a data set of xarray holds a column per variable, rather than a layer."""
    return len(dataset.dims) == 1


def _of_layers(found: Mapping[str | None, LayerLike], layers: Sequence[str] | None) -> Mapping[str | None, LayerLike]:
    """The named layers, in the order of the names; all of them if ``layers`` is None."""
    if layers is None:
        return found
    if isinstance(layers, str) or not layers:
        raise OptionError(f"layers must be a list of names of layers, not {layers!r}")
    known = [layer for layer in found if layer is not None]
    for layer in layers:
        if layer not in known:
            raise (
                no_such("layer", layer, known)
                if known
                else OptionError(
                    f"layers names {layer!r}, but the activations are of one layer without a name: leave layers out"
                )
            )
    return {layer: found[layer] for layer in dict.fromkeys(layers)}


def layer_of(layer: str | None, layers: Mapping[str | None, Any]) -> Any:
    """Find the activations of a label's layer.

    If there is but one layer and either side lacks a name, it is that layer.

    Parameters
    ----------
    layer : str or None
        The layer that the label names; None if it names none.
    layers : mapping from str or None to LayerLike
        The layers, as from ``as_layers``.

    Returns
    -------
    LayerLike
        The value in ``layers``.

    Raises
    ------
    UnknownNameError
        If there is no layer of that name.
    OptionError
        If the label names no layer and there are several to choose from.
    """
    if layer in layers:
        return layers[layer]
    if len(layers) == 1 and (layer is None or None in layers):
        return next(iter(layers.values()))
    named = [name for name in layers if name is not None]
    if layer is None:
        raise OptionError(
            f"the label names no layer, but there are activations of {len(named)}: give those of its layer"
        )
    raise no_such("layer", layer, named)


def as_activations(given: Any) -> Activations:
    """Convert the activations of one layer from any form that ``neuronym.label`` accepts.

    Parameters
    ----------
    given : LayerLike
        The activations of one layer: an ``Activations``, array, tensor, DataFrame or file.

    Returns
    -------
    Activations
        The activations, on disk if they were on disk.

    Raises
    ------
    ActivationsError, FileError
        If they cannot be used or read.
    """
    given = given.activations if isinstance(given, Maps) else given
    found = given if isinstance(given, Activations) else None
    if isinstance(given, str | Path):
        found = open_activations(given)
    if found is None:
        return Activations(given)
    grid = grid_of(found.axes)
    if grid is None:
        return found
    warn(
        f"these activations are maps of {grid[0]} × {grid[1]}, which are pooled here by their mean, as collect does by "
        "default: pool them yourself for another, as in neuronym.data.Maps.of(activations).pooled('max')"
    )
    return Maps.of(found).pooled()


def as_concepts(given: Any, names: Iterable[str] | None = None, unknown: Unknown = "error") -> Concepts:
    """Convert concepts from any form that ``neuronym.label`` accepts.

    Parameters
    ----------
    given : ConceptsLike
        A ``Concepts``, array, sparse matrix, DataFrame, sequence of sets of names, or file.
    names : iterable of str or None, default None
        The names of concepts passed as an array.
    unknown : {"error", "no", "drop"}, default "error"
        How to treat a value that is neither yes nor no: raise, count it as no, or drop its sample.

    Returns
    -------
    Concepts
        The concepts.

    Raises
    ------
    ConceptsError, FileError
        If they cannot be used or read.
    OptionError
        If ``names`` is given for concepts that carry names.
    """
    if names is not None and isinstance(given, Concepts | PathLike):
        raise OptionError("names are for concepts given as an array, but these concepts have names already: omit names")
    if isinstance(given, Concepts):
        return given
    if isinstance(given, str | Path):
        return open_concepts(given, unknown=unknown)
    sets = _as_sets(given)
    if names is not None and sets is not None:
        raise OptionError("names are for concepts given as an array, but these are sets of names: omit names")
    if sets is not None:
        return Concepts.from_sets(sets)
    if is_mapping(given):
        given = _as_columns(given)
    return Concepts.from_array(given, names, unknown=unknown)


def _as_sets(given: Any) -> Any:
    """Concepts as sets of names, if they are: a list or Series of sets, or a mapping from sample id to set; or None."""
    if is_mapping(given):
        values = list(given.values())
        lists = bool(values) and all(isinstance(value, list | tuple) for value in values)
        texts = lists and any(values) and all(isinstance(name, str) for value in values for name in value)
        return given if texts or (values and isinstance(values[0], set | frozenset)) else None
    if isinstance(given, list | tuple):
        if given and isinstance(given[0], set | frozenset):
            return given
        lists = bool(given) and all(isinstance(one, list | tuple) for one in given)
        names = [name for one in given for name in one] if lists else []
        texts = bool(names) and all(isinstance(name, str) for name in names)
        return given if texts and any(isinstance(as_bool(name), str) for name in names) else None
    found = None if isinstance(given, np.ndarray) else to_pandas(given, "concepts", ConceptsError)
    if found is None or found.ndim != 1 or not len(found):
        return None
    return found if isinstance(found.iloc[0], set | frozenset | list | tuple | np.ndarray) else None


def _as_columns(given: Mapping[Any, Any]) -> Any:
    """A mapping from the name of a concept to its column as a DataFrame."""
    import pandas as pd

    columns: dict[Any, Any] = {}
    for name, column in given.items():
        found = to_pandas(column, f"concept {name!r}", ConceptsError)
        columns[name] = to_array(column, f"concept {name!r}", ConceptsError) if found is None else found
        if columns[name].ndim != 1:
            raise ConceptsError(
                f"concepts as a mapping must be from the name of a concept to its values, or from a sample id to a set "
                f"of names, but {name!r} has {type(column).__name__}: for one class per sample use "
                "Concepts.from_classes"
            )
    if len({len(column) for column in columns.values()}) > 1:
        raise ConceptsError("the concepts of the mapping have different numbers of samples: each needs one per sample")
    return pd.DataFrame(columns)


def is_frame(given: Any) -> bool:
    """Whether an object is a table or column of pandas, whose index numbers the rows if it does not name them."""
    return hasattr(given, "iloc")


def _both_count(given: Any, concepts: Any, own: Activations, shown: Concepts) -> bool:
    """Whether both sides are tables of pandas, so that the row numbers of one are ids beside those of the other."""
    if is_frame(given) and is_frame(concepts):
        return True
    if not is_count(own.sample_ids) and not is_count(shown.sample_ids):
        return False
    return all(is_of_pandas(one) if isinstance(one, str | Path) else is_frame(one) for one in (given, concepts))


def check_finite(values: Block) -> None:
    """Refuse activations that are NaN or infinite."""
    if not_finite(values).any():
        raise ActivationsError("activations contain NaN or infinity: every activation must be finite")


def by_index(activations: Activations, concepts: Concepts) -> tuple[Activations, Concepts]:
    """Of two DataFrames of which only one has ids in its index, read the row numbers of the other as ids too."""
    if activations.sample_ids is None and concepts.sample_ids is not None:
        activations = activations.replace(sample_ids=counted_ids(activations.n_samples))
    elif concepts.sample_ids is None and activations.sample_ids is not None:
        concepts = concepts.with_ids(counted_ids(concepts.n_samples))
    return activations, concepts


def _ids_of(activations: Activations, concepts: Concepts) -> tuple[str, ...] | None:
    """The sample ids of activations: their own, or those of the concepts that match them by position."""
    if activations.sample_ids is not None or activations.n_samples != concepts.n_samples:
        return activations.sample_ids
    return counted_ids(activations.n_samples) if is_count(concepts.sample_ids) else concepts.sample_ids


def _matched(
    layer: str | None,
    activations: Activations,
    concepts: Concepts | None,
    weights: ArrayLike | None,
    keep_common: Align,
    dropped: bool,
    nouns: tuple[str, str],
) -> UsedSamples:
    """The rows in use, with their concepts and weights."""
    owner = nouns[0] if layer is None else f"layer {layer!r} of {nouns[0]}"
    _refuse_empty(activations, concepts, owner)
    ids = activations.sample_ids if concepts is None else _ids_of(activations, concepts)
    weight = None
    if weights is not None:
        of_samples: Any = by_sample(weights, ids, activations.n_samples, "weights", OptionError)
        weight = check_weights(of_samples, activations.n_samples)
    shown, rows = (
        (None, None) if concepts is None else _matched_rows(activations, concepts, keep_common, owner, dropped, nouns)
    )
    weight = weight if weight is None or rows is None else weight[rows]
    if weight is not None and not weight.all():  # samples of weight 0 count as absent
        kept = np.flatnonzero(weight)
        shown, weight = None if shown is None else shown.take(kept), weight[kept]
        rows = kept if rows is None else rows[kept]
    return UsedSamples(shown, rows, weight)


def _refuse_empty(activations: Activations, concepts: Concepts | None, owner: str) -> None:
    """Refuse activations without samples, and concepts without samples or concepts."""
    if not activations.n_samples:
        raise ActivationsError(f"{owner} are empty: they have no samples")
    if concepts is not None and 0 in (concepts.n_samples, concepts.n_concepts):
        raise ConceptsError(f"concepts are empty: {concepts.n_samples} × {concepts.n_concepts} (samples × concepts)")


def _matched_rows(
    activations: Activations,
    shown: Concepts,
    keep_common: Align,
    owner: str,
    dropped: bool,
    nouns: tuple[str, str],
) -> tuple[Concepts, Ints | None]:
    """The concepts in the order of the activations, and the rows of the activations in use; None for all, in order."""
    n_samples = activations.n_samples
    if activations.skipped and shown.sample_ids is not None:
        left_out = set(activations.skipped)
        shown = shown.take([row for row, name in enumerate(shown.sample_ids) if name not in left_out])
    ours, theirs = activations.sample_ids, shown.sample_ids
    if keep_common == "position":
        ours = theirs = None
    if ours is not None and theirs is not None:
        matched = match_ids(ours, theirs, owner, nouns[1], bool(keep_common))
        if matched is None:
            return shown, None
        rows = np.array(matched[0], np.int64)
        if len(rows) < max(n_samples, shown.n_samples):
            warn(
                f"align=True keeps {len(rows)} samples and drops {n_samples - len(rows)} of {nouns[0]} "
                f"and {shown.n_samples - len(rows)} of {nouns[1]}"
            )
        return shown.take(np.array(matched[1], np.int64)), None if len(rows) == n_samples else rows
    if n_samples != shown.n_samples:
        raise AlignmentError(
            f"{nouns[1]} has {shown.n_samples} rows but {owner} has {n_samples}: both need one row per sample"
            + "; unknown='drop' left samples out, so give sample ids to both sides" * dropped
        )
    check_one_side(ours, theirs, owner, nouns[1])
    return shown, None
