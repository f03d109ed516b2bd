import numpy as np
import pytest
from distributed import LocalCluster

from neuronym import Activations, Concepts
from neuronym.io import save_activations, save_concepts


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    save_activations(Activations(rng.normal(size=(300, 20))), tmp_path / "activations.npy")
    save_concepts(Concepts.from_array(rng.random((300, 4)) < 0.3), tmp_path / "concepts.parquet")
    return tmp_path / "activations.npy", tmp_path / "concepts.parquet"


@pytest.mark.slow
def test_commands_run_on_the_workers_of_a_scheduler(files, tmp_path, command):
    plain = command("label", *files, "--permutations", "199", "--json", "--quiet")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        asked = "--scheduler", cluster.scheduler_address
        assert command("label", *files, *asked, "--permutations", "199", "--json", "--quiet")[:2] == plain[:2]
        assert command("sweep", *files, *asked, "--length", "1")[:2] == command("sweep", *files, "--length", "1")[:2]
        (tmp_path / "scheduler.json").write_text(f'{{"address": "{cluster.scheduler_address}", "type": "Scheduler"}}')
        asked = "--scheduler", tmp_path / "scheduler.json"
        assert command("label", *files, *asked, "--permutations", "199", "--json", "--quiet")[:2] == plain[:2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tcp://127.0.0.1:9"], "no Dask scheduler answers at 'tcp://127.0.0.1:9'"),
        (["elsewhere"], "no Dask scheduler answers at 'elsewhere' (missing port"),
        (["none.json"], "there is no file 'none.json': give the file of the scheduler's --scheduler-file"),
        (["tcp://127.0.0.1:9", "--n-jobs", "2"], "give only one of --scheduler and --n-jobs"),
    ],
)
def test_a_scheduler_that_is_not_there_is_one_line(files, arguments, said, command, monkeypatch):
    monkeypatch.setattr("neuronym._util.engines._ANSWER", 0.5)
    code, _, error = command("label", *files, "--quiet", "--scheduler", *arguments)
    assert code == 2
    assert said in error
    assert len(error.splitlines()) == 1
