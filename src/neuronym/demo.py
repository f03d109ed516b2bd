"""The demo: a small network on handwritten digits, and names for its neurons."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuronym._util.extras import need
from neuronym._util.folders import MANIFEST, replacing
from neuronym._util.locks import BusyError
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.errors import FileError
from neuronym.inputs.samples import Samples
from neuronym.io.files import save_activations, save_concepts
from neuronym.labeling.labeling import label
from neuronym.plots.drawing import draw_density, draw_samples
from neuronym.plots.figures import new_figure
from neuronym.plots.samples import first_samples
from neuronym.plots.view import NeuronView
from neuronym.report.page import report
from neuronym.types import PathLike

if TYPE_CHECKING:
    from neuronym.labels.labels import Label, Labels

__all__ = ["Digits", "demo", "digit_concepts", "train"]

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PROPERTIES = {
    "even": {0, 2, 4, 6, 8},
    "prime": {2, 3, 5, 7},
    "square_number": {0, 1, 4, 9},
    "above_four": {5, 6, 7, 8, 9},
    "has_loop": {0, 6, 8, 9},
    "straight_strokes": {1, 4, 7},
}

_HIDDEN = 32
_PICTURED = 4  # hidden neurons in the picture
_TOP = 8  # samples shown for each
_HELD_OUT = 0.5  # of the samples: about 45 of each digit remain on both sides
_PERMUTATIONS = 999  # p_search of at least 0.001, in a third of a second


@dataclass(frozen=True)
class Digits:
    """The activations of a trained network on the half of the digits that it was not trained on.

    Parameters
    ----------
    images : float64 array of shape (n_samples, 8, 8)
        The amount of ink in each pixel, from 0 to 16.
    digits : int64 array of shape (n_samples,)
        The digit that each image shows.
    activations : dict of str to float64 array
        The activations of the layers ``hidden``, of shape (n_samples, 32), and ``output``, of shape (n_samples, 10).
    accuracy : float
        The accuracy of the network on these samples.
    """

    images: NDArray[np.float64]
    digits: NDArray[np.int64]
    activations: dict[str, NDArray[np.float64]]
    accuracy: float


def train(seed: int = 0) -> Digits:
    """Train a network with one hidden layer of 32 ReLU units on half of scikit-learn's 1,797 digits.

    Parameters
    ----------
    seed : int, default 0
        The seed of the split and of the training.

    Returns
    -------
    Digits
        The other half of the digits, and the network's activations on them.

    Raises
    ------
    OptionError
        If scikit-learn, or another package of the demo, is not installed.
    """
    need("the demo", "demo")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    images, digits = load_digits(return_X_y=True)
    train_x, held_x, train_y, held_y = train_test_split(
        images, digits, test_size=0.5, random_state=seed, stratify=digits
    )
    network = MLPClassifier((_HIDDEN,), alpha=1e-2, max_iter=1000, random_state=seed).fit(train_x / 16, train_y)
    (into, out), (into_bias, out_bias) = network.coefs_, network.intercepts_
    hidden = np.maximum(held_x / 16 @ into + into_bias, 0)
    return Digits(
        held_x.reshape(-1, 8, 8),
        held_y,
        {"hidden": hidden, "output": hidden @ out + out_bias},
        float(network.score(held_x / 16, held_y)),
    )


def digit_concepts(images: NDArray[np.float64], digits: NDArray[np.int64]) -> Concepts:
    """Make concepts of the digit, of properties of its number and shape, and of properties of the drawing.

    Parameters
    ----------
    images : float64 array of shape (n_samples, 8, 8)
        The amount of ink in each pixel.
    digits : int64 array of shape (n_samples,)
        The digit that each image shows.

    Returns
    -------
    Concepts
        22 concepts of these samples.
    """
    ink = images.sum(axis=(1, 2))
    upper, lower = images[:, :4].sum(axis=(1, 2)), images[:, 4:].sum(axis=(1, 2))
    left, right = images[:, :, :4].sum(axis=(1, 2)), images[:, :, 4:].sum(axis=(1, 2))
    drawing = {
        "much_ink": ink > np.quantile(ink, 0.75),
        "little_ink": ink < np.quantile(ink, 0.25),
        "top_heavy": upper > 1.2 * lower,
        "bottom_heavy": lower > 1.2 * upper,
        "leans_left": left > 1.2 * right,
        "leans_right": right > 1.2 * left,
    }
    number: dict[str, NDArray[np.bool_]] = {word: digits == d for d, word in enumerate(WORDS)}
    number |= {name: np.isin(digits, list(members)) for name, members in PROPERTIES.items()}
    return Concepts.from_array(np.stack([*number.values(), *drawing.values()], axis=1), [*number, *drawing])


def demo(out: PathLike = "neuronym-demo", seed: int = 0) -> Labels:
    """Train a small network, label its neurons, print the labels and save them in a new folder.

    The labels are found on half of the samples and measured on the other half, and compared with those of permuted
    samples. The folder contains ``labels.csv``, the figure ``neurons.png``, a page to browse the neurons
    (``report/index.html``), and inputs for the command ``neuronym label``: ``hidden.npy`` and ``concepts.parquet``.

    Parameters
    ----------
    out : str or Path, default "neuronym-demo"
        The folder to create; if it exists, ``out-2``, ``out-3``, … is created instead, so nothing is overwritten.
    seed : int, default 0
        The seed of the split and of the training.

    Returns
    -------
    Labels
        The labels of the layers ``hidden`` and ``output``.

    Raises
    ------
    FileError
        If the folder cannot be created or written to.
    OptionError
        If packages of the demo are not installed.
    """
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    data = train(seed)
    console.print(
        f"Trained a network of {_HIDDEN} hidden units on half of 1,797 handwritten digits: "
        f"{data.accuracy:.1%} accuracy on the other half."
    )
    concepts = digit_concepts(data.images, data.digits)
    labels = label(data.activations, concepts, permutations=_PERMUTATIONS, holdout=_HELD_OUT, seed=seed)
    console.print(
        f"Labelled {len(labels)} neurons with formulas of {concepts.n_concepts} concepts, found on half of these "
        "samples and measured on the rest (auc_heldout, p_gain):\n"
    )
    for layer in ("output", "hidden"):
        console.print(str(labels.filter(layer=layer).sort("neuron" if layer == "output" else "auc")), markup=False)
        console.print()
    console.print(_verdict(labels))
    with ExitStack() as stack:
        folder, root = _new_folder(Path(out), stack)
        labels.save(root / "labels.csv")
        _picture(data, concepts, labels, root / "neurons.png")
        save_activations(Activations(data.activations["hidden"]), root / "hidden.npy")
        save_concepts(concepts, root / "concepts.parquet")
        report(
            labels,
            root / "report",
            activations=data.activations,
            concepts=concepts,
            samples=16 - data.images,
            title="Neurons of a network for handwritten digits",
        )
    names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
    console.print(f"Saved in {folder}: {', '.join(names)}", markup=False)
    page = folder / "report" / "index.html"
    console.print(f"To browse the neurons, open {page.resolve()} in a browser", markup=False)
    return labels


def _verdict(labels: Labels) -> str:
    """Say how many output neurons are labelled with their own digit, and how many labels are believable."""
    simplest = labels.simplest()
    alone = exact = 0
    for digit, word in enumerate(WORDS):
        found = labels["output", digit]
        single = found.path[0] if found.path else None
        alone += single is not None and str(single.formula) == word
        exact += str(simplest["output", digit].formula) == word
    summary = labels.summary()
    return (
        f"For {alone} of the 10 output neurons, the best single concept is exactly their own digit; "
        f"{exact} of 10 are named by it alone once literals that do not hold on held-out samples are dropped.\n"
        f"Believable at q ≤ {summary.q:g}, accounting for the search: {summary.believable} of {summary.labels} labels; "
        f"literals that hold on held-out samples: {summary.kept} of {summary.literals}."
    )


def _new_folder(out: Path, stack: ExitStack) -> tuple[Path, Path]:
    """The next free name of a folder, and where it is built until the stack is closed."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot create the folder {str(out)!r}: {error.strerror}") from error
    number, folder = 1, out
    while True:
        if not os.path.lexists(folder):
            with suppress(BusyError):  # the folder of a demo that runs now
                return folder, stack.enter_context(replacing(folder, "demo"))
        number += 1
        folder = out.with_name(f"{out.name}-{number}")


def _picture(data: Digits, concepts: Concepts, labels: Labels, path: Path) -> None:
    """Draw the top samples and the densities inside and outside for a few hidden neurons and an output neuron."""
    pictured = [*_different(labels.filter(layer="hidden").sort(), _PICTURED), labels["output", 3]]
    figure = new_figure(11, 1.6 * len(pictured))
    rows = figure.subplots(len(pictured), 2, width_ratios=[2, 1], squeeze=False)
    for axes, found in zip(rows, pictured, strict=True):
        if found.formula is None:
            continue
        view = NeuronView.of(found, data.activations, concepts, None, False)
        inside = view.inside(found.formula)
        places, items = first_samples(Samples.of(data.images), view, view.order(), _TOP)
        draw_samples(axes[0], items, inside[places], _TOP, "gray_r")
        draw_density(axes[1], view.values, inside)
        axes[1].set(yticks=[], xlabel="activation" if found is pictured[-1] else "")
        values = f"AUC {found.auc:.3f}, held out {found.auc_heldout:.3f}"
        axes[0].set_title(f"{found.layer} {found.neuron}:  {found.formula}   ({values})", loc="left")
    figure.savefig(path, dpi=110)


def _different(labels: Labels, n: int) -> list[Label]:
    """Return the first n labels whose formulas share no concept."""
    different: list[Label] = []
    for found in labels:
        used = {name for other in different if other.formula is not None for name in other.formula.concepts}
        if len(different) < n and found.formula is not None and not used & set(found.formula.concepts):
            different.append(found)
    return different
