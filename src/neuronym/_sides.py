"""Samples that show a suspect concept against those that do not, neuron by neuron, in pairs where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._groups import Groups
from neuronym._inputs import check_finite, cluster_rows, grouped, ids_of
from neuronym._measures import MEASURES, measure, tested
from neuronym._paired import FEWEST, Pairs, sign_flips, signed_rank
from neuronym._progress import watched
from neuronym.activations import Activations, Name
from neuronym.concepts import Concepts
from neuronym.errors import ActivationsError, ConceptsError, OptionError
from neuronym.significance import adjusted, auc_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Sides"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sides:
    """Which samples of a layer show each suspect, and which of them are pairs."""

    suspects: Sequence[str]
    inside: Bools  # (n_suspects, n_rows)
    groups: Groups
    clusters: NDArray[np.int64] | None
    pairs: Sequence[Pairs]  # without any where they are not used

    @classmethod
    def of(
        cls, taken: Activations, shown: Concepts, suspects: Sequence[str], clusters: Any, paired: bool | None
    ) -> Sides:
        matched, groups = grouped(taken, shown, None, False)
        of_cluster = cluster_rows(taken, clusters, ids_of(taken, shown), groups)
        for suspect in suspects:
            if suspect not in matched:
                raise ConceptsError(
                    f"suspect {suspect!r} is shown by no or by every sample with activations: nothing can be compared"
                )
        inside = np.stack([matched[suspect] for suspect in suspects])
        pairs = [Pairs.of(row, None if paired is False else of_cluster) for row in inside]
        for k, suspect in enumerate(suspects):
            if paired and len(pairs[k]) < FEWEST:
                raise OptionError(
                    f"suspect {suspect!r} has {len(pairs[k])} pairs and at least {FEWEST} are needed: give clusters "
                    "that hold samples with it and without it, as overlay makes them, or do without pairs"
                )
            if len(pairs[k]) < FEWEST:
                pairs[k] = Pairs.of(inside[k], None)
        return cls(suspects, inside, groups, of_cluster, pairs)

    def numbers(
        self, taken: Activations, columns: NDArray[np.intp], permutations: int, seed: int, progress: bool
    ) -> list[pd.DataFrame]:
        """The table of each suspect."""
        if not len(columns):
            raise ActivationsError("there is no neuron to compare")
        blocks: Iterable[NDArray[np.intp]] = taken.blocks(columns)
        blocks = watched(blocks, len, "neurons", len(columns)) if progress else blocks
        parts = [self._of_block(taken.block(block), permutations, seed) for block in blocks]
        tables = []
        for k, suspect in enumerate(self.suspects):
            found = {name: np.concatenate([part[k][name] for part in parts]) for name in parts[0][k]}
            tables.append(_table(suspect, [taken.names[j] for j in columns], found, len(self.pairs[k])))
        return tables

    def _of_block(self, block: NDArray[Any], permutations: int, seed: int) -> list[dict[str, Floats]]:
        check_finite(block, self.groups)
        values = self.groups.used(block)
        ones = np.ones(len(values), np.int64)
        rows = np.zeros((len(self.suspects), values.shape[1]), MEASURES)
        for j in range(values.shape[1]):
            rows[:, j] = measure(values[:, j], self.inside, ones, self.clusters)
        return [self._compared(k, values, rows[k], permutations, seed) for k in range(len(self.suspects))]

    def _compared(
        self, k: int, values: NDArray[Any], rows: NDArray[np.void], permutations: int, seed: int
    ) -> dict[str, Floats]:
        inside, pairs = self.inside[k], self.pairs[k]
        low, high = auc_interval(rows["auc"], rows["variance"], rows["units_in"], rows["units_out"])
        outside = values[~inside].astype(np.float64)
        found = {"auc": rows["auc"], "auc_low": low, "auc_high": high}
        unknown = np.full(len(rows), np.nan)
        if len(pairs):
            differences = pairs.differences(values)
            found["change"] = differences.mean(axis=0)
            found["rises"] = ((differences > 0) + 0.5 * (differences == 0)).mean(axis=0)
            p, log10_p = signed_rank(differences)
            found["p_flip"] = sign_flips(differences, permutations, seed) if permutations else unknown
        else:
            found["change"] = values[inside].astype(np.float64).mean(axis=0) - outside.mean(axis=0)
            p, log10_p = tested(rows, self.clusters is not None)
            found |= {"rises": unknown, "p_flip": unknown}
        spread = outside.std(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found["change_sd"] = np.where(spread > 0, found["change"] / spread, np.nan)
        return {**found, "p": p, "log10_p": log10_p}

    def classes(self, taken: Activations, k: int, names: Mapping[Name, str]) -> pd.DataFrame:
        """How the logits, probabilities and predictions of classes change by a suspect."""
        from scipy.special import ndtri, softmax

        table = self.numbers(taken, taken.indices(), 0, 0, False)[k].sort_index()
        logits = np.asarray(self.groups.used(taken.block(taken.indices())), np.float64)
        inside, pairs = self.inside[k], self.pairs[k]
        rows = np.unique(pairs.weights.indices) if len(pairs) else np.arange(len(logits))
        before, after = rows[~inside[rows]], rows[inside[rows]]
        probabilities = softmax(logits, axis=1)
        predicted = logits.argmax(axis=1)
        if len(pairs):
            error = pairs.differences(logits).std(axis=0, ddof=1) / np.sqrt(len(pairs))
        else:
            error = _error(logits, inside, self.clusters)
        half = ndtri(0.975) * error
        columns = {
            "change_low": table["change"] - half,
            "change_high": table["change"] + half,
            "probability_before": probabilities[before].mean(axis=0),
            "probability_after": probabilities[after].mean(axis=0),
            "predicted_before": np.bincount(predicted[before], minlength=logits.shape[1]) / len(before),
            "predicted_after": np.bincount(predicted[after], minlength=logits.shape[1]) / len(after),
        }
        if names:
            table["name"] = [names.get(neuron, "") for neuron in table["neuron"]]
        table = table.rename(columns={"neuron": "class"}).assign(**columns)
        table["rank"] = _ranks(table["change"])
        order = ["suspect", "class", "name", "rank", "change", *columns, "rises", "auc", "p", "log10_p", "q"]
        kept = [name for name in order if name in table]
        return table[kept].sort_values("change", ascending=False, kind="stable", ignore_index=True)


def _error(values: Floats, inside: Bools, clusters: NDArray[np.int64] | None) -> Floats:
    """The standard error of the difference of means inside and outside, each cluster taken as one unit."""
    from scipy.sparse import csr_array

    share = np.where(inside, 1 / inside.sum(), -1 / (~inside).sum())
    means = np.where(inside[:, np.newaxis], values[inside].mean(axis=0), values[~inside].mean(axis=0))
    unit = np.arange(len(values)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    sums = csr_array((share, (unit, np.arange(len(values)))), shape=(n_units, len(values))) @ (values - means)
    error: Floats = np.sqrt((sums**2).sum(axis=0) * n_units / max(n_units - 1, 1))
    return error


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
    table["pairs"], table["rank"], table["q"] = n_pairs, _ranks(table["auc"]), adjusted(table["p"])
    order = ("suspect", "neuron", "rank", "auc", "auc_low", "auc_high", "change", "change_sd", "rises", "pairs")
    return table[[*order, "p", "log10_p", "p_flip", "q"]].sort_values("rank")
