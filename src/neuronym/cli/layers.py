"""The command ``neuronym layers``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from neuronym.cli.options import JSON, MODEL, WEIGHTS, listed, mirrors, parsed
from neuronym.cli.printing import new_app, say
from neuronym.errors import OptionError
from neuronym.network.hooks import ModuleTrace
from neuronym.network.listing import layers

__all__ = ["app"]

app = new_app()

_EXAMPLES = """\b
Examples:
  neuronym layers --model efficientnet-lite0
  neuronym layers --model mymodels:make --shape 16
"""


def _shape(text: str) -> list[int]:
    if not all(side.isdecimal() for side in listed(text)):
        raise OptionError(f"must be whole numbers such as 3,224,224, not {text!r}")
    return [int(side) for side in listed(text)]


_OPTIONS = {
    "weights": WEIGHTS,
    "shape": Annotated[
        Any,
        typer.Option(
            help="Shape of one sample, such as 3,224,224, if it is neither an image nor a text.",
            **parsed(_shape, "NUMBERS"),
        ),
    ],
}


@app.command("layers", epilog=_EXAMPLES)
@mirrors(layers, _OPTIONS)
def layers_command(model: MODEL, as_json: JSON = False, **options: Any) -> None:
    """List the layers of a model, with the shapes and axes of their outputs for one sample.

    The axes are what neuronym collect takes them for: B samples, C neurons (H and D heads and their neurons), other
    letters positions; with a question mark, nothing shows it, and --axes of collect says what they are.
    """
    found = layers(model, **options)
    if as_json:
        print(json.dumps([one._asdict() for one in found]))
        return
    width = max((len(one.name) for one in found), default=0)
    kinds = max((len(one.kind) for one in found), default=0)
    shapes = max((len(_output(one)) for one in found), default=0)
    for one in found:
        line = f"{one.name:{width}}  {one.kind:{kinds}}  {_output(one):{shapes}}  {one.axes or ''}"
        say(line.rstrip() + f", {one.calls} calls" * (one.calls > 1))


def _output(one: ModuleTrace) -> str:
    if not one.calls:
        return "not called"
    return "no tensor" if one.shape is None else " × ".join(map(str, one.shape))
