"""Images are read as they look: whatever their mode, bits and orientation."""

import pickle

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from neuronym import FileError, OptionError
from neuronym.analysis.spurious import Patch
from neuronym.inputs.samples import Samples
from neuronym.io import Images, open_image
from neuronym.io.images import convert_image
from neuronym.plots.samples import _as_item
from neuronym.report.shown import ShownSamples

RAMP = np.linspace(0, 1, 64)[None] * np.ones((16, 1))
GREY = np.rint(RAMP * 255).astype(np.uint8)
SIXTEEN = np.rint(RAMP * 65535).astype(np.uint16)


def pixels(path, mode="RGB"):
    return np.asarray(open_image(path, mode))


def assert_grey(read, expected=GREY):
    """Check that an RGB image is grey, with these values up to rounding."""
    assert read.shape == (*expected.shape, 3)
    assert np.abs(read.astype(int) - expected[:, :, None]).max() <= 1


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.png", Image.fromarray(SIXTEEN)),
        ("a.tif", Image.fromarray(SIXTEEN)),
        ("a.jp2", Image.fromarray(SIXTEEN)),
        ("a.pgm", Image.fromarray(SIXTEEN)),
        ("big_endian.tif", Image.frombytes("I;16B", (64, 16), SIXTEEN.astype(">u2").tobytes())),
        ("integers.tif", Image.fromarray(SIXTEEN.astype(np.int32))),
        ("large_integers.tif", Image.fromarray((RAMP * (2**31 - 1)).astype(np.int32))),
        ("to_1.tif", Image.fromarray(RAMP.astype(np.float32))),
        ("to_255.tif", Image.fromarray((RAMP * 255).astype(np.float32))),
        ("to_65535.tif", Image.fromarray((RAMP * 65535).astype(np.float32))),
        ("to_1.pfm", Image.fromarray(RAMP.astype(np.float32))),
    ],
)
def test_grey_values_of_more_than_8_bits_are_those_of_8_bits(tmp_path, name, image):
    image.save(tmp_path / name)
    assert_grey(pixels(tmp_path / name))
    with_alpha = pixels(tmp_path / name, "RGBA")
    assert_grey(with_alpha[:, :, :3])
    assert (with_alpha[:, :, 3] == 255).all()


def test_16_bits_are_rounded_from_a_257th(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for mode in ("I;16", "I;16B", "I;16L", "I"):
        kind = {"I;16B": ">u2", "I": "<i4"}.get(mode, "<u2")
        image = Image.frombytes(mode, (256, 256), values.astype(kind).tobytes())
        assert (np.asarray(convert_image(image, "L")) == np.rint(values / 257)).all()


def tiff(path, values, bits, photometric):
    """Write a TIFF file of one strip, whose tags Pillow does not write."""
    tags = {
        256: values.shape[1], 257: values.shape[0], 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1,
        278: values.shape[0], 279: 0,
    }  # fmt: skip
    data = values.astype("<u2").tobytes()
    if bits == 12:
        pairs = values.reshape(-1, 2).astype(int)
        data = b"".join((int(a) << 12 | int(b)).to_bytes(3, "big") for a, b in pairs)
    tags |= {273: 8 + 2 + 12 * len(tags) + 4, 279: len(data)}
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little") for tag, value in tags.items()
    )
    path.write_bytes(b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little") + entries + bytes(4) + data)


def test_what_a_tiff_says_of_its_values_counts(tmp_path):
    tiff(tmp_path / "white_is_0.tif", 65535 - SIXTEEN, 16, 0)
    tiff(tmp_path / "12_bits.tif", np.rint(RAMP * 4095).astype(np.uint16), 12, 1)
    assert_grey(pixels(tmp_path / "white_is_0.tif"))
    assert_grey(pixels(tmp_path / "12_bits.tif"))


@pytest.mark.parametrize("values", [[-1, 0.5], [np.nan, 1], [0, np.inf], [0, 70000.0], [-3, 9]])
def test_grey_values_without_a_scale_are_refused(tmp_path, values):
    kind = np.float32 if 9 not in values else np.int32
    Image.fromarray(np.array([values], kind)).save(tmp_path / "a.tif")
    match = r"cannot read the image '.*a.tif': its grey values range from \S+ to \S+: rescale .* skip such images with"
    with pytest.raises(FileError, match=match):
        open_image(tmp_path / "a.tif")
    assert Images(tmp_path, None, skip_unreadable=True).image(0) is None
    with pytest.raises(OptionError, match="rescale"):
        convert_image(Image.open(tmp_path / "a.tif"))


def test_bits_that_a_file_does_not_use_are_warned_of_once(tmp_path):
    for name, values in {
        "a": SIXTEEN,
        "b": SIXTEEN // 16,
        "c": SIXTEEN // 16,
        "d": SIXTEEN * 0,
        "e": GREY // 16,
    }.items():
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    images = Images(tmp_path, None)
    images.image(0)
    with pytest.warns(UserWarning, match=r"'.*b.png' has more than 8 bits but uses at most 1/16 .* multiply") as raised:
        read = [np.asarray(images.image(place)) for place in range(5)]
    assert len(raised) == 1
    assert np.abs(read[1] - (SIXTEEN // 16 / 257)[:, :, None]).max() <= 0.5  # by the same rule as the others
    with pytest.warns(UserWarning, match="16 by 16"):
        Images(tmp_path, None).image(2)


MODES = ("1", "L", "P", "LA", "La", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def of_mode(mode, photo):
    """The photo in a mode, by the steps that Pillow needs."""
    steps = {"LA": "L", "La": "LA", "PA": "P", "RGBa": "RGBA"}
    if mode == "LAB":
        spaces = [ImageCms.createProfile(space) for space in ("sRGB", "LAB")]
        return ImageCms.profileToProfile(photo, *spaces, outputMode="LAB")
    if mode == "P":
        return photo.quantize(8)
    return (of_mode(steps[mode], photo) if mode in steps else photo).convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_8_bits_is_read_in_its_colours(mode):
    photo = Image.new("RGB", (8, 8), (200, 200, 200))
    photo.paste((30, 30, 30), (0, 0, 8, 4))
    expected = np.asarray(photo).copy()
    if mode == "1":
        expected = np.uint8(255) * (expected > 99)
        photo = Image.fromarray(expected)
    read = convert_image(of_mode(mode, photo))
    assert read.mode == "RGB"
    assert np.abs(np.asarray(read).astype(int) - expected).max() <= 2
    assert convert_image(of_mode(mode, photo), "RGBA").mode == "RGBA"


def test_colours_stored_under_transparency_count(tmp_path):
    colours = np.zeros((4, 4, 4), np.uint8)
    colours[:, :, 0] = 250
    Image.fromarray(colours).save(tmp_path / "alpha.png")
    Image.fromarray(colours).save(tmp_path / "alpha.webp", lossless=True, exact=True)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 250, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=1)
    palette.save(tmp_path / "palette.gif", transparency=1)
    for name in ("alpha.png", "alpha.webp", "palette.png", "palette.gif"):
        assert (pixels(tmp_path / name) == [250, 0, 0]).all(), name
        assert (pixels(tmp_path / name, "RGBA") == [250, 0, 0, 0]).all(), name


def test_a_jpeg_in_cmyk_is_read_in_its_colours(tmp_path):
    Image.new("RGB", (8, 8), (200, 100, 50)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(pixels(tmp_path / "a.jpg").astype(int) - [200, 100, 50]).max() <= 3


FRAMES = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "blue")]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif", "a.avif"])
def test_of_several_frames_the_first_is_read_with_a_warning(tmp_path, name):
    try:
        FRAMES[0].save(tmp_path / name, save_all=True, append_images=FRAMES[1:])
    except (KeyError, OSError):
        pytest.skip("this Pillow does not write the format")
    FRAMES[0].save(tmp_path / f"b.{name}", save_all=True, append_images=FRAMES[1:])
    images = Images(tmp_path, None)
    with pytest.warns(
        UserWarning, match=r"only the first frame or page of '.*a\.\w+' is read, and of others"
    ) as raised:
        read = [np.asarray(images.image(place)) for place in range(2)]
    assert len(raised) == 1
    for one in read:
        assert np.abs(one.astype(int) - [255, 0, 0]).max() <= 3


def test_a_photo_with_a_preview_is_one_image(tmp_path):
    FRAMES[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=FRAMES[1:])
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.format == "MPO"
    assert Images(tmp_path, None).image(0).size == (4, 4)


def cornered():
    """A photo whose four corners differ."""
    array = np.full((24, 40, 3), 128, np.uint8)
    array[:8, :8], array[:8, -8:], array[-8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return Image.fromarray(array)


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "lzw.tif", "a.avif"])
def test_photos_are_upright(tmp_path, tag, name):
    upright = cornered()
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse of what a viewer does
    stored = upright if tag == 1 else upright.transpose(Image.Transpose(undo[tag]))
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"compression": "tiff_lzw"} if "lzw" in name else {} if name.endswith("tif") else {"quality": 98}
    try:
        stored.save(tmp_path / name, exif=exif, **options)
    except (KeyError, OSError):
        pytest.skip("this Pillow does not write the format")
    with Image.open(tmp_path / name) as opened:
        viewed = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    assert (pixels(tmp_path / name) == viewed).all()
    for y, x in ((2, 2), (2, -3), (-3, 2), (-3, -3)):
        assert np.abs(viewed[y, x].astype(int) - np.asarray(upright)[y, x]).max() < 40


def test_grey_of_16_bits_is_upright_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(SIXTEEN).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    assert_grey(pixels(tmp_path / "a.png"))


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_broken_metadata_leave_an_image_as_it_is(tmp_path, exif):
    cornered().save(tmp_path / "a.jpg", exif=exif)
    assert pixels(tmp_path / "a.jpg").shape == (24, 40, 3)


def test_the_model_the_report_and_plots_see_one_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.kron(SIXTEEN, np.ones((4, 1), np.uint16))).save(tmp_path / "a.png", exif=exif)
    seen = np.asarray(Images(tmp_path, None).image(0))
    assert seen.shape == (64, 64, 3)
    assert (np.asarray(Samples.of(tmp_path).read(0)) == seen).all()
    assert (np.asarray(ShownSamples.of(tmp_path, ["a.png"], 1).pictures(0)[0]) == seen).all()
    assert (_as_item(tmp_path / "a.png", 0) == seen).all()
    upright = Image.fromarray(np.ascontiguousarray(np.kron(SIXTEEN, np.ones((4, 1), np.uint16)).T))
    assert (np.asarray(ShownSamples.of({"a": upright}, ["a"], 1).pictures(0)[0]) == seen).all()  # opened by the user
    assert (_as_item(upright, 0) == seen).all()


def test_images_are_sent_to_other_processes(tmp_path):
    Image.fromarray(SIXTEEN // 16).save(tmp_path / "a.png")
    images = pickle.loads(pickle.dumps(Images(tmp_path, None)))
    with pytest.warns(UserWarning, match="1/16"):
        images.image(0)


def test_a_logo_of_16_bits_is_pasted_in_its_grey(tmp_path):
    Image.fromarray(np.full((8, 8), 200 * 257, np.uint16)).save(tmp_path / "logo.png")
    patched = Patch(tmp_path / "logo.png", size=0.5, place="centre")(
        Image.new("RGB", (32, 32)), np.random.default_rng(0)
    )
    assert patched.getpixel((16, 16)) == (200, 200, 200)


def test_a_folder_of_logos_is_searched_once(tmp_path):
    for name in "ab":
        Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("logos")
    with pytest.warns(UserWarning, match="left out of .* 1 non-image file") as raised:
        patch = Patch(tmp_path)
    assert len(raised) == 1
    assert len(patch.digest()) == 16
    assert patch(Image.new("RGB", (32, 32)), np.random.default_rng(0)).size == (32, 32)
