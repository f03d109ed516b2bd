"""Concepts of texts and tokens."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuronym._util.messages import counted, some, warn
from neuronym.data.concepts import Concepts
from neuronym.data.ids import as_ids, counted_ids, own_or_given, split_ids
from neuronym.data.labelled import as_frame, listed
from neuronym.errors import AlignmentError, ConceptsError, OptionError
from neuronym.io.conll import open_tags
from neuronym.io.files import open_concepts
from neuronym.io.sources.finishing import check_out, finish
from neuronym.io.texts import complete_tokens, open_parents, open_texts, open_tokens
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_regex", "from_tags", "from_tokens"]

_NO_TAG = ("", "O", "_", "-")
_PREFIX = re.compile(r"^[BIESLUM]-(?=.)")  # where an entity or chunk begins, goes on, ends or is single
_MARK = re.compile(r"^(##|▁|Ġ)|(</w>|@@)$")  # of a piece that begins, continues or ends a word


def from_regex(
    texts: Iterable[str] | Mapping[Any, str] | pd.DataFrame | PathLike,
    patterns: Mapping[str, str],
    *,
    sample_ids: Iterable[object] | None = None,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    r"""Make one concept per regular expression, present in the texts or tokens in which it matches (``re.search``).

    Parameters
    ----------
    texts : iterable of str, mapping, DataFrame, str or Path
        The texts, or the path of a table ``sample,text``. The keys of a mapping, the index of a Series or table, or its
        first column ``sample`` are the sample ids.
    patterns : mapping of str to str
        A regular expression for each concept, by the concept's name.
    sample_ids : iterable, optional
        One id per text; by default those of the table.
    min_count : int, default 0
        Keep only concepts of at least this many samples.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Returns
    -------
    Concepts
        One concept per pattern.

    Raises
    ------
    OptionError
        If a pattern is not a valid regular expression.
    FileError
        If the table cannot be read, or ``out`` cannot be written.

    Examples
    --------
    >>> from_regex(["a 1", "b"], {"digit": r"\d", "first": "^a"})
    Concepts(2 samples × 2 concepts: digit 1, first 1)
    """
    check_out(out, overwrite)
    compiled = {}
    for name, pattern in patterns.items():
        try:
            compiled[name] = re.compile(pattern)
        except re.error as error:
            raise OptionError(
                f"the pattern of {name!r} is not a valid regular expression: {pattern!r} ({error})"
            ) from error
    own_ids, known = _texts_of(texts)
    odd = [text for text in known if not isinstance(text, str)]
    if odd:
        raise ConceptsError(f"{counted(len(odd), 'sample')} without a text ({some(odd, 1)}): each sample needs one")
    sample_ids = own_or_given(sample_ids, own_ids, "texts", ConceptsError)
    matches = [[pattern.search(str(text)) is not None for pattern in compiled.values()] for text in known]
    matrix = np.array(matches, np.bool_).reshape(len(matches), len(compiled))
    concepts = Concepts.from_array(matrix, list(compiled), sample_ids=sample_ids)
    return finish(concepts, None, min_count, True, out, overwrite)


def _texts_of(texts: Any) -> tuple[list[Any] | None, list[object]]:
    """Texts and their ids, if they have any, from a list, mapping, Series, table or file."""
    if isinstance(texts, str | Path):
        table_ids, of_file = open_texts(texts)
        return table_ids, list(of_file)
    frame = None if isinstance(texts, Mapping) else as_frame(texts, "texts", ConceptsError)
    if frame is None:
        values, keys = listed(texts, "texts", ConceptsError)
        return keys, values
    body, ids = split_ids(frame, "texts", ConceptsError, recognize="none")
    column = "text" if "text" in body.columns else body.columns[0] if body.shape[1] == 1 else None
    if column is None:
        raise ConceptsError(f"texts must be in a column text, but the table has {some(body.columns)}")
    return ids, body[column].tolist()


def from_tokens(
    concepts: Concepts | PathLike,
    tokens: PathLike,
    *,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Give each token the concepts of its text.

    Parameters
    ----------
    concepts : Concepts, str or Path
        The concepts of texts, or a file of them; texts without ids are numbered from 0.
    tokens : str or Path
        A table with the id of each token, ``sample``, and of its text, ``parent``, as written by ``neuronym collect
        --tokens-out``.
    min_count : int, default 0
        Keep only concepts of at least this many samples.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Returns
    -------
    Concepts
        The concepts of the tokens.

    Raises
    ------
    FileError
        If a file cannot be read, or ``out`` cannot be written.
    """
    check_out(out, overwrite)
    ids, parents = open_parents(tokens)
    if isinstance(concepts, PathLike):
        of_texts = open_concepts(concepts)
    else:
        of_texts = concepts if isinstance(concepts, Concepts) else Concepts.from_array(concepts)
    if of_texts.sample_ids is None:
        of_texts = of_texts.with_ids(counted_ids(of_texts.n_samples))
    return finish(of_texts.to_tokens(ids, parents), None, min_count, True, out, overwrite)


def from_tags(
    tags: Iterable[Iterable[tuple[str, str | None]]] | PathLike,
    tokens: pd.DataFrame | PathLike,
    *,
    column: int | str | None = None,
    prefixes: bool = False,
    texts: Iterable[str] | PathLike | None = None,
    sample_ids: Iterable[object] | None = None,
    min_count: int = 0,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> Concepts:
    """Give each token of a fast Hugging Face tokenizer the tag of the word that its characters are in.

    Tags are parts of speech, named entities and the like, each of which becomes a concept. ``B-PER`` and ``I-PER``
    both become ``PER``; ``O``, ``_`` and ``-`` stand for no tag. Special tokens and spaces between words have no tag.

    Parameters
    ----------
    tags : iterable of iterable of (str, str), str or Path
        The words of each text with their tags, in the order of the texts, or a CoNLL file (see ``open_tags``).
    tokens : DataFrame, str or Path
        The tokens, from ``Texts.tokens`` or ``neuronym collect --tokens-out``.
    column : int or str, optional
        The column of a file to read: its number from 1, or a name of CoNLL-U; by default the last, or ``"upos"`` in
        CoNLL-U.
    prefixes : bool, default False
        Keep the prefixes ``B-`` and ``I-`` (or others of ``BIESLUM``) in the names of concepts.
    texts : iterable of str, str or Path, optional
        The texts that were tokenized, or a table of them, in the order of the sentences; by default the words joined by
        single spaces. Not used for tokens with word numbers.
    sample_ids : iterable, optional
        The ids of the texts, in the order of the sentences; by default those of the table ``texts``, or else
        ``0, 1, …`` if tokens have such ids, or else the ids in the order of the tokens.
    min_count : int, default 0
        Keep only concepts of at least this many samples.
    out : str or Path, optional
        Save the concepts as ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Returns
    -------
    Concepts
        One concept per tag, with tokens as samples.

    Raises
    ------
    AlignmentError
        If the sentences are not the texts of the tokens, or a text has other words.
    ConceptsError
        If the tags are no pairs of word and tag, or the tokens have no places in their texts.
    FileError
        If a file cannot be read, or ``out`` cannot be written.
    OptionError
        If the file has no such column.

    Examples
    --------
    >>> import pandas as pd
    >>> tokens = pd.DataFrame({"sample": ["0#0", "0#1", "0#2"], "parent": "0", "start": [0, 3, 6], "end": [2, 6, 8]})
    >>> from_tags([[("We", "PRON"), ("sleep", "VERB")]], tokens)
    Concepts(3 samples × 2 concepts: PRON 1, VERB 2)
    """
    check_out(out, overwrite)
    sentences = open_tags(tags, column=column) if isinstance(tags, str | Path) else _pairs(tags, column)
    table = _with_places(tokens)
    if isinstance(texts, str | Path):
        table_ids, texts = open_texts(texts)
        sample_ids = table_ids if sample_ids is None else sample_ids
    listed = None if texts is None else list(texts)
    if listed is not None and len(listed) != len(sentences):
        raise AlignmentError(
            f"tags have {counted(len(sentences), 'sentence')}, but there are {counted(len(listed), 'text')}: both must "
            "be the same, in the same order"
        )
    sets = _tags_of_tokens(table, sentences, listed, sample_ids, prefixes)
    concepts = Concepts.from_sets(sets, sample_ids=table["sample"])
    return finish(concepts, None, min_count, True, out, overwrite)


class _Token(NamedTuple):
    """A token: its row, id and text in the table, the number of its word and its characters; −1 if unknown."""

    row: int
    name: str
    text: str
    word: int
    start: int
    end: int


def _pairs(tags: Iterable[Iterable[tuple[str, str | None]]], column: object) -> list[list[tuple[str, str | None]]]:
    """The words and tags of each text, as given in Python."""
    if column is not None:
        raise OptionError(f"column={column!r} chooses a column of a file, but tags are pairs of word and tag")
    sentences = [list(sentence) for sentence in tags]
    odd = [
        pair
        for sentence in sentences
        for pair in sentence
        if isinstance(pair, str)
        or not (isinstance(pair, Sequence) and len(pair) == 2)
        or not (isinstance(pair[0], str) and isinstance(pair[1], str | None))
    ]
    if odd:
        raise ConceptsError(
            f"tags must be pairs of word and tag, both text, but {counted(len(odd), 'word')} are not ({some(odd)}): "
            "give names of tags instead of numbers"
        )
    return sentences


def _with_places(tokens: pd.DataFrame | PathLike) -> pd.DataFrame:
    """The table of tokens, with the places of tokens in their texts."""
    if isinstance(tokens, str | Path):
        table = open_tokens(tokens)
    else:
        lost = [name for name in ("sample", "parent") if name not in tokens]
        if lost:
            raise ConceptsError(f"tokens need a column {lost[0]}, but have {some(tokens)}")
        table = complete_tokens(tokens, "tokens", ConceptsError)
    if len(table) and table[["word", "start"]].isna().all(axis=None):
        raise ConceptsError(
            "tokens have no places in their texts (columns start and end), which only a fast tokenizer gives: tokenize "
            "with one (is_fast), or write a table that was saved without these columns again, by neuronym collect "
            "--tokens-out"
        )
    return table


def _tags_of_tokens(
    table: pd.DataFrame,
    sentences: Sequence[Sequence[tuple[str, str | None]]],
    texts: Sequence[str] | None,
    sample_ids: Iterable[object] | None,
    prefixes: bool,
) -> list[set[str]]:
    """The tags of each token, and a warning about words that no token reaches."""
    sets: list[set[str]] = [set() for _ in range(len(table))]
    left_out = {}
    for i, (name, tokens) in enumerate(_tokens_by_text(table, sentences, sample_ids).items()):
        words, tags = [word for word, _ in sentences[i]], [tag for _, tag in sentences[i]]
        of_tokens = _words_of_tokens(name, tokens, words, None if texts is None else texts[i])
        for token, numbers in zip(tokens, of_tokens, strict=True):
            sets[token.row].update(_concepts((tags[number] for number in numbers), prefixes))
        reached = [number for numbers in of_tokens for number in numbers]
        if words and not (0 in reached and len(words) - 1 in reached):
            left_out[name] = len(words) - (max(reached) + 1 - min(reached) if reached else 0)
    if left_out:
        warn(
            f"{counted(sum(left_out.values()), 'word')} of {counted(len(left_out), 'text')} ({some(left_out)}) lie "
            "before the first or after the last token, and are left out: the texts were truncated, or the tokenizer "
            "drops these words"
        )
    return sets


def _tokens_by_text(
    table: pd.DataFrame, sentences: Sequence[Sequence[object]], sample_ids: Iterable[object] | None
) -> dict[str, list[_Token]]:
    """The tokens of each sentence, by the id of its text."""
    found: dict[str, list[_Token]] = {}
    texts = table["text"].astype(object).fillna("")
    places = (table[name].fillna(-1).tolist() for name in ("word", "start", "end"))
    for row, (parent, *token) in enumerate(zip(table["parent"], table["sample"], texts, *places, strict=True)):
        found.setdefault(str(parent), []).append(_Token(row, *token))
    numbers = counted_ids(len(sentences))
    ids = as_ids(sample_ids, len(sentences), "tags", ConceptsError)
    ids = (numbers if set(found) <= set(numbers) else tuple(found)) if ids is None else ids
    known = set(ids)
    lost = [name for name in found if name not in known]
    empty = [name for name, sentence in zip(ids, sentences, strict=False) if sentence and name not in found]
    if len(ids) != len(sentences) or lost or empty:
        why = f"; no sentence for {some(lost)}" if lost else f"; no tokens for {some(empty)}" if empty else ""
        raise AlignmentError(
            f"tags have {counted(len(sentences), 'sentence')}, but tokens are of {counted(len(found), 'text')} "
            f"({some(found)}){why}: both must be of the same texts, in the same order or with their ids as sample_ids"
        )
    return {name: found.get(name, []) for name in ids}


def _words_of_tokens(name: str, tokens: Sequence[_Token], words: Sequence[str], text: str | None) -> list[range]:
    """The numbers of the words that each token is in, from its word number or else from its characters."""
    if any(token.word >= 0 for token in tokens):
        text, spans = None, _joined(words)
        found = [range(token.word, token.word + 1) if token.word >= 0 else range(0) for token in tokens]
    else:
        spans = _joined(words) if text is None else _located(name, words, text)
        found = _overlaps(tokens, spans)
    length = (spans[-1][1] if spans else 0) if text is None else len(text)
    misfits = (_misfit(*pair, spans, length, text is None) for pair in zip(tokens, found, strict=True))
    wrong = next(filter(None, misfits), "") or _misspelt(tokens, " ".join(words) if text is None else text)
    if wrong:
        raise AlignmentError(
            f"the tokens of text {name!r} are not of its words ({some(words)}): {wrong}. Tokenize lists of words, or "
            "words joined by single spaces, or give the texts that were tokenized (texts)"
        )
    return found


def _misfit(token: _Token, numbers: range, spans: Sequence[tuple[int, int]], length: int, joined: bool) -> str:
    """Why a token cannot be of these words; empty if it can."""
    if numbers and numbers[-1] >= len(spans):
        return f"{token.name!r} is of word number {numbers[-1]}, but the last is {len(spans) - 1}"
    if token.end > length:
        return f"{token.name!r} ends at character {token.end}, but the text at {length}"
    if joined and numbers and token.start >= 0:
        start, end = spans[numbers[0]]
        if token.start < start - 1 or token.end > end:  # a token may include the space before its word
            return (
                f"{token.name!r} has characters {token.start} to {token.end}, but word number {numbers[0]} has {start} "
                f"to {end}"
            )
    return ""


def _misspelt(tokens: Sequence[_Token], text: str) -> str:
    """Why tokens cannot be of this text: none is spelled like its characters; empty if one is, or too few can tell."""
    pairs = [
        (_MARK.sub("", token.text).casefold(), text[token.start : token.end].strip().casefold())
        for token in tokens
        if token.start >= 0
    ]
    plain = [pair for pair in pairs if all(part.isascii() and part.isalnum() for part in pair)]
    if len(plain) < 2 or any(piece == characters for piece, characters in plain):
        return ""
    return f"no token is spelled like its characters, such as {plain[0][0]!r} at {plain[0][1]!r}"


def _overlaps(tokens: Sequence[_Token], spans: Sequence[tuple[int, int]]) -> list[range]:
    """The numbers of the words that share characters with each token; one without characters is where it starts."""
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    return [
        range(bisect_right(ends, token.start), bisect_left(starts, max(token.end, token.start + 1)))
        if token.start >= 0
        else range(0)
        for token in tokens
    ]


def _joined(words: Sequence[str]) -> list[tuple[int, int]]:
    """The characters of words joined by single spaces."""
    starts = accumulate((len(word) + 1 for word in words), initial=0)
    return [(start, start + len(word)) for start, word in zip(starts, words, strict=False)]


def _located(name: str, words: Sequence[str], text: str) -> list[tuple[int, int]]:
    """The characters of words in their text, between which there may be no other letters or digits."""
    spans = []
    position = 0
    for number, word in enumerate(words):
        start = text.find(word, position)
        if start < 0 or any(sign.isalnum() for sign in text[position:start]):
            raise AlignmentError(
                f"the words of text {name!r} are not in it: word number {number}, {word!r}, does not come next in "
                f"{text[position : position + 40]!r}; give the text as it was tokenized, in the spelling of the words"
            )
        position = start + len(word)
        spans.append((start, position))
    return spans


def _concepts(tags: Iterable[str | None], prefixes: bool) -> set[str]:
    """The names of the concepts of tags."""
    named = [tag for tag in tags if tag is not None and tag not in _NO_TAG]
    return set(named) if prefixes else {_PREFIX.sub("", tag, count=1) for tag in named}
