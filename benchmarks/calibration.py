"""Check the evidence for labels on data whose truth is known, and write benchmarks/CALIBRATION.md.

python benchmarks/calibration.py DATA          takes a minute, prints only
python benchmarks/calibration.py DATA --full   writes the record
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
from evidence import photos
from numpy.typing import NDArray
from run import HERE, Table, as_text, searched
from scipy.special import ndtri
from scipy.stats import ks_2samp, norm

from neuronym import Concepts, Formula, Labels, label
from neuronym.analysis.spurious import find_spurious
from neuronym.search.beam import Rules
from neuronym.search.scores import AUC
from neuronym.search.searcher import Searcher
from neuronym.stats import exchange_blocks, hold_out
from neuronym.stats.ladder import Ladder
from neuronym.stats.permutation import null_scores

SEED = 2023  # chosen before any of this was run, and not changed since
N = 10_000
SHIFT = 1.0  # of planted neurons, in standard deviations of their noise
KINDS = ("tie-free", "half zeros")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sizes:
    """How much is run: noise neurons, permutations, mixes and neurons in each, planted neurons, ones for coverage."""

    noise: int = 200
    permutations: int = 999
    mixes: int = 4
    mixed: int = 200
    planted: int = 60
    biased: int = 400
    covered: int = 200
    dependent: int = 40
    seeds: int = 2


FULL = Sizes(1_000, 9_999, 20, 500, 400, 20_000, 4_000, 200, 10)


def labelled(*given: object, **options: object) -> Labels:
    """Labels without the warnings that few permutations, or clusters that hold out no positives, rightly raise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return label(*given, **options)


def coco_like(n_samples: int = N, n_concepts: int = 40) -> Concepts:
    """Independent concepts that are as frequent as those of COCO."""
    rest = 1 / np.arange(2, n_concepts + 1) ** 0.8
    share = np.concatenate([[0.55], rest * 2.35 / rest.sum()])
    drawn = np.random.default_rng(SEED).random((n_samples, n_concepts)) < share
    return Concepts.from_array(drawn, [f"c{c:02}" for c in range(n_concepts)])


def noise(n_samples: int, n_neurons: int, kind: str, seed: int) -> Floats:
    """Neurons that have nothing to do with anything: no two values equal, or half of them 0."""
    places = np.tile(np.arange(n_samples, 0.0, -1), (n_neurons, 1))
    values = np.random.default_rng([SEED, seed]).permuted(places, axis=1).T
    return np.maximum(values - n_samples // 2, 0) if kind == "half zeros" else values


def table_of_noise(sets: dict[str, Concepts], sizes: Sizes, figures: dict[str, object]) -> Table:
    rows = []
    for (name, concepts), kind in product(sets.items(), KINDS):
        values = noise(concepts.n_samples, sizes.noise, kind, 1)
        labels = labelled(values, concepts, permutations=sizes.permutations, seed=SEED, n_jobs=-1)
        p, p_search = (np.array([getattr(x, which) for x in labels]) for which in ("p", "p_search"))
        searcher = Searcher(searched(concepts), Rules())
        midranks = np.sort(AUC().weigh(values[:, :1], searcher.groups.apart()).sums[0])
        trade = exchange_blocks(searcher.groups.row_weights)
        null = null_scores(midranks[np.newaxis], trade, searcher, (SEED, 7), 0, sizes.permutations, [-np.inf])[0]
        aucs = np.array([x.auc for x in labels])
        figures[f"{name}, {kind}"] = (p, p_search)
        shares = [(p <= 0.05).mean(), (p_search <= 0.05).mean(), (p_search <= 0.01).mean()]
        others = []
        for seed in range(2, 2 + sizes.seeds):
            values = noise(concepts.n_samples, sizes.noise, kind, seed)
            labels = labelled(values, concepts, permutations=sizes.permutations, seed=SEED + seed, n_jobs=-1)
            others.append(np.mean([x.p_search <= 0.05 for x in labels]))
        again = f"{np.mean(others):.4f} ({min(others):.3f} to {max(others):.3f})"
        same = f"{ks_2samp(aucs, null).pvalue:.2f}"
        rows.append([name, kind, f"{np.median(aucs):.3f}", *(f"{share:.3f}" for share in shares), again, same])
    note = (
        f"{sizes.noise:,} neurons of pure noise, {sizes.permutations:,} shared permutations, L=3, B=3. Share of labels "
        "with p ≤ 0.05, where p does not account for the search, and with p_search ≤ 0.05, where it does (0.05 is "
        "correct): for the seed chosen beforehand, whose noise is the same in all rows, and as the mean (range) of "
        f"{sizes.seeds} other seeds. KS p is from a Kolmogorov-Smirnov test of the best AUCs against as many fresh "
        "draws of the null."
    )
    searched_too = ("p_search ≤ 0.05", "p_search ≤ 0.01", "p_search ≤ 0.05, other seeds")
    return "Noise", note, ["concepts", "neurons", "median AUC", "p ≤ 0.05", *searched_too, "KS p"], rows


def with_zeros(values: Floats, share: float) -> Floats:
    """The same neurons after a ReLU that makes this share of each zero."""
    return np.maximum(values - np.quantile(values, share, axis=0), 0)


def table_of_rungs(concepts: Concepts, sizes: Sizes) -> Table:
    """Type I error and power of neurons with ties, whose nulls are those of rungs, beside nulls of their own."""
    rows = []
    named = drawn_concepts(concepts, sizes.planted, 70)
    signal = np.stack([concepts[name] for name in named], axis=1)
    for share, dtype in ((0.5, "float32"), (0.9, "float32"), (0.98, "float32"), (0.999, "float32"), (0.0, "float16")):
        rng = np.random.default_rng([SEED, 70, round(1000 * share)])
        values = with_zeros(rng.normal(size=(concepts.n_samples, 10 * sizes.noise)), share).astype(dtype)
        options = {"search": "beam", "seed": SEED, "n_jobs": -1}
        p = np.array([x.p_search for x in labelled(values, concepts, permutations=sizes.permutations, **options)])
        noisy = rng.normal(size=(concepts.n_samples, sizes.planted))
        frequency = signal.mean(axis=0)
        values = with_zeros(noisy + 0.045 / np.sqrt(frequency) * signal, share).astype(dtype)
        power = []
        for ladder in (nullcontext(), patch.object(Ladder, "find", lambda _, ties, *__: np.zeros(len(ties), np.int64))):
            with ladder:
                found = labelled(values, concepts, permutations=999, **options)
            power.append(np.mean([x.p_search <= 0.05 for x in found]))
        rows.append(
            [f"{share:.1%}", dtype, *(f"{(p <= at).mean():.4f}" for at in (0.05, 0.01)), *map("{:.2f}".format, power)]
        )
    note = (
        f"{10 * sizes.noise:,} neurons of noise with this share of zeros, {sizes.permutations:,} permutations, beam "
        f"search, L=3: share of labels with p_search ≤ 0.05 and ≤ 0.01. Power: {sizes.planted} neurons with a weak "
        "signal of one concept, share with p_search ≤ 0.05 by the null of their rung and by their own, of 999 "
        "permutations."
    )
    head = ["zeros", "dtype", "p_search ≤ 0.05", "p_search ≤ 0.01", "power by rungs", "power by own nulls"]
    return "Neurons with ties", note, head, rows


def plant(truth: NDArray[np.bool_], shift: float, seed: int) -> Floats:
    """Neurons that are higher by ``shift`` where their formula is true: truth and result (n_samples, n_neurons)."""
    return np.random.default_rng([SEED, seed]).normal(size=truth.shape) + shift * truth


def drawn_concepts(concepts: Concepts, n: int, seed: int, least: int = 50) -> list[str]:
    rng = np.random.default_rng([SEED, seed])
    common = [name for name, count in zip(concepts.names, concepts.counts, strict=True) if least <= count <= 3000]
    return [common[c] for c in rng.integers(0, len(common), n)]


def table_of_discoveries(sets: dict[str, Concepts], sizes: Sizes, figures: dict[str, object]) -> Table:
    rows = []
    for name, concepts in sets.items():
        for shift in (0.5, 1.0):
            false, power = [], []
            for mix in range(sizes.mixes):
                values = np.random.default_rng([SEED, 20, mix]).normal(size=(concepts.n_samples, sizes.mixed))
                n_real = sizes.mixed // 10
                for j, own in enumerate(drawn_concepts(concepts, n_real, 100 + mix)):
                    values[:, j] += shift * concepts[own]
                found = labelled(values, concepts, permutations="auto", seed=SEED + mix, n_jobs=-1).significant(0.05)
                wrong = sum(x.neuron >= n_real for x in found)
                false.append(wrong / max(1, len(found)))
                power.append((len(found) - wrong) / n_real)
            error = np.std(false, ddof=1) / math.sqrt(len(false))
            figures[f"{name}, {shift}"] = (np.mean(false), error, np.mean(power))
            rows.append([name, f"{shift}", f"{np.mean(false):.3f} ± {error:.3f}", f"{np.mean(power):.3f}"])
    note = (
        f"Labels with q ≤ 0.05 among {sizes.mixed} tie-free neurons, a tenth of which are higher by a shift (in SDs) "
        f"where one random concept is shown. False discoveries: the share of noise neurons among these labels, as the "
        f"mean of {sizes.mixes} mixes with its standard error. Power: the share of planted neurons among them."
    )
    return "False discoveries", note, ["concepts", "shift", "false discoveries", "power"], rows


def planted_truths(
    concepts: Concepts, kind: str, n: int, seed: int, least: int
) -> tuple[list[Formula], NDArray[np.bool_]]:
    """Formulas of a kind that differ from each of their parts, and where they are true (n_samples, n)."""
    a, b = (drawn_concepts(concepts, 20 * n, seed + own, least) for own in (0, 1))
    formulas: list[Formula] = []
    truth: list[NDArray[np.bool_]] = []
    for one, other in zip(a, b, strict=True):
        left, right = concepts[one], concepts[other]
        made = {"a": left, "a | b": left | right, "a & ~b": left & ~right}[kind]
        parts = [] if kind == "a" else [left, right]
        # Each part must matter: formulas that nearly equal one of theirs cannot be told from it.
        if len(formulas) < n and all((made ^ part).sum() >= 50 for part in parts) and least <= made.sum() <= N // 2:
            text = kind.replace("a", f'"{one}"').replace("b", f'"{other}"')
            formulas.append(Formula.parse(text))
            truth.append(made)
    return formulas, np.array(truth).T


def table_of_literals(sets: dict[str, Concepts], sizes: Sizes, figures: dict[str, object]) -> Table:
    rows = []
    for name, concepts in sets.items():
        for kind, min_count in product(("a", "a | b", "a & ~b"), (20, 200)):
            if name != "COCO-like" and min_count > 20:  # most of its concepts are rarer
                continue
            # Half of the samples must show more than min_count of what is to be found.
            formulas, truth = planted_truths(concepts, kind, sizes.planted, 300, 5 * min_count // 2)
            values = plant(truth, SHIFT, 30)
            held = labelled(values, concepts, min_count=min_count, holdout=0.5, seed=SEED, n_jobs=-1)
            whole = labelled(values, concepts, min_count=2 * min_count, n_jobs=-1)
            shares = [of_literals(labels, formulas, truth, concepts) for labels in (whole, held, held.simplest())]
            figures[f"{name}, {kind}, {min_count}"] = shares
            rows.append([name, kind, str(len(formulas)), str(min_count), *(f"{x:.2f}" for own in shares for x in own)])
    note = (
        f"Neurons higher by {SHIFT:g} SD where a planted formula is true. *exact*: the formula found is true for "
        "exactly the same samples; *extra*: it contains a concept that was not planted; *lost*: it lacks one that was. "
        "*all*: found on all samples (with twice the `min_count`); *half*: on half of them (`holdout=0.5`); "
        "*simplest*: after `simplest()`, which keeps a literal only if it gains on the other half."
    )
    numbers = (f"{x}, {y}" for y in ("all", "half", "simplest") for x in ("exact", "extra", "lost"))
    return "Literals", note, ["concepts", "planted", "neurons", "min_count", *numbers], rows


def of_literals(
    labels: Labels, formulas: Sequence[Formula], truth: NDArray[np.bool_], concepts: Concepts
) -> tuple[float, float, float]:
    """The shares of labels that are exact, that hold a concept too many, and that lack one."""
    same = {alias: first for first, others in concepts.merge_equal().aliases.items() for alias in others}
    exact, extra, lost = [], [], []
    for x, formula, inside in zip(labels, formulas, truth.T, strict=True):
        own = {same.get(c, c) for c in (x.formula.concepts if x.formula else ())}
        wanted = {same.get(c, c) for c in formula.concepts}
        exact.append(x.formula is not None and np.array_equal(x.formula.evaluate(concepts), inside))
        extra.append(bool(own - wanted))
        lost.append(bool(wanted - own))
    return float(np.mean(exact)), float(np.mean(extra)), float(np.mean(lost))


def true_auc(inside: NDArray[np.bool_], truth: NDArray[np.bool_], shift: float) -> float:
    """The AUC to expect of a formula, for normal noise that is higher by ``shift`` where ``truth`` is."""
    a, b = truth[inside].mean(), truth[~inside].mean()
    won = norm.cdf(shift / math.sqrt(2))
    return float(a * (1 - b) * won + (1 - a) * b * (1 - won) + (a * b + (1 - a) * (1 - b)) / 2)


def table_of_bias(sets: dict[str, Concepts], sizes: Sizes, figures: dict[str, object]) -> Table:
    rows = []
    for name, concepts in sets.items():
        errors: dict[str, list[float]] = {"search": [], "held out": []}
        held = hold_out(searched(concepts).row_groups, None, 0.5, SEED)
        for start in range(0, sizes.biased, 500):
            n = min(500, sizes.biased - start)
            truth = np.array([concepts[own] for own in drawn_concepts(concepts, n, 400 + start)]).T
            shifts = np.resize([0.25, 0.5, 1.0], n)
            values = plant(truth, 1.0, 40 + start) + (shifts - 1) * truth
            for j, x in enumerate(labelled(values, concepts, holdout=0.5, seed=SEED, n_jobs=-1)):
                inside = x.formula.evaluate(concepts)
                errors["search"].append(x.auc - true_auc(inside[~held], truth[~held, j], shifts[j]))
                errors["held out"].append(x.auc_heldout - true_auc(inside[held], truth[held, j], shifts[j]))
        row = [name]
        for one in errors.values():
            known = np.array(one)[np.isfinite(one)]
            row.append(f"{known.mean():+.4f} ± {known.std() / math.sqrt(len(known)):.4f}")
        figures[name] = {which: np.array(one) for which, one in errors.items()}
        rows.append(row)
    note = (
        f"{sizes.biased:,} neurons higher by 0.25, 0.5 or 1 SD where a random concept is shown. Mean of the AUC minus "
        "the expected AUC of the formula found, on the same samples, with its standard error."
    )
    return "Bias of the AUC", note, ["concepts", "on the samples searched", "on samples held out"], rows


def table_of_coverage(sizes: Sizes, figures: dict[str, object]) -> Table:
    rows = []
    for positives in (25, 100, 500):
        row = [str(positives)]
        shown = np.zeros((N, 1), np.bool_)
        shown[: 2 * positives] = True
        for auc in (0.7, 0.9, 0.97, 0.99):
            shift = math.sqrt(2) * float(ndtri(auc))
            inside = []
            for start in range(0, sizes.covered, 500):
                n = min(500, sizes.covered - start)
                rng = np.random.default_rng([SEED, 50, positives, int(1000 * auc), start])
                values = rng.normal(size=(N, n)) + shift * shown
                labels = labelled(values, shown, length=1, negation=False, holdout=0.5, seed=SEED, n_jobs=-1)
                inside += [x.auc_low <= auc <= x.auc_high for x in labels]
            row.append(f"{np.mean(inside):.3f}")
            figures[f"{positives} {auc}"] = float(np.mean(inside))
        rows.append(row)
    note = (
        f"Share of {sizes.covered:,} neurons whose 95% interval of the held-out AUC contains the true AUC, by number "
        "of held-out positives (of 5,000 samples) and by true AUC; activations are normal inside and outside."
    )
    return "Coverage of intervals", note, ["positives", "AUC 0.7", "AUC 0.9", "AUC 0.97", "AUC 0.99"], rows


def table_of_clusters(sizes: Sizes, figures: dict[str, object]) -> Table:
    videos, frames = 200, 50
    of_sample = np.repeat(np.arange(videos), frames)
    rng = np.random.default_rng([SEED, 60])
    shown = coco_like(videos, 40).to_dense()[of_sample]
    values = rng.normal(size=(videos, sizes.dependent))[of_sample] + 0.5 * rng.normal(size=(N, sizes.dependent))
    rows = []
    for name, clusters in (("by sample", False), ("by cluster", of_sample)):
        given = {"clusters": clusters, "min_count": 200, "seed": SEED, "n_jobs": -1}
        tested = labelled(values, shown, permutations=max(199, sizes.permutations // 10), **given)
        held = labelled(values, shown, holdout=0.5, **given)
        rejected = np.mean([x.p_search <= 0.05 for x in tested])
        beyond = np.mean([x.p <= 0.05 for x in held])
        figures[name] = [x.auc_heldout for x in held]
        rows.append([name, f"{rejected:.3f}", f"{np.nanmean(figures[name]):.3f}", f"{beyond:.3f}"])
    note = (
        f"{sizes.dependent} neurons of noise, most of which is shared within 200 clusters of 50 samples (videos and "
        "frames), as are the 40 concepts; a formula is true for at least 200 samples. Share of labels with p_search ≤ "
        "0.05, mean held-out AUC (0.5 is correct), and share with a held-out p ≤ 0.05."
    )
    return "Dependent samples", note, ["", "p_search ≤ 0.05", "held-out AUC", "held-out p ≤ 0.05"], rows


def table_of_strata(sizes: Sizes) -> Table:
    """Noise that follows a site as the concepts do, and a suspect that is correlated with the neuron's own."""
    rng, n_neurons, n = np.random.default_rng([SEED, 80]), 2 * sizes.noise, 1000
    site = np.repeat([0, 1], n // 2)
    shown = rng.random((n, 6)) < np.where(site, 0.4, 0.1)[:, np.newaxis]
    values = rng.normal(size=(n, n_neurons)) + 2 * site[:, np.newaxis]
    rows = []
    for name, strata in (("all samples", None), ("within sites", site)):
        options = {"permutations": min(999, sizes.permutations), "holdout": 0.5, "seed": SEED, "n_jobs": -1}
        labels = labelled(values, shown, strata=strata, **options)
        steps = [step.p_gain for x in labels for step in dict.fromkeys(x.path) if len(step.formula.concepts) > 1]
        kinds = [x.p_search for x in labels], [x.p for x in labels], steps
        shares = [f"{np.mean(np.array(p) <= 0.05):.3f}" for p in kinds]
        rows.append(["noise that follows a site", name, f"{np.nanmean([x.auc_heldout for x in labels]):.3f}", *shares])
    a = rng.random(n) < 0.4
    b = rng.random(n) < np.where(a, 0.8, 0.15)
    for kind in ("normal", "half zeros"):
        values = rng.normal(size=(n, n_neurons)) + 2 * a[:, np.newaxis]
        if kind == "half zeros":
            values = with_zeros(values, 0.5)
        for name, suspects in (("all samples", ["b"]), ("within equal a", ["a", "b"])):
            found = find_spurious(values, np.stack([a, b], axis=1), names=["a", "b"], suspects=suspects, permutations=0)
            own = found.neurons[found.neurons["suspect"] == "b"]
            share = f"{(own['p'] <= 0.05).mean():.3f}"
            rows.append([f"suspect b, neuron of a ({kind})", name, f"{own['auc'].mean():.3f}", "", share, ""])
    note = (
        f"{n_neurons:,} neurons over {n:,} samples, whose activations are 2 SD higher at one of two sites, where each "
        "of 6 concepts is shown by 40% instead of 10% of samples, and are noise otherwise: mean held-out AUC (0.5 is "
        f"correct), and the share of labels with p_search (of {options['permutations']} permutations), held-out p, and "
        "of steps with p_gain, of at most 0.05. Neurons that are 2 SD higher where suspect a is shown, and suspect b, "
        "shown by 80% of samples with a and 15% without: mean AUC, and share with p ≤ 0.05."
    )
    return "Confounders", note, ["data", "compared", "AUC", "p_search ≤ 0.05", "p ≤ 0.05", "p_gain ≤ 0.05"], rows


def stratified_z(values: Floats, inside: NDArray[np.bool_], strata: NDArray[np.int64], by_pairs: bool) -> Floats:
    """The standardised sum of U over strata, by van Elteren's weights or all alike, of values without ties (n, M)."""
    excess, variance = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for stratum in np.unique(strata):
        own = strata == stratum
        ranks = values[own].argsort(axis=0).argsort(axis=0) + 1.0
        size, m = own.sum(), inside[own].sum(axis=0)
        weight = 1.0 if by_pairs else 1 / (size + 1)
        excess += weight * ((ranks * inside[own]).sum(axis=0) - m * (size + 1) / 2)
        variance += weight**2 * m * (size - m) * (size + 1) / 12
    return np.asarray(excess / np.sqrt(variance))


def table_of_weights(sizes: Sizes) -> Table:
    """Power of the stratified test by van Elteren's weights, and by all pairs of samples of one stratum alike."""
    designs = {
        "2 of 500": ([500, 500], [0.2, 0.6]),
        "900 and 100": ([900, 100], [0.2, 0.6]),
        "one of 500, 100 of 5": ([500, *[5] * 100], [0.2, *[0.3, 0.7] * 50]),
        "one of 200, 200 of 4": ([200, *[4] * 200], [0.2, *[0.3, 0.7] * 100]),
    }
    rows = []
    for place, (name, (of_strata, share)) in enumerate(designs.items()):
        rng, n_neurons = np.random.default_rng([SEED, 81, place]), 4 * sizes.noise
        strata = np.repeat(np.arange(len(of_strata)), of_strata)
        inside = rng.random((len(strata), n_neurons)) < np.array(share)[strata][:, np.newaxis]
        noisy = rng.normal(size=inside.shape)
        row = [name]
        for shift in (0.0, 0.25):
            z = [stratified_z(noisy + shift * inside, inside, strata, by_pairs) for by_pairs in (False, True)]
            row += [f"{np.mean(np.abs(one) >= ndtri(0.975)):.3f}" for one in z]
        rows.append(row)
    note = (
        f"{n_neurons:,} neurons per row, a fifth to seven tenths of a stratum inside: share with p ≤ 0.05 for noise, "
        "and for a shift of 0.25 SD inside, by van Elteren's weights, which are used, and with all pairs of samples "
        "alike."
    )
    head = ["strata", "noise, van Elteren", "noise, pairs", "shift, van Elteren", "shift, pairs"]
    return "Weights of strata", note, head, rows


def draw(figures: dict[str, dict[str, object]], path: Path) -> None:
    """The figure of the docs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 7.6), layout="constrained")
    noise_axis, fdr, literal, bias, cover, cluster = axes.flat
    for name, (p, p_search) in figures["noise"].items():
        grid = np.linspace(0, 1, 400)
        noise_axis.plot(grid, [(p_search <= g).mean() for g in grid], lw=1.2, label=f"p_search: {name}")
        noise_axis.plot(grid, [(p <= g).mean() for g in grid], lw=1.2, ls=":", color="0.5")
    noise_axis.plot([0, 1], [0, 1], color="0.8", lw=1, zorder=0)
    noise_axis.annotate("p that ignores the search", (0.15, 0.93), color="0.4", fontsize=8)
    noise_axis.set(title="Noise: share of labels with p below", xlabel="p", ylabel="share")
    noise_axis.legend(fontsize=7, loc="lower right")
    names = list(figures["discoveries"])
    for place, name in enumerate(names):
        false, error, power = figures["discoveries"][name]
        fdr.bar(place - 0.2, false, 0.4, yerr=2 * error, color="#b6473e", label="false discoveries" * (not place))
        fdr.bar(place + 0.2, power, 0.4, color="#3e6fb6", label="power" * (not place))
    fdr.axhline(0.05, color="0.5", lw=1, ls=":")
    fdr.set(title="Kept at q ≤ 0.05, 90% noise", xticks=range(len(names)), ylim=(0, 1))
    fdr.set_xticklabels([f"{n}\nSD shift".replace(", ", "\n") for n in names], fontsize=7)
    fdr.legend(fontsize=8, loc="upper left", framealpha=1)
    names = list(figures["literals"])[::-1]
    for step, (color, text) in enumerate(
        (("0.75", "found on all"), ("0.5", "found on half"), ("#3e6fb6", "simplest()"))
    ):
        exact = [figures["literals"][name][step][0] for name in names]
        literal.barh(np.arange(len(names)) + 0.27 * (1 - step), exact, 0.27, color=color, label=text)
    literal.set(title="Planted formulas that come back exactly", yticks=range(len(names)), xlim=(0, 1))
    literal.set_yticklabels([", min_count ".join(n.rsplit(", ", 1)) for n in names], fontsize=7)
    literal.legend(fontsize=8, loc="upper right")
    for place, errors in enumerate(figures["bias"].values()):
        for side, (which, color) in enumerate((("search", "#b6473e"), ("held out", "#3e6fb6"))):
            known = errors[which][np.isfinite(errors[which])]
            made = bias.boxplot([known], positions=[3 * place + side], widths=0.7, showfliers=False, patch_artist=True)
            made["boxes"][0].set(facecolor=color, alpha=0.6, label=which * (not place))
    bias.axhline(0, color="0.5", lw=1, ls=":")
    bias.set(title="AUC less the one to expect", xticks=[0.5, 3.5])
    bias.set_xticklabels(list(figures["bias"]))
    bias.legend(fontsize=8)
    for positives, mark in ((25, "o"), (100, "s"), (500, "^")):
        aucs = (0.7, 0.9, 0.97, 0.99)
        values = [figures["coverage"][f"{positives} {a}"] for a in aucs]
        cover.plot(range(4), values, marker=mark, lw=1, label=f"{positives} positives")
    cover.axhline(0.95, color="0.5", lw=1, ls=":")
    cover.set(title="Coverage of 95% intervals", ylim=(0.85, 1), xticks=range(4), xlabel="true AUC")
    cover.set_xticklabels(["0.7", "0.9", "0.97", "0.99"])
    cover.legend(fontsize=8)
    for name, color in (("by sample", "#b6473e"), ("by cluster", "#3e6fb6")):
        known = np.array(figures["clusters"][name])
        cluster.hist(known[np.isfinite(known)], np.linspace(0, 1, 41), color=color, alpha=0.6, label=f"split {name}")
    cluster.axvline(0.5, color="0.5", lw=1, ls=":")
    cluster.set(title="Noise shared within videos: held-out AUC", xlabel="AUC")
    cluster.legend(fontsize=8)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_sizes(path: Path) -> None:
    """The figure that says why an effect stands beside each p: the same neurons, on ever more samples."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sizes, shifts = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000), (0.05, 0.1, 0.5, 1.5)
    rng = np.random.default_rng(SEED)
    shown = rng.random((sizes[-1], 1)) < 0.1
    values = rng.normal(size=(sizes[-1], len(shifts))) + np.array(shifts) * shown
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    found = {n: list(labelled(values[:n], shown[:n], length=1, negation=False, effects=True)) for n in sizes}
    for j, shift in enumerate(shifts):
        lines = {
            "log10_p": [max(found[n][j].log10_p, -40) for n in sizes],
            "auc": [found[n][j].auc for n in sizes],
            "average_precision": [found[n][j].average_precision for n in sizes],
        }
        for axis, line in zip(axes, lines.values(), strict=True):
            axis.plot(sizes, line, marker="o", ms=3, lw=1.2, label=f"higher inside by {shift} SD")
    axes[0].axhline(math.log10(0.05), color="0.5", lw=1, ls=":")
    axes[0].annotate("0.05", (sizes[-2], -1.1), fontsize=8, color="0.4")
    titles = ("log10 p (cut at −40): grows with the samples", "AUC: stays", "average precision: stays (0.1 is chance)")
    for axis, title, limits in zip(axes, titles, ((-41, 1), (0.45, 1), (0, 1)), strict=True):
        axis.set(xscale="log", xlabel="samples", ylim=limits)
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[1].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--full", action="store_true", help="the sizes of the record, written to CALIBRATION.md")
    parser.add_argument("--out", type=Path, default=None, help="where to write; nowhere without --full")
    parser.add_argument("--figures", type=Path, default=None, help="the folder for figures; docs/ with --full")
    asked = parser.parse_args()
    sizes = FULL if asked.full else Sizes()
    sets = {"Tiny ImageNet": photos(asked.data), "COCO-like": coco_like()}
    figures: dict[str, dict[str, object]] = {}
    makers: dict[str, Callable[[dict[str, object]], Table]] = {
        "noise": lambda f: table_of_noise(sets, sizes, f),
        "rungs": lambda _: table_of_rungs(sets["Tiny ImageNet"], sizes),
        "discoveries": lambda f: table_of_discoveries(sets, sizes, f),
        "literals": lambda f: table_of_literals(sets, sizes, f),
        "bias": lambda f: table_of_bias(sets, sizes, f),
        "coverage": lambda f: table_of_coverage(sizes, f),
        "clusters": lambda f: table_of_clusters(sizes, f),
        "strata": lambda _: table_of_strata(sizes),
        "weights": lambda _: table_of_weights(sizes),
    }
    tables = []
    for name, make in makers.items():
        start = time.perf_counter()
        tables.append(make(figures.setdefault(name, {})))
        print(as_text(tables[-1:]).split("\n\n", 2)[2], f"({time.perf_counter() - start:.0f} s)\n", sep="", flush=True)
    out = asked.out or (HERE / "CALIBRATION.md" if asked.full else None)
    pictures = asked.figures or (HERE.parent / "docs" if asked.full else None)
    if out is not None:
        out.write_text(as_text(tables, "calibration.py --full"), encoding="utf-8")
    if pictures is not None:
        draw(figures, pictures / "calibration.png")
        draw_sizes(pictures / "significance.png")


if __name__ == "__main__":
    main()
