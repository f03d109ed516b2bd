"""Every kind of file that is read: a small one of each, what reads it, and what uses what was read."""

import json
import warnings
from pathlib import Path

import h5py
import networkx
import numpy as np
import pandas as pd
import torch
import zarr
from PIL import Image
from safetensors.numpy import save_file as save_arrays
from scipy import sparse

from neuronym import (
    Activations,
    Concepts,
    Explanation,
    Formula,
    Hierarchy,
    Label,
    Labels,
    Pairs,
    dissect,
    label,
    open_activations,
    open_concepts,
    pairs,
    save_activations,
    save_concepts,
)
from neuronym.analysis.circuits.files import title
from neuronym.analysis.circuits.graph import Circuit, open_circuit, save_circuit
from neuronym.analysis.circuits.study import as_saved_study
from neuronym.analysis.dissect import MethodComparison
from neuronym.analysis.spurious.findings import open_findings
from neuronym.data import Masks
from neuronym.data.depths import depth
from neuronym.inputs.samples import Samples
from neuronym.io import Images, Preprocess, sources, zarr_store
from neuronym.io.conll import open_tags
from neuronym.io.texts import open_class_names, open_texts, open_tokens, save_tokens
from neuronym.labeling.merging import merge
from neuronym.labels.part import Part
from neuronym.network.weights import load_weights
from neuronym.report.naming import open_names, readable_names
from neuronym.report.sections import circuits_data, findings_data, methods_data
from neuronym.report.shown import ShownSamples
from neuronym.stats.measures import MEASURES

IDS = ["a", "b", "c"]
MATRIX = np.array([[1.0, 2], [3, 4], [5, 6]])


def labels(path):
    best = Explanation(Formula.parse("dog & ~cat"), 0.9, 0.2, 20, gain=0.1, p_gain=0.01)
    one = Label(3, "a", "low", best, (None, best), (best,), aliases={"dog": ("pug",)}, alternatives=((None, 0.5),))
    Labels([one, Label(4, "a", reason="constant")]).save(path)


def part(path):
    best = Explanation(Formula.parse("dog & ~cat"), 0.9, 0.2, 20, auc_heldout=0.8, p=0.01, log10_p=-2.0)
    rows, places = np.full((2, len(MEASURES.names)), 0.5), np.array([0, 1])
    about = Part(1, 1, "0123", [2, 0], True, True, False, places, rows, np.array([False, True]))
    Labels([Label(3, "a", best=best), Label(4, "a", best=best)], about).save(path)


def whole_table(path):
    values, shown = np.arange(24.0).reshape(12, 2), np.arange(12)[:, np.newaxis] % [2, 3] == 0
    pairs(values, Concepts.from_array(shown, ["dog", "cat"]), min_count=2, holdout=0.5, out=path)


def use_pairs(found):
    found.to_frame()
    found.detectors("dog")
    found.of_neuron(1, by="f1")
    found.coverage()
    repr(found)


def activations(path):
    save_activations(Activations(MATRIX, ["x", "y"], sample_ids=IDS), path)


def bare(path):
    np.save(path, MATRIX)


def store(path):
    with zarr_store.LayerWriter(path, ["one"], {}, n_samples=3) as writer:
        writer.add({"one": MATRIX}, 3, IDS)
        writer.finish()


def whole_maps(path):
    axes = {"one": "BCHW=2x2"}
    with zarr_store.LayerWriter(path, ["one"], {}, n_samples=2, neurons={"one": ["n", "m"]}, axes=axes) as writer:
        writer.add({"one": np.arange(16.0).reshape(2, 8) % 5}, 2, ["a.jpg", "b.jpg"])
        writer.finish()


def methods(path):
    table = [["NetDissect", 1, 1, 1.0, 0.1, 0.6, 1.0, 1.0, 1.0, 0.5, 9], ["INVERT", 1, 1, 2, 0.05, 0.7, 1, 1, 1, 1, 2]]
    columns = ["method", "neurons", "compared", "length", "iou", "auc", "same", "same_concepts", "overlap", "seconds"]
    columns.append("memory")
    rows = [[None, 3, "NetDissect", "dog", 0.1, 0.6], [None, 3, "INVERT", "dog & ~cat", 0.05, 0.7]]
    of_neurons = pd.DataFrame(rows, columns=["layer", "neuron", "method", "formula", "iou", "auc"])
    MethodComparison(pd.DataFrame(table, columns=columns), of_neurons, False, {}).save(path)


def concepts(path):
    save_concepts(Concepts.from_array(np.eye(3, dtype=bool), ["dog", "cat", "sky"], sample_ids=IDS), path)


def long(path):
    pd.DataFrame({"sample": IDS, "concept": ["dog", "cat", "dog"]}).to_csv(path, index=False)


def hot(path):
    pd.DataFrame({"sample": IDS, "dog": [1, 0, 1], "cat": [0, 0, 1]}).to_csv(path, index=False)


def attributes(path):
    frame = pd.DataFrame({"sample": IDS, "colour": ["red", "blue", "red"]})
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)


def texts(path):
    frame = pd.DataFrame({"sample": IDS, "text": ["one", "two", "three"]})
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)


def tokens(path):
    table = pd.DataFrame({"sample": ["0#0", "0#1", "1#0"], "parent": ["0", "0", "1"], "text": ["one", "two", "three"]})
    save_tokens(table.assign(word=None, start=[0, 4, 0], end=[3, 7, 5]), path)


def tags(path):
    path.write_text("one NUM B-X\ntwo NUM O\n\nthree NUM O\n")


def coco(path):
    whole = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 7, "name": "dog", "supercategory": "animal"}],
        "annotations": [{"image_id": 1, "category_id": 7}],
    }
    path.write_text(json.dumps(whole))


def outlined(path):
    square = {"image_id": 1, "category_id": 7, "id": 1, "segmentation": [[0, 0, 3.5, 0, 3.5, 2, 0, 2]]}
    runs = {
        "image_id": 1,
        "category_id": 7,
        "id": 2,
        "iscrowd": 1,
        "segmentation": {"size": [4, 6], "counts": [12, 12]},
    }
    text = {"image_id": 1, "category_id": 7, "id": 3, "segmentation": {"size": [4, 6], "counts": "<<"}}
    whole = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 6}],
        "categories": [{"id": 7, "name": "dog", "supercategory": "animal"}],
        "annotations": [square, runs, text],
    }
    path.write_text(json.dumps(whole))


def boxes(path):
    path.write_text("a.jpg\tn01\t0\t0\t3\t2\nb.jpg\tn02\t1\t1\t2\t2\na.jpg\tn02\t3\t0\t3\t0\n")


def label_map(path):
    Image.fromarray(np.array([[1, 2, 0], [1, 1, 0]], np.uint8)).save(path)


def values(path):
    path.write_text("value,name\n1,wall\n2,sky\n0,other\n")
    label_map(path.parent / "a.png")


def broden(path):
    (path.parent / "images").mkdir(exist_ok=True)
    coloured = np.zeros((1, 2, 3), np.uint8)
    coloured[0, 0, 0] = 1
    Image.fromarray(coloured).save(path.parent / "images/c.png")
    index = "image,split,ih,iw,sh,sw,color,scene\na.jpg,train,1,2,1,2,c.png,2;3\nb.jpg,val,1,2,1,2,,3\n"
    (path.parent / "index.csv").write_text(index)
    (path.parent / "label.csv").write_text("number,name,category\n1,red,color(1)\n2,street,scene(1)\n3,day,scene(2)\n")


def annotations(path):
    path.write_text("a.jpg\tn01\t0\nb.jpg\tn02\t1\n")


def class_names(path):
    path.write_text("dog\ncat\n")


def concept_names(path):
    rows = {"dog": "a dog", "cat": "a cat"}
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        pd.DataFrame(rows.items(), columns=["concept", "name"]).to_csv(path, index=False)


def wordnet(path):
    path.write_text(
        "  licence\n00001740 03 n 01 entity 0 000 | all\n00001930 03 n 01 thing 0 001 @ 00001740 n 0000 | x\n"
    )


def circuit(path):
    graph = networkx.DiGraph()
    graph.add_node(("high", 0), layer="high", neuron=0, level=0)
    graph.add_node(("low", 1), layer="low", neuron=1, level=1, formula="dog", auc=0.9)
    graph.add_edge(("low", 1), ("high", 0), contribution=1.5, share=0.5, method="linear")
    save_circuit(Circuit(graph, ("high", 0), ["high", "low"], 7, {("high", 0): 1.0}), path)


def found(path):
    path.write_text("suspect,layer,neuron,rank,auc,pairs,q\nmark,a,1,1,0.9,8,0.01\nmark,a,2,2,0.6,8,0.2\n")


def hierarchy(path):
    path.write_text("child,parent\npug,dog\ndog,animal\ncat,animal\nanimal,\n")


def classes(path):
    neurons = "suspect,layer,neuron,rank,auc,pairs,change,q\nmark,a,1,1,0.9,8,0.5,0.01\nmark,a,2,2,0.6,8,0.1,0.2\n"
    (path.parent / "neurons.csv").write_text(neurons)
    path.write_text("suspect,class,name,rank,change,q\nmark,0,dog,1,0.5,0.01\nmark,1,cat,2,-0.5,0.01\n")


def numbers(path):
    path.write_text("sample x y\na 1 2\nb 3 4\nc 5 6\n")


def universal(path):
    line = "{}\t{}\t_\tNUM\tCD\t_\t0\troot\t_\t_\n"
    path.write_text(f"# sent_id = 1\n{line.format(1, 'one')}{line.format(2, 'two')}\n{line.format(1, 'three')}\n")


def photo(path):
    pixels = np.random.default_rng(0).integers(0, 255, (24, 16, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def foreign(path):
    array = zarr.create_array(str(path), shape=(3, 2), chunks=(2, 1), dtype="float64")
    array[:] = MATRIX


def second_version(path):
    array = zarr.create_array(str(path), shape=(3, 2), chunks=(2, 2), dtype="float64", zarr_format=2)
    array[:] = MATRIX


def network():
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


def weights(path):
    torch.save(network().state_dict(), path)


def old_weights(path):
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=False)


def safe_weights(path):
    from safetensors.torch import save_file

    save_file(network().state_dict(), path)


def use_labels(found):
    for one in (str(found), repr(found), found._repr_html_(), found.to_json(), *map(str, found)):
        assert isinstance(one, str)
    found.to_frame()
    found.sort("auc").sort("neuron").head(1)
    found.summary()


def sparse_values():
    return np.where(np.arange(600).reshape(200, 3) % 7 == 0, np.arange(600).reshape(200, 3), 0).astype(np.float32)


def scipy_sparse(path):
    sparse.save_npz(path, sparse.csc_array(sparse_values()))


def sparse_store(path):
    with zarr_store.LayerWriter(path, ["one"], {}, n_samples=200, sparse=True) as writer:
        writer.add({"one": sparse_values()}, 200, [f"s{i}" for i in range(200)])
        writer.finish()


def dense_tensors(path):
    save_arrays({"activations": sparse_values()}, path)


def shard(path):
    rows, latents = np.nonzero(sparse_values())
    places = np.stack([rows // 10, rows % 10, latents], axis=1).astype(np.uint16)
    values = sparse_values()[rows, latents].astype(np.float16)
    save_arrays({"activations": values, "locations": places, "tokens": np.zeros((20, 10), np.int64)}, path)


def tensor(path):
    torch.save({"activations": torch.tensor(sparse_values())}, path)


def cells(path):
    with h5py.File(path, "w") as file:
        found = sparse.csr_array(sparse_values())
        file["X/data"], file["X/indices"], file["X/indptr"] = found.data, found.indices, found.indptr
        file["X"].attrs.update({"encoding-type": "csr_matrix", "shape": found.shape})
        for axis, length in zip(("obs", "var"), found.shape, strict=True):
            file[f"{axis}/names"] = np.array([f"{axis}{i}" for i in range(length)], "S8")
            file[axis].attrs["_index"] = "names"


def data_set(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("layer/values", data=sparse_values(), chunks=(50, 2), compression="gzip")


def use_activations(found):
    found.block(found.indices()[:1])
    for place in found.indices()[:1]:
        found.column(place)
    with warnings.catch_warnings(action="ignore"):
        label(found, np.eye(found.n_samples, 2, dtype=bool), length=1, min_count=1, align="position", n_jobs=1)


def use_concepts(found):
    found.describe()
    found.to_dense()
    with warnings.catch_warnings(action="ignore"):
        label(np.arange(found.n_samples)[:, None], found, length=2, min_count=1, align="position", n_jobs=1)


def use_masks(found):
    for sample in range(min(len(found), 3)):
        found.regions(sample)
    found.concepts()
    for category in set(found.categories.values()):
        found.of_category(category).concepts()


def use_maps(found):
    masks = np.zeros((found.n_samples, 2, 3, 3), bool)
    masks[:1, 0, :2] = masks[-1:, 1, 1:] = True
    with warnings.catch_warnings(action="ignore"):
        dissect(found, Masks.from_arrays(masks), quantile=0.5, min_count=1, align="position", n_jobs=1)


def use_methods(found):
    methods_data(Labels([Label(3)]), found)


def use_circuit(found):
    circuits_data([as_saved_study(found)])
    for node in found.graph:
        title(found.graph, node)


def use_findings(found):
    assert str(found)
    findings_data(found, {})


def use_hierarchy(found):
    for name in list(found.parents)[:5]:
        found.ancestors(name)
        depth(found, name)
    found.readable(found.parents)


def use_tokens(found):
    sources.from_tags([[("one", "NUM"), ("two", "NUM")], [("three", "NUM")]], found)


def use_texts(found):
    ids, listed = found
    sources.from_regex(listed, {"one": "one"}, sample_ids=ids)


def use_samples(found):
    for place in range(min(found.n_samples, 5)):
        found.read(place)


def use_images(found):
    ShownSamples.of(found, None, len(found)).pictures(0)
    found[0]


def images(path):
    return Images(path.parent, Preprocess(8, (0, 0, 0), (1, 1, 1), margin=10))


def use_names(found):
    if not set(found).isdisjoint(concepts := ["dog", "cat"]):
        readable_names(found, concepts)


def nothing(found):
    pass


USES = {  # the file, what writes it, what reads it, and what uses what was read
    "labels.csv": (labels, Labels.open, use_labels),
    "labels.parquet": (labels, Labels.open, use_labels),
    "labels.json": (labels, Labels.open, use_labels),
    "part.json": (part, lambda path: merge([path]), use_labels),
    "pairs.parquet": (whole_table, Pairs.open, use_pairs),
    "a.npy": (bare, open_activations, use_activations),
    "a.npz": (activations, open_activations, use_activations),
    "a.csv": (activations, open_activations, use_activations),
    "a.txt": (numbers, open_activations, use_activations),
    "a.parquet": (activations, open_activations, use_activations),
    "a.zarr": (store, open_activations, use_activations),
    "b.zarr": (foreign, open_activations, use_activations),
    "maps.zarr": (whole_maps, open_activations, use_maps),
    "methods.json": (methods, MethodComparison.open, use_methods),
    "v2.zarr": (second_version, open_activations, use_activations),
    "sparse.npz": (scipy_sparse, open_activations, use_activations),
    "sparse.zarr": (sparse_store, open_activations, use_activations),
    "dense.safetensors": (dense_tensors, open_activations, use_activations),
    "0_2.safetensors": (shard, open_activations, use_activations),
    "tensor.pt": (tensor, open_activations, use_activations),
    "cells.h5ad": (cells, open_activations, use_activations),
    "set.h5": (data_set, open_activations, use_activations),
    "c.parquet": (concepts, open_concepts, use_concepts),
    "long.csv": (long, open_concepts, use_concepts),
    "long.tsv": (long, open_concepts, use_concepts),
    "hot.csv": (hot, open_concepts, use_concepts),
    "attributes.csv": (attributes, sources.open_attributes, use_concepts),
    "attributes.parquet": (attributes, sources.open_attributes, use_concepts),
    "texts.csv": (texts, open_texts, use_texts),
    "texts.parquet": (texts, open_texts, use_texts),
    "tokens.csv": (tokens, open_tokens, use_tokens),
    "tokens.parquet": (tokens, open_tokens, use_tokens),
    "tags.conll": (tags, open_tags, nothing),
    "tags.conllu": (universal, open_tags, nothing),
    "rows.csv": (hot, Samples.of, use_samples),
    "coco.json": (coco, sources.from_coco, use_concepts),
    "masks.json": (outlined, lambda path: sources.coco_as_masks(path, crowd="void"), use_masks),
    "boxes.txt": (boxes, lambda path: sources.boxes_as_masks(path, size=(4, 6)), use_masks),
    "map.png": (
        label_map,
        lambda path: sources.label_maps_as_masks(path.parent, {1: "wall", 2: "sky", 0: "x"}),
        use_masks,
    ),
    "values.csv": (values, lambda path: sources.label_maps_as_masks(path.parent, path), use_masks),
    "index.csv": (broden, lambda path: sources.broden_as_masks(path.parent), use_masks),
    "label.csv": (broden, lambda path: sources.broden_as_masks(path.parent), use_masks),
    "annotations.txt": (annotations, sources.from_annotations, use_concepts),
    "classes.txt": (class_names, open_class_names, nothing),
    "names.csv": (concept_names, open_names, use_names),
    "names.json": (concept_names, open_names, use_names),
    "data.noun": (wordnet, lambda path: Hierarchy.from_wordnet(path.parent), use_hierarchy),
    "hierarchy.csv": (hierarchy, Hierarchy.from_csv, use_hierarchy),
    "circuit.json": (circuit, open_circuit, use_circuit),
    "neurons.csv": (found, lambda path: open_findings(path.parent), use_findings),
    "classes.csv": (classes, lambda path: open_findings(path.parent), use_findings),
    "photo.png": (photo, images, use_images),
    "photo.jpg": (photo, images, use_images),
    "photo.gif": (photo, images, use_images),
    "photo.tif": (photo, images, use_images),
    "photo.bmp": (photo, images, use_images),
    "photo.webp": (photo, images, use_images),
    "weights.pt": (weights, lambda path: load_weights(network(), path), nothing),
    "old.pt": (old_weights, lambda path: load_weights(network(), path), nothing),
    "weights.safetensors": (safe_weights, lambda path: load_weights(network(), path), nothing),
}


def write(name: str, folder: Path) -> Path:
    """Write the small file of a name into an empty folder."""
    path = folder / name
    USES[name][0](path)
    return path


def read_and_use(path: Path) -> None:
    """Read a file by its name, and use what was read."""
    _, read, use = USES[path.name]
    use(read(path))
