"""Measure how fast the page to browse neurons is with 20,000 of them, and write benchmarks/BROWSING.md.

python benchmarks/browsing.py

Needs Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from evidence import Table
from numpy.typing import NDArray
from playwright.sync_api import sync_playwright
from run import HERE, as_text

from neuronym import Activations, Concepts, Labels, label
from neuronym.report.page import report

N_NEURONS, N_SAMPLES, N_CONCEPTS, RUNS, SIDE = 20_000, 2_000, 300, 5, 96
FLAGS = "--no-sandbox --disable-background-networking --disable-component-update --disable-sync --no-first-run"
READY = """
new MutationObserver(() => {
  if (!window.readyAt && document.documentElement.dataset.ready)
    requestAnimationFrame(() => setTimeout(() => { window.readyAt = performance.now(); }));
}).observe(document, {subtree: true, childList: true, attributes: true});
"""
TYPED = """() => {
  const box = document.getElementById('q');
  window.typedAt = null;
  box.addEventListener('input', () => {
    const begun = performance.now();
    requestAnimationFrame(() => setTimeout(() => { window.typedAt = performance.now() - begun; }));
  }, {once: true, capture: true});
  box.focus();
}"""


def synthetic() -> tuple[Labels, dict[str, Activations], Concepts]:
    """Labels of neurons of four layers, each for two concepts in noise."""
    rng = np.random.default_rng(0)
    shown = rng.random((N_SAMPLES, N_CONCEPTS)) < rng.uniform(0.02, 0.3, N_CONCEPTS)
    concepts = Concepts.from_array(shown, [f"concept number {c}" for c in range(N_CONCEPTS)])
    layers = {}
    for k in range(4):
        values = rng.normal(size=(N_SAMPLES, N_NEURONS // 4)).astype(np.float32)
        for j in range(values.shape[1]):
            values[:, j] += 2 * shown[:, rng.integers(N_CONCEPTS)] + shown[:, rng.integers(N_CONCEPTS)]
        layers[f"layer{k}"] = Activations(values)
    return label(layers, concepts, n_jobs=-1), layers, concepts


def photos() -> NDArray[np.uint8]:
    """A picture for each sample: coarse random colours, which compress about as photos do."""
    coarse = np.random.default_rng(1).integers(0, 256, (N_SAMPLES, 12, 12, 3), np.uint8)
    return np.repeat(np.repeat(coarse, SIDE // 12, axis=1), SIDE // 12, axis=2)


def loaded(paths: set[str], kind: str) -> tuple[int, float]:
    """The number and megabytes of files of a kind."""
    chosen = [Path(path) for path in paths if kind in path]
    return len(chosen), sum(path.stat().st_size for path in chosen) / 1e6


def opened(folder: Path, chromium: str) -> tuple[list[float], list[float], list[float], set[str]]:
    """Milliseconds until the gallery is there, until a typed letter has filtered it, and until a neuron is shown.

    Also the files that the first page has loaded when everything in view is there.
    """
    ready, typed, shown = [], [], []
    files: set[str] = set()
    with sync_playwright() as running:
        for _ in range(RUNS):
            browser = running.chromium.launch(executable_path=chromium, args=FLAGS.split())
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(READY)
            asked: set[str] = set()
            page.on("request", lambda one, asked=asked: asked.add(one.url))
            page.goto((folder / "index.html").as_uri())
            page.wait_for_timeout(3000)
            ready.append(float(page.evaluate("window.readyAt")))
            files = {unquote(urlsplit(url).path) for url in asked if url.startswith("file:")}
            for letter in "con":
                page.evaluate(TYPED)
                page.keyboard.type(letter)
                page.wait_for_timeout(500)
                typed.append(float(page.evaluate("window.typedAt")))
            start = time.perf_counter()
            page.locator("#gallery a").first.click()
            page.wait_for_selector(".chart svg")
            shown.append(1000 * (time.perf_counter() - start))
            browser.close()
    return ready, typed, shown, files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "BROWSING.md")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        parser.error("no Chromium is installed")
    labels, layers, concepts = synthetic()
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        page = report(
            labels, Path(scratch) / "out", activations=layers, concepts=concepts, samples=photos(), title="Synthetic"
        )
        taken = time.perf_counter() - start
        folder = page.parent
        whole = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        ready, typed, shown, files = opened(folder, chromium)
        first = loaded(files, str(folder))
        pictures, scripts, data = (loaded(files, f"/{kind}/") for kind in ("thumbs", "assets", "data"))
    rows: list[list[str]] = [
        ["building the report", f"{taken:.0f} s", "60"],
        ["peak memory in total", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB", ""],
        ["the folder", f"{whole / 1e6:.0f} MB", ""],
        ["what the first page loads", f"{first[1]:.2f} MB", "2"],
        ["… of it scripts and style", f"{scripts[1]:.2f} MB", ""],
        ["… of it data", f"{data[1]:.2f} MB", ""],
        [f"… of it {pictures[0]} thumbnails in view, of {N_SAMPLES:,}", f"{pictures[1]:.2f} MB", ""],
        [
            "time until the page is interactive, median (worst)",
            f"{statistics.median(ready):.0f} ({max(ready):.0f}) ms",
            "500",
        ],
        ["time until a typed letter has filtered", f"{statistics.median(typed):.0f} ({max(typed):.0f}) ms", "60"],
        ["time until a neuron is shown", f"{statistics.median(shown):.0f} ({max(shown):.0f}) ms", ""],
    ]
    note = (
        f"{N_NEURONS:,} neurons of four layers, {N_SAMPLES:,} pictures, {N_CONCEPTS} concepts, opened from disk in "
        f"headless Chromium {RUNS} times. Times end after the next frame is drawn."
    )
    table: Table = ("Browsing 20,000 neurons", note, ["what", "measured", "goal"], rows)
    text = as_text([table], "browsing.py")
    print(text)
    asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
