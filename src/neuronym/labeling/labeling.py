"""The front door: activations and concepts in, labels out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym import inputs
from neuronym._util.messages import warn
from neuronym._util.parallel import check_n_jobs, n_workers, parallel_map, progress_bar
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.groups import ConceptGroups
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import Aligned
from neuronym.inputs.clusters import repeated_rows
from neuronym.labeling.evidence import LayerSearch, add_evidence
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.labels.labels import Explanation, Label, Labels
from neuronym.search.beam import FormulaDecoder, Rules, Searcher, SearchResult
from neuronym.stats.significance import mann_whitney
from neuronym.types import ActivationsLike, ClustersLike, ConceptsLike, Direction, Name, Unknown

if TYPE_CHECKING:
    pass

__all__ = ["label"]


def label(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    length: int = Rules.length,
    beam: int = Rules.beam,
    min_fraction: float = Rules.min_fraction,
    max_fraction: float = Rules.max_fraction,
    min_count: int = Rules.min_count,
    prefixes: Literal["free", "constrained"] = Rules.prefixes,
    direction: Literal["high", "low", "both"] = "high",
    negation: bool = Rules.negation,
    operators: tuple[str, ...] = Rules.operators,
    n_jobs: int | None = None,
    align: bool = False,
    progress: bool = False,
    layers: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    unknown: Unknown = "error",
    permutations: int | Literal["auto"] = EvidenceOptions.permutations,
    seed: int = EvidenceOptions.seed,
    tail: bool = EvidenceOptions.tail,
    clusters: ClustersLike = None,
    strata: ClustersLike = None,
    holdout: float | None = EvidenceOptions.holdout,
    folds: int | None = EvidenceOptions.folds,
    stability: int = EvidenceOptions.stability,
    effects: bool = EvidenceOptions.effects,
) -> Labels:
    """Find for each neuron the formula of concepts that it detects best.

    The similarity is AUC, the probability that the neuron is higher on a sample inside the formula than on one
    outside; the search is the beam search of the paper, with stepping stones (see ``neuronym.search``).

    Parameters
    ----------
    activations : Activations, real array or tensor (n_samples, n_neurons), DataFrame, file, or a dict of these
    concepts : Concepts, boolean array (n_samples, n_concepts), sparse or dense, DataFrame, list of sets, or a file
    names : concept names, where ``concepts`` is an array
    neurons : the names of the neurons to label, or a slice of them; all by default
    length : the most concepts in a formula, L of the paper
    beam : how many formulas are extended in each round, B of the paper
    min_fraction, max_fraction : the share of samples that a reported formula may be true for, α and β of the paper
    min_count : no formula that the search goes through is true for fewer samples
    prefixes : ``"constrained"`` asks the fractions of every prefix too, as the published search does
    direction : whether a neuron is to be high or low inside its formula, or a label for each
    negation, operators : which of NOT, AND and OR a formula may hold
    n_jobs : how many blocks of neurons are searched at once, as in scikit-learn; the labels do not depend on it
    align : keep the samples that activations and concepts have in common, where their ids differ
    progress : show a bar on standard error
    layers : of several, the names of those to label; all by default
    weights : whole numbers (n_samples,), in the order of the activations; a sample of weight 2 counts as two
    unknown : ``"no"`` or ``"drop"`` (the sample) for concept values that are neither yes nor no
    permutations : how many permutations of the samples are searched for ``p_search`` and ``q``; 0 for none
        ``"auto"``: where neurons share a null, as those without ties do, 9,999 or 20 per label, whichever is more,
        so that the smallest p can pass the correction; for a neuron with a null of its own up to 999, fewer where it
        is hopeless (then p comes from the place of the twentieth permutation that is as good).
    seed : of all random numbers; the labels do not depend on the number of workers
    tail : where fewer than 10 permutations are as good, ``p_search`` comes from a generalised Pareto tail fitted to
        the best ones, if it fits
    clusters : what each sample belongs to, such as its video, subject or text: one per sample in the order of the
        activations, a mapping from sample id, or a table (``FILE`` or ``FILE:COLUMN``)
        Whole clusters are permuted (with others of their size), held out and resampled. By default what the
        activations say themselves: tokens belong to their text. False takes all samples as independent.
    strata : groups of samples, given as ``clusters`` are, that permutations stay within: for what concepts and
        activations both follow, such as the site of a recording. No remedy for samples that depend on each other.
    holdout : share of the samples (or clusters) that is not searched; AUC, p, interval and effects come from it
    folds : hold each of so many parts out in turn: the mean AUC on them, and how often the formula is the same
    stability : how many bootstrap resamples are searched again, to see how often the formula is the same
    effects : the interval of the AUC, the difference of means, precision, recall and average precision, without
        holding anything out

    Returns
    -------
    Labels
        A label per neuron, in order. One that is constant, or for which no formula is feasible, has no formula and
        says why. Stopped by Ctrl-C while it permutes, measures or resamples, it warns and gives what is done.

    Raises
    ------
    InputError
        One of its kinds, where activations, concepts or options cannot be used; see ``neuronym.errors``.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> concepts = rng.random((1000, 3)) < 0.3
    >>> activations = rng.normal(size=(1000, 1)) + 3 * (concepts[:, [0]] & ~concepts[:, [1]])
    >>> labels = label(activations, concepts, names=["dog", "grass", "sky"], length=2)
    >>> labels[0].formula
    Formula('dog & ~grass')
    """
    rules = Rules(length, beam, min_fraction, max_fraction, min_count, prefixes, negation, operators)
    asked = EvidenceOptions(permutations, seed, tail, holdout, folds, stability, effects)
    if direction not in ("high", "low", "both"):
        raise OptionError(f"direction must be 'high', 'low' or 'both', not {direction!r}")
    check_n_jobs(n_jobs)
    directions: tuple[Direction, ...] = ("high", "low") if direction == "both" else (direction,)
    aligned = inputs.align(
        activations,
        concepts,
        layers=layers,
        names=names,
        unknown=unknown,
        weights=weights,
        clusters=clusters,
        strata=strata,
        keep_common=align,
    )
    if neurons is not None and not isinstance(neurons, slice | str | int | np.integer | np.ndarray):
        neurons = list(neurons)  # asked of every layer
    rows: list[Label] = []
    searches = []
    for one in aligned:
        taken, groups = one.activations, one.groups
        columns = taken.indices(neurons)
        if not len(columns):
            raise ActivationsError(
                "there is no neuron to label: "
                + ("neurons names none" if taken.n_neurons else "activations must have at least one column")
            )
        parts = SampleSplit.of(groups, _clusters(one, columns, asked), one.strata, asked)
        searcher = Searcher(parts.searched, rules, directions)
        decoder = FormulaDecoder(one.searched.names)
        done: list[_BlockResult] | None = [] if asked.again else None
        named = [taken.names[j] for j in columns]
        found = _search_all(taken, columns, searcher, parts, n_jobs, progress, done)
        rows += _labels_of(found, named, one.layer, one.searched, searcher, decoder)
        if done is not None:
            searches.append(LayerSearch(taken, columns, parts, searcher, decoder, *_joined(done)))
    add_evidence(rows, searches, asked, n_jobs, progress)
    return Labels(rows)


def _clusters(one: Aligned, columns: NDArray[np.intp], asked: EvidenceOptions) -> NDArray[np.int64] | None:
    """The cluster of each row, where it matters; samples that repeat others raise a warning then."""
    if not asked.again:
        if one.given_clusters is not None and one.given_clusters is not False:
            raise OptionError(
                "clusters matter to permutations, holdout, folds, stability and effects: ask for one of these"
            )
        return None
    if one.clusters is None and one.given_clusters is None:
        repeats = repeated_rows(one.activations, columns, one.rows)
        if repeats:
            warn(repeats)
    return one.clusters


def _search_all(
    taken: Activations,
    columns: NDArray[np.intp],
    searcher: Searcher,
    parts: SampleSplit,
    n_jobs: int | None,
    progress: bool,
    done: list[_BlockResult] | None,
) -> Iterator[_BlockResult]:
    """Search every block of neurons, each a task, and give what is found in order as it is done; ``done`` keeps it."""
    from neuronym.search import beam_kernels, rank_kernels  # noqa: F401  loaded before threads ask for them

    jobs = n_workers(n_jobs)
    bare = Activations(taken.matrix)  # a task needs no ids
    others = None if parts.held is None else parts.whole.part(parts.held).rows
    tasks = ((bare, block, searcher, others) for block in taken.blocks(columns, 1 if jobs == 1 else 4 * jobs))
    try:
        found = (part for block in parallel_map(_search_block, tasks, n_jobs) for part in block)
        for part in progress_bar(found, lambda part: len(part[1]), "neurons", len(columns)) if progress else found:
            if done is not None:
                done.append(part)
            yield part
    except _NotFinite:
        raise _not_finite(taken, columns, parts.whole) from None


_PART = 64  # neurons searched at a time

_BlockResult = tuple[list[SearchResult], NDArray[np.float64], NDArray[np.bool_]]


class _NotFinite(Exception):  # noqa: N818  a signal from a task to the front door
    pass


def _search_block(
    taken: Activations, columns: NDArray[np.intp], searcher: Searcher, others: NDArray[np.int64] | None
) -> list[_BlockResult]:
    """What is found for the neurons of a block in each direction, their ties, and which are constant, by parts.

    ``others`` are rows that are used later, and must be finite too.
    """
    groups, block = searcher.groups, taken.block(columns)
    if others is not None and block.dtype.kind == "f" and not np.isfinite(block[others]).all():
        raise _NotFinite
    parts = []
    for start in range(0, len(columns), _PART):  # compiled code cannot be interrupted, so it is given little at a time
        weighed = searcher.score.weigh(block[:, start : start + _PART], groups)
        if weighed.bad.any():
            raise _NotFinite
        parts.append((searcher(weighed.sums), weighed.ties, weighed.constant(groups)))
    return parts


def _joined(parts: list[_BlockResult]) -> tuple[list[SearchResult], NDArray[np.float64], NDArray[np.bool_]]:
    """All parts of a layer as one."""
    by_direction = zip(*(found for found, _, _ in parts), strict=True)
    found = [SearchResult.joined(each) for each in by_direction]
    return found, np.concatenate([ties for _, ties, _ in parts]), np.concatenate([constant for _, _, constant in parts])


def _not_finite(taken: Activations, columns: NDArray[np.intp], groups: ConceptGroups) -> ActivationsError:
    """Name all neurons that hold NaN or infinity in the samples that are used, and how many."""
    counts: dict[Name, int] = {}
    for block in taken.blocks(columns):
        bad = np.count_nonzero(~np.isfinite(groups.used(taken.block(block))), axis=0)
        counts.update((taken.names[block[j]], int(bad[j])) for j in np.flatnonzero(bad))
    listed = ", ".join(f"{name}: {count}" for name, count in list(counts.items())[:5])
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    return ActivationsError(
        f"activations hold NaN or infinity in {len(counts)} neuron{'s' * (len(counts) > 1)} ({listed}{more}): "
        "every activation must be finite, so leave out those neurons or samples"
    )


def _labels_of(
    parts: Iterable[_BlockResult],
    names: list[Name],
    layer: str | None,
    concepts: Concepts,
    searcher: Searcher,
    decoder: FormulaDecoder,
) -> Iterator[Label]:
    """Labels of the neurons, in order, from the arrays of their parts."""
    rules, total, directions = searcher.rules, searcher.groups.total, searcher.directions
    infeasible = rules.infeasible(total)
    name_of = iter(names)
    for found, ties, constant in parts:
        # The test is two-sided, so it reads the same off the sums of either direction.
        tests = [
            mann_whitney(f.sums[:, 0], np.where(f.lengths[:, 0] > 0, f.counts[:, 0], 1), total, ties) for f in found
        ]
        for j, neuron in zip(range(len(ties)), name_of, strict=False):
            for direction, f, (p, log10_p) in zip(directions, found, tests, strict=True):
                if constant[j] or not f.lengths[j, 0]:
                    yield Label(neuron, layer, direction, reason="constant" if constant[j] else infeasible)
                    continue
                best, *others = slots = _explanations(f, j, total, decoder, float(p[j]), float(log10_p[j]))
                used: set[str] = set()
                if concepts.aliases:
                    used = {name for slot in slots if slot is not None for name in slot.formula.concepts}
                yield Label(
                    neuron,
                    layer,
                    direction,
                    best,
                    path=tuple(slots[-rules.length :]),
                    runners_up=tuple(slot for slot in others[: -rules.length] if slot is not None),
                    aliases={name: concepts.aliases[name] for name in sorted(used) if name in concepts.aliases},
                )


def _explanations(
    found: SearchResult, j: int, total: int, decoder: FormulaDecoder, p: float, log10_p: float
) -> list[Explanation | None]:
    """The formulas of neuron j of a block, slot by slot; p is that of the first."""
    made: list[Explanation | None] = []
    known: dict[Formula, Explanation] = {}  # the path repeats its steps, and ends in the best
    columns = (found.lengths, found.literals, found.operators, found.counts, found.scores)
    for length, literals, operators, count, score in zip(*(column[j].tolist() for column in columns), strict=True):
        if not length:
            made.append(None)
            continue
        formula = decoder.formula(tuple(literals[:length]), tuple(operators[:length]))
        if formula not in known:
            tested = {} if known else {"p": p, "log10_p": log10_p}
            known[formula] = Explanation(formula, score, count / total, count, **tested)
        made.append(known[formula])
    return made
