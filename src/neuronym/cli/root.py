"""The command ``neuronym``: its commands, and one line for every error the user can fix."""

from __future__ import annotations

import io
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from neuronym._util.characters import visible
from neuronym.cli.printing import Group, new_app
from neuronym.errors import NeuronymError

__all__ = ["app", "main"]

#: The commands in the order of the work, with the first sentence of their help. Each has a module of its name, which is
#: imported only when needed.
COMMANDS = {
    "demo": "Train a small network on handwritten digits and label its neurons.",
    "collect": "Run a model over images, texts or a table, and store each neuron's activation on every sample.",
    "check": "Check a Zarr store of activations: whether every file is there, and as it was written.",
    "layers": "List the layers of a model, with the shapes and axes of their outputs for one sample.",
    "concepts": "Make a file of concepts from a data set, or inspect one.",
    "label": "Find the formula of concepts that each neuron detects best.",
    "merge": (
        "Merge the labels of all shards of a run, with what depends on all labels: q, and intervals of selected labels."
    ),
    "show": "Show a neuron's formula, the best formula of each length and the runners-up, or the table of all neurons.",
    "report": "Write a page for browsing neurons: a folder whose index.html opens in any browser, without a server.",
    "compare": (
        "Label neurons by several scores, and measure the labels of each by all of them, and against known truth."
    ),
    "dissect": (
        "Find the formula of concepts that best says where in photos each neuron is active: Network Dissection."
    ),
    "methods": (
        "Label the same neurons by INVERT, Network Dissection and Compositional Explanations, and compare the labels."
    ),
    "sweep": "Compare formula lengths and minimum fractions by AUC, held-out AUC, fraction and share of hypernyms.",
    "pairs": "Test every neuron against every concept: AUC, p, effect and F1 of all pairs, corrected as one family.",
    "detect": (
        "Find, for each concept, the formula of thresholded neurons that gives it best, beside supervised probes."
    ),
    "spurious": (
        "Find neurons and classes that respond to a spurious concept: a watermark, a border, or any concept of yours."
    ),
    "circuit": (
        "Show how a neuron is computed from lower ones: contributions, a graph with formulas, comparisons, ablations."
    ),
    "compose": (
        "Compose a detector of a formula from the best neuron of each concept, by fuzzy logic, without training."
    ),
}


class _Commands(Mapping[str, Any]):
    """The commands by name, each loaded when needed."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@cache
def _load(name: str) -> Any:
    command = typer.main.get_command(import_module(f"neuronym.cli.{name}").app)
    command.name = name
    return command


class _Root(Group):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _Commands()

    def sentence(self, name: str) -> str:
        """Return the first sentence of a command's help, without loading the command."""
        return COMMANDS[name]


#: The command ``neuronym``, as a typer application.
app = new_app(
    name="neuronym",
    help="Names for neurons: the formula of concepts that each neuron detects best, and how well.",
    no_args_is_help=True,
)
app.info.cls = _Root


def _print_version(wanted: bool) -> None:
    if wanted:
        from neuronym import __version__

        print(f"neuronym {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command; an error the user can fix is one line on standard error and a non-zero exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # print escapes for characters the terminal lacks
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_, **__: _say(visible(str(message), "\n\t"))
            code = app(standalone_mode=False)
        if code == 130:  # typer's exit code for Ctrl-C
            _fail("interrupted; no file was written; if a store was begun, rerun the same command to resume", 130)
    except NeuronymError as error:
        _fail(" ".join(str(error).split("\n")), 2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except MemoryError:
        _fail("not enough memory: label fewer neurons at once (--neurons), or use fewer workers (--n-jobs)", 2)
    except Exception as error:
        # A usage error of the command line; anything else is a bug and needs its traceback.
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context is not None else ""
        _fail(" ".join(error.format_message().split()) + where, 2)
    sys.exit(code or 0)


def _say(message: str) -> None:
    print(f"neuronym: {message}", file=sys.stderr)


def _fail(message: str, code: int) -> NoReturn:
    _say(visible(message))
    sys.exit(code)
