"""The page in a browser: what a reader sees, clicks, types and saves."""

import csv
import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from browsing import expect, go, in_browser, opened, violations
from neuronym import Activations, Concepts, Explanation, Formula, Label, Labels, OptionError, label
from neuronym.labels.schema import column
from neuronym.report.page import report
from page_cases import HOSTILE, pieces

pytestmark = in_browser


def found(page):
    """How many neurons are found."""
    return int(page.locator("#count").inner_text().split()[0])


def literals(one):
    """The literals of a label, such as {'dog', '~grass'}."""
    if one.formula is None:
        return set()
    result = set()

    def walk(formula, negated):
        if formula.operator == "concept":
            result.add(("~" if negated else "") + formula.name)
        for operand in formula.operands:
            walk(operand, negated != (formula.operator == "not"))

    walk(one.formula, False)
    return result


@pytest.mark.parametrize("name", ["constructor", "toString", "__proto__", "nothing", "neuron/x/y", "sample/x"])
def test_an_address_that_is_no_view_is_not_found(browser, made, name):
    with opened(browser, made[0], f"#/{name}") as page:
        expect(page.locator("h1")).to_have_text(re.compile("Not found|No such"))
        page.locator("main a").first.click()
        expect(page.locator("#gallery")).to_have_count(1)


# ---- the first page


def test_the_first_page_has_the_heading_the_verdict_charts_and_a_gallery(browser, made):
    folder, labels = made
    with opened(browser, folder) as page:
        assert page.locator("#heading").inner_text() == " · ".join(pieces(folder, "index")["heading"])
        tiles = page.locator(".tile").all_inner_texts()
        believable = sum(one.formula is not None and one.q <= 0.05 and not one.refuted for one in labels)
        assert any(tile.startswith(f"{believable}\n") and "believable" in tile for tile in tiles)
        assert any(tile.startswith("2\n") and "constant" in tile for tile in tiles)
        expect(page.locator("figure svg").first).to_be_visible()
        assert page.locator(".small-charts figure").count() == 3
        cards = page.locator(".card")
        assert cards.count() == len(labels)
        best = max((one for one in labels if one.best), key=lambda one: one.auc)
        assert f"{best.auc:.4f}" in cards.first.inner_text()
        assert f"{best.auc_heldout:.4f} held out" in cards.first.inner_text()
        expect(cards.first.locator("img")).to_have_count(5)
        widths = page.evaluate(
            "() => Promise.all([...document.images].slice(0, 5).map(i => i.decode().then(() => i.naturalWidth)))"
        )
        assert all(width > 0 for width in widths)
        assert "q " in cards.first.locator(".sign").get_attribute("title")


def test_gallery_and_table_show_the_same_and_the_address_keeps_which(browser, made):
    folder, labels = made
    with opened(browser, folder) as page:
        in_gallery = page.locator(".card .head a").all_inner_texts()
        page.click("#as-table")
        assert page.locator("#gallery").count() == 0
        assert "view=table" in page.url
        rows = page.locator("#neurons tbody tr")
        assert rows.count() == len(labels)
        layers = page.locator("#neurons tbody td:nth-child(2)").all_inner_texts()
        neurons = page.locator("#neurons tbody td:nth-child(3)").all_inner_texts()
        assert [f"{a} {b}" for a, b in zip(layers, neurons, strict=True)] == in_gallery
        expect(rows.first.locator(".pictures img")).to_have_count(4)
        page.reload()
        expect(page.locator("#neurons")).to_have_count(1)
        page.click("#as-gallery")
        expect(page.locator("#gallery")).to_have_count(1)


def test_a_click_anywhere_on_a_row_or_card_opens_its_neuron(browser, made):
    with opened(browser, made[0], "#/?view=table") as page:
        name = " ".join(page.locator("#neurons tbody tr").first.locator("td.name").all_inner_texts()[:2]).strip()
        page.locator("#neurons tbody tr").first.locator("td.number").last.click()
        expect(page.locator("h1")).to_have_text(name)
    with opened(browser, made[0]) as page:
        name = page.locator(".card .head a").first.inner_text()
        page.locator(".card .measure").first.click()
        expect(page.locator("h1")).to_have_text(name)


def test_the_header_of_the_table_stays_in_sight(browser, tmp_path):
    best = Explanation(Formula.parse("dog"), 0.9, 0.1, 10)
    page = report(Labels([Label(i, best=best) for i in range(300)]), tmp_path / "out")
    with opened(browser, page.parent, "#/?view=table") as shown:
        shown.locator(".scroll.grid").evaluate("grid => { grid.scrollIntoView(); grid.scrollTop = 900 }")
        shown.wait_for_timeout(100)
        head, grid = shown.locator("#neurons thead th").first, shown.locator(".scroll.grid")
        assert abs(head.bounding_box()["y"] - grid.bounding_box()["y"]) < 3
        assert shown.locator("#neurons tbody tr").first.bounding_box()["y"] < -500


def test_columns_are_chosen_and_those_that_say_nothing_are_folded_away(browser, tmp_path):
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
    with opened(browser, page.parent, "#/?view=table&sort=neuron") as shown:

        def heads():
            return [text.split()[0] for text in shown.locator("#neurons th").all_inner_texts()]

        # The two formulas have one fraction, count, AUC and held-out AUC.
        assert heads() == ["Evidence", "neuron", "formula", "auc", "p_search", "q", "stability"]
        assert "fraction 0.1000" in shown.locator("#of-all").inner_text()
        for i, row in enumerate(rows):
            cells = shown.locator(f"#neurons tbody tr:nth-child({i + 1}) td").all_inner_texts()
            given = dict(zip(heads(), cells, strict=True))
            expected = dict(zip(titles, row, strict=True))
            for name in set(heads()) & set(titles):
                assert given[name].strip() == expected[name], name
        shown.click("text=Columns")
        shown.locator(".check", has_text="length").locator("input").check()
        assert "length" in heads()
        assert "columns=" in shown.url
        shown.locator(".check", has_text="fraction").locator("input").check()
        assert "fraction" in heads()
        shown.locator(".check", has_text="stability").first.locator("input").uncheck()
        assert "stability" not in heads()
        shown.locator("#neurons button[data-sort=q]").hover()
        expect(shown.locator("#tip")).to_contain_text(column("q").about)
        shown.locator("#neurons tbody a").first.click()
        shown.wait_for_selector("dl.facts")
        facts = dict(zip(*(shown.locator(f"dl.facts {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True))
        assert (facts["AUC"], facts["q"]) == ("0.9123", "< 1e-323")
        assert facts["p_search"] == rows[0][titles.index("p_search")]
    same = Labels([Label(i, best=best, optimal=True) for i in range(3)])
    with opened(browser, report(same, tmp_path / "same").parent, "#/?view=table") as shown:
        assert "optimal True" in shown.locator("#of-all").inner_text()


def test_sort_and_filter_in_both_views(browser, made):
    folder, labels = made
    with opened(browser, folder, "#/?view=table") as page:
        names = [text.split()[0] for text in page.locator("#neurons th").all_inner_texts()]
        place = names.index("fraction") + 2  # top samples have two words, and places count from 1

        def fractions():
            cells = page.locator(f"#neurons tbody tr td:nth-child({names.index('fraction') + 1})").all_inner_texts()
            return [float(cell) for cell in cells if cell]

        assert place > 2
        page.click("button[data-sort=fraction]")
        assert fractions() == sorted(fractions(), reverse=True)
        assert page.locator("th[aria-sort=descending]").inner_text().startswith("fraction")
        page.click("button[data-sort=fraction]")
        assert fractions() == sorted(fractions())
        page.locator("#auc").fill("0.8")
        high = sum(one.auc >= 0.8 for one in labels)
        assert page.locator("#count").inner_text() == f"{high} of {len(labels)} neurons"
        page.select_option("#layer", "low")
        low = sum(one.auc >= 0.8 and one.layer == "low" for one in labels)
        assert page.locator("#neurons tbody tr").count() == low
        page.click("#as-gallery")
        assert page.locator(".card").count() == low
        page.click("#clear")
        assert found(page) == len(labels)
        page.select_option("#evidence", "believable")
        believed = [one for one in labels if one.formula is not None and one.q <= 0.05 and not one.refuted]
        assert page.locator(".card").count() == len(believed)
        page.select_option("#sort", "auc")
        aucs = [float(text) for text in page.locator(".card .measure b:first-child").all_inner_texts()]
        assert aucs == sorted(aucs)


# ---- search


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Formulas that a search must tell apart."""
    texts = [
        "four & ~little_ink", "four | one", "four", "above_four", "~four & one", "one & ~(four | zero)", "zero",
        '"red car (toy)" | one', "or_ange", "(one | zero) & ~four", "~little_ink & one",
    ]  # fmt: skip
    labels = [
        Label(i, layer="conv" if i % 2 else "fc", best=Explanation(Formula.parse(text), 0.9, 0.1, 10))
        for i, text in enumerate(texts)
    ]
    labels.append(Label(28, layer="conv", reason="constant"))
    labels.append(Label("golden", layer="fc", best=Explanation(Formula.parse("zero"), 0.8, 0.1, 10)))
    page = report(Labels(labels), tmp_path_factory.mktemp("zoo") / "out")
    return page.parent, labels


def test_a_file_that_is_missing_is_named(browser, made, tmp_path):
    shutil.copytree(made[0], tmp_path / "out")
    (tmp_path / "out" / "data" / "neurons" / "0.js").unlink()
    page = browser.new_page()
    page.goto((tmp_path / "out" / "index.html").as_uri() + "#/neuron/low/0")
    expect(page.locator("main")).to_contain_text("A file of this report is missing: data/neurons/0.js")
    page.close()


def test_names_of_layers_may_have_signs(browser, tmp_path):
    best = Explanation(Formula.parse("dog"), 0.9, 0.1, 10)
    labels = [Label(i, layer=layer, best=best) for layer in ("_blocks.1", "_blocks.15", "a (b)") for i in range(2)]
    page = report(Labels(labels), tmp_path / "out")
    with opened(browser, page.parent) as shown:
        for text, n in (("_blocks.1", 2), ("_blocks", 4), ('"a (b)" 1', 1), ("_blocks.15 0", 1)):
            shown.fill("#q", text)
            assert shown.locator(".card").count() == n, text


def has(*wanted):
    return lambda one: set(wanted) <= literals(one)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("four & ~little_ink", has("four", "~little_ink")),
        ("four ~little_ink", has("four", "~little_ink")),
        ("four and not little_ink", has("four", "~little_ink")),
        ("four | one", lambda one: bool({"four", "one"} & literals(one))),
        ("FOUR or ONE", lambda one: bool({"four", "one"} & literals(one))),
        ("not four", has("~four")),
        ("~four", has("~four")),
        ("!four", has("~four")),
        ("~~four", has("four")),
        ("(zero | one) & ~four", lambda one: "~four" in literals(one) and bool({"zero", "one"} & literals(one))),
        ("~(four | zero)", has("~four", "~zero")),
        ("one & ~(four | zero)", has("one", "~four", "~zero")),
        ("~(four & zero)", lambda one: bool({"~four", "~zero"} & literals(one))),
        ("four", has("four")),
        ("fou", lambda one: any("fou" in name and name[0] != "~" for name in literals(one))),
        ("above four", has("above_four")),
        ('"four"', has("four")),
        ('"fou"', lambda one: False),
        ('"red car (toy)"', has("red car (toy)")),
        ('"red car (toy)" | one', lambda one: bool({"red car (toy)", "one"} & literals(one))),
        ("red", has("red car (toy)")),
        ("or_ange", has("or_ange")),
        ("28", lambda one: one.neuron == 28),
        ("2", lambda one: one.neuron == 2),
        ("conv", lambda one: one.layer == "conv"),
        ("conv four", lambda one: one.layer == "conv" and "four" in literals(one)),
        ("conv & 3", lambda one: (one.layer, one.neuron) == ("conv", 3)),
        ("not conv", lambda one: one.layer != "conv"),
        ("golden", lambda one: one.neuron == "golden"),
        ("constant", lambda one: one.reason == "constant"),
        ("", lambda one: True),
        ("(", lambda one: True),
        ("four &", has("four")),
        ("four & ~", has("four")),
        ("(four", has("four")),
        ("four )", has("four")),
        ('"four', has("four")),
        ("| four", has("four")),
        ("and", lambda one: False),
        ("or", lambda one: "or_ange" in literals(one)),
    ],
)
def test_a_search_reads_what_the_table_shows(browser, zoo, text, matches):
    folder, labels = zoo
    with opened(browser, folder) as page:
        page.fill("#q", text)
        wanted = sorted(f"{one.layer} {one.neuron}" for one in labels if matches(one))
        assert sorted(page.locator(".card .head a").all_inner_texts()) == wanted


def test_every_formula_finds_itself(browser, made):
    folder, labels = made
    with opened(browser, folder, "#/?view=table") as page:
        for text in {str(one.formula) for one in labels if one.formula is not None}:
            page.fill("#q", text)
            assert text in page.locator("#neurons td.formula").all_inner_texts()


def test_a_search_that_finds_nothing_names_what_is_near_and_can_be_cleared(browser, zoo):
    folder, labels = zoo
    with opened(browser, folder) as page:
        assert page.locator("#q").get_attribute("placeholder") in {str(one.formula) for one in labels}
        page.fill("#q", "litle_ink & four")
        assert page.locator(".card").count() == 0
        expect(page.locator(".nothing")).to_contain_text("litle_ink")
        page.click(".nothing >> text=little_ink")
        assert page.locator("#q").input_value() == "little_ink & four"
        expect(page.locator(".nothing")).to_contain_text("No label matches little_ink")  # it is only negated
        page.fill("#q", "above_four & one")
        expect(page.locator(".nothing")).to_contain_text("not together: above_four 1, one 6")
        page.click("text=Clear search and filters")
        assert found(page) == len(labels)
        assert page.locator("#q").input_value() == ""
        page.fill("#q", "four")
        page.click("#hint >> text=above_four")
        assert page.locator(".card").count() == 1
        page.click("#clear")
        assert found(page) == len(labels)


# ---- a neuron


def test_a_neuron_is_opened_and_the_view_is_found_again_as_it_was(browser, made):
    folder, _ = made
    with opened(browser, folder, "#/?q=dog&sort=fraction&view=table") as page:
        count = page.locator("#count").inner_text()
        first = page.locator("#neurons tbody a").first
        name = first.inner_text()
        first.click()
        page.wait_for_selector("ul.samples img")
        assert page.locator("h1").inner_text().endswith(f" {name}")
        assert page.url.endswith(f"/{name}")
        expect(page.locator(".chart svg").nth(1)).to_be_visible()
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


def test_evidence_comes_first(browser, made):
    folder, labels = made
    one = labels["low", 1]
    with opened(browser, folder, "#/neuron/low/1") as page:
        evidence = page.locator("section.evidence")
        assert evidence.bounding_box()["y"] < 250
        rows = evidence.locator("tbody tr").all_inner_texts()
        steps = one.steps
        assert len(rows) == len(steps)
        for row, step in zip(rows, steps, strict=True):
            for value in (step.auc, step.auc_heldout):
                assert f"{value:.4f}" in row
            assert column("p_gain").text(step) in row
        expect(evidence).to_contain_text("proven")
        titles = page.locator("figcaption").all_inner_texts()
        assert any("Activation inside and outside" in title for title in titles)
        assert any("ROC curve" in title for title in titles)
        zeros = np.mean(pieces(folder, "neurons/0")["neurons"][1]["distribution"]["outside"]["zeros"])
        assert zeros > 0
        expect(page.locator(".zeros")).to_contain_text("exactly 0")
        text = page.locator("main").inner_text()
        assert "hits" not in text
        assert "true positive rate" in page.locator(".chart text", has_text="rate").all_text_contents()


def test_literals_that_do_not_hold_are_struck_through(browser, tmp_path):
    first = Explanation(Formula.parse("dog"), 0.9, 0.1, 10, auc_heldout=0.8, p_gain=1e-6, gain=0.3, p=1e-9)
    second = Explanation(Formula.parse("dog & ~grass"), 0.92, 0.1, 9, auc_heldout=0.79, p_gain=0.4, gain=-0.01, p=1e-9)
    one = Label(0, best=second, path=(first, second), p_search=0.001, q=0.001, permutations=999)
    page = report(Labels([one, Label(1, best=first, path=(first,), q=0.001, p_search=0.001, permutations=999)]),
                  tmp_path / "out")  # fmt: skip
    with opened(browser, page.parent) as shown:
        assert shown.locator(".card s").all_inner_texts() == ["~grass"]
        shown.locator(".card", has_text="grass").click()
        expect(shown.locator(".lead s")).to_have_text("not grass")
        expect(shown.locator(".simplest")).to_have_text("What holds: dog")
        assert [row.split("\t")[-1] for row in shown.locator(".evidence tbody tr").all_inner_texts()] == ["yes", "no"]
        expect(shown.locator(".chart svg").first).to_be_visible()  # AUC by length


def test_a_constant_neuron_shows_its_reason_and_nothing_made_up(browser, made):
    with opened(browser, made[0], "#/neuron/low/5") as page:
        expect(page.locator("main")).to_contain_text("Its activation is 1 on every sample")
        for what in ("figure", "ul.samples", "table", ".facts"):
            assert page.locator(what).count() == 0, what


def test_a_sample_opens_large_with_its_concepts_and_activation(browser, made, data):
    folder, _ = made
    taken, concepts = data
    with opened(browser, folder, "#/neuron/low/0") as page:
        page.locator("ul.samples button.sample").first.click()
        dialog = page.locator("dialog")
        order = np.argsort(-taken.matrix[:, 0], kind="stable")
        for place in (order[0], order[1]):
            expect(dialog.locator("h2")).to_have_text(taken.sample_ids[place])
            expect(dialog).to_contain_text(f"{float(f'{taken.matrix[place, 0]:.4g}'):.4g}")
            expect(dialog.locator(".chips li")).to_have_count(int(sum(concepts[c][place] for c in concepts.names)))
            assert sorted(dialog.locator(".chips li").all_inner_texts()) == sorted(
                c for c in concepts.names if concepts[c][place]
            )
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        assert page.locator("h1").inner_text() == "low 0"
        page.locator("ul.samples button.sample").first.click()
        dialog.locator("h2 a").click()
        expect(page.locator("h1")).to_have_text(taken.sample_ids[order[0]])
        expect(page.locator("dialog")).to_have_count(0)
        expect(page.locator("main table tbody tr")).to_have_count(8)


@pytest.mark.parametrize("width", [1440, 1000, 768, 390])
def test_grids_of_samples_have_no_orphans(browser, made, width):
    with opened(browser, made[0], "#/concept/night") as page:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        tops = page.locator("ul.samples li").evaluate_all("list => list.map(one => one.offsetTop)")
        rows = [tops.count(y) for y in sorted(set(tops))]
        assert len(set(rows)) == 1, rows


def test_filters_of_an_address_hold_for_the_next_neuron_and_after_a_reload(browser, made):
    folder, labels = made
    with opened(browser, folder, "#/?q=sky&sort=neuron") as page:
        count = page.locator("#count").inner_text()
        names = page.locator(".card .head a").all_inner_texts()
        assert len(names) > 1
        page.locator(".card .head a").first.click()
        page.wait_for_selector("ul.samples")
        page.reload()
        page.wait_for_selector("a[rel=next]")
        page.click("a[rel=next]")
        expect(page.locator("h1")).to_have_text(names[1])
        page.click("text=All neurons")
        expect(page.locator("#count")).to_have_text(count)
        address = page.url
        page.keyboard.press("Tab")
        page.evaluate("document.querySelector('.skip').focus()")
        page.keyboard.press("Enter")
        assert page.url == address
    with opened(browser, folder, "#/?believed=1&q=%22dog%22") as page:
        wanted = sum("dog" in literals(one) and one.q <= 0.05 and not one.refuted for one in labels)
        assert page.locator(".card").count() == wanted


# ---- the other views


def test_concepts_are_ranked_with_positive_and_negated_uses_apart(browser, made):
    folder, labels = made
    uses = {name: [sum(sign + name in literals(one) for one in labels) for sign in ("", "~")]
            for name in pieces(folder, "index")["concepts"]}  # fmt: skip
    with opened(browser, folder, "#/concepts") as page:
        rows = [row.split("\t") for row in page.locator("tbody tr").all_inner_texts()]
        assert {row[0]: [int(row[3]), int(row[4])] for row in rows} == uses
        totals = [int(row[3]) + int(row[4]) for row in rows]
        assert totals == sorted(totals, reverse=True)
        page.fill("#concept-search", "wolf dog")
        assert page.locator("tbody tr").count() == 1
        page.locator("tbody tr").first.click()
        expect(page.locator("h1")).to_have_text("wolf_dog")
    name = max(uses, key=lambda name: uses[name][1])
    with opened(browser, folder, f"#/concept/{name}") as page:
        facts = dict(zip(*(page.locator(f"dl.facts {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True))
        assert [int(facts["positive uses"]), int(facts["negated uses"])] == uses[name]
        negated = page.locator("section", has=page.locator("h2", has_text="With “not” it"))
        assert negated.locator("tbody tr").count() == min(10, uses[name][1])
        page.click("text=/neurons with ~/")
        assert found(page) == uses[name][1]


def test_samples_are_listed_and_searched(browser, made, data):
    folder, _ = made
    listed = pieces(folder, "samples")
    with opened(browser, folder, "#/samples") as page:
        expect(page.locator("ul.samples li").first).to_be_visible()
        assert f"{len(listed)} of 300 samples" in page.locator("main").inner_text()
        page.fill("#sample-search", "12")
        wanted = [name for _, name in listed if "12" in name]
        expect(page.locator("ul.samples li")).to_have_count(len(wanted))
    row, name = listed[5]
    with opened(browser, folder, f"#/sample/{row}") as page:
        expect(page.locator("h1")).to_have_text(name)
        page.click("a[rel=next]")
        expect(page.locator("h1")).to_have_text(listed[6][1])


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


def test_methods_stand_side_by_side(browser, made):
    folder, _ = made
    found = pieces(folder, "methods")
    assert [row["formulas"][1][1] for row in found["neurons"]] == ["dog & ~grass", "", "dog | sky"]
    assert [row["place"] for row in found["neurons"]] == [0, 5, None]
    with opened(browser, folder, "#/methods") as page:
        expect(page.locator("main > p").first).to_contain_text("on photos that no method searched")
        tables = page.locator("table")
        cells = tables.first.locator("tbody tr").first.locator("td, th").all_inner_texts()
        assert cells == ["NetDissect", "2", "2", "1.00", "0.1750", "0.600", "50.0%", "50.0%", "25.0%", "12.5", "250"]
        rows = tables.last.locator("tbody tr")
        first = rows.first.locator("td, th").all_inner_texts()
        assert first == ["low 0", "dog", "0.2500", "0.700", "dog & ~grass", "0.1250", "0.875"]
        assert rows.nth(1).locator("td, th").all_inner_texts() == ["low 5", "none", "", "", "none", "", ""]
        assert rows.nth(2).locator("td, th").first.inner_text() == "deep <b>x</b>"
        with page.expect_download() as saved:
            page.click("text=Save as CSV")
        lines = saved.value.path().read_text(encoding="utf-8").splitlines()
        assert lines[0].endswith("layer,neuron,NetDissect,NetDissect IoU,NetDissect AUC,INVERT,INVERT IoU,INVERT AUC")
        assert lines[1] == "low,0,dog,0.25,0.7,dog & ~grass,0.125,0.875"
        rows.first.locator("td, th").nth(1).click()
        expect(page.locator("h1")).to_contain_text("low 0")


def test_words_are_defined_on_hover_focus_and_tap(browser, made):
    folder, _ = made
    with opened(browser, folder, "#/neuron/low/0") as page:
        word = page.locator(".facts button[data-word=q]")
        assert not page.locator("#tip").is_visible()
        word.hover()
        expect(page.locator("#tip")).to_contain_text(column("q").about)
        page.keyboard.press("Escape")
        expect(page.locator("#tip")).to_be_hidden()
        page.locator(".facts button[data-word=q]").focus()
        word.click()
        expect(page.locator("#tip")).to_be_visible()
        page.locator("#tip a").click()
        expect(page.locator("h1")).to_have_text("Words")
        assert page.locator(".asked dt").inner_text() == "q"
    with opened(browser, folder, "#/neuron/low/0", has_touch=True) as page:
        page.locator(".facts button[data-word=q]").tap()
        expect(page.locator("#tip")).to_be_visible()


def test_the_theme_is_switched_and_kept(browser, made):
    with opened(browser, made[0]) as page:

        def back():
            return page.evaluate("getComputedStyle(document.body).backgroundColor")

        light = back()
        for expected in ("light", "dark"):
            page.click("#theme")
            assert page.locator("#theme").inner_text() == f"Theme: {expected}"
        assert back() != light
        page.reload()
        page.wait_for_selector("h1")
        assert page.locator("#theme").inner_text() == "Theme: dark"
        page.click("#theme")
        assert back() == light


def test_what_is_shown_can_be_saved(browser, made):
    folder, labels = made

    def saved(page, click):
        with page.expect_download() as waiting:
            click()
        path = waiting.value.path()
        return waiting.value.suggested_filename, path.read_bytes()

    with opened(browser, folder, "#/?view=table&q=dog") as page:
        name, content = saved(page, lambda: page.click("#csv"))
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert name == "neurons.csv"
        assert [row["neuron"] for row in rows] == page.locator("#neurons tbody td:nth-child(3)").all_inner_texts()
        by_name = {(one.layer, str(one.neuron)): one for one in labels}
        for row in rows:
            one = by_name[row["layer"], row["neuron"]]
            assert Formula.parse(row["formula"]) == one.formula
            assert float(row["auc"]) == pytest.approx(one.auc, abs=1e-4)
        page.locator("figcaption summary").first.click()
        name, content = saved(page, lambda: page.locator("figcaption .menu button", has_text="SVG").first.click())
        assert name.endswith(".svg")
        assert content.startswith(b"<svg")
        assert b"var(" not in re.sub(rb"<style>.*?</style>", b"", content, flags=re.S)
        page.locator("figcaption summary").first.click()
        name, content = saved(page, lambda: page.locator("figcaption .menu button", has_text="PNG").first.click())
        assert content.startswith(b"\x89PNG")
        page.locator("figcaption summary").first.click()
        name, content = saved(page, lambda: page.locator("figcaption .menu button", has_text="CSV").first.click())
        counts = pd.read_csv(io.BytesIO(content)).groupby("side")["count"].sum()
        assert counts["searched"] == sum(one.formula is not None for one in labels)


def test_values_show_on_hover(browser, made):
    with opened(browser, made[0], "#/neuron/low/0") as page:
        chart = page.locator("figure", has_text="Activation inside").locator(".chart svg").first
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(chart.locator("g[aria-label=tip]")).to_contain_text("inside:")


def test_counts_have_whole_ticks(browser, tmp_path):
    best = Explanation(Formula.parse("dog"), 0.9, 0.1, 10)
    page = report(Labels([Label(i, best=best) for i in range(2)]), tmp_path / "out")
    with opened(browser, page.parent) as shown:
        svg = shown.locator(".small-charts figure").first.locator("svg").first
        expect(svg).to_be_visible()
        ticks = svg.locator(".y-axis-tick-label text").all_text_contents()
        assert ticks == ["0", "1", "2"]


# ---- everything


ALL = ["", "?view=table", "concepts", "concept/dog", "samples", "sample/0", "layers", "compare", "methods",
       "circuits", "spurious", "words", "neuron/high/1", "neuron/high/5"]  # fmt: skip


@pytest.mark.parametrize("at", ALL)
def test_every_view_opens_light_and_dark_wide_and_narrow(browser, made, at):
    folder, _ = made
    for options in ({}, {"color_scheme": "dark"}):
        with opened(browser, folder, f"#/{at}", **options) as page:
            page.wait_for_timeout(100)
            assert page.locator("h1").count() == 1
            page.set_viewport_size({"width": 390, "height": 800})
            page.wait_for_timeout(250)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("at", ALL)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_inaccessible(browser, made, at, scheme):
    with opened(browser, made[0], f"#/{at}", color_scheme=scheme) as page:
        assert violations(page) == []


def test_an_open_dialog_is_accessible(browser, made):
    with opened(browser, made[0], "#/neuron/low/0") as page:
        page.locator("ul.samples button.sample").first.click()
        expect(page.locator("dialog .chips")).to_be_visible()
        assert violations(page) == []


def test_the_keyboard_alone_will_do(browser, made):
    folder, _ = made
    with opened(browser, folder) as page:
        page.keyboard.press("/")
        page.keyboard.type("dog")
        assert "of" in page.locator("#count").inner_text()
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.closest('.card') !== null"):
                break
        name = page.evaluate("document.activeElement.innerText")
        page.keyboard.press("Enter")
        page.wait_for_selector("ul.samples")
        heading = page.locator("h1").inner_text()
        assert heading == name
        page.keyboard.press("ArrowRight")
        expect(page.locator("h1")).not_to_have_text(heading)
        page.keyboard.press("ArrowLeft")
        expect(page.locator("h1")).to_have_text(heading)


def test_hostile_names_are_text_everywhere(browser, hostile):
    folder, labels = hostile
    with opened(browser, folder, "#/?view=table") as page:
        assert page.locator("h1").inner_text() == "<script>alert(2)</script>"
        assert page.locator("#neurons tbody tr").count() == len(labels)
        assert page.locator("td script, td img, td i").count() == 0
        links = page.locator("#neurons tbody td.name a").evaluate_all("list => list.map(a => a.getAttribute('href'))")
        assert len(set(links)) == len(labels)
        for link in links:
            go(page, link)
            page.wait_for_selector("ul.samples")
            expect(page.locator("#neurons")).to_have_count(0)
            assert page.locator("main script, main i, main b").count() == 0
        page.locator("button.sample").first.click()
        expect(page.locator("dialog .chips")).to_be_visible()
        assert page.locator("dialog script, dialog i, dialog img").count() == 0
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        for name in HOSTILE:
            go(page, "#/concept/" + page.evaluate("encodeURIComponent", name))
            expect(page.locator("h1 bdi")).to_have_text(name)
            assert page.locator("h1 bdi").text_content() == name
        go(page, "#/")
        page.wait_for_selector("#neurons")
        for name in HOSTILE:
            page.fill("#q", "~~" + '"' + name.replace('"', '""').replace("\n", " ") + '"')
            assert found(page) >= 2, name


def test_half_of_a_character_does_not_stop_the_page(browser, tmp_path):
    # Names with one are refused where they enter; a formula of one's own may still have it.
    halves = ["\ud800", "a\udfff", "\\ud800x"]
    best = [Explanation(Formula.concept(name), 0.9, 0.5, 10) for name in halves]
    labels = Labels(Label(i, best=one, path=(one,)) for i, one in enumerate(best))
    folder = report(labels, tmp_path / "out").parent
    with opened(browser, folder) as page:
        assert page.locator(".card").count() == len(labels)
        for name in halves:
            go(page, page.evaluate("name => neuronym.conceptLink(name)", name))
            expect(page.locator("h1 bdi")).to_have_count(1)
            assert page.evaluate("name => document.querySelector('h1 bdi').textContent === name", name), name
    with pytest.raises(OptionError, match=r"the title 'a.ud800' contains half of a character"):
        report(labels, tmp_path / "other", title="a\ud800")
    assert not (tmp_path / "other").exists()


def test_texts_are_shown_in_cards_and_grids(browser, tmp_path, data):
    taken, concepts = data
    texts = {name: f"text of {name}: <b>{'word ' * 40}" for name in taken.sample_ids}
    labels = label(taken, concepts, min_count=5)
    page = report(labels, tmp_path / "out", activations=taken, concepts=concepts, samples=texts)
    with opened(browser, page.parent) as shown:
        expect(shown.locator(".card .tops.texts .text").first).to_contain_text("text of")
        shown.locator(".card").first.click()
        expect(shown.locator("ul.samples.texts li").first).to_contain_text("text of")
        assert violations(shown) == []


def test_labels_without_activations_have_no_samples(browser, tmp_path):
    best = Explanation(Formula.parse("dog"), 0.9, 0.1, 10)
    page = report(Labels([Label(0, best=best, path=(best,))]), tmp_path / "out")
    with opened(browser, page.parent) as shown:
        assert shown.locator(".tops").count() == 0
        assert "Samples" not in shown.locator("#nav").inner_text()
        shown.locator(".card").first.click()
        expect(shown.locator(".evidence")).to_contain_text("Not tested")


def test_a_page_of_activations_and_concepts_alone(browser, tmp_path):
    rng = np.random.default_rng(0)
    shown = rng.random((200, 3)) < 0.4
    values = Activations(rng.normal(size=(200, 3)) + shown)
    concepts = Concepts.from_array(shown, ["a", "b", "c"])
    page = report(label(values, concepts), tmp_path / "out", activations=values, concepts=concepts)
    with opened(browser, page.parent, "#/neuron/-/0") as view:
        expect(view.locator("ul.samples li").first).to_be_visible()
        view.locator("button.sample").first.click()
        expect(view.locator("dialog .chips")).to_be_visible()


def test_a_formula_of_which_no_literal_holds_says_what_does(browser, tmp_path):
    first = Explanation(Formula.parse("cat"), 0.8, 0.1, 10, auc_heldout=0.8, p_gain=1e-6, gain=0.3, p=1e-9)
    second = Explanation(Formula.parse("dog & ~grass"), 0.92, 0.1, 9, auc_heldout=0.79, p_gain=0.4, gain=-0.01, p=1e-9)
    one = Label(0, best=second, path=(first, second), p_search=0.001, q=0.001, permutations=999)
    with opened(browser, report(Labels([one]), tmp_path / "out").parent) as page:
        expect(page.locator(".tile", has_text="believable")).to_contain_text("1 of them in part")
        go(page, "#/neuron/-/0")
        expect(page.locator(".simplest")).to_have_text("No literal of it holds; what does: cat")
        assert page.locator(".lead s").all_inner_texts() == ["dog", "not grass"]


def test_going_back_leaves_an_open_sample(browser, tmp_path):
    values = np.random.default_rng(0).normal(size=(60, 2))
    shown = Concepts.from_array(values[:, :1] > 0, ["up"])
    samples = [f"text {i}" for i in range(60)]
    page = report(label(values, shown, length=1), tmp_path / "out", activations=values, samples=samples, n_jobs=1)
    with opened(browser, page.parent) as at:
        go(at, "#/neuron/-/0")
        at.locator("section", has_text="Highest activations").locator("button").first.click()
        expect(at.locator("dialog[open]")).to_have_count(1)
        at.go_back()
        expect(at.locator("dialog")).to_have_count(0)
        expect(at.locator(".card").first).to_be_visible()


def test_a_saved_chart_has_its_title_and_legend_and_is_for_a_white_page(browser, tmp_path):
    values = np.random.default_rng(0).normal(size=(60, 2))
    shown = Concepts.from_array(values[:, :1] > 0, ["up"])
    page = report(label(values, shown, length=1), tmp_path / "out", activations=values, concepts=shown, n_jobs=1)
    with opened(browser, page.parent, color_scheme="dark") as at:
        go(at, "#/neuron/-/0")
        figure = at.locator("figure", has_text="Activation inside and outside")
        expect(figure.locator(".chart svg")).to_be_visible()
        figure.get_by_text("Save").click()
        with at.expect_download() as saved:
            figure.get_by_role("button", name="SVG").click()
        text = saved.value.path().read_text(encoding="utf-8")
        assert "Activation inside and outside the formula</text>" in text
        assert ">inside</text>" in text
        assert ">outside</text>" in text
        assert 'fill="rgb(255, 255, 255)"' in text
        assert "var(" not in text
        assert at.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


def test_a_page_of_labels_by_another_score_shows_it(browser, tmp_path):
    rng = np.random.default_rng(0)
    shown = rng.random((300, 4)) < 0.3
    values = rng.normal(size=(300, 3)) + 3 * shown[:, :3]
    labels = label(values, Concepts.from_array(shown, list("abcd")), score="mean_difference", length=2)
    folder = report(labels, tmp_path / "page", activations=values, n_jobs=1).parent
    with opened(browser, folder) as page:
        expect(page.locator("main")).to_contain_text("by mean difference")
        for one in labels:
            expect(page.locator(f".card[data-to='#/neuron/-/{one.neuron}']")).to_contain_text(
                f"{one.value:.4f} mean difference, {one.auc:.4f} AUC"
            )
        go(page, "#/neuron/-/1")
        expect(page.locator(".evidence")).to_contain_text(re.compile(rf"mean difference\s*{labels[1].value:.4f}"))
