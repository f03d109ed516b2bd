"""The command: parse, call, print."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from neuronym._util.files import check_target, kind_of
from neuronym._util.messages import no_such
from neuronym._util.parallel import StoppedWarning
from neuronym.cli import circuit as _circuit
from neuronym.cli import collect as _collect
from neuronym.cli import compose as _compose
from neuronym.cli import concepts as _concepts
from neuronym.cli import report as _report
from neuronym.cli import spurious as _spurious
from neuronym.cli import sweep as _sweep
from neuronym.errors import NeuronymError, OptionError

if TYPE_CHECKING:
    from neuronym.labels.labels import Labels

__all__ = ["app", "main"]

_SHOWN = 20  # rows of a printed table
_NARROW = 80  # columns of a terminal
_PATIENCE = 1.5  # seconds; loading compiled kernels takes less, compiling them more

_LABEL_EXAMPLES = """\b
Examples:
  neuronym label activations.npy concepts.csv --out labels.csv
  neuronym label activations.parquet concepts.parquet --length 2 --neurons 0,5,10-20
  neuronym label activations.npy concepts.csv --json --quiet > labels.json
  neuronym label activations.npy concepts.csv --permutations auto --holdout 0.5 --out labels.csv
"""
_SHOW_EXAMPLES = """\b
Examples:
  neuronym show labels.csv 296
  neuronym show labels.csv 296 --layer layer4 --json
  neuronym show labels.csv --summary
  neuronym show labels.csv --significant 0.05 --simplest 0.05 --out believed.csv
"""

#: The command, as an application of typer.
app = typer.Typer(
    name="neuronym",
    help="Names for neurons: the formula of concepts that each neuron detects best, and how well.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.add_typer(_concepts.app, name="concepts")
app.command("collect", epilog=_collect.COLLECT_EXAMPLES)(_collect.collect_command)
app.command("compose", epilog=_compose.COMPOSE_EXAMPLES)(_compose.compose_command)
app.command("sweep", epilog=_sweep.SWEEP_EXAMPLES)(_sweep.sweep_command)
app.command("spurious", epilog=_spurious.SPURIOUS_EXAMPLES)(_spurious.spurious_command)
app.command("circuit", epilog=_circuit.CIRCUIT_EXAMPLES)(_circuit.circuit_command)
app.command("report", epilog=_report.REPORT_EXAMPLES)(_report.report_command)
app.command("layers", epilog=_collect.LAYERS_EXAMPLES)(_collect.layers_command)


def _version(asked: bool) -> None:
    if asked:
        from neuronym import __version__

        print(f"neuronym {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("label", epilog=_LABEL_EXAMPLES)
def label_command(
    activations: Annotated[
        Path,
        typer.Argument(metavar="ACTIVATIONS", help="Samples × neurons: store.zarr/LAYER, .npy, .npz, .csv, .parquet."),
    ],
    concepts: Annotated[
        Path, typer.Argument(metavar="CONCEPTS", help="Samples × concepts: .csv or .parquet, long or multi-hot.")
    ],
    length: Annotated[int, typer.Option(help="The most concepts in a formula.")] = 3,
    beam: Annotated[int, typer.Option(help="Formulas extended in each round.")] = 3,
    min_fraction: Annotated[float, typer.Option(help="A formula is true for at least this share of samples.")] = 0.0,
    max_fraction: Annotated[float, typer.Option(help="A formula is true for at most this share of samples.")] = 0.5,
    min_count: Annotated[int, typer.Option(help="A formula is true for at least so many samples.")] = 20,
    prefixes: Annotated[
        Literal["free", "constrained"],
        typer.Option(help="Ask the fractions of every prefix too (constrained), as the published search."),
    ] = "free",
    direction: Annotated[
        Literal["high", "low", "both"], typer.Option(help="Whether neurons are high or low inside their formula.")
    ] = "high",
    negation: Annotated[bool, typer.Option("--negation/--no-negation", help="Whether formulas may hold NOT.")] = True,
    operators: Annotated[str, typer.Option(help="Which of and, or formulas may hold.")] = "and,or",
    neurons: Annotated[str | None, typer.Option(help="Neurons to label, such as 0,5,10-20; all by default.")] = None,
    unknown: Annotated[
        Literal["error", "no", "drop"], typer.Option(help="What to do with values that are neither yes nor no.")
    ] = "error",
    align: Annotated[bool, typer.Option("--align", help="Keep the samples that both files have.")] = False,
    n_jobs: Annotated[int | None, typer.Option(help="Blocks searched at once; -1 is one per processor.")] = None,
    permutations: Annotated[
        str, typer.Option(help="Permutations that say whether the search finds as much by chance: a number, or auto.")
    ] = "0",
    tail: Annotated[bool, typer.Option("--tail", help="Fit their tail, for p beyond their number.")] = False,
    holdout: Annotated[
        float | None, typer.Option(help="Share of samples that is not searched, and says how good the formula is.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Hold each of so many parts out in turn instead.")] = None,
    stability: Annotated[int, typer.Option(help="Bootstrap resamples that are searched again.")] = 0,
    effects: Annotated[
        bool, typer.Option("--effects", help="Interval of the AUC, precision, recall and more.")
    ] = False,
    clusters: Annotated[
        str | None,
        typer.Option(help="What each sample belongs to: a table (sample, label), FILE:COLUMN, or none."),
    ] = None,
    strata: Annotated[str | None, typer.Option(help="Permute within these groups: a table, or FILE:COLUMN.")] = None,
    seed: Annotated[int, typer.Option(help="The seed of all of these.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Save the labels as .csv, .parquet or .json.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the labels as JSON instead of a table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no table.")] = False,
) -> None:
    """Find for each neuron the formula of concepts that it detects best.

    Samples are matched by the ids in a first column called sample, and by their place where there are none.
    """
    if out is not None:
        from neuronym.labels.files import KINDS

        kind_of(out, KINDS, "labels")
        check_target(out, overwrite)  # before the work, not after it
    from neuronym.io.files import open_activations, open_concepts
    from neuronym.io.zarr_store import open_layers, split_path
    from neuronym.labeling.labeling import label

    shown = open_concepts(concepts, unknown=unknown)
    opened = open_activations(activations) if split_path(activations) is None else open_layers(activations)
    with _compiling():
        from neuronym.search import beam_kernels  # noqa: F401
    with _noting_a_stop() as stopped:
        labels = label(
            opened,
            shown,
            neurons=None if neurons is None else _neurons(neurons),
            length=length,
            beam=beam,
            min_fraction=min_fraction,
            max_fraction=max_fraction,
            min_count=min_count,
            prefixes=prefixes,
            direction=direction,
            negation=negation,
            operators=tuple(o.strip() for o in operators.split(",") if o.strip()),
            n_jobs=n_jobs,
            align=align,
            progress=not quiet,
            permutations=_permutations(permutations),
            tail=tail,
            holdout=holdout,
            folds=folds,
            stability=stability,
            effects=effects,
            clusters=False if clusters == "none" else clusters,
            strata=strata,
            seed=seed,
        )
    if out is not None:
        labels.save(out, overwrite=overwrite)
    if as_json:
        print(labels.to_json(), end="")
    elif not quiet:
        print_table(labels, "all of them: --out labels.csv" if out is None else f"all of them are in {out}")
        if permutations != "0" or holdout is not None:
            print(labels.summary())
    if stopped:
        sys.exit(130)


@app.command(epilog=_SHOW_EXAMPLES)
def show(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Labels: .csv, .parquet or .json.")],
    neuron: Annotated[
        str | None, typer.Argument(metavar="NEURON", help="The neuron to show; without one, the table.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="The layer that the neuron is in.")] = None,
    significant: Annotated[
        float | None, typer.Option(metavar="Q", help="Keep labels with q at most this; by p held out without p_search.")
    ] = None,
    simplest: Annotated[
        float | None,
        typer.Option(metavar="ALPHA", help="Shorten formulas to the steps with p_gain up to this."),
    ] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Print how many labels are to be believed.")] = False,
    out: Annotated[Path | None, typer.Option(help="Save what is shown as .csv, .parquet or .json.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one neuron, its formula, the best formula of each length and the runners-up; or the table of all."""
    from neuronym.labels.labels import Labels

    if out is not None:
        check_target(out, overwrite)
    found = Labels.open(labels)
    if layer is not None:
        layers = list(dict.fromkeys(str(one.layer) for one in found if one.layer is not None))
        if layer not in layers:
            raise no_such("layer", layer, layers)
        found = found.filter(layer=layer)
    if neuron is not None:
        found = found.of(neuron)
    if significant is not None:
        searched = any(one.permutations for one in found)
        found = found.significant(significant, by="p_search" if searched else _held_out_p(found))
    if simplest is not None:
        found = found.simplest(simplest)
    if out is not None:
        found.save(out, overwrite=overwrite)
    if summary and as_json:
        print(json.dumps(asdict(found.summary()), ensure_ascii=False))
    elif summary:
        print(found.summary())
    elif as_json:
        print(found.to_json(), end="")
    elif neuron is None:
        print_table(found, "--json prints all")
    else:
        print("\n\n".join(str(one) for one in found))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The folder for labels and picture; a new one beside it if it exists.")] = (
        Path("neuronym-demo")
    ),
    seed: Annotated[int, typer.Option(help="The seed of the network.")] = 0,
) -> None:
    """Train a small network on handwritten digits and label its neurons.

    Needs no download and takes seconds.
    """
    from neuronym.demo import run

    with _compiling():
        from neuronym.search import beam_kernels  # noqa: F401
    run(out, seed)


@contextmanager
def _compiling() -> Iterator[None]:
    """Say on standard error that kernels are compiled, if none are in their cache and it takes long."""
    cache = Path(__file__).parents[1] / "search" / "__pycache__"
    if any(cache.glob("beam_kernels._search-*.nbi")):
        yield
        return
    notice = "neuronym: compiling the search for this machine, once, up to 10 s …"
    timer = threading.Timer(_PATIENCE, lambda: print(notice, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _held_out_p(found: Labels) -> Literal["p"]:
    if not any(one.held_out for one in found):
        raise OptionError("--significant needs labels made with --permutations or --holdout")
    return "p"


@contextmanager
def _noting_a_stop() -> Iterator[list[bool]]:
    """Note in the list whether labeling was stopped and gave what was done; every warning is shown as before."""
    stopped: list[bool] = []
    show_it = warnings.showwarning

    def noted(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, StoppedWarning):
            stopped.append(True)
        show_it(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.showwarning = noted
        yield stopped


def _permutations(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise OptionError(f"--permutations must be a whole number or auto, not {text!r}")
    return int(text)


def _neurons(text: str) -> list[int | str]:
    """Names and ranges of whole numbers, separated by commas: ``0,5,10-20``."""
    chosen: list[int | str] = []
    for part in next(csv.reader([text], skipinitialspace=True), []):
        first, dash, last = part.partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            if int(first) > int(last):
                raise OptionError(f"--neurons {part} runs backwards: write {last}-{first}")
            chosen += range(int(first), int(last) + 1)
        elif part:
            chosen.append(part)
    if not chosen:
        raise OptionError("--neurons names no neuron: write such as 0,5,10-20")
    return chosen


def print_table(labels: Labels, rest: str) -> None:
    """Print labels as a table, the first ones if there are many, and say where the rest is."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    first = labels.head(_SHOWN)
    columns, rows = first.columns(), first.cells()[1]
    console = Console(width=None if sys.stdout.isatty() else 160)
    # Where there is little room, the formula has it.
    shown = [place for place, one in enumerate(columns) if console.width >= _NARROW or one.narrow or not one.numeric]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for one in (columns[place] for place in shown):
        if one.numeric:
            table.add_column(one.name, justify="right", no_wrap=True)
        else:
            table.add_column(one.name, no_wrap=one.name == "neuron", overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[place]) for place in shown))
    console.print(table)
    if len(labels) > _SHOWN:
        console.print(f"… {len(labels) - _SHOWN} more; {rest}", highlight=False)


def main() -> NoReturn:
    """Run the command; whatever the user can mend is one line on standard error and an exit code that is not 0."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name still shows the rest
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_, **__: print(f"neuronym: {message}", file=sys.stderr)
            code = app(standalone_mode=False)
        if code == 130:  # typer's answer to Ctrl-C
            _fail("stopped; no file was written; a store that was begun goes on with the same command", 130)
    except NeuronymError as error:
        _fail(" ".join(str(error).split("\n")), 2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except MemoryError:
        _fail("not enough memory: label fewer neurons at once (--neurons), or use fewer workers (--n-jobs)", 2)
    except Exception as error:
        # A usage error of the command line; anything else is a bug, and its traceback is wanted.
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context is not None else ""
        _fail(" ".join(error.format_message().split()) + where, 2)
    sys.exit(code or 0)


def _fail(message: str, code: int) -> NoReturn:
    print(f"neuronym: {message}", file=sys.stderr)
    sys.exit(code)
