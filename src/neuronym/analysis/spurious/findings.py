"""Spurious features: which neurons answer to a concept that has nothing to do with their task.

A suspect is any concept: one that ``overlay`` put on copies of photos, a folder of artefacts, a column of a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym import inputs
from neuronym._util.files import check_target, reading, writing
from neuronym._util.messages import no_such, some
from neuronym.analysis.spurious.sides import SuspectComparison
from neuronym.data.activations import Activations, as_name
from neuronym.errors import FileError, OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.tables import shown_table
from neuronym.labeling.labeling import label
from neuronym.labels.labels import Label, Labels
from neuronym.types import ActivationsLike, ClustersLike, ConceptsLike, Name, PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Findings", "find_spurious", "open_findings", "relabel"]


@dataclass(frozen=True)
class Findings:
    """What neurons and classes make of suspect concepts.

    Parameters
    ----------
    neurons : DataFrame, a row per suspect, layer and neuron, the highest AUC first
        ``rank`` in the layer, 1 is the highest AUC; ``auc`` with a 95% interval ``auc_low, auc_high``; ``change``, the
        mean difference in activation, between the samples of a pair where there are pairs, else between samples with
        and without the suspect, and ``change_sd``, the same in standard deviations of the samples without; ``rises``,
        the share of pairs in which the activation rises, ties one half; ``pairs``; ``p`` and ``log10_p``, of Wilcoxon's
        signed-rank test where there are pairs, else of Mann and Whitney's; ``p_flip``, of the permutation of signs;
        ``q``, p adjusted over the layer's neurons.
    classes : DataFrame or None, a row per suspect and class, the highest change first
        ``class``, and its ``name`` where names are given; ``rank`` by ``change``, that of the logit, with a 95%
        interval ``change_low, change_high``; ``probability_before, probability_after``, means of the softmax;
        ``predicted_before, predicted_after``, shares of the samples that the class is predicted for, without and with
        the suspect; the others as above.
    """

    neurons: pd.DataFrame
    classes: pd.DataFrame | None = None

    def __str__(self) -> str:
        return "\n\n".join(self._told())

    def _told(self) -> Iterable[str]:
        for suspect, own in self.neurons.groupby("suspect", sort=False):
            n_pairs = int(own["pairs"].iloc[0])
            yield f"{suspect}: " + (f"{n_pairs} pairs" if n_pairs else "no pairs, samples compared as they are")
            for layer, part in own.groupby("layer", sort=False) if "layer" in own else [("", own)]:
                shown = part if len(part) <= 10 else part.iloc[[*range(5), *range(-5, 0)]]
                found = int((part["q"] <= 0.05).sum())
                head = f"{layer}: {found} of {len(part)} neurons with q ≤ 0.05".removeprefix(": ")
                yield f"{head}\n{_text(shown, _NEURONS)}"
            if self.classes is not None:
                classes = self.classes[self.classes["suspect"] == suspect]
                yield "classes that gain most\n" + _text(classes.head(10), _CLASSES)
                yield "classes that lose most\n" + _text(classes.tail(5).iloc[::-1], _CLASSES)

    def save(self, folder: PathLike, *, overwrite: bool = False) -> None:
        """Save as ``neurons.csv`` and ``classes.csv`` in a folder that exists.

        Raises
        ------
        FileError
            If a file exists and ``overwrite`` is off, or it cannot be written.
        """
        tables = {"neurons.csv": self.neurons, "classes.csv": self.classes}
        targets = {Path(folder) / name: table for name, table in tables.items() if table is not None}
        for target in targets:
            check_target(target, overwrite)
        for target, table in targets.items():
            with writing(target, overwrite) as temporary:
                table.to_csv(temporary, index=False)


_NEURONS = ("neuron", "rank", "auc", "auc_low", "auc_high", "change", "change_sd", "rises", "q")
_CLASSES = ("class", "name", "change", "change_low", "change_high", "rises", "predicted_before", "predicted_after", "q")


def open_findings(folder: PathLike) -> Findings:
    """Read what ``Findings.save`` wrote.

    Raises
    ------
    FileError
        If ``neurons.csv`` is missing or is no table of findings.
    """
    import pandas as pd

    tables: dict[str, pd.DataFrame] = {}
    for name, key in (("neurons.csv", "neuron"), ("classes.csv", "class")):
        path = Path(folder) / name
        if name == "classes.csv" and not path.exists():
            continue
        with reading(path, "findings", ValueError):
            table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        missing = {"suspect", key, "rank", "q"} - set(table.columns)
        if missing:
            raise FileError(f"{str(path)!r} is no table of findings: it lacks {some(sorted(missing))}")
        table[key] = [as_name(one) for one in table[key]]
        tables[key] = table
    return Findings(tables["neuron"], tables.get("class"))


def _text(table: pd.DataFrame, columns: Sequence[str]) -> str:
    kept = table[[name for name in columns if name in table]].dropna(axis="columns", how="all")
    return shown_table(kept)


def find_spurious(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    suspects: str | Sequence[str],
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    outputs: str | bool | None = None,
    class_names: Mapping[Name, str] | Sequence[str] | None = None,
    clusters: ClustersLike = None,
    paired: bool | None = None,
    permutations: int = 9999,
    seed: int = 0,
    align: bool = False,
    progress: bool = False,
) -> Findings:
    """Rank neurons by how well they tell samples that show a suspect concept from those that do not.

    Where samples come in clusters with the suspect and without it, such as a photo and its altered copy, tests compare
    within clusters, and so do changes. Intervals of AUCs take a cluster as one unit. Of several suspects, each is
    compared between samples that show the same of the others.

    Parameters
    ----------
    activations, concepts, names, neurons, clusters : as for ``label``; clusters by default those of the activations
    suspects : names of concepts
    outputs : the layer whose neurons are the logits of classes; ``True`` where activations have no layers
    class_names : names of the classes, by neuron or in order
    paired : True insists on pairs, False does without; None takes them where there are at least six
    permutations : of signs, for ``p_flip``; 0 for none
    seed : of these
    align : keep the samples that activations and concepts have in common, as ``label`` does
    progress : show a bar on standard error

    Raises
    ------
    UnknownNameError
        If there is no such concept, or no such layer of outputs.
    ConceptsError
        If a suspect is shown by no or by every sample.
    OptionError
        If pairs are needed and there are none.

    >>> rng = np.random.default_rng(0)
    >>> marked = np.arange(200) >= 100
    >>> activations = np.tile(rng.normal(size=(100, 3)), (2, 1)) + 0.1 * rng.normal(size=(200, 3))
    >>> activations[marked, 1] += 0.2
    >>> pairs = Activations(activations, clusters=[*range(100), *range(100)])
    >>> found = find_spurious(pairs, marked[:, None], names=["mark"], suspects="mark")
    >>> found.neurons[["neuron", "pairs"]].values.tolist()[0], bool(found.neurons["q"].iloc[0] < 1e-9)
    ([1, 100], True)
    """
    import pandas as pd

    wanted = [suspects] if isinstance(suspects, str) else list(suspects)
    if not wanted:
        raise OptionError("suspects holds none: name at least one concept")
    for name, given in (("permutations", permutations), ("seed", seed)):
        if not isinstance(given, int | np.integer) or given < 0:
            raise OptionError(f"{name} must be a whole number of at least 0, not {given!r}")
    layers = inputs.align(activations, concepts, names=names, clusters=clusters, keep_common=align)
    logits = _outputs(outputs, [one.layer for one in layers])
    tables, classes = [], []
    for one in layers:
        layer, taken = one.layer, one.activations
        sides = SuspectComparison.of(one, wanted, paired)
        found = sides.numbers(taken, taken.indices(neurons), permutations, seed, progress)
        if layer is not None:
            for table in found:
                table.insert(1, "layer", layer)
        tables += found
        if outputs is not None and layer == logits:
            classes = sides.classes(taken, _class_names(taken, class_names))
    return Findings(pd.concat(tables, ignore_index=True), pd.concat(classes, ignore_index=True) if classes else None)


def relabel(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    suspects: str | Sequence[str],
    *,
    holdout: float | None = 0.5,
    alpha: float = 0.05,
    **options: Any,
) -> Labels:
    """Label neurons with the suspects among the concepts; those whose formula has one, the highest AUC first.

    A search takes what gains anything at all, so formulas are shortened first to the literals that gain on samples
    held out.

    Parameters
    ----------
    activations, concepts : as for ``label``
    suspects : names of concepts
    holdout : the share of samples held out; None leaves formulas as they were found
    alpha : the greatest p of a literal's gain (``Labels.simplest``)
    options : others of ``label``

    Raises
    ------
    UnknownNameError
        If there is no such concept.
    """
    named = {suspects} if isinstance(suspects, str) else set(suspects)
    names = options.pop("names", None)
    names = None if names is None else list(names)
    shown = as_concepts(concepts, names, options.get("unknown", "error"))
    for suspect in named:
        shown.index(suspect)
    found = label(activations, concepts, names=names, holdout=holdout, **options)
    if holdout is not None:
        found = found.simplest(alpha)

    def has_one(one: Label) -> bool:
        every = set() if one.formula is None else set(one.formula.concepts)
        return bool(named & every.union(*(one.aliases.get(name, ()) for name in every)))

    return found.filter(has_one).sort("auc")


def _outputs(outputs: str | bool | None, layers: Sequence[str | None]) -> str | None:
    """The layer of logits."""
    if isinstance(outputs, str):
        if outputs not in layers:
            raise no_such("layer", outputs, [name for name in layers if name is not None])
        return outputs
    if outputs and len(layers) > 1:
        raise OptionError(f"outputs must name one of the layers {', '.join(map(str, layers))}")
    return layers[0] if outputs else None


def _class_names(taken: Activations, given: Mapping[Name, str] | Sequence[str] | None) -> dict[Name, str]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    if len(given) != taken.n_neurons:
        raise OptionError(f"class_names has {len(given)} names for {taken.n_neurons} classes: one each is needed")
    return dict(zip(taken.names, given, strict=True))
