"""What the neurons of a lower layer add to a target neuron, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.analysis.circuits.observed import ObservedModel, Target, Where
from neuronym.data.ids import places
from neuronym.errors import OptionError
from neuronym.io.tables import shown_table
from neuronym.labels.labels import Labels
from neuronym.types import Name

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["Contributions", "Method", "compare", "contributions"]

Floats = NDArray[np.float64]
#: How contributions are found; ``contributions`` says what each does.
Method = Literal["auto", "linear", "gradient", "conductance", "integrated"]

N_STEPS = 20  # of integration
_METHODS = ("auto", "linear", "gradient", "conductance", "integrated")


@dataclass(frozen=True)
class Contributions:
    """What each neuron of a layer adds to a target on each of some samples.

    Parameters
    ----------
    target : layer and neuron
    layer : the lower layer
    neurons : names of its neurons
    method : ``"linear"``, exact, or one of Captum's
    rows : int64, shape (n_samples,)
        The places of the samples in the data.
    values : float64, shape (n_samples, n_neurons)
        For ``"linear"``, weight × (activation − baseline).
    total : float64, shape (n_samples,)
        What they are to sum to: the target minus its baseline (for ``"gradient"`` the target itself).
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
        """The mean contribution of each neuron, (n_neurons,)."""
        means: Floats = self.values.mean(axis=0)
        return means

    @property
    def unexplained(self) -> float:
        """The share of the mean total that the contributions do not sum to."""
        whole = float(self.total.mean())
        return abs(float(self.mean.sum()) - whole) / abs(whole) if whole else float("nan")

    def take(self, chosen: ArrayLike) -> Contributions:
        """Keep samples, given by their places among those that are here or by a mask."""
        kept = places(chosen, len(self.rows))
        if not len(kept):
            raise OptionError("no sample is left: choose some")
        return replace(self, rows=self.rows[kept], values=self.values[kept], total=self.total[kept])

    def top(self, n: int) -> list[Name]:
        """The neurons that add most, the largest first."""
        return [self.neurons[j] for j in np.argsort(-self.mean, kind="stable")[:n]]

    def table(self, labels: Labels | None = None) -> pd.DataFrame:
        """A row per neuron, the largest contribution first: ``neuron, contribution, share`` of the total, ``formula``.

        ``formula`` and ``auc`` stand where labels are given.
        """
        import pandas as pd

        whole = float(self.total.mean())
        found = pd.DataFrame({"neuron": pd.Series(list(self.neurons), dtype=object), "contribution": self.mean})
        found["share"] = found["contribution"] / whole if whole else np.nan
        return _named(found, self.layer, labels).sort_values("contribution", ascending=False, ignore_index=True)

    @property
    def head(self) -> str:
        """What is added to what, in a line."""
        layer, neuron = self.target
        return (
            f"{layer} {neuron}: {self.total.mean():.4g} by {len(self.neurons)} neurons of {self.layer} ({self.method}, "
            f"mean of {len(self.rows)} samples; {self.unexplained:.2g} of it unexplained)"
        )

    def __str__(self) -> str:
        return f"{self.head}\n{shown_table(self.table().head(10))}"


def _named(table: pd.DataFrame, layer: str, labels: Labels | None) -> pd.DataFrame:
    """A table of neurons with their formulas and AUCs."""
    if labels is None:
        return table
    known = {one.neuron: one for one in labels if one.layer in (layer, None)}
    told = [known.get(neuron) for neuron in table["neuron"]]
    table["formula"] = [None if one is None or one.formula is None else str(one.formula) for one in told]
    table["auc"] = [np.nan if one is None else one.auc for one in told]
    return table


def compare(first: Contributions, second: Contributions, labels: Labels | None = None) -> pd.DataFrame:
    """What speaks for one target and not for another, or on some samples and not on others, for the same layer.

    Returns
    -------
    DataFrame with a row per neuron, the largest ``difference`` first
        ``neuron``, ``first``, ``second``: the mean contributions; with labels ``formula`` and ``auc``.

    Raises
    ------
    OptionError
        If they are of other layers.
    """
    import pandas as pd

    if first.layer != second.layer or list(first.neurons) != list(second.neurons):
        raise OptionError(f"contributions of {first.layer!r} and {second.layer!r} cannot be compared: take one layer")
    found = pd.DataFrame(
        {"neuron": pd.Series(list(first.neurons), dtype=object), "first": first.mean, "second": second.mean}
    )
    found["difference"] = found["first"] - found["second"]
    return _named(found, first.layer, labels).sort_values("difference", ascending=False, ignore_index=True)


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
    """What each neuron of a lower layer adds to a target, over chosen samples.

    Where the target is in a linear layer whose input is the lower layer (pooled by the mean over places), it is
    weight × (activation − baseline), exact: the parts sum to the target minus the target's baseline. Elsewhere it is
    one of Captum's methods, summed over places.

    Parameters
    ----------
    observed : the model with its data and activations
    target : layer and neuron
    layer : lower than that of the target
    where : which samples: a formula of concepts, a mask of bool, or places; by default the 20 on which the target is
        highest
    against : the samples whose mean is the baseline of ``"linear"``; all by default
    method : ``"linear"``; ``"gradient"`` (LayerGradientXActivation), ``"conductance"`` (LayerConductance) or
        ``"integrated"`` (LayerIntegratedGradients); ``"auto"`` is linear where that is exact, else gradient
    n_steps : of integration
    baseline : the input that integration starts from, the shape of a sample; 0 by default

    Raises
    ------
    UnknownNameError
        If there is no such layer, neuron or concept.
    OptionError
        If the layer is not connected to the target, or not linearly where that is asked for.
    """
    if method not in _METHODS:
        raise OptionError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
    if layer == target[0]:
        raise OptionError(f"layer {layer!r} is that of the target: name a lower one")
    if n_steps < 2:
        raise OptionError(f"n_steps must be a whole number of at least 2, not {n_steps!r}")
    target = observed.named(target)
    place, column = observed.column(target)
    rows = observed.chosen(where, target)
    names = observed.of_layer(layer).names
    found = _linear(observed, layer, column, target, place) if method in ("auto", "linear") else None
    if found is not None:
        weights, matrix = found
        base = np.arange(len(column)) if against is None else observed.chosen(against, target)
        values = weights * (matrix[rows] - matrix[base].mean(axis=0))
        total = column[rows] - column[base].mean()
        return Contributions(target, layer, names, "linear", rows, values, total)
    if method == "linear":
        raise OptionError(
            f"layer {layer!r} is not linearly connected to {target[0]!r}: that is no linear layer of its outputs, so "
            "take method='gradient', 'conductance' or 'integrated'"
        )
    from neuronym.analysis.circuits.attribution import attributed, check_path

    chosen: Any = "gradient" if method == "auto" else method
    parts = []
    for number, inputs in enumerate(observed.batches(rows)):
        if not number:
            check_path(observed.model, inputs, layer, (target[0], place))
        parts.append(attributed(observed.model, inputs, layer, (target[0], place), chosen, n_steps, baseline))
    values, total = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return Contributions(target, layer, names, chosen, rows, values, total)


def _linear(
    observed: ObservedModel, layer: str, column: Floats, target: Target, place: int
) -> tuple[Floats, Floats] | None:
    """The weights from a layer to a target and the layer's activations, where these are linear, else None."""
    import torch

    module = observed.model.get_submodule(target[0])
    if not isinstance(module, torch.nn.Linear) or module.in_features != observed.of_layer(layer).n_neurons:
        return None
    matrix = observed.matrix(layer)
    weights = module.weight[place].detach().double().cpu().numpy()
    bias = 0.0 if module.bias is None else float(module.bias[place].detach())
    predicted = matrix @ weights + bias
    exact = module.weight.dtype in (torch.float32, torch.float64)
    size = max(np.abs(column).max(), np.abs(predicted).max())
    return (weights, matrix) if np.abs(predicted - column).max() <= (1e-4 if exact else 0.03) * size else None
