"""Wording of messages, and warnings that point at the user's own line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from neuronym._util.characters import shortened
from neuronym.errors import UnknownNameError

__all__ = ["counted", "no_such", "some", "warn"]

_PACKAGE = str(Path(__file__).parents[1])
_LONGEST = 1000  # characters of a name in a message, which leaves paths whole


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called into this package, however deep inside it the warning is issued."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)


def no_such(kind: str, name: object, known: Sequence[object]) -> UnknownNameError:
    """Make the error for a name that is not among ``known``, which suggests the nearest ones."""
    from difflib import get_close_matches

    near = get_close_matches(str(name), [str(k) for k in known], n=3, cutoff=0.5)
    hint = f"; near it: {some(near)}" if near else f"; there are {len(known)}, such as {some(known)}" if known else ""
    return UnknownNameError(f"no {kind} {shortened(str(name), _LONGEST)}{hint}")


def counted(n: int, noun: str) -> str:
    """Format a count for a message: ``1 row``, ``2 rows``, ``2 classes``."""
    return f"{n} {noun}" + ("" if n == 1 else "es" if noun.endswith("s") else "s")


def some(items: Iterable[object], limit: int = 3) -> str:
    """List the first few items for a message: ``'a', 'b', 'c' and 7 more``."""
    listed = list(items)
    text = ", ".join(shortened(i, _LONGEST) if isinstance(i, str) else str(i) for i in listed[:limit])
    return text + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
