"""What a store is known by: runs that give the same activations go on, others are refused."""

import functools
import importlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from neuronym import FileError, NeuronymError, open_activations
from neuronym.network.collecting import collect
from neuronym.network.identity import described, hash_architecture, hash_code, hash_code_of_data, hash_data
from old_stores import as_before

IMAGES = torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def written_at_once(monkeypatch):
    monkeypatch.setattr("neuronym.io.zarr_store._PATIENCE", 0.0)
    monkeypatch.setattr("neuronym.io.zarr_store._SHARE", 0)


class Net(nn.Module):
    def __init__(self, act):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act = nn.Conv2d(3, 5, 3), act

    def forward(self, x):
        return self.act(self.conv(x))


class Stopped(torch.utils.data.Dataset):
    """Images, prepared by a function, of which one raises an error until it is repaired."""

    broken = False

    def __init__(self, prepare, images=IMAGES):
        self.prepare, self.images = prepare, images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, place):
        if Stopped.broken and place == 8:
            raise RuntimeError("the power went out")
        return self.prepare(self.images[place])


def interrupted(out, make, **options):
    """Collect until sample 8, in batches of 4, and return how many samples are written then."""
    Stopped.broken = True
    with pytest.raises(Exception, match="the power went out"):
        collect(Net(nn.ReLU()), make(), layers=["conv"], out=out, batch_size=4, **options)
    Stopped.broken = False
    with pytest.raises(FileError, match=r"8 of 12 \(67%\) samples are written"):
        open_activations(out)


def plainly(image):
    return image * 2


def otherwise(image):
    return image * 3


def helped(image):
    return scaled(image)


def scaled(image):
    return image + 1


class Prepare:
    def __init__(self, by):
        self.by, self.calls = by, 0

    def __call__(self, image):
        self.calls += 1
        return image * self.by


def scaling(by):
    seen = []

    def prepare(image):
        seen.append(len(seen))
        return image * by

    return prepare


SAME = {
    "function": (lambda: plainly, lambda: plainly),
    "lambda": (lambda: lambda image: image * 2, lambda: lambda image: image * 2),
    "object": (lambda: Prepare(2), lambda: Prepare(2)),
    "method": (lambda: Prepare(2).__call__, lambda: Prepare(2).__call__),
    "partial": (lambda: functools.partial(torch.mul, other=2), lambda: functools.partial(torch.mul, other=2)),
    "closure": (lambda: scaling(2), lambda: scaling(2)),
    "built in": (lambda: torch.sin, lambda: torch.sin),
}
OTHER = {
    "function": (lambda: plainly, lambda: otherwise, "code of data"),
    "lambda": (lambda: lambda image: image * 2, lambda: lambda image: image * 4, "code of data"),
    "object": (lambda: Prepare(2), lambda: Prepare(3), "other activations of layer 'conv'"),
    "partial": (
        lambda: functools.partial(torch.mul, other=2), lambda: functools.partial(torch.mul, other=3), "code of data",
    ),
    "closure": (lambda: scaling(2), lambda: scaling(3), "other activations of layer 'conv'"),
    "default": (lambda: lambda image, by=2: image * by, lambda: lambda image, by=3: image * by, "code of data"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAME)
def test_a_run_goes_on_with_the_same_preprocessing(tmp_path, kind):
    first, second = SAME[kind]
    interrupted(tmp_path / "a.zarr", lambda: Stopped(first()))
    options = {"layers": ["conv"], "batch_size": 4}
    found = collect(Net(nn.ReLU()), Stopped(second()), out=tmp_path / "a.zarr", **options)["conv"]
    assert np.array_equal(found.matrix, collect(Net(nn.ReLU()), Stopped(first()), **options)["conv"].matrix)
    collect(Net(nn.ReLU()), Stopped(second()), out=tmp_path / "a.zarr", **options)  # opens it


@pytest.mark.parametrize("kind", OTHER)
@pytest.mark.parametrize("finished", [False, True])
def test_a_run_does_not_go_on_with_other_preprocessing(tmp_path, kind, finished):
    first, second, message = OTHER[kind]
    options = {"layers": ["conv"], "batch_size": 4, "out": tmp_path / "a.zarr"}
    if finished:
        collect(Net(nn.ReLU()), Stopped(first()), **options)
    else:
        interrupted(tmp_path / "a.zarr", lambda: Stopped(first()))
    with pytest.raises(FileError, match=message):
        collect(Net(nn.ReLU()), Stopped(second()), **options)


def test_another_activation_function_is_another_model(tmp_path):
    options = {"layers": ["conv"], "out": tmp_path / "a.zarr", "batch_size": 4}
    for act, other in [(nn.ReLU(), nn.GELU()), (torch.tanh, torch.sigmoid), (lambda x: x * 2, lambda x: x * 3)]:
        collect(Net(act), IMAGES, overwrite=True, **options)
        collect(Net(act), IMAGES, **options)
        with pytest.raises(FileError, match=r"other settings \(architecture: "):
            collect(Net(other), IMAGES, **options)
    encoders = [nn.TransformerEncoderLayer(4, 2, 8, activation=name, batch_first=True) for name in ("relu", "gelu")]
    encoders[1].load_state_dict(encoders[0].state_dict())
    assert hash_architecture(encoders[0]) != hash_architecture(encoders[1])


@pytest.mark.parametrize("held", [lambda act: [act], lambda act: {"first": act}, lambda act: {"all": (None, [act])}])
def test_functions_in_containers_are_part_of_a_model(held):
    nets = [Net(held(act)) for act in (torch.tanh, torch.tanh, torch.sigmoid, lambda x: x * 2, lambda x: x * 3)]
    tanh, again, *others = map(hash_architecture, nets)
    assert tanh == again
    assert len({tanh, *others}) == 4


def test_a_container_of_a_model_may_hold_itself():
    loop = [torch.tanh]
    loop.append(loop)
    assert hash_architecture(Net(loop)) != hash_architecture(Net([loop, torch.sin]))


def test_changed_data_of_any_kind_is_other_data(tmp_path):
    def images(change):
        changed = IMAGES.clone()
        changed[10] += change
        return changed

    ways = {
        "tensor": (lambda x: x, "data: "),
        "array": (lambda x: x.numpy(), "data: "),
        "dataset": (lambda x: torch.utils.data.TensorDataset(x, torch.arange(12)), "data: "),
        "subset": (lambda x: torch.utils.data.Subset(torch.utils.data.TensorDataset(x), range(12)), "data: "),
        "loader": (lambda x: torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), 4), "data: "),
        "batches": (lambda x: [x[:4], x[4:8], x[8:]], "data: "),
        "dicts": (lambda x: [{"x": x[:6]}, {"x": x[6:]}], "data: "),
        "own dataset": (lambda x: Stopped(plainly, x), "data: "),
        "own dataset of a list": (lambda x: Stopped(plainly, list(x)), "other activations of layer 'conv' than this"),
    }
    for name, (way, message) in ways.items():
        options = {"layers": ["conv"], "out": tmp_path / f"{name}.zarr", "batch_size": 4}
        if name == "dicts":
            options["forward"] = lambda model, batch: model(batch["x"])
        collect(Net(nn.ReLU()), way(images(0)), **options)
        collect(Net(nn.ReLU()), way(images(0)), **options)
        with pytest.raises(FileError, match=message):
            collect(Net(nn.ReLU()), way(images(1)), **options)


@pytest.mark.parametrize("kind", [torch.Tensor.clone, torch.Tensor.numpy])
def test_a_sample_that_a_dataset_holds_counts_wherever_it_is(kind):
    changed = IMAGES.clone()
    changed[0] += 1
    same, again, other = (hash_data(Stopped(plainly, kind(x))) for x in (IMAGES, IMAGES, changed))
    assert same == again != other
    assert hash_data(Stopped(plainly, list(IMAGES))) is None


def test_an_iterable_that_yields_other_samples_is_refused(tmp_path):
    def batches(change, stop=None):
        for start in range(0, 12, 4):
            if stop == start:
                raise RuntimeError("the power went out")
            yield IMAGES[start : start + 4] + change

    options = {"layers": ["conv"], "out": tmp_path / "a.zarr"}
    with pytest.raises(Exception, match="the power went out"):
        collect(Net(nn.ReLU()), batches(0, 8), **options)
    with pytest.raises(FileError, match="for the last batch that is stored: they differ by up to"):
        collect(Net(nn.ReLU()), batches(1), **options)
    collect(Net(nn.ReLU()), batches(0), **options)
    collect(Net(nn.ReLU()), batches(0), **options)
    with pytest.raises(FileError, match="for the first batch that is stored: they differ by up to"):
        collect(Net(nn.ReLU()), batches(1), **options)


@pytest.mark.parametrize("change", [1e-6, 1e-3])
def test_the_last_batch_is_compared_to_a_relative_1e_4(tmp_path, change):
    options = {"layers": ["conv"], "out": tmp_path / "a.zarr", "batch_size": 4}
    collect(Net(nn.ReLU()), Stopped(Prepare(1.0)), **options)
    if change < 1e-4:
        collect(Net(nn.ReLU()), Stopped(Prepare(1 + change)), **options)
    else:
        with pytest.raises(FileError, match=r"they differ by up to 0.1%"):
            collect(Net(nn.ReLU()), Stopped(Prepare(1 + change)), **options)


def test_workers_and_progress_do_not_matter(tmp_path, capsys):
    interrupted(tmp_path / "a.zarr", lambda: Stopped(plainly), workers=0)
    options = {"layers": ["conv"], "out": tmp_path / "a.zarr", "batch_size": 4}
    found = collect(Net(nn.ReLU()), Stopped(plainly), workers=1, progress=True, **options)["conv"]
    assert found.n_samples == 12


def test_patches_of_versions_do_not_matter(tmp_path, monkeypatch):
    made = {"neuronym": "0.1.0", "torch": "2.4.1+cpu"}
    monkeypatch.setattr("neuronym.network.collecting.versions", lambda: dict(made))
    options = {"layers": ["conv"], "out": tmp_path / "a.zarr"}
    collect(Net(nn.ReLU()), IMAGES, **options)
    made["torch"] = "2.4.2"
    collect(Net(nn.ReLU()), IMAGES, **options)
    made["torch"] = "2.5.0"
    with pytest.raises(FileError, match="versions: "):
        collect(Net(nn.ReLU()), IMAGES, **options)


def test_functions_and_settings_of_the_users_are_known_by_their_code(tmp_path):
    options = {"layers": ["conv"], "out": tmp_path / "a.zarr"}
    net = Net(nn.ReLU())

    def kept(about=plainly, pool=lambda y: y.mean((2, 3)), forward=lambda model, batch: model(batch)):
        return collect(net, IMAGES, pool=pool, forward=forward, about={"prepare": about}, **options)

    kept()
    kept()
    with pytest.raises(FileError, match="code of prepare: "):
        kept(about=otherwise)
    with pytest.raises(FileError, match="code of pool: "):
        kept(pool=lambda y: y.amax((2, 3)))
    with pytest.raises(FileError, match="code of forward: "):
        kept(forward=lambda model, batch: model(batch * 2))


def test_a_finished_store_of_before_is_opened_with_a_function(tmp_path):
    options = {"layers": ["conv"], "out": tmp_path / "a.zarr", "batch_size": 4}
    collect(Net(nn.ReLU()), Stopped(plainly), about={"preprocessing": f"<function plainly at {id(3):#x}>"}, **options)
    as_before(tmp_path / "a.zarr")
    assert (
        collect(Net(nn.ReLU()), Stopped(plainly), about={"preprocessing": plainly}, **options)["conv"].n_samples == 12
    )
    with pytest.raises(FileError, match="other activations"):
        collect(Net(nn.ReLU()), Stopped(otherwise), about={"preprocessing": otherwise}, **options)


MODULE = """
    import torch
    SCALE = 2

    def helper(image):
        {comment}
        return image * {factor}

    def prepare(image):
        return helper(image) in {{"a", "b", "c"}}, [helper(part) for part in image]

    class Prepare:
        def __call__(self, image):
            return helper(image)
"""


def imported(tmp_path, monkeypatch, comment, factor):
    (tmp_path / "own_preparation.py").write_text(textwrap.dedent(MODULE).format(comment=comment, factor=factor))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("own_preparation", None)
    importlib.invalidate_caches()
    return importlib.import_module("own_preparation")


def test_code_is_known_without_comments_and_with_what_it_calls(tmp_path, monkeypatch):
    hashes = []
    for comment, factor in [("# a", 2), ('"""Scale."""', 2), ("# a", 3)]:
        module = imported(tmp_path, monkeypatch, comment, factor)
        hashes.append((hash_code(module.prepare), hash_code(module.Prepare()), hash_code(module.helper)))
    first, documented, changed = hashes
    assert first == documented
    assert all(one != other for one, other in zip(first, changed, strict=True))
    assert hash_code(helped) != hash_code(scaled)


def test_hashes_of_code_are_the_same_in_every_process(tmp_path, monkeypatch):
    module = imported(tmp_path, monkeypatch, "# a", 2)
    code = (
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport own_preparation as own\n"
        "from neuronym.network.identity import hash_code\nprint(hash_code(own.prepare), hash_code(own.Prepare()))"
    )
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert run.stdout.split() == [hash_code(module.prepare), hash_code(module.Prepare())]


def test_descriptions_hold_no_addresses(tmp_path):
    for thing in (plainly, lambda image: image, Prepare(2), Prepare(2).__call__, functools.partial(plainly)):
        assert "0x" not in described(thing)
    assert described(plainly).endswith(".plainly")
    assert hash_data(iter([])) is None
    assert hash_code_of_data(IMAGES) is None


def test_layers_and_input_are_checked_before_a_store_is_touched(tmp_path):
    options = {"out": tmp_path / "a.zarr", "overwrite": True}
    collect(Net(nn.ReLU()), IMAGES, layers=["conv"], **options)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def broken(image):
        raise RuntimeError("broken")

    for model, data, layer in [
        (Net(nn.ReLU()), IMAGES, "cnov"),
        (Net(nn.ReLU()), IMAGES[:, :2], "conv"),
        (Net(broken), IMAGES, "conv"),
        (Net(nn.ReLU()), Stopped(broken), "conv"),
    ]:
        with pytest.raises(NeuronymError):
            collect(model, data, layers=[layer], **options)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
