"""A summary of labels: how many of them can be believed."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, quantiles

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted
from neuronym.labels.label import Label

__all__ = ["Summary"]


@dataclass(frozen=True)
class Summary:
    """How many labels can be believed; None for counts that need evidence not requested when they were found.

    Parameters
    ----------
    q, alpha : float
        The levels of the counts below, as in ``Labels.significant`` and ``Labels.simplest``.
    labels, constant, without : int
        The number of labels, of those of constant neurons, and of others without a formula.
    by_p : int
        How many are significant by ``p`` (Benjamini and Hochberg).
    believable : int or None
        How many are significant by ``p_search`` or, without it, by p on held-out samples.
    vanished : int or None
        How many are significant by ``p`` but not by ``p_search``. None if p comes from held-out samples, since that p
        has no search to account for.
    shortened, emptied : int or None
        How many formulas lose some, and all, of their literals to ``Labels.simplest``.
    literals, kept : int or None
        The number of literals in all formulas, and of those that ``Labels.simplest`` keeps.
    auc : tuple of (float, float, float) or None
        The quartiles of the AUC (held-out if known) of the believable labels, or of all if it is unknown which these
        are.
    optimism : float or None
        By how much the AUC falls on held-out samples, on average.
    accounted : str or None, default None
        Which evidence ``believable`` rests on.
    untested : int or None, default None
        How many labels with a formula have no ``p_search`` because the permutations were stopped.
    proven : int or None, default None
        How many labels with a formula are proven to be the best; None from beam search alone.
    gap : float or None, default None
        The largest gap of the others.
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
    proven: int | None = None
    gap: float | None = None

    @classmethod
    def of(cls, labels: Iterable[Label], q: float, alpha: float) -> Summary:
        """Summarize labels.

        Parameters
        ----------
        labels : iterable of Label
            The labels.
        q, alpha : float
            The levels, as in ``Labels.significant`` and ``Labels.simplest``.

        Returns
        -------
        Summary
            The counts.
        """
        from neuronym.stats.significance import benjamini_hochberg

        n_labels = constant = literals = kept = shortened = emptied = proven = known = untested = 0
        searched = held_out = testable = gains = False
        # Of the labels with a formula. Arrays, since there may be millions.
        p, adjusted, refuted, values, losses, gaps = (array("d") for _ in range(6))
        for label in labels:
            n_labels += 1
            if label.best is None:
                constant += label.reason == "constant"
                continue
            p.append(label.p_confirming)
            adjusted.append(label.q)
            refuted.append(label.refuted)
            values.append(label.auc if math.isnan(label.auc_heldout) else label.auc_heldout)
            untested += math.isnan(label.p_search)
            searched = searched or not math.isnan(label.p_search)
            held_out = held_out or label.held_out
            testable = testable or (label.held_out and not math.isnan(label.p))
            if not math.isnan(label.optimism):
                losses.append(label.optimism)
            if label.optimal is not None:
                known += 1
                proven += label.optimal
                if not label.optimal:
                    gaps.append(label.gap)
            steps, length = label.steps, label.best.length
            gains = gains or any(not math.isnan(step.p_gain) for step in steps)
            holding = label.holding(alpha)
            left = length if holding == len(steps) else steps[holding - 1].length if holding else 0
            literals, kept = literals + length, kept + left
            shortened, emptied = shortened + (0 < left != length), emptied + (not left)
        small = benjamini_hochberg(p) <= q
        q_values = np.frombuffer(adjusted)
        believed: NDArray[np.bool_] | None = None
        if searched:
            believed = (q_values <= q) & (np.frombuffer(refuted) == 0)
        elif testable:
            believed = small
        aucs = np.frombuffer(values)
        return cls(
            q=q,
            alpha=alpha,
            labels=n_labels,
            constant=constant,
            without=n_labels - len(p) - constant,
            by_p=int(small.sum()),
            believable=None if believed is None else int(believed.sum()),
            vanished=int((q_values[small] > q).sum()) if searched and not held_out else None,
            shortened=shortened if gains else None,
            emptied=emptied if gains else None,
            literals=literals if gains else None,
            kept=kept if gains else None,
            auc=_quartiles((aucs if believed is None else aucs[believed]).tolist()),
            optimism=fmean(losses) if losses else None,
            accounted="accounting for the search" if searched else "on held-out samples" if held_out else None,
            untested=untested if searched else None,
            proven=proven if known else None,
            gap=max(gaps, default=None),
        )

    @property
    def proof(self) -> str:
        """How many of the labels with a formula are proven, in one line."""
        rest = "" if self.gap is None else f"; the AUC of the others could be higher by up to {self.gap:.4f}"
        return f"proven that no formula is better: {self.proven} of {self.labels - self.constant - self.without}{rest}"

    def __str__(self) -> str:
        n_found = self.labels - self.constant - self.without
        others = [*[f"{self.constant} constant"] * (self.constant > 0)]
        others += [f"{self.without} without a formula"] * (self.without > 0)
        lines = [f"{counted(self.labels, 'label')}: {', '.join([f'{n_found} with a formula', *others])}"]
        if self.proven is not None:
            lines.append(self.proof)
        held = "" if self.optimism is None else "held-out "
        quartiles = "" if self.auc is None else "median {0}AUC {2:.3f} (IQR {1:.3f} to {3:.3f})".format(held, *self.auc)
        if self.believable is None:
            lines.append(
                f"believable: unknown without permutations or a sufficient hold-out; all labels: {quartiles}".rstrip(
                    ": "
                )
            )
        else:
            lines.append(f"believable at q ≤ {self.q:g}, {self.accounted}: {self.believable}; {quartiles}".rstrip("; "))
        if self.untested:
            lines.append(f"untested, because the permutations were stopped: {self.untested}")
        if self.vanished is not None:
            lines.append(f"significant by p alone, not after accounting for the search: {self.vanished} of {self.by_p}")
        if self.shortened is not None:
            lines.append(
                f"literals that hold on held-out samples (p ≤ {self.alpha:g}): {self.kept} of {self.literals}; "
                f"formulas shortened: {self.shortened}, left without literals: {self.emptied}"
            )
        if self.optimism is not None:
            lines.append(f"mean change of the AUC on held-out samples: {-self.optimism:+.4f}")
        return "\n".join(lines)


def _quartiles(values: list[float]) -> tuple[float, float, float] | None:
    if len(values) < 2:
        return (values[0],) * 3 if values else None
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high
