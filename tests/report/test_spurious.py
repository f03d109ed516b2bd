"""The view of spurious features: its ranking, and the pairs of samples beside it."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from browsing import expect, in_browser, opened, violations
from neuronym import Activations, Concepts, label
from neuronym.analysis.spurious import Findings, find_spurious
from neuronym.inputs import align
from neuronym.report.detail import Layer
from neuronym.report.page import report
from neuronym.report.pairs import largest_changes, pair_rows
from page_cases import HOSTILE, pieces

N = 80
CLASSES = ["<b>cat</b>", "dog", "car", "tree"]


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """Photos and copies with a mark; neuron 0 rises and neuron 1 falls with it, and a second suspect is on some."""
    root = tmp_path_factory.mktemp("spurious")
    rng = np.random.default_rng(0)
    shown = np.zeros((2 * N, 4), bool)
    shown[N:, 0] = True  # the mark
    shown[:, 1] = np.tile(np.arange(N) % 4 == 0, 2)  # a second suspect, the same on both of a pair
    shown[N : N + 4, 1] = ~shown[N : N + 4, 1]  # but for four pairs
    shown[:, 2:] = np.tile(rng.random((N, 2)) < 0.4, (2, 1))
    values = np.tile(rng.normal(size=(N, 4)), (2, 1)) + 0.2 * rng.normal(size=(2 * N, 4))
    values[N:, 0] += 1.5
    values[N:, 1] -= 1
    ids = [f"{'copy' if i >= N else 'photo'} <i>{i % N}</i>" for i in range(2 * N)]
    taken = Activations(values, sample_ids=ids, clusters=[*range(N), *range(N)])
    concepts = Concepts.from_array(shown, ["mark", "rain", "cat", "dog"], sample_ids=ids)
    found = find_spurious(
        {"out": taken}, concepts, suspects=["mark", "rain"], outputs="out", class_names=dict(enumerate(CLASSES))
    )
    images = {name: Image.new("RGB", (200, 150), (i, 60, 90)) for i, name in enumerate(ids)}
    labels = label({"out": taken}, concepts, permutations=99, min_count=5)
    options = {"activations": {"out": taken}, "concepts": concepts, "samples": images, "findings": found}
    page = report(labels, root / "out", **options)
    return page.parent, labels, found, (values, shown, options)


def test_the_ranking_holds_what_was_found(marked):
    folder, _, found, _ = marked
    entry = pieces(folder, "findings")[0]
    of_mark = found.neurons[found.neurons["suspect"] == "mark"]
    (layer,) = entry["neurons"]
    assert (entry["suspect"], entry["pairs"], layer["n"]) == ("mark", int(of_mark["pairs"].iloc[0]), 4)
    for name in ("neuron", "auc", "change_sd", "q"):
        at = layer["columns"].index(name)
        assert [row[at] for row in layer["rows"]] == pytest.approx(of_mark[name].tolist(), rel=1e-3)
    assert layer["significant"] == int((of_mark["q"] <= 0.05).sum())
    assert layer["clear"] == int(((of_mark["q"] <= 0.05) & ((of_mark["auc"] - 0.5).abs() >= 0.1)).sum()) == 2
    assert layer["aucs"] == [round(auc, 3) for auc in of_mark["auc"]]


def test_pairs_are_those_with_the_largest_change(marked):
    folder, _, found, (values, shown, _) = marked
    entry = pieces(folder, "findings")[0]
    allowed = [i for i in range(N) if shown[i, 1] == shown[N + i, 1]]  # which agree on the other suspect
    assert len(allowed) == N - 4
    order = found.neurons[found.neurons["suspect"] == "mark"]["neuron"].tolist()
    for neuron, pairs in entry["neurons"][0]["shown"]:
        sign = -1 if order.index(neuron) >= 2 else 1
        changes = sorted((sign * (values[N + i, neuron] - values[i, neuron]) for i in allowed), reverse=True)[:3]
        assert [sign * (after - before) for *_, before, after in pairs] == pytest.approx(changes, abs=2e-3)
        for without, with_, before, after in pairs:
            assert with_ == without + N
            assert (before, after) == pytest.approx((values[without, neuron], values[with_, neuron]), rel=1e-3)
            assert str(without) in entry["samples"]
            assert (folder / "photos" / f"{with_}.jpg").exists()
    assert {neuron for neuron, _ in entry["neurons"][0]["shown"]} == {0, 1, 2, 3}


def test_pairs_are_those_of_a_slow_search():
    rng = np.random.default_rng(3)
    n = 60
    shown, clusters = rng.random((n, 3)) < 0.5, rng.integers(0, 15, n)
    taken = Activations(rng.normal(size=(n, 2)), clusters=clusters)
    layer = Layer.of(align(taken, Concepts.from_array(shown, ["mark", "rain", "cat"]))[0])
    for others, columns in (((), []), (("rain",), [1]), (("rain", "cat"), [1, 2])):
        slow = set()
        for cluster in set(clusters):
            for pattern in {tuple(row) for row in shown[:, columns]}:
                alike = [i for i in range(n) if clusters[i] == cluster and tuple(shown[i, columns]) == pattern]
                sides = [[i for i in alike if shown[i, 0] == side] for side in (False, True)]
                if all(sides):
                    slow.add((sides[0][0], sides[1][0]))
        assert len(slow) > 2
        assert {tuple(pair) for pair in pair_rows(layer, "mark", others).tolist()} == slow


def test_only_pairs_that_change_in_the_direction_are_shown():
    values = np.array([[0.0], [0.0], [0.0], [2.0], [-1.0], [5.0]])
    layer = Layer.of(align(Activations(values), Concepts.from_array(np.arange(6)[:, np.newaxis] > 2, ["mark"]))[0])
    pairs = np.array([[0, 3], [1, 4], [2, 5]])
    assert largest_changes(layer, {0: 1}, pairs) == {0: [(2, 5, 0.0, 5.0), (0, 3, 0.0, 2.0)]}
    assert largest_changes(layer, {0: -1}, pairs) == {0: [(1, 4, 0.0, -1.0)]}
    assert largest_changes(layer, {"unknown": 1}, pairs) == {}


@pytest.mark.parametrize(
    ("left_out", "why"),
    [
        ("clusters", "its samples have no clusters"),
        ("concepts", "this report was made without concepts"),
        ("activations", "this report was made without its activations"),
        ("rain", "'rain' is not among the concepts"),
        ("pairs", "nothing was compared in pairs"),
        ("copies", "no cluster has samples without and with it"),
    ],
)
def test_without_what_pairs_need_there_are_none_and_the_page_says_why(marked, tmp_path, left_out, why):
    _, labels, found, (values, shown, options) = marked
    given, ids = dict(options), options["concepts"].sample_ids
    if left_out == "clusters":
        given["activations"] = {"out": Activations(values, sample_ids=ids)}
    elif left_out == "copies":
        given["activations"] = {"out": Activations(values, sample_ids=ids, clusters=range(2 * N))}
    elif left_out == "concepts":
        del given["concepts"]
    elif left_out == "rain":
        given["concepts"] = Concepts.from_array(shown[:, [0, 2, 3]], ["mark", "cat", "dog"], sample_ids=ids)
        given["labels"] = label(given["activations"], given["concepts"], min_count=5)
    elif left_out == "pairs":
        given["findings"] = Findings(found.neurons.assign(pairs=0), found.classes)
    else:
        del given["activations"], given["samples"]
    page = report(given.pop("labels", labels), tmp_path / "out", **given)
    of_mark, of_rain = (entry["neurons"][0] for entry in pieces(page.parent, "findings"))
    assert (of_mark["shown"], of_mark["why"]) == ([], why)
    assert (of_rain["shown"], of_rain["why"]) == ([], "nothing was compared in pairs")  # four pairs are too few


def test_a_neuron_that_rises_is_never_shown_falling(marked, tmp_path):
    _, labels, found, (_, _, options) = marked
    risen = found.neurons.assign(auc=found.neurons["auc"] + 0.5)  # as if all rose
    page = report(labels, tmp_path / "out", **options | {"findings": Findings(risen)})
    for entry in pieces(page.parent, "findings"):
        assert all(after > before for _, pairs in entry["neurons"][0]["shown"] for *_, before, after in pairs)


@in_browser
def test_the_view_ranks_neurons_beside_their_formulas_and_pairs(browser, marked):
    folder, labels, found, _ = marked
    with opened(browser, folder, "#/spurious") as page:
        expect(page.locator("h1")).to_have_text("What responds to mark?")
        assert "2 of 4" in page.locator(".tile").first.inner_text()
        lead = page.locator("p.lead").inner_text()
        assert lead.startswith("2 of 4 neurons respond clearly (q ≤ 0.05 and AUC ≥ 0.6 or ≤ 0.4). The strongest, out 0")
        rising = page.locator("section", has=page.locator("h2", has_text="rise")).locator("tbody tr")
        first = rising.first
        assert first.locator("a").first.inner_text() == "out 0"
        assert str(labels["out", 0].formula) in first.inner_text()
        assert "+" in first.inner_text()
        expect(first.locator(".pair")).to_have_count(3)
        expect(first.locator("img")).to_have_count(6)
        of_mark = found.neurons[found.neurons["suspect"] == "mark"]
        shown = page.locator("section", has=page.locator("h2")).locator(".ranking tbody tr").all_inner_texts()
        for change in of_mark["change_sd"]:
            assert any(f"{abs(change):.2f} SD" in row for row in shown), (change, shown)
        falling = page.locator("section", has=page.locator("h2", has_text="fall")).locator("tbody tr")
        assert falling.first.locator("a").first.inner_text() == "out 1"
        assert page.locator("main b, main i").count() == 0
        first.locator(".pair").first.click()
        dialog = page.locator("dialog")
        expect(dialog.locator("h2")).to_contain_text("copy <i>")
        expect(dialog).to_contain_text("with mark")
        name = dialog.locator("h2").inner_text()
        dialog.get_by_label("Previous sample").click()
        expect(dialog.locator("h2")).to_have_text(name.replace("copy", "photo"))
        expect(dialog).to_contain_text("without mark")
        page.keyboard.press("Escape")
        with page.expect_download() as waiting:
            page.locator(".saving").first.click()
        rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
        assert [int(row["neuron"]) for row in rows] == [0, *[int(row["neuron"]) for row in rows[1:3]], 1]
        assert [row["formula"] for row in rows] == [str(labels["out", int(row["neuron"])].formula) for row in rows]
        gain = page.locator("section", has=page.locator("h3", has_text="Gain"))
        assert gain.locator("tbody tr").first.locator("td").first.inner_text() == CLASSES[0]
        page.locator("a", has_text="rain").click()
        expect(page.locator("h1")).to_have_text("What responds to rain?")
        assert "No pairs are shown: nothing was compared in pairs." in page.locator("main").inner_text()
        assert "Only samples that agree on mark are compared." in page.locator("main").inner_text()
        rising.first.locator("td").first.click()
        expect(page.locator("section.evidence")).to_have_count(1)


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_view_is_accessible_and_fits_a_phone(browser, marked, scheme):
    with opened(browser, marked[0], "#/spurious", color_scheme=scheme) as page:
        expect(page.locator(".chart svg").first).to_be_visible()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollHeight") < 2500
        page.set_viewport_size({"width": 800, "height": 800})
        pictures = page.locator("td.in-pairs").first
        assert pictures.evaluate("cell => cell.scrollWidth <= cell.clientWidth")  # they lie under no number
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        cells = page.locator(".ranking tbody tr").first.locator("td")
        assert cells.count() == 8
        for cell in cells.all():  # no number is to be looked for sideways
            box = cell.bounding_box()
            assert 0 <= box["x"] < box["x"] + box["width"] <= 390
        assert violations(page) == []


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Two layers of many neurons and hostile names; q is 0, and every class loses."""
    suspect, layers = HOSTILE[0], ["<i>low</i>", "high"]
    rng = np.random.default_rng(1)
    marked = np.repeat([False, True], 12)
    values = rng.normal(size=(24, 500)) + marked[:, np.newaxis] * np.linspace(-1, 1, 500)
    taken = {layer: Activations(values, clusters=[*range(12), *range(12)]) for layer in layers}
    concepts = Concepts.from_array(marked[:, np.newaxis], [suspect])
    found = find_spurious(taken, concepts, suspects=[suspect], outputs="high", class_names=dict(enumerate(HOSTILE)))
    classes = found.classes.assign(change=-found.classes["change"].abs(), q=0.0)
    labels = label(dict.fromkeys(layers, values[:, :6]), concepts, length=1, min_count=5)
    findings = Findings(found.neurons.assign(q=0.0, p=0.0), classes)
    page = report(
        labels, tmp_path_factory.mktemp("many") / "out", activations=taken, concepts=concepts, findings=findings
    )
    return page.parent, suspect, layers


@in_browser
def test_many_neurons_are_folded_and_chosen_by_layer(browser, many):
    folder, suspect, layers = many
    with opened(browser, folder, "#/spurious") as page:
        expect(page.locator("h1")).to_have_text(f"What responds to {suspect}?")
        expect(page.locator(".chart svg")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollHeight") < 2500
        assert violations(page) == []
        rising = page.locator("section", has=page.locator("h2", has_text="rise")).first
        expect(rising.locator("tbody tr")).to_have_count(5)
        assert rising.locator("td.ranked").all_inner_texts() == ["1", "2", "3", "4", "5"]
        assert set(rising.locator("tbody td:last-child").all_inner_texts()) == {"< 1e-323"}
        page.get_by_label("layer").select_option(layers[0])
        rising.locator(".unfold").click()
        names = rising.locator("td.who").all_inner_texts()
        assert len(names) == 25
        assert all(name.startswith(f"{layers[0]} ") for name in names)
        gain = page.locator("section", has=page.locator("h3", has_text="Gain"))
        assert "No class does." in gain.inner_text()
        for button, n in zip(page.locator(".saving").all(), (800, 400), strict=True):
            with page.expect_download() as waiting:
                button.click()
            rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
            assert len(rows) == n  # 200 at either end
            assert {row["q"] for row in rows} == {"< 1e-323"}
        assert "hold the neurons at both ends" in page.locator("main").inner_text()
