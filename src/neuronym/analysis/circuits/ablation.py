"""Ablation: set neurons to their mean and rerun the model, to test whether they cause the target's activation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import no_such
from neuronym.analysis.circuits.observed import ObservedModel, Target, Where
from neuronym.errors import ActivationsError, OptionError
from neuronym.network.axes import Axes
from neuronym.network.batches import attention_mask, feed
from neuronym.network.failures import on_samples
from neuronym.network.hooks import (
    capture_outputs,
    eval_mode,
    find_module,
    main_tensor,
    only_output,
    with_main_tensor,
)
from neuronym.network.outputs import numbers
from neuronym.network.pooling import pool_output
from neuronym.network.state import global_state
from neuronym.types import Name

if TYPE_CHECKING:
    import torch

__all__ = ["Ablation", "ablate"]

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[np.intp]]


@dataclass(frozen=True)
class Ablation:
    """Activations of a target before and after an ablation, and after ablations of as many random neurons.

    Parameters
    ----------
    target : tuple of str and (int or str)
        The layer and name of the target neuron.
    neurons : mapping of str to sequence of (int or str)
        The ablated neurons, which were set to their mean, by layer.
    before, after : float64 array of shape (n_samples,)
        The target's activation on each sample, before and after the ablation.
    random : float64 array of shape (n_random, n_samples)
        The target's activation after the ablation of each random set of neurons from the same layers.
    accuracy_before, accuracy_after : float
        The share of samples on which the highest neuron of the target's layer is the correct one.
    accuracy_random : float64 array of shape (n_random,)
        The same accuracy after the ablation of each random set.
    """

    target: Target
    neurons: Mapping[str, Sequence[Name]]
    before: Floats
    after: Floats
    random: Floats
    accuracy_before: float
    accuracy_after: float
    accuracy_random: Floats

    @property
    def change(self) -> float:
        """The mean change of the target's activation."""
        return float((self.after - self.before).mean())

    @property
    def changes_random(self) -> Floats:
        """The mean change of the target's activation for each random set, shape (n_random,)."""
        means: Floats = (self.random - self.before).mean(axis=1)
        return means

    @property
    def p(self) -> float:
        """The two-sided p-value: how often as many random neurons change the target at least as much.

        It is (1 + b) / (1 + n_random), where b random sets change the target at least as much in either direction;
        NaN if there are no random sets.
        """
        if not len(self.random):
            return float("nan")
        reached = np.abs(self.changes_random) >= abs(self.change)
        return float((1 + reached.sum()) / (1 + len(reached)))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain data that can be written as JSON.

        Returns
        -------
        dict
            The fields of the ablation; activations are reduced to their means over samples.
        """
        return {
            "target": list(self.target),
            "neurons": {layer: list(names) for layer, names in self.neurons.items()},
            "n_samples": len(self.before),
            "before": float(self.before.mean()),
            "change": self.change,
            "changes_random": self.changes_random.tolist(),
            "p": self.p,
            "accuracy_before": self.accuracy_before,
            "accuracy_after": self.accuracy_after,
            "accuracy_random": self.accuracy_random.tolist(),
        }

    def __str__(self) -> str:
        layer, neuron = self.target
        n = sum(len(names) for names in self.neurons.values())
        text = f"{layer} {neuron} without {n} neurons of {', '.join(self.neurons)}: {self.change:+.4g}"
        text += f" from {self.before.mean():.4g}, accuracy {self.accuracy_before:.0%} → {self.accuracy_after:.0%}"
        if len(self.random):
            low, high = np.quantile(self.changes_random, [0.05, 0.95])
            text += (
                f"\nwithout {n} random neurons ({len(self.random)} sets): {self.changes_random.mean():+.4g}"
                f" (90% of sets: {low:+.3g} to {high:+.3g}), accuracy {self.accuracy_random.mean():.0%};"
                f" p = {self.p:.2g}"
            )
        return text


def ablate(
    observed: ObservedModel,
    *,
    target: Target,
    neurons: Mapping[str, Sequence[Name]],
    where: Where = None,
    classes: Sequence[Name] | None = None,
    n_random: int = 20,
    seed: int = 0,
) -> Ablation:
    """Set neurons to their mean over all samples, at every position, and measure how the target changes.

    The comparison is with random sets of as many other neurons from the same layers. Where the target is a linear
    function of a layer, an ablation adds nothing to what the contributions already say.

    Parameters
    ----------
    observed : ObservedModel
        The model with its data and the activations of all layers concerned.
    target : tuple of str and (int or str)
        The layer and name of the target neuron.
    neurons : mapping of str to sequence of (int or str)
        The names of the neurons to ablate, by layer.
    where : formula, mask or array of int, optional
        The samples to run, as for ``contributions``.
    classes : sequence of (int or str), optional
        The correct neuron of the target's layer for each sample of the data, from which the accuracy is computed; the
        target by default.
    n_random : int, default 20
        How many random sets to compare with.
    seed : int, default 0
        The seed of the random sets.

    Returns
    -------
    Ablation
        The target's activations and accuracies, before and after.

    Raises
    ------
    UnknownNameError
        If there is no such layer or neuron.
    OptionError
        If no neurons are named, or a layer has too few other neurons.
    ActivationsError
        If a layer's output has no channels.
    """
    if n_random < 0 or seed < 0:
        raise OptionError(f"n_random and seed must be whole numbers of at least 0, not {n_random!r} and {seed!r}")
    target = observed.resolve(target)
    place, _ = observed.column(target)
    rows = observed.select(where, target)
    columns = _neuron_columns(observed, target, neurons, n_random)
    means = {layer: observed.matrix(layer).mean(axis=0) for layer in columns}
    truth = np.full(len(rows), place)
    if classes is not None:
        if len(classes) != len(observed.data):
            raise OptionError(
                f"classes has {len(classes)} entries for {len(observed.data)} samples: give one per sample"
            )
        index = {name: j for j, name in enumerate(observed.layers[target[0]].names)}
        unknown = [classes[row] for row in rows.tolist() if classes[row] not in index]
        if unknown:
            raise no_such("class", unknown[0], list(index))
        truth = np.array([index[classes[row]] for row in rows.tolist()])
    rng = np.random.default_rng(seed)
    sets = [{}, columns, *(_random_columns(observed, columns, rng) for _ in range(n_random))]
    outputs = _outputs(observed, rows, sets, means, (target[0], place))
    accuracy = np.array([(output.argmax(axis=1) == truth).mean() for output in outputs])
    values = np.stack([output[:, place] for output in outputs])
    ablated = {layer: [observed.layers[layer].names[j] for j in indices] for layer, indices in columns.items()}
    return Ablation(
        target, ablated, values[0], values[1], values[2:], float(accuracy[0]), float(accuracy[1]), accuracy[2:]
    )


def _neuron_columns(
    observed: ObservedModel, target: Target, neurons: Mapping[str, Sequence[Name]], n_random: int
) -> Columns:
    """Return the columns of the neurons to ablate, by layer."""
    if not isinstance(neurons, Mapping):
        raise OptionError(f"neurons must be a mapping of layers, such as {{'layer': [1, 2]}}, not {neurons!r}")
    if not neurons or not all(len(names) for names in neurons.values()):
        raise OptionError("neurons is empty: name at least one neuron per layer, such as {'layer': [1, 2]}")
    columns = {}
    for layer, names in neurons.items():
        if layer not in observed.layers:
            raise no_such("layer", layer, list(observed.layers))
        if layer == target[0]:
            raise OptionError(f"layer {layer!r} is the target's own layer: name a lower one")
        activations = observed.layers[layer]
        columns[layer] = activations.indices(names)
        if n_random and activations.n_neurons < 2 * len(names):
            raise OptionError(
                f"layer {layer!r} has {activations.n_neurons} neurons: too few to draw {len(names)} others, so name "
                "fewer (or set n_random=0)"
            )
    return columns


def _random_columns(observed: ObservedModel, columns: Columns, rng: np.random.Generator) -> Columns:
    """Draw as many other neurons from each of the layers."""
    drawn = {}
    for layer, ablated in columns.items():
        others = np.setdiff1d(np.arange(observed.layers[layer].n_neurons), ablated)
        drawn[layer] = rng.choice(others, len(ablated), replace=False)
    return drawn


def _outputs(
    observed: ObservedModel,
    rows: NDArray[np.int64],
    sets: Sequence[Columns],
    means: Mapping[str, Floats],
    target: tuple[str, int],
) -> list[Floats]:
    """Return the outputs of the target's layer, (n_samples, n_neurons), with each set of neurons ablated."""
    from neuronym.analysis.circuits.attribution import check_connected

    outputs: list[list[Floats]] = [[] for _ in sets]
    with global_state(), eval_mode(observed.model):
        for number, inputs in enumerate(observed.batches(rows)):
            with on_samples(observed.named(rows, number)):
                for layer in sets[1] if not number else ():
                    check_connected(observed.model, inputs, layer, target, observed.axes(target[0]))
                for columns, of_set in zip(sets, outputs, strict=True):
                    of_set.append(_ablated_output(observed, inputs, columns, means, target[0]))
    return [np.concatenate(of_set) for of_set in outputs]


def _ablated_output(
    observed: ObservedModel,
    inputs: Any,
    columns: Columns,
    means: Mapping[str, Floats],
    layer: str,
) -> Floats:
    """Return the outputs of a layer, (B, n_neurons), with neurons of other layers set to their mean."""
    import torch

    with ExitStack() as stack, torch.no_grad():
        for name, indices in columns.items():
            stack.enter_context(_neurons_fixed(observed, name, indices, means[name][indices]))
        with capture_outputs(observed.model, [layer]) as captured:
            feed(observed.model, inputs)
        mask = attention_mask(inputs, layer)
        pooled = pool_output(only_output(layer, captured), "mean", layer, mask=mask, axes=observed.axes(layer))[0]
    return np.asarray(numbers(pooled, layer), np.float64)


@contextmanager
def _neurons_fixed(observed: ObservedModel, layer: str, columns: NDArray[np.intp], values: Floats) -> Iterator[None]:
    """Fix neurons of a module's output at these values, at every position, until the end of the block."""
    import torch

    known = observed.axes(layer)

    def fix_neurons(_module: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        whole = main_tensor(output)
        axes = Axes.by_number(whole.ndim) if known is None and whole is not None else known
        if whole is None or whole.ndim < 2 or axes is None:
            raise ActivationsError(
                f"layer {layer!r} returns {type(output).__name__}: name a module whose output has channels"
            )
        if whole.layout != torch.strided or whole.is_quantized:
            kind = "a quantised" if whole.is_quantized else "a sparse"
            raise ActivationsError(f"layer {layer!r} returns {kind} tensor: name a module with a dense output")
        arranged = axes.arrange(whole).clone()
        arranged[..., torch.as_tensor(columns, device=whole.device)] = torch.as_tensor(values).to(whole)
        return with_main_tensor(output, axes.restore(arranged, whole.shape))

    handle = find_module(observed.model, layer).register_forward_hook(fix_neurons)
    try:
        yield
    finally:
        handle.remove()
