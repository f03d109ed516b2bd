"""The whole table: every neuron against every concept, tested as one family, and what is read off it.

Two sums per group of samples give all of it. Midranks are sorted once per neuron, and a sparse product with the
concepts gives the AUC and the test of all pairs; one scan of the sorted samples gives the highest F1 for all concepts.
The table is made block by block of neurons, and written as it goes; q, which hangs on all p-values, is added last.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.files import check_target, kind_of, parse_json, reading, writing
from neuronym._util.limits import FAMILY, IN_MEMORY
from neuronym._util.messages import counted, no_such, some
from neuronym._util.parallel import check_n_jobs, n_workers, parallel_map, progress_bar, share
from neuronym.data.activations import Activations, as_name
from neuronym.data.groups import SampleGroups
from neuronym.data.sparse import is_csc, not_finite
from neuronym.errors import ActivationsError, FileError, OptionError
from neuronym.inputs.alignment import Aligned
from neuronym.io.tables import check_parquet
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.search.ranking import sort_block
from neuronym.search.ratio import ratio
from neuronym.search.scores import AUC, MeanDifference
from neuronym.search.thresholds import ConceptSums, best_f1
from neuronym.stats.significance import FalseDiscovery, mann_whitney
from neuronym.types import ActivationsLike, Align, ClustersLike, ConceptsLike, Name, PathLike, Unknown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Pairs", "pairs"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_PART = 64  # neurons per call of compiled code, which cannot be interrupted
_GROUP = 2**17  # rows of a row group
_NUMBERS = ("auc", "log10_p", "effect", "f1", "threshold")
_HELD = ("auc_heldout", "f1_heldout")
_KEY = b"neuronym.pairs"  # of what a file says beside its rows


def pairs(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    layers: Sequence[str] | None = None,
    min_count: int = 20,
    unknown: Unknown = "error",
    align: Align = False,
    clusters: ClustersLike = None,
    holdout: float | None = None,
    seed: int = 0,
    top: int | None = None,
    min_auc: float | None = None,
    direction: Literal["high", "low", "both"] = "high",
    correction: Literal["bh", "bonferroni"] = "bh",
    out: PathLike | None = None,
    overwrite: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Pairs:
    """Test every neuron against every concept: AUC, p, effect and F1 of all pairs, corrected as one family.

    Parameters
    ----------
    activations : ActivationsLike
        The activations, of shape (n_samples, n_neurons), of one or several layers; as for ``label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``label``.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    neurons : iterable of int or str, or slice, optional
        The neurons to test, by name, or a slice of them; all by default.
    layers : sequence of str, optional
        The layers to test, by name; all by default.
    min_count : int, default 20
        A concept is tested if it is true for at least so many samples, and false for at least so many.
    unknown : {"error", "no", "drop"}, default "error"
        How to treat concept values that are neither yes nor no: raise an error, read them as no, or drop their samples.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    clusters : ClustersLike, optional
        The cluster that each sample belongs to, as for ``label``; clusters are held out as a whole. The test treats
        samples as independent all the same.
    holdout : float, optional
        The fraction of samples (or clusters) to hold out. All columns are those of the other samples, apart from
        ``auc_heldout`` and ``f1_heldout``. The split is that of ``label`` with the same seed.
    seed : int, default 0
        The seed of the split.
    top : int, optional
        Keep the pairs that are among this many of the highest AUC for their neuron, or for their concept in a layer.
    min_auc : float, optional
        Keep the pairs with at least this AUC; with ``top``, of these the top ones.
    direction : {"high", "low", "both"}, default "high"
        By what ``top`` and ``min_auc`` go: the AUC, 1 − AUC, or the larger of the two. The columns do not depend on it.
    correction : {"bh", "bonferroni"}, default "bh"
        The correction for multiple testing, over the pairs of all layers, whether they are kept or not: ``"bh"`` for
        the false discovery rate, by Benjamini and Hochberg; ``"bonferroni"`` needs no memory for p-values.
    out : path, optional
        Write the table to this file, which ends in ``.parquet``, as it is made: memory does not grow with the table,
        apart from 16 bytes per pair for q by Benjamini and Hochberg. The file is complete or absent.
    overwrite : bool, default False
        Whether to replace a file that exists.
    n_jobs : int, optional
        The number of parallel jobs, as in scikit-learn; each tests a block of neurons. The table does not depend on it.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    Pairs
        The table, in the order of layers, neurons and concepts. With ``top`` or ``min_auc``, it also keeps the pair of
        the highest F1 of each concept in a layer, so that ``coverage`` is that of the whole table.

    Raises
    ------
    InputError
        If activations, concepts or options cannot be used, as one of the subclasses in ``neuronym.errors``.

    Notes
    -----
    ``log10_p`` is the Mann-Whitney test of ``scipy.stats.mannwhitneyu(method="asymptotic")``: two-sided, by the normal
    approximation, corrected for ties and continuity. ``effect`` is the mean activation inside minus outside, in
    standard deviations of the neuron over all samples searched (the score ``"mean_difference"``, and the column
    ``difference`` of labels). ``f1`` is the highest F1 of the samples with activation ≥ ``threshold``, of all
    thresholds; of several, it is the strictest.

    A neuron that is constant on the samples searched has no rows. Concepts that are true for exactly the same samples
    are one concept with aliases.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> concepts = rng.random((1000, 3)) < 0.3
    >>> activations = rng.normal(size=(1000, 4)) + 3 * concepts[:, [0, 0, 1, 2]]
    >>> table = pairs(activations, concepts, names=["dog", "grass", "sky"], holdout=0.5)
    >>> table
    Pairs(12 of 12 pairs: 4 neurons × 3 concepts)
    >>> table.detectors("dog", n=2)[["neuron", "concept"]].values.tolist()
    [[0, 'dog'], [1, 'dog']]
    """
    choice = _Choice(top, min_auc, direction, correction)
    if isinstance(min_count, bool) or not isinstance(min_count, int | np.integer) or min_count < 1:
        raise OptionError(f"min_count must be a whole number of at least 1, not {min_count!r}")
    evidence = EvidenceOptions(holdout=holdout, seed=seed)
    check_n_jobs(n_jobs)
    if out is not None:
        kind_of(out, (".parquet",), "pairs")
        check_target(out, overwrite)
    aligned = inputs.align(
        activations, concepts, layers=layers, names=names, unknown=unknown, clusters=clusters, keep_common=align
    )
    if neurons is not None and not isinstance(neurons, slice | str | int | np.integer | np.ndarray):
        neurons = list(neurons)  # used again for each layer
    tested = [_Layer.of(one, one.activations.indices(neurons), min_count, evidence) for one in aligned]
    _check_size(sum(len(one.columns) * len(one.names) for one in tested), choice, out)
    about = _About.of(tested, choice, holdout)
    with ExitStack() as stack:
        temporary = None if out is None else stack.enter_context(writing(out, overwrite))
        scratch = _Scratch(about, None if out is None else Path(check_target(out, True)).parent, stack)
        family: list[Floats] = []
        finals = []
        for place, layer in enumerate(tested):
            keeper = _Keeper(layer, choice)
            constant = about.constant.setdefault(layer.key, [])
            for at, found in _tested(layer, n_jobs, progress):
                constant += [layer.neuron(j) for j in at[found.constant]]
                about.tests += int((~found.constant).sum()) * len(layer.names)
                if correction == "bh":
                    family.append(found.values["log10_p"][~found.constant].ravel())
                scratch.add(place, layer, keeper.kept(at, found))
            finals.append(keeper.final())
        q = _corrected(family, about.tests, correction)
        schema = _schema(about, tested)
        rows = scratch.finished(schema, finals, q)
        if temporary is None:
            import pyarrow as pa

            return Pairs(pa.Table.from_batches([b for table in rows for b in table.to_batches()], schema), about)
        _write(rows, schema, temporary)
    return Pairs(Path(str(out)), about)


@dataclass(frozen=True)
class _Choice:
    """Which pairs are kept, and how they are corrected."""

    top: int | None
    min_auc: float | None
    direction: str
    correction: str

    def __post_init__(self) -> None:
        if self.top is not None and (
            isinstance(self.top, bool) or not isinstance(self.top, int | np.integer) or self.top < 1
        ):
            raise OptionError(f"top must be a whole number of at least 1, not {self.top!r}")
        least = self.min_auc
        if least is not None and (
            isinstance(least, bool) or not isinstance(least, int | float | np.number) or not 0 <= least <= 1
        ):
            raise OptionError(f"min_auc must lie between 0 and 1, not {least!r}")
        if self.direction not in ("high", "low", "both"):
            raise OptionError(f"direction must be 'high', 'low' or 'both', not {self.direction!r}")
        if self.correction not in ("bh", "bonferroni"):
            raise OptionError(f"correction must be 'bh' or 'bonferroni', not {self.correction!r}")

    @property
    def every(self) -> bool:
        """Whether all pairs are kept."""
        return self.top is None and self.min_auc is None


def _strength(auc: Any, direction: str) -> Any:
    """What pairs are ordered by."""
    return auc if direction == "high" else 1 - auc if direction == "low" else np.maximum(auc, 1 - auc)


def _check_size(n_pairs: int, choice: _Choice, out: PathLike | None) -> None:
    """Refuse tables that would not fit in memory."""
    if choice.correction == "bh" and n_pairs > FAMILY:
        raise OptionError(
            f"{n_pairs:,} pairs are more than the {FAMILY:,} whose p-values are kept in memory for q by Benjamini and "
            "Hochberg: use correction='bonferroni' (--correction bonferroni), which keeps none"
        )
    if n_pairs > IN_MEMORY and out is None and choice.every:
        raise OptionError(
            f"{n_pairs:,} pairs are more than the {IN_MEMORY:,} that are kept in memory: write them to a file "
            "(out='pairs.parquet'), or keep the best of them (top=10) or those that exceed an AUC (min_auc=0.9)"
        )


@dataclass
class _About:
    """What a table says beside its rows; ``constant``, ``untested`` and ``neurons`` are by layer, "" for none."""

    tests: int = 0
    correction: str = "bh"
    direction: str = "high"
    top: int | None = None
    min_auc: float | None = None
    holdout: float | None = None
    neurons: dict[str, int] = field(default_factory=dict)
    concepts: dict[str, list[str]] = field(default_factory=dict)
    untested: dict[str, list[str]] = field(default_factory=dict)
    constant: dict[str, list[Name]] = field(default_factory=dict)
    aliases: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: Sequence[_Layer], choice: _Choice, holdout: float | None) -> _About:
        least = None if choice.min_auc is None else float(choice.min_auc)
        top = None if choice.top is None else int(choice.top)
        found = cls(0, choice.correction, choice.direction, top, least, None if holdout is None else float(holdout))
        for one in layers:
            found.neurons[one.key] = len(one.columns)
            found.concepts[one.key] = list(one.names)
            found.untested[one.key] = list(one.untested)
            found.aliases[one.key] = {name: list(others) for name, others in one.aliases.items()}
        return found

    @classmethod
    def read(cls, text: bytes) -> _About:
        """Read what ``asdict`` wrote; ValueError or TypeError if it is something else."""
        found = parse_json(text)
        if not isinstance(found, dict) or set(found) != {one.name for one in fields(cls)}:
            raise ValueError("what it says of its pairs is not what neuronym writes")
        about = cls(**found)
        numbers = (about.tests, about.top or 0, about.min_auc or 0.0, about.holdout or 0.0, *about.neurons.values())
        lists: list[Any] = [*about.concepts.values(), *about.untested.values(), *about.constant.values()]
        lists += [others for of_layer in about.aliases.values() for others in of_layer.values()]
        texts: list[object] = [
            about.correction,
            about.direction,
            *about.concepts,
            *(name for one in lists for name in one),
        ]
        known = (
            all(isinstance(one, int | float) and math.isfinite(one) for one in numbers)
            and all(isinstance(one, list) for one in lists)
            and all(isinstance(one, str | int) for one in texts)
            and {*about.concepts} == {*about.neurons} == {*about.untested} == {*about.aliases} >= {*about.constant}
        )
        if not known:
            raise ValueError("what it says of its pairs is not what neuronym writes")
        return about


@dataclass(frozen=True)
class _Shared:
    """What the tests of all neurons of a layer share.

    ``weights`` are those of the rows that are searched and, if any are held out, of those, and ``counts`` are their
    sums by concept.
    """

    groups: SampleGroups
    searched: SampleGroups
    sums: ConceptSums
    weights: tuple[Ints, ...]
    counts: tuple[Ints, ...]


@dataclass(frozen=True)
class _Layer:
    """A layer, and which of its neurons and concepts are tested."""

    layer: str | None
    activations: Activations
    columns: NDArray[np.intp]
    names: tuple[str, ...]
    untested: tuple[str, ...]
    aliases: Mapping[str, Sequence[str]]
    shared: _Shared

    @classmethod
    def of(cls, one: Aligned, columns: NDArray[np.intp], min_count: int, options: EvidenceOptions) -> _Layer:
        if not len(columns):
            raise ActivationsError("there is no neuron to test")
        if options.holdout is None and one.given_clusters is not None and one.given_clusters is not False:
            raise OptionError("clusters only affect the split of holdout: set holdout, or leave clusters out")
        split = SampleSplit.of(one.groups, None if options.holdout is None else one.clusters, None, options)
        whole, searched = split.whole, split.searched
        every = ConceptSums.of(whole, np.arange(whole.n_concepts))(searched.counts)
        chosen = np.flatnonzero((every >= min_count) & (searched.total - every >= min_count))
        among = one.searched
        if not len(chosen):
            of = "" if one.layer is None else f" of layer {one.layer!r}"
            raise OptionError(
                f"there is no concept to test{of}: none of {one.shown.n_concepts} is true for {min_count} to "
                f"{searched.total - min_count} of {searched.total} samples (min_count={min_count})"
            )
        sums = ConceptSums.of(whole, chosen)
        weights = [whole.row_weights]
        if split.held is not None:
            weights = [np.where(split.held == held, whole.row_weights, 0) for held in (False, True)]
        by_group = [np.bincount(whole.row_groups, each, whole.n_groups).astype(np.int64) for each in weights]
        shared = _Shared(whole, searched, sums, tuple(weights), tuple(sums(each) for each in by_group))
        names = tuple(among.names[c] for c in chosen)
        aliases = {name: tuple(among.aliases[name]) for name in names if among.aliases.get(name)}
        known = {*names, *(other for others in aliases.values() for other in others)}
        untested = tuple(name for name in one.shown.names if name not in known)
        return cls(one.layer, one.activations, columns, names, untested, aliases, shared)

    @property
    def key(self) -> str:
        """The name of the layer, "" if it has none."""
        return self.layer or ""

    def neuron(self, j: int) -> Name:
        """The name of a neuron by its place among the columns."""
        return self.activations.names[int(self.columns[j])]


@dataclass(frozen=True)
class _Tested:
    """The pairs of some neurons: their numbers by column, each (n_neurons, n_concepts)."""

    values: dict[str, Floats]
    constant: Bools
    bad: Ints


def _tested(layer: _Layer, n_jobs: int | None, progress: bool) -> Iterator[tuple[NDArray[np.intp], _Tested]]:
    """Test the neurons of a layer block by block; also their places among the columns."""
    from neuronym.search import rank_kernels, threshold_kernels  # noqa: F401  compiled before threads ask for it

    jobs = n_workers(n_jobs)
    matrix, common = share(Activations(layer.activations.matrix)), share(layer.shared)
    blocks = layer.activations.blocks(layer.columns, 1 if jobs == 1 else 4 * jobs)
    found = (
        part for done in parallel_map(_test, ((matrix, block, common) for block in blocks), n_jobs) for part in done
    )
    start = 0
    for part in progress_bar(found, lambda one: len(one.bad), "neurons", len(layer.columns)) if progress else found:
        at = np.arange(start, start + len(part.bad))
        start += len(at)
        if part.bad.any():
            names = [layer.neuron(j) for j in at[part.bad > 0]]
            raise ActivationsError(
                f"activations hold NaN or infinity in {counted(len(names), 'neuron')} ({some(names)}): every "
                "activation must be finite, so drop these neurons or samples"
            )
        yield at, part


def _test(activations: Activations, columns: NDArray[np.intp], shared: _Shared) -> list[_Tested]:
    """Test a block of neurons against all concepts."""
    block = activations.block(columns)
    return [_test_part(block[:, start : start + _PART], shared) for start in range(0, len(columns), _PART)]


def _test_part(block: Any, shared: _Shared) -> _Tested:
    groups, weights, (counts, *of_held) = shared.groups, shared.weights, shared.counts
    bad = not_finite(groups.select_rows(block))
    if bad.any():
        return _Tested({}, bad > 0, bad)
    ordered, total = sort_block(block, groups), int(weights[0].sum())
    by_group, ties = ordered.midranks(weights[0])
    sums, every = shared.sums(by_group), np.tile(counts, (len(bad), 1))
    constant = ties == float(total) ** 3 - total
    found = best_f1(block, ordered, shared.sums, weights[0], weights[1] if of_held else None)
    with np.errstate(invalid="ignore"):  # of constant neurons, which have no rows
        values = {
            "auc": ratio(AUC().terms(total, len(bad)), every, sums),
            "log10_p": mann_whitney(sums, every, total, ties[:, np.newaxis])[1],
            "effect": np.concatenate([_effects(block[:, [j]], shared) for j in range(len(bad))]),
        }
    values |= {"f1": found.f1(counts), "threshold": found.thresholds}
    if of_held:
        rest = int(weights[1].sum())
        held_sums = shared.sums(ordered.midranks(weights[1])[0])
        aucs = ratio(AUC().terms(rest, len(bad)), np.tile(of_held[0], (len(bad), 1)), held_sums)
        known = (of_held[0] > 0) & (of_held[0] < rest)
        values |= {"auc_heldout": np.where(known, aucs, np.nan), "f1_heldout": found.held_f1(of_held[0])}
    return _Tested(values, constant, bad)


def _effects(column: Any, shared: _Shared) -> Floats:
    """The mean inside minus outside of a neuron, by itself, since sums of several may round by how many there are."""
    score, counts = MeanDifference(), shared.counts[0][np.newaxis]
    if column.dtype.kind == "f":
        largest = float(np.abs(column.data if is_csc(column) else column).max(initial=0))
        if not 1e-100 < largest < 1e100:  # squares might underflow, or overflow
            column = column.astype(np.float64) / 2.0 ** math.frexp(largest)[1]
    centred = score.weigh(column, shared.searched)
    return score.value(ratio(centred.terms, counts, shared.sums(centred.sums)), centred.units)


@dataclass(frozen=True)
class _Rows:
    """Some pairs of a layer: places of neurons and concepts, their numbers, and which are sure to stay."""

    neurons: NDArray[np.intp]
    concepts: NDArray[np.intp]
    values: dict[str, Floats]
    sure: Bools


class _Keeper:
    """Decides which pairs of a layer are kept: those of a neuron at once, those of a concept when all are known."""

    def __init__(self, layer: _Layer, choice: _Choice) -> None:
        self.layer, self.choice = layer, choice
        n_concepts = len(layer.names)
        self.strengths = np.full((choice.top or 0, n_concepts), -np.inf)  # of the best neurons of each concept so far
        self.neurons = np.full((choice.top or 0, n_concepts), -1)
        self.f1, self.best = np.full(n_concepts, -1.0), np.full(n_concepts, -1)

    def kept(self, at: NDArray[np.intp], found: _Tested) -> _Rows:
        """The pairs of the next neurons that are kept, or may be."""
        choice, shape = self.choice, found.values["auc"].shape
        usable = np.repeat(~found.constant[:, np.newaxis], shape[1], axis=1)
        sure = usable.copy()
        maybe = np.zeros_like(sure)
        if not choice.every:
            strength = np.where(usable, _strength(found.values["auc"], choice.direction), -np.inf)
            sure = usable & (strength >= (0.0 if choice.min_auc is None else choice.min_auc))
            if choice.top is not None:
                strength = np.where(sure, strength, -np.inf)
                sure &= _first(strength, choice.top, 1)
                maybe |= self._update(at, strength)
            f1 = np.where(usable, found.values["f1"], -1.0)
            own = np.argmax(f1, axis=0)
            higher = f1[own, np.arange(shape[1])] > self.f1
            self.f1 = np.where(higher, f1[own, np.arange(shape[1])], self.f1)
            self.best = np.where(higher, at[own], self.best)
            maybe |= higher & (np.arange(shape[0])[:, np.newaxis] == own)
        rows, columns = np.nonzero(sure | maybe)
        values = {name: one[rows, columns] for name, one in found.values.items()}
        return _Rows(at[rows], columns, values, sure[rows, columns])

    def _update(self, at: NDArray[np.intp], strength: Floats) -> Bools:
        """Take neurons into the best of each concept; which pairs got in."""
        top = len(self.strengths)
        every = np.concatenate([self.strengths, strength])  # those from before are first, and stay in a tie
        order = np.argsort(-every, axis=0, kind="stable")[:top]
        places = np.concatenate([self.neurons, np.repeat(at[:, np.newaxis], strength.shape[1], axis=1)])
        self.strengths, self.neurons = (np.take_along_axis(one, order, 0) for one in (every, places))
        self.neurons[self.strengths == -np.inf] = -1
        entered = np.zeros(every.shape, np.bool_)
        np.put_along_axis(entered, order, True, 0)
        return np.asarray(entered[top:] & (strength > -np.inf))

    def final(self) -> Ints:
        """The pairs of concepts that stay, as neuron · n_concepts + concept, sorted."""
        n_concepts = len(self.layer.names)
        places = np.concatenate([self.neurons, self.best[np.newaxis]])
        codes = places * n_concepts + np.arange(n_concepts)
        return np.unique(codes[places >= 0]).astype(np.int64)


def _first(values: Floats, n: int, axis: int) -> Bools:
    """Which values are among the n largest along an axis; of equal ones the first."""
    order = np.argsort(-values, axis=axis, kind="stable")
    found = np.zeros(values.shape, np.bool_)
    np.put_along_axis(found, np.take(order, range(min(n, values.shape[axis])), axis), True, axis)
    return found


class _Scratch:
    """Rows that may be kept, in memory or in a file without a name, until q is known."""

    def __init__(self, about: _About, folder: Path | None, stack: ExitStack) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        self.numbers = (*_NUMBERS, *(_HELD if about.holdout is not None else ()))
        whole: list[Any] = [
            ("place", pa.int32()),
            ("neuron", pa.int64()),
            ("concept", pa.int64()),
            ("sure", pa.bool_()),
        ]
        self.schema = pa.schema([*whole, *((name, pa.float64()) for name in self.numbers)])
        self.layers: dict[int, _Layer] = {}
        self.waiting: list[pa.Table] = []
        self.file: Any = None
        if folder is not None:
            self.file = stack.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
            self.writer = stack.enter_context(parquet.ParquetWriter(self.file, self.schema, compression="lz4"))

    def add(self, place: int, layer: _Layer, rows: _Rows) -> None:
        """Add rows of the layer at this place."""
        import pyarrow as pa

        self.layers[place] = layer
        columns: list[Any] = [np.full(len(rows.neurons), place, np.int32), rows.neurons, rows.concepts, rows.sure]
        columns += [rows.values[name] for name in self.numbers]
        arrays = [pa.array(one) for one in columns]
        self.waiting.append(pa.Table.from_arrays(arrays, schema=self.schema))
        if self.file is not None and sum(one.num_rows for one in self.waiting) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self.waiting:
            self.writer.write_table(pa.concat_tables(self.waiting))
            self.waiting = []

    def finished(self, schema: pa.Schema, finals: Sequence[Ints], q: Callable[[Floats], Floats]) -> Iterator[pa.Table]:
        """Yield the rows that are kept, as they are saved."""
        import pyarrow.parquet as parquet

        parts: Iterable[pa.Table] = self.waiting
        if self.file is not None:
            self._flush()
            self.writer.close()
            self.file.seek(0)
            file = parquet.ParquetFile(self.file)
            parts = (file.read_row_group(i) for i in range(file.num_row_groups))  # never more than one in memory
        for part in parts:
            columns: dict[str, Any] = {name: part.column(name).to_numpy() for name in self.schema.names}
            for place in np.unique(columns["place"]).tolist():
                layer = self.layers[place]
                codes = columns["neuron"] * len(layer.names) + columns["concept"]
                kept = (columns["place"] == place) & (columns["sure"] | np.isin(codes, finals[place]))
                yield _table(layer, {name: one[kept] for name, one in columns.items()}, schema, q)


def _table(
    layer: _Layer, columns: dict[str, NDArray[Any]], schema: pa.Schema, q: Callable[[Floats], Floats]
) -> pa.Table:
    """Rows of a layer with names, counts and q."""
    import pyarrow as pa

    shown, of_row = np.unique(columns["neuron"], return_inverse=True)
    named = [layer.neuron(j) for j in shown]
    whole = pa.types.is_integer(schema.field("neuron").type)
    neurons: Any = pa.array(named if whole else [str(name) for name in named], schema.field("neuron").type)
    concepts: Any = pa.array(layer.names, pa.string())
    made: dict[str, Any] = {
        "layer": pa.array([layer.layer] * len(columns["place"]), pa.string()),
        "neuron": neurons.take(pa.array(of_row)),
        "concept": concepts.take(pa.array(columns["concept"])),
        "count": pa.array(layer.shared.counts[0][columns["concept"]]),
        "q": pa.array(q(columns["log10_p"])),
    }
    made |= {name: pa.array(one, from_pandas=True) for name, one in columns.items() if name in (*_NUMBERS, *_HELD)}
    return pa.Table.from_arrays([made[name] for name in schema.names], schema=schema)


def _schema(about: _About, layers: Sequence[_Layer]) -> pa.Schema:
    """The columns of a table, with what it says beside."""
    import pyarrow as pa

    names = (name for one in layers for name in one.activations.names)
    whole = all(isinstance(name, int | np.integer) and abs(int(name)) < 2**63 for name in names)
    kinds: dict[str, Any] = {"layer": pa.string(), "neuron": pa.int64() if whole else pa.string()}
    kinds |= {"concept": pa.string(), "count": pa.int64()}
    numbers = ["auc", "log10_p", "q", "effect", "f1", "threshold", *(_HELD if about.holdout is not None else ())]
    columns = [*kinds.items(), *((name, pa.float64()) for name in numbers)]
    return pa.schema(columns, {_KEY: json.dumps(asdict(about), ensure_ascii=False, allow_nan=False).encode()})


def _corrected(family: list[Floats], tests: int, correction: str) -> Callable[[Floats], Floats]:
    """What makes q of log10 p."""
    if correction == "bonferroni":
        return lambda log10_p: np.asarray(10.0 ** np.minimum(log10_p + math.log10(max(tests, 1)), 0.0))
    every = np.empty(sum(map(len, family)))
    start = 0
    while family:  # freed as they are copied
        one = family.pop()
        every[start : start + len(one)] = one
        start += len(one)
    return FalseDiscovery.of(every).q


def _write(rows: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
    """Write tables as a file, some rows per group."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    waiting: list[pa.Table] = []
    with parquet.ParquetWriter(path, schema) as writer:
        for table in rows:
            waiting.append(table)
            if sum(one.num_rows for one in waiting) >= _GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


class Pairs:
    """A table of neurons × concepts, in memory or in a file; made by ``pairs`` or ``Pairs.open``.

    A table in a file is read in parts, and only as far as it is asked for.

    Parameters
    ----------
    source : pyarrow.Table or Path
        The rows, or the file with them.
    about : object
        What the table says beside its rows.
    """

    def __init__(self, source: pa.Table | Path, about: _About) -> None:
        self._source, self._about = source, about

    @classmethod
    def open(cls, path: PathLike) -> Pairs:
        """Open a file of pairs, without reading its rows.

        Parameters
        ----------
        path : str or Path
            A file that ``pairs(out=…)``, ``Pairs.save`` or ``neuronym pairs`` wrote.

        Returns
        -------
        Pairs
            The table.

        Raises
        ------
        FileError
            If it cannot be read, or is no file of pairs.
        """
        import pyarrow.parquet as parquet

        kind_of(path, (".parquet",), "pairs")
        with reading(path, "pairs"):
            schema = parquet.read_schema(path)
        said = (schema.metadata or {}).get(_KEY)
        if said is None:
            raise FileError(f"{str(path)!r} is not a file of pairs: make one by neuronym pairs --out")
        with reading(path, "pairs"):
            about = _About.read(said)
            _check_schema(schema, about)
        return cls(Path(path), about)

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Save the table as a file, which is complete or absent.

        Parameters
        ----------
        path : str or Path
            A file that ends in ``.parquet``.
        overwrite : bool, default False
            Whether to replace a file that exists.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        import pyarrow as pa

        kind_of(path, (".parquet",), "pairs")
        with writing(path, overwrite) as temporary:
            batches = self._batches()
            first = next(batches, None)
            if first is not None:
                parts = (pa.Table.from_batches([one]) for one in (first, *batches))
                _write(parts, first.schema, temporary)
            else:
                _write((), self._schema, temporary)

    @property
    def tests(self) -> int:
        """The number of pairs that were tested, whether they are kept or not."""
        return self._about.tests

    @property
    def untested(self) -> dict[str, list[str]]:
        """The concepts of each layer that were not tested, since too few samples are inside or outside them."""
        return self._about.untested

    @property
    def constant(self) -> dict[str, list[Name]]:
        """The neurons of each layer that are constant, and so not tested."""
        return self._about.constant

    @property
    def _schema(self) -> pa.Schema:
        import pyarrow.parquet as parquet

        if not isinstance(self._source, Path):
            return self._source.schema
        with reading(self._source, "pairs"):
            return parquet.read_schema(self._source)

    def __len__(self) -> int:
        import pyarrow.parquet as parquet

        if not isinstance(self._source, Path):
            return int(self._source.num_rows)
        with reading(self._source, "pairs"):
            return int(parquet.read_metadata(self._source).num_rows)

    def __repr__(self) -> str:
        about = self._about
        neurons = counted(sum(about.neurons.values()), "neuron")
        if len(about.neurons) > 1:
            neurons += f" of {len(about.neurons)} layers"
        names = {name for of_layer in about.concepts.values() for name in of_layer}
        more = [f"{n} not tested" for n in [len({name for one in about.untested.values() for name in one})] if n]
        more += [f"{counted(n, 'neuron')} constant" for n in [sum(map(len, about.constant.values()))] if n]
        rest = "".join(f", {one}" for one in more)
        return f"Pairs({len(self):,} of {about.tests:,} pairs: {neurons} × {counted(len(names), 'concept')}{rest})"

    def to_frame(self) -> pd.DataFrame:
        """Convert to a DataFrame, with all rows in memory.

        Returns
        -------
        DataFrame
            One row per pair, with the columns

            - ``layer`` (if there are layers), ``neuron``, ``concept``, and ``count``, the number of samples inside it;
            - ``auc``; ``log10_p`` of the Mann-Whitney test; ``q``, p corrected for all tests;
            - ``effect``: mean activation inside minus outside, in standard deviations of the neuron;
            - ``f1``, ``threshold``: the highest F1 of the samples with activation ≥ threshold;
            - ``auc_heldout``, ``f1_heldout`` (with ``holdout``): the AUC on the held-out samples, and F1 there, at the
              threshold chosen on the others; NaN if the concept is true for none (or all) of them.
        """
        if isinstance(self._source, Path):
            check_parquet(self._source, "pairs")
        return self._frame(None)

    def detectors(
        self, concept: str, n: int | None = 10, *, by: Literal["auc", "f1"] = "auc", layer: str | None = None
    ) -> pd.DataFrame:
        """Find the neurons that detect a concept best.

        Parameters
        ----------
        concept : str
            The concept, by its name or an alias.
        n : int or None, default 10
            The number of neurons; None means all that are kept.
        by : {"auc", "f1"}, default "auc"
            What they are ordered by, on the samples searched; the AUC in the ``direction`` of the table.
        layer : str or None, default None
            The layer; None means all of them.

        Returns
        -------
        DataFrame
            As from ``to_frame``, best first.

        Raises
        ------
        UnknownNameError
            If there is no such concept or layer.
        OptionError
            If the concept was not tested.
        """
        import pyarrow.compute as pc

        about = self._about
        layers = self._layers(layer)
        names = {
            key: name for key in layers for name in about.concepts[key]
            if name == concept or concept in about.aliases[key].get(name, ())
        }  # fmt: skip
        if not names and any(concept in about.untested[key] for key in layers):
            raise OptionError(
                f"concept {concept!r} was not tested, since too few samples are inside or outside it: lower min_count"
            )
        if not names:
            raise no_such("concept", concept, list(dict.fromkeys(c for key in layers for c in about.concepts[key])))
        chosen = None  # a name may be an alias in one layer, and a concept of its own in another with other samples
        for key, name in names.items():
            of_layer = pc.field("concept") == name
            of_layer &= pc.field("layer") == key if key else pc.field("layer").is_null()
            chosen = of_layer if chosen is None else chosen | of_layer
        return self._best(chosen, n, by)

    def of_neuron(
        self, neuron: Name, n: int | None = 10, *, by: Literal["auc", "f1"] = "auc", layer: str | None = None
    ) -> pd.DataFrame:
        """Find the concepts that a neuron detects best.

        Parameters
        ----------
        neuron : int or str
            The neuron.
        n : int or None, default 10
            The number of concepts; None means all that are kept.
        by : {"auc", "f1"}, default "auc"
            What they are ordered by, as for ``detectors``.
        layer : str or None, default None
            Its layer; None means that of every layer with a neuron of this name.

        Returns
        -------
        DataFrame
            As from ``to_frame``, best first.

        Raises
        ------
        UnknownNameError
            If there is no such layer, or no pair of such a neuron.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        self._layers(layer)
        name = as_name(neuron)
        whole = pa.types.is_integer(self._schema.field("neuron").type)
        found = None
        if not whole or isinstance(name, int):
            chosen = pc.field("neuron") == (name if whole else str(name))
            found = self._best(chosen if layer is None else chosen & (pc.field("layer") == layer), n, by)
        if found is None or not len(found):
            constant = [known for of_layer in self._about.constant.values() for known in of_layer]
            why = f"neuron {name} is constant, so it was not tested" if name in constant else ""
            raise OptionError(why) if why else no_such("neuron", name, [])
        return found

    def coverage(self, min_f1: float = 0.5, min_auc: float = 0.9) -> pd.DataFrame:
        """Count the concepts that some neuron detects, layer by layer, on held-out samples.

        The neuron of a concept is that of the highest F1 on the samples searched. It is measured on the held-out
        samples, at the threshold chosen on the others: nothing is chosen there.

        Parameters
        ----------
        min_f1 : float, default 0.5
            The F1 that must be exceeded on the held-out samples.
        min_auc : float, default 0.9
            The AUC that must be exceeded there too.

        Returns
        -------
        DataFrame
            One row per layer, with the columns

            - ``layer`` (if there are layers), ``concepts`` that were tested, ``covered``, the number of them that their
              neuron detects, and ``share``, their share;
            - ``neurons``, and ``labelled``, the number of them that cover some concept;
            - ``f1_heldout``: the mean over concepts of the F1 of their neuron.

        Raises
        ------
        OptionError
            If no samples were held out.
        """
        import pandas as pd

        if self._about.holdout is None:
            raise OptionError("coverage needs samples that were held out: make the table with holdout=0.5 (--holdout)")
        columns = ["layer", "neuron", "concept", "f1", "f1_heldout", "auc_heldout"]
        parts = [_detectors(batch.to_pandas()) for batch in self._batches(columns)]
        best = _detectors(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame(columns=columns)
        covered = best[(best["f1_heldout"] > min_f1) & (best["auc_heldout"] > min_auc)]
        rows = []
        for layer, n_neurons in self._about.neurons.items():
            own, known = (frame[frame["layer"].fillna("") == layer] for frame in (best, covered))
            n_concepts = len(self._about.concepts[layer])
            row: dict[str, Any] = {"layer": layer} if layer else {}
            row |= {"concepts": n_concepts, "covered": len(known), "share": len(known) / n_concepts}
            row |= {"neurons": n_neurons, "labelled": known["neuron"].nunique()}
            rows.append(row | {"f1_heldout": float(own["f1_heldout"].mean())})
        return pd.DataFrame(rows)

    def _layers(self, layer: str | None) -> list[str]:
        known = list(self._about.concepts)
        if layer is None:
            return known
        if layer not in known or not layer:
            raise no_such("layer", layer, [name for name in known if name])
        return [layer]

    def _batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as parquet

        if not isinstance(self._source, Path):
            yield from (self._source if columns is None else self._source.select(columns)).to_batches(_GROUP)
            return
        with reading(self._source, "pairs"), parquet.ParquetFile(self._source) as file:
            for batch in file.iter_batches(_GROUP, columns=columns):
                _check_rows(batch)
                yield batch

    def _frame(self, chosen: Any) -> pd.DataFrame:
        import pyarrow.parquet as parquet

        if isinstance(self._source, Path):
            with reading(self._source, "pairs"):
                table = parquet.read_table(self._source, filters=chosen, partitioning=None)
                _check_rows(table)
        else:
            table = self._source if chosen is None else self._source.filter(chosen)
        frame: pd.DataFrame = table.to_pandas()
        if frame["neuron"].dtype.kind not in "iu":
            frame["neuron"] = frame["neuron"].map(as_name).astype(object)
        return frame.drop(columns="layer") if [*self._about.neurons] == [""] else frame

    def _best(self, chosen: Any, n: int | None, by: str) -> pd.DataFrame:
        if by not in ("auc", "f1"):
            raise OptionError(f"by must be 'auc' or 'f1', not {by!r}")
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1):
            raise OptionError(f"n must be a whole number of at least 1, or None, not {n!r}")
        frame = self._frame(chosen)
        values = frame[by].to_numpy()
        strength = _strength(values, self._about.direction) if by == "auc" else values
        order = np.argsort(-strength, kind="stable")
        return frame.iloc[order[:n]].reset_index(drop=True)


def _check_schema(schema: pa.Schema, about: _About) -> None:
    """Refuse a file without the columns of pairs, or with columns of other types."""
    import pyarrow as pa

    numbers = (*_NUMBERS, "q", *(_HELD if about.holdout is not None else ()))
    kinds: dict[str, tuple[Any, ...]] = {"layer": (pa.string(),), "neuron": (pa.int64(), pa.string())}
    kinds |= {"concept": (pa.string(),), "count": (pa.int64(),), **dict.fromkeys(numbers, (pa.float64(),))}
    missing = [name for name in kinds if schema.names.count(name) != 1]
    if missing:
        raise ValueError(f"it lacks the columns {', '.join(missing)}")
    other = [name for name, known in kinds.items() if schema.field(name).type not in known]
    if other:
        raise ValueError(f"the column {other[0]} holds {schema.field(other[0]).type}, not {kinds[other[0]][0]}")


def _check_rows(rows: pa.Table | pa.RecordBatch) -> None:
    """Refuse rows with broken texts, missing cells, or numbers that are not finite."""
    import pyarrow.compute as pc

    rows.validate(full=True)
    for name in rows.schema.names:
        column = rows.column(name)
        finite = name not in (*_NUMBERS, "q") or pc.all(pc.is_finite(column), min_count=0).as_py()
        if name not in ("layer", *_HELD) and (column.null_count or not finite):
            raise ValueError(f"the column {name} has a cell that is missing or not finite")


def _detectors(frame: pd.DataFrame) -> pd.DataFrame:
    """The row with the highest F1 of each concept of a layer, the first of several."""
    if not len(frame):
        return frame
    return frame.loc[frame.groupby(["layer", "concept"], dropna=False)["f1"].idxmax().sort_values()]
