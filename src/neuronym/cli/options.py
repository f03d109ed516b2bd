"""Options that commands share, and how a command gets those of the library function that it calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from neuronym.data.activations import as_name
from neuronym.errors import InputError, OptionError

__all__ = [
    "ACTIVATIONS",
    "ALIGN",
    "CLUSTERS",
    "CONCEPTS",
    "HIERARCHY",
    "JSON",
    "LABELS",
    "MODEL",
    "NEURONS",
    "N_JOBS",
    "OPTIONS_OF_PRINTING",
    "OUT",
    "OVERWRITE",
    "QUIET",
    "SEARCH",
    "WEIGHTS",
    "WORDNET",
    "hierarchy_of",
    "listed",
    "mirrors",
    "parsed",
]

Command = TypeVar("Command", bound=Callable[..., object])


def mirrors(
    function: Callable[..., object], options: Mapping[str, Any], own: Mapping[str, Any] | None = None
) -> Callable[[Command], Command]:
    """Give a command, as its ``**options``, keywords of a library function with the function's own defaults.

    Parameters
    ----------
    function : callable
        It has every one of these options.
    options : mapping from keyword to type
        In the order of the help; ``typer.Option`` in the type says how each reads on the command line.
    own : mapping from keyword to type, optional
        Options of the command alone, None by default, from which it makes what the function takes.
    """
    defaults = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    missing = [name for name in options if name not in defaults]
    if missing:
        raise TypeError(f"{function.__name__} has no parameter {missing[0]}")

    def option(name: str, default: object, annotation: object) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    def decorate(command: Command) -> Command:
        given = inspect.signature(command, eval_str=True).parameters.values()
        plain = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in given if one.kind is not one.VAR_KEYWORD]
        first = [one for one in plain if one.default is one.empty or _is_argument(one)]
        mirrored = [option(name, defaults[name], annotation) for name, annotation in options.items()]
        mirrored += [option(name, None, annotation) for name, annotation in (own or {}).items()]
        parameters = [*first, *mirrored, *(one for one in plain if one not in first)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def _is_argument(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.annotation.__metadata__[0], typer.models.ArgumentInfo)


def parsed(parse: Callable[[str], Any], metavar: str) -> dict[str, Any]:
    """Keywords of an option whose text is turned into what Python takes."""

    def parser(text: Any) -> Any:
        if not isinstance(text, str):  # a default
            return text
        try:
            return parse(text)
        except InputError as error:
            raise typer.BadParameter(str(error)) from None

    return {"parser": parser, "metavar": metavar}


def listed(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def neurons(text: str) -> list[int | str]:
    """Names and ranges of whole numbers, separated by commas: ``0,5,10-20``."""
    import csv

    chosen: list[int | str] = []
    for part in next(csv.reader([text], skipinitialspace=True), []):
        first, dash, last = part.partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            if int(first) > int(last):
                raise OptionError(f"{part} runs backwards: write {last}-{first}")
            chosen += range(int(first), int(last) + 1)
        elif part:
            chosen.append(part)
    if not chosen:
        raise OptionError("it names no neuron: write such as 0,5,10-20")
    return chosen


def clusters(text: str) -> str | bool:
    """What samples belong to, where none is no clusters at all."""
    return False if text == "none" else text


def hierarchy_of(options: dict[str, Any]) -> None:
    """Turn ``--wordnet`` and ``--wordnet-files`` among options into the hierarchy that they stand for."""
    flags = {"wordnet": options.pop("wordnet", None), "wordnet_files": options.pop("wordnet_files", None)}
    given = [name for name, value in {**flags, "hierarchy": options["hierarchy"]}.items() if value]
    if len(given) > 1:
        raise OptionError(f"give one of {' and '.join('--' + name.replace('_', '-') for name in given)}")
    if given and given != ["hierarchy"]:
        options["hierarchy"] = "wordnet" if flags["wordnet"] else flags["wordnet_files"]


ACTIVATIONS = Annotated[
    Path,
    typer.Argument(metavar="ACTIVATIONS", help="Samples × neurons: store.zarr, store.zarr/LAYER, .npy, .npz, .csv …"),
]
CONCEPTS = Annotated[
    Path, typer.Argument(metavar="CONCEPTS", help="Samples × concepts: .csv or .parquet, long or multi-hot.")
]
LABELS = Annotated[Path, typer.Argument(metavar="LABELS", help="Labels: .csv, .parquet or .json.")]

MODEL = Annotated[
    str, typer.Option(help="efficientnet-lite0, torchvision:NAME, timm:NAME, hf:NAME or package.module:function.")
]
WEIGHTS = Annotated[Path | None, typer.Option(help="A state dict to load: .safetensors, or a file of torch.save.")]
NEURONS = Annotated[
    Any, typer.Option(help="Neurons to label, such as 0,5,10-20; all by default.", **parsed(neurons, "NEURONS"))
]
CLUSTERS = Annotated[
    Any,
    typer.Option(
        help="What each sample belongs to: a table (sample, label), FILE:COLUMN, or none.",
        **parsed(clusters, "TEXT"),
    ),
]
ALIGN = Annotated[bool, typer.Option("--align", help="Keep the samples that both sides have.")]
N_JOBS = Annotated[int | None, typer.Option(help="Blocks worked on at once; -1 is one per processor.")]
HIERARCHY = Annotated[Path | None, typer.Option(help="A hierarchy of the concepts: a table child,parent.")]
WORDNET = Annotated[bool | None, typer.Option("--wordnet", help="Take WordNet's hierarchy above ImageNet's classes.")]

#: How formulas are searched for.
SEARCH: dict[str, Any] = {
    "length": Annotated[int, typer.Option(help="The most concepts in a formula.")],
    "beam": Annotated[int, typer.Option(help="Formulas extended in each round.")],
    "min_fraction": Annotated[float, typer.Option(help="A formula is true for at least this share of samples.")],
    "max_fraction": Annotated[float, typer.Option(help="A formula is true for at most this share of samples.")],
    "min_count": Annotated[int, typer.Option(help="A formula is true for at least this many samples.")],
    "prefixes": Annotated[
        Literal["free", "constrained"],
        typer.Option(help="Ask the fractions of every prefix too (constrained), as the published search does."),
    ],
}

#: Options that say how the result is printed.
OPTIONS_OF_PRINTING = frozenset({"as_json", "quiet", "summary", "help"})

OUT = Annotated[Path | None, typer.Option(help="Save the labels as .csv, .parquet or .json.")]
OVERWRITE = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no table.")]


def neurons_by_layer(text: str) -> dict[str, list[int | str]]:
    """Neurons of a layer, from ``LAYER=1,2``."""
    layer, equals, names = text.partition("=")
    if not equals or not listed(names):
        raise OptionError(f"it must be LAYER=1,2, not {text!r}")
    return {layer: [as_name(name) for name in listed(names)]}
