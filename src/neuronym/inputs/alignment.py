"""What a user gives, turned into matched rows: the one place where activations, concepts and all else meet.

Every function that takes activations and concepts calls ``align``, so samples are matched by one rule everywhere: by id
where both sides have ids, by place where neither has, and never by a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.messages import no_such, warn
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.groups import ConceptGroups, check_weights, group
from neuronym.data.ids import counted_ids, is_count, match_ids
from neuronym.errors import ActivationsError, AlignmentError, ConceptsError, OptionError
from neuronym.inputs.clusters import codes, is_by_place
from neuronym.io.files import open_activations, open_concepts
from neuronym.io.zarr_store import open_layers, split_path
from neuronym.types import ActivationsLike, ClustersLike, ConceptsLike, LayerLike, PathLike, Unknown

__all__ = ["Aligned", "align", "as_activations", "as_concepts", "as_layers", "check_finite", "layer_of", "same_samples"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """The samples that are used, those that both sides have and whose weight is not 0, with what they show.

    Parameters
    ----------
    concepts : Concepts or None
        Those given, a row each; None where none were given.
    places : int64 array of shape (n_rows,), or None
        The sample of the activations that each row is; None if that is all of them, in order.
    weights : int64 array of shape (n_rows,), or None
    """

    concepts: Concepts | None
    places: Ints | None = None
    weights: Ints | None = None

    @property
    def shown(self) -> Concepts:
        """The concepts, which must have been given.

        Raises
        ------
        OptionError
            If they were not.
        """
        if self.concepts is None:
            raise OptionError("concepts are needed, as neuronym.label takes them, not None")
        return self.concepts

    @cached_property
    def searched(self) -> Concepts:
        """The concepts that tell rows apart: those of no or of every row are left out, equal ones are one."""
        n = self.shown.n_samples
        return self.shown.prune(1, n - 1).merge_equal() if n > 1 else self.shown

    @cached_property
    def groups(self) -> ConceptGroups:
        """The rows grouped by equal ``searched`` concepts."""
        return group(self.searched, self.weights, self.places)


@dataclass(frozen=True)
class Aligned:
    """The activations of a layer beside the concepts of the same samples; made by ``align``.

    Parameters
    ----------
    layer : str or None
        None where activations have no names of layers.
    activations : Activations
        As they were given, all samples.
    samples : Rows
        Which of them are used; layers of the same samples share it.
    ids : tuple of str, one per sample of the activations, or None
        Their own, or those of the concepts that stand beside them row by row.
    given_clusters, given_strata : Any
        As given; ``clusters`` and ``strata`` hold them by row.
    """

    layer: str | None
    activations: Activations
    samples: Rows
    ids: tuple[str, ...] | None = None
    given_clusters: ClustersLike = None
    given_strata: ClustersLike = None

    @property
    def concepts(self) -> Concepts | None:
        """Those given, a row each; None where none were given."""
        return self.samples.concepts

    @property
    def shown(self) -> Concepts:
        """Those given, a row each.

        Raises
        ------
        OptionError
            If none were given.
        """
        return self.samples.shown

    @property
    def searched(self) -> Concepts:
        """The concepts that tell rows apart, equal ones as one."""
        return self.samples.searched

    @property
    def groups(self) -> ConceptGroups:
        """The rows grouped by equal ``searched`` concepts."""
        return self.samples.groups

    @property
    def rows(self) -> Ints | None:
        """The sample of the activations that each row is; None if that is all of them, in order."""
        return self.samples.places

    @cached_property
    def clusters(self) -> Ints | None:
        """The cluster of each row, of those given or else of the activations' own: int64 (n_rows,); None without any.

        Given as False there are none.
        """
        own = self.activations.clusters if self.given_clusters is None else self.given_clusters
        return None if own is None or own is False else self._by_row(own, "clusters")

    @cached_property
    def strata(self) -> Ints | None:
        """The stratum of each row: int64 (n_rows,); None without any."""
        return None if self.given_strata is None else self._by_row(self.given_strata, "strata")

    def _by_row(self, given: Any, what: str) -> Ints:
        return self.used(codes(given, self.ids, self.activations.n_samples, what))

    def used(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of values by sample of the activations, (n_samples, …), those of the rows, (n_rows, …)."""
        return values if self.rows is None else values[self.rows]


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
    keep_common: bool = False,
) -> list[Aligned]:
    """Match the samples of activations and concepts, for each layer.

    Parameters
    ----------
    activations, concepts, layers, names, unknown, weights, clusters, strata
        As ``neuronym.label`` takes them; concepts may be None.
    keep_common : bool, default False
        Keep the samples that both sides have, where their ids differ; ``align`` of ``neuronym.label``.

    Returns
    -------
    list of Aligned, one per layer, in order

    Raises
    ------
    InputError
        One of its kinds, where something cannot be used or does not fit.
    """
    shown = None if concepts is None else as_concepts(concepts, names, unknown)
    found: list[Aligned] = []
    known: dict[object, Rows] = {}
    for layer, given in _of_layers(as_layers(activations), layers).items():
        taken, matched = as_activations(given), shown
        if matched is not None and is_frame(given) and is_frame(concepts):
            taken, matched = by_index(taken, matched)
        ids = taken.sample_ids if matched is None else _ids_of(taken, matched)
        if found and ids != found[0].ids and any(is_by_place(one) for one in (clusters, strata, weights)):
            raise OptionError(
                "the layers have their samples in different orders, so one label or weight per sample says nothing: "
                "give clusters and strata by sample id, and weights layer by layer"
            )
        same = taken.sample_ids, taken.n_samples, taken.skipped, None if matched is None else matched.sample_ids
        if same not in known:
            known[same] = _matched(layer, taken, matched, weights, keep_common)
        found.append(one := Aligned(layer, taken, known[same], ids, clusters, strata))
        _ = one.strata, clusters is None or one.clusters  # what is given is read before any work begins
    return found


def same_samples(layers: Sequence[Aligned], purpose: str) -> Aligned:
    """The first of layers that must all have the same samples, in one order.

    Raises
    ------
    ActivationsError
        If one has others.
    """
    first = layers[0]
    for one in layers:
        if one.activations.n_samples != first.activations.n_samples or one.ids != first.ids:
            raise ActivationsError(f"layer {one.layer!r} has other samples than the first: {purpose} needs the same")
    return first


def as_layers(activations: ActivationsLike) -> Mapping[str | None, LayerLike]:
    """Activations by the name of their layer, or by None where there is one without a name."""
    if isinstance(activations, str | Path) and split_path(activations) is not None:
        activations = open_layers(activations)
    if not isinstance(activations, Mapping):
        return {None: activations}
    by_name = {None if layer is None else str(layer): given for layer, given in activations.items()}
    if not by_name:
        raise ActivationsError("the dict of layers is empty: give at least one layer")
    if len(by_name) < len(activations):
        raise ActivationsError("two layers have one name: each needs its own")
    if "" in by_name:
        raise ActivationsError("a layer has an empty name: give it one")
    return by_name


def _of_layers(found: Mapping[str | None, LayerLike], layers: Sequence[str] | None) -> Mapping[str | None, LayerLike]:
    """The layers named, in that order; all without names."""
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
    """The activations of a label's layer; the only ones where one side has no names of layers.

    Raises
    ------
    UnknownNameError, OptionError
        If there are none, or several to choose from.
    """
    if layer in layers:
        return layers[layer]
    if len(layers) == 1 and (layer is None or None in layers):
        return next(iter(layers.values()))
    named = [name for name in layers if name is not None]
    if layer is None:
        raise OptionError(f"the label names no layer, and activations have {len(named)}: give those of its layer")
    raise no_such("layer", layer, named)


def as_activations(given: Any) -> Activations:
    """Activations from whatever ``neuronym.label`` takes."""
    if isinstance(given, Activations):
        return given
    if isinstance(given, str | Path):
        return open_activations(given)
    return Activations.from_frame(given) if is_frame(given) else Activations(given)


def as_concepts(given: Any, names: Iterable[str] | None = None, unknown: Unknown = "error") -> Concepts:
    """Concepts from whatever ``neuronym.label`` takes."""
    frame = is_frame(given)
    sets = isinstance(given, list | tuple) and len(given) > 0 and isinstance(given[0], set | frozenset)
    if names is not None and (isinstance(given, Concepts | PathLike) or frame or sets):
        raise OptionError("names go with an array of concepts; these concepts have names already")
    if isinstance(given, Concepts):
        return given
    if isinstance(given, str | Path):
        return open_concepts(given, unknown=unknown)
    if frame:
        return Concepts.from_frame(given, unknown=unknown)
    return Concepts.from_sets(given) if sets else Concepts.from_array(given, names, unknown=unknown)


def is_frame(given: Any) -> bool:
    """Whether it is a DataFrame."""
    return hasattr(given, "iloc") and hasattr(given, "columns")


def check_finite(values: NDArray[Any]) -> None:
    """Refuse activations that are NaN or infinite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ActivationsError("activations hold NaN or infinity: every activation must be finite")


def by_index(taken: Activations, shown: Concepts) -> tuple[Activations, Concepts]:
    """Of two DataFrames, where one has ids in its index and the other merely counts, the counts are ids too."""
    if taken.sample_ids is None and shown.sample_ids is not None:
        taken = taken.replace(sample_ids=counted_ids(taken.n_samples))
    elif shown.sample_ids is None and taken.sample_ids is not None:
        shown = shown.with_ids(counted_ids(shown.n_samples))
    return taken, shown


def _ids_of(taken: Activations, shown: Concepts) -> tuple[str, ...] | None:
    """The ids of the samples of activations: their own, or those of the concepts matched with them by place."""
    if taken.sample_ids is not None or taken.n_samples != shown.n_samples:
        return taken.sample_ids
    return counted_ids(taken.n_samples) if is_count(shown.sample_ids) else shown.sample_ids


def _matched(
    layer: str | None, taken: Activations, shown: Concepts | None, weights: ArrayLike | None, keep_common: bool
) -> Rows:
    """The rows that are used, with their concepts and weights."""
    owner = "activations" if layer is None else f"layer {layer!r} of activations"
    _refuse_empty(taken, shown, owner)
    weight = None if weights is None else check_weights(weights, taken.n_samples)
    shown, rows = (None, None) if shown is None else _matched_rows(taken, shown, keep_common, owner)
    weight = weight if weight is None or rows is None else weight[rows]
    if weight is not None and not weight.all():  # a sample of weight 0 is not there
        kept = np.flatnonzero(weight)
        shown, weight = None if shown is None else shown.take(kept), weight[kept]
        rows = kept if rows is None else rows[kept]
    return Rows(shown, rows, weight)


def _refuse_empty(taken: Activations, shown: Concepts | None, owner: str) -> None:
    if not taken.n_samples:
        raise ActivationsError(f"{owner} are empty: they have no samples")
    if shown is not None and 0 in (shown.n_samples, shown.n_concepts):
        raise ConceptsError(f"concepts are empty: {shown.n_samples} × {shown.n_concepts} (samples × concepts)")


def _matched_rows(taken: Activations, shown: Concepts, keep_common: bool, owner: str) -> tuple[Concepts, Ints | None]:
    """The concepts of the samples of the activations, and the rows of these that are used; None for all, in order."""
    if taken.skipped and shown.sample_ids is not None:
        left_out = set(taken.skipped)
        shown = shown.take([row for row, name in enumerate(shown.sample_ids) if name not in left_out])
    ours, theirs = taken.sample_ids, shown.sample_ids
    # The row numbers of a table that was put in another order are ids for one that was not.
    ours = counted_ids(taken.n_samples) if ours is None and is_count(theirs) else ours
    theirs = counted_ids(shown.n_samples) if theirs is None and is_count(ours) else theirs
    if ours is not None and theirs is not None:
        matched = match_ids(ours, theirs, owner, "concepts", keep_common)
        if matched is None:
            return shown, None
        rows = np.array(matched[0], np.int64)
        if len(rows) < max(taken.n_samples, shown.n_samples):
            warn(
                f"align=True keeps {len(rows)} samples and drops {taken.n_samples - len(rows)} of activations "
                f"and {shown.n_samples - len(rows)} of concepts"
            )
        return shown.take(np.array(matched[1], np.int64)), None if len(rows) == taken.n_samples else rows
    if taken.n_samples != shown.n_samples:
        raise AlignmentError(
            f"concepts has {shown.n_samples} rows but {owner} has {taken.n_samples}: both need one row per sample"
        )
    return shown, None
