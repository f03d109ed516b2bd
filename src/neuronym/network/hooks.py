"""Forward hooks: what the modules of a PyTorch model give."""

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
    """Put a model into eval mode, and from one device to another if asked; leave every module as it was."""
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
    """Catch the outputs of the modules named, by name, until the end of the block; the hooks are always removed.

    They are copies without gradients, unless ``copied`` is off.

    Raises
    ------
    UnknownNameError
        If the model has no such module; the message lists near names.
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
    """An output that the model's later in-place operations, such as a ReLU's, leave alone."""
    import torch

    if isinstance(output, torch.Tensor):
        return output.detach().clone()
    if isinstance(output, Mapping):
        return {key: _copied(value) for key, value in output.items()}
    return [_copied(value) for value in output] if isinstance(output, tuple | list) else output


def only_output(layer: str, caught: Mapping[str, list[object]]) -> torch.Tensor:
    """The one tensor that a module gave in a pass."""
    import torch

    found = caught.get(layer, [])
    if len(found) != 1:
        how = "not called" if not found else f"called {len(found)} times"
        raise ActivationsError(
            f"layer {layer!r} is {how} in a pass: collect a module that is called once, such as the one around it"
        )
    output = found[0]
    if isinstance(output, tuple | list) and output:
        output = output[0]
    elif isinstance(output, Mapping):
        tensors = [key for key, value in output.items() if isinstance(value, torch.Tensor)]
        key = "last_hidden_state" if "last_hidden_state" in tensors else tensors[0] if len(tensors) == 1 else None
        if key is None:
            raise ActivationsError(
                f"layer {layer!r} gives a dict of {some(tensors)}: collect a module that gives one tensor"
            )
        output = output[key]
    if not isinstance(output, torch.Tensor):
        raise ActivationsError(f"layer {layer!r} gives {type(output).__name__}: collect a module that gives a tensor")
    return output


class ModuleTrace(NamedTuple):
    """What a module did in a pass."""

    name: str
    kind: str
    shape: tuple[int, ...] | None  # of its output; None where that is no tensor
    calls: int


def trace_modules(model: torch.nn.Module, run: Callable[[], object]) -> list[ModuleTrace]:
    """Every named module of a model, with the shape of its output after one pass."""
    import torch

    names = [name for name, _ in model.named_modules() if name]
    with eval_mode(model), capture_outputs(model, names) as caught, torch.no_grad():
        run()
    found = []
    for name in names:
        outputs = caught.get(name, [])
        try:
            shape = tuple(only_output(name, {name: outputs[:1]}).shape)
        except ActivationsError:
            shape = None
        found.append(ModuleTrace(name, type(model.get_submodule(name)).__name__, shape, len(outputs)))
    return found
