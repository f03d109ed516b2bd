from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import get_data_path
from PIL import Image, ImageChops

from neuronym import Concepts, ConceptsError, FileError, OptionError, UnknownNameError
from neuronym._util import fonts as _fonts
from neuronym.analysis.spurious.overlays import (
    Blur,
    Border,
    Cast,
    Jpeg,
    Patch,
    Text,
    overlay,
    pair_photos_with_artefacts,
)
from neuronym.io.images import Images
from neuronym.io.zarr_store import open_layers
from neuronym.network.collecting import collect

DEJAVU = str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
SIZE = (60, 40)


@pytest.fixture
def photos(tmp_path):
    """Ten photos of noise, one of them in a subfolder."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(10):
        name = f"sub/{i}.png" if i == 9 else f"{i}.png"
        Image.fromarray(rng.integers(60, 160, (SIZE[1], SIZE[0], 3), np.uint8)).save(root / name)
    return root


def changed(photos, how, place=0, **options):
    """Where a copy differs from its photo: bool, rows × columns."""
    both = overlay(photos, how, **options)
    before, after = both.image(place), both.image(len(both.images) + place)
    assert after.size == before.size
    assert after.mode == "RGB"
    return np.asarray(ImageChops.difference(before, after)).any(axis=2)


def test_text_is_put_in_the_middle_and_as_wide_as_there_is_room(photos):
    marked = changed(photos, Text("Hi", DEJAVU, size=0.4))
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    assert 8 <= rows[-1] - rows[0] + 1 <= 16  # letters of 0.4 · 40 pixels with their ascent
    assert abs((rows[0] + rows[-1]) / 2 - 19.5) <= 1.5
    assert abs((columns[0] + columns[-1]) / 2 - 29.5) <= 1.5
    wide = np.flatnonzero(changed(photos, Text("very much longer than there is room", DEJAVU, size=0.4)).any(axis=0))
    assert 50 <= wide[-1] - wide[0] < 60


def test_opacity_and_colour_are_those_asked_for(photos):
    both = overlay(photos, Text("■", DEJAVU, size=0.9, colour="#ff0000", opacity=0.25))
    before, after = (np.asarray(both.image(place), float) for place in (0, 10))
    middle = (20, 30)
    assert after[middle] == pytest.approx(0.75 * before[middle] + 0.25 * np.array([255, 0, 0]), abs=1.5)


def test_text_is_turned_and_tiled(photos):
    upright = changed(photos, Text("lll", DEJAVU, size=0.3))
    turned = changed(photos, Text("lll", DEJAVU, size=0.3, angle=90))
    height, width = (np.ptp(np.flatnonzero(upright.any(axis=axis))) for axis in (1, 0))
    assert np.ptp(np.flatnonzero(turned.any(axis=1))) == pytest.approx(width, abs=2)
    assert np.ptp(np.flatnonzero(turned.any(axis=0))) == pytest.approx(height, abs=2)
    tiled = changed(photos, Text("x", DEJAVU, size=0.1, place="tiled"))
    assert all(
        tiled[rows, columns].any() for rows in (slice(20), slice(20, 40)) for columns in (slice(30), slice(30, 60))
    )


def test_a_font_without_the_glyphs_is_refused(photos):
    with pytest.raises(OptionError, match=r"has no glyphs for '径', '捷' of '捷径'"):
        Text("捷径", DEJAVU)
    with pytest.raises(OptionError, match="a visible character, not '  '"):
        Text("  ", DEJAVU)
    with pytest.raises(FileError, match=r"there is no font 'none\.ttf'"):
        Text("a", "none.ttf")
    with pytest.raises(FileError, match="cannot read the font"):
        Text("a", str(photos / "0.png"))


def test_a_font_with_the_glyphs_is_found_and_else_none_is_taken(monkeypatch):
    monkeypatch.setattr(_fonts, "_installed", lambda: iter([__file__, DEJAVU]))
    assert Text("Ελλάδα").font == DEJAVU
    with pytest.raises(OptionError, match=r"none of the 2 fonts installed has all glyphs of '捷径'.*fonts-noto-cjk"):
        Text("捷径")


def test_scripts_that_join_need_a_layout(monkeypatch):
    from PIL import features

    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(OptionError, match="needs a layout that Pillow lacks here"):
        Text("حقوق", DEJAVU)
    assert Text("plain", DEJAVU).text == "plain"


def test_a_patch_keeps_its_transparency_and_lies_inside(photos, tmp_path):
    logo = Image.new("RGBA", (20, 10))
    logo.paste((0, 0, 255, 255), (0, 0, 10, 10))
    logo.save(tmp_path / "logo.png")
    both = overlay(photos, Patch(tmp_path / "logo.png", size=0.5))
    for place in range(10):
        after = np.asarray(both.image(10 + place))
        blue = (after == (0, 0, 255)).all(axis=2)
        assert blue.sum() == pytest.approx(10 * 10, abs=20)  # the half that is there, of 0.5 · 40 × 10 pixels
    folder = tmp_path / "logos"
    folder.mkdir()
    for i, colour in enumerate(["#ff0000", "#00ff00"]):
        Image.new("RGB", (8, 8), colour).save(folder / f"{i}.png")
    many = overlay(photos, Patch(folder, place="centre"))
    seen = {tuple(np.asarray(many.image(10 + place))[20, 30]) for place in range(10)}
    assert seen == {(255, 0, 0), (0, 255, 0)}
    with pytest.raises(FileError, match="cannot read the image"):
        Patch(tmp_path / "none.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="there are no images"):
        Patch(tmp_path / "empty")


def test_border_cast_blur_and_jpeg_change_what_they_say(photos):
    border = changed(photos, Border(0.1, "#ff00ff"))
    assert border[:4].all()
    assert border[:, -4:].all()
    assert not border[4:-4, 4:-4].any()
    both = overlay(photos, Cast("#ff0000", 0.5))
    before, after = (np.asarray(both.image(place), float) for place in (0, 10))
    assert np.abs(after - (before + np.array([255, 0, 0])) / 2).max() <= 1
    for how in (Blur(0.05), Jpeg(5)):
        both = overlay(photos, how)
        before, after = (np.asarray(both.image(place), float) for place in (0, 10))
        assert after.std() < before.std()
        assert abs(after.mean() - before.mean()) < 3


def test_alterations_are_done_in_turn_and_a_function_is_one(photos):
    both = overlay(photos, [lambda image, rng: image.rotate(180), Border(0.1, "white")])
    after = np.asarray(both.image(10))
    assert (after[0] == 255).all()
    assert np.array_equal(after[4:-4, 4:-4], np.asarray(both.image(0))[::-1, ::-1][4:-4, 4:-4])
    chain = overlay(
        photos, [lambda image, rng: image.convert("L"), Cast(), Jpeg(), lambda image, rng: image.convert("RGBA")]
    )
    assert chain.image(10).mode == "RGB"
    with pytest.raises(OptionError, match="must return a Pillow image, not NoneType"):
        overlay(photos, lambda image, rng: None).image(10)


def test_copies_are_drawn_by_seed_and_do_not_depend_on_their_order(photos):
    how = Text("x", DEJAVU, place="random")
    one, other = overlay(photos, how, 0.3, 1), overlay(photos, how, 0.3, 1)
    assert (len(one), one.n_copies, one.n_pairs) == (13, 3, 3)
    assert one.sample_ids == other.sample_ids
    assert np.array_equal(one.image(12), other.image(12))
    assert np.array_equal(np.asarray(other.image(10)), np.asarray(one.image(10)))
    assert overlay(photos, how, 0.3, 2).sample_ids != one.sample_ids
    assert overlay(photos, how, 0.3, 2).digest() != one.digest() == other.digest()
    turned = [overlay(photos, lambda image, rng, k=k: image.rotate(90 * k)).digest() for k in (2, 2, 0)]
    assert turned[0] == turned[1] != turned[2]
    assert one.digest() != overlay(photos, Text("y", DEJAVU, place="random"), 0.3, 1).digest()


def test_copies_are_one_cluster_with_their_photos_and_show_the_suspect(photos):
    both = overlay(photos, Border(), 0.2, 3, name="frame")
    of = [i.removesuffix("#frame") for i in both.sample_ids]
    assert list(both.clusters) == of
    assert [i for i in both.sample_ids if i.endswith("#frame")] == list(both.sample_ids[10:])
    shown = Concepts.from_sets(
        [{"even"} if i % 2 == 0 else {"odd"} for i in range(10)], sample_ids=both.images.sample_ids
    )
    known = both.concepts(shown)
    assert known.sample_ids == both.sample_ids
    assert known["frame"].tolist() == [False] * 10 + [True] * 2
    assert known["even"].tolist() == [shown["even"][both.images.sample_ids.index(i)] for i in of]
    assert both.concepts().names == ("frame",)
    with pytest.raises(ConceptsError, match="concept 'frame' already"):
        both.concepts(shown.add("frame", []))
    with pytest.raises(UnknownNameError, match=r"no sample '0\.png'"):
        both.concepts(shown.take([1, 2]))
    with pytest.raises(ConceptsError, match="must have the photos' ids"):
        both.concepts(Concepts.from_sets([{"a"}] * 10))


def test_photos_of_an_artefact_of_the_same_name_are_pairs(photos, tmp_path):
    other = tmp_path / "marked"
    other.mkdir()
    for name in ("0.png", "new.png"):
        Image.new("RGB", (5, 5), "red").save(other / name)
    both = pair_photos_with_artefacts(photos, other, name="mark")
    assert (both.n_copies, both.n_pairs) == (2, 1)
    assert both.sample_ids[10:] == ("0.png#mark", "new.png#mark")
    shown = Concepts.from_sets([{"a"}] * 10, sample_ids=both.images.sample_ids)
    known = both.concepts(shown)
    assert known.sample_ids == both.sample_ids
    assert known["a"].tolist() == [True] * 11 + [False]
    assert known["mark"].tolist() == [False] * 10 + [True] * 2


def test_copies_are_saved_under_the_names_of_their_photos(photos, tmp_path):
    both = overlay(photos, Border(), name="frame")
    both.save(tmp_path / "copies")
    assert {p.relative_to(tmp_path / "copies").as_posix() for p in (tmp_path / "copies").rglob("*.png")} == set(
        both.images.sample_ids
    )
    with Image.open(tmp_path / "copies" / "sub" / "9.png") as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(both.image(19)))
    with pytest.raises(FileError, match="exists: choose another name"):
        both.save(tmp_path / "copies")
    assert pair_photos_with_artefacts(photos, tmp_path / "copies", name="frame").n_pairs == 10
    for path in list(photos.rglob("*.png")):  # photos are JPEG more often than not
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"))
        path.unlink()
    again = pair_photos_with_artefacts(photos, tmp_path / "copies", name="frame")
    assert again.n_pairs == 10
    assert again.clusters[10:] == tuple(again.images.sample_ids)
    Image.new("RGB", (5, 5)).save(photos / "0.bmp")
    assert pair_photos_with_artefacts(photos, tmp_path / "copies", name="frame").n_pairs == 9


@pytest.mark.parametrize(
    ("how", "options", "match"),
    [
        ([], {}, "not nothing"),
        ("text", {}, "not 't'"),
        (Border(), {"fraction": 0}, "fraction must select at least one of the 10 photos and be at most 1, not 0"),
        (Border(), {"fraction": 1.5}, "not 1.5"),
        (Border(), {"fraction": 0.01}, "not 0.01"),
        (Border(), {"name": ""}, "must have a name"),
        (Border(), {"seed": -1}, "seed must be"),
        (Border(), {"fraction": "0.5"}, "fraction must be a number"),
    ],
)
def test_what_cannot_be_done_is_refused(photos, how, options, match):
    with pytest.raises(OptionError, match=match):
        overlay(photos, how, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Border(0.7),
        lambda: Border(colour="nocolour"),
        lambda: Cast(strength=2),
        lambda: Blur(0),
        lambda: Jpeg(0),
        lambda: Text("a", DEJAVU, size=0),
        lambda: Text("a", DEJAVU, size="big"),
        lambda: Text("a\nb", DEJAVU),
        lambda: Text(5, DEJAVU),
        lambda: overlay(np.zeros((2, 3)), Border()),
        lambda: Text("a", DEJAVU, place="middle"),
        lambda: Text("a", DEJAVU, opacity=-1),
    ],
)
def test_options_out_of_their_range_are_refused(make):
    with pytest.raises(OptionError, match=r"must be|there is no colour"):
        make()


def test_pairs_travel_to_activations_and_stores(photos, tmp_path):
    def prepare(image):
        return torch.tensor(np.asarray(image, np.float32).transpose(2, 0, 1))

    both = overlay(Images(photos, prepare), Border(), 0.4, name="frame")
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU())
    for out in (None, tmp_path / "acts.zarr"):
        found = collect(model, both, layers=["1"], out=out)["1"]
        assert found.sample_ids == both.sample_ids
        assert found.clusters == both.clusters
    assert open_layers(tmp_path / "acts.zarr")["1"].clusters == both.clusters
    assert collect(model, both, layers=["1"], out=tmp_path / "acts.zarr")["1"].clusters == both.clusters
    with pytest.raises(FileError, match="made with other settings"):
        collect(model, both, layers=["1"], out=tmp_path / "acts.zarr", clusters=["a"] * 14)
    (photos / "3.png").write_bytes(b"broken")
    broken = overlay(Images(photos, prepare, skip_unreadable=True), Border(), 1.0, name="frame")
    found = collect(model, broken, layers=["1"], out=tmp_path / "less.zarr")["1"]
    assert found.skipped == ("3.png", "3.png#frame")
    assert found.clusters == tuple(i.removesuffix("#frame") for i in found.sample_ids)
    assert len(found.clusters) == 18


def test_clusters_need_ids_and_one_each():
    model, data = torch.nn.Sequential(torch.nn.Linear(3, 2)), torch.zeros(4, 3)
    with pytest.raises(OptionError, match="clusters need sample_ids"):
        collect(model, data, layers=["0"], clusters=[1, 1, 2, 2])
    with pytest.raises(OptionError, match="3 clusters for 4 samples"):
        collect(model, data, layers=["0"], sample_ids="abcd", clusters=[1, 1, 2])
    assert collect(model, data, layers=["0"], sample_ids="abcd", clusters=[1, 1, 2, 2])["0"].clusters == tuple("1122")
