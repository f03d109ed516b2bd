"""Prepare the folder DATA that the examples and benchmarks read, from published data sets.

docs/data.md describes the folder and where to download the data sets. First unpack Tiny ImageNet's ``val`` to
``DATA/tiny-imagenet-200/val``. The validation images of ILSVRC-2012, sorted into one folder per class, are optional.

    python examples/prepare_data.py DATA
    python examples/prepare_data.py DATA --validation ILSVRC2012/val
"""

from __future__ import annotations

import argparse
import csv
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np

N_POOLED = 512  # of the network's 1,280 pooled features


def write_classes(data: Path) -> list[str]:
    """Write the WordNet edges and names that come with neuronym, and the 1,000 classes: the synsets with none below."""
    folder = data / "imagenet"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("hypernyms.csv", "synsets.csv"):
        (folder / name).write_bytes((files("neuronym.data") / f"wordnet/imagenet_{name}").read_bytes())
    with open(folder / "hypernyms.csv", newline="") as file:
        edges = list(csv.DictReader(file))
    classes = sorted({edge["child"] for edge in edges} - {edge["parent"] for edge in edges})
    (folder / "classes.txt").write_text("\n".join(classes) + "\n")
    return classes


def write_features(data: Path, classes: list[str]) -> None:
    """Write EfficientNet-Lite0's pooled features and its logits for the classes present, one row per photo."""
    from neuronym.io.images import Images
    from neuronym.network.collecting import collect
    from neuronym.network.models import load_model

    with open(data / "tiny-imagenet-200/val/val_annotations.txt", newline="") as file:
        annotated = [(row[0], row[1]) for row in csv.reader(file, delimiter="\t")]
    loaded = load_model("efficientnet-lite0")
    photos = Images(data / "tiny-imagenet-200/val/images", loaded.prepare)
    ids = photos.sample_ids
    found = collect(loaded.model, photos, layers=["_avg_pooling", "_fc"], sample_ids=ids, progress=True)
    place = {name: row for row, name in enumerate(ids)}
    rows = [place[name] for name, _ in annotated]
    known = [classes.index(wnid) for wnid in sorted({wnid for _, wnid in annotated})]
    folder = data / "efficientnet_lite0"
    folder.mkdir(exist_ok=True)
    np.save(folder / "pooled.npy", np.asarray(found["_avg_pooling"].matrix)[rows, :N_POOLED])
    np.save(folder / "logits_known.npy", np.asarray(found["_fc"].matrix)[np.ix_(rows, known)])
    with open(folder / "logits_known.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["column", "class_index", "wnid"])
        writer.writerows((column, index, classes[index]) for column, index in enumerate(known))


def write_validation(data: Path, validation: Path, classes: list[str]) -> None:
    """Write the class of each validation image, ordered by file name, and copy one image per class."""
    of = {path: classes.index(path.parent.name) for path in validation.glob("n*/*.JPEG")}
    ordered = sorted(of, key=lambda path: path.name)
    np.save(data / "imagenet/val_labels.npy", np.array([of[path] for path in ordered], np.uint16))
    photos = data / "imagenet-photos"
    photos.mkdir(exist_ok=True)
    first = {of[path]: path for path in reversed(ordered)}
    for index, path in first.items():
        shutil.copyfile(path, photos / f"{classes[index]}_{path.name}")


def main() -> None:
    """Write all parts of the folder whose sources are present."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--validation", type=Path, help="the ILSVRC-2012 validation images, one folder per class")
    asked = parser.parse_args()
    classes = write_classes(asked.data)
    if asked.validation is not None:
        write_validation(asked.data, asked.validation, classes)
    write_features(asked.data, classes)


if __name__ == "__main__":
    main()
