"""A report in one file, and the frame in which a notebook shows it; tests/report/test_notebook.py has a real one."""

import re
import shutil
import sys
import types
from base64 import b64encode
from hashlib import sha256

import numpy as np
import pytest

from browsing import expect, in_browser, opened
from neuronym import Concepts, Label, Labels, OptionError, label
from neuronym.report.page import SCRIPTS, explore, report

SINGLE = ["</script><script>alert(1)</script>", "<!--<script>", "dog"]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    rng = np.random.default_rng(0)
    shown = rng.random((90, 3)) < 0.4
    values = rng.normal(size=(90, 40)) + 2 * shown[:, np.arange(40) % 3]
    concepts = Concepts.from_array(shown, SINGLE)
    return report(
        label(values, concepts, length=1, min_count=5),
        tmp_path_factory.mktemp("single") / "out",
        activations=values,
        concepts=concepts,
        samples=rng.integers(0, 256, size=(90, 8, 8), dtype=np.uint8),
        title="</script><script>alert(2)</script>",
        single_file=True,
    )


def test_a_single_file_holds_all_and_runs_only_its_own_scripts(single):
    assert sorted(path.name for path in single.parent.iterdir()) == [".neuronym.json", "index.html"]
    text = single.read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == len(SCRIPTS) + 3 + 1  # the libraries, and the data
    allowed = re.search(r"script-src ([^;]+);", text)[1].split()
    assert allowed == [f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in scripts]
    assert not re.search(r'(src|href)="(?!#|data:)', text.split("<script>")[0])


@in_browser
def test_a_single_file_is_the_same_page_by_itself(browser, single, tmp_path):
    (tmp_path / "sent").mkdir()
    shutil.copy(single, tmp_path / "sent" / "index.html")
    with opened(browser, tmp_path / "sent") as page:
        expect(page.locator("main")).to_contain_text("</script><script>alert(1)</script>")
        front = page.locator("h1").first.inner_text()
        page.locator('main a[href^="#/neuron/"]:visible').last.click()  # whose data are in another piece than the first
        expect(page.locator("h1").first).not_to_have_text(front)
        for picture in page.locator("main img").all()[::10]:
            picture.scroll_into_view_if_needed()  # since they are loaded in view
            expect(picture).to_have_js_property("naturalWidth", 128)
        assert page.locator("main img").count() > 10
        expect(page.locator(".chart svg").first).to_be_visible()
        page.locator("button.sample").first.click()
        expect(page.locator("dialog .chips")).to_be_visible()
        page.keyboard.press("Escape")
        page.goto(f"{page.url.split('#')[0]}#/concept/dog")
        expect(page.locator("h1").first).to_have_text("dog")


@pytest.fixture
def frames(monkeypatch, tmp_path):
    """What the frames that a notebook in ``tmp_path`` shows are given."""
    made = []

    class IFrame:
        def __init__(self, *given):
            made.append(given)

    display = types.ModuleType("IPython.display")
    display.IFrame = IFrame
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.chdir(tmp_path)
    return made


def test_a_notebook_opens_the_page(frames, tmp_path, monkeypatch):
    explore(Labels([Label(0)]), "out", height=300)
    explore(Labels([Label(0)]), tmp_path / "50% of #1")
    assert frames == [("out/index.html", "100%", 300), ("50%25%20of%20%231/index.html", "100%", 800)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".neuronym.json", "index.html"]
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(OptionError, match="explore needs IPython"):
        explore(Labels([Label(0)]), "other")


def test_the_frame_counts_from_the_notebook_wherever_the_kernel_is(frames, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "look.ipynb"))
    monkeypatch.chdir(tmp_path / "data")
    explore(Labels([Label(0)]), "out")
    explore(Labels([Label(0)]), "../above")
    assert [given[0] for given in frames] == ["data/out/index.html", "above/index.html"]
    monkeypatch.setenv("JPY_SESSION_NAME", "a name")  # of a session without a file
    explore(Labels([Label(0)]), "again")
    assert frames[-1][0] == "again/index.html"


@pytest.mark.parametrize(
    ("out", "options", "match"),
    [
        ("../out", {}, r"shows only files in folders below its own, but out is '../out': choose a name below '/"),
        (".", {}, "shows only files in folders below its own"),
        (".hidden/out", {}, "shows no hidden files, but out is '.hidden/out'"),
        ("out", {"height": 0}, "height must be a whole number of pixels, not 0"),
        ("out", {"height": "90%"}, "height must be a whole number of pixels, not '90%'"),
    ],
)
def test_what_a_notebook_would_not_show_is_refused_before_the_work(frames, tmp_path, monkeypatch, out, options, match):
    (tmp_path / "home" / ".hidden").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "home")
    with pytest.raises(OptionError, match=match):
        explore(Labels([Label(0)]), out, **options)
    assert [path.name for path in tmp_path.rglob("*")] == ["home", ".hidden"]
    assert frames == []
