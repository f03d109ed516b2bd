import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from PIL import Image

from neuronym import (
    Activations,
    ActivationsError,
    AlignmentError,
    Concepts,
    ConceptsError,
    Explanation,
    FileError,
    Formula,
    Label,
    Labels,
    OptionError,
    UnknownNameError,
    label,
    plots,
    save_activations,
    save_concepts,
)
from neuronym.analysis.spurious.overlays import Blur, overlay
from neuronym.analysis.sweep import sweep
from neuronym.io.images import Images, open_image
from neuronym.plots.figures import COLOURS
from reference import auc_by_pairs

N = 300
NAMES = ["dog", "grass", "sky", "night", "car"]
IN, OUT = COLOURS[:2]


@pytest.fixture(scope="module")
def data():
    """Neuron 0 is high and 1 low for dogs that are not on grass; 0 is rectified; 2 is constant; 3 has ties."""
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 5)) < 0.3
    values = rng.normal(size=(N, 4))
    dog = concepts[:, 0] & ~concepts[:, 1]
    values[:, 0] = np.maximum(values[:, 0] + 1.2 * dog - 0.3, 0)
    values[:, 1] -= 1.2 * dog
    values[:, 2] = 0.25
    values[:, 3] = np.round(values[:, 3] + dog)
    return values, concepts


@pytest.fixture(scope="module")
def high(data):
    return label(*data, names=NAMES, neurons=[0], length=2)[0]


@pytest.fixture(scope="module")
def low(data):
    return label(*data, names=NAMES, neurons=[1], direction="low", length=2)[1]


def inside_of(one, concepts):
    return one.formula.evaluate(dict(zip(NAMES, concepts.T, strict=True)))


def texts(axes):
    """All that is written in and on an axes."""
    made = axes.get_legend()
    found = [*axes.texts, *([] if made is None else made.get_texts()), *axes.get_yticklabels()]
    return [text.get_text() for text in [*found, axes.title, axes._left_title, axes.xaxis.label]]


def heading(axes):
    return axes.get_title(loc="left").split("\n")


def areas(axes):
    """The area of each filled histogram by its colour."""
    found = {}
    for patch in axes.patches:
        if isinstance(patch, StepPatch) and patch.get_fill():
            heights, edges, _ = patch.get_data()
            found[to_hex(patch.get_facecolor()).upper()] = float(np.sum(heights * np.diff(edges)))
    return found


def drawn(axes, column):
    """Images, or texts, in the order in which they are to be read, and whether each has a frame."""
    frames = {(round(p.get_x(), 6), round(p.get_y(), 6)) for p in axes.patches if isinstance(p, Rectangle)}
    cells = []
    for image in axes.images:
        left, _, _, top = image.get_extent()
        assert image.get_clim() == (0, 1)
        cells.append(((int(top), int(left)), image.get_array(), (round(left, 6), round(top, 6)) in frames))
    assert len(frames) == sum(framed for *_, framed in cells)
    return [(np.asarray(array), framed) for _, array, framed in sorted(cells, key=lambda cell: cell[0])]


@pytest.fixture(scope="module")
def labels(high, low):
    return Labels([high, low])


# Distributions


@pytest.mark.parametrize("neuron", [0, 1, 3])
def test_densities_have_the_area_of_the_share_that_is_not_zero(data, high, neuron):
    values, concepts = data
    one = replace(high, neuron=neuron)
    axes = plots.distribution(one, values, concepts, names=NAMES)
    inside = inside_of(one, concepts)
    column = values[:, neuron]
    expected = {IN: np.mean(column[inside] != 0), OUT: np.mean(column[~inside] != 0)}
    assert areas(axes) == pytest.approx(expected)
    assert (min(expected.values()) < 0.99) == (neuron != 1)


def test_each_density_is_that_of_its_samples(data, high):
    values, concepts = data
    axes = plots.distribution(high, values, concepts, names=NAMES)
    inside = inside_of(high, concepts)
    for patch in axes.patches:
        if patch.get_fill():
            mine = inside if to_hex(patch.get_facecolor()).upper() == IN else ~inside
            own = values[mine, 0]
            heights, edges, _ = patch.get_data()
            expected = np.histogram(own[own != 0], edges)[0] / (len(own) * np.diff(edges))
            assert heights == pytest.approx(expected)
            assert edges[0] == own[own != 0].min()
            assert edges[-1] == own.max()


def test_the_distribution_says_in_words_what_it_shows(data, high):
    values, concepts = data
    axes = plots.distribution(high, values, concepts, names=NAMES)
    inside = inside_of(high, concepts)
    zeros = [np.mean(values[members, 0] == 0) for members in (inside, ~inside)]
    auc = float(auc_by_pairs(values[:, 0], inside))
    assert heading(axes) == ["neuron 0: dog & ~grass", f"AUC {auc:.3f}, {inside.mean():.0%} of samples"]
    assert texts(axes)[:2] == [
        f"inside, {inside.sum()} ({zeros[0]:.1%} are 0)",
        f"outside, {(~inside).sum()} ({zeros[1]:.0%} are 0)",
    ]
    assert 0 < zeros[0] < 0.1 < zeros[1]
    assert axes.get_xlabel() == "activation"


def test_low_labels_say_so_and_count_the_other_way(data, low):
    values, concepts = data
    inside = inside_of(low, concepts)
    auc = float(auc_by_pairs(-values[:, 1], inside))
    assert auc > 0.7
    axes = plots.distribution(low, values, concepts, names=NAMES)
    assert heading(axes) == ["neuron 1, low inside: dog & ~grass", f"AUC {auc:.3f}, {inside.mean():.0%} of samples"]


def test_one_sample_inside_and_all_zero_are_drawn(data):
    values, concepts = np.zeros((50, 1)), np.arange(50)[:, None] == 7
    values[7] = 3.5
    one = Label(0, best=Explanation(Formula.parse("dog"), 1.0, 0.02, 1))
    axes = plots.distribution(one, values, concepts, names=["dog"])
    assert areas(axes) == pytest.approx({IN: 1, OUT: 0})
    (edges,) = [patch.get_data()[1] for patch in axes.patches if patch.get_fill() and patch.get_data()[0].any()]
    assert edges == pytest.approx([3.5 - 3.5 / 20, 3.5 + 3.5 / 20])
    assert texts(axes)[:2] == ["inside, 1", "outside, 49 (100% are 0)"]
    assert heading(axes)[1] == "AUC 1.000, 2.0% of samples"
    axes.figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize("scale", [1e-150, 1e150])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_numbers_of_every_kind_are_drawn(data, high, dtype, scale, tmp_path):
    values, concepts = data
    column = (values[:, [0]] > 0.5).astype(dtype) if dtype != np.float64 else values[:, [0]] * scale
    inside = inside_of(high, concepts)
    for draw in (plots.distribution, plots.roc):
        axes = draw(high, column, concepts, names=NAMES)
        axes.figure.savefig(tmp_path / "x.png")
        assert f"AUC {float(auc_by_pairs(column[:, 0].astype(float), inside)):.3f}" in " ".join(texts(axes))


def test_values_that_hardly_differ_have_one_bin():
    values = 1e15 + np.array([0.0, 0.125] * 20)[:, None]
    one = Label(0, best=Explanation(Formula.parse("dog"), 1.0, 0.5, 20))
    axes = plots.distribution(one, values, np.arange(40)[:, None] % 4 < 2, names=["dog"])
    assert areas(axes) == pytest.approx({IN: 1, OUT: 1})
    axes.figure.savefig("/dev/null", format="png")


# ROC


@pytest.mark.parametrize(("neuron", "direction"), [(0, "high"), (1, "low"), (3, "high"), (3, "low")])
def test_the_area_below_the_curve_is_the_auc(data, high, neuron, direction):
    values, concepts = data
    one = replace(high, neuron=neuron, direction=direction)
    axes = plots.roc(one, values, concepts, names=NAMES)
    curve, chance, best = axes.lines
    inside = inside_of(one, concepts)
    turned = -values[:, neuron] if direction == "low" else values[:, neuron]
    auc = float(auc_by_pairs(turned, inside))
    x, y = curve.get_xdata(), curve.get_ydata()
    assert np.trapezoid(y, x) == pytest.approx(auc, abs=1e-12)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert curve.get_label() == f"AUC {auc:.3f}"
    assert list(chance.get_xdata()) == list(chance.get_ydata()) == [0, 1]
    scores = {}
    for threshold in np.unique(turned):
        hits = np.sum(inside & (turned >= threshold))
        scores[threshold] = 2 * hits / (np.sum(turned >= threshold) + inside.sum()), hits / inside.sum()
    threshold = max(scores, key=lambda t: (scores[t][0], t))
    shown = -threshold if direction == "low" else threshold
    sign = "≤" if direction == "low" else "≥"
    assert best.get_label() == f"highest F1, {scores[threshold][0]:.2f}:\nactivation {sign} {shown:.3g}"
    false = np.mean(turned[~inside] >= threshold)
    assert (best.get_xdata()[0], best.get_ydata()[0]) == pytest.approx((false, scores[threshold][1]))


def test_points_on_a_line_are_left_out():
    values, concepts = np.arange(1000.0)[:, None], np.arange(1000)[:, None] >= 900
    one = Label(0, best=Explanation(Formula.parse("dog"), 1.0, 0.1, 100))
    curve = plots.roc(one, values, concepts, names=["dog"]).lines[0]
    assert curve.get_xydata().tolist() == [[0, 0], [0, 1], [1, 1]]
    values = np.array([2, 2, 2, 1, 1, 0, 0])[:, None]  # slopes of 2, 1 and 1
    concepts = np.array([True, True, False, True, False, True, False])[:, None]
    curve = plots.roc(one, values, concepts, names=["dog"]).lines[0]
    assert curve.get_xydata() == pytest.approx(np.array([[0, 0], [1 / 3, 1 / 2], [1, 1]]))


# Tradeoff


@pytest.fixture(scope="module")
def swept(data):
    values, concepts = data
    layers = {"_a": values[:, :2], "b": values[:, 2:]}
    return sweep(layers, concepts, names=NAMES, length=3, min_fractions=[0.0, 0.2], min_count=5)


def test_each_least_fraction_has_its_lines(swept):
    table = swept[swept["layer"] == "_a"].drop(columns="layer")
    axes = plots.sweep(table)
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["α = 0", "α = 0.2"]
    for place, fraction in enumerate([0, 0.2]):
        own = table[table["min_fraction"] == fraction]
        held, searched = axes.lines[2 * place : 2 * place + 2]
        assert held is lines[f"α = {fraction:g}"]
        assert np.array_equal(held.get_xydata(), own[["length", "auc_heldout"]], equal_nan=True)
        assert np.array_equal(searched.get_xydata(), own[["length", "auc"]], equal_nan=True)
        assert (held.get_linestyle(), searched.get_linestyle()) == ("-", ":")
        assert held.get_color() == searched.get_color() == COLOURS[place]
    assert axes.get_xticks().tolist() == [1, 2, 3]


def test_of_several_layers_the_least_fraction_is_drawn(swept):
    axes = plots.sweep(swept)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["layer _a: α = 0", "layer b: α = 0"]
    first = swept[(swept["layer"] == "_a") & (swept["min_fraction"] == 0)]
    assert axes.lines[0].get_ydata().tolist() == first["auc_heldout"].tolist()


@pytest.mark.parametrize("table", [pd.DataFrame({"length": [1]}), pd.DataFrame(), "sweep.csv"])
def test_another_table_is_refused(table):
    with pytest.raises(OptionError, match=r"the table lacks min_fraction, .*neuronym\.sweep$"):
        plots.sweep(table)


def test_an_empty_table_is_refused(swept):
    with pytest.raises(OptionError, match="the table has no rows"):
        plots.sweep(swept[:0])


# Samples


@pytest.fixture(scope="module")
def images():
    """Image i has i in its first pixel."""
    made = np.random.default_rng(1).random((N, 6, 6)) * N
    made[:, 0, 0] = np.arange(N)
    made[0], made[-1, -1, -1] = 0, N
    return made


def test_the_highest_come_first_framed_where_the_formula_is_true(data, high, images):
    values, concepts = data
    order = np.argsort(-values[:, 0], kind="stable")[:8]
    inside = inside_of(high, concepts)
    axes = plots.top_samples(high, values, images, concepts=concepts, names=NAMES, n=8)
    found = drawn(axes, 3)
    assert [framed for _, framed in found] == inside[order].tolist()
    assert len(set(inside[order])) == 2
    low, high_ = images[order].min(), images[order].max()
    for (array, _), place in zip(found, order, strict=True):
        assert array == pytest.approx((images[place] - low) / (high_ - low))
    assert heading(axes) == ["neuron 0: dog & ~grass", "highest first, framed where it is true"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 3), (3, 0))


def test_ties_keep_the_order_of_the_samples(data, high, images):
    values, _ = data
    for direction, sign in (("high", -1), ("low", 1)):
        one = replace(high, neuron=3, direction=direction)
        order = np.argsort(sign * values[:, 3], kind="stable")[:9]
        found = drawn(plots.top_samples(one, values, images / N), 3)
        assert len(set(values[order, 3])) < 4
        assert all(np.array_equal(array, images[place] / N) for (array, _), place in zip(found, order, strict=True))


def test_a_low_label_shows_the_lowest(data, low, images):
    values, concepts = data
    order = np.argsort(values[:, 1], kind="stable")[:4]
    axes = plots.top_samples(low, values, list(images / N), concepts=concepts, names=NAMES, n=4)
    found = drawn(axes, 2)
    assert [framed for _, framed in found] == inside_of(low, concepts)[order].tolist()
    assert all(np.array_equal(array, images[place] / N) for (array, _), place in zip(found, order, strict=True))
    assert heading(axes)[-1] == "lowest first, framed where it is true"


def test_without_concepts_or_formula_nothing_is_framed(data, high, images):
    values, concepts = data
    axes = plots.top_samples(high, values, images)
    assert [framed for _, framed in drawn(axes, 3)] == [False] * 9
    assert heading(axes)[-1] == "highest first"
    bare = Label(0, reason="no formula is true for as many samples as asked")
    axes = plots.top_samples(bare, values, images, concepts=concepts, names=NAMES)
    assert [framed for _, framed in drawn(axes, 3)] == [False] * 9
    assert " ".join(heading(axes)).startswith("neuron 0: no formula (no formula is true")


def test_texts_are_written_as_they_are(data, high):
    values, concepts = data
    written = [f"sample_{place} costs $1$ and $\\frac{{2$\n" + "more " * 60 for place in range(N)]
    order = np.argsort(-values[:, 0], kind="stable")[:5]
    axes = plots.top_samples(high, values, written, concepts=concepts, names=NAMES, n=5)
    shown = [text.get_text() for text in axes.texts]
    assert [text.split()[0] for text in shown] == [f"sample_{place}" for place in order]
    assert all(
        text.endswith(" …") and text.count("\n") == 1 and "$\\frac{2$ more" in " ".join(text.split()) for text in shown
    )
    framed = [int(patch.get_y()) for patch in axes.patches]
    assert framed == np.flatnonzero(inside_of(high, concepts)[order]).tolist()
    axes.figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize("text", ["", " " * 400, "x" * 100_000, "words " * 100])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_texts_of_every_length_stay_in_their_place(data, high, text, n):
    values, concepts = data
    axes = plots.top_samples(high, values, [text] * N, concepts=concepts, names=NAMES, n=n)
    axes.figure.draw_without_rendering()
    for written in axes.texts:
        lines = written.get_text().split("\n")
        assert len(lines) == (1 if not text.strip() else 2 if n == 9 else len(lines))
        assert lines[-1].endswith(" …") == bool(text.strip())
        assert not written.get_in_layout()  # or a text a little too wide would make the whole list narrower
        if text.strip():
            box = written.get_window_extent()
            top, bottom = axes.transData.transform([(0, written.xy[1] - 0.5), (1, written.xy[1] + 0.5)])
            assert top[0] < box.x0 < box.x1 < bottom[0]
            assert bottom[1] < box.y0 < box.y1 < top[1]
    steps = plots.formula_steps(high, values, concepts, [text] * N, names=NAMES, n=n)
    assert all(len(left.texts) == n for left, _ in steps)


def test_letters_that_the_font_lacks_are_left_to_the_drawing(data, high):
    values, concepts = data
    text = "一二三\x00🙂" * 30
    axes = plots.top_samples(high, values, [text] * N, n=2)
    assert axes.texts[0].get_text().startswith("一二三 🙂")
    odd = replace(high, layer=text)
    plots.distribution(odd, values, concepts, names=NAMES)
    plots.layer_overview([odd])


def test_a_part_of_a_figure_will_do(data, high, images):
    values, concepts = data
    part, _ = Figure(figsize=(7, 3), layout="constrained").subfigures(1, 2)
    left, right = part.subplots(1, 2)
    plots.distribution(high, values, concepts, names=NAMES, ax=left)
    plots.top_samples(high, values, images, ax=right)
    part.figure.savefig("/dev/null", format="png")


def numbered(folder):
    """A folder of images in which red is the place of the sample, in another order than that of the activations."""
    (folder / "sub").mkdir(parents=True)
    for place in range(20):
        Image.new("RGB", (900 if place else 30, 300), (place, 0, 255)).save(folder / "sub" / f"{(place * 7) % 20}.png")
    return [f"sub/{(place * 7) % 20}.png" for place in range(20)]


def test_images_are_found_by_their_ids(tmp_path):
    ids = numbered(tmp_path / "photos")
    values = np.arange(20.0)[:, None]
    one = Label(0, best=Explanation(Formula.parse("dog"), 1.0, 0.5, 10))
    taken = Activations(values, sample_ids=ids)
    shown = Concepts.from_sets([{"dog"} if place >= 18 else set() for place in range(20)], sample_ids=ids)
    prepared = Images(tmp_path / "photos", lambda image: None)
    by_id = {name: open_image(tmp_path / "photos" / name) for name in ids[::-1]}
    by_place = [tmp_path / "photos" / name for name in ids]
    for samples in (tmp_path / "photos", str(tmp_path / "photos"), prepared, by_id, by_place):
        found = drawn(plots.top_samples(one, taken, samples, concepts=shown, n=3), 2)
        assert [round(float(array[0, 0, 0]) * 255) for array, _ in found] == [19, 18, 17]
        assert [framed for _, framed in found] == [True, True, False]
        assert found[0][0].shape == (133, 400, 3)  # made smaller
    (found,) = drawn(plots.top_samples(replace(one, direction="low"), taken, prepared, n=1), 1)
    assert found[0].shape == (300, 30, 3)
    altered = overlay(prepared, Blur(1.0), name="blur")
    both = Activations(np.append(np.arange(20.0), np.arange(20.0) + 0.5), sample_ids=altered.sample_ids)
    (found,) = drawn(plots.top_samples(one, both, altered, n=1), 1)
    assert found[0][0, 0, 2] > 0.9
    (tmp_path / "photos" / ids[19]).write_bytes(b"broken")
    with pytest.raises(FileError, match="cannot read the image"):
        plots.top_samples(one, taken, prepared, n=1)
    lenient = Images(tmp_path / "photos", lambda image: None, skip_unreadable=True)
    found = drawn(plots.top_samples(one, taken, lenient, n=2), 2)
    assert [round(float(array[0, 0, 0]) * 255) for array, _ in found] == [18, 17]
    (tmp_path / "photos" / ids[19]).unlink()
    assert len(drawn(plots.top_samples(replace(one, direction="low"), taken, tmp_path / "photos"), 3)) == 9
    with pytest.raises(UnknownNameError, match=r"no sample 'sub/13.png'; near it: 'sub/"):
        plots.top_samples(one, taken, tmp_path / "photos")
    with pytest.raises(FileError, match="there is no folder"):
        plots.top_samples(one, taken, tmp_path / "nowhere")


def test_texts_are_found_by_their_ids(tmp_path):
    ids = [f"t{place}" for place in range(20)]
    table = pd.DataFrame({"sample": ids[::-1], "text": [f"text of {i}" for i in ids[::-1]]})
    table.to_csv(tmp_path / "texts.csv", index=False)
    one = Label("x")
    taken = Activations(np.arange(20.0), ["x"], sample_ids=ids)
    plain = [f"text of {i}" for i in ids]
    numpys, series = np.array(plain), pd.Series(plain, index=np.arange(20)[::-1])
    for samples in (tmp_path / "texts.csv", table, plain, numpys, series, tuple(plain)):
        axes = plots.top_samples(one, taken, samples, n=2)
        assert [text.get_text() for text in axes.texts] == ["text of t19", "text of t18"]


@pytest.mark.parametrize("where", ["activations", "concepts"])
def test_row_numbers_are_no_ids_beside_names_of_files(tmp_path, where):
    numbered(tmp_path / "photos")
    values, concepts = pd.DataFrame({"x": np.arange(20.0)}), pd.DataFrame({"dog": np.arange(20) > 9})
    if where == "concepts":
        concepts = concepts[::-1]  # an index out of order is ids, those of the activations are the row numbers
    else:
        values["x"] = values["x"].to_numpy()[::-1]
    one = Label("x", best=Explanation(Formula.parse("dog"), 1.0, 0.5, 10))
    with pytest.warns(UserWarning, match="sample ids are in the samples to show .* matched by position"):
        found = drawn(plots.top_samples(one, values, tmp_path / "photos", concepts=concepts, n=1), 1)
    names = sorted(f"{place}.png" for place in range(20))
    expected = names[-1] if where == "concepts" else names[0]
    assert round(float(found[0][0][0, 0, 0]) * 255) == int(expected[:-4]) * 3 % 20  # the inverse of 7
    assert found[0][1] == (where == "concepts")


def test_row_numbers_are_ids_beside_row_numbers():
    taken = Activations(np.arange(20.0), sample_ids=range(20))
    table = pd.DataFrame({"sample": np.arange(20)[::-1], "text": [f"text of {place}" for place in range(20)[::-1]]})
    axes = plots.top_samples(Label(0), taken, table, n=2)
    assert [text.get_text() for text in axes.texts] == ["text of 19", "text of 18"]


def test_images_come_in_many_shapes():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    colour, grey = rng.random((5, 7, 3)), rng.random((5, 7))
    one = Label(0)
    values = np.array([1.0, 0.0])
    palette = Image.fromarray((grey * 255).astype(np.uint8)).convert("P")
    cases = [
        (colour, colour),
        (np.moveaxis(colour, 2, 0), colour),
        (torch.tensor(np.moveaxis(colour, 2, 0)), colour),
        (torch.tensor(rng.integers(0, 2, (3, 4, 3)) * 1.0), None),
        (grey[None], grey),
        (grey[:, :, None], grey),
        ((grey, 3), grey),  # with its class, as torchvision's data sets give it
        ((colour * 255).astype(np.uint8), (colour * 255).astype(np.uint8) / 255),
        (grey > 0.5, (grey > 0.5) * 1.0),
        ((grey * 300).astype(np.int32), None),
        (grey * 2 - 1, (grey - grey.min()) / (grey.max() - grey.min())),
        (np.full((2, 2), 7.0), np.zeros((2, 2))),
        (grey.tolist(), grey),
        (palette, np.asarray(palette.convert("RGB")) / 255),
        (Image.new("L", (2, 2), 51), np.full((2, 2), 0.2)),
        (torch.tensor(grey).bfloat16(), torch.tensor(grey).bfloat16().double().numpy()),
    ]
    for given, expected in cases:
        ((array, _),) = drawn(plots.top_samples(one, values, [given, given], n=1), 1)
        assert 0 <= array.min() <= array.max() <= 1
        if expected is not None:
            assert array == pytest.approx(expected)
    ((array, _),) = drawn(plots.top_samples(one, values, [cases[3][0]] * 2, n=1), 1)
    assert np.array_equal(array, np.moveaxis(cases[3][0].numpy(), 0, 2))  # a tensor has its channels first


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (np.zeros((19, 4, 4)), AlignmentError, "19 samples to show but the activations have 20 rows: without ids"),
        (np.zeros((20, 64)), OptionError, r"sample 19 is ndarray of shape \(64,\): an image must have shape"),
        ([[[1, 2], [3]]] * 20, OptionError, "sample 19 is list: an image must have shape"),
        ([object()] * 20, OptionError, "sample 19 is object: an image must have"),
        ([*["text"] * 18, np.zeros((2, 2)), "text"], OptionError, "samples mix images and texts: give one kind"),
        ([np.full((2, 2), np.nan)] * 20, OptionError, "the image of sample 19 must contain finite real numbers"),
        ([np.zeros((2, 2), complex)] * 20, OptionError, "the image of sample 19 must contain finite real numbers"),
        ([None] * 20, OptionError, "none of the samples can be read"),
        (7, OptionError, "samples must be Images, a folder, .* not int"),
        ({"x": "text"}, UnknownNameError, "no sample 't19'"),
        (pd.DataFrame({"sample": ["a"] * 20}), OptionError, "a table of samples needs a column besides the ids"),
    ],
)
def test_samples_that_cannot_be_shown_are_refused(samples, error, message):
    taken = Activations(np.arange(20.0), sample_ids=[f"t{place}" for place in range(20)])
    with pytest.raises(error, match=message) as raised:
        plots.top_samples(Label(0), taken, samples, n=2)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_n_must_be_a_number_of_samples_or_concepts(data, high, images, n):
    values, concepts = data
    with pytest.raises(OptionError, match="n must be a whole number of at least 1"):
        plots.top_samples(high, values, images, n=n)
    with pytest.raises(OptionError, match="n must be a whole number of at least 1"):
        plots.concept_bars(high, values, concepts, names=NAMES, n=n)


# Concepts


def bars(axes):
    """The concept beside each bar and where the bar ends, from above."""
    named = sorted((text for text in axes.texts if text.get_text() in NAMES), key=lambda text: text.xy[1])
    ends = sorted((patch.get_y(), patch.get_x() + patch.get_width()) for patch in axes.patches)
    assert len(named) == len(ends)
    return [(text.get_text(), end) for text, (_, end) in zip(named, ends, strict=True)]


@pytest.mark.parametrize("direction", ["high", "low"])
def test_bars_end_at_the_auc_of_single_concepts(data, high, direction):
    values, concepts = data
    sign = -1 if direction == "low" else 1
    for neuron in (0, 3):
        expected = {
            name: float(auc_by_pairs(sign * values[:, neuron], c)) for name, c in zip(NAMES, concepts.T, strict=True)
        }
        expected = sorted(expected.items(), key=lambda item: -item[1])
        one = replace(high, neuron=neuron, direction=direction)
        axes = plots.concept_bars(one, values, concepts, names=NAMES)
        found = bars(axes)
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert [end for _, end in found] == pytest.approx([auc for _, auc in expected])
        assert all(patch.get_x() == 0.5 for patch in axes.patches)
        colours = {to_hex(p.get_facecolor()).upper(): p.get_width() >= 0 for p in axes.patches}
        assert colours == {IN: True, OUT: False}
        few = plots.concept_bars(one, values, concepts, names=NAMES, n=3)
        assert [name for name, _ in bars(few)] == [expected[0][0], expected[1][0], expected[-1][0]]
        assert f"{expected[0][1]:.3f}" in texts(few)
        assert (few.get_xlabel() == "AUC of single concepts, low inside") == (direction == "low")


def test_concepts_of_the_formula_are_bold_and_a_label_may_have_none(data, high):
    values, concepts = data
    axes = plots.concept_bars(high, values, concepts, names=NAMES)
    bold = {text.get_text() for text in axes.texts if text.get_weight() == "bold"}
    assert bold == {"dog", "grass"}
    axes = plots.concept_bars(Label(0, reason="none"), values, concepts, names=NAMES)
    assert heading(axes) == ["neuron 0: no formula (none)"]
    assert not [text for text in axes.texts if text.get_weight() == "bold"]


def test_concepts_that_tell_nothing_apart_are_left_out(data, high):
    values, concepts = data
    concepts = concepts.copy()
    concepts[:, 2], concepts[:, 4] = True, False
    axes = plots.concept_bars(high, values, concepts, names=NAMES)
    assert {name for name, _ in bars(axes)} == {"dog", "grass", "night"}
    with pytest.raises(ConceptsError, match="every concept is true for none or for all of the samples"):
        plots.concept_bars(high, values, concepts[:, [2, 4]], names=["sky", "car"])


# Layers


def made(layer, aucs, q=np.nan, heldout=np.nan):
    formula = Formula.parse("dog")
    return [
        Label(j, layer, best=Explanation(formula, auc, 0.1, 10, auc_heldout=heldout and auc - heldout), q=q)
        for j, auc in enumerate(aucs)
    ]


def test_each_layer_has_its_spread_and_its_counts():
    rng = np.random.default_rng(3)
    first, second = rng.uniform(0.6, 1, 40), rng.uniform(0.5, 0.7, 400)
    listed = [*made("$a_b$", first), Label(40, "$a_b$", reason="constant"), *made("c", second), Label(0, "d")]
    axes = plots.layer_overview(Labels(listed))
    lines = {}
    for line in axes.lines:
        lines.setdefault(round(float(np.atleast_1d(line.get_ydata())[0])), []).append(np.atleast_1d(line.get_xdata()))
    assert set(lines) == {0, 1}
    for row, values in ((0, first), (1, second)):
        whole, middle, median, *each = lines[row]
        assert whole.tolist() == [values.min(), values.max()]
        assert middle == pytest.approx(np.quantile(values, [0.25, 0.75]))
        assert median == pytest.approx([np.median(values)])
        assert [one.tolist() for one in each] == ([values.tolist()] if row == 0 else [])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["$a_b$\n40 of 41", "c\n400 of 400", "d\n0 of 1"]
    assert axes.yaxis_inverted()
    assert axes.get_legend() is None
    axes.figure.savefig("/dev/null", format="png")


def test_what_was_held_out_stands_below():
    axes = plots.layer_overview(made(None, [0.7, 0.8, 0.9], heldout=0.1))
    places = {to_hex(line.get_color()).upper(): line for line in axes.lines if len(line.get_xdata()) == 2}
    assert places[OUT].get_ydata()[0] > places[IN].get_ydata()[0]
    assert places[OUT].get_xdata() == pytest.approx([0.65, 0.75])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["searched", "held out"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["all\n3 of 3"]


def test_the_histogram_counts_labels():
    listed = [
        *made("a", [0.61, 0.61, 0.99], q=0.01, heldout=0.04),
        *made("a", [0.61, 1.0], q=0.2, heldout=0.04),
        Label(9, "a", reason="constant"),
    ]
    axes = plots.auc_histogram(Labels(listed))
    every, kept, held = axes.patches
    assert axes.get_legend_handles_labels()[1] == [
        "searched, mean 0.764",
        "q ≤ 0.05: 3 of 5 (60%)",
        "held out, mean 0.724",
    ]
    for patch, expected in (
        (every, {0.61: 3, 0.99: 2}),
        (kept, {0.61: 2, 0.99: 1}),
        (held, {0.57: 3, 0.95: 1, 0.97: 1}),
    ):
        heights, edges, _ = patch.get_data()
        middles = (edges[1:] + edges[:-1]) / 2
        assert {round(float(m), 2): int(h) for m, h in zip(middles, heights, strict=True) if h} == expected
    assert heading(axes) == ["5 labels, 1 neuron without a formula"]
    strict = plots.auc_histogram(Labels(listed), q=0.005)
    assert "q ≤ 0.005: 0 of 5 (0%)" in texts(strict)


def test_the_histogram_of_plain_labels(labels):
    axes = plots.auc_histogram(labels)
    mean = np.mean([one.auc for one in labels])
    assert axes.get_legend_handles_labels()[1] == [f"all, mean {mean:.3f}"]
    assert axes.patches[0].get_data()[0].sum() == 2


@pytest.mark.parametrize("draw", [plots.layer_overview, plots.auc_histogram])
def test_labels_without_any_formula_are_refused(draw):
    with pytest.raises(OptionError, match="none of the 1 labels has a formula"):
        draw(Labels([Label(0, reason="constant")]))
    with pytest.raises(OptionError, match="none of the 0 labels has a formula"):
        draw([])
    with pytest.raises(OptionError, match=r"must be Labels, as neuronym\.label returns them, but contain str"):
        draw("labels.csv")


@pytest.mark.parametrize("q", [0, 1, "0.05", True])
def test_a_level_must_be_a_probability(labels, q):
    with pytest.raises(OptionError, match="q must lie between 0 and 1"):
        plots.auc_histogram(labels, q=q)


# Steps


def test_each_length_has_a_row(data, high, images):
    values, concepts = data
    steps = [Formula.parse("dog"), Formula.parse("dog & ~grass")]
    assert [step.formula for step in high.steps][:2] == steps
    one = replace(high, best=high.steps[1], path=(*high.steps[:2], high.steps[1]))
    axes = plots.formula_steps(one, values, concepts, images, names=NAMES)
    assert axes.shape == (2, 2)
    for (left, right), formula in zip(axes, steps, strict=True):
        inside = formula.evaluate(dict(zip(NAMES, concepts.T, strict=True)))
        order = np.argsort(-values[:, 0], kind="stable")
        chosen = order[inside[order]][:4]
        low, high_ = images[chosen].min(), images[chosen].max()
        found = drawn(left, 2)
        assert all(framed for _, framed in found)
        for (array, _), place in zip(found, chosen, strict=True):
            assert array == pytest.approx((images[place] - low) / (high_ - low))
        auc = float(auc_by_pairs(values[:, 0], inside))
        assert heading(left)[-2:] == [
            f"L = {formula.length}: {formula}",
            f"AUC {auc:.3f}, {inside.mean():.0%} of samples",
        ]
        expected = {IN: np.mean(values[inside, 0] != 0), OUT: np.mean(values[~inside, 0] != 0)}
        assert areas(right) == pytest.approx(expected)
    assert heading(axes[0, 0])[0] == "neuron 0"
    top = values[:, 0].max()
    assert [right.get_xlim() for right in axes[:, 1]] == [pytest.approx((-0.03 * top, 1.03 * top))] * 2
    given = Figure().subplots(2, 2)
    assert plots.formula_steps(one, values, concepts, images, names=NAMES, axes=given) is given
    with pytest.raises(OptionError, match=r"axes must have shape \(2, 2\), not \(2,\)"):
        plots.formula_steps(one, values, concepts, images, names=NAMES, axes=given[0])


def test_steps_of_a_low_label_of_texts_and_without_a_path(data, low):
    values, concepts = data
    written = [f"text {place}" for place in range(N)]
    bare = replace(low, path=())
    axes = plots.formula_steps(bare, values, concepts, written, names=NAMES, n=2)
    order = np.argsort(values[:, 1], kind="stable")
    chosen = order[inside_of(low, concepts)[order]][:2]
    assert [text.get_text() for text in axes[0, 0].texts] == [f"text {place}" for place in chosen]


# What all take


def drawings(values, concepts, names, one, **options):
    images = np.zeros((N, 2, 2))
    yield plots.distribution(one, values, concepts, names=names, **options)
    yield plots.roc(one, values, concepts, names=names, **options)
    yield plots.concept_bars(one, values, concepts, names=names, **options)
    yield plots.top_samples(one, values, images, concepts=concepts, names=names, **options)
    yield plots.formula_steps(one, values, concepts, images, names=names, **options)[0, 0]


def test_all_take_what_label_takes(data, high, tmp_path):
    values, concepts = data
    whole = Concepts.from_array(concepts, NAMES)
    ids = [f"s{place}" for place in range(N)]
    frame = pd.DataFrame(values, index=ids)
    shuffled = pd.DataFrame(concepts, columns=NAMES, index=ids).sample(frac=1, random_state=0)
    save_activations(Activations(values, sample_ids=ids), tmp_path / "a.csv")
    save_concepts(whole.with_ids(ids), tmp_path / "c.parquet")
    expected = [texts(axes) for axes in drawings(values, concepts, NAMES, high)]
    for taken, shown in (
        (values, whole),
        (frame, shuffled),
        (frame, shuffled.reset_index(names="sample")),
        (Activations(values, sample_ids=ids), Concepts.from_frame(shuffled)),
        (str(tmp_path / "a.csv"), tmp_path / "c.parquet"),
    ):
        assert [texts(axes) for axes in drawings(taken, shown, None, high)] == expected
    in_layer = replace(high, layer="conv")
    of_layer = [texts(axes) for axes in drawings({"other": values[:, 1:], "conv": values}, whole, None, in_layer)]
    assert of_layer == [[text.replace("neuron 0", "conv 0") for text in listed] for listed in expected]
    assert [texts(axes) for axes in drawings(values, whole, None, in_layer)] == of_layer
    assert [texts(axes) for axes in drawings({"conv": values}, whole, None, high)] == expected


def test_ids_of_concepts_are_those_of_samples_too(data, high):
    values, concepts = data
    ids = [f"s{place}" for place in range(N)]
    shown = Concepts.from_array(concepts, NAMES, sample_ids=ids)
    written = {name: f"text of {name}" for name in ids[::-1]}
    axes = plots.top_samples(high, values, written, concepts=shown, n=3, align="position")
    order = np.argsort(-values[:, 0], kind="stable")[:3]
    assert [text.get_text() for text in axes.texts] == [f"text of s{place}" for place in order]


def test_a_part_of_a_table_is_not_matched_by_place(data, high):
    values, concepts = data
    part = pd.DataFrame(concepts, columns=NAMES, index=np.arange(100, 100 + N))
    with pytest.raises(AlignmentError, match="both need the same samples"):
        plots.roc(high, pd.DataFrame(values), part)


def test_samples_in_common_are_kept_where_asked(data, high):
    values, concepts = data
    ids = [f"s{place}" for place in range(N)]
    images = {name: np.full((2, 2), place / N) for place, name in enumerate(ids)}
    part = Concepts.from_array(concepts, NAMES, sample_ids=ids).take(np.arange(N - 1, 99, -1))
    taken = Activations(values, sample_ids=ids)
    with pytest.raises(AlignmentError, match="or keep the common ones with align=True"):
        plots.roc(high, taken, part)
    with pytest.warns(UserWarning, match="align=True keeps 200 samples") as warned:
        axes = plots.roc(high, taken, part, align=True)
    assert warned[0].filename == __file__
    auc = float(auc_by_pairs(values[100:, 0], inside_of(high, concepts)[100:]))
    assert axes.lines[0].get_label() == f"AUC {auc:.3f}"
    order = 100 + np.argsort(-values[100:, 0], kind="stable")[:4]
    with pytest.warns(UserWarning, match="align=True"):
        axes = plots.top_samples(high, taken, images, concepts=part, align=True, n=4)
    found = drawn(axes, 2)
    assert [array[0, 0] for array, _ in found] == pytest.approx(order / N)
    assert [framed for _, framed in found] == inside_of(high, concepts)[order].tolist()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_all_are_saved_with_names_as_they_are(data, high, tmp_path, kind, swept):
    values, concepts = data
    odd = ["$\\frac{$", "grass_$x$", "sky\n", "_night", "a & b%\\"]
    one = label(values, concepts, names=odd, neurons=[0])[0]
    assert "$\\frac{$" in one.formula.concepts
    one = replace(one, layer="_l$^{$")
    several = [one, replace(one, layer="_m")]
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    every = [*drawings(values, concepts, odd, one), plots.sweep(swept.assign(layer="$\\frac{$"))]
    for place, axes in enumerate([*every, plots.layer_overview(several), plots.auc_histogram(several)]):
        axes.figure.savefig(tmp_path / f"{place}.{kind}")
        assert (tmp_path / f"{place}.{kind}").read_bytes().startswith(heads[kind])


def test_new_axes_are_as_wide_as_a_column_and_given_ones_are_used(data, high, swept, labels):
    values, concepts = data
    every = [*drawings(values, concepts, NAMES, high)]
    every += [plots.sweep(swept), plots.layer_overview(labels), plots.auc_histogram(labels)]
    assert {axes.figure.get_size_inches()[0] for axes in every} == {3.4}
    given = Figure().subplots(2, 4).flat
    images = np.zeros((N, 2, 2))
    assert plots.distribution(high, values, concepts, names=NAMES, ax=given[0]) is given[0]
    assert plots.roc(high, values, concepts, names=NAMES, ax=given[1]) is given[1]
    assert plots.sweep(swept, ax=given[2]) is given[2]
    assert plots.top_samples(high, values, images, ax=given[3]) is given[3]
    assert plots.concept_bars(high, values, concepts, names=NAMES, ax=given[4]) is given[4]
    assert plots.layer_overview(labels, ax=given[5]) is given[5]
    assert plots.auc_histogram(labels, ax=given[6]) is given[6]
    with pytest.raises(OptionError, match=r"ax must be matplotlib axes, such as those of plt.subplots\(\), not Figure"):
        plots.auc_histogram(labels, ax=Figure())


def test_nothing_global_is_changed(data, high, swept, labels):
    import matplotlib

    before = dict(matplotlib.rcParams)
    list(drawings(*data, NAMES, high))
    plots.sweep(swept)
    plots.layer_overview(labels)
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_nothing_is_cut_off_or_written_over(data, swept, images):
    """Headings and legends stay inside of the figure, whatever the length of names, and clear of each other."""
    values, concepts = data
    long = ["a_very_long_name_of_a_concept_that_goes_on_and_on", "grass", "sky", "x" * 70, "car"]
    one = replace(label(values, concepts, names=long, neurons=[0])[0], layer="encoder.layer.11.output.dense")
    several = [one, replace(one, layer="stem")]
    drawn_axes = [
        plots.distribution(one, values, concepts, names=long),
        plots.roc(one, values, concepts, names=long),
        plots.concept_bars(one, values, concepts, names=long),
        plots.top_samples(one, values, images, concepts=concepts, names=long),
        *plots.formula_steps(one, values, concepts, images, names=long)[:, 0],
        plots.layer_overview(several),
        plots.auc_histogram(several),
        plots.sweep(swept),
    ]
    for axes in drawn_axes:
        figure = axes.figure
        figure.draw_without_rendering()
        width, height = figure.bbox.width, figure.bbox.height
        legends = [] if axes.get_legend() is None else [axes.get_legend()]
        low, high = sorted(axes.get_ylim())
        ticks = [text for text in axes.get_yticklabels() if axes.axison and low <= text.get_position()[1] <= high]
        for artist in [axes._left_title, *axes.texts, *ticks, *legends]:
            if artist not in legends and not artist.get_text():
                continue
            box = artist.get_window_extent()
            assert box.x0 >= -1, artist
            assert box.x1 <= width + 1, artist
            assert box.y0 >= -1, artist
            assert box.y1 <= height + 1, artist
        if axes.get_title(loc="left") and legends:
            assert not axes._left_title.get_window_extent().overlaps(legends[0].get_window_extent())


def test_legends_are_above_densities_and_counts(data, high, images, labels):
    values, concepts = data
    steps = plots.formula_steps(high, values, concepts, images, names=NAMES)[:, 1]
    alone = plots.distribution(high, values, concepts, names=NAMES)
    for axes in (alone, *steps, plots.auc_histogram(labels)):
        axes.figure.draw_without_rendering()
        highest = max(patch.get_data()[0].max() for patch in axes.patches)
        top = axes.transData.transform((0, highest))[1]
        assert axes.get_legend().get_window_extent().y0 > top
        assert top > axes.bbox.y0 + 0.4 * axes.bbox.height


# What cannot be drawn


def refused(draw, error, message):
    with pytest.raises(error, match=message) as raised:
        draw()
    assert "\n" not in str(raised.value)


def test_a_neuron_that_is_not_there(data, high):
    values, concepts = data
    taken = Activations(values, ["edge_1", "edge_2", "curve", "dot"])
    for message, one in (
        (r"no neuron 'edge_3'; near it: 'edge_", replace(high, neuron="edge_3")),
        (r"no neuron '7'; there are 4, such as 'edge_1'", replace(high, neuron=7)),
    ):
        refused(lambda one=one: list(drawings(taken, concepts, NAMES, one)), UnknownNameError, message)
    layers = {"layer1": values, "layer2": values}
    other = replace(high, layer="layer3")
    refused(
        lambda: plots.roc(other, layers, concepts, names=NAMES), UnknownNameError, "no layer 'layer3'; near it: 'layer"
    )
    refused(
        lambda: plots.roc(other, {"layer1": values}, concepts, names=NAMES), UnknownNameError, "no layer 'layer3'; near"
    )
    refused(lambda: plots.roc(high, layers, concepts, names=NAMES), OptionError, "the label names no layer, but")
    renamed = ["dogs", *NAMES[1:]]
    refused(lambda: plots.roc(high, values, concepts, names=renamed), UnknownNameError, "no concept 'dog'; near it: 'd")


def test_a_label_without_a_formula_says_why(data):
    values, concepts = data
    (constant,) = label(values, concepts, names=NAMES, neurons=[2])
    assert constant.best is None
    one = replace(constant, neuron=0)
    for draw in (plots.distribution, plots.roc):
        message = f"neuron 0 has no formula \\({re.escape(constant.reason)}\\): there is nothing to draw"
        refused(lambda draw=draw: draw(one, values, concepts, names=NAMES), OptionError, message)
    refused(
        lambda: plots.formula_steps(Label(0), values, concepts, np.zeros((N, 2, 2)), names=NAMES),
        OptionError,
        "neuron 0 has no formula: there is nothing to draw",
    )


def test_a_neuron_that_cannot_be_drawn(data, high):
    values, concepts = data
    wrong = values.copy()
    wrong[3, 0] = np.nan
    for column, message in (
        (np.full(N, 0.25), r"neuron 0 is constant \(0.25\) on these samples: there is nothing to draw"),
        (wrong[:, 0], "neuron 0 holds NaN or infinity: every activation must be finite"),
        (values[:, 0] * 1e290, "which cannot be drawn: rescale its activations"),
        (values[:, 0] * 1e-290, "which cannot be drawn: rescale its activations"),
    ):
        for draw in (
            lambda one, given: plots.distribution(one, given, concepts, names=NAMES),
            lambda one, given: plots.concept_bars(one, given, concepts, names=NAMES),
            lambda one, given: plots.top_samples(one, given, np.zeros((N, 2, 2))),
        ):
            refused(lambda draw=draw, column=column: draw(high, column), ActivationsError, message)
    refused(lambda: plots.top_samples(high, np.zeros((0, 1)), []), ActivationsError, "activations are empty")


@pytest.mark.parametrize(("members", "which"), [(slice(0), "none"), (slice(None), "all")])
def test_a_formula_that_is_true_for_none_or_all(data, high, members, which):
    values, concepts = data
    concepts = concepts.copy()
    concepts[:, 0], concepts[:, 1] = False, False
    concepts[members, 0] = True
    message = f"dog & ~grass is true for {which} of the samples: inside and outside cannot be compared"
    refused(lambda: plots.distribution(high, values, concepts, names=NAMES), ConceptsError, message)


def test_what_is_no_label_or_no_concepts(data, labels, high):
    values, concepts = data
    refused(
        lambda: plots.roc(labels, values, concepts, names=NAMES),
        OptionError,
        r"label must be one Label, such as labels\[0\], not Labels",
    )
    refused(lambda: plots.roc(high, values, None), OptionError, "concepts are needed, as neuronym.label takes them")
    refused(lambda: plots.concept_bars(high, values, None), OptionError, "concepts are needed, as neuronym.label")
    refused(lambda: plots.roc(high, values, concepts[1:], names=NAMES), AlignmentError, "concepts has 299 rows but")


def test_without_matplotlib_it_says_what_to_install(data, high, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refused(lambda: plots.distribution(high, *data, names=NAMES), OptionError, r"pip install 'neuronym\[plots\]'")


# The page


DOCS = Path(__file__).parents[2] / "docs"


def test_every_function_has_its_picture_in_the_docs():
    page = (DOCS / "plots.md").read_text(encoding="utf-8")
    on_axes = {name for name in plots.__all__ if not name.startswith("plot_")}  # the others write a file of their own
    assert set(re.findall(r"\]\(plots_(\w+)\.png\)", page)) == on_axes
    assert all((DOCS / f"plots_{name}.png").exists() for name in on_axes)
    for name in on_axes:
        code = re.search(rf"```python\n([^`]*)```\s+```text\n[^`]*```\s+!\[[^]]+\]\(plots_{name}\.png\)", page)[1]
        assert f"plots.{name}(" in code


def test_the_pictures_are_made_by_the_code_shown(tmp_path):
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    page = (
        "```python\nfrom matplotlib.figure import Figure\nx = 2\n```\n\n```text\n```\n\n"
        "```python\naxes = Figure(figsize=(x, 1)).subplots()\n```\n\n```text\n```\n\n![A](plots_a.png)\n\n"
        "```python\naxes = Figure(figsize=(x, 3)).subplots(2, 2)\n```\n\n```text\n```\n\n![B](plots_b.png)\n"
    )
    assert pictures.draw(page, tmp_path) == ["plots_a.png", "plots_b.png"]
    sizes = [open_image(tmp_path / f"plots_{name}.png").size for name in "ab"]
    assert sizes[0][0] == sizes[0][1] * 2
    assert sizes[1][1] == sizes[0][1] * 3
