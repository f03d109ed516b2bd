"""A summary of labels: how many of them can be believed."""

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

        listed = list(labels)
        found = [label for label in listed if label.best is not None]
        known = [label for label in found if label.optimal is not None]
        constant = sum(label.reason == "constant" for label in listed)
        small = benjamini_hochberg([label.p_confirming for label in found]) <= q
        searched = any(not math.isnan(label.p_search) for label in found)
        held_out = any(label.held_out for label in found)
        testable = any(label.held_out and not math.isnan(label.p) for label in found)
        by_p = [label for label, is_small in zip(found, small, strict=True) if is_small]
        confirmed = [label for label in found if label.q <= q and not label.refuted]
        believed = confirmed if searched else by_p if testable else None
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
            accounted="accounting for the search" if searched else "on held-out samples" if held_out else None,
            untested=sum(math.isnan(label.p_search) for label in found) if searched else None,
            proven=sum(bool(label.optimal) for label in found) if known else None,
            gap=max((label.gap for label in known if not label.optimal), default=None),
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
