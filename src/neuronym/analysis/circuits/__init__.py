"""Circuits: how a neuron is computed from the neurons of lower layers."""

from neuronym.analysis.circuits.ablation import Ablation, ablate
from neuronym.analysis.circuits.contributing import Contributions, compare, contributions
from neuronym.analysis.circuits.graph import Circuit, by_depth, find_circuit, open_circuit, save_circuit
from neuronym.analysis.circuits.observed import ObservedModel, Target, Where
from neuronym.analysis.circuits.study import CircuitStudy, circuit

__all__ = [
    "Ablation",
    "Circuit",
    "CircuitStudy",
    "Contributions",
    "ObservedModel",
    "Target",
    "Where",
    "ablate",
    "by_depth",
    "circuit",
    "compare",
    "contributions",
    "find_circuit",
    "open_circuit",
    "save_circuit",
]
