"""The three methods side by side, and on a segmentation network whose outputs are known."""

import json

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

import neuronym
from neuronym.analysis.dissect import MethodComparison, compare_methods
from neuronym.data import Maps, Masks
from neuronym.errors import FileError

torch = pytest.importorskip("torch")

N_CLASSES, SIZE, N_PHOTOS = 12, 64, 600
NAMES = [f"class {c}" for c in range(N_CLASSES)]


class Painter(torch.nn.Module):
    """A segmentation network: each output paints the boxes of its class, of a colour of its own, with noise.

    The last output paints the background. An output is 1 − |x − c|₁ where that is positive, for the colour c, and then
    the mean of a neighbourhood, with some of the other outputs mixed in.
    """

    def __init__(self, colours):
        super().__init__()
        generator, n = torch.Generator().manual_seed(0), len(colours)
        away, near = torch.nn.Conv2d(3, 6 * n, 1), torch.nn.Conv2d(6 * n, n, 1)
        self.decoder = torch.nn.Conv2d(n, n, 3, padding=1, bias=False)
        with torch.no_grad():
            away.weight.copy_(torch.cat([torch.eye(3), -torch.eye(3)]).repeat(n, 1)[:, :, None, None])
            away.bias.copy_(torch.cat([-colours, colours], dim=1).flatten())
            near.weight.copy_(-torch.eye(n).repeat_interleave(6, dim=1)[:, :, None, None])
            near.bias.fill_(1.0)
            mixed = torch.eye(n) + 0.05 * torch.randn(n, n, generator=generator)
            self.decoder.weight.copy_(mixed[:, :, None, None].expand(n, n, 3, 3) / 9)
        self.encoder = torch.nn.Sequential(away, torch.nn.ReLU(), near, torch.nn.ReLU(), torch.nn.AvgPool2d(4))

    def forward(self, x):
        return self.decoder(self.encoder(x))


@pytest.fixture(scope="module")
def segmented():
    """Maps of the network on noisy photos of boxes, and the label map of each photo."""
    rng = np.random.default_rng(0)
    cube = np.array([*np.ndindex(3, 3, 3)], np.float32)
    colours = torch.tensor(rng.choice(cube, N_CLASSES + 1, replace=False))
    codes = np.full((N_PHOTOS, SIZE, SIZE), N_CLASSES)
    for photo in codes:
        for c in rng.choice(N_CLASSES, rng.integers(1, 4), replace=False):
            top, left, height, width = *rng.integers(0, SIZE - 24, 2), *rng.integers(16, 32, 2)
            photo[top : top + height, left : left + width] = c
    photos = colours[torch.tensor(codes)].permute(0, 3, 1, 2)
    photos = photos + 0.1 * torch.randn(photos.shape, generator=torch.Generator().manual_seed(1))
    model = Painter(colours)
    maps = neuronym.collect(model, photos, layers=["decoder"], maps=True, names={"decoder": [*NAMES, "background"]})
    return maps, codes


def test_every_output_of_a_segmentation_network_is_right(segmented):
    maps, codes = segmented
    masks = Masks.from_label_maps(codes, dict(enumerate(NAMES)), background=[N_CLASSES])
    methods = compare_methods(maps, masks, neurons=NAMES, length=1)
    right = methods.neurons["formula"] == '"' + methods.neurons["neuron"] + '"'
    assert right.groupby(methods.neurons["method"]).sum().to_dict() == dict.fromkeys(methods.labels, N_CLASSES)
    longer = compare_methods(maps, masks, neurons=NAMES, length=3)
    for method, found in longer.labels.items():
        for one in found:
            assert str(one.neuron) in one.formula.concepts, (method, one)


def test_a_network_that_paints_another_box_is_found_out(segmented):
    """What makes the test above fail: outputs that are swapped are labelled as they are."""
    maps, codes = segmented
    masks = Masks.from_label_maps(np.where(codes < 2, 1 - codes, codes), dict(enumerate(NAMES)), background=[N_CLASSES])
    for found in compare_methods(maps, masks, neurons=NAMES[:3], length=1).labels.values():
        assert [str(one.formula) for one in found] == ['"class 1"', '"class 0"', '"class 2"']


def test_background_is_a_concept_where_it_is_a_class(segmented):
    """Pixels without a concept cannot be named; as a class they can, but every photo shows it, so INVERT cannot."""
    maps, codes = segmented
    bare = Masks.from_label_maps(codes, dict(enumerate(NAMES)), background=[N_CLASSES])
    named = Masks.from_label_maps(codes, {**dict(enumerate(NAMES)), N_CLASSES: "background"})
    found = neuronym.dissect(maps, bare)
    assert found.background == pytest.approx((codes == N_CLASSES).mean())
    assert str(found.labels["background"].formula) != "background"
    found = neuronym.dissect(maps, named)
    assert found.background == 0
    assert str(found.labels["background"].formula) == "background"
    assert found.concepts["background"].all()


def test_the_tables_follow_from_the_labels(segmented, tmp_path):
    maps, codes = segmented
    masks = Masks.from_label_maps(codes, dict(enumerate(NAMES)), background=[N_CLASSES])
    methods = compare_methods(maps, masks, length=2)
    whole = neuronym.dissect(maps, masks, length=2)
    pooled = Maps.of(maps["decoder"]).pooled()
    by_photo = neuronym.label({"decoder": pooled}, whole.concepts, length=2)
    assert_frame_equal(methods.labels["CompExp"].to_frame(), whole.labels.to_frame())
    assert_frame_equal(methods.labels["INVERT"].to_frame(), by_photo.to_frame())
    table = methods.table.set_index("method")
    neurons = methods.neurons.set_index(["method", "neuron"])
    assert list(table.index) == ["NetDissect", "CompExp", "INVERT"]
    for method, labels in methods.labels.items():
        assert np.array_equal(neurons.loc[method]["iou"], whole.iou(labels), equal_nan=True)
        assert table.loc[method, "iou"] == pytest.approx(np.mean(whole.iou(labels)[:N_CLASSES]))  # but the background
        shown = [one for one in labels if one.formula is not None]
        same = [one.formula == by_photo[one.neuron].formula for one in shown]
        assert table.loc[method, "same"] == pytest.approx(np.mean(same[:N_CLASSES]))
        for one in shown:
            inside = np.asarray(one.formula.evaluate(whole.concepts), bool)
            values = pooled.column(int(pooled.indices([one.neuron])[0]))
            more, less = values[inside], values[~inside]
            auc = (more[:, None] > less).mean() + (more[:, None] == less).mean() / 2
            assert neurons.loc[(method, one.neuron), "auc"] == pytest.approx(auc)
    assert (table.loc["INVERT", ["same", "same_concepts", "overlap"]] == 1).all()
    assert table["neurons"].to_dict() == {"NetDissect": 12, "CompExp": table.loc["CompExp", "neurons"], "INVERT": 13}
    assert table["iou"].max() == table.loc["CompExp", "iou"]  # each is best at what it searches
    assert table["auc"].max() == table.loc["INVERT", "auc"]
    methods.save(tmp_path / "methods.json")
    again = MethodComparison.open(tmp_path / "methods.json")
    assert_frame_equal(again.table, methods.table.astype({"neurons": float, "compared": float}))
    assert (table["compared"] == N_CLASSES).all()
    assert (table["seconds"] > 0).all()
    assert (table["memory"].isna() | (table["memory"] >= 0)).all()
    assert_frame_equal(again.neurons, methods.neurons)
    assert not again.held_out
    with pytest.raises(FileError, match="exists"):
        methods.save(tmp_path / "methods.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(FileError, match="no comparison of methods"):
        MethodComparison.open(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "is of format 2, and this version reads 1"),
        ({"kind": "other"}, "no comparison of methods"),
        ({"held_out": "no"}, "held_out must be true or false"),
        ({"neurons": [{}]}, "its neurons must have the columns layer, neuron"),
        ({"table": "none"}, "its table must have the columns method, neurons"),
    ],
)
def test_a_file_that_is_changed_is_refused(segmented, tmp_path, change, message):
    methods = _small(segmented)
    methods.save(tmp_path / "methods.json")
    content = json.loads((tmp_path / "methods.json").read_text())
    (tmp_path / "methods.json").write_text(json.dumps(content | change))
    with pytest.raises(FileError, match=message):
        MethodComparison.open(tmp_path / "methods.json")


@pytest.mark.parametrize(
    ("of", "cell", "message"),
    [
        ("neurons", {"method": "Other"}, "a method that its table lacks"),
        ("neurons", {"neuron": {}}, "neuron cannot be {}"),
        ("neurons", {"formula": 3}, "formula cannot be 3"),
        ("neurons", {"iou": float("inf")}, "iou cannot be inf"),
        ("table", {"method": None}, "method cannot be None"),
        ("table", {"auc": "high"}, "auc cannot be 'high'"),
    ],
)
def test_a_cell_of_another_type_is_refused(segmented, tmp_path, of, cell, message):
    methods = _small(segmented)
    methods.save(tmp_path / "methods.json")
    content = json.loads((tmp_path / "methods.json").read_text())
    content[of][0] |= cell
    (tmp_path / "methods.json").write_text(json.dumps(content))
    with pytest.raises(FileError, match=message):
        MethodComparison.open(tmp_path / "methods.json")


def _small(segmented):
    maps, codes = segmented
    masks = Masks.from_label_maps(codes, dict(enumerate(NAMES)), background=[N_CLASSES])
    return compare_methods(maps, masks, neurons=NAMES[:2], length=1)


def test_means_are_over_the_same_neurons():
    """A formula that no held-out photo shows has no AUC there, so its neuron counts for no method."""
    rng = np.random.default_rng(4)
    shown = np.zeros((60, 3, 8, 8), bool)
    for i, photo in enumerate(shown):
        photo[i % 2, :4] = True
        photo[2, 6:] = i < 3  # rare
    maps = rng.normal(size=(60, 4, 4, 4)) + 3 * shown[:, [0, 1, 2, 2], ::2, ::2]
    methods = compare_methods(maps, Masks.from_arrays(shown), holdout=0.5, min_count=1, length=2, quantile=0.8)
    wide = methods.neurons.pivot(index="neuron", columns="method", values=["iou", "auc"])
    whole = wide[np.isfinite(wide).all(axis=1)]
    assert (methods.table["compared"] == len(whole)).all()
    assert 0 < len(whole) < 4
    for name in ("iou", "auc"):
        assert methods.table.set_index("method")[name].to_dict() == pytest.approx(whole[name].mean().to_dict())


def test_held_out_photos_measure_all_methods(segmented):
    maps, codes = segmented
    masks = Masks.from_label_maps(codes, dict(enumerate(NAMES)), background=[N_CLASSES])
    methods = compare_methods(maps, masks, length=1, holdout=0.5, neurons=NAMES)
    found = neuronym.dissect(maps, masks, holdout=0.5, neurons=NAMES)
    assert methods.held_out
    assert found.held.sum() == N_PHOTOS // 2
    values = [one.value_heldout for one in found.labels]
    assert methods.neurons[methods.neurons["method"] == "NetDissect"]["iou"].tolist() == values
    pooled = Maps.of(maps["decoder"]).pooled()
    searched = neuronym.label(
        pooled.take(~found.held), found.concepts.take(~found.held), length=1, neurons=NAMES
    )  # fmt: skip
    assert [one.formula for one in methods.labels["INVERT"]] == [one.formula for one in searched]
    for one, auc in zip(searched, methods.neurons[methods.neurons["method"] == "INVERT"]["auc"], strict=True):
        inside = np.asarray(found.concepts.take(found.held)[one.formula.concepts[0]], bool)
        values = pooled.take(found.held).column(int(pooled.indices([one.neuron])[0]))
        more, less = values[inside], values[~inside]
        assert auc == pytest.approx((more[:, None] > less).mean() + (more[:, None] == less).mean() / 2)
