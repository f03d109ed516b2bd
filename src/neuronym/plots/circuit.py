"""Plot of a circuit: layers from right to left, edges as wide as their share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuronym._util.files import check_target
from neuronym.analysis.circuits import Circuit
from neuronym.plots.drawing import INSIDE, OUTSIDE, PLAIN
from neuronym.plots.figures import new_figure, save_figure
from neuronym.types import Name, PathLike

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["plot_circuit"]

Node = tuple[str, Name]


def plot_circuit(found: Circuit, path: PathLike, *, overwrite: bool = False) -> None:
    """Draw a circuit with its target on the right; blue edges are positive contributions, orange ones negative.

    The width of an edge is its share of the contributions to the neuron that it points to.

    Parameters
    ----------
    found : Circuit
        The circuit.
    path : str or Path
        The file to write: ``.png``, ``.pdf`` or ``.svg``.
    overwrite : bool, default False
        Whether to replace an existing file.

    Raises
    ------
    FileError
        If the file exists and ``overwrite`` is off, or cannot be written.
    OptionError
        If matplotlib is missing.
    """
    check_target(path, overwrite)
    graph, layers = found.graph, found.layers
    columns = {layer: [neuron for of_layer, neuron in graph if of_layer == layer] for layer in layers}
    tallest = max(len(neurons) for neurons in columns.values())
    figure = new_figure(3.4 * len(columns), 1.2 + 0.45 * tallest)
    axis = figure.subplots()
    axis.axis("off")
    spots: dict[Node, tuple[float, float]] = {}
    for level, (layer, neurons) in enumerate(columns.items()):
        for row, neuron in enumerate(_untangled(graph, layer, neurons, spots)):
            spots[layer, neuron] = (-float(level), tallest * (1 - (row + 0.5) / len(neurons)))
        axis.text(-level, tallest + 0.3, layer, ha="center", fontsize=10, weight="bold", **PLAIN)
    for lower, upper, edge in graph.edges(data=True):
        widest = max(other["share"] for other in graph.pred[upper].values())
        (x0, y0), (x1, y1) = spots[lower], spots[upper]
        colour, width = INSIDE if edge["contribution"] > 0 else OUTSIDE, 0.4 + 3 * edge["share"] / widest
        axis.plot([x0, x1], [y0, y1], color=colour, lw=width, alpha=0.6, zorder=1)
    for node, (x, y) in spots.items():
        about = graph.nodes[node]
        name = f"{node[1]} {about.get('name', '')}".strip()
        formula = f"\n{_cut(about['formula'])}  {about['auc']:.2f}" if "formula" in about else ""
        box = {"boxstyle": "round", "fc": "white", "ec": "0.6", "lw": 0.6}
        axis.text(x, y, _cut(name) + formula, ha="center", va="center", fontsize=7, **PLAIN, bbox=box)
    axis.set(xlim=(-len(columns) + 0.5, 0.5), ylim=(-0.2, tallest + 0.7))
    save_figure(figure, path, overwrite)


def _cut(text: str, most: int = 44) -> str:
    """Cut a text to a number of characters, ending it with …."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _untangled(
    graph: nx.DiGraph[Node], layer: str, neurons: Sequence[Name], spots: Mapping[Node, tuple[float, float]]
) -> list[Name]:
    """Order neurons by the mean height of the neurons that they contribute to, so that few edges cross."""

    def height(neuron: Name) -> float:
        above = [(edge["share"], spots[upper][1]) for upper, edge in graph.succ[layer, neuron].items()]
        weight = sum(share for share, _ in above)
        return -sum(share * y for share, y in above) / weight if weight else 0.0

    return sorted(neurons, key=height)
