"""A model observed on data: what some of its layers answered, and what the samples show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym._batches import batches, moved
from neuronym._inputs import as_activations, as_concepts, as_layers, matched_rows
from neuronym._names import places
from neuronym.activations import Activations, Name
from neuronym.collect import collect
from neuronym.concepts import Concepts
from neuronym.errors import ActivationsError, OptionError, no_such
from neuronym.formula import Formula

if TYPE_CHECKING:
    import torch

__all__ = ["Observed", "Target", "Where"]

#: A neuron: its layer and its name.
Target = tuple[str, Name]
#: Which samples: where a formula is true, of a mask, at places; None for those on which the target is highest.
Where = Formula | str | ArrayLike | None

_HIGHEST = 20  # samples on which the target is highest, where none are asked for
_ON_CPU, _ELSEWHERE = 8, 64  # samples in a batch, with gradients


@dataclass(frozen=True)
class Observed:
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
        activations: Any = None,
        concepts: Any = None,
        names: Mapping[str, Sequence[Name]] | None = None,
        progress: bool = False,
    ) -> Observed:
        """Take activations that are there, or run the model for them.

        Parameters
        ----------
        data : a tensor, an array or a Dataset with a length, as ``collect`` takes it
        activations : a dict of layers, or a store, of the same samples, pooled by their mean
        concepts : of the samples, matched by ids or by place
        names : of neurons, by layer
        """
        wanted = list(dict.fromkeys(layers))
        known = dict(model.named_modules())
        for layer in wanted:
            if layer not in known:
                raise no_such("layer", layer, [name for name in known if name])
        if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
            raise OptionError("data must be a tensor, an array or a Dataset with a length: samples are chosen from it")
        given = {} if activations is None else as_layers(activations)
        taken = {layer: as_activations(given[layer]) for layer in wanted if layer in given}
        missing = [layer for layer in wanted if layer not in taken]
        if missing:
            taken |= collect(model, data, layers=missing, progress=progress)
        for layer in wanted:
            own = taken[layer]
            ids = getattr(data, "sample_ids", None)
            if own.sample_ids is not None and ids is not None and tuple(ids) != own.sample_ids:
                raise ActivationsError(f"layer {layer!r} is of other samples than data: collect it from the same")
            if own.n_samples != len(data):
                raise ActivationsError(
                    f"layer {layer!r} has {own.n_samples} samples and data {len(data)}: both must be of the same ones"
                )
            if names is not None and layer in names:
                taken[layer] = Activations(own.matrix, names[layer], sample_ids=own.sample_ids)
        shown = None if concepts is None else as_concepts(concepts)
        if shown is not None:
            shown = matched_rows(taken[wanted[0]], shown, False)[0]
        return cls(model, data, {layer: taken[layer] for layer in wanted}, shown)

    def column(self, target: Target) -> tuple[int, NDArray[np.float64]]:
        """The place of a neuron, and its activations."""
        layer, neuron = target
        if layer not in self.layers:
            raise no_such("layer", layer, list(self.layers))
        place = self.layers[layer].indices([neuron])
        return int(place[0]), self.layers[layer].block(place)[:, 0].astype(np.float64)

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
            rows = places(where, len(self.data))
        if not len(rows):
            raise OptionError(f"no sample is chosen: {where!r} holds nowhere")
        return rows.astype(np.int64)

    def highest(self, layer: str) -> NDArray[Any]:
        """The neuron of a layer that is the highest on each sample, by name, (n_samples,)."""
        taken = self.layers[layer]
        best = np.asarray(taken.block(taken.indices())).argmax(axis=1)
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
