"""INVERT, Network Dissection and Compositional Explanations on the same neurons, photos and concepts."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym._util.files import kind_of, read_json, writing
from neuronym._util.memory import peak
from neuronym.analysis.dissect.dissecting import Dissection, dissect, maps_of_layers
from neuronym.data.activations import as_name
from neuronym.errors import FileError
from neuronym.labeling.labeling import label
from neuronym.labels.labels import Labels
from neuronym.labels.rescoring import rescore
from neuronym.search.beam import Rules
from neuronym.types import Align, JsonDict, Name, PathLike, SearchMethod

if TYPE_CHECKING:
    import pandas as pd

    from neuronym.types import MapsLike, MasksLike

__all__ = ["MethodComparison", "compare_methods"]

_KIND, _FORMAT = "neuronym methods", 1
_OF_METHOD = (
    "neurons", "compared", "length", "iou", "auc", "same", "same_concepts", "overlap", "seconds", "memory",
)  # fmt: skip
_OF_NEURON = ("formula", "iou", "auc")


@dataclass(frozen=True)
class MethodComparison:
    """What several methods say about the same neurons; made by ``compare_methods``.

    Parameters
    ----------
    table : DataFrame
        One row per method: ``method``; ``neurons`` with a formula; ``compared``, for how many neurons every method has
        a formula with both measures; over these, the means of ``length``, ``iou`` (of pixels) and ``auc`` (of photos),
        the shares ``same`` with INVERT's formula and ``same_concepts`` with its concepts, and ``overlap``, the mean
        Jaccard index of the photos where its formula and INVERT's are true; ``seconds``; and ``memory`` in units of 10⁶
        bytes, the most beyond what was held before (NaN on systems other than Linux; without processes of workers).
    neurons : DataFrame
        One row per neuron and method: ``layer``, ``neuron``, ``method``, ``formula``, ``iou``, ``auc``.
    held_out : bool
        Whether ``iou`` and ``auc`` are those on photos that no method searched.
    labels : mapping from str to Labels
        The labels by method; empty if read from a file.
    """

    table: pd.DataFrame
    neurons: pd.DataFrame
    held_out: bool
    labels: Mapping[str, Labels]

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Save the tables.

        Parameters
        ----------
        path : str or Path
            The file, ``.json``.
        overwrite : bool, default False
            Whether to replace a file that exists.

        Raises
        ------
        FileError
            If it exists, or cannot be written.
        """
        kind_of(path, (".json",), "a comparison of methods")
        content = {
            "kind": _KIND,
            "format": _FORMAT,
            "held_out": self.held_out,
            "table": _records(self.table),
            "neurons": _records(self.neurons),
        }
        with writing(path, overwrite) as temporary:
            temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def open(cls, path: PathLike) -> MethodComparison:
        """Read the tables.

        Parameters
        ----------
        path : str or Path
            A file that ``save`` wrote.

        Returns
        -------
        MethodComparison
            The comparison, without labels.

        Raises
        ------
        FileError
            If it cannot be read or is no such file.
        """
        import pandas as pd

        content = read_json(path, "a comparison of methods")
        if not isinstance(content, dict) or content.get("kind") != _KIND:
            raise FileError(f"{str(path)!r} is no comparison of methods: give what neuronym methods --out wrote")
        if content.get("format") != _FORMAT:
            raise FileError(
                f"{str(path)!r} is of format {content.get('format')!r}, and this version reads {_FORMAT}: install a "
                "newer neuronym"
            )
        columns = {"table": ("method", *_OF_METHOD), "neurons": ("layer", "neuron", "method", *_OF_NEURON)}
        tables = {}
        for name, wanted in columns.items():
            rows = content.get(name)
            if not isinstance(rows, list) or not all(isinstance(row, dict) and {*row} == {*wanted} for row in rows):
                raise _damaged(path, f"its {name} must have the columns {', '.join(wanted)}")
            for row in rows:
                _check_row(row, path)
            texts = [one for one in ("layer", "formula") if one in wanted]  # which may be missing, and are None then
            tables[name] = pd.DataFrame(rows, columns=list(wanted)).assign(
                **{one: pd.Series([row[one] for row in rows], dtype=object) for one in texts}
            )
        methods = tables["table"]["method"].tolist()
        if not isinstance(content.get("held_out"), bool) or len({*methods}) < len(methods):
            raise _damaged(path, "held_out must be true or false, and each method be listed once")
        if not {*tables["neurons"]["method"]} <= {*methods}:
            raise _damaged(path, "its neurons have a method that its table lacks")
        for table, names in zip(tables.values(), ([*_OF_METHOD], ["iou", "auc"]), strict=True):
            table[names] = table[names].astype(float)
        tables["neurons"]["neuron"] = [as_name(name) for name in tables["neurons"]["neuron"]]
        return cls(tables["table"], tables["neurons"], content["held_out"], {})


def _damaged(path: PathLike, why: str) -> FileError:
    return FileError(f"{str(path)!r} is damaged: {why}")


def _check_row(row: Mapping[str, object], path: PathLike) -> None:
    """Refuse a row of a file whose cells are not of their types."""
    for name, value in row.items():
        if name == "neuron":
            right = isinstance(value, str | int) and not isinstance(value, bool)
        elif name in ("layer", "formula", "method"):
            right = isinstance(value, str) or (value is None and name != "method")
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            right = value is None or (number and math.isfinite(value))  # type: ignore[arg-type]
        if not right:
            raise _damaged(path, f"{name} cannot be {value!r}")


def compare_methods(
    maps: MapsLike,
    masks: MasksLike,
    *,
    layers: Sequence[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    length: int = Rules.length,
    quantile: float = 0.995,
    crop: float | Literal["whole"] | None = None,
    beam: int = Rules.beam,
    search: SearchMethod = Rules.search,
    budget: int = Rules.budget,
    min_fraction: float = Rules.min_fraction,
    max_fraction: float = Rules.max_fraction,
    min_count: int = Rules.min_count,
    pool: str = "mean",
    holdout: float | None = None,
    seed: int = 0,
    align: Align = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> MethodComparison:
    """Label the same neurons by INVERT, Network Dissection and Compositional Explanations.

    Each formula is measured by both scores: the IoU of pixels, and the AUC of the pooled maps of photos, where a
    concept holds for a photo if any pixel shows it.

    Parameters
    ----------
    maps, masks : MapsLike, MasksLike
        As for ``dissect``.
    layers : sequence of str, optional
        The layers; all by default.
    neurons : iterable of int or str, or slice, optional
        The neurons, by name, or a slice of them; all by default.
    length : int, default 3
        The largest number of concepts in the formulas of INVERT and Compositional Explanations.
    quantile : float, default 0.995
        The quantile of a neuron's activations that is its threshold, for IoU.
    crop : float or "whole", optional
        The part of photos that the network saw, as for ``dissect``.
    beam, search, budget : optional
        How formulas are searched, as for ``neuronym.label``.
    min_fraction, max_fraction : float, default 0.0 and 0.5
        Bounds on the share of the photos for which a formula of INVERT is true.
    min_count : int, default 20
        The fewest photos, or pixels, for which a formula is true.
    pool : {"mean", "max"}, default "mean"
        How maps become one number for a photo, for AUC.
    holdout : float, optional
        The fraction of the photos to hold out: then formulas come from the others, and are measured on these.
    seed : int, default 0
        The seed of the choice of photos to hold out.
    align : bool or "position", default False
        If sample ids differ, keep the photos that both sides have; ``"position"`` ignores ids.
    n_jobs : int, optional
        The number of parallel jobs, as in scikit-learn.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    MethodComparison
        A table of the methods, and one of the neurons.

    Raises
    ------
    InputError
        As for ``dissect`` and ``neuronym.label``.

    Notes
    -----
    ``seconds`` and ``memory`` of the methods by pixels include drawing the masks and counting pixels, and of INVERT
    pooling the maps; collecting the maps is not included. ``neuronym.agreement`` compares any two of ``labels``.
    """
    import pandas as pd

    given = maps_of_layers(maps, layers)
    if neurons is not None and not isinstance(neurons, slice | str | int | np.integer | np.ndarray):
        neurons = list(neurons)  # used again for each method
    how: dict[str, Any] = {"beam": beam, "search": search, "budget": budget, "min_count": min_count, "n_jobs": n_jobs}
    _prepare()
    costs = {}
    with _measured() as cost:
        counted = dissect(
            given, masks, neurons=neurons, quantile=quantile, crop=crop, holdout=holdout, seed=seed, align=align,
            progress=progress, **how,
        )  # fmt: skip
    with _measured() as again:
        labels = {"NetDissect": counted.search(1, **how)}
    costs["NetDissect"] = cost
    with _measured() as longer:
        labels["CompExp"] = counted.search(length, **how)
    seconds = cost[0] - again[0] + longer[0]  # one search of the same counts instead of the other
    costs["CompExp"] = [max(seconds, longer[0]), float(np.fmax(cost[1], longer[1]))]
    held = holdout is not None
    with _measured() as own:
        pooled = {layer: one.pooled(pool, neurons) for layer, one in given.items()}
        searched = counted._photos(pooled, False)
        labels["INVERT"] = label(
            *searched, length=length, min_fraction=min_fraction, max_fraction=max_fraction, progress=progress, **how
        )
    costs["INVERT"] = own
    measured = counted._photos(pooled, True) if held else searched
    values = {
        method: {
            "iou": counted.iou(found, held=held),
            "auc": rescore(found, *measured, scores=["auc"])["auc"].to_numpy(),
        }
        for method, found in labels.items()
    }
    everywhere = np.all([np.isfinite(each) for of_method in values.values() for each in of_method.values()], axis=0)
    rows = [
        {
            "method": method,
            **_of_method(found, labels["INVERT"], values[method], everywhere, counted),
            "seconds": costs[method][0],
            "memory": costs[method][1],
        }
        for method, found in labels.items()
    ]
    parts = [_of_neurons(found, values[method]).assign(method=method) for method, found in labels.items()]
    listed = pd.concat(parts, ignore_index=True)[["layer", "neuron", "method", *_OF_NEURON]]
    return MethodComparison(pd.DataFrame(rows), listed, held, labels)


@contextmanager
def _measured() -> Iterator[list[float]]:
    """Fill a list with the seconds and the megabytes that a part of the work takes."""
    found: list[float] = []
    start = time.perf_counter()
    with peak() as most:
        yield found
    found += [time.perf_counter() - start, most.megabytes]


def _prepare() -> None:
    """Load what is compiled, which would count for the method that comes first."""
    from neuronym.analysis.dissect import pixel_kernels  # noqa: F401
    from neuronym.search import beam_kernels, optimal_kernels, rank_kernels  # noqa: F401


def _of_neurons(labels: Labels, values: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """The formula and measures of each neuron."""
    import pandas as pd

    formulas = pd.Series([None if one.formula is None else str(one.formula) for one in labels], dtype=object)
    layers = pd.Series([one.layer for one in labels], dtype=object)
    names: dict[str, Any] = {"layer": layers, "neuron": [one.neuron for one in labels]}
    return pd.DataFrame({**names, "formula": formulas, **values})


def _of_method(
    labels: Labels,
    invert: Labels,
    values: Mapping[str, NDArray[np.float64]],
    everywhere: NDArray[np.bool_],
    counted: Dissection,
) -> JsonDict:
    """The number of a method's formulas, and its means over the neurons that are measured for every method."""
    row: JsonDict = {"neurons": sum(one.formula is not None for one in labels), "compared": int(everywhere.sum())}
    shown = [one for one, common in zip(labels, everywhere, strict=True) if common]
    row["length"] = fmean(one.length or 0 for one in shown) if shown else np.nan
    for name, each in values.items():
        row[name] = float(each[everywhere].mean()) if everywhere.any() else np.nan
    extents: dict[Any, Any] = {}
    same: list[float] = []
    alike: list[float] = []
    overlaps: list[float] = []
    for one, other, common in zip(labels, invert, everywhere, strict=True):
        if not common or one.formula is None or other.formula is None:
            continue
        for formula in (one.formula, other.formula):
            if formula not in extents:
                extents[formula] = formula.evaluate(counted.concepts)
        a, b = extents[one.formula], extents[other.formula]
        same.append(one.formula == other.formula)
        alike.append({*one.formula.concepts} == {*other.formula.concepts})
        either = int((a | b).sum())
        if either:
            overlaps.append(float((a & b).sum() / either))
    shares: dict[str, list[float]] = {"same": same, "same_concepts": alike, "overlap": overlaps}
    return row | {name: fmean(each) if each else np.nan for name, each in shares.items()}


def _records(table: pd.DataFrame) -> list[JsonDict]:
    """The rows of a table as plain data; what is missing is None."""
    rows = table.astype(object).to_dict("records")
    return [
        {str(name): None if value is None or value != value else value for name, value in row.items()} for row in rows
    ]
