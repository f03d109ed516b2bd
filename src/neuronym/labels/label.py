"""One label: the formula found, how well it fits, whether to believe it, and which others came close."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile

from neuronym._util.characters import refuse_halves, visible
from neuronym.data.activations import as_name
from neuronym.data.formula import Formula
from neuronym.errors import ActivationsError
from neuronym.labels.schema import FormulaNumbers, LabelNumbers, column, describe_numbers
from neuronym.stats.significance import FARTHEST
from neuronym.types import Name

__all__ = ["Explanation", "Label"]


@describe_numbers
@dataclass(frozen=True, slots=True)
class Explanation(FormulaNumbers):
    """A formula and how well one neuron detects it.

    Numbers that were not requested are NaN. If samples were held out, the confidence interval and the effects are
    those on the held-out samples.

    Parameters
    ----------
    formula : Formula
        The formula.
    auc : float
        P(f(x) < f(y)) for x outside and y inside the formula, ties counted one half; of −f in direction ``low``. On
        the samples that were searched.
    fraction : float
        The share of samples inside the formula, T(φ) of the paper.
    count : int or None
        The number of samples inside the formula. ``auc`` and ``fraction`` are NaN and ``count`` is None for the labels
        of another tool (``open_descriptions``).
    gain, p_gain : float, default NaN
        For a step of a path: its gain in AUC on held-out samples over the previous step (over ½ for the first), and
        the one-sided p of that gain by DeLong's paired test.
    """

    formula: Formula
    auc: float
    fraction: float
    count: int | None

    @property
    def length(self) -> int:
        """The number of concepts in the formula."""
        return self.formula.length

    def __str__(self) -> str:
        p = column("p_gain").text(self) or "unknown"
        gained = "" if math.isnan(self.gain) else f", held-out gain {self.gain:+.4f}, p {p}"
        return f"{visible(str(self.formula))}  (AUC {column('auc').text(self)}, {self.fraction:.2%} of samples{gained})"


@describe_numbers
@dataclass(frozen=True, slots=True)
class Label(LabelNumbers):
    """What one neuron detects.

    Numbers that were not requested are NaN, as is every number of a label without a formula. The numbers of the best
    formula, ``auc`` to ``average_precision`` as in ``Explanation``, are attributes of the label too.

    Parameters
    ----------
    neuron : int or str
        The name of the neuron.
    layer : str or None, default None
        The name of its layer; None if layers are not named.
    direction : {"high", "low"}, default "high"
        Whether the neuron is high or low inside the formula.
    best : Explanation or None, default None
        The best formula; None if there is none, for the reason in ``reason``.
    path : tuple of (Explanation or None), default ()
        The best formula of length at most 1, 2, …, L; None for a length at which there is none.
    runners_up : tuple of Explanation, default ()
        The next best formulas with other extensions that the beam search met; others may be better than these.
    reason : str or None, default None
        Why there is no formula.
    score : str or None, default None
        The score that formulas were searched by; None for the AUC.
    aliases : mapping from str to tuple of str
        For each concept in the formulas, the other concepts that are true of exactly the same samples, if any.
    alternatives : tuple of (Formula or None, float), default ()
        The fewest formulas that cover 90% of the resamples, most frequent first, each with its share of them; None
        stands for no formula.
    """

    neuron: Name
    layer: str | None = None
    direction: str = "high"
    best: Explanation | None = None
    path: tuple[Explanation | None, ...] = ()
    runners_up: tuple[Explanation, ...] = ()
    reason: str | None = None
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    alternatives: tuple[tuple[Formula | None, float], ...] = ()
    score: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "neuron", as_name(self.neuron))
        refuse_halves([self.layer] if self.layer else [], "name of a layer", ActivationsError)
        refuse_halves([self.reason] if self.reason else [], "reason of a label", ActivationsError)

    @property
    def formula(self) -> Formula | None:
        """The best formula, or None."""
        return None if self.best is None else self.best.formula

    @property
    def count(self) -> int | None:
        """The number of samples inside the best formula, or None."""
        return None if self.best is None else self.best.count

    @property
    def length(self) -> int | None:
        """The number of concepts in the best formula, or None."""
        return None if self.best is None else self.best.length

    @property
    def optimism(self) -> float:
        """By how much the AUC on the searched samples exceeds that on the held-out samples."""
        return self.auc - self.auc_heldout

    @property
    def held_out(self) -> bool:
        """Whether the confidence interval, p and effects come from samples that the search did not see."""
        return not math.isnan(self.auc_heldout) and math.isnan(self.agreement)

    def contradicts(self, auc: float, count: int, n_samples: int) -> bool:
        """Whether a measured AUC shows that these are not the activations that were labelled.

        Without held-out samples, the AUC must agree to 1e-9 if the numbers of samples agree, and nothing contradicts
        otherwise. With held-out samples, the AUC contradicts if it is more than 0.1 away from both AUCs of the label.

        Parameters
        ----------
        auc : float
            The AUC measured for the label's formula.
        count : int
            The number of samples inside the formula.
        n_samples : int
            The number of samples measured.

        Returns
        -------
        bool
            False for a label without a formula.
        """
        if self.best is None:
            return False
        if self.held_out:
            return abs(auc - self.auc) > 0.1 and abs(auc - self.auc_heldout) > 0.1
        return (
            count == self.best.count and round(count / self.best.fraction) == n_samples and abs(auc - self.auc) > 1e-9
        )

    @property
    def p_search_sign(self) -> str:
        """The sign before ``p_search``: ≈ from a fitted tail, ≤ for the smallest p that a tail may give."""
        if not self.tail or math.isnan(self.p_search):
            return ""
        return "≤ " if self.p_search * (1 + (self.permutations or 0)) <= FARTHEST * (1 + 1e-9) else "≈ "

    @property
    def p_search_text(self) -> str:
        """``p_search`` as displayed, with its sign."""
        return column("p_search").text(self)

    @property
    def refuted(self) -> bool:
        """Whether the AUC, or that on held-out samples, is below ½: the neuron does the opposite of its formula."""
        return self.auc < 0.5 or self.auc_heldout < 0.5

    @property
    def p_confirming(self) -> float:
        """The p as evidence for the label: 1 if its AUC, or that on held-out samples, is below ½."""
        return 1.0 if self.refuted else self.p

    @property
    def steps(self) -> tuple[Explanation, ...]:
        """The distinct formulas of the path, up to the best formula."""
        distinct = {step.formula: step for step in self.path if step is not None}
        return tuple(distinct.values())

    @property
    def p_gain(self) -> float:
        """The largest p of any step of the path, that of the least certain literal; NaN if one is unknown."""
        gains = [step.p_gain for step in self.steps]
        return max(gains) if gains and not any(map(math.isnan, gains)) else math.nan

    def holding(self, alpha: float) -> int:
        """Count the first steps of the path that all gain on held-out samples with p ≤ alpha.

        Parameters
        ----------
        alpha : float
            The level of the one-sided test of each gain.

        Returns
        -------
        int
            At most the number of ``steps``.
        """
        held = takewhile(lambda step: step.p_gain <= alpha and step.auc >= 0.5, self.steps)
        return sum(1 for _ in held)

    def shortened(self, alpha: float) -> Label:
        """Keep the longest formula of the path whose every step gains on held-out samples with p ≤ alpha.

        Each gain is tested by itself, without adjustment for the number of steps or labels. Stability and runners-up
        belong to the original formula and are dropped if the formula changes.

        Parameters
        ----------
        alpha : float
            The level of the one-sided test of each gain.

        Returns
        -------
        Label
            The label, without a formula if not even the first step gains.
        """
        steps, holding = self.steps, self.holding(alpha)
        if self.best is None or holding == len(steps):
            return self
        kept = steps[holding - 1] if holding else None
        return replace(
            self,
            best=kept,
            path=() if kept is None else self.path[: self.path.index(kept) + 1],
            runners_up=(),
            reason=f"no literal holds on held-out samples (p ≤ {alpha:g})" if kept is None else None,
            gap=0.0 if self.optimal else math.nan,
            agreement=math.nan if math.isnan(self.agreement) else 0.0,
            stability=math.nan,
            stability_concepts=math.nan,
            stability_overlap=math.nan,
            alternatives=(),
        )

    def __str__(self) -> str:
        place = f"{self.layer} " if self.layer is not None else ""
        turned = ", low inside" if self.direction == "low" else ""
        head = f"neuron {place}{self.neuron}{turned}: "
        if self.best is None:
            return visible(head + f"no formula ({self.reason})")
        lines = [head + str(self.best.formula), *("  " + line for line in self._lines())]
        return "\n".join(map(visible, lines))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        head, *lines = str(self).split("\n")
        items = "".join(f"<li>{escape(line.strip())}</li>" for line in lines)
        return f"<p><strong>{escape(head)}</strong></p><ul>{items}</ul>"

    def _above(self) -> str:
        """The threshold of the score, if it has one."""
        return "" if math.isnan(self.threshold) else f" above {self._text('threshold')}"

    def _lines(self) -> Iterator[str]:
        missing, text = math.isnan, self._text
        searched = " of those searched" if self.held_out else ""
        first = "" if self.score is None else f"{self.score} {text('value')}{self._above()}, "
        first += f"AUC {text('auc')}, {self.count} samples ({self.fraction:.2%}{searched})"
        if not self.held_out and not missing(self.log10_p):
            first += f", log10 p {text('log10_p')} (does not account for the search)"
        yield first
        if not missing(self.value_heldout):
            yield f"held out: {self.score} {text('value_heldout')}"
        if self.optimal is not None:
            yield self._proof()
        if not missing(self.p_search):
            fitted = ", from a fitted tail" if self.tail else ""
            corrected = "" if missing(self.q) else f", q {text('q')}"
            yield f"search: p {text('p_search')} from {self.permutations} permutations{fitted}{corrected}"
        if not missing(self.auc_heldout):
            log10_p = "p unknown" if missing(self.log10_p) else f"log10 p {text('log10_p')}"
            tested = f", {log10_p}" if self.held_out else ""
            agreed = "" if missing(self.agreement) else f", the same formula in {self.agreement:.0%} of folds"
            yield f"held out: AUC {text('auc_heldout')}{self._interval()}{tested}{agreed}"
        elif not missing(self.auc_low):
            yield f"AUC, 95% interval: {text('auc_low')} to {text('auc_high')}"
        if not missing(self.difference):
            yield (
                f"mean inside − outside: {text('difference')} SDs; highest F1 {text('f1')} "
                f"at {text('f1_threshold')}: precision {text('precision')}, recall {text('recall')}; average precision "
                f"{text('average_precision')}"
            )
        if not missing(self.stability):
            yield (
                f"resamples: the same formula in {self.stability:.0%}, the same concepts in "
                f"{self.stability_concepts:.0%}, mean overlap {text('stability_overlap')}"
            )
            yield from (f"  {share:.0%}  {formula or 'no formula'}" for formula, share in self.alternatives[:5])
        for name, others in self.aliases.items():
            yield f"{name}: same samples as {', '.join(others)}"
        for length, step in enumerate(self.path, 1):
            yield f"length ≤ {length}: {step if step is not None else 'none'}"
        yield from (f"runner-up: {other}" for other in self.runners_up)

    def _proof(self) -> str:
        gap = "" if math.isnan(self.gap) else f": another formula's AUC may be higher by up to {self._text('gap')}"
        proof = f"proven: no formula of length ≤ {len(self.path)} is better" if self.optimal else "not proven" + gap
        return proof + (f"; ceiling of any formula: {self._text('ceiling')}" if not math.isnan(self.ceiling) else "")

    def _interval(self) -> str:
        return "" if math.isnan(self.auc_low) else f" (95% {self._text('auc_low')} to {self._text('auc_high')})"

    def _text(self, name: str) -> str:
        return column(name).text(self)
