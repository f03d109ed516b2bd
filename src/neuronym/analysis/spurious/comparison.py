"""Comparison of samples with and without a suspect concept, neuron by neuron, within pairs if there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._util.parallel import progress_bar
from neuronym.data.activations import Activations
from neuronym.data.groups import SampleGroups
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
    compared : bool array of shape (n_suspects, n_rows)
        The samples that enter the comparison: those for which some sample of the other kind agrees on the other
        suspects.
    groups : SampleGroups
        The groups of equal samples, through which activations are read.
    clusters : int64 array of shape (n_rows,), optional
        The cluster of each sample.
    pairs : sequence of Pairs
        The pairs for each suspect; empty if pairs are not used.
    """

    suspects: Sequence[str]
    inside: Bools
    compared: Bools
    groups: SampleGroups
    clusters: NDArray[np.int64] | None
    pairs: Sequence[Pairs]

    @classmethod
    def of(cls, aligned: Aligned, suspects: Sequence[str], paired: bool | None) -> SuspectComparison:
        """Find the samples to compare, and the pairs among them."""
        matched, groups, clusters = aligned.searched, aligned.groups, aligned.clusters
        for suspect in suspects:
            aligned.shown.index(suspect)  # raises with the nearest names
            if suspect not in matched:
                raise ConceptsError(
                    f"no sample or every sample with activations has the suspect {suspect!r}: a comparison needs "
                    "samples with it and without it"
                )
        inside = np.stack([matched[suspect] for suspect in suspects])
        compared, pairs = np.ones_like(inside), []
        for k, suspect in enumerate(suspects):
            others = np.unique(np.delete(inside, k, axis=0), axis=1, return_inverse=True)[1].ravel()
            both = np.intersect1d(others[inside[k]], others[~inside[k]])
            compared[k] = np.isin(others, both)
            if not len(both):
                raise ConceptsError(
                    f"suspect {suspect!r} never differs between samples that agree on the other suspects: test it on "
                    "its own"
                )
            pair_group = None
            if paired is not False and clusters is not None:  # a partner agrees on the other suspects
                pair_group = np.unique(np.stack([clusters, others]), axis=1, return_inverse=True)[1].ravel()
            pairs.append(Pairs.of(inside[k], pair_group))
            if paired and len(pairs[k]) < FEWEST:
                raise OptionError(
                    f"suspect {suspect!r} has {len(pairs[k])} pairs and at least {FEWEST} are needed: give clusters "
                    "of samples with it and without it, as overlay makes them, or leave out paired=True (--paired)"
                )
            if len(pairs[k]) < FEWEST:
                pairs[k] = Pairs.of(inside[k], None)
        return cls(suspects, inside, compared, groups, clusters, pairs)

    def neuron_tables(
        self, activations: Activations, columns: NDArray[np.intp], permutations: int, seed: int, progress: bool
    ) -> list[pd.DataFrame]:
        """Compare the activations of neurons, and return one table per suspect."""
        if not len(columns):
            raise ActivationsError("there is no neuron to compare: name at least one")
        blocks: Iterable[NDArray[np.intp]] = activations.blocks(columns)
        blocks = progress_bar(blocks, len, "neurons", len(columns)) if progress else blocks
        parts = [self._compare_block(activations.block(block), permutations, seed) for block in blocks]
        tables = []
        for k, suspect in enumerate(self.suspects):
            statistics = {name: np.concatenate([part[k][name] for part in parts]) for name in parts[0][k]}
            tables.append(_table(suspect, [activations.names[j] for j in columns], statistics, len(self.pairs[k])))
        return tables

    def _compare_block(self, block: AnyArray, permutations: int, seed: int) -> list[dict[str, Floats]]:
        """Compare a block of neurons for each suspect."""
        values = self.groups.select_rows(block)
        check_finite(values)
        return [self._compare(k, values, permutations, seed) for k in range(len(self.suspects))]

    def _compare(self, k: int, values: AnyArray, permutations: int, seed: int) -> dict[str, Floats]:
        """Compute the statistics of a block of neurons for the suspect k."""
        compared, pairs = self.compared[k], self.pairs[k]
        inside, block = self.inside[k][compared], values[compared]
        ones, clusters = np.ones(len(block), np.int64), None if self.clusters is None else self.clusters[compared]
        rows = np.concatenate([measure(column, inside[np.newaxis], ones, clusters) for column in block.T])
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
            statistics["change"] = block[inside].astype(np.float64).mean(axis=0) - outside.mean(axis=0)
            p, log10_p = p_values(rows, self.clusters is not None)
            statistics |= {"rises": unknown, "p_flip": unknown}
        sd = outside.std(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistics["change_sd"] = np.where(sd > 0, statistics["change"] / sd, np.nan)
        return {**statistics, "p": p, "log10_p": log10_p}

    def class_tables(self, activations: Activations, names: Mapping[Name, str]) -> list[pd.DataFrame]:
        """Measure how the logits, probabilities and predictions of classes change, in one table per suspect."""
        from scipy.special import softmax

        logits = np.asarray(self.groups.select_rows(activations.block(activations.indices())), np.float64)
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
            means = [pairs.means(numbers) for numbers in shares]
            error, units = pairs.differences(logits).std(axis=0, ddof=1) / np.sqrt(len(pairs)), len(pairs)
        else:
            without, with_suspect = self.compared[k] & ~inside, self.compared[k] & inside
            means = [(x[without], x[with_suspect]) for x in shares]
            error, units = _standard_error(logits, [without, with_suspect], self.clusters)
        half = (stdtrit(units - 1, 0.975) if units > 1 else np.nan) * error
        columns = {"change_low": table["change"] - half, "change_high": table["change"] + half}
        for name, (before, after) in zip(("probability", "predicted"), means, strict=True):
            columns |= {f"{name}_before": before.mean(axis=0), f"{name}_after": after.mean(axis=0)}
        if names:
            table["name"] = [names.get(neuron, "") for neuron in table["neuron"]]
        table = table.rename(columns={"neuron": "class"}).assign(**columns)
        table["rank"] = _ranks(table["change"])
        order = ["suspect", "class", "name", "rank", "change", *columns, "rises", "auc", "p", "log10_p", "q"]
        kept = [name for name in order if name in table]
        return table[kept].sort_values("change", ascending=False, kind="stable", ignore_index=True)


def _standard_error(values: Floats, samples: Sequence[Bools], clusters: NDArray[np.int64] | None) -> tuple[Floats, int]:
    """Return the standard error of a difference of two means, and the number of units of the smaller set.

    Each cluster is one unit. The variance of a mean is that of its clusters' sums, times n / (n − 1) for n clusters;
    twice the covariance is subtracted for clusters with samples in both sets.
    """
    from scipy.sparse import csr_array

    unit = np.arange(len(values)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n_units, sums, counts = int(unit.max()) + 1, [], []
    for mask in samples:
        rows = np.flatnonzero(mask)
        share = np.full(len(rows), 1 / len(rows))
        centred = values[rows] - values[rows].mean(axis=0)
        sums.append(csr_array((share, (unit[rows], np.arange(len(rows)))), shape=(n_units, len(rows))) @ centred)
        counts.append(len(np.unique(unit[rows])))
    variance = sum((of_units**2).sum(axis=0) * n / max(n - 1, 1) for of_units, n in zip(sums, counts, strict=True))
    error: Floats = np.sqrt(np.maximum(variance - 2 * (sums[0] * sums[1]).sum(axis=0), 0))
    return error, min(counts)


def _ranks(values: ArrayLike) -> NDArray[np.int64]:
    """Rank values from 1, the highest; of equal values, the first ranks higher."""
    order = np.argsort(-np.asarray(values), kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def _table(suspect: str, neurons: Sequence[Name], statistics: Mapping[str, Floats], n_pairs: int) -> pd.DataFrame:
    """Make a table with one row per neuron, the highest AUC first; its index is the position of the neuron."""
    import pandas as pd

    table = pd.DataFrame({"suspect": suspect, "neuron": pd.Series(list(neurons), dtype=object), **statistics})
    table["pairs"], table["rank"], table["q"] = n_pairs, _ranks(table["auc"]), benjamini_hochberg(table["p"])
    order = ("suspect", "neuron", "rank", "auc", "auc_low", "auc_high", "change", "change_sd", "rises", "pairs")
    return table[[*order, "p", "log10_p", "p_flip", "q"]].sort_values("rank")
