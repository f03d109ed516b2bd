"""What the formatter of the page's scripts and styles does not see to itself."""

import json
from pathlib import Path

import pytest

from neuronym.report.page import SCRIPTS

ROOT = Path(__file__).parents[2]
OWN = [path for path in (ROOT / "src/neuronym/report/static").iterdir() if path.suffix in (".js", ".css")]


def test_there_are_scripts_and_a_style():
    assert sorted(path.name for path in OWN) == sorted([*SCRIPTS, "style.css"])


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_lines_have_at_most_120_characters(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > 120] == []


def test_the_checks_are_pinned_by_their_contents_and_not_by_an_address():
    packages = json.loads((ROOT / "tools/js/package-lock.json").read_text(encoding="utf-8"))["packages"]
    installed = [package for name, package in packages.items() if name]
    assert len(installed) > 1
    assert all("integrity" in package and "resolved" not in package for package in installed)
