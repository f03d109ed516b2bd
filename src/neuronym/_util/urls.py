"""Paths of files on this machine, and URLs of those elsewhere, read alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from neuronym._util.extras import need
from neuronym.errors import FileError

__all__ = ["is_local", "located"]

#: A Path of a URL has one slash; a drive has one letter.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+", re.ASCII | re.IGNORECASE)


def located(path: str | Path) -> Path:
    """Return where a path or URL leads.

    Parameters
    ----------
    path : str or Path
        A path on this machine, or a URL that fsspec reads, such as ``s3://bucket/store.zarr``.

    Returns
    -------
    Path
        A path; for a URL, an object with the methods of one for reading.

    Raises
    ------
    OptionError
        If it is a URL, and the packages that read URLs are not installed.
    FileError
        If nothing is known that reads such URLs.
    """
    text = str(path)
    found = _URL.match(text)
    if found is None or (Path(f"{found[1]}:").exists() if isinstance(path, Path) else not found[0].endswith("//")):
        return Path(path)
    protocol, rest = found[1].lower(), text[found.end() :]
    if protocol in ("file", "local"):
        return Path("/", rest.removeprefix("localhost/"))
    need(f"{protocol}://", "remote")
    from upath import UPath

    try:
        there: Any = UPath(f"{protocol}://{rest}")
        again: Any = UPath(str(there))
    except ValueError as error:
        raise FileError(f"cannot read {text!r}: {error}") from None
    if again.storage_options != there.storage_options:  # workers are sent the text
        raise FileError(
            f"cannot read {text!r}: {protocol}:// with a host is not supported, so mount it, or copy it here"
        )
    return there  # type: ignore[no-any-return]


def is_local(path: str | Path) -> bool:
    """Whether what ``located`` returned, or its text, is on this machine."""
    return isinstance(path, Path) or (isinstance(path, str) and "://" not in path)
