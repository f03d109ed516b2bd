"""Spurious features: which neurons respond to a concept that has nothing to do with their task.

A suspect can be any concept: an alteration made by ``overlay``, a folder of artefacts, or a column of a table.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym import inputs
from neuronym._util.characters import ESCAPED, from_spreadsheet
from neuronym._util.files import reading, writing_together
from neuronym._util.limits import PERMUTATIONS, check_most
from neuronym._util.messages import counted, no_such, some
from neuronym.analysis.spurious.comparison import SuspectComparison
from neuronym.data.activations import Activations, as_name
from neuronym.data.labelled import inverted
from neuronym.errors import FileError, OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.io.tables import shown_table, write_csv
from neuronym.labeling.labeling import label
from neuronym.labels.labels import Label, Labels
from neuronym.types import ActivationsLike, Align, ClustersLike, ConceptsLike, Name, PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Findings", "find_spurious", "open_findings", "relabel"]


@dataclass(frozen=True)
class Findings:
    """How neurons and classes respond to suspect concepts.

    Parameters
    ----------
    neurons : DataFrame
        One row per suspect, layer and neuron, with the highest AUC first: ``rank`` in the layer (1 is the highest
        AUC); ``auc`` with its 95% interval ``auc_low, auc_high``; ``change``, the mean difference in activation,
        within pairs if there are any and otherwise between samples with and without the suspect; ``change_sd``, the
        same in standard deviations of the samples without it; ``rises``, the share of pairs in which the activation
        rises, ties counted one half; ``pairs``, their number; ``unpaired``, the number of samples that only the AUC
        compares; ``left_out``, the number of those that nothing compares, since no sample with the same other suspects
        differs in this one; ``p`` and ``log10_p`` of Wilcoxon's signed-rank test if there are pairs, and otherwise of
        the Mann-Whitney test, or van Elteren's with several suspects; ``p_flip`` of the sign-flip permutation test; and
        ``q``, p adjusted over the neurons of the layer by Benjamini and Hochberg.
    classes : DataFrame, optional
        One row per suspect and class, with the highest change first: ``class``, and its ``name`` if names are given;
        ``rank`` by ``change``, the change of the logit, with its 95% interval ``change_low, change_high``;
        ``probability_before, probability_after``, means of the softmax; ``predicted_before, predicted_after``, the
        shares of samples for which the class is predicted without and with the suspect; the others as above.
    """

    neurons: pd.DataFrame
    classes: pd.DataFrame | None = None

    def __str__(self) -> str:
        return "\n\n".join(self._sections())

    def _sections(self) -> Iterator[str]:
        for suspect, of_suspect in self.neurons.groupby("suspect", sort=False):
            yield f"{suspect}: {_compared(of_suspect.iloc[0])}"
            for layer, table in (
                of_suspect.groupby("layer", sort=False) if "layer" in of_suspect else [("", of_suspect)]
            ):
                ends = table if len(table) <= 10 else table.iloc[[*range(5), *range(-5, 0)]]
                n_significant = int((table["q"] <= 0.05).sum())
                heading = f"{layer}: {n_significant} of {len(table)} neurons with q ≤ 0.05".removeprefix(": ")
                yield f"{heading}\n{_table_text(ends, _NEURONS)}"
            if self.classes is not None:
                classes = self.classes[self.classes["suspect"] == suspect]
                gain, lose = classes[classes["change"] > 0], classes[classes["change"] < 0]
                yield _classes_text("gain", gain.head(10))
                yield _classes_text("lose", lose.tail(5).iloc[::-1])

    def save(self, folder: PathLike, *, overwrite: bool = False, spreadsheet: bool = False) -> None:
        """Save the tables as ``neurons.csv`` and ``classes.csv`` in an existing folder.

        The files are put into place together, when both are written.

        Parameters
        ----------
        folder : str or Path
            The folder to write to.
        overwrite : bool, default False
            Replace files that exist.
        spreadsheet : bool, default False
            Make the tables safe to open in a spreadsheet, as ``Labels.save`` does; ``open_findings`` reads
            them all the same.

        Raises
        ------
        FileError
            If a file exists and ``overwrite`` is False, one cannot be written, or there is a ``classes.csv`` of other
            findings and these have no classes.
        """
        tables = {"neurons.csv": self.neurons, "classes.csv": self.classes}
        targets = {Path(folder) / name: table for name, table in tables.items() if table is not None}
        if self.classes is None and (Path(folder) / "classes.csv").exists():
            raise FileError(
                f"{str(folder)!r} has a table classes.csv and these findings have none: delete it, or choose another "
                "folder"
            )
        with writing_together(list(targets), overwrite) as temporaries:
            for table, temporary in zip(targets.values(), temporaries, strict=True):
                write_csv(table, temporary, spreadsheet)


_COLUMNS = 1000
_NEURONS = ("neuron", "rank", "auc", "auc_low", "auc_high", "change", "change_sd", "rises", "q")
_NAMED = ("suspect", "layer", "neuron", "class", "name")  # columns of text
_NUMBERS = (
    "rank", "auc", "auc_low", "auc_high", "change", "change_low", "change_high", "change_sd", "rises", "pairs",
    "unpaired", "left_out", "probability_before", "probability_after", "predicted_before", "predicted_after", "p",
    "log10_p", "p_flip", "q",
)  # fmt: skip
_CLASSES = ("class", "name", "change", "change_low", "change_high", "rises", "predicted_before", "predicted_after", "q")


def open_findings(folder: PathLike) -> Findings:
    """Read the tables written by ``Findings.save``.

    Parameters
    ----------
    folder : str or Path
        The folder with ``neurons.csv`` and, if classes were tested, ``classes.csv``.

    Returns
    -------
    Findings
        The findings that were saved.

    Raises
    ------
    FileError
        If ``neurons.csv`` is missing, or a table is not one of findings.
    """
    import pandas as pd

    tables: dict[str, pd.DataFrame] = {}
    for name, key in (("neurons.csv", "neuron"), ("classes.csv", "class")):
        path = Path(folder) / name
        if name == "classes.csv" and not path.exists():
            continue
        with reading(path, "findings"), open(path, encoding="utf-8-sig", newline="") as file:
            n_columns = len(next(csv.reader(file), []))
        if n_columns > _COLUMNS:  # pandas takes minutes for tens of thousands
            raise FileError(f"{str(path)!r} is not a table of findings: it has {n_columns:,} columns")
        with reading(path, "findings"):
            # Names stay text, such as 1e5 or 007; any other column holds numbers.
            table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(_NAMED, str))
        problem = _problem(table, key)
        if problem:
            raise FileError(f"{str(path)!r} is not a table of findings: {problem}")
        if ESCAPED in table:
            names = [name for name in _NAMED if name in table]
            table = table.drop(columns=ESCAPED).assign(**{n: table[n].map(from_spreadsheet, "ignore") for n in names})
        table[key] = [as_name(name) for name in table[key]]
        tables[key] = table
    return Findings(tables["neuron"], tables.get("class"))


def _problem(table: pd.DataFrame, key: str) -> str | None:
    """Say what is wrong with a table that was read, or return None if it is one of findings."""
    missing = {"suspect", key, "rank", "q", "pairs" if key == "neuron" else "change"} - set(table.columns)
    if missing:
        return f"it lacks {some(sorted(missing))}"
    if table.columns.has_duplicates or not len(table):
        return "it has columns of the same name" if len(table) else "it has no rows"
    empty = [name for name in ("suspect", key, "pairs") if name in table and table[name].isna().any()]
    if empty:
        return f"cells of the column {empty[0]} are empty"
    odd = [name for name in _NUMBERS if name in table and table[name].dtype.kind not in "iuf"]
    if odd:
        return f"the column {odd[0]} must hold numbers"
    return None


def _compared(row: pd.Series[Any]) -> str:
    """Say which samples were compared for a suspect, from one row of its table."""
    told = f"{int(row['pairs'])} pairs" if row["pairs"] else "no pairs; samples are compared unpaired"
    if row["pairs"] and row.get("unpaired", 0):
        told += f"; {counted(int(row['unpaired']), 'more sample')} in the AUC alone"
    if row.get("left_out", 0):
        told += (
            f"; {counted(int(row['left_out']), 'sample')} left out, since no sample with the same other suspects "
            "differs in this one"
        )
    return told


def _classes_text(verb: str, classes: pd.DataFrame) -> str:
    """The classes that gain (or lose) most, or that none does."""
    if not len(classes):
        return f"no class {verb}s"
    return f"classes that {verb} most\n{_table_text(classes, _CLASSES)}"


def _table_text(table: pd.DataFrame, columns: Sequence[str]) -> str:
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
    align: Align = False,
    progress: bool = False,
) -> Findings:
    """Rank neurons by how well they separate samples with a suspect concept from samples without it.

    If clusters hold samples both with and without the suspect, such as a photo and its altered copy, tests and changes
    compare samples within clusters. Confidence intervals of AUCs treat each cluster as one unit. With several suspects,
    each is compared only between samples that agree on the others: the AUC, its interval and test are those within
    equal patterns of the others, with van Elteren's weights (as ``strata`` of ``label``), and so is the change; a pair
    is of samples of one cluster that agree on the others, and a cluster with such samples in several patterns counts by
    their mean. Samples with a pattern in which the suspect never differs are left out, and counted.

    Parameters
    ----------
    activations : ActivationsLike
        The activations, as for ``label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``label``; the suspects are among them.
    suspects : str or sequence of str
        The names of the suspect concepts.
    names : iterable of str, optional
        The names of the concepts, if ``concepts`` is an array.
    neurons : iterable of (int or str) or slice, optional
        The neurons to test; all by default.
    outputs : str or bool, optional
        The layer whose neurons are the logits of classes; True if the activations have no layers.
    class_names : mapping of (int or str) to str, or sequence of str, optional
        The names of the classes, by neuron or in order.
    clusters : ClustersLike, optional
        The group each sample belongs to, as for ``label``; by default the clusters of the activations.
    paired : bool, optional
        True requires pairs, False ignores them; by default they are used if there are at least six.
    permutations : int, default 9999
        The number of sign-flip permutations for ``p_flip``; 0 for none.
    seed : int, default 0
        The seed of the permutations.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    progress : bool, default False
        Show a progress bar on standard error.

    Returns
    -------
    Findings
        The table of neurons and, with ``outputs``, that of classes.

    Raises
    ------
    UnknownNameError
        If there is no such concept, or no such layer of outputs.
    ConceptsError
        If no sample or every sample has a suspect, or no suspect differs between samples that agree on the others.
    OptionError
        If ``paired=True`` and there are too few pairs, or an option is out of range.

    Warns
    -----
    UserWarning
        If a suspect never differs between samples that agree on the others: there are no rows for it.

    Examples
    --------
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
        raise OptionError("suspects is empty: name at least one concept")
    for name, value in (("permutations", permutations), ("seed", seed)):
        if not isinstance(value, int | np.integer) or value < 0:
            raise OptionError(f"{name} must be a whole number of at least 0, not {value!r}")
    check_most([("permutations", permutations, PERMUTATIONS)])
    layers = inputs.align(activations, concepts, names=names, clusters=clusters, keep_common=align)
    logits = _logits_layer(outputs, [one.layer for one in layers])
    tables, classes = [], []
    for aligned in layers:
        layer, of_layer = aligned.layer, aligned.activations
        comparison = SuspectComparison.of(aligned, wanted, paired)
        by_suspect = comparison.neuron_tables(of_layer, of_layer.indices(neurons), permutations, seed, progress)
        if layer is not None:
            for table in by_suspect:
                table.insert(1, "layer", layer)
        tables += by_suspect
        if outputs is not None and layer == logits:
            classes = comparison.class_tables(of_layer, _class_names(of_layer, class_names))
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
    """Label neurons with the suspects among the concepts, and keep labels whose formula contains a suspect.

    A search accepts a literal for any gain in AUC, however small. So formulas are first shortened to the literals that
    gain significantly on held-out samples.

    Parameters
    ----------
    activations : ActivationsLike
        The activations, as for ``label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``label``.
    suspects : str or sequence of str
        The names of the suspect concepts.
    holdout : float, optional
        The share of samples to hold out, 0.5 by default; None leaves formulas as they were found.
    alpha : float, default 0.05
        The largest p-value of a literal's gain, as for ``Labels.simplest``.
    **options : Any
        Other options of ``label``.

    Returns
    -------
    Labels
        The labels whose formula contains a suspect or one of its aliases, with the highest AUC first.

    Raises
    ------
    UnknownNameError
        If there is no such concept.
    """
    wanted = {suspects} if isinstance(suspects, str) else set(suspects)
    names = options.pop("names", None)
    names = None if names is None else list(names)
    known_concepts = as_concepts(concepts, names, options.get("unknown", "error"))
    for suspect in wanted:
        known_concepts.index(suspect)  # raises with the nearest names
    labels = label(activations, concepts, names=names, holdout=holdout, **options)
    if holdout is not None:
        labels = labels.simplest(alpha)

    def contains_suspect(one: Label) -> bool:
        in_formula = set() if one.formula is None else set(one.formula.concepts)
        return bool(wanted & in_formula.union(*(one.aliases.get(name, ()) for name in in_formula)))

    return labels.filter(contains_suspect).sort("auc")


def _logits_layer(outputs: str | bool | None, layers: Sequence[str | None]) -> str | None:
    """Return the layer of the logits, which must be one of these."""
    if isinstance(outputs, str):
        if outputs not in layers:
            raise no_such("layer", outputs, [name for name in layers if name is not None])
        return outputs
    if outputs and len(layers) > 1:
        raise OptionError(f"outputs must name one of the layers {', '.join(map(str, layers))}")
    return layers[0] if outputs else None


def _class_names(logits: Activations, names: Mapping[Name, str] | Sequence[str] | None) -> dict[Name, str]:
    """Return the names of the classes, by neuron."""
    if names is None:
        return {}
    if isinstance(names, Mapping):
        by_name: dict[Name, Any] = {as_name(key): name for key, name in names.items()}
        numbered = None if set(by_name) & set(logits.names) else inverted(names)
        if numbered is not None:  # as in label2id
            by_name = {number: name for number, name in numbered.items()}  # noqa: C416
        unknown = [key for key in by_name if key not in logits.names]
        if unknown:
            raise no_such("neuron", unknown[0], logits.names)
        return {key: str(name) for key, name in by_name.items()}
    if len(names) != logits.n_neurons:
        raise OptionError(f"class_names has {len(names)} names for {logits.n_neurons} classes: give one per class")
    return dict(zip(logits.names, names, strict=True))
