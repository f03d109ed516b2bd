"""Pictures and the report read samples to look at in one way."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuronym import AlignmentError, FileError, OptionError
from neuronym.inputs.samples import Samples
from neuronym.report.shown import ShownSamples

IDS = ["x", "y", "z"]
TEXTS = ["one", "two", "three"]


def read(given, ids=IDS):
    samples = Samples.of(given)
    place = samples.places(ids, 3)
    return [samples.read(place(row)) for row in range(3)]


def test_samples_come_by_id_whatever_holds_them(tmp_path):
    turned = list(zip(IDS, TEXTS, strict=True))[::-1]
    table = pd.DataFrame(turned, columns=["sample", "text"])
    table.to_csv(tmp_path / "t.csv", index=False)
    for given in (
        dict(turned),
        table,
        table.set_index("sample"),
        table.set_index("sample")["text"],
        tmp_path / "t.csv",
        (IDS[::-1], TEXTS[::-1]),
        Samples.of(dict(turned)),
    ):
        assert read(given) == TEXTS


def test_samples_without_ids_come_by_place():
    for given in (TEXTS, tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS), pd.DataFrame({"text": TEXTS})):
        assert read(given) == TEXTS
        assert read(given, None) == TEXTS
    assert read(pd.Series(TEXTS, index=[2, 1, 0])) == TEXTS  # numbers of rows are no ids beside names
    assert read(pd.Series(TEXTS, index=[2, 1, 0]), ["0", "1", "2"]) == TEXTS[::-1]


def test_rows_of_a_table_are_put_in_words():
    frame = pd.DataFrame({"age": [1, 2, 3], "name": ["a", "b", "c"]}, IDS)
    assert read(frame)[1] == "age: 2; name: b"
    assert ShownSamples.of(frame, IDS, 3).text(1) == "age: 2; name: b"


def test_a_folder_and_a_mapping_of_images_are_pictured(tmp_path):
    images = {name: Image.new("RGB", (8, 8), (place, 0, 0)) for place, name in enumerate(IDS)}
    for name, image in images.items():
        image.save(tmp_path / f"{name}.png")
    for given, ids in ((images, IDS), (tmp_path, [f"{name}.png" for name in IDS])):
        shown = ShownSamples.of(given, ids, 3)
        assert shown.pictured
        assert shown.text(2) is None
        assert shown.pictures(2)[0].getpixel((0, 0)) == (2, 0, 0)


def test_what_cannot_be_shown_is_refused(tmp_path):
    with pytest.raises(AlignmentError, match="2 samples to show but the activations have 3 rows"):
        Samples.of(TEXTS[:2]).places(IDS, 3)
    with pytest.raises(AlignmentError, match=r"1 of 3 samples are not among those to show \('z'\)"):
        ShownSamples.of({"x": "one", "y": "two"}, IDS, 3)
    with pytest.raises(OptionError, match=r"samples must be Images, a folder, .* not int"):
        Samples.of(7)
    (tmp_path / "a.json").write_text("")
    with pytest.raises(FileError, match="cannot show samples from"):
        Samples.of(tmp_path / "a.json")
