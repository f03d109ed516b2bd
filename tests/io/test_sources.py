import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuronym import ConceptsError, FileError, Hierarchy, OptionError, UnknownNameError, open_concepts
from neuronym._util.extras import EXTRAS, need
from neuronym.io import (
    from_annotations,
    from_attributes,
    from_coco,
    from_dataset,
    from_imagefolder,
    from_regex,
    from_table,
    open_attributes,
)


@pytest.fixture
def photos(tmp_path):
    for name in ("dog/a.JPG", "dog/deeper/b.png", "cat/a.jpg", "cat/notes.txt", "loose.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "photos"


def test_a_subfolder_is_a_class(photos):
    with pytest.warns(UserWarning, match="left out") as raised:
        concepts = from_imagefolder(photos)
    left_out = f"left out of {str(photos)!r}: 1 non-image file ('cat/notes.txt'), 1 unclassified image ('loose.jpg')"
    assert [str(one.message) for one in raised] == [left_out]
    assert concepts.sample_ids == ("cat/a.jpg", "dog/a.JPG", "dog/deeper/b.png")
    assert concepts["dog"].tolist() == [False, True, True]
    assert concepts["cat"].tolist() == [True, False, False]
    with pytest.warns(UserWarning, match=r"left out of .*: 1 empty class folder \('dog'\)$"):
        assert from_imagefolder(photos, endings=[".TXT"]).sample_ids == ("cat/notes.txt",)


def test_a_folder_without_classes_is_refused(photos, tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        from_imagefolder(tmp_path / "gone")
    with pytest.raises(ConceptsError, match=r"no subfolders with images but 1 unclassified image \('b.png'\): make"):
        from_imagefolder(photos / "dog" / "deeper")


def test_lines_of_annotations(tmp_path):
    path = tmp_path / "val.txt"
    path.write_text("b.JPEG\tn2\t0\t1\na.JPEG\tn1\t3\t4\n")
    concepts = from_annotations(path)
    assert concepts.sample_ids == ("b.JPEG", "a.JPEG")
    assert concepts["n1"].tolist() == [False, True]
    path.write_text("b.JPEG\tn2\na.JPEG\n")
    with pytest.raises(FileError, match="1 line such as line 2 have fewer columns"):
        from_annotations(path)
    path.write_text("a\tn1\na\tn2\n")
    with pytest.raises(ConceptsError, match=r"have several lines, such as 'a': .* sample,concept"):
        from_annotations(path)


def test_attributes_become_a_concept_for_each_value(tmp_path):
    frame = pd.DataFrame({"sample": ["x", "y", "z"], "colour": ["red", "blue", None], "size": ["01", "2", "2"]})
    for concepts in (from_attributes(frame), *(saved(frame, tmp_path / f"t.{kind}") for kind in ("csv", "parquet"))):
        assert concepts.sample_ids == ("x", "y", "z")
        assert concepts.names == ("colour=blue", "colour=red", "size=01", "size=2")
        assert concepts.to_dense().astype(int).tolist() == [[0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]]
    assert from_attributes(frame.drop(columns="sample")).sample_ids is None


def saved(frame, path):
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path, index=False)
    return open_attributes(path)


COCO = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}, {"id": 1, "file_name": "c.jpg"}],
    "categories": [
        {"id": 1, "name": "dog", "supercategory": "animal"},
        {"id": 5, "name": "cat", "supercategory": "animal"},
        {"id": 6, "name": "cup"},
    ],
    "annotations": [
        {"image_id": 7, "category_id": 1},
        {"image_id": 7, "category_id": 1},
        {"image_id": 7, "category_id": 6},
        {"image_id": 9, "category_id": 5},
    ],
}


def test_coco_instances(tmp_path):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(COCO))
    concepts = from_coco(path)
    assert concepts.sample_ids == ("a.jpg", "b.jpg", "c.jpg")
    assert concepts.names == ("animal", "cat", "cup", "dog")
    assert concepts.to_dense().astype(int).tolist() == [[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert from_coco(path, supercategories=False).names == ("cat", "cup", "dog")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read COCO annotations"),
        ("[]", "is not a COCO instances file"),
        ('{"images": []}', "is not a COCO instances file"),
        (
            json.dumps({**COCO, "categories": []}),
            r"is not a COCO instances file.*no entry of categories for category_id 1 of 2 annotations, ",
        ),
        (
            json.dumps({**COCO, "annotations": [{"image_id": 7, "caption": "a dog"}]}),
            "but its annotations are captions: use the instances file",
        ),
        (
            json.dumps({"images": COCO["images"], "categories": COCO["categories"]}),
            "it lists images without annotations",
        ),
        (json.dumps({**COCO, "annotations": []}), "its list of annotations is empty"),
        (
            json.dumps({**COCO, "annotations": [{"image_id": "007", "category_id": 1}]}),
            r"none of its 1 annotation refers to an image that is listed \(image_id '007'; images '7', '9', '1'\)",
        ),
        (json.dumps({**COCO, "annotations": [{"image_id": 7, "segments_info": [{}]}]}), "segments has no category_id"),
        (json.dumps({**COCO, "images": [{"id": 7, "file_name": None}]}), "one of its images has no file_name"),
    ],
)
def test_what_is_no_coco_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(FileError, match=message):
        from_coco(tmp_path / "x.json")


def coco(path, **changes):
    path.write_text(json.dumps({**COCO, **changes}))
    return path


def test_coco_images_of_one_name_are_never_merged(tmp_path):
    same = [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "a.jpg"}, {"id": 1, "file_name": "c.jpg"}]
    message = (
        r"2 of 3 images of .* share their file_name with another \('a\.jpg': ids 7, 9\): .* put each image's folder"
    )
    with pytest.raises(ConceptsError, match=message):
        from_coco(coco(tmp_path / "x.json", images=same))
    many = [{"id": i, "file_name": f"{i % 5}.jpg"} for i in range(10)]
    with pytest.raises(ConceptsError, match=r"10 of 10 images .*\('0\.jpg': ids 0, 5; .*; and 2 other names\)"):
        from_coco(coco(tmp_path / "x.json", images=many))
    alike = [{**one, "coco_url": "http://x.org/train/a.jpg"} for one in same]
    with pytest.raises(ConceptsError, match="2 of 3 images"):
        from_coco(coco(tmp_path / "x.json", images=alike))


@pytest.mark.parametrize(
    ("key", "places", "ids"),
    [
        ("coco_url", ["http://x.org/v/train/a.jpg", "http://x.org/v/val/a.jpg", "http://x.org/v/val/c%20d.jpg?k=1"],
         ("train/a.jpg", "val/a.jpg", "val/c d.jpg")),
        ("coco_url", ["http://x.org/1/img/a.jpg", "http://x.org/2/img/a.jpg", "http://x.org/c.jpg"],
         ("1/img/a.jpg", "2/img/a.jpg", "c.jpg")),
        ("path", ["/data/cam1/a.jpg", "/data/cam2/a.jpg", "/data/cam2/c.jpg"],
         ("cam1/a.jpg", "cam2/a.jpg", "cam2/c.jpg")),
        ("path", ["D:\\cam1\\a.jpg", "D:\\cam2\\a.jpg", "D:\\cam2\\c.jpg"],
         ("cam1/a.jpg", "cam2/a.jpg", "cam2/c.jpg")),
        ("file_name", ["cam1/a.jpg", "cam2/a.jpg", "cam2/c.jpg"], ("cam1/a.jpg", "cam2/a.jpg", "cam2/c.jpg")),
    ],
)  # fmt: skip
def test_a_folder_tells_coco_images_of_one_name_apart(tmp_path, key, places, ids):
    images = [{"id": i, key: place} for i, place in zip((7, 9, 1), places, strict=True)]
    concepts = from_coco(coco(tmp_path / "x.json", images=images))
    assert concepts.sample_ids == ids
    assert concepts["dog"].tolist() == [True, False, False]
    named = [{"file_name": "a.jpg", **one} for one in images[:2]] + [{"file_name": "other.jpg", **images[2]}]
    if key != "file_name":
        assert from_coco(coco(tmp_path / "x.json", images=named)).sample_ids[2].endswith("other.jpg")


def test_coco_entries_that_contradict_each_other_are_refused(tmp_path):
    path = tmp_path / "x.json"
    first, other = COCO["images"], COCO["categories"]
    assert from_coco(coco(path, images=[*first, first[0]], categories=[*other, other[0]])).n_samples == 3
    with pytest.raises(ConceptsError, match=r"two entries of images with the id 7 \('a.jpg', 'd.jpg'\)"):
        from_coco(coco(path, images=[*first, {"id": "7", "file_name": "d.jpg"}]))
    with pytest.raises(ConceptsError, match=r"two entries of categories with the id 1 \('dog', 'cow'\)"):
        from_coco(coco(path, categories=[*other, {"id": 1, "name": "cow", "supercategory": "animal"}]))
    crane = [{"id": i, "name": "crane", "supercategory": s} for i, s in ((1, "bird"), (5, "vehicle"))]
    with pytest.raises(ConceptsError, match=r"2 categories called 'crane' \(ids 1, 5\) with .* 'bird', 'vehicle'"):
        from_coco(coco(path, categories=[*crane, other[2]]))
    birds = [{**one, "supercategory": "bird"} for one in crane]
    assert from_coco(coco(path, categories=[*birds, other[2]]))["crane"].tolist() == [True, True, False]
    dummy = {"id": 0, "name": "dog", "supercategory": "none"}  # Roboflow names it after the project
    assert from_coco(coco(path, categories=[dummy, *other])).names == ("animal", "cat", "cup", "dog")


def test_coco_annotations_of_images_that_are_not_listed_are_ignored(tmp_path):
    path = coco(tmp_path / "x.json", images=COCO["images"][1:])
    with pytest.warns(UserWarning, match="3 of 4 annotations of .* refer to 1 image .*image_id 7.* ignored") as warned:
        concepts = from_coco(path)
    assert len(warned) == 1
    assert (concepts.sample_ids, concepts.names) == (("b.jpg", "c.jpg"), ("animal", "cat"))


@pytest.mark.parametrize("spelt", [str, float, int])
def test_coco_ids_may_be_texts_or_numbers(tmp_path, spelt):
    annotations = [{key: spelt(value) for key, value in one.items()} for one in COCO["annotations"]]
    concepts = from_coco(coco(tmp_path / "x.json", annotations=annotations))
    assert concepts.to_dense().astype(int).tolist() == [[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_kin_of_coco_instances(tmp_path):
    path = tmp_path / "x.json"
    segments = [{"id": 3, "category_id": 1}, {"id": 4, "category_id": 6}]
    panoptic = [{"image_id": 7, "file_name": "a.png", "segments_info": segments}, {"image_id": 9, "segments_info": []}]
    assert from_coco(coco(path, annotations=panoptic)).to_frame().loc["a.jpg"].all()
    keypoints = [{"image_id": 7, "category_id": 1, "keypoints": [1.5, 2, 2], "num_keypoints": 1, "bbox": [0.5] * 4}]
    assert from_coco(coco(path, annotations=keypoints))["dog"].tolist() == [True, False, False]
    nothing_above = [{**one, "supercategory": "none"} for one in COCO["categories"]]
    assert from_coco(coco(path, categories=nothing_above)).names == ("cat", "cup", "dog")
    lvis = [{"id": i, "coco_url": f"http://x.org/{n}.jpg", "neg_category_ids": []} for i, n in ((7, "a"), (9, "b"))]
    with pytest.warns(UserWarning, match="in 2 of 2 images of .*, only some categories were verified") as warned:
        assert from_coco(coco(path, images=lvis)).sample_ids == ("a.jpg", "b.jpg")
    assert len(warned) == 1


def test_the_command_from_a_folder_to_concepts(photos, tmp_path, command):
    out = tmp_path / "c.parquet"
    code, printed, err = command("concepts", "imagefolder", photos, "--out", out)
    assert (code, err.count("\n"), err.startswith("neuronym: left out of")) == (0, 1, True)
    assert printed.splitlines() == [
        "3 samples × 2 concepts, 1.0 concepts a sample, 2 distinct rows",
        "       2  dog",
        "       1  cat",
        f"saved in {out}",
    ]
    assert open_concepts(out).names == ("cat", "dog")
    code, _, err = command("concepts", "imagefolder", photos, "--out", out)
    assert code == 2
    assert "exists: choose another name" in err


def test_the_command_adds_what_lies_above(tmp_path, command):
    (tmp_path / "val.txt").write_text("a\tn01443537\nb\tn02012849\nc\tn03126707\n")
    out = tmp_path / "c.parquet"
    code, printed, _ = command("concepts", "annotations", tmp_path / "val.txt", "--wordnet", "--out", out)
    assert code == 0
    names = open_concepts(out).names
    assert names[:3] == ("goldfish", "crane (wading_bird)", "crane (lifting_device)")
    assert "vertebrate" in names
    assert "equal: entity = " in printed
    assert open_concepts(out).descriptions["goldfish"] == "n01443537"
    command("concepts", "annotations", tmp_path / "val.txt", "--wordnet", "--ids", "--out", out, "--overwrite")
    assert "n01443537" in open_concepts(out).names


def test_the_command_with_a_table_as_hierarchy(tmp_path, command):
    (tmp_path / "c.csv").write_text("pug,cat,cup\n1,0,0\n0,1,0\n0,0,1\n")
    (tmp_path / "above.csv").write_text("child,parent\npug,animal\ncat,animal\n")
    asked = ["--hierarchy", tmp_path / "above.csv", "--out", tmp_path / "c.parquet"]
    code, _, err = command("concepts", "table", tmp_path / "c.csv", *asked)
    assert (code, err.count("\n")) == (0, 1)
    assert "the hierarchy lacks 1 of 3 concepts ('cup'): nothing is added above them" in err
    assert open_concepts(tmp_path / "c.parquet").names == ("pug", "cat", "cup", "animal")
    (tmp_path / "other.csv").write_text("child,parent\nx,y\n")
    asked = ["--hierarchy", tmp_path / "other.csv", "--out", tmp_path / "d.parquet"]
    code, _, err = command("concepts", "table", tmp_path / "c.csv", *asked)
    assert (code, err) == (
        2,
        "neuronym: the hierarchy contains none of the concepts, such as 'pug': use the same names or ids; its own "
        "names are like 'x'\n",
    )
    code, _, err = command("concepts", "table", tmp_path / "c.csv", "--wordnet", *asked)
    assert (code, err) == (2, "neuronym: give only one of --wordnet and --hierarchy\n")


def test_the_command_with_attributes_scores_and_coco(tmp_path, command):
    out = tmp_path / "c.parquet"
    (tmp_path / "t.csv").write_text("sample,colour\nx,red\ny,blue\n")
    assert command("concepts", "table", tmp_path / "t.csv", "--attributes", "--out", out)[0] == 0
    assert open_concepts(out).names == ("colour=blue", "colour=red")
    (tmp_path / "s.csv").write_text("sample,dog,cat\nx,0.9,0.1\ny,0.2,0.8\n")
    again = ["--out", out, "--overwrite"]
    assert command("concepts", "scores", tmp_path / "s.csv", "--threshold", "0.5", *again)[0] == 0
    assert open_concepts(out).to_dense().tolist() == [[True, False], [False, True]]
    assert open_concepts(out).origin["rule"] == "threshold"
    code, _, err = command("concepts", "scores", tmp_path / "s.csv", *again)
    assert (code, err) == (2, "neuronym: give exactly one of threshold, quantile and prevalence, not none\n")
    (tmp_path / "i.json").write_text(json.dumps(COCO))
    assert command("concepts", "coco", tmp_path / "i.json", "--min-count", "2", *again)[0] == 0
    assert open_concepts(out).names == ("animal",)


def test_the_command_shows_concepts(tmp_path, command):
    names = [f"c{c}" for c in range(12)]
    pd.DataFrame(np.triu(np.ones((12, 12), int)), columns=names).to_csv(tmp_path / "c.csv", index=False)
    code, printed, _ = command("concepts", "show", tmp_path / "c.csv")
    assert code == 0
    assert printed.splitlines()[0] == "12 samples × 12 concepts, 6.5 concepts a sample, 12 distinct rows"
    assert printed.splitlines()[1] == "      12  c11"
    assert printed.splitlines()[-1] == "          and 2 other concepts of 1 to 2 samples"


@pytest.fixture
def dataset():
    import datasets

    classes = datasets.ClassLabel(names=["cat", "dog"])
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "animal": classes,
            "seen": datasets.Sequence(datasets.ClassLabel(names=["sky", "grass", "cat"])),
            "tags": datasets.Sequence(datasets.Value("string")),
            "happy": datasets.Value("bool"),
            "size": datasets.Value("int64"),
        }
    )
    rows = {
        "id": ["x", "y", "z"],
        "animal": [1, -1, 0],
        "seen": [[0, 1], [], [1, 2]],
        "tags": [["odd"], ["even", "odd"], []],
        "happy": [True, None, False],
        "size": [1, 2, 3],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def test_columns_of_a_dataset_of_hugging_face(dataset):
    animals = from_dataset(dataset, "animal", sample_ids="id")
    assert animals.sample_ids == ("x", "y", "z")
    assert animals.to_frame().to_dict("list") == {"cat": [False, False, True], "dog": [True, False, False]}
    assert from_dataset(dataset, ["seen"])["grass"].tolist() == [True, False, True]
    several = from_dataset(dataset.with_format("numpy"), ["animal", "seen", "tags", "happy"], sample_ids=range(3))
    names = ("animal=cat", "animal=dog", "happy", "seen=cat", "seen=grass", "seen=sky", "tags=even", "tags=odd")
    assert several.names == names
    assert several["happy"].tolist() == [True, False, False]
    assert several["tags=odd"].tolist() == [True, True, False]
    with pytest.raises(UnknownNameError, match="no column 'animals'; near it: 'animal'"):
        from_dataset(dataset, "animals")
    with pytest.raises(UnknownNameError, match="no column 'ids'"):
        from_dataset(dataset, "animal", sample_ids="ids")
    assert from_dataset(dataset, ["size"]).names == ("size=1", "size=2", "size=3")
    with pytest.raises(ConceptsError, match="columns is empty"):
        from_dataset(dataset, [])


def column(values, feature=None):
    import datasets

    features = None if feature is None else datasets.Features({"x": feature})
    return datasets.Dataset.from_dict({"x": values}, features=features)


@pytest.mark.parametrize(
    ("values", "names", "rows"),
    [
        ([0, 1, None, 1], ["x"], [[0], [1], [0], [1]]),
        ([0.0, 1.0, float("nan")], ["x"], [[0], [1], [0]]),
        ([[0], [1]], ["x"], [[0], [1]]),
        ([[0, 1, 1], [1, 0, None], None], ["x_0", "x_1", "x_2"], [[0, 1, 1], [1, 0, 0], [0, 0, 0]]),
        ([[True, False], [True, True]], ["x_0", "x_1"], [[1, 0], [1, 1]]),
        ([[0.0, 1.0], [1.0, 0.0]], ["x_0", "x_1"], [[0, 1], [1, 0]]),
        ([[1, 0, 1], []], ["x_0", "x_2"], [[1, 1], [0, 0]]),
        ([[True], [False, True], [False]], ["x"], [[1], [1], [0]]),
        ([3, 0, -1, None], ["x=0", "x=3"], [[0, 1], [1, 0], [0, 0], [0, 0]]),
        ([3.0, None, 0.0], ["x=0", "x=3"], [[0, 1], [0, 0], [1, 0]]),
        ([[0, 1], [], [1]], ["x=0", "x=1"], [[1, 1], [0, 0], [0, 1]]),
        ([[5, 7, -1], [7, -1, -1]], ["x=5", "x=7"], [[1, 1], [0, 1]]),
        (["cat", "", " ", None], ["cat"], [[1], [0], [0], [0]]),
        ([["cat", ""], ["\t"]], ["cat"], [[1], [0]]),
        (["3", "07"], ["x=07", "x=3"], [[0, 1], [1, 0]]),
    ],
)
def test_values_of_a_dataset_become_concepts(values, names, rows):
    given = column(values)
    streamed = given.to_iterable_dataset()
    unknown_types = streamed.map(lambda row: row)
    assert unknown_types.features is None
    for one in (given, given.with_format("torch"), streamed, unknown_types):
        concepts = from_dataset(one, "x")
        assert list(concepts.names) == names
        assert concepts.to_dense().astype(int).tolist() == rows


def test_lists_of_classes_of_a_dataset_are_indices_or_multi_hot():
    import datasets

    three = datasets.Sequence(datasets.ClassLabel(names=["a", "b", "c"]))
    two = datasets.Sequence(datasets.ClassLabel(names=["a", "b"]))
    assert from_dataset(column([[1, 0, 1], [0, 0, 0]], three), "x").names == ("a", "c")
    assert from_dataset(column([[0, 1], [1, 0]], three), "x").names == ("a", "b")
    assert from_dataset(column([[0, 1], [1, 0]], two), "x").to_dense().all()
    assert from_dataset(column([2, 0], datasets.ClassLabel(num_classes=3)), "x").names == ("x=0", "x=2")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5, 1.0], r"holds numbers such as 0\.5, which are neither yes nor no: .* Concepts\.from_scores"),
        ([[0.5, 1.0], [0.0, 0.2]], r"numbers such as 0\.5"),
        ([0, 1, -1, -1], "holds 0 or 1, but also 2 values of -1: replace -1 with 0 if it means no"),
        ([1, -1], "but also 1 value of -1"),
        ([[1.0, -1.0], [0.0, 1.0]], "but also 1 value of -1"),
        ([4, -2], "negative numbers such as -2"),
        ([{"a": 1, "b": 2}], r"holds objects with 'a', 'b': use dataset\.flatten\(\).* such as 'x\.a'"),
        ([{"a": [1]}], r"dataset\.flatten\(\)"),
        ([[{"a": 1}]], r"dataset\.map\(lambda row: \{'a': \[one\['a'\] for one in row\['x'\]\]\}\)"),
        ([[[0, 1]]], "it must hold classes, texts, bool"),
        ([b"1"], "it must hold classes, texts, bool"),
    ],
)
def test_values_of_a_dataset_that_are_no_concepts_are_refused(values, message):
    given = column(values)
    for one in (given, given.to_iterable_dataset().map(lambda row: row)):
        with pytest.raises(ConceptsError, match=f"the column 'x' .*{message}"):
            from_dataset(one, "x")


def test_what_is_not_one_split_of_a_dataset_is_refused():
    import datasets

    one = column([0, 1])
    many = {"train": one, "test": one}
    streamed = {name: split.to_iterable_dataset() for name, split in many.items()}
    for splits in (datasets.DatasetDict(many), datasets.IterableDatasetDict(streamed)):
        with pytest.raises(ConceptsError, match=r"has 2 splits \('train', 'test'\): choose one, as dataset\['train'\]"):
            from_dataset(splits, "x")
    for other in ([one, one], pd.DataFrame({"x": [0, 1]}), "name", {"x": [0, 1]}):
        with pytest.raises(
            ConceptsError, match=r"dataset must be a datasets\.Dataset .* not (list|DataFrame|str|dict)"
        ):
            from_dataset(other, "x")


def test_a_streamed_dataset_is_read_once():
    import datasets

    reads = []

    def rows():
        reads.append(1)
        yield {"id": "p", "x": np.array([0, 1]), "y": np.int64(3), "z": True}
        yield {"id": "q", "x": np.array([1, 1]), "y": None, "z": False}

    streamed = datasets.IterableDataset.from_generator(rows)
    concepts = from_dataset(streamed, ["x", "y", "z"], sample_ids="id")
    assert len(reads) == 1
    assert concepts.sample_ids == ("p", "q")
    assert concepts.to_frame().astype(int).to_dict("list") == {"x_0": [0, 1], "x_1": [1, 1], "y=3": [1, 0], "z": [1, 0]}
    with pytest.raises(UnknownNameError, match="no column 'w'"):
        from_dataset(streamed, "w")


def test_columns_of_a_dataset_that_give_one_concept_are_refused():
    import datasets

    given = datasets.Dataset.from_dict({"x": [[0, 1], [1, 1]], "x_1": [0, 1]})
    with pytest.raises(ConceptsError, match="two columns give the concept 'x_1': rename the column 'x_1'"):
        from_dataset(given, ["x", "x_1"])
    assert from_dataset(given, ["x_1", "x_1"]).names == ("x_1",)


def test_patterns_are_found_in_texts():
    found = from_regex(["one 1", "2", ""], {"digit": r"\d", "word": r"^\w+$"}, sample_ids="abc")
    assert found["digit"].tolist() == [True, True, False]
    assert found["word"].tolist() == [False, True, False]
    assert found.sample_ids == ("a", "b", "c")
    assert from_regex([], {"a": "b"}).n_samples == 0
    with pytest.raises(OptionError, match=r"the pattern of 'a' is not a valid regular expression: '\(\[' \("):
        from_regex(["x"], {"a": "(["})


def test_concepts_are_finished_in_one_go(tmp_path):
    for name in ("n02084071/a.png", "n02084071/b.png", "n02121808/c.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"")
    found = from_imagefolder(
        tmp_path / "photos", hierarchy="wordnet", min_classes=1, min_count=2, out=tmp_path / "c.parquet"
    )
    whole = from_imagefolder(tmp_path / "photos").expand(Hierarchy.imagenet(), min_concepts=1).prune(2)
    expected = whole.rename(Hierarchy.imagenet().readable(whole.names))
    for one in (found, open_concepts(tmp_path / "c.parquet")):
        assert (one.names, one.sample_ids) == (expected.names, expected.sample_ids)
        assert (one.to_dense() == expected.to_dense()).all()
    assert "dog" in found.names
    with pytest.raises(FileError, match="exists"):
        from_imagefolder(tmp_path / "nowhere", out=tmp_path / "c.parquet")  # before anything is read


def folders(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "a.png").write_bytes(b"")
    return root


def test_classes_that_a_hierarchy_lacks_are_named(tmp_path):
    lacking = "lacks 2 of 4 concepts \\('n01887787'; 'n99999999'\\): nothing is added above them"
    ids = ["n02099601", "n02123045", "n01887787", "n99999999"]
    (tmp_path / "val.txt").write_text("".join(f"{i}.jpg\t{name}\n" for i, name in enumerate(ids)))
    pd.DataFrame(np.eye(4, dtype=int), columns=ids).to_csv(tmp_path / "t.csv", index=False)
    ways = [
        lambda: from_imagefolder(folders(tmp_path / "photos", *ids), hierarchy="wordnet"),
        lambda: from_annotations(tmp_path / "val.txt", hierarchy="wordnet"),
        lambda: from_table(tmp_path / "t.csv", hierarchy="wordnet"),
    ]
    for way in ways:
        with pytest.warns(UserWarning, match=lacking) as warned:
            assert way()["animal"].sum() == 2
        assert len(warned) == 1


def test_folders_of_readable_names_are_told_the_ids(tmp_path):
    with pytest.raises(OptionError, match="none of the concepts, such as 'golden_retriever', which it calls 'n0209960"):
        from_imagefolder(folders(tmp_path / "a", "golden_retriever", "thing x"), hierarchy="wordnet")
    names = ("n02123045", "n02099601-Golden retriever", "Tabby", "tench, Tinca tinca", "N02099712", "odd")
    with pytest.warns(UserWarning, match="lacks 5 of 6 concepts .*which it calls 'n02099712'.*; and 2 more") as warned:
        from_imagefolder(folders(tmp_path / "b", *names), hierarchy="wordnet")
    assert "its own names are like 'n01440764' (tench)" in str(warned[0].message)


def test_no_concepts_are_not_looked_up(tmp_path):
    (tmp_path / "t.csv").write_text("sample,concept\nx,\n")
    with pytest.raises(OptionError, match="there are no concepts to look up in the hierarchy"):
        from_table(tmp_path / "t.csv", hierarchy="wordnet")


def test_an_extra_is_named_with_what_works_from_a_clone(monkeypatch):
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) <= set(extras["optional-dependencies"])
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(OptionError) as raised:
        need("a report", "report")
    assert str(raised.value) == (
        "a report needs jinja2: pip install 'neuronym[report]', or, from a clone, pip install '.[report]'"
    )
