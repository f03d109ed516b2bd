import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from neuronym import Concepts, Labels, __version__, label, save_concepts
from neuronym.cli import printing
from neuronym.cli import root as cli

COMMAND = [sys.executable, "-c", "from neuronym.cli import main; main()"]
N = 300


@pytest.fixture
def run(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 6)) < 0.3
    activations = rng.normal(size=(N, 30)).astype(np.float32)
    activations[:, 2] += 2 * (concepts[:, 0] & ~concepts[:, 1])
    activations[:, 3] = 1
    np.save("a.npy", activations)
    pd.DataFrame(concepts, columns=["dog", "new grass", "c", "d", "e", "f"]).to_csv("c.csv", index=False)

    return command


def expected(**options):
    return label("a.npy", "c.csv", **options)


def test_the_table_and_the_file(run):
    code, out, err = run("label", "a.npy", "c.csv", "--out", "labels.csv")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["neuron", "formula", "auc", "fraction", "count", "log10_p", "optimal"]
    assert lines[3].startswith('2       dog & ~"new grass"')
    assert "(constant)" in lines[4]
    assert lines[-2:] == ["… 10 more; all labels are in labels.csv", "proven that no formula is better: 29 of 29"]
    assert "30/30 neurons" in err
    assert Labels.open("labels.csv") == expected()


def test_every_option_is_the_keyword_with_dashes(run):
    options = {
        "length": 2,
        "beam": 4,
        "min_fraction": 0.1,
        "max_fraction": 0.4,
        "min_count": 25,
        "prefixes": "constrained",
        "direction": "both",
        "n_jobs": 2,
    }
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    code, out, err = run("label", "a.npy", "c.csv", "--quiet", "--json", *arguments)
    assert (code, err) == (0, "")
    Path("labels.json").write_text(out)
    assert Labels.open("labels.json") == expected(**options)


def test_negation_operators_and_neurons(run):
    asked = ["--no-negation", "--operators", "or", "--neurons", "2,0,10-12"]
    assert run("label", "a.npy", "c.csv", "--quiet", "--out", "l.parquet", *asked) == (0, "", "")
    made = Labels.open("l.parquet")
    assert made == expected(negation=False, operators=("or",), neurons=[2, 0, 10, 11, 12])
    assert not any("&" in str(one.formula) or "~" in str(one.formula) for one in made)


def test_overwrite(run):
    Path("labels.csv").write_text("old")
    assert run("label", "a.npy", "c.csv", "--quiet", "--out", "labels.csv", "--overwrite")[0] == 0
    assert len(Labels.open("labels.csv")) == 30


def test_align_and_unknown(run):
    table = pd.read_csv("c.csv").astype(int).astype(object)
    table.insert(0, "sample", [f"s{i}" for i in range(N)])
    table.loc[4, "c"] = ""
    table.to_csv("ids.csv", index=False)
    activations = pd.DataFrame(np.load("a.npy"))
    activations.insert(0, "sample", table["sample"])
    activations[10:].to_csv("ids_a.csv", index=False)
    code, out, err = run("label", "ids_a.csv", "ids.csv", "--quiet", "--unknown", "no", "--align", "--out", "x.csv")
    assert (code, out) == (0, "")
    assert err == "neuronym: align=True keeps 290 samples and drops 0 of activations and 10 of concepts\n"
    columns = pd.read_csv("c.csv")
    assert Labels.open("x.csv") == label(np.load("a.npy")[10:], columns.to_numpy()[10:], names=columns.columns)


def test_show(run):
    run("label", "a.npy", "c.csv", "--quiet", "--out", "labels.csv")
    code, out, err = run("show", "labels.csv", "2")
    assert (code, err) == (0, "")
    assert out == f"{expected()[2]}\n"
    code, out, _ = run("show", "labels.csv", "2", "--json")
    assert json.loads(out)["labels"][0]["formula"] == 'dog & ~"new grass"'
    code, out, _ = run("show", "labels.csv")
    assert out.splitlines()[-1] == "… 10 more; --json prints all"


def test_show_one_layer(run):
    label({"x": "a.npy", "y": "a.npy"}, "c.csv").save("labels.csv")
    assert run("show", "labels.csv", "2", "--layer", "y")[1].startswith("neuron y 2: dog")
    both = run("show", "labels.csv", "2")[1]
    assert "neuron x 2: dog" in both
    assert "neuron y 2: dog" in both


def test_saved_concepts_are_read(run):
    save_concepts(Concepts.from_frame(pd.read_csv("c.csv")), "c.parquet")
    assert run("label", "a.npy", "c.parquet", "--quiet", "--out", "labels.csv")[0] == 0
    assert Labels.open("labels.csv") == expected()


def test_version_and_help(run):
    assert run("--version") == (0, f"neuronym {__version__}\n", "")
    for arguments in (["--help"], ["label", "--help"], ["show", "-h"], ["demo", "--help"]):
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        assert "Usage:" in out
    assert "neuronym label activations.npy concepts.csv --out labels.csv" in run("label", "--help")[1]


def test_every_command_and_option_has_help():

    for name, command in typer.main.get_command(cli.app).commands.items():
        assert command.help, name
        assert all(parameter.help for parameter in command.params if parameter.name != "help"), name


def test_compiling_is_announced_when_it_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(printing, "_PATIENCE", 0.01)
    monkeypatch.setattr(printing.Path, "glob", lambda *_: iter(()))
    with printing.compiling():
        signal.sigtimedwait([], 0.2)
    assert capsys.readouterr().err == "neuronym: compiling the search for this machine, once, up to 15 s …\n"
    with printing.compiling():
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_it_leaves_no_file(tmp_path, number, code):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.normal(size=(3000, 4000)).astype(np.float32))
    pd.DataFrame(rng.random((3000, 40)) < 0.3).to_csv(tmp_path / "c.csv", index=False)
    arguments = ["label", "a.npy", "c.csv", "--out", "labels.csv", "--beam", "30"]
    shown = {**os.environ, "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"}

    def heed() -> None:  # a shell starts what it runs in the background with SIGINT ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=tmp_path, env=shown, stderr=subprocess.PIPE, preexec_fn=heed
    ) as process:
        seen = b""
        while b"neurons" not in seen:
            part = process.stderr.read1()
            assert part, seen
            seen += part
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == code
    assert b"Traceback" not in rest
    if number == signal.SIGINT:
        assert rest.endswith(
            b"neuronym: interrupted; no file was written; if a store was begun, rerun the same command to resume\n"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "c.csv"]


def test_a_closed_pipe_is_no_traceback(run, tmp_path):
    run("label", "a.npy", "c.csv", "--quiet", "--out", "labels.json")
    process = subprocess.Popen(
        [*COMMAND, "show", "labels.json", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()
