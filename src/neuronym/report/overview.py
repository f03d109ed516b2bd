"""What the first page of a report says of all labels: how they were found, and how many hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from neuronym._util.messages import counted
from neuronym.errors import OptionError
from neuronym.labels.label import Label
from neuronym.labels.labels import Labels, found_in, keys_of, significant_places
from neuronym.report.detail import Layer, number
from neuronym.types import JsonDict, Name

__all__ = ["EVIDENCE", "evidence", "heading", "verdict"]

Evidence = Literal["holds", "partly", "fails", "untested", "none"]

#: What evidence says of a label, in the order in which the page sorts it.
EVIDENCE: Mapping[Evidence, str] = {
    "holds": "Believable: the label is significant, and every literal of it gains on held-out samples if that was "
    "tested.",
    "partly": "Believable in part: the label is significant, but not all of its literals gain on held-out samples.",
    "fails": "Not believable: a search finds as much by chance, or the neuron does the opposite on held-out samples.",
    "untested": "Not tested: label with permutations or with samples held out to see whether to believe it.",
    "none": "No formula.",
}

_ALPHA = 0.05


def evidence(labels: Labels) -> list[Evidence]:
    """Say for each label whether it is believable, as ``Labels.significant`` and ``Labels.simplest`` judge at 0.05."""
    with_formula = found_in(labels).tolist()
    untested: list[Evidence] = ["untested" if found else "none" for found in with_formula]
    searched = held_out = False
    for label in labels:
        searched = not math.isnan(label.p_search)
        if searched:
            break
        held_out = held_out or (label.held_out and not math.isnan(label.p))
    if not searched and not held_out:
        return untested
    try:
        believed = set(significant_places(labels, _ALPHA, "p_search" if searched else "p"))
    except OptionError:  # this level is out of reach of so few permutations
        return untested
    found: list[Evidence] = []
    for place, label in enumerate(labels):
        if label.formula is None:
            found.append("none")
        elif searched and math.isnan(label.p_search):
            found.append("untested")
        elif place not in believed:
            found.append("fails")
        else:
            found.append("partly" if label.holding(_ALPHA) < len(label.steps) and _gains(label) else "holds")
    return found


def _gains(label: Label) -> bool:
    """Whether the gain of every step was tested."""
    return all(not math.isnan(step.p_gain) for step in label.steps)


def heading(labels: Labels, layers: Mapping[str | None, Layer]) -> list[str]:
    """Say in a few phrases what was labelled, with which search and which evidence."""
    neurons_of: dict[str | None, set[Name]] = {}
    for layer, neuron in keys_of(labels):
        neurons_of.setdefault(layer, set()).add(neuron)
    neurons = counted(sum(map(len, neurons_of.values())), "neuron")
    parts = [f"{neurons} of {counted(len(neurons_of), 'layer')}" if len(neurons_of) > 1 else neurons]
    n_found = searched = length = permutations = 0
    exact = folds = held_out = stable = False
    scores = set()
    for label in labels:
        if label.formula is None:
            continue
        n_found += 1
        searched = max(searched, round(label.count / label.fraction) if label.count and label.fraction else 0)
        length, permutations = max(length, len(label.path)), max(permutations, label.permutations or 0)
        exact = exact or label.optimal is not None
        folds = folds or not math.isnan(label.agreement)
        held_out = held_out or not math.isnan(label.auc_heldout)
        stable = stable or not math.isnan(label.stability)
        scores |= {label.score.replace("_", " ")} if label.score else set()
    first = next(iter(layers.values()), None)
    n_samples = None if first is None else len(first.rows)
    if n_samples or searched:
        samples = f"{n_samples or searched:,} samples"
        of = (
            ""
            if first is None or first.aligned.concepts is None
            else f" × {first.aligned.concepts.n_concepts:,} concepts"
        )
        parts.append(samples + of)
    if n_found:
        longest = f" of up to {counted(length, 'concept')}" if length else ""
        by = f" by {', '.join(sorted(scores))}" if scores else ""
        parts.append(f"{'exact' if exact else 'beam'} search for formulas{longest}{by}")
    if permutations:
        parts.append(counted(permutations, "permutation").replace(str(permutations), f"{permutations:,}", 1))
    if folds:
        parts.append("evidence from folds")
    elif held_out:
        share = f" ({1 - searched / n_samples:.0%})" if n_samples and 0 < searched < n_samples else ""
        parts.append(f"samples held out{share}")
    if stable:
        parts.append("stability by bootstrap")
    return parts


def verdict(labels: Labels, states: list[Evidence]) -> JsonDict:
    """Count what the first page says of the labels; None for what was not tested."""
    summary = labels.summary()
    tested = any(state not in ("untested", "none") for state in states)
    return {
        "labels": summary.labels,
        "constant": summary.constant,
        "without": summary.without,
        "believable": sum(state in ("holds", "partly") for state in states) if tested else None,
        "whole": states.count("holds") if summary.literals is not None else None,
        "proven": summary.proven,
        "optimism": None if summary.optimism is None else number(summary.optimism),
        "literals": summary.literals,
        "kept": summary.kept,
        "auc": None if summary.auc is None else number(summary.auc[1]),
    }
