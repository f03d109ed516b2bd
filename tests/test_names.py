"""Names of any characters through every writer and reader: equal after a round trip, or refused."""

import csv
import json
import re
from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest

from neuronym import (
    Activations,
    Concepts,
    Explanation,
    Formula,
    Hierarchy,
    Label,
    Labels,
    OptionError,
    collect,
    label,
    open_activations,
    open_concepts,
    save_activations,
    save_concepts,
    show,
)
from neuronym._util.characters import for_spreadsheet, from_spreadsheet, visible
from neuronym.analysis.circuits.graph import Circuit, open_circuit, save_circuit
from neuronym.analysis.spurious.findings import Findings, open_findings
from neuronym.errors import FileError, InputError
from neuronym.io import LayerWriter, open_layers, open_tokens, save_tokens
from neuronym.report.page import report

FORMULAS = [
    "=cmd|' /C calc'!A0",
    "=2+5",
    "@SUM(A1)",
    "+1",
    "-1",
    "-x",
    "\t=1",
    "\r=1",
    "\n@x",
    " =1",
    "＝1",
    "a;=1",
    "'=1",
]
NAMES = [
    *FORMULAS,
    *("\\", "a\\nb", "\\ud800", "nul\0in", "\0", "a\nb", "a\r\nb", "\r", "a,b", 'say "x"', '"', "'", "''", " lead"),
    *(
        "trail ",
        " ",
        "\u200f\u05d0",
        "\u202egnp",
        "e\u0301",
        "\u00e9",
        "x" * 10_000,
        "NaN",
        "None",
        "null",
        "NA",
        "nan",
    ),
    *(
        "1e5",
        "007",
        "-0",
        "1.0",
        "True",
        "AND",
        "~a",
        "a & b",
        "(x",
        "\ufeffbom",
        "</script>",
        "<!--",
        "\u2028",
        "\u2029",
    ),
    *(
        "\x1b[31m",
        "\x85",
        "\x1c",
        "\x7f",
        "sample",
        "concept",
        "concepts",
        "neuron",
        "escaped",
        "index",
        "image_id",
        "#",
    ),
    *("..", ".", "a/b", "zarr.json", "sample_ids", "Unnamed: 0", "sep=;", "__proto__", "\U0001f600", "text", "parent"),
]
HALVES = ["\ud800", "a\udcff", "\udc00\ud800"]  # of surrogate pairs
IDS = ["s1", "s2"]


def of_formula(name, folder):
    formula = Formula.concept(name) & ~(Formula.concept("z") | Formula.concept(name + "'"))
    return Formula.parse(str(formula)), formula


def of_labels(file, **options):
    def back(name, folder):
        best = Explanation(Formula.concept(name), 0.9, 0.5, 10)
        whole = Labels(
            [
                Label(name, name, "high", best, (best,), (best,), aliases={name: (name + "'",)}),
                Label("other", "layer", reason=name, alternatives=((Formula.concept(name), 0.5),)),
            ]
        )
        whole.save(folder / file, **options)
        read = Labels.open(folder / file)
        assert read == whole
        return [[repr(x.neuron), x.layer, x.formula, x.reason, x.aliases, x.alternatives] for x in read], [
            [repr(x.neuron), x.layer, x.formula, x.reason, x.aliases, x.alternatives] for x in whole
        ]

    return back


def of_concepts(name, folder):
    made = Concepts.from_sets([{name}, {"other"}], sample_ids=[name, "s2"])
    made = made._with(aliases={name: (name + "'",)}, descriptions={name: name}, origin={"rule": name})
    save_concepts(made, folder / "c.parquet")
    fields = ("names", "sample_ids", "aliases", "descriptions", "origin")
    read = open_concepts(folder / "c.parquet")
    return [getattr(read, one) for one in fields], [getattr(made, one) for one in fields]


def of_activations(file, ids, dtype=float):
    def back(name, folder):
        made = Activations(np.array([[1, 2], [3, 4]], dtype), [name, "other"], sample_ids=[name, "s2"] if ids else None)
        save_activations(made, folder / file)
        read = open_activations(folder / file)
        return [list(read.names), read.sample_ids, read.matrix.tolist()], [
            list(made.names), made.sample_ids, made.matrix.tolist(),
        ]  # fmt: skip

    return back


def of_store(name, folder):
    with LayerWriter(folder / "s.zarr", ["layer"], {}, neurons={"layer": [name, "other"]}) as writer:
        writer.add({"layer": np.ones((2, 2))}, 2, [name, "s2"])
        writer.finish()
    read = open_layers(folder / "s.zarr")["layer"]
    return [list(read.names), read.sample_ids], [list(Activations([[0, 0]], [name, "other"]).names), (name, "s2")]


def of_layers(name, folder):
    with LayerWriter(folder / "s.zarr", [name, "other"], {}) as writer:
        writer.add({name: np.ones((2, 2)), "other": np.zeros((2, 2))}, 2)
        writer.finish()
    read = open_layers(folder / "s.zarr")
    assert open_activations(folder / "s.zarr" / name).matrix[0, 0] == 1
    return list(read), [name, "other"]


def of_findings(**options):
    def back(name, folder):
        row = {
            "suspect": name,
            "layer": name,
            "neuron": Label(name).neuron,
            "rank": 1,
            "pairs": 0,
            "auc": -0.5,
            "q": 0.01,
        }
        classes = {"suspect": name, "class": Label(name).neuron, "name": name, "rank": 1, "change": 0.5, "q": 0.01}
        made = Findings(pd.DataFrame([row]), pd.DataFrame([classes]))
        made.save(folder, **options)
        read = open_findings(folder)
        return [frame.to_dict("records") for frame in (read.neurons, read.classes)], [[row], [classes]]

    return back


def a_circuit(name):
    graph = networkx.DiGraph()
    nodes = [("high", 0), (name, Label(name).neuron), (name, "other")]
    for level, node in enumerate(nodes):
        formula = str(Formula.concept(name))
        graph.add_node(node, layer=node[0], neuron=node[1], level=min(level, 1), name=name, formula=formula, auc=0.9)
    for node in nodes[1:]:
        graph.add_edge(node, nodes[0], contribution=1.5, share=0.5, method="linear")
    return Circuit(graph, nodes[0], ["high", name], 7, {nodes[0]: 1.0})


def of_circuit(name, folder):
    made = a_circuit(name)
    save_circuit(made, folder / "circuit.json")
    read = open_circuit(folder / "circuit.json")
    return [dict(read.graph.nodes(data=True)), read.layers], [dict(made.graph.nodes(data=True)), made.layers]


def of_graphml(name, folder):
    made = a_circuit(name)
    save_circuit(made, folder / "circuit.graphml")
    read = networkx.read_graphml(folder / "circuit.graphml")
    fields = ("layer", "neuron", "name", "formula")
    return [[str(node[one]) for one in fields] for node in read.nodes.values()], [
        [str(node[one]) for one in fields] for node in made.graph.nodes.values()
    ]


def of_tokens(file):
    def back(name, folder):
        made = pd.DataFrame({"sample": [f"{name}#0"], "parent": [name], "text": [name]})
        save_tokens(made.assign(word=None, start=[0], end=[1]), folder / file)
        read = open_tokens(folder / file)
        return read[["sample", "parent", "text"]].to_dict("records"), made.to_dict("records")

    return back


def of_hierarchy(name, folder):
    with open(folder / "h.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["child", "parent"], [name, "above"], ["below", name]])
    return dict(Hierarchy.from_csv(folder / "h.csv").parents), {name: ("above",), "below": (name,)}


def of_report(name, folder):
    rng = np.random.default_rng(0)
    shown = rng.random((60, 2)) < 0.4
    ids = [name, *(f"s{i}" for i in range(59))]
    taken = Activations(rng.normal(size=(60, 2)) + shown, [name, "other"], sample_ids=ids)
    concepts = Concepts.from_array(shown, [name, "z"], sample_ids=ids)
    labels = label({name: taken}, concepts, length=1, min_count=5)
    report(labels, folder / "out", activations={name: taken}, concepts=concepts)
    text = (folder / "out/data/index.js").read_text(encoding="ascii")
    index = json.loads(re.fullmatch(r'neuronym\.piece\("index",(.*)\);\n', text, re.DOTALL)[1])
    assert "</" not in text or "<\\/" in text or name in ("</script>",)
    return [index["layers"], index["concepts"][:1], index["columns"]["neuron"]["plain"][0]], [
        [name], [name], taken.names[0],
    ]  # fmt: skip


WRITERS = {
    "formula": of_formula,
    **{f"labels{kind}": of_labels(f"labels{kind}") for kind in (".csv", ".parquet", ".json")},
    "labels for a spreadsheet": of_labels("labels.csv", spreadsheet=True),
    "concepts": of_concepts,
    **{
        f"activations{kind}{' with ids' if ids else ''}": of_activations(f"a{kind}", ids)
        for kind in (".npz", ".csv", ".parquet")
        for ids in (False, True)
    },
    **{f"whole activations{kind}": of_activations(f"a{kind}", False, int) for kind in (".npz", ".csv", ".parquet")},
    "store": of_store,
    "layers": of_layers,
    "findings": of_findings(),
    "findings for a spreadsheet": of_findings(spreadsheet=True),
    "circuit": of_circuit,
    "graphml": of_graphml,
    "tokens.csv": of_tokens("t.csv"),
    "tokens.parquet": of_tokens("t.parquet"),
    "hierarchy": of_hierarchy,
    "report": of_report,
}
AS_IDS = {"sample", "Unnamed: 0"}
CALLED_LIKE_IDS = {*AS_IDS, "index", "image_id", "#", "sample_ids"}  # of whole numbers, which ids may be
XML = {name for name in NAMES if re.search("[\x00-\x08\x0b-\x1f]", name)}
FOLDERS = {name for name in NAMES if re.search(r"[/\\\0]", name) or len(name) > 255 or name in (".", "..", "zarr.json")}
REFUSED = {  # what a kind of file cannot hold
    **{f"{start}activations.npz{end}": {"\0"} for start, end in (("", ""), ("", " with ids"), ("whole ", ""))},
    "activations.csv": AS_IDS,
    "activations.parquet": {"sample"},
    "activations.parquet with ids": {"sample"},
    "whole activations.csv": CALLED_LIKE_IDS,
    "whole activations.parquet": CALLED_LIKE_IDS,
    "layers": FOLDERS | {"sample_ids", "__proto__"},
    "graphml": XML,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_names_come_back_whole_or_are_refused(tmp_path, writer):
    refused, wrong = set(), []
    for number, name in enumerate(NAMES):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            read, written = WRITERS[writer](name, folder)
        except InputError as error:
            refused.add(name if len(str(error).splitlines()) == 1 else f"{name}: several lines")
            assert list(folder.iterdir()) == [], name
        else:
            wrong += [name] * (read != written)
    assert wrong == []
    assert refused == REFUSED.get(writer, set())


# Formulas are no files, pandas makes no table of them, and the reader of a hierarchy and the page write none.
_OTHERS = ("formula", "hierarchy", "report", "tokens.csv", "tokens.parquet")


@pytest.mark.parametrize("writer", [one for one in WRITERS if one not in _OTHERS])
@pytest.mark.parametrize("name", HALVES, ids=ascii)
def test_half_of_a_character_is_refused_and_nothing_is_written(tmp_path, writer, name):
    with pytest.raises(InputError, match=r"half of a character|cannot contain a layer named") as caught:
        WRITERS[writer](name, tmp_path)
    assert ascii(name[-1])[1:-1] in str(caught.value) or ascii(name[0])[1:-1] in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", HALVES, ids=ascii)
def test_half_of_a_character_is_refused_where_names_enter(name):
    entries = {
        "name of a concept": lambda: Concepts.from_sets([{name}]),
        "sample id of concepts": lambda: Concepts.from_sets([{"a"}], sample_ids=[name]),
        "name of a neuron": lambda: Activations([[1.0]], [name]),
        "sample id of activations": lambda: Activations([[1.0]], sample_ids=[name]),
        "name of a layer": lambda: label({name: [[1.0]]}, [[True]]),
    }
    for what, enter in entries.items():
        with pytest.raises(InputError, match=f"the {what} .* contains half of a character .*: rename it"):
            enter()
    with pytest.raises(InputError, match=r"sample id of concepts 'a.udcff' contains half"):
        Concepts.from_sets([{"a"}], sample_ids=[b"a\xff"])


def test_half_of_a_character_in_json_is_refused(tmp_path):
    row = '{"neuron": 0, "formula": "\\ud800", "auc": 0.9, "fraction": 0.1, "count": 3, "reason": "\\\\ud800"}'
    (tmp_path / "l.json").write_text(f'{{"labels": [{row}]}}')
    with pytest.raises(
        FileError, match=r"labels from .*l\.json': a text in it contains half of a character \('.ud800'"
    ):
        Labels.open(tmp_path / "l.json")
    (tmp_path / "l.json").write_text(f'{{"labels": [{row}]}}'.replace('"\\ud800"', '"\\ud83d\\ude00"'))
    assert Labels.open(tmp_path / "l.json")[0].formula == Formula.concept("\U0001f600")


def test_names_equal_after_normalization_stay_two(tmp_path):
    names = ["e\u0301", "\u00e9"]
    made = Concepts.from_sets([{names[0]}, {names[1]}])
    save_concepts(made, tmp_path / "c.parquet")
    assert set(open_concepts(tmp_path / "c.parquet").names) == set(names)
    save_activations(Activations(np.eye(2), names), tmp_path / "a.csv")
    assert list(open_activations(tmp_path / "a.csv").names) == names
    with LayerWriter(tmp_path / "s.zarr", ["Layer", "layer", *names], {}) as writer:
        writer.add({name: np.full((1, 1), i) for i, name in enumerate(["Layer", "layer", *names])}, 1)
        read = writer.finish()
    assert [float(one.matrix[0, 0]) for one in read.values()] == [0, 1, 2, 3]


# ---- spreadsheets


def cells_of(path):
    """The cells of a CSV file, also as a spreadsheet finds them that takes semicolons or tabs for separators."""
    text = Path(path).read_text(encoding="utf-8")
    for separator in ",;\t":
        for row in csv.reader(text.splitlines(keepends=True), delimiter=separator):
            yield from row


def test_no_cell_runs_in_a_spreadsheet(tmp_path):
    for number, name in enumerate(FORMULAS):
        for writer in ("labels for a spreadsheet", "findings for a spreadsheet"):
            folder = tmp_path / f"{number} {writer}"
            folder.mkdir()
            WRITERS[writer](name, folder)
            texts = [cell for path in folder.iterdir() for cell in cells_of(path)]
            run = [cell for cell in texts if re.match(r"\s*[=+\-@＝]|[\t\r\n]+[^']", cell) and not is_number(cell)]
            assert run == [], name
    of_labels("raw.csv")("=2+5", tmp_path)
    assert "=2+5" in list(cells_of(tmp_path / "raw.csv"))  # exact unless asked


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_what_a_spreadsheet_saves_again_is_read(tmp_path):
    best = Explanation(Formula.concept("=2+5"), 0.9, 0.5, 10)
    whole = Labels([Label(0, best=best, path=(best,))])
    whole.save(tmp_path / "l.csv", spreadsheet=True)
    text = (tmp_path / "l.csv").read_text()
    (tmp_path / "l.csv").write_text("\ufeff" + text.replace(",True", ",TRUE"), encoding="utf-8")
    assert Labels.open(tmp_path / "l.csv") == whole


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:12]))
def test_escaping_is_undone(name):
    for text in (name, name + name, f"'{name}", f"x;{name};'{name}"):
        assert from_spreadsheet(for_spreadsheet(text)) == text


def test_the_command_writes_for_a_spreadsheet(tmp_path, command):
    rng = np.random.default_rng(0)
    shown = rng.random((200, 2)) < 0.4
    np.save(tmp_path / "a.npy", rng.normal(size=(200, 2)) + shown)
    save_concepts(Concepts.from_array(shown, ["=2+5", "-x"]), tmp_path / "c.parquet")
    files = (tmp_path / "a.npy", tmp_path / "c.parquet")
    assert command("label", *files, "--length", "1", "--quiet", "--out", tmp_path / "l.csv", "--spreadsheet")[0] == 0
    assert ",'=2+5," in (tmp_path / "l.csv").read_text()
    assert [str(one.formula) for one in Labels.open(tmp_path / "l.csv")] == ["=2+5", "-x"]
    assert command("show", tmp_path / "l.csv", "--out", tmp_path / "exact.csv")[0] == 0
    assert ",=2+5," in (tmp_path / "exact.csv").read_text()
    assert show(tmp_path / "exact.csv", out=tmp_path / "again.csv", spreadsheet=True) == Labels.open(tmp_path / "l.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "l.csv").read_bytes()
    code, _, said = command("label", *files, "--out", tmp_path / "l.json", "--spreadsheet")
    assert (code, said.count("\n")) == (2, 1)
    assert "--spreadsheet) is for .csv" in said
    assert command("sweep", *files, "--length", "1", "--quiet", "--out", tmp_path / "s.csv", "--spreadsheet")[0] == 0
    assert pd.read_csv(tmp_path / "s.csv")["escaped"].all()
    with pytest.raises(OptionError, match=r"is for \.csv"):
        show(tmp_path / "l.csv", out=tmp_path / "l.parquet", spreadsheet=True)


# ---- terminals


def test_what_is_printed_does_nothing_to_a_terminal(tmp_path, command):
    odd = "\x1b[31mred\x9b2J\u202e\nneuron 1: fake"
    best = Explanation(Formula.concept(odd), 0.9, 0.5, 10)
    labels = Labels([Label(odd, odd, "high", best, (best,), (best,), aliases={odd: (odd,)}), Label(1, odd, reason=odd)])
    labels.save(tmp_path / "l.json")
    save_concepts(Concepts.from_sets([{odd}, {"b"}]), tmp_path / "c.parquet")
    shown = [str(labels), *map(str, labels), str(best), repr(Concepts.from_sets([{odd}]))]
    for arguments in ([], [odd], ["1"], ["--json"], ["\x1b[2J"]):
        shown += command("show", tmp_path / "l.json", *arguments)[1:]
    shown += command("concepts", "show", tmp_path / "c.parquet")[1:]
    shown += command("show", f"{tmp_path}/\x1b[31m.csv")[1:]
    assert sum("\\x1b[31mred" in text for text in shown) >= 8
    for text in shown:
        assert not re.search("[\x1b\x9b]", text), text
        assert "\nneuron 1: fake" not in text
    assert "\\x1b[31mred\\x9b2J\\u202e\\nneuron 1: fake" in shown[0]
    assert json.loads(command("show", tmp_path / "l.json", "--json")[1])["labels"][0]["neuron"] == odd
    assert visible("a\tb\n", keep="\t\n") == "a\tb\n"


# ---- layers


@pytest.mark.parametrize(
    "name", ["a/b", "\\", "nul\0", "x" * 256, "é" * 128, "sample_ids", "zarr.json", "__x"], ids=ascii
)
def test_a_layer_that_no_folder_can_be_named_after_is_refused_before_the_pass(tmp_path, name):
    import torch

    class Counted(torch.nn.Linear):
        passes = 0

        def forward(self, x):
            Counted.passes += 1
            return super().forward(x)

    model = torch.nn.ModuleDict({"ok": torch.nn.Identity()})
    model._modules[name] = Counted(2, 2)
    with pytest.raises(OptionError, match=r"a store cannot contain a layer named .*parent\._modules\['new'\] = "):
        collect(
            model, torch.zeros(3, 2), layers=[name], out=tmp_path / "a.zarr", forward=lambda model, x: model[name](x)
        )
    assert (Counted.passes, list(tmp_path.iterdir())) == (0, [])
    taken = collect(model, torch.zeros(3, 2), layers=[name], forward=lambda model, x: model[name](x))
    assert (list(taken), Counted.passes) == ([name], 1)
    model._modules["new"] = model._modules.pop(name)  # as the message says
    collect(model, torch.zeros(3, 2), layers=["new"], out=tmp_path / "a.zarr", forward=lambda model, x: model["new"](x))
