"""Each command against the Python function that it calls: the same name, options and defaults."""

import ast
import inspect
from pathlib import Path

import pytest
import typer

import neuronym
from neuronym import sources
from neuronym.analysis import circuits, compose, spurious
from neuronym.analysis.dissect import compare_methods
from neuronym.analysis.scores import compare_scores
from neuronym.cli import root
from neuronym.cli.options import MASK_OPTIONS, OPTIONS_OF_PRINTING
from neuronym.data.concepts import Concepts
from neuronym.demo import demo
from neuronym.report import report

FUNCTIONS = {
    "demo": demo,
    "collect": neuronym.collect,
    "check": neuronym.check,
    "layers": neuronym.layers,
    "concepts imagefolder": sources.from_imagefolder,
    "concepts annotations": sources.from_annotations,
    "concepts table": sources.from_table,
    "concepts coco": sources.from_coco,
    "concepts scores": sources.from_scores,
    "concepts regex": sources.from_regex,
    "concepts tokens": sources.from_tokens,
    "concepts tags": sources.from_tags,
    "concepts show": Concepts.describe,
    "label": neuronym.label,
    "merge": neuronym.merge,
    "show": neuronym.show,
    "report": report,
    "compare": compare_scores,
    "dissect": neuronym.dissect,
    "methods": compare_methods,
    "sweep": neuronym.sweep,
    "pairs": neuronym.pairs,
    "detect": neuronym.detect,
    "spurious": spurious.spurious,
    "circuit": circuits.circuit,
    "compose": compose.compose,
}
#: What the command line spells in another way than Python.
SPELLED = {
    "wordnet": "hierarchy",
    "wordnet_files": "hierarchy",
    "pattern": "patterns",
    "by_position": "align",
    **dict.fromkeys(
        ("text", "font", "logo", "border", "cast", "blur", "jpeg", "function", "size", "opacity", "colour", "place"),
        "alterations",
    ),
}
#: Where tasks run, which Python says by ``joblib.parallel_config``.
WHERE = {"scheduler"}
#: Where a table or figure is saved, after the function: by ``Labels.save`` and ``plots.plot_sweep``.
SAVED = {"label": {"out", "overwrite", "spreadsheet"}, "merge": {"out", "overwrite", "spreadsheet"},
         "sweep": {"out", "plot", "overwrite", "spreadsheet"},
         "compare": {"out", "plot", "overwrite", "spreadsheet"},
         "dissect": {"out", "overwrite", "spreadsheet"}, "methods": {"out", "overwrite"}, "pairs": {"concept"},
         "detect": {"out", "overwrite", "spreadsheet"}}  # fmt: skip
#: How masks are read, which Python says where it opens them.
OF_MASKS = {*MASK_OPTIONS}
#: What only Python has: objects that no command line can name, and what the command fixes.
PYTHON_ONLY = {
    "collect": {"data", "forward", "sample_ids", "clusters", "names", "about"},
    "concepts imagefolder": {"endings"},
    "concepts regex": {"sample_ids"},
    "concepts tags": {"sample_ids"},
    "concepts show": {"self"},
    "label": {"names", "weights"},
    "sweep": {"names", "neurons"},
    "pairs": {"names"},
    "detect": {"names"},
    "circuit": {"data"},
    "compose": {"names", "neurons"},
}


def commands():
    found = {}
    for name, command in typer.main.get_command(root.app).commands.items():
        below = getattr(command, "commands", None)
        found |= {name: command} if below is None else {f"{name} {one}": own for one, own in below.items()}
    return found


COMMANDS = commands()


def test_commands_are_in_the_order_of_the_work():
    order = (
        "demo collect check layers concepts label merge show report compare dissect methods sweep pairs detect "
        "spurious circuit compose"
    )
    assert list(typer.main.get_command(root.app).commands) == order.split()
    assert list(COMMANDS) == list(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_command_has_the_options_of_its_function(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    alone = OPTIONS_OF_PRINTING | WHERE | SAVED.get(name, set()) | (OF_MASKS if "masks" in parameters else set())
    of_command = {SPELLED.get(own.name, own.name) for own in COMMANDS[name].params if own.name not in alone}
    of_function = set(parameters) - {"progress"} - PYTHON_ONLY.get(name, set())
    if name.startswith("concepts "):  # the argument has the name that its file has
        of_command, of_function = (
            {one for one in names if one in ("out", "overwrite") or parameters.get(one, _HIDDEN).kind is _KEYWORD}
            for names in (of_command, of_function)
        )
    assert of_command == of_function


_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_HIDDEN = inspect.Parameter("hidden", inspect.Parameter.POSITIONAL_ONLY)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_command_has_the_defaults_of_its_function(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    for own in COMMANDS[name].params:
        if own.name in parameters and own.name not in SAVED.get(name, set()) and not own.required:
            default = parameters[own.name].default
            assert own.default in (default, None if default in (False, ()) else default), own.name


def test_the_first_sentence_is_that_of_the_help():
    for name, command in typer.main.get_command(root.app).commands.items():
        sentence = " ".join(command.help.split("\n\n")[0].split())
        assert root.COMMANDS[name] == sentence, name


def test_no_command_function_is_long():
    """A command parses, calls one function and prints: at most 40 lines of code, its docstring aside."""
    found = []
    for path in Path(root.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.endswith("_command"):
                doc = node.body[0].end_lineno - node.body[0].lineno + 1
                found.append((node.end_lineno - node.lineno + 1 - doc, node.name))
    assert len(found) >= len(FUNCTIONS)
    assert max(found)[0] <= 40, max(found)
