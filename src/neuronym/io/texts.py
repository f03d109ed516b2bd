"""Texts as samples for a model, and their tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.files import kind_of, reading, writing
from neuronym.data.hierarchy import Hierarchy
from neuronym.data.ids import SAMPLE
from neuronym.errors import FileError, OptionError
from neuronym.io.tables import text_column
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Texts", "open_class_names", "open_parents", "open_texts", "save_tokens"]


def open_texts(path: PathLike) -> tuple[list[str] | None, list[str]]:
    """Read the texts of a table.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` or ``.parquet`` file with a column ``text`` and, if samples have ids, a first column ``sample``.

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
    """Batches of tokens for a Hugging Face model, padded to the longest text of the batch.

    Iterating yields the tokenizer's output for each batch.

    Parameters
    ----------
    texts : sequence of str
        One text per sample.
    tokenizer : callable
        A Hugging Face tokenizer, or one like it: it takes a list of texts and returns ``input_ids`` and
        ``attention_mask``.
    batch_size : int, default 8
        The number of texts per batch.
    max_length : int or None, default None
        Truncate texts to this number of tokens; None means the tokenizer's own limit.

    Raises
    ------
    OptionError
        If ``batch_size`` is below 1.
    """

    def __init__(
        self, texts: Sequence[str], tokenizer: Any, *, batch_size: int = 8, max_length: int | None = None
    ) -> None:
        if batch_size < 1:
            raise OptionError(f"batch_size must be a whole number of at least 1, not {batch_size!r}")
        self.texts, self.batch_size = list(texts), batch_size
        self.n_samples = len(self.texts)
        longest = min(max_length or 10**6, getattr(tokenizer, "model_max_length", None) or 10**6)
        cut = {"truncation": True, "max_length": longest} if longest < 10**6 else {}
        self._tokenize: Callable[[list[str]], Mapping[str, Any]] = lambda listed: tokenizer(
            listed, padding=True, return_tensors="pt", **cut
        )
        self._tokenizer = tokenizer

    def digest(self) -> str:
        """Hash the tokens of all texts, to distinguish them from other texts or tokenizers.

        Returns
        -------
        str
            The hash in hexadecimal.
        """
        digest = hashlib.blake2b(digest_size=16)
        for batch in self:
            digest.update(json.dumps([batch["input_ids"].tolist(), batch["attention_mask"].tolist()]).encode())
        return digest.hexdigest()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for start in range(0, len(self.texts), self.batch_size):
            yield self._tokenize(self.texts[start : start + self.batch_size])

    def tokens(self, sample_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """List the tokens of all texts, without padding.

        Parameters
        ----------
        sample_ids : sequence of str or None, default None
            The ids of the texts; None means ``0, 1, …``.

        Returns
        -------
        DataFrame
            One row per token with the columns ``sample`` (its id ``text#token``, as in ``neuronym.collect``),
            ``parent`` (the id of its text) and ``text``.
        """
        import pandas as pd

        rows = []
        sample = 0
        for batch in self:
            for ids, mask in zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist(), strict=True):
                parent = str(sample) if sample_ids is None else sample_ids[sample]
                words = self._tokenizer.convert_ids_to_tokens(ids)
                rows += [(f"{parent}#{t}", parent, word) for t, word in enumerate(words) if mask[t]]
                sample += 1
        return pd.DataFrame(rows, columns=[SAMPLE, "parent", "text"])


def save_tokens(tokens: pd.DataFrame, path: PathLike, *, overwrite: bool = False) -> None:
    """Save a table of tokens.

    An existing file with the same tokens is left as it is.

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
    """
    kind = kind_of(path, (".csv", ".parquet"), "tokens")
    if Path(path).exists() and not overwrite:
        same = text_column(path, "parent", "texts") == (list(tokens[SAMPLE]), list(tokens["parent"]))
        if same and text_column(path, "text", "texts")[1] == list(tokens["text"]):
            return
    with writing(path, overwrite) as temporary:
        if kind == ".csv":
            tokens.to_csv(temporary, index=False)
        else:
            tokens.to_parquet(temporary, index=False)
