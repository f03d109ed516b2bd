"""Circuits on the page: the drawing, comparisons and ablations, and the layers that they need."""

import csv
import io
import json
import shutil
from xml.etree import ElementTree

import networkx
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from browsing import expect, go, in_browser, opened, violations
from neuronym import Activations, Concepts, Explanation, FileError, Formula, Label, Labels, OptionError, label
from neuronym.analysis.circuits import Ablation, Circuit, CircuitStudy, save_circuit
from neuronym.analysis.spurious import find_spurious
from neuronym.report.page import report
from page_cases import a_circuit, pieces


class Told:
    """Contributions of which only the table is asked."""

    headline = "told"

    def table(self, labels=None):
        return pd.DataFrame({"neuron": [0, 1], "contribution": [1.5, -0.5], "share": [0.75, 0.25]})


def a_study():
    versus = pd.DataFrame(
        {"neuron": [0, 1], "first": [1.5, -0.5], "second": [0.5, 1.0], "difference": [1.0, -1.5],
         "formula": ["dog & ~grass", None], "auc": [0.9, np.nan]}
    )  # fmt: skip
    ablation = Ablation(
        ("high", 0), {"low": [0, 1]}, np.array([2.0, 3.0]), np.array([1.0, 1.0]),
        np.array([[2.0, 2.9], [1.9, 3.0], [2.0, 3.1]]), 0.75, 0.5, np.array([0.75, 0.75, 0.5]),
    )  # fmt: skip
    heading = "to <i>dog</i> (first) and to wolf (second)"
    return CircuitStudy(a_circuit(), Told(), None, {"versus": (heading, versus)}, {"ablation_low": ablation})


def labels_of(*layers):
    best = Explanation(Formula.parse("dog & ~grass"), 0.9, 0.1, 10)
    return Labels(Label(i, layer=layer, best=best, path=(best,)) for layer in layers for i in range(2))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "study").mkdir()
    a_study().save(tmp_path / "study")
    return tmp_path / "study"


def test_a_study_its_folder_and_its_file_are_shown(tmp_path, folder):
    made = [a_study(), folder, folder / "circuit.json", a_circuit()]
    page = report(labels_of("high", "low"), tmp_path / "out", circuits=made)
    study, of_folder, of_file, alone = pieces(page.parent, "circuits")
    assert study == of_folder
    assert of_file == alone
    assert (alone["comparisons"], alone["ablations"]) == ([], [])
    assert study["edges"] == alone["edges"] == [[1, 0, 1.5, 0.75], [2, 0, -0.5, 0.25]]
    (versus,) = study["comparisons"]
    assert versus["heading"] == "to <i>dog</i> (first) and to wolf (second)"
    assert [row[:4] for row in versus["rows"]] == [[1, -0.5, 1.0, -1.5], [0, 1.5, 0.5, 1.0]]
    (ablation,) = study["ablations"]
    assert (ablation["before"], ablation["change"], ablation["accuracy_after"]) == (2.5, -1.5, 0.5)
    assert ablation["neurons"] == [["low", [0, 1]]]
    assert len(ablation["changes_random"]) == 3


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("versus.csv", "neuron,first\n1,2\n", "versus.csv' is not a comparison of contributions: it lacks"),
        ("versus.csv", "neuron,first,second,difference\n1,x,2,3\n", "the column first must hold numbers"),
        ("ablation_low.json", "{}", "ablation_low.json' is not an ablation of this circuit: it lacks the number"),
        ("ablation_low.json", "[", "ablation_low.json"),
        ("circuit.json", "{}", "circuit.json' is not a circuit"),
    ],
)
def test_a_damaged_file_of_a_study_is_named(tmp_path, folder, name, text, match):
    (folder / name).write_text(text)
    with pytest.raises(FileError, match=match):
        report(labels_of("high", "low"), tmp_path / "out", circuits=folder)
    assert not (tmp_path / "out").exists()


def test_an_ablation_of_another_target_is_refused(tmp_path, folder):
    data = json.loads((folder / "ablation_low.json").read_text())
    data["target"] = ["high", 7]
    (folder / "ablation_low.json").write_text(json.dumps(data))
    with pytest.raises(FileError, match="it is of the target 'high', 7, and the circuit of 'high', 0"):
        report(labels_of("high", "low"), tmp_path / "out", circuits=folder)


def test_circuits_and_findings_of_layers_that_are_not_on_the_page_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"circuit of high 0 has neurons of the layer 'low', which has no labels on "
                                          r"this page \('high'\): label it, or leave the circuit out"):  # fmt: skip
        report(labels_of("high"), tmp_path / "out", circuits=a_circuit())
    with pytest.raises(OptionError, match=r"the layers 'high', 'low', which have no labels on this page \('x'\)"):
        report(labels_of("x"), tmp_path / "out", circuits=a_circuit())
    rng = np.random.default_rng(0)
    shown = rng.random((60, 2)) < 0.5
    taken = Activations(rng.normal(size=(60, 2)))
    concepts = Concepts.from_array(shown, ["mark", "dog"])
    found = find_spurious({"a": taken, "b": taken}, concepts, suspects="mark")
    with pytest.raises(OptionError, match=r"findings have neurons of the layer 'b', which has no labels on this page"):
        report(label({"a": taken}, concepts, min_count=5), tmp_path / "out", findings=found)
    report(labels_of(None), tmp_path / "out", circuits=a_circuit())  # labels without a layer may be of any


def test_the_command_takes_the_folder(tmp_path, folder, command):
    labels_of("high", "low").save(tmp_path / "l.csv")
    code, _, err = command("report", tmp_path / "l.csv", "--circuit", folder, "--out", tmp_path / "out")
    assert code == 0, err
    assert len(pieces(tmp_path / "out", "circuits")[0]["ablations"]) == 1
    code, _, err = command("report", tmp_path / "l.csv", "--circuit", tmp_path / "none", "--out", tmp_path / "other")
    assert code == 2
    assert "none" in err
    assert len(err.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A circuit of three layers with hostile names, and a study."""
    hostile = "<img src=x onerror=alert(1)>"
    graph = networkx.DiGraph()
    graph.add_node(("top", 0), layer="top", neuron=0, level=0, name=hostile)
    rng = np.random.default_rng(0)
    below = [("top", 0)]
    for level, layer in enumerate(("middle", "low"), 1):
        nodes = [(layer, i) for i in range(4)]
        for layer_, i in nodes:
            graph.add_node((layer_, i), layer=layer_, neuron=i, level=level, formula="dog & ~grass", auc=0.9)
            for upper in below:
                value = float(rng.normal())
                graph.add_edge((layer_, i), upper, contribution=value, share=abs(value) / 8, method="linear")
        below = nodes
    circuit = Circuit(graph, ("top", 0), ["top", "middle", "low"], 30, {})
    root = tmp_path_factory.mktemp("circuits")
    save_circuit(circuit, root / "c.json")
    labels = Labels([*labels_of("high", "top"), *labels_of("middle", "low"),
                     *(Label(i, layer=layer) for layer in ("middle", "low") for i in (2, 3))])  # fmt: skip
    return report(labels, root / "out", circuits=[root / "c.json", a_study()]).parent, circuit


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_drawing_has_every_neuron_and_contribution(browser, drawn, scheme):
    folder, circuit = drawn
    with opened(browser, folder, "#/circuits", color_scheme=scheme) as page:
        expect(page.locator(".node")).to_have_count(len(circuit.graph))
        expect(page.locator(".edge")).to_have_count(circuit.graph.number_of_edges())
        assert page.locator("main img").count() == 0
        expect(page.locator(".node .sign svg")).to_have_count(len(circuit.graph))
        assert "<img src=x" in page.locator(".node.target").inner_text()
        boxes = page.locator(".node").evaluate_all("list => list.map(one => one.getBoundingClientRect().toJSON())")
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                apart = a["right"] <= b["left"] or b["right"] <= a["left"]
                assert apart or a["bottom"] <= b["top"] or b["bottom"] <= a["top"]
        dashed = page.locator(".edge .line").evaluate_all(
            "list => list.filter(one => (one.getAttribute('stroke-dasharray') ?? 'none') !== 'none').length"
        )
        assert dashed == sum(edge["contribution"] < 0 for *_, edge in circuit.graph.edges(data=True))
        assert violations(page) == []
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("a.node").first.click()
        expect(page.locator("section.evidence")).to_have_count(1)


@in_browser
def test_a_contribution_tells_its_value_on_hover_and_by_the_keyboard(browser, drawn):
    folder, circuit = drawn
    with opened(browser, folder, "#/circuits") as page:
        hint = page.locator(".hint")
        expect(page.locator(".edge")).to_have_count(circuit.graph.number_of_edges())
        edges = list(pieces(folder, "circuits")[0]["edges"])
        for e in (0, 3):
            line = page.locator(f'[data-edge="{e}"] .line')
            x, y = line.evaluate(
                """line => { const p = line.getPointAtLength(line.getTotalLength() - 12),
                   box = line.ownerSVGElement.getBoundingClientRect(); return [box.left + p.x, box.top + p.y] }"""
            )
            page.mouse.move(x, y)
            expect(hint).to_be_visible()
            value = edges[e][2]
            expect(hint).to_contain_text(f"{'adds' if value > 0 else 'lowers it by'} {abs(value):.4g}")
            expect(page.locator(".edge.on")).to_have_count(1)
        page.locator('[data-node="1"]').hover()
        expect(hint).to_be_hidden()
        touching = sum(1 in edge[:2] for edge in edges)
        expect(page.locator(".edge.on")).to_have_count(touching)
        page.mouse.move(0, 0)
        expect(page.locator(".edge.on")).to_have_count(0)
        page.locator('.edge[tabindex="0"]').focus()
        first = hint.inner_text()
        page.keyboard.press("ArrowDown")
        expect(hint).to_be_visible()
        before = page.evaluate("scrollY")
        page.evaluate("scrollBy(0, 30)")  # as the focus does, to bring a line into view
        page.wait_for_timeout(200)
        assert page.evaluate("scrollY") != before
        expect(hint).to_be_visible()
        assert hint.inner_text() != first
        page.keyboard.press("Escape")
        expect(hint).to_be_hidden()


@in_browser
@pytest.mark.parametrize("width", [1440, 390])
def test_the_drawing_is_laid_out_by_the_width(browser, drawn, width):
    folder, circuit = drawn
    with opened(browser, folder, "#/circuits") as page:
        page.set_viewport_size({"width": width, "height": 800})
        expect(page.locator(".edge")).to_have_count(circuit.graph.number_of_edges())
        page.wait_for_timeout(300)
        boxes = page.locator(".node").evaluate_all("list => list.map(one => one.getBoundingClientRect().toJSON())")
        target, others = boxes[0], boxes[1:]
        if width == 1440:
            assert all(target["left"] > box["right"] for box in others)
        else:
            assert all(target["bottom"] < box["top"] for box in others)
        scroll = page.locator(".circuit").evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert scroll[0] <= scroll[1]


@in_browser
def test_the_drawing_is_saved_as_svg_png_and_csv(browser, drawn):
    folder, circuit = drawn
    with opened(browser, folder, "#/circuits") as page:
        expect(page.locator(".edge")).to_have_count(circuit.graph.number_of_edges())
        saved = {}
        for kind in ("SVG", "PNG", "CSV"):
            page.locator("figcaption details.menu summary").first.click()
            with page.expect_download() as waiting:
                page.locator("details.menu[open] button", has_text=kind).click()
            saved[kind] = waiting.value.path().read_bytes()
        root = ElementTree.fromstring(saved["SVG"])
        texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
        assert sum("dog & ~grass" in text for text in texts) == len(circuit.graph) - 1
        assert b"var(" not in saved["SVG"]
        assert saved["PNG"].startswith(b"\x89PNG")
        with Image.open(io.BytesIO(saved["PNG"])) as picture:
            assert len(np.unique(np.asarray(picture.convert("RGB").resize((200, 200))).reshape(-1, 3), axis=0)) > 20
        rows = list(csv.reader(io.StringIO(saved["CSV"].decode())))
        assert len(rows) == 1 + circuit.graph.number_of_edges()
        assert page.locator("main ~ .unseen svg").count() == 0


@in_browser
def test_a_study_stands_beside_its_circuit(browser, drawn):
    folder, _ = drawn
    with opened(browser, folder, "#/circuits/1") as page:
        expect(page.locator("main")).to_contain_text("to <i>dog</i> (first) and to wolf (second)")
        text = page.locator("main").inner_text()
        assert "2.5" in text
        assert "None of 3 sets" in text or "of 3 sets" in text
        assert page.locator("main i").count() == 0
        expect(page.locator(".chart svg").first).to_be_visible()
        assert violations(page) == []
        page.locator("details.menu summary").first.click()
        with page.expect_download() as waiting:
            page.locator("details.menu[open] button", has_text="CSV").click()
        rows = list(csv.reader(io.StringIO(waiting.value.path().read_text())))
        assert len(rows) == 3
        go(page, "#/circuits/0")
        expect(page.locator(".node")).to_have_count(9)


def test_the_folder_of_a_study_can_be_moved(tmp_path, folder):
    shutil.move(folder, tmp_path / "elsewhere")
    page = report(labels_of("high", "low"), tmp_path / "out", circuits=str(tmp_path / "elsewhere"))
    assert len(pieces(page.parent, "circuits")[0]["comparisons"]) == 1
