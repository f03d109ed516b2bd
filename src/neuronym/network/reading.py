"""Samples for a model, read from a folder of images, a table of texts or a table of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuronym.errors import OptionError
from neuronym.io.files import open_activations
from neuronym.io.images import Images
from neuronym.io.texts import Texts, open_texts
from neuronym.network.models import LoadedModel
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
) -> tuple[Any, Sequence[str] | None]:
    """Read samples in the form that a model takes.

    Parameters
    ----------
    loaded : LoadedModel
        It says how its inputs are prepared.
    images, texts, table : str or Path
        One of them: a folder of images, a table ``sample,text``, or a table of numbers, a row per sample.
    skip_unreadable : bool, default False
        Leave out images that cannot be read.
    batch_size : int, optional
        Texts that are padded to one length; 8 by default.

    Returns
    -------
    data : Images, Texts, or float32 array of shape (n_samples, n_columns)
    ids : sequence of str, one per sample, or None

    Raises
    ------
    OptionError
        If none or several of the three are given, or the model reads something else.
    FileError
        If a file cannot be read.
    """
    if sum(given is not None for given in (images, texts, table)) != 1:
        raise OptionError("samples must come from one of images, texts and table (--images, --texts or --table)")
    if loaded.reads_text is not (texts is not None) and table is None:
        reads, option = ("texts", "--texts") if loaded.reads_text else ("images", "--images")
        raise OptionError(f"{loaded.name} reads {reads}: give {option}")
    if images is not None:
        photos = Images(images, loaded.prepare, skip_unreadable=skip_unreadable)
        return photos, photos.sample_ids
    if texts is not None:
        ids, listed = open_texts(texts)
        longest = getattr(getattr(loaded.model, "config", None), "max_position_embeddings", None)
        return Texts(listed, loaded.prepare, batch_size=batch_size or 8, max_length=longest), ids
    opened = open_activations(Path(table or ""))
    return np.asarray(opened.matrix, np.float32), opened.sample_ids
