"""Measure what watermarks and ablations do to a real network, and write benchmarks/NETWORK.md.

python benchmarks/network.py DATA

The network is EfficientNet-Lite0. Takes about half an hour on two cores; needs fonts for Chinese, Japanese, Korean
and Arabic.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from evidence import Table, photos
from matplotlib.figure import Figure
from numpy.typing import NDArray
from run import HERE, as_text

from neuronym import Concepts, Hierarchy, label
from neuronym.analysis.circuits.graph import ObservedModel, ablate, by_depth, contributions
from neuronym.analysis.spurious import Findings, find_spurious
from neuronym.analysis.spurious.overlays import Alteration, AlteredSamples, Blur, Border, Jpeg, Text, overlay
from neuronym.io.images import Images
from neuronym.io.zarr_store import open_layers
from neuronym.network.collecting import collect
from neuronym.network.models import LoadedModel, load_model
from neuronym.plots import plot_findings

SEED, CLASSES, NEURONS = 2023, 50, 10
CARTON = 478
HEAD, LAYERS = "_fc", ("_blocks.10", "_blocks.15")
ALTERATIONS: dict[str, Alteration] = {
    "Chinese, 捷径捷径捷径": Text("捷径捷径捷径"),
    "Chinese, 保留所有权利": Text("保留所有权利"),
    "Japanese, ショートカット": Text("ショートカット"),
    "Korean, 지름길지름길": Text("지름길지름길"),
    "Arabic, طريق مختصر": Text("طريق مختصر"),
    "Cyrillic, ПУТЬ ПУТЬ": Text("ПУТЬ ПУТЬ"),
    "Latin, SHORTCUTS": Text("SHORTCUTS"),
    "a black border": Border(),
    "blur": Blur(),
    "JPEG of quality 10": Jpeg(10),
}


def altered(loaded: LoadedModel, data: Path, how: Alteration) -> tuple[Findings, AlteredSamples]:
    """The findings of an alteration of all photos."""
    both = overlay(Images(data / "imagenet-photos", loaded.prepare), how, name="altered")
    taken = collect(loaded.model, both, layers=["_avg_pooling", HEAD])
    found = find_spurious(taken, both.concepts(), suspects="altered", outputs=HEAD, class_names=readable(data))
    return found, both


def readable(data: Path) -> list[str]:
    classes = (data / "imagenet/classes.txt").read_text().split()
    return list(Hierarchy.imagenet().readable(classes).values())


def table_of_watermarks(loaded: LoadedModel, data: Path, figure: Path) -> Table:
    """What each alteration does to the logits, and to that of carton."""
    rows, taken = [], 0.0
    for name, how in ALTERATIONS.items():
        start = time.perf_counter()
        found, both = altered(loaded, data, how)
        taken = time.perf_counter() - start
        if not rows:
            plot_findings(found, figure, photos=both, overwrite=True)
        neurons = found.neurons[found.neurons["layer"] == "_avg_pooling"]
        best, carton = found.classes.iloc[0], found.classes.set_index("class").loc[CARTON]
        rows.append(
            [
                name,
                f"{(neurons['q'] <= 0.05).mean():.0%}",
                f"{neurons['auc'].max():.3f}",
                f"{best['name']} {best['change']:+.2f}",
                str(carton["rank"]),
                f"{carton['change']:+.2f} ({carton['change_low']:+.2f} to {carton['change_high']:+.2f})",
                f"{carton['predicted_before']:.1%} → {carton['predicted_after']:.1%}",
            ]
        )
    note = (
        f"998 photos, one per class, and a copy of each; {taken:.0f} s per alteration. Text is white, "
        "half-transparent, in the middle, and as wide as the photo if it has six characters or more. The rank of "
        f"carton (class {CARTON}) is that of its change among 1,000 logits."
    )
    head = [
        *("alteration", "pooled neurons with q ≤ 0.05", "highest AUC of one", "class that gains most"),
        *("rank of carton", "change of its logit (95%)", "predicted"),
    ]
    return "Watermarks", note, head, rows


def changes(
    observed: ObservedModel, layer: str, target: int, learn: NDArray[np.int64], test: NDArray[np.int64], n_random: int
) -> tuple[float, float, NDArray[np.float64], float]:
    """The logit before, and its change without the ten largest contributors, random ones, and the most unusual ones."""
    place = (HEAD, target)
    top = contributions(observed, target=place, layer=layer, where=learn).top(NEURONS)
    found = ablate(observed, target=place, neurons={layer: top}, where=test, n_random=n_random, seed=target)
    matrix = np.asarray(observed.layers[layer].matrix, np.float64)
    unusual = np.argsort(-np.abs(matrix[learn].mean(axis=0) - matrix.mean(axis=0)))[:NEURONS].tolist()
    other = ablate(observed, target=place, neurons={layer: unusual}, where=test, n_random=0)
    return float(found.before.mean()), found.change, found.changes_random, other.change


def table_of_ablations(loaded: LoadedModel, data: Path, tiny: Path, folder: Path, figure: Path) -> Table:
    """Ten largest contributors against ten random neurons, for 50 classes."""
    classes = (data / "imagenet/classes.txt").read_text().split()
    rng = np.random.default_rng(SEED)
    drawing = Figure(figsize=(9.5, 3.6), layout="constrained")
    axes = drawing.subplots(1, 2, sharey=True)
    rows: list[list[str]] = []
    sets = (
        ("one photo of the class", data / "imagenet-photos", None, 20, axes[0]),
        ("25 photos, learned from 25 others", data / "tiny-imagenet-200/val/images", tiny, 5, axes[1]),
    )
    for name, images, store, n_random, axis in sets:
        samples = Images(images, loaded.prepare)
        if store is None:
            collect(loaded.model, samples, layers=[*LAYERS, HEAD], out=folder / "photos.zarr")
            owners = [i.split("_")[0] for i in samples.sample_ids]
        else:
            lines = (data / "tiny-imagenet-200/val/val_annotations.txt").read_text().splitlines()
            of = dict(line.split("\t")[:2] for line in lines)
            owners = [of[i] for i in samples.sample_ids]
        observed = ObservedModel.of(
            loaded.model, samples, [*LAYERS, HEAD], activations=str(store or folder / "photos.zarr")
        )
        there = sorted(set(owners) & set(classes))
        drawn = [there[k] for k in sorted(rng.choice(len(there), CLASSES, replace=False))]
        for layer in LAYERS:
            start, found = time.perf_counter(), []
            for owner in drawn:
                own = np.flatnonzero(np.array(owners) == owner)
                learn, test = (own, own) if len(own) == 1 else (own[::2], own[1::2])
                found.append(changes(observed, layer, classes.index(owner), learn, test, n_random))
            before, top, unusual = (np.array([one[k] for one in found]) for k in (0, 1, 3))
            random = np.stack([one[2] for one in found])
            beaten = np.abs(top)[:, np.newaxis] > np.abs(random)
            rows.append(
                [
                    *(name, layer, f"{before.mean():.2f}", f"{top.mean():+.2f}", f"{random.mean():+.2f}"),
                    *(f"{unusual.mean():+.2f}", f"{beaten.mean():.1%}", f"{beaten.all(axis=1).sum()} of {CLASSES}"),
                    *(f"{(np.abs(top) > np.abs(unusual)).sum()} of {CLASSES}",),
                    f"{time.perf_counter() - start:.0f} s",
                ]
            )
            order = np.argsort(top)
            axis.plot(top[order], "o", ms=3, label=f"\u200b{layer}, ten largest contributors")
            axis.plot(np.tile(np.arange(CLASSES)[:, None], random.shape[1]), random[order], ".", ms=2, color="0.6")
        axis.axhline(0, color="0.8", lw=0.8)
        axis.set(title=name, xlabel="class, by change")
        axis.legend(fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("change of the class's logit")
    drawing.savefig(figure, dpi=120)
    note = (
        f"{CLASSES} random classes. The {NEURONS} channels of a block below the head that add most to the logit "
        f"(gradient × activation) are set to their mean, and compared with {NEURONS} random channels (20 sets, or "
        f"5) and with the {NEURONS} channels whose activation is farthest from its mean."
    )
    head = [
        *("photos", "layer", "logit", "without contributors", "without random", "without the most unusual"),
        *("more than a random set", "more than all of them", "more than the most unusual", "time"),
    ]
    return "Ablation", note, head, rows


def table_of_depths(data: Path, tiny: Path, layers: list[str]) -> Table:
    """How labels get specific over depth."""
    concepts, rows = photos(data), []
    lines = (data / "tiny-imagenet-200/val/val_annotations.txt").read_text().splitlines()
    shown: Concepts = concepts.with_ids([line.split("\t")[0] for line in lines])
    hierarchy = Hierarchy.imagenet()
    taken = open_layers(tiny)
    for length in (1, 3):
        for least in (0.0, 0.02):
            labels = label({layer: taken[layer] for layer in layers}, shown, length=length, min_fraction=least)
            for row in by_depth(labels, shown, hierarchy).itertuples(index=False):
                numbers = (row.auc, row.fraction, row.depth, row.hypernyms)
                rows.append([row.layer, str(length), f"{least:g}", str(row.neurons), *(f"{x:.3f}" for x in numbers)])
    note = "10,000 photos of 200 classes and their hypernyms, 348 concepts. Means over the neurons of a layer."
    head = ["layer", "length", "α", "neurons", "AUC", "fraction", "depth of concepts", "share of hypernyms"]
    return "From general to specific", note, head, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--store", type=Path, help="where to keep the activations of the 10,000 photos")
    parser.add_argument("--out", type=Path, default=HERE / "NETWORK.md")
    parser.add_argument("--figures", type=Path, default=HERE.parent / "docs")
    asked = parser.parse_args()
    loaded = load_model("efficientnet-lite0")
    with tempfile.TemporaryDirectory() as folder:
        tables = [table_of_watermarks(loaded, asked.data, asked.figures / "spurious.png")]
        store = asked.store or Path(folder) / "tiny.zarr"
        layers = ["_blocks.4", "_blocks.10", "_blocks.15", "_avg_pooling", HEAD]
        tiny = Images(asked.data / "tiny-imagenet-200/val/images", loaded.prepare)
        collect(loaded.model, tiny, layers=layers, out=store, progress=True)
        tables.append(table_of_depths(asked.data, store, layers))
        figure = asked.figures / "ablation.png"
        tables.append(table_of_ablations(loaded, asked.data, store, Path(folder), figure))
    text = as_text(tables, "network.py")
    print(text)
    asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
