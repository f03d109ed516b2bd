"""Texts as samples for a model, and their tokens."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neuronym._util.files import check_target, first_line, kind_of, reading, writing
from neuronym._util.messages import counted, some, warn
from neuronym.data.hierarchy import Hierarchy
from neuronym.data.ids import SAMPLE
from neuronym.errors import FileError, InputError, OptionError
from neuronym.io.conll import open_tags
from neuronym.io.tables import read_frame, text_column
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "POOLING_MASK",
    "TOKEN_COLUMNS",
    "Texts",
    "open_class_names",
    "open_parents",
    "open_texts",
    "open_tokens",
    "save_tokens",
]

#: The key of a batch for the tokens that are pooled, if those differ from the tokens that the model attends to.
POOLING_MASK = "pooling_mask"

_NAMED = (SAMPLE, "parent", "text")  # the columns of a table of tokens that are never empty
_PLACES = ("word", "start", "end")
TOKEN_COLUMNS = (*_NAMED, *_PLACES)


def open_texts(path: PathLike) -> tuple[list[str] | None, list[str]]:
    """Read the texts of a table, or the sentences of a CoNLL file as words joined by spaces.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` or ``.parquet`` file with a column ``text`` and, if samples have ids, a first column ``sample``; or a
        ``.conll`` or ``.conllu`` file, as read by ``open_tags``.

    Returns
    -------
    ids : list of str or None
        The sample ids, if any.
    texts : list of str
        The texts.

    Raises
    ------
    FileError
        If the file cannot be read or has no such column.
    """
    if kind_of(path, (".csv", ".parquet", ".conll", ".conllu"), "texts") in (".conll", ".conllu"):
        return None, [" ".join(word for word, _ in sentence) for sentence in open_tags(path)]
    return text_column(path, "text", "texts")


def open_parents(path: PathLike) -> tuple[list[str], list[str]]:
    """Read which text each token belongs to.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` or ``.parquet`` file with the columns ``sample`` and ``parent``.

    Returns
    -------
    ids : list of str
        The ids of the tokens.
    parents : list of str
        For each token, the id of its text.

    Raises
    ------
    FileError
        If the file cannot be read or lacks one of the columns.
    """
    ids, parents = text_column(path, "parent", "texts")
    if ids is None:
        raise FileError(f"{str(path)!r} must have a first column sample with the ids of the tokens")
    return ids, parents


def open_class_names(path: PathLike) -> list[str]:
    """Read the names of a model's outputs, and replace WordNet ids by readable names.

    Parameters
    ----------
    path : str or Path
        A text file with one name per line.

    Returns
    -------
    list of str
        The names, in order.

    Raises
    ------
    FileError
        If the file cannot be read, or has an empty line.
    """
    with reading(path, "class names"):
        names = Path(path).read_text(encoding="utf-8").splitlines()
    if not all(name.strip() for name in names):
        raise FileError(f"cannot read class names from {str(path)!r}: every line must contain a name")
    readable = Hierarchy.imagenet().readable(name.strip() for name in names)
    return [readable[name.strip()] for name in names]


class Texts:
    """Batches of tokens for a Hugging Face model, padded on the right to the longest text of the batch.

    Iterating yields the tokenizer's output for each batch. Padding on the right leaves the positions of tokens as they
    are; a tokenizer without a padding token pads with its end of text, which the attention mask leaves out.

    Parameters
    ----------
    texts : sequence of str or of sequences of str
        One text per sample, or the list of its words, which are then tokenized one by one.
    tokenizer : callable
        A Hugging Face tokenizer, or one like it: it takes a list of texts and returns ``input_ids`` and
        ``attention_mask``.
    batch_size : int, default 8
        The number of texts per batch.
    max_length : int or None, default None
        Truncate texts to this number of tokens; None means the tokenizer's own limit.
    skip_special_tokens : bool, default False
        Leave tokens that the tokenizer adds, such as ``[CLS]`` and ``[SEP]``, out of pooling and of the samples when
        each token is one; the model still gets them.

    Raises
    ------
    OptionError
        If ``batch_size`` is below 1, ``max_length`` leaves no token of a text, or some samples are texts and others
        lists of words.
    """

    def __init__(
        self,
        texts: Sequence[str] | Sequence[Sequence[str]],
        tokenizer: Any,
        *,
        batch_size: int = 8,
        max_length: int | None = None,
        skip_special_tokens: bool = False,
    ) -> None:
        if batch_size < 1:
            raise OptionError(f"batch_size must be a whole number of at least 1, not {batch_size!r}")
        listed = [text if isinstance(text, str) or not isinstance(text, Iterable) else list(text) for text in texts]
        self.texts: list[Any] = listed
        self.n_samples, self.batch_size, self.skip_special_tokens = len(self.texts), batch_size, skip_special_tokens
        self._split = {"is_split_into_words": True} if _are_split(listed) else {}  # an option that not all know
        self._tokenizer = _with_padding_token(tokenizer)
        self._longest = _longest(tokenizer, max_length)
        cut = {} if self._longest is None else {"truncation": True, "max_length": self._longest}
        side = {} if getattr(tokenizer, "padding_side", "right") == "right" else {"padding_side": "right"}
        self._options = {"padding": True, "return_tensors": "pt", **cut, **side, **self._split}

    def check(
        self, sample_ids: Sequence[str] | None = None, *, pooled: bool = True, longest: int | None = None
    ) -> None:
        """Refuse texts without tokens, and warn of texts that are too long.

        Parameters
        ----------
        sample_ids : sequence of str or None, default None
            The ids of the texts; None means ``0, 1, …``.
        pooled : bool, default True
            Whether each text is pooled over its tokens, so that special tokens alone are too few if they are skipped.
        longest : int, optional
            The number of tokens that the model takes.

        Raises
        ------
        OptionError
            If a text has no tokens.
        """
        lengths = self._lengths()
        names = [str(i) for i in range(len(lengths))] if sample_ids is None else sample_ids
        special = self.skip_special_tokens and pooled
        counts = [own if special else whole for whole, own in lengths]
        empty = [name for name, count in zip(names, counts, strict=False) if not count]
        if empty:
            besides = " besides special ones, which are skipped" if special else ""
            raise OptionError(
                f"{counted(len(empty), 'text')} of {len(self.texts)} {'has' if len(empty) == 1 else 'have'} no tokens"
                f"{besides} ({some(empty)}): leave out empty texts"
            )
        limits = [(self._longest, "and cut to that length", ""), (longest, "that the model takes", "; give max_length")]
        limit, what, hint = min(limits, key=lambda one: one[0] or 10**6)
        long = [name for name, (whole, _) in zip(names, lengths, strict=False) if limit is not None and whole > limit]
        if long:
            warn(
                f"{counted(len(long), 'text')} of {len(self.texts)} {'is' if len(long) == 1 else 'are'} longer than "
                f"{limit} tokens {what} ({some(long)}){hint}"
            )

    def _lengths(self) -> list[tuple[int, int]]:
        """The number of tokens of each text, at most one more than the limit, and that without special ones."""
        limit = {} if self._longest is None else {"truncation": True, "max_length": self._longest + 1}
        special = {"return_special_tokens_mask": True} if self.skip_special_tokens else {}
        found = []
        for start in range(0, len(self.texts), 256):
            batch = self._tokenizer(self.texts[start : start + 256], **limit, **special, **self._split)
            added = map(sum, batch["special_tokens_mask"]) if special else [0] * len(batch["attention_mask"])
            whole = [int(sum(mask)) for mask in batch["attention_mask"]]
            found += [(n, n - more) for n, more in zip(whole, added, strict=True)]
        return found

    def digest(self) -> str:
        """Hash the tokens of all texts, to distinguish them from other texts or tokenizers.

        Returns
        -------
        str
            The hash in hexadecimal.
        """
        digest = hashlib.blake2b(digest_size=16)
        masks = ["attention_mask", *[POOLING_MASK] * self.skip_special_tokens]
        for batch in self:
            digest.update(json.dumps([batch[key].tolist() for key in ("input_ids", *masks)]).encode())
        return digest.hexdigest()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        options = {"return_special_tokens_mask": True} if self.skip_special_tokens else {}
        for _, batch in self._batches(**options):
            if not self.skip_special_tokens:
                yield batch
                continue
            inputs = dict(batch)
            special = inputs.pop("special_tokens_mask")
            yield {**inputs, POOLING_MASK: inputs["attention_mask"] * (1 - special)}

    def _batches(self, **options: bool) -> Iterator[tuple[list[Any], Mapping[str, Any]]]:
        """The texts of each batch, and what the tokenizer makes of them."""
        for start in range(0, len(self.texts), self.batch_size):
            listed = self.texts[start : start + self.batch_size]
            yield listed, self._tokenizer(listed, **self._options, **options)

    def tokens(self, sample_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """List the tokens of all texts, without padding, and without special tokens if those are skipped.

        Parameters
        ----------
        sample_ids : sequence of str or None, default None
            The ids of the texts; None means ``0, 1, …``.

        Returns
        -------
        DataFrame
            One row per token with the columns ``sample`` (its id ``text#token``, as in ``neuronym.collect``),
            ``parent`` (the id of its text), ``text``, ``word`` (the number of its word, from 0, for lists of words),
            and ``start`` and ``end`` (its characters in the text, or in the words joined by spaces). The last three
            are empty for special tokens such as ``[CLS]``, and if the tokenizer is not a fast one.
        """
        import pandas as pd

        fast = getattr(self._tokenizer, "is_fast", False)
        options = {"return_offsets_mapping": True} if fast else {}
        options |= {"return_special_tokens_mask": True} if fast or self.skip_special_tokens else {}
        rows: list[tuple[object, ...]] = []
        sample = 0
        for texts, batch in self._batches(**options):
            masks = batch["attention_mask"] * (1 - batch["special_tokens_mask"] if self.skip_special_tokens else 1)
            for i, (ids, mask) in enumerate(zip(batch["input_ids"].tolist(), masks.tolist(), strict=True)):
                parent = str(sample) if sample_ids is None else sample_ids[sample]
                pieces = self._tokenizer.convert_ids_to_tokens(ids)
                places = _places(batch, i, texts[i]) if fast else [(None, None, None)] * len(ids)
                rows += [(f"{parent}#{t}", parent, pieces[t], *places[t]) for t in range(len(ids)) if mask[t]]
                sample += 1
        return pd.DataFrame(rows, columns=list(TOKEN_COLUMNS)).astype(dict.fromkeys(_PLACES, "Int64"))


def _with_padding_token(tokenizer: Any) -> Any:
    """Return the tokenizer, or a copy with a padding token if it has none; any will do, since it is masked."""
    if getattr(tokenizer, "pad_token_id", 0) is not None:
        return tokenizer
    padded = copy.deepcopy(tokenizer)
    padded.pad_token = padded.eos_token or padded.bos_token or padded.unk_token or padded.convert_ids_to_tokens(0)
    return padded


def _longest(tokenizer: Any, max_length: int | None) -> int | None:
    """Return the number of tokens that texts are truncated to; None if there is no limit."""
    added = tokenizer.num_special_tokens_to_add() if hasattr(tokenizer, "num_special_tokens_to_add") else 0
    if max_length is not None and max_length <= added:
        more = f", because the tokenizer adds {added} to each text" if added else ""
        raise OptionError(f"max_length must be a whole number of at least {added + 1}{more}, not {max_length!r}")
    longest = min(max_length or 10**6, getattr(tokenizer, "model_max_length", None) or 10**6)
    return longest if longest < 10**6 else None


def _are_split(texts: Sequence[object]) -> bool:
    """Whether the texts are lists of words; a mix is refused."""
    pieces = (piece for text in texts for piece in (text if isinstance(text, list) else [text]))
    odd = [piece for piece in pieces if not isinstance(piece, str)]
    if odd:
        raise OptionError(
            f"each text must be a str, or a list of words that are str, but {len(odd)} are not ({some(odd)})"
        )
    split = [number for number, text in enumerate(texts) if isinstance(text, list)]
    if split and len(split) < len(texts):
        raise OptionError(
            f"{counted(len(split), 'text')} of {len(texts)} (number {some(split)}) are lists of words, and the others "
            "are not split: give lists of words for all texts or for none"
        )
    return bool(split)


def _places(batch: Any, i: int, text: str | list[str]) -> list[tuple[int | None, int | None, int | None]]:
    """The number of the word, if words are listed, and the characters of each token of a text of a batch."""
    offsets, special = batch["offset_mapping"][i].tolist(), batch["special_tokens_mask"][i].tolist()
    if isinstance(text, str):
        spans = zip(offsets, special, strict=True)
        return [(None, None, None) if out else (None, start, end) for (start, end), out in spans]
    first = list(accumulate((len(word) + 1 for word in text), initial=0))  # characters of words joined by spaces
    return [
        (None, None, None) if word is None else (word, first[word] + start, first[word] + end)
        for word, (start, end) in zip(batch.word_ids(i), offsets, strict=True)
    ]


def open_tokens(path: PathLike) -> pd.DataFrame:
    """Read a table of tokens.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` or ``.parquet`` file, as saved by ``save_tokens``.

    Returns
    -------
    DataFrame
        The columns of ``Texts.tokens``; ``text``, ``word``, ``start`` and ``end`` are empty if the file lacks them.

    Raises
    ------
    FileError
        If the file cannot be read, lacks the ids of tokens or texts, or has a place that is not a whole number.
    """
    return _read_tokens(path)[0]


def _read_tokens(path: PathLike) -> tuple[pd.DataFrame, list[str]]:
    """A table of tokens with all columns, and the names of those in the file."""
    table = read_frame(path, "tokens")
    names = list(table.columns)
    if names[:1] != [SAMPLE] or "parent" not in names or any(names.count(name) > 1 for name in TOKEN_COLUMNS):
        raise FileError(
            f"{str(path)!r} is no table of tokens: it needs a first column sample and a column parent, the ids of each "
            f"token and of its text, but has {some(names)}"
        )
    return complete_tokens(table, repr(str(path)), FileError), names


def complete_tokens(table: pd.DataFrame, owner: str, error: type[InputError]) -> pd.DataFrame:
    """The columns of ``Texts.tokens``, with whole numbers for places; those that the table lacks are empty."""
    import pandas as pd

    whole = table.reset_index(drop=True).reindex(columns=list(TOKEN_COLUMNS))
    try:
        places = {name: pd.to_numeric(whole[name]).astype("Int64") for name in _PLACES}
    except (ValueError, TypeError, OverflowError) as cause:
        raise error(f"word, start and end of {owner} must be whole numbers or empty: {first_line(cause)}") from cause
    return whole.assign(**places)


def check_tokens(tokens: pd.DataFrame, path: PathLike) -> None:
    """Raise if a file exists with other tokens than these, as ``save_tokens`` would."""
    if _found(tokens, path) == "other":
        check_target(path, overwrite=False)


def _found(tokens: pd.DataFrame, path: PathLike) -> Literal["same", "older", "other"] | None:
    """Compare tokens with those in a file, which is older if it lacks their places in the texts; None without one."""
    if not Path(path).exists():
        return None
    saved, names = _read_tokens(path)
    older = tuple(names) == _NAMED
    compared = list(_NAMED if older else TOKEN_COLUMNS)
    same = saved[compared].astype(str).equals(complete_tokens(tokens, "tokens", OptionError)[compared].astype(str))
    return "other" if not same else "older" if older else "same"


def save_tokens(tokens: pd.DataFrame, path: PathLike, *, overwrite: bool = False) -> None:
    """Save a table of tokens.

    An existing file with the same tokens is left as it is, unless it lacks the columns for their places in the texts.

    Parameters
    ----------
    tokens : DataFrame
        The table, as from ``Texts.tokens``.
    path : str or Path
        A file that ends in ``.csv`` or ``.parquet``.
    overwrite : bool, default False
        Replace the file if it exists.

    Raises
    ------
    FileError
        If the file exists with other tokens and ``overwrite`` is off, or cannot be written.
    OptionError
        If places in the table are not whole numbers.
    """
    kind = kind_of(path, (".csv", ".parquet"), "tokens")
    found = None if overwrite else _found(tokens, path)
    if found == "same":
        return
    with writing(path, overwrite or found == "older") as temporary:
        if kind == ".csv":
            tokens.to_csv(temporary, index=False)
        else:
            tokens.to_parquet(temporary, index=False)
