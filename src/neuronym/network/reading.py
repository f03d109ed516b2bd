"""Samples for a model, read from a folder of images, a table of texts or a table of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuronym.data.sparse import dense
from neuronym.errors import OptionError
from neuronym.io.files import open_activations
from neuronym.io.images import Images
from neuronym.io.texts import Texts, open_texts
from neuronym.network.models import LoadedModel, longest_text, say_preprocessing
from neuronym.types import PathLike

__all__ = ["read_samples"]


def read_samples(
    loaded: LoadedModel,
    images: PathLike | None = None,
    texts: PathLike | None = None,
    table: PathLike | None = None,
    *,
    skip_unreadable: bool = False,
    batch_size: int | None = None,
    max_length: int | None = None,
    skip_special_tokens: bool = False,
) -> tuple[Images | Texts | NDArray[np.float32], Sequence[str] | None]:
    """Read samples and prepare them as a model expects.

    Parameters
    ----------
    loaded : LoadedModel
        The model, with the preprocessing of its inputs.
    images, texts, table : str or Path, optional
        The source of the samples, exactly one of: a folder of images, a table with the columns ``sample`` and
        ``text`` or a CoNLL file, or a table of numbers with one row per sample.
    skip_unreadable : bool, default False
        Whether to leave out images that cannot be read, instead of raising an error.
    batch_size : int, optional
        The number of texts in a batch, which are padded to one length; 8 by default.
    max_length : int, optional
        The number of tokens that texts are truncated to, if the model and its tokenizer take as many.
    skip_special_tokens : bool, default False
        Whether tokens that the tokenizer adds to texts do not count.

    Returns
    -------
    data : Images, Texts, or float32 array of shape (n_samples, n_columns)
        The samples.
    ids : sequence of str or None
        The sample ids; None if the table has none.

    Raises
    ------
    OptionError
        If not exactly one source is given, or it is not of the kind that the model takes.
    FileError
        If a file cannot be read.
    """
    if sum(source is not None for source in (images, texts, table)) != 1:
        raise OptionError("give exactly one of images, texts and table (--images, --texts or --table)")
    if texts is not None:
        loaded = loaded.for_texts()
    if loaded.reads_text is not (texts is not None) and table is None:
        kind, option = ("texts", "--texts") if loaded.reads_text else ("images", "--images")
        hint = ", or return a pair of the model and its tokenizer" if loaded.is_default else ""
        raise OptionError(f"{loaded.name} takes {kind}: give {option}{hint}")
    if images is not None:
        say_preprocessing(loaded)
        photos = Images(images, loaded.prepare, skip_unreadable=skip_unreadable)
        return photos, photos.sample_ids
    if texts is not None:
        ids, listed = open_texts(texts)
        limits = [limit for limit in (max_length, longest_text(loaded.model)) if limit is not None]
        data = Texts(
            listed,
            loaded.prepare,
            batch_size=batch_size or 8,
            max_length=min(limits, default=None),
            skip_special_tokens=skip_special_tokens,
        )
        return data, ids
    opened = open_activations(Path(table or ""))
    return dense(opened.block(opened.indices())).astype(np.float32), opened.sample_ids
