import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import neuronym

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "neuronym"

HEAVY = {"torch", "numba", "scipy", "pandas", "sklearn", "pyarrow", "matplotlib", "joblib", "rich", "zarr"}

# The house: a module imports only those before it.
HOUSE = [
    "errors",
    "formula",
    "_files",
    "_fonts",
    "_figures",
    "hierarchy",
    "_names",
    "_yesno",
    "_matrix",
    "concepts",
    "_zarr_matrix",
    "activations",
    "_groups",
    "_tables",
    "layer_store",
    "store",
    "_rank_kernels",
    "scores",
    "_kernels",
    "search",
    "_progress",
    "_workers",
    "significance",
    "dependence",
    "_resample_kernels",
    "permutation",
    "_measures",
    "resampling",
    "_label",
    "_label_files",
    "_summary",
    "labels",
    "_asked",
    "_evidence",
    "_inputs",
    "labeling",
    "_fuzzy",
    "sources",
    "hooks",
    "pooling",
    "_compose_torch",
    "_choose",
    "compose",
    "_depths",
    "tradeoff",
    "_paired",
    "_sides",
    "spurious",
    "_batches",
    "collect",
    "observed",
    "_attribution",
    "contributions",
    "ablation",
    "_draw_circuit",
    "circuits",
    "images",
    "alterations",
    "overlays",
    "texts",
    "models",
    "_plots_seen",
    "_plots_samples",
    "_plots_draw",
    "_plots_layers",
    "plots",
    "report",
    "demo",
    "_cli_concepts",
    "_cli_models",
    "_cli_collect",
    "_cli_compose",
    "_cli_tradeoff",
    "_cli_spurious",
    "_cli_circuit",
    "_cli_report",
    "cli",
]


def loaded_after(code):
    listed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in listed.stdout.split()}


def test_importing_loads_nothing_heavy():
    assert loaded_after("import neuronym") & HEAVY == set()


def test_help_loads_nothing_heavy():
    code = "import sys\nfrom neuronym.cli import app\nsys.argv = ['neuronym', '--help']\napp(standalone_mode=False)"
    assert loaded_after(code) & {"torch", "numba", "scipy", "pandas", "sklearn", "pyarrow", "joblib"} == set()


def test_formulas_and_concepts_work_without_anything_heavy():
    code = "from neuronym import *\nFormula.parse('a & ~b').evaluate(Concepts.from_sets([{'a'}, {'a', 'b'}]))"
    assert loaded_after(code) & HEAVY == set()


def test_every_module_imports_only_those_above_it():
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    modules = {path.stem for path in SOURCE.glob("*.py")} - {"__init__"}
    assert modules | packages == set(HOUSE)
    for place, name in enumerate(HOUSE):
        for file in (SOURCE / name).glob("*.py") if name in packages else [SOURCE / f"{name}.py"]:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            imported = {
                node.module.split(".")[1] if "." in (node.module or "") else alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("neuronym")
                for alias in node.names
            } - {"__version__"}
            assert imported <= {*HOUSE[:place], *[name] * (name in packages)}, file


def test_what_is_public_is_deliberate():
    assert neuronym.__all__ == sorted(neuronym.__all__)
    assert set(neuronym.__all__) == {
        *["Activations", "Concepts", "Explanation", "Formula", "Hierarchy", "Label", "Labels", "label"],
        *["open_activations", "open_concepts", "save_activations", "save_concepts"],
        *["ActivationsError", "AlignmentError", "ConceptsError", "FileError", "FormulaError", "InputError"],
        *["NeuronymError", "OptionError", "UnknownNameError"],
    }
    assert all(getattr(neuronym, name).__doc__ for name in neuronym.__all__)


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert neuronym.__version__ == version
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(version)}", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_file_is_longer_than_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
