"""What a set of labels says as a whole: how many are to be believed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, quantiles

from neuronym._util.messages import counted
from neuronym.labels.label import Label

__all__ = ["Summary"]


@dataclass(frozen=True)
class Summary:
    """How many labels are to be believed. What was not asked for when they were found is None.

    Parameters
    ----------
    q, alpha : float
        The levels of the counts below.
    labels, constant, without : int
        All labels, those of constant neurons, and others without a formula.
    by_p : int
        Significant by ``p`` (Benjamini and Hochberg).
    believable : int or None
        Significant by ``p_search``; without it, by p on held-out samples.
    vanished : int or None
        Significant by ``p``, but not by ``p_search``. None where p comes from held-out samples, since that p has no
        search to account for.
    shortened, emptied : int or None
        Of the labels with a formula, those that lose some and all of their literals to ``Labels.simplest``.
    literals, kept : int or None
        The literals of all formulas, and those that are left.
    auc : tuple of three floats, or None
        The quartiles of the AUC, held out where it can be, of the believable labels; of all where that is not known.
    optimism : float or None
        The mean of what the AUC loses on held-out samples.
    accounted : str or None
        What ``believable`` goes by.
    untested : int or None
        Labels with a formula whose ``p_search`` is missing, since the permutations were stopped.
    """

    q: float
    alpha: float
    labels: int
    constant: int
    without: int
    by_p: int
    believable: int | None
    vanished: int | None
    shortened: int | None
    emptied: int | None
    literals: int | None
    kept: int | None
    auc: tuple[float, float, float] | None
    optimism: float | None
    accounted: str | None = None
    untested: int | None = None

    @classmethod
    def of(cls, labels: Iterable[Label], q: float, alpha: float) -> Summary:
        """Count what holds among labels."""
        from neuronym.stats.significance import benjamini_hochberg

        listed = list(labels)
        found = [label for label in listed if label.best is not None]
        constant = sum(label.reason == "constant" for label in listed)
        small = benjamini_hochberg([label.p_confirming for label in found]) <= q
        searched = any(not math.isnan(label.p_search) for label in found)
        held_out = any(label.held_out for label in found)
        testable = any(label.held_out and not math.isnan(label.p) for label in found)
        by_p = [label for label, is_small in zip(found, small, strict=True) if is_small]
        believed = [label for label in found if label.q <= q] if searched else by_p if testable else None
        values = [
            label.auc if math.isnan(label.auc_heldout) else label.auc_heldout
            for label in (found if believed is None else believed)
        ]
        gains = any(not math.isnan(step.p_gain) for label in found for step in label.steps)
        short = [label.shortened(alpha) for label in found] if gains else []
        losses = [label.optimism for label in found if not math.isnan(label.optimism)]
        shorter = [x.best is not None and x.length != old.length for x, old in zip(short, found, strict=bool(short))]
        return cls(
            q=q,
            alpha=alpha,
            labels=len(listed),
            constant=constant,
            without=len(listed) - len(found) - constant,
            by_p=len(by_p),
            believable=None if believed is None else len(believed),
            vanished=sum(label.q > q for label in by_p) if searched and not held_out else None,
            shortened=sum(shorter) if gains else None,
            emptied=sum(label.best is None for label in short) if gains else None,
            literals=sum(label.length or 0 for label in found) if gains else None,
            kept=sum(label.length or 0 for label in short) if gains else None,
            auc=_quartiles(values),
            optimism=fmean(losses) if losses else None,
            accounted="the search accounted for" if searched else "on held-out samples" if held_out else None,
            untested=sum(math.isnan(label.p_search) for label in found) if searched else None,
        )

    def __str__(self) -> str:
        n_found = self.labels - self.constant - self.without
        others = [*[f"{self.constant} constant"] * (self.constant > 0)]
        others += [f"{self.without} without a formula"] * (self.without > 0)
        lines = [f"{counted(self.labels, 'label')}: {', '.join([f'{n_found} with a formula', *others])}"]
        held = "" if self.optimism is None else "held-out "
        quartiles = (
            ""
            if self.auc is None
            else held + "AUC {1:.3f} in the median, half of them {0:.3f} to {2:.3f}".format(*self.auc)
        )
        if self.believable is None:
            lines.append(
                f"believable: not known without permutations or a hold-out that can tell; all: {quartiles}".rstrip(": ")
            )
        else:
            lines.append(f"believable at q ≤ {self.q:g}, {self.accounted}: {self.believable}; {quartiles}".rstrip("; "))
        if self.untested:
            lines.append(f"not tested, since it was stopped: {self.untested}")
        if self.vanished is not None:
            lines.append(f"vanish when the search is accounted for: {self.vanished} of {self.by_p} significant by p")
        if self.shortened is not None:
            lines.append(
                f"literals that hold on held-out samples (p ≤ {self.alpha:g}): {self.kept} of {self.literals}; "
                f"{self.shortened} formulas get shorter, {self.emptied} vanish"
            )
        if self.optimism is not None:
            lines.append(f"the AUC changes by {-self.optimism:+.4f} on held-out samples, on average")
        return "\n".join(lines)


def _quartiles(values: list[float]) -> tuple[float, float, float] | None:
    if len(values) < 2:
        return (values[0],) * 3 if values else None
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high
