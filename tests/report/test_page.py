import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuronym import (
    AlignmentError,
    Explanation,
    FileError,
    Formula,
    Label,
    Labels,
    OptionError,
    compare_layers,
    label,
    save_activations,
    save_concepts,
)
from neuronym.analysis.circuits.graph import open_circuit, save_circuit
from neuronym.analysis.spurious.findings import find_spurious, open_findings
from neuronym.report.overview import evidence
from neuronym.report.page import SCRIPTS, report
from page_cases import HOSTILE, N, a_circuit, pieces, unpacked, untrained
from reference import auc_by_pairs


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
    assert set(index["sections"]) == {"findings", "compared", "baselines", "circuits", "methods"}
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
        d = own["distribution"]
        edges = np.linspace(values[values != 0].min(), values.max(), len(d["inside"]["counts"]) + 1)
        assert (d["low"], d["high"]) == pytest.approx((edges[0], edges[-1]), rel=1e-5)
        for side, members in (("inside", values[inside]), ("outside", values[~inside])):
            assert d[side]["counts"] == np.histogram(members[members != 0], edges)[0].tolist()
            assert (d[side]["zeros"], d[side]["total"]) == (np.sum(members == 0), len(members))
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
        assert own["shown"]["bottom"][0] == np.argsort(-values, kind="stable")[::-1][:5].tolist()
        assert {"gain", "p_gain", "auc_low", "auc_high", "auc_heldout"} <= set(own["path"][0])
    assert part["neurons"][1]["distribution"]["outside"]["zeros"] > 60
    same = [j for j, other in enumerate(labels) if j and other.formula == next(iter(labels)).formula]
    assert part["neurons"][0]["same"] == same
    constant = part["neurons"][5]
    assert constant["value"] == 1
    assert not {"roc", "distribution", "shown", "single"} & set(constant)
    assert constant["near"] == []


def test_samples_have_their_concepts_and_the_neurons_that_fire_most(made, data):
    folder, labels = made
    taken, concepts = data
    names = pieces(folder, "index")["concepts"]
    listed = pieces(folder, "samples")
    assert listed == sorted(listed)
    spread = taken.matrix[:, :5].std(axis=0)
    scores = (taken.matrix[:, :5] - taken.matrix[:, :5].mean(axis=0)) / spread  # neuron 5 is constant
    for row, name in listed[:40]:
        found = pieces(folder, f"samples/{row // 32}")[str(row)]
        assert found["sample"] == [name, None, 1]
        assert {names[c] for c in found["concepts"]} == {c for c in concepts.names if concepts[c][row]}
        expected = sorted(np.tile(scores[row], 2), reverse=True)[:8]  # both layers have the same activations
        assert [score for _, score, _ in found["neurons"]] == pytest.approx(expected, rel=0.01, abs=0.01)
        for i, score, value in found["neurons"]:
            neuron = list(labels)[i].neuron
            assert score == pytest.approx(scores[row, neuron], rel=0.01, abs=0.01)
            assert value == pytest.approx(taken.matrix[row, neuron], rel=1e-3)


def test_cards_hold_the_top_samples(made, data):
    folder, labels = made
    taken, concepts = data
    part = pieces(folder, "cards/0")
    assert len(part["cards"]) == len(labels)
    for one, (rows, inside) in zip(labels, part["cards"], strict=True):
        if one.formula is None:
            assert (rows, inside) == ([], [])
            continue
        assert rows == np.argsort(-taken.matrix[:, one.neuron], kind="stable")[:5].tolist()
        assert inside == one.formula.evaluate(concepts)[rows].astype(int).tolist()
        assert all(part["samples"][str(row)] == [f"{row:03}.png", None, 1] for row in rows)


def test_pictures_have_a_larger_copy_where_they_are_larger(tmp_path, data):
    taken, concepts = data
    sizes = {i: (600, 300) if k % 2 else (150, 100) for k, i in enumerate(taken.sample_ids)}
    images = {i: Image.new("RGB", size, "red") for i, size in sizes.items()}
    report(label(taken, concepts, min_count=5), tmp_path / "out", activations=taken, concepts=concepts, samples=images)
    for row, name in pieces(tmp_path / "out", "samples"):
        found = pieces(tmp_path / "out", f"samples/{row // 32}")[str(row)]
        with Image.open(tmp_path / "out" / "thumbs" / f"{row}.jpg") as small:
            assert max(small.size) == 128
        large = tmp_path / "out" / "photos" / f"{row}.jpg"
        assert found["sample"][2] == (2 if sizes[name][0] == 600 else 1)
        assert large.exists() is (sizes[name][0] == 600)
        if large.exists():
            with Image.open(large) as picture:
                assert picture.size == (384, 192)


def explained(text, **numbers):
    return Explanation(Formula.parse(text), numbers.pop("auc", 0.9), 0.1, 10, **numbers)


@pytest.mark.parametrize(
    ("label_", "state"),
    [
        (Label(0, reason="constant"), "none"),
        (Label(0, best=explained("a")), "untested"),
        (Label(0, best=explained("a"), p_search=0.001, q=0.001, permutations=999), "holds"),
        (Label(0, best=explained("a"), p_search=0.2, q=0.2, permutations=999), "fails"),
        (Label(0, best=explained("a"), p_search=0.01, q=0.01, permutations=9), "untested"),  # 0.05 is out of reach
        (Label(0, best=explained("a", auc_heldout=0.4, p=0.5), p_search=0.001, q=0.001, permutations=999), "fails"),
        (Label(0, best=explained("a", auc_heldout=0.8, p=1e-9)), "holds"),
        (Label(0, best=explained("a", auc_heldout=0.8, p=0.6)), "fails"),
    ],
)
def test_evidence_of_a_label(label_, state):
    assert evidence(Labels([label_])) == [state]


def test_evidence_in_part_names_the_literals_that_hold(tmp_path):
    first = explained("dog", auc_heldout=0.8, p_gain=1e-6, p=1e-9)
    second = explained("dog & ~grass", auc=0.92, auc_heldout=0.79, p_gain=0.4, p=1e-9)
    one = Label(0, best=second, path=(first, second), p_search=0.001, q=0.001, permutations=999)
    assert evidence(Labels([one])) == ["partly"]
    report(Labels([one]), tmp_path / "out")
    index = pieces(tmp_path / "out", "index")
    assert index["formulas"][index["columns"]["simplest"][0]] == str(index["concepts"].index("dog"))
    assert (index["verdict"]["believable"], index["verdict"]["whole"], index["verdict"]["kept"]) == (1, 0, 1)


def test_the_heading_says_what_was_labelled_and_how(made):
    folder, _ = made
    assert pieces(folder, "index")["heading"] == [
        "12 neurons of 2 layers", "300 samples × 5 concepts", "exact search for formulas of up to 3 concepts",
        "99 permutations", "samples held out (50%)",
    ]  # fmt: skip


def test_concepts_have_counts_and_a_best_detector(made, data):
    folder, labels = made
    taken, concepts = data
    index = pieces(folder, "index")
    for name, count, best in zip(index["concepts"], index["counts"], index["detectors"], strict=True):
        assert count == concepts[name].sum()
        aucs = [float(auc_by_pairs(taken.matrix[:, one.neuron], concepts[name])) for one in labels]
        assert best[1] == pytest.approx(max(aucs), abs=1e-4)
        assert aucs[best[0]] == pytest.approx(max(aucs), abs=1e-4)


def test_every_number_on_the_page_has_a_definition(made):
    index = pieces(made[0], "index")
    words = {one["name"]: one for one in index["words"]}
    assert all(one["about"].endswith(".") for one in words.values())
    assert {one["name"] for one in index["schema"] if one["kind"] in ("number", "p", "whole")} <= set(words)
    docs = Path(__file__).parents[2] / "docs"
    assert all((docs / one["docs"]).exists() for one in words.values() if one["docs"])
    static = Path(__file__).parents[2] / "src/neuronym/report/static"
    for path in static.glob("*.js"):
        used = re.findall(r'(?:ui\.)?\bword\("([^"]+)"', path.read_text(encoding="utf-8"))
        assert set(used) <= set(words), path.name


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
        for places, values, truth in own.get("shown", {}).values():
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
        if one.neuron == 5:  # constant
            continue
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
    assert set(own["distribution"]) == {"low", "high", "all"}


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
        *(f"assets/{name}" for name in SCRIPTS),
        "data/index.js",
    ]
    assert pieces(folder, "index")["concepts"] == HOSTILE


def test_libraries_come_with_their_licences():
    vendor = Path(__file__).parents[2] / "src/neuronym/report/static/vendor"
    known = [("d3", "v7.9.", "without fee"), ("plot", "v0.6.17", "without fee"), ("dagre", "", "Permission is")]
    for name, version, licence in known:
        assert licence in (vendor / f"{name}.LICENSE").read_text()
        assert version in (vendor / f"{name}.min.js").read_text(encoding="utf-8")[:200]


def test_the_scripts_are_written_without_markup_from_data():
    static = Path(__file__).parents[2] / "src/neuronym/report/static"
    for path in static.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), path
    if node := shutil.which("node"):
        for path in static.glob("*.js"):
            subprocess.run([node, "--check", path], check=True)
