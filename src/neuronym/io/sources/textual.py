"""Concepts of texts and tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuronym.data.concepts import Concepts
from neuronym.data.ids import counted_ids
from neuronym.errors import OptionError
from neuronym.io.files import open_concepts
from neuronym.io.texts import open_parents, open_texts
from neuronym.types import PathLike

if TYPE_CHECKING:
    pass

from neuronym.io.sources.finishing import check_out, finish

__all__ = ["from_regex", "from_tokens"]


def from_regex(
    texts: Iterable[str] | PathLike,
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
    texts : iterable of str, str or Path
        The texts, or the path of a table ``sample,text``.
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
    if isinstance(texts, str | Path):
        table_ids, texts = open_texts(texts)
        sample_ids = table_ids if sample_ids is None else sample_ids
    matches = [[pattern.search(text) is not None for pattern in compiled.values()] for text in texts]
    matrix = np.array(matches, np.bool_).reshape(len(matches), len(compiled))
    concepts = Concepts.from_array(matrix, list(compiled), sample_ids=sample_ids)
    return finish(concepts, None, min_count, True, out, overwrite)


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
    of_texts = concepts if isinstance(concepts, Concepts) else open_concepts(concepts)
    if of_texts.sample_ids is None:
        of_texts = of_texts.with_ids(counted_ids(of_texts.n_samples))
    return finish(of_texts.to_tokens(ids, parents), None, min_count, True, out, overwrite)
