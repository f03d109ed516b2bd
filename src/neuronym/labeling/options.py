"""The options of ``label`` for evidence beyond the search, and the split of the samples that they imply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuronym._util.limits import PERMUTATIONS, RESAMPLES, check_most
from neuronym._util.messages import warn
from neuronym.data.groups import SampleGroups
from neuronym.errors import OptionError
from neuronym.search.scores import AUC, Score, WithinStrata
from neuronym.stats.exchange import LEVEL, ExchangeBlocks, exchange_blocks
from neuronym.stats.split import hold_out, into_folds

__all__ = ["EvidenceOptions", "SampleSplit"]

_TAIL = 120  # permutations: the best quarter, 30, is enough of a tail to fit

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class EvidenceOptions:
    """The options of ``label`` for evidence, validated; its docstring describes each.

    Raises
    ------
    OptionError
        If an option is out of its range, or two of them contradict each other.
    """

    permutations: int | Literal["auto"] = 0
    seed: int = 0
    tail: bool = False
    holdout: float | None = None
    folds: int | None = None
    stability: int = 0
    effects: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.permutations, str) and self.permutations == "auto"):
            _check_int("permutations", self.permutations, 0, " or 'auto'")
            if 0 < self.permutations < 1 / LEVEL - 1:
                raise OptionError(
                    f"permutations={self.permutations} cannot give a p below {1 / (self.permutations + 1):.2g}: "
                    f"use at least {round(1 / LEVEL) - 1} to reach p ≤ {LEVEL}"
                )
        _check_int("seed", self.seed, 0)
        _check_int("stability", self.stability, 0)
        check_most([("permutations", self.permutations, PERMUTATIONS), ("stability", self.stability, RESAMPLES)])
        if self.folds is not None:
            _check_int("folds", self.folds, 2)
        share = self.holdout
        if share is not None and (
            isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 < share < 1
        ):
            raise OptionError(f"holdout must lie between 0 and 1, not {share!r}: 0.5 holds out half of the samples")
        if share is not None and self.folds is not None:
            raise OptionError("holdout and folds are two ways to hold out samples: choose one")
        if self.tail and self.permutations != "auto" and self.permutations < _TAIL:
            raise OptionError(
                f"tail=True fits the tail of the permutation null: use at least {_TAIL} permutations, not "
                f"{self.permutations}"
            )

    @property
    def requested(self) -> bool:
        """Whether any evidence is requested, all of which assumes that samples (or clusters) are independent."""
        return bool(self.permutations or self.holdout or self.folds or self.stability or self.effects)


def _check_int(name: str, value: object, lowest: int, other: str = "") -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < lowest:
        raise OptionError(f"{name} must be a whole number of at least {lowest}{other}, not {value!r}")


@dataclass(frozen=True)
class SampleSplit:
    """How the samples of one layer are split, decided before the search.

    Parameters
    ----------
    whole, searched : SampleGroups
        The groups of all samples, and of the samples to search.
    held : bool array of shape (n_rows,), or None
        Which rows of ``whole`` are held out; None without ``holdout``.
    clusters : int64 array of shape (n_rows,), or None
        The cluster of each row of ``whole``.
    strata : int64 array of shape (n_rows,), or None
        The stratum of each row of ``whole``; None if there is one.
    exchange : ExchangeBlocks or None
        Which of the samples searched may be exchanged by a permutation; None without ``permutations``.
    fold : int64 array of shape (n_rows,), or None
        The fold of each row of ``whole``; None without ``folds``.
    """

    whole: SampleGroups
    searched: SampleGroups
    held: Bools | None
    clusters: Ints | None
    strata: Ints | None
    exchange: ExchangeBlocks | None
    fold: Ints | None

    @classmethod
    def of(
        cls, whole: SampleGroups, clusters: Ints | None, strata: Ints | None, options: EvidenceOptions
    ) -> SampleSplit:
        """Split the samples as the options require.

        Parameters
        ----------
        whole : SampleGroups
            The groups of all samples.
        clusters, strata : int64 array of shape (n_rows,), or None
            The cluster and the stratum of each row of ``whole``.
        options : EvidenceOptions
            The evidence requested.

        Raises
        ------
        OptionError
            If a part would be empty, hardly any samples could be permuted, or all samples are in one cluster.
        """
        if strata is not None and (strata == strata[0]).all():
            strata = None
        if options.requested and clusters is not None and (clusters == clusters[0]).all():
            raise OptionError("all samples are in one cluster: evidence needs at least two clusters")
        groups, held, exchange, fold = whole, None, None, None
        if options.holdout is not None:
            held = hold_out(whole.row_groups, clusters, float(options.holdout), options.seed, strata)
            groups = whole.part(~held)
        if options.folds is not None:
            fold = into_folds(whole.row_groups, clusters, options.folds, options.seed, strata)
        if options.permutations:
            searched = slice(None) if held is None else ~held
            blocks = (None if each is None else each[searched] for each in (clusters, strata))
            exchange = exchange_blocks(groups.row_weights, *blocks)
            if exchange.fixed > 0.5:
                warn(
                    f"{exchange.fixed:.0%} of the samples cannot be permuted, because no other cluster has the size, "
                    "stratum and weights of theirs: p_search has hardly any power"
                )
        return cls(whole, groups, held, clusters, strata, exchange, fold)

    @property
    def score(self) -> Score:
        """What formulas are ranked by: the AUC, or with strata that of percentiles within them."""
        if self.strata is None:
            return AUC()
        return WithinStrata(strata=self.strata if self.held is None else self.strata[~self.held])

    def of_held(self, values: Ints | None) -> Ints | None:
        """Select the rows to measure on, those held out or else all, from one value per row; None stays None."""
        return values if values is None or self.held is None else values[self.held]
