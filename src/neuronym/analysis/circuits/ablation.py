"""Ablation: whether the neurons of a circuit are causal. They are set to their mean, and the model is run again."""

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
from neuronym.network.batches import attention_mask, feed
from neuronym.network.hooks import capture_outputs, eval_mode, only_output
from neuronym.network.pooling import pool_output
from neuronym.types import Name

if TYPE_CHECKING:
    import torch

__all__ = ["Ablation", "ablate"]

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[np.intp]]


@dataclass(frozen=True)
class Ablation:
    """What the target does without some neurons, and without as many random ones of the same layers.

    Parameters
    ----------
    target : layer and neuron
    neurons : the neurons set to their mean, by layer
    before, after : float64, shape (n_samples,)
        The target with and without them.
    random : float64, shape (n_random, n_samples)
        The target without random neurons.
    accuracy_before, accuracy_after : float
        The share of samples on which the highest neuron of the target's layer is the right one.
    accuracy_random : float64, shape (n_random,)
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
        """The mean change of the target."""
        return float((self.after - self.before).mean())

    @property
    def changes_random(self) -> Floats:
        """The mean change of the target by each random set, (n_random,)."""
        means: Floats = (self.random - self.before).mean(axis=1)
        return means

    @property
    def p(self) -> float:
        """The probability that as many random neurons change the target as much, in either direction.

        (1 + b) / (1 + n_random) for b random sets; NaN without any.
        """
        if not len(self.random):
            return float("nan")
        reached = np.abs(self.changes_random) >= abs(self.change)
        return float((1 + reached.sum()) / (1 + len(reached)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as for JSON."""
        return {
            "target": list(self.target),
            "neurons": {layer: list(named) for layer, named in self.neurons.items()},
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
        n = sum(len(named) for named in self.neurons.values())
        told = f"{layer} {neuron} without {n} neurons of {', '.join(self.neurons)}: {self.change:+.4g}"
        told += f" from {self.before.mean():.4g}, accuracy {self.accuracy_before:.0%} → {self.accuracy_after:.0%}"
        if len(self.random):
            low, high = np.quantile(self.changes_random, [0.05, 0.95])
            told += (
                f"\nwithout {n} random ones, {len(self.random)} times: {self.changes_random.mean():+.4g}"
                f" ({low:+.3g} to {high:+.3g} in nine of ten), accuracy {self.accuracy_random.mean():.0%};"
                f" p = {self.p:.2g}"
            )
        return told


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
    """Set neurons to their mean over all samples, at every place, run the model, and see what the target does.

    Random neurons are as many, of the same layers, others than those. On a layer that the target is a linear function
    of, this shows nothing that the contributions have not said.

    Parameters
    ----------
    observed : the model with its data and activations, of these layers too
    target : layer and neuron
    neurons : names, by layer
    where : which samples, as for ``contributions``
    classes : for each sample of the data the neuron of the target's layer that is right, for the accuracy; by default
        the target
    n_random : how many random sets
    seed : of these

    Raises
    ------
    UnknownNameError
        If there is no such layer or neuron.
    OptionError
        If no neurons are named, or a layer has too few others.
    ActivationsError
        If a layer gives what channels cannot be told apart in.
    """
    if n_random < 0 or seed < 0:
        raise OptionError(f"n_random and seed must be whole numbers of at least 0, not {n_random!r} and {seed!r}")
    target = observed.named(target)
    place, _ = observed.column(target)
    rows = observed.chosen(where, target)
    columns = _columns(observed, target, neurons, n_random)
    means = {layer: observed.matrix(layer).mean(axis=0) for layer in columns}
    truth = np.full(len(rows), place)
    if classes is not None:
        if len(classes) != len(observed.data):
            raise OptionError(f"classes has {len(classes)} for {len(observed.data)} samples: one each is needed")
        own = {name: j for j, name in enumerate(observed.layers[target[0]].names)}
        unknown = [classes[row] for row in rows.tolist() if classes[row] not in own]
        if unknown:
            raise no_such("class", unknown[0], list(own))
        truth = np.array([own[classes[row]] for row in rows.tolist()])
    rng = np.random.default_rng(seed)
    sets = [{}, columns, *(_others(observed, columns, rng) for _ in range(n_random))]
    outputs = _outputs(observed, rows, sets, means, (target[0], place))
    accuracy = np.array([(output.argmax(axis=1) == truth).mean() for output in outputs])
    values = np.stack([output[:, place] for output in outputs])
    named = {layer: [observed.layers[layer].names[j] for j in own] for layer, own in columns.items()}
    return Ablation(
        target, named, values[0], values[1], values[2:], float(accuracy[0]), float(accuracy[1]), accuracy[2:]
    )


def _columns(observed: ObservedModel, target: Target, neurons: Mapping[str, Sequence[Name]], n_random: int) -> Columns:
    """The places of the neurons to ablate, by layer."""
    if not isinstance(neurons, Mapping):
        raise OptionError(f"neurons must be given by layer, as {{'layer': [1, 2]}}, not {neurons!r}")
    if not neurons or not all(len(named) for named in neurons.values()):
        raise OptionError("neurons names none: give at least one of each layer, as {'layer': [1, 2]}")
    columns = {}
    for layer, named in neurons.items():
        if layer not in observed.layers:
            raise no_such("layer", layer, list(observed.layers))
        if layer == target[0]:
            raise OptionError(f"layer {layer!r} is that of the target: name a lower one")
        taken = observed.layers[layer]
        columns[layer] = taken.indices(named)
        if n_random and taken.n_neurons < 2 * len(named):
            raise OptionError(
                f"layer {layer!r} has {taken.n_neurons} neurons: too few to draw {len(named)} others, so name fewer"
            )
    return columns


def _others(observed: ObservedModel, columns: Columns, rng: np.random.Generator) -> Columns:
    """As many other neurons of the same layers, drawn at random."""
    return {
        layer: rng.choice(np.setdiff1d(np.arange(observed.layers[layer].n_neurons), own), len(own), replace=False)
        for layer, own in columns.items()
    }


def _outputs(
    observed: ObservedModel,
    rows: NDArray[np.int64],
    sets: Sequence[Columns],
    means: Mapping[str, Floats],
    target: tuple[str, int],
) -> list[Floats]:
    """The outputs of the target's layer, (n_samples, n_neurons), without each set of neurons."""
    from neuronym.analysis.circuits.attribution import check_path

    parts: list[list[Floats]] = [[] for _ in sets]
    with eval_mode(observed.model):
        for number, inputs in enumerate(observed.batches(rows)):
            for layer in sets[1] if not number else ():
                check_path(observed.model, inputs, layer, target)
            for chosen, own in zip(sets, parts, strict=True):
                own.append(_without(observed.model, inputs, chosen, means, target[0]))
    return [np.concatenate(own) for own in parts]


def _without(
    model: torch.nn.Module,
    inputs: Any,
    columns: Columns,
    means: Mapping[str, Floats],
    layer: str,
) -> Floats:
    """The outputs of a layer, (B, n_neurons), where some neurons of others are at their mean."""
    import torch

    with ExitStack() as stack, torch.no_grad():
        for name, own in columns.items():
            stack.enter_context(_at_mean(model, name, own, means[name][own]))
        with capture_outputs(model, [layer]) as caught:
            feed(model, inputs)
        given = pool_output(only_output(layer, caught), "mean", layer, mask=attention_mask(inputs))[0]
    found: Floats = given.double().cpu().numpy()
    return found


@contextmanager
def _at_mean(model: torch.nn.Module, layer: str, columns: NDArray[np.intp], means: Floats) -> Iterator[None]:
    """Set channels of a module's output to given values, until the end of the block."""
    import torch

    def replaced(_module: Any, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (replaced(_module, _inputs, output[0]), *output[1:])
        if not isinstance(output, torch.Tensor) or output.ndim < 2:
            raise ActivationsError(f"layer {layer!r} gives {type(output).__name__}: name a module that gives channels")
        given = torch.as_tensor(means, dtype=output.dtype, device=output.device)
        places = torch.as_tensor(columns, device=output.device)
        changed = output.clone()
        if output.ndim == 3:  # a sequence (B, T, D)
            changed[:, :, places] = given
        else:
            changed[:, places] = given.reshape(1, -1, *[1] * (output.ndim - 2))
        return changed

    handle = model.get_submodule(layer).register_forward_hook(replaced)
    try:
        yield
    finally:
        handle.remove()
