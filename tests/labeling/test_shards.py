import itertools
import json

import numpy as np
import pytest

from neuronym import Concepts, FileError, Labels, OptionError, label, merge
from neuronym._util.shards import Shard, as_shard
from neuronym.io import LayerWriter

N = 600


@pytest.fixture(scope="module")
def data():
    """Two layers: plain neurons, some of them real, constant ones, neurons with zeros, and neurons of few values."""
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 6)) < 0.3
    plain = rng.normal(size=(N, 13)).astype(np.float32)
    plain[:, :3] += 2 * concepts[:, :3]
    plain[:, 5] = 1
    odd = np.maximum(rng.normal(size=(N, 12)), 0).astype(np.float32)
    odd[:, 7:] = rng.random((N, 5)).round(1) > 0.4  # binary ones, two of which have equally many samples
    odd[:, 9] = rng.permutation(odd[:, 8])
    return {"plain": plain, "odd": odd}, Concepts.from_array(concepts)


OPTIONS = {
    "alone": {},
    "both": {"direction": "both", "length": 2, "neurons": slice(1, 11)},
    "beam": {"search": "beam", "min_fraction": 0.05},
    "iou": {"score": "iou", "quantile": 0.9},
    "permutations": {"permutations": 199, "seed": 3, "holdout": 0.5},
    "automatic": {"permutations": "auto", "length": 2},
    "automatic and held out": {"permutations": "auto", "length": 2, "holdout": 0.5},
    "tail": {"permutations": 199, "tail": True},
    "folds": {"folds": 3, "stability": 10},
    "effects": {"effects": True},
    "clusters": {"clusters": np.arange(N) // 3, "permutations": 199, "holdout": 0.5},
    "strata": {"strata": np.arange(N) % 2, "permutations": 199, "holdout": 0.5},
}


@pytest.mark.filterwarnings("ignore:the p_search of", "ignore:the formula of", "ignore:samples")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("of", [3, 8])
def test_merged_shards_are_the_labels_of_one_run(data, options, of, tmp_path):
    expected = label(*data, **options)
    parts = [label(*data, **options, shard=(number, of)) for number in range(1, of + 1)]
    assert sum(map(len, parts)) == len(expected)
    assert max(map(len, parts)) - min(map(len, parts)) <= 2 * len({one.direction for one in expected})
    assert merge(reversed(parts)) == expected
    for number, part in enumerate(parts):
        part.save(tmp_path / f"{number}.json")
    merged = merge(tmp_path / f"{number}.json" for number in range(of))
    merged.save(tmp_path / "merged.csv")
    expected.save(tmp_path / "expected.csv")
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()


def test_there_may_be_more_shards_than_neurons(data):
    layers, concepts = data
    parts = [label(layers["plain"][:, :3], concepts, permutations=39, shard=(k, 5)) for k in range(1, 6)]
    assert sorted(map(len, parts)) == [0, 0, 1, 1, 1]
    assert merge(parts) == label(layers["plain"][:, :3], concepts, permutations=39)


def test_a_cut_of_automatic_permutations_is_the_same_in_every_shard(data, monkeypatch):
    monkeypatch.setattr("neuronym.labeling.evidence._AUTO_OPERATIONS", 4_000_000)
    with pytest.warns(UserWarning, match=r"searches [\d,]+ permutations instead of 9,999"):
        expected = label(*data, permutations="auto", length=2)
    with pytest.warns(UserWarning, match="instead of 9,999"):
        parts = [label(*data, permutations="auto", length=2, shard=(k, 8)) for k in range(1, 9)]
    assert 999 < expected["plain", 0].permutations < 9999
    assert merge(parts) == expected


def test_a_part_comes_back_from_its_file(data, tmp_path):
    part = label(*data, holdout=0.5, permutations=39, shard="2/3")
    part.save(tmp_path / "2.json")
    opened = Labels.open(tmp_path / "2.json")
    assert opened == part
    assert json.loads((tmp_path / "2.json").read_text()).keys() == {"labels", "part"}
    assert (opened.part.number, opened.part.of, opened.part.run) == (2, 3, part.part.run)
    for name in ("places", "rows", "clustered"):
        assert np.array_equal(getattr(opened.part, name), getattr(part.part, name), equal_nan=name == "rows")
    assert opened.head(2).part is None
    with pytest.raises(FileError, match=r"cannot save a part of a run as '.*2.csv': name a file .json"):
        part.save(tmp_path / "2.csv")


def test_parts_that_do_not_fit_are_refused(data, tmp_path):
    layers, concepts = data
    one, two, three = (label(*data, shard=(k, 3)) for k in (1, 2, 3))
    with pytest.raises(OptionError, match="part 2 of 3 is missing"):
        merge([one, three])
    with pytest.raises(OptionError, match=r"2 parts \(1, 3\) of 3 are missing"):
        merge([two])
    with pytest.raises(OptionError, match="there are no parts"):
        merge([])
    with pytest.raises(OptionError, match="part 2 of 3 is given twice"):
        merge([one, two, two, three])
    with pytest.raises(FileError, match="labels is no part of a run"):
        merge([label(*data)])
    for odd, error in ((one, "takes all parts"), ("part.json", "takes all parts"), ([None], "not NoneType")):
        with pytest.raises(OptionError, match=error):
            merge(odd)
    changed = {**layers, "plain": layers["plain"] + 1}
    later = {**layers, "plain": np.concatenate([layers["plain"][:, :12], layers["plain"][:, [0]]], axis=1)}
    others = [
        label(*data, length=2, shard=(3, 3)),
        label(*data, neurons=slice(5), shard=(3, 3)),
        label(layers, Concepts.from_array(concepts.to_dense()[:, :5]), shard=(3, 3)),
        label(layers, Concepts.from_array(concepts.to_dense()[::-1]), shard=(3, 3)),
        label(changed, concepts, shard=(3, 3)),
        label(later, concepts, shard=(3, 3)),
        label(layers, concepts, weights=np.repeat([1, 2], N // 2), shard=(3, 3)),
    ]
    for other in others:
        with pytest.raises(OptionError, match="parts of different runs"):
            merge([one, two, other])
    (tmp_path / "broken.json").write_text(one.to_json().replace('"places": ', '"places": 1'))
    with pytest.raises(FileError, match=r"broken\.json"):
        merge([tmp_path / "broken.json", two, three])


def test_other_activations_in_a_store_are_another_run(data, tmp_path):
    layers, concepts = data
    parts = []
    for k, change in ((1, 0), (2, 1e-3)):
        with LayerWriter(tmp_path / f"{k}.zarr", ["plain"], {}) as writer:
            values = layers["plain"].copy()
            values[:, -1] += change * np.arange(N)
            writer.add({"plain": values}, N)
            writer.finish()
        parts.append(label(tmp_path / f"{k}.zarr", concepts, shard=(k, 2)))
    with pytest.raises(OptionError, match="parts of different runs"):
        merge(parts)


def test_a_part_that_was_interrupted_is_refused(data, monkeypatch):
    parts = [label(*data, permutations=39, shard=(k, 2)) for k in (1, 2)]

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("neuronym.labeling.evidence._permute", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        stopped = label(*data, permutations=39, shard=(2, 2))
    with pytest.raises(OptionError, match="the run of part 2 was interrupted"):
        merge([parts[0], stopped])


def test_samples_held_out_that_test_nothing_are_an_error_when_merged():
    values, shown = np.random.default_rng(0).normal(size=(200, 4)), np.repeat([[True], [False]], 100, axis=0)
    options = {"folds": 2, "clusters": np.repeat([0, 1], 100), "length": 1}
    with pytest.raises(OptionError, match="each formula found is true for none or for all of the held-out samples"):
        label(values, shown, **options)
    with pytest.warns(UserWarning, match="so it has no held-out AUC"):
        parts = [label(values, shown, **options, shard=(k, 2)) for k in (1, 2)]
    with pytest.raises(OptionError, match="each formula found is true for none or for all of the held-out samples"):
        merge(parts)


def test_the_commands(data, tmp_path, command):
    layers, concepts = data
    from neuronym.io import save_concepts

    save_concepts(concepts, tmp_path / "concepts.parquet")
    np.save(tmp_path / "plain.npy", layers["plain"])
    files = tmp_path / "plain.npy", tmp_path / "concepts.parquet"
    for k in range(1, 9):
        code, printed, _ = command(
            "label", *files, "--permutations", "39", "--shard", f"{k}/8", "--out", f"{tmp_path}/{k}.json"
        )
        assert code == 0
        assert f"part {k} of 8: neuronym merge joins all parts" in printed
    command("label", *files, "--permutations", "39", "--out", tmp_path / "one.csv", "--quiet")
    parts = sorted(tmp_path.glob("*.json"))
    code, printed, _ = command("merge", *parts, "--out", tmp_path / "merged.csv")
    assert code == 0
    assert "believable" in printed
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    code, _, error = command("merge", *parts[1:], "--out", tmp_path / "other.csv")
    assert (code, error) == (2, "neuronym: part 1 of 8 is missing\n")
    assert command("label", *files, "--shard", "1/8")[0] == 2
    code, _, error = command("label", *files, "--shard", "1/8", "--out", tmp_path / "1.csv")
    assert (code, "name a file .json" in error) == (2, True)
    code, _, error = command("label", *files, "--shard", "9/8", "--out", tmp_path / "9.json")
    assert (code, "from 1/8 to 8/8 for eight, not '9/8'" in error) == (2, True)


@pytest.mark.parametrize(
    "given", ["0/8", "9/8", "3", "3/", "a/b", "3/8/1", "-1/8", (0, 8), (1,), (1.0, 8), 3, (True, 2)]
)
def test_what_is_no_shard_is_refused(given):
    with pytest.raises(OptionError, match="shard must be its number and how many there are"):
        as_shard(given)


def test_shards_cover_everything_once():
    for n, of in itertools.product((0, 1, 7, 64, 1000), (1, 3, 8)):
        bounds = [Shard(k, of).bounds(n) for k in range(1, of + 1)]
        assert [start for start, _ in bounds] == [0, *(stop for _, stop in bounds[:-1])]
        assert bounds[-1][1] == n
    assert as_shard(" 3 / 8 ") == as_shard((np.int64(3), 8)) == (3, 8)


def test_a_part_that_was_edited_is_refused(data, tmp_path):
    layers, concepts = data
    part = label(layers["plain"][:, :4], concepts, holdout=0.5, shard=(1, 1))
    text = part.to_json()
    edits = {
        '"n_labels": [4]': '"n_labels": [5]',
        '"number": 1': '"number": 2',
        '"of": 1': '"of": true',
        f'"n_numbers": {part.part.rows.shape[1]}': '"n_numbers": 3',
    }
    for old, new in edits.items():
        assert text.count(old) == 1
        (tmp_path / "part.json").write_text(text.replace(old, new))
        with pytest.raises(FileError, match=r"part\.json"):
            merge([tmp_path / "part.json"])
