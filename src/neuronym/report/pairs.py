"""Pairs of samples that differ in a suspect concept, such as a photo and its altered copy, to show beside findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import some
from neuronym.data.sparse import column
from neuronym.report.detail import Layer, number
from neuronym.types import Name

__all__ = ["SHOWN_PAIRS", "Ints", "largest_changes", "no_pairs", "pair_rows"]

Ints = NDArray[np.int64]

SHOWN_PAIRS = 3  # for a neuron


def no_pairs(layer: Layer | None, suspect: str, others: Iterable[str]) -> str | None:
    """Say why no pairs of samples can be shown; None if nothing is missing.

    Parameters
    ----------
    layer : Layer or None
        The activations, concepts and clusters, if the report has them.
    suspect : str
        The suspect concept.
    others : iterable of str
        The other suspects, on which the samples of a pair agree.

    Returns
    -------
    str or None
        What the report lacks, to end a sentence.
    """
    if layer is None:
        return "this report was made without its activations"
    if layer.aligned.concepts is None:
        return "this report was made without concepts"
    if layer.aligned.clusters is None:
        return "its samples have no clusters"
    unknown = [name for name in (suspect, *others) if name not in layer.aligned.concepts]
    return f"{some(unknown)} {'is' if len(unknown) == 1 else 'are'} not among the concepts" if unknown else None


def pair_rows(layer: Layer, suspect: str, others: Iterable[str]) -> Ints:
    """Pair the samples of each cluster without a suspect with those that have it.

    Parameters
    ----------
    layer : Layer
        The activations, concepts and clusters, of which ``no_pairs`` finds none missing.
    suspect : str
        The suspect concept.
    others : iterable of str
        The other suspects, on which the samples of a pair agree.

    Returns
    -------
    int64 array of shape (n_pairs, 2)
        The rows without and with the suspect, one pair for each cluster and pattern of the other suspects: the first
        sample of each side.
    """
    concepts, clusters = layer.aligned.concepts, layer.aligned.clusters
    assert concepts is not None, "pairs need concepts"
    assert clusters is not None, "pairs need clusters"
    inside = np.asarray(concepts[suspect], np.bool_)
    keys = np.stack([clusters, *(np.asarray(concepts[name], np.int64) for name in others)])
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
        The numbers of both samples and the activations on them, largest change first; only pairs that change in that
        direction.
    """
    listed = [name for name in neurons if name in layer.places]
    if not len(pairs) or not listed:
        return {}
    block = layer.values(np.array([layer.places[name] for name in listed], np.intp))
    found = {}
    for j, name in enumerate(listed):
        values = column(block, j).astype(np.float64)
        before, after = values[pairs[:, 0]], values[pairs[:, 1]]
        gain = neurons[name] * (after - before)
        order = [k for k in np.argsort(-gain, kind="stable")[:SHOWN_PAIRS].tolist() if gain[k] > 0]
        found[name] = [
            (*layer.rows[pairs[k]].tolist(), float(number(before[k]) or 0), float(number(after[k]) or 0)) for k in order
        ]
    return found
