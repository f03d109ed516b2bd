"""Measure what many labels take in time and memory, and write benchmarks/LABELS.md.

python benchmarks/labels.py
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from neuronym import Labels
from neuronym.labeling.found import BlockResult, Found, blocks_of
from neuronym.labels.lazy import LazyLabels
from neuronym.report import report
from neuronym.search.beam import Rules, SearchResult

SIZES = (20_000, 100_000, 1_000_000)
KINDS = ("csv", "parquet", "json")
PACKAGES = ("numpy", "pyarrow")
HERE = Path(__file__).parent
N_CONCEPTS, N_SAMPLES = 1000, 50_000


def part(n: int, rng: np.random.Generator, rules: Rules) -> BlockResult:
    """What a search might find for some neurons: formulas of random literals, of which hardly any is found twice."""
    slots = rules.beam + 1 + rules.length
    shape = n, slots
    lengths = np.concatenate([rng.integers(2, 4, (n, rules.beam + 1)), np.tile([1, 2, 3], (n, 1))], axis=1)
    lengths[:, 0] = rules.length
    concepts = rng.permuted(np.tile(np.arange(N_CONCEPTS, dtype=np.int16), (n, 1)), axis=1)[:, : 3 * slots]
    literals = 2 * concepts.reshape(n, slots, 3).astype(np.int64) + rng.integers(0, 2, (n, slots, 3))
    operators = np.repeat(rng.integers(0, 2, shape)[:, :, np.newaxis], 3, axis=2)
    scores = np.sort(rng.uniform(0.55, 0.99, shape))[:, ::-1]
    for array in (lengths, literals, operators):
        array[:, -1] = array[:, 0]  # the path ends with the best formula
    counts = rng.integers(20, N_SAMPLES // 2, shape)
    counts[:, -1], scores[:, -1] = counts[:, 0], scores[:, 0]
    sums = np.rint(scores * 2 * counts * (N_SAMPLES - counts) + counts * (counts + 1)).astype(np.int64)
    numbers = np.ones(n, np.bool_), scores[:, 0].copy(), np.ones(n), np.zeros(n, np.int64)
    found = SearchResult(lengths, literals, operators, counts, sums, scores, *numbers)
    return BlockResult([found], np.zeros(n), np.zeros(n, np.bool_))


def made(n: int) -> Labels:
    """Labels as ``label`` returns them, of length 3 and beam 3."""
    rng, rules = np.random.default_rng(0), Rules()
    names = tuple(f"concept {c}" if c % 3 else f"concept_{c}" for c in range(N_CONCEPTS))
    shared = Found("layer", names, {}, rules, N_SAMPLES, ("high",), "auc")
    parts = (part(min(1000, n - start), rng, rules) for start in range(0, n, 1000))
    return Labels(LazyLabels(blocks_of(parts, range(n), shared)))


def peak() -> float:
    """The most memory that this process has held, in MiB; ``ru_maxrss`` would include what its parent held."""
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024


def resident() -> float:
    """The memory that this process holds, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(act: str, kind: str, n: int, folder: Path) -> dict[str, float]:
    """Do one thing in this process: its seconds of processor time, the memory in MiB, and the bytes of a label."""
    path = folder / f"{n}.{kind}"
    import pyarrow as pa  # noqa: F401  part of the start, as numpy is

    labels = made(n) if act in ("hold", "save") else Labels([])
    before, start = resident(), time.process_time()
    if act == "save":
        labels.save(path)
    elif act in ("open", "find"):
        labels = Labels.open(path)
        if act == "find":
            str(labels.of(n // 2))
    elif act == "report":
        report(path, folder / f"report-{n}")
    seconds, most = time.process_time() - start, peak()
    gc.collect()
    size = len(pickle.dumps(labels)) / n if act in ("hold", "open") else 0
    return {"seconds": seconds, "before": before, "peak": most, "bytes": size}


def in_process(*arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table_of_files(n: int, folder: Path) -> tuple[str, str, list[str], list[list[str]]]:
    rows = []
    held = in_process("hold", "csv", n, folder)
    for kind in KINDS:
        taken = {act: in_process(act, kind, n, folder) for act in ("save", "open", "find")}
        if kind == "parquet":
            taken["report"] = in_process("report", kind, n, folder)
        size = (folder / f"{n}.{kind}").stat().st_size / 2**20
        cells = [f"{taken[act]['seconds']:.1f} s, {taken[act]['peak']:,.0f}" for act in taken]
        rows.append([kind, f"{size:,.0f}", *cells, *["–"] * (4 - len(cells)), f"{taken['open']['bytes']:,.0f}"])
    note = (
        "Seconds of processor time, and the peak of resident memory in MiB, of a process of its own, which starts with "
        f"{held['before'] - held['bytes'] * n / 2**20:,.0f} MiB. *save* starts from the labels as `label()` returns "
        f"them, of {held['bytes']:,.0f} bytes each; *open and find* opens a file and makes one label; *report* opens "
        "the Parquet file and writes a page without activations. *Bytes* are those of an opened label, not yet made."
    )
    head = ["file", "size, MiB", "save", "open", "open and find", "report", "bytes"]
    return f"{n:,} labels", note, head, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "LABELS.md")
    parser.add_argument("--quick", action="store_true", help="2,000 labels, to try it")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--measure", nargs=4, metavar=("ACT", "KIND", "N", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        act, kind, n, folder = asked.measure
        print(json.dumps(measure(act, kind, int(n), Path(folder))))
        return
    from run import as_text  # not above: what it imports would count

    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for n in (2000,) if asked.quick else asked.sizes:
            tables.append(table_of_files(n, Path(folder)))
            print(as_text(tables[-1:], "labels.py", PACKAGES).split("\n\n", 2)[2], flush=True)
    asked.out.write_text(as_text(tables, "labels.py", PACKAGES), encoding="utf-8")


if __name__ == "__main__":
    main()
