"""Memory settings of commands that run a model."""

from __future__ import annotations

import ctypes

__all__ = ["keep_memory"]


def keep_memory() -> None:
    """Make glibc keep freed memory, since returning it after every layer takes up to half of a pass on a CPU."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # not glibc
        return
    mallopt(-4, 0)  # M_MMAP_MAX: no separate mapping for large blocks
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
