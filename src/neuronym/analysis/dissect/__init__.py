"""Where neurons are active in photos: Network Dissection and Compositional Explanations by pixels."""

from neuronym.analysis.dissect.dissecting import Dissection, dissect
from neuronym.analysis.dissect.methods import MethodComparison, compare_methods

__all__ = ["Dissection", "MethodComparison", "compare_methods", "dissect"]
