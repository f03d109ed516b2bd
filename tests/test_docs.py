import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import pytest
from typer.main import get_command

from neuronym.cli import root as cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NEEDED = ("sphinx", "furo", "myst_parser", "numpydoc")


def script(name):
    """A script of the folder docs, as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-E", "-q", "-W", "--keep-going", "-d", out / "trees"]
    done = subprocess.run([*build, DOCS, out / "html"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / "html"


def test_no_link_of_the_site_leads_nowhere(site):
    assert script("check_links").broken(site) == []


def test_every_public_module_and_name_is_in_the_reference(site):
    pages = script("check_links")
    overview = (DOCS / "reference.md").read_text(encoding="utf-8")
    for module in script("conf").MODULES:
        assert f"[`{module}`](../src/" in overview, module
        page = pages.Page(site / "api" / f"{module}.html")
        led_to = {target.rpartition("#")[2] for target in page.targets}
        loaded = importlib.import_module(module)
        for name in (name for name in loaded.__all__ if not inspect.ismodule(getattr(loaded, name))):
            assert f"{module}.{name}" in page.anchors or any(at.endswith(f".{name}") for at in led_to), (module, name)


def test_examples_of_docstrings_are_no_parameters(site):
    page = (site / "api" / "neuronym.html").read_text(encoding="utf-8")
    assert page.count("&gt;&gt;&gt; ") >= 5
    assert "<strong>&gt;&gt;&gt;" not in page


def test_every_page_is_on_the_site(site):
    for page in DOCS.glob("*.md"):
        assert (site / f"{page.stem}.html").exists(), page.name


def public_names():
    """Every function and class that a public package exports, and the public members of these classes."""
    for module in script("conf").MODULES:
        loaded = importlib.import_module(module)
        for found in (getattr(loaded, name) for name in loaded.__all__):
            if not (inspect.isclass(found) or inspect.isfunction(found)):
                continue
            yield f"{found.__module__}.{found.__qualname__}"
            members = vars(found).items() if inspect.isclass(found) else ()
            for name, member in members:
                described = callable(member) or isinstance(member, property | cached_property | classmethod)
                if described and not name.startswith("_"):
                    yield f"{found.__module__}.{found.__qualname__}.{name}"


def test_docstrings_of_public_names_are_complete():
    pytest.importorskip("numpydoc")
    from numpydoc.hooks.validate_docstrings import parse_config
    from numpydoc.validate import validate

    config = parse_config(ROOT)
    checked = [name for name in dict.fromkeys(public_names()) if not config["exclude"].search(name)]
    wrong = [
        f"{name}: {code} {what}"
        for name in checked
        for code, what in validate(name)["errors"]
        if code in config["checks"]
    ]
    assert len(checked) >= 100
    assert wrong == []


def test_links_that_lead_nowhere_are_told(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a b.html").write_text('<p id="here"><a name="there"></a><a href="#here"><a href="sub/c.html#x">')
    (tmp_path / "sub/c.html").write_text(
        '<a href="../a%20b.html#there" id="x"></a><a href="https://example.org/#no"></a><a href="mailto:a@b"></a>'
        '<a href="#"></a><a href="../a%20b.html?q=1#gone"></a><img src="gone.png"><a href="gone.html#x"></a>'
        '<a href="../../out.html"></a><a href="#y"></a><script src="../sub"></script>'
    )
    (tmp_path.parent / "out.html").write_text("")
    found = script("check_links").broken(tmp_path)
    wrong = ["#y", "../../out.html", "../a%20b.html?q=1#gone", "../sub", "gone.html#x", "gone.png"]
    assert found == [f"sub/c.html: {target}" for target in wrong]
    assert script("check_links").broken(tmp_path / "sub/none") != []


def test_the_page_of_the_command_is_what_its_help_says(monkeypatch):
    for columns in ("40", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        assert script("write_cli").page() == (DOCS / "cli.md").read_text(encoding="utf-8"), "python docs/write_cli.py"


def test_the_page_of_the_command_has_every_command_and_option():
    sections = dict(re.findall(r"^##+ (neuronym .*?)\n(.*?)(?=^##|\Z)", (DOCS / "cli.md").read_text(), re.M | re.S))
    open_ = [("neuronym", get_command(cli.app))]
    while open_:
        path, command = open_.pop()
        open_ += [(f"{path} {name}", below) for name, below in getattr(command, "commands", {}).items()]
        if path != "neuronym":
            section = sections.pop(path)
            assert command.help.split("\n")[0] in section
            for option in (o for p in command.params if p.param_type_name == "option" for o in p.opts):
                assert re.search(rf"(?<![-\w]){option}(?![-\w])", section), (path, option)
    assert sections == {}


def test_the_paper_is_mapped_to_tests_that_are_there():
    page = (DOCS / "paper.md").read_text(encoding="utf-8")
    named = re.findall(r"\[`(test_\w+)`\]\(\.\./tests/([\w/]+\.py)\)", page)
    assert len(named) == page.count("`test_") >= 20
    for test, file in named:
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (test, file)


def test_the_map_of_the_house_is_that_of_the_house():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    order, table, walk = page.split("```")[1], *page.split("## ")[:2]
    source = ROOT / "src/neuronym"
    packages = {path.parent.name for path in source.glob("*/__init__.py")} | {"errors", "types", "demo"}
    assert set(re.findall(r"^\| \[`(?:neuronym\.)?(\w+)`\]", table, re.MULTILINE)) == packages
    assert packages <= set(re.findall(r"\w+", order))
    named = re.findall(r"\]\(\.\./(src/[^)]+)\)", walk)
    assert len(named) >= 15
    for path in re.findall(r"\]\(\.\./([^)]+)\)", page):
        assert (ROOT / path).is_file(), path
    # What the walk says of a file is in it.
    for path, name in re.findall(r"\[`[\w/]+\.py`\]\(\.\./([^)]+)\), `(\w+)[.\w]*`", walk):
        assert re.search(rf"^(?:def|class) {name}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), (
            path,
            name,
        )
