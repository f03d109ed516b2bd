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
