"""The commands ``dissect`` and ``methods``: from maps and masks in files to labels in files."""

import json

import numpy as np
import pytest
from PIL import Image

import neuronym
from neuronym import Labels, sources
from neuronym.analysis.dissect import MethodComparison, compare_methods

N, SIZE = 60, 16
NAMES = ["cat", "dog", "bird"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Photos with a box each, and the maps of a network on them: a neuron for each class."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("files")
    (folder / "photos").mkdir()
    (folder / "maps").mkdir()
    rng = np.random.default_rng(0)
    lines, arrays = ["sample,concept,x0,y0,x1,y1"], []
    for i in range(N):
        c, (top, left) = rng.integers(0, 3), rng.integers(0, 8, 2)
        photo = np.full((SIZE, SIZE, 3), 60, np.uint8)
        photo[top : top + 8, left : left + 8, c] = 255
        code = np.zeros((SIZE, SIZE), np.uint8)
        code[top : top + 8, left : left + 8] = 1 + c
        Image.fromarray(photo).save(folder / f"photos/{i:02}.png")
        Image.fromarray(code).save(folder / f"maps/{i:02}.png")
        lines.append(f"{i:02}.png,{NAMES[c]},{left},{top},{left + 7},{top + 7}")
        arrays.append(photo)
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    (folder / "classes.csv").write_text("value,name\n0,nothing\n1,cat\n2,dog\n3,bird\n")
    data = torch.tensor(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255
    model = torch.nn.Sequential(torch.nn.AvgPool2d(2))
    ids = [f"{i:02}.png" for i in range(N)]
    neuronym.collect(model, data, layers=["0"], maps=True, sample_ids=ids, names={"0": NAMES}, out=folder / "maps.zarr")
    return folder


HOW = ["--quantile", "0.9", "--min-count", "5"]


def test_boxes_and_label_maps_give_the_same_labels(command, files, tmp_path):
    boxes = ["dissect", files / "maps.zarr", files / "boxes.csv", "--images", files / "photos", *HOW]
    code, out, _ = command(*boxes, "--out", tmp_path / "a.csv")
    assert code == 0
    assert "60 photos, 15,360 pixels of whole photos, 75% background" in out
    labels = Labels.open(tmp_path / "a.csv")
    assert [str(one.formula) for one in labels] == NAMES
    masks = sources.boxes_as_masks(files / "boxes.csv", images=files / "photos")
    found = neuronym.dissect(files / "maps.zarr", masks, quantile=0.9, min_count=5)
    assert [one.value for one in labels] == [one.value for one in found.labels]
    maps = ["dissect", files / "maps.zarr", files / "maps", "--classes", files / "classes.csv", *HOW]
    code, out, _ = command(*maps, "--background", "nothing", "--json")
    assert code == 0
    rows = json.loads(out)["labels"]
    assert [row["value"] for row in rows] == [one.value for one in labels]
    code, out, _ = command(*maps, "--void", "0", "--quiet", "--out", tmp_path / "b.json")
    assert code == 0
    without = Labels.open(tmp_path / "b.json")  # the background around a box no longer counts against it
    assert [str(one.formula) for one in without] == NAMES
    assert all(one.value >= labels[one.neuron].value for one in without)


def test_longer_formulas_and_held_out_photos(command, files):
    code, out, _ = command(
        "dissect", files / "maps.zarr/0", files / "boxes.csv", "--size", "16x16", "--length", 2, "--holdout", "0.5",
        "--neurons", "dog", "--json", "--quiet", *HOW,
    )  # fmt: skip
    assert code == 0
    (row,) = json.loads(out)["labels"]
    assert row["neuron"] == "dog"
    assert "dog" in row["formula"]
    assert 0 < row["value_heldout"] <= 1


def test_methods_are_compared_and_saved(command, files, tmp_path):
    given = ["methods", files / "maps.zarr", files / "boxes.csv", "--size", "16x16", "--length", 1, *HOW]
    code, out, _ = command(*given, "--out", tmp_path / "methods.json")
    assert code == 0
    assert out.split()[:3] == ["method", "neurons", "compared"]
    masks = sources.boxes_as_masks(files / "boxes.csv", size=(16, 16))
    found = compare_methods(files / "maps.zarr", masks, length=1, quantile=0.9, min_count=5)
    saved = MethodComparison.open(tmp_path / "methods.json")
    assert saved.neurons["formula"].tolist() == found.neurons["formula"].tolist() == NAMES * 3
    assert saved.table["iou"].tolist() == found.table["iou"].tolist()
    code, _, err = command(*given, "--out", tmp_path / "methods.json")
    assert code == 2
    assert "exists" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["boxes.csv"], "give the size of all photos"),
        (["boxes.csv", "--size", "16"], "must be height and width such as 64x64"),
        (["boxes.csv", "--size", "16x16", "--classes", "classes.csv"], "'classes' is no option of a table of boxes"),
        (["boxes.csv", "--size", "16x16", "--crop", "half"], "must be a share such as 0.875, or whole"),
        (["boxes.csv", "--size", "16x16", "--category", "animal"], "no category 'animal'"),
        (["maps"], "classes"),
        (["nowhere.json"], "no file or folder"),
        (["boxes.csv", "--size", "16x16", "--out", "labels.txt"], "labels.txt"),
    ],
)
def test_what_cannot_be_used_is_one_line(command, files, monkeypatch, arguments, message):
    monkeypatch.chdir(files)
    code, _, err = command("dissect", "maps.zarr", *arguments)
    assert code == 2
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err


def test_collect_keeps_maps(command, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(
        "import torch\n"
        "from neuronym.io import Preprocess\n"
        "def net():\n"
        "    torch.manual_seed(0)\n"
        "    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 4, stride=4))\n"
        "    return model, Preprocess(16, (0, 0, 0), (255, 255, 255))\n"
    )
    given = ["collect", "--model", "nets.py:net", "--layers", "0", "--images", files / "photos", "--out", "maps.zarr"]
    code, _, err = command(*given, "--maps", "round")
    assert (code, "must be auto, or rows and columns such as 14x14" in err.replace("\n", " ")) == (2, True)
    code, out, _ = command(*given, "--maps", "auto")
    assert code == 0
    assert "60 samples × 4 neurons of 4 × 4" in out
    code, out, _ = command("dissect", "maps.zarr", files / "boxes.csv", "--images", files / "photos", *HOW)
    assert code == 0
    assert "pixels of whole photos" in out
