"""Forward hooks that capture the outputs of modules of a PyTorch model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from neuronym._util.messages import no_such, some
from neuronym.errors import ActivationsError

if TYPE_CHECKING:
    import torch

__all__ = ["ModuleTrace", "capture_outputs", "eval_mode", "only_output", "trace_modules"]


@contextmanager
def eval_mode(model: torch.nn.Module, move: tuple[torch.device, torch.device] | None = None) -> Iterator[None]:
    """Put a model into eval mode for the duration of a block, and restore every module afterwards.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    move : pair of torch.device, optional
        The device that the model is on, and the device to move it to for the duration of the block.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        if move is not None:
            model.to(move[1])
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        if move is not None:
            model.to(move[0])


@contextmanager
def capture_outputs(
    model: torch.nn.Module, layers: Sequence[str], copied: bool = True
) -> Iterator[dict[str, list[object]]]:
    """Capture the outputs of modules for the duration of a block; the hooks are always removed.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    layers : sequence of str
        The names of the modules, as in ``model.named_modules()``.
    copied : bool, default True
        Whether to keep detached copies of the outputs, which in-place operations of the model cannot change.

    Yields
    ------
    dict of str to list
        The outputs of each module in the order of its calls; a module that is not called is absent.

    Raises
    ------
    UnknownNameError
        If the model has no such module; the message lists similar names.
    """
    modules = dict(model.named_modules())
    caught: dict[str, list[object]] = {}
    handles = []

    def catch(layer: str) -> Callable[[object, object, object], None]:
        return lambda _module, _inputs, output: caught.setdefault(layer, []).append(
            _copied(output) if copied else output
        )

    try:
        for layer in layers:
            if layer not in modules:
                raise no_such("layer", layer, [name for name in modules if name])
            handles.append(modules[layer].register_forward_hook(catch(layer)))
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def _copied(output: Any) -> Any:
    """Copy an output, so that in-place operations of the model, such as those of a ReLU, do not change it."""
    import torch

    if isinstance(output, torch.Tensor):
        return output.detach().clone()
    if isinstance(output, Mapping):
        return {key: _copied(value) for key, value in output.items()}
    return [_copied(value) for value in output] if isinstance(output, tuple | list) else output


def only_output(layer: str, caught: Mapping[str, list[object]]) -> torch.Tensor:
    """Return the output of a module as one tensor.

    Parameters
    ----------
    layer : str
        The name of the module.
    caught : mapping of str to list
        The outputs of one forward pass, from ``capture_outputs``.

    Returns
    -------
    torch.Tensor
        The output itself, the first of a tuple or list, or ``last_hidden_state`` or the only tensor of a mapping.

    Raises
    ------
    ActivationsError
        If the module was not called exactly once, or its output is not a single tensor.
    """
    import torch

    outputs = caught.get(layer, [])
    if len(outputs) != 1:
        how = "not called" if not outputs else f"called {len(outputs)} times"
        raise ActivationsError(
            f"layer {layer!r} is {how} in a forward pass: collect a module that is called once, such as its parent"
        )
    output = outputs[0]
    if isinstance(output, tuple | list) and output:
        output = output[0]
    elif isinstance(output, Mapping):
        tensors = [key for key, value in output.items() if isinstance(value, torch.Tensor)]
        key = "last_hidden_state" if "last_hidden_state" in tensors else tensors[0] if len(tensors) == 1 else None
        if key is None:
            raise ActivationsError(
                f"layer {layer!r} outputs a dict of {some(tensors)}: collect a module that outputs one tensor"
            )
        output = output[key]
    if not isinstance(output, torch.Tensor):
        raise ActivationsError(
            f"layer {layer!r} outputs {type(output).__name__}: collect a module that outputs a tensor"
        )
    return output


class ModuleTrace(NamedTuple):
    """A module in one forward pass of its model.

    Parameters
    ----------
    name : str
        The name of the module, as in ``model.named_modules()``.
    kind : str
        The name of its class.
    shape : tuple of int or None
        The shape of its output; None if that is not a tensor.
    calls : int
        The number of times that it was called.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    calls: int


def trace_modules(model: torch.nn.Module, run: Callable[[], object]) -> list[ModuleTrace]:
    """Run a forward pass and return the calls and output shapes of all named modules.

    Parameters
    ----------
    model : torch.nn.Module
        The model; it is run in eval mode without gradients.
    run : callable
        Runs the forward pass.

    Returns
    -------
    list of ModuleTrace
        The modules in the order of ``model.named_modules()``.
    """
    import torch

    names = [name for name, _ in model.named_modules() if name]
    with eval_mode(model), capture_outputs(model, names) as caught, torch.no_grad():
        run()
    traces = []
    for name in names:
        outputs = caught.get(name, [])
        try:
            shape = tuple(only_output(name, {name: outputs[:1]}).shape)
        except ActivationsError:
            shape = None
        traces.append(ModuleTrace(name, type(model.get_submodule(name)).__name__, shape, len(outputs)))
    return traces
