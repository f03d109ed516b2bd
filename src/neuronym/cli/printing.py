"""What commands print: tables, the notice that kernels are compiled, help with whole sentences."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from neuronym._util.parallel import StoppedWarning

if TYPE_CHECKING:
    from neuronym.labels.labels import Labels

__all__ = ["Group", "compiling", "new_app", "noting_a_stop", "print_table"]

_SHOWN = 20  # rows of a printed table
_NARROW = 80  # columns of a terminal
_PATIENCE = 1.5  # seconds; loading compiled kernels takes less, compiling them more


class Group(TyperGroup):
    """A group of commands whose help shows the whole first sentence of each."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  as in typer
        """Write the names of the commands, each with its sentence."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.sentence(name)) for name in self.commands])

    def sentence(self, name: str) -> str:
        """The first sentence of a command's help."""
        return self.commands[name].get_short_help_str(1000)


def new_app(**options: Any) -> typer.Typer:
    """An application of typer as all of ours are."""
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


@contextmanager
def noting_a_stop() -> Iterator[list[bool]]:
    """Note in the list whether labeling was stopped and returned what was done; every warning is shown as before."""
    stopped: list[bool] = []
    show_it = warnings.showwarning

    def noted(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, StoppedWarning):
            stopped.append(True)
        show_it(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.showwarning = noted
        yield stopped


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
