"""The wheel in an environment of its own, without extras: what works there, and what a command that lacks one says."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **options)


def checked(*command):
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the commands of an environment with the wheel and what it depends on, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    checked(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    venv.create(folder / "venv", with_pip=True)
    commands = folder / "venv/bin"
    (wheel,) = folder.glob("neuronym-*.whl")
    checked(commands / "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
    return commands


@pytest.fixture
def neuronym(installed, tmp_path):
    """Run the command in a folder with activations, concepts, photos and labels; kernels compile into ``cache``."""
    rng = np.random.default_rng(0)
    shown = rng.random((200, 2)) < 0.4
    np.save(tmp_path / "acts.npy", rng.normal(size=(200, 3)) + shown[:, :1])
    rows = "\n".join(f"{dog:d},{mark:d}" for dog, mark in shown)
    (tmp_path / "concepts.csv").write_text(f"dog,mark\n{rows}\n")
    (tmp_path / "labels.csv").write_text("neuron,formula,auc,fraction,count,length\n0,dog,0.9,0.4,80,1\n")
    (tmp_path / "photos").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")

    def call(line):
        return run(installed / "neuronym", *line.split(), cwd=tmp_path, env=environment)

    return call


MODEL = "--model mymodels:make"


@pytest.mark.parametrize(
    ("extras", "line"),
    [
        ("demo", "demo --out out"),
        ("torch", f"collect {MODEL} --layers 0 --images photos --out out"),
        ("torch", f"layers {MODEL}"),
        ("report", "report labels.csv --out out"),
        ("plots", "sweep acts.npy concepts.csv --length 1 --plot out.png"),
        ("probe", "detect acts.npy concepts.csv --out out.csv"),
        ("plots|spurious", "spurious acts.npy concepts.csv --suspects mark --out out"),
        ("torch|spurious", f"spurious {MODEL} --images photos --layers 0 --text mark --out out"),
        ("torch|circuits", f"circuit {MODEL} --images photos --target-layer 1 --target 0 --layers 0 --out out"),
    ],
)
def test_a_command_that_lacks_an_extra_says_so_in_one_line_before_any_work(neuronym, tmp_path, extras, line):
    before = set(tmp_path.rglob("*"))
    done = neuronym(line)
    assert done.returncode != 0
    assert re.fullmatch(rf".*'neuronym\[({extras})\]'.*\n", done.stderr), done.stderr
    assert done.stdout == ""
    assert set(tmp_path.rglob("*")) == before  # nothing written, no kernel compiled


def test_without_extras_labels_are_found_and_shown(neuronym, tmp_path):
    found = neuronym("label acts.npy concepts.csv --length 1 --out found.csv --quiet")
    assert found.returncode == 0, found.stderr
    shown = neuronym("show found.csv 0")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("neuron 0: dog\n")
    assert any((tmp_path / "cache").rglob("*.nbi"))
