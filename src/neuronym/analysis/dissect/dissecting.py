"""Network Dissection and Compositional Explanations: formulas of concepts for where neurons are active in photos.

A neuron is on at a pixel where its activation map, enlarged bilinearly to the mask's size, exceeds the neuron's own top
quantile over the data set (Bau et al., CVPR 2017, section 2; Mu and Andreas, NeurIPS 2020, section 2). Formulas are
ranked by the intersection over union of the pixels where they are true and those where the neuron is on: over single
concepts in Network Dissection, over formulas of up to three in Compositional Explanations.

The IoU follows from counts and sums (``search.scores``), so pixels that show the same concepts are one group. What is
kept of the maps is one number for each neuron and set of concepts, and the search is that of ``neuronym.label``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.files import reading
from neuronym._util.messages import counted as number_of
from neuronym._util.messages import no_such, some, warn
from neuronym._util.parallel import check_n_jobs, n_workers, parallel_map, progress_bar, share
from neuronym.analysis.dissect.pixels import Counted, View, count_photos, thresholds_of
from neuronym.analysis.dissect.resuming import Parts
from neuronym.data.activations import Activations
from neuronym.data.binary import columns_of_pairs
from neuronym.data.concepts import Concepts
from neuronym.data.groups import SampleGroups, group
from neuronym.data.maps import Maps
from neuronym.data.masks import Masks
from neuronym.errors import ActivationsError, ConceptsError, OptionError
from neuronym.inputs.alignment import as_layers, same_samples
from neuronym.io.files import open_activations
from neuronym.io.sources.masks import open_masks
from neuronym.labeling.found import Beside, BlockResult, Found, FoundBlock
from neuronym.labeling.options import EvidenceOptions
from neuronym.labels.label import Label
from neuronym.labels.labels import Labels
from neuronym.labels.lazy import LazyLabels
from neuronym.search.beam import Rules, SearchResult
from neuronym.search.scores import IoU, as_score
from neuronym.search.searcher import Searcher
from neuronym.stats.split import hold_out
from neuronym.types import Align, Name, PathLike, SearchMethod

if TYPE_CHECKING:
    import pandas as pd

    from neuronym.types import MapsLike, MasksLike

__all__ = ["Dissection", "dissect", "maps_of_layers"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_MOST_PIXELS = 2**53  # a double counts them exactly
_THRESHOLD_BYTES = 256 * 2**20  # of maps that are read at once to find quantiles
_NEURONS = 64  # per call of the search
_PHOTOS = 256  # that a task counts: a few rows of chunks on disk


@dataclass(frozen=True)
class LayerCounts:
    """What was counted of a layer.

    Parameters
    ----------
    layer : str or None
        The name of the layer; None if it has none.
    names : tuple of (int or str)
        The names of the neurons.
    thresholds : float64 array of shape (n_neurons,)
        The activation above which each neuron is on.
    constant : bool array of shape (n_neurons,)
        Whether its activations are all equal.
    above, above_held : int64 arrays of shape (n_neurons, n_sets)
        At how many of the pixels that show a set of concepts it is on, on the photos searched and on those held out.
    """

    layer: str | None
    names: tuple[Name, ...]
    thresholds: Floats
    constant: Bools
    above: Ints
    above_held: Ints


@dataclass(frozen=True)
class Dissection:
    """Pixels counted by the concepts that they show and by the neurons that are on there; made by ``dissect``.

    Everything that needs no other threshold follows from it without another look at maps or masks.

    Parameters
    ----------
    labels : Labels
        The best formula of each neuron. ``value`` is its IoU and ``score`` is ``"iou"``; ``count`` and ``fraction``
        are those of pixels, and so is the AUC, of a neuron that is on or off.
    concepts : Concepts
        Which concepts each photo shows anywhere in the part that the network saw, to label the same neurons by
        ``neuronym.label``.
    sets : Concepts
        The sets of concepts that pixels show: a row for each, in the order of ``n_pixels``.
    n_pixels, n_pixels_held : int64 arrays of shape (n_sets,)
        How many pixels show exactly this set, on the photos searched and on those held out.
    void : int
        How many pixels were left out, since it is not known what they show.
    held : bool array of shape (n_photos,)
        Which photos, in the order of ``concepts``, were held out.
    view : View
        Which part of the photos the network saw, over which the maps were laid.
    quantile : float
        The quantile of the activations of each neuron that is its threshold.
    rules : Rules
        The rules of the search.
    rows : int64 array of shape (n_photos,)
        The rows of the maps that photos are.
    layers : tuple of LayerCounts
        What was counted of each layer.
    """

    labels: Labels
    concepts: Concepts
    sets: Concepts
    n_pixels: Ints
    n_pixels_held: Ints
    void: int
    held: Bools
    view: View
    quantile: float
    rules: Rules
    rows: Ints
    layers: tuple[LayerCounts, ...]

    @property
    def background(self) -> float:
        """The share of the pixels that show no concept: they are outside of every concept, and inside of every NOT."""
        counts = self.n_pixels + self.n_pixels_held
        shows_none = np.asarray(self.sets.to_sparse().sum(axis=1)).ravel() == 0
        return float(counts[shows_none].sum() / counts.sum())

    @cached_property
    def _searched(self) -> tuple[Concepts, SampleGroups, Ints]:
        """The concepts that distinguish pixels, the groups of the pixels searched, and the places of their sets."""
        used = np.flatnonzero(self.n_pixels)
        shown = self.sets.take(used)
        distinct = shown.prune(1, len(used) - 1).merge_equal() if len(used) > 1 else shown
        if not distinct.n_concepts or len(used) < 2:
            raise ConceptsError(
                "no concept distinguishes pixels: all pixels of all masks show the same concepts, so nothing can be "
                "compared"
            )
        return distinct, group(distinct, self.n_pixels[used], most=_MOST_PIXELS), used

    def search(
        self,
        length: int = 1,
        *,
        beam: int = Rules.beam,
        search: SearchMethod = Rules.search,
        budget: int = Rules.budget,
        min_fraction: float = Rules.min_fraction,
        max_fraction: float = 1.0,
        min_count: int = Rules.min_count,
        min_change: int | None = Rules.min_change,
        negation: bool | None = None,
        n_jobs: int | None = None,
    ) -> Labels:
        """Search the formulas anew, without looking at maps and masks again.

        Parameters
        ----------
        length : int, default 1
            The largest number of concepts: 1 as in Network Dissection, 3 as in Compositional Explanations.
        beam, search, budget : optional
            How formulas are searched, as for ``neuronym.label``.
        min_fraction, max_fraction, min_count, min_change, negation, n_jobs : optional
            As for ``dissect``.

        Returns
        -------
        Labels
            One label per neuron.

        Raises
        ------
        OptionError
            If an option is out of its range.
        """
        rules = _rules(length, beam, search, budget, min_fraction, max_fraction, min_count, min_change, negation)
        return _labels(self, rules, n_jobs)

    def iou(self, labels: Iterable[Label], *, held: bool = False) -> Floats:
        """Measure any formulas by the pixels, such as those of ``neuronym.label``.

        Parameters
        ----------
        labels : Labels, or iterable of Label
            Labels of the same neurons, over the same concepts.
        held : bool, default False
            Whether to measure on the photos held out, instead of those searched.

        Returns
        -------
        float64 array of shape (n_labels,)
            The IoU of each; NaN without a formula, or where it is true and the neuron is on nowhere.

        Raises
        ------
        OptionError
            If a label is of a neuron that was not dissected.
        FormulaError
            If a formula has a concept that the masks lack.
        """
        n_pixels = self.n_pixels_held if held else self.n_pixels
        above = [one.above_held if held else one.above for one in self.layers]
        found = []
        places = {(one.layer, name): (k, j) for k, one in enumerate(self.layers) for j, name in enumerate(one.names)}
        alone = len(self.layers) == 1
        by_formula: dict[Any, Bools] = {}
        for label in labels:
            key = self.layers[0].layer if alone and None in (label.layer, self.layers[0].layer) else label.layer
            if (key, label.neuron) not in places:
                raise OptionError(
                    f"the neuron {label.neuron!r} of layer {label.layer!r} was not dissected: give labels of the same "
                    "layers and neurons"
                )
            if label.formula is None:
                found.append(np.nan)
                continue
            if label.formula not in by_formula:
                by_formula[label.formula] = np.asarray(label.formula.evaluate(self.sets), np.bool_)
            inside = by_formula[label.formula]
            layer, place = places[key, label.neuron]
            on = above[layer][place]
            both = int(on[inside].sum())
            either = int(n_pixels[inside].sum()) + int(on.sum()) - both
            found.append(both / either if either else np.nan)
        return np.array(found, np.float64)

    def single_concepts(self, layer: str | None = None) -> pd.DataFrame:
        """Measure every neuron of a layer with every concept.

        Parameters
        ----------
        layer : str, optional
            The layer; not needed if there is one.

        Returns
        -------
        DataFrame of shape (n_neurons, n_concepts)
            The IoU on the photos searched, by the names of neurons and concepts; NaN where the neuron is on nowhere and
            no pixel shows the concept.

        Raises
        ------
        UnknownNameError
            If there is no such layer.
        OptionError
            If there are several, and none is named.
        """
        import pandas as pd

        known = {one.layer: one for one in self.layers}
        if layer is None and len(self.layers) == 1:
            layer = self.layers[0].layer
        if layer is None and None not in known:
            raise OptionError(f"there are {len(known)} layers: name one of {some(known)}")
        if layer not in known:
            raise no_such("layer", str(layer), [str(name) for name in known])
        shown = self.sets.to_sparse().astype(np.int64)
        both = np.asarray(known[layer].above @ shown)
        either = known[layer].above.sum(axis=1)[:, np.newaxis] + self.n_pixels @ shown - both
        with np.errstate(divide="ignore", invalid="ignore"):
            return pd.DataFrame(both / either, index=[*known[layer].names], columns=[*self.sets.names])

    def _photos(
        self, activations: Mapping[str | None, Activations], held: bool
    ) -> tuple[dict[str | None, Activations], Concepts]:
        """Select the photos searched, or those held out, from activations of all photos.

        Parameters
        ----------
        activations : mapping from str or None to Activations
            Activations by layer, in the order of the maps.
        held : bool
            Whether to select the photos held out.

        Returns
        -------
        tuple of (dict from str or None to Activations, Concepts)
            The activations, and the concepts of the same photos.
        """
        chosen = np.flatnonzero(self.held == held)
        rows = self.rows[chosen]
        return {layer: one.take(rows) for layer, one in activations.items()}, self.concepts.take(chosen)

    def __repr__(self) -> str:
        n_pixels = int((self.n_pixels + self.n_pixels_held).sum())
        return (
            f"Dissection({number_of(len(self.labels), 'neuron')}, {number_of(self.concepts.n_samples, 'photo')}, "
            f"{n_pixels:,} pixels of {self.view}, {self.background:.0%} background)"
        )


def dissect(
    maps: MapsLike,
    masks: MasksLike,
    *,
    layers: Sequence[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    length: int = 1,
    quantile: float = 0.995,
    crop: float | Literal["whole"] | None = None,
    beam: int = Rules.beam,
    search: SearchMethod = Rules.search,
    budget: int = Rules.budget,
    min_fraction: float = Rules.min_fraction,
    max_fraction: float = 1.0,
    min_count: int = Rules.min_count,
    min_change: int | None = Rules.min_change,
    negation: bool | None = None,
    holdout: float | None = None,
    seed: int = 0,
    align: Align = False,
    n_jobs: int | None = None,
    resume: PathLike | None = None,
    progress: bool = False,
) -> Dissection:
    """Find, for each neuron, the formula of concepts that best says where in photos it is active.

    A neuron is on at a pixel where its map, enlarged bilinearly to the size of the mask, exceeds the neuron's top
    quantile over all positions of all photos. Formulas are ranked by IoU, the pixels where the formula is true and the
    neuron is on divided by those where either holds. ``length=1`` is Network Dissection (Bau et al., CVPR 2017),
    ``length=3`` Compositional Explanations (Mu and Andreas, NeurIPS 2020), here with a proof that no formula is better
    wherever that is affordable.

    Pixels without any concept, the background, count: they are outside of every concept. Void pixels do not.

    Parameters
    ----------
    maps : MapsLike
        Activation maps: a store that ``neuronym.collect(…, maps=True)`` wrote, or what it returned, ``Maps``, an array
        of shape (n_samples, n_neurons, height, width), or a mapping from layer name to any of these.
    masks : MasksLike
        Which concepts each pixel shows: ``Masks``, or what ``neuronym.sources.open_masks`` reads.
    layers : sequence of str, optional
        The layers to dissect; all by default.
    neurons : iterable of int or str, or slice, optional
        The neurons, by name, or a slice of them; all by default.
    length : int, default 1
        The largest number of concepts in a formula.
    quantile : float, default 0.995
        The quantile of a neuron's activations that is its threshold; 0.995 leaves the top 0.5%, as both papers do.
    crop : float or "whole", optional
        The side of the central square that the network saw, as a share of the photo's shorter side, such as 0.875 for
        the central 224 × 224 of a photo resized to 256; or that it saw the whole photo, squeezed. By default what
        ``collect`` recorded, or else the whole photo.
    beam, search, budget : optional
        How formulas are searched, as for ``neuronym.label``.
    min_fraction, max_fraction : float, default 0.0 and 1.0
        Bounds on the share of the pixels for which a formula is true.
    min_count : int, default 20
        The fewest pixels for which a formula is true.
    min_change : int, optional
        Dropping any literal of a formula changes it for at least this many pixels; ``min_count`` by default.
    negation : bool, optional
        Whether formulas may contain NOT; by default those of one concept may not, as in Network Dissection.
    holdout : float, optional
        The fraction of the photos (or clusters) to hold out: thresholds and formulas come from the others, and
        ``value_heldout`` is the IoU on these.
    seed : int, default 0
        The seed of the choice of photos to hold out.
    align : bool or "position", default False
        If sample ids differ, keep the photos that both sides have; ``"position"`` ignores ids.
    n_jobs : int, optional
        The number of parallel jobs, as in scikit-learn.
    resume : str or Path, optional
        A folder to keep what is counted of every 256 photos, until all are; if interrupted, rerun the same call to
        resume.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    Dissection
        The labels, and the counts of pixels that they come from.

    Raises
    ------
    InputError
        If maps, masks or options cannot be used, as one of the subclasses in ``neuronym.errors``.

    Notes
    -----
    There is no p-value: neighbouring pixels depend on each other. Hold photos out to see whether a label holds.

    In Network Dissection a concept counts only on photos that are annotated for its category. Where photos of a data
    set are annotated for some categories only, dissect each category by itself (``Masks.of_category``).

    Examples
    --------
    >>> import numpy as np
    >>> from neuronym.data import Masks
    >>> shown = np.zeros((40, 2, 8, 8), bool)
    >>> shown[::2, 0, :4, :4] = shown[1::2, 1, 4:, 4:] = True
    >>> maps = shown[:, ::-1].astype(float)
    >>> dissect(maps, Masks.from_arrays(shown, ["cat", "dog"]), quantile=0.85).labels[0].formula
    Formula('dog')
    """
    rules = _rules(length, beam, search, budget, min_fraction, max_fraction, min_count, min_change, negation)
    if quantile is None:
        raise OptionError("quantile must lie between 0 and 1, not None: 0.995 leaves the top 0.5%")
    as_score("iou", quantile)  # which checks it
    EvidenceOptions(holdout=holdout, seed=seed)  # which checks them
    check_n_jobs(n_jobs)
    given = maps_of_layers(maps, layers)
    view = View.of(crop, (one.view for one in given.values()))
    known = masks if isinstance(masks, Masks) else open_masks(masks)
    matched = _matched(given, known, align)
    if neurons is not None and not isinstance(neurons, slice | str | int | np.integer | np.ndarray):
        neurons = list(neurons)
    chosen = [(one, one.indices(neurons)) for one in matched.maps.values()]
    if not any(len(columns) for _, columns in chosen):
        raise ActivationsError("there is no neuron to dissect: maps must have at least one, and neurons select one")
    held = np.zeros(len(matched.rows), np.bool_)
    if holdout is not None:
        held = hold_out(np.zeros(len(held), np.int64), matched.clusters, float(holdout), seed)
    found = [_quantiles(one, columns, matched.rows[~held], quantile, n_jobs) for one, columns in chosen]
    cuts = [thresholds for thresholds, _ in found]
    tasks = list(_tasks(chosen, cuts, known, matched, held, view))
    parts = None
    if resume is not None:
        named = [(one.names, columns.tolist(), one.height, one.width) for one, columns in chosen]
        parts = Parts(resume, known, [str(view), quantile, named, matched.rows, matched.of_masks, held, *cuts])

    def run(remaining: Sequence[tuple[Any, ...]]) -> Iterator[Counted]:
        return parallel_map(count_photos, remaining, n_jobs)

    pieces = run(tasks) if parts is None else parts.resumed(tasks, run)
    bar = progress_bar(pieces, lambda one: len(one.shown), "photos", len(held)) if progress else pieces
    whole = Counted()
    for piece in bar:
        whole.add(piece)
    if whole.reshaped and crop is None and all(one.view is None for one in given.values()):
        warn(
            f"the maps are laid over whole photos, {whole.reshaped} of which have another shape than the maps: if the "
            "network saw the central square, say so, as in crop=0.875 (--crop 0.875); crop='whole' says that it is "
            "meant"
        )
    made = _dissection(whole, matched, known, held, view, chosen, found, quantile, rules, n_jobs)
    if parts is not None:
        parts.delete()
    return made


def _rules(
    length: int,
    beam: int,
    search: SearchMethod,
    budget: int,
    min_fraction: float,
    max_fraction: float,
    min_count: int,
    min_change: int | None,
    negation: bool | None,
) -> Rules:
    """The rules of a search over pixels."""
    return Rules(
        length, beam, min_fraction, max_fraction, min_count, search=search, budget=budget, min_change=min_change,
        negation=length > 1 if negation is None else negation,
    )  # fmt: skip


def maps_of_layers(maps: MapsLike, layers: Sequence[str] | None = None) -> dict[str | None, Maps]:
    """Convert maps from any form that ``dissect`` accepts.

    Parameters
    ----------
    maps : MapsLike
        The maps of one layer, or of several by name.
    layers : sequence of str, optional
        The layers that are wanted, in this order; all by default.

    Returns
    -------
    dict from str or None to Maps
        One entry per layer; the key is None for a single layer without a name.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    InputError
        If they are not maps, or cannot be read.
    """
    given: Any = {None: maps} if isinstance(maps, Maps) else as_layers(maps)  # type: ignore[arg-type]
    known = list(given)
    if layers is not None and isinstance(layers, str):
        raise OptionError(f"layers must be a list of names of layers, not {layers!r}")
    for layer in layers or ():
        if known == [None]:
            raise OptionError(f"layers names {layer!r}, but the maps are of one layer without a name: leave layers out")
        if layer not in given:
            raise no_such("layer", layer, known)
    return {layer: _as_maps(given[layer]) for layer in (known if layers is None else dict.fromkeys(layers))}


def _as_maps(given: Any) -> Maps:
    """The maps of one layer, from any form."""
    if isinstance(given, Maps):
        return given
    if isinstance(given, PathLike):
        given = _mapped(Path(given)) if Path(given).suffix.lower() == ".npy" else open_activations(given)
    return Maps.of(given) if isinstance(given, Activations) else Maps(given)


def _mapped(path: Path) -> NDArray[Any]:
    """Maps in a file of numpy's, which stay there."""
    with reading(path, "maps"):
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


@dataclass(frozen=True)
class _Matched:
    """The maps of all layers, and the photos in use: their rows, their samples of the masks, ids and clusters."""

    maps: dict[str | None, Maps]
    rows: Ints
    of_masks: Ints
    ids: tuple[str, ...] | None
    clusters: Ints | None


def _matched(maps: dict[str | None, Maps], masks: Masks, align: Align) -> _Matched:
    """Match the photos of maps and masks, as the samples of activations and concepts."""
    if not masks.n_samples:
        raise ConceptsError("masks are empty: they have no samples")
    here = {layer: _samples_of(one) for layer, one in maps.items()}
    there = _concepts([[0]] * masks.n_samples, ["photo"], masks.sample_ids)
    one = same_samples(inputs.align(here, there, keep_common=align, nouns=("maps", "masks")), "dissect")
    rows = np.arange(one.activations.n_samples) if one.rows is None else one.rows
    kept = one.shown.sample_ids
    if masks.sample_ids is None or kept is None:
        places = np.arange(masks.n_samples)
    else:
        numbers = {name: place for place, name in enumerate(masks.sample_ids)}
        places = np.array([numbers[name] for name in kept], np.int64)
    ids = None if one.ids is None else tuple(one.ids[row] for row in rows)
    return _Matched(maps, rows, places, ids, one.clusters)


def _samples_of(maps: Maps) -> Activations:
    """Activations without neurons' own, for matching samples."""
    own = maps.activations
    nothing = np.broadcast_to(np.zeros((1, 1), np.float32), (own.n_samples, 1))
    return Activations(nothing, sample_ids=own.sample_ids, skipped=own.skipped, clusters=own.clusters)


def _quantiles(
    maps: Maps, columns: NDArray[np.intp], rows: Ints, quantile: float, n_jobs: int | None
) -> tuple[Floats, Bools]:
    """The thresholds of neurons, and which are constant."""
    blocks = maps.blocks(columns, maps.n_samples, _THRESHOLD_BYTES // n_workers(n_jobs))
    shared = share(maps)
    tasks = ((shared, block, rows, quantile) for block in blocks)
    parts = list(parallel_map(thresholds_of, tasks, n_jobs))
    if not parts:
        return np.zeros(0), np.zeros(0, np.bool_)
    thresholds, constant = zip(*parts, strict=True)
    return np.concatenate(thresholds), np.concatenate(constant)


def _tasks(
    chosen: Sequence[tuple[Maps, NDArray[np.intp]]],
    thresholds: Sequence[Floats],
    masks: Masks,
    matched: _Matched,
    held: Bools,
    view: View,
) -> Iterator[tuple[Any, ...]]:
    """What counts the pixels of some photos, task by task."""
    layers = share([(maps, columns, own) for (maps, columns), own in zip(chosen, thresholds, strict=True)])
    common = share(masks)
    parts = matched.rows // _PHOTOS
    for part in np.unique(parts):
        inside = np.flatnonzero(parts == part)
        yield layers, common, matched.rows[inside], matched.of_masks[inside], held[inside], view


def _dissection(
    whole: Counted,
    matched: _Matched,
    masks: Masks,
    held: Bools,
    view: View,
    chosen: Sequence[tuple[Maps, NDArray[np.intp]]],
    found: Sequence[tuple[Floats, Bools]],
    quantile: float,
    rules: Rules,
    n_jobs: int | None,
) -> Dissection:
    """Put together what was counted, and search it."""
    distinct = sorted({one for _, one in whole.sets})
    place = {one: k for k, one in enumerate(distinct)}
    halves = []
    for part in (False, True):
        own = [(number, place[one]) for (held, one), number in whole.sets.items() if held is part]
        numbers, places = (np.array([pair[k] for pair in own], np.intp) for k in (0, 1))
        halves.append((numbers, places))

    def arranged(counts: Ints, part: int) -> Ints:
        numbers, places = halves[part]
        out = np.zeros((*counts.shape[:-1], len(distinct)), np.int64)
        out[..., places] = counts[..., numbers]
        return out

    layers = tuple(
        LayerCounts(
            layer, tuple(maps.names[j] for j in columns), thresholds, constant, arranged(above, 0), arranged(above, 1)
        )
        for layer, (maps, columns), (thresholds, constant), above in zip(
            matched.maps, chosen, found, whole.above, strict=True
        )
    )
    if not distinct:
        raise ConceptsError("all pixels of all masks are void: there is nothing to compare")
    made = Dissection(
        Labels([]),
        _concepts(whole.shown, masks.names, matched.ids),
        _concepts(distinct, masks.names, None),
        arranged(whole.n_pixels, 0),
        arranged(whole.n_pixels, 1),
        whole.void,
        held,
        view,
        quantile,
        rules,
        matched.rows,
        layers,
    )
    return replace(made, labels=_labels(made, rules, n_jobs))


def _concepts(shown: Sequence[Iterable[int]], names: Sequence[str], ids: Sequence[str] | None) -> Concepts:
    """Concepts by the numbers of those that each row shows."""
    pairs = [(concept, row) for row, one in enumerate(shown) for concept in one]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    ptr, rows = columns_of_pairs(table[:, 0], table[:, 1], len(names))
    return Concepts(ptr, rows, len(shown), names, sample_ids=ids)


def _labels(one: Dissection, rules: Rules, n_jobs: int | None) -> Labels:
    """Search the formulas of all layers."""
    shown, groups, used = one._searched
    score = IoU(quantile=one.quantile)
    searcher = Searcher(groups, rules, ("high",), score)
    searcher.prepare()
    common = share(searcher)
    blocks = []
    for layer in one.layers:
        sums = layer.above[:, used]
        exceeding = sums.sum(axis=1)
        tasks = (
            (common, sums[start : start + _NEURONS], score.terms(exceeding[start : start + _NEURONS]))
            for start in range(0, len(sums), _NEURONS)
        )
        shared = Found(layer.layer, shown.names, dict(shown.aliases), rules, groups.total, ("high",), score.name)
        start = 0
        for found in parallel_map(_search, tasks, n_jobs):
            stop = start + len(found.lengths)
            own = slice(start, stop)
            result = _result(found, score, layer.thresholds[own], layer.constant[own], exceeding[own], groups.total)
            blocks.append(FoundBlock.of(shared, layer.names[start:stop], result))
            start = stop
    labels = LazyLabels(blocks)
    if not one.n_pixels_held.any():
        return Labels(labels)
    rows = list(labels)
    values = one.iou(rows, held=True)
    return Labels(
        [
            label if label.best is None else replace(label, best=replace(label.best, value_heldout=float(value)))
            for label, value in zip(rows, values, strict=True)
        ]
    )


def _search(searcher: Searcher, sums: Ints, terms: Ints) -> SearchResult:
    (found,) = searcher(np.ascontiguousarray(sums), terms)
    return found


def _result(
    found: SearchResult, score: IoU, thresholds: Floats, constant: Bools, exceeding: Ints, total: int
) -> BlockResult:
    """What was found, with the values of the score, and the AUC of neurons that are on or off at pixels."""
    ones, nothing = np.ones(len(found.lengths)), np.full(len(found.lengths), np.nan)
    bound, ceiling = (score.value(each, ones) for each in (found.bound, found.ceiling))
    inside, on = found.counts.astype(np.float64), exceeding[:, np.newaxis].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = found.sums / (inside + on - found.sums)
        aucs = 0.5 + (found.sums * float(total) - inside * on) / (2 * inside * (total - inside))
    aucs[inside == total] = 0.5  # nothing is outside
    gaps = np.where(found.optimal, 0.0, bound - values[:, 0])
    beside = Beside(values, aucs, found.sums, gaps, ceiling, thresholds)
    return BlockResult([found], nothing, constant, [beside])  # ties that are unknown make p unknown
