"""A network's labels beside those of baselines, such as untrained networks of the same architecture, by layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from neuronym._util.messages import some
from neuronym.errors import OptionError
from neuronym.labels.label import Label
from neuronym.labels.labels import Labels
from neuronym.types import LabelsLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_layers"]

#: The measures of a layer, by which a network and its baselines are compared.
MEASURES = ("auc", "auc_heldout", "believable", "concepts")


def compare_layers(
    labels: LabelsLike, baselines: LabelsLike | Iterable[LabelsLike] | Mapping[str, LabelsLike], *, q: float = 0.05
) -> pd.DataFrame:
    """Compare the labels of a network with those of baselines, layer by layer.

    A baseline is the same network with weights drawn anew, by ``collect(reinitialise=seed)``, labelled with the same
    concepts, samples and options; use several seeds. ``p_search`` asks whether activations depend on the concepts,
    and those of an untrained network do; what training adds is what exceeds the baselines.

    Parameters
    ----------
    labels : LabelsLike
        The labels of the network, or their file.
    baselines : LabelsLike, iterable of LabelsLike, or mapping from str to LabelsLike
        The labels of one or more baselines, or their files, with names if a mapping.
    q : float, default 0.05
        The level of believable labels, as in ``Labels.significant``.

    Returns
    -------
    DataFrame
        One row per layer and set of labels, the network first, with the columns

        - ``layer`` (None without layers), ``network``: the name of the set, ``"network"`` or that of a baseline;
        - ``neurons``: the number of neurons that are not constant;
        - ``auc``, ``auc_heldout``: the median AUC on the samples searched, and on held-out samples (NaN without);
        - ``believable``: the share of these neurons whose label is significant at ``q``, by ``p_search`` or by p on
          held-out samples (NaN without either);
        - ``concepts``: the number of different concepts in the formulas of the believable labels, or of all labels if
          it is unknown which these are.

    Raises
    ------
    OptionError
        If there are no baselines, a layer of the network is missing from one, or only one of the two was labelled with
        evidence.
    """
    import pandas as pd

    opened = _opened(labels)
    named = _named(baselines)
    layers = list(dict.fromkeys(label.layer for label in opened))
    rows: list[dict[str, Any]] = []
    for name, one in {"network": opened, **named}.items():
        of_layer: dict[str | None, list[Label]] = {}
        for label in one:
            of_layer.setdefault(label.layer, []).append(label)
        missing = [str(layer) for layer in layers if layer not in of_layer]
        if missing:
            raise OptionError(
                f"{name} has no labels of layer {some(missing)}, only of {some([str(x) for x in of_layer])}: label "
                "the same layers of the network and of its baselines"
            )
        rows += [{"layer": layer, "network": name, **_measured(of_layer[layer], q)} for layer in layers]
    table = pd.DataFrame(rows)
    for column in ("auc_heldout", "believable"):
        unknown = table.groupby("network")[column].apply(lambda values: values.isna().all())
        if unknown.any() and not unknown.all():
            raise OptionError(
                f"{column} is known of {some(unknown.index[~unknown].tolist())} and not of "
                f"{some(unknown.index[unknown].tolist())}: label the network and its baselines with the same options"
            )
    order = {layer: place for place, layer in enumerate(layers)}
    return table.sort_values("layer", key=lambda column: column.map(order), kind="stable", ignore_index=True)


def _opened(labels: LabelsLike) -> Labels:
    """Open labels unless they are open."""
    return labels if isinstance(labels, Labels) else Labels.open(labels)


def _named(baselines: LabelsLike | Iterable[LabelsLike] | Mapping[str, LabelsLike]) -> dict[str, Labels]:
    """Return the baselines by name."""
    if isinstance(baselines, Mapping):
        found = {str(name): _opened(one) for name, one in baselines.items()}
    else:
        listed: Sequence[Any] = [baselines] if isinstance(baselines, Labels | str | Path) else list(baselines)
        found = {f"baseline {k}" if len(listed) > 1 else "baseline": _opened(one) for k, one in enumerate(listed, 1)}
    if not found or "network" in found:
        raise OptionError("baselines must be the labels of one or more baselines, none of them named 'network'")
    return found


def _measured(labels: Sequence[Label], q: float) -> dict[str, float]:
    """Return the measures of the labels of a layer."""
    alive = [label for label in labels if label.reason != "constant"]
    found = [label for label in alive if label.best is not None]
    tested = any(not math.isnan(label.q) or (label.held_out and not math.isnan(label.p)) for label in found)
    searched = any(not math.isnan(label.q) for label in found)
    kept = list(Labels(found).significant(q, by="p_search" if searched else "p")) if tested else found
    neurons = {label.neuron for label in alive}
    return {
        "neurons": len(neurons),
        "auc": _median([label.auc for label in found]),
        "auc_heldout": _median([label.auc_heldout for label in found]),
        "believable": len({label.neuron for label in kept}) / len(neurons) if tested and neurons else math.nan,
        "concepts": len({name for label in kept if label.formula is not None for name in label.formula.concepts}),
    }


def _median(values: Sequence[float]) -> float:
    """Return the median of the values that are known."""
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan


def by_layer(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return, for each layer, the network's measures beside the mean and the range of the baselines'.

    Parameters
    ----------
    table : DataFrame
        The return value of ``compare_layers``.

    Returns
    -------
    list of dict
        Per layer: ``layer``, ``baselines`` (their number), and per measure a tuple of the network's, and the
        baselines' mean, lowest and highest.
    """
    found = []
    for layer in dict.fromkeys(table["layer"]):
        of_layer = table[table["layer"].isna() if layer is None else table["layer"] == layer]
        own, others = of_layer[of_layer["network"] == "network"], of_layer[of_layer["network"] != "network"]
        row: dict[str, Any] = {"layer": layer, "baselines": len(others)}
        for name in MEASURES:
            values = [float(value) for value in others[name] if not math.isnan(value)]
            low, high = (min(values), max(values)) if values else (math.nan, math.nan)
            row[name] = (float(own[name].iloc[0]), fmean(values) if values else math.nan, low, high)
        found.append(row)
    return found
