"""The same beam search as dense matrix products over a batch of neurons, as a good vectorised program would do it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float32]


def ranks(activations: NDArray[np.float32]) -> Floats:
    """Midranks of each neuron, centred so that float32 sums stay accurate: (n_neurons, n_samples)."""
    n_samples = len(activations)
    return (rankdata(activations, axis=0).T - (n_samples + 1) / 2).astype(np.float32)


def search(centred: Floats, concepts: Floats, length: int, beam: int, lowest: int, highest: int) -> NDArray[np.float64]:
    """The best AUC of each neuron, every prefix feasible: (n_neurons,).

    ``centred`` (n_neurons, n_samples) are the ranks, ``concepts`` (n_samples, n_concepts) holds 0 and 1. A round costs
    two products of (n_neurons · beam, n_samples) and (n_samples, n_concepts).
    """
    n_samples, n_concepts = concepts.shape
    n_neurons = len(centred)
    counts = concepts.sum(axis=0, dtype=np.float64)
    sums = (centred @ concepts).astype(np.float64)
    literal_counts, literal_sums = np.concatenate([counts, n_samples - counts]), np.concatenate([sums, -sums], axis=1)
    scores = auc(literal_counts, literal_sums, n_samples, lowest, highest)
    top, chosen = best_of(scores, np.broadcast_to(literal_counts, scores.shape), beam)
    masks = np.empty((n_neurons, beam, n_samples), np.float32)
    for j in range(n_neurons):
        for b, code in enumerate(chosen[j]):
            column = concepts[:, code % n_concepts]
            masks[j, b] = column if code < n_concepts else 1 - column
    for _ in range(length - 1):
        weighed = masks * centred[:, np.newaxis]
        both_n = (masks.reshape(-1, n_samples) @ concepts).astype(np.float64).reshape(n_neurons, beam, n_concepts)
        both_s = (weighed.reshape(-1, n_samples) @ concepts).astype(np.float64).reshape(n_neurons, beam, n_concepts)
        own_n = masks.sum(axis=2, dtype=np.float64)[:, :, np.newaxis]
        own_s = weighed.sum(axis=2, dtype=np.float64)[:, :, np.newaxis]
        column_s = sums[:, np.newaxis]
        extensions = [both_n, own_n - both_n, own_n + counts - both_n, n_samples - counts + both_n]
        # One that is as large as φ is φ again: given no samples, it is infeasible.
        n = np.concatenate([own_n, *(np.where(e == own_n, 0, e) for e in extensions)], axis=2)
        n = n.reshape(n_neurons, -1)
        s = np.concatenate([own_s, both_s, own_s - both_s, own_s + column_s - both_s, both_s - column_s], axis=2)
        s = s.reshape(n_neurons, -1)
        top, chosen = best_of(auc(n, s, n_samples, lowest, highest), n, beam)
        masks = extended(masks, chosen, concepts)
    return top[:, 0]


def extended(masks: Floats, chosen: NDArray[np.intp], concepts: Floats) -> Floats:
    """The masks of the chosen extensions."""
    n_concepts = concepts.shape[1]
    new = np.empty_like(masks)
    for j in range(len(masks)):
        for b, code in enumerate(chosen[j]):
            parent, place = divmod(int(code), 4 * n_concepts + 1)
            own = masks[j, parent]
            kind, c = divmod(place - 1, n_concepts)
            if place == 0:
                new[j, b] = own
                continue
            literal = 1 - concepts[:, c] if kind % 2 else concepts[:, c]
            new[j, b] = own * literal if kind < 2 else np.maximum(own, literal)
    return new


def auc(
    n: NDArray[np.float64], s: NDArray[np.float64], n_samples: int, lowest: int, highest: int
) -> NDArray[np.float64]:
    """AUC from counts and sums of centred ranks; −1 where infeasible."""
    outside = np.clip(n * (n_samples - n), 1, None)
    return np.where((n >= lowest) & (n <= highest), 0.5 + s / outside, -1.0)


def best_of(
    scores: NDArray[np.float64], n: NDArray[np.float64], beam: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The best few of each row, one of those with an equal count and (nearly) equal AUC."""
    wide = min(64 * beam, scores.shape[1] - 1)
    near = np.argpartition(-scores, wide, axis=1)[:, :wide]
    top, chosen = np.full((len(scores), beam), -1.0), np.zeros((len(scores), beam), np.intp)
    for j, row in enumerate(near):
        ordered = row[np.argsort(-scores[j, row], kind="stable")]
        kept: list[int] = []
        for place in ordered.tolist():
            if all(n[j, place] != n[j, k] or abs(scores[j, place] - scores[j, k]) > 1e-5 for k in kept):
                kept.append(place)
            if len(kept) == beam:
                break
        top[j, : len(kept)], chosen[j, : len(kept)] = scores[j, kept], kept
    return top, chosen
