"""``explore`` in JupyterLab, driven by a browser: the server keeps pages in a sandbox and refuses them other files."""

import importlib.util
import json
import os
import subprocess
import sys
import time

import pytest

from browsing import CHROMIUM, FLAGS

WAIT = 120  # seconds, for the first start of the server and the first compilation in the kernel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

CELL = """\
import numpy as np
from neuronym import Concepts, label
from neuronym.report import explore

rng = np.random.default_rng(0)
shown = rng.random((200, 3)) < 0.4
values = rng.normal(size=(200, 4)) + 2 * shown[:, [0, 1, 2, 0]]
concepts = Concepts.from_array(shown, ["dog", "</script><b>cat</b>", "sky"])
labels = label(values, concepts, permutations=99, holdout=0.5, min_count=5)
images = rng.integers(0, 256, size=(200, 8, 8), dtype=np.uint8)
explore(labels, "my report #1", activations=values, concepts=concepts, samples=images, height=900, overwrite=True)
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The address of a notebook in a running JupyterLab, in a folder whose name needs quoting."""
    root = tmp_path_factory.mktemp("lab")
    folder = root / "files" / "50% of my work"
    folder.mkdir(parents=True)
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": CELL}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    written = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "look.ipynb").write_text(json.dumps(written), encoding="utf-8")
    own = {f"JUPYTER_{name}_DIR": str(root / name) for name in ("RUNTIME", "CONFIG", "DATA")}
    environment = {**os.environ, **own, "IPYTHONDIR": str(root / "ipython")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    command += ["--IdentityProvider.token=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with open(root / "log", "w") as log:
        server = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={root / 'files'}"], env=environment, stdout=log, stderr=log
        )
    try:
        yield f"{address(root, server)}lab/tree/50%25%20of%20my%20work/look.ipynb"
    finally:
        server.terminate()
        server.wait(WAIT)


def address(root, server):
    """Where a server answers, from the file that it writes when it does."""
    for _ in range(10 * WAIT):
        for path in (root / "RUNTIME").glob("jpserver-*.json"):
            text = path.read_text()
            if text.endswith("}"):
                return json.loads(text)["url"]
        assert server.poll() is None, (root / "log").read_text()
        time.sleep(0.1)
    raise AssertionError((root / "log").read_text())


def test_the_page_works_in_a_frame_of_jupyterlab(notebook):
    playwright = pytest.importorskip("playwright.sync_api")
    expect = playwright.expect
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1300})
        trouble = []

        def tell(message):
            if "/files/" in message.location["url"]:  # of our page; JupyterLab talks too
                trouble.append(f"{message.type}: {message.text}")

        page.on("console", tell)
        page.on("pageerror", lambda error: trouble.append(error.stack) if "/files/" in (error.stack or "") else None)
        page.on("requestfailed", lambda asked: trouble.append(asked.url) if "/files/" in asked.url else None)
        page.goto(notebook)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=1000 * WAIT)
        page.get_by_text("| Idle").wait_for(timeout=1000 * WAIT)  # a kernel that only starts would run nothing
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        shown = page.locator(".jp-OutputArea iframe")
        shown.wait_for(timeout=1000 * WAIT)
        assert (shown.get_attribute("height"), shown.get_attribute("width")) == ("900", "100%")
        frame = page.frame_locator(".jp-OutputArea iframe")
        expect(frame.locator("h1").first).to_be_visible()
        expect(frame.locator("body")).to_contain_text("<b>cat</b>")
        first = frame.locator('main a[href^="#/neuron/"]:visible').first
        front = frame.locator("h1").first.inner_text()
        first.click()
        expect(frame.locator("h1").first).not_to_have_text(front)
        picture = frame.locator("main img").first
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("naturalWidth", 128)
        expect(frame.locator(".chart svg").first).to_be_visible()
        frame.locator("button.sample").first.click()
        expect(frame.locator("dialog .chips")).to_be_visible()
        frame.locator("dialog .close").click()
        frame.locator("#theme").click()
        expect(frame.locator("#theme")).to_have_text("Theme: light")
        frame.locator("figcaption summary").first.click()
        frame.locator("figcaption .menu button").first.click()
        expect(frame.locator("dialog")).to_contain_text("A notebook allows no downloads")
        frame.locator("dialog button").click()
        if folder := os.environ.get("SCREENS"):
            page.screenshot(path=f"{folder}/notebook.png")
        page.evaluate("history.back()")  # go_back waits for the page, but only the frame goes back
        expect(frame.locator("h1").first).to_have_text(front)
        expect(first).to_be_visible()
        browser.close()
    assert trouble == []
