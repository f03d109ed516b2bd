"""How to choose the length L, the fraction α: what more concepts, and larger formulas, gain and cost.

The paper's trade-off of simplicity and precision. Activations are ranked once for all settings, and one search of the
greatest length answers for all shorter ones, so a sweep costs little more than one run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.messages import warn
from neuronym._util.parallel import check_n_jobs, n_workers, parallel_map, progress_bar
from neuronym.data.activations import Activations
from neuronym.data.depths import as_hierarchy, hierarchy_positions
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import check_finite
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.search.beam import Code, Rules, Searcher, SearchResult
from neuronym.stats.resampling import measure_formulas
from neuronym.types import ActivationsLike, ClustersLike, ConceptsLike, HierarchyLike, Name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sweep"]

_BLOCK = 32  # neurons in a task


def sweep(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    length: int = 5,
    min_fractions: Sequence[float] = (0.0, 0.005, 0.01, 0.02, 0.05),
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    hierarchy: HierarchyLike | None = None,
    beam: int = Rules.beam,
    max_fraction: float = Rules.max_fraction,
    min_count: int = Rules.min_count,
    holdout: float | None = 0.5,
    clusters: ClustersLike = None,
    seed: int = 0,
    n_jobs: int | None = None,
    align: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Label neurons with formulas of every length up to ``length``, for each of several minimal fractions.

    Parameters
    ----------
    activations, concepts, names, neurons, beam, max_fraction, min_count, clusters, n_jobs, align, progress
        as for ``label``
    length : the greatest length
    min_fractions : values of α
    hierarchy : above the concepts, found by their names or descriptions; for the columns ``hypernyms`` and ``depth``
    holdout, seed : the share of the samples that says how good formulas are, and the seed of the split

    Returns
    -------
    DataFrame with a row per layer, minimal fraction and length, means over neurons
        ``layer`` (where there are layers), ``min_fraction, length``: the setting; ``neurons``: how many have a formula;
        ``concepts``: in it; ``auc``: on the samples searched; ``auc_heldout``: on the others; ``fraction`` of the
        samples; ``hypernyms``: the share of the concepts that are above others in the hierarchy; ``depth``: how many
        steps they are below its top.

    Raises
    ------
    InputError
        One of its kinds, where activations, concepts or options cannot be used.

    >>> rng = np.random.default_rng(0)
    >>> concepts = rng.random((1000, 6)) < 0.2
    >>> activations = rng.normal(size=(1000, 4)) + (concepts[:, :4] | concepts[:, 1:5])
    >>> table = sweep(activations, concepts, length=2, min_fractions=[0.0, 0.25])
    >>> table[["min_fraction", "length", "neurons"]].values.tolist()
    [[0.0, 1.0, 4.0], [0.0, 2.0, 4.0], [0.25, 1.0, 0.0], [0.25, 2.0, 4.0]]
    """
    import pandas as pd

    listed = [min_fractions] if isinstance(min_fractions, int | float | str) else list(min_fractions)
    if not listed:
        raise OptionError("min_fractions holds none: give at least one, such as 0")
    every = [Rules(length, beam, least, max_fraction, min_count) for least in listed]
    if holdout is None:
        raise OptionError("holdout must lie between 0 and 1, not None: the samples held out say what is gained")
    asked = EvidenceOptions(holdout=holdout, seed=seed)
    check_n_jobs(n_jobs)
    known = None if hierarchy is None else as_hierarchy(hierarchy)
    rows = []
    for one in inputs.align(activations, concepts, names=names, clusters=clusters, keep_common=align):
        layer, taken = one.layer, one.activations
        parts = SampleSplit.of(one.groups, one.clusters, None, asked)
        above = None if known is None else hierarchy_positions(known, one.searched)
        columns = taken.indices(neurons)
        if not len(columns):
            raise ActivationsError("there is no neuron to label")
        bare = Activations(taken.matrix)
        blocks = taken.blocks(columns, max(len(columns) // _BLOCK, 4 * n_workers(n_jobs)))
        done = parallel_map(_sweep, ((bare, block, every, parts) for block in blocks), n_jobs)
        if progress:
            done = progress_bar(done, lambda part: part.shape[1], "neurons", len(columns))
        numbers = np.concatenate(list(done), axis=1)
        unknown = np.isfinite(numbers["auc"]) & ~np.isfinite(numbers["auc_heldout"])
        if unknown.any():
            share = unknown.sum() / np.isfinite(numbers["auc"]).sum()
            warn(
                f"the samples held out show nothing of {share:.0%} of the formulas{_of(layer)}: auc_heldout is the "
                "mean of the others, so raise holdout or min_count"
            )
        for rules, own in zip(every, numbers, strict=True):
            rows += [_row(layer, rules.min_fraction, step, own[:, step - 1], above) for step in range(1, length + 1)]
    table = pd.DataFrame(rows)
    empty = [name for name in ("layer", "hypernyms", "depth") if table[name].isna().all()]
    return table.drop(columns=empty)


def _of(layer: str | None) -> str:
    return "" if layer is None else f" of layer {layer!r}"


_NUMBERS = np.dtype([("auc", "f8"), ("auc_heldout", "f8"), ("fraction", "f8"), ("code", "O")])


def _sweep(
    taken: Activations, columns: NDArray[np.intp], every: Sequence[Rules], parts: SampleSplit
) -> NDArray[np.void]:
    """Numbers of every setting, neuron and length: array of ``_NUMBERS``, (n_settings, n_neurons, length)."""
    searcher = Searcher(parts.searched, every[0])
    block = taken.block(columns)
    check_finite(parts.whole.used(block))
    weighed = searcher.score.weigh(block, parts.searched)
    constant = weighed.constant(parts.searched)
    length = every[0].length
    out = np.zeros((len(every), len(columns), length), _NUMBERS)
    out["auc"] = out["auc_heldout"] = out["fraction"] = np.nan
    out["code"] = None
    paths = []
    for rules in every:
        found: SearchResult = replace(searcher, rules=rules)(weighed.sums)[0]
        first = found.lengths.shape[1] - length
        paths.append([[found.code(j, first + step) for step in range(length)] for j in range(len(columns))])
        for step in range(length):
            known = (found.lengths[:, first + step] > 0) & ~constant
            row = out[len(paths) - 1, :, step]
            row["auc"][known] = found.scores[known, first + step]
            row["fraction"][known] = found.counts[known, first + step] / parts.searched.total
    # Settings find the same formulas again and again: each is measured once per neuron.
    codes_of: list[list[Code]] = [
        list(dict.fromkeys(code for path in paths for code in path[j] if code[0])) for j in range(len(columns))
    ]
    held = parts.held if parts.held is not None else np.ones(parts.whole.n_rows, np.bool_)
    on = replace(searcher, groups=parts.whole.part(held))
    clusters = None if parts.clusters is None else parts.clusters[held]
    rows = measure_formulas(taken, columns, [[own] for own in codes_of], on, clusters)
    for j, ((own,), listed) in enumerate(zip(rows, codes_of, strict=True)):
        auc = dict(zip(listed, own["auc"].tolist(), strict=True))
        for setting, path in enumerate(paths):
            for step, code in enumerate(path[j]):
                if code[0] and not constant[j]:
                    out[setting, j, step]["auc_heldout"] = auc[code]
                    out[setting, j, step]["code"] = code
    return out


def _row(
    layer: str | None, min_fraction: float, step: int, own: NDArray[np.void], above: list[tuple[float, float]] | None
) -> dict[str, Any]:
    """Means over neurons."""
    known = [code for code in own["code"] if code is not None]
    concepts = [literal >> 1 for code in known for literal in code[0]]
    told = [above[c] for c in concepts] if above is not None else []

    def mean(values: Sequence[float] | NDArray[np.float64]) -> float:
        finite = np.asarray(values, np.float64)
        finite = finite[np.isfinite(finite)]
        return float(finite.mean()) if len(finite) else np.nan

    return {
        "layer": layer,
        "min_fraction": min_fraction,
        "length": step,
        "neurons": len(known),
        "concepts": len(concepts) / len(known) if known else np.nan,
        "auc": mean(own["auc"]),
        "auc_heldout": mean(own["auc_heldout"]),
        "fraction": mean(own["fraction"]),
        "hypernyms": mean([above_others for above_others, _ in told]),
        "depth": mean([depth for _, depth in told]),
    }
