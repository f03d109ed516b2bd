"""What the axes of a layer's output mean: which are samples, which neurons, and which positions in time or space.

The evidence, in this order: what the user says; the kind of the module (a convolution has its channels first, a linear
layer last); in a ``Sequential``, the kind of the module before; and a pass over a few samples, in which an axis holds
neurons if its entries depend on different channels of the nearest layers of a known kind. If nothing shows it, the
number of axes decides, and a warning says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from neuronym._util.messages import counted, no_such, warn
from neuronym.errors import ActivationsError, OptionError
from neuronym.network.hooks import eval_mode, main_tensor, modules_by_name, named_module, with_main_tensor

if TYPE_CHECKING:
    import torch

__all__ = ["Axes", "find_axes", "shown_axes", "stated_axes"]

#: What outputs are taken for if nothing shows what their axes mean, by their number.
_BY_NUMBER = {1: "B", 2: "BC", 3: "BTC", 4: "BCHW", 5: "BCTHW"}
_POSITIONS = {1: "T", 2: "HW", 3: "THW"}  # names of the axes beside B and C
_BESIDE_HEADS = {0: "", 1: "T", 2: "TS", 3: "TSU"}  # and beside B, H and D
#: Points of the hooks of TransformerLens that hold (batch, position, head, dimension of the head).
_OF_HEADS = ("hook_q", "hook_k", "hook_v", "hook_z", "hook_rot_q", "hook_rot_k", "hook_result")
_N_SLICES = 4  # entries of an axis whose sources are compared
_ALIKE = 0.5  # mean cosine of the sources of two entries, above which they are the same neurons

Side = Literal["first", "last"]


@dataclass(frozen=True)
class Axes:
    """What each axis of a layer's output means.

    Parameters
    ----------
    text : str
        One letter per axis: B is the samples and C the neurons, or H and D the heads and the neurons of each; the
        others are positions. So a picture is ``BCHW`` or ``BHWC``, a sequence ``BTC`` or ``BCT``, or ``TBC`` with time
        first, and the outputs of attention heads ``BTHD``.
    assumed : bool, default False
        Whether nothing shows this.

    Raises
    ------
    OptionError
        If the text is of another form.

    Examples
    --------
    >>> Axes("BHWC").neurons, Axes("BHWC").positions, Axes("TBC").batch, Axes("BTHD").neurons
    ((3,), (1, 2), 1, (2, 3))
    """

    text: str
    assumed: bool = False

    def __post_init__(self) -> None:
        text = self.text
        whole = text.isascii() and text.isalpha() and text.isupper() and len(set(text)) == len(text)
        if not whole or "B" not in text or not (text == "B" or "C" in text or "D" in text):
            raise OptionError(
                "axes must be letters such as BCT, BTC, BCHW, BHWC, TBC or BTHD, one per axis, where B is the samples, "
                f"C the neurons (or H and D the heads and their neurons) and the others are positions, not {text!r}"
            )

    @classmethod
    def by_number(cls, n_axes: int, *, assumed: bool = False) -> Axes | None:
        """Return what outputs with this number of axes are taken for if nothing shows it.

        Parameters
        ----------
        n_axes : int
            The number of axes.
        assumed : bool, default False
            Whether to mark them as assumed.

        Returns
        -------
        Axes or None
            ``B``, ``BC``, ``BTC``, ``BCHW`` or ``BCTHW``; None for another number.
        """
        return cls(_BY_NUMBER[n_axes], assumed) if n_axes in _BY_NUMBER else None

    @property
    def batch(self) -> int:
        """The axis of the samples."""
        return self.text.index("B")

    @property
    def neurons(self) -> tuple[int, ...]:
        """The axes of the neurons: one, or those of the heads and of the neurons of each."""
        letters = "C" if "C" in self.text else "HD"
        return tuple(place for place, letter in enumerate(self.text) if letter in letters)

    @property
    def positions(self) -> tuple[int, ...]:
        """The axes of the positions."""
        return tuple(a for a in range(len(self.text)) if a != self.batch and a not in self.neurons)

    def arrange(self, output: torch.Tensor) -> torch.Tensor:
        """Rearrange an output to samples, positions and neurons.

        Parameters
        ----------
        output : torch.Tensor
            The output of the layer.

        Returns
        -------
        torch.Tensor of shape (n_samples, ..., n_neurons)
            The output with the axes of the positions in their order, and the neurons of all heads in one axis.
        """
        moved = output.permute(self.batch, *self.positions, *self.neurons)
        return moved.reshape(*moved.shape[: 1 + len(self.positions)], -1)

    def restore(self, arranged: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Undo ``arrange``.

        Parameters
        ----------
        arranged : torch.Tensor of shape (n_samples, ..., n_neurons)
            What ``arrange`` returned.
        shape : sequence of int
            The shape of the output.

        Returns
        -------
        torch.Tensor
            The output with its own axes.
        """
        order = [self.batch, *self.positions, *self.neurons]
        moved = arranged.reshape([shape[axis] for axis in order])
        return moved.permute([order.index(axis) for axis in range(len(order))])

    def check(self, layer: str, shape: Sequence[int], n_samples: int) -> None:
        """Refuse an output that these axes cannot be of.

        Parameters
        ----------
        layer : str
            The name of the layer.
        shape : sequence of int
            The shape of its output.
        n_samples : int
            The number of samples that it is of.

        Raises
        ------
        ActivationsError
            If the number of axes, or of samples, is another.
        """
        if len(shape) != len(self.text):
            raise ActivationsError(
                f"the axes of layer {layer!r} are {self.text}, but it returns {tuple(shape)}: give one letter per axis "
                "(axes, --axes), the same for all batches"
            )
        if shape[self.batch] != n_samples:
            which = "the first axis" if not self.batch else f"axis {self.batch + 1} ({self.text})"
            raise ActivationsError(
                f"layer {layer!r} returns {tuple(shape)} for {counted(n_samples, 'sample')}: {which} must be the "
                "samples, so say which one is (axes, --axes), or collect a module that has such an axis"
            )


def find_axes(
    model: torch.nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    n_samples: int,
    trial: Callable[[int], object],
    stated: Mapping[str, Axes],
) -> dict[str, Axes]:
    """Find out what the axes of the outputs of layers mean.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    shapes : mapping of str to tuple of int
        The shape of the output of each layer.
    n_samples : int
        The number of samples that these are of.
    trial : callable
        Runs the model on this number of samples; used only where the kinds of the modules do not say it.
    stated : mapping of str to Axes
        The axes that the user states, by layer.

    Returns
    -------
    dict of str to Axes
        The axes by layer; a layer whose output has no known form is absent.

    Warns
    -----
    UserWarning
        If nothing shows what the axes of a layer mean, with what they are taken for.
    """
    rest = {layer: shape for layer, shape in shapes.items() if layer not in stated}
    found = {**stated, **_found(model, rest, n_samples, trial)}
    unsure = {layer: axes.text for layer, axes in found.items() if axes.assumed}
    if unsure:
        layers = ", ".join(f"{layer!r} ({shapes[layer]}) for {text}" for layer, text in list(unsure.items())[:3])
        more = f" and {len(unsure) - 3} more" if len(unsure) > 3 else ""
        warn(
            f"the axes of {counted(len(unsure), 'layer')} are assumed, since no layer of a known kind shows them: "
            f"{layers}{more}; say what they are with axes={unsure if len(unsure) < 3 else '{...}'} "
            f"(--axes {next(iter(unsure))}={next(iter(unsure.values()))})"
        )
    return found


def shown_axes(
    model: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]], trial: Callable[[int], object]
) -> dict[str, str]:
    """Return the axes of layers for one sample as texts, with a question mark where they are assumed.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    shapes : mapping of str to tuple of int
        The shape of the output of each layer for a batch of one.
    trial : callable
        Runs the model on this number of samples.

    Returns
    -------
    dict of str to str
        The axes by layer; a layer whose output has no known form, or no axis of samples, is absent.
    """
    found = _found(model, shapes, 1, trial)
    of_samples = {layer: axes for layer, axes in found.items() if shapes[layer][axes.batch] == 1}
    return {layer: axes.text + "?" * axes.assumed for layer, axes in of_samples.items()}


def stated_axes(given: str | Mapping[str, str] | None, layers: Sequence[str]) -> dict[str, Axes]:
    """Return the axes that the user states.

    Parameters
    ----------
    given : str or mapping of str to str, optional
        The axes of all layers, or of some by name, as for ``Axes``; small letters count too, and N for B.
    layers : sequence of str
        The names of the layers.

    Returns
    -------
    dict of str to Axes
        The axes by layer, of those that are stated.

    Raises
    ------
    OptionError
        If they are of another form.
    UnknownNameError
        If there is no such layer.
    """
    if given is None:
        return {}
    if not isinstance(given, str | Mapping) or not all(
        isinstance(text, str) for text in (given.values() if isinstance(given, Mapping) else ())
    ):
        raise OptionError(f"axes must be letters such as 'BHWC', or a mapping of layers to them, not {given!r}")
    stated = dict.fromkeys(layers, given) if isinstance(given, str) else dict(given)
    for layer in stated:
        if layer not in layers:
            raise no_such("layer", layer, layers)
    upper = {layer: text.upper() for layer, text in stated.items()}
    return {layer: Axes(text if "B" in text else text.replace("N", "B")) for layer, text in upper.items()}


def _found(
    model: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]], n_samples: int, trial: Callable[[int], object]
) -> dict[str, Axes]:
    """Find the axes of layers by the evidence of their kinds or, where these say nothing, of a trial."""
    modules = modules_by_name(model)
    turned = any(_batch_first(one) is False for one in modules.values())
    found: dict[str, Axes | None] = {}
    unclear = []
    for layer, shape in shapes.items():
        plain = len(shape) in (1, 2)
        found[layer] = Axes.by_number(len(shape)) if plain else _by_kind(modules, layer, shape, n_samples, turned)
        if found[layer] is None and shape:
            unclear.append(layer)
    if unclear:
        number = 4 if n_samples > 4 else n_samples + 1  # not n_samples: so the axis of the samples shows
        wanted: dict[torch.nn.Module, list[str]] = {}
        for layer in unclear:
            wanted.setdefault(named_module(modules, layer), []).append(layer)
        traced = _traced(model, wanted, lambda: trial(number))
        for layer in unclear:
            shape = shapes[layer]
            shown = _by_trace(shape, n_samples, number, traced.get(layer))
            found[layer] = shown or Axes.by_number(len(shape), assumed=True)
    return {layer: axes for layer, axes in found.items() if axes is not None}


def _by_kind(
    modules: Mapping[str, torch.nn.Module], layer: str, shape: tuple[int, ...], n_samples: int, turned: bool
) -> Axes | None:
    """Return the axes that the kind of a module, or of the module before it in a ``Sequential``, says; None if none.

    ``turned`` is whether any module of the model has the time before the samples.
    """
    module = named_module(modules, layer)
    last = layer.rpartition(".")[2]
    if type(module).__name__ == "HookPoint" and (len(shape) == 3 or (len(shape) == 4 and last in _OF_HEADS)):
        return Axes("BTC" if len(shape) == 3 else "BTHD")
    deciding = _deciding(modules, layer)
    side = None if deciding is None else _side(deciding, shape)
    if deciding is None or side is None:
        return None
    if side == "first":
        return _named(len(shape), 0, (1,))
    batch_first = _batch_first(deciding)
    if batch_first is None and (shape[0] != n_samples or (turned and shape[1] == n_samples)):
        return None
    return _named(len(shape), 1 if batch_first is False else 0, (len(shape) - 1,))


def _named(n_axes: int, batch: int, neurons: Sequence[int]) -> Axes | None:
    """Return axes by their numbers; None if there are no letters for them."""
    rest = [axis for axis in range(n_axes) if axis != batch and axis not in neurons]
    names = _POSITIONS if len(neurons) == 1 else _BESIDE_HEADS if len(neurons) == 2 else {}
    if batch in neurons or (rest and len(rest) not in names):
        return None
    letters = [""] * n_axes
    letters[batch] = "B"
    for axis, letter in zip(neurons, "C" if len(neurons) == 1 else "HD", strict=True):
        letters[axis] = letter
    for axis, letter in zip(rest, names.get(len(rest), ""), strict=True):
        letters[axis] = letter
    return Axes("".join(letters))


def _deciding(modules: Mapping[str, torch.nn.Module], layer: str) -> torch.nn.Module | None:
    """Return the module whose kind decides for a layer: itself or, in a ``Sequential``, the one before that counts."""
    import torch

    module = named_module(modules, layer)
    above, _, own = layer.rpartition(".")
    parent = named_module(modules, above)
    if type(module) is torch.nn.Sequential:
        before = list(module)
    elif not _is_elementwise(module):
        return module
    elif type(parent) is torch.nn.Sequential and own in parent._modules:
        before = list(parent)[: list(parent._modules).index(own)]
    else:
        return None
    return next((one for one in reversed(list(_parts(before))) if not _is_elementwise(one)), None)


def _parts(modules: Iterable[torch.nn.Module]) -> Iterator[torch.nn.Module]:
    """Yield modules in the order in which they run, those of each ``Sequential`` one by one."""
    import torch

    for module in modules:
        yield from _parts(module) if type(module) is torch.nn.Sequential else [module]


def _is_elementwise(module: torch.nn.Module) -> bool:
    """Return whether a module is one of those of PyTorch that keep the axes of their input."""
    return isinstance(module, _elementwise()) and type(module).forward.__module__.startswith("torch.")


@cache
def _elementwise() -> tuple[type, ...]:
    """Return the modules of PyTorch that keep the axes of their input."""
    from torch import nn

    other = {"MultiheadAttention", "GLU", "Softmax2d"}
    kinds = [name for name in [*nn.modules.activation.__all__, *nn.modules.dropout.__all__] if name not in other]
    return (nn.Identity, *(getattr(nn, name) for name in kinds))


@cache
def _kinds() -> tuple[tuple[type, ...], tuple[type, ...]]:
    """Return the modules of PyTorch that have their neurons in the axis after the samples, and in the last axis."""
    from torch.nn import modules

    first: list[type] = [modules.conv._ConvNd, modules.batchnorm._NormBase]
    first += [getattr(modules.pooling, name) for name in modules.pooling.__all__]
    for name in ("GroupNorm", "LocalResponseNorm", "CrossMapLRN2d", "Upsample", "PixelShuffle", "PixelUnshuffle"):
        first.append(getattr(modules, name))
    first += [modules.ChannelShuffle, modules.Fold, modules.Unfold, modules.Softmax2d]
    last: list[type] = [modules.rnn.RNNBase, modules.rnn.RNNCellBase]
    for name in ("Linear", "Bilinear", "Embedding", "EmbeddingBag", "LayerNorm", "RMSNorm", "MultiheadAttention"):
        last += [getattr(modules, name)] if hasattr(modules, name) else []  # RMSNorm is new
    last += [getattr(modules, name) for name in modules.transformer.__all__]
    return tuple(first), tuple(last)


def _side(module: torch.nn.Module, shape: Sequence[int]) -> Side | None:
    """Return where a module of this kind has its neurons: after the samples, or last; None if its kind does not say."""
    first, last = _kinds()
    kind = type(module)
    side: Side | None = "first" if isinstance(module, first) else "last" if isinstance(module, last) else None
    if kind.__name__ == "Conv1D" and kind.__module__.startswith("transformers."):  # a linear layer of GPT-2
        side = "last"
    number = _n_neurons(module)
    if side is None or number == 0:
        return None
    if number is None or kind.forward.__module__.startswith(("torch.", "transformers.pytorch_utils")):
        return side
    # The author's own forward pass, such as one that takes the channels of a LayerNorm first.
    places: dict[Side, int] = {"first": shape[1], "last": shape[-1]}
    fits = [where for where, size in places.items() if size == number]
    return fits[0] if len(fits) == 1 or (fits and side == "first") else None


def _n_neurons(module: torch.nn.Module) -> int | None:
    """Return how many neurons a module says it has; None if it does not say, and 0 if they fill several axes."""
    for name in ("out_channels", "num_features", "num_channels", "normalized_shape", "out_features", "embedding_dim"):
        value: Any = getattr(module, name, None)
        if isinstance(value, tuple):
            return int(value[0]) if len(value) == 1 else 0
        if isinstance(value, int):
            return value
    return None


def _batch_first(module: torch.nn.Module) -> bool | None:
    """Return whether a recurrent or attention module takes the samples first; None for a module of another kind."""
    if not isinstance(module, _kinds()[1]):
        return None
    said = (getattr(one, "batch_first", None) for one in module.modules())
    return next((value for value in said if isinstance(value, bool)), None)


def _by_trace(shape: tuple[int, ...], n_samples: int, number: int, traced: _Traced | None) -> Axes | None:
    """Return the axes that a trial on another number of samples shows; None if it does not."""
    if traced is None or len(traced.shape) != len(shape) or not traced.neurons:
        return None
    grown = [a for a, size in enumerate(shape) if size == n_samples and traced.shape[a] == number]
    same = [a for a, size in enumerate(shape) if size == n_samples] if traced.shape == shape else []
    batch = (grown or same or [0])[0]
    return _named(len(shape), batch, traced.neurons)


@dataclass(frozen=True)
class _Traced:
    """The output of a layer in a trial: its shape, and which of its axes hold neurons, if that shows."""

    shape: tuple[int, ...]
    neurons: tuple[int, ...]


def _traced(
    model: torch.nn.Module, wanted: Mapping[torch.nn.Module, Sequence[str]], run: Callable[[], object]
) -> dict[str, _Traced]:
    """Run a model on a few samples, and find which axes of the outputs of modules, by their names, hold neurons."""
    import torch

    trace = _Trace()
    devices = list({p.device for p in model.parameters() if p.device.type == "cuda"})
    with (
        suppress(Exception),  # this pass is evidence alone: what fails on the data itself is reported there
        torch.random.fork_rng(devices),
        torch.compiler.set_stance("force_eager") if hasattr(torch.compiler, "set_stance") else nullcontext(),
        eval_mode(model),
        _hooked(model, wanted, trace),
        torch.enable_grad(),
    ):
        run()
    return {layer: trace.found[module] for module, named in wanted.items() if module in trace.found for layer in named}


@contextmanager
def _hooked(model: torch.nn.Module, wanted: Mapping[torch.nn.Module, object], trace: _Trace) -> Iterator[None]:
    """Show every output of a model's modules to the trace, until the end of the block."""

    def show(module: torch.nn.Module, inputs: tuple[Any, ...], output: object) -> Any:
        return trace.see(module, inputs, output, module in wanted)

    handles: list[torch.utils.hooks.RemovableHandle] = []
    frozen = [p for module in model.modules() for p in _vectors(module) if not p.requires_grad]
    try:
        handles += (module.register_forward_hook(show) for module in model.modules())
        for parameter in frozen:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for handle in handles:
            handle.remove()


def _vectors(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Return the weights of a module without parts that are a number for each of its neurons."""
    if next(module.children(), None) is not None:
        return []
    return [p for p in module.parameters(recurse=False) if p.ndim == 1 and len(p) > 1 and p.is_floating_point()]


@dataclass
class _Trace:
    """Follows the neurons of layers of a known kind to the outputs that are computed from them.

    The output of each layer whose neurons are known is replaced by numbers that start a new graph of gradients. They
    are all positive and below 1, so that no activation function is flat there.
    """

    found: dict[torch.nn.Module, _Traced] = field(default_factory=dict)
    sources: list[tuple[torch.Tensor, tuple[int, ...]]] = field(default_factory=list)

    def see(self, module: torch.nn.Module, inputs: tuple[Any, ...], output: Any, wanted: bool) -> Any:
        """Note the axes of an output, and return what is to replace it: None for nothing."""
        whole = main_tensor(output)
        if whole is None or whole.ndim < 2 or not whole.is_floating_point():
            return None
        side = _side(module, whole.shape)
        own = [] if side is not None else _vectors(module)
        wanted = wanted and module not in self.found
        if side is not None:
            neurons: tuple[int, ...] = (1 if side == "first" else whole.ndim - 1,)
        else:
            kept = inputs and _is_elementwise(module) and main_tensor(inputs[0]) is not None
            neurons = self._neurons(inputs[0] if kept else whole, own) if wanted or own else ()
        if wanted:
            self.found[module] = _Traced(tuple(whole.shape), neurons)
        if not neurons:
            return None
        start = (0.5 + 0.4 * _noise(whole)).requires_grad_()
        self.sources.append((start, neurons))
        return with_main_tensor(output, start.clone())

    def _neurons(self, output: torch.Tensor, own: Sequence[torch.nn.Parameter]) -> tuple[int, ...]:
        """Return the axes whose entries depend on different neurons of the sources; none if that does not show."""
        import torch

        sources = [*self.sources, *((vector, (0,)) for vector in own)]
        if not output.requires_grad or not sources:
            return self._of_same_size(output)
        weights = 0.5 + _noise(output)
        apart: list[set[int]] = [set() for _ in sources]
        reached: set[int] = set()
        for axis, size in enumerate(output.shape):
            if size < 2:
                continue
            with torch.enable_grad():
                profiles = self._profiles(output * weights, axis, sources)
            for number, rows in profiles.items():
                reached.add(number)
                if len(rows) > 1 and _mean_cosine(rows) < _ALIKE:
                    apart[number].add(axis)
        most = max(apart, key=len)
        if most:
            return tuple(sorted(most)) if all(axes <= most for axes in apart) else ()
        flat = [axis for axis, size in enumerate(output.shape) if size == 1]
        alone = any(_n_entries(*sources[number]) == 1 for number in reached)
        return (flat[0],) if alone and len(flat) == 1 else ()

    def _profiles(
        self, output: torch.Tensor, axis: int, sources: Sequence[tuple[torch.Tensor, tuple[int, ...]]]
    ) -> dict[int, list[torch.Tensor]]:
        """Return by source how much some entries of an axis depend on each of its neurons."""
        import torch

        size = output.shape[axis]
        profiles: dict[int, list[torch.Tensor]] = {}
        for place in sorted({round(k * (size - 1) / (_N_SLICES - 1)) for k in range(_N_SLICES)}):
            value = output.select(axis, place).sum()
            gradients = torch.autograd.grad(value, [one for one, _ in sources], retain_graph=True, allow_unused=True)
            for number, (gradient, (_, neurons)) in enumerate(zip(gradients, sources, strict=True)):
                if gradient is not None and bool(gradient.any()):
                    others = [a for a in range(gradient.ndim) if a not in neurons]
                    profile = gradient.detach().abs().double()
                    profiles.setdefault(number, []).append((profile.sum(others) if others else profile).flatten())
        return profiles

    def _of_same_size(self, output: torch.Tensor) -> tuple[int, ...]:
        """Return the axis that alone has as many entries as the last layer of a known kind has neurons."""
        if not self.sources:
            return ()
        number = _n_entries(*self.sources[-1])
        axes = [axis for axis, size in enumerate(output.shape) if axis and size == number]
        return (axes[0],) if len(axes) == 1 else ()


def _n_entries(source: torch.Tensor, neurons: Sequence[int]) -> int:
    """Return the number of neurons of a source."""
    number = 1
    for axis in neurons:
        number *= source.shape[axis]
    return number


def _noise(like: torch.Tensor) -> torch.Tensor:
    """Return numbers from 0 to 1, always the same ones, in the shape of a tensor."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.rand(like.shape, generator=generator).to(like)


def _mean_cosine(rows: Sequence[torch.Tensor]) -> float:
    """Return the mean cosine of pairs of vectors."""
    import torch

    unit = torch.stack([row / row.norm() for row in rows])
    n = len(rows)
    return float(((unit @ unit.T).sum() - n) / (n * (n - 1)))
