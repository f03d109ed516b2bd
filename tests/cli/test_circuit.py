import json
import runpy

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuronym import Concepts, Label, Labels, OptionError, label, open_concepts, save_concepts
from neuronym.analysis.circuits.study import circuit
from neuronym.io.zarr_store import open_layers

MODEL = """
import torch
def prepare(image):
    import numpy as np
    return torch.tensor(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)
def make():
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    head = torch.nn.Linear(16, 4)
    with torch.no_grad():  # the first output is highest where a photo has green
        layers[0].weight[0], layers[0].bias[0] = 0, 0
        layers[0].weight[0, 1, 1, 1] = 1
        head.weight[:2] = 0
        head.weight[0, 0] = 5
        head.bias[:] = torch.tensor([-1.0, 0, -9, -9])
    return torch.nn.Sequential(*layers, head), prepare
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_circuits.py").write_text(MODEL)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    ids = [f"{i:02}.png" for i in range(30)]
    for i, name in enumerate(ids):
        image = rng.integers(0, 256, (8, 8, 3)) * (1 if i % 3 else [1, 0, 0])
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / "photos" / name)
    sets = [{"pug", "dog"} if i % 3 == 0 else {"cat"} if i % 3 == 1 else {"dog"} for i in range(30)]
    save_concepts(Concepts.from_sets(sets, sample_ids=ids), tmp_path / "c.parquet")
    (tmp_path / "classes.txt").write_text("pug\ncat\nn02883344\nfish\n")
    return tmp_path


RUN = ("circuit", "--model", "mine_circuits:make", "--images", "photos", "--target-layer", "4", "--layers", "2,0")


def test_the_command_writes_graph_tables_and_ablations(folder, command):
    code, out, err = command(
        *RUN, "--target", "pug", "--classes", "classes.txt", "--concepts", "c.parquet", "--versus", "cat",
        "--ablate", "2", "--n-random", "3", "--length", "1", "--out", "found",
    )  # fmt: skip
    assert code == 0, err
    assert {path.name for path in (folder / "found").iterdir()} == {
        *("circuit.dot", "circuit.graphml", "circuit.json", "circuit.png", "contributions.csv", "versus.csv"),
        *("ablation_0.json", "ablation_2.json", ".neuronym.json"),
    }
    assert "contributions to pug (first) and cat (second)" in out
    graph = json.loads((folder / "found" / "circuit.json").read_text())
    assert (graph["target"], graph["n_samples"]) == ("4/0", 10)  # the samples of the class
    table = pd.read_csv(folder / "found" / "contributions.csv")
    assert table["contribution"].is_monotonic_decreasing
    assert table["share"].sum() == pytest.approx(1, rel=1e-4)
    code, out, err = command(*RUN, "--target", "pug", "--classes", "classes.txt", "--out", "found")
    assert (code, "'found' exists" in err) == (2, True)


def test_the_command_takes_a_store_and_compares_right_with_wrong(folder, command):
    code, out, err = command("collect", "--model", "mine_circuits:make", "--layers", "0,2,4", "--images", "photos",
                             "--out", "acts.zarr", "-q")  # fmt: skip
    assert code == 0, err
    logits = open_layers(folder / "acts.zarr")["4"].block(np.arange(4))
    highest = np.bincount(logits.argmax(axis=1), minlength=4)
    target = int(np.argmax(highest * (30 - highest)))
    assert 0 < highest[target] < 30
    run = (*RUN, "--target", target, "--activations", "acts.zarr", "--concepts", "c.parquet")
    code, out, err = command(*run, "--where", "dog | cat", "--right-wrong", "--out", "found")
    assert code == 0, err
    heading = f"on the {highest[target]} samples where it is the highest (first) and the {30 - highest[target]} others"
    assert heading in out
    pooled = open_layers(folder / "acts.zarr")["2"].block(np.arange(16)).astype(float)
    right = logits.argmax(axis=1) == target
    table = pd.read_csv(folder / "found" / "right_wrong.csv").set_index("neuron").sort_index()
    weights = runpy.run_path("mine_circuits.py")["make"]()[0][4].weight[target].detach().double().numpy()
    expected = weights * (pooled[right].mean(axis=0) - pooled[~right].mean(axis=0))
    assert table["difference"].to_numpy() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--target", "pig", "--classes", "classes.txt"), "no neuron 'pig'; near it: 'pug'"),
        (("--target", "9"), "no neuron '9'"),
        (("--target", "0", "--where", "dog"), "'dog' selects samples by their concepts: give concepts"),
        (("--target", "0", "--where", "dogg", "--concepts", "c.parquet"), "no concept 'dogg'; near it: 'dog'"),
        (("--target", "0", "--wordnet"), "give concepts"),
        (("--target", "0", "--table", "t.npy"), "give exactly one of images"),
        (("--target", "0", "--method", "linear"), "not linearly connected"),
    ],
)
def test_the_command_answers_wrong_input_in_one_line(folder, command, arguments, match):
    code, _, err = command(*RUN, *arguments, "-q")
    assert code == 2
    assert match in err
    assert len(err.strip().splitlines()) == 1


def test_the_options_of_the_command_do_what_they_say(folder, command):
    (folder / "h.csv").write_text("child,parent\npug,dog\ndog,animal\ncat,animal\nanimal,\n")
    run = (*RUN, "--concepts", "c.parquet", "--classes", "classes.txt", "--target", "pug", "-q")
    names = iter(range(100))

    def read(file, *more):
        out = f"out{next(names)}"
        code, _, err = command(*run, *more, "--out", out)
        assert code == 0, err
        path = folder / out / file
        return json.loads(path.read_text()) if path.suffix == ".json" else pd.read_csv(path)

    mine = read("contributions.csv").set_index("neuron")["contribution"]
    cat = read("contributions.csv", "--target", "cat", "--where", "pug").set_index("neuron")["contribution"]
    versus = read("versus.csv", "--versus", "cat").set_index("neuron")
    assert versus["first"].sort_index().tolist() == pytest.approx(mine.sort_index().tolist())
    assert versus["second"].sort_index().tolist() == pytest.approx(cat.sort_index().tolist())
    assert read("contributions.csv", "--against", "cat")["contribution"].tolist() != mine.tolist()
    few, many = (read("circuit.json", "--target", "fish", "--share", share, "--most", "16") for share in ("0.2", "0.9"))
    assert len(few["nodes"]) < len(many["nodes"])
    Labels([Label(3, layer="2")]).save(folder / "l.csv")
    assert read("contributions.csv", "--labels", "l.csv")["formula"].isna().all()
    command("collect", "--model", "mine_circuits:make", "--layers", "0", "--images", "photos", "--out", "a.zarr", "-q")
    label(open_layers("a.zarr"), open_concepts("c.parquet"), min_count=5, length=1).save(folder / "d.csv")
    depth = read("depth.csv", "--hierarchy", "h.csv", "--labels", "d.csv")
    assert depth["neurons"].tolist() == [16]
    assert depth["depth"].between(1, 2).all()
    gone = read("ablation.json", "--ablate-neurons", "2=0,1", "--ablate-neurons", "0=3", "--n-random", "2")
    assert gone["neurons"] == {"2": [0, 1], "0": [3]}
    assert len(gone["changes_random"]) == 2


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--ablate", "-1"), "at least 0"),
        (("--ablate-neurons", "2"), "must be LAYER=1,2"),
        (("--versus", "whale"), "no neuron 'whale'"),
        (("--classes", "two.txt"), "2 names for 4 neurons"),
        (("--classes", "twice.txt", "--target", "cat"), "2 classes are called 'cat'"),
        (("--wordnet", "--hierarchy", "h.csv"), "one of --wordnet and --hierarchy"),
        (("--ablate", "9"), "too few to draw 9 others"),
    ],
)
def test_the_command_writes_nothing_where_it_fails(folder, command, arguments, match):
    (folder / "two.txt").write_text("a\nb\n")
    (folder / "twice.txt").write_text("cat\ncat\na\nb\n")
    code, _, err = command(*RUN, "--target", "0", *arguments, "--out", "found", "-q")
    assert code == 2
    assert match in err
    assert not (folder / "found").exists()
    assert not list(folder.glob(".found*"))


def test_ids_of_a_table_match_those_of_concepts(folder, command):
    rng = np.random.default_rng(0)
    ids = [f"r{i}" for i in range(40)]
    values = rng.normal(size=(40, 5))
    frame = pd.DataFrame(values.astype(np.float32), columns=[f"x{j}" for j in range(5)])
    frame.insert(0, "sample", ids)
    frame.to_csv(folder / "t.csv", index=False)
    (folder / "mine_table.py").write_text(
        "import torch\ndef make():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Linear(5, 12), torch.nn.ReLU(), torch.nn.Linear(12, 2))\n"
    )
    shown = Concepts.from_array(values[:, :1] > 0, ["up"], sample_ids=ids)
    save_concepts(shown, folder / "a.parquet")
    save_concepts(shown.take(rng.permutation(40)), folder / "b.parquet")
    save_concepts(shown.with_ids([f"z{i}" for i in range(40)]), folder / "z.parquet")
    run = ("circuit", "--model", "mine_table:make", "--table", "t.csv", "--target-layer", "2", "--target", "0",
           "--layers", "1", "--where", "up", "--concepts")  # fmt: skip
    outs = [command(*run, f"{name}.parquet")[1] for name in "ab"]
    assert outs[0] == outs[1] != ""
    assert "no sample id is common" in command(*run, "z.parquet")[2]


def test_a_study_in_python_is_that_of_the_command(folder, command):
    study = circuit(
        "mine_circuits:make", images="photos", target_layer="4", target="pug", layers=["2", "0"],
        classes=["pug", "cat", "box", "fish"], concepts="c.parquet", versus="cat", ablate=2, n_random=3, length=1,
        out="made",
    )  # fmt: skip
    code, out, err = command(
        *RUN, "--target", "pug", "--classes", "classes.txt", "--concepts", "c.parquet", "--versus", "cat",
        "--ablate", "2", "--n-random", "3", "--length", "1", "--out", "found",
    )  # fmt: skip
    assert code == 0, err
    assert out.startswith(str(study))
    made, found = ({path.name for path in (folder / name).iterdir()} for name in ("made", "found"))
    assert made == found - {"circuit.png"}
    for name in made - {".neuronym.json"}:  # which lists the drawing too
        assert (folder / "made" / name).read_bytes() == (folder / "found" / name).read_bytes(), name
    assert set(study.ablations) == {"ablation_0", "ablation_2"}


def test_a_module_with_its_data_is_a_study_too(folder):
    model = runpy.run_path("mine_circuits.py")["make"]()[0]
    data = np.random.default_rng(0).random((40, 3, 8, 8)).astype(np.float32)
    study = circuit(model, data, target_layer="4", target=0, layers=["2"], right_wrong=False)
    assert study.circuit.target == ("4", 0)
    assert study.labels is None
    with pytest.raises(OptionError, match="a module needs data"):
        circuit(model, target_layer="4", target=0, layers=["2"])
