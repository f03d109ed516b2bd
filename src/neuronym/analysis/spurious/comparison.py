"""Comparison of samples with and without a suspect concept, neuron by neuron, within pairs if there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.messages import warn
from neuronym._util.parallel import progress_bar
from neuronym.data.activations import Activations
from neuronym.data.groups import SampleGroups
from neuronym.data.sparse import dense, in_parts
from neuronym.errors import ActivationsError, ConceptsError, OptionError
from neuronym.inputs.alignment import Aligned, check_finite
from neuronym.stats.measures import confidence_intervals, measure, p_values
from neuronym.stats.paired import FEWEST, Pairs, sign_flips, signed_rank
from neuronym.stats.significance import benjamini_hochberg
from neuronym.types import AnyArray, Name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SuspectComparison"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SuspectComparison:
    """The samples of a layer that are compared for each suspect: with it, without it, and in pairs.

    Parameters
    ----------
    suspects : sequence of str
        The suspect concepts.
    inside : bool array of shape (n_suspects, n_rows)
        The samples that have each suspect.
    patterns : int64 array of shape (n_suspects, n_rows)
        The pattern of the other suspects that each sample has: samples are compared within equal patterns.
    compared : bool array of shape (n_suspects, n_rows)
        The samples that enter the comparison: those with a pattern in which the suspect differs.
    groups : SampleGroups
        The groups of equal samples, through which activations are read.
    clusters : int64 array of shape (n_rows,), optional
        The cluster of each sample.
    pairs : sequence of Pairs
        The pairs for each suspect; empty if pairs are not used.
    """

    suspects: Sequence[str]
    inside: Bools
    patterns: NDArray[np.int64]
    compared: Bools
    groups: SampleGroups
    clusters: NDArray[np.int64] | None
    pairs: Sequence[Pairs]

    @classmethod
    def of(cls, aligned: Aligned, suspects: Sequence[str], paired: bool | None) -> SuspectComparison:
        """Find the samples to compare, and the pairs among them."""
        inside = np.stack([aligned.shown[suspect] for suspect in suspects])  # raises with the nearest names
        for suspect, members in zip(suspects, inside, strict=True):
            if members.all() or not members.any():
                raise ConceptsError(
                    f"no sample or every sample with activations has the suspect {suspect!r}: a comparison needs "
                    "samples with it and without it"
                )
        patterns, compared = np.zeros(inside.shape, np.int64), np.zeros_like(inside)
        for k, members in enumerate(inside):
            others = np.delete(inside, k, axis=0)
            patterns[k] = np.unique(others, axis=1, return_inverse=True)[1].ravel()
            both = np.intersect1d(patterns[k][members], patterns[k][~members])
            compared[k] = np.isin(patterns[k], both)
        kept = _kept(suspects, compared)
        pairs = []
        for k in kept:
            found = Pairs.of(inside[k], None if paired is False else aligned.clusters, patterns[k])
            if paired and len(found) < FEWEST:
                raise OptionError(
                    f"suspect {suspects[k]!r} has {len(found)} pairs and at least {FEWEST} are needed: give clusters "
                    "of samples with it and without it, as overlay makes them, or leave out paired=True (--paired)"
                )
            pairs.append(found if len(found) >= FEWEST else Pairs.of(inside[k], None))
        named = [suspects[k] for k in kept]
        return cls(named, inside[kept], patterns[kept], compared[kept], aligned.groups, aligned.clusters, pairs)

    def neuron_tables(
        self, activations: Activations, columns: NDArray[np.intp], permutations: int, seed: int, progress: bool
    ) -> list[pd.DataFrame]:
        """Compare the activations of neurons, and return one table per suspect."""
        if not len(columns):
            raise ActivationsError("there is no neuron to compare: name at least one")
        blocks: Iterable[NDArray[np.intp]] = activations.blocks(columns)
        blocks = progress_bar(blocks, len, "neurons", len(columns)) if progress else blocks
        parts = [
            self._compare_block(part, permutations, seed)
            for block in blocks
            for part in in_parts(self.groups.select_rows(activations.block(block)))
        ]
        tables = []
        for k, suspect in enumerate(self.suspects):
            statistics = {name: np.concatenate([part[k][name] for part in parts]) for name in parts[0][k]}
            compared, pairs = self.compared[k], self.pairs[k]
            counts = {
                "pairs": len(pairs),
                "unpaired": int(compared.sum()) - pairs.n_samples,
                "left_out": int((~compared).sum()),
            }
            tables.append(_table(suspect, [activations.names[j] for j in columns], statistics, counts))
        return tables

    def _compare_block(self, values: AnyArray, permutations: int, seed: int) -> list[dict[str, Floats]]:
        """Compare a block of neurons for each suspect."""
        check_finite(values)
        return [self._compare(k, values, permutations, seed) for k in range(len(self.suspects))]

    def _compare(self, k: int, values: AnyArray, permutations: int, seed: int) -> dict[str, Floats]:
        """Compute the statistics of a block of neurons for the suspect k."""
        compared, pairs = self.compared[k], self.pairs[k]
        inside, block, patterns = self.inside[k][compared], values[compared], self.patterns[k][compared]
        ones, clusters = np.ones(len(block), np.int64), None if self.clusters is None else self.clusters[compared]
        rows = np.concatenate(
            [measure(column, inside[np.newaxis], ones, clusters, False, patterns) for column in block.T]
        )
        interval = confidence_intervals(rows, clusters is not None)
        outside = block[~inside].astype(np.float64)
        statistics = {"auc": rows["auc"], "auc_low": interval[0], "auc_high": interval[1]}
        unknown = np.full(len(rows), np.nan)
        if len(pairs):
            differences = pairs.differences(values)
            statistics["change"] = differences.mean(axis=0)
            statistics["rises"] = ((differences > 0) + 0.5 * (differences == 0)).mean(axis=0)
            p, log10_p = signed_rank(differences)
            statistics["p_flip"] = sign_flips(differences, permutations, seed) if permutations else unknown
        else:
            without, with_suspect = _within(inside, patterns)
            statistics["change"] = with_suspect @ block.astype(np.float64) - without @ block.astype(np.float64)
            p, log10_p = p_values(rows, self.clusters is not None)
            statistics |= {"rises": unknown, "p_flip": unknown}
        sd = outside.std(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistics["change_sd"] = np.where(sd > 0, statistics["change"] / sd, np.nan)
        return {**statistics, "p": p, "log10_p": log10_p}

    def class_tables(self, activations: Activations, names: Mapping[Name, str]) -> list[pd.DataFrame]:
        """Measure how the logits, probabilities and predictions of classes change, in one table per suspect."""
        from scipy.special import softmax

        logits = dense(self.groups.select_rows(activations.block(activations.indices()))).astype(np.float64)
        predicted = np.zeros(logits.shape)
        predicted[np.arange(len(logits)), logits.argmax(axis=1)] = 1
        shares = softmax(logits, axis=1), predicted
        tables = self.neuron_tables(activations, activations.indices(), 0, 0, False)
        return [self._class_table(k, table.sort_index(), logits, shares, names) for k, table in enumerate(tables)]

    def _class_table(
        self, k: int, table: pd.DataFrame, logits: Floats, shares: tuple[Floats, Floats], names: Mapping[Name, str]
    ) -> pd.DataFrame:
        """Make the table of classes for the suspect k from its table of logits."""
        from scipy.special import stdtrit

        inside, pairs = self.inside[k], self.pairs[k]
        if len(pairs):
            before_after = [pairs.means(numbers) for numbers in shares]
            means = [(before.mean(axis=0), after.mean(axis=0)) for before, after in before_after]
            error, units = pairs.differences(logits).std(axis=0, ddof=1) / np.sqrt(len(pairs)), len(pairs)
        else:
            compared, patterns = self.compared[k], self.patterns[k][self.compared[k]]
            clusters = None if self.clusters is None else self.clusters[compared]
            weights = _within(inside[compared], patterns)
            means = [(weights[0] @ x[compared], weights[1] @ x[compared]) for x in shares]
            error, units = _standard_error(logits[compared], inside[compared], patterns, clusters)
        half = (stdtrit(units - 1, 0.975) if units > 1 else np.nan) * error
        columns = {"change_low": table["change"] - half, "change_high": table["change"] + half}
        for name, (before, after) in zip(("probability", "predicted"), means, strict=True):
            columns |= {f"{name}_before": before, f"{name}_after": after}
        if names:
            table["name"] = [names.get(neuron, "") for neuron in table["neuron"]]
        table = table.rename(columns={"neuron": "class"}).assign(**columns)
        table["rank"] = _ranks(table["change"])
        order = ["suspect", "class", "name", "rank", "change", *columns, "rises", "auc", "p", "log10_p", "q"]
        kept = [name for name in order if name in table]
        return table[kept].sort_values("change", ascending=False, kind="stable", ignore_index=True)


def _kept(suspects: Sequence[str], compared: Bools) -> NDArray[np.intp]:
    """The places of the suspects that can be compared; warn of the others, or raise an error if there is none."""
    lost = [suspect for suspect, samples in zip(suspects, compared, strict=True) if not samples.any()]
    reason = "never differs between samples that agree on the other suspects"
    if len(lost) == len(suspects):
        raise ConceptsError(f"suspect {lost[0]!r} {reason}: test it on its own")
    for suspect in lost:
        warn(f"suspect {suspect!r} {reason}, so there are no numbers for it: test it on its own")
    return np.flatnonzero(compared.any(axis=1))


def _strata(inside: Bools, patterns: NDArray[np.int64]) -> tuple[NDArray[np.intp], list[NDArray[np.int64]], Floats]:
    """The stratum of each sample, the numbers without and with the suspect, and van Elteren's share, of each."""
    stratum = np.unique(patterns, return_inverse=True)[1]
    numbers = [np.bincount(stratum[side], minlength=int(stratum.max()) + 1) for side in (~inside, inside)]
    weight = numbers[0] * numbers[1] / (numbers[0] + numbers[1] + 1)
    return stratum, numbers, weight / weight.sum()


def _within(inside: Bools, patterns: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """What each sample counts in the means without and with the suspect, whose difference is within patterns.

    The difference of each pattern counts as its AUC does, by van Elteren's weights.
    """
    stratum, numbers, share = _strata(inside, patterns)
    without, with_suspect = (
        np.where(side, (share / of_side)[stratum], 0) for side, of_side in zip((~inside, inside), numbers, strict=True)
    )
    return without, with_suspect


def _standard_error(
    values: Floats, inside: Bools, patterns: NDArray[np.int64], clusters: NDArray[np.int64] | None
) -> tuple[Floats, int]:
    """Return the standard error of a difference of means within patterns, and the number of units of the smaller side.

    Each cluster is one unit. The variance is that of the units' sums, times n / (n − 1) for the n units of a side of a
    pattern. A pattern with a single unit on a side is compared with the other patterns.
    """
    from scipy.sparse import csr_array

    stratum, _, share = _strata(inside, patterns)
    unit = np.arange(len(values)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    codes, part = np.unique(unit * len(share) + stratum, return_inverse=True)
    own, rows = codes % len(share), np.arange(len(values))
    sums, difference = np.zeros((len(codes), values.shape[1])), np.zeros((len(share), values.shape[1]))
    present, numbers = [], []
    for side, weight, sign in zip((~inside, inside), _within(inside, patterns), (-1, 1), strict=True):
        averaged = csr_array((weight / share[stratum], (stratum, rows)), shape=(len(share), len(rows)))
        mean = np.asarray(averaged @ values)
        difference += sign * mean
        present.append(np.bincount(part[side], minlength=len(codes)) > 0)
        numbers.append(np.bincount(own[present[-1]], minlength=len(share)))
        n = numbers[-1][stratum]
        scaled = sign * weight * np.sqrt(n / np.maximum(n - 1, 1))
        by_part = csr_array((scaled, (part, rows)), shape=(len(codes), len(rows)))
        sums += np.asarray(by_part @ (values - mean[stratum]))
    single = np.minimum(*numbers) == 1
    with np.errstate(invalid="ignore", divide="ignore"):
        alone = (share / (1 - share))[:, np.newaxis] * (difference - share @ difference)
    lone = single[own] & np.where((numbers[0] == 1)[own], *present)
    sums = np.where(lone[:, np.newaxis], alone[own], np.where(single[own][:, np.newaxis], 0, sums))
    of_unit = csr_array((np.ones(len(codes)), (codes // len(share), np.arange(len(codes)))))
    freedom = min(int((of_side - 1)[~single].sum()) for of_side in numbers) + max(int(single.sum()) - 1, 0)
    error: Floats = np.sqrt((np.asarray(of_unit @ sums) ** 2).sum(axis=0))
    return error, freedom + 1


def _ranks(values: ArrayLike) -> NDArray[np.int64]:
    """Rank values from 1, the highest; of equal values, the first ranks higher."""
    order = np.argsort(-np.asarray(values), kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def _table(
    suspect: str, neurons: Sequence[Name], statistics: Mapping[str, Floats], counts: Mapping[str, int]
) -> pd.DataFrame:
    """Make a table with one row per neuron, the highest AUC first; its index is the position of the neuron."""
    import pandas as pd

    table = pd.DataFrame({"suspect": suspect, "neuron": pd.Series(list(neurons), dtype=object), **statistics})
    table = table.assign(**counts)
    table["rank"], table["q"] = _ranks(table["auc"]), benjamini_hochberg(table["p"])
    order = ("suspect", "neuron", "rank", "auc", "auc_low", "auc_high", "change", "change_sd", "rises")
    return table[[*order, *counts, "p", "log10_p", "p_flip", "q"]].sort_values("rank")
