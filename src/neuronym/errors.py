"""The one tree of errors.

::

    NeuronymError
    └── InputError (also a ValueError)      what came in cannot be used; the message says what to do
        ├── FormulaError                    text that is no formula
        ├── ConceptsError                   concepts that are not yes/no, not named once, not one row per sample
        ├── ActivationsError                activations that are no samples × neurons matrix of finite numbers
        ├── AlignmentError                  activations and concepts of other samples
        ├── OptionError                     an option outside of its range
        ├── FileError                       a file that is missing, broken, of another kind or in the way
        └── UnknownNameError (also a KeyError)   a concept, neuron or layer that is not there
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = [
    "ActivationsError",
    "AlignmentError",
    "ConceptsError",
    "FileError",
    "FormulaError",
    "InputError",
    "NeuronymError",
    "OptionError",
    "UnknownNameError",
]


class NeuronymError(Exception):
    """What neuronym raises on purpose."""

    __str__ = Exception.__str__


class InputError(NeuronymError, ValueError):
    """Input that cannot be used."""


class FormulaError(InputError):
    """Text that is no formula."""


class ConceptsError(InputError):
    """Concepts that cannot be used."""


class ActivationsError(InputError):
    """Activations that cannot be used."""


class AlignmentError(InputError):
    """Activations and concepts that do not belong to the same samples."""


class OptionError(InputError):
    """An option outside of its range."""


class FileError(InputError):
    """A file that cannot be read or may not be written."""


class UnknownNameError(InputError, KeyError):
    """A name that is not there."""


def no_such(kind: str, name: object, known: Sequence[object]) -> UnknownNameError:
    """Make the error for a name that is not among ``known``, with the nearest ones."""
    from difflib import get_close_matches

    near = get_close_matches(str(name), [str(k) for k in known], n=3, cutoff=0.5)
    hint = f"; near it: {some(near)}" if near else f"; there are {len(known)}, such as {some(known)}" if known else ""
    return UnknownNameError(f"no {kind} {str(name)!r}{hint}")


def counted(n: int, noun: str) -> str:
    """A number and what it counts, for a message: ``1 row``, ``2 rows``, ``2 classes``."""
    return f"{n} {noun}" + ("" if n == 1 else "es" if noun.endswith("s") else "s")


def some(items: Iterable[object], limit: int = 3) -> str:
    """Quote the first few items for a message: ``'a', 'b', 'c' and 7 more``."""
    listed = list(items)
    text = ", ".join(repr(i) if isinstance(i, str) else str(i) for i in listed[:limit])
    return text + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
