"""The view of spurious features: its ranking, and the pairs of samples beside it."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from browsing import expect, in_browser, opened, violations
from neuronym import Activations, Concepts, label
from neuronym.analysis.spurious import find_spurious
from neuronym.report.page import report
from page_cases import pieces

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


@pytest.mark.parametrize("left_out", ["clusters", "concepts", "activations"])
def test_without_what_pairs_need_there_are_none(marked, tmp_path, left_out):
    _, labels, _, (values, _, options) = marked
    given = dict(options)
    if left_out == "clusters":
        given["activations"] = {"out": Activations(values, sample_ids=options["concepts"].sample_ids)}
    elif left_out == "concepts":
        del given["concepts"]
    else:
        del given["activations"], given["samples"]
    page = report(labels, tmp_path / "out", **given)
    assert all(layer["shown"] == [] for entry in pieces(page.parent, "findings") for layer in entry["neurons"])


@in_browser
def test_the_view_ranks_neurons_beside_their_formulas_and_pairs(browser, marked):
    folder, labels, _, _ = marked
    with opened(browser, folder, "#/spurious") as page:
        expect(page.locator("h1")).to_have_text("What responds to mark?")
        assert "2 of 4" in page.locator(".tile").first.inner_text()
        rising = page.locator("section", has=page.locator("h2", has_text="rise")).locator("tbody tr")
        first = rising.first
        assert first.locator("a").first.inner_text() == "out 0"
        assert str(labels["out", 0].formula) in first.inner_text()
        assert "+" in first.inner_text()
        expect(first.locator(".pair")).to_have_count(3)
        expect(first.locator("img")).to_have_count(6)
        falling = page.locator("section", has=page.locator("h2", has_text="fall")).locator("tbody tr")
        assert falling.first.locator("a").first.inner_text() == "out 1"
        assert page.locator("main b, main i").count() == 0
        first.locator(".pair").first.click()
        dialog = page.locator("dialog")
        expect(dialog.locator("h2")).to_contain_text("copy <i>")
        name = dialog.locator("h2").inner_text()
        dialog.get_by_label("Previous sample").click()
        expect(dialog.locator("h2")).to_have_text(name.replace("copy", "photo"))
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
        rising.first.locator("td").first.click()
        expect(page.locator("section.evidence")).to_have_count(1)


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_view_is_accessible_and_fits_a_phone(browser, marked, scheme):
    with opened(browser, marked[0], "#/spurious", color_scheme=scheme) as page:
        expect(page.locator(".chart svg").first).to_be_visible()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollHeight") < 2500
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
