"""Measure the search, and write benchmarks/RESULTS.md.

python benchmarks/run.py DATA [--before SOURCES]

With --before, that version is measured beside this one; with illico installed, sparse activations are measured too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import dense
import evidence
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from neuronym import Concepts, Hierarchy, label, open_activations
from neuronym.data.groups import SampleGroups, group
from neuronym.search.beam import Rules, search
from neuronym.search.scores import AUC

HERE = Path(__file__).parent
RULES = Rules(length=3, beam=3, min_fraction=0.002, max_fraction=0.5, min_count=20, prefixes="constrained")
PACKAGES = ("numpy", "numba", "scipy", "scikit-learn")
KINDS = ("tie-free", "half zeros", "small integers")


def imagenet(data: Path) -> Concepts:
    """The 50,000 validation images' classes and the hypernyms of at least two of them: 1,472 concepts."""
    classes = (data / "imagenet/classes.txt").read_text().split()
    concepts = Concepts.from_classes(np.load(data / "imagenet/val_labels.npy"), classes)
    return concepts.expand(Hierarchy.from_csv(data / "imagenet/hypernyms.csv"), min_concepts=2)


def coco(n_samples: int = 118_000, n_concepts: int = 91, seed: int = 0) -> Concepts:
    """Concepts as in COCO: one in half of the images, the others ever rarer, 2.9 to an image, few rows equal."""
    rng = np.random.default_rng(seed)
    rest = 1 / np.arange(2, n_concepts + 1) ** 0.8
    share = np.concatenate([[0.55], rest * 2.35 / rest.sum()])
    # Scenes make concepts occur together, so that images differ in how many they show.
    scene = rng.gamma(3, 1 / 3, (n_samples, 1))
    return Concepts.from_array(rng.random((n_samples, n_concepts)) < np.minimum(share * scene, 0.95))


def planted(concepts: Concepts, n_neurons: int, kind: str, seed: int = 0) -> NDArray[np.float32]:
    """Float32 neurons that each detect a concept or two, in noise: (n_samples, n_neurons)."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(concepts.n_samples, n_neurons)).astype(np.float32)
    for j in range(n_neurons):
        for c in rng.integers(0, concepts.n_concepts, 1 + j % 2):
            values[concepts.column(c), j] += rng.uniform(0.5, 3)
    if kind == "half zeros":
        return np.maximum(values - np.median(values, axis=0), 0).astype(np.float32)
    return np.round(values * 2).astype(np.float32) if kind == "small integers" else values


def searched(concepts: Concepts) -> SampleGroups:
    """What ``label`` searches: concepts that neither all nor no samples show, equal ones merged."""
    return group(concepts.prune(1, concepts.n_samples - 1).merge_equal())


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def packed(values: NDArray[np.float32], groups: SampleGroups) -> NDArray[np.uint64]:
    """Float32 neurons as keys whose order is theirs: the bits of the number above the group of the sample."""
    bits = np.ascontiguousarray(values.T + np.float32(0)).view(np.uint32)
    images = np.where(bits >> 31, ~bits, bits | np.uint32(2**31))
    return (images.astype(np.uint64) << np.uint64(32)) | groups.units.astype(np.uint64)


def parts(values: NDArray[np.float32], groups: SampleGroups, rules: Rules, repeats: int = 5) -> dict[str, float]:
    """Median milliseconds per neuron, on one thread: the sort alone, ranking as a whole, and the beam search."""
    score, n = AUC(), values.shape[1]
    keys = packed(values, groups)
    free = Rules(**{**rules.__dict__, "prefixes": "free"})
    taken: dict[str, list[float]] = {"sort": [], "rank": [], "constrained": [], "free": []}
    sums, terms = score.weigh(values, groups).sums, score.terms(groups.total, n)
    for _ in range(repeats):
        unsorted = keys.copy()
        taken["sort"].append(seconds(lambda rows=unsorted: [row.sort() for row in rows]))
        taken["rank"].append(seconds(lambda: score.weigh(values, groups)))
        taken["constrained"].append(seconds(lambda: search(sums, groups, rules, terms)))
        taken["free"].append(seconds(lambda: search(sums, groups, free, terms)))
    return {name: 1000 * statistics.median(times) / n for name, times in taken.items()}


Table = tuple[str, str, Sequence[str], list[list[str]]]


def table_of_kinds(concepts: Concepts) -> Table:
    rows = []
    groups = searched(concepts)
    for kind in KINDS:
        ms = parts(planted(concepts, 64, kind), groups, RULES)
        total = {prefixes: ms["rank"] + ms[prefixes] for prefixes in ("constrained", "free")}
        rows.append(
            [kind, *(f"{ms[name]:.2f}" for name in ("sort", "rank", "constrained", "free"))]
            + [f"{total[prefixes] / ms['sort']:.2f}" for prefixes in ("constrained", "free")]
        )
    note = (
        f"{concepts.n_samples:,} × {concepts.n_concepts:,} ({groups.n_groups:,} distinct rows, {groups.n_concepts:,} "
        f"concepts after merging equal ones), L=3, B=3, min_fraction=0.002. Milliseconds per neuron on one thread. "
        "*sort* is `np.sort` of the packed keys alone; *rank* packs, sorts and sums midranks by group; *search* is the "
        "beam search, with constrained prefixes and with stepping stones; the ratios are (rank + search) / sort."
    )
    head = ["neurons", "sort", "rank", "search, constrained", "search, free", "ratio, constrained", "ratio, free"]
    return "ImageNet validation, by kind of neuron", note, head, rows


def table_of_coco() -> Table:
    concepts = coco()
    groups = searched(concepts)
    ms = parts(planted(concepts, 8, "tie-free"), groups, RULES, 3)
    note = (
        f"{concepts.n_samples:,} × {concepts.n_concepts}, {groups.n_groups:,} distinct rows, "
        f"{groups.group_ptr[-1] / groups.n_groups:.1f} concepts in each. Milliseconds per neuron on one thread."
    )
    row = [f"{ms[name]:.2f}" for name in ("sort", "rank", "constrained", "free")]
    return "COCO-like, hardly any equal rows", note, ["sort", "rank", "search, constrained", "search, free"], [row]


def end_to_end(path: Path, data: Path) -> None:
    """In a process of its own: label all neurons of a file by one and two workers in turn, and print times."""
    concepts = imagenet(data)
    opened = open_activations(path)
    options = {"min_fraction": 0.002, "prefixes": "constrained"}
    label(opened, concepts, neurons=slice(2), **options)
    taken: dict[str, list[float]] = {"before": [], "1": [], "2": [], "sort 1": [], "sort 2": [], "peak": []}
    keys = np.random.default_rng(0).integers(0, 2**63, (512, opened.n_samples), np.uint64)
    taken["before"].append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    for _ in range(9):
        for n_jobs in (1, 2):
            taken[str(n_jobs)].append(seconds(lambda n=n_jobs: label(opened, concepts, n_jobs=n, **options)))
            halves = np.array_split(keys.copy(), n_jobs)
            with ThreadPoolExecutor(n_jobs) as pool:
                taken[f"sort {n_jobs}"].append(seconds(lambda h=halves, p=pool: list(p.map(np.ndarray.sort, h))))
    taken["peak"].append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    print(json.dumps(taken))


def table_of_workers(concepts: Concepts, data: Path) -> Table:
    """Two thousand neurons from a file, by one and by two workers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activations.npy"
        np.save(path, np.concatenate([planted(concepts, 512, "tie-free", seed) for seed in range(4)], axis=1))
        command = [sys.executable, __file__, str(data), "--end-to-end", str(path)]
        taken = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        size = path.stat().st_size / 2**20
    pairs, bound = (
        [one / two for one, two in zip(taken[f"{name}1"], taken[f"{name}2"], strict=True)] for name in ("", "sort ")
    )
    rows = []
    for n_jobs in ("1", "2"):
        own = statistics.median(taken[n_jobs])
        speed = f"{statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})" if n_jobs == "2" else "1"
        rows.append([n_jobs, f"{own:.2f}", f"{own / 2.048:.2f}", speed])
    note = (
        f"`label()` on 2,048 tie-free neurons from a memory-mapped file of {size:.0f} MiB, writing the labels, with "
        "one and two workers alternately: medians of 9, and the median ratio of a pair with its range. The limit of "
        f"the machine: in the same rounds, two threads sorted {statistics.median(bound):.2f} ({min(bound):.2f} to "
        f"{max(bound):.2f}) times as fast as one. Resident memory, including pages of the mapped file: "
        f"{taken['before'][0] / 1024:.0f} MiB after labelling two neurons, {taken['peak'][0] / 1024:.0f} MiB at the "
        "peak."
    )
    return "End to end", note, ["workers", "seconds", "ms per neuron", "speed-up"], rows


def of_groups(n_groups: int, n_samples: int = 50_000, n_concepts: int = 1_472, each: int = 10) -> Concepts:
    """Concepts of samples that show one of n_groups sets of concepts, of this many each."""
    rng = np.random.default_rng(n_groups)
    names = [f"c{c}" for c in range(n_concepts)]
    sets = [{names[c] for c in row} for row in rng.integers(0, n_concepts, (n_groups, each)).tolist()]
    shown = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, n_samples - n_groups)])
    return Concepts.from_sets([sets[g] for g in shown.tolist()])


def table_of_scaling(concepts: Concepts, plot: Path | None = None) -> Table:
    rng = np.random.default_rng(1)
    rows: list[list[str]] = []
    grown: dict[str, list[tuple[int, dict[str, float]]]] = {}

    def measure(term: str, size: int, sets: Concepts, values: NDArray[np.float32], rules: Rules) -> None:
        ms = parts(values, searched(sets), rules, 3)
        rows.append([f"{term} = {size:,}", *(f"{ms[name]:.2f}" for name in ("sort", "rank", "constrained", "free"))])
        grown.setdefault(term, []).append((size, ms))

    values = planted(concepts, 32, "tie-free")
    for n_samples in (6_250, 12_500, 25_000, 50_000):
        chosen = np.sort(rng.permutation(concepts.n_samples)[:n_samples])
        measure("N", n_samples, concepts.take(chosen), values[chosen], RULES)
    for n_concepts in (184, 368, 736, 1_472):
        some = rng.permutation(concepts.n_concepts)[:n_concepts]
        measure("K", n_concepts, concepts.select([concepts.names[c] for c in np.sort(some)]), values, RULES)
    for length in (1, 2, 3, 4, 5):
        measure("L", length, concepts, values, Rules(**{**RULES.__dict__, "length": length}))
    for beam in (1, 3, 10, 30, 100):
        measure("B", beam, concepts, values, Rules(**{**RULES.__dict__, "beam": beam}))
    for n_groups in (500, 2_000, 8_000, 32_000):
        measure("G", n_groups, of_groups(n_groups), values, RULES)
    if plot:
        draw_growth(grown, plot)
    note = (
        "One parameter at a time varies from the ImageNet case above; G, the number of distinct rows, from 50,000 "
        "samples of ten random concepts each. Milliseconds per neuron on one thread."
    )
    return "Scaling", note, ["", "sort", "rank", "search, constrained", "search, free"], rows


def draw_growth(grown: dict[str, list[tuple[int, dict[str, float]]]], path: Path) -> None:
    """Ranking and the beam search by each number that they depend on."""
    from neuronym.plots.figures import COLOURS, new_figure, write_figure

    titles = {"N": "samples", "K": "concepts", "L": "length", "B": "beam width", "G": "distinct rows"}
    figure = new_figure(11, 2.8)
    panels = figure.subplots(1, len(grown), sharey=True)
    for axes, (term, points) in zip(panels, grown.items(), strict=True):
        sizes = [size for size, _ in points]
        for colour, (name, words) in zip(COLOURS, (("rank", "ranking"), ("free", "beam search")), strict=False):
            axes.loglog(sizes, [ms[name] for _, ms in points], "o-", color=colour, label=words)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45)
        axes.minorticks_off()
        axes.set_xlabel(f"{titles[term]} ({term})")
    panels[0].set_ylabel("ms a neuron")
    panels[0].legend(frameon=False)
    write_figure(figure, path, "png")


def table_of_others(concepts: Concepts) -> Table:
    """The same search by a loop over formulas and by dense products, on one thread each."""
    kept = concepts.prune(1, concepts.n_samples - 1).merge_equal()
    groups, score = group(kept), AUC()
    terms = score.terms(groups.total, 32)
    values = planted(concepts, 32, "tie-free")
    lowest, highest = RULES.bounds(groups.total)
    matrix = kept.to_dense().astype(np.float32)
    n_formulas = 2 * kept.n_concepts + (RULES.length - 1) * RULES.beam * 4 * kept.n_concepts
    rng = np.random.default_rng(0)
    sample = [kept[kept.names[c]] for c in rng.permutation(kept.n_concepts)[:24]]
    centred = dense.ranks(values)
    ours, loop, ranked, products = [], [], [], []
    with threadpool_limits(1):
        for _ in range(3):
            ours.append(seconds(lambda: search(score.weigh(values, groups).sums, groups, RULES, terms)) / 32)
            loop.append(
                n_formulas
                * seconds(lambda: [roc_auc_score(truth, values[:, 0].copy()) for truth in sample])
                / len(sample)
            )
            ranked.append(seconds(lambda: dense.ranks(values)) / 32)
            products.append(seconds(lambda: dense.search(centred, matrix, 3, 3, lowest, highest)) / 32)
    found = search(score.weigh(values, groups).sums, groups, RULES, terms)
    worst = np.abs(found.scores[:, 0] - dense.search(centred, matrix, 3, 3, lowest, highest)).max()
    if worst > 1e-4:
        raise SystemExit(f"the dense search differs by {worst:.2g} in AUC: it is not the same search")
    own = statistics.median(ours)
    rows = [["neuronym", f"{1000 * own:.2f}", "1"]]
    for name, times in (
        (f"one AUC per formula, scikit-learn, {n_formulas:,} formulas", statistics.median(loop)),
        ("dense products, ranks included", statistics.median(ranked) + statistics.median(products)),
        ("dense products alone", statistics.median(products)),
    ):
        rows.append([name, f"{1000 * times:,.1f}", f"{times / own:,.1f}"])
    note = (
        "Tie-free neurons, constrained prefixes, one thread each. The loop is timed on 24 of its formulas and "
        "extrapolated. The dense search multiplies ranks × masks × concepts in float32 for 32 neurons at once "
        f"(`benchmarks/dense.py`); its best AUCs agree with ours to {worst:.0e}."
    )
    return "Other ways to do the same search", note, ["", "ms per neuron", "ratio"], rows


def as_text(tables: list[Table], script: str = "run.py", packages: Sequence[str] = PACKAGES) -> str:
    cpu = (
        next(
            (
                line.partition(":")[2].strip()
                for line in Path("/proc/cpuinfo").read_text().splitlines()
                if "model name" in line
            ),
            platform.processor(),
        )
        if Path("/proc/cpuinfo").exists()
        else platform.processor()
    )
    flags = "with" if "avx512f" in Path("/proc/cpuinfo").read_text() else "without"
    libraries = ", ".join(f"{name} {version(name)}" for name in packages)
    lines = [
        "# Results",
        "",
        f"Written by `python benchmarks/{script}` on {time.strftime('%Y-%m-%d')}: {cpu}, {os.cpu_count()} cores, "
        f"{flags} AVX-512, {platform.system()}, Python {platform.python_version()}, {libraries}. Machines differ, "
        "so compare the ratios, which come from one run.",
    ]
    for title, note, head, rows in tables:
        head, *rows = [[cell.replace("|", "\\|") for cell in row] for row in [list(head), *rows]]
        widths = [max(len(row[i]) for row in [list(head), *rows]) for i in range(len(head))]
        lines += ["", f"## {title}", "", note, ""]
        for row in [list(head), ["-" * (w - 1) + ":" if i else "-" * w for i, w in enumerate(widths)], *rows]:
            lines.append("| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--before", type=Path, metavar="SOURCES", help="the src of a version to compare with")
    parser.add_argument("--plot", type=Path, default=HERE.parent / "docs/scaling.png", help="of growth")
    parser.add_argument("--end-to-end", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.end_to_end:
        end_to_end(asked.end_to_end, asked.data)
        return
    import ranking  # which imports this
    import sparse_activations

    concepts = imagenet(asked.data)
    tables = []
    for make in (
        lambda: table_of_kinds(concepts),
        lambda: table_of_workers(concepts, asked.data),
        lambda: table_of_others(concepts),
        table_of_coco,
        lambda: table_of_scaling(concepts, asked.plot),
        lambda: evidence.table_of_costs(evidence.photos(asked.data)),
        lambda: evidence.table_of_real(evidence.photos(asked.data), asked.data),
        *([] if asked.before is None else [lambda: ranking.table_of_versions(asked.data, asked.before, 3)]),
        *(sparse_activations.makers() if find_spec("illico") else []),
    ):
        tables.append(make())
        print(as_text(tables[-1:]).split("\n\n", 2)[2], flush=True)
    asked.out.write_text(as_text(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
