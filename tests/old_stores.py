"""Stores of activations as they were written before they listed their files (format 1)."""

import json

import numpy as np
import zarr

CHUNK = 4096, 64


def write(path, layers, settings, *, ids=None, samples=None, batches=0, complete=True, total=None, axes=None):
    """Write layers by name as a store of format 1, of which ``samples`` are counted if it is not complete."""
    n = len(next(iter(layers.values())))
    samples = n if samples is None else samples
    state = {"format": 1, "complete": complete, "samples": samples, "rows": samples, "batches": batches, "skipped": []}
    settings = {**settings, "layers": list(layers), "samples": total}
    with zarr.config.set({"array.write_empty_chunks": True}):
        group = zarr.create_group(str(path), attributes={"neuronym": {**state, "settings": settings}})
        for layer, values in layers.items():
            about = {"neurons": None} if axes is None else {"axes": axes[layer], "neurons": None}
            inner = group.create_group(layer, attributes={"neuronym": about})
            array = inner.create_array(
                "activations", shape=values.shape, chunks=CHUNK, dtype="float32", compressors=None
            )
            array[:] = values
        if ids is not None:
            array = group.create_array("sample_ids", shape=(n,), chunks=CHUNK[:1], dtype="string", compressors=None)
            array[:] = np.array(ids, dtype=object)


def as_before(path):
    """Turn a finished store into one of format 1, without axes and the settings that were not compared then."""
    root = json.loads((path / "zarr.json").read_text())
    state = root["attributes"]["neuronym"]
    kept = ("complete", "samples", "rows", "batches", "skipped", "settings")
    settings = {name: value for name, value in state["settings"].items() if not name.startswith(("code of", "arch"))}
    state["settings"] = {**settings, "versions": {**settings.get("versions", {}), "zarr": "3.0.0"}}
    root["attributes"]["neuronym"] = {"format": 1, **{name: state[name] for name in kept}}
    (path / "zarr.json").write_text(json.dumps(root))
    for layer in state["settings"]["layers"]:
        about = json.loads((path / layer / "zarr.json").read_text())
        about["attributes"]["neuronym"].pop("axes", None)
        (path / layer / "zarr.json").write_text(json.dumps(about))
