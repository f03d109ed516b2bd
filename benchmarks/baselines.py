"""Label efficientnet-lite0 beside the same network untrained, layer by layer, and draw docs/baselines.png.

python benchmarks/baselines.py DATA
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

from run import HERE

from neuronym import Concepts, Hierarchy, Labels, collect, compare_layers, label
from neuronym.io import Images
from neuronym.network import load_model
from neuronym.plots import plot_baselines

LAYERS = ["_blocks.0", "_blocks.4", "_blocks.8", "_blocks.12", "_blocks.15", "_avg_pooling"]
SEEDS = (None, 0, 1, 2)  # None: the trained network
EVERY = 5  # of 10,000 photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--stores", type=Path, help="a folder to keep activations in, for another run")
    parser.add_argument("--figure", type=Path, default=HERE.parent / "docs/baselines.png")
    asked = parser.parse_args()
    root = asked.data / "tiny-imagenet-200/val"
    rows = [line.split("\t") for line in (root / "val_annotations.txt").read_text().splitlines()[::EVERY]]
    concepts = Concepts.from_classes([row[1] for row in rows], sample_ids=[row[0] for row in rows])
    concepts = concepts.expand(Hierarchy.from_csv(asked.data / "imagenet/hypernyms.csv"), min_concepts=2)
    found: dict[str, Labels] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, *_ in rows:
            (Path(folder) / name).symlink_to(root / "images" / name)
        model = load_model("efficientnet-lite0")
        photos = Images(folder, prepare=model.prepare)
        for seed in SEEDS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                name = "network" if seed is None else f"seed {seed}"
                out = None if asked.stores is None else asked.stores / f"{name}.zarr"
                acts = collect(model, photos, layers=LAYERS, reinitialise=seed, out=out, progress=True)
                found[name] = label(acts, concepts, min_count=10, holdout=0.5, permutations="auto", n_jobs=-1)
    own = found.pop("network")
    table = compare_layers(own, found)
    plot_baselines(table, asked.figure, overwrite=True)
    print(f"{len(rows):,} photos, {concepts.n_concepts} concepts")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
