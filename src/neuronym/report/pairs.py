"""Pairs of samples that differ in a suspect concept, such as a photo and its altered copy, to show beside findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from neuronym.report.detail import Layer, number
from neuronym.types import Name

__all__ = ["SHOWN_PAIRS", "largest_changes", "pair_rows"]

Ints = NDArray[np.int64]

SHOWN_PAIRS = 3  # for a neuron


def pair_rows(layer: Layer, suspect: str, others: Iterable[str]) -> Ints | None:
    """Pair the samples of each cluster without a suspect with those that have it.

    Parameters
    ----------
    layer : Layer
        The activations, concepts and clusters.
    suspect : str
        The suspect concept.
    others : iterable of str
        The other suspects, on which the samples of a pair agree.

    Returns
    -------
    int64 array of shape (n_pairs, 2), or None
        The rows without and with the suspect, one pair for each cluster and pattern of the other suspects; None if the
        suspect is not among the concepts, or there are no clusters.
    """
    aligned = layer.aligned
    if aligned.concepts is None or aligned.clusters is None or suspect not in aligned.concepts:
        return None
    known = [aligned.concepts[name] for name in others if name in aligned.concepts]
    inside = np.asarray(aligned.concepts[suspect], np.bool_)
    keys = np.stack([aligned.clusters, *(np.asarray(one, np.int64) for one in known)])
    _, which = np.unique(keys, axis=1, return_inverse=True)
    first = np.full((int(which.max(initial=-1)) + 1, 2), -1, np.int64)
    for side in (0, 1):
        rows = np.flatnonzero(inside == bool(side))[::-1]  # the first of several is written last
        first[which.ravel()[rows], side] = rows
    return first[(first >= 0).all(axis=1)]


def largest_changes(
    layer: Layer, neurons: Mapping[Name, int], pairs: Ints
) -> dict[Name, list[tuple[int, int, float, float]]]:
    """Find the pairs in which neurons change most.

    Parameters
    ----------
    layer : Layer
        The activations.
    neurons : mapping of int or str to int
        For each neuron, 1 for the pairs in which it rises most, −1 for those in which it falls most.
    pairs : int64 array of shape (n_pairs, 2)
        The rows without and with the suspect.

    Returns
    -------
    dict of (int or str) to list of tuple
        The numbers of both samples and the activations on them, largest change first.
    """
    listed = [name for name in neurons if name in layer.places]
    if not len(pairs) or not listed:
        return {}
    values = layer.values(np.array([layer.places[name] for name in listed], np.intp)).astype(np.float64)
    found = {}
    for j, name in enumerate(listed):
        before, after = values[pairs[:, 0], j], values[pairs[:, 1], j]
        order: Sequence[int] = np.argsort(-neurons[name] * (after - before), kind="stable")[:SHOWN_PAIRS].tolist()
        rows = layer.rows[pairs]
        found[name] = [
            (int(rows[k, 0]), int(rows[k, 1]), float(number(before[k]) or 0), float(number(after[k]) or 0))
            for k in order
        ]
    return found
