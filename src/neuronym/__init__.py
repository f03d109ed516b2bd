"""Names for neurons: the logical formula of concepts that each neuron detects best, and how well.

Everything is loaded when it is first used: ``import neuronym`` alone loads no other package, not even numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors see; a test compares it with what is given
    from neuronym import analysis as analysis
    from neuronym import data as data
    from neuronym import demo as demo
    from neuronym import errors as errors
    from neuronym import inputs as inputs
    from neuronym import io as io
    from neuronym import labeling as labeling
    from neuronym import labels as labels
    from neuronym import network as network
    from neuronym import plots as plots
    from neuronym import report as report
    from neuronym import search as search
    from neuronym import stats as stats
    from neuronym import types as types
    from neuronym.analysis import circuits as circuits
    from neuronym.analysis import compose as compose
    from neuronym.analysis import spurious as spurious
    from neuronym.analysis.compare import compare_layers as compare_layers
    from neuronym.analysis.detect import detect as detect
    from neuronym.analysis.dissect import Dissection as Dissection
    from neuronym.analysis.dissect import MethodComparison as MethodComparison
    from neuronym.analysis.dissect import compare_methods as compare_methods
    from neuronym.analysis.dissect import dissect as dissect
    from neuronym.analysis.pairs import Pairs as Pairs
    from neuronym.analysis.pairs import pairs as pairs
    from neuronym.analysis.scores import agreement as agreement
    from neuronym.analysis.scores import compare_scores as compare_scores
    from neuronym.analysis.scores import evaluate_known as evaluate_known
    from neuronym.analysis.sweep import sweep as sweep
    from neuronym.data import Activations as Activations
    from neuronym.data import Concepts as Concepts
    from neuronym.data import Formula as Formula
    from neuronym.data import Hierarchy as Hierarchy
    from neuronym.errors import ActivationsError as ActivationsError
    from neuronym.errors import AlignmentError as AlignmentError
    from neuronym.errors import ConceptsError as ConceptsError
    from neuronym.errors import FileError as FileError
    from neuronym.errors import FormulaError as FormulaError
    from neuronym.errors import InputError as InputError
    from neuronym.errors import NeuronymError as NeuronymError
    from neuronym.errors import OptionError as OptionError
    from neuronym.errors import UnknownNameError as UnknownNameError
    from neuronym.errors import WorkerError as WorkerError
    from neuronym.io import check as check
    from neuronym.io import open_activations as open_activations
    from neuronym.io import open_concepts as open_concepts
    from neuronym.io import save_activations as save_activations
    from neuronym.io import save_concepts as save_concepts
    from neuronym.io import sources as sources
    from neuronym.labeling import label as label
    from neuronym.labeling import merge as merge
    from neuronym.labels import Explanation as Explanation
    from neuronym.labels import Label as Label
    from neuronym.labels import Labels as Labels
    from neuronym.labels import show as show
    from neuronym.network import collect as collect
    from neuronym.network import layers as layers

__version__ = "0.1.0"

_PACKAGES = {
    "neuronym": "analysis data demo errors inputs io labeling labels network plots report search stats types",
    "neuronym.analysis": "circuits compose spurious",
    "neuronym.io": "sources",
}
_NAMES = {
    "neuronym.analysis.compare": "compare_layers",
    "neuronym.analysis.detect": "detect",
    "neuronym.analysis.dissect": "Dissection MethodComparison compare_methods dissect",
    "neuronym.analysis.pairs": "Pairs pairs",
    "neuronym.analysis.scores": "agreement compare_scores evaluate_known",
    "neuronym.analysis.sweep": "sweep",
    "neuronym.data": "Activations Concepts Formula Hierarchy",
    "neuronym.errors": (
        "ActivationsError AlignmentError ConceptsError FileError FormulaError InputError NeuronymError OptionError "
        "UnknownNameError WorkerError"
    ),
    "neuronym.io": "check open_activations open_concepts save_activations save_concepts",
    "neuronym.labeling": "label merge",
    "neuronym.labels": "Explanation Label Labels show",
    "neuronym.network": "collect layers",
}
_PACKAGE_OF = {name: f"{home}.{name}" for home, names in _PACKAGES.items() for name in names.split()}
_HOME_OF = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = sorted([*_PACKAGE_OF, *_HOME_OF])


def __getattr__(name: str) -> object:
    if name in _PACKAGE_OF:
        found: object = import_module(_PACKAGE_OF[name])
    elif name in _HOME_OF:
        found = getattr(import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'neuronym' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
