"""Measure what a cluster is for, and write benchmarks/CLUSTER.md: bytes of tasks, a store over S3, and a cost model.

python benchmarks/cluster.py [--part tasks|store|cost] [--out FILE]

Needs the packages of the tests: joblib's engines, and moto as a server of S3 on this machine.
"""

from __future__ import annotations

import argparse
import gc
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
from collecting import N_NEURONS, N_SAMPLES, planted, write
from numpy.typing import NDArray
from run import HERE, Table, as_text, seconds
from scipy import sparse
from scipy.optimize import nnls

from neuronym import Concepts, label
from neuronym._util import engines
from neuronym.data.groups import group

Terms = NDArray[np.float64]

#: Samples, concepts, concepts per sample, share not zero (None for dense): what the cost model is fitted to.
GRID = (
    (20_000, 100, 3, None),
    (100_000, 100, 3, None),
    (400_000, 100, 3, None),
    (100_000, 2_000, 3, None),
    (100_000, 100, 10, None),
    (100_000, 10_000, 5, 0.01),
    (400_000, 1_000, 5, 0.01),
    (400_000, 1_000, 5, 0.05),
    (1_000_000, 1_000, 3, 0.001),
    (1_000_000, 100, 3, 0.01),
    (1_000_000, 200, 3, None),
)
#: What the fitted model is compared with: more than any of those above, in samples, concepts or both.
CHECKS = ((4_000_000, 1_000, 3, 0.001, 32), (1_000_000, 20_000, 5, 0.01, 32), (3_000_000, 500, 3, None, 8))
#: What users have: name, samples, neurons, concepts, concepts per sample, share not zero.
USES = (
    ("a layer and photos, laptop", 10_000, 512, 348, 8, None),
    ("ImageNet validation, all layers", 50_000, 20_000, 1_472, 13, None),
    ("ImageNet training set", 1_281_167, 2_048, 1_472, 13, None),
    ("sparse latents, a small model", 10**6, 16_384, 1_000, 3, 0.01),
    ("sparse latents, 2²⁶ tokens", 2**26, 131_072, 10_000, 5, 0.0005),
    ("10⁹ tokens × 10⁶ latents", 10**9, 10**6, 10**5, 5, 0.0001),
)


def random_concepts(n_samples: int, n_concepts: int, each: int, seed: int = 0) -> Concepts:
    """Concepts of which every sample has a few, rare ones most of all."""
    rng = np.random.default_rng(seed)
    columns = (n_concepts * rng.random((n_samples, each)) ** 2).astype(np.int64)
    rows = np.repeat(np.arange(n_samples), each)
    ones = np.ones(columns.size, np.bool_)
    held = sparse.csr_array((ones, (rows, columns.ravel())), shape=(n_samples, n_concepts))
    held.sum_duplicates()
    return Concepts.from_array(held.astype(np.bool_), [f"c{k}" for k in range(n_concepts)])


def random_activations(n_samples: int, n_neurons: int, share: float | None, seed: int = 1) -> object:
    """Noise, of which a share is not zero; dense without."""
    rng = np.random.default_rng(seed)
    if share is None:
        return rng.normal(size=(n_samples, n_neurons)).astype(np.float32)
    return sparse.random_array(
        (n_samples, n_neurons), density=share, format="csc", dtype=np.float32, rng=rng, data_sampler=rng.random
    )


def terms_of(n_samples: float, n_concepts: float, each: float, share: float | None, n_groups: float) -> Terms:
    """What the time of a neuron is a sum of: ranking dense values, or sparse ones, groups, their concepts, concepts.

    What is gone through at random takes longer the more of it there is, hence the logarithms.
    """
    ranked = n_samples * (1 if share is None else share)
    ranked *= np.log2(max(ranked, 2))
    deep = n_groups * np.log2(max(n_groups, 2))
    return np.array([ranked * (share is None), ranked * (share is not None), deep, deep * each, n_concepts])


def measured(n_samples: int, n_concepts: int, each: int, share: float | None, n_neurons: int) -> tuple[Terms, float]:
    """The terms of a case, and its seconds of processor time per neuron."""
    concepts = random_concepts(n_samples, n_concepts, each)
    values = random_activations(n_samples, n_neurons, share)
    n_groups = group(concepts).n_groups
    label(values, concepts, search="beam", neurons=[0])  # compiled, and concepts prepared
    half = values[:, : n_neurons // 2]  # type: ignore[index]
    taken = []
    for _ in range(3):
        whole, part = (seconds(lambda v=v: label(v, concepts, search="beam")) for v in (values, half))
        taken.append((whole - part) / (n_neurons - n_neurons // 2))
    return terms_of(n_samples, n_concepts, each, share, n_groups), statistics.median(taken)


def table_of_cost(log: Callable[[str], None]) -> list[Table]:
    cases = []
    for case in GRID:
        cases.append((case, *measured(*case, n_neurons=32 if case[0] > 100_000 else 128)))
        log(f"{case}: {1000 * cases[-1][2]:.2f} ms")
    scaled = np.array([terms / taken for _, terms, taken in cases])  # relative errors count
    found = nnls(scaled, np.ones(len(scaled)))[0]
    log(f"fitted: {found}")
    rows = []
    for case, terms, taken in cases:
        rows.append([*_named(*case), f"{1000 * taken:.2f}", f"{1000 * terms @ found:.2f}", "fitted"])
    for *case, n_neurons in CHECKS:
        terms, taken = measured(*case, n_neurons=n_neurons)
        guess = terms @ found
        rows.append(
            [*_named(*case), f"{1000 * taken:.2f}", f"{1000 * guess:.2f}", f"predicted: {guess / taken:.2f} of it"]
        )
        log(f"check {case}: {rows[-1]}")
    units = [f"{1e9 * value:.3g}" for value in found]
    note = (
        "Beam search, length 3, on one thread; milliseconds per neuron, measured and by the model. The model is a sum: "
        f"V log₂ V values ranked, {units[0]} ns each if dense and {units[1]} ns if sparse; G log₂ G groups of samples "
        f"with equal concepts, {units[2]} ns, and their concepts, {units[3]} ns; and {units[4]} ns a concept. Fitted "
        "by non-negative least squares to relative errors."
    )
    head = ["samples", "concepts", "per sample", "not zero", "measured", "model", ""]
    uses = []
    for name, n_samples, n_neurons, n_concepts, each, share in USES:
        n_groups = min(n_samples, 1_000 if "ImageNet" in name else 400 if "photos" in name else n_samples)
        per_neuron = terms_of(n_samples, n_concepts, each, share, n_groups) @ found
        n_values = n_samples * n_neurons * (1 if share is None else share)
        n_read = n_values * (4 if share is None else 6)
        held = 4 * n_samples + 40 * n_groups + 8 * n_groups * each
        block = 64 * n_samples * (8 if share is None else 12 * share) + 64 * 8 * n_groups
        total = per_neuron * n_neurons
        within_hour = max(1, int(np.ceil(total / 3600)))
        uses.append(
            [
                *(name, f"{n_samples:,} × {n_neurons:,}", f"{n_concepts:,}", _bytes(n_read), _time(total)),
                *(_bytes(held + block), f"{within_hour:,}", _bytes(1010 * n_neurons)),
            ]
        )
    more = (
        "The model for what users have. Time is that of one thread; memory is what a worker holds of concepts (4 bytes "
        "a sample, 40 a group, 8 a concept of a group) and of a block of 64 neurons, beside 200 MB of libraries; "
        "workers are threads that do it within an hour; output is a CSV (LABELS.md). Photos and ImageNet have few "
        "groups of samples with equal concepts; tokens are taken to have as many as there are."
    )
    columns = ["", "samples × neurons", "concepts", "read", "one thread", "memory of a worker", "workers", "output"]
    return [("Cost model", note, head, rows), ("What it would cost", more, columns, uses)]


def _named(n_samples: int, n_concepts: int, each: int, share: float | None) -> list[str]:
    return [f"{n_samples:,}", f"{n_concepts:,}", str(each), "dense" if share is None else f"{share:.1%}"]


def _bytes(n: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:,.0f} TB" if n >= 10 else f"{n:.2g} TB"


def _time(taken: float) -> str:
    for unit, size in (("s", 60), ("min", 60), ("h", 24)):
        if taken < 2 * size:
            return f"{taken:.2g} {unit}"
        taken /= size
    return f"{taken:,.0f} days"


def sizes_of_tasks(engine: str, values: object, concepts: Concepts) -> tuple[int, int]:
    """The number of tasks of a run, and the bytes of the largest, as pickled for a worker."""
    sizes: list[int] = []
    original = engines.sent

    def watched(arguments: tuple[object, ...], reference: Callable[[object], object]) -> tuple[object, ...]:
        found = original(arguments, reference)
        sizes.append(len(pickle.dumps(found)))
        return found

    import neuronym._util.parallel as parallel

    parallel.sent = watched
    try:
        with running(engine):
            label(values, concepts, search="beam", permutations=199, holdout=0.5)
    finally:
        parallel.sent = original
    return len(sizes), max(sizes)


@contextmanager
def running(engine: str) -> Iterator[None]:
    """Two worker processes of an engine."""
    if engine == "loky":
        with joblib.parallel_config("loky", n_jobs=2):
            yield
    elif engine == "dask":
        import distributed

        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster),
            joblib.parallel_config("dask"),
        ):
            yield
    else:
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=2, include_dashboard=False, configure_logging=False, log_to_driver=False)
        register_ray()
        with joblib.parallel_config("ray"):
            yield
        ray.shutdown()


def table_of_tasks(log: Callable[[str], None]) -> list[Table]:
    rows = []
    for engine in ("loky", "dask", "ray"):
        for n_samples, n_neurons, n_concepts in ((2_000, 200, 100), (20_000, 200, 100), (20_000, 2_000, 1_000)):
            values = random_activations(n_samples, n_neurons, None)
            number, most = sizes_of_tasks(engine, values, random_concepts(n_samples, n_concepts, 3))
            rows.append([engine, f"{n_samples:,} × {n_neurons:,}", f"{n_concepts:,}", str(number), f"{most:,}"])
            log(" ".join(rows[-1]))
    note = (
        "Bytes of the largest task as it is pickled for a worker, in a run with permutations and hold-out on an array "
        "in memory. What tasks share is sent to each worker once, before: activations, concepts and the search."
    )
    return [("What a task takes", note, ["engine", "samples × neurons", "concepts", "tasks", "bytes"], rows)]


def table_of_store(log: Callable[[str], None], n_samples: int = N_SAMPLES, n_neurons: int = N_NEURONS) -> list[Table]:
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(keys, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "acts.zarr"
        write(path, n_samples, n_neurons)
        files = fsspec.filesystem("s3")
        files.mkdir("bucket")
        files.put(str(path), "bucket/acts.zarr", recursive=True)
        rows, saved = [], []
        for place in (str(path), "s3://bucket/acts.zarr", str(path), "s3://bucket/acts.zarr"):
            script = f"import cluster, sys; cluster.label_store({place!r}, {str(Path(folder) / 'labels.csv')!r})"
            run = subprocess.run([sys.executable, "-c", script], cwd=HERE, check=True, capture_output=True, text=True)
            opened, taken = map(float, run.stdout.split())
            saved.append((Path(folder) / "labels.csv").read_bytes())
            rows.append([place.partition(":")[0] if "://" in place else "local", f"{opened:.2f}", f"{taken:.1f}"])
            log(" ".join(rows[-1]))
    server.stop()
    if len(set(saved)) != 1:
        raise SystemExit("the labels differ")
    note = (
        f"{n_samples:,} × {n_neurons:,} float32 with 310 concepts, length 2, two threads; each line a process of its "
        "own, in turn. S3 is moto on the same two cores, so that its server is part of the time. The labels are equal, "
        "byte for byte."
    )
    return [("A store over S3", note, ["store", "open, s", "label, s"], rows)]


def label_store(path: str, out: str) -> None:
    """Label a store, and print the seconds to open it and to label it."""
    from neuronym.io.zarr_store import open_layers

    start = time.perf_counter()
    opened = open_layers(path)["layer"]
    between = time.perf_counter()
    labels = label(opened, planted(opened.n_samples), length=2, n_jobs=2)
    end = time.perf_counter()
    labels.save(out, overwrite=True)
    print(between - start, end - between)


PARTS = {"tasks": table_of_tasks, "store": table_of_store, "cost": table_of_cost}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part, printed")
    parser.add_argument("--out", type=Path, default=HERE / "CLUSTER.md")
    given = parser.parse_args()
    tables = []
    for name in given.part or PARTS:
        tables += PARTS[name](lambda line: print(line, file=sys.stderr, flush=True))
        gc.collect()
    text = as_text(tables, "cluster.py", ("numpy", "numba", "joblib", "distributed", "ray", "zarr", "s3fs", "moto"))
    if given.part:
        print(text)
    else:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
