"""Which part of a photo a preprocessing keeps, by what it makes of photos."""

import numpy as np
import pytest
import torch
from PIL import Image

import neuronym
from neuronym.data import Maps
from neuronym.io.images import Preprocess
from neuronym.network.models import LoadedModel
from neuronym.network.views import seen_part

NORMAL = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def as_tensor(image):
    return torch.tensor(np.asarray(image).copy()).permute(2, 0, 1).float()


def padded(image):
    square = Image.new("RGB", (max(image.size),) * 2)
    square.paste(image, tuple((max(image.size) - side) // 2 for side in image.size))
    return as_tensor(square.resize((224, 224)))


def off_centre(image):
    return as_tensor(image.crop((0, 0, min(image.size), min(image.size))))


def broken(image):
    raise ValueError("no such photo")


@pytest.mark.parametrize(
    ("prepare", "part"),
    [
        (Preprocess(224, *NORMAL), "whole"),
        (Preprocess(224, *NORMAL, margin=256), "0.875"),
        (Preprocess(384, *NORMAL, margin=384), "1"),
        (Preprocess(299, (0.0, 0.0, 0.0), (-3.0, 1.0, 1.0), margin=342), "0.874269"),
        (Preprocess(32, *NORMAL, margin=64), "0.5"),
        (lambda image: as_tensor(image.resize((96, 64))).flip(0), "whole"),
        (padded, None),
        (off_centre, None),
        (broken, None),
        (lambda image: {"pixel_values": as_tensor(image)}, None),
        (lambda image: as_tensor(image).flip(2), None),  # mirrored
        (lambda image: as_tensor(image) * torch.nan, None),
        (lambda image: torch.rand(3, 224, 224), None),
        (lambda image: torch.zeros(3, 224, 224), None),
    ],
)
def test_the_part_that_is_kept(prepare, part):
    assert seen_part(prepare) == part


def test_collecting_maps_records_it(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(3):
        Image.new("RGB", (40, 30), (80 * k, 50, 50)).save(folder / f"{k}.png")
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5, stride=4))
    options = {"layers": ["0"], "maps": True, "images": folder}
    for margin, view in ((None, "whole"), (36, "0.888889")):
        loaded = LoadedModel(model, "small", Preprocess(32, *NORMAL, margin=margin))
        stored = neuronym.collect(loaded, out=tmp_path / f"{margin}.zarr", **options)["0"]
        assert stored.axes == f"BCHW=7x7 of {view}"
        assert Maps.of(stored).view == view
        assert Maps.of(neuronym.collect(loaded, **options)["0"]).view == view
    pooled = neuronym.collect(loaded, layers=["0"], images=folder)["0"]
    assert pooled.axes == "BCHW"
    assert Maps.of(neuronym.collect(model, torch.zeros(2, 3, 32, 32), layers=["0"], maps=True)["0"]).view is None
