"""The front door: activations and concepts in, labels out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym import __version__, inputs
from neuronym._util.messages import counted, some, warn
from neuronym._util.parallel import check_n_jobs, n_workers, parallel_map, progress_bar, share
from neuronym._util.shards import as_shard
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.groups import SampleGroups
from neuronym.data.sparse import dense, not_finite
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import Aligned
from neuronym.inputs.clusters import repeated_rows
from neuronym.labeling.evidence import LayerSearch, Measured, add_evidence
from neuronym.labeling.found import Beside, BlockResult, Found, FoundBlock, blocks_of
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.labels.labels import Labels
from neuronym.labels.lazy import LazyLabels
from neuronym.labels.part import Part
from neuronym.search.beam import FormulaDecoder, Rules, SearchResult, extension
from neuronym.search.ratio import ratio
from neuronym.search.scores import AUC, GroupSums, Score, as_score
from neuronym.search.searcher import Searcher
from neuronym.stats.measures import MEASURES
from neuronym.types import ActivationsLike, Align, ClustersLike, ConceptsLike, Direction, Name, SearchMethod, Unknown

if TYPE_CHECKING:
    from neuronym.data.sparse import Block

__all__ = ["label"]

Floats = NDArray[np.float64]


def label(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    length: int = Rules.length,
    beam: int = Rules.beam,
    search: SearchMethod = Rules.search,
    budget: int = Rules.budget,
    min_fraction: float = Rules.min_fraction,
    max_fraction: float = Rules.max_fraction,
    min_count: int = Rules.min_count,
    min_change: int | None = Rules.min_change,
    prefixes: Literal["free", "constrained"] = Rules.prefixes,
    direction: Literal["high", "low", "both"] = "high",
    negation: bool = Rules.negation,
    operators: tuple[str, ...] = Rules.operators,
    n_jobs: int | None = None,
    align: Align = False,
    progress: bool = False,
    layers: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    unknown: Unknown = "error",
    permutations: int | Literal["auto"] = EvidenceOptions.permutations,
    seed: int = EvidenceOptions.seed,
    tail: bool = EvidenceOptions.tail,
    clusters: ClustersLike = None,
    strata: ClustersLike = None,
    score: str | Score = "auc",
    quantile: float | None = None,
    threshold: float | Literal["best"] | None = None,
    penalty: float = 1.0,
    holdout: float | None = EvidenceOptions.holdout,
    folds: int | None = EvidenceOptions.folds,
    stability: int = EvidenceOptions.stability,
    effects: bool = EvidenceOptions.effects,
    shard: str | tuple[int, int] | None = None,
) -> Labels:
    """Find, for each neuron, the formula of concepts that it detects best.

    A neuron detects a formula well if it is more active on samples inside the formula (where it is true) than on
    samples outside. The score is the AUC, P(f(x) < f(y)) for x outside and y inside, with ties counted one half: 1 is
    perfect detection and 0.5 is chance. Formulas are found by the beam search of INVERT (Bykov et al., NeurIPS 2023,
    arXiv 2311.13594), and then by exact search, which proves that no formula is better wherever that is affordable.

    Parameters
    ----------
    activations : ActivationsLike
        Finite real numbers of shape (n_samples, n_neurons): an array, tensor or sparse matrix, a table of pandas,
        polars, Arrow or xarray, ``Activations``, or the path of a file. Several layers are a mapping from layer name to
        any of these, or a Zarr store.
    concepts : ConceptsLike
        Which concepts each sample shows: a dense or sparse bool array of shape (n_samples, n_concepts), a table of
        pandas, polars, Arrow or xarray, a list with a set of concept names per sample or a mapping from sample id to
        set, ``Concepts``, or the path of a file.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    neurons : iterable of int or str, or slice, optional
        The neurons to label, by name, or a slice of them; all by default.
    length : int, default 3
        The largest number of concepts in a formula; L in the paper.
    beam : int, default 3
        The number of formulas extended in each round of the beam search; B in the paper.
    search : {"auto", "optimal", "beam"}, default "auto"
        How formulas are searched. ``"optimal"``: the best of all formulas of at most ``length`` ≤ 4 concepts, with
        proof. ``"auto"``: that, if the proof fits in the budget; otherwise the best one found, never worse than the
        beam's. ``"beam"``: beam search alone.
    budget : int, default 100000000
        The maximum number of operations that ``"auto"`` spends on a proof, per neuron and direction. Operations are
        counted, not timed: the labels do not depend on the machine.
    min_fraction, max_fraction : float, default 0.0 and 0.5
        Bounds, both included, on the fraction of samples for which a reported formula is true; α and β in the paper.
    min_count : int, default 20
        A reported formula is true for at least this many samples. The beam also asks it of every formula that it builds
        on; exact search does not.
    min_change : int, optional
        Dropping any literal of a reported formula changes it for at least this many samples; ``min_count`` by default.
        Without it the last literal of the best formula is often noise. 0 asks nothing, as the published search does.
    prefixes : {"free", "constrained"}, default "free"
        ``"constrained"`` applies the bounds on the fraction to every intermediate formula too: the published search.
        It means ``search="beam"``, and ``min_change=0`` unless that is given. If ``min_fraction`` exceeds the
        fractions of most concepts, it misses nearly every formula of several.
    direction : {"high", "low", "both"}, default "high"
        Whether a neuron is to be high or low inside its formula; ``"both"`` gives one label for each direction.
    negation : bool, default True
        Whether formulas may contain NOT.
    operators : tuple of str, default ("and", "or")
        The binary operators that formulas may contain.
    n_jobs : int, optional
        The number of parallel jobs, as in scikit-learn; each searches a block of neurons. The labels do not depend
        on it.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    progress : bool, default False
        Whether to show a progress bar on standard error.
    layers : sequence of str, optional
        The layers to label, by name; all by default.
    weights : int array of shape (n_samples,), optional
        Sample weights, in the order of the activations: a sample of weight 2 counts as two samples.
    unknown : {"error", "no", "drop"}, default "error"
        How to treat concept values that are neither yes nor no, such as missing ones: raise an error, read them as
        no, or drop their samples.
    permutations : int or "auto", default 0
        The number of permutations of the samples that are searched to find ``p_search`` and ``q``; 0 for none. With
        ``"auto"``, neurons that share a null distribution, as all without tied activations do, get 9,999 permutations
        or 20 per label, whichever is more, so that the smallest p can survive the correction for multiple testing. A
        neuron with a null distribution of its own gets up to 999, and fewer if it is clearly not significant: its
        permutations stop once 20 score as high as the observed formula, and p follows from how many that took.
    seed : int, default 0
        The seed of all random numbers.
    tail : bool, default False
        If fewer than 10 permutations score as high as the observed formula, take ``p_search`` from a generalised
        Pareto distribution fitted to the upper tail of the null, provided that it fits.
    clusters : ClustersLike, optional
        The cluster that each sample belongs to, such as its video, subject or text: one value per sample in the order
        of the activations, a mapping from sample id, or the path of a table (``FILE`` or ``FILE:COLUMN``). Clusters
        are permuted (with others of equal size), held out and resampled as a whole. By default, they are taken from
        the activations: the tokens of a text form a cluster. False treats all samples as independent.
    strata : ClustersLike, optional
        The stratum of each sample, in the same forms as ``clusters``: samples are compared only within their stratum.
        Use it for a confounder of concepts and activations, such as a recording site; it does not correct for samples
        that depend on each other. The search ranks formulas by the AUC of the percentile of each activation in its
        stratum, and permutes within strata. Held-out AUC, interval, p and gains are those of the mean of the AUCs
        within strata, with van Elteren's weights mn / (N + 1) for m of N samples inside and n outside. Effect sizes
        other than the AUC are those of all samples.
    score : str or Score, default "auc"
        What formulas are ranked by: ``"auc"``; ``"correlation"``; ``"cosine"``; ``"mean_difference"``, in standard
        deviations; or, of the samples whose activation exceeds a threshold, ``"iou"`` (as Network Dissection and
        Compositional Explanations), ``"f1"``, ``"precision"`` and ``"recall"``; or a score of yours
        (``neuronym.search.scores``). Other than for the AUC, labels have a ``score`` and its ``value`` beside the AUC,
        which evidence is about.
    quantile : float, optional
        For scores with a threshold: the quantile of a neuron's activations that it is, 0.995 by default.
    threshold : float or "best", optional
        For scores with a threshold: the activation itself, or ``"best"``, the best of 0, 0.15, 0.5, 0.6 and 0.8 times
        the neuron's largest activation.
    penalty : float, default 1.0
        Formulas are compared by score · penalty^(length − 1): below 1, a longer formula must be that much better.
    holdout : float, optional
        The fraction of samples (or clusters) to hold out from the search; the held-out AUC, its interval, p and the
        effect sizes are computed on them.
    folds : int, optional
        The number of folds for cross-fitting: each is held out in turn, which gives the mean AUC on held-out samples
        and how often the search returns the same formula.
    stability : int, default 0
        The number of bootstrap resamples to search, which gives how often the search returns the same formula.
    effects : bool, default False
        Whether to compute the interval of the AUC, the difference of means, precision, recall and average precision
        on the samples searched, without holding any out.
    shard : str or tuple of (int, int), optional
        Label one of several shards of the neurons, such as ``"3/8"``, the third of eight; ``merge`` makes the labels
        of one run from those of all shards. Until then they lack q, and intervals of selected labels.

    Returns
    -------
    Labels
        One label per neuron and direction, in order. A neuron that is constant, or for which no formula is feasible,
        has a label without a formula, whose ``reason`` says why. If interrupted by Ctrl-C while it permutes, measures
        or resamples, the function warns and returns what it has.

    Raises
    ------
    InputError
        If activations, concepts or options cannot be used, as one of the subclasses in ``neuronym.errors``.

    Notes
    -----
    ``p`` is the Mann-Whitney test of the formula as if it had been chosen in advance. On the samples searched it does
    not account for the search, so nearly every neuron passes. ``p_search`` (``permutations``) accounts for the search,
    in both directions if ``direction="both"``, and ``q`` corrects it for the number of labels. Held-out samples
    (``holdout``) were not searched, so their ``p`` needs no such correction.

    Concepts that are true for exactly the same samples are one concept with ``aliases``.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> concepts = rng.random((1000, 3)) < 0.3
    >>> activations = rng.normal(size=(1000, 1)) + 3 * (concepts[:, [0]] & ~concepts[:, [1]])
    >>> labels = label(activations, concepts, names=["dog", "grass", "sky"], length=2)
    >>> labels[0].formula
    Formula('dog & ~grass')
    """
    rules = Rules(
        length,
        beam,
        min_fraction,
        max_fraction,
        min_count,
        prefixes,
        negation,
        operators,
        search,
        budget,
        min_change,
    )
    asked = EvidenceOptions(permutations, seed, tail, holdout, folds, stability, effects)
    scores = as_score(score, quantile, threshold)
    _check_scores(scores, penalty, asked, strata)
    if direction not in ("high", "low", "both"):
        raise OptionError(f"direction must be 'high', 'low' or 'both', not {direction!r}")
    check_n_jobs(n_jobs)
    own = None if shard is None else as_shard(shard)
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
        neurons = list(neurons)  # used again for each layer
    blocks: list[FoundBlock] = []
    searches = []
    run = hashlib.blake2b(repr((rules, asked, directions, scores[0].name, quantile, threshold, penalty)).encode())
    n_asked, n_labels = 0, []
    for one in aligned:
        taken, groups = one.activations, one.groups
        columns = every = taken.indices(neurons)
        if not len(columns):
            raise ActivationsError(
                "there is no neuron to label: "
                + ("neurons selects none" if taken.n_neurons else "activations must have at least one column")
            )
        parts = SampleSplit.of(groups, _clusters(one, columns, asked), one.strata, asked)
        if parts.strata is not None:
            _check_strata(one.searched, parts.strata)
        n_asked += len(every) * len(directions)
        if own is not None:
            _add_to(run, one, every, parts)
            columns = every[slice(*own.bounds(len(every)))]
            n_labels.append(len(columns) * len(directions))
            if not len(columns):
                continue
        searcher = Searcher(parts.searched, rules, directions, parts.score if isinstance(scores[0], AUC) else scores[0])
        done: list[BlockResult] | None = [] if asked.requested else None
        named = [taken.names[j] for j in columns]
        found = _search_all(taken, columns, (searcher, *scores[1:]), penalty, parts, n_jobs, progress, done)
        among, total = one.searched, searcher.groups.total
        shared = Found(one.layer, among.names, dict(among.aliases), rules, total, directions, searcher.score.name)
        blocks += blocks_of(found, named, shared)
        if done is not None:
            searches.append(
                LayerSearch(taken, columns, every, parts, searcher, FormulaDecoder(one.searched.names), *_joined(done))
            )
    labels = LazyLabels(blocks)  # made when asked for: making them would keep other workers from the interpreter
    measured: dict[int, Measured] = {}
    interrupted, rows = False, list(labels) if asked.requested else labels
    if isinstance(rows, list):
        measured, interrupted = add_evidence(rows, searches, asked, n_jobs, progress, n_asked, own is not None)
    if own is None:
        return Labels(rows)
    part = Part(
        *own,
        run.hexdigest()[:32],
        n_labels,
        permuted=bool(asked.permutations),
        held_out=asked.holdout is not None or asked.folds is not None,
        interrupted=interrupted,
        places=np.array([*measured], np.int64),
        rows=np.array([[*one.row] for one in measured.values()], np.float64).reshape(-1, len(MEASURES.names or ())),
        clustered=np.array([one.clustered for one in measured.values()], np.bool_),
    )
    return Labels(rows, part)


def _add_to(run: Any, one: Aligned, columns: NDArray[np.intp], parts: SampleSplit) -> None:
    """Add a layer to the checksum of a run."""
    taken, groups = one.activations, one.groups
    named = (__version__, one.layer, one.searched.names, [taken.names[j] for j in columns], taken.matrix.shape)
    run.update(repr((*named, taken.mark)).encode("utf-8", "surrogatepass"))
    arrays = [groups.row_groups, groups.row_weights, groups.counts, groups.group_ptr, groups.group_concepts]
    if not taken.mark:  # then a neuron and a few samples show whether the activations are the same
        rows = dense(taken.matrix[np.array(sorted({0, taken.n_samples // 2, taken.n_samples - 1}))])
        arrays += [taken.column(int(columns[0])), rows[:, columns]]
    for array in (*arrays, parts.held, parts.clusters, parts.strata, parts.fold):
        run.update(b"" if array is None else np.ascontiguousarray(array).data)


def _check_scores(scores: Sequence[Score], penalty: float, asked: EvidenceOptions, strata: ClustersLike) -> None:
    """Refuse what a score cannot do."""
    if isinstance(penalty, bool) or not isinstance(penalty, int | float | np.number) or not 0 < penalty <= 1:
        raise OptionError(f"penalty must be above 0 and at most 1, not {penalty!r}: 1 asks nothing of longer formulas")
    name = scores[0].name
    if not isinstance(scores[0], AUC) and strata is not None:
        raise OptionError(f"strata compare ranks within them, and the score {name!r} has none: use score='auc'")
    if asked.permutations and not scores[0].mirrored:
        raise OptionError(
            f"permutations of the score {name!r} are not supported: hold samples out (holdout=0.5), or use score='auc'"
        )
    repeated = asked.folds is not None or asked.stability
    if repeated and (len(scores) > 1 or penalty < 1 or not scores[0].mirrored):
        raise OptionError(
            f"folds and stability repeat the search, which the score {name!r} with threshold='best', a penalty or a "
            "threshold of the samples does not support: use holdout"
        )
    if asked.permutations and penalty < 1:
        raise OptionError("permutations search without a penalty: use penalty=1, or holdout")


def _clusters(one: Aligned, columns: NDArray[np.intp], asked: EvidenceOptions) -> NDArray[np.int64] | None:
    """Return the cluster of each row if any evidence needs it; warn if samples repeat and no clusters say so."""
    if not asked.requested:
        if one.given_clusters is not None and one.given_clusters is not False:
            raise OptionError(
                "clusters only affect permutations, holdout, folds, stability and effects: set at least one of these"
            )
        return None
    if one.clusters is None and one.given_clusters is None:
        repeats = repeated_rows(one.activations, columns, one.rows)
        if repeats:
            warn(repeats)
    return one.clusters


def _check_strata(concepts: Concepts, strata: NDArray[np.int64]) -> None:
    """Refuse strata within which no concept varies, and warn of concepts that do not."""
    from scipy.sparse import csr_array

    n = np.bincount(strata)
    one_hot = csr_array((np.ones(len(strata)), (np.arange(len(strata)), strata)), shape=(len(strata), len(n)))
    counts = (concepts.to_sparse().T.astype(np.float64) @ one_hot).tocoo()
    varying = np.zeros(concepts.n_concepts, np.bool_)
    varying[counts.row[counts.data < n[counts.col]]] = True
    fixed = [name for name, varies in zip(concepts.names, varying.tolist(), strict=True) if not varies]
    if len(fixed) == concepts.n_concepts:
        raise OptionError(
            f"no concept differs between samples of one stratum ({len(n)} strata), so nothing can be compared within "
            "strata: use larger strata, or none"
        )
    if fixed:
        warn(
            f"{counted(len(fixed), 'concept')} ({some(fixed)}) never {'differs' if len(fixed) == 1 else 'differ'} "
            "between samples of one stratum: within strata, nothing shows whether a neuron detects "
            f"{'it' if len(fixed) == 1 else 'them'}"
        )


def _search_all(
    taken: Activations,
    columns: NDArray[np.intp],
    searched: tuple[Searcher, *tuple[Score, ...]],
    penalty: float,
    parts: SampleSplit,
    n_jobs: int | None,
    progress: bool,
    done: list[BlockResult] | None,
) -> Iterator[BlockResult]:
    """Search the neurons block by block, one task each; yield the results in order, and append them to ``done``."""
    searcher, *more = searched
    searchers = [searcher, *(replace(searcher, score=score) for score in more)]
    for one in searchers:
        one.prepare()
    jobs = n_workers(n_jobs)
    bare = Activations(taken.matrix)  # tasks do not need the ids
    others = None if parts.held is None else parts.whole.part(parts.held).rows
    matrix, common, rest = share(bare), share(searchers), share(others)
    blocks = taken.blocks(columns, 1 if jobs == 1 else 4 * jobs)
    tasks = ((matrix, block, common, penalty, rest) for block in blocks)
    try:
        found = (part for block in parallel_map(_search_block, tasks, n_jobs) for part in block)
        for part in progress_bar(found, lambda one: len(one.ties), "neurons", len(columns)) if progress else found:
            if done is not None:
                done.append(part)
            yield part
    except _NotFinite:
        raise _not_finite(taken, columns, parts.whole) from None


_PART = 64  # neurons per call of the search


class _NotFinite(Exception):  # noqa: N818  a signal from a task to ``label``, not an error of its own
    pass


def _search_block(
    taken: Activations,
    columns: NDArray[np.intp],
    searchers: Sequence[Searcher],
    penalty: float,
    others: NDArray[np.int64] | None,
) -> list[BlockResult]:
    """Search a block of neurons in each direction, by the best of several scores where there are several.

    ``others`` are the held-out rows, which must be finite too.
    """
    groups, block = searchers[0].groups, taken.block(columns)
    if others is not None and not_finite(block[others]).any():
        raise _NotFinite
    parts = []
    for start in range(0, len(columns), _PART):  # compiled code cannot be interrupted, so each call is kept short
        part = block[:, start : start + _PART]
        if isinstance(searchers[0].score, AUC):
            found, weighed = searchers[0].of_block(part)
            if weighed.bad.any():
                raise _NotFinite
            found = [_penalised(one, one.scores, searchers[0].rules.length, penalty)[0] for one in found]
            parts.append(BlockResult(found, weighed.ties, weighed.constant(groups)))
            continue
        ranks = AUC().weigh(part, groups)
        if ranks.bad.any():
            raise _NotFinite
        found, beside = _by_score(part, searchers, penalty, ranks)
        parts.append(BlockResult(found, ranks.ties, ranks.constant(groups), beside))
    return parts


def _by_score(
    part: Block, searchers: Sequence[Searcher], penalty: float, ranks: GroupSums
) -> tuple[list[SearchResult], list[Beside]]:
    """Search by a score other than the AUC, and compute the AUC of what it finds."""
    first = searchers[0]
    results, values, thresholds, units = [], [], [], []
    for searcher in searchers:
        found, weighed = searcher.of_block(part)
        penalised = [
            _penalised(one, searcher.score.value(one.scores, weighed.units), searcher.rules.length, penalty)
            for one in found
        ]
        results.append([one for one, _ in penalised])
        values.append([value for _, value in penalised])
        thresholds.append(weighed.thresholds)
        units.append(weighed.units)
    chosen, beside = [], []
    for d, direction in enumerate(first.directions):
        tops = np.stack([np.where(of[d].lengths[:, 0] > 0, value[d][:, 0], -np.inf)
                         for of, value in zip(results, values, strict=True)])  # fmt: skip
        which = np.argmax(np.nan_to_num(tops, nan=-np.inf), axis=0)
        rows = np.arange(len(which))

        def pick(arrays: Sequence[NDArray[Any]], which: Any = which, rows: Any = rows) -> NDArray[Any]:
            return np.asarray(np.stack(arrays)[which, rows])

        one = SearchResult(**{f.name: pick([getattr(of[d], f.name) for of in results]) for f in fields(SearchResult)})
        value, unit = pick([of[d] for of in values]), pick(units)
        bound, ceiling = (first.score.value(each, unit) for each in (one.bound, one.ceiling))
        gaps = np.where(one.optimal, 0.0, bound - value[:, 0])
        sums = ranks.sums if direction == "high" else AUC().turned(ranks.sums, first.groups)
        of_slots = _rank_sums(one, sums, first.groups)
        aucs = ratio(ranks.terms, one.counts, of_slots)
        chosen.append(one)
        beside.append(Beside(value, aucs, of_slots, gaps, ceiling, pick(thresholds)))
    return chosen, beside


def _rank_sums(found: SearchResult, sums: NDArray[np.int64], groups: SampleGroups) -> NDArray[np.int64]:
    """Sum twice the midranks inside the formula of each slot: int64 of shape (n_neurons, n_slots)."""
    out = np.zeros(found.lengths.shape, np.int64)
    extensions: dict[Any, NDArray[np.bool_]] = {}
    for j, slot in np.argwhere(found.lengths > 0).tolist():
        code = found.code(j, slot)
        if code not in extensions:
            extensions[code] = extension(code, groups)
        out[j, slot] = sums[j] @ extensions[code]
    return out


def _penalised(found: SearchResult, values: Floats, length: int, penalty: float) -> tuple[SearchResult, Floats]:
    """Put the step of each path with the highest value · penalty^(length − 1) in the place of the best formula.

    Longer steps repeat it, so that the path ends with the best formula. Also the values, in the same places.
    """
    if penalty == 1:
        return found, values
    n_slots = found.lengths.shape[1]
    path = np.arange(n_slots - length, n_slots)
    fined = values[:, path] * penalty ** (found.lengths[:, path] - 1.0)
    fined = np.where(found.lengths[:, path] > 0, fined, -np.inf)
    best = np.argmax(fined, axis=1)
    places = np.tile(np.arange(n_slots), (len(best), 1))
    places[:, path] = path[np.minimum(np.arange(length), best[:, np.newaxis])]
    places[:, 0] = path[best]
    rows = np.arange(len(best))[:, np.newaxis]
    moved = {
        name: getattr(found, name)[rows, places]
        for name in ("lengths", "literals", "operators", "counts", "sums", "scores")
    }
    return replace(found, **moved), np.asarray(values[rows, places])


def _joined(parts: list[BlockResult]) -> tuple[list[SearchResult], Floats, NDArray[np.bool_]]:
    """Concatenate the results of all parts of a layer."""
    by_direction = zip(*(part.found for part in parts), strict=True)
    found = [SearchResult.joined(each) for each in by_direction]
    return found, np.concatenate([p.ties for p in parts]), np.concatenate([p.constant for p in parts])


def _not_finite(taken: Activations, columns: NDArray[np.intp], groups: SampleGroups) -> ActivationsError:
    """Make the error that lists the neurons with NaN or infinity in the samples used, with counts."""
    counts: dict[Name, int] = {}
    for block in taken.blocks(columns):
        bad = not_finite(groups.select_rows(taken.block(block)))
        counts.update((taken.names[block[j]], int(bad[j])) for j in np.flatnonzero(bad))
    listed = ", ".join(f"{name}: {count}" for name, count in list(counts.items())[:5])
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    return ActivationsError(
        f"activations hold NaN or infinity in {len(counts)} neuron{'s' * (len(counts) > 1)} ({listed}{more}): "
        "every activation must be finite, so drop these neurons or samples"
    )
