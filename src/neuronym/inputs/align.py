"""What ``label`` takes, as activations, concepts and groups of the same samples."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.data.activations import Activations
from neuronym.data.binary import Unknown
from neuronym.data.concepts import Concepts
from neuronym.data.groups import Groups, check_weights, group
from neuronym.data.ids import counted_ids, is_count, match_ids
from neuronym.errors import ActivationsError, AlignmentError, ConceptsError, OptionError
from neuronym.inputs.clusters import codes
from neuronym.io.files import open_activations, open_concepts
from neuronym.io.zarr_store import open_layers, split_path

__all__ = [
    "as_activations",
    "as_concepts",
    "as_layers",
    "by_index",
    "check_finite",
    "cluster_rows",
    "grouped",
    "ids_of",
    "is_frame",
    "matched_rows",
]


def as_layers(activations: Any) -> Mapping[str | None, Any]:
    """Activations by the name of their layer, or by None where there is one without a name."""
    if isinstance(activations, str | Path) and split_path(activations) is not None:
        activations = open_layers(activations)
    if not isinstance(activations, Mapping):
        return {None: activations}
    by_name: dict[str | None, Any] = {str(layer): given for layer, given in activations.items()}
    if not by_name:
        raise ActivationsError("the dict of layers is empty: give at least one layer")
    if len(by_name) < len(activations):
        raise ActivationsError("two layers have one name: each needs its own")
    if "" in by_name:
        raise ActivationsError("a layer has an empty name: give it one")
    return by_name


def as_activations(given: Any) -> Activations:
    """Activations from whatever ``label`` takes."""
    if isinstance(given, Activations):
        return given
    if isinstance(given, str | Path):
        return open_activations(given)
    return Activations.from_frame(given) if is_frame(given) else Activations(given)


def is_frame(given: Any) -> bool:
    """Whether it is a DataFrame."""
    return hasattr(given, "iloc") and hasattr(given, "columns")


def by_index(taken: Activations, shown: Concepts) -> tuple[Activations, Concepts]:
    """Of two DataFrames, where one has ids in its index and the other merely counts, the counts are ids too."""
    if taken.sample_ids is None and shown.sample_ids is not None:
        taken = Activations(taken.matrix, taken.names, sample_ids=counted_ids(taken.n_samples))
    elif shown.sample_ids is None and taken.sample_ids is not None:
        shown = shown.with_ids(counted_ids(shown.n_samples))
    return taken, shown


def ids_of(taken: Activations, shown: Concepts) -> tuple[str, ...] | None:
    """The ids of the rows of activations: their own, or those of the concepts that they are matched with by place."""
    if taken.sample_ids is not None or taken.n_samples != shown.n_samples:
        return taken.sample_ids
    return counted_ids(taken.n_samples) if is_count(shown.sample_ids) else shown.sample_ids


def cluster_rows(
    taken: Activations, clusters: Any, ids: tuple[str, ...] | None, groups: Groups
) -> NDArray[np.int64] | None:
    """The cluster of each row that is used, of those given or else of the activations' own; None for False or none."""
    given = taken.clusters if clusters is None else None if clusters is False else clusters
    return None if given is None else groups.used(codes(given, ids, taken.n_samples, "clusters"))


def check_finite(block: NDArray[Any], groups: Groups) -> None:
    """Refuse activations that are NaN or infinite in rows that are used."""
    used = groups.used(block)
    if used.dtype.kind == "f" and not np.isfinite(used).all():
        raise ActivationsError("activations hold NaN or infinity: every activation must be finite")


def as_concepts(given: Any, names: Iterable[str] | None = None, unknown: Unknown = "error") -> Concepts:
    """Concepts from whatever ``label`` takes."""
    frame = is_frame(given)
    sets = isinstance(given, list | tuple) and len(given) > 0 and isinstance(given[0], set | frozenset)
    if names is not None and (isinstance(given, Concepts | str | Path) or frame or sets):
        raise OptionError("names go with an array of concepts; these concepts have names already")
    if isinstance(given, Concepts):
        return given
    if isinstance(given, str | Path):
        return open_concepts(given, unknown=unknown)
    if frame:
        return Concepts.from_frame(given, unknown=unknown)
    return Concepts.from_sets(given) if sets else Concepts.from_array(given, names, unknown=unknown)


def matched_rows(taken: Activations, shown: Concepts, align: bool | None) -> tuple[Concepts, NDArray[np.int64] | None]:
    """The concepts of the samples of the activations, and the rows of these that are used; None for all, in order."""
    if taken.skipped and shown.sample_ids is not None:
        left_out = set(taken.skipped)
        shown = shown.take([row for row, name in enumerate(shown.sample_ids) if name not in left_out])
    ours, theirs = taken.sample_ids, shown.sample_ids
    # The row numbers of a table that was put in another order are ids for one that was not.
    ours = counted_ids(taken.n_samples) if ours is None and is_count(theirs) else ours
    theirs = counted_ids(shown.n_samples) if theirs is None and is_count(ours) else theirs
    if ours is not None and theirs is not None:
        matched = match_ids(ours, theirs, "activations", "concepts", align)
        if matched is None:
            return shown, None
        rows = np.array(matched[0], np.int64)
        if len(rows) < max(taken.n_samples, shown.n_samples):
            warnings.warn(
                f"align=True keeps {len(rows)} samples and drops {taken.n_samples - len(rows)} of activations "
                f"and {shown.n_samples - len(rows)} of concepts",
                stacklevel=4,
            )
        return shown.take(np.array(matched[1], np.int64)), None if len(rows) == taken.n_samples else rows
    if taken.n_samples != shown.n_samples:
        raise AlignmentError(
            f"concepts has {shown.n_samples} rows but activations has {taken.n_samples}: both need one row per sample"
        )
    return shown, None


def grouped(
    taken: Activations, shown: Concepts, weights: ArrayLike | None, align: bool | None
) -> tuple[Concepts, Groups]:
    """Match the samples; the concepts left to search, in the order of the activations, and their groups."""
    for owner, sizes, error in (
        ("activations", (taken.n_samples,), ActivationsError),
        ("concepts", (shown.n_samples, shown.n_concepts), ConceptsError),
    ):
        if 0 in sizes:
            raise error(
                f"{owner} are empty: {' × '.join(map(str, sizes))} (samples × concepts)"
                if len(sizes) > 1
                else f"{owner} are empty: they have no samples"
            )
    weight = None if weights is None else check_weights(weights, taken.n_samples)
    shown, rows = matched_rows(taken, shown, align)
    weight = weight if weight is None or rows is None else weight[rows]
    if weight is not None and not weight.all():  # a sample of weight 0 is not there
        kept = np.flatnonzero(weight)
        shown, weight = shown.take(kept), weight[kept]
        rows = kept if rows is None else rows[kept]
    searched = shown.prune(1, shown.n_samples - 1).merge_equal() if shown.n_samples > 1 else shown
    return searched, group(searched, weight, rows)
