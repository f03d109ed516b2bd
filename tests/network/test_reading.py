"""Texts and images for Hugging Face models of several kinds, in folders made from configs."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPImageProcessor, PreTrainedTokenizerFast
from transformers.models.bart import BartConfig, BartModel
from transformers.models.bert import BertConfig, BertForSequenceClassification, BertModel
from transformers.models.clip import CLIPConfig, CLIPModel
from transformers.models.distilbert import DistilBertConfig, DistilBertModel
from transformers.models.gpt2 import GPT2Config, GPT2Model
from transformers.models.llama import LlamaConfig, LlamaModel
from transformers.models.roberta import RobertaConfig, RobertaModel
from transformers.models.t5 import T5Config, T5Model
from transformers.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

from neuronym import OptionError, collect, layers
from neuronym.io.texts import Texts
from neuronym.network import load_model

WORDS = ["<end>", "<pad>", "[CLS]", "[SEP]", "the", "a", "cat", "dog", "sat", "on", "mat", "bird"]
TEXTS = ["the cat sat on the mat", "a dog", "bird", "the bird sat on a cat"]
SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
#: RoBERTa numbers positions from that of the padding token, 1, on: it takes two tokens fewer than it has positions.
MODELS = {
    "gpt2": lambda: GPT2Model(GPT2Config(vocab_size=12, n_embd=16, n_layer=2, n_head=2, n_positions=16)),
    "llama": lambda: LlamaModel(LlamaConfig(vocab_size=12, max_position_embeddings=16, **SMALL)),
    "bert": lambda: BertModel(BertConfig(vocab_size=12, max_position_embeddings=16, **SMALL)),
    "roberta": lambda: RobertaModel(
        RobertaConfig(vocab_size=12, max_position_embeddings=18, pad_token_id=1, type_vocab_size=1, **SMALL)
    ),
    "distilbert": lambda: DistilBertModel(
        DistilBertConfig(vocab_size=12, dim=16, hidden_dim=32, n_layers=2, n_heads=2, max_position_embeddings=16)
    ),
    "t5": lambda: T5Model(
        T5Config(vocab_size=12, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=1)
    ),
    "bart": lambda: BartModel(
        BartConfig(
            vocab_size=12, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=16,
        )
    ),
    "clip": lambda: CLIPModel(
        CLIPConfig(
            text_config={"vocab_size": 12, "max_position_embeddings": 16, "eos_token_id": 0, **SMALL},
            vision_config={"image_size": 16, "patch_size": 8, **SMALL},
            projection_dim=8,
        )
    ),
}  # fmt: skip
LAYER = {
    "gpt2": "h.1", "llama": "layers.1", "bert": "encoder.layer.1", "roberta": "encoder.layer.1",
    "distilbert": "transformer.layer.1", "t5": "encoder.block.1", "bart": "encoder.layers.1",
    "clip": "text_model.encoder.layers.1",
}  # fmt: skip


def make_tokenizer(special=False, **options):
    """A tokenizer of words; with [CLS] and [SEP] if ``special``."""
    own = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<end>"))
    own.pre_tokenizer = pre_tokenizers.Whitespace()
    if special:
        own.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    names = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=own, unk_token="<end>", model_input_names=names, **options)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Save a model of a kind, with its tokenizer, and texts as a table."""
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"sample": list("wxyz"), "text": TEXTS}).to_csv("texts.csv", index=False)

    def save(kind, special=False, **options):
        torch.manual_seed(0)
        model = MODELS[kind]().eval()
        model.save_pretrained("model")
        make_tokenizer(special, **options).save_pretrained("model")
        if kind == "clip":
            CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(
                "model"
            )
        return model

    return save


def alone(model, text, layer, **options):
    """A layer's output for one text, without padding; of T5 and BART the encoder is run, of CLIP the text tower."""
    caught = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    tokens = make_tokenizer(**options)([text], return_tensors="pt")
    run = model.get_text_features if hasattr(model, "get_text_features") else model
    run = model.get_encoder() if model.config.is_encoder_decoder else run
    taken = inspect.signature(getattr(run, "forward", run)).parameters
    with torch.no_grad():
        run(**{key: value for key, value in tokens.items() if key in taken})
    handle.remove()
    output = caught[0]
    return (output[0] if isinstance(output, tuple) else output)[0].numpy()


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.filterwarnings("ignore:hf.model has an encoder and a decoder")
def test_texts_in_a_batch_give_what_each_gives_alone(saved, kind, side):
    options = {"eos_token": "<end>"} if kind in ("gpt2", "llama") else {"pad_token": "<pad>"}
    model = saved(kind, padding_side=side, **options)
    expected = [alone(model, text, LAYER[kind], **options) for text in TEXTS]
    scale = np.concatenate(expected).std()
    for tokens in (False, True):
        found = collect("hf:model", texts="texts.csv", layers=[LAYER[kind]], tokens=tokens)[LAYER[kind]]
        rows = np.concatenate(expected) if tokens else np.array([one.mean(0) for one in expected])
        np.testing.assert_allclose(found.matrix, rows, atol=1e-5 * scale)
    ids = [f"{name}#{t}" for name, one in zip("wxyz", expected, strict=True) for t in range(len(one))]
    assert list(found.sample_ids) == ids


@pytest.mark.parametrize("options", [{"eos_token": "<end>"}, {"bos_token": "[CLS]"}, {}])
def test_a_tokenizer_without_padding_is_left_as_it_is(options):
    tokenizer = make_tokenizer(**options)
    data = Texts(TEXTS, tokenizer)
    (batch,) = data
    assert batch["input_ids"].shape == (4, 6)
    assert batch["attention_mask"].sum(1).tolist() == [6, 2, 1, 6]
    assert tokenizer.pad_token is None
    assert list(data.tokens()["text"]) == " ".join(TEXTS).split()


def test_of_an_encoder_decoder_the_encoder_is_run_and_this_is_said(saved, command):
    saved("t5", pad_token="<pad>")
    with pytest.warns(UserWarning, match="hf:model has an encoder and a decoder: its encoder alone is run"):
        listed = {one.name: one for one in layers("hf:model")}
    assert listed["encoder.block.1"].shape == (1, 3, 16)
    assert listed["decoder.block.1"].calls == 0
    run = ["collect", "--model", "hf:model", "--texts", "texts.csv", "--out", "o.zarr", "-q"]
    code, _, err = command(*run, "--layers", "encoder.block.1")
    assert (code, err.count("encoder alone")) == (0, 1)


def test_a_model_for_images_and_texts_takes_either(saved, command, tmp_path):
    model = saved("clip", pad_token="<pad>")
    listed = {one.name: one for one in layers("hf:model")}
    assert listed["vision_model.encoder.layers.0"].shape == (1, 5, 16)
    assert listed["text_model.encoder.layers.0"].shape == (1, 3, 16)
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), np.uint8)
    for i in range(3):
        Image.fromarray(pixels[i]).save(f"photos/{i}.png")
    layer = "vision_model.encoder.layers.1"
    found = collect("hf:model", images="photos", layers=[layer], tokens=True)[layer]
    processor = CLIPImageProcessor.from_pretrained("model")
    images = processor([Image.fromarray(one) for one in pixels], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        states = model.vision_model(images, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(found.matrix, states[2].flatten(0, 1), atol=1e-5)
    run = ["collect", "--model", "hf:model", "--layers", "text_model.final_layer_norm", "--out", "o.zarr"]
    assert command(*run, "--texts", "texts.csv", "-q")[0] == 0
    assert "takes images: give --images" not in command(*run, "--texts", "texts.csv", "-q")[2]


def test_half_a_model_for_images_and_texts(saved, tmp_path):
    saved("clip", pad_token="<pad>")
    (tmp_path / "model/preprocessor_config.json").unlink()
    with pytest.warns(UserWarning, match="hf:model takes texts alone, because it has no image processor"):
        found = collect("hf:model", texts="texts.csv", layers=[LAYER["clip"]])
    assert found[LAYER["clip"]].n_samples == 4
    with (
        pytest.warns(UserWarning, match="takes texts alone"),
        pytest.raises(OptionError, match="hf:model takes texts: give --texts"),
    ):
        collect("hf:model", images="photos", layers=[LAYER["clip"]])
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained("model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).unlink()
    with pytest.warns(UserWarning, match="hf:model takes images alone, because it has no tokenizer"):
        assert [one.calls for one in layers("hf:model") if one.name.endswith("_model")] == [0, 1]


def test_a_folder_without_a_tokenizer_is_refused(saved, tmp_path):
    saved("bert", pad_token="<pad>")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).unlink()
    with pytest.raises(OptionError, match="cannot load hf:model: its tokenizer has no vocabulary: save the tokenizer"):
        load_model("hf:model")


def test_a_model_for_neither_images_nor_texts_is_refused(saved):
    Wav2Vec2Model(
        Wav2Vec2Config(conv_dim=[16], conv_stride=[5], conv_kernel=[10], num_conv_pos_embedding_groups=2, **SMALL)
    ).save_pretrained("sound")
    with pytest.raises(OptionError, match="cannot load hf:sound: it takes input_values, neither texts nor images"):
        load_model("hf:sound")


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "clip"])
def test_texts_longer_than_the_model_takes_are_cut_and_counted(saved, kind, command):
    saved(kind, pad_token="<pad>")
    pd.DataFrame({"sample": ["a", "b", "c"], "text": ["the cat", "the cat " * 20, "a dog sat " * 8]}).to_csv(
        "long.csv", index=False
    )
    options = {"texts": "long.csv", "layers": [LAYER[kind]], "tokens": True}
    with pytest.warns(UserWarning, match=r"2 texts of 3 are longer than 16 tokens and cut to that length \('b', 'c'\)"):
        found = collect("hf:model", **options)[LAYER[kind]]
    assert found.n_samples == 2 + 16 + 16
    with pytest.warns(UserWarning, match=r"2 texts of 3 are longer than 5 tokens"):
        found = collect("hf:model", max_length=5, **options)[LAYER[kind]]
    assert found.n_samples == 2 + 5 + 5
    run = ["collect", "--model", "hf:model", "--layers", LAYER[kind], "--texts", "long.csv", "--out", "o.zarr"]
    code, out, err = command(*run, "--max-length", 7, "--tokens", "--tokens-out", "t.csv")
    assert code == 0
    assert "neuronym: 2 texts of 3 are longer than 7 tokens" in err
    assert "16 samples" in out
    assert pd.read_csv("t.csv").groupby("parent").size().tolist() == [2, 7, 7]


def test_texts_longer_than_a_model_of_ones_own_takes_are_counted(saved):
    model = saved("bert", pad_token="<pad>")
    texts = ["the cat", "the cat " * 20]
    with (
        pytest.warns(
            UserWarning, match=r"1 text of 2 is longer than 16 tokens that the model takes \('1'\); give max_l"
        ),
        pytest.raises(OptionError, match="the model failed on samples"),
    ):
        collect(model, Texts(texts, make_tokenizer(pad_token="<pad>")), layers=[LAYER["bert"]])
    with pytest.warns(UserWarning, match=r"1 text of 2 is longer than 16 tokens and cut to that length \('1'\)$"):
        collect(model, Texts(texts, make_tokenizer(pad_token="<pad>"), max_length=16), layers=[LAYER["bert"]])


def test_texts_without_tokens_are_named(saved):
    saved("gpt2", eos_token="<end>")
    pd.DataFrame({"sample": list("abcd"), "text": ["the cat", "", " ", "a"]}).to_csv("texts.csv", index=False)
    for tokens in (False, True):
        with pytest.raises(OptionError, match=r"2 texts of 4 have no tokens \('b', 'c'\): leave out empty texts"):
            collect("hf:model", texts="texts.csv", layers=["h.1"], tokens=tokens)
    model = MODELS["gpt2"]()
    with pytest.raises(OptionError, match=r"1 text of 2 has no tokens \('1'\)"):
        collect(model, Texts([["the"], []], make_tokenizer()), layers=["h.1"])


@pytest.mark.parametrize("split", [False, True])
def test_special_tokens_are_left_out(saved, split):
    model = saved("bert", special=True, pad_token="<pad>")
    texts = [text.split() for text in TEXTS] if split else TEXTS
    layer = LAYER["bert"]
    inner = [alone(model, text, layer, special=True)[1:-1] for text in TEXTS]
    data = Texts(texts, make_tokenizer(True, pad_token="<pad>"), skip_special_tokens=True)
    pools = {"mean": lambda one: one.mean(0), "first": lambda one: one[0], "last": lambda one: one[-1]}
    for pool, pooled in pools.items():
        found = collect(model, data, layers=[layer], pool=pool)[layer]
        np.testing.assert_allclose(found.matrix, [pooled(one) for one in inner], atol=1e-5)
    tokens = collect(model, data, layers=[layer], tokens=True, sample_ids="wxyz")[layer]
    np.testing.assert_allclose(tokens.matrix, np.concatenate(inner), atol=1e-5)
    table = data.tokens("wxyz")
    assert list(tokens.sample_ids) == list(table["sample"])
    assert list(table["text"]) == " ".join(TEXTS).split()
    assert list(table["sample"])[:2] == ["w#1", "w#2"]
    assert data.digest() != Texts(texts, make_tokenizer(True, pad_token="<pad>")).digest()


def test_special_tokens_are_left_out_by_the_command(saved, command):
    saved("bert", special=True, pad_token="<pad>")
    run = ["collect", "--model", "hf:model", "--layers", LAYER["bert"], "--texts", "texts.csv", "--out", "o.zarr"]
    code, out, _ = command(*run, "--skip-special-tokens", "--tokens", "--tokens-out", "t.csv")
    assert (code, out) == (0, "o.zarr/encoder.layer.1: 15 samples × 16 neurons\n")
    assert list(pd.read_csv("t.csv")["text"]) == " ".join(TEXTS).split()
    assert "was made with other settings" in command(*run, "--tokens")[2]
    pd.DataFrame({"sample": list("abc"), "text": ["the cat", "", "a"]}).to_csv("texts.csv", index=False)
    _, _, err = command(*run, "--skip-special-tokens", "--out", "p.zarr")
    assert "1 text of 3 has no tokens besides special ones, which are skipped ('b')" in err
    assert command(*run, "--out", "p.zarr")[0] == 0


def test_options_of_texts_are_for_texts():
    for option in ({"max_length": 3}, {"skip_special_tokens": True}):
        with pytest.raises(OptionError, match=f"{next(iter(option))} is for texts read from a file"):
            collect(torch.nn.Linear(3, 2), np.zeros((2, 3), np.float32), layers=[""], **option)
    for length in (2, 0):
        with pytest.raises(
            OptionError, match=f"of at least 3, because the tokenizer adds 2 to each text, not {length}"
        ):
            Texts(TEXTS, make_tokenizer(True), max_length=length)


def test_weights_of_a_model_with_a_head_are_loaded_into_its_base(saved):
    saved("bert", pad_token="<pad>")
    torch.manual_seed(3)
    classifier = BertForSequenceClassification(BertConfig(vocab_size=12, max_position_embeddings=16, **SMALL))
    torch.save(classifier.state_dict(), "w.pt")
    with pytest.warns(
        UserWarning, match=r"'bert.embeddings.word_embeddings.weight' is loaded as .*; 2 other tensors not"
    ):
        loaded = load_model("hf:model", weights="w.pt")
    assert torch.equal(loaded.model.pooler.dense.weight, classifier.bert.pooler.dense.weight)
