"""Write the page of the command from its help: ``python docs/write_cli.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from neuronym.cli.root import app

PAGE = Path(__file__).parent / "cli.md"

HEAD = """\
# The command

`neuronym` does on files what the functions do in Python. Each command prints its help with `--help`; this page holds
the same, written by `python docs/write_cli.py`.
"""


def page() -> str:
    """The whole page, from the help of every command."""
    return "\n".join([HEAD, *section(get_command(app), "neuronym")])


def section(command: Any, name: str, parent: Any = None) -> Iterator[str]:
    """The lines of a command, and of the commands in it."""
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings)
    if parent is not None:
        yield f"{'#' * (context.command_path.count(' ') + 1)} {context.command_path}\n"
    yield f"{command.help}\n"
    yield f"```\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    for kind in ("argument", "option"):
        records = [p.get_help_record(context) for p in command.get_params(context) if p.param_type_name == kind]
        if any(records):
            yield f"| {kind} | |\n|---|---|"
            yield from (f"| `{cell(record[0])}` | {cell(record[1])} |" for record in records if record)
            yield ""
    examples = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
    if examples:
        yield "\n".join(["```sh", *examples, "```\n"])
    for below, found in getattr(command, "commands", {}).items():
        yield from section(found, below, context)


def cell(text: str) -> str:
    """Text in a table of Markdown."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
