"""What ``label`` is asked for beside the search, and what becomes of the samples for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import warn
from neuronym.data.groups import ConceptGroups
from neuronym.errors import OptionError
from neuronym.stats.exchange import LEVEL, ExchangeBlocks, exchange_blocks
from neuronym.stats.split import hold_out, into_folds

__all__ = ["EvidenceOptions", "SampleSplit"]

_TAIL = 120  # permutations, of which a quarter is a tail of 30

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class EvidenceOptions:
    """What ``label`` is asked for beside the search; its docstring says what each is."""

    permutations: int | Literal["auto"] = 0
    seed: int = 0
    tail: bool = False
    holdout: float | None = None
    folds: int | None = None
    stability: int = 0
    effects: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.permutations, str) and self.permutations == "auto"):
            _whole("permutations", self.permutations, 0, " or 'auto'")
            if 0 < self.permutations < 1 / LEVEL - 1:
                raise OptionError(
                    f"permutations={self.permutations} cannot give a p below {1 / (self.permutations + 1):.2g}: "
                    f"at least {round(1 / LEVEL) - 1} are needed for p ≤ {LEVEL}"
                )
        _whole("seed", self.seed, 0)
        _whole("stability", self.stability, 0)
        if self.folds is not None:
            _whole("folds", self.folds, 2)
        share = self.holdout
        if share is not None and (
            isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 < share < 1
        ):
            raise OptionError(f"holdout must lie between 0 and 1, not {share!r}: 0.5 sets half of the samples apart")
        if share is not None and self.folds is not None:
            raise OptionError("holdout and folds are two ways to hold samples out: choose one")
        if self.tail and self.permutations != "auto" and self.permutations < _TAIL:
            raise OptionError(
                f"tail=True fits the tail of a permutation null: give at least {_TAIL} permutations, not "
                f"{self.permutations}"
            )

    @property
    def again(self) -> bool:
        """Whether something is asked for that rests on samples being independent of each other."""
        return bool(self.permutations or self.holdout or self.folds or self.stability or self.effects)


def _whole(name: str, value: object, lowest: int, other: str = "") -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < lowest:
        raise OptionError(f"{name} must be a whole number of at least {lowest}{other}, not {value!r}")


@dataclass(frozen=True)
class SampleSplit:
    """What becomes of the samples of one layer, decided before the search.

    Parameters
    ----------
    whole, searched : the groups of all samples, and of those that are searched
    held : bool, one per row of ``whole``, or None
        Which are held out.
    clusters : int64, one per row of ``whole``, or None
    exchange : which of the samples that are searched trade places, where permutations are asked for
    fold : int64, one per row of ``whole``, where folds are asked for
    """

    whole: ConceptGroups
    searched: ConceptGroups
    held: Bools | None
    clusters: Ints | None
    exchange: ExchangeBlocks | None
    fold: Ints | None

    @classmethod
    def of(
        cls, whole: ConceptGroups, clusters: Ints | None, strata: Ints | None, asked: EvidenceOptions
    ) -> SampleSplit:
        """Deal the samples out.

        Raises
        ------
        OptionError
            If a part would be empty, hardly anything is left to permute, or there is one cluster alone.
        """
        if strata is not None and not asked.permutations:
            raise OptionError("strata say what permutations stay within: give permutations too")
        if asked.again and clusters is not None and (clusters == clusters[0]).all():
            raise OptionError("clusters put all samples into one: nothing can be said without at least two")
        groups, held, trade, fold = whole, None, None, None
        if asked.holdout is not None:
            held = hold_out(whole.row_groups, clusters, float(asked.holdout), asked.seed)
            groups = whole.part(~held)
        if asked.folds is not None:
            fold = into_folds(whole.row_groups, clusters, asked.folds, asked.seed)
        if asked.permutations:
            kept = slice(None) if held is None else ~held
            own = (None if given is None else given[kept] for given in (clusters, strata))
            trade = exchange_blocks(groups.row_weights, *own)
            if trade.fixed > 0.5:
                warn(
                    f"{trade.fixed:.0%} of the samples stay in place when the others are permuted, since no other "
                    "cluster or stratum is like theirs: p_search will hardly find anything"
                )
        return cls(whole, groups, held, clusters, trade, fold)
