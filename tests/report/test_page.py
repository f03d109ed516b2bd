import json
import re
import shutil
import subprocess
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuronym import (
    Activations,
    AlignmentError,
    Concepts,
    Explanation,
    FileError,
    Formula,
    Hierarchy,
    Label,
    Labels,
    OptionError,
    compare_layers,
    label,
    save_activations,
    save_concepts,
)
from neuronym.analysis.circuits.graph import Circuit, open_circuit, save_circuit
from neuronym.analysis.spurious.findings import find_spurious, open_findings
from neuronym.labels.schema import column
from neuronym.report.page import report
from reference import auc_by_pairs

N = 300


@pytest.fixture(scope="module")
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


def a_circuit():
    """The high layer's neuron 0, from two of the low one."""
    graph = networkx.DiGraph()
    graph.add_node(("high", 0), layer="high", neuron=0, level=0, name="<b>dog</b>")
    for neuron, value in ((0, 1.5), (1, -0.5)):
        graph.add_node(("low", neuron), layer="low", neuron=neuron, level=1, formula="dog & ~grass", auc=0.9)
        graph.add_edge(("low", neuron), ("high", 0), contribution=value, share=abs(value) / 2, method="linear")
    return Circuit(graph, ("high", 0), ["high", "low"], 7, {("high", 0): 1.0})


def pieces(folder, name):
    """What a piece of data holds."""
    text = (Path(folder) / "data" / f"{name}.js").read_text(encoding="ascii")
    named, value = re.fullmatch(r"neuronym\.piece\((\"[^\"]+\"),(.*)\);\n", text, re.DOTALL).groups()
    assert json.loads(named) == name
    found = json.loads(value)
    if name == "index":
        found["columns"] = {key: unpacked(column) for key, column in found["columns"].items()}
    return found


def unpacked(column):
    """A column of the index, as the page reads it."""
    if "runs" in column:
        return [start + column["step"] * k for start, n in column["runs"] for k in range(n)]
    if "codes" in column:
        return [column["values"][code] for code in column["codes"]]
    return [x if x is None else x / 10000 for x in column["scaled"]] if "scaled" in column else column["plain"]


def untrained(taken, concepts, seed):
    """Labels of noise instead of the network's activations."""
    noise = Activations(np.random.default_rng(seed + 9).normal(size=taken.matrix.shape), sample_ids=taken.sample_ids)
    return label({"low": noise, "high": noise}, concepts, permutations=99, holdout=0.5, min_count=5)


@pytest.fixture(scope="module")
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
        title="Test",
        n_samples=5,
    )
    return page.parent, labels


def test_the_index_holds_every_label(made):
    folder, labels = made
    index = pieces(folder, "index")
    assert index["columns"]["auc"] == [None if one.best is None else float(f"{one.auc:.4g}") for one in labels]
    assert [index["layers"][k] for k in index["columns"]["layer"]] == [one.layer for one in labels]
    assert index["columns"]["neuron"] == [one.neuron for one in labels]

    def spelled(f):
        return {index["concepts"][int(c)] for c in re.findall(r"\d+", f)}

    for one, k in zip(labels, index["columns"]["formula"], strict=True):
        assert (set(one.formula.concepts) if one.formula else None) == (
            spelled(index["formulas"][k]) if k >= 0 else None
        )
    assert index["reasons"][str(5)] == list(labels)[5].reason
    assert set(index["sections"]) == {"findings", "compared", "baselines", "circuits"}
    depth = dict(zip(index["concepts"], index["depth"], strict=True))
    assert (depth["wolf_dog"], depth["sky"], depth["grass"], depth["night"]) == (3, 1, 0, None)


def test_layers_stand_beside_those_of_baselines(made, data):
    folder, labels = made
    rows = pieces(folder, "baselines")
    table = compare_layers(labels, [untrained(*data, seed) for seed in range(2)])
    assert [(row["layer"], row["baselines"]) for row in rows] == [("low", 2), ("high", 2)]
    for row in rows:
        of_layer = table[table["layer"] == row["layer"]].set_index("network")
        for name in ("auc", "auc_heldout", "believable", "concepts"):
            others = sorted(of_layer.loc[["baseline 1", "baseline 2"], name])
            expected = [of_layer.loc["network", name], sum(others) / 2, *others]
            assert row[name] == pytest.approx(expected, rel=1e-3)


def test_a_neuron_has_its_distribution_curve_and_samples(made, data):
    folder, labels = made
    taken, concepts = data
    part = pieces(folder, "neurons/0")
    for i, one in enumerate(list(labels)[:5]):
        own, values = part["neurons"][i], taken.matrix[:, one.neuron]
        inside = one.formula.evaluate(concepts)
        for side, members in (("inside", inside), ("outside", ~inside)):
            d = own["distribution"][side]
            step = (d["high"] - d["low"]) / len(d["heights"])
            assert sum(d["heights"]) * step + d["zeros"] == pytest.approx(1, abs=0.01)
            assert d["zeros"] == pytest.approx(np.mean(values[members] == 0), abs=1e-3)
        curve = own["roc"]
        assert curve["auc"] == pytest.approx(float(auc_by_pairs(values, inside)), abs=1e-4)
        assert np.trapezoid(curve["y"], curve["x"]) == pytest.approx(float(auc_by_pairs(values, inside)), abs=0.02)
        places, shown, truth = own["shown"]["top"]
        assert places == np.argsort(-values, kind="stable")[:5].tolist()
        assert shown == [float(f"{v:.4g}") for v in values[places]]
        assert truth == inside[places].astype(int).tolist()
        assert all(inside[own["shown"]["random"][0]])
        outside, missed = (own["shown"][kind][0] for kind in ("outside", "missed"))
        assert not inside[outside].any()
        assert values[outside].min() >= np.sort(values[~inside])[-5]
        assert inside[missed].all()
        assert values[missed].max() <= np.sort(values[inside])[4]
        assert own["path"][0]["auc"] == float(f"{one.path[0].auc:.4g}")
        assert (own["gap"], own["ceiling"]) == (0, float(f"{one.ceiling:.4g}"))
        for name, auc, count in own["single"]["highest"] + own["single"]["lowest"]:
            assert auc == pytest.approx(float(auc_by_pairs(values, concepts[name])), abs=1e-4)
            assert count == concepts[name].sum()
        for row in (*places, *outside):
            assert part["samples"][str(row)] == [f"{row:03}.png", None, 1]
            assert (folder / "thumbs" / f"{row}.jpg").exists()
    assert part["neurons"][1]["distribution"]["outside"]["zeros"] > 0.3
    same = [j for j, other in enumerate(labels) if j and other.formula == next(iter(labels)).formula]
    assert part["neurons"][0]["same"] == same
    assert "roc" not in part["neurons"][5]


def test_a_concept_has_its_neurons_samples_and_relatives(made, data):
    folder, labels = made
    taken, concepts = data
    index = pieces(folder, "index")
    part = pieces(folder, "concepts/0")
    own = part["concepts"][index["concepts"].index("dog")]
    assert own["count"] == concepts["dog"].sum()
    assert all(concepts["dog"][own["samples"]])
    assert (own["parents"], own["children"]) == ([], ["wolf_dog"])
    aucs = [float(auc_by_pairs(taken.matrix[:, list(labels)[i].neuron], concepts["dog"])) for i, _ in own["neurons"]]
    assert [auc for _, auc in own["neurons"]] == pytest.approx(aucs, abs=1e-4)
    assert aucs == sorted(aucs, reverse=True)
    having = [i for i, one in enumerate(labels) if one.formula and "dog" in one.formula.concepts]
    assert sorted(own["formulas"]) == having
    assert own["n_formulas"] == len(having)
    assert own["formulas"] == sorted(having, key=lambda i: -list(labels)[i].auc)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([*range(20), *range(20)], "runs"),
        ([0] * 20 + [1] * 20, "runs"),
        ([0.001, None, 0.001, 1.0] * 10, "codes"),
        ([k / 10000 for k in range(0, 4000, 100)] + [None], "scaled"),
        ([1e-7 * k for k in range(40)], "plain"),
        (["a", 5, "b"], "plain"),
        ([True, 1.0, 2, 3], "plain"),
        ([None] * 8, "codes"),
    ],
)
def test_columns_are_packed_and_unpacked(values, kind):
    from neuronym.report.building import _packed

    packed = _packed(values)
    assert kind in packed
    assert unpacked(json.loads(json.dumps(packed))) == values
    assert len(json.dumps(packed)) <= len(json.dumps({"plain": values}))


def test_sections_hold_what_was_given(made, data):
    folder, labels = made
    (own,) = pieces(folder, "circuits")
    assert [(node["layer"], node["neuron"], node["level"]) for node in own["nodes"]] == [
        ("high", 0, 0), ("low", 0, 1), ("low", 1, 1)
    ]  # fmt: skip
    assert own["edges"] == [[1, 0, 1.5, 0.75], [2, 0, -0.5, 0.25]]
    (found,) = pieces(folder, "findings")
    assert found["suspect"] == "night"
    expected = find_spurious({"low": data[0]}, data[1], suspects="night", outputs="low")
    column = found["classes"]["columns"].index("change")
    assert [row[column] for row in found["classes"]["rows"]] == [float(f"{x:.4g}") for x in expected.classes["change"]]
    by_place = {row[0]: row for row in pieces(folder, "compared")}
    for i, one in enumerate(label({"low": data[0], "high": data[0]}, data[1], length=1, min_count=5)):
        assert by_place[i][2] == (None if one.best is None else float(f"{one.auc:.4g}"))
    assert len(by_place) == len(labels)


def test_circuits_and_findings_are_read_back(tmp_path, data):
    save_circuit(a_circuit(), tmp_path / "c.json")
    again = open_circuit(tmp_path / "c.json")
    assert (again.target, list(again.layers), again.n_samples) == (("high", 0), ["high", "low"], 7)
    assert dict(again.graph.edges) == dict(a_circuit().graph.edges)
    assert dict(again.graph.nodes) == dict(a_circuit().graph.nodes)
    (tmp_path / "d.json").write_text("{}")
    with pytest.raises(FileError, match="is not a circuit saved by save_circuit"):
        open_circuit(tmp_path / "d.json")
    found = find_spurious({"low": data[0]}, data[1], suspects="night", outputs="low")
    found.save(tmp_path)
    saved = open_findings(tmp_path)
    assert saved.neurons["auc"].tolist() == found.neurons["auc"].tolist()
    assert saved.classes["class"].tolist() == found.classes["class"].tolist()
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "neurons.csv")
    with pytest.raises(FileError, match="is not a table of findings"):
        open_findings(tmp_path)


@pytest.mark.parametrize(
    "text", ["a", "~a", "a & ~b", "a | b & ~c", "c & ~(a | b)", "(a | b) & (c | ~a)", "~(a & b) | c"]
)
def test_formulas_are_coded_as_they_are_spelled(text):
    from neuronym.report.building import _coded

    formula = Formula.parse(text)
    coded = _coded(formula, {"a": 0, "b": 11, "c": 2})
    again = re.sub(r"\d+", lambda match: {"0": "a", "11": "b", "2": "c"}[match[0]], coded)
    assert Formula.parse(again) == formula
    assert " " not in coded


def test_neighbours_are_those_with_like_ranks(made, data):
    folder, _ = made
    taken, _ = data
    ranks = pd.DataFrame(taken.matrix).rank().corr()[0].fillna(0)
    near = pieces(folder, "neurons/0")["neurons"][0]["near"]
    assert [r for _, r in near] == pytest.approx([ranks[i] for i, _ in near], abs=2e-3)
    assert near[0][1] == max(ranks[1:5].max(), near[0][1])


def test_labels_alone_make_a_page(tmp_path):
    labels = Labels([Label(0), Label("a", reason="constant")])
    page = report(labels, tmp_path / "out")
    assert page.is_file()
    assert not (tmp_path / "out" / "thumbs").exists()
    assert pieces(tmp_path / "out", "neurons/0")["neurons"][0]["near"] == []


def test_texts_and_rows_are_shown(tmp_path, data):
    taken, concepts = data
    labels = label(taken, concepts, min_count=5)
    texts = tmp_path / "texts.csv"
    pd.DataFrame({"sample": taken.sample_ids, "text": [f"text {i}, <b>" for i in range(N)]}).to_csv(texts, index=False)
    rows = pd.DataFrame({"sample": taken.sample_ids, "age": range(N), "town": ["x"] * N})
    for k, (given, expected) in enumerate(
        [(texts, "text {}, <b>"), (rows, "age: {}; town: x"), ([f"row {i}" for i in range(N)], "row {}")]
    ):
        report(labels, tmp_path / str(k), activations=taken, concepts=concepts, samples=given)
        part = pieces(tmp_path / str(k), "neurons/0")
        row = part["neurons"][0]["shown"]["top"][0][0]
        assert part["samples"][str(row)] == [f"{row:03}.png", expected.format(row), 0]


def test_a_report_is_complete_or_absent_and_overwrites_nothing_unasked(tmp_path, data):
    taken, concepts = data
    labels = label(taken, concepts, min_count=5)
    report(labels, tmp_path / "out", activations=taken, concepts=concepts)
    with pytest.raises(FileError, match="exists: choose another name"):
        report(labels, tmp_path / "out")
    report(labels, tmp_path / "out", overwrite=True)
    assert "distribution" not in pieces(tmp_path / "out", "neurons/0")["neurons"][0]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(FileError, match="exists and is not a report"):
        report(labels, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match=r"holds 'notes\.txt', which neuronym did not write"):
        report(labels, tmp_path / "out", overwrite=True)
    (tmp_path / "mine" / "data").mkdir()
    (tmp_path / "mine" / "data" / "index.js").write_text("of another program, or of an early version")
    with pytest.raises(FileError, match="delete it yourself, or choose another name"):
        report(labels, tmp_path / "mine", overwrite=True)
    with pytest.raises(FileError, match="there is no folder"):
        report(labels, tmp_path / "none" / "out")
    with pytest.raises(ValueError, match="NaN"):
        report(labels, tmp_path / "broken", activations=np.full((N, 6), np.nan), concepts=concepts.with_ids(range(N)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"samples": ["a"]}, "1 sample to show but the activations have 300 rows"),
        ({"samples": {"a": "text"}}, "300 of 300 samples are not among those to show"),
        ({"n_samples": 0}, "n_samples must be"),
        ({"n_samples": 2.5}, "n_samples must be"),
        ({"seed": -1}, "seed must be"),
        ({"n_jobs": 0}, "n_jobs must be"),
        ({"samples": 5}, "not int"),
        ({"samples": "nope.csv"}, "there is no file 'nope.csv'"),
        ({"circuits": [5]}, "circuits must be Circuit"),
        ({"activations": {"other": np.zeros((N, 6))}}, "but the activations to 'other'"),
        ({"samples": np.zeros((N, 2, 2, 2))}, r"not \(2, 2, 2\)"),
        ({"samples": "nothing.xyz"}, "cannot show samples from"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, data, options, match):
    taken, concepts = data
    labels = Labels([Label(0, layer="low")]) if "activations" in options else Labels([Label(0)])
    with pytest.raises((OptionError, FileError, AlignmentError), match=match):
        report(labels, tmp_path / "out", **{"activations": taken, "concepts": concepts, **options})
    assert not (tmp_path / "out").exists()


def test_the_command_builds_it(tmp_path, data, command):
    taken, concepts = data
    save_activations(taken, tmp_path / "a.npz")
    save_concepts(concepts, tmp_path / "c.parquet")
    label(taken, concepts, min_count=5).save(tmp_path / "l.csv")
    code, out, err = command("report", tmp_path / "l.csv", "--activations", tmp_path / "a.npz", "--concepts",
                             tmp_path / "c.parquet", "--out", tmp_path / "out")  # fmt: skip
    assert code == 0, err
    assert f"open {tmp_path / 'out' / 'index.html'} in a browser" in out
    assert "distribution" in pieces(tmp_path / "out", "neurons/0")["neurons"][0]
    code, _, err = command("report", tmp_path / "l.csv", "--out", tmp_path / "out")
    assert (code, "exists" in err) == (2, True)


def test_layers_in_another_order_show_their_own_samples(tmp_path, data):
    taken, concepts = data
    rows = np.random.default_rng(1).permutation(N)
    layers = {"x": taken, "y": taken.take(rows[:200])}
    with pytest.warns(UserWarning, match="align=True keeps 200 samples"):
        labels = label(layers, concepts, min_count=5, align=True)
    with pytest.warns(UserWarning, match="align=True keeps 200 samples"):
        report(labels, tmp_path / "out", activations=layers, concepts=concepts, align=True)
    by_id = dict(zip(taken.sample_ids, taken.matrix, strict=True))
    for i, one in enumerate(labels):
        part = pieces(tmp_path / "out", f"neurons/{i // 16}")
        own = part["neurons"][i % 16]
        for places, values, truth in own["shown"].values():
            for place, value, inside in zip(places, values, truth, strict=True):
                name = part["samples"][str(place)][0]
                assert value == float(f"{by_id[name][one.neuron]:.4g}")
                if one.formula is not None:
                    assert inside == one.formula.evaluate(concepts)[taken.sample_ids.index(name)]
    with pytest.raises(OptionError, match="layer 'y' has other samples than the first"):
        report(labels, tmp_path / "b", activations={"x": taken.matrix, "y": taken.matrix[:9]})


def test_low_neurons_are_told_as_low(tmp_path, data):
    taken, concepts = data
    labels = label(taken, concepts, min_count=5, direction="both")
    report(labels, tmp_path / "out", activations=taken, concepts=concepts)
    part = pieces(tmp_path / "out", "neurons/0")
    for i, one in enumerate(labels):
        own = part["neurons"][i]
        for name, auc, _ in own["single"]["highest"]:
            high = float(auc_by_pairs(taken.matrix[:, one.neuron], concepts[name]))
            assert auc == pytest.approx(1 - high if one.direction == "low" else high, abs=1e-4)
        assert len(own["near"]) == 5
        values = own["shown"]["top"][1]
        assert values == sorted(values, reverse=one.direction == "high")
        if "roc" in own:
            assert own["roc"]["auc"] == pytest.approx(one.auc, abs=1e-3)
    assert pieces(tmp_path / "out", "concepts/0")["concepts"][0]["neurons"]


def test_concepts_that_are_not_given_have_no_curves(tmp_path, data):
    taken, concepts = data
    labels = label(taken, concepts, min_count=5)
    with pytest.warns(UserWarning, match="formulas contain 4 concepts missing from the concepts given"):
        report(labels, tmp_path / "out", activations=taken, concepts=concepts.select(["night"]))
    own = pieces(tmp_path / "out", "neurons/0")["neurons"][1]
    assert "roc" not in own
    assert "sky" in own["unknown"]
    assert set(own["distribution"]) == {"all"}


def test_an_image_that_cannot_be_read_is_not_shown(tmp_path, data):
    taken, concepts = data
    (tmp_path / "photos").mkdir()
    for name in taken.sample_ids:
        Image.new("RGB", (9, 9)).save(tmp_path / "photos" / name)
    top = int(np.argmax(taken.matrix[:, 0]))
    (tmp_path / "photos" / taken.sample_ids[top]).write_bytes(b"broken")
    report(label(taken, concepts, min_count=5), tmp_path / "out", activations=taken, concepts=concepts,
           samples=tmp_path / "photos", n_jobs=1)  # fmt: skip
    told = pieces(tmp_path / "out", "neurons/0")["samples"]
    assert told[str(top)][2] == 0
    assert sum(one[2] for one in told.values()) == len(told) - 1


HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted\" 'single' `tick`",
    "../../etc/passwd",
    "x" * 300,
    "🐕‍🦺 dog",
    "كلب أسود",
    "a&amp;b",
    "#/neuron/1?q=x",
    "</script><img src=x onerror=alert(1)>",
    " leading",
    "new\nline",
    "%2e%2e%2f",
    "__proto__",
    "constructor",
]


@pytest.fixture(scope="module")
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


def test_hostile_names_leave_the_folder_nowhere_and_stay_text(hostile):
    folder, _ = hostile
    assert {path.name for path in folder.parent.iterdir()} == {"out"}
    html = (folder / "index.html").read_text()
    assert "<script>alert" not in html
    found = []

    class Scripts(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "script":
                found.append(dict(attrs).get("src"))

    Scripts().feed(html)
    assert found == [
        *(f"assets/{name}" for name in ("vendor/uPlot.iife.min.js", "charts.js", "app.js", "views.js")),
        "data/index.js",
    ]
    assert pieces(folder, "index")["concepts"] == HOSTILE


# ---- in a browser


CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def expect(locator):
    from playwright.sync_api import expect as expected

    return expected(locator)


@contextmanager
def opened(browser, folder, at="", **options):
    """A page; it must say nothing on the console, fail at nothing, and ask for nothing outside of its folder."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    page = context.new_page()
    trouble = []
    page.on("console", lambda message: trouble.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
    root = folder.resolve().as_uri() + "/"
    page.on("request", lambda asked: None if asked.url.startswith((root, "data:")) else trouble.append(asked.url))

    def failed(asked):
        if "ERR_ABORTED" not in (asked.failure or ""):  # of a page that is left
            trouble.append(f"failed: {asked.url}")

    page.on("requestfailed", failed)
    page.goto(f"{root}index.html{at}")
    page.wait_for_selector("h1")
    yield page
    context.close()
    assert trouble == []


@in_browser
@pytest.mark.parametrize("name", ["constructor", "toString", "__proto__"])
def test_an_address_that_is_no_view_is_not_found(browser, made, name):
    with opened(browser, made[0], f"#/{name}") as page:
        assert page.locator("h1").inner_text() == "Not found"


@in_browser
def test_search_sort_and_filter(browser, made):
    folder, labels = made
    with opened(browser, folder) as page:
        assert page.locator("#count").inner_text() == f"{len(labels)} neurons"
        page.fill("#q", "dog ~grass")
        wanted = [
            one
            for one in labels
            if one.formula and "~grass" in str(one.formula) and re.search("(?<!~)dog", str(one.formula))
        ]
        assert len(wanted) > 0
        assert page.locator("#count").inner_text() == f"{len(wanted)} of {len(labels)} neurons"
        assert "q=dog" in page.url
        shown = page.locator("#neurons td.formula").all_inner_texts()
        assert sorted(shown) == sorted(str(one.formula) for one in wanted)
        page.fill("#q", "")
        page.click("button[data-sort=fraction]")
        cells = page.locator("#neurons tbody tr td:nth-child(5)").all_inner_texts()
        numbers = [float(cell) for cell in cells if cell]
        assert numbers == sorted(numbers, reverse=True)
        assert page.locator("th[aria-sort=descending]").inner_text().startswith("fraction")
        page.click("button[data-sort=fraction]")
        cells = page.locator("#neurons tbody tr td:nth-child(5)").all_inner_texts()
        assert [float(cell) for cell in cells if cell] == sorted(numbers)
        page.locator("#auc").fill("0.8")
        high = sum(one.auc >= 0.8 for one in labels)
        assert page.locator("#count").inner_text() == f"{high} of {len(labels)} neurons"
        page.select_option("#layer", "low")
        assert page.locator("#neurons tbody tr").count() == sum(one.auc >= 0.8 and one.layer == "low" for one in labels)


@in_browser
def test_columns_are_titled_and_shown_as_in_a_printed_table(browser, tmp_path):
    best = Explanation(Formula.parse("dog"), 0.91234, 0.1, 10, auc_heldout=0.9)
    labels = Labels(
        [
            Label(0, best=best, p_search=1e-9, q=0.0, tail=True, permutations=99, stability=0.5),
            Label(1, best=best, p_search=1e-5, q=0.012, tail=False, permutations=99),
            Label(2, reason="constant"),
        ]
    )
    page = report(labels, tmp_path / "out")
    titles, rows = labels.cells()
    with opened(browser, page.parent) as shown:
        heads = [text.split()[0] for text in shown.locator("#neurons th").all_inner_texts()]
        assert heads == ["neuron", "formula", "auc", "fraction", "count", "length", "p_search", "q", "auc_heldout",
                         "stability"]  # fmt: skip
        for i, row in enumerate(rows):
            cells = shown.locator(f"#neurons tbody tr:nth-child({i + 1}) td").all_inner_texts()
            found = dict(zip(heads, cells, strict=True))
            expected = dict(zip(titles, row, strict=True))
            for name in set(heads) & set(titles):
                assert found[name] == expected[name], name
        assert shown.locator("button[data-sort=q]").get_attribute("title") == column("q").about
        shown.locator("#neurons tbody a").first.click()
        shown.wait_for_selector("dl.facts")
        facts = dict(zip(*(shown.locator(f"dl.facts {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True))
        assert (facts["auc"], facts["q"], facts["p_search"]) == (
            "0.9123",
            "< 1e-323",
            rows[0][titles.index("p_search")],
        )


@in_browser
def test_a_neuron_is_opened_and_the_table_is_found_again_as_it_was(browser, made):
    folder, _ = made
    with opened(browser, folder, "#/?q=dog&sort=fraction") as page:
        count = page.locator("#count").inner_text()
        first = page.locator("#neurons tbody a").first
        name = first.inner_text()
        first.click()
        page.wait_for_selector("ul.samples img")
        assert page.locator("h1").inner_text().endswith(f" {name}")
        assert page.url.endswith(f"/{name}")
        assert page.locator("canvas").count() >= 2
        script = "() => Promise.all([...document.images].slice(0, 5).map(i => i.decode().then(() => i.naturalWidth)))"
        widths = page.evaluate(script)
        assert len(widths) == 5
        assert all(width > 0 for width in widths)
        page.go_back()
        page.wait_for_selector("#neurons")
        assert page.locator("#count").inner_text() == count
        assert page.locator("#q").input_value() == "dog"
        assert page.locator("th[aria-sort=ascending]").inner_text().startswith("fraction")
    with opened(browser, folder, "#/neuron/low/0") as page:  # a permanent link
        page.wait_for_selector("ul.samples")
        assert page.locator("h1").inner_text() == "low 0"
        page.locator("main a bdi:text-is('dog')").first.click()
        expect(page.locator("h1")).to_have_text("dog")
        page.locator("main a bdi:text-is('wolf_dog')").first.click()
        expect(page.locator("h1")).to_have_text("wolf_dog")


@in_browser
@pytest.mark.parametrize(
    "at",
    ["concepts", "concept/dog", "layers", "compare", "circuits", "spurious", "neuron/high/1", "nothing", "neuron/x/y"],
)
def test_every_page_opens_light_and_dark_wide_and_narrow(browser, made, at):
    folder, _ = made
    for options in ({}, {"color_scheme": "dark"}):
        with opened(browser, folder, f"#/{at}", **options) as page:
            page.wait_for_timeout(100)
            assert page.locator("h1").count() == 1
            page.set_viewport_size({"width": 390, "height": 800})
            page.wait_for_timeout(250)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390


@in_browser
def test_the_page_of_layers_shows_baselines(browser, made):
    folder, _ = made
    rows = pieces(folder, "baselines")
    with opened(browser, folder, "#/layers") as page:
        table = page.locator("table", has_text="baselines").last
        table.wait_for()
        cells = table.locator("tbody tr").first.locator("td, th").all_inner_texts()
    auc, of_baselines = rows[0]["auc"][0], rows[0]["auc"][1:]
    assert cells[:2] == ["low", f"{auc:.4f}"]
    assert cells[2] == "{:.4f} ({:.4f} to {:.4f})".format(*of_baselines)
    assert cells[5] == f"{rows[0]['believable'][0]:.1%}"


@in_browser
def test_filters_of_an_address_hold_for_the_next_neuron_and_after_a_reload(browser, made):
    folder, labels = made
    with opened(browser, folder, "#/?q=sky&sort=neuron") as page:
        count = page.locator("#count").inner_text()
        names = page.locator("#neurons tbody a").all_inner_texts()
        assert len(names) > 1
        page.locator("#neurons tbody a").first.click()
        page.wait_for_selector("ul.samples")
        page.reload()
        page.wait_for_selector("a[rel=next]")
        page.click("a[rel=next]")
        expect(page.locator("h1")).to_have_text(re.compile(f" {names[1]}$"))
        page.click("text=All neurons")
        expect(page.locator("#count")).to_have_text(count)
        address = page.url
        page.keyboard.press("Tab")
        page.evaluate("document.querySelector('.skip').focus()")
        page.keyboard.press("Enter")
        assert page.url == address
    with opened(browser, folder, "#/?believed=1&q=%22dog%22") as page:
        wanted = sum(one.formula is not None and one.q <= 0.05 and bool(re.search(r"(?<![~\w])dog", str(one.formula)))
                     for one in labels)  # fmt: skip
        assert page.locator("#neurons tbody tr").count() == wanted


@in_browser
def test_the_keyboard_alone_will_do(browser, made):
    folder, _ = made
    with opened(browser, folder) as page:
        page.keyboard.press("/")
        page.keyboard.type("dog")
        assert "of" in page.locator("#count").inner_text()
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.closest('tbody') !== null"):
                break
        name = page.evaluate("document.activeElement.innerText")
        page.keyboard.press("Enter")
        page.wait_for_selector("ul.samples")
        heading = page.locator("h1").inner_text()
        assert heading.endswith(name)
        page.keyboard.press("ArrowRight")
        expect(page.locator("h1")).not_to_have_text(heading)
        page.keyboard.press("ArrowLeft")
        expect(page.locator("h1")).to_have_text(heading)


@in_browser
@pytest.mark.parametrize("at", ["", "neuron/low/0", "concept/dog", "layers", "spurious", "compare", "circuits"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_inaccessible(browser, made, at, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    folder, _ = made
    with opened(browser, folder, f"#/{at}", color_scheme=scheme) as page:
        page.wait_for_timeout(200)
        found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []


@in_browser
def test_hostile_names_are_text_everywhere(browser, hostile):
    folder, labels = hostile
    with opened(browser, folder) as page:
        assert page.locator("h1").inner_text() == "<script>alert(2)</script>"
        assert page.locator("#neurons tbody tr").count() == len(labels)
        assert page.locator("td script, td img, td i").count() == 0
        links = page.locator("#neurons tbody a").evaluate_all("list => list.map(a => a.getAttribute('href'))")
        assert len(set(links)) == len(labels)
        for link in links:
            page.evaluate("to => { location.hash = to }", link)
            page.wait_for_selector("ul.samples")
            expect(page.locator("#neurons")).to_have_count(0)
            assert page.locator("main script, main i, main b").count() == 0
        for name in HOSTILE:
            page.evaluate("to => { location.hash = to }", "#/concept/" + page.evaluate("encodeURIComponent", name))
            expect(page.locator("h1 bdi")).to_have_text(name)
            assert page.locator("h1 bdi").text_content() == name


@in_browser
def test_half_of_a_character_does_not_stop_the_page(browser, tmp_path):
    # Names with one are refused where they enter; a formula of one's own may still have it.
    halves = ["\ud800", "a\udfff", "\\ud800x"]
    best = [Explanation(Formula.concept(name), 0.9, 0.5, 10) for name in halves]
    labels = Labels(Label(i, best=one, path=(one,)) for i, one in enumerate(best))
    folder = report(labels, tmp_path / "out").parent
    with opened(browser, folder) as page:
        assert page.locator("#neurons tbody tr").count() == len(labels)
        for name in halves:
            link = page.evaluate("name => neuronym.conceptLink(name)", name)
            page.evaluate("to => { location.hash = to }", link)
            expect(page.locator("h1 bdi")).to_have_count(1)
            assert page.evaluate("name => document.querySelector('h1 bdi').textContent === name", name), name
    with pytest.raises(OptionError, match=r"the title 'a.ud800' contains half of a character"):
        report(labels, tmp_path / "other", title="a\ud800")
    assert not (tmp_path / "other").exists()


def test_uplot_comes_with_its_licence():
    vendor = Path(__file__).parents[2] / "src/neuronym/report/static/vendor"
    assert "MIT" in (vendor / "uPlot.LICENSE").read_text()
    assert "1.6.32" in (vendor / "uPlot.iife.min.js").read_text()[:100]


def test_the_scripts_are_written_without_markup_from_data():
    static = Path(__file__).parents[2] / "src/neuronym/report/static"
    for path in static.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), path
    if node := shutil.which("node"):
        for path in static.glob("*.js"):
            subprocess.run([node, "--check", path], check=True)
