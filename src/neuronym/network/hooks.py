"""Forward hooks that capture the outputs of modules of a PyTorch model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from neuronym._util.messages import no_such, some
from neuronym.errors import ActivationsError
from neuronym.network.outputs import refuse_nested
from neuronym.network.state import model_state, uncompiled

if TYPE_CHECKING:
    import torch

__all__ = [
    "ModuleTrace",
    "capture_outputs",
    "eval_mode",
    "find_module",
    "main_tensor",
    "modules_by_name",
    "named_module",
    "only_output",
    "original",
    "trace_modules",
    "with_main_tensor",
]

_EAGER = ", whose layers call no hooks: give the eager model that it was made from"
_COMPILED = "_orig_mod"  # the name that torch.compile gives to the module inside


def original(model: torch.nn.Module) -> torch.nn.Module:
    """Return the module inside of one made by ``torch.compile``, and any other module as it is."""
    inner = getattr(model, _COMPILED, None)
    return model if inner is None else original(inner)


def modules_by_name(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Return the modules of a model by name.

    Compiled modules go by the names of what was compiled, and a module under several names is under each of them.

    Parameters
    ----------
    model : torch.nn.Module
        The model.

    Returns
    -------
    dict of str to torch.nn.Module
        The modules in the order of ``model.named_modules()``, the model itself as ``""``.
    """
    return {_uncompiled(name): module for name, module in model.named_modules(remove_duplicate=False)}


def find_module(model: torch.nn.Module, layer: str) -> torch.nn.Module:
    """Return the module of a name, with or without the prefix ``_orig_mod.`` of compiled modules.

    Raises
    ------
    UnknownNameError
        If the model has no such module; the message lists similar names.
    """
    return named_module(modules_by_name(model), layer)


def named_module(modules: Mapping[str, torch.nn.Module], layer: str) -> torch.nn.Module:
    """Return the module of a name, as ``find_module``, from those of ``modules_by_name``; for many layers in turn.

    Raises
    ------
    UnknownNameError
        If there is no such module; the message lists similar names.
    """
    if _uncompiled(layer) not in modules:
        raise no_such("layer", layer, [name for name in modules if name])
    return modules[_uncompiled(layer)]


def _uncompiled(name: str) -> str:
    """Return a name without what ``torch.compile`` adds."""
    return ".".join(part for part in name.split(".") if part != _COMPILED)


@contextmanager
def eval_mode(model: torch.nn.Module, move: tuple[torch.device, torch.device] | None = None) -> Iterator[None]:
    """Put a model into eval mode for the duration of a block, uncompiled, and leave it as it was afterwards.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    move : pair of torch.device, optional
        The device that the model is on, and the device to move it to for the duration of the block.
    """
    import torch

    with model_state(model), uncompiled():
        try:
            if move is not None:
                model.to(move[1])
            for module in model.modules():
                if getattr(module, "training", False):
                    module.training = False  # an own eval() may change more, which could not be restored
            yield
        finally:
            for module in model.modules():
                if move is not None and isinstance(module, torch.jit.ScriptModule):
                    module.to(move[0])  # those of other modules are restored with the model's state


@contextmanager
def capture_outputs(
    model: torch.nn.Module, layers: Sequence[str], copied: bool = True
) -> Iterator[dict[str, list[object]]]:
    """Capture the outputs of modules for the duration of a block; the hooks are always removed.

    What is captured is what the module returned: operations in place that follow in the model do not change it.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    layers : sequence of str
        The names of the modules, as in ``model.named_modules()``.
    copied : bool, default True
        Whether to keep detached copies of the outputs. Otherwise the outputs themselves are kept, with their
        gradients, and the model goes on with copies.

    Yields
    ------
    dict of str to list
        The outputs of each module in the order of its calls; a module that is not called is absent.

    Raises
    ------
    UnknownNameError
        If the model has no such module; the message lists similar names.
    ActivationsError
        If a module calls no hooks, as those of TorchScript.
    """
    modules = modules_by_name(model)
    caught: dict[str, list[object]] = {}
    handles = []

    def catch(layer: str) -> Callable[[object, object, object], object]:
        def keep(_module: object, _inputs: object, output: object) -> object:
            caught.setdefault(layer, []).append(_copied(output) if copied else output)
            tensor = main_tensor(output)
            return None if copied or tensor is None else with_main_tensor(output, tensor.clone())

        return keep

    try:
        for layer in layers:
            handles.append(_hookable(model, modules, layer).register_forward_hook(catch(layer)))
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def _hookable(model: torch.nn.Module, modules: Mapping[str, torch.nn.Module], layer: str) -> torch.nn.Module:
    """Return the module of a name, refusing those that are not run by Python, whose hooks would not be called."""
    import torch

    inner = original(model)
    scripted = isinstance(inner, torch.jit.ScriptModule)
    if layer and isinstance(inner, torch.fx.GraphModule):
        calls = [node for node in inner.graph.nodes if node.op == "call_module"]
        if all(str(node.target).startswith("_guards") for node in calls):  # those of torch.export
            raise ActivationsError(f"layer {layer!r} is part of a graph of torch.export{_EAGER}")
    module = inner if scripted else named_module(modules, layer)
    if isinstance(module, torch.jit.ScriptModule) and (layer or type(module).__name__ != "TopLevelTracedModule"):
        raise ActivationsError(f"layer {layer!r} is TorchScript{_EAGER}")
    return module


def _copied(output: Any) -> Any:
    """Copy an output, so that in-place operations of the model, such as those of a ReLU, do not change it."""
    import torch

    if isinstance(output, torch.Tensor):
        return output.detach().clone()
    if isinstance(output, Mapping):
        return {key: _copied(value) for key, value in output.items()}
    return [_copied(value) for value in output] if isinstance(output, tuple | list) else output


def _main_key(output: Any) -> Any:
    """Return the key of the tensor that counts in a tuple, list or mapping; None if there is none."""
    import torch

    if isinstance(output, tuple | list):
        return 0 if output else None
    if not isinstance(output, Mapping):
        return None
    tensors = [key for key, value in output.items() if isinstance(value, torch.Tensor)]
    return "last_hidden_state" if "last_hidden_state" in tensors else tensors[0] if len(tensors) == 1 else None


def main_tensor(output: Any) -> torch.Tensor | None:
    """Return the tensor that counts in the output of a module.

    Parameters
    ----------
    output : object
        The output.

    Returns
    -------
    torch.Tensor or None
        The output itself, the first of a tuple or list, or ``last_hidden_state`` or the only tensor of a mapping; None
        if that is no tensor.
    """
    import torch

    key = _main_key(output)
    found = output if key is None else output[key]
    return found if isinstance(found, torch.Tensor) else None


def with_main_tensor(output: Any, tensor: torch.Tensor) -> Any:
    """Return the output of a module with another tensor in the place of the one that counts.

    Parameters
    ----------
    output : object
        The output.
    tensor : torch.Tensor
        The new tensor.

    Returns
    -------
    object
        The tensor itself, or a copy of the tuple, list or mapping that contains it.
    """
    key = _main_key(output)
    if key is None:
        return tensor
    if isinstance(output, tuple):
        changed = (tensor, *output[1:])
        return type(output)(*changed) if hasattr(output, "_fields") else changed
    copied = copy.copy(output)
    copied[key] = tensor
    return copied


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
    outputs = caught.get(layer, [])
    if len(outputs) != 1:
        how = "not called" if not outputs else f"called {len(outputs)} times"
        raise ActivationsError(
            f"layer {layer!r} is {how} in a forward pass: collect a module that is called once, such as its parent"
        )
    tensor = main_tensor(outputs[0])
    if tensor is not None:
        refuse_nested(tensor, layer)
        return tensor
    output: Any = outputs[0]
    if isinstance(output, Mapping):
        what = f"a dict of {some(output)}: collect a module that outputs one tensor"
    else:
        key = _main_key(output)
        kind = type(output if key is None else output[key]).__name__
        what = f"{kind}: collect a module that outputs a tensor"
    raise ActivationsError(f"layer {layer!r} outputs {what}")


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
    axes : str or None
        What the axes of its output mean, as for ``neuronym.collect``, with a question mark if nothing shows it; None
        if it is not known.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    calls: int
    axes: str | None = None


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

    if isinstance(original(model), torch.jit.ScriptModule):
        raise ActivationsError(f"the model is TorchScript{_EAGER}")
    modules: dict[torch.nn.Module, str] = {}
    for name, module in modules_by_name(model).items():
        modules.setdefault(module, name)
    kinds = {name: module for module, name in modules.items() if name}
    hooked = [name for name, module in kinds.items() if not isinstance(module, torch.jit.ScriptModule)]
    with eval_mode(model), capture_outputs(model, hooked) as caught, torch.no_grad():
        run()
    traces = []
    for name, module in kinds.items():
        outputs = caught.get(name, [])
        try:
            shape = tuple(only_output(name, {name: outputs[:1]}).shape)
        except ActivationsError:
            shape = None
        traces.append(ModuleTrace(name, type(module).__name__, shape, len(outputs)))
    return traces
