"""Texts as samples for a model, and their tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.files import kind_of, reading, writing
from neuronym.data.hierarchy import Hierarchy
from neuronym.errors import FileError, OptionError
from neuronym.io.tables import SAMPLE, text_column
from neuronym.types import PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Texts", "open_class_names", "open_parents", "open_texts", "save_tokens"]


def open_texts(path: PathLike) -> tuple[list[str] | None, list[str]]:
    """The sample ids, if there are any, and the texts of a table, ``.csv`` or ``.parquet``, with a column ``text``.

    Raises
    ------
    FileError
        If the file cannot be read or has no such column.
    """
    return text_column(path, "text", "texts")


def open_parents(path: PathLike) -> tuple[list[str], list[str]]:
    """The ids of tokens, and of the text that each is in, of a table with the columns ``sample`` and ``parent``.

    Raises
    ------
    FileError
        If the file cannot be read or lacks one of them.
    """
    ids, parents = text_column(path, "parent", "texts")
    if ids is None:
        raise FileError(f"{str(path)!r} needs a first column sample with the ids of the tokens")
    return ids, parents


def open_class_names(path: PathLike) -> list[str]:
    """Read the names of a model's outputs, one a line, with WordNet's ids in words.

    Raises
    ------
    FileError
        If the file cannot be read, or has an empty line.
    """
    with reading(path, "class names"):
        names = Path(path).read_text(encoding="utf-8").splitlines()
    if not all(name.strip() for name in names):
        raise FileError(f"cannot read class names from {str(path)!r}: one name in each line is expected")
    readable = Hierarchy.imagenet().readable(name.strip() for name in names)
    return [readable[name.strip()] for name in names]


class Texts:
    """Batches of tokens for a model of Hugging Face, padded to the longest text of the batch.

    Parameters
    ----------
    texts : one per sample
    tokenizer : called with a list of texts, gives ``input_ids`` and ``attention_mask``; as of Hugging Face
    batch_size : texts in a batch
    max_length : the most tokens of a text; what is longer is cut
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
        """Tells these texts, as tokens of this tokenizer, from others: a hash."""
        told = hashlib.blake2b(digest_size=16)
        for batch in self:
            told.update(json.dumps([batch["input_ids"].tolist(), batch["attention_mask"].tolist()]).encode())
        return told.hexdigest()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for start in range(0, len(self.texts), self.batch_size):
            yield self._tokenize(self.texts[start : start + self.batch_size])

    def tokens(self, sample_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """Every token that counts: ``sample`` (``text#token``, as ``collect`` names it), ``parent`` and ``text``."""
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
    """Save a table of tokens as ``.csv`` or ``.parquet``; one that is there already and holds the same is left."""
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
