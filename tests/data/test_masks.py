import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuronym.data import Masks, Regions
from neuronym.data.masks import Drawer
from neuronym.errors import ConceptsError, OptionError, UnknownNameError


def shown(masks, sample):
    """The names of the concepts of each pixel; None where it is void."""
    regions = masks.regions(sample)
    names = [{masks.names[c] for c in one} for one in regions.concepts]
    return [[None if number < 0 else names[number] for number in row] for row in regions.numbers.tolist()]


def test_pixels_of_equal_concepts_are_one_region():
    dog = np.array([[1, 1, 0, 0], [0, 0, 0, 1]], bool)
    grass = np.array([[0, 1, 1, 0], [0, 0, 0, 0]], bool)
    regions = Regions.paint((2, 4), [(1, grass), (0, dog)])
    assert regions.concepts == ((), (0,), (0, 1), (1,))
    assert regions.numbers.dtype == np.int32
    assert regions.numbers.tolist() == [[1, 2, 3, 0], [0, 0, 0, 1]]
    assert regions.counts.tolist() == [4, 2, 1, 1]
    assert regions.counts.dtype == np.int64
    assert regions.shown() == {0, 1}


def test_void_pixels_are_in_no_region():
    dog, void = np.array([[1, 1, 0]], bool), np.array([[0, 1, 1]], bool)
    regions = Regions.paint((1, 3), [(0, dog)], void)
    assert (regions.numbers.tolist(), regions.concepts) == ([[0, -1, -1]], ((0,),))
    assert regions.counts.tolist() == [1]
    nothing = Regions.paint((1, 3), [(0, dog)], np.ones((1, 3), bool))
    assert (nothing.numbers.tolist(), nothing.concepts, nothing.counts.tolist()) == ([[-1, -1, -1]], (), [])


def test_a_layer_may_show_several_concepts_and_a_concept_have_several_layers():
    left, right = np.array([[1, 0]], bool), np.array([[0, 1]], bool)
    regions = Regions.paint((1, 2), [((3, 1), left), (1, right), (1, left)])
    assert (regions.numbers.tolist(), regions.concepts) == ([[1, 0]], ((1,), (1, 3)))


@given(st.data())
def test_regions_say_what_the_layers_say(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    layers = [(int(rng.integers(4)), rng.random((5, 6)) < rng.random()) for _ in range(data.draw(st.integers(0, 7)))]
    void = rng.random((5, 6)) < 0.2
    regions = Regions.paint((5, 6), layers, void)
    for place in np.ndindex(5, 6):
        number = regions.numbers[place]
        here = tuple(sorted({concept for concept, mask in layers if mask[place]}))
        assert (number == -1) if void[place] else (regions.concepts[number] == here)
    assert len(set(regions.concepts)) == len(regions.concepts)
    assert regions.counts.sum() == 30 - void.sum()
    assert (regions.counts > 0).all()


def test_masks_in_an_array():
    array = np.zeros((2, 2, 1, 3), bool)
    array[0, 0, 0, :2] = array[0, 1, 0, 1:] = array[1, 1, 0, 0] = True
    masks = Masks.from_arrays(array, ["dog", "grass"], sample_ids=["a.jpg", "b.jpg"])
    assert (masks.n_samples, masks.names, masks.sample_ids) == (2, ("dog", "grass"), ("a.jpg", "b.jpg"))
    assert shown(masks, 0) == [[{"dog"}, {"dog", "grass"}, {"grass"}]]
    assert shown(masks, 1) == [[{"grass"}, set(), set()]]
    assert masks.categories == {}
    concepts = masks.concepts()
    assert (concepts.names, concepts.sample_ids) == (masks.names, masks.sample_ids)
    assert concepts.to_dense().tolist() == [[True, True], [False, True]]
    assert repr(masks) == "Masks(2 samples × 2 concepts: dog, grass)"
    for alike in (array.astype(np.uint8), torch.tensor(array), array.tolist()):
        assert shown(Masks.from_arrays(alike, ["dog", "grass"]), 0) == shown(masks, 0)
    assert Masks.from_arrays(array).names == ("c0", "c1")


def test_masks_by_name_may_differ_in_size():
    photos = {"a": {"dog": [[True, False]]}, "b": {"cat": [[1], [0]], "dog": [[1], [1]]}}
    masks = Masks.from_arrays(photos)
    assert (masks.names, masks.sample_ids) == (("cat", "dog"), ("a", "b"))
    assert shown(masks, 0) == [[{"dog"}, set()]]
    assert shown(masks, 1) == [[{"cat", "dog"}], [{"dog"}]]
    assert masks.concepts().to_dense().tolist() == [[False, True], [True, True]]
    series = Masks.from_arrays(pd.Series(list(photos.values()), index=["x", "y"]).to_dict())
    assert series.sample_ids == ("x", "y")
    assert Masks.from_arrays(list(photos.values()), ["dog", "cat", "cow"]).names == ("dog", "cat", "cow")


@pytest.mark.parametrize(
    ("masks", "options", "message"),
    [
        (np.zeros((2, 3, 4)), {}, r"must have four axes, .* but have shape \(2, 3, 4\): give one mapping"),
        (np.zeros((1, 2, 1, 1)), {"names": ["a"]}, "1 name for masks of 2 concepts: give one each"),
        (np.zeros((1, 2, 1, 1)), {"names": ["a", "a"]}, "masks has 1 name more than once"),
        (np.zeros((1, 1, 1, 1)), {"names": [""]}, "a concept of the masks has an empty name"),
        (np.zeros((1, 1, 1, 1)), {"sample_ids": ["a", "b"]}, "masks has 1 samples but 2 sample ids"),
        ([{"dog": [[1]]}, {}], {}, "sample 1 has no mask, so its size is unknown: give it one without any pixel"),
        ([{"dog": [1, 0]}], {}, r"the mask of 'dog' in sample 0 must have two axes, height × width, not \(2,\)"),
        ([{"dog": [[1]]}], {"names": ["cat"]}, "names lacks concepts of the masks .'dog'."),
    ],
)
def test_what_are_no_masks_is_refused(masks, options, message):
    with pytest.raises(ConceptsError, match=message):
        Masks.from_arrays(masks, **options)


def test_values_that_are_no_masks_are_refused_when_they_are_read():
    masks = Masks.from_arrays([{"dog": [[1, 0]]}, {"dog": [[1, 2]]}, {"cat": [[1, 0]], "dog": [[1]]}])
    assert masks.regions(0).counts.tolist() == [1, 1]
    with pytest.raises(ConceptsError, match=r"sample 1: a mask must be True where .* has the values 1, 2: give each"):
        masks.regions(1)
    with pytest.raises(ConceptsError, match=r"sample 2: a mask has the shape \(1, 1\), but the photo \(1, 2\)"):
        masks.regions(2)
    with pytest.raises(OptionError, match="sample must be an index from 0 to 2, not 3"):
        masks.regions(3)
    with pytest.raises(OptionError, match="not -1"):
        masks.regions(-1)


CLASSES = {7: "road", 8: "road", 23: "sky", 3: "roi"}


def test_label_maps():
    maps = np.array([[[7, 8, 23], [3, 0, 255]], [[0, 0, 0], [0, 0, 0]]], np.uint8)
    masks = Masks.from_label_maps(maps, CLASSES, void=[255, "roi"], background=[0], sample_ids=["a", "b"])
    assert masks.names == ("road", "sky")
    assert shown(masks, 0) == [[{"road"}, {"road"}, {"sky"}], [None, set(), None]]
    assert masks.regions(0).concepts == ((), (0,), (1,))
    assert masks.regions(1).concepts == ((),)
    assert masks.concepts().to_dense().tolist() == [[True, True], [False, False]]
    many = Masks.from_label_maps({"x": maps[0].astype(np.int64).tolist(), "y": maps[1][:1]}, CLASSES, void=[255, 3],
                                 background=[0])  # fmt: skip
    assert many.sample_ids == ("x", "y")
    assert shown(many, 0) == shown(masks, 0)
    assert shown(many, 1) == [[set()] * 3]
    large = Masks.from_label_maps([np.array([[10**9, -5, 7]])], {10**9: "far", -5: "below", 7: "road"})
    assert (large.names, shown(large, 0)) == (("below", "road", "far"), [[{"far"}, {"below"}, {"road"}]])


def test_nothing_is_background_by_silence():
    masks = Masks.from_label_maps([[[7, 0], [255, 0]], [[7.0, 8.0]]], CLASSES)
    message = (
        r"sample 0: the label map has values without a class \(0 in 2 pixels, 255 in 1 pixel\): name them in classes"
    )
    with pytest.raises(ConceptsError, match=message):
        masks.regions(0)
    with pytest.raises(ConceptsError, match=r"sample 1: a label map must hold integers, height × width, not float64"):
        masks.regions(1)
    with pytest.raises(ConceptsError, match=r"-1 in 1 pixel, 70000 in 1 pixel"):
        Masks.from_label_maps([[[-1, 70000, 7]]], CLASSES).regions(0)
    with pytest.raises(ConceptsError, match="and 2 more"):
        Masks.from_label_maps([[[0, 1, 2, 4, 5]]], CLASSES).regions(0)


@pytest.mark.parametrize(
    ("classes", "options", "error", "message"),
    [
        ({}, {}, ConceptsError, "classes must map the values of label maps to names"),
        (["a"], {}, ConceptsError, "classes must map the values"),
        ({"1": "a"}, {}, ConceptsError, "classes must have integers as keys, the values of label maps, not '1'"),
        ({1: ""}, {}, ConceptsError, "the class 1 has an empty name"),
        ({1: "a"}, {"void": ["b"]}, UnknownNameError, "no class 'b'; there are 1, such as 'a'"),
        ({1: "a"}, {"void": "a"}, OptionError, r"void must be a list of values or names of classes, such as \['a'\]"),
        ({1: "a"}, {"background": [1.5]}, OptionError, "background must be a list .* but has 1.5"),
        ({1: "a"}, {"background": [0], "void": [0]}, OptionError, r"void and background share values \(0\): choose"),
    ],
)
def test_classes_that_cannot_be_used_are_refused(classes, options, error, message):
    with pytest.raises(error, match=message):
        Masks.from_label_maps([[[1]]], classes, **options)
    with pytest.raises(ConceptsError, match="must have three axes"):
        Masks.from_label_maps(np.zeros((2, 2), int), {0: "a"})


class Photos(Drawer):
    """Two photos of three concepts, the first with a void pixel, which count how often they are drawn."""

    def __init__(self):
        self.drawn = []

    def __len__(self):
        return 2

    def draw(self, sample):
        self.drawn.append(sample)
        masks = [(0, [[1, 1, 0, 0]]), (1, [[0, 1, 1, 0]]), (2, [[sample, sample, 0, 0]])]
        return Regions.paint((1, 4), masks, [[0, 0, 0, 1 - sample]])


def test_a_category_has_its_concepts_and_the_photos_labelled_for_it():
    categories = {"wall": "object", "red": "colour", "brick": "object", "other": "none"}
    labelled = {"colour": [True, False]}
    masks = Masks(Photos(), ["wall", "red", "brick"], sample_ids="ab", categories=categories, labelled=labelled)
    assert masks.categories == {"wall": "object", "red": "colour", "brick": "object"}
    objects, colours = masks.of_category("object"), masks.of_category("colour")
    assert (objects.names, objects.sample_ids) == (("wall", "brick"), ("a", "b"))
    assert shown(objects, 0) == [[{"wall"}, {"wall"}, set(), None]]
    assert objects.regions(0).concepts == ((), (0,))
    assert shown(objects, 1) == [[{"wall", "brick"}, {"wall", "brick"}, set(), set()]]
    assert objects.regions(1).concepts == ((), (0, 1))
    assert (colours.names, colours.sample_ids, colours.categories) == (("red",), ("a",), {"red": "colour"})
    assert shown(colours, 0) == [[set(), {"red"}, {"red"}, None]]
    assert objects.concepts().to_dense().tolist() == [[True, False], [True, True]]
    assert masks.take([1]).sample_ids == ("b",)
    assert masks.take([1]).of_category("colour").n_samples == 0
    assert shown(masks.take([1, 0]), 1) == shown(masks, 0)
    with pytest.raises(UnknownNameError, match="no category 'objects'; near it: 'object'"):
        masks.of_category("objects")


def test_nothing_is_drawn_before_it_is_asked_for():
    photos = Photos()
    masks = Masks(photos, ["wall", "red", "brick"], categories={"wall": "object"}).of_category("object")
    assert photos.drawn == []
    masks.regions(1)
    assert photos.drawn == [1]


def test_masks_go_to_workers():
    masks = Masks.from_label_maps([[[1, 2]], [[2, 2]]], {1: "a", 2: "b"}, sample_ids=["x", "y"]).take([1, 0])
    copy = pickle.loads(pickle.dumps(masks))
    assert (copy.names, copy.sample_ids) == (masks.names, masks.sample_ids)
    assert shown(copy, 1) == [[{"a"}, {"b"}]]
