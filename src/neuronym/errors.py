"""The hierarchy of errors.

::

    NeuronymError
    ├── WorkerError                         workers of a cluster are lost again and again
    └── InputError (also a ValueError)      invalid input; the message says what to do
        ├── FormulaError                    text that is not a formula
        ├── ConceptsError                   concepts that are not yes or no, uniquely named, one row per sample
        ├── ActivationsError                activations that are not a samples × neurons matrix of finite numbers
        ├── AlignmentError                  activations and concepts of different samples
        ├── OptionError                     an option with an invalid value
        ├── FileError                       a file that is missing, broken, of the wrong kind, or exists already
        └── UnknownNameError (also a KeyError)   a concept, neuron, layer or other name that does not exist
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
    "WorkerError",
]


class NeuronymError(Exception):
    """Base class of neuronym's errors."""

    __str__ = Exception.__str__


class WorkerError(NeuronymError):
    """Tasks that came back from no worker."""


class InputError(NeuronymError, ValueError):
    """Invalid input."""


class FormulaError(InputError):
    """Text that is not a formula."""


class ConceptsError(InputError):
    """Concepts that cannot be used."""


class ActivationsError(InputError):
    """Activations that cannot be used."""


class AlignmentError(InputError):
    """Activations and concepts of different samples."""


class OptionError(InputError):
    """An option with an invalid value."""


class FileError(InputError):
    """A file that cannot be read or written."""


class UnknownNameError(InputError, KeyError):
    """A name that does not exist."""
