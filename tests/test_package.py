import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import neuronym

ROOT = Path(__file__).parent.parent

HEAVY = {"torch", "numba", "scipy", "pandas", "sklearn", "pyarrow", "matplotlib", "joblib", "rich", "zarr"}


def loaded_after(code):
    listed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in listed.stdout.split()}


def test_importing_loads_nothing_heavy():
    assert loaded_after("import neuronym") & (HEAVY | {"numpy", "typer"}) == set()
    # Naming a package loads it, and nothing that only its work needs.
    named = ["circuits", "compose", "sources", "spurious", "collect", "plots", "report", "network", "demo", "analysis"]
    assert loaded_after("import neuronym\n" + "\n".join(f"neuronym.{name}" for name in named)) & HEAVY == set()


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom neuronym.cli.root import app\nsys.argv = ['neuronym', '--help']\napp(standalone_mode=False)"
    )
    assert loaded_after(code) & {"torch", "numba", "scipy", "pandas", "sklearn", "pyarrow", "joblib"} == set()


def test_formulas_and_concepts_work_without_anything_heavy():
    code = "from neuronym import *\nFormula.parse('a & ~b').evaluate(Concepts.from_sets([{'a'}, {'a', 'b'}]))"
    assert loaded_after(code) & HEAVY == set()


def test_what_is_public_is_deliberate():
    assert neuronym.__all__ == sorted(neuronym.__all__)
    packages = [
        "analysis",
        "data",
        "demo",
        "errors",
        "inputs",
        "io",
        "labeling",
        "labels",
        "network",
        "plots",
        "report",
    ]
    assert set(neuronym.__all__) == {
        *packages,
        *[
            "search",
            "stats",
            "types",
            "circuits",
            "compose",
            "sources",
            "spurious",
            "check",
            "agreement",
            "compare_layers",
            "compare_methods",
            "compare_scores",
            "evaluate_known",
            "collect",
            "layers",
            "show",
            "sweep",
            "pairs",
            "Pairs",
            "detect",
            "dissect",
            "Dissection",
            "MethodComparison",
        ],
        *[
            "Activations",
            "Concepts",
            "Explanation",
            "Formula",
            "Hierarchy",
            "Label",
            "Labels",
            "Pairs",
            "label",
            "merge",
        ],
        *["open_activations", "open_concepts", "save_activations", "save_concepts"],
        *["ActivationsError", "AlignmentError", "ConceptsError", "FileError", "FormulaError", "InputError"],
        *["NeuronymError", "OptionError", "UnknownNameError", "WorkerError"],
    }
    assert all(getattr(neuronym, name).__doc__ for name in neuronym.__all__)


def test_what_is_shown_is_what_is_public_before_and_after_it_is_used():
    code = "import neuronym\nbefore = dir(neuronym)\n[getattr(neuronym, name) for name in before]\n"
    code += "assert dir(neuronym) == before == neuronym.__all__\nprint(*before)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert shown == neuronym.__all__
    assert not any(name.startswith("_") for name in shown)
    with pytest.raises(AttributeError, match="module 'neuronym' has no attribute 'lable'"):
        neuronym.lable  # noqa: B018


def test_editors_see_what_is_given():
    tree = ast.parse(Path(neuronym.__file__).read_text(encoding="utf-8"))
    (seen,) = [node for node in tree.body if isinstance(node, ast.If)]
    found = {(node.module, alias.name, alias.asname) for node in seen.body for alias in node.names}
    assert {name for _, name, _ in found} == set(neuronym.__all__)
    for module, name, shown_as in found:
        assert shown_as == name
        home = importlib.import_module(module)
        given = getattr(neuronym, name)
        assert given is (
            importlib.import_module(f"{module}.{name}") if inspect.ismodule(given) else getattr(home, name)
        )


def test_what_the_facade_names_works_at_once():
    code = """
import numpy as np, torch, neuronym
acts = neuronym.collect(torch.nn.Sequential(torch.nn.Linear(4, 3)), torch.zeros(30, 4), layers=["0"])
assert acts["0"].n_neurons == 3
neuronym.plots.roc, neuronym.report.report, neuronym.spurious.find_spurious, neuronym.circuits.circuit
neuronym.compose.compose, neuronym.sources.from_imagefolder, neuronym.io.Images, neuronym.network.load_model
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert neuronym.__version__ == version
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(version)}", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
