"""Contributions: how much each neuron of a lower layer adds to a target neuron, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.analysis.circuits.observed import ObservedModel, Target, Where
from neuronym.data.ids import places
from neuronym.errors import OptionError
from neuronym.io.tables import shown_table
from neuronym.labels.labels import Labels
from neuronym.network.failures import on_samples, users_code
from neuronym.network.hooks import find_module
from neuronym.network.state import global_state
from neuronym.types import Name

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from neuronym.analysis.circuits.attribution import Gradients

__all__ = ["Contributions", "Method", "compare", "contributions"]

Floats = NDArray[np.float64]
#: How contributions are computed; see ``contributions``.
Method = Literal["auto", "linear", "gradient", "conductance", "integrated"]

N_STEPS = 20  # of integration
_METHODS = ("auto", "linear", "gradient", "conductance", "integrated")


@dataclass(frozen=True)
class Contributions:
    """The contribution of each neuron of a layer to a target, on each of the selected samples.

    Parameters
    ----------
    target : tuple of str and (int or str)
        The layer and name of the target neuron.
    layer : str
        The lower layer.
    neurons : sequence of (int or str)
        The names of its neurons.
    method : {"linear", "gradient", "conductance", "integrated"}
        How the contributions were computed: ``"linear"`` is exact, the others are Captum's.
    rows : int64 array of shape (n_samples,)
        The indices of the samples in the data.
    values : float64 array of shape (n_samples, n_neurons)
        The contributions; for ``"linear"``, weight × (activation − baseline).
    total : float64 array of shape (n_samples,)
        What they should sum to: the target minus its baseline (for ``"gradient"``, the target itself).
    """

    target: Target
    layer: str
    neurons: Sequence[Name]
    method: str
    rows: NDArray[np.int64]
    values: Floats
    total: Floats

    @property
    def mean(self) -> Floats:
        """The mean contribution of each neuron, shape (n_neurons,)."""
        means: Floats = self.values.mean(axis=0)
        return means

    @property
    def unexplained(self) -> float:
        """The share of the mean total that the contributions leave unexplained."""
        whole = float(self.total.mean())
        return abs(float(self.mean.sum()) - whole) / abs(whole) if whole else float("nan")

    def take(self, chosen: ArrayLike) -> Contributions:
        """Keep some of the samples.

        Parameters
        ----------
        chosen : array of int or bool
            Indices into these samples, or a mask of them.

        Returns
        -------
        Contributions
            The contributions on the samples kept.

        Raises
        ------
        OptionError
            If no sample is kept.
        """
        kept = places(chosen, len(self.rows))
        if not len(kept):
            raise OptionError("no sample is left: choose at least one")
        return replace(self, rows=self.rows[kept], values=self.values[kept], total=self.total[kept])

    def top(self, n: int) -> list[Name]:
        """Return the neurons that contribute most, largest first.

        Parameters
        ----------
        n : int
            How many neurons.

        Returns
        -------
        list of (int or str)
            The names of the neurons.
        """
        return [self.neurons[j] for j in np.argsort(-self.mean, kind="stable")[:n]]

    def table(self, labels: Labels | None = None) -> pd.DataFrame:
        """Make a table with one row per neuron, sorted by contribution, largest first.

        Parameters
        ----------
        labels : Labels, optional
            Labels of the layer's neurons.

        Returns
        -------
        DataFrame
            Columns ``neuron``, ``contribution`` (the mean) and ``share`` (of the total); with labels, also ``formula``
            and ``auc``.
        """
        import pandas as pd

        whole = float(self.total.mean())
        table = pd.DataFrame({"neuron": pd.Series(list(self.neurons), dtype=object), "contribution": self.mean})
        table["share"] = table["contribution"] / whole if whole else np.nan
        return _add_labels(table, self.layer, labels).sort_values("contribution", ascending=False, ignore_index=True)

    @property
    def headline(self) -> str:
        """One line that says which neurons contribute how much to which target."""
        layer, neuron = self.target
        return (
            f"{layer} {neuron}: {self.total.mean():.4g} from {len(self.neurons)} neurons of {self.layer} "
            f"({self.method}, mean of {len(self.rows)} samples; {self.unexplained:.2g} of it unexplained)"
        )

    def __str__(self) -> str:
        return f"{self.headline}\n{shown_table(self.table().head(10))}"


def _add_labels(table: pd.DataFrame, layer: str, labels: Labels | None) -> pd.DataFrame:
    """Add the formulas and AUCs of a layer's labels to a table of its neurons."""
    if labels is None:
        return table
    known = {label.neuron: label for label in labels if label.layer in (layer, None)}
    found = [known.get(neuron) for neuron in table["neuron"]]
    table["formula"] = [None if label is None or label.formula is None else str(label.formula) for label in found]
    table["auc"] = [np.nan if label is None else label.auc for label in found]
    return table


def compare(first: Contributions, second: Contributions, labels: Labels | None = None) -> pd.DataFrame:
    """Compare the contributions of one layer to two targets, or to one target on two sets of samples.

    Parameters
    ----------
    first, second : Contributions
        Contributions of the same layer.
    labels : Labels, optional
        Labels of the layer's neurons.

    Returns
    -------
    DataFrame
        One row per neuron, with the largest ``difference`` first: ``neuron``, the mean contributions ``first`` and
        ``second``, and ``difference``; with labels, also ``formula`` and ``auc``.

    Raises
    ------
    OptionError
        If the two are contributions of different layers.
    """
    import pandas as pd

    if first.layer != second.layer or list(first.neurons) != list(second.neurons):
        raise OptionError(
            f"contributions of {first.layer!r} and {second.layer!r} cannot be compared: use the same layer for both"
        )
    table = pd.DataFrame(
        {"neuron": pd.Series(list(first.neurons), dtype=object), "first": first.mean, "second": second.mean}
    )
    table["difference"] = table["first"] - table["second"]
    return _add_labels(table, first.layer, labels).sort_values("difference", ascending=False, ignore_index=True)


def contributions(
    observed: ObservedModel,
    *,
    target: Target,
    layer: str,
    where: Where = None,
    against: Where = None,
    method: Method = "auto",
    n_steps: int = N_STEPS,
    baseline: torch.Tensor | None = None,
) -> Contributions:
    """Compute how much each neuron of a lower layer contributes to a target, on each of the selected samples.

    If the target is in a linear layer whose input is the lower layer (averaged over positions), a contribution is
    weight × (activation − baseline). This is exact: contributions sum to the target minus its baseline. Otherwise
    contributions are computed by one of Captum's methods and summed over positions.

    Parameters
    ----------
    observed : ObservedModel
        The model with its data and activations.
    target : tuple of str and (int or str)
        The layer and name of the target neuron.
    layer : str
        A layer below the target's.
    where : formula, mask or array of int, optional
        The samples to average over: a formula of concepts, a boolean mask, or sample indices; by default the 20 samples
        with the highest activation of the target.
    against : formula, mask or array of int, optional
        The samples whose mean activation is the baseline of ``"linear"``; all samples by default.
    method : {"auto", "linear", "gradient", "conductance", "integrated"}, default "auto"
        ``"linear"`` is exact; ``"gradient"``, ``"conductance"`` and ``"integrated"`` are Captum's
        LayerGradientXActivation, LayerConductance and LayerIntegratedGradients; ``"auto"`` is linear where that is
        exact, and gradient otherwise.
    n_steps : int, default 20
        The number of integration steps of ``"conductance"`` and ``"integrated"``.
    baseline : tensor of the shape of a sample, optional
        The input at which integration starts; zeros by default.

    Returns
    -------
    Contributions
        The contributions on each sample, and the totals they should sum to.

    Raises
    ------
    UnknownNameError
        If there is no such layer, neuron or concept.
    OptionError
        If the layer is not connected to the target, or ``method="linear"`` and the connection is not linear.
    """
    if method not in _METHODS:
        raise OptionError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
    if layer == target[0]:
        raise OptionError(f"layer {layer!r} is the target's own layer: name a lower one")
    if n_steps < 2:
        raise OptionError(f"n_steps must be a whole number of at least 2, not {n_steps!r}")
    target = observed.resolve(target)
    index, column = observed.column(target)
    rows = observed.select(where, target)
    names = observed.of_layer(layer).names
    linear = _linear_weights(observed, layer, column, target, index) if method in ("auto", "linear") else None
    if linear is not None:
        weights, matrix = linear
        base = np.arange(len(column)) if against is None else observed.select(against, target)
        values = weights * (matrix[rows] - matrix[base].mean(axis=0))
        total = column[rows] - column[base].mean()
        return Contributions(target, layer, names, "linear", rows, values, total)
    if method == "linear":
        raise OptionError(
            f"layer {layer!r} is not linearly connected to {target[0]!r}, which is not a linear layer of its outputs: "
            "use method='gradient', 'conductance' or 'integrated'"
        )
    from neuronym.analysis.circuits.attribution import attribute, check_connected

    gradients: Gradients = "gradient" if method == "auto" else method
    parts, what = [], f"computing contributions of layer {layer!r}"
    with global_state():
        for number, inputs in enumerate(observed.batches(rows)):
            with on_samples(observed.named(rows, number)), users_code(what, OptionError):
                if not number:
                    check_connected(observed.model, inputs, layer, (target[0], index), observed.axes(target[0]))
                parts.append(attribute(observed, inputs, layer, (target[0], index), gradients, n_steps, baseline))
    values, total = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return Contributions(target, layer, names, gradients, rows, values, total)


def _linear_weights(
    observed: ObservedModel, layer: str, column: Floats, target: Target, index: int
) -> tuple[Floats, Floats] | None:
    """Return a layer's weights to a target and its activations, or None if the target is not linear in them."""
    import torch

    module = find_module(observed.model, target[0])
    if not isinstance(module, torch.nn.Linear) or module.in_features != observed.of_layer(layer).n_neurons:
        return None
    matrix = observed.matrix(layer)
    weights = module.weight[index].detach().double().cpu().numpy()
    bias = 0.0 if module.bias is None else float(module.bias[index].detach())
    predicted = matrix @ weights + bias
    exact = module.weight.dtype in (torch.float32, torch.float64)
    scale = max(np.abs(column).max(), np.abs(predicted).max())
    return (weights, matrix) if np.abs(predicted - column).max() <= (1e-4 if exact else 0.03) * scale else None
