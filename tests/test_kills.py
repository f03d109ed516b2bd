"""Each output is old or new, and complete, if its run is killed, beside another run, or on a disk that is full."""

import itertools
import re
import shutil
import signal
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from neuronym import Concepts, label
from neuronym.io import open_layers, save_concepts
from warm import Warm

SPREAD = 10  # kills of each output in the fast lane
PAIRS = 3  # of simultaneous runs

MODEL = """
import torch
class Prepare:
    def __call__(self, image):
        import numpy as np
        return torch.tensor(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)
    def __repr__(self):
        return "divided by 255"
def make():
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(6, 3)), Prepare()
"""


@dataclass(frozen=True)
class Output:
    """A command, the files or folders that it writes, and options that make an old output and a new one."""

    command: tuple[str, ...]
    names: tuple[str, ...]
    old: tuple[str, ...]
    new: tuple[str, ...]
    resumes: bool = False  # so that what was killed may be incomplete where there was nothing before
    together: bool = True  # whether several files are one folder
    losers: tuple[str, ...] = field(default=("another run is writing to", "exists"))


PHOTOS = ("--model", "mine_kills:make", "--images", "photos")
TABLES = ("acts.npy", "concepts.parquet", "--n-jobs", "1", "--quiet")
OUTPUTS = {
    "label": Output(("label", *TABLES, "--out", "labels.csv"), ("labels.csv",), ("--length", "1"), ("--length", "2")),
    "concepts": Output(
        ("concepts", "annotations", "classes.txt", "--out", "made.parquet"),
        ("made.parquet",), ("--min-count", "3"), ("--min-count", "1"),
    ),
    "sweep": Output(
        ("sweep", *TABLES, "--out", "sweep.csv", "--plot", "sweep.png"),
        ("sweep.png", "sweep.csv"), ("--length", "1"), ("--length", "2"), together=False,
    ),
    "pairs": Output(
        ("pairs", *TABLES, "--min-count", "5", "--out", "pairs.parquet"),
        ("pairs.parquet",), ("--holdout", "0.4"), ("--holdout", "0.5"),
    ),
    "report": Output(
        ("report", "given.csv", "--activations", *TABLES[:1], "--concepts", *TABLES[1:], "--out", "page"),
        ("page",), ("--title", "old"), ("--title", "new", "--other", "given.csv"),
    ),
    "spurious": Output(
        ("spurious", *PHOTOS, "--layers", "1", "--outputs", "4", "--quiet", "--out", "found"),
        ("found",), ("--border", "white"), ("--border", "red", "--relabel", "--length", "1"),
    ),
    "spurious of tables": Output(
        ("spurious", "acts.npy", "concepts.parquet", "--quiet", "--out", "found"),
        ("found",), ("--suspects", "c0"), ("--suspects", "c1"),
    ),
    "circuit": Output(
        ("circuit", *PHOTOS, "--target-layer", "4", "--target", "0", "--layers", "1", "--quiet", "--out", "graph"),
        ("graph",), ("--most", "1"), ("--most", "2", "--ablate", "2", "--n-random", "2"),
    ),
    "collect": Output(
        ("collect", *PHOTOS, "--quiet", "--out", "acts.zarr"),
        ("acts.zarr",), ("--layers", "1,4"), ("--layers", "4"), resumes=True,
        losers=("another run is writing to", "was made with other settings"),
    ),
}  # fmt: skip
BOTH = [(name, overwrite) for name in OUTPUTS for overwrite in (False, True)]
CASES = [pytest.param(*one, id=f"{one[0]}{', overwrite' * one[1]}") for one in BOTH]
cases = pytest.mark.parametrize(("name", "overwrite"), CASES)
fast = pytest.mark.parametrize(("name", "overwrite"), [one for one in CASES if "of tables" not in one.id])
pairs = pytest.mark.parametrize(("name", "overwrite"), [one for one in BOTH if "of tables" not in one[0]])


@pytest.fixture(scope="module")
def warm():
    process = Warm()
    yield process
    process.close()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The input of all commands, and a file of the user's."""
    root = tmp_path_factory.mktemp("kills") / "inputs"
    (root / "photos").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(root / "photos" / f"{i}.png")
    (root / "mine_kills.py").write_text(MODEL)
    values = rng.normal(size=(60, 3))
    np.save(root / "acts.npy", values)
    concepts = Concepts.from_array(values[:, :2] > 0, ["c0", "c1"])
    save_concepts(concepts, root / "concepts.parquet")
    label(values, concepts, length=2).save(root / "given.csv")
    rows = [f"{i}\t{'even' if i % 2 else 'odd'}\n" for i in range(6)] + ["6\trare\n"]
    (root / "classes.txt").write_text("".join(rows))
    (root / "notes.txt").write_text("mine")
    return root


def tree(root):
    """Each file below a folder by name, hidden ones too, with its bytes, and each folder."""
    return {
        path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if "__pycache__" not in path.parts
    }


def succeed(warm, root, *command):
    reply = warm(root, command)
    assert (reply["code"], reply["errors"]) == (0, ""), reply
    return reply["calls"]


@dataclass
class Place:
    """A folder to run a command in, with what is in it before and after."""

    warm: Warm
    root: object
    output: Output
    overwrite: bool
    before: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)
    other: dict = field(default_factory=dict)  # after the command that makes the old output
    calls: int = 0

    @property
    def command(self):
        return (*self.output.command, *self.output.new, *["--overwrite"] * self.overwrite)

    def reset(self):
        """Put back what was there before, with the old output if it is to be overwritten; inputs are not touched."""
        for path, content in reversed(tree(self.root).items()):
            if self.before.get(path, 0) != content:
                (self.root / path).rmdir() if content is None else (self.root / path).unlink()
        for path, content in self.before.items():
            if content is None:
                (self.root / path).mkdir(exist_ok=True)
            elif not (self.root / path).exists():
                (self.root / path).write_bytes(content)

    def check(self):
        """Raise unless the output is the old or the new one, and nothing else has changed but hidden files."""
        found = {path: content for path, content in tree(self.root).items() if not path.split("/")[0].startswith(".")}
        states = []
        for name in self.output.names:
            own = [
                {p: c for p, c in one.items() if p.split("/")[0] == name} for one in (found, self.before, self.after)
            ]
            assert own[0] in own[1:], sorted(p for p in {*own[0], *own[2]} if own[0].get(p, 0) != own[2].get(p, 0))
            states.append(own[0] == own[2])
        assert states == sorted(states, reverse=True)  # those that are put into place first are new first
        outside = [{p: c for p, c in one.items() if p.split("/")[0] not in self.output.names}
                   for one in (found, self.before)]  # fmt: skip
        assert outside[0] == outside[1]

    def check_unfinished(self):
        """The same for a store that is resumed."""
        name = self.output.names[0]
        try:
            self.check()
        except AssertionError:
            found = {p: c for p, c in tree(self.root).items() if p.split("/")[0] == name}
            if found.pop(f"{name}/part-0.jsonl", None) is not None and found == {
                p: c for p, c in self.after.items() if p.split("/")[0] == name
            }:
                open_layers(self.root / name)  # finished, but for the list that the next run deletes
                return
            with pytest.raises(ValueError, match=r"is incomplete|not a Zarr store|rerun"):
                open_layers(self.root / name)

    def rerun(self):
        """Run to the end, after which nothing else is left."""
        force = self.overwrite or any((self.root / name).exists() for name in self.output.names)
        succeed(self.warm, self.root, *self.output.command, *self.output.new,
                *["--overwrite"] * (self.overwrite or (force and not self.output.resumes)))  # fmt: skip
        assert tree(self.root) == self.after


@pytest.fixture(scope="module")
def places(warm, inputs):
    """Folders by output and ``overwrite``, made once."""
    made = {}

    def place(name, overwrite):
        if (name, overwrite) not in made:
            output = OUTPUTS[name]
            root = inputs.parent / f"{name} {overwrite}".replace(" ", "_")
            shutil.copytree(inputs, root)
            one = made[name, overwrite] = Place(warm, root, output, overwrite)
            one.before = tree(root)
            succeed(warm, root, *output.command, *output.old)
            one.other = tree(root)
            if overwrite:
                one.before = one.other
            one.reset()
            succeed(warm, root, *one.command)
            one.after = tree(root)
            assert one.after != one.before
            one.reset()
            one.calls = succeed(warm, root, *one.command)
            assert tree(root) == one.after  # the same in every run
        made[name, overwrite].reset()
        return made[name, overwrite]

    return place


def kill(place, nth):
    """Kill at the nth call; whether there was one."""
    place.reset()
    reply = place.warm(place.root, place.command, nth=nth)
    if reply["code"] == 0:
        return False
    assert reply["code"] == -signal.SIGKILL, reply
    if place.output.resumes and not place.overwrite:
        place.check_unfinished()
    else:
        place.check()
    return True


@fast
def test_a_run_that_is_killed_leaves_the_old_or_the_new_and_the_next_cleans_up(places, name, overwrite):
    place = places(name, overwrite)
    assert place.calls > 4
    for number, nth in enumerate(sorted({round(n) for n in np.linspace(1, place.calls, SPREAD)})):
        assert kill(place, nth)
        if number % 4 == 1:
            place.rerun()


@pytest.mark.slow
@cases
def test_a_run_may_be_killed_at_any_call(places, name, overwrite):
    place = places(name, overwrite)
    for tried in itertools.count():
        if not kill(place, tried + 1):
            break
        place.rerun()
    print(f"{name}{' --overwrite' * overwrite}: killed {tried} times")
    assert tried >= place.calls


def compete(place):
    """Run two at once, which write different outputs; what is there afterwards is that of one that succeeded."""
    place.reset()
    force = ["--overwrite"] * place.overwrite
    commands = [(*place.output.command, *options, *force) for options in (place.output.old, place.output.new)]
    replies = place.warm(place.root, *commands)
    won = [reply["code"] == 0 for reply in replies]
    for reply in replies:
        refused = reply["code"] == 2 and reply["errors"].count("\n") == 1
        assert reply["code"] == 0 or (refused and any(why in reply["errors"] for why in place.output.losers)), replies
    found = tree(place.root)
    assert found in [one for one, ended in zip((place.other, place.after), won, strict=True) if ended]
    return won.count(False)


def check_pairs(place, n_pairs):
    refused = [compete(place) for _ in range(n_pairs)]
    if not place.overwrite:
        assert refused == [1] * n_pairs
    print(f"{place.output.command[0]}{' --overwrite' * place.overwrite}: {sum(refused)} of {n_pairs} pairs had a loser")


@pairs
def test_one_of_two_runs_at_one_place_wins(places, name, overwrite):
    check_pairs(places(name, overwrite), PAIRS)


@pytest.mark.slow
@pairs
def test_one_of_two_runs_wins_twenty_times(places, name, overwrite):
    check_pairs(places(name, overwrite), 20)


@fast
def test_a_full_disk_is_one_error_and_leaves_the_old_output(places, name, overwrite):
    place = places(name, overwrite)
    for size in (0, 100, 1500):
        place.reset()
        reply = place.warm(place.root, place.command, size=size)
        assert reply["errors"].count("\n") == (reply["code"] != 0), reply
        if reply["code"] == 0:
            assert tree(place.root) == place.after
            continue
        assert reply["code"] == 2
        assert "cannot write" in reply["errors"]
        assert any(re.search(rf"{one}\b", reply["errors"]) for one in place.output.names), reply
        if place.output.resumes and not place.overwrite:
            place.rerun()
        else:
            assert tree(place.root) == place.before
