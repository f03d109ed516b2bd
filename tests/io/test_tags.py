import re
import unicodedata

import pandas as pd
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

from neuronym import AlignmentError, ConceptsError, OptionError
from neuronym.io import from_tags, save_tokens
from neuronym.io.texts import Texts

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "eu", "re", "##ject", "##s", "german", "call", "peter"]
PIECES += ["don", "'", "t", ",", ".", "cafe", "the", "cat", "a", "b"]
WORDS, TAGS = ["EU", "rejects", "German", "call"], ["NNP", "VBZ", "JJ", "NN"]
TAGGED = list(zip(WORDS, TAGS, strict=True))


def wordpiece(**options):
    """A tokenizer that lower-cases, drops accents and control signs, and adds [CLS] and [SEP]."""
    own = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    own.normalizer, own.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    own.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=own, unk_token="[UNK]", pad_token="[PAD]", **options)


def byte_level(prefix_space, trim):
    """A tokenizer of bytes, Ġ for a space, with few merges and without special tokens."""
    merges = [("E", "U"), ("Ġ", "c"), ("a", "l"), ("al", "l")]
    pieces = ["<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    own = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    own.post_processor = processors.ByteLevel(trim_offsets=trim)
    return PreTrainedTokenizerFast(tokenizer_object=own, pad_token="<pad>", add_prefix_space=prefix_space)


def tagged(concepts, tokens):
    """Each token with its tags."""
    dense = concepts.to_dense()
    names = [" ".join(name for name, yes in zip(concepts.names, row, strict=True) if yes) for row in dense]
    assert concepts.sample_ids == tuple(tokens["sample"])
    return list(zip(tokens["text"], names, strict=True))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_all_pieces_of_a_word_have_its_tag(split, side):
    texts = [WORDS, ["Peter"]]
    data = Texts(texts if split else [" ".join(words) for words in texts], wordpiece(padding_side=side))
    tokens = data.tokens(["x", "y"])
    concepts = from_tags([TAGGED, [("Peter", "NNP")]], tokens)
    pieces = [("eu", "NNP"), ("re", "VBZ"), ("##ject", "VBZ"), ("##s", "VBZ"), ("german", "JJ"), ("call", "NN")]
    expected = [("[CLS]", ""), *pieces, ("[SEP]", ""), ("[CLS]", ""), ("peter", "NNP"), ("[SEP]", "")]
    assert tagged(concepts, tokens) == expected


@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize("prefix_space", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_pieces_of_bytes_have_the_tag_of_their_word(split, prefix_space, trim):
    data = Texts([["EU", "calls", "é"] if split else "EU calls é"], byte_level(prefix_space, trim))
    tokens = data.tokens()
    concepts = from_tags([[("EU", "A"), ("calls", "B"), ("é", "C")]], tokens)
    found = [(text, tag) for text, tag in tagged(concepts, tokens) if text != "Ġ"]  # a space alone, if any
    first = [("Ġc", "B")] if prefix_space or not split else [("c", "B")]
    if trim and prefix_space:  # a piece without characters of its own begins its word
        assert tagged(concepts, tokens)[0] == ("Ġ", "A")
        assert tagged(concepts, tokens)[-3] == ("Ġ", "C")
    assert found == [("EU", "A"), *first, ("all", "B"), ("s", "B"), ("Ã", "C"), ("©", "C")]


def test_punctuation_in_the_text_as_it_was_written():
    text = "Don't, EU: the  cat."
    words = ["Do", "n't", ",", "EU", ":", "the", "cat", "."]
    sentence = list(zip(words, ["AUX", "NEG", ",", "NNP", ":", "DT", "NN", "."], strict=True))
    tokens = Texts([text], wordpiece()).tokens()
    concepts = from_tags([sentence], tokens, texts=[text])
    assert tagged(concepts, tokens)[1:-1] == [
        ("don", "AUX NEG"),  # its characters are in both words
        ("'", "NEG"),
        ("t", "NEG"),
        (",", ","),
        ("eu", "NNP"),
        ("[UNK]", ":"),
        ("the", "DT"),
        ("cat", "NN"),
        (".", "."),
    ]
    joined = Texts([" ".join(words)], wordpiece()).tokens()
    assert ("t", "NEG") in tagged(from_tags([sentence], joined), joined)
    assert ("[UNK]", "AUX") in tagged(from_tags([sentence], joined), joined)
    with pytest.raises(
        AlignmentError, match=r"tokens of text '0' are not of its words \('Do', \"n't\", ',' and 5 more\)"
    ):
        from_tags([sentence], tokens)
    for other in ("Don't, the EU: cat.", "don't, EU: the cat.", "Don't"):
        with pytest.raises(AlignmentError, match="the words of text '0' are not in it: word number"):
            from_tags([sentence], tokens, texts=[other])
    with pytest.raises(AlignmentError, match="word number 1, 'a', does not come next in ' cat a'"):  # not that of cat
        from_tags([[("the", "DT"), ("a", "DT")]], Texts(["the cat a"], wordpiece()).tokens(), texts=["the cat a"])
    with pytest.raises(AlignmentError, match="tags have 1 sentence, but there are 2 texts"):
        from_tags([sentence], tokens, texts=[text, text])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("split", [False, True])
def test_words_that_the_tokenizer_drops_or_rewrites(form, split):
    words = [unicodedata.normalize(form, word) for word in ("\u200b", "Café", "\u200b", "the", "cat")]
    sentence = list(zip(words, "XNXDM", strict=True))
    tokens = Texts([words if split else " ".join(words)], wordpiece()).tokens()
    with pytest.warns(UserWarning, match=r"1 word of 1 text \('0'\) lie before the first or after the last token"):
        concepts = from_tags([sentence], tokens)
    assert tagged(concepts, tokens)[1:-1] == [("cafe", "N"), ("the", "D"), ("cat", "M")]


@pytest.mark.parametrize("split", [False, True])
def test_repeated_words_in_a_text(split):
    words = ["a", "cat", "a", "a", "cat", "a"]
    sentence = [(word, f"{word}{place}") for place, word in enumerate(words)]
    tokens = Texts([words if split else " ".join(words)], wordpiece()).tokens()
    for texts in (None, [" ".join(words)]):
        found = tagged(from_tags([sentence], tokens, texts=texts), tokens)
        assert found[1:-1] == list(zip(words, (tag for _, tag in sentence), strict=True))


@pytest.mark.parametrize("make", [wordpiece, lambda: byte_level(True, True)])
@pytest.mark.parametrize("split", [False, True])
def test_a_text_without_words(make, split):
    texts = [["a"], [], ["b"]]
    tokens = Texts(texts if split else [" ".join(words) for words in texts], make()).tokens()
    found = tagged(from_tags([[("a", "A")], [], [("b", "B")]], tokens), tokens)
    assert [pair for pair in found if pair[0] not in ("[CLS]", "[SEP]", "Ġ")] == [("a", "A"), ("b", "B")]
    assert all(tag == "" for piece, tag in found if piece.startswith("["))


def test_words_of_truncated_texts_are_counted():
    texts, sentences = [" ".join(WORDS), "Peter"], [TAGGED, [("Peter", "NNP")]]
    lost = " of 1 text ('x') lie before the first or after the last token, and are left out: the texts were truncated"
    tokens = Texts(texts, wordpiece(), max_length=5).tokens(["x", "y"])
    with pytest.warns(UserWarning, match=re.escape("2 words" + lost)):
        concepts = from_tags(sentences, tokens)
    assert tagged(concepts, tokens)[1:4] == [("eu", "NNP"), ("re", "VBZ"), ("##ject", "VBZ")]
    tokens = Texts(texts, wordpiece(truncation_side="left"), max_length=5).tokens(["x", "y"])
    with pytest.warns(UserWarning, match=re.escape("1 word" + lost)):
        concepts = from_tags(sentences, tokens)
    assert tagged(concepts, tokens)[1:4] == [("##s", "VBZ"), ("german", "JJ"), ("call", "NN")]


def test_prefixes_of_entities_and_what_is_no_tag():
    words = ["a", "b", "cat", "the", "peter", "call", "german", "eu"]
    tags = ["B-PER", "I-PER", "S-LOC", "O", "_", "-", None, "E-MISC"]
    tokens = Texts([words], wordpiece()).tokens()
    sentence = list(zip(words, tags, strict=True))
    assert from_tags([sentence], tokens).names == ("LOC", "MISC", "PER")
    assert from_tags([sentence], tokens)["PER"].tolist()[1:3] == [True, True]
    assert from_tags([sentence], tokens, prefixes=True).names == ("B-PER", "E-MISC", "I-PER", "S-LOC")
    assert from_tags([sentence], tokens, min_count=2).names == ("PER",)


def test_texts_are_matched_by_their_ids():
    words = [["a"], ["b"], ["cat"]]
    sentences = [[(one, one.upper())] for (one,) in words]
    shuffled = Texts([words[2], words[0], words[1]], wordpiece())
    by_id = from_tags(sentences, shuffled.tokens(["z", "x", "y"]), sample_ids=["x", "y", "z"])
    assert by_id["CAT"].tolist() == [False, True, False] + [False] * 6
    in_order = from_tags(sentences, Texts(words, wordpiece()).tokens(["q", "r", "s"]))
    assert in_order["CAT"].tolist() == [False] * 7 + [True, False]
    assert from_tags(sentences, shuffled.tokens(["2", "0", "1"]))["CAT"].tolist()[:3] == [False, True, False]
    for ids, message in (
        (["q", "r", "s"], r"tags have 2 sentences, but tokens are of 3 texts \('q', 'r', 's'\): both must be of"),
        (["0", "1", "2"], r"tags have 2 sentences, but tokens are of 3 texts"),
    ):
        with pytest.raises(AlignmentError, match=message):
            from_tags(sentences[:2], Texts(words, wordpiece()).tokens(ids))
    with pytest.raises(AlignmentError, match=r"3 sentences, but tokens are of 2 texts .*no tokens for '2'"):
        from_tags(sentences, Texts(words[:2], wordpiece()).tokens())
    with pytest.raises(AlignmentError, match=r"no sentence for 'q', 'r', 's'"):
        from_tags(sentences, Texts(words, wordpiece()).tokens(["q", "r", "s"]), sample_ids=["x", "y", "z"])


@pytest.mark.parametrize("split", [False, True])
def test_texts_in_another_order_are_refused(split):
    """Of the same number of words, whose characters fit into those of the other sentence."""
    texts = [["peter", "rejects"], ["german", "cat"]]
    sentences = [[(word, "X") for word in words] for words in (["german", "rejects"], ["peter", "the"])]
    tokens = Texts(texts if split else [" ".join(words) for words in texts], wordpiece()).tokens(["s", "t"])
    with pytest.raises(AlignmentError, match="the tokens of text 's' are not of its words"):
        from_tags(sentences, tokens)
    longer = [[("longer", "X"), ("rejectss", "X")], sentences[1]]
    tokens = Texts([["german", "call"], ["peter", "the"]], wordpiece()).tokens(["s", "t"])
    with pytest.raises(AlignmentError, match="no token is spelled like its characters, such as 'german' at 'longer'"):
        from_tags(longer, tokens)
    for texts, words, message in (
        (["cat", "a"], ["the cat", "a"], "'0#2' has characters 4 to 5, but word number 1 has 8 to 9"),
        (["the cat a b"], ["the", "cat", "a"], "'0#4' ends at character 11, but the text at 9"),
        (["the cat a"], ["the", "ca", "ta"], "'0#2' has characters 4 to 7, but word number 1 has 4 to 6"),
    ):
        tokens = Texts([texts if len(texts) > 1 else texts[0]], wordpiece()).tokens()
        with pytest.raises(AlignmentError, match=message):
            from_tags([[(word, "X") for word in words]], tokens)
    tokens = Texts([["german", "call"], ["peter", "the"]], wordpiece()).tokens(["s", "t"])
    with pytest.raises(AlignmentError, match="'s#2' is of word number 1, but the last is 0"):
        from_tags([[("german call", "X")], sentences[1]], tokens)


def test_a_slow_tokenizer_is_refused():
    class Slow(PreTrainedTokenizer):
        """A tokenizer in Python, which knows no places."""

        vocab_size = len(PIECES)

        def get_vocab(self):
            return {piece: i for i, piece in enumerate(PIECES)}

        def _tokenize(self, text):
            return text.lower().split()

        def _convert_token_to_id(self, token):
            return PIECES.index(token)

        def _convert_id_to_token(self, index):
            return PIECES[index]

    slow, words = Slow(pad_token="[PAD]"), ["the", "cat"]
    assert not slow.is_fast
    tokens = Texts(["the cat"], slow).tokens()
    assert list(tokens.columns) == ["sample", "parent", "text", "word", "start", "end"]
    assert [text for text in tokens["text"] if text in words] == words
    assert list(Texts([words], slow).tokens()["text"]) == list(tokens["text"])
    for table in (tokens, tokens[["sample", "parent", "text"]]):
        with pytest.raises(ConceptsError, match=r"tokens have no places in their texts .* only a fast tokenizer gives"):
            from_tags([[("the", "DT"), ("cat", "NN")]], table)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("split", [False, True])
def test_tokens_of_a_file(tmp_path, kind, split):
    tokens = Texts([WORDS if split else " ".join(WORDS)], wordpiece()).tokens()
    save_tokens(tokens, tmp_path / f"t.{kind}")
    assert tagged(from_tags([TAGGED], tmp_path / f"t.{kind}"), tokens) == tagged(from_tags([TAGGED], tokens), tokens)
    if kind == "csv":  # as read by pandas, with numbers for ids and places
        read = pd.read_csv(tmp_path / "t.csv")
        assert tagged(from_tags([TAGGED], read), tokens) == tagged(from_tags([TAGGED], tokens), tokens)


def test_tags_and_tokens_that_cannot_be_used():
    tokens = Texts([" ".join(WORDS)], wordpiece()).tokens()
    with pytest.raises(OptionError, match="column=2 chooses a column of a file"):
        from_tags([TAGGED], tokens, column=2)
    for odd in ([("EU", 3)], ["EU"], [5], [("EU", "B", "C")]):
        with pytest.raises(ConceptsError, match=r"tags must be pairs of word and tag, both text, but 1 word are not"):
            from_tags([odd], tokens)
    with pytest.raises(ConceptsError, match="tokens need a column parent, but have 'sample'"):
        from_tags([TAGGED], tokens[["sample"]])
    with pytest.raises(ConceptsError, match="word, start and end of tokens must be whole numbers"):
        from_tags([TAGGED], tokens.assign(start=["x"] * len(tokens)))


def test_from_conll_to_labels_on_the_command_line(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    torch = pytest.importorskip("torch")
    from transformers.models.bert import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(PIECES), max_position_embeddings=16, **sizes)).save_pretrained("bert")
    wordpiece().save_pretrained("bert")
    lines = [f"{word} {tag} {'B-ORG' if word == 'EU' else 'O'}" for word, tag in TAGGED]
    (tmp_path / "t.conll").write_text("\n\n".join(["\n".join(lines)] * 10))
    collect = ["collect", "--model", "hf:bert", "--layers", "encoder.layer.0", "--texts", "t.conll", "--tokens"]
    code, _, err = command(*collect, "--tokens-out", "tokens.csv", "--out", "acts.zarr", "--quiet")
    assert code == 0, err
    code, out, err = command("concepts", "tags", "t.conll", "tokens.csv", "--column", "2", "--out", "pos.parquet")
    assert code == 0, err
    assert "80 samples × 4 concepts" in out
    assert "      30  VBZ" in out
    code, out, _ = command("concepts", "tags", "t.conll", "tokens.csv", "--prefixes", "--out", "ner.parquet")
    assert code == 0
    assert "      10  B-ORG" in out
    assert command("label", "acts.zarr", "pos.parquet", "--min-count", "5", "--quiet")[0] == 0
    assert "column must be a number from 1 to 3" in command(
        "concepts", "tags", "t.conll", "tokens.csv", "--column", "upos", "--out", "x.parquet"
    )[2]  # fmt: skip
