"""What a part of a run's labels says about itself, so that all parts can be merged."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.shards import MOST
from neuronym.types import JsonDict

__all__ = ["Part"]


@dataclass(frozen=True, eq=False)
class Part:
    """Which part of a run some labels are, with what its other parts are needed for.

    Parameters
    ----------
    number, of : int
        Which shard, from 1, and how many there are.
    run : str
        A checksum of what determines all labels: options, concepts, names and how samples are split.
    n_labels : list of int
        How many of the labels are of each layer, in the order of the run.
    permuted, held_out : bool
        Whether there are permutations, and held-out samples.
    interrupted : bool
        Whether evidence is missing.
    places : int64 array of shape (n_measured,)
        The places of the labels that were measured on held-out samples.
    rows : float64 array of shape (n_measured, n_numbers)
        What was measured, in the order of ``neuronym.stats.measures.MEASURES``.
    clustered : bool array of shape (n_measured,)
        Whether it accounts for clusters.
    """

    number: int
    of: int
    run: str
    n_labels: list[int]
    permuted: bool
    held_out: bool
    interrupted: bool
    places: NDArray[np.int64]
    rows: NDArray[np.float64]
    clustered: NDArray[np.bool_]

    def to_json(self) -> JsonDict:
        """Convert to what JSON can hold; arrays are little-endian bytes in base64."""
        arrays = {name: _text(getattr(self, name), kind) for name, kind in _ARRAYS.items()}
        return {name: getattr(self, name) for name in _PLAIN} | {"n_numbers": self.rows.shape[1]} | arrays

    @classmethod
    def of_json(cls, given: Any) -> Part:
        """Read what ``to_json`` returned.

        Raises
        ------
        ValueError
            If it is something else.
        """
        if not isinstance(given, dict) or not all(type(given.get(name)) is kind for name, kind in _PLAIN.items()):
            raise ValueError("it does not say which part of a run it is")
        arrays: dict[str, Any] = {
            name: np.frombuffer(base64.b64decode(str(given.get(name))), kind) for name, kind in _ARRAYS.items()
        }
        rows = arrays.pop("rows").reshape(len(arrays["places"]), int(given["n_numbers"]))
        found, n_labels = cls(**{name: given[name] for name in _PLAIN}, rows=rows, **arrays), given["n_labels"]
        counts = all(type(n) is int and n >= 0 for n in n_labels)
        single = len(np.unique(found.places)) == len(rows) == len(found.clustered)
        if not (counts and single and 1 <= found.number <= found.of <= MOST):
            raise ValueError("what it says of the run does not fit together")
        if len(rows) and not 0 <= found.places.min() <= found.places.max() < sum(n_labels):
            raise ValueError("it measures labels that it lacks")
        return found


_PLAIN = {
    "number": int, "of": int, "run": str, "n_labels": list, "permuted": bool, "held_out": bool, "interrupted": bool,
}  # fmt: skip
_ARRAYS = {"places": "<i8", "rows": "<f8", "clustered": "?"}


def _text(array: NDArray[Any], kind: str) -> str:
    """An array as text."""
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()
