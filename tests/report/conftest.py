import numpy as np
import pytest
from PIL import Image

from browsing import CHROMIUM, FLAGS
from neuronym import Activations, Concepts, Hierarchy, label
from neuronym.analysis.spurious.findings import find_spurious
from neuronym.report.page import report
from page_cases import HOSTILE, N, a_circuit, some_methods, untrained


@pytest.fixture(scope="session")
def data():
    rng = np.random.default_rng(0)
    shown = rng.random((N, 5)) < [0.3, 0.3, 0.2, 0.4, 0.5]
    values = rng.normal(size=(N, 6))
    values[:, 0] += 2 * (shown[:, 0] & ~shown[:, 1])
    values[:, 1] = np.maximum(values[:, 1] + 2 * shown[:, 2], 0)
    values[:, 5] = 1.0
    ids = [f"{i:03}.png" for i in range(N)]
    concepts = Concepts.from_array(shown, ["dog", "grass", "sky", "wolf_dog", "night"], sample_ids=ids)
    return Activations(values, sample_ids=ids), concepts


@pytest.fixture(scope="session")
def made(data, tmp_path_factory):
    taken, concepts = data
    root = tmp_path_factory.mktemp("report")
    (root / "photos").mkdir()
    for i, name in enumerate(taken.sample_ids):
        Image.new("RGB", (40, 30), (i % 256, 90, 120)).save(root / "photos" / name)
    labels = label({"low": taken, "high": taken}, concepts, permutations=99, holdout=0.5, min_count=5)
    page = report(
        labels,
        root / "out",
        activations={"low": taken, "high": taken},
        concepts=concepts,
        samples=root / "photos",
        hierarchy=Hierarchy(
            [("wolf_dog", "dog"), ("dog", "animal"), ("sky", "thing"), ("animal", "thing"), ("x", "grass")]
        ),
        other=label({"low": taken, "high": taken}, concepts, length=1, min_count=5),
        baselines=[untrained(taken, concepts, seed) for seed in range(2)],
        findings=find_spurious({"low": taken}, concepts, suspects=["night"], outputs="low"),
        circuits=[a_circuit()],
        methods=some_methods(),
        title="Test",
        n_samples=5,
    )
    return page.parent, labels


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    n, k = 120, len(HOSTILE)
    shown = rng.random((n, k)) < 0.3
    values = rng.normal(size=(n, k)) + 2 * shown
    ids = [*HOSTILE, *(f"s{i}" for i in range(n - k))]
    concepts = Concepts.from_array(shown, HOSTILE, sample_ids=ids)
    layers = {name: Activations(values, HOSTILE, sample_ids=ids) for name in ("<i>layer</i>/..", "..")}
    labels = label(layers, concepts, length=1, min_count=5)
    page = report(labels, root / "out", activations=layers, concepts=concepts, samples=dict(zip(ids, ids, strict=True)),
                  title="<script>alert(2)</script>")  # fmt: skip
    return page.parent, labels


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()
