"""Printing of commands: tables, a notice while kernels are compiled, and help with whole sentences."""

from __future__ import annotations

import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from neuronym._util.characters import visible
from neuronym._util.parallel import StoppedWarning

if TYPE_CHECKING:
    from neuronym.labels.labels import Labels

__all__ = ["Group", "compiling", "new_app", "noting_interruption", "print_json", "print_labels", "print_table", "say"]

_SHOWN = 20  # rows of a printed table
_NARROW = 80  # columns of a terminal below which numbers are left out
_PATIENCE = 1.5  # seconds; loading compiled kernels takes less, compiling takes more


class Group(TyperGroup):
    """A group of commands whose help shows the whole first sentence of each command."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  as in typer
        """Write the name and first sentence of each command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.sentence(name)) for name in self.commands])

    def sentence(self, name: str) -> str:
        """Return the first sentence of a command's help."""
        return self.commands[name].get_short_help_str(1000)


def new_app(**options: Any) -> typer.Typer:
    """Make a typer application with the settings all commands share."""
    return typer.Typer(
        cls=Group,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        **options,
    )


@contextmanager
def compiling() -> Iterator[None]:
    """Announce on standard error that kernels are being compiled, if none are cached and it takes long."""
    cache = Path(__file__).parents[1] / "search" / "__pycache__"
    if all(any(cache.glob(f"{kernel}-*.nbi")) for kernel in ("beam_kernels._search", "optimal_kernels.search")):
        yield
        return
    notice = "neuronym: compiling the search for this machine, once, up to 15 s …"
    timer = threading.Timer(_PATIENCE, lambda: print(notice, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def noting_interruption() -> Iterator[list[bool]]:
    """Yield a list that is filled if labeling is interrupted and returns partial results; show warnings as usual."""
    interrupted: list[bool] = []
    show_warning = warnings.showwarning

    def note(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, StoppedWarning):
            interrupted.append(True)
        show_warning(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.showwarning = note
        yield interrupted


def say(*parts: object) -> None:
    """Print parts on lines of their own, with escapes for characters in names that act on a terminal."""
    print(*(visible(str(part), keep="\n\t") for part in parts), sep="\n")


def print_json(text: str) -> None:
    """Print JSON; the control characters that JSON allows in texts are written as its escapes."""
    print(re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text))


def print_labels(labels: Labels, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Print labels as a table, with a summary of evidence or of proofs, or as JSON."""
    if as_json:
        print_json(labels.to_json().rstrip("\n"))
    elif not quiet:
        print_table(labels, "to save all labels, use --out labels.csv" if out is None else f"all labels are in {out}")
        if labels.part is not None:
            print(f"part {labels.part.number} of {labels.part.of}: neuronym merge joins all parts")
            return
        summary = labels.summary()
        if summary.believable is not None:
            print(summary)
        elif summary.proven is not None:
            print(summary.proof)


def print_table(labels: Labels, rest: str) -> None:
    """Print labels as a table, only the first if there are many, and say where to find the rest."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    first = labels.head(_SHOWN)
    columns, rows = first.columns(), first.cells()[1]
    console = Console(width=None if sys.stdout.isatty() else 160)
    # On a narrow terminal, the formula takes the room.
    kept = [place for place, one in enumerate(columns) if console.width >= _NARROW or one.narrow or not one.numeric]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for one in (columns[place] for place in kept):
        if one.numeric:
            table.add_column(one.name, justify="right", no_wrap=True)
        else:
            table.add_column(one.name, no_wrap=one.name == "neuron", overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[place]) for place in kept))
    console.print(table)
    if len(labels) > _SHOWN:
        console.print(f"… {len(labels) - _SHOWN} more; {rest}", highlight=False, markup=False)
