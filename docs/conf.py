"""How Sphinx builds the pages of this folder; ``make docs`` runs it.

Pages are Markdown that is as readable where the repository is browsed. On the site, a link from the name of something
to its source leads to what the reference says of it, and records of benchmarks are pages.
"""

import importlib
import inspect
import pkgutil
import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import neuronym

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "neuronym"
author = "The neuronym developers"
release = version = neuronym.__version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
highlight_language = "none"
myst_heading_anchors = 3

nitpicky = True  # a link to a name that the reference lacks is an error; types in signatures need lead nowhere
nitpick_ignore_regex = [("py:(?!obj).*", ".*")]

html_theme = "furo"
html_title = f"neuronym {release}"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("ArrayLike", "NDArray", *neuronym.types.__all__)}
maximum_signature_line_length = 100
numpydoc_show_class_members = False

PACKAGES = [m.name for m in pkgutil.walk_packages(neuronym.__path__, "neuronym.") if m.ispkg and "._" not in m.name]
PACKAGES.remove("neuronym.io.sources")  # its names are those of neuronym.io
MODULES = ["neuronym", "neuronym.errors", "neuronym.types", "neuronym.demo"]
MODULES += [f"neuronym.analysis.{name}" for name in ("compare", "detect", "instances", "pairs", "scores", "sweep")]
MODULES += PACKAGES


def home(module: str, name: str) -> str:
    """Where the reference says what a name of a module is: once, under the shortest path that leads to it."""
    found = getattr(importlib.import_module(module), name)
    if getattr(neuronym, name, None) is found:
        return f"neuronym.{name}"
    defined = getattr(found, "__module__", None)
    return f"{defined if defined in MODULES else module}.{name}"


def kind_of(found: Any) -> str:
    """What autodoc calls things of this kind."""
    if inspect.isclass(found):
        return "exception" if issubclass(found, Exception) else "class"
    return "function" if inspect.isfunction(found) else "data"


def write_stubs() -> None:
    """Write a page per module, functions first, with the names that another page describes as links."""
    shutil.rmtree(HERE / "api", ignore_errors=True)
    (HERE / "api").mkdir()
    for module in MODULES:
        loaded = importlib.import_module(module)
        named = {name: getattr(loaded, name) for name in loaded.__all__}
        kinds = {name: kind_of(found) for name, found in named.items() if not inspect.ismodule(found)}
        lines = [module, "=" * len(module), "", f".. automodule:: {module}", ""]
        elsewhere = []
        for name in sorted(kinds, key=lambda name: ("function", "class", "data", "exception").index(kinds[name])):
            at = home(module, name)
            if at != f"{module}.{name}":
                elsewhere.append(f"- :py:obj:`{at}`")
                continue
            members = ["   :members:", "   :inherited-members:"] if kinds[name] == "class" else []
            lines += [f".. auto{kinds[name]}:: {at}", *members, ""]
        lines += [".. rubric:: Described elsewhere", "", *elsewhere, ""] if elsewhere else []
        (HERE / "api" / f"{module}.rst").write_text("\n".join(lines), encoding="utf-8")


def copy_records() -> None:
    """Copy what benchmarks recorded, with titles that tell them apart."""
    shutil.rmtree(HERE / "records", ignore_errors=True)
    (HERE / "records").mkdir()
    for record in (ROOT / "benchmarks").glob("*.md"):
        about = {"RESULTS": "speed"}.get(record.stem, record.stem.lower())
        text = record.read_text(encoding="utf-8").replace("# Results", f"# Results: {about}", 1)
        text = text.replace("](../docs/", "](../")
        (HERE / "records" / record.name).write_text(text, encoding="utf-8")


def skip(app: Sphinx, what: str, name: str, member: Any, skipped: bool, options: Any) -> bool | None:
    """Describe methods and properties that need no docstring too."""
    plain = callable(member) or isinstance(member, property)
    return False if skipped and plain and not name.startswith("_") else None


def examples(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put a heading above the examples at the end of a docstring that has none."""
    at = next((place for place, line in enumerate(lines) if line.startswith(">>>")), None)
    if at is not None and "Examples" not in lines:
        lines[at:at] = ["Examples", "--------"]


def links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Lead links from names into the reference, and those to records to their pages."""
    source[0] = re.sub(r"\[`(neuronym[.\w]*)`\]\(\.\./src/neuronym/[\w/]+\.py\)", r"{py:obj}`\1`", source[0])
    source[0] = re.sub(r"\]\(\.\./benchmarks/(\w+\.md)", r"](records/\1", source[0])


def arrays(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write the types of arrays in signatures as the source does."""

    def short(found: re.Match[str]) -> str:
        return f"NDArray[{found[1] if found[1].endswith('Any') else 'np.' + found[1].rpartition('.')[2]}]"

    long = r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[([^]]*)\]\]"
    shown, given = (None if text is None else re.sub(long, short, text) for text in (signature, returned))
    return shown, given


def forget(app: Sphinx, env: Any) -> None:
    """Take the modules that have no source, such as builtins, out of the list of those whose source is shown."""
    env._viewcode_modules = {name: entry for name, entry in env._viewcode_modules.items() if entry}


def setup(app: Sphinx) -> None:
    """Connect the above."""
    write_stubs()
    copy_records()
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", examples, priority=400)
    app.connect("source-read", links)
    app.connect("env-updated", forget)
    app.connect("autodoc-process-signature", arrays)
