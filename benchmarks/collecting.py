"""Measure the store of activations and the overhead of collecting, and write benchmarks/COLLECTING.md.

python benchmarks/collecting.py DATA
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from run import HERE, Table, as_text, seconds

from neuronym import Activations, Concepts, check, label, open_activations
from neuronym.data.zarr_matrix import ZarrMatrix
from neuronym.io import store_progress
from neuronym.io.zarr_store import LayerWriter

N_SAMPLES, N_NEURONS, BATCH = 200_000, 2048, 256


def planted(n_samples: int) -> Concepts:
    """Three hundred classes and ten groups of them."""
    classes = np.random.default_rng(0).integers(0, 300, n_samples)
    return Concepts.concatenate(
        [Concepts.from_classes(classes), Concepts.from_classes(classes // 30, [f"group{g}" for g in range(10)])]
    )


def write(path: Path, n_samples: int, n_neurons: int) -> None:
    """Write batches of noise on top of which every neuron is for one class."""
    rng = np.random.default_rng(1)
    concepts = planted(n_samples)
    classes = np.zeros(n_samples, np.int64)
    for c in range(300):
        classes[concepts.column(c)] = c
    pool = rng.normal(size=(8, BATCH, n_neurons)).astype(np.float32)
    with LayerWriter(path, ["layer"], {}, n_samples=n_samples) as writer:
        for number, start in enumerate(range(0, n_samples, BATCH)):
            own = classes[start : start + BATCH]
            part = pool[number % 8, : len(own)] * (1 + number % 7)
            part = part + 2 * (own[:, None] == np.arange(n_neurons) % 300)
            writer.add({"layer": part}, len(own))
        writer.finish()


def read(path: Path) -> None:
    opened = open_activations(path / "layer")
    for block in opened.blocks(opened.indices()):
        opened.block(block)


def label_all(path: Path) -> None:
    opened = open_activations(path / "layer")
    labels = label(opened, planted(opened.n_samples), length=2)
    right = sum(one.formula is not None and str(j % 300) in one.formula.concepts for j, one in enumerate(labels))
    if right < 0.99 * len(labels):
        raise SystemExit(f"only {right} of {len(labels)} neurons have their own class in their formula")


def table_of_checks(n_samples: int = N_SAMPLES, n_neurons: int = N_NEURONS, repeats: int = 7) -> Table:
    """What it costs that a store is checked, and that it is on the disk."""

    def in_blocks(opened: Activations) -> None:
        for block in opened.blocks(opened.indices()):
            opened.block(block)

    def bare(path: Path) -> Activations:
        return Activations(ZarrMatrix(path / "layer/activations"))

    def unsynced(path: Path) -> None:
        sync, store_progress._sync_all = store_progress._sync_all, lambda _: None
        try:
            write(path, n_samples // 10, n_neurons)
        finally:
            store_progress._sync_all = sync

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "acts.zarr"
        write(path, n_samples, n_neurons)
        turn = iter(range(4 * repeats))
        steps = {
            "open": (lambda: open_activations(path / "layer"), lambda: bare(path)),
            "read all in blocks": (lambda: in_blocks(open_activations(path / "layer")), lambda: in_blocks(bare(path))),
            "neuronym check": (lambda: check(path), lambda: in_blocks(bare(path))),
            "write a tenth": (
                lambda: write(Path(folder) / f"{next(turn)}.zarr", n_samples // 10, n_neurons),
                lambda: unsynced(Path(folder) / f"{next(turn)}.zarr"),
            ),
        }
        for name, (checked, plain) in steps.items():
            pairs = [(seconds(checked), seconds(plain)) for _ in range(repeats)]
            ratios = [own / other for own, other in pairs]
            times = [f"{1000 * statistics.median(times):,.1f}" for times in zip(*pairs, strict=True)]
            rows.append([name, *times, f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"])
    note = (
        f"The same store, in one process, {repeats} rounds of each pair in turn: milliseconds with checks and without "
        "them (a plain Zarr array; for the whole check, reading all in blocks), and the median and range of the ratio "
        "in a round. Of writing, with and without waiting until chunks are on the disk."
    )
    return "Checks", note, ["", "with", "without", "ratio"], rows


STEPS = {"write": write, "read": read, "label": label_all}


def step(name: str, path: Path, *sizes: int) -> tuple[float, float]:
    """Seconds and peak MiB of a step in a process of its own."""
    command = [sys.executable, __file__, "--step", name, str(path), *map(str, sizes)]
    return tuple(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


def table_of_store(n_samples: int = N_SAMPLES, n_neurons: int = N_NEURONS) -> Table:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "acts.zarr"
        for name in STEPS:
            sizes = (n_samples, n_neurons) if name == "write" else ()
            taken, peak = step(name, path, *sizes)
            rate = n_samples * n_neurons * 4 / 2**20 / taken
            rows.append([name, f"{taken:.1f}", f"{rate:,.0f}", f"{peak:,.0f}"])
        n_files = sum(1 for file in path.rglob("*") if file.is_file())
    note = (
        f"{n_samples:,} samples × {n_neurons:,} neurons, float32, written in batches of {BATCH}, read in blocks of "
        "neurons, and labelled with 310 concepts, length 2, by one worker. Each step runs in its own process; its peak "
        f"resident memory includes Python and its libraries. {n_files:,} files."
    )
    return "The store", note, ["", "seconds", "MiB per second", "peak MiB"], rows


def table_of_overhead(data: Path, n_images: int = 320, repeats: int = 7) -> Table:
    import torch

    from neuronym.io.images import Images
    from neuronym.network.collecting import collect
    from neuronym.network.models import load_model

    loaded = load_model("efficientnet-lite0")
    loaded.model.eval()
    images = Images(data / "tiny-imagenet-200/val/images", loaded.prepare)
    some = torch.utils.data.Subset(images, range(n_images))

    def bare() -> None:
        with torch.no_grad():
            for batch in torch.utils.data.DataLoader(some, batch_size=8):
                loaded.model(batch)

    def ours(out: Path | None = None, layers: tuple[str, ...] = ("_avg_pooling", "_fc")) -> None:
        collect(loaded.model, some, layers=layers, out=out, batch_size=8)

    blocks = tuple(f"_blocks.{b}" for b in range(len(loaded.model._blocks)))
    taken: dict[str, list[float]] = {
        "the loop alone": [],
        "two layers": [],
        "two layers to a store": [],
        "18 layers": [],
    }
    bare()
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(repeats):
            taken["the loop alone"].append(seconds(bare))
            taken["two layers"].append(seconds(ours))
            taken["two layers to a store"].append(seconds(lambda t=turn: ours(Path(folder) / f"{t}.zarr")))
            taken["18 layers"].append(seconds(lambda: ours(None, ("_avg_pooling", "_fc", *blocks))))
    rows = []
    for name, times in taken.items():
        ratios = [own / alone for own, alone in zip(times, taken["the loop alone"], strict=True)]
        rate = n_images / statistics.median(times)
        rows.append([name, f"{rate:.0f}", f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"])
    memory = "kept" if "MALLOC_TRIM_THRESHOLD_" in os.environ else "returned to the system after every layer"
    note = (
        f"EfficientNet-Lite0 on {n_images} photos from disk, batches of 8, {repeats} rounds: photos per second, and "
        f"the ratio to the time of the bare loop in the same round, median and range. Freed memory is {memory}."
    )
    return "Overhead of collecting", note, ["", "photos per second", "ratio"], rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        name, path, *sizes = asked.step
        taken = seconds(lambda: STEPS[name](Path(path), *map(int, sizes)))
        print(json.dumps([taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return
    tables = [table_of_store(), table_of_checks(), *([table_of_overhead(asked.data)] if asked.data else [])]
    text = as_text(tables, "collecting.py", ("numpy", "torch", "zarr"))
    print(text)
    (HERE / "COLLECTING.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
