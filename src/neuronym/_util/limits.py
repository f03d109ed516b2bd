"""The bounds on what is read and asked for, which docs/limits.md lists: no small file may take all memory or hours."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from neuronym.errors import FileError, OptionError

__all__ = [
    "AXIS",
    "BEAM",
    "COLUMNS",
    "CORNER",
    "FAMILY",
    "FORMULA",
    "IN_MEMORY",
    "LENGTH",
    "LEVELS",
    "NARROW",
    "PERMUTATIONS",
    "PIXELS",
    "RESAMPLES",
    "SHOWN",
    "TITLE",
    "check_most",
    "check_unpacked",
]

AXIS = 10**9  # samples or neurons of an array in a Zarr store
BEAM = 10_000  # formulas in a beam: the time grows with its square
COLUMNS = 100_000  # of a text table
CORNER = 100_000  # the largest coordinate of an outline, in pixels: its boundary is followed in steps
FAMILY = 2**27  # p-values that are kept for q by Benjamini and Hochberg, at 16 bytes each: 2 GiB
FORMULA = 10**6  # characters of a formula's text
IN_MEMORY = 10**7  # pairs of neurons and concepts that are kept in memory without being asked for
LENGTH = 1000  # concepts in a formula
LEVELS = 100_000  # of a hierarchy: a concept may have all that are above it as ancestors
NARROW = 8  # how often the shorter side of an image may fit into the longer one, before the ends are cut off
PERMUTATIONS = 10**7
PIXELS = 10**8  # of the masks of a photo
RATIO, UNPACKED = 200, 2**30  # times its size that a file may take unpacked, if it takes more bytes
RESAMPLES = 10**5  # bootstrap samples, for the stability of labels
SHOWN = 1000  # samples of each kind that a report shows for a neuron
TITLE = 1000  # characters of a report's title


def check_most(values: Iterable[tuple[str, object, int]]) -> None:
    """Refuse options above their bounds.

    Parameters
    ----------
    values : iterable of (str, object, int)
        The name of each option, its value, which may be no number, and the most that it may be.

    Raises
    ------
    OptionError
        If one is.
    """
    for name, value, most in values:
        if isinstance(value, int) and value > most:
            raise OptionError(f"{name} must be at most {most:,}, not {value:,}")


def check_unpacked(path: str | Path, what: str, n_bytes: int) -> None:
    """Refuse a compressed file whose contents do not fit in this machine's memory, or are nearly nothing blown up.

    Raises
    ------
    FileError
        If they do not, or are.
    """
    memory, packed = _memory(), Path(path).stat().st_size
    if memory and n_bytes > memory:
        why = f"this machine has {memory / 2**30:.1f} GiB of memory"
    elif n_bytes > max(UNPACKED, RATIO * packed):
        why = f"the file has {packed:,} bytes, and more than {RATIO} times as much is refused"
    else:
        return
    raise FileError(
        f"cannot read {what} from {str(path)!r}: unpacked, it takes {n_bytes / 2**30:.1f} GiB, but {why}: divide it, "
        "or save activations as .npy or in a Zarr store, which are read in parts"
    )


def _memory() -> int:
    """The bytes of this machine's memory; 0 if they cannot be found out."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 0
