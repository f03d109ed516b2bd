"""What the search finds, as compact arrays from which labels are made when asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.data.formula import Formula
from neuronym.labels.label import Explanation, Label
from neuronym.search.beam import FormulaDecoder, Rules, SearchResult
from neuronym.stats.significance import mann_whitney
from neuronym.types import Direction, Name

__all__ = ["Beside", "BlockResult", "Found", "FoundBlock", "blocks_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

_JOINED = 4096  # neurons per block of labels
_CONSTANT, _INFEASIBLE, _NOTHING_ABOVE = 1, 2, 3  # why there is no formula; 0 if there is one


@dataclass(frozen=True)
class BlockResult:
    """What a search found for some neurons, by direction where it is a list.

    ``aucs``, ``sums`` (twice the midranks), ``values`` of the score, its ``gaps`` and ``ceilings`` have the shape of
    the scores found; they are None for the AUC, which is what is found.
    """

    found: list[SearchResult]
    ties: Floats
    constant: Bools
    beside: list[Beside] | None = None


@dataclass(frozen=True)
class Beside:
    """Beside a score other than the AUC, for one direction: the values of the score, and the AUC of its formulas."""

    values: Floats
    aucs: Floats
    sums: NDArray[np.int64]
    gaps: Floats
    ceilings: Floats
    thresholds: Floats


@dataclass(frozen=True)
class Found:
    """What all labels of a layer share.

    Parameters
    ----------
    layer : str or None
        The name of the layer.
    names : tuple of str
        The names of the concepts that were searched.
    aliases : mapping of str to tuple of str
        The aliases of the concepts that have some.
    rules : Rules
        The rules of the search.
    total : int
        The number of samples.
    directions : tuple of {"high", "low"}
        The directions that were searched.
    score : str
        The score that formulas were searched by.
    """

    layer: str | None
    names: tuple[str, ...]
    aliases: Mapping[str, tuple[str, ...]]
    rules: Rules
    total: int
    directions: tuple[Direction, ...]
    score: str


@dataclass(frozen=True)
class FoundBlock:
    """The formulas of some neurons, one row per neuron and direction, in the smallest types that hold them.

    Parameters
    ----------
    shared : Found
        What all labels of the layer share.
    names : NDArray or tuple of (int or str)
        The names of the neurons.
    why : int8 array of shape (n_labels,)
        Why there is no formula.
    lengths, literals, operators, counts : integer arrays
        The formulas in all slots, as in ``SearchResult``.
    aucs : float64 array of shape (n_labels, n_slots)
        Their AUC.
    p, log10_p, gaps, ceilings : float64 arrays of shape (n_labels,)
        The numbers of the labels.
    optimal : bool array of shape (n_labels,)
        Whether it is proven that no formula is better.
    values : float64 array of shape (n_labels, n_slots), or None
        The values of a score other than the AUC.
    thresholds : float64 array of shape (n_labels,), or None
        The threshold of that score.
    """

    shared: Found
    names: NDArray[np.int64] | tuple[Name, ...]
    why: NDArray[np.int8]
    lengths: Ints
    literals: Ints
    operators: Ints
    counts: Ints
    aucs: Floats
    p: Floats
    log10_p: Floats
    gaps: Floats
    ceilings: Floats
    optimal: Bools
    values: Floats | None = None
    thresholds: Floats | None = None

    @classmethod
    def of(cls, shared: Found, names: Sequence[Name], part: BlockResult) -> FoundBlock:
        """Pack what a search found.

        Parameters
        ----------
        shared : Found
            What all labels of the layer share.
        names : sequence of int or str
            The names of the neurons.
        part : BlockResult
            What was found for them.

        Returns
        -------
        FoundBlock
            Without what labels do not have.
        """
        found, beside = part.found, part.beside
        lengths = _by_neuron([one.lengths for one in found])
        literals, operators = (_by_neuron([getattr(one, of) for one in found]) for of in ("literals", "operators"))
        unused = np.arange(literals.shape[2]) >= lengths[:, :, np.newaxis]
        counts = _by_neuron([one.counts for one in found])
        sums = _by_neuron([one.sums for one in found] if beside is None else [one.sums for one in beside])
        # The test is two-sided, so the sums of either direction give the same p.
        first = np.where(lengths[:, 0] > 0, counts[:, 0], 1)
        p, log10_p = mann_whitney(sums[:, 0], first, shared.total, np.repeat(part.ties, len(found)))
        constant = np.repeat(part.constant, len(found))
        why = np.where(constant, _CONSTANT, np.where(lengths[:, 0] > 0, 0, _INFEASIBLE))
        more: dict[str, Any] = {}
        if beside is not None:
            values, thresholds = (_by_neuron([getattr(one, of) for one in beside]) for of in ("values", "thresholds"))
            nothing = ~(np.isnan(thresholds) | (values[:, 0] > 0))
            why = np.where((why == 0) & nothing, _NOTHING_ABOVE, why)
            more = {"values": values, "thresholds": thresholds}
        return cls(
            shared,
            _packed_names(names),
            why.astype(np.int8),
            _smallest(lengths),
            _smallest(np.where(unused, 0, literals)),
            _smallest(np.where(unused, 0, operators)),
            _smallest(counts),
            _by_neuron([one.scores for one in found] if beside is None else [one.aucs for one in beside]),
            np.asarray(p),
            np.asarray(log10_p),
            _by_neuron([one.gap for one in found] if beside is None else [one.gaps for one in beside]),
            _by_neuron([one.ceiling for one in found] if beside is None else [one.ceilings for one in beside]),
            _by_neuron([one.optimal for one in found]),
            **more,
        )

    @classmethod
    def joined(cls, blocks: Sequence[FoundBlock]) -> FoundBlock:
        """Join blocks of one layer.

        Parameters
        ----------
        blocks : sequence of FoundBlock
            At least one block.

        Returns
        -------
        FoundBlock
            One after the other.
        """
        names = [name for block in blocks for name in block.neuron_names()]
        arrays: dict[str, Any] = {
            one.name: None
            if getattr(blocks[0], one.name) is None
            else np.concatenate([getattr(block, one.name) for block in blocks])
            for one in fields(cls)
            if one.name not in ("shared", "names")
        }
        return cls(blocks[0].shared, _packed_names(names), **arrays)

    def __len__(self) -> int:
        return len(self.why)

    def neuron_names(self) -> list[Name]:
        """Return the name of each neuron, once for all its directions."""
        return self.names.tolist() if isinstance(self.names, np.ndarray) else list(self.names)

    def neurons(self) -> list[Name]:
        """Return the neuron of each label."""
        return [name for name in self.neuron_names() for _ in self.shared.directions]

    def layers(self) -> list[str | None]:
        """Return the layer of each label."""
        return [self.shared.layer] * len(self)

    def found(self) -> Bools:
        """Return which labels have a formula."""
        return np.equal(self.why, 0)

    def filled(self) -> set[str]:
        """Return the columns that any label fills."""
        rows, shared = self.found(), self.shared
        used = np.arange(self.literals.shape[2]) < self.lengths[:, :, np.newaxis]
        aliased = [c for c, name in enumerate(shared.names) if name in shared.aliases]
        numbers = {"gap": self.gaps, "ceiling": self.ceilings, "threshold": self.thresholds}
        numbers |= {"value": None if self.values is None else self.values[:, 0]}
        filled = {
            "layer": shared.layer is not None,
            "score": self.values is not None and rows.any(),
            "optimal": shared.rules.search != "beam" and rows.any(),
            "runners_up": (self.lengths[rows, 1 : -shared.rules.length] > 0).any(),
            "aliases": (np.isin(self.literals >> 1, aliased) & used)[rows].any(),
            **{name: array is not None and np.isfinite(array[rows]).any() for name, array in numbers.items()},
        }
        return {name for name, is_filled in filled.items() if is_filled}

    def labels(self, places: Sequence[int]) -> Iterator[Label]:
        """Make the labels at some places.

        Parameters
        ----------
        places : sequence of int
            The places in the block.

        Yields
        ------
        Label
            The label at each place.
        """
        shared, at = self.shared, np.asarray(places, np.intp)
        n_directions, missing = len(shared.directions), np.full(len(at), np.nan)
        decoder = FormulaDecoder(shared.names)  # of its own, since the formulas of a million labels take gigabytes
        slots = (self.lengths, self.literals, self.operators, self.counts, self.aucs)
        of = (at // n_directions).tolist()
        neurons = [self.names[j] for j in of] if isinstance(self.names, tuple) else self.names[of].tolist()
        directions = [shared.directions[d] for d in (at % n_directions).tolist()]
        numbers = [
            (missing if array is None else array[at]).tolist()
            for array in (self.p, self.log10_p, self.gaps, self.ceilings, self.optimal, self.thresholds)
        ]
        formulas = zip(*(array[at].tolist() for array in slots), strict=True)
        values = [None] * len(at) if self.values is None else self.values[at].tolist()
        for neuron, why, direction, of_label, slot, value in zip(
            neurons, self.why[at].tolist(), directions, zip(*numbers, strict=True), formulas, values, strict=True
        ):
            p, log10_p, gap, ceiling, optimal, threshold = of_label
            if why:
                yield Label(neuron, shared.layer, direction, reason=self._reason(why, threshold))
                continue
            best, *others = made = _explanations(shared.total, decoder, p, log10_p, slot, value)
            used: set[str] = set()
            if shared.aliases:
                used = {name for one in made if one is not None for name in one.formula.concepts}
            yield Label(
                neuron,
                shared.layer,
                direction,
                best,
                path=tuple(made[-shared.rules.length :]),
                runners_up=tuple(one for one in others[: -shared.rules.length] if one is not None),
                aliases={name: shared.aliases[name] for name in sorted(used) if name in shared.aliases},
                optimal=None if shared.rules.search == "beam" else optimal,
                gap=gap,
                ceiling=ceiling,
                score=None if self.values is None else shared.score,
                threshold=math.nan if math.isnan(threshold) else threshold,
            )

    def _reason(self, why: int, threshold: float) -> str:
        """Return the reason of a label without a formula."""
        if why == _CONSTANT:
            return "constant"
        if why == _INFEASIBLE:
            return self.shared.rules.infeasible(self.shared.total)
        return f"no formula is true for a sample whose activation exceeds the threshold {threshold:.4g}"


def blocks_of(parts: Iterable[BlockResult], names: Sequence[Name], shared: Found) -> Iterator[FoundBlock]:
    """Yield the labels of a layer as blocks, in order, from the results of the search.

    Parameters
    ----------
    parts : iterable of BlockResult
        What was found, for some neurons at a time.
    names : sequence of int or str
        The names of all neurons.
    shared : Found
        What all labels of the layer share.

    Yields
    ------
    FoundBlock
        Some thousands of neurons.
    """
    waiting: list[FoundBlock] = []
    start = first = 0
    for part in parts:
        stop = start + len(part.ties)
        waiting.append(FoundBlock.of(shared, names[start:stop], part))
        start = stop
        if start - first >= _JOINED:
            yield FoundBlock.joined(waiting)
            waiting, first = [], start
    if waiting:
        yield FoundBlock.joined(waiting)


def _explanations(
    total: int, decoder: FormulaDecoder, p: float, log10_p: float, slots: Sequence[Any], values: Sequence[float] | None
) -> list[Explanation | None]:
    """Return the formulas of a label, one per slot; p belongs to the first."""
    made: list[Explanation | None] = []
    known: dict[Formula, Explanation] = {}  # the path may repeat a step, and ends with the best formula
    for length, literals, operators, count, auc, value in zip(*slots, values or slots[-1], strict=True):
        if not length:
            made.append(None)
            continue
        formula = decoder.formula(tuple(literals[:length]), tuple(operators[:length]))
        if formula not in known:
            tested = {} if known else {"p": p, "log10_p": log10_p}
            tested |= {} if values is None else {"value": value}
            known[formula] = Explanation(formula, auc, count / total, count, **tested)
        made.append(known[formula])
    return made


def _by_neuron(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the rows of arrays for each direction, those of a neuron one after the other."""
    return np.stack(arrays, axis=1).reshape(-1, *arrays[0].shape[1:])


def _smallest(array: NDArray[Any]) -> Ints:
    """Return integers in the smallest type that holds them."""
    if not array.size:
        return array.astype(np.int8)
    return array.astype(np.result_type(np.min_scalar_type(array.min()), np.min_scalar_type(array.max())))


def _packed_names(names: Sequence[Name]) -> NDArray[np.int64] | tuple[Name, ...]:
    """Return names as an array if all are numbers."""
    if all(isinstance(name, int) and abs(name) < 2**63 for name in names):
        return np.array(names, np.int64)
    return tuple(names)
