import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from neuronym import demo
from neuronym.cli import root as cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_prints_what_it_says():
    (code,), (expected,) = blocks("python"), blocks("text")
    assert len(code.splitlines()) <= 10
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "README", "exec"), {})
    shown = [line.rstrip() for line in printed.getvalue().splitlines()]
    assert shown == expected.splitlines()


def test_the_commands_work_after_the_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    demo.demo()
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith(".venv/bin/neuronym ")]
    assert len(lines) == 2
    for line in lines:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["neuronym", *shlex.split(line)[1:]])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("neuron 2: five | four | seven")


def test_every_command_and_option_is_there():
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")]
    shown = [*blocks("sh"), *(block for page in pages for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL))]
    joined = [block.replace("\\\n", " ").replace("$SLURM_ARRAY_TASK_ID", "3") for block in shown]
    lines = [line for block in joined for line in block.splitlines() if line.startswith("neuronym ")]
    assert len(lines) >= 10
    for line in lines:
        _, *arguments = shlex.split(line.partition(" > ")[0])
        command = get_command(cli.app)
        while hasattr(command, "commands"):
            command = command.commands[arguments.pop(0)]
        # Raises where one is not known or missing. A command keeps the names of its help from its first context.
        command.make_context(command.name, arguments, help_option_names=["-h", "--help"])


def anchors(page):
    """The anchors of the headings of a Markdown page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_its_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        assert link.startswith("https://") or (ROOT / path).exists(), link
        assert link.startswith("https://") or not anchor or anchor in anchors(ROOT / path), link


def test_it_is_short():
    assert len(README.splitlines()) <= 150


PLAIN = ("architecture", "cli", "index", "limits", "paper", "reference")  # pages without code


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_pages_print_what_they_say_and_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    shared: dict[str, object] = {}
    for code, expected in re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.DOTALL):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, page.name, "exec"), shared)
        assert [line.rstrip() for line in printed.getvalue().splitlines()] == expected.splitlines()
    assert text.count("```python") == text.count("```text")
    assert "```python" in text or page.stem in PLAIN
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert link.startswith("https://") or (page.parent / link.partition("#")[0]).exists(), link
