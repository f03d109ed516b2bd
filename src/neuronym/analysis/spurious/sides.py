"""Samples that show a suspect concept against those that do not, neuron by neuron, in pairs where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.parallel import progress_bar
from neuronym.data.activations import Activations
from neuronym.data.groups import ConceptGroups
from neuronym.errors import ActivationsError, ConceptsError, OptionError
from neuronym.inputs.alignment import Aligned, check_finite
from neuronym.stats.measures import measure, p_values
from neuronym.stats.paired import FEWEST, Pairs, paired_interval, sign_flips, signed_rank
from neuronym.stats.significance import auc_interval, benjamini_hochberg
from neuronym.types import Name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SuspectComparison"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SuspectComparison:
    """Which samples of a layer show each suspect, which are compared with them, and which are pairs."""

    suspects: Sequence[str]
    inside: Bools  # (n_suspects, n_rows)
    among: Bools  # (n_suspects, n_rows)
    groups: ConceptGroups
    clusters: NDArray[np.int64] | None
    pairs: Sequence[Pairs]  # without any where they are not used

    @classmethod
    def of(cls, aligned: Aligned, suspects: Sequence[str], paired: bool | None) -> SuspectComparison:
        matched, groups, of_cluster = aligned.searched, aligned.groups, aligned.clusters
        for suspect in suspects:
            aligned.shown.index(suspect)  # or the nearest names
            if suspect not in matched:
                raise ConceptsError(
                    f"suspect {suspect!r} is shown by no or by every sample with activations: nothing can be compared"
                )
        inside = np.stack([matched[suspect] for suspect in suspects])
        among, pairs = np.ones_like(inside), []
        for k, suspect in enumerate(suspects):
            others = np.unique(np.delete(inside, k, axis=0), axis=1, return_inverse=True)[1].ravel()
            both = np.intersect1d(others[inside[k]], others[~inside[k]])
            among[k] = np.isin(others, both)
            if not len(both):
                raise ConceptsError(
                    f"suspect {suspect!r} never differs alone from the other suspects: ask for it on its own"
                )
            alike = None
            if paired is not False and of_cluster is not None:  # a partner shows the same of the other suspects
                alike = np.unique(np.stack([of_cluster, others]), axis=1, return_inverse=True)[1].ravel()
            pairs.append(Pairs.of(inside[k], alike))
            if paired and len(pairs[k]) < FEWEST:
                raise OptionError(
                    f"suspect {suspect!r} has {len(pairs[k])} pairs and at least {FEWEST} are needed: give clusters "
                    "that hold samples with it and without it, as overlay makes them, or do without pairs"
                )
            if len(pairs[k]) < FEWEST:
                pairs[k] = Pairs.of(inside[k], None)
        return cls(suspects, inside, among, groups, of_cluster, pairs)

    def numbers(
        self, taken: Activations, columns: NDArray[np.intp], permutations: int, seed: int, progress: bool
    ) -> list[pd.DataFrame]:
        """The table of each suspect."""
        if not len(columns):
            raise ActivationsError("there is no neuron to compare")
        blocks: Iterable[NDArray[np.intp]] = taken.blocks(columns)
        blocks = progress_bar(blocks, len, "neurons", len(columns)) if progress else blocks
        parts = [self._of_block(taken.block(block), permutations, seed) for block in blocks]
        tables = []
        for k, suspect in enumerate(self.suspects):
            found = {name: np.concatenate([part[k][name] for part in parts]) for name in parts[0][k]}
            tables.append(_table(suspect, [taken.names[j] for j in columns], found, len(self.pairs[k])))
        return tables

    def _of_block(self, block: NDArray[Any], permutations: int, seed: int) -> list[dict[str, Floats]]:
        values = self.groups.used(block)
        check_finite(values)
        return [self._compared(k, values, permutations, seed) for k in range(len(self.suspects))]

    def _compared(self, k: int, values: NDArray[Any], permutations: int, seed: int) -> dict[str, Floats]:
        among, pairs = self.among[k], self.pairs[k]
        inside, part = self.inside[k][among], values[among]
        ones, clusters = np.ones(len(part), np.int64), None if self.clusters is None else self.clusters[among]
        rows = np.concatenate([measure(column, inside[np.newaxis], ones, clusters) for column in part.T])
        interval = auc_interval(rows["auc"], rows["variance"], rows["units_in"], rows["units_out"])
        if len(pairs):
            interval = paired_interval(rows["auc"], rows["variance"], len(pairs), interval)
        outside = part[~inside].astype(np.float64)
        found = {"auc": rows["auc"], "auc_low": interval[0], "auc_high": interval[1]}
        unknown = np.full(len(rows), np.nan)
        if len(pairs):
            differences = pairs.differences(values)
            found["change"] = differences.mean(axis=0)
            found["rises"] = ((differences > 0) + 0.5 * (differences == 0)).mean(axis=0)
            p, log10_p = signed_rank(differences)
            found["p_flip"] = sign_flips(differences, permutations, seed) if permutations else unknown
        else:
            found["change"] = part[inside].astype(np.float64).mean(axis=0) - outside.mean(axis=0)
            p, log10_p = p_values(rows, self.clusters is not None)
            found |= {"rises": unknown, "p_flip": unknown}
        spread = outside.std(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found["change_sd"] = np.where(spread > 0, found["change"] / spread, np.nan)
        return {**found, "p": p, "log10_p": log10_p}

    def classes(self, taken: Activations, names: Mapping[Name, str]) -> list[pd.DataFrame]:
        """How the logits, probabilities and predictions of classes change, for each suspect."""
        from scipy.special import softmax

        logits = np.asarray(self.groups.used(taken.block(taken.indices())), np.float64)
        predicted = np.zeros(logits.shape)
        predicted[np.arange(len(logits)), logits.argmax(axis=1)] = 1
        shares = softmax(logits, axis=1), predicted
        tables = self.numbers(taken, taken.indices(), 0, 0, False)
        return [self._classes(k, table.sort_index(), logits, shares, names) for k, table in enumerate(tables)]

    def _classes(
        self, k: int, table: pd.DataFrame, logits: Floats, shares: tuple[Floats, Floats], names: Mapping[Name, str]
    ) -> pd.DataFrame:
        from scipy.special import stdtrit

        inside, pairs = self.inside[k], self.pairs[k]
        if len(pairs):
            means = [pairs.means(numbers) for numbers in shares]
            error, units = pairs.differences(logits).std(axis=0, ddof=1) / np.sqrt(len(pairs)), len(pairs)
        else:
            sides = [self.among[k] & ~inside, self.among[k] & inside]
            means = [(x[sides[0]], x[sides[1]]) for x in shares]
            error, units = _error(logits, sides, self.clusters)
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


def _error(values: Floats, sides: Sequence[Bools], clusters: NDArray[np.int64] | None) -> tuple[Floats, int]:
    """The standard error of a difference of means, each cluster taken as one unit; the units of the smaller side.

    The variance of each side's mean is that of its clusters' sums, n / (n − 1) for n clusters, less twice their
    covariance where clusters have samples on both sides.
    """
    from scipy.sparse import csr_array

    unit = np.arange(len(values)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n_units, sums, numbers = int(unit.max()) + 1, [], []
    for side in sides:
        rows = np.flatnonzero(side)
        share = np.full(len(rows), 1 / len(rows))
        away = values[rows] - values[rows].mean(axis=0)
        sums.append(csr_array((share, (unit[rows], np.arange(len(rows)))), shape=(n_units, len(rows))) @ away)
        numbers.append(len(np.unique(unit[rows])))
    spread = sum((own**2).sum(axis=0) * n / max(n - 1, 1) for own, n in zip(sums, numbers, strict=True))
    error: Floats = np.sqrt(np.maximum(spread - 2 * (sums[0] * sums[1]).sum(axis=0), 0))
    return error, min(numbers)


def _ranks(values: Any) -> NDArray[np.int64]:
    """1 for the highest value; of equal ones the first."""
    order = np.argsort(-np.asarray(values), kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def _table(suspect: str, neurons: Sequence[Name], found: Mapping[str, Floats], n_pairs: int) -> pd.DataFrame:
    """A row per neuron, the highest AUC first; the index is the place of the neuron."""
    import pandas as pd

    table = pd.DataFrame({"suspect": suspect, "neuron": pd.Series(list(neurons), dtype=object), **found})
    table["pairs"], table["rank"], table["q"] = n_pairs, _ranks(table["auc"]), benjamini_hochberg(table["p"])
    order = ("suspect", "neuron", "rank", "auc", "auc_low", "auc_high", "change", "change_sd", "rises", "pairs")
    return table[[*order, "p", "log10_p", "p_flip", "q"]].sort_values("rank")
