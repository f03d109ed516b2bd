"""How much memory a part of the work takes at most."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Peak", "peak"]

_PROCESS = Path("/proc/self")
_RESET = "5"  # what sets the peak of this process to what it holds


class Peak:
    """The most memory that this process held while it was watched, beyond what it held before.

    Attributes
    ----------
    megabytes : float
        In units of 10⁶ bytes; NaN where the system does not say, which Linux does.
    """

    megabytes: float = math.nan


@contextmanager
def peak() -> Iterator[Peak]:
    """Watch the memory of this process, without that of workers that are processes."""
    found, before = Peak(), math.nan
    try:
        (_PROCESS / "clear_refs").write_text(_RESET)
        before = _held("VmRSS")
    except OSError:  # on another system, or where it is not allowed
        pass
    yield found
    if not math.isnan(before):
        found.megabytes = max(0.0, _held("VmHWM") - before)


def _held(name: str) -> float:
    """A size of this process by its name in the list of the kernel, in units of 10⁶ bytes."""
    try:
        listed = re.search(rf"^{name}:\s+(\d+) kB", (_PROCESS / "status").read_text(), re.MULTILINE)
    except OSError:
        return math.nan
    return math.nan if listed is None else int(listed[1]) * 1024 / 1e6
