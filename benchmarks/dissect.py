"""Compare INVERT, Network Dissection and Compositional Explanations on real photos; write benchmarks/DISSECT.md.

python benchmarks/dissect.py DATA WORK

DATA is the folder of the data sets, and WORK one for a store of maps: 2 GB, kept, so that a second run has them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from run import HERE, Table, as_text

from neuronym import collect, dissect, label, open_activations
from neuronym.analysis.dissect import compare_methods
from neuronym.data import Maps, Masks
from neuronym.io.images import Images
from neuronym.io.sources import boxes_as_masks
from neuronym.network.models import load_model

LAYERS = ["_blocks.10", "_blocks.15"]
N_CHECKED, QUANTILE = 200, 0.995
N_COLLECTED, REPEATS = 500, 3
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
    start = time.perf_counter()
    if name.startswith("collect"):
        with tempfile.TemporaryDirectory(dir=work) as folder:
            collect_photos(data, Path(folder) / "part.zarr", name == "collect maps", N_COLLECTED)
    elif name == "label":
        label({layer: np.load(work / f"{layer}.npy", mmap_mode="r")}, np.load(work / "shown.npy"))
    elif name != "start":
        dissect(work / f"maps.zarr/{layer}", masks_of(data), length=int(name[-1]))
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def collect_photos(data: Path, out: Path, maps: bool, n_photos: int | None = None) -> None:
    """Collect both layers of photos."""
    loaded = load_model("efficientnet-lite0")
    photos = Images(data / "tiny-imagenet-200/val/images", loaded.prepare)
    photos.sample_ids = photos.sample_ids[:n_photos]
    collect(loaded.model, photos, layers=LAYERS, maps=maps, out=out)


def table_of_costs(data: Path, work: Path) -> Table:
    """Seconds and memory of each step."""
    rows = []
    idle = run_alone("start", data, work)[1]
    if not (work / "maps.zarr").exists():
        collect_photos(data, work / "maps.zarr", True)
    masks = masks_of(data)
    np.save(work / "shown.npy", masks.concepts().to_dense())
    for layer in LAYERS:
        maps = Maps.of(open_activations(work / f"maps.zarr/{layer}"))
        place = {name: row for row, name in enumerate(maps.activations.sample_ids or ())}
        np.save(work / f"{layer}.npy", maps.pooled().matrix[[place[name] for name in masks.sample_ids or ()]])
    for what, title in (("collect pooled", "collect, pooled (INVERT)"), ("collect maps", "collect, maps (the others)")):
        found = [run_alone(what, data, work) for _ in range(REPEATS)]
        taken = float(np.median([one[0] for one in found]))
        rows.append([title, "both", f"{taken / 60 * 10_000 / N_COLLECTED:.1f} min", f"{found[0][1]:.2f} GB"])
    for layer in LAYERS:
        steps = {"label": "INVERT", "dissect 1": "Network Dissection", "dissect 3": "Compositional Explanations"}
        for what, title in steps.items():
            found = [run_alone(f"{what}:{layer}", data, work) for _ in range(REPEATS)]
            taken = float(np.median([one[0] for one in found]))
            rows.append([title, layer, f"{taken:.1f} s", f"{found[0][1]:.2f} GB"])
    size = sum(path.stat().st_size for path in (work / "maps.zarr").rglob("*") if path.is_file())
    note = (
        "10,000 photos of Tiny ImageNet, 64 × 64 pixels, on two cores, each step in a process of its own, the median "
        f"of {REPEATS} runs. A process that only imports takes {idle:.2f} GB. Collecting was timed on {N_COLLECTED:,} "
        "photos, and its minutes are those of all at that speed; the maps of both layers take "
        f"{size / 1e9:.2f} GB on disk. The other steps start from what is stored; the masks are boxes, drawn anew by "
        "each."
    )
    return "Time and memory", note, ["step", "layer", "time", "memory"], rows


def tables_of_methods(data: Path, work: Path) -> list[Table]:
    """The methods on the same layers, on held-out photos."""
    tables = []
    for min_fraction in (0.0, MIN_FRACTION):
        rows = []
        for layer in LAYERS:
            found = compare_methods(work / f"maps.zarr/{layer}", masks_of(data), holdout=0.5, min_fraction=min_fraction)
            for row in found.table.to_dict("records"):
                shares = [f"{row[name]:.0%}" for name in ("same", "same_concepts")]
                costs = f"{row['seconds']:.1f}", f"{row['memory']:.0f}"
                rows.append([
                    layer, row["method"], str(row["compared"]), f"{row['length']:.2f}", f"{row['iou']:.4f}",
                    f"{row['auc']:.3f}", *shares, f"{row['overlap']:.2f}", *costs,
                ])  # fmt: skip
        note = (
            "Half of the photos are searched, and the IoU of pixels and the AUC of photos are means on the other half, "
            f"over the neurons that all methods label. INVERT's formulas are true for at least {min_fraction:.0%} of "
            "the photos. The columns after the AUC compare with INVERT's label: the share of neurons with the same "
            "formula and with the same concepts, and the mean overlap of the photos where both formulas are true. Then "
            "the seconds from stored maps, and the memory in MB beyond what the process held."
        )
        head = ["layer", "method", "neurons", "length", "IoU", "AUC", "same", "same concepts", "overlap", "s", "MB"]
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
