import re
import subprocess
import sys
import tomllib
from pathlib import Path

import neuronym

ROOT = Path(__file__).parent.parent

HEAVY = {"torch", "numba", "scipy", "pandas", "sklearn", "pyarrow", "matplotlib", "joblib", "rich", "zarr"}


def loaded_after(code):
    listed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in listed.stdout.split()}


def test_importing_loads_nothing_heavy():
    assert loaded_after("import neuronym") & HEAVY == set()


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
