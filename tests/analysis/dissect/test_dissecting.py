"""Dissection against a slow look at every pixel, and against networks whose outputs are known."""

import itertools
import pickle

import joblib
import numpy as np
import pytest
from pandas.testing import assert_frame_equal

import neuronym
from neuronym import Activations, Formula, Labels, dissect
from neuronym.analysis.dissect import dissecting
from neuronym.data import Maps, Masks
from neuronym.errors import (
    ActivationsError,
    AlignmentError,
    ConceptsError,
    FileError,
    InputError,
    OptionError,
    UnknownNameError,
)
from reference import enlarged, iou_by_pixels, quantile_of_maps

NAMES = ["cat", "dog", "grass"]


def photos(seed=0, n=12, sizes=((9, 12), (18, 24), (6, 8)), neurons=5, grid=(3, 4)):
    """Random maps, and masks of blobs in photos of several sizes, some of them overlapping."""
    rng = np.random.default_rng(seed)
    shown = []
    for i in range(n):
        height, width = sizes[i % len(sizes)]
        mine = {}
        for name in NAMES:
            top, left = rng.integers(0, height), rng.integers(0, width)
            mask = np.zeros((height, width), bool)
            mask[top : top + rng.integers(1, height), left : left + rng.integers(1, width)] = rng.random() < 0.8
            mine[name] = mask
        shown.append(mine)
    return rng.normal(size=(n, neurons, *grid)).astype(np.float32), shown


def pixels(maps, shown, quantile, crop=None, thresholds=None):
    """All pixels that are seen: for each neuron whether it is on, and for each concept whether it is shown."""
    if thresholds is None:
        thresholds = quantile_of_maps(maps, quantile)
    on, concepts = [], []
    for grids, masks in zip(maps, shown, strict=True):
        height, width = next(iter(masks.values())).shape
        seen = None if crop is None else crop * min(height, width)
        place = () if crop is None else ((height - seen) / 2, (width - seen) / 2, seen, seen)
        values = np.stack([enlarged(grid.astype(float), height, width, *place) for grid in grids])
        used = ~np.isnan(values[0])
        on.append((values > thresholds[:, None, None])[:, used])
        concepts.append(np.stack([masks[name][used] for name in NAMES]))
    return np.concatenate(on, axis=1), np.concatenate(concepts, axis=1)


def true_at(formula, concepts):
    return np.asarray(formula.evaluate(neuronym.Concepts.from_array(concepts.T, NAMES)), bool)


@pytest.mark.parametrize("crop", ["whole", 1.0, 0.7])
@pytest.mark.parametrize("quantile", [0.9, 0.5])
def test_iou_is_that_of_every_pixel(quantile, crop):
    maps, shown = photos()
    found = dissect(maps, Masks.from_arrays(shown), quantile=quantile, crop=crop, length=3, min_count=1)
    on, concepts = pixels(maps, shown, quantile, None if crop == "whole" else crop)
    assert found.n_pixels.sum() == on.shape[1]
    assert found.background == pytest.approx((~concepts.any(axis=0)).mean(), abs=1e-15)
    for j, label in enumerate(found.labels):
        inside = true_at(label.formula, concepts)
        assert label.value == pytest.approx(iou_by_pixels(on[j], inside), abs=1e-12)
        assert label.count == inside.sum()
        assert label.fraction == pytest.approx(inside.mean())
        both = [on[j][inside].mean(), on[j][~inside].mean()]
        assert label.auc == pytest.approx((1 + both[0] - both[1]) / 2)
        assert label.optimal
    assert np.array_equal(found.iou(found.labels), [label.value for label in found.labels])


def test_the_formula_is_the_best_of_all():
    maps, shown = photos(1)
    on, concepts = pixels(maps, shown, 0.8)
    found = dissect(maps, Masks.from_arrays(shown), quantile=0.8, length=2, min_count=1, min_change=0)
    literals = [f"{sign}{name}" for name in NAMES for sign in ("", "~")]
    texts = [*literals, *(f"{a} {o} {b}" for a, b in itertools.combinations(literals, 2) for o in "&|"
                          if a.strip("~") != b.strip("~"))]  # fmt: skip
    for j, label in enumerate(found.labels):
        best = max(iou_by_pixels(on[j], true_at(Formula.parse(text), concepts)) for text in texts)
        assert label.value == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(("n", "neurons"), [(12, 1), (1, 5)])
def test_maps_of_one_neuron_or_photo_are_left_as_they_are(n, neurons):
    """Their blocks are views of the user's array, which finding a quantile must not put in order."""
    maps, shown = photos(26, n=n, neurons=neurons, sizes=((18, 24),))
    given = maps.copy()
    found = dissect(given, Masks.from_arrays(shown, NAMES), quantile=0.8, min_count=1)
    assert np.array_equal(given, maps)
    on, concepts = pixels(maps, shown, 0.8)
    for j, label in enumerate(found.labels):
        best = max(iou_by_pixels(on[j], one) for one in concepts)
        assert (0.0 if label.formula is None else label.value) == pytest.approx(best, abs=1e-12)
    assert found.labels.to_frame()["formula"].notna().any()


def test_network_dissection_is_the_best_single_concept_without_not():
    maps, shown = photos(2)
    on, concepts = pixels(maps, shown, 0.8)
    found = dissect(maps, Masks.from_arrays(shown), quantile=0.8)
    for j, label in enumerate(found.labels):
        scores = [iou_by_pixels(on[j], one) for one in concepts]
        assert str(label.formula) == NAMES[int(np.argmax(scores))]
        assert found.single_concepts().loc[j, NAMES].tolist() == pytest.approx(scores, abs=1e-12)
        assert label.value == pytest.approx(max(scores), abs=1e-12)


def test_maps_are_enlarged_as_by_torch():
    torch = pytest.importorskip("torch")
    maps, _ = photos(3, n=1)
    whole = torch.nn.functional.interpolate(torch.tensor(maps, dtype=torch.float64), (16, 11), mode="bilinear")
    for j in range(maps.shape[1]):
        mine = enlarged(maps[0, j].astype(float), 16, 11)
        assert np.abs(mine - whole[0, j].numpy()).max() < 1e-12


def test_equal_values_stay_equal_when_enlarged():
    """A rectifier's plateau is not above itself, whatever the rounding."""
    maps = np.full((3, 1, 5, 5), 0.1, np.float32)
    maps[0, 0, 0, 0] = 1
    shown = [{name: np.zeros((37, 23), bool) for name in NAMES} for _ in range(3)]
    shown[0]["cat"][:8, :5] = True
    found = dissect(maps, Masks.from_arrays(shown), quantile=0.9, crop="whole")
    on = sum((enlarged(grid[0].astype(float), 37, 23) > np.float32(0.1)).sum() for grid in maps)
    assert found.layers[0].above.sum() == on
    assert 0 < on < 100


def test_maps_are_laid_over_what_the_network_saw():
    """What is recorded counts, what the user says counts more, and shapes that contradict both are warned of."""
    maps, shown = photos(18, sizes=((12, 12),), grid=(3, 3))
    masks = Masks.from_arrays(shown)

    def recorded(view, given=maps):
        own = Maps(given).activations
        return own.replace(axes=own.axes + view)

    def values(given, **options):
        return [one.value for one in dissect(given, masks, quantile=0.8, **options).labels]

    whole, central = (values(maps, crop=crop) for crop in ("whole", 0.875))
    assert whole != central
    assert values(maps) == values(recorded("")) == values(recorded(" of whole")) == whole
    assert values(recorded(" of 0.875")) == central
    assert values(recorded(" of 0.875"), crop=0.875) == central
    with pytest.warns(UserWarning, match=r"crop='whole', but .* saw the central square of photos, 0.875 of their"):
        assert values(recorded(" of 0.875"), crop="whole") == whole
    with pytest.raises(OptionError, match="different parts of the photos"):
        dissect({"a": recorded(" of 0.875"), "b": recorded(" of whole")}, masks)
    _, wide = photos(19, sizes=((9, 12), (12, 12)), grid=(3, 3))
    masks = Masks.from_arrays(wide)
    with pytest.warns(UserWarning, match="laid over whole photos, 6 of which have another shape"):
        said = values(maps)
    assert said == values(maps, crop="whole") == values(recorded(" of whole"))


def test_void_pixels_are_left_out():
    maps, shown = photos(4, sizes=((8, 8),))
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (12, 8, 8))
    classes = {0: "cat", 1: "dog", 2: "grass", 3: "unlabelled"}
    masks = Masks.from_label_maps(codes, classes, void=["unlabelled"])
    found = dissect(maps, masks, quantile=0.8, crop="whole")
    on, _ = pixels(maps, shown, 0.8)
    flat = codes.reshape(-1)
    used = flat != 3
    assert found.void == (~used).sum()
    assert found.n_pixels.sum() == used.sum()
    for j, label in enumerate(found.labels):
        scores = [iou_by_pixels(on[j][used], flat[used] == c) for c in range(3)]
        assert label.value == pytest.approx(max(scores), abs=1e-12)
    assert found.background == 0


def test_background_counts_against_a_concept():
    """A neuron that is on in the background has a lower IoU with what it is on at too."""
    shown = np.zeros((4, 2, 4, 4), bool)
    shown[:2, 0, :2] = shown[2:, 1, :2] = True
    maps = np.zeros((4, 2, 4, 4))
    maps[:2, 0, :2] = 1
    maps[:2, 1, :3] = 1
    found = dissect(maps, Masks.from_arrays(shown, ["cat", "dog"]), quantile=0.5, min_count=1)
    assert [str(label.formula) for label in found.labels] == ["cat", "cat"]
    assert [label.value for label in found.labels] == [1.0, pytest.approx(16 / 24)]
    assert found.background == 0.5


def test_held_out_photos_set_neither_threshold_nor_formula():
    maps, shown = photos(5, n=30)
    found = dissect(maps, Masks.from_arrays(shown), quantile=0.8, holdout=0.4, seed=3, length=2, min_count=1)
    again = dissect(maps, Masks.from_arrays(shown), quantile=0.8, holdout=0.4, seed=3, length=2, min_count=1)
    assert_frame_equal(found.labels.to_frame(), again.labels.to_frame())
    n_searched = int(found.n_pixels.sum())
    held = _held(30, 0.4, 3)
    assert held.sum() == 12
    thresholds = quantile_of_maps(maps[~held], 0.8)
    on, concepts = pixels(maps[~held], [one for one, out in zip(shown, held, strict=True) if not out], 0.8)
    assert on.shape[1] == n_searched
    on_held, concepts_held = pixels(
        maps[held], [one for one, out in zip(shown, held, strict=True) if out], 0.8, thresholds=thresholds
    )
    for j, label in enumerate(found.labels):
        assert label.threshold == thresholds[j]
        assert label.value == pytest.approx(iou_by_pixels(on[j], true_at(label.formula, concepts)), abs=1e-12)
        other = iou_by_pixels(on_held[j], true_at(label.formula, concepts_held))
        assert label.value_heldout == pytest.approx(other, abs=1e-12)


def _held(n, share, seed):
    from neuronym.stats.split import hold_out

    return hold_out(np.zeros(n, np.int64), None, share, seed)


def test_clusters_are_held_out_together():
    maps, shown = photos(6, n=20)
    ids = [f"p{i}" for i in range(20)]
    own = Maps(maps, sample_ids=ids, clusters=[i // 2 for i in range(20)])
    changed = maps.copy()
    found = dissect(own, Masks.from_arrays(shown, sample_ids=ids), holdout=0.5, quantile=0.8)
    clusters = np.arange(20) // 2
    from neuronym.stats.split import hold_out

    held = hold_out(np.zeros(20, np.int64), clusters, 0.5, 0)
    assert (held[::2] == held[1::2]).all()
    changed[held] += 100  # what is held out sets no threshold
    other = dissect(
        Maps(changed, sample_ids=ids, clusters=clusters), Masks.from_arrays(shown, sample_ids=ids), holdout=0.5,
        quantile=0.8,
    )  # fmt: skip
    assert [label.threshold for label in found.labels] == [label.threshold for label in other.labels]
    assert [label.value for label in found.labels] == [label.value for label in other.labels]


def test_store_array_and_sparse_agree_on_any_number_of_workers(tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.Conv2d(6, 4, 3), torch.nn.ReLU())
    data = torch.randn(40, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    ids = [f"p{i}.png" for i in range(40)]
    options = {"layers": ["1", "3"], "maps": True, "sample_ids": ids, "names": {"3": ["a", "b", "c", "d"]}}
    memory = neuronym.collect(model, data, **options)
    stored = neuronym.collect(model, data, out=tmp_path / "maps.zarr", **options)
    thin = neuronym.collect(model, data, out=tmp_path / "thin.zarr", sparse=True, **options)
    assert thin["1"].sparse
    _, shown = photos(7, n=40)
    masks = Masks.from_arrays(shown, sample_ids=ids)
    options = {"length": 2, "quantile": 0.9, "crop": "whole"}
    want = dissect(memory, masks, **options)
    assert {(label.layer, label.neuron) for label in want.labels} == {
        *(("1", j) for j in range(6)), *(("3", name) for name in "abcd")
    }  # fmt: skip
    for given in (stored, thin, tmp_path / "maps.zarr", {k: Maps.of(v) for k, v in stored.items()}):
        for n_jobs in (None, 2):
            found = dissect(given, masks, n_jobs=n_jobs, **options)
            assert_frame_equal(found.labels.to_frame(), want.labels.to_frame())
            assert np.array_equal(found.n_pixels, want.n_pixels)
    raw = model[:2](data).detach().numpy()
    alone = dissect(raw, Masks.from_arrays(shown), **options)
    assert [label.value for label in alone.labels] == [label.value for label in want.labels if label.layer == "1"]


def test_neurons_and_layers_can_be_chosen():
    maps, shown = photos(8)
    masks = Masks.from_arrays(shown)
    both = {"one": maps, "two": maps[:, ::-1]}
    whole = dissect(both, masks, quantile=0.8)
    part = dissect(both, masks, quantile=0.8, layers=["two"], neurons=[4, 1])
    assert [(one.layer, one.neuron) for one in part.labels] == [("two", 4), ("two", 1)]
    assert part.labels[4].value == next(one for one in whole.labels if one.layer == "one" and one.neuron == 0).value
    assert whole.single_concepts("two").max(axis=1).tolist() == [
        one.value for one in whole.labels if one.layer == "two"
    ]
    with pytest.raises(UnknownNameError, match="no layer 'three'"):
        dissect(both, masks, layers=["three"])
    with pytest.raises(OptionError, match="there are 2 layers: name one of 'one', 'two'"):
        whole.single_concepts()
    with pytest.raises(OptionError, match="maps are of one layer without a name"):
        dissect(maps, masks, layers=["one"])


def test_search_again_without_maps():
    maps, shown = photos(9)
    masks = Masks.from_arrays(shown)
    short = dissect(maps, masks, quantile=0.8)
    long = dissect(maps, masks, quantile=0.8, length=3, search="beam", beam=10)
    again = short.search(3, search="beam", beam=10)
    assert_frame_equal(again.to_frame(), long.labels.to_frame())
    with pytest.raises(OptionError, match="length"):
        short.search(0)


def test_iou_of_the_labels_of_another_method():
    maps, shown = photos(10, n=40)
    found = dissect(maps, Masks.from_arrays(shown), quantile=0.8)
    labels = neuronym.label(Maps(maps).pooled(), found.concepts, length=2, min_count=2)
    on, concepts = pixels(maps, shown, 0.8)
    for label, value in zip(labels, found.iou(labels), strict=True):
        assert value == pytest.approx(iou_by_pixels(on[label.neuron], true_at(label.formula, concepts)), abs=1e-12)
    with pytest.raises(OptionError, match="neuron 77 of layer None was not dissected"):
        found.iou(Labels([neuronym.Label(77)]))


def test_concepts_of_photos_are_those_that_the_network_saw():
    shown = np.zeros((30, 2, 8, 16), bool)
    shown[:10, 0, :, :2] = True  # outside of the central square
    shown[5:20, 1, 2:6, 6:10] = True
    maps = np.random.default_rng(0).normal(size=(30, 1, 4, 4))
    masks = Masks.from_arrays(shown, ["edge", "centre"])
    whole, cropped = (dissect(maps, masks, quantile=0.8, crop=crop).concepts for crop in ("whole", 1.0))
    assert whole["edge"].sum() == 10
    assert cropped["edge"].sum() == 0
    assert cropped["centre"].sum() == whole["centre"].sum() == 15


def test_photos_are_matched_by_id():
    maps, shown = photos(11)
    ids = [f"p{i}" for i in range(12)]
    order = np.random.default_rng(0).permutation(12)
    want = dissect(maps, Masks.from_arrays(shown), quantile=0.8)
    shuffled = Masks.from_arrays([shown[i] for i in order], sample_ids=[ids[i] for i in order])
    found = dissect(Maps(maps, sample_ids=ids), shuffled, quantile=0.8)
    assert [one.value for one in found.labels] == [one.value for one in want.labels]
    fewer = Masks.from_arrays([shown[i] for i in order[:8]], sample_ids=[ids[i] for i in order[:8]])
    with pytest.raises(AlignmentError, match="4 of 12 ids of maps are not in masks"):
        dissect(Maps(maps, sample_ids=ids), fewer, quantile=0.8)
    with pytest.warns(UserWarning, match="keeps 8 samples"):
        part = dissect(Maps(maps, sample_ids=ids), fewer, quantile=0.8, align=True)
    kept = sorted(order[:8])
    want = dissect(maps[kept], Masks.from_arrays([shown[i] for i in kept]), quantile=0.8)
    assert [one.value for one in part.labels] == [one.value for one in want.labels]
    with pytest.warns(UserWarning, match="matched by position"):
        dissect(Maps(maps, sample_ids=ids), Masks.from_arrays(shown), quantile=0.8)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"quantile": 1.0}, OptionError, "quantile must lie between 0 and 1"),
        ({"holdout": 2}, OptionError, "holdout must lie between 0 and 1"),
        ({"quantile": None}, OptionError, "quantile must lie between 0 and 1"),
        ({"seed": -1}, OptionError, "seed must be a whole number of at least 0"),
        ({"crop": 1.5}, OptionError, "crop must be 'whole', or a share"),
        ({"crop": "all"}, OptionError, "crop must be 'whole', or a share"),
        ({"neurons": []}, ActivationsError, "no neuron to dissect"),
        ({"neurons": [9]}, UnknownNameError, "9"),
        ({"length": 0}, OptionError, "length"),
        ({"n_jobs": 0}, OptionError, "n_jobs"),
    ],
)
def test_bad_options(change, error, message):
    maps, shown = photos(12)
    with pytest.raises(error, match=message):
        dissect(maps, Masks.from_arrays(shown), **change)


def test_bad_maps_and_masks():
    maps, shown = photos(13)
    masks = Masks.from_arrays(shown)
    with pytest.raises(ActivationsError, match="maps must have four axes"):
        dissect(maps.mean(axis=(2, 3)), masks)
    with pytest.raises(ActivationsError, match=r"pooled, one number .* maps=True"):
        dissect(neuronym.Activations(maps.mean(axis=(2, 3))), masks)
    broken = maps.copy()
    broken[3, 2, 0, 0] = np.nan
    with pytest.raises(ActivationsError, match=r"NaN or infinity in 1 neuron \(2\)"):
        dissect(broken, masks)
    with pytest.raises(AlignmentError, match="masks has 12 rows but maps has 5"):
        dissect(maps[:5], masks)
    with pytest.raises(ConceptsError, match="no concept distinguishes pixels"):
        dissect(maps[:2], Masks.from_arrays(np.zeros((2, 1, 3, 4), bool), ["cat"]))
    with pytest.raises(InputError):
        dissect(maps, "nowhere.json")


def test_dead_and_constant_neurons_have_no_formula():
    maps, shown = photos(14)
    maps[:, 0] = 0
    maps[:, 1] = 3.5
    found = dissect(maps, Masks.from_arrays(shown), quantile=0.9)
    assert [one.reason for one in found.labels][:2] == ["constant", "constant"]
    assert found.labels[2].formula is not None


def test_labels_are_saved_and_read_back(tmp_path):
    maps, shown = photos(15, n=30)
    labels = dissect(maps, Masks.from_arrays(shown), quantile=0.8, length=2, holdout=0.5).labels
    for kind in ("csv", "parquet", "json"):
        labels.save(tmp_path / f"labels.{kind}")
        assert [str(one) for one in Labels.open(tmp_path / f"labels.{kind}")] == [str(one) for one in labels]


def test_maps_travel_to_workers_and_name_their_neurons():
    maps, _ = photos(16)
    own = Maps(maps, ["a", "b", "c", "d", "e@x"])
    assert own.names == ("a", "b", "c", "d", "e@x")
    assert Maps.of(own.activations).names == own.names
    assert own.activations.names[:2] == ["a@0,0", "a@0,1"]
    assert own.activations.names[-1] == "e@x@2,3"
    assert len(pickle.dumps(Maps(np.zeros((1, 64, 56, 56), np.uint8)).activations)) < 250_000
    same = pickle.loads(pickle.dumps(own))
    assert np.array_equal(same.block(np.array([1, 3])), own.block(np.array([1, 3])))
    assert np.array_equal(own.block(np.array([3, 1]), np.array([2, 0])), maps[[2, 0]][:, [3, 1]].reshape(2, 2, -1))
    assert np.allclose(own.pooled().matrix, maps.mean(axis=(2, 3)), atol=1e-7)
    assert np.array_equal(own.pooled("max").matrix, maps.max(axis=(2, 3)))
    with pytest.raises(OptionError, match="pool must be 'mean' or 'max'"):
        own.pooled("last")
    with pytest.raises(ActivationsError, match="3 names for maps of 5 neurons"):
        Maps(maps, ["a", "b", "c"])


def test_what_is_left_of_maps_is_no_maps():
    maps, _ = photos(21)
    own = Maps(maps).activations
    with pytest.raises(ActivationsError, match="there are 30 columns, but names for maps of 5 neurons"):
        own.replace(matrix=own.matrix[:, ::2])
    plain = own.replace(matrix=own.matrix[:, ::2], names=range(30), axes=None)
    with pytest.raises(ActivationsError, match="are pooled, one number"):
        Maps.of(plain)
    with pytest.raises(ActivationsError, match="31 columns are no maps of 3 × 4"):
        Activations(np.zeros((2, 31)), axes="BCHW=3x4")
    assert Maps.of(Activations(own.matrix, axes="BCHW=3x4")).names == (0, 1, 2, 3, 4)
    with pytest.raises(ActivationsError, match="3 names for maps of 5 neurons"):
        Activations(own.matrix, ["a", "b", "c"], axes="BCHW=3x4")
    with pytest.raises(ActivationsError, match="'a'"):
        Maps(maps, ["a", "a", "b", "c", "d"])
    with pytest.raises(ActivationsError, match="none of them empty"):
        Maps(np.zeros((0, 2, 3, 3)))
    with pytest.raises(FileError, match="cannot store maps"):
        neuronym.save_activations(own, "maps.npz")


def test_a_photo_that_was_skipped_is_skipped_by_position_too():
    maps, shown = photos(22, n=20)
    ids = [f"p{i}" for i in range(20)]
    kept = [i for i in range(20) if i != 1]
    own = Maps(maps[kept]).activations.replace(sample_ids=[ids[i] for i in kept], skipped=["p1"])
    masks = Masks.from_arrays(shown, sample_ids=ids)
    by_id, by_place = (dissect(own, masks, quantile=0.8, align=align) for align in (False, "position"))
    assert_frame_equal(by_id.labels.to_frame(), by_place.labels.to_frame())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_held_out_maps_must_be_finite_too(value):
    maps, shown = photos(23, n=30)
    held = dissect(maps, Masks.from_arrays(shown), quantile=0.8, holdout=0.5).held
    maps[np.flatnonzero(held)[0], 3, 1, 1] = value
    with pytest.raises(ActivationsError, match=r"NaN or infinity in 1 neuron \(3\)"):
        dissect(maps, Masks.from_arrays(shown), quantile=0.8, holdout=0.5)


def test_a_run_is_resumed(tmp_path, monkeypatch):
    """Parts that were counted are not counted again, and with other settings none is used; nothing is left."""
    n = 700
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(n, 3, 2, 2))
    codes = rng.integers(0, 3, (n, 4, 4))
    masks = Masks.from_label_maps(codes, {0: "cat", 1: "dog", 2: "grass"})
    options = {"quantile": 0.8, "length": 2, "holdout": 0.3}
    want = dissect(maps, masks, **options)
    run, counted = dissecting.count_photos, []

    def stopped(*task):
        if len(counted) == 2:
            raise KeyboardInterrupt
        counted.append(len(task[2]))
        return run(*task)

    monkeypatch.setattr(dissecting, "count_photos", stopped)
    folder = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        dissect(maps, masks, resume=folder, **options)
    assert len(list(folder.iterdir())) == 2
    (folder / "mine.txt").write_text("mine")
    monkeypatch.setattr(dissecting, "count_photos", lambda *task: counted.append(len(task[2])) or run(*task))
    changed = dissect(maps, masks, resume=folder, **options | {"quantile": 0.7})
    assert counted == [256, 256, 256, 256, 188]
    assert_frame_equal(changed.labels.to_frame(), dissect(maps, masks, **options | {"quantile": 0.7}).labels.to_frame())
    first = min(folder.glob("dissection-*.npz"))
    first.write_bytes(first.read_bytes()[:100])  # damaged, so it is counted again
    counted.clear()
    found = dissect(maps, masks, resume=folder, **options)
    assert counted == [256, 188]
    assert_frame_equal(found.labels.to_frame(), want.labels.to_frame())
    assert np.array_equal(found.n_pixels, want.n_pixels)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot make the folder"):
        dissect(maps, masks, resume=tmp_path / "file", **options)


def test_a_crop_without_pixels_is_an_error():
    maps, shown = photos(24)
    with pytest.raises(OptionError, match=r"crop=0.01 leaves no pixel of a photo whose shorter side has 9"):
        dissect(maps, Masks.from_arrays(shown), crop=0.01)


def test_maps_in_a_file_stay_there(tmp_path):
    maps, shown = photos(20)
    np.save(tmp_path / "maps.npy", maps)
    mapped = np.load(tmp_path / "maps.npy", mmap_mode="r")
    own = Maps(mapped)
    assert own.activations.on_disk
    assert len(pickle.dumps(own)) < maps.nbytes / 2
    with joblib.parallel_config("loky"):
        found = dissect(own, Masks.from_arrays(shown), quantile=0.8, n_jobs=2)
    assert dissect(tmp_path / "maps.npy", Masks.from_arrays(shown), quantile=0.8).iou(found.labels).max() > 0
    assert_frame_equal(found.labels.to_frame(), dissect(maps, Masks.from_arrays(shown), quantile=0.8).labels.to_frame())
    assert [one.value for one in dissect(mapped[::-1], Masks.from_arrays(shown[::-1]), quantile=0.8).labels] == [
        one.value for one in found.labels
    ]


def test_label_pools_maps_and_says_so():
    maps, _ = photos(17, n=60)
    concepts = np.random.default_rng(0).random((60, 3)) < 0.4
    with pytest.warns(UserWarning, match="maps of 3 × 4, which are pooled here by their mean"):
        found = neuronym.label(Maps(maps).activations, concepts)
    assert list(found) == list(neuronym.label(Maps(maps).pooled(), concepts))
    with pytest.warns(UserWarning, match="pooled here by their mean"):
        assert list(neuronym.label(Maps(maps), concepts)) == list(found)
