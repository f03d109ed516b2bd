"""The front door: activations and concepts in, labels out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._groups import Groups, check_weights, group
from neuronym._names import counted_ids, is_count, match_ids
from neuronym._progress import watched
from neuronym._yesno import Unknown
from neuronym.activations import Activations, Name
from neuronym.concepts import Concepts
from neuronym.errors import ActivationsError, AlignmentError, ConceptsError, OptionError
from neuronym.formula import Formula
from neuronym.labels import Explanation, Label, Labels
from neuronym.layer_store import open_layers, split_path
from neuronym.scores import AUC
from neuronym.search import Found, Rules, Speller, search
from neuronym.significance import mann_whitney
from neuronym.store import open_activations, open_concepts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["label"]

Direction = Literal["high", "low"]


def label(
    activations: Activations | ArrayLike | pd.DataFrame | str | Path | Mapping[str, Any],
    concepts: Concepts | ArrayLike | pd.DataFrame | str | Path | Any,
    *,
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    length: int = 3,
    beam: int = 3,
    min_fraction: float = 0.0,
    max_fraction: float = 0.5,
    min_count: int = 20,
    prefixes: Literal["free", "constrained"] = "free",
    direction: Literal["high", "low", "both"] = "high",
    negation: bool = True,
    operators: tuple[str, ...] = ("and", "or"),
    n_jobs: int | None = None,
    align: bool = False,
    progress: bool = False,
    weights: ArrayLike | None = None,
    unknown: Unknown = "error",
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
    weights : whole numbers (n_samples,), in the order of the activations; a sample of weight 2 counts as two
    unknown : ``"no"`` or ``"drop"`` (the sample) for concept values that are neither yes nor no

    Returns
    -------
    Labels
        A label per neuron, in order. One that is constant, or for which no formula is feasible, has no formula and
        says why.

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
    if direction not in ("high", "low", "both"):
        raise OptionError(f"direction must be 'high', 'low' or 'both', not {direction!r}")
    if n_jobs is not None and (not isinstance(n_jobs, int | np.integer) or n_jobs == 0):
        raise OptionError(f"n_jobs must be a whole number other than 0, or None, not {n_jobs!r}: -1 is all processors")
    directions: tuple[Direction, ...] = ("high", "low") if direction == "both" else (direction,)
    shown = as_concepts(concepts, names, unknown)
    if neurons is not None and not isinstance(neurons, slice | str | int | np.integer | np.ndarray):
        neurons = list(neurons)  # asked of every layer
    rows: list[Label] = []
    for layer, given in _layers(activations).items():
        taken, matched = as_activations(given), shown
        if _is_frame(given) and _is_frame(concepts):
            taken, matched = _by_index(taken, matched)
        matched, groups = _grouped(taken, matched, weights, align)
        columns = taken.indices(neurons)
        if not len(columns):
            raise ActivationsError(
                "there is no neuron to label: "
                + ("neurons names none" if taken.n_neurons else "activations must have at least one column")
            )
        found = _search_all(taken, columns, groups, rules, directions, n_jobs, progress)
        rows += _labels_of(found, [taken.names[j] for j in columns], layer, directions, matched, groups, rules)
    return Labels(rows)


def _layers(activations: Any) -> Mapping[str | None, Any]:
    """Activations by the name of their layer, or by None where there is one without a name."""
    if isinstance(activations, str | Path) and split_path(activations) is not None:
        activations = open_layers(activations)
    if not isinstance(activations, Mapping):
        return {None: activations}
    by_name: dict[str | None, Any] = {str(layer): given for layer, given in activations.items()}
    if not by_name:
        raise ActivationsError("the dict of layers is empty: give at least one layer")
    if len(by_name) < len(activations):
        raise ActivationsError("two layers have one name: each needs its own")
    if "" in by_name:
        raise ActivationsError("a layer has an empty name: give it one")
    return by_name


def as_activations(given: Any) -> Activations:
    """Activations from whatever ``label`` takes."""
    if isinstance(given, Activations):
        return given
    if isinstance(given, str | Path):
        return open_activations(given)
    return Activations.from_frame(given) if _is_frame(given) else Activations(given)


def _is_frame(given: Any) -> bool:
    return hasattr(given, "iloc") and hasattr(given, "columns")


def _by_index(taken: Activations, shown: Concepts) -> tuple[Activations, Concepts]:
    """Of two DataFrames, where one has ids in its index and the other merely counts, the counts are ids too."""
    if taken.sample_ids is None and shown.sample_ids is not None:
        taken = Activations(taken.matrix, taken.names, sample_ids=counted_ids(taken.n_samples))
    elif shown.sample_ids is None and taken.sample_ids is not None:
        shown = shown.with_ids(counted_ids(shown.n_samples))
    return taken, shown


def as_concepts(given: Any, names: Iterable[str] | None = None, unknown: Unknown = "error") -> Concepts:
    """Concepts from whatever ``label`` takes."""
    frame = _is_frame(given)
    sets = isinstance(given, list | tuple) and len(given) > 0 and isinstance(given[0], set | frozenset)
    if names is not None and (isinstance(given, Concepts | str | Path) or frame or sets):
        raise OptionError("names go with an array of concepts; these concepts have names already")
    if isinstance(given, Concepts):
        return given
    if isinstance(given, str | Path):
        return open_concepts(given, unknown=unknown)
    if frame:
        return Concepts.from_frame(given, unknown=unknown)
    return Concepts.from_sets(given) if sets else Concepts.from_array(given, names, unknown=unknown)


def _grouped(taken: Activations, shown: Concepts, weights: ArrayLike | None, align: bool) -> tuple[Concepts, Groups]:
    """Match the samples; the concepts left to search, in the order of the activations, and their groups."""
    for owner, sizes, error in (
        ("activations", (taken.n_samples,), ActivationsError),
        ("concepts", (shown.n_samples, shown.n_concepts), ConceptsError),
    ):
        if 0 in sizes:
            raise error(
                f"{owner} are empty: {' × '.join(map(str, sizes))} (samples × concepts)"
                if len(sizes) > 1
                else f"{owner} are empty: they have no samples"
            )
    weight = None if weights is None else check_weights(weights, taken.n_samples)
    if taken.skipped and shown.sample_ids is not None:
        left_out = set(taken.skipped)
        shown = shown.take([row for row, name in enumerate(shown.sample_ids) if name not in left_out])
    rows = None
    ours, theirs = taken.sample_ids, shown.sample_ids
    # The row numbers of a table that was put in another order are ids for one that was not.
    ours = counted_ids(taken.n_samples) if ours is None and is_count(theirs) else ours
    theirs = counted_ids(shown.n_samples) if theirs is None and is_count(ours) else theirs
    if ours is not None and theirs is not None:
        matched = match_ids(ours, theirs, "activations", "concepts", align)
        if matched is not None:
            rows = np.array(matched[0], np.int64)
            if len(rows) < max(taken.n_samples, shown.n_samples):
                warnings.warn(
                    f"align=True keeps {len(rows)} samples and drops {taken.n_samples - len(rows)} of activations "
                    f"and {shown.n_samples - len(rows)} of concepts",
                    stacklevel=3,
                )
            shown = shown.take(np.array(matched[1], np.int64))
            weight = None if weight is None else weight[rows]
            rows = None if len(rows) == taken.n_samples else rows
    elif taken.n_samples != shown.n_samples:
        raise AlignmentError(
            f"concepts has {shown.n_samples} rows but activations has {taken.n_samples}: both need one row per sample"
        )
    if weight is not None and not weight.all():  # a sample of weight 0 is not there
        kept = np.flatnonzero(weight)
        shown, weight = shown.take(kept), weight[kept]
        rows = kept if rows is None else rows[kept]
    searched = shown.prune(1, shown.n_samples - 1).merge_equal() if shown.n_samples > 1 else shown
    return searched, group(searched, weight, rows)


def _search_all(
    taken: Activations,
    columns: NDArray[np.intp],
    groups: Groups,
    rules: Rules,
    directions: tuple[Direction, ...],
    n_jobs: int | None,
    progress: bool,
) -> Iterator[_Part]:
    """Search every block of neurons, each a task of joblib, and give what is found in order as it is done."""
    from joblib import Parallel, delayed, effective_n_jobs

    from neuronym import _kernels, _rank_kernels  # noqa: F401  compiled or loaded here, before threads ask for it

    jobs = effective_n_jobs(n_jobs)
    blocks = taken.blocks(columns, 1 if jobs == 1 else 4 * jobs)
    table = AUC().table(groups.total)
    bare = Activations(taken.matrix)  # a task needs no ids
    tasks = (delayed(_search_block)(bare, block, groups, rules, table, directions) for block in blocks)
    try:
        # As they are done, so that labels are written while other threads search on.
        run = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    except ValueError:  # some backends give lists alone
        run = Parallel(n_jobs=n_jobs, prefer="threads")
    try:
        results = run(tasks)
        parts = (part for done in results for part in done)
        yield from watched(parts, lambda part: len(part[1]), "neurons", len(columns)) if progress else parts
    except _NotFinite:
        raise _not_finite(taken, columns, groups) from None


_PART = 64  # neurons searched at a time

_Part = tuple[list[Found], NDArray[np.float64], NDArray[np.bool_]]


class _NotFinite(Exception):  # noqa: N818  a signal from a task to the front door
    pass


def _search_block(
    taken: Activations,
    columns: NDArray[np.intp],
    groups: Groups,
    rules: Rules,
    table: NDArray[np.float64],
    directions: tuple[Direction, ...],
) -> list[_Part]:
    """What is found for the neurons of a block in each direction, their ties, and which are constant, by parts."""
    auc, block = AUC(), taken.block(columns)
    parts = []
    for start in range(0, len(columns), _PART):  # compiled code cannot be interrupted, so it is given little at a time
        weighed = auc.weigh(block[:, start : start + _PART], groups)
        if weighed.bad.any():
            raise _NotFinite
        turned = {"high": weighed, "low": auc.turned(weighed, groups)}
        found = [search(turned[direction].sums, groups, rules, table) for direction in directions]
        parts.append((found, weighed.ties, weighed.constant(groups)))
    return parts


def _not_finite(taken: Activations, columns: NDArray[np.intp], groups: Groups) -> ActivationsError:
    """Name all neurons that hold NaN or infinity in the samples that are used, and how many."""
    used = slice(None) if groups.rows is None else groups.rows
    counts: dict[Name, int] = {}
    for block in taken.blocks(columns):
        bad = np.count_nonzero(~np.isfinite(taken.block(block)[used]), axis=0)
        counts.update((taken.names[block[j]], int(bad[j])) for j in np.flatnonzero(bad))
    listed = ", ".join(f"{name}: {count}" for name, count in list(counts.items())[:5])
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    return ActivationsError(
        f"activations hold NaN or infinity in {len(counts)} neuron{'s' * (len(counts) > 1)} ({listed}{more}): "
        "every activation must be finite, so leave out those neurons or samples"
    )


def _labels_of(
    parts: Iterable[_Part],
    names: list[Name],
    layer: str | None,
    directions: tuple[Direction, ...],
    concepts: Concepts,
    groups: Groups,
    rules: Rules,
) -> Iterator[Label]:
    """Labels of the neurons, in order, from the arrays of their parts."""
    infeasible = rules.infeasible(groups.total)
    speller = Speller(concepts.names)
    name_of = iter(names)
    for found, ties, constant in parts:
        # The test is two-sided, so it reads the same off the sums of either direction.
        tests = [
            mann_whitney(f.sums[:, 0], np.where(f.lengths[:, 0] > 0, f.counts[:, 0], 1), groups.total, ties)
            for f in found
        ]
        for j, neuron in zip(range(len(ties)), name_of, strict=False):
            for direction, f, (p, log10_p) in zip(directions, found, tests, strict=True):
                if constant[j] or not f.lengths[j, 0]:
                    yield Label(neuron, layer, direction, reason="constant" if constant[j] else infeasible)
                    continue
                best, *others = slots = _explanations(f, j, groups.total, speller)
                used: set[str] = set()
                if concepts.aliases:
                    used = {name for slot in slots if slot is not None for name in slot.formula.concepts}
                yield Label(
                    neuron,
                    layer,
                    direction,
                    best,
                    float(p[j]),
                    float(log10_p[j]),
                    path=tuple(slots[-rules.length :]),
                    runners_up=tuple(slot for slot in others[: -rules.length] if slot is not None),
                    aliases={name: concepts.aliases[name] for name in sorted(used) if name in concepts.aliases},
                )


def _explanations(found: Found, j: int, total: int, speller: Speller) -> list[Explanation | None]:
    """The formulas of neuron j of a block, slot by slot."""
    made: list[Explanation | None] = []
    known: dict[Formula, Explanation] = {}  # the path repeats its steps, and ends in the best
    columns = (found.lengths, found.literals, found.operators, found.counts, found.scores)
    for length, literals, operators, count, score in zip(*(column[j].tolist() for column in columns), strict=True):
        if not length:
            made.append(None)
            continue
        formula = speller.formula(tuple(literals[:length]), tuple(operators[:length]))
        if formula not in known:
            known[formula] = Explanation(formula, score, count / total, count)
        made.append(known[formula])
    return made
