import json

import numpy as np
import pandas as pd
import pytest
import torch
from transformers.models.bert import BertConfig, BertModel, BertTokenizer
from transformers.models.vit import ViTConfig, ViTModel

from neuronym import Activations, Concepts, FileError, OptionError, label
from neuronym.inputs.samples import Samples
from neuronym.io import from_regex
from neuronym.io.texts import Texts, open_parents, open_texts, open_tokens, save_tokens
from neuronym.network.collecting import collect
from neuronym.network.models import LoadedModel

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "sat", "on", "a", "mat"]
WORDS += ["1", "2", "3", "runs", "bad"]
IDS = [f"t{i}" for i in range(60)]


@pytest.fixture(scope="module")
def bert():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(WORDS), max_position_embeddings=8, **sizes)
    return BertModel(config), BertTokenizer(vocab={word: place for place, word in enumerate(WORDS)})


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS[5:], rng.integers(1, 12))) for _ in IDS]


def hidden(model, tokenizer, text, layer):
    """The hidden states of one text, without any padding."""
    tokens = tokenizer([text], return_tensors="pt", truncation=True, max_length=8)
    with torch.no_grad():
        return model.eval()(**tokens, output_hidden_states=True).hidden_states[layer + 1][0].numpy()


@pytest.mark.filterwarnings("ignore:33 texts of 60 are longer than 8 tokens")
def test_padding_changes_nothing(bert, texts):
    model, tokenizer = bert
    data = Texts(texts, tokenizer, batch_size=7, max_length=8)
    layers = ["encoder.layer.0", "encoder.layer.1"]
    alone = [[hidden(model, tokenizer, text, layer) for text in texts] for layer in (0, 1)]
    assert len({len(one) for one in alone[0]}) > 3
    pools = {"mean": lambda one: one.mean(0), "max": lambda one: one.max(0), "last": lambda one: one[-1]}
    for pool, pooled in pools.items():
        found = collect(model, data, layers=layers, pool=pool, sample_ids=IDS)
        for layer, states in zip(layers, alone, strict=True):
            assert np.allclose(found[layer].matrix, [pooled(one) for one in states], atol=1e-5), (pool, layer)
    tokens = collect(model, data, layers=layers, tokens=True, sample_ids=IDS)[layers[1]]
    assert np.allclose(tokens.matrix, np.concatenate(alone[1]), atol=1e-5)
    assert list(tokens.sample_ids) == list(data.tokens(IDS)["sample"])


@pytest.mark.filterwarnings("ignore:33 texts of 60 are longer than 8 tokens")
def test_tokens_are_labelled_with_concepts_of_tokens_and_of_texts(bert, texts, tmp_path):
    model, tokenizer = bert
    data = Texts(texts, tokenizer, batch_size=8, max_length=8)
    found = collect(model, data, layers=["embeddings"], tokens=True, out=tmp_path / "t.zarr", sample_ids=IDS)
    table = data.tokens(IDS)
    words = from_regex(table["text"], {"number": "^[0-9]$", "animal": "^(cat|dog)$"}, sample_ids=table["sample"])
    assert words["animal"].tolist() == [word in ("cat", "dog") for word in table["text"]]
    about = Concepts.from_sets([{"bad"} if "bad" in text else set() for text in texts], sample_ids=IDS)
    spread = about.to_tokens(table["sample"], table["parent"])
    # A neuron that is high on animals in bad texts
    planted = words["animal"] & spread["bad"] | (table["text"] == "[SEP]").to_numpy()
    assert planted.any()
    matrix = np.asarray(found["embeddings"].matrix)
    neuron = matrix[:, :1] + 100 * (words["animal"] & spread["bad"])[:, None]
    both = Concepts.concatenate([words, spread])
    (one,) = label(Activations(neuron, sample_ids=found["embeddings"].sample_ids), both, min_count=5)
    assert one.formula.concepts == ("animal", "bad")
    assert one.auc == 1
    assert len(label(tmp_path / "t.zarr", both, min_count=5)) == 16


@pytest.mark.filterwarnings("ignore:.*are longer than:UserWarning")
def test_a_store_and_its_tokens_are_replaced_together(bert, texts, tmp_path, monkeypatch):
    loaded = LoadedModel(bert[0], "bert", bert[1], reads_text=True)
    pd.DataFrame({"sample": IDS, "text": texts}).to_csv(tmp_path / "texts.csv", index=False)
    out, tokens = tmp_path / "acts.zarr", tmp_path / "tokens.csv"
    options = {"layers": ["embeddings"], "out": out, "texts": tmp_path / "texts.csv", "tokens_out": tokens}
    tokens.write_text("sample,parent,text\na#0,a,x\n")
    with pytest.raises(FileError, match=r"tokens.csv' exists: choose another name"):
        collect(loaded, **options, tokens=True)
    assert not out.exists()  # refused before the pass
    tokens.unlink()
    collect(loaded, **options, tokens=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("neuronym.io.store_progress.Progress.finish", killed)
    with pytest.raises(KeyboardInterrupt):
        collect(loaded, **options, tokens=True, max_length=4, overwrite=True)
    assert before.items() <= {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}.items()
    monkeypatch.undo()
    found = collect(loaded, **options, tokens=True, max_length=4, overwrite=True)["embeddings"]
    assert found.sample_ids == tuple(pd.read_csv(tokens)["sample"])
    assert {path.name for path in tmp_path.iterdir()} == {"acts.zarr", "texts.csv", "tokens.csv"}


def test_from_texts_to_labels_on_the_command_line(bert, texts, tmp_path, monkeypatch, command):
    model, tokenizer = bert
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("bert")
    tokenizer.save_pretrained("bert")
    pd.DataFrame({"sample": IDS, "text": texts}).to_csv("texts.csv", index=False)
    code, out, _ = command("layers", "--model", "hf:bert")
    assert code == 0
    assert "encoder.layer.1  " in out
    collect = ["collect", "--model", "hf:bert", "--layers", "encoder.layer.1", "--texts", "texts.csv", "--quiet"]
    code, _, err = command(*collect, "--tokens", "--tokens-out", "tokens.csv", "--out", "acts.zarr")
    assert code == 0, err
    code, _, err = command(*collect, "--tokens", "--tokens-out", "tokens.csv", "--out", "acts.zarr")
    assert code == 0, err  # the same command again
    tokens = pd.read_csv("tokens.csv", keep_default_na=False)
    assert list(tokens.columns) == ["sample", "parent", "text", "word", "start", "end"]
    assert tokens.groupby("parent").size().max() == 8
    regex = ["concepts", "regex", "tokens.csv", "--out", "words.parquet"]
    assert command(*regex, "--pattern", "digit=^[0-9]$", "--pattern", "pet=cat|dog")[0] == 0
    assert "--pattern must be NAME=REGEX, not 'cat'" in command(*regex, "--pattern", "cat", "--overwrite")[2]
    assert "not a valid regular expression: '('" in command(*regex, "--pattern", "a=(", "--overwrite")[2]
    assert (
        "two patterns have the same name" in command(*regex, "--pattern", "a=b", "--pattern", "a=c", "--overwrite")[2]
    )
    code, out, _ = command("label", "acts.zarr/encoder.layer.1", "words.parquet", "--json", "--quiet")
    assert code == 0
    assert len(json.loads(out)["labels"]) == 16
    pd.DataFrame({"sample": IDS, "concept": ["odd", "even"] * 30}).to_csv("about.csv", index=False)
    assert command("concepts", "tokens", "about.csv", "tokens.csv", "--out", "about.parquet")[0] == 0
    assert command("label", "acts.zarr", "about.parquet", "--quiet")[0] == 0
    assert "hf:bert takes texts: give --texts" in command(*collect[:5], "--images", ".", "--out", "b.zarr")[2]


def test_patches_of_a_vision_transformer_are_tokens(tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model = ViTModel(ViTConfig(image_size=16, patch_size=8, **sizes)).eval()
    images = torch.randn(10, 3, 16, 16)
    with torch.no_grad():
        expected = model(images, output_hidden_states=True).hidden_states
    options = {"layers": ["layers.0", "layers.1"], "batch_size": 4, "sample_ids": range(10)}
    found = collect(model, images, pool="first", **options)
    assert np.allclose(found["layers.0"].matrix, expected[1][:, 0], atol=1e-5)
    tokens = collect(model, images, tokens=True, out=tmp_path / "vit.zarr", **options)["layers.1"]
    assert tokens.sample_ids[:6] == ("0#0", "0#1", "0#2", "0#3", "0#4", "1#0")
    assert np.allclose(tokens.matrix, expected[2].flatten(0, 1), atol=1e-5)


def places(tokens):
    """The numbers of words and the characters of tokens; None where they are empty."""
    table = tokens[["word", "start", "end"]].astype(object)
    return [tuple(row) for row in table.where(table.notna(), None).to_numpy()]


def test_tokens_have_places_in_their_texts(bert):
    tokens = Texts(["the cat", "  the   dog sat"], bert[1]).tokens(["x", "y"])
    assert list(tokens["text"]) == ["[CLS]", "the", "cat", "[SEP]", "[CLS]", "the", "dog", "sat", "[SEP]"]
    empty = (None, None, None)
    assert places(tokens)[:4] == [empty, (None, 0, 3), (None, 4, 7), empty]
    assert places(tokens)[4:] == [empty, (None, 2, 5), (None, 8, 11), (None, 12, 15), empty]
    split = Texts([["the", "cat,cat"], [], ["a"]], bert[1]).tokens()
    assert list(split["parent"]) == ["0"] * 6 + ["1"] * 2 + ["2"] * 3
    assert places(split)[:6] == [empty, (0, 0, 3), (1, 4, 7), (1, 7, 8), (1, 8, 11), empty]
    assert places(split)[6:] == [empty, empty, empty, (0, 0, 1), empty]


@pytest.mark.filterwarnings("ignore:33 texts of 60 are longer than 8 tokens")
def test_words_are_collected_as_their_text_is(bert, texts):
    model, tokenizer = bert
    options = {"layers": ["encoder.layer.1"], "tokens": True, "sample_ids": IDS}
    whole = collect(model, Texts(texts, tokenizer, max_length=8), **options)["encoder.layer.1"]
    data = Texts([text.split() for text in texts], tokenizer, max_length=8)
    split = collect(model, data, **options)["encoder.layer.1"]
    assert split.sample_ids == whole.sample_ids == tuple(data.tokens(IDS)["sample"])
    assert np.array_equal(split.matrix, whole.matrix)
    assert data.digest() == Texts(texts, tokenizer, max_length=8).digest()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["the cat", ["the", "dog"], ["a"]],
            r"2 texts of 3 \(number 1, 2\) are lists of words, and the others are not",
        ),
        (["the cat", None], r"each text must be a str, or a list of words that are str, but 1 are not \(None\)"),
        ([["the", 3], [b"a"]], r"a list of words that are str, but 2 are not \(3, b'a'\)"),
    ],
)
def test_texts_and_lists_of_words_do_not_mix(bert, texts, message):
    with pytest.raises(OptionError, match=message):
        Texts(texts, bert[1])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_tokens_is_saved_once(bert, tmp_path, kind):
    path = tmp_path / f"tokens.{kind}"
    tokens = Texts(["the cat", "NA"], bert[1]).tokens(["x", "y"])
    older = tokens[["sample", "parent", "text"]]
    older.to_csv(path, index=False) if kind == "csv" else older.to_parquet(path, index=False)
    assert open_parents(path) == (list(tokens["sample"]), list(tokens["parent"]))
    assert open_tokens(path)[["sample", "parent", "text"]].equals(older)
    assert open_tokens(path)[["word", "start", "end"]].isna().all(axis=None)
    save_tokens(tokens, path)  # adds the places
    assert open_tokens(path).equals(tokens)
    before = path.stat().st_mtime_ns
    save_tokens(tokens, path)
    save_tokens(open_tokens(path), path)
    assert path.stat().st_mtime_ns == before
    for other in (Texts(["the  cat", "NA"], bert[1]), Texts(["the dog", "NA"], bert[1])):  # other places, other tokens
        with pytest.raises(FileError, match="exists: choose another name"):
            save_tokens(other.tokens(["x", "y"]), path)
    older.assign(own=1).to_csv(path, index=False) if kind == "csv" else older.assign(own=1).to_parquet(
        path, index=False
    )
    with pytest.raises(FileError, match="exists: choose another name"):  # a column of another would be lost
        save_tokens(tokens, path)
    save_tokens(tokens, path, overwrite=True)
    assert open_tokens(path).equals(tokens)


def test_tokens_are_shown_without_their_places(bert, tmp_path):
    tokens = Texts(["the cat"], bert[1]).tokens(["x"])
    save_tokens(tokens, tmp_path / "tokens.csv")
    for samples in (Samples.of(tokens), Samples.of(tmp_path / "tokens.csv")):
        assert samples.ids == ["x#0", "x#1", "x#2", "x#3"]
        assert samples.read(1) == "parent: x; text: the"


def test_tables_of_tokens_that_cannot_be_used(tmp_path):
    path = tmp_path / "t.csv"
    for text, message in (
        ("parent,text\nx,a\n", "is no table of tokens: it needs a first column sample and a column parent"),
        ("sample,text\nx#0,a\n", "is no table of tokens"),
        ("sample,parent,start\nx#0,x,one\n", r"word, start and end of .*t.csv' must be whole numbers or empty: .*one"),
        ("sample,parent,end\nx#0,x,1.5\n", "must be whole numbers or empty"),
        ("sample,parent,end\nx#0,x,99999999999999999999\n", "must be whole numbers or empty"),
    ):
        path.write_text(text)
        with pytest.raises(FileError, match=message):
            open_tokens(path)


def test_tables_of_texts_that_cannot_be_used(tmp_path, bert):
    path = tmp_path / "t.csv"
    path.write_text("sample,words\na,b\n")
    with pytest.raises(FileError, match="must have a column text besides a first column sample, but has 'words'"):
        open_texts(path)
    path.write_text("parent\na\n")
    with pytest.raises(FileError, match="must have a first column sample"):
        open_parents(path)
    pd.DataFrame({"text": ["a", None]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(FileError, match=r"the column text .* has 1 empty cell"):
        open_texts(tmp_path / "t.parquet")
    with pytest.raises(OptionError, match="batch_size"):
        Texts(["a"], bert[1], batch_size=0)
