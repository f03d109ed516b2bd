"""Options shared by commands, and a decorator that gives a command the options of its library function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from neuronym._util.engines import on_scheduler
from neuronym.data.activations import as_name
from neuronym.errors import InputError, OptionError
from neuronym.types import Name

if TYPE_CHECKING:
    from neuronym.data.masks import Masks

__all__ = [
    "ACTIVATIONS",
    "ALIGN",
    "AXES",
    "BY_POSITION",
    "CLUSTERS",
    "CONCEPTS",
    "HIERARCHY",
    "JSON",
    "LABELS",
    "MAPS",
    "MASKS",
    "MASK_OPTIONS",
    "MODEL",
    "NEURONS",
    "N_JOBS",
    "OPTIONS_OF_PRINTING",
    "OUT",
    "OVERWRITE",
    "OVERWRITE_FOLDER",
    "QUANTILE",
    "QUIET",
    "SCHEDULER",
    "SEARCH",
    "SPREADSHEET",
    "THRESHOLD",
    "WEIGHTS",
    "WORDNET",
    "axes_of",
    "hierarchy_of",
    "listed",
    "masks_of",
    "mirrors",
    "parsed",
    "workers_of",
]

Command = TypeVar("Command", bound=Callable[..., object])


def mirrors(
    function: Callable[..., object], options: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> Callable[[Command], Command]:
    """Give a command, as its ``**options``, keywords of a library function with the function's own defaults.

    Parameters
    ----------
    function : callable
        The function, which has all these options.
    options : mapping of str to type
        The keywords and their types, in the order of the help; ``typer.Option`` in the type describes the option.
    extra : mapping of str to type, optional
        Options of the command alone, None by default, which it converts to arguments of the function.

    Returns
    -------
    callable
        A decorator of the command.

    Raises
    ------
    TypeError
        If the function lacks one of the options.
    """
    defaults = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    missing = [name for name in options if name not in defaults]
    if missing:
        raise TypeError(f"{function.__name__} has no parameter {missing[0]}")

    def option(name: str, default: object, annotation: object) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    def decorate(command: Command) -> Command:
        declared = inspect.signature(command, eval_str=True).parameters.values()
        plain = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in declared if one.kind is not one.VAR_KEYWORD
        ]
        first = [one for one in plain if one.default is one.empty or _is_argument(one)]
        mirrored = [option(name, defaults[name], annotation) for name, annotation in options.items()]
        mirrored += [option(name, None, annotation) for name, annotation in (extra or {}).items()]
        parameters = [*first, *mirrored, *(one for one in plain if one not in first)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def _is_argument(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.annotation.__metadata__[0], typer.models.ArgumentInfo)


def parsed(parse: Callable[[str], Any], metavar: str) -> dict[str, Any]:
    """Make the keywords of ``typer.Option`` for an option whose text is parsed by this function."""

    def parser(text: Any) -> Any:
        if not isinstance(text, str):  # a default value
            return text
        try:
            return parse(text)
        except InputError as error:
            raise typer.BadParameter(str(error)) from None

    return {"parser": parser, "metavar": metavar}


def listed(text: str) -> list[str]:
    """Split names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def neurons(text: str) -> list[Name]:
    """Parse neuron names and ranges of numbers, separated by commas: ``0,5,10-20``."""
    import csv

    names: list[Name] = []
    for part in next(csv.reader([text], skipinitialspace=True), []):
        first, dash, last = part.partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            if int(first) > int(last):
                raise OptionError(f"the range {part} runs backwards: write {last}-{first}")
            names += range(int(first), int(last) + 1)
        elif part:
            names.append(part)
    if not names:
        raise OptionError("no neuron is named: write, for example, 0,5,10-20")
    return names


def clusters(text: str) -> str | bool:
    """Parse the source of clusters; ``none`` means no clusters."""
    return False if text == "none" else text


def hierarchy_of(options: dict[str, Any]) -> None:
    """Replace ``--wordnet`` and ``--wordnet-files`` by the hierarchy they stand for."""
    flags = {"wordnet": options.pop("wordnet", None), "wordnet_files": options.pop("wordnet_files", None)}
    given = [name for name, value in {**flags, "hierarchy": options["hierarchy"]}.items() if value]
    if len(given) > 1:
        raise OptionError(f"give only one of {' and '.join('--' + name.replace('_', '-') for name in given)}")
    if given and given != ["hierarchy"]:
        options["hierarchy"] = "wordnet" if flags["wordnet"] else flags["wordnet_files"]


def workers_of(options: dict[str, Any]) -> AbstractContextManager[None]:
    """Run tasks on the workers of ``--scheduler``, if it is given."""
    address = options.pop("scheduler", None)
    if address is None:
        return nullcontext()
    if options["n_jobs"] is not None:
        raise OptionError("give only one of --scheduler and --n-jobs: all workers of a scheduler are used")
    return on_scheduler(address)


def align_of(options: dict[str, Any]) -> None:
    """Replace ``--by-position`` by the value of ``align`` that it stands for."""
    if options.pop("by_position", None):
        if options["align"]:
            raise OptionError("give only one of --align and --by-position")
        options["align"] = "position"


ACTIVATIONS = Annotated[
    Path,
    typer.Argument(
        metavar="ACTIVATIONS",
        help="Samples × neurons: store.zarr, store.zarr/LAYER, .npy, .npz, .csv, .safetensors, .h5ad …",
    ),
]
CONCEPTS = Annotated[
    Path, typer.Argument(metavar="CONCEPTS", help="Samples × concepts: .csv or .parquet, long or multi-hot.")
]
LABELS = Annotated[Path, typer.Argument(metavar="LABELS", help="Labels: .csv, .parquet or .json.")]

MODEL = Annotated[
    str,
    typer.Option(help="efficientnet-lite0, torchvision:NAME, timm:NAME, hf:NAME, package.module:NAME or FILE.py:NAME."),
]
WEIGHTS = Annotated[
    Path | None, typer.Option(help="State dict to load: .safetensors, or a file written by torch.save.")
]
NEURONS = Annotated[
    Any, typer.Option(help="Neurons to label, such as 0,5,10-20; all by default.", **parsed(neurons, "NEURONS"))
]
CLUSTERS = Annotated[
    Any,
    typer.Option(
        help="Group each sample belongs to: a table (sample, label), FILE:COLUMN, or none.",
        **parsed(clusters, "TEXT"),
    ),
]
ALIGN = Annotated[bool, typer.Option("--align", help="Keep only samples found in both activations and concepts.")]
#: What stands for ``align="position"``.
BY_POSITION: dict[str, Any] = {
    "by_position": Annotated[
        bool | None, typer.Option("--by-position", help="Match samples by position, whatever their ids.")
    ]
}
N_JOBS = Annotated[int | None, typer.Option(help="Number of parallel workers; -1 for one per processor.")]
#: Where tasks run.
SCHEDULER: dict[str, Any] = {
    "scheduler": Annotated[
        str | None,
        typer.Option(
            help="Run on the workers of a Dask scheduler: tcp://HOST:8786, or its file .json.", metavar="ADDRESS"
        ),
    ]
}
HIERARCHY = Annotated[Path | None, typer.Option(help="Hierarchy of the concepts: a table child,parent.")]
WORDNET = Annotated[bool | None, typer.Option("--wordnet", help="Use WordNet's hierarchy above the ImageNet classes.")]


MAPS = Annotated[
    Path,
    typer.Argument(metavar="MAPS", help="Maps that neuronym collect --maps stored: store.zarr, or store.zarr/LAYER."),
]
MASKS = Annotated[
    Path,
    typer.Argument(
        metavar="MASKS",
        help="COCO instances (.json), a table of boxes, a folder of label maps (.png), or Broden's folder.",
    ),
]


def _size(text: str) -> tuple[int, int]:
    """Parse the size of photos from ``HEIGHTxWIDTH``."""
    height, _, width = text.lower().partition("x")
    if not height.isdecimal() or not width.isdecimal():
        raise OptionError(f"must be height and width such as 64x64, not {text!r}")
    return int(height), int(width)


def _classes(text: str) -> list[int | str]:
    """Parse values and names of classes, separated by commas."""
    return [int(one) if one.lstrip("-").isdecimal() else one for one in listed(text)]


#: How masks are read: options of the functions of ``neuronym.sources``.
MASK_OPTIONS: dict[str, Any] = {
    "size": Annotated[
        Any, typer.Option(help="Of boxes: height and width of all photos.", **parsed(_size, "HEIGHTxWIDTH"))
    ],
    "images": Annotated[
        Path | None, typer.Option(help="Of boxes and label maps: the folder of the photos, for sizes and ids.")
    ],
    "classes": Annotated[Path | None, typer.Option(help="Of label maps: the names of values, a table value,name.")],
    "void": Annotated[
        Any,
        typer.Option(help="Of label maps: classes or values whose pixels do not count.", **parsed(_classes, "CLASSES")),
    ],
    "background": Annotated[
        Any,
        typer.Option(help="Of label maps: classes or values that are no concept.", **parsed(_classes, "CLASSES")),
    ],
    "coding": Annotated[
        Literal["index", "ade20k", "cityscapes"] | None, typer.Option(help="Of label maps: how files have the classes.")
    ],
    "ending": Annotated[str | None, typer.Option(help="Of label maps: the end of their names, such as _seg.png.")],
    "crowd": Annotated[
        Literal["show", "void", "no"] | None,
        typer.Option(help="Of COCO: whether crowds show their category, do not count, or are ignored."),
    ],
    "boxes": Annotated[bool | None, typer.Option("--boxes", help="Of COCO: use boxes where there are no outlines.")],
    "hierarchy": HIERARCHY,
    "wordnet": WORDNET,
    "category": Annotated[
        str | None, typer.Option(help="Only concepts of this category, and photos that it was labelled in.")
    ],
}


def masks_of(path: Path, options: dict[str, Any]) -> Masks:
    """Read masks by the options for them, which are taken out of the others."""
    from neuronym.io.sources.masks import open_masks

    own = {name: options.pop(name) for name in MASK_OPTIONS}
    hierarchy_of(own)
    own.pop("wordnet", None)
    category = own.pop("category")
    masks = open_masks(path, **own)
    return masks if category is None else masks.of_category(category)


#: Options of the search.
def _threshold(text: str) -> float | Literal["best"]:
    if text == "best":
        return "best"
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"must be a number or best, not {text!r}") from None


QUANTILE = Annotated[
    float | None,
    typer.Option(help="For iou, f1, precision and recall: the quantile of activations above which a sample counts."),
]
THRESHOLD = Annotated[
    Any,
    typer.Option(
        help="Instead of --quantile: the activation itself, or best, of five shares of the largest activation.",
        **parsed(_threshold, "NUMBER|best"),
    ),
]
SEARCH: dict[str, Any] = {
    "length": Annotated[int, typer.Option(help="Largest number of concepts in a formula.")],
    "beam": Annotated[int, typer.Option(help="Number of formulas extended in each round.")],
    "search": Annotated[
        Literal["auto", "optimal", "beam"],
        typer.Option(
            help="Prove that no formula is better within the budget (auto), whatever it takes, or not at all."
        ),
    ],
    "budget": Annotated[int, typer.Option(help="Largest number of operations for a proof, per neuron and direction.")],
    "min_fraction": Annotated[float, typer.Option(help="Smallest share of samples for which a formula may be true.")],
    "max_fraction": Annotated[float, typer.Option(help="Largest share of samples for which a formula may be true.")],
    "min_count": Annotated[int, typer.Option(help="Smallest number of samples for which a formula may be true.")],
    "min_change": Annotated[
        int | None,
        typer.Option(
            help="Smallest number of samples that dropping any concept of a formula changes.", show_default="min-count"
        ),
    ],
    "prefixes": Annotated[
        Literal["free", "constrained"],
        typer.Option(
            help="Whether fractions also apply to every prefix of a formula (constrained), as in the published search."
        ),
    ],
}

#: Options that control how the result is printed.
OPTIONS_OF_PRINTING = frozenset({"as_json", "quiet", "summary", "help"})

OUT = Annotated[Path | None, typer.Option(help="Save the labels as .csv, .parquet or .json.")]
OVERWRITE = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
SPREADSHEET = Annotated[
    bool,
    typer.Option(
        "--spreadsheet", help="Make the .csv safe to open in a spreadsheet: ' before what would run as a formula."
    ),
]
OVERWRITE_FOLDER = Annotated[
    bool, typer.Option("--overwrite", help="Replace a folder that this command wrote, if it holds nothing else.")
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no table.")]


def neurons_by_layer(text: str) -> dict[str, list[Name]]:
    """Parse the neurons of a layer from ``LAYER=1,2``."""
    layer, equals, names = text.partition("=")
    if not equals or not listed(names):
        raise OptionError(f"must be LAYER=1,2, not {text!r}")
    return {layer: [as_name(name) for name in listed(names)]}


def axes_by_layer(text: str) -> dict[str | None, str]:
    """Parse the axes of a layer from ``LAYER=BHWC``, or those of all layers from ``BHWC``."""
    layer, equals, axes = text.rpartition("=")
    if not axes or (equals and not layer):
        raise OptionError(f"must be LAYER=BHWC, or BHWC for all layers, not {text!r}")
    return {layer if equals else None: axes}


def axes_of(found: Iterable[dict[str | None, str]] | None, layers: Sequence[str]) -> dict[str, str] | None:
    """Join the axes of ``--axes``: those of one layer count before those of all."""
    given = {layer: axes for one in found or () for layer, axes in one.items()}
    if None in given:
        given = {**dict.fromkeys(layers, given.pop(None)), **given}
    return {str(layer): axes for layer, axes in given.items()} or None


#: What the axes of the layers' outputs mean.
AXES = Annotated[
    list[Any] | None,
    typer.Option(
        help="Meaning of the axes of a layer's output, LAYER=BHWC, or of all; can be repeated. B: samples, C: neurons.",
        **parsed(axes_by_layer, "LAYER=AXES"),
    ),
]
