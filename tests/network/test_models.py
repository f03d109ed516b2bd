import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neuronym import FileError, OptionError
from neuronym.io.images import Images, Preprocess
from neuronym.network.collecting import collect
from neuronym.network.listing import layers
from neuronym.network.models import load_function, load_model

DATA = Path(__file__).parents[3] / "shared/data"

MODULE = """
import torch
from torch import nn

def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

def prepared():
    return plain(), lambda image: torch.zeros(3, 8, 8) + image.size[0]

def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU())

class Nets:
    twice = nn.Sequential(nn.Linear(3, 4), nn.ReLU())

net = Nets.twice
pair = net, lambda image: torch.ones(3) * image.size[0]

def needs(n):
    return nn.Linear(n, 2)

def broken():
    import no_such_package

def nothing():
    return 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("own_models", None)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for name, size in {"b.png": (9, 7), "sub/a.jpg": (12, 20), "a.bmp": (8, 8)}.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(folder / name)
    return folder


def spoil(photos):
    whole = (photos / "sub/a.jpg").read_bytes()
    (photos / "sub/torn.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.png").write_bytes(b"")
    (photos / "text.png").write_text("no image")


def test_images_are_read_in_order(photos):
    found = Images(photos, lambda image: torch.tensor(image.size))
    assert found.sample_ids == ["a.bmp", "b.png", "sub/a.jpg"]
    assert [tuple(found[i].tolist()) for i in range(len(found))] == [(8, 8), (9, 7), (12, 20)]


def test_every_mode_of_image_is_read(tmp_path):
    for mode in ("1", "L", "P", "RGBA", "CMYK", "I;16"):
        Image.new(mode, (5, 4)).save(tmp_path / f"{mode.replace(';', '')}.tif")
    found = Images(tmp_path, lambda image: torch.from_numpy(np.asarray(image).copy()))
    assert all(found[i].shape == (4, 5, 3) for i in range(6))


def test_what_cannot_be_read_is_named_or_left_out(photos):
    spoil(photos)
    strict = Images(photos, lambda image: torch.zeros(1))
    for place, name in enumerate(strict.sample_ids):
        if name in ("sub/torn.jpg", "empty.png", "text.png"):
            with pytest.raises(FileError, match=f"cannot read the image .*{name}.*repair or remove it, or skip such"):
                strict[place]
    kept = Images(photos, lambda image: torch.zeros(1), skip_unreadable=True)
    assert [kept[i] is not None for i in range(6)] == [True, True, False, True, False, False]
    with pytest.raises(FileError, match="there are no images in"):
        Images(photos.parent / "photos/none" if (photos / "none").mkdir() else photos / "none", lambda image: image)
    with pytest.raises(FileError, match="there is no folder"):
        Images(photos / "nowhere", lambda image: image)


def test_preprocessing_follows_its_definition():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    image = Image.fromarray(pixels)
    whole = Preprocess(10, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))(image)
    resized = np.asarray(image.resize((10, 10), Image.Resampling.BICUBIC), float)
    assert whole.shape == (3, 10, 10)
    assert np.allclose(whole, ((resized - [1, 2, 3]) / [4, 5, 6]).transpose(2, 0, 1))
    cut = Preprocess(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), margin=10)(image)
    assert np.array_equal(
        cut, np.asarray(image.resize((10, 15), Image.Resampling.BICUBIC)).transpose(2, 0, 1)[:, 3:11, 1:9]
    )


def test_models_by_name(own):
    for name in ("own_models:plain", "own_models:prepared"):
        loaded = load_model(name)
        assert isinstance(loaded.model, torch.nn.Sequential)
        assert loaded.name == name
    assert load_model("own_models:plain").prepare(Image.new("RGB", (300, 260))).shape == (3, 224, 224)
    assert load_model("own_models:prepared").prepare(Image.new("RGB", (7, 5)))[0, 0, 0] == 7


def test_a_model_may_be_an_instance(own):
    for name in ("own_models:net", "own_models:Nets.twice", "own_models:pair"):
        loaded = load_model(name)
        assert loaded.model is sys.modules["own_models"].net
        assert loaded.name == name
    assert load_model("own_models:pair").prepare(Image.new("RGB", (7, 5))).tolist() == [7, 7, 7]
    np.save("t.npy", np.zeros((2, 3)))
    assert collect("own_models:net", table="t.npy", layers=["1"])["1"].matrix.shape == (2, 4)


def test_a_model_may_be_in_a_file_of_any_folder(own, tmp_path, monkeypatch):
    folder = tmp_path / "code of mine"
    folder.mkdir()
    (folder / "parts.py").write_text("from torch import nn\n\nsize = 5\n")
    (folder / "typing.py").write_text("from parts import nn, size\n\ndef make():\n    return nn.Linear(size, 2)\n")
    for name in ("code of mine/typing.py:make", f"{folder}/typing.py:make", f"{folder}/../code of mine/typing.py:make"):
        assert load_model(name).model.in_features == 5
    assert load_function("code of mine/typing.py:make") is load_function(f"{folder}/typing.py:make")
    import typing

    assert hasattr(typing, "TYPE_CHECKING")
    (folder / "broken.py").write_text("import no_such_package\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        load_model(f"{folder}/broken.py:make")
    assert "broken" not in sys.modules
    assert isinstance(load_model("own_models.py:plain").model, torch.nn.Sequential)
    sys.modules.pop("parts")


def test_the_preprocessing_is_said_unless_the_model_has_its_own(own, photos, command):
    run = ["collect", "--images", "photos", "--layers", "0", "-q"]
    code, _, err = command(*run, "--model", "own_models:plain", "--out", "a.zarr")
    assert code == 0
    assert err.splitlines() == [
        "neuronym: own_models:plain gives no preprocessing, so images get the usual one for ImageNet "
        f"({load_model('own_models:plain').preprocessing}): to use another, give a pair of the model and its "
        "preprocessing"
    ]
    assert command(*run, "--model", "own_models:prepared", "--out", "b.zarr")[::2] == (0, "")
    np.save("t.npy", np.zeros((2, 3)))
    table = ["collect", "--table", "t.npy", "--layers", "0", "-q", "--out", "c.zarr", "--model", "own_models:mlp"]
    assert command(*table)[::2] == (0, "")
    assert "return a pair of the model and its tokenizer" in command(*table[:1], "--texts", "t.csv", *table[3:])[2]


def test_efficientnet_lite0_comes_with_its_weights():
    loaded = load_model("efficientnet-lite0")
    assert loaded.preprocessing == "224×224 bicubic; (value − [127.0, 127.0, 127.0]) / [128.0, 128.0, 128.0]"
    assert loaded.model._fc.weight.abs().sum() > 0
    assert sum(p.numel() for p in loaded.model.parameters()) == 4652008


MISTAKES = {
    "resnet": "unknown model 'resnet': give efficientnet-lite0",
    "no_such_module:make": "cannot load no_such_module:make: there is no module 'no_such_module'",
    "own_models:mak": "own_models has no mak",
    "own_models:nothing": "own_models:nothing returns int: it must return a torch.nn.Module",
    "own_models:needs": "own_models:needs cannot be called without arguments (missing a required argument: 'n')",
    "own_models:MISTAKE": "own_models has no MISTAKE",
    "own_models:nets": "own_models has no nets; near it: 'net'",
    "own_models:__name__": "own_models:__name__ is str: it must be a torch.nn.Module",
    "nowhere/own_models.py:plain": "there is no file 'nowhere/own_models.py'",
    "own_models.py:mak": "cannot load own_models.py:mak: own_models.py has no mak",
    "torchvision:resnet18": "torchvision:resnet18 needs torchvision: pip install torchvision",
    "timm:resnet50": "timm:resnet50 needs timm: pip install timm",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_models_that_are_not_there(own, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(OptionError) as caught:
        load_model(name)
    assert MISTAKES[name] in str(caught.value)


def test_a_mistake_in_the_users_own_code_is_shown_as_it_is(own):
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        load_model("own_models:broken")


def test_layers_are_listed_with_their_shapes(own, command):
    code, out, _ = command("layers", "--model", "own_models:plain")
    assert code == 0
    assert out.splitlines() == [
        "0  Conv2d             1 × 4 × 222 × 222  BCHW",
        "1  ReLU               1 × 4 × 222 × 222  BCHW",
        "2  AdaptiveAvgPool2d  1 × 4 × 1 × 1      BCHW",
        "3  Flatten            1 × 4              BC",
        "4  Linear             1 × 2              BC",
    ]
    code, out, _ = command("layers", "--model", "own_models:mlp", "--shape", "3", "--json")
    assert json.loads(out)[1] == {"name": "1", "kind": "ReLU", "shape": [1, 4], "calls": 1, "axes": "BC"}
    code, _, err = command("layers", "--model", "own_models:mlp")
    assert (code, err.count("\n")) == (2, 1)
    assert "own_models:mlp does not take (1, 3, 224, 224)" in err
    code, _, err = command("layers", "--model", "own_models:mlp", "--shape", "3x4")
    assert "'--shape': must be whole numbers such as 3,224,224, not '3x4'" in err


def test_from_photos_to_labels_on_the_command_line(own, photos, command):
    rng = np.random.default_rng(0)
    for i in range(60):
        bright = i % 2
        (photos / ("dog" if bright else "cat")).mkdir(exist_ok=True)
        pixels = rng.integers(128 * bright, 128 + 128 * bright, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(photos / ("dog" if bright else "cat") / f"{i:02}.png")
    spoil(photos)
    for name in ("a.bmp", "b.png", "empty.png", "text.png"):
        (photos / name).rename(photos / "dog" / name)
    run = ["collect", "--model", "own_models:plain", "--layers", "1, 4", "--images", photos, "--out", "acts.zarr"]
    code, _, err = command(*run, "--quiet")
    assert code == 2
    assert "cannot read the image" in err
    code, out, err = command(*run, "--skip-unreadable", "--quiet")
    assert (code, out) == (0, "")
    assert "3 images could not be read: 'dog/empty.png', 'dog/text.png', 'sub/torn.jpg'" in err
    assert command(*run)[1].splitlines() == [
        "acts.zarr/1: 63 samples × 4 neurons",
        "acts.zarr/4: 63 samples × 2 neurons",
    ]
    code, _, err = command(*run, "--pool", "max")
    assert "was made with other settings (pool: 'mean' then, 'max' now)" in err
    assert command("concepts", "imagefolder", photos, "--out", "concepts.parquet")[0] == 0
    code, out, _ = command("label", "acts.zarr/1", "concepts.parquet", "--length", 1, "--out", "labels.csv")
    assert code == 0
    assert "dog" in out
    code, out, _ = command("label", "acts.zarr", "concepts.parquet", "--length", 1, "--json", "--quiet")
    assert {one["layer"] for one in json.loads(out)["labels"]} == {"1", "4"}


def test_tables_and_what_the_command_refuses(own, command, photos):
    np.save("rows.npy", np.random.default_rng(0).normal(size=(30, 3)))
    run = ["collect", "--model", "own_models:mlp", "--layers", "1", "--out", "t.zarr"]
    _, out, _ = command(*run, "--table", "rows.npy", "--precision", "bfloat16")
    assert out == "t.zarr/1: 30 samples × 4 neurons\n"
    assert "give exactly one of images, texts and table" in command(*run)[2]
    assert "give exactly one of images, texts and table" in command(*run, "--table", "a", "--images", "b")[2]
    assert "own_models:mlp takes images: give --images" in command(*run, "--texts", "a.csv")[2]
    assert "--tokens-out needs --texts" in command(*run, "--table", "rows.npy", "--tokens-out", "t.csv")[2]
    np.save("wide.npy", np.zeros((30, 4)))
    code, _, err = command(*run, "--table", "wide.npy", "--out", "w.zarr")
    assert (code, err.count("\n")) == (2, 1)
    assert "in layer '0' (RuntimeError: mat1 and mat2" in err
    assert "data: " in command(*run, "--table", "wide.npy", "--precision", "bfloat16")[2]
    assert "unknown model ':foo'" in command("layers", "--model", ":foo")[2]
    assert "no layer '7'" in command(*run, "--table", "rows.npy", "--layers", "7", "--out", "u.zarr")[2]


@pytest.mark.skipif(not DATA.exists(), reason="the shared photos are not here")
def test_a_known_network_gives_what_it_is_known_to_give(tmp_path):
    """The first photos of Tiny ImageNet through EfficientNet-Lite0, beside activations that others computed."""
    lines = (DATA / "tiny-imagenet-200/val/val_annotations.txt").read_text().splitlines()
    names = [line.split("\t")[0] for line in lines[:48]]
    for name in names:
        shutil.copy(DATA / "tiny-imagenet-200/val/images" / name, tmp_path / name)
    loaded = load_model("efficientnet-lite0")
    data = Images(tmp_path, loaded.prepare)
    found = collect(loaded.model, data, layers=["_avg_pooling", "_fc"], sample_ids=data.sample_ids)
    rows = [data.sample_ids.index(name) for name in names]
    pooled = np.load(DATA / "efficientnet_lite0/pooled.npy", mmap_mode="r")[:48]
    assert np.abs(found["_avg_pooling"].matrix[rows][:, :512] - pooled).max() < 1e-3
    known = np.loadtxt(DATA / "efficientnet_lite0/logits_known.csv", delimiter=",", skiprows=1, usecols=1, dtype=int)
    logits = np.load(DATA / "efficientnet_lite0/logits_known.npy", mmap_mode="r")[:48]
    assert np.abs(found["_fc"].matrix[rows][:, known] - logits).max() < 1e-3


def test_a_model_by_name_reads_its_own_samples(own, photos):
    folder = Path("photos")
    found = collect("own_models:prepared", images=folder, layers=["0", "4"], batch_size=2)
    model, prepare = load_model("own_models:prepared").model, load_model("own_models:prepared").prepare
    expected = collect(model, Images(folder, prepare), layers=["0", "4"], batch_size=2)
    for layer in ("0", "4"):
        assert found[layer].sample_ids == ("a.bmp", "b.png", "sub/a.jpg")
        np.testing.assert_array_equal(found[layer].matrix, expected[layer].matrix)
    np.save("t.npy", np.arange(6.0).reshape(2, 3))
    table = collect("own_models:mlp", table="t.npy", layers=["1"])["1"]
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    by_hand = collect(load_model("own_models:mlp").model, rows, layers=["1"])["1"]
    np.testing.assert_array_equal(table.matrix, by_hand.matrix)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"data": np.zeros((2, 3)), "images": "photos"}, "data and images both provide samples"),
        ({"data": None}, "give exactly one of images, texts and table"),
        ({"model": torch.nn.Linear(3, 2), "data": None, "images": "photos"}, "a module needs data"),
        (
            {"model": torch.nn.Linear(3, 2), "data": np.zeros((2, 3)), "weights": "w.pt"},
            "weights can only be loaded into",
        ),
        ({"data": None, "images": "photos", "tokens_out": "t.csv"}, "tokens_out saves the tokens of texts"),
    ],
)
def test_samples_are_said_once(own, photos, options, match):
    with pytest.raises(OptionError, match=match):
        collect(**{"model": "own_models:plain", "layers": ["0"], **options})


def test_an_error_of_the_model_is_one_of_the_samples_and_keeps_its_cause(own):
    with pytest.raises(OptionError, match=r"failed on samples '0', '1' in layer '0' \(RuntimeError: mat1") as raised:
        collect(load_model("own_models:mlp").model, np.zeros((2, 5), np.float32), layers=["1"])
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_layers_of_a_module_and_of_a_name(own):
    by_name = layers("own_models:plain", shape=(3, 8, 8))
    assert by_name == layers(load_model("own_models:plain").model, shape=(3, 8, 8))
    assert [one.shape for one in by_name] == [(1, 4, 6, 6), (1, 4, 6, 6), (1, 4, 1, 1), (1, 4), (1, 2)]
    with pytest.raises(OptionError, match="give the shape of one sample"):
        layers(load_model("own_models:plain").model)
    with pytest.raises(OptionError, match=r"own_models:plain does not take \(1, 5\)"):
        layers("own_models:plain", shape=(5,))
