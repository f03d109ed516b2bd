import json
import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuronym import open_concepts, save_concepts
from neuronym.errors import ConceptsError, FileError, OptionError, UnknownNameError
from neuronym.io import Images
from neuronym.io.sources import (
    boxes_as_masks,
    broden_as_masks,
    coco_as_masks,
    from_coco,
    label_maps_as_masks,
    open_masks,
    outlines,
)
from neuronym.io.sources.outlines import box_corners, check_runs, decode_runs, polygon_runs, runs_mask

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
TINY = Path(__file__).parents[3] / "shared/data/tiny-imagenet-200/val"


def shown(masks, sample):
    """The names of the concepts of each pixel, joined; None where it is void."""
    regions = masks.regions(sample)
    names = ["+".join(masks.names[c] for c in one) for one in regions.concepts]
    return [[None if number < 0 else names[number] for number in row] for row in regions.numbers.tolist()]


def pixels(masks, sample, name):
    regions = masks.regions(sample)
    inside = np.array([masks.names.index(name) in one for one in regions.concepts] + [False])
    return inside[regions.numbers]


# Outlines, against the reference library


def polygon_mask(corners, height, width):
    return runs_mask(polygon_runs(corners, height, width), height, width)


def star(rng, n, size, radius):
    angle = np.sort(rng.uniform(0, 2 * np.pi, n))
    return (np.stack([np.cos(angle), np.sin(angle)], 1) * np.reshape(radius, (-1, 1)) + 0.5) * size


POLYGONS = {
    "convex": lambda rng, size: star(rng, 8, size, rng.uniform(0.1, 0.6)),
    "star-shaped": lambda rng, size: star(rng, 15, size, rng.uniform(0.1, 0.6, 15)),
    "self-intersecting": lambda rng, size: rng.uniform(0, 1, (9, 2)) * size,
    "partly outside": lambda rng, size: rng.uniform(-0.8, 1.8, (6, 2)) * size,
    "whole coordinates": lambda rng, size: rng.integers(-4, 45, (7, 2)),
    "tenths": lambda rng, size: rng.integers(-40, 450, (7, 2)) / 10,
    "halves": lambda rng, size: rng.integers(-4, 90, (5, 2)) / 2,
    "repeated corners": lambda rng, size: np.repeat(rng.integers(-2, 12, (4, 2)) * 0.5, 2, axis=0),
    "a line": lambda rng, size: rng.uniform(0, 1, (2, 2))[[0, 1, 0]] * size,
    "a point": lambda rng, size: np.repeat(rng.uniform(0, 30, (1, 2)), 3, axis=0),
}  # fmt: skip


@pytest.mark.parametrize("kind", POLYGONS)
def test_polygons_are_those_of_pycocotools(kind):
    reference = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    filled = 0
    for _ in range(300):
        height, width = rng.integers(1, 40, 2).tolist()
        corners = POLYGONS[kind](rng, (width, height)).astype(np.float64)
        expected = reference.decode(reference.frPyObjects([corners.ravel().tolist()], height, width))[:, :, 0]
        found = polygon_mask(corners, height, width)
        assert found.dtype == bool
        assert np.array_equal(found, expected), (corners.tolist(), height, width)
        filled += found.any()
    assert filled or kind in ("a line", "a point")


def test_long_boundaries_are_followed_in_parts(monkeypatch):
    corners = np.random.default_rng(4).uniform(-5, 50, (40, 2))
    whole = polygon_mask(corners, 30, 40)
    monkeypatch.setattr(outlines, "_AT_ONCE", 100)
    assert np.array_equal(polygon_mask(corners, 30, 40), whole)


def test_boxes_are_those_of_pycocotools():
    reference = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(1)
    for place in range(300):
        box = rng.uniform(-5, 30, 4) if place % 2 else rng.integers(-5, 30, 4).astype(float)
        box[2:] = np.abs(box[2:])
        expected = reference.decode(reference.frPyObjects(box[None], 25, 31))[:, :, 0]
        assert np.array_equal(polygon_mask(box_corners(box), 25, 31), expected), box


def test_run_lengths_are_those_of_pycocotools():
    reference = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(2)
    for _ in range(300):
        height, width = rng.integers(1, 60, 2).tolist()
        mask = np.asfortranarray(np.kron(rng.random((height, width)) < rng.random(), np.ones((3, 5))), np.uint8)
        code = reference.encode(mask)
        runs = decode_runs(code["counts"].decode())
        assert np.array_equal(runs_mask(runs, *mask.shape), mask)
        again = reference.frPyObjects({"counts": runs.tolist(), "size": list(mask.shape)}, *mask.shape)
        assert again["counts"] == code["counts"]
    assert runs_mask(np.array([0, 6]), 2, 3).all()
    assert decode_runs("").tolist() == []


def test_run_lengths_go_down_the_columns_and_begin_outside():
    assert runs_mask(np.array([1, 2, 3]), 2, 3).astype(int).tolist() == [[0, 1, 0], [1, 0, 0]]
    ring = runs_mask(np.array([0, 4, 1, 4]), 3, 3)
    assert ring.astype(int).tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    with pytest.raises(ValueError, match="add up to 5 pixels, not to 2 × 3 = 6"):
        check_runs(np.array([1, 4]), 2, 3)
    with pytest.raises(ValueError, match=r"a run length is negative \(-1\)"):
        check_runs(np.array([7, -1]), 2, 3)
    with pytest.raises(ValueError, match="add up to 18446744073709551614 pixels"):
        check_runs(np.array([2**63 - 1, 2**63 - 1]), 2, 3)
    for wrong in ("P", "~!", "äö", "0" * 3 + "o" * 13 + "0"):
        with pytest.raises(ValueError, match="they "):
            decode_runs(wrong)


# COCO

SQUARE = [0, 0, 4, 0, 4, 4, 0, 4]  # of the pixels 0 … 3
RING = [0, 0, 4, 0, 4, 4, 0, 4, 0, 0, 1, 1, 1, 3, 3, 3, 3, 1, 1, 1]  # goes around its hole, and touches itself
CATEGORIES = [
    {"id": 1, "name": "dog", "supercategory": "animal"},
    {"id": 5, "name": "cat", "supercategory": "animal"},
    {"id": 6, "name": "cup", "supercategory": "none"},
]


def coco(tmp_path, *annotations, **changes):
    path = tmp_path / "instances.json"
    content = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 4, "width": 6},
            {"id": 9, "file_name": "b.jpg", "height": 2, "width": 3},
        ],
        "categories": CATEGORIES,
        "annotations": [{"id": place, "image_id": 7, "category_id": 1, **one} for place, one in enumerate(annotations)],
    }
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_coco_polygons_run_lengths_and_overlaps(tmp_path):
    runs = {"size": [4, 6], "counts": [12, 8, 4]}  # the columns 3 and 4
    path = coco(
        tmp_path,
        {"segmentation": [SQUARE]},
        {"segmentation": runs, "category_id": 5, "iscrowd": 0},
        {"segmentation": runs, "category_id": 6},
    )
    masks = coco_as_masks(path)
    assert masks.names == ("animal", "cat", "cup", "dog")
    assert masks.sample_ids == ("a.jpg", "b.jpg") == from_coco(path).sample_ids
    assert masks.categories == {"animal": "animal", "cat": "animal", "dog": "animal"}
    assert shown(masks, 0) == [["animal+dog"] * 3 + ["animal+cat+cup+dog", "animal+cat+cup", ""]] * 4
    assert shown(masks, 1) == [[""] * 3] * 2
    assert masks.regions(0).counts.tolist() == [4, 4, 4, 12]
    assert masks.concepts().to_dense().tolist() == from_coco(path).to_dense().tolist()
    plain = coco_as_masks(path, supercategories=False)
    assert (plain.names, plain.categories) == (("cat", "cup", "dog"), {"cat": "animal", "dog": "animal"})
    assert plain.of_category("animal").names == ("cat", "dog")
    assert shown(pickle.loads(pickle.dumps(masks)), 0) == shown(masks, 0)


def test_polygons_of_an_instance_are_united_and_a_ring_has_a_hole(tmp_path):
    within = [1, 1, 3, 1, 3, 3, 1, 3]
    masks = coco_as_masks(
        coco(tmp_path, {"segmentation": [SQUARE, within]}, {"segmentation": [RING], "category_id": 5}),
        supercategories=False,
    )
    square = np.zeros((4, 6), bool)
    square[:, :4] = True
    assert np.array_equal(pixels(masks, 0, "dog"), square)
    square[1:3, 1:3] = False
    assert np.array_equal(pixels(masks, 0, "cat"), square)


def test_crowds_show_are_void_or_count_for_nothing(tmp_path):
    top = {"size": [4, 6], "counts": [0, *[2, 2] * 6]}  # the upper two rows
    path = coco(
        tmp_path,
        {"segmentation": [SQUARE], "category_id": 5},
        {"segmentation": top, "iscrowd": 1},
        {"segmentation": top, "iscrowd": 1, "image_id": 7},
    )
    see = coco_as_masks(path, supercategories=False)
    below = ["cat"] * 4 + [""] * 2
    assert shown(see, 0) == [["cat+dog"] * 4 + ["dog"] * 2] * 2 + [below] * 2
    void = coco_as_masks(path, supercategories=False, crowd="void")
    assert shown(void, 0) == [["cat"] * 4 + [None] * 2] * 2 + [below] * 2
    no = coco_as_masks(path, supercategories=False, crowd="no")
    assert shown(no, 0) == [below] * 4
    assert see.names == void.names == no.names == ("cat", "dog")
    assert [one.concepts()["dog"].tolist()[0] for one in (see, void, no)] == [True, False, False]
    for one in (see, void, no):
        drawn = [one.regions(sample).shown() for sample in range(2)]
        assert [[c in of for c in range(2)] for of in drawn] == one.concepts().to_dense().tolist()
    with pytest.raises(OptionError, match="crowd must be 'show', 'void' or 'no', not 'yes'"):
        coco_as_masks(path, crowd="yes")


def test_an_instance_without_a_pixel_shows_nothing(tmp_path):
    path = coco(tmp_path, {"segmentation": [[1, 1, 1.1, 1, 1.1, 1.1]]}, {"segmentation": [SQUARE], "category_id": 5})
    masks = coco_as_masks(path, supercategories=False)
    assert masks.names == ("cat", "dog")
    assert masks.concepts().counts.tolist() == [1, 0]


def test_whole_files_are_as_by_pycocotools(tmp_path, capsys):
    tools = pytest.importorskip("pycocotools.coco")
    rng = np.random.default_rng(3)
    reference = pytest.importorskip("pycocotools.mask")
    annotations = []
    for place in range(60):
        if place % 3:
            outline = [
                (rng.uniform(-0.2, 1.2, (rng.integers(3, 9), 2)) * [33, 21]).ravel().tolist()
                for _ in range(place % 4 + 1)
            ]
        else:
            code = reference.encode(np.asfortranarray(rng.random((21, 33)) < 0.5, np.uint8))
            text = code["counts"].decode()
            outline = {"size": [21, 33], "counts": text if place % 2 else decode_runs(text).tolist()}
        kind = {"category_id": [1, 5, 6][place % 5 % 3], "iscrowd": int(not place % 3)}
        annotations.append({"segmentation": outline, "image_id": place % 7, "bbox": [0, 0, 1, 1], "area": 1, **kind})
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 21, "width": 33} for i in range(7)]
    path = coco(tmp_path, *annotations, images=images)
    masks, theirs = coco_as_masks(path, supercategories=False), tools.COCO(str(path))
    for image in range(7):
        for category in CATEGORIES:
            expected = np.zeros((21, 33), bool)
            for one in theirs.loadAnns(theirs.getAnnIds(imgIds=[image], catIds=[category["id"]])):
                expected |= theirs.annToMask(one).astype(bool)
            assert np.array_equal(pixels(masks, image, category["name"]), expected)
    assert masks.concepts().to_dense().tolist() == [
        [c in masks.regions(image).shown() for c in range(3)] for image in range(7)
    ]


def test_boxes_stand_in_for_outlines_if_that_is_meant(tmp_path):
    path = coco(tmp_path, {"segmentation": [], "bbox": [1, 0, 2, 3]}, {"segmentation": [SQUARE]})
    with pytest.raises(
        FileError, match=r"annotation 0 of image 'a.jpg' of .* has no outlines \(segmentation\): remove"
    ):
        coco_as_masks(path)
    alone = coco(tmp_path, {"bbox": [1, 0, 2, 3]})
    assert shown(coco_as_masks(alone, boxes=True, supercategories=False), 0) == [
        *[["", "dog", "dog", "", "", ""]] * 3,
        [""] * 6,
    ]
    with pytest.raises(FileError, match=r"annotation 0 .* has neither outlines .* nor a box \(bbox\) of x, y, width"):
        coco_as_masks(coco(tmp_path, {"bbox": [1, 0, -2, 3]}), boxes=True)


@pytest.mark.parametrize(
    ("outline", "message"),
    [
        ([[0, 0, 1, 1]], "has a polygon of 4 coordinates: it needs an x and a y for each of at least 3 corners"),
        ([SQUARE, [0] * 7], "has a polygon of 7 coordinates"),
        ([[0, 0, 1, 1, float("nan"), 2]], "neither run lengths nor lists of coordinates up to 100,000"),
        ([[0, 0, 1, 1, 2, 1e300]], "neither run lengths nor lists of coordinates"),
        ([[[0, 0], [1, 1], [2, 2]]], "neither run lengths nor lists of coordinates"),
        (["abc"], "neither run lengths nor lists of coordinates"),
        ("abc", "neither run lengths nor lists of coordinates"),
        (
            {"size": [6, 4], "counts": [24]},
            r"run lengths of the size \[6, 4\], but the image has \[4, 6\] \(height, width",
        ),
        ({"counts": [24]}, "run lengths of the size None"),
        ({"size": [4, 6], "counts": [1.5]}, r"run lengths \(counts\) that are neither a list of integers nor text"),
        ({"size": [4, 6]}, "neither a list of integers nor text"),
    ],
)
def test_outlines_that_are_none_are_refused(tmp_path, outline, message):
    with pytest.raises(FileError, match=rf"annotation 1 of image 'a.jpg' of .*{message}"):
        coco_as_masks(coco(tmp_path, {"segmentation": [SQUARE]}, {"segmentation": outline}))


def test_broken_run_lengths_fail_when_they_are_read(tmp_path):
    short = {"segmentation": {"size": [2, 3], "counts": [1, 4]}, "image_id": 9}
    masks = coco_as_masks(coco(tmp_path, {"segmentation": [SQUARE]}, short))
    assert masks.regions(0).counts.tolist() == [8, 16]
    message = r"the run lengths of annotation 1 of image 'b.jpg' of .* are invalid: the run lengths add up to 5 pixels"
    with pytest.raises(FileError, match=message):
        masks.regions(1)
    text = {"segmentation": {"size": [2, 3], "counts": "P"}, "image_id": 9}
    with pytest.raises(FileError, match="are invalid: they are not COCO's compressed run lengths"):
        coco_as_masks(coco(tmp_path, text)).regions(1)


def test_coco_files_without_masks_are_refused(tmp_path):
    nowhere = [{"id": 7, "file_name": "a.jpg", "height": 4}, {"id": 9, "file_name": "b.jpg", "height": 2, "width": 3}]
    with pytest.raises(FileError, match=r"image 'a.jpg' has no height and width in pixels \(4, None\)"):
        coco_as_masks(coco(tmp_path, {"segmentation": [SQUARE]}, images=nowhere))
    huge = [{"id": 7, "file_name": "a.jpg", "height": 10**5, "width": 10**5}]
    with pytest.raises(FileError, match=r"image 'a.jpg' of .* has 100000 × 100000 pixels, more than 100,000,000"):
        coco_as_masks(coco(tmp_path, {"segmentation": [SQUARE]}, images=huge))
    panoptic = [{"image_id": 7, "file_name": "a.png", "segments_info": [{"id": 3, "category_id": 1}]}]
    with pytest.raises(FileError, match="is a panoptic file, whose masks are in images: use the instances file"):
        coco_as_masks(coco(tmp_path, annotations=panoptic))
    with pytest.raises(FileError, match="cannot read COCO annotations: there is no file"):
        coco_as_masks(tmp_path / "gone.json")
    with pytest.warns(UserWarning, match="1 of 2 annotations .* refer to 1 image that the file does not list"):
        masks = coco_as_masks(coco(tmp_path, {"segmentation": [SQUARE]}, {"image_id": 8, "segmentation": [SQUARE]}))
    assert masks.n_samples == 2


# Boxes


def table(tmp_path, text, name="boxes.txt"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_both_corners_of_a_box_are_in_it(tmp_path):
    path = table(
        tmp_path, "a.JPEG\tn1\t0\t1\t1\t2\nb.JPEG\tn2\t3\t0\t3\t0\na.JPEG\tn2\t1\t0\t3\t1\na.JPEG\tn1\t0\t0\t0\t0\n"
    )
    masks = boxes_as_masks(path, size=(3, 4))
    assert (masks.names, masks.sample_ids, masks.categories) == (("n1", "n2"), ("a.JPEG", "b.JPEG"), {})
    assert shown(masks, 0) == [["n1", "n2", "n2", "n2"], ["n1", "n1+n2", "n2", "n2"], ["n1", "n1", "", ""]]
    assert shown(masks, 1) == [["", "", "", "n2"], [""] * 4, [""] * 4]
    assert masks.concepts().to_dense().tolist() == [[True, True], [False, True]]
    assert shown(pickle.loads(pickle.dumps(masks)), 0) == shown(masks, 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loc.csv", "ImageId,PredictionString\na,n1 0 1 1 2 n2 1 0 3 1 \nb,n2 3 0 3 0 \n"),
        ("loc.csv", "a,n1 0 1 1 2 n2 1 0 3 1\nb,n2 3 0 3 0\n"),
        ("x.csv", "sample,concept,x0,y0,x1,y1\na,n1,0,1,1,2\na,n2,1,0,3,1\nb,n2,3,0,3,0\n"),
        ("x.csv", "y2,x2,image_id,label,x1,y1\n2,1,a,n1,0,1\n1,3,a,n2,1,0\n0,3,b,n2,3,0\n"),
        ("x.tsv", "XMin\tYMin\tXMax\tYMax\tscore\tclass\tfilename\n0\t1\t1\t2\t.5\tn1\ta\n"
                  "1\t0\t3\t1\t1\tn2\ta\n3\t0\t3\t0\t1\tn2\tb\n"),
        ("x.csv", "sample,concept,x,y,width,height\na,n1,0,1,2,2\na,n2,1,0,3,2\nb,n2,3,0,1,1\n"),
        ("x.txt", "a n1 0 1 1 2\na n2 1 0 3 1\nb n2 3 0 3 0\n"),
    ],
)  # fmt: skip
def test_forms_of_tables_of_boxes(tmp_path, name, text):
    masks = boxes_as_masks(table(tmp_path, text, name), size=(3, 4))
    assert (masks.names, masks.sample_ids) == (("n1", "n2"), ("a", "b"))
    assert shown(masks, 0) == [["", "n2", "n2", "n2"], ["n1", "n1+n2", "n2", "n2"], ["n1", "n1", "", ""]]
    assert shown(masks, 1) == [["", "", "", "n2"], [""] * 4, [""] * 4]


def test_boxes_of_fractions_are_those_of_pycocotools(tmp_path):
    reference = pytest.importorskip("pycocotools.mask")
    path = table(tmp_path, "sample,concept,x,y,w,h\na,n1,1.4,0.2,3.3,2.6\nb,n1,0.1,0.1,0.1,0.1\n", "x.csv")
    masks = boxes_as_masks(path, size=(5, 6))
    expected = reference.decode(reference.frPyObjects(np.array([[1.4, 0.2, 3.3, 2.6]]), 5, 6))[:, :, 0]
    assert np.array_equal(pixels(masks, 0, "n1"), expected)
    assert masks.concepts()["n1"].tolist() == [True, False]


def test_concepts_above_the_classes(tmp_path):
    path = table(tmp_path, "a\tpug\t0\t0\t0\t0\na\tcat\t1\t0\t1\t0\nb\tpoodle\t0\t0\t1\t0\n")
    edges = table(tmp_path, "child,parent\npug,dog\npoodle,dog\ndog,animal\ncat,animal\nanimal,\n", "above.csv")
    masks = boxes_as_masks(path, size=(1, 3), hierarchy=edges)
    assert masks.names == ("cat", "poodle", "pug", "animal", "dog")
    assert shown(masks, 0) == [["pug+animal+dog", "cat+animal", ""]]
    assert shown(masks, 1) == [["poodle+animal+dog", "poodle+animal+dog", ""]]
    assert boxes_as_masks(path, size=(1, 3), hierarchy=edges, min_classes=3).names == ("cat", "poodle", "pug", "animal")
    with pytest.raises(OptionError, match="the hierarchy contains none of the concepts"):
        boxes_as_masks(path, size=(1, 3), hierarchy="wordnet")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("a n1 0 0 1\n", FileError, "is no table of boxes: it must have sample, class, x0, y0, x1, y1 without"),
        ("a n1 0 0 1 x\n", FileError, "line 1 of .* must have a sample, a class and the four numbers of a box, not"),
        ("a n1 0 0 1 1\nb n1 2 0 1 1\n", ConceptsError, r"line 2 of .* without pixels \(x0, y0, x1, y1 are 2, 0, 1, 1"),
        ("a n1 0 0 1.5 1\n", ConceptsError, r"line 1 of .* corners are no whole pixels \(0, 0, 1.5, 1\): round them"),
        ("sample concept x y width height\na n1 0 0 0 1\n", ConceptsError, "without pixels .*: it must have a width"),
        ("p q x0 y0 x1 y1\na n1 0 0 0 1\n", FileError, "cannot tell which columns of .* have the samples and the"),
        ("a\tn1\t4\t0\t5\t1\n", ConceptsError, r"box of 'n1' in line 1 .* is outside of its photo 'a' of 3 × 4 pixels"),
        ("a\tn1\t-2\t0\t-1\t1\n", ConceptsError, "is outside of its photo"),
        ("a\t\t0\t0\t1\t1\n", FileError, "line 1 of .* has a box without a sample or class"),
    ],
)  # fmt: skip
def test_boxes_that_are_none_are_refused(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        boxes_as_masks(table(tmp_path, text), size=(3, 4))


def test_a_box_partly_outside_is_cut_off_with_a_warning(tmp_path):
    path = table(tmp_path, "a\tn1\t2\t-1\t4\t0\nb\tn1\t0\t0\t9\t9\n")
    with pytest.warns(
        UserWarning, match="box of 'n1' in line 1 .* is partly outside of its photo 'a' of 3 × 4"
    ) as told:
        masks = boxes_as_masks(path, size=(3, 4))
    assert len(told) == 1
    assert shown(masks, 0) == [["", "", "n1", "n1"], [""] * 4, [""] * 4]
    with pytest.raises(OptionError, match=r"give the size of all photos, size=\(height, width\), or the folder"):
        boxes_as_masks(path)
    with pytest.raises(OptionError, match="size must be the height and width"):
        boxes_as_masks(path, size=(0, 4))
    with pytest.raises(OptionError, match="size must be at most 100,000,000 pixels, not 99999 × 99999"):
        boxes_as_masks(path, size=(99999, 99999))


def photo(path, size, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1]).save(path, **options)


def test_sizes_are_those_of_the_photos_which_are_matched_by_path(tmp_path):
    folder = tmp_path / "photos"
    photo(folder / "val/a.png", (2, 3))
    turned = Image.Exif()
    turned[0x0112] = 6
    photo(folder / "b.jpg", (4, 1), exif=turned)  # 1 × 4 as it is seen
    photo(folder / "unused.png", (9, 9))
    path = table(tmp_path, "b\tn1\t3\t0\t3\t0\na.png\tn1\t1\t1\t2\t1\n")
    masks = boxes_as_masks(path, images=folder)
    assert masks.sample_ids == ("b.jpg", "val/a.png")
    assert set(masks.sample_ids) < set(Images(folder, None).sample_ids)
    assert shown(masks, 0) == [["", "", "", "n1"]]
    assert shown(masks, 1) == [["", "", ""], ["", "n1", "n1"]]
    (folder / "b.jpg").write_bytes(b"no photo")
    assert masks.regions(1).counts.tolist() == [4, 2]
    with pytest.raises(FileError, match=r"cannot read the size of the photo .*b\.jpg"):
        masks.regions(0)


def test_photos_are_not_matched_by_guess(tmp_path):
    folder = tmp_path / "photos"
    for name in ("val/a.png", "train/a.png", "c.jpg"):
        photo(folder / name, (1, 1))
    path = table(tmp_path, "a\tn1\t0\t0\t0\t0\nc\tn1\t0\t0\t0\t0\n")
    with pytest.raises(ConceptsError, match=r"sample 'a' fits 2 photos in .* \('train/a.png', 'val/a.png'\): name the"):
        boxes_as_masks(path, images=folder)
    path.write_text("val/a\tn1\t0\t0\t0\t0\ntest/c\tn1\t0\t0\t0\t0\n")
    assert boxes_as_masks(path, images=folder).sample_ids == ("val/a.png", "c.jpg")
    path.write_text("test/a\tn1\t0\t0\t0\t0\nc\tn1\t0\t0\t0\t0\n")
    with pytest.raises(ConceptsError, match=r"1 of 2 samples have no photo in .* \('test/a'; photos are 'c.jpg', "):
        boxes_as_masks(path, images=folder)
    path.write_text("c\tn1\t0\t0\t0\t0\nc.jpg\tn1\t0\t0\t0\t0\n")
    with pytest.raises(ConceptsError, match=r"the samples 'c' and 'c.jpg' both fit the photo 'c.jpg': keep one"):
        boxes_as_masks(path, images=folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(FileError, match="there are no photos in"):
        boxes_as_masks(path, images=tmp_path / "none")


@pytest.mark.skipif(not TINY.exists(), reason="the shared photos are not here")
def test_the_boxes_of_tiny_imagenet():
    masks = boxes_as_masks(TINY / "val_annotations.txt", images=TINY / "images", hierarchy="wordnet")
    assert masks.n_samples == 10_000
    assert masks.n_concepts == 348
    lines = (TINY / "val_annotations.txt").read_text().splitlines()
    for sample in range(0, 10_000, 501):
        name, _, *corners = lines[sample].split("\t")
        x0, y0, x1, y1 = map(int, corners)
        assert masks.sample_ids[sample] == name
        inside = np.zeros((64, 64), bool)
        inside[y0 : y1 + 1, x0 : x1 + 1] = True
        assert np.array_equal(pixels(masks, sample, "entity"), inside)


# Label maps


def png(path, values, mode=None, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(values, mode))
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


CLASSES = {1: "wall", 2: "sky", 300: "lamp"}


def test_only_images_are_opened_whatever_they_are_called(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(FileError, match=r"cannot read the label map '.*a.png' \(cannot identify image file"):
        label_maps_as_masks(tmp_path, CLASSES).regions(0)


def test_grey_and_palette_label_maps(tmp_path):
    folder = tmp_path / "maps"
    png(folder / "grey.png", [[1, 2]], np.uint8)
    png(folder / "deep/sixteen.png", [[300, 2], [1, 1]], np.uint16)
    png(folder / "deep/wide.tiff", [[300, 70000]], np.int32)
    png(folder / "palette.png", [[2, 1]], np.uint8, palette=[255, 0, 0, 9, 9, 9, 0, 255, 0])
    Image.fromarray(np.array([[True, True, True]])).save(folder / "one.png")
    (folder / "notes.txt").write_text("no map")
    masks = label_maps_as_masks(folder, {**CLASSES, 70000: "far"})
    assert masks.sample_ids == ("deep/sixteen.png", "deep/wide.tiff", "grey.png", "one.png", "palette.png")
    assert masks.names == ("wall", "sky", "lamp", "far")
    assert shown(masks, 0) == [["lamp", "sky"], ["wall", "wall"]]
    assert shown(masks, 1) == [["lamp", "far"]]
    assert shown(masks, 2) == [["wall", "sky"]]
    assert shown(masks, 3) == [["wall"] * 3]
    assert shown(masks, 4) == [["sky", "wall"]]
    assert masks.concepts()["lamp"].tolist() == [True, True, False, False, False]
    assert shown(pickle.loads(pickle.dumps(masks)), 2) == [["wall", "sky"]]


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_values_of_few_bits_are_not_scaled(tmp_path, bits):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = bytes([0, (1 << 8 - bits) | (2 << 8 - 2 * bits)])  # the values 1 and 2
    head = struct.pack(">IIBBBBB", 2, 1, bits, 0, 0, 0, 0)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert shown(label_maps_as_masks(tmp_path, CLASSES), 0) == [["wall", "sky"]]


def test_label_maps_are_read_one_by_one_and_errors_name_the_file(tmp_path):
    png(tmp_path / "a.png", [[1, 2]], np.uint8)
    png(tmp_path / "b.png", [[1, 9]], np.uint8)
    png(tmp_path / "c.png", [[[1, 2, 3]]], np.uint8)
    (tmp_path / "d.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    png(tmp_path / "e.tif", [[0.5]], np.float32)
    masks = label_maps_as_masks(tmp_path, CLASSES)
    assert masks.regions(0).counts.tolist() == [1, 1]
    with pytest.raises(ConceptsError, match=r"b.png: the label map has values without a class \(9 in 1 pixel\)"):
        masks.regions(1)
    with pytest.raises(
        FileError, match=r"c.png' must have one integer per pixel .* mode RGB; of ADE20K's files say so"
    ):
        masks.regions(2)
    with pytest.raises(FileError, match=r"cannot read the label map '.*d.png' \(.*\): repair or remove it"):
        masks.regions(3)
    with pytest.raises(FileError, match=r"e.tif' must have one integer per pixel .* mode F"):
        masks.regions(4)


@pytest.mark.parametrize(
    "text",
    [
        "value,name\n1,wall\n2,sky\n300,lamp\n",
        "name,id,colour\nwall,1,red\nsky,2,blue\nlamp,300,white\n",
        "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t.1\t5\t5\t1\twall\n2\t.1\t5\t5\t1\tsky\n300\t.1\t5\t5\t0\tlamp\n",
    ],
)
def test_tables_of_classes(tmp_path, text):
    png(tmp_path / "maps/a.png", [[1, 2]], np.uint8)
    masks = label_maps_as_masks(tmp_path / "maps", table(tmp_path, text, "classes.txt"), background=["lamp"])
    assert (masks.names, shown(masks, 0)) == (("wall", "sky"), [["wall", "sky"]])


def test_classes_that_cannot_be_used(tmp_path):
    png(tmp_path / "maps/a.png", [[1]], np.uint8)
    folder = tmp_path / "maps"
    with pytest.raises(OptionError, match="label maps need classes: a mapping from value to name, or a table"):
        label_maps_as_masks(folder)
    for text, message in (
        ("a,name\n1,x\n", "must have a column name and one of value, id, idx, index, number, but its columns are 'a'"),
        ("id,value,name\n1,1,x\n", "must have a column name and one of"),
        ("id,name\none,x\n", "line 2 of .* must have an integer and a name, not 'one' and 'x'"),
    ):
        with pytest.raises(FileError, match=message):
            label_maps_as_masks(folder, table(tmp_path, text, "c.csv"))
    with pytest.raises(ConceptsError, match=r"the value 1 has two names in .* \('x', 'y'\)"):
        label_maps_as_masks(folder, table(tmp_path, "id,name\n1,x\n1,y\n", "c.csv"))
    with pytest.raises(OptionError, match="coding must be 'index' or 'ade20k' or 'cityscapes', not 'rgb'"):
        label_maps_as_masks(folder, CLASSES, coding="rgb")
    with pytest.raises(OptionError, match="ending must be the end of the names"):
        label_maps_as_masks(folder, CLASSES, ending="")
    with pytest.raises(
        FileError, match=r"there are no label maps in .*: no file ends in '_seg.png'; name the end with"
    ):
        label_maps_as_masks(folder, CLASSES, coding="ade20k")
    with pytest.raises(FileError, match="there is no folder"):
        label_maps_as_masks(tmp_path / "gone", CLASSES)
    with pytest.raises(UnknownNameError, match="no class 'floor'"):
        label_maps_as_masks(folder, CLASSES, void=["floor"])


def test_cityscapes(tmp_path):
    labels = tmp_path / "gtFine/val"
    name = "aachen/aachen_000000_000019"
    png(labels / f"{name}_gtFine_labelIds.png", [[7, 24, 33], [0, 10, 30]], np.uint8)
    png(labels / f"{name}_gtFine_instanceIds.png", [[7, 24000, 33]], np.uint16)
    png(labels / f"{name}_gtFine_labelTrainIds.png", [[0, 1, 255], [255, 0, 0]], np.uint8)
    png(labels / f"{name}_gtFine_color.png", [[[1, 2, 3]]], np.uint8)
    photo(tmp_path / f"leftImg8bit/val/{name}_leftImg8bit.png", (2, 3))
    masks = label_maps_as_masks(labels, coding="cityscapes", images=tmp_path / "leftImg8bit")
    assert masks.sample_ids == (f"val/{name}_leftImg8bit.png",)
    assert masks.n_concepts == 19
    assert shown(masks, 0) == [["road", "person", "bicycle"], [None, None, None]]
    assert masks.categories["rider"] == "human"
    assert shown(masks.of_category("human"), 0) == [["", "person", ""], [None] * 3]
    own = label_maps_as_masks(labels, coding="cityscapes", void=[0], background=["trailer"])
    assert own.sample_ids == (f"{name}_gtFine_labelIds.png",)
    assert shown(own, 0) == [["road", "person", "bicycle"], [None, "rail track", ""]]
    some_background = label_maps_as_masks(labels, coding="cityscapes", background=["trailer", 10])
    assert shown(some_background, 0)[1] == [None, "", ""]
    train = label_maps_as_masks(labels, {0: "road", 1: "sidewalk"}, void=[255], ending="_gtFine_labelTrainIds.png")
    assert shown(train, 0) == [["road", "sidewalk", None], [None, "road", "road"]]
    png(labels / f"{name}_gtCoarse_labelIds.png", [[7]], np.uint8)
    with pytest.raises(ConceptsError, match=r"are label maps of one photo: name the end of the names of those to read"):
        label_maps_as_masks(labels, coding="cityscapes", images=tmp_path / "leftImg8bit")


def test_ade20k(tmp_path):
    folder = tmp_path / "ade/training/street"
    rgb = [[[10, 44, 7], [0, 0, 0], [19, 44, 9]], [[0, 1, 0]] * 3]
    png(folder / "ADE_train_00000001_seg.png", rgb, np.uint8)
    png(folder / "ADE_train_00000001_parts_1.png", [[[0, 5, 0]]], np.uint8)
    photo(folder / "ADE_train_00000001.jpg", (2, 3))
    classes = {300: "lamp", 1: "wall"}
    masks = label_maps_as_masks(tmp_path / "ade", classes, coding="ade20k", images=tmp_path / "ade")
    assert masks.sample_ids == ("training/street/ADE_train_00000001.jpg",)
    assert shown(masks, 0) == [["lamp", None, "lamp"], ["wall"] * 3]
    bare = label_maps_as_masks(tmp_path / "ade", classes, coding="ade20k", background=[0])
    assert shown(bare, 0)[0] == ["lamp", "", "lamp"]
    named = label_maps_as_masks(tmp_path / "ade", {**classes, 0: "other"}, coding="ade20k")
    assert shown(named, 0)[0] == ["lamp", "other", "lamp"]
    png(folder / "ADE_train_00000001_seg.png", [[1]], np.uint8)
    with pytest.raises(FileError, match=r"_seg.png' must have colours \(RGB\), but it is of Pillow's mode L$"):
        masks.regions(0)


def test_scene_parsing_label_maps_belong_to_photos_of_their_names(tmp_path):
    for number in (2, 1):
        png(tmp_path / f"annotations/ADE_val_0000000{number}.png", [[0, number]], np.uint8)
        photo(tmp_path / f"images/ADE_val_0000000{number}.jpg", (1, 2))
    photo(tmp_path / "images/ADE_val_00000003.jpg", (1, 2))
    masks = label_maps_as_masks(tmp_path / "annotations", CLASSES, void=[0], images=tmp_path / "images")
    assert masks.sample_ids == ("ADE_val_00000001.jpg", "ADE_val_00000002.jpg")
    assert [shown(masks, 0), shown(masks, 1)] == [[[None, "wall"]], [[None, "sky"]]]
    photo(tmp_path / "images/ADE_val_00000001.jpg", (2, 2))
    message = (
        r"ADE_val_00000001.png' has 1 × 2 pixels \(height × width\), but its photo 'ADE_val_00000001.jpg' has 2 × 2"
    )
    with pytest.raises(FileError, match=message):
        masks.regions(0)
    photo(tmp_path / "images/ADE_val_00000001.png", (2, 2))
    with pytest.raises(ConceptsError, match="the label map 'ADE_val_00000001' fits 2 photos"):
        label_maps_as_masks(tmp_path / "annotations", CLASSES, void=[0], images=tmp_path / "images")
    png(tmp_path / "annotations/x.png", [[1]], np.uint8)
    (tmp_path / "images/ADE_val_00000001.png").unlink()
    with pytest.raises(ConceptsError, match="1 of 3 label maps have no photo in"):
        label_maps_as_masks(tmp_path / "annotations", CLASSES, void=[0], images=tmp_path / "images")


# Broden


def broden(tmp_path, index=None, labels=None, coverage=True):
    folder = tmp_path / "broden"
    labels = labels or (
        "number,name,category,frequency,coverage,syns\n0,-,,0,0,\n1,red-c,color(2),2,1,\n"
        "2,wall,object(1);material(5),3,1,\n3,street,scene(2),2,2,\n260,brick,material(1);object(3),1,1,\n5,door,part(1),1,1,\n"
    )
    index = index or (
        "image,split,ih,iw,sh,sw,color,object,part,material,scene,texture\n"
        "ade/a.jpg,train,4,6,2,3,c/a_color.png,c/a_object.png,c/a_1.png;c/a_2.png,,3,\n"
        "dtd/b.jpg,val,4,4,1,2,c/b_color.png,,,,,3;260\n"
        "ade/c.jpg,val,4,4,1,2,,c/gone.png,,,,\n"
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    table(folder, index, "index.csv")
    table(folder, labels, "label.csv")
    if coverage:
        table(folder, "code,number,name,frequency,coverage\n1,2,wall,1,9.5\n", "c_object.csv")
        table(folder, "code,number,name,frequency,coverage\n1,2,wall,5,1.25\n2,260,brick,1,3\n", "c_material.csv")

    def coloured(name, labels_of):
        values = np.array(labels_of)
        png(folder / "images/c" / name, np.stack([values % 256, values // 256, 0 * values], -1), np.uint8)

    coloured("a_color.png", [[1, 1, 0], [0, 0, 0]])
    coloured("a_object.png", [[2, 260, 0], [2, 2, 2]])
    coloured("a_1.png", [[5, 0, 0], [0, 0, 0]])
    coloured("a_2.png", [[260, 0, 0], [0, 0, 5]])
    coloured("b_color.png", [[0, 1]])
    return folder


def test_broden(tmp_path):
    masks = broden_as_masks(broden(tmp_path))
    assert masks.names == ("red-c", "wall", "street", "brick", "door")
    assert masks.sample_ids == ("ade/a.jpg", "dtd/b.jpg", "ade/c.jpg")
    assert masks.categories == {
        "red-c": "color", "wall": "object", "street": "scene", "brick": "material", "door": "part",
    }  # fmt: skip
    assert shown(masks, 0) == [
        ["red-c+wall+street+brick+door", "red-c+street+brick", "street"],
        ["wall+street", "wall+street", "wall+street+door"],
    ]
    assert shown(masks, 1) == [["street+brick", "red-c+street+brick"]]
    assert shown(pickle.loads(pickle.dumps(masks)), 1) == shown(masks, 1)
    with pytest.raises(FileError, match=r"cannot read the label map '.*gone.png'"):
        masks.regions(2)


def test_a_category_of_broden_has_only_photos_labelled_for_it(tmp_path):
    masks = broden_as_masks(broden(tmp_path))
    assert masks.of_category("color").sample_ids == ("ade/a.jpg", "dtd/b.jpg")
    assert masks.of_category("object").sample_ids == ("ade/a.jpg", "ade/c.jpg")
    assert masks.of_category("scene").sample_ids == ("ade/a.jpg",)
    assert shown(masks.of_category("color"), 1) == [["", "red-c"]]
    assert shown(masks.of_category("part"), 0) == [["door", "", ""], ["", "", "door"]]
    concepts = masks.of_category("color").concepts()
    assert (concepts.names, concepts.sample_ids) == (("red-c",), ("ade/a.jpg", "dtd/b.jpg"))
    save_concepts(concepts, tmp_path / "c.parquet")
    assert open_concepts(tmp_path / "c.parquet")["red-c"].tolist() == [True, True]


def test_the_category_of_a_label_without_coverages_is_that_of_most_photos(tmp_path):
    masks = broden_as_masks(broden(tmp_path, coverage=False))
    assert (masks.categories["wall"], masks.categories["brick"]) == ("material", "object")


def test_labels_of_one_name_are_told_apart(tmp_path):
    labels = (
        "number,name,category\n1,red,color(1)\n2,wall,object(1)\n3,red,scene(1)\n260,brick,object(1)\n5,door,part(1)\n"
    )
    masks = broden_as_masks(broden(tmp_path, labels=labels))
    assert masks.names == ("red (1)", "wall", "red (3)", "brick", "door")
    assert masks.categories["red (3)"] == "scene"


def test_what_is_no_broden_is_refused(tmp_path):
    header = "image,split,ih,iw,sh,sw,color\n"
    for index, labels, message in (
        (
            "image,sh\na,1\n",
            None,
            r"index.csv' must have rows with the columns image, sh, sw, .* columns are 'image', 'sh'",
        ),
        (header, None, "columns are without rows"),
        (f"{header}a,train,1,1,1,x,\n", None, "line 2 of .*index.csv' must have an image and the height and width"),
        (f"{header}a,train,1,1,99999,99999,\n", None, "line 2 of .* has masks of more than 100,000,000 pixels"),
        (f"{header}a,train,1,1,{'9' * 9999},1,\n", None, "line 2 of .* must have an image and the height and"),
        (f"{header}a,train,1,1,1,1,../../x.png\n", None, "line 2 of .* names a label map outside of the folder images"),
        (f"{header}a,train,1,1,1,1,a.png;/x.png\n", None, "outside of the folder images: '/x.png'"),
        (f"{header}a,train,1,1,1,1,,,\n", None, "line 2 of .* has more cells than there are names of columns"),
        (None, "number,name\n1,a\n", "label.csv' must have rows with the columns number, name, category"),
        (None, "number,name,category\nx,a,color\n", "line 2 of .* must have the number and the name of a label"),
        (None, "number,name,category\n1,a,color\n1,b,color\n", "line 3 of .* has the number 1 once more"),
    ):
        with pytest.raises(FileError, match=message):
            broden_as_masks(broden(tmp_path, index, labels))
    with pytest.raises(FileError, match="there is no file"):
        broden_as_masks(tmp_path)
    folder = broden(tmp_path)
    table(folder, "number,coverage\n1,much\n", "c_object.csv")
    with pytest.raises(FileError, match=r"c_object.csv' must have numbers and coverages, not '1', 'much'"):
        broden_as_masks(folder)


def test_labels_and_sizes_that_do_not_fit_are_named(tmp_path):
    index = "image,split,ih,iw,sh,sw,color,scene\na,train,1,1,1,2,c/b_color.png,7\nb,train,1,1,2,2,c/b_color.png,\n"
    masks = broden_as_masks(broden(tmp_path, index))
    with pytest.raises(ConceptsError, match=r"the photo 'a' has the label 7, which is not in label.csv: add it there"):
        masks.regions(0)
    with pytest.raises(FileError, match=r"b_color.png' has 1 × 2 pixels .*, but index.csv says 2 × 2 for 'b'"):
        masks.regions(1)
    labels = "number,name,category\n2,wall,object\n"
    with pytest.raises(ConceptsError, match=r"b_color.png' has the label 1, which is not in label.csv"):
        broden_as_masks(broden(tmp_path, index.replace(",7\n", ",\n"), labels)).regions(0)


# Any of these


def test_the_form_is_found_from_the_path(tmp_path):
    instances = coco(tmp_path, {"segmentation": [SQUARE], "iscrowd": 1})
    assert open_masks(instances, crowd="no", size=None).concepts().counts.tolist() == [0, 0]
    boxes = table(tmp_path, "a\tn1\t0\t1\t1\t2\n")
    assert open_masks(str(boxes), size=(4, 4)).names == ("n1",)
    png(tmp_path / "maps/a.png", [[1]], np.uint8)
    assert open_masks(tmp_path / "maps", classes={1: "wall"}).names == ("wall",)
    assert open_masks(broden(tmp_path)).n_samples == 3
    with pytest.raises(
        OptionError, match=r"'crowd' is no option of a table of boxes, which .* is: its options are size"
    ):
        open_masks(boxes, size=(4, 4), crowd="no")
    with pytest.raises(
        OptionError, match=r"'void', 'size' are no options of Broden's folder, which .* is: it has none"
    ):
        open_masks(broden(tmp_path), void=[0], size=(1, 1))
    with pytest.raises(FileError, match="cannot read masks: there is no file or folder"):
        open_masks(tmp_path / "gone.json")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "x.npz"):
        table(tmp_path, "?", "x.npz")
        with pytest.raises(FileError, match=rf"cannot read masks from '.*{name}': it must be a COCO instances file"):
            open_masks(tmp_path / name)


def test_readers_warn_of_nothing_else(tmp_path):
    png(tmp_path / "maps/a.png", [[1]], np.uint8)
    (tmp_path / "maps/readme.md").write_text("of the maps")
    photo(tmp_path / "photos/a.jpg", (1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_masks(tmp_path / "maps", classes={1: "wall"}, images=tmp_path / "photos").sample_ids == ("a.jpg",)


def _tiff(path, bits, photometric, data):
    """A grey TIFF of one strip, 8 × 1 pixels."""
    tags = {256: 8, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 278: 1, 279: len(data)}
    offset = 8 + len(data)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    whole = struct.pack("<2sHI", b"II", 42, offset) + data + struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("bits", "photometric", "data", "fine"),
    [
        (8, 1, bytes(range(8)), True),
        (1, 1, bytes([0b01010101]), True),
        (4, 1, bytes([0x01, 0x23, 0x45, 0x67]), False),
        (8, 0, bytes(range(8)), False),
    ],
)
def test_grey_tiffs_are_read_as_stored_or_refused(tmp_path, bits, photometric, data, fine):
    _tiff(tmp_path / "a.tif", bits, photometric, data)
    masks = label_maps_as_masks(tmp_path, {value: f"v{value}" for value in range(256)})
    if not fine:
        with pytest.raises(FileError, match="a grey TIFF of 2 or 4 bits, or with white as 0"):
            masks.regions(0)
        return
    regions = masks.regions(0)
    values = [masks.names[regions.concepts[number][0]] for number in regions.numbers[0].tolist()]
    assert values == [f"v{value % 2 if bits == 1 else value}" for value in range(8)]
