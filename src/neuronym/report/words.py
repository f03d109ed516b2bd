"""The words of a report: a definition of each number that it shows, and the page of the documentation about it."""

from __future__ import annotations

from neuronym.labels.schema import COLUMNS
from neuronym.types import JsonDict

__all__ = ["words"]

_BELIEVING, _SEARCH, _SCORES = "believing.md", "search.md", "scores.md"
_CIRCUITS, _SPURIOUS = "circuits.md", "spurious.md"

#: Where the documentation explains a column.
_DOCS = dict.fromkeys(
    (
        "p", "p_search", "q", "auc_heldout", "auc_low", "auc_high", "p_gain", "stability", "stability_concepts",
        "stability_overlap", "agreement", "optimism", "permutations", "tail",
    ),
    _BELIEVING,
)  # fmt: skip
_DOCS |= dict.fromkeys(("optimal", "gap", "ceiling"), _SEARCH)
_DOCS |= dict.fromkeys(("score", "value", "threshold"), _SCORES)

#: Words of the page that are no columns: their title, what they mean, and the page of the documentation.
_OTHERS: dict[str, tuple[str, str, str | None]] = {
    "activation": ("activation", "What the neuron computes for a sample, as a single number.", "own_model.md"),
    "evidence": (
        "evidence",
        "Whether to believe a label: q accounts for the search and for the number of labels, held-out samples show "
        "whether the formula and each of its literals carry over.",
        _BELIEVING,
    ),
    "believable": (
        "believable",
        "Significant at 0.05 after accounting for the search and for the number of labels, and not refuted by an AUC "
        "below ½.",
        _BELIEVING,
    ),
    "pixel IoU": (
        "IoU of pixels",
        "Of the pixels where a formula is true or the neuron's enlarged map exceeds its threshold, the share where "
        "both hold. Network Dissection and Compositional Explanations search by it.",
        "dissect.md",
    ),
    "literal": (
        "literal",
        "A concept of a formula, or its negation, written ~. A literal holds if the AUC on held-out samples gains by "
        "it. & is and, | is or.",
        _BELIEVING,
    ),
    "inside": (
        "inside, outside",
        "A sample is inside a formula if the formula is true for it, and outside otherwise.",
        None,
    ),
    "held out": (
        "held out",
        "Samples that the search did not see. What was found is measured on them again.",
        _BELIEVING,
    ),
    "simplest": (
        "literals that hold",
        "The longest formula of the path whose every step gains AUC on held-out samples, with p ≤ 0.05. A real literal "
        "that gains little may be lost too.",
        _BELIEVING,
    ),
    "interval": (
        "95% interval",
        "Confidence interval of the AUC, given the formula; on held-out samples if there are any.",
        _BELIEVING,
    ),
    "gain": ("gain", "How much the AUC on held-out samples rises over the next shorter formula.", _BELIEVING),
    "constant": ("constant", "Neurons with the same activation on every sample: there is nothing to name.", None),
    "f1": (
        "F1",
        "The harmonic mean of precision and recall at the threshold on the activation at which it is highest, chosen "
        "in hindsight.",
        None,
    ),
    "roc": (
        "ROC curve",
        "For each threshold on the activation, the true positive rate (the share of samples inside the formula above "
        "it) against the false positive rate (the share of those outside). The area below it is the AUC.",
        None,
    ),
    "distribution": (
        "distribution",
        "How often each activation occurs, inside and outside the formula, as shares of each side.",
        None,
    ),
    "zeros": (
        "exactly 0",
        "After a rectifier, zeros stand for everything below; they are counted apart so that they do not hide the "
        "rest.",
        None,
    ),
    "auc by length": (
        "AUC by length",
        "The AUC of the best formula of at most 1, 2, … concepts. A longer formula that gains little is not worth its "
        "length.",
        "choosing.md",
    ),
    "runners-up": ("runners-up", "The next best formulas that are true for other samples.", _SEARCH),
    "single concepts": (
        "single concepts",
        "The AUC of the neuron for each concept by itself, for concepts of at least 20 samples.",
        None,
    ),
    "rank correlation": (
        "rank correlation",
        "Spearman's correlation of two neurons' activations over samples; 1 if they order the samples alike.",
        None,
    ),
    "uses": (
        "uses",
        "The number of labels with the concept in their formula: positive as it is, negated as “not”.",
        None,
    ),
    "detectors": (
        "best detectors",
        "The neurons with the highest AUC for this concept alone, whatever their own formula.",
        None,
    ),
    "depth": (
        "depth",
        "The number of steps from the top of the hierarchy to a concept; the mean over the concepts of a formula.",
        None,
    ),
    "standard deviations": (
        "standard deviations above the mean",
        "Activations of different neurons have no common unit, so they are compared in standard deviations over all "
        "samples.",
        None,
    ),
    "contribution": (
        "contribution",
        "How much a neuron adds to the activation of the one above it, as a mean over samples.",
        _CIRCUITS,
    ),
    "share": (
        "share",
        "The contribution's size as a share of all contributions' sizes to the same neuron.",
        _CIRCUITS,
    ),
    "contributions compared": (
        "contributions compared",
        "How much the same neurons contribute to two targets on the same samples, or to one target on two sets of "
        "samples. A positive difference is a larger contribution to the first.",
        _CIRCUITS,
    ),
    "accuracy": (
        "accuracy",
        "The share of the samples on which the neuron of the right class is the highest of the target's layer; the "
        "target itself counts as right if no classes are known.",
        _CIRCUITS,
    ),
    "change": (
        "change",
        "The mean difference in activation that the suspect makes, within pairs of samples if there are any.",
        _SPURIOUS,
    ),
    "auc of suspect": (
        "AUC for the suspect",
        "P(f(x) < f(y)) for x without and y with the suspect, ties counted one half: above ½ the neuron rises with it, "
        "below it falls. The whisker is its 95% interval.",
        _SPURIOUS,
    ),
    "clear response": (
        "clear response",
        "q ≤ 0.05 and an AUC of at least 0.6 or at most 0.4. With hundreds of pairs, q alone is tiny for nearly every "
        "neuron: it says that there is a difference, and the AUC how large it is.",
        _SPURIOUS,
    ),
    "rank of response": (
        "rank of the response",
        "The place by AUC among the neurons listed: of those that rise, the highest AUC is first, and of those that "
        "fall, the lowest.",
        _SPURIOUS,
    ),
    "probability": ("probability", "The mean softmax probability of the class, without and with it.", _SPURIOUS),
    "predicted": (
        "predicted",
        "The share of samples for which the class is predicted, without and with the suspect.",
        _SPURIOUS,
    ),
    "change_sd": ("change in SDs", "The change in standard deviations of the samples without the suspect.", _SPURIOUS),
    "rises": ("rises", "The share of pairs in which the activation rises with the suspect.", _SPURIOUS),
    "pairs": ("pairs", "Samples that differ in the suspect alone, such as a photo and its altered copy.", _SPURIOUS),
    "ablation": (
        "ablation",
        "Neurons are set to their mean and the model is rerun: if they cause the target's activation, it changes more "
        "than for as many random neurons.",
        _CIRCUITS,
    ),
}  # fmt: skip


def words() -> list[JsonDict]:
    """Return the name, title and definition of each word, and the page of the documentation about it, in order."""
    found: dict[str, JsonDict] = {}
    for one in COLUMNS:
        if one.numeric or one.page:
            found[one.name] = {"title": one.name, "about": one.about, "docs": _DOCS.get(one.name)}
    for name, (title, about, docs) in _OTHERS.items():
        found[name] = {"title": title, "about": about, "docs": docs}
    return [{"name": name, **found[name]} for name in sorted(found, key=str.lower)]
