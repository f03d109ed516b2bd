"""A model with its data, the activations of some of its layers, and the concepts of the samples."""

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
from neuronym.data.sparse import dense
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import by_index, is_frame
from neuronym.network.axes import Axes, stated_axes
from neuronym.network.batches import batches, home_device, moved
from neuronym.network.collecting import collect
from neuronym.network.hooks import find_module
from neuronym.types import ActivationsLike, ConceptsLike, Name

if TYPE_CHECKING:
    import torch

__all__ = ["ObservedModel", "Target", "Where"]

#: A neuron: its layer and its name.
Target = tuple[str, Name]
#: Which samples: those where a formula is true, a mask, or indices; None for those with the highest target.
Where = Formula | str | ArrayLike | None

_N_HIGHEST = 20  # samples selected by default: those with the highest target
_N_CHECKED = 4  # samples rerun to check that stored activations match the model
_BATCH_ON_CPU, _BATCH_ELSEWHERE = 8, 64  # samples per batch, with gradients


@dataclass(frozen=True)
class ObservedModel:
    """A model with its data, the activations of some of its layers, and the concepts of the samples.

    Made by ``of``, which checks that they belong together.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    data : tensor, array or Dataset
        The samples.
    layers : mapping of str to Activations
        The activations by layer, one row per sample of the data.
    concepts : Concepts, optional
        The concepts of the same samples.
    """

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
        axes: str | Mapping[str, str] | None = None,
        progress: bool = False,
    ) -> ObservedModel:
        """Observe a model: use stored activations where there are any, and run the model for the other layers.

        Parameters
        ----------
        model : torch.nn.Module
            The model.
        data : tensor, array or Dataset
            The samples, as for ``collect``; a Dataset must have a length.
        layers : sequence of str
            The modules whose activations are needed.
        activations : ActivationsLike, optional
            Stored activations: a dict of layers or a store, of the same samples in the same order, pooled by their
            mean. They are checked against the model's output on the first samples.
        sample_ids : sequence of str, optional
            One id per sample; by default those of the data or of the activations.
        concepts : ConceptsLike, optional
            The concepts of the samples, matched by id if both sides have ids, and by position otherwise.
        names : mapping of str to sequence of (int or str), optional
            Names of neurons, by layer.
        axes : str or mapping of str to str, optional
            What the axes of the layers' outputs mean, as for ``collect``; by default as stored activations record it.
        progress : bool, default False
            Show a progress bar on standard error.

        Returns
        -------
        ObservedModel
            The model with all these layers.

        Raises
        ------
        UnknownNameError
            If the model has no such layer.
        OptionError
            If ``data`` cannot be indexed, ``activations`` do not name their layers, or ids do not match the samples.
        ActivationsError
            If stored activations do not match the data or the model's output.
        """
        wanted = list(dict.fromkeys(layers))
        for layer in wanted:
            find_module(model, layer)  # raises with the nearest names
        if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
            raise OptionError(
                "data must be a tensor, an array or a Dataset with a length, so that samples can be selected"
            )
        stored = {} if activations is None else inputs.as_layers(activations)
        if None in stored:
            raise OptionError("activations must be named by layer: give a dict or a store")
        by_layer = {layer: inputs.as_activations(stored[layer]) for layer in wanted if layer in stored}
        ids = _common_ids(data, by_layer, sample_ids)
        stated = {layer: one.text for layer, one in stated_axes(axes, wanted).items()}
        by_layer = _checked_against_model(model, data, by_layer, stated)
        missing = [layer for layer in wanted if layer not in by_layer]
        if missing:
            of_missing = {layer: text for layer, text in stated.items() if layer in missing}
            by_layer |= collect(model, data, layers=missing, axes=of_missing, sample_ids=ids, progress=progress)
        for layer in wanted:
            neuron_names = (names or {}).get(layer, by_layer[layer].names)
            by_layer[layer] = by_layer[layer].replace(names=neuron_names, sample_ids=ids)
        tables = is_frame(concepts) and any(is_frame(stored.get(layer)) for layer in wanted)
        return cls(model, data, *_match_concepts({layer: by_layer[layer] for layer in wanted}, concepts, tables))

    def of_layer(self, layer: str) -> Activations:
        """Return the activations of a layer.

        Parameters
        ----------
        layer : str
            One of the observed layers.

        Returns
        -------
        Activations
            The activations as they were collected or stored.

        Raises
        ------
        UnknownNameError
            If there is no such layer.
        """
        if layer not in self.layers:
            raise no_such("layer", layer, list(self.layers))
        return self.layers[layer]

    def axes(self, layer: str) -> Axes | None:
        """Return what the axes of a layer's output mean.

        Parameters
        ----------
        layer : str
            One of the observed layers.

        Returns
        -------
        Axes or None
            The axes from which its activations were pooled; None if the number of axes says it.

        Raises
        ------
        UnknownNameError
            If there is no such layer.
        """
        text = self.of_layer(layer).axes
        return None if text is None else Axes(text)

    def matrix(self, layer: str) -> NDArray[np.float64]:
        """Return the activations of a layer as one matrix.

        Parameters
        ----------
        layer : str
            One of the observed layers.

        Returns
        -------
        float64 array of shape (n_samples, n_neurons)
            The activations.

        Raises
        ------
        UnknownNameError
            If there is no such layer.
        ActivationsError
            If a value is NaN or infinite.
        """
        activations = self.of_layer(layer)
        values = dense(activations.block(activations.indices())).astype(np.float64)
        if not np.isfinite(values).all():
            raise ActivationsError(f"layer {layer!r} holds NaN or infinity: all activations must be finite")
        return values

    def column(self, target: Target) -> tuple[int, NDArray[np.float64]]:
        """Return the index of a neuron in its layer, and its activations.

        Parameters
        ----------
        target : tuple of str and (int or str)
            The layer and name of the neuron.

        Returns
        -------
        index : int
            Its column in the activations of the layer.
        values : float64 array of shape (n_samples,)
            Its activation on each sample.

        Raises
        ------
        UnknownNameError
            If there is no such layer or neuron.
        ActivationsError
            If a value is NaN or infinite.
        """
        index = self._index(target)
        values = self.layers[target[0]].column(index).astype(np.float64)
        if not np.isfinite(values).all():
            raise ActivationsError(
                f"neuron {target[1]!r} of {target[0]!r} holds NaN or infinity: all activations must be finite"
            )
        return index, values

    def resolve(self, target: Target) -> Target:
        """Return a neuron under the name it has in the activations.

        Parameters
        ----------
        target : tuple of str and (int or str)
            The layer and the name or number of the neuron.

        Returns
        -------
        tuple of str and (int or str)
            The layer and name of the neuron.

        Raises
        ------
        UnknownNameError
            If there is no such layer or neuron; the message suggests the nearest names.
        """
        index = self._index(target)
        return target[0], self.layers[target[0]].names[index]

    def _index(self, target: Target) -> int:
        layer, neuron = target
        return int(self.of_layer(layer).indices([neuron])[0])

    def select(self, where: Where, target: Target) -> NDArray[np.int64]:
        """Select samples by a formula, a mask or indices; by default, the 20 with the highest activation of the target.

        Parameters
        ----------
        where : formula, mask, array of int or None
            Which samples to select.
        target : tuple of str and (int or str)
            The layer and name of the target neuron.

        Returns
        -------
        int64 array of shape (n_selected,)
            The indices of the samples in the data.

        Raises
        ------
        UnknownNameError
            If there is no such layer, neuron or concept.
        OptionError
            If a formula is given and there are no concepts, or no sample is selected.
        """
        if where is None:
            return np.argsort(-self.column(target)[1], kind="stable")[:_N_HIGHEST].astype(np.int64)
        if isinstance(where, str | Formula):
            if self.concepts is None:
                raise OptionError(f"the formula {str(where)!r} selects samples by their concepts: give concepts")
            formula = Formula.parse(where) if isinstance(where, str) else where
            for concept in formula.concepts:
                self.concepts.index(concept)  # raises with the nearest names
            rows = np.flatnonzero(formula.evaluate(self.concepts))
        else:
            rows = places(np.atleast_1d(np.asarray(where)), len(self.data))
        if not len(rows):
            raise OptionError(f"no sample is selected: {where!r} is true for none")
        return rows.astype(np.int64)

    def top_neurons(self, layer: str) -> NDArray[np.object_]:
        """Return the most active neuron of a layer on each sample.

        Parameters
        ----------
        layer : str
            One of the observed layers.

        Returns
        -------
        object array of shape (n_samples,)
            The names of the neurons.
        """
        activations = self.layers[layer]
        names = np.empty(activations.n_neurons, object)
        names[:] = list(activations.names)
        top: NDArray[np.object_] = names[self.matrix(layer).argmax(axis=1)]
        return top

    @property
    def batch_size(self) -> int:
        """The number of samples in a batch of ``batches``."""
        return _BATCH_ON_CPU if home_device(self.model).type == "cpu" else _BATCH_ELSEWHERE

    def named(self, rows: NDArray[np.int64], batch: int | None = None) -> list[str]:
        """Return the ids of samples, or their numbers if they have no ids.

        Parameters
        ----------
        rows : int64 array of shape (n_selected,)
            The indices of the samples in the data.
        batch : int, optional
            The number of a batch of ``batches``, for the ids of its samples alone.

        Returns
        -------
        list of str
            The ids, in the order of the samples.
        """
        ids = next((one.sample_ids for one in self.layers.values()), None)
        part = rows if batch is None else rows[batch * self.batch_size : (batch + 1) * self.batch_size]
        return [str(row) if ids is None else ids[row] for row in part.tolist()]

    def batches(self, rows: NDArray[np.int64]) -> Iterator[Any]:
        """Load the inputs of samples in batches, on the model's device.

        Parameters
        ----------
        rows : int64 array of shape (n_selected,)
            The indices of the samples in the data.

        Yields
        ------
        tensor, tuple or dict
            The inputs of one batch, in the order of the samples.

        Raises
        ------
        ActivationsError
            If a sample is None because it cannot be read.
        """
        import torch

        device, size = home_device(self.model), self.batch_size
        is_array = isinstance(self.data, np.ndarray | torch.Tensor)
        part: Any = self.data[rows] if is_array else torch.utils.data.Subset(self.data, rows.tolist())
        for batch in batches(part, size, ids=self.named(rows)):
            if batch.kept is not None:
                raise ActivationsError("a selected sample is None: leave out samples that cannot be read")
            yield moved(batch.inputs, device)


def _common_ids(
    data: Any, layers: Mapping[str, Activations], sample_ids: Sequence[str] | None
) -> tuple[str, ...] | None:
    """Return the ids of the samples, if any; data and all layers must hold the same samples in the same order."""
    known = getattr(data, "sample_ids", None) if sample_ids is None else sample_ids
    ids = None if known is None else tuple(str(i) for i in known)
    if ids is not None and len(ids) != len(data):
        raise OptionError(f"{len(ids)} sample ids for {len(data)} samples: give one per sample")
    for layer, activations in layers.items():
        if activations.n_samples != len(data):
            left_out = f" ({len(activations.skipped)} were left out)" if activations.skipped else ""
            raise ActivationsError(
                f"layer {layer!r} has {activations.n_samples} samples{left_out} but data has {len(data)}: both need "
                "the same samples"
            )
        if activations.sample_ids is None:
            continue
        if ids is not None and activations.sample_ids != ids:
            raise ActivationsError(
                f"layer {layer!r} holds other samples than data or another layer, or in another order: collect all "
                "layers from the same data"
            )
        ids = activations.sample_ids
    return ids


def _match_concepts(
    layers: Mapping[str, Activations], concepts: ConceptsLike | None, tables: bool
) -> tuple[Mapping[str, Activations], Concepts | None]:
    """Match concepts to the samples of the layers; if both are DataFrames, row numbers count as ids too."""
    if concepts is None:
        return layers, None
    matched = inputs.as_concepts(concepts)
    if tables:
        first, matched = by_index(next(iter(layers.values())), matched)
        layers = {layer: one.replace(sample_ids=first.sample_ids) for layer, one in layers.items()}
    return layers, inputs.align(layers, matched)[0].concepts


def _checked_against_model(
    model: torch.nn.Module, data: Any, stored: Mapping[str, Activations], stated: Mapping[str, str]
) -> dict[str, Activations]:
    """Refuse stored activations that do not match the model's output on the first samples; return them with axes."""
    import torch

    if not stored or not len(data):
        return dict(stored)
    n = min(_N_CHECKED, len(data))
    first = data[:n] if isinstance(data, np.ndarray | torch.Tensor) else torch.utils.data.Subset(data, range(n))
    recorded = {layer: one.axes for layer, one in stored.items() if one.axes is not None}
    axes = {**recorded, **{layer: text for layer, text in stated.items() if layer in stored}}
    outputs = collect(model, first, layers=list(stored), axes=axes)
    for layer, output in outputs.items():
        values = dense(stored[layer].matrix[:n]).astype(np.float64)
        same_shape = values.shape == output.matrix.shape
        scale = float(np.abs(values).max()) if values.size else 0.0
        if not same_shape or np.abs(values - np.asarray(output.matrix)).max() > 0.02 * scale + 1e-6:
            raise ActivationsError(
                f"stored activations of layer {layer!r} do not match this model's output on these samples: collect "
                "them again with the same weights, samples and axes, and pool='mean'"
            )
    return {layer: one.replace(axes=outputs[layer].axes) for layer, one in stored.items()}
