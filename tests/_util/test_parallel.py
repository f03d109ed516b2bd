import contextlib
import pickle
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import zarr

import dying
from neuronym import Concepts, FileError, WorkerError, label, sweep
from neuronym._util import engines
from neuronym._util.parallel import ROUNDS, WorkerWarning, n_workers, parallel_map, share
from neuronym.analysis import sweep as sweeping
from neuronym.labeling import evidence, labeling
from neuronym.stats import permutation

TESTS = str(Path(__file__).parents[1])


@contextlib.contextmanager
def of_loky():
    with joblib.parallel_config("loky", n_jobs=2):
        yield
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


@contextlib.contextmanager
def of_dask():
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),  # so that it gives up at once
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        yield


@contextlib.contextmanager
def of_ray():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False)
    register_ray()
    try:
        with joblib.parallel_config("ray"):
            yield
    finally:
        ray.shutdown()


CLUSTERS = {"loky": of_loky, "dask": of_dask, "ray": of_ray}


@pytest.fixture(params=["loky", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dask", "ray"))])
def cluster(request, monkeypatch):
    """Two worker processes of an engine, which can import what is in ``tests``."""
    monkeypatch.setenv("PYTHONPATH", TESTS)
    with CLUSTERS[request.param]():
        yield request.param


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    concepts = Concepts.from_array(rng.random((300, 12)) < 0.3)
    return rng.normal(size=(300, 96)).astype(np.float32), concepts


def test_dask_is_given_more_tasks_when_it_has_more_workers(monkeypatch):
    workers, waiting, most = [1], [], []

    class Future:
        def __init__(self, value):
            self.value = value

        def result(self):
            most.append(len(waiting))
            waiting.remove(self)
            workers[0] = 20 if len(most) < 100 else 1
            return self.value

    def submit(function, *arguments, **_):
        waiting.append(Future(function(*arguments)))
        return waiting[-1]

    client = SimpleNamespace(submit=submit, cancel=lambda futures: None)
    backend = SimpleNamespace(client=client, submit_kwargs={}, retrieval_context=contextlib.nullcontext)
    monkeypatch.setattr(joblib, "effective_n_jobs", lambda _: workers[0])
    found = list(engines._Dask(None, backend).run(abs, ((-x,) for x in range(300))))
    assert found == list(range(300))
    assert most[0] == 4
    assert max(most) == 80
    assert most[200] == 4


def test_threads_are_given_the_object_itself():
    shared = {"a": 1}
    found = list(parallel_map(lambda one, x: (one is shared, x), ((share(shared), x) for x in range(5)), 2))
    assert found == [(True, x) for x in range(5)]


def test_workers_are_given_what_is_shared_once(cluster):
    assert n_workers(None) == 2
    columns = np.arange(3, 9, dtype=np.intp)
    shared = share({"values": np.arange(1000)})
    assert list(parallel_map(dying.sum_of, ((shared, columns, x) for x in range(20)), None)) == [
        499_500 + 33 + x for x in range(20)
    ]
    found = list(parallel_map(dying.fetched, ((share_of, x) for share_of in [share({})] for x in range(20)), None))
    assert [x for *_, x in found] == list(range(20))
    assert sum(not known for _, known, _ in found) == len({process for process, *_ in found})


def test_an_error_of_a_task_is_raised_as_it_is(cluster):
    with pytest.raises(LookupError, match="no 3"):
        list(parallel_map(dying.fails, [(3,)], None))


def test_what_a_worker_cannot_see_is_one_error_that_names_the_worker(cluster, tmp_path):
    with pytest.raises(FileError, match=r"worker .* \(process \d+\) has no '.*gone': every worker reads"):
        list(parallel_map(dying.opened, [(str(tmp_path / "gone"),)] * 2, None))


def test_tasks_of_a_killed_worker_run_again(cluster, tmp_path):
    task = dying.fatal_at(dying.sum_of, tmp_path / "calls", 4)
    shared, columns = share({"values": np.arange(10)}), np.arange(3, dtype=np.intp)
    with pytest.warns(WorkerWarning, match=r"tasks of 30 run again"):
        found = list(parallel_map(task, ((shared, columns, x) for x in range(30)), None))
    assert found == [48 + x for x in range(30)]


def test_a_worker_killed_again_and_again_ends_in_one_error(cluster, tmp_path):
    task = dying.fatal_at(dying.fails, tmp_path / "calls")
    with (
        pytest.warns(WorkerWarning) as warned,
        pytest.raises(
            WorkerError, match=rf"4 tasks of 4 \(from number 1 on\) did not come back in {1 + ROUNDS} rounds"
        ),
    ):
        list(parallel_map(task, ((x,) for x in range(4)), None))
    assert len([one for one in warned if one.category is WorkerWarning]) == ROUNDS


@pytest.mark.parametrize("stored", [False, True])
def test_labels_and_their_evidence_survive_a_killed_worker(cluster, stored, data, tmp_path, monkeypatch):
    values, concepts = data
    options = {"permutations": 199, "holdout": 0.5, "seed": 1}
    if stored:
        zarr.save_array(str(tmp_path / "a.zarr"), values)
        values, options["align"] = tmp_path / "a.zarr", "position"
    expected = label(values, concepts, n_jobs=1, **options)
    for home, name in ((labeling, "_search_block"), (permutation, "null_scores"), (evidence, "measure_formulas")):
        monkeypatch.setattr(home, name, dying.fatal_at(getattr(home, name), tmp_path / name, 0))
    with pytest.warns(WorkerWarning):
        assert label(values, concepts, **options) == expected
    for name in ("_search_block", "null_scores", "measure_formulas"):
        assert len(list((tmp_path / name).iterdir())) > 1


def test_a_sweep_survives_a_killed_worker(cluster, data, tmp_path, monkeypatch):
    options = {"min_fractions": (0, 0.2), "length": 2}
    expected = sweep(*data, **options)
    monkeypatch.setattr(sweeping, "_sweep", dying.fatal_at(sweeping._sweep, tmp_path / "calls", 1))
    with pytest.warns(WorkerWarning):
        assert sweep(*data, **options).equals(expected)


@pytest.mark.parametrize("size", [1, 10])
def test_a_task_takes_few_bytes_whatever_the_sizes(size, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200 * size, 100 * size)).astype(np.float32)
    concepts = Concepts.from_array(rng.random((200 * size, 10 * size)) < 0.3)
    sizes = []

    def watched(arguments, reference):
        found = engines.sent(arguments, reference)
        sizes.append(len(pickle.dumps(found)))
        return found

    monkeypatch.setattr("neuronym._util.parallel.sent", watched)
    with of_loky():
        label(values, concepts, search="beam", length=2, permutations=199, tail=True)
    assert len(sizes) > 8
    assert max(sizes) < 1000


def test_an_object_is_shared_by_a_file_that_is_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(engines.tempfile, "tempdir", str(tmp_path))
    with of_loky():
        found = parallel_map(dying.fetched, ((share_of, x) for share_of in [share({})] for x in range(4)), None)
        next(found)
        assert list(tmp_path.glob("neuronym-*"))
        list(found)
    assert not list(tmp_path.glob("neuronym-*"))
