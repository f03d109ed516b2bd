"""Compare INVERT, Network Dissection and Compositional Explanations on real photos; write benchmarks/DISSECT.md.

python benchmarks/dissect.py DATA WORK

DATA is the folder of the data sets, and WORK one for stores of maps: 2 GB, kept, so that a second run collects nothing.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from run import HERE, Table, as_text

from neuronym import collect, dissect, label, open_activations
from neuronym.analysis.dissect import compare_methods
from neuronym.data import Concepts, Maps, Masks
from neuronym.io.images import Images
from neuronym.io.sources import boxes_as_masks
from neuronym.network.models import load_model

LAYERS = ["_blocks.10", "_blocks.15"]
N_CHECKED, QUANTILE = 200, 0.995
MIN_FRACTION = 0.02  # of INVERT's formulas, since without it nearly all are single classes of 50 photos


def masks_of(data: Path) -> Masks:
    """The boxes of Tiny ImageNet, with WordNet's concepts above the classes."""
    return boxes_as_masks(data / "tiny-imagenet-200/val/val_annotations.txt", size=(64, 64), hierarchy="wordnet")


def dense_reference(maps: NDArray[np.float32], masks: Masks, sample: NDArray[np.int64]) -> NDArray[np.float64]:
    """The IoU of each neuron with each concept, by enlarging every map of every photo and comparing all pixels."""
    import torch

    cut = np.sort(maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1).astype(np.float64), axis=1)
    thresholds = cut[:, int(np.ceil(QUANTILE * cut.shape[1])) - 1]
    both = np.zeros((maps.shape[1], masks.n_concepts))
    on, inside = np.zeros(maps.shape[1]), np.zeros(masks.n_concepts)
    for grid, place in zip(maps, sample, strict=True):
        regions = masks.regions(int(place))
        size = regions.numbers.shape
        large = torch.nn.functional.interpolate(
            torch.tensor(grid, dtype=torch.float64)[None], size, mode="bilinear", align_corners=False
        )[0].numpy()
        above = (large > thresholds[:, None, None]).reshape(len(grid), -1)
        shown = np.array([[c in one for c in range(masks.n_concepts)] for one in regions.concepts], float)
        pixels = shown[regions.numbers.ravel()]
        both += above.astype(float) @ pixels
        on, inside = on + above.sum(1), inside + pixels.sum(0)
    return np.asarray(both / (on[:, None] + inside - both))


def table_of_reference(data: Path, work: Path) -> Table:
    """The IoU of every neuron and concept on some photos, beside the slow reference."""
    masks = masks_of(data)
    rows = []
    chosen = np.random.default_rng(0).choice(masks.n_samples, N_CHECKED, replace=False)
    chosen.sort()
    part = masks.take(chosen)
    for layer in LAYERS:
        maps = Maps.of(open_activations(work / f"maps.zarr/{layer}"))
        place = {name: row for row, name in enumerate(maps.activations.sample_ids or ())}
        order = np.array([place[name] for name in part.sample_ids or ()])
        own = maps.block(np.arange(maps.n_neurons), order).reshape(len(order), maps.n_neurons, maps.height, maps.width)
        start = time.perf_counter()
        slow = dense_reference(own, masks, chosen)
        taken = time.perf_counter() - start
        start = time.perf_counter()
        found = dissect(Maps(own, sample_ids=part.sample_ids), part, quantile=QUANTILE, min_count=1)
        fast = time.perf_counter() - start
        best = np.nanmax(slow, axis=1)
        off = max(abs(one.value - best[j]) for j, one in enumerate(found.labels) if one.formula is not None)
        every = np.nanmax(np.abs(found.single_concepts().to_numpy() - slow))
        rows.append([layer, str(maps.n_neurons), f"{off:.1e}", f"{every:.1e}", f"{taken:.1f} s", f"{fast:.2f} s"])
    note = (
        f"{N_CHECKED} of the photos: the largest difference of the IoU of a neuron's best concept, and of any neuron "
        "and concept, from enlarging every map by `torch.nn.functional.interpolate` and comparing all pixels."
    )
    head = ["layer", "neurons", "best concept", "any concept", "reference", "dissect"]
    return "Against a dense reference", note, head, rows


def run_alone(what: str, data: Path, work: Path) -> tuple[float, float]:
    """Run a part in a process of its own; the seconds that it took, and the most memory of the process in GB."""
    command = [sys.executable, __file__, str(data), str(work), "--only", what]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, memory = done.stdout.split()[-2:]
    return float(taken), float(memory)


def only(what: str, data: Path, work: Path) -> None:
    """Do one part, and print its seconds and the memory of this process."""
    name, _, layer = what.partition(":")
    layers = [layer] if layer else LAYERS
    start = time.perf_counter()
    if name == "start":
        pass
    elif name.startswith("collect"):
        loaded = load_model("efficientnet-lite0")
        photos = Images(data / "tiny-imagenet-200/val/images", loaded.prepare)
        maps = name == "collect maps"
        collect(loaded.model, photos, layers=layers, maps=maps, out=work / ("maps.zarr" if maps else "pooled.zarr"))
    elif name == "label":
        label(pooled_of(work, layer), concepts_of(data))
    else:
        dissect(work / f"maps.zarr/{layer}", masks_of(data), length=int(name[-1]))
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def pooled_of(work: Path, layer: str) -> dict[str, object]:
    """The pooled activations of a layer, from the store of a pass that pools."""
    return {layer: open_activations(work / f"pooled.zarr/{layer}")}


def concepts_of(data: Path) -> Concepts:
    """What each photo shows."""
    return masks_of(data).concepts()


def table_of_costs(data: Path, work: Path) -> Table:
    """Seconds and memory of each step."""
    rows = []
    idle = run_alone("start", data, work)[1]
    for what, title in (("collect pooled", "collect, pooled (INVERT)"), ("collect maps", "collect, maps (the others)")):
        store = work / ("maps.zarr" if what == "collect maps" else "pooled.zarr")
        fresh = not store.exists()
        taken, memory = run_alone(what, data, work)
        size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file()) / 1e6
        rows.append(
            [title, "both", f"{taken / 60:.1f} min" if fresh else "was there", f"{memory:.2f} GB", f"{size:,.0f} MB"]
        )
    for layer in LAYERS:
        for what, title in (
            ("label", "INVERT"),
            ("dissect 1", "Network Dissection"),
            ("dissect 3", "Comp. Explanations"),
        ):
            taken, memory = run_alone(f"{what}:{layer}", data, work)
            rows.append([title, layer, f"{taken:.1f} s", f"{memory:.2f} GB", ""])
    note = (
        f"10,000 photos of Tiny ImageNet, 64 × 64 pixels, on two cores, each step in a process of its own. A process "
        f"that only imports takes {idle:.2f} GB. The steps below the first two start from stored activations; the "
        "masks are boxes, drawn anew by each. Reading what was compiled before is included."
    )
    return "Time and memory", note, ["step", "layer", "time", "memory", "on disk"], rows


def tables_of_methods(data: Path, work: Path) -> list[Table]:
    """The methods on the same layers, on held-out photos."""
    tables = []
    for min_fraction in (0.0, MIN_FRACTION):
        rows = []
        for layer in LAYERS:
            found = compare_methods(work / f"maps.zarr/{layer}", masks_of(data), holdout=0.5, min_fraction=min_fraction)
            for row in found.table.to_dict("records"):
                shares = [f"{row[name]:.0%}" for name in ("same", "same_concepts")]
                rows.append([
                    layer, row["method"], str(row["neurons"]), f"{row['length']:.2f}", f"{row['iou']:.4f}",
                    f"{row['auc']:.3f}", *shares, f"{row['overlap']:.2f}", f"{row['seconds']:.1f}",
                ])  # fmt: skip
        note = (
            "Half of the photos are searched, and the IoU of pixels and the AUC of photos are means on the other half, "
            f"over the neurons that all methods label. INVERT's formulas are true for at least {min_fraction:.0%} of "
            "the photos. The last columns compare with INVERT's label: the share of neurons with the same formula and "
            "with the same concepts, and the mean overlap of the photos where both formulas are true."
        )
        head = ["layer", "method", "labelled", "length", "IoU", "AUC", "same", "same concepts", "overlap", "seconds"]
        tables.append((f"Three methods, α = {min_fraction:g}", note, head, rows))
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        only(given.only, given.data, given.work)
        return
    costs = table_of_costs(given.data, given.work)
    tables = [costs, *tables_of_methods(given.data, given.work), table_of_reference(given.data, given.work)]
    text = as_text(tables, "dissect.py", ("numpy", "numba", "scipy", "torch"))
    (HERE / "DISSECT.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
