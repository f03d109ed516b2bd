"""A model observed on data: what some of its layers answered, and what the samples show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym import inputs
from neuronym._util.messages import no_such
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.ids import places
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import by_index, is_frame
from neuronym.network.batches import batches, moved
from neuronym.network.collecting import collect
from neuronym.types import ActivationsLike, ConceptsLike, Name

if TYPE_CHECKING:
    import torch

__all__ = ["ObservedModel", "Target", "Where"]

#: A neuron: its layer and its name.
Target = tuple[str, Name]
#: Which samples: where a formula is true, of a mask, at places; None for those on which the target is highest.
Where = Formula | str | ArrayLike | None

_HIGHEST = 20  # samples on which the target is highest, where none are asked for
_PROBED = 4  # samples that tell whether activations are of the model
_ON_CPU, _ELSEWHERE = 8, 64  # samples in a batch, with gradients


@dataclass(frozen=True)
class ObservedModel:
    """A model, its data, what some of its layers answered, and what the samples show; made by ``of``."""

    model: torch.nn.Module
    data: Any
    layers: Mapping[str, Activations]
    concepts: Concepts | None = None

    @classmethod
    def of(
        cls,
        model: torch.nn.Module,
        data: Any,
        layers: Sequence[str],
        *,
        activations: ActivationsLike | None = None,
        sample_ids: Sequence[str] | None = None,
        concepts: ConceptsLike | None = None,
        names: Mapping[str, Sequence[Name]] | None = None,
        progress: bool = False,
    ) -> ObservedModel:
        """Take activations that are there, or run the model for them.

        Parameters
        ----------
        data : a tensor, an array or a Dataset with a length, as ``collect`` takes it
        activations : a dict of layers, or a store, of the same samples in the same order, pooled by their mean; what
            the model answers to the first samples must be the same
        sample_ids : one per sample; by default those of the data or of the activations
        concepts : of the samples, matched by ids where both sides have such, else by place
        names : of neurons, by layer
        """
        wanted = list(dict.fromkeys(layers))
        known = dict(model.named_modules())
        for layer in wanted:
            if layer not in known:
                raise no_such("layer", layer, [name for name in known if name])
        if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
            raise OptionError("data must be a tensor, an array or a Dataset with a length: samples are chosen from it")
        given = {} if activations is None else inputs.as_layers(activations)
        if None in given:
            raise OptionError("activations must be named by their layers: give a dict, or a store")
        taken = {layer: inputs.as_activations(given[layer]) for layer in wanted if layer in given}
        ids = _ids(data, taken, sample_ids)
        _check_answers(model, data, taken)
        missing = [layer for layer in wanted if layer not in taken]
        if missing:
            taken |= collect(model, data, layers=missing, sample_ids=ids, progress=progress)
        for layer in wanted:
            own = (names or {}).get(layer, taken[layer].names)
            taken[layer] = taken[layer].replace(names=own, sample_ids=ids)
        tables = is_frame(concepts) and any(is_frame(given.get(layer)) for layer in wanted)
        return cls(model, data, *_matched({layer: taken[layer] for layer in wanted}, concepts, tables))

    def of_layer(self, layer: str) -> Activations:
        """The activations of a layer, as they are.

        Raises
        ------
        UnknownNameError
            If there is no such layer.
        """
        if layer not in self.layers:
            raise no_such("layer", layer, list(self.layers))
        return self.layers[layer]

    def matrix(self, layer: str) -> NDArray[np.float64]:
        """The activations of a layer, (n_samples, n_neurons), which must be finite."""
        taken = self.of_layer(layer)
        values = np.asarray(taken.block(taken.indices()), np.float64)
        if not np.isfinite(values).all():
            raise ActivationsError(f"layer {layer!r} holds NaN or infinity: every activation must be finite")
        return values

    def column(self, target: Target) -> tuple[int, NDArray[np.float64]]:
        """The place of a neuron, and its activations."""
        place = self._place(target)
        values = self.layers[target[0]].block(np.array([place]))[:, 0].astype(np.float64)
        if not np.isfinite(values).all():
            raise ActivationsError(f"neuron {target[1]!r} of {target[0]!r} holds NaN or infinity: all must be finite")
        return place, values

    def named(self, target: Target) -> Target:
        """The layer and neuron as the activations name them."""
        place = self._place(target)  # or the nearest names
        return target[0], self.layers[target[0]].names[place]

    def _place(self, target: Target) -> int:
        layer, neuron = target
        return int(self.of_layer(layer).indices([neuron])[0])

    def chosen(self, where: Where, target: Target) -> NDArray[np.int64]:
        """The places of samples: those of a formula, of a mask, given ones; by default where the target is highest.

        Raises
        ------
        OptionError
            If there are no concepts for a formula, or no samples.
        """
        if where is None:
            return np.argsort(-self.column(target)[1], kind="stable")[:_HIGHEST].astype(np.int64)
        if isinstance(where, str | Formula):
            if self.concepts is None:
                raise OptionError(f"the samples of {str(where)!r} need concepts: give them")
            formula = Formula.parse(where) if isinstance(where, str) else where
            for concept in formula.concepts:
                self.concepts.index(concept)  # or the nearest names
            rows = np.flatnonzero(formula.evaluate(self.concepts))
        else:
            rows = places(np.atleast_1d(np.asarray(where)), len(self.data))
        if not len(rows):
            raise OptionError(f"no sample is chosen: {where!r} holds nowhere")
        return rows.astype(np.int64)

    def highest(self, layer: str) -> NDArray[Any]:
        """The neuron of a layer that is the highest on each sample, by name, (n_samples,)."""
        taken = self.layers[layer]
        best = self.matrix(layer).argmax(axis=1)
        names = np.empty(taken.n_neurons, object)
        names[:] = list(taken.names)
        found: NDArray[Any] = names[best]
        return found

    def batches(self, rows: NDArray[np.int64]) -> Iterator[Any]:
        """The inputs of samples, in order, where the model is."""
        import torch

        place = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        size = _ON_CPU if place.type == "cpu" else _ELSEWHERE
        array = isinstance(self.data, np.ndarray | torch.Tensor)
        part: Any = self.data[rows] if array else torch.utils.data.Subset(self.data, rows.tolist())
        for batch in batches(part, size):
            if batch.kept is not None:
                raise ActivationsError("a sample that is chosen is None: leave out what cannot be read")
            yield moved(batch.inputs, place)


def _ids(data: Any, taken: Mapping[str, Activations], given: Sequence[str] | None) -> tuple[str, ...] | None:
    """The ids of the samples; data and all layers must be of the same samples in the same order."""
    known = getattr(data, "sample_ids", None) if given is None else given
    ids = None if known is None else tuple(str(i) for i in known)
    if ids is not None and len(ids) != len(data):
        raise OptionError(f"{len(ids)} sample ids for {len(data)} samples: one each is needed")
    for layer, own in taken.items():
        if own.n_samples != len(data):
            left_out = f" ({len(own.skipped)} were left out)" if own.skipped else ""
            raise ActivationsError(
                f"layer {layer!r} has {own.n_samples} samples{left_out} and data {len(data)}: both must be of the same"
            )
        if own.sample_ids is None:
            continue
        if ids is not None and own.sample_ids != ids:
            raise ActivationsError(
                f"layer {layer!r} is of other samples than data or another layer, or has them in another order: "
                "collect it from the same"
            )
        ids = own.sample_ids
    return ids


def _matched(
    layers: Mapping[str, Activations], concepts: ConceptsLike | None, tables: bool
) -> tuple[Mapping[str, Activations], Concepts | None]:
    """Layers of the same samples, and the concepts of these; of two tables, row numbers are ids too."""
    if concepts is None:
        return layers, None
    shown = inputs.as_concepts(concepts)
    if tables:
        first, shown = by_index(next(iter(layers.values())), shown)
        layers = {layer: own.replace(sample_ids=first.sample_ids) for layer, own in layers.items()}
    return layers, inputs.align(layers, shown)[0].concepts


def _check_answers(model: torch.nn.Module, data: Any, taken: Mapping[str, Activations]) -> None:
    """Refuse activations that are not what the model answers to the first samples."""
    import torch

    if not taken or not len(data):
        return
    n = min(_PROBED, len(data))
    first = data[:n] if isinstance(data, np.ndarray | torch.Tensor) else torch.utils.data.Subset(data, range(n))
    for layer, now in collect(model, first, layers=list(taken)).items():
        before = np.asarray(taken[layer].matrix[:n], np.float64)
        same = before.shape == now.matrix.shape
        size = float(np.abs(before).max()) if before.size else 0.0
        if not same or np.abs(before - np.asarray(now.matrix)).max() > 0.02 * size + 1e-6:
            raise ActivationsError(
                f"layer {layer!r} of the activations is not what this model answers to these samples: collect it with "
                "the same weights, samples and pool='mean'"
            )
